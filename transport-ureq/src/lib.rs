//! Sends graphfeed's calls with [ureq](https://docs.rs/ureq): blocking, over pooled connections,
//! with rustls.
//!
//! Lives here: the [`Transport`] over ureq, the [`Clock`] of the machine, and a ready-made
//! [`Client`]. Nothing about Microsoft
//! Graph is decided here: statuses are data, redirects are not followed, nothing is repeated.
//!
//! ```no_run
//! use graphfeed_core::external::{Acl, ExternalItem, PutItem};
//! use graphfeed_core::protocol::ServiceRoot;
//! use graphfeed_core::types::{AccessToken, ConnectionId, Guid, ItemId};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let token = AccessToken::new(std::env::var("GRAPH_TOKEN")?)?;
//! let client = graphfeed_ureq::client(ServiceRoot::v1(), token);
//! let item = ExternalItem::builder(ItemId::new("TSP228082938")?)
//!     .acl(Acl::everyone(Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874")?))
//!     .property("title", "Error in the payment gateway")
//!     .build()?;
//! client.send(&PutItem::new(&ConnectionId::new("contosohr")?, &item))?;
//! # Ok(())
//! # }
//! ```

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Read as _},
    time::{Duration, Instant},
};

use bytes::Bytes;
use graphfeed_core::{
    client::{Client, Clock, Failure, SendOptions, TokenSource, Transport},
    machine::Tick,
    protocol::ServiceRoot,
};
use http::uri::Authority;
use ureq::{Agent, Error, Timeout, config::ConfigBuilder, typestate::AgentScope};

/// The HTTP client underneath, for those who bring an agent of their own.
pub use ureq;

mod tls;
mod token_file;

pub use tls::ExtraRootsError;
pub use token_file::token_file;

/// A client over https, with an agent of its own, the clock of the machine, and chance from the
/// process. `tokens` is an [`AccessToken`](graphfeed_core::types::AccessToken), or any other
/// source of tokens.
pub fn client(root: ServiceRoot, tokens: impl TokenSource + 'static) -> Client<UreqTransport> {
    Client::builder(root, tokens).seed(seed()).build(UreqTransport::new(), SystemClock::new())
}

/// A seed from the process, different in each.
pub fn seed() -> u64 {
    // The one source of chance in the standard library.
    RandomState::new().build_hasher().finish()
}

/// The clock of the machine, which no change of its date can disturb.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Tick {
        Tick::new(self.origin.elapsed())
    }
}

/// A [`Transport`] over a [`ureq::Agent`].
///
/// It sends over https only, unless it was made by a constructor with `danger` in its name. A
/// clone shares the agent and its connections.
#[derive(Clone, Debug)]
pub struct UreqTransport {
    agent: Agent,
    https_only: bool,
}

impl UreqTransport {
    /// With an agent of its own: the proxy of the environment and the certificates that come with
    /// the program.
    pub fn new() -> Self {
        Self::with_agent(own_config().build().new_agent())
    }

    /// With the caller's agent: its proxy, certificates, resolver and pool. What the contract of
    /// [`Transport`] asks for is set on each request, whatever the agent says: no redirects,
    /// statuses as data, https only, the time-outs of [`SendOptions`].
    pub fn with_agent(agent: Agent) -> Self {
        Self { agent, https_only: true }
    }

    /// With an agent of its own that trusts these certificates (PEM, one or many) beside those
    /// that come with the program: the root of a company's own, or of a proxy that looks inside.
    ///
    /// # Errors
    /// When there is no certificate in `pem`, or something that is none.
    pub fn with_extra_roots(pem: &[u8]) -> Result<Self, ExtraRootsError> {
        let config = own_config().tls_config(tls::with_extra_roots(pem)?);
        Ok(Self::with_agent(config.build().new_agent()))
    }

    /// Over plain http as well, where everyone on the way reads token and content: for an
    /// emulator on this machine, past any proxy.
    pub fn danger_plain_http() -> Self {
        // A proxy would look for the emulator on its own machine.
        let agent = own_config().proxy(None).build().new_agent();
        Self::danger_plain_http_with_agent(agent)
    }

