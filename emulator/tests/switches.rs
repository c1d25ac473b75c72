//! Each switch that has a rule refuses with that rule, and its name ends the message.

mod support;

use std::{collections::BTreeSet, time::Duration};

use graphfeed_emulator::Behaviour;
use support::{Bench, ITEM, SCHEMA, USER, activities, activity, item, item_for, user_activity};

const CONTOSO: &str = "/v1.0/external/connections/contosohr";

/// A switch, the value that refuses, and a request that is refused for it alone.
fn cases() -> Vec<(&'static str, &'static str, &'static str, String, String)> {
    let put =
        |switch, properties: &str| (switch, "refuse", "PUT", ITEM.to_owned(), item(properties));
    let acl = |switch, entry: &str| {
        let entry = format!(r#"{{"accessType":"grant",{entry}}}"#);
        (switch, "refuse", "PUT", ITEM.to_owned(), item_for(&entry))
    };
    let own = |switch, id: &str, body: String| {
        (switch, "refuse", "PUT", format!("/v1.0/me/activities/{id}"), body)
    };
    let batch = |switch, value, requests: &str| {
        let body = format!(r#"{{"requests":[{requests}]}}"#);
        (switch, value, "POST", "/v1.0/$batch".to_owned(), body)
    };
    let plain = |members: &str| user_activity("a", members);
    let viewed = activity("viewed", "2026-01-02T03:04:05Z", USER);
    let add = format!("{ITEM}/addActivities");
    let without_url = plain("").replace(r#""activationUrl":"https://contoso.com/a","#, "");
    let source =
        format!(r#""type":"user","value":"{USER}","identitySource":"azureActiveDirectory""#);
    let schema = format!("{CONTOSO}/schema");
    let members = format!("{CONTOSO}/groups/teamx/members");
    let nested = |id: &str| format!(r#"{{"id":"{id}","type":"externalGroup"}}"#);
    let date = r#""type":"dateTime""#;
    let refinable = SCHEMA.replacen(date, &format!(r#"{date},"isRefinable":true"#), 1);
    vec![
        put("annotation-order", r#""tags":["a"],"tags@odata.type":"Collection(String)""#),
        put("annotation-hash", r##""title@odata.type":"#String","title":"a""##),
        put("annotation-collection", r#""tags":["a"]"#),
        put("annotation-non-ascii", r#""title":"Äpfel""#),
        put("null-property", r#""title":null"#),
        acl("everyone-literal", r#""type":"everyone","value":"everyone""#),
        acl("identity-source-v1", &source),
        ("group-cycle", "refuse", "POST", members.clone(), nested("teamx")),
        ("group-unknown", "refuse", "POST", members, nested("teamy")),
        ("item-id-punctuation", "refuse", "GET", format!("{CONTOSO}/items/a-b"), String::new()),
        acl("enum-case", &format!(r#""type":"User","value":"{USER}""#)),
        put("date-without-offset", r#""due":"2026-01-02T03:04:05""#),
        own("member-unknown", "a", plain(r#""colour":1"#)),
        own("server-owned", "a", plain(r#""status":"updated""#)),
        own("activation-url-missing", "a", without_url),
        own("app-activity-id-mismatch", "b", plain("")),
        own("path-reserved", "a:b", user_activity("a:b", "")),
        own("path-over-escaped", "%61", plain("")),
        own("path-lower-case-hex", "%3a", user_activity(":", "")),
        ("schema-delay", "60", "PUT", ITEM.to_owned(), item(r#""title":"a""#)),
        ("schema-visible-early", "false", "GET", schema.clone(), String::new()),
        ("body-limit", "2000", "PUT", ITEM.to_owned(), " ".repeat(2_001)),
        ("read-limit", "2000", "PUT", ITEM.to_owned(), " ".repeat(2_001)),
        ("activities-per-call", "1", "POST", add, activities(&vec![viewed; 2])),
        ("schema-properties", "10", "PATCH", schema.clone(), SCHEMA.to_owned()),
        ("refinable-type", "refuse", "PATCH", schema, refinable),
        ("delete-delay", "60", "PATCH", CONTOSO.to_owned(), "{}".to_owned()),
        batch(
            "batch-requests",
            "1",
            r#"{"id":"1","method":"GET","url":"/a"},{"id":"2","method":"GET","url":"/a"}"#,
        ),
        batch(
            "batch-dependencies",
            "refuse",
            r#"{"id":"1","method":"GET","url":"/a"},{"id":"2","method":"GET","url":"/a"},
                {"id":"3","method":"GET","url":"/a","dependsOn":["1","2"]}"#,
        ),
        batch(
            "batch-throttled",
            "429",
            r#"{"id":"1","method":"GET","url":"/external/connections"}"#,
        ),
        ("item-quota", "0", "PUT", ITEM.to_owned(), item(r#""title":"a""#)),
    ]
}

#[test]
fn a_refusal_that_a_switch_decides_has_its_rule_and_ends_with_its_name() {
    let mut seen = BTreeSet::new();
    for (switch, value, method, target, body) in cases() {
        let bench = Bench::with(|behaviour| {
            // Before the schema is registered for the one, and after it for the others.
            behaviour.schema_delay = Duration::from_secs(1);
            behaviour.set(switch, value).expect("a switch");
        });
        let made = r#"{"id":"contosohr","name":"Contoso HR"}"#;
        bench.expect(201, "POST", "/v1.0/external/connections", made);
        bench.expect(201, "POST", &format!("{CONTOSO}/groups"), r#"{"id":"teamx"}"#);
        if !["schema-properties", "refinable-type"].contains(&switch) {
            bench.expect(202, "PATCH", &format!("{CONTOSO}/schema"), SCHEMA);
        }
        if switch != "schema-visible-early" {
            bench.wait(1_000);
        }
        if switch == "activities-per-call" {
            bench.expect(200, "PUT", ITEM, item(r#""title":"a""#));
        }
        if switch == "delete-delay" {
            bench.expect(202, "DELETE", CONTOSO, "");
        }
        if switch == "batch-throttled" {
            bench.emulator.script("GET connections: 429").expect("a fault");
        }
        let answer = bench.send(method, &target, body);
        let found = Behaviour::SWITCHES.iter().find(|each| each.name == switch).expect("listed");
        let rule = found.rule.expect("a rule");
        assert_eq!(answer.status, rule.status(), "{switch}: {}", answer.text);
        let [(name, _)] = answer.faults()[..] else { panic!("{switch}: {}", answer.text) };
        assert_eq!(name, rule.name(), "{switch}");
        let end = format!(" (switch {switch})");
        assert!(answer.cause().ends_with(&end), "{switch}: {}", answer.cause());
        seen.insert(switch);
    }
    // It decides the status of a refusal, and not whether there is one.
    seen.insert("body-size-413");
    let with_rule = Behaviour::SWITCHES.iter().filter(|switch| switch.rule.is_some());
    assert_eq!(seen, with_rule.map(|switch| switch.name).collect());
}

#[test]
fn a_refusal_that_no_switch_decides_names_none() {
    let bench = Bench::ready();
    for (method, target, body) in [
        ("PUT", ITEM, item_for("")),
        ("PUT", ITEM, item(r#""due":"soon""#)),
        ("PATCH", "/v1.0/external/connections/contosohr/schema", "{}".to_owned()),
        ("PATCH", "/v1.0/external/connections/contosohr", r#"{"name":null}"#.to_owned()),
        ("GET", "/v1.0/external/connections/nobody", String::new()),
    ] {
        let answer = bench.send(method, target, body);
        assert!(!answer.text.contains("(switch "), "{}", answer.text);
        assert!(!answer.faults().is_empty());
    }
}
