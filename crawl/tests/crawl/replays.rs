//! What is done with dead letters.

use std::fs;

use graphfeed_core::{
    external::{
        Acl, Duplicates, ExternalItem, ExternalItemContent, PropertyType, Schema, SchemaProperty,
    },
    machine::Ending,
    protocol::Applied,
    types::{Guid, ItemId, RawJson, Rule},
};
use graphfeed_crawl::{CrawlNews, DeadLetter, Entry, State, Written};

use crate::world::{World, page, pages, refused, root, titled, viewed, viewed_page};

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
fn a_letter_that_was_about_to_be_replayed_when_that_run_died_is_no_older_for_it() {
    let world = World::new();
    world.fault("PUT", "a", "400 times=1");
    world.run(pages(["a"]));
    let crawl = world.crawl();
    let pass = crawl.begin().unwrap();
    assert_eq!(pass.replay(world.letters(), Duplicates::Never).count(), 1);
    // Nobody hears, and nothing is finished.
    drop(pass);
    drop(crawl);
    assert_eq!(world.state("a"), Some(State::Uncertain));
    let report = world.replay(Duplicates::Never);
    assert_eq!((report.ok, report.overtaken, world.titles().len()), (1, 0, 1));
}

#[test]
fn a_deletion_that_was_about_to_be_replayed_when_that_run_died_is_no_older_for_it() {
    let world = World::new();
    world.run(pages(["a"]));
    world.fault("DELETE", "a", "400 times=1");
    world.run(vec![Entry::gone("a")]);
    let crawl = world.crawl();
    let pass = crawl.begin().unwrap();
    assert_eq!(pass.replay(world.letters(), Duplicates::Never).count(), 1);
    // Nobody hears, and nothing is finished.
    drop(pass);
    drop(crawl);
    assert_eq!(world.state("a"), Some(State::Leaving));
    let report = world.replay(Duplicates::Never);
    assert_eq!((report.deleted, report.overtaken, world.titles().len()), (1, 0, 0));
}

#[test]
fn a_letter_is_older_than_what_a_later_run_was_about_to_do_when_its_machine_died() {
    for entry in [titled("a", "new"), Entry::gone("a")] {
        let world = World::new();
        world.run(vec![titled("a", "first"), page("b")]);
        world.fault("PUT", "a", "400 times=1");
        world.run(vec![titled("a", "old"), page("b")]);
        let crawl = world.crawl();
        let pass = crawl.begin().unwrap();
        assert_eq!(pass.offers([entry.clone()]).count(), 1);
        // No more than this is on disk.
        let aside = world.folder.path().join("aside");
        fs::copy(world.journal_path(), &aside).unwrap();
        drop(pass);
        drop(crawl);
        fs::rename(aside, world.journal_path()).unwrap();
        let report = world.replay(Duplicates::Never);
        assert_eq!((report.overtaken, world.puts(), world.deletes()), (1, 3, 0), "{entry:?}");
    }
}

#[test]
fn a_letter_does_not_bring_back_what_was_about_to_be_swept_when_the_machine_died() {
    let world = &mut World::new();
    world.settings.most_swept = 1.0;
    world.run(pages(["a", "b", "c"]));
    world.emulator.script("PUT item: 400 times=2").unwrap();
    world.run(vec![titled("a", "old"), titled("b", "old"), page("c")]);
    let aside = world.folder.path().join("aside");
    let journal = world.journal_path();
    world.settings.ingest.in_flight = 1;
    let report = world.try_run(pages(["c"]), |news, _| {
        if let CrawlNews::Done("a", _) = news {
            fs::copy(&journal, &aside).unwrap();
        }
    });
    assert_eq!(report.unwrap().deleted, 2);
    fs::rename(aside, journal).unwrap();
    let report = world.replay(Duplicates::Never);
    assert_eq!((report.overtaken, world.puts(), world.titles().len()), (2, 5, 1));
}

