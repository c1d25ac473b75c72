//! What is deleted, and what is not.

use std::collections::BTreeSet;

use graphfeed_core::machine::Ending;
use graphfeed_crawl::{Complaint, CrawlNews, Entry, State, Sweep};

use crate::world::{World, numbered, page, pages, refused, titled, viewed_page, watermark};

/// What cannot be read.
fn unreadable() -> Entry {
    use graphfeed_core::protocol::ServiceRoot;
    use graphfeed_crawl::{ItemLines, LineError, NdjsonSettings};

    let mut lines = ItemLines::new(&b"{\"id\""[..], NdjsonSettings::new(ServiceRoot::v1()));
    let Some(Err(LineError::Refused(refused))) = lines.next() else { panic!("it is broken") };
    refused.into()
}

#[test]
fn what_the_source_no_longer_has_is_deleted_after_a_run_that_saw_it_whole() {
    let world = World::new();
    world.run(numbered(0..20));
    let report = world.run(numbered(1..21));
    assert_eq!((report.ok, report.unchanged, report.deleted), (1, 19, 1));
    assert_eq!((report.seen, &report.sweep), (20, &Sweep::Done));
    let keys: BTreeSet<_> = world.titles().into_keys().collect();
    assert_eq!(keys, (1..21).map(|number| format!("page {number}")).collect());
    assert_eq!((world.state("page 0"), world.deletes()), (None, 1));
    assert_eq!((world.run(numbered(1..21)).deleted, world.deletes()), (0, 1));
}

#[test]
fn more_are_deleted_than_are_looked_up_at_a_time() {
    let world = &mut World::new();
    world.settings.most_swept = 1.0;
    world.run(numbered(0..700));
    let report = world.run(numbered(600..700));
    assert_eq!((report.deleted, world.titles().len()), (600, 100));
    assert_eq!(world.run(Vec::new()).deleted, 100);
    assert!(world.titles().is_empty());
}

#[test]
fn exactly_the_share_that_is_allowed_is_deleted_and_one_more_is_not() {
    for (share, known) in [(0.1, 10), (0.1, 30), (0.29, 100), (0.57, 100), (0.07, 100)] {
        let world = &mut World::new();
        world.settings.most_swept = share;
        world.run(numbered(0..known));
        let allowed = (share * f64::from(known)).round() as u32;
        let report = world.run(numbered(allowed + 1..known));
        let brake = Sweep::Brake { unseen: u64::from(allowed) + 1, known: u64::from(known) };
        assert_eq!((report.deleted, report.sweep, world.deletes()), (0, brake, 0), "{share}");
        assert_eq!(world.crawl().journal().last_run().map(|run| run.complete), Some(false));
        let report = world.run(numbered(allowed..known));
        assert_eq!((report.deleted, report.sweep), (u64::from(allowed), Sweep::Done), "{share}");
    }
}

#[test]
fn a_share_that_is_no_number_allows_nothing() {
    let world = &mut World::new();
    world.settings.most_swept = f64::NAN;
    world.run(pages(["a", "b"]));
    assert_eq!(world.run(pages(["a", "b"])).sweep, Sweep::Done);
    assert_eq!(world.run(pages(["a"])).sweep, Sweep::Brake { unseen: 1, known: 2 });
    assert_eq!(world.titles().len(), 2);
}

#[test]
fn new_items_do_not_raise_what_may_be_deleted() {
    let world = World::new();
    world.run(numbered(0..10));
    let report = world.run(numbered(2..100));
    assert_eq!(report.sweep, Sweep::Brake { unseen: 2, known: 10 });
    assert_eq!(world.titles().len(), 100);
}

#[test]
fn what_only_may_have_been_stored_does_not_raise_what_may_be_deleted() {
    let world = World::new();
    world.run(numbered(0..10));
    let crawl = world.crawl();
    let pass = crawl.begin().unwrap();
    // They are on record, and none is sent.
    assert_eq!(pass.offers(numbered(100..200)).count(), 100);
    drop(pass);
    drop(crawl);
    let source = || [numbered(100..200), numbered(150..200)].concat();
    let brake = Sweep::Brake { unseen: 10, known: 10 };
    assert_eq!(world.check(source()).0.sweep, brake);
    assert_eq!((world.run(source()).sweep, world.titles().len()), (brake, 110));
}

#[test]
fn what_was_about_to_be_deleted_when_a_run_is_stopped_is_known_as_it_was() {
    let said = || (0..20).map(|number| Entry::gone(format!("page {number}"))).collect();
    for source in [said(), Vec::new()] {
        let world = &mut World::new();
        world.settings.most_swept = 1.0;
        world.settings.ingest.in_flight = 1;
        world.settings.ingest.queue = 4;
        world.run(numbered(0..20));
        let report = world.try_run(source, |news, stop| {
            if let CrawlNews::Done(..) = news {
                stop.stop();
            }
        });
        assert_eq!(report.unwrap().ending, Ending::Stopped);
        let left = world.titles();
        assert!((1..20).contains(&left.len()), "{left:?}");
        for key in left.keys() {
            assert_eq!(world.state(key), Some(State::Stored), "{key}");
        }
        assert_eq!(world.run(numbered(0..20)).unchanged, left.len() as u64);
    }
}

