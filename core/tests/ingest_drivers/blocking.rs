//! What is the blocking driver's alone: its threads, what they wait for, and how they die.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::{
    client::{IngestNews, SendOptions},
    external::GetConnection,
    machine::{
        End, Ending, EventKind, IngestSettings, Outcome, Packing, Policy, SkipReason, TokenNeed,
        WaitReason,
    },
    protocol::{Applied, Deleted},
    types::AccessToken,
};

use crate::world::{
    Offer, PATIENCE, Service, Time, answer, bad, builder, client, connection, delete, long,
    throttled, token,
};

fn settings(in_flight: usize) -> IngestSettings {
    let mut settings = IngestSettings::default();
    settings.in_flight = in_flight;
    settings
}

fn offers(keys: std::ops::Range<u32>) -> impl Iterator<Item = Offer<u32>> + Send {
    keys.map(|key| (key, delete(key)))
}

fn done(news: IngestNews<u32, Deleted>) -> Option<(u32, Outcome<Deleted>)> {
    match news {
        IngestNews::Done(key, outcome) => Some((key, outcome)),
        _ => None,
    }
}

#[test]
fn outcomes_are_told_while_the_source_blocks() {
    let client = client(&Service::new());
    let (tell, told) = mpsc::channel();
    let last = std::iter::once_with(move || {
        for _ in 0..3 {
            told.recv_timeout(PATIENCE).expect("nothing is told while the source blocks");
        }
        (3, delete(3))
    });
    let summary = client.ingest(settings(8)).run(offers(0..3).chain(last), |news| {
        if let Some((key, _)) = done(news) {
            let _ = tell.send(key);
        }
    });
    assert_eq!((summary.progress.ok, summary.ending), (4, Ending::Complete));
}

#[test]
fn the_progress_is_told_while_nothing_else_happens() {
    let service = Service::new();
    service.time.passing();
    service.hold_until(usize::MAX);
    let run = client(&service).ingest(settings(2)).progress_every(Duration::from_millis(5));
    let mut last = None;
    let summary = run.run(offers(0..2), |news| match news {
        IngestNews::Progress(progress) => {
            if progress.in_flight == 2 {
                service.release();
            }
            last = Some(progress);
        }
        IngestNews::Done(..) => {
            assert_eq!(last.as_ref().map(|progress| progress.seen), Some(2));
        }
        _ => unreachable!(),
    });
    assert_eq!(summary.progress.ok, 2);
}

#[test]
fn a_stop_from_another_thread_is_heard_at_once_and_waits_for_what_is_out_and_for_the_source() {
    let service = Service::new();
    service.hold_until(usize::MAX);
    let (let_go, may_go) = mpsc::channel();
    let blocked = std::iter::once_with(move || {
        may_go.recv_timeout(PATIENCE).expect("the run tells what is out while the source blocks");
        (9, delete(9))
    });
    service.time.passing();
    let progress_every = Duration::from_millis(1);
    let run = client(&service).ingest(settings(2)).progress_every(progress_every);
    let stop = run.stop_handle();
    let (tell, is_full) = mpsc::channel();
    let mut told = Vec::new();
    let summary = thread::scope(|scope| {
        scope.spawn(move || {
            is_full.recv_timeout(PATIENCE).expect("four are taken, of which two are out");
            stop.stop();
        });
        run.run(offers(0..4).chain(blocked), |news| match news {
            IngestNews::Progress(progress) if (progress.seen, progress.in_flight) == (4, 2) => {
                let _ = tell.send(());
            }
            IngestNews::Done(key, outcome) => {
                // That what has not gone out is told first shows that the stop was heard.
                service.release();
                told.push((key, matches!(outcome.end, End::Ok(_))));
                if told.len() == 4 {
                    let_go.send(()).unwrap();
                }
            }
            _ => {}
        })
    });
    let mut out: Vec<u32> = told[2..4].iter().map(|(key, _)| *key).collect();
    out.sort_unstable();
    assert_eq!((&told[..2], out), (&[(2, false), (3, false)][..], vec![0, 1]));
    assert_eq!(told[4], (9, false), "what was read is told");
    assert_eq!(summary.ending, Ending::Stopped);
    let progress = summary.progress;
    assert_eq!((progress.seen, progress.ok, progress.failed, progress.skipped), (5, 2, 0, 3));
    assert_eq!(service.sent().len(), 2);
}

