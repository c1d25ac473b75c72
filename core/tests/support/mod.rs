//! Scripts that the blocking and the async client both play: what the one does, the other does.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::{
    client::{AsyncClient, Client, Clock, Failure, SendOptions, VirtualClock},
    machine::Task,
    protocol::{Error, ServiceRoot},
    types::AccessToken,
};

/// One expected request, as method and end of its address, and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    pub method: &'static str,
    pub address: &'static str,
    pub fate: Fate,
}

#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Answer(u16, &'static str),
    /// No answer; whether it may have arrived.
    Lost(bool),
}

pub fn line(
    (method, address): (&'static str, &'static str),
    status: u16,
    body: &'static str,
) -> Line {
    Line { method, address, fate: Fate::Answer(status, body) }
}

pub fn lost((method, address): (&'static str, &'static str), maybe: bool) -> Line {
    Line { method, address, fate: Fate::Lost(maybe) }
}

/// The script as a transport: every line has to be asked for, in this order.
#[derive(Clone)]
pub struct Script(Arc<Mutex<std::vec::IntoIter<Line>>>);

impl Script {
    pub fn new(lines: &[Line]) -> Self {
        let lines: Vec<Line> = lines.to_vec();
        Self(Arc::new(Mutex::new(lines.into_iter())))
    }

    pub fn answer(&self, request: &http::Request<Bytes>) -> Result<http::Response<Bytes>, Failure> {
        let Some(line) = self.0.lock().unwrap().next() else {
            panic!("one request too many: {} {}", request.method(), request.uri());
        };
        assert_eq!(request.method(), line.method, "{}", request.uri());
        let uri = request.uri().to_string();
        assert!(uri.ends_with(line.address), "{uri} is not {}", line.address);
        assert_eq!(request.headers()["authorization"], "Bearer t");
        match line.fate {
            Fate::Answer(status, body) => {
                let mut response = http::Response::builder().status(status);
                if status == 202 {
                    response =
                        response.header("location", "https://elsewhere.example/operations/op1");
                }
                Ok(response.body(Bytes::from_static(body.as_bytes())).unwrap())
            }
            Fate::Lost(true) => Err(Failure::maybe_sent("reset")),
            Fate::Lost(false) => Err(Failure::not_sent("refused")),
        }
    }

    pub fn assert_played(&self) {
        let rest = self.0.lock().unwrap().next();
        assert!(rest.is_none(), "a request that never came: {rest:?}");
    }
}

pub fn blocking(
    script: &Script,
    clock: &Arc<VirtualClock>,
) -> Client<impl graphfeed_core::client::Transport + use<>> {
    let script = script.clone();
    let transport = move |request: http::Request<Bytes>, _: &SendOptions| script.answer(&request);
    Client::builder(ServiceRoot::v1(), AccessToken::new("t").unwrap())
        .build(transport, Arc::clone(clock))
}

pub fn asynchronous(
    script: &Script,
    clock: &Arc<VirtualClock>,
) -> AsyncClient<impl graphfeed_core::client::AsyncTransport + Send + Sync + 'static + use<>> {
    let script = script.clone();
    let transport = move |request: http::Request<Bytes>, _: &SendOptions| {
        let answer = script.answer(&request);
        async move { answer }
    };
    AsyncClient::builder(ServiceRoot::v1(), AccessToken::new("t").unwrap())
        .build_async(transport, Arc::clone(clock))
}

/// Plays a script with both clients, and gives the outcome and the time that has passed once.
pub fn play<O: Debug>(
    lines: &[Line],
    block: impl FnOnce(&Script, &Arc<VirtualClock>) -> O,
    poll: impl FnOnce(&Script, &Arc<VirtualClock>) -> O,
) -> (O, Duration) {
    let run = |go: &mut dyn FnMut(&Script, &Arc<VirtualClock>) -> O| {
        let (script, clock) = (Script::new(lines), Arc::new(VirtualClock::default()));
        let outcome = go(&script, &clock);
        script.assert_played();
        (outcome, Clock::now(&*clock).since_origin())
    };
    let (mut block, mut poll) = (Some(block), Some(poll));
    let blocked = run(&mut |script, clock| block.take().unwrap()(script, clock));
    let polled = run(&mut |script, clock| poll.take().unwrap()(script, clock));
    assert_eq!(format!("{blocked:?}"), format!("{polled:?}"), "blocking and async differ");
    blocked
}

/// Runs a task with both clients.
pub fn run<K>(task: &K, lines: &[Line]) -> (Result<K::Output, Error>, Duration)
where
    K: Task<Output: Debug>,
{
    play(
        lines,
        |script, clock| blocking(script, clock).run(task),
        |script, clock| pollster::block_on(asynchronous(script, clock).run(task)),
    )
}
