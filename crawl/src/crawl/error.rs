//! Why a crawl could not go on.

use std::{fmt, io};

use crate::JournalError;

/// A crawl could not go on, because what it keeps on disk could not be read or written. What
/// happened up to then is on disk as far as it was synced, and the next run goes on from there.
#[derive(Debug)]
#[non_exhaustive]
pub enum CrawlError {
    /// The journal.
    Journal(JournalError),
    /// The dead letters.
    DeadLetters(io::Error),
}

impl fmt::Display for CrawlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(why) => why.fmt(f),
            Self::DeadLetters(why) => write!(
                f,
                "the dead letters could not be written: {why}; check rights and free space, then \
                 run again: nothing that failed counts as done"
            ),
        }
    }
}

// No `source`: the text tells it.
impl std::error::Error for CrawlError {}

impl From<JournalError> for CrawlError {
    fn from(why: JournalError) -> Self {
        Self::Journal(why)
    }
}

impl From<io::Error> for CrawlError {
    fn from(why: io::Error) -> Self {
        Self::DeadLetters(why)
    }
}
