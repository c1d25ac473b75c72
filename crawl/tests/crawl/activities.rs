//! Activities, which are added and cannot be replaced: each is there once.

use std::collections::BTreeSet;

use bytes::Bytes;
use graphfeed_core::{
    client::Failure,
    external::{Acl, Duplicates, ExternalItem},
    protocol::Applied,
    types::{Guid, ItemId},
};
use graphfeed_crawl::{
    ActivityState, Change, Crawl, DeadLetters, Digest, Entry, Journal, Scope, State, Written,
};
use graphfeed_emulator::Emulator;

use crate::world::{
    World, before, connection, page, pages, refused, root, titled, viewed, viewed_page, watermark,
};

#[test]
fn each_activity_is_added_once_over_several_runs() {
    let world = World::new();
    let report = world.run(vec![viewed_page("a", [1, 2]), viewed_page("b", [1])]);
    assert_eq!((report.ok, report.activities.stored, world.adds()), (2, 3, 2));
    assert_eq!(world.run(vec![viewed_page("a", [1, 2]), viewed_page("b", [1])]).unchanged, 2);
    // A new one, and a change of the item.
    let changed = titled("b", "B").with_activity(viewed(1)).with_activity(viewed(2));
    let report = world.run(vec![viewed_page("a", [1, 2, 3]), changed]);
    assert_eq!((report.ok, report.activities.stored, world.puts()), (2, 2, 3));
    assert_eq!((world.viewers("a"), world.viewers("b")), (vec![1, 2, 3], vec![1, 2]));
}

#[test]
fn the_same_activity_twice_in_one_source_is_added_once() {
    let world = World::new();
    world.run(vec![viewed_page("a", [1, 1, 2]), viewed_page("a", [2, 3])]);
    assert_eq!(world.viewers("a"), [1, 2, 3]);
}

#[test]
fn forty_five_activities_go_in_three_calls_and_of_one_that_is_refused_there_is_a_letter() {
    let world = World::new();
    // The service does not say why.
    let refuses = before(&world.emulator, {
        let emulator = world.emulator.clone();
        move |request| refuse(&emulator, request, 5)
    });
    let client = world.client_of(refuses);
    let source = || [viewed_page("a", 1..46), page("b")];
    let report = world.try_run_over(&client, source(), |_, _| {}).unwrap();
    assert_eq!((report.seen, report.ok, report.failed), (2, 1, 1));
    assert_eq!((report.activities.stored, report.activities.refused), (44, 1));
    assert_eq!(report.activities.total(), 45);
    let all_but_5: Vec<_> = (1..46).filter(|by| *by != 5).collect();
    assert_eq!(world.viewers("a"), all_but_5);
    let letters = world.letters();
    assert_eq!((letters.len(), letters[0].applied), (1, Applied::No));
    let body = letters[0].request.as_ref().unwrap().body.as_ref().unwrap().get();
    assert_eq!(body.matches("startDateTime").count(), 1);
    assert!(body.contains("00000000-0000-0000-0000-000000000005"), "{body}");

    // The next run tries that one only.
    let report = world.run(source().into());
    assert_eq!((report.ok, report.unchanged, report.activities.stored), (1, 1, 1));
    assert_eq!((world.viewers("a").len(), world.viewers("a").last()), (45, Some(&5)));
}

/// Takes all activities of a call but that of one, as a 207.
fn refuse(
    emulator: &Emulator,
    request: &http::Request<Bytes>,
    by: u128,
) -> Option<Result<http::Response<Bytes>, Failure>> {
    let who = Guid::from(by).to_string();
    let mut body: serde_json::Value = serde_json::from_slice(request.body()).ok()?;
    let activities = body["activities"].as_array_mut()?;
    let at = activities.iter().position(|activity| activity["performedBy"]["id"] == *who)?;
    let refused = activities.remove(at);
    let mut answered = serde_json::json!({"value": []});
    if !activities.is_empty() {
        let (head, _) = request.clone().into_parts();
        let rest = http::Request::from_parts(head, body.to_string().into());
        let answer = emulator.handle(&rest);
        answered = serde_json::from_slice(answer.body()).unwrap();
    }
    let verdict = serde_json::json!({
        "type": refused["type"],
        "startDateTime": refused["startDateTime"],
        "error": {"code": "notAllowed", "message": "nobody may know"},
    });
    answered["value"].as_array_mut().unwrap().insert(at, verdict);
    let answer = http::Response::builder().status(207).header("content-type", "application/json");
    Some(Ok(answer.body(answered.to_string().into()).unwrap()))
}

