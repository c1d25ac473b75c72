//! Several calls as one request
//! ([JSON batching](https://learn.microsoft.com/graph/json-batching)).
//!
//! Lives here: the [`Batch`] and how it is written. How its answer is told apart is next door;
//! when and how often it is sent is the machines' business.

use std::{borrow::Cow, collections::BTreeSet, error::Error as StdError, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::{
    Answer, BatchAnswer, Call, DecodeError, Endpoint, Error, Lane, PartOutcomes, PathArgs, Repeat,
    Reply, Route, ServiceRoot, call::Lanes,
};
use crate::types::{BuildError, Fault, FaultList, Rule};

/// Calls that go to the service as one request, each of which is answered for itself.
///
/// They are carried out in any order, so none may depend on another one of the batch. Their
/// number and the length of the whole are [limited](super::Limits); a call that does not fit is
/// given back. `T` is what all of them answer with; [`Endpoint::call_into`] brings several kinds
/// under one type, and [`Batches`](crate::machine::Batches) does without.
///
/// ```
/// use graphfeed_core::external::GetItem;
/// use graphfeed_core::protocol::{Batch, Endpoint, ServiceRoot};
/// use graphfeed_core::types::{ConnectionId, ItemId};
///
/// let (root, connection) = (ServiceRoot::v1(), ConnectionId::new("contosohr")?);
/// let (first, second) = (ItemId::new("T1")?, ItemId::new("T2")?);
/// let mut batch = Batch::new(&root);
/// batch.push(GetItem::new(&connection, &first).call(&root)?)?;
/// batch.push(GetItem::new(&connection, &second).call(&root)?)?;
///
/// let call = batch.call()?;
/// assert_eq!(call.request().uri(), "https://graph.microsoft.com/v1.0/$batch");
/// let answer = r#"{"responses":[{"id":"2","status":404},
///     {"id":"1","status":200,"body":{"id":"T1"}}]}"#;
/// let outcomes = batch.outcomes(call.response(http::Response::new(answer.into())));
/// assert_eq!(outcomes.parts[0].as_ref().unwrap().value.id.as_deref(), Some("T1"));
/// assert_eq!(outcomes.parts[1].as_ref().unwrap_err().status().unwrap(), 404);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Batch<T> {
    parts: Vec<Call<T>>,
    written: WrittenBatch,
}

/// Requests as they stand in a batch, one after the other.
pub(crate) struct WrittenBatch {
    root: ServiceRoot,
    count: usize,
    // All of it but the end.
    body: Vec<u8>,
}

const START: &[u8] = br#"{"requests":["#;
const END: &[u8] = b"]}";

/// Why a batch does not take a call, which is given back.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotTaken<T> {
    /// There is no room left in this batch; another one may take it.
    Full(Call<T>),
    /// No batch takes it: it goes to another root, is too long even alone, or cannot be written
    /// as a part.
    Refused(Call<T>, BuildError),
}

impl<T> NotTaken<T> {
    /// The call.
    pub fn into_call(self) -> Call<T> {
        match self {
            Self::Full(call) | Self::Refused(call, _) => call,
        }
    }
}

impl<T> fmt::Display for NotTaken<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the batch has no room for another call; begin one more"),
            Self::Refused(_, why) => fmt::Display::fmt(why, f),
        }
    }
}

impl<T: fmt::Debug> StdError for NotTaken<T> {}

impl<T> Batch<T> {
    /// The operation. What its parts need of a token is theirs to say, and so are their lanes.
    pub const ROUTE: Route = Route::post("Batch", "/$batch");

    /// An empty batch for calls to this root, within its limits.
    pub fn new(root: &ServiceRoot) -> Self {
        Self { parts: Vec::new(), written: WrittenBatch::new(root) }
    }

    /// Adds a call.
    ///
    /// # Errors
    /// [`NotTaken::Full`] when it does not fit beside the others. [`NotTaken::Refused`] with
    /// [`Rule::OtherRoot`] when it goes to another root or version, [`Rule::BodySize`] when it is
    /// too long for any batch, and [`Rule::MemberType`] when it is a batch itself, has a body that
    /// is not the JSON it claims to be, or a header that is no text.
    pub fn push(&mut self, call: Call<T>) -> Result<(), NotTaken<T>> {
        match self.written.push(call.route(), call.request()) {
            Ok(true) => {
                self.parts.push(call);
                Ok(())
            }
            Ok(false) => Err(NotTaken::Full(call)),
            Err(why) => Err(NotTaken::Refused(call, why)),
        }
    }

