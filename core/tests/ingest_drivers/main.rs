//! Both drivers of a bulk run, by the same list of cases where there is one, with and without
//! batches. What the machine
//! under them decides is tried without them.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "real threads need real waits"
)]

mod asynchronous;
mod blocking;
mod world;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use graphfeed_core::{
    client::IngestNews,
    machine::{End, Ending, IngestSettings, Packing, SkipReason},
};
use world::{Report, Service, answer, bad, both, delete};

/// What every run keeps, however it ends.
fn accounted_for<K: Copy + Ord>(report: &Report<K>) {
    let progress = &report.summary.progress;
    assert_eq!(progress.seen, progress.ok + progress.failed + progress.skipped);
    assert_eq!(progress.seen, report.told.len() as u64);
    assert_eq!((progress.in_flight, report.service.out()), (0, 0));
}

#[test]
fn each_offer_is_told_once_with_what_became_of_it() {
    both(
        |setup| {
            setup.service.answers(|name| match name.ends_with('7') {
                true => Ok(answer(400)),
                false => Ok(answer(204)),
            });
        },
        |_| (0..300).map(|key| (key, if key % 10 == 3 { Err(bad()) } else { delete(key) })),
        |_, _, _| {},
        |report| {
            accounted_for(&report);
            let ends: BTreeMap<u32, _> =
                report.told.iter().map(|(key, outcome)| (*key, &outcome.end)).collect();
            assert_eq!(ends.len(), 300);
            for (key, end) in ends {
                match key % 10 {
                    3 => assert!(matches!(end, End::Skipped(SkipReason::Source(_))), "{key}"),
                    7 => assert!(matches!(end, End::Failed(_)), "{key}"),
                    _ => assert!(matches!(end, End::Ok(_)), "{key}"),
                }
            }
            let progress = &report.summary.progress;
            assert_eq!((progress.ok, progress.failed, progress.skipped), (240, 30, 30));
            assert_eq!((report.summary.ending, report.tokens), (Ending::Complete, 1));
            assert_eq!(report.service.sent().len(), 270);
            match report.packing {
                Packing::Singles => assert_eq!(report.service.requests(), 270),
                _ => assert!(report.service.requests() < 270, "{}", report.service.requests()),
            }
        },
    );
}

#[test]
fn calls_of_one_key_go_and_are_told_in_order() {
    let of_key = |key: u32, numbers: &[u32]| -> Vec<u32> {
        numbers.iter().copied().filter(|number| number % 5 == key).collect()
    };
    both(
        |_| {},
        |_| (0..200_u32).map(|number| (number % 5, delete(number))),
        |_, _, _| {},
        |report| {
            accounted_for(&report);
            let number = |name: &str| name[1..].parse().unwrap();
            let sent: Vec<u32> = report.service.sent().iter().map(|name| number(name)).collect();
            let told: Vec<u32> = report
                .told
                .iter()
                .map(|(_, outcome)| {
                    let path = outcome.call.as_ref().unwrap().request().uri().path();
                    number(path.rsplit('/').next().unwrap())
                })
                .collect();
            for key in 0..5 {
                let offered = of_key(key, &Vec::from_iter(0..200));
                assert_eq!(of_key(key, &sent), offered);
                assert_eq!(of_key(key, &told), offered);
            }
        },
    );
}

#[test]
fn as_many_calls_are_out_as_may_be_and_never_more() {
    both(
        |setup| {
            setup.settings.in_flight = 3;
            setup.service.hold_until(3);
        },
        |_| (0..100_u32).map(|key| (key, delete(key))),
        |_, _, _| {},
        |report| {
            accounted_for(&report);
            assert_eq!((report.service.most_out(), report.tokens), (3, 1));
        },
    );
}

