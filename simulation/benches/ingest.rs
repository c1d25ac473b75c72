//! What bulk runs make of a limit that they are not told, in ten virtual minutes from a cold
//! start, and how long a crawl of 55 hours takes to compute: a table, row by row.
//!
//! `cargo bench -p graphfeed-simulation --bench ingest` prints it, and fails if a row is missed.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use bytes::Bytes;
use graphfeed_core::{
    external::{Acl, ExternalItem, PutItem, StoredItem},
    machine::{
        Attempt, End, Ingest, IngestSettings, Outcome, Packing, Policy, Progress, Shared, Start,
        Tick, Ticket, Token, TokenNeed,
    },
    protocol::{Call, Endpoint, ServiceRoot, TokenError},
    types::{AccessToken, ConnectionId, Guid, ItemId},
};
use graphfeed_emulator::{Limit, Options};
use graphfeed_simulation::{
    Back, CONNECTIONS, Dice, Latency, Part, Tenant, Way, World, drive,
    table::{Table, median, size},
};
use http::{Request, Response, StatusCode};

type Stored = Option<StoredItem>;

const SECONDS: usize = 600;
const CHANGE: usize = 300;
const NEAR: Latency = Latency::Even(20.0, 60.0);
const FAR: Latency = Latency::Long(300.0, 2000.0);

fn put(serial: u64) -> Call<Stored> {
    let connection = ConnectionId::new(CONNECTIONS[0]).expect("an id");
    let item = ExternalItem::builder(ItemId::new(format!("T{serial}")).expect("an id"))
        .acl(Acl::everyone(Guid::from(7)))
        .property("serial", serial as i64)
        .build()
        .expect("an item");
    PutItem::new(&connection, &item).call(&ServiceRoot::v1()).expect("a call")
}

/// How the service counts.
#[derive(Clone, Copy, PartialEq)]
enum Count {
    /// In a bucket.
    Bucket,
    /// In one that a refused call takes from as well.
    Charging,
    /// In windows of ten seconds.
    Window,
}

/// A limit, and what has to be made of it.
#[derive(Clone, Copy)]
struct Row {
    what: &'static str,
    count: Count,
    /// Calls in a second.
    rate: f64,
    /// How many seconds fill a bucket.
    fill: f64,
    retry_after: &'static str,
    /// The rate from half-time on; what is asked holds for the time from then.
    then: Option<f64>,
    latency: Latency,
    packing: Packing,
    /// The share of the rate, at least.
    share: f64,
    /// The share of the calls that is refused, at most, where that is asked.
    refused: Option<f64>,
}

const fn row(count: Count, rate: f64, retry_after: &'static str, share: f64) -> Row {
    let what = match count {
        Count::Bucket => "bucket",
        Count::Charging => "bucket that charges refusals",
        Count::Window => "window of 10 s",
    };
    let (packing, latency, fill) = (Packing::Singles, NEAR, 1.0);
    Row { what, count, rate, fill, retry_after, then: None, latency, packing, share, refused: None }
}

const ROWS: [Row; 23] = {
    use Count::{Bucket, Charging, Window};
    [
        row(Bucket, 4.0, "1", 0.95),
        Row { refused: Some(0.005), ..row(Bucket, 25.0, "1", 0.98) },
        Row { refused: Some(0.005), ..row(Bucket, 200.0, "1", 0.98) },
        row(Bucket, 4.0, "10", 0.80),
        row(Bucket, 25.0, "10", 0.80),
        row(Bucket, 200.0, "10", 0.80),
        Row { what: "bucket that doubles to", then: Some(50.0), ..row(Bucket, 25.0, "1", 0.75) },
        Row { what: "bucket that doubles to", then: Some(200.0), ..row(Bucket, 100.0, "1", 0.75) },
        Row { what: "bucket that halves to", then: Some(12.5), ..row(Bucket, 25.0, "1", 0.95) },
        Row { what: "bucket that halves to", then: Some(100.0), ..row(Bucket, 200.0, "1", 0.95) },
        Row { what: "bucket far away", latency: FAR, ..row(Bucket, 25.0, "1", 0.95) },
        Row { what: "bucket of 1/4 s", fill: 0.25, ..row(Bucket, 25.0, "1", 0.90) },
        Row { what: "bucket of 1/4 s", fill: 0.25, ..row(Bucket, 200.0, "1", 0.90) },
        row(Window, 25.0, "whole", 0.90),
        row(Window, 25.0, "1", 0.90),
        row(Window, 25.0, "10", 0.80),
        row(Charging, 25.0, "whole", 0.90),
        row(Charging, 25.0, "1", 0.90),
        row(Charging, 25.0, "10", 0.80),
        Row { what: "bucket that tells decimals", ..row(Bucket, 25.0, "exact", 0.95) },
        Row { packing: Packing::Batches, ..row(Bucket, 25.0, "1", 0.98) },
        Row { packing: Packing::Batches, ..row(Bucket, 200.0, "1", 0.98) },
        Row { packing: Packing::Batches, ..row(Bucket, 25.0, "10", 0.80) },
    ]
};

