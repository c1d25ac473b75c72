//! What the machines cost for one call: time, and allocations.
//!
//! `cargo bench -p graphfeed-simulation --bench machine` prints a table, and fails if a row is
//! missed. Building the call and its answer is not counted, for that is not the machine's.

mod table;

use std::{
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};

use allocation_counter::AllocationInfo;
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
use table::{Table, median};

type Stored = Option<StoredItem>;

const ROUNDS: usize = 41;
const CALLS: usize = 5_000;
const LATENCY: Duration = Duration::from_millis(1);

/// A call whose body has so many bytes of text.
fn put(length: usize) -> Call<Stored> {
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
fn answer(call: &Call<Stored>) -> Response<Bytes> {
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
trait Calls {
    /// Makes one, from the offer to the outcome.
    fn make(&mut self, call: &Call<Stored>, answer: Response<Bytes>);
}

struct Exchanges {
    policy: Policy,
    shared: Shared,
    now: Tick,
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

struct Ingesting {
    ingest: Ingest<u64, Stored>,
    shared: Shared,
    key: u64,
    now: Tick,
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

/// Nanoseconds for each call of a round.
fn time(calls: &mut impl Calls, call: &Call<Stored>, answer: &Response<Bytes>) -> f64 {
    let answers: Vec<_> = (0..CALLS).map(|_| answer.clone()).collect();
    let began = Instant::now();
    for answer in answers {
        calls.make(call, answer);
    }
    began.elapsed().as_nanos() as f64 / CALLS as f64
}

/// What one call allocates, once everything that is kept is there.
fn count(calls: &mut impl Calls, call: &Call<Stored>, answer: &Response<Bytes>) -> AllocationInfo {
    time(calls, call, answer);
    let answer = answer.clone();
    allocation_counter::measure(|| calls.make(call, answer))
}

fn main() -> ExitCode {
    let (small, large) = (put(100), put(1_000_000));
    let answer = answer(&small);
    let now = Tick::default();
    let policy = Policy::default();
    let start = Start::new(ServiceRoot::v1(), policy.clone(), 7, now);
    let ingest = Ingest::new(IngestSettings::default(), &start);
    let mut ingest = Ingesting { ingest, shared: Shared::default(), key: 0, now };
    let mut exchange = Exchanges { policy, shared: Shared::default(), now };

    // One after the other in each round, so that what else the machine does falls on all.
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        times[0].push(time(&mut exchange, &small, &answer));
        times[1].push(time(&mut exchange, &large, &answer));
        times[2].push(time(&mut ingest, &small, &answer));
        times[3].push(time(&mut ingest, &large, &answer));
    }
    let counts = [
        count(&mut exchange, &small, &answer),
        count(&mut exchange, &large, &answer),
        count(&mut ingest, &small, &answer),
        count(&mut ingest, &large, &answer),
    ];

    println!("One call: poll, send, answer, done. Median of {ROUNDS} rounds of {CALLS} calls.\n");
    let mut table = Table::begin("machine");
    let names = ["exchange", "exchange, 1 MB body", "ingest", "ingest, 1 MB body"];
    for ((name, times), counted) in names.iter().zip(&mut times).zip(&counts) {
        let time = median(times);
        table.row(name, "<= 1000 ns", &format!("{time:.0} ns"), time <= 1000.0);
        let allocated = counted.count_total;
        table.row(
            &format!("{name}: allocations"),
            "<= 4",
            &format!("{allocated} ({} B)", counted.bytes_total),
            allocated <= 4,
        );
    }
    for (name, pair) in [("exchange", &counts[..2]), ("ingest", &counts[2..])] {
        let grown = pair[1].bytes_total.abs_diff(pair[0].bytes_total);
        let name = format!("{name}: more bytes allocated for 1 MB");
        table.row(&name, "0 B", &format!("{grown} B"), grown == 0);
    }
    table.end()
}
