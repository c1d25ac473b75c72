//! One run, and all that is promised of it, held against what the emulator has.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::{
    external::{
        Acl, AddActivities, AddedActivities, DeleteItem, Duplicates, ExternalActivity,
        ExternalItem, Identity, PutItem, StoredItem,
    },
    machine::{
        Attempt, End, Ending, Ingest, IngestStep, Outcome, Progress, Shared, SkipReason, Start,
        Summary, Tick, Ticket, Token, TokenNeed,
    },
    protocol::{Applied, Call, Deleted, Endpoint, Failure, Sent, ServiceRoot, TokenError},
    types::{BuildError, ConnectionId, Fault, Guid, ItemId, Rule},
};
use graphfeed_simulation::{Back, CONNECTIONS, Dice, Part, PartAnswer, Tenant, Way, World, drive};
use http::{Request, Response};

use crate::scenario::Scenario;

/// A call told of its output as nothing, so that all kinds fit one run.
#[derive(Debug)]
pub(crate) struct Nothing;

macro_rules! nothing_from {
    ($($Output:ty),*) => { $(impl From<$Output> for Nothing {
        fn from(_: $Output) -> Self { Self }
    })* };
}
nothing_from!(Option<StoredItem>, Deleted, AddedActivities);

/// What the source has to offer, its serial number in what it writes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Put,
    Delete,
    /// Appends, and doing it twice does it twice.
    Add,
    /// Nothing can be made of it.
    Bad,
}

/// A connection and an item of it.
pub(crate) type Key = (usize, u64);

fn item_id(key: Key) -> String {
    format!("T{}", key.1)
}

fn call(kind: Kind, key: Key, serial: usize) -> Result<Call<Nothing>, BuildError> {
    let root = ServiceRoot::v1();
    let connection = ConnectionId::new(CONNECTIONS[key.0]).unwrap();
    let id = ItemId::new(item_id(key)).unwrap();
    match kind {
        Kind::Put => {
            let item = ExternalItem::builder(id)
                .acl(Acl::everyone(Guid::from(7)))
                .property("serial", serial as i64)
                .build()
                .unwrap();
            PutItem::new(&connection, &item).call_into(&root)
        }
        Kind::Delete => DeleteItem::new(&connection, &id).call_into(&root),
        Kind::Add => {
            let start = "2026-01-01T00:00:00Z".parse().unwrap();
            let viewed = [ExternalActivity::viewed(start, Identity::user(who(serial)))];
            AddActivities::new(&connection, &id, &viewed).duplicates(twice(serial)).call_into(&root)
        }
        Kind::Bad => Err(Fault::new(Rule::ItemId, "$.id", "an item without an id").into()),
    }
}

/// Whether an activity may rather be there twice than not at all.
fn twice(serial: usize) -> Duplicates {
    if serial.is_multiple_of(2) { Duplicates::Allowed } else { Duplicates::Never }
}

/// The user by whom an activity is told from others.
fn who(serial: usize) -> Guid {
    Guid::from(serial as u128)
}

/// What of a request matters here.
fn see(part: &Part) -> (Kind, Key) {
    let [external, connections, connection, items, item, action @ ..] = &part.path[..] else {
        panic!("{part:?}");
    };
    assert_eq!([external, connections, items], ["external", "connections", "items"]);
    let connection = CONNECTIONS.iter().position(|name| name == connection).unwrap();
    let kind = match (&*part.method, action) {
        ("PUT", []) => Kind::Put,
        ("DELETE", []) => Kind::Delete,
        ("POST", [_]) => Kind::Add,
        _ => panic!("{part:?}"),
    };
    (kind, (connection, item[1..].parse().unwrap()))
}

/// One offer, and what is known of it.
struct Offer {
    kind: Kind,
    key: Key,
    sends: u32,
    throttled: u32,
    /// An attempt may have been carried out for all that the run was told.
    in_doubt: bool,
    /// How often it was carried out in truth, where that can be seen.
    carried_out: u32,
    first_sent: Option<Tick>,
    done: Option<Tick>,
}

