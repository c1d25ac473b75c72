//! Crawls one after the other over one journal, some of which die: what the source has is there in
//! the end and nothing else, no activity twice, what the service refuses has a letter, and what a
//! watermark has passed is on record.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::{
    external::{Acl, ExternalActivity, ExternalItem, Identity},
    machine::{Attempt, Ingest, Outcome, Packing, Start, Summary, Tick, Ticket, Token, TokenNeed},
    protocol::{Call, ServiceRoot, TokenError},
    types::{BuildError, ConnectionId, Fault, Guid, ItemId, Rule},
};
use graphfeed_crawl::{
    Crawl, CrawlSettings, DeadLetter, DeadLetterLines, DeadLetters, Entry, Job, Journal, Pass,
    Scope, State, Sweep, Written,
};
use graphfeed_emulator::{Item, Options};
use graphfeed_simulation::{Back, CONNECTIONS, Tenant, Way, drive};
use http::Request;

use crate::{
    drive::{World, keeps_secrets},
    wire::{Tape, Trip},
};

/// What the source has in each run, and what becomes of each attempt.
pub fn run(data: &[u8]) {
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(Folder::new);
        for file in [folder.journal(), folder.letters()] {
            // The last run left it.
            drop(fs::remove_file(file));
        }
        let tenant = Tenant::new(Options::default(), None);
        let mut world = World::new(data, tenant.emulator);
        world.wire.honest = true;
        for nth in 0..world.wire.tape.up_to(3) {
            let source = Source::any(&mut world.wire.tape, nth as u8);
            world = crawl(world, folder, &source, false);
        }
        // Whatever was, the last one comes to its end.
        let source = Source::any(&mut world.wire.tape, u8::MAX);
        world.wire.tape = Tape::new(&[]);
        world.policy = Default::default();
        world.shared = Default::default();
        world = crawl(world, folder, &source, true);
        source.is_there(&world, folder);
    });
}

/// Where the files are: in memory, where there is such a folder.
struct Folder(PathBuf);

thread_local! {
    static FOLDER: OnceCell<Folder> = const { OnceCell::new() };
}

impl Folder {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = base.join(format!("graphfeed-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    fn letters(&self) -> PathBuf {
        self.0.join("dead.ndjson")
    }

    fn all_letters(&self) -> Vec<DeadLetter> {
        let file = fs::read(self.letters()).unwrap_or_default();
        DeadLetterLines::new(&*file).map(|it| it.expect("a letter").1).collect()
    }

    fn open(&self) -> Journal {
        let connection = ConnectionId::new(CONNECTIONS[0]).expect("an id");
        Journal::open(self.journal(), &Scope::new(&ServiceRoot::v1(), &connection))
            .expect("a journal")
    }
}

/// What is in the service, by key.
fn there(world: &World<'_>) -> BTreeMap<String, Item> {
    let items = world.wire.emulator.items(CONNECTIONS[0]).into_iter();
    items.map(|item| (key_of(&item), item)).collect()
}

/// What keys there are.
const KEYS: Range<u32> = 0..8;

fn key_at(number: u32) -> String {
    format!("wiki/{number}")
}

/// What a source says.
enum Said {
    /// An item with a serial number, and who has viewed it.
    Item(String, u64, BTreeSet<u128>),
    Refused(String),
    Gone(String),
    Watermark(Vec<u8>),
}

impl Said {
    fn key(&self) -> Option<&str> {
        match self {
            Self::Item(key, ..) | Self::Refused(key) | Self::Gone(key) => Some(key),
            Self::Watermark(_) => None,
        }
    }

