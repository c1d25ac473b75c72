//! What the tests share: raw requests to a service whose time stands still until it is moved.

#![allow(dead_code)] // Each test crate uses a part.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use graphfeed_emulator::{Behaviour, Emulator, Options};
use http::{HeaderMap, Request, Response, StatusCode};
use serde_json::Value;

pub(crate) const USER: &str = "e811976d-83df-4cbd-8b9b-5215b18aa874";
pub(crate) const TENANT: &str = "1f0c997e-99f7-43f1-8cca-086f8d42be8d";
/// The item of all tests, in the connection of all tests.
pub(crate) const ITEM: &str = "/v1.0/external/connections/contosohr/items/TSP228082938";
pub(crate) const SCHEMA: &str = r#"{"baseType":"microsoft.graph.externalItem","properties":[
    {"name":"title","type":"string","isSearchable":true,"isRetrievable":true,"labels":["title"]},
    {"name":"priority","type":"int64"},
    {"name":"score","type":"double"},
    {"name":"due","type":"dateTime"},
    {"name":"open","type":"boolean"},
    {"name":"tags","type":"stringCollection"},
    {"name":"counts","type":"int64Collection"},
    {"name":"weights","type":"doubleCollection"},
    {"name":"dates","type":"dateTimeCollection"},
    {"name":"owner","type":"principal"},
    {"name":"authors","type":"principalCollection"},
    {"name":"url","type":"string","isRetrievable":true,"labels":["url"]},
    {"name":"icon","type":"string","isRetrievable":true,"labels":["iconUrl"]}]}"#;

/// A service and its clock.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) emulator: Emulator,
    millis: Arc<AtomicU64>,
}

/// An answer with its body as JSON; null if it has none.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Bench {
    /// A service with nothing in it.
    pub(crate) fn empty() -> Self {
        Self::with(|_| {})
    }

    /// A service with nothing in it and other switches.
    pub(crate) fn with(set: impl FnOnce(&mut Behaviour)) -> Self {
        let mut options = Options::default();
        set(&mut options.behaviour);
        Self::of(options)
    }

    /// A service with nothing in it that is set up like this.
    pub(crate) fn of(options: Options) -> Self {
        let millis = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&millis);
        let emulator = Emulator::with_clock(options, move || {
            Duration::from_millis(clock.load(Ordering::SeqCst))
        });
        Self { emulator, millis }
    }

    /// A service with a connection that has a property of each type.
    pub(crate) fn ready() -> Self {
        Self::ready_with(|_| {})
    }

    /// Like [`Self::ready`], with other switches.
    pub(crate) fn ready_with(set: impl FnOnce(&mut Behaviour)) -> Self {
        let bench = Self::with(set);
        let body = r#"{"id":"contosohr","name":"Contoso HR"}"#;
        bench.expect(201, "POST", "/v1.0/external/connections", body);
        bench.expect(202, "PATCH", "/v1.0/external/connections/contosohr/schema", SCHEMA);
        bench.wait(1_000);
        bench
    }

    pub(crate) fn wait(&self, millis: u64) {
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }

    pub(crate) fn send(&self, method: &str, target: &str, body: impl Into<Bytes>) -> Answer {
        self.send_with(method, target, body, |_| {})
    }

    pub(crate) fn send_with(
        &self,
        method: &str,
        target: &str,
        body: impl Into<Bytes>,
        change: impl FnOnce(&mut HeaderMap),
    ) -> Answer {
        let mut request = request(method, target, body);
        change(request.headers_mut());
        self.emulator.handle(&request).into()
    }

    /// Sends what must be answered with this status.
    #[track_caller]
    pub(crate) fn expect(
        &self,
        status: u16,
        method: &str,
        target: &str,
        body: impl Into<Bytes>,
    ) -> Answer {
        let answer = self.send(method, target, body);
        assert_eq!(answer.status, status, "{method} {target}: {}", answer.text);
        answer
    }

    /// Sends what must be refused with exactly these rules at these places.
    #[track_caller]
    pub(crate) fn refused(
        &self,
        method: &str,
        target: &str,
        body: impl Into<Bytes>,
        faults: &[(&str, &str)],
    ) -> Answer {
        let answer = self.send(method, target, body);
        assert_eq!(answer.faults(), faults, "{method} {target}: {}", answer.text);
        answer
    }
}

/// A request as a client sends it over HTTP/1.1.
pub(crate) fn request(method: &str, target: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("host", "emulator.test")
        .header("authorization", "Bearer any")
        .header("content-type", "application/json")
        .body(body.into());
    request.expect("a request")
}

impl From<Response<Bytes>> for Answer {
    fn from(response: Response<Bytes>) -> Self {
        let (head, body) = response.into_parts();
        let text = String::from_utf8(body.to_vec()).expect("UTF-8");
        Self {
            status: head.status,
            headers: head.headers,
            json: match &*text {
                "" => Value::Null,
                text => serde_json::from_str(text).expect("JSON"),
            },
            text,
        }
    }
}

impl Answer {
    /// The rules that were broken, and where. The first is that of `innerError`, too.
    #[track_caller]
    pub(crate) fn faults(&self) -> Vec<(&str, &str)> {
        faults_of(&self.json["error"])
    }

    /// What the first fault says.
    #[track_caller]
    pub(crate) fn cause(&self) -> &str {
        self.json["error"]["innerError"]["message"].as_str().expect(&self.text)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The rules and places in an error, after a look at its shape.
#[track_caller]
pub(crate) fn faults_of(error: &Value) -> Vec<(&str, &str)> {
    let Some(details) = error["details"].as_array() else {
        return Vec::new();
    };
    let text = |value: &'_ Value, name: &str| value[name].as_str().map(str::len).unwrap_or(0) > 0;
    assert!(text(error, "code") && text(error, "message"), "{error}");
    for name in ["code", "message", "target"] {
        assert_eq!(error["innerError"][name], details[0][name], "{error}");
        assert!(details.iter().all(|detail| text(detail, name)), "{error}");
    }
    details
        .iter()
        .filter_map(|detail| Some((detail["code"].as_str()?, detail["target"].as_str()?)))
        .collect()
}

/// An item with these properties, and nothing wrong otherwise.
pub(crate) fn item(properties: &str) -> String {
    format!(
        r#"{{"acl":[{{"accessType":"grant","type":"user","value":"{USER}"}}],"properties":{{{properties}}}}}"#
    )
}

/// An item with this acl, and nothing wrong otherwise.
pub(crate) fn item_for(acl: &str) -> String {
    format!(r#"{{"acl":[{acl}],"properties":{{"title":"a"}}}}"#)
}

/// An item with these members besides the required ones.
pub(crate) fn item_with(members: &str) -> String {
    item(r#""title":"a""#).replacen('{', &format!("{{{members},"), 1)
}

/// An activity on an item.
pub(crate) fn activity(kind: &str, start: &str, by: &str) -> String {
    format!(
        r##"{{"@odata.type":"#microsoft.graph.externalConnectors.externalActivity","type":"{kind}","startDateTime":"{start}","performedBy":{{"type":"user","id":"{by}"}}}}"##
    )
}

/// A body of addActivities.
pub(crate) fn activities(each: &[String]) -> String {
    format!(r#"{{"activities":[{}]}}"#, each.join(","))
}

/// A user activity with these members besides the required ones.
pub(crate) fn user_activity(id: &str, members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(
        r#"{{"appActivityId":"{id}","activitySourceHost":"https://contoso.com","activationUrl":"https://contoso.com/a","visualElements":{{"displayText":"A"}}{comma}{members}}}"#
    )
}