#[test]
fn activities_in_an_item_are_added_once_too() {
    let world = World::new();
    let with = || {
        let item = ExternalItem::builder(ItemId::from_key("a"))
            .acl(Acl::everyone(Guid::from(7)))
            .property("title", "a")
            .activity(viewed(1))
            .activity(viewed(2))
            .build();
        vec![Entry::item("a", item.unwrap()).with_activity(viewed(3))]
    };
    assert_eq!(world.run(with()).activities.stored, 3);
    assert_eq!(world.viewers("a"), [1, 2, 3]);
    assert_eq!((world.run(with()).unchanged, world.viewers("a").len()), (1, 3));
    // Given beside it they are the same.
    assert_eq!(world.run(vec![viewed_page("a", 1..4)]).unchanged, 1);
}

#[test]
fn an_activity_of_unknown_fate_is_never_sent_again() {
    let world = World::new();
    world.fault("POST", "a", "stored reset times=1");
    world.fault("POST", "b", "reset times=1");
    let source = || vec![viewed_page("a", [1]), viewed_page("b", [1])];
    let report = world.run(source());
    assert_eq!((report.failed, report.activities.unknown), (2, 2));
    assert_eq!(
        world.letters().iter().map(|it| it.applied).collect::<Vec<_>>(),
        [Applied::Maybe; 2]
    );
    assert_eq!(world.run(source()).unchanged, 2);
    assert_eq!((world.viewers("a"), world.viewers("b")), (vec![1], vec![]));
}

#[test]
fn an_item_that_is_deleted_and_comes_back_gets_its_activities_again() {
    let world = World::new();
    world.run(vec![viewed_page("a", [1])]);
    world.run(vec![Entry::gone("a")]);
    assert_eq!(world.run(vec![viewed_page("a", [1])]).activities.stored, 1);
    assert_eq!(world.viewers("a"), [1]);
}

#[test]
fn activities_of_an_item_that_cannot_be_sent_wait_for_it() {
    let world = World::new();
    world.run(pages(["a"]));
    assert_eq!(world.run(vec![refused("a")]).failed, 1);
    assert_eq!(world.run(vec![viewed_page("a", [1])]).ok, 1);
    assert_eq!(world.viewers("a"), [1]);
}

#[test]
fn what_was_about_to_be_sent_when_a_run_died_has_a_letter_and_is_never_sent_again() {
    let world = World::new();
    world.die_with(viewed_page("a", 1..24));
    assert_eq!(world.crawl().journal().intents().unwrap().len(), 23);

    let report = world.run(vec![viewed_page("a", 1..25)]);
    assert_eq!((report.activities.unknown, report.activities.stored), (23, 1));
    assert_eq!(world.viewers("a"), [24]);
    let letters = world.letters();
    assert_eq!((letters.len(), world.crawl().journal().intents().unwrap().len()), (2, 0));
    for letter in &letters {
        assert_eq!((letter.applied, letter.attempts), (Applied::Maybe, 0));
        assert_eq!(letter.key.as_deref(), Some("a"));
    }
    assert_eq!(world.run(vec![viewed_page("a", 1..25)]).unchanged, 1);
    assert_eq!(world.letters().len(), 2, "once only");

    // Whoever knows better sends them.
    assert_eq!(world.replay(Duplicates::Allowed).activities.stored, 23);
    let mut viewers = world.viewers("a");
    viewers.sort_unstable();
    assert_eq!(viewers, (1..25).collect::<Vec<_>>());
}

