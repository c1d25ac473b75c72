//! What can be said of a request without the state: its target, token, size and JSON.
//!
//! This part runs outside the lock.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Request, Uri, header};

use crate::{
    check::{cut, shown},
    findings::{Finding, Findings, Refusal, by_switch},
    json::{Json, JsonFault},
    options::Behaviour,
    read::{Part, Reader},
    routes::{Action, Route},
    rules::Rule,
    target::{Target, Version, decode},
};

/// A request for an operation that is here, read as far as it can be without the state.
#[derive(Debug)]
pub(crate) struct Call<'r> {
    pub(crate) version: Version,
    pub(crate) action: Action,
    /// The arguments of the path, decoded.
    pub(crate) args: Vec<String>,
    /// The query options, decoded.
    pub(crate) query: Vec<(String, String)>,
    /// Scheme and authority as the client named them.
    pub(crate) origin: String,
    /// The target, byte for byte.
    pub(crate) uri: &'r Uri,
    pub(crate) headers: &'r HeaderMap,
    body: Option<Json<'r>>,
    /// The requests of a batch; of anything else there are none.
    pub(crate) parts: Vec<Part>,
    /// What was noticed and let pass so far.
    pub(crate) reports: Vec<Finding>,
}

/// A request as far as it can be read without the state.
#[derive(Debug)]
pub(crate) struct Arrival<'r> {
    /// The route that method and path name, also if the request is refused.
    pub(crate) route: Option<&'static Route>,
    /// The bearer token, if there is one.
    pub(crate) token: Option<&'r str>,
    /// The operation, or why it is refused.
    pub(crate) call: Result<Call<'r>, Refusal>,
}

impl<'r> Arrival<'r> {
    /// Reads a request.
    pub(crate) fn read(request: &'r Request<Bytes>, behaviour: &Behaviour) -> Self {
        Self::with_length(request, Length::Exact(request.body().len()), behaviour)
    }

    /// Reads a request whose body is as long as it says here, and not there if that is over the
    /// limit.
    pub(crate) fn with_length(
        request: &'r Request<Bytes>,
        length: Length,
        behaviour: &Behaviour,
    ) -> Self {
        let target = Target::read(request);
        let method = request.method().as_str();
        let found = target.and_then(|target| Ok((target.route(method)?, target)));
        let route = found.as_ref().ok().map(|(route, _)| *route);
        match bearer_token(request.headers()) {
            Ok(token) => Self {
                route,
                token: Some(token),
                call: found.and_then(|(route, target)| {
                    Call::read(request, length, target, route, behaviour)
                }),
            },
            Err(refusal) => Self { route, token: None, call: Err(refusal) },
        }
    }
}

impl<'r> Call<'r> {
    fn read(
        request: &'r Request<Bytes>,
        length: Length,
        target: Target<'r>,
        route: &'static Route,
        behaviour: &Behaviour,
    ) -> Result<Self, Refusal> {
        let mut findings = Findings::default();
        if let Some(only) = route.version
            && !route.is_in(target.version)
        {
            let message = format!(
                "{} {} is in {} only; write /{}/",
                route.method,
                route.path,
                only.name(),
                only.name(),
            );
            return Err(Refusal::new(Rule::Version, "path", message));
        }
        let args = target.args(route, behaviour, &mut findings);
        if !findings.is_clean() {
            return Err(Refusal::of(findings.faults));
        }
        let query = query_options(request.uri().query().unwrap_or_default(), route)?;
        check_size(length, behaviour)?;
        let body = if route.takes_body {
            check_encoding(request.headers())?;
            check_content_type(request.headers())?;
            Some(read_json(request.body())?)
        } else {
            None
        };
        let mut call = Self {
            version: target.version,
            action: route.action,
            args,
            query,
            origin: target.origin,
            uri: request.uri(),
            headers: request.headers(),
            body,
            parts: Vec::new(),
            reports: findings.reports,
        };
        if call.action == Action::Batch {
            let mut reader = Reader::new(call.version, behaviour);
            call.parts = reader.batch(call.body()?, &call);
            call.reports.append(&mut reader.findings.reports);
            if !reader.findings.is_clean() {
                return Err(Refusal::of(reader.findings.faults));
            }
        }
        Ok(call)
    }

    /// An argument of the path. The routes have as many as the operations ask for.
    pub(crate) fn arg(&self, index: usize) -> &str {
        self.args.get(index).map_or("", String::as_str)
    }

    /// Whether a header `Prefer` names this preference (RFC 7240).
    pub(crate) fn prefers(&self, preference: &str) -> bool {
        let values = self.headers.get_all("prefer").iter();
        let mut each = values.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
        each.any(|each| each.trim().eq_ignore_ascii_case(preference))
    }

