//! Connections from their creation to their end, and what can be changed meanwhile.

mod support;

use graphfeed_emulator::{ConnectionState, Verdict};
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
    bench.wait(50);
    bench.expect(404, "GET", ONE, "");
    bench.expect(404, "GET", location, "");
    assert_eq!(bench.expect(200, "GET", ALL, "").json["value"], json!([]));
    bench.expect(201, "POST", ALL, body);
    assert_eq!(state(&bench), "draft");
    bench.refused("GET", ITEM, "", &[("connection-state", "connection id")]);
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

/// Everything that an update can set, in v1.0.
fn settings() -> Value {
    json!({
        "name": "Contoso",
        "description": "All of it",
        "contentCategory": "crm",
        "configuration": {"authorizedAppIds": ["a", "b"], "own": {"x": 1}},
        "activitySettings": {"urlToItemResolvers": [{
            "@odata.type": "#microsoft.graph.externalConnectors.itemIdResolver",
            "priority": -1, "itemId": "T{id}{part}",
            "urlMatchInfo": {
                "baseUrls": ["https://help.contoso.com", "http://localhost:8080/x"],
                "urlPattern": r"/[(](?<id>[^/]+)\)/(?<part>\d+)",
            },
        }]},
        "searchSettings": {"searchResultTemplates": [
            {"id": "ticket", "priority": 1, "layout": {"type": "AdaptiveCard", "version": "1.5"},
                "rules": [{"operation": "null", "property": "title", "values": [],
                    "valuesJoinedBy": "and"}]},
            {"id": "Sixteen4Letters0", "priority": 2147483647,
                "layout": {"type": "AdaptiveCard", "body": [{"text": "${title}"}]}},
        ]},
    })
}

#[test]
fn an_update_sets_what_it_names_clears_what_is_null_and_keeps_the_rest() {
    let bench = Bench::ready();
    let answer = bench.expect(204, "PATCH", ONE, settings().to_string());
    assert_eq!(answer.text, "");
    let read = bench.expect(200, "GET", ONE, "").json;
    for (name, value) in settings().as_object().expect("an object") {
        assert_eq!(&read[name], value, "{name}");
    }
    assert_eq!((&read["id"], &read["state"]), (&json!("contosohr"), &json!("ready")));

    bench.expect(204, "PATCH", ONE, "{}");
    assert_eq!(bench.expect(200, "GET", ONE, "").json, read);

    let body = r#"{"description":null,"searchSettings":null,"configuration":null,"state":"draft",
        "activitySettings":{"urlToItemResolvers":[]},"contentCategory":null}"#;
    bench.expect(204, "PATCH", ONE, body);
    let read = bench.expect(200, "GET", ONE, "").json;
    assert_eq!(read["name"], "Contoso");
    assert_eq!((&read["description"], &read["configuration"]), (&Value::Null, &Value::Null));
    assert_eq!((read.get("searchSettings"), read.get("contentCategory")), (None, None));
    assert_eq!(read["activitySettings"], json!({"urlToItemResolvers": []}));
    assert_eq!(read["state"], "ready");
}

