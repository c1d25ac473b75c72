//! Bulk runs, in single requests or in batches: one outcome for each offer, in the order of its key.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use graphfeed_core::{
    machine::{
        AfterFailure, Attempt, End, FailureShare, Ingest, IngestSettings, IngestStep, Outcome,
        Packing, Progress, Start, Tick, Ticket, Token, TokenNeed,
    },
    protocol::{Failure, TokenError},
    types::{Fault, Rule},
};
use graphfeed_emulator::Options;
use graphfeed_simulation::{Back, Part, Tenant, Way, drive};
use http::{Request, Response};

use crate::{
    calls::{self, Named, Nothing, is_true},
    drive::{World, is_about_a_batch, keeps_secrets, name_of},
    wire::{Carried, Trip},
};

/// How the run is set up, what is offered, and what becomes of each attempt.
pub fn run(data: &[u8]) {
    assert_eq!(once(data), once(data), "the same again is the same");
}

/// Runs it, and gives all that was sent and told.
fn once(data: &[u8]) -> Vec<String> {
    let tenant = Tenant::new(Options::default(), None);
    let mut world = World::new(data, tenant.emulator);
    world.patient = true;
    world.each_once = true;
    world.elsewhere();
    let tape = &mut world.wire.tape;
    let mut settings = IngestSettings::default();
    settings.packing = tape.one_of(&[Packing::Singles, Packing::Batches]);
    settings.in_flight = 1 + tape.up_to(30) as usize;
    settings.queue = 1 + tape.up_to(60) as usize;
    settings.after_failure =
        tape.one_of(&[AfterFailure::Continue, AfterFailure::Skip, AfterFailure::SkipUnlessPartly]);
    settings.failures_in_a_row = tape.once_in(3).then(|| 1 + tape.up_to(5));
    settings.failure_share = tape.once_in(3).then(|| FailureShare::new(1 + tape.up_to(5), 10));
    let offers = tape.up_to(60) as usize;
    let stop_after = tape.once_in(6).then(|| tape.up_to(60) as usize);
    let seed = u64::from(tape.up_to(255));
    let now = Tick::default() + tape.time();
    let start = Start::new(world.root.clone(), world.policy.clone(), seed, now);
    let mut ingest = Ingest::new(settings.clone(), &start);
    let mut shared = std::mem::take(&mut world.shared);
    let mut watcher = Watcher {
        world,
        settings,
        left: offers,
        stop_after,
        offers: Vec::new(),
        of_key: BTreeMap::new(),
        out: HashMap::new(),
        took: BTreeMap::new(),
        back: HashMap::new(),
        told: 0,
        counts: [0; 3],
    };
    let end = now + Duration::from_secs(100 * 24 * 3600);
    let summary = drive(&mut ingest, &mut shared, now, end, &mut watcher);
    keeps_secrets(&shared);
    keeps_secrets(&shared.take_events());
    let progress = summary.expect("it comes to its end").progress;
    assert_eq!(progress.seen, watcher.offers.len() as u64);
    assert_eq!(progress.seen, progress.ok + progress.failed + progress.skipped);
    assert_eq!([progress.ok, progress.failed, progress.skipped], watcher.counts);
    assert_eq!((progress.in_flight, watcher.out.len()), (0, 0));
    let sent: u32 = watcher.world.sends.values().sum();
    assert_eq!(progress.sent, u64::from(sent));
    assert!(watcher.offers.iter().all(|it| it.done.is_some()), "an offer without an outcome");
    assert_eq!(watcher.world.wire.emulator.reports(), []);
    watcher.world.trace
}

/// One offer, and what is known of it.
struct Offer {
    key: u32,
    /// None where the source has nothing to offer.
    named: Option<Named>,
    first_sent: Option<Tick>,
    done: Option<Tick>,
}

struct Watcher<'a> {
    world: World<'a>,
    settings: IngestSettings,
    left: usize,
    stop_after: Option<usize>,
    offers: Vec<Offer>,
    /// The offers of each key, in their order.
    of_key: BTreeMap<u32, Vec<usize>>,
    /// What each attempt carries that is out.
    out: HashMap<Ticket, (Tick, Request<Bytes>, Vec<Carried>)>,
    /// For how long each call was out in all, by name.
    took: BTreeMap<String, Duration>,
    /// What comes back for an attempt.
    back: HashMap<Ticket, Back>,
    told: usize,
    counts: [u64; 3],
}

