//! Seeing to it that a connection has the schema that is wanted.
//!
//! A PATCH of a schema may start a second registration, so that after an attempt of unknown fate
//! this looks at what is there before it repeats.

use std::time::Duration;

use http::StatusCode;

use crate::{
    external::{
        ConnectionState, EnsureReady, GetConnection, GetSchema, RegisterSchema, Schema, SchemaPlan,
        SchemaRegistration, StoredConnection, StoredSchema, connection::ensure::is_missing,
    },
    machine::{Logic, Machine, Next, Sequence, Start, Task, Tick},
    protocol::{Applied, Call, Endpoint, Error, GiveUp, Reply},
    types::ConnectionId,
};

/// Sees to it that a connection has a schema: an equal one is used as it is, another one is
/// updated, and where there is none it is registered.
///
/// What the service does not let be changed is refused before anything is sent, with the rule
/// [`SchemaUpdate`](crate::types::Rule::SchemaUpdate), a place and a reason for each, as
/// [`SchemaPlan`] finds it.
///
/// After an attempt of unknown fate it looks at the connection and its schema before it repeats.
/// That registration has begun says nothing about readiness; [`ready`](Self::ready) waits for it.
#[derive(Clone, Copy, Debug)]
pub struct EnsureSchema<'a> {
    connection: &'a ConnectionId,
    schema: &'a Schema,
    provisioning: Duration,
}

impl<'a> EnsureSchema<'a> {
    /// Sees to the schema of `connection`.
    pub fn new(connection: &'a ConnectionId, schema: &'a Schema) -> Self {
        Self { connection, schema, provisioning: Duration::from_secs(60) }
    }

    /// The same, and then waits until the connection is ready with the schema.
    pub fn ready(self) -> EnsureReady<'a> {
        EnsureReady::new(self)
    }

    /// The connection.
    pub(super) fn connection(&self) -> &'a ConnectionId {
        self.connection
    }

    /// How long a 400 is taken for a connection that is still being provisioned, as the service
    /// has been seen to answer right after its creation: while the connection is in draft, every
    /// five seconds. 60 seconds by default.
    #[must_use]
    pub fn provisioning(mut self, longest: Duration) -> Self {
        self.provisioning = longest;
        self
    }
}

/// What [`EnsureSchema`] found or did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EnsuredSchema {
    /// The schema was there already, equal to the one wanted. It may be there before its
    /// registration is over: while a first one is in progress, the connection is in draft, and
    /// [`AwaitReady`](crate::external::AwaitReady) waits for it; that an update is in progress cannot be
    /// seen.
    Equal(StoredSchema),
    /// Its registration has begun.
    #[non_exhaustive]
    Begun {
        /// What to wait for, with [`AwaitSchema`](crate::external::AwaitSchema).
        registration: SchemaRegistration,
        /// What becomes different, and whether items have to be put again for it.
        plan: SchemaPlan,
    },
    /// Its registration has most likely begun: an attempt of unknown fate went out, and now an
    /// equal schema is there. Its operation is not known. The end of a first registration is
    /// waited for with [`AwaitReady`](crate::external::AwaitReady); the end of an update cannot be seen, for
    /// the connection is ready all the time.
    #[non_exhaustive]
    ProbablyBegun {
        /// The schema that is there.
        stored: StoredSchema,
        /// What becomes different, and whether items have to be put again for it.
        plan: SchemaPlan,
    },
}

pub(super) enum SchemaAnswer {
    Connection(Box<StoredConnection>),
    Schema(StoredSchema),
    Begun(SchemaRegistration),
}

impl From<StoredConnection> for SchemaAnswer {
    fn from(connection: StoredConnection) -> Self {
        Self::Connection(Box::new(connection))
    }
}

impl From<StoredSchema> for SchemaAnswer {
    fn from(schema: StoredSchema) -> Self {
        Self::Schema(schema)
    }
}

impl From<SchemaRegistration> for SchemaAnswer {
    fn from(begun: SchemaRegistration) -> Self {
        Self::Begun(begun)
    }
}

impl Task for EnsureSchema<'_> {
    type Output = EnsuredSchema;

    fn start(&self, start: &Start) -> Result<impl Machine<Output = EnsuredSchema> + Send, Error> {
        self.machine(start)
    }
}

impl EnsureSchema<'_> {
    pub(super) fn machine(&self, start: &Start) -> Result<Sequence<Registration>, Error> {
        let logic = Registration {
            plan: SchemaPlan::between(&StoredSchema::default(), self.schema),
            connection: self.connection.clone(),
            wanted: self.schema.clone(),
            register: start.call(&RegisterSchema::new(self.connection, self.schema))?,
            look: start.call(&GetConnection::new(self.connection))?,
            get: start.call(&GetSchema::new(self.connection))?,
            start: start.clone(),
            at: Registering::Get,
            rounds: 0,
            doubt: None,
            patient_until: start.now + self.provisioning,
            refusal: None,
        };
        let first = logic.get.clone();
        Ok(Sequence::new(logic, first, start))
    }
}

