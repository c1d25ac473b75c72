//! The emulator as a program: `graphfeed-emulator --listen 127.0.0.1:0`.

use std::{
    error::Error,
    fmt::Display,
    fs::{self, File},
    io::{self, Write as _},
    net::{SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

#[cfg(feature = "tls")]
use graphfeed_emulator::server::TestCertificate;
use graphfeed_emulator::{Authorization, Behaviour, Emulator, Options, server::Server};
use lexopt::prelude::*;
use tokio::sync::Notify;

const USAGE: &str = "\
Microsoft Graph external items and user activities, on this machine.

Usage: graphfeed-emulator [OPTIONS]

Prints `listening on http://ADDRESS` to stdout when it is ready. To stderr goes what it lets pass
although a client had better not do it, who comes back before the time that a Retry-After told,
and in the end how many early calls there were. Ctrl-C ends it. Any bearer token is good, unless
there is an --application. What it stores is gone then, unless there is a --state.

Options:
  --listen ADDRESS    where to listen, port 0 for a free one [127.0.0.1:0]
  --seed NUMBER       where the generators of ids and of chance start [0]
  --set NAME=VALUE    set a switch; may be given more than once
  --tls FILE          https instead of http, as `localhost`; the certificate to trust, made anew
                      each time, is written to FILE as PEM. Only if built with the feature `tls`
  --state FILE        begin with what the file has, if it is there, and write it at the end: what
                      is stored, and no tokens, faults or limits
  --help              print this
  --version           print the version

Faults, limits and early calls:
  --fault FAULT       script a fault, see below; may be given more than once
  --throttle LIMIT    set a limit, see below; may be given more than once
  --latency TIME      how long answers take: 0.05, 0.02..0.06, or log-normal 'median=0.3 p99=2'
  --early-calls HOW   `call`: judge a request that has the client-request-id of one that was told
                      to wait; `lane`: also others of its connection or user after a 429 [call]

Tokens:
  --application APP   register an application, and from then on take only tokens that were issued
                      here; may be given more than once. APP is
                      id=ID,secret=SECRET,tenant=TENANT,roles=ROLE|ROLE,scopes=SCOPE|SCOPE
                      of which only id has to be there. Secrets are made up, so they may be seen
  --auth              says the same, and that there has to be an --application
  --token-life SECS   how long a token lives [3600]
  --refresh-once      a refresh token is good once
  --managed-identity id=ID,header=SECRET
                      the application that is the managed identity of this machine
  --user ID           the object id of the user who signs in
  --sign-in HOW       `by-hand`: on the control path; `polls=N`: when the client has asked N times;
                      `after=SECS` [by-hand]
  --require-claims JSON
                      a token has to have these claims, or there is a claims challenge

Control:
  --control           answer /__emulator (GET it to begin with). It asks nobody who they are
  --journal N         keep the last N requests for it; no header, query or body [0]

A fault is REQUESTS: EFFECT [| EFFECT]...
  REQUESTS  *, PUT item, item, PUT *, PUT /external/connections/ID/items/{item}. Resources are
            connection, connections, quota, schema, operation, item, addActivities, group, member,
            activity, activities, recent, historyItem, batch; token, devicecode, msi, imds
  EFFECT    STATUS, html STATUS, reset, hang [SECS], each also behind `stored` (carried out
            before); truncated; no-responses, unknown-id (of a batch); pass
  behind it retry-after=VALUE|date:SECS|ms:N, code=CODE, header=NAME:VALUE, latency=SECS
  for all   times=N, from=N, every=N, chance=P, within=SECS (after a connection was created)
  such as   'PUT item: 429 retry-after=1.5 times=3'
            '*: 503 retry-after=2 | stored 500 | reset chance=0.05'

A limit is [REQUESTS:] MEASURE [OPTION]...
  MEASURE   bucket rate=R burst=B, window limit=N seconds=W, concurrency limit=N
  OPTION    per=lane|application|all, refused=free|counted,
            retry-after=VALUE|date:SECS|ms:N|whole|exact|ms:exact
  such as   'bucket rate=25 burst=25 retry-after=1'
            'PUT item: window limit=250 seconds=10 per=application retry-after=whole'

Switches, with their defaults:
";

/// How often reports are looked for.
const REPORTS: Duration = Duration::from_millis(100);

/// What the command line asks for.
enum Wanted {
    Service(Box<Arguments>),
    /// A text on stdout, and nothing else.
    Text(String),
}

struct Arguments {
    /// As it was given, and what it stands for.
    address: String,
    listen: Vec<SocketAddr>,
    emulator: Emulator,
    state: Option<PathBuf>,
    /// For TLS.
    certificate: Option<TestCertificate>,
}

/// Without the feature `tls` there is none.
#[cfg(not(feature = "tls"))]
enum TestCertificate {}

fn main() -> ExitCode {
    let done = match read_arguments() {
        Ok(Wanted::Service(arguments)) => run(*arguments),
        Ok(Wanted::Text(text)) => print(&text),
        Err(error) => {
            tell(format_args!("graphfeed-emulator: {error}\nTry --help."));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(format_args!("graphfeed-emulator: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes to stdout, which may be closed or full.
fn print(text: &str) -> Result<(), Box<dyn Error>> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| format!("cannot write to stdout: {error}").into())
}

/// Writes a line to stderr. If nobody listens there, nobody misses it.
fn tell(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn read_arguments() -> Result<Wanted, Box<dyn Error>> {
    let mut address = "127.0.0.1:0".to_owned();
    let mut options = Options { origin: SystemTime::now(), ..Options::default() };
    let mut authorization = Authorization::default();
    let mut checks_tokens = false;
    let mut state = None;
    let mut certificate_file = None;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("listen") => address = parser.value()?.string()?,
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("set") => {
                let value = parser.value()?.string()?;
                let (name, value) = value
                    .split_once('=')
                    .ok_or_else(|| format!("--set takes NAME=VALUE, not {value:?}"))?;
                options.behaviour.set(name, value)?;
            }
            Long("fault") => options.faults.push(parser.value()?.string()?.parse()?),
            Long("throttle") => options.limits.push(parser.value()?.string()?.parse()?),
            Long("latency") => options.latency = Some(parser.value()?.string()?.parse()?),
            Long("early-calls") => options.early_calls = parser.value()?.string()?.parse()?,
            Long("application") => {
                checks_tokens = true;
                authorization.applications.push(parser.value()?.string()?.parse()?);
            }
            Long("auth") => checks_tokens = true,
            Long("token-life") => authorization.token_life = seconds(&parser.value()?.string()?)?,
            Long("refresh-once") => authorization.refresh_once = true,
            Long("managed-identity") => {
                authorization.managed_identity = Some(parser.value()?.string()?.parse()?);
            }
            Long("user") => authorization.user = parser.value()?.string()?,
            Long("sign-in") => authorization.sign_in = parser.value()?.string()?.parse()?,
            Long("require-claims") => {
                let claims = parser.value()?.string()?;
                serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&claims)
                    .map_err(|why| format!("--require-claims takes a JSON object: {why}"))?;
                authorization.claims = Some(claims);
            }
            Long("control") => options.control = true,
            Long("journal") => options.journal = parser.value()?.parse()?,
            Long("state") => state = Some(PathBuf::from(parser.value()?)),
            Long("tls") => certificate_file = Some(PathBuf::from(parser.value()?)),
            // What stands alone may be a secret that lost its option.
            Value(_) => return Err("every argument belongs to an option".into()),
            Long("help") => {
                return Ok(Wanted::Text(format!("{USAGE}{}", switches())));
            }
            Long("version") => {
                let version = env!("CARGO_PKG_VERSION");
                return Ok(Wanted::Text(format!("graphfeed-emulator {version}\n")));
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if checks_tokens {
        if authorization.applications.is_empty() {
            return Err("--auth needs an --application that can get a token".into());
        }
        options.authorization = Some(authorization);
    } else if authorization != Authorization::default() {
        return Err("options for tokens need an --application".into());
    }
    let listen = address
        .to_socket_addrs()
        .map_err(|error| format!("{address:?} is no address such as 127.0.0.1:0: {error}"))?
        .collect();
    let emulator = Emulator::new(options);
    if let Some(file) = &state {
        begin(&emulator, file)
            .map_err(|why| format!("cannot begin with the state in {}: {why}", file.display()))?;
    }
    let certificate = certificate_file.as_deref().map(certificate).transpose()?;
    Ok(Wanted::Service(Box::new(Arguments { address, listen, emulator, state, certificate })))
}

/// Makes a certificate and writes it to a file, for clients to trust.
#[cfg(feature = "tls")]
fn certificate(file: &Path) -> Result<TestCertificate, String> {
    let certificate = TestCertificate::new();
    fs::write(file, certificate.pem())
        .map_err(|why| format!("cannot write the certificate to {}: {why}", file.display()))?;
    Ok(certificate)
}

#[cfg(not(feature = "tls"))]
fn certificate(_: &Path) -> Result<TestCertificate, String> {
    Err("--tls needs a program that is built with --features tls".to_owned())
}

/// Begins with what is in the file. If it is not there it is made, to learn now and not at the end
/// that this cannot be.
fn begin(emulator: &Emulator, file: &Path) -> Result<(), Box<dyn Error>> {
    match fs::read(file) {
        Ok(saved) => Ok(emulator.restore(&saved)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(save(emulator, file)?),
        Err(error) => Err(error.into()),
    }
}

/// The file is the old one or the new one, whatever happens meanwhile.
fn save(emulator: &Emulator, file: &Path) -> io::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let mut new = File::create(&beside)?;
    new.write_all(&emulator.save())?;
    new.sync_all()?;
    fs::rename(beside, file)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| format!("{text:?} is no number of seconds"))
}

fn switches() -> String {
    let defaults = Behaviour::default();
    let mut text = String::new();
    for switch in Behaviour::SWITCHES {
        let default = defaults.get(switch.name).unwrap_or_default();
        text += &format!("  {}={default}  ({})\n", switch.name, switch.values);
        let lines = switch.about.iter().take_while(|line| !line.is_empty());
        for line in lines {
            text += &format!("     {line}\n");
        }
    }
    text
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let Arguments { address, listen, emulator, state, certificate } = arguments;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before the line is printed: who has read it may send the signal.
    let interrupted = Arc::new(Notify::new());
    runtime.block_on(listen_for_signals(&interrupted))?;
    let server = start(&emulator, &listen, certificate.as_ref()).map_err(|error| {
        format!(
            "cannot listen on {address}: {error}; choose another port, or let the system choose \
             a free one with --listen 127.0.0.1:0"
        )
    })?;
    let bound = server.address();
    if !bound.ip().to_canonical().is_loopback() {
        tell(format_args!(
            "warning: {bound} is no loopback address; anybody who reaches it can read and write \
             everything"
        ));
    }
    print(&format!("listening on {}\n", server.url()))?;
    let (mut reports, mut early_calls) = (0, 0);
    let mut print_news = || {
        let service = emulator.service();
        let mut lines = news(service.reports(), service.report_count(), &mut reports);
        lines.extend(news(service.early_calls(), service.early_count(), &mut early_calls));
        // Whoever reads stderr slowly must not keep others from the service.
        drop(service);
        lines.iter().for_each(tell);
    };
    runtime.block_on(async {
        while tokio::time::timeout(REPORTS, interrupted.notified()).await.is_err() {
            print_news();
        }
    });
    drop(server);
    print_news();
    tell(format_args!("early calls: {early_calls}"));
    if let Some(file) = state {
        save(&emulator, &file)
            .map_err(|why| format!("cannot write the state to {}: {why}", file.display()))?;
    }
    Ok(())
}

fn start(
    emulator: &Emulator,
    listen: &[SocketAddr],
    certificate: Option<&TestCertificate>,
) -> io::Result<Server> {
    match certificate {
        None => Server::start(emulator.clone(), listen),
        #[cfg(feature = "tls")]
        Some(certificate) => Server::start_tls(emulator.clone(), listen, certificate),
        #[cfg(not(feature = "tls"))]
        Some(never) => match *never {},
    }
}

/// What has come to a list since `told` of it were told. Of many, only the last are kept; after a
/// reset they are counted anew.
fn news<T: ToString>(kept: impl Iterator<Item = T>, count: u64, told: &mut u64) -> Vec<String> {
    let new = count.checked_sub(std::mem::replace(told, count)).unwrap_or(count);
    if new == 0 {
        return Vec::new();
    }
    let mut lines: Vec<String> = kept.map(|each| each.to_string()).collect();
    let old = lines.len().saturating_sub(usize::try_from(new).unwrap_or(usize::MAX));
    lines.split_off(old)
}

/// Ctrl-C, and on Unix the signal that ends a container.
#[cfg(unix)]
async fn listen_for_signals(interrupted: &Arc<Notify>) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signal = signal(kind)?;
        let interrupted = Arc::clone(interrupted);
        tokio::spawn(async move {
            signal.recv().await;
            interrupted.notify_one();
        });
    }
    Ok(())
}

/// Ctrl-C.
#[cfg(not(unix))]
async fn listen_for_signals(interrupted: &Arc<Notify>) -> io::Result<()> {
    let interrupted = Arc::clone(interrupted);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            interrupted.notify_one();
        }
    });
    Ok(())
}
