//! What a journal of a million keys costs: `cargo bench -p graphfeed-crawl --bench journal`, or
//! with another number of keys behind `--`.
//!
//! Each line is a process of its own, so that its memory is its own.

use std::{
    env, fs,
    io::{self, Write as _},
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::{self, Command},
    time::{Duration, Instant},
};

use graphfeed_core::{
    protocol::ServiceRoot,
    types::{ConnectionId, ItemId},
};
use graphfeed_crawl::{Change, Digest, Journal, Scope, State};
use graphfeed_simulation::table::{peak, size};

/// What it is called and what it does, with so many keys.
type Step = (&'static str, fn(&Journal, u64));

const STEPS: [Step; 8] = [
    ("fill, keys in order", |journal, keys| fill(journal, (0..keys).map(|at| (at, 0)))),
    ("nothing changed, keys in order", |journal, keys| again(journal, 0..keys)),
    ("nothing changed, keys at random", |journal, keys| again(journal, shuffled(keys))),
    ("all changed, keys at random", |journal, keys| {
        fill(journal, shuffled(keys).map(|at| (at, 1)));
    }),
    ("sweep that finds nothing", |journal, _| {
        let run = journal.last_run().expect("there was one").number;
        let found = journal.unseen(run, |_, _| ControlFlow::Continue(()));
        assert_eq!(found.expect("it is read"), 0);
    }),
    ("sweep that finds all", |journal, keys| {
        let run = journal.last_run().expect("there was one").number;
        let found = journal.unseen(run + 1, |_, _| ControlFlow::Continue(()));
        assert_eq!(found.expect("it is read"), keys);
    }),
    ("open, then die", |journal, keys| {
        fill(journal, (0..keys.min(1050)).map(|at| (at, 2)));
        process::abort();
    }),
    ("open after that", |_, _| {}),
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|it| it != "--bench").collect();
    if let [step, keys, file] = &arguments[..] {
        return run(step.parse().expect("a number"), keys.parse().expect("a number"), file.into());
    }
    let usual = size(1_000_000, 1_000);
    let keys = arguments.first().map_or(usual, |keys| keys.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("journal");
    println!(
        "{keys} keys\n{:34} {:>9} {:>9} {:>9} {:>9}",
        "", "open s", "then s", "peak MiB", "file MiB"
    );
    for (step, (name, _)) in STEPS.iter().enumerate() {
        print!("{name:34} ");
        io::stdout().flush().expect("it is shown");
        let mut child = Command::new(env::current_exe().expect("this program"));
        child.args([step.to_string(), keys.to_string()]).arg(&file);
        let ended = child.status().expect("it runs");
        if ended.success() { println!(" {:9.1}", mib(&file)) } else { println!() }
    }
}

fn run(step: usize, keys: u64, file: PathBuf) {
    let connection = ConnectionId::new("contosohr").expect("an id");
    let began = Instant::now();
    let journal = Journal::open(&file, &Scope::new(&ServiceRoot::v1(), &connection));
    let journal = journal.expect("it opens");
    print!("{:9.2}", began.elapsed().as_secs_f64());
    io::stdout().flush().expect("it is shown");
    let began = Instant::now();
    STEPS[step].1(&journal, keys);
    journal.sync().expect("it is synced");
    print!(" {:9.2}", began.elapsed().as_secs_f64());
    drop(journal);
    print!(" {:9.1}", peak().unwrap_or(f64::NAN));
    io::stdout().flush().expect("it is shown");
}

fn mib(file: &Path) -> f64 {
    fs::metadata(file).expect("it is there").len() as f64 / (1 << 20) as f64
}

fn key(at: u64) -> String {
    format!("documents/folder {:04}/document {at:07}.md", at / 1000)
}

/// Each number below once, and two in a row far apart.
fn shuffled(keys: u64) -> impl Iterator<Item = u64> {
    // A power of three, and the number of keys is not a multiple of three.
    assert!(!keys.is_multiple_of(3), "choose another number of keys");
    (0..keys).map(move |at| at * 387_420_489 % keys)
}

fn content(at: u64, version: u64) -> Digest {
    Digest::of([at.to_le_bytes(), version.to_le_bytes()])
}

fn fill(journal: &Journal, keys: impl Iterator<Item = (u64, u64)>) {
    journal.begin_run().expect("a run");
    let began = Instant::now();
    for (at, version) in keys {
        let key = key(at);
        let change =
            Change::Stored { key: &key, id: &ItemId::from_key(&key), hash: content(at, version) };
        journal.apply(change, began.elapsed()).expect("it is told");
    }
}

fn again(journal: &Journal, keys: impl Iterator<Item = u64>) {
    journal.begin_run().expect("a run");
    let began = Instant::now();
    for at in keys {
        let key = key(at);
        let known = journal.record(&key).expect("it is read").expect("it is known");
        assert_eq!((known.state, known.hash), (State::Stored, Some(content(at, 0))));
        journal.apply(Change::Seen { key: &key }, began.elapsed()).expect("it is told");
    }
    journal.apply(Change::RunComplete, Duration::MAX).expect("it is told");
}
