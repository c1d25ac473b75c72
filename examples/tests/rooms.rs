//! The unit tests that stand in the rooms of the programs.
//!
//! For one run of its tests, cargo builds an example or the tests in it, not both, and
//! `tests/crates.rs` needs the program. So the rooms with tests are compiled here once more.

#![allow(dead_code, reason = "only the program uses everything")]

#[path = "../crates/compare.rs"]
mod compare;
#[path = "../crates/connection.rs"]
mod connection;
#[path = "../crates/item.rs"]
mod item;
#[path = "../crates/left.rs"]
mod left;
#[path = "../crates/readme.rs"]
mod readme;
#[path = "../crates/recording.rs"]
mod recording;
#[path = "../crates/run.rs"]
mod run;
#[path = "../crates/source.rs"]
mod source;
#[path = "../crates/traffic.rs"]
mod traffic;
