//! Many calls, each accounted for.
//!
//! Lives here: the machine that takes offers, keeps the calls of one key in order, and tells what
//! became of each. What goes out next is in `sending`, what becomes of it in `answers`. How one call
//! fares is the business of its [`Exchange`], how fast a lane goes that of its
//! [`Pace`](pace::Pace).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use http::StatusCode;

mod answers;
mod lane;
mod outcome;
mod pace;
mod packing;
mod sending;
mod tally;

pub use outcome::{
    AfterFailure, End, Ending, FailureShare, IngestSettings, IngestStep, Outcome, Packing,
    Progress, SkipReason, Summary,
};

use lane::LaneState;
use packing::Packed;
use tally::Tally;

use super::{
    Event, Exchange, Lease, Machine, Policy, Shared, Start, Tick, Ticket, Token, random::Random,
};
use crate::{
    protocol::{Batch, Call, Error, Failure, Lane, ServiceRoot, TokenError, retry_after},
    types::{BuildError, Fault, Rule},
};

/// Many calls, each under a key, and exactly one outcome for each.
///
/// Calls with equal keys go one after another in the order offered: the next one goes when the
/// outcome of the one before it is known, whatever that is unless [`AfterFailure`] says
/// otherwise. Different keys go in any order. What one call goes through is what an [`Exchange`]
/// does, but for two things: an attempt that the service throttles counts for nothing, and the
/// policy's total time stands still while a call waits for its lane, so that among a million calls
/// none fails for waiting. A service that throttles for ever is waited for until
/// [`stop`](Self::stop). A success of which not all was done is told apart, as [`End::Partly`].
///
/// Each lane has a window and a pace that learn what the service stands. Offers are bounded, so
/// memory does not grow with their number, and a poll does not cost more the more there are.
///
/// A driver polls, does what the [`IngestStep`] says, reports answers when they come, and offers
/// while there is room.
///
/// ```
/// use std::time::Duration;
/// use graphfeed_core::external::DeleteItem;
/// use graphfeed_core::machine::{
///     End, Ingest, IngestSettings, IngestStep, Policy, Shared, Start, Tick, Token,
/// };
/// use graphfeed_core::protocol::{Endpoint, ServiceRoot};
/// use graphfeed_core::types::{AccessToken, ConnectionId, ItemId};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (root, connection) = (ServiceRoot::v1(), ConnectionId::new("contosohr")?);
/// let mut now = Tick::default();
/// let mut shared = Shared::default();
/// let start = Start::new(root.clone(), Policy::default(), 7, now);
/// let mut ingest = Ingest::new(IngestSettings::default(), &start);
/// for key in ["a", "b", "a"] {
///     let call = DeleteItem::new(&connection, &ItemId::new(key)?).call(&root)?;
///     assert!(ingest.offer(key, call, now).is_ok(), "there is room for a hundred");
/// }
/// ingest.close();
/// let mut told = Vec::new();
/// let summary = loop {
///     match ingest.poll(now, &mut shared) {
///         IngestStep::Token(need) => {
///             let token = Token::new(AccessToken::new("secret")?);
///             ingest.on_token(need.lease, now, Ok(token), &mut shared);
///         }
///         // One at a time here; a driver sends many and reports each when it is answered.
///         IngestStep::Send(attempt) => {
///             now += Duration::from_millis(20);
///             let mut answer = http::Response::new(Default::default());
///             *answer.status_mut() = http::StatusCode::NO_CONTENT;
///             ingest.on_response(attempt.ticket, now, answer, &mut shared);
///         }
///         IngestStep::Done(key, outcome) => {
///             assert!(matches!(outcome.end, End::Ok(_)));
///             told.push(key);
///         }
///         IngestStep::Idle { until, .. } => now = until.expect("nobody offers any more"),
///         IngestStep::Finished(summary) => break summary,
///     }
/// };
/// assert_eq!(told, ["a", "b", "a"]);
/// assert_eq!((summary.progress.seen, summary.progress.ok), (3, 3));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Ingest<K, T> {
    settings: IngestSettings,
    policy: Policy,
    root: ServiceRoot,
    random: Random,
    // Offers whose outcomes are not told, each in a place that is used again.
    items: Vec<Option<Item<K, T>>>,
    free: Vec<usize>,
    // The last offer of each key.
    keys: BTreeMap<K, usize>,
    // Keys that have failed, with how many offers had been taken by the last one of them; oldest
    // first. Only where what follows is skipped.
    failed: VecDeque<(u64, K)>,
    lanes: Vec<LaneState>,
    lane_names: BTreeMap<Lane, BTreeMap<Box<str>, usize>>,
    // The lane that is asked first, so that none starves.
    turn: usize,
    // By ticket, which only go up.
    out: VecDeque<Out>,
    batches: Vec<Packed>,
    // Decided and not yet told.
    steps: VecDeque<IngestStep<K, T>>,
    leases: Vec<(Lease, usize)>,
    timers: BTreeSet<(Tick, usize)>,
    // Ended and not yet told.
    over: VecDeque<usize>,
    closed: bool,
    expected: Option<u64>,
    ending: Option<Ending>,
    finished: bool,
    tally: Tally,
}

