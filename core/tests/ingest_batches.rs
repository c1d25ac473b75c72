//! Many calls in batches: what goes together, and what the answer to the whole is for each.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::{
    external::{
        Acl, ActivityEnds, AddActivities, AddedActivities, DeleteItem, ExternalActivity,
        ExternalItem, Identity, PutItem, StoredItem,
    },
    machine::{
        Attempt, End, Ending, Event, EventKind, Ingest, IngestSettings, IngestStep, Outcome,
        Packing, Policy, Shared, Start, Summary, Tick, Token,
    },
    protocol::{
        Answer, Applied, Call, DecodeError, Deleted, Endpoint, Failure, Limits, PathArgs, Route,
        ServiceRoot, retry_after,
    },
    types::{AccessToken, BuildError, ConnectionId, Guid, ItemId},
};
use http::{Response, StatusCode};
use serde_json::{Value, json};

/// What a call of any kind comes to.
#[derive(Debug, PartialEq)]
enum Done {
    Put,
    Deleted(Deleted),
    Added,
    Noted,
}

impl From<Option<StoredItem>> for Done {
    fn from(_: Option<StoredItem>) -> Self {
        Self::Put
    }
}

impl From<Deleted> for Done {
    fn from(deleted: Deleted) -> Self {
        Self::Deleted(deleted)
    }
}

impl From<AddedActivities> for Done {
    fn from(_: AddedActivities) -> Self {
        Self::Added
    }
}

impl From<()> for Done {
    fn from((): ()) -> Self {
        Self::Noted
    }
}

fn connection() -> ConnectionId {
    ConnectionId::new("contosohr").unwrap()
}

fn id(key: u32) -> ItemId {
    ItemId::new(format!("T{key}")).unwrap()
}

fn put_of(root: &ServiceRoot, key: u32, length: usize) -> Call<Done> {
    let item = ExternalItem::builder(id(key))
        .acl(Acl::everyone(Guid::from(7)))
        .property("title", "t".repeat(length))
        .build()
        .unwrap();
    PutItem::new(&connection(), &item).call_into(root).unwrap()
}

fn put(key: u32) -> Call<Done> {
    put_of(&ServiceRoot::v1(), key, 1)
}

fn delete(key: u32) -> Call<Done> {
    DeleteItem::new(&connection(), &id(key)).call_into(&ServiceRoot::v1()).unwrap()
}

fn add(key: u32) -> Call<Done> {
    let viewed = [ExternalActivity::viewed(
        "2026-01-01T00:00:00Z".parse().unwrap(),
        Identity::user(1.into()),
    )];
    AddActivities::new(&connection(), &id(key), &viewed).call_into(&ServiceRoot::v1()).unwrap()
}

/// A service that says what becomes of each request, by its number, and what came in.
struct World {
    now: Tick,
    shared: Shared,
    ingest: Ingest<u32, Done>,
    out: Vec<Attempt>,
    /// When each request came, and the method and last segment of each of its calls; a call by
    /// itself is shown so.
    seen: Vec<(f64, Vec<String>)>,
    told: BTreeMap<u32, Vec<Outcome<Done>>>,
    summary: Option<Summary>,
    tokens: u64,
}

fn world(change: impl FnOnce(&mut IngestSettings, &mut Policy)) -> World {
    world_at(ServiceRoot::v1(), change)
}

fn world_at(root: ServiceRoot, change: impl FnOnce(&mut IngestSettings, &mut Policy)) -> World {
    let (mut settings, mut policy) = (IngestSettings::default(), Policy::default());
    settings.packing = Packing::Batches;
    settings.in_flight = 60;
    change(&mut settings, &mut policy);
    World {
        now: Tick::default(),
        shared: Shared::default(),
        ingest: Ingest::new(settings, &Start::new(root, policy, 1, Tick::default())),
        out: Vec::new(),
        seen: Vec::new(),
        told: BTreeMap::new(),
        summary: None,
        tokens: 0,
    }
}