#[test]
fn a_stop_before_the_start_sends_nothing() {
    let service = Service::new();
    let run = client(&service).ingest(settings(2));
    run.stop_handle().stop();
    let summary = run.run(offers(0..100), |news| {
        assert!(matches!(done(news).unwrap().1.end, End::Skipped(SkipReason::RunEnded)));
    });
    assert_eq!((summary.ending, service.sent().len()), (Ending::Stopped, 0));
}

#[test]
fn another_call_of_the_client_waits_for_the_gate_that_the_run_has_closed() {
    let service = Service::new();
    let mut first = true;
    service.answers(move |name| {
        if std::mem::take(&mut first) {
            return Ok(throttled("7"));
        }
        let status = if name.starts_with('T') { 204 } else { 200 };
        Ok(answer(status).map(|_| Bytes::from_static(b"{}")))
    });
    let (closed, is_closed) = mpsc::channel();
    let (waits, is_waiting) = mpsc::channel();
    let client = builder(AccessToken::new("t").unwrap(), Policy::default())
        .observer(move |event| match event.kind {
            EventKind::Throttled { .. } => {
                let _ = closed.send(());
            }
            EventKind::Wait { reason: WaitReason::Throttling, .. } => {
                let _ = waits.send(event.operation);
            }
            _ => {}
        })
        .build(service.transport(), Arc::clone(&service.time));
    let summary = thread::scope(|scope| {
        let (client, service) = (&client, &service);
        scope.spawn(move || {
            is_closed.recv_timeout(PATIENCE).unwrap();
            scope.spawn(|| client.send(&GetConnection::new(&connection())).unwrap());
            while is_waiting.recv_timeout(PATIENCE).unwrap() != "Get connection" {}
            assert_eq!(service.sent().len(), 1, "nobody passes the gate");
            service.time.advance(Duration::from_secs(7));
            // From then on the run goes at the pace that it has learned.
            service.time.passing();
        });
        client.ingest(settings(1)).run(offers(0..3), |_| {})
    });
    assert_eq!((summary.progress.ok, summary.progress.throttled), (3, 1));
    assert!(summary.progress.throttled_for >= Duration::from_secs(7));
    assert_eq!(service.sent().iter().filter(|name| *name == "contosohr").count(), 1);
}

/// How a call of the handler fares that waits for something the run is at: the reason, and what
/// the service answers to the run's first attempt. The answer that it waits for is given when it
/// waits, and no time passes from then on.
fn a_handler_asks(waits_for: WaitReason, first: impl Fn() -> http::Response<Bytes> + Sync) {
    let time = Arc::new(Time::default());
    time.passing();
    // What the run is at has begun; the handler's call waits; it was answered.
    let (begin, has_begun) = mpsc::channel();
    let (wait, is_waiting) = mpsc::channel();
    let (answer_it, is_answered) = mpsc::channel();
    let is_waiting = Mutex::new(is_waiting);
    let busy = move || {
        begin.send(()).unwrap();
        is_waiting.lock().unwrap().recv_timeout(PATIENCE).expect("the handler's call waits");
    };
    let (busy, of_tokens) = (Arc::new(busy), waits_for == WaitReason::Token);
    let fetching = Arc::clone(&busy);
    let tokens = move |_: &TokenNeed| {
        if of_tokens {
            fetching();
        }
        token()
    };
    let sent = AtomicU32::new(0);
    let transport = |request: http::Request<Bytes>, _: &SendOptions| {
        if request.uri().path().ends_with("contosohr") {
            return Ok(answer(200).map(|_| Bytes::from_static(b"{}")));
        }
        if sent.fetch_add(1, Ordering::SeqCst) == 0 {
            return Ok(first());
        }
        busy();
        Ok(answer(204))
    };
    let client = builder(tokens, Policy::default())
        .observer(move |event| match event.kind {
            EventKind::Wait { reason, .. }
                if reason == waits_for && event.operation == "Get connection" =>
            {
                let _ = wait.send(());
            }
            _ => {}
        })
        .build(transport, Arc::clone(&time));
    let stopped = Arc::clone(&time);
    let fault = std::iter::once_with(move || {
        has_begun.recv_timeout(PATIENCE).expect("the run is at it");
        stopped.standing_still();
        (1, Err(bad()))
    });
    let summary = thread::scope(|scope| {
        let (client, time) = (&client, &time);
        scope.spawn(move || {
            // Otherwise it would wait for ever, and the test with it.
            if is_answered.recv_timeout(PATIENCE).is_err() {
                time.advance(Duration::from_secs(1000));
            }
        });
        let run = client.ingest(settings(2)).progress_every(Duration::from_secs(3600));
        run.run(offers(0..1).chain(fault), |news| {
            if let Some((1, _)) = done(news) {
                let before = time.tick();
                client.send(&GetConnection::new(&connection())).unwrap();
                assert_eq!(time.tick(), before, "it waited for the handler that waited for it");
                answer_it.send(()).unwrap();
                time.passing();
            }
        })
    });
    assert_eq!((summary.progress.ok, summary.progress.skipped), (1, 1));
}

