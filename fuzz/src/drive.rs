//! Machines side by side in virtual time, over whatever the bytes say happens, and the rules that
//! hold for each of them whatever it is.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::{
    machine::{Budget, Lease, Machine, Policy, Shared, Step, Tick, Ticket, Token},
    protocol::{Error, Failure, Sent, ServiceRoot, TokenError},
    types::AccessToken,
};
use graphfeed_emulator::Emulator;
use graphfeed_simulation::{Agenda, Part};
use http::{Request, Response};

use crate::wire::{Carried, Tape, Trip, Wire};

/// What all machines have in common, and what the world knows of them.
pub(crate) struct World<'a> {
    pub(crate) wire: Wire<'a>,
    pub(crate) policy: Policy,
    pub(crate) shared: Shared,
    /// The longest a machine may take.
    pub(crate) longest: Duration,
    /// How often each call was carried out in truth, by method and path.
    pub(crate) carried_out: BTreeMap<String, u32>,
    /// The calls of which an attempt may have been carried out, for all that was told.
    pub(crate) in_doubt: BTreeSet<String>,
    /// How many attempts each call has made.
    pub(crate) attempts: BTreeMap<String, u32>,
    // Not again before this, by call.
    own_waits: BTreeMap<String, Tick>,
    // Nothing before this, by lane.
    gates: BTreeMap<String, Tick>,
    /// An attempt that was throttled counts for nothing.
    pub(crate) patient: bool,
    /// How many attempts of each call went out, whatever they count for.
    pub(crate) sends: BTreeMap<String, u32>,
    tokens: u32,
    /// What repeats there may be.
    pub(crate) budget: Budget,
    /// How many attempts have to be paid for: those that follow another that came to nothing,
    /// unless that was throttled or its token refused.
    pub(crate) repeats: u32,
    /// How many machines ended well.
    pub(crate) successes: u32,
    // The calls of which the next attempt costs nothing.
    free: BTreeSet<String>,
    /// All that was sent and told, and when.
    pub(crate) trace: Vec<String>,
    /// What time it is where the last machine ended.
    pub(crate) now: Tick,
}

enum Event {
    Answered(usize, Ticket, Result<Response<Bytes>, Failure>),
    TimeIsOver(Ticket),
    Token(usize, Lease, Result<Token, TokenError>),
    Start,
}

/// Where a machine stands.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Running,
    Over,
}

impl<'a> World<'a> {
    pub(crate) fn new(data: &'a [u8], emulator: Emulator) -> Self {
        let mut tape = Tape::new(data);
        let mut policy = Policy::default();
        policy.attempts = 1 + tape.up_to(11);
        policy.total += tape.time();
        policy.attempt = Duration::from_millis(1) + tape.time();
        if tape.once_in(4) {
            policy.total = Duration::from_millis(1) + tape.time();
        }
        let mut budget = Budget::default();
        if tape.once_in(4) {
            budget.capacity = tape.up_to(100);
        }
        Self {
            wire: Wire { tape, emulator, honest: false },
            longest: policy.total,
            policy,
            shared: Shared::new(budget.clone()),
            budget,
            repeats: 0,
            successes: 0,
            free: BTreeSet::new(),
            carried_out: BTreeMap::new(),
            in_doubt: BTreeSet::new(),
            attempts: BTreeMap::new(),
            own_waits: BTreeMap::new(),
            gates: BTreeMap::new(),
            patient: false,
            sends: BTreeMap::new(),
            tokens: 0,
            trace: Vec::new(),
            now: Tick::default(),
        }
    }

