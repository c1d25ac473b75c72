//! What is sent, and what is not sent again.

use std::collections::BTreeMap;

use graphfeed_core::{
    external::{Acl, ExternalItem, PropertyType, Schema, SchemaProperty},
    machine::Ending,
    protocol::ServiceRoot,
    types::{Guid, ItemId},
};
use graphfeed_crawl::{Change, Digest, Entry, ItemLines, NdjsonSettings, State, Sweep, write_item};

use crate::world::{World, item, item_for, page, pages, refused, titled};

fn titles<const N: usize>(known: [(&str, &str); N]) -> BTreeMap<String, String> {
    known.map(|(key, title)| (key.to_owned(), title.to_owned())).into()
}

#[test]
fn a_second_crawl_of_what_has_not_changed_sends_nothing() {
    let world = World::new();
    let first = world.run(pages(["a", "b", "c"]));
    assert_eq!((first.run, first.seen, first.ok, first.unchanged), (1, 3, 3, 0));
    assert_eq!((first.ending, &first.sweep), (Ending::Complete, &Sweep::Done));
    let known = titles([("a", "a"), ("b", "b"), ("c", "c")]);
    assert_eq!((world.titles(), world.puts()), (known.clone(), 3));

    let second = world.run(pages(["a", "b", "c"]));
    assert_eq!((second.run, second.seen, second.ok), (2, 3, 0));
    assert_eq!((second.skipped, second.unchanged, second.deleted), (3, 3, 0));
    assert_eq!((world.titles(), world.puts(), world.deletes()), (known, 3, 0));
    let last = world.crawl().journal().last_run().unwrap();
    assert_eq!((last.number, last.complete), (2, true));
    assert_eq!(second.to_string(), "seen 3, ok 0, failed 0, skipped 3, deleted 0, throttled 0.0 s");
}

#[test]
fn only_what_has_changed_is_sent_again() {
    let world = World::new();
    world.run(pages(["a", "b", "c"]));
    let report = world.run(vec![page("a"), titled("b", "B"), page("c"), page("d")]);
    assert_eq!((report.ok, report.unchanged, world.puts()), (2, 2, 5));
    assert_eq!(world.titles(), titles([("a", "a"), ("b", "B"), ("c", "c"), ("d", "d")]));
}

#[test]
fn an_item_of_which_only_the_acl_has_changed_is_sent_again() {
    let world = World::new();
    world.run(pages(["a", "b"]));
    let other = Entry::item("a", item_for("a", "a", Acl::everyone(Guid::from(8))));
    let report = world.run(vec![other, page("b")]);
    assert_eq!((report.ok, report.unchanged, world.puts()), (1, 1, 3));
    let item = world.emulator.item("contosohr", "a").unwrap();
    assert_eq!(item.acl[0].value, Guid::from(8).to_string());
}

#[test]
fn all_is_sent_again_when_the_schema_is_another_one() {
    let world = &mut World::new();
    let title = SchemaProperty::new("title", PropertyType::String);
    world.run(pages(["a", "b"]));
    world.settings.schema = Some(Schema::new([title.clone()]).unwrap());
    assert_eq!(world.run(pages(["a", "b"])).ok, 2);
    assert_eq!(world.run(pages(["a", "b"])).ok, 0);
    world.settings.schema = Some(Schema::new([title.searchable()]).unwrap());
    assert_eq!(world.run(pages(["a", "b"])).ok, 2);
    assert_eq!(world.puts(), 6);
}

#[test]
fn an_item_that_its_schema_does_not_fit_is_refused_before_it_is_sent() {
    let world = &mut World::new();
    let number = SchemaProperty::new("number", PropertyType::Int64);
    world.settings.schema = Some(Schema::new([number]).unwrap());
    let report = world.run(pages(["a"]));
    assert_eq!((report.failed, world.puts(), world.state("a")), (1, 0, Some(State::Failed)));
    assert_eq!(world.letters()[0].place.as_deref(), Some("$.properties.title"));
}

#[test]
fn keys_that_are_no_ids_are_stored_each_for_itself_and_found_again() {
    let world = World::new();
    let long = "k".repeat(129);
    let other_long = "k".repeat(128) + "l";
    let keys = ["a/b", "a-b", "a_b", "50%", "50%25", "😀", " ", "x--eYS9i", &long, &other_long];
    let report = world.run(pages(keys));
    assert_eq!((report.ok, world.emulator.items("contosohr").len()), (10, 10));
    for key in keys {
        let known = world.record(key).unwrap();
        assert_eq!((&known.id, known.state), (&ItemId::from_key(key), State::Stored), "{key}");
        let item = world.emulator.item("contosohr", known.id.as_str()).unwrap();
        let title: String = serde_json::from_str(&item.properties[0].json).unwrap();
        assert_eq!(title, key);
    }
    assert_eq!((world.run(pages(keys)).unchanged, world.puts()), (10, 10));
    // Each is deleted by its own id.
    let (crawl, client) = (world.crawl(), world.client());
    let gone = keys.map(Entry::gone);
    let report = crawl.over(&client).run(gone, |_| {}).unwrap();
    assert_eq!((report.ok, report.deleted), (10, 10));
    assert!(world.emulator.items("contosohr").is_empty());
}

