//! What is stored outlives the service: saved, restored, and as if nothing had happened between.

mod support;

use std::time::Duration;

use graphfeed_emulator::{Application, Authorization, Behaviour, Fault, Options, Versions};
use proptest::prelude::*;
use support::{Answer, Bench, ITEM, USER, activities, activity, item, item_with, user_activity};

const CONNECTIONS: &str = "/v1.0/external/connections";
const HR: &str = "/v1.0/external/connections/contosohr";
const GROUPS: &str = "/v1.0/external/connections/contosohr/groups";

const SCHEMA: &str = r#"{"baseType":"microsoft.graph.externalItem","properties":[
    {"name":"title","type":"string","description":"ä","isSearchable":true,"isRetrievable":true,
        "labels":["title"]},
    {"name":"score","type":"double","isRefinable":true,"aliases":["rank"]},
    {"name":"dates","type":"dateTimeCollection"}]}"#;

/// Requests that do something, some of them only behind others.
fn requests() -> Vec<(&'static str, String, String)> {
    let created = activity("created", "2026-01-02T03:04:05.1234567Z", USER);
    let later = SCHEMA.replace(r#""rank""#, r#""rank","place""#);
    let settings = r#"{"description":"ä","configuration":{"authorizedAppIds":["app"]},"contentCategory":"crm"}"#;
    let history = r#""historyItems":[{"startedDateTime":"2026-01-02T03:04:05+01:00",
        "lastActiveDateTime":"2026-01-02T03:04:09Z","userTimezone":"Europe/Berlin"}]"#;
    let rich = item_with(&format!(
        r#""content":{{"type":"html","value":"<b>\u00e4 \"</b>"}},"activities":[{created}],
        "informationProtectionLabel":{{"sensitivityLabelId":"{USER}"}}"#
    ));
    let each: &[(&str, &str, &str)] = &[
        ("POST", CONNECTIONS, r#"{"id":"contosohr","name":"Contoso HR"}"#),
        ("PATCH", &format!("{HR}/schema"), SCHEMA),
        ("PATCH", &format!("{HR}/schema"), &later),
        ("PATCH", HR, settings),
        ("PUT", ITEM, &item(r#""title@odata.type":"String","title":"ä\n","score":1.0E5"#)),
        (
            "PUT",
            ITEM,
            &item(r#""score":1.50,"dates@odata.type":"Collection(DateTimeOffset)","dates":[]"#),
        ),
        ("PUT", &format!("{HR}/items/2"), &item(r#""title":"two""#)),
        ("DELETE", &format!("{HR}/items/2"), ""),
        ("PUT", ITEM, &rich),
        ("POST", &format!("{ITEM}/addActivities"), &activities(&[created])),
        ("POST", GROUPS, r#"{"id":"teamx","displayName":"Team X"}"#),
        (
            "POST",
            &format!("{GROUPS}/teamx/members"),
            &format!(r#"{{"id":"{USER}","type":"user"}}"#),
        ),
        ("POST", "/beta/external/connections", r#"{"id":"contosohr","name":"Another"}"#),
        ("POST", "/beta/external/connections", r#"{"id":"tickets","name":"Tickets"}"#),
        ("PATCH", "/beta/external/connections/tickets/schema", SCHEMA),
        ("DELETE", "/beta/external/connections/tickets", ""),
        ("PUT", "/v1.0/me/activities/a", &user_activity("a", history)),
        ("PUT", "/v1.0/me/activities/a", &user_activity("a", "")),
        ("PUT", "/beta/me/activities/b", &user_activity("b", history)),
    ];
    let owned = |(method, target, body): &(&'static str, &str, &str)| {
        (*method, (*target).to_owned(), (*body).to_owned())
    };
    each.iter().map(owned).collect()
}

fn options(versions: Versions) -> Options {
    let behaviour = Behaviour { versions, ..Behaviour::default() };
    Options { behaviour, ..Options::default() }
}

/// All that answers give, whole, and that no answer gives.
fn seen(bench: &Bench, operations: &[String]) -> Vec<String> {
    let mut seen = Vec::new();
    let of_connections =
        ["", "/quota", "/schema", "/items/TSP228082938", "/items/2", "/groups/teamx"];
    for version in ["/v1.0", "/beta"] {
        let connections = ["contosohr", "tickets"].iter().flat_map(|id| {
            of_connections.iter().map(move |rest| format!("/external/connections/{id}{rest}"))
        });
        let lists = ["/external/connections", "/me/activities?$expand=historyItems"];
        let lists = lists.into_iter().chain(["/me/activities/recent"]).map(str::to_owned);
        for target in connections.chain(lists) {
            let Answer { status, text, .. } = bench.send("GET", &format!("{version}{target}"), "");
            seen.push(format!("{status} {text}"));
        }
    }
    for operation in operations {
        seen.push(bench.send("GET", operation, "").text);
    }
    let service = bench.emulator.service();
    for id in ["contosohr", "tickets"] {
        seen.extend(service.items(id).map(|item| format!("{item:?}")));
        seen.extend(service.groups(id).map(|group| format!("{group:?}")));
    }
    seen.extend(service.user_activities().map(|activity| format!("{activity:?}")));
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Request ids are part of what is compared: the generator goes on where it stood.
    #[test]
    fn what_was_restored_answers_like_what_was_saved_and_is_saved_alike(
        picks in prop::collection::vec((0..requests().len(), 0..700_u64), 0..40),
        versions in prop::sample::select(vec![Versions::Shared, Versions::Separate]),
    ) {
        let bench = Bench::of(options(versions));
        let (requests, mut operations, mut time) = (requests(), Vec::new(), 0);
        // The first two, so that most of the others find a connection and its schema.
        for (pick, millis) in [(0, 0), (1, 1_000)].into_iter().chain(picks) {
            let (method, target, body) = requests[pick].clone();
            let answer = bench.send(method, &target, body);
            operations.extend(answer.header("location").map(str::to_owned));
            bench.wait(millis);
            time += millis;
        }
        let saved = bench.emulator.save();
        prop_assert_eq!(&bench.emulator.save(), &saved);

        let next = Bench::of(options(versions));
        next.wait(time);
        next.emulator.restore(&saved).expect("what was saved");
        prop_assert_eq!(&next.emulator.save(), &saved);
        for millis in [0, 60, 1_000] {
            bench.wait(millis);
            next.wait(millis);
            prop_assert_eq!(seen(&next, &operations), seen(&bench, &operations));
            prop_assert_eq!(next.emulator.save(), bench.emulator.save());
        }
        let (method, target, body) = requests[requests.len() - 1].clone();
        prop_assert_eq!(
            next.send(method, &target, body.clone()).text,
            bench.send(method, &target, body).text
        );
    }

    #[test]
    fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let bench = Bench::empty();
        let before = bench.emulator.save();
        prop_assert!(bench.emulator.restore(&bytes).is_err());
        prop_assert_eq!(bench.emulator.save(), before);
    }

    /// It is refused, or it is another state that can be asked and saved.
    #[test]
    fn no_damage_is_a_panic(
        at in any::<prop::sample::Index>(),
        with in prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:019-.".to_vec())],
        cut in any::<bool>(),
    ) {
        let mut bytes = full().emulator.save();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = with }
        let bench = Bench::empty();
        let before = bench.emulator.save();
        match bench.emulator.restore(&bytes) {
            Ok(()) => {
                for (method, target, body) in requests() {
                    let request = support::request(method, &target, body);
                    bench.emulator.handle(&request);
                }
                let saved = bench.emulator.save();
                prop_assert_eq!(Bench::empty().emulator.restore(&saved), Ok(()));
            }
            Err(why) => {
                prop_assert!(!why.to_string().is_empty());
                prop_assert_eq!(bench.emulator.save(), before);
            }
        }
    }
}

/// A service with something of everything.
fn full() -> Bench {
    let bench = Bench::empty();
    for (index, (method, target, body)) in requests().into_iter().enumerate() {
        let answer = bench.send(method, &target, body);
        let is_taken = target.starts_with("/beta") && answer.status == 409;
        assert!(is_taken || answer.status.is_success(), "{method} {target}: {}", answer.text);
        bench.wait(if index < 4 { 1_000 } else { 1 });
    }
    bench
}

/// What this release once wrote it still reads and writes. When this fails the format has changed:
/// it gets another number, and the file is written anew.
#[test]
fn the_format_is_the_one_that_its_number_stands_for() {
    let saved = include_str!("saved.json").trim_end();
    let bench = Bench::empty();
    bench.emulator.restore(saved.as_bytes()).expect("what was saved");
    assert_eq!(String::from_utf8(bench.emulator.save()).as_deref(), Ok(saved));
    assert_eq!(bench.emulator.item_activities("contosohr", "TSP228082938").len(), 2);
    assert_eq!(bench.emulator.groups("contosohr")[0].members.len(), 1);
    bench.expect(200, "PUT", "/beta/me/activities/b", user_activity("b", ""));
}

#[test]
fn what_is_pending_takes_the_time_that_it_has_left_whatever_the_clock_says() {
    let of = || {
        let mut options = Options::default();
        options.behaviour.set("schema-delay", "60").expect("a switch");
        options.behaviour.set("delete-delay", "100").expect("a switch");
        Bench::of(options)
    };
    let bench = of();
    bench.wait(900_000);
    bench.expect(201, "POST", CONNECTIONS, r#"{"id":"contosohr","name":"a"}"#);
    bench.expect(201, "POST", CONNECTIONS, r#"{"id":"tickets","name":"a"}"#);
    let answer = bench.expect(202, "PATCH", &format!("{HR}/schema"), SCHEMA);
    let operation = answer.header("location").expect("an operation").to_owned();
    bench.expect(202, "DELETE", &format!("{CONNECTIONS}/tickets"), "");
    bench.wait(20_000);

    for already in [0, 5_000_000] {
        let next = of();
        next.wait(already);
        next.emulator.restore(&bench.emulator.save()).expect("what was saved");
        let status = || next.expect(200, "GET", &operation, "").json["status"].clone();
        next.wait(39_999);
        assert_eq!(status(), "inprogress");
        next.wait(1);
        assert_eq!(status(), "completed");
        next.wait(39_999);
        next.expect(200, "GET", &format!("{CONNECTIONS}/tickets"), "");
        next.wait(1);
        next.expect(404, "GET", &format!("{CONNECTIONS}/tickets"), "");
    }
    bench.wait(39_999);
    assert_eq!(
        bench.expect(200, "GET", &operation, "").json["status"],
        "inprogress",
        "to save it changes nothing"
    );
}

#[test]
fn an_id_that_was_given_is_not_given_again() {
    let put = |bench: &Bench, id: &str| {
        let target = format!("/v1.0/me/activities/{id}");
        let answer = bench.expect(201, "PUT", &target, user_activity(id, ""));
        answer.json["id"].as_str().expect("an id").to_owned()
    };
    let first = Bench::empty();
    let given = put(&first, "a");
    assert_eq!(put(&Bench::empty(), "b"), given, "the same seed, and nothing restored");
    let next = Bench::empty();
    next.emulator.restore(&first.emulator.save()).expect("what was saved");
    assert_ne!(put(&next, "b"), given);
    assert_eq!(next.emulator.user_activities().len(), 2);
}

#[test]
fn a_given_state_and_the_age_of_a_connection_stay() {
    let bench = full();
    bench.emulator.set_connection_state("contosohr", graphfeed_emulator::ConnectionState::Obsolete);
    let next = Bench::empty();
    next.wait(10_000);
    next.emulator.restore(&bench.emulator.save()).expect("what was saved");
    let read = next.expect(200, "GET", HR, "");
    assert_eq!(read.json["state"], "obsolete");
    // It was made at the origin.
    next.emulator.fault(
        Fault::on("GET connection").expect("a request").answer(503).within(Duration::from_secs(11)),
    );
    next.expect(503, "GET", HR, "");
    next.wait(1_001);
    next.expect(200, "GET", HR, "");
}

#[test]
fn to_whom_something_belongs_stays_and_tokens_and_faults_do_not() {
    let of = || {
        let application = |id: &str| {
            let names =
                ["ExternalConnection.ReadWrite.OwnedBy", "UserActivity.ReadWrite.CreatedByApp"];
            names.iter().fold(Application::new(id, "hush"), |it, name| it.role(*name).scope(*name))
        };
        let applications = vec![application("app"), application("other")];
        let authorization = Some(Authorization { applications, ..Authorization::default() });
        Bench::of(Options { authorization, ..Options::default() })
    };
    let send = |bench: &Bench, token: &str, method: &str, target: &str, body: &str| {
        let bearer = format!("Bearer {token}").parse().expect("a header");
        bench.send_with(method, target, body.to_owned(), |headers| {
            headers.insert("authorization", bearer);
        })
    };
    let bench = of();
    let token = bench.emulator.token("app").expect("registered");
    let user = bench.emulator.user_token("app", None).expect("registered");
    let body = r#"{"id":"contosohr","name":"a"}"#;
    assert_eq!(send(&bench, &token, "POST", CONNECTIONS, body).status, 201);
    let body = user_activity("a", "");
    assert_eq!(send(&bench, &user, "PUT", "/v1.0/me/activities/a", &body).status, 201);
    bench.emulator.script("*: 503").expect("a fault");

    let next = of();
    next.emulator.restore(&bench.emulator.save()).expect("what was saved");
    assert_eq!(send(&next, &token, "GET", HR, "").status, 401);
    let own = next.emulator.token("app").expect("registered");
    let other = next.emulator.token("other").expect("registered");
    assert_eq!(send(&next, &own, "GET", HR, "").status, 200);
    assert_eq!(send(&next, &other, "GET", HR, "").status, 403);
    for (application, count) in [("app", 1), ("other", 0)] {
        let token = next.emulator.user_token(application, None).expect("registered");
        let list = send(&next, &token, "GET", "/v1.0/me/activities", "");
        assert_eq!(list.json["value"].as_array().map(Vec::len), Some(count), "{application}");
    }
}

#[test]
fn what_is_no_state_is_refused_and_nothing_changes() {
    let bench = full();
    let saved = String::from_utf8(bench.emulator.save()).expect("UTF-8");
    let separate = Bench::of(options(Versions::Separate));
    let refusals = [
        (&bench, "".to_owned(), "it is no state of an emulator: EOF"),
        (&bench, "{}".to_owned(), "it is no state of an emulator: missing field `format`"),
        (&bench, r#"{"format":1}"#.to_owned(), "it is no state of an emulator: missing field"),
        (
            &bench,
            saved.replacen("grant", "gruff", 1),
            "it is no state of an emulator: unknown word \"gruff\"",
        ),
        (&bench, saved.replacen("\"2026-", "\"2O26-", 1), "it is no state of an emulator: \"2O26-"),
        (&bench, format!("{saved}1"), "it is no state of an emulator: trailing"),
        (
            &bench,
            r#"{"stores":"other","format":2}"#.to_owned(),
            "its format is 2, and this release reads 1; use the release that wrote it",
        ),
        (
            &separate,
            saved.clone(),
            "it was saved with the switch versions=shared, and here it is separate",
        ),
    ];
    for (bench, bytes, why) in refusals {
        let before = bench.emulator.save();
        let error = bench.emulator.restore(bytes.as_bytes()).expect_err(why).to_string();
        assert!(error.starts_with(why), "{error}");
        assert_eq!(bench.emulator.save(), before);
    }
    bench.emulator.reset();
    assert_eq!(bench.emulator.restore(saved.as_bytes()), Ok(()));
    assert_eq!(String::from_utf8(bench.emulator.save()), Ok(saved));
}
