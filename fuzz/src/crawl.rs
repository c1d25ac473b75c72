//! Crawls one after the other over one journal, some of which die: what the source has is there in
//! the end, no activity twice, and what the service refuses has a letter.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
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
    Crawl, CrawlSettings, DeadLetterLines, DeadLetters, Entry, Job, Journal, Pass, Scope, Sweep,
    Written,
};
use graphfeed_emulator::{Item, Options};
use graphfeed_simulation::{Back, CONNECTIONS, Tenant, Way, drive};
use http::Request;

use crate::{
    drive::World,
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
        for _ in 0..world.wire.tape.up_to(3) {
            let source = Source::any(&mut world.wire.tape);
            world = crawl(world, folder, &source, false);
        }
        // Whatever was, the last one comes to its end.
        let source = Source::any(&mut world.wire.tape);
        world.wire.tape = Tape::new(&[]);
        world.policy = Default::default();
        world.shared = Default::default();
        world = crawl(world, folder, &source, true);
        source.is_there(&world, &folder.letters());
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
}

/// What a source has under its keys: a serial number, and who has viewed it.
struct Source {
    entries: Vec<Entry>,
    items: BTreeMap<String, (u64, BTreeSet<u128>)>,
    /// Keys of which nothing can be made, and what is there stays.
    refused: BTreeSet<String>,
    /// Keys that come more than once; what the last of them says is there, for all that is told.
    twice: bool,
}

impl Source {
    fn any(tape: &mut Tape<'_>) -> Self {
        let mut source = Self {
            entries: Vec::new(),
            items: BTreeMap::new(),
            refused: BTreeSet::new(),
            twice: false,
        };
        for nth in 0..tape.up_to(10) {
            let key = format!("wiki/{}", tape.up_to(7));
            match tape.up_to(9) {
                1 => {
                    let why = Fault::new(Rule::AclRequired, "$.acl", "nobody could see the item");
                    source.entries.push(Entry::refused(&*key, why.into()));
                    source.twice |= source.items.contains_key(&key);
                    source.refused.insert(key);
                }
                2 => {
                    source.entries.push(Entry::gone(&*key));
                    source.items.remove(&key);
                }
                3 => source.entries.push(Entry::Watermark(vec![nth as u8])),
                _ => source.put(&key, tape),
            }
        }
        source
    }

    fn put(&mut self, key: &str, tape: &mut Tape<'_>) {
        let serial = u64::from(tape.up_to(2));
        let viewers: BTreeSet<u128> =
            (0..tape.up_to(3)).map(|_| u128::from(tape.up_to(24))).collect();
        let item = ExternalItem::builder(ItemId::from_key(key))
            .acl(Acl::everyone(Guid::from(7)))
            .property("serial", serial as i64)
            .build();
        let start = "2026-01-01T00:00:00Z".parse().expect("a date");
        let viewed = |by: &u128| ExternalActivity::viewed(start, Identity::user(Guid::from(*by)));
        let entry = Entry::item(key, item.expect("an item"));
        self.entries.push(viewers.iter().map(viewed).fold(entry, Entry::with_activity));
        self.twice |= self.refused.contains(key);
        self.items.insert(key.to_owned(), (serial, viewers));
    }

    /// What the source has is in the service, after a run in which nothing went wrong.
    fn is_there(&self, world: &World<'_>, letters: &Path) {
        let there: BTreeMap<String, Item> = world
            .wire
            .emulator
            .items(CONNECTIONS[0])
            .into_iter()
            .map(|item| (key_of(&item), item))
            .collect();
        let file = fs::read(letters).unwrap_or_default();
        let letters: Vec<_> =
            DeadLetterLines::new(&*file).map(|it| it.expect("a letter").1).collect();
        for (key, (serial, viewers)) in &self.items {
            if self.twice && self.refused.contains(key) {
                continue;
            }
            let item = there.get(key).unwrap_or_else(|| panic!("{key} is not there"));
            assert_eq!(item.properties[0].json, serial.to_string(), "{key}");
            for by in viewers {
                let by = Guid::from(*by).to_string();
                let is_there = item.activities.iter().any(|it| it.performed_by_id == by);
                let has_letter = letters.iter().any(|letter| {
                    let body = letter.request.as_ref().and_then(|it| it.body.as_ref());
                    letter.key.as_deref() == Some(key)
                        && body.is_some_and(|it| it.get().contains(&by))
                });
                assert!(is_there || has_letter, "{by} is not on {key}, and has no letter");
            }
        }
        for key in &self.refused {
            assert!(letters.iter().any(|it| it.key.as_deref() == Some(key)), "{key} has no letter");
        }
    }
}

fn key_of(item: &Item) -> String {
    let id = ItemId::existing(&item.id).expect("an id");
    id.key().expect("a key").into_owned()
}

/// One run. It may die on the way.
fn crawl<'a>(mut world: World<'a>, folder: &Folder, source: &Source, is_last: bool) -> World<'a> {
    let root = ServiceRoot::v1();
    let connection = ConnectionId::new(CONNECTIONS[0]).expect("an id");
    let journal = Journal::open(folder.journal(), &Scope::new(&root, &connection));
    let letters = DeadLetters::open(folder.letters());
    let mut settings = CrawlSettings::default();
    settings.most_swept = 1.0;
    settings.ingest.in_flight = 1 + world.wire.tape.up_to(7) as usize;
    settings.ingest.queue = 1 + world.wire.tape.up_to(15) as usize;
    settings.ingest.packing = world.wire.tape.one_of(&[Packing::Singles, Packing::Batches]);
    let (journal, letters) = (journal.expect("a journal"), letters.expect("letters"));
    let crawl = Crawl::new(root, connection, journal, letters, settings).expect("a crawl");
    let pass = crawl.begin().expect("it begins");
    let dies = match world.wire.tape.once_in(3) {
        true => Tick::default() + world.wire.tape.time(),
        false => Tick::MAX,
    };
    let mut running = Running { world, back: HashMap::new() };
    let summary = running.run_through(&crawl, &pass, dies, pass.offers(source.entries.clone()));
    if let Some(summary) = summary {
        let unseen = pass.unseen(&summary).expect("it goes on");
        if let Some(swept) = running.run_through(&crawl, &pass, dies, unseen) {
            let report = pass.finish(Some(&swept)).expect("it ends");
            assert_eq!(report.seen, report.ok + report.failed + report.skipped);
            // It saw the source whole, and the tape was over before it began.
            if is_last && source.refused.is_empty() {
                assert_eq!(report.sweep, Sweep::Done, "{report:?}");
            }
        }
    }
    for item in running.world.wire.emulator.items(CONNECTIONS[0]) {
        let who: Vec<_> = item.activities.iter().map(|it| &it.performed_by_id).collect();
        let all: BTreeSet<_> = who.iter().collect();
        assert_eq!(all.len(), who.len(), "an activity is there twice: {who:?}");
    }
    running.world
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
        let trip = self.running.world.wire.send(now, &attempt.request);
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
        self.pass.hear(&job, &outcome).expect("it is put on disk");
    }
}
