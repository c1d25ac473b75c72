//! TLS and proxies on loopback: whom the transport believes, and which way it goes.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{Arc, mpsc::channel},
    thread,
};

use bytes::Bytes;
use graphfeed_core::client::{SendOptions, Sent, Transport};
use graphfeed_ureq::{UreqTransport, ureq};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// Answers every request over TLS with 200, and gives its address and its certificate.
fn server() -> (String, String) {
    let names = vec!["localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = BufReader::new(StreamOwned::new(connection, stream.unwrap()));
            // A client that does not believe us hangs up in the middle of the greeting.
            if read_head(&mut tls).is_some() {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                let _ = tls.get_mut().write_all(answer);
            }
        }
    });
    (format!("https://localhost:{port}/"), cert.pem())
}

fn read_head(stream: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

fn put(uri: &str) -> http::Request<Bytes> {
    http::Request::put(uri).body(Bytes::new()).unwrap()
}

#[test]
fn a_certificate_is_believed_if_its_root_is_given_and_refused_for_good_if_not() {
    let (uri, pem) = server();
    let transport = UreqTransport::with_extra_roots(pem.as_bytes()).unwrap();
    let answer = transport.send(put(&uri), &SendOptions::default()).unwrap();
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"ok"[..]));

    let failure = UreqTransport::new().send(put(&uri), &SendOptions::default()).unwrap_err();
    assert_eq!((failure.sent(), failure.is_permanent()), (Sent::No, true), "{failure:?}");
}

#[test]
fn what_is_no_certificate_is_told() {
    let CertifiedKey { signing_key, .. } = generate_simple_self_signed(vec![]).unwrap();
    for pem in ["", "no PEM", &signing_key.serialize_pem()] {
        let error = UreqTransport::with_extra_roots(pem.as_bytes()).unwrap_err();
        assert!(error.to_string().ends_with("-----BEGIN CERTIFICATE-----"), "{error}");
    }
}

/// Passes bytes on to where a CONNECT asks, and tells where that was.
fn proxy() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, asked) = channel();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = BufReader::new(client.unwrap());
            let head = read_head(&mut client).unwrap();
            let target = head.split(' ').nth(1).unwrap().to_owned();
            tell.send(head.lines().next().unwrap().to_owned()).unwrap();
            let port = target.rsplit(':').next().unwrap();
            let mut server = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
            let mut client = client.into_inner();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let (mut back, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut client, &mut to));
            thread::spawn(move || std::io::copy(&mut server, &mut back));
        }
    });
    (address, asked)
}

/// Run by the test below in a process of its own, whose environment names a proxy.
#[test]
fn through_the_proxy_of_the_environment() {
    let Some(uri) = std::env::var_os("GRAPHFEED_TEST_URI") else {
        return;
    };
    let mut pem = Vec::new();
    std::io::stdin().read_to_end(&mut pem).unwrap();
    let transport = UreqTransport::with_extra_roots(&pem).unwrap();
    let answer = transport.send(put(uri.to_str().unwrap()), &SendOptions::default()).unwrap();
    assert_eq!(answer.status(), 200);
}

#[test]
fn the_proxy_of_the_environment_is_used() {
    let (uri, pem) = server();
    let (proxy, asked) = proxy();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "through_the_proxy_of_the_environment"])
        .env("GRAPHFEED_TEST_URI", &uri)
        .env("HTTPS_PROXY", format!("http://{proxy}"))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(pem.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let host = uri.trim_start_matches("https://").trim_end_matches('/');
    assert_eq!(asked.try_recv().unwrap(), format!("CONNECT {host} HTTP/1.1"));
}

#[test]
fn an_agent_with_its_own_proxy_is_taken_as_it_is() {
    let (uri, pem) = server();
    let (proxy, asked) = proxy();
    let item = ureq::tls::parse_pem(pem.as_bytes()).next().unwrap().unwrap();
    let ureq::tls::PemItem::Certificate(root) = item else { panic!() };
    let tls = ureq::tls::TlsConfig::builder().root_certs([root].into_iter().into()).build();
    let agent = ureq::Agent::config_builder()
        .tls_config(tls)
        .proxy(Some(ureq::Proxy::new(&format!("http://{proxy}")).unwrap()))
        .build()
        .new_agent();
    let transport = UreqTransport::with_agent(agent);
    assert_eq!(transport.send(put(&uri), &SendOptions::default()).unwrap().status(), 200);
    assert!(asked.try_recv().unwrap().starts_with("CONNECT localhost:"));
}
