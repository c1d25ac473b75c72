//! Batches: each request answers for itself, and what can become of the answer as a whole.

mod support;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use graphfeed_emulator::{
    Application, Authorization, BatchIdCase, BatchOrder, BatchThrottled, Options, Outcome,
};
use serde_json::{Value, json};
use support::{Answer, Bench, ITEM, item};

const CONTOSO: &str = "/external/connections/contosohr";

fn batch_of(requests: &Value) -> String {
    json!({ "requests": requests }).to_string()
}

/// A request that puts an item with a title.
fn put(id: &str, item_id: &str) -> Value {
    let body: Value = serde_json::from_str(&item(r#""title":"a""#)).expect("JSON");
    json!({"id": id, "method": "PUT", "url": format!("{CONTOSO}/items/{item_id}"),
        "headers": {"Content-Type": "application/json"}, "body": body})
}

fn get(id: &str, item_id: &str) -> Value {
    json!({"id": id, "method": "GET", "url": format!("{CONTOSO}/items/{item_id}")})
}

fn on(mut request: Value, ids: &[&str]) -> Value {
    request["dependsOn"] = json!(ids);
    request
}

fn send(bench: &Bench, requests: &Value) -> Answer {
    bench.expect(200, "POST", "/v1.0/$batch", batch_of(requests))
}

/// The responses by id. None has come twice.
fn by_id(answer: &Answer) -> BTreeMap<String, Value> {
    let responses = answer.json["responses"].as_array().expect("an array");
    let by_id: BTreeMap<String, Value> = responses
        .iter()
        .map(|response| (response["id"].as_str().expect("an id").to_owned(), response.clone()))
        .collect();
    assert_eq!(by_id.len(), responses.len());
    by_id
}

fn statuses(answer: &Answer) -> BTreeMap<String, u64> {
    let status = |response: &Value| response["status"].as_u64().expect("a number");
    by_id(answer).iter().map(|(id, response)| (id.clone(), status(response))).collect()
}

fn expected(all: &[(&str, u64)]) -> BTreeMap<String, u64> {
    all.iter().map(|(id, status)| ((*id).to_owned(), *status)).collect()
}

fn stored(bench: &Bench) -> Vec<String> {
    bench.emulator.items("contosohr").into_iter().map(|item| item.id).collect()
}

#[test]
fn each_request_is_carried_out_and_answered_as_if_it_had_come_by_itself() {
    let bench = Bench::ready();
    bench.expect(200, "PUT", ITEM, item(r#""title":"before""#));
    let bad = json!({"id": "bad", "method": "PUT", "url": format!("{CONTOSO}/items/b"),
        "headers": {"content-type": "application/json", "client-request-id": "mine"},
        "body": {"acl": []}});
    let answer = send(
        &bench,
        &json!([
            put("put", "a"),
            bad,
            get("get", "TSP228082938"),
            {"id": "gone", "method": "DELETE", "url": "external/connections/contosohr/items/none"},
            {"id": "route", "method": "GET", "url": "/planet?a=b"},
            {"id": "method", "method": "POST", "url": format!("{CONTOSO}/items/a"), "body": null},
            {"id": "schema", "method": "PATCH", "url": format!("{CONTOSO}/schema"), "body": {
                "baseType": "microsoft.graph.externalItem",
                "properties": serde_json::from_str::<Value>(support::SCHEMA).expect("JSON")["properties"],
            }, "headers": {"Content-Type": "application/json"}},
            {"id": "text", "method": "PUT", "url": format!("{CONTOSO}/items/b"), "body": "YQ==",
                "headers": {"Content-Type": "text/plain"}},
            {"id": "activity", "method": "DELETE", "url": "/me/activities/1", "atomicityGroup": "a"},
        ]),
    );
    let statuses_expected = [
        ("put", 200),
        ("bad", 400),
        ("get", 200),
        ("gone", 404),
        ("route", 501),
        ("method", 405),
        ("schema", 202),
        ("text", 415),
        ("activity", 404),
    ];
    assert_eq!(statuses(&answer), expected(&statuses_expected));
    let answers = by_id(&answer);
    assert_eq!(stored(&bench), ["TSP228082938", "a"]);
    assert_eq!(answers["put"].get("body"), None);
    assert_eq!(answers["get"]["body"]["properties"]["title"], "before");
    let alone = bench.expect(200, "GET", ITEM, "");
    assert_eq!(answers["get"]["body"], alone.json);
    assert_eq!(answers["get"]["headers"]["Content-Type"], alone.header("content-type").unwrap());
    let error = &answers["bad"]["body"]["error"];
    let faults = [("acl-required", "$.acl"), ("property-required", "$.properties")];
    assert_eq!(support::faults_of(error), faults);
    assert_eq!(error["innerError"]["client-request-id"], "mine");
    assert_eq!(answers["bad"]["headers"]["Client-Request-Id"], "mine");
    assert_eq!(answers["method"]["headers"]["Allow"], "PUT, GET, PATCH, DELETE");
    let location = answers["schema"]["headers"]["Location"].as_str().expect("a location");
    let root = format!("http://emulator.test/v1.0{CONTOSO}/operations/");
    assert!(location.starts_with(&root), "{location}");
    bench.expect(200, "GET", location.strip_prefix("http://emulator.test").unwrap(), "");
    assert_eq!(bench.emulator.count("PUT item"), 4);
    assert_eq!(bench.emulator.count("POST batch"), 1);
}

#[test]
fn a_batch_is_of_one_version_and_what_that_lacks_is_refused_for_itself() {
    let bench = Bench::ready();
    let quota = json!([{"id": "1", "method": "GET", "url": format!("{CONTOSO}/quota")}]);
    assert_eq!(statuses(&send(&bench, &quota)), expected(&[("1", 400)]));
    let beta = bench.expect(200, "POST", "/beta/$batch", batch_of(&quota));
    assert_eq!(statuses(&beta), expected(&[("1", 200)]));
}

#[test]
fn the_token_of_the_batch_is_judged_for_each_request() {
    let application = Application::new("app", "hush")
        .tenant("t")
        .role("ExternalItem.ReadWrite.OwnedBy")
        .role("ExternalConnection.ReadWrite.OwnedBy");
    let authorization =
        Authorization { applications: vec![application], ..Authorization::default() };
    let bench = Bench::of(Options { authorization: Some(authorization), ..Options::default() });
    let requests = json!([
        {"id": "1", "method": "GET", "url": "/external/connections"},
        {"id": "2", "method": "GET", "url": "/me/activities"},
        {"id": "3", "method": "GET", "url": CONTOSO},
    ]);
    let send = |token: &str| {
        bench.send_with("POST", "/v1.0/$batch", batch_of(&requests), |headers| {
            let value = format!("Bearer {token}").parse().expect("a header");
            headers.insert("authorization", value);
        })
    };
    let good = send(&bench.emulator.token("app").expect("registered"));
    assert_eq!(statuses(&good), expected(&[("1", 200), ("2", 403), ("3", 404)]));
    let bad = send("any");
    assert_eq!((bad.status.as_u16(), bad.faults()), (401, vec![("token", "header authorization")]));
}

#[test]
fn answers_come_in_an_order_that_the_seed_shuffles() {
    let order = |seed, as_sent| {
        let mut options = Options { seed, ..Options::default() };
        if as_sent {
            options.behaviour.batch_order = BatchOrder::AsSent;
        }
        let bench = Bench::of(options);
        let requests: Vec<Value> = (0..20).map(|id| get(&id.to_string(), "a")).collect();
        let answer = send(&bench, &json!(requests));
        let ids = answer.json["responses"].as_array().expect("an array").iter();
        ids.map(|each| each["id"].as_str().unwrap().parse().unwrap()).collect::<Vec<u32>>()
    };
    let sorted: Vec<u32> = (0..20).collect();
    assert_eq!(order(1, true), sorted);
    assert_eq!(order(1, false), order(1, false));
    assert_ne!(order(1, false), order(2, false));
    for seed in 0..20 {
        let mut shuffled = order(seed, false);
        assert_ne!(shuffled, sorted);
        shuffled.sort_unstable();
        assert_eq!(shuffled, sorted);
    }
}

#[test]
fn without_dependencies_the_order_of_a_batch_means_nothing() {
    let last = |seed, depends: bool| {
        let bench = Bench::of(Options { seed, ..Options::default() });
        bench.expect(201, "POST", "/v1.0/external/connections", r#"{"id":"contosohr","name":"a"}"#);
        bench.expect(202, "PATCH", &format!("/v1.0{CONTOSO}/schema"), support::SCHEMA);
        bench.wait(1_000);
        let delete = json!({"id": "2", "method": "DELETE", "url": format!("{CONTOSO}/items/a")});
        let delete = if depends { on(delete, &["1"]) } else { delete };
        send(&bench, &json!([put("1", "a"), delete]));
        stored(&bench).len()
    };
    let left: Vec<usize> = (0..20).map(|seed| last(seed, false)).collect();
    assert!(left.contains(&0) && left.contains(&1), "{left:?}");
    assert!((0..20).all(|seed| last(seed, true) == 0));
}

#[test]
fn what_depends_on_a_failure_is_not_carried_out() {
    for seed in 0..10 {
        let bench = Bench::of(Options { seed, ..Options::default() });
        bench.expect(201, "POST", "/v1.0/external/connections", r#"{"id":"contosohr","name":"a"}"#);
        bench.expect(202, "PATCH", &format!("/v1.0{CONTOSO}/schema"), support::SCHEMA);
        bench.wait(1_000);
        let answer = send(
            &bench,
            &json!([
                put("One", "a"),
                on(get("two", "none"), &["oNE"]),
                on(put("three", "b"), &["TWO"]),
                on(put("four", "c"), &["three"]),
            ]),
        );
        let all = [("One", 200), ("two", 404), ("three", 424), ("four", 424)];
        assert_eq!(statuses(&answer), expected(&all));
        let error = &by_id(&answer)["three"]["body"]["error"];
        assert_eq!(error["code"], "FailedDependency");
        assert_eq!(support::faults_of(error), [("failed-dependency", "dependsOn")]);
        assert_eq!(stored(&bench), ["a"]);
        assert_eq!(bench.emulator.reports(), []);
    }
}

#[test]
fn dependencies_of_another_pattern_are_reported() {
    let bench = Bench::ready();
    let reported = |requests: Value| {
        send(&bench, &requests);
        bench.emulator.take_reports().iter().map(|report| report.rule.name()).collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    let [a, b, c] = ["a", "b", "c"].map(|id| get(id, "x"));
    let on = |request: &Value, ids: &[&str]| on(request.clone(), ids);
    assert_eq!(reported(json!([a, on(&b, &["a"]), on(&c, &["b"])])), none, "serial");
    assert_eq!(reported(json!([a, b, on(&c, &["a"])])), none, "same");
    assert_eq!(reported(json!([a, on(&b, &["a"]), on(&c, &["a"])])), none, "same");
    assert_eq!(reported(json!([a, b, on(&c, &["a", "b"])])), ["batch-dependency"]);
    let d = get("d", "x");
    let mixed = json!([a, on(&b, &["a"]), c, on(&d, &["c"])]);
    assert_eq!(reported(mixed), ["batch-dependency"]);
}

#[test]
fn ids_come_back_in_the_letter_case_of_the_switch() {
    for (case, ids) in [
        (BatchIdCase::AsSent, ["Aa", "bB"]),
        (BatchIdCase::Lower, ["aa", "bb"]),
        (BatchIdCase::Upper, ["AA", "BB"]),
    ] {
        let bench = Bench::ready_with(|behaviour| behaviour.batch_id_case = case);
        let answer = send(&bench, &json!([get("Aa", "a"), get("bB", "a")]));
        assert_eq!(by_id(&answer).into_keys().collect::<Vec<_>>(), ids);
    }
}

#[test]
fn a_part_that_a_fault_leaves_without_an_answer_is_missing_or_a_gateways() {
    let bench = Bench::ready();
    for fault in [
        "PUT /external/connections/contosohr/items/a: stored reset",
        "PUT /external/connections/contosohr/items/b: reset",
        "PUT /external/connections/contosohr/items/c: truncated",
        "PUT /external/connections/contosohr/items/d: hang 7",
        "PUT /external/connections/contosohr/items/e: html 502",
        "PUT /external/connections/contosohr/items/f: 429 retry-after=0.249 retry-after=5 code=Slow",
    ] {
        bench.emulator.script(fault).expect(fault);
    }
    let ids = ["a", "b", "c", "d", "e", "f", "g"];
    let requests: Vec<Value> = ids.iter().map(|id| put(id, id)).collect();
    let answer = send(&bench, &json!(requests));
    let all = [("c", 502), ("d", 504), ("e", 502), ("f", 429), ("g", 200)];
    assert_eq!(statuses(&answer), expected(&all));
    assert_eq!(stored(&bench), ["a", "c", "g"]);
    let answers = by_id(&answer);
    assert_eq!(answers["f"]["headers"]["Retry-After"], "0.249,5");
    assert_eq!(answers["f"]["body"]["error"]["code"], "Slow");
    // A body that is no JSON is base64: `<html>` and so on.
    let page = answers["e"]["body"].as_str().expect("a string");
    assert!(page.starts_with("PGh0bWw+DQo"), "{page}");

    let request = support::request("POST", "/v1.0/$batch", batch_of(&json!(requests)));
    assert_eq!(bench.emulator.deliver(&request).latency, Duration::from_secs(7));
    // What depends on an answer that is missing cannot have its success.
    bench.emulator.clear_faults();
    bench.emulator.script("PUT item: stored reset times=1").expect("a fault");
    let answer = send(&bench, &json!([put("1", "h"), on(put("2", "i"), &["1"])]));
    assert_eq!(statuses(&answer), expected(&[("2", 424)]));
    assert_eq!(stored(&bench), ["a", "c", "g", "h"]);
}

#[test]
fn the_answer_of_a_batch_can_have_no_response_or_one_that_nobody_asked_for() {
    let bench = Bench::ready();
    bench.emulator.script("POST batch: no-responses times=1").expect("a fault");
    bench.emulator.script("POST batch: unknown-id times=1").expect("a fault");
    let answer = send(&bench, &json!([put("1", "a"), put("2", "b")]));
    assert_eq!(answer.json, json!({"responses": []}));
    assert_eq!(stored(&bench), ["a", "b"]);
    let answer = send(&bench, &json!([put("1", "c"), put("2", "d")]));
    let ids: Vec<String> = by_id(&answer).into_keys().collect();
    let known = ids.iter().filter(|id| ["1", "2"].contains(&&***id)).count();
    assert_eq!((ids.len(), known), (2, 1), "{ids:?}");
    assert_eq!(stored(&bench), ["a", "b", "c", "d"]);
    let answer = send(&bench, &json!([get("1", "c")]));
    assert_eq!(statuses(&answer), expected(&[("1", 200)]));
}

#[test]
fn a_batch_can_be_struck_as_a_whole() {
    let bench = Bench::ready();
    bench.emulator.script("POST batch: 429 retry-after=5 times=1").expect("a fault");
    bench.emulator.script("POST batch: stored reset times=1").expect("a fault");
    let body = batch_of(&json!([put("1", "a")]));
    let answer = bench.expect(429, "POST", "/v1.0/$batch", body.clone());
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(stored(&bench), [""; 0]);
    let request = support::request("POST", "/v1.0/$batch", body);
    assert!(matches!(bench.emulator.deliver(&request).outcome, Outcome::Reset));
    assert_eq!(stored(&bench), ["a"]);
}

#[test]
fn a_batch_of_which_all_is_throttled_is_refused_as_a_whole_if_the_switch_says_so() {
    for (switch, status) in [
        (BatchThrottled::Each, 200),
        (BatchThrottled::FailedDependency, 424),
        (BatchThrottled::TooManyRequests, 429),
    ] {
        let bench = Bench::ready_with(|behaviour| behaviour.batch_throttled = switch);
        bench.emulator.script("PUT item: 429 retry-after=3 times=1").expect("a fault");
        bench.emulator.script("PUT item: 429 retry-after=20 times=1").expect("a fault");
        bench.emulator.script("PUT item: 429 retry-after=5 times=2").expect("a fault");
        let three = json!([put("1", "a"), put("2", "b"), put("3", "c")]);
        let answer = bench.expect(status, "POST", "/v1.0/$batch", batch_of(&three));
        match status {
            200 => {
                assert_eq!(statuses(&answer), expected(&[("1", 429), ("2", 429), ("3", 429)]));
            }
            _ => {
                assert_eq!(answer.faults(), [("throttled", "$.requests")]);
                assert_eq!(answer.header("retry-after"), Some("20"));
            }
        }
        // One is let through, so each answers for itself.
        let answer = send(&bench, &three);
        assert_eq!(statuses(&answer).into_values().filter(|status| *status == 200).count(), 2);
    }
}

#[test]
fn a_batch_that_is_refused_as_a_whole_names_the_longest_wait_however_it_is_written() {
    for (waits, named) in [
        (["1", "date:30", "2"], ("retry-after", "Thu, 01 Jan 2026 00:00:31 GMT")),
        (["1", "ms:1500", "1.25"], ("x-ms-retry-after-ms", "1500")),
        (["soon", "0.5", "-9"], ("retry-after", "0.5")),
    ] {
        let bench = Bench::ready_with(|behaviour| {
            behaviour.batch_throttled = BatchThrottled::TooManyRequests;
        });
        for wait in waits {
            let fault = format!("PUT item: 429 retry-after={wait} times=1");
            bench.emulator.script(&fault).expect("a fault");
        }
        let three = json!([put("1", "a"), put("2", "b"), put("3", "c")]);
        let answer = bench.expect(429, "POST", "/v1.0/$batch", batch_of(&three));
        let (name, wait) = named;
        assert_eq!(answer.header(name), Some(wait), "{waits:?}");
    }
}

#[test]
fn requests_of_one_batch_are_not_early_for_each_others_answers() {
    let bench = Bench::ready();
    bench.emulator.script("PUT item: 429 retry-after=10 times=2").expect("a fault");
    let mut first = put("1", "a");
    first["headers"]["client-request-id"] = json!("one");
    let batch = json!([first, put("2", "b"), put("3", "c")]);
    send(&bench, &batch);
    assert_eq!(bench.emulator.early_calls(), []);
    bench.wait(9_000);
    send(&bench, &batch);
    let early = bench.emulator.early_calls();
    let by: Vec<u64> = early.iter().map(|early| early.early_by.as_secs()).collect();
    assert_eq!(by, [1, 1, 1]);
    bench.wait(1_000);
    send(&bench, &batch);
    assert_eq!(bench.emulator.early_calls().len(), 3);
}

#[test]
fn who_has_not_heard_the_answer_of_a_batch_is_not_early() {
    let bench = Bench::ready();
    bench.emulator.script("PUT item: 429 retry-after=10").expect("a fault");
    for fault in ["stored 503", "stored reset", "truncated", "no-responses"] {
        bench.emulator.script(&format!("POST batch: {fault} times=1")).expect("a fault");
    }
    let body = batch_of(&json!([put("1", "a")]));
    for _ in 0..4 {
        bench.send("POST", "/v1.0/$batch", body.clone());
        assert_eq!(bench.emulator.early_calls(), []);
    }
    // Of the fast request it is only heard when the slow one is there as well.
    bench.emulator.script("GET item: pass latency=2").expect("a fault");
    let body = batch_of(&json!([put("1", "a"), get("2", "a")]));
    bench.send("POST", "/v1.0/$batch", body);
    bench.wait(1_999);
    bench.send("GET", ITEM, "");
    assert_eq!(bench.emulator.early_calls(), []);
    bench.wait(1);
    bench.send("GET", ITEM, "");
    assert_eq!(bench.emulator.early_calls().len(), 1);
}

#[test]
fn the_limit_of_a_body_is_that_of_the_whole_batch() {
    let bench = Bench::ready_with(|behaviour| behaviour.body_limit = 1_000);
    let mut long = put("1", "a");
    long["body"]["content"] = json!({"type": "text", "value": "a".repeat(300)});
    let body = batch_of(&json!([long]));
    assert!(body.len() < 1_000);
    let answer = bench.expect(200, "POST", "/v1.0/$batch", body);
    assert_eq!(statuses(&answer), expected(&[("1", 200)]));
    let mut other = long.clone();
    other["id"] = json!("2");
    let body = batch_of(&json!([long, other]));
    assert!(body.len() > 1_000);
    bench.refused("POST", "/v1.0/$batch", body, &[("body-size", "$")]);
    assert_eq!(stored(&bench), ["a"]);
}

#[test]
fn so_many_headers_that_no_request_can_have_them_are_refused() {
    let bench = Bench::ready();
    let mut request = get("1", "a");
    let headers = (0..40_000).map(|index| (format!("a{index}"), json!("b")));
    request["headers"] = Value::Object(headers.collect());
    let answer = bench.expect(400, "POST", "/v1.0/$batch", batch_of(&json!([request])));
    assert_eq!(answer.faults()[0].0, "batch-header");
}

#[test]
fn a_page_of_a_list_leads_on_from_inside_a_batch() {
    let bench = Bench::ready_with(|behaviour| behaviour.page_size = std::num::NonZero::new(1));
    bench.expect(201, "POST", "/v1.0/external/connections", r#"{"id":"other","name":"a"}"#);
    let list = json!([{"id": "1", "method": "GET", "url": "/external/connections?a=b"}]);
    let answer = send(&bench, &list);
    let next = by_id(&answer)["1"]["body"]["@odata.nextLink"].as_str().expect("a link").to_owned();
    let target = next.strip_prefix("http://emulator.test").expect("the host of the batch");
    let page = bench.expect(200, "GET", target, Bytes::new());
    assert_eq!(page.json["value"][0]["id"], "other");
}
