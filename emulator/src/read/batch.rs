//! Reads a batch: what it wraps becomes requests that could have come by themselves.
//!
//! Sources: the page on JSON batching; the known issues for nested batches and for dependencies.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header, uri::PathAndQuery};

use super::{Form, Found, Member, Need, Reader, Shape, Words};
use crate::{
    check::shown,
    findings::by_switch,
    incoming::Call,
    json::{Json, Kind},
    path::Path,
    rules::Rule,
    target::{decode, looks_like_version},
};

const BATCH: Shape = Shape {
    name: "a batch",
    odata_type: "",
    members: &[Member("requests", Need::Required, Form::Array)],
};

const REQUEST: Shape = Shape {
    name: "a request of a batch",
    odata_type: "",
    members: &[
        Member("id", Need::Required, Form::Text),
        Member("method", Need::Required, Form::Word(&METHODS)),
        Member("url", Need::Required, Form::Text),
        Member("headers", Need::Optional, Form::Object),
        Member("body", Need::Optional, Form::Any),
        Member("dependsOn", Need::Optional, Form::Array),
        // Ignored, as the known issues say.
        Member("atomicityGroup", Need::Optional, Form::AnyText),
    ],
};

/// The methods that Microsoft Graph has at all.
const METHODS: Words = Words { name: "method", known: &["GET", "POST", "PUT", "PATCH", "DELETE"] };

/// One request of a batch.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) id: String,
    /// The requests that have to succeed before it, by their numbers. All come before it.
    pub(crate) depends_on: Vec<usize>,
    /// The request as it would have come by itself: the token is that of the batch.
    pub(crate) request: Request<Bytes>,
}

/// The ids so far, in one letter case, each with the number of its request.
type Ids = Vec<(String, usize)>;

impl Reader<'_> {
    /// Reads the requests of a batch. What is wrong with one of them as a request is not looked
    /// for here: it is answered for itself.
    pub(crate) fn batch(&mut self, json: Json<'_>, call: &Call<'_>) -> Vec<Part> {
        let Some(found) = self.members(json, &Path::ROOT, &BATCH) else {
            return Vec::new();
        };
        let Some(requests) = found.get("requests").map(Json::elements) else {
            return Vec::new();
        };
        let all = Path::ROOT.name("requests");
        let most = self.behaviour.batch_requests;
        if requests.is_empty() || requests.len() > most {
            let message = format!("there are {}, and 1 to {most} go into a batch", requests.len());
            self.refuse(Rule::BatchSize, all, by_switch(message, "batch-requests"));
        }
        let (mut parts, mut ids) = (Vec::new(), Ids::new());
        for (index, request) in requests.into_iter().take(most).enumerate() {
            let place = all.index(index);
            let Some(found) = self.members(request, &place, &REQUEST) else { continue };
            let depends_on = self.depends_on(&found, &place, &ids);
            let id = self.batch_id(&found, &place, index, &mut ids);
            let request = self.request(&found, &place, call);
            if let (Some(id), Some(request)) = (id, request) {
                parts.push(Part { id, depends_on, request });
            }
        }
        if self.findings.is_clean() && !is_simple(&parts) {
            let verdict = self.behaviour.batch_dependencies;
            self.findings.judge(verdict, "batch-dependencies", Rule::BatchDependency, all, || {
                "requests depend on none, or each on the one before it, or all that do on the \
                 same one; split the batch"
                    .to_owned()
            });
        }
        parts
    }

    /// The id of a request, which no other has in any letter case.
    fn batch_id(
        &mut self,
        found: &Found<'_>,
        place: &Path<'_>,
        index: usize,
        ids: &mut Ids,
    ) -> Option<String> {
        let id = found.text("id")?;
        let folded = id.to_lowercase();
        if let Some((_, first)) = ids.iter().find(|(known, _)| *known == folded) {
            let message = format!("request {first} has the id {} already", shown(&id));
            self.refuse(Rule::BatchId, place.name("id"), message);
            return None;
        }
        ids.push((folded, index));
        Some(id)
    }

    fn depends_on(&mut self, found: &Found<'_>, place: &Path<'_>, ids: &Ids) -> Vec<usize> {
        let mut numbers = Vec::new();
        self.texts(found.get("dependsOn"), &place.name("dependsOn"), |reader, id, place| {
            let folded = id.to_lowercase();
            match ids.iter().find(|(known, _)| *known == folded) {
                Some((_, number)) => numbers.push(*number),
                None => {
                    let message = format!("no request before this one has the id {}", shown(id));
                    reader.refuse(Rule::BatchDependency, place, message);
                }
            }
        });
        numbers
    }

    fn request(
        &mut self,
        found: &Found<'_>,
        place: &Path<'_>,
        call: &Call<'_>,
    ) -> Option<Request<Bytes>> {
        let headers = self.batch_headers(found, place, call);
        let uri = match relative(&found.text("url")?, call) {
            Ok(uri) => uri,
            Err(why) => {
                self.refuse(Rule::BatchUrl, place.name("url"), why);
                return None;
            }
        };
        let body = found.get("body").map(Json::raw).unwrap_or_default();
        if !body.is_empty() && !headers.contains_key(header::CONTENT_TYPE) {
            let message = "a request with a body has a header Content-Type; send it";
            self.refuse(Rule::BatchHeader, place.name("headers"), message);
        }
        let mut request = Request::new(Bytes::copy_from_slice(body.as_bytes()));
        *request.method_mut() = Method::try_from(found.word("method", &METHODS)?).ok()?;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Some(request)
    }

    /// The headers of a request, and with them those of the batch that say who asks whom.
    fn batch_headers(&mut self, found: &Found<'_>, place: &Path<'_>, call: &Call<'_>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let of_batch = [header::AUTHORIZATION, header::HOST];
        for name in &of_batch {
            if let Some(value) = call.headers.get(name) {
                headers.insert(name, value.clone());
            }
        }
        let place = place.name("headers");
        for (name, value) in found.get("headers").map(Json::members).unwrap_or_default() {
            let place = place.name(&name);
            let text = value.text().filter(|_| value.kind() == Kind::Text);
            let Some(text) = text else {
                let message = format!("it is {}, and a string is needed", value.kind());
                self.refuse(Rule::MemberType, place, message);
                continue;
            };
            let (Ok(name), Ok(value)) =
                (HeaderName::try_from(&*name), HeaderValue::try_from(&*text))
            else {
                self.refuse(Rule::BatchHeader, place, "no header has this name, or this value");
                continue;
            };
            // No document says what they would mean; a token has no business in a body.
            if of_batch.contains(&name) {
                let message =
                    format!("the {name} of the batch is that of its requests; leave it out");
                self.refuse(Rule::BatchHeader, place, message);
                continue;
            }
            let wrong = match headers.try_insert(name, value) {
                Ok(None) => continue,
                Ok(Some(_)) => "the header is there already; letter case does not matter",
                Err(_) => "no request can have so many headers",
            };
            self.refuse(Rule::BatchHeader, place, wrong);
        }
        headers
    }
}

