//! A bulk run over real HTTP, against an emulator that throttles and fails.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::{
    client::{Client, Failure, IngestNews, SendOptions, Transport},
    external::{
        Acl, EnsureConnection, EnsureSchema, ExternalConnection, ExternalItem, PropertyType,
        PutItem, Schema, SchemaProperty, StoredItem,
    },
    machine::{End, Ending, IngestSettings, Packing},
    protocol::{Call, Cloud, Endpoint, ServiceRoot, Version},
    types::{AccessToken, BuildError, ConnectionId, Guid, ItemId},
};
use graphfeed_emulator::{Behaviour, Emulator, Options, server::Server};
use graphfeed_ureq::{SystemClock, UreqTransport, seed};

/// More than the bucket holds in the beginning, and each fault strikes.
const LIMIT: &str = "PUT item: bucket rate=300 burst=60 retry-after=exact";
const FAULTS: [&str; 3] = [
    "PUT item: 503 retry-after=0.05 every=50",
    "PUT item: stored 502 from=20 every=70",
    "PUT item: stored reset from=10 every=90",
];

#[test]
fn what_is_stored_is_what_the_source_gave_whatever_goes_wrong() {
    let requests = requests_of_a_run(Packing::Singles);
    assert!(requests >= 500, "{requests}");
}

#[test]
fn what_is_stored_is_what_the_source_gave_in_batches_too_and_with_fewer_requests() {
    let requests = requests_of_a_run(Packing::Batches);
    assert!(requests < 500, "{requests}");
}

/// A run of 500 items in which all is well at the end, and how many requests it took.
fn requests_of_a_run(packing: Packing) -> u64 {
    let behaviour = Behaviour { schema_delay: Duration::ZERO, ..Behaviour::default() };
    let emulator = Emulator::new(Options { behaviour, ..Options::default() });
    let server = Server::start(emulator.clone(), "127.0.0.1:0").unwrap();
    let root = ServiceRoot::danger_plain_http(server.url(), Cloud::Global, Version::V1).unwrap();
    let requests = Arc::new(AtomicU64::new(0));
    let transport = Counting(UreqTransport::danger_plain_http(), Arc::clone(&requests));
    let client = Client::builder(root, AccessToken::new("any").unwrap())
        .seed(seed())
        .build(transport, SystemClock::new());
    let id = ConnectionId::new("contosohr").unwrap();
    let connection = ExternalConnection::new(id.clone(), "Contoso HR").unwrap();
    let schema = Schema::new([SchemaProperty::new("title", PropertyType::String)]).unwrap();
    client.run(&EnsureConnection::new(&connection)).unwrap();
    client.run(&EnsureSchema::new(&id, &schema).ready()).unwrap();
    emulator.throttle(LIMIT).unwrap();
    for fault in FAULTS {
        emulator.script(fault).unwrap();
    }

    let before = requests.load(Ordering::SeqCst);
    // 400 items, and a hundred of them once more; the last one counts.
    let keys = (0..400_u32).chain(100..200);
    let offers: Vec<_> =
        keys.enumerate().map(|(at, key)| (key, put(client.root(), &id, key, at))).collect();
    let mut settings = IngestSettings::default();
    settings.packing = packing;
    let mut told = BTreeMap::<u32, u32>::new();
    let summary = client.ingest(settings).run(offers, |news| {
        if let IngestNews::Done(key, outcome) = news {
            assert!(matches!(outcome.end, End::Ok(_)), "{key}: {outcome:?}");
            *told.entry(key).or_default() += 1;
        }
    });

    assert_eq!(summary.ending, Ending::Complete, "{summary:?}");
    assert_eq!((summary.progress.seen, summary.progress.ok), (500, 500));
    assert!((0..400).all(|key| told[&key] == if (100..200).contains(&key) { 2 } else { 1 }));
    let stored: BTreeMap<String, String> = emulator
        .items("contosohr")
        .into_iter()
        .map(|item| (item.id, item.properties[0].json.clone()))
        .collect();
    let wanted = (0..400).map(|key| {
        let last = if (100..200).contains(&key) { key + 300 } else { key };
        (format!("T{key}"), format!("\"as of {last}\""))
    });
    assert_eq!(stored, wanted.collect());
    assert_eq!(emulator.early_calls(), []);
    assert!(emulator.faults().iter().all(|(_, struck)| *struck > 0), "{:?}", emulator.faults());
    let refused: u64 = emulator.limits().iter().map(|(_, traffic)| traffic.refused).sum();
    // The answer to one or the other is lost to a fault.
    assert!((1..=refused).contains(&summary.progress.throttled), "{refused}: {summary:?}");
    requests.load(Ordering::SeqCst) - before
}

/// Counts what is sent.
struct Counting<T>(T, Arc<AtomicU64>);

impl<T: Transport> Transport for Counting<T> {
    fn send(
        &self,
        request: http::Request<Bytes>,
        options: &SendOptions,
    ) -> Result<http::Response<Bytes>, Failure> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.send(request, options)
    }
}

fn put(
    root: &ServiceRoot,
    connection: &ConnectionId,
    key: u32,
    at: usize,
) -> Result<Call<Option<StoredItem>>, BuildError> {
    let tenant = Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874").unwrap();
    let item = ExternalItem::builder(ItemId::new(format!("T{key}"))?)
        .acl(Acl::everyone(tenant))
        .property("title", format!("as of {at}"))
        .build()?;
    PutItem::new(connection, &item).call(root)
}
