//! The schema of a connection: its registration, its updates, and how it comes back.

mod support;

use graphfeed_emulator::{SchemaAnswer, Verdict};
use serde_json::{Value, json};
use support::{Answer, Bench, ITEM, SCHEMA, item};

const ALL: &str = "/v1.0/external/connections";
const ONE: &str = "/v1.0/external/connections/contosohr";
const SCHEMA_OF: &str = "/v1.0/external/connections/contosohr/schema";

fn state(bench: &Bench) -> Value {
    bench.expect(200, "GET", ONE, "").json["state"].clone()
}

fn get(bench: &Bench, prefer: &'static str) -> Answer {
    bench.send_with("GET", SCHEMA_OF, "", |headers| {
        headers.insert("prefer", prefer.parse().expect("a value"));
    })
}

/// The schema with the members of enumerations that came later.
fn whole(bench: &Bench) -> Value {
    get(bench, "include-unknown-enum-members").json
}

/// A connection without a schema.
fn draft(set: impl FnOnce(&mut graphfeed_emulator::Behaviour)) -> Bench {
    let bench = Bench::with(set);
    bench.expect(201, "POST", ALL, r#"{"id":"contosohr","name":"a"}"#);
    bench
}

fn schema(properties: &[&str]) -> String {
    let properties = properties.join(",");
    format!(r#"{{"baseType":"microsoft.graph.externalItem","properties":[{properties}]}}"#)
}

/// Registers a schema, and waits until it is.
#[track_caller]
fn register(bench: &Bench, properties: &[&str]) {
    bench.expect(202, "PATCH", SCHEMA_OF, schema(properties));
    bench.wait(1_000);
}

#[test]
fn a_schema_comes_back_as_it_was_registered() {
    let bench = Bench::ready();
    let schema = whole(&bench);
    assert_eq!(schema["baseType"], "microsoft.graph.externalItem");
    let properties = schema["properties"].as_array().expect("an array");
    assert_eq!(properties.len(), 13);
    assert_eq!(
        properties[0],
        json!({
            "name": "title", "type": "string",
            "isSearchable": true, "isQueryable": false, "isRetrievable": true, "isRefinable": false,
            "aliases": [], "labels": ["title"],
        })
    );
    assert_eq!(properties[10]["type"], "principalCollection");
}

#[test]
fn a_schema_can_be_changed_and_the_connection_stays_ready_meanwhile() {
    let bench = Bench::ready();
    let more = SCHEMA.replacen("[\n", r#"[{"name":"planet","type":"string"},"#, 1);
    bench.expect(202, "PATCH", &format!("{ONE}/schema"), more);
    assert_eq!(state(&bench), "ready");
    let body = item(r#""planet":"earth""#);
    bench.expect(400, "PUT", ITEM, body.clone());
    bench.wait(1_000);
    bench.expect(200, "PUT", ITEM, body);
}

#[test]
fn registration_and_its_answers_can_be_set() {
    let bench = Bench::with(|behaviour| {
        behaviour.set("schema-delay", "0.25").expect("a switch");
        behaviour.schema_visible_early = false;
        behaviour.schema_answer = SchemaAnswer::Wrapped;
        behaviour.schema_properties = 13;
    });
    bench.expect(201, "POST", ALL, r#"{"id":"contosohr","name":"a"}"#);
    let schema = format!("{ONE}/schema");
    bench.expect(202, "PATCH", &schema, SCHEMA);
    bench.wait(249);
    bench.expect(404, "GET", &schema, "");
    bench.wait(1);
    let answer = bench.expect(200, "GET", &schema, "").json;
    assert_eq!(answer["value"]["baseType"], "microsoft.graph.externalItem");
    let more = SCHEMA.replacen("[\n", r#"[{"name":"planet","type":"string"},"#, 1);
    bench.refused("PATCH", &schema, more, &[("schema-size", "$.properties")]);
}

#[test]
fn what_came_after_the_sentinel_is_shown_to_those_who_ask_for_it() {
    let bench = draft(|_| {});
    let properties = [
        r#"{"name":"file","type":"string","isRetrievable":true,"labels":["fileExtension"]}"#,
        r#"{"name":"box","type":"string","isRetrievable":true,"labels":["title","containerName"]}"#,
        r#"{"name":"flaw","type":"string","isRetrievable":true,"labels":["severity"]}"#,
        r#"{"name":"owner","type":"principal"}"#,
        r#"{"name":"authors","type":"principalCollection"}"#,
    ];
    register(&bench, &properties);
    let seen = |schema: Value| {
        let properties = schema["properties"].as_array().expect("an array").clone();
        let one = |each: &Value| (each["type"].clone(), each["labels"].clone());
        properties.iter().map(one).collect::<Vec<_>>()
    };
    let unknown = "unknownFutureValue";
    let hidden = [
        (json!("string"), json!(["fileExtension"])),
        (json!("string"), json!(["title", unknown])),
        (json!("string"), json!([unknown])),
        (json!(unknown), json!([])),
        (json!(unknown), json!([])),
    ];
    let shown = [
        (json!("string"), json!(["fileExtension"])),
        (json!("string"), json!(["title", "containerName"])),
        (json!("string"), json!(["severity"])),
        (json!("principal"), json!([])),
        (json!("principalCollection"), json!([])),
    ];
    assert_eq!(seen(bench.expect(200, "GET", SCHEMA_OF, "").json), hidden);
    assert_eq!(seen(get(&bench, "return=minimal").json), hidden);
    assert_eq!(seen(whole(&bench)), shown);
    assert_eq!(seen(get(&bench, "return=minimal, Include-Unknown-Enum-Members").json), shown);
}

#[test]
fn a_label_that_copilot_wants_and_misses_is_reported_and_never_refused() {
    let bench = draft(|_| {});
    let title = r#"{"name":"a","type":"string","isRetrievable":true,"labels":["title"]}"#;
    register(&bench, &[title]);
    let reports = bench.emulator.take_reports();
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((report.rule.name(), &*report.target), ("label-missing", "$.properties"));
    assert_eq!(report.message, "Copilot wants the labels url, iconUrl as well");
    // Not of those who are people.
    let account = r#"{"name":"b","type":"string","isRetrievable":true,"labels":["personAccount"]}"#;
    register(&bench, &[title, account]);
    assert_eq!(bench.emulator.reports(), []);

    let bench = draft(|behaviour| behaviour.label_missing = false);
    register(&bench, &[title]);
    assert_eq!(bench.emulator.reports(), []);
}

#[test]
fn an_attribute_on_a_good_type_passes() {
    let bench = draft(|behaviour| {
        behaviour.label_missing = false;
        behaviour.refinable_type = Verdict::Refuse;
    });
    let description = format!(
        r#"{{"name":"e","type":"string","isRetrievable":true,"labels":["tags","priority"],"description":"{}"}}"#,
        "ä".repeat(200)
    );
    let properties = [
        r#"{"name":"a","type":"string","isSearchable":true,"isRefinable":false}"#,
        r#"{"name":"b","type":"stringCollection","isSearchable":true,"isRetrievable":true,"labels":["authors"]}"#,
        r#"{"name":"c","type":"int64","isRefinable":true}"#,
        r#"{"name":"d","type":"dateTime","isRetrievable":true,"labels":["createdDateTime","lastModifiedDateTime"]}"#,
        &description,
        r#"{"name":"f","type":"double","isRefinable":true,"isRetrievable":true,"labels":["dueDate"]}"#,
    ];
    register(&bench, &properties);
    let beta = SCHEMA_OF.replace("v1.0", "beta");
    let exact = r#"{"name":"g","type":"stringCollection","isExactMatchRequired":true,"rankingHint":{"importanceScore":"low"}}"#;
    let more = schema(&[&properties[..], &[exact]].concat());
    bench.expect(202, "PATCH", &beta, more);
    bench.wait(1_000);
    let property = bench.expect(200, "GET", &beta, "").json["properties"][6].clone();
    assert_eq!(property["isExactMatchRequired"], true);
    assert_eq!(property["rankingHint"], json!({"importanceScore": "low"}));
    let property = whole(&bench)["properties"][6].clone();
    assert_eq!(property.get("isExactMatchRequired"), None);
}

#[test]
fn persons_may_be_principals_and_what_is_of_people_need_not_be_retrievable() {
    let labelled = |name: &str, kind: &str, labels: &str| {
        format!(r#"{{"name":"{name}","type":"{kind}","labels":[{labels}]}}"#)
    };
    let retrievable = |property: String| property.replacen('{', r#"{"isRetrievable":true,"#, 1);
    let bench = draft(|behaviour| behaviour.label_missing = false);
    let by = retrievable(labelled("a", "principal", r#""createdBy","lastModifiedBy""#));
    let authors = retrievable(labelled("b", "principalCollection", r#""authors""#));
    register(&bench, &[&by, &authors]);

    let bench = draft(|_| {});
    let account = labelled("a", "string", r#""personAccount""#);
    register(&bench, &[&account]);
    // It has to be for the other label.
    let mixed = schema(&[&labelled("a", "string", r#""personAccount","title""#)]);
    let place = [("label-retrievable", "$.properties[0].isRetrievable")];
    bench.refused("PATCH", SCHEMA_OF, mixed, &place);
}

#[test]
fn a_refinable_type_that_the_pages_differ_about_is_reported() {
    let bench = draft(|behaviour| behaviour.label_missing = false);
    register(&bench, &[r#"{"name":"a","type":"dateTime","isRefinable":true}"#]);
    let reports = bench.emulator.take_reports();
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!(report.rule.name(), "schema-refinable");
    assert_eq!(report.target, "$.properties[0].isRefinable");
}

#[test]
fn an_update_may_do_what_manage_schema_lists() {
    let bench = draft(|behaviour| behaviour.label_missing = false);
    let a = |members: &str| format!(r#"{{"name":"a","type":"string"{members}}}"#);
    let b = |members: &str| format!(r#"{{"name":"b","type":"int64"{members}}}"#);
    let refinable = r#","isRefinable":true"#;
    register(&bench, &[&a(r#","aliases":["x"],"isQueryable":true"#), &b(refinable)]);
    for next in [
        // An attribute, aliases and labels are added, and so is a property that is refinable.
        vec![
            a(
                r#","aliases":["x","y"],"isSearchable":true,"isRetrievable":true,"labels":["title"]"#,
            ),
            b(refinable),
            r#"{"name":"c","type":"string","isRefinable":true}"#.to_owned(),
        ],
        // They are taken away, and the order does not matter.
        vec![r#"{"name":"c","type":"string"}"#.to_owned(), b(""), a("")],
    ] {
        let next: Vec<&str> = next.iter().map(String::as_str).collect();
        register(&bench, &next);
    }
    let names: Vec<Value> = whole(&bench)["properties"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|each| each["name"].clone())
        .collect();
    assert_eq!(names, ["c", "b", "a"]);
    // What was switched off is not switched on again.
    let again = schema(&[&a(""), &b(refinable), r#"{"name":"c","type":"string"}"#]);
    let place = "$.properties[1].isRefinable";
    bench.refused("PATCH", SCHEMA_OF, again, &[("schema-update", place)]);
}

#[test]
fn an_update_is_held_against_what_is_still_being_registered() {
    let bench = draft(|_| {});
    bench.expect(202, "PATCH", SCHEMA_OF, SCHEMA);
    let less = schema(&[r#"{"name":"title","type":"int64"}"#]);
    let faults = [("schema-update", "$.properties"), ("schema-update", "$.properties[0].type")];
    let answer = bench.refused("PATCH", SCHEMA_OF, less, &faults);
    assert!(answer.cause().starts_with("registered is also priority, score, "));
    bench.expect(202, "PATCH", SCHEMA_OF, SCHEMA);
}

#[test]
fn a_refinable_property_has_an_alias_that_no_update_takes_away() {
    let bench = draft(|behaviour| behaviour.label_missing = false);
    let aliases = || {
        let properties = whole(&bench)["properties"].clone();
        let properties = properties.as_array().expect("an array").clone();
        properties.iter().map(|each| each["aliases"].clone()).collect::<Vec<_>>()
    };
    let a =
        r#"{"name":"a","type":"string","isRefinable":true,"aliases":["x","refinableString01"]}"#;
    let b = r#"{"name":"b","type":"string","isRefinable":true}"#;
    let c = r#"{"name":"c","type":"string"}"#;
    register(&bench, &[a, b, c]);
    let first = json!(["x", "refinableString01", "RefinableString00"]);
    assert_eq!(aliases(), [first, json!(["RefinableString02"]), json!([])]);

    // Sent back, or not sent at all, and also where it is refinable no more.
    let back = r#"{"name":"a","type":"string","isRefinable":true,"aliases":["RefinableString00"]}"#;
    let plain = r#"{"name":"b","type":"string"}"#;
    let more = r#"{"name":"d","type":"int64","isRefinable":true}"#;
    register(&bench, &[back, plain, c, more]);
    assert_eq!(
        aliases(),
        [
            json!(["RefinableString00"]),
            json!(["RefinableString02"]),
            json!([]),
            json!(["RefinableInt00"]),
        ]
    );

    // In another letter case it is the same one.
    let back = back.replace("RefinableString00", "refinablestring00");
    let back = &*back;
    register(&bench, &[back, plain, c, more]);
    assert_eq!(aliases()[0], json!(["refinablestring00"]));

    // And no other property gets it, as an alias or as its name.
    let taker = r#"{"name":"c","type":"string","aliases":["refinablestring02"]}"#;
    let taken = schema(&[back, plain, taker, more]);
    let place = [("schema-update", "$.properties[1].aliases")];
    let answer = bench.refused("PATCH", SCHEMA_OF, taken, &place);
    assert_eq!(
        answer.cause(),
        "its alias RefinableString02 came with isRefinable and cannot be taken away, and another \
         property is to have it; give that one another alias"
    );
    let named = r#"{"name":"RefinableInt00","type":"string"}"#;
    let taken = schema(&[back, plain, c, more, named]);
    let place = [("schema-update", "$.properties[3].aliases")];
    bench.refused("PATCH", SCHEMA_OF, taken, &place);
}

#[test]
fn what_a_property_is_called_is_no_alias_that_the_service_gives() {
    let bench = draft(|behaviour| behaviour.label_missing = false);
    let own = r#"{"name":"RefinableString00","type":"string","isRefinable":true}"#;
    let other = r#"{"name":"a","type":"string","isRefinable":true}"#;
    for _ in 0..2 {
        register(&bench, &[own, other]);
        let properties = whole(&bench)["properties"].clone();
        assert_eq!(properties[0]["aliases"], json!(["RefinableString01"]));
        assert_eq!(properties[1]["aliases"], json!(["RefinableString02"]));
    }
}
