//! What is to be done about one entry, from what the journal knows. Nothing is done here.

use std::{borrow::Cow, collections::HashSet, sync::Arc};

use graphfeed_core::{
    external::{AddActivities, DeleteItem, ExternalActivity, ExternalItem, PutItem},
    protocol::{Call, Endpoint},
    types::{BuildError, Fault, ItemId, RawJson, Rule},
};
use serde::Serialize;

use super::{Crawl, CrawlError, Entry, Written, job::What};
use crate::{ActivityState, DeadLetter, Digest, Journal, Record, State};

/// What is to be done about a key.
pub(super) struct Plan {
    pub(super) key: Arc<str>,
    /// What the journal knows of it.
    pub(super) known: Option<Known>,
    /// Whether the journal can forget it, for it is gone and never was in the service.
    pub(super) forget: bool,
    pub(super) calls: Vec<Planned>,
}

/// What a journal knows of a key, whatever that is.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// Whether its item ever was stored. If not it may be there all the same.
    pub(super) was_stored: bool,
    /// The last run that saw it.
    pub(super) run: u64,
}

impl From<&Record> for Known {
    fn from(known: &Record) -> Self {
        Self { was_stored: known.hash.is_some(), run: known.run }
    }
}

/// One call, or why there is none.
pub(super) struct Planned {
    pub(super) what: What,
    pub(super) call: Result<Call<Written>, BuildError>,
    /// For a call that adds activities: what an intent keeps of each, in the order of its digests.
    pub(super) kept: Vec<Vec<u8>>,
    /// Whether a delete comes before it, so that what is known of its activities is of another item.
    pub(super) anew: bool,
}

impl Planned {
    pub(super) fn new(what: What, call: Result<Call<Written>, BuildError>) -> Self {
        Self { what, call, kept: Vec::new(), anew: false }
    }
}

/// What is on its way about a key, of which the journal knows nothing yet.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
    /// The item that is there afterwards; none where that is deleted.
    pub(super) item: Option<ItemId>,
    /// Where a delete is among it, the activities that come after that: no others will be there.
    pub(super) anew: Option<HashSet<Digest>>,
}

impl Crawl {
    /// What is to be done about an item.
    fn plan_item(
        &self,
        key: &str,
        item: ExternalItem,
        mut activities: Vec<ExternalActivity>,
        ahead: Option<Ahead>,
    ) -> Result<Plan, CrawlError> {
        // A PUT with activities in it would add them again each time.
        let (item, inside) = item.split_activities();
        activities.splice(0..0, inside);
        let known = self.journal.record(key)?;
        let (of_key, calls) = (known.as_ref().map(Known::from), Vec::new());
        let mut plan = Plan { key: key.into(), known: of_key, forget: false, calls };
        let id = item.id().clone();
        // It may be there and may not, with activities that are then gone: only without it is it
        // known what is there.
        let leaving = known.as_ref().filter(|it| ahead.is_none() && it.state == State::Leaving);
        let leaves = leaving.map(|known| self.plan_delete(&known.id));
        let ahead = match leaves {
            Some(_) => Some(Ahead { item: None, anew: Some(HashSet::new()) }),
            None => ahead,
        };
        // What never was stored is nowhere.
        let stored = || known.as_ref().filter(|known| !known.is_of_nothing());
        let stored = || stored().map(|known| known.id.clone());
        let there = ahead.as_ref().map_or_else(stored, |ahead| ahead.item.clone());
        let is_its_own = self.check_item_of(key, &id, there.as_ref())?;
        let fits = || self.settings.schema.as_ref().map_or(Ok(()), |it| it.check_item(&item));
        let call = is_its_own
            .and_then(|()| fits())
            .and_then(|()| PutItem::new(&self.connection, &item).call_into::<Written>(&self.root));
        let call = match call {
            Ok(call) => call,
            Err(why) => {
                let own = || match check_id(key, &id) {
                    Ok(()) => id,
                    Err(_) => ItemId::from_key(key),
                };
                let id = known.map_or_else(own, |known| known.id);
                let item = line_of(&item, &activities);
                plan.calls.push(Planned::new(What::Nothing { id, line: None, item }, Err(why)));
                return Ok(plan);
            }
        };
        let hash = self.hash(call.request().body());
        let is_stored = known.is_some_and(|known| {
            known.state == State::Stored && known.hash == Some(hash) && known.id == id
        });
        plan.calls.extend(leaves);
        if !is_stored || ahead.is_some() {
            plan.calls.push(Planned::new(What::Put { id: id.clone(), hash }, Ok(call)));
        }
        self.plan_activities(&mut plan, &id, activities, ahead.as_ref())?;
        Ok(plan)
    }

