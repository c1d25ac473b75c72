//! What a seed says: how the run is set up, and everything that goes wrong on the way.

use std::time::Duration;

use graphfeed_core::machine::{
    AfterFailure, Budget, FailureShare, IngestSettings, Packing, Policy,
};
use graphfeed_emulator::{
    BatchIdCase, BatchThrottled, Behaviour, EarlyCalls, ItemAnswer, Latency as Answers, Limit,
    Options,
};
use graphfeed_simulation::{Dice, Latency};

const PACKINGS: &[Packing] = &[Packing::Singles, Packing::Batches];

/// What of trouble there is, by name, as a fault of the emulator; the last word is how many
/// requests in a hundred it strikes where things are at their worst.
const FAULTS: &[(&str, &str, f64)] = &[
    ("told to wait in seconds", "*: 429 retry-after=1", 4.0),
    ("told to wait in decimals", "*: 429 retry-after=0.249", 4.0),
    ("told to wait in milliseconds", "*: 429 retry-after=ms:1500", 4.0),
    ("told to wait for a date", "*: 429 retry-after=date:7", 4.0),
    ("told to wait, not how long", "*: 429", 4.0),
    ("an error", "*: 500", 4.0),
    ("an error and a wait", "*: 503 retry-after=2", 4.0),
    ("a gateway's page", "*: html 502", 4.0),
    ("an error after it was stored", "*: stored 500", 4.0),
    ("an error and a wait after it was stored", "*: stored 503 retry-after=1.5", 4.0),
    ("a reset", "*: reset", 4.0),
    ("a reset after it was stored", "*: stored reset", 4.0),
    ("an answer that breaks off", "*: truncated", 4.0),
    ("a hang that ends in time", "*: hang 3", 2.0),
    ("a hang that does not", "*: hang 60", 2.0),
    ("a hang after it was stored", "*: stored hang 60", 2.0),
    ("an answer that is late", "*: pass latency=7.5", 2.0),
    ("a refusal", "PUT item: 400", 4.0),
    ("no token but a wait", "POST token: 503 retry-after=1", 40.0),
    ("no token and a reset", "POST token: reset", 40.0),
];

const BATCH_FAULTS: &[(&str, &str, f64)] = &[
    ("a batch without responses", "POST batch: no-responses", 20.0),
    ("a response to nobody", "POST batch: unknown-id", 20.0),
    ("a batch that is throttled", "POST batch: 429 retry-after=1", 20.0),
    ("a batch that is an error", "POST batch: stored 503", 20.0),
];

/// A run as a seed has it.
pub(crate) struct Scenario {
    /// Nothing goes wrong but that the service is busy and tokens expire.
    pub(crate) is_calm: bool,
    pub(crate) settings: IngestSettings,
    pub(crate) policy: Policy,
    pub(crate) budget: Budget,
    /// How many offers there are, and for how many keys of each connection.
    pub(crate) offers: usize,
    pub(crate) keys: u64,
    /// Offers as many as there is room for at a time; one, if not.
    pub(crate) ahead: bool,
    /// After so many outcomes it is stopped.
    pub(crate) stop_after: Option<usize>,
    pub(crate) options: Options,
    /// The names of the faults in the options, in their order.
    pub(crate) troubles: Vec<&'static str>,
    /// The limits from these times on.
    pub(crate) changes: Vec<(Duration, Vec<Limit>)>,
    pub(crate) token_life: Option<Duration>,
    /// At these times all tokens become bad.
    pub(crate) revocations: Vec<Duration>,
    /// How long a request takes to arrive, and an answer from the service's door to ours.
    pub(crate) latency: Latency,
    /// How probable it is to be lost on the way there, and on the way back.
    pub(crate) losses: f64,
    /// Nothing but the emulator itself takes time, and so it knows who comes too early.
    pub(crate) is_exact: bool,
}

impl Scenario {
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        // One run in four has no trouble at all.
        let rough = dice.below(4) as f64 / 3.0;
        let is_exact = dice.chance(0.5);
        let packing = dice.one_of(PACKINGS);
        let mut troubles = Vec::new();
        let mut options = Options { seed: dice.number(), ..Options::default() };
        let of_batches = if packing == Packing::Singles { &[][..] } else { BATCH_FAULTS };
        for (name, fault, percent) in FAULTS.iter().chain(of_batches) {
            if rough > 0.0 && dice.chance(0.4) {
                let chance = rough * dice.fraction() * percent / 100.0;
                options
                    .faults
                    .push(format!("{fault} chance={chance:.4}").parse().expect("a fault"));
                troubles.push(*name);
            }
        }
        if dice.chance(0.3 * rough) {
            let (from, times) = (1 + dice.below(60), 5 + dice.below(60));
            let storm = format!("*: 429 retry-after=2 from={from} times={times}");
            options.faults.push(storm.parse().expect("a fault"));
            troubles.push("a storm");
        }
        options.limits = limits(&mut dice);
        options.early_calls = if is_exact { EarlyCalls::ByLane } else { EarlyCalls::ByCall };
        options.latency = match dice.below(if is_exact { 3 } else { 4 }) {
            0 => Some("0.02..0.06"),
            1 => Some("0..3"),
            2 => Some("median=0.3 p99=2"),
            _ => None,
        }
        .map(|text| text.parse::<Answers>().expect("a latency"));
        options.behaviour = behaviour(&mut dice, rough);

