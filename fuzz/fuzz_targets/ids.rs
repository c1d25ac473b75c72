//! See [`graphfeed_fuzz::ids`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| graphfeed_fuzz::ids::run(data));
