//! What a DELETE came to.

use http::StatusCode;

use super::{Answer, DecodeError};

/// What a DELETE came to. That there was nothing to delete is as good for a caller as that there
/// was, and told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deleted {
    /// It was there and is gone.
    Now,
    /// It was not there (404).
    NotFound,
}

impl Deleted {
    /// For [`Endpoint::parse`](super::Endpoint::parse) of an operation whose route
    /// [reads](super::Route::reads) a 404.
    ///
    /// # Errors
    /// Never; the signature is that of `parse`.
    pub fn parse(answer: &Answer<'_>) -> Result<Self, DecodeError> {
        Ok(match answer.status() {
            StatusCode::NOT_FOUND => Self::NotFound,
            _ => Self::Now,
        })
    }
}
