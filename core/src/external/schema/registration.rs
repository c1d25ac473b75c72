//! Waiting until a schema is registered.

use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::{
    external::{
        ConnectionOperation, ConnectionOperationStatus, GetConnection, GetOperation,
        StoredConnection,
        connection::wait::{Poll, is_ready, seen},
    },
    machine::{Logic, Machine, Next, Sequence, Start, Task, Tick},
    protocol::{Call, Error, Reply},
    types::{ConnectionId, OperationId},
};

/// Waits until the registration of a schema has ended: asks for its operation, at first every
/// second and then ever more rarely, up to a minute apart.
///
/// Only `completed` is success. An unknown status is waited on like `inprogress`. An operation
/// that is not to be found for ten seconds has vanished, and may have been completed long ago;
/// then the state of the connection decides. Of a first registration that is the truth, for until
/// then the connection is in draft. Of an update it says little: the connection is ready all the
/// time, and nothing else tells whether the update has been carried out. That GET schema answers
/// says nothing and is not asked.
///
/// It is plain data that can be written down and read again, so that another process goes on
/// waiting:
///
/// ```
/// use graphfeed_core::external::AwaitSchema;
/// use graphfeed_core::types::{ConnectionId, OperationId};
///
/// let waiting = AwaitSchema::new(
///     ConnectionId::new("contosohr")?,
///     OperationId::new("1.neu.0278337E599FC8DBF5607ED12CF463E4")?,
/// );
/// let saved = serde_json::to_string(&waiting)?;
/// let resumed: AwaitSchema = serde_json::from_str(&saved)?;
/// assert_eq!(resumed, waiting);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitSchema {
    connection: ConnectionId,
    operation: OperationId,
    longest: Duration,
}

/// How a registration ended well.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SchemaRegistered {
    /// The operation is completed.
    Completed(Box<ConnectionOperation>),
    /// The operation has vanished, and the connection is ready: a first registration has been
    /// carried out, and of an update it is not known.
    Ready(Box<StoredConnection>),
}

impl AwaitSchema {
    /// Waits for `operation` of `connection`, 30 minutes at most: registration is said to take 5
    /// to 15.
    pub fn new(connection: ConnectionId, operation: OperationId) -> Self {
        Self { connection, operation, longest: Duration::from_secs(1800) }
    }

    /// Waits this long at most. It asks once at least, which takes no longer than a
    /// [call](crate::machine::Policy::total) does.
    #[must_use]
    pub fn at_most(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// The connection.
    pub fn connection(&self) -> &ConnectionId {
        &self.connection
    }

    /// The operation.
    pub fn operation(&self) -> &OperationId {
        &self.operation
    }
}

pub(super) enum Answer {
    Operation(Box<ConnectionOperation>),
    Connection(Box<StoredConnection>),
}

impl From<ConnectionOperation> for Answer {
    fn from(operation: ConnectionOperation) -> Self {
        Self::Operation(Box::new(operation))
    }
}

impl From<StoredConnection> for Answer {
    fn from(connection: StoredConnection) -> Self {
        Self::Connection(Box::new(connection))
    }
}

impl Task for AwaitSchema {
    type Output = SchemaRegistered;

    fn start(
        &self,
        start: &Start,
    ) -> Result<impl Machine<Output = SchemaRegistered> + Send, Error> {
        self.machine(start)
    }
}

impl AwaitSchema {
    pub(super) fn machine(&self, start: &Start) -> Result<Sequence<Waiting>, Error> {
        let deadline = start.now + self.longest;
        let logic = Waiting {
            ask: start.call(&GetOperation::new(&self.connection, &self.operation))?,
            look: start.call(&GetConnection::new(&self.connection))?,
            poll: Poll::until(deadline),
            gone_since: None,
            vanished: false,
        };
        let first = logic.ask.clone();
        Ok(Sequence::new(logic, first, start).until(deadline))
    }
}

/// How long an operation is not to be found before it is taken for vanished: nothing says that it
/// can be read at once where it was begun.
const VANISHED: Duration = Duration::from_secs(10);

pub(super) struct Waiting {
    ask: Call<Answer>,
    look: Call<Answer>,
    poll: Poll,
    // Since when every answer was a 404.
    gone_since: Option<Tick>,
    // Whether the connection decides.
    vanished: bool,
}

impl Logic for Waiting {
    type Answer = Answer;
    type Output = SchemaRegistered;

    fn next(
        &mut self,
        outcome: Result<Reply<Answer>, Error>,
        now: Tick,
    ) -> Next<Answer, SchemaRegistered> {
        match outcome.map(|reply| reply.value) {
            Ok(Answer::Operation(operation)) => match &operation.status {
                Some(ConnectionOperationStatus::Completed) => {
                    Next::Done(Ok(SchemaRegistered::Completed(operation)))
                }
                Some(ConnectionOperationStatus::Failed) => {
                    let error = operation.error.unwrap_or_default();
                    Next::Done(Err(Error::operation_failed(self.ask.route(), error)))
                }
                status => {
                    self.gone_since = None;
                    let status = status.as_ref().map_or("nothing", |status| status.as_str());
                    let last = format!("the operation said {status} when last asked");
                    self.poll.again(&self.ask, now, last)
                }
            },
            Ok(Answer::Connection(connection)) => match is_ready(&connection, &self.look) {
                Ok(true) => Next::Done(Ok(SchemaRegistered::Ready(connection))),
                Ok(false) => {
                    let last = format!("the operation has vanished, and {}", seen(&connection));
                    self.poll.again(&self.look, now, last)
                }
                Err(error) => Next::Done(Err(error)),
            },
            Err(error) if error.status() == Some(StatusCode::NOT_FOUND) && !self.vanished => {
                let since = *self.gone_since.get_or_insert(now);
                self.vanished = now.since(since) >= VANISHED;
                if self.vanished {
                    return Next::Call(self.look.clone(), now);
                }
                let last = "the operation was not to be found when last asked".to_owned();
                self.poll.again(&self.ask, now, last)
            }
            // A connection that is not there either never had an operation.
            Err(error) => Next::Done(Err(error)),
        }
    }
}
