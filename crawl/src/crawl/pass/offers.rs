//! What is offered to the bulk run: the source's entries, and deletes of what it no longer has.

use std::collections::{HashMap, VecDeque};

use graphfeed_core::{protocol::Call, types::BuildError};

use super::{Coming, OnItsWay, Open, Pass, intents::ReadyQueue};
use crate::{
    Change, DeadLetter, Journal,
    crawl::{
        CrawlError, Entry, Job, Written,
        job::What,
        plan::{Ahead, Plan, Planned},
    },
};

/// How many entries share a write: so many fewer than [outcomes](Journal::GROUP) do that those
/// which are told meanwhile are in it, too.
const GROUP: usize = Journal::GROUP / 5 * 4;

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
        if known.is_some_and(|known| !known.was_stored && known.run < self.run) {
            self.state().never_stored += 1;
        }
        if forget {
            self.apply(Change::Deleted { key: &key })?;
        } else if known.is_some() {
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
            if let Some(coming) = Coming::of(&what) {
                let sent = state.on_its_way.entry(key.clone()).or_default();
                if let Coming::Delete = coming {
                    sent.behind.push_back(HashMap::new());
                }
                sent.coming.push_back((entry, coming));
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

    /// The run ends here. Of several reasons the first one counts that is the cause of the others.
    pub(in crate::crawl) fn break_off(&self, why: CrawlError) {
        let broken = &mut self.state().broken;
        if broken.as_ref().is_none_or(CrawlError::follows_from_another) {
            *broken = Some(why);
        }
    }

    /// Nothing is to be done about it any more.
    pub(super) fn pass_over(&self) {
        let mut state = self.state();
        state.report.seen += 1;
        state.report.skipped += 1;
        state.report.unchanged += 1;
    }
}

pub(super) type Offer = (Job, Result<Call<Written>, BuildError>);

#[derive(Debug)]
pub(super) struct Ready {
    pub(super) job: Job,
    pub(super) call: Result<Call<Written>, BuildError>,
    pub(super) kept: Vec<Vec<u8>>,
    pub(super) anew: bool,
}

/// The source of a crawl's bulk run. It ends early if the journal cannot be written, which
/// [`Pass::finish`] tells.
#[derive(Debug)]
pub struct Offers<'a, S> {
    pass: &'a Pass<'a>,
    source: S,
    // What the source has without anybody waiting for it.
    at_hand: fn(&mut S) -> Option<Entry>,
    ready: ReadyQueue<'a>,
}

impl<'a, S> Offers<'a, S> {
    pub(super) fn new(pass: &'a Pass<'a>, source: S, at_hand: fn(&mut S) -> Option<Entry>) -> Self {
        Self { pass, source, at_hand, ready: ReadyQueue::new(pass) }
    }

    /// Takes up an entry, with what is at hand after it, so that they share a write.
    ///
    /// An entry with activities is the last of them: those of its key that come after it are
    /// compared with what is on record. The bulk run has to know still what has failed when it
    /// gets the last call of these.
    fn take_group(&mut self, entry: Entry) -> Result<(), CrawlError> {
        let most = self.pass.crawl.settings.ingest.queue;
        self.take(entry)?;
        for _ in 1..GROUP {
            let calls = &self.ready.calls;
            let adds = calls.back().is_some_and(|it| matches!(it.job.what, What::Add { .. }));
            if adds || calls.len() >= most {
                break;
            }
            let Some(entry) = (self.at_hand)(&mut self.source) else { break };
            self.take(entry)?;
        }
        self.ready.write_ahead()
    }

    fn take(&mut self, entry: Entry) -> Result<(), CrawlError> {
        match self.pass.plan(entry)? {
            Ok(plan) => self.pass.take(plan, &mut self.ready.calls),
            Err(Entry::Unreadable { line, why }) => self.pass.take_unreadable(line, &why),
            Err(Entry::Refused { key, line, why, .. }) => self.pass.take_refused(&key, line, &why),
            Err(Entry::Watermark(watermark)) => self.pass.take_watermark(watermark),
            Err(_) => Ok(()),
        }
    }
}

impl<S: Iterator<Item = Entry>> Iterator for Offers<'_, S> {
    type Item = Offer;

    fn next(&mut self) -> Option<Offer> {
        while !self.pass.is_broken() {
            if let Some(offer) = self.ready.offer() {
                return Some(offer);
            }
            let Some(entry) = self.source.next() else {
                self.pass.state().whole = true;
                return None;
            };
            if let Err(why) = self.take_group(entry) {
                self.pass.break_off(why);
            }
        }
        None
    }
}

/// What deletes items that the source no longer has.
#[derive(Debug)]
pub struct Unseen<'a> {
    pass: &'a Pass<'a>,
    after: Option<Box<str>>,
    ready: ReadyQueue<'a>,
    over: bool,
}

impl<'a> Unseen<'a> {
    /// None at all where it is over from the start.
    pub(super) fn new(pass: &'a Pass<'a>, over: bool) -> Self {
        Self { pass, after: None, ready: ReadyQueue::new(pass), over }
    }
}

impl Iterator for Unseen<'_> {
    type Item = Offer;

    fn next(&mut self) -> Option<Offer> {
        while self.ready.calls.is_empty() && !self.over {
            if let Err(why) = self.read_on() {
                self.pass.break_off(why);
                self.over = true;
            }
        }
        self.ready.offer()
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
        for (key, known) in found {
            // A letter from before this run does not bring it back.
            self.pass.apply(Change::Seen { key: &key })?;
            let Planned { what, call, kept, anew } = crawl.plan_delete(&known.id);
            let job = Job { key: key.into(), entry: None, what };
            self.ready.calls.push_back(Ready { job, call, kept, anew });
        }
        self.ready.write_ahead()
    }
}
