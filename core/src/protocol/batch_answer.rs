//! From the answer to a batch to one outcome for each of its parts.
//!
//! An answer counts for a part only if it names the part's id and no other one does; what belongs
//! to nobody is told, and what is missing is unknown, never success.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Answer, Call, DecodeError, Error, Failure, Reply,
    batch::{is_json, part_id},
    service_error::{CLIENT_REQUEST_ID, REQUEST_ID},
};
use crate::types::{Key, RawJson, quote};

/// What the service answered to a whole batch, to be told apart by
/// [`Batch::outcomes`](super::Batch::outcomes).
#[derive(Clone, Debug)]
pub struct BatchAnswer {
    // In the order in which they arrived.
    responses: Vec<Entry>,
}

/// What became of each call of a batch.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "each part has an outcome of its own"]
pub struct PartOutcomes<T> {
    /// One for each part, in the order in which they were added. A part that the answer does not
    /// have, or not so that it can be read for certain, may have been carried out:
    /// [`Cause::Transport`](super::Cause::Transport), as if its own answer had been lost. What
    /// the whole failed with, each part failed with.
    pub parts: Vec<Result<Reply<T>, Error>>,
    /// What the answer has beyond that: under an unknown id, under one twice, or in no readable
    /// shape.
    pub strays: Vec<RawJson>,
}

#[derive(Deserialize)]
struct Responses<'a> {
    #[serde(borrow)]
    responses: Vec<&'a RawValue>,
}

/// One entry of the answer, in slices of the whole.
#[derive(Clone, Debug)]
struct Entry {
    text: Bytes,
    // None where it is no object, or has one of them twice.
    members: Option<Members>,
}

/// The members of an entry as they were written. Each is looked at for itself, so that the shape of
/// one costs nothing but itself.
#[derive(Clone, Debug)]
struct Members {
    id: Option<Bytes>,
    status: Option<Bytes>,
    headers: Option<Bytes>,
    body: Option<Bytes>,
}

#[derive(Deserialize)]
struct RawMembers<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

impl BatchAnswer {
    pub(super) fn read(answer: &Answer<'_>) -> Result<Self, DecodeError> {
        answer.json_in_place().map(|responses| Self::slices(responses, answer.body()))
    }

    /// Whether each of its parts was answered with a success.
    pub(super) fn is_complete(&self) -> bool {
        self.responses.iter().all(|entry| {
            let status = entry.members.as_ref().and_then(|members| members.status.as_ref());
            status.is_some_and(|status| text(status).starts_with('2'))
        })
    }

    fn read_body(body: &Bytes) -> serde_json::Result<Self> {
        serde_json::from_slice(body).map(|responses| Self::slices(responses, body))
    }

    fn slices(Responses { responses }: Responses<'_>, body: &Bytes) -> Self {
        Self { responses: responses.into_iter().map(|json| Entry::read(json, body)).collect() }
    }
}

impl Entry {
    fn read(json: &RawValue, whole: &Bytes) -> Self {
        let slice = |json: &RawValue| whole.slice_ref(json.get().as_bytes());
        let members = serde_json::from_str::<RawMembers<'_>>(json.get()).ok();
        let members = members.map(|RawMembers { id, status, headers, body }| Members {
            id: id.map(slice),
            status: status.map(slice),
            headers: headers.map(slice),
            body: body.map(slice),
        });
        Self { text: slice(json), members }
    }

    /// Whose answer this claims to be. An id that has become a number is still one.
    fn index(&self) -> Option<usize> {
        let id = text(self.members.as_ref()?.id.as_ref()?);
        let index = id.parse::<usize>().ok()?.checked_sub(1)?;
        (part_id(index) == id).then_some(index)
    }

    fn stray(&self) -> Option<RawJson> {
        RawJson::parse(std::str::from_utf8(&self.text).ok()?).ok()
    }
}

impl<T> PartOutcomes<T> {
    pub(super) fn read(calls: &[Call<T>], whole: Result<Reply<BatchAnswer>, Error>) -> Self {
        let (answer, headers) = match whole {
            Ok(reply) => (reply.value, reply.headers),
            Err(error) => match parts_of_424(&error) {
                Some((answer, headers)) => (answer, headers),
                None => {
                    let each = |call: &Call<T>| Err(error.with_batch(call.route()));
                    return Self { parts: calls.iter().map(each).collect(), strays: Vec::new() };
                }
            },
        };
        let (answers, strays) = answers(calls.len(), answer.responses, &headers);
        let outcome = |(call, answer): (&Call<T>, _)| match answer {
            Ok(response) => call.response(response),
            Err(failure) => Err(Error::transport(call.route(), failure)),
        };
        Self { parts: calls.iter().zip(answers).map(outcome).collect(), strays }
    }
}

/// What a part was answered with, as if it had been sent by itself.
pub(crate) type PartAnswer = Result<http::Response<Bytes>, Failure>;

