//! Setting up a connection so that doing it twice does no harm: look before you repeat.
//!
//! A POST of a connection and a PATCH of a schema are not to be repeated blindly: the first has
//! been seen to succeed behind a 503, the second may start a second registration. So after an
//! attempt of unknown fate these tasks look at what is there.

use std::time::Duration;

use http::StatusCode;

use super::{
    ConnectionState, ConnectorTicket, CreateConnection, ExternalConnection, GetConnection,
    GetSchema, RegisterSchema, Schema, SchemaPlan, SchemaRegistration, StoredConnection,
    StoredSchema, UpdateConnection,
};
use crate::{
    machine::{Logic, Machine, Next, Policy, Sequence, Start, Task, Tick},
    protocol::{Applied, Call, Endpoint, Error, GiveUp, Reply},
    types::ConnectionId,
};

/// Creates a connection, and looks before it repeats: after an attempt of unknown fate it asks
/// for the connection. One with the same id and name is taken for the one created, another for a
/// conflict, and only if there is none it creates again.
#[derive(Clone, Copy, Debug)]
pub struct CreateConnectionOnce<'a> {
    create: CreateConnection<'a>,
}

impl<'a> CreateConnectionOnce<'a> {
    /// Creates `connection`.
    pub fn new(connection: &'a ExternalConnection) -> Self {
        Self { create: CreateConnection::new(connection) }
    }

    /// For a Teams app, which has asked for the connection with `ticket`.
    #[must_use]
    pub fn ticket(mut self, ticket: &'a ConnectorTicket) -> Self {
        self.create = self.create.ticket(ticket);
        self
    }
}

/// A connection that is there.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CreatedConnection {
    /// As the service holds it.
    pub connection: StoredConnection,
    /// Whether this task created it.
    pub made: Made,
    /// Whether it was there with other settings, and has been updated.
    pub updated: bool,
}

/// Whether something that is there was made just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Made {
    /// It was: the service said so.
    Now,
    /// Most likely: an attempt of unknown fate went out, and now it is there.
    Probably,
    /// It was there before.
    Before,
}

impl std::fmt::Display for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Now => "made now",
            Self::Probably => "most likely made now",
            Self::Before => "there before",
        })
    }
}

/// Sees to it that a connection is there: if there is none it is created as
/// [`CreateConnectionOnce`] does, and one with the same id and name is taken for ours. Where that
/// one differs in what ours says, it is updated; what ours is silent about stays as it is.
///
/// Another name is a conflict, and so is another Teams app than the ticket's, and a connection that
/// is obsolete. One that is being deleted cannot be told from any other.
#[derive(Clone, Copy, Debug)]
pub struct EnsureConnection<'a> {
    create: CreateConnection<'a>,
}

impl<'a> EnsureConnection<'a> {
    /// Sees to `connection`.
    pub fn new(connection: &'a ExternalConnection) -> Self {
        Self { create: CreateConnection::new(connection) }
    }

    /// For a Teams app, which has asked for the connection with `ticket`.
    #[must_use]
    pub fn ticket(mut self, ticket: &'a ConnectorTicket) -> Self {
        self.create = self.create.ticket(ticket);
        self
    }
}

impl Task for CreateConnectionOnce<'_> {
    type Output = CreatedConnection;

    fn start(
        &self,
        start: &Start,
    ) -> Result<impl Machine<Output = CreatedConnection> + Send, Error> {
        let logic = Creation::new(&self.create, start, Creating::Create)?;
        let first = logic.create.clone();
        Ok(Sequence::new(logic, first, start))
    }
}

impl Task for EnsureConnection<'_> {
    type Output = CreatedConnection;

    fn start(
        &self,
        start: &Start,
    ) -> Result<impl Machine<Output = CreatedConnection> + Send, Error> {
        let logic = Creation::new(&self.create, start, Creating::Look)?;
        let first = logic.look.clone();
        Ok(Sequence::new(logic, first, start))
    }
}

struct Creation {
    wanted: ExternalConnection,
    connector_id: Option<String>,
    create: Call<CreationAnswer>,
    look: Call<CreationAnswer>,
    start: Start,
    /// Whether settings that differ are updated.
    updates: bool,
    at: Creating,
    rounds: u32,
    // The last POST of unknown fate.
    doubt: Option<Error>,
    // The 409 of a POST, although looking had found none: somebody else was quicker.
    conflict: Option<Error>,
    updated: bool,
}

