//! Requests to the emulator, as raw as they come: each has an answer in the right shape, a refusal
//! changes nothing, and what is stored can be saved, restored and asked for.

use std::time::Duration;

use bytes::Bytes;
use graphfeed_emulator::{Behaviour, Emulator, Options, Outcome, Rule, Versions};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::Value;

use crate::{
    json::unique,
    tenant::{self, CONNECTION},
};

/// The first byte says how it is set up. Then requests as they stand in an `.http` file, with `###`
/// in a line between them: method and target, lines of headers up to an empty one, the body.
/// `WAIT 500` lets half a second pass.
pub fn run(data: &[u8]) {
    let [how, requests @ ..] = data else { return };
    let mut world = World::new(*how);
    for text in split(requests, b"\n###\n").take(20) {
        world.take(text);
    }
    world.is_restored();
}

struct World {
    emulator: Emulator,
    options: Options,
    now: Duration,
    // From then on a fault or a limit may stand before the answer.
    disturbed: bool,
}

impl World {
    fn new(how: u8) -> Self {
        let versions = if how & 2 == 2 { Versions::Separate } else { Versions::Shared };
        let behaviour = Behaviour { versions, ..Behaviour::default() };
        let options = Options { behaviour, control: how & 1 == 1, ..Options::default() };
        let emulator = match how & 4 {
            0 => tenant::with_schema(options.clone(), &tenant::schema_of_all()),
            _ => Emulator::with_clock(options.clone(), || Duration::ZERO),
        };
        Self { emulator, options, now: Duration::ZERO, disturbed: false }
    }

    fn take(&mut self, text: &[u8]) {
        let (first, rest) = line(text);
        let Ok(first) = std::str::from_utf8(first) else { return };
        let Some((method, target)) = first.split_once(' ') else { return };
        if method == "WAIT" {
            // A year at most.
            let wait: u64 = target.trim().parse().unwrap_or_default();
            self.now += Duration::from_millis(wait % 31_536_000_000);
            return;
        }
        let Some(request) = request(method, target, rest) else { return };
        let is_control = self.options.control && request.uri().path().starts_with("/__emulator");
        let before = self.state();
        let delivery = self.emulator.deliver_at(self.now, &request);
        let answer = match delivery.outcome {
            Outcome::Answer(answer) => answer,
            _ => {
                assert!(self.disturbed, "nothing stands before the answer");
                return;
            }
        };
        if is_control {
            self.disturbed = true;
            has_a_shape(&answer);
            return;
        }
        match self.disturbed {
            true => has_a_shape(&answer),
            false => self.judge(&request, &answer),
        }
        let reads = request.method() == Method::GET && answer.status().is_success();
        if reads && !self.disturbed {
            assert_eq!(self.state(), before, "reading changes nothing: {answer:?}");
        }
        if answer.status().is_client_error() && !self.disturbed {
            assert_eq!(self.state(), before, "a refusal leaves no trace: {answer:?}");
        }
        if answer.status() == StatusCode::OK {
            self.is_given_back(&request);
        }
    }

