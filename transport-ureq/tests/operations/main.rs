//! Every operation of the core against the emulator, over real HTTP on loopback: what succeeds,
//! and what the documents say is refused. At the end, that none was left out.
//!
//! Time is virtual on both sides: the client's waits move the clock that the emulator reads.

mod activities;
mod batches;
mod connections;
mod groups;
mod items;
mod permissions;

use std::{
    collections::BTreeSet,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use graphfeed_core::{
    ROUTES,
    client::{Client, Clock, Failure, SendOptions, Transport, VirtualClock},
    external::{
        AwaitSchema, CreateConnection, ExternalConnection, PropertyType, RegisterSchema, Schema,
        SchemaProperty,
    },
    machine::Policy,
    protocol::{Cause, Cloud, Endpoint, Error, Route, ServiceRoot, Version},
    types::{AccessToken, ConnectionId, Guid},
};
use graphfeed_emulator::{Emulator, Options, server::Server};
use graphfeed_ureq::UreqTransport;

/// Which operation was answered with which status.
type Seen = Arc<Mutex<BTreeSet<(&'static str, u16)>>>;

/// An emulator that listens, and a client for it that keeps a record of the answers.
struct World {
    client: Client<Recorder>,
    emulator: Emulator,
    version: Version,
    seen: Seen,
    clock: Arc<VirtualClock>,
    server: Server,
}

impl World {
    fn new(version: Version, seen: &Seen) -> Self {
        Self::with(version, seen, Options::default(), None)
    }

    fn with(version: Version, seen: &Seen, options: Options, token: Option<AccessToken>) -> Self {
        let clock = Arc::new(VirtualClock::default());
        let time = Arc::clone(&clock);
        let emulator = Emulator::with_clock(options, move || Clock::now(&*time).since_origin());
        let server = Server::start(emulator.clone(), "127.0.0.1:0").unwrap();
        let token = token.unwrap_or_else(|| AccessToken::new("any").unwrap());
        let client = Self::client(&server, version, token, seen, &clock);
        Self { client, emulator, version, seen: Arc::clone(seen), clock, server }
    }

    fn client(
        server: &Server,
        version: Version,
        token: AccessToken,
        seen: &Seen,
        clock: &Arc<VirtualClock>,
    ) -> Client<Recorder> {
        let root = ServiceRoot::danger_plain_http(server.url(), Cloud::Global, version).unwrap();
        let transport =
            Recorder { inner: UreqTransport::danger_plain_http(), seen: Arc::clone(seen) };
        Client::builder(root, token).policy(Policy::default()).build(transport, Arc::clone(clock))
    }

    /// Another caller of the same service.
    fn caller(&self, token: AccessToken, version: Version) -> Client<Recorder> {
        Self::client(&self.server, version, token, &self.seen, &self.clock)
    }

    /// Makes a connection with a schema of these properties, and waits until it is ready.
    fn ready(&self, id: &ConnectionId, schema: &Schema) {
        let connection = ExternalConnection::new(id.clone(), "Contoso HR").unwrap();
        self.client.send(&CreateConnection::new(&connection)).unwrap();
        self.register(id, schema);
    }

    /// Sends what no endpoint of the core would, past the record.
    fn raw(
        &self,
        version: Version,
        method: &http::Method,
        target: &str,
        token: &str,
    ) -> http::Response<Bytes> {
        let body = match *method {
            http::Method::GET | http::Method::DELETE => Bytes::new(),
            _ => Bytes::from_static(b"[]"),
        };
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}/{version}{target}", self.server.url()))
            .header("Content-Type", "application/json")
            .header("Authorization", format!("Bearer {token}"))
            .body(body)
            .unwrap();
        UreqTransport::danger_plain_http().send(request, &SendOptions::default()).unwrap()
    }

    fn register(&self, id: &ConnectionId, schema: &Schema) {
        let begun = self.client.send(&RegisterSchema::new(id, schema)).unwrap();
        self.client.run(&AwaitSchema::new(id.clone(), begun.operation)).unwrap();
    }
}

/// Sends by ureq, and keeps which operation was answered with which status.
struct Recorder {
    inner: UreqTransport,
    seen: Seen,
}

impl Transport for Recorder {
    fn send(
        &self,
        request: http::Request<Bytes>,
        options: &SendOptions,
    ) -> Result<http::Response<Bytes>, Failure> {
        let name = route_of(&request).map(|route| route.name);
        let answer = self.inner.send(request, options)?;
        if let Some(name) = name {
            self.seen.lock().unwrap().insert((name, answer.status().as_u16()));
        }
        Ok(answer)
    }
}

fn route_of(request: &http::Request<Bytes>) -> Option<&'static Route> {
    let path: Vec<&str> = request.uri().path().split('/').skip(2).collect();
    ROUTES.iter().find(|route| {
        let template: Vec<&str> = route.path.split('/').skip(1).collect();
        route.method() == *request.method()
            && template.len() == path.len()
            && template
                .iter()
                .zip(&path)
                .all(|(ours, theirs)| ours.starts_with('{') || ours == theirs)
    })
}

fn hr() -> ConnectionId {
    ConnectionId::new("contosohr").unwrap()
}

fn nowhere() -> ConnectionId {
    ConnectionId::new("nowhere").unwrap()
}

fn guid(number: u128) -> Guid {
    Guid::from(number)
}

fn schema() -> Schema {
    Schema::new([
        SchemaProperty::new("title", PropertyType::String).searchable().retrievable(),
        SchemaProperty::new("tags", PropertyType::StringCollection).queryable(),
    ])
    .unwrap()
}

/// What must be refused by the service, with this status and this rule as the innermost cause.
#[track_caller]
fn refused<T: Debug>(outcome: Result<T, Error>, status: u16, rule: &str) {
    let error = outcome.expect_err("a refusal");
    let Cause::Service(refusal) = error.cause() else { panic!("{error}") };
    let code = refusal.error().and_then(|error| error.cause().code.as_deref());
    assert_eq!((refusal.status().as_u16(), code), (status, Some(rule)), "{error}");
}

/// Sends what must be refused by the service.
#[track_caller]
fn refuses<E: Endpoint<Output: Debug>>(world: &World, endpoint: &E, status: u16, rule: &str) {
    refused(world.client.send(endpoint), status, rule);
}

#[test]
fn every_operation_succeeds_and_is_refused_as_documented() {
    let seen = Seen::default();
    for version in [Version::V1, Version::Beta] {
        let mut pages = Options::default();
        pages.behaviour.set("page-size", "1").unwrap();
        connections::life(&World::with(version, &seen, pages, None));
        connections::registration(&World::new(version, &seen));
        items::life(&World::new(version, &seen));
        items::activities(&World::new(version, &seen));
        items::bulk(&World::new(version, &seen));
        groups::life(&World::new(version, &seen));
        batches::life(&World::new(version, &seen));
        activities::life(&World::new(version, &seen));
        activities::lists(&World::new(version, &seen));
    }
    connections::states(&seen);
    permissions::tokens(&seen);

    let seen = seen.lock().unwrap();
    for route in ROUTES {
        for success in route.success {
            assert!(
                seen.contains(&(route.name, *success)),
                "{} never answered {success}",
                route.name
            );
        }
        let refusals = seen.range((route.name, 400)..(route.name, 500)).count();
        assert!(refusals > 0, "{} was never refused", route.name);
    }
}
