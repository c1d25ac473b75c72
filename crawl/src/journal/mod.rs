//! The journal of a crawl: what is in the service, as far as is known, and what was on its way
//! there.
//!
//! Lives here: the [`Journal`] and what it promises. What it is told and knows is in `record`,
//! what is not yet on disk in `group`, how it is laid out in `rows`, and the file around that in
//! `file`.

use std::{
    collections::HashMap,
    fmt,
    ops::{Bound, ControlFlow},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use graphfeed_core::types::ItemId;
use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable,
    ReadableTableMetadata,
};

mod error;
mod file;
mod group;
mod record;
mod rows;

#[cfg(test)]
mod tests;

pub use error::{JournalError, JournalErrorKind};
pub use record::{ActivityState, Change, Digest, Intent, Record, Scope, State};

use group::{Group, Marks, read_numbers};
use rows::{ACTIVITIES, COMPLETE, INTENTS, ITEMS, MARKS, NEXT, NUMBERS, RUN, Row, WATERMARK};

/// What is known of the keys of one connection, on disk.
///
/// It promises that what was told before a [`sync`](Self::sync) is there afterwards, whatever
/// happens to process or machine, and that what was told later is there up to some point or not
/// at all, never in part. Outcomes are synced by themselves when there are
/// [so many](Self::GROUP) of them or the first one is [a second](Self::DELAY) old, so a crash
/// costs that much work again and no more. Reads see what was told, synced or not.
///
/// Every page of the file is checked when it is opened, which takes about a second for a million
/// keys, however the last run ended. Two processes cannot have it open. Calls block for as long as
/// the disk takes; threads may share a journal, and to look up a key is not to wait for a write.
///
/// ```
/// use std::time::Duration;
/// use graphfeed_core::{protocol::ServiceRoot, types::{ConnectionId, ItemId}};
/// use graphfeed_crawl::{Change, Digest, Journal, Scope};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("contosohr.journal");
/// let scope = Scope::new(&ServiceRoot::v1(), &ConnectionId::new("contosohr")?);
/// let (key, now) = ("tickets/TSP228082938", Duration::ZERO);
/// let hash = Digest::of(["content", "acl", "schema 1"]);
///
/// let journal = Journal::open(&path, &scope)?;
/// let run = journal.begin_run()?;
/// assert_eq!(journal.record(key)?, None);
/// // The item is put, and the service has taken it.
/// journal.apply(Change::Stored { key, id: &ItemId::from_key(key), hash }, now)?;
/// journal.apply(Change::RunComplete, now)?;
/// journal.sync()?;
/// drop(journal);
///
/// let journal = Journal::open(&path, &scope)?;
/// let known = journal.record(key)?.expect("it was stored");
/// assert_eq!((known.hash, known.run), (Some(hash), run));
/// # Ok(())
/// # }
/// ```
pub struct Journal {
    path: PathBuf,
    scope: Scope,
    store: Database,
    // Held by whoever tells it something, also while that is written.
    writer: Mutex<()>,
    // Held for moments only.
    memory: Mutex<Memory>,
}

/// A run of a crawl.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Run {
    /// Its number, from 1 on.
    pub number: u64,
    /// Whether it has seen all that the source had.
    pub complete: bool,
}

/// What is known without the disk.
#[derive(Default)]
struct Memory {
    pending: Group,
    // The one that is being written.
    writing: Option<Arc<Group>>,
    // What was known of the items that are about to be put or deleted, by key.
    announced: HashMap<Box<str>, Option<Row>>,
    marks: Marks,
    // Those of the run before, which are what most keys are looked for in.
    earlier: Marks,
    // The keys on disk; made when it is wanted, and again after each write.
    items: Option<Arc<Items>>,
    // A key that was just looked up, its number and the run that changed it: it is often told as
    // seen next.
    looked_up: Option<(Box<str>, u64, u64)>,
    run: u64,
    complete: u64,
    next: u64,
    broken: bool,
}

type Items = ReadOnlyTable<&'static str, &'static [u8]>;

