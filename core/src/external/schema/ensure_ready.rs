//! Seeing to it that a connection is ready with the schema that is wanted: ensured first, and then
//! waited for.

use std::{
    ops::ControlFlow::{self, Break, Continue},
    time::Duration,
};

use bytes::Bytes;

use super::{ensure::Registration, registration::Waiting};
use crate::{
    external::{
        AwaitReady, AwaitSchema, ConnectionOperation, EnsureSchema, EnsuredSchema, SchemaPlan,
        SchemaRegistered, StoredConnection, connection::wait::Readiness,
    },
    machine::{Lease, Machine, Sequence, Shared, Start, Step, Task, Tick, Ticket, Token},
    protocol::{Error, Failure, TokenError},
    types::ConnectionId,
};

/// Sees to it that a connection is ready with a schema, whatever was there before: ensures the
/// schema as [`EnsureSchema`] does, waits for the registration as [`AwaitSchema`] does if it has
/// begun one, and then for the connection as [`AwaitReady`] does. Made by
/// [`EnsureSchema::ready`].
///
/// It can be run again after it was broken off, and then waits for a first registration that is
/// still in progress. That an update is still in progress, which an earlier run has begun, cannot
/// be seen: the connection is ready all the time, and the schema may be there already. Who has to
/// know writes down the operation of [`EnsuredSchema::Begun`] and the [`AwaitSchema`] for it.
///
/// ```
/// use graphfeed_core::client::{Client, SendOptions, VirtualClock};
/// use graphfeed_core::external::{EnsureSchema, PropertyType, Schema, SchemaProperty};
/// use graphfeed_core::protocol::ServiceRoot;
/// use graphfeed_core::types::{AccessToken, ConnectionId};
/// # let answers = [
/// #     (404, ""),
/// #     (202, ""),
/// #     (200, r#"{"status":"inprogress"}"#),
/// #     (200, r#"{"status":"completed"}"#),
/// #     (200, r#"{"state":"ready"}"#),
/// # ]
/// # .into_iter();
/// # let answers = std::sync::Mutex::new(answers);
/// # let transport = move |_: http::Request<bytes::Bytes>, _: &SendOptions| {
/// #     let (status, body) = answers.lock().unwrap().next().unwrap();
/// #     let answer = http::Response::builder().status(status).header("location", "/op1");
/// #     Ok(answer.body(body.into()).unwrap())
/// # };
///
/// let client = Client::builder(ServiceRoot::v1(), AccessToken::new("token")?)
///     .build(transport, VirtualClock::default());
/// let connection = ConnectionId::new("contosohr")?;
/// let schema = Schema::new([SchemaProperty::new("title", PropertyType::String).searchable()])?;
/// let ready = client.run(&EnsureSchema::new(&connection, &schema).ready())?;
/// assert_eq!(ready.plan.changes().len(), 1, "it has been registered");
/// assert!(ready.operation.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct EnsureReady<'a> {
    ensure: EnsureSchema<'a>,
    longest: Duration,
}

impl<'a> EnsureReady<'a> {
    pub(super) fn new(ensure: EnsureSchema<'a>) -> Self {
        Self { ensure, longest: Duration::from_secs(1800) }
    }

    /// Waits this long at most, once the schema is ensured. 30 minutes by default: registration is
    /// said to take 5 to 15. Whatever it is, the operation and the connection are asked for once,
    /// which takes no longer than two [calls](crate::machine::Policy::total) do.
    #[must_use]
    pub fn at_most(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }
}

/// A connection that is ready with the schema that is wanted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EnsuredReady {
    /// The connection, as the service holds it.
    pub connection: StoredConnection,
    /// What has become different, and whether items have to be put again for it; empty if the
    /// schema was there before.
    pub plan: SchemaPlan,
    /// The registration that is completed. None where there was nothing to register, and where
    /// it is not known: its answer was lost, or it has vanished. Of an update it is then not
    /// known either whether it is over.
    pub operation: Option<Box<ConnectionOperation>>,
}

impl Task for EnsureReady<'_> {
    type Output = EnsuredReady;

    fn start(&self, start: &Start) -> Result<impl Machine<Output = EnsuredReady> + Send, Error> {
        Ok(Stages {
            at: Stage::Schema(Box::new(self.ensure.machine(start)?)),
            connection: self.ensure.connection().clone(),
            longest: self.longest,
            start: start.clone(),
            deadline: start.now,
            plan: SchemaPlan::default(),
            operation: None,
        })
    }
}

