//! See [`graphfeed_fuzz::batches`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| graphfeed_fuzz::batches::run(data));
