//! See [`graphfeed_fuzz::items`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| graphfeed_fuzz::items::run(data));