    /// The calls, in the order in which they were added.
    pub fn parts(&self) -> &[Call<T>] {
        &self.parts
    }

    /// Gives the calls back.
    pub fn into_parts(self) -> Vec<Call<T>> {
        self.parts
    }

    /// The whole as one call: it may be repeated as its most delicate part may, and waits for the
    /// lanes of all of them.
    ///
    /// # Errors
    /// [`Rule::MemberRequired`] when the batch is empty.
    pub fn call(&self) -> Result<Call<BatchAnswer>, BuildError> {
        let delicate = self.parts.iter().any(|call| call.repeat() == Repeat::OnlyIfUnsent);
        let repeat = if delicate { Repeat::OnlyIfUnsent } else { Repeat::Freely };
        let call = Whole { body: &self.written.body, repeat }.call(&self.written.root)?;
        let lanes: BTreeSet<_> = self.parts.iter().map(Call::lane).collect();
        let lanes = lanes.into_iter().filter(|(lane, _)| *lane != Lane::None);
        let lanes: Lanes = lanes.map(|(lane, key)| (lane, key.into())).collect();
        Ok(call.in_lanes(lanes))
    }

    /// What the outcome of the [whole](Self::call) is for each part.
    pub fn outcomes(&self, whole: Result<Reply<BatchAnswer>, Error>) -> PartOutcomes<T> {
        PartOutcomes::read(&self.parts, whole)
    }
}

impl WrittenBatch {
    /// No requests yet; all of them go to this root.
    pub(crate) fn new(root: &ServiceRoot) -> Self {
        Self { root: root.clone(), count: 0, body: START.to_vec() }
    }

    /// Adds a request, without its token; `false` where it does not fit beside the others.
    ///
    /// # Errors
    /// Why no batch takes it.
    pub(crate) fn push(
        &mut self,
        route: &Route,
        request: &http::Request<Bytes>,
    ) -> Result<bool, BuildError> {
        if self.count >= self.root.limits().batch.max(1) {
            return Ok(false);
        }
        let before = self.body.len();
        let written = self.write(route, request);
        let (longest, length) = (self.root.limits().body, self.body.len() + END.len());
        if written.is_ok() && length <= longest {
            self.count += 1;
            return Ok(true);
        }
        self.body.truncate(before);
        written?;
        if self.count > 0 {
            return Ok(false);
        }
        let detail =
            format!("is {length} bytes long as a batch, {longest} are allowed; send it by itself");
        Err(Fault::new(Rule::BodySize, "$", detail).into())
    }

    /// All of them as one request, without a token.
    ///
    /// # Errors
    /// As [`Batch::call`].
    pub(crate) fn request(&self) -> Result<http::Request<Bytes>, BuildError> {
        Whole { body: &self.body, repeat: Repeat::OnlyIfUnsent }.request(&self.root)
    }

    /// Writes one more part, after a comma where it is not the first.
    fn write(&mut self, route: &Route, request: &http::Request<Bytes>) -> Result<(), BuildError> {
        let place = format!("$.requests[{}]", self.count);
        let Some(url) = self.root.relative(request.uri()) else {
            let detail = format!("the call goes elsewhere than to {}; build it anew", self.root);
            return Err(Fault::new(Rule::OtherRoot, "service root", detail).into());
        };
        let mut faults = FaultList::default();
        if route.path == Batch::<()>::ROUTE.path {
            let detail = "is a batch itself; send it by itself";
            faults.push(Rule::MemberType, format!("{place}.url"), detail);
        }
        let part = Part {
            id: part_id(self.count),
            method: request.method().as_str(),
            url,
            headers: headers(request, &place, &mut faults),
            body: body(request, &place, &mut faults),
        };
        faults.finish()?;
        if self.count > 0 {
            self.body.push(b',');
        }
        super::write_json(&part, &mut self.body)
    }
}

impl<T> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("parts", &self.parts).finish_non_exhaustive()
    }
}

