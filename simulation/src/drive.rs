//! The driver: a plain loop that does what an [`Ingest`] says, and lets time jump to the next
//! thing that happens.

use std::{collections::HashSet, fmt::Debug, time::Duration};

use bytes::Bytes;
use graphfeed_core::{
    machine::{
        Attempt, Ingest, IngestStep, Lease, Outcome, Progress, Shared, Summary, Tick, Ticket,
        Token, TokenNeed,
    },
    protocol::{Failure, TokenError},
};
use http::{Request, Response};

use crate::Agenda;

/// What becomes of a request on its way out.
#[derive(Debug)]
pub enum Way {
    /// It arrives, so much later.
    There(Duration),
    /// It is lost, which shows so much later; `None` if it never does.
    Lost(Option<(Duration, Failure)>),
}

/// What comes back for a request that has arrived.
#[derive(Debug)]
pub struct Back {
    /// How long after its arrival.
    pub after: Duration,
    /// An answer or a failure; `None` if nothing ever comes.
    pub what: Option<Result<Response<Bytes>, Failure>>,
}

/// All that a run has to do with: where its offers come from, where its requests go, and who looks
/// on.
pub trait World<K, T> {
    /// The run has nothing to do for now: there is time to offer, to close and to stop. Whether
    /// anything was done, so that the run is asked again at once.
    fn supply(&mut self, ingest: &mut Ingest<K, T>, now: Tick, room: usize) -> bool;

    /// An attempt goes out.
    fn sent(&mut self, now: Tick, attempt: &Attempt) -> Way;

    /// A request arrives, in the order of arrival.
    fn arrives(&mut self, now: Tick, ticket: Ticket, request: &Request<Bytes>) -> Back;

    /// A token is wanted: how long fetching takes, and what comes of it.
    fn token(&mut self, now: Tick, need: &TokenNeed) -> (Duration, Result<Token, TokenError>);

    /// What became of an offer.
    fn done(&mut self, ingest: &mut Ingest<K, T>, now: Tick, key: K, outcome: Outcome<T>);

    /// This is about to be reported to the run, for an attempt that it still waits for.
    fn answered(&mut self, _now: Tick, _ticket: Ticket, _what: &Result<Response<Bytes>, Failure>) {}

    /// The time of an attempt is over, and nothing came.
    fn given_up(&mut self, _now: Tick, _ticket: Ticket) {}

    /// An answer comes to an attempt that was given up.
    fn late(&mut self, _now: Tick, _what: &Result<Response<Bytes>, Failure>) {}

    /// Where the run stands after each step.
    fn looks(
        &mut self,
        _now: Tick,
        _step: &IngestStep<K, T>,
        _progress: impl FnOnce() -> Progress,
    ) {
    }
}

enum Event {
    Arrives(Ticket, Request<Bytes>),
    Answered(Ticket, Result<Response<Bytes>, Failure>),
    TimeIsOver(Ticket),
    Token(Lease, Result<Token, TokenError>),
}

/// Drives a run from a time on to its end; `None` if it has not come to it by `to`.
///
/// What is reported to the run and what it is to be asked at one time happens in this order: first
/// what arrives and comes back, then the run is asked.
///
/// # Panics
/// If the run waits for a time that is not later than now, or for nothing at all.
pub fn drive<K: Ord + Clone + Debug, T: Debug>(
    ingest: &mut Ingest<K, T>,
    shared: &mut Shared,
    from: Tick,
    to: Tick,
    world: &mut impl World<K, T>,
) -> Option<Summary> {
    let mut now = from;
    let mut agenda = Agenda::default();
    // Those that the run waits for.
    let mut out = HashSet::new();
    while now < to {
        while let Some(event) = agenda.due(now) {
            match event {
                Event::Arrives(ticket, request) => {
                    let Back { after, what } = world.arrives(now, ticket, &request);
                    if let Some(what) = what {
                        agenda.add(now + after, Event::Answered(ticket, what));
                    }
                }
                Event::Answered(ticket, what) => {
                    match out.remove(&ticket) {
                        true => world.answered(now, ticket, &what),
                        false => world.late(now, &what),
                    }
                    match what {
                        Ok(answer) => ingest.on_response(ticket, now, answer, shared),
                        Err(failure) => ingest.on_failure(ticket, now, failure, shared),
                    }
                }
                Event::TimeIsOver(ticket) => {
                    if out.remove(&ticket) {
                        world.given_up(now, ticket);
                    }
                }
                Event::Token(lease, token) => ingest.on_token(lease, now, token, shared),
            }
        }
        let step = ingest.poll(now, shared);
        world.looks(now, &step, || ingest.progress(now));
        match step {
            IngestStep::Send(attempt) => {
                let Attempt { ticket, timeout, .. } = attempt;
                out.insert(ticket);
                match world.sent(now, &attempt) {
                    Way::There(after) => {
                        agenda.add(now + after, Event::Arrives(ticket, attempt.request));
                    }
                    Way::Lost(Some((after, failure))) => {
                        agenda.add(now + after, Event::Answered(ticket, Err(failure)));
                    }
                    Way::Lost(None) => {}
                }
                // What comes just in time is in time.
                agenda.add_last(now + timeout, Event::TimeIsOver(ticket));
            }
            IngestStep::Token(need) => {
                let (after, token) = world.token(now, &need);
                agenda.add(now + after, Event::Token(need.lease, token));
            }
            IngestStep::Done(key, outcome) => world.done(ingest, now, key, outcome),
            IngestStep::Finished(summary) => return Some(summary),
            IngestStep::Idle { until, room, .. } => {
                if world.supply(ingest, now, room) {
                    continue;
                }
                let next = [until, agenda.next()].into_iter().flatten().min();
                let next = next.expect("somebody will do something");
                assert!(next > now, "it waits for {next:?}, and that is now");
                now = next;
            }
        }
    }
    None
}
