//! One run of a crawl, whatever drives it: the source's entries become offers of a bulk run, and
//! its outcomes become records of the journal.
//!
//! Lives here: the [`Pass`], what it knows, and its beginning and end. What it offers is in `offers`,
//! what it makes of outcomes in `outcomes`; how dead letters are sent once more is in `replay`.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use graphfeed_core::{
    external::{ActivityCounts, AddActivities, Duplicates},
    machine::{Ending, Outcome, Summary},
    protocol::{Applied, Call, Endpoint},
    types::{BuildError, Fault, ItemId, Rule},
};

use super::{
    Crawl, CrawlError, Entry, Job, Report, Sweep, Written,
    job::What,
    plan::{Ahead, kept},
};
use crate::{Change, DeadLetter, Digest, Intent};

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
    calls: usize,
    // What is there after the last of them; none where that deletes it.
    item: Option<ItemId>,
    // For each delete among them, the activities that come after it, with what an intent keeps of
    // each. Their intents are recorded when it is done, for it takes all activities with it.
    behind: VecDeque<HashMap<Digest, Vec<u8>>>,
}

impl OnItsWay {
    fn ahead(&self) -> Ahead {
        let anew = self.behind.back().map(|behind| behind.keys().copied().collect());
        Ahead { item: self.item.clone(), anew }
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
        let report = Report {
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
        };
        let progress = Progress {
            report,
            next: 0,
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
    pub fn offers<S: IntoIterator<Item = Entry>>(&self, source: S) -> Offers<'_, S::IntoIter> {
        Offers::new(self, source.into_iter())
    }

    /// Takes note of an outcome.
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
                self.arrived(job, fate);
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
            let brake = self.crawl.brake(unseen, self.known.saturating_sub(of_nothing));
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

    /// What may have been sent when an earlier run ended.
    fn settle_intents(&self) -> Result<(), CrawlError> {
        let intents = self.crawl.journal.intents()?;
        let item = |intent: &Intent| kept(&intent.kept).map(|(id, _)| id);
        let are_together =
            |one: &Intent, other: &Intent| one.key == other.key && item(one) == item(other);
        for of_key in intents.chunk_by(are_together) {
            let key = &*of_key[0].key;
            let never = self.crawl.settings.duplicates == Duplicates::Never;
            if never {
                self.write_letters(self.letters_of_intents(key, of_key))?;
                self.state().report.activities.unknown += of_key.len() as u64;
            }
            for Intent { activity, .. } in of_key {
                let activity = *activity;
                self.apply(match never {
                    true => Change::MaybeAdded { key, activity },
                    false => Change::NotAdded { key, activity },
                })?;
            }
        }
        Ok(self.crawl.journal.sync()?)
    }

    /// All of one item.
    fn letters_of_intents(&self, key: &str, intents: &[Intent]) -> Vec<DeadLetter> {
        let crawl = self.crawl;
        let time = (crawl.wall_clock)();
        let kept: Vec<_> = intents.iter().filter_map(|intent| kept(&intent.kept)).collect();
        let id = kept.first().map_or_else(|| ItemId::from_key(key), |(id, _)| id.clone());
        let activities: Vec<_> = kept.into_iter().map(|(_, activity)| activity).collect();
        let body = format!("{{\"activities\":[{}]}}", activities.join(","));
        let made = AddActivities::read_body(&body).and_then(|activities| {
            let (connection, root) = (&crawl.connection, &crawl.root);
            let chunks =
                AddActivities::chunks(connection, &id, &activities, Duplicates::Never, root);
            let letter = |add: AddActivities<'_>| {
                let call: Call<Written> = add.call_into(root)?;
                let run = Some(intents[0].run);
                Ok(DeadLetter { run, ..DeadLetter::of_intent(key, &call, time) })
            };
            chunks.map(letter).collect::<Result<Vec<_>, BuildError>>()
        });
        made.ok().filter(|letters| !letters.is_empty()).unwrap_or_else(|| {
            let why = "what was about to be added was not kept so that it could be read";
            let why = Fault::new(Rule::MemberRequired, "$.request", why).into();
            let mut letter = DeadLetter::of_source(key, &why, time);
            letter.applied = Applied::Maybe;
            vec![letter]
        })
    }
}