/// The target of a request as if it had come by itself, or why its url is none.
fn relative(url: &str, call: &Call<'_>) -> Result<Uri, String> {
    let path = url.strip_prefix('/').unwrap_or(url);
    let first = path.split(['/', '?']).next().unwrap_or_default();
    if first.contains(':') || path.starts_with('/') {
        return Err(format!("{} names a host; leave out all before the path", shown(url)));
    }
    if looks_like_version(first) {
        return Err(format!("the version is that of the batch; leave out /{first}"));
    }
    if decode(first).is_some_and(|first| first.eq_ignore_ascii_case("$batch")) {
        return Err("a batch has no other batch in it".to_owned());
    }
    // What comes behind would be cut off, and that in silence.
    if url.contains('#') {
        return Err(format!("{} has a fragment; a # is written %23", shown(url)));
    }
    let target = format!("/{}/{path}", call.version.name());
    let target = PathAndQuery::try_from(target).ok();
    let mut uri = call.uri.clone().into_parts();
    uri.path_and_query = target;
    let uri = uri.path_and_query.is_some().then(|| Uri::from_parts(uri).ok()).flatten();
    uri.ok_or_else(|| format!("{} is no url; escape what is not allowed there", shown(url)))
}

/// Whether the requests follow one of the three patterns that the known issues name: none depends
/// on any, each on the one before it, all that do on the same one.
fn is_simple(parts: &[Part]) -> bool {
    let serial = parts.iter().enumerate().all(|(index, part)| match index.checked_sub(1) {
        Some(before) => part.depends_on == [before],
        None => part.depends_on.is_empty(),
    });
    let mut some = parts.iter().map(|part| &part.depends_on).filter(|on| !on.is_empty());
    let first = some.next();
    serial || first.is_none_or(|first| first.len() == 1 && some.all(|other| other == first))
}