#[test]
fn a_call_of_the_handler_goes_on_when_the_run_is_through_the_gate() {
    a_handler_asks(WaitReason::First, || throttled("1"));
}

#[test]
fn a_call_of_the_handler_goes_on_when_the_run_has_its_token() {
    a_handler_asks(WaitReason::Token, || answer(204));
}

#[test]
fn what_the_run_decides_is_heard_in_order_and_on_its_own_thread() {
    let heard = Arc::new(Mutex::new(BTreeMap::<String, Vec<char>>::new()));
    let (all, caller) = (Arc::clone(&heard), thread::current().id());
    let service = Service::new();
    let client = builder(AccessToken::new("t").unwrap(), Policy::default())
        .observer(move |event| {
            assert_eq!(thread::current().id(), caller);
            let kind = match event.kind {
                EventKind::Attempt { .. } => 'a',
                EventKind::Answer { .. } => 'b',
                EventKind::Done { .. } => 'c',
                _ => return,
            };
            all.lock().unwrap().entry(event.call.to_string()).or_default().push(kind);
        })
        .build(service.transport(), Arc::clone(&service.time));
    let summary = client.ingest(settings(8)).run(offers(0..200), |_| {});
    assert_eq!(summary.progress.ok, 200);
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 200);
    assert!(heard.values().all(|kinds| kinds == &['a', 'b', 'c']), "{heard:?}");
}

#[test]
fn an_answer_that_came_in_time_counts_however_long_the_handler_takes() {
    let service = Service::new();
    service.time.passing();
    let client = client(&service);
    let (let_go, may_go) = mpsc::channel();
    let second = std::iter::once_with(move || {
        may_go.recv_timeout(PATIENCE).expect("the first is told");
        (1, delete(1))
    });
    let summary = client.ingest(settings(2)).run(offers(0..1).chain(second), |news| {
        if let Some((key, outcome)) = done(news) {
            assert_eq!((outcome.attempts, matches!(outcome.end, End::Ok(_))), (1, true), "{key}");
            let _ = let_go.send(());
            service.time.advance(Duration::from_secs(1000));
        }
    });
    assert_eq!((summary.progress.ok, summary.progress.sent), (2, 2));
}

#[test]
fn what_a_slow_handler_has_held_up_past_its_time_is_not_sent() {
    let service = Service::new();
    service.hold_until(usize::MAX);
    let (read, is_read) = mpsc::channel();
    let is_read = Mutex::new(is_read);
    // So that both go in one step of the machine.
    let tokens = move |_: &TokenNeed| {
        is_read.lock().unwrap().recv_timeout(PATIENCE).expect("both are offered");
        token()
    };
    let offers = (0..2).map(|key| (key, long(key))).chain(std::iter::from_fn(move || {
        let _ = read.send(());
        None
    }));
    let time = Arc::clone(&service.time);
    let late = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&late);
    let mut policy = Policy::default();
    policy.backoff = Duration::from_millis(1);
    let client = builder(tokens, policy)
        .observer(move |event| match event.kind {
            // The progress is due before the second is asked for.
            EventKind::Attempt { .. } => time.advance(Duration::from_secs(1)),
            EventKind::Answer { after, .. } if after > Duration::from_secs(100) => {
                count.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        })
        .build(service.transport(), Arc::clone(&service.time));
    let mut settings = settings(2);
    settings.packing = Packing::Batches;
    let mut told = Vec::new();
    let mut was_slow = false;
    client.ingest(settings).run(offers, |news| match news {
        IngestNews::Progress(progress) if progress.in_flight == 2 && !was_slow => {
            was_slow = true;
            service.until_sent(1);
            service.time.advance(Duration::from_secs(200));
            service.time.passing();
            service.release();
        }
        IngestNews::Done(key, outcome) => {
            assert!(matches!(outcome.end, End::Ok(_)), "{key}: {outcome:?}");
            told.push(key);
        }
        _ => {}
    });
    told.sort_unstable();
    assert_eq!((was_slow, told), (true, vec![0, 1]));
    assert!(late.load(Ordering::SeqCst) < 2, "only the one that was out already");
}