    fn entry(&self) -> Entry {
        match self {
            Self::Item(key, serial, viewers) => {
                let item = ExternalItem::builder(ItemId::from_key(key))
                    .acl(Acl::everyone(Guid::from(7)))
                    .property("serial", *serial as i64)
                    .build();
                let start = "2026-01-01T00:00:00Z".parse().expect("a date");
                let viewed =
                    |by: &u128| ExternalActivity::viewed(start, Identity::user(Guid::from(*by)));
                let entry = Entry::item(key, item.expect("an item"));
                viewers.iter().map(viewed).fold(entry, Entry::with_activity)
            }
            Self::Refused(key) => {
                let why = Fault::new(Rule::AclRequired, "$.acl", "nobody could see the item");
                Entry::refused(key, why.into())
            }
            Self::Gone(key) => Entry::gone(key),
            Self::Watermark(watermark) => Entry::Watermark(watermark.clone()),
        }
    }
}

/// What a source has, in its order.
struct Source(Vec<Said>);

impl Source {
    fn any(tape: &mut Tape<'_>, run: u8) -> Self {
        let count = tape.up_to(10);
        let one = |nth: u32| {
            let key = key_at(tape.up_to(KEYS.end - 1));
            match tape.up_to(9) {
                1 => Said::Refused(key),
                2 => Said::Gone(key),
                3 => Said::Watermark(vec![run, nth as u8]),
                _ => {
                    let serial = u64::from(tape.up_to(2));
                    let viewers = (0..tape.up_to(3)).map(|_| u128::from(tape.up_to(24)));
                    Said::Item(key, serial, viewers.collect())
                }
            }
        };
        Self((0..count).map(one).collect())
    }

    /// What the source has is in the service and nothing else, after a run in which nothing went
    /// wrong.
    fn is_there(&self, world: &World<'_>, folder: &Folder) {
        let there = there(world);
        let letters = folder.all_letters();
        let last: BTreeMap<_, _> = self.0.iter().filter_map(|it| Some((it.key()?, it))).collect();
        let is_refused =
            |key: &str| self.0.iter().any(|it| matches!(it, Said::Refused(it) if it == key));
        for (key, said) in &last {
            if is_refused(key) {
                let mut all = letters.iter();
                assert!(all.any(|it| it.key.as_deref() == Some(key)), "{key} has no letter");
            } else {
                is_so(said, &there, &letters);
            }
        }
        for key in there.keys() {
            assert!(last.contains_key(&**key), "{key} is still there");
        }
        let last = self.0.iter().rev().find_map(|said| match said {
            Said::Watermark(watermark) => Some(watermark),
            _ => None,
        });
        if last.is_some() {
            assert_eq!(folder.open().watermark().expect("it is read").as_ref(), last);
        }
    }

    /// What a watermark has passed is in the service, or a letter of this run tells why not.
    fn has_passed(
        &self,
        watermark: &[u8],
        run: u64,
        there: &BTreeMap<String, Item>,
        letters: &[DeadLetter],
    ) {
        let is_it = |said: &Said| matches!(said, Said::Watermark(it) if it == watermark);
        // It may be one of an earlier run.
        let Some(at) = self.0.iter().position(is_it) else { return };
        let (before, after) = self.0.split_at(at);
        let mut passed: BTreeMap<_, _> =
            before.iter().filter_map(|it| Some((it.key()?, it))).collect();
        // What came of it by then cannot be seen where there was more to do.
        passed.retain(|key, _| after.iter().all(|it| it.key() != Some(*key)));
        for (key, said) in passed {
            let mut own = letters.iter().filter(|it| it.run == Some(run));
            if !own.any(|it| it.key.as_deref() == Some(key)) {
                is_so(said, there, letters);
            }
        }
    }