#[test]
fn what_the_source_says_is_gone_is_deleted_and_forgotten() {
    let world = World::new();
    world.run(pages(["a", "b"]));
    let report = world.run(vec![page("a"), Entry::gone("b"), Entry::gone("never there")]);
    assert_eq!((report.seen, report.ok, report.unchanged, report.deleted), (3, 1, 2, 1));
    assert_eq!((world.titles(), world.state("b")), (titles([("a", "a")]), None));
    // It comes back.
    assert_eq!(world.run(pages(["a", "b"])).ok, 1);
    assert_eq!(world.titles().len(), 2);
}

#[test]
fn a_key_that_comes_twice_ends_as_it_came_last() {
    let world = World::new();
    let report = world.run(vec![titled("a", "1"), page("b"), titled("a", "2"), titled("a", "3")]);
    assert_eq!((report.seen, report.ok, world.titles()["a"].as_str()), (4, 4, "3"));
    // What is on its way counts, not what the journal knows from before.
    for _ in 0..20 {
        world.run(vec![titled("a", "4"), titled("a", "3"), page("b")]);
        assert_eq!(world.titles()["a"], "3");
        world.run(vec![titled("a", "3"), page("b")]);
        assert_eq!(world.titles()["a"], "3");
    }
}

#[test]
fn a_key_that_comes_and_goes_in_one_run_is_gone() {
    for _ in 0..20 {
        let world = World::new();
        world.run(vec![page("a"), page("b"), Entry::gone("a")]);
        assert_eq!((world.titles(), world.state("a")), (titles([("b", "b")]), None));
        world.run(vec![Entry::gone("b"), page("b")]);
        assert_eq!((world.titles(), world.state("b")), (titles([("b", "b")]), Some(State::Stored)));
    }
}

#[test]
fn an_item_whose_id_does_not_follow_from_its_key_is_refused_and_takes_nothing_away() {
    let world = &mut World::new();
    world.settings.most_swept = 1.0;
    world.run(pages(["one", "two"]));
    let stranger = |key| Entry::item(key, item("one", "another"));
    let (looked, complaints) = world.check(vec![page("one"), stranger("two"), stranger("new")]);
    assert_eq!((looked.failed, looked.sweep), (2, Sweep::WouldDelete(0)));
    assert_eq!(complaints, ["two: item-id", "new: item-id"]);

    let report = world.run(vec![page("one"), stranger("two"), stranger("new")]);
    assert_eq!((report.failed, report.unchanged, report.deleted, world.puts()), (2, 1, 0, 2));
    assert_eq!(world.titles(), titles([("one", "one"), ("two", "two")]));
    let (two, new) = (world.record("two").unwrap(), world.record("new").unwrap());
    assert_eq!((two.state, two.id.as_str()), (State::Failed, "two"));
    assert_eq!((new.state, new.id.as_str()), (State::Failed, "new"));
    let letter = &world.letters()[0];
    assert_eq!((letter.rule.as_deref(), letter.place.as_deref()), (Some("item-id"), Some("key")));
    assert_eq!(
        letter.cause,
        "key: has an item with the id one, and its own is two; make the item with \
         ItemId::from_key(key), or give \"one\" as the key [item-id]"
    );

    // When their keys are gone, the item that they claimed is not.
    world.run(vec![page("one"), Entry::gone("two")]);
    assert_eq!(world.titles(), titles([("one", "one")]));
    assert_eq!((world.state("two"), world.state("new")), (None, None));
}

#[test]
fn an_item_of_which_only_the_hash_of_its_key_is_left_has_its_id_as_the_key() {
    let world = &mut World::new();
    world.settings.most_swept = 1.0;
    let long = "long/".repeat(30);
    let lines = || hashed_lines(&long);
    let Entry::Item { key, item, .. } = &lines()[0] else { panic!() };
    assert_eq!((item.id(), &**key), (&ItemId::from_key(&long), item.id().as_str()));
    let number = SchemaProperty::new("number", PropertyType::Int64);
    world.settings.schema = Some(Schema::new([number]).unwrap());
    assert_eq!((world.run(lines()).failed, world.record(key).unwrap().id), (1, item.id().clone()));
    world.settings.schema = None;
    assert_eq!((world.run(lines()).ok, world.run(lines()).unchanged), (1, 1));
    assert_eq!((world.run(Vec::new()).deleted, world.emulator.items("contosohr").len()), (1, 0));
}

