//! The unit tests that stand in the rooms of `files`, compiled here once more, as `rooms` does for
//! `crates`.

#![allow(dead_code, reason = "only the program uses everything")]

#[path = "../files/end.rs"]
mod end;
#[path = "../files/letters.rs"]
mod letters;
