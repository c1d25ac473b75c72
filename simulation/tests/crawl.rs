//! Crawls whose process dies: at every step of one, and what is promised of the next holds.
//!
//! A death leaves what is in the service, and the files of journal and dead letters as they are at
//! that moment; a request that was on its way may arrive all the same, or not. Then the same crawl is
//! run again to its end, or dies once more.
//!
//! `cargo test --release -p graphfeed-simulation --test crawl -- --ignored` goes on for longer.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::BufReader,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::{
    external::{Acl, ExternalActivity, ExternalItem, Identity},
    machine::{
        Attempt, End, Ending, Ingest, IngestStep, Outcome, Policy, Progress, Shared, Start,
        Summary, Tick, Ticket, Token, TokenNeed,
    },
    protocol::{Applied, Call, ServiceRoot, TokenError},
    types::{BuildError, ConnectionId, Fault, Guid, ItemId, Rule},
};
use graphfeed_crawl::{
    Crawl, CrawlSettings, DeadLetter, DeadLetterLines, DeadLetters, Entry, Job, Journal, Pass,
    Report, Scope, State, Sweep, Written,
};
use graphfeed_emulator::Options;
use graphfeed_simulation::{Back, CONNECTIONS, Dice, Tenant, Way, World, drive};

/// What there is under a key: a serial number, and who has viewed it.
type Content = (u64, BTreeSet<u128>);

/// A source, in the order in which it is read.
#[derive(Clone)]
struct Source {
    entries: Vec<Entry>,
    /// What is there when all of it is stored.
    items: BTreeMap<String, Content>,
}

/// The key of what the service refuses.
const FAILS: &str = "fails";
/// The key of what the source cannot make an item of.
const REFUSED: &str = "refused";
/// The key of what is said to be gone each time, and then given again.
const BACK: &str = "wiki/09";

fn key(number: u64) -> String {
    format!("wiki/{number:02}")
}

impl Source {
    fn new(items: BTreeMap<String, Content>) -> Self {
        let mut source = Self { entries: Vec::new(), items };
        let all: Vec<_> = source.items.clone().into_iter().collect();
        for (key, (serial, viewers)) in all {
            source.put(&key, serial, viewers);
        }
        source
    }

    fn put(&mut self, key: &str, serial: u64, viewers: impl IntoIterator<Item = u128>) {
        let item = ExternalItem::builder(ItemId::from_key(key))
            .acl(Acl::everyone(Guid::from(7)))
            .property("serial", serial as i64)
            .build();
        let start = "2026-01-01T00:00:00Z".parse().unwrap();
        let viewed = |by| ExternalActivity::viewed(start, Identity::user(Guid::from(by)));
        let entry = Entry::item(key, item.unwrap());
        self.entries.push(viewers.into_iter().map(viewed).fold(entry, Entry::with_activity));
    }

    /// Each watermark says how many entries are before it.
    fn with_watermarks(mut self) -> Self {
        for entry in std::mem::take(&mut self.entries) {
            self.entries.push(entry);
            if self.entries.len().is_multiple_of(4) {
                let before = self.entries.len().to_string();
                self.entries.push(Entry::Watermark(before.into()));
            }
        }
        self
    }

    /// What there is before anybody dies.
    fn first() -> Self {
        Self::new((0..12).map(|number| (key(number), (1, [1].into()))).collect())
    }

    /// The same, and of what is new by [then](Self::second) none can be made an item of.
    fn refused() -> Self {
        let mut source = Self::first();
        for number in 12..24 {
            let fault = Fault::new(Rule::AclRequired, "$.acl", "nobody could see the item");
            source.entries.push(Entry::refused(key(number), fault.into()));
        }
        source
    }

