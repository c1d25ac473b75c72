//! Bulk runs against the emulator in virtual time, where everything goes wrong that can: what is
//! promised of a run holds whatever happens.
//!
//! A seed that fails is printed; `SEED=7 cargo test -p graphfeed-simulation` runs that one alone.
//! `cargo test --release -p graphfeed-simulation -- --ignored` goes on for longer.

mod run;
mod scenario;

use std::{collections::BTreeMap, ops::Range};

use run::{Met, run};

/// What has to have been met over all runs.
const TROUBLES: &[&str] = &[
    "a batch that is an error",
    "a batch that is throttled",
    "a batch without responses",
    "a failure",
    "a gateway's page",
    "a hang after it was stored",
    "a hang that does not",
    "a hang that ends in time",
    "a late answer",
    "a limit that changes",
    "a missing part",
    "a refusal",
    "a reset",
    "a reset after it was stored",
    "a response to nobody",
    "a run without failure",
    "a storm",
    "a token",
    "a token that is refused",
    "an activity that is there twice",
    "an answer in a batch",
    "an answer that breaks off",
    "an answer that is late",
    "an attempt given up",
    "an earlier failure",
    "an early end",
    "an emulator that knows who is early",
    "an end: a share of failures",
    "an end: complete",
    "an end: failures in a row",
    "an end: stopped",
    "an error",
    "an error after it was stored",
    "an error and a wait",
    "an error and a wait after it was stored",
    "an unknown fate",
    "lost in silence",
    "lost on the way",
    "lost on the way back",
    "no token and a reset",
    "no token but a wait",
    "over a bucket",
    "over a bucket that charges",
    "over a window",
    "refused on the way",
    "told to wait for a date",
    "told to wait in decimals",
    "told to wait in milliseconds",
    "told to wait in seconds",
    "told to wait, not how long",
    "too many at a time",
];

fn run_all(seeds: Range<u64>) -> Met {
    if let Ok(seed) = std::env::var("SEED") {
        println!("{:#?}", run(seed.parse().expect("SEED is a number")));
        return TROUBLES.iter().map(|trouble| (*trouble, u64::MAX)).collect();
    }
    let mut met: Met = BTreeMap::new();
    for seed in seeds {
        for (trouble, times) in run(seed).met {
            *met.entry(trouble).or_default() += times;
        }
    }
    println!("{met:#?}");
    met
}

#[test]
fn what_is_promised_holds_whatever_happens() {
    let met = run_all(0..2000);
    let often = |trouble: &&&str| met.get(**trouble).copied().unwrap_or_default();
    let missing: Vec<_> = TROUBLES.iter().filter(|trouble| often(trouble) < 5).collect();
    assert!(missing.is_empty(), "hardly met: {missing:?}");
}

#[test]
#[ignore = "takes minutes"]
fn what_is_promised_holds_for_longer() {
    run_all(1 << 32..(1 << 32) + 100_000);
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in (0..2000).step_by(50) {
        assert_eq!(run(seed), run(seed), "{seed}");
    }
    assert_ne!(run(1).trace, run(2).trace);
}
