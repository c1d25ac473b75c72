//! Waiting until a connection is ready, or gone.

use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::{
    external::{ConnectionState, GetConnection, StoredConnection},
    machine::{Logic, Machine, Next, Sequence, Start, Task, Tick},
    protocol::{Call, Error, Reply},
    types::ConnectionId,
};

/// Waits until a connection is `ready`: for a first registration whose operation is not known. With
/// the operation, [`AwaitSchema`](crate::external::AwaitSchema) also learns why it fails.
///
/// While a schema is updated the connection stays ready, so that this does not wait for an update.
///
/// A connection whose limit is exceeded has its schema, and is taken for ready. It is plain data
/// that can be written down and read again, so that another process goes on waiting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitReady {
    connection: ConnectionId,
    longest: Duration,
}

impl AwaitReady {
    /// Waits for `connection`, 30 minutes at most: registration is said to take 5 to 15.
    pub fn new(connection: ConnectionId) -> Self {
        Self { connection, longest: Duration::from_secs(1800) }
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
}

impl Task for AwaitReady {
    type Output = StoredConnection;

    fn start(
        &self,
        start: &Start,
    ) -> Result<impl Machine<Output = StoredConnection> + Send, Error> {
        self.machine(start)
    }
}

impl AwaitReady {
    pub(in crate::external) fn machine(&self, start: &Start) -> Result<Sequence<Readiness>, Error> {
        let ask = start.call(&GetConnection::new(&self.connection))?;
        let deadline = start.now + self.longest;
        let logic = Readiness { ask: ask.clone(), poll: Poll::until(deadline) };
        Ok(Sequence::new(logic, ask, start).until(deadline))
    }
}

pub(in crate::external) struct Readiness {
    ask: Call<StoredConnection>,
    poll: Poll,
}

impl Logic for Readiness {
    type Answer = StoredConnection;
    type Output = StoredConnection;

    fn next(
        &mut self,
        outcome: Result<Reply<StoredConnection>, Error>,
        now: Tick,
    ) -> Next<StoredConnection, StoredConnection> {
        match outcome.map(|reply| reply.value) {
            Ok(found) => match is_ready(&found, &self.ask) {
                Ok(true) => Next::Done(Ok(found)),
                Ok(false) => self.poll.again(&self.ask, now, seen(&found)),
                Err(error) => Next::Done(Err(error)),
            },
            Err(error) => Next::Done(Err(error)),
        }
    }
}

/// Whether a connection has its schema; an error if it never will.
pub(in crate::external) fn is_ready<A>(
    found: &StoredConnection,
    ask: &Call<A>,
) -> Result<bool, Error> {
    match found.state {
        Some(ConnectionState::Ready | ConnectionState::LimitExceeded) => Ok(true),
        Some(ConnectionState::Obsolete) => {
            let what = "the connection is obsolete and never gets ready; delete it";
            Err(Error::conflict(ask.route(), what.to_owned()))
        }
        _ => Ok(false),
    }
}

/// Waits until a connection that is being deleted is gone, when its id is free again.
///
/// Its items and groups go with it, so that this takes its time. It is plain data that can be
/// written down and read again, so that another process goes on waiting.
///
/// ```
/// use graphfeed_core::client::{Client, SendOptions, VirtualClock};
/// use graphfeed_core::external::{AwaitGone, DeleteConnection};
/// use graphfeed_core::protocol::ServiceRoot;
/// use graphfeed_core::types::{AccessToken, ConnectionId};
/// # let answers = std::sync::Mutex::new(vec![404, 200, 200, 202]);
/// # let transport = move |_: http::Request<bytes::Bytes>, _: &SendOptions| {
/// #     let status = answers.lock().unwrap().pop().unwrap();
/// #     let body = if status == 200 { r#"{"state":"ready"}"# } else { "" };
/// #     Ok(http::Response::builder().status(status).body(body.into()).unwrap())
/// # };
///
/// let client = Client::builder(ServiceRoot::v1(), AccessToken::new("token")?)
///     .build(transport, VirtualClock::default());
/// let connection = ConnectionId::new("contosohr")?;
/// client.send(&DeleteConnection::new(&connection))?;
/// client.run(&AwaitGone::new(connection))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitGone {
    connection: ConnectionId,
    longest: Duration,
}

impl AwaitGone {
    /// Waits for the end of `connection`, an hour at most. The documents do not say how long it
    /// takes.
    pub fn new(connection: ConnectionId) -> Self {
        Self { connection, longest: Duration::from_secs(3600) }
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
}

impl Task for AwaitGone {
    type Output = ();

    fn start(&self, start: &Start) -> Result<impl Machine<Output = ()> + Send, Error> {
        let ask = start.call(&GetConnection::new(&self.connection))?;
        let deadline = start.now + self.longest;
        let logic = Absence { ask: ask.clone(), poll: Poll::until(deadline) };
        Ok(Sequence::new(logic, ask, start).until(deadline))
    }
}

struct Absence {
    ask: Call<StoredConnection>,
    poll: Poll,
}

impl Logic for Absence {
    type Answer = StoredConnection;
    type Output = ();

    fn next(
        &mut self,
        outcome: Result<Reply<StoredConnection>, Error>,
        now: Tick,
    ) -> Next<StoredConnection, ()> {
        match outcome.map(|reply| reply.value) {
            Ok(found) => self.poll.again(&self.ask, now, seen(&found)),
            Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => Next::Done(Ok(())),
            Err(error) => Next::Done(Err(error)),
        }
    }
}

pub(in crate::external) fn seen(found: &StoredConnection) -> String {
    let state = found.state.as_ref().map_or("in no state", |state| state.as_str());
    format!("the connection was {state} when last seen")
}

/// Asking again and again: at first every second and then ever more rarely, up to a minute apart.
pub(in crate::external) struct Poll {
    deadline: Tick,
    interval: Duration,
}

const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

impl Poll {
    pub(in crate::external) fn until(deadline: Tick) -> Self {
        Self { deadline, interval: Duration::from_secs(1) }
    }

    /// Asks again after a while, if there is time; `last` is what the last answer said.
    pub(in crate::external) fn again<A, O>(
        &mut self,
        call: &Call<A>,
        now: Tick,
        last: String,
    ) -> Next<A, O> {
        let next = now + self.interval;
        self.interval = (self.interval * 2).min(LONGEST_INTERVAL);
        if next >= self.deadline {
            return Next::Done(Err(Error::still_running(call.route(), last)));
        }
        Next::Call(call.clone(), next)
    }
}
