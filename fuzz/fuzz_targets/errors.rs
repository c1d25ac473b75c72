//! See [`graphfeed_fuzz::errors`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| graphfeed_fuzz::errors::run(data));