#[derive(Debug)]
struct Item<K, T> {
    key: K,
    call: Option<Call<T>>,
    work: Work<T>,
    lane: usize,
    next_of_key: Option<usize>,
    // No batch takes it.
    alone: bool,
    timer: Option<Tick>,
    offered: Tick,
    first_sent: Option<Tick>,
    attempts: u32,
    maybe_applied: bool,
    repeated_in_doubt: bool,
    done: Tick,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there are as many as offers are taken, no more")]
enum Work<T> {
    /// Nothing has happened yet; what is refused already comes to this when it is its turn.
    Offered(Option<End<T>>),
    Under(Exchange<T>),
    Over(End<T>),
}

/// An attempt that is out.
#[derive(Clone, Copy, Debug)]
struct Out {
    ticket: Ticket,
    item: usize,
    sent_at: Tick,
}

impl<K: Ord + Clone, T> Ingest<K, T> {
    /// Starts a run, with the root, the policy of each call, the seed and the time from `start`.
    pub fn new(settings: IngestSettings, start: &Start) -> Self {
        Self {
            settings,
            policy: start.policy.clone(),
            root: start.root.clone(),
            random: Random::new(start.seed),
            items: Vec::new(),
            free: Vec::new(),
            keys: BTreeMap::new(),
            failed: VecDeque::new(),
            lanes: Vec::new(),
            lane_names: BTreeMap::new(),
            turn: 0,
            out: VecDeque::new(),
            batches: Vec::new(),
            steps: VecDeque::new(),
            leases: Vec::new(),
            timers: BTreeSet::new(),
            over: VecDeque::new(),
            closed: false,
            expected: None,
            ending: None,
            finished: false,
            tally: Tally::new(start.now),
        }
    }

    /// How many offers there is room for.
    pub fn room(&self) -> usize {
        match self.closed || self.ending.is_some() {
            true => 0,
            false => self.settings.queue.max(1).saturating_sub(self.items.len() - self.free.len()),
        }
    }

    /// Takes a call under a key.
    ///
    /// A call for another root than the run's is taken and fails by [`Rule::OtherRoot`], unsent.
    ///
    /// # Errors
    /// When there is no [`room`](Self::room), or no more after [`close`](Self::close), `stop` or
    /// too many failures, key and call come back.
    pub fn offer(&mut self, key: K, call: Call<T>, now: Tick) -> Result<(), (K, Call<T>)> {
        if self.room() == 0 {
            return Err((key, call));
        }
        let refused = (!call.is_for(&self.root)).then(|| {
            let root = &self.root;
            let detail = format!("the call goes elsewhere than to {root}; build it anew");
            let why = BuildError::from(Fault::new(Rule::OtherRoot, "service root", detail));
            End::Failed(Error::build(call.route(), why))
        });
        self.take(key, Some(call), refused, now);
        Ok(())
    }

    /// Takes what its source could not make a call of, so that it is told and counted like any
    /// other offer, after those of its key that came before it.
    ///
    /// # Errors
    /// As [`offer`](Self::offer).
    pub fn skip(&mut self, key: K, why: BuildError, now: Tick) -> Result<(), (K, BuildError)> {
        if self.room() == 0 {
            return Err((key, why));
        }
        self.take(key, None, Some(End::Skipped(SkipReason::Source(why))), now);
        Ok(())
    }

