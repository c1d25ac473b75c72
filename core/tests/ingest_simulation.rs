//! Bulk runs against a service in virtual time where everything goes wrong that can: what is
//! promised of a run holds whatever happens. A seed that fails is printed.
//!
//! `cargo test --test ingest_simulation -- --ignored` goes on for longer.

mod ingest_world;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::{
    external::{
        Acl, AddActivities, AddedActivities, DeleteItem, ExternalActivity, ExternalItem, Identity,
        PutItem, StoredItem,
    },
    machine::{
        AfterFailure, Budget, End, Ending, FailureShare, Ingest, IngestSettings, IngestStep, Lease,
        Outcome, Policy, Shared, SkipReason, Start, Summary, Tick, Ticket, Token,
    },
    protocol::{Applied, Call, Deleted, Endpoint, Failure, ServiceRoot, TokenError},
    types::{AccessToken, BuildError, ConnectionId, Fault, Guid, ItemId, Rule},
};
use ingest_world::{Agenda, Arrival, Count, Dice, Latency, Limit, Told, answer};

/// A call told of its output as nothing, so that all kinds fit one run.
#[derive(Debug)]
struct Nothing;

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

type Key = (usize, u64);

const CONNECTIONS: [&str; 2] = ["contosohr", "contosoit"];

fn call(kind: Kind, key: Key, serial: u64) -> Result<Call<Nothing>, BuildError> {
    let root = ServiceRoot::v1();
    let connection = ConnectionId::new(CONNECTIONS[key.0]).unwrap();
    let id = ItemId::new(format!("T{}", key.1)).unwrap();
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
            let viewed =
                [ExternalActivity::viewed(start, Identity::user(u128::from(serial).into()))];
            AddActivities::new(&connection, &id, &viewed).call_into(&root)
        }
        Kind::Bad => Err(Fault::new(Rule::ItemId, "$.id", "an item without an id").into()),
    }
}

/// What the service finds in a request.
#[derive(Clone, Copy, Debug)]
struct Seen {
    kind: Kind,
    key: Key,
    /// Of a DELETE it is not known.
    serial: Option<u64>,
    token: u64,
}

fn see(request: &http::Request<Bytes>) -> Seen {
    let segments: Vec<&str> = request.uri().path().split('/').collect();
    let connection = CONNECTIONS.iter().position(|name| *name == segments[4]).unwrap();
    let key = (connection, segments[6][1..].parse().unwrap());
    let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let (kind, serial) = match request.method().as_str() {
        "PUT" => (Kind::Put, body["properties"]["serial"].as_u64()),
        "DELETE" => (Kind::Delete, None),
        _ => {
            let id: Guid =
                body["activities"][0]["performedBy"]["id"].as_str().unwrap().parse().unwrap();
            let digits = id.to_string().replace('-', "");
            (Kind::Add, u64::from_str_radix(&digits[16..], 16).ok())
        }
    };
    let token = request.headers()["authorization"].to_str().unwrap();
    let token = token.strip_prefix("Bearer t").unwrap().parse().unwrap();
    Seen { kind, key, serial, token }
}

/// One offer, and what the world knows of it.
struct Offer {
    kind: Kind,
    key: Key,
    sends: u32,
    throttled: u32,
    /// An attempt may have been carried out, and nobody told.
    doubtful: bool,
    first_sent: Option<Tick>,
    done: Option<Tick>,
}

enum Event {
    Arrives {
        ticket: Ticket,
        offer: usize,
        seen: Seen,
        back: Duration,
        until: Tick,
    },
    Answered {
        ticket: Ticket,
        offer: usize,
        arrival: Arrival,
    },
    /// An attempt without an answer is over.
    Silence,
    Token {
        lease: Lease,
        token: Result<Token, TokenError>,
    },
    Change,
}

struct World {
    dice: Dice,
    limits: Vec<Option<Limit>>,
    /// How likely each trouble is.
    storms: f64,
    losses: f64,
    errors: f64,
    poison: f64,
    token_life: Option<f64>,
    token_refusals: f64,
    tokens: u64,
    /// The tokens before this one are refused.
    tokens_from: u64,
    latency: Latency,
    items: BTreeMap<Key, Option<u64>>,
    added: BTreeMap<u64, u32>,
}

