//! Setting up a connection so that doing it twice does no harm: look before you repeat.
//!
//! A POST of a connection is not to be repeated blindly: it has been seen to succeed behind a 503.
//! So after an attempt of unknown fate these tasks look at what is there.

use http::StatusCode;

use crate::{
    external::{
        ConnectionState, ConnectorTicket, CreateConnection, ExternalConnection, GetConnection,
        StoredConnection, UpdateConnection,
    },
    machine::{Logic, Machine, Next, Sequence, Start, Task, Tick},
    protocol::{Applied, Call, Endpoint, Error, GiveUp, Reply},
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

pub(in crate::external) fn is_missing(error: &Error) -> bool {
    error.status() == Some(StatusCode::NOT_FOUND)
}
