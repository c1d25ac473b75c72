//! Every rule of the emulator, broken in every documented way: the status, the rule and the place
//! of the refusal, and that the state is what it was.

mod items;
mod others;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;

use graphfeed_emulator::Rule;
use support::{Bench, ITEM, item, item_with};

const CONNECTIONS: &str = "/v1.0/external/connections";
const CONTOSO: &str = "/v1.0/external/connections/contosohr";

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

#[test]
fn each_documented_mistake_is_refused_with_its_own_rule() {
    let bench = Bench::ready();
    let body = item_with(r#""content":{"type":"html","value":"<p>before</p>"}"#);
    bench.expect(200, "PUT", ITEM, body);
    let before = bench.expect(200, "GET", ITEM, "").json;

    let mut seen = BTreeSet::new();
    let groups = [
        items::cases(),
        others::activities_on_items(),
        others::user_activities(),
        others::connections(),
        others::other_statuses(),
    ];
    for case in groups.into_iter().flatten() {
        let answer = bench.refused(case.method, &case.target, case.body, &case.faults);
        assert_eq!(answer.status, case.status, "{}", answer.text);
        seen.extend(case.faults.iter().map(|(rule, _)| *rule));
    }

    assert_eq!(bench.expect(200, "GET", ITEM, "").json, before);
    assert_eq!(bench.emulator.items("contosohr").len(), 1);
    assert_eq!(bench.emulator.item_activities("contosohr", "TSP228082938"), []);
    assert_eq!(bench.emulator.user_activities(), []);
    let connections = bench.expect(200, "GET", CONNECTIONS, "").json;
    assert_eq!(connections["value"].as_array().map(Vec::len), Some(1));

    // These need another request, another state or another switch, and have tests of their own.
    seen.extend(["annotation-order", "connection-state", "content-type", "token"]);
    // In tests/authorization.rs and tests/faults.rs.
    seen.extend(["connection-owner", "fault", "permission", "token-claims", "token-kind"]);
    let all: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    assert_eq!(seen, all);
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
    bench.refused("PUT", ITEM, item(r#""title":"a""#), &state);
    bench.expect(202, "PATCH", &format!("{CONTOSO}/schema"), support::SCHEMA);
    bench.wait(999);
    bench.refused("PUT", ITEM, item(r#""title":"a""#), &state);
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
