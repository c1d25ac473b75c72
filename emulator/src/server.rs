//! The service on a socket: HTTP/1.1 by hyper, on a thread of its own.
//!
//! Lives here: listening, reading a body with its limits, stopping. What a request means does
//! not: a whole request goes to the [`Emulator`], and its answer back.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    thread::JoinHandle,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, Request, Response, Uri, header,
    uri::{Authority, Scheme},
};
use http_body_util::BodyExt as _;
use hyper::{
    body::{Body as _, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, oneshot},
};

use crate::{Delivery, Emulator, Outcome, incoming::Length};

#[cfg(feature = "tls")]
use crate::tls::Acceptor;
#[cfg(feature = "tls")]
pub use crate::tls::TestCertificate;

/// From this size on, a body is read by a thread of its own, for the others would have to wait.
const LARGE: usize = 64 * 1024;
/// How many of those threads there are at most.
const LARGE_AT_ONCE: usize = 2;
/// How long a stop waits for answers that are under way.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// How long to wait when no connection can be accepted, because there are no descriptors left.
const NO_DESCRIPTOR: Duration = Duration::from_millis(20);

/// How patient a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long a connection may take to send the head of a request, and how long it may be idle
    /// between two. Then it is closed. 60 seconds by default.
    pub head: Duration,
    /// How long the body of a request may take. Then the connection is closed. 60 seconds by
    /// default.
    pub body: Duration,
    /// The most connections at a time; more have to wait. 512 by default.
    pub connections: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(60), body: Duration::from_secs(60), connections: 512 }
    }
}

/// An [`Emulator`] that listens. It stops when this is dropped.
///
/// ```
/// use graphfeed_emulator::{Emulator, server::Server};
///
/// let emulator = Emulator::default();
/// let server = Server::start(emulator.clone(), "127.0.0.1:0")?;
/// assert!(server.url().starts_with("http://127.0.0.1:"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    url: String,
    accepted: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on an address, port 0 for any that is free. It is ready when this returns.
    ///
    /// # Errors
    /// The address cannot be listened on, or the system has no thread left.
    pub fn start(emulator: Emulator, address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::start_with(emulator, address, Patience::default())
    }

    /// Like [`start`](Self::start), with other limits.
    ///
    /// # Errors
    /// The address cannot be listened on, or the system has no thread left.
    pub fn start_with(
        emulator: Emulator,
        address: impl ToSocketAddrs,
        patience: Patience,
    ) -> io::Result<Self> {
        Self::listen(emulator, address, patience, None)
    }

    /// Like [`start`](Self::start), over TLS, for clients that trust the certificate.
    ///
    /// # Errors
    /// The address cannot be listened on, or the system has no thread left.
    #[cfg(feature = "tls")]
    pub fn start_tls(
        emulator: Emulator,
        address: impl ToSocketAddrs,
        certificate: &TestCertificate,
    ) -> io::Result<Self> {
        Self::listen(emulator, address, Patience::default(), Some(certificate.acceptor()))
    }

    fn listen(
        emulator: Emulator,
        address: impl ToSocketAddrs,
        patience: Patience,
        tls: Option<Acceptor>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let accepted = Arc::new(AtomicU64::new(0));
        let door = Door { listener, tls, accepted: Arc::clone(&accepted) };
        // A certificate speaks for a name, and not for an address.
        let url = match door.tls {
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        };
        let thread =
            std::thread::Builder::new().name("graphfeed-emulator".to_owned()).spawn(move || {
                runtime.block_on(serve(door, emulator, patience, stopped));
                // A body that is being read by another thread is not waited for.
                runtime.shutdown_background();
            })?;
        Ok(Self { address, url, accepted, stop: Some(stop), thread: Some(thread) })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is, without a version and a slash at the end: `http://127.0.0.1:40351`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many connections have been made to it.
    pub fn connections(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// Where clients come in.
struct Door {
    listener: tokio::net::TcpListener,
    tls: Option<Acceptor>,
    accepted: Arc<AtomicU64>,
}

/// Without the feature `tls` there is none.
#[cfg(not(feature = "tls"))]
#[derive(Clone)]
enum Acceptor {}

impl Drop for Server {
    /// Stops: no connection is accepted any more, and answers under way get a second.
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic over there has been printed; one more here would abort.
            let _ = thread.join();
        }
    }
}

async fn serve(
    door: Door,
    emulator: Emulator,
    patience: Patience,
    stopped: oneshot::Receiver<Infallible>,
) {
    let graceful = GracefulShutdown::new();
    {
        let mut accepting = pin!(accept(door, emulator, patience, &graceful));
        let mut stopped = pin!(stopped);
        poll_fn(|context| {
            let _ = accepting.as_mut().poll(context);
            // The other end is never used, only dropped.
            stopped.as_mut().poll(context).map(drop)
        })
        .await;
    }
    let _ = tokio::time::timeout(LAST_ANSWERS, graceful.shutdown()).await;
}