    /// Whether an item may be that of a key, and is no other key's, nor the key's second one.
    fn check_item_of(
        &self,
        key: &str,
        id: &ItemId,
        there: Option<&ItemId>,
    ) -> Result<Result<(), BuildError>, CrawlError> {
        let refused = |detail| Ok(Err(Fault::new(Rule::ItemId, "key", detail).into()));
        if let Err(why) = check_id(key, id) {
            return Ok(Err(why));
        }
        if self.is_shared(key, id)? {
            return refused(format!(
                "has the item {id}, and that is stored under its id as the key; give one of the \
                 two keys only"
            ));
        }
        match there {
            Some(there) if there != id => refused(format!(
                "has the item {id}, and is stored as {there}; say that it is gone, then give it \
                 again"
            )),
            _ => Ok(Ok(())),
        }
    }

    /// Whether the item of a key is another key's, too: of one that is its hash, or in a journal of
    /// a time when any id was taken.
    pub(super) fn is_shared(&self, key: &str, id: &ItemId) -> Result<bool, CrawlError> {
        let other = id.key().unwrap_or(Cow::Borrowed(id.as_str()));
        if other == key {
            return Ok(false);
        }
        Ok(self.journal.record(&other)?.is_some_and(|other| other.id == *id))
    }

    /// What is known of an activity, with what is on its way.
    pub(super) fn activity(
        &self,
        key: &str,
        activity: Digest,
        ahead: Option<&Ahead>,
    ) -> Result<Option<ActivityState>, CrawlError> {
        match ahead.and_then(|ahead| ahead.anew.as_ref()) {
            Some(anew) => Ok(anew.contains(&activity).then_some(ActivityState::Added)),
            None => Ok(self.journal.activity(key, activity)?),
        }
    }

    /// Each activity of which nothing is known.
    pub(super) fn plan_activities(
        &self,
        plan: &mut Plan,
        id: &ItemId,
        activities: Vec<ExternalActivity>,
        ahead: Option<&Ahead>,
    ) -> Result<(), CrawlError> {
        let (mut new, mut digests, mut given) = (Vec::new(), Vec::new(), HashSet::new());
        for activity in activities {
            let digest = digest(&activity);
            if given.insert(digest) && self.activity(&plan.key, digest, ahead)?.is_none() {
                new.push(activity);
                digests.push(digest);
            }
        }
        let anew = ahead.is_some_and(|ahead| ahead.anew.is_some());
        let duplicates = self.settings.duplicates;
        let most = self.root.limits().activities.max(1);
        let chunks = AddActivities::chunks(&self.connection, id, &new, duplicates, &self.root);
        for ((add, some), digests) in chunks.zip(new.chunks(most)).zip(digests.chunks(most)) {
            let kept = some.iter().map(|activity| keep(id, activity)).collect();
            let call = add.call_into(&self.root);
            let what = What::Add { activities: digests.into() };
            plan.calls.push(Planned { what, call, kept, anew });
        }
        Ok(())
    }

    /// What is to be done about a key that the source no longer has.
    fn plan_gone(&self, key: &str, ahead: Option<Ahead>) -> Result<Plan, CrawlError> {
        let known = self.journal.record(key)?;
        let of_key = known.as_ref().map(Known::from);
        let of_nothing = known.as_ref().is_some_and(Record::is_of_nothing);
        let forget = ahead.is_none() && of_nothing;
        let mut calls = Vec::new();
        let there = || known.map(|known| known.id);
        if !forget
            && let Some(id) = ahead.map_or_else(there, |ahead| ahead.item)
            && !self.is_shared(key, &id)?
        {
            calls.push(self.plan_delete(&id));
        }
        Ok(Plan { key: key.into(), known: of_key, forget, calls })
    }

    pub(super) fn plan_delete(&self, id: &ItemId) -> Planned {
        let call = DeleteItem::new(&self.connection, id).call_into(&self.root);
        Planned::new(What::Delete { id: id.clone() }, call)
    }

    /// What the source cannot make an item of.
    fn plan_refused(
        &self,
        key: &str,
        line: Option<u64>,
        item: Option<RawJson>,
        why: BuildError,
    ) -> Result<Plan, CrawlError> {
        let known = self.journal.record(key)?;
        let id = known.as_ref().map_or_else(|| ItemId::from_key(key), |known| known.id.clone());
        let refused = Planned::new(What::Nothing { id, line, item }, Err(why));
        let known = known.as_ref().map(Known::from);
        Ok(Plan { key: key.into(), known, forget: false, calls: vec![refused] })
    }

    /// The plan of an entry that has a key; other entries are given back, and one whose key no
    /// journal takes, as refused.
    ///
    /// What is on its way about a key is asked for.
    pub(super) fn plan(
        &self,
        entry: Entry,
        ahead: impl FnOnce(&str) -> Option<Ahead>,
    ) -> Result<Result<Plan, Entry>, CrawlError> {
        if let Entry::Item { key, .. } | Entry::Refused { key, .. } = &entry
            && let Err(why) = check_key(key)
        {
            let line = if let Entry::Refused { line, .. } = entry { line } else { None };
            return Ok(Err(Entry::Refused { key: key.clone(), line, item: None, why }));
        }
        Ok(Ok(match entry {
            Entry::Item { key, item, activities } => {
                let ahead = ahead(&key);
                self.plan_item(&key, *item, activities, ahead)?
            }
            Entry::Refused { key, line, item, why } => self.plan_refused(&key, line, item, why)?,
            Entry::Gone { key } => {
                let ahead = ahead(&key);
                self.plan_gone(&key, ahead)?
            }
            other @ (Entry::Unreadable { .. } | Entry::Watermark(_)) => return Ok(Err(other)),
        }))
    }
}

