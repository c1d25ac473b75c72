//! A service that answers when the test lets it, a time that passes when somebody says so, and
//! runs of both drivers against them.

#![allow(unreachable_pub, reason = "the other files of the test use it")]

use std::{
    fmt::Debug,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use graphfeed_core::{
    client::{
        AsyncClient, AsyncClock, AsyncTransport, Client, ClientBuilder, Clock, Failure, IngestNews,
        News, SendOptions, StopHandle, Transport,
    },
    external::{Acl, DeleteItem, ExternalItem, ExternalItemContent, PutItem, StoredItem},
    machine::{
        IngestSettings, Outcome, Packing, Policy, Progress, Summary, Tick, Token, TokenNeed,
    },
    protocol::{Call, Deleted, Endpoint, ServiceRoot, TokenError},
    types::{AccessToken, BuildError, ConnectionId, Fault, Guid, ItemId, Rule},
};

/// How long a test waits for what has to come.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub type Offer<K> = (K, Result<Call<Deleted>, BuildError>);

pub fn connection() -> ConnectionId {
    ConnectionId::new("contosohr").unwrap()
}

pub fn delete(number: u32) -> Result<Call<Deleted>, BuildError> {
    let id = ItemId::new(format!("T{number}")).unwrap();
    DeleteItem::new(&connection(), &id).call(&ServiceRoot::v1())
}

/// Two of them are too long for one batch.
pub fn long(number: u32) -> Result<Call<Option<StoredItem>>, BuildError> {
    let item = ExternalItem::builder(ItemId::new(format!("T{number}")).unwrap())
        .acl(Acl::everyone(Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874").unwrap()))
        .property("title", "long")
        .content(ExternalItemContent::text("x".repeat(2_500_000)))
        .build()?;
    PutItem::new(&connection(), &item).call(&ServiceRoot::v1())
}

pub fn bad() -> BuildError {
    Fault::new(Rule::ItemId, "$.id", "an item without an id").into()
}

pub fn answer(status: u16) -> http::Response<Bytes> {
    http::Response::builder().status(status).body(Bytes::new()).unwrap()
}

pub fn throttled(seconds: &str) -> http::Response<Bytes> {
    let response = http::Response::builder().status(429).header("retry-after", seconds);
    response.body(Bytes::new()).unwrap()
}

/// Time that passes by [`advance`](Self::advance) alone, or where it is [passing](Self::passing)
/// also while a thread waits for it.
#[derive(Default)]
pub struct Time(Mutex<(Tick, Vec<(Tick, Waker)>)>, AtomicBool);

impl Time {
    pub fn advance(&self, by: Duration) {
        let mut time = self.0.lock().unwrap();
        time.0 += by;
        let now = time.0;
        let due: Vec<_> = time.1.extract_if(.., |(at, _)| *at <= now).collect();
        drop(time);
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }

    pub fn passing(&self) {
        self.1.store(true, Ordering::SeqCst);
    }

    pub fn standing_still(&self) {
        self.1.store(false, Ordering::SeqCst);
    }

    /// On to the next time that somebody waits for.
    pub fn advance_to_next(&self) {
        let time = self.0.lock().unwrap();
        let next = time.1.iter().map(|(at, _)| *at).min().expect("somebody waits");
        let by = next.since(time.0);
        drop(time);
        self.advance(by);
    }

    pub fn tick(&self) -> Tick {
        self.0.lock().unwrap().0
    }
}

impl Clock for Time {
    fn now(&self) -> Tick {
        self.tick()
    }

    // To come back early is allowed; so nobody has to be told that time has passed.
    fn wait(&self, _: Tick, news: &News) {
        news.wait(Duration::from_millis(1));
        if self.1.load(Ordering::SeqCst) {
            self.advance(Duration::from_millis(20));
        }
    }
}

impl AsyncClock for Time {
    fn now(&self) -> Tick {
        self.tick()
    }

    fn sleep_until(&self, until: Tick) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(poll_fn(move |context| {
            let mut time = self.0.lock().unwrap();
            if time.0 >= until {
                return Poll::Ready(());
            }
            time.1.push((until, context.waker().clone()));
            Poll::Pending
        }))
    }
}

/// Polls a future to its end. Time passes when it waits for nothing else.
pub fn play<F: Future>(future: F, time: &Time) -> F::Output {
    let mut future = pin!(future);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        if !woken.0.swap(false, Ordering::SeqCst) {
            time.advance_to_next();
            woken.0.store(false, Ordering::SeqCst);
        }
    }
}

/// Whether it was woken.
#[derive(Default)]
pub struct Woken(pub AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// An iterator as a stream that always has something to give.
pub struct Iter<I>(pub I);

impl<I: Iterator + Unpin> Stream for Iter<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

type Script = dyn FnMut(&str) -> Result<http::Response<Bytes>, Failure> + Send;

/// A request that has come: the calls in it by the last segments of their paths, and of a batch
/// by their ids.
struct Request {
    is_batch: bool,
    calls: Vec<(String, String)>,
}

impl Request {
    fn read(request: &http::Request<Bytes>) -> Self {
        let last = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        let name = last(request.uri().path());
        if name != "$batch" {
            return Self { is_batch: false, calls: vec![(String::new(), name)] };
        }
        let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let parts = body["requests"].as_array().unwrap().iter();
        let calls = parts.map(|part| (text(&part["id"]), last(&text(&part["url"]))));
        Self { is_batch: true, calls: calls.collect() }
    }
}

/// Answers by a script, and holds its answers back as long as it shall.
pub struct Service {
    pub time: Arc<Time>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    requests: usize,
    sent: Vec<String>,
    out: usize,
    most_out: usize,
    // How many there have to be at a time before any is answered.
    hold: usize,
    waiting: Vec<Waker>,
    script: Box<Script>,
}

impl Service {
    pub fn new() -> Arc<Self> {
        let state = State {
            requests: 0,
            sent: Vec::new(),
            out: 0,
            most_out: 0,
            hold: 0,
            waiting: Vec::new(),
            script: Box::new(|_| Ok(answer(204))),
        };
        Arc::new(Self { time: Arc::default(), state: Mutex::new(state), changed: Condvar::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it answers to the last segment of a path, also of one in a batch.
    pub fn answers(
        &self,
        script: impl FnMut(&str) -> Result<http::Response<Bytes>, Failure> + Send + 'static,
    ) {
        self.state().script = Box::new(script);
    }

    /// Answers nothing until so many calls are out at a time.
    pub fn hold_until(&self, out: usize) {
        self.state().hold = out;
        self.change();
    }

    pub fn release(&self) {
        self.hold_until(0);
    }

    fn change(&self) {
        self.changed.notify_all();
        let waiting = std::mem::take(&mut self.state().waiting);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The last segments of the paths that came, in order.
    pub fn sent(&self) -> Vec<String> {
        self.state().sent.clone()
    }

    /// How many requests came; a batch is one.
    pub fn requests(&self) -> usize {
        self.state().requests
    }

    pub fn out(&self) -> usize {
        self.state().out
    }

    pub fn most_out(&self) -> usize {
        self.state().most_out
    }

    /// Blocks until so many calls have come.
    pub fn until_sent(&self, calls: usize) {
        let fewer = |state: &mut State| state.sent.len() < calls;
        assert!(self.wait_while(fewer), "{calls} calls do not come");
    }

    /// Whether that comes to an end.
    fn wait_while(&self, holds: impl FnMut(&mut State) -> bool) -> bool {
        // A script that panics, as it shall, leaves the rest as it is.
        let waited = self.changed.wait_timeout_while(self.state(), PATIENCE, holds);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn begin(&self, request: &http::Request<Bytes>) -> Request {
        let request = Request::read(request);
        let mut state = self.state();
        state.requests += 1;
        state.sent.extend(request.calls.iter().map(|(_, name)| name.clone()));
        state.out += request.calls.len();
        state.most_out = state.most_out.max(state.out);
        // From then on all are answered.
        if state.out >= state.hold {
            state.hold = 0;
        }
        drop(state);
        self.change();
        request
    }

    fn end(&self, request: &Request) -> Result<http::Response<Bytes>, Failure> {
        let mut state = self.state();
        state.out -= request.calls.len();
        if !request.is_batch {
            return (state.script)(&request.calls[0].1);
        }
        let mut parts = Vec::new();
        for (id, name) in &request.calls {
            let status = (state.script)(name)?.status().as_u16();
            parts.push(serde_json::json!({ "id": id, "status": status }));
        }
        let body = serde_json::json!({ "responses": parts }).to_string();
        Ok(answer(200).map(|_| body.into()))
    }

    pub fn transport(self: &Arc<Self>) -> impl Transport + Send + Sync + use<> {
        let service = Arc::clone(self);
        move |request: http::Request<Bytes>, _: &SendOptions| {
            let request = service.begin(&request);
            let held = |state: &mut State| state.hold > 0;
            assert!(service.wait_while(held), "nobody lets it answer");
            service.end(&request)
        }
    }

    pub fn async_transport(self: &Arc<Self>) -> impl AsyncTransport + Send + Sync + use<> {
        let service = Arc::clone(self);
        move |request: http::Request<Bytes>, _: &SendOptions| {
            let service = Arc::clone(&service);
            async move {
                let request = service.begin(&request);
                let mut polls = 0;
                poll_fn(|context| {
                    polls += 1;
                    let mut state = service.state();
                    if state.hold > 0 {
                        state.waiting.push(context.waker().clone());
                        return Poll::Pending;
                    }
                    if polls > 1 {
                        return Poll::Ready(());
                    }
                    // No answer is there at once.
                    context.waker().wake_by_ref();
                    Poll::Pending
                })
                .await;
                service.end(&request)
            }
        }
    }
}

pub fn token() -> Result<Token, TokenError> {
    Ok(Token::new(AccessToken::new("t").unwrap()))
}

/// What a run is made of.
pub struct Setup {
    pub settings: IngestSettings,
    pub policy: Policy,
    pub service: Arc<Service>,
    pub progress_every: Duration,
    pub expected: Option<u64>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            settings: IngestSettings::default(),
            policy: Policy::default(),
            service: Service::new(),
            progress_every: Duration::from_secs(1),
            expected: None,
        }
    }
}

/// What came of a run.
pub struct Report<K> {
    pub told: Vec<(K, Outcome<Deleted>)>,
    pub progress: Vec<Progress>,
    pub summary: Summary,
    pub service: Arc<Service>,
    pub tokens: u32,
    pub packing: Packing,
}

impl<K: Copy> Report<K> {
    pub fn keys(&self) -> Vec<K> {
        self.told.iter().map(|(key, _)| *key).collect()
    }
}

/// Runs the same source with both drivers and both packings. The handler gets what is told before it is kept.
pub fn both<K, S>(
    change: impl Fn(&mut Setup),
    source: impl Fn(&Setup) -> S,
    heard: impl Fn(&IngestNews<K, Deleted>, &StopHandle, &Service),
    check: impl Fn(Report<K>),
) where
    K: Ord + Clone + Send + Debug,
    S: Iterator<Item = Offer<K>> + Send + Unpin,
{
    let (singles, batches) = (Packing::Singles, Packing::Batches);
    let runs = [(true, singles), (true, batches), (false, singles), (false, batches)];
    for (blocking, packing) in runs {
        let mut setup = Setup::default();
        setup.settings.packing = packing;
        change(&mut setup);
        let source = source(&setup);
        let Setup { settings, policy, service, progress_every, expected } = setup;
        let (mut told, mut progress) = (Vec::new(), Vec::new());
        let tokens = Arc::new(AtomicU32::new(0));
        let thread = std::thread::current().id();
        let time = Arc::clone(&service.time);
        let mut keep = |stop: &StopHandle, news| {
            assert_eq!(std::thread::current().id(), thread, "told on the caller's thread");
            heard(&news, stop, &service);
            match news {
                IngestNews::Done(key, outcome) => told.push((key, outcome)),
                IngestNews::Progress(now) => progress.push(now),
                other => panic!("{other:?}"),
            }
        };
        let count = Arc::clone(&tokens);
        let summary = if blocking {
            let fetch = move |_: &TokenNeed| {
                count.fetch_add(1, Ordering::SeqCst);
                token()
            };
            let client: Client<_> = builder(fetch, policy).build(service.transport(), time);
            let mut run = client.ingest(settings).progress_every(progress_every);
            if let Some(offers) = expected {
                run = run.expect(offers);
            }
            let stop = run.stop_handle();
            run.run(source, |news| keep(&stop, news))
        } else {
            let fetch = move |_: &TokenNeed| {
                count.fetch_add(1, Ordering::SeqCst);
                async { token() }
            };
            let client: AsyncClient<_> =
                async_builder(fetch, policy).build_async(service.async_transport(), time);
            let mut run = client.ingest(settings).progress_every(progress_every);
            if let Some(offers) = expected {
                run = run.expect(offers);
            }
            let stop = run.stop_handle();
            pollster::block_on(run.run(Iter(source), |news| keep(&stop, news)))
        };
        println!("{}, {packing:?}: {summary:?}", if blocking { "blocking" } else { "async" });
        let tokens = tokens.load(Ordering::SeqCst);
        check(Report { told, progress, summary, service, tokens, packing });
    }
}

pub fn builder<S: graphfeed_core::client::TokenSource + 'static>(
    tokens: S,
    policy: Policy,
) -> ClientBuilder<S> {
    Client::builder(ServiceRoot::v1(), tokens).policy(policy)
}

pub fn async_builder<S: graphfeed_core::client::AsyncTokenSource + 'static>(
    tokens: S,
    policy: Policy,
) -> ClientBuilder<S> {
    AsyncClient::builder(ServiceRoot::v1(), tokens).policy(policy)
}

/// A blocking client of a service.
pub fn client(service: &Arc<Service>) -> Client<impl Transport + Send + Sync + use<>> {
    let tokens = AccessToken::new("t").unwrap();
    builder(tokens, Policy::default()).build(service.transport(), Arc::clone(&service.time))
}

/// An async client of a service.
pub fn async_client(
    service: &Arc<Service>,
) -> AsyncClient<impl AsyncTransport + Send + Sync + 'static + use<>> {
    let tokens = AccessToken::new("t").unwrap();
    let time = Arc::clone(&service.time);
    async_builder(tokens, Policy::default()).build_async(service.async_transport(), time)
}
