//! Calls of any kinds in as few requests as they fit in, each with an outcome of its own.
//!
//! Lives here: the [`Batches`] task. A whole batch is one [`Exchange`], which sees to its token,
//! the gates of all its lanes and its own repeats; here it is decided which calls go together, and
//! what becomes of each when the batch is back. A part is judged as a call by itself would be.

use std::{collections::VecDeque, fmt};

use bytes::Bytes;
use http::StatusCode;

use super::{
    Event, EventKind, Exchange, Lease, Machine, Policy, Shared, Start, Step, Task, Tick, Ticket,
    Token,
    exchange::{Stage, check_token_kind, claims_challenge, explained},
    random::Random,
    retry::{self, Verdict},
};
use crate::{
    protocol::{
        Batch, BatchAnswer, Call, Cause, Endpoint, Error, Failure, GiveUp, NotTaken, Reply,
        ServiceRoot, TokenError,
    },
    types::{BuildError, Guid, RawJson},
};

/// Makes calls of any kinds as parts of `$batch` requests
/// ([JSON batching](https://learn.microsoft.com/graph/json-batching)), each answered as its own
/// type.
///
/// There may be as many as one likes: they are split by the [limits](crate::protocol::Limits) of a
/// batch, one of which goes after the other. They are carried out in any order; what has to wait
/// for another call's outcome is for another run, as `dependsOn` is not offered.
///
/// A part that is throttled, or failed so that it may be [repeated](crate::protocol::Repeat), goes
/// again without those that have an outcome, after the longest wait that the service asked for any
/// of its batch that go again. The [`Policy`] counts attempts for each part and the time for all of
/// them together; the budget pays for every part that goes again, and once for a whole batch that
/// does. No part fails because another one did. A batch that is too long for the service (413) is
/// halved.
///
/// ```
/// use graphfeed_core::client::{Client, SendOptions, VirtualClock};
/// use graphfeed_core::external::{DeleteItem, GetItem};
/// use graphfeed_core::machine::Batches;
/// use graphfeed_core::protocol::{Deleted, ServiceRoot};
/// use graphfeed_core::types::{AccessToken, ConnectionId, ItemId};
/// # let transport = |_: http::Request<bytes::Bytes>, _: &SendOptions| {
/// #     Ok(http::Response::new(r#"{"responses":[{"id":"2","status":204},
/// #         {"id":"1","status":200,"body":{"id":"T1"}}]}"#.into()))
/// # };
///
/// let client = Client::builder(ServiceRoot::v1(), AccessToken::new("token")?)
///     .build(transport, VirtualClock::default());
/// let (connection, id) = (ConnectionId::new("contosohr")?, ItemId::new("T1")?);
/// let old = ItemId::new("T0")?;
///
/// let mut batches = Batches::new(client.root());
/// let item = batches.add(&GetItem::new(&connection, &id))?;
/// let deleted = batches.add(&DeleteItem::new(&connection, &old))?;
/// let answers = client.run(&batches)?;
/// assert_eq!(answers.of(&item)?.id.as_deref(), Some("T1"));
/// assert_eq!(answers.of(&deleted)?, Deleted::Now);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batches {
    root: ServiceRoot,
    calls: Vec<Call<()>>,
}

/// One call among others, by which its outcome is asked for in the [`Answers`].
#[must_use = "without it the outcome cannot be asked for"]
pub struct Part<T> {
    index: usize,
    call: Call<T>,
}

/// What became of each call.
#[derive(Debug)]
#[must_use = "any of the calls may have failed"]
pub struct Answers {
    ended: Vec<Ended>,
    strays: Vec<RawJson>,
}

#[derive(Debug)]
struct Ended {
    call: Call<()>,
    attempts: u32,
    maybe_applied: bool,
    outcome: Result<Reply<()>, Error>,
}

impl Batches {
    /// No calls yet; all of them go to this root.
    pub fn new(root: &ServiceRoot) -> Self {
        Self { root: root.clone(), calls: Vec::new() }
    }

    /// Adds a call.
    ///
    /// # Errors
    /// As [`Endpoint::request`].
    pub fn add<E: Endpoint>(&mut self, endpoint: &E) -> Result<Part<E::Output>, BuildError> {
        Ok(self.add_call(endpoint.call(&self.root)?))
    }

    /// Adds a call that was built before. One that goes into no batch, for it is too long or for
    /// another root, is refused as its outcome.
    pub fn add_call<T>(&mut self, call: Call<T>) -> Part<T> {
        self.calls.push(call.untyped());
        Part { index: self.calls.len() - 1, call }
    }