/// What was sent and told, for a second run to be held against.
pub(crate) type Trace = Vec<(Tick, &'static str, usize)>;

/// What troubles were met, and how often.
pub(crate) type Met = BTreeMap<&'static str, u64>;

/// What came of a run.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) summary: Summary,
    pub(crate) trace: Trace,
    pub(crate) met: Met,
}

struct Watcher {
    scenario: Scenario,
    tenant: Tenant,
    dice: Dice,
    /// The serial number that the source has for each key.
    source: BTreeMap<Key, usize>,
    offers: Vec<Offer>,
    of_key: BTreeMap<Key, Vec<usize>>,
    /// What each attempt that is out carries.
    out: HashMap<Ticket, Vec<(usize, Part)>>,
    gates: [Tick; 2],
    /// What an item may be after the outcomes so far; none: not there.
    possible: BTreeMap<Key, BTreeSet<Option<usize>>>,
    counts: [u64; 3],
    not_told: usize,
    sent: u64,
    /// A wait was told to nobody, so that the emulator takes who does not know it for early.
    is_deaf: bool,
    trace: Trace,
    met: Met,
}

/// Says which seed it was.
struct Naming(u64);

impl Drop for Naming {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed that fails is {0}; SEED={0} runs it alone", self.0);
        }
    }
}

/// Runs what a seed says.
pub(crate) fn run(seed: u64) -> Told {
    let _naming = Naming(seed);
    let scenario = Scenario::of(seed);
    let mut dice = Dice::new(!seed);
    let began = Tick::new(Duration::from_secs(dice.below(100)));
    let start = Start::new(ServiceRoot::v1(), scenario.policy.clone(), seed, began);
    let mut ingest = Ingest::new(scenario.settings.clone(), &start);
    let mut shared = Shared::new(scenario.budget.clone());
    let mut watcher = Watcher {
        tenant: Tenant::new(scenario.options.clone(), scenario.token_life),
        scenario,
        dice,
        source: BTreeMap::new(),
        offers: Vec::new(),
        of_key: BTreeMap::new(),
        out: HashMap::new(),
        gates: [began; 2],
        possible: BTreeMap::new(),
        counts: [0; 3],
        not_told: 0,
        sent: 0,
        is_deaf: false,
        trace: Trace::new(),
        met: Met::new(),
    };
    let end = began + Duration::from_secs(48 * 3600);
    let summary = drive(&mut ingest, &mut shared, began, end, &mut watcher);
    watcher.finish(summary.expect("it comes to its end"))
}

impl World<Key, Nothing> for Watcher {
    fn supply(&mut self, ingest: &mut Ingest<Key, Nothing>, now: Tick, room: usize) -> bool {
        let left = self.scenario.offers - self.offers.len();
        if left == 0 {
            ingest.close();
            return self.not_told == 0;
        }
        if room == 0 {
            let call = call(Kind::Put, (0, 0), 0).unwrap();
            assert!(ingest.offer((0, 0), call, now).is_err(), "there is no room");
            return false;
        }
        let many = if self.scenario.ahead { room.min(left) } else { 1 };
        for _ in 0..many {
            self.offer(ingest, now);
        }
        assert!(self.not_told <= self.scenario.settings.queue, "more offers taken than agreed");
        true
    }

