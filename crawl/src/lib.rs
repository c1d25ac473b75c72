//! What a crawl keeps on disk, and the crawl itself: what a source has, put into a connection of
//! Microsoft Graph, run after run, so that nothing is lost and nothing is sent twice for nothing.
//!
//! The calls are those of `graphfeed-core`, and go over any client of it; this crate adds the disk.
//!
//! | room | what lives there |
//! | --- | --- |
//! | [`Crawl`] | what a source has, compared with what is on record: what to send, what to delete, what to tell |
//! | [`Journal`] | what is in the service, as far as is known, and what was on its way there |
//! | [`DeadLetters`] | what failed and why, one a line, to be read by people and [made again](DeadLetter::call) |
//! | [`ItemLines`] | items read from lines of JSON, each fault with its line and place; [`write_item`] writes them |
//!
//! A run goes from its source's [`Entry`]s over [`Offers`] to the calls of a bulk run, and from its
//! outcomes back to journal and dead letters:
//!
//! ```text
//! source ─▶ Entry ─▶ unchanged? ──yes──▶ seen, on record
//!                        │ no
//!                        ▼
//!                 intent on disk
//!                        │
//!                        ▼
//!                  Client::ingest ──▶ Outcome ──▶ failed? ── yes ──▶ dead letter, on disk
//!                                                    │ no                  │
//!                                                    ▼                     ▼
//!                                                 journal: stored, failed, uncertain
//! ```
//!
//! With a blocking client that is [`Crawl::over`]; whatever else drives an
//! [`Ingest`](graphfeed_core::machine::Ingest) takes the parts from [`Crawl::begin`].

mod crawl;
mod dead_letter;
mod dead_letter_file;
mod journal;
mod lines;
mod ndjson;

pub use crawl::{
    Complaint, Crawl, CrawlError, CrawlNews, CrawlRun, CrawlSettings, Entry, Job, Offers, Pass,
    Replayed, Report, Sweep, Unseen, Written,
};
pub use dead_letter::{DeadLetter, InnerCause, KeptRequest};
pub use dead_letter_file::{DeadLetterLines, DeadLetters};
pub use journal::{
    ActivityState, Change, Digest, Intent, Journal, JournalError, JournalErrorKind, Record, Run,
    Scope, State,
};
pub use ndjson::{
    ItemLine, ItemLines, LineError, LongContent, NdjsonSettings, RefusedLine, write_item,
};
