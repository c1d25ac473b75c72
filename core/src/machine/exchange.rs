//! One call, from its first attempt to its outcome.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::{
    Attempt, Event, EventKind, Lease, Machine, Policy, Shared, Step, Tick, Ticket, Token,
    WaitReason,
    random::Random,
    retry::{self, Verdict},
    shared::{Entry, Pass, TokenStep},
};
use crate::{
    protocol::{Call, Error, Explanation, Failure, GiveUp, Reply, Route, TokenError},
    types::{BuildError, Fault, Guid, Rule, TokenKind},
};

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
const RETRY_ATTEMPT: HeaderName = HeaderName::from_static("retry-attempt");

/// One call with its repeats.
///
/// It waits as long as the service asks and never beyond the [`Policy`]; it repeats only what may be repeated; it
/// heeds the gate of its lane; and it ends exactly once. All attempts carry one
/// `client-request-id`, and `retry-attempt` counts them from the second on.
#[derive(Debug)]
pub struct Exchange<T> {
    call: Call<T>,
    policy: Policy,
    random: Random,
    id: Guid,
    deadline: Tick,
    attempts: u32,
    // One call of many: what its lane does to it is not held against it.
    patient: bool,
    // How many attempts of a patient call count for nothing, for they were throttled or went
    // with others that they could not go with.
    forgiven: u32,
    // Since when a patient call is held up by others; its total time stands still.
    held: Option<Tick>,
    // Only waits of our own choice double, not those that the service named, nor those for a
    // token.
    repeats: u32,
    // Once an attempt may have been carried out, no later refusal takes that back.
    maybe_applied: bool,
    // An attempt went out after one that may have been carried out.
    repeated_in_doubt: bool,
    new_connection: bool,
    // The service has refused a token of this call before.
    token_refused: bool,
    token_failures: Option<u64>,
    last_error: Option<Error>,
    // The wait that was told last, for a client polls whenever another call has news.
    waiting: Option<(Tick, WaitReason)>,
    state: State<T>,
}

/// What a call waits for, as one that has many of them needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// For the time of its next attempt, which may have come.
    Ready(Tick),
    /// For an answer or a token, until then at most.
    Out(Tick),
    /// To tell its outcome.
    Finished,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it is moved once, and a box would be allocated")]
enum State<T> {
    /// The next attempt may go out at this time.
    Ready(Tick),
    /// A token is being fetched by this call.
    Fetching(Lease),
    /// An attempt is out.
    Sent { ticket: Ticket, sent_at: Tick, until: Tick, generation: u64, pass: Option<Pass> },
    /// There is an outcome, not yet told.
    Finished(Result<Reply<T>, Error>),
    /// It was told.
    Over,
}

impl<T> Exchange<T> {
    /// Starts a call, which does not go out before `now`. The seed decides its
    /// `client-request-id` and the spread of its waits.
    pub fn new(call: Call<T>, policy: &Policy, seed: u64, now: Tick) -> Self {
        let mut random = Random::new(seed);
        let id = Guid::from_random_bytes(random.bytes());
        Self {
            call,
            policy: policy.clone(),
            random,
            id,
            deadline: now + policy.total,
            attempts: 0,
            patient: false,
            forgiven: 0,
            held: None,
            repeats: 0,
            maybe_applied: false,
            repeated_in_doubt: false,
            new_connection: false,
            token_refused: false,
            token_failures: None,
            last_error: None,
            waiting: None,
            state: State::Ready(now),
        }
    }

    /// As one of many calls that share a lane. A throttled attempt counts for nothing then, and
    /// the total time stands still while the call is held up: by its lane, or by whoever decides
    /// that others go before it. So among a million calls none fails for waiting.
    pub(super) fn patient(mut self, now: Tick) -> Self {
        self.patient = true;
        self.hold(now);
        self
    }

    /// What it waits for.
    pub(super) fn stage(&self) -> Stage {
        match self.state {
            State::Ready(not_before) => Stage::Ready(not_before),
            State::Fetching(_) => Stage::Out(self.deadline),
            State::Sent { until, .. } => Stage::Out(until),
            State::Finished(_) | State::Over => Stage::Finished,
        }
    }

