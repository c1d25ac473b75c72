//! One call over time, step by step: what is repeated, how long it waits, what it carries, and
//! how it ends.

use std::{fmt::Debug, time::Duration};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use graphfeed_core::{
    external::{
        Acl, AddActivities, ExternalActivity, ExternalItem, GetConnection, Identity, PutItem,
        StoredItem,
    },
    machine::{
        Attempt, Budget, EventKind, Exchange, Machine, Policy, Shared, Step, Tick, Ticket, Token,
        WaitReason,
    },
    protocol::{
        Applied, Batch, Call, Cause, Endpoint, Error, Failure, GiveUp, Reply, ServiceRoot,
        TokenError,
    },
    types::{AccessToken, ConnectionId, Guid, ItemId, Rule, TokenKind},
};

type PutExchange = Exchange<Option<StoredItem>>;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn put(connection: &str) -> Call<Option<StoredItem>> {
    let item = ExternalItem::builder(ItemId::new("T1").unwrap())
        .acl(Acl::everyone(Guid::from(7)))
        .property("title", "t")
        .build()
        .unwrap();
    let connection = ConnectionId::new(connection).unwrap();
    PutItem::new(&connection, &item).call(&ServiceRoot::v1()).unwrap()
}

fn add_activities() -> Call<graphfeed_core::external::AddedActivities> {
    let connection = ConnectionId::new("contosohr").unwrap();
    let item = ItemId::new("T1").unwrap();
    let activity =
        ExternalActivity::viewed("2026-01-01T00:00:00Z".parse().unwrap(), Identity::user(1.into()));
    AddActivities::new(&connection, &item, &[activity]).call(&ServiceRoot::v1()).unwrap()
}

fn answer(status: u16, headers: &[(&str, &str)]) -> http::Response<Bytes> {
    let mut response = http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Bytes::new()).unwrap()
}

fn token(text: &str) -> Token {
    Token::new(AccessToken::new(text).unwrap())
}

/// A world of one call: its clock, what it shares, and what has gone out.
struct World {
    now: Tick,
    shared: Shared,
    sent: Vec<(Tick, Attempt)>,
    tokens: u32,
}

impl World {
    fn new() -> Self {
        let mut shared = Shared::default();
        shared.observe(true);
        Self { now: Tick::default(), shared, sent: Vec::new(), tokens: 0 }
    }

    fn start<T>(&self, call: Call<T>) -> Exchange<T> {
        Exchange::new(call, &Policy::default(), 1, self.now)
    }

    /// Drives the call until an attempt goes out, or to its end.
    fn until_sent<T>(&mut self, exchange: &mut Exchange<T>) -> Option<Result<Reply<T>, Error>> {
        loop {
            match exchange.poll(self.now, &mut self.shared) {
                Step::Send(attempt) => {
                    self.sent.push((self.now, attempt));
                    return None;
                }
                Step::Wait(until) => {
                    assert!(until > self.now, "a wait ends later than now");
                    self.now = until;
                }
                Step::Token(need) => {
                    self.tokens += 1;
                    let token = token(&format!("token{}", self.tokens));
                    exchange.on_token(need.lease, self.now, Ok(token), &mut self.shared);
                }
                Step::Done(result) => return Some(result),
            }
        }
    }

    fn ticket(&self) -> Ticket {
        self.sent.last().unwrap().1.ticket
    }

    fn answer<T>(&mut self, exchange: &mut Exchange<T>, response: http::Response<Bytes>) {
        exchange.on_response(self.ticket(), self.now, response, &mut self.shared);
    }

    fn fail<T>(&mut self, exchange: &mut Exchange<T>, failure: Failure) {
        exchange.on_failure(self.ticket(), self.now, failure, &mut self.shared);
    }

    /// Answers each attempt in turn and gives the outcome.
    fn play<T>(
        &mut self,
        mut exchange: Exchange<T>,
        answers: impl IntoIterator<Item = Result<http::Response<Bytes>, Failure>>,
    ) -> Result<Reply<T>, Error> {
        let mut answers = answers.into_iter();
        loop {
            if let Some(outcome) = self.until_sent(&mut exchange) {
                assert_eq!(answers.next().map(|_| ()), None, "an answer nobody asked for");
                return outcome;
            }
            match answers.next().expect("an attempt more than there are answers") {
                Ok(response) => self.answer(&mut exchange, response),
                Err(failure) => self.fail(&mut exchange, failure),
            }
        }
    }

    fn gaps(&self) -> Vec<Duration> {
        self.sent.windows(2).map(|pair| pair[1].0.since(pair[0].0)).collect()
    }
}

