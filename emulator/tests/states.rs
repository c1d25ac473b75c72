//! What each state of a connection allows.

mod support;
#[path = "../src/tables.rs"]
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use graphfeed_emulator::{ConnectionState, Options};
use serde_json::json;
use support::{Bench, ITEM, SCHEMA, USER, activities, activity, item};
use tables::{GRAPH, rows};

const ALL: &str = "/v1.0/external/connections";
const ONE: &str = "/v1.0/external/connections/contosohr";
const STATE: [(&str, &str); 1] = [("connection-state", "connection id")];

/// A request for each row of the table of states, and for what is not in it but follows from it;
/// and what it is answered where it is allowed. A schema that is there is updated, and one that
/// is not is created, by the same request.
fn requests() -> Vec<(&'static [&'static str], &'static str, String, String, u16)> {
    let viewed = activities(&[activity("viewed", "2026-01-02T03:04:05Z", USER)]);
    let good = || item(r#""title":"b""#);
    let at = |path: &str| format!("{ONE}{path}");
    let (new, none) = (ITEM.replace("TSP228082938", "new"), String::new);
    vec![
        (&["read connection"], "GET", at(""), none(), 200),
        (&["read connection"], "GET", at("/quota").replace("v1.0", "beta"), none(), 200),
        (&["update connection"], "PATCH", at(""), "{}".to_owned(), 204),
        (&["delete connection"], "DELETE", at(""), none(), 202),
        (&["create schema", "update schema"], "PATCH", at("/schema"), SCHEMA.to_owned(), 202),
        (&["read schema"], "GET", at("/schema"), none(), 200),
        (&["create item"], "PUT", new, good(), 200),
        (&["read item"], "GET", ITEM.to_owned(), none(), 200),
        (&["update item"], "PUT", ITEM.to_owned(), good(), 200),
        (&["update item"], "PATCH", ITEM.to_owned(), "{}".to_owned(), 200),
        (&["update item"], "POST", format!("{ITEM}/addActivities"), viewed, 200),
        (&["delete item"], "DELETE", ITEM.to_owned(), none(), 204),
    ]
}

/// A connection in this state, with an item where it can have one.
fn connection_in(state: ConnectionState) -> Bench {
    let bench = match state {
        ConnectionState::Draft => Bench::empty(),
        _ => Bench::ready(),
    };
    if state == ConnectionState::Draft {
        bench.expect(201, "POST", ALL, r#"{"id":"contosohr","name":"a"}"#);
    } else {
        bench.expect(200, "PUT", ITEM, item(r#""title":"a""#));
    }
    assert!(bench.emulator.set_connection_state("contosohr", state));
    assert_eq!(bench.emulator.service().connection_state("contosohr"), Some(state));
    bench
}

#[test]
fn each_operation_is_allowed_or_refused_as_the_table_of_states_says() {
    use ConnectionState::{Draft, LimitExceeded, Obsolete, Ready};
    const STATES: [(ConnectionState, &str); 4] = [
        (Draft, "connection \"contosohr\" is draft and has no schema; register a schema"),
        (Ready, ""),
        (Obsolete, "connection \"contosohr\" is obsolete; delete it and make another one"),
        (LimitExceeded, "connection \"contosohr\" is limitExceeded; delete items to make room"),
    ];
    let listed: BTreeMap<&str, Vec<bool>> = rows(&GRAPH, "what")
        .into_iter()
        .map(|row| (row[0], row[1..].iter().map(|cell| *cell == "yes").collect()))
        .collect();
    let tried: BTreeSet<&str> = requests().iter().flat_map(|(what, ..)| *what).copied().collect();
    assert_eq!(tried, listed.keys().copied().collect());
    for (column, (state, said)) in STATES.into_iter().enumerate() {
        for (what, method, target, body, status) in requests() {
            let bench = connection_in(state);
            if what.iter().any(|what| listed[what][column]) {
                bench.expect(status, method, &target, body);
            } else if (what, state) == (&["read schema"], Draft) {
                // What is not there yet is not found, as users report of the service.
                bench.refused(method, &target, body, &[("not-found", "path")]);
            } else {
                assert_eq!(bench.refused(method, &target, body, &STATE).cause(), said, "{what:?}");
            }
        }
    }
}

#[test]
fn a_connection_that_is_full_takes_no_new_item_until_there_is_room() {
    let bench = Bench::ready_with(|behaviour| behaviour.item_quota = Some(2));
    let at = |id: &str| ITEM.replace("TSP228082938", id);
    let good = || item(r#""title":"a""#);
    let state = || bench.expect(200, "GET", ONE, "").json["state"].clone();
    bench.expect(200, "PUT", &at("a"), good());
    assert_eq!(state(), "ready");
    bench.expect(200, "PUT", &at("b"), good());
    assert_eq!(state(), "limitExceeded");
    assert_eq!(
        bench.refused("PUT", &at("c"), good(), &STATE).cause(),
        "connection \"contosohr\" is limitExceeded; delete items to make room (switch item-quota)"
    );
    bench.expect(200, "PUT", &at("b"), good());
    bench.expect(204, "DELETE", &at("a"), "");
    assert_eq!(state(), "ready");
    bench.expect(200, "PUT", &at("c"), good());
    assert_eq!(state(), "limitExceeded");
}

#[test]
fn a_state_that_was_given_lasts_until_it_is_given_back() {
    let bench = connection_in(ConnectionState::Obsolete);
    bench.wait(1_000_000);
    assert_eq!(bench.expect(200, "GET", ONE, "").json["state"], "obsolete");
    // What it is then follows from its schema, and not from the word.
    assert!(bench.emulator.set_connection_state("contosohr", ConnectionState::Draft));
    assert_eq!(bench.expect(200, "GET", ONE, "").json["state"], "ready");
    assert!(!bench.emulator.set_connection_state("nobody", ConnectionState::Obsolete));
}

#[test]
fn the_control_path_gives_a_state_too() {
    let bench = Bench::of(Options { control: true, ..Options::default() });
    bench.expect(201, "POST", ALL, r#"{"id":"contosohr","name":"a"}"#);
    let path = "/__emulator/connections/contosohr/state";
    bench.expect(204, "POST", path, "limitExceeded\n");
    let shown = bench.expect(200, "GET", "/__emulator", "").json["connections"].clone();
    let one = json!({"id": "contosohr", "state": "limitExceeded", "items": 0, "groups": 0});
    assert_eq!(shown, json!([one]));
    bench.expect(204, "POST", path, "draft");
    assert_eq!(bench.expect(200, "GET", ONE, "").json["state"], "draft");
    bench.expect(400, "POST", path, "broken");
    bench.expect(404, "POST", &path.replace("contosohr", "nobody"), "obsolete");
}
