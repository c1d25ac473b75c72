//! See [`graphfeed_fuzz::tasks`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| graphfeed_fuzz::tasks::run(data));