#[test]
fn what_may_be_repeated_is_and_what_may_not_is_not() {
    for status in [408, 429, 500, 502, 503, 504, 509] {
        let mut world = World::new();
        let exchange = world.start(put("contosohr"));
        let reply = world.play(exchange, [Ok(answer(status, &[])), Ok(answer(200, &[]))]);
        assert_eq!(reply.unwrap().status, 200, "{status}");
    }
    for status in [301, 302, 303, 307, 400, 402, 403, 404, 409, 412, 413, 423, 501, 507] {
        let mut world = World::new();
        let exchange = world.start(put("contosohr"));
        let error = world.play(exchange, [Ok(answer(status, &[]))]).unwrap_err();
        assert_eq!((error.status().unwrap().as_u16(), error.attempts()), (status, 1));
        assert_eq!(error.why_given_up(), None);
    }
    for status in [408, 500, 502, 503, 504, 509] {
        let mut world = World::new();
        let exchange = world.start(add_activities());
        let error = world.play(exchange, [Ok(answer(status, &[]))]).unwrap_err();
        assert_eq!((error.applied(), error.attempts()), (Applied::Maybe, 1), "{status}");
    }
    let mut world = World::new();
    let exchange = world.start(add_activities());
    let answers = [Ok(answer(429, &[])), Ok(answer(400, &[]))];
    assert_eq!(world.play(exchange, answers).unwrap_err().attempts(), 2);
}

#[test]
fn a_broken_connection_is_repeated_only_where_that_does_no_harm() {
    let refused = || Failure::not_sent("refused");
    let reset = || Failure::maybe_sent("reset");
    let bad_certificate = || Failure::not_sent("bad certificate").permanent();
    let cases: [(&dyn Fn() -> Failure, bool, u32, u32); 3] =
        [(&refused, false, 2, 2), (&reset, false, 2, 1), (&bad_certificate, true, 1, 1)];
    for (failure, permanent, put_attempts, add_attempts) in cases {
        let play = |attempts: u32| {
            let answers = (1..attempts).map(move |_| Err(failure()));
            answers.chain([match permanent || attempts == 1 {
                true => Err(failure()),
                false => Ok(answer(400, &[])),
            }])
        };
        let mut world = World::new();
        let exchange = world.start(put("contosohr"));
        let error = world.play(exchange, play(put_attempts)).unwrap_err();
        assert_eq!(error.attempts(), put_attempts);
        let mut world = World::new();
        let exchange = world.start(add_activities());
        let error = world.play(exchange, play(add_attempts)).unwrap_err();
        assert_eq!(error.attempts(), add_attempts);
    }
}

#[test]
fn an_answer_that_broke_off_is_judged_by_its_status() {
    let cut = |status: u16| {
        Err(Failure::maybe_sent("cut").with_partial(answer(status, &[("retry-after", "9")])))
    };
    for status in [429, 503, 200] {
        let mut world = World::new();
        let exchange = world.start(put("contosohr"));
        let reply = world.play(exchange, [cut(status), Ok(answer(200, &[]))]);
        assert_eq!(reply.unwrap().status, 200);
        assert_eq!(world.gaps()[0], seconds(9.0), "{status}");
    }
    for (status, applied) in [(400, Applied::No), (200, Applied::Yes), (500, Applied::Maybe)] {
        let mut world = World::new();
        let exchange = world.start(add_activities());
        let error = world.play(exchange, [cut(status)]).unwrap_err();
        assert_eq!((error.attempts(), error.applied()), (1, applied), "{status}");
    }
}

#[test]
fn a_503_and_a_broken_connection_ask_for_a_new_one() {
    let mut world = World::new();
    let exchange = world.start(put("contosohr"));
    let answers = [
        Ok(answer(500, &[])),
        Ok(answer(503, &[])),
        Ok(answer(429, &[])),
        Err(Failure::maybe_sent("reset")),
        Ok(answer(200, &[])),
    ];
    assert_eq!(world.play(exchange, answers).unwrap().status, 200);
    let asked: Vec<_> = world.sent.iter().map(|(_, attempt)| attempt.new_connection).collect();
    assert_eq!(asked, [false, false, true, true, true]);
}