    fn sent(&mut self, now: Tick, attempt: &Attempt) -> Way {
        let parts = Part::all(&attempt.request);
        let mut carried = Vec::new();
        for part in parts {
            self.sent += 1;
            let (kind, key) = see(&part);
            let index = self.first_of(key).expect("nothing is sent that was not offered");
            self.trace.push((now, "sent", index));
            assert!(now >= self.gates[key.0], "sent before its gate");
            let offer = &mut self.offers[index];
            assert_eq!(offer.kind, kind, "out of order");
            let serial = match kind {
                Kind::Put => part.body["properties"]["serial"].as_u64().map(|it| it as usize),
                Kind::Add => {
                    let by = part.body["activities"][0]["performedBy"]["id"].as_str().unwrap();
                    Some(usize::from_str_radix(&by.replace('-', ""), 16).unwrap())
                }
                _ => None,
            };
            assert!(serial.is_none_or(|serial| serial == index), "out of order");
            let once = kind == Kind::Add && twice(index) == Duplicates::Never;
            assert!(!once || !offer.in_doubt, "appended again without knowing");
            offer.sends += 1;
            let attempts = offer.sends - offer.throttled;
            assert!(attempts <= self.scenario.policy.attempts, "too many attempts");
            offer.first_sent.get_or_insert(now);
            carried.push((index, part));
        }
        self.out.insert(attempt.ticket, carried);
        assert!(self.in_flight() <= self.scenario.settings.in_flight, "more out than the window");

        // What is under way when an attempt is given up is not to arrive later.
        let way = self.scenario.latency.draw(&mut self.dice).min(attempt.timeout / 3);
        if self.dice.chance(self.scenario.losses) {
            return Way::Lost(match self.dice.below(3) {
                0 => {
                    self.meets("refused on the way");
                    Some((way, Failure::not_sent("refused")))
                }
                1 => {
                    self.meets("lost on the way");
                    Some((way, Failure::maybe_sent("broken")))
                }
                _ => {
                    self.meets("lost in silence");
                    None
                }
            });
        }
        Way::There(way)
    }

    fn arrives(&mut self, now: Tick, ticket: Ticket, request: &Request<Bytes>) -> Back {
        self.change(now);
        let carried: Vec<usize> = self.out[&ticket].iter().map(|(index, _)| *index).collect();
        let before: Vec<_> = carried.iter().map(|index| self.trace_of(*index)).collect();
        let mut back = self.tenant.deliver(now, request);
        for (index, before) in carried.into_iter().zip(before) {
            let after = self.trace_of(index);
            self.offers[index].carried_out += after.saturating_sub(before);
        }
        back.after += self.scenario.latency.draw(&mut self.dice);
        // The emulator would not know that a wait was told to nobody.
        let tells_no_wait = matches!(&back.what, Some(Ok(answer)) if !tells_a_wait(answer));
        if tells_no_wait && self.dice.chance(self.scenario.losses) {
            self.meets("lost on the way back");
            back.what = None;
        }
        back
    }

    fn token(&mut self, now: Tick, _: &TokenNeed) -> (Duration, Result<Token, TokenError>) {
        self.meets("a token");
        self.change(now);
        self.tenant.token(now)
    }

    fn answered(&mut self, now: Tick, ticket: Ticket, what: &Result<Response<Bytes>, Failure>) {
        let carried = self.out.remove(&ticket).expect("it is out");
        let was_sent = what.as_ref().err().is_none_or(|failure| failure.sent() != Sent::No);
        let answer = match what {
            Ok(answer) => Some(answer),
            Err(failure) => failure.partial(),
        };
        for (index, part) in carried {
            let is_batched = part.id.is_some();
            let told = answer.and_then(|answer| part.answer(answer));
            if is_batched && matches!(what, Ok(answer) if answer.status().is_success()) {
                self.meets(if told.is_some() { "an answer in a batch" } else { "a missing part" });
            }
            let offer = &mut self.offers[index];
            match told {
                Some(PartAnswer { status: 429, wait }) => {
                    offer.throttled += 1;
                    let gate = &mut self.gates[offer.key.0];
                    *gate = (*gate).max(now + wait.unwrap_or_default());
                }
                // The service may have done it before it failed, and a batch that failed with 424
                // says nothing of its parts. A refusal is known by its status even where the
                // answer broke off.
                Some(PartAnswer { status, .. })
                    if status < 500 && status != 424 && (what.is_ok() || status >= 300) => {}
                _ => offer.in_doubt |= was_sent,
            }
        }
    }

    fn given_up(&mut self, _: Tick, ticket: Ticket) {
        self.meets("an attempt given up");
        for (index, _) in self.out.remove(&ticket).expect("it is out") {
            self.offers[index].in_doubt = true;
        }
    }

    fn late(&mut self, _: Tick, what: &Result<Response<Bytes>, Failure>) {
        self.meets("a late answer");
        self.is_deaf |= matches!(what, Ok(answer) if tells_a_wait(answer));
    }