#[test]
fn what_was_about_to_be_sent_is_sent_again_where_it_may_be_there_twice() {
    let world = &mut World::new();
    world.settings.duplicates = Duplicates::Allowed;
    world.die_with(viewed_page("a", [1, 2]));
    let report = world.run(vec![viewed_page("a", [1, 2])]);
    assert_eq!((report.activities.unknown, report.activities.stored), (0, 2));
    assert_eq!((world.viewers("a"), world.letters().len()), (vec![1, 2], 0));
}

#[test]
fn a_letter_of_what_was_about_to_be_sent_is_for_the_item_that_it_was_for() {
    let world = World::new();
    // Of its key only this is left.
    let own_id = ItemId::existing("x--TSP228082938").unwrap();
    let item = ExternalItem::builder(own_id.clone())
        .acl(Acl::everyone(Guid::from(7)))
        .property("title", "a")
        .build()
        .unwrap();
    let entry = || Entry::item(own_id.as_str(), item.clone()).with_activity(viewed(1));
    world.die_with(entry());
    world.run(vec![entry()]);
    let path = world.letters()[0].request.clone().unwrap().path;
    assert_eq!(path, format!("/external/connections/contosohr/items/{own_id}/addActivities"));
}

#[test]
fn an_intent_of_which_nothing_was_kept_has_a_letter_all_the_same() {
    let world = World::new();
    let scope = Scope::new(&root(), &connection());
    let journal = Journal::open(world.journal_path(), &scope).unwrap();
    journal.begin_run().unwrap();
    let activity = Digest::of(["?"]);
    let change = Change::Intended { key: "a", activity, kept: b"\xFF" };
    journal.apply(change, Default::default()).unwrap();
    let letters = DeadLetters::open(world.letters_path()).unwrap();
    let crawl = Crawl::new(root(), connection(), journal, letters, world.settings.clone()).unwrap();
    drop(crawl.begin().unwrap());
    let known = crawl.journal().activity("a", activity).unwrap();
    drop(crawl);
    assert_eq!(known, Some(ActivityState::Uncertain));
    let letter = &world.letters()[0];
    assert_eq!((letter.key.as_deref(), letter.applied), (Some("a"), Applied::Maybe));
    assert!(letter.call::<Written>(&root(), Duplicates::Allowed).is_err());
}

#[test]
fn what_is_told_of_activities_counts_each_of_them() {
    let world = World::new();
    world.fault("POST", "a", "400");
    let report = world.run(vec![viewed_page("a", 1..46)]);
    assert_eq!(report.activities.total(), 45);
    assert_eq!(report.activities.not_stored, 45);
}

#[test]
fn an_item_that_is_given_again_after_it_was_gone_has_its_activities_again() {
    for first in [vec![viewed_page("a", [1])], vec![]] {
        let world = &mut World::new();
        world.settings.sweep = false;
        world.run(first);
        let gone_and_back = || [Entry::gone("a"), viewed_page("a", [1, 2])];
        let mut source = vec![viewed_page("a", [1])];
        // Once more, and what was given then is given twice.
        source.extend(gone_and_back().into_iter().chain(gone_and_back()));
        source.extend([viewed_page("a", [2, 3]), watermark("w")]);
        let report = world.run(source);
        assert_eq!((report.seen, report.failed, world.letters()), (6, 0, vec![]));
        assert_eq!(world.viewers("a"), [1, 2, 3]);
        assert_eq!(world.watermark(), Some(b"w".to_vec()));
        assert_eq!(world.run(vec![viewed_page("a", [1, 2, 3])]).unchanged, 1);
    }
}

#[test]
fn activities_after_a_delete_that_fails_leave_what_is_known_as_it_was() {
    let world = &mut World::new();
    world.settings.sweep = false;
    world.run(vec![viewed_page("a", [1])]);
    world.fault("DELETE", "a", "400 times=1");
    let report = world.run(vec![Entry::gone("a"), viewed_page("a", [1, 2])]);
    assert_eq!((report.failed, world.viewers("a")), (2, vec![1]));
    assert_eq!(world.state("a"), Some(State::Failed), "it was not deleted");
    // The first is there still and is not added twice.
    assert_eq!(world.run(vec![viewed_page("a", [1, 2])]).ok, 1);
    assert_eq!(world.viewers("a"), [1, 2]);
}