#[test]
fn nothing_is_deleted_where_that_is_not_wanted() {
    let world = &mut World::new();
    world.settings.sweep = false;
    world.run(pages(["a", "b"]));
    let report = world.run(pages(["a"]));
    assert_eq!((report.deleted, report.sweep, world.titles().len()), (0, Sweep::Off, 2));
    assert_eq!(world.crawl().journal().last_run().map(|run| run.complete), Some(true));
}

#[test]
fn nothing_is_deleted_after_a_run_that_was_stopped() {
    let world = &mut World::new();
    world.settings.most_swept = 1.0;
    world.run(numbered(0..10));
    let report = world.try_run(vec![titled("page 1", "new"), page("page 2")], |news, stop| {
        if let CrawlNews::Done(..) = news {
            stop.stop();
        }
    });
    let report = report.unwrap();
    assert_eq!((report.ending, report.sweep), (Ending::Stopped, Sweep::NotComplete));
    assert_eq!((report.deleted, world.titles().len()), (0, 10));
}

#[test]
fn nothing_is_deleted_when_something_could_not_be_read() {
    let world = &mut World::new();
    world.settings.most_swept = 1.0;
    world.run(pages(["a", "b"]));
    let report = world.run(vec![page("a"), unreadable()]);
    assert_eq!((report.seen, report.unchanged, report.failed), (2, 1, 1));
    assert_eq!((report.ending, report.sweep), (Ending::Complete, Sweep::NotComplete));
    assert_eq!((world.titles().len(), world.deletes()), (2, 0));
    let letter = &world.letters()[0];
    assert_eq!((letter.key.as_deref(), letter.line), (None, Some(1)));
}

#[test]
fn what_cannot_be_deleted_has_a_letter_and_is_tried_again_by_the_next_run() {
    let world = &mut World::new();
    world.settings.most_swept = 0.5;
    world.run(pages(["a", "b", "c", "d"]));
    world.fault("DELETE", "c", "400 times=1");
    let report = world.run(pages(["a", "b"]));
    assert_eq!((report.deleted, report.not_deleted, report.failed), (1, 1, 0));
    assert_eq!((&report.sweep, report.ending), (&Sweep::Partly { left: 1 }, Ending::Complete));
    assert_eq!(world.crawl().journal().last_complete_run(), Some(report.run));
    assert_eq!((world.dead(), world.titles().len()), (vec!["c".to_owned()], 3));
    let report = world.run(pages(["a", "b"]));
    assert_eq!((report.deleted, report.not_deleted, world.titles().len()), (1, 0, 2));
    assert_eq!(report.sweep, Sweep::Done);
}

#[test]
fn whatever_became_of_what_the_source_no_longer_has_there_is_a_sentence_for_it() {
    let brake = Sweep::Brake { unseen: 2, known: 10 };
    for (sweep, sentence) in [
        (Sweep::Done, "what the source no longer has is deleted"),
        (Sweep::Partly { left: 3 }, "3 items that the source no longer has are not deleted"),
        (Sweep::Off, "what the source no longer has was left where it is"),
        (Sweep::NotComplete, "nothing was deleted that it no longer has"),
        (brake, "the source no longer has 2 of 10 items, and none was deleted"),
        (Sweep::WouldDelete(3), "3 would be deleted"),
    ] {
        assert!(sweep.to_string().contains(sentence), "{sweep}");
    }
}

#[test]
fn what_is_gone_already_counts_as_deleted() {
    let world = &mut World::new();
    world.settings.most_swept = 1.0;
    world.run(pages(["a", "b"]));
    world.request("DELETE", "/contosohr/items/b", "");
    let report = world.run(pages(["a"]));
    assert_eq!((report.deleted, report.not_deleted, world.state("b")), (1, 0, None));
}

#[test]
fn deletions_that_are_stopped_are_no_failures_and_go_on_with_the_next_run() {
    let world = &mut World::new();
    world.settings.most_swept = 1.0;
    world.settings.ingest.in_flight = 1;
    world.run(numbered(0..150));
    let report = world.try_run(numbered(0..1), |news, stop| {
        if let CrawlNews::Done(..) = news {
            stop.stop();
        }
    });
    let report = report.unwrap();
    assert_eq!((report.ending, report.not_deleted, world.dead().len()), (Ending::Stopped, 0, 0));
    assert!(report.deleted > 0 && report.deleted < 149, "{report:?}");
    let rest = 149 - report.deleted;
    assert_eq!(report.sweep, Sweep::Partly { left: rest });
    let report = world.run(numbered(0..1));
    assert_eq!((report.deleted, report.sweep, world.titles().len()), (rest, Sweep::Done, 1));
}