impl World {
    fn store(&mut self, seen: &Seen) {
        match seen.kind {
            Kind::Put => {
                self.items.insert(seen.key, seen.serial);
            }
            Kind::Delete => {
                self.items.remove(&seen.key);
            }
            _ => *self.added.entry(seen.serial.unwrap()).or_default() += 1,
        }
    }

    /// What becomes of a request that arrives; nothing is a silence.
    fn serve(&mut self, seen: &Seen, now: Tick) -> Option<Arrival> {
        if seen.token < self.tokens_from {
            return Some(Ok(answer(401, None)));
        }
        if let Some(limit) = &mut self.limits[seen.key.0]
            && let Err(wait) = limit.admit(now)
        {
            return Some(Ok(answer(429, Some(wait))));
        }
        let dice = &mut self.dice;
        if dice.chance(self.storms) {
            let wait = [None, Some(0.0), Some(0.249), Some(1.0), Some(7.5), Some(40.0)];
            return Some(Ok(answer(429, wait[dice.below(6) as usize])));
        }
        if dice.chance(self.losses) {
            return match dice.below(4) {
                0 => Some(Err(Failure::maybe_sent("reset"))),
                1 => None,
                which => {
                    self.store(seen);
                    (which == 2).then(|| Err(Failure::maybe_sent("reset after it was stored")))
                }
            };
        }
        if dice.chance(self.errors) {
            let status = [500, 502, 503, 503, 504][dice.below(5) as usize];
            let wait = dice.chance(0.3).then_some(2.0);
            if dice.chance(0.3) {
                self.store(seen);
            }
            return Some(Ok(answer(status, wait)));
        }
        if dice.chance(self.poison) {
            return Some(Ok(answer(400, None)));
        }
        let status = match seen.kind {
            Kind::Delete if !self.items.contains_key(&seen.key) => 404,
            Kind::Delete => 204,
            _ => 200,
        };
        self.store(seen);
        let mut response = answer(status, None);
        if seen.kind == Kind::Add {
            *response.body_mut() = Bytes::from_static(
                br#"{"value":[{"type":"viewed","startDateTime":"2026-01-01T00:00:00Z"}]}"#,
            );
        }
        Some(Ok(response))
    }

    fn token(&mut self) -> Result<Token, TokenError> {
        if self.dice.chance(self.token_refusals) {
            return Err(TokenError::TimedOut);
        }
        self.tokens += 1;
        let token = Token::new(AccessToken::new(format!("t{}", self.tokens)).unwrap());
        Ok(match self.token_life {
            Some(life) => token.expires_in(Duration::from_secs_f64(life)),
            None => token,
        })
    }
}

/// What was sent and told, for a second run to be held against.
type Trace = Vec<(Tick, &'static str, usize)>;

/// Says which seed it was.
struct Naming(u64);

impl Drop for Naming {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed that fails is {}", self.0);
        }
    }
}