    /// Some have changed, some are viewed, some are new, two have vanished, one is said to be gone,
    /// and one to be gone and back.
    fn second() -> Self {
        let viewers = |number: u64| -> BTreeSet<u128> {
            match number % 4 {
                // More than go in one call.
                _ if number == 8 => (1..=22).collect(),
                0 => (1..=3).collect(),
                1 => [1, 2].into(),
                _ => [1].into(),
            }
        };
        let serial = |number: u64| if number.is_multiple_of(3) { 1 } else { 2 };
        let items = (2..24).filter(|number| *number != 5);
        let mut source = Self::new(items.map(|it| (key(it), (serial(it), viewers(it)))).collect());
        let fault = Fault::new(Rule::AclRequired, "$.acl", "nobody could see the item");
        source.entries.insert(6, Entry::refused(REFUSED, fault.into()));
        let is_back = |it: &Entry| matches!(it, Entry::Item { key, .. } if key == BACK);
        let at = source.entries.iter().position(is_back).unwrap();
        source.entries.insert(at, Entry::gone(BACK));
        source.entries.insert(3, Entry::gone(key(5)));
        source.put(FAILS, 1, 1..=3);
        source.put("last", 1, [1]);
        source.items.insert("last".to_owned(), (1, [1].into()));
        source.with_watermarks()
    }
}

fn root() -> ServiceRoot {
    ServiceRoot::v1()
}

fn connection() -> ConnectionId {
    ConnectionId::new(CONNECTIONS[0]).unwrap()
}

/// What outlives a process.
#[derive(Clone)]
struct Remains {
    service: Vec<u8>,
    journal: Vec<u8>,
    letters: Vec<u8>,
    /// Keys whose PUT was heard of, with all that was told on disk.
    synced: BTreeSet<String>,
}

/// Files of one process.
struct Files(tempfile::TempDir);

impl Files {
    fn new(base: &Path) -> Self {
        Self(tempfile::tempdir_in(base).unwrap())
    }

    fn journal(&self) -> PathBuf {
        self.0.path().join("journal")
    }

    fn letters(&self) -> PathBuf {
        self.0.path().join("dead.ndjson")
    }

    fn crawl(&self) -> Crawl {
        let journal = Journal::open(self.journal(), &Scope::new(&root(), &connection())).unwrap();
        let letters = DeadLetters::open(self.letters()).unwrap();
        let mut settings = CrawlSettings::default();
        settings.most_swept = 1.0;
        settings.ingest.in_flight = 6;
        settings.ingest.queue = 12;
        Crawl::new(root(), connection(), journal, letters, settings).unwrap()
    }
}

type Offer = (Job, Result<Call<Written>, BuildError>);

/// One process, alive.
struct Process<'a> {
    tenant: &'a Tenant,
    files: &'a Files,
    crawl: &'a Crawl,
    pass: &'a Pass<'a>,
    dice: &'a mut Dice,
    /// What was sent and has not arrived, in that order.
    flying: Vec<(Ticket, http::Request<Bytes>)>,
    puts: Vec<String>,
    told: BTreeSet<String>,
    synced: BTreeSet<String>,
    /// A step is done, and this one may be the last.
    step: &'a mut dyn FnMut(&mut dyn FnMut() -> Remains),
}

impl Process<'_> {
    fn step(&mut self) {
        // Nothing is left to be put on disk.
        if self.crawl.journal().due().is_none() {
            self.synced.append(&mut self.told);
        }
        assert!(self.told.len() < Journal::GROUP);
        let Self { tenant, files, flying, dice, synced, step, .. } = self;
        step(&mut || {
            let service = tenant_with(&tenant.emulator.save());
            for (_, request) in flying.iter() {
                if dice.chance(0.5) {
                    service.deliver(Tick::default(), request);
                }
            }
            Remains {
                service: service.emulator.save(),
                journal: fs::read(files.journal()).unwrap(),
                letters: fs::read(files.letters()).unwrap(),
                synced: synced.clone(),
            }
        });
    }
}

/// A bulk run of a process.
struct Running<'a, 'b, I> {
    process: &'b mut Process<'a>,
    offers: I,
}

