//! Many calls at once, in virtual time, over arbitrary answers, failures, silences and token
//! troubles: what the rules promise holds whatever happens.
//!
//! The world here knows what it answered and when; it judges each send by that alone.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use graphfeed_core::{
    external::{
        Acl, AddActivities, ExternalActivity, ExternalItem, GetConnection, Identity, PutItem,
    },
    machine::{Budget, Exchange, Lease, Machine, Policy, Shared, Step, Tick, Ticket, Token},
    protocol::{Applied, Call, Endpoint, Error, Failure, Repeat, ServiceRoot, TokenError},
    types::{AccessToken, ConnectionId, Guid, ItemId},
};
use proptest::prelude::*;

/// What becomes of one attempt.
#[derive(Clone, Debug)]
enum Fate {
    Answer { status: u16, retry_after: Option<u32>, after: u32 },
    NotSent { after: u32, permanent: bool },
    MaybeSent { after: u32 },
    Silence,
}

/// What becomes of one fetch of a token; times in milliseconds.
#[derive(Clone, Debug)]
enum TokenFate {
    Token {
        after: u32,
        life: Option<u32>,
    },
    Refusal {
        after: u32,
    },
    /// The caller is dropped while it fetches.
    Dropped,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Put,
    Add,
    Get,
}

#[derive(Clone, Debug)]
struct Plan {
    calls: Vec<(Kind, bool, u32)>,
    fates: Vec<Fate>,
    tokens: Vec<TokenFate>,
    policy: (u32, u32, u32),
    budget: (u32, u32, u32),
    seed: u64,
}

/// A call told of its output as nothing, so that all kinds fit one list.
struct Nothing;

macro_rules! nothing_from {
    ($($Output:ty),*) => { $(impl From<$Output> for Nothing {
        fn from(_: $Output) -> Self { Self }
    })* };
}
nothing_from!(
    Option<graphfeed_core::external::StoredItem>,
    graphfeed_core::external::AddedActivities,
    graphfeed_core::external::StoredConnection
);

fn call(kind: Kind, first_lane: bool) -> Call<Nothing> {
    let root = ServiceRoot::v1();
    let connection = ConnectionId::new(if first_lane { "contosohr" } else { "contosoit" }).unwrap();
    let id = ItemId::new("T1").unwrap();
    match kind {
        Kind::Put => {
            let item = ExternalItem::builder(id)
                .acl(Acl::everyone(Guid::from(7)))
                .property("title", "t")
                .build()
                .unwrap();
            PutItem::new(&connection, &item).call_into(&root)
        }
        Kind::Add => {
            let start = "2026-01-01T00:00:00Z".parse().unwrap();
            let viewed = [ExternalActivity::viewed(start, Identity::user(1.into()))];
            AddActivities::new(&connection, &id, &viewed).call_into(&root)
        }
        Kind::Get => GetConnection::new(&connection).call_into(&root),
    }
    .unwrap()
}

/// One call under way, and what the world knows of it.
struct Running {
    exchange: Exchange<Nothing>,
    repeat: Repeat,
    writes: bool,
    lane: String,
    start: Tick,
    sends: u32,
    maybe: bool,
    /// Not to be sent again before this, or not at all.
    own_wait: Tick,
    ended: bool,
    refusals_of_token: u32,
    done: Option<Tick>,
    dropped: bool,
}

enum Happening {
    Answer(usize, Ticket, Fate),
    Token(usize, Lease, TokenFate),
}

fn ms(milliseconds: u32) -> Duration {
    Duration::from_millis(milliseconds.into())
}