    fn done(
        &mut self,
        ingest: &mut Ingest<Key, Nothing>,
        now: Tick,
        key: Key,
        outcome: Outcome<Nothing>,
    ) {
        let index = self.first_of(key).expect("one outcome for each offer");
        assert_eq!(outcome.done, now, "it is told when it is known");
        self.check(index, &outcome);
        self.note(index, &outcome.end);
        self.counts[counted(&outcome.end)] += 1;
        self.offers[index].done = Some(now);
        self.trace.push((now, "done", index));
        self.not_told -= 1;
        if self.scenario.stop_after == Some(self.offers.len() - self.not_told) {
            ingest.stop();
        }
    }

    fn looks(
        &mut self,
        now: Tick,
        step: &IngestStep<Key, Nothing>,
        progress: impl FnOnce() -> Progress,
    ) {
        let progress = progress();
        let mut counts = self.counts;
        match step {
            IngestStep::Done(_, outcome) => counts[counted(&outcome.end)] += 1,
            IngestStep::Idle { until, .. } => {
                assert!(until.is_none_or(|until| until > now), "a wait ends later than now");
                assert_eq!(progress.in_flight, self.in_flight());
            }
            _ => {}
        }
        assert_eq!(progress.seen, self.offers.len() as u64);
        assert_eq!([progress.ok, progress.failed, progress.skipped], counts);
    }
}

fn tells_a_wait(answer: &Response<Bytes>) -> bool {
    let has = |name: &str| answer.headers().contains_key(name);
    // Those of the parts of a batch are in its body.
    let within = || String::from_utf8_lossy(answer.body()).to_lowercase().contains("retry-after");
    has("retry-after") || has("x-ms-retry-after-ms") || within()
}

/// Where an outcome is counted: as done, failed or skipped.
fn counted(end: &End<Nothing>) -> usize {
    match end {
        End::Ok(_) => 0,
        End::Failed(_) => 1,
        _ => 2,
    }
}

impl Watcher {
    fn meets(&mut self, trouble: &'static str) {
        *self.met.entry(trouble).or_default() += 1;
    }

    /// How many calls are out, each for itself also where they go in one request.
    fn in_flight(&self) -> usize {
        self.out.values().map(Vec::len).sum()
    }

    /// The first offer of a key that is not done yet.
    fn first_of(&self, key: Key) -> Option<usize> {
        let mut of_key = self.of_key.get(&key)?.iter().copied();
        of_key.find(|index| self.offers[*index].done.is_none())
    }

    fn offer(&mut self, ingest: &mut Ingest<Key, Nothing>, now: Tick) {
        let serial = self.offers.len();
        let key = (self.dice.below(2) as usize, self.dice.below(self.scenario.keys));
        let is_calm = self.scenario.is_calm;
        let kind = match self.dice.below(20) {
            0..12 => Kind::Put,
            12..15 => Kind::Delete,
            // What is not there has no activities.
            15..19 if self.source.contains_key(&key) || !is_calm => Kind::Add,
            19 if !is_calm => Kind::Bad,
            _ => Kind::Put,
        };
        match kind {
            Kind::Put => drop(self.source.insert(key, serial)),
            Kind::Delete => drop(self.source.remove(&key)),
            _ => {}
        }
        match call(kind, key, serial) {
            Ok(call) => ingest.offer(key, call, now).map_err(|_| "room").unwrap(),
            Err(why) => ingest.skip(key, why, now).map_err(|_| "room").unwrap(),
        }
        self.of_key.entry(key).or_default().push(serial);
        self.offers.push(Offer {
            kind,
            key,
            sends: 0,
            throttled: 0,
            in_doubt: false,
            carried_out: 0,
            first_sent: None,
            done: None,
        });
        self.not_told += 1;
    }