/// The line of an item with a key that no line tells.
fn hashed_lines(key: &str) -> Vec<Entry> {
    let mut file = Vec::new();
    write_item(&item(key, "from a line"), &mut file).unwrap();
    let lines = ItemLines::new(&*file, NdjsonSettings::new(ServiceRoot::v1()));
    lines.map(Entry::from).collect()
}

#[test]
fn a_thing_that_a_source_calls_by_its_key_and_then_by_the_hash_of_it_is_not_lost() {
    let world = &mut World::new();
    world.settings.most_swept = 1.0;
    let long = "long/".repeat(30);
    let count = || world.emulator.items("contosohr").len();
    world.run(vec![page(&long)]);
    // The key is gone, and its item is not.
    for gone in [Vec::new(), vec![Entry::gone(&long)]] {
        let source = gone.into_iter().chain(hashed_lines(&long)).collect();
        let report = world.run(source);
        assert_eq!((report.failed, report.deleted, count()), (0, 0, 1));
    }
    assert_eq!(world.state(&long), None);
    // Both at a time would be one item with two keys.
    let both = || hashed_lines(&long).into_iter().chain([page(&long)]).collect();
    let report = world.run(both());
    assert_eq!((report.unchanged, report.failed, report.deleted, count()), (1, 1, 0, 1));
    assert_eq!(world.letters()[0].rule.as_deref(), Some("item-id"));
    // By the key alone it comes back as soon as the hash is forgotten.
    world.run(vec![page(&long)]);
    assert_eq!((world.run(vec![page(&long)]).ok, count()), (1, 1));
    assert_eq!(world.run(vec![page(&long)]).unchanged, 1);
}

#[test]
fn a_journal_in_which_two_keys_have_one_item_does_not_delete_it_with_one_of_them() {
    let world = &mut World::new();
    world.settings.most_swept = 1.0;
    world.run(pages(["one"]));
    let crawl = world.crawl();
    // Of a time when any id was taken.
    let (id, hash) = (ItemId::from_key("one"), Digest::of(["?"]));
    for key in ["swept", "gone"] {
        let change = Change::Stored { key, id: &id, hash };
        crawl.journal().apply(change, Default::default()).unwrap();
    }
    drop(crawl);
    let report = world.run(vec![page("one"), Entry::gone("gone")]);
    assert_eq!((report.failed, report.deleted, world.titles().len()), (0, 0, 1));
    world.run(pages(["one"]));
    assert_eq!((world.state("swept"), world.state("gone"), world.titles().len()), (None, None, 1));
}

#[test]
fn an_item_that_is_stored_under_another_id_is_not_stored_twice() {
    let world = World::new();
    // A key that reads as a hash is one, or has an id of its own.
    let with_id = |id| {
        let item = ExternalItem::builder(id).acl(Acl::everyone(Guid::from(7)));
        Entry::item("x--z", item.property("title", "z").build().unwrap())
    };
    let (as_hash, as_key) = (ItemId::existing("x--z").unwrap(), ItemId::from_key("x--z"));
    assert_eq!(world.run(vec![with_id(as_hash.clone())]).ok, 1);
    assert_eq!(world.run(vec![with_id(as_key.clone())]).failed, 1);
    assert!(world.letters()[0].cause.contains("is stored as x--z"), "{:?}", world.letters()[0]);
    assert_eq!(world.emulator.items("contosohr").len(), 1);
    assert_eq!(world.run(vec![Entry::gone("x--z"), with_id(as_key.clone())]).ok, 2);
    assert!(world.emulator.item("contosohr", as_hash.as_str()).is_none());
    assert!(world.emulator.item("contosohr", as_key.as_str()).is_some());
}

#[test]
fn what_is_there_and_cannot_be_sent_is_not_deleted() {
    let world = World::new();
    world.run(pages(["a", "b"]));
    let report = world.run(vec![page("a"), refused("b")]);
    assert_eq!((report.failed, report.deleted, &report.sweep), (1, 0, &Sweep::Done));
    assert_eq!((world.titles().len(), world.state("b")), (2, Some(State::Failed)));
    let letter = &world.letters()[0];
    assert_eq!((letter.key.as_deref(), letter.rule.as_deref()), (Some("b"), Some("acl-required")));
    // As soon as it can be, it is.
    assert_eq!(world.run(pages(["a", "b"])).ok, 1);
}
