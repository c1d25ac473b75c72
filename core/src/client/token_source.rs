//! Where the drivers get tokens.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
};

use bytes::{Bytes, BytesMut};
use zeroize::Zeroize;

use super::{
    AsyncClock, AsyncTransport, Board, Clock, SendOptions, Transport, asynchronous::before, lock,
};
use crate::{
    machine::{
        Attempt, Tick, Ticket, Token, TokenNeed,
        identity::{AssertionNeed, Credential, DeviceCode, Fetch, FetchStep, Fetched},
    },
    protocol::{Failure, TokenError},
    types::{AccessToken, Secret},
};

/// Gives tokens, blocking the thread meanwhile.
///
/// One caller at a time asks, early enough before the old token ends; the token is kept and
/// shared by the client. A fixed [`AccessToken`] is a source, a [`TokenProvider`] asks the
/// identity platform, and a closure plugs in any other:
///
/// ```
/// use graphfeed_core::client::TokenSource;
/// use graphfeed_core::machine::{Token, TokenNeed};
/// use graphfeed_core::protocol::TokenError;
/// use graphfeed_core::types::AccessToken;
///
/// fn source() -> impl TokenSource {
///     |_: &TokenNeed| {
///         let text = "from somewhere else";
///         AccessToken::new(text).map(Token::new).map_err(|why| TokenError::source(why.to_string()))
///     }
/// }
/// ```
pub trait TokenSource: Send + Sync {
    /// Fetches a token.
    ///
    /// # Errors
    /// Why there is none. While the old one lives that is nobody's error.
    fn token(&self, need: &TokenNeed) -> Result<Token, TokenError>;
}

/// Gives tokens in a future. The contract is that of [`TokenSource`].
pub trait AsyncTokenSource: Send + Sync {
    /// Fetches a token.
    ///
    /// # Errors
    /// Why there is none. While the old one lives that is nobody's error.
    fn token(&self, need: &TokenNeed) -> impl Future<Output = Result<Token, TokenError>> + Send;
}

/// An [`AsyncTokenSource`] whose type a client need not name.
pub(super) trait DynTokenSource: Send + Sync {
    fn token<'a>(&'a self, need: &'a TokenNeed) -> Fetching<'a>;
}

type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Token, TokenError>> + Send + 'a>>;

impl<S: AsyncTokenSource> DynTokenSource for S {
    fn token<'a>(&'a self, need: &'a TokenNeed) -> Fetching<'a> {
        Box::pin(AsyncTokenSource::token(self, need))
    }
}

impl AsyncTokenSource for AccessToken {
    async fn token(&self, _: &TokenNeed) -> Result<Token, TokenError> {
        Ok(Token::new(self.clone()))
    }
}

impl<F, R> AsyncTokenSource for F
where
    F: Fn(&TokenNeed) -> R + Send + Sync,
    R: Future<Output = Result<Token, TokenError>> + Send,
{
    fn token(&self, need: &TokenNeed) -> impl Future<Output = Result<Token, TokenError>> + Send {
        self(need)
    }
}

impl TokenSource for AccessToken {
    fn token(&self, _: &TokenNeed) -> Result<Token, TokenError> {
        Ok(Token::new(self.clone()))
    }
}

impl<F> TokenSource for F
where
    F: Fn(&TokenNeed) -> Result<Token, TokenError> + Send + Sync,
{
    fn token(&self, need: &TokenNeed) -> Result<Token, TokenError> {
        self(need)
    }
}

/// A source of tokens that asks the identity platform: blocking over a [`Transport`], in a future
/// over an [`AsyncTransport`].
///
/// Redirects are not followed, so that secrets stay with the authority. A managed identity
/// is asked over plain http, which the transport has to allow.
pub struct TokenProvider<T, C> {
    transport: T,
    clock: C,
    seed: u64,
    credential: Mutex<Credential>,
    sign: Option<Box<Sign>>,
    show: Option<Box<Show>>,
    keep: Option<Box<Keep>>,
}

type Sign = dyn Fn(&AssertionNeed) -> Result<Secret, TokenError> + Send + Sync;
type Show = dyn Fn(&DeviceCode) + Send + Sync;
type Keep = dyn Fn(&Secret) + Send + Sync;

impl<T, C> TokenProvider<T, C> {
    /// Fetches with this credential. The seed spreads the waits between repeats.
    pub fn new(credential: Credential, transport: T, clock: C, seed: u64) -> Self {
        let credential = Mutex::new(credential);
        Self { transport, clock, seed, credential, sign: None, show: None, keep: None }
    }

    /// Signs assertions, for [`Credential::assertion`].
    #[must_use]
    pub fn sign_with(
        mut self,
        sign: impl Fn(&AssertionNeed) -> Result<Secret, TokenError> + Send + Sync + 'static,
    ) -> Self {
        self.sign = Some(Box::new(sign));
        self
    }

    /// Shows a user the code to sign in with, for [`Credential::device_code`].
    #[must_use]
    pub fn show_with(mut self, show: impl Fn(&DeviceCode) + Send + Sync + 'static) -> Self {
        self.show = Some(Box::new(show));
        self
    }