impl Memory {
    fn check(&self) -> Result<(), JournalErrorKind> {
        if self.broken { Err(JournalErrorKind::WriteFailed) } else { Ok(()) }
    }

    fn item(&self, key: &str) -> Option<&Option<Row>> {
        self.pending.item(key).or_else(|| self.writing.as_ref()?.item(key))
    }

    fn activity(&self, key: &str, activity: Digest) -> Option<Option<ActivityState>> {
        let written = || self.writing.as_ref()?.activity(key, activity);
        self.pending.activity(key, activity).or_else(written)
    }

    fn outcomes_due(&self) -> Option<Duration> {
        Some(self.pending.since? + Journal::DELAY)
    }

    fn marks_due(&self) -> Option<Duration> {
        Some(self.marks.since? + Journal::DELAY_OF_SEEN)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For how many runs it is known which keys each of them saw.
const RUNS: u64 = 8;

/// How many keys are read before any is told.
const BATCH: usize = 256;

impl Journal {
    /// So many outcomes are synced together at the latest.
    pub const GROUP: usize = 128;
    /// Outcomes are synced that long after the first of them, at the latest.
    pub const DELAY: Duration = Duration::from_secs(1);
    /// What was only seen is synced that long afterwards. It costs nothing but to look again.
    pub const DELAY_OF_SEEN: Duration = Duration::from_secs(10);
    /// The most bytes that a key has. A path on Windows has no more.
    pub const LONGEST_KEY: usize = 98_304;

    /// Opens the journal in a file, and makes it if there is none.
    ///
    /// # Errors
    /// When it cannot be opened, another process has it open, or it is no journal, that of
    /// another scope, or damaged. None of them is ever replaced by a new one.
    pub fn open(path: impl AsRef<Path>, scope: &Scope) -> Result<Self, JournalError> {
        let path = path.as_ref();
        let opened = file::open(path, scope).and_then(|store| Self::on(store, path, scope));
        opened.map_err(|why| why.at(path))
    }

    fn on(store: Database, path: &Path, scope: &Scope) -> Result<Self, JournalErrorKind> {
        let read = store.begin_read()?;
        let [run, complete, next] = read_numbers(&read.open_table(NUMBERS)?)?;
        let [mut earlier, mut marks] = [Marks::default(), Marks::default()];
        for chunk in read.open_table(MARKS)?.range((run.saturating_sub(1), 0)..)? {
            let (at, bits) = chunk?;
            let (of, chunk) = at.value();
            let marks = if of == run { &mut marks } else { &mut earlier };
            marks.load(chunk, bits.value())?;
        }
        drop(read);
        let memory = Memory { marks, earlier, run, complete, next, ..Memory::default() };
        let (writer, memory) = (Mutex::new(()), Mutex::new(memory));
        Ok(Self { path: path.into(), scope: scope.clone(), store, writer, memory })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it belongs to.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What is known of a key.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn record(&self, key: &str) -> Result<Option<Record>, JournalError> {
        self.named(|| {
            let Some(row) = self.row(key)? else {
                return Ok(None);
            };
            let run = self.last_seen(&row, None)?;
            self.memory().looked_up = Some((key.into(), row.number, row.run));
            Ok(Some(record(key, row, run)))
        })
    }

    /// What is known of an activity on the item of a key.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn activity(
        &self,
        key: &str,
        activity: Digest,
    ) -> Result<Option<ActivityState>, JournalError> {
        self.named(|| self.activity_state(key, activity))
    }

    /// Starts a run and gives its number, which is on disk when this returns, and with it all
    /// that was told before.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn begin_run(&self) -> Result<u64, JournalError> {
        let _writer = lock(&self.writer);
        self.named(|| {
            self.commit(true)?;
            let run = self.memory().run + 1;
            let mut group = Group::default();
            group.numbers.insert(RUN, run);
            self.write(group, &[], Some(run.saturating_sub(RUNS - 1)))?;
            let mut memory = self.memory();
            memory.run = run;
            memory.looked_up = None;
            memory.announced.clear();
            memory.earlier = std::mem::take(&mut memory.marks);
            Ok(run)
        })
    }

    /// Takes note of something. `now` is the time since any origin, the same for all calls; it
    /// says when [`DELAY`](Self::DELAY) is over.
    ///
    /// # Errors
    /// When the key is too long, or the file cannot be read, or not be written where outcomes were
    /// due. After a failed write the journal is on disk as of the last sync, and takes nothing
    /// more.
    pub fn apply(&self, change: Change<'_>, now: Duration) -> Result<(), JournalError> {
        let _writer = lock(&self.writer);
        self.named(|| {
            self.stage(change, now)?;
            let memory = self.memory();
            let is_due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
            let marks = is_due(memory.marks_due());
            let full = memory.pending.outcomes >= Self::GROUP;
            let due = full || marks || is_due(memory.outcomes_due());
            drop(memory);
            if due { self.commit(marks) } else { Ok(()) }
        })
    }

    /// Takes note of what is about to be done, which may be after the next
    /// [`write_announced`](Self::write_announced).
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub(crate) fn announce(&self, change: Change<'_>, now: Duration) -> Result<(), JournalError> {
        let _writer = lock(&self.writer);
        self.named(|| {
            self.stage(change, now)?;
            // It does not wait for others.
            let pending = &mut self.memory().pending;
            pending.outcomes -= 1;
            pending.announced += 1;
            Ok(())
        })
    }

    /// As [`sync`](Self::sync), without what was only seen.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn write_announced(&self) -> Result<(), JournalError> {
        let _writer = lock(&self.writer);
        self.named(|| self.commit(false))
    }