    /// How many calls there are.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there is none; then nothing is sent.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

impl<T> fmt::Debug for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("index", &self.index).field("call", &self.call).finish()
    }
}

impl Answers {
    /// What a call answered with.
    ///
    /// # Errors
    /// How it failed, and whether it may have been carried out nevertheless, as if it had been
    /// sent by itself. A part that the answer to its batch does not have, or that belongs to other
    /// [`Batches`], is taken for one whose answer was lost.
    pub fn of<T>(&self, part: &Part<T>) -> Result<T, Error> {
        self.reply(part).map(|reply| reply.value)
    }

    /// As [`of`](Self::of), with status, headers and raw body of the part's answer.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn reply<T>(&self, part: &Part<T>) -> Result<Reply<T>, Error> {
        let own = self.ended.get(part.index).filter(|ended| ended.call.is_same(&part.call));
        let Some(ended) = own else {
            let why = Failure::maybe_sent("these are the answers to other calls");
            return Err(Error::transport(part.call.route(), why));
        };
        let reply = ended.outcome.as_ref().map_err(Error::clone)?;
        let read = part.call.response(reply.to_response());
        read.map_err(|error| error.after(ended.attempts, ended.maybe_applied))
    }

    /// What the service answered that belongs to no call: under an id that was not sent, under one
    /// twice, or in no readable shape. Empty, unless the service is at fault.
    pub fn strays(&self) -> &[RawJson] {
        &self.strays
    }
}

impl Task for Batches {
    type Output = Answers;

    fn start(&self, start: &Start) -> Result<impl Machine<Output = Answers> + Send, Error> {
        Ok(Run {
            root: start.root.clone(),
            policy: start.policy.clone(),
            random: Random::new(start.seed),
            deadline: start.now + start.policy.total,
            queue: (0..self.calls.len()).collect(),
            parts: self.calls.iter().cloned().map(Progress::new).collect(),
            current: None,
            strays: Vec::new(),
            over: false,
        })
    }
}

/// All calls on their way.
struct Run {
    root: ServiceRoot,
    policy: Policy,
    random: Random,
    deadline: Tick,
    parts: Vec<Progress>,
    // Those that wait for their next batch, by their place among the parts.
    queue: VecDeque<usize>,
    current: Option<Current>,
    strays: Vec<RawJson>,
    over: bool,
}

/// The batch that is out, and which parts are in it.
struct Current {
    exchange: Exchange<BatchAnswer>,
    batch: Batch<()>,
    members: Vec<usize>,
}

/// One call from its first batch to its outcome: what an exchange knows of a call by itself.
struct Progress {
    call: Call<()>,
    attempts: u32,
    repeats: u32,
    maybe_applied: bool,
    token_refused: bool,
    not_before: Tick,
    // The most parts of a batch that it goes with.
    most: usize,
    last_error: Option<Error>,
    outcome: Option<Result<Reply<()>, Error>>,
}

impl Progress {
    fn new(call: Call<()>) -> Self {
        Self {
            call,
            attempts: 0,
            repeats: 0,
            maybe_applied: false,
            token_refused: false,
            not_before: Tick::default(),
            most: usize::MAX,
            last_error: None,
            outcome: None,
        }
    }

    fn finish(&mut self, outcome: Result<Reply<()>, Error>) {
        let (attempts, maybe_applied) = (self.attempts, self.maybe_applied);
        self.outcome = Some(outcome.map_err(|error| error.after(attempts, maybe_applied)));
    }

    fn give_up(&mut self, why: GiveUp) {
        let error = match self.last_error.take() {
            Some(error) => error.gave_up(why),
            None => Error::never_sent(self.call.route(), why),
        };
        self.finish(Err(error));
    }

    /// When it may go, as far as is known now.
    fn may_go(&self, shared: &Shared) -> Tick {
        let (lane, key) = self.call.lane();
        self.not_before.max(shared.opens(lane, key))
    }
}

