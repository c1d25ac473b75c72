//! A machine that makes one call after the other, with nothing around it.

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use graphfeed_core::{
    external::{Acl, ExternalItem, ExternalItemContent, PutItem, StoredItem},
    machine::{
        End, Exchange, Ingest, IngestSettings, IngestStep, Machine, Policy, Shared, Start, Step,
        Tick, Token,
    },
    protocol::{Call, Endpoint, ServiceRoot},
    types::{AccessToken, ConnectionId, Guid, ItemId},
};
use graphfeed_emulator::Options;
use graphfeed_simulation::{Back, CONNECTIONS, Tenant};
use http::Response;

pub(crate) type Stored = Option<StoredItem>;

const LATENCY: Duration = Duration::from_millis(1);

/// A call whose body has so many bytes of text.
pub(crate) fn put(length: usize) -> Call<Stored> {
    let connection = ConnectionId::new(CONNECTIONS[0]).expect("an id");
    let item = ExternalItem::builder(ItemId::new("T1").expect("an id"))
        .acl(Acl::everyone(Guid::from(7)))
        .property("serial", 1)
        .content(ExternalItemContent::text("x".repeat(length)))
        .build()
        .expect("an item");
    PutItem::new(&connection, &item).call(&ServiceRoot::v1()).expect("a call")
}

/// What the emulator answers to it, headers and all.
pub(crate) fn answer(call: &Call<Stored>) -> Response<Bytes> {
    let tenant = Tenant::new(Options::default(), None);
    let mut request = call.request().clone();
    let token = http::HeaderValue::from_static("Bearer any");
    request.headers_mut().insert("authorization", token);
    match tenant.deliver(Tick::default(), &request) {
        Back { what: Some(Ok(answer)), .. } if answer.status().is_success() => answer,
        back => panic!("{back:?}"),
    }
}

fn token() -> Token {
    Token::new(AccessToken::new("any").expect("a token"))
}

/// A machine that makes one call after the other.
pub(crate) trait Calls {
    /// Makes one, from the offer to the outcome.
    fn make(&mut self, call: &Call<Stored>, answer: Response<Bytes>);
}

pub(crate) struct Exchanges {
    policy: Policy,
    shared: Shared,
    now: Tick,
}

impl Exchanges {
    pub(crate) fn new() -> Self {
        Self { policy: Policy::default(), shared: Shared::default(), now: Tick::default() }
    }
}

impl Calls for Exchanges {
    fn make(&mut self, call: &Call<Stored>, answer: Response<Bytes>) {
        let mut exchange = Exchange::new(call.clone(), &self.policy, 7, self.now);
        let mut answer = Some(answer);
        loop {
            match exchange.poll(self.now, &mut self.shared) {
                Step::Send(attempt) => {
                    let answer = answer.take().expect("one attempt is enough");
                    black_box(&attempt.request);
                    self.now += LATENCY;
                    exchange.on_response(attempt.ticket, self.now, answer, &mut self.shared);
                }
                Step::Done(reply) => {
                    let _ = black_box(reply.expect("it is stored"));
                    return;
                }
                Step::Token(need) => {
                    exchange.on_token(need.lease, self.now, Ok(token()), &mut self.shared);
                }
                Step::Wait(until) => self.now = until,
            }
        }
    }
}

pub(crate) struct Ingesting {
    ingest: Ingest<u64, Stored>,
    shared: Shared,
    key: u64,
    now: Tick,
}

impl Ingesting {
    pub(crate) fn new() -> Self {
        let now = Tick::default();
        let start = Start::new(ServiceRoot::v1(), Policy::default(), 7, now);
        let ingest = Ingest::new(IngestSettings::default(), &start);
        Self { ingest, shared: Shared::default(), key: 0, now }
    }
}

impl Calls for Ingesting {
    fn make(&mut self, call: &Call<Stored>, answer: Response<Bytes>) {
        self.key += 1;
        self.ingest.offer(self.key, call.clone(), self.now).expect("there is room");
        let mut answer = Some(answer);
        loop {
            match self.ingest.poll(self.now, &mut self.shared) {
                IngestStep::Send(attempt) => {
                    let answer = answer.take().expect("one attempt is enough");
                    black_box(&attempt.request);
                    self.now += LATENCY;
                    self.ingest.on_response(attempt.ticket, self.now, answer, &mut self.shared);
                }
                IngestStep::Done(key, outcome) => {
                    assert!(key == self.key && matches!(outcome.end, End::Ok(_)), "{outcome:?}");
                    black_box(outcome);
                    return;
                }
                IngestStep::Token(need) => {
                    self.ingest.on_token(need.lease, self.now, Ok(token()), &mut self.shared);
                }
                IngestStep::Idle { until, .. } => self.now = until.expect("it waits for a time"),
                IngestStep::Finished(summary) => panic!("{summary:?}"),
            }
        }
    }
}