#[test]
fn a_replay_that_is_stopped_leaves_what_was_not_sent_to_the_next_one() {
    let world = &mut World::new();
    let number = SchemaProperty::new("number", PropertyType::Int64);
    world.settings.schema = Some(Schema::new([number]).unwrap());
    world.run(vec![viewed_page("a", 1..101)]);
    let letters = world.letters();
    world.settings.schema = None;
    world.settings.ingest.in_flight = 1;
    world.settings.ingest.queue = 1;
    let (crawl, client) = (world.crawl(), world.client());
    let run = crawl.over(&client);
    let stop = run.stop_handle();
    let report = run.replay(letters.clone(), Duplicates::Never, |news| {
        if let CrawlNews::Done(..) = news {
            stop.stop();
        }
    });
    drop(crawl);
    assert_eq!(report.unwrap().ending, Ending::Stopped);
    assert!(world.viewers("a").len() < 100);

    let report = world.replay_these(letters, Duplicates::Never);
    assert_eq!((report.ok, report.failed, report.activities.unknown), (1, 0, 0));
    let mut viewers = world.viewers("a");
    viewers.sort_unstable();
    assert_eq!(viewers, (1..101).collect::<Vec<_>>());
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
    assert_eq!((report.ok, report.overtaken, world.titles()["a"].as_str()), (1, 1, "new"));
    assert_eq!(world.run(vec![titled("a", "new")]).unchanged, 1);
}

#[test]
fn of_several_letters_about_an_item_the_newest_counts_in_whatever_order_they_come() {
    for queue in [1, 100] {
        let world = &mut World::new();
        world.settings.ingest.queue = queue;
        world.fault("PUT", "a", "400 times=2");
        world.run(vec![titled("a", "old")]);
        world.run(vec![titled("a", "new")]);
        let mut letters = world.letters();
        letters.reverse();
        let report = world.replay_these(letters, Duplicates::Never);
        assert_eq!((report.ok, report.overtaken, world.titles()["a"].as_str()), (1, 1, "new"));
    }
}

#[test]
fn letters_of_one_run_are_replayed_in_their_order() {
    for queue in [1, 100] {
        let world = &mut World::new();
        world.settings.ingest.queue = queue;
        // The second is held back by it.
        world.fault("PUT", "a", "400 times=1");
        assert_eq!(world.run(vec![titled("a", "first"), titled("a", "second")]).failed, 2);
        let report = world.replay(Duplicates::Never);
        assert_eq!((report.ok, world.titles()["a"].as_str()), (2, "second"));

        // What is gone and came back is there.
        world.emulator.script("DELETE item: 400 times=1").unwrap();
        let report = world.run(vec![Entry::gone("a"), titled("a", "third")]);
        assert_eq!(report.failed, 2);
        let report = world.replay(Duplicates::Never);
        assert_eq!((report.ok, report.deleted, world.titles()["a"].as_str()), (2, 1, "third"));
    }
}

#[test]
fn a_letter_of_an_item_that_is_gone_since_does_not_bring_it_back() {
    let world = &mut World::new();
    world.settings.most_swept = 1.0;
    world.fault("PUT", "said", "400 times=1");
    world.fault("PUT", "swept", "400 times=1");
    world.run(pages(["said", "swept", "stays"]));
    world.run(vec![Entry::gone("said"), page("stays")]);
    assert_eq!((world.state("said"), world.state("swept")), (None, None));
    let report = world.replay(Duplicates::Never);
    assert_eq!((report.seen, report.skipped, report.overtaken), (2, 2, 2));
    assert_eq!(
        (world.titles().into_keys().collect::<Vec<_>>(), world.puts()),
        (vec!["stays".to_owned()], 3)
    );
}

#[test]
fn activities_of_an_item_that_is_gone_since_are_passed_over() {
    let world = World::new();
    world.fault("POST", "a", "400 times=1");
    world.run(vec![viewed_page("a", [1])]);
    world.run(vec![Entry::gone("a")]);
    let report = world.replay(Duplicates::Never);
    assert_eq!((report.overtaken, report.failed, world.adds()), (1, 0, 1));
}

#[test]
fn a_letter_of_an_item_that_failed_again_since_does_not_hide_that() {
    let world = World::new();
    world.fault("PUT", "a", "400 times=2");
    world.run(vec![titled("a", "old")]);
    world.run(vec![titled("a", "new")]);
    let old = world.letters().remove(0);
    let report = world.replay_these(vec![old], Duplicates::Never);
    assert_eq!((report.overtaken, world.puts(), world.state("a")), (1, 2, Some(State::Failed)));
}

#[test]
fn a_letter_that_is_of_no_run_of_the_journal_is_older_than_all_that_is_known() {
    let world = World::new();
    world.fault("PUT", "a", "400 times=1");
    world.run(pages(["a"]));
    let letter = world.letters().remove(0);
    assert_eq!(letter.run, Some(1));
    for run in [None, Some(0), Some(99)] {
        let mut letter = letter.clone();
        letter.run = run;
        let report = world.replay_these(vec![letter], Duplicates::Never);
        assert_eq!((report.overtaken, world.puts()), (1, 1), "{run:?}");
    }
    assert_eq!(world.replay_these(vec![letter], Duplicates::Never).ok, 1);
}