    /// Those of these keys that it says nothing of.
    fn leaves(&self, known: &BTreeSet<String>) -> BTreeSet<String> {
        let has = |key: &str| self.0.iter().any(|it| it.key() == Some(key));
        known.iter().filter(|key| !has(key)).cloned().collect()
    }
}

/// It is in the service as the source says, or, of those who have viewed it, in a letter.
fn is_so(said: &Said, there: &BTreeMap<String, Item>, letters: &[DeadLetter]) {
    match said {
        Said::Item(key, serial, viewers) => {
            let item = there.get(key).unwrap_or_else(|| panic!("{key} is not there"));
            assert_eq!(item.properties[0].json, serial.to_string(), "{key}");
            for by in viewers.iter().map(|by| Guid::from(*by).to_string()) {
                let is_there = item.activities.iter().any(|it| it.performed_by_id == by);
                let has_letter = letters.iter().any(|letter| {
                    let body = letter.request.as_ref().and_then(|it| it.body.as_ref());
                    letter.key.as_deref() == Some(key)
                        && body.is_some_and(|it| it.get().contains(&by))
                });
                assert!(is_there || has_letter, "{by} is not on {key}, and has no letter");
            }
        }
        Said::Gone(key) => assert!(!there.contains_key(key), "{key} is still there"),
        Said::Refused(key) => panic!("{key} has no letter"),
        Said::Watermark(_) => {}
    }
}

fn key_of(item: &Item) -> String {
    let id = ItemId::existing(&item.id).expect("an id");
    id.key().expect("a key").into_owned()
}

/// One run. It may die on the way.
fn crawl<'a>(mut world: World<'a>, folder: &Folder, source: &Source, is_last: bool) -> World<'a> {
    let connection = ConnectionId::new(CONNECTIONS[0]).expect("an id");
    let journal = folder.open();
    let has_record = |journal: &Journal, key: &str| journal.record(key).expect("read").is_some();
    // What the service has or may have, and not what failed and was never there.
    let is_known = |key: &String| {
        let record = journal.record(key).expect("read");
        record.is_some_and(|it| it.state != State::Failed || it.hash.is_some())
    };
    let known: BTreeSet<String> = KEYS.map(key_at).filter(is_known).collect();
    let was_stored = |key: &String| {
        let record = journal.record(key).expect("read");
        record.is_some_and(|it| it.hash.is_some())
    };
    let unseen = source.leaves(&known);
    // What only may have been stored counts where it would be deleted.
    let counted = known.iter().filter(|key| was_stored(key) || unseen.contains(*key)).count();
    let before = there(&world);
    let letters = DeadLetters::open(folder.letters()).expect("letters");
    let mut settings = CrawlSettings::default();
    settings.most_swept = world.wire.tape.one_of(&[1.0, 1.0, 0.5, 0.1]);
    settings.ingest.in_flight = 1 + world.wire.tape.up_to(7) as usize;
    settings.ingest.queue = 1 + world.wire.tape.up_to(15) as usize;
    settings.ingest.packing = world.wire.tape.one_of(&[Packing::Singles, Packing::Batches]);
    let most_swept = settings.most_swept;
    let crawl =
        Crawl::new(ServiceRoot::v1(), connection, journal, letters, settings).expect("a crawl");
    let pass = crawl.begin().expect("it begins");
    let run = pass.report().run;
    let dies = match world.wire.tape.once_in(3) {
        true => Tick::default() + world.wire.tape.time(),
        false => Tick::MAX,
    };
    let mut running = Running { world, back: HashMap::new() };
    let summary =
        running.run_through(&crawl, &pass, dies, pass.offers(source.0.iter().map(Said::entry)));
    let mut report = None;
    if let Some(summary) = summary {
        let unseen = pass.unseen(&summary).expect("it goes on");
        if let Some(swept) = running.run_through(&crawl, &pass, dies, unseen) {
            report = Some(pass.finish(Some(&swept)).expect("it ends"));
        }
    }
    drop(crawl);
    let Running { world, .. } = running;
    let (there, journal) = (there(&world), folder.open());
    for key in there.keys() {
        assert!(has_record(&journal, key), "{key} is there, and nothing is known of it");
    }
    if let Some(watermark) = journal.watermark().expect("it is read") {
        source.has_passed(&watermark, run, &there, &folder.all_letters());
    }
    if let Some(report) = &report {
        assert_eq!(report.seen, report.ok + report.failed + report.skipped);
        let share = unseen.len() as f64 / counted.max(1) as f64;
        match report.sweep {
            Sweep::Done | Sweep::Partly { .. } => {
                assert!(share <= most_swept, "{unseen:?}: {report:?}");
            }
            Sweep::Brake { .. } => assert!(share > most_swept, "{unseen:?}: {report:?}"),
            _ => {}
        }
        if !matches!(report.sweep, Sweep::Done | Sweep::Partly { .. }) {
            for key in unseen.iter().filter(|key| before.contains_key(*key)) {
                assert!(there.contains_key(key), "{key} was swept: {report:?}");
            }
        }
    }
    // It saw the source whole, and the tape was over before it began.
    if is_last {
        let report = report.expect("it comes to its end");
        assert_eq!(report.sweep, Sweep::Done, "{report:?}");
    }
    for item in there.values() {
        let who: Vec<_> = item.activities.iter().map(|it| &it.performed_by_id).collect();
        let all: BTreeSet<_> = who.iter().collect();
        assert_eq!(all.len(), who.len(), "an activity is there twice: {who:?}");
    }
    world
}

