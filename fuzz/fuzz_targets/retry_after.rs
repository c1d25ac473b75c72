//! See [`graphfeed_fuzz::retry_after`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| graphfeed_fuzz::retry_after::run(data));