#[allow(clippy::too_many_lines, reason = "one loop, and what is looked at on the way")]
fn run(seed: u64) -> (Summary, Trace) {
    let _naming = Naming(seed);
    let mut dice = Dice(seed);
    let rough = dice.below(4) as f64 / 4.0;
    let limit = |dice: &mut Dice| {
        dice.chance(0.7).then(|| {
            let count = match dice.below(3) {
                0 => Count::Window { seconds: 10.0 },
                which => Count::Bucket { burst: 1.0, charged: which == 1 },
            };
            let told = [Told::Seconds(1.0), Told::Seconds(0.3), Told::Seconds(10.0), Told::Rest];
            Limit::new(2.0 + 60.0 * dice.fraction(), count, told[dice.below(4) as usize])
        })
    };
    let mut world = World {
        limits: vec![limit(&mut dice), limit(&mut dice)],
        storms: 0.1 * rough * dice.fraction(),
        losses: 0.1 * rough * dice.fraction(),
        errors: 0.2 * rough * dice.fraction(),
        poison: 0.1 * rough * dice.fraction(),
        token_life: dice.chance(0.5).then(|| 1.0 + 30.0 * dice.fraction()),
        token_refusals: if dice.chance(0.1) { 0.1 } else { 0.0 },
        tokens: 0,
        tokens_from: 0,
        latency: match dice.below(3) {
            0 => Latency::Even(0.0, 3.0),
            1 => Latency::Even(20.0, 60.0),
            _ => Latency::Long(300.0, 2000.0),
        },
        items: BTreeMap::new(),
        added: BTreeMap::new(),
        dice: Dice(dice.next()),
    };

    let mut settings = IngestSettings::default();
    settings.in_flight = 1 + dice.below(25) as usize;
    settings.queue = 1 + dice.below(60) as usize;
    if dice.chance(0.3) {
        settings.after_failure = AfterFailure::Skip;
    }
    settings.failures_in_a_row = dice.chance(0.3).then(|| 1 + dice.below(6) as u32);
    settings.failure_share =
        dice.chance(0.3).then(|| FailureShare::new(2 + dice.below(5) as u32, 10));
    let mut policy = Policy::default();
    policy.attempts = 1 + dice.below(8) as u32;
    policy.total = Duration::from_secs(5 + dice.below(300));
    policy.attempt = Duration::from_secs(5);
    let mut budget = Budget::default();
    budget.capacity = 20 + dice.below(500) as u32;
    let mut shared = Shared::new(budget);

    let offers_in_all = dice.below(120) as usize;
    let keys = 1 + dice.below(40);
    let stop_after = dice.chance(0.2).then(|| dice.below(120) as usize);
    let ahead = dice.chance(0.5);
    let mut now = Tick::new(Duration::from_secs(dice.below(100)));
    let began = now;
    let start = Start::new(ServiceRoot::v1(), policy.clone(), seed, now);
    let mut ingest: Ingest<Key, Nothing> = Ingest::new(settings.clone(), &start);
    let mut agenda: Agenda<Event> = Agenda::default();
    for _ in 0..dice.below(3) {
        agenda.add(now + Duration::from_secs_f64(20.0 * dice.fraction()), Event::Change);
    }

    let mut offers: Vec<Offer> = Vec::new();
    let mut of_key: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    let mut calls: BTreeMap<Guid, usize> = BTreeMap::new();
    let mut gates = [Tick::default(); 2];
    let mut out = 0;
    let mut not_told = 0;
    let mut told = 0;
    let mut possible: BTreeMap<Key, BTreeSet<Option<u64>>> = BTreeMap::new();
    let mut counts = [0_u64; 3];
    let mut trace = Trace::new();
    let summary = loop {
        while let Some(event) = agenda.due(now) {
            match event {
                Event::Change => {
                    let which = world.dice.below(2) as usize;
                    world.limits[which] = limit(&mut dice);
                    world.tokens_from = world.tokens + world.dice.below(2);
                }
                Event::Token { lease, token } => ingest.on_token(lease, now, token, &mut shared),
                Event::Silence => out -= 1,
                Event::Arrives { ticket, offer, seen, back, until } => {
                    assert!(
                        seen.kind != Kind::Add || !offers[offer].doubtful,
                        "an append of unknown fate came again"
                    );
                    match world.serve(&seen, now) {
                        Some(arrival) => {
                            // A 5xx leaves as much in doubt as a silence does.
                            let doubtful = match &arrival {
                                Ok(answer) => answer.status().is_server_error(),
                                Err(_) => true,
                            };
                            offers[offer].doubtful |= doubtful;
                            agenda.add(now + back, Event::Answered { ticket, offer, arrival });
                        }
                        None => {
                            offers[offer].doubtful = true;
                            agenda.add(until, Event::Silence);
                        }
                    }
                }
                Event::Answered { ticket, offer, arrival } => {
                    out -= 1;
                    if let Ok(answer) = &arrival
                        && answer.status() == 429
                    {
                        offers[offer].throttled += 1;
                        let wait = graphfeed_core::protocol::retry_after(answer.headers());
                        let gate = &mut gates[offers[offer].key.0];
                        *gate = (*gate).max(now + wait.unwrap_or_default());
                    }
                    match arrival {
                        Ok(answer) => ingest.on_response(ticket, now, answer, &mut shared),
                        Err(failure) => ingest.on_failure(ticket, now, failure, &mut shared),
                    }
                }
            }
        }
        let step = ingest.poll(now, &mut shared);
        let progress = ingest.progress(now);
        assert_eq!(progress.seen, offers.len() as u64);
        assert_eq!([progress.ok, progress.failed, progress.skipped], counts_after(&step, counts));
        match step {
            IngestStep::Send(attempt) => {
                let seen = see(&attempt.request);
                let id = attempt.request.headers()["client-request-id"].to_str().unwrap();
                let id: Guid = id.parse().unwrap();
                // The one of its key that is not done yet.
                let offer = *calls.entry(id).or_insert_with(|| {
                    let mut of_key = of_key[&seen.key].iter().copied();
                    of_key.find(|it| offers[*it].done.is_none()).unwrap()
                });
                trace.push((now, "sent", offer));
                assert!(seen.serial.is_none_or(|serial| serial == offer as u64), "out of order");
                assert!(now >= gates[seen.key.0], "sent before its gate");
                let this = &mut offers[offer];
                assert!(this.done.is_none(), "sent after its outcome");
                this.sends += 1;
                assert!(this.sends - this.throttled <= policy.attempts, "too many attempts");
                this.first_sent.get_or_insert(now);
                out += 1;
                assert!(out <= settings.in_flight, "more out than the window");
                // What is under way when an attempt is given up is not to arrive later.
                let ticket = attempt.ticket;
                let way = (world.latency.draw(&mut world.dice) / 2).min(attempt.timeout / 3);
                if world.dice.chance(world.losses / 4.0) {
                    let arrival = Err(Failure::not_sent("refused"));
                    agenda.add(now + way, Event::Answered { ticket, offer, arrival });
                } else {
                    let until = now + attempt.timeout;
                    let arrives = Event::Arrives { ticket, offer, seen, back: way, until };
                    agenda.add(now + way, arrives);
                }
            }
            IngestStep::Token(need) => {
                let token = world.token();
                let at = now + world.latency.draw(&mut world.dice);
                agenda.add(at, Event::Token { lease: need.lease, token });
            }
            IngestStep::Done(key, outcome) => {
                let next = of_key[&key].iter().copied().find(|it| offers[*it].done.is_none());
                let offer = next.expect("one outcome for each offer");
                check(&offers[offer], offer as u64, &outcome, &world);
                note(&mut possible, &offers[offer], offer as u64, &outcome.end);
                count(&mut counts, &outcome.end);
                assert_eq!(outcome.done, now, "it is told when it is known");
                offers[offer].done = Some(now);
                trace.push((now, "done", offer));
                told += 1;
                not_told -= 1;
                if stop_after == Some(told) {
                    ingest.stop();
                }
            }
            IngestStep::Finished(summary) => break summary,
            IngestStep::Idle { until, room, .. } => {
                assert!(until.is_none_or(|until| until > now), "a wait ends later than now");
                assert_eq!(ingest.progress(now).in_flight, out);
                let left = offers_in_all - offers.len();
                if room > 0 && left > 0 {
                    let many = if ahead { room.min(left) } else { 1 };
                    for _ in 0..many {
                        let kind = match world.dice.below(20) {
                            0..12 => Kind::Put,
                            12..15 => Kind::Delete,
                            15..19 => Kind::Add,
                            _ => Kind::Bad,
                        };
                        let key = (world.dice.below(2) as usize, world.dice.below(keys));
                        let serial = offers.len() as u64;
                        match call(kind, key, serial) {
                            Ok(call) => ingest.offer(key, call, now).map_err(|_| "room").unwrap(),
                            Err(why) => ingest.skip(key, why, now).map_err(|_| "room").unwrap(),
                        }
                        of_key.entry(key).or_default().push(offers.len());
                        let (sends, throttled, doubtful) = (0, 0, false);
                        let (first_sent, done) = (None, None);
                        offers.push(Offer {
                            kind,
                            key,
                            sends,
                            throttled,
                            doubtful,
                            first_sent,
                            done,
                        });
                        not_told += 1;
                    }
                    assert!(not_told <= settings.queue, "more offers taken than agreed");
                    continue;
                }
                if left == 0 {
                    ingest.close();
                    // Only now is it known that nothing more comes.
                    if not_told == 0 {
                        continue;
                    }
                } else {
                    assert!(
                        ingest.offer((0, 0), call(Kind::Put, (0, 0), 0).unwrap(), now).is_err()
                    );
                }
                let next = [until, agenda.next()].into_iter().flatten().min();
                now = next.expect("nobody would ever do anything again");
                assert!(now.since(began) < Duration::from_secs(48 * 3600), "it goes on for ever");
            }
        }
    };

    let progress = &summary.progress;
    assert_eq!(progress.seen, offers.len() as u64);
    assert_eq!(progress.seen, progress.ok + progress.failed + progress.skipped);
    assert_eq!([progress.ok, progress.failed, progress.skipped], counts);
    assert_eq!(progress.sent, offers.iter().map(|it| u64::from(it.sends)).sum::<u64>());
    assert_eq!(progress.in_flight, 0);
    assert!(offers.iter().all(|it| it.done.is_some()), "an offer without an outcome");
    if summary.ending == Ending::Complete {
        assert_eq!(offers.len(), offers_in_all);
    }
    for of_key in of_key.values() {
        for pair in of_key.windows(2) {
            let (one, other) = (&offers[pair[0]], &offers[pair[1]]);
            assert!(one.done <= other.done, "told out of order");
            assert!(
                other.first_sent.is_none_or(|sent| one.done.is_some_and(|done| done <= sent)),
                "sent before the one before it was done"
            );
        }
    }
    for (key, possible) in &possible {
        let stored = world.items.get(key).copied().flatten();
        assert!(possible.contains(&stored), "{key:?} is {stored:?}, not one of {possible:?}");
    }
    (summary, trace)
}

