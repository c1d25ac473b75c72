//! What every answer has: the shape of an error, the headers, the ids of the request.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::{
    date::Moment,
    findings::{Finding, Refusal},
    rules::Rule,
    write::{self, Object},
};

/// As Graph writes it; its documents show `application/json` only, so clients match the
/// beginning.
const JSON: &str = "application/json;odata.metadata=minimal;odata.streaming=true;\
                    IEEE754Compatible=false;charset=utf-8";

/// An answer before its headers are complete.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    body: Option<String>,
}

impl Answer {
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    pub(crate) fn object(status: StatusCode, fill: impl FnOnce(&mut Object<'_>)) -> Self {
        Self { body: Some(write::object(fill)), ..Self::empty(status) }
            .with(header::CONTENT_TYPE, JSON)
    }

    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The error envelope (the page on errors): the first fault in `innerError`, all of them in `details`.
    pub(crate) fn error(refusal: Refusal, ids: &RequestIds, now: Moment) -> Self {
        let Refusal { status, code, faults, headers } = refusal;
        let first = faults.first();
        let mut answer = Self::object(status, |body| {
            body.object("error", |error| {
                error.text("code", code.as_deref().unwrap_or(usual_code(status, first)));
                error.text("message", outer_message(status, first));
                error.object("innerError", |inner| {
                    if let Some(first) = first {
                        write_fault(inner, first);
                    }
                    inner.text("date", &now.bare());
                    inner.text("request-id", &ids.request);
                    inner.text("client-request-id", &ids.client);
                });
                error.objects("details", &faults, write_fault);
            });
        });
        answer.headers.extend(headers);
        answer
    }

    pub(crate) fn finish(self, ids: &RequestIds, now: Moment) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(self.body.unwrap_or_default()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            insert(headers, name, &value);
        }
        insert(headers, HeaderName::from_static("request-id"), &ids.request);
        insert(headers, HeaderName::from_static("client-request-id"), &ids.client);
        insert(headers, header::DATE, &now.http());
        response
    }
}

/// The ids of one request: the server's, and the client's or again the server's.
#[derive(Debug)]
pub(crate) struct RequestIds {
    pub(crate) request: String,
    pub(crate) client: String,
}

impl RequestIds {
    pub(crate) fn new(request: String, headers: &HeaderMap) -> Self {
        let client = headers
            .get("client-request-id")
            .and_then(|value| value.to_str().ok())
            .map_or_else(|| request.clone(), str::to_owned);
        Self { request, client }
    }
}

/// The members of a fault: code, message and target.
pub(crate) fn write_fault(object: &mut Object<'_>, fault: &Finding) {
    object.text("code", fault.rule.name());
    object.text("message", &fault.message);
    object.text("target", &fault.target);
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // A value that no header can hold comes from the request; it is better left out than a panic.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// What the documents and users report, by the rule where it decides, else by the status.
fn usual_code(status: StatusCode, first: Option<&Finding>) -> &'static str {
    match (status.as_u16(), first.map(|fault| fault.rule)) {
        (401, _) => "InvalidAuthenticationToken",
        (403, Some(Rule::TokenKind | Rule::ConnectionOwner)) => "accessDenied",
        (403, _) => "Authorization_RequestDenied",
        (404, _) => "ItemNotFound",
        (405, _) => "NotAllowed",
        (409, _) => "NameAlreadyExists",
        (413, _) => "RequestEntityTooLarge",
        (415, _) => "UnsupportedMediaType",
        (424, _) => "FailedDependency",
        (429, _) => "TooManyRequests",
        (500, _) => "generalException",
        (501, _) => "NotSupported",
        (503, _) => "serviceNotAvailable",
        (507, _) => "quotaLimitReached",
        (509, _) => "activityLimitReached",
        (502 | 504, _) => "UnknownError",
        _ => "InvalidRequest",
    }
}

/// The service hides the cause of a 400 in `innerError` behind one fixed text
/// (microsoft-graph-docs-contrib#3760), and
/// so does this: a client that shows the outer message only is found out.
fn outer_message(status: StatusCode, first: Option<&Finding>) -> &str {
    match first {
        Some(fault) if status != StatusCode::BAD_REQUEST => &fault.message,
        _ => "The request is malformed or incorrect.",
    }
}