impl graphfeed_simulation::World<u32, Nothing> for Watcher<'_> {
    fn supply(&mut self, ingest: &mut Ingest<u32, Nothing>, now: Tick, room: usize) -> bool {
        if self.left == 0 {
            ingest.close();
            return self.told == self.offers.len();
        }
        let taken = room.min(self.left);
        for _ in 0..taken {
            let number = self.offers.len();
            let key = self.world.wire.tape.up_to(5);
            let named = match self.world.wire.tape.once_in(16) {
                true => Err(Fault::new(Rule::ItemId, "$.id", "an item without an id").into()),
                false => calls::any(&mut self.world.wire.tape, number, &self.world.root),
            };
            let named = match named {
                Ok(named) => {
                    assert!(ingest.offer(key, named.call.clone(), now).is_ok(), "there is room");
                    Some(named)
                }
                Err(why) => {
                    assert!(ingest.skip(key, why, now).is_ok(), "there is room");
                    None
                }
            };
            self.of_key.entry(key).or_default().push(number);
            self.offers.push(Offer { key, named, first_sent: None, done: None });
            self.left -= 1;
        }
        assert!(self.offers.len() - self.told <= self.settings.queue, "more taken than agreed");
        taken > 0
    }

    fn sent(&mut self, now: Tick, attempt: &Attempt) -> Way {
        for part in Part::all(&attempt.request) {
            let name = name_of(&part);
            let own = part.path.iter().rfind(|segment| segment.starts_with('T'));
            let number: usize = own.expect("an id")[1..].parse().expect("a number");
            let offer = &mut self.offers[number];
            assert_eq!(offer.named.as_ref().map(|it| &it.name), Some(&name));
            assert!(offer.done.is_none(), "{name} is sent after its outcome");
            offer.first_sent.get_or_insert(now);
            let key = offer.key;
            let first = self.of_key[&key].iter().find(|it| self.offers[**it].done.is_none());
            assert_eq!(first, Some(&number), "{name} goes before one of its key");
        }
        let Trip { after, what, carried } = self.world.sent(now, attempt);
        self.out.insert(attempt.ticket, (now, attempt.request.clone(), carried));
        let out: usize = self.out.values().map(|(.., carried)| carried.len()).sum();
        assert!(out <= self.settings.in_flight, "{out} are out");
        self.back.insert(attempt.ticket, Back { after, what });
        Way::There(Duration::ZERO)
    }

    fn arrives(&mut self, _: Tick, ticket: Ticket, _: &Request<Bytes>) -> Back {
        self.back.remove(&ticket).expect("it was sent")
    }

    fn token(&mut self, _: Tick, _: &TokenNeed) -> (Duration, Result<Token, TokenError>) {
        let after = self.world.wire.tape.time();
        (after, self.world.token())
    }

    fn done(
        &mut self,
        ingest: &mut Ingest<u32, Nothing>,
        now: Tick,
        key: u32,
        outcome: Outcome<Nothing>,
    ) {
        let of_key = self.of_key[&key].iter().copied();
        let number = of_key.into_iter().find(|it| self.offers[*it].done.is_none());
        let offer = &mut self.offers[number.expect("one outcome for each offer")];
        offer.done = Some(now);
        let offer = &self.offers[number.unwrap_or_default()];
        self.world.trace.push(format!("{now:?} {key} {outcome:?}"));
        keeps_secrets(&outcome);
        if self.told == 0 {
            keeps_secrets(ingest);
        }
        assert_eq!((outcome.done, outcome.first_sent), (now, offer.first_sent));
        let (name, named) = match &offer.named {
            Some(named) => (&*named.name, Some(named)),
            None => ("", None),
        };
        assert_eq!(outcome.attempts, self.world.sends.get(name).copied().unwrap_or_default());
        match (&outcome.end, named) {
            (End::Ok(_), Some(named)) => is_true(&self.world, named, Ok(true)),
            (End::Partly(_), Some(named)) => is_true(&self.world, named, Ok(false)),
            (End::Failed(error), Some(named)) => is_true(&self.world, named, Err(error)),
            (End::Skipped(_), _) => assert_eq!(outcome.attempts, 0),
            (other, _) => panic!("{other:?}"),
        }
        self.counts[counted(&outcome.end)] += 1;
        self.told += 1;
        if self.stop_after == Some(self.told) {
            ingest.stop();
            self.left = 0;
        }
    }

    fn answered(&mut self, now: Tick, ticket: Ticket, what: &Result<Response<Bytes>, Failure>) {
        let (sent, request, carried) = self.out.remove(&ticket).expect("it is out");
        self.takes(now.since(sent), &carried, Some(what));
        self.world.heard(now, ticket, &request, &carried, Some(what));
    }

    fn given_up(&mut self, now: Tick, ticket: Ticket) {
        let (sent, request, carried) = self.out.remove(&ticket).expect("it is out");
        self.takes(now.since(sent), &carried, None);
        self.world.heard(now, ticket, &request, &carried, None);
    }

    fn looks(
        &mut self,
        _: Tick,
        step: &IngestStep<u32, Nothing>,
        progress: impl FnOnce() -> Progress,
    ) {
        let progress = progress();
        let mut counts = self.counts;
        if let IngestStep::Done(_, outcome) = step {
            counts[counted(&outcome.end)] += 1;
        }
        assert_eq!(progress.seen, self.offers.len() as u64);
        assert_eq!([progress.ok, progress.failed, progress.skipped], counts);
    }
}

impl Watcher<'_> {
    /// An attempt was out for so long. A call is out no longer than it may take, but for what was
    /// throttled and for a batch that was refused, which cost it nothing; what holds it back
    /// before it goes does not count either.
    fn takes(
        &mut self,
        time: Duration,
        carried: &[Carried],
        what: Option<&Result<Response<Bytes>, Failure>>,
    ) {
        let is_heard = matches!(what, Some(Ok(_)));
        let refused =
            matches!(what, Some(Ok(answer)) if is_about_a_batch(answer.status().as_u16()));
        for it in carried {
            let throttled = is_heard && matches!(it.told, Some((429, _)));
            if throttled || refused && it.part.id.is_some() {
                continue;
            }
            let took = self.took.entry(name_of(&it.part)).or_default();
            *took += time;
            assert!(*took <= self.world.longest, "it takes too long");
        }
    }
}

/// Where an outcome is counted: as done, failed or skipped.
fn counted(end: &End<Nothing>) -> usize {
    match end {
        End::Ok(_) => 0,
        End::Failed(_) | End::Partly(_) => 1,
        _ => 2,
    }
}
