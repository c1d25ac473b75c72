//! What fails, and what is on record of it.

use std::{
    sync::{Mutex, mpsc},
    time::Duration,
};

use graphfeed_core::{
    client::{Client, VirtualClock},
    external::Duplicates,
    machine::Ending,
    protocol::{Applied, Cloud, ServiceRoot, Version},
    types::{AccessToken, ConnectionId},
};
use graphfeed_crawl::{
    Crawl, CrawlError, CrawlNews, CrawlSettings, DeadLetter, Entry, State, Sweep,
};

use crate::world::{World, before, page, pages, root, titled, viewed_page};

#[test]
fn an_item_that_fails_has_a_letter_when_it_is_told_and_is_tried_again_by_the_next_run() {
    let world = World::new();
    world.fault("PUT", "b", "400 times=1");
    let mut told = 0;
    let report = world.try_run(pages(["a", "b", "c"]), |news, _| {
        if let CrawlNews::Done("b", _) = news {
            assert_eq!(world.dead(), ["b"]);
            told += 1;
        }
    });
    let report = report.unwrap();
    assert_eq!((told, report.ok, report.failed), (1, 2, 1));
    // That one failed is no reason to delete nothing.
    assert_eq!((report.ending, report.sweep), (Ending::Complete, Sweep::Done));
    assert_eq!((world.state("b"), world.titles().len()), (Some(State::Failed), 2));
    let letter = &world.letters()[0];
    assert_eq!((letter.status, letter.attempts, letter.applied), (Some(400), 1, Applied::No));

    let report = world.run(pages(["a", "b", "c"]));
    assert_eq!((report.ok, report.unchanged, world.state("b")), (1, 2, Some(State::Stored)));
    assert_eq!(world.dead(), ["b"], "no other one");
}

#[test]
fn a_crawl_into_another_connection_than_its_journal_is_of_is_refused() {
    let world = World::new();
    for (root, to) in [(root(), "contosoit"), (beta(), "contosohr")] {
        let (journal, letters) = world.kept();
        let to = ConnectionId::new(to).unwrap();
        let made = Crawl::new(root, to, journal, letters, CrawlSettings::default());
        let why = made.unwrap_err().to_string();
        let scope = "belongs to https://graph.microsoft.com/v1.0 contosohr";
        assert!(why.contains(scope), "{why}");
    }
}

fn beta() -> ServiceRoot {
    ServiceRoot::https("https://graph.microsoft.com", Cloud::Global, Version::Beta).unwrap()
}

#[test]
fn a_client_of_another_root_than_the_crawl_s_is_refused_before_anything_is_begun() {
    let world = World::new();
    let client = Client::builder(beta(), AccessToken::new("any").unwrap())
        .build(world.emulator.clone(), VirtualClock::default());
    let crawl = world.crawl();
    let why = crawl.over(&client).run(pages(["a"]), |_| {}).unwrap_err();
    assert!(matches!(why, CrawlError::OtherRoot { .. }), "{why:?}");
    assert_eq!(
        why.to_string(),
        "the client goes to https://graph.microsoft.com/beta, and the crawl to \
         https://graph.microsoft.com/v1.0; make both for one root"
    );
    let letters: [DeadLetter; 0] = [];
    assert!(crawl.over(&client).replay(letters, Duplicates::Never, |_| {}).is_err());
    assert_eq!((crawl.journal().last_run(), world.puts()), (None, 0));
}

#[test]
fn a_changed_item_that_fails_is_not_taken_for_what_it_was() {
    let world = World::new();
    world.run(pages(["a"]));
    world.fault("PUT", "a", "stored 400 times=1");
    assert_eq!(world.run(vec![titled("a", "new")]).failed, 1);
    assert_eq!(world.titles()["a"], "new", "though it says that it failed");
    assert_eq!(world.run(pages(["a"])).ok, 1);
    assert_eq!(world.titles()["a"], "a");
}

#[test]
fn an_item_of_unknown_fate_is_sent_again() {
    let world = World::new();
    world.fault("PUT", "a", "stored reset times=2");
    let report = world.run(pages(["a"]));
    assert_eq!((report.failed, world.state("a")), (1, Some(State::Uncertain)));
    assert_eq!(world.letters()[0].applied, Applied::Maybe);
    assert_eq!((world.run(pages(["a"])).ok, world.titles().len()), (1, 1));
}

#[test]
fn an_item_of_which_it_is_not_known_whether_it_was_deleted_is_sent_again() {
    let world = World::new();
    world.run(pages(["a", "b"]));
    world.fault("DELETE", "b", "stored 403 times=1");
    let report = world.run(vec![page("a"), Entry::gone("b")]);
    assert_eq!((report.failed, report.deleted, report.not_deleted), (1, 0, 0));
    assert_eq!(world.dead(), ["b"]);
    // It says that it is there, and it is not.
    assert_eq!(world.titles().len(), 1);
    assert_eq!(world.run(pages(["a", "b"])).ok, 1);
    assert_eq!(world.titles().len(), 2);
}

#[test]
fn what_was_held_back_by_the_failure_of_its_item_has_a_letter_too() {
    let world = World::new();
    world.fault("PUT", "a", "400 times=1");
    // The item is answered when all is offered.
    let (tell, told) = mpsc::channel();
    let told = Mutex::new(told);
    let client = world.client_of(before(&world.emulator, move |_| {
        told.lock().unwrap().recv_timeout(Duration::from_secs(30)).unwrap();
        None
    }));
    let end = std::iter::from_fn(move || {
        tell.send(()).unwrap();
        None
    });
    let source = std::iter::once(viewed_page("a", 1..46)).chain(end);
    let report = world.try_run_over(&client, source, |_, _| {}).unwrap();
    assert_eq!((report.seen, report.failed, report.skipped), (1, 1, 0));
    assert_eq!((report.activities.not_stored, world.adds()), (45, 0));
    // The item, and its activities in three calls.
    assert_eq!(world.dead(), ["a"; 4]);
    let kept = world.letters().into_iter().map(|letter| letter.request.unwrap());
    assert!(kept.skip(1).all(|request| request.path.ends_with("/addActivities")));
    assert_eq!((world.run(vec![viewed_page("a", 1..46)]).ok, world.viewers("a").len()), (1, 45));
}

#[test]
fn an_answer_for_want_of_permission_is_counted_as_such() {
    let world = World::new();
    world.emulator.script("PUT item: 403 times=2").unwrap();
    let report = world.run(pages(["a", "b", "c"]));
    assert_eq!((report.failed, report.not_permitted), (2, 2));
}

#[test]
fn too_many_failures_end_the_run_and_nothing_is_deleted() {
    let world = &mut World::new();
    world.run(pages(["gone", "a"]));
    world.settings.ingest.failures_in_a_row = Some(3);
    world.emulator.script("PUT item: 400").unwrap();
    let keys: Vec<_> = (0..300).map(|number| format!("new {number}")).collect();
    let report = world.run(pages(keys.iter().map(|key| &**key)));
    assert!(matches!(report.ending, Ending::FailuresInARow(_)), "{report:?}");
    assert_eq!((report.sweep, report.deleted, world.deletes()), (Sweep::NotComplete, 0, 0));
    assert!(report.seen < 300 && report.failed < 50, "{} {}", report.seen, report.failed);
    assert_eq!(world.crawl().journal().last_run().map(|run| run.complete), Some(false));
}