/// Runs the plan and gives the trace of all that happened, which the same plan repeats.
fn run(plan: &Plan) -> Vec<String> {
    let mut policy = Policy::default();
    policy.attempts = plan.policy.0;
    policy.total = ms(plan.policy.1);
    policy.attempt = ms(plan.policy.2);
    let mut budget = Budget::default();
    (budget.capacity, budget.cost, budget.refund) = plan.budget;
    let mut shared = Shared::new(budget.clone());
    let mut fates = plan.fates.iter().cloned().cycle();
    let mut tokens = plan.tokens.iter().cloned().cycle();

    let mut trace = Vec::new();
    let mut calls: Vec<Running> = plan
        .calls
        .iter()
        .enumerate()
        .map(|(index, (kind, first_lane, start))| {
            let call = call(*kind, *first_lane);
            let start = Tick::new(ms(*start));
            Running {
                repeat: call.repeat(),
                writes: call.route().writes(),
                lane: call.lane().1.to_owned(),
                exchange: Exchange::new(call, &policy, plan.seed ^ index as u64, start),
                start,
                sends: 0,
                maybe: false,
                own_wait: Tick::default(),
                ended: false,
                refusals_of_token: 0,
                done: None,
                dropped: false,
            }
        })
        .collect();
    let mut happenings: BTreeMap<(Tick, usize), Happening> = BTreeMap::new();
    let mut gates: BTreeMap<String, Tick> = BTreeMap::new();
    let mut lease: Option<(Lease, Tick)> = None;
    let (mut repeats, mut successes, mut serial) = (0_u32, 0_u32, 0_usize);
    let mut now = Tick::default();

    loop {
        // Whatever has come by now is told first.
        while let Some(entry) = happenings.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                Happening::Answer(index, ticket, fate) => {
                    let running = &mut calls[index];
                    let waited_for = running.done.is_none() && !running.dropped;
                    match fate {
                        Fate::Answer { status, retry_after, .. } => {
                            let mut response = http::Response::builder().status(status);
                            if let Some(wait) = retry_after {
                                let wait = f64::from(wait) / 1000.0;
                                response = response.header("retry-after", format!("{wait}"));
                            }
                            let body = Bytes::from_static(br#"{"value":[]}"#);
                            let body = if status == 200 { body } else { Bytes::new() };
                            let response = response.body(body).unwrap();
                            running.exchange.on_response(ticket, now, response, &mut shared);
                        }
                        Fate::NotSent { permanent, .. } => {
                            let failure = Failure::not_sent("refused");
                            let failure = if permanent { failure.permanent() } else { failure };
                            running.exchange.on_failure(ticket, now, failure, &mut shared);
                        }
                        Fate::MaybeSent { .. } => {
                            let failure = Failure::maybe_sent("reset");
                            running.exchange.on_failure(ticket, now, failure, &mut shared);
                        }
                        Fate::Silence => unreachable!("silence never happens"),
                    }
                    trace.push(format!("{now:?} {index} told, waited for: {waited_for}"));
                }
                Happening::Token(index, its, fate) => {
                    if lease.is_some_and(|(current, _)| current == its) {
                        lease = None;
                    }
                    let token = match fate {
                        TokenFate::Token { life, .. } => {
                            let token = Token::new(AccessToken::new("token").unwrap());
                            Ok(match life {
                                Some(life) => token.expires_in(ms(life)),
                                None => token,
                            })
                        }
                        _ => Err(TokenError::source("no")),
                    };
                    calls[index].exchange.on_token(its, now, token, &mut shared);
                }
            }
        }

        // Everybody is asked until nobody has anything to do before a later time.
        let mut next = Tick::MAX;
        let mut again = true;
        while again {
            again = false;
            next = Tick::MAX;
            for (index, running) in calls.iter_mut().enumerate() {
                if running.start > now {
                    next = next.min(running.start);
                    continue;
                }
                if running.done.is_some() || running.dropped {
                    assert!(matches!(
                        running.exchange.poll(now, &mut shared),
                        Step::Wait(Tick::MAX)
                    ));
                    continue;
                }
                match running.exchange.poll(now, &mut shared) {
                    Step::Wait(until) => {
                        assert!(until > now, "a wait that is over");
                        next = next.min(until);
                    }
                    Step::Token(need) => {
                        assert!(
                            lease.is_none_or(|(_, until)| until <= now),
                            "two fetch a token at once"
                        );
                        lease = Some((need.lease, now + need.timeout));
                        let fate = tokens.next().unwrap();
                        trace.push(format!("{now:?} {index} fetches"));
                        match fate {
                            TokenFate::Dropped => {
                                running.exchange.abandon(&mut shared);
                                running.dropped = true;
                                lease = None;
                            }
                            TokenFate::Token { after, .. } | TokenFate::Refusal { after } => {
                                serial += 1;
                                let happening = Happening::Token(index, need.lease, fate);
                                happenings.insert((now + ms(after), serial), happening);
                            }
                        }
                        again = true;
                    }
                    Step::Send(attempt) => {
                        running.sends += 1;
                        assert!(running.sends <= plan.policy.0.max(1), "attempts are bounded");
                        assert!(!running.ended, "repeated what may not be");
                        assert!(now >= running.own_wait, "earlier than told");
                        let gate = gates.get(&running.lane).copied().unwrap_or_default();
                        assert!(now >= gate, "before the gate of its lane");
                        assert!(now + attempt.timeout <= running.start + policy.total);
                        let count = attempt.request.headers().get("retry-attempt");
                        let count =
                            count.map(|count| count.to_str().unwrap().parse::<u32>().unwrap());
                        assert_eq!(count.unwrap_or(0) + 1, running.sends);
                        trace.push(format!(
                            "{now:?} {index} sends {:?}",
                            attempt.request.headers()["client-request-id"]
                        ));
                        let fate = fates.next().unwrap();
                        let harmless = running.repeat == Repeat::Freely;
                        let after = match &fate {
                            Fate::Answer { after, .. }
                            | Fate::NotSent { after, .. }
                            | Fate::MaybeSent { after } => Some(ms(*after)),
                            Fate::Silence => None,
                        };
                        // At that very moment either could be first; the clock is.
                        let is_tie = |after: &Duration| *after == attempt.timeout;
                        let after = after.map(|it| if is_tie(&it) { it + ms(1) } else { it });
                        // Past its time an attempt is given up, and its answer comes too late.
                        let in_time = after.is_some_and(|after| after < attempt.timeout);
                        if !in_time {
                            running.maybe |= running.writes;
                            running.ended = !harmless;
                            repeats += u32::from(harmless);
                        } else {
                            let at = now + after.unwrap();
                            match fate {
                                Fate::Answer { status: 429, retry_after, .. } => {
                                    running.own_wait = at + ms(retry_after.unwrap_or(0));
                                }
                                Fate::Answer { status: 401, .. } => {
                                    running.refusals_of_token += 1;
                                    running.ended = running.refusals_of_token > 1;
                                }
                                Fate::Answer { status: 200, .. } => {
                                    running.ended = true;
                                    successes += 1;
                                }
                                Fate::Answer {
                                    status: 408 | 500 | 502 | 503 | 504 | 509,
                                    retry_after,
                                    ..
                                } => {
                                    running.maybe |= running.writes;
                                    running.ended = !harmless;
                                    running.own_wait = at + ms(retry_after.unwrap_or(0));
                                    repeats += u32::from(harmless);
                                }
                                Fate::Answer { .. } => running.ended = true,
                                Fate::NotSent { permanent, .. } => {
                                    running.ended = permanent;
                                    repeats += u32::from(!permanent);
                                }
                                Fate::MaybeSent { .. } => {
                                    running.maybe |= running.writes;
                                    running.ended = !harmless;
                                    repeats += u32::from(harmless);
                                }
                                Fate::Silence => unreachable!("silence is never in time"),
                            }
                        }
                        if let Some(after) = after {
                            serial += 1;
                            let happening = Happening::Answer(index, attempt.ticket, fate);
                            happenings.insert((now + after, serial), happening);
                        }
                        again = true;
                    }
                    Step::Done(result) => {
                        assert!(now <= running.start + policy.total, "the total time is bounded");
                        check_outcome(running, &result.map(|_| ()));
                        running.done = Some(now);
                        trace.push(format!("{now:?} {index} done"));
                        again = true;
                    }
                }
            }
        }
        if calls.iter().all(|running| running.done.is_some() || running.dropped) {
            break;
        }
        // A gate closes when its 429 arrives, which is when it is told, above.
        let arrival = happenings.keys().next().map_or(Tick::MAX, |(at, _)| *at);
        now = next.min(arrival);
        assert!(now < Tick::MAX, "nobody would ever do anything again");
        for ((at, _), happening) in &happenings {
            if *at <= now
                && let Happening::Answer(
                    index,
                    _,
                    Fate::Answer { status: 429, retry_after: Some(wait), .. },
                ) = happening
            {
                let running = &calls[*index];
                // A late answer is heard by nobody.
                if running.done.is_none() && running.own_wait == *at + ms(*wait) {
                    let gate = gates.entry(running.lane.clone()).or_default();
                    *gate = (*gate).max(*at + ms(*wait));
                }
            }
        }
    }
    // Each repeat was paid for, by what there was at first or what successes have brought. The
    // last one that was wanted may have been refused.
    let wanted = repeats.saturating_sub(calls.len() as u32);
    let earned = budget.capacity + successes * budget.refund;
    assert!(wanted * budget.cost <= earned, "{wanted} repeats on a budget of {earned}");
    trace
}

