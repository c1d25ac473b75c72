//! Why a crawl could not go on.

use std::{fmt, io};

use crate::{JournalError, JournalErrorKind};

/// A crawl could not go on, because what it keeps on disk could not be read or written, or because
/// its client goes elsewhere. What happened up to then is on disk as far as it was synced, and the
/// next run goes on from there.
#[derive(Debug)]
#[non_exhaustive]
pub enum CrawlError {
    /// The journal.
    Journal(JournalError),
    /// The dead letters.
    DeadLetters(io::Error),
    /// The client has another root than the crawl; nothing was begun.
    #[non_exhaustive]
    OtherRoot {
        /// That of the client.
        client: Box<str>,
        /// That of the crawl.
        crawl: Box<str>,
    },
}

impl CrawlError {
    /// Whether it only says that an earlier write failed. Of two threads the one whose write it was
    /// may be the later one to tell.
    pub(super) fn follows_from_another(&self) -> bool {
        match self {
            Self::Journal(why) => matches!(why.kind, JournalErrorKind::WriteFailed),
            // What the system says has a number.
            Self::DeadLetters(why) => why.raw_os_error().is_none(),
            Self::OtherRoot { .. } => false,
        }
    }
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
            Self::OtherRoot { client, crawl } => write!(
                f,
                "the client goes to {client}, and the crawl to {crawl}; make both for one root"
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