#[test]
fn a_letter_that_is_refused_again_is_no_newer_for_it() {
    let world = World::new();
    world.fault("PUT", "a", "400 times=2");
    world.run(vec![titled("a", "old")]);
    let mut old = world.letters().remove(0);
    world.run(vec![titled("a", "new")]);
    old.operation = None;
    world.replay_these(vec![old.clone()], Duplicates::Never);
    old.run = None;
    world.replay_these(vec![old], Duplicates::Never);
    let runs: Vec<_> = world.letters().into_iter().map(|letter| letter.run.unwrap()).collect();
    assert_eq!(runs, [1, 2, 1, 0]);
}

#[test]
fn a_deletion_of_an_item_that_failed_again_since_is_passed_over_and_so_is_one_that_is_done() {
    let world = World::new();
    world.run(pages(["again", "done"]));
    world.emulator.script("DELETE item: 400 times=2").unwrap();
    world.run(vec![Entry::gone("again"), Entry::gone("done")]);
    world.fault("PUT", "again", "400 times=1");
    world.run(vec![titled("again", "new"), Entry::gone("done")]);
    let deletes = world.deletes();
    let letters = world.letters().into_iter().take(2).collect();
    let report = world.replay_these(letters, Duplicates::Never);
    assert_eq!((report.seen, report.overtaken, report.unchanged), (2, 1, 1));
    assert_eq!((world.deletes(), world.titles()["again"].as_str()), (deletes, "again"));
}

/// A world in which an item does not fit the schema, with the letter of that.
fn misfit() -> (World, DeadLetter) {
    let mut world = World::new();
    let title = SchemaProperty::new("title", PropertyType::String);
    world.settings.schema = Some(Schema::new([title]).unwrap());
    let with_inside = ExternalItem::builder(ItemId::from_key("a/b"))
        .acl(Acl::everyone(Guid::from(7)))
        .property("title", "Äpfel")
        .property("colour", "red")
        .activity(viewed(1))
        .build()
        .unwrap();
    let report = world.run(vec![Entry::item("a/b", with_inside).with_activity(viewed(2))]);
    assert_eq!((report.failed, world.puts(), world.adds()), (1, 0, 0));
    let letter = world.letters().remove(0);
    (world, letter)
}

