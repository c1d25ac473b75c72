//! What ureq does on the wire, against a server of a few lines: what is read back here is the
//! bytes themselves.

use std::{
    error::Error as _,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::client::{Failure, SendOptions, Sent, Transport};
use graphfeed_ureq::UreqTransport;

/// One request as it arrived: its head and its body.
struct Seen {
    head: String,
    body: Vec<u8>,
}

/// Serves one canned answer after the other, each on whatever connection asks next, and tells
/// what it saw. Without answers left it closes connections.
struct Server {
    address: String,
    seen: Receiver<Seen>,
    connections: Receiver<()>,
}

impl Server {
    fn start(answers: Vec<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (tell, seen) = channel();
        let (opened, connections) = channel();
        thread::spawn(move || {
            let mut answers = answers.into_iter();
            for stream in listener.incoming() {
                let _ = opened.send(());
                let mut stream = BufReader::new(stream.unwrap());
                while let Some(request) = read_request(&mut stream) {
                    if tell.send(request).is_err() {
                        return;
                    }
                    match answers.next() {
                        Some(answer) => stream.get_mut().write_all(answer.as_bytes()).unwrap(),
                        None => break,
                    }
                    if answers.len() == 0 {
                        break;
                    }
                }
            }
        });
        Self { address, seen, connections }
    }

    fn request(&self, method: &str) -> http::Request<Bytes> {
        http::Request::builder()
            .method(method)
            .uri(format!("http://{}/v1.0/x%2Fy", self.address))
            .header("Authorization", "Bearer secret")
            .header("X-Odd", "a~b\t\"c\"")
            .body(Bytes::new())
            .unwrap()
    }

    fn seen(&self) -> Seen {
        self.seen.recv_timeout(Duration::from_secs(10)).unwrap()
    }
}

fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Seen { head, body })
}

fn plain() -> UreqTransport {
    UreqTransport::danger_plain_http()
}

fn send(
    transport: &UreqTransport,
    request: http::Request<Bytes>,
) -> Result<http::Response<Bytes>, Failure> {
    transport.send(request, &SendOptions::default())
}

#[test]
fn request_and_answer_arrive_as_they_are() {
    let server =
        Server::start(vec!["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Answer: yes\r\n\r\nok"]);
    let mut request = server.request("PUT");
    *request.body_mut() = Bytes::from_static(b"{\"a\":1}");
    let answer = send(&plain(), request).unwrap();
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"ok"[..]));
    assert_eq!(answer.headers()["X-Answer"], "yes");
    let seen = server.seen();
    assert!(seen.head.starts_with("PUT /v1.0/x%2Fy HTTP/1.1\r\n"), "{}", seen.head);
    let head = seen.head.to_ascii_lowercase();
    assert!(head.contains("authorization: bearer secret\r\n"), "{head}");
    assert!(head.contains("x-odd: a~b\t\"c\"\r\n"), "{head}");
    assert_eq!(seen.body, b"{\"a\":1}");
}

#[test]
fn every_method_of_the_service_goes_out_with_and_without_a_body() {
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        for body in ["", "{}"] {
            if method == "GET" && !body.is_empty() {
                continue;
            }
            let server = Server::start(vec!["HTTP/1.1 204 No Content\r\n\r\n"]);
            let mut request = server.request(method);
            *request.body_mut() = Bytes::from_static(body.as_bytes());
            let answer = send(&plain(), request).unwrap();
            assert_eq!(answer.status(), 204, "{method}");
            let seen = server.seen();
            assert!(seen.head.starts_with(&format!("{method} ")), "{}", seen.head);
            assert_eq!(seen.body, body.as_bytes(), "{method}");
        }
    }
}

#[test]
fn every_status_is_an_answer_and_keeps_its_body() {
    for status in [400, 401, 404, 429, 500, 503] {
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\nwhy:?");
        let server = Server::start(vec![answer.leak()]);
        let answer = send(&plain(), server.request("GET")).unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (status, &b"why:?"[..]));
    }
}

#[test]
fn a_redirect_is_an_answer_and_nobody_follows_it() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Server::start(vec![]);
        let answer = format!(
            "HTTP/1.1 {status} Moved\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n",
            elsewhere.address
        );
        let server = Server::start(vec![answer.leak()]);
        let answer = send(&plain(), server.request("PUT")).unwrap();
        assert_eq!(answer.status(), status);
        assert!(answer.headers().contains_key("Location"));
        assert!(elsewhere.connections.try_recv().is_err(), "nothing reached the other server");
    }
}

#[test]
fn plain_http_has_to_be_asked_for() {
    let server = Server::start(vec![]);
    let failure = send(&UreqTransport::new(), server.request("GET")).unwrap_err();
    assert_eq!((failure.sent(), failure.is_permanent()), (Sent::No, true));
    assert!(server.connections.try_recv().is_err());
}

