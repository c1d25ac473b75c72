//! How one token is fetched: with repeats where the platform is busy, and with patience where a
//! user has to sign in.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    AssertionNeed, Credential, DeviceCode,
    answer::{self, DeviceCodeAnswer, TokenAnswer},
    credential::Kind,
    request,
};
use crate::{
    machine::{Attempt, Tick, Ticket, Token, random::Random},
    protocol::{Failure, TokenError, TokenErrorCode, retry_after},
    types::{AccessToken, Secret},
};

/// Fetches one token.
///
/// The contract is that of the other machines: poll, do what the step says, report, poll again.
#[derive(Debug)]
pub struct Fetch {
    credential: Credential,
    claims: Option<String>,
    random: Random,
    deadline: Tick,
    repeats: u32,
    tickets: u64,
    assertion: Option<Secret>,
    device: Option<Device>,
    state: State,
}

#[derive(Debug)]
struct Device {
    code: Secret,
    interval: Duration,
    expires_at: Tick,
    /// Until the user has been shown it.
    prompt: Option<DeviceCode>,
}

#[derive(Debug)]
enum State {
    Ready(Tick),
    Sent { until: Tick },
    Finished(Option<Result<Fetched, TokenError>>),
}

/// What a fetch wants done.
#[derive(Debug)]
#[must_use]
#[allow(clippy::large_enum_variant, reason = "it is moved once, and rarely")]
pub enum FetchStep {
    /// Send a request and report its answer with `on_response` or `on_failure`.
    Send(Attempt),
    /// Sign an assertion and report it with `on_assertion`.
    Sign(AssertionNeed),
    /// Show this to the user, and poll again at once.
    Show(DeviceCode),
    /// Nothing until that time, which is later than now.
    Wait(Tick),
    /// It is over, and this comes once.
    Done(Result<Fetched, TokenError>),
}

/// A token, and what to ask for the next one with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fetched {
    /// The token.
    pub token: Token,
    /// A refresh token that replaces the one used, if the platform gave one.
    pub refresh_token: Option<Secret>,
}

/// The longest that one request for a token takes.
const ATTEMPT: Duration = Duration::from_secs(30);
/// What RFC 8628 and the identity libraries take where the platform names nothing.
const INTERVAL: Duration = Duration::from_secs(5);
const DEVICE_CODE_LIFE: Duration = Duration::from_secs(900);

impl Fetch {
    /// Starts to fetch, with the claims that the service insists on, if it does. It takes
    /// `timeout` at most; a user who has to sign in is given as long as their code lives.
    pub fn new(
        credential: Credential,
        claims: Option<String>,
        timeout: Duration,
        seed: u64,
        now: Tick,
    ) -> Self {
        Self {
            credential,
            claims,
            random: Random::new(seed),
            deadline: now + timeout,
            repeats: 0,
            tickets: 0,
            assertion: None,
            device: None,
            state: State::Ready(now),
        }
    }

    /// What to do next.
    pub fn poll(&mut self, now: Tick) -> FetchStep {
        match &mut self.state {
            State::Finished(result) => match result.take() {
                Some(result) => FetchStep::Done(result),
                None => FetchStep::Wait(Tick::MAX),
            },
            State::Sent { until } if *until > now => FetchStep::Wait(*until),
            State::Sent { .. } => {
                let ticket = Ticket(self.tickets);
                self.on_failure(ticket, now, Failure::maybe_sent("no answer in time"));
                self.poll(now)
            }
            State::Ready(not_before) => {
                let not_before = *not_before;
                self.advance(now, not_before)
            }
        }
    }

    fn advance(&mut self, now: Tick, not_before: Tick) -> FetchStep {
        if let Some(prompt) = self.device.as_mut().and_then(|device| device.prompt.take()) {
            return FetchStep::Show(prompt);
        }
        let deadline = self.device.as_ref().map_or(self.deadline, |device| device.expires_at);
        if now >= deadline {
            self.state = State::Finished(None);
            return FetchStep::Done(Err(TokenError::TimedOut));
        }
        if not_before > now {
            return FetchStep::Wait(not_before.min(deadline));
        }
        if let Kind::Assertion(application) = &self.credential.0
            && self.assertion.is_none()
        {
            return FetchStep::Sign(AssertionNeed {
                audience: application.authority.token_url(),
                client_id: application.client_id.clone(),
            });
        }
        let request = match (&self.credential.0, &self.device) {
            (Kind::DeviceCode(application), Some(device)) => {
                request::poll_device_code(application, &device.code)
            }
            (kind, _) => request::token(kind, self.assertion.as_ref(), self.claims.as_deref()),
        };
        match request {
            Ok(request) => {
                self.tickets += 1;
                let timeout = ATTEMPT.min(deadline.since(now));
                self.state = State::Sent { until: now + timeout };
                FetchStep::Send(Attempt {
                    ticket: Ticket(self.tickets),
                    request,
                    timeout,
                    deadline: now + timeout,
                    new_connection: false,
                })
            }
            Err(error) => {
                self.state = State::Finished(None);
                FetchStep::Done(Err(error))
            }
        }
    }

