//! The blocking client with many threads: what they share, and what nobody waits for in vain.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "real threads need real time"
)]

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use graphfeed_core::{
    client::{Client, Clock, Failure, SendOptions, VirtualClock},
    external::GetConnection,
    machine::{Event, EventKind, Policy, Tick, Token, TokenNeed, WaitReason},
    protocol::{Cause, GiveUp, ServiceRoot, TokenError},
    types::{AccessToken, ConnectionId},
};

/// The clock of the machine, as a transport crate brings one.
struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Tick {
        Tick::new(self.0.elapsed())
    }
}

fn real_clock() -> RealClock {
    RealClock(Instant::now())
}

fn connection() -> ConnectionId {
    ConnectionId::new("contosohr").unwrap()
}

fn answer(status: u16) -> http::Response<Bytes> {
    http::Response::builder().status(status).body(Bytes::from_static(b"{}")).unwrap()
}

fn token() -> Result<Token, TokenError> {
    Ok(Token::new(AccessToken::new("token").unwrap()))
}

/// Who waits for one reason: an observer that hears of it, and what returns once so many calls do.
fn waiting(wanted: WaitReason) -> (impl Fn(&Event) + Send + Sync, impl Fn(usize) + Send + Sync) {
    let (tell, told) = mpsc::channel();
    let told = Mutex::new(told);
    let observer = move |event: &Event| {
        if matches!(event.kind, EventKind::Wait { reason, .. } if reason == wanted) {
            let _ = tell.send(event.call);
        }
    };
    let until = move |calls: usize| {
        let told = told.lock().unwrap();
        let mut known = HashSet::new();
        while known.len() < calls {
            known.insert(told.recv_timeout(Duration::from_secs(30)).expect("nobody else waits"));
        }
    };
    (observer, until)
}

#[test]
fn sixteen_threads_fetch_one_token() {
    let fetched = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&fetched);
    let (observer, until_waiting) = waiting(WaitReason::Token);
    let tokens = move |_: &TokenNeed| {
        count.fetch_add(1, Ordering::SeqCst);
        until_waiting(15);
        token()
    };
    let transport = |_: http::Request<Bytes>, _: &SendOptions| Ok(answer(200));
    let client = Client::builder(ServiceRoot::v1(), tokens)
        .observer(observer)
        .build(transport, real_clock());
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| client.send(&GetConnection::new(&connection())).unwrap());
        }
    });
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
}

#[test]
fn nobody_stalls_when_the_thread_that_fetches_dies() {
    let calls = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&calls);
    let (observer, until_waiting) = waiting(WaitReason::Token);
    let tokens = move |_: &TokenNeed| {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            until_waiting(15);
            panic!("the first to fetch dies");
        }
        token()
    };
    let transport = |_: http::Request<Bytes>, _: &SendOptions| Ok(answer(200));
    let client = Client::builder(ServiceRoot::v1(), tokens)
        .observer(observer)
        .build(transport, real_clock());
    let results: Vec<bool> = thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|_| {
                let client = client.clone();
                scope.spawn(move || client.send(&GetConnection::new(&connection())).is_ok())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(false)).collect()
    });
    assert_eq!(results.iter().filter(|ok| **ok).count(), 15);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_gate_holds_all_threads_and_one_goes_first() {
    let sends: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let clock = Arc::new(real_clock());
    let (seen, time) = (Arc::clone(&sends), Arc::clone(&clock));
    let (observer, until_waiting) = waiting(WaitReason::First);
    let transport = move |_: http::Request<Bytes>, _: &SendOptions| {
        let mut seen = seen.lock().unwrap();
        seen.push(time.now().since_origin());
        let number = seen.len();
        drop(seen);
        if number == 2 {
            until_waiting(15);
        }
        if number > 1 {
            return Ok(answer(200));
        }
        let mut response = answer(429);
        response.headers_mut().insert("retry-after", "0.3".parse().unwrap());
        Ok::<_, Failure>(response)
    };
    let (closed, is_closed) = mpsc::channel();
    let client = Client::builder(ServiceRoot::v1(), AccessToken::new("t").unwrap())
        .observer(move |event| {
            observer(event);
            if let EventKind::Throttled { until, .. } = event.kind {
                closed.send(until.since_origin()).unwrap();
            }
        })
        .build(transport, clock);
    let opens = thread::scope(|scope| {
        scope.spawn(|| client.send(&GetConnection::new(&connection())).unwrap());
        let opens = is_closed.recv().unwrap();
        for _ in 0..15 {
            scope.spawn(|| client.send(&GetConnection::new(&connection())).unwrap());
        }
        opens
    });
    let sends = sends.lock().unwrap();
    assert_eq!(sends.len(), 17);
    assert!(sends[1..].iter().all(|at| *at >= opens), "{sends:?}");
}

