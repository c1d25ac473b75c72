//! What holds for any request: its ids, its headers, its path, its size.

mod support;

use bytes::Bytes;
use graphfeed_core::client::{SendOptions, Sent, Transport as _};
use graphfeed_emulator::Verdict;
use support::{Bench, ITEM, item, request, user_activity};

#[test]
fn each_answer_names_its_request_and_the_time() {
    let bench = Bench::ready();
    let answer = bench.send_with("GET", ITEM, "", |headers| {
        headers.insert("client-request-id", "my-own-1".parse().expect("a value"));
    });
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("client-request-id"), Some("my-own-1"));
    assert_eq!(answer.header("date"), Some("Thu, 01 Jan 2026 00:00:01 GMT"));
    let inner = &answer.json["error"]["innerError"];
    assert_eq!(inner["client-request-id"], "my-own-1");
    assert_eq!(inner["request-id"].as_str(), answer.header("request-id"));
    assert_eq!(inner["date"], "2026-01-01T00:00:01");

    let other = bench.send("GET", ITEM, "");
    assert_eq!(other.header("client-request-id"), other.header("request-id"));
    assert_ne!(other.header("request-id"), answer.header("request-id"));
}

#[test]
fn the_same_requests_get_the_same_answers() {
    let run = || {
        let bench = Bench::ready();
        let put = bench.send("PUT", "/v1.0/me/activities/a", user_activity("a", ""));
        let patch =
            bench.send("PATCH", "/v1.0/external/connections/contosohr/schema", support::SCHEMA);
        (put.text, format!("{:?}", put.headers), format!("{:?}", patch.headers))
    };
    assert_eq!(run(), run());
}

#[test]
fn a_400_hides_its_cause_where_the_service_does_and_others_tell_it() {
    let bench = Bench::ready();
    let error = bench.expect(400, "PUT", ITEM, "{}").json["error"].clone();
    assert_eq!(error["code"], "InvalidRequest");
    assert_eq!(error["message"], "The request is malformed or incorrect.");
    let error = bench.expect(404, "GET", ITEM, "").json["error"].clone();
    assert_eq!(error["code"], "ItemNotFound");
    assert_eq!(error["message"], error["innerError"]["message"]);
}

#[test]
fn a_route_that_is_not_here_names_itself_and_the_nearest_that_is() {
    let bench = Bench::ready();
    let routes = [
        (
            "GET",
            "/beta/me/activities/1/historyItems",
            "historyItems;",
            "PUT /v1.0/me/activities/{activity}/historyItems/{historyItem}",
        ),
        (
            "POST",
            "/v1.0/external/connections/contosohr/fullRefresh/start",
            "start;",
            "is POST /v1.0/external/connections",
        ),
        (
            "GET",
            "/beta/external/connections/contosohr/quota/left",
            "left;",
            "GET /beta/external/connections/{connection}/quota",
        ),
        ("DELETE", "/v1.0/external/connections/contosohr/quota", "quota;", "is GET /beta/"),
        ("GET", "/beta/me/drive", "GET /beta/me/drive;", "GET /v1.0/me/activities"),
        ("POST", "/oauth2/v2.0/token", "/oauth2/v2.0/token;", "/v1.0/external/connections"),
        ("GET", "/", "GET /;", "/v1.0/external/connections"),
    ];
    for (method, target, said, nearest) in routes {
        let answer = bench.expect(501, method, target, "");
        assert_eq!(answer.faults(), [("not-implemented", "path")]);
        let message = answer.json["error"]["message"].as_str().expect("a message");
        assert!(message.contains(&format!("{method} {target}")), "{message}");
        assert!(message.contains(said) && message.contains(nearest), "{message}");
    }
    for (method, target, allowed) in [
        ("DELETE", "/v1.0/external/connections", "POST, GET"),
        ("POST", ITEM, "PUT, GET, PATCH, DELETE"),
        ("POST", &ITEM.replace("v1.0", "beta"), "PUT, GET, DELETE"),
        ("DELETE", "/beta/external/connections/contosohr/quota", "GET"),
    ] {
        let answer = bench.expect(405, method, target, "");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {target}");
    }
}

