//! Indexes something real that every Rust user has: the crates in a dependency tree.
//!
//! One item for each version of a crate goes into a connection of its own, with its README as
//! the content, and an activity on it; the run is recorded as a user activity. Then every item is
//! read back and compared. It goes to the emulator, which runs inside this program, so that it
//! needs no account; or to a tenant, if the environment names one.
//!
//! Lives here: the command line and the order of things. From the source to the end, by file:
//! `place` (where it goes, and as whom), `source` and `readme` (what crates are), `item` (what an
//! item of one is), `connection` (what they go into), `run` (what is sent), `recording` (the run as
//! a user activity), `compare` (whether it arrived), `left` (what there is if it ends early),
//! `traffic` (what it took) and `table` (what is said of it).

mod compare;
mod connection;
mod item;
mod left;
mod place;
mod readme;
mod recording;
mod run;
mod source;
mod table;
mod traffic;

use std::{
    env,
    error::Error,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use graphfeed_emulator::Fault;
use graphfeed_examples::{
    calls::Calls,
    progress::{Phases, say},
    settings::{self, Settings},
    way::{Hyper, Ureq, Way},
};
use lexopt::prelude::*;

use crate::{
    left::Left,
    run::{Skipped, Stored, Target},
    table::Report,
    traffic::Traffic,
};

const USAGE: &str = "\
Indexes the crates of a Rust workspace: one external item for each version of a
crate in its dependency tree, an activity on each, and this run as a user
activity. Reads every item back and compares it. Everything goes to an emulator
of Microsoft Graph inside this program, and nothing leaves this machine; unless
GRAPHFEED_TENANT names a tenant to go to.

Usage: cargo run --release --example crates -- [OPTIONS]

Options:
  --manifest-path PATH  the Cargo.toml of the workspace, or its folder
                        [the one that cargo finds from here]
  --transport NAME      ureq, one call after the other, or hyper, up to 16 items
                        at the same time [ureq]. hyper takes no proxy from the
                        environment
  --throttle            the emulator refuses every tenth item with a 429
  --fault TEXT          the emulator makes this fault; may be given more than
                        once: 'PUT item: 429 retry-after=1.5 times=3' or
                        'PUT item: stored 500 every=20'. `cargo run -p
                        graphfeed-emulator -- --help` tells more
  --clean               deletes the connection in the tenant and, if the user
                        signs in, the user activities of earlier runs; does
                        nothing else
  -h, --help            print this

Exit status: 0 all stored and the same when read back, 1 not so, an error on the
way, or a call that the emulator counted as too early, 2 wrong usage, 130
interrupted.

Interrupted or ended by an error, it says how many items are stored. They stay
in the tenant: the next run uses the connection again and replaces them, and
--clean deletes all.

";

/// What `--throttle` stands for.
const THROTTLE: &str = "PUT item: 429 retry-after=0.2 every=10";

fn main() -> ExitCode {
    match arguments() {
        Ok(Some(arguments)) => match arguments.transport {
            None | Some(Transport::Ureq) => go(&Ureq, arguments),
            Some(Transport::Hyper) => match Hyper::start() {
                Ok(way) => go(&way, arguments),
                Err(error) => {
                    say(format_args!("crates: no runtime for hyper: {error}"));
                    ExitCode::FAILURE
                }
            },
        },
        Ok(None) => print(&format!("{USAGE}{}", settings::VARIABLES), ExitCode::SUCCESS),
        Err(error) => wrong_usage(&*error),
    }
}

fn go<W: Way>(way: &W, arguments: Arguments) -> ExitCode {
    let Arguments { manifest, faults, clean, .. } = arguments;
    let settings = match settings::read::<W>(|name| env::var_os(name)) {
        Ok(settings) => settings,
        Err(error) => return wrong_usage(&error),
    };
    let left = Arc::new(Left::new(settings.is_some()));
    left.tell_when_interrupted();
    let result = match settings {
        Some(_) if !faults.is_empty() => {
            return wrong_usage(
                &"--fault and --throttle are for the emulator; unset GRAPHFEED_TENANT to go there",
            );
        }
        None if clean => {
            return wrong_usage(
                &"there is nothing to clean in the emulator, which ends with this program; set \
                  GRAPHFEED_TENANT to go to a tenant",
            );
        }
        Some(settings) if clean => delete(way, settings),
        Some(settings) => to_tenant(way, settings, manifest, &left),
        None => to_emulator(way, &faults, manifest, &left),
    };
    match result {
        Ok(End { text, complaints }) => {
            for complaint in &complaints {
                say(format_args!("crates: {complaint}"));
            }
            print(&text, ExitCode::from(u8::from(!complaints.is_empty())))
        }
        Err(error) => {
            say(format_args!("crates: {error}{left}"));
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    manifest: Option<PathBuf>,
    transport: Option<Transport>,
    faults: Vec<Fault>,
    clean: bool,
}

enum Transport {
    Ureq,
    Hyper,
}

/// None if help is all that is wanted.
fn arguments() -> Result<Option<Arguments>, Box<dyn Error>> {
    let mut arguments =
        Arguments { manifest: None, transport: None, faults: Vec::new(), clean: false };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("manifest-path") => {
                let path = PathBuf::from(parser.value()?);
                once("--manifest-path", &mut arguments.manifest, path)?;
            }
            Long("transport") => {
                let transport = match &*parser.value()?.string()? {
                    "ureq" => Transport::Ureq,
                    "hyper" => Transport::Hyper,
                    other => return Err(format!("--transport {other:?}: not ureq or hyper").into()),
                };
                once("--transport", &mut arguments.transport, transport)?;
            }
            Long("throttle") => arguments.faults.push(THROTTLE.parse()?),
            Long("fault") => {
                let text = parser.value()?.string()?;
                let fault = text.parse().map_err(|why| format!("--fault {text:?}: {why}"))?;
                arguments.faults.push(fault);
            }
            Long("clean") => arguments.clean = true,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(arguments))
}

/// Sets what can be said only once.
fn once<T>(name: &str, option: &mut Option<T>, value: T) -> Result<(), String> {
    match option.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{name} is there more than once, and only one can count")),
    }
}

fn wrong_usage(error: &dyn std::fmt::Display) -> ExitCode {
    say(format_args!("crates: {error}\nTry --help."));
    ExitCode::from(2)
}

/// What is printed at the end, and what is not as it should be.
struct End {
    text: String,
    complaints: Vec<String>,
}

fn to_emulator<W: Way>(
    way: &W,
    faults: &[Fault],
    manifest: Option<PathBuf>,
    left: &Left,
) -> Result<End, Box<dyn Error>> {
    let mut phases = Phases::default();
    let traffic = Arc::new(Traffic::default());
    let (loopback, target) = phases.run("emulator", |_| place::emulator(way, faults, &traffic))?;
    let (manifest, mut stored) = index(&target, manifest, left, &mut phases)?;
    let emulator = loopback.emulator();
    // What the emulator let pass with a remark, the service may not.
    stored.differences.extend(emulator.reports().iter().map(ToString::to_string));
    let early = emulator.early_calls();
    let report = Report {
        manifest: &manifest,
        service: format!("{} (the emulator, in this program)", target.calls.root()),
        way: W::IN_WORDS,
        stored: &stored,
        traffic: traffic.so_far(),
        early_calls: Some(early.len() as u64),
        phases: phases.done(),
    };
    let text = report.to_string();
    let early = early.iter().map(ToString::to_string);
    Ok(End { text, complaints: stored.differences.into_iter().chain(early).collect() })
}

fn to_tenant<W: Way>(
    way: &W,
    settings: Settings<W::Transport>,
    manifest: Option<PathBuf>,
    left: &Left,
) -> Result<End, Box<dyn Error>> {
    let mut phases = Phases::default();
    let traffic = Arc::new(Traffic::default());
    let target = place::tenant(way, settings, &traffic);
    // First of all, while somebody is looking.
    if let Ok(user) = &target.user {
        phases.run("signing in", |_| place::sign_in(user))?;
    }
    let (manifest, stored) = index(&target, manifest, left, &mut phases)?;
    let report = Report {
        manifest: &manifest,
        service: format!("{} (tenant {})", target.calls.root(), target.tenant),
        way: W::IN_WORDS,
        stored: &stored,
        traffic: traffic.so_far(),
        early_calls: None,
        phases: phases.done(),
    };
    Ok(End { text: report.to_string(), complaints: stored.differences })
}

/// The manifest, and what was stored of it.
fn index<C: Calls>(
    target: &Target<C>,
    manifest: Option<PathBuf>,
    left: &Left,
    phases: &mut Phases,
) -> Result<(PathBuf, Stored), Box<dyn Error>> {
    let tree = phases.run("dependency tree", |progress| {
        source::read(manifest.as_deref(), |done, of| progress.at(done, of))
    })?;
    let stored = run::index(target, &tree, left, phases)?;
    Ok((tree.manifest, stored))
}

fn delete<W: Way>(way: &W, settings: Settings<W::Transport>) -> Result<End, Box<dyn Error>> {
    let mut phases = Phases::default();
    let Target { calls, user, patience, .. } = place::tenant(way, settings, &Arc::default());
    let recorded = match &user {
        Ok(user) => {
            phases.run("signing in", |_| place::sign_in(user))?;
            let deleted = phases
                .run("deleting user activities", |progress| recording::delete(user, progress))?;
            format!("Deleted {deleted} user activities of earlier runs, with their history.")
        }
        Err(Skipped(why)) => format!("User activities of earlier runs stay: {why}."),
    };
    let connection = phases.run("deleting the connection", |progress| {
        connection::delete(&calls, patience, progress)
    })?;
    Ok(End { text: format!("{connection}\n{recorded}\n"), complaints: Vec::new() })
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
