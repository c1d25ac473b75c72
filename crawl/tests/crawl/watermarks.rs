//! From where a source can go on: never past something that is not on record.

use graphfeed_core::external::Duplicates;
use graphfeed_crawl::{CrawlNews, Entry, Report, State, Sweep};

use crate::world::{World, numbered, page, pages, refused, viewed_page, watermark};

fn text(watermark: Option<Vec<u8>>) -> Option<String> {
    watermark.map(|text| String::from_utf8(text).unwrap())
}

#[test]
fn a_watermark_passes_when_all_before_it_is_stored() {
    let world = World::new();
    world.run(vec![page("a"), watermark("1"), page("b"), watermark("2"), page("c")]);
    assert_eq!(text(world.watermark()).as_deref(), Some("2"));
    // Where nothing is left to be done, too.
    world.run(vec![page("a"), watermark("3"), page("b"), page("c")]);
    assert_eq!(text(world.watermark()).as_deref(), Some("3"));
    world.run(vec![watermark("4"), page("a"), page("b"), page("c")]);
    assert_eq!(text(world.watermark()).as_deref(), Some("4"));
}

#[test]
fn a_watermark_waits_for_what_is_on_its_way() {
    let world = &mut World::new();
    world.settings.sweep = false;
    world.settings.ingest.in_flight = 2;
    let mut source = vec![page("first"), watermark("1")];
    for number in 0..30 {
        source.push(page(&format!("page {number}")));
        source.push(watermark("later"));
    }
    // What comes first fails at last.
    world.fault("PUT", "first", "500 times=2");
    let mut others = 0;
    world.by_hand(source, |crawl, key| {
        let Some(key) = key else { return true };
        let known = text(crawl.journal().watermark().unwrap());
        match key {
            "first" => assert_eq!(known.as_deref(), Some("later")),
            _ => {
                assert_eq!(known, None);
                others += 1;
            }
        }
        true
    });
    assert_eq!((others, text(world.watermark()).as_deref()), (30, Some("later")));
}

#[test]
fn a_watermark_passes_a_failure_when_its_letter_is_on_disk() {
    let world = World::new();
    world.fault("PUT", "a", "400 times=1");
    world.fault("POST", "b", "400 times=1");
    let source = vec![page("a"), viewed_page("b", [1]), refused("c"), watermark("1")];
    let mut failures = 0;
    let report = world.try_run(source, |news, _| {
        if let CrawlNews::Done(key, _) = news {
            failures += usize::from(world.dead().contains(&key.to_owned()));
        }
    });
    assert_eq!((report.unwrap().failed, failures), (3, 3));
    assert_eq!(text(world.watermark()).as_deref(), Some("1"));
    assert_eq!(world.letters().len(), 3);
}

#[test]
fn a_watermark_never_passes_activities_that_were_not_sent_because_the_run_ended() {
    let mut world = World::new();
    world.settings.ingest.failures_in_a_row = Some(1);
    world.fault("PUT", "b", "400 times=1");
    let source = || vec![page("a"), watermark("1"), viewed_page("b", [1]), watermark("2")];
    let report = run_by_hand(&world, source());
    // The item has a letter, and its activities have none, so that the source has to give them.
    assert_eq!((report.ok, report.failed, world.dead()), (1, 1, vec!["b".to_owned()]));
    assert_eq!((text(world.watermark()).as_deref(), world.adds()), (Some("1"), 0));
    assert_eq!(report.sweep, Sweep::NotComplete);
    run_by_hand(&world, source());
    assert_eq!((text(world.watermark()).as_deref(), world.viewers("b")), (Some("2"), vec![1]));
}

#[test]
fn a_watermark_never_passes_an_item_that_was_not_sent_because_the_run_ended() {
    let mut world = World::new();
    world.settings.ingest.failures_in_a_row = Some(1);
    world.settings.ingest.in_flight = 1;
    world.fault("PUT", "a", "400 times=1");
    let source = || vec![page("a"), watermark("1"), page("b"), watermark("2")];
    let report = run_by_hand(&world, source());
    assert_eq!((report.failed, report.skipped, world.puts()), (1, 1, 1));
    assert_eq!(text(world.watermark()).as_deref(), Some("1"));
    run_by_hand(&world, source());
    assert_eq!((text(world.watermark()).as_deref(), world.titles().len()), (Some("2"), 2));
}

fn run_by_hand(world: &World, source: Vec<Entry>) -> Report {
    world.by_hand(source, |_, _| true).unwrap()
}

#[test]
fn a_watermark_never_passes_what_was_not_sent() {
    for in_flight in [1, 5] {
        stop_at_the_tenth(in_flight);
    }
}

fn stop_at_the_tenth(in_flight: usize) {
    let world = &mut World::new();
    world.settings.sweep = false;
    world.settings.ingest.in_flight = in_flight;
    let source = || {
        let marked = numbered(0..50).into_iter().zip(0..);
        let marked = marked.flat_map(|(page, number)| [page, watermark(&number.to_string())]);
        marked.collect::<Vec<_>>()
    };
    let mut done = 0;
    let report = world.try_run(source(), |news, stop| {
        if let CrawlNews::Done(..) = news {
            done += 1;
            if done == 10 {
                stop.stop();
            }
        }
    });
    let report = report.unwrap();
    assert!(report.ok >= 10 && report.ok < 50, "{report:?}");
    let passed: u64 = text(world.watermark()).unwrap().parse().unwrap();
    // All before the first that was not sent, not less.
    if in_flight == 1 {
        assert_eq!(passed + 1, report.ok);
    }
    let known = |number| world.state(&format!("page {number}"));
    assert!((0..=passed).all(|number| known(number) == Some(State::Stored)));
    let first_unsent = (0..).find(|number| known(*number) != Some(State::Stored));
    assert_eq!(first_unsent, Some(passed + 1));

    world.run(source());
    assert_eq!((text(world.watermark()).as_deref(), world.puts()), (Some("49"), 50));
}

#[test]
fn a_watermark_passes_what_was_held_back_only_with_its_letter() {
    let world = World::new();
    world.fault("PUT", "a", "400 times=1");
    let report = world.run(vec![viewed_page("a", [1]), watermark("1")]);
    assert_eq!((report.failed, text(world.watermark()).as_deref()), (1, Some("1")));
    // The source goes on behind it, so that only letters know.
    let report = world.replay(Duplicates::Never);
    assert_eq!((report.ok, world.titles().len(), world.viewers("a")), (2, 1, vec![1]));
}

#[test]
fn deletions_count_for_a_watermark_like_all_else() {
    let world = World::new();
    world.run(pages(["a"]));
    world.run(vec![Entry::gone("a"), Entry::gone("never there"), watermark("1")]);
    assert_eq!((text(world.watermark()).as_deref(), world.titles().len()), (Some("1"), 0));
}