#[test]
fn the_services_wait_is_obeyed_in_all_its_forms() {
    let date = ("date", "Tue, 15 Nov 1994 08:12:31 GMT");
    for (headers, least, most) in [
        (&[("retry-after", "7")][..], 7.0, 7.0),
        (&[("retry-after", "7.5")], 7.5, 7.5),
        (&[("retry-after", "7,7")], 7.0, 7.0),
        (&[("x-ms-retry-after-ms", "1500")], 1.5, 1.5),
        (&[date, ("retry-after", "Tue, 15 Nov 1994 08:13:01 GMT")], 30.0, 30.0),
        (&[], 0.25, 0.5),
        (&[("retry-after", "0")], 0.25, 0.5),
        (&[("retry-after", "soon")], 0.25, 0.5),
        (&[("retry-after", "-3")], 0.25, 0.5),
    ] {
        for status in [429, 503] {
            let mut world = World::new();
            let exchange = world.start(put("contosohr"));
            let answers = [Ok(answer(status, headers)), Ok(answer(200, &[]))];
            assert_eq!(world.play(exchange, answers).unwrap().status, 200);
            let gap = world.gaps()[0].as_secs_f64();
            assert!((least..=most).contains(&gap), "{status} {headers:?}: {gap}");
        }
    }
}

#[test]
fn only_waits_of_our_own_choice_double() {
    let mut world = World::new();
    let exchange = world.start(put("contosohr"));
    let told = || Ok(answer(429, &[("retry-after", "1")]));
    let answers =
        [told(), told(), told(), told(), told(), Ok(answer(429, &[])), Ok(answer(200, &[]))];
    assert_eq!(world.play(exchange, answers).unwrap().status, 200);
    let own = world.gaps()[5].as_secs_f64();
    assert!((0.25..=0.5).contains(&own), "{own}");
}

#[test]
fn a_wait_beyond_the_total_time_gives_up_at_once_with_the_cause() {
    for (told, attempts) in [("299", 2), ("300", 1), ("99999999999999999999", 1)] {
        let mut world = World::new();
        let exchange = world.start(put("contosohr"));
        let answers = [Ok(answer(429, &[("retry-after", told)])), Ok(answer(400, &[]))];
        let error = world.play(exchange, answers.into_iter().take(attempts)).unwrap_err();
        assert_eq!(error.attempts() as usize, attempts);
        if attempts == 1 {
            assert_eq!(world.now, Tick::default(), "it did not wait in vain");
            assert_eq!(error.why_given_up(), Some(GiveUp::TotalTime));
            assert_eq!(error.status().unwrap(), 429);
        }
    }
}