impl<I: Iterator<Item = Offer>> World<Job, Written> for Running<'_, '_, I> {
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
            self.process.step();
        }
        room > 0
    }

    fn sent(&mut self, _: Tick, attempt: &Attempt) -> Way {
        let request = &attempt.request;
        if request.method() == "PUT" {
            let id = request.uri().path().rsplit('/').next().unwrap();
            let key = ItemId::existing(id).unwrap().key().unwrap().into_owned();
            self.process.puts.push(key);
        }
        self.process.flying.push((attempt.ticket, request.clone()));
        self.process.step();
        Way::There(Duration::from_millis(1 + self.process.dice.below(200)))
    }

    fn arrives(&mut self, now: Tick, ticket: Ticket, request: &http::Request<Bytes>) -> Back {
        self.process.flying.retain(|(flying, _)| *flying != ticket);
        let mut back = self.process.tenant.deliver(now, request);
        back.after += Duration::from_millis(1 + self.process.dice.below(200));
        self.process.step();
        back
    }

    fn token(&mut self, now: Tick, _: &TokenNeed) -> (Duration, Result<Token, TokenError>) {
        self.process.tenant.token(now)
    }

    fn done(&mut self, _: &mut Ingest<Job, Written>, _: Tick, job: Job, outcome: Outcome<Written>) {
        self.process.pass.hear(&job, &outcome).unwrap();
        let method = outcome.call.as_ref().map(|call| call.request().method().clone());
        if let (End::Ok(_), Some(http::Method::PUT)) = (&outcome.end, method) {
            self.process.told.insert(job.key().to_owned());
        }
        self.process.step();
    }

    fn looks(&mut self, now: Tick, _: &IngestStep<Job, Written>, _: impl FnOnce() -> Progress) {
        if self.process.crawl.journal().due().is_some_and(|due| due <= now.since_origin()) {
            self.process.pass.sync().unwrap();
            self.process.step();
        }
    }
}

fn run_through(process: &mut Process<'_>, offers: impl Iterator<Item = Offer>) -> Summary {
    let now = Tick::default();
    let settings = &process.crawl.settings().ingest;
    let start = Start::new(root(), Policy::default(), process.dice.number(), now);
    let mut ingest = Ingest::new(settings.clone(), &start);
    let mut running = Running { process, offers };
    let summary = drive(&mut ingest, &mut Shared::default(), now, Tick::MAX, &mut running);
    summary.expect("it comes to its end")
}

/// What a process came to that did not die.
struct Ended {
    tenant: Tenant,
    report: Report,
    puts: Vec<String>,
    remains: Remains,
}

/// Runs a crawl on what an earlier process has left, to its end. At each step it is told what would
/// be left if that were the last one.
fn crawl(
    base: &Path,
    remains: &Remains,
    source: &Source,
    dice: &mut Dice,
    step: &mut dyn FnMut(&mut dyn FnMut() -> Remains),
) -> Ended {
    let tenant = tenant_with(&remains.service);
    let files = Files::new(base);
    if !remains.journal.is_empty() {
        fs::write(files.journal(), &remains.journal).unwrap();
        fs::write(files.letters(), &remains.letters).unwrap();
    }
    let crawl = files.crawl();
    let pass = crawl.begin().unwrap();
    let mut process = Process {
        tenant: &tenant,
        files: &files,
        crawl: &crawl,
        pass: &pass,
        dice,
        flying: Vec::new(),
        puts: Vec::new(),
        told: BTreeSet::new(),
        synced: BTreeSet::new(),
        step,
    };
    process.step();
    let summary = run_through(&mut process, pass.offers(source.entries.clone()));
    process.step();
    let unseen = pass.unseen(&summary).unwrap();
    let swept = run_through(&mut process, unseen);
    process.step();
    let Process { puts, told, mut synced, .. } = process;
    synced.extend(told);
    let report = pass.finish(Some(&swept)).unwrap();
    drop(crawl);
    let remains = Remains {
        service: tenant.emulator.save(),
        journal: fs::read(files.journal()).unwrap(),
        letters: fs::read(files.letters()).unwrap(),
        synced,
    };
    Ended { tenant, report, puts, remains }
}

/// A service with what one before it had, which refuses what it [fails](FAILS).
fn tenant_with(saved: &[u8]) -> Tenant {
    let tenant = Tenant::new(Options::default(), None);
    tenant.emulator.restore(saved).unwrap();
    let id = ItemId::from_key(FAILS);
    let fault = format!("PUT /external/connections/{}/items/{id}: 400", CONNECTIONS[0]);
    tenant.emulator.script(&fault).unwrap();
    tenant
}

