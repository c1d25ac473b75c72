//! One run of a crawl, whatever drives it: the source's entries become offers of a bulk run, and
//! its outcomes become records of the journal.
//!
//! Lives here: the [`Pass`], what it knows, and its beginning and end. What it offers is in `offers`,
//! what is on record before that goes out in `intents`, what it makes of outcomes in `outcomes`; how
//! dead letters are sent once more is in `replay`.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use graphfeed_core::{
    machine::{Ending, Outcome, Summary},
    types::ItemId,
};

use super::{
    Crawl, CrawlError, Entry, Job, Report, Sweep, Written, at_hand::AtHand, job::What, plan::Ahead,
};
use crate::{Change, DeadLetter, Digest};

mod intents;
mod offers;
mod outcomes;
mod replay;

pub use offers::{Offers, Unseen};
pub use replay::Replayed;

/// One run of a [`Crawl`]: between its source and an [`Ingest`](graphfeed_core::machine::Ingest),
/// whatever drives that. [`CrawlRun`](super::CrawlRun) does so with a blocking client.
///
/// [`offers`](Self::offers) is the source of the bulk run, and [`hear`](Self::hear) wants each of
/// its outcomes. After it, [`unseen`](Self::unseen) is the source of a second one that deletes
/// what has to go, and [`finish`](Self::finish) ends the run. Offers may be read on another thread
/// than outcomes are heard on.
#[derive(Debug)]
pub struct Pass<'a> {
    crawl: &'a Crawl,
    run: u64,
    // How many keys were known when it began.
    known: u64,
    state: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    report: Report,
    next: u64,
    // How many keys of which the source has something were known, and never stored.
    never_stored: u64,
    // The entries of which not everything is told.
    open: BTreeMap<u64, Open>,
    // By the entry that comes after it.
    watermarks: VecDeque<(u64, Vec<u8>)>,
    // Items that are about to be put or deleted, by key: what the journal knows of these is old.
    on_its_way: HashMap<Arc<str>, OnItsWay>,
    // The first entry of which something was not sent, and no watermark passes that.
    unsent: Option<u64>,
    // All that the source has was seen.
    whole: bool,
    unreadable: bool,
    broken: Option<CrawlError>,
    now: Duration,
}

#[derive(Debug)]
struct Open {
    left: usize,
    failed: bool,
    unsent: bool,
}

/// Calls about one item that are about to be made.
#[derive(Debug, Default)]
struct OnItsWay {
    // With the entry that each is a part of. Only the first of them may be out.
    coming: VecDeque<(u64, Coming)>,
    // For each delete among them, the activities that come after it, with what an intent keeps of
    // each. Their intents are recorded when it is done, for it takes all activities with it.
    behind: VecDeque<HashMap<Digest, Vec<u8>>>,
}

impl OnItsWay {
    fn ahead(&self) -> Ahead {
        let anew = self.behind.back().map(|behind| behind.keys().copied().collect());
        let item = self.coming.back().and_then(|(_, last)| last.item());
        Ahead { item: item.cloned(), anew }
    }
}

/// What a call does with an item.
#[derive(Clone, Debug)]
enum Coming {
    Put(ItemId),
    Delete,
    /// The item is left as it is.
    Nothing(ItemId),
}

impl Coming {
    /// None where it is only about activities.
    fn of(what: &What) -> Option<Self> {
        match what {
            What::Put { id, .. } => Some(Self::Put(id.clone())),
            What::Delete { .. } => Some(Self::Delete),
            What::Nothing { id, .. } => Some(Self::Nothing(id.clone())),
            What::Add { .. } => None,
        }
    }

    fn is(&self, what: &What) -> bool {
        matches!(
            (self, what),
            (Self::Put(_), What::Put { .. })
                | (Self::Delete, What::Delete { .. })
                | (Self::Nothing(_), What::Nothing { .. })
        )
    }

    /// What is there afterwards.
    fn item(&self) -> Option<&ItemId> {
        match self {
            Self::Put(id) | Self::Nothing(id) => Some(id),
            Self::Delete => None,
        }
    }
}

/// What became of one call, as far as its entry cares.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Done,
    Failed,
    Unsent,
}

impl Crawl {
    /// Starts a run. What an earlier run had on its way and never told is settled first.
    ///
    /// # Errors
    /// When journal or dead letters cannot be read or written.
    pub fn begin(&self) -> Result<Pass<'_>, CrawlError> {
        let run = self.journal.begin_run()?;
        let progress = Progress {
            report: Report::new(run),
            next: 0,
            never_stored: 0,
            open: BTreeMap::new(),
            watermarks: VecDeque::new(),
            on_its_way: HashMap::new(),
            unsent: None,
            whole: false,
            unreadable: false,
            broken: None,
            now: Duration::ZERO,
        };
        let known = self.journal.len()?;
        let pass = Pass { crawl: self, run, known, state: Mutex::new(progress) };
        pass.settle_intents()?;
        Ok(pass)
    }

    fn end_run(&self, report: &Report, now: Duration) -> Result<(), CrawlError> {
        let whole = matches!(report.sweep, Sweep::Done | Sweep::Partly { .. } | Sweep::Off);
        if whole && report.ending == Ending::Complete {
            self.journal.apply(Change::RunComplete, now)?;
        }
        self.letters().sync()?;
        Ok(self.journal.sync()?)
    }
}

