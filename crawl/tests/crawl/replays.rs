//! What is done with dead letters.

use graphfeed_core::{
    external::{Acl, Duplicates, ExternalItem, ExternalItemContent},
    protocol::Applied,
    types::{Guid, ItemId},
};
use graphfeed_crawl::{Entry, State};

use crate::world::{World, page, pages, refused, titled, viewed_page};

#[test]
fn a_letter_that_is_replayed_is_stored_and_the_journal_knows() {
    let world = World::new();
    world.fault("PUT", "a/b", "400 times=1");
    let with_text = ExternalItem::builder(ItemId::from_key("a/b"))
        .acl(Acl::everyone(Guid::from(7)))
        .property("title", "Äpfel \"kandiert\"\n")
        .content(ExternalItemContent::text("line\n\u{2028} \u{1F600}"))
        .build()
        .unwrap();
    let source = || vec![Entry::item("a/b", with_text.clone()), page("c")];
    assert_eq!(world.run(source()).failed, 1);
    let report = world.replay(Duplicates::Never);
    assert_eq!((report.seen, report.ok, report.failed), (1, 1, 0));
    assert_eq!((world.state("a/b"), world.titles().len()), (Some(State::Stored), 2));
    assert_eq!((world.run(source()).unchanged, world.puts()), (2, 3), "as if it had not failed");
    assert_eq!(world.letters(), []);
}

#[test]
fn a_letter_of_an_item_that_was_stored_since_is_passed_over() {
    let world = World::new();
    world.fault("PUT", "a", "400 times=1");
    world.run(vec![titled("a", "old")]);
    world.run(vec![titled("a", "new")]);
    let report = world.replay(Duplicates::Never);
    assert_eq!((report.seen, report.unchanged, world.puts()), (1, 1, 2));
    assert_eq!(world.titles()["a"], "new");
}

#[test]
fn of_several_letters_about_an_item_the_last_one_counts() {
    let world = &mut World::new();
    // One after another, so that the first is stored when the second is read.
    world.settings.ingest.queue = 1;
    world.fault("PUT", "a", "400 times=2");
    world.run(vec![titled("a", "old")]);
    world.run(vec![titled("a", "new")]);
    let report = world.replay(Duplicates::Never);
    assert_eq!((report.ok, world.titles()["a"].as_str()), (2, "new"));
    assert_eq!(world.run(vec![titled("a", "new")]).unchanged, 1);
}

#[test]
fn a_deletion_that_failed_is_replayed_unless_the_item_was_stored_since() {
    let world = World::new();
    world.run(pages(["a", "b", "c"]));
    world.emulator.script("DELETE item: 400 times=2").unwrap();
    world.run(vec![Entry::gone("a"), Entry::gone("b"), page("c")]);
    world.run(pages(["b", "c"]));
    let report = world.replay(Duplicates::Never);
    assert_eq!((report.seen, report.ok, report.skipped, report.deleted), (2, 1, 1, 1));
    assert_eq!(world.titles().into_keys().collect::<Vec<_>>(), ["b", "c"]);
}

#[test]
fn activities_of_unknown_fate_are_replayed_only_where_they_may_be_there_twice() {
    let world = World::new();
    world.fault("POST", "a", "stored reset times=1");
    let report = world.run(vec![viewed_page("a", 1..3)]);
    assert_eq!((report.failed, report.activities.unknown), (1, 2));
    let before = world.letters();

    let report = world.replay(Duplicates::Never);
    assert_eq!((report.failed, world.viewers("a")), (1, vec![1, 2]));
    // The item has nothing to do with it.
    assert_eq!(world.state("a"), Some(State::Stored));
    // The letter is still there with what it needs to be replayed, and says what is wrong.
    let after = world.letters();
    assert_eq!((after.len(), after[0].rule.as_deref()), (1, Some("append-again")));
    assert_eq!(
        (&after[0].request, &after[0].operation),
        (&before[0].request, &before[0].operation)
    );
    assert_eq!((after[0].applied, after[0].attempts), (Applied::Maybe, before[0].attempts));

    // And still, however often it is tried.
    world.replay(Duplicates::Never);
    assert_eq!(world.letters()[0].inner, after[0].inner);
    let report = world.replay(Duplicates::Allowed);
    assert_eq!((report.ok, world.viewers("a")), (1, vec![1, 2, 1, 2]));
    assert_eq!(world.run(vec![viewed_page("a", 1..3)]).unchanged, 1);
}