/// The answer to a batch of `count` parts taken apart, one for each part; `None` where it is about
/// the whole.
pub(crate) fn take_apart(count: usize, whole: &http::Response<Bytes>) -> Option<Vec<PartAnswer>> {
    let status = whole.status();
    if !status.is_success() && status != StatusCode::FAILED_DEPENDENCY {
        return None;
    }
    match BatchAnswer::read_body(whole.body()) {
        Ok(answer) => Some(answers(count, answer.responses, whole.headers()).0),
        // Each part may have been carried out.
        Err(why) if status.is_success() => {
            let why = format!("the answer to its batch cannot be read: {why}");
            Some(vec![Err(Failure::maybe_sent(why)); count])
        }
        Err(_) => None,
    }
}

/// What the answer to a batch of `count` parts says that belongs to none of them.
pub(crate) fn strays(count: usize, whole: &http::Response<Bytes>) -> Vec<RawJson> {
    let read = BatchAnswer::read_body(whole.body());
    read.map_or_else(|_| Vec::new(), |answer| answers(count, answer.responses, whole.headers()).1)
}

/// One answer for each of so many parts, and what belongs to nobody.
fn answers(
    count: usize,
    responses: Vec<Entry>,
    whole: &HeaderMap,
) -> (Vec<PartAnswer>, Vec<RawJson>) {
    let mut strays = Vec::new();
    let mut found: Vec<Vec<Entry>> = vec![Vec::new(); count];
    for entry in responses {
        match entry.index().and_then(|index| found.get_mut(index)) {
            Some(own) => own.push(entry),
            None => strays.extend(entry.stray()),
        }
    }
    let mut answer = |entries: Vec<Entry>| {
        let response = match &*entries {
            [] => Err("the answer to its batch has none for it".to_owned()),
            [entry] => response(entry, whole),
            _ => Err("the answer to its batch has several for it".to_owned()),
        };
        response.map_err(|why| {
            strays.extend(entries.iter().filter_map(Entry::stray));
            Failure::maybe_sent(why)
        })
    };
    let answers = found.into_iter().map(&mut answer).collect();
    (answers, strays)
}

/// Older documents say that a batch fails with 424 as a whole when a part of it is throttled, and
/// today's that it never does. If it does, what it says of its parts counts.
fn parts_of_424(whole: &Error) -> Option<(BatchAnswer, HeaderMap)> {
    let error = whole.service_error()?;
    if error.status() != StatusCode::FAILED_DEPENDENCY {
        return None;
    }
    Some((BatchAnswer::read_body(error.body()).ok()?, error.headers().clone()))
}

/// A text, or a number as it is written.
fn text(json: &[u8]) -> Cow<'_, str> {
    match serde_json::from_slice::<Key<'_>>(json) {
        Ok(Key(text)) => text,
        Err(_) => String::from_utf8_lossy(json),
    }
}

/// An entry as the answer that a call of its own would have had, or why it is none.
fn response(entry: &Entry, whole: &HeaderMap) -> Result<http::Response<Bytes>, String> {
    let wrong = |why: &str| {
        let entry = quote(&String::from_utf8_lossy(&entry.text));
        format!("its answer in that to its batch has {why}: {entry}")
    };
    let read = entry.members.as_ref().ok_or_else(|| wrong("another shape"))?;
    let status = read.status.as_ref().ok_or_else(|| wrong("no status"))?;
    let status = text(status).parse::<u16>().ok().and_then(|it| StatusCode::from_u16(it).ok());
    let mut response = http::Response::new(Bytes::new());
    *response.status_mut() = status.ok_or_else(|| wrong("no status that HTTP knows"))?;
    let headers = response.headers_mut();
    read.headers.iter().for_each(|json| read_headers(json, headers));
    // What a part does not say of itself holds of the whole: when it was answered, against which
    // a date to wait for is measured, and under which id.
    for name in [header::DATE.as_str(), REQUEST_ID, CLIENT_REQUEST_ID] {
        if let (None, Some(value)) = (headers.get(name), whole.get(name)) {
            headers.insert(HeaderName::from_static(name), value.clone());
        }
    }
    let body = read.body.as_ref().filter(|json| ***json != *b"null");
    let is_json = is_json(headers.get(header::CONTENT_TYPE)).unwrap_or(true);
    *response.body_mut() = match body {
        None => Bytes::new(),
        Some(json) if is_json => json.clone(),
        Some(json) => decoded(json).unwrap_or_else(|| json.clone()),
    };
    Ok(response)
}

/// The headers of a part, those that are headers.
fn read_headers(json: &[u8], headers: &mut HeaderMap) {
    let Ok(members) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(json) else {
        return;
    };
    for (name, value) in members {
        let values: Vec<&RawValue> = match value.get().starts_with('[') {
            true => serde_json::from_str(value.get()).unwrap_or_default(),
            false => vec![value],
        };
        for value in values.into_iter().filter(|value| value.get() != "null") {
            let value = HeaderValue::from_bytes(text(value.get().as_bytes()).as_bytes());
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), value) {
                headers.append(name, value);
            }
        }
    }
}

/// A body that is no JSON: base64 of either kind, or else the text itself. JSON in its place is
/// left as it is.
fn decoded(json: &[u8]) -> Option<Bytes> {
    let text: String = serde_json::from_slice(json).ok()?;
    let base64 = text.trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(base64).or_else(|_| URL_SAFE_NO_PAD.decode(base64));
    Some(bytes.map_or_else(|_| Bytes::from(text), Bytes::from))
}
