//! One run of a crawl, whatever drives it: the source's entries become offers of a bulk run, and
//! its outcomes become records of the journal.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use graphfeed_core::{
    external::{ActivityCounts, ActivityEnd, ActivityEnds, AddActivities, Duplicates, PutItem},
    machine::{End, Ending, Outcome, SkipReason, Summary},
    protocol::{Applied, Call, Cause, Endpoint, Error, GiveUp},
    types::{BuildError, Fault, ItemId, Rule},
};

use super::{
    Crawl, CrawlError, Entry, Job, Report, Sweep, Written,
    job::What,
    plan::{Plan, Planned, check_key, digest, keep, kept},
};
use crate::{ActivityState, Change, DeadLetter, Digest, Intent, Record, RefusedLine, State};

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
}

impl<'a> Pass<'a> {
    /// The source as offers of a bulk run. What is in the service already gives none.
    pub fn offers<S: IntoIterator<Item = Entry>>(&self, source: S) -> Offers<'_, S::IntoIter> {
        Offers { pass: self, source: source.into_iter(), ready: VecDeque::new() }
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
            What::Nothing { id } => self.heard_nothing(job, id, outcome),
        }?;
        match job.entry {
            Some(entry) => {
                self.arrived(job);
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
        state.report.sweep = match (complete, settings.sweep) {
            (false, _) => Sweep::NotComplete,
            (true, false) => Sweep::Off,
            (true, true) => Sweep::Done,
        };
        drop(state);
        let mut over = !(complete && settings.sweep);
        if !over {
            let unseen = self.crawl.count_unseen(self.run)?;
            if let Some(brake) = self.crawl.brake(unseen, self.known) {
                self.state().report.sweep = brake;
                over = true;
            }
        }
        Ok(Unseen { pass: self, after: None, batch: VecDeque::new(), over })
    }

    /// Ends the run: everything is on disk then.
    ///
    /// # Errors
    /// What the run could not go on for, and when journal or dead letters cannot be written.
    pub fn finish(self, swept: Option<&Summary>) -> Result<Report, CrawlError> {
        let journal = &self.crawl.journal;
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = state.broken {
            return Err(why);
        }
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
        let whole = matches!(state.report.sweep, Sweep::Done | Sweep::Off);
        if whole && state.report.ending == Ending::Complete {
            journal.apply(Change::RunComplete, state.now)?;
        }
        self.crawl.letters().sync()?;
        journal.sync()?;
        Ok(state.report)
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
        for letter in letters {
            file.push(&letter)?;
        }
        Ok(file.sync()?)
    }

    fn heard_put(
        &self,
        job: &Job,
        id: &ItemId,
        hash: Digest,
        outcome: &Outcome<Written>,
    ) -> Result<Fate, CrawlError> {
        let key = job.key();
        match &outcome.end {
            End::Ok(_) | End::Partly(_) => {
                self.apply(Change::Stored { key, id, hash })?;
                Ok(Fate::Done)
            }
            End::Failed(_) if is_cut_short(outcome) => Ok(Fate::Unsent),
            End::Failed(error) => {
                self.failed(job, outcome, Some(error))?;
                self.apply(not_done(key, id, error))?;
                Ok(Fate::Failed)
            }
            End::Skipped(SkipReason::EarlierFailed) => {
                self.failed(job, outcome, None)?;
                self.apply(Change::Failed { key, id })?;
                Ok(Fate::Failed)
            }
            _ => Ok(Fate::Unsent),
        }
    }

    fn heard_add(
        &self,
        job: &Job,
        digests: &[Digest],
        outcome: &Outcome<Written>,
    ) -> Result<Fate, CrawlError> {
        let key = job.key();
        let Some(ends) = ActivityEnds::of(outcome) else {
            // There is no call: the source has activities of which none can be made.
            self.failed(job, outcome, None)?;
            return Ok(Fate::Failed);
        };
        let fate = match &outcome.end {
            End::Ok(_) => Fate::Done,
            // Nothing but its letter knows of it where a source goes on from a watermark.
            End::Skipped(SkipReason::EarlierFailed) => {
                self.failed(job, outcome, None)?;
                Fate::Failed
            }
            End::Skipped(_) => Fate::Unsent,
            End::Partly(_) => {
                let time = (self.crawl.wall_clock)();
                self.write_letters(DeadLetter::of_activities(key, outcome, &ends, time))?;
                Fate::Failed
            }
            End::Failed(_) if is_cut_short(outcome) => Fate::Unsent,
            End::Failed(error) => {
                self.failed(job, outcome, Some(error))?;
                Fate::Failed
            }
            _ => Fate::Failed,
        };
        for ((_, end), activity) in ends.iter().zip(digests) {
            let activity = *activity;
            self.apply(match end {
                ActivityEnd::Stored(_) => Change::Added { key, activity },
                ActivityEnd::Unknown => Change::MaybeAdded { key, activity },
                _ => Change::NotAdded { key, activity },
            })?;
        }
        self.state().report.activities += ends.counts();
        Ok(fate)
    }

    fn heard_delete(
        &self,
        job: &Job,
        id: &ItemId,
        outcome: &Outcome<Written>,
    ) -> Result<Fate, CrawlError> {
        let key = job.key();
        let fate = match &outcome.end {
            End::Ok(_) | End::Partly(_) => {
                self.apply(Change::Deleted { key })?;
                self.state().report.deleted += 1;
                return Ok(Fate::Done);
            }
            End::Failed(_) if is_cut_short(outcome) => Fate::Unsent,
            End::Failed(error) => {
                self.failed(job, outcome, Some(error))?;
                // It may be gone, so that it has to be put again should the source have it again.
                self.apply(not_done(key, id, error))?;
                Fate::Failed
            }
            End::Skipped(SkipReason::EarlierFailed) => {
                self.failed(job, outcome, None)?;
                self.apply(Change::Failed { key, id })?;
                Fate::Failed
            }
            _ => Fate::Unsent,
        };
        if job.entry.is_none() && fate == Fate::Failed {
            self.state().report.not_deleted += 1;
        }
        Ok(fate)
    }

    fn heard_nothing(
        &self,
        job: &Job,
        id: &ItemId,
        outcome: &Outcome<Written>,
    ) -> Result<Fate, CrawlError> {
        self.failed(job, outcome, None)?;
        self.apply(Change::Failed { key: job.key(), id })?;
        Ok(Fate::Failed)
    }

    fn failed(
        &self,
        job: &Job,
        outcome: &Outcome<Written>,
        error: Option<&Error>,
    ) -> Result<(), CrawlError> {
        if error.is_some_and(is_for_want_of_permission) {
            self.state().report.not_permitted += 1;
        }
        self.write_letters(DeadLetter::of(job.key(), outcome, (self.crawl.wall_clock)()))
    }

    /// What became of an item is on record.
    fn arrived(&self, job: &Job) {
        let mut state = self.state();
        if let Some(sent) = state.on_its_way.get_mut(&job.key)
            && !matches!(job.what, What::Add { .. })
        {
            sent.calls -= 1;
            if sent.calls == 0 {
                state.on_its_way.remove(&job.key);
            }
        }
    }

    /// One of the calls of an entry is over.
    fn told(&self, entry: u64, fate: Fate) -> Result<(), CrawlError> {
        let mut state = self.state();
        let Some(open) = state.open.get_mut(&entry) else {
            return Ok(());
        };
        open.left -= 1;
        open.failed |= fate == Fate::Failed;
        open.unsent |= fate == Fate::Unsent;
        if open.left > 0 {
            return Ok(());
        }
        let Open { failed, unsent, .. } = *open;
        state.open.remove(&entry);
        *match (failed, unsent) {
            (true, _) => &mut state.report.failed,
            (false, true) => &mut state.report.skipped,
            (false, false) => &mut state.report.ok,
        } += 1;
        if unsent && !failed {
            state.unsent = Some(state.unsent.map_or(entry, |first| first.min(entry)));
        }
        self.pass_watermarks(&mut state)
    }

    /// A watermark passes when all before it is on record. Two threads tell of none one after the
    /// other in the wrong order, for the state is locked meanwhile.
    fn pass_watermarks(&self, state: &mut Progress) -> Result<(), CrawlError> {
        let first_open = state.open.first_key_value().map(|(first, _)| *first);
        let first = first_open.into_iter().chain(state.unsent).min().unwrap_or(u64::MAX);
        let mut passed = None;
        while state.watermarks.front().is_some_and(|(after, _)| *after <= first) {
            passed = state.watermarks.pop_front();
        }
        if let Some((_, watermark)) = passed {
            self.crawl.journal.apply(Change::Watermark(&watermark), state.now)?;
        }
        Ok(())
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
                Ok(DeadLetter::of_intent(key, &call, time))
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

    /// Takes up what is to be done about a key of the source.
    fn take(&self, plan: Plan, ready: &mut VecDeque<Ready>) -> Result<(), CrawlError> {
        let Plan { key, known, calls } = plan;
        let is_gone = calls.iter().any(|planned| matches!(planned.what, What::Delete { .. }));
        if known && !is_gone {
            self.apply(Change::Seen { key: &key })?;
        }
        if calls.is_empty() {
            self.pass_over();
            return Ok(());
        }
        let mut state = self.state();
        state.report.seen += 1;
        let entry = state.next;
        state.next += 1;
        state.open.insert(entry, Open { left: calls.len(), failed: false, unsent: false });
        for Planned { what, call, kept } in calls {
            let item = match &what {
                What::Put { id, .. } | What::Nothing { id } => Some(Some(id)),
                What::Delete { .. } => Some(None),
                What::Add { .. } => None,
            };
            if let Some(item) = item {
                let sent = state.on_its_way.entry(key.clone()).or_default();
                sent.calls += 1;
                sent.item = item.cloned();
            }
            ready.push_back(Ready {
                job: Job { key: key.clone(), entry: Some(entry), what },
                call,
                kept,
            });
        }
        Ok(())
    }

    fn take_unreadable(&self, refused: &RefusedLine) -> Result<(), CrawlError> {
        self.state().unreadable = true;
        self.is_dead(DeadLetter::of_line(refused, (self.crawl.wall_clock)()))
    }

    /// What the journal cannot have, and never had.
    fn take_refused(&self, key: &str, why: &BuildError) -> Result<(), CrawlError> {
        self.is_dead(DeadLetter::of_source(key, why, (self.crawl.wall_clock)()))
    }

    /// Something failed that no call is made of.
    fn is_dead(&self, letter: DeadLetter) -> Result<(), CrawlError> {
        self.write_letters([letter])?;
        let mut state = self.state();
        state.report.seen += 1;
        state.report.failed += 1;
        Ok(())
    }

    fn take_watermark(&self, watermark: Vec<u8>) -> Result<(), CrawlError> {
        let mut state = self.state();
        let next = state.next;
        state.watermarks.push_back((next, watermark));
        self.pass_watermarks(&mut state)
    }

    /// Before activities go out it is on disk that they do, and before an item is changed that it
    /// may no longer be as it was.
    fn intend(&self, ready: &Ready) -> Result<(), CrawlError> {
        let key = ready.job.key();
        match &ready.job.what {
            _ if ready.call.is_err() => Ok(()),
            What::Nothing { .. } => Ok(()),
            What::Add { activities } => {
                for (activity, kept) in activities.iter().zip(&ready.kept) {
                    self.apply(Change::Intended { key, activity: *activity, kept })?;
                }
                self.sync()
            }
            What::Put { .. } | What::Delete { .. } => {
                match self.crawl.journal.record(key)?.filter(|it| it.state == State::Stored) {
                    Some(Record { id, .. }) => {
                        self.apply(Change::Uncertain { key, id: &id })?;
                        self.sync()
                    }
                    None => Ok(()),
                }
            }
        }
    }

    /// As [`intend`](Self::intend), for many at a time.
    fn intend_to_delete(&self, found: &[(Box<str>, Record)]) -> Result<(), CrawlError> {
        for (key, known) in found.iter().filter(|(_, known)| known.state == State::Stored) {
            self.apply(Change::Uncertain { key, id: &known.id })?;
        }
        self.sync()
    }

    /// The run ends here.
    fn break_off(&self, why: CrawlError) {
        self.state().broken.get_or_insert(why);
    }

    fn go_out(&self, ready: Ready) -> Option<Offer> {
        match self.intend(&ready) {
            Ok(()) => Some((ready.job, ready.call)),
            Err(why) => {
                self.break_off(why);
                None
            }
        }
    }
}

/// The item could not be put or deleted, or it is not known whether it was.
fn not_done<'a>(key: &'a str, id: &'a ItemId, error: &Error) -> Change<'a> {
    match error.applied() {
        Applied::No => Change::Failed { key, id },
        Applied::Yes | Applied::Maybe => Change::Uncertain { key, id },
    }
}

/// Whether it was to be tried again when the run was ended, and nothing was done so far. That is no
/// failure: the next run sends it.
fn is_cut_short(outcome: &Outcome<Written>) -> bool {
    let End::Failed(error) = &outcome.end else {
        return false;
    };
    error.why_given_up() == Some(GiveUp::Stopped)
        && error.applied() == Applied::No
        && !outcome.maybe_applied
}

fn is_for_want_of_permission(error: &Error) -> bool {
    matches!(error.cause(), Cause::Token(_))
        || error.status().is_some_and(|status| matches!(status.as_u16(), 401 | 403))
}

type Offer = (Job, Result<Call<Written>, BuildError>);

#[derive(Debug)]
struct Ready {
    job: Job,
    call: Result<Call<Written>, BuildError>,
    kept: Vec<Vec<u8>>,
}

/// The source of a crawl's bulk run. It ends early if the journal cannot be written, which
/// [`Pass::finish`] tells.
#[derive(Debug)]
pub struct Offers<'a, S> {
    pass: &'a Pass<'a>,
    source: S,
    ready: VecDeque<Ready>,
}

