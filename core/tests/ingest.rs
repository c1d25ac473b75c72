//! Many calls, step by step: what is taken, in which order it goes, what it waits for, and what is
//! told of it.

use std::time::Duration;

use bytes::Bytes;
use graphfeed_core::{
    external::{
        Acl, AddActivities, AddedActivities, DeleteItem, ExternalActivity, ExternalItem,
        GetConnection, Identity, PutItem, StoredConnection,
    },
    machine::{
        AfterFailure, Attempt, Budget, End, Ending, Exchange, FailureShare, Ingest, IngestSettings,
        IngestStep, Machine, Outcome, Packing, Policy, Shared, SkipReason, Start, Step, Summary,
        Tick, Token,
    },
    protocol::{
        Applied, Call, Cause, Cloud, Deleted, Endpoint, Failure, GiveUp, Limits, ServiceRoot,
        TokenError, Version,
    },
    types::{AccessToken, BuildError, ConnectionId, Fault, Guid, ItemId, Rule},
};

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn delete_in(connection: &str) -> Call<Deleted> {
    let connection = ConnectionId::new(connection).unwrap();
    DeleteItem::new(&connection, &ItemId::new("T1").unwrap()).call(&ServiceRoot::v1()).unwrap()
}

fn delete() -> Call<Deleted> {
    delete_in("contosohr")
}

fn add() -> Call<AddedActivities> {
    let connection = ConnectionId::new("contosohr").unwrap();
    let start = "2026-01-01T00:00:00Z".parse().unwrap();
    let viewed = [ExternalActivity::viewed(start, Identity::user(Guid::from(1)))];
    AddActivities::new(&connection, &ItemId::new("T1").unwrap(), &viewed)
        .call(&ServiceRoot::v1())
        .unwrap()
}

fn bad() -> BuildError {
    Fault::new(Rule::ItemId, "$.id", "an item without an id").into()
}

fn answer(status: u16, retry_after: Option<&str>) -> http::Response<Bytes> {
    let mut response = http::Response::builder().status(status);
    if let Some(wait) = retry_after {
        response = response.header("retry-after", wait);
    }
    response.body(Bytes::new()).unwrap()
}

/// A run in a world where answers come when the test says so.
struct World<T> {
    now: Tick,
    shared: Shared,
    ingest: Ingest<&'static str, T>,
    out: Vec<Attempt>,
    told: Vec<(&'static str, Outcome<T>)>,
    summary: Option<Summary>,
    tokens: u32,
    token_fails: bool,
}

fn world<T>(change: impl FnOnce(&mut IngestSettings, &mut Policy)) -> World<T> {
    let (mut settings, mut policy) = (IngestSettings::default(), Policy::default());
    change(&mut settings, &mut policy);
    let now = Tick::new(seconds(100.0));
    World {
        now,
        shared: Shared::default(),
        ingest: Ingest::new(settings, &Start::new(ServiceRoot::v1(), policy, 1, now)),
        out: Vec::new(),
        told: Vec::new(),
        summary: None,
        tokens: 0,
        token_fails: false,
    }
}

impl<T> World<T> {
    fn offer(&mut self, key: &'static str, call: Call<T>) {
        assert!(self.ingest.offer(key, call, self.now).is_ok(), "there is room");
    }

    /// Does all that can be done now; gives the time of the next poll.
    fn settle(&mut self) -> Option<Tick> {
        loop {
            match self.ingest.poll(self.now, &mut self.shared) {
                IngestStep::Send(attempt) => self.out.push(attempt),
                IngestStep::Token(need) => {
                    self.tokens += 1;
                    let token = match self.token_fails {
                        true => Err(TokenError::TimedOut),
                        false => Ok(Token::new(AccessToken::new("t").unwrap())),
                    };
                    self.ingest.on_token(need.lease, self.now, token, &mut self.shared);
                }
                IngestStep::Done(key, outcome) => self.told.push((key, outcome)),
                IngestStep::Finished(summary) => {
                    assert!(self.summary.replace(summary).is_none(), "it ends once");
                }
                IngestStep::Idle { until, .. } => return until,
            }
        }
    }

    /// Moves on to the next time that something is to be done.
    fn wait(&mut self) {
        let until = self.settle().expect("something is waited for");
        assert!(until > self.now, "a wait ends later than now");
        self.now = until;
        self.settle();
    }

    fn later(&mut self, wait: f64) {
        self.now += seconds(wait);
        self.settle();
    }

