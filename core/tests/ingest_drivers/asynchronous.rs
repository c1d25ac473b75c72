//! What is the async driver's alone: one future that can be moved, dropped and forgotten, and the
//! futures in it.

use std::{
    future::{Future, pending, poll_fn, ready},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use graphfeed_core::{
    client::{AsyncClock, IngestNews, SendOptions},
    external::GetConnection,
    machine::{
        End, Ending, EventKind, IngestSettings, Packing, Policy, SkipReason, Tick, Token,
        TokenNeed, WaitReason,
    },
    protocol::{Cause, Deleted, TokenError},
    types::AccessToken,
};

use crate::world::{
    Iter, Offer, PATIENCE, Service, Woken, answer, async_builder, async_client, connection, delete,
    long, play, throttled, token,
};

fn settings(in_flight: usize) -> IngestSettings {
    let mut settings = IngestSettings::default();
    settings.in_flight = in_flight;
    settings
}

fn offers(keys: std::ops::Range<u32>) -> Iter<impl Iterator<Item = Offer<u32>> + Send + Unpin> {
    Iter(keys.map(|key| (key, delete(key))))
}

fn token_of_the_test() -> AccessToken {
    AccessToken::new("t").unwrap()
}

/// Gives so many offers, and the next one only when it is let. Tells when it has none.
#[derive(Clone, Default)]
struct Tap(Arc<Mutex<(u32, u32, Option<Waker>)>>, Option<mpsc::Sender<()>>);

impl Tap {
    fn let_through(&self, keys: u32) {
        let waker = {
            let mut tap = self.0.lock().unwrap();
            tap.1 += keys;
            tap.2.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Stream for Tap {
    type Item = Offer<u32>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut tap = self.0.lock().unwrap();
        if tap.0 == tap.1 {
            tap.2 = Some(context.waker().clone());
            drop(tap);
            if let Some(dry) = &self.1 {
                let _ = dry.send(());
            }
            return Poll::Pending;
        }
        let key = tap.0;
        tap.0 += 1;
        Poll::Ready(Some((key, delete(key))))
    }
}

#[test]
fn the_future_of_a_run_is_send_and_may_borrow() {
    fn is_send<F: Future<Output = O> + Send, O>(future: F) -> F {
        future
    }
    let mut told = Vec::new();
    let client = async_client(&Service::new());
    let running = is_send(client.ingest(settings(2)).run(offers(0..20), |news| {
        if let IngestNews::Done(key, _) = news {
            told.push(key);
        }
    }));
    drop(client);
    let summary =
        thread::scope(|scope| scope.spawn(|| pollster::block_on(running)).join().unwrap());
    assert_eq!((summary.progress.ok, told.len()), (20, 20));
}

#[test]
fn outcomes_are_told_while_the_stream_has_nothing_to_give() {
    let client = async_client(&Service::new());
    let tap = Tap::default();
    tap.let_through(3);
    let run = client.ingest(settings(8));
    let stop = run.stop_handle();
    let mut told = 0;
    let summary = pollster::block_on(run.run(tap.clone(), |news| {
        let IngestNews::Done(_, outcome) = news else { return };
        assert!(matches!(outcome.end, End::Ok(_)));
        told += 1;
        match told {
            3 => tap.let_through(2),
            5 => stop.stop(),
            _ => {}
        }
    }));
    assert_eq!((summary.progress.ok, summary.ending), (5, Ending::Stopped));
}

#[test]
fn a_stop_from_another_thread_waits_for_what_is_out_and_not_for_the_stream() {
    let service = Service::new();
    service.hold_until(usize::MAX);
    let (dry, is_dry) = mpsc::channel();
    let tap = Tap(Arc::default(), Some(dry));
    tap.let_through(4);
    let run = async_client(&service).ingest(settings(2));
    let stop = run.stop_handle();
    let mut told = Vec::new();
    let summary = thread::scope(|scope| {
        let answering = Arc::clone(&service);
        scope.spawn(move || {
            answering.until_sent(2);
            is_dry.recv_timeout(PATIENCE).unwrap();
            stop.stop();
        });
        pollster::block_on(run.run(tap, |news| {
            let IngestNews::Done(key, outcome) = news else { return };
            // That what has not gone out is told first shows that the stop was heard.
            service.release();
            told.push((key, matches!(outcome.end, End::Skipped(SkipReason::RunEnded))));
        }))
    });
    assert_eq!(told, [(2, true), (3, true), (0, false), (1, false)]);
    assert_eq!((summary.ending, summary.progress.ok), (Ending::Stopped, 2));
    assert_eq!((service.sent().len(), service.out()), (2, 0));
}

#[test]
fn the_progress_is_told_while_nothing_else_happens() {
    let service = Service::new();
    service.hold_until(usize::MAX);
    let run = async_client(&service).ingest(settings(2));
    let mut last = None;
    let running = run.run(offers(0..2), |news| match news {
        IngestNews::Progress(progress) => {
            assert_eq!((progress.in_flight, progress.seen), (2, 2));
            service.release();
            last = Some(progress);
        }
        IngestNews::Done(..) => assert!(last.is_some()),
        _ => unreachable!(),
    });
    let summary = play(running, &service.time);
    assert_eq!(summary.progress.ok, 2);
    assert_eq!(summary.ended.since(summary.began), Duration::from_secs(1));
}

#[test]
fn a_transport_that_never_answers_is_given_up_in_time() {
    let service = Service::new();
    let alive = Arc::new(());
    let (sending, most) = (Arc::clone(&alive), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let silent = move |_: http::Request<Bytes>, _: &SendOptions| {
        let sending = Arc::clone(&sending);
        seen.fetch_max(Arc::strong_count(&sending), Ordering::SeqCst);
        async move {
            pending::<()>().await;
            drop(sending);
            unreachable!()
        }
    };
    let mut policy = Policy::default();
    (policy.attempts, policy.backoff) = (2, Duration::from_secs(1));
    let client =
        async_builder(token_of_the_test(), policy).build_async(silent, Arc::clone(&service.time));
    let mut told = 0;
    let running = client.ingest(settings(2)).run(offers(0..3), |news| {
        let IngestNews::Done(_, outcome) = news else { return };
        let End::Failed(error) = &outcome.end else { panic!("{outcome:?}") };
        assert!(matches!(error.cause(), Cause::Transport(_)));
        assert_eq!(outcome.attempts, 2);
        told += 1;
    });
    let summary = play(running, &service.time);
    assert_eq!((told, summary.progress.failed, summary.progress.sent), (3, 3, 6));
    // Three pairs of attempts of 100 seconds each, and waits of a second at most.
    let took = summary.ended.since(summary.began).as_secs_f64();
    assert!((300.0..=403.0).contains(&took), "{took}");
    // One of each is ours, another the transport's.
    assert_eq!(most.load(Ordering::SeqCst), 4, "no attempt that was given up is left");
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
    let waiting = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&waiting);
    let client = async_builder(token_of_the_test(), Policy::default())
        .observer(move |event| {
            if let EventKind::Wait { reason: WaitReason::Throttling, .. } = event.kind {
                heard.lock().unwrap().push((event.operation, event.at.since_origin()));
            }
        })
        .build_async(service.async_transport(), Arc::clone(&service.time));
    let mut running = pin!(client.ingest(settings(1)).run(offers(0..3), |_| {}));
    let mut asking = None;
    let mut summary = None;
    let both = poll_fn(|context| {
        if summary.is_none()
            && let Poll::Ready(end) = running.as_mut().poll(context)
        {
            summary = Some(end);
        }
        // Asked as soon as the first answer is there, which was a 429.
        if service.sent().len() == 1 && service.out() == 0 && asking.is_none() {
            asking = Some(client.send(&GetConnection::new(&connection())));
        }
        match asking.as_mut().map(|asking| Pin::new(asking).poll(context)) {
            Some(Poll::Ready(answer)) => Poll::Ready(answer),
            _ => Poll::Pending,
        }
    });
    play(both, &service.time).unwrap();
    let summary = summary.unwrap_or_else(|| play(running, &service.time));
    assert_eq!((summary.progress.ok, summary.progress.throttled), (3, 1));
    let waiting = waiting.lock().unwrap();
    assert!(waiting.contains(&("Get connection", Duration::ZERO)), "{waiting:?}");
    assert!(service.time.tick().since_origin() >= Duration::from_secs(7));
}

#[test]
fn a_stream_that_always_has_something_lets_others_have_their_turn() {
    let client = async_client(&Service::new());
    let mut settings = settings(2);
    (settings.failures_in_a_row, settings.failure_share) = (None, None);
    let run = client.ingest(settings);
    let stop = run.stop_handle();
    let read = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&read);
    let endless = Iter((0_u32..).map(move |key| {
        assert!(count.fetch_add(1, Ordering::SeqCst) < 500, "nobody else comes to anything");
        (key, Err(crate::world::bad()))
    }));
    let mut told = 0_u32;
    let mut running = Box::pin(run.run(endless, |_: IngestNews<u32, Deleted>| told += 1));
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut all = 0;
    for _ in 0..20 {
        assert!(running.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(woken.0.swap(false, Ordering::SeqCst), "it goes on by itself");
        all += read.swap(0, Ordering::SeqCst);
    }
    assert!(all > 500, "it goes on: {all}");
    // Whoever is to stop it gets a turn for that.
    stop.stop();
    let summary = pollster::block_on(running);
    assert_eq!((summary.ending, summary.progress.skipped), (Ending::Stopped, u64::from(told)));
}

/// The time, and how far a runtime has come with its timers, which it does between two polls.
#[derive(Clone, Default)]
struct Late(Arc<Mutex<(Tick, Tick)>>);

impl Late {
    fn advance(&self, by: Duration) {
        self.0.lock().unwrap().0 += by;
    }

    fn come_to_the_timers(&self) {
        let mut time = self.0.lock().unwrap();
        time.1 = time.0;
    }
}

impl AsyncClock for Late {
    fn now(&self) -> Tick {
        self.0.lock().unwrap().0
    }

    fn sleep_until(&self, until: Tick) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(poll_fn(move |_| match self.0.lock().unwrap().1 >= until {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }))
    }
}

#[test]
fn a_slow_handler_does_not_let_two_calls_of_one_key_be_out() {
    let clock = Late::default();
    let alive = Arc::new(());
    let (sending, count) = (Arc::clone(&alive), Arc::new(AtomicU32::new(0)));
    let sent = Arc::clone(&count);
    let silent = move |_: http::Request<Bytes>, _: &SendOptions| {
        let (sending, sends) = (Arc::clone(&sending), Arc::clone(&sent));
        async move {
            // Besides ours and that of the transport.
            assert_eq!(Arc::strong_count(&sending), 3, "the one before is still out");
            sends.fetch_add(1, Ordering::SeqCst);
            pending::<()>().await;
            unreachable!()
        }
    };
    let mut policy = Policy::default();
    (policy.attempts, policy.backoff) = (2, Duration::from_millis(1));
    let client = async_builder(token_of_the_test(), policy).build_async(silent, clock.clone());
    let call = std::iter::once(('a', delete(0)));
    let faults = (0..5).map(|_| ('b', Err(crate::world::bad())));
    // The second of the key goes when both attempts of the first are given up.
    let source = Iter(call.chain(faults).chain([('a', delete(1))]));
    let run = client.ingest(settings(4)).progress_every(Duration::from_secs(200));
    let mut told = Vec::new();
    let mut running = Box::pin(run.run(source, |news| {
        clock.advance(Duration::from_secs(150));
        if let IngestNews::Done(key, outcome) = news {
            told.push((key, outcome.attempts));
        }
    }));
    let woken = Waker::from(Arc::new(Woken::default()));
    for _ in 0..50 {
        if running.as_mut().poll(&mut Context::from_waker(&woken)).is_ready() {
            break;
        }
        clock.advance(Duration::from_secs(30));
        clock.come_to_the_timers();
    }
    drop(running);
    assert_eq!(told.iter().filter(|(key, _)| *key == 'a').count(), 2, "{told:?}");
    assert_eq!(count.load(Ordering::SeqCst), 4);
}

#[test]
fn what_a_slow_handler_has_held_up_past_its_time_is_not_sent() {
    let service = Service::new();
    service.hold_until(usize::MAX);
    let time = Arc::clone(&service.time);
    let late = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&late);
    let mut policy = Policy::default();
    policy.backoff = Duration::from_millis(1);
    let client = async_builder(token_of_the_test(), policy)
        .observer(move |event| match event.kind {
            // The progress is due before the second is asked for.
            EventKind::Attempt { .. } => time.advance(Duration::from_secs(1)),
            EventKind::Answer { after, .. } if after > Duration::from_secs(100) => {
                count.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        })
        .build_async(service.async_transport(), Arc::clone(&service.time));
    let mut settings = settings(2);
    settings.packing = Packing::Batches;
    let mut told = Vec::new();
    let mut was_slow = false;
    let source = Iter((0..2).map(|key| (key, long(key))));
    let running = client.ingest(settings).run(source, |news| match news {
        IngestNews::Progress(progress) if progress.in_flight == 2 && !was_slow => {
            was_slow = true;
            service.time.advance(Duration::from_secs(200));
            service.release();
        }
        IngestNews::Done(key, outcome) => {
            assert!(matches!(outcome.end, End::Ok(_)), "{key}: {outcome:?}");
            told.push(key);
        }
        _ => {}
    });
    play(running, &service.time);
    told.sort_unstable();
    assert_eq!((was_slow, told), (true, vec![0, 1]));
    assert!(late.load(Ordering::SeqCst) < 2, "only the one that was out already");
}

#[test]
fn a_stop_before_the_first_poll_sends_nothing() {
    let service = Service::new();
    let run = async_client(&service).ingest(settings(2));
    run.stop_handle().stop();
    let summary = pollster::block_on(run.run(offers(0..100), |news| {
        let IngestNews::Done(_, outcome) = news else { unreachable!() };
        assert!(matches!(outcome.end, End::Skipped(SkipReason::RunEnded)));
    }));
    assert_eq!((summary.ending, service.sent().len()), (Ending::Stopped, 0));
}

#[test]
fn a_stop_does_not_wait_for_the_first_token_and_the_next_call_fetches() {
    let service = Service::new();
    service.answers(|_| Ok(answer(200).map(|_| Bytes::from_static(b"{}"))));
    let fetches = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&fetches);
    let tokens = move |_: &TokenNeed| -> Fetching {
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => Box::pin(pending()),
            _ => Box::pin(ready(token())),
        }
    };
    let client = async_builder(tokens, Policy::default())
        .build_async(service.async_transport(), Arc::clone(&service.time));
    let run = client.ingest(settings(2));
    let stop = run.stop_handle();
    let mut running = pin!(run.run(offers(0..9), |_| {}));
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    assert!(running.as_mut().poll(&mut context).is_pending());
    assert_eq!((fetches.load(Ordering::SeqCst), woken.0.load(Ordering::SeqCst)), (1, false));
    stop.stop();
    let summary = pollster::block_on(running);
    assert_eq!((summary.ending, summary.progress.skipped), (Ending::Stopped, 9));
    pollster::block_on(client.send(&GetConnection::new(&connection()))).unwrap();
    assert_eq!((fetches.load(Ordering::SeqCst), service.sent().len()), (2, 1));
    assert_eq!(service.time.tick(), Tick::default());
}