type Offer = (Job, Result<Call<Written>, BuildError>);

struct Running<'a> {
    world: World<'a>,
    /// What comes back for an attempt.
    back: HashMap<Ticket, Trip>,
}

struct Bulk<'r, 'a, I> {
    running: &'r mut Running<'a>,
    pass: &'r Pass<'r>,
    offers: I,
}

impl Running<'_> {
    fn run_through(
        &mut self,
        crawl: &Crawl,
        pass: &Pass<'_>,
        dies: Tick,
        offers: impl Iterator<Item = Offer>,
    ) -> Option<Summary> {
        let seed = u64::from(self.world.wire.tape.up_to(255));
        let now = Tick::default();
        let start = Start::new(ServiceRoot::v1(), self.world.policy.clone(), seed, now);
        let mut ingest = Ingest::new(crawl.settings().ingest.clone(), &start);
        let mut shared = Default::default();
        drive(&mut ingest, &mut shared, now, dies, &mut Bulk { running: self, pass, offers })
    }
}

impl<I: Iterator<Item = Offer>> graphfeed_simulation::World<Job, Written> for Bulk<'_, '_, I> {
    fn supply(&mut self, ingest: &mut Ingest<Job, Written>, now: Tick, room: usize) -> bool {
        for _ in 0..room {
            match self.offers.next() {
                Some((job, Ok(call))) => assert!(ingest.offer(job, call, now).is_ok()),
                Some((job, Err(why))) => assert!(ingest.skip(job, why, now).is_ok()),
                None => {
                    ingest.close();
                    return true;
                }
            }
        }
        room > 0
    }

    fn sent(&mut self, now: Tick, attempt: &Attempt) -> Way {
        keeps_secrets(attempt);
        let World { wire, root, .. } = &mut self.running.world;
        let trip = wire.send(now, root, &attempt.request);
        self.running.back.insert(attempt.ticket, trip);
        Way::There(Duration::ZERO)
    }

    fn arrives(&mut self, _: Tick, ticket: Ticket, _: &Request<Bytes>) -> Back {
        let Trip { after, what, .. } = self.running.back.remove(&ticket).expect("it was sent");
        Back { after, what }
    }

    fn token(&mut self, _: Tick, _: &TokenNeed) -> (Duration, Result<Token, TokenError>) {
        let after = self.running.world.wire.tape.time();
        (after, self.running.world.token())
    }

    fn done(&mut self, _: &mut Ingest<Job, Written>, _: Tick, job: Job, outcome: Outcome<Written>) {
        keeps_secrets(&outcome);
        self.pass.hear(&job, &outcome).expect("it is put on disk");
    }
}