    /// Answers the oldest attempt that is out.
    fn answer(&mut self, response: http::Response<Bytes>) {
        let attempt = self.out.remove(0);
        self.ingest.on_response(attempt.ticket, self.now, response, &mut self.shared);
        self.settle();
    }

    fn fail(&mut self, failure: Failure) {
        let attempt = self.out.remove(0);
        self.ingest.on_failure(attempt.ticket, self.now, failure, &mut self.shared);
        self.settle();
    }

    fn keys_told(&self) -> Vec<&'static str> {
        self.told.iter().map(|(key, _)| *key).collect()
    }

    fn end(&mut self) -> Summary {
        self.ingest.close();
        self.settle();
        let summary = self.summary.clone().expect("it has ended");
        let progress = &summary.progress;
        assert_eq!(progress.seen, progress.ok + progress.failed + progress.skipped);
        assert_eq!(progress.seen, self.told.len() as u64, "one outcome for each offer");
        summary
    }
}

#[test]
fn an_offer_that_does_not_fit_is_given_back() {
    let mut world = world(|settings, _| settings.queue = 2);
    world.offer("a", delete());
    world.offer("a", delete());
    let (key, call) = world.ingest.offer("b", delete(), world.now).unwrap_err();
    assert_eq!((key, call.request().method()), ("b", &http::Method::DELETE));
    assert_eq!(world.ingest.skip("b", bad(), world.now), Err(("b", bad())));
    assert_eq!(world.ingest.progress(world.now).seen, 2);

    world.settle();
    world.answer(answer(204, None));
    assert_eq!(world.ingest.room(), 1, "an outcome makes room");
    world.offer("b", delete());
    world.ingest.close();
    assert!(world.ingest.offer("c", delete(), world.now).is_err(), "it is closed");
    world.answer(answer(204, None));
    world.answer(answer(204, None));
    let summary = world.end();
    assert_eq!((summary.progress.seen, summary.progress.ok), (3, 3));
    assert_eq!(summary.ending, Ending::Complete);
}

#[test]
fn an_outcome_tells_its_call_its_attempts_and_its_times() {
    let mut world = world(|_, _| {});
    world.offer("a", delete());
    world.later(1.0);
    world.later(0.5);
    world.answer(answer(503, Some("2")));
    world.later(2.0);
    world.later(0.5);
    world.answer(answer(204, None));
    let (key, outcome) = &world.told[0];
    assert_eq!(*key, "a");
    assert_eq!(outcome.call.as_ref().unwrap().route().name, "Delete item");
    assert_eq!((outcome.attempts, outcome.maybe_applied), (2, true), "a 503 says nothing");
    let since = |tick: Tick| tick.since(outcome.offered).as_secs_f64();
    assert_eq!((since(outcome.first_sent.unwrap()), since(outcome.done)), (1.0, 4.0));
    let End::Ok(reply) = &outcome.end else { panic!("{outcome:?}") };
    assert_eq!(reply.value, Deleted::Now);
}

#[test]
fn a_call_for_another_root_fails_unsent() {
    let mut world = world(|_, _| {});
    let connection = ConnectionId::new("contosohr").unwrap();
    let item = ItemId::new("T1").unwrap();
    let elsewhere = ServiceRoot::new(Cloud::ALL[1], Version::V1);
    world.offer("a", DeleteItem::new(&connection, &item).call(&elsewhere).unwrap());
    world.settle();
    assert_eq!((world.out.len(), world.tokens), (0, 0));
    let End::Failed(error) = &world.told[0].1.end else { panic!() };
    let Cause::Build(why) = error.cause() else { panic!("{error}") };
    assert_eq!(why.faults()[0].rule, Rule::OtherRoot);
    assert_eq!(world.end().progress.failed, 1);
}

#[test]
fn calls_of_one_key_go_one_after_another_and_others_beside_them() {
    let mut world = world(|_, _| {});
    for key in ["a", "a", "b", "a"] {
        world.offer(key, delete());
    }
    world.settle();
    assert_eq!(world.out.len(), 2, "one of each key");
    world.answer(answer(400, None));
    assert_eq!(world.keys_told(), ["a"]);
    assert_eq!(world.out.len(), 2, "the next one goes, although the one before it has failed");
    world.answer(answer(204, None));
    assert_eq!(world.keys_told(), ["a", "b"]);
    world.answer(answer(204, None));
    world.answer(answer(204, None));
    assert_eq!(world.keys_told(), ["a", "b", "a", "a"]);
    let summary = world.end();
    assert_eq!((summary.progress.ok, summary.progress.failed), (3, 1));
}

