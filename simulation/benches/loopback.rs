//! What the clients leave of the throughput of what is below them: items over loopback, one after the
//! other with ureq, and sixteen at a time with hyper, into a sink.
//!
//! `cargo bench -p graphfeed-simulation --bench loopback` prints a table, and fails if a row is
//! missed. The other sides are the HTTP library alone, and our transport over it with nothing above:
//! each item is written with `serde_json::to_vec` and has the same time-out, and nothing is repeated
//! or waited for.

mod item;

use std::{
    convert::Infallible,
    net::TcpListener,
    process::ExitCode,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use graphfeed_core::{
    client::{AsyncClient, AsyncTransport, Client, SendOptions, Transport},
    external::PutItem,
    machine::Policy,
    protocol::{Cloud, Endpoint, ServiceRoot, Version},
    types::{AccessToken, ConnectionId},
};
use graphfeed_hyper::{HyperTransport, TokioClock};
use graphfeed_simulation::{
    CONNECTIONS,
    table::{Spread, Table, interleave},
};
use graphfeed_ureq::{SystemClock, UreqTransport, ureq::Agent};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::Client as HyperClient,
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};

const ROUNDS: usize = 401;
const CALLS: usize = 48;
const AT_ONCE: usize = 16;
/// What a client leaves of the throughput of its transport.
const LEAST: f64 = 0.90;
/// What it leaves of that of the library below, which is no target but does not get worse unseen.
const LEAST_OF_THE_LIBRARY: f64 = 0.80;

/// Takes whatever comes, and says nothing but that it is well. It stops with the program.
fn sink() -> String {
    async fn take(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let _ = request.into_body().collect().await;
        Ok(Response::new(Full::default()))
    }

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                stream.set_nodelay(true).expect("a connection");
                let serve =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(take));
                tokio::spawn(serve);
            }
        });
    });
    format!("http://{address}")
}

/// What a program without this crate has.
struct Bare {
    annotated: item::Annotated,
    uri: http::Uri,
    timeout: Duration,
}

impl Bare {
    fn options(&self) -> SendOptions {
        SendOptions::default().with_timeout(self.timeout)
    }

    fn request<B: From<Vec<u8>>>(&self) -> Request<B> {
        let body = serde_json::to_vec(&self.annotated).expect("JSON");
        let mut request = Request::new(B::from(body));
        *request.method_mut() = http::Method::PUT;
        *request.uri_mut() = self.uri.clone();
        let json = HeaderValue::from_static("application/json");
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, json.clone());
        headers.insert(header::ACCEPT, json);
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer token"));
        request
    }
}

/// Calls in a second.
fn rate(calls: impl FnOnce()) -> f64 {
    let began = Instant::now();
    calls();
    CALLS as f64 / began.elapsed().as_secs_f64()
}

/// So many calls, sixteen at a time.
fn at_once<F: Future<Output = ()> + Send + 'static>(
    runtime: &Runtime,
    call: impl Fn() -> F,
) -> f64 {
    rate(|| {
        runtime.block_on(async {
            let mut running = JoinSet::new();
            for begun in 0..CALLS {
                if begun >= AT_ONCE {
                    running.join_next().await.expect("one is under way").expect("it ends");
                }
                running.spawn(call());
            }
            while let Some(ended) = running.join_next().await {
                ended.expect("it ends");
            }
        });
    })
}