    /// An attempt goes out: it is one that may.
    pub(crate) fn sent(&mut self, now: Tick, request: &Request<Bytes>) -> Trip {
        assert!(ServiceRoot::v1().trusts(request.uri()), "a token goes elsewhere: {request:?}");
        let token = request.headers()["authorization"].to_str().expect("a token");
        let number = token.strip_prefix("Bearer t").and_then(|number| number.parse().ok());
        assert!(number.is_some_and(|it: u32| it <= self.tokens), "a token of nobody: {token}");
        for part in Part::all(request) {
            let call = call_of(request, &part);
            let own_wait = self.own_waits.get(&call).copied().unwrap_or_default();
            assert!(now >= own_wait, "{call} goes earlier than told");
            if let Some(gate) = lane_of(&part).and_then(|lane| self.gates.get(&lane)) {
                assert!(now >= *gate, "{call} goes before its gate");
            }
            let is_append = part.path.last().is_some_and(|last| last == "addActivities");
            let appended = is_append && self.in_doubt.contains(&name_of(&part));
            assert!(!appended, "{call} is appended again without knowing");
            let attempts = self.attempts.entry(call.clone()).or_default();
            *attempts += 1;
            let is_free = self.free.remove(&call);
            self.repeats += u32::from(*attempts > 1 && !is_free);
            *self.sends.entry(name_of(&part)).or_default() += 1;
            assert!(*attempts <= self.policy.attempts, "{call} has too many attempts");
        }
        self.trace.push(format!("{now:?} {request:?}"));
        let trip = self.wire.send(now, request);
        for it in trip.carried.iter().filter(|it| it.done) {
            *self.carried_out.entry(name_of(&it.part)).or_default() += 1;
        }
        trip
    }

    /// What an attempt came to is told to a machine that waits for it; nothing: its time is over.
    pub(crate) fn heard(
        &mut self,
        now: Tick,
        request: &Request<Bytes>,
        carried: &[Carried],
        what: Option<&Result<Response<Bytes>, Failure>>,
    ) {
        let unsent = matches!(what, Some(Err(failure)) if failure.sent() == Sent::No);
        let refused = matches!(what, Some(Ok(answer)) if answer.status().is_client_error());
        for it in carried {
            let told = it.told.filter(|_| matches!(what, Some(Ok(_))));
            let throttled = matches!(told, Some((429, _)));
            // A batch that is refused for being one is taken apart.
            if self.patient && (throttled || refused && it.part.id.is_some()) {
                let attempts = self.attempts.entry(call_of(request, &it.part)).or_default();
                *attempts = attempts.saturating_sub(1);
            }
            if matches!(told, Some((401 | 429, _))) {
                self.free.insert(call_of(request, &it.part));
            }
            match told {
                Some((429, wait)) => {
                    if let Some(lane) = lane_of(&it.part) {
                        let gate = self.gates.entry(lane).or_default();
                        *gate = (*gate).max(now + wait);
                    }
                    self.own_waits.insert(call_of(request, &it.part), now + wait);
                }
                Some((status, wait)) => {
                    if wait > Duration::ZERO {
                        self.own_waits.insert(call_of(request, &it.part), now + wait);
                    }
                    if status >= 500 {
                        self.in_doubt.insert(name_of(&it.part));
                    }
                }
                None if unsent => {}
                None => drop(self.in_doubt.insert(name_of(&it.part))),
            }
        }
    }

    pub(crate) fn token(&mut self) -> Result<Token, TokenError> {
        if self.wire.tape.once_in(8) {
            return Err(TokenError::source("no"));
        }
        let life = self.wire.tape.once_in(3).then(|| self.wire.tape.time());
        self.tokens += 1;
        let token = Token::new(AccessToken::new(format!("t{}", self.tokens)).expect("a token"));
        Ok(match life {
            Some(life) => token.expires_in(life),
            None => token,
        })
    }

