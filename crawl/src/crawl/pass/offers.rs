//! What is offered to the bulk run: the source's entries, and deletes of what it no longer has.

use std::collections::{HashMap, VecDeque};

use graphfeed_core::{protocol::Call, types::BuildError};

use super::{OnItsWay, Open, Pass};
use crate::{
    Change, DeadLetter, Record, State,
    crawl::{
        CrawlError, Entry, Job, Written,
        job::What,
        plan::{Ahead, Plan, Planned},
    },
};

impl Pass<'_> {
    /// What is to be done about an entry, with what is on its way.
    pub(super) fn plan(&self, entry: Entry) -> Result<Result<Plan, Entry>, CrawlError> {
        self.crawl.plan(entry, |key| self.ahead(key))
    }

    /// What is on its way about a key.
    pub(super) fn ahead(&self, key: &str) -> Option<Ahead> {
        self.state().on_its_way.get(key).map(OnItsWay::ahead)
    }

    /// Takes up what is to be done about a key of the source.
    pub(super) fn take(&self, plan: Plan, ready: &mut VecDeque<Ready>) -> Result<(), CrawlError> {
        let Plan { key, known, forget, calls } = plan;
        let is_gone = calls.iter().any(|planned| matches!(planned.what, What::Delete { .. }));
        if forget {
            self.apply(Change::Deleted { key: &key })?;
        } else if known && !is_gone {
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
        for Planned { what, call, kept, anew } in calls {
            let item = match &what {
                What::Put { id, .. } | What::Nothing { id, .. } => Some(Some(id)),
                What::Delete { .. } => Some(None),
                What::Add { .. } => None,
            };
            if let Some(item) = item {
                let sent = state.on_its_way.entry(key.clone()).or_default();
                sent.calls += 1;
                sent.item = item.cloned();
                if sent.item.is_none() {
                    sent.behind.push_back(HashMap::new());
                }
            }
            ready.push_back(Ready {
                job: Job { key: key.clone(), entry: Some(entry), what },
                call,
                kept,
                anew,
            });
        }
        Ok(())
    }

    fn take_unreadable(&self, line: Option<u64>, why: &BuildError) -> Result<(), CrawlError> {
        self.state().unreadable = true;
        self.is_dead(DeadLetter::of_unreadable(line, why, (self.crawl.wall_clock)()))
    }

    /// What the journal cannot have, and never had.
    fn take_refused(
        &self,
        key: &str,
        line: Option<u64>,
        why: &BuildError,
    ) -> Result<(), CrawlError> {
        let letter = DeadLetter::of_source(key, why, (self.crawl.wall_clock)());
        self.is_dead(DeadLetter { line, ..letter })
    }

    /// Something failed that no call is made of.
    pub(super) fn is_dead(&self, letter: DeadLetter) -> Result<(), CrawlError> {
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
                let mut state = self.state();
                let behind = state.on_its_way.get_mut(key).and_then(|it| it.behind.back_mut());
                if let Some(behind) = behind {
                    let intents = activities.iter().copied().zip(ready.kept.iter().cloned());
                    behind.extend(intents);
                    return Ok(());
                }
                drop(state);
                for (activity, kept) in activities.iter().zip(&ready.kept) {
                    let activity = *activity;
                    // A delete before it that is done leaves nothing known; after one that is not
                    // it does not go out.
                    if !ready.anew || self.crawl.journal.activity(key, activity)?.is_none() {
                        self.apply(Change::Intended { key, activity, kept })?;
                    }
                }
                self.sync()
            }
            What::Put { .. } => {
                match self.crawl.journal.record(key)?.filter(|it| it.state == State::Stored) {
                    Some(Record { id, .. }) => {
                        self.apply(Change::Uncertain { key, id: &id })?;
                        self.sync()
                    }
                    None => Ok(()),
                }
            }
            What::Delete { .. } => match self.crawl.journal.record(key)? {
                Some(known) => self.intend_to_delete(&[(key.into(), known)]),
                None => Ok(()),
            },
        }
    }

    /// As [`intend`](Self::intend), for many at a time.
    fn intend_to_delete(&self, found: &[(Box<str>, Record)]) -> Result<(), CrawlError> {
        for (key, known) in found.iter().filter(|(_, known)| known.state != State::Leaving) {
            self.apply(Change::Leaving { key, id: &known.id })?;
        }
        self.sync()
    }

    /// The run ends here. Of several reasons the first one counts that is the cause of the others.
    pub(in crate::crawl) fn break_off(&self, why: CrawlError) {
        let broken = &mut self.state().broken;
        if broken.as_ref().is_none_or(CrawlError::follows_from_another) {
            *broken = Some(why);
        }
    }

    pub(super) fn go_out(&self, ready: Ready) -> Option<Offer> {
        match self.intend(&ready) {
            Ok(()) => Some((ready.job, ready.call)),
            Err(why) => {
                self.break_off(why);
                None
            }
        }
    }
}