fn check_outcome(running: &Running, result: &Result<(), Error>) {
    if let Err(error) = result {
        assert_eq!(error.attempts(), running.sends);
        if running.maybe {
            assert_ne!(error.applied(), Applied::No, "No after a Maybe: {error}");
        } else {
            assert_eq!(error.applied(), Applied::No, "{error}");
        }
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    let status = prop::sample::select(vec![
        200_u16, 200, 429, 429, 400, 401, 404, 408, 302, 409, 500, 502, 503, 503, 504, 509, 501,
    ]);
    let after = 0..3000_u32;
    let wait = prop::option::of(prop_oneof![0..20_000_u32, 0..400_000_u32]);
    prop_oneof![
        8 => (status, wait, after.clone())
            .prop_map(|(status, retry_after, after)| Fate::Answer { status, retry_after, after }),
        1 => (after, prop::bool::weighted(0.2))
            .prop_map(|(after, permanent)| Fate::NotSent { after, permanent }),
        1 => (0..40_000_u32).prop_map(|after| Fate::MaybeSent { after }),
        1 => Just(Fate::Silence),
    ]
}

fn token_fate() -> impl Strategy<Value = TokenFate> {
    prop_oneof![
        6 => (0..2000_u32, prop::option::of(0..20_000_u32))
            .prop_map(|(after, life)| TokenFate::Token { after, life }),
        1 => (0..2000_u32).prop_map(|after| TokenFate::Refusal { after }),
        1 => Just(TokenFate::Dropped),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    use prop::collection::vec;
    let kind = prop::sample::select(vec![Kind::Put, Kind::Put, Kind::Add, Kind::Get]);
    (
        vec((kind, any::<bool>(), 0..30_000_u32), 1..8),
        vec(fate(), 1..40),
        vec(token_fate(), 1..10),
        (1..12_u32, 1..400_000_u32, 1..120_000_u32),
        (0..100_u32, 1..20_u32, 0..5_u32),
        any::<u64>(),
    )
        .prop_map(|(calls, fates, tokens, policy, budget, seed)| Plan {
            calls,
            fates,
            tokens,
            policy,
            budget,
            seed,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_rules_hold_whatever_happens(plan in plan()) {
        let trace = run(&plan);
        prop_assert_eq!(trace, run(&plan), "the same seed and inputs, the same outputs");
    }
}

#[test]
fn what_comes_at_the_moment_at_which_it_is_given_up_comes_too_late() {
    run(&Plan {
        calls: vec![(Kind::Put, false, 0); 5],
        fates: vec![Fate::NotSent { after: 600, permanent: false }],
        tokens: vec![TokenFate::Token { after: 0, life: None }],
        policy: (1, 600, 600),
        budget: (0, 1, 0),
        seed: 0,
    });
}
