//! Limits and latency: what is let through, what a refusal says, and what holds for any of them.

mod support;

use std::time::Duration;

use bytes::Bytes;
use graphfeed_emulator::{Application, Authorization, Emulator, Limit, Options, Outcome, Scope};
use http::Request;
use proptest::prelude::*;
use serde_json::json;
use support::{Bench, ITEM, item, user_activity};

const CONTOSO: &str = "/v1.0/external/connections/contosohr";

fn get() -> Request<Bytes> {
    support::request("GET", CONTOSO, "")
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The status of a request at a time, and what the answer says of when to come back.
fn at(emulator: &Emulator, now: u64, request: &Request<Bytes>) -> (u16, Option<String>) {
    let answer = emulator.handle_at(millis(now), request);
    let told = answer.headers().get("retry-after").map(|it| it.to_str().expect("text").to_owned());
    (answer.status().as_u16(), told)
}

#[test]
fn a_request_over_a_limit_is_refused_and_changes_nothing() {
    let bench = Bench::ready();
    bench.expect(200, "PUT", ITEM, item(r#""title":"before""#));
    bench.emulator.throttle("bucket rate=1 burst=1 retry-after=7").expect("a limit");
    bench.expect(200, "GET", ITEM, "");
    let before = format!("{:?}", bench.emulator.items("contosohr"));
    for (method, target, body) in [
        ("PUT", ITEM.to_owned(), item(r#""title":"after""#)),
        ("PUT", ITEM.to_owned(), "nonsense".to_owned()),
        ("DELETE", ITEM.to_owned(), String::new()),
        ("DELETE", CONTOSO.to_owned(), String::new()),
    ] {
        let answer = bench.refused(method, &target, body, &[("throttled", "request")]);
        assert_eq!(answer.status, 429);
        assert_eq!(answer.header("retry-after"), Some("7"));
        assert_eq!(answer.json["error"]["code"], "TooManyRequests");
        let why = "the limit `bucket rate=1 burst=1 retry-after=7` has no room for another 1 s; \
                   come back then";
        assert_eq!(answer.cause(), why);
    }
    assert_eq!(format!("{:?}", bench.emulator.items("contosohr")), before);
    assert_eq!(bench.emulator.service().connection_ids().count(), 1);
    let (_, traffic) = bench.emulator.limits()[0].clone();
    assert_eq!((traffic.admitted, traffic.refused), (1, 4));
    bench.wait(1_000);
    bench.expect(204, "DELETE", ITEM, "");
}

#[test]
fn a_bucket_gives_what_it_keeps_and_then_its_rate() {
    let emulator = Emulator::default();
    emulator.throttle("bucket rate=4 burst=3 retry-after=exact").expect("a limit");
    let refused = |wait: &str| (429, Some(wait.to_owned()));
    for _ in 0..3 {
        assert_eq!(at(&emulator, 0, &get()), (404, None));
    }
    assert_eq!(at(&emulator, 0, &get()), refused("0.250"));
    assert_eq!(at(&emulator, 100, &get()), refused("0.150"));
    assert_eq!(at(&emulator, 249, &get()), refused("0.001"));
    assert_eq!(at(&emulator, 250, &get()), (404, None));
    assert_eq!(at(&emulator, 250, &get()), refused("0.250"));
    // It is full after 750 ms, and no fuller after an hour.
    for now in [3_600_000; 3] {
        assert_eq!(at(&emulator, now, &get()), (404, None));
    }
    assert_eq!(at(&emulator, 3_600_000, &get()), refused("0.250"));
}

#[test]
fn a_bucket_that_counts_what_it_refuses_owes_what_it_holds_at_most() {
    let emulator = Emulator::default();
    emulator.throttle("bucket rate=1 burst=2 refused=counted retry-after=whole").expect("a limit");
    let told: Vec<_> = (0..6).map(|_| at(&emulator, 0, &get())).collect();
    let waits: Vec<_> = told.iter().map(|(_, wait)| wait.as_deref()).collect();
    assert_eq!(waits, [None, None, Some("1"), Some("2"), Some("3"), Some("3")]);
    assert_eq!(at(&emulator, 2_999, &get()).0, 429);
    assert_eq!(at(&emulator, 5_999, &get()).0, 404, "it owed two, and one of 2,999 ms");
}

#[test]
fn a_window_begins_anew_at_its_end() {
    let emulator = Emulator::default();
    emulator.throttle("window limit=2 seconds=10 retry-after=whole").expect("a limit");
    let statuses =
        |times: &[u64]| -> Vec<_> { times.iter().map(|now| at(&emulator, *now, &get())).collect() };
    let wait = |seconds: &str| (429, Some(seconds.to_owned()));
    assert_eq!(
        statuses(&[9_000, 9_500, 9_500, 9_999, 10_000, 10_001, 10_002, 19_999, 30_000]),
        [
            (404, None),
            (404, None),
            wait("1"),
            wait("1"),
            (404, None),
            (404, None),
            wait("10"),
            wait("1"),
            (404, None),
        ]
    );
}

#[test]
fn as_many_are_under_way_as_their_latency_lets_be() {
    let emulator = Emulator::new(Options {
        limits: vec!["concurrency limit=2 retry-after=ms:exact".parse().expect("a limit")],
        latency: Some("0.1".parse().expect("a latency")),
        ..Options::default()
    });
    let at = |now| {
        let delivery = emulator.deliver_at(millis(now), &get());
        assert_eq!(delivery.latency, millis(100));
        let Outcome::Answer(answer) = delivery.outcome else { panic!("no answer") };
        let told = answer.headers().get("x-ms-retry-after-ms");
        (answer.status().as_u16(), told.map(|it| it.to_str().expect("text").to_owned()))
    };
    assert_eq!(at(0), (404, None));
    assert_eq!(at(30), (404, None));
    assert_eq!(at(30), (429, Some("70".to_owned())));
    assert_eq!(at(99), (429, Some("1".to_owned())));
    assert_eq!(at(100), (404, None));
    assert_eq!(at(100), (429, Some("30".to_owned())));
    emulator.set_latency(None);
    assert_eq!(emulator.deliver_at(millis(500), &get()).latency, Duration::ZERO);
}

#[test]
fn each_application_and_connection_has_a_limit_of_its_own_unless_it_is_said_otherwise() {
    let applications = ["one", "two"].map(|id| {
        let application = Application::new(id, "hush").tenant("t");
        application
            .role("ExternalItem.ReadWrite.All")
            .role("ExternalConnection.ReadWrite.All")
            .scope("UserActivity.ReadWrite.CreatedByApp")
    });
    let authorization =
        Authorization { applications: applications.to_vec(), ..Authorization::default() };
    let emulator =
        Emulator::new(Options { authorization: Some(authorization), ..Options::default() });
    let ask = |token: &str, path: &str| {
        let mut request = support::request("GET", &format!("/v1.0{path}"), "");
        let value = format!("Bearer {token}").parse().expect("a header");
        request.headers_mut().insert("authorization", value);
        emulator.handle_at(Duration::ZERO, &request).status().as_u16()
    };
    let [one, two] = ["one", "two"].map(|id| emulator.token(id).expect("registered"));
    let [megan, adele] =
        ["megan", "adele"].map(|user| emulator.user_token("one", Some(user)).expect("registered"));
    // Who asks, for what, and who has come before them: by lane, by application, by all.
    let asked = [
        (&one, "/external/connections/a", [404, 404, 404]),
        (&one, "/external/connections/a/items/b", [429, 429, 429]),
        (&one, "/external/connections/b", [404, 429, 429]),
        (&one, "/external/connections/b/groups/a", [404, 429, 429]),
        (&one, "/external/connections/a/groups/b", [429, 429, 429]),
        (&one, "/external/connections", [200, 429, 429]),
        (&one, "/external/connections", [200, 429, 429]),
        (&two, "/external/connections/a", [404, 404, 429]),
        (&megan, "/me/activities", [200, 429, 429]),
        (&adele, "/me/activities", [200, 429, 429]),
        (&adele, "/me/activities", [429, 429, 429]),
        // None of these is counted.
        (&one, "/planet", [501, 501, 501]),
        (&two, "/me/activities", [403, 403, 403]),
        (&"any".to_owned(), "/external/connections/c", [401, 401, 401]),
    ];
    for (index, scope) in [Scope::Lane, Scope::Application, Scope::All].into_iter().enumerate() {
        emulator.set_limits(vec![Limit::bucket(1.0, 1).per(scope)]);
        for (token, path, statuses) in asked {
            assert_eq!(ask(token, path), statuses[index], "{path} {scope:?}");
        }
    }
}

#[test]
fn a_limit_can_be_for_some_requests_only_and_all_limits_have_to_have_room() {
    let emulator = Emulator::default();
    emulator.set_limits(vec![
        Limit::bucket(1.0, 2).on("GET connection").unwrap().retry_after("whole"),
        Limit::window(3, Duration::from_secs(60)).retry_after("whole"),
    ]);
    let schema = support::request("GET", &format!("{CONTOSO}/schema"), "");
    let asked = [get(), get(), get(), schema.clone(), schema].map(|each| at(&emulator, 0, &each));
    let wait = |seconds: &str| (429, Some(seconds.to_owned()));
    // What the first refuses, the second does not count.
    assert_eq!(asked, [(404, None), (404, None), wait("1"), (404, None), wait("60")]);
    // The longer wait is told.
    assert_eq!(at(&emulator, 0, &get()), wait("60"));
}

#[test]
fn limits_change_in_the_middle_of_a_run_and_a_reset_has_the_first_again() {
    let limits = vec![Limit::bucket(1.0, 1)];
    let emulator = Emulator::new(Options { limits: limits.clone(), ..Options::default() });
    let statuses = |now: u64| [0; 4].map(|_| at(&emulator, now, &get()).0);
    assert_eq!(statuses(0), [404, 429, 429, 429]);
    emulator.throttle("bucket rate=3 burst=3").expect("a limit");
    assert_eq!(statuses(0), [404, 404, 404, 429]);
    assert!(emulator.throttle("bucket").is_err());
    emulator.set_limits(Vec::new());
    assert_eq!(statuses(0), [404; 4]);
    emulator.reset();
    assert_eq!(statuses(0), [404, 429, 429, 429]);
    assert_eq!(emulator.limits().into_iter().map(|(limit, _)| limit).collect::<Vec<_>>(), limits);
}

#[test]
fn the_requests_of_a_batch_are_counted_one_by_one() {
    let bench = Bench::ready();
    bench.emulator.throttle("bucket rate=1 burst=3 retry-after=exact").expect("a limit");
    let body: serde_json::Value = serde_json::from_str(&item(r#""title":"a""#)).expect("JSON");
    let put = |id: usize| {
        json!({"id": id.to_string(), "method": "PUT", "body": body,
            "url": format!("/external/connections/contosohr/items/{id}"),
            "headers": {"Content-Type": "application/json"}})
    };
    let requests: Vec<_> = (0..5).map(put).collect();
    let body = json!({ "requests": requests }).to_string();
    let answer = bench.expect(200, "POST", "/v1.0/$batch", body);
    let responses = answer.json["responses"].as_array().expect("an array");
    let (refused, stored): (Vec<_>, Vec<_>) = responses.iter().partition(|r| r["status"] == 429);
    assert_eq!((refused.len(), stored.len()), (2, 3));
    assert!(refused.iter().all(|each| each["headers"]["Retry-After"] == "1.000"));
    assert_eq!(bench.emulator.items("contosohr").len(), 3);
    bench.wait(1_000);
    bench.expect(200, "PUT", ITEM, item(r#""title":"a""#));
    assert_eq!(bench.send("PUT", ITEM, item(r#""title":"a""#)).status, 429);
}

#[test]
fn a_batch_takes_as_long_as_its_slowest_chain() {
    let bench = Bench::ready();
    bench.emulator.script("DELETE item: pass latency=1").expect("a fault");
    bench.emulator.set_latency(Some("0.1".parse().expect("a latency")));
    let of = |id: &str, method: &str, on: &[&str]| {
        json!({"id": id, "method": method, "url": "/external/connections/contosohr/items/a",
            "dependsOn": on})
    };
    let latency = |requests: serde_json::Value| {
        let body = json!({ "requests": requests }).to_string();
        bench.emulator.deliver(&support::request("POST", "/v1.0/$batch", body)).latency
    };
    let wait = |emulator: &Emulator| emulator.deliver(&get()).latency;
    assert_eq!(wait(&bench.emulator), millis(100));
    assert_eq!(latency(json!([of("1", "GET", &[]), of("2", "GET", &[])])), millis(100));
    assert_eq!(latency(json!([of("1", "GET", &[]), of("2", "DELETE", &[])])), millis(1_100));
    // The first does not succeed, so the second takes no time of its own.
    assert_eq!(latency(json!([of("1", "DELETE", &[]), of("2", "GET", &["1"])])), millis(1_100));
    bench.expect(200, "PUT", &ITEM.replace("TSP228082938", "a"), item(r#""title":"a""#));
    assert_eq!(latency(json!([of("1", "GET", &[]), of("2", "DELETE", &["1"])])), millis(1_200));
}

#[test]
fn who_comes_before_a_refusal_is_there_is_not_early() {
    let bench = Bench::of(Options {
        latency: Some("0.5".parse().expect("a latency")),
        limits: vec!["bucket rate=1 burst=1 retry-after=2".parse().expect("a limit")],
        ..Options::default()
    });
    let early = |now| {
        bench.emulator.deliver_at(millis(now), &get());
        bench.emulator.early_calls().len()
    };
    // Refused at 0, which the client can know at 500 ms.
    assert_eq!((early(0), early(0)), (0, 0));
    assert_eq!((early(499), early(500)), (0, 1));
}

/// Requests at times that go up, in milliseconds.
fn arrivals() -> impl Strategy<Value = Vec<u64>> {
    let gaps = prop_oneof![Just(0), 0_u64..20, 0_u64..400];
    proptest::collection::vec(gaps, 1..80).prop_map(|gaps| {
        let mut now = 0;
        gaps.into_iter()
            .map(|gap| {
                now += gap;
                now
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn a_bucket_never_lets_more_through_than_it_keeps_and_its_rate(
        rate in prop_oneof![0.1_f64..300.0, (1_u32..200).prop_map(f64::from)],
        burst in 1_u32..60,
        counted in any::<bool>(),
        arrivals in arrivals(),
    ) {
        let limit = Limit::bucket(rate, burst);
        let limit = if counted { limit.counting_refused() } else { limit };
        let emulator = Emulator::new(Options { limits: vec![limit], ..Options::default() });
        let through: Vec<u64> =
            arrivals.into_iter().filter(|now| at(&emulator, *now, &get()).0 != 429).collect();
        prop_assert!(!through.is_empty());
        for (first, begin) in through.iter().enumerate() {
            for (last, end) in through.iter().enumerate().skip(first) {
                let most = f64::from(burst) + rate * (end - begin) as f64 / 1000.0;
                prop_assert!((last - first + 1) as f64 <= most + 1e-6, "{begin}..={end}");
            }
        }
    }

    #[test]
    fn who_waits_as_it_is_told_is_let_through_and_who_does_not_is_not(
        limit in prop_oneof![
            (1_u32..50, 1_u32..9).prop_map(|(rate, burst)| format!("bucket rate={rate} burst={burst}")),
            (1_u32..20, 1_u32..9).prop_map(|(n, s)| format!("window limit={n} seconds={s}")),
            (1_u32..9).prop_map(|n| format!("concurrency limit={n}")),
        ],
        seed in any::<u64>(),
        arrivals in arrivals(),
    ) {
        let emulator = Emulator::new(Options {
            seed,
            limits: vec![format!("{limit} retry-after=exact").parse().expect("a limit")],
            latency: Some("0.02..0.3".parse().expect("a latency")),
            ..Options::default()
        });
        let mut late = 0;
        for now in arrivals {
            late = late.max(now);
            let (status, told) = at(&emulator, late, &get());
            let Some(told) = told else {
                prop_assert_eq!(status, 404);
                continue;
            };
            let wait = (told.parse::<f64>().expect("seconds") * 1000.0).round() as u64;
            prop_assert!(wait > 0);
            // A token may be there in the middle of the last millisecond.
            if wait > 1 {
                prop_assert_eq!(at(&emulator, late + wait - 2, &get()).0, 429);
            }
            late += wait;
            prop_assert_eq!(at(&emulator, late, &get()).0, 404);
        }
    }

    #[test]
    fn what_is_refused_changes_nothing_but_what_counts_it(
        requests in proptest::collection::vec((0_u8..5, 0_u8..3), 1..20),
        limit in 1_u64..8,
    ) {
        let (bench, plain) = (Bench::ready(), Bench::ready());
        bench.emulator.set_limits(vec![Limit::window(limit, Duration::from_secs(3_600))]);
        for (kind, id) in requests {
            let target = ITEM.replace("TSP228082938", &id.to_string());
            let request = || match kind {
                0 => support::request("PUT", &target, item(r#""title":"a""#)),
                1 => support::request("PUT", &target, item(r#""title":1"#)),
                2 => support::request("DELETE", &target, ""),
                3 => support::request("GET", &target, ""),
                _ => {
                    let body = user_activity(&id.to_string(), "");
                    support::request("PUT", &format!("/v1.0/me/activities/{id}"), body)
                }
            };
            let answer = bench.emulator.handle(&request());
            if answer.status() != 429 {
                prop_assert_eq!(plain.emulator.handle(&request()).status(), answer.status());
            }
            let items = |bench: &Bench| format!("{:?}", bench.emulator.items("contosohr"));
            prop_assert_eq!(items(&bench), items(&plain));
            let ids = |bench: &Bench| -> Vec<String> {
                let all = bench.emulator.user_activities();
                all.into_iter().map(|activity| activity.app_activity_id).collect()
            };
            prop_assert_eq!(ids(&bench), ids(&plain));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_answers(
        seed in any::<u64>(),
        arrivals in arrivals(),
        batches in any::<bool>(),
    ) {
        let run = |seed| {
            let emulator = Emulator::new(Options {
                seed,
                faults: vec!["*: 503 | reset | hang 3 chance=0.1".parse().expect("a fault")],
                limits: vec!["bucket rate=20 burst=9 retry-after=exact".parse().expect("a limit")],
                latency: Some("median=0.1 p99=1".parse().expect("a latency")),
                ..Options::default()
            });
            let part = |id: u8| json!({"id": id.to_string(), "method": "GET", "url": "/planet"});
            let parts: Vec<_> = (0..4).map(part).collect();
            let request = match batches {
                true => {
                    let body = json!({ "requests": parts }).to_string();
                    support::request("POST", "/v1.0/$batch", body)
                }
                false => get(),
            };
            let each = arrivals.iter().map(|now| {
                let delivery = emulator.deliver_at(millis(*now), &request);
                let latency = delivery.latency;
                let answer = delivery.into_response();
                format!("{latency:?} {:?} {:?}", answer.headers(), answer.body())
            });
            each.collect::<Vec<_>>()
        };
        prop_assert_eq!(run(seed), run(seed));
    }
}