fn parts(request: &http::Request<Bytes>) -> Vec<Value> {
    match request.uri().path().ends_with("/$batch") {
        true => {
            let body: Value = serde_json::from_slice(request.body()).unwrap();
            body["requests"].as_array().unwrap().clone()
        }
        false => Vec::new(),
    }
}

fn shown(method: &str, url: &str) -> String {
    format!("{method} {}", url.rsplit('/').next().unwrap())
}

impl World {
    fn offer(&mut self, key: u32, call: Call<Done>) {
        assert!(self.ingest.offer(key, call, self.now).is_ok(), "there is room");
    }

    fn settle(&mut self) -> Option<Tick> {
        loop {
            match self.ingest.poll(self.now, &mut self.shared) {
                IngestStep::Send(attempt) => {
                    let request = &attempt.request;
                    let mut calls: Vec<_> = parts(request)
                        .iter()
                        .map(|part| {
                            shown(part["method"].as_str().unwrap(), part["url"].as_str().unwrap())
                        })
                        .collect();
                    if calls.is_empty() {
                        let alone = shown(request.method().as_str(), request.uri().path());
                        calls.push(format!("alone {alone}"));
                    }
                    let at = (self.now.since_origin().as_secs_f64() * 1000.0).round() / 1000.0;
                    self.seen.push((at, calls));
                    self.out.push(attempt);
                }
                IngestStep::Token(need) => {
                    self.tokens += 1;
                    let token = AccessToken::new(format!("t{}", self.tokens)).unwrap();
                    let token = Ok(Token::new(token));
                    self.ingest.on_token(need.lease, self.now, token, &mut self.shared);
                }
                IngestStep::Done(key, outcome) => self.told.entry(key).or_default().push(outcome),
                IngestStep::Finished(summary) => {
                    assert!(self.summary.replace(summary).is_none(), "it ends once");
                }
                IngestStep::Idle { until, .. } => return until,
            }
        }
    }

    fn take(&mut self) -> Attempt {
        self.settle();
        self.out.remove(0)
    }

    fn later(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        self.settle();
    }

    fn respond(&mut self, attempt: &Attempt, answer: Response<Bytes>) {
        self.ingest.on_response(attempt.ticket, self.now, answer, &mut self.shared);
        self.settle();
    }

    fn fail(&mut self, attempt: &Attempt, failure: Failure) {
        self.ingest.on_failure(attempt.ticket, self.now, failure, &mut self.shared);
        self.settle();
    }

    /// Answers the oldest request, each part with success, and then does so until nothing is out.
    fn finish(&mut self) -> Summary {
        self.ingest.close();
        for _ in 0..10_000 {
            let until = self.settle();
            if let Some(summary) = self.summary.take() {
                return summary;
            }
            if self.out.is_empty() {
                self.now = until.expect("somebody does something");
                continue;
            }
            let attempt = self.take();
            let answer = fine(&attempt);
            self.later(20);
            self.respond(&attempt, answer);
        }
        panic!("it goes on for ever");
    }

    fn only(&self, key: u32) -> &Outcome<Done> {
        match &*self.told[&key] {
            [outcome] => outcome,
            other => panic!("{} outcomes of {key}", other.len()),
        }
    }

    fn failure(&self, key: u32) -> &graphfeed_core::protocol::Error {
        match &self.only(key).end {
            End::Failed(error) => error,
            other => panic!("{other:?}"),
        }
    }

    /// How many were tried in each request.
    fn sizes(&self) -> Vec<usize> {
        self.seen.iter().map(|(_, calls)| calls.len()).collect()
    }
}

fn status_of(method: &str) -> u16 {
    if method == "DELETE" { 204 } else { 200 }
}

fn body_of(part: &Value) -> Value {
    match part["body"].get("activities") {
        Some(activities) => {
            let result = |it: &Value| json!({"type": it["type"], "startDateTime": it["startDateTime"], "error": null});
            let results: Vec<_> = activities.as_array().unwrap().iter().map(result).collect();
            json!({ "value": results })
        }
        None => Value::Null,
    }
}

/// What a part is answered with that does well.
fn well(part: &Value) -> Value {
    let status = status_of(part["method"].as_str().unwrap());
    json!({"id": part["id"], "status": status, "body": body_of(part)})
}

