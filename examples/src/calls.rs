//! How the calls of a run are made: one after the other, or several at the same time.
//!
//! What is called, and in which order, is the business of `run` and the others; they know only
//! [`Calls`]. A run that knows its client needs nothing of this and uses that.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use graphfeed_core::{
    client::{AsyncClient, AsyncTransport, Client, Transport},
    machine::Task,
    protocol::{Call, Endpoint, Error, Page, ServiceRoot},
};
use tokio::{runtime::Runtime, task::JoinSet};

/// The most calls of [`Concurrent`] that are under way at the same time.
const AT_ONCE: usize = 16;

/// What a run needs of a client, whether it blocks or not.
pub trait Calls {
    /// The most calls that are under way at the same time.
    const AT_ONCE: usize;

    /// Where they go.
    fn root(&self) -> &ServiceRoot;

    /// Sees to it that there is a token, waiting this long at most.
    fn sign_in(&self, longest: Duration) -> Result<(), Error>;

    /// Makes one call.
    fn send<E>(&self, endpoint: &E) -> Result<E::Output, Error>
    where
        E: Endpoint<Output: Send + 'static>;

    /// Makes several calls that belong together.
    fn run<K: Task>(&self, task: &K) -> Result<K::Output, Error>;

    /// Makes the calls for all pages of a collection.
    fn list<V, E>(&self, endpoint: &E) -> Result<Vec<V>, Error>
    where
        V: Send + 'static,
        E: Endpoint<Output = Page<V>>;

    /// Makes calls that do not depend on each other, and hands over each outcome as it comes,
    /// with the number of its call.
    ///
    /// # Errors
    /// The first one of `done`. No other call is begun then, and those under way are given up:
    /// whether they were carried out is not known.
    fn send_each<U: Send + 'static>(
        &self,
        calls: impl IntoIterator<Item = Call<U>>,
        done: impl FnMut(usize, Result<U, Error>) -> Result<(), Box<dyn StdError>>,
    ) -> Result<(), Box<dyn StdError>>;
}

/// One call after the other.
impl<T: Transport> Calls for Client<T> {
    const AT_ONCE: usize = 1;

    fn root(&self) -> &ServiceRoot {
        self.root()
    }

    fn sign_in(&self, longest: Duration) -> Result<(), Error> {
        self.sign_in(longest)
    }

    fn send<E>(&self, endpoint: &E) -> Result<E::Output, Error>
    where
        E: Endpoint<Output: Send + 'static>,
    {
        self.send(endpoint)
    }

    fn run<K: Task>(&self, task: &K) -> Result<K::Output, Error> {
        self.run(task)
    }

    fn list<V, E>(&self, endpoint: &E) -> Result<Vec<V>, Error>
    where
        V: Send + 'static,
        E: Endpoint<Output = Page<V>>,
    {
        let mut all = Vec::new();
        for page in self.pages(endpoint) {
            all.extend(page?.value);
        }
        Ok(all)
    }

    fn send_each<U: Send + 'static>(
        &self,
        calls: impl IntoIterator<Item = Call<U>>,
        mut done: impl FnMut(usize, Result<U, Error>) -> Result<(), Box<dyn StdError>>,
    ) -> Result<(), Box<dyn StdError>> {
        calls.into_iter().enumerate().try_for_each(|(number, call)| {
            let outcome = self.send_call(call);
            done(number, outcome)
        })
    }
}

/// An async client with the runtime that its calls need.
///
/// Whoever asks is blocked meanwhile, and the runtime works only then. That suits a program that
/// has nothing else to do.
#[derive(Debug)]
pub struct Concurrent<T> {
    client: AsyncClient<T>,
    runtime: Arc<Runtime>,
}

impl<T> Concurrent<T> {
    /// Makes the calls of `client` on `runtime`, which may be shared.
    pub fn new(client: AsyncClient<T>, runtime: Arc<Runtime>) -> Self {
        Self { client, runtime }
    }
}