    /// Puts everything on disk that was told so far.
    ///
    /// # Errors
    /// When the file cannot be written. Then the journal is on disk as of the last sync, and takes
    /// nothing more.
    pub fn sync(&self) -> Result<(), JournalError> {
        let _writer = lock(&self.writer);
        self.named(|| self.commit(true))
    }

    /// When [`sync`](Self::sync) should be called if nothing is told before; `None` if there is
    /// nothing to put on disk.
    pub fn due(&self) -> Option<Duration> {
        let memory = self.memory();
        [memory.outcomes_due(), memory.marks_due()].into_iter().flatten().min()
    }

    /// Tells every key that no run from `run` on has seen, in the order of keys, until told to
    /// break; and how many were told. `tell` may use the journal. Memory does not grow with the
    /// number of keys.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn unseen(
        &self,
        run: u64,
        mut tell: impl FnMut(&str, &Record) -> ControlFlow<()>,
    ) -> Result<u64, JournalError> {
        let mut told = 0;
        let mut after = None;
        loop {
            let batch = self.named(|| self.unseen_after(after.as_deref(), run))?;
            for (key, known) in &batch {
                told += 1;
                if tell(key, known).is_break() {
                    return Ok(told);
                }
            }
            match batch.into_iter().next_back() {
                Some((key, _)) => after = Some(key),
                None => return Ok(told),
            }
        }
    }

    /// How many keys are known.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn len(&self) -> Result<u64, JournalError> {
        let _writer = lock(&self.writer);
        self.named(|| {
            self.memory().check()?;
            let stored = self.store.begin_read()?.open_table(ITEMS)?.len()?;
            Ok(stored.saturating_add_signed(self.memory().pending.more))
        })
    }

    /// Whether no key is known.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_empty(&self) -> Result<bool, JournalError> {
        Ok(self.len()? == 0)
    }

    /// The activities that may have been sent and have no outcome, in the order of their keys.
    /// Those of an earlier run were on their way when it ended.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn intents(&self) -> Result<Vec<Intent>, JournalError> {
        self.sync()?;
        self.named(|| {
            let mut found = Vec::new();
            for intent in self.store.begin_read()?.open_table(INTENTS)?.iter()? {
                let (at, intent) = intent?;
                let ((key, activity), (run, kept)) = (at.value(), intent.value());
                let activity = Digest::from_bytes(*activity);
                found.push(Intent { key: key.into(), activity, run, kept: kept.into() });
            }
            Ok(found)
        })
    }

    /// From where the source can go on; `None` if it never said.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn watermark(&self) -> Result<Option<Vec<u8>>, JournalError> {
        self.named(|| {
            let memory = self.memory();
            memory.check()?;
            let writing = || memory.writing.as_ref()?.watermark.clone();
            if let Some(told) = memory.pending.watermark.clone().or_else(writing) {
                return Ok(Some(told));
            }
            drop(memory);
            let stored = self.store.begin_read()?.open_table(WATERMARK)?.get(())?;
            Ok(stored.map(|stored| stored.value().into()))
        })
    }

    /// The run that was begun last.
    pub fn last_run(&self) -> Option<Run> {
        let memory = self.memory();
        let Memory { run: number, complete, .. } = *memory;
        (number > 0).then_some(Run { number, complete: number == complete })
    }

    /// The number of the last run that was complete.
    pub fn last_complete_run(&self) -> Option<u64> {
        let complete = self.memory().complete;
        (complete > 0).then_some(complete)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }

    fn named<T>(
        &self,
        what: impl FnOnce() -> Result<T, JournalErrorKind>,
    ) -> Result<T, JournalError> {
        what().map_err(|why| why.at(&*self.path))
    }

    // What is not on disk is looked at first: what leaves it meanwhile is on disk then.
    fn row(&self, key: &str) -> Result<Option<Row>, JournalErrorKind> {
        let mut memory = self.memory();
        memory.check()?;
        if let Some(known) = memory.item(key) {
            return Ok(known.clone());
        }
        let items = match &memory.items {
            Some(items) => items.clone(),
            None => {
                let items = Arc::new(self.store.begin_read()?.open_table(ITEMS)?);
                memory.items.insert(items).clone()
            }
        };
        drop(memory);
        let stored = items.get(key)?;
        stored.map(|stored| parse(stored.value())).transpose()
    }

    fn activity_state(
        &self,
        key: &str,
        activity: Digest,
    ) -> Result<Option<ActivityState>, JournalErrorKind> {
        let memory = self.memory();
        memory.check()?;
        if let Some(known) = memory.activity(key, activity) {
            return Ok(known);
        }
        drop(memory);
        let read = self.store.begin_read()?;
        let at = (key, activity.as_bytes());
        if let Some(intent) = read.open_table(INTENTS)?.get(at)? {
            return Ok(Some(ActivityState::Intended { run: intent.value().0 }));
        }
        let settled = read.open_table(ACTIVITIES)?.get(at)?;
        Ok(settled.map(|added| match added.value() {
            true => ActivityState::Added,
            false => ActivityState::Uncertain,
        }))
    }

    fn last_seen(
        &self,
        row: &Row,
        read: Option<&ReadTransaction>,
    ) -> Result<u64, JournalErrorKind> {
        let memory = self.memory();
        let run = memory.run;
        if row.run >= run || memory.marks.has(row.number) {
            return Ok(run);
        }
        if row.run + 1 >= run || memory.earlier.has(row.number) {
            return Ok(run - 1);
        }
        drop(memory);
        let first = (row.run + 1).max(run.saturating_sub(RUNS - 1));
        if first < run - 1 {
            let begun;
            let read = match read {
                Some(read) => read,
                None => {
                    begun = self.store.begin_read()?;
                    &begun
                }
            };
            let marks = read.open_table(MARKS)?;
            let (chunk, place) = Marks::place(row.number);
            for run in (first..run - 1).rev() {
                let stored = marks.get((run, chunk))?;
                if stored.is_some_and(|bits| Marks::is_set(bits.value(), place)) {
                    return Ok(run);
                }
            }
        }
        Ok(row.run)
    }

    /// The first of what [`unseen`](Self::unseen) tells that comes after that key.
    pub(crate) fn unseen_from(
        &self,
        after: Option<&str>,
        run: u64,
    ) -> Result<Vec<(Box<str>, Record)>, JournalError> {
        self.named(|| self.unseen_after(after, run))
    }

    fn unseen_after(
        &self,
        after: Option<&str>,
        run: u64,
    ) -> Result<Vec<(Box<str>, Record)>, JournalErrorKind> {
        // Nothing changes meanwhile, and nothing is known that is not on disk.
        let _writer = lock(&self.writer);
        self.commit(false)?;
        let mut found = Vec::new();
        let read = self.store.begin_read()?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        for stored in read.open_table(ITEMS)?.range::<&str>((from, Bound::Unbounded))? {
            let (key, row) = stored?;
            let (key, row) = (key.value(), parse(row.value())?);
            let seen = self.last_seen(&row, Some(&read))?;
            if seen < run {
                found.push((key.into(), record(key, row, seen)));
                if found.len() == BATCH {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Adds a change to the group.
    fn stage(&self, change: Change<'_>, now: Duration) -> Result<(), JournalErrorKind> {
        self.memory().check()?;
        match change {
            Change::Seen { key } => {
                let looked_up = self.memory().looked_up.take().filter(|known| *known.0 == *key);
                let known = match looked_up {
                    Some((_, number, run)) => Some((number, run)),
                    None => self.row(key)?.map(|row| (row.number, row.run)),
                };
                let mut memory = self.memory();
                if let Some((number, _)) = known.filter(|(_, run)| *run < memory.run) {
                    memory.marks.add(number, now);
                }
                return Ok(());
            }
            Change::Stored { key, id, hash } => {
                self.put(key, id, State::Stored, Some(hash), None)?
            }
            Change::Arriving { key, id } => self.put_ahead(key, id, State::Uncertain)?,
            Change::Departing { key, id } => self.put_ahead(key, id, State::Leaving)?,
            Change::NotSent { key } => {
                let mut memory = self.memory();
                if let Some(known) = memory.announced.remove(key) {
                    memory.pending.more -= i64::from(known.is_none());
                    memory.pending.put_item(key, known);
                }
            }
            Change::Failed { key, id } => {
                let before = self.memory().announced.remove(key);
                let known = before.map_or_else(|| self.row(key), Ok)?;
                // That this failed says nothing of what may have been stored or deleted before.
                let state = match known {
                    Some(Row { state: State::Leaving, .. }) => State::Leaving,
                    Some(Row { state: State::Uncertain, hash: None, .. }) => State::Uncertain,
                    _ => State::Failed,
                };
                self.put(key, id, state, None, None)?;
            }
            Change::Uncertain { key, id } => self.put(key, id, State::Uncertain, None, None)?,
            Change::Leaving { key, id } => self.put(key, id, State::Leaving, None, None)?,
            Change::Deleted { key } => {
                let known = self.row(key)?.is_some();
                let mut memory = self.memory();
                memory.announced.remove(key);
                memory.pending.more -= i64::from(known);
                memory.pending.forget(key);
            }
            Change::Intended { key, activity, kept } => {
                check_key(key)?;
                let mut memory = self.memory();
                let run = memory.run;
                memory.pending.intend(key, activity, run, kept);
            }
            Change::Added { key, activity } => {
                check_key(key)?;
                let state = Some(ActivityState::Added);
                self.memory().pending.put_activity(key, activity, state);
            }
            Change::NotAdded { key, activity } => {
                check_key(key)?;
                self.memory().pending.put_activity(key, activity, None);
            }
            Change::MaybeAdded { key, activity } => {
                check_key(key)?;
                let state = Some(ActivityState::Uncertain);
                self.memory().pending.put_activity(key, activity, state);
            }
            Change::Watermark(watermark) => {
                self.memory().pending.watermark = Some(watermark.into());
            }
            Change::RunComplete => {
                let mut memory = self.memory();
                memory.complete = memory.run;
                let run = memory.run;
                memory.pending.numbers.insert(COMPLETE, run);
            }
        }
        let mut memory = self.memory();
        memory.looked_up = None;
        memory.pending.outcomes += 1;
        memory.pending.since.get_or_insert(now);
        Ok(())
    }

    /// What may be as soon as what is about to be done goes out.
    fn put_ahead(&self, key: &str, id: &ItemId, state: State) -> Result<(), JournalErrorKind> {
        let known = self.row(key)?;
        let state = match &known {
            Some(Row { state: State::Leaving, .. }) => State::Leaving,
            _ => state,
        };
        // Nothing has become of it yet, so no letter about it is older for that.
        let run = known.as_ref().map(|row| self.last_seen(row, None)).transpose()?;
        let before = self.memory().announced.remove(key);
        self.put(key, id, state, None, run)?;
        self.memory().announced.insert(key.into(), before.unwrap_or(known));
        Ok(())
    }

    fn put(
        &self,
        key: &str,
        id: &ItemId,
        state: State,
        hash: Option<Digest>,
        run: Option<u64>,
    ) -> Result<(), JournalErrorKind> {
        check_key(key)?;
        let known = self.row(key)?;
        let mut memory = self.memory();
        memory.announced.remove(key);
        let number = known.as_ref().map_or(memory.next, |row| row.number);
        if known.is_none() {
            memory.next += 1;
            let next = memory.next;
            memory.pending.numbers.insert(NEXT, next);
            memory.pending.more += 1;
        }
        let hash = hash.or_else(|| known?.hash);
        let id = (ItemId::from_key(key) != *id).then(|| id.clone());
        let row = Row { number, run: run.unwrap_or(memory.run), state, hash, id };
        memory.pending.put_item(key, Some(row));
        Ok(())
    }

    /// Puts the group on disk, and what was only seen if that is wanted. Only for who has the
    /// writer's lock.
    fn commit(&self, with_marks: bool) -> Result<(), JournalErrorKind> {
        let mut memory = self.memory();
        memory.check()?;
        let marks = if with_marks { memory.marks.take_changed() } else { Vec::new() };
        if memory.pending.is_empty() && marks.is_empty() {
            return Ok(());
        }
        let group = std::mem::take(&mut memory.pending);
        drop(memory);
        self.write(group, &marks, None)
    }

    fn write(
        &self,
        group: Group,
        marks: &[(u64, Box<[u8]>)],
        forget_before: Option<u64>,
    ) -> Result<(), JournalErrorKind> {
        let group = Arc::new(group);
        let mut memory = self.memory();
        // One that was left here was lost in a panic.
        memory.broken |= memory.writing.is_some();
        memory.check()?;
        memory.writing = Some(group.clone());
        let run = memory.run;
        drop(memory);
        let written = self.write_now(run, &group, marks, forget_before);
        let mut memory = self.memory();
        memory.writing = None;
        memory.items = None;
        memory.broken = written.is_err();
        written
    }

    fn write_now(
        &self,
        run: u64,
        group: &Group,
        marks: &[(u64, Box<[u8]>)],
        forget_before: Option<u64>,
    ) -> Result<(), JournalErrorKind> {
        let mut write = self.store.begin_write()?;
        write.set_two_phase_commit(true);
        group.write(&write)?;
        Marks::write(run, marks, &write)?;
        if let Some(first) = forget_before {
            Marks::forget_before(first, &write)?;
        }
        Ok(write.commit()?)
    }
}

/// What was told is synced as by [`sync`](Journal::sync), which also says whether that went well.
impl Drop for Journal {
    fn drop(&mut self) {
        // Where it fails it would have failed before.
        let _ = self.sync();
        self.memory().items = None;
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("path", &self.path).finish_non_exhaustive()
    }
}

fn check_key(key: &str) -> Result<(), JournalErrorKind> {
    match key.len() {
        0..=Journal::LONGEST_KEY => Ok(()),
        bytes => Err(JournalErrorKind::KeyTooLong(bytes)),
    }
}

fn parse(row: &[u8]) -> Result<Row, JournalErrorKind> {
    Row::from_bytes(row).ok_or_else(|| JournalErrorKind::Damaged("a row has no meaning".into()))
}

fn record(key: &str, row: Row, run: u64) -> Record {
    let id = row.id.unwrap_or_else(|| ItemId::from_key(key));
    Record { id, hash: row.hash, state: row.state, run }
}
