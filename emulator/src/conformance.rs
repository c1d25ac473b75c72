//! What every transport has to do, as one suite that any of them can be held against.
//!
//! Lives here: the stage (an emulator, in process or on loopback, with TLS or without, and a
//! second server that nothing may ever reach), and the checks as a table that the blocking and
//! the async driver go through alike. Nothing here knows a particular transport.
//!
//! ```
//! use graphfeed_emulator::conformance::Stage;
//!
//! // The emulator in process is a transport like any other.
//! let stage = Stage::in_process()?;
//! stage.check(&stage.transport())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{
    fmt,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::client::{AsyncTransport, Failure, SendOptions, Sent, Transport};
use http::{Method, Request, Response, StatusCode, header};

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

/// A server that counts who comes, and says nothing: for whatever a client might be led to.
#[derive(Debug)]
pub struct Elsewhere {
    url: String,
    visitors: Arc<AtomicUsize>,
}

/// A server of canned answers over plain http, for what the emulator itself would never answer:
/// a link to the next page that leads elsewhere, say.
#[derive(Debug)]
pub struct Canned {
    url: String,
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
            let fault = fault.replace("{elsewhere}", &self.elsewhere.url);
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

    /// In the order in which they are run: the first makes what the others need.
    fn checks(&self) -> Vec<Check> {
        let mut checks = vec![
            self.methods(),
            self.statuses(),
            self.html(),
            self.redirects(),
            self.long_bodies(),
            self.body_limit(),
            self.broken_off(),
            self.reset(),
            self.reset_after_commit(),
            self.silence(),
            self.header_bytes(),
            self.path_bytes(),
        ];
        if self.server.is_some() {
            checks.push(self.refused());
            checks.push(self.unknown_host());
            checks.push(self.kept_connections());
        }
        checks
    }