#[test]
fn after_a_failure_the_rest_of_its_key_is_skipped_if_so_wished() {
    let mut world = world(|settings, _| settings.after_failure = AfterFailure::Skip);
    for key in ["a", "b", "a", "a", "b"] {
        world.offer(key, delete());
    }
    world.settle();
    world.answer(answer(400, None));
    assert_eq!(world.keys_told(), ["a", "a", "a"]);
    for (_, outcome) in &world.told[1..] {
        assert!(matches!(outcome.end, End::Skipped(SkipReason::EarlierFailed)), "{outcome:?}");
        assert_eq!((outcome.attempts, outcome.first_sent), (0, None));
    }
    world.offer("a", delete());
    world.settle();
    assert_eq!(world.keys_told(), ["a"; 4], "what is offered later is no better off");
    for _ in 0..2 {
        world.answer(answer(204, None));
    }
    let summary = world.end();
    let progress = summary.progress;
    assert_eq!((progress.ok, progress.failed, progress.skipped), (2, 1, 3));
}

#[test]
fn a_key_whose_source_was_broken_keeps_back_what_comes_long_after_and_starts_anew_some_day() {
    let mut world = world(|settings, _| {
        settings.after_failure = AfterFailure::Skip;
        settings.queue = 10;
        settings.failures_in_a_row = None;
    });
    world.ingest.skip("a", bad(), world.now).unwrap();
    world.settle();
    let others = |world: &mut World<Deleted>, count| {
        for _ in 0..count {
            world.offer("b", delete());
            world.settle();
            world.answer(answer(204, None));
        }
    };
    let last = |world: &World<Deleted>| matches!(world.told.last().unwrap().1.end, End::Ok(_));
    for _ in 0..3 {
        others(&mut world, 9);
        world.offer("a", delete());
        world.settle();
        assert!(!last(&world), "its activities are for an item that is not there");
    }
    others(&mut world, 11);
    world.offer("a", delete());
    world.settle();
    world.answer(answer(204, None));
    assert!(last(&world));
    let progress = world.end().progress;
    assert_eq!((progress.ok, progress.skipped), (39, 4));
}

#[test]
fn a_service_that_is_down_is_waited_for_and_costs_no_call() {
    for down in [1.0, 5.0, 60.0, 200.0] {
        for told in [None, Some("1"), Some("7")] {
            let mut world = world(|settings, _| settings.in_flight = 25);
            let began = world.now;
            let (mut taken, mut failures, mut back) = (0_u64, 0_u32, None);
            // The first of it goes well, and then nothing does for so long.
            let is_down = |now: Tick| {
                let since = now.since(began).as_secs_f64();
                (2.0..2.0 + down).contains(&since)
            };
            while taken < 3000 || !world.out.is_empty() {
                while taken < 3000 && world.ingest.room() > 0 {
                    world.offer(["a", "b", "c", "d", "e", "f"][taken as usize % 6], delete());
                    taken += 1;
                }
                world.settle();
                if world.out.is_empty() {
                    world.wait();
                    continue;
                }
                world.later(0.01);
                let answer = match is_down(world.now) {
                    true => answer(503, told),
                    false => answer(204, None),
                };
                failures += u32::from(answer.status() == 503);
                let over = world.now.since(began).as_secs_f64() - 2.0 - down;
                if over >= 0.0 {
                    back.get_or_insert(over);
                }
                world.answer(answer);
            }
            world.ingest.close();
            let summary = world.end();
            assert_eq!(summary.ending, Ending::Complete, "{down} s, {told:?}");
            assert_eq!(summary.progress.failed, 0, "{down} s, {told:?}: {:?}", world.told.last());
            // Those that were out, and then one now and then.
            let most = 25.0 + down * 1.1 + 20.0;
            assert!(f64::from(failures) < most, "{failures} in {down} s, {told:?}");
            // At most the longest of our own waits.
            assert!(back.unwrap() <= 31.0, "{back:?} s after an outage of {down} s, {told:?}");
        }
    }
}

