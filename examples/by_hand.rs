//! Drives the machines by hand, in a plain loop: what a client does, without one.
//!
//! A machine has no clock and no socket. It is asked what is next, told what came of it, and all
//! else is this loop's: time is the standard library's, ureq sends, and the thread sleeps. So a
//! call fits into whatever a program has already: an event loop, a job queue, a simulation.
//!
//! It needs no account: the service is the emulator on loopback, which refuses some requests.

use std::{
    error::Error,
    thread,
    time::{Duration, Instant},
};

use graphfeed_core::{
    client::{SendOptions, Transport},
    external::{
        Acl, EnsureConnection, EnsureSchema, ExternalConnection, ExternalItem, PropertyType,
        PutItem, Schema, SchemaProperty,
    },
    machine::{Exchange, Machine, Policy, Shared, Start, Step, Task, Tick, Token},
    protocol::{self, Endpoint as _, ServiceRoot, Version},
    types::{AccessToken, ConnectionId, Guid, ItemId},
};
use graphfeed_examples::Loopback;
use graphfeed_ureq::{UreqTransport, seed};

/// What the emulator is to do, so that there is something to wait for.
const FAULTS: [&str; 3] = [
    "PUT item: 429 retry-after=0.4 times=1",
    "PUT item: 503 times=1",
    "PUT item: stored reset times=1",
];

fn main() -> Result<(), Box<dyn Error>> {
    let loopback = Loopback::start(Version::V1)?;
    for fault in FAULTS {
        loopback.emulator().script(fault)?;
    }
    let stored = put_an_item(loopback.root(), UreqTransport::danger_plain_http())?;
    println!("stored after {} attempts", stored.attempts);
    Ok(())
}

/// How it went.
#[derive(Debug, PartialEq, Eq)]
struct Stored {
    /// Of the call that put the item.
    attempts: u32,
    /// Of that call alone.
    steps: Steps,
}

/// What a machine has asked for, one count for each kind of step.
#[derive(Debug, Default, PartialEq, Eq)]
struct Steps {
    tokens: u32,
    sends: u32,
    waits: u32,
}

/// Makes a connection and puts an item into it.
fn put_an_item<T: Transport>(root: &ServiceRoot, transport: T) -> Result<Stored, Box<dyn Error>> {
    let mut driver = Driver {
        transport,
        token: AccessToken::new("any-token-will-do")?,
        began: Instant::now(),
        shared: Shared::default(),
        steps: Steps::default(),
    };
    let policy = Policy::default();

    // Several calls that belong together are a machine, too.
    let start = |now| Start::new(root.clone(), policy.clone(), seed(), now);
    let id = ConnectionId::new("contosohr")?;
    let wanted = ExternalConnection::new(id.clone(), "Contoso HR")?;
    driver.drive(&mut EnsureConnection::new(&wanted).start(&start(driver.now()))?)?;
    let schema = Schema::new([SchemaProperty::new("title", PropertyType::String)])?;
    let ready = EnsureSchema::new(&id, &schema).ready();
    driver.drive(&mut ready.start(&start(driver.now()))?)?;

    let item = ExternalItem::builder(ItemId::new("T1")?)
        .acl(Acl::everyone(Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874")?))
        .property("title", "A ticket")
        .build()?;
    let call = PutItem::new(&id, &item).call(root)?;
    driver.steps = Steps::default();
    let mut exchange = Exchange::new(call, &policy, seed(), driver.now());
    println!("{} is call {}", item.id(), exchange.client_request_id());
    let reply = driver.drive(&mut exchange)?;
    println!("  the answer is {}", reply.status);
    Ok(Stored { attempts: exchange.attempts(), steps: driver.steps })
}

/// All that is needed beside the machines.
struct Driver<T> {
    transport: T,
    token: AccessToken,
    began: Instant,
    /// What all calls have in common: the token, and which of them have to wait. Where several
    /// threads drive machines, it is behind a lock.
    shared: Shared,
    steps: Steps,
}

impl<T: Transport> Driver<T> {
    fn now(&self) -> Tick {
        Tick::new(self.began.elapsed())
    }

    /// Polls, does what the machine asks for, reports, and begins again, until it is done. A loop
    /// that ends before that, or whose transport may panic, calls `abandon`, so that others need
    /// not wait for what the machine holds.
    fn drive<M: Machine>(&mut self, machine: &mut M) -> Result<M::Output, protocol::Error> {
        loop {
            let now = self.now();
            match machine.poll(now, &mut self.shared) {
                Step::Token(need) => {
                    println!("  a token is wanted");
                    self.steps.tokens += 1;
                    let token = Ok(Token::new(self.token.clone()));
                    machine.on_token(need.lease, self.now(), token, &mut self.shared);
                }
                Step::Send(attempt) => {
                    println!("  send {} {}", attempt.request.method(), attempt.request.uri());
                    self.steps.sends += 1;
                    let options = SendOptions::default()
                        .with_timeout(attempt.timeout)
                        .with_new_connection(attempt.new_connection);
                    let sent = self.transport.send(attempt.request, &options);
                    let now = self.now();
                    match sent {
                        Ok(response) => {
                            println!("    {}", response.status());
                            machine.on_response(attempt.ticket, now, response, &mut self.shared);
                        }
                        Err(failure) => {
                            println!("    no answer");
                            machine.on_failure(attempt.ticket, now, failure, &mut self.shared);
                        }
                    }
                }
                // Or sooner, if another call has changed what they share; here there is none.
                Step::Wait(until) => {
                    let wait = until.since(now);
                    println!("  wait for {:.3} s", wait.as_secs_f64());
                    self.steps.waits += 1;
                    thread::sleep(wait.max(Duration::from_millis(1)));
                }
                Step::Done(result) => return result,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_does_each_step_and_the_item_is_stored() {
        let loopback = Loopback::start(Version::V1).unwrap();
        for fault in FAULTS {
            loopback.emulator().script(fault).unwrap();
        }
        let begun = Instant::now();
        let stored = put_an_item(loopback.root(), UreqTransport::danger_plain_http()).unwrap();
        assert_eq!(stored.attempts, 4);
        assert_eq!((stored.steps.tokens, stored.steps.sends), (0, 4), "the token is there already");
        assert!(stored.steps.waits >= 3);
        assert!(begun.elapsed() >= Duration::from_millis(400));
        assert!(loopback.emulator().item("contosohr", "T1").is_some());
        assert_eq!(loopback.emulator().early_calls(), []);
    }

    #[test]
    fn the_program_runs() {
        main().unwrap();
    }
}
