//! A crawl: what a source has, put into a connection, with a journal of what is there.
//!
//! Lives here: what a crawl is made of ([`Crawl`]) and what it may do ([`CrawlSettings`]). One run
//! of it, from the source's entries to calls and from outcomes to the journal, is in `pass`; over a
//! client it goes in `over`.

use graphfeed_core::{
    external::{Duplicates, Schema},
    machine::{AfterFailure, IngestSettings},
    protocol::ServiceRoot,
    types::{ConnectionId, Timestamp},
};

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use crate::{DeadLetters, Digest, Journal, JournalError, JournalErrorKind, Scope};

mod at_hand;
mod check;
mod entry;
mod error;
mod job;
mod over;
mod pass;
mod plan;
mod report;

pub use check::Complaint;
pub use entry::Entry;
pub use error::CrawlError;
pub use job::{Job, Written};
pub use over::{CrawlNews, CrawlRun};
pub use pass::{Offers, Pass, Replayed, Unseen};
pub use report::{Report, Sweep};

/// What a crawl may do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CrawlSettings {
    /// How the bulk run goes about it. What follows a failure of a key is always skipped, with a
    /// dead letter; not so behind activities of which some are refused.
    pub ingest: IngestSettings,
    /// The schema of the connection. Items that it does not fit are refused, and when it changes
    /// all are put again.
    pub schema: Option<Schema>,
    /// Whether an activity may be there twice: what is done when it is not known whether one was
    /// added. [`Duplicates::Never`] by default: it gets a dead letter instead.
    pub duplicates: Duplicates,
    /// Whether what the source no longer has is deleted, after a run that saw it whole. By default
    /// it is; not for a source that gives only what has changed.
    pub sweep: bool,
    /// The greatest share of all items that is deleted so: 0.1 by default. If it were more, none
    /// is.
    pub most_swept: f64,
}

impl Default for CrawlSettings {
    fn default() -> Self {
        let mut ingest = IngestSettings::default();
        ingest.after_failure = AfterFailure::SkipUnlessPartly;
        Self { ingest, schema: None, duplicates: Duplicates::Never, sweep: true, most_swept: 0.1 }
    }
}

/// What a source has, put into a connection, with a journal of what is there.
///
/// A run gives every [`Entry`] of the source to a bulk run, except what is in the service already.
/// Whatever ends it, a crash too, the next run with the same journal goes on where this one was:
/// what is stored is not sent again, and nothing is passed over. Every failure has a dead letter
/// that is on disk before the journal takes note. An activity is on record before it goes out; one
/// that may have gone out when a run ended is not sent again unless
/// [duplicates](CrawlSettings::duplicates) are allowed, and has a dead letter.
///
/// What is about to be put or deleted is on record as uncertain before, one write for all that the
/// source has at hand. So it is sent again even where the source has again what it had, and deleted
/// where the source no longer has it.
///
/// After a run that saw all that the source has, what only the journal has is deleted, unless that
/// is [too much](CrawlSettings::most_swept).
///
/// ```
/// use graphfeed_core::client::{Client, SendOptions, VirtualClock};
/// use graphfeed_core::external::{Acl, ExternalItem};
/// use graphfeed_core::protocol::ServiceRoot;
/// use graphfeed_core::types::{AccessToken, ConnectionId, Guid, ItemId};
/// use graphfeed_crawl::{Crawl, CrawlSettings, DeadLetters, Entry, Journal, Scope};
/// # use std::time::Instant;
/// # struct RealClock(Instant);
/// # impl graphfeed_core::client::Clock for RealClock {
/// #     fn now(&self) -> graphfeed_core::machine::Tick {
/// #         graphfeed_core::machine::Tick::new(self.0.elapsed())
/// #     }
/// # }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let clock = RealClock(Instant::now());
/// # let transport = |_: http::Request<bytes::Bytes>, _: &SendOptions| {
/// #     Ok(http::Response::new(bytes::Bytes::new()))
/// # };
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let (root, connection) = (ServiceRoot::v1(), ConnectionId::new("contosohr")?);
/// let client = Client::builder(root.clone(), AccessToken::new("token")?).build(transport, clock);
///
/// let journal = Journal::open(folder.join("wiki.journal"), &Scope::new(&root, &connection))?;
/// let letters = DeadLetters::open(folder.join("wiki.dead.ndjson"))?;
/// let crawl = Crawl::new(root, connection, journal, letters, CrawlSettings::default())?;
///
/// let pages = || ["a/b", "a-b", "50%"].map(|key| {
///     let item = ExternalItem::builder(ItemId::from_key(key))
///         .acl(Acl::everyone(Guid::from(7)))
///         .property("title", key)
///         .build();
///     match item {
///         Ok(item) => Entry::item(key, item),
///         Err(why) => Entry::refused(key, why),
///     }
/// });
/// let report = crawl.over(&client).run(pages(), |_| {})?;
/// assert_eq!((report.seen, report.ok, report.failed), (3, 3, 0));
/// let report = crawl.over(&client).run(pages(), |_| {})?;
/// assert_eq!((report.seen, report.unchanged), (3, 3), "nothing was sent");
/// # Ok(())
/// # }
/// ```
pub struct Crawl {
    root: ServiceRoot,
    connection: ConnectionId,
    journal: Journal,
    letters: Mutex<DeadLetters>,
    settings: CrawlSettings,
    // What all items are hashed with: when it changes, all are put again.
    version: Vec<u8>,
    wall_clock: fn() -> Timestamp,
}

impl Crawl {
    /// A crawl into `connection` under `root`, which are those of the journal's scope.
    ///
    /// # Errors
    /// [`JournalErrorKind::OtherScope`] when they are not.
    pub fn new(
        root: ServiceRoot,
        connection: ConnectionId,
        journal: Journal,
        letters: DeadLetters,
        mut settings: CrawlSettings,
    ) -> Result<Self, JournalError> {
        if *journal.scope() != Scope::new(&root, &connection) {
            let kind = JournalErrorKind::OtherScope(journal.scope().as_str().into());
            return Err(JournalError { path: journal.path().into(), kind });
        }
        settings.ingest.after_failure = AfterFailure::SkipUnlessPartly;
        let version = settings.schema.as_ref().map(serde_json::to_vec);
        let version = version.and_then(Result::ok).unwrap_or_default();
        let letters = Mutex::new(letters);
        Ok(Self { root, connection, journal, letters, settings, version, wall_clock: now })
    }

    /// What it may do, and how a driver of its [runs](Pass) makes the calls.
    pub fn settings(&self) -> &CrawlSettings {
        &self.settings
    }

    /// What it knows.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    fn hash(&self, body: &[u8]) -> Digest {
        Digest::of([&*self.version, body])
    }

    fn letters(&self) -> MutexGuard<'_, DeadLetters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By the clock on the wall, which may be wrong by more than a dead letter cares.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).ok();
    seconds
        .and_then(|seconds| Timestamp::from_unix_seconds(seconds).ok())
        .unwrap_or_else(|| Timestamp::from_unix_seconds(0).expect("1970 was a year"))
}

impl fmt::Debug for Crawl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crawl")
            .field("root", &self.root.to_string())
            .field("connection", &self.connection)
            .field("journal", &self.journal)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