    fn methods(&self) -> Check {
        let base = "/external/connections";
        let connection = r#"{"id":"conformance","name":"Conformance"}"#;
        let schema = r#"{"baseType":"microsoft.graph.externalItem",
            "properties":[{"name":"title","type":"string"}]}"#;
        let options = SendOptions::default;
        Check {
            name: "every method goes out, with a body and without, and its answer comes back",
            faults: vec![],
            requests: vec![
                (self.request(Method::DELETE, &format!("{base}/conformance"), ""), options()),
                (self.request(Method::POST, base, connection), options()),
                (
                    self.request(Method::PATCH, &format!("{base}/conformance/schema"), schema),
                    options(),
                ),
                self.get(&format!("{base}/conformance")),
                self.put(&format!("{base}/conformance/items/a"), ITEM),
                (
                    self.request(Method::DELETE, &format!("{base}/conformance/items/a"), ""),
                    options(),
                ),
            ],
            judge: |_, Outcome { sent, .. }| {
                let statuses = statuses(sent)?;
                match statuses[..] {
                    [202 | 404, 201, 202, 200, 200, 204] => Ok(()),
                    _ => Err(format!("the statuses are {statuses:?}")),
                }
            },
        }
    }

    fn statuses(&self) -> Check {
        Check {
            name: "every status is an answer and keeps its body",
            faults: STATUSES.map(|status| format!("GET connection: {status} times=1")).to_vec(),
            requests: STATUSES.map(|_| self.get("/external/connections/conformance")).to_vec(),
            judge: |_, Outcome { sent, .. }| {
                for (sent, status) in sent.into_iter().zip(STATUSES) {
                    let answer = answer(sent)?;
                    expect("status", answer.status().as_u16(), status)?;
                    let body = String::from_utf8_lossy(answer.body()).into_owned();
                    if !body.contains("\"error\"") {
                        return Err(format!("of a {status} the body {body:?} is left"));
                    }
                }
                Ok(())
            },
        }
    }

    fn html(&self) -> Check {
        Check {
            name: "a page of a gateway comes back as it is",
            faults: vec!["GET connection: html 502 times=1".to_owned()],
            requests: vec![self.get("/external/connections/conformance")],
            judge: |_, Outcome { mut sent, .. }| {
                let answer = answer(sent.remove(0))?;
                expect("status", answer.status(), StatusCode::BAD_GATEWAY)?;
                let body = String::from_utf8_lossy(answer.body()).to_ascii_lowercase();
                if body.contains("<html") { Ok(()) } else { Err(format!("{body:?} is no page")) }
            },
        }
    }

    fn redirects(&self) -> Check {
        let fault = |status| format!("PUT item: {status} header=Location:{{elsewhere}} times=1");
        let item = "/external/connections/conformance/items/moved";
        Check {
            name: "a redirect is an answer and is not followed",
            faults: REDIRECTS.map(fault).to_vec(),
            requests: REDIRECTS.map(|_| self.put(item, ITEM)).to_vec(),
            judge: |stage, Outcome { sent, .. }| {
                for (sent, status) in sent.into_iter().zip(REDIRECTS) {
                    let answer = answer(sent)?;
                    expect("status", answer.status().as_u16(), status)?;
                    let location = answer.headers().get(header::LOCATION);
                    let location = location.and_then(|location| location.to_str().ok());
                    expect("Location", location, Some(stage.elsewhere.url.as_str()))?;
                }
                Ok(())
            },
        }
    }

    fn long_bodies(&self) -> Check {
        let item = "/external/connections/conformance/items/long";
        Check {
            name: "bodies of 4 MB go both ways",
            faults: vec![],
            requests: vec![self.put(item, &long_item()), self.get(item)],
            judge: |stage, Outcome { mut sent, .. }| {
                let read = answer(sent.remove(1))?;
                let written = answer(sent.remove(0))?;
                expect("status", written.status(), StatusCode::OK)?;
                let item = stage.emulator.item("conformance", "long");
                let content = item.and_then(|item| item.content);
                let stored = content.map(|content| content.value.len());
                expect("stored length", stored, Some(LONG))?;
                let found =
                    read.body().windows(LONG).any(|window| window.iter().all(|b| *b == b'x'));
                expect("the content comes back whole", found, true)
            },
        }
    }

    fn body_limit(&self) -> Check {
        let (request, options) = self.get("/external/connections/conformance/items/long");
        let limited = options.clone().with_max_body(100_000);
        Check {
            name: "an answer over the limit is given up, for good, and not kept in memory",
            faults: vec![],
            requests: vec![(request.clone(), limited), (request, options.with_max_body(8 << 20))],
            judge: |_, Outcome { mut sent, .. }| {
                answer(sent.remove(1))?;
                let failure = failure(sent.remove(0))?;
                expect("sent", failure.sent(), Sent::Maybe)?;
                expect("permanent", failure.is_permanent(), true)?;
                let kept = failure.partial().map_or(0, |answer| answer.body().len());
                expect("at most twice the limit is kept", kept <= 200_000, true)
            },
        }
    }

    fn broken_off(&self) -> Check {
        Check {
            name: "an answer that breaks off may have been carried out, and what came is kept",
            faults: vec!["GET connection: truncated times=1".to_owned()],
            requests: vec![self.get("/external/connections/conformance")],
            judge: |_, Outcome { mut sent, .. }| {
                let failure = failure(sent.remove(0))?;
                expect("sent", failure.sent(), Sent::Maybe)?;
                expect("permanent", failure.is_permanent(), false)?;
                let status = failure.partial().map(Response::status);
                expect("status that came", status, Some(StatusCode::OK))
            },
        }
    }

    fn reset(&self) -> Check {
        Check {
            name: "a connection closed without an answer may have carried the request",
            faults: vec!["PUT item: reset times=1".to_owned()],
            requests: vec![self.put("/external/connections/conformance/items/reset", ITEM)],
            judge: |_, Outcome { mut sent, .. }| {
                let failure = failure(sent.remove(0))?;
                expect("sent", failure.sent(), Sent::Maybe)?;
                expect("permanent", failure.is_permanent(), false)
            },
        }
    }

    fn reset_after_commit(&self) -> Check {
        Check {
            name: "nothing is repeated by the transport itself",
            faults: vec!["PUT item: stored reset times=1".to_owned()],
            requests: vec![self.put("/external/connections/conformance/items/once", ITEM)],
            judge: |stage, Outcome { mut sent, .. }| {
                let before = failure(sent.remove(0))?.sent();
                expect("sent", before, Sent::Maybe)?;
                let there = stage.emulator.item("conformance", "once").is_some();
                expect("it was stored", there, true)?;
                let left = stage.emulator.faults().iter().map(|(_, struck)| *struck).sum::<u64>();
                expect("attempts that reached the service", left, 1)
            },
        }
    }

    fn silence(&self) -> Check {
        let (request, options) = self.put("/external/connections/conformance/items/slow", ITEM);
        Check {
            name: "silence ends at the time-out, and may have been heard",
            faults: vec!["PUT item: hang 30 times=1".to_owned()],
            requests: vec![(request, options.with_timeout(Duration::from_millis(200)))],
            judge: |_, Outcome { mut sent, .. }| {
                let failure = failure(sent.remove(0))?;
                expect("sent", failure.sent(), Sent::Maybe)?;
                expect("permanent", failure.is_permanent(), false)
            },
        }
    }

    fn header_bytes(&self) -> Check {
        let (mut request, options) = self.get("/external/connections/conformance");
        let id = header::HeaderValue::from_static(ODD);
        request.headers_mut().insert("client-request-id", id);
        Check {
            name: "the bytes of headers arrive as they are, both ways",
            faults: vec![],
            requests: vec![(request, options)],
            judge: |_, Outcome { mut sent, .. }| {
                let answer = answer(sent.remove(0))?;
                let id = answer.headers().get("client-request-id");
                expect("client-request-id", id.map(|id| id.as_bytes()), Some(ODD.as_bytes()))
            },
        }
    }

    fn path_bytes(&self) -> Check {
        let activity = format!(
            r#"{{"appActivityId":{},"activitySourceHost":"https://contoso.com",
                "activationUrl":"https://contoso.com/a","visualElements":{{"displayText":"A"}}}}"#,
            serde_json::Value::from(ODD_ID)
        );
        Check {
            name: "the bytes of a path arrive as they are",
            faults: vec![],
            requests: vec![self.put(&format!("/me/activities/{ODD_ID_ESCAPED}"), &activity)],
            judge: |stage, Outcome { mut sent, .. }| {
                let status = answer(sent.remove(0))?.status();
                expect("a status of success", status.is_success(), true)?;
                let stored = stage.emulator.user_activities();
                let ids: Vec<_> = stored.iter().map(|each| each.app_activity_id.as_str()).collect();
                expect("the ids stored", ids.contains(&ODD_ID), true)
            },
        }
    }

    fn refused(&self) -> Check {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        let (mut request, options) = self.put("/", ITEM);
        // The port was free a moment ago, and nobody is there now.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.map_or(1, |address| address.port());
        *request.uri_mut() = format!("{scheme}://localhost:{port}/v1.0/x").parse().expect("a URI");
        Check {
            name: "a refused connection has carried nothing",
            faults: vec![],
            requests: vec![(request, options)],
            judge: not_sent,
        }
    }

    fn unknown_host(&self) -> Check {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        let (mut request, options) = self.put("/", ITEM);
        *request.uri_mut() =
            format!("{scheme}://no-such-host.invalid/v1.0/x").parse().expect("a URI");
        Check {
            name: "a host that does not exist has heard nothing",
            faults: vec![],
            requests: vec![(request, options)],
            judge: not_sent,
        }
    }

    fn kept_connections(&self) -> Check {
        let (request, options) = self.get("/external/connections/conformance");
        let fresh = options.clone().with_new_connection(true);
        Check {
            name: "connections are kept, and a new one is made on demand",
            faults: vec![],
            requests: vec![
                (request.clone(), fresh.clone()),
                (request.clone(), options.clone()),
                (request.clone(), options.clone()),
                (request.clone(), fresh),
                (request, options),
            ],
            judge: |_, Outcome { sent, connections }| {
                statuses(sent)?;
                // One for each request that asked, and at most one for the others together.
                match connections {
                    2 | 3 => Ok(()),
                    other => Err(format!("5 requests, 2 of them on new connections, made {other}")),
                }
            },
        }
    }
}

