//! The two ways to send: what `--transport` chooses between.
//!
//! Each has its transport, its clock and its kind of client. How calls are made with that is
//! `calls`; where they go is `place`.

use std::{fmt, io, sync::Arc};

use graphfeed_core::{
    client::{AsyncClient, Client, ClientBuilder, TokenProvider},
    protocol::ServiceRoot,
    types::AccessToken,
};
use graphfeed_hyper::{HyperClient, HyperTransport, TokioClock};
use graphfeed_ureq::{SystemClock, UreqTransport};
use tokio::runtime::{self, Runtime};

use crate::calls::{Calls, Concurrent};

/// One way to send.
pub trait Way {
    /// In words, for the table.
    const IN_WORDS: &'static str;
    /// What sends a request.
    type Transport: Clone + fmt::Debug;
    /// What it waits by.
    type Clock;
    /// What makes calls.
    type Calls: Calls + Clone;

    /// Over https.
    fn transport() -> Self::Transport;

    /// Over https, believing these certificates as well.
    fn with_extra_roots(pem: &[u8]) -> Result<Self::Transport, String>;

    /// Over plain http, to this machine.
    fn danger_plain_http() -> Self::Transport;

    /// A clock that starts now.
    fn clock() -> Self::Clock;

    /// A client that gets its tokens so, before it is made.
    fn builder(root: ServiceRoot, tokens: Tokens<Self>) -> ClientBuilder<Tokens<Self>>;

    /// That client, made.
    fn client(
        &self,
        builder: ClientBuilder<Tokens<Self>>,
        transport: Self::Transport,
    ) -> Self::Calls;

    /// A client with a fixed token over plain http.
    fn emulator_client(&self, builder: ClientBuilder<AccessToken>) -> Self::Calls;
}

/// What fetches tokens the same way.
pub type Tokens<W> = TokenProvider<<W as Way>::Transport, <W as Way>::Clock>;

/// Over ureq: no runtime, and one call after the other.
#[derive(Clone, Copy, Debug)]
pub struct Ureq;

impl Way for Ureq {
    const IN_WORDS: &'static str = "ureq, one call after the other";
    type Transport = UreqTransport;
    type Clock = SystemClock;
    type Calls = Client<UreqTransport>;

    fn transport() -> UreqTransport {
        UreqTransport::new()
    }

    fn with_extra_roots(pem: &[u8]) -> Result<UreqTransport, String> {
        UreqTransport::with_extra_roots(pem).map_err(|why| why.to_string())
    }

    fn danger_plain_http() -> UreqTransport {
        UreqTransport::danger_plain_http()
    }

    fn clock() -> SystemClock {
        SystemClock::new()
    }

    fn builder(root: ServiceRoot, tokens: Tokens<Self>) -> ClientBuilder<Tokens<Self>> {
        Client::builder(root, tokens)
    }

    fn client(
        &self,
        builder: ClientBuilder<Tokens<Self>>,
        transport: UreqTransport,
    ) -> Client<UreqTransport> {
        builder.build(transport, SystemClock::new())
    }

    fn emulator_client(&self, builder: ClientBuilder<AccessToken>) -> Client<UreqTransport> {
        builder.build(UreqTransport::danger_plain_http(), SystemClock::new())
    }
}

/// Over hyper: on a runtime of this program's own, several calls at the same time.
#[derive(Clone, Debug)]
pub struct Hyper(Arc<Runtime>);

impl Hyper {
    /// With a runtime on the thread that waits for it.
    ///
    /// # Errors
    /// When the system has no more of what it needs.
    pub fn start() -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self(Arc::new(runtime)))
    }
}

impl Way for Hyper {
    const IN_WORDS: &'static str = "hyper, up to 16 calls at the same time";
    type Transport = HyperTransport<HyperClient>;
    type Clock = TokioClock;
    type Calls = Concurrent<HyperTransport<HyperClient>>;

    fn transport() -> Self::Transport {
        HyperTransport::new()
    }

    fn with_extra_roots(pem: &[u8]) -> Result<Self::Transport, String> {
        HyperTransport::with_extra_roots(pem).map_err(|why| why.to_string())
    }

    fn danger_plain_http() -> Self::Transport {
        HyperTransport::danger_plain_http()
    }

    fn clock() -> TokioClock {
        TokioClock::new()
    }

    fn builder(root: ServiceRoot, tokens: Tokens<Self>) -> ClientBuilder<Tokens<Self>> {
        AsyncClient::builder(root, tokens)
    }

    fn client(
        &self,
        builder: ClientBuilder<Tokens<Self>>,
        transport: Self::Transport,
    ) -> Self::Calls {
        let client = builder.build_async(transport, TokioClock::new());
        Concurrent::new(client, Arc::clone(&self.0))
    }

    fn emulator_client(&self, builder: ClientBuilder<AccessToken>) -> Self::Calls {
        let client = builder.build_async(HyperTransport::danger_plain_http(), TokioClock::new());
        Concurrent::new(client, Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_true() {
        assert_eq!(<Ureq as Way>::Calls::AT_ONCE, 1);
        let at_once = format!("up to {} calls", <Hyper as Way>::Calls::AT_ONCE);
        assert!(Hyper::IN_WORDS.contains(&at_once));
    }
}