#[test]
fn an_item_that_may_be_gone_is_deleted_and_put_with_all_its_activities() {
    for arrives in [true, false] {
        let world = &mut World::new();
        world.settings.most_swept = 1.0;
        world.run(vec![viewed_page("a", [1]), page("b")]);
        let emulator = world.emulator.clone();
        let client = world.client_of(before(&world.emulator, move |request| {
            (request.method() == "DELETE").then(|| {
                if arrives {
                    emulator.handle(request);
                }
                Err(Failure::maybe_sent("the line went dead"))
            })
        }));
        let report = world.try_run_over(&client, pages(["b"]), |_, _| {}).unwrap();
        assert_eq!((report.not_deleted, world.state("a")), (1, Some(State::Leaving)));
        let report = world.run(vec![viewed_page("a", [1]), page("b")]);
        assert_eq!((report.failed, world.viewers("a"), world.state("a")), (0, vec![1], STORED));
        assert_eq!(world.run(vec![viewed_page("a", [1]), page("b")]).unchanged, 2);
    }
}

const STORED: Option<State> = Some(State::Stored);

#[test]
fn what_comes_after_a_delete_in_doubt_leaves_it_in_doubt_and_no_activity_is_lost() {
    for arrives in [true, false] {
        let world = &mut World::new();
        world.settings.sweep = false;
        world.run(vec![viewed_page("a", [1])]);
        let emulator = world.emulator.clone();
        let client = world.client_of(before(&world.emulator, move |request| {
            (request.method() == "DELETE").then(|| {
                if arrives {
                    emulator.handle(request);
                }
                Err(Failure::maybe_sent("the line went dead"))
            })
        }));
        let source = [Entry::gone("a"), viewed_page("a", [1])];
        let report = world.try_run_over(&client, source, |_, _| {}).unwrap();
        assert_eq!((report.failed, world.state("a")), (2, Some(State::Leaving)));
        let report = world.run(vec![viewed_page("a", [1])]);
        assert_eq!((report.failed, world.viewers("a"), world.state("a")), (0, vec![1], STORED));
    }
}

#[test]
fn a_delete_that_is_refused_where_one_before_is_in_doubt_leaves_it_in_doubt() {
    let world = &mut World::new();
    world.settings.sweep = false;
    world.run(vec![viewed_page("a", [1])]);
    world.die_with(Entry::gone("a"));
    world.fault("DELETE", "a", "400 times=1");
    let report = world.run(vec![titled("a", "new"), Entry::gone("a")]);
    assert_eq!((report.failed, world.state("a")), (2, Some(State::Leaving)));
    let report = world.run(vec![viewed_page("a", [1])]);
    assert_eq!((report.failed, world.viewers("a"), world.state("a")), (0, vec![1], STORED));
}

/// What comes after a delete is intended when that is done, and not before, for it would go with it.
#[test]
fn an_activity_after_a_delete_of_a_run_that_dies_is_there_once_or_has_a_letter() {
    // A delete, a PUT and a POST, each of which arrives and is heard.
    for dies_after in 1..8 {
        let world = &mut World::new();
        world.settings.sweep = false;
        world.run(vec![viewed_page("a", [1])]);
        let mut left = dies_after;
        let source = vec![Entry::gone("a"), viewed_page("a", [1, 2])];
        world.by_hand(source, |_, _| {
            left -= 1;
            left > 0
        });
        let report = world.run(vec![viewed_page("a", [1, 2])]);
        let viewers = world.viewers("a");
        let all: BTreeSet<_> = viewers.iter().copied().collect();
        assert_eq!(all.len(), viewers.len(), "{dies_after}: {viewers:?}");
        let letters = serde_json::to_string(&world.letters()).unwrap();
        for by in [1, 2] {
            let is_told = letters.contains(&Guid::from(by).to_string());
            assert!(all.contains(&by) || is_told, "{dies_after}: {by} {report}");
        }
    }
}