    /// What changes in mid-run.
    fn change(&mut self, now: Tick) {
        let now = now.since_origin();
        while self.scenario.changes.first().is_some_and(|(at, _)| *at <= now) {
            let (_, limits) = self.scenario.changes.remove(0);
            self.note_limits();
            self.tenant.emulator.set_limits(limits);
            self.meets("a limit that changes");
        }
        while self.scenario.revocations.first().is_some_and(|at| *at <= now) {
            self.scenario.revocations.remove(0);
            self.tenant.emulator.revoke_tokens();
        }
    }

    fn note_limits(&mut self) {
        for (limit, traffic) in self.tenant.emulator.limits() {
            let trouble = match (limit.measure, limit.counts_refused) {
                (graphfeed_emulator::Measure::Bucket { .. }, true) => "over a bucket that charges",
                (graphfeed_emulator::Measure::Bucket { .. }, false) => "over a bucket",
                (graphfeed_emulator::Measure::Window { .. }, _) => "over a window",
                _ => "too many at a time",
            };
            *self.met.entry(trouble).or_default() += traffic.refused;
        }
    }

    fn stored(&self, key: Key) -> Option<usize> {
        let service = self.tenant.emulator.service();
        let item = service.item(CONNECTIONS[key.0], &item_id(key))?;
        Some(item.properties[0].json.parse().expect("a serial number"))
    }

    /// How much of an offer can be seen at the service; what it does adds to it.
    fn trace_of(&self, index: usize) -> u32 {
        let Offer { kind, key, .. } = self.offers[index];
        match kind {
            Kind::Put => u32::from(self.stored(key) == Some(index)),
            Kind::Delete => u32::from(self.stored(key).is_none()),
            Kind::Add => self.activities(key).filter(|it| *it == index).count() as u32,
            Kind::Bad => 0,
        }
    }

    /// The serial numbers of the activities on an item.
    fn activities(&self, key: Key) -> impl Iterator<Item = usize> {
        let activities = self.tenant.emulator.item_activities(CONNECTIONS[key.0], &item_id(key));
        activities.into_iter().map(|activity| {
            usize::from_str_radix(&activity.performed_by_id.replace('-', ""), 16).unwrap()
        })
    }

    /// Whether the outcome is true.
    fn check(&self, index: usize, outcome: &Outcome<Nothing>) {
        let offer = &self.offers[index];
        let carried_out = offer.carried_out;
        assert_eq!(outcome.attempts, offer.sends);
        assert_eq!(outcome.first_sent, offer.first_sent);
        assert_eq!(outcome.call.is_none(), offer.kind == Kind::Bad);
        assert_eq!(outcome.maybe_applied, offer.in_doubt);
        if offer.kind == Kind::Add && carried_out > 1 {
            assert_eq!(twice(index), Duplicates::Allowed, "added {carried_out} times");
            assert!(outcome.maybe_applied, "added {carried_out} times, and nobody is told");
        }
        match &outcome.end {
            End::Ok(_) if offer.kind == Kind::Delete => assert_eq!(self.trace_of(index), 1),
            End::Ok(_) => assert!(carried_out >= 1, "told as done: {outcome:?}"),
            End::Failed(error) => match error.applied() {
                Applied::Yes => assert!(carried_out >= 1, "told as done: {error}"),
                Applied::No => {
                    assert!(!offer.in_doubt, "a doubt was forgotten: {error}");
                    assert_eq!(carried_out, 0, "told as not done: {error}");
                }
                Applied::Maybe => {}
            },
            End::Skipped(why) => {
                assert_eq!((offer.sends, carried_out), (0, 0));
                assert_eq!(matches!(why, SkipReason::Source(_)), offer.kind == Kind::Bad);
            }
            other => panic!("{other:?}"),
        }
    }

    /// What the item may be after this.
    fn note(&mut self, index: usize, end: &End<Nothing>) {
        if self.offers[index].kind == Kind::Add && self.offers[index].carried_out > 1 {
            self.meets("an activity that is there twice");
        }
        match end {
            End::Failed(error) if error.applied() == Applied::Maybe => {
                self.meets("an unknown fate")
            }
            End::Failed(_) => self.meets("a failure"),
            End::Skipped(SkipReason::EarlierFailed) => self.meets("an earlier failure"),
            End::Skipped(SkipReason::RunEnded) => self.meets("an early end"),
            _ => {}
        }
        let Offer { kind, key, .. } = self.offers[index];
        let after = match kind {
            Kind::Put => Some(index),
            Kind::Delete => None,
            Kind::Add | Kind::Bad => return,
        };
        let possible = self.possible.entry(key).or_insert_with(|| BTreeSet::from([None]));
        match end {
            End::Ok(_) => *possible = BTreeSet::from([after]),
            End::Failed(error) if error.applied() != Applied::No => drop(possible.insert(after)),
            _ => {}
        }
    }