#[test]
fn a_service_that_stays_down_ends_the_run_with_a_verdict() {
    let mut world = world(|settings, _| settings.in_flight = 25);
    let began = world.now;
    let mut taken = 0;
    let keys: Vec<&'static str> =
        (0..200).map(|key| &*Box::leak(format!("k{key}").into_boxed_str())).collect();
    while world.summary.is_none() {
        while world.ingest.room() > 0 {
            world.offer(keys[taken % 200], delete());
            taken += 1;
        }
        world.settle();
        match world.out.is_empty() {
            true if world.summary.is_none() => world.wait(),
            true => {}
            false => {
                world.later(0.01);
                world.answer(answer(503, None));
            }
        }
    }
    let ending = world.summary.as_ref().unwrap().ending;
    assert!(matches!(ending, Ending::FailuresInARow(_)), "{ending:?}");
    let minutes = world.now.since(began).as_secs_f64() / 60.0;
    assert!((5.0..15.0).contains(&minutes), "{minutes} minutes");
}

#[test]
fn what_was_decided_does_not_go_out_after_a_stop_nor_when_its_time_is_over() {
    for stopped in [true, false] {
        let mut limits = Limits::default();
        limits.body = 4_000;
        let root = ServiceRoot::v1().with_limits(limits);
        let mut settings = IngestSettings::default();
        settings.packing = Packing::Batches;
        let now = Tick::new(seconds(100.0));
        let start = Start::new(root.clone(), Policy::default(), 1, now);
        let mut shared = Shared::default();
        let mut ingest: Ingest<&str, _> = Ingest::new(settings, &start);
        let connection = ConnectionId::new("contosohr").unwrap();
        for key in ["a", "b", "c", "d"] {
            // No two of them fit one batch.
            let item = ExternalItem::builder(ItemId::new(key).unwrap())
                .acl(Acl::everyone(Guid::from(7)))
                .property("title", "t".repeat(3_000))
                .build()
                .unwrap();
            ingest.offer(key, PutItem::new(&connection, &item).call(&root).unwrap(), now).unwrap();
        }
        let IngestStep::Token(need) = ingest.poll(now, &mut shared) else { panic!() };
        let token = Token::new(AccessToken::new("t").unwrap());
        ingest.on_token(need.lease, now, Ok(token), &mut shared);
        let IngestStep::Send(first) = ingest.poll(now, &mut shared) else { panic!() };
        assert_eq!(first.deadline, now + first.timeout);
        let later = now + seconds(if stopped { 1.0 } else { 150.0 });
        if stopped {
            ingest.stop();
        }
        let (mut sent, mut told) = (Vec::new(), Vec::new());
        loop {
            match ingest.poll(later, &mut shared) {
                IngestStep::Send(attempt) => {
                    assert_eq!(attempt.deadline, later + attempt.timeout);
                    sent.push(attempt);
                }
                IngestStep::Done(key, outcome) => told.push((key, outcome)),
                _ => break,
            }
        }
        assert_eq!(sent.len(), if stopped { 0 } else { 3 }, "{sent:?}");
        assert_eq!(ingest.progress(later).sent, 1 + sent.len() as u64);
        if stopped {
            assert_eq!(told.len(), 3);
            for (_, outcome) in &told {
                assert!(matches!(outcome.end, End::Skipped(SkipReason::RunEnded)), "{outcome:?}");
                assert_eq!((outcome.attempts, outcome.first_sent), (0, None));
            }
        }
    }
}

#[test]
fn what_its_source_cannot_make_is_told_in_its_turn() {
    let mut world = world(|_, _| {});
    world.offer("a", delete());
    world.ingest.skip("a", bad(), world.now).unwrap();
    world.ingest.skip("b", bad(), world.now).unwrap();
    world.settle();
    assert_eq!(world.keys_told(), ["b"], "that of the other key waits for what came before it");
    world.answer(answer(204, None));
    assert_eq!(world.keys_told(), ["b", "a", "a"]);
    let (_, outcome) = &world.told[2];
    assert!(outcome.call.is_none());
    let End::Skipped(SkipReason::Source(why)) = &outcome.end else { panic!("{outcome:?}") };
    assert_eq!(*why, bad());
    let progress = world.end().progress;
    assert_eq!((progress.seen, progress.ok, progress.skipped), (3, 1, 2));
}

