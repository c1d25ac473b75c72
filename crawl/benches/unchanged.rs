//! What a crawl of a million items costs, the first time and when nothing has changed:
//! `cargo bench -p graphfeed-crawl --bench unchanged`, or with another number of items behind `--`.
//!
//! It prints a table, and fails if a row is missed. Calls go into a sink, so that what is measured is
//! the crawl. Each run is a process of its own, so that its memory is its own; how much that was is
//! told by Linux only, and elsewhere its rows are passed over.

use std::{
    cell::Cell,
    env, fs,
    path::Path,
    process::{Command, ExitCode},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use bytes::Bytes;
use graphfeed_core::{
    client::{Client, Clock, SendOptions, Transport},
    external::{Acl, ExternalItem, ExternalItemContent, PutItem},
    machine::{IngestSettings, Tick},
    protocol::{Endpoint, ServiceRoot},
    types::{AccessToken, BuildError, ConnectionId, Guid, ItemId},
};
use graphfeed_crawl::{Crawl, CrawlSettings, DeadLetters, Entry, Journal, Scope};
use graphfeed_simulation::table::{self, Table};

/// The most seconds and megabytes that a crawl of unchanged items takes, and how many of them may
/// come in its second half.
const SECONDS: f64 = 30.0;
const MOST: f64 = 40.0;
const GROWTH: f64 = 2.0;

const STEPS: [&str; 3] = [
    "first crawl, each item sent",
    "second crawl, nothing has changed",
    "without a journal, each item sent",
];

struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Tick {
        Tick::new(self.0.elapsed())
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|it| it != "--bench").collect();
    if let [step, items, folder] = &arguments[..] {
        run(step.parse().expect("a number"), items.parse().expect("a number"), folder.as_ref());
        return ExitCode::SUCCESS;
    }
    let usual = table::size(1_000_000, 1_000);
    let items: u64 = arguments.first().map_or(usual, |items| items.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut table = Table::begin(&format!("{items} items into a sink"));
    let mut row = |what: &str, target: &str, measured: String, is_met: bool| {
        table.row(what, target, &measured, is_met);
    };
    for (step, name) in STEPS.iter().enumerate() {
        let mut child = Command::new(env::current_exe().expect("this program"));
        child.args([step.to_string(), items.to_string()]).arg(folder.path());
        let told = child.output().expect("it runs");
        assert!(told.status.success(), "{name}: {}", String::from_utf8_lossy(&told.stderr));
        let told = String::from_utf8(told.stdout).expect("numbers");
        let told: Vec<f64> = told.split_whitespace().map(|it| it.parse().expect(it)).collect();
        let [sent, seconds, half, peak] = told[..] else { panic!("{told:?}") };
        // How long it takes is promised where there is nothing to do.
        let is_second = step == 1;
        let (target, most) = if is_second { ("<= 30 s", SECONDS) } else { ("", f64::INFINITY) };
        row(name, target, format!("{seconds:.1} s"), seconds <= most);
        let expected = if is_second { 0.0 } else { items as f64 };
        row("  sent", &expected.to_string(), sent.to_string(), sent == expected);
        if !peak.is_nan() {
            row("  the most memory", "<= 40 MB", format!("{peak:.1} MB"), peak <= MOST);
            let grown = peak - half;
            // The first time the store's cache still fills.
            if step > 0 {
                let told = format!("{grown:.1} MB");
                row("  of that in the second half", "<= 2 MB", told, grown <= GROWTH);
            }
        }
    }
    if let Ok(journal) = fs::metadata(folder.path().join("journal")) {
        println!("the journal has {:.0} MB", journal.len() as f64 / f64::from(1 << 20));
    }
    table.end()
}

fn run(step: usize, items: u64, folder: &Path) {
    let (root, connection) = (ServiceRoot::v1(), ConnectionId::new("contosohr").expect("an id"));
    let sent = &AtomicU64::new(0);
    let sink = |_: http::Request<Bytes>, _: &SendOptions| {
        sent.fetch_add(1, Relaxed);
        Ok(http::Response::new(Bytes::new()))
    };
    let client = Client::builder(root.clone(), AccessToken::new("token").expect("visible"))
        .build(sink, RealClock(Instant::now()));
    // By then everything has its size.
    let half = Cell::new(f64::NAN);
    let middle = (items / 2).max(1);
    let began = Instant::now();
    match step {
        2 => without(&client, &connection, items, |done| {
            if done == middle {
                half.set(peak());
            }
        }),
        _ => {
            let scope = Scope::new(&root, &connection);
            let journal = Journal::open(folder.join("journal"), &scope).expect("it opens");
            let letters = DeadLetters::open(folder.join("dead.ndjson")).expect("it opens");
            let crawl = Crawl::new(root, connection, journal, letters, CrawlSettings::default())
                .expect("it is its journal");
            let at_half = AtomicU64::new(0);
            let source = (0..items).map(|number| {
                if number == middle {
                    at_half.store(peak().to_bits(), Relaxed);
                }
                let key = key(number);
                match item(&key, number) {
                    Ok(item) => Entry::item(key, item),
                    Err(why) => Entry::refused(key, why),
                }
            });
            let report = crawl.over(&client).run(source, |_| {}).expect("it is on record");
            assert_eq!((report.seen, report.failed), (items, 0));
            half.set(f64::from_bits(at_half.into_inner()));
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{} {seconds} {} {}", sent.load(Relaxed), half.get(), peak());
}

/// The same source, straight into a bulk run.
fn without<T: Transport + Sync>(
    client: &Client<T>,
    connection: &ConnectionId,
    items: u64,
    mut tell: impl FnMut(u64),
) {
    let root = client.root();
    let source = (0..items).map(|number| {
        let key = key(number);
        let call = item(&key, number).and_then(|item| PutItem::new(connection, &item).call(root));
        (key, call)
    });
    let run = client.ingest(IngestSettings::default()).progress_every(Duration::from_secs(3600));
    let mut done = 0;
    let summary = run.run(source, |_| {
        done += 1;
        tell(done);
    });
    assert_eq!(summary.progress.ok, items);
}

/// The most memory that this process has had, where the system tells.
fn peak() -> f64 {
    table::peak().unwrap_or(f64::NAN)
}

fn key(number: u64) -> String {
    format!("documents/folder {:04}/document {number:07}.md", number / 1000)
}

fn item(key: &str, number: u64) -> Result<ExternalItem, BuildError> {
    ExternalItem::builder(ItemId::from_key(key))
        .acl(Acl::everyone(Guid::from(7)))
        .property("number", number as i64)
        .content(ExternalItemContent::text("x".repeat(1_000)))
        .build()
}
