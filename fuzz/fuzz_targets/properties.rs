//! See [`graphfeed_fuzz::properties`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| graphfeed_fuzz::properties::run(data));
