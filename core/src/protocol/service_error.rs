//! What the service says when it refuses: status, headers, and the error envelope with its whole
//! inner chain, where the real cause is.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, Visitor},
};

use super::{
    PublicErrorDetail,
    error_text::{OneError, write_with_cause},
    retry_after,
};
use crate::types::{Key, OtherMembers, quote};

pub(super) const REQUEST_ID: &str = "request-id";
pub(super) const CLIENT_REQUEST_ID: &str = "client-request-id";

/// An answer with a status outside 200 to 299.
#[derive(Clone, Debug)]
pub struct ServiceError {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    error: Option<GraphError>,
}

/// The `error` of the envelope, or one `innerError` of its chain
/// ([errors](https://learn.microsoft.com/graph/errors)).
///
/// Branch on [`code`](Self::code), without letter case; messages change.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct GraphError {
    /// What to branch on; may be an empty text.
    pub code: Option<String>,
    /// For a developer.
    pub message: Option<String>,
    /// What the error is about.
    pub target: Option<String>,
    /// Further errors.
    pub details: Vec<PublicErrorDetail>,
    /// The more specific error (`innerError`, also read as `innererror`).
    pub inner: Option<Box<Self>>,
    /// Everything else: `date`, `request-id` and what is new.
    pub other: OtherMembers,
}

/// The chain of an error, from the outermost to the most specific.
#[derive(Clone, Debug)]
pub struct InnerErrors<'a>(Option<&'a GraphError>);

impl<'a> Iterator for InnerErrors<'a> {
    type Item = &'a GraphError;

    fn next(&mut self) -> Option<&'a GraphError> {
        let error = self.0?;
        self.0 = error.inner.as_deref();
        Some(error)
    }
}

impl GraphError {
    /// The chain, beginning with this error.
    pub fn chain(&self) -> InnerErrors<'_> {
        InnerErrors(Some(self))
    }

    /// The most specific error of the chain that has a code or a message: mostly the cause.
    pub fn cause(&self) -> &Self {
        let says = |error: &&Self| {
            [&error.code, &error.message]
                .into_iter()
                .any(|text| text.as_ref().is_some_and(|text| !text.is_empty()))
        };
        self.chain().filter(says).last().unwrap_or(self)
    }

    /// Drops what has the wrong shape rather than the whole error: an error that cannot be read
    /// in full is still worth its code. Strictly first, which is fast.
    fn read(body: &[u8]) -> Option<Self> {
        fn read<const LENIENT: bool>(body: &[u8]) -> serde_json::Result<GraphError> {
            #[derive(Deserialize)]
            struct Envelope<const LENIENT: bool> {
                error: Read<LENIENT>,
            }
            serde_json::from_slice::<Envelope<LENIENT>>(body).map(|envelope| envelope.error.0)
        }
        read::<false>(body).or_else(|_| read::<true>(body)).ok()
    }
}

/// An error that is being read. Leniently, a member costs nothing but itself.
struct Read<const LENIENT: bool>(GraphError);

