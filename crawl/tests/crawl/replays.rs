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