#[test]
fn a_run_that_ended_early_says_so_also_when_it_had_nothing_to_delete() {
    let world = &mut World::new();
    world.settings.ingest.failures_in_a_row = Some(2);
    world.emulator.script("PUT item: 400").unwrap();
    let report = world.run(numbered(0..200));
    assert!(matches!(report.ending, Ending::FailuresInARow(_)), "{:?}", report.ending);
}

#[test]
fn a_look_beforehand_counts_as_the_run_does_and_changes_nothing() {
    let world = &mut World::new();
    world.settings.most_swept = 0.5;
    world.run(vec![page("a"), viewed_page("b", [1]), page("c"), page("d"), page("e"), page("f")]);
    let (puts, deletes) = (world.puts(), world.deletes());
    let source = || {
        vec![
            page("a"),
            viewed_page("b", [1, 2, 3]),
            titled("c", "C"),
            watermark("w"),
            refused("d"),
            Entry::gone("e"),
            page("new"),
            refused("bad"),
            Entry::gone("never there"),
        ]
    };
    let (looked, complaints) = world.check(source());
    assert_eq!((looked.seen, looked.ok, looked.failed, looked.unchanged), (8, 4, 2, 2));
    assert_eq!((looked.deleted, &looked.sweep), (1, &Sweep::WouldDelete(1)));
    assert_eq!(looked.activities.not_stored, 2);
    assert_eq!(complaints, ["d: acl-required", "bad: acl-required"]);
    assert_eq!((world.puts(), world.deletes()), (puts, deletes));
    assert_eq!((world.letters().len(), world.watermark()), (0, None));

    let report = world.run(source());
    assert_eq!((report.seen, report.ok, report.failed), (8, 4, 2));
    assert_eq!((report.unchanged, report.deleted, report.sweep), (2, 2, Sweep::Done));
    assert_eq!(world.state("f"), None);
}

#[test]
fn a_look_beforehand_tells_of_the_brake_and_of_what_cannot_be_read() {
    let world = World::new();
    world.run(numbered(0..20));
    assert_eq!(world.check(numbered(2..20)).0.sweep, Sweep::WouldDelete(2));
    assert_eq!(world.check(numbered(3..20)).0.sweep, Sweep::Brake { unseen: 3, known: 20 });
    let (report, complaints) = world.check(vec![unreadable()]);
    assert_eq!((report.sweep, report.failed), (Sweep::NotComplete, 1));
    assert_eq!(complaints, ["line Some(1)"]);
    let crawl = world.crawl();
    let mut told = Vec::new();
    let told_of = |complaint: Complaint<'_>| told.push(format!("{complaint:?}"));
    crawl.check(vec![refused("x")], told_of).unwrap();
    assert!(told[0].contains("nobody could see the item"), "{told:?}");
}

#[test]
fn an_item_that_never_was_stored_is_forgotten_when_the_source_no_longer_has_it() {
    let world = &mut World::new();
    world.settings.most_swept = 1.0;
    world.run(vec![page("a"), refused("b")]);
    assert_eq!(world.state("b"), Some(State::Failed));
    let report = world.run(pages(["a"]));
    assert_eq!((report.deleted, report.not_deleted, world.state("b")), (0, 0, None));
    assert_eq!(world.deletes(), 0);
}

#[test]
fn what_never_was_stored_neither_counts_for_the_brake_nor_is_deleted() {
    let world = World::new();
    let mut source = numbered(0..9);
    source.extend([refused("r"), refused("s")]);
    world.run(source);
    assert_eq!(world.check(numbered(0..9)).0.sweep, Sweep::WouldDelete(0));
    assert_eq!(world.check(numbered(0..8)).0.sweep, Sweep::Brake { unseen: 1, known: 9 });
    let mut source = numbered(0..9);
    source.push(Entry::gone("r"));
    let report = world.run(source);
    assert_eq!((report.seen, report.unchanged, report.sweep), (10, 10, Sweep::Done));
    assert_eq!((world.state("r"), world.state("s"), world.deletes()), (None, None, 0));
}

#[test]
fn what_may_have_been_stored_is_deleted_even_if_it_failed_again() {
    let world = &mut World::new();
    world.settings.most_swept = 1.0;
    world.fault("PUT", "b", "stored reset times=2");
    world.run(pages(["a", "b"]));
    world.run(vec![page("a"), refused("b")]);
    assert_eq!(world.state("b"), Some(State::Uncertain));
    assert_eq!(world.run(pages(["a"])).deleted, 1);
    assert_eq!(world.titles().len(), 1);
}
