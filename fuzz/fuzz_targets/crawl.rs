//! See [`graphfeed_fuzz::crawl`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| graphfeed_fuzz::crawl::run(data));
