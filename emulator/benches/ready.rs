//! What the binary takes from its start to its first answer.
//!
//! `cargo bench -p graphfeed-emulator --bench ready` prints a table, and fails if a row is missed.
//! Beside it stands the same binary that only tells its version: what the system takes to start it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use graphfeed_simulation::table::{Spread, Table, interleave};

const ROUNDS: usize = 41;
/// The most milliseconds.
const MOST: f64 = 50.0;

fn binary() -> Command {
    let mut binary = Command::new(env!("CARGO_BIN_EXE_graphfeed-emulator"));
    binary.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    binary
}

/// Milliseconds until it has answered.
fn first_answer() -> f64 {
    let began = Instant::now();
    let mut child = binary().args(["--listen", "127.0.0.1:0"]).spawn().expect("it starts");
    let stdout = child.stdout.as_mut().expect("it is piped");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let address = line.trim_end().strip_prefix("listening on http://").expect(&line);
    let mut stream = TcpStream::connect(address).expect("a connection");
    let request = format!(
        "GET /v1.0/external/connections HTTP/1.1\r\nHost: {address}\r\n\
         Authorization: Bearer any\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let took = began.elapsed();
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    took.as_secs_f64() * 1e3
}

/// Milliseconds until it has told its version.
fn version() -> f64 {
    let began = Instant::now();
    let told = binary().arg("--version").output().expect("it starts");
    assert!(told.status.success() && !told.stdout.is_empty(), "{told:?}");
    began.elapsed().as_secs_f64() * 1e3
}

fn main() -> ExitCode {
    let [ready, floor] = interleave(ROUNDS, [&mut first_answer, &mut version]);
    println!("In ms. Median of {ROUNDS} starts (and between which half of them lie).\n");
    let mut table = Table::begin("the emulator's binary");
    let ready_in = Spread::of(ready.iter().copied());
    let is_met = ready_in.median <= MOST;
    table.row("from its start to its first answer", "<= 50 ms", &ready_in.to_string(), is_met);
    table.note("  only its version", &Spread::of(floor.iter().copied()).to_string());
    table.note("  as a multiple of that", &Spread::of_ratios(&ready, &floor).to_string());
    table.end()
}
