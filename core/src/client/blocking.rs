//! The blocking client: it drives the machines on the caller's thread.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Board, Clock, SendOptions, TokenSource, Transport, lock};
use crate::{
    machine::{Budget, Event, Exchange, Machine, Policy, Shared, Start, Step, Task, Tick},
    protocol::{Call, Endpoint, Error, Reply, ServiceRoot},
    types::{BuildError, Fault, Rule},
};

/// Makes calls over a [`Transport`], with repeats, throttling and tokens taken care of, on the
/// caller's thread.
///
/// A clone is cheap and shares everything: connections, the token, the gates of throttled lanes,
/// the budget for repeats. So many threads can use one client. The token goes to the
/// [`ServiceRoot`] and nowhere else.
///
/// ```
/// use bytes::Bytes;
/// use graphfeed_core::client::{Client, SendOptions, VirtualClock};
/// use graphfeed_core::external::{ConnectionState, GetConnection};
/// use graphfeed_core::protocol::ServiceRoot;
/// use graphfeed_core::types::{AccessToken, ConnectionId};
///
/// let transport = |request: http::Request<Bytes>, _: &SendOptions| {
///     assert_eq!(request.headers()["Authorization"], "Bearer secret");
///     Ok(http::Response::new(r#"{"id":"contosohr","state":"ready"}"#.into()))
/// };
/// let client = Client::builder(ServiceRoot::v1(), AccessToken::new("secret")?)
///     .build(transport, VirtualClock::default());
/// let connection = client.send(&GetConnection::new(&ConnectionId::new("contosohr")?))?;
/// assert_eq!(connection.state, Some(ConnectionState::Ready));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Client<T>(Arc<Inner<T>>);

struct Inner<T> {
    transport: T,
    clock: Box<dyn Clock>,
    shared: Mutex<Shared>,
    board: Board,
    seed: AtomicU64,
    settings: ClientBuilder,
}

type Observer = dyn Fn(&Event) + Send + Sync;

/// Gathers what a [`Client`] needs.
#[must_use = "a client exists only after build()"]
pub struct ClientBuilder {
    root: ServiceRoot,
    tokens: Box<dyn TokenSource>,
    policy: Policy,
    budget: Budget,
    seed: u64,
    max_body: usize,
    observer: Option<Box<Observer>>,
}

impl ClientBuilder {
    /// How a call waits, repeats and gives up.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// How many repeats all calls may make together.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Where ids of calls and the spread of their waits come from. 0 by default, which makes every
    /// run the same; ready-made clients take it from the process.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The longest answer body that is read, in bytes. 16 MiB by default.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Hears of every decision, as plain data without secrets or bodies, on the thread of the
    /// call.
    pub fn observer(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// The client.
    pub fn build<T: Transport>(self, transport: T, clock: impl Clock + 'static) -> Client<T> {
        let mut shared = Shared::new(self.budget.clone());
        shared.observe(self.observer.is_some() || cfg!(feature = "tracing"));
        Client(Arc::new(Inner {
            transport,
            clock: Box::new(clock),
            shared: Mutex::new(shared),
            board: Board::default(),
            seed: AtomicU64::new(self.seed),
            settings: self,
        }))
    }
}

impl Client<()> {
    /// Starts a client for one service root, with a source of tokens for it.
    pub fn builder(root: ServiceRoot, tokens: impl TokenSource + 'static) -> ClientBuilder {
        ClientBuilder {
            root,
            tokens: Box::new(tokens),
            policy: Policy::default(),
            budget: Budget::default(),
            seed: 0,
            max_body: SendOptions::default().max_body,
            observer: None,
        }
    }
}

impl<T: Transport> Client<T> {
    /// Where it sends to.
    pub fn root(&self) -> &ServiceRoot {
        &self.0.settings.root
    }

    /// How its calls wait, repeat and give up.
    pub fn policy(&self) -> &Policy {
        &self.0.settings.policy
    }

    /// Makes one call and gives back what the operation answers with.
    ///
    /// # Errors
    /// An [`Error`], which tells the cause and whether the service may have carried out the call
    /// nevertheless ([`Error::applied`]).
    pub fn send<E: Endpoint>(&self, endpoint: &E) -> Result<E::Output, Error> {
        self.reply(endpoint).map(|reply| reply.value)
    }