#[derive(Clone, Copy)]
enum Creating {
    Look,
    Create,
    Update,
}

enum CreationAnswer {
    Connection(Box<StoredConnection>),
    Updated,
}

impl From<StoredConnection> for CreationAnswer {
    fn from(connection: StoredConnection) -> Self {
        Self::Connection(Box::new(connection))
    }
}

impl From<()> for CreationAnswer {
    fn from((): ()) -> Self {
        Self::Updated
    }
}

impl Creation {
    fn new(create: &CreateConnection<'_>, start: &Start, at: Creating) -> Result<Self, Error> {
        let wanted = create.connection();
        Ok(Self {
            create: start.call(create)?,
            look: start.call(&GetConnection::new(wanted.id()))?,
            wanted: wanted.clone(),
            start: start.clone(),
            updates: matches!(at, Creating::Look),
            at,
            rounds: 0,
            doubt: None,
            conflict: None,
            connector_id: create.connector_id().map(str::to_owned),
            updated: false,
        })
    }

    fn go(&mut self, at: Creating, not_before: Tick) -> Next<CreationAnswer, CreatedConnection> {
        self.at = at;
        let call = if let Creating::Create = at { &self.create } else { &self.look };
        Next::Call(call.clone(), not_before)
    }

    /// Why a connection that is there is not ours.
    fn conflict_with(&self, found: &StoredConnection) -> Option<String> {
        let id = self.wanted.id();
        if found.name.as_deref() != Some(self.wanted.name()) {
            let (found, ours) = (found.name.as_deref().unwrap_or_default(), self.wanted.name());
            return Some(format!(
                "connection {id} is there under the name {found:?}, not {ours:?}; choose another \
                 id, or if it is yours rename it with UpdateConnection"
            ));
        }
        if let Some(ours) = &self.connector_id
            && found.connector_id.as_ref() != Some(ours)
        {
            let found = found.connector_id.as_deref().unwrap_or("none");
            return Some(format!(
                "connection {id} is there for the Teams app {found:?}, not {ours:?}; choose \
                 another id"
            ));
        }
        (found.state == Some(ConnectionState::Obsolete)).then(|| {
            format!("connection {id} is obsolete, and nothing can be put into it; delete it")
        })
    }

    fn found(
        &mut self,
        found: StoredConnection,
        now: Tick,
    ) -> Result<Next<CreationAnswer, CreatedConnection>, Error> {
        if let Some(what) = self.conflict_with(&found) {
            return Err(Error::conflict(const { &CreateConnection::ROUTE }, what));
        }
        // Once: a service that keeps a member in other words is not to be asked for ever.
        if self.updates
            && !self.updated
            && let Some(update) = self.wanted.update_of(&found)
        {
            let update = self.start.call(&UpdateConnection::new(self.wanted.id(), &update))?;
            self.at = Creating::Update;
            return Ok(Next::Call(update, now));
        }
        let made = if self.doubt.is_some() { Made::Probably } else { Made::Before };
        let updated = self.updated;
        Ok(Next::Done(Ok(CreatedConnection { connection: found, made, updated })))
    }
}

impl Logic for Creation {
    type Answer = CreationAnswer;
    type Output = CreatedConnection;

    fn next(
        &mut self,
        outcome: Result<Reply<CreationAnswer>, Error>,
        now: Tick,
    ) -> Next<CreationAnswer, CreatedConnection> {
        match (self.at, outcome.map(|reply| reply.value)) {
            (Creating::Create, Ok(CreationAnswer::Connection(connection))) => {
                let (connection, made) = (*connection, Made::Now);
                Next::Done(Ok(CreatedConnection { connection, made, updated: false }))
            }
            (Creating::Create, Err(error)) => {
                let is_conflict = error.status() == Some(StatusCode::CONFLICT);
                match (is_conflict, &self.doubt) {
                    (true, Some(_)) => {}
                    (true, None) if self.updates => self.conflict = Some(error),
                    _ if error.applied() == Applied::No => return Next::Done(Err(error)),
                    _ => self.doubt = Some(error),
                }
                self.go(Creating::Look, now)
            }
            (_, Ok(CreationAnswer::Connection(connection))) => {
                self.found(*connection, now).unwrap_or_else(|error| Next::Done(Err(error)))
            }
            (_, Ok(CreationAnswer::Updated)) => {
                self.updated = true;
                self.go(Creating::Look, now)
            }
            (Creating::Update, Err(error)) => Next::Done(Err(error)),
            (Creating::Look, Err(error)) if is_missing(&error) => {
                if let Some(conflict) = self.conflict.take() {
                    return Next::Done(Err(conflict));
                }
                let Some(doubt) = &self.doubt else {
                    return self.go(Creating::Create, now);
                };
                self.rounds += 1;
                let policy = &self.start.policy;
                let not_before = now + policy.wait(self.rounds, doubt.retry_after());
                match self.doubt.take_if(|_| self.rounds >= policy.attempts) {
                    Some(doubt) => Next::Done(Err(doubt.gave_up(GiveUp::Attempts))),
                    None => self.go(Creating::Create, not_before),
                }
            }
            // What is in doubt matters more than why looking failed.
            (Creating::Look, Err(error)) => Next::Done(Err(self.doubt.take().unwrap_or(error))),
        }
    }
}

