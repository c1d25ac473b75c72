//! Indexes something real that every Rust user has: the crates in a dependency tree.
//!
//! One item for each version of a crate goes into a connection of its own, with its README as
//! the content, and an activity on it; the run is recorded as a user activity. Then every item is
//! read back and compared. It goes to the emulator, which runs inside this program, so that it
//! needs no account.
//!
//! Lives here: the command line and the order of things. From the source to the end, by file:
//! `source` and `readme` (what crates are), `item` (what an item of one is), `run` (what is sent),
//! `compare` (whether it arrived), `progress` and `table` (what is said of it).

mod compare;
mod item;
mod progress;
mod readme;
mod run;
mod source;
mod table;

use std::{
    error::Error,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use graphfeed_core::protocol::Version;
use graphfeed_examples::Loopback;
use lexopt::prelude::*;

use crate::{
    progress::{Phases, say},
    run::Target,
    table::Report,
};

const USAGE: &str = "\
Indexes the crates of a Rust workspace: one external item for each version of a
crate in its dependency tree, an activity on each, and this run as a user
activity. Reads every item back and compares it. Everything goes to an emulator
of Microsoft Graph inside this program; nothing leaves this machine.

Usage: cargo run --release --example crates -- [OPTIONS]

Options:
  --manifest-path PATH  the Cargo.toml of the workspace, or its folder
                        [the one that cargo finds from here]
  -h, --help            print this

Exit status: 0 all stored and the same when read back, 1 not so, 2 wrong usage.
";

/// Made up, like everything about people here.
const TENANT: u128 = 0x0a5e_c0de_0000_4000_8000_0000_0000_0001;
const AUTHOR: u128 = 0x0a5e_c0de_0000_4000_8000_0000_0000_0002;

/// The emulator takes a second to register a schema.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let manifest = match arguments() {
        Ok(Some(arguments)) => arguments.manifest,
        Ok(None) => return print(USAGE, ExitCode::SUCCESS),
        Err(error) => {
            say(format_args!("crates: {error}\nTry --help."));
            return ExitCode::from(2);
        }
    };
    match index(manifest) {
        Ok((table, differences)) => {
            for difference in &differences {
                say(format_args!("crates: {difference}"));
            }
            let all_the_same = differences.is_empty();
            print(&table, ExitCode::from(u8::from(!all_the_same)))
        }
        Err(error) => {
            say(format_args!("crates: {error}"));
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    manifest: Option<PathBuf>,
}

/// None if help is all that is wanted.
fn arguments() -> Result<Option<Arguments>, lexopt::Error> {
    let mut manifest = None;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("manifest-path") => manifest = Some(PathBuf::from(parser.value()?)),
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(Arguments { manifest }))
}

/// The table, and what is not as it was sent.
fn index(manifest: Option<PathBuf>) -> Result<(String, Vec<String>), Box<dyn Error>> {
    let mut phases = Phases::default();
    let tree = phases.run("dependency tree", |progress| {
        source::read(manifest.as_deref(), |done, of| progress.at(done, of))
    })?;
    let loopback = phases.run("emulator", |_| Loopback::start(Version::V1))?;
    let target = Target {
        client: loopback.client(),
        tenant: TENANT.into(),
        author: AUTHOR.into(),
        patience: PATIENCE,
    };
    let mut stored = run::index(&target, &tree, &mut phases)?;
    // What the emulator let pass with a remark, the service may not.
    let reports = loopback.reports().into_iter();
    stored.differences.extend(reports.map(|report| report.to_string()));

    let report = Report {
        manifest: &tree.manifest,
        service: format!("{} (the emulator, in this program)", loopback.root()),
        stored: &stored,
        phases: phases.done(),
    };
    Ok((report.to_string(), stored.differences))
}

/// Prints to stdout. Whoever has stopped reading there does not need the rest.
fn print(text: &str, status: ExitCode) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            say(format_args!("crates: cannot write to stdout: {error}"));
            ExitCode::FAILURE
        }
        _ => status,
    }
}