// Derived, it would ask the same of the transport.
impl<T> Clone for Concurrent<T> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), runtime: Arc::clone(&self.runtime) }
    }
}

impl<T: AsyncTransport + Send + Sync + 'static> Calls for Concurrent<T> {
    const AT_ONCE: usize = AT_ONCE;

    fn root(&self) -> &ServiceRoot {
        self.client.root()
    }

    fn sign_in(&self, longest: Duration) -> Result<(), Error> {
        self.runtime.block_on(self.client.sign_in(longest))
    }

    fn send<E>(&self, endpoint: &E) -> Result<E::Output, Error>
    where
        E: Endpoint<Output: Send + 'static>,
    {
        self.runtime.block_on(self.client.send(endpoint))
    }

    fn run<K: Task>(&self, task: &K) -> Result<K::Output, Error> {
        self.runtime.block_on(self.client.run(task))
    }

    fn list<V, E>(&self, endpoint: &E) -> Result<Vec<V>, Error>
    where
        V: Send + 'static,
        E: Endpoint<Output = Page<V>>,
    {
        self.runtime.block_on(async {
            let mut all = Vec::new();
            let mut pages = self.client.pages(endpoint);
            while let Some(page) = pages.next().await {
                all.extend(page?.value);
            }
            Ok(all)
        })
    }

    fn send_each<U: Send + 'static>(
        &self,
        calls: impl IntoIterator<Item = Call<U>>,
        mut done: impl FnMut(usize, Result<U, Error>) -> Result<(), Box<dyn StdError>>,
    ) -> Result<(), Box<dyn StdError>> {
        self.runtime.block_on(async {
            let mut calls = calls.into_iter().enumerate();
            // To drop it gives up what is in it.
            let mut under_way = JoinSet::new();
            loop {
                while under_way.len() < AT_ONCE
                    && let Some((number, call)) = calls.next()
                {
                    let sending = self.client.send_call(call);
                    under_way.spawn(async move { (number, sending.await) });
                }
                let Some(ended) = under_way.join_next().await else { return Ok(()) };
                let (number, outcome) = ended?;
                done(number, outcome)?;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        pin::Pin,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use bytes::Bytes;
    use graphfeed_core::{
        activity::ListActivities,
        client::{AsyncClock, Failure, SendOptions, VirtualClock},
        external::{DeleteItem, GetConnection},
        machine::Tick,
        protocol::Deleted,
        types::{AccessToken, ConnectionId, ItemId},
    };
    use http::{Request, Response, StatusCode};
    use tokio::{runtime, sync::Barrier};

    use super::*;

    /// A clock that stands still.
    struct Still;

    impl AsyncClock for Still {
        fn now(&self) -> Tick {
            Tick::default()
        }

        fn sleep_until(&self, _: Tick) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::pending())
        }
    }

    fn token() -> AccessToken {
        AccessToken::new("any").unwrap()
    }

    /// Finds even numbers only, has two pages, and fails to connect to `broken`.
    fn answer(request: &Request<Bytes>) -> Result<Response<Bytes>, Failure> {
        let (status, body) = match request.uri().path().rsplit('/').next().unwrap() {
            "broken" => return Err(Failure::not_sent("no such host").permanent()),
            "activities" if request.uri().query().is_some() => (200, r#"{"value":[{"id":"2"}]}"#),
            "activities" => (
                200,
                r#"{"value":[{"id":"1"}],
                "@odata.nextLink":"https://graph.microsoft.com/v1.0/me/activities?page=2"}"#,
            ),
            number if number.parse::<u32>().is_ok_and(|number| number % 2 == 1) => (404, ""),
            _ => (204, ""),
        };
        let mut answer = Response::new(Bytes::from_static(body.as_bytes()));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        Ok(answer)
    }

    fn blocking() -> impl Calls {
        let transport = |request: Request<Bytes>, _: &SendOptions| answer(&request);
        Client::builder(ServiceRoot::v1(), token()).build(transport, VirtualClock::default())
    }

    fn runtime() -> Arc<Runtime> {
        Arc::new(runtime::Builder::new_current_thread().build().unwrap())
    }

    fn concurrent() -> impl Calls {
        let transport = |request: Request<Bytes>, _: &SendOptions| {
            let answer = answer(&request);
            async { answer }
        };
        let client = AsyncClient::builder(ServiceRoot::v1(), token())
            .build_async(transport, VirtualClock::default());
        Concurrent::new(client, runtime())
    }

    fn delete(id: &str) -> Call<Deleted> {
        let (connection, item) = (ConnectionId::new("abc").unwrap(), ItemId::new(id).unwrap());
        DeleteItem::new(&connection, &item).call(&ServiceRoot::v1()).unwrap()
    }

    fn does_what_it_says(calls: &impl Calls) {
        calls.sign_in(Duration::from_secs(1)).unwrap();
        let listed = calls.list(&ListActivities::new()).unwrap();
        assert_eq!(listed.iter().map(|each| each.id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
        let broken = ConnectionId::new("broken").unwrap();
        assert!(calls.send(&GetConnection::new(&broken)).is_err());

        let mut outcomes = vec![None; 100];
        let deletions = (0..100).map(|number| delete(&number.to_string()));
        calls
            .send_each(deletions, |number, outcome| {
                let before = outcomes[number].replace(outcome.unwrap());
                assert_eq!(before, None, "each comes once");
                Ok(())
            })
            .unwrap();
        for (number, outcome) in outcomes.into_iter().enumerate() {
            let expected = if number % 2 == 0 { Deleted::Now } else { Deleted::NotFound };
            assert_eq!(outcome, Some(expected), "{number}");
        }
    }

    #[test]
    fn both_do_what_they_say() {
        does_what_it_says(&blocking());
        does_what_it_says(&concurrent());
    }

    fn ends_with_the_first_error<C: Calls>(calls: &C) {
        let (begun, heard) = (Cell::new(0), Cell::new(0));
        let deletions = (0..100).map(|number| {
            begun.set(begun.get() + 1);
            delete(if number == 3 { "broken" } else { "0" })
        });
        let result = calls.send_each(deletions, |number, outcome| {
            heard.set(heard.get() + 1);
            outcome.map(drop).map_err(|error| format!("{number}: {error}").into())
        });
        assert!(result.unwrap_err().to_string().starts_with("3: Delete item"));
        assert_eq!(heard.get(), 4);
        assert_eq!(begun.get(), 3 + C::AT_ONCE);
    }

    #[test]
    fn the_first_error_is_the_end() {
        ends_with_the_first_error(&blocking());
        ends_with_the_first_error(&concurrent());
    }

    #[test]
    fn sixteen_are_under_way_and_no_more() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, highest) = (Arc::clone(&now), Arc::clone(&most));
        // Nobody is answered until so many have come.
        let everybody = Arc::new(Barrier::new(AT_ONCE));
        let transport = move |request: Request<Bytes>, _: &SendOptions| {
            let (count, everybody) = (Arc::clone(&count), Arc::clone(&everybody));
            highest.fetch_max(count.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            async move {
                everybody.wait().await;
                count.fetch_sub(1, Ordering::Relaxed);
                answer(&request)
            }
        };
        let client = AsyncClient::builder(ServiceRoot::v1(), token()).build_async(transport, Still);
        let mut heard = 0;
        Concurrent::new(client, runtime())
            .send_each((0..4 * AT_ONCE).map(|_| delete("0")), |_, outcome| {
                outcome?;
                heard += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!((heard, most.load(Ordering::Relaxed)), (4 * AT_ONCE, AT_ONCE));
        assert_eq!(now.load(Ordering::Relaxed), 0);
    }
}