fn plain(status: u16) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::new()).unwrap()
}

fn batch_answer(responses: &[Value]) -> Response<Bytes> {
    Response::new(json!({ "responses": responses }).to_string().into())
}

fn fine(attempt: &Attempt) -> Response<Bytes> {
    match &*parts(&attempt.request) {
        [] => {
            let body = serde_json::from_slice(attempt.request.body()).unwrap_or(Value::Null);
            let mut answer = plain(status_of(attempt.request.method().as_str()));
            *answer.body_mut() = body_of(&json!({ "body": body })).to_string().into();
            answer
        }
        parts => batch_answer(&parts.iter().rev().map(well).collect::<Vec<_>>()),
    }
}

/// What a part with activities is answered with that were all refused.
fn refused(part: &Value) -> Value {
    let mut answer = well(part);
    answer["status"] = 207.into();
    for result in answer["body"]["value"].as_array_mut().unwrap() {
        result["error"] = json!({"code": "serviceNotAvailable"});
    }
    answer
}

/// Opens the window: sixty calls at a time.
fn open(world: &mut World) {
    for round in 0..8 {
        for nth in 0..100 {
            world.offer(10_000 + round * 100 + nth, put(10_000 + nth));
        }
        while world.told.len() < (round + 1) as usize * 100 {
            let attempt = world.take();
            let answer = fine(&attempt);
            world.later(20);
            world.respond(&attempt, answer);
        }
    }
    world.told.clear();
    world.seen.clear();
}

fn opened() -> World {
    let mut world = world(|_, _| {});
    open(&mut world);
    world
}

#[test]
fn calls_of_all_kinds_go_twenty_at_a_time_and_each_has_its_own_answer() {
    let mut world = opened();
    for key in 0..45 {
        let call = match key % 3 {
            0 => put(key),
            1 => delete(key),
            _ => add(key),
        };
        world.offer(key, call);
    }
    let summary = world.finish();
    assert_eq!(world.sizes(), [20, 20, 5]);
    assert_eq!(world.seen[0].1[..3], ["PUT T0", "DELETE T1", "POST addActivities"]);
    assert_eq!(summary.progress.ok, 845);
    for key in 0..45 {
        let End::Ok(reply) = &world.only(key).end else { panic!("{:?}", world.only(key)) };
        assert_eq!(
            reply.value,
            match key % 3 {
                0 => Done::Put,
                1 => Done::Deleted(Deleted::Now),
                _ => Done::Added,
            }
        );
        assert_eq!(world.only(key).attempts, 1);
    }
}

#[test]
fn a_part_of_which_not_all_was_done_is_told_apart() {
    let mut world = opened();
    for key in 0..3 {
        world.offer(key, add(key));
    }
    let attempt = world.take();
    let [first, second, third] = &*parts(&attempt.request) else { panic!("{attempt:?}") };
    world.respond(&attempt, batch_answer(&[well(first), refused(second), well(third)]));
    for key in [0, 2] {
        assert!(matches!(world.only(key).end, End::Ok(_)), "{:?}", world.only(key));
    }
    let End::Partly(reply) = &world.only(1).end else { panic!("{:?}", world.only(1)) };
    assert_eq!((reply.status.as_u16(), &reply.value), (207, &Done::Added));
    let counts = |key| ActivityEnds::of(world.only(key)).unwrap().counts();
    assert_eq!((counts(0).stored, counts(1).refused, counts(2).stored), (1, 1, 1));
    assert_eq!(world.finish().progress.failed, 1);
}

#[test]
fn a_cold_start_feels_its_way_and_no_more_are_out_than_agreed() {
    let mut world = world(|settings, _| settings.in_flight = 25);
    for key in 0..100 {
        world.offer(key, put(key));
    }
    world.settle();
    assert_eq!(world.sizes(), [4]);
    world.finish();
    assert_eq!(world.sizes()[..4], [4, 8, 16, 20]);
    assert_eq!(world.ingest.progress(world.now).sent, 100, "parts are counted, not requests");
}

