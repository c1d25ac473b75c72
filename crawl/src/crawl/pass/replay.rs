//! Dead letters that are sent once more.

use std::{collections::HashMap, mem, sync::Arc};

use graphfeed_core::{
    external::{AddActivities, Duplicates, ExternalItem, ItemReader, PutItem},
    protocol::{Call, Endpoint},
    types::{BuildError, Fault, ItemId, RawJson, Rule},
};

use super::{Pass, intents::ReadyQueue, offers::Offer};
use crate::{
    ActivityState, DeadLetter, State,
    crawl::{
        CrawlError, Entry, Written,
        job::What,
        plan::{Plan, Planned, check_id, check_key, digest, keep},
    },
};

/// Dead letters as offers of a bulk run.
#[derive(Debug)]
pub struct Replayed<'a, L> {
    pass: &'a Pass<'a>,
    letters: L,
    duplicates: Duplicates,
    ready: ReadyQueue<'a>,
    // By the keys whose item a letter is about that went out, the run of that letter.
    went: HashMap<Arc<str>, u64>,
}

/// What a letter wants done.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wanted {
    Put,
    Add,
    Delete,
}

/// What a letter is beside what is known by now.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Standing {
    Due,
    Done,
    Overtaken,
}

impl Pass<'_> {
    /// Dead letters as offers of a bulk run, each once more as it is. One with an item that was
    /// refused before it became a request goes through all checks, as an entry of the source does.
    /// One that cannot be sent is written to this run's letters as it is, with the reason.
    ///
    /// A letter is passed over where it is done by now ([`Report::unchanged`]): its item is stored,
    /// its activities are added, what it should delete is gone. Of an item that is stored, activities
    /// in the letter are added all the same. It is passed over as well where something newer is known
    /// ([`Report::overtaken`]): its item is gone, or was stored again after it was to be deleted, or
    /// was seen by a later run. So of several letters about an item the newest counts. How old a letter
    /// is, its [run](DeadLetter::run) says; one without a run of this journal is older than whatever
    /// is known. One that was refused for its key goes also where nothing is known of the key that it
    /// has by now.
    ///
    /// As with [`offers`](Self::offers), `next()` blocks for as long as the disk takes, also in an
    /// async task, and each outcome is [heard](Self::hear) before the bulk run is polled again.
    ///
    /// A run that replays has not seen the source, and deletes nothing that it no longer has. The
    /// letters must not come from the file that failures of this run go to.
    ///
    /// [`Report::unchanged`]: crate::Report::unchanged
    /// [`Report::overtaken`]: crate::Report::overtaken
    pub fn replay<L: IntoIterator<Item = DeadLetter>>(
        &self,
        letters: L,
        duplicates: Duplicates,
    ) -> Replayed<'_, L::IntoIter> {
        let (letters, ready) = (letters.into_iter(), ReadyQueue::new(self));
        Replayed { pass: self, letters, duplicates, ready, went: HashMap::new() }
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
        check_id(&key, &id)?;
        Ok((key, id, call))
    }

    /// Something newer is known.
    fn pass_over_as_old(&self) {
        let mut state = self.state();
        state.report.seen += 1;
        state.report.skipped += 1;
        state.report.overtaken += 1;
    }
}

