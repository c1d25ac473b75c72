//! See [`graphfeed_fuzz::answers`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| graphfeed_fuzz::answers::run(data));
