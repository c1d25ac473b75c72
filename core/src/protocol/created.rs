//! What a POST with an id of the caller's came to.

use http::StatusCode;
use serde::de::DeserializeOwned;

use super::{Answer, DecodeError};
use crate::types::Lenient;

/// What the creation of something under an id of the caller's came to. That it was there already
/// is as good for a caller who wants it to be there, and told apart. So it does no harm to create
/// twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created<T> {
    /// There was none; there is now, as the service answers with it. Of an answer without a body
    /// the value is empty: that something was created is said by the status.
    Now(T),
    /// There is one with this id already (409); it is left as it is.
    AlreadyExists,
}

impl<T> Created<T> {
    /// For an operation whose route [reads](super::Route::reads) a 409.
    pub(crate) fn parse(answer: &Answer<'_>) -> Result<Self, DecodeError>
    where
        T: DeserializeOwned + Lenient + Default,
    {
        match answer.status() {
            StatusCode::CONFLICT => Ok(Self::AlreadyExists),
            _ => answer.resource_if_any().map(|it| Self::Now(it.unwrap_or_default())),
        }
    }
}
