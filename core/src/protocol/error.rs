//! How a call fails, and whether it wrote anything all the same.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::{
    Batch, DecodeError, Explanation, Failure, PublicError, Route, Sent, ServiceError, TokenError,
    retry_after,
    service_error::{REQUEST_ID, header_text},
};
use crate::types::BuildError;

/// A call failed.
///
/// [`cause`](Self::cause) says how, [`applied`](Self::applied) whether the service may have
/// carried it out nevertheless.
///
/// ```
/// use bytes::Bytes;
/// use graphfeed_core::client::{Client, SendOptions, VirtualClock};
/// use graphfeed_core::external::{DeleteConnection, GetConnection};
/// use graphfeed_core::protocol::{Applied, Cause, ServiceRoot};
/// use graphfeed_core::types::{AccessToken, ConnectionId};
///
/// let refuses = |_: http::Request<Bytes>, _: &SendOptions| {
///     let body = r#"{"error":{"code":"accessDenied","message":"Not yours.",
///         "innerError":{"code":"owner","message":"Another application made it."}}}"#;
///     Ok(http::Response::builder().status(403).body(body.into()).unwrap())
/// };
/// let client = Client::builder(ServiceRoot::v1(), AccessToken::new("token")?)
///     .build(refuses, VirtualClock::default());
/// let error = client.send(&DeleteConnection::new(&ConnectionId::new("contosohr")?)).unwrap_err();
/// assert_eq!(error.applied(), Applied::No);
/// let Cause::Service(refusal) = error.cause() else { panic!() };
/// assert_eq!(refusal.error().unwrap().cause().code.as_deref(), Some("owner"));
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone)]
pub struct Error(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    route: &'static Route,
    applied: Applied,
    cause: Cause,
    attempts: u32,
    gave_up: Option<GiveUp>,
    explanation: Option<Explanation>,
    with_batch: bool,
}

/// How a call failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// It was refused here, and nothing was sent.
    Build(BuildError),
    /// There is no token to send it with.
    Token(TokenError),
    /// It was held back until it gave up, and never sent.
    NeverSent(GiveUp),
    /// Something else is there already: what was found, and what to do about it.
    Conflict(String),
    /// An operation that the service had begun came to nothing.
    OperationFailed(PublicError),
    /// An operation had not ended when the time for waiting was over: what was last known of it.
    StillRunning(String),
    /// No answer came.
    Transport(Failure),
    /// The service answered with a status outside 200 to 299.
    Service(ServiceError),
    /// The service reported success, but its answer cannot be read.
    #[non_exhaustive]
    Unreadable {
        /// Why not.
        why: DecodeError,
        /// The status.
        status: StatusCode,
        /// Every header of the answer.
        headers: HeaderMap,
        /// The body as it arrived.
        body: Bytes,
    },
}

/// Why a call was not repeated, although it could have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GiveUp {
    /// The policy's attempts are used up.
    Attempts,
    /// The next attempt would come after the policy's total time.
    TotalTime,
    /// The calls of this client have used up their budget for repeats.
    Budget,
    /// What the call belongs to was stopped.
    Stopped,
}

/// Whether a call that failed changed anything in the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Applied {
    /// It did: the service reported success.
    Yes,
    /// It did not; sending it again cannot do it twice.
    No,
    /// It cannot be known.
    Maybe,
}

impl Error {
    fn new(route: &'static Route, applied: Applied, cause: Cause) -> Self {
        Self(Box::new(Parts {
            route,
            applied,
            cause,
            attempts: 1,
            gave_up: None,
            explanation: None,
            with_batch: false,
        }))
    }

    /// There is no token.
    pub(crate) fn token(route: &'static Route, error: TokenError) -> Self {
        Self::new(route, Applied::No, Cause::Token(error))
    }

    /// There is no token, and no call that needed one.
    pub(crate) fn sign_in(error: TokenError) -> Self {
        const SIGN_IN: Route = Route::get("Sign in", "/");
        Self::new(const { &SIGN_IN }, Applied::No, Cause::Token(error))
    }

    /// It waited, and gave up before it was sent at all.
    pub(crate) fn never_sent(route: &'static Route, why: GiveUp) -> Self {
        Self::new(route, Applied::No, Cause::NeverSent(why))
    }

