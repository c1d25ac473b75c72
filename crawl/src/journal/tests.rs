//! What is left of a journal after a crash: each test breaks off what is written to the file
//! somewhere, opens what is there, and compares it with what was told.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use graphfeed_core::{
    protocol::ServiceRoot,
    types::{ConnectionId, ItemId},
};
use proptest::prelude::*;
use redb::StorageBackend;

use super::*;

mod damage;

const NOW: Duration = Duration::ZERO;

/// A file that remembers what was done to it.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    bytes: Vec<u8>,
    done: Vec<Done>,
    // How much more may be done before all fails.
    left: Option<usize>,
}

#[derive(Clone, Debug)]
enum Done {
    Write(usize, Vec<u8>),
    SetLen(usize),
    Sync,
}

impl Done {
    fn again(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, data) => {
                bytes.resize(bytes.len().max(at + data.len()), 0);
                bytes[*at..at + data.len()].copy_from_slice(data);
            }
            Self::SetLen(len) => bytes.resize(*len, 0),
            Self::Sync => {}
        }
    }
}

impl Disk {
    fn with(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Written { bytes, ..Written::default() })))
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        lock(&self.0)
    }

    fn act(&self, done: Done) -> io::Result<()> {
        let mut written = self.written();
        if let Some(left) = &mut written.left {
            *left = left.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
        }
        done.again(&mut written.bytes);
        written.done.push(done);
        Ok(())
    }

    fn journal(&self) -> Result<Journal, JournalErrorKind> {
        file::open_on(self.clone(), &scope())
            .and_then(|store| Journal::on(store, Path::new("j"), &scope()))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let from = offset as usize;
        let written = self.written();
        let found = written.bytes.get(from..from + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.act(Done::SetLen(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.act(Done::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.act(Done::Write(offset as usize, data.to_vec()))
    }
}

fn scope() -> Scope {
    Scope::new(&ServiceRoot::v1(), &ConnectionId::new("contosohr").unwrap())
}

fn key(number: u8) -> String {
    match number {
        0 => String::new(),
        1 => "long ".repeat(1200),
        2 => "🦀".into(),
        _ => format!("key {number}"),
    }
}

fn digest(number: u8) -> Digest {
    Digest::of([[number]])
}

const KEYS: u8 = 40;
const ACTIVITIES: u8 = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    Seen(u8),
    Stored(u8, u8),
    Arriving(u8),
    Departing(u8),
    NotSent(u8),
    Failed(u8),
    Uncertain(u8),
    Leaving(u8),
    Deleted(u8),
    Intended(u8, u8),
    Added(u8, u8),
    NotAdded(u8, u8),
    MaybeAdded(u8, u8),
    Watermark(u8),
    Complete,
    Sync,
    Run,
}

fn step() -> impl Strategy<Value = Step> {
    let (key, activity) = (0..KEYS, 0..ACTIVITIES);
    prop_oneof![
        6 => key.clone().prop_map(Step::Seen),
        12 => (key.clone(), any::<u8>()).prop_map(|(key, hash)| Step::Stored(key, hash)),
        4 => key.clone().prop_map(Step::Arriving),
        2 => key.clone().prop_map(Step::Departing),
        2 => key.clone().prop_map(Step::NotSent),
        2 => key.clone().prop_map(Step::Failed),
        2 => key.clone().prop_map(Step::Uncertain),
        2 => key.clone().prop_map(Step::Leaving),
        3 => key.clone().prop_map(Step::Deleted),
        4 => (key.clone(), activity.clone()).prop_map(|(key, it)| Step::Intended(key, it)),
        2 => (key.clone(), activity.clone()).prop_map(|(key, it)| Step::Added(key, it)),
        1 => (key.clone(), activity.clone()).prop_map(|(key, it)| Step::NotAdded(key, it)),
        1 => (key, activity).prop_map(|(key, it)| Step::MaybeAdded(key, it)),
        1 => any::<u8>().prop_map(Step::Watermark),
        1 => Just(Step::Complete),
        2 => Just(Step::Sync),
        1 => Just(Step::Run),
    ]
}

type Known = (State, Option<Digest>, u64);

/// What a journal is expected to know.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    items: BTreeMap<u8, Known>,
    activities: BTreeMap<(u8, u8), ActivityState>,
    watermark: Option<u8>,
    run: u64,
    complete: u64,
}

impl Model {
    /// What was known of what is about to be put or deleted is known as long as the run goes on; and
    /// which keys it has seen.
    fn told(&mut self, step: Step, announced: &mut BTreeMap<u8, Option<Known>>, seen: &[u8]) {
        let run = self.run;
        let known = |key| self.items.get(&key).and_then(|(_, hash, _)| *hash);
        let mut before = None;
        match step {
            Step::Arriving(_) | Step::Departing(_) => {}
            Step::Run => announced.clear(),
            Step::Stored(key, _)
            | Step::NotSent(key)
            | Step::Failed(key)
            | Step::Uncertain(key)
            | Step::Leaving(key)
            | Step::Deleted(key) => before = announced.remove(&key),
            _ => {}
        }
        match step {
            Step::Stored(key, hash) => {
                self.items.insert(key, (State::Stored, Some(digest(hash)), run));
            }
            Step::Arriving(key) | Step::Departing(key) => {
                let now = self.items.get(&key).copied();
                announced.entry(key).or_insert(now);
                let state = match (now, step) {
                    (Some((State::Leaving, ..)), _) | (_, Step::Departing(_)) => State::Leaving,
                    _ => State::Uncertain,
                };
                let run = now.filter(|_| !seen.contains(&key)).map_or(run, |(_, _, run)| run);
                self.items.insert(key, (state, known(key), run));
            }
            Step::NotSent(key) => match before {
                Some(Some(known)) => drop(self.items.insert(key, known)),
                Some(None) => drop(self.items.remove(&key)),
                None => {}
            },
            Step::Failed(key) => {
                let state = match before.unwrap_or(self.items.get(&key).copied()) {
                    Some((State::Leaving, ..)) => State::Leaving,
                    Some((State::Uncertain, None, _)) => State::Uncertain,
                    _ => State::Failed,
                };
                self.items.insert(key, (state, known(key), run));
            }
            Step::Uncertain(key) => {
                self.items.insert(key, (State::Uncertain, known(key), run));
            }
            Step::Leaving(key) => {
                self.items.insert(key, (State::Leaving, known(key), run));
            }
            Step::Deleted(key) => {
                self.items.remove(&key);
                self.activities.retain(|(of, _), _| *of != key);
            }
            Step::Intended(key, activity) => {
                self.activities.insert((key, activity), ActivityState::Intended { run });
            }
            Step::Added(key, activity) => {
                self.activities.insert((key, activity), ActivityState::Added);
            }
            Step::NotAdded(key, activity) => {
                self.activities.remove(&(key, activity));
            }
            Step::MaybeAdded(key, activity) => {
                self.activities.insert((key, activity), ActivityState::Uncertain);
            }
            Step::Watermark(watermark) => self.watermark = Some(watermark),
            Step::Complete => self.complete = run,
            Step::Run => self.run += 1,
            Step::Seen(_) | Step::Sync => {}
        }
    }

    fn of(journal: &Journal) -> Self {
        let mut found = Self::default();
        for number in 0..KEYS {
            let key = key(number);
            if let Some(known) = journal.record(&key).unwrap() {
                assert_eq!(known.id, ItemId::from_key(&key));
                found.items.insert(number, (known.state, known.hash, known.run));
            }
            for activity in 0..ACTIVITIES {
                if let Some(state) = journal.activity(&key, digest(activity)).unwrap() {
                    found.activities.insert((number, activity), state);
                }
            }
        }
        found.watermark = journal.watermark().unwrap().map(|watermark| watermark[0]);
        found.run = journal.last_run().map_or(0, |run| run.number);
        found.complete = journal.last_complete_run().unwrap_or(0);
        let open = |state: &&ActivityState| matches!(state, ActivityState::Intended { .. });
        let intents = found.activities.values().filter(open).count();
        assert_eq!(journal.intents().unwrap().len(), intents);
        assert_eq!(journal.len().unwrap(), found.items.len() as u64);
        found
    }
}

/// A journal that is told things, and what is to be found after a crash at any moment of that.
struct Session {
    disk: Disk,
    begin: Vec<u8>,
    // What was known at a sync, how many outcomes that were, and how much was done by then.
    synced: Vec<(usize, usize, Model)>,
    // How much was done when so many outcomes had been told.
    told: Vec<usize>,
    announced: BTreeMap<u8, Option<Known>>,
}

impl Session {
    fn new() -> (Self, Journal) {
        let disk = Disk::default();
        drop(file::make_on(disk.clone(), &scope()).unwrap());
        let begin = disk.written().bytes.clone();
        disk.written().done.clear();
        let journal = disk.journal().unwrap();
        let opened = disk.written().done.len();
        let synced = vec![(0, 0, Model::default()), (opened, 0, Model::default())];
        (Self { disk, begin, synced, told: Vec::new(), announced: BTreeMap::new() }, journal)
    }

    fn run(steps: impl IntoIterator<Item = Step>) -> Self {
        let (mut session, journal) = Self::new();
        let mut model = Model::default();
        let mut seen = Vec::new();
        for step in steps {
            // What more runs have seen is forgotten, by and by.
            if !matches!(step, Step::Run) || model.run < RUNS {
                session.step(&journal, step, &mut model, &mut seen);
            }
        }
        session.step(&journal, Step::Sync, &mut model, &mut seen);
        assert_eq!(Model::of(&journal), model);
        drop(journal);
        session
    }

    fn step(&mut self, journal: &Journal, step: Step, model: &mut Model, seen: &mut Vec<u8>) {
        let apply = |number, change: &dyn Fn(&str, &ItemId)| {
            let key = key(number);
            change(&key, &ItemId::from_key(&key));
        };
        let tell = |change: Change<'_>| journal.apply(change, NOW).unwrap();
        let mut with_seen = false;
        let mut outcome = true;
        match step {
            Step::Seen(it) => {
                apply(it, &|key, _| tell(Change::Seen { key }));
                seen.push(it);
                outcome = false;
            }
            Step::Stored(it, hash) => {
                let hash = digest(hash);
                apply(it, &|key, id| tell(Change::Stored { key, id, hash }));
            }
            Step::Arriving(it) => apply(it, &|key, id| tell(Change::Arriving { key, id })),
            Step::Departing(it) => apply(it, &|key, id| tell(Change::Departing { key, id })),
            Step::NotSent(it) => apply(it, &|key, _| tell(Change::NotSent { key })),
            Step::Failed(it) => apply(it, &|key, id| tell(Change::Failed { key, id })),
            Step::Uncertain(it) => apply(it, &|key, id| tell(Change::Uncertain { key, id })),
            Step::Leaving(it) => apply(it, &|key, id| tell(Change::Leaving { key, id })),
            Step::Deleted(it) => {
                apply(it, &|key, _| tell(Change::Deleted { key }));
                seen.retain(|key| *key != it);
            }
            Step::Intended(it, activity) => {
                let activity = digest(activity);
                apply(it, &|key, _| tell(Change::Intended { key, activity, kept: key.as_bytes() }));
            }
            Step::Added(it, activity) => {
                let activity = digest(activity);
                apply(it, &|key, _| tell(Change::Added { key, activity }));
            }
            Step::NotAdded(it, activity) => {
                let activity = digest(activity);
                apply(it, &|key, _| tell(Change::NotAdded { key, activity }));
            }
            Step::MaybeAdded(it, activity) => {
                let activity = digest(activity);
                apply(it, &|key, _| tell(Change::MaybeAdded { key, activity }));
            }
            Step::Watermark(watermark) => tell(Change::Watermark(&[watermark])),
            Step::Complete => tell(Change::RunComplete),
            Step::Sync => {
                journal.sync().unwrap();
                (with_seen, outcome) = (true, false);
            }
            Step::Run => {
                // In two steps, so that each writes once.
                self.step(journal, Step::Sync, model, seen);
                assert_eq!(journal.begin_run().unwrap(), model.run + 1);
                outcome = false;
            }
        }
        model.told(step, &mut self.announced, seen);
        if with_seen {
            for key in seen.drain(..) {
                let run = model.run;
                model.items.entry(key).and_modify(|(_, _, last)| *last = run);
                if let Some(Some((_, _, last))) = self.announced.get_mut(&key) {
                    *last = run;
                }
            }
        }
        let done = self.disk.written().done.len();
        if outcome {
            self.told.push(done);
        }
        if done > self.synced.last().unwrap().0 {
            assert_eq!(journal.memory().pending.outcomes, 0, "it was written in part");
            self.synced.push((done, self.told.len(), model.clone()));
        }
    }

    /// What is found in `bytes`, which a crash has left after so much was done.
    fn check(&self, done: usize, bytes: Vec<u8>) -> Disk {
        let disk = Disk::with(bytes);
        let journal = disk.journal().unwrap_or_else(|why| panic!("after {done}: {why:?}"));
        let found = Model::of(&journal);
        let last = self.synced.partition_point(|(at, ..)| *at <= done) - 1;
        let may_be = &self.synced[last..self.synced.len().min(last + 2)];
        let right = may_be.iter().find(|(.., model)| *model == found);
        let mixture = || panic!("after {done} {found:?}\nand not one of {may_be:?}");
        let (_, outcomes, _) = right.unwrap_or_else(mixture);
        let told = self.told.partition_point(|at| *at <= done);
        assert!(told.saturating_sub(*outcomes) < Journal::GROUP, "{told} told, {outcomes} kept");
        disk
    }
}

/// A script that does a little of everything, the same each time.
fn script(length: usize) -> Vec<Step> {
    use proptest::{
        strategy::ValueTree,
        test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
    };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let steps = proptest::collection::vec(step(), length);
    steps.new_tree(&mut runner).unwrap().current()
}

#[test]
fn after_a_crash_at_any_moment_the_last_sync_or_the_next_is_found() {
    let session = Session::run(script(500));
    let done = session.disk.written().done.clone();
    assert!(session.synced.len() > 30 && done.len() > 300, "too little to break");
    let mut bytes = session.begin.clone();
    for (at, step) in done.iter().enumerate() {
        step.again(&mut bytes);
        session.check(at + 1, bytes.clone());
    }
    assert_eq!(bytes, session.disk.written().bytes);
}

/// Leaves of what was done since the last sync what chance says: each write, some of its sectors,
/// or nothing.
fn torn(bytes: &mut Vec<u8>, since_sync: &[Done], random: &mut impl FnMut() -> u64) {
    const SECTOR: usize = 512;
    for done in since_sync {
        match (done, random() % 3) {
            (_, 0) => {}
            (Done::Write(at, data), 1) => {
                for (sector, part) in data.chunks(SECTOR).enumerate() {
                    if random().is_multiple_of(2) {
                        Done::Write(at + sector * SECTOR, part.to_vec()).again(bytes);
                    }
                }
            }
            _ => done.again(bytes),
        }
    }
}

/// Numbers that look like chance.
fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}

