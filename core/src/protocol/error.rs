//! How a call fails, and whether it wrote anything all the same.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::{DecodeError, Failure, Route, Sent, ServiceError};
use crate::types::BuildError;

/// A call failed.
///
/// [`cause`](Self::cause) says how, [`applied`](Self::applied) whether the service may have
/// carried it out nevertheless.
#[derive(Debug)]
pub struct Error(Box<Parts>);

#[derive(Debug)]
struct Parts {
    operation: &'static str,
    applied: Applied,
    cause: Cause,
}

/// How a call failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// It was refused here, and nothing was sent.
    Build(BuildError),
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
    fn new(operation: &'static str, applied: Applied, cause: Cause) -> Self {
        Self(Box::new(Parts { operation, applied, cause }))
    }

    /// The call was refused before anything was sent.
    pub fn build(route: &'static Route, why: BuildError) -> Self {
        Self::new(route.name, Applied::No, Cause::Build(why))
    }

    /// No answer came.
    pub fn transport(route: &'static Route, failure: Failure) -> Self {
        let applied = match failure.sent() {
            Sent::Maybe if route.writes() => Applied::Maybe,
            _ => Applied::No,
        };
        Self::new(route.name, applied, Cause::Transport(failure))
    }

    pub(super) fn service(route: &'static Route, error: ServiceError) -> Self {
        let applied = if route.writes() { applied_by(error.status()) } else { Applied::No };
        Self::new(route.name, applied, Cause::Service(error))
    }

    pub(super) fn unreadable(
        route: &'static Route,
        why: DecodeError,
        response: http::Response<Bytes>,
    ) -> Self {
        let (parts, body) = response.into_parts();
        let applied = match parts.status {
            _ if !route.writes() => Applied::No,
            // Some of it was done, and the body that says what is lost.
            StatusCode::MULTI_STATUS => Applied::Maybe,
            _ => Applied::Yes,
        };
        let cause = Cause::Unreadable { why, status: parts.status, headers: parts.headers, body };
        Self::new(route.name, applied, cause)
    }

    /// What failed, such as `Create or replace item`.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// How it failed.
    pub fn cause(&self) -> &Cause {
        &self.0.cause
    }

    /// Whether it changed anything in the service. A call that only reads never does.
    pub fn applied(&self) -> Applied {
        self.0.applied
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
            _ => None,
        }
    }

    /// The service's id of the request, which its support asks for.
    pub fn request_id(&self) -> Option<&str> {
        match self.cause() {
            Cause::Service(error) => error.request_id(),
            Cause::Unreadable { headers, .. } => {
                super::service_error::header_text(headers, super::service_error::REQUEST_ID)
            }
            _ => None,
        }
    }

    /// How long the service asks to wait before the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        self.service_error()?.retry_after()
    }
}

/// What a status says of a write. A refusal (4xx) means that nothing was done; a server that
/// failed (5xx) or ran out of patience (408) may have done it before, as creating a connection
/// with a broken template shows, which answers 503 and is there afterwards.
fn applied_by(status: StatusCode) -> Applied {
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::SEE_OTHER => Applied::Maybe,
        StatusCode::NOT_IMPLEMENTED => Applied::No,
        status if status.is_server_error() => Applied::Maybe,
        _ => Applied::No,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.operation())?;
        match self.cause() {
            Cause::Build(why) => write!(f, "not sent: {why}")?,
            Cause::Transport(failure) => {
                write!(f, "{failure}")?;
                let mut source = std::error::Error::source(failure);
                while let Some(error) = source {
                    write!(f, ": {error}")?;
                    source = error.source();
                }
            }
            Cause::Service(error) => write!(f, "{error}")?,
            Cause::Unreadable { why, status, body, .. } => {
                write!(f, "{status}, but of its {} bytes of answer: {why}", body.len())?;
            }
        }
        match (self.applied(), self.cause()) {
            (Applied::Yes, _) => f.write_str("; it was carried out"),
            (Applied::Maybe, _) => f.write_str("; it may have been carried out"),
            (Applied::No, _) => Ok(()),
        }
    }
}

// No `source`: the text above tells the whole chain, and `cause` gives the values.
impl std::error::Error for Error {}
