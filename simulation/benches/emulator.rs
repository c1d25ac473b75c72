//! How many items the emulator takes in a second, without a socket.
//!
//! `cargo bench -p graphfeed-simulation --bench emulator` prints a table, and fails if a row is
//! missed. What its binary takes to be ready is told by
//! `cargo bench -p graphfeed-emulator --bench ready`.

mod item;

use std::{
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};

use bytes::Bytes;
use graphfeed_core::{
    external::{Acl, ExternalItem, PutItem},
    protocol::{Endpoint, ServiceRoot},
    types::{ConnectionId, Guid, ItemId},
};
use graphfeed_emulator::{Emulator, Options};
use graphfeed_simulation::{
    CONNECTIONS,
    table::{Spread, Table, interleave},
};
use http::{Method, Request, header};
use serde_json::{Value, json};

const ROUNDS: usize = 401;
const PUTS: usize = 100;
const LEAST: f64 = 20_000.0;
const CONNECTION: &str = CONNECTIONS[0];
const ROOT: &str = "https://graph.microsoft.com/v1.0/external/connections";
const SCHEMA: [(&str, &str); 11] = [
    ("title", "string"),
    ("author", "string"),
    ("url", "string"),
    ("priority", "int64"),
    ("progress", "double"),
    ("open", "boolean"),
    ("created", "dateTime"),
    ("tags", "stringCollection"),
    ("due", "dateTimeCollection"),
    ("related", "int64Collection"),
    ("serial", "int64"),
];

fn request(method: Method, uri: String, body: Bytes) -> Request<Bytes> {
    Request::builder()
        .method(method)
        .uri(uri)
        .header(header::AUTHORIZATION, "Bearer any")
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .expect("a request")
}

/// An emulator with a connection that takes the items.
fn emulator() -> Emulator {
    let mut options = Options::default();
    options.behaviour.schema_delay = Duration::ZERO;
    let emulator = Emulator::with_clock(options, || Duration::ZERO);
    let properties: Vec<_> =
        SCHEMA.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
    let schema = json!({"baseType": "microsoft.graph.externalItem", "properties": properties});
    for (method, uri, body) in [
        (Method::POST, ROOT.to_owned(), json!({"id": CONNECTION, "name": "Contoso HR"})),
        (Method::PATCH, format!("{ROOT}/{CONNECTION}/schema"), schema),
    ] {
        take(&emulator, &request(method, uri, body.to_string().into()));
    }
    emulator
}

fn take(emulator: &Emulator, request: &Request<Bytes>) {
    let answer = emulator.handle_at(Duration::ZERO, black_box(request));
    assert!(answer.status().is_success(), "{answer:?}");
}

fn puts(item: impl Fn(&str) -> ExternalItem) -> Vec<Request<Bytes>> {
    let connection = ConnectionId::new(CONNECTION).expect("an id");
    (0..PUTS)
        .map(|number| {
            let item = item(&format!("T{number}"));
            let put = PutItem::new(&connection, &item).request(&ServiceRoot::v1());
            let (parts, body) = put.expect("a request").into_parts();
            request(parts.method, parts.uri.to_string(), body)
        })
        .collect()
}

/// An item with one property.
fn small(id: &str) -> ExternalItem {
    ExternalItem::builder(ItemId::new(id).expect("an id"))
        .acl(Acl::everyone(Guid::from(7)))
        .property("serial", 1)
        .build()
        .expect("an item")
}

/// Items in a second.
fn rate(puts: &[Request<Bytes>], mut take: impl FnMut(&Request<Bytes>)) -> f64 {
    let began = Instant::now();
    puts.iter().for_each(&mut take);
    puts.len() as f64 / began.elapsed().as_secs_f64()
}

fn main() -> ExitCode {
    let emulator = emulator();
    println!(
        "Median of {ROUNDS} rounds of {PUTS} PUTs (and between which half of them lie); beside \
         them, reading\nonly the same bodies as a serde_json::Value.\n"
    );
    let mut table = Table::begin("the emulator, in process");
    let whole = puts(|id| item::item(id).expect("an item"));
    let small = puts(small);
    for (what, puts) in [("10 properties, 2 acl entries, 4 KB", whole), ("1 property", small)] {
        let [taken, floor] = interleave(
            ROUNDS,
            [&mut || rate(&puts, |put| take(&emulator, put)), &mut || {
                rate(&puts, |put| {
                    let read = serde_json::from_slice::<Value>(put.body());
                    black_box(read.expect("JSON"));
                })
            }],
        );
        let ratio = Spread::of_ratios(&taken, &floor);
        let rate = Spread::of(taken);
        let target = format!(">= {LEAST}");
        table.row(&format!("PUT/s, {what}"), &target, &rate.to_string(), rate.median >= LEAST);
        table.note("  as a share of reading only", &ratio.to_string());
    }
    table.end()
}