        let mut changes = Vec::new();
        for _ in 0..dice.below(3) {
            changes.push((Duration::from_secs_f64(15.0 * dice.fraction()), limits(&mut dice)));
        }
        changes.sort_by_key(|(at, _)| *at);
        // A call gets another token once, and is not to need a third.
        let shortest = Duration::from_secs(if rough > 0.0 { 2 } else { 12 });
        let token_life =
            dice.chance(0.5).then(|| shortest + Duration::from_secs_f64(30.0 * dice.fraction()));
        let mut revocations = Vec::new();
        if token_life.is_some() && dice.chance(rough) {
            revocations.push(Duration::from_secs_f64(15.0 * dice.fraction()));
        }

        let most = if dice.chance(0.05) { 200 } else { 32 };
        let (settings, policy, budget) = settings(&mut dice, rough, packing);
        Self {
            is_calm: rough == 0.0,
            settings,
            policy,
            budget,
            offers: dice.below(most) as usize,
            keys: 1 + dice.below(30),
            ahead: dice.chance(0.5),
            stop_after: dice.chance(0.15).then(|| dice.below(most) as usize),
            options,
            troubles,
            changes,
            token_life,
            revocations,
            latency: match dice.below(3) {
                _ if is_exact => Latency::None,
                0 => Latency::Even(0.0, 1_500.0),
                1 => Latency::Even(10.0, 30.0),
                _ => Latency::Long(150.0, 1_000.0),
            },
            losses: if is_exact { 0.0 } else { 0.05 * rough * dice.fraction() },
            is_exact,
        }
    }
}

fn limits(dice: &mut Dice) -> Vec<Limit> {
    if dice.chance(0.25) {
        return Vec::new();
    }
    let rate = 1.0 + 20.0 * dice.fraction();
    let mut limit = match dice.below(4) {
        0 => Limit::window(1 + dice.below(20), Duration::from_secs(1 + dice.below(10))),
        1 => Limit::concurrency(1 + dice.below(6) as usize),
        _ => Limit::bucket(rate, 1 + dice.below(10) as u32),
    };
    if dice.chance(0.4) {
        limit = limit.counting_refused();
    }
    if dice.chance(0.2) {
        limit = limit.per(graphfeed_emulator::Scope::Application);
    }
    for _ in 0..dice.below(2) + 1 {
        limit = limit.retry_after(dice.one_of(&["1", "0.3", "10", "whole", "exact", "ms:exact"]));
    }
    vec![limit]
}

fn behaviour(dice: &mut Dice, rough: f64) -> Behaviour {
    use {BatchIdCase as Case, BatchThrottled as Throttled};
    Behaviour {
        item_answer: dice.one_of(&[ItemAnswer::Empty, ItemAnswer::Item]),
        batch_id_case: dice.one_of(&[Case::AsSent, Case::Lower, Case::Upper]),
        // Of a 424 nobody knows what became of the parts, and so an append in it fails.
        batch_throttled: match dice.below(if rough > 0.0 { 3 } else { 2 }) {
            0 => Throttled::Each,
            1 => Throttled::TooManyRequests,
            _ => Throttled::FailedDependency,
        },
        ..Behaviour::default()
    }
}

fn settings(dice: &mut Dice, rough: f64, packing: Packing) -> (IngestSettings, Policy, Budget) {
    let mut settings = IngestSettings::default();
    settings.in_flight = 1 + dice.below(25) as usize;
    settings.queue = 1 + dice.below(60) as usize;
    settings.packing = packing;
    if dice.chance(0.3) {
        settings.after_failure = AfterFailure::Skip;
    }
    settings.failures_in_a_row = dice.chance(0.3).then(|| 1 + dice.below(6) as u32);
    settings.failure_share =
        dice.chance(0.3).then(|| FailureShare::new(2 + dice.below(5) as u32, 10));
    let mut policy = Policy::default();
    let mut budget = Budget::default();
    if rough > 0.0 {
        policy.attempt = Duration::from_secs(5);
        policy.attempts = 1 + dice.below(8) as u32;
        policy.total = Duration::from_secs(5 + dice.below(300));
        budget.capacity = 20 + dice.below(500) as u32;
    }
    (settings, policy, budget)
}
