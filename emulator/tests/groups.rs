//! External groups and their members: what is kept, what is changed, and what they may be.

mod support;

use graphfeed_emulator::{ConnectionState, Group, Verdict};
use serde_json::{Value, json};
use support::{Bench, USER};

const GROUPS: &str = "/v1.0/external/connections/contosohr/groups";
const TEAM: &str = "/v1.0/external/connections/contosohr/groups/31bea3d537902000";
const MEMBERS: &str = "/v1.0/external/connections/contosohr/groups/31bea3d537902000/members";

/// The request of the page (post-groups).
const MARKETING: &str = r#"{"id":"31bea3d537902000","displayName":"Contoso Marketing",
    "description":"The product marketing team"}"#;

/// A connection that has no schema, and a group in it.
fn bench() -> Bench {
    bench_with(|_| {})
}

fn bench_with(set: impl FnOnce(&mut graphfeed_emulator::Behaviour)) -> Bench {
    let bench = Bench::with(set);
    bench.expect(
        201,
        "POST",
        "/v1.0/external/connections",
        r#"{"id":"contosohr","name":"Contoso HR"}"#,
    );
    bench.expect(201, "POST", GROUPS, MARKETING);
    bench
}

fn stored(bench: &Bench) -> Vec<Group> {
    bench.emulator.groups("contosohr")
}

fn members(bench: &Bench, group: &str) -> Vec<(&'static str, String)> {
    let groups = stored(bench);
    let group = groups.iter().find(|each| each.id == group).expect("a group");
    group.members.iter().map(|member| (member.kind, member.id.clone())).collect()
}

