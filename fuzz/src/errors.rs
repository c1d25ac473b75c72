//! Answers that refuse: the envelope with its whole inner chain, ids, and what is said of it.

use bytes::Bytes;
use graphfeed_core::{
    external::{Acl, ExternalItem, GetConnection, PutItem},
    protocol::{Applied, Call, Cause, Endpoint, Error, GraphError, ServiceRoot, retry_after},
    types::{ConnectionId, Guid, ItemId},
};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use serde_json::Value;

use crate::json::unique;

/// The first two bytes are the status. Then lines of headers up to an empty one, and the body.
pub fn run(data: &[u8]) {
    let [high, low, rest @ ..] = data else { return };
    // Everything that HTTP has and no route reads like a success.
    let status = 300 + (u16::from(*high) << 8 | u16::from(*low)) % 300;
    let (headers, body) = head(rest);
    let mut answer = Response::new(Bytes::copy_from_slice(body));
    *answer.status_mut() = http::StatusCode::from_u16(status).expect("a status");
    *answer.headers_mut() = headers.clone();
    for call in [put(), get()] {
        let error = call.response(answer.clone()).expect_err("that is no success");
        is_told(&error, body);
        let Cause::Service(refusal) = error.cause() else { panic!("{error:?}") };
        assert_eq!(refusal.status().as_u16(), status);
        assert_eq!(refusal.headers(), &headers);
        assert_eq!(refusal.body(), body);
        assert_eq!(refusal.retry_after(), retry_after(&headers));
        if let (Some(id), Some(header)) = (refusal.request_id(), headers.get("request-id")) {
            assert!(header.to_str().is_err() || header == id);
        }
        let came = unique(body);
        match (refusal.error(), came.as_ref().and_then(|came| came.get("error"))) {
            (Some(read), Some(came)) => chain_is(read, came),
            (read, None) => assert!(came.is_none() || read.is_none(), "{read:?}"),
            (None, Some(came)) => assert!(levels(came) > 60, "nothing is read of {came}"),
        }
        let read_only = !call.route().writes();
        assert!(!read_only || error.applied() == Applied::No, "reading changes nothing");
    }
}

/// How many values are within each other.
fn levels(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(levels).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(levels).max().unwrap_or(0),
        _ => 0,
    }
}

/// What holds for any error: it can be shown, in a text of bounded length, and knows no secret.
pub(crate) fn is_told(error: &Error, body: &[u8]) {
    let texts = [error.to_string(), format!("{error:?}")];
    for text in &texts {
        assert!(!text.is_empty());
        let limit = 20_000 + 12 * body.len();
        assert!(text.len() <= limit, "{} bytes of {}", text.len(), body.len());
    }
    assert!(error.attempts() <= 1);
    let _ = (error.request_id(), error.retry_after(), error.why_given_up());
}

/// Each code and message of the chain is there, in the order of the envelope.
fn chain_is(read: &GraphError, came: &Value) {
    let mut came = Some(came);
    for read in read.chain() {
        let Some(Value::Object(members)) = came else {
            // A text in its place is taken for its code.
            let text = came.and_then(Value::as_str);
            assert_eq!((read.code.as_deref(), read.chain().count()), (text, 1));
            return;
        };
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        assert_eq!(read.code.as_deref(), text("code"));
        assert_eq!(read.message.as_deref(), text("message"));
        assert_eq!(read.target.as_deref(), text("target"));
        if members.contains_key("innerError") && members.contains_key("innererror") {
            return;
        }
        let known = ["code", "message", "target", "details", "innerError", "innererror"];
        for (name, value) in members.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            let kept = read.other.get(name).expect("nothing is lost").get();
            assert_eq!(&serde_json::from_str::<Value>(kept).expect("JSON"), value);
        }
        came = members.get("innerError").or(members.get("innererror"));
        came = came.filter(|inner| !inner.is_null());
        assert_eq!(read.inner.is_some(), came.is_some());
    }
}

/// Lines of headers up to an empty one, those that are headers; and the rest.
pub(crate) fn head(data: &[u8]) -> (HeaderMap, &[u8]) {
    let mut headers = HeaderMap::new();
    let mut rest = data;
    loop {
        let (line, after) = match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &[][..]),
        };
        rest = after;
        if line.is_empty() {
            return (headers, rest);
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
}

/// A call told of its output as nothing.
#[derive(Debug)]
struct Nothing;

impl From<Option<graphfeed_core::external::StoredItem>> for Nothing {
    fn from(_: Option<graphfeed_core::external::StoredItem>) -> Self {
        Self
    }
}

impl From<graphfeed_core::external::StoredConnection> for Nothing {
    fn from(_: graphfeed_core::external::StoredConnection) -> Self {
        Self
    }
}

fn connection() -> ConnectionId {
    ConnectionId::new("contosohr").expect("an id")
}

fn put() -> Call<Nothing> {
    let item = ExternalItem::builder(ItemId::new("T1").expect("an id"))
        .acl(Acl::everyone(Guid::from(7)))
        .property("title", "t")
        .build()
        .expect("an item");
    PutItem::new(&connection(), &item).call_into(&ServiceRoot::v1()).expect("a call")
}

fn get() -> Call<Nothing> {
    GetConnection::new(&connection()).call_into(&ServiceRoot::v1()).expect("a call")
}