fn counts_after(step: &IngestStep<Key, Nothing>, mut counts: [u64; 3]) -> [u64; 3] {
    if let IngestStep::Done(_, outcome) = step {
        count(&mut counts, &outcome.end);
    }
    counts
}

fn count(counts: &mut [u64; 3], end: &End<Nothing>) {
    counts[match end {
        End::Ok(_) => 0,
        End::Failed(_) => 1,
        _ => 2,
    }] += 1;
}

/// Whether the outcome is true.
fn check(offer: &Offer, serial: u64, outcome: &Outcome<Nothing>, world: &World) {
    assert_eq!(outcome.attempts, offer.sends);
    assert_eq!(outcome.first_sent, offer.first_sent);
    assert_eq!(outcome.call.is_none(), offer.kind == Kind::Bad);
    let added = world.added.get(&serial).copied().unwrap_or_default();
    let can_be = match &outcome.end {
        End::Ok(_) => 1..=1,
        End::Failed(error) => match error.applied() {
            Applied::Yes => 1..=1,
            Applied::No => {
                assert!(!offer.doubtful, "a doubt was forgotten: {error}");
                0..=0
            }
            Applied::Maybe => 0..=1,
        },
        End::Skipped(why) => {
            assert_eq!(offer.sends, 0);
            assert_eq!(matches!(why, SkipReason::Source(_)), offer.kind == Kind::Bad);
            0..=0
        }
        other => panic!("{other:?}"),
    };
    assert!(offer.kind != Kind::Add || can_be.contains(&added), "added {added} times: {outcome:?}");
}