#[test]
fn after_a_power_cut_too_whatever_of_the_last_writes_reached_the_disk() {
    let session = Session::run(script(400));
    let done = session.disk.written().done.clone();
    let mut random = random(1);
    let mut bytes = session.begin.clone();
    let mut since_sync = 0;
    for (at, step) in done.iter().enumerate() {
        for _ in 0..2 {
            let mut left = bytes.clone();
            // A sync under way is not yet a promise.
            torn(&mut left, &done[since_sync..=at], &mut random);
            session.check(at, left);
        }
        if matches!(step, Done::Sync) {
            done[since_sync..=at].iter().for_each(|done| done.again(&mut bytes));
            since_sync = at + 1;
        }
    }
    assert_eq!(since_sync, done.len(), "all was synced in the end");
}

#[test]
fn a_crash_while_a_journal_is_opened_after_a_crash_does_no_harm() {
    let session = Session::run(script(200));
    let done = session.disk.written().done.clone();
    let mut random = random(2);
    let mut bytes = session.begin.clone();
    for (at, step) in done.iter().enumerate() {
        step.again(&mut bytes);
        if at % 7 != 0 {
            continue;
        }
        let opened = session.check(at + 1, bytes.clone()).written().done.clone();
        let mut again = bytes.clone();
        let mut since_sync = 0;
        for (second, step) in opened.iter().enumerate() {
            let mut left = again.clone();
            torn(&mut left, &opened[since_sync..=second], &mut random);
            session.check(at + 1, left);
            if matches!(step, Done::Sync) {
                opened[since_sync..=second].iter().for_each(|done| done.again(&mut again));
                since_sync = second + 1;
            }
        }
    }
}