type Fetching = Pin<Box<dyn Future<Output = Result<Token, TokenError>> + Send>>;

#[test]
fn a_dropped_run_hands_on_the_task_of_fetching_the_token() {
    let service = Service::new();
    service.answers(|_| Ok(answer(200).map(|_| Bytes::from_static(b"{}"))));
    let fetches = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&fetches);
    let tokens = move |_: &TokenNeed| -> Fetching {
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => Box::pin(pending()),
            _ => Box::pin(ready(token())),
        }
    };
    let client = async_builder(tokens, Policy::default())
        .build_async(service.async_transport(), Arc::clone(&service.time));
    let mut running = Box::pin(client.ingest(settings(2)).run(offers(0..9), |_| {}));
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    while running.as_mut().poll(&mut context).is_pending() && woken.0.swap(false, Ordering::SeqCst)
    {
    }
    let mut other = pin!(client.send(&GetConnection::new(&connection())));
    assert!(other.as_mut().poll(&mut context).is_pending(), "it waits for the token of the run");
    assert!(!woken.0.load(Ordering::SeqCst));
    drop(running);
    assert!(woken.0.load(Ordering::SeqCst), "the one who waits is woken");
    play(other, &service.time).unwrap();
    assert_eq!((fetches.load(Ordering::SeqCst), service.sent().len()), (2, 1));
    assert_eq!(service.time.tick().since_origin(), Duration::ZERO);
}

