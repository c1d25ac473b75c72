//! See [`graphfeed_fuzz::pages`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| graphfeed_fuzz::pages::run(data));
