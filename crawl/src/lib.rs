//! What a crawl keeps on disk: which keys are stored and with what content, what failed and why,
//! and the lines that items are read from and written to.

mod journal;

pub use journal::{
    ActivityState, Change, Digest, Intent, Journal, JournalError, JournalErrorKind, Record, Run,
    Scope, State,
};
