//! Dead letters that are sent once more.

use std::{collections::VecDeque, mem};

use graphfeed_core::{
    external::{AddActivities, Duplicates, PutItem},
    protocol::{Call, Endpoint},
    types::{BuildError, Fault, ItemId, Rule},
};

use super::{
    Pass,
    offers::{Offer, Ready},
};
use crate::{
    ActivityState, DeadLetter, State,
    crawl::{
        CrawlError, Written,
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
        check_id(&key, &id)?;
        Ok((key, id, call))
    }

    /// Nothing is to be done about it any more.
    pub(super) fn pass_over(&self) {
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
