//! What becomes of a request on its way back: an answer, most often, and sometimes less.
//!
//! Plain data, and how a fault makes it out of an answer. Who waits and who closes a connection is
//! in `emulator.rs` and `server.rs`.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use crate::{
    date::Moment,
    faults::{Effect, End, RetryAfter},
};

/// What becomes of a request, and when.
#[derive(Debug)]
#[non_exhaustive]
pub struct Delivery {
    /// How long it takes until then.
    pub latency: Duration,
    /// What the client gets.
    pub outcome: Outcome,
}

/// What a client gets. Its `Debug` shows no body, for a token may be in it.
#[non_exhaustive]
pub enum Outcome {
    /// A whole answer.
    Answer(Response<Bytes>),
    /// An answer that breaks off: its body is shorter than what it announces.
    #[non_exhaustive]
    Truncated {
        /// The answer with the body as far as it comes.
        answer: Response<Bytes>,
        /// The length that it announces.
        announced: usize,
    },
    /// No answer: the connection is closed.
    Reset,
    /// Nothing for so long, and then no answer either.
    Hang(Duration),
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => {
                write!(f, "Answer({}, {} bytes)", answer.status(), answer.body().len())
            }
            Self::Truncated { answer, announced } => {
                let (status, length) = (answer.status(), answer.body().len());
                write!(f, "Truncated({status}, {length} of {announced} bytes)")
            }
            Self::Reset => f.write_str("Reset"),
            Self::Hang(bound) => write!(f, "Hang({bound:?})"),
        }
    }
}

/// What an answer that breaks off announces beyond what it has.
const MORE: usize = 64;

impl Delivery {
    /// A whole answer.
    pub(crate) fn whole(latency: Duration, answer: Response<Bytes>) -> Self {
        Self { latency, outcome: Outcome::Answer(answer) }
    }

    /// What the effect of a fault leaves. `answer` is the true one, or that of the fault.
    pub(crate) fn struck(
        effect: &Effect,
        latency: Duration,
        answer: Response<Bytes>,
        now: Moment,
    ) -> Self {
        let outcome = match effect.end {
            End::Reset => Outcome::Reset,
            End::Hang(bound) => Outcome::Hang(bound),
            End::Truncated => {
                let announced = answer.body().len() + MORE;
                let answer = answer.map(|body| body.slice(..body.len() / 2));
                Outcome::Truncated { answer, announced }
            }
            End::Html(status) => Outcome::Answer(decorated(effect, page(status, now), now)),
            End::Status(_) | End::Pass | End::NoResponses | End::UnknownId => {
                Outcome::Answer(decorated(effect, answer, now))
            }
        };
        Self { latency, outcome }
    }

    /// The answer, if there is a whole one.
    pub(crate) fn answer(&self) -> Option<&Response<Bytes>> {
        match &self.outcome {
            Outcome::Answer(answer) => Some(answer),
            _ => None,
        }
    }

    /// As a gateway in front of the service would pass it on: 502 where the connection was closed
    /// or the answer broke off, 504 where nothing came.
    pub fn into_response(self) -> Response<Bytes> {
        let status = match self.outcome {
            Outcome::Answer(answer) => return answer,
            Outcome::Truncated { .. } | Outcome::Reset => StatusCode::BAD_GATEWAY,
            Outcome::Hang(_) => StatusCode::GATEWAY_TIMEOUT,
        };
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = status;
        response
    }
}

/// The status of this number; 500 if it is none of an answer.
pub(crate) fn status(number: u16) -> StatusCode {
    let status = StatusCode::from_u16(number).ok().filter(|_| (200..600).contains(&number));
    status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The page of a gateway: none of the service's headers.
fn page(number: u16, now: Moment) -> Response<Bytes> {
    let status = status(number);
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("Error"));
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>Microsoft-Azure-Application-Gateway/v2</center>\r\n</body>\r\n</html>\r\n"
    );
    let mut response = Response::new(Bytes::from(page));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    append(&mut response, header::DATE, &now.http());
    response
}

fn decorated(effect: &Effect, mut answer: Response<Bytes>, now: Moment) -> Response<Bytes> {
    for each in &effect.retry_after {
        let (name, value) = told(each, now);
        append(&mut answer, name, &value);
    }
    for (name, value) in &effect.headers {
        if let Ok(name) = HeaderName::try_from(name.as_str()) {
            append(&mut answer, name, value);
        }
    }
    answer
}

pub(crate) const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("x-ms-retry-after-ms");

/// The header that says when to come back.
pub(crate) fn told(retry_after: &RetryAfter, now: Moment) -> (HeaderName, String) {
    match retry_after {
        RetryAfter::Value(value) => (header::RETRY_AFTER, value.clone()),
        RetryAfter::Date(ahead) => (header::RETRY_AFTER, now.ahead(*ahead).http()),
        RetryAfter::Milliseconds(value) => (RETRY_AFTER_MS, value.clone()),
    }
}

fn append(answer: &mut Response<Bytes>, name: HeaderName, value: &str) {
    // What no header can hold is left out, as the documentation of the fault says.
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().append(name, value);
    }
}
