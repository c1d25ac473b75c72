//! How the program ends: with which status, and with what it has to say of that.

use std::{fmt, io, path::Path};

use graphfeed_core::{
    machine::Ending,
    protocol::{self, Cause},
    types::BuildError,
};
use graphfeed_crawl::{CrawlError, JournalError, JournalErrorKind, Report, Sweep};
use graphfeed_examples::interrupt::INTERRUPTED;

/// What a program's exit status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// All is stored.
    Stored,
    /// It could not go on.
    Failure,
    /// What it was given, or found on disk, is no good.
    Invalid,
    /// Some of it is not stored.
    Partly,
    /// A permission is missing.
    NotPermitted,
    /// Too much would have been deleted.
    Brake,
    /// By Ctrl-C.
    Interrupted,
}

impl Status {
    /// As a number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Stored => 0,
            Self::Failure => 1,
            Self::Invalid => 2,
            Self::Partly => 3,
            Self::NotPermitted => 4,
            Self::Brake => 6,
            Self::Interrupted => INTERRUPTED,
        }
    }

    /// Of a crawl that came to its end.
    pub(crate) fn of(report: &Report) -> Self {
        if report.ending == Ending::Stopped {
            Self::Interrupted
        } else if report.not_permitted > 0 {
            Self::NotPermitted
        } else if matches!(report.sweep, Sweep::Brake { .. }) {
            Self::Brake
        } else if report.failed + report.not_deleted + report.activities.unknown > 0
            || report.ending != Ending::Complete
        {
            Self::Partly
        } else {
            Self::Stored
        }
    }
}

/// Why the program ends before it has done what it was to do.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) status: Status,
    pub(crate) why: String,
    /// Whether dead letters have to wait for a crawl.
    pub(crate) crawl_first: bool,
}

impl Stop {
    pub(crate) fn new(status: Status, why: impl fmt::Display) -> Self {
        Self { status, why: why.to_string(), crawl_first: false }
    }

    pub(crate) fn invalid(why: impl fmt::Display) -> Self {
        Self::new(Status::Invalid, why)
    }

    pub(crate) fn failure(why: impl fmt::Display) -> Self {
        Self::new(Status::Failure, why)
    }

    /// Of letters that cannot be sent again before there was a crawl.
    pub(crate) fn crawl_first(why: impl fmt::Display) -> Self {
        Self { crawl_first: true, ..Self::invalid(why) }
    }

    /// Of a file that this program keeps.
    pub(crate) fn in_file(file: &Path, why: &io::Error) -> Self {
        Self::failure(format_args!("{}: {why}; check rights and free space", file.display()))
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(Status::Interrupted, "interrupted")
    }
}

impl From<JournalError> for Stop {
    fn from(why: JournalError) -> Self {
        match why.kind {
            JournalErrorKind::Io(_) | JournalErrorKind::WriteFailed => Self::failure(why),
            _ => Self::invalid(why),
        }
    }
}

impl From<CrawlError> for Stop {
    fn from(why: CrawlError) -> Self {
        match why {
            CrawlError::Journal(why) => why.into(),
            other => Self::failure(other),
        }
    }
}

/// Of the connection and its schema.
impl From<protocol::Error> for Stop {
    fn from(why: protocol::Error) -> Self {
        let status = match (why.cause(), why.status().map(|status| status.as_u16())) {
            (Cause::Token(_), _) | (_, Some(401 | 403)) => Status::NotPermitted,
            (Cause::Build(_) | Cause::Conflict(_) | Cause::OperationFailed(_), _)
            | (_, Some(400..=428)) => Status::Invalid,
            _ => Status::Failure,
        };
        Self::new(status, why)
    }
}

impl From<BuildError> for Stop {
    fn from(why: BuildError) -> Self {
        Self::invalid(why)
    }
}