/// What the item may be after this.
fn note(
    possible: &mut BTreeMap<Key, BTreeSet<Option<u64>>>,
    offer: &Offer,
    serial: u64,
    end: &End<Nothing>,
) {
    let after = match offer.kind {
        Kind::Put => Some(serial),
        Kind::Delete => None,
        Kind::Add | Kind::Bad => return,
    };
    let possible = possible.entry(offer.key).or_insert_with(|| BTreeSet::from([None]));
    match end {
        End::Ok(_) => *possible = BTreeSet::from([after]),
        End::Failed(error) if error.applied() != Applied::No => {
            possible.insert(after);
        }
        _ => {}
    }
}

#[test]
fn what_is_promised_holds_whatever_happens() {
    let mut endings = [0; 4];
    for seed in 0..2000 {
        let (summary, trace) = run(seed);
        endings[match summary.ending {
            Ending::Complete => 0,
            Ending::Stopped => 1,
            Ending::FailuresInARow(_) => 2,
            _ => 3,
        }] += 1;
        if seed % 50 == 0 {
            assert_eq!((summary, trace), run(seed), "the same seed, the same run: {seed}");
        }
    }
    assert!(endings.iter().all(|often| *often >= 20), "each ending was tried: {endings:?}");
}

#[test]
#[ignore = "takes minutes"]
fn what_is_promised_holds_for_longer() {
    for seed in 0..200_000 {
        run(1 << 32 | seed);
    }
}
