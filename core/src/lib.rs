//! Push content and activity into Microsoft Graph: a protocol core without I/O.
//!
//! graphfeed writes external items and what people do with them
//! (`microsoft.graph.externalConnectors`, what Microsoft Search and Copilot index), and a user's own
//! activities with their history (`/me/activities`). This crate builds `http::Request` values and
//! reads `http::Response` bodies. It opens no socket, reads no clock, file or environment
//! variable, and rolls no dice; time and chance are arguments. So one core serves threads, async
//! runtimes, a simulator and a fuzzer.
//!
//! # The map
//!
//! Five floors; nothing looks back up.
//!
//! | room | what lives there |
//! | --- | --- |
//! | [`types`] | vocabulary: validated ids, open enumerations, timestamps, secrets, refusals |
//! | [`protocol`] | what a call is, whatever the resource: root, route, endpoint, call, errors |
//! | [`external`] | connections, schemas, items, activities on items, groups |
//! | [`activity`] | a user's activities and their history |
//! | [`machine`] | what happens over time: repeats, throttling, tokens, calls that belong together |
//! | [`client`] | what turns the machines' steps into sends and waits: the [`Transport`](client::Transport) trait and the drivers |
//!
//! Transports live in crates of their own: `graphfeed-ureq` blocks the thread, `graphfeed-hyper`
//! does not, and any other is one function. A service to test against is in
//! `graphfeed-emulator`, which reads the same documents independently.
//!
//! # The path of a value
//!
//! ```text
//! ExternalItem            a value; that it exists means that it is valid
//!   └─ PutItem            an Endpoint: the operation with its arguments
//!        └─ Call<T>       request and parser, the endpoint's type erased; owned, cheap to clone
//!             └─ Exchange<T>   the machine: token, gate, attempts, waits
//!                  └─ http::Request<Bytes>
//!                       └─ a transport
//!                  ┌─ http::Response<Bytes>
//!             Reply<T>    the output, with status, headers and raw body
//! ```
//!
//! Whoever wants requests and answers only stops at [`Endpoint::request`] and
//! [`Endpoint::response`]; whoever wants retries without our I/O drives an
//! [`Exchange`](machine::Exchange); whoever wants it done calls [`Client::send`] or,
//! in a future of any runtime, [`AsyncClient::send`]. Many calls go in few requests as
//! [`Batches`](machine::Batches); a whole source of them, each accounted for, goes with
//! [`Client::ingest`] and [`AsyncClient::ingest`].
//!
//! # One call
//!
//! ```text
//!                ┌──────────────────────────── a new token, once ◀── 401 ──┐
//!                ▼                                                         │
//!  poll ──▶ token? ──▶ gate of the lane open? ──▶ Send ──▶ answer ──▶ judged by status
//!   ▲          │                 │                  │                   │  │  │
//!   │          │ another call    │ throttled, or    │ silence,          │  │  └─▶ 2xx: Done(Ok)
//!   │          ▼ fetches it      ▼ one goes first   ▼ a broken line     │  └─▶ 429: the gate closes
//!   └──────── Wait ◀──────────────────────────── may it be repeated? ◀──┴─▶ 4xx, 3xx: Done(Err)
//!                                                    │ no, or no attempts, time or budget left
//!                                                    ▼
//!                                          Done(Err), which says whether it was carried out
//! ```
//!
//! # A complete program
//!
//! The transport here is a closure, so that the program runs anywhere; with `graphfeed-ureq` it
//! is `graphfeed_ureq::client(root, token)`.
//!
//! ```
//! use graphfeed_core::client::{Client, SendOptions, VirtualClock};
//! use graphfeed_core::external::{
//!     Acl, AddActivities, ExternalActivity, ExternalItem, ExternalItemContent, Identity, PutItem,
//! };
//! use graphfeed_core::protocol::ServiceRoot;
//! use graphfeed_core::types::{AccessToken, ConnectionId, Guid, ItemId};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let answers = |request: http::Request<bytes::Bytes>, _: &SendOptions| {
//! #     Ok(http::Response::new(match request.method().as_str() {
//! #         "PUT" => "".into(),
//! #         _ => r#"{"value":[{"type":"created","startDateTime":"2021-04-06T18:04:31.033Z"}]}"#.into(),
//! #     }))
//! # };
//! let client = Client::builder(ServiceRoot::v1(), AccessToken::new("token")?)
//!     .build(answers, VirtualClock::default());
//! let connection = ConnectionId::new("contosohr")?;
//!
//! // Any key of the source system has an id; two keys never share one.
//! let item = ExternalItem::builder(ItemId::from_key("tickets/TSP228082938"))
//!     .acl(Acl::user(Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874")?))
//!     .property("title", "Kandierte Äpfel")
//!     .property("tags", ["fruit", "sugar"])
//!     .content(ExternalItemContent::text("How to coat an apple..."))
//!     .build()?;
//! client.send(&PutItem::new(&connection, &item))?;
//!
//! let ann = Identity::user(Guid::new("1f0c997e-99f7-43f1-8cca-086f8d42be8d")?);
//! let created = [ExternalActivity::created("2021-04-06T18:04:31.033Z".parse()?, ann)];
//! client.send(&AddActivities::new(&connection, item.id(), &created))?.into_result()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Rules that hold everywhere
//!
//! 1. The core is pure: the same inputs give the same outputs.
//! 2. `name@odata.type` stands directly before `name`, where it is needed; the user never writes
//!    one.
//! 3. An id is one path segment, whatever it is.
//! 4. Nothing that the service says is lost: unknown members and enumeration members survive, an
//!    answer keeps its raw bytes, an error its whole inner chain.
//! 5. Every error says whether the write happened ([`Error::applied`]).
//! 6. The service's wait is obeyed, and nothing is tried beyond the policy's attempts, time and
//!    budget. One layer repeats, no two multiply.
//! 7. A token goes to the service root only, and no secret is ever printed.
//! 8. A bulk run tells one outcome for each offer, and `seen = ok + failed + skipped`.
//! 9. A refusal is local when it can be, before anything is sent, naming rule and place, all
//!    faults at once. The rules are listed in `docs/rules.md` of the repository, and as
//!    [`Rule`](types::Rule).
//!
//! [`AsyncClient::ingest`]: client::AsyncClient::ingest
//! [`AsyncClient::send`]: client::AsyncClient::send
//! [`Client::ingest`]: client::Client::ingest
//! [`Client::send`]: client::Client::send
//! [`Endpoint::request`]: protocol::Endpoint::request
//! [`Endpoint::response`]: protocol::Endpoint::response
//! [`Error::applied`]: protocol::Error::applied

pub mod activity;
pub mod client;
pub mod external;
pub mod machine;
pub mod protocol;
mod routes;
pub mod types;

pub use routes::ALL as ROUTES;