async fn accept(
    door: Door,
    emulator: Emulator,
    patience: Patience,
    graceful: &GracefulShutdown,
) -> Infallible {
    let seats = Arc::new(Semaphore::new(patience.connections));
    let handler = Handler {
        emulator,
        scheme: if door.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP },
        body_time: patience.body,
        large: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
    };
    loop {
        let seat = Arc::clone(&seats).acquire_owned().await;
        let Ok((stream, _)) = door.listener.accept().await else {
            tokio::time::sleep(NO_DESCRIPTOR).await;
            continue;
        };
        door.accepted.fetch_add(1, Ordering::SeqCst);
        // Answers are small and must not wait for each other. If the socket is gone already,
        // the connection finds out.
        let _ = stream.set_nodelay(true);
        let (handler, watcher, tls) = (handler.clone(), graceful.watcher(), door.tls.clone());
        tokio::spawn(async move {
            match tls {
                None => converse(stream, handler, patience.head, watcher).await,
                #[cfg(feature = "tls")]
                Some(tls) => {
                    // Whoever does not believe the certificate hangs up in the middle of it.
                    let greeting = tokio::time::timeout(patience.head, tls.accept(stream));
                    if let Ok(Ok(stream)) = greeting.await {
                        converse(stream, handler, patience.head, watcher).await;
                    }
                }
                #[cfg(not(feature = "tls"))]
                Some(never) => match never {},
            }
            drop(seat);
        });
    }
}

/// Answers the requests of one connection.
async fn converse<S>(stream: S, handler: Handler, head: Duration, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).header_read_timeout(head).serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| handler.clone().answer(request)),
        );
    // What goes wrong on one connection, a reset or garbage, is that client's affair.
    let _ = watcher.watch(connection).await;
}

#[derive(Clone)]
struct Handler {
    emulator: Emulator,
    scheme: Scheme,
    body_time: Duration,
    large: Arc<Semaphore>,
}

/// A target as the client meant it: its scheme stands nowhere in the request (RFC 9112, 3.3), and
/// an answer has to link to it. One that cannot be completed stays as it is.
fn whole(uri: Uri, headers: &HeaderMap, scheme: &Scheme) -> Uri {
    let host = headers.get(header::HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let Some(host) = host.filter(|_| uri.authority().is_none()) else {
        return uri;
    };
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(scheme.clone());
    parts.authority = Some(host);
    Uri::from_parts(parts).unwrap_or(uri)
}

/// What is left of a body.
enum Read {
    Whole(Bytes),
    /// Longer than is accepted, and read to its end.
    Long(Length),
    /// Longer than is read.
    TooLong(Length),
}

/// The body of an answer, whole or not.
struct Sent {
    data: Option<Bytes>,
    /// Whether it ends with an error, so that hyper closes the connection.
    breaks_off: bool,
    flushed: bool,
}

impl hyper::body::Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(data) = self.data.take().filter(|data| !data.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if !self.breaks_off {
            return Poll::Ready(None);
        }
        // While it waits for more, hyper sends what it has.
        if !std::mem::replace(&mut self.flushed, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())))
    }

    fn is_end_stream(&self) -> bool {
        !self.breaks_off && self.data.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.data, self.breaks_off) {
            (Some(data), false) => SizeHint::with_exact(data.len() as u64),
            (None, false) => SizeHint::with_exact(0),
            (_, true) => SizeHint::default(),
        }
    }
}

impl Handler {
    /// # Errors
    /// The body did not arrive, or not in time, or a fault leaves no answer: the connection is
    /// closed.
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Sent>, io::Error> {
        let (mut head, body) = request.into_parts();
        head.uri = whole(head.uri, &head.headers, &self.scheme);
        let read = tokio::time::timeout(self.body_time, self.read(body))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let mut close = false;
        let Delivery { latency, outcome } = match read {
            Read::Whole(body) if body.len() >= LARGE => {
                let Self { emulator, large, .. } = self;
                let request = Request::from_parts(head, body);
                let _turn = large.acquire().await;
                tokio::task::spawn_blocking(move || emulator.deliver(&request))
                    .await
                    .map_err(io::Error::other)?
            }
            Read::Whole(body) => self.emulator.deliver(&Request::from_parts(head, body)),
            Read::Long(length) => {
                let request = Request::from_parts(head, Bytes::new());
                self.emulator.refuse_body(&request, length)
            }
            Read::TooLong(length) => {
                let request = Request::from_parts(head, Bytes::new());
                close = true;
                self.emulator.refuse_body(&request, length)
            }
        };
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let closed = |why| Err(io::Error::new(io::ErrorKind::ConnectionAborted, why));
        let (mut answer, breaks_off) = match outcome {
            Outcome::Answer(answer) => (answer, false),
            Outcome::Truncated { mut answer, announced } => {
                answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(announced));
                (answer, true)
            }
            Outcome::Reset => return closed("by a fault, without an answer"),
            Outcome::Hang(bound) => {
                tokio::time::sleep(bound).await;
                return closed("by a fault, after a long time");
            }
        };
        if close {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(answer.map(|data| Sent { data: Some(data), breaks_off, flushed: false }))
    }

    async fn read(&self, mut body: Incoming) -> Result<Read, io::Error> {
        let behaviour = &self.emulator.options().behaviour;
        let announced = body.size_hint().lower();
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        if announced > behaviour.read_limit {
            return Ok(Read::TooLong(Length::Exact(announced)));
        }
        let mut kept = BytesMut::new();
        let mut read = 0_usize;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(io::Error::other)?.into_data() else {
                continue;
            };
            read = read.saturating_add(data.len());
            if read > behaviour.read_limit {
                return Ok(Read::TooLong(Length::AtLeast(read)));
            }
            // What is refused for its length needs not be kept.
            if read <= behaviour.body_limit {
                kept.extend_from_slice(&data);
            } else {
                kept = BytesMut::new();
            }
        }
        Ok(match read <= behaviour.body_limit {
            true => Read::Whole(kept.freeze()),
            false => Read::Long(Length::Exact(read)),
        })
    }
}