/// The machines one after the other, and what they came to so far.
struct Stages {
    at: Stage,
    connection: ConnectionId,
    longest: Duration,
    // Of the stage that came last.
    start: Start,
    // Of the waiting.
    deadline: Tick,
    plan: SchemaPlan,
    operation: Option<Box<ConnectionOperation>>,
}

enum Stage {
    Schema(Box<Sequence<Registration>>),
    Operation(Box<Sequence<Waiting>>),
    Connection(Box<Sequence<Readiness>>),
}

/// Does the same with the machine of whichever stage.
macro_rules! with {
    ($stages:ident, $machine:ident => $what:expr) => {
        match &mut $stages.at {
            Stage::Schema($machine) => $what,
            Stage::Operation($machine) => $what,
            Stage::Connection($machine) => $what,
        }
    };
}

impl Stages {
    fn ensured(&mut self, ensured: EnsuredSchema, now: Tick) -> Result<(), Error> {
        self.deadline = now + self.longest;
        match ensured {
            EnsuredSchema::Begun { registration, plan } => {
                self.plan = plan;
                self.start = self.start.later(now);
                let waiting = AwaitSchema::new(self.connection.clone(), registration.operation);
                let waiting = waiting.at_most(self.longest).machine(&self.start)?;
                self.at = Stage::Operation(Box::new(waiting));
                Ok(())
            }
            EnsuredSchema::ProbablyBegun { plan, .. } => {
                self.plan = plan;
                self.look(now)
            }
            EnsuredSchema::Equal(_) => self.look(now),
        }
    }

    fn registered(&mut self, registered: SchemaRegistered, now: Tick) -> Result<(), Error> {
        if let SchemaRegistered::Completed(operation) = registered {
            self.operation = Some(operation);
        }
        self.look(now)
    }

    /// Goes on with the connection, whose state counts in the end.
    fn look(&mut self, now: Tick) -> Result<(), Error> {
        self.start = self.start.later(now);
        let waiting = AwaitReady::new(self.connection.clone()).at_most(self.deadline.since(now));
        self.at = Stage::Connection(Box::new(waiting.machine(&self.start)?));
        Ok(())
    }

    fn ready(&mut self, connection: StoredConnection) -> EnsuredReady {
        let plan = std::mem::take(&mut self.plan);
        EnsuredReady { connection, plan, operation: self.operation.take() }
    }
}

/// What a stage came to, or the step that it wants done until then.
fn end<T, O>(step: Step<T>) -> ControlFlow<Step<O>, Result<T, Error>> {
    Break(match step {
        Step::Token(need) => Step::Token(need),
        Step::Send(attempt) => Step::Send(attempt),
        Step::Wait(until) => Step::Wait(until),
        Step::Done(result) => return Continue(result),
    })
}

impl Machine for Stages {
    type Output = EnsuredReady;

    fn poll(&mut self, now: Tick, shared: &mut Shared) -> Step<EnsuredReady> {
        loop {
            let next = match &mut self.at {
                Stage::Schema(machine) => match end(machine.poll(now, shared)) {
                    Continue(ensured) => ensured.and_then(|ensured| self.ensured(ensured, now)),
                    Break(step) => return step,
                },
                Stage::Operation(machine) => match end(machine.poll(now, shared)) {
                    Continue(ended) => ended.and_then(|ended| self.registered(ended, now)),
                    Break(step) => return step,
                },
                Stage::Connection(machine) => match end(machine.poll(now, shared)) {
                    Continue(found) => return Step::Done(found.map(|found| self.ready(found))),
                    Break(step) => return step,
                },
            };
            if let Err(error) = next {
                return Step::Done(Err(error));
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
        with!(self, machine => machine.on_response(ticket, now, response, shared));
    }

    fn on_failure(&mut self, ticket: Ticket, now: Tick, failure: Failure, shared: &mut Shared) {
        with!(self, machine => machine.on_failure(ticket, now, failure, shared));
    }

    fn on_token(
        &mut self,
        lease: Lease,
        now: Tick,
        token: Result<Token, TokenError>,
        shared: &mut Shared,
    ) {
        with!(self, machine => machine.on_token(lease, now, token, shared));
    }

    fn abandon(&mut self, shared: &mut Shared) {
        with!(self, machine => machine.abandon(shared));
    }
}