#[test]
fn throttling_costs_a_call_neither_an_attempt_nor_its_time_nor_the_budget() {
    let mut world = world(|_, policy| {
        policy.attempts = 2;
        policy.total = seconds(10.0);
    });
    // Enough for the one repeat after the 503.
    let mut budget = Budget::default();
    budget.capacity = budget.cost;
    world.shared = Shared::new(budget);
    world.offer("a", delete());
    world.settle();
    for _ in 0..7 {
        world.later(1.0);
        world.answer(answer(429, Some("600")));
        assert_eq!(world.out.len(), 0);
        world.later(599.999);
        assert_eq!(world.out.len(), 0);
        world.later(0.001);
        assert_eq!(world.out.len(), 1, "it goes when the wait is over");
    }
    world.answer(answer(503, None));
    world.wait();
    world.answer(answer(204, None));
    let progress = world.end().progress;
    assert_eq!((progress.ok, progress.sent, progress.throttled), (1, 9, 7));
    assert_eq!(progress.throttled_for, seconds(7.0 * 600.0 + 6.0));
    assert_eq!(world.told[0].1.attempts, 9);
    assert!(world.told[0].1.maybe_applied, "by the 503");
}

#[test]
fn its_own_waits_do_cost_a_call_its_time() {
    let mut world = world(|_, policy| policy.total = seconds(10.0));
    world.offer("a", delete());
    world.settle();
    world.later(1.0);
    world.answer(answer(429, Some("600")));
    world.wait();
    world.later(4.0);
    world.answer(answer(503, Some("5")));
    world.later(5.0);
    world.later(0.9);
    assert!(world.told.is_empty(), "4 s, 5 s and 0.9 s are less than 10 s");
    world.later(0.1);
    let End::Failed(error) = &world.told[0].1.end else { panic!() };
    assert!(matches!(error.cause(), Cause::Transport(_)), "{error}");
    assert_eq!((error.attempts(), error.why_given_up()), (3, Some(GiveUp::TotalTime)));
}

#[test]
fn a_429_holds_its_lane_and_no_other() {
    let mut world = world(|_, _| {});
    for key in ["a", "b", "c"] {
        world.offer(key, delete());
    }
    world.settle();
    world.answer(answer(429, Some("5")));
    world.offer("d", delete());
    world.ingest.offer("e", delete_in("contosoit"), world.now).unwrap();
    world.settle();
    assert_eq!(world.out.len(), 3);
    let uri = world.out[2].request.uri().to_string();
    assert!(uri.contains("contosoit"), "another connection is another lane: {uri}");
    for _ in 0..3 {
        world.answer(answer(204, None));
    }
    world.later(4.999);
    assert_eq!(world.out.len(), 0);
    world.later(0.001);
    assert_eq!(world.out.len(), 1, "one goes first");
    assert!(
        world.out[0].request.headers().contains_key("retry-attempt"),
        "the one that waits longest"
    );
    world.answer(answer(204, None));
    world.wait();
    assert_eq!(world.out.len(), 1, "then the others, at the pace that was learned");
    world.answer(answer(204, None));
    assert_eq!(world.end().progress.ok, 5);
}

#[test]
fn a_gate_that_another_call_of_the_client_closed_is_heeded() {
    let mut world = world(|_, _| {});
    let connection = ConnectionId::new("contosohr").unwrap();
    let get: Call<StoredConnection> =
        GetConnection::new(&connection).call(&ServiceRoot::v1()).unwrap();
    let mut single = Exchange::new(get, &Policy::default(), 1, world.now);
    let Step::Token(need) = single.poll(world.now, &mut world.shared) else { panic!() };
    let token = Token::new(AccessToken::new("t").unwrap());
    single.on_token(need.lease, world.now, Ok(token), &mut world.shared);
    let Step::Send(attempt) = single.poll(world.now, &mut world.shared) else { panic!() };
    single.on_response(attempt.ticket, world.now, answer(429, Some("30")), &mut world.shared);

    world.offer("a", delete());
    world.later(29.0);
    assert_eq!(world.out.len(), 0);
    world.later(1.0);
    assert_eq!(world.out.len(), 1);
    assert_eq!(world.tokens, 0, "and its token is used");
}

#[test]
fn an_append_of_unknown_fate_is_not_sent_again() {
    let mut world = world(|_, _| {});
    world.offer("a", add());
    world.settle();
    world.fail(Failure::maybe_sent("reset"));
    assert_eq!(world.out.len(), 0);
    let End::Failed(error) = &world.told[0].1.end else { panic!() };
    assert_eq!(error.applied(), Applied::Maybe);
    assert_eq!((world.told[0].1.attempts, world.told[0].1.maybe_applied), (1, true));
}

