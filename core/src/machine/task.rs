//! Several calls that belong together, one after the other: looking before repeating, say.
//!
//! Lives here: the [`Task`] that a driver is given, and the [`Sequence`] that the tasks of the
//! resources are made with. What the calls are, and what follows from an answer, is the
//! resources' business.

use bytes::Bytes;

use super::{Exchange, Lease, Machine, Policy, Shared, Step, Tick, Ticket, Token, random::Random};
use crate::protocol::{Call, Endpoint, Error, Failure, Reply, ServiceRoot, TokenError};

/// Several calls that belong together, as plain arguments. A driver starts the machine and runs
/// it; with a client that is `client.run(&task)`.
pub trait Task {
    /// What it comes to.
    type Output;

    /// Makes the machine.
    ///
    /// # Errors
    /// What is wrong with the arguments; nothing was sent.
    fn start(&self, start: &Start) -> Result<impl Machine<Output = Self::Output> + Send, Error>;
}

/// What a machine starts from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Start {
    /// Where the calls go.
    pub root: ServiceRoot,
    /// How each call waits, repeats and gives up; the total time is that of the whole task.
    pub policy: Policy,
    /// Where chance comes from.
    pub seed: u64,
    /// What time it is.
    pub now: Tick,
}

impl Start {
    /// With everything that a driver knows.
    pub fn new(root: ServiceRoot, policy: Policy, seed: u64, now: Tick) -> Self {
        Self { root, policy, seed, now }
    }

    /// From where a machine starts that follows this one: at another time, by another chance.
    pub(crate) fn later(&self, now: Tick) -> Self {
        Self { seed: Random::new(!self.seed).next(), now, ..self.clone() }
    }

    /// A call of an endpoint to this root, its output turned into what the task goes on with.
    pub(crate) fn call<E: Endpoint, A: From<E::Output>>(
        &self,
        endpoint: &E,
    ) -> Result<Call<A>, Error> {
        endpoint.call_into(&self.root).map_err(|why| Error::build(const { &E::ROUTE }, why))
    }
}

/// What follows from the end of a call.
pub(crate) enum Next<A, O> {
    /// Another call, not before that time.
    Call(Call<A>, Tick),
    /// The end.
    Done(Result<O, Error>),
}

/// Decides, after each call of a task, what is next.
pub(crate) trait Logic {
    /// What all its calls answer with, in one type.
    type Answer;
    /// What it comes to.
    type Output;

    fn next(
        &mut self,
        outcome: Result<Reply<Self::Answer>, Error>,
        now: Tick,
    ) -> Next<Self::Answer, Self::Output>;
}

/// Calls one after the other, all within one total time.
#[derive(Debug)]
pub(crate) struct Sequence<L: Logic> {
    logic: L,
    // None where there is nothing to call, and then this is what it comes to.
    exchange: Option<Exchange<L::Answer>>,
    nothing: Option<L::Output>,
    policy: Policy,
    random: Random,
    deadline: Tick,
    over: bool,
}

impl<L: Logic> Sequence<L> {
    pub(crate) fn new(logic: L, first: Call<L::Answer>, start: &Start) -> Self {
        let mut random = Random::new(start.seed);
        let exchange = Exchange::new(first, &start.policy, random.next(), start.now);
        Self {
            logic,
            exchange: Some(exchange),
            nothing: None,
            policy: start.policy.clone(),
            random,
            deadline: start.now + start.policy.total,
            over: false,
        }
    }

    /// Where there is nothing to call.
    pub(crate) fn nothing(logic: L, output: L::Output, start: &Start) -> Self {
        Self {
            logic,
            exchange: None,
            nothing: Some(output),
            policy: start.policy.clone(),
            random: Random::new(start.seed),
            deadline: start.now,
            over: false,
        }
    }

    /// With another end than the total time of one call, which then holds for each call.
    pub(crate) fn until(mut self, deadline: Tick) -> Self {
        self.deadline = deadline;
        self
    }
}

impl<L: Logic> Machine for Sequence<L> {
    type Output = L::Output;

    fn poll(&mut self, now: Tick, shared: &mut Shared) -> Step<L::Output> {
        if let Some(output) = self.nothing.take_if(|_| !self.over) {
            self.over = true;
            return Step::Done(Ok(output));
        }
        loop {
            let Some(exchange) = self.exchange.as_mut().filter(|_| !self.over) else {
                return Step::Wait(Tick::MAX);
            };
            let outcome = match exchange.poll(now, shared) {
                Step::Token(need) => return Step::Token(need),
                Step::Send(attempt) => return Step::Send(attempt),
                Step::Wait(until) => return Step::Wait(until),
                Step::Done(outcome) => outcome,
            };
            match self.logic.next(outcome, now) {
                Next::Call(call, not_before) => {
                    let mut policy = self.policy.clone();
                    // The time of a call begins when it may begin.
                    let start = not_before.max(now);
                    policy.total = policy.total.min(self.deadline.since(start));
                    let seed = self.random.next();
                    self.exchange = Some(Exchange::new(call, &policy, seed, start));
                }
                Next::Done(result) => {
                    self.over = true;
                    return Step::Done(result);
                }
            }
        }
    }

    fn on_response(
        &mut self,
        ticket: Ticket,
        now: Tick,
        response: http::Response<Bytes>,
        shared: &mut Shared,
    ) {
        if let Some(exchange) = &mut self.exchange {
            exchange.on_response(ticket, now, response, shared);
        }
    }

    fn on_failure(&mut self, ticket: Ticket, now: Tick, failure: Failure, shared: &mut Shared) {
        if let Some(exchange) = &mut self.exchange {
            exchange.on_failure(ticket, now, failure, shared);
        }
    }

    fn on_token(
        &mut self,
        lease: Lease,
        now: Tick,
        token: Result<Token, TokenError>,
        shared: &mut Shared,
    ) {
        if let Some(exchange) = &mut self.exchange {
            exchange.on_token(lease, now, token, shared);
        }
    }

    fn abandon(&mut self, shared: &mut Shared) {
        if let Some(exchange) = &mut self.exchange {
            exchange.abandon(shared);
        }
        self.over = true;
    }
}