    /// Something else is there already.
    pub(crate) fn conflict(route: &'static Route, what: String) -> Self {
        Self::new(route, Applied::No, Cause::Conflict(what))
    }

    /// An operation came to nothing.
    pub(crate) fn operation_failed(route: &'static Route, why: PublicError) -> Self {
        Self::new(route, Applied::No, Cause::OperationFailed(why))
    }

    /// An operation has not ended in time.
    pub(crate) fn still_running(route: &'static Route, last: String) -> Self {
        Self::new(route, Applied::No, Cause::StillRunning(last))
    }

    /// The same error at the end of a whole call: after so many attempts, one of which may have
    /// been carried out.
    pub(crate) fn after(mut self, attempts: u32, maybe_applied: bool) -> Self {
        self.0.attempts = attempts;
        if maybe_applied && self.0.applied == Applied::No {
            self.0.applied = Applied::Maybe;
        }
        self
    }

    pub(crate) fn gave_up(mut self, why: GiveUp) -> Self {
        self.0.gave_up = Some(why);
        self
    }

    pub(crate) fn explained(mut self, explanation: Explanation) -> Self {
        self.0.explanation = Some(explanation);
        self
    }

    /// What the failure of a whole batch is for a call that went with it. A batch that was carried
    /// out says nothing of its parts.
    pub(super) fn with_batch(&self, route: &'static Route) -> Self {
        let applied = match self.0.applied {
            Applied::Yes | Applied::Maybe if route.writes() => Applied::Maybe,
            _ => Applied::No,
        };
        let mut error = Self::new(route, applied, self.0.cause.clone());
        error.0.attempts = self.0.attempts;
        error.0.gave_up = self.0.gave_up;
        error.0.with_batch = true;
        error
    }

    /// The batch that a call went with was refused as a whole.
    pub(crate) fn batch_refused(route: &'static Route, answer: http::Response<Bytes>) -> Self {
        let whole = const { &Batch::<()>::ROUTE };
        Self::service(whole, ServiceError::read(answer)).with_batch(route)
    }

    /// The call was refused before anything was sent.
    pub fn build(route: &'static Route, why: BuildError) -> Self {
        Self::new(route, Applied::No, Cause::Build(why))
    }

    /// No answer came.
    pub fn transport(route: &'static Route, failure: Failure) -> Self {
        let applied = match (failure.sent(), failure.partial()) {
            _ if !route.writes() => Applied::No,
            // The status has come, and only the body broke off.
            (_, Some(answer)) => applied_by(answer.status()),
            (Sent::Maybe, None) => Applied::Maybe,
            (Sent::No, None) => Applied::No,
        };
        Self::new(route, applied, Cause::Transport(failure))
    }

    pub(super) fn service(route: &'static Route, error: ServiceError) -> Self {
        let applied = match error.status() {
            _ if !route.writes() => Applied::No,
            // By older documents a whole batch fails with it when one of its parts is throttled.
            StatusCode::FAILED_DEPENDENCY if *route == Batch::<()>::ROUTE => Applied::Maybe,
            status => applied_by(status),
        };
        Self::new(route, applied, Cause::Service(error))
    }

    pub(super) fn unreadable(
        route: &'static Route,
        why: DecodeError,
        response: http::Response<Bytes>,
    ) -> Self {
        let (parts, body) = response.into_parts();
        let applied = if route.writes() { applied_by(parts.status) } else { Applied::No };
        let cause = Cause::Unreadable { why, status: parts.status, headers: parts.headers, body };
        Self::new(route, applied, cause)
    }