impl Row {
    fn limit(&self, rate: f64) -> Limit {
        let limit = match self.count {
            Count::Window => Limit::window((rate * 10.0) as u64, Duration::from_secs(10)),
            Count::Bucket | Count::Charging => Limit::bucket(rate, (rate * self.fill) as u32),
        };
        let limit = limit.retry_after(self.retry_after);
        if self.count == Count::Charging { limit.counting_refused() } else { limit }
    }

    fn name(&self) -> String {
        let told = match self.retry_after {
            "whole" => "the rest",
            "exact" => "the rest, exactly",
            seconds => &format!("{seconds} s"),
        };
        let packed = if self.packing == Packing::Batches { "in batches: " } else { "" };
        let rate = self.then.unwrap_or(self.rate);
        format!("{packed}{} {rate}/s, Retry-After {told}", self.what)
    }
}

/// An endless source against the emulator.
struct Meter {
    row: Row,
    tenant: Tenant,
    dice: Dice,
    began: Tick,
    calls: Vec<Call<Stored>>,
    key: u64,
    has_changed: bool,
    /// Let through in each second.
    accepted: Vec<u32>,
    progress: Progress,
}

/// What came of a row with one seed.
struct Measured {
    share: f64,
    refused: f64,
    /// How far from the new rate, a minute after it has changed.
    off: f64,
}

impl Meter {
    fn run(row: Row, seed: u64) -> Measured {
        // The windows of the service do not begin when a run does.
        let began = Tick::new(Duration::from_millis(1_700 * seed));
        let mut meter = Self {
            row,
            tenant: Tenant::new(Options { seed, ..Options::default() }, None),
            dice: Dice::new(seed),
            began,
            calls: (0..64).map(put).collect(),
            key: 0,
            has_changed: false,
            accepted: vec![0; SECONDS],
            progress: Progress::default(),
        };
        meter.tenant.emulator.set_limits(vec![row.limit(row.rate)]);
        let start = Start::new(ServiceRoot::v1(), Policy::default(), seed, began);
        let mut settings = IngestSettings::default();
        settings.packing = row.packing;
        let mut ingest = Ingest::new(settings, &start);
        let end = began + Duration::from_secs(SECONDS as u64);
        let summary = drive(&mut ingest, &mut Shared::default(), began, end, &mut meter);
        assert!(summary.is_none(), "the source has no end");
        meter.progress = ingest.progress(end);
        meter.measured()
    }

    fn rate(&self, from: usize, to: usize) -> f64 {
        f64::from(self.accepted[from..to].iter().sum::<u32>()) / (to - from) as f64
    }

    fn measured(&self) -> Measured {
        let (from, rate) = self.row.then.map_or((0, self.row.rate), |rate| (CHANGE, rate));
        // The emulator begins with a full bucket when its limit changes, which is no merit.
        let given = if from > 0 { rate / (SECONDS - from) as f64 } else { 0.0 };
        Measured {
            share: (self.rate(from, SECONDS) - given) / rate,
            refused: self.progress.throttled as f64 / self.progress.sent as f64,
            // Over half a minute, for the bucket evens out what is shorter.
            off: self.row.then.map_or(0.0, |rate| self.rate(360, 390) / rate - 1.0),
        }
    }
}

impl World<u64, Stored> for Meter {
    fn supply(&mut self, ingest: &mut Ingest<u64, Stored>, now: Tick, room: usize) -> bool {
        for _ in 0..room {
            self.key += 1;
            let call = self.calls[self.key as usize % self.calls.len()].clone();
            ingest.offer(self.key, call, now).expect("there is room");
        }
        room > 0
    }

    fn sent(&mut self, _: Tick, _: &Attempt) -> Way {
        Way::There(self.row.latency.draw(&mut self.dice) / 2)
    }

    fn arrives(&mut self, now: Tick, _: Ticket, request: &Request<Bytes>) -> Back {
        let second = now.since(self.began).as_secs() as usize;
        if let Some(rate) = self.row.then.filter(|_| second >= CHANGE && !self.has_changed) {
            self.has_changed = true;
            self.tenant.emulator.set_limits(vec![self.row.limit(rate)]);
        }
        let mut back = self.tenant.deliver(now, request);
        let Some(Ok(answer)) = &back.what else { panic!("there are no faults: {back:?}") };
        let is_accepted = |part: &Part| part.answer(answer).is_some_and(|told| told.status < 300);
        self.accepted[second] += match self.row.packing {
            Packing::Batches => Part::all(request).iter().filter(|it| is_accepted(it)).count(),
            _ => usize::from(answer.status().is_success()),
        } as u32;
        back.after += self.row.latency.draw(&mut self.dice) / 2;
        back
    }

    fn token(&mut self, now: Tick, _: &TokenNeed) -> (Duration, Result<Token, TokenError>) {
        self.tenant.token(now)
    }

    fn done(&mut self, _: &mut Ingest<u64, Stored>, _: Tick, _: u64, outcome: Outcome<Stored>) {
        assert!(matches!(outcome.end, End::Ok(_)), "{outcome:?}");
    }
}

