//! What a token may do: how long it is good, which permissions each route needs, whose
//! connections and activities are whose, and that no secret is ever shown.

mod support;

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use graphfeed_emulator::{Application, Authorization, ManagedIdentity, Options};
use http::Request;
use serde_json::{Value, json};
use support::{Answer, Bench, ITEM, SCHEMA, item, user_activity};

const CONNECTIONS: &str = "/v1.0/external/connections";
const HR: &str = "/v1.0/external/connections/contosohr";
const CONNECTION_OWNED: &str = "ExternalConnection.ReadWrite.OwnedBy";
const CONNECTION_ALL: &str = "ExternalConnection.ReadWrite.All";
const CONNECTION_READ: &str = "ExternalConnection.Read.All";
const ITEM_OWNED: &str = "ExternalItem.ReadWrite.OwnedBy";
const ITEM_ALL: &str = "ExternalItem.ReadWrite.All";
const ITEM_READ: &str = "ExternalItem.Read.All";
const ACTIVITIES: &str = "UserActivity.ReadWrite.CreatedByApp";
const ALL: [&str; 7] = [
    CONNECTION_OWNED,
    CONNECTION_ALL,
    CONNECTION_READ,
    ITEM_OWNED,
    ITEM_ALL,
    ITEM_READ,
    ACTIVITIES,
];

/// An application with these permissions of both kinds, in the tenant of the others.
fn application(id: &str, permissions: &[&str]) -> Application {
    let application = Application::new(id, "hush");
    permissions.iter().fold(application, |it, name| it.role(*name).scope(*name))
}

fn bench(applications: Vec<Application>) -> Bench {
    let authorization = Authorization { applications, ..Authorization::default() };
    Bench::of(Options { authorization: Some(authorization), ..Options::default() })
}

/// One application that may do everything with what it owns.
fn owner() -> Bench {
    bench(vec![application("app", &[CONNECTION_OWNED, ITEM_OWNED, ACTIVITIES])])
}

fn send(bench: &Bench, token: &str, method: &str, target: &str, body: &str) -> Answer {
    bench.send_with(method, target, body.to_owned(), |headers| {
        headers.insert("authorization", format!("Bearer {token}").parse().expect("a header"));
    })
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, rule: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.json["error"]["code"], code);
    assert_eq!(answer.faults()[0].0, rule);
}

