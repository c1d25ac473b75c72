//! Many calls in few batches, over time: which of them go again, when, and with what outcome.

use std::{
    collections::{BTreeMap, VecDeque},
    future::ready,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::{
    client::{AsyncClient, Client, Clock, Failure, SendOptions, VirtualClock},
    external::{
        Acl, AddActivities, AddedActivities, DeleteItem, ExternalActivity, ExternalItem,
        GetConnection, GetItem, Identity, PutItem, StoredConnection, StoredItem,
    },
    machine::{
        Answers, Batches, Budget, Exchange, Machine, Part, Policy, Shared, Start, Step, Task, Tick,
        Token, TokenNeed,
    },
    protocol::{
        Applied, Cause, Cloud, Deleted, Endpoint, Error, GiveUp, Limits, ServiceRoot, TokenError,
        Version,
    },
    types::{AccessToken, ConnectionId, Guid, ItemId, Rule, TokenKind},
};
use proptest::prelude::*;
use serde_json::{Value, json};

type Put = Part<Option<StoredItem>>;

fn connection() -> ConnectionId {
    ConnectionId::new("acmehelp").unwrap()
}

fn id(number: usize) -> ItemId {
    ItemId::new(format!("T{number}")).unwrap()
}

fn item(number: usize) -> ExternalItem {
    ExternalItem::builder(id(number))
        .acl(Acl::everyone(Guid::from(7)))
        .property("title", "t")
        .build()
        .unwrap()
}

fn put(batches: &mut Batches, number: usize) -> Put {
    batches.add(&PutItem::new(&connection(), &item(number))).unwrap()
}

fn append(batches: &mut Batches, number: usize) -> Part<AddedActivities> {
    let activity =
        ExternalActivity::viewed("2026-01-01T00:00:00Z".parse().unwrap(), Identity::user(1.into()));
    batches.add(&AddActivities::new(&connection(), &id(number), &[activity])).unwrap()
}

fn get_connection(batches: &mut Batches, name: &str) -> Part<StoredConnection> {
    batches.add(&GetConnection::new(&ConnectionId::new(name).unwrap())).unwrap()
}

/// What becomes of one batch.
#[derive(Clone, Debug)]
enum Fate {
    /// As a whole, with what it says of a wait.
    Whole(u16, Option<&'static str>),
    /// Each part for itself, in the order of the request; the answer has them the other way round.
    Parts(Vec<One>),
    /// No answer; whether it may have arrived.
    Lost(bool),
}

/// What becomes of one part.
#[derive(Clone, Copy, Debug)]
enum One {
    Status(u16),
    Told(u16, &'static str),
    Missing,
}

use Fate::{Lost, Parts, Whole};
use One::{Missing, Status, Told};

fn fine(count: usize) -> Fate {
    Parts(vec![Status(200); count])
}

/// A batch that came in: when, with which token, and the last segment of each part's address.
type Seen = (Duration, String, Vec<String>);

/// A service that does as it is told, and writes down what it sees.
struct Service {
    fates: Mutex<VecDeque<Fate>>,
    seen: Mutex<Vec<Seen>>,
    clock: Arc<VirtualClock>,
}

impl Service {
    fn new(fates: &[Fate]) -> Arc<Self> {
        Arc::new(Self {
            fates: Mutex::new(fates.iter().cloned().collect()),
            seen: Mutex::default(),
            clock: Arc::default(),
        })
    }

    fn answer(&self, request: &http::Request<Bytes>) -> Result<http::Response<Bytes>, Failure> {
        assert_eq!(request.uri(), "https://graph.microsoft.com/v1.0/$batch");
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let parts = body["requests"].as_array().unwrap();
        let last = |part: &Value| part["url"].as_str().unwrap().rsplit('/').next().unwrap().into();
        let token = request.headers()["authorization"].to_str().unwrap().to_owned();
        let at = Clock::now(&*self.clock).since_origin();
        self.seen.lock().unwrap().push((at, token, parts.iter().map(last).collect()));
        let fate = self.fates.lock().unwrap().pop_front().expect("one batch too many");
        answer(&fate, parts)
    }

    /// What came in, with the seconds when it did; all that was scripted has to have come.
    fn seen(&self) -> Vec<(f64, String)> {
        assert!(self.fates.lock().unwrap().is_empty(), "a batch that never came");
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|(at, _, parts)| (at.as_secs_f64(), parts.join(" "))).collect()
    }
}

fn answer(fate: &Fate, parts: &[Value]) -> Result<http::Response<Bytes>, Failure> {
    match fate {
        Whole(status, wait) => {
            let response = http::Response::builder().status(*status);
            let response = match wait {
                Some(wait) => response.header("retry-after", *wait),
                None => response,
            };
            Ok(response.body(Bytes::new()).unwrap())
        }
        Parts(ones) => {
            assert_eq!(ones.len(), parts.len(), "{parts:?}");
            let answers = parts.iter().zip(ones).rev().filter_map(|(part, one)| {
                let id = &part["id"];
                match one {
                    Status(status) => {
                        Some(json!({"id": id, "status": status, "body": {"id": "x", "value": []}}))
                    }
                    Told(status, wait) => Some(json!({"id": id, "status": status,
                        "headers": {"Retry-After": wait}})),
                    Missing => None,
                }
            });
            let body = json!({"responses": answers.collect::<Vec<_>>()}).to_string();
            Ok(http::Response::new(body.into()))
        }
        Lost(true) => Err(Failure::maybe_sent("reset")),
        Lost(false) => Err(Failure::not_sent("refused")),
    }
}

/// Settings of a client.
#[derive(Clone, Default)]
struct Settings {
    policy: Policy,
    budget: Budget,
}

fn tokens() -> impl Fn(&TokenNeed) -> Result<Token, TokenError> + Send + Sync {
    let fetched = Mutex::new(0);
    move |_: &TokenNeed| {
        let mut fetched = fetched.lock().unwrap();
        *fetched += 1;
        Ok(Token::new(AccessToken::new(format!("token{fetched}")).unwrap()))
    }
}

fn blocking(batches: &Batches, service: &Arc<Service>, settings: Settings) -> Answers {
    let (its, clock) = (Arc::clone(service), Arc::clone(&service.clock));
    let transport = move |request: http::Request<Bytes>, _: &SendOptions| its.answer(&request);
    Client::builder(ServiceRoot::v1(), tokens())
        .policy(settings.policy)
        .budget(settings.budget)
        .build(transport, clock)
        .run(batches)
        .unwrap()
}

fn asynchronous(batches: &Batches, service: &Arc<Service>, settings: Settings) -> Answers {
    let (its, clock) = (Arc::clone(service), Arc::clone(&service.clock));
    let transport =
        move |request: http::Request<Bytes>, _: &SendOptions| ready(its.answer(&request));
    let tokens = tokens();
    let client =
        AsyncClient::builder(ServiceRoot::v1(), move |need: &TokenNeed| ready(tokens(need)))
            .policy(settings.policy)
            .budget(settings.budget)
            .build_async(transport, clock);
    pollster::block_on(client.run(batches)).unwrap()
}

/// Runs the calls with both clients, and gives the outcome and what came in once.
fn run_with(batches: &Batches, fates: &[Fate], settings: &Settings) -> (Answers, Arc<Service>) {
    let services = [Service::new(fates), Service::new(fates)];
    let blocked = blocking(batches, &services[0], settings.clone());
    let polled = asynchronous(batches, &services[1], settings.clone());
    assert_eq!(format!("{blocked:?}"), format!("{polled:?}"), "blocking and async differ");
    let [service, other] = services;
    assert_eq!(*service.seen.lock().unwrap(), *other.seen.lock().unwrap());
    (blocked, service)
}

fn run(batches: &Batches, fates: &[Fate]) -> (Answers, Vec<(f64, String)>) {
    let (answers, service) = run_with(batches, fates, &Settings::default());
    (answers, service.seen())
}

fn batches() -> Batches {
    Batches::new(&ServiceRoot::v1())
}

fn puts(count: usize) -> (Batches, Vec<Put>) {
    let mut batches = batches();
    let parts = (0..count).map(|number| put(&mut batches, number)).collect();
    (batches, parts)
}

fn fate<T>(outcome: Result<T, Error>) -> (Option<u16>, Applied, u32, Option<GiveUp>) {
    let error = outcome.err().expect("it failed");
    let status = error.status().map(|status| status.as_u16());
    (status, error.applied(), error.attempts(), error.why_given_up())
}

fn at(seen: &[(f64, String)]) -> Vec<f64> {
    seen.iter().map(|(at, _)| *at).collect()
}

fn names(seen: &[(f64, String)]) -> Vec<&str> {
    seen.iter().map(|(_, parts)| &**parts).collect()
}

#[test]
fn calls_of_several_kinds_go_in_one_batch_and_are_answered_as_their_own_types() {
    let mut batches = batches();
    let first = put(&mut batches, 1);
    let second = batches.add(&GetItem::new(&connection(), &id(2))).unwrap();
    let third = batches.add(&DeleteItem::new(&connection(), &id(3))).unwrap();
    let fourth = get_connection(&mut batches, "contosohr");
    assert_eq!(batches.len(), 4);
    let (answers, seen) =
        run(&batches, &[Parts(vec![Status(200), Status(200), Status(404), Status(403)])]);
    assert_eq!(names(&seen), ["T1 T2 T3 contosohr"]);
    assert_eq!(answers.of(&first).unwrap().unwrap().id.as_deref(), Some("x"));
    let second = answers.reply(&second).unwrap();
    assert_eq!((second.value.id.as_deref(), second.status.as_u16()), (Some("x"), 200));
    assert_eq!(answers.of(&third).unwrap(), Deleted::NotFound);
    let error = answers.of(&fourth).unwrap_err();
    assert_eq!(error.status().unwrap(), 403);
    let explanation = error.explanation().unwrap().to_string();
    assert!(explanation.starts_with("Get connection needs "), "{explanation}");
    assert!(answers.strays().is_empty());
}

#[test]
fn there_are_as_many_batches_as_count_and_bytes_ask_for() {
    let (batches, parts) = puts(45);
    let (answers, service) =
        run_with(&batches, &[fine(20), fine(20), fine(5)], &Settings::default());
    assert!(parts.iter().all(|part| answers.of(part).is_ok()));
    let seen = service.seen();
    let numbers: Vec<String> = (0..45).map(|number| format!("T{number}")).collect();
    assert_eq!(names(&seen).join(" "), numbers.join(" "));

    // Each part has about 260 bytes.
    let root = ServiceRoot::v1().with_limits(Limits::default().with_body(700));
    let service = Service::new(&[fine(2), fine(2), fine(1)]);
    let its = Arc::clone(&service);
    let transport = move |request: http::Request<Bytes>, _: &SendOptions| {
        assert!(request.body().len() <= 700);
        its.answer(&request)
    };
    let client = Client::builder(root, tokens()).build(transport, Arc::clone(&service.clock));
    let (batches, parts) = puts(5);
    let answers = client.run(&batches).unwrap();
    assert!(parts.iter().all(|part| answers.of(part).is_ok()));
    assert_eq!(names(&service.seen()), ["T0 T1", "T2 T3", "T4"]);
}

#[test]
fn where_there_are_no_calls_nothing_is_sent() {
    assert!(batches().is_empty());
    assert_eq!(run(&batches(), &[]).1, []);
}

#[test]
fn only_what_failed_goes_again_after_the_longest_wait_among_it() {
    let (batches, parts) = puts(5);
    let first =
        Parts(vec![Told(429, "3"), Status(200), Told(429, "9.5"), Status(400), Told(503, "4")]);
    let (answers, seen) = run(&batches, &[first, fine(3)]);
    assert_eq!(at(&seen), [0.0, 9.5]);
    assert_eq!(names(&seen), ["T0 T1 T2 T3 T4", "T0 T2 T4"]);
    for index in [0, 1, 2, 4] {
        assert!(answers.of(&parts[index]).is_ok());
    }
    assert_eq!(fate(answers.of(&parts[3])), (Some(400), Applied::No, 1, None));
}

#[test]
fn without_a_wait_of_the_service_waits_double() {
    let (batches, parts) = puts(1);
    let fates = [Parts(vec![Status(500)]), Parts(vec![Missing]), Parts(vec![Status(429)]), fine(1)];
    let (answers, seen) = run(&batches, &fates);
    assert!(answers.of(&parts[0]).is_ok());
    let gaps: Vec<f64> = at(&seen).windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (gap, longest) in gaps.iter().zip([0.5, 1.0, 2.0]) {
        assert!((longest / 2.0..=longest).contains(gap), "{gaps:?}");
    }
}

#[test]
fn an_append_of_unknown_fate_is_never_sent_again() {
    for (fates, status) in [
        (vec![Parts(vec![Status(503), Status(503)]), fine(1)], Some(503)),
        (vec![Parts(vec![Missing, Missing]), fine(1)], None),
        (vec![Lost(true), fine(1)], None),
        (vec![Whole(503, None), fine(1)], Some(503)),
    ] {
        let mut batches = batches();
        let append = append(&mut batches, 0);
        let put = put(&mut batches, 1);
        let (answers, seen) = run(&batches, &fates);
        assert_eq!(names(&seen), ["addActivities T1", "T1"], "{fates:?}");
        assert_eq!(fate(answers.of(&append)), (status, Applied::Maybe, 1, None));
        assert!(answers.of(&put).is_ok());
    }
    // What was certainly not carried out goes again.
    for fates in [
        vec![Parts(vec![Told(429, "1"), Status(200)]), fine(1)],
        vec![Lost(false), fine(2)],
        vec![Whole(429, Some("1")), fine(2)],
    ] {
        let mut batches = batches();
        let append = append(&mut batches, 0);
        let _put = put(&mut batches, 1);
        let (answers, _) = run(&batches, &fates);
        assert!(answers.of(&append).is_ok());
    }
}

#[test]
fn a_batch_of_which_all_may_be_repeated_is_repeated_as_a_whole() {
    let (batches, parts) = puts(2);
    let (answers, seen) =
        run(&batches, &[Lost(true), Whole(503, Some("2")), Whole(429, Some("5")), fine(2)]);
    assert!(parts.iter().all(|part| answers.of(part).is_ok()));
    assert_eq!(names(&seen), ["T0 T1"; 4]);
    let at = at(&seen);
    let gap = |to: usize| ((at[to] - at[to - 1]) * 1e6).round() / 1e6;
    assert_eq!((gap(2), gap(3)), (2.0, 5.0));
}

#[test]
fn what_the_whole_was_refused_for_is_each_parts_error() {
    let (batches, parts) = puts(2);
    for status in [400, 403, 404, 501] {
        let (answers, _) = run(&batches, &[Whole(status, None)]);
        for part in &parts {
            assert_eq!(fate(answers.of(part)), (Some(status), Applied::No, 1, None));
        }
    }
    let (answers, _) = run(&batches, &[Whole(403, None)]);
    let error = answers.of(&parts[0]).unwrap_err().to_string();
    assert!(error.starts_with("Create or replace item: with its batch: 403 Forbidden"), "{error}");
    assert!(error.contains("Create or replace item needs ExternalItem.ReadWrite"), "{error}");
}

#[test]
fn a_throttled_lane_is_left_alone_and_holds_no_other_up() {
    let mut batches = batches();
    let throttled = put(&mut batches, 0);
    let rest: Vec<_> =
        (0..19).map(|n| get_connection(&mut batches, &format!("other{n}"))).collect();
    let late = put(&mut batches, 20);
    let other = get_connection(&mut batches, "contosohr");
    let mut first = vec![Status(200); 20];
    first[0] = Told(429, "30");
    let (answers, seen) = run(&batches, &[Parts(first), fine(1), fine(2)]);
    assert_eq!(names(&seen)[1..], ["contosohr", "T20 T0"]);
    assert_eq!(at(&seen), [0.0, 0.0, 30.0]);
    assert!([&throttled, &late].iter().all(|part| answers.of(part).is_ok()));
    assert!(rest.iter().chain([&other]).all(|part| answers.of(part).is_ok()));
}

#[test]
fn a_gate_that_one_closes_holds_back_the_other_a_call_or_a_part() {
    let mut batches = batches();
    let put = put(&mut batches, 1);
    let get = get_connection(&mut batches, "contosohr");
    let single = GetConnection::new(&connection()).call(&ServiceRoot::v1()).unwrap();
    let clock = Arc::new(VirtualClock::default());
    // Whom it throttles, for longer than a call waits.
    for throttled in ["a part", "a call"] {
        let targets = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&targets);
        let transport = move |request: http::Request<Bytes>, _: &SendOptions| {
            let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
            let Some(parts) = body["requests"].as_array() else {
                log.lock().unwrap().push("a call".to_owned());
                return answer(&Whole(429, Some("1000")), &[]);
            };
            let urls: Vec<_> = parts.iter().map(|part| part["url"].as_str().unwrap()).collect();
            log.lock().unwrap().push(urls.join(" "));
            let fates = urls.iter().map(|url| match url.contains("contosohr") {
                true => Status(200),
                false => Told(429, "1000"),
            });
            answer(&Parts(fates.collect()), parts)
        };
        let client =
            Client::builder(ServiceRoot::v1(), tokens()).build(transport, Arc::clone(&clock));
        let call = || client.send_call(single.clone()).unwrap_err();
        let run = || client.run(&batches).unwrap();
        let (error, answers) = match throttled {
            "a part" => {
                let answers = run();
                (call(), answers)
            }
            _ => (call(), run()),
        };
        assert_eq!(answers.of(&get).unwrap().id.as_deref(), Some("x"));
        let late = answers.of(&put).unwrap_err();
        let (first, second) = if throttled == "a part" { (late, error) } else { (error, late) };
        assert_eq!(first.why_given_up(), Some(GiveUp::TotalTime));
        assert_eq!(first.status().unwrap(), 429);
        assert!(matches!(second.cause(), Cause::NeverSent(GiveUp::TotalTime)), "{second}");
        let both = "/external/connections/acmehelp/items/T1 /external/connections/contosohr";
        let (_, other) = both.split_once(' ').unwrap();
        let expected = match throttled {
            "a part" => vec![both],
            _ => vec!["a call", other],
        };
        assert_eq!(*targets.lock().unwrap(), expected);
    }
}

#[test]
fn a_gate_is_closed_before_anybody_else_is_asked() {
    let (batches, _) = puts(1);
    let (mut shared, mut now) = (Shared::default(), Tick::default());
    let start = Start::new(ServiceRoot::v1(), Policy::default(), 7, now);
    let mut machine = batches.start(&start).unwrap();
    let attempt = loop {
        match machine.poll(now, &mut shared) {
            Step::Token(need) => {
                let token = Token::new(AccessToken::new("t").unwrap());
                machine.on_token(need.lease, now, Ok(token), &mut shared);
            }
            Step::Send(attempt) => break attempt,
            other => panic!("{other:?}"),
        }
    };
    now += Duration::from_millis(20);
    let body = r#"{"responses":[{"id":"1","status":429,"headers":{"Retry-After":"10"}}]}"#;
    machine.on_response(attempt.ticket, now, http::Response::new(body.into()), &mut shared);
    let call = GetConnection::new(&connection()).call(&ServiceRoot::v1()).unwrap();
    let mut call = Exchange::new(call, &Policy::default(), 8, now);
    let opens = now + Duration::from_secs(10);
    assert!(matches!(call.poll(now, &mut shared), Step::Wait(until) if until == opens));
}

#[test]
fn a_part_ends_with_the_policys_attempts_and_its_neighbours_do_not() {
    let (batches, parts) = puts(2);
    let mut fates = vec![Parts(vec![Told(429, "1"), Status(200)])];
    fates.extend((0..9).map(|_| Parts(vec![Told(429, "1")])));
    let (answers, seen) = run(&batches, &fates);
    assert_eq!(at(&seen), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    let expected = (Some(429), Applied::No, 10, Some(GiveUp::Attempts));
    assert_eq!(fate(answers.of(&parts[0])), expected);
    assert!(answers.of(&parts[1]).is_ok());

    // Attempts of the whole are attempts of each part.
    let mut settings = Settings::default();
    settings.policy.attempts = 3;
    let fates = [Whole(503, Some("1")), Parts(vec![Told(503, "1"), Status(200)]), Whole(429, None)];
    let (answers, service) = run_with(&batches, &fates, &settings);
    assert_eq!(names(&service.seen()), ["T0 T1", "T0 T1", "T0"]);
    let expected = (Some(429), Applied::Maybe, 3, Some(GiveUp::Attempts));
    assert_eq!(fate(answers.of(&parts[0])), expected);
    assert!(answers.of(&parts[1]).is_ok());
}

#[test]
fn nothing_goes_beyond_the_total_time() {
    let (batches, parts) = puts(21);
    let mut first = vec![Status(200); 20];
    (first[0], first[1]) = (Told(503, "301"), Told(503, "299"));
    let (answers, seen) = run(&batches, &[Parts(first), fine(1), Parts(vec![Told(503, "2")])]);
    assert_eq!(names(&seen)[1..], ["T20", "T1"]);
    assert_eq!(at(&seen), [0.0, 0.0, 299.0]);
    let given_up = Some(GiveUp::TotalTime);
    assert_eq!(fate(answers.of(&parts[0])), (Some(503), Applied::Maybe, 1, given_up));
    assert_eq!(fate(answers.of(&parts[1])), (Some(503), Applied::Maybe, 2, given_up));

    // Held back by what another part of its lane is told, a part keeps its own error.
    let (batches, parts) = puts(2);
    let (answers, _) = run(&batches, &[Parts(vec![Told(503, "2"), Told(429, "1000")])]);
    assert_eq!(fate(answers.of(&parts[0])), (Some(503), Applied::Maybe, 1, given_up));
    assert_eq!(fate(answers.of(&parts[1])), (Some(429), Applied::No, 1, given_up));

    let (batches, parts) = puts(21);
    let (answers, _) = run(&batches, &[Whole(429, Some("400"))]);
    assert_eq!(fate(answers.of(&parts[19])), (Some(429), Applied::No, 1, given_up));
    assert!(matches!(answers.of(&parts[20]).unwrap_err().cause(), Cause::NeverSent(_)));
}

#[test]
fn every_repeat_of_a_part_is_paid_out_of_the_budget_but_not_a_429() {
    let mut settings = Settings::default();
    (settings.budget.capacity, settings.budget.refund) = (20, 0);
    let (batches, parts) = puts(4);
    let first = Parts(vec![Status(503), Status(429), Status(503), Status(503)]);
    let (answers, service) = run_with(&batches, &[first, fine(3)], &settings);
    assert_eq!(names(&service.seen()), ["T0 T1 T2 T3", "T0 T1 T2"]);
    let expected = (Some(503), Applied::Maybe, 1, Some(GiveUp::Budget));
    assert_eq!(fate(answers.of(&parts[3])), expected);

    // Each success brings something back.
    settings.budget.refund = 5;
    let (batches, _) = puts(5);
    let first = Parts([503, 503, 200, 200, 503].map(Status).to_vec());
    let (_, service) = run_with(&batches, &[first, fine(3)], &settings);
    assert_eq!(names(&service.seen())[1], "T0 T1 T4");
}

#[test]
fn a_refused_token_is_replaced_once() {
    let (batches, parts) = puts(2);
    let tokens = |service: &Service| {
        let seen = service.seen.lock().unwrap();
        seen.iter().map(|(_, token, _)| token.clone()).collect::<Vec<_>>()
    };
    let settings = Settings::default();
    let fates = [Parts(vec![Status(401), Status(200)]), Parts(vec![Status(401)])];
    let (answers, service) = run_with(&batches, &fates, &settings);
    assert_eq!(tokens(&service), ["Bearer token1", "Bearer token2"]);
    assert_eq!(fate(answers.of(&parts[0])), (Some(401), Applied::No, 2, None));
    assert!(answers.of(&parts[0]).unwrap_err().explanation().is_some());
    assert!(answers.of(&parts[1]).is_ok());

    let (answers, service) = run_with(&batches, &[Whole(401, None), Whole(401, None)], &settings);
    assert_eq!(tokens(&service), ["Bearer token1", "Bearer token2"]);
    assert_eq!(fate(answers.of(&parts[0])), (Some(401), Applied::No, 2, None));
}

#[test]
fn a_call_that_takes_another_kind_of_token_is_refused_here_and_the_others_go() {
    let mut batches = batches();
    let append = append(&mut batches, 0);
    let put = put(&mut batches, 1);
    let service = Service::new(&[fine(1)]);
    let its = Arc::clone(&service);
    let transport = move |request: http::Request<Bytes>, _: &SendOptions| its.answer(&request);
    let token = Token::new(AccessToken::new("token").unwrap()).kind(TokenKind::Delegated);
    let client = Client::builder(ServiceRoot::v1(), move |_: &TokenNeed| Ok(token.clone()))
        .build(transport, Arc::clone(&service.clock));
    let answers = client.run(&batches).unwrap();
    assert_eq!(names(&service.seen()), ["T1"]);
    assert!(answers.of(&put).is_ok());
    let error = answers.of(&append).unwrap_err();
    assert_eq!((error.attempts(), error.applied()), (0, Applied::No));
    assert!(matches!(error.cause(), Cause::Build(why) if why.breaks(Rule::TokenKind)), "{error}");
}

#[test]
fn a_424_of_the_whole_goes_again_where_that_does_no_harm() {
    let mut batches = batches();
    let append = append(&mut batches, 0);
    let put = put(&mut batches, 1);
    let (answers, seen) = run(&batches, &[Whole(424, Some("10")), fine(1)]);
    assert_eq!((at(&seen), names(&seen)[1]), (vec![0.0, 10.0], "T1"));
    assert_eq!(fate(answers.of(&append)), (Some(424), Applied::Maybe, 1, None));
    assert!(answers.of(&put).is_ok());

    // What an earlier one may have done, no later refusal takes back.
    let (batches, parts) = puts(1);
    let (answers, _) = run(&batches, &[Whole(424, None), Parts(vec![Status(400)])]);
    assert_eq!(fate(answers.of(&parts[0])), (Some(400), Applied::Maybe, 2, None));
}

#[test]
fn a_batch_that_is_too_long_for_the_service_is_halved() {
    let (batches, parts) = puts(5);
    let too_long = Whole(413, None);
    let fates = [too_long.clone(), fine(3), too_long.clone(), fine(1), too_long];
    let (answers, seen) = run(&batches, &fates);
    assert_eq!(names(&seen), ["T0 T1 T2 T3 T4", "T0 T1 T2", "T3 T4", "T3", "T4"]);
    assert!(parts[..4].iter().all(|part| answers.of(part).is_ok()));
    assert_eq!(fate(answers.of(&parts[4])), (Some(413), Applied::No, 3, None));

    // None comes along that would make it too long again.
    let (batches, parts) = puts(40);
    let throttled = Parts(vec![Told(429, "1"); 20]);
    let fates = [Whole(413, None), throttled, fine(10), fine(10), fine(20)];
    let (answers, _) = run(&batches, &fates);
    assert!(parts.iter().all(|part| answers.of(part).is_ok()));
}

#[test]
fn what_goes_in_no_batch_sinks_nothing_else() {
    let mut batches = batches();
    let first = put(&mut batches, 1);
    let beta = ServiceRoot::new(Cloud::Global, Version::Beta);
    let elsewhere = GetConnection::new(&connection()).call(&beta).unwrap();
    let elsewhere = batches.add_call(elsewhere);
    let second = put(&mut batches, 2);
    let (answers, seen) = run(&batches, &[fine(2)]);
    assert_eq!(names(&seen), ["T1 T2"]);
    assert!(answers.of(&first).is_ok() && answers.of(&second).is_ok());
    let error = answers.of(&elsewhere).unwrap_err();
    let Cause::Build(why) = error.cause() else { panic!("{error}") };
    assert!(why.breaks(Rule::OtherRoot));
    assert_eq!((error.operation(), error.attempts()), ("Get connection", 0));
}

#[test]
fn nobody_takes_the_answers_of_other_batches() {
    let (batches, _) = puts(2);
    let (_, strangers) = puts(3);
    let (answers, _) = run(&batches, &[fine(2)]);
    for part in [&strangers[0], &strangers[2]] {
        let error = answers.of(part).unwrap_err();
        assert_eq!(error.applied(), Applied::Maybe);
        assert!(error.to_string().contains("these are the answers to other calls"), "{error}");
    }
}

#[test]
fn an_answer_of_another_shape_is_told_when_it_is_asked_for() {
    let mut batches = batches();
    let get = batches.add(&GetItem::new(&connection(), &id(1))).unwrap();
    let put = put(&mut batches, 2);
    let transport = |_: http::Request<Bytes>, _: &SendOptions| {
        let body = r#"{"responses":[{"id":"2","status":200,"body":[1]},
            {"id":"9","status":200},{"id":"1","status":200}]}"#;
        Ok(http::Response::new(Bytes::from_static(body.as_bytes())))
    };
    let client =
        Client::builder(ServiceRoot::v1(), tokens()).build(transport, VirtualClock::default());
    let answers = client.run(&batches).unwrap();
    let error = answers.of(&put).unwrap_err();
    assert!(matches!(error.cause(), Cause::Unreadable { .. }));
    assert_eq!((error.applied(), error.attempts()), (Applied::Yes, 1));
    assert_eq!(fate(answers.of(&get)), (Some(200), Applied::No, 1, None));
    let strays: Vec<_> = answers.strays().iter().map(|stray| stray.get()).collect();
    assert_eq!(strays, [r#"{"id":"9","status":200}"#]);
}

/// What a part is told at random.
fn one() -> impl Strategy<Value = One> {
    prop_oneof![
        6 => Just(Status(200)),
        1 => Just(Status(400)),
        1 => Just(Status(429)),
        2 => Just(Told(429, "3")),
        1 => Just(Told(429, "0.4")),
        1 => Just(Told(503, "2")),
        1 => Just(Status(500)),
        1 => Just(Missing),
    ]
}

/// What a batch is told at random.
fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => prop::collection::vec(one(), 20).prop_map(Parts),
        1 => Just(Lost(true)),
        1 => Just(Lost(false)),
        1 => Just(Whole(429, Some("2"))),
        1 => Just(Whole(503, None)),
        1 => Just(Whole(413, None)),
        1 => Just(Whole(424, Some("1"))),
    ]
}