impl<'de, const LENIENT: bool> Deserialize<'de> for Read<LENIENT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<const LENIENT: bool>;

        impl<'de, const LENIENT: bool> Members<LENIENT> {
            fn value<T, A>(members: &mut A) -> Result<Option<T>, A::Error>
            where
                T: de::DeserializeOwned,
                A: MapAccess<'de>,
            {
                match LENIENT {
                    true => Ok(members.next_value::<Loose<_>>()?.0),
                    false => members.next_value(),
                }
            }
        }

        impl<'de, const LENIENT: bool> Visitor<'de> for Members<LENIENT> {
            type Value = GraphError;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an error object")
            }

            // Gateways in front of Graph answer `{"error":"text"}`.
            fn visit_str<E: de::Error>(self, code: &str) -> Result<GraphError, E> {
                Ok(GraphError { code: Some(code.to_owned()), ..GraphError::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<GraphError, A::Error> {
                let mut error = GraphError::default();
                while let Some(Key(name)) = members.next_key()? {
                    match &*name {
                        "code" => error.code = Self::value(&mut members)?,
                        "message" => error.message = Self::value(&mut members)?,
                        "target" => error.target = Self::value(&mut members)?,
                        "details" => {
                            error.details = Self::value(&mut members)?.unwrap_or_default();
                        }
                        "innerError" | "innererror" => {
                            // Not through `Loose`: the reader's limit on depth has to see it.
                            let inner: Option<Read<LENIENT>> = members.next_value()?;
                            error.inner = inner.map(|Read(inner)| Box::new(inner));
                        }
                        _ => {
                            let value = members.next_value()?;
                            error.other.push(name, value);
                        }
                    }
                }
                Ok(error)
            }

            fn visit_unit<E: de::Error>(self) -> Result<GraphError, E> {
                Ok(GraphError::default())
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<GraphError, E> {
                Ok(GraphError::default())
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<GraphError, E> {
                Ok(GraphError::default())
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<GraphError, E> {
                Ok(GraphError::default())
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<GraphError, E> {
                Ok(GraphError::default())
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<GraphError, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(GraphError::default())
            }
        }

        deserializer.deserialize_any(Members::<LENIENT>).map(Self)
    }
}

/// A value that becomes `None` where it has another shape than expected.
struct Loose<T>(Option<T>);

impl<'de, T: de::DeserializeOwned> Deserialize<'de> for Loose<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = crate::types::RawJson::deserialize(deserializer)?;
        Ok(Self(raw.read().ok()))
    }
}

impl ServiceError {
    pub(crate) fn read(response: http::Response<Bytes>) -> Self {
        let error = GraphError::read(response.body());
        let (parts, body) = response.into_parts();
        Self { status: parts.status, headers: parts.headers, body, error }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Every header of the answer.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body as it arrived, whatever it is.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The envelope's error; `None` when the body is empty, an HTML page, or cut short.
    pub fn error(&self) -> Option<&GraphError> {
        self.error.as_ref()
    }

    /// The service's id of the request, from the header or the envelope.
    pub fn request_id(&self) -> Option<&str> {
        self.id(REQUEST_ID)
    }

    /// The caller's id of the request, as the service gives it back.
    pub fn client_request_id(&self) -> Option<&str> {
        self.id(CLIENT_REQUEST_ID)
    }

    /// How long the service asks to wait; see [`retry_after`].
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers)
    }

    fn id(&self, name: &str) -> Option<&str> {
        header_text(&self.headers, name).or_else(|| {
            let mut chain = self.error.as_ref()?.chain();
            let found = chain.find_map(|error| error.other.get(name))?;
            found.get().strip_prefix('"')?.strip_suffix('"')
        })
    }
}

pub(super) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// How many of the further errors a text names; the others are counted.
const DETAILS: usize = 5;

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        match &self.error {
            Some(error) => write!(f, ": {error}")?,
            None if self.body.is_empty() => f.write_str(", without a body")?,
            None => {
                let start = &self.body[..self.body.len().min(256)];
                write!(f, ", not an error of Graph: {}", quote(&String::from_utf8_lossy(start)))?;
            }
        }
        if let Some(id) = self.request_id() {
            write!(f, " (request-id {id})")?;
        }
        Ok(())
    }
}

