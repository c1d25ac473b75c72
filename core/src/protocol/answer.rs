//! The answer to one request, as an endpoint's parser sees it.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};

use crate::types::{Lenient, read};

/// The answer to one request, together with the request.
#[derive(Debug)]
pub struct Answer<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
    body: &'a Bytes,
    request: &'a http::Request<Bytes>,
}

impl<'a> Answer<'a> {
    pub(super) fn new(
        request: &'a http::Request<Bytes>,
        response: &'a http::Response<Bytes>,
    ) -> Self {
        Self {
            status: response.status(),
            headers: response.headers(),
            body: response.body(),
            request,
        }
    }

    /// The status, from 200 to 299 or one that the route reads like a success.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The body as it arrived.
    pub fn body(&self) -> &'a Bytes {
        self.body
    }

    /// The request that this answers.
    pub fn request(&self) -> &'a http::Request<Bytes> {
        self.request
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// When it is empty, cut short, not JSON, or JSON of another shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        self.check_body()?;
        serde_json::from_slice(self.body).map_err(DecodeError::json)
    }

    /// As [`json`](Self::json), with parts that stay where they are in the body.
    pub(super) fn json_in_place<T: Deserialize<'a>>(&self) -> Result<T, DecodeError> {
        self.check_body()?;
        serde_json::from_slice(self.body).map_err(DecodeError::json)
    }

    /// Reads the body as a resource of this crate, of which a member of another shape than
    /// documented takes nothing away but itself.
    pub(crate) fn resource<T: DeserializeOwned + Lenient>(&self) -> Result<T, DecodeError> {
        self.check_body()?;
        read(self.body).map_err(DecodeError::json)
    }

    /// As [`resource`](Self::resource), where the operation is documented with and without a
    /// body. White space and `null` are none.
    pub(crate) fn resource_if_any<T: DeserializeOwned + Lenient>(
        &self,
    ) -> Result<Option<T>, DecodeError> {
        match self.body.trim_ascii() {
            b"" | b"null" => Ok(None),
            _ => self.resource().map(Some),
        }
    }

    fn check_body(&self) -> Result<(), DecodeError> {
        match self.body.is_empty() {
            true => Err(DecodeError::new(DecodeKind::Empty, "the body is empty")),
            false => Ok(()),
        }
    }
}

/// Why the answer to a success could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    kind: DecodeKind,
    detail: String,
}

/// In what way an answer could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeKind {
    /// There is no body where one is documented.
    Empty,
    /// The body ends in the middle.
    Truncated,
    /// The body is not JSON: an HTML page of a gateway, say.
    NotJson,
    /// The body is JSON, but not what the operation answers with.
    Shape,
    /// A header that carries the result is missing.
    Header,
}

impl DecodeError {
    /// For parsers of endpoints outside this crate.
    pub fn new(kind: DecodeKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    pub(crate) fn json(error: serde_json::Error) -> Self {
        let kind = match error.classify() {
            serde_json::error::Category::Eof => DecodeKind::Truncated,
            serde_json::error::Category::Data => DecodeKind::Shape,
            _ => DecodeKind::NotJson,
        };
        Self { kind, detail: error.to_string() }
    }

    /// In what way.
    pub fn kind(&self) -> DecodeKind {
        self.kind
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            DecodeKind::Empty | DecodeKind::Header => "",
            DecodeKind::Truncated => "the body is cut short: ",
            DecodeKind::NotJson => "the body is not JSON: ",
            DecodeKind::Shape => "the body has another shape: ",
        })?;
        f.write_str(&self.detail)
    }
}

impl std::error::Error for DecodeError {}