/// A key that is counted while it, or a clone of it, is alive.
#[derive(Debug)]
struct Live(Arc<AtomicUsize>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Clone, Debug)]
struct Key(u32, #[allow(dead_code, reason = "it is there to be dropped")] Arc<Live>);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// An iterator that watches how much of it is alive.
struct Watched {
    next: u32,
    alive: Arc<AtomicUsize>,
    most: usize,
    service: Arc<Service>,
}

impl Iterator for Watched {
    type Item = world::Offer<Key>;

    fn next(&mut self) -> Option<Self::Item> {
        let alive = self.alive.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(alive <= self.most, "{alive} offers are alive");
        if alive == self.most {
            self.service.release();
        }
        let number = self.next;
        self.next += 1;
        let key = Key(number, Arc::new(Live(Arc::clone(&self.alive))));
        (number < 2000).then(|| (key, delete(number)))
    }
}

#[test]
fn the_source_is_never_read_ahead_of_what_fits() {
    for blocking in [true, false] {
        let service = Service::new();
        // Nobody answers until as much is read as fits.
        service.hold_until(usize::MAX);
        let alive = Arc::new(AtomicUsize::new(0));
        let mut settings = IngestSettings::default();
        settings.queue = 12;
        let source =
            Watched { next: 0, alive: Arc::clone(&alive), most: 12, service: Arc::clone(&service) };
        let mut told = 0;
        let handler = |news| told += u32::from(matches!(news, IngestNews::Done(..)));
        let summary = match blocking {
            true => world::client(&service).ingest(settings).run(source, handler),
            false => {
                let run = world::async_client(&service).ingest(settings);
                pollster::block_on(run.run(world::Iter(source), handler))
            }
        };
        assert_eq!(summary.progress.ok, 2000);
        assert_eq!(told, 2000);
        assert_eq!(alive.load(Ordering::SeqCst), 0, "nothing is kept");
    }
}

#[test]
fn a_stop_from_the_handler_ends_a_run_without_end() {
    both(
        |_| {},
        |_| (0_u32..).map(|key| (key, delete(key))),
        |news, stop, _| {
            if matches!(news, IngestNews::Done(5, _)) {
                stop.stop();
            }
        },
        |report| {
            accounted_for(&report);
            assert_eq!(report.summary.ending, Ending::Stopped);
            let sent = report.service.sent().len() as u64;
            let progress = &report.summary.progress;
            assert_eq!((progress.ok, progress.failed), (sent, 0));
            let unsent = report.told.iter().filter(|(_, outcome)| outcome.attempts == 0);
            for (key, outcome) in unsent {
                assert!(matches!(outcome.end, End::Skipped(SkipReason::RunEnded)), "{key}");
            }
        },
    );
}

#[test]
fn too_many_failures_end_a_run_and_what_was_read_is_told() {
    both(
        |setup| {
            setup.settings.failures_in_a_row = Some(5);
            setup.service.answers(|_| Ok(answer(400)));
        },
        |_| (0_u32..).map(|key| (key, delete(key))),
        |_, _, _| {},
        |report| {
            accounted_for(&report);
            assert!(matches!(report.summary.ending, Ending::FailuresInARow(5..)));
            let mut keys = report.keys();
            keys.sort_unstable();
            assert_eq!(keys, Vec::from_iter(0..keys.len() as u32), "each that was read, once");
        },
    );
}

#[test]
fn the_progress_is_told_from_time_to_time_with_the_time_left() {
    both(
        |setup| {
            setup.settings.in_flight = 1;
            setup.progress_every = Duration::from_secs(4);
            let time = Arc::clone(&setup.service.time);
            setup.service.answers(move |_| {
                time.advance(Duration::from_millis(500));
                Ok(answer(204))
            });
        },
        |_| (0..100_u32).map(|key| (key, delete(key))),
        |_, _, _| {},
        |report| {
            accounted_for(&report);
            // 50 seconds, of which the last ones may end with the run.
            assert!((11..=12).contains(&report.progress.len()), "{}", report.progress.len());
            for (at, progress) in (1..).zip(&report.progress) {
                let told = progress.ok;
                assert!((8 * at - 1..=8 * at + 1).contains(&told), "{told} after {at} times 4 s");
                assert!((1.7..2.3).contains(&progress.rate), "{}", progress.rate);
                let left = progress.left.unwrap().as_secs_f64() * progress.rate;
                assert!((left - (100 - told) as f64).abs() < 1.5, "{left} left after {told}");
            }
        },
    );
}

#[test]
fn the_time_left_is_told_where_somebody_says_how_much_there_is() {
    for (expected, left) in [(None, false), (Some(40), true)] {
        both(
            |setup| {
                (setup.settings.queue, setup.expected) = (4, expected);
                let time = Arc::clone(&setup.service.time);
                setup.service.answers(move |_| {
                    time.advance(Duration::from_millis(500));
                    Ok(answer(204))
                });
            },
            |_| (0..40_u32).filter(|_| true).map(|key| (key, delete(key))),
            |_, _, _| {},
            |report| {
                // Once the source is at its end it is known in any case.
                let told = report.progress.iter();
                let told = told.filter(|progress| progress.rate > 0.0 && progress.seen < 40);
                let told: Vec<bool> = told.map(|progress| progress.left.is_some()).collect();
                assert!(told.len() > 3, "{told:?}");
                assert!(told.iter().all(|told| *told == left), "{told:?}");
            },
        );
    }
}

#[test]
fn an_empty_source_is_a_run_that_is_over() {
    both(
        |_| {},
        |_| std::iter::empty::<world::Offer<u32>>(),
        |_, _, _| panic!("there is nothing to tell"),
        |report| {
            assert_eq!((report.summary.ending, report.tokens), (Ending::Complete, 0));
            assert_eq!(report.service.sent(), [""; 0]);
        },
    );
}