    /// Hears of each new refresh token, to keep it for the next run. The provider uses it from
    /// then on by itself.
    #[must_use]
    pub fn keep_with(mut self, keep: impl Fn(&Secret) + Send + Sync + 'static) -> Self {
        self.keep = Some(Box::new(keep));
        self
    }
}

impl<T, C> TokenProvider<T, C> {
    fn fetch(&self, need: &TokenNeed, now: Tick) -> Fetch {
        let credential = lock(&self.credential).clone();
        Fetch::new(credential, need.claims.clone(), need.timeout, self.seed, now)
    }

    fn signed(&self, need: &AssertionNeed) -> Result<Secret, TokenError> {
        match &self.sign {
            Some(sign) => sign(need),
            None => {
                Err(TokenError::source("nobody signs the assertion; give TokenProvider::sign_with"))
            }
        }
    }

    fn shown(&self, code: &DeviceCode) -> Result<(), TokenError> {
        match &self.show {
            Some(show) => {
                show(code);
                Ok(())
            }
            None => Err(TokenError::source(
                "nobody shows the code to sign in with; give TokenProvider::show_with",
            )),
        }
    }

    fn kept(&self, fetched: Fetched) -> Token {
        if let Some(refresh_token) = fetched.refresh_token {
            let mut credential = lock(&self.credential);
            *credential = credential.renewed(refresh_token.clone());
            drop(credential);
            if let Some(keep) = &self.keep {
                keep(&refresh_token);
            }
        }
        fetched.token
    }
}

fn options(attempt: &Attempt) -> SendOptions {
    SendOptions::default()
        .with_timeout(attempt.timeout)
        .with_new_connection(attempt.new_connection)
        // An answer with a token is a few kilobytes long.
        .with_max_body(1 << 20)
}

fn report(
    fetch: &mut Fetch,
    ticket: Ticket,
    now: Tick,
    sent: Result<http::Response<Bytes>, Failure>,
) {
    match sent {
        Ok(response) => {
            fetch.on_response(ticket, now, &response);
            drop(wiped(response.into_body()));
        }
        Err(failure) => fetch.on_failure(ticket, now, failure),
    }
}

/// Wipes an answer that may hold a token, unless the transport has kept a copy of it.
fn wiped(body: Bytes) -> Option<BytesMut> {
    let mut body = body.try_into_mut().ok()?;
    body[..].zeroize();
    Some(body)
}

impl<T: Transport + Send + Sync, C: Clock> TokenSource for TokenProvider<T, C> {
    fn token(&self, need: &TokenNeed) -> Result<Token, TokenError> {
        let mut fetch = self.fetch(need, self.clock.now());
        // Nobody publishes there: a fetch waits for the time alone.
        let board = Board::default();
        loop {
            match fetch.poll(self.clock.now()) {
                FetchStep::Send(attempt) => {
                    let (options, ticket) = (options(&attempt), attempt.ticket);
                    let sent = self.transport.send(attempt.request, &options);
                    report(&mut fetch, ticket, self.clock.now(), sent);
                }
                FetchStep::Sign(need) => fetch.on_assertion(self.signed(&need)),
                FetchStep::Show(code) => self.shown(&code)?,
                FetchStep::Wait(until) => self.clock.wait(until, &board.news()),
                FetchStep::Done(fetched) => return fetched.map(|fetched| self.kept(fetched)),
            }
        }
    }
}

impl<T: AsyncTransport + Send + Sync, C: AsyncClock> AsyncTokenSource for TokenProvider<T, C> {
    async fn token(&self, need: &TokenNeed) -> Result<Token, TokenError> {
        let mut fetch = self.fetch(need, self.clock.now());
        loop {
            match fetch.poll(self.clock.now()) {
                FetchStep::Send(attempt) => {
                    let (options, ticket) = (options(&attempt), attempt.ticket);
                    let until = self.clock.now() + attempt.timeout;
                    let sending = self.transport.send(attempt.request, &options);
                    let sent = match before(sending, self.clock.sleep_until(until)).await {
                        Some(sent) => sent,
                        None => Err(Failure::maybe_sent("no answer in time")),
                    };
                    report(&mut fetch, ticket, self.clock.now(), sent);
                }
                FetchStep::Sign(need) => fetch.on_assertion(self.signed(&need)),
                FetchStep::Show(code) => self.shown(&code)?,
                FetchStep::Wait(until) => self.clock.sleep_until(until).await,
                FetchStep::Done(fetched) => return fetched.map(|fetched| self.kept(fetched)),
            }
        }
    }
}

// The hooks are closures, and the credential shows no secret.
impl<T, C> fmt::Debug for TokenProvider<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credential = self.credential.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("TokenProvider").field("credential", &*credential).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_wiped_unless_somebody_else_holds_it() {
        let token = || Bytes::from(b"a token".to_vec());
        assert_eq!(wiped(token()).unwrap(), [0; 7][..]);
        let (kept, answer) = (token(), token());
        let copy = answer.clone();
        assert_eq!(wiped(answer), None);
        assert_eq!(copy, kept);
    }
}
