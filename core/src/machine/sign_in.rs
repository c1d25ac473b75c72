//! Having a token before it is needed.

use std::time::Duration;

use bytes::Bytes;

use super::{Lease, Machine, Shared, Step, Tick, Ticket, Token, shared::TokenStep};
use crate::protocol::{Error, Failure, TokenError};

/// Sees to it that there is a token, and makes no call.
///
/// A call's own total time is for the service, and short; a person who signs in needs longer. So
/// whoever shows a device code signs in first.
#[derive(Debug)]
pub struct SignIn {
    deadline: Tick,
    longest: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    Ready,
    Fetching(Lease),
    Finished(Option<Result<(), Error>>),
}

impl SignIn {
    /// Waits this long at most.
    pub fn new(longest: Duration, now: Tick) -> Self {
        Self { deadline: now + longest, longest, state: State::Ready }
    }

    fn end(&mut self, result: Result<(), TokenError>) -> Step<()> {
        self.state = State::Finished(None);
        Step::Done(result.map_err(Error::sign_in))
    }
}

impl Machine for SignIn {
    type Output = ();

    fn poll(&mut self, now: Tick, shared: &mut Shared) -> Step<()> {
        match &mut self.state {
            State::Finished(result) => match result.take() {
                Some(result) => Step::Done(result),
                None => Step::Wait(Tick::MAX),
            },
            _ if now >= self.deadline => {
                self.abandon(shared);
                self.end(Err(TokenError::TimedOut))
            }
            State::Fetching(_) => Step::Wait(self.deadline),
            State::Ready => match shared.token(now, self.longest) {
                TokenStep::Use { .. } => self.end(Ok(())),
                TokenStep::Fetch(need) => {
                    self.state = State::Fetching(need.lease);
                    Step::Token(need)
                }
                TokenStep::Wait(until) => Step::Wait(until.min(self.deadline)),
            },
        }
    }

    fn on_response(&mut self, _: Ticket, _: Tick, _: http::Response<Bytes>, _: &mut Shared) {}

    fn on_failure(&mut self, _: Ticket, _: Tick, _: Failure, _: &mut Shared) {}

    fn on_token(
        &mut self,
        lease: Lease,
        now: Tick,
        token: Result<Token, TokenError>,
        shared: &mut Shared,
    ) {
        let error = token.as_ref().err().cloned();
        shared.token_fetched(lease, now, token);
        if matches!(self.state, State::Fetching(own) if own == lease) {
            self.state = match error {
                Some(error) => State::Finished(Some(Err(Error::sign_in(error)))),
                None => State::Ready,
            };
        }
    }

    fn abandon(&mut self, shared: &mut Shared) {
        if let State::Fetching(lease) = self.state {
            shared.token_abandoned(lease);
        }
        self.state = State::Finished(None);
    }
}
