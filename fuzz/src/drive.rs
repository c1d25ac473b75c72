//! Machines side by side in virtual time, over whatever the bytes say happens, and the rules that
//! hold for each of them whatever it is.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Debug,
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::{
    machine::{Attempt, Budget, Lease, Machine, Policy, Shared, Step, Tick, Ticket, Token},
    protocol::{Cloud, Error, Failure, Sent, ServiceRoot, TokenError, Version},
    types::{AccessToken, TokenKind},
};
use graphfeed_emulator::Emulator;
use graphfeed_simulation::{Agenda, Part};
use http::{Request, Response};

use crate::wire::{Carried, Tape, Trip, Wire};

/// What all machines have in common, and what the world knows of them.
pub(crate) struct World<'a> {
    pub(crate) wire: Wire<'a>,
    /// Where all calls go.
    pub(crate) root: ServiceRoot,
    pub(crate) policy: Policy,
    pub(crate) shared: Shared,
    /// The longest a machine may take.
    pub(crate) longest: Duration,
    /// How often each call was carried out in truth, by method and path.
    pub(crate) carried_out: BTreeMap<String, u32>,
    /// The calls of which an attempt may have been carried out, for all that was told.
    pub(crate) in_doubt: BTreeSet<String>,
    /// The calls that were told that not all of them was done, or not in words that can be read.
    pub(crate) told_partly: BTreeSet<String>,
    /// Each call is about something of its own, so that its name is enough to know it by.
    pub(crate) each_once: bool,
    // How many attempts each call has made.
    attempts: BTreeMap<String, u32>,
    // When the first of them went out.
    first_sent: BTreeMap<String, Tick>,
    // Not again before this, by call.
    own_waits: BTreeMap<String, Tick>,
    // By lane.
    gates: BTreeMap<String, Gate>,
    /// An attempt that was throttled counts for nothing.
    pub(crate) patient: bool,
    /// How many attempts of each call went out, whatever they count for.
    pub(crate) sends: BTreeMap<String, u32>,
    /// Whom the tokens speak for, in the order in which they were given out.
    pub(crate) tokens: Vec<TokenKind>,
    budget: Budget,
    // How many attempts had to be paid for: those that follow another that came to nothing, unless
    // that was throttled, refused with others or its token refused.
    repeats: u32,
    // How many calls went well, and batches as such.
    successes: u32,
    // The calls and batches of which the next attempt costs nothing.
    free: BTreeSet<String>,
    // The batches that have gone out, by their own ids.
    batches: BTreeSet<String>,
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

/// What a lane that was throttled says to the next request.
enum Gate {
    /// Nothing goes before then.
    Closed(Tick),
    /// One has gone first, and the others wait for what comes of it, until then at most.
    First(Ticket, Tick),
}

