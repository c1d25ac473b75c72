//! The control path: what another process can see and change.

mod support;

use graphfeed_emulator::{Application, Authorization, Options};
use serde_json::{Value, json};
use support::{Answer, Bench, ITEM, SCHEMA, item};

fn bench() -> Bench {
    Bench::of(Options { control: true, journal: 3, ..Options::default() })
}

fn get(bench: &Bench, path: &str) -> Value {
    bench.expect(200, "GET", &format!("/__emulator{path}"), "").json
}

fn put(bench: &Bench) -> Answer {
    bench.send_with("PUT", ITEM, item(r#""title":"a""#), |headers| {
        headers.insert("client-request-id", "one".parse().expect("a header"));
    })
}

#[test]
fn it_is_not_there_unless_it_is_asked_for() {
    let bench = Bench::empty();
    for (method, path) in [("GET", "/__emulator"), ("POST", "/__emulator/reset")] {
        assert_eq!(bench.refused(method, path, "", &[("not-implemented", "path")]).status, 501);
    }
}

#[test]
fn it_shows_the_state_and_what_was_asked_for() {
    let bench = bench();
    let empty = json!({"connections": [], "userActivities": 0, "requests": [], "earlyCalls": 0,
        "reports": 0, "tokensIssued": 0, "faults": [], "limits": []});
    assert_eq!(get(&bench, ""), empty);
    let body = r#"{"id":"contosohr","name":"Contoso HR"}"#;
    bench.expect(201, "POST", "/v1.0/external/connections", body);
    assert_eq!(get(&bench, "")["connections"][0]["state"], "draft");
    bench.expect(202, "PATCH", "/v1.0/external/connections/contosohr/schema", SCHEMA);
    bench.wait(1_000);
    bench.expect(200, "PUT", ITEM, item(r#""tags":[],"tags@odata.type":"Collection(String)""#));
    for id in [r#"{"id":"a"}"#, r#"{"id":"b"}"#] {
        bench.expect(201, "POST", "/v1.0/external/connections/contosohr/groups", id);
    }
    bench.emulator.script("PUT item: 429 retry-after=7 times=1").expect("a fault");
    bench.emulator.script("GET item: reset times=1").expect("a fault");
    assert_eq!(put(&bench).status, 429);
    assert_eq!(put(&bench).status, 200);
    bench.send("GET", &format!("{ITEM}?secret=hush"), "");
    bench.expect(501, "GET", "/v1.0/planet", "");

    let state = get(&bench, "");
    let one = json!({"id": "contosohr", "state": "ready", "items": 1, "groups": 2});
    assert_eq!(state["connections"], json!([one]));
    assert_eq!(
        state["requests"],
        json!([
            {"request": "other", "status": 501, "count": 1},
            {"request": "GET item", "status": null, "count": 1},
            {"request": "PATCH schema", "status": 202, "count": 1},
            {"request": "POST connection", "status": 201, "count": 1},
            {"request": "POST group", "status": 201, "count": 2},
            {"request": "PUT item", "status": 200, "count": 2},
            {"request": "PUT item", "status": 429, "count": 1},
        ])
    );
    assert_eq!((&state["earlyCalls"], &state["reports"]), (&json!(2), &json!(1)));
    assert_eq!(state["faults"], get(&bench, "/faults")["faults"]);
    assert_eq!(
        state["faults"][0],
        json!({"fault": "PUT item: 429 retry-after=7 times=1", "struck": 1})
    );
    assert_eq!(
        get(&bench, "/early-calls")["earlyCalls"],
        json!([
            {"at": 1, "request": format!("PUT {ITEM}"), "clientRequestId": "one", "earlyBy": 7,
                "sameCall": true},
            {"at": 1, "request": format!("GET {ITEM}"), "clientRequestId": null, "earlyBy": 7,
                "sameCall": false},
        ])
    );
    assert_eq!(get(&bench, "/reports")["reports"][0]["rule"], "annotation-order");
    let journal = json!([
        {"at": 1, "request": format!("PUT {ITEM}"), "clientRequestId": "one", "status": 200,
            "struck": false},
        {"at": 1, "request": format!("GET {ITEM}"), "clientRequestId": null, "status": null,
            "struck": true},
        {"at": 1, "request": "GET /v1.0/planet", "clientRequestId": null, "status": 501,
            "struck": false},
    ]);
    assert_eq!(get(&bench, "/journal")["journal"], journal, "the last three");

    bench.expect(204, "POST", "/__emulator/reset", "");
    assert_eq!(get(&bench, ""), empty);
    assert_eq!(get(&bench, "/journal")["journal"], json!([]));
}

#[test]
fn faults_are_scripted_line_by_line_or_not_at_all() {
    let bench = bench();
    let faults = "PUT item: 429 retry-after=1.5 times=3\n\n*: reset chance=0.5\n";
    bench.expect(204, "POST", "/__emulator/faults", faults);
    let listed: Vec<String> =
        bench.emulator.faults().iter().map(|(fault, _)| fault.to_string()).collect();
    assert_eq!(listed, ["PUT item: 429 retry-after=1.5 times=3", "*: reset chance=0.5"]);
    let answer = bench.expect(400, "POST", "/__emulator/faults", "*: 429\n\n*: explode");
    assert!(answer.text.contains("line 3: ") && answer.text.contains("explode"), "{}", answer.text);
    bench.expect(400, "POST", "/__emulator/faults", "\n");
    assert_eq!(bench.emulator.faults().len(), 2);
    bench.expect(204, "DELETE", "/__emulator/faults", "");
    assert_eq!(bench.emulator.faults(), []);
}

#[test]
fn limits_are_set_line_by_line_or_not_at_all_and_tell_what_they_did() {
    let bench = bench();
    let put = |status, body: &'static str| bench.expect(status, "PUT", "/__emulator/limits", body);
    put(204, "bucket rate=1 burst=2 per=all\n\nGET connection: concurrency limit=4\n");
    for status in [404, 404, 429] {
        bench.expect(status, "GET", "/v1.0/external/connections/contosohr", "");
    }
    let limits = json!([
        {"limit": "bucket rate=1 burst=2 per=all", "admitted": 2, "refused": 1},
        {"limit": "GET connection: concurrency limit=4", "admitted": 2, "refused": 0},
    ]);
    assert_eq!(get(&bench, "/limits")["limits"], limits);
    assert_eq!(get(&bench, "")["limits"], limits);
    let answer = put(400, "bucket rate=1 burst=1\nbucket rate=fast burst=1");
    assert!(answer.text.contains("line 2: rate takes"), "{}", answer.text);
    assert_eq!(get(&bench, "/limits")["limits"], limits);
    put(204, "bucket rate=1 burst=1");
    bench.expect(404, "GET", "/v1.0/external/connections/contosohr", "");
    bench.expect(429, "GET", "/v1.0/external/connections/contosohr", "");
    put(204, "");
    bench.expect(404, "GET", "/v1.0/external/connections/contosohr", "");
    assert_eq!(get(&bench, "/limits"), json!({"limits": []}));
}

#[test]
fn faults_do_not_strike_it_and_it_is_not_counted() {
    let bench = bench();
    bench.emulator.script("*: 503").expect("a fault");
    assert_eq!(get(&bench, "")["requests"], json!([]));
    for (status, method, path) in [
        (404, "GET", "/__emulator/planet"),
        (405, "PUT", "/__emulator/faults"),
        (405, "GET", "/__emulator/reset"),
        (404, "POST", "/__emulator/device-codes/ABC/sign-in"),
        (400, "POST", "/__emulator/tokens/claims"),
        (503, "GET", "/__emulators"),
    ] {
        let body = if path.ends_with("claims") { "{}" } else { "" };
        bench.expect(status, method, path, body);
    }
}

#[test]
fn a_reset_has_the_faults_of_the_beginning_again() {
    let fault = "GET connections: 503 times=1".parse().expect("a fault");
    let bench = Bench::of(Options { control: true, faults: vec![fault], ..Options::default() });
    for status in [503, 200] {
        bench.expect(status, "GET", "/v1.0/external/connections", "");
    }
    bench.expect(204, "POST", "/__emulator/reset", "");
    bench.expect(503, "GET", "/v1.0/external/connections", "");
}

#[test]
fn a_user_signs_in_or_declines_and_tokens_go_bad() {
    let application = Application::public("app").tenant("t").scope("A");
    let authorization =
        Authorization { applications: vec![application], ..Authorization::default() };
    let authorization = Some(authorization);
    let bench = Bench::of(Options { control: true, authorization, ..Options::default() });
    let start = || {
        let form = "application/x-www-form-urlencoded".parse().expect("a header");
        bench.send_with("POST", "/t/oauth2/v2.0/devicecode", "client_id=app&scope=A", |headers| {
            headers.remove("authorization");
            headers.insert("content-type", form);
        })
    };
    let code = |answer: Answer| answer.json["user_code"].as_str().expect("a code").to_owned();
    let (first, second) = (code(start()), code(start()));
    let waiting = json!([{"userCode": first}, {"userCode": second}]);
    assert_eq!(get(&bench, "/device-codes")["deviceCodes"], waiting);
    let enter = |status, code: &str, what: &str, body: &'static str| {
        let path = format!("/__emulator/device-codes/{code}/{what}");
        bench.expect(status, "POST", &path, body);
    };
    enter(204, &first, "sign-in", "megan");
    enter(404, &first, "decline", "");
    enter(204, &second, "decline", "");
    assert_eq!(get(&bench, "/device-codes")["deviceCodes"], json!([]));

    let token = bench.emulator.user_token("app", None).expect("registered");
    let rule = || {
        let answer = bench.send_with("GET", "/v1.0/me/activities", "", |headers| {
            let value = format!("Bearer {token}").parse().expect("a header");
            headers.insert("authorization", value);
        });
        answer.json["error"]["innerError"]["code"].as_str().map(str::to_owned)
    };
    assert_eq!(rule().as_deref(), Some("permission"));
    bench.expect(204, "POST", "/__emulator/tokens/claims", r#"{"a":1}"#);
    assert_eq!(rule().as_deref(), Some("token-claims"));
    bench.expect(400, "POST", "/__emulator/tokens/claims", "nonsense");
    bench.expect(204, "POST", "/__emulator/tokens/claims", "");
    assert_eq!(rule().as_deref(), Some("permission"));
    bench.expect(204, "POST", "/__emulator/tokens/revoke", "");
    assert_eq!(rule().as_deref(), Some("token"));
}