    /// Drives machines that begin at these times, each to its end unless it is given up.
    pub(crate) fn drive<M: Machine>(
        &mut self,
        machines: Vec<(Tick, M)>,
        mut ends: impl FnMut(&mut Self, usize, Tick, Result<M::Output, Error>),
    ) {
        let mut agenda: Agenda<Event> = Agenda::default();
        let mut machines: Vec<_> =
            machines.into_iter().map(|(start, it)| (start, it, Stage::Running)).collect();
        machines.iter().for_each(|(start, ..)| agenda.add(*start, Event::Start));
        let mut out: HashMap<Ticket, (usize, Request<Bytes>, Vec<Carried>)> = HashMap::new();
        let mut lease: Option<(usize, Lease, Tick)> = None;
        let mut now = self.now;
        for _ in 0..200_000 {
            while let Some(event) = agenda.due(now) {
                match event {
                    Event::Start => {}
                    Event::Answered(index, ticket, what) => {
                        if let Some((_, request, carried)) = out.remove(&ticket) {
                            self.heard(now, &request, &carried, Some(&what));
                        }
                        let machine = &mut machines[index].1;
                        match what {
                            Ok(answer) => {
                                machine.on_response(ticket, now, answer, &mut self.shared)
                            }
                            Err(failure) => {
                                machine.on_failure(ticket, now, failure, &mut self.shared)
                            }
                        }
                    }
                    Event::TimeIsOver(ticket) => {
                        if let Some((_, request, carried)) = out.remove(&ticket) {
                            self.heard(now, &request, &carried, None);
                        }
                    }
                    Event::Token(index, its, token) => {
                        lease = lease.filter(|(_, current, _)| *current != its);
                        machines[index].1.on_token(its, now, token, &mut self.shared);
                    }
                }
            }
            let mut next = None;
            let mut again = false;
            for (index, (start, machine, stage)) in machines.iter_mut().enumerate() {
                if *start > now {
                    continue;
                }
                let step = machine.poll(now, &mut self.shared);
                if *stage == Stage::Over {
                    assert!(matches!(step, Step::Wait(Tick::MAX)), "it ended before");
                    continue;
                }
                match step {
                    Step::Wait(until) => {
                        assert!(until > now, "a wait that is over");
                        next = [next, Some(until)].into_iter().flatten().min();
                        // Whoever drives it goes away.
                        if self.wire.tape.once_in(64) {
                            machine.abandon(&mut self.shared);
                            *stage = Stage::Over;
                            out.retain(|_, (of, ..)| *of != index);
                            lease = lease.filter(|(holder, ..)| *holder != index);
                            again = true;
                        }
                    }
                    Step::Token(need) => {
                        assert!(lease.is_none_or(|(.., until)| until <= now), "two fetch a token");
                        lease = Some((index, need.lease, now + need.timeout));
                        let after = self.wire.tape.time();
                        let token = self.token();
                        agenda.add(now + after, Event::Token(index, need.lease, token));
                        again = true;
                    }
                    Step::Send(attempt) => {
                        assert!(attempt.deadline <= *start + self.longest, "it takes too long");
                        assert_eq!(attempt.deadline, now + attempt.timeout);
                        let Trip { after, what, carried } = self.sent(now, &attempt.request);
                        if let Some(what) = what {
                            agenda.add(now + after, Event::Answered(index, attempt.ticket, what));
                        }
                        agenda.add_last(attempt.deadline, Event::TimeIsOver(attempt.ticket));
                        out.insert(attempt.ticket, (index, attempt.request, carried));
                        again = true;
                    }
                    Step::Done(result) => {
                        assert!(now <= *start + self.longest, "it takes too long");
                        *stage = Stage::Over;
                        self.successes += u32::from(result.is_ok());
                        let told = result.as_ref().map(|_| ());
                        self.trace.push(format!("{now:?} {index} {told:?}"));
                        // Whoever ends while it fetches hands that on.
                        lease = lease.filter(|(holder, ..)| *holder != index);
                        ends(self, index, now, result);
                        again = true;
                    }
                }
            }
            if machines.iter().all(|(.., stage)| *stage == Stage::Over) {
                self.now = now;
                assert_eq!(self.wire.emulator.reports(), [], "what was sent is as it should be");
                return;
            }
            if !again {
                let next = [next, agenda.next()].into_iter().flatten().min();
                now = next.filter(|next| *next < Tick::MAX).expect("somebody will do something");
            }
        }
        panic!("it goes on for ever");
    }
}

/// What a call is called, whichever of its attempts it is.
pub(crate) fn name_of(part: &Part) -> String {
    format!("{} {}", part.method, part.path.join("/"))
}

/// The same, told from equal calls where it has an id of its own.
fn call_of(request: &Request<Bytes>, part: &Part) -> String {
    match &part.id {
        Some(_) => name_of(part),
        None => {
            let id = request.headers()["client-request-id"].to_str().expect("an id");
            format!("{} {id}", name_of(part))
        }
    }
}

/// Which calls are throttled together.
fn lane_of(part: &Part) -> Option<String> {
    let path: Vec<&str> = part.path.iter().map(String::as_str).collect();
    match path[..] {
        ["external", "connections", _, "groups", ..] => Some("groups".to_owned()),
        ["external", "connections", id, ..] => Some(id.to_owned()),
        ["me", ..] => Some("me".to_owned()),
        _ => None,
    }
}