/// The id of the part at this place. Digits have no letter case, without which ids are compared.
pub(super) fn part_id(index: usize) -> String {
    (index + 1).to_string()
}

/// One part, with the members in the order in which the documents have them.
#[derive(Serialize)]
struct Part<'a> {
    id: String,
    method: &'a str,
    url: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_object")]
    headers: Vec<(&'a str, Cow<'a, str>)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Body<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    Json(&'a RawValue),
    // That it is padded is assumed.
    Base64Url(String),
}

fn as_object<S: Serializer>(headers: &[(&str, Cow<'_, str>)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(headers.iter().map(|(name, value)| (name, value)))
}

/// The headers of a part. That it accepts JSON goes without saying, and a token goes with the
/// whole; but the type of a body has to be there.
fn headers<'a>(
    request: &'a http::Request<Bytes>,
    place: &str,
    faults: &mut FaultList,
) -> Vec<(&'a str, Cow<'a, str>)> {
    let all = request.headers();
    let mut headers = Vec::new();
    if !request.body().is_empty() && !all.contains_key(header::CONTENT_TYPE) {
        headers.push(("Content-Type", Cow::Borrowed(JSON)));
    }
    for name in all.keys().filter(|name| *name != header::AUTHORIZATION) {
        let Some(value) = text_of(all, name) else {
            let detail = "is no text of visible ASCII, which a part cannot have; send it by itself";
            faults.push(Rule::MemberType, format!("{place}.headers['{name}']"), detail);
            continue;
        };
        if name == header::ACCEPT && value == JSON {
            continue;
        }
        // As the documents write it.
        let is_type = name == header::CONTENT_TYPE;
        headers.push((if is_type { "Content-Type" } else { name.as_str() }, value));
    }
    headers
}

const JSON: &str = "application/json";

/// All values of a header in one, as HTTP allows.
fn text_of<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<Cow<'a, str>> {
    let mut values = headers.get_all(name).iter().map(HeaderValue::to_str);
    let first = values.next()?.ok()?;
    values.try_fold(Cow::Borrowed(first), |joined, value| {
        Some(Cow::Owned(format!("{joined}, {}", value.ok()?)))
    })
}

/// The body of a part. JSON goes in as it is, but not unseen: what is none would spoil the other
/// parts, too.
fn body<'a>(
    request: &'a http::Request<Bytes>,
    place: &str,
    faults: &mut FaultList,
) -> Option<Body<'a>> {
    let body = request.body();
    if body.is_empty() {
        return None;
    }
    if !is_json(request.headers().get(header::CONTENT_TYPE)).unwrap_or(true) {
        return Some(Body::Base64Url(URL_SAFE.encode(body)));
    }
    match serde_json::from_slice(body) {
        Ok(json) => Some(Body::Json(json)),
        Err(error) => {
            let detail = format!("is not the JSON that it claims to be: {error}");
            faults.push(Rule::MemberType, format!("{place}.body"), detail);
            None
        }
    }
}

/// Whether a content type is JSON, if there is one; parameters do not matter.
pub(super) fn is_json(content_type: Option<&HeaderValue>) -> Option<bool> {
    let text = content_type?.to_str().ok()?;
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Some(essence == JSON || essence.ends_with("+json"))
}

/// The batch as an operation like any other.
struct Whole<'a> {
    body: &'a [u8],
    repeat: Repeat,
}

impl Endpoint for Whole<'_> {
    type Output = BatchAnswer;
    const ROUTE: Route = Batch::<()>::ROUTE;

    fn args(&self, _: &mut PathArgs<'_>) {}

    fn body(&self, _: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        if self.body.len() == START.len() {
            let detail = "is empty; push a call";
            return Err(Fault::new(Rule::MemberRequired, "$.requests", detail).into());
        }
        out.reserve_exact(self.body.len() + END.len());
        out.extend_from_slice(self.body);
        out.extend_from_slice(END);
        Ok(())
    }

    fn repeat(&self) -> Repeat {
        self.repeat
    }

    fn parse(answer: &Answer<'_>) -> Result<BatchAnswer, DecodeError> {
        BatchAnswer::read(answer)
    }
    fn is_complete(answer: &BatchAnswer) -> bool {
        answer.is_complete()
    }
}