#[test]
fn a_group_is_made_read_changed_and_deleted() {
    let bench = bench();
    let read = bench.expect(200, "GET", TEAM, "").json;
    let context =
        "http://emulator.test/v1.0/$metadata#external/connections('contosohr')/groups/$entity";
    assert_eq!(
        read,
        json!({
            "@odata.context": context,
            "id": "31bea3d537902000",
            "displayName": "Contoso Marketing",
            "description": "The product marketing team",
        })
    );
    let answer = bench.expect(204, "PATCH", TEAM, r#"{"displayName":"Marketing"}"#);
    assert_eq!(answer.text, "");
    let read = bench.expect(200, "GET", TEAM, "").json;
    assert_eq!(read["displayName"], "Marketing");
    assert_eq!(read["description"], "The product marketing team");
    bench.expect(204, "PATCH", TEAM, r#"{"description":null,"id":"31bea3d537902000"}"#);
    let read = bench.expect(200, "GET", TEAM, "").json;
    assert_eq!((&read["displayName"], &read["description"]), (&json!("Marketing"), &Value::Null));
    bench.expect(204, "PATCH", TEAM, "{}");
    assert_eq!(bench.expect(200, "GET", TEAM, "").json, read);
    // What came with a GET may go back.
    bench.expect(204, "PATCH", TEAM, read.to_string());

    assert_eq!(bench.expect(204, "DELETE", TEAM, "").text, "");
    bench.expect(404, "GET", TEAM, "");
    assert_eq!(stored(&bench), []);
}

#[test]
fn a_group_needs_no_more_than_an_id_and_null_is_none() {
    let bench = bench();
    for body in [r#"{"id":"a"}"#, r#"{"id":"b-_","displayName":null,"description":null}"#] {
        let made = bench.expect(201, "POST", &GROUPS.replace("v1.0", "beta"), body).json;
        assert_eq!((&made["displayName"], &made["description"]), (&Value::Null, &Value::Null));
        let target = format!("{GROUPS}/{}", made["id"].as_str().expect("an id"));
        assert_eq!(bench.expect(200, "GET", &target, "").json["id"], made["id"]);
    }
    let ids: Vec<String> = stored(&bench).into_iter().map(|group| group.id).collect();
    assert_eq!(ids, ["31bea3d537902000", "a", "b-_"]);
}

#[test]
fn a_second_group_of_an_id_is_refused_and_the_first_stays() {
    let bench = bench();
    let again = r#"{"id":"31bea3d537902000","displayName":"Another"}"#;
    let answer = bench.refused("POST", GROUPS, again, &[("already-exists", "$.id")]);
    assert_eq!(answer.status, 409);
    assert_eq!(answer.json["error"]["code"], "NameAlreadyExists");
    assert_eq!(stored(&bench)[0].display_name.as_deref(), Some("Contoso Marketing"));
    // Another connection has ids of its own.
    let connections = "/v1.0/external/connections";
    bench.expect(201, "POST", connections, r#"{"id":"fabrikam","name":"Fabrikam"}"#);
    bench.expect(201, "POST", &format!("{connections}/fabrikam/groups"), again);
    assert_eq!(stored(&bench).len(), 1);
}

#[test]
fn a_group_goes_with_its_connection() {
    let bench = bench();
    bench.expect(202, "DELETE", "/v1.0/external/connections/contosohr", "");
    bench.expect(200, "GET", TEAM, "");
    bench.refused("DELETE", TEAM, "", &[("connection-state", "connection id")]);
    bench.wait(50);
    bench.refused("GET", TEAM, "", &[("not-found", "connection id")]);
    let again = r#"{"id":"contosohr","name":"Contoso HR"}"#;
    bench.expect(201, "POST", "/v1.0/external/connections", again);
    bench.refused("GET", TEAM, "", &[("not-found", "group id")]);
    assert_eq!(stored(&bench), []);
}

#[test]
fn groups_need_no_schema_and_change_until_the_connection_is_obsolete() {
    let bench = Bench::empty();
    let connections = "/v1.0/external/connections";
    bench.expect(201, "POST", connections, r#"{"id":"contosohr","name":"Contoso HR"}"#);
    for (state, id) in [
        (ConnectionState::Draft, "a"),
        (ConnectionState::Ready, "b"),
        (ConnectionState::LimitExceeded, "c"),
    ] {
        bench.emulator.set_connection_state("contosohr", state);
        bench.expect(201, "POST", GROUPS, format!(r#"{{"id":"{id}"}}"#));
    }
    bench.emulator.set_connection_state("contosohr", ConnectionState::Obsolete);
    bench.refused("POST", GROUPS, r#"{"id":"d"}"#, &[("connection-state", "connection id")]);
    bench.expect(200, "GET", &format!("{GROUPS}/a"), "");
    assert_eq!(stored(&bench).len(), 3);
}

#[test]
fn members_of_all_three_kinds_come_and_go() {
    let bench = bench();
    bench.expect(201, "POST", GROUPS, r#"{"id":"1431b9c38ee647f6a"}"#);
    let all = [
        ("user", USER),
        ("group", "e5477431-1038-484e-bf69-1dfedb97a110"),
        ("externalGroup", "1431b9c38ee647f6a"),
    ];
    for (kind, id) in all {
        let made =
            bench.expect(201, "POST", MEMBERS, format!(r#"{{"id":"{id}","type":"{kind}"}}"#)).json;
        assert_eq!((&made["id"], &made["type"]), (&json!(id), &json!(kind)));
        assert_eq!(made.get("identitySource"), None);
        let context = "v1.0/$metadata#external/connections('contosohr')/groups('31bea3d537902000')/members/$entity";
        assert_eq!(made["@odata.context"], format!("http://emulator.test/{context}"));
    }
    let expected: Vec<_> = all.iter().map(|(kind, id)| (*kind, (*id).to_owned())).collect();
    assert_eq!(members(&bench, "31bea3d537902000"), expected);
    assert_eq!(bench.emulator.reports(), []);
    assert_eq!(bench.expect(200, "GET", TEAM, "").json.get("members"), None);

    // Letter case makes no other GUID.
    let upper = USER.to_uppercase();
    let again = format!(r#"{{"id":"{upper}","type":"user"}}"#);
    let answer = bench.refused("POST", MEMBERS, again, &[("already-exists", "$.id")]);
    assert_eq!(answer.status, 409);
    for (_, id) in all {
        let target = format!("{MEMBERS}/{}", if id == USER { &upper } else { id });
        assert_eq!(bench.expect(204, "DELETE", &target, "").text, "");
        assert_eq!(bench.refused("DELETE", &target, "", &[("not-found", "member id")]).status, 404);
    }
    assert_eq!(members(&bench, "31bea3d537902000"), []);
}

#[test]
fn beta_words_an_external_group_by_its_source() {
    let bench = bench();
    bench.expect(201, "POST", GROUPS, r#"{"id":"inner"}"#);
    let beta = MEMBERS.replace("v1.0", "beta");
    let external = r#"{"id":"inner","type":"group","identitySource":"external"}"#;
    let user =
        format!(r#"{{"id":"{USER}","type":"user","identitySource":"azureActiveDirectory"}}"#);
    for body in [external.to_owned(), user] {
        let made = bench.expect(201, "POST", &beta, body.clone()).json;
        let sent: Value = serde_json::from_str(&body).expect("JSON");
        for name in ["id", "type", "identitySource"] {
            assert_eq!(made[name], sent[name]);
        }
        let source = [("identity-source", "$.identitySource")];
        bench.refused("POST", MEMBERS, body, &source);
    }
    let expected = [("externalGroup", "inner".to_owned()), ("user", USER.to_owned())];
    assert_eq!(members(&bench, "31bea3d537902000"), expected);
    // The example of beta has no source, and names the type as v1.0 does.
    bench.expect(204, "DELETE", &format!("{beta}/inner"), "");
    let made = bench.expect(201, "POST", &beta, r#"{"id":"inner","type":"externalGroup"}"#).json;
    assert_eq!(made["type"], "externalGroup");
    for (kind, source) in [("user", "external"), ("externalGroup", "azureActiveDirectory")] {
        let body = format!(r#"{{"id":"{USER}","type":"{kind}","identitySource":"{source}"}}"#);
        bench.refused("POST", &beta, body, &[("identity-source", "$.identitySource")]);
    }
}

#[test]
fn a_user_or_group_without_a_guid_has_a_code_of_its_own() {
    let bench = bench();
    for kind in ["user", "group"] {
        let body = format!(r#"{{"id":"john@contoso.com","type":"{kind}"}}"#);
        let answer = bench.refused("POST", MEMBERS, body, &[("guid", "$.id")]);
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json["error"]["code"], "InvalidGuidForAadMemberType");
    }
    let body = r#"{"id":"a b","type":"externalGroup"}"#;
    let answer = bench.refused("POST", MEMBERS, body, &[("external-group-id", "$.id")]);
    assert_eq!(answer.json["error"]["code"], "InvalidRequest");
}

#[test]
fn a_group_that_is_not_there_may_be_a_member_and_is_reported() {
    let bench = bench();
    let body = r#"{"id":"later","type":"externalGroup"}"#;
    bench.expect(201, "POST", MEMBERS, body);
    let reports = bench.emulator.take_reports();
    assert_eq!(reports.len(), 1);
    assert_eq!((reports[0].rule.name(), &*reports[0].target), ("group-unknown", "$.id"));
    // It is made, and deleted again: it stays a member.
    bench.expect(201, "POST", GROUPS, r#"{"id":"later"}"#);
    bench.expect(204, "DELETE", &format!("{GROUPS}/later"), "");
    assert_eq!(members(&bench, "31bea3d537902000"), [("externalGroup", "later".to_owned())]);
    assert_eq!(bench.emulator.reports(), []);

    let bench = bench_with(|behaviour| behaviour.group_unknown = Verdict::Refuse);
    bench.refused("POST", MEMBERS, body, &[("group-unknown", "$.id")]);
}

#[test]
fn a_group_is_not_its_own_member_by_any_way() {
    let nest = |bench: &Bench, outer: &str, inner: &str| {
        let body = format!(r#"{{"id":"{inner}","type":"externalGroup"}}"#);
        bench.send("POST", &format!("{GROUPS}/{outer}/members"), body)
    };
    let made = |verdict| {
        let bench = bench_with(|behaviour| behaviour.group_cycle = verdict);
        for id in ["a", "b", "c"] {
            bench.expect(201, "POST", GROUPS, format!(r#"{{"id":"{id}"}}"#));
        }
        for (outer, inner) in [("a", "b"), ("b", "c"), ("a", "c")] {
            assert_eq!(nest(&bench, outer, inner).status, 201);
        }
        bench
    };
    let bench = made(Verdict::Refuse);
    for (outer, inner) in [("a", "a"), ("b", "a"), ("c", "a"), ("c", "b")] {
        let answer = nest(&bench, outer, inner);
        assert_eq!(answer.status, 400, "{outer} {inner}");
        assert_eq!(answer.faults(), [("group-cycle", "$.id")]);
    }
    assert_eq!(members(&bench, "c"), []);
    assert_eq!(bench.emulator.reports(), []);

    // Where they pass, looking for the next one still ends.
    let bench = made(Verdict::Report);
    for (outer, inner) in [("c", "a"), ("a", "a"), ("c", "b")] {
        assert_eq!(nest(&bench, outer, inner).status, 201, "{outer} {inner}");
    }
    assert_eq!(bench.emulator.reports().len(), 3);
}