pub(super) type Offer = (Job, Result<Call<Written>, BuildError>);

#[derive(Debug)]
pub(super) struct Ready {
    job: Job,
    call: Result<Call<Written>, BuildError>,
    kept: Vec<Vec<u8>>,
    anew: bool,
}

/// The source of a crawl's bulk run. It ends early if the journal cannot be written, which
/// [`Pass::finish`] tells.
#[derive(Debug)]
pub struct Offers<'a, S> {
    pass: &'a Pass<'a>,
    source: S,
    ready: VecDeque<Ready>,
}

impl<'a, S> Offers<'a, S> {
    pub(super) fn new(pass: &'a Pass<'a>, source: S) -> Self {
        Self { pass, source, ready: VecDeque::new() }
    }
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
            let taken = match self.pass.plan(entry) {
                Ok(Ok(plan)) => self.pass.take(plan, &mut self.ready),
                Ok(Err(Entry::Unreadable { line, why })) => self.pass.take_unreadable(line, &why),
                Ok(Err(Entry::Refused { key, line, why, .. })) => {
                    self.pass.take_refused(&key, line, &why)
                }
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

impl<'a> Unseen<'a> {
    /// None at all where it is over from the start.
    pub(super) fn new(pass: &'a Pass<'a>, over: bool) -> Self {
        Self { pass, after: None, batch: VecDeque::new(), over }
    }
}

impl Iterator for Unseen<'_> {
    type Item = Offer;

    fn next(&mut self) -> Option<Offer> {
        while self.batch.is_empty() && !self.over {
            if let Err(why) = self.read_on() {
                self.pass.break_off(why);
                self.over = true;
            }
        }
        self.batch.pop_front()
    }
}

impl Unseen<'_> {
    fn read_on(&mut self) -> Result<(), CrawlError> {
        let crawl = self.pass.crawl;
        let mut found = crawl.journal.unseen_from(self.after.as_deref(), self.pass.run)?;
        self.over = found.is_empty();
        self.after = found.last().map(|(key, _)| key.clone());
        let (mut forgotten, mut shared) = (Vec::new(), 0);
        for (key, known) in &found {
            // Where another key has the item it stays there.
            if known.is_of_nothing() || crawl.is_shared(key, &known.id)? {
                shared += u64::from(!known.is_of_nothing());
                forgotten.push(key.clone());
            }
        }
        for key in &forgotten {
            self.pass.apply(Change::Deleted { key })?;
        }
        self.pass.state().report.sweep.has_gone_on(shared);
        found.retain(|(key, _)| !forgotten.contains(key));
        self.pass.intend_to_delete(&found)?;
        self.batch.extend(found.into_iter().map(|(key, known)| {
            let Planned { what, call, .. } = crawl.plan_delete(&known.id);
            (Job { key: key.into(), entry: None, what }, call)
        }));
        Ok(())
    }
}