/// An answer to `add`, by which nothing was stored.
fn refused() -> http::Response<Bytes> {
    let mut response = answer(207, None);
    *response.body_mut() = r#"{"value":[{"error":{"code":"serviceNotAvailable"}}]}"#.into();
    response
}

#[test]
fn a_success_of_which_not_all_was_done_is_a_failure() {
    let mut world = world(|settings, _| {
        settings.after_failure = AfterFailure::Skip;
        settings.failures_in_a_row = Some(2);
    });
    for key in ["a", "a", "b", "c"] {
        world.offer(key, add());
    }
    world.settle();
    world.answer(refused());
    assert_eq!(world.out.len(), 2, "it is not sent again, and its key is skipped");
    let End::Partly(reply) = &world.told[0].1.end else { panic!("{:?}", world.told[0]) };
    assert_eq!((reply.complete, reply.value.failed().len()), (false, 1));
    assert!(matches!(world.told[1].1.end, End::Skipped(SkipReason::EarlierFailed)));
    world.answer(refused());
    let mut stored = answer(200, None);
    *stored.body_mut() = r#"{"value":[{"error":null}]}"#.into();
    world.answer(stored);
    let End::Ok(reply) = &world.told[3].1.end else { panic!("{:?}", world.told[3]) };
    assert!(reply.complete);
    let summary = world.end();
    assert_eq!(summary.ending, Ending::FailuresInARow(2));
    let progress = summary.progress;
    assert_eq!((progress.ok, progress.failed, progress.skipped), (1, 2, 1));
}

#[test]
fn silence_is_given_up_and_a_late_answer_ignored() {
    let mut world = world(|_, _| {});
    world.offer("a", delete());
    world.settle();
    let late = world.out.remove(0);
    world.later(100.0);
    assert_eq!(world.ingest.progress(world.now).in_flight, 0);
    world.ingest.on_response(late.ticket, world.now, answer(400, None), &mut world.shared);
    world.wait();
    assert_eq!(world.out.len(), 1);
    world.answer(answer(204, None));
    assert_eq!(world.end().progress.ok, 1);
}

#[test]
fn a_stop_waits_for_what_is_out_and_gives_the_rest_back() {
    let mut world = world(|settings, _| settings.in_flight = 2);
    for key in ["repeats", "fails late", "succeeds", "behind", "queued", "succeeds"] {
        world.offer(key, delete());
    }
    world.settle();
    world.answer(answer(503, None));
    assert_eq!(world.out.len(), 2);
    world.ingest.stop();
    world.settle();
    assert_eq!(world.keys_told(), ["behind", "queued", "repeats"]);
    assert!(world.ingest.offer("more", delete(), world.now).is_err());
    assert!(world.summary.is_none(), "two are out");
    world.answer(answer(500, None));
    world.answer(answer(204, None));
    let end = |index: usize| &world.told[index].1;
    for index in [0, 1, 5] {
        assert!(matches!(end(index).end, End::Skipped(SkipReason::RunEnded)), "{:?}", end(index));
        assert!(end(index).call.is_some(), "it can be offered to another run");
    }
    for index in [2, 3] {
        let End::Failed(error) = &end(index).end else { panic!("{:?}", end(index)) };
        assert_eq!(error.why_given_up(), Some(GiveUp::Stopped));
        assert_eq!((error.attempts(), error.applied()), (1, Applied::Maybe));
        assert!(error.to_string().contains("what it belongs to was stopped"), "{error}");
    }
    assert!(matches!(end(4).end, End::Ok(_)));
    assert_eq!(world.keys_told()[3..], ["fails late", "succeeds", "succeeds"]);
    let summary = world.end();
    assert_eq!(summary.ending, Ending::Stopped);
    let progress = summary.progress;
    assert_eq!((progress.ok, progress.failed, progress.skipped), (1, 2, 3));
}

#[test]
fn too_many_failures_in_a_row_end_the_run() {
    let mut world = world(|settings, _| {
        settings.failures_in_a_row = Some(3);
        settings.in_flight = 4;
    });
    for (index, status) in [400, 400, 204, 400, 404, 204].into_iter().enumerate() {
        let key = ["a", "b", "c", "d", "e", "f"][index];
        world.offer(key, delete());
        world.settle();
        world.answer(answer(status, None));
    }
    assert_eq!(world.keys_told().len(), 6, "a 404 is no failure of a DELETE");
    world.ingest.skip("g", bad(), world.now).unwrap();
    for key in ["h", "i", "j", "k", "l", "m", "n"] {
        world.offer(key, delete());
    }
    world.settle();
    world.answer(answer(400, None));
    world.answer(answer(403, None));
    assert_eq!(world.summary, None, "the others are out");
    while !world.out.is_empty() {
        world.answer(answer(204, None));
    }
    let summary = world.end();
    assert_eq!(summary.ending, Ending::FailuresInARow(3), "and a refusal at the source is one");
    assert!(summary.progress.skipped > 1, "{summary:?}");
}