    fn take(&mut self, key: K, call: Option<Call<T>>, refused: Option<End<T>>, now: Tick) {
        self.tally.offered();
        let refused = match refused {
            None if self.has_failed(&key) => Some(End::Skipped(SkipReason::EarlierFailed)),
            refused => refused,
        };
        let lane = match (&call, &refused) {
            (Some(call), None) => self.lane(call),
            _ => 0,
        };
        let before = self.keys.get(&key).copied();
        let item = Item {
            key: key.clone(),
            call,
            work: Work::Offered(refused),
            lane,
            next_of_key: None,
            alone: false,
            timer: None,
            offered: now,
            first_sent: None,
            attempts: 0,
            maybe_applied: false,
            repeated_in_doubt: false,
            done: now,
        };
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.items.push(None);
                self.items.len() - 1
            }
        };
        self.items[index] = Some(item);
        match before {
            Some(before) => {
                if let Some(last) = self.keys.get_mut(&key) {
                    *last = index;
                }
                self.item(before).next_of_key = Some(index);
            }
            None => {
                self.keys.insert(key, index);
                self.ready(index, now);
            }
        }
    }

    /// Whether what comes under this key is skipped for what became of one before.
    fn has_failed(&mut self, key: &K) -> bool {
        let (seen, queue) = (self.tally.seen(), self.settings.queue as u64);
        while self.failed.front().is_some_and(|(at, _)| at + queue < seen) {
            self.failed.pop_front();
        }
        let Some(at) = self.failed.iter().position(|(_, failed)| failed == key) else {
            return false;
        };
        self.failed.remove(at);
        self.failed.push_back((seen, key.clone()));
        true
    }

    /// So many offers will have come in all, as far as is known: what the time
    /// [left](Progress::left) is told by, and nothing else.
    pub fn expect(&mut self, offers: u64) {
        self.expected = Some(offers);
    }

    /// No more offers come; what was taken is brought to its end.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Ends the run: nothing new goes out, what is out is waited for, and the rest is told as not
    /// sent. A call that had gone out before and was to be repeated fails with its last error.
    pub fn stop(&mut self) {
        self.ending.get_or_insert(Ending::Stopped);
    }

    /// Where the run stands.
    pub fn progress(&self, now: Tick) -> Progress {
        let all = if self.closed { Some(self.tally.seen()) } else { self.expected };
        self.tally.progress(now, self.out.len(), all)
    }

    /// What to do next, or what became of an offer. After [`IngestStep::Finished`] there is nothing
    /// more.
    pub fn poll(&mut self, now: Tick, shared: &mut Shared) -> IngestStep<K, T> {
        loop {
            match self.steps.pop_front() {
                // Decided when all was well, and nobody has come for it since.
                Some(IngestStep::Send(attempt))
                    if self.ending.is_some() || now >= attempt.deadline =>
                {
                    self.withdraw(attempt.ticket, now, shared);
                    continue;
                }
                Some(step) => return step,
                None => {}
            }
            if let Some(index) = self.over.pop_front() {
                return self.tell(index, now);
            }
            if let Some(&(at, index)) = self.timers.first()
                && at <= now
            {
                self.timer_is_due(index, now, shared);
                continue;
            }
            let mut until = None;
            if self.ending.is_some() {
                self.halt(now, shared);
            } else if let Some(step) = self.send(now, shared, &mut until) {
                return step;
            }
            if !self.over.is_empty() {
                continue;
            }
            let live = self.items.len() - self.free.len();
            if live == 0 && (self.closed || self.ending.is_some()) && !self.finished {
                self.finished = true;
                return IngestStep::Finished(self.summary(now));
            }
            let timer = self.timers.first().map(|(at, _)| *at);
            let until = [until, timer].into_iter().flatten().min();
            return IngestStep::Idle { until, room: self.room() };
        }
    }

    /// An answer came. One to an attempt that is no longer waited for is ignored.
    pub fn on_response(
        &mut self,
        ticket: Ticket,
        now: Tick,
        response: http::Response<Bytes>,
        shared: &mut Shared,
    ) {
        let Some(batch) = self.batch(ticket) else {
            return self.response(ticket, now, response, shared);
        };
        // It says of no part what became of it; the wait that it names is for all of them.
        if response.status() == StatusCode::FAILED_DEPENDENCY
            && let Some(wait) = retry_after(response.headers())
        {
            self.hold_up(batch.members(), now + wait, shared);
        }
        if shared.is_observed()
            && let Some(kind) = batch.strays(&response)
        {
            let (call, operation) = (batch.id, Batch::<T>::ROUTE.name);
            shared.tell(|| Event { at: now, call, operation, kind });
        }
        self.unpack(batch.answered(response), now, shared);
    }

    /// No answer came. One for an attempt that is no longer waited for is ignored.
    pub fn on_failure(&mut self, ticket: Ticket, now: Tick, failure: Failure, shared: &mut Shared) {
        match self.batch(ticket) {
            Some(batch) => self.unpack(batch.failed(&failure), now, shared),
            None => self.failure(ticket, now, failure, shared),
        }
    }

    /// The token that [`IngestStep::Token`] asked for came, or did not.
    pub fn on_token(
        &mut self,
        lease: Lease,
        now: Tick,
        token: Result<Token, TokenError>,
        shared: &mut Shared,
    ) {
        let known = self.leases.iter().position(|(known, _)| *known == lease);
        let Some((_, index)) = known.map(|at| self.leases.swap_remove(at)) else {
            // Whoever asked has given up; the token serves all the same.
            shared.token_fetched(lease, now, token);
            return;
        };
        if let Work::Under(exchange) = &mut self.item(index).work {
            exchange.on_token(lease, now, token, shared);
        }
        self.settle(index, now);
    }

    /// Hands on what the run holds, for it will not be driven to its end. No more outcomes are
    /// told.
    pub fn abandon(&mut self, shared: &mut Shared) {
        for item in self.items.iter_mut().flatten() {
            if let Work::Under(exchange) = &mut item.work {
                exchange.abandon(shared);
            }
        }
        self.items.clear();
        self.free.clear();
        self.keys.clear();
        self.failed.clear();
        self.lanes.clear();
        self.lane_names.clear();
        self.out.clear();
        self.batches.clear();
        self.steps.clear();
        self.leases.clear();
        self.timers.clear();
        self.over.clear();
        self.closed = true;
        self.finished = true;
    }

    fn item(&mut self, index: usize) -> &mut Item<K, T> {
        self.items[index].as_mut().expect("an index is given up with its item")
    }

    fn lane(&mut self, call: &Call<T>) -> usize {
        let (lane, name) = call.lane();
        let names = self.lane_names.entry(lane).or_default();
        if let Some(index) = names.get(name) {
            return *index;
        }
        let index = self.lanes.len();
        names.insert(name.into(), index);
        self.lanes.push(LaneState::new(lane, name, self.settings.in_flight));
        index
    }

    /// It is this item's turn among those of its key.
    fn ready(&mut self, index: usize, now: Tick) {
        let item = self.item(index);
        match &mut item.work {
            Work::Offered(refused) => match refused.take() {
                Some(end) => self.end(index, end, now),
                None => {
                    let lane = item.lane;
                    self.lanes[lane].fresh.push_back(index);
                }
            },
            Work::Under(_) | Work::Over(_) => {}
        }
    }

    fn set_timer(&mut self, index: usize, at: Option<Tick>) {
        let before = std::mem::replace(&mut self.item(index).timer, at);
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.timers.remove(&(before, index));
        }
        if let Some(at) = at {
            self.timers.insert((at, index));
        }
    }

    fn end(&mut self, index: usize, end: End<T>, now: Tick) {
        self.set_timer(index, None);
        let item = self.item(index);
        if let Work::Under(exchange) = &item.work {
            item.attempts = exchange.attempts();
            item.maybe_applied = exchange.maybe_applied();
            item.repeated_in_doubt = exchange.repeated_in_doubt();
        }
        item.work = Work::Over(end);
        item.done = now;
        self.over.push_back(index);
    }

    /// It never goes out; what was known against it before counts more than the reason given.
    fn skipped(&mut self, index: usize, why: SkipReason, now: Tick) {
        let end = match &mut self.item(index).work {
            Work::Offered(refused) => refused.take(),
            Work::Under(_) | Work::Over(_) => None,
        };
        self.end(index, end.unwrap_or(End::Skipped(why)), now);
    }

    fn tell(&mut self, index: usize, now: Tick) -> IngestStep<K, T> {
        let item = self.items[index].take().expect("what is over is told once");
        self.free.push(index);
        let Item { key, call, work, next_of_key, offered, first_sent, done, .. } = item;
        let (maybe_applied, repeated_in_doubt) = (item.maybe_applied, item.repeated_in_doubt);
        let attempts = item.attempts;
        let Work::Over(end) = work else {
            unreachable!("only what is over is told");
        };
        let failed = match &end {
            End::Ok(_) => false,
            End::Partly(_) => self.settings.after_failure != AfterFailure::SkipUnlessPartly,
            End::Failed(_) | End::Skipped(SkipReason::Source(_)) => true,
            End::Skipped(_) => self.settings.after_failure != AfterFailure::Continue,
        };
        self.tally.count(&end);
        if self.ending.is_none() {
            self.ending = self.tally.too_many_failures(&self.settings);
        }
        let skips = failed && self.settings.after_failure != AfterFailure::Continue;
        match next_of_key {
            None => {
                self.keys.remove(&key);
                if skips && self.ending.is_none() && !self.failed.iter().any(|(_, it)| *it == key) {
                    self.failed.push_back((self.tally.seen(), key.clone()));
                }
            }
            Some(next) if self.ending.is_some() => self.skipped(next, SkipReason::RunEnded, now),
            Some(next) if skips => {
                self.skipped(next, SkipReason::EarlierFailed, now);
            }
            Some(next) => self.ready(next, now),
        }
        let outcome = Outcome {
            call,
            end,
            attempts,
            maybe_applied,
            repeated_in_doubt,
            offered,
            first_sent,
            done,
        };
        IngestStep::Done(key, outcome)
    }

    fn summary(&self, now: Tick) -> Summary {
        Summary {
            progress: self.progress(now),
            ending: self.ending.unwrap_or(Ending::Complete),
            began: self.tally.began(),
            ended: now,
        }
    }
}
