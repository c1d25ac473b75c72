//! Microsoft Graph's external items and user activities, emulated: a strict, stateful reader of
//! the documents, for tests and for trying things out without a tenant.
//!
//! It keeps what is written and gives it back; it judges every byte of a request by the documents
//! and refuses with Graph's own error shape, `innerError.code` naming the rule (`docs/rules.md`)
//! and `innerError.target` the place; what it does not have is a 501 that says so. It shares
//! nothing with graphfeed-core but the transport traits, so that a mistake there cannot hide here.
//! It was written from the documents and never compared with a live tenant.
//!
//! # Three ways to run it
//!
//! In process, as a [`Transport`](graphfeed_core::client::Transport) ([`Emulator`]); on loopback,
//! from a test or a program ([`server::Server`], feature `server`); as a binary,
//! `graphfeed-emulator --listen 127.0.0.1:0`. Underneath is the same state machine, [`Service`],
//! with time as an argument:
//!
//! ```
//! use std::time::Duration;
//! use bytes::Bytes;
//! use graphfeed_emulator::{Options, Service};
//!
//! fn request(method: &str, path: &str, body: &str) -> http::Request<Bytes> {
//!     http::Request::builder()
//!         .method(method)
//!         .uri(format!("http://localhost/v1.0/external/connections{path}"))
//!         .header("authorization", "Bearer any")
//!         .header("content-type", "application/json")
//!         .body(Bytes::copy_from_slice(body.as_bytes()))
//!         .expect("a request")
//! }
//!
//! let mut service = Service::new(Options::default());
//! let mut send = |second, method, path, body| {
//!     let answer = service.handle(Duration::from_secs(second), &request(method, path, body));
//!     (answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned())
//! };
//!
//! assert_eq!(send(0, "POST", "", r#"{"id":"contosohr","name":"Contoso HR"}"#).0, 201);
//! let schema = r#"{"baseType":"microsoft.graph.externalItem",
//!     "properties":[{"name":"title","type":"string"}]}"#;
//! assert_eq!(send(0, "PATCH", "/contosohr/schema", schema).0, 202);
//!
//! // A second later the schema is registered.
//! let item = r#"{"acl":[{"accessType":"grant","type":"everyone","value":"everyone"}],
//!     "properties":{"title":"Kandierte Äpfel"}}"#;
//! let (status, body) = send(1, "PUT", "/contosohr/items/1", item);
//! assert_eq!(status, 400);
//! assert!(body.contains(r#""code":"annotation-non-ascii""#));
//! assert!(body.contains(r#""target":"$.properties.title""#));
//!
//! let item = item.replace(r#""title":"#, r#""title@odata.type":"String","title":"#);
//! assert_eq!(send(1, "PUT", "/contosohr/items/1", &item).0, 200);
//! ```
//!
//! # Where the documents are silent or disagree
//!
//! There is a named switch, with a default that says why: [`Behaviour`]. Some only report what
//! they let pass: [`Emulator::reports`].
//!
//! # Faults, limits, tokens, and who comes back too early
//!
//! All off by default. [`Fault`] scripts what a real network and a real service do to a request:
//! throttling, a 500 after it was stored, a closed connection. [`Limit`] says how many requests
//! are let through, [`Latency`] how long an answer takes. [`EarlyCall`] says who came back
//! before the time that a `Retry-After` told. [`Authorization`] registers applications; then there
//! is an identity platform, and only its tokens are good, for what they may do. What a test in
//! another process needs of this is on the control path ([`Options::control`]).
//!
//! # The way of a request
//!
//! ```text
//! server.rs            bytes to a whole request, with limits; hyper does HTTP
//!   emulator.rs        the lock, the clock, the transport        control.rs  the control path
//!     incoming.rs      target, token, size and JSON: all that needs no state, outside the lock
//!       target.rs      version, route and arguments
//!         routes.rs    the table of routes      check.rs   ids and escaping
//!       json.rs        raw JSON: order, duplicates, depth, the text of numbers
//!     early.rs         whether it comes too early
//!     faults/          whether it is struck, and by what
//!     throttle/        whether a limit has room for it      latency.rs  how long it takes
//!     identity/        the token endpoint and its kin: one file per kind of grant
//!     service/         the state machine: one file per resource, each operation on its state
//!       visit.rs       a request from its arrival to its departure; those of a batch, too
//!       authorize.rs   what its token may do      access.rs  what a route needs
//!       read/          from JSON to what is stored: one file per resource, tables first
//!       model.rs       what is stored             saved.rs   the same as bytes, and back
//!     answer.rs        status, headers, the envelope of an error      write.rs  JSON in order
//!   delivery.rs        what is left of the answer, and when it comes
//!   record.rs          counts and journal
//! options.rs           every switch       rules.rs  every rule       findings.rs  what was found
//! authorization.rs     the applications and settings of the identity platform
//! date.rs  path.rs  ids.rs               dates, JSON paths, made-up ids
//! ```
//!
//! Nothing below `emulator.rs` knows a clock, a thread or a socket.

mod access;
mod answer;
mod authorization;
mod check;
#[cfg(feature = "conformance")]
pub mod conformance;
mod control;
mod date;
mod delivery;
mod early;
mod emulator;
mod faults;
mod findings;
mod identity;
mod ids;
mod incoming;
mod json;
mod latency;
mod model;
mod options;
mod path;
mod read;
mod record;
mod routes;
mod rules;
#[cfg(feature = "server")]
pub mod server;
mod service;
#[cfg(test)]
mod tables;
mod target;
mod throttle;
#[cfg(feature = "tls")]
mod tls;
mod write;

pub use authorization::{Application, Authorization, Federation, ManagedIdentity, SignIn};
pub use delivery::{Delivery, Outcome};
pub use early::{EarlyCall, EarlyCalls};
pub use emulator::Emulator;
pub use faults::{Effect, End, Fault, FaultError, Requests, RetryAfter};
pub use findings::Report;
pub use latency::Latency;
pub use model::{
    AclEntry, ActivityOwner, ConnectionState, Content, Group, GroupMember, HistoryItem, Item,
    ItemActivity, Property, PropertyType, UserActivity,
};
pub use options::{
    BatchIdCase, BatchOrder, BatchThrottled, Behaviour, HistoryDates, ItemAnswer, MissingContent,
    Options, SchemaAnswer, Switch, Verdict, Versions,
};
pub use record::{Count, Entry};
pub use rules::Rule;
pub use service::{RestoreError, Service};
pub use throttle::{Limit, Measure, Scope, Traffic, Wait};

/// The README's program is compiled and run, so that it cannot go stale.
#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../README.md")]
struct Readme;