/// What is in the service.
fn stored(tenant: &Tenant) -> BTreeMap<String, Content> {
    let items = tenant.emulator.items(CONNECTIONS[0]).into_iter().map(|item| {
        let key = ItemId::existing(&item.id).unwrap().key().unwrap().into_owned();
        let who = |id: &str| u128::from_str_radix(&id.replace('-', ""), 16).unwrap();
        let all: Vec<_> = item.activities.iter().map(|it| who(&it.performed_by_id)).collect();
        let viewers: BTreeSet<_> = all.iter().copied().collect();
        assert_eq!(viewers.len(), all.len(), "an activity is there twice: {key} {all:?}");
        (key, (item.properties[0].json.parse().unwrap(), viewers))
    });
    items.collect()
}

/// Of which keys there are letters, and of which activities.
#[derive(Default)]
struct Dead {
    keys: BTreeSet<String>,
    /// And whether they may be there.
    viewers: BTreeSet<(String, u128, bool)>,
}

fn dead(letters: &[u8]) -> Dead {
    let mut dead = Dead::default();
    // What is torn is cut off when the file is opened.
    let whole = letters.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    for letter in DeadLetterLines::new(BufReader::new(&letters[..whole])) {
        let DeadLetter { key, request, applied, .. } = letter.unwrap().1;
        let key = key.unwrap();
        let body = request.and_then(|request| request.body);
        let body: serde_json::Value =
            body.map_or_else(Default::default, |body| serde_json::from_str(body.get()).unwrap());
        for activity in body["activities"].as_array().into_iter().flatten() {
            let by = activity["performedBy"]["id"].as_str().unwrap().replace('-', "");
            let by = u128::from_str_radix(&by, 16).unwrap();
            dead.viewers.insert((key.clone(), by, applied == Applied::Maybe));
        }
        dead.keys.insert(key);
    }
    dead
}

/// What a death leaves is in order: whatever is on record is true.
fn check_remains(base: &Path, remains: &Remains, source: &Source) {
    let files = Files::new(base);
    fs::write(files.journal(), &remains.journal).unwrap();
    fs::write(files.letters(), &remains.letters).unwrap();
    let crawl = files.crawl();
    let journal = crawl.journal();
    let dead = dead(&remains.letters);
    let there = stored(&tenant_with(&remains.service));
    for key in source.items.keys().map(|key| &**key).chain([FAILS, REFUSED]) {
        let known = journal.record(key).unwrap();
        if known.is_some_and(|known| known.state == State::Failed) {
            assert!(dead.keys.contains(key), "{key} is on record as failed and has no letter");
        }
    }
    for key in remains.synced.iter().filter(|key| *key != BACK) {
        let known = journal.record(key).unwrap().expect("it was put on disk");
        assert_eq!(known.state, State::Stored, "{key} was put on disk");
    }
    let watermark = journal.watermark().unwrap().unwrap_or_default();
    let passed: usize = String::from_utf8(watermark).unwrap().parse().unwrap_or_default();
    for entry in &source.entries[..passed] {
        match entry {
            Entry::Item { key, .. } if key == FAILS => assert!(dead.keys.contains(key)),
            // A later run may be about to delete it once more.
            Entry::Item { key, .. } if key == BACK && !there.contains_key(key) => {}
            Entry::Item { key, .. } => {
                let (serial, viewers) = &source.items[key];
                let (stored, viewed) = &there[key];
                assert_eq!(stored, serial, "the watermark {passed} passed {key}");
                for by in viewers.difference(viewed) {
                    let letter = (key.clone(), *by, true);
                    assert!(dead.viewers.contains(&letter), "{passed} passed {by} of {key}");
                }
            }
            Entry::Gone { key, .. } if key == BACK => {}
            Entry::Gone { key, .. } => assert!(!there.contains_key(key), "{passed} passed {key}"),
            Entry::Refused { key, .. } => assert!(dead.keys.contains(key)),
            _ => {}
        }
    }
}