    fn is_waited_for(&self, ticket: Ticket) -> bool {
        matches!(self.state, State::Sent { .. }) && ticket == Ticket(self.tickets)
    }

    fn finish(&mut self, result: Result<Fetched, TokenError>) {
        self.state = State::Finished(Some(result));
    }

    /// The assertion that [`FetchStep::Sign`] asked for, or why there is none.
    pub fn on_assertion(&mut self, assertion: Result<Secret, TokenError>) {
        match assertion {
            Ok(assertion) => self.assertion = Some(assertion),
            Err(error) => self.finish(Err(error)),
        }
    }

    /// No answer came. Asking for a token changes nothing that matters, so it is asked again.
    pub fn on_failure(&mut self, ticket: Ticket, now: Tick, failure: Failure) {
        if !self.is_waited_for(ticket) {
            return;
        }
        if failure.is_permanent() {
            return self.finish(Err(TokenError::Transport(Arc::new(failure))));
        }
        self.again(now, None, TokenError::Transport(Arc::new(failure)));
    }

    /// An answer came.
    pub fn on_response(&mut self, ticket: Ticket, now: Tick, response: &http::Response<Bytes>) {
        if !self.is_waited_for(ticket) {
            return;
        }
        let asks_for_code =
            matches!(self.credential.0, Kind::DeviceCode(_)) && self.device.is_none();
        if asks_for_code {
            match answer::read(response) {
                Ok(answer) => self.on_device_code(now, answer),
                Err(error) => self.refused(now, error, response),
            }
            return;
        }
        match answer::read::<TokenAnswer>(response) {
            Ok(answer) => {
                let life = answer.life(response);
                let fetched = AccessToken::new(answer.access_token.reveal())
                    .map(|token| {
                        let mut token = Token::new(token).kind(self.credential.kind());
                        token.expires_in = life;
                        Fetched { token, refresh_token: answer.refresh_token }
                    })
                    .map_err(|_| TokenError::Unreadable {
                        status: response.status().as_u16(),
                        why: "its token has characters that no token has".into(),
                    });
                self.finish(fetched);
            }
            Err(error) => self.refused(now, error, response),
        }
    }

    fn on_device_code(&mut self, now: Tick, answer: DeviceCodeAnswer) {
        let expires_in = answer.expires_in.map_or(DEVICE_CODE_LIFE, Duration::from_secs);
        let interval =
            answer.interval.map_or(INTERVAL, Duration::from_secs).max(Duration::from_secs(1));
        self.device = Some(Device {
            code: answer.device_code,
            interval,
            expires_at: now + expires_in,
            prompt: Some(DeviceCode {
                user_code: answer.user_code,
                verification_uri: answer.verification_uri,
                message: answer.message,
                expires_in,
            }),
        });
        self.state = State::Ready(now + interval);
    }

    fn refused(&mut self, now: Tick, error: TokenError, response: &http::Response<Bytes>) {
        if let Some(device) = &mut self.device {
            match error.code() {
                Some(TokenErrorCode::SlowDown) => {
                    device.interval += INTERVAL;
                    self.state = State::Ready(now + device.interval);
                    return;
                }
                Some(TokenErrorCode::AuthorizationPending) => {
                    self.state = State::Ready(now + device.interval);
                    return;
                }
                _ => {}
            }
        }
        let busy = error.code() == Some(&TokenErrorCode::TemporarilyUnavailable)
            || matches!(response.status().as_u16(), 408 | 429 | 500 | 502..=504)
            // The metadata service says so while it starts.
            || (matches!(self.credential.0, Kind::Imds { .. })
                && matches!(response.status().as_u16(), 404 | 410));
        match busy {
            true => self.again(now, retry_after(response.headers()), error),
            false => self.finish(Err(error)),
        }
    }

    fn again(&mut self, now: Tick, told: Option<Duration>, error: TokenError) {
        self.repeats += 1;
        let doubled = Duration::from_millis(500) * 2_u32.saturating_pow(self.repeats.min(7) - 1);
        let spread = doubled.mul_f64(1.0 - self.random.fraction() / 2.0);
        // A code is asked with no more often than its interval allows, whatever the reason.
        let interval = self.device.as_ref().map_or(Duration::ZERO, |device| device.interval);
        let wait = told.filter(|told| !told.is_zero()).unwrap_or(spread).max(interval);
        let deadline = self.device.as_ref().map_or(self.deadline, |device| device.expires_at);
        if now + wait >= deadline {
            return self.finish(Err(error));
        }
        self.state = State::Ready(now + wait);
    }
}
