//! Every rule of the emulator, broken in every documented way: the status, the rule and the place
//! of the refusal, and that the state is what it was.

mod batches;
mod items;
mod others;
#[cfg(feature = "server")]
#[path = "../support/raw.rs"]
mod raw;
mod schemas;
mod settings;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;

use graphfeed_emulator::Rule;
use serde_json::Value;
use support::{Bench, ITEM, item, item_with};

const CONNECTIONS: &str = "/v1.0/external/connections";
const CONTOSO: &str = "/v1.0/external/connections/contosohr";
/// A connection without a schema.
const DRAFT: &str = "/v1.0/external/connections/draft";

struct Case {
    method: &'static str,
    target: String,
    body: String,
    status: u16,
    faults: Vec<(&'static str, &'static str)>,
}

fn case(
    method: &'static str,
    target: impl Into<String>,
    body: impl Into<String>,
    faults: &[(&'static str, &'static str)],
) -> Case {
    Case { method, target: target.into(), body: body.into(), status: 400, faults: faults.to_vec() }
}

fn cases() -> impl Iterator<Item = Case> {
    let cases = [
        items::cases(),
        others::activities_on_items(),
        others::groups(),
        others::user_activities(),
        others::queries(),
        others::connections(),
        settings::cases(),
        batches::cases(),
        schemas::cases(),
        others::other_statuses(),
    ];
    cases.into_iter().flatten()
}

