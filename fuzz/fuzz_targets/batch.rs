//! See [`graphfeed_fuzz::batch`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| graphfeed_fuzz::batch::run(data));
