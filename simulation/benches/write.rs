//! What it costs to write an item: its body, and the whole request, against a struct that serde
//! derives.
//!
//! `cargo bench -p graphfeed-simulation --bench write` prints a table, and fails if a row is
//! missed. Both sides begin with a value that is there, and end with bytes of their own.

mod item;

use std::{hint::black_box, process::ExitCode, time::Instant};

use graphfeed_core::{
    external::PutItem,
    protocol::{Endpoint, ServiceRoot},
    types::ConnectionId,
};
use graphfeed_simulation::{
    CONNECTIONS,
    table::{Spread, Table, interleave},
};

const ROUNDS: usize = 2_001;
const WRITES: u32 = 40;

/// Nanoseconds for each.
fn time<T>(mut write: impl FnMut() -> T) -> f64 {
    let began = Instant::now();
    for _ in 0..WRITES {
        black_box(write());
    }
    began.elapsed().as_nanos() as f64 / f64::from(WRITES)
}

fn main() -> ExitCode {
    let (root, connection) = (ServiceRoot::v1(), ConnectionId::new(CONNECTIONS[0]));
    let connection = connection.expect("an id");
    let value = item::item("TSP228082938").expect("an item");
    let annotated = item::Annotated::new();
    let put = PutItem::new(&connection, &value);

    let expected = serde_json::to_vec(&annotated).expect("JSON");
    let request = put.request(&root).expect("a request");
    assert_eq!(request.body(), &expected, "both write the same bytes");

    let [floor, body, whole] = interleave(
        ROUNDS,
        [
            &mut || time(|| serde_json::to_vec(black_box(&annotated))),
            &mut || {
                time(|| {
                    let mut out = Vec::new();
                    black_box(&put).body(&root, &mut out).map(|()| out)
                })
            },
            &mut || time(|| black_box(&put).request(&root)),
        ],
    );

    println!(
        "Ratios to serde_json::to_vec of a derived struct, {} bytes. Median of {ROUNDS} rounds of \
         {WRITES}\n(and between which half of them lie).\n",
        expected.len()
    );
    let mut table = Table::begin("write an item: 10 properties, 2 acl entries, 4 KB of text");
    table.at_most("its body", 1.10, Spread::of_ratios(&body, &floor));
    table.at_most("the whole http::Request", 1.20, Spread::of_ratios(&whole, &floor));
    let times = [("the derived struct", &floor), ("the body", &body), ("the request", &whole)];
    for (what, times) in times {
        table.note(&format!("  {what}, in ns"), &Spread::of(times.iter().copied()).to_string());
    }
    table.end()
}