#[test]
fn too_large_a_share_of_failures_ends_the_run() {
    let mut world = world(|settings, _| {
        settings.failures_in_a_row = None;
        settings.failure_share = Some(FailureShare::new(3, 5));
    });
    for (index, status) in [400, 400, 204, 204, 204, 400, 204, 400, 400].into_iter().enumerate() {
        assert_eq!(world.summary, None, "after {index}");
        world.offer("a", delete());
        world.settle();
        world.answer(answer(status, None));
    }
    let summary = world.end();
    assert_eq!(summary.ending, Ending::FailureShare(FailureShare::new(3, 5)));
    assert_eq!((summary.progress.ok, summary.progress.failed), (4, 5));
}

#[test]
fn without_limits_failures_end_nothing() {
    let mut world = world(|settings, _| {
        settings.failures_in_a_row = None;
        settings.failure_share = None;
    });
    for _ in 0..2000 {
        world.offer("a", delete());
        world.settle();
        world.answer(answer(400, None));
    }
    let summary = world.end();
    assert_eq!((summary.ending, summary.progress.failed), (Ending::Complete, 2000));
}

#[test]
fn one_token_serves_all_and_none_ends_the_run() {
    let mut world = world(|_, _| {});
    for key in ["a", "b", "c"] {
        world.offer(key, delete());
    }
    world.settle();
    assert_eq!((world.tokens, world.out.len()), (1, 3));

    let mut without = self::world(|settings, _| settings.failures_in_a_row = Some(3));
    without.token_fails = true;
    for key in ["a", "b", "c", "d", "e"] {
        without.offer(key, delete());
    }
    without.settle();
    assert_eq!((without.tokens, without.out.len()), (3, 0));
    let summary = without.end();
    assert_eq!(summary.ending, Ending::FailuresInARow(3));
    assert_eq!((summary.progress.failed, summary.progress.skipped), (3, 2));
    let End::Failed(error) = &without.told[0].1.end else { panic!() };
    assert!(matches!(error.cause(), Cause::Token(TokenError::TimedOut)), "{error}");
}

#[test]
fn what_an_abandoned_run_holds_passes_on() {
    let mut world = world(|_, _| {});
    world.offer("a", delete());
    let IngestStep::Token(_) = world.ingest.poll(world.now, &mut world.shared) else { panic!() };
    world.ingest.abandon(&mut world.shared);
    assert_eq!(world.ingest.room(), 0);
    assert_eq!(world.settle(), None);

    let start = Start::new(ServiceRoot::v1(), Policy::default(), 1, world.now);
    world.ingest = Ingest::new(IngestSettings::default(), &start);
    world.offer("a", delete());
    world.settle();
    assert_eq!(world.tokens, 1, "the lease is free at once");
    world.answer(answer(429, Some("1")));
    world.wait();
    world.ingest.abandon(&mut world.shared);

    let start = Start::new(ServiceRoot::v1(), Policy::default(), 1, world.now);
    world.ingest = Ingest::new(IngestSettings::default(), &start);
    world.out.clear();
    world.offer("a", delete());
    world.settle();
    assert_eq!(world.out.len(), 1, "and so is the right to go first");
}

#[test]
fn no_more_are_out_than_the_settings_say() {
    assert_eq!(IngestSettings::default().in_flight, 25);
    let mut world = world(|settings, _| settings.in_flight = 3);
    for _ in 0..20 {
        for key in ["a", "b", "c", "d", "e"] {
            world.offer(key, delete());
        }
    }
    world.settle();
    for _ in 0..100 {
        assert!(world.out.len() <= 3, "{}", world.out.len());
        world.later(0.01);
        world.answer(answer(204, None));
    }
    assert_eq!(world.end().progress.ok, 100);
}

