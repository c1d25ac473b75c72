//! Many calls at the same time, each in a task of its own, on tokio and hyper.
//!
//! All of them go through clones of one client, and that is enough: one of them fetches the token
//! for all, a 429 to one holds back all (and when the time is up, one goes first to see whether
//! the way is free), and what they repeat comes out of one budget.
//!
//! It needs no account: the service is the emulator on loopback, which throttles.

use std::{
    collections::HashSet,
    error::Error,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use graphfeed_core::{
    client::AsyncClient,
    external::{
        Acl, EnsureConnection, EnsureSchema, ExternalConnection, ExternalItem, PropertyType,
        PutItem, Schema, SchemaProperty,
    },
    machine::{Event, EventKind, Token, TokenNeed, WaitReason},
    protocol::Version,
    types::{AccessToken, ConnectionId, Guid, ItemId},
};
use graphfeed_examples::Loopback;
use graphfeed_hyper::{HyperTransport, TokioClock, seed};
use tokio::{runtime::Runtime, sync::Semaphore, task::JoinSet};

/// What the service does to its clients.
const FAULTS: [&str; 2] =
    ["PUT item: 429 retry-after=0.25 every=60", "PUT item: stored 503 from=30 every=90"];
const ITEMS: usize = 300;
/// More calls at the same time would be more connections, until the other side takes no more.
const AT_ONCE: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let loopback = Loopback::start(Version::V1)?;
    let id = connection(&loopback)?;
    let counts = Runtime::new()?.block_on(put_items(&loopback, &id))?;
    print!("{counts}");
    let (early, stored) =
        (loopback.emulator().early_calls().len(), loopback.emulator().items("contosohr").len());
    println!(
        "{stored:>6} items are stored\n{early:>6} calls came earlier than the service allowed"
    );
    match (early, stored) {
        (0, ITEMS) => Ok(()),
        _ => Err("that is not as it should be".into()),
    }
}

/// What the calls did together.
#[derive(Debug, Default)]
struct Counts {
    tokens: AtomicUsize,
    attempts: AtomicUsize,
    repeats: AtomicUsize,
    throttled: AtomicUsize,
    /// The calls that waited for their own time to come or another's.
    held_back: Mutex<HashSet<Guid>>,
    milliseconds: AtomicUsize,
}

impl Counts {
    fn hear(&self, event: &Event) {
        match event.kind {
            EventKind::Attempt { number, .. } => {
                self.attempts.fetch_add(1, Relaxed);
                self.repeats.fetch_add(usize::from(number > 1), Relaxed);
            }
            EventKind::Throttled { .. } => {
                self.throttled.fetch_add(1, Relaxed);
            }
            EventKind::Wait { reason: WaitReason::Throttling | WaitReason::First, .. } => {
                self.held_back().insert(event.call);
            }
            _ => {}
        }
    }

    fn held_back(&self) -> MutexGuard<'_, HashSet<Guid>> {
        self.held_back.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let load = |count: &AtomicUsize| count.load(Relaxed);
        for (count, what) in [
            (load(&self.milliseconds), "milliseconds to put all"),
            (load(&self.tokens), "token fetched for all"),
            (load(&self.attempts), "requests sent"),
            (load(&self.repeats), "of them repeats"),
            (load(&self.throttled), "answers to come back later"),
            (self.held_back().len(), "calls held back by that, their own or another's"),
        ] {
            writeln!(f, "{count:>6} {what}")?;
        }
        Ok(())
    }
}

/// Makes a connection that takes items. Until then there is nothing to do at the same time, so a
/// blocking client does.
fn connection(loopback: &Loopback) -> Result<ConnectionId, Box<dyn Error>> {
    let client = loopback.client();
    let id = ConnectionId::new("contosohr")?;
    let wanted = ExternalConnection::new(id.clone(), "Contoso HR")?;
    println!("connection: {}", client.run(&EnsureConnection::new(&wanted))?.made);
    let schema = Schema::new([SchemaProperty::new("title", PropertyType::String)])?;
    client.run(&EnsureSchema::new(&id, &schema).ready())?;
    for fault in FAULTS {
        loopback.emulator().script(fault)?;
    }
    Ok(id)
}

/// Puts items into a connection, all at the same time.
async fn put_items(loopback: &Loopback, id: &ConnectionId) -> Result<Arc<Counts>, Box<dyn Error>> {
    let counts = Arc::new(Counts::default());
    let (heard, fetched) = (Arc::clone(&counts), Arc::clone(&counts));
    // In earnest a `TokenProvider`.
    let tokens = move |_: &TokenNeed| {
        fetched.tokens.fetch_add(1, Relaxed);
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(Token::new(AccessToken::new("any-token-will-do").expect("it is visible ASCII")))
        }
    };
    let client = AsyncClient::builder(loopback.root().clone(), tokens)
        .seed(seed())
        .observer(move |event| heard.hear(event))
        .build_async(HyperTransport::danger_plain_http(), TokioClock::new());

    let everyone = Acl::everyone(Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874")?);
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let began = Instant::now();
    let mut calls = JoinSet::new();
    for number in 0..ITEMS {
        let item = ExternalItem::builder(ItemId::new(format!("T{number}"))?)
            .acl(everyone.clone())
            .property("title", format!("Ticket {number}"))
            .build()?;
        // It owns what it needs, so neither the item nor the client has to outlive it.
        let call = client.send(&PutItem::new(id, &item));
        let room = Arc::clone(&room);
        calls.spawn(async move {
            let _permit = room.acquire().await;
            call.await
        });
    }
    while let Some(call) = calls.join_next().await {
        call??;
    }
    counts.milliseconds.store(began.elapsed().as_millis() as usize, Relaxed);
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_stored_with_one_token_and_nobody_comes_early() {
        let loopback = Loopback::start(Version::V1).unwrap();
        let id = connection(&loopback).unwrap();
        let counts = Runtime::new().unwrap().block_on(put_items(&loopback, &id)).unwrap();
        let emulator = loopback.emulator();
        assert_eq!(emulator.items("contosohr").len(), ITEMS);
        assert_eq!(emulator.early_calls(), []);

        let count = |count: &AtomicUsize| count.load(Relaxed);
        assert_eq!(count(&counts.tokens), 1);
        let struck: Vec<u64> = emulator.faults().into_iter().map(|(_, struck)| struck).collect();
        assert_eq!(count(&counts.throttled) as u64, struck[0]);
        assert_eq!(count(&counts.repeats) as u64, struck.iter().sum::<u64>());
        assert!(struck.iter().all(|struck| *struck > 0), "{struck:?}");
        // Each 429 holds back more than the call that it was for.
        assert!(counts.held_back().len() > 5 * count(&counts.throttled), "{counts}");
    }

    #[test]
    fn the_program_runs() {
        main().unwrap();
    }
}