impl Canned {
    /// Gives these answers one after the other, each a status, headers (`Name: value`) and a
    /// JSON body, and then closes connections. It stops with the process.
    ///
    /// # Errors
    /// When there is no port or thread left.
    pub fn start(answers: Vec<(u16, Vec<String>, String)>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        thread::Builder::new().name("canned".to_owned()).spawn(move || {
            let mut answers = answers.into_iter();
            for stream in listener.incoming().flatten() {
                let mut stream = BufReader::new(stream);
                while skip_request(&mut stream).is_some() {
                    let Some((status, headers, body)) = answers.next() else { break };
                    let headers: String =
                        headers.iter().map(|line| format!("{line}\r\n")).collect();
                    let length = body.len();
                    let answer = format!(
                        "HTTP/1.1 {status} Canned\r\nContent-Type: application/json\r\n\
                         Content-Length: {length}\r\n{headers}\r\n{body}"
                    );
                    if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            }
        })?;
        Ok(Self { url })
    }

    /// Where it is, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Reads a request to its end. None if there is no more.
fn skip_request(stream: &mut BufReader<TcpStream>) -> Option<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
    });
    let mut body = stream.take(length.unwrap_or(0));
    io::copy(&mut body, &mut io::sink()).ok().map(drop)
}

impl Elsewhere {
    /// Listens on a free port of this machine. It stops with the process.
    ///
    /// # Errors
    /// When there is no port or thread left.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/v1.0/elsewhere", listener.local_addr()?);
        let visitors = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&visitors);
        thread::Builder::new().name("elsewhere".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                if let Ok(stream) = stream {
                    let _ = stream.shutdown(Shutdown::Both);
                }
            }
        })?;
        Ok(Self { url, visitors })
    }

    /// Where it is, with a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many connections were made to it.
    pub fn visitors(&self) -> usize {
        self.visitors.load(Ordering::SeqCst)
    }
}

