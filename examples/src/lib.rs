//! What the examples share: the emulator on loopback, with a client for it ([`Loopback`]), a tenant
//! that the environment names ([`settings`]) and signing with a certificate ([`certificate`]), over
//! what a program sends and how many calls at the same time ([`way`], [`calls`]), what it says
//! meanwhile ([`progress`]), and Ctrl-C ([`interrupt`]); and how a test runs a program ([`process`]).
//!
//! Lives here: what more than one program needs. The programs stand beside this folder, one file
//! or folder each.

pub mod calls;
pub mod certificate;
pub mod interrupt;
pub mod process;
pub mod progress;
pub mod settings;
pub mod way;

use std::{io, time::SystemTime};

use graphfeed_core::{
    client::{Client, ClientBuilder},
    protocol::{Cloud, ServiceRoot, Version},
    types::AccessToken,
};
use graphfeed_emulator::{Emulator, Options, server::Server};
use graphfeed_ureq::{SystemClock, UreqTransport, seed};

/// An emulator that listens on a free port of this machine, and what a client for it is made of.
/// It stops when this is dropped.
///
/// ```
/// use graphfeed_core::protocol::Version;
/// use graphfeed_core::external::GetConnection;
/// use graphfeed_core::types::ConnectionId;
/// use graphfeed_examples::Loopback;
///
/// let loopback = Loopback::start(Version::V1)?;
/// let none = ConnectionId::new("none1")?;
/// let error = loopback.client().send(&GetConnection::new(&none)).unwrap_err();
/// assert_eq!(error.status().map(|status| status.as_u16()), Some(404));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Loopback {
    root: ServiceRoot,
    token: AccessToken,
    emulator: Emulator,
    // Last, so that nothing outlives what it talks to.
    _server: Server,
}

impl Loopback {
    /// Starts the emulator in this process; it is ready when this returns.
    ///
    /// # Errors
    /// No port of the loopback interface can be listened on, or there is no thread left.
    pub fn start(version: Version) -> io::Result<Self> {
        Self::start_with(version, Options::default())
    }

    /// Like [`start`](Self::start), with the emulator's own options; its time is the machine's.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(version: Version, options: Options) -> io::Result<Self> {
        let emulator = Emulator::new(Options { origin: SystemTime::now(), ..options });
        let server = Server::start(emulator.clone(), "127.0.0.1:0")?;
        let root = ServiceRoot::danger_plain_http(server.url(), Cloud::Global, version)
            .map_err(io::Error::other)?;
        Ok(Self {
            root,
            token: AccessToken::new("any-token-will-do").map_err(io::Error::other)?,
            emulator,
            _server: server,
        })
    }

    /// Where it is.
    pub fn root(&self) -> &ServiceRoot {
        &self.root
    }

    /// A blocking client for it.
    pub fn client(&self) -> Client<UreqTransport> {
        self.client_builder().build(UreqTransport::danger_plain_http(), SystemClock::new())
    }

    /// The same client before it is built, to give it an observer or a policy of one's own.
    pub fn client_builder(&self) -> ClientBuilder<AccessToken> {
        Client::builder(self.root.clone(), self.token.clone()).seed(seed())
    }

    /// The emulator itself: what it holds, the faults it is to make, and what it has to say of
    /// its client.
    pub fn emulator(&self) -> &Emulator {
        &self.emulator
    }
}