impl<'a> Pass<'a> {
    /// The source as offers of a bulk run. What is in the service already gives none.
    ///
    /// That an item may be there is on disk when its offer is given, at the cost of a write each
    /// time; [`CrawlRun::run`](super::CrawlRun::run) has one for many. So `next()` blocks for as long
    /// as the disk takes, also in an async task.
    pub fn offers<S: IntoIterator<Item = Entry>>(&self, source: S) -> Offers<'_, S::IntoIter> {
        Offers::new(self, source.into_iter(), |_| None)
    }

    /// The same, with one write for all that is at hand.
    pub(super) fn offers_at_hand<'s>(
        &self,
        source: AtHand<'s, Entry>,
    ) -> Offers<'_, AtHand<'s, Entry>> {
        Offers::new(self, source, AtHand::get)
    }

    /// Takes note of an outcome, before the bulk run is polled again: what goes out next about its
    /// key is on record then. It blocks for as long as the disk takes.
    ///
    /// # Errors
    /// When journal or dead letters cannot be written. The run has to be stopped then, for nothing
    /// more is on record.
    pub fn hear(&self, job: &Job, outcome: &Outcome<Written>) -> Result<(), CrawlError> {
        self.state().now = outcome.done.since_origin();
        let fate = match &job.what {
            What::Put { id, hash } => self.heard_put(job, id, *hash, outcome),
            What::Add { activities } => self.heard_add(job, activities, outcome),
            What::Delete { id } => self.heard_delete(job, id, outcome),
            What::Nothing { id, .. } => self.heard_nothing(job, id, outcome),
        }?;
        match job.entry {
            Some(entry) => {
                self.arrived(job, fate)?;
                self.told(entry, fate)
            }
            None => Ok(()),
        }
    }

    /// Puts on disk what is due, where nothing else happens.
    ///
    /// # Errors
    /// As [`hear`](Self::hear).
    pub fn sync(&self) -> Result<(), CrawlError> {
        Ok(self.crawl.journal.sync()?)
    }

    /// What was counted so far.
    pub fn report(&self) -> Report {
        self.state().report.clone()
    }

    /// Whether the run cannot go on, because of the source's side.
    pub fn is_broken(&self) -> bool {
        self.state().broken.is_some()
    }

    /// After the bulk run: offers that delete what the source no longer has, as far as that is to
    /// be done. What is not done is told by the [report](Report::sweep).
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn unseen(&self, summary: &Summary) -> Result<Unseen<'_>, CrawlError> {
        let settings = &self.crawl.settings;
        let mut state = self.state();
        let complete = summary.ending == Ending::Complete
            && state.whole
            && !state.unreadable
            && state.unsent.is_none()
            && state.broken.is_none();
        state.report.ending = summary.ending;
        state.report.throttled_for += summary.progress.throttled_for;
        if complete && !settings.sweep {
            state.report.sweep = Sweep::Off;
        }
        drop(state);
        let mut over = true;
        if complete && settings.sweep {
            let (unseen, of_nothing) = self.crawl.count_unseen(self.run, |_| false)?;
            let never_stored = of_nothing + self.state().never_stored;
            let brake = self.crawl.brake(unseen, self.known.saturating_sub(never_stored));
            over = brake.is_some();
            self.state().report.sweep = brake.unwrap_or(Sweep::of(unseen));
        }
        Ok(Unseen::new(self, over))
    }

    /// Ends the run: everything is on disk then.
    ///
    /// # Errors
    /// What the run could not go on for, and when journal or dead letters cannot be written.
    pub fn finish(self, swept: Option<&Summary>) -> Result<Report, CrawlError> {
        let (report, ended) = self.end(swept);
        ended.map(|()| report)
    }

    /// As [`finish`](Self::finish), with what was counted also where the run could not go on.
    pub(super) fn end(self, swept: Option<&Summary>) -> (Report, Result<(), CrawlError>) {
        let crawl = self.crawl;
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(swept) = swept {
            state.report.throttled_for += swept.progress.throttled_for;
            // Where the run itself ended early, there was nothing to delete.
            if state.report.ending == Ending::Complete {
                state.report.ending = swept.ending;
            }
        }
        // Of these some calls were never read, or never told.
        for Open { failed, .. } in state.open.into_values() {
            *if failed { &mut state.report.failed } else { &mut state.report.skipped } += 1;
        }
        let mut report = state.report;
        let ended = match state.broken {
            Some(why) => Err(why),
            None => crawl.end_run(&report, state.now),
        };
        if ended.is_err() && report.ending == Ending::Complete {
            report.ending = Ending::Stopped;
        }
        (report, ended)
    }

    fn state(&self) -> MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, change: Change<'_>) -> Result<(), CrawlError> {
        let now = self.state().now;
        Ok(self.crawl.journal.apply(change, now)?)
    }

    /// A letter is on disk before anything is on record that says so.
    fn write_letters(
        &self,
        letters: impl IntoIterator<Item = DeadLetter>,
    ) -> Result<(), CrawlError> {
        let mut file = self.crawl.letters();
        for mut letter in letters {
            letter.run.get_or_insert(self.run);
            file.push(&letter)?;
        }
        Ok(file.sync()?)
    }
}