#[test]
fn a_refused_connection_was_not_sent() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let request =
        http::Request::put(format!("http://{address}/")).body(Bytes::from_static(b"x")).unwrap();
    let failure = send(&plain(), request).unwrap_err();
    assert_eq!((failure.sent(), failure.is_permanent()), (Sent::No, false));
    assert!(failure.source().is_some());
}

#[test]
fn a_host_that_does_not_exist_was_not_sent_to() {
    let request = http::Request::get("http://no-such-host.invalid/").body(Bytes::new()).unwrap();
    assert_eq!(send(&plain(), request).unwrap_err().sent(), Sent::No);
}

#[test]
fn a_connection_that_breaks_after_the_request_may_have_carried_it() {
    let cut_short = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nonly this";
    for answers in [vec![], vec![cut_short], vec!["HTTP/1.1 nonsense\r\n\r\n"]] {
        let server = Server::start(answers);
        let failure = send(&plain(), server.request("PUT")).unwrap_err();
        assert_eq!((failure.sent(), failure.is_permanent()), (Sent::Maybe, false));
    }
}

#[test]
fn what_came_of_an_answer_that_broke_off_is_kept() {
    for status in [200, 400, 429] {
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: 20\r\nrequest-id: r-1\r\n\r\n{{\"error\""
        );
        let server = Server::start(vec![answer.leak()]);
        let failure = send(&plain(), server.request("PUT")).unwrap_err();
        let partial = failure.partial().unwrap();
        assert_eq!(partial.status(), status);
        assert_eq!(partial.headers()["request-id"], "r-1");
        assert_eq!(&partial.body()[..], b"{\"error\"");
    }
}

#[test]
fn a_failure_names_the_address_and_the_fix() {
    let text = |failure: Failure| failure.source().unwrap().to_string();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let request =
        |scheme| http::Request::get(format!("{scheme}://{address}/")).body(Bytes::new()).unwrap();
    let refused = text(send(&plain(), request("http")).unwrap_err());
    assert!(refused.starts_with(&format!("{address}: io: Connection refused")), "{refused}");
    let plain_http = text(send(&UreqTransport::new(), request("http")).unwrap_err());
    assert!(plain_http.ends_with("UreqTransport::danger_plain_http()"), "{plain_http}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("https://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Until the client has had enough.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let request = http::Request::get(uri).body(Bytes::new()).unwrap();
    let no_tls = text(send(&UreqTransport::new(), request).unwrap_err());
    assert!(no_tls.contains("the server does not speak TLS"), "{no_tls}");
}

#[test]
fn no_timeout_is_too_long() {
    let server = Server::start(vec!["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
    let options = SendOptions::default().with_timeout(Duration::MAX);
    assert_eq!(plain().send(server.request("GET"), &options).unwrap().status(), 200);
}

#[test]
fn silence_ends_at_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    let options = SendOptions::default().with_timeout(Duration::from_millis(50));
    let request = http::Request::put(uri).body(Bytes::from_static(b"x")).unwrap();
    let failure = plain().send(request, &options).unwrap_err();
    assert_eq!(failure.sent(), Sent::Maybe);
}

#[test]
fn a_body_over_the_limit_is_not_read_into_memory() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n12345678901";
    for (limit, fits) in [(11, true), (10, false)] {
        let server = Server::start(vec![answer]);
        let options = SendOptions::default().with_max_body(limit);
        let sent = plain().send(server.request("GET"), &options);
        assert_eq!(sent.as_ref().map(|answer| answer.body().len()).ok(), fits.then_some(11));
        if let Err(failure) = sent {
            assert_eq!((failure.sent(), failure.is_permanent()), (Sent::Maybe, true));
        }
    }
}

#[test]
fn connections_are_kept_unless_a_new_one_is_asked_for() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for (new_connection, connections) in [(false, 1), (true, 2)] {
        let server = Server::start(vec![ok, ok, ok]);
        let transport = plain();
        send(&transport, server.request("GET")).unwrap();
        let options = SendOptions::default().with_new_connection(new_connection);
        // The server takes one connection after the other; the first has to end for the second.
        let sender = transport.clone();
        let request = server.request("GET");
        let second = thread::spawn(move || sender.send(request, &options));
        if new_connection {
            drop(transport);
        }
        assert_eq!(second.join().unwrap().unwrap().status(), 200);
        assert_eq!(server.connections.try_iter().count(), connections);
    }
}

#[test]
fn the_callers_agent_cannot_loosen_the_contract() {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(true)
        .max_redirects(5)
        .https_only(false)
        .build()
        .new_agent();
    let server = Server::start(vec!["HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx"]);
    let failure =
        send(&UreqTransport::with_agent(agent.clone()), server.request("GET")).unwrap_err();
    assert_eq!((failure.sent(), failure.is_permanent()), (Sent::No, true));
    let transport = UreqTransport::danger_plain_http_with_agent(agent);
    assert_eq!(send(&transport, server.request("GET")).unwrap().status(), 404);
}
