//! See [`graphfeed_fuzz::exchange`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| graphfeed_fuzz::exchange::run(data));
