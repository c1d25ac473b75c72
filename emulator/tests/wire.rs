//! HTTP/1.1 as a client sees it: keep-alive, chunks, `Expect`, bodies that are too long.

#[path = "support/raw.rs"]
mod raw;
mod support;

use graphfeed_emulator::{Options, server::Server};
use raw::{Raw, head};
use support::{Bench, ITEM, item, item_with, user_activity};

fn start(bench: &Bench) -> Server {
    Server::start(bench.emulator.clone(), "127.0.0.1:0").expect("a server")
}

#[test]
fn one_connection_carries_many_requests_and_the_answers_are_those_of_the_service() {
    let bench = Bench::ready();
    let server = start(&bench);
    assert_eq!(server.url(), format!("http://{}", server.address()));
    let mut raw = Raw::open(server.address());
    let answer = raw.exchange("PUT", ITEM, &item(r#""title":"a""#));
    assert_eq!((answer.status, &*answer.body), (200, ""));
    assert!(!answer.head.contains("content-type"), "{}", answer.head);
    assert!(answer.head.contains("content-length: 0"), "{}", answer.head);
    let answer = raw.exchange("GET", ITEM, "");
    let direct = bench.expect(200, "GET", ITEM, "").text;
    assert_eq!(answer.body, direct.replace("emulator.test", "here.test"));
    let answer = raw.exchange("PUT", ITEM, "{");
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("body-json"), "{}", answer.body);
    assert!(answer.head.contains("date: thu, 01 jan 2026 00:00:01 gmt"), "{}", answer.head);
    assert_eq!(raw.exchange("DELETE", ITEM, "").status, 204);
    assert_eq!(raw.exchange("GET", ITEM, "").status, 404);
}

#[test]
fn requests_that_come_together_are_answered_in_order() {
    let bench = Bench::ready();
    let server = start(&bench);
    let body = item(r#""title":"a""#);
    let put = head("PUT", ITEM, &format!("Content-Length: {}", body.len())) + &body;
    let mut raw = Raw::open(server.address());
    raw.send(put.clone() + &head("DELETE", ITEM, "A: b") + &head("GET", ITEM, "A: b") + &put);
    let statuses: Vec<u16> = (0..4).map(|_| raw.answer().expect("an answer").status).collect();
    assert_eq!(statuses, [200, 204, 404, 200]);
}

#[test]
fn the_target_reaches_the_service_as_it_was_sent() {
    let bench = Bench::ready();
    let server = start(&bench);
    let mut raw = Raw::open(server.address());
    for (target, id, status) in [
        ("/v1.0/me/activities/%2Farticle%3F12345", "/article?12345", 201),
        ("/v1.0/me/activities/%2farticle%3f12345", "/article?12345", 200),
        ("/v1.0/me/activities/a%00b%E2%82%AC", "a\\u0000b€", 201),
        ("/v1.0/me/activities/../activities/a", "a", 400),
        ("/v1.0/me/activities/a;b", "a;b", 400),
        ("/v1.0/me/activities//article?12345", "/article?12345", 400),
    ] {
        let answer = raw.exchange("PUT", target, &user_activity(id, ""));
        assert_eq!(answer.status, status, "{target}: {}", answer.body);
    }
}

#[test]
fn a_body_may_come_in_chunks_of_any_size() {
    let bench = Bench::ready();
    let server = start(&bench);
    let mut raw = Raw::open(server.address());
    raw.send(head("PUT", ITEM, "Transfer-Encoding: chunked"));
    for byte in item(r#""priority":7"#).bytes() {
        raw.send([b"1\r\n".as_slice(), &[byte], b"\r\n"].concat());
    }
    raw.send("0\r\n\r\n");
    assert_eq!(raw.answer().expect("an answer").status, 200);
    let stored = bench.emulator.item("contosohr", "TSP228082938").expect("stored");
    assert_eq!(stored.properties[0].json, "7");
}

#[test]
fn a_client_that_expects_100_is_told_to_continue() {
    let bench = Bench::ready();
    let server = start(&bench);
    let mut raw = Raw::open(server.address());
    let body = item(r#""title":"a""#);
    let headers = format!("Expect: 100-continue\r\nContent-Length: {}", body.len());
    raw.send(head("PUT", ITEM, &headers));
    assert_eq!(raw.answer().expect("an interim answer").status, 100);
    assert_eq!(raw.send(body).answer().expect("an answer").status, 200);
}

#[test]
fn a_body_over_the_limit_is_read_to_its_end_and_the_connection_lives_on() {
    let bench = Bench::ready();
    let server = start(&bench);
    let mut raw = Raw::open(server.address());
    let long =
        item_with(&format!(r#""content":{{"type":"text","value":"{}"}}"#, "a".repeat(6_000_000)));
    let answer = raw.exchange("PUT", ITEM, &long);
    assert_eq!(answer.status, 413);
    assert!(answer.body.contains("\"body-size\""), "{}", answer.body);
    assert!(answer.body.contains(&long.len().to_string()), "{}", answer.body);
    assert_eq!(raw.exchange("PUT", ITEM, &item(r#""title":"a""#)).status, 200);

    let large =
        item_with(&format!(r#""content":{{"type":"text","value":"{}"}}"#, "a".repeat(3_900_000)));
    assert_eq!(raw.exchange("PUT", ITEM, &large).status, 200);
    assert_eq!(raw.exchange("GET", ITEM, "").body.matches('a').count() / 3_900_000, 1);
}

#[test]
fn a_body_over_the_limit_is_not_what_is_wrong_first() {
    let bench = Bench::ready();
    let server = start(&bench);
    for (length, closes) in [(4_000_001, false), (16_000_001, true)] {
        let exchange = |head: String| {
            let mut raw = Raw::open(server.address());
            raw.send(head);
            if !closes {
                raw.send(" ".repeat(length));
            }
            raw.answer().expect("an answer")
        };
        let sized = format!("Content-Length: {length}");
        let answer = exchange(head("PUT", ITEM, &sized).replace("Authorization", "X"));
        assert_eq!(answer.status, 401, "{}", answer.body);
        assert_eq!(answer.head.contains("connection: close"), closes, "{}", answer.head);
        let answer = exchange(head("PUT", "/v1.0/me/drive", &sized));
        assert_eq!(answer.status, 501, "{}", answer.body);
        let answer = exchange(head("PUT", ITEM, &sized));
        assert_eq!(answer.status, 413, "{}", answer.body);
        let said = format!("the body has {length} bytes, 4000000 are allowed");
        assert!(answer.body.contains(&said), "{}", answer.body);
        assert!(answer.body.contains(r#""target":"$""#), "{}", answer.body);
    }
    assert_eq!(bench.emulator.count("PUT item"), 4);
}

#[test]
fn a_body_over_the_limit_is_refused_on_the_control_path_too() {
    let bench = Bench::of(Options { control: true, ..Options::default() });
    let server = start(&bench);
    let mut raw = Raw::open(server.address());
    let answer = raw.exchange("POST", "/__emulator/faults", &"\n".repeat(4_000_001));
    assert_eq!(answer.status, 413);
    assert_eq!(answer.body, r#"{"error":"the body is over the limit (switch body-limit)"}"#);
    assert_eq!(raw.exchange("POST", "/__emulator/reset", "").status, 204);
}

#[test]
fn a_body_beyond_16_mb_is_answered_at_once_and_the_connection_closed() {
    let bench = Bench::ready();
    let server = start(&bench);
    let mut raw = Raw::open(server.address());
    raw.send(head("PUT", ITEM, "Content-Length: 16000001"));
    let answer = raw.answer().expect("an answer");
    assert_eq!(answer.status, 413);
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert_eq!(raw.closed(), 0);

    // In chunks, nothing announces the length.
    let mut raw = Raw::open(server.address());
    raw.send(head("PUT", ITEM, "Transfer-Encoding: chunked"));
    let chunk = format!("f4240\r\n{}\r\n", " ".repeat(1_000_000));
    for _ in 0..17 {
        raw.send(&chunk);
    }
    let answer = raw.answer().expect("an answer");
    assert_eq!(answer.status, 413);
    assert!(answer.body.contains(" bytes or more, 4000000 are allowed"), "{}", answer.body);
    assert_eq!(bench.emulator.items("contosohr"), []);
}

#[test]
fn a_server_that_is_dropped_is_gone_and_its_state_is_not() {
    let bench = Bench::ready();
    let server = start(&bench);
    let address = server.address();
    let mut raw = Raw::open(address);
    assert_eq!(raw.exchange("PUT", ITEM, &item(r#""title":"a""#)).status, 200);
    drop(server);
    assert_eq!(raw.closed(), 0);
    assert!(std::net::TcpStream::connect(address).is_err());
    let server = start(&bench);
    assert_eq!(Raw::open(server.address()).exchange("GET", ITEM, "").status, 200);
}

#[test]
fn an_address_in_use_is_an_error() {
    let bench = Bench::empty();
    let server = start(&bench);
    let error = Server::start(bench.emulator, server.address()).expect_err("in use");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn a_link_to_the_next_page_leads_back_here() {
    let bench = Bench::empty();
    for id in ["a", "b"] {
        bench.expect(201, "PUT", &format!("/v1.0/me/activities/{id}"), user_activity(id, ""));
    }
    let server = start(&bench);
    let mut raw = Raw::open(server.address());
    let page = raw.exchange("GET", "/v1.0/me/activities?$top=1", "").body;
    let (_, rest) = page.split_once(r#""@odata.nextLink":"http://here.test"#).expect(&page);
    let (link, rest) = rest.split_once('"').expect(&page);
    assert!(rest.contains(r#""appActivityId":"b""#), "{page}");
    let page = raw.exchange("GET", link, "");
    assert_eq!(page.status, 200);
    assert!(page.body.contains(r#""appActivityId":"a""#), "{}", page.body);
    assert!(!page.body.contains("nextLink"), "{}", page.body);
}