#[test]
fn in_virtual_time_the_wait_of_an_hour_takes_none() {
    let mut answers = [503, 429, 200].into_iter();
    let answers = Mutex::new(move || answers.next().unwrap());
    let transport = move |_: http::Request<Bytes>, _: &SendOptions| {
        let status = (answers.lock().unwrap())();
        let mut response = answer(status);
        response.headers_mut().insert("retry-after", "3600".parse().unwrap());
        Ok(response)
    };
    let mut patient = Policy::default();
    patient.total = Duration::from_secs(10_000);
    let clock = Arc::new(VirtualClock::default());
    let client = Client::builder(ServiceRoot::v1(), AccessToken::new("t").unwrap())
        .policy(patient)
        .build(transport, Arc::clone(&clock));
    client.send(&GetConnection::new(&connection())).unwrap();
    assert_eq!(clock.now().since_origin(), Duration::from_secs(7200));
}

#[test]
fn the_observer_hears_everything_and_no_secret() {
    let heard: Arc<Mutex<Vec<Event>>> = Arc::default();
    let hear = Arc::clone(&heard);
    let mut statuses = [401, 503, 403].into_iter();
    let statuses = Mutex::new(move || statuses.next().unwrap());
    let transport = move |request: http::Request<Bytes>, options: &SendOptions| {
        assert_eq!(request.headers()["authorization"], "Bearer top-secret");
        assert!(!format!("{request:?} {options:?}").contains("top-secret"));
        Ok(answer((statuses.lock().unwrap())()))
    };
    let token = AccessToken::new("top-secret").unwrap();
    let client = Client::builder(ServiceRoot::v1(), token.clone())
        .observer(move |event| hear.lock().unwrap().push(event.clone()))
        .build(transport, VirtualClock::default());
    let error = client.send(&GetConnection::new(&connection())).unwrap_err();
    let events = heard.lock().unwrap();
    assert!(matches!(
        events.last().unwrap().kind,
        EventKind::Done { attempts: 3, success: false, .. }
    ));
    for text in [
        format!("{events:?}"),
        format!("{error:?}"),
        error.to_string(),
        format!("{client:?}"),
        format!("{:?}", Token::new(token)),
    ] {
        assert!(!text.contains("top-secret"), "{text}");
    }
}

#[test]
fn a_source_without_a_token_is_an_error_before_anything_is_sent() {
    let transport = |_: http::Request<Bytes>, _: &SendOptions| -> Result<_, Failure> {
        panic!("nothing may be sent")
    };
    let tokens = |_: &TokenNeed| Err(TokenError::source("the vault is closed"));
    let client =
        Client::builder(ServiceRoot::v1(), tokens).build(transport, VirtualClock::default());
    let error = client.send(&GetConnection::new(&connection())).unwrap_err();
    assert_eq!(error.to_string(), "Get connection: no token: the vault is closed");
}

#[test]
fn a_dead_service_stops_a_client_early() {
    let sent = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&sent);
    let transport = move |_: http::Request<Bytes>, _: &SendOptions| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(answer(500))
    };
    let client = Client::builder(ServiceRoot::v1(), AccessToken::new("t").unwrap())
        .build(transport, VirtualClock::default());
    for call in 0..100 {
        let error = client.send(&GetConnection::new(&connection())).unwrap_err();
        assert!(matches!(error.cause(), Cause::Service(_)));
        if call > 50 {
            assert_eq!(error.why_given_up(), Some(GiveUp::Budget));
        }
    }
    // Each call once, and the 50 repeats that the default budget pays for.
    assert_eq!(sent.load(Ordering::SeqCst), 150);
}

#[test]
fn signing_in_first_takes_its_time_and_makes_no_call() {
    let clock = Arc::new(VirtualClock::default());
    let slow = Arc::clone(&clock);
    let fetched = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&fetched);
    let tokens = move |need: &TokenNeed| {
        assert_eq!(need.timeout, Duration::from_secs(900));
        count.fetch_add(1, Ordering::SeqCst);
        slow.advance(Duration::from_secs(600));
        token()
    };
    let sent = Arc::new(AtomicU32::new(0));
    let calls = Arc::clone(&sent);
    let transport = move |_: http::Request<Bytes>, _: &SendOptions| {
        calls.fetch_add(1, Ordering::SeqCst);
        Ok(answer(200))
    };
    let client = Client::builder(ServiceRoot::v1(), tokens).build(transport, clock);
    client.sign_in(Duration::from_secs(900)).unwrap();
    client.sign_in(Duration::from_secs(900)).unwrap();
    assert_eq!((fetched.load(Ordering::SeqCst), sent.load(Ordering::SeqCst)), (1, 0));
    client.send(&GetConnection::new(&connection())).unwrap();
    assert_eq!((fetched.load(Ordering::SeqCst), sent.load(Ordering::SeqCst)), (1, 1));

    let declines = |_: &TokenNeed| Err(TokenError::source("declined"));
    let nothing = |_: http::Request<Bytes>, _: &SendOptions| -> Result<_, Failure> { panic!() };
    let client =
        Client::builder(ServiceRoot::v1(), declines).build(nothing, VirtualClock::default());
    let error = client.sign_in(Duration::from_secs(900)).unwrap_err();
    assert_eq!(error.to_string(), "Sign in: no token: declined");
}
