//! Why a journal could not be opened, read or written.

use std::{borrow::Cow, fmt, io, path::PathBuf};

/// A journal could not be opened, read or written. It says which file, what is wrong, and what
/// to do about it.
#[derive(Debug)]
#[non_exhaustive]
pub struct JournalError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub kind: JournalErrorKind,
}

/// What is wrong with a journal.
#[derive(Debug)]
#[non_exhaustive]
pub enum JournalErrorKind {
    /// The system refused to open, read or write it. What was on disk by the last sync still is.
    Io(io::Error),
    /// It could not be written earlier, so it takes nothing more until it is opened again.
    WriteFailed,
    /// Another process has it open, or this one has it open twice.
    InUse,
    /// The file is something else.
    Foreign,
    /// It is the journal of another scope, this one.
    OtherScope(Box<str>),
    /// A later version of this crate has written it, in this format.
    Newer(u32),
    /// It is not what was written.
    Damaged(Cow<'static, str>),
    /// A key has so many bytes, more than [`Journal::LONGEST_KEY`](super::Journal::LONGEST_KEY).
    KeyTooLong(usize),
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the journal {}", self.path.display())?;
        match &self.kind {
            JournalErrorKind::Io(why) => {
                let fix =
                    "check folder, rights and free space, then run again: nothing synced is lost";
                write!(f, " could not be read or written: {why}; {fix}")
            }
            JournalErrorKind::WriteFailed => f.write_str(
                " could not be written earlier; run again, it goes on from the last sync",
            ),
            JournalErrorKind::InUse => f.write_str(
                " is in use by another process; wait until that has ended, or name another file",
            ),
            JournalErrorKind::Foreign => {
                f.write_str(": the file is not a journal, and was left as it is; name another file")
            }
            JournalErrorKind::OtherScope(found) => {
                write!(f, " belongs to {found}; name another file for this connection")
            }
            JournalErrorKind::Newer(format) => write!(
                f,
                " has format {format}, which this version does not know; update the program"
            ),
            JournalErrorKind::Damaged(what) => write!(
                f,
                " is damaged: {what}; restore a copy, or move the file away, \
                 and everything is sent again, activities included"
            ),
            JournalErrorKind::KeyTooLong(bytes) => write!(
                f,
                " cannot hold a key of {bytes} bytes; keys have at most {}",
                super::Journal::LONGEST_KEY
            ),
        }
    }
}

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            JournalErrorKind::Io(why) => Some(why),
            _ => None,
        }
    }
}

impl JournalErrorKind {
    pub(super) fn at(self, path: impl Into<PathBuf>) -> JournalError {
        JournalError { path: path.into(), kind: self }
    }
}

impl From<io::Error> for JournalErrorKind {
    fn from(why: io::Error) -> Self {
        Self::Io(why)
    }
}

/// What the store says, in words of a journal.
macro_rules! from_store {
    ($($Error:ident),*) => {
        $(impl From<redb::$Error> for JournalErrorKind {
            fn from(why: redb::$Error) -> Self {
                Self::from(redb::Error::from(why))
            }
        })*
    };
}

from_store!(DatabaseError, TransactionError, TableError, StorageError, CommitError);

impl From<redb::Error> for JournalErrorKind {
    fn from(why: redb::Error) -> Self {
        match why {
            redb::Error::Io(why) if why.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Damaged("it ends too early".into())
            }
            redb::Error::Io(why) => Self::Io(why),
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => Self::WriteFailed,
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::RepairAborted => Self::Damaged("a page is not what was written".into()),
            other => Self::Damaged(other.to_string().into()),
        }
    }
}