    /// As [`danger_plain_http`](Self::danger_plain_http), with the caller's agent.
    pub fn danger_plain_http_with_agent(agent: Agent) -> Self {
        Self { agent, https_only: false }
    }
}

impl Default for UreqTransport {
    fn default() -> Self {
        Self::new()
    }
}

fn own_config() -> ConfigBuilder<AgentScope> {
    Agent::config_builder().user_agent(concat!("graphfeed-ureq/", env!("CARGO_PKG_VERSION")))
}

impl Transport for UreqTransport {
    fn send(
        &self,
        request: http::Request<Bytes>,
        options: &SendOptions,
    ) -> Result<http::Response<Bytes>, Failure> {
        let (parts, body) = request.into_parts();
        let to = parts.uri.authority().cloned();
        let request = http::Request::from_parts(parts, &body[..]);
        let config = self
            .agent
            .configure_request(request)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .https_only(self.https_only)
            .allow_non_standard_methods(true)
            // Adding more than this to the time of day is more than ureq can count.
            .timeout_global(Some(options.timeout.min(Duration::from_secs(86_400 * 365))));
        let request = match options.new_connection {
            true => config.max_idle_age(Duration::ZERO).build(),
            false => config.build(),
        };
        let response = self.agent.run(request).map_err(|error| failure(error, to.clone()))?;
        let (parts, body) = response.into_parts();
        // ureq counts reaching its limit as passing it.
        let limit = (options.max_body as u64).saturating_add(1);
        let mut reader = body.into_with_config().limit(limit).reader();
        let mut read = Vec::new();
        let outcome = reader.read_to_end(&mut read);
        let response = http::Response::from_parts(parts, Bytes::from(read));
        match outcome.map_err(Error::from) {
            Ok(_) => Ok(response),
            // The status has come, so the request has arrived.
            Err(error) => {
                let is_too_long = matches!(error, Error::BodyExceedsLimit(_));
                let failure = Failure::maybe_sent(SendError { to, error }).with_partial(response);
                Err(if is_too_long { failure.permanent() } else { failure })
            }
        }
    }
}

/// An error of ureq's, with the address it came up with.
#[derive(Debug)]
struct SendError {
    to: Option<Authority>,
    error: Error,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(to) = &self.to {
            write!(f, "{to}: ")?;
        }
        match &self.error {
            Error::RequireHttpsOnly(_) => f.write_str(
                "plain http is refused; for an emulator on this machine there is \
                 UreqTransport::danger_plain_http()",
            ),
            Error::Io(error)
                if matches!(tls_error(error), Some(rustls::Error::InvalidMessage(_))) =>
            {
                write!(f, "the server does not speak TLS: {error}")
            }
            error => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for SendError {}

/// Tells what certainly did not leave from what may have; what cannot be known may have.
fn failure(error: Error, to: Option<Authority>) -> Failure {
    let not_sent = |error| Failure::not_sent(SendError { to: to.clone(), error });
    match &error {
        Error::BadUri(_)
        | Error::Http(_)
        | Error::RequireHttpsOnly(_)
        | Error::InvalidProxyUrl
        | Error::Tls(_)
        | Error::TlsRequired
        | Error::Pem(_) => not_sent(error).permanent(),
        Error::HostNotFound
        | Error::ConnectionFailed
        | Error::ConnectProxyFailed(_)
        | Error::Timeout(Timeout::Resolve | Timeout::Connect) => not_sent(error),
        Error::Rustls(tls) if is_bad_certificate(tls) => not_sent(error).permanent(),
        Error::Io(io) if tls_error(io).is_some_and(is_bad_certificate) => {
            not_sent(error).permanent()
        }
        Error::Io(io) if is_before_connection(io) => not_sent(error),
        _ => Failure::maybe_sent(SendError { to, error }),
    }
}

/// Certificates are looked at before any byte of a request is sent.
fn is_bad_certificate(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::InvalidCertificate(_)
            | rustls::Error::NoCertificatesPresented
            | rustls::Error::UnsupportedNameType
    )
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What only making a connection ends with.
fn is_before_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable
    )
    // The standard library has no kind for a name that cannot be looked up, only this text.
    || error.to_string().starts_with("failed to lookup address information")
}
