//! What an outcome is for the journal, the dead letters, and the entry that it is a part of.

use graphfeed_core::{
    external::{ActivityEnd, ActivityEnds},
    machine::{End, Outcome, SkipReason},
    protocol::{Applied, Cause, Error, GiveUp},
    types::ItemId,
};

use super::{Fate, Open, Pass, Progress};
use crate::{
    Change, DeadLetter, Digest, State,
    crawl::{CrawlError, Job, Written, job::What},
};

impl Pass<'_> {
    pub(super) fn heard_put(
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
            End::Failed(_) if is_cut_short(outcome) => self.not_sent(key),
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
            _ if outcome.maybe_applied => {
                self.apply(Change::Uncertain { key, id })?;
                Ok(Fate::Unsent)
            }
            _ => self.not_sent(key),
        }
    }

    /// An item is as it was.
    fn not_sent(&self, key: &str) -> Result<Fate, CrawlError> {
        self.apply(Change::NotSent { key })?;
        Ok(Fate::Unsent)
    }

    pub(super) fn heard_add(
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
            match end {
                ActivityEnd::Stored(_) => self.apply(Change::Added { key, activity })?,
                ActivityEnd::Unknown => self.apply(Change::MaybeAdded { key, activity })?,
                _ => self.not_added(key, activity)?,
            }
        }
        self.state().report.activities += ends.counts();
        Ok(fate)
    }

    pub(super) fn heard_delete(
        &self,
        job: &Job,
        id: &ItemId,
        outcome: &Outcome<Written>,
    ) -> Result<Fate, CrawlError> {
        let key = job.key();
        let fate = match &outcome.end {
            End::Ok(_) | End::Partly(_) => {
                self.deleted(job)?;
                return Ok(Fate::Done);
            }
            End::Failed(_) if is_cut_short(outcome) => self.not_sent(key)?,
            End::Failed(error) => {
                self.failed(job, outcome, Some(error))?;
                self.apply(match error.applied() {
                    Applied::No => Change::Failed { key, id },
                    Applied::Yes | Applied::Maybe => Change::Leaving { key, id },
                })?;
                Fate::Failed
            }
            End::Skipped(SkipReason::EarlierFailed) => {
                self.failed(job, outcome, None)?;
                self.apply(Change::Failed { key, id })?;
                Fate::Failed
            }
            _ if outcome.maybe_applied => {
                self.apply(Change::Leaving { key, id })?;
                Fate::Unsent
            }
            _ => self.not_sent(key)?,
        };
        if job.entry.is_none() && fate == Fate::Failed {
            self.state().report.not_deleted += 1;
        }
        Ok(fate)
    }

    /// The item is gone, and all activities with it; those that come next are intended now.
    fn deleted(&self, job: &Job) -> Result<(), CrawlError> {
        let (key, journal) = (job.key(), &self.crawl.journal);
        // Nobody asks meanwhile what is on its way.
        let mut state = self.state();
        state.report.deleted += 1;
        if job.entry.is_none() {
            state.report.sweep.has_gone_on(1);
        }
        let now = state.now;
        journal.apply(Change::Deleted { key }, now)?;
        let on_its_way = job.entry.and_then(|_| state.on_its_way.get_mut(key));
        let Some(behind) = on_its_way.and_then(|it| it.behind.pop_front()) else {
            return Ok(());
        };
        for (activity, kept) in &behind {
            journal.apply(Change::Intended { key, activity: *activity, kept }, now)?;
        }
        if !behind.is_empty() {
            journal.sync()?;
        }
        Ok(())
    }

    pub(super) fn heard_nothing(
        &self,
        job: &Job,
        id: &ItemId,
        outcome: &Outcome<Written>,
    ) -> Result<Fate, CrawlError> {
        self.failed(job, outcome, None)?;
        let key = job.key();
        // That nothing was done does not make it more certain what is there.
        self.apply(match self.crawl.journal.record(key)?.map(|known| known.state) {
            Some(State::Uncertain) => Change::Uncertain { key, id },
            _ => Change::Failed { key, id },
        })?;
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
        let letter = DeadLetter::of(job.key(), outcome, (self.crawl.wall_clock)());
        self.write_letters(letter.map(|letter| match &job.what {
            What::Nothing { line, item, .. } => {
                DeadLetter { line: *line, item: item.clone(), ..letter }
            }
            _ => letter,
        }))
    }

    /// What became of an item is on record, and so is what comes next.
    pub(super) fn arrived(&self, job: &Job, fate: Fate) -> Result<(), CrawlError> {
        let mut state = self.state();
        let Some(sent) = state.on_its_way.get_mut(&job.key) else {
            return Ok(());
        };
        if let What::Add { .. } = job.what {
            return Ok(());
        }
        if matches!(job.what, What::Delete { .. }) && fate != Fate::Done {
            sent.behind.pop_front();
        }
        sent.coming.pop_front();
        let next = sent.coming.front().map(|(_, next)| next.clone());
        match next {
            None => drop(state.on_its_way.remove(&job.key)),
            // What comes after a failure is not sent.
            Some(next) if fate == Fate::Done => {
                drop(state);
                self.intend_next(job.key(), &next)?;
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// One of the calls of an entry is over.
    pub(super) fn told(&self, entry: u64, fate: Fate) -> Result<(), CrawlError> {
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
        if unsent {
            state.unsent = Some(state.unsent.map_or(entry, |first| first.min(entry)));
        }
        self.pass_watermarks(&mut state)
    }

    /// A watermark passes when all before it is on record. Two threads tell of none one after the
    /// other in the wrong order, for the state is locked meanwhile.
    pub(super) fn pass_watermarks(&self, state: &mut Progress) -> Result<(), CrawlError> {
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
}

/// The item could not be put, or it is not known whether it was.
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