fn one_after_the_other(bare: &Bare, root: &ServiceRoot, put: PutItem<'_>) -> [Vec<f64>; 3] {
    let transport = UreqTransport::danger_plain_http();
    let agent = Agent::config_builder().proxy(None).build().new_agent();
    let token = AccessToken::new("token").expect("visible");
    let client = Client::builder(root.clone(), token).build(transport.clone(), SystemClock::new());
    interleave(
        ROUNDS,
        [
            &mut || {
                rate(|| {
                    for _ in 0..CALLS {
                        assert_eq!(client.send(&put).expect("it is taken"), None);
                    }
                })
            },
            &mut || {
                rate(|| {
                    for _ in 0..CALLS {
                        let answer = transport.send(bare.request(), &bare.options());
                        assert_eq!(answer.expect("it is taken").status(), StatusCode::OK);
                    }
                })
            },
            &mut || {
                rate(|| {
                    for _ in 0..CALLS {
                        let request = agent.configure_request(bare.request::<Vec<u8>>());
                        let request = request.timeout_global(Some(bare.timeout)).build();
                        let mut answer = agent.run(request).expect("it is taken");
                        assert_eq!(answer.status(), StatusCode::OK);
                        assert_eq!(answer.body_mut().read_to_vec().expect("it ends"), b"");
                    }
                })
            },
        ],
    )
}

fn sixteen(bare: &Arc<Bare>, root: &ServiceRoot, put: PutItem<'_>) -> [Vec<f64>; 3] {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let transport = HyperTransport::danger_plain_http();
    let library = HyperClient::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let token = AccessToken::new("token").expect("visible");
    let client =
        AsyncClient::builder(root.clone(), token).build_async(transport.clone(), TokioClock::new());
    interleave(
        ROUNDS,
        [
            &mut || {
                at_once(&runtime, || {
                    let pending = client.send(&put);
                    async { assert_eq!(pending.await.expect("it is taken"), None) }
                })
            },
            &mut || {
                at_once(&runtime, || {
                    let (transport, bare) = (transport.clone(), Arc::clone(bare));
                    async move {
                        let answer = transport.send(bare.request(), &bare.options()).await;
                        assert_eq!(answer.expect("it is taken").status(), StatusCode::OK);
                    }
                })
            },
            &mut || {
                at_once(&runtime, || {
                    let (library, bare) = (library.clone(), Arc::clone(bare));
                    async move {
                        let request = bare.request::<Bytes>().map(Full::new);
                        let answer = async {
                            let answer = library.request(request).await.expect("it is taken");
                            assert_eq!(answer.status(), StatusCode::OK);
                            answer.into_body().collect().await.expect("it ends").to_bytes()
                        };
                        let body = tokio::time::timeout(bare.timeout, answer).await;
                        assert_eq!(body.expect("in time"), "");
                    }
                })
            },
        ],
    )
}

fn main() -> ExitCode {
    let root = ServiceRoot::danger_plain_http(&sink(), Cloud::Global, Version::V1).expect("a root");
    let connection = ConnectionId::new(CONNECTIONS[0]).expect("an id");
    let item = item::item("TSP228082938").expect("an item");
    let put = PutItem::new(&connection, &item);
    let request = put.request(&root).expect("a request");
    let bare = Arc::new(Bare {
        annotated: item::Annotated::new(),
        uri: request.uri().clone(),
        timeout: Policy::default().attempt,
    });
    assert_eq!(bare.request::<Bytes>().body(), request.body(), "both write the same bytes");

    println!(
        "Throughput over loopback as a share of what is below the client. Median of {ROUNDS} rounds \
         of {CALLS}\n(and between which half of them lie).\n"
    );
    let mut table = Table::begin("put an item into a sink");
    let mut row = |what: &str, [client, transport, library]: [Vec<f64>; 3]| {
        let shares = [
            (format!("{what}: of our transport's"), LEAST, &transport),
            (format!("{what}: of the library's"), LEAST_OF_THE_LIBRARY, &library),
        ];
        for (what, least, floor) in shares {
            table.at_least(&what, least, Spread::of_ratios(&client, floor));
        }
        for (what, rates) in [
            ("  calls a second", client),
            ("  our transport alone", transport),
            ("  the library alone", library),
        ] {
            table.note(what, &Spread::of(rates).to_string());
        }
    };
    row("ureq, one after the other", one_after_the_other(&bare, &root, put));
    row("hyper, sixteen at a time", sixteen(&bare, &root, put));
    table.end()
}
