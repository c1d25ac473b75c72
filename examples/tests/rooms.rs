//! The unit tests that stand in the rooms of the programs.
//!
//! For one run of its tests, cargo builds an example or the tests in it, not both, and
//! `tests/crates.rs` needs the program. So the rooms with tests are compiled here once more.

#![allow(dead_code, reason = "only the program uses everything")]

#[path = "../crates/compare.rs"]
mod compare;
#[path = "../crates/item.rs"]
mod item;
#[path = "../crates/progress.rs"]
mod progress;
#[path = "../crates/readme.rs"]
mod readme;
#[path = "../crates/run.rs"]
mod run;
#[path = "../crates/source.rs"]
mod source;
