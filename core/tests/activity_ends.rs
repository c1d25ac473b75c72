//! Activities in bulk: how they are split, and that each has an end of its own, a true one,
//! whatever the service does.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use graphfeed_core::{
    external::{
        Acl, ActivityCounts, ActivityEnd, ActivityEnds, AddActivities, AddedActivities, Duplicates,
        ExternalActivity, ExternalItem, Identity, PutItem, StoredItem,
    },
    machine::{
        AfterFailure, End, Ingest, IngestSettings, IngestStep, Outcome, Policy, Shared, SkipReason,
        Start, Summary, Tick, Token,
    },
    protocol::{Applied, Call, Endpoint, Failure, Limits, Repeat, ServiceRoot},
    types::{AccessToken, ConnectionId, Fault, Guid, ItemId, Rule, Timestamp},
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What all kinds of calls of a run answer with.
#[derive(Debug)]
enum Written {
    Item,
    Activities(AddedActivities),
}

impl From<Option<StoredItem>> for Written {
    fn from(_: Option<StoredItem>) -> Self {
        Self::Item
    }
}

impl From<AddedActivities> for Written {
    fn from(added: AddedActivities) -> Self {
        Self::Activities(added)
    }
}

fn connection() -> ConnectionId {
    ConnectionId::new("contosohr").unwrap()
}

fn item() -> ExternalItem {
    ExternalItem::builder(ItemId::new("T1").unwrap())
        .acl(Acl::everyone(Guid::from(7)))
        .property("title", "t")
        .build()
        .unwrap()
}

/// So many, each a minute after the one before it.
fn activities(count: usize) -> Vec<ExternalActivity> {
    let viewed = |minute: usize| {
        let at = Timestamp::from_unix_seconds(1_767_225_600 + 60 * minute as i64).unwrap();
        ExternalActivity::viewed(at, Identity::user(Guid::from(1)))
    };
    (0..count).map(viewed).collect()
}

fn chunks(sent: &[ExternalActivity], policy: Duplicates, root: &ServiceRoot) -> Vec<Call<Written>> {
    let (connection, item) = (connection(), ItemId::new("T1").unwrap());
    AddActivities::chunks(&connection, &item, sent, policy, root)
        .map(|add| add.call_into(root).unwrap())
        .collect()
}

/// How many activities each call has.
fn sizes<T>(calls: &[Call<T>]) -> Vec<usize> {
    let size = |call: &Call<T>| {
        let body: Value = serde_json::from_slice(call.request().body()).unwrap();
        body["activities"].as_array().unwrap().len()
    };
    calls.iter().map(size).collect()
}

/// What the service does to a request.
#[derive(Clone, Debug)]
enum Fate {
    /// All it asks for.
    Done,
    /// Tells of the first activities one by one: stored, or refused with this code.
    Each(Vec<Option<&'static str>>),
    /// As `Done`, but the answer tells of none.
    Silent,
    /// Refuses it with this status, and tells to wait a second.
    Status(u16),
    /// The answer is lost; whether it was done first.
    Lost(bool),
    /// The answer, that of a success, is no JSON.
    Html,
    /// It never arrives.
    NotSent,
}
use Fate::{Done, Each, Html, Lost, NotSent, Silent, Status};

/// How often each activity was stored, by its time.
#[derive(Default)]
struct Service {
    stored: BTreeMap<String, usize>,
    requests: usize,
}

impl Service {
    fn answer(
        &mut self,
        request: &http::Request<Bytes>,
        fate: &Fate,
    ) -> Result<http::Response<Bytes>, Failure> {
        self.requests += 1;
        let is_item = request.method() == http::Method::PUT;
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let none = Vec::new();
        let sent = body["activities"].as_array().unwrap_or(&none);
        let refused = |at: usize| match fate {
            Each(verdicts) => verdicts.get(at).copied().flatten(),
            _ => None,
        };
        let mut results = Vec::new();
        for (at, activity) in sent.iter().enumerate() {
            let error = refused(at);
            if error.is_none() && matches!(fate, Done | Each(_) | Silent | Lost(true) | Html) {
                let time = activity["startDateTime"].as_str().unwrap().to_owned();
                *self.stored.entry(time).or_default() += 1;
            }
            results.push(json!({
                "type": activity["type"],
                "startDateTime": activity["startDateTime"],
                "error": error.map(|code| json!({ "code": code })),
            }));
        }
        let partly = results.iter().any(|result| !result["error"].is_null());
        let told = json!({ "value": results }).to_string();
        let (status, body) = match fate {
            Lost(_) => return Err(Failure::maybe_sent("reset")),
            NotSent => return Err(Failure::not_sent("refused")),
            Status(status) => (*status, String::new()),
            _ if is_item => (200, String::new()),
            Html => (200, "<html>".to_owned()),
            Silent => (200, r#"{"value":[]}"#.to_owned()),
            Done | Each(_) => (if partly { 207 } else { 200 }, told),
        };
        let mut response = http::Response::builder().status(status);
        if !(200..300).contains(&status) {
            response = response.header("retry-after", "1");
        }
        Ok(response.body(Bytes::from(body)).unwrap())
    }
}

/// What came of a run.
struct Run {
    outcomes: Vec<Outcome<Written>>,
    summary: Summary,
    service: Service,
}

impl Run {
    fn ends(&self) -> impl Iterator<Item = ActivityEnds> {
        self.outcomes.iter().filter_map(ActivityEnds::of)
    }

