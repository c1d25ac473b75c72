//! What a crawl keeps on disk: which keys are stored and with what content, what failed and why,
//! and the lines that items are read from and written to.

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
