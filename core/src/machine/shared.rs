//! What all calls of a client share: the gates of throttled lanes, the budget for repeats, and
//! the token.
//!
//! No lock here: the driver has one around it, and wakes its waiters after each change.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::HeaderValue;

use super::{Budget, Event, Lease, Tick, Ticket, Token, TokenNeed};
use crate::{
    protocol::{Lane, TokenError},
    types::{TokenClaims, TokenKind},
};

/// What all calls of a client share.
#[derive(Debug, Default)]
pub struct Shared {
    budget: Budget,
    // Spent rather than left, so that a default budget starts full.
    spent: u32,
    gates: BTreeMap<Lane, BTreeMap<Box<str>, Gate>>,
    token: TokenState,
    last_id: u64,
    events: Option<Vec<Event>>,
}

/// The gate of a lane that is or was throttled; an open lane has none.
#[derive(Clone, Copy, Debug)]
enum Gate {
    /// Nothing goes before `until`.
    Closed { until: Tick },
    /// One call has gone first; the others wait for its answer, at most until `until`.
    First { pass: Pass, until: Tick },
}

/// The right to go first through a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass(u64);

/// What a gate says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Go; the one that goes first carries a pass.
    Go(Option<Pass>),
    /// The service has asked to wait until then.
    Throttled(Tick),
    /// Another call goes first; its answer is news.
    OtherFirst(Tick),
}

#[derive(Debug, Default)]
struct TokenState {
    held: Option<Held>,
    lease: Option<(Lease, Tick)>,
    // Counted, so that callers who wait can tell a failure of their own fetch from an old one.
    failures: u64,
    last_error: Option<Arc<TokenError>>,
    // After a failed early refresh the old token is used up to here before the next try.
    retry_at: Tick,
    // Tells one token from the next, so that a refusal of the old one does not cost the new one.
    generation: u64,
    claims: Option<String>,
}

#[derive(Debug)]
struct Held {
    header: HeaderValue,
    claims: Option<TokenClaims>,
    kind: TokenKind,
    refresh_at: Tick,
    expires_at: Tick,
}

/// What a call can do for a token.
#[derive(Debug)]
pub(super) enum TokenStep {
    /// Use this one.
    Use { header: HeaderValue, generation: u64, kind: TokenKind },
    /// Fetch one, for all.
    Fetch(TokenNeed),
    /// Another call is at it, until then at most.
    Wait(Tick),
}

impl Shared {
    /// With a budget of one's own.
    pub fn new(budget: Budget) -> Self {
        Self { budget, ..Self::default() }
    }

    /// Starts or stops the keeping of events for [`take_events`](Self::take_events).
    pub fn observe(&mut self, on: bool) {
        self.events = on.then(Vec::new);
    }

    /// The events since the last time, oldest first; none if nobody [observes](Self::observe).
    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn is_observed(&self) -> bool {
        self.events.is_some()
    }

    pub(super) fn tell(&mut self, event: impl FnOnce() -> Event) {
        if let Some(events) = &mut self.events {
            events.push(event());
        }
    }

    fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// A name for an attempt that no other attempt of these calls has.
    pub(super) fn ticket(&mut self) -> Ticket {
        Ticket(self.id())
    }

    /// Takes the cost of one repeat, if there is enough left.
    pub(super) fn spend(&mut self) -> bool {
        let spent = self.spent.saturating_add(self.budget.cost);
        let enough = spent <= self.budget.capacity;
        if enough {
            self.spent = spent;
        }
        enough
    }

    pub(super) fn refund(&mut self) {
        self.spent = self.spent.saturating_sub(self.budget.refund);
    }

    /// Asks the gates of a call's lanes, all of which have to be open. Whoever goes first has to be
    /// back by `back_by`, or the next one goes.
    pub(super) fn enter<'a>(
        &mut self,
        lanes: impl Iterator<Item = (Lane, &'a str)> + Clone,
        now: Tick,
        back_by: Tick,
    ) -> Entry {
        let (mut throttled, mut other_first, mut gated) = (None, None, false);
        for (lane, key) in lanes.clone() {
            let Some(gate) = self.gate(lane, key) else {
                continue;
            };
            gated = true;
            match *gate {
                Gate::Closed { until } if until > now => throttled = throttled.max(Some(until)),
                Gate::First { until, .. } if until > now => {
                    other_first = other_first.max(Some(until));
                }
                Gate::Closed { .. } | Gate::First { .. } => {}
            }
        }
        match (throttled, other_first) {
            (Some(until), _) => return Entry::Throttled(until),
            (None, Some(until)) => return Entry::OtherFirst(until),
            (None, None) if !gated => return Entry::Go(None),
            (None, None) => {}
        }
        let pass = Pass(self.id());
        for (lane, key) in lanes {
            if let Some(gate) = self.gate(lane, key) {
                *gate = Gate::First { pass, until: back_by };
            }
        }
        Entry::Go(Some(pass))
    }

    /// When the gate of a lane opens, as far as is known now; long ago if it is open.
    pub(super) fn opens(&self, lane: Lane, key: &str) -> Tick {
        match self.gates.get(&lane).and_then(|gates| gates.get(key)) {
            Some(Gate::Closed { until } | Gate::First { until, .. }) => *until,
            None => Tick::default(),
        }
    }