    /// The body. The routes say which operations have one.
    pub(crate) fn body(&self) -> Result<Json<'r>, Refusal> {
        self.body.ok_or_else(|| {
            Refusal::new(Rule::BodyJson, "$", "there is no body; send a JSON object")
        })
    }
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Exact(usize),
    /// It was given up after so many bytes.
    #[cfg_attr(not(feature = "server"), expect(dead_code, reason = "here a body is whole"))]
    AtLeast(usize),
}

fn check_size(length: Length, behaviour: &Behaviour) -> Result<(), Refusal> {
    let (bytes, or_more) = match length {
        Length::Exact(bytes) => (bytes, ""),
        Length::AtLeast(bytes) => (bytes, " or more"),
    };
    // What is not read cannot be accepted either.
    let (most, switch) = match (behaviour.body_limit, behaviour.read_limit) {
        (most, read) if most <= read => (most, "body-limit"),
        (_, read) => (read, "read-limit"),
    };
    if bytes <= most {
        return Ok(());
    }
    let message = by_switch(
        format_args!(
            "the body has {bytes} bytes{or_more}, {most} are allowed; shorten the content or \
             split what is sent"
        ),
        switch,
    );
    let mut refusal = Refusal::new(Rule::BodySize, "$", message);
    if !behaviour.body_size_413 {
        refusal.status = http::StatusCode::BAD_REQUEST;
    }
    Err(refusal)
}

fn check_encoding(headers: &HeaderMap) -> Result<(), Refusal> {
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let value = String::from_utf8_lossy(value.as_bytes());
        let mut codings = value.split(',').map(str::trim).filter(|coding| !coding.is_empty());
        if let Some(coding) = codings.find(|coding| !coding.eq_ignore_ascii_case("identity")) {
            return Err(Refusal::new(
                Rule::ContentType,
                "header content-encoding",
                format!("the content encoding is {}; send the body uncompressed", shown(coding)),
            ));
        }
    }
    Ok(())
}

/// The bearer token of a request.
fn bearer_token(headers: &HeaderMap) -> Result<&str, Refusal> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(Refusal::no_token(
            "there is no Authorization header; send `Authorization: Bearer TOKEN`",
        ));
    };
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    token.filter(|token| !token.is_empty()).ok_or_else(|| {
        Refusal::no_token(
            "the Authorization header holds no bearer token; send `Authorization: Bearer TOKEN`",
        )
    })
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let refuse = |found: &str| {
        Err(Refusal::new(
            Rule::ContentType,
            "header content-type",
            format!("{found}; send `Content-Type: application/json`"),
        ))
    };
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return refuse("the body has no content type");
    };
    let value = String::from_utf8_lossy(value.as_bytes());
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    if !essence.eq_ignore_ascii_case("application/json") {
        return refuse(&format!("the content type is {}", shown(essence)));
    }
    let charset = parts.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    match charset {
        Some(charset) if !charset.eq_ignore_ascii_case("utf-8") => {
            refuse(&format!("the charset is {}, and JSON is UTF-8", shown(charset)))
        }
        _ => Ok(()),
    }
}

fn read_json(body: &[u8]) -> Result<Json<'_>, Refusal> {
    if body.is_empty() {
        return Err(Refusal::new(Rule::BodyJson, "$", "there is no body; send a JSON object"));
    }
    Json::read(body).map_err(|fault| match fault {
        JsonFault::Malformed(why) => {
            Refusal::new(Rule::BodyJson, "$", format!("the body cannot be read as JSON: {why}"))
        }
        JsonFault::Twice(places) => {
            let mut findings = Findings::default();
            for place in places {
                findings.refuse(
                    Rule::BodyJson,
                    place,
                    "the object has this member already; send each once",
                );
            }
            Refusal::of(findings.faults)
        }
    })
}

/// The query options of a request. One that the route does not know is not ignored, for its
/// answer would be wrong; one without `$` means nothing to OData and is. Each comes once.
fn query_options(query: &str, route: &Route) -> Result<Vec<(String, String)>, Refusal> {
    let mut options = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| decode(&text.replace('+', " ")).map(Cow::into_owned);
        let (Some(name), Some(value)) = (decode(name), decode(value)) else {
            return Err(Refusal::new(
                Rule::PathEscape,
                "query",
                format!("{} is not percent-encoded UTF-8", shown(pair)),
            ));
        };
        if name.starts_with('$') && !route.query.contains(&name.as_str()) {
            return Err(Refusal::new(
                Rule::NotImplemented,
                "query",
                format!(
                    "{} {} with the query option {} is not implemented; leave the option out",
                    route.method,
                    route.path,
                    cut(&name),
                ),
            ));
        }
        if name.starts_with('$') && options.iter().any(|(known, _)| *known == name) {
            return Err(Refusal::new(
                Rule::QueryOption,
                format!("query {name}"),
                "the option is there twice; send it once",
            ));
        }
        options.push((name, value));
    }
    Ok(options)
}
