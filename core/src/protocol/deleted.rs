//! What a DELETE came to.

use http::StatusCode;

use super::{Answer, DecodeError};

/// What a DELETE came to. That there was nothing to delete is as good for a caller as that there
/// was, and told apart.
///
/// A 404 does not say what is missing. It is the same where what it was in is missing: a group, or
/// the whole connection, because it was deleted, or because its id is another. What was to be
/// deleted is not there then either; whoever has to know more asks for the connection.
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