    /// The attempt that is out.
    pub(super) fn ticket(&self) -> Option<Ticket> {
        match self.state {
            State::Sent { ticket, .. } => Some(ticket),
            _ => None,
        }
    }

    /// The right to fetch a token, while it does.
    pub(super) fn lease(&self) -> Option<Lease> {
        match self.state {
            State::Fetching(lease) => Some(lease),
            _ => None,
        }
    }

    /// Whether its total time stands still.
    pub(super) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// The outcome, once there is one, as [`Step::Done`] would tell it; it comes once.
    pub(super) fn outcome(&mut self) -> Option<Result<Reply<T>, Error>> {
        match self.told() {
            Step::Done(result) => Some(result),
            _ => None,
        }
    }

    /// Others go before it from then on, until it is polled and nothing holds it up any more.
    pub(super) fn hold(&mut self, since: Tick) {
        if self.patient && self.held.is_none() {
            self.held = Some(since);
        }
    }

    /// The time for what is out is over, if it is; nothing goes out by this.
    pub(super) fn expire(&mut self, now: Tick, shared: &mut Shared) {
        match self.state {
            State::Fetching(_) if now >= self.deadline => {
                self.abandon(shared);
                self.give_up(now, GiveUp::TotalTime, shared);
            }
            State::Sent { ticket, until, .. } if now >= until => {
                let late = Failure::maybe_sent("no answer within the time of one attempt");
                self.on_failure(ticket, now, late, shared);
            }
            _ => {}
        }
    }

    /// What is left of the call, which is not out, is this.
    pub(super) fn goes_on_as(&mut self, call: Call<T>) {
        self.call = call;
    }

    /// The attempt does not go out after all, as if it had never been decided.
    pub(super) fn withdraw(&mut self, ticket: Ticket, now: Tick, shared: &mut Shared) {
        if let Some((sent_at, _, pass)) = self.end_attempt(ticket) {
            if let Some(pass) = pass {
                shared.release(self.call.lanes(), pass);
            }
            self.attempts -= 1;
            self.state = State::Ready(now);
            self.hold(sent_at);
        }
    }

    /// The attempt was refused because of what it was sent with, and counts for nothing: it may
    /// go again, by itself.
    pub(super) fn refused_with_others(
        &mut self,
        ticket: Ticket,
        now: Tick,
        answer: http::Response<Bytes>,
        shared: &mut Shared,
    ) {
        let Some((sent_at, _, pass)) = self.end_attempt(ticket) else {
            return;
        };
        if let Some(pass) = pass {
            shared.release(self.call.lanes(), pass);
        }
        self.last_error = Some(Error::batch_refused(self.call.route(), answer));
        self.forgiven += 1;
        self.state = State::Ready(now);
        self.hold(sent_at);
    }

    /// Nothing more goes out: the outcome is that of the last attempt. Not for a call that has
    /// none, nor while an answer is awaited.
    pub(super) fn stop_repeating(&mut self, now: Tick, shared: &mut Shared) {
        if let State::Fetching(_) = self.state {
            self.abandon(shared);
        }
        self.give_up(now, GiveUp::Stopped, shared);
    }

    /// The id that all attempts of this call carry.
    pub fn client_request_id(&self) -> Guid {
        self.id
    }

    /// How many attempts have gone out.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether an attempt that failed may have been carried out all the same, whatever the later
    /// ones came to: of a batch, what its parts do not know of themselves.
    pub fn maybe_applied(&self) -> bool {
        self.maybe_applied
    }

    /// Whether an attempt went out after one that may have been carried out: then that may have
    /// happened twice.
    pub(super) fn repeated_in_doubt(&self) -> bool {
        self.repeated_in_doubt
    }

    fn tell(&self, shared: &mut Shared, at: Tick, kind: EventKind) {
        let (call, operation) = (self.id, self.call.route().name);
        shared.tell(|| Event { at, call, operation, kind });
    }

    fn wait(
        &mut self,
        now: Tick,
        until: Tick,
        reason: WaitReason,
        shared: &mut Shared,
    ) -> Step<Reply<T>> {
        // Whose time stands still waits for others only.
        let until = if self.held.is_some() { until } else { until.min(self.deadline) };
        if self.waiting.replace((until, reason)) != Some((until, reason)) {
            self.tell(shared, now, EventKind::Wait { until, reason });
        }
        Step::Wait(until)
    }

