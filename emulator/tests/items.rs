//! External items: what is written can be read back, in both versions, and what the switches do.

mod support;

use graphfeed_emulator::{ItemAnswer, MissingContent, Verdict, Versions};
use serde_json::{Value, json};
use support::{Bench, ITEM, SCHEMA, TENANT, USER, activity, item, item_for, item_with};

const BETA: &str = "/beta/external/connections/contosohr/items/TSP228082938";

/// The request of the beta page, word for word (put-items).
const SEED: &str = r#"{
  "acl": [
    {
      "type": "user",
      "value": "e811976d-83df-4cbd-8b9b-5215b18aa874",
      "accessType": "grant",
      "identitySource": "azureActiveDirectory"
    },
    {
      "type": "group",
      "value": "14m1b9c38qe647f6a",
      "accessType": "deny",
      "identitySource": "external"
    }
  ],
  "properties": {
    "title": "Error in the payment gateway",
    "priority": 1
  },
  "content": {
    "value": "Error in payment gateway...",
    "type": "text"
  }
}"#;

#[test]
fn the_example_of_the_documents_is_stored_and_each_version_words_it_its_own_way() {
    let bench = Bench::ready();
    let answer = bench.expect(200, "PUT", BETA, SEED);
    assert_eq!(answer.text, "");
    assert_eq!(answer.header("content-type"), None);

    let mut sent: Value = serde_json::from_str(SEED).expect("JSON");
    let mut read = bench.expect(200, "GET", BETA, "").json;
    assert_eq!(read["id"], "TSP228082938");
    let members = read.as_object_mut().expect("an object");
    members.retain(|name, _| name != "id" && name != "@odata.context");
    assert_eq!(read, sent);

    let read = bench.expect(200, "GET", ITEM, "").json;
    sent["acl"] = json!([
        {"accessType": "grant", "type": "user", "value": USER},
        {"accessType": "deny", "type": "externalGroup", "value": "14m1b9c38qe647f6a"},
    ]);
    assert_eq!(read["acl"], sent["acl"]);
}

