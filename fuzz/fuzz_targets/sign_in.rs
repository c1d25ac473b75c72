//! See [`graphfeed_fuzz::sign_in`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| graphfeed_fuzz::sign_in::run(data));
