//! What a transport says when no answer came.

use std::{error::Error as StdError, fmt, sync::Arc};

use bytes::Bytes;
use http::StatusCode;

/// Whether a request that got no answer may have reached the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sent {
    /// Not a byte of it left: the host was not found, the connection refused, the certificate bad.
    No,
    /// Some or all of it may have arrived. What cannot be known is this.
    Maybe,
}

/// Why a transport brought back no answer.
#[derive(Clone, Debug)]
pub struct Failure {
    sent: Sent,
    permanent: bool,
    partial: Option<Box<http::Response<Bytes>>>,
    source: Arc<dyn StdError + Send + Sync>,
}

impl Failure {
    /// The request did not leave; repeating it is harmless.
    pub fn not_sent(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { sent: Sent::No, permanent: false, partial: None, source: Arc::from(source.into()) }
    }

    /// The request may have arrived.
    pub fn maybe_sent(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            sent: Sent::Maybe,
            permanent: false,
            partial: None,
            source: Arc::from(source.into()),
        }
    }

    /// Keeps what did arrive of an answer that broke off: status, headers, and the start of the
    /// body.
    #[must_use]
    pub fn with_partial(mut self, answer: http::Response<Bytes>) -> Self {
        self.partial = Some(Box::new(answer));
        self
    }

    /// What did arrive of an answer that broke off.
    pub fn partial(&self) -> Option<&http::Response<Bytes>> {
        self.partial.as_deref()
    }

    /// Marks a cause that repeating cannot cure: a bad certificate, plain http refused.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.permanent = true;
        self
    }

    /// Whether the request may have reached the service.
    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// Whether repeating the request as it is cannot succeed.
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }
}

impl Failure {
    /// What the failure of a whole batch is for a call that went with it: that the batch was
    /// carried out, and only its answer broke off, says nothing of its parts.
    pub(crate) fn of_part(&self) -> Self {
        let says_nothing = |answer: &http::Response<Bytes>| {
            answer.status().is_success() || answer.status() == StatusCode::FAILED_DEPENDENCY
        };
        match self.partial() {
            Some(answer) if says_nothing(answer) => {
                Self { sent: Sent::Maybe, partial: None, ..self.clone() }
            }
            _ => self.clone(),
        }
    }

    /// The failure with all that caused it, for an error that is told in one line.
    pub(crate) fn chain(&self) -> Chain<'_> {
        Chain(self)
    }
}

pub(crate) struct Chain<'a>(&'a Failure);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.sent {
            Sent::No => "the request was not sent",
            Sent::Maybe => "no answer, and the request may have arrived",
        })
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