impl Run {
    /// Makes the next batch of the calls that may go soonest; `false` when there is none left.
    fn fill(&mut self, now: Tick, shared: &Shared) -> bool {
        while self.current.is_none() && !self.queue.is_empty() {
            if now >= self.deadline {
                for index in self.queue.drain(..) {
                    self.parts[index].give_up(GiveUp::TotalTime);
                }
                break;
            }
            let (batch, members) = self.take(now, shared);
            if members.is_empty() {
                continue;
            }
            let parts = members.iter().map(|index| &self.parts[*index]);
            let not_before = parts.clone().map(|part| part.not_before).fold(now, Tick::max);
            let attempts = parts.map(|part| part.attempts).max().unwrap_or_default();
            let mut policy = self.policy.clone();
            policy.attempts = policy.attempts.saturating_sub(attempts).max(1);
            policy.total = self.deadline.since(not_before);
            match batch.call() {
                Ok(call) => {
                    let exchange = Exchange::new(call, &policy, self.random.next(), not_before);
                    self.current = Some(Current { exchange, batch, members });
                }
                Err(why) => {
                    for index in members {
                        let part = &mut self.parts[index];
                        part.finish(Err(Error::build(part.call.route(), why.clone())));
                    }
                }
            }
        }
        self.current.is_some()
    }

    /// Takes out of the queue what fits into one batch.
    fn take(&mut self, now: Tick, shared: &Shared) -> (Batch<()>, Vec<usize>) {
        let mut soonest = Tick::MAX;
        for index in &self.queue {
            soonest = soonest.min(self.parts[*index].may_go(shared)).max(now);
            if soonest == now {
                break;
            }
        }
        let (mut batch, mut members) = (Batch::new(&self.root), Vec::new());
        let mut most = usize::MAX;
        let mut passed_over = Vec::new();
        while members.len() < most
            && let Some(index) = self.queue.pop_front()
        {
            let part = &mut self.parts[index];
            if part.may_go(shared) > soonest || members.len() >= part.most {
                passed_over.push(index);
                continue;
            }
            match batch.push(part.call.clone()) {
                Ok(()) => {
                    members.push(index);
                    most = most.min(part.most);
                }
                Err(NotTaken::Full(_)) => {
                    passed_over.push(index);
                    break;
                }
                Err(NotTaken::Refused(call, why)) => {
                    part.finish(Err(Error::build(call.route(), why)));
                }
            }
        }
        for index in passed_over.into_iter().rev() {
            self.queue.push_front(index);
        }
        (batch, members)
    }

    /// A call that takes another kind of token than there is never goes, and those of its batch go
    /// without it. Which kind there is shows when the token is there, after the batch was made.
    fn sort_out(&mut self, now: Tick, shared: &Shared) {
        let (Some(current), Some(kind)) = (&mut self.current, shared.token_kind(now)) else {
            return;
        };
        let refusal = |call: &Call<()>| check_token_kind(call.route(), kind).err();
        let is_waiting = matches!(current.exchange.stage(), Stage::Ready(_));
        if !is_waiting || current.batch.parts().iter().all(|call| refusal(call).is_none()) {
            return;
        }
        let (mut batch, mut members) = (Batch::new(&self.root), Vec::new());
        for index in std::mem::take(&mut current.members) {
            let part = &mut self.parts[index];
            let Some(why) = refusal(&part.call) else {
                batch.push(part.call.clone()).expect("it has been in a batch with more");
                members.push(index);
                continue;
            };
            part.attempts += current.exchange.attempts();
            part.maybe_applied |= current.exchange.maybe_applied() && part.call.route().writes();
            part.finish(Err(Error::build(part.call.route(), why)));
        }
        match batch.call() {
            Ok(call) => {
                current.exchange.goes_on_as(call);
                (current.batch, current.members) = (batch, members);
            }
            // There is nothing in it any more.
            Err(_) => self.current = None,
        }
    }