#[test]
fn attempts_are_counted_and_bounded() {
    let mut world = World::new();
    let exchange = world.start(put("contosohr"));
    let error = world.play(exchange, (0..10).map(|_| Ok(answer(429, &[])))).unwrap_err();
    assert_eq!((error.attempts(), error.why_given_up()), (10, Some(GiveUp::Attempts)));
    assert_eq!(
        error.to_string(),
        "Create or replace item: 429 Too Many Requests, without a body; given up after 10 \
         attempts, for the policy allows no more; it was not carried out"
    );
    let ids: Vec<_> = world
        .sent
        .iter()
        .map(|(_, attempt)| &attempt.request.headers()["client-request-id"])
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "one id for the call");
    let counts: Vec<_> = world
        .sent
        .iter()
        .map(|(_, attempt)| {
            let count = attempt.request.headers().get("retry-attempt");
            count.map(|count| count.to_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(counts[0], None);
    assert_eq!(counts[1].as_deref(), Some("1"));
    assert_eq!(counts[9].as_deref(), Some("9"));
    for (gap, longest) in world.gaps().iter().zip([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0])
    {
        assert!((longest / 2.0..=longest).contains(&gap.as_secs_f64()), "{gap:?}");
    }
}

#[test]
fn a_late_answer_is_ignored_and_an_attempt_past_its_time_may_have_arrived() {
    let mut world = World::new();
    let mut exchange = world.start(put("contosohr"));
    assert!(world.until_sent(&mut exchange).is_none());
    let first = world.ticket();
    assert_eq!(world.sent[0].1.timeout, seconds(100.0));
    assert!(world.until_sent(&mut exchange).is_none(), "the first was given up, the second is out");
    assert!(world.now >= Tick::new(seconds(100.25)));
    exchange.on_response(first, world.now, answer(200, &[]), &mut world.shared);
    exchange.on_failure(first, world.now, Failure::not_sent("late"), &mut world.shared);
    world.answer(&mut exchange, answer(400, &[]));
    let error = world.until_sent(&mut exchange).unwrap().unwrap_err();
    assert_eq!((error.status().unwrap().as_u16(), error.attempts()), (400, 2));
    assert_eq!(error.applied(), Applied::Maybe, "the first attempt may have been carried out");

    let mut world = World::new();
    let mut exchange = world.start(add_activities());
    assert!(world.until_sent(&mut exchange).is_none());
    let error = world.until_sent(&mut exchange).unwrap().unwrap_err();
    assert_eq!((error.attempts(), error.applied()), (1, Applied::Maybe));
    assert!(matches!(error.cause(), Cause::Transport(_)));
}

#[test]
fn after_the_end_there_is_nothing() {
    let mut world = World::new();
    let mut exchange = world.start(put("contosohr"));
    world.until_sent(&mut exchange);
    let ticket = world.ticket();
    world.answer(&mut exchange, answer(200, &[]));
    exchange.on_response(ticket, world.now, answer(500, &[]), &mut world.shared);
    assert!(world.until_sent(&mut exchange).unwrap().is_ok());
    assert!(matches!(exchange.poll(world.now, &mut world.shared), Step::Wait(Tick::MAX)));
}

/// Polls until the next send or wait and says which.
fn step<T: Debug>(world: &mut World, exchange: &mut Exchange<T>) -> Result<Ticket, Tick> {
    match exchange.poll(world.now, &mut world.shared) {
        Step::Send(attempt) => Ok(attempt.ticket),
        Step::Wait(until) => Err(until),
        Step::Token(need) => {
            exchange.on_token(need.lease, world.now, Ok(token("t")), &mut world.shared);
            step(world, exchange)
        }
        Step::Done(result) => panic!("over: {result:?}"),
    }
}

#[test]
fn a_429_closes_the_gate_of_its_lane_and_one_goes_first_when_it_opens() {
    let mut world = World::new();
    let [mut a, mut b, mut c] = [(); 3].map(|()| world.start(put("contosohr")));
    let mut other = world.start(put("contosoit"));
    let ticket = step(&mut world, &mut a).unwrap();
    let in_flight = step(&mut world, &mut b).unwrap();
    a.on_response(ticket, world.now, answer(429, &[("retry-after", "10")]), &mut world.shared);
    let opens = Tick::new(seconds(10.0));
    assert_eq!(step(&mut world, &mut c), Err(opens), "held back by the 429 of another call");
    assert!(step(&mut world, &mut other).is_ok(), "another connection is another lane");
    b.on_response(in_flight, world.now, answer(503, &[]), &mut world.shared);
    world.now = Tick::new(seconds(9.9));
    assert_eq!(step(&mut world, &mut c), Err(opens));
    assert_eq!(step(&mut world, &mut b), Err(opens));

    world.now = opens;
    let first = step(&mut world, &mut c).unwrap();
    let back_by = opens + seconds(100.0);
    assert_eq!(step(&mut world, &mut a), Err(back_by), "one call goes first");
    assert_eq!(step(&mut world, &mut b), Err(back_by));
    c.on_response(first, world.now, answer(429, &[("retry-after", "5")]), &mut world.shared);
    assert_eq!(step(&mut world, &mut a), Err(Tick::new(seconds(15.0))), "closed again");

    world.now = Tick::new(seconds(15.0));
    let first = step(&mut world, &mut a).unwrap();
    assert!(step(&mut world, &mut b).is_err());
    a.on_response(first, world.now, answer(200, &[]), &mut world.shared);
    assert!(step(&mut world, &mut b).is_ok(), "the way is free");
    assert!(step(&mut world, &mut c).is_ok());
}

#[test]
fn a_batch_waits_for_the_gates_of_all_its_lanes_and_goes_first_through_each() {
    let mut world = World::new();
    let [mut a, mut b] = ["contosohr", "contosoit"].map(|name| world.start(put(name)));
    for (call, wait) in [(&mut a, "10"), (&mut b, "20")] {
        let ticket = step(&mut world, call).unwrap();
        let answer = answer(429, &[("retry-after", wait)]);
        call.on_response(ticket, world.now, answer, &mut world.shared);
    }
    let mut batch = Batch::new(&ServiceRoot::v1());
    for name in ["contosohr", "contosoit", "contosohr", "contosoen"] {
        batch.push(put(name)).unwrap();
    }
    let mut batch = world.start(batch.call().unwrap());
    world.now = Tick::new(seconds(10.0));
    assert_eq!(step(&mut world, &mut batch), Err(Tick::new(seconds(20.0))));
    world.now = Tick::new(seconds(20.0));
    let ticket = step(&mut world, &mut batch).unwrap();
    assert!(step(&mut world, &mut a).is_err() && step(&mut world, &mut b).is_err());
    batch.on_response(ticket, world.now, answer(429, &[("retry-after", "5")]), &mut world.shared);
    let opens = Tick::new(seconds(25.0));
    for name in ["contosohr", "contosoit", "contosoen"] {
        let mut call = world.start(put(name));
        assert_eq!(step(&mut world, &mut call), Err(opens), "{name}");
    }
    world.now = opens;
    step(&mut world, &mut batch).unwrap();
    assert!(step(&mut world, &mut a).is_err());
    batch.abandon(&mut world.shared);
    assert!(step(&mut world, &mut a).is_ok() && step(&mut world, &mut b).is_ok());
}

#[test]
fn whoever_goes_first_and_does_not_come_back_holds_nobody_up() {
    for give_up in [true, false] {
        let mut world = World::new();
        let [mut a, mut b] = [(); 2].map(|()| world.start(put("contosohr")));
        let ticket = step(&mut world, &mut a).unwrap();
        a.on_response(ticket, world.now, answer(429, &[("retry-after", "10")]), &mut world.shared);
        world.now = Tick::new(seconds(10.0));
        step(&mut world, &mut a).unwrap();
        let back_by = step(&mut world, &mut b).unwrap_err();
        if give_up {
            a.abandon(&mut world.shared);
        } else {
            world.now = back_by;
        }
        assert!(step(&mut world, &mut b).is_ok());
    }
}

#[test]
fn a_shorter_wait_does_not_open_a_gate_early() {
    let mut world = World::new();
    let [mut a, mut b, mut c] = [(); 3].map(|()| world.start(put("contosohr")));
    let first = step(&mut world, &mut a).unwrap();
    let second = step(&mut world, &mut b).unwrap();
    a.on_response(first, world.now, answer(429, &[("retry-after", "60")]), &mut world.shared);
    b.on_response(second, world.now, answer(429, &[("retry-after", "1")]), &mut world.shared);
    assert_eq!(step(&mut world, &mut c), Err(Tick::new(seconds(60.0))));
    world.now = Tick::new(seconds(1.0));
    assert_eq!(step(&mut world, &mut b), Err(Tick::new(seconds(60.0))));
}

#[test]
fn a_call_that_could_not_go_in_time_is_never_sent() {
    let mut world = World::new();
    let mut patient = Policy::default();
    patient.total = seconds(1000.0);
    let mut a = Exchange::new(put("contosohr"), &patient, 1, world.now);
    let ticket = step(&mut world, &mut a).unwrap();
    a.on_response(ticket, world.now, answer(429, &[("retry-after", "600")]), &mut world.shared);
    let b = world.start(put("contosohr"));
    let error = world.play(b, []).unwrap_err();
    assert_eq!((error.attempts(), error.applied()), (0, Applied::No));
    assert!(matches!(error.cause(), Cause::NeverSent(GiveUp::TotalTime)));
    assert_eq!(world.now, Tick::default());
}

#[test]
fn a_dead_service_is_not_hammered() {
    let mut world = World::new();
    let mut budget = Budget::default();
    (budget.capacity, budget.cost, budget.refund) = (30, 10, 5);
    world.shared = Shared::new(budget);
    let mut attempts = Vec::new();
    for _ in 0..4 {
        let mut exchange = world.start(put("contosohr"));
        let error = loop {
            match world.until_sent(&mut exchange) {
                Some(outcome) => break outcome.unwrap_err(),
                None => world.answer(&mut exchange, answer(500, &[])),
            }
        };
        assert_eq!(error.why_given_up(), Some(GiveUp::Budget));
        attempts.push(error.attempts());
    }
    assert_eq!(attempts, [4, 1, 1, 1], "three repeats for all of them");
    for _ in 0..2 {
        let exchange = world.start(put("contosohr"));
        assert_eq!(world.play(exchange, [Ok(answer(200, &[]))]).unwrap().status, 200);
    }
    let exchange = world.start(put("contosohr"));
    let answers = [Ok(answer(500, &[])), Ok(answer(500, &[]))];
    let error = world.play(exchange, answers).unwrap_err();
    assert_eq!(error.attempts(), 2, "two successes have paid for one repeat");
}

#[test]
fn a_429_costs_no_budget() {
    let mut world = World::new();
    let mut budget = Budget::default();
    budget.capacity = 0;
    world.shared = Shared::new(budget);
    let exchange = world.start(put("contosohr"));
    assert_eq!(
        world.play(exchange, [Ok(answer(429, &[])), Ok(answer(200, &[]))]).unwrap().status,
        200
    );
}

#[test]
fn a_refused_token_is_replaced_once_with_the_claims_that_are_insisted_on() {
    let claims = r#"{"access_token":{"nbf":{"essential":true}}}"#;
    let challenge = format!(
        "Bearer realm=\"\", error=\"insufficient_claims\", claims=\"{}\"",
        STANDARD.encode(claims)
    );
    let mut world = World::new();
    let mut exchange = world.start(put("contosohr"));
    world.until_sent(&mut exchange);
    world.answer(&mut exchange, answer(401, &[("www-authenticate", &challenge)]));
    let Step::Token(need) = exchange.poll(world.now, &mut world.shared) else {
        panic!("no new token");
    };
    assert_eq!(need.claims.as_deref(), Some(claims));
    exchange.on_token(need.lease, world.now, Ok(token("second")), &mut world.shared);
    world.until_sent(&mut exchange);
    assert_eq!(world.sent[1].1.request.headers()["Authorization"], "Bearer second");
    world.answer(&mut exchange, answer(401, &[]));
    let error = world.until_sent(&mut exchange).unwrap().unwrap_err();
    assert_eq!((error.status().unwrap().as_u16(), error.attempts()), (401, 2));
    assert_eq!(world.tokens, 1);

    let exchange = world.start(put("contosohr"));
    assert_eq!(
        world.play(exchange, [Ok(answer(401, &[])), Ok(answer(200, &[]))]).unwrap().status,
        200
    );
    assert_eq!(world.tokens, 2, "any call gets one new token");
}

#[test]
fn the_refusal_of_an_old_token_does_not_cost_the_new_one() {
    let mut world = World::new();
    let [mut a, mut b] = [(); 2].map(|()| world.start(put("contosohr")));
    world.until_sent(&mut a);
    let first = world.ticket();
    world.until_sent(&mut b);
    let second = world.ticket();
    a.on_response(first, world.now, answer(401, &[]), &mut world.shared);
    world.until_sent(&mut a);
    b.on_response(second, world.now, answer(401, &[]), &mut world.shared);
    world.until_sent(&mut b);
    assert_eq!(world.tokens, 2, "the first, and one for both");
}

#[test]
fn one_caller_fetches_a_token_for_all_and_hands_the_task_on() {
    let mut world = World::new();
    let [mut a, mut b, mut c] = [(); 3].map(|()| world.start(put("contosohr")));
    let Step::Token(need) = a.poll(world.now, &mut world.shared) else { panic!() };
    let lease_ends = Tick::new(need.timeout);
    assert!(
        matches!(b.poll(world.now, &mut world.shared), Step::Wait(until) if until == lease_ends)
    );
    a.abandon(&mut world.shared);
    let Step::Token(second) = b.poll(world.now, &mut world.shared) else {
        panic!("the lease was not handed on");
    };
    assert_ne!(need.lease, second.lease);
    a.on_token(need.lease, world.now, Err(TokenError::TimedOut), &mut world.shared);
    assert!(matches!(c.poll(world.now, &mut world.shared), Step::Wait(_)));

    world.now = lease_ends;
    let Step::Token(third) = c.poll(world.now, &mut world.shared) else {
        panic!("the lease did not end");
    };
    c.on_token(third.lease, world.now, Ok(token("t")), &mut world.shared);
    assert!(matches!(c.poll(world.now, &mut world.shared), Step::Send(_)));
    b.on_token(second.lease, world.now, Err(TokenError::TimedOut), &mut world.shared);
    assert!(matches!(b.poll(world.now, &mut world.shared), Step::Send(_)), "there is one now");
}

#[test]
fn sixteen_calls_share_one_token_and_one_gate_in_virtual_time() {
    let mut world = World::new();
    let mut calls: Vec<_> = (0..16).map(|_| world.start(put("contosohr"))).collect();
    // The first fetches for all, and is dropped; the second takes over.
    let Step::Token(_) = calls[0].poll(world.now, &mut world.shared) else { panic!() };
    for call in &mut calls[1..] {
        assert!(matches!(call.poll(world.now, &mut world.shared), Step::Wait(_)));
    }
    calls[0].abandon(&mut world.shared);
    calls.remove(0);
    let mut tickets = Vec::new();
    for call in &mut calls {
        tickets.push(step(&mut world, call).unwrap());
    }
    assert_eq!(world.tokens, 0, "step() answers the one need that there is");
    // One is throttled, and all fifteen wait for the same time.
    for (call, ticket) in calls.iter_mut().zip(tickets) {
        let throttled = answer(429, &[("retry-after", "30")]);
        call.on_response(ticket, world.now, throttled, &mut world.shared);
        let until = step(&mut world, call).unwrap_err();
        assert_eq!(until, Tick::new(seconds(30.0)));
    }
    world.now = Tick::new(seconds(30.0));
    let sent: Vec<_> = calls.iter_mut().map(|call| step(&mut world, call)).collect();
    assert_eq!(sent.iter().filter(|step| step.is_ok()).count(), 1, "one goes first");
    calls[0].on_response(sent[0].unwrap(), world.now, answer(200, &[]), &mut world.shared);
    let sent = calls[1..].iter_mut().filter_map(|call| step(&mut world, call).ok()).count();
    assert_eq!(sent, 14, "then the others");
}

#[test]
fn a_failed_fetch_is_told_to_all_who_wait_and_to_nobody_later() {
    let mut world = World::new();
    let [mut a, mut b] = [(); 2].map(|()| world.start(put("contosohr")));
    let Step::Token(need) = a.poll(world.now, &mut world.shared) else { panic!() };
    assert!(matches!(b.poll(world.now, &mut world.shared), Step::Wait(_)));
    a.on_token(need.lease, world.now, Err(TokenError::source("no")), &mut world.shared);
    let Step::Done(Err(error)) = a.poll(world.now, &mut world.shared) else { panic!() };
    assert!(matches!(error.cause(), Cause::Token(TokenError::Source(_))));
    assert_eq!(error.to_string(), "Create or replace item: no token: no");
    assert_eq!((error.attempts(), error.applied()), (0, Applied::No));
    let mut c = world.start(put("contosohr"));
    assert!(matches!(c.poll(world.now, &mut world.shared), Step::Token(_)), "c asks anew");
    let Step::Done(Err(_)) = b.poll(world.now, &mut world.shared) else {
        panic!("b waited for the fetch that failed");
    };
}

#[test]
fn tokens_are_refreshed_early_and_a_failure_then_is_nobodys() {
    let mut world = World::new();
    let fetch = |world: &mut World, exchange: &mut PutExchange| match exchange
        .poll(world.now, &mut world.shared)
    {
        Step::Token(need) => Some(need.lease),
        Step::Send(_) => None,
        other => panic!("{other:?}"),
    };
    let mut exchange = world.start(put("contosohr"));
    let lease = fetch(&mut world, &mut exchange).unwrap();
    let hour = token("first").expires_in(seconds(3600.0));
    exchange.on_token(lease, world.now, Ok(hour), &mut world.shared);

    world.now = Tick::new(seconds(3299.0));
    let mut call = world_exchange(&world);
    assert_eq!(fetch(&mut world, &mut call), None, "not yet");
    world.now = Tick::new(seconds(3300.0));
    let mut early = world_exchange(&world);
    let lease = fetch(&mut world, &mut early).expect("five minutes early");
    let mut call = world_exchange(&world);
    assert_eq!(fetch(&mut world, &mut call), None, "others use the old one");
    early.on_token(lease, world.now, Err(TokenError::TimedOut), &mut world.shared);
    assert_eq!(fetch(&mut world, &mut early), None, "the old token still lives");
    world.now = Tick::new(seconds(3329.0));
    let mut call = world_exchange(&world);
    assert_eq!(fetch(&mut world, &mut call), None, "not again at once");
    world.now = Tick::new(seconds(3330.0));
    let mut again = world_exchange(&world);
    let lease = fetch(&mut world, &mut again).unwrap();
    again.on_token(lease, world.now, Err(TokenError::TimedOut), &mut world.shared);
    world.now = Tick::new(seconds(3600.0));
    let mut last = world_exchange(&world);
    let lease = fetch(&mut world, &mut last).expect("the old token is dead");
    last.on_token(lease, world.now, Err(TokenError::TimedOut), &mut world.shared);
    assert!(matches!(last.poll(world.now, &mut world.shared), Step::Done(Err(_))));
}

fn world_exchange(world: &World) -> PutExchange {
    world.start(put("contosohr"))
}

#[test]
fn a_token_of_the_wrong_kind_is_refused_here() {
    let mut world = World::new();
    let mut exchange = world.start(add_activities());
    let Step::Token(need) = exchange.poll(world.now, &mut world.shared) else { panic!() };
    let delegated = token("t").kind(TokenKind::Delegated);
    exchange.on_token(need.lease, world.now, Ok(delegated), &mut world.shared);
    let Step::Done(Err(error)) = exchange.poll(world.now, &mut world.shared) else { panic!() };
    let Cause::Build(why) = error.cause() else { panic!("{error}") };
    assert!(why.breaks(Rule::TokenKind));
    assert_eq!((error.attempts(), error.applied()), (0, Applied::No));
    assert_eq!(
        error.to_string(),
        "Add activities: not sent: access token: Add activities takes an application's token, \
         and this is a user's [token-kind]"
    );
}

#[test]
fn a_403_explains_itself() {
    let jwt = |payload: &str| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload));
    for (text, explained) in [
        (
            jwt(r#"{"roles":["Sites.Read.All"]}"#),
            "Create or replace item needs ExternalItem.ReadWrite.OwnedBy (or \
             ExternalItem.ReadWrite.All) for an application; the token has the roles Sites.Read.All",
        ),
        (
            jwt(r#"{"scp":"User.Read"}"#),
            "Create or replace item needs ExternalItem.ReadWrite.OwnedBy (or \
             ExternalItem.ReadWrite.All) for a signed-in user; the token has the scopes User.Read",
        ),
        (
            jwt(r#"{"roles":[]}"#),
            "for an application; the token has no roles; with an OwnedBy permission a connection is \
             open only to the application that created it and those in its authorizedAppIds",
        ),
        (
            "opaque".to_owned(),
            "Create or replace item needs ExternalItem.ReadWrite.OwnedBy (or \
             ExternalItem.ReadWrite.All) for an application, ExternalItem.ReadWrite.OwnedBy (or \
             ExternalItem.ReadWrite.All) for a signed-in user; with",
        ),
    ] {
        let mut world = World::new();
        let mut exchange = world.start(put("contosohr"));
        let Step::Token(need) = exchange.poll(world.now, &mut world.shared) else { panic!() };
        exchange.on_token(need.lease, world.now, Ok(token(&text)), &mut world.shared);
        let error = world.play(exchange, [Ok(answer(403, &[]))]).unwrap_err();
        assert!(error.to_string().contains(explained), "{error}");
        assert_eq!(error.explanation().unwrap().route().name, "Create or replace item");
    }
}

#[test]
fn every_decision_is_told_as_data() {
    let mut world = World::new();
    let exchange = world.start(put("contosohr"));
    let id = exchange.client_request_id();
    let answers =
        [Ok(answer(429, &[("retry-after", "2"), ("request-id", "r")])), Ok(answer(200, &[]))];
    assert_eq!(world.play(exchange, answers).unwrap().status, 200);
    let events = world.shared.take_events();
    assert!(events.iter().all(|event| event.call == id));
    let told: Vec<String> = events
        .iter()
        .map(|event| match &event.kind {
            EventKind::TokenWanted => "token wanted".into(),
            EventKind::TokenFetched => "token fetched".into(),
            EventKind::Attempt { number, .. } => format!("attempt {number}"),
            EventKind::Answer { number, status, request_id, .. } => {
                format!("answer {number} {} {request_id:?}", status.as_u16())
            }
            EventKind::Throttled { until, .. } => {
                format!("throttled until {:?}", until.since_origin())
            }
            EventKind::Wait { reason: WaitReason::Repeat, .. } => "wait to repeat".into(),
            EventKind::Done { attempts, success, .. } => format!("done {attempts} {success}"),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        [
            "token wanted",
            "token fetched",
            "attempt 1",
            "answer 1 429 Some(\"r\")",
            "throttled until 2s",
            "wait to repeat",
            "attempt 2",
            "answer 2 200 None",
            "done 2 true",
        ]
    );
}

#[test]
fn a_wait_is_told_once_however_often_the_call_is_polled() {
    let mut world = World::new();
    let later = world.now + Duration::from_secs(2);
    let mut exchange = Exchange::new(put("contosohr"), &Policy::default(), 1, later);
    for _ in 0..3 {
        let Step::Wait(until) = exchange.poll(world.now, &mut world.shared) else { panic!() };
        assert_eq!(until, later);
        world.now += Duration::from_millis(500);
    }
    let events = world.shared.take_events();
    let kinds: Vec<_> = events.iter().map(|event| &event.kind).collect();
    assert!(
        matches!(kinds[..], [EventKind::Wait { until, reason: WaitReason::Interval, .. }]
            if *until == later),
        "{kinds:?}"
    );
}

#[test]
fn no_machine_shows_its_token() {
    let mut world = World::new();
    let mut exchange = world.start(put("contosohr"));
    let Step::Token(need) = exchange.poll(world.now, &mut world.shared) else { panic!() };
    let secret = Token::new(AccessToken::new("top-secret").unwrap());
    let shown = format!("{need:?} {secret:?}");
    exchange.on_token(need.lease, world.now, Ok(secret), &mut world.shared);
    let step = exchange.poll(world.now, &mut world.shared);
    let Step::Send(attempt) = &step else { panic!("{step:?}") };
    assert_eq!(attempt.request.headers()["authorization"], "Bearer top-secret");
    let events = world.shared.take_events();
    for text in [
        shown,
        format!("{step:?}"),
        format!("{:?}", attempt.request),
        format!("{exchange:?}"),
        format!("{:?}", world.shared),
        format!("{events:?}"),
    ] {
        assert!(!text.contains("top-secret"), "{text}");
    }
}

#[test]
fn get_is_repeated_and_writes_nothing() {
    let mut world = World::new();
    let connection = ConnectionId::new("contosohr").unwrap();
    let call = GetConnection::new(&connection).call(&ServiceRoot::v1()).unwrap();
    let exchange = world.start(call);
    let answers = [Err(Failure::maybe_sent("reset")), Ok(answer(404, &[]))];
    let error = world.play(exchange, answers).unwrap_err();
    assert_eq!((error.attempts(), error.applied()), (2, Applied::No));
}
