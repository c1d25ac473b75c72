//! What every transport has to do, as one suite that any of them can be held against.
//!
//! Lives here: the stage (an emulator, in process or on loopback, with TLS or without, and a
//! second server that nothing may ever reach), and the blocking and the async driver, which go
//! through the same table of checks. Nothing here knows a particular transport.
//!
//! ```
//! use graphfeed_emulator::conformance::Stage;
//!
//! // The emulator in process is a transport like any other.
//! let stage = Stage::in_process()?;
//! stage.check(&stage.transport())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checks;
mod servers;

pub use servers::{Canned, Elsewhere};

use std::{fmt, io, time::Duration};

use bytes::Bytes;
use graphfeed_core::client::{AsyncTransport, Failure, SendOptions, Transport};
use http::{Method, Request, Response, header};

use checks::{ITEM, distrusts};

use crate::{
    Behaviour, Emulator, Options,
    server::{Server, TestCertificate},
};

/// Where a transport is put to the test.
#[derive(Debug)]
pub struct Stage {
    emulator: Emulator,
    root: String,
    server: Option<Server>,
    certificate: Option<TestCertificate>,
    elsewhere: Elsewhere,
}

/// A transport does not do what it has to.
#[derive(Debug)]
pub struct NotConforming {
    faults: Vec<(&'static str, String)>,
}

impl fmt::Display for NotConforming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the transport does not conform")?;
        for (check, why) in &self.faults {
            write!(f, "\n- {check}: {why}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NotConforming {}

type Sending = Result<Response<Bytes>, Failure>;
type Verdict = Result<(), String>;

/// One thing that a transport has to do: what is set up, what is sent, and what has to come of
/// it. All of a check's requests are sent one after the other.
struct Check {
    name: &'static str,
    /// Faults to script, in the emulator's text form; `{elsewhere}` stands for the other server.
    faults: Vec<String>,
    requests: Vec<(Request<Bytes>, SendOptions)>,
    judge: fn(&Stage, Outcome) -> Verdict,
}

/// What came of the requests of a check.
struct Outcome {
    sent: Vec<Sending>,
    /// How many connections were made for them.
    connections: u64,
}

impl Stage {
    /// The emulator in process, without a socket.
    ///
    /// # Errors
    /// When there is no port left for the server that nothing may reach.
    pub fn in_process() -> io::Result<Self> {
        Self::new(|_| Ok((None, None)))
    }

    /// The emulator on a free port of this machine, over plain http.
    ///
    /// # Errors
    /// When there is no port left.
    pub fn on_loopback() -> io::Result<Self> {
        Self::new(|emulator| Ok((Some(Server::start(emulator, "127.0.0.1:0")?), None)))
    }

    /// The emulator on a free port of this machine, over TLS, with a certificate that nobody has
    /// signed: [`certificate`](Self::certificate) is what to trust.
    ///
    /// # Errors
    /// When there is no port left.
    pub fn on_loopback_with_tls() -> io::Result<Self> {
        Self::new(|emulator| {
            let certificate = TestCertificate::new();
            let server = Server::start_tls(emulator, "127.0.0.1:0", &certificate)?;
            Ok((Some(server), Some(certificate)))
        })
    }

    fn new(
        serve: impl FnOnce(Emulator) -> io::Result<(Option<Server>, Option<TestCertificate>)>,
    ) -> io::Result<Self> {
        let behaviour = Behaviour {
            schema_delay: Duration::ZERO,
            delete_delay: Duration::ZERO,
            ..Behaviour::default()
        };
        let emulator = Emulator::new(Options { behaviour, ..Options::default() });
        let (server, certificate) = serve(emulator.clone())?;
        let root = match &server {
            Some(server) => format!("{}/v1.0", server.url()),
            None => "https://graph.microsoft.com/v1.0".to_owned(),
        };
        Ok(Self { emulator, root, server, certificate, elsewhere: Elsewhere::start()? })
    }

    /// The emulator, to look inside.
    pub fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    /// The emulator as a transport, for a stage [in process](Self::in_process).
    pub fn transport(&self) -> Emulator {
        self.emulator.clone()
    }

    /// The certificate to trust, in PEM.
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_ref().map(TestCertificate::pem)
    }

    /// Holds a transport against everything that it has to do. It has to trust the
    /// [certificate](Self::certificate), or to allow plain http.
    ///
    /// # Errors
    /// All that it does not do.
    pub fn check(&self, transport: &impl Transport) -> Result<(), NotConforming> {
        let mut faults = Vec::new();
        for mut check in self.checks() {
            let before = self.set_up(&check);
            let mut sent = Vec::new();
            for (request, options) in check.requests.drain(..) {
                sent.push(transport.send(request, &options));
            }
            self.judge(&check, sent, before, &mut faults);
        }
        self.verdict(faults)
    }

    /// As [`check`](Self::check), for an async transport.
    ///
    /// # Errors
    /// All that it does not do.
    pub async fn check_async(&self, transport: &impl AsyncTransport) -> Result<(), NotConforming> {
        let mut faults = Vec::new();
        for mut check in self.checks() {
            let before = self.set_up(&check);
            let mut sent = Vec::new();
            for (request, options) in check.requests.drain(..) {
                sent.push(transport.send(request, &options).await);
            }
            self.judge(&check, sent, before, &mut faults);
        }
        self.verdict(faults)
    }

    /// Holds a transport against what it must not do: believe a certificate that it does not
    /// know. For a stage [with TLS](Self::on_loopback_with_tls) whose certificate the transport does not trust.
    ///
    /// # Errors
    /// When it does, or does not say that nothing was sent and nothing can come of it.
    pub fn check_distrust(&self, transport: &impl Transport) -> Result<(), NotConforming> {
        let sent = transport.send(self.distrusted(), &SendOptions::default());
        self.verdict(distrusts(sent))
    }

    /// As [`check_distrust`](Self::check_distrust), for an async transport.
    ///
    /// # Errors
    /// As [`check_distrust`](Self::check_distrust).
    pub async fn check_distrust_async(
        &self,
        transport: &impl AsyncTransport,
    ) -> Result<(), NotConforming> {
        let sent = transport.send(self.distrusted(), &SendOptions::default()).await;
        self.verdict(distrusts(sent))
    }

    fn distrusted(&self) -> Request<Bytes> {
        self.request(Method::PUT, "/external/connections/conformance/items/secret", ITEM)
    }

    /// Scripts the faults of a check, and tells how many connections there have been before.
    fn set_up(&self, check: &Check) -> u64 {
        self.emulator.clear_faults();
        for fault in &check.faults {
            let fault = fault.replace("{elsewhere}", self.elsewhere.url());
            self.emulator.script(&fault).expect("the suite's own faults are well-formed");
        }
        self.connections()
    }

    fn connections(&self) -> u64 {
        self.server.as_ref().map_or(0, Server::connections)
    }

    fn judge(
        &self,
        check: &Check,
        sent: Vec<Sending>,
        before: u64,
        faults: &mut Vec<(&'static str, String)>,
    ) {
        let connections = self.connections() - before;
        if let Err(why) = (check.judge)(self, Outcome { sent, connections }) {
            faults.push((check.name, why));
        }
    }

    fn verdict(&self, mut faults: Vec<(&'static str, String)>) -> Result<(), NotConforming> {
        let visitors = self.elsewhere.visitors();
        if visitors > 0 {
            let why = format!("{visitors} connections were made to the other server");
            faults.push(("nothing goes anywhere but where it was sent", why));
        }
        if faults.is_empty() { Ok(()) } else { Err(NotConforming { faults }) }
    }

    fn request(&self, method: Method, path: &str, body: &str) -> Request<Bytes> {
        let mut request = Request::new(Bytes::copy_from_slice(body.as_bytes()));
        *request.method_mut() = method;
        *request.uri_mut() =
            format!("{}{path}", self.root).parse().expect("the suite's own paths are well-formed");
        let headers = request.headers_mut();
        let token = header::HeaderValue::from_static("Bearer conformance-token");
        headers.insert(header::AUTHORIZATION, token);
        headers.insert(header::ACCEPT, header::HeaderValue::from_static("application/json"));
        if !body.is_empty() {
            let json = header::HeaderValue::from_static("application/json");
            headers.insert(header::CONTENT_TYPE, json);
        }
        request
    }

    fn get(&self, path: &str) -> (Request<Bytes>, SendOptions) {
        (self.request(Method::GET, path, ""), SendOptions::default())
    }

    fn put(&self, path: &str, body: &str) -> (Request<Bytes>, SendOptions) {
        (self.request(Method::PUT, path, body), SendOptions::default())
    }
}