impl<L> Replayed<'_, L> {
    /// One of a run that is yet to come was another journal's.
    fn run_of(&self, letter: &DeadLetter) -> u64 {
        letter.run.filter(|run| *run < self.pass.run).unwrap_or_default()
    }

    /// What is known of the item counts as it was before this run, and after that the letters that
    /// went out.
    fn standing(
        &self,
        key: &str,
        letter: &DeadLetter,
        wanted: Wanted,
    ) -> Result<Standing, CrawlError> {
        let run = self.run_of(letter);
        if let Some(before) = self.went.get(key) {
            return Ok(match wanted {
                Wanted::Put | Wanted::Delete if run < *before => Standing::Overtaken,
                _ => Standing::Due,
            });
        }
        let Some(known) = self.pass.crawl.journal.record(key)? else {
            return Ok(match wanted {
                Wanted::Delete => Standing::Done,
                // Nothing was ever known of a key that it has only since it was mended.
                Wanted::Put if was_refused_for_its_key(letter) => Standing::Due,
                Wanted::Put | Wanted::Add => Standing::Overtaken,
            });
        };
        Ok(match (wanted, known.state) {
            (Wanted::Add, _) => Standing::Due,
            (Wanted::Put, State::Stored) => Standing::Done,
            (Wanted::Delete, State::Stored) => Standing::Overtaken,
            _ if run < known.run => Standing::Overtaken,
            _ => Standing::Due,
        })
    }

    fn take(&mut self, letter: &DeadLetter) -> Result<(), CrawlError> {
        let taken = match (&letter.request, &letter.item) {
            (None, Some(item)) => {
                let found = self.letter_to_item(letter, item);
                found.map(|(key, item)| self.take_item(letter, &key, item))
            }
            _ => {
                let found = self.pass.letter_to_call(letter, self.duplicates);
                found.map(|(key, id, call)| self.take_call(letter, key, id, call))
            }
        };
        taken.unwrap_or_else(|why| self.pass.is_dead(letter.refused_again(&why)))
    }

    /// The item that a letter keeps, with its key.
    fn letter_to_item(
        &self,
        letter: &DeadLetter,
        item: &RawJson,
    ) -> Result<(String, ExternalItem), BuildError> {
        let reader = match &self.pass.crawl.settings.schema {
            // A line of a source may leave its types to the schema.
            Some(schema) if letter.line.is_some() => ItemReader::with_schema(schema),
            _ => ItemReader::default(),
        };
        let read = reader.read(item.get());
        let item = read.item.map_err(|why| why.at("$.item"))?;
        let key = letter.key.clone().or(read.key).unwrap_or_default();
        check_key(&key)?;
        Ok((key, item))
    }

    fn take_item(
        &mut self,
        letter: &DeadLetter,
        key: &str,
        item: ExternalItem,
    ) -> Result<(), CrawlError> {
        let crawl = self.pass.crawl;
        // The source has not been looked at, so it is not seen.
        let mut plan = Plan { key: key.into(), known: None, forget: false, calls: Vec::new() };
        match (self.standing(key, letter, Wanted::Put)?, crawl.journal.record(key)?) {
            (Standing::Overtaken, _) => {
                self.pass.pass_over_as_old();
                return Ok(());
            }
            // Of the item as it is by now, its activities are not, or not all.
            (Standing::Done, Some(known)) => {
                let ahead = self.pass.ahead(key);
                let activities = item.split_activities().1;
                crawl.plan_activities(&mut plan, &known.id, activities, ahead.as_ref())?;
            }
            _ => {
                self.went.insert(key.into(), self.run_of(letter));
                if let Ok(found) = self.pass.plan(Entry::item(key, item))? {
                    plan.calls = found.calls;
                }
            }
        }
        self.pass.take(plan, &mut self.ready.calls)
    }

    fn take_call(
        &mut self,
        letter: &DeadLetter,
        key: String,
        id: ItemId,
        call: Call<Written>,
    ) -> Result<(), CrawlError> {
        let pass = self.pass;
        let wanted = match *call.route() {
            route if route == PutItem::ROUTE => Wanted::Put,
            route if route == AddActivities::ROUTE => Wanted::Add,
            _ => Wanted::Delete,
        };
        let standing = match pass.crawl.is_shared(&key, &id)? {
            true => Standing::Overtaken,
            false => self.standing(&key, letter, wanted)?,
        };
        match standing {
            Standing::Done => {
                pass.pass_over();
                return Ok(());
            }
            Standing::Overtaken => {
                pass.pass_over_as_old();
                return Ok(());
            }
            Standing::Due if wanted == Wanted::Add => {}
            Standing::Due => drop(self.went.insert((*key).into(), self.run_of(letter))),
        }
        let mut plan = Plan { key: (*key).into(), known: None, forget: false, calls: Vec::new() };
        match wanted {
            Wanted::Put => {
                if pass.ahead(&key).is_none()
                    && let Some(known) = pass.crawl.journal.record(&key)?
                    && known.state == State::Leaving
                {
                    // As an entry of the source: with the item it may be without its activities.
                    plan.calls.push(pass.crawl.plan_delete(&known.id));
                }
                let hash = pass.crawl.hash(call.request().body());
                plan.calls.push(Planned::new(What::Put { id, hash }, Ok(call)));
            }
            Wanted::Delete => plan.calls.push(Planned::new(What::Delete { id }, Ok(call))),
            Wanted::Add => match self.plan_add(letter, &key, &id, call)? {
                Some(planned) => plan.calls.push(planned),
                None => return Ok(()),
            },
        }
        pass.take(plan, &mut self.ready.calls)
    }

    /// What is left to be added of a letter: nothing where of all its activities it is on record
    /// that they are there, or may be.
    fn plan_add(
        &self,
        letter: &DeadLetter,
        key: &str,
        id: &ItemId,
        mut call: Call<Written>,
    ) -> Result<Option<Planned>, CrawlError> {
        let (pass, duplicates) = (self.pass, self.duplicates);
        let ahead = pass.ahead(key);
        let body = String::from_utf8_lossy(call.request().body());
        // What was written by a constructor is read by it.
        let mut activities = AddActivities::read_body(&body).unwrap_or_default();
        let all = activities.len();
        let (mut kept, mut digests) = (Vec::new(), Vec::new());
        for activity in mem::take(&mut activities) {
            let digest = digest(&activity);
            let goes = match pass.crawl.activity(key, digest, ahead.as_ref())? {
                None => true,
                Some(ActivityState::Uncertain) => duplicates == Duplicates::Allowed,
                Some(ActivityState::Added | ActivityState::Intended { .. }) => false,
            };
            if goes {
                kept.push(keep(id, &activity));
                digests.push(digest);
                activities.push(activity);
            }
        }
        if activities.is_empty() {
            pass.pass_over();
            return Ok(None);
        }
        if activities.len() < all {
            call = match letter.with_only(&activities).call(&pass.crawl.root, duplicates) {
                Ok(call) => call,
                Err(why) => return pass.is_dead(letter.refused_again(&why)).map(|()| None),
            };
        }
        let anew = ahead.is_some_and(|ahead| ahead.anew.is_some());
        let what = What::Add { activities: digests.into() };
        Ok(Some(Planned { kept, anew, ..Planned::new(what, Ok(call)) }))
    }
}

/// Whether key and item did not go together, so that it is on record under another key, if at all.
fn was_refused_for_its_key(letter: &DeadLetter) -> bool {
    letter.request.is_none() && letter.place.as_deref() == Some("key")
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
            if let Some(offer) = self.ready.offer() {
                return Some(offer);
            }
            let letter = self.letters.next()?;
            let taken = self.take(&letter);
            if let Err(why) = taken.and_then(|()| self.ready.write_ahead()) {
                self.pass.break_off(why);
            }
        }
        None
    }
}