#[test]
fn the_settings_of_beta_are_set_and_seen_in_beta_only() {
    let bench = Bench::ready();
    let beta = ONE.replace("v1.0", "beta");
    let body = json!({
        "enabledContentExperiences": "search,compliance",
        "complianceSettings": {"eDiscoveryResultTemplates": [
            {"id": "a", "priority": 1, "layout": {"type": "AdaptiveCard", "version": "1.2",
                "body": [{"type": "TextBlock", "text": "{title}"}]}},
            {"id": "b", "priority": 1, "layout": {"type": "AdaptiveCard", "version": "1.0"}},
            {"id": "c", "priority": 1, "layout": {"type": "AdaptiveCard", "version": "0.5"}},
        ]},
    });
    bench.expect(204, "PATCH", &beta, body.to_string());
    let read = bench.expect(200, "GET", &beta, "").json;
    assert_eq!(read["complianceSettings"], body["complianceSettings"]);
    assert_eq!(read["enabledContentExperiences"], "search,compliance");
    let v1 = bench.expect(200, "GET", ONE, "").json;
    for name in ["complianceSettings", "enabledContentExperiences", "ingestedItemsCount"] {
        assert_eq!(v1.get(name), None, "{name}");
    }
    bench.expect(204, "PATCH", &beta, r#"{"complianceSettings":null}"#);
    assert_eq!(bench.expect(200, "GET", &beta, "").json.get("complianceSettings"), None);
}

#[test]
fn what_cannot_be_changed_is_refused_or_where_a_switch_says_so_ignored() {
    let bench = Bench::ready();
    let id = [("member-unknown", "$.id")];
    let answer = bench.refused("PATCH", ONE, r#"{"id":"contosohr"}"#, &id);
    assert_eq!(answer.cause(), "id cannot be changed; leave it out (switch member-unknown)");
    let items = [("member-unknown", "$.items")];
    let answer = bench.refused("PATCH", ONE, r#"{"items":[]}"#, &items);
    assert_eq!(answer.cause(), "items has a path of its own; leave it out (switch member-unknown)");
    let bench = Bench::ready_with(|behaviour| behaviour.member_unknown = Verdict::Accept);
    let body = r#"{"id":"other","connectorId":"a","name":"New","schema":null,"items":[]}"#;
    bench.expect(204, "PATCH", ONE, body);
    let read = bench.expect(200, "GET", ONE, "").json;
    assert_eq!(read["id"], "contosohr");
    assert_eq!((&read["connectorId"], &read["name"]), (&Value::Null, &json!("New")));
}

#[test]
fn a_connector_id_and_its_ticket_come_together_or_not_at_all() {
    let bench = Bench::empty();
    let send = |body: &str, ticket: &str| {
        bench.send_with("POST", ALL, body.to_owned(), |headers| {
            headers.insert("graphconnectors-ticket", ticket.parse().expect("a value"));
        })
    };
    let with = r#"{"id":"contosohr","name":"a","connectorId":"6f2b1c9e"}"#;
    let without = r#"{"id":"contosohr","name":"a","connectorId":null}"#;
    let header = [("connector-ticket", "header graphconnectors-ticket")];
    bench.refused("POST", ALL, with, &header);
    assert_eq!(send(with, "").faults(), header);
    assert_eq!(send(without, "abc").faults(), [("connector-ticket", "$.connectorId")]);
    assert_eq!(send(with, "a b").faults(), header);
    let spaced = send(&with.replace("6f2b1c9e", "6f2b 1c9e"), "abc");
    assert_eq!(spaced.faults(), [("connector-ticket", "$.connectorId")]);
    let empty = send(&with.replace("6f2b1c9e", ""), "abc");
    assert_eq!(empty.faults(), [("connector-ticket", "$.connectorId")]);
    let made = send(with, "abc");
    assert_eq!((made.status.as_u16(), &made.json["connectorId"]), (201, &json!("6f2b1c9e")));
}

#[test]
fn a_connection_that_is_being_deleted_is_read_until_it_is_gone_and_its_id_is_free_then() {
    let bench = Bench::ready_with(|behaviour| {
        behaviour.set("delete-delay", "60").expect("a switch");
    });
    bench.expect(200, "PUT", ITEM, item(r#""title":"a""#));
    let before = bench.expect(200, "GET", ONE, "").json;
    bench.expect(202, "DELETE", ONE, "");
    bench.wait(59_999);
    bench.expect(202, "DELETE", ONE, "");
    for target in [ITEM, &format!("{ONE}/schema")] {
        bench.expect(200, "GET", target, "");
    }
    assert_eq!(bench.expect(200, "GET", ONE, "").json, before);
    assert_eq!(bench.expect(200, "GET", ALL, "").json["value"].as_array().map(Vec::len), Some(1));
    let state = [("connection-state", "connection id")];
    for (method, target, body) in [
        ("PATCH", ONE, "{}".to_owned()),
        ("PATCH", &format!("{ONE}/schema"), SCHEMA.to_owned()),
        ("PUT", ITEM, item(r#""title":"b""#)),
        ("DELETE", ITEM, String::new()),
    ] {
        let answer = bench.refused(method, target, body, &state);
        assert_eq!(
            answer.cause(),
            "connection \"contosohr\" is being deleted; make it anew when GET answers 404 \
             (switch delete-delay)"
        );
    }
    let made = r#"{"id":"contosohr","name":"New"}"#;
    let answer = bench.refused("POST", ALL, made, &[("already-exists", "$.id")]);
    assert!(answer.cause().ends_with(" (switch delete-delay)"), "{}", answer.cause());
    bench.wait(1);
    for method in ["GET", "DELETE"] {
        bench.refused(method, ONE, "", &[("not-found", "connection id")]);
    }
    bench.expect(201, "POST", ALL, made);
    assert_eq!(state_and_items(&bench), ("draft".to_owned(), 0));
}

fn state_and_items(bench: &Bench) -> (String, usize) {
    let state = state(bench).as_str().expect("a state").to_owned();
    (state, bench.emulator.items("contosohr").len())
}

#[test]
fn what_is_left_of_the_quota_is_for_beta_and_counts_down() {
    let quota = format!("{ONE}/quota").replace("v1.0", "beta");
    let counted = |bench: &Bench| {
        let one = bench.expect(200, "GET", &ONE.replace("v1.0", "beta"), "").json;
        (
            bench.expect(200, "GET", &quota, "").json["itemsRemaining"].clone(),
            one["ingestedItemsCount"].clone(),
        )
    };
    let bench = Bench::with(|behaviour| behaviour.item_quota = Some(2));
    bench.expect(201, "POST", ALL, r#"{"id":"contosohr","name":"a"}"#);
    assert_eq!(counted(&bench), (json!(2), Value::Null));
    bench.expect(202, "PATCH", &format!("{ONE}/schema"), SCHEMA);
    bench.wait(1_000);
    assert_eq!(counted(&bench), (json!(2), json!(0)));
    bench.expect(200, "PUT", ITEM, item(r#""title":"a""#));
    assert_eq!(counted(&bench), (json!(1), json!(1)));
    let answer = bench.refused("GET", &format!("{ONE}/quota"), "", &[("version", "path")]);
    assert_eq!(
        answer.cause(),
        "GET /external/connections/{connection}/quota is in beta only; write /beta/"
    );
    let unlimited = Bench::ready();
    assert_eq!(counted(&unlimited), (json!(5_000_000), json!(0)));
    bench.expect(404, "GET", &quota.replace("contosohr", "nobody"), "");
}
