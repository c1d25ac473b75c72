//! Faults that are scripted: which request is struck, what it gets, and what is stored then; and
//! who comes back too early. In process, in virtual time.

mod support;

use std::time::Duration;

use graphfeed_core::client::{Failure, SendOptions, Sent, Transport as _};
use graphfeed_emulator::{EarlyCalls, Emulator, Fault, Options, Outcome};
use http::HeaderMap;
use support::{Answer, Bench, ITEM, item, request};

const SECOND: Duration = Duration::from_secs(1);

fn scripted(faults: &[&str]) -> Bench {
    let bench = Bench::ready();
    for fault in faults {
        bench.emulator.script(fault).unwrap_or_else(|error| panic!("{fault}: {error}"));
    }
    bench
}

fn put(bench: &Bench) -> Answer {
    bench.send("PUT", ITEM, item(r#""title":"a""#))
}

fn statuses(bench: &Bench, count: usize) -> Vec<u16> {
    (0..count).map(|_| put(bench).status.as_u16()).collect()
}

fn is_stored(bench: &Bench) -> bool {
    !bench.emulator.items("contosohr").is_empty()
}

/// What the transport says, and whether it may have been sent.
fn failure(bench: &Bench) -> (Sent, String) {
    let request = request("PUT", ITEM, item(r#""title":"a""#));
    let failure = bench.emulator.send(request, &SendOptions::default()).expect_err("an answer");
    let why = std::error::Error::source(&failure).expect("a source").to_string();
    (failure.sent(), why)
}

#[test]
fn the_requests_that_are_meant_are_struck_as_often_as_is_said() {
    for (fault, expected) in [
        ("PUT item: 429", [429, 429, 429, 429, 429, 429]),
        ("PUT item: 429 times=3", [429, 429, 429, 200, 200, 200]),
        ("PUT item: 429 from=3", [200, 200, 429, 429, 429, 429]),
        ("PUT item: 429 from=2 times=2", [200, 429, 429, 200, 200, 200]),
        ("PUT item: 429 every=3", [200, 200, 429, 200, 200, 429]),
        ("PUT item: 429 every=3 from=1", [429, 200, 200, 429, 200, 200]),
        ("PUT item: 429 every=2 from=3 times=1", [200, 200, 429, 200, 200, 200]),
        ("PUT item: 429 chance=0", [200; 6]),
        ("item: 429 times=1", [429, 200, 200, 200, 200, 200]),
        ("PUT *: 429 times=1", [429, 200, 200, 200, 200, 200]),
        ("*: 429 times=1", [429, 200, 200, 200, 200, 200]),
        (
            "PUT /external/connections/contosohr/items/TSP228082938: 429 times=1",
            [429, 200, 200, 200, 200, 200],
        ),
        ("/external/connections/{c}/items/{i}: 429 times=1", [429, 200, 200, 200, 200, 200]),
        ("PUT /external/connections/contosohr/items/other: 429", [200; 6]),
        ("GET item: 429", [200; 6]),
        ("GET *: 429", [200; 6]),
        ("PUT activity: 429", [200; 6]),
        ("POST token: 429", [200; 6]),
        ("PUT item: pass", [200; 6]),
    ] {
        assert_eq!(statuses(&scripted(&[fault]), 6), expected, "{fault}");
    }
}

#[test]
fn of_several_faults_the_first_strikes_and_the_others_do_not_count_it() {
    let bench = scripted(&["PUT item: 503 times=1", "item: 429 times=2", "PUT item: 500 from=2"]);
    assert_eq!(statuses(&bench, 6), [503, 429, 429, 200, 500, 500]);
    let struck: Vec<u64> = bench.emulator.faults().into_iter().map(|(_, struck)| struck).collect();
    assert_eq!(struck, [1, 2, 2]);
    bench.emulator.clear_faults();
    assert_eq!(bench.emulator.faults(), []);
    assert_eq!(statuses(&bench, 1), [200]);
}

#[test]
fn faults_can_be_there_from_the_beginning() {
    let fault = Fault::on("*").expect("requests").answer(503).times(1);
    let emulator = Emulator::new(Options { faults: vec![fault], ..Options::default() });
    let get = request("GET", "/v1.0/external/connections", "");
    assert_eq!(emulator.handle(&get).status(), 503);
    assert_eq!(emulator.handle(&get).status(), 200);
}

#[test]
fn chance_is_decided_by_the_seed() {
    let run = |seed| {
        let fault: Fault = "PUT *: 429 | stored 500 | reset | html 502 chance=0.4".parse().unwrap();
        let options = Options { seed, faults: vec![fault], ..Options::default() };
        let emulator = Emulator::with_clock(options, || Duration::ZERO);
        let put = request("PUT", "/v1.0/external/connections/none/items/a", "{}");
        (0..1000)
            .map(|_| match emulator.deliver(&put).outcome {
                Outcome::Answer(answer) => answer.status().as_u16(),
                Outcome::Reset => 0,
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    for seed in 0..5 {
        let statuses = run(seed);
        let share = |status| statuses.iter().filter(|each| **each == status).count();
        // A binomial of 1000: six standard deviations and more.
        assert!((500..700).contains(&share(404)), "{}", share(404));
        for status in [429, 500, 0, 502] {
            assert!((40..160).contains(&share(status)), "{status}: {}", share(status));
        }
    }
}

#[test]
fn each_form_of_retry_after_is_sent_as_it_is_asked_for() {
    const DATE: &str = "Thu, 01 Jan 2026 00:00:31 GMT";
    for (options, expected) in [
        ("", &[][..]),
        ("retry-after=7", &[("retry-after", "7")]),
        ("retry-after=1.5", &[("retry-after", "1.5")]),
        ("retry-after=date:30", &[("retry-after", DATE)]),
        ("retry-after=date:29.5", &[("retry-after", DATE)]),
        ("retry-after=date:-1", &[("retry-after", "Thu, 01 Jan 2026 00:00:00 GMT")]),
        ("retry-after=5,5", &[("retry-after", "5,5")]),
        ("retry-after=5 retry-after=9", &[("retry-after", "5"), ("retry-after", "9")]),
        ("retry-after=ms:1500", &[("x-ms-retry-after-ms", "1500")]),
        ("retry-after=soon", &[("retry-after", "soon")]),
        ("retry-after=-5", &[("retry-after", "-5")]),
        ("retry-after=99999999999999999999999", &[("retry-after", "99999999999999999999999")]),
        ("header=location:https://elsewhere.test/", &[("location", "https://elsewhere.test/")]),
    ] {
        for status in [429, 503] {
            let bench = scripted(&[&format!("PUT item: {status} {options}")]);
            let answer = put(&bench);
            assert_eq!(answer.status, status);
            let sent: Vec<(&str, &str)> = ["retry-after", "x-ms-retry-after-ms", "location"]
                .into_iter()
                .flat_map(|name| {
                    let values = answer.headers.get_all(name).iter();
                    values.map(move |value| (name, value.to_str().expect("text")))
                })
                .collect();
            assert_eq!(sent, expected, "{options}");
        }
    }
}

#[test]
fn an_answer_of_a_fault_has_the_usual_shape_and_says_what_it_is() {
    for (status, code) in [
        (400, "InvalidRequest"),
        (401, "InvalidAuthenticationToken"),
        (404, "ItemNotFound"),
        (408, "InvalidRequest"),
        (409, "NameAlreadyExists"),
        (429, "TooManyRequests"),
        (500, "generalException"),
        (503, "serviceNotAvailable"),
        (504, "UnknownError"),
        (509, "activityLimitReached"),
    ] {
        let bench = scripted(&[&format!("PUT item: {status}")]);
        let answer = put(&bench);
        assert_eq!(answer.status, status);
        assert_eq!(answer.json["error"]["code"], code);
        assert_eq!(answer.faults(), [("fault", "request")]);
        assert!(answer.header("request-id").is_some());
        assert!(!is_stored(&bench));
    }
    let bench = scripted(&["PUT item: 400 code=resourceBeingProvisioned", "GET item: 302"]);
    assert_eq!(put(&bench).json["error"]["code"], "resourceBeingProvisioned");
    let moved = bench.send("GET", ITEM, "");
    assert_eq!((moved.status.as_u16(), &*moved.text), (302, ""));
}

#[test]
fn what_is_refused_or_dropped_before_leaves_no_trace_and_what_is_stored_does() {
    for (effect, expected, stored) in [
        ("429", Ok(429), false),
        ("503 retry-after=1", Ok(503), false),
        ("html 502", Ok(502), false),
        ("reset", Err("the connection was closed without an answer"), false),
        ("hang", Err("no answer came within 100s"), false),
        ("hang 7", Err("the connection was closed without an answer"), false),
        ("503 latency=101", Err("no answer came within 100s"), false),
        ("pass latency=101", Err("no answer came within 100s"), true),
        ("pass latency=99", Ok(200), true),
        ("stored 500", Ok(500), true),
        ("stored 503", Ok(503), true),
        ("stored html 504", Ok(504), true),
        ("stored reset", Err("the connection was closed without an answer"), true),
        ("stored hang", Err("no answer came within 100s"), true),
        ("truncated", Err("the answer broke off after 0 of 64 bytes"), true),
    ] {
        let bench = scripted(&[&format!("PUT item: {effect} times=1")]);
        match expected {
            Ok(status) => {
                let put = request("PUT", ITEM, item(r#""title":"a""#));
                assert_eq!(bench.emulator.handle(&put).status(), status, "{effect}");
            }
            Err(why) => assert_eq!(failure(&bench), (Sent::Maybe, why.to_owned()), "{effect}"),
        }
        assert_eq!(is_stored(&bench), stored, "{effect}");
        assert_eq!(put(&bench).status, 200, "{effect}");
    }
}

#[test]
fn a_page_of_a_gateway_is_no_json_and_has_no_request_id() {
    let bench = scripted(&["PUT item: html 502 retry-after=3"]);
    let answer = bench.emulator.handle(&request("PUT", ITEM, item(r#""title":"a""#)));
    let page = std::str::from_utf8(answer.body()).expect("UTF-8");
    assert!(page.starts_with("<html>") && page.contains("502 Bad Gateway"), "{page}");
    assert_eq!(answer.headers()["content-type"], "text/html");
    assert_eq!(answer.headers()["retry-after"], "3");
    assert!(!answer.headers().contains_key("request-id"));
}

#[test]
fn a_truncated_answer_has_half_of_its_body() {
    let bench = scripted(&["GET item: truncated"]);
    assert_eq!(put(&bench).status, 200);
    let whole = bench.emulator.handle(&request("GET", ITEM.trim_end_matches('8'), ""));
    assert_eq!(whole.status(), 502, "the view of a gateway");
    let Outcome::Truncated { answer, announced, .. } =
        bench.emulator.deliver(&request("GET", ITEM, "")).outcome
    else {
        panic!("whole")
    };
    bench.emulator.clear_faults();
    let whole = bench.expect(200, "GET", ITEM, "").text;
    assert_eq!(answer.status(), 200);
    assert_eq!(&answer.body()[..], &whole.as_bytes()[..whole.len() / 2]);
    assert!(announced > whole.len());
}

#[test]
fn a_schema_may_be_refused_while_the_connection_is_young() {
    let bench = Bench::empty();
    bench.emulator.script("PATCH schema: 400 code=resourceBeingProvisioned within=20").unwrap();
    let schema = "/v1.0/external/connections/contosohr/schema";
    let body = r#"{"id":"contosohr","name":"Contoso HR"}"#;
    let register = |status| bench.expect(status, "PATCH", schema, support::SCHEMA);
    register(404);
    bench.wait(100_000);
    bench.expect(201, "POST", "/v1.0/external/connections", body);
    register(400);
    bench.wait(19_999);
    register(400);
    bench.expect(200, "GET", "/v1.0/external/connections/contosohr", "");
    bench.wait(1);
    register(202);
}

#[test]
fn latency_passes_on_the_clock_of_the_emulator_and_a_client_gives_up_in_time() {
    use std::sync::{Arc, Mutex};
    let slept = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&slept);
    let fault = "*: pass latency=2 times=1".parse().unwrap();
    let options = Options { faults: vec![fault, "*: hang".parse().unwrap()], ..Options::default() };
    let emulator =
        Emulator::with_time(options, || Duration::ZERO, move |time| log.lock().unwrap().push(time));
    let send = || -> Result<_, Failure> {
        let mut options = SendOptions::default();
        options.timeout = 5 * SECOND;
        emulator.send(request("GET", "/v1.0/external/connections", ""), &options)
    };
    assert_eq!(send().expect("an answer").status(), 200);
    assert!(send().is_err());
    assert_eq!(*slept.lock().unwrap(), [2 * SECOND, 5 * SECOND]);
}

fn put_as(bench: &Bench, id: &str, name: &str) -> u16 {
    let target = ITEM.replace("TSP228082938", name);
    let set = |headers: &mut HeaderMap| {
        headers.insert("client-request-id", id.parse().expect("a header"));
    };
    bench.send_with("PUT", &target, item(r#""title":"a""#), set).status.as_u16()
}

#[test]
fn who_comes_back_before_the_told_time_is_recorded() {
    for (told, wait) in [
        ("retry-after=7", 7_000),
        ("retry-after=1.5", 1_500),
        ("retry-after=0.25", 250),
        ("retry-after=date:30", 30_000),
        ("retry-after=5,5", 5_000),
        ("retry-after=ms:1500", 1_500),
    ] {
        let bench = scripted(&[&format!("PUT item: 429 {told} times=1")]);
        assert_eq!(put_as(&bench, "a", "1"), 429);
        bench.wait(wait - 1);
        assert_eq!(put_as(&bench, "a", "1"), 200);
        assert_eq!(put_as(&bench, "b", "2"), 200);
        bench.wait(1);
        assert_eq!(put_as(&bench, "a", "1"), 200);
        assert_eq!(put_as(&bench, "b", "2"), 200);
        let early = bench.emulator.early_calls();
        assert_eq!(early.len(), 2, "{told}: {early:?}");
        assert_eq!(early[0].at, Duration::from_millis(1_000 + wait - 1));
        assert_eq!(early[0].early_by, Duration::from_millis(1));
        assert_eq!(early[0].client_request_id.as_deref(), Some("a"));
        assert!(early[0].same_call && !early[1].same_call);
        assert_eq!(
            early[1].to_string(),
            "PUT /v1.0/external/connections/contosohr/items/2: early by 0.001 s, as another call \
             of its lane was told"
        );
    }
}

#[test]
fn who_waits_or_is_told_nothing_is_not_early() {
    for told in ["", "retry-after=soon", "retry-after=-5", "retry-after=0", "retry-after=date:-9"] {
        let bench = scripted(&[&format!("PUT item: 429 {told} times=2")]);
        assert_eq!([put_as(&bench, "a", "1"), put_as(&bench, "a", "1")], [429, 429]);
        assert_eq!(put_as(&bench, "b", "1"), 200);
        assert_eq!(bench.emulator.early_calls(), [], "{told}");
    }
    // No answer tells nothing.
    let bench = scripted(&["PUT item: reset retry-after=7 times=1"]);
    assert_eq!([put_as(&bench, "a", "1"), put_as(&bench, "a", "1")], [502, 200]);
    assert_eq!(bench.emulator.early_calls(), []);
}

#[test]
fn a_429_holds_its_lane_and_a_503_only_its_own_call() {
    let other = "/v1.0/external/connections/other";
    let send = |bench: &Bench, method, target: &str| {
        bench.send(method, target, "");
    };
    let bench = scripted(&["PUT item: 429 retry-after=10 times=1"]);
    assert_eq!(put_as(&bench, "a", "1"), 429);
    for target in [other, "/v1.0/external/connections", "/v1.0/me/activities"] {
        send(&bench, "GET", target);
    }
    assert_eq!(bench.emulator.early_calls(), []);
    send(&bench, "GET", "/beta/external/connections/contosohr");
    send(&bench, "DELETE", ITEM);
    assert_eq!(bench.emulator.early_calls().len(), 2);

    let bench = scripted(&["GET activities: 429 retry-after=10 times=1"]);
    send(&bench, "GET", "/v1.0/me/activities");
    send(&bench, "GET", "/v1.0/external/connections/contosohr");
    assert_eq!(bench.emulator.early_calls(), []);
    send(&bench, "DELETE", "/v1.0/me/activities/1");
    assert_eq!(bench.emulator.early_calls().len(), 1);

    // Groups have one lane, whichever the connection.
    let bench = scripted(&["POST group: 429 retry-after=10 times=1"]);
    let groups = "/v1.0/external/connections/contosohr/groups";
    assert_eq!(bench.send("POST", groups, r#"{"id":"teamx"}"#).status, 429);
    send(&bench, "GET", "/v1.0/external/connections/contosohr");
    assert_eq!(bench.emulator.early_calls(), []);
    send(&bench, "GET", &format!("{other}/groups/teamx"));
    assert_eq!(bench.emulator.early_calls().len(), 1);

    let bench = scripted(&["PUT item: 503 retry-after=10 times=1"]);
    assert_eq!(put_as(&bench, "a", "1"), 503);
    assert_eq!(put_as(&bench, "b", "1"), 200);
    assert_eq!(bench.emulator.early_calls(), []);
    assert_eq!(put_as(&bench, "a", "1"), 200);
    assert_eq!(bench.emulator.early_calls().len(), 1);
}

#[test]
fn lanes_are_judged_where_the_program_gives_the_time_or_says_so() {
    let judged = |mode, clock: fn(Options) -> Emulator| {
        let fault = "*: 429 retry-after=100 times=1".parse().unwrap();
        let emulator =
            clock(Options { faults: vec![fault], early_calls: mode, ..Options::default() });
        for _ in 0..2 {
            emulator.handle(&request("GET", "/v1.0/external/connections/contosohr", ""));
        }
        emulator.early_calls().len()
    };
    let given = |options| Emulator::with_clock(options, || Duration::ZERO);
    assert_eq!(judged(EarlyCalls::ByClock, given), 1);
    assert_eq!(judged(EarlyCalls::ByClock, Emulator::new), 0);
    assert_eq!(judged(EarlyCalls::ByLane, Emulator::new), 1);
    assert_eq!(judged(EarlyCalls::ByCall, given), 0);
}