    fn finish(&mut self, now: Tick, result: Result<Reply<T>, Error>, shared: &mut Shared) {
        let attempts = self.attempts;
        let result = result.map_err(|error| error.after(attempts, self.maybe_applied));
        self.tell(shared, now, EventKind::Done { attempts, success: result.is_ok() });
        self.state = State::Finished(result);
    }

    fn give_up(&mut self, now: Tick, reason: GiveUp, shared: &mut Shared) {
        self.tell(shared, now, EventKind::GaveUp { reason });
        let error = match self.last_error.take() {
            Some(error) => error.gave_up(reason),
            None => Error::never_sent(self.call.route(), reason),
        };
        self.finish(now, Err(error), shared);
    }

    /// Everything that stands between a call and its next attempt, in order.
    fn advance(&mut self, now: Tick, shared: &mut Shared) -> Step<Reply<T>> {
        let State::Ready(not_before) = self.state else {
            return Step::Wait(Tick::MAX);
        };
        if let Some(since) = &mut self.held {
            self.deadline += now.since(*since);
            *since = now;
        }
        if now >= self.deadline {
            self.give_up(now, GiveUp::TotalTime, shared);
            return self.told();
        }
        if not_before > now {
            let reason = if self.attempts == 0 { WaitReason::Interval } else { WaitReason::Repeat };
            return self.wait(now, not_before, reason, shared);
        }
        let timeout = self.policy.attempt.min(self.deadline.since(now));
        let (header, generation, kind) = match shared.token(now, timeout) {
            TokenStep::Use { header, generation, kind } => (header, generation, kind),
            TokenStep::Fetch(need) => {
                self.state = State::Fetching(need.lease);
                self.held = None;
                self.tell(shared, now, EventKind::TokenWanted);
                return Step::Token(need);
            }
            TokenStep::Wait(until) => {
                let (failures, error) = shared.token_failures();
                let seen = *self.token_failures.get_or_insert(failures);
                if failures > seen
                    && let Some(error) = error
                {
                    let error = Error::token(self.call.route(), (*error).clone());
                    self.finish(now, Err(error), shared);
                    return self.told();
                }
                return self.wait(now, until, WaitReason::Token, shared);
            }
        };
        self.token_failures = None;
        if let Err(why) = check_token_kind(self.call.route(), kind) {
            self.finish(now, Err(Error::build(self.call.route(), why)), shared);
            return self.told();
        }
        let pass = match shared.enter(self.call.lanes(), now, now + timeout) {
            Entry::Go(pass) => pass,
            Entry::Throttled(until) if until >= self.deadline && !self.patient => {
                self.give_up(now, GiveUp::TotalTime, shared);
                return self.told();
            }
            Entry::Throttled(until) => {
                return self.wait(now, until, WaitReason::Throttling, shared);
            }
            Entry::OtherFirst(until) => {
                return self.wait(now, until, WaitReason::First, shared);
            }
        };
        self.attempts += 1;
        self.repeated_in_doubt |= self.maybe_applied;
        self.held = None;
        self.waiting = None;
        let ticket = shared.ticket();
        self.state = State::Sent { ticket, sent_at: now, until: now + timeout, generation, pass };
        self.tell(shared, now, EventKind::Attempt { number: self.attempts });
        Step::Send(Attempt {
            ticket,
            request: self.request(header),
            timeout,
            deadline: now + timeout,
            new_connection: self.new_connection,
        })
    }