/// What no text may have that is shown: it is in each token.
const HUSH: &str = "hush-hush";

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
        let mut shared = Shared::new(budget.clone());
        shared.observe(true);
        Self {
            wire: Wire::new(tape, emulator),
            root: ServiceRoot::v1(),
            longest: policy.total,
            policy,
            shared,
            budget,
            repeats: 0,
            successes: 0,
            free: BTreeSet::new(),
            batches: BTreeSet::new(),
            carried_out: BTreeMap::new(),
            in_doubt: BTreeSet::new(),
            told_partly: BTreeSet::new(),
            each_once: false,
            attempts: BTreeMap::new(),
            first_sent: BTreeMap::new(),
            own_waits: BTreeMap::new(),
            gates: BTreeMap::new(),
            patient: false,
            sends: BTreeMap::new(),
            tokens: Vec::new(),
            trace: Vec::new(),
            now: Tick::default(),
        }
    }

    /// Calls go to some version of some cloud, which takes bodies of some length.
    pub(crate) fn elsewhere(&mut self) {
        let tape = &mut self.wire.tape;
        let cloud = tape.one_of(&[Cloud::Global, Cloud::Global, Cloud::Global, Cloud::UsGovL4]);
        let version = tape.one_of(&[Version::V1, Version::V1, Version::Beta]);
        let root = ServiceRoot::new(cloud, version);
        let body = tape.one_of(&[4_000_000, 4_000_000, 2_000, 300]);
        self.root = root.clone().with_limits(root.limits().with_body(body));
    }

    /// An attempt goes out: it is one that may.
    pub(crate) fn sent(&mut self, now: Tick, attempt: &Attempt) -> Trip {
        let Attempt { ticket, request, deadline, .. } = attempt;
        keeps_secrets(attempt);
        let token = request.headers()["authorization"].to_str().expect("a token");
        let number = token.strip_prefix("Bearer ").and_then(|it| it.strip_prefix(HUSH));
        let number: Option<usize> = number.and_then(|number| number.parse().ok());
        let kind = number.and_then(|number| self.tokens.get(number)).copied();
        let kind = kind.unwrap_or_else(|| panic!("a token of nobody: {token}"));
        let parts = Part::all(request);
        self.passes_gates(now, *ticket, *deadline, &parts);
        let whole = request.headers()["client-request-id"].to_str().expect("an id");
        let is_batch = parts[0].id.is_some();
        // What goes again as a whole is one repeat, however much is in it.
        let goes_again = is_batch && !self.batches.insert(whole.to_owned());
        self.repeats += u32::from(goes_again && !self.free.remove(whole));
        for part in parts {
            let call = self.call_of(request, &part);
            let name = name_of(&part);
            takes(&part, kind);
            let own_wait = self.own_waits.get(&call).copied().unwrap_or_default();
            assert!(now >= own_wait, "{call} goes earlier than told");
            let is_append = name.ends_with("/addActivities");
            let appended = is_append && self.in_doubt.contains(&name);
            assert!(!appended, "{call} is appended again without knowing");
            let attempts = self.attempts.entry(call.clone()).or_default();
            *attempts += 1;
            let is_free = self.free.remove(&call);
            self.repeats += u32::from(*attempts > 1 && !is_free && !goes_again);
            *self.sends.entry(name).or_default() += 1;
            assert!(*attempts <= self.policy.attempts, "{call} has too many attempts");
            let first_sent = *self.first_sent.entry(call.clone()).or_insert(now);
            // The time of one of many stands still while it is held up.
            let in_time = self.patient || *deadline <= first_sent + self.policy.total;
            assert!(in_time, "{call} takes too long");
        }
        let earned = self.budget.capacity + self.successes * self.budget.refund;
        let spent = self.repeats * self.budget.cost;
        assert!(spent <= earned, "{} repeats on a budget of {earned}", self.repeats);
        self.trace.push(format!("{now:?} {request:?}"));
        let trip = self.wire.send(now, &self.root, request);
        for it in trip.carried.iter().filter(|it| it.done) {
            *self.carried_out.entry(name_of(&it.part)).or_default() += 1;
        }
        trip
    }

    /// Nothing goes before a gate opens, then one goes, and the others when it is back.
    fn passes_gates(&mut self, now: Tick, ticket: Ticket, back_by: Tick, parts: &[Part]) {
        let lanes: Vec<String> = parts.iter().filter_map(lane_of).collect();
        for lane in &lanes {
            match self.gates.get_mut(lane) {
                Some(Gate::Closed(until)) => assert!(now >= *until, "{lane} is closed"),
                Some(Gate::First(first, until)) => {
                    assert!(*first == ticket || now >= *until, "another goes first to {lane}");
                }
                None => continue,
            }
            self.gates.insert(lane.clone(), Gate::First(ticket, back_by));
            // A batch of a bulk run is a way to send single calls.
            let together = lanes.iter().filter(|it| *it == lane).count();
            assert!(!self.patient || together == 1, "{together} go first to {lane}");
        }
    }

    /// Nobody waits for this attempt any more.
    fn is_back(&mut self, ticket: Ticket) {
        self.gates.retain(|_, gate| !matches!(gate, Gate::First(first, _) if *first == ticket));
    }

    /// What an attempt came to is told to a machine that waits for it; nothing: its time is over.
    pub(crate) fn heard(
        &mut self,
        now: Tick,
        ticket: Ticket,
        request: &Request<Bytes>,
        carried: &[Carried],
        what: Option<&Result<Response<Bytes>, Failure>>,
    ) {
        self.is_back(ticket);
        let unsent = matches!(what, Some(Err(failure)) if failure.sent() == Sent::No);
        // What a batch was answered as such.
        let of_batch = match what {
            Some(Ok(answer)) if carried.iter().any(|it| it.part.id.is_some()) => {
                answer.status().as_u16()
            }
            _ => 0,
        };
        let refused = is_about_a_batch(of_batch);
        self.successes += u32::from(matches!(of_batch, 200..=299));
        if matches!(of_batch, 401 | 429) {
            let whole = request.headers()["client-request-id"].to_str().expect("an id");
            self.free.insert(whole.to_owned());
        }
        for it in carried {
            let call = self.call_of(request, &it.part);
            let name = name_of(&it.part);
            let told = it.told.filter(|_| matches!(what, Some(Ok(_))));
            let throttled = matches!(told, Some((429, _)));
            // A batch that is refused for being one is taken apart.
            if self.patient && (throttled || refused) {
                let attempts = self.attempts.entry(call.clone()).or_default();
                *attempts = attempts.saturating_sub(1);
            }
            if refused || matches!(told, Some((401 | 429, _))) {
                self.free.insert(call.clone());
            }
            let Some((status, wait)) = told else {
                if !unsent {
                    self.in_doubt.insert(name);
                }
                continue;
            };
            match status {
                429 => {
                    if let Some(lane) = lane_of(&it.part) {
                        let closed = self.gates.get(&lane).and_then(|gate| match gate {
                            Gate::Closed(until) => Some(*until),
                            Gate::First(..) => None,
                        });
                        let until = closed.unwrap_or_default().max(now + wait);
                        self.gates.insert(lane, Gate::Closed(until));
                    }
                    self.own_waits.insert(call, now + wait);
                }
                _ if wait > Duration::ZERO => drop(self.own_waits.insert(call, now + wait)),
                _ => {}
            }
            if is_doubtful(status) || of_batch == 424 {
                self.in_doubt.insert(name.clone());
            }
            // What is not there is deleted, and what is there was created.
            let is_read = matches!((status, &*it.part.method), (404, "DELETE") | (409, "POST"));
            self.successes += u32::from(is_read || matches!(status, 200..=299));
            if status == 207 {
                self.told_partly.insert(name);
            }
        }
    }

    pub(crate) fn token(&mut self) -> Result<Token, TokenError> {
        if self.wire.tape.once_in(8) {
            return Err(TokenError::source("no"));
        }
        let life = self.wire.tape.once_in(3).then(|| self.wire.tape.time());
        let kind = match self.wire.tape.up_to(7) {
            6 => TokenKind::Application,
            7 => TokenKind::Delegated,
            _ => TokenKind::Unknown,
        };
        let token = format!("{HUSH}{}", self.tokens.len());
        self.tokens.push(kind);
        let token = Token::new(AccessToken::new(token).expect("a token")).kind(kind);
        keeps_secrets(&token);
        Ok(match life {
            Some(life) => token.expires_in(life),
            None => token,
        })
    }

    /// What a call is called, whichever of its attempts it is.
    fn call_of(&self, request: &Request<Bytes>, part: &Part) -> String {
        match self.each_once || part.id.is_some() {
            true => name_of(part),
            false => {
                let id = request.headers()["client-request-id"].to_str().expect("an id");
                format!("{} {id}", name_of(part))
            }
        }
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
                            self.heard(now, ticket, &request, &carried, Some(&what));
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
                            self.heard(now, ticket, &request, &carried, None);
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
                            out.retain(|ticket, (of, ..)| {
                                if *of == index {
                                    self.is_back(*ticket);
                                }
                                *of != index
                            });
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
                        let Trip { after, what, carried } = self.sent(now, &attempt);
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
                        let told = result.as_ref().map(|_| ());
                        keeps_secrets(&told);
                        keeps_secrets(&self.shared);
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
                keeps_secrets(&self.shared.take_events());
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

/// No secret is in what can be shown.
pub(crate) fn keeps_secrets(shown: &impl Debug) {
    for text in [format!("{shown:?}"), format!("{shown:#?}")] {
        assert!(!text.contains(HUSH), "a secret is shown: {text}");
    }
}

/// What a part of a path and a method is called, whatever it goes with.
pub(crate) fn name_of(part: &Part) -> String {
    format!("{} {}", part.method, part.path.join("/"))
}

/// Whether the service takes this kind of token for it.
fn takes(part: &Part, kind: TokenKind) {
    let other = match part.path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["me", ..] => TokenKind::Application,
        [.., "addActivities"] => TokenKind::Delegated,
        _ => return,
    };
    assert_ne!(kind, other, "{} goes with a token that it cannot go with", name_of(part));
}

/// Whether a status leaves open what was done.
fn is_doubtful(status: u16) -> bool {
    matches!(status, 207 | 303 | 408 | 499) || status >= 500 && status != 501
}

/// Whether a status says of a batch that it is none that the service takes.
pub(crate) fn is_about_a_batch(status: u16) -> bool {
    matches!(status, 300..=499) && !is_doubtful(status) && !matches!(status, 401 | 424 | 429)
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