const ITEM: &str = r#"{"acl":[{"accessType":"grant","type":"everyone","value":"everyone"}],"properties":{"title":"t"}}"#;

const STATUSES: [u16; 17] =
    [400, 401, 402, 403, 404, 409, 412, 413, 422, 423, 429, 500, 501, 503, 504, 507, 509];

const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// Short of the limit of a body by what an item has besides its content.
const LONG: usize = 3_999_000;

fn long_item() -> String {
    let item = ITEM.strip_suffix('}').unwrap_or(ITEM);
    format!(r#"{item},"content":{{"type":"text","value":"{}"}}}}"#, "x".repeat(LONG))
}

/// Everything that a header value of visible ASCII may hold, and a tab and spaces inside.
const ODD: &str = "a!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\tz  z";

const ODD_ID: &str = "/a?b#c%d e+f&g=h;i:j@k,l$m!n'o(p)q*r~s.t-u_v\u{e4}\u{1f980}";
const ODD_ID_ESCAPED: &str =
    "%2Fa%3Fb%23c%25d%20e%2Bf%26g%3Dh%3Bi%3Aj%40k%2Cl%24m!n'o(p)q*r~s.t-u_v%C3%A4%F0%9F%A6%80";

fn answer(sent: Sending) -> Result<Response<Bytes>, String> {
    sent.map_err(|failure| {
        let why = std::error::Error::source(&failure);
        format!("{failure}: {}", why.map(ToString::to_string).unwrap_or_default())
    })
}

fn failure(sent: Sending) -> Result<Failure, String> {
    match sent {
        Ok(answer) => Err(format!("it is taken for an answer, {}", answer.status())),
        Err(failure) => Ok(failure),
    }
}

fn statuses(sent: Vec<Sending>) -> Result<Vec<u16>, String> {
    sent.into_iter().map(|sent| answer(sent).map(|answer| answer.status().as_u16())).collect()
}

fn not_sent(_: &Stage, Outcome { mut sent, .. }: Outcome) -> Verdict {
    let failure = failure(sent.remove(0))?;
    expect("sent", failure.sent(), Sent::No)?;
    expect("permanent", failure.is_permanent(), false)
}

fn distrusts(sent: Sending) -> Vec<(&'static str, String)> {
    let judge = |sent| {
        let failure = failure(sent)?;
        expect("sent", failure.sent(), Sent::No)?;
        expect("permanent", failure.is_permanent(), true)
    };
    let name = "a certificate that it does not know ends a request for good, before it is sent";
    judge(sent).err().map(|why| (name, why)).into_iter().collect()
}

fn expect<T: PartialEq + fmt::Debug>(what: &str, found: T, expected: T) -> Verdict {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: {found:?}, not {expected:?}")),
    }
}