#[test]
fn progress_tells_the_rate_of_late_and_the_time_left() {
    let mut world = world(|_, _| {});
    assert_eq!(world.ingest.progress(world.now).rate, 0.0);
    for _ in 0..300 {
        world.offer("a", delete());
        world.later(0.05);
        world.answer(answer(204, None));
    }
    let rate = world.ingest.progress(world.now).rate;
    assert!((19.5..=20.5).contains(&rate), "{rate}");
    assert_eq!(world.ingest.progress(world.now).left, None, "nobody said how many there are");
    world.ingest.expect(400);
    let left = world.ingest.progress(world.now).left.unwrap().as_secs_f64();
    assert!((4.8..=5.2).contains(&left), "a hundred at that rate: {left}");
    world.ingest.expect(10);
    assert_eq!(world.ingest.progress(world.now).left, Some(Duration::ZERO), "there are more");
    world.later(11.0);
    assert_eq!(world.ingest.progress(world.now).rate, 0.0);
    world.ingest.expect(400);
    assert_eq!(world.ingest.progress(world.now).left, None, "at that rate never");
    assert_eq!(world.ingest.progress(world.now).expected, Some(400));
}

#[test]
fn after_the_last_offer_it_is_known_how_many_there_are() {
    let mut world = world(|_, _| {});
    for _ in 0..60 {
        world.offer("a", delete());
    }
    for _ in 0..40 {
        world.later(0.1);
        world.answer(answer(204, None));
    }
    world.ingest.close();
    let left = world.ingest.progress(world.now).left.unwrap().as_secs_f64();
    assert!((1.9..=2.1).contains(&left), "twenty at ten a second: {left}");
}

#[test]
fn waiting_for_others_costs_a_call_no_time() {
    let mut world = world(|settings, policy| {
        settings.in_flight = 1;
        policy.total = seconds(60.0);
    });
    world.offer("a", delete());
    world.offer("b", delete());
    world.settle();
    world.answer(answer(503, None));
    assert_eq!(world.out.len(), 1, "while it waits the other goes");
    world.later(50.0);
    world.answer(answer(204, None));
    assert_eq!(world.out.len(), 1);
    world.later(50.0);
    world.answer(answer(204, None));
    assert_eq!(world.end().progress.ok, 2);
}

#[test]
fn what_follows_a_refusal_at_the_source_is_skipped_if_so_wished() {
    let mut world = world(|settings, _| settings.after_failure = AfterFailure::Skip);
    world.offer("a", delete());
    world.ingest.skip("a", bad(), world.now).unwrap();
    world.offer("a", delete());
    world.ingest.skip("a", bad(), world.now).unwrap();
    world.settle();
    world.answer(answer(204, None));
    let ends: Vec<_> = world.told.iter().map(|(_, outcome)| &outcome.end).collect();
    assert!(matches!(
        ends[..],
        [
            End::Ok(_),
            End::Skipped(SkipReason::Source(_)),
            End::Skipped(SkipReason::EarlierFailed),
            End::Skipped(SkipReason::Source(_)),
        ]
    ));
    assert_eq!(world.end().progress.skipped, 3);
}

#[test]
fn a_token_that_comes_too_late_for_one_serves_the_others() {
    let mut world = world(|_, policy| policy.total = seconds(10.0));
    for key in ["a", "b", "c"] {
        world.offer(key, delete());
    }
    let IngestStep::Token(slow) = world.ingest.poll(world.now, &mut world.shared) else { panic!() };
    let IngestStep::Idle { until: Some(until), .. } =
        world.ingest.poll(world.now, &mut world.shared)
    else {
        panic!("the others wait for it")
    };
    assert_eq!(until, world.now + seconds(10.0));
    world.now = until;
    let IngestStep::Done("a", outcome) = world.ingest.poll(world.now, &mut world.shared) else {
        panic!()
    };
    let End::Failed(error) = outcome.end else { panic!() };
    assert_eq!(error.why_given_up(), Some(GiveUp::TotalTime));

    // Its place is another's by now.
    world.offer("d", delete());
    let token = Token::new(AccessToken::new("late").unwrap());
    world.ingest.on_token(slow.lease, world.now, Ok(token), &mut world.shared);
    world.settle();
    assert_eq!((world.tokens, world.out.len()), (0, 3), "no other is fetched");
    for _ in 0..3 {
        assert_eq!(world.out[0].request.headers()["authorization"], "Bearer late");
        world.answer(answer(204, None));
    }
    world.ingest.close();
    world.settle();
    assert_eq!(world.summary.unwrap().progress.ok, 3);
}
