//! TLS on loopback: whom the transport believes, and that it speaks HTTP/2 where the server does.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::client::{AsyncTransport, SendOptions, Sent};
use graphfeed_hyper::HyperTransport;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Answers with the version of the request and the length of its body, and counts connections.
struct Server {
    uri: String,
    pem: String,
    connections: Arc<AtomicU32>,
}

async fn server(alpn: &[&[u8]]) -> Server {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let connections = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                // A client that does not believe us hangs up in the middle of the greeting.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                count.fetch_add(1, Ordering::SeqCst);
                let service = service_fn(|request: Request<Incoming>| async {
                    let version = format!("{:?}", request.version());
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let text = format!("{version} {}", body.len());
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
                });
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Server { uri, pem: cert.pem(), connections }
}

fn put(uri: &str, body: &'static [u8]) -> Request<Bytes> {
    Request::put(uri).body(Bytes::from_static(body)).unwrap()
}

async fn text(transport: &impl AsyncTransport, request: Request<Bytes>) -> String {
    let answer = transport.send(request, &SendOptions::default()).await.unwrap();
    String::from_utf8(answer.body().to_vec()).unwrap()
}

#[tokio::test]
async fn http_2_is_spoken_where_the_server_offers_it_on_one_connection() {
    let server = server(&[b"h2", b"http/1.1"]).await;
    let transport = HyperTransport::with_extra_roots(server.pem.as_bytes()).unwrap();
    assert_eq!(text(&transport, put(&server.uri, b"abc")).await, "HTTP/2.0 3");
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let (transport, uri) = (transport.clone(), server.uri.clone());
            tokio::spawn(async move { text(&transport, put(&uri, b"")).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), "HTTP/2.0 0");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    let fresh = SendOptions::default().with_new_connection(true);
    transport.send(put(&server.uri, b""), &fresh).await.unwrap();
    assert_eq!(server.connections.load(Ordering::SeqCst), 2, "a new one on demand");
}

#[tokio::test]
async fn http_1_is_spoken_where_that_is_all_there_is() {
    let server = server(&[b"http/1.1"]).await;
    let transport = HyperTransport::with_extra_roots(server.pem.as_bytes()).unwrap();
    assert_eq!(text(&transport, put(&server.uri, b"abc")).await, "HTTP/1.1 3");
    assert_eq!(text(&transport, put(&server.uri, b"")).await, "HTTP/1.1 0");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1, "connections are kept");
}

#[tokio::test]
async fn a_bad_certificate_is_permanent_and_nothing_was_sent() {
    let server = server(&[b"h2"]).await;
    let transport = HyperTransport::new();
    let failure =
        transport.send(put(&server.uri, b"secret"), &SendOptions::default()).await.unwrap_err();
    assert_eq!((failure.sent(), failure.is_permanent()), (Sent::No, true), "{failure:?}");
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn plain_http_has_to_be_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    let failure = HyperTransport::new().send(put(&uri, b""), &SendOptions::default()).await;
    let failure = failure.unwrap_err();
    assert_eq!((failure.sent(), failure.is_permanent()), (Sent::No, true));
    let nobody = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await;
    assert!(nobody.is_err(), "nobody came");
}

#[test]
fn what_is_no_certificate_is_told() {
    for pem in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let error = HyperTransport::with_extra_roots(pem.as_bytes()).unwrap_err();
        assert!(error.to_string().ends_with("-----BEGIN CERTIFICATE-----"), "{error}");
    }
}
