//! The async client on smol: another runtime than tokio, and nothing changes.
//!
//! graphfeed's core names no runtime. What a client needs of one is two small traits: a clock
//! whose timers are the runtime's ([`SmolClock`]), and a transport whose futures it can poll
//! ([`InProcess`]). Whoever has an HTTP client for their runtime writes the second one over that.
//!
//! It needs no account: the transport is the emulator in this program, without a socket, whose
//! latencies and waits are real time by smol's timers.

use std::{error::Error, pin::Pin, time::Instant};

use bytes::Bytes;
use graphfeed_core::{
    client::{AsyncClient, AsyncClock, AsyncTransport, Failure, SendOptions},
    external::{
        Acl, EnsureConnection, EnsureSchema, ExternalConnection, ExternalItem, PropertyType,
        PutItem, Schema, SchemaProperty,
    },
    machine::Tick,
    protocol::ServiceRoot,
    types::{AccessToken, ConnectionId, Guid, ItemId},
};
use graphfeed_emulator::{Emulator, Options, Outcome};
use smol::Timer;

/// Each answer takes a while, and some calls have to come again.
const FAULTS: [&str; 3] = [
    "PUT item: 429 retry-after=0.3 latency=0.05 every=20",
    "PUT item: stored reset latency=0.02 every=33",
    "PUT item: pass latency=0.05",
];
const ITEMS: usize = 50;

/// Real time, by smol.
struct SmolClock {
    origin: Instant,
}

impl AsyncClock for SmolClock {
    fn now(&self) -> Tick {
        Tick::new(self.origin.elapsed())
    }

    fn sleep_until(&self, until: Tick) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            match self.origin.checked_add(until.since_origin()) {
                Some(until) => drop(Timer::at(until).await),
                // Later than time goes.
                None => std::future::pending().await,
            }
        })
    }
}

/// The emulator, without a socket.
#[derive(Clone)]
struct InProcess(Emulator);

impl AsyncTransport for InProcess {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        _: &SendOptions,
    ) -> Result<http::Response<Bytes>, Failure> {
        let delivery = self.0.deliver(&request);
        Timer::after(delivery.latency).await;
        match delivery.outcome {
            Outcome::Answer(answer) => Ok(answer),
            _ => Err(Failure::maybe_sent("the connection was closed without a whole answer")),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let emulator = Emulator::new(Options::default());
    for fault in FAULTS {
        emulator.script(fault)?;
    }
    let began = Instant::now();
    let stored = smol::block_on(put_items(emulator.clone()))?;
    println!("{stored} items stored in {:.2} s", began.elapsed().as_secs_f64());
    println!("{} requests to put one", emulator.count("PUT item"));
    println!("{} came earlier than the service allowed", emulator.early_calls().len());
    Ok(())
}

/// Makes a connection and puts items into it, all at the same time.
async fn put_items(emulator: Emulator) -> Result<usize, Box<dyn Error>> {
    let clock = SmolClock { origin: Instant::now() };
    let token = AccessToken::new("any-token-will-do")?;
    let client = AsyncClient::builder(ServiceRoot::v1(), token)
        .seed(graphfeed_ureq::seed())
        .build_async(InProcess(emulator), clock);

    let id = ConnectionId::new("contosohr")?;
    let wanted = ExternalConnection::new(id.clone(), "Contoso HR")?;
    println!("connection: {}", client.run(&EnsureConnection::new(&wanted)).await?.made);
    let schema = Schema::new([SchemaProperty::new("title", PropertyType::String)])?;
    client.run(&EnsureSchema::new(&id, &schema).ready()).await?;

    let everyone = Acl::everyone(Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874")?);
    let mut calls = Vec::with_capacity(ITEMS);
    for number in 0..ITEMS {
        let item = ExternalItem::builder(ItemId::new(format!("T{number}"))?)
            .acl(everyone.clone())
            .property("title", format!("Ticket {number}"))
            .build()?;
        // The future owns what it needs: neither the item nor the client has to outlive it, and it
        // may go to another thread.
        calls.push(smol::spawn(client.send(&PutItem::new(&id, &item))));
    }
    let mut stored = 0;
    for call in calls {
        call.await?;
        stored += 1;
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn all_are_stored_at_the_same_time_and_none_comes_early() {
        let emulator = Emulator::new(Options::default());
        for fault in FAULTS {
            emulator.script(fault).unwrap();
        }
        let began = Instant::now();
        assert_eq!(smol::block_on(put_items(emulator.clone())).unwrap(), ITEMS);
        let took = began.elapsed();
        assert_eq!(emulator.items("contosohr").len(), ITEMS);
        assert!(emulator.count("PUT item") > ITEMS as u64);
        assert_eq!(emulator.early_calls(), []);
        // The schema takes a second. After the other, the items would take two and a half.
        assert!(
            took > Duration::from_millis(1300) && took < Duration::from_millis(3500),
            "{took:?}"
        );
    }

    #[test]
    fn a_wait_for_ever_does_not_end() {
        let clock = SmolClock { origin: Instant::now() };
        let later = async {
            Timer::after(Duration::from_millis(20)).await;
            false
        };
        let never = async {
            clock.sleep_until(Tick::MAX).await;
            true
        };
        assert!(!smol::block_on(smol::future::or(never, later)));
    }
}