pub(super) struct Registration {
    connection: ConnectionId,
    wanted: Schema,
    // From what was there at last, if it was another.
    plan: SchemaPlan,
    register: Call<SchemaAnswer>,
    look: Call<SchemaAnswer>,
    get: Call<SchemaAnswer>,
    start: Start,
    at: Registering,
    rounds: u32,
    // The last PATCH of unknown fate.
    doubt: Option<Error>,
    patient_until: Tick,
    // The 400 that may only mean that the connection is being provisioned.
    refusal: Option<Error>,
}

#[derive(Clone, Copy)]
enum Registering {
    Get,
    Register,
    Look,
}

const PROVISIONING: Duration = Duration::from_secs(5);

impl Registration {
    fn go(&mut self, at: Registering, not_before: Tick) -> Next<SchemaAnswer, EnsuredSchema> {
        self.at = at;
        let call = match at {
            Registering::Get => &self.get,
            Registering::Register => &self.register,
            Registering::Look => &self.look,
        };
        Next::Call(call.clone(), not_before)
    }

    /// Compares what is there with what is wanted, and writes the one over the other.
    fn found(
        &mut self,
        found: StoredSchema,
        now: Tick,
    ) -> Result<Next<SchemaAnswer, EnsuredSchema>, Error> {
        let plan = SchemaPlan::between(&found, &self.wanted);
        if plan.is_empty() {
            return Ok(Next::Done(Ok(match self.doubt {
                Some(_) => EnsuredSchema::ProbablyBegun { stored: found, plan: self.plan.clone() },
                None => EnsuredSchema::Equal(found),
            })));
        }
        plan.check().map_err(|why| Error::build(const { &RegisterSchema::ROUTE }, why))?;
        let register = RegisterSchema::new(&self.connection, &self.wanted).over(&found);
        self.register = self.start.call(&register)?;
        self.plan = plan;
        Ok(self.register(now))
    }

    /// Registers, or does so again where looking has shown that it was in vain.
    fn register(&mut self, now: Tick) -> Next<SchemaAnswer, EnsuredSchema> {
        let Some(doubt) = &self.doubt else {
            return self.go(Registering::Register, now);
        };
        self.rounds += 1;
        let not_before = now + self.start.policy.wait(self.rounds, doubt.retry_after());
        match self.doubt.take_if(|_| self.rounds >= self.start.policy.attempts) {
            Some(doubt) => Next::Done(Err(doubt.gave_up(GiveUp::Attempts))),
            None => self.go(Registering::Register, not_before),
        }
    }
}

impl Logic for Registration {
    type Answer = SchemaAnswer;
    type Output = EnsuredSchema;

    fn next(
        &mut self,
        outcome: Result<Reply<SchemaAnswer>, Error>,
        now: Tick,
    ) -> Next<SchemaAnswer, EnsuredSchema> {
        match (self.at, outcome.map(|reply| reply.value)) {
            (_, Ok(SchemaAnswer::Begun(registration))) => {
                let plan = self.plan.clone();
                Next::Done(Ok(EnsuredSchema::Begun { registration, plan }))
            }
            // Somebody else has registered it since; what is in doubt matters more.
            (_, Ok(SchemaAnswer::Schema(found))) => self
                .found(found, now)
                .unwrap_or_else(|error| Next::Done(Err(self.doubt.take().unwrap_or(error)))),
            (Registering::Get, Err(error)) if is_missing(&error) => self.register(now),
            (Registering::Register, Err(error)) => {
                let provisioning =
                    error.status() == Some(StatusCode::BAD_REQUEST) && now < self.patient_until;
                if provisioning {
                    self.refusal = Some(error);
                } else if error.applied() == Applied::No {
                    return Next::Done(Err(error));
                } else {
                    self.doubt = Some(error);
                }
                self.go(Registering::Look, now)
            }
            (_, Ok(SchemaAnswer::Connection(found))) => match self.refusal.take() {
                // A connection that is ready refuses for good.
                Some(error) if found.state != Some(ConnectionState::Draft) => {
                    Next::Done(Err(error))
                }
                Some(_) => self.go(Registering::Register, now + PROVISIONING),
                None => self.go(Registering::Get, now),
            },
            // What is in doubt matters more than why looking failed.
            (Registering::Get | Registering::Look, Err(error)) => {
                Next::Done(Err(self.doubt.take().or(self.refusal.take()).unwrap_or(error)))
            }
        }
    }
}