fn limits(table: &mut Table) {
    for row in &ROWS[..size(ROWS.len(), 1)] {
        let seeds = size(if row.rate > 50.0 { 3 } else { 7 }, 1);
        let runs: Vec<Measured> = (1..=seeds).map(|seed| Meter::run(*row, seed)).collect();
        let name = row.name();
        let percent = |value: f64| format!("{:.1} %", value * 100.0);
        let mut hold =
            |what: &str, target: &str, of: &dyn Fn(&Measured) -> f64, most: bool, bar| {
                let mut all: Vec<f64> = runs.iter().map(of).collect();
                let middle = median(&mut all);
                let worst = if most { all[all.len() - 1] } else { all[0] };
                let is_met = if most { worst <= bar } else { worst >= bar };
                let measured = format!("{} ({})", percent(middle), percent(worst));
                table.row(&format!("{name}{what}"), target, &measured, is_met);
            };
        hold("", &format!(">= {}", percent(row.share)), &|it| it.share, false, row.share);
        if let Some(most) = row.refused {
            hold(": refused", &format!("<= {}", percent(most)), &|it| it.refused, true, most);
        }
        if row.then.is_some() {
            hold(": off 60 s after", "<= 10.0 %", &|it| it.off.abs(), true, 0.10);
        }
    }
}

/// A source of millions of items against the cheapest service that keeps a limit: nothing is
/// read, nothing stored.
struct Crawl {
    items: u64,
    left: u64,
    done: u64,
    dice: Dice,
    /// How many calls the service would take at once, and when it was last asked.
    level: f64,
    asked: Tick,
}

const RATE: f64 = 25.0;

impl World<u64, Stored> for Crawl {
    fn supply(&mut self, ingest: &mut Ingest<u64, Stored>, now: Tick, room: usize) -> bool {
        if self.left == 0 {
            ingest.close();
            return self.done == self.items;
        }
        for _ in 0..self.left.min(room as u64) {
            self.left -= 1;
            ingest.offer(self.left, put(self.left), now).expect("there is room");
        }
        room > 0
    }

    fn sent(&mut self, _: Tick, _: &Attempt) -> Way {
        Way::There(NEAR.draw(&mut self.dice) / 2)
    }

    fn arrives(&mut self, now: Tick, _: Ticket, _: &Request<Bytes>) -> Back {
        let gained = now.since(self.asked).as_secs_f64() * RATE;
        self.level = (self.level + gained).min(RATE);
        self.asked = now;
        let mut answer = Response::new(Bytes::new());
        if self.level >= 1.0 {
            self.level -= 1.0;
        } else {
            *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            answer.headers_mut().insert("retry-after", http::HeaderValue::from_static("1"));
        }
        Back { after: NEAR.draw(&mut self.dice) / 2, what: Some(Ok(answer)) }
    }

    fn token(&mut self, _: Tick, _: &TokenNeed) -> (Duration, Result<Token, TokenError>) {
        (Duration::ZERO, Ok(Token::new(AccessToken::new("any").expect("a token"))))
    }

    fn done(&mut self, _: &mut Ingest<u64, Stored>, _: Tick, _: u64, outcome: Outcome<Stored>) {
        assert!(matches!(outcome.end, End::Ok(_)), "{outcome:?}");
        self.done += 1;
    }
}

fn crawl(table: &mut Table) {
    let now = Tick::default();
    let items = size(5_000_000, 5_000);
    let dice = Dice::new(7);
    let mut crawl = Crawl { items, left: items, done: 0, dice, level: RATE, asked: now };
    let start = Start::new(ServiceRoot::v1(), Policy::default(), 7, now);
    let mut ingest = Ingest::new(IngestSettings::default(), &start);
    let real = Instant::now();
    let summary = drive(&mut ingest, &mut Shared::default(), now, Tick::MAX, &mut crawl);
    let seconds = real.elapsed().as_secs_f64();
    let summary = summary.expect("it comes to its end");
    assert_eq!((summary.progress.seen, summary.progress.ok), (items, items));
    let hours = summary.ended.since(summary.began).as_secs_f64() / 3600.0;
    let name = format!("a crawl of {items} items at 25/s, {hours:.1} h of virtual time");
    table.row(&name, "<= 120 s", &format!("{seconds:.1} s"), seconds <= 120.0);
    let best = items as f64 / RATE / 3600.0;
    let used = best / hours;
    table.row(
        "the same: share of the rate",
        ">= 98.0 %",
        &format!("{:.1} %", used * 100.0),
        used >= 0.98,
    );
    println!("the same: {:.0} calls a real second", summary.progress.sent as f64 / seconds);
}

fn main() -> ExitCode {
    println!(
        "Ten virtual minutes from a cold start against the emulator; latency 20 to 60 ms, far away"
    );
    println!(
        "300 ms median and 2 s p99; at most 25 calls in flight. Median of the seeds (and worst).\n"
    );
    let mut table = Table::begin("limit");
    limits(&mut table);
    crawl(&mut table);
    table.end()
}