    /// What any answer has.
    fn judge(&self, request: &Request<Bytes>, answer: &Response<Bytes>) {
        let headers = answer.headers();
        for name in ["request-id", "date"] {
            assert!(headers.contains_key(name), "{name} is missing: {answer:?}");
        }
        let body = answer.body();
        assert_ne!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR, "{answer:?}");
        if body.is_empty() {
            assert!(!headers.contains_key(header::CONTENT_TYPE), "{answer:?}");
            assert!(answer.status().is_success(), "a refusal says why: {answer:?}");
            return;
        }
        let kind = headers[header::CONTENT_TYPE].to_str().expect("a text");
        assert!(kind.starts_with("application/json"), "{kind}");
        let json = unique(body).unwrap_or_else(|| panic!("no JSON: {answer:?} to {request:?}"));
        if answer.status().is_success() {
            assert!(json.get("error").is_none(), "{json}");
            return;
        }
        // The identity platform has a shape of its own.
        if json["error"].is_string() {
            return;
        }
        let error = &json["error"];
        let said =
            |value: &Value, name: &str| value[name].as_str().is_some_and(|it| !it.is_empty());
        assert!(said(error, "code") && said(error, "message"), "{json}");
        let details = error["details"].as_array().expect("details");
        assert!(!details.is_empty(), "{json}");
        for name in ["code", "message", "target"] {
            assert_eq!(error["innerError"][name], details[0][name], "{json}");
            assert!(details.iter().all(|detail| said(detail, name)), "{json}");
        }
        for detail in details {
            let known = Rule::ALL.iter().any(|rule| detail["code"] == rule.name());
            assert!(known, "{detail}");
        }
    }

    /// What was put is there: in an answer, and inside.
    fn is_given_back(&self, request: &Request<Bytes>) {
        let segments: Vec<_> = request.uri().path().split('/').collect();
        let [_, _, "external", "connections", CONNECTION, "items", id] = segments[..] else {
            return;
        };
        if request.method() != "PUT" || self.disturbed {
            return;
        }
        let Some(sent) = unique(request.body()) else { return };
        let mut get = Request::get(request.uri()).body(Bytes::new()).expect("a request");
        get.headers_mut().insert("authorization", "Bearer any".parse().expect("a value"));
        let answer = self.emulator.handle_at(self.now, &get);
        assert_eq!(answer.status(), 200, "{answer:?}");
        let given = unique(answer.body()).expect("JSON");
        assert_eq!(given["id"], id);
        for (name, value) in sent["properties"].as_object().into_iter().flatten() {
            if !name.contains('@') {
                assert_eq!(
                    &without_types(&given["properties"][name]),
                    &without_types(value),
                    "{name}"
                );
            }
        }
        let entries = sent["acl"].as_array().map_or(&[][..], Vec::as_slice);
        assert_eq!(given["acl"].as_array().map_or(0, Vec::len), entries.len(), "{given}");
        for (nth, entry) in entries.iter().enumerate() {
            for (name, value) in entry.as_object().into_iter().flatten() {
                if !name.contains('@') {
                    assert_eq!(&given["acl"][nth][name], value, "{name} of entry {nth}");
                }
            }
        }
        if let Some(text) = sent["content"]["value"].as_str() {
            assert_eq!(given["content"]["value"], text);
        }
    }

    /// Everything that is stored, but for where the generator of ids stands.
    fn state(&self) -> Value {
        let saved = self.emulator.service().save(self.now);
        let mut state: Value = serde_json::from_slice(&saved).expect("JSON");
        state.as_object_mut().expect("an object").remove("ids");
        state
    }

    /// What was saved is restored as it was, and asked for the same gives the same.
    fn is_restored(&self) {
        let saved = self.emulator.service().save(self.now);
        assert_eq!(self.emulator.service().save(self.now), saved, "to save it changes nothing");
        let next = Emulator::with_clock(self.options.clone(), || Duration::ZERO);
        next.service().restore(self.now, &saved).expect("what was saved");
        assert_eq!(next.service().save(self.now), saved);
        if self.disturbed {
            return;
        }
        let ids: Vec<String> =
            self.emulator.service().connection_ids().map(str::to_owned).collect();
        let targets = ids.iter().flat_map(|id| {
            ["", "/schema", "/items/T1"]
                .map(|rest| format!("/v1.0/external/connections/{id}{rest}"))
        });
        let lists = ["/v1.0/external/connections", "/beta/me/activities?$expand=historyItems"];
        for target in targets.chain(lists.map(str::to_owned)) {
            let request = request("GET", &target, b"").expect("a request");
            let [ours, theirs] = [&self.emulator, &next].map(|it| it.handle_at(self.now, &request));
            assert_eq!(ours.status(), theirs.status(), "{target}");
            assert_eq!(ours.body(), theirs.body(), "{target}");
        }
    }
}

/// What an answer has also where a fault or a limit may stand before it: JSON, or the page of a
/// gateway, or nothing.
fn has_a_shape(answer: &Response<Bytes>) {
    let body = answer.body();
    if body.is_empty() || body.starts_with(b"<html>") {
        return;
    }
    let json = unique(body).unwrap_or_else(|| panic!("no JSON: {answer:?}"));
    let error = &json["error"];
    if !answer.status().is_success() && !error.is_string() {
        assert!(error["code"].is_string() && error["message"].is_string(), "{json}");
    }
}

/// A principal is given back with its type, whether or not it came with it.
fn without_types(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| *name != "@odata.type");
            Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        Value::Array(elements) => elements.iter().map(without_types).collect(),
        other => other.clone(),
    }
}

/// A request with its token and kind, unless it says otherwise; `None` where no client could
/// send it.
fn request(method: &str, target: &str, rest: &[u8]) -> Option<Request<Bytes>> {
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header(header::AUTHORIZATION, "Bearer any")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Bytes::new())
        .ok()?;
    let mut rest = rest;
    loop {
        let (head, after) = line(rest);
        rest = after;
        if head.is_empty() {
            break;
        }
        let Some(colon) = head.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&head[..colon]).ok()?;
        let value = head[colon + 1..].trim_ascii();
        match value {
            b"" => drop(request.headers_mut().remove(name)),
            value => drop(request.headers_mut().insert(name, HeaderValue::from_bytes(value).ok()?)),
        }
    }
    *request.body_mut() = Bytes::copy_from_slice(rest);
    Some(request)
}

fn line(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, b""),
    }
}

fn split<'a>(text: &'a [u8], by: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        match text.windows(by.len()).position(|window| window == by) {
            Some(at) => {
                rest = Some(&text[at + by.len()..]);
                Some(&text[..at])
            }
            None => rest.take(),
        }
    })
}

/// Bytes in the place of what was saved: they are refused and change nothing, or they are a state
/// that can be asked and saved.
pub fn run_saved(data: &[u8]) {
    // What could be lost is there.
    let schema = tenant::schema([("title".to_owned(), "string".to_owned())]);
    let emulator = tenant::with_schema(Options::default(), &schema);
    let before = emulator.save();
    match emulator.restore(data) {
        Ok(()) => {
            for target in ["/v1.0/external/connections", "/v1.0/me/activities?$expand=historyItems"]
            {
                let request = request("GET", target, b"").expect("a request");
                assert_eq!(emulator.handle(&request).status(), 200, "{target}");
            }
            let saved = emulator.save();
            emulator.restore(&saved).expect("what was saved");
            assert_eq!(emulator.save(), saved);
        }
        Err(why) => {
            assert!(!why.to_string().is_empty());
            assert_eq!(emulator.save(), before);
        }
    }
}
