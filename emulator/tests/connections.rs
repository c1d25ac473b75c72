//! Connections from their creation to their end, and the registration of their schema.

mod support;

use graphfeed_emulator::{ConnectionState, SchemaAnswer};
use serde_json::{Value, json};
use support::{Bench, ITEM, SCHEMA, item};

const ALL: &str = "/v1.0/external/connections";
const ONE: &str = "/v1.0/external/connections/contosohr";

fn state(bench: &Bench) -> Value {
    bench.expect(200, "GET", ONE, "").json["state"].clone()
}

#[test]
fn a_connection_is_draft_then_ready_then_gone() {
    let bench = Bench::empty();
    let body = r#"{"id":"contosohr","name":"Contoso HR","description":"People",
        "state":"ready","configuration":{"authorizedAppIds":[]},"contentCategory":"people"}"#;
    let created = bench.expect(201, "POST", ALL, body).json;
    assert_eq!(created["state"], "draft");
    assert_eq!(created["configuration"], json!({"authorizedAppIds": []}));
    assert_eq!(created["contentCategory"], "people");
    let read = bench.expect(200, "GET", ONE, "").json;
    assert_eq!(read, created);
    assert_eq!(bench.expect(200, "GET", ALL, "").json["value"][0]["name"], "Contoso HR");

    let schema = format!("{ONE}/schema");
    bench.expect(404, "GET", &schema, "");
    let answer = bench.expect(202, "PATCH", &schema, SCHEMA);
    assert_eq!(answer.text, "");
    let location = answer.header("location").expect("a location");
    assert!(
        location.starts_with(&format!("http://emulator.test{ONE}/operations/1.neu.")),
        "{location}"
    );

    let status = || bench.expect(200, "GET", location, "").json;
    assert_eq!((&status()["status"], &status()["error"]), (&json!("inprogress"), &Value::Null));
    assert_eq!(state(&bench), "draft");
    // It is no sign of readiness that the schema can be seen.
    bench.expect(200, "GET", &schema, "");
    bench.wait(1_000);
    assert_eq!(status()["status"], "completed");
    assert_eq!(status()["id"].as_str(), location.rsplit('/').next());
    assert_eq!(state(&bench), "ready");
    assert_eq!(
        bench.emulator.service().connection_state("contosohr"),
        Some(ConnectionState::Ready)
    );
    bench.expect(200, "PUT", ITEM, item(r#""title":"a""#));

    let answer = bench.expect(202, "DELETE", ONE, "");
    assert_eq!(answer.text, "");
    bench.expect(404, "GET", ONE, "");
    bench.expect(404, "GET", location, "");
    assert_eq!(bench.expect(200, "GET", ALL, "").json["value"], json!([]));
    bench.expect(201, "POST", ALL, body);
    assert_eq!(state(&bench), "draft");
    bench.expect(404, "GET", ITEM, "");
}

#[test]
fn a_schema_comes_back_as_it_was_registered() {
    let bench = Bench::ready();
    let schema = bench.expect(200, "GET", &format!("{ONE}/schema"), "").json;
    assert_eq!(schema["baseType"], "microsoft.graph.externalItem");
    let properties = schema["properties"].as_array().expect("an array");
    assert_eq!(properties.len(), 11);
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
fn the_name_is_counted_in_characters() {
    let bench = Bench::empty();
    let body = json!({"id": "abc", "name": "ä".repeat(128)}).to_string();
    bench.expect(201, "POST", ALL, body);
}

#[test]
fn what_only_beta_has_is_for_beta() {
    let bench = Bench::empty();
    let body = r#"{"id":"contosohr","name":"a","enabledContentExperiences":"search, compliance"}"#;
    bench.expect(400, "POST", ALL, body);
    bench.expect(201, "POST", &ALL.replace("v1.0", "beta"), body);
    assert_eq!(bench.expect(200, "GET", ONE, "").json.get("enabledContentExperiences"), None);
    let beta = bench.expect(200, "GET", &ONE.replace("v1.0", "beta"), "").json;
    assert_eq!(beta["enabledContentExperiences"], "search, compliance");
}

#[test]
fn registration_and_its_answers_can_be_set() {
    let bench = Bench::with(|behaviour| {
        behaviour.set("schema-delay", "0.25").expect("a switch");
        behaviour.schema_visible_early = false;
        behaviour.schema_answer = SchemaAnswer::Wrapped;
        behaviour.schema_properties = 11;
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
