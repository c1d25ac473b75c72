//! What the machines cost for one call.
//!
//! `cargo bench -p graphfeed-simulation --bench machine` prints a table, and fails if a row is
//! missed. Building the call and its answer is not counted, for that is not the machine's. What a
//! call allocates is held by `cargo test -p graphfeed-simulation --test allocations`.

mod one_call;

use std::{hint::black_box, process::ExitCode, time::Instant};

use bytes::Bytes;
use graphfeed_core::protocol::Call;
use graphfeed_simulation::table::{Spread, Table, interleave};
use http::Response;
use one_call::{Calls, Exchanges, Ingesting, Stored, answer, put};

const ROUNDS: usize = 1_001;
const CALLS: usize = 200;
/// The most nanoseconds.
const MOST: f64 = 1_000.0;

/// Nanoseconds for each call of a round.
fn time(calls: &mut impl Calls, call: &Call<Stored>, answer: &Response<Bytes>) -> f64 {
    let answers: Vec<_> = (0..CALLS).map(|_| answer.clone()).collect();
    let began = Instant::now();
    for answer in answers {
        calls.make(call, answer);
    }
    began.elapsed().as_nanos() as f64 / CALLS as f64
}

/// Nanoseconds for reading each answer, which is a part of every call.
fn read(call: &Call<Stored>, answer: &Response<Bytes>) -> f64 {
    let answers: Vec<_> = (0..CALLS).map(|_| answer.clone()).collect();
    let began = Instant::now();
    for answer in answers {
        let _ = black_box(call.response(answer).expect("it is stored"));
    }
    began.elapsed().as_nanos() as f64 / CALLS as f64
}

fn main() -> ExitCode {
    let (small, large) = (put(100), put(1_000_000));
    let answer = answer(&small);
    let (mut exchange, mut large_exchange) = (Exchanges::new(), Exchanges::new());
    let (mut ingest, mut large_ingest) = (Ingesting::new(), Ingesting::new());
    let times = interleave(
        ROUNDS,
        [
            &mut || time(&mut exchange, &small, &answer),
            &mut || time(&mut large_exchange, &large, &answer),
            &mut || time(&mut ingest, &small, &answer),
            &mut || time(&mut large_ingest, &large, &answer),
            &mut || read(&small, &answer),
        ],
    );

    println!(
        "One call: poll, send, answer, done, in ns. Median of {ROUNDS} rounds of {CALLS} calls\n\
         (and between which half of them lie).\n"
    );
    let mut table = Table::begin("machine");
    let floor = &times[4];
    let names = ["exchange", "exchange, 1 MB body", "ingest", "ingest, 1 MB body"];
    for (name, times) in names.iter().zip(&times) {
        let time = Spread::of(times.iter().copied());
        table.row(name, "<= 1000 ns", &time.to_string(), time.median <= MOST);
        let ratio = Spread::of_ratios(times, floor).to_string();
        table.note("  as a multiple of reading the answer only", &ratio);
    }
    table.end()
}