    fn told(&mut self) -> Step<Reply<T>> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Finished(result) => Step::Done(result),
            other => {
                self.state = other;
                Step::Wait(Tick::MAX)
            }
        }
    }

    fn request(&self, authorization: HeaderValue) -> http::Request<Bytes> {
        let call = self.call.request();
        let mut request = http::Request::new(call.body().clone());
        *request.method_mut() = call.method().clone();
        *request.uri_mut() = call.uri().clone();
        let headers = request.headers_mut();
        headers.reserve(call.headers().len() + 3);
        headers.extend(call.headers().iter().map(|(name, value)| (name.clone(), value.clone())));
        headers.insert(header::AUTHORIZATION, authorization);
        headers.insert(CLIENT_REQUEST_ID, self.id.header());
        if self.attempts > 1 {
            headers.insert(RETRY_ATTEMPT, HeaderValue::from(self.attempts - 1));
        }
        request
    }

    /// Whether the answer to this ticket is still waited for; if so, the attempt is over.
    fn end_attempt(&mut self, ticket: Ticket) -> Option<(Tick, u64, Option<Pass>)> {
        match self.state {
            State::Sent { ticket: own, sent_at, generation, pass, .. } if ticket == own => {
                Some((sent_at, generation, pass))
            }
            _ => None,
        }
    }

    /// An attempt ended without success: wait and repeat, or leave it at that.
    fn failed(
        &mut self,
        now: Tick,
        sent_at: Tick,
        error: Error,
        generation: u64,
        shared: &mut Shared,
    ) {
        self.maybe_applied |= retry::may_have_applied(&error);
        let verdict = retry::judge(&error, self.call.repeat());
        let error = match verdict {
            Verdict::Stop => return self.stop(now, error, shared),
            Verdict::NewToken if self.token_refused => return self.stop(now, error, shared),
            Verdict::NewToken => {
                self.token_refused = true;
                shared.token_refused(generation, claims_challenge(&error));
                self.last_error = Some(explained(error, self.call.route(), shared));
                self.state = State::Ready(now);
                if self.attempts_left() == 0 {
                    self.give_up(now, GiveUp::Attempts, shared);
                }
                return;
            }
            Verdict::Throttled | Verdict::Repeat { .. } => error,
        };
        let wait = match retry::told(&error) {
            Some(told) => told,
            None => {
                self.repeats += 1;
                retry::backoff(self.repeats, &self.policy, &mut self.random)
            }
        };
        let not_before = now + wait;
        if verdict == Verdict::Throttled {
            for (lane, key) in self.call.lanes() {
                shared.throttle(lane, key, not_before);
                self.tell(shared, now, EventKind::Throttled { lane, until: not_before });
            }
            if self.patient {
                // As if it had not been made.
                self.forgiven += 1;
                self.hold(sent_at);
            }
        }
        if let Verdict::Repeat { new_connection } = verdict {
            self.new_connection = new_connection;
        }
        self.last_error = Some(error);
        self.state = State::Ready(not_before);
        if self.held.is_some() {
            return;
        }
        if self.attempts_left() == 0 {
            self.give_up(now, GiveUp::Attempts, shared);
        } else if not_before >= self.deadline {
            self.give_up(now, GiveUp::TotalTime, shared);
        } else if verdict != Verdict::Throttled && !shared.spend() {
            self.give_up(now, GiveUp::Budget, shared);
        }
    }

    fn attempts_left(&self) -> u32 {
        self.policy.attempts.saturating_sub(self.attempts - self.forgiven)
    }

    fn stop(&mut self, now: Tick, error: Error, shared: &mut Shared) {
        let error = explained(error, self.call.route(), shared);
        self.finish(now, Err(error), shared);
    }
}

impl<T> Machine for Exchange<T> {
    type Output = Reply<T>;

    fn poll(&mut self, now: Tick, shared: &mut Shared) -> Step<Reply<T>> {
        match self.state {
            State::Ready(_) => self.advance(now, shared),
            State::Fetching(_) if self.deadline > now => Step::Wait(self.deadline),
            State::Sent { until, .. } if until > now => Step::Wait(until),
            State::Fetching(_) | State::Sent { .. } => {
                self.expire(now, shared);
                self.poll(now, shared)
            }
            State::Finished(_) => self.told(),
            State::Over => Step::Wait(Tick::MAX),
        }
    }