impl<S: Iterator<Item = Entry>> Iterator for Offers<'_, S> {
    type Item = Offer;

    fn next(&mut self) -> Option<Offer> {
        loop {
            if self.pass.is_broken() {
                return None;
            }
            if let Some(ready) = self.ready.pop_front() {
                return self.pass.go_out(ready);
            }
            let Some(entry) = self.source.next() else {
                self.pass.state().whole = true;
                return None;
            };
            let plan = self.pass.crawl.plan(entry, |key| {
                self.pass.state().on_its_way.get(key).map(|sent| sent.item.clone())
            });
            let taken = match plan {
                Ok(Ok(plan)) => self.pass.take(plan, &mut self.ready),
                Ok(Err(Entry::Unreadable { refused })) => self.pass.take_unreadable(&refused),
                Ok(Err(Entry::Refused { key, why })) => self.pass.take_refused(&key, &why),
                Ok(Err(Entry::Watermark(watermark))) => self.pass.take_watermark(watermark),
                Ok(Err(_)) => Ok(()),
                Err(why) => Err(why),
            };
            if let Err(why) = taken {
                self.pass.break_off(why);
            }
        }
    }
}

/// What deletes items that the source no longer has.
#[derive(Debug)]
pub struct Unseen<'a> {
    pass: &'a Pass<'a>,
    after: Option<Box<str>>,
    batch: VecDeque<Offer>,
    over: bool,
}