#[test]
fn a_failed_write_is_told_and_costs_what_was_not_synced() {
    let is_plain = |step: &Step| matches!(step, Step::Stored(..) | Step::Sync);
    let steps: Vec<Step> = script(250).into_iter().filter(is_plain).collect();
    let session = Session::run(steps.clone());
    let opened = session.synced[1].0;
    let synced = session.synced.last().unwrap().0;
    for left in opened..synced {
        let disk = Disk::with(session.begin.clone());
        let journal = disk.journal().unwrap();
        disk.written().left = Some(left - opened);
        let tell = |step: &Step| match *step {
            Step::Stored(it, hash) => {
                let (key, hash) = (key(it), digest(hash));
                journal.apply(Change::Stored { key: &key, id: &ItemId::from_key(&key), hash }, NOW)
            }
            _ => journal.sync(),
        };
        let mut steps = steps.iter().chain([&Step::Sync]);
        let failed = steps.find_map(|step| tell(step).err()).expect("the disk is full");
        let JournalErrorKind::Io(why) = &failed.kind else { panic!("{failed:?}") };
        assert_eq!(why.kind(), io::ErrorKind::StorageFull);
        for refused in [
            journal.sync(),
            journal.record("a").map(drop),
            journal.len().map(drop),
            journal.begin_run().map(drop),
            journal.apply(Change::Watermark(&[]), NOW),
        ] {
            assert!(matches!(refused.unwrap_err().kind, JournalErrorKind::WriteFailed));
        }
        drop(journal);
        session.check(left, disk.written().bytes.clone());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_is_told_and_wherever_it_breaks_off(
        steps in proptest::collection::vec(step(), 1..250),
        crashes in proptest::collection::vec((0.0..1.0, any::<u64>()), 8),
    ) {
        let session = Session::run(steps);
        let done = session.disk.written().done.clone();
        for (place, seed) in crashes {
            let at = (place * done.len() as f64) as usize;
            let is_sync = |done: &Done| matches!(done, Done::Sync);
            let since_sync = done[..at].iter().rposition(is_sync).map_or(0, |at| at + 1);
            let mut bytes = session.begin.clone();
            done[..since_sync].iter().for_each(|done| done.again(&mut bytes));
            torn(&mut bytes, &done[since_sync..at], &mut random(seed));
            session.check(at, bytes);
        }
    }
}