#[test]
fn every_type_of_property_comes_back_byte_for_byte_with_collections_annotated_before() {
    let bench = Bench::ready();
    let sent = concat!(
        r#""title@odata.type":"String","title":"Kandierte \u00c4pfel","#,
        r#""priority":9007199254740993,"#,
        r#""score":1.50e-3,"#,
        r#""due":"2026-01-02T03:04:05.1234567+01:00","#,
        r#""open":false,"#,
        r##""tags@odata.type":"#Collection(String)","tags":["ä", "b"],"##,
        r#""counts@odata.type":"Collection(Int64)","counts":[-9223372036854775808],"#,
        r#""weights@odata.type":"Collection(Double)","weights":[1,2.0],"#,
        r#""dates@odata.type":"Collection(DateTimeOffset)","dates":["2026-01-02T03:04Z"],"#,
        r##""owner":{"@odata.type":"#microsoft.graph.externalConnectors.principal","upn":"ä@b"},"##,
        r#""authors@odata.type":"Collection(microsoft.graph.externalConnectors.principal)","#,
        r#""authors":[{"entraId":"e811976d-83df-4cbd-8b9b-5215b18aa874"}]"#,
    );
    bench.expect(200, "PUT", ITEM, item(sent));
    let read = bench.expect(200, "GET", ITEM, "").text;
    let expected = sent
        .replace(r#""title@odata.type":"String","#, "")
        .replace("type\":\"Collection", "type\":\"#Collection");
    assert!(read.contains(&format!(r#""properties":{{{expected}}}"#)), "{read}");
    assert_eq!(bench.emulator.reports(), []);

    let stored = bench.emulator.item("contosohr", "TSP228082938").expect("stored");
    let priority = &stored.properties[1];
    assert_eq!((&*priority.name, &*priority.json), ("priority", "9007199254740993"));
    assert_eq!(priority.kind.name(), "int64");
}

#[test]
fn the_types_of_dates_and_numbers_are_annotated_on_request() {
    let bench = Bench::ready_with(|behaviour| behaviour.annotate_scalars = true);
    bench.expect(200, "PUT", ITEM, item(r#""due":"2026-01-02T03:04:05Z","open":true,"title":"a""#));
    let read = bench.expect(200, "GET", ITEM, "").json;
    assert_eq!(
        read["properties"],
        json!({
            "due@odata.type": "#DateTimeOffset",
            "due": "2026-01-02T03:04:05Z",
            "open": true,
            "title": "a",
        })
    );
}

#[test]
fn an_acl_may_name_anybody_that_the_documents_and_samples_name() {
    let bench = Bench::ready();
    let entries = [
        ("user", USER),
        ("group", USER),
        ("everyone", TENANT),
        ("everyone", "everyone"),
        ("everyoneExceptGuests", TENANT),
        ("externalGroup", "a-group_1"),
    ];
    for (kind, value) in entries {
        let entry = json!({"accessType": "grant", "type": kind, "value": value});
        bench.expect(200, "PUT", ITEM, item_for(&entry.to_string()));
        let read = bench.expect(200, "GET", ITEM, "").json;
        assert_eq!(read["acl"], json!([entry]));
    }
}

#[test]
fn put_replaces_the_whole_item_but_not_what_people_did_with_it() {
    let bench = Bench::ready();
    let created = activity("created", "2026-01-02T03:04:05Z", USER);
    let body = item_with(&format!(
        r#""id":"TSP228082938","content":{{"type":"text","value":"a"}},"activities":[{created}]"#
    ));
    bench.expect(200, "PUT", ITEM, body);
    let read = bench.expect(200, "GET", ITEM, "").json;
    assert_eq!(read["content"], json!({"type": "text", "value": "a"}));
    assert_eq!(read.get("activities"), None);

    bench.expect(200, "PUT", ITEM, item(r#""open":true"#));
    let read = bench.expect(200, "GET", ITEM, "").json;
    assert_eq!(read["content"], Value::Null);
    assert_eq!(read["properties"], json!({"open": true}));
    let activities = bench.emulator.item_activities("contosohr", "TSP228082938");
    assert_eq!(activities.len(), 1);
    assert_eq!(activities[0].kind, "created");
    assert_eq!(activities[0].performed_by_id, USER);
}

#[test]
fn delete_takes_the_item_and_its_activities() {
    let bench = Bench::ready();
    let created = activity("created", "2026-01-02T03:04:05Z", USER);
    bench.expect(200, "PUT", ITEM, item_with(&format!(r#""activities":[{created}]"#)));
    let answer = bench.expect(204, "DELETE", ITEM, "");
    assert_eq!(answer.text, "");
    bench.expect(404, "GET", ITEM, "");
    bench.expect(404, "DELETE", ITEM, "");
    bench.expect(200, "PUT", ITEM, item(r#""title":"a""#));
    assert_eq!(bench.emulator.item_activities("contosohr", "TSP228082938"), []);
}

#[test]
fn null_stands_for_what_is_not_there() {
    let bench = Bench::ready();
    bench.expect(200, "PUT", ITEM, item_with(r#""content":null,"activities":null,"id":null"#));
}

#[test]
fn what_was_read_can_be_written_back() {
    let bench = Bench::ready();
    bench.expect(200, "PUT", BETA, SEED);
    for target in [BETA, ITEM] {
        let read = bench.expect(200, "GET", target, "").text;
        bench.expect(200, "PUT", target, read.clone());
        assert_eq!(bench.expect(200, "GET", target, "").text, read);
    }
}

#[test]
fn a_report_says_what_is_wrong_with_an_accepted_item() {
    let bench = Bench::ready();
    bench.wait(500);
    let body = item(r#""tags":["a"],"tags@odata.type":"Collection(String)""#);
    bench.expect(200, "PUT", ITEM, body);
    let reports = bench.emulator.take_reports();
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!(report.rule.name(), "annotation-order");
    assert_eq!(report.target, "$.properties['tags@odata.type']");
    assert_eq!(report.request, format!("PUT {ITEM}"));
    assert_eq!(report.at.as_millis(), 1_500);
    assert!(report.to_string().starts_with(&report.request));
    assert_eq!(bench.emulator.reports(), []);
}

/// Each switch that accepts or refuses, with a request that it decides.
#[test]
fn each_verdict_can_be_turned_around() {
    let everyone = r#"{"accessType":"grant","type":"everyone","value":"everyone"}"#;
    let source = format!(
        r#"{{"accessType":"grant","type":"user","value":"{USER}","identitySource":"azureActiveDirectory"}}"#
    );
    let wrong_case = format!(r#"{{"accessType":"Grant","type":"User","value":"{USER}"}}"#);
    let at = |id: &str| ITEM.replace("TSP228082938", id);
    let good = || item(r#""title":"a""#);
    let cases = [
        ("annotation-order", ITEM.to_owned(), item(r#""title":"a","title@odata.type":"String""#)),
        ("annotation-hash", ITEM.to_owned(), item(r##""title@odata.type":"#String","title":"a""##)),
        ("annotation-collection", ITEM.to_owned(), item(r#""tags":["a"]"#)),
        ("annotation-non-ascii", ITEM.to_owned(), item(r#""title":"ä""#)),
        ("null-property", ITEM.to_owned(), item(r#""title":null"#)),
        ("everyone-literal", ITEM.to_owned(), item_for(everyone)),
        ("identity-source-v1", ITEM.to_owned(), item_for(&source)),
        ("item-id-punctuation", at("a-b_c"), good()),
        ("enum-case", ITEM.to_owned(), item_for(&wrong_case)),
        ("date-without-offset", ITEM.to_owned(), item(r#""due":"2026-01-02T03:04:05""#)),
        ("member-unknown", ITEM.to_owned(), item_with(r#""colour":1"#)),
    ];
    for (switch, target, body) in cases {
        for verdict in [Verdict::Accept, Verdict::Report, Verdict::Refuse] {
            let word = format!("{verdict:?}").to_lowercase();
            let bench = Bench::ready_with(|behaviour| {
                behaviour.set(switch, &word).expect("a switch");
            });
            let status = if verdict == Verdict::Refuse { 400 } else { 200 };
            bench.expect(status, "PUT", &target, body.clone());
            let reports = bench.emulator.reports().len();
            assert_eq!(reports > 0, verdict == Verdict::Report, "{switch} {verdict:?}");
        }
    }
}

#[test]
fn what_passes_in_another_letter_case_is_stored_in_the_right_one() {
    let bench = Bench::ready_with(|behaviour| behaviour.enum_case = Verdict::Accept);
    let entry = format!(r#"{{"accessType":"GRANT","type":"User","value":"{USER}"}}"#);
    let content = r#""content":{"type":"Text","value":"a"},"#;
    bench.expect(200, "PUT", ITEM, item_for(&entry).replacen('{', &format!("{{{content}"), 1));
    let stored = bench.emulator.item("contosohr", "TSP228082938").expect("stored");
    assert_eq!((stored.acl[0].access_type, stored.acl[0].kind), ("grant", "user"));
    assert_eq!(stored.content.map(|content| content.kind), Some("text"));
}

#[test]
fn content_can_be_kept_and_the_item_answered() {
    let bench = Bench::ready_with(|behaviour| {
        behaviour.missing_content = MissingContent::Keeps;
        behaviour.item_answer = ItemAnswer::Item;
        behaviour.item_id_in_get = false;
    });
    bench.expect(200, "PUT", ITEM, item_with(r#""content":{"type":"text","value":"a"}"#));
    let answer = bench.expect(200, "PUT", ITEM, item(r#""open":true"#)).json;
    assert_eq!(answer["content"]["value"], "a");
    assert_eq!(answer["properties"], json!({"open": true}));
    assert_eq!(answer["activities"], json!([]));
    assert_eq!(answer.get("id"), None);
}

#[test]
fn an_update_replaces_whole_what_it_names_and_keeps_the_rest() {
    let bench = Bench::ready();
    let label = r#"{"sensitivityLabelId":"6f2b1c9e-4d3a-4f5b-8c7d-9e0f1a2b3c4d"}"#;
    let members = format!(
        r#""content":{{"type":"text","value":"a"}},"informationProtectionLabel":{label},"activities":[{}]"#,
        activity("created", "2026-01-02T03:04:05Z", USER)
    );
    bench.expect(200, "PUT", ITEM, item_with(&members));
    let put = bench.expect(200, "GET", ITEM, "").json;
    assert_eq!(put["informationProtectionLabel"].to_string(), label);
    assert_eq!(bench.expect(200, "PATCH", ITEM, "{}").json, put);

    let answer = bench.expect(200, "PATCH", ITEM, r#"{"properties":{"open":true,"priority":7}}"#);
    assert_eq!(answer.json["properties"], json!({"open": true, "priority": 7}));
    assert_eq!((&answer.json["acl"], &answer.json["content"]), (&put["acl"], &put["content"]));
    assert_eq!(answer.json["informationProtectionLabel"], put["informationProtectionLabel"]);
    assert_eq!(bench.expect(200, "GET", ITEM, "").json, answer.json);

    let acl = format!(r#"[{{"accessType":"deny","type":"everyone","value":"{TENANT}"}}]"#);
    let body = format!(r#"{{"acl":{acl},"content":null,"informationProtectionLabel":null}}"#);
    let answer = bench.expect(200, "PATCH", ITEM, body).json;
    assert_eq!(answer["acl"].to_string(), acl.replace(' ', ""));
    assert_eq!(answer["properties"], json!({"open": true, "priority": 7}));
    assert_eq!(
        (&answer["content"], answer.get("informationProtectionLabel")),
        (&Value::Null, None)
    );
    assert_eq!(bench.emulator.item_activities("contosohr", "TSP228082938").len(), 1);
}

#[test]
fn an_update_is_held_to_the_rules_of_what_it_names() {
    let bench = Bench::ready();
    bench.expect(200, "PUT", ITEM, item(r#""title":"a""#));
    let before = bench.emulator.item("contosohr", "TSP228082938");
    for (body, rule, place) in [
        (r#"{"acl":[]}"#, "acl-required", "$.acl"),
        (r#"{"acl":null}"#, "acl-required", "$.acl"),
        (r#"{"properties":{}}"#, "property-required", "$.properties"),
        (r#"{"properties":null}"#, "property-required", "$.properties"),
        (r#"{"properties":{"planet":1}}"#, "property-undeclared", "$.properties.planet"),
        (r#"{"properties":{"tags":["a"]}}"#, "annotation-collection", "$.properties.tags"),
        (r#"{"content":{"type":"pdf","value":""}}"#, "item-content", "$.content.type"),
        (r#"{"id":"other"}"#, "item-id-mismatch", "$.id"),
        (r#"{"title":"a"}"#, "member-unknown", "$.title"),
        ("[]", "member-type", "$"),
    ] {
        bench.refused("PATCH", ITEM, body, &[(rule, place)]);
    }
    assert_eq!(bench.emulator.item("contosohr", "TSP228082938"), before);
}

#[test]
fn an_empty_answer_can_have_a_content_type() {
    let bench = Bench::ready_with(|behaviour| behaviour.empty_content_type = true);
    let answer = bench.expect(200, "PUT", ITEM, item(r#""open":true"#));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.text, "");
}

#[test]
fn the_versions_can_be_separate() {
    let bench = Bench::ready_with(|behaviour| behaviour.versions = Versions::Separate);
    bench.expect(200, "PUT", ITEM, item(r#""title":"a""#));
    bench.expect(404, "GET", BETA, "");
    bench.expect(404, "PATCH", "/beta/external/connections/contosohr/schema", SCHEMA);
    assert_eq!(bench.emulator.items("contosohr").len(), 1);
}
