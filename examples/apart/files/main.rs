//! Indexes a folder, again and again: what has changed is sent, what has vanished is deleted, and
//! a run that was broken off goes on where it was.
//!
//! One item for each file, with its text as the content, and an activity from the file's time. It
//! goes to the emulator, which runs inside this program and keeps what it holds in a file, so that
//! a second run finds what the first one stored; or to an emulator elsewhere, or to a tenant, if
//! the environment names one.
//!
//! Lives here: the command line and the last words. From the source to the end, by file: `folder`
//! (what is there, and what an item of it is), `place` (where it goes, and as whom), `keep` (what
//! is kept for the next run), `letters` (the dead letters of that), `run` (the order of things),
//! `end` (how it can end).

mod end;
mod folder;
mod keep;
mod letters;
mod place;
mod run;

use std::{
    env,
    error::Error,
    ffi::{OsStr, OsString},
    fmt::Write as _,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use graphfeed_core::{external::Duplicates, machine::Ending};
use graphfeed_crawl::{Digest, Report, Scope, Sweep};
use graphfeed_emulator::Limit;
use graphfeed_examples::{interrupt::Interrupts, progress::say};
use lexopt::prelude::*;

use crate::{
    end::{Status, Stop},
    folder::Folder,
    keep::Keep,
    place::Place,
    run::{Known, Wanted},
};

const USAGE: &str = "\
Indexes a folder: one external item for each file, with its text as the content
and an activity from the file's time. A second run sends what has changed, and
deletes what has vanished. Everything goes to an emulator of Microsoft Graph
inside this program, whose state is kept for the next run, and nothing leaves
this machine.

Left out are hidden files, symbolic links, and what is named by a .gitignore, an
.ignore or a .git/info/exclude, in the folder or above it, or by the excludes
file of all of git. Where one of these cannot be read or has a line that is no
pattern, the whole folder that it is for is left out, and that is a failure.

Usage: cargo run --release --example files -- [OPTIONS] [PATH]

PATH is the folder [this repository].

Options:
  --dry-run             checks everything and says what would be sent, refused
                        and deleted. Nothing is sent and nothing written
  --most-deleted PERCENT
                        if more than this share of all items has vanished, none
                        is deleted [10]
  --duplicates          an activity may be there twice rather than not at all,
                        where it is not known whether it was added
  --replay FILE         sends the dead letters of a file again, and no files; if
                        they are this folder's own, they are put aside when that
                        is done. There has to have been a run without it
  --state DIR           where journal, dead letters and the emulator's state are
                        [target/files/, one folder in it for each PATH and
                        place]
  --service URL         goes to an emulator that runs elsewhere on this machine:
                        http://127.0.0.1:8080 after `cargo run -p
                        graphfeed-emulator -- --listen 127.0.0.1:8080`
  --throttle            the emulator in this program takes 100 calls a second
  -h, --help            print this

Exit status: 0 all stored, 1 it could not go on (disk, or no service), 2 invalid
input: usage, PATH, FILE, or a journal that is damaged or not this folder's; or
the service does not take the schema. 3 partly failed, 4 not permitted, 6 too
much would have been deleted, and nothing was, 130 interrupted.

Interrupted, killed or ended by an error: the same command goes on from there.
If the emulator in this program is killed, what it held is gone, and the next
run says so and begins anew.

Environment: GRAPHFEED_TENANT and what else `cargo run --example crates -- -h`
lists, to go to a tenant. GRAPHFEED_AUTHOR is who is said to have modified the
files there; without it there are no activities. One connection holds one
folder.
";

/// What `--throttle` stands for.
const THROTTLE: &str = "bucket rate=100 burst=100 retry-after=1";

/// What is counted where nothing was begun.
const NOTHING: &str = "seen 0, ok 0, failed 0, skipped 0, deleted 0, throttled 0.0 s";

struct Arguments {
    path: Option<PathBuf>,
    dry_run: bool,
    most_deleted: Option<f64>,
    duplicates: bool,
    replay: Option<PathBuf>,
    state: Option<PathBuf>,
    service: Option<String>,
    throttle: bool,
}

fn main() -> ExitCode {
    let interrupts = Interrupts::listen();
    let read = arguments().and_then(|arguments| {
        let Some(arguments) = arguments else { return Ok(None) };
        let place = Place::read(arguments.service.as_deref())?;
        if arguments.throttle && !matches!(place, Place::Here) {
            return Err("--throttle is for the emulator in this program".into());
        }
        Ok(Some((arguments, place)))
    });
    match read {
        Ok(Some((arguments, place))) => go(&arguments, place, &interrupts),
        Ok(None) => print(USAGE, ExitCode::SUCCESS),
        Err(why) => {
            say(format_args!("files: {why}\nTry --help."));
            ExitCode::from(Status::Invalid.code())
        }
    }
}

/// None if help is all that is wanted.
fn arguments() -> Result<Option<Arguments>, Box<dyn Error>> {
    let mut arguments = Arguments {
        path: None,
        dry_run: false,
        most_deleted: None,
        duplicates: false,
        replay: None,
        state: None,
        service: None,
        throttle: false,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("dry-run") => arguments.dry_run = true,
            Long("most-deleted") => {
                let percent = parser.value()?.string()?;
                let known = percent.parse().ok().filter(|it| (0.0..=100.0).contains(it));
                let known = known
                    .ok_or_else(|| format!("--most-deleted {percent:?} is not 0 to 100 percent"))?;
                once("--most-deleted", &mut arguments.most_deleted, known)?;
            }
            Long("duplicates") => arguments.duplicates = true,
            Long("replay") => {
                once("--replay", &mut arguments.replay, path("--replay", parser.value()?)?)?;
            }
            Long("state") => {
                once("--state", &mut arguments.state, path("--state", parser.value()?)?)?;
            }
            Long("service") => {
                once("--service", &mut arguments.service, parser.value()?.string()?)?;
            }
            Long("throttle") => arguments.throttle = true,
            Short('h') | Long("help") => return Ok(None),
            Value(value) => once("PATH", &mut arguments.path, path("PATH", value)?)?,
            other => return Err(other.unexpected().into()),
        }
    }
    if arguments.dry_run && arguments.replay.is_some() {
        return Err("--dry-run is for files; leave it out, or --replay".into());
    }
    Ok(Some(arguments))
}

/// What may be the name of something.
fn path(name: &str, value: OsString) -> Result<PathBuf, String> {
    match value.is_empty() {
        true => Err(format!("{name} is empty; name something, or leave it out")),
        false => Ok(value.into()),
    }
}

/// Sets what can be said only once.
fn once<T>(name: &str, option: &mut Option<T>, value: T) -> Result<(), String> {
    match option.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{name} is there more than once, and only one can count")),
    }
}

fn go(arguments: &Arguments, place: Place, interrupts: &Interrupts) -> ExitCode {
    let mut known = Known::default();
    let mut keep = None;
    let result = begin(arguments, place, interrupts, &mut keep, &mut known);
    let status = match result {
        Ok(status) => status,
        Err(why) => {
            say(format_args!("files: {}", why.why));
            known.crawl_first = why.crawl_first;
            why.status
        }
    };
    let text = last_words(arguments, status, keep.as_ref(), &known);
    print(&text, ExitCode::from(status.code()))
}

fn begin(
    arguments: &Arguments,
    place: Place,
    interrupts: &Interrupts,
    keep: &mut Option<Keep>,
    known: &mut Known,
) -> Result<Status, Stop> {
    let path = arguments.path.clone().unwrap_or_else(workspace);
    let folder = Folder::open(&path).map_err(|why| {
        Stop::invalid(format!("{}: {why}; name a folder that can be read", path.display()))
    })?;
    let scope = run::scope(&place)?;
    let state = arguments.state.clone().unwrap_or_else(|| state(folder.path(), &scope));
    let keep = keep.insert(Keep::new(state, matches!(place, Place::Here)));
    let folder = folder.except(keep.folder()).ok_or_else(|| {
        Stop::invalid("--state is PATH itself; name a folder in it, or another one")
    })?;
    let limits = match arguments.throttle {
        true => vec![THROTTLE.parse::<Limit>().map_err(Stop::failure)?],
        false => Vec::new(),
    };
    let wanted = Wanted {
        duplicates: match arguments.duplicates {
            true => Duplicates::Allowed,
            false => Duplicates::Never,
        },
        most_deleted: arguments.most_deleted.unwrap_or(10.0) / 100.0,
        replay: arguments.replay.clone(),
        limits,
    };
    say(format_args!(
        "files: {} to {}, with what is kept in {}",
        folder.path().display(),
        place.in_words(),
        keep.folder().display()
    ));
    match arguments.dry_run {
        true => run::look(&place, &folder, keep, &wanted, interrupts, known),
        false => run::run(place, &folder, keep, &wanted, interrupts, known),
    }
}

/// The one that this program was built in, or else the folder that it runs in.
fn workspace() -> PathBuf {
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    built_in.filter(|folder| folder.is_dir()).unwrap_or(Path::new(".")).to_owned()
}

/// One for each folder and place, for a journal is that of one place.
fn state(folder: &Path, scope: &Scope) -> PathBuf {
    let digest = Digest::of([folder.as_os_str().as_encoded_bytes(), scope.as_str().as_bytes()]);
    workspace().join("target").join("files").join(&digest.to_string()[..16])
}

/// What is said in any case.
fn last_words(arguments: &Arguments, status: Status, keep: Option<&Keep>, known: &Known) -> String {
    let mut lines = vec![known.report.as_ref().map_or(NOTHING.to_owned(), Report::to_string)];
    if let Some(report) = &known.report {
        let goes_without_saying = matches!(report.sweep, Sweep::Done | Sweep::Off);
        // Who replays letters, or breaks off, did not want it.
        if !goes_without_saying && arguments.replay.is_none() && report.ending != Ending::Stopped {
            lines.push(report.sweep.to_string());
        }
        if let Sweep::Brake { unseen, known } = report.sweep
            && known > 0
        {
            let share = (unseen as f64 * 100.0 / known as f64).ceil();
            lines.push(format!("to allow it, after a look at the folder: --most-deleted {share}"));
        }
        match report.ending {
            Ending::Stopped if arguments.dry_run => {
                lines.push("interrupted: the folder was not seen whole".to_owned());
            }
            Ending::FailuresInARow(many) => {
                lines.push(format!("ended early: {many} calls failed one after the other"));
            }
            Ending::FailureShare(share) => {
                lines.push(format!("ended early: {} of {} calls failed", share.failures, share.of));
            }
            _ => {}
        }
        if report.not_deleted > 0 {
            lines.push(format!("deletes that failed: {}", report.not_deleted));
        }
        let passed = report.unchanged + report.overtaken;
        if arguments.replay.is_some() && passed > 0 {
            lines.push(format!(
                "letters that were not sent: {} done by now, {} of what is gone or newer",
                report.unchanged, report.overtaken
            ));
        }
        let unknown = report.activities.unknown;
        if unknown > 0 {
            lines.push(format!(
                "activities of which it is not known whether they were added: {unknown}"
            ));
        }
        let has_letters = report.failed + report.not_deleted + unknown > 0 && !arguments.dry_run;
        if let (true, Some(keep)) = (has_letters, keep) {
            lines.push(format!("what failed and why: {}", keep.letters().file().display()));
        }
    }
    if let (true, Some(file)) = (known.unread.lines() > 0, &arguments.replay) {
        let (count, file) = (known.unread.lines(), file.display());
        lines.push(format!("lines that are no letters: {count}; correct them in {file}"));
    }
    if let (true, Some(keep)) = (known.is_torn, keep) {
        let letters = keep.letters();
        let (file, torn) = (letters.file().display(), letters.torn());
        lines.push(match torn.exists() {
            true => format!("the last line of {file} was torn; it is in {}", torn.display()),
            false => format!("the last line of {file} was torn, and was cut off"),
        });
    }
    if known.cut() > 0 {
        lines.push(format!("texts that were cut, to fit in a body: {}", known.cut()));
    }
    lines.push(match arguments.dry_run {
        true => {
            format!("nothing was sent or written; to do so: {}", command(arguments, status, known))
        }
        false => format!("to resume: {}", command(arguments, status, known)),
    });
    lines.join("\n") + "\n"
}

/// The command that goes on from here.
fn command(arguments: &Arguments, status: Status, known: &Known) -> String {
    let mut words: Vec<String> = Vec::new();
    let program = env::current_exe().unwrap_or_else(|_| "files".into());
    match (env::var_os("CARGO"), cfg!(debug_assertions)) {
        (None, _) => words.push(quoted(program.as_os_str())),
        (Some(_), true) => words.push("cargo run --example files --".to_owned()),
        (Some(_), false) => words.push("cargo run --release --example files --".to_owned()),
    }
    let mut option = |name: &str, value: Option<&OsStr>| {
        words.extend(value.map(|value| format!("{name} {}", quoted(value))));
    };
    let percent = arguments.most_deleted.map(|percent| percent.to_string());
    option("--most-deleted", percent.as_deref().map(OsStr::new));
    // Letters that were not sent are sent; others were, and the files go on.
    let is_over = known.is_replayed && status != Status::NotPermitted || known.crawl_first;
    let letters = arguments.replay.as_ref().filter(|_| !is_over);
    option("--replay", letters.map(|file| file.as_os_str()));
    option("--state", arguments.state.as_ref().map(|state| state.as_os_str()));
    option("--service", arguments.service.as_deref().map(OsStr::new));
    for (name, is_set) in
        [("--duplicates", arguments.duplicates), ("--throttle", arguments.throttle)]
    {
        words.extend(is_set.then(|| name.to_owned()));
    }
    words.extend(arguments.path.as_ref().map(|path| quoted(path.as_os_str())));
    words.join(" ")
}

/// As a shell reads it, also where it is no Unicode.
fn quoted(word: &OsStr) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./:=,@%+".contains(byte);
    match word.to_str() {
        Some(word) if !word.is_empty() && word.as_bytes().iter().all(is_plain) => word.to_owned(),
        Some(word) => format!("'{}'", word.replace('\'', r"'\''")),
        None => {
            let mut bytes = String::new();
            for byte in word.as_encoded_bytes() {
                let _ = write!(bytes, r"\{byte:03o}");
            }
            format!("\"$(printf '{bytes}')\"")
        }
    }
}

/// Prints to stdout. Whoever has stopped reading there does not need the rest.
fn print(text: &str, status: ExitCode) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            say(format_args!("files: cannot write to stdout: {error}"));
            ExitCode::FAILURE
        }
        _ => status,
    }
}
