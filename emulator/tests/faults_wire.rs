//! Faults as a client on a socket sees them, and what is stored then.

#[path = "support/raw.rs"]
mod raw;
mod support;

use std::{
    io::{ErrorKind, Read as _},
    time::{Duration, Instant},
};

use graphfeed_emulator::server::Server;
use raw::{Raw, head};
use support::{Bench, ITEM, item};

fn scripted(fault: &str) -> (Bench, Server) {
    let bench = Bench::ready();
    bench.emulator.script(fault).unwrap_or_else(|why| panic!("{fault}: {why}"));
    let server = Server::start(bench.emulator.clone(), "127.0.0.1:0").expect("a server");
    (bench, server)
}

/// Sends an item on a connection that has carried a request before.
fn put(server: &Server) -> Raw {
    let mut raw = Raw::open(server.address());
    assert_eq!(raw.exchange("GET", "/v1.0/external/connections", "").status, 200);
    let body = item(r#""title":"a""#);
    raw.send(head("PUT", ITEM, &format!("Content-Length: {}", body.len()))).send(body);
    raw
}

fn is_stored(bench: &Bench) -> bool {
    !bench.emulator.items("contosohr").is_empty()
}

#[test]
fn an_answer_of_a_fault_leaves_the_connection_as_it_is() {
    for (effect, status, header, stored) in [
        ("429 retry-after=1.5", 429, "retry-after: 1.5\r\n", false),
        ("503 retry-after=5,5", 503, "retry-after: 5,5\r\n", false),
        ("429 retry-after=soon", 429, "retry-after: soon\r\n", false),
        ("429 retry-after=-5", 429, "retry-after: -5\r\n", false),
        (
            "429 retry-after=99999999999999999999",
            429,
            "retry-after: 99999999999999999999\r\n",
            false,
        ),
        ("429 retry-after=date:29", 429, "retry-after: thu, 01 jan 2026 00:00:30 gmt\r\n", false),
        ("429 retry-after=ms:1500", 429, "x-ms-retry-after-ms: 1500\r\n", false),
        ("429 retry-after=1 retry-after=2", 429, "retry-after: 1\r\nretry-after: 2\r\n", false),
        ("html 502", 502, "content-type: text/html\r\n", false),
        ("stored 500", 500, "request-id: ", true),
        ("stored html 504", 504, "content-type: text/html\r\n", true),
        (
            "302 header=location:http://elsewhere.test/a",
            302,
            "location: http://elsewhere.test/a\r\n",
            false,
        ),
    ] {
        let (bench, server) = scripted(&format!("PUT item: {effect} times=1"));
        let mut raw = put(&server);
        let answer = raw.answer().expect("an answer");
        assert_eq!(answer.status, status, "{effect}");
        assert!(answer.head.contains(header), "{effect}: {}", answer.head);
        assert_eq!(is_stored(&bench), stored, "{effect}");
        assert_eq!(raw.exchange("PUT", ITEM, &item(r#""title":"a""#)).status, 200, "{effect}");
    }
}

#[test]
fn a_reset_closes_the_connection_without_an_answer() {
    for (effect, stored) in [("reset", false), ("stored reset", true), ("hang 0.05", false)] {
        let (bench, server) = scripted(&format!("PUT item: {effect} times=1"));
        assert_eq!(put(&server).closed(), 0, "{effect}");
        assert_eq!(is_stored(&bench), stored, "{effect}");
        assert_eq!(put(&server).answer().expect("an answer").status, 200, "{effect}");
    }
}

#[test]
fn a_truncated_answer_announces_more_than_comes() {
    let (bench, server) = scripted("item: truncated");
    for (method, body) in [("PUT", item(r#""title":"a""#)), ("GET", String::new())] {
        let mut raw = Raw::open(server.address());
        raw.send(head(method, ITEM, &format!("Content-Length: {}", body.len()))).send(&body);
        let mut text = String::new();
        raw.0.read_to_string(&mut text).expect("closed in order");
        let (head, came) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let announced = head.to_lowercase();
        let announced = announced.lines().find_map(|line| line.strip_prefix("content-length: "));
        let announced: usize = announced.expect("a length").parse().expect("a number");
        assert!(announced >= came.len() + 64, "{announced} and {}", came.len());
        match method {
            "GET" => assert!(came.starts_with("{\"@odata.context\"") && !came.ends_with('}')),
            _ => assert_eq!(came, ""),
        }
    }
    assert!(is_stored(&bench));
}

#[test]
fn a_large_answer_that_breaks_off_comes_as_far_as_it_goes() {
    let (bench, server) = scripted("GET item: truncated");
    let content = format!(r#""content":{{"type":"text","value":"{}"}}"#, "a".repeat(1_000_000));
    bench.expect(200, "PUT", ITEM, support::item_with(&content));
    let mut raw = Raw::open(server.address());
    raw.send(head("GET", ITEM, "A: b"));
    let came = raw.closed();
    assert!((500_000..502_000).contains(&came), "{came}");
}

#[test]
fn what_hangs_says_nothing_and_holds_up_nobody_else() {
    let (bench, server) = scripted("PUT item: hang times=1");
    let raw = put(&server);
    raw.0.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let error = (&raw.0).read(&mut [0]).expect_err("silence");
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    assert!(!is_stored(&bench));
    let began = Instant::now();
    assert_eq!(put(&server).answer().expect("an answer").status, 200);
    assert!(began.elapsed() < Duration::from_secs(5));
    // A server that is dropped waits for it a second at most.
    drop(server);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn latency_comes_before_the_answer() {
    let (_bench, server) = scripted("PUT item: pass latency=0.2");
    let began = Instant::now();
    assert_eq!(put(&server).answer().expect("an answer").status, 200);
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
}

#[test]
fn a_batch_takes_the_time_of_its_requests_and_others_are_answered_meanwhile() {
    let (bench, server) = scripted("GET item: pass latency=0.4");
    bench.emulator.set_latency(Some("0.05".parse().expect("a latency")));
    let url = ITEM.strip_prefix("/v1.0").expect("a version");
    let request = |id: u8| format!(r#"{{"id":"{id}","method":"GET","url":"{url}"}}"#);
    let body = format!(r#"{{"requests":[{},{}]}}"#, request(1), request(2));
    let began = Instant::now();
    let mut batch = Raw::open(server.address());
    let length = format!("Content-Length: {}", body.len());
    batch.send(head("POST", "/v1.0/$batch", &length)).send(&body);
    assert_eq!(put(&server).answer().expect("an answer").status, 200);
    assert!(began.elapsed() >= Duration::from_millis(50), "{:?}", began.elapsed());
    let answer = batch.answer().expect("an answer");
    assert!(began.elapsed() >= Duration::from_millis(450), "{:?}", began.elapsed());
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body.matches(r#""status":"#).count(), 2, "{}", answer.body);
}

#[test]
fn an_early_call_is_noticed_over_the_wire_too() {
    let (bench, server) = scripted("PUT item: 429 retry-after=60 times=1");
    let body = item(r#""title":"a""#);
    let send = |id: &str| {
        let headers = format!("Content-Length: {}\r\nClient-Request-Id: {id}", body.len());
        let mut raw = Raw::open(server.address());
        raw.send(head("PUT", ITEM, &headers)).send(&body).answer().expect("an answer").status
    };
    assert_eq!([send("one"), send("one")], [429, 200]);
    let early = bench.emulator.early_calls();
    assert_eq!(early.len(), 1);
    assert_eq!(early[0].client_request_id.as_deref(), Some("one"));
    assert_eq!(early[0].early_by, Duration::from_secs(60));
}