#[test]
fn activities_that_were_added_since_are_not_added_again() {
    let world = World::new();
    world.fault("POST", "a", "400 times=1");
    world.run(vec![viewed_page("a", 1..4)]);
    // One of them only.
    world.run(vec![viewed_page("a", [2])]);
    assert_eq!(world.viewers("a"), [2]);
    let report = world.replay(Duplicates::Never);
    assert_eq!((report.ok, world.viewers("a")), (1, vec![2, 1, 3]));
    assert_eq!(world.run(vec![viewed_page("a", 1..4)]).unchanged, 1);
}

#[test]
fn activities_with_two_letters_are_added_once() {
    for queue in [1, 100] {
        let world = &mut World::new();
        world.settings.ingest.queue = queue;
        world.fault("POST", "a", "400 times=2");
        world.run(vec![viewed_page("a", 1..4)]);
        world.run(vec![viewed_page("a", 1..4)]);
        assert_eq!(world.letters().len(), 2);
        world.replay(Duplicates::Never);
        assert_eq!(world.viewers("a"), [1, 2, 3]);
    }
}

#[test]
fn a_letter_without_a_request_stays_a_letter_and_touches_nothing() {
    let world = World::new();
    world.run(vec![refused("a"), page("b")]);
    let before = world.letters();
    let report = world.replay(Duplicates::Never);
    assert_eq!((report.failed, world.puts()), (1, 1));
    let after = world.letters();
    assert_eq!((after.len(), after[0].key.as_deref()), (1, Some("a")));
    assert_eq!(after[0].inner.last(), before[0].inner.last(), "the first cause is not lost");

    // Nor does one that does not even have a key.
    let mut nameless = before[0].clone();
    nameless.key = None;
    world.replay_these(vec![nameless], Duplicates::Never);
    assert_eq!((world.record(""), world.crawl().journal().len().unwrap()), (None, 2));
}

#[test]
fn a_letter_for_another_connection_is_refused() {
    let world = World::new();
    world.fault("PUT", "a", "400 times=1");
    world.run(pages(["a"]));
    let mut letter = world.letters().remove(0);
    let request = letter.request.as_mut().unwrap();
    request.path = request.path.replace("contosohr", "contosoit");
    let report = world.replay_these(vec![letter], Duplicates::Never);
    assert_eq!((report.failed, world.puts(), world.state("a")), (1, 1, Some(State::Failed)));
    assert_eq!(world.letters()[1].rule.as_deref(), Some("connection-id"));
}

#[test]
fn a_replay_that_fails_again_has_a_letter_again() {
    let world = World::new();
    world.fault("PUT", "a", "400 times=2");
    world.run(pages(["a"]));
    let report = world.replay(Duplicates::Never);
    assert_eq!((report.failed, world.dead()), (1, vec!["a".to_owned()]));
    assert_eq!(world.replay(Duplicates::Never).ok, 1);
}

#[test]
fn a_replay_deletes_nothing_and_is_no_complete_run() {
    let world = World::new();
    world.fault("PUT", "a", "400 times=1");
    world.run(pages(["a", "b"]));
    world.replay(Duplicates::Never);
    assert_eq!((world.deletes(), world.titles().len()), (0, 2));
    assert_eq!(world.crawl().journal().last_complete_run(), Some(1));
}