#[test]
fn a_stop_is_told_while_the_first_token_is_fetched_and_nothing_is_sent() {
    let service = Service::new();
    let (fetch, is_fetching) = mpsc::channel();
    let (tell, is_told) = mpsc::channel();
    let is_told = Mutex::new(is_told);
    let tokens = move |_: &TokenNeed| {
        fetch.send(()).unwrap();
        is_told.lock().unwrap().recv_timeout(PATIENCE).expect("the run does not wait to tell");
        token()
    };
    let client =
        builder(tokens, Policy::default()).build(service.transport(), Arc::clone(&service.time));
    let run = client.ingest(settings(2));
    let stop = run.stop_handle();
    let summary = thread::scope(|scope| {
        scope.spawn(move || {
            is_fetching.recv_timeout(PATIENCE).expect("a token is fetched");
            stop.stop();
        });
        run.run(offers(0..9), |news| {
            assert!(matches!(done(news).unwrap().1.end, End::Skipped(SkipReason::RunEnded)));
            let _ = tell.send(());
        })
    });
    assert_eq!((summary.ending, service.sent().len()), (Ending::Stopped, 0));
    assert!(summary.progress.skipped > 0);
}

#[test]
fn an_attempt_that_waited_too_long_for_a_thread_is_not_sent_any_more() {
    let service = Service::new();
    service.hold_until(usize::MAX);
    let mut policy = Policy::default();
    (policy.attempts, policy.backoff) = (3, Duration::from_millis(1));
    // However far the time is ahead of a thread that the system does not let go on.
    policy.total = Duration::from_secs(1_000_000);
    let client = builder(AccessToken::new("t").unwrap(), policy)
        .build(service.transport(), Arc::clone(&service.time));
    let (attempt, sent) = (Duration::from_secs(100), Arc::clone(&service));
    let (told_first, first_is_told) = mpsc::channel();
    let mut told = Vec::new();
    let summary = thread::scope(|scope| {
        scope.spawn(move || {
            // One call at a time, but two threads: the first two attempts block both, and time
            // passes until the third is given up as well.
            sent.until_sent(1);
            sent.time.advance(attempt);
            while sent.sent().len() < 2 {
                sent.time.advance(Duration::from_millis(10));
                thread::yield_now();
            }
            while first_is_told.recv_timeout(Duration::from_millis(1)).is_err() {
                sent.time.advance(Duration::from_secs(10));
            }
            sent.release();
        });
        // Of one key, so that the second waits for the first.
        let offers = (0..2).map(|number| ((), delete(number)));
        client.ingest(settings(1)).run(offers, |news| {
            if let IngestNews::Done((), outcome) = news {
                let _ = told_first.send(());
                told.push((outcome.attempts, matches!(outcome.end, End::Ok(_))));
            }
        })
    });
    assert_eq!((told[0], told[1].1, summary.progress.ok), ((3, false), true, 1));
    let sent = service.sent();
    assert_eq!(sent[..3], ["T0", "T0", "T1"], "the third is not sent when a thread is free");
    assert!(sent[3..].iter().all(|name| name == "T1"), "{sent:?}");
}

/// The words of a panic.
fn words(panic: Box<dyn std::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
    }
}