#[test]
fn an_item_that_was_refused_is_in_its_letter_and_goes_out_when_it_is_mended() {
    let (world, mut letter) = misfit();
    assert_eq!((&letter.request, &letter.operation), (&None, &None));
    let item = letter.item.as_ref().unwrap().get().to_owned();
    assert!(item.starts_with(r#"{"id":"a/b","acl":"#), "{item}");
    let why = letter.call::<Written>(&root(), Duplicates::Never).unwrap_err();
    assert!(why.breaks(Rule::MemberRequired), "{why}");

    let mended = item.replace(r#","colour":"red""#, "");
    assert_ne!(mended, item);
    letter.item = Some(RawJson::parse(&mended).unwrap());
    let report = world.replay_these(vec![letter.clone()], Duplicates::Never);
    assert_eq!((report.seen, report.ok, report.activities.stored), (1, 1, 2));
    assert_eq!((world.state("a/b"), world.viewers("a/b")), (Some(State::Stored), vec![1, 2]));
    assert_eq!((world.letters().len(), world.puts()), (1, 1));
    // Once is enough.
    let report = world.replay_these(vec![letter], Duplicates::Never);
    assert_eq!((report.unchanged, world.puts(), world.adds()), (1, 1, 1));
}

#[test]
fn activities_of_an_item_that_was_refused_are_added_also_where_the_item_is_stored_since() {
    let (world, letter) = misfit();
    world.run(vec![titled("a/b", "new").with_activity(viewed(2))]);
    let report = world.replay_these(vec![letter.clone()], Duplicates::Never);
    assert_eq!((report.ok, report.activities.stored, world.puts()), (1, 1, 1));
    assert_eq!((world.viewers("a/b"), world.titles()["a/b"].as_str()), (vec![2, 1], "new"));
    assert_eq!(world.replay_these(vec![letter], Duplicates::Never).unchanged, 1);
}

#[test]
fn an_item_that_was_refused_and_was_not_mended_is_refused_again() {
    let (world, letter) = misfit();
    let mut broken = letter.clone();
    broken.item = Some(RawJson::parse(r#"{"id":"a/b","properties":7}"#).unwrap());
    let report = world.replay_these(vec![letter.clone(), broken], Duplicates::Never);
    assert_eq!((report.failed, world.puts(), world.state("a/b")), (2, 0, Some(State::Failed)));
    let letters = world.letters();
    let broken = letters.iter().find(|it| it.rule.as_deref() == Some("acl-required")).unwrap();
    assert_eq!(broken.place.as_deref(), Some("$.item.acl"));
    let again = letters.iter().filter(|it| it.item == letter.item).nth(1).unwrap();
    assert_eq!((&again.rule, &again.place, again.run), (&letter.rule, &letter.place, Some(2)));

    // Gone by now, it is of no interest any more.
    world.run(vec![Entry::gone("a/b")]);
    assert_eq!(world.replay_these(vec![letter], Duplicates::Never).overtaken, 1);
}

#[test]
fn a_letter_with_an_item_of_another_key_is_refused_again() {
    let (world, mut letter) = misfit();
    world.run(vec![refused("other")]);
    (letter.key, letter.run) = (Some("other".to_owned()), Some(2));
    let report = world.replay_these(vec![letter.clone()], Duplicates::Never);
    assert_eq!((report.failed, world.puts()), (1, 0));
    let again = world.letters().pop().unwrap();
    assert_eq!((again.rule.as_deref(), again.item), (Some("item-id"), letter.item));

    let world = World::new();
    world.fault("PUT", "a", "400 times=1");
    world.run(pages(["a", "other"]));
    let mut letter = world.letters().remove(0);
    let request = letter.request.as_mut().unwrap();
    request.path = request.path.replace("items/a", "items/other");
    let report = world.replay_these(vec![letter], Duplicates::Never);
    assert_eq!((report.failed, world.puts(), world.titles()["other"].as_str()), (1, 2, "other"));
    assert_eq!(world.letters().pop().unwrap().rule.as_deref(), Some("item-id"));
}

#[test]
fn a_letter_that_was_refused_for_its_key_goes_out_under_the_one_that_its_cause_names() {
    let world = World::new();
    let other = ExternalItem::builder(ItemId::from_key("one"))
        .acl(Acl::everyone(Guid::from(7)))
        .property("title", "one")
        .build();
    world.run(vec![Entry::item("another", other.unwrap())]);
    let letter = world.letters().remove(0);
    assert_eq!((letter.rule.as_deref(), letter.place.as_deref()), (Some("item-id"), Some("key")));
    assert!(letter.cause.contains("give \"one\" as the key"), "{}", letter.cause);
    let report = world.replay_these(vec![letter.clone()], Duplicates::Never);
    assert_eq!((report.failed, report.overtaken, world.puts()), (1, 0, 0), "it is as it was");

    let mut mended = letter;
    mended.key = Some("one".to_owned());
    let report = world.replay_these(vec![mended.clone()], Duplicates::Never);
    assert_eq!((report.ok, report.overtaken, world.state("one")), (1, 0, Some(State::Stored)));
    assert_eq!(world.titles()["one"], "one");
    assert_eq!(world.replay_these(vec![mended], Duplicates::Never).unchanged, 1);
}

#[test]
fn an_item_that_is_too_long_for_the_service_is_in_its_letter_unless_no_letter_could_be_read_with_it()
 {
    let world = World::new();
    let long = |key, bytes| {
        let item = ExternalItem::builder(ItemId::from_key(key)).acl(Acl::everyone(Guid::from(7)));
        let content = ExternalItemContent::text("x".repeat(bytes));
        Entry::item(key, item.property("title", key).content(content).build().unwrap())
    };
    world.run(vec![long("long", 5_000_000), long("longer", 8_000_000)]);
    // Each line is read again.
    let letters = world.letters();
    assert_eq!(letters.iter().map(|it| it.item.is_some()).collect::<Vec<_>>(), [true, false]);
    assert!(letters.iter().all(|it| it.rule.as_deref() == Some("body-size")));
}

#[test]
fn what_is_refused_without_an_item_has_a_letter_that_can_only_be_read() {
    let world = World::new();
    world.run(vec![refused("a")]);
    let letter = &world.letters()[0];
    assert_eq!((&letter.item, &letter.request, letter.run), (&None, &None, Some(1)));
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
