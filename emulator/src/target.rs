//! The target of a request: its version, its route, and the arguments of its path.
//!
//! It is read raw, byte by byte; nothing is normalised.

use std::borrow::Cow;

use bytes::Bytes;
use http::{Request, header};

use crate::{
    check::{self, cut, shown},
    findings::{Findings, Refusal},
    options::Behaviour,
    routes::{self, Found, Route},
    rules::Rule,
};

/// A version of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    Beta,
}

impl Version {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1.0",
            Self::Beta => "beta",
        }
    }
}

/// A request target below its version.
pub(crate) struct Target<'r> {
    pub(crate) origin: String,
    pub(crate) version: Version,
    path: &'r str,
    raw: Vec<&'r str>,
    decoded: Vec<Cow<'r, str>>,
}

impl<'r> Target<'r> {
    pub(crate) fn read(request: &'r Request<Bytes>) -> Result<Self, Refusal> {
        let (method, uri) = (request.method(), request.uri());
        let path = uri.path();
        let mut raw: Vec<&str> = path.split('/').skip(1).collect();
        let first = if raw.is_empty() { "" } else { raw.remove(0) };
        let version = match first {
            "v1.0" => Version::V1,
            "beta" => Version::Beta,
            other if looks_like_version(other) => {
                return Err(Refusal::new(
                    Rule::Version,
                    "path",
                    format!(
                        "there is no version {}; a path begins with /v1.0/ or /beta/",
                        shown(other)
                    ),
                ));
            }
            other => {
                raw.insert(0, other);
                return Err(not_here(method.as_str(), path, &raw));
            }
        };
        Ok(Self {
            origin: origin(request),
            version,
            path,
            decoded: raw
                .iter()
                .map(|segment| decode(segment).unwrap_or(Cow::Borrowed(segment)))
                .collect(),
            raw,
        })
    }

    fn segments(&self) -> Vec<&str> {
        self.decoded.iter().map(|segment| &**segment).collect()
    }

    pub(crate) fn route(&self, method: &str) -> Result<&'static Route, Refusal> {
        match routes::find(method, &self.segments(), self.version) {
            Found::Route(route) => Ok(route),
            Found::OtherMethods(methods) => Err(Refusal::new(
                Rule::Method,
                "path",
                format!("{} has no {method}; it has {}", cut(self.path), methods.join(", ")),
            )
            .with(header::ALLOW, methods.join(", "))),
            Found::Unescaped(route) => Err(Refusal::new(
                Rule::PathEscape,
                "path",
                format!(
                    "the path goes on behind {} {}; if the id at its end holds a `/`, \
                     write it as %2F",
                    route.method, route.path,
                ),
            )),
            Found::Nothing => Err(not_here(method, self.path, &self.segments())),
        }
    }

    pub(crate) fn args(
        &self,
        route: &Route,
        behaviour: &Behaviour,
        findings: &mut Findings,
    ) -> Vec<String> {
        let mut args = Vec::new();
        for (segment, (raw, decoded)) in route.segments().zip(self.raw.iter().zip(&self.decoded)) {
            let Err(name) = segment else { continue };
            check::escaping(raw, behaviour, findings);
            check::argument(name, decoded, behaviour, findings);
            args.push(decoded.clone().into_owned());
        }
        args
    }
}

/// Scheme and authority as the client named them.
pub(crate) fn origin(request: &Request<Bytes>) -> String {
    let uri = request.uri();
    let authority = uri.authority().map(|authority| authority.as_str());
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    format!(
        "{}://{}",
        uri.scheme_str().unwrap_or("http"),
        authority.or(host).unwrap_or("localhost"),
    )
}

/// The decoded segments of a path below its version. One that cannot be decoded stays as it is.
pub(crate) fn segments(path: &str) -> Vec<Cow<'_, str>> {
    let below = path.split('/').skip(2);
    below.map(|segment| decode(segment).unwrap_or(Cow::Borrowed(segment))).collect()
}

pub(crate) fn looks_like_version(segment: &str) -> bool {
    let mut bytes = segment.bytes();
    let lead = bytes.next();
    matches!(lead, Some(b'v' | b'V')) && bytes.next().is_some_and(|byte| byte.is_ascii_digit())
        || segment.eq_ignore_ascii_case("beta")
}

fn not_here(method: &str, path: &str, segments: &[&str]) -> Refusal {
    let nearest = match routes::nearest(method, segments) {
        Some(route) => {
            let version = route.version.unwrap_or(Version::V1).name();
            format!("the nearest that is here is {} /{version}{}", route.method, route.path)
        }
        None => "what is here begins with /v1.0/external/connections or /v1.0/me/activities, \
                 or with /beta/"
            .to_owned(),
    };
    Refusal::new(
        Rule::NotImplemented,
        "path",
        format!("this emulator does not have {method} {}; {nearest}", cut(path)),
    )
}

/// Undoes percent-encoding. None if a `%` is not followed by two hexadecimal digits or the
/// result is not UTF-8.
pub(crate) fn decode(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(Cow::Borrowed(segment));
    }
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            decoded.push((high * 16 + low) as u8);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}
