//! What a bulk run of a million items needs of memory, over the blocking driver into a sink.
//!
//! `cargo bench -p graphfeed-simulation --bench million` prints a table, and fails if a row is
//! missed. The most memory that the process ever had is told by Linux only; elsewhere the rows that
//! ask for it are passed over.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use bytes::Bytes;
use graphfeed_core::{
    client::{Client, Clock, Failure, IngestNews, SendOptions},
    external::{Acl, ExternalItem, ExternalItemContent, PutItem, StoredItem},
    machine::{End, IngestSettings, Packing, Tick},
    protocol::{Call, Endpoint, ServiceRoot},
    types::{AccessToken, BuildError, ConnectionId, Guid, ItemId},
};
use graphfeed_simulation::{
    CONNECTIONS, Part,
    table::{Table, peak, size},
};
use serde_json::json;

const MOST: f64 = 40.0;

struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Tick {
        Tick::new(self.0.elapsed())
    }
}

/// Takes whatever comes.
fn sink(request: http::Request<Bytes>, _: &SendOptions) -> Result<http::Response<Bytes>, Failure> {
    if !request.uri().path().ends_with("/$batch") {
        return Ok(http::Response::new(Bytes::new()));
    }
    let well = |part: Part| json!({"id": part.id, "status": 200});
    let responses: Vec<_> = Part::all(&request).into_iter().map(well).collect();
    Ok(http::Response::new(json!({ "responses": responses }).to_string().into()))
}

fn put(connection: &ConnectionId, number: u64) -> Result<Call<Option<StoredItem>>, BuildError> {
    let item = ExternalItem::builder(ItemId::from_key(&format!("pages/{number}")))
        .acl(Acl::everyone(Guid::from(7)))
        .property("number", number as i64)
        .content(ExternalItemContent::text("x".repeat(1_000)))
        .build()?;
    PutItem::new(connection, &item).call(&ServiceRoot::v1())
}

fn main() -> ExitCode {
    let items = size(1_000_000, 1_000);
    let mut table =
        Table::begin(&format!("{items} items through the blocking driver, into a sink"));
    let connection = ConnectionId::new(CONNECTIONS[0]).expect("an id");
    for packing in [Packing::Singles, Packing::Batches] {
        let client =
            Client::builder(ServiceRoot::v1(), AccessToken::new("token").expect("visible"))
                .build(sink, RealClock(Instant::now()));
        let mut settings = IngestSettings::default();
        settings.packing = packing;
        let began = Instant::now();
        // By a tenth of the way everything has its size.
        let mut early = None;
        let mut done = 0_u64;
        let source = (0..items).map(|number| (number, put(&connection, number)));
        let run = client.ingest(settings).progress_every(Duration::from_secs(3600));
        let summary = run.run(source, |news| {
            if let IngestNews::Done(_, outcome) = news {
                assert!(matches!(outcome.end, End::Ok(_)), "{outcome:?}");
                done += 1;
                if done == items / 10 {
                    early = peak();
                }
            }
        });
        assert_eq!((summary.progress.seen, summary.progress.ok), (items, items));
        let seconds = began.elapsed().as_secs_f64();
        table.row(&format!("{packing:?}"), "each told", &format!("{seconds:.0} s"), done == items);
        if let (Some(early), Some(peak)) = (early, peak()) {
            let text = format!("{peak:.1} MB");
            table.row(
                "  the most memory of the process",
                &format!("<= {MOST} MB"),
                &text,
                peak <= MOST,
            );
            let grown = peak - early;
            let flat = grown <= 2.0;
            table.row(
                "  of that after the first tenth",
                "<= 2 MB",
                &format!("{grown:.1} MB"),
                flat,
            );
        }
    }
    table.end()
}