/// The error, its cause, and the further errors.
impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = self.cause();
        let own = OneError::new(&self.code, &self.message, &self.target);
        let deeper = OneError::new(&cause.code, &cause.message, &cause.target);
        write_with_cause(f, &own, (!std::ptr::eq(cause, self)).then_some(&deeper))?;
        let is_told = |detail: &&PublicErrorDetail| {
            (&detail.code, &detail.target) != (&cause.code, &cause.target)
        };
        let further: Vec<_> = self.details.iter().filter(is_told).collect();
        for detail in further.iter().take(DETAILS) {
            let detail = OneError::new(&detail.code, &detail.message, &detail.target);
            write!(f, "; also {detail}")?;
        }
        match further.len().saturating_sub(DETAILS) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for ServiceError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, headers: &[(&'static str, &str)], body: &str) -> ServiceError {
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        ServiceError::read(response.body(Bytes::copy_from_slice(body.as_bytes())).unwrap())
    }

    #[test]
    fn the_whole_chain_is_read_in_either_spelling() {
        let error = refused(
            400,
            &[("request-id", "r-1")],
            r#"{"error":{"code":"InvalidRequest","message":"The request is malformed or incorrect.",
                "details":[{"code":"d","message":null,"target":"t"}],
                "innerError":{"date":"2025-02-13T10:17:05","request-id":"r-2",
                  "innererror":{"code":"DeserializationError","message":"Cannot read 'due'",
                    "innerError":{"extra":true}}}}}"#,
        );
        let graph = error.error().unwrap();
        let codes: Vec<_> = graph.chain().map(|error| error.code.as_deref()).collect();
        assert_eq!(codes, [Some("InvalidRequest"), None, Some("DeserializationError"), None]);
        assert_eq!(graph.cause().message.as_deref(), Some("Cannot read 'due'"));
        assert_eq!(graph.details[0].target.as_deref(), Some("t"));
        assert_eq!(graph.chain().last().unwrap().other.get("extra").unwrap().get(), "true");
        assert_eq!(error.request_id(), Some("r-1"));
        assert_eq!(
            error.to_string(),
            "400 Bad Request: InvalidRequest: The request is malformed or incorrect, because of \
             DeserializationError: Cannot read 'due'; also d (at t) (request-id r-1)"
        );
    }

    #[test]
    fn a_text_says_everything_once() {
        let body = r#"{"error":{"code":"ItemNotFound","message":"No such item.",
            "innerError":{"code":"not-found","message":"No such item.","target":"item id"}}}"#;
        let text = refused(404, &[], body).to_string();
        assert_eq!(
            text,
            "404 Not Found: ItemNotFound, because of not-found: No such item (at item id)"
        );
        let detail = |n: usize| format!(r#"{{"code":"rule{n}","target":"$.p{n}"}}"#);
        let details: Vec<_> = (0..8).map(detail).collect();
        let body = format!(
            r#"{{"error":{{"code":"InvalidRequest","details":[{}],
                "innerError":{{"code":"rule0","target":"$.p0"}}}}}}"#,
            details.join(",")
        );
        let text = refused(400, &[], &body).to_string();
        assert_eq!(
            text,
            "400 Bad Request: InvalidRequest, because of rule0 (at $.p0); also rule1 (at $.p1); \
             also rule2 (at $.p2); also rule3 (at $.p3); also rule4 (at $.p4); also rule5 (at \
             $.p5); and 2 more"
        );
    }

    #[test]
    fn ids_are_found_in_the_envelope_too() {
        let body =
            r#"{"error":{"code":"","innerError":{"request-id":"a","client-request-id":"b"}}}"#;
        let error = refused(403, &[], body);
        assert_eq!((error.request_id(), error.client_request_id()), (Some("a"), Some("b")));
        assert!(error.to_string().starts_with("403 Forbidden: (no code)"));
    }

    #[test]
    fn a_body_that_is_no_envelope_keeps_status_and_bytes() {
        for body in ["", "<html>Bad gateway</html>", "{\"error\":{\"code\":\"x", "[]", "\u{feff}{}"]
        {
            let error = refused(502, &[("retry-after", "1.5")], body);
            assert_eq!(error.error(), None, "{body}");
            assert_eq!(error.status(), 502);
            assert_eq!(error.body(), body.as_bytes());
            assert_eq!(error.retry_after(), Some(Duration::from_millis(1500)));
        }
        let text = refused(502, &[], "<html>").to_string();
        assert_eq!(text, "502 Bad Gateway, not an error of Graph: \"<html>\"");
    }

    #[test]
    fn odd_shapes_cost_their_own_member_only() {
        let error = refused(400, &[], r#"{"error":{"code":7,"message":"m","details":"x"}}"#);
        let graph = error.error().unwrap();
        assert_eq!((graph.code.as_deref(), graph.message.as_deref()), (None, Some("m")));
        let endless = format!("{{\"error\":{}", "{\"innerError\":".repeat(100_000));
        assert_eq!(refused(400, &[], &endless).error(), None);
        let deep = format!("{}{}", "{\"innerError\":".repeat(1000), "}".repeat(1000));
        assert_eq!(refused(400, &[], &format!("{{\"error\":{deep}}}")).error(), None);
        assert_eq!(
            refused(400, &[], r#"{"error":"gone"}"#).error().unwrap().code.as_deref(),
            Some("gone")
        );
    }
}