    /// What holds at the end.
    fn finish(mut self, summary: Summary) -> Told {
        let progress = &summary.progress;
        assert_eq!(progress.seen, self.offers.len() as u64);
        assert_eq!(progress.seen, progress.ok + progress.failed + progress.skipped);
        assert_eq!([progress.ok, progress.failed, progress.skipped], self.counts);
        assert_eq!(progress.sent, self.sent);
        assert_eq!((progress.in_flight, self.out.len()), (0, 0));
        assert!(self.offers.iter().all(|it| it.done.is_some()), "an offer without an outcome");
        for of_key in self.of_key.values() {
            for pair in of_key.windows(2) {
                let (one, other) = (&self.offers[pair[0]], &self.offers[pair[1]]);
                assert!(one.done <= other.done, "told out of order");
                assert!(
                    other.first_sent.is_none_or(|sent| one.done.is_some_and(|done| done <= sent)),
                    "sent before the one before it was done"
                );
            }
        }
        for (key, possible) in &self.possible {
            let stored = self.stored(*key);
            assert!(possible.contains(&stored), "{key:?} is {stored:?}, not one of {possible:?}");
        }
        if summary.ending == Ending::Complete {
            assert_eq!(self.offers.len(), self.scenario.offers);
        }
        if summary.ending == Ending::Complete && progress.ok == progress.seen {
            self.equals_the_source();
            self.meets("a run without failure");
        } else if self.scenario.is_calm && self.scenario.stop_after.is_none() {
            panic!("nothing went wrong, and yet: {summary:?}");
        }
        let emulator = &self.tenant.emulator;
        assert_eq!(emulator.reports(), [], "what was sent is as it should be");
        if !self.is_deaf {
            assert_eq!(emulator.early_calls(), [], "nobody came too early");
        }
        let refused: u64 =
            emulator.counts().iter().filter(|it| it.status == Some(401)).map(|it| it.count).sum();
        for (trouble, (_, struck)) in self.scenario.troubles.iter().zip(emulator.faults()) {
            *self.met.entry(trouble).or_default() += struck;
        }
        *self.met.entry("a token that is refused").or_default() += refused;
        self.note_limits();
        if self.scenario.is_exact {
            self.meets("an emulator that knows who is early");
        }
        self.meets(match summary.ending {
            Ending::Complete => "an end: complete",
            Ending::Stopped => "an end: stopped",
            Ending::FailuresInARow(_) => "an end: failures in a row",
            _ => "an end: a share of failures",
        });
        Told { summary, trace: self.trace, met: self.met }
    }

    /// Every item is that of the source, none is there that it does not have, and every activity
    /// is there once unless it may be there twice.
    fn equals_the_source(&self) {
        let ids = |connection: usize| {
            let of_connection = self.source.keys().filter(move |key| key.0 == connection);
            of_connection.map(|key| item_id(*key)).collect::<BTreeSet<_>>()
        };
        for (index, connection) in CONNECTIONS.iter().enumerate() {
            let items = self.tenant.emulator.items(connection);
            assert_eq!(items.into_iter().map(|item| item.id).collect::<BTreeSet<_>>(), ids(index));
        }
        for (key, serial) in &self.source {
            assert_eq!(self.stored(*key), Some(*serial), "{key:?}");
        }
        for (index, offer) in self.offers.iter().enumerate() {
            // A later DELETE takes them with it.
            if offer.kind == Kind::Add && twice(index) == Duplicates::Never {
                assert_eq!(offer.carried_out, 1, "the activity of {index}");
            }
        }
    }
}
