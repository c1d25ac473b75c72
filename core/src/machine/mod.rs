//! What happens over time, as machines without I/O: they are told what time it is and what came
//! back, and say what to do next.
//!
//! Lives here: one call with its retries ([`Exchange`]), many calls in few requests
//! ([`Batches`]), many calls under keys ([`Ingest`]), what all calls of a client share
//! ([`Shared`]: throttling gates, the retry budget, the token), how they wait and give up
//! ([`Policy`]), and how tokens are fetched ([`identity`]). May not live here: any resource, any
//! lock, any clock.
//!
//! # The contract
//!
//! A driver calls `poll` and does what the [`Step`] says, then reports with `on_response`,
//! `on_failure` or `on_token` and polls again. [`Step::Wait`] means "poll again at that time, or
//! sooner when something in [`Shared`] has changed". A machine that will not be driven to its
//! end is given up with `abandon`, so that what it holds (the lease to fetch a token, the right
//! to go first through a gate) passes on at once; if even that is forgotten, it passes on when
//! its time is up.
//!
//! ```
//! use std::time::Duration;
//! use graphfeed_core::external::GetConnection;
//! use graphfeed_core::machine::{Exchange, Machine, Policy, Shared, Step, Tick, Token};
//! use graphfeed_core::protocol::{Endpoint, ServiceRoot};
//! use graphfeed_core::types::{AccessToken, ConnectionId};
//!
//! let call = GetConnection::new(&ConnectionId::new("contosohr")?).call(&ServiceRoot::v1())?;
//! let mut shared = Shared::default();
//! let mut now = Tick::default();
//! let mut exchange = Exchange::new(call, &Policy::default(), 7, now);
//! let mut answers = [503, 200].into_iter();
//! let reply = loop {
//!     match exchange.poll(now, &mut shared) {
//!         Step::Token(need) => {
//!             let token = Token::new(AccessToken::new("secret")?);
//!             exchange.on_token(need.lease, now, Ok(token), &mut shared);
//!         }
//!         Step::Send(attempt) => {
//!             assert_eq!(attempt.request.headers()["Authorization"], "Bearer secret");
//!             now += Duration::from_millis(20);
//!             let mut answer = http::Response::new(r#"{"id":"contosohr"}"#.into());
//!             *answer.status_mut() = http::StatusCode::from_u16(answers.next().unwrap())?;
//!             exchange.on_response(attempt.ticket, now, answer, &mut shared);
//!         }
//!         Step::Wait(until) => now = until,
//!         Step::Done(reply) => break reply?,
//!     }
//! };
//! assert_eq!(reply.value.id.as_deref(), Some("contosohr"));
//! assert!(now.since_origin() > Duration::from_millis(250), "it waited before the second attempt");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batches;
mod event;
mod exchange;
pub mod identity;
mod ingest;
mod pages;
mod policy;
mod random;
mod retry;
mod shared;
mod sign_in;
mod task;
mod tick;
mod token;

pub use batches::{Answers, Batches, Part};
pub use event::{Event, EventKind, WaitReason};
pub use exchange::Exchange;
pub use ingest::{
    AfterFailure, End, Ending, FailureShare, Ingest, IngestSettings, IngestStep, Outcome, Packing,
    Progress, SkipReason, Summary,
};
pub use pages::Pages;
pub use policy::{Budget, Policy};
pub use shared::Shared;
pub use sign_in::SignIn;
pub use task::{Start, Task};
pub use tick::Tick;
pub use token::{Lease, Token, TokenNeed};

pub(crate) use task::{Logic, Next, Sequence};

use bytes::Bytes;

use crate::protocol::{Error, Failure, TokenError};

/// A machine that a driver can drive: one call, or several that belong together.
pub trait Machine {
    /// What it comes to in the end.
    type Output;

    /// What to do next. After [`Step::Done`] there is nothing more.
    fn poll(&mut self, now: Tick, shared: &mut Shared) -> Step<Self::Output>;

    /// An answer came. One to an attempt that is no longer waited for is ignored.
    fn on_response(
        &mut self,
        ticket: Ticket,
        now: Tick,
        response: http::Response<Bytes>,
        shared: &mut Shared,
    );

    /// No answer came. One for an attempt that is no longer waited for is ignored.
    fn on_failure(&mut self, ticket: Ticket, now: Tick, failure: Failure, shared: &mut Shared);

    /// The token that [`Step::Token`] asked for came, or did not.
    fn on_token(
        &mut self,
        lease: Lease,
        now: Tick,
        token: Result<Token, TokenError>,
        shared: &mut Shared,
    );

    /// Hands on what the machine holds, for it will not be driven to its end.
    fn abandon(&mut self, shared: &mut Shared);
}

/// What a machine wants done.
#[derive(Debug)]
#[must_use]
#[allow(clippy::large_enum_variant, reason = "it is moved once, and a box would be allocated")]
pub enum Step<T> {
    /// Fetch a token and report it with `on_token`.
    Token(TokenNeed),
    /// Send a request and report its answer with `on_response` or `on_failure`.
    Send(Attempt),
    /// Nothing until that time, which is later than now, or until something in [`Shared`] has
    /// changed.
    Wait(Tick),
    /// It is over, and this comes once.
    Done(Result<T, Error>),
}

/// Names one attempt, so that a late answer is not taken for that of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub(crate) u64);

/// One request that is to be sent now.
#[non_exhaustive]
pub struct Attempt {
    /// To be given back with the answer.
    pub ticket: Ticket,
    /// The request, with its token.
    pub request: http::Request<Bytes>,
    /// How long to wait for the answer at most.
    pub timeout: std::time::Duration,
    /// When the machine gives the attempt up. After that it must not go out any more: the next
    /// call may be out, which it would overtake.
    pub deadline: Tick,
    /// Whether to use a connection that has carried no request before.
    pub new_connection: bool,
}

// The body is the user's content, and no log is the place for it.
impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt")
            .field("ticket", &self.ticket)
            .field("method", self.request.method())
            .field("uri", self.request.uri())
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .field("new_connection", &self.new_connection)
            .finish_non_exhaustive()
    }
}