fn set_up(bench: &Bench, token: &str) {
    let body = r#"{"id":"contosohr","name":"Contoso HR"}"#;
    assert_eq!(send(bench, token, "POST", CONNECTIONS, body).status, 201);
    let schema = format!("{HR}/schema");
    assert_eq!(send(bench, token, "PATCH", &schema, SCHEMA).status, 202);
    bench.wait(1_000);
    assert_eq!(send(bench, token, "PUT", ITEM, &item(r#""title":"a""#)).status, 200);
}

#[test]
fn only_a_token_that_was_issued_is_good_and_only_while_it_lives() {
    let bench = owner();
    let token = bench.emulator.token("app").expect("registered");
    let get = |token: &str| send(&bench, token, "GET", CONNECTIONS, "");
    assert_eq!(get(&token).status, 200);
    bench.wait(3_599_999);
    assert_eq!(get(&token).status, 200);
    bench.wait(1);
    let expired = get(&token);
    refused(&expired, 401, "InvalidAuthenticationToken", "token");
    assert!(expired.json["error"]["message"].as_str().is_some_and(|it| it.contains("expired")));
    assert_eq!(
        expired.header("www-authenticate"),
        Some(
            "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/\
             oauth2/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\", \
             error=\"invalid_token\""
        )
    );
    let next = bench.emulator.token("app").expect("registered");
    assert_eq!(get(&next).status, 200);
    for strange in ["any", &next[..next.len() - 1], &format!("{next}a")] {
        refused(&get(strange), 401, "InvalidAuthenticationToken", "token");
    }
    bench.emulator.revoke_tokens();
    refused(&get(&next), 401, "InvalidAuthenticationToken", "token");
    assert_eq!(get(&bench.emulator.token("app").expect("registered")).status, 200);
    refused(
        &bench.send_with("GET", CONNECTIONS, "", |headers| drop(headers.remove("authorization"))),
        401,
        "InvalidAuthenticationToken",
        "token",
    );
    assert_eq!(bench.emulator.token("nobody"), None);
}

#[test]
fn a_bad_token_is_refused_before_anything_else_and_changes_nothing() {
    let bench = owner();
    for (method, target, body) in [
        ("POST", CONNECTIONS, r#"{"id":"contosohr","name":"Contoso HR"}"#),
        ("POST", CONNECTIONS, "nonsense"),
        ("PUT", "/v1.0/me/activities/a", &user_activity("a", "")),
        ("GET", "/v1.0/planet", ""),
    ] {
        refused(
            &send(&bench, "any", method, target, body),
            401,
            "InvalidAuthenticationToken",
            "token",
        );
    }
    let token = bench.emulator.token("app").expect("registered");
    assert_eq!(send(&bench, &token, "GET", CONNECTIONS, "").json["value"], json!([]));
    assert_eq!(bench.emulator.user_activities(), []);
    assert_eq!(send(&bench, &token, "GET", "/v1.0/planet", "").status, 501);
}

#[test]
fn a_claims_challenge_is_satisfied_by_a_token_that_was_asked_for_with_them() {
    let bench = owner();
    let plain = bench.emulator.token("app").expect("registered");
    let wanted = r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#;
    bench.emulator.require_claims(Some(wanted)).expect("JSON");
    let answer = send(&bench, &plain, "GET", CONNECTIONS, "");
    refused(&answer, 401, "InvalidAuthenticationToken", "token-claims");
    let challenge = answer.header("www-authenticate").expect("a challenge");
    assert!(
        challenge.starts_with("Bearer realm=\"\", ")
            && challenge.contains("error=\"insufficient_claims\"")
    );
    let (_, claims) = challenge.split_once("claims=\"").expect("claims");
    let claims = STANDARD.decode(claims.trim_end_matches('"')).expect("base64");
    let claims = String::from_utf8(claims).expect("UTF-8");
    assert_eq!(
        serde_json::from_str::<Value>(&claims).expect("JSON"),
        serde_json::from_str::<Value>(wanted).expect("JSON")
    );
    let fetch = |claims: &str| {
        let escaped: String = claims.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let body = format!(
            "grant_type=client_credentials&client_id=app&client_secret=hush\
             &scope=https://graph.microsoft.com/.default&claims={escaped}"
        );
        let tenant = application("app", &[]).tenant;
        let request = Request::post(format!("/{tenant}/oauth2/v2.0/token"))
            .header("content-type", "application/x-www-form-urlencoded");
        let answer: Answer = bench.emulator.handle(&request.body(body.into()).unwrap()).into();
        answer.json["access_token"].as_str().unwrap_or_else(|| panic!("{}", answer.text)).to_owned()
    };
    let more = r#"{"access_token":{"nbf":{"value":"1604106651","essential":true},"x":{}}}"#;
    for (claims, status) in [
        (&*claims, 200),
        (more, 200),
        ("{}", 401),
        (r#"{"access_token":{"nbf":{"essential":true}}}"#, 401),
        (r#"{"access_token":{"nbf":{"essential":true,"value":"1"}}}"#, 401),
    ] {
        let token = fetch(claims);
        assert_eq!(send(&bench, &token, "GET", CONNECTIONS, "").status, status, "{claims}");
    }
    bench.emulator.require_claims(None).expect("none");
    assert_eq!(send(&bench, &plain, "GET", CONNECTIONS, "").status, 200);
    for bad in ["nonsense", "[]", ""] {
        assert!(bench.emulator.require_claims(Some(bad)).is_err());
    }
}

/// Our own reading of the pages: route, permissions that are enough, and for which tokens.
const TABLE: [(&str, &str, &[&str], bool, bool); 29] = {
    const WRITE: &[&str] = &[CONNECTION_OWNED, CONNECTION_ALL];
    const READ: &[&str] = &[CONNECTION_OWNED, CONNECTION_READ, CONNECTION_ALL];
    const PUT: &[&str] = &[ITEM_OWNED, ITEM_ALL];
    const GET: &[&str] = &[ITEM_OWNED, ITEM_READ, ITEM_ALL];
    const USER: &[&str] = &[ACTIVITIES];
    [
        ("POST", "/external/connections", WRITE, true, true),
        ("GET", "/external/connections", READ, true, true),
        ("GET", "/external/connections/none", READ, true, true),
        ("PATCH", "/external/connections/none", WRITE, true, true),
        ("DELETE", "/external/connections/none", WRITE, true, true),
        ("GET", "/external/connections/none/quota", &[CONNECTION_OWNED], true, false),
        ("PATCH", "/external/connections/none/schema", WRITE, true, true),
        ("GET", "/external/connections/none/schema", READ, true, true),
        ("GET", "/external/connections/none/operations/a", READ, true, true),
        ("PUT", "/external/connections/none/items/a", PUT, true, true),
        ("GET", "/external/connections/none/items/a", GET, true, true),
        ("PATCH", "/external/connections/none/items/a", PUT, true, true),
        ("DELETE", "/external/connections/none/items/a", PUT, true, true),
        ("POST", "/external/connections/none/items/a/addActivities", PUT, true, false),
        (
            "POST",
            "/external/connections/none/items/a/microsoft.graph.externalConnectors.addActivities",
            PUT,
            true,
            false,
        ),
        ("POST", "/external/connections/none/groups", PUT, true, true),
        ("GET", "/external/connections/none/groups/a", GET, true, true),
        ("PATCH", "/external/connections/none/groups/a", PUT, true, true),
        ("DELETE", "/external/connections/none/groups/a", PUT, true, true),
        ("POST", "/external/connections/none/groups/a/members", PUT, true, true),
        ("DELETE", "/external/connections/none/groups/a/members/a", PUT, true, true),
        ("GET", "/me/activities", USER, false, true),
        ("GET", "/me/activities/recent", USER, false, true),
        ("GET", "/me/activities/recent()", USER, false, true),
        ("PUT", "/me/activities/a", USER, false, true),
        ("DELETE", "/me/activities/1", USER, false, true),
        ("PUT", "/me/activities/1/historyItems/1", USER, false, true),
        ("DELETE", "/me/activities/1/historyItems/1", USER, false, true),
        ("POST", "/$batch", &[], true, true),
    ]
};

#[test]
fn each_route_takes_the_permissions_and_tokens_of_its_page_and_no_other() {
    let mut applications: Vec<_> = ALL.iter().map(|name| application(name, &[name])).collect();
    applications.push(application("none", &[]));
    let bench = bench(applications);
    for (method, path, enough, by_application, by_user) in TABLE {
        for version in ["v1.0", "beta"] {
            let target = format!("/{version}{path}");
            for id in ALL.iter().chain(&["none"]) {
                let own = bench.emulator.token(id).expect("registered");
                let users = bench.emulator.user_token(id, None).expect("registered");
                for (token, takes) in [(own, by_application), (users, by_user)] {
                    let answer = send(&bench, &token, method, &target, "{}");
                    let rule = answer.json["error"]["innerError"]["code"].as_str();
                    let expected = match (takes, enough.is_empty() || enough.contains(id)) {
                        (false, _) => Some("token-kind"),
                        (true, false) => Some("permission"),
                        (true, true) => None,
                    };
                    let what = format!("{method} {target} as {id}: {}", answer.text);
                    match expected {
                        Some(expected) => {
                            assert_eq!(
                                (answer.status.as_u16(), rule),
                                (403, Some(expected)),
                                "{what}"
                            );
                        }
                        None => assert_ne!(answer.status, 403, "{what}"),
                    }
                }
            }
        }
    }
}

#[test]
fn a_403_names_what_is_missing() {
    let bench = bench(vec![application("app", &[ITEM_READ, CONNECTION_READ])]);
    let token = bench.emulator.token("app").expect("registered");
    let answer = send(&bench, &token, "PUT", ITEM, &item(r#""title":"a""#));
    refused(&answer, 403, "Authorization_RequestDenied", "permission");
    let message = answer.json["error"]["message"].as_str().expect("a message");
    for part in [ITEM_OWNED, ITEM_ALL, ITEM_READ, CONNECTION_READ] {
        assert!(message.contains(part), "{message}");
    }
    let user = bench.emulator.user_token("app", None).expect("registered");
    let answer = send(&bench, &user, "POST", &format!("{ITEM}/addActivities"), "{}");
    refused(&answer, 403, "accessDenied", "token-kind");
    let answer = send(&bench, &token, "GET", "/v1.0/me/activities", "");
    refused(&answer, 403, "accessDenied", "token-kind");
}

#[test]
fn a_connection_belongs_to_who_created_it() {
    let own = [CONNECTION_OWNED, ITEM_OWNED];
    let bench = bench(vec![
        application("app", &own),
        application("other", &own),
        application("reader", &[CONNECTION_READ, ITEM_READ]),
        application("admin", &[CONNECTION_ALL, ITEM_ALL]),
        application("mixed", &[CONNECTION_ALL, ITEM_OWNED]),
    ]);
    let token = |id: &str| bench.emulator.token(id).expect("registered");
    set_up(&bench, &token("app"));
    let list = |token: &str| send(&bench, token, "GET", CONNECTIONS, "").json["value"].clone();
    let ids = |value: Value| -> Vec<String> {
        let each = value.as_array().expect("a list").iter();
        each.map(|each| each["id"].as_str().expect("an id").to_owned()).collect()
    };

    let other = token("other");
    for (method, target, body) in [
        ("GET", HR, String::new()),
        ("GET", &*format!("{HR}/schema"), String::new()),
        ("GET", &format!("{HR}/operations/a"), String::new()),
        ("PATCH", &format!("{HR}/schema"), SCHEMA.to_owned()),
        ("PUT", ITEM, item(r#""title":"b""#)),
        ("GET", ITEM, String::new()),
        ("DELETE", ITEM, String::new()),
        ("POST", &format!("{ITEM}/addActivities"), r#"{"activities":[]}"#.to_owned()),
        ("POST", &format!("{HR}/groups"), r#"{"id":"teamx"}"#.to_owned()),
        ("GET", &format!("{HR}/groups/teamx"), String::new()),
        ("POST", &format!("{HR}/groups/teamx/members"), "{}".to_owned()),
        ("DELETE", HR, String::new()),
    ] {
        let answer = send(&bench, &other, method, target, &body);
        refused(&answer, 403, "accessDenied", "connection-owner");
    }
    assert_eq!(list(&other), json!([]));
    assert_eq!(bench.emulator.items("contosohr")[0].properties[0].json, r#""a""#);
    assert_eq!(bench.emulator.groups("contosohr"), []);
    let body = r#"{"id":"contosohr","name":"Mine"}"#;
    refused(
        &send(&bench, &other, "POST", CONNECTIONS, body),
        409,
        "NameAlreadyExists",
        "already-exists",
    );

    assert_eq!(ids(list(&token("app"))), ["contosohr"]);
    assert_eq!(ids(list(&token("reader"))), ["contosohr"]);
    assert_eq!(send(&bench, &token("reader"), "GET", ITEM, "").status, 200);
    assert_eq!(send(&bench, &token("mixed"), "GET", HR, "").status, 200);
    let answer = send(&bench, &token("mixed"), "GET", ITEM, "");
    refused(&answer, 403, "accessDenied", "connection-owner");
    let users = bench.emulator.user_token("app", Some("megan")).expect("registered");
    assert_eq!(send(&bench, &users, "GET", ITEM, "").status, 200, "users go by their application");
    assert_eq!(send(&bench, &token("admin"), "DELETE", HR, "").status, 202);
}

#[test]
fn an_application_that_the_configuration_names_reaches_the_connection() {
    let own = [CONNECTION_OWNED, ITEM_OWNED];
    let bench = bench(vec![application("app", &own), application("other", &own)]);
    let token = |id: &str| bench.emulator.token(id).expect("registered");
    let body =
        r#"{"id":"contosohr","name":"HR","configuration":{"authorizedAppIds":["x","OTHER"]}}"#;
    assert_eq!(send(&bench, &token("app"), "POST", CONNECTIONS, body).status, 201);
    assert_eq!(send(&bench, &token("other"), "GET", HR, "").status, 200);
    let list = send(&bench, &token("other"), "GET", CONNECTIONS, "");
    assert_eq!(list.json["value"][0]["id"], "contosohr");
    assert_eq!(send(&bench, &token("other"), "DELETE", HR, "").status, 202);
}

#[test]
fn user_activities_belong_to_the_user_and_to_the_application() {
    let bench = bench(vec![application("app", &[ACTIVITIES]), application("other", &[ACTIVITIES])]);
    let token = |id: &str, user| bench.emulator.user_token(id, Some(user)).expect("registered");
    let all = [token("app", "megan"), token("app", "adele"), token("other", "megan")];
    let put =
        |token: &str| send(&bench, token, "PUT", "/v1.0/me/activities/a", &user_activity("a", ""));
    let mut ids = Vec::new();
    for token in &all {
        let answer = put(token);
        assert_eq!(answer.status, 201, "its own, though there is one of this name");
        ids.push(answer.json["id"].as_str().expect("an id").to_owned());
        assert_eq!(put(token).status, 200);
    }
    for (token, id) in all.iter().zip(&ids) {
        let list = send(&bench, token, "GET", "/v1.0/me/activities", "").json["value"].clone();
        assert_eq!(list.as_array().map(Vec::len), Some(1));
        assert_eq!(list[0]["id"], **id);
    }
    let history = |id: &str| {
        format!("/v1.0/me/activities/{id}/historyItems/c1d2e3f4-0000-4000-8000-000000000001")
    };
    let body = r#"{"startedDateTime":"2026-01-01T00:00:00Z"}"#;
    assert_eq!(send(&bench, &all[1], "PUT", &history(&ids[0]), body).status, 404);
    assert_eq!(send(&bench, &all[0], "PUT", &history(&ids[0]), body).status, 201);
    let delete = |token, id: &str| {
        send(&bench, token, "DELETE", &format!("/v1.0/me/activities/{id}"), "").status
    };
    assert_eq!(delete(&all[2], &ids[0]), 404);
    assert_eq!(delete(&all[0], &ids[0]), 204);
    let owners: Vec<_> = bench.emulator.user_activities();
    let owners: Vec<_> = owners.iter().filter_map(|activity| activity.owner.clone()).collect();
    let owners: Vec<_> = owners.iter().map(|owner| (&*owner.client_id, &*owner.user)).collect();
    assert_eq!(owners, [("app", "adele"), ("other", "megan")]);
}

#[test]
fn a_429_to_one_user_holds_no_other() {
    let bench = bench(vec![application("app", &[ACTIVITIES])]);
    bench.emulator.script("GET activities: 429 retry-after=10 times=1").expect("a fault");
    let token = |user| bench.emulator.user_token("app", Some(user)).expect("registered");
    let get = |token: &str| send(&bench, token, "GET", "/v1.0/me/activities", "").status.as_u16();
    let (megan, adele) = (token("megan"), token("adele"));
    assert_eq!([get(&megan), get(&adele)], [429, 200]);
    assert_eq!(bench.emulator.early_calls(), []);
    assert_eq!(get(&megan), 200);
    assert_eq!(bench.emulator.early_calls().len(), 1);
}

#[test]
fn nothing_shows_a_token_or_a_secret() {
    const SECRET: &str = "hush-a-bye";
    const HEADER: &str = "identity-hush";
    let application = Application::new("app", SECRET).scope(ACTIVITIES).tenant("t");
    let authorization = Authorization {
        applications: vec![application.clone()],
        managed_identity: Some(ManagedIdentity::new("app", HEADER)),
        token_life: Duration::from_secs(60),
        ..Authorization::default()
    };
    let options = Options {
        authorization: Some(authorization.clone()),
        journal: 100,
        control: true,
        ..Options::default()
    };
    let bench = Bench::of(options.clone());
    let mut secrets = vec![SECRET.to_owned(), HEADER.to_owned()];
    let mut shown = format!(
        "{application:?}{authorization:?}{options:?}{:?}",
        ManagedIdentity::new("app", HEADER)
    );

    let form = |body: &str| {
        Request::post("/t/oauth2/v2.0/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.to_owned().into())
            .expect("a request")
    };
    let credentials = format!(
        "grant_type=client_credentials&client_id=app&client_secret={SECRET}\
         &scope=https://graph.microsoft.com/.default"
    );
    let request = form(&credentials);
    let delivery = bench.emulator.deliver(&request);
    shown += &format!("{delivery:?}");
    let answer: Answer = delivery.into_response().into();
    secrets.push(answer.json["access_token"].as_str().expect("a token").to_owned());
    let refresh = bench.emulator.refresh_token("app").expect("registered");
    let refreshed =
        form(&format!("grant_type=refresh_token&client_id=app&refresh_token={refresh}"));
    let answer: Answer = bench.emulator.handle(&refreshed).into();
    secrets.push(refresh);
    for name in ["access_token", "refresh_token"] {
        secrets.push(answer.json[name].as_str().expect("a token").to_owned());
    }
    // Refusals, too: of the platform and of the service, with each secret in the wrong place.
    for secret in secrets.clone() {
        for body in [
            format!("grant_type=refresh_token&client_id=app&refresh_token={secret}x"),
            format!("grant_type=client_credentials&client_id=app&client_secret={secret}x&scope=a"),
        ] {
            shown += &Answer::from(bench.emulator.handle(&form(&body))).text;
        }
        for token in [secret.clone(), format!("{secret}x")] {
            let answer = send(&bench, &token, "GET", "/v1.0/external/connections", "");
            shown += &answer.text;
            shown += &format!("{:?}", answer.headers);
        }
        let request = Request::get(format!("/msi/token?resource={secret}&api-version=2019-08-01"))
            .header("x-identity-header", HEADER)
            .body(Default::default())
            .expect("a request");
        // The resource is no secret; only what the emulator writes down by itself is looked at.
        bench.emulator.handle(&request);
    }
    let emulator = &bench.emulator;
    shown += &format!("{emulator:?}{:?}", emulator.journal());
    shown += &format!("{:?}", *emulator.service());
    shown +=
        &format!("{:?}{:?}{:?}", emulator.counts(), emulator.early_calls(), emulator.reports());
    for path in ["", "/faults", "/early-calls", "/reports", "/journal", "/device-codes"] {
        let answer = bench.send("GET", &format!("/__emulator{path}"), "");
        assert_eq!(answer.status, 200);
        shown += &answer.text;
    }
    for secret in secrets {
        assert!(!shown.contains(&secret), "{secret} in {shown}");
    }
}