proptest! {
    #[test]
    fn whatever_the_service_does_each_call_ends_once_and_truthfully(
        kinds in prop::collection::vec(any::<bool>(), 1..50),
        fates in prop::collection::vec(any_fate(), 1..30),
    ) {
        let mut batches = batches();
        // The address of an append ends with its action, so that its item tells them apart.
        let parts: Vec<_> = kinds.iter().enumerate().map(|(number, is_put)| match is_put {
            true => (Some(put(&mut batches, number)), None),
            false => (None, Some(append(&mut batches, number))),
        }).collect();

        // When each call went out, and what became of it; a service past its script is fine.
        type Log = BTreeMap<String, Vec<(Duration, Option<u16>, Duration)>>;
        let told = Arc::new(Mutex::new(Log::new()));
        let clock = Arc::new(VirtualClock::default());
        let (log, its) = (Arc::clone(&told), Arc::clone(&clock));
        let script = Mutex::new(fates.into_iter());
        let transport = move |request: http::Request<Bytes>, _: &SendOptions| {
            let body: Value = serde_json::from_slice(request.body()).unwrap();
            let requests = body["requests"].as_array().unwrap();
            let fate = match script.lock().unwrap().next() {
                Some(Parts(mut ones)) => { ones.truncate(requests.len()); Parts(ones) }
                Some(other) => other,
                None => fine(requests.len()),
            };
            let now = Clock::now(&*its).since_origin();
            for (index, request) in requests.iter().enumerate() {
                let (status, wait) = match &fate {
                    Whole(status, wait) => (Some(*status), wait.unwrap_or("0")),
                    Parts(ones) => match ones[index] {
                        Status(status) => (Some(status), "0"),
                        Told(status, wait) => (Some(status), wait),
                        Missing => (None, "0"),
                    },
                    Lost(maybe) => (if *maybe { None } else { Some(0) }, "0"),
                };
                let wait = Duration::from_secs_f64(wait.parse().unwrap());
                let url = request["url"].as_str().unwrap().to_owned();
                log.lock().unwrap().entry(url).or_default().push((now, status, now + wait));
            }
            answer(&fate, requests)
        };
        let client = Client::builder(ServiceRoot::v1(), tokens()).build(transport, clock);
        let answers = client.run(&batches).unwrap();
        let told = told.lock().unwrap();
        let throttled: Vec<_> = told.values().flatten()
            .filter(|(_, status, _)| *status == Some(429)).map(|(at, _, until)| (*at, *until)).collect();
        for (number, part) in parts.iter().enumerate() {
            let outcome = match part {
                (Some(put), _) => answers.of(put).map(|_| ()),
                (_, Some(append)) => answers.of(append).map(|_| ()),
                _ => unreachable!(),
            };
            let action = if kinds[number] { "" } else { "/addActivities" };
            let url = format!("/external/connections/acmehelp/items/T{number}{action}");
            let sent = told.get(&url).map_or(&[][..], |sent| &sent[..]);
            prop_assert!(sent.len() <= 10);
            for pair in sent.windows(2) {
                prop_assert!(pair[1].0 >= pair[0].2, "before its wait was over");
                prop_assert!(!matches!(pair[0].1, Some(200 | 400)), "again after its outcome");
                if !kinds[number] {
                    prop_assert!(matches!(pair[0].1, Some(0 | 413 | 429)), "an append again");
                }
            }
            for (at, _, _) in sent {
                let held = throttled.iter().any(|(from, until)| from < at && at < until);
                prop_assert!(!held, "through a closed gate");
            }
            let last = sent.last().and_then(|(_, status, _)| *status);
            prop_assert_eq!(outcome.is_ok(), last == Some(200));
            if let Err(error) = outcome {
                prop_assert_eq!(error.attempts() as usize, sent.len());
                let certain = sent.iter().all(|(_, status, _)| {
                    matches!(status, Some(0 | 400 | 413 | 429))
                });
                let applied = if certain { Applied::No } else { Applied::Maybe };
                prop_assert_eq!(error.applied(), applied);
            }
        }
    }
}
