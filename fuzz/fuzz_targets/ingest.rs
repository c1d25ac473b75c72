//! See [`graphfeed_fuzz::ingest`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| graphfeed_fuzz::ingest::run(data));
