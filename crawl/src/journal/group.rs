//! What a journal was told and has not yet put on disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use redb::{ReadableTable, WriteTransaction};

use super::{
    ActivityState, Digest, JournalErrorKind,
    rows::{ACTIVITIES, COMPLETE, INTENTS, ITEMS, MARKS, NEXT, NUMBERS, RUN, Row, WATERMARK},
};

/// Outcomes that go to disk together or not at all.
#[derive(Default)]
pub(super) struct Group {
    pub(super) outcomes: usize,
    /// How much is there besides, which its teller puts on disk.
    pub(super) announced: usize,
    /// When the first one was told.
    pub(super) since: Option<Duration>,
    /// How many more keys there are than on disk.
    pub(super) more: i64,
    /// Numbers that have changed, by name.
    pub(super) numbers: BTreeMap<&'static str, u64>,
    pub(super) watermark: Option<Vec<u8>>,
    items: BTreeMap<Box<str>, Option<Row>>,
    /// Keys whose activities on disk are to be forgotten.
    forgotten: BTreeSet<Box<str>>,
    activities: BTreeMap<(Box<str>, Digest), Option<ActivityState>>,
    /// What is kept of activities that are intended.
    kept: BTreeMap<(Box<str>, Digest), Box<[u8]>>,
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        self.outcomes + self.announced == 0
    }

    /// What becomes of a key; `None` if nothing does.
    pub(super) fn item(&self, key: &str) -> Option<&Option<Row>> {
        self.items.get(key)
    }

    pub(super) fn put_item(&mut self, key: &str, row: Option<Row>) {
        self.items.insert(key.into(), row);
    }

    pub(super) fn forget(&mut self, key: &str) {
        self.put_item(key, None);
        self.activities.retain(|(of, _), _| **of != *key);
        self.forgotten.insert(key.into());
    }

    /// What becomes of an activity; `None` if nothing does.
    pub(super) fn activity(&self, key: &str, activity: Digest) -> Option<Option<ActivityState>> {
        if self.activities.is_empty() && self.forgotten.is_empty() {
            return None;
        }
        let known = self.activities.get(&(key.into(), activity)).copied();
        known.or_else(|| self.forgotten.contains(key).then_some(None))
    }

    pub(super) fn put_activity(
        &mut self,
        key: &str,
        activity: Digest,
        state: Option<ActivityState>,
    ) {
        self.activities.insert((key.into(), activity), state);
    }

    pub(super) fn intend(&mut self, key: &str, activity: Digest, run: u64, kept: &[u8]) {
        self.put_activity(key, activity, Some(ActivityState::Intended { run }));
        self.kept.insert((key.into(), activity), kept.into());
    }

    /// Writes it into a transaction.
    pub(super) fn write(&self, write: &WriteTransaction) -> Result<(), JournalErrorKind> {
        if !self.items.is_empty() {
            let mut items = write.open_table(ITEMS)?;
            for (key, row) in &self.items {
                match row {
                    Some(row) => items.insert(&**key, &*row.to_bytes())?,
                    None => items.remove(&**key)?,
                };
            }
        }
        if !self.forgotten.is_empty() || !self.activities.is_empty() {
            let mut activities = write.open_table(ACTIVITIES)?;
            let mut intents = write.open_table(INTENTS)?;
            for key in &self.forgotten {
                let all = (&**key, &[0; 32])..=(&**key, &[0xFF; 32]);
                activities.retain_in(all.clone(), |_, _| false)?;
                intents.retain_in(all, |_, _| false)?;
            }
            for ((key, activity), state) in &self.activities {
                let at = (&**key, activity.as_bytes());
                match state {
                    Some(ActivityState::Intended { run }) => {
                        let kept = self.kept.get(&(key.clone(), *activity));
                        intents.insert(at, (*run, kept.map_or(&[][..], |kept| kept)))?;
                        activities.remove(at)?;
                    }
                    Some(settled) => {
                        intents.remove(at)?;
                        activities.insert(at, *settled == ActivityState::Added)?;
                    }
                    None => {
                        intents.remove(at)?;
                        activities.remove(at)?;
                    }
                }
            }
        }
        if let Some(watermark) = &self.watermark {
            write.open_table(WATERMARK)?.insert((), &**watermark)?;
        }
        if !self.numbers.is_empty() {
            let mut numbers = write.open_table(NUMBERS)?;
            for (name, number) in &self.numbers {
                numbers.insert(name, number)?;
            }
        }
        Ok(())
    }
}

