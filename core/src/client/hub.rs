//! What the blocking and the async client have in common: their settings, what their calls
//! share, and one step of a machine under the lock.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{AsyncClient, AsyncClock, AsyncTokenSource, AsyncTransport};
use super::{Board, Client, Clock, News, SendOptions, TokenSource, Transport, lock};
use crate::{
    machine::{Attempt, Budget, Event, Exchange, Ingest, Machine, Policy, Shared, Start, Tick},
    protocol::{Call, Endpoint, Error, Failure, Reply, ServiceRoot},
    types::{BuildError, Fault, Rule},
};

/// Gathers what a [`Client`] or an [`AsyncClient`] needs.
#[must_use = "a client exists only after build() or build_async()"]
pub struct ClientBuilder<S> {
    tokens: S,
    settings: Settings,
}

pub(super) struct Settings {
    pub(super) root: ServiceRoot,
    pub(super) policy: Policy,
    budget: Budget,
    seed: u64,
    max_body: usize,
    observer: Option<Box<Observer>>,
}

type Observer = dyn Fn(&Event) + Send + Sync;

impl<S> ClientBuilder<S> {
    pub(super) fn new(root: ServiceRoot, tokens: S) -> Self {
        let settings = Settings {
            root,
            policy: Policy::default(),
            budget: Budget::default(),
            seed: 0,
            max_body: SendOptions::default().max_body,
            observer: None,
        };
        Self { tokens, settings }
    }

    /// How a call waits, repeats and gives up.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.settings.policy = policy;
        self
    }

    /// How many repeats all calls may make together.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.settings.budget = budget;
        self
    }

    /// Where ids of calls and the spread of their waits come from. 0 by default, which makes every
    /// run the same; ready-made clients take it from the process.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// The longest answer body that is read, in bytes. 16 MiB by default.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.settings.max_body = bytes;
        self
    }

    /// Hears of every decision, as plain data without secrets or bodies, on the thread of the
    /// call.
    pub fn observer(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.settings.observer = Some(Box::new(observer));
        self
    }
}

impl<S: TokenSource + 'static> ClientBuilder<S> {
    /// A client that blocks the thread.
    pub fn build<T: Transport>(self, transport: T, clock: impl Clock + 'static) -> Client<T> {
        Client::new(transport, Box::new(clock), Box::new(self.tokens), Hub::new(self.settings))
    }
}

impl<S: AsyncTokenSource + 'static> ClientBuilder<S> {
    /// A client whose calls are futures, for any runtime.
    pub fn build_async<T: AsyncTransport>(
        self,
        transport: T,
        clock: impl AsyncClock + 'static,
    ) -> AsyncClient<T> {
        AsyncClient::new(transport, Box::new(clock), Box::new(self.tokens), Hub::new(self.settings))
    }
}

impl<S> fmt::Debug for ClientBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.settings, f)
    }
}

// Neither transport nor token source need be `Debug`, and a token shows nothing.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("root", &self.root.to_string())
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// What the calls of a client have in common.
pub(super) struct Hub {
    pub(super) settings: Settings,
    shared: Mutex<Shared>,
    pub(super) board: Board,
    seed: AtomicU64,
}

impl Hub {
    fn new(settings: Settings) -> Self {
        let mut shared = Shared::new(settings.budget.clone());
        shared.observe(settings.observer.is_some() || cfg!(feature = "tracing"));
        Self {
            shared: Mutex::new(shared),
            board: Board::default(),
            seed: AtomicU64::new(settings.seed),
            settings,
        }
    }

    /// What a machine starts from.
    pub(super) fn start(&self, now: Tick) -> Start {
        let seed = self.seed.fetch_add(1, Ordering::Relaxed);
        Start::new(self.settings.root.clone(), self.settings.policy.clone(), seed, now)
    }

    pub(super) fn call<E: Endpoint>(&self, endpoint: &E) -> Result<Call<E::Output>, Error> {
        let route = const { &E::ROUTE };
        endpoint.call(&self.settings.root).map_err(|why| Error::build(route, why))
    }