    fn counts(&self) -> ActivityCounts {
        let mut counts = ActivityCounts::default();
        self.ends().for_each(|ends| counts += ends.counts());
        counts
    }

    fn repeatable(&self) -> Vec<ExternalActivity> {
        self.ends().flat_map(|ends| ends.repeatable()).collect()
    }

    /// The end of each as one letter.
    fn letters(&self) -> String {
        let mut letters = String::new();
        for ends in self.ends() {
            letters.extend(ends.iter().map(|(_, end)| match end {
                ActivityEnd::Stored(_) => 's',
                ActivityEnd::Refused(_) => 'r',
                ActivityEnd::Unknown => '?',
                ActivityEnd::NotStored => 'n',
                other => panic!("{other:?}"),
            }));
        }
        letters
    }
}

/// Makes calls of one key, each request of which meets the next fate; past those it is done.
fn run(root: &ServiceRoot, calls: Vec<Call<Written>>, fates: &[Fate]) -> Run {
    let (mut settings, mut policy) = (IngestSettings::default(), Policy::default());
    settings.after_failure = AfterFailure::Skip;
    policy.attempts = 4;
    run_with(root, calls, fates, settings, policy)
}

fn run_with(
    root: &ServiceRoot,
    calls: Vec<Call<Written>>,
    fates: &[Fate],
    settings: IngestSettings,
    policy: Policy,
) -> Run {
    let (mut now, mut shared) = (Tick::default(), Shared::default());
    let mut ingest = Ingest::new(settings, &Start::new(root.clone(), policy, 7, now));
    for call in calls {
        assert!(ingest.offer("T1", call, now).is_ok(), "there is room");
    }
    ingest.close();
    let (mut outcomes, mut service, mut fates) = (Vec::new(), Service::default(), fates.iter());
    let summary = loop {
        match ingest.poll(now, &mut shared) {
            IngestStep::Token(need) => {
                let token = Token::new(AccessToken::new("t").unwrap());
                ingest.on_token(need.lease, now, Ok(token), &mut shared);
            }
            IngestStep::Send(attempt) => {
                now += Duration::from_millis(20);
                let fate = fates.next().unwrap_or(&Done);
                match service.answer(&attempt.request, fate) {
                    Ok(answer) => ingest.on_response(attempt.ticket, now, answer, &mut shared),
                    Err(failure) => ingest.on_failure(attempt.ticket, now, failure, &mut shared),
                }
            }
            IngestStep::Done(_, outcome) => outcomes.push(outcome),
            IngestStep::Idle { until, .. } => now = until.expect("nobody offers any more"),
            IngestStep::Finished(summary) => break summary,
        }
    };
    Run { outcomes, summary, service }
}

fn counts(stored: u64, refused: u64, unknown: u64, not_stored: u64) -> ActivityCounts {
    let mut counts = ActivityCounts::default();
    (counts.stored, counts.refused) = (stored, refused);
    (counts.unknown, counts.not_stored) = (unknown, not_stored);
    counts
}

#[test]
fn as_few_calls_as_the_limit_allows_in_the_order_given() {
    let root = ServiceRoot::v1();
    let many = activities(45);
    let calls = chunks(&many, Duplicates::Never, &root);
    assert_eq!(sizes(&calls), [20, 20, 5]);
    let done = run(&root, calls, &[]);
    let told: Vec<_> = done.ends().collect();
    assert!(told.iter().flat_map(ActivityEnds::iter).map(|(activity, _)| activity).eq(&many));
    assert_eq!((done.counts(), done.service.stored.len()), (counts(45, 0, 0, 0), 45));

    assert_eq!(sizes(&chunks(&many[..40], Duplicates::Never, &root)), [20, 20]);
    assert_eq!(sizes(&chunks(&[], Duplicates::Never, &root)), [0; 0], "none makes no call");
    let wide = root.clone().with_limits(Limits::default().with_activities(30));
    assert_eq!(sizes(&chunks(&many, Duplicates::Never, &wide)), [30, 15]);

    let (connection, id) = (connection(), ItemId::new("T1").unwrap());
    let closed = root.with_limits(Limits::default().with_activities(0));
    for add in AddActivities::chunks(&connection, &id, &many, Duplicates::Never, &closed) {
        assert!(add.request(&closed).unwrap_err().breaks(Rule::ActivityCount));
    }
}

#[test]
fn a_policy_on_duplicates_says_whether_a_call_may_be_made_again() {
    let (connection, id, one) = (connection(), ItemId::new("T1").unwrap(), activities(1));
    let add = AddActivities::new(&connection, &id, &one);
    assert_eq!(add.repeat(), Repeat::OnlyIfUnsent);
    assert_eq!(add.duplicates(Duplicates::Allowed).repeat(), Repeat::Freely);
    for (policy, repeat) in
        [(Duplicates::Never, Repeat::OnlyIfUnsent), (Duplicates::Allowed, Repeat::Freely)]
    {
        let calls = chunks(&activities(21), policy, &ServiceRoot::v1());
        assert!(calls.iter().all(|call| call.repeat() == repeat), "{policy:?}");
    }
}

#[test]
fn what_is_partly_done_keeps_nothing_back_where_only_failures_shall_and_they_do() {
    let root = ServiceRoot::v1();
    let mut settings = IngestSettings::default();
    settings.after_failure = AfterFailure::SkipUnlessPartly;
    let many = activities(45);
    let verdicts = [vec![Some("invalidRequest")], vec![None; 19]].concat();
    let calls = chunks(&many, Duplicates::Never, &root);
    let done = run_with(&root, calls, &[Each(verdicts)], settings.clone(), Policy::default());
    assert_eq!(done.counts(), counts(44, 1, 0, 0));

    let calls = chunks(&many, Duplicates::Never, &root);
    let done = run_with(&root, calls, &[Done, Status(400)], settings, Policy::default());
    assert_eq!(done.counts(), counts(20, 0, 0, 25));
    let last = &done.outcomes[2].end;
    assert!(matches!(last, End::Skipped(SkipReason::EarlierFailed)), "{last:?}");
}

#[test]
fn one_refused_in_the_middle_is_the_only_one() {
    let root = ServiceRoot::v1();
    let many = activities(45);
    let mut verdicts = vec![None; 20];
    verdicts[3] = Some("serviceNotAvailable");
    verdicts[4] = Some("invalidRequest");
    let calls = chunks(&many, Duplicates::Never, &root);
    let mut settings = IngestSettings::default();
    settings.after_failure = AfterFailure::Continue;
    let done = run_with(&root, calls, &[Done, Each(verdicts)], settings, Policy::default());

    let End::Partly(reply) = &done.outcomes[1].end else { panic!("{:?}", done.outcomes[1]) };
    assert_eq!((reply.complete, reply.status.as_u16()), (false, 207));
    let Written::Activities(added) = &reply.value else { panic!() };
    assert_eq!(added.failed(), many[23..25]);
    assert_eq!(done.outcomes[1].attempts, 1, "it is not sent again by itself");
    let progress = &done.summary.progress;
    assert_eq!((progress.ok, progress.failed, progress.skipped), (2, 1, 0));

    let letters = format!("{}rr{}", "s".repeat(23), "s".repeat(20));
    assert_eq!(done.letters(), letters);
    assert_eq!(done.counts(), counts(43, 2, 0, 0));
    assert_eq!(done.counts().total(), 45);
    assert_eq!(
        done.counts().to_string(),
        "activities: 43 stored, 2 refused, 0 that may be stored, 0 not stored"
    );
    assert_eq!(done.repeatable(), many[23..24], "the other one has to be mended");
    let ends = done.ends().nth(1).unwrap();
    let (_, ActivityEnd::Refused(error)) = ends.iter().nth(4).unwrap() else { panic!() };
    assert_eq!(error.code.as_deref(), Some("invalidRequest"));

    let verdicts = vec![Some("serviceNotAvailable")];
    let skipped = run(&root, chunks(&many, Duplicates::Never, &root), &[Each(verdicts)]);
    assert_eq!(skipped.counts(), counts(19, 1, 0, 25), "if so wished, the rest is kept back");
    assert_eq!(skipped.repeatable(), [&many[..1], &many[20..]].concat());

    let again = chunks(&done.repeatable(), Duplicates::Never, &root);
    assert_eq!(run(&root, again, &[]).counts(), counts(1, 0, 0, 0));
}

#[test]
fn a_throttled_call_goes_again_under_either_policy() {
    let root = ServiceRoot::v1();
    for policy in [Duplicates::Never, Duplicates::Allowed] {
        let calls = chunks(&activities(45), policy, &root);
        let done = run(&root, calls, &[Done, Status(429), Status(429)]);
        assert_eq!(done.counts(), counts(45, 0, 0, 0));
        assert_eq!((done.service.requests, done.outcomes[1].attempts), (5, 3));
        assert!(done.service.stored.values().all(|times| *times == 1));
        assert!(done.ends().all(|ends| !ends.may_be_twice()), "what is throttled is not stored");
    }
}

#[test]
fn after_a_lost_answer_activities_are_unknown_or_there_twice() {
    let root = ServiceRoot::v1();
    let many = activities(45);
    let never = run(&root, chunks(&many, Duplicates::Never, &root), &[Done, Lost(true)]);
    assert_eq!(never.counts(), counts(20, 0, 20, 5));
    let letters = format!("{}{}nnnnn", "s".repeat(20), "?".repeat(20));
    assert_eq!(never.letters(), letters);
    assert!(never.service.stored.values().all(|times| *times == 1));
    assert!(matches!(never.outcomes[2].end, End::Skipped(SkipReason::EarlierFailed)));
    assert_eq!(never.repeatable(), many[40..], "only what was certainly not stored");

    let allowed = run(&root, chunks(&many, Duplicates::Allowed, &root), &[Done, Lost(true)]);
    assert_eq!(allowed.counts(), counts(45, 0, 0, 0));
    let twice = allowed.service.stored.values().filter(|times| **times == 2).count();
    assert_eq!((twice, allowed.service.stored.len()), (20, 45));
    for (run, expected) in [(never, [false; 3]), (allowed, [false, true, false])] {
        assert!(run.ends().map(|ends| ends.may_be_twice()).eq(expected), "and it is said");
    }
}

#[test]
fn a_call_that_failed_says_it_of_each_of_its_activities() {
    let root = ServiceRoot::v1();
    let many = activities(3);
    for (policy, fates, letters, repeatable) in [
        (Duplicates::Never, vec![Status(400)], "nnn", 0),
        (Duplicates::Never, vec![Status(404)], "nnn", 0),
        (Duplicates::Never, vec![NotSent; 4], "nnn", 3),
        (Duplicates::Never, vec![Status(503)], "???", 0),
        (Duplicates::Never, vec![Html], "???", 0),
        (Duplicates::Never, vec![Silent], "???", 0),
        (Duplicates::Allowed, vec![Status(503); 4], "???", 0),
        (Duplicates::Allowed, vec![Lost(false), Status(400)], "???", 0),
        (Duplicates::Allowed, vec![Lost(false), Status(503)], "sss", 0),
    ] {
        let done = run(&root, chunks(&many, policy, &root), &fates);
        assert_eq!(done.letters(), letters, "{policy:?} {fates:?}");
        let expected = &many[..repeatable];
        assert_eq!(done.repeatable(), expected, "{policy:?} {fates:?}");
    }
}

#[test]
fn activities_of_an_item_that_failed_are_not_stored() {
    let root = ServiceRoot::v1();
    let (many, item) = (activities(45), item());
    let calls = || {
        let mut calls = vec![PutItem::new(&connection(), &item).call_into(&root).unwrap()];
        calls.extend(chunks(&many, Duplicates::Never, &root));
        calls
    };
    let done = run(&root, calls(), &[Status(400)]);
    assert_eq!((done.counts(), done.service.requests), (counts(0, 0, 0, 45), 1));
    assert_eq!(done.repeatable(), many);
    assert!(ActivityEnds::of(&done.outcomes[0]).is_none(), "an item is no activity");

    let done = run(&root, calls(), &[]);
    assert!(matches!(
        &done.outcomes[0].end,
        End::Ok(reply) if matches!(reply.value, Written::Item) && reply.complete
    ));
    assert_eq!((done.counts(), done.service.requests), (counts(45, 0, 0, 0), 4));
}

#[test]
fn an_offer_without_a_call_tells_of_no_activities() {
    let start = Start::new(ServiceRoot::v1(), Policy::default(), 7, Tick::default());
    let mut ingest = Ingest::<_, Written>::new(IngestSettings::default(), &start);
    let why = Fault::new(Rule::ActivityCount, "$.activities", "too many").into();
    ingest.skip("T1", why, Tick::default()).unwrap();
    let step = ingest.poll(Tick::default(), &mut Shared::default());
    let IngestStep::Done("T1", outcome) = step else { panic!("{step:?}") };
    assert_eq!(ActivityEnds::of(&outcome), None);
}

/// What a request meets at random.
fn any_fate() -> impl Strategy<Value = Fate> {
    let verdict = prop_oneof![
        4 => Just(None),
        1 => Just(Some("invalidRequest")),
        1 => Just(Some("serviceNotAvailable")),
    ];
    prop_oneof![
        4 => Just(Done),
        4 => prop::collection::vec(verdict, 1..25).prop_map(Each),
        1 => Just(Silent),
        1 => Just(Html),
        1 => Just(NotSent),
        2 => any::<bool>().prop_map(Lost),
        3 => prop::sample::select(vec![400, 404, 429, 429, 500, 503]).prop_map(Status),
    ]
}

proptest! {
    #[test]
    fn each_activity_has_one_end_and_a_true_one(
        count in 0..70_usize,
        most in 1..25_usize,
        allowed in any::<bool>(),
        skip in any::<bool>(),
        fates in prop::collection::vec(any_fate(), 0..20),
    ) {
        let root = ServiceRoot::v1().with_limits(Limits::default().with_activities(most));
        let policy = if allowed { Duplicates::Allowed } else { Duplicates::Never };
        let many = activities(count);
        let calls = chunks(&many, policy, &root);
        prop_assert_eq!(calls.len(), count.div_ceil(most));
        let mut settings = IngestSettings::default();
        settings.after_failure = if skip { AfterFailure::Skip } else { AfterFailure::Continue };
        let done = run_with(&root, calls, &fates, settings, Policy::default());

        let told: Vec<_> = done.ends().collect();
        prop_assert!(told.iter().flat_map(ActivityEnds::iter).map(|(sent, _)| sent).eq(&many));
        let counts = done.counts();
        prop_assert_eq!(counts.total(), count as u64);
        let repeatable = done.repeatable().len() as u64;
        prop_assert!(repeatable <= counts.refused + counts.not_stored);

        let each = told.iter().flat_map(|ends| {
            ends.iter().map(|(activity, end)| (activity, end, ends.may_be_twice()))
        });
        for (activity, end, twice) in each {
            let times = done.service.stored.get(&activity.start().to_string()).copied();
            let times = times.unwrap_or_default();
            prop_assert!(times <= 1 || twice, "stored {times} times: {end:?}");
            prop_assert!(allowed || !twice);
            match end {
                ActivityEnd::Stored(_) => prop_assert!(times == 1 || (twice && times > 1)),
                ActivityEnd::Refused(_) => prop_assert!(times == 0 || twice),
                ActivityEnd::NotStored => prop_assert_eq!(times, 0),
                _ => {}
            }
        }
        for outcome in &done.outcomes {
            let ends = ActivityEnds::of(outcome).unwrap().counts();
            match &outcome.end {
                End::Ok(_) => prop_assert_eq!(ends.stored, ends.total()),
                End::Partly(_) => prop_assert!(ends.stored < ends.total() && ends.not_stored == 0),
                End::Failed(error) if error.applied() == Applied::No => {
                    prop_assert_eq!(ends.not_stored, ends.total());
                }
                End::Failed(_) => prop_assert_eq!(ends.unknown, ends.total()),
                _ => prop_assert_eq!(ends.not_stored, ends.total()),
            }
        }
    }
}