#[test]
fn a_panic_in_the_transport_stops_the_run_and_comes_out_of_it() {
    let service = Service::new();
    service.hold_until(2);
    service.answers(|name| match name {
        "T1" => panic!("the transport dies"),
        _ => Ok(answer(204)),
    });
    let client = client(&service);
    let mut told = Vec::new();
    let run = || {
        let endless = (0_u32..).map(|key| (key, delete(key)));
        client.ingest(settings(2)).run(endless, |news| told.extend(done(news)))
    };
    let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    assert_eq!(words(panic), "the transport dies");
    let (_, died) = told.iter().find(|(key, _)| *key == 1).unwrap();
    let End::Failed(error) = &died.end else { panic!("{died:?}") };
    assert_eq!((error.applied(), died.attempts), (Applied::Maybe, 1));
    let last = told.iter().map(|(key, _)| *key).max().unwrap();
    assert_eq!(told.len() as u32, last + 1, "all that was read is told");
    let skipped = told.iter().filter(|(_, outcome)| matches!(outcome.end, End::Skipped(_)));
    assert!(skipped.count() > 0, "the run does not go on");
}

#[test]
fn a_panic_in_the_token_source_stops_the_run_and_the_next_call_fetches() {
    let service = Service::new();
    service.answers(|_| Ok(answer(200).map(|_| Bytes::from_static(b"{}"))));
    let fetched = AtomicU32::new(0);
    let tokens = move |_: &TokenNeed| match fetched.fetch_add(1, Ordering::SeqCst) {
        0 => panic!("the vault burns"),
        _ => token(),
    };
    let client =
        builder(tokens, Policy::default()).build(service.transport(), Arc::clone(&service.time));
    let mut told = 0;
    let run = || {
        client.ingest(settings(2)).run(offers(0..50), |news| {
            let (_, outcome) = done(news).unwrap();
            assert!(!matches!(outcome.end, End::Ok(_)));
            told += 1;
        })
    };
    let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    assert_eq!((words(panic), service.sent().len()), ("the vault burns".to_owned(), 0));
    assert!(told > 0);
    client.send(&GetConnection::new(&connection())).unwrap();
}

#[test]
fn a_panic_in_the_source_stops_the_run_and_what_it_gave_is_told() {
    let service = Service::new();
    let client = client(&service);
    let dies = std::iter::once_with(|| panic!("the source dries up"));
    let mut told = Vec::new();
    let run = || {
        let source = offers(0..20).chain(dies);
        client.ingest(settings(2)).run(source, |news| told.extend(done(news).map(|it| it.0)))
    };
    let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    assert_eq!(words(panic), "the source dries up");
    told.sort_unstable();
    assert_eq!(told, Vec::from_iter(0..20));
}

#[test]
fn a_panic_in_the_handler_ends_the_threads_and_hands_on_what_the_run_held() {
    let service = Service::new();
    let mut first = true;
    service.answers(move |name| match name {
        // Whoever goes first through the gate after this has to give it back.
        "T1" if std::mem::take(&mut first) => Ok(throttled("5")),
        "contosohr" => Ok(answer(200).map(|_| Bytes::from_static(b"{}"))),
        _ => Ok(answer(204)),
    });
    service.time.passing();
    let client = client(&service);
    let run = || {
        let endless = (0_u32..).map(|key| (key, delete(key)));
        client.ingest(settings(2)).run(endless, |news| {
            assert!(!matches!(news, IngestNews::Done(5, _)), "the handler dies");
        })
    };
    let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    assert_eq!(words(panic), "the handler dies");
    assert_eq!(service.out(), 0, "no thread is left behind");
    client.send(&GetConnection::new(&connection())).unwrap();
}

#[test]
fn no_more_threads_are_started_than_calls_are_out() {
    let service = Service::new();
    let names = Arc::new(Mutex::new(std::collections::BTreeSet::new()));
    let seen = Arc::clone(&names);
    let transport = move |_: http::Request<Bytes>, _: &SendOptions| {
        let thread = thread::current();
        seen.lock()
            .unwrap()
            .insert((thread.name().unwrap().to_owned(), format!("{:?}", thread.id())));
        Ok(answer(204))
    };
    let client = builder(AccessToken::new("t").unwrap(), Policy::default())
        .build(transport, Arc::clone(&service.time));
    let summary = client.ingest(settings(3)).run(offers(0..500), |_| {});
    assert_eq!(summary.progress.ok, 500);
    let names = names.lock().unwrap();
    assert!((1..=4).contains(&names.len()), "{names:?}");
    assert!(names.iter().all(|(name, _)| name == "graphfeed-send"), "{names:?}");
}
