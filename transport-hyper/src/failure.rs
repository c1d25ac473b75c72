//! What certainly did not leave, and what may have.

use std::{error::Error, fmt, io};

use graphfeed_core::client::Failure;
use http::uri::Authority;

/// The error of a service, whatever its type.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// An error with the address it came up with.
#[derive(Debug)]
pub(crate) struct SendError {
    to: Option<Authority>,
    error: BoxError,
}

impl SendError {
    pub(crate) fn new(to: Option<Authority>, error: BoxError) -> Self {
        Self { to, error }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            Some(to) => write!(f, "{to}: {}", self.error),
            None => write!(f, "{}", self.error),
        }
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// What cannot be known may have been sent.
pub(crate) fn classify(to: Option<Authority>, error: BoxError) -> Failure {
    let permanent = any(&*error, is_bad_certificate);
    let not_sent = permanent
        || any(&*error, is_before_connection)
        || error
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(hyper_util::client::legacy::Error::is_connect);
    let error = SendError::new(to, error);
    match (not_sent, permanent) {
        (true, true) => Failure::not_sent(error).permanent(),
        (true, false) => Failure::not_sent(error),
        (false, _) => Failure::maybe_sent(error),
    }
}

/// Whether an error, or what caused it, is of a kind.
fn any(error: &(dyn Error + 'static), is: fn(&(dyn Error + 'static)) -> bool) -> bool {
    // An io error keeps what caused it inside rather than behind it.
    let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    is(error)
        || inside.is_some_and(|inside| any(inside, is))
        || error.source().is_some_and(|source| any(source, is))
}

/// Certificates are looked at before any byte of a request is sent.
fn is_bad_certificate(error: &(dyn Error + 'static)) -> bool {
    matches!(
        error.downcast_ref::<rustls::Error>(),
        Some(
            rustls::Error::InvalidCertificate(_)
                | rustls::Error::NoCertificatesPresented
                | rustls::Error::UnsupportedNameType
        )
    )
}

/// Kinds that only making a connection ends with.
fn is_before_connection(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::AddrNotAvailable
        )
    })
}