pub(super) fn digest(activity: &ExternalActivity) -> Digest {
    Digest::of([json(activity)])
}

/// Whether a journal takes a key.
pub(super) fn check_key(key: &str) -> Result<(), BuildError> {
    let (bytes, most) = (key.len(), Journal::LONGEST_KEY);
    if bytes <= most {
        return Ok(());
    }
    let detail = format!("has {bytes} bytes, and a journal takes {most}; shorten it");
    Err(Fault::new(Rule::ItemId, "key", detail).into())
}

/// Whether an item may be that of a key: it has the id that follows from it, or only a hash is left
/// of its key, and the key is the id itself.
///
/// So two keys have one id only where one of them is the hash of the other.
pub(super) fn check_id(key: &str, id: &ItemId) -> Result<(), BuildError> {
    let own = ItemId::from_key(key);
    if *id == own || (key == id.as_str() && id.key().is_none()) {
        return Ok(());
    }
    let other = id.key().unwrap_or(Cow::Borrowed(id.as_str()));
    let detail = format!(
        "has an item with the id {id}, and its own is {own}; make the item with \
         ItemId::from_key(key), or give {other:?} as the key"
    );
    Err(Fault::new(Rule::ItemId, "key", detail).into())
}

/// An item as a line of [`ItemLines`](crate::ItemLines) has it, with its activities; none where a
/// letter would be too long for it.
fn line_of(item: &ExternalItem, activities: &[ExternalActivity]) -> Option<RawJson> {
    #[derive(Serialize)]
    struct Line<'a> {
        #[serde(flatten)]
        item: &'a ExternalItem,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        activities: &'a [ExternalActivity],
    }

    let line = RawJson::new(&Line { item, activities }).ok()?;
    (line.get().len() <= DeadLetter::LONGEST_ITEM).then_some(line)
}

/// What a letter needs should nothing more be known of an activity: its item and itself, a line
/// each.
pub(super) fn keep(id: &ItemId, activity: &ExternalActivity) -> Vec<u8> {
    [id.as_str().as_bytes(), b"\n", &json(activity)].concat()
}

/// What was [kept](keep), as far as it can be read.
pub(super) fn kept(kept: &[u8]) -> Option<(ItemId, &str)> {
    let (id, activity) = std::str::from_utf8(kept).ok()?.split_once('\n')?;
    Some((ItemId::existing(id).ok()?, activity))
}

/// No activity refuses to be written.
fn json(activity: &ExternalActivity) -> Vec<u8> {
    serde_json::to_vec(activity).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_that_is_a_key_in_other_letters_is_not_its_own_key() {
        let id = ItemId::from_key("a/b");
        assert!(check_id("a/b", &id).is_ok());
        let why = check_id(id.as_str(), &id).unwrap_err();
        assert_eq!(
            why.to_string(),
            "key: has an item with the id x--eYS9i, and its own is x--eeC0tZVlTOWk; make the item \
             with ItemId::from_key(key), or give \"a/b\" as the key [item-id]"
        );
    }

    /// A key, and another one that may be what becomes of it.
    fn two_keys() -> impl Strategy<Value = (String, String)> {
        let key = prop_oneof![any::<String>(), "x--[a-z0-9]{0,70}", "[a/]{90,140}"];
        let id = |key: String| ItemId::from_key(&key).as_str().to_owned();
        key.prop_flat_map(move |key| {
            let derived = [id(key.clone()), id(id(key.clone()))];
            let other = prop_oneof![proptest::sample::select(derived.to_vec()), any::<String>()];
            (Just(key), other)
        })
    }

    proptest! {
        #[test]
        fn two_keys_have_one_id_only_where_one_is_the_hash_of_the_other(
            (one, other) in two_keys(),
        ) {
            prop_assert!(check_id(&one, &ItemId::from_key(&one)).is_ok());
            prop_assume!(one != other);
            let ids = [&one, &other].map(|key| [Some(ItemId::from_key(key)), ItemId::existing(key).ok()]);
            for id in ids.into_iter().flatten().flatten() {
                if check_id(&one, &id).is_ok() && check_id(&other, &id).is_ok() {
                    let is_hash_of = |hash: &String, key: &String| {
                        ItemId::from_key(key).as_str() == hash && ItemId::from_key(key).key().is_none()
                    };
                    prop_assert!(is_hash_of(&one, &other) || is_hash_of(&other, &one), "{}", id);
                }
            }
        }
    }
}
