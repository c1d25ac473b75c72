//! See [`graphfeed_fuzz::emulator::run_saved`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| graphfeed_fuzz::emulator::run_saved(data));