/// What each call waits for, and how often it was polled.
type Sends = Arc<Mutex<Vec<(u32, bool, Option<Waker>)>>>;

#[test]
fn only_what_was_woken_is_polled() {
    let sends = Sends::default();
    let all = Arc::clone(&sends);
    let transport = move |_: http::Request<Bytes>, _: &SendOptions| {
        let all = Arc::clone(&all);
        let mine = {
            let mut all = all.lock().unwrap();
            all.push((0, false, None));
            all.len() - 1
        };
        poll_fn(move |context| {
            let send = &mut all.lock().unwrap()[mine];
            send.0 += 1;
            send.2 = Some(context.waker().clone());
            match send.1 {
                true => Poll::Ready(Ok(answer(204))),
                false => Poll::Pending,
            }
        })
    };
    let client = async_builder(token_of_the_test(), Policy::default())
        .build_async(transport, Arc::new(crate::world::Time::default()));
    let mut told = Vec::new();
    let mut running = Box::pin(client.ingest(settings(4)).run(offers(0..4), |news| {
        if let IngestNews::Done(key, _) = news {
            told.push(key);
        }
    }));
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    let polls = || -> Vec<u32> { sends.lock().unwrap().iter().map(|send| send.0).collect() };
    assert!(running.as_mut().poll(&mut context).is_pending());
    assert_eq!(polls(), [1, 1, 1, 1]);
    for (answered, expected) in [(2, [1, 1, 2, 1]), (0, [2, 1, 2, 1]), (3, [2, 1, 2, 2])] {
        let waker = {
            let send = &mut sends.lock().unwrap()[answered];
            send.1 = true;
            send.2.take().unwrap()
        };
        woken.0.store(false, Ordering::SeqCst);
        waker.wake();
        assert!(woken.0.load(Ordering::SeqCst), "the run is woken with it");
        assert!(running.as_mut().poll(&mut context).is_pending());
        assert_eq!(polls(), expected);
    }
    drop(running);
    assert_eq!(told, [2, 0, 3]);
    // A waker that outlives its run wakes nobody.
    let (.., last) = sends.lock().unwrap().remove(1);
    last.unwrap().wake();
}

#[test]
fn a_future_that_wakes_itself_again_and_again_keeps_nobody_from_going_on() {
    let restless = |_: http::Request<Bytes>, _: &SendOptions| {
        poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::Pending
        })
    };
    let client = async_builder(token_of_the_test(), Policy::default())
        .build_async(restless, Arc::new(crate::world::Time::default()));
    let mut running =
        Box::pin(client.ingest(settings(4)).run(offers(0..4), |_: IngestNews<u32, Deleted>| {}));
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    for _ in 0..10 {
        assert!(running.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(woken.0.swap(false, Ordering::SeqCst), "it is polled again");
    }
}