#[test]
fn calls_of_one_key_are_never_in_one_batch() {
    let mut world = opened();
    for _ in 0..3 {
        world.offer(1, put(1));
        world.offer(2, delete(2));
    }
    world.finish();
    let seen: Vec<_> = world.seen.iter().map(|(_, calls)| calls.join(", ")).collect();
    assert_eq!(seen, ["PUT T1, DELETE T2"; 3]);
}

#[test]
fn one_call_is_no_batch() {
    let mut world = opened();
    world.offer(1, put(1));
    world.finish();
    assert_eq!(world.seen[0].1, ["alone PUT T1"]);
}

#[test]
fn a_batch_has_one_token_an_id_of_its_own_and_the_ids_of_its_parts() {
    let mut world = opened();
    world.offer(1, put(1));
    world.offer(2, put(2));
    let batch = world.take();
    let headers = batch.request.headers();
    assert_eq!(headers["authorization"], "Bearer t1");
    let own = headers["client-request-id"].to_str().unwrap().to_owned();
    let parts = parts(&batch.request);
    let ids: BTreeSet<&str> =
        parts.iter().map(|part| part["headers"]["client-request-id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2);
    assert!(!ids.contains(&*own));
    assert!(!batch.request.body().windows(6).any(|text| text.eq_ignore_ascii_case(b"bearer")));
}

#[test]
fn a_part_that_is_throttled_goes_again_by_itself_and_holds_its_lane() {
    let mut world = opened();
    for key in 1..=3 {
        world.offer(key, put(key));
    }
    let batch = world.take();
    let answers = parts(&batch.request);
    let throttled = json!({"id": "2", "status": 429, "headers": {"Retry-After": "3"}});
    world.later(20);
    let sent_at = world.now;
    world.respond(&batch, batch_answer(&[throttled, well(&answers[2]), well(&answers[0])]));
    assert_eq!(world.told.keys().collect::<Vec<_>>(), [&1, &3]);
    world.offer(4, put(4));
    world.later(2_900);
    assert_eq!(world.seen.len(), 1, "nothing goes before the gate");
    world.later(100);
    assert_eq!(world.seen[1].1, ["alone PUT T2"], "and then one goes first");
    assert!(world.now >= sent_at + Duration::from_secs(3));
    world.finish();
    let outcome = world.only(2);
    assert!(matches!(outcome.end, End::Ok(_)));
    assert_eq!(outcome.attempts, 2);
    assert!(matches!(world.only(4).end, End::Ok(_)));
}

#[test]
fn a_429_costs_a_part_no_attempt() {
    let mut world = world(|_, policy| policy.attempts = 2);
    open(&mut world);
    world.offer(1, put(1));
    world.offer(2, put(2));
    let batch = world.take();
    let wait = |id: &str| json!({"id": id, "status": 429, "headers": {"Retry-After": "1"}});
    world.respond(&batch, batch_answer(&[wait("1"), wait("2")]));
    for _ in 0..5 {
        world.later(1_000);
        let alone = world.take();
        let mut answer = plain(429);
        answer.headers_mut().insert("retry-after", "1".parse().unwrap());
        world.respond(&alone, answer);
    }
    world.finish();
    assert!(matches!(world.only(1).end, End::Ok(_)));
    assert!(matches!(world.only(2).end, End::Ok(_)));
}

#[test]
fn a_missing_part_may_have_been_carried_out() {
    let mut world = opened();
    world.offer(1, put(1));
    world.offer(2, add(2));
    world.offer(3, put(3));
    let batch = world.take();
    let of_nobody = json!({"id": "17", "status": 200});
    let third = well(&parts(&batch.request)[2]);
    world.respond(&batch, batch_answer(&[of_nobody, third]));
    let error = world.failure(2);
    assert_eq!(error.applied(), Applied::Maybe);
    assert!(error.to_string().contains("the answer to its batch has none for it"), "{error}");
    world.finish();
    assert_eq!(world.only(1).attempts, 2, "what may be repeated is");
    assert!(matches!(world.only(1).end, End::Ok(_)));
    assert_eq!((world.only(2).attempts, world.only(3).attempts), (1, 1));
}

#[test]
fn an_answer_without_answers_leaves_each_part_in_doubt() {
    for body in [r#"{"responses":[]}"#, "", "<html>", "{}"] {
        let mut world = world(|_, policy| policy.attempts = 1);
        open(&mut world);
        world.offer(1, put(1));
        world.offer(2, add(2));
        let batch = world.take();
        world.respond(&batch, Response::new(body.into()));
        world.finish();
        for key in [1, 2] {
            assert_eq!(world.failure(key).applied(), Applied::Maybe, "{body}");
        }
    }
}

#[test]
fn one_bad_part_fails_alone_with_its_own_error() {
    let mut world = opened();
    for key in 1..=3 {
        world.offer(key, put(key));
    }
    let batch = world.take();
    let answers = parts(&batch.request);
    let error = json!({"code": "BadRequest", "message": "no", "innerError": {"code": "Wrong"}});
    let bad = json!({"id": "2", "status": 400, "body": {"error": error}});
    world.respond(&batch, batch_answer(&[well(&answers[0]), bad, well(&answers[2])]));
    world.finish();
    assert_eq!(world.failure(2).applied(), Applied::No);
    assert!(world.failure(2).to_string().contains("Wrong"), "{}", world.failure(2));
    assert!(matches!(world.only(1).end, End::Ok(_)));
    assert!(matches!(world.only(3).end, End::Ok(_)));
}

#[test]
fn a_batch_that_is_refused_for_being_one_is_taken_apart() {
    for status in [400, 403, 404, 405, 409, 413, 501, 301] {
        let mut world = world(|_, policy| policy.attempts = 1);
        open(&mut world);
        world.offer(1, put(1));
        world.offer(2, delete(2));
        world.offer(3, add(3));
        let batch = world.take();
        world.respond(&batch, plain(status));
        assert!(world.told.is_empty(), "{status}: {:?}", world.told);
        world.ingest.close();
        for _ in 0..3 {
            let alone = world.take();
            assert!(!alone.request.uri().path().ends_with("$batch"), "{status}");
            let answer = fine(&alone);
            world.respond(&alone, answer);
        }
        world.settle();
        let summary = world.summary.take().unwrap();
        assert_eq!(summary.progress.failed, 0, "{status}: {:?}", world.told);
        // The 404 was the batch's: that the item was there is known by its own answer.
        let End::Ok(reply) = &world.only(2).end else { panic!("{status}") };
        assert_eq!(reply.value, Done::Deleted(Deleted::Now), "{status}");
    }
}

#[test]
fn a_refusal_of_the_batch_that_broke_off_is_one_all_the_same() {
    for status in [400, 404, 413] {
        let mut world = world(|_, policy| policy.attempts = 1);
        open(&mut world);
        world.offer(1, put(1));
        world.offer(2, add(2));
        let batch = world.take();
        world.fail(&batch, Failure::maybe_sent("broke off").with_partial(plain(status)));
        assert!(world.told.is_empty(), "{status}: {:?}", world.told);
        world.finish();
        for key in [1, 2] {
            assert!(matches!(world.only(key).end, End::Ok(_)), "{status}: {:?}", world.only(key));
        }
    }
}

#[test]
fn a_limit_of_no_call_in_a_batch_is_one() {
    let mut limits = Limits::default();
    limits.batch = 0;
    let root = ServiceRoot::v1().with_limits(limits);
    let mut world = world_at(root.clone(), |_, _| {});
    for key in 0..30 {
        world.offer(key, put_of(&root, key, 1));
    }
    assert_eq!(world.finish().progress.ok, 30);
}

#[test]
fn what_a_batch_answers_that_is_nobodys_is_told() {
    let mut world = opened();
    world.shared.observe(true);
    world.offer(1, put(1));
    world.offer(2, put(2));
    let batch = world.take();
    let answers = parts(&batch.request);
    let stray = json!({"id": "17", "status": 200});
    world.shared.take_events();
    world.respond(&batch, batch_answer(&[well(&answers[0]), stray.clone(), well(&answers[1])]));
    let id: Guid = batch.request.headers()["client-request-id"].to_str().unwrap().parse().unwrap();
    let told: Vec<_> = world.shared.take_events().into_iter().filter(|it| it.call == id).collect();
    let [Event { operation: "Batch", kind: EventKind::Strays { strays, .. }, .. }] = &*told else {
        panic!("{told:?}");
    };
    assert_eq!(strays.len(), 1);
    assert_eq!(serde_json::from_str::<Value>(strays[0].get()).unwrap(), stray);
}

#[test]
fn what_was_taken_apart_and_is_stopped_tells_why_it_never_went_alone() {
    let mut world = world(|settings, _| settings.in_flight = 2);
    for key in 0..2 {
        world.offer(key, put(key));
    }
    let batch = world.take();
    world.ingest.stop();
    let mut refusal = plain(403);
    *refusal.body_mut() = r#"{"error":{"code":"Forbidden","message":"no batches here"}}"#.into();
    world.respond(&batch, refusal);
    assert_eq!(world.summary.as_ref().unwrap().ending, Ending::Stopped);
    for key in 0..2 {
        let error = world.failure(key);
        assert_eq!(error.applied(), Applied::No);
        assert!(error.to_string().contains("no batches here"), "{error}");
        assert!(error.to_string().contains("with its batch"), "{error}");
    }
}

#[test]
fn a_service_that_fails_as_a_whole_leaves_each_part_in_doubt() {
    for status in [500, 502, 503, 504, 424] {
        let mut world = opened();
        world.offer(1, put(1));
        world.offer(2, add(2));
        let batch = world.take();
        world.respond(&batch, plain(status));
        world.finish();
        assert!(matches!(world.only(1).end, End::Ok(_)), "{status}");
        assert_eq!(world.only(1).attempts, 2, "{status}");
        assert_eq!(world.failure(2).applied(), Applied::Maybe, "{status}");
        assert_eq!(world.only(2).attempts, 1, "an append is not made again: {status}");
    }
}

#[test]
fn what_a_status_leaves_open_is_open_for_each_part() {
    for status in [303, 408, 499, 600] {
        let mut world = world(|_, policy| policy.attempts = 1);
        open(&mut world);
        world.offer(1, put(1));
        world.offer(2, add(2));
        let batch = world.take();
        world.respond(&batch, plain(status));
        world.finish();
        for key in [1, 2] {
            assert_eq!(world.failure(key).applied(), Applied::Maybe, "{status}");
            assert_eq!(world.only(key).attempts, 1, "an append is not made again: {status}");
        }
    }
}

#[test]
fn a_424_that_tells_of_its_parts_is_believed() {
    let mut world = opened();
    world.offer(1, put(1));
    world.offer(2, add(2));
    let batch = world.take();
    let answers: Vec<_> = parts(&batch.request).iter().map(well).collect();
    let mut answer = batch_answer(&answers);
    *answer.status_mut() = StatusCode::FAILED_DEPENDENCY;
    world.respond(&batch, answer);
    let summary = world.finish();
    assert_eq!(summary.progress.ok, 802);
    assert_eq!(world.only(2).attempts, 1);
}

#[test]
fn a_whole_that_is_throttled_waits_as_long_as_it_is_told() {
    let mut world = opened();
    world.offer(1, put(1));
    world.offer(2, add(2));
    let batch = world.take();
    let mut answer = plain(429);
    answer.headers_mut().insert("retry-after", "7".parse().unwrap());
    assert_eq!(retry_after(answer.headers()), Some(Duration::from_secs(7)));
    world.respond(&batch, answer);
    world.later(6_999);
    assert_eq!(world.seen.len(), 1);
    world.later(1);
    assert_eq!(world.seen.len(), 2);
    let summary = world.finish();
    assert_eq!(summary.progress.failed, 0);
    assert_eq!(summary.progress.throttled, 2);
}

#[test]
fn a_424_of_the_whole_is_waited_for_as_long_as_it_asks() {
    let mut world = opened();
    world.offer(1, put(1));
    world.offer(2, add(2));
    let batch = world.take();
    let mut answer = plain(424);
    answer.headers_mut().insert("retry-after", "7".parse().unwrap());
    world.respond(&batch, answer);
    assert_eq!(world.failure(2).applied(), Applied::Maybe);
    world.offer(3, put(3));
    world.later(6_999);
    assert_eq!(world.seen.len(), 1, "nor does any other of its lane go");
    world.later(1);
    assert_eq!(world.seen.len(), 2);
    let summary = world.finish();
    assert_eq!(summary.progress.failed, 1);
}

#[test]
fn a_token_that_is_refused_is_fetched_once_for_all_parts() {
    let mut world = opened();
    for key in 1..=3 {
        world.offer(key, put(key));
    }
    let batch = world.take();
    world.respond(&batch, plain(401));
    assert_eq!(world.tokens, 2);
    let again = world.take();
    assert_eq!(again.request.headers()["authorization"], "Bearer t2");
    assert_eq!(parts(&again.request).len(), 3);
    let answer = fine(&again);
    world.respond(&again, answer);
    assert_eq!(world.finish().progress.failed, 0);
}

#[test]
fn an_answer_that_broke_off_says_nothing_of_its_parts() {
    for status in [200, 424] {
        let mut world = opened();
        world.offer(1, put(1));
        world.offer(2, add(2));
        let batch = world.take();
        let failure = Failure::maybe_sent("broke off").with_partial(plain(status));
        world.fail(&batch, failure);
        world.finish();
        assert_eq!(world.failure(2).applied(), Applied::Maybe, "{status}");
        assert!(matches!(world.only(1).end, End::Ok(_)), "{status}");
    }
}

#[test]
fn a_batch_that_was_not_sent_goes_again_with_all_that_is_in_it() {
    let mut world = opened();
    world.offer(1, put(1));
    world.offer(2, add(2));
    let batch = world.take();
    world.fail(&batch, Failure::not_sent("refused"));
    let summary = world.finish();
    assert_eq!(summary.progress.failed, 0);
    assert_eq!((world.only(1).attempts, world.only(2).attempts), (2, 2));
}

#[test]
fn no_batch_is_longer_than_the_service_takes() {
    let mut limits = Limits::default();
    limits.body = 10_000;
    let root = ServiceRoot::v1().with_limits(limits);
    let mut world = world_at(root.clone(), |_, _| {});
    open(&mut world);
    for key in 0..12 {
        // One is as long as a body may be, and too long as a part.
        let length = if key == 5 { 9_700 } else { 2_000 };
        world.offer(key, put_of(&root, key, length));
    }
    world.settle();
    assert!(world.out.iter().all(|attempt| attempt.request.body().len() <= 10_000));
    let summary = world.finish();
    assert_eq!(summary.progress.failed, 0);
    let alone: Vec<_> = world.seen.iter().filter(|(_, calls)| calls[0] == "alone PUT T5").collect();
    assert_eq!(alone.len(), 1, "{:?}", world.seen);
    assert_eq!(world.sizes().iter().sum::<usize>(), 12);
    assert!(world.sizes().iter().all(|size| *size <= 4));
    assert!(world.seen.len() <= 5, "{:?}", world.seen);
}

/// An operation whose body is no JSON, though it says so.
struct Note;

impl Endpoint for Note {
    type Output = ();
    const ROUTE: Route = Route::put("Note", "/note");

    fn args(&self, _: &mut PathArgs<'_>) {}

    fn body(&self, _: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        out.extend_from_slice(b"no JSON");
        Ok(())
    }

    fn parse(_: &Answer<'_>) -> Result<(), DecodeError> {
        Ok(())
    }
}

#[test]
fn what_no_batch_takes_goes_by_itself() {
    let mut world = world(|_, _| {});
    for key in 0..4 {
        let call = match key {
            1 => Note.call_into(&ServiceRoot::v1()).unwrap(),
            _ => put(key),
        };
        world.offer(key, call);
    }
    let summary = world.finish();
    assert_eq!(summary.progress.ok, 4);
    let End::Ok(reply) = &world.only(1).end else { panic!("{:?}", world.only(1)) };
    assert_eq!(reply.value, Done::Noted);
}

#[test]
fn an_attempt_of_a_batch_that_took_too_long_is_over_and_a_late_answer_is_nobodys() {
    let mut world = world(|_, policy| policy.attempts = 1);
    open(&mut world);
    world.offer(1, put(1));
    world.offer(2, put(2));
    let batch = world.take();
    world.later(batch.timeout.as_millis() as u64);
    assert_eq!(world.failure(1).applied(), Applied::Maybe);
    let answer = fine(&batch);
    world.respond(&batch, answer);
    let summary = world.finish();
    assert_eq!((summary.progress.failed, summary.progress.in_flight), (2, 0));
}

#[test]
fn a_call_whose_time_is_short_goes_by_itself() {
    let mut world = world(|_, policy| policy.total = Duration::from_secs(150));
    open(&mut world);
    world.offer(1, put(1));
    world.offer(2, put(2));
    world.settle();
    // No answer comes. Then the two have fifty seconds left, and the others their whole hundred.
    world.later(100_000);
    world.offer(3, put(3));
    world.offer(4, put(4));
    world.later(600);
    let mut sent: Vec<_> = world.seen[1..].iter().map(|(_, calls)| calls.join(", ")).collect();
    sent.sort();
    assert_eq!(sent, ["PUT T3, PUT T4", "alone PUT T1", "alone PUT T2"]);
    assert_eq!(world.finish().progress.failed, 0);
}

#[test]
fn after_a_limit_was_met_a_batch_holds_no_more_than_half_a_second_of_it() {
    let mut world = world(|settings, _| settings.in_flight = 25);
    // A bucket of ten a second; each part is counted.
    let (mut level, mut at) = (10.0_f64, 0.0);
    let mut key = 0;
    let mut answers: Vec<(Tick, Attempt, Response<Bytes>)> = Vec::new();
    let end = Tick::new(Duration::from_secs(120));
    let mut stored = 0;
    while world.now < end {
        while world.ingest.room() > 0 {
            world.offer(key, put(key));
            key += 1;
        }
        let until = world.settle();
        let now = world.now.since_origin().as_secs_f64();
        for attempt in std::mem::take(&mut world.out) {
            level = (level + (now - at) * 10.0).min(10.0);
            at = now;
            let mut admit = || {
                let admitted = level >= 1.0;
                level -= f64::from(u8::from(admitted));
                stored += u32::from(admitted);
                admitted
            };
            let parts = parts(&attempt.request);
            let answer = if parts.is_empty() {
                if admit() { plain(200) } else { wait_a_second() }
            } else {
                let each = |part: &Value| match admit() {
                    true => well(part),
                    false => {
                        json!({"id": part["id"], "status": 429, "headers": {"retry-after": "1"}})
                    }
                };
                batch_answer(&parts.iter().map(each).collect::<Vec<_>>())
            };
            answers.push((world.now + Duration::from_millis(40), attempt, answer));
        }
        let due = answers.iter().position(|(at, ..)| *at <= world.now);
        match due {
            Some(due) => {
                let (_, attempt, answer) = answers.swap_remove(due);
                world.respond(&attempt, answer);
            }
            None => {
                let next = answers.iter().map(|(at, ..)| *at).chain(until).min().unwrap();
                world.now = next;
            }
        }
    }
    let late: Vec<usize> =
        world.seen.iter().filter(|(at, _)| *at > 20.0).map(|(_, calls)| calls.len()).collect();
    assert!(late.iter().all(|size| *size <= 6), "{late:?}");
    assert!(late.iter().filter(|size| **size >= 5).count() > 100, "{late:?}");
    assert!(f64::from(stored) > 0.95 * 1200.0, "{stored} of 1200 in two minutes");
}

fn wait_a_second() -> Response<Bytes> {
    let mut answer = plain(429);
    answer.headers_mut().insert("retry-after", "1".parse().unwrap());
    answer
}