fn is_missing(error: &Error) -> bool {
    error.status() == Some(StatusCode::NOT_FOUND)
}

/// Sees to it that a connection has a schema: an equal one is used as it is, another one is
/// updated, and where there is none it is registered.
///
/// What the service does not let be changed is refused before anything is sent, with the rule
/// [`SchemaUpdate`](crate::types::Rule::SchemaUpdate), a place and a reason for each, as
/// [`SchemaPlan`] finds it.
///
/// After an attempt of unknown fate it looks at the connection and its schema before it repeats.
/// That registration has begun says nothing about readiness; ask for the operation.
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
    /// The schema was there already, equal to the one wanted.
    Equal(StoredSchema),
    /// Its registration has begun.
    #[non_exhaustive]
    Begun {
        /// What to wait for, with [`AwaitSchema`](super::AwaitSchema).
        registration: SchemaRegistration,
        /// What becomes different, and whether items have to be put again for it.
        plan: SchemaPlan,
    },
    /// Its registration has most likely begun: an attempt of unknown fate went out, and now an
    /// equal schema is there. Its operation is not known; wait with
    /// [`AwaitReady`](super::AwaitReady).
    #[non_exhaustive]
    ProbablyBegun {
        /// The schema that is there.
        stored: StoredSchema,
        /// What becomes different, and whether items have to be put again for it.
        plan: SchemaPlan,
    },
}

enum SchemaAnswer {
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
        let logic = Registration {
            plan: SchemaPlan::between(&StoredSchema::default(), self.schema),
            wanted: self.schema.clone(),
            register: start.call(&RegisterSchema::new(self.connection, self.schema))?,
            look: start.call(&GetConnection::new(self.connection))?,
            get: start.call(&GetSchema::new(self.connection))?,
            policy: start.policy.clone(),
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

struct Registration {
    wanted: Schema,
    // From what was there at last, if it was another.
    plan: SchemaPlan,
    register: Call<SchemaAnswer>,
    look: Call<SchemaAnswer>,
    get: Call<SchemaAnswer>,
    policy: Policy,
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

    /// Compares what is there with what is wanted.
    fn found(&mut self, found: StoredSchema, now: Tick) -> Next<SchemaAnswer, EnsuredSchema> {
        let plan = SchemaPlan::between(&found, &self.wanted);
        match plan.check() {
            Ok(()) if plan.is_empty() => Next::Done(Ok(match self.doubt {
                Some(_) => EnsuredSchema::ProbablyBegun { stored: found, plan: self.plan.clone() },
                None => EnsuredSchema::Equal(found),
            })),
            Ok(()) => {
                self.plan = plan;
                self.register(now)
            }
            // Somebody else has registered it since; what is in doubt matters more.
            Err(why) => Next::Done(Err(self
                .doubt
                .take()
                .unwrap_or_else(|| Error::build(const { &RegisterSchema::ROUTE }, why)))),
        }
    }

    /// Registers, or does so again where looking has shown that it was in vain.
    fn register(&mut self, now: Tick) -> Next<SchemaAnswer, EnsuredSchema> {
        let Some(doubt) = &self.doubt else {
            return self.go(Registering::Register, now);
        };
        self.rounds += 1;
        let not_before = now + self.policy.wait(self.rounds, doubt.retry_after());
        match self.doubt.take_if(|_| self.rounds >= self.policy.attempts) {
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
            (_, Ok(SchemaAnswer::Schema(found))) => self.found(found, now),
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