/// Which keys the run has seen and left as they were, by number.
///
/// A bit for each key, in chunks that go to disk when they have changed. To write a run into the
/// row of every key would be to write the whole journal again.
#[derive(Default)]
pub(super) struct Marks {
    chunks: BTreeMap<u64, Box<[u8]>>,
    changed: BTreeSet<u64>,
    /// When the first one was made that is not on disk.
    pub(super) since: Option<Duration>,
}

const CHUNK: usize = 1024;

impl Marks {
    /// The chunk of a number, and its place there.
    pub(super) fn place(number: u64) -> (u64, usize) {
        (number / (CHUNK as u64 * 8), (number % (CHUNK as u64 * 8)) as usize)
    }

    /// Whether a chunk, as it is on disk, has the mark at a place.
    pub(super) fn is_set(chunk: &[u8], place: usize) -> bool {
        chunk.get(place / 8).is_some_and(|byte| byte >> (place % 8) & 1 == 1)
    }

    pub(super) fn has(&self, number: u64) -> bool {
        let (chunk, place) = Self::place(number);
        self.chunks.get(&chunk).is_some_and(|chunk| Self::is_set(chunk, place))
    }

    pub(super) fn add(&mut self, number: u64, now: Duration) {
        let (chunk, place) = Self::place(number);
        let bits = self.chunks.entry(chunk).or_insert_with(|| [0; CHUNK].into());
        if !Self::is_set(bits, place) {
            bits[place / 8] |= 1 << (place % 8);
            self.changed.insert(chunk);
            self.since.get_or_insert(now);
        }
    }

    /// Takes over a chunk from disk.
    pub(super) fn load(&mut self, chunk: u64, bits: &[u8]) -> Result<(), JournalErrorKind> {
        if bits.len() != CHUNK {
            return Err(JournalErrorKind::Damaged("a chunk of marks has another length".into()));
        }
        self.chunks.insert(chunk, bits.into());
        Ok(())
    }

    /// What has changed since it was last asked.
    pub(super) fn take_changed(&mut self) -> Vec<(u64, Box<[u8]>)> {
        self.since = None;
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|chunk| (chunk, self.chunks[&chunk].clone())).collect()
    }

    /// Writes chunks of a run into a transaction.
    pub(super) fn write(
        run: u64,
        chunks: &[(u64, Box<[u8]>)],
        write: &WriteTransaction,
    ) -> Result<(), JournalErrorKind> {
        if !chunks.is_empty() {
            let mut marks = write.open_table(MARKS)?;
            for (chunk, bits) in chunks {
                marks.insert((run, *chunk), &**bits)?;
            }
        }
        Ok(())
    }

    /// Removes the chunks of older runs.
    pub(super) fn forget_before(
        run: u64,
        write: &WriteTransaction,
    ) -> Result<(), JournalErrorKind> {
        write.open_table(MARKS)?.retain_in(..(run, 0), |_, _| false)?;
        Ok(())
    }
}

/// The numbers of a journal as they are on disk.
pub(super) fn read_numbers(
    numbers: &impl ReadableTable<&'static str, u64>,
) -> Result<[u64; 3], JournalErrorKind> {
    let missing = || JournalErrorKind::Damaged("a number is missing".into());
    let read = |name| Ok::<_, JournalErrorKind>(numbers.get(name)?.ok_or_else(missing)?.value());
    Ok([read(RUN)?, read(COMPLETE)?, read(NEXT)?])
}