    /// What failed, such as `Create or replace item`.
    pub fn operation(&self) -> &'static str {
        self.0.route.name
    }

    /// How it failed.
    pub fn cause(&self) -> &Cause {
        &self.0.cause
    }

    /// Whether it changed anything in the service. A call that only reads never does.
    pub fn applied(&self) -> Applied {
        self.0.applied
    }

    /// How many attempts went out.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Why it was not tried once more, if it could have been.
    pub fn why_given_up(&self) -> Option<GiveUp> {
        match self.cause() {
            Cause::NeverSent(why) => Some(*why),
            _ => self.0.gave_up,
        }
    }

    /// What a 401 or 403 would have needed.
    pub fn explanation(&self) -> Option<&Explanation> {
        self.0.explanation.as_ref()
    }

    /// What the service said, if it answered with an error.
    pub fn service_error(&self) -> Option<&ServiceError> {
        match self.cause() {
            Cause::Service(error) => Some(error),
            _ => None,
        }
    }

    /// The status of the answer, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        match self.cause() {
            Cause::Service(error) => Some(error.status()),
            Cause::Unreadable { status, .. } => Some(*status),
            Cause::Transport(failure) => failure.partial().map(http::Response::status),
            _ => None,
        }
    }

    /// The service's id of the request, which its support asks for.
    pub fn request_id(&self) -> Option<&str> {
        match self.cause() {
            Cause::Service(error) => error.request_id(),
            Cause::Unreadable { headers, .. } => header_text(headers, REQUEST_ID),
            Cause::Transport(failure) => header_text(failure.partial()?.headers(), REQUEST_ID),
            _ => None,
        }
    }

    /// How long the service asks to wait before the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.cause() {
            Cause::Service(error) => error.retry_after(),
            Cause::Transport(failure) => retry_after(failure.partial()?.headers()),
            _ => None,
        }
    }
}

/// What a status says of a write. A refusal (4xx) means that nothing was done; a server that
/// failed (5xx) or ran out of patience (408, 499) may have done it before, as creating a
/// connection with a broken template shows, which answers 503 and is there afterwards. Of a
/// status that HTTP does not know, nothing is known.
pub(crate) fn applied_by(status: StatusCode) -> Applied {
    match status.as_u16() {
        // Some of it was done, and the body that says what is lost.
        207 => Applied::Maybe,
        200..=299 => Applied::Yes,
        303 | 408 | 499 => Applied::Maybe,
        300..=499 | 501 => Applied::No,
        _ => Applied::Maybe,
    }
}

// What `unwrap` and `fn main() -> Result<..>` print is for a person; `{:#?}` shows the parts.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match f.alternate() {
            true => fmt::Debug::fmt(&self.0, f),
            false => write!(f, "Error({self})"),
        }
    }
}

impl fmt::Display for GiveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attempts => "the policy allows no more",
            Self::TotalTime => "the next would come after the policy's total time",
            Self::Budget => "the calls of this client have used up their repeats",
            Self::Stopped => "what it belongs to was stopped",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.operation())?;
        if self.0.with_batch {
            f.write_str("with its batch: ")?;
        }
        match self.cause() {
            Cause::Build(why) => write!(f, "not sent: {why}")?,
            Cause::Token(why) => write!(f, "no token: {why}")?,
            Cause::NeverSent(_) => f.write_str("not sent")?,
            Cause::Conflict(what) => f.write_str(what)?,
            Cause::OperationFailed(why) => write!(f, "the operation failed: {why}")?,
            Cause::StillRunning(last) => {
                write!(f, "{last}; wait longer, or go on waiting later")?;
            }
            Cause::Transport(failure) => write!(f, "{}", failure.chain())?,
            Cause::Service(error) => write!(f, "{error}")?,
            Cause::Unreadable { why, status, body, .. } => {
                write!(f, "{status}, but of its {} bytes of answer: {why}", body.len())?;
            }
        }
        if let Some(explanation) = self.explanation() {
            write!(f, "; {explanation}")?;
        }
        if let Some(why) = self.why_given_up() {
            let attempts = self.attempts();
            let s = if attempts == 1 { "" } else { "s" };
            write!(f, "; given up after {attempts} attempt{s}, for {why}")?;
        }
        f.write_str(match (self.applied(), self.cause()) {
            (Applied::Yes, _) => "; it was carried out",
            (Applied::Maybe, Cause::Transport(_)) if self.attempts() == 1 => "",
            (Applied::Maybe, _) => "; it may have been carried out",
            (Applied::No, Cause::Service(_)) if self.0.route.writes() => "; it was not carried out",
            (Applied::No, _) => "",
        })
    }
}

// No `source`: the text above tells the whole chain, and `cause` gives the values.
impl std::error::Error for Error {}
