//! What a crawl came to: plain data.

use std::{fmt, time::Duration};

use graphfeed_core::{external::ActivityCounts, machine::Ending};

/// What a crawl came to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The run's number in the journal.
    pub run: u64,
    /// How many things the source had: `ok + failed + skipped`.
    pub seen: u64,
    /// How many of them the service has taken, whole, with their activities, or deleted where the
    /// source said so.
    pub ok: u64,
    /// How many failed, or some of their activities did. Each has a dead letter.
    pub failed: u64,
    /// How many were not sent, because they were not changed or overtaken, or the run was ended.
    pub skipped: u64,
    /// How many of those skipped were not changed; of dead letters, how many are done by now.
    pub unchanged: u64,
    /// How many of those skipped were dead letters that something newer is known than: the item is
    /// gone, or stored again after it was to be deleted, or it has failed again since.
    pub overtaken: u64,
    /// How many items were deleted, because the source said so or no longer had them.
    pub deleted: u64,
    /// How many items could not be deleted at the end. Each has a dead letter.
    pub not_deleted: u64,
    /// What became of the activities that were sent.
    pub activities: ActivityCounts,
    /// How many of the failures were for want of a token or a permission.
    pub not_permitted: u64,
    /// For how long the service held calls back.
    pub throttled_for: Duration,
    /// How the run ended.
    pub ending: Ending,
    /// What became of what the source no longer has.
    pub sweep: Sweep,
}

impl Report {
    /// Of a run of which nothing is counted yet.
    pub(super) fn new(run: u64) -> Self {
        Self {
            run,
            seen: 0,
            ok: 0,
            failed: 0,
            skipped: 0,
            unchanged: 0,
            overtaken: 0,
            deleted: 0,
            not_deleted: 0,
            activities: ActivityCounts::default(),
            not_permitted: 0,
            throttled_for: Duration::ZERO,
            ending: Ending::Complete,
            sweep: Sweep::NotComplete,
        }
    }
}

/// What became of items that the source no longer has.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Sweep {
    /// They were deleted, as far as there were any.
    Done,
    /// Not all of them were deleted, because some could not be, or the run was ended before.
    Partly {
        /// How many are left.
        left: u64,
    },
    /// That was not wanted.
    Off,
    /// The source was not seen whole, so it is not known what it no longer has.
    NotComplete,
    /// They were too many, and none was deleted.
    Brake {
        /// How many the source no longer has.
        unseen: u64,
        /// How many there are in all.
        known: u64,
    },
    /// It was only looked at: so many would have been deleted.
    WouldDelete(u64),
}

impl Sweep {
    /// So many are to be deleted.
    pub(super) fn of(left: u64) -> Self {
        if left == 0 { Self::Done } else { Self::Partly { left } }
    }

    /// So many fewer are left.
    pub(super) fn has_gone_on(&mut self, by: u64) {
        if let Self::Partly { left } = *self {
            *self = Self::of(left.saturating_sub(by));
        }
    }
}

impl fmt::Display for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("what the source no longer has is deleted"),
            Self::Partly { left } => write!(
                f,
                "{left} items that the source no longer has are not deleted, or it is not known \
                 whether they are; look at their dead letters, if there are any, then run again"
            ),
            Self::Off => f.write_str("what the source no longer has was left where it is"),
            Self::NotComplete => f.write_str(
                "the source was not seen whole, so nothing was deleted that it no longer has",
            ),
            Self::Brake { unseen, known } => write!(
                f,
                "the source no longer has {unseen} of {known} items, and none was deleted, for \
                 that is more than is allowed; look whether the source is whole, then allow more"
            ),
            Self::WouldDelete(count) => write!(f, "{count} would be deleted"),
        }
    }
}

/// The counts, in one line that does not change with what they are.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seen, ok, failed, skipped, deleted, throttled_for, .. } = self;
        let seconds = throttled_for.as_secs_f64();
        write!(
            f,
            "seen {seen}, ok {ok}, failed {failed}, skipped {skipped}, deleted {deleted}, \
             throttled {seconds:.1} s"
        )
    }
}