    /// The batch that was out is back, or will not come: each part has its outcome or goes again.
    fn settle(&mut self, whole: Result<Reply<BatchAnswer>, Error>, now: Tick, shared: &mut Shared) {
        let Some(Current { exchange, batch, members }) = self.current.take() else {
            return;
        };
        let whole_failed = whole.is_err();
        let outcomes = batch.outcomes(whole);
        self.strays.extend(outcomes.strays);
        let (mut again, mut not_before) = (Vec::new(), now);
        for (index, outcome) in members.iter().zip(outcomes.parts) {
            let part = &mut self.parts[*index];
            part.attempts += exchange.attempts();
            part.maybe_applied |= exchange.maybe_applied() && part.call.route().writes();
            let error = match outcome {
                Ok(reply) => {
                    shared.refund();
                    part.finish(Ok(reply));
                    continue;
                }
                Err(error) => error,
            };
            part.maybe_applied |= retry::may_have_applied(&error);
            let verdict = match retry::judge(&error, part.call.repeat()) {
                // The exchange has tried with another one.
                Verdict::NewToken if whole_failed => Verdict::Stop,
                verdict => verdict,
            };
            let error = explained(error, part.call.route(), shared);
            let own = match verdict {
                Verdict::Stop if whole_failed && members.len() > 1 && is_too_long(&error) => {
                    part.most = members.len().div_ceil(2);
                    now
                }
                Verdict::NewToken if !part.token_refused => {
                    part.token_refused = true;
                    shared.refuse_token(claims_challenge(&error));
                    now
                }
                Verdict::Stop | Verdict::NewToken => {
                    match *error.cause() {
                        Cause::NeverSent(why) => part.give_up(why),
                        _ => part.finish(Err(error)),
                    }
                    continue;
                }
                Verdict::Throttled | Verdict::Repeat { .. } => {
                    now + retry::told(&error).unwrap_or_else(|| {
                        part.repeats += 1;
                        retry::backoff(part.repeats, &self.policy, &mut self.random)
                    })
                }
            };
            if verdict == Verdict::Throttled {
                let (lane, key) = part.call.lane();
                shared.throttle(lane, key, own);
                let kind = EventKind::Throttled { lane, until: own };
                tell(&part.call, exchange.client_request_id(), now, kind, shared);
            }
            part.last_error = Some(error);
            let reason = if part.attempts >= self.policy.attempts {
                GiveUp::Attempts
            } else if own >= self.deadline {
                GiveUp::TotalTime
            } else if matches!(verdict, Verdict::Repeat { .. }) && !shared.spend() {
                GiveUp::Budget
            } else {
                not_before = not_before.max(own);
                again.push(*index);
                continue;
            };
            let kind = EventKind::GaveUp { reason };
            tell(&part.call, exchange.client_request_id(), now, kind, shared);
            part.give_up(reason);
        }
        // As the documents advise: those that go again go together, after the longest wait.
        for index in again {
            self.parts[index].not_before = not_before;
            self.queue.push_back(index);
        }
    }

    fn answers(&mut self) -> Answers {
        let ended = std::mem::take(&mut self.parts).into_iter().map(|part| Ended {
            attempts: part.attempts,
            maybe_applied: part.maybe_applied,
            outcome: part
                .outcome
                .unwrap_or_else(|| Err(Error::never_sent(part.call.route(), GiveUp::TotalTime))),
            call: part.call,
        });
        Answers { ended: ended.collect(), strays: std::mem::take(&mut self.strays) }
    }
}

fn is_too_long(error: &Error) -> bool {
    error.status() == Some(StatusCode::PAYLOAD_TOO_LARGE)
}

/// A decision about one part, under the id of the batch that it went with.
fn tell(call: &Call<()>, batch: Guid, at: Tick, kind: EventKind, shared: &mut Shared) {
    let operation = call.route().name;
    shared.tell(|| Event { at, call: batch, operation, kind });
}

impl Machine for Run {
    type Output = Answers;

    fn poll(&mut self, now: Tick, shared: &mut Shared) -> Step<Answers> {
        loop {
            self.sort_out(now, shared);
            if let Some(current) = &mut self.current {
                match current.exchange.poll(now, shared) {
                    Step::Token(need) => return Step::Token(need),
                    Step::Send(attempt) => return Step::Send(attempt),
                    Step::Wait(until) => return Step::Wait(until),
                    Step::Done(whole) => self.settle(whole, now, shared),
                }
            } else if self.over {
                return Step::Wait(Tick::MAX);
            } else if !self.fill(now, shared) {
                self.over = true;
                return Step::Done(Ok(self.answers()));
            }
        }
    }

    fn on_response(
        &mut self,
        ticket: Ticket,
        now: Tick,
        response: http::Response<Bytes>,
        shared: &mut Shared,
    ) {
        if let Some(current) = &mut self.current {
            current.exchange.on_response(ticket, now, response, shared);
            // At once, lest a call of another thread pass a gate that a part has to close.
            if let Some(whole) = current.exchange.outcome() {
                self.settle(whole, now, shared);
            }
        }
    }

    fn on_failure(&mut self, ticket: Ticket, now: Tick, failure: Failure, shared: &mut Shared) {
        if let Some(current) = &mut self.current {
            current.exchange.on_failure(ticket, now, failure, shared);
        }
    }

    fn on_token(
        &mut self,
        lease: Lease,
        now: Tick,
        token: Result<Token, TokenError>,
        shared: &mut Shared,
    ) {
        if let Some(current) = &mut self.current {
            current.exchange.on_token(lease, now, token, shared);
        }
    }

    fn abandon(&mut self, shared: &mut Shared) {
        if let Some(current) = &mut self.current {
            current.exchange.abandon(shared);
        }
        self.over = true;
    }
}
