//! Clients that mean no good: each is answered or dropped, another one's PUT is answered within a
//! second meanwhile, and the state is right afterwards.

#[path = "support/raw.rs"]
mod raw;
mod support;

use std::{
    io::ErrorKind,
    net::Shutdown,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use graphfeed_emulator::server::{Patience, Server};
use raw::{Raw, head};
use support::{Bench, ITEM, item, item_with};

const SECOND: Duration = Duration::from_secs(1);

fn start(bench: &Bench, patience: Patience) -> Server {
    Server::start_with(bench.emulator.clone(), "127.0.0.1:0", patience).expect("a server")
}

/// Puts items on connections of its own and fails if one takes a second.
fn well_behaved(server: &Server, items: usize) {
    for index in 0..items {
        let began = Instant::now();
        let target = ITEM.replace("TSP228082938", &format!("good{index}"));
        let answer = Raw::open(server.address()).exchange("PUT", &target, &item(r#""title":"a""#));
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    }
}

#[test]
fn garbage_is_answered_400_or_dropped() {
    let bench = Bench::ready();
    let server = start(&bench, Patience::default());
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1_000_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(10_000));
    let garbage: [&[u8]; 8] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0\0\0\0\r\n\r\n",
        b"GET  / HTTP/9.9\r\n\r\n",
        b"PUT /v1.0/me/activities/a b HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        long.as_bytes(),
        many.as_bytes(),
    ];
    for bytes in garbage {
        let mut raw = Raw::open(server.address());
        raw.send(bytes);
        // One that was dropped at once cannot be closed any more.
        if let Err(error) = raw.0.shutdown(Shutdown::Write) {
            assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
        }
        if let Ok(answer) = raw.answer() {
            assert!((400..500).contains(&answer.status), "{answer:?}");
        }
        raw.closed();
        well_behaved(&server, 1);
    }
    assert_eq!(bench.emulator.items("contosohr").len(), 1);
}

#[test]
fn idle_and_slow_connections_hold_up_nobody_and_are_closed_in_time() {
    let bench = Bench::ready();
    let patience = Patience { head: SECOND, body: SECOND, ..Patience::default() };
    let server = start(&bench, patience);
    let body = item_with(r#""content":{"type":"text","value":"never whole"}"#);
    let slow = head("PUT", ITEM, &format!("Content-Length: {}", body.len()));
    let began = Instant::now();
    let mut idle: Vec<Raw> = (0..64).map(|_| Raw::open(server.address())).collect();
    let mut slow_heads: Vec<Raw> = (0..8).map(|_| Raw::open(server.address())).collect();
    let mut slow_bodies: Vec<Raw> = (0..8).map(|_| Raw::open(server.address())).collect();
    for raw in &mut slow_bodies {
        raw.send(&slow);
    }
    // A byte at a time, until each of them has been closed.
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let senders: Vec<_> = [(&slow_heads, slow.as_bytes()), (&slow_bodies, body.as_bytes())]
            .into_iter()
            .flat_map(|(raws, bytes)| raws.iter().map(move |raw| (raw, bytes)))
            .map(|(raw, bytes)| (raw.0.try_clone().expect("a handle"), bytes))
            .collect();
        let done = &done;
        scope.spawn(move || {
            let mut senders = senders;
            for at in 0..usize::MAX {
                if done.load(Ordering::SeqCst) {
                    return;
                }
                for (stream, bytes) in &mut senders {
                    let _ = std::io::Write::write_all(stream, &bytes[at % bytes.len()..][..1]);
                }
                thread::sleep(Duration::from_millis(100));
            }
        });
        well_behaved(&server, 20);
        for raw in idle.iter_mut().chain(&mut slow_heads).chain(&mut slow_bodies) {
            raw.closed();
        }
        done.store(true, Ordering::SeqCst);
    });
    assert!(began.elapsed() < 10 * SECOND, "{:?}", began.elapsed());
    assert_eq!(bench.emulator.items("contosohr").len(), 20);
    assert_eq!(bench.emulator.item("contosohr", "TSP228082938"), None);
}

#[test]
fn half_a_request_changes_nothing() {
    let bench = Bench::ready();
    let server = start(&bench, Patience::default());
    let body = item(r#""title":"a""#);
    let whole = head("PUT", ITEM, &format!("Content-Length: {}", body.len())) + &body;
    for end in [1, 40, whole.len() - body.len(), whole.len() - 1] {
        let mut raw = Raw::open(server.address());
        raw.send(&whole[..end]);
        // One that was dropped at once cannot be closed any more.
        if let Err(error) = raw.0.shutdown(Shutdown::Write) {
            assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
        }
        raw.closed();
    }
    assert_eq!(bench.emulator.items("contosohr"), []);
    well_behaved(&server, 1);
}

#[test]
fn deep_and_large_json_holds_up_nobody() {
    let bench = Bench::ready();
    let server = start(&bench, Patience::default());
    let deep = "[".repeat(200) + &"]".repeat(200);
    let answer = Raw::open(server.address()).exchange("PUT", ITEM, &deep);
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("\"body-json\""), "{}", answer.body);

    let broad = format!("{}{}0{}", "[".repeat(99), "0,".repeat(1_900_000), "]".repeat(99));
    let members: String = (0..200_000).map(|n| format!("\"n{n}\":0,")).collect();
    let members = item(&format!("{members}\"title\":\"a\""));
    let bodies = [&deep, &broad, &members, &"[".repeat(3_999_999)];
    thread::scope(|scope| {
        let clients: Vec<_> = bodies
            .into_iter()
            .flat_map(|body| [body, body])
            .map(|body| {
                let server = &server;
                scope.spawn(move || {
                    let mut raw = Raw::open(server.address());
                    (0..3).all(|_| raw.exchange("PUT", ITEM, body).status == 400)
                })
            })
            .collect();
        well_behaved(&server, 50);
        for client in clients {
            assert!(client.join().expect("no panic"));
        }
    });
    assert_eq!(bench.emulator.items("contosohr").len(), 50);
}

#[test]
fn more_connections_than_there_are_seats_have_to_wait() {
    let bench = Bench::ready();
    let patience = Patience { head: SECOND, connections: 2, ..Patience::default() };
    let server = start(&bench, patience);
    let _idle = [Raw::open(server.address()), Raw::open(server.address())];
    let answer = Raw::open(server.address()).exchange("PUT", ITEM, &item(r#""title":"a""#));
    assert_eq!(answer.status, 200);
}