    /// The machine of one call, if it goes to this client's root: a token goes with it.
    pub(super) fn exchange<U>(&self, call: Call<U>, now: Tick) -> Result<Exchange<U>, Error> {
        let root = &self.settings.root;
        if !call.is_for(root) {
            let detail = format!("the call goes elsewhere than to {root}; build it anew");
            let why = BuildError::from(Fault::new(Rule::OtherRoot, "service root", detail));
            return Err(Error::build(call.route(), why));
        }
        let start = self.start(now);
        Ok(Exchange::new(call, &start.policy, start.seed, now))
    }

    /// How an attempt goes out now, which it does not any more when its machine has given it up.
    pub(super) fn options(&self, attempt: &Attempt, now: Tick) -> Result<SendOptions, Failure> {
        let left = attempt.deadline.since(now);
        if left.is_zero() {
            let late = "nobody came to send it within the time of one attempt";
            return Err(Failure::not_sent(late));
        }
        let options = SendOptions::default().with_timeout(left);
        let options = options.with_new_connection(attempt.new_connection);
        Ok(options.with_max_body(self.settings.max_body))
    }
}

/// What hands on what it holds when it will not be driven to its end.
pub(super) trait Abandon {
    fn abandon(&mut self, shared: &mut Shared);
}

impl<M: Machine> Abandon for M {
    fn abandon(&mut self, shared: &mut Shared) {
        Machine::abandon(self, shared);
    }
}

impl<K: Ord + Clone, T> Abandon for Ingest<K, T> {
    fn abandon(&mut self, shared: &mut Shared) {
        Self::abandon(self, shared);
    }
}

/// A machine on its way. Dropped before its end, by a panic in a transport or with the future
/// that drives it, it hands on what it holds.
pub(super) struct Driving<M: Abandon, H: AsRef<Hub>> {
    pub(super) machine: M,
    hub: H,
    events: Vec<Event>,
}

impl<M: Abandon, H: AsRef<Hub>> Driving<M, H> {
    pub(super) fn new(machine: M, hub: H) -> Self {
        Self { machine, hub, events: Vec::new() }
    }

    /// One step of the machine under the lock, and the news from before the lock was free again:
    /// what happens between this and a wait is not missed.
    pub(super) fn turn<R>(
        &mut self,
        now: impl FnOnce() -> Tick,
        step: impl FnOnce(&mut M, Tick, &mut Shared) -> R,
    ) -> (R, News) {
        let hub = self.hub.as_ref();
        let mut shared = lock(&hub.shared);
        let result = step(&mut self.machine, now(), &mut shared);
        let news = hub.board.news();
        self.events.append(&mut shared.take_events());
        (result, news)
    }

    /// As [`turn`](Self::turn), for what others may be waiting for.
    pub(super) fn report(
        &mut self,
        now: impl FnOnce() -> Tick,
        step: impl FnOnce(&mut M, Tick, &mut Shared),
    ) {
        self.turn(now, step);
        self.hub.as_ref().board.publish();
    }

    /// What its turns have decided since this was last asked, for a [`Voice`].
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Hands on what the machine holds.
    pub(super) fn abandon(&mut self) {
        let hub = self.hub.as_ref();
        self.machine.abandon(&mut lock(&hub.shared));
        hub.board.publish();
    }
}

impl<M: Abandon, H: AsRef<Hub>> Drop for Driving<M, H> {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// Tells what a machine decides, on the thread of the one who drives it and while no lock is held.
pub(super) struct Voice<'a> {
    hub: &'a Hub,
    #[cfg(feature = "tracing")]
    spans: super::tracing::Spans,
}

impl<'a> Voice<'a> {
    pub(super) fn new(hub: &'a Hub) -> Self {
        Self {
            hub,
            #[cfg(feature = "tracing")]
            spans: Default::default(),
        }
    }

    pub(super) fn tell(&mut self, events: Vec<Event>) {
        for event in &events {
            #[cfg(feature = "tracing")]
            self.spans.emit(event);
            if let Some(observer) = &self.hub.settings.observer {
                observer(event);
            }
        }
    }
}

/// One name for what both clients give back.
pub(super) fn value<T>(reply: Result<Reply<T>, Error>) -> Result<T, Error> {
    reply.map(|reply| reply.value)
}

/// The part of a client that its calls share, however it is held.
impl<T: AsRef<Hub>> AsRef<Hub> for Held<T> {
    fn as_ref(&self) -> &Hub {
        (*self.0).as_ref()
    }
}

/// A client's inside, held by a call that outlives the client.
pub(super) struct Held<T>(pub(super) Arc<T>);