impl Iterator for Unseen<'_> {
    type Item = Offer;

    fn next(&mut self) -> Option<Offer> {
        if self.batch.is_empty() && !self.over {
            let crawl = self.pass.crawl;
            let found = crawl.journal.unseen_from(self.after.as_deref(), self.pass.run);
            let found = found.unwrap_or_else(|why| {
                self.pass.break_off(why.into());
                Vec::new()
            });
            self.over = found.is_empty();
            self.after = found.last().map(|(key, _)| key.clone());
            if let Err(why) = self.pass.intend_to_delete(&found) {
                self.pass.break_off(why);
                self.over = true;
                return None;
            }
            self.batch.extend(found.into_iter().map(|(key, known)| {
                let Planned { what, call, .. } = crawl.plan_delete(&known.id);
                (Job { key: key.into(), entry: None, what }, call)
            }));
        }
        self.batch.pop_front()
    }
}

/// Dead letters as offers of a bulk run.
#[derive(Debug)]
pub struct Replayed<'a, L> {
    pass: &'a Pass<'a>,
    letters: L,
    duplicates: Duplicates,
}

impl Pass<'_> {
    /// Dead letters as offers of a bulk run, each once more as it is. One whose item was stored
    /// since is passed over, and so are activities that were added since. One that cannot be sent
    /// is written to this run's letters as it is, with the reason. A run that replays has not seen
    /// the source, and deletes nothing that it no longer has.
    ///
    /// The letters must not come from the file that failures of this run go to.
    pub fn replay<L: IntoIterator<Item = DeadLetter>>(
        &self,
        letters: L,
        duplicates: Duplicates,
    ) -> Replayed<'_, L::IntoIter> {
        Replayed { pass: self, letters: letters.into_iter(), duplicates }
    }

    fn take_letter(
        &self,
        letter: &DeadLetter,
        duplicates: Duplicates,
    ) -> Result<Option<Ready>, CrawlError> {
        let (key, id, mut call) = match self.letter_to_call(letter, duplicates) {
            Ok(found) => found,
            Err(why) => return self.is_dead(letter.refused_again(&why)).map(|()| None),
        };
        let mut kept = Vec::new();
        let what = if *call.route() == AddActivities::ROUTE {
            let body = String::from_utf8_lossy(call.request().body());
            // What was written by a constructor is read by it.
            let mut activities = AddActivities::read_body(&body).unwrap_or_default();
            let all = activities.len();
            let mut digests = Vec::new();
            for activity in mem::take(&mut activities) {
                let digest = digest(&activity);
                // Of others it is on record that they are there, or may be.
                let goes = match self.crawl.journal.activity(&key, digest)? {
                    None => true,
                    Some(ActivityState::Uncertain) => duplicates == Duplicates::Allowed,
                    Some(ActivityState::Added | ActivityState::Intended { .. }) => false,
                };
                if goes {
                    kept.push(keep(&id, &activity));
                    digests.push(digest);
                    activities.push(activity);
                }
            }
            if activities.is_empty() {
                self.pass_over();
                return Ok(None);
            }
            if activities.len() < all {
                call = match letter.with_only(&activities).call(&self.crawl.root, duplicates) {
                    Ok(call) => call,
                    Err(why) => return self.is_dead(letter.refused_again(&why)).map(|()| None),
                };
            }
            What::Add { activities: digests.into() }
        } else {
            let known = self.crawl.journal.record(&key)?;
            // What this run has stored comes from an earlier letter.
            if known.is_some_and(|it| it.state == State::Stored && it.run < self.run) {
                self.pass_over();
                return Ok(None);
            }
            match *call.route() == PutItem::ROUTE {
                true => What::Put { id, hash: self.crawl.hash(call.request().body()) },
                false => What::Delete { id },
            }
        };
        let planned = Planned { what, call: Ok(call), kept };
        let mut ready = VecDeque::new();
        self.take(Plan { key: key.into(), known: false, calls: vec![planned] }, &mut ready)?;
        Ok(ready.pop_front())
    }

    /// The call of a letter again, with its key and its item.
    fn letter_to_call(
        &self,
        letter: &DeadLetter,
        duplicates: Duplicates,
    ) -> Result<(String, ItemId, Call<Written>), BuildError> {
        let crawl = self.crawl;
        let call = letter.call::<Written>(&crawl.root, duplicates)?;
        let (_, connection) = call.lane();
        if connection != crawl.connection.as_str() {
            let detail = format!("is for {connection}, and this is {}", crawl.connection);
            return Err(Fault::new(Rule::ConnectionId, "$.request.path", detail).into());
        }
        let id = item_of(&call)?;
        let key = letter.key.clone().or_else(|| Some(id.key()?.into_owned()));
        let key = key.ok_or_else(|| {
            let detail = "is missing, and its item's id does not tell it; give it a value";
            BuildError::from(Fault::new(Rule::MemberRequired, "$.key", detail))
        })?;
        check_key(&key)?;
        Ok((key, id, call))
    }

    /// Nothing is to be done about it any more.
    fn pass_over(&self) {
        let mut state = self.state();
        state.report.seen += 1;
        state.report.skipped += 1;
        state.report.unchanged += 1;
    }
}

/// The item that a call is about.
fn item_of(call: &Call<Written>) -> Result<ItemId, BuildError> {
    let mut segments = call.request().uri().path().split('/');
    let _ = segments.find(|segment| *segment == "items");
    ItemId::existing(segments.next().unwrap_or_default())
}

impl<L: Iterator<Item = DeadLetter>> Iterator for Replayed<'_, L> {
    type Item = Offer;

    fn next(&mut self) -> Option<Offer> {
        while !self.pass.is_broken() {
            let letter = self.letters.next()?;
            match self.pass.take_letter(&letter, self.duplicates) {
                Ok(Some(ready)) => return self.pass.go_out(ready),
                Ok(None) => {}
                Err(why) => self.pass.break_off(why),
            }
        }
        None
    }
}
