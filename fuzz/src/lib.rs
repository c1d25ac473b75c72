//! What is fuzzed: one room for each target, and what they have in common.
//!
//! | room | what lives there |
//! | --- | --- |
//! | [`answers`], [`errors`], [`batch`], [`retry_after`] | what comes back, read as it is read after a call |
//! | [`ids`], [`pages`] | ids, keys and addresses, and where a token may go |
//! | [`properties`], [`items`], [`lines`] | items from values to JSON and from JSON to values, alone and in files |
//! | [`emulator`] | raw requests to the emulator, and raw bytes in the place of what it has saved |
//! | [`exchange`], [`batches`], [`ingest`], [`tasks`], [`tokens`], [`sign_in`] | the machines, each as a sequence of operations |
//! | [`crawl`] | crawls over one journal, some of which die |
//! | `drive`, `wire`, `calls` | machines side by side in virtual time, the bad line before the service, and what is true of a call |
//! | `tenant`, `json` | an emulator in process, JSON as plain values |

#![forbid(unsafe_code)]

pub mod answers;
pub mod batch;
pub mod batches;
mod calls;
pub mod crawl;
mod drive;
pub mod emulator;
pub mod errors;
pub mod exchange;
pub mod ids;
pub mod ingest;
pub mod items;
mod json;
pub mod lines;
pub mod pages;
pub mod properties;
pub mod retry_after;
pub mod sign_in;
pub mod tasks;
mod tenant;
pub mod tokens;
mod wire;