#[test]
fn an_id_of_any_length_leaves_a_message_short() {
    let bench = Bench::ready();
    bench.expect(200, "PUT", ITEM, item(r#""title":"a""#));
    let long = "a".repeat(60_000);
    let cut = "\"".to_owned() + &"a".repeat(60) + "\"...";
    let connections = "/v1.0/external/connections";
    let requests = [
        (404, "GET", format!("{connections}/{long}")),
        (404, "GET", format!("{connections}/contosohr/operations/{long}")),
        (404, "DELETE", format!("/v1.0/me/activities/{long}")),
        (400, "GET", format!("{connections}/contosohr/items/{long}")),
        (400, "GET", format!("{connections}/contosohr/items/{long}:")),
        (400, "GET", format!("{connections}/contosohr/items/{long}%")),
        (400, "GET", format!("{connections}/contosohr/items/{long}%ff")),
        (400, "GET", format!("{connections}?{long}=%ff")),
        (400, "GET", format!("/v1.0/me/activities?$expand={long}")),
        (400, "GET", format!("/v1.0/me/activities/recent?$filter={long}")),
        (400, "GET", format!("/v1.0/me/activities?$top={long}")),
    ];
    for (status, method, target) in requests {
        let answer = bench.expect(status, method, &target, "");
        assert!(answer.cause().contains(&cut), "{}", answer.cause());
        assert!(answer.text.len() < 2_000, "{}", answer.text.len());
    }
    for (status, target) in [
        (501, format!("/v1.0/{long}")),
        (501, format!("{connections}?${long}")),
        (405, format!("{connections}/contosohr/items/{long}/addActivities")),
    ] {
        let answer = bench.expect(status, "GET", &target, "");
        assert!(answer.cause().contains("aaa..."), "{}", answer.cause());
        assert!(answer.text.len() < 2_000, "{}", answer.text.len());
    }
}

#[test]
fn a_character_that_is_not_escaped_is_told_whole_as_it_has_to_be() {
    let bench = Bench::empty();
    for (id, escaped) in
        [("é", "%C3%A9"), ("a€b", "%E2%82%AC"), ("😀é", "%F0%9F%98%80"), (":", "%3A")]
    {
        let target = format!("/v1.0/me/activities/{id}");
        let answer =
            bench.refused("PUT", &target, user_activity(id, ""), &[("path-escape", "path")]);
        let end = format!("RFC 2396; write it {escaped} (switch path-reserved)");
        assert!(answer.cause().ends_with(&end), "{}", answer.cause());
    }
}

#[test]
fn a_literal_segment_may_be_escaped_and_a_query_without_dollar_means_nothing() {
    let bench = Bench::ready();
    bench.expect(200, "GET", "/v1.0/%65xternal/connections/contosohr?x=1&y", "");
}

#[test]
fn what_a_path_lets_pass_is_reported_for_requests_without_a_body_too() {
    let bench = Bench::with(|behaviour| behaviour.path_over_escaped = Verdict::Report);
    bench.expect(404, "DELETE", "/v1.0/me/activities/%31", "");
    let reports = bench.emulator.take_reports();
    assert_eq!(reports.len(), 1);
    assert_eq!((reports[0].rule.name(), &*reports[0].target), ("path-escape", "path"));
    assert_eq!(reports[0].request, "DELETE /v1.0/me/activities/%31");
}

#[test]
fn the_body_may_have_four_million_bytes_and_not_one_more() {
    let bench = Bench::ready();
    let frame =
        item(r#""title":"a""#).replacen('{', r#"{"content":{"type":"text","value":""},"#, 1);
    let fill = |length: usize| {
        frame.replacen(
            r#""value":"""#,
            &format!(r#""value":"{}""#, "a".repeat(length - frame.len())),
            1,
        )
    };
    bench.expect(200, "PUT", ITEM, fill(4_000_000));
    let answer = bench.refused("PUT", ITEM, fill(4_000_001), &[("body-size", "$")]);
    assert_eq!(answer.status, 413);
    assert_eq!(
        answer.cause(),
        "the body has 4000001 bytes, 4000000 are allowed; shorten the content or split what is \
         sent (switch body-limit)"
    );
    // Also where nobody would look at it.
    assert_eq!(bench.refused("GET", ITEM, fill(4_000_001), &[("body-size", "$")]).status, 413);
    // What is wrong with the request besides comes first.
    let answer = bench.send_with("PUT", ITEM, fill(4_000_001), |headers| {
        headers.remove("authorization");
    });
    assert_eq!((answer.status.as_u16(), answer.faults()[0].0), (401, "token"));
    bench.expect(501, "PUT", "/v1.0/me/drive", fill(4_000_001));
    bench.expect(405, "POST", ITEM, fill(4_000_001));

    let bench = Bench::ready_with(|behaviour| {
        behaviour.body_limit = 2_000;
        behaviour.body_size_413 = false;
    });
    let answer = bench.refused("PUT", ITEM, " ".repeat(2_001), &[("body-size", "$")]);
    assert_eq!(answer.status, 400);

    let bench = Bench::ready_with(|behaviour| behaviour.read_limit = 2_000);
    let answer = bench.refused("PUT", ITEM, " ".repeat(2_001), &[("body-size", "$")]);
    assert!(answer.cause().contains("2001 bytes, 2000 are allowed"), "{}", answer.text);
    assert!(answer.cause().ends_with(" (switch read-limit)"), "{}", answer.text);
}

#[test]
fn a_body_with_a_million_faults_gets_a_short_answer() {
    let bench = Bench::ready();
    let body = format!(r#"{{"acl":[{}0],"properties":{{"title":"a"}}}}"#, "0,".repeat(1_000_000));
    let answer = bench.expect(400, "PUT", ITEM, body);
    assert_eq!(answer.faults().len(), 200);
    assert!(answer.text.len() < 100_000);
}

#[test]
fn it_is_a_transport_that_reads_absolute_targets() {
    let bench = Bench::ready();
    let target = format!("https://graph.microsoft.com{ITEM}");
    let send = |method, target: &str, body: String, options: &SendOptions| {
        bench.emulator.send(request(method, target, Bytes::from(body)), options)
    };
    let mut options = SendOptions::default();
    let answer = send("PUT", &target, item(r#""title":"a""#), &options).expect("an answer");
    assert_eq!(answer.status(), 200);
    let schema = "https://graph.microsoft.com/beta/external/connections/contosohr/schema";
    let answer = send("PATCH", schema, support::SCHEMA.to_owned(), &options).expect("an answer");
    let location = answer.headers()["location"].to_str().expect("text");
    assert!(location.starts_with(
        "https://graph.microsoft.com/beta/external/connections/contosohr/operations/"
    ));

    options.max_body = 10;
    let failure = send("GET", &target, String::new(), &options).expect_err("too long");
    assert_eq!(failure.sent(), Sent::Maybe);
}

#[test]
fn time_does_not_run_backwards() {
    use std::time::Duration;
    let bench = Bench::ready();
    let later = bench.emulator.handle_at(Duration::from_secs(60), &request("GET", ITEM, ""));
    let earlier = bench.emulator.handle_at(Duration::from_secs(30), &request("GET", ITEM, ""));
    assert_eq!(later.headers()["date"], earlier.headers()["date"]);
}