    fn gate(&mut self, lane: Lane, key: &str) -> Option<&mut Gate> {
        self.gates.get_mut(&lane)?.get_mut(key)
    }

    /// The service throttles this lane until then; an earlier end of the wait does not shorten a
    /// later one.
    pub(super) fn throttle(&mut self, lane: Lane, key: &str, until: Tick) {
        if lane == Lane::None {
            return;
        }
        let until = match self.gate(lane, key) {
            Some(Gate::Closed { until: known }) => until.max(*known),
            _ => until,
        };
        self.gates.entry(lane).or_default().insert(key.into(), Gate::Closed { until });
    }

    /// Whoever went first is back, or will not come: the way is free.
    pub(super) fn release<'a>(&mut self, lanes: impl Iterator<Item = (Lane, &'a str)>, pass: Pass) {
        for (lane, key) in lanes {
            if let Some(gates) = self.gates.get_mut(&lane)
                && let Some(Gate::First { pass: first, .. }) = gates.get(key)
                && *first == pass
            {
                gates.remove(key);
            }
        }
    }

    /// A token to use, or what has to happen for one.
    pub(super) fn token(&mut self, now: Tick, timeout: Duration) -> TokenStep {
        let leased = self.token.lease.is_some_and(|(_, until)| until > now);
        let generation = self.token.generation;
        let held = self.token.held.as_ref().filter(|held| held.expires_at > now);
        if let Some(held) = held {
            let early = held.refresh_at <= now && self.token.retry_at <= now;
            if !early || leased {
                return TokenStep::Use { header: held.header.clone(), generation, kind: held.kind };
            }
        } else if let Some((_, until)) = self.token.lease.filter(|_| leased) {
            return TokenStep::Wait(until);
        }
        let lease = Lease(self.id());
        self.token.lease = Some((lease, now + timeout.max(Duration::from_millis(1))));
        TokenStep::Fetch(TokenNeed { lease, claims: self.token.claims.clone(), timeout })
    }

    /// The fetch that a lease was given for has ended. One whose lease has passed on may still
    /// bring a token, but its failure is nobody's.
    pub(super) fn token_fetched(
        &mut self,
        lease: Lease,
        now: Tick,
        fetched: Result<Token, TokenError>,
    ) {
        let is_current = self.token.lease.is_some_and(|(current, _)| current == lease);
        if is_current {
            self.token.lease = None;
        }
        match fetched {
            Ok(token) => {
                let (refresh_at, expires_at) = match token.expires_in {
                    // Five minutes early, as the identity libraries do, or half-way for a short life.
                    Some(life) => {
                        // A token that is dead on arrival is shown to the service once, which
                        // says why; fetching it again and again would never end.
                        let life = life.max(Duration::from_secs(1));
                        let early = (life / 2).min(Duration::from_secs(300));
                        (now + (life - early), now + life)
                    }
                    None => (Tick::MAX, Tick::MAX),
                };
                self.token.generation += 1;
                self.token.claims = None;
                self.token.retry_at = now;
                self.token.held = Some(Held {
                    header: token.access_token.header(),
                    claims: TokenClaims::read(&token.access_token),
                    kind: token.kind,
                    refresh_at,
                    expires_at,
                });
            }
            Err(error) if is_current => {
                self.token.failures += 1;
                self.token.last_error = Some(Arc::new(error));
                self.token.retry_at = now + Duration::from_secs(30);
            }
            Err(_) => {}
        }
    }

    /// The lease is given back without a token.
    pub(super) fn token_abandoned(&mut self, lease: Lease) {
        if self.token.lease.is_some_and(|(current, _)| current == lease) {
            self.token.lease = None;
        }
    }

    /// The service refused a token; if it is still the current one, the next call fetches anew,
    /// with the claims that the service insists on.
    pub(super) fn token_refused(&mut self, generation: u64, claims: Option<String>) {
        if self.token.generation == generation {
            self.token.held = None;
            if claims.is_some() {
                self.token.claims = claims;
            }
        }
    }

    /// As [`token_refused`](Self::token_refused), of the token that is held now.
    pub(super) fn refuse_token(&mut self, claims: Option<String>) {
        self.token_refused(self.token.generation, claims);
    }

    /// How often fetching has failed, and how the last time.
    pub(super) fn token_failures(&self) -> (u64, Option<Arc<TokenError>>) {
        (self.token.failures, self.token.last_error.clone())
    }

    /// Whether there is a token that still lives.
    pub(super) fn has_token(&self, now: Tick) -> bool {
        self.token.held.as_ref().is_some_and(|held| held.expires_at > now)
    }

    /// Whom the token that still lives speaks for.
    pub(super) fn token_kind(&self, now: Tick) -> Option<TokenKind> {
        self.token.held.as_ref().filter(|held| held.expires_at > now).map(|held| held.kind)
    }

    /// What the current token says of itself.
    pub(super) fn token_claims(&self) -> Option<&TokenClaims> {
        self.token.held.as_ref()?.claims.as_ref()
    }
}