/// A service with a connection that is ready and holds an item and a group, and a draft.
fn bench() -> Bench {
    let bench = Bench::ready();
    bench.expect(201, "POST", CONNECTIONS, r#"{"id":"draft","name":"a"}"#);
    let body = item_with(r#""content":{"type":"html","value":"<p>before</p>"}"#);
    bench.expect(200, "PUT", ITEM, body);
    bench.expect(201, "POST", &format!("{CONTOSO}/groups"), r#"{"id":"teamx"}"#);
    bench
}

#[test]
fn each_documented_mistake_is_refused_with_its_own_rule() {
    let bench = bench();
    let before = bench.expect(200, "GET", ITEM, "").json;
    let groups = bench.emulator.groups("contosohr");
    let schema = format!("{CONTOSO}/schema");
    let schema_before = bench.expect(200, "GET", &schema, "").json;
    let connections_before = bench.expect(200, "GET", CONNECTIONS, "").json;

    let mut seen = BTreeSet::new();
    for case in cases() {
        let answer = bench.refused(case.method, &case.target, case.body, &case.faults);
        assert_eq!(answer.status, case.status, "{}", answer.text);
        seen.extend(case.faults.iter().map(|(rule, _)| *rule));
    }

    assert_eq!(bench.expect(200, "GET", ITEM, "").json, before);
    assert_eq!(bench.expect(200, "GET", &schema, "").json, schema_before);
    bench.expect(404, "GET", &format!("{DRAFT}/schema"), "");
    assert_eq!(bench.emulator.items("contosohr").len(), 1);
    assert_eq!(bench.emulator.item_activities("contosohr", "TSP228082938"), []);
    assert_eq!(bench.emulator.groups("contosohr"), groups);
    assert_eq!(bench.emulator.user_activities(), []);
    assert_eq!(bench.expect(200, "GET", CONNECTIONS, "").json, connections_before);

    // These need another request, another state or another switch, and have tests of their own.
    seen.extend(["annotation-order", "connection-state", "content-type", "group-unknown", "token"]);
    // Only ever reported: tests/schemas.rs.
    seen.insert("label-missing");
    // In tests/authorization.rs and tests/faults.rs.
    seen.extend(["connection-owner", "fault", "permission", "token-claims", "token-kind"]);
    // In tests/batches.rs and tests/limits.rs.
    seen.extend(["failed-dependency", "throttled"]);
    let all: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    assert_eq!(seen, all);
}

/// A row of `docs/rules.md`: what is sent, and the answer to it.
fn row(
    rule: &str,
    when: &str,
    (method, target, body): (&str, &str, &str),
    error: &Value,
) -> String {
    let body = body.split_whitespace().collect::<Vec<_>>().join(" ");
    let body = if body.is_empty() { body } else { format!(" `{body}`") };
    let [place, why] =
        ["target", "message"].map(|name| error["innerError"][name].as_str().unwrap());
    assert_eq!(support::faults_of(error), [(rule, place)]);
    format!("| `{rule}` | {when}`{method} {target}`{body} | `` {place}: {why} `` |")
}

/// What breaks a rule in another state, with other switches, or with other headers.
fn otherwise(rule: &str) -> Option<String> {
    let bench = bench();
    let (get, put) = (("GET", ITEM, ""), ("PUT", ITEM, &*item(r#""title":"a""#)));
    let told = |when: &str, call: (&str, &str, &str)| {
        let answer = bench.send(call.0, call.1, call.2.to_owned());
        row(rule, when, call, &answer.json["error"])
    };
    Some(match rule {
        "annotation-order" => {
            let strict = Bench::ready_with(|behaviour| {
                behaviour.annotation_order = graphfeed_emulator::Verdict::Refuse;
            });
            let body = item(r#""tags":["a"],"tags@odata.type":"Collection(String)""#);
            let answer = strict.send("PUT", ITEM, body.clone());
            let when = "where the switch `annotation-order` says so: ";
            row(rule, when, ("PUT", ITEM, &body), &answer.json["error"])
        }
        "connection-state" => {
            let target = format!("{DRAFT}/items/T1");
            told("before there is a schema: ", ("PUT", &target, put.2))
        }
        "content-type" => {
            let answer = bench.send_with(put.0, put.1, put.2.to_owned(), |headers| {
                headers.insert("content-type", "text/plain".parse().expect("a value"));
            });
            row(rule, "with `Content-Type: text/plain`: ", put, &answer.json["error"])
        }
        "failed-dependency" => {
            let body = r#"{"requests":[{"id":"1","method":"GET","url":"/external/connections/none1"},
                {"id":"2","method":"GET","url":"/external/connections","dependsOn":["1"]}]}"#;
            let answer = bench.expect(200, "POST", "/v1.0/$batch", body);
            let parts = answer.json["responses"].as_array().expect("a list").iter();
            let part = parts.clone().find(|part| part["id"] == "2").expect("an answer");
            row(rule, "", ("POST", "/v1.0/$batch", body), &part["body"]["error"])
        }
        "fault" => {
            bench.emulator.script("GET item: 503").expect("a fault");
            told("where `GET item: 503` is scripted: ", get)
        }
        "throttled" => {
            bench.emulator.throttle("bucket rate=1 burst=1 retry-after=7").expect("a limit");
            bench.expect(200, "GET", ITEM, "");
            told("after another one: ", get)
        }
        _ => return None,
    })
}

#[test]
fn each_rule_that_only_the_emulator_has_is_shown_with_what_breaks_it_and_what_is_then_said() {
    let document = include_str!("../../../docs/rules.md");
    let rules = document.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split(" | ").collect();
        let name = cells.first()?.strip_prefix("| `")?.strip_suffix('`')?;
        (*cells.get(2)? == "emulator").then_some(name)
    });
    let bench = bench();
    let mut expected = Vec::new();
    for rule in rules {
        let alone = |case: &Case| matches!(case.faults[..], [(it, _)] if it == rule);
        let case = cases().filter(alone).min_by_key(|case| case.target.len() + case.body.len());
        expected.extend(match case {
            Some(Case { method, target, body, .. }) => {
                let answer = bench.send(method, &target, body.clone());
                Some(row(rule, "", (method, &target, &body), &answer.json["error"]))
            }
            None => {
                let row = otherwise(rule);
                // These need tokens: tests/authorization.rs.
                let needs_tokens = ["connection-owner", "permission", "token-claims"];
                assert_eq!(row.is_none(), needs_tokens.contains(&rule), "{rule}");
                row
            }
        });
    }
    let found: Vec<_> = document
        .lines()
        .skip_while(|line| !line.starts_with("| rule | request |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(found, expected, "the table should be:\n{}\n", expected.join("\n"));
}

#[cfg(feature = "server")]
#[test]
fn each_of_them_is_refused_over_http_alike() {
    let bench = bench();
    let server = graphfeed_emulator::server::Server::start(bench.emulator, "127.0.0.1:0");
    let server = server.expect("a server");
    for case in cases() {
        // A connection of its own, for some refusals close it.
        let mut raw = raw::Raw::open(server.address());
        let answer = raw.exchange(case.method, &case.target, &case.body);
        let error: Value = serde_json::from_str(&answer.body).expect("JSON");
        let faults = support::faults_of(&error["error"]);
        assert_eq!((answer.status, faults), (case.status, case.faults), "{}", case.target);
    }
}

#[test]
fn all_faults_of_a_body_are_told_at_once() {
    let bench = Bench::ready();
    let body = r#"{"acl":[{"accessType":"grant","type":"user","value":"john"},{"type":"robot"}],
        "properties":{"title":"ä","planet":1,"tags":["a"]},"content":{"type":"pdf"},"colour":1}"#;
    bench.refused(
        "PUT",
        ITEM,
        body,
        &[
            ("member-unknown", "$.colour"),
            ("guid", "$.acl[0].value"),
            ("enum-value", "$.acl[1].type"),
            ("member-required", "$.acl[1].accessType"),
            ("member-required", "$.acl[1].value"),
            ("annotation-non-ascii", "$.properties.title"),
            ("property-undeclared", "$.properties.planet"),
            ("annotation-collection", "$.properties.tags"),
            ("item-content", "$.content.type"),
            ("item-content", "$.content.value"),
        ],
    );
}

#[test]
fn an_item_before_the_schema_is_registered_is_refused() {
    let bench = Bench::empty();
    bench.expect(201, "POST", CONNECTIONS, r#"{"id":"contosohr","name":"a"}"#);
    let state = [("connection-state", "connection id")];
    let answer = bench.refused("PUT", ITEM, item(r#""title":"a""#), &state);
    assert_eq!(
        answer.cause(),
        "connection \"contosohr\" is draft and has no schema; register a schema"
    );
    bench.expect(202, "PATCH", &format!("{CONTOSO}/schema"), support::SCHEMA);
    bench.wait(999);
    let answer = bench.refused("PUT", ITEM, item(r#""title":"a""#), &state);
    assert_eq!(
        answer.cause(),
        "the schema of connection \"contosohr\" is still being registered; wait until its \
         operation is completed (switch schema-delay)"
    );
    bench.wait(1);
    bench.expect(200, "PUT", ITEM, item(r#""title":"a""#));
}

#[test]
fn an_annotation_behind_its_value_is_refused_on_request() {
    let bench = Bench::ready_with(|behaviour| {
        behaviour.annotation_order = graphfeed_emulator::Verdict::Refuse;
    });
    let body = item(r#""tags":["a"],"tags@odata.type":"Collection(String)""#);
    bench.refused("PUT", ITEM, body, &[("annotation-order", "$.properties['tags@odata.type']")]);
}

#[test]
fn a_request_without_a_bearer_token_is_not_even_read() {
    let bench = Bench::ready();
    for value in [None, Some("Bearer"), Some("Bearer "), Some("Basic eA=="), Some("any")] {
        let answer = bench.send_with("PUT", ITEM, "{", |headers| {
            headers.remove("authorization");
            if let Some(value) = value {
                headers.insert("authorization", value.parse().expect("a value"));
            }
        });
        assert_eq!(answer.status, 401, "{value:?}");
        assert_eq!(answer.faults(), [("token", "header authorization")]);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert_eq!(answer.json["error"]["code"], "InvalidAuthenticationToken");
    }
}

#[test]
fn a_body_that_is_compressed_is_refused() {
    let bench = Bench::ready();
    let send = |method: &str, values: &[&str]| {
        bench.send_with(method, ITEM, item(r#""title":"a""#), |headers| {
            for value in values {
                headers.append("content-encoding", value.parse().expect("a value"));
            }
        })
    };
    for values in [&["gzip"][..], &["identity, br"], &["identity", "deflate"]] {
        let answer = send("PUT", values);
        assert_eq!(answer.status, 415, "{values:?}");
        assert_eq!(answer.faults(), [("content-type", "header content-encoding")]);
        assert!(answer.cause().ends_with("; send the body uncompressed"), "{}", answer.text);
    }
    for values in [&["identity"][..], &["Identity"], &[""], &["identity,identity"]] {
        assert_eq!(send("PUT", values).status, 200, "{values:?}");
    }
    assert_eq!(send("GET", &["gzip"]).status, 200);
}

/// What a message says to write can be written.
#[test]
fn a_message_says_what_to_write_instead() {
    let bench = Bench::ready();
    let refused = |body: String, rule, place| {
        bench.refused("PUT", ITEM, body, &[(rule, place)]).cause().to_owned()
    };
    assert_eq!(
        refused(item(r#""title":"Äpfel""#), "annotation-non-ascii", "$.properties.title"),
        "the string has a character beyond ASCII; write \"title@odata.type\": \"String\" before it \
         (switch annotation-non-ascii)"
    );
    bench.expect(200, "PUT", ITEM, item(r#""title@odata.type": "String","title":"Äpfel""#));
    let day = refused(item(r#""due":"2026-01-02""#), "date-time", "$.properties.due");
    assert!(day.ends_with("it has no time; append T00:00:00Z for midnight in UTC"), "{day}");
    bench.expect(200, "PUT", ITEM, item(r#""due":"2026-01-02T00:00:00Z""#));
    let twice =
        [("property-twice", "$.properties.TITLE"), ("property-undeclared", "$.properties.TITLE")];
    assert_eq!(
        bench.refused("PUT", ITEM, item(r#""title":"a","TITLE":"b""#), &twice).cause(),
        "the item has title already; letter case makes no other name"
    );

    bench.expect(201, "POST", CONNECTIONS, r#"{"id":"draft","name":"a"}"#);
    let schema = r#"{"baseType":"microsoft.graph.externalItem","properties":[
        {"name":"dueDate","type":"string"},{"name":"DUEDATE","type":"string"}]}"#;
    let twice = [("property-twice", "$.properties[1].name")];
    assert_eq!(
        bench.refused("PATCH", &format!("{DRAFT}/schema"), schema, &twice).cause(),
        "the schema has \"dueDate\" already; letter case makes no other name"
    );

    let add = format!("{ITEM}/addActivities");
    let count = |number: usize| {
        let one = support::activity("viewed", "2026-01-02T03:04:05Z", support::USER);
        let body = support::activities(&vec![one; number]);
        bench.refused("POST", &add, body, &[("activity-count", "$.activities")]).cause().to_owned()
    };
    assert_eq!(count(0), "there are none; send 1 to 20");
    assert_eq!(
        count(21),
        "there are 21; split them into calls of 1 to 20 (switch activities-per-call)"
    );
}

#[test]
fn a_body_that_does_not_say_it_is_json_is_refused() {
    let bench = Bench::ready();
    let send = |value: Option<&str>| {
        bench.send_with("PUT", ITEM, item(r#""title":"a""#), |headers| {
            headers.remove("content-type");
            if let Some(value) = value {
                headers.insert("content-type", value.parse().expect("a value"));
            }
        })
    };
    for value in [None, Some("text/plain"), Some("application/json; charset=latin1"), Some("")] {
        let answer = send(value);
        assert_eq!(answer.status, 415, "{value:?}");
        assert_eq!(answer.faults(), [("content-type", "header content-type")]);
    }
    for value in ["application/json; charset=UTF-8", "Application/JSON;odata.metadata=full"] {
        assert_eq!(send(Some(value)).status, 200, "{value}");
    }
}
