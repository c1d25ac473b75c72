//! What is on record before a call goes out, so that the next run knows what may have happened if
//! this one dies, and what the next run makes of it.

use std::collections::VecDeque;

use graphfeed_core::{
    external::{AddActivities, Duplicates},
    protocol::{Applied, Call, Endpoint},
    types::{BuildError, Fault, ItemId, Rule},
};

use super::{
    Coming, Pass,
    offers::{Offer, Ready},
};
use crate::{
    ActivityState, Change, DeadLetter, Digest, Intent,
    crawl::{CrawlError, Job, Written, job::What, plan::kept},
};

/// Calls that are to be offered. What there is no room for any more when it is dropped is not sent.
#[derive(Debug)]
pub(super) struct ReadyQueue<'a> {
    pass: &'a Pass<'a>,
    pub(super) calls: VecDeque<Ready>,
}

impl<'a> ReadyQueue<'a> {
    pub(super) fn new(pass: &'a Pass<'a>) -> Self {
        Self { pass, calls: VecDeque::new() }
    }

    /// Before calls go out it is on disk what they may have done: with one write for many.
    pub(super) fn write_ahead(&self) -> Result<(), CrawlError> {
        let mut any = false;
        for ready in &self.calls {
            any |= self.pass.intend(ready)?;
        }
        if any { self.pass.write() } else { Ok(()) }
    }

    /// The next one, which is [on record](Self::write_ahead).
    pub(super) fn offer(&mut self) -> Option<Offer> {
        self.calls.pop_front().map(|Ready { job, call, .. }| (job, call))
    }
}

impl Drop for ReadyQueue<'_> {
    fn drop(&mut self) {
        if let Err(why) = self.pass.take_back(&self.calls) {
            self.pass.break_off(why);
        }
    }
}

impl Pass<'_> {
    /// What was [intended](ReadyQueue::write_ahead) is not sent: the last calls about their items.
    fn take_back(&self, ready: &VecDeque<Ready>) -> Result<(), CrawlError> {
        for Ready { job, .. } in ready.iter().rev() {
            let key = job.key();
            if let What::Add { activities } = &job.what {
                let mut state = self.state();
                let on_its_way = state.on_its_way.get_mut(key);
                if let Some(behind) = on_its_way.and_then(|it| it.behind.back_mut()) {
                    behind.retain(|activity, _| !activities.contains(activity));
                }
                drop(state);
                activities.iter().try_for_each(|activity| self.not_added(key, *activity))?;
                continue;
            }
            if self.is_next(job) {
                self.apply(Change::NotSent { key })?;
            }
            let mut state = self.state();
            if let Some(on_its_way) = state.on_its_way.get_mut(key) {
                if let Some((_, Coming::Delete)) = on_its_way.coming.pop_back() {
                    on_its_way.behind.pop_back();
                }
                if on_its_way.coming.is_empty() {
                    state.on_its_way.remove(key);
                }
            }
        }
        Ok(())
    }

    /// An activity is not there, where it was intended. It was not if the delete before it has
    /// failed: then what is known is of the item that is still there.
    pub(super) fn not_added(&self, key: &str, activity: Digest) -> Result<(), CrawlError> {
        match self.crawl.journal.activity(key, activity)? {
            Some(ActivityState::Intended { .. }) => self.apply(Change::NotAdded { key, activity }),
            _ => Ok(()),
        }
    }

    /// Whether there is anything to be written.
    fn intend(&self, ready: &Ready) -> Result<bool, CrawlError> {
        let key = ready.job.key();
        match &ready.job.what {
            _ if ready.call.is_err() => Ok(false),
            What::Add { activities } => {
                let mut state = self.state();
                let behind = state.on_its_way.get_mut(key).and_then(|it| it.behind.back_mut());
                if let Some(behind) = behind {
                    let intents = activities.iter().copied().zip(ready.kept.iter().cloned());
                    behind.extend(intents);
                    return Ok(false);
                }
                drop(state);
                for (activity, kept) in activities.iter().zip(&ready.kept) {
                    let activity = *activity;
                    // A delete before it that is done leaves nothing known; after one that is not
                    // it does not go out.
                    if !ready.anew || self.crawl.journal.activity(key, activity)?.is_none() {
                        self.announce(Change::Intended { key, activity, kept })?;
                    }
                }
                Ok(true)
            }
            // What becomes of those before it would overwrite it.
            what => match Coming::of(what) {
                Some(coming) if self.is_next(&ready.job) => self.announce_coming(key, &coming),
                _ => Ok(false),
            },
        }
    }

    /// The same for what comes after a call that is done.
    pub(super) fn intend_next(&self, key: &str, next: &Coming) -> Result<(), CrawlError> {
        if self.announce_coming(key, next)? { self.write() } else { Ok(()) }
    }

    fn announce_coming(&self, key: &str, coming: &Coming) -> Result<bool, CrawlError> {
        match coming {
            Coming::Put(id) => self.announce(Change::Arriving { key, id })?,
            Coming::Delete => {
                if let Some(known) = self.crawl.journal.record(key)? {
                    self.announce(Change::Departing { key, id: &known.id })?;
                }
            }
            Coming::Nothing(_) => return Ok(false),
        }
        Ok(true)
    }

    fn announce(&self, change: Change<'_>) -> Result<(), CrawlError> {
        let now = self.state().now;
        Ok(self.crawl.journal.announce(change, now)?)
    }

    /// Puts on disk what was announced.
    fn write(&self) -> Result<(), CrawlError> {
        Ok(self.crawl.journal.write_announced()?)
    }

    /// Whether no other call about the item of its key comes before it.
    fn is_next(&self, job: &Job) -> bool {
        // The deletes at the end come after all others.
        let Some(entry) = job.entry else { return true };
        let state = self.state();
        let next = state.on_its_way.get(&job.key).and_then(|it| it.coming.front());
        next.is_some_and(|(first, next)| entry == *first && next.is(&job.what))
    }

    /// What may have been sent when an earlier run ended.
    pub(super) fn settle_intents(&self) -> Result<(), CrawlError> {
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
