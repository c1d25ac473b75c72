//! What is the async client's alone: futures that can be moved, dropped and forgotten. What the
//! machines do under it is played in the scripts that both clients share.

use std::{
    future::{Future, pending, ready},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use graphfeed_core::{
    activity::ListActivities,
    client::{AsyncClient, Clock, Failure, SendOptions, VirtualClock},
    external::{GetConnection, StoredConnection},
    machine::{Token, TokenNeed},
    protocol::{Applied, Cause, ServiceRoot, TokenError},
    types::{AccessToken, ConnectionId},
};

fn connection() -> ConnectionId {
    ConnectionId::new("contosohr").unwrap()
}

fn ok(
    _: http::Request<Bytes>,
    _: &SendOptions,
) -> impl Future<Output = Result<http::Response<Bytes>, Failure>> + Send + use<> {
    ready(Ok(http::Response::new(Bytes::from_static(b"{}"))))
}

fn token() -> Result<Token, TokenError> {
    Ok(Token::new(AccessToken::new("t").unwrap()))
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn futures_are_send_and_outlive_what_they_were_made_from() {
    fn is_send<F: Future<Output = O> + Send + 'static, O>(future: F) -> F {
        future
    }
    let sending = {
        let client = AsyncClient::builder(ServiceRoot::v1(), AccessToken::new("t").unwrap())
            .build_async(ok, VirtualClock::default());
        let connection = connection();
        drop(is_send(client.reply(&GetConnection::new(&connection))));
        drop(client.pages(&ListActivities::new()));
        is_send(client.send(&GetConnection::new(&connection)))
    };
    let found: StoredConnection = std::thread::scope(|scope| {
        scope.spawn(|| pollster::block_on(sending)).join().unwrap().unwrap()
    });
    assert_eq!(found.id, None);
}

type Fetching = Pin<Box<dyn Future<Output = Result<Token, TokenError>> + Send>>;

#[test]
fn a_dropped_future_hands_on_the_task_of_fetching_the_token() {
    let fetches = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&fetches);
    let tokens = move |_: &TokenNeed| -> Fetching {
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => Box::pin(pending()),
            _ => Box::pin(ready(token())),
        }
    };
    // A clock that waits for ever, so that only news can wake.
    let client =
        AsyncClient::builder(ServiceRoot::v1(), tokens).build_async(ok, Stopped::default());
    let connection = connection();
    let mut first = Box::pin(client.send(&GetConnection::new(&connection)));
    let mut second = pin!(client.send(&GetConnection::new(&connection)));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut context = Context::from_waker(&waker);
    assert!(first.as_mut().poll(&mut context).is_pending(), "it fetches the token");
    assert!(second.as_mut().poll(&mut context).is_pending(), "it waits for it");
    assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
    drop(first);
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1, "the one who waits is woken");
    let Poll::Ready(outcome) = second.as_mut().poll(&mut context) else {
        panic!("the second does not fetch in its place");
    };
    outcome.unwrap();
    assert_eq!(fetches.load(Ordering::SeqCst), 2);
}

/// A clock that has stopped.
#[derive(Default)]
struct Stopped(VirtualClock);

impl graphfeed_core::client::AsyncClock for Stopped {
    fn now(&self) -> graphfeed_core::machine::Tick {
        Clock::now(&self.0)
    }

    fn sleep_until(
        &self,
        _: graphfeed_core::machine::Tick,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(pending())
    }
}

#[test]
fn a_transport_that_never_answers_is_given_up_in_time() {
    let sent = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&sent);
    let silent = move |_: http::Request<Bytes>, _: &SendOptions| {
        count.fetch_add(1, Ordering::SeqCst);
        pending()
    };
    let clock = Arc::new(VirtualClock::default());
    let client = AsyncClient::builder(ServiceRoot::v1(), AccessToken::new("t").unwrap())
        .build_async(silent, Arc::clone(&clock));
    let error = pollster::block_on(client.send(&GetConnection::new(&connection()))).unwrap_err();
    assert!(matches!(error.cause(), Cause::Transport(_)));
    assert_eq!(error.applied(), Applied::No, "a GET writes nothing");
    // 100 seconds each, within 300.
    assert_eq!(sent.load(Ordering::SeqCst), 3);
    assert_eq!(Clock::now(&*clock).since_origin().as_secs(), 300);
}