    fn on_response(
        &mut self,
        ticket: Ticket,
        now: Tick,
        response: http::Response<Bytes>,
        shared: &mut Shared,
    ) {
        let Some((sent_at, generation, pass)) = self.end_attempt(ticket) else {
            return;
        };
        if shared.is_observed() {
            let request_id = response.headers().get("request-id");
            let request_id = request_id.and_then(|id| id.to_str().ok()).map(str::to_owned);
            let (number, status) = (self.attempts, response.status());
            let after = now.since(sent_at);
            self.tell(shared, now, EventKind::Answer { number, status, request_id, after });
        }
        // Whoever went first has been answered: by another 429, which closes the gate again
        // below, or the way is free.
        if let Some(pass) = pass {
            shared.release(self.call.lanes(), pass);
        }
        match self.call.response(response) {
            Ok(reply) => {
                shared.refund();
                self.finish(now, Ok(reply), shared);
            }
            Err(error) => self.failed(now, sent_at, error, generation, shared),
        }
    }

    fn on_failure(&mut self, ticket: Ticket, now: Tick, failure: Failure, shared: &mut Shared) {
        let Some((sent_at, generation, pass)) = self.end_attempt(ticket) else {
            return;
        };
        let (number, sent) = (self.attempts, failure.sent());
        self.tell(shared, now, EventKind::NoAnswer { number, sent });
        if let Some(pass) = pass {
            shared.release(self.call.lanes(), pass);
        }
        let error = Error::transport(self.call.route(), failure);
        self.failed(now, sent_at, error, generation, shared);
    }

    fn on_token(
        &mut self,
        lease: Lease,
        now: Tick,
        token: Result<Token, TokenError>,
        shared: &mut Shared,
    ) {
        let error = token.as_ref().err().cloned();
        shared.token_fetched(lease, now, token);
        self.tell(
            shared,
            now,
            if error.is_none() { EventKind::TokenFetched } else { EventKind::TokenFailed },
        );
        if !matches!(self.state, State::Fetching(own) if own == lease) {
            return;
        }
        self.state = State::Ready(now);
        // An early refresh that failed leaves the old token, and the call goes on with it.
        if let Some(error) = error
            && !shared.has_token(now)
        {
            self.finish(now, Err(Error::token(self.call.route(), error)), shared);
        }
    }

    fn abandon(&mut self, shared: &mut Shared) {
        match self.state {
            State::Fetching(lease) => shared.token_abandoned(lease),
            State::Sent { pass: Some(pass), .. } => {
                shared.release(self.call.lanes(), pass);
            }
            _ => {}
        }
        if !matches!(self.state, State::Finished(_)) {
            self.state = State::Over;
        }
    }
}

/// Refuses a call that another kind of token is needed for.
pub(super) fn check_token_kind(route: &Route, kind: TokenKind) -> Result<(), BuildError> {
    let Some(permissions) = &route.permissions else {
        return Ok(());
    };
    let delegated =
        permissions.delegated_work.is_supported() || permissions.delegated_personal.is_supported();
    let detail = match kind {
        TokenKind::Delegated if permissions.application.is_supported() && !delegated => {
            format!("{} takes an application's token, and this is a user's", route.name)
        }
        TokenKind::Application if delegated && !permissions.application.is_supported() => {
            format!("{} takes a user's token, and this is an application's", route.name)
        }
        _ => return Ok(()),
    };
    Err(Fault::new(Rule::TokenKind, "access token", detail).into())
}

/// A refusal for want of permission says what would have been needed.
pub(super) fn explained(error: Error, route: &'static Route, shared: &Shared) -> Error {
    match error.status() {
        Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            error.explained(Explanation::new(route, shared.token_claims().cloned()))
        }
        _ => error,
    }
}

/// The claims that a 401 insists on (continuous access evaluation), as JSON: base64 in the
/// challenge of the `WWW-Authenticate` header.
pub(super) fn claims_challenge(error: &Error) -> Option<String> {
    let headers = error.service_error()?.headers();
    headers.get_all(header::WWW_AUTHENTICATE).iter().find_map(|challenge| {
        let (_, rest) = challenge.to_str().ok()?.split_once("claims=\"")?;
        let (claims, _) = rest.split_once('"')?;
        decode_claims(claims)
    })
}

fn decode_claims(claims: &str) -> Option<String> {
    let claims = claims.trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(claims).or_else(|_| URL_SAFE_NO_PAD.decode(claims)).ok()?;
    let json = String::from_utf8(bytes).ok()?;
    serde_json::from_str::<serde::de::IgnoredAny>(&json).ok().map(|_| json)
}
