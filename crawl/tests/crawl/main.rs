//! What is promised of a crawl, over a blocking client into the emulator, in virtual time.

mod activities;
mod failures;
mod interruptions;
mod items;
mod lines;
mod replays;
mod sweeps;
mod watermarks;
mod world;