/// All that is promised of a crawl that came to its end.
fn check_ended(ended: &Ended, before: &Remains, source: &Source) {
    let Report { seen, ok, failed, skipped, .. } = ended.report;
    assert_eq!(seen, ok + failed + skipped);
    assert_eq!((ended.report.ending, &ended.report.sweep), (Ending::Complete, &Sweep::Done));
    let is_again = |key: &&String| before.synced.contains(*key) && *key != BACK;
    let again: Vec<_> = ended.puts.iter().filter(is_again).collect();
    assert!(again.is_empty(), "{again:?} were sent again");
    let dead = dead(&ended.remains.letters);
    let there = stored(&ended.tenant);
    assert!(there.keys().eq(source.items.keys()), "{:?}", there.keys());
    for (key, (serial, viewers)) in &source.items {
        let (stored, viewed) = &there[key];
        assert_eq!(stored, serial, "{key}");
        assert!(viewed.is_subset(viewers), "{key}");
        for by in viewers.difference(viewed) {
            let letter = (key.clone(), *by, true);
            assert!(dead.viewers.contains(&letter), "{by} is not on {key}, and has no letter");
        }
    }
    assert!(dead.keys.contains(FAILS) && dead.keys.contains(REFUSED));
}

/// What is promised where the source is what it was before the crawl that died: what that has
/// changed is changed back, what it has deleted is put again, and what it put for the first time is
/// gone.
fn check_reverted(ended: &Ended, source: &Source) {
    assert_eq!((ended.report.ending, &ended.report.sweep), (Ending::Complete, &Sweep::Done));
    let serials = |items: BTreeMap<String, Content>| -> Vec<_> {
        items.into_iter().map(|(key, (serial, _))| (key, serial)).collect()
    };
    assert_eq!(serials(stored(&ended.tenant)), serials(source.items.clone()));
}

/// In memory, where there is such a folder.
fn base() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// Dies at each of those steps, and each time goes on to the end, with up to two more deaths.
fn die(seed: u64, every: u64) -> u64 {
    let base = base();
    let base = base.path();
    let mut dice = Dice::new(seed);
    let empty = Remains {
        service: Tenant::new(Options::default(), None).emulator.save(),
        journal: Vec::new(),
        letters: Vec::new(),
        synced: BTreeSet::new(),
    };
    let first = crawl(base, &empty, &Source::first(), &mut dice, &mut |_| {});
    let source = Source::second();
    let mut before = first.remains;
    before.synced.clear();
    let mut steps = 0;
    let mut deaths = 0;
    let mut chance = Dice::new(!seed);
    let begin = chance.below(every);
    let ended = crawl(base, &before, &source, &mut dice, &mut |die| {
        steps += 1;
        if steps % every != begin {
            return;
        }
        let mut remains = die();
        for _ in 0..chance.below(3) {
            check_remains(base, &remains, &source);
            // The next one dies, too, somewhere.
            let at = 1 + chance.below(300);
            let mut step = 0;
            let mut left = None;
            let mut own = Dice::new(chance.number());
            crawl(base, &remains, &source, &mut own, &mut |die| {
                step += 1;
                if step == at {
                    left = Some(die());
                }
            });
            deaths += 1;
            let Some(mut next) = left else { break };
            next.synced.append(&mut remains.synced);
            remains = next;
        }
        check_remains(base, &remains, &source);
        let mut own = Dice::new(chance.number());
        if chance.chance(0.3) {
            // What is new cannot be sent any more, or it can.
            if chance.chance(0.5) {
                let ended = crawl(base, &remains, &Source::refused(), &mut own, &mut |_| {});
                remains = ended.remains;
            }
            // The source is what it was, and the service may not be.
            let source = Source::first();
            let ended = crawl(base, &remains, &source, &mut own, &mut |_| {});
            check_reverted(&ended, &source);
        } else {
            let ended = crawl(base, &remains, &source, &mut own, &mut |_| {});
            check_ended(&ended, &remains, &source);
        }
        deaths += 1;
    });
    check_ended(&ended, &before, &source);
    let again = crawl(base, &ended.remains, &source, &mut dice, &mut |_| {});
    let puts: BTreeSet<_> = again.puts.iter().map(|key| &**key).collect();
    assert_eq!(puts, [FAILS, BACK].into(), "all else is stored");
    println!("{steps} steps, {deaths} deaths");
    deaths
}

#[test]
fn a_crawl_that_dies_at_any_step_is_brought_to_its_end_by_the_next_ones() {
    assert!(die(0, 1) > 200);
}

#[test]
#[ignore = "takes minutes"]
fn crawls_that_die_are_brought_to_their_end_for_longer() {
    for seed in 1..100 {
        println!("seed {seed}");
        die(seed, 1 + seed % 3);
    }
}
