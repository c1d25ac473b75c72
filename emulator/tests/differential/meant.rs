//! What a body means, whichever way it is written.

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Map, Value, json};

use crate::{
    dates,
    support::{Answer, Bench},
};

/// The members that hold dates, wherever they stand.
const DATES: [&str; 6] = [
    "due",
    "dates",
    "startDateTime",
    "startedDateTime",
    "lastActiveDateTime",
    "expirationDateTime",
];

/// The members that hold doubles.
const DOUBLES: [&str; 2] = ["score", "weights"];

/// The members that hold words.
const WORDS: [&str; 4] = ["type", "accessType", "valuesJoinedBy", "operation"];

/// The same value, written in the one way in which two that mean the same are equal: without
/// annotations and `null`, dates as points in time, GUIDs and words in small letters, an external group in the
/// words of v1.0.
pub(crate) fn meant(value: &Value) -> Value {
    plain("", value)
}

fn plain(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut plain: Map<String, Value> = members
                .iter()
                .filter(|(name, value)| !name.contains("@odata.") && !value.is_null())
                .map(|(name, value)| (name.clone(), plain(name, value)))
                .collect();
            let source = plain.remove("identitySource");
            let is_external = source.is_some_and(|it| {
                it.as_str().is_some_and(|it| it.eq_ignore_ascii_case("external"))
            });
            if is_external && plain.get("type") == Some(&json!("group")) {
                plain.insert("type".to_owned(), json!("externalgroup"));
            }
            Value::Object(plain)
        }
        Value::Array(elements) => elements.iter().map(|element| plain(name, element)).collect(),
        Value::String(text) if DATES.contains(&name) => match dates::read(text) {
            Some(date) => json!(date.instant),
            None => value.clone(),
        },
        Value::String(text) if WORDS.contains(&name) => json!(text.to_ascii_lowercase()),
        Value::String(text) if is_guid(text) => json!(text.to_ascii_lowercase()),
        // A reader of JSON may be one step off.
        Value::Number(number) if DOUBLES.contains(&name) => {
            json!(format!("{:.14e}", number.as_f64().unwrap_or_default() + 0.0))
        }
        Value::Number(number) if number.as_f64() == Some(0.0) => json!(0),
        other => other.clone(),
    }
}

fn is_guid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Both, if they do not mean the same.
pub(crate) fn differ(what: &str, one: &Value, other: &Value) -> Option<String> {
    let (one, other) = (meant(one), meant(other));
    (one != other).then(|| format!("{what}: {one} is not {other}"))
}

/// Sends what the core would send.
pub(crate) fn send(bench: &Bench, request: &Request<Bytes>) -> Answer {
    let mut request = request.clone();
    let token = http::HeaderValue::from_static("Bearer any");
    request.headers_mut().insert(http::header::AUTHORIZATION, token);
    bench.emulator.handle(&request).into()
}

/// An answer as the core reads it.
pub(crate) fn response(answer: Answer) -> Response<Bytes> {
    let mut response = Response::new(answer.text.into());
    (*response.status_mut(), *response.headers_mut()) = (answer.status, answer.headers);
    response
}

pub(crate) fn body(request: &Request<Bytes>) -> Value {
    serde_json::from_slice(request.body()).expect("the core writes JSON")
}