    /// As [`send`](Self::send), with status, headers and raw body of the answer.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn reply<E: Endpoint>(&self, endpoint: &E) -> Result<Reply<E::Output>, Error> {
        let route = const { &E::ROUTE };
        self.reply_to(endpoint.call(self.root()).map_err(|why| Error::build(route, why))?)
    }

    /// Makes a call that was built before.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`Rule::OtherRoot`] when the call was built for another root
    /// than this client's.
    pub fn reply_to<U>(&self, call: Call<U>) -> Result<Reply<U>, Error> {
        if !call.is_for(self.root()) {
            let detail = format!("the call goes elsewhere than to {}; build it anew", self.root());
            let why = BuildError::from(Fault::new(Rule::OtherRoot, "service root", detail));
            return Err(Error::build(call.route(), why));
        }
        let start = self.start();
        self.drive(Exchange::new(call, &start.policy, start.seed, start.now))
    }

    /// Carries out several calls that belong together.
    ///
    /// # Errors
    /// What the task ends with.
    pub fn run<K: Task>(&self, task: &K) -> Result<K::Output, Error> {
        self.drive(task.start(&self.start())?)
    }

    /// What a machine starts from, now.
    pub fn start(&self) -> Start {
        let seed = self.0.seed.fetch_add(1, Ordering::Relaxed);
        let Inner { settings, clock, .. } = &*self.0;
        Start::new(settings.root.clone(), settings.policy.clone(), seed, clock.now())
    }

    /// Drives a machine to its end. Its requests have to be for this client's root.
    ///
    /// # Errors
    /// What the machine ends with.
    pub fn drive<M: Machine>(&self, machine: M) -> Result<M::Output, Error> {
        let mut driving = Driving {
            machine,
            client: &self.0,
            #[cfg(feature = "tracing")]
            spans: Default::default(),
        };
        loop {
            let (step, news) = driving.turn(|machine, now, shared| machine.poll(now, shared));
            match step {
                Step::Send(attempt) => {
                    let options = SendOptions::default()
                        .with_timeout(attempt.timeout)
                        .with_new_connection(attempt.new_connection)
                        .with_max_body(self.0.settings.max_body);
                    let sent = self.0.transport.send(attempt.request, &options);
                    driving.turn(|machine, now, shared| match sent {
                        Ok(response) => machine.on_response(attempt.ticket, now, response, shared),
                        Err(failure) => machine.on_failure(attempt.ticket, now, failure, shared),
                    });
                    self.0.board.publish();
                }
                Step::Token(need) => {
                    let token = self.0.settings.tokens.token(&need);
                    driving.turn(|machine, now, shared| {
                        machine.on_token(need.lease, now, token, shared);
                    });
                    self.0.board.publish();
                }
                Step::Wait(until) => self.0.clock.wait(until, &news),
                Step::Done(result) => return result,
            }
        }
    }
}

/// A machine on its way; dropped before its end, by a panic in a transport say, it hands on what
/// it holds.
struct Driving<'a, M: Machine, T> {
    machine: M,
    client: &'a Inner<T>,
    #[cfg(feature = "tracing")]
    spans: super::tracing::Spans,
}

impl<'a, M: Machine, T> Driving<'a, M, T> {
    /// One step of the machine under the lock, and the news from before the lock was free again:
    /// what happens between this and a wait is not missed.
    fn turn<R>(
        &mut self,
        step: impl FnOnce(&mut M, Tick, &mut Shared) -> R,
    ) -> (R, super::News<'a>) {
        let mut shared = lock(&self.client.shared);
        let result = step(&mut self.machine, self.client.clock.now(), &mut shared);
        let news = self.client.board.news();
        let events = shared.take_events();
        drop(shared);
        for event in &events {
            #[cfg(feature = "tracing")]
            self.spans.emit(event);
            if let Some(observer) = &self.client.settings.observer {
                observer(event);
            }
        }
        (result, news)
    }
}

impl<M: Machine, T> Drop for Driving<'_, M, T> {
    fn drop(&mut self) {
        self.machine.abandon(&mut lock(&self.client.shared));
        self.client.board.publish();
    }
}

impl<T> Clone for Client<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

// Neither transport nor token source need be `Debug`, and a token shows nothing.
impl<T> fmt::Debug for Client<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("root", &self.0.settings.root.to_string())
            .field("policy", &self.0.settings.policy)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("root", &self.root.to_string())
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
