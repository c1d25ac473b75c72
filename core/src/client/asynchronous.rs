//! The async client: it drives the machines in futures, and names no runtime.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;

use super::{
    AsyncClock, AsyncTokenSource, AsyncTransport, ClientBuilder, IngestRun, News,
    hub::{Driving, Held, Hub, Voice},
    token_source::DynTokenSource,
};
use crate::{
    machine::{Attempt, IngestSettings, Machine, Pages, Policy, SignIn, Start, Step, Task, Tick},
    protocol::{Call, Endpoint, Error, Failure, Page, Reply, ServiceRoot},
};

/// Makes calls over an [`AsyncTransport`], with repeats, throttling and tokens taken care of, on
/// whatever runtime polls its futures.
///
/// A clone is cheap and shares everything, as with the blocking [`Client`](super::Client). The
/// futures are `Send` and own what they need: they outlive the endpoint and the client that they
/// were made from. To drop one loses nothing but its outcome: what it held (the lease to fetch a
/// token, the right to go first through a gate) passes on at once. Whether its write happened is
/// then not known.
///
/// ```
/// use bytes::Bytes;
/// use graphfeed_core::client::{AsyncClient, SendOptions, VirtualClock};
/// use graphfeed_core::external::{ConnectionState, GetConnection};
/// use graphfeed_core::protocol::ServiceRoot;
/// use graphfeed_core::types::{AccessToken, ConnectionId};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let transport = |request: http::Request<Bytes>, _: &SendOptions| async move {
///     assert_eq!(request.headers()["Authorization"], "Bearer secret");
///     Ok(http::Response::new(r#"{"id":"contosohr","state":"ready"}"#.into()))
/// };
/// let client = AsyncClient::builder(ServiceRoot::v1(), AccessToken::new("secret")?)
///     .build_async(transport, VirtualClock::default());
/// let asking = client.send(&GetConnection::new(&ConnectionId::new("contosohr")?));
/// assert_eq!(pollster::block_on(asking)?.state, Some(ConnectionState::Ready));
/// # Ok(())
/// # }
/// ```
pub struct AsyncClient<T>(pub(super) Arc<Inner<T>>);

pub(super) struct Inner<T> {
    transport: T,
    pub(super) clock: Box<dyn AsyncClock>,
    pub(super) tokens: Box<dyn DynTokenSource>,
    pub(super) hub: Hub,
}

impl<T> AsRef<Hub> for Inner<T> {
    fn as_ref(&self) -> &Hub {
        &self.hub
    }
}

/// A call under way. It does something only while it is polled.
#[must_use = "a future does nothing unless it is polled"]
pub struct Pending<T>(Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>);

impl<T> Pending<T> {
    fn new(future: impl Future<Output = Result<T, Error>> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

/// The pages of a collection: each is asked for when it is wanted.
pub struct AsyncPages<T, V> {
    client: AsyncClient<T>,
    // The error of a link is told in the place of the page that it leads to.
    pages: Result<Option<Pages<V>>, Error>,
}

impl<T: AsyncTransport + Send + Sync + 'static, V: Send + 'static> AsyncPages<T, V> {
    /// The next page; `None` after the last, and after an error. Dropped before its end, it can
    /// be called again for the same page.
    ///
    /// # Errors
    /// As [`Client::pages`](super::Client::pages).
    pub async fn next(&mut self) -> Option<Result<Page<V>, Error>> {
        let call = match &self.pages {
            Ok(pages) => pages.as_ref()?.call()?.clone(),
            Err(_) => return std::mem::replace(&mut self.pages, Ok(None)).err().map(Err),
        };
        let page = self.client.reply_to(call).await.map(|reply| reply.value);
        if let Ok(pages) = &mut self.pages {
            let turning = pages.take();
            if let (Some(mut turning), Ok(page)) = (turning, &page) {
                self.pages = turning.turn(page).map(|()| Some(turning));
            }
        }
        Some(page)
    }
}

impl<T, V> fmt::Debug for AsyncPages<T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncPages").finish_non_exhaustive()
    }
}

impl AsyncClient<()> {
    /// Starts a client for one service root, with a source of tokens for it.
    pub fn builder<S: AsyncTokenSource + 'static>(
        root: ServiceRoot,
        tokens: S,
    ) -> ClientBuilder<S> {
        ClientBuilder::new(root, tokens)
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    pub(super) fn new(
        transport: T,
        clock: Box<dyn AsyncClock>,
        tokens: Box<dyn DynTokenSource>,
        hub: Hub,
    ) -> Self {
        Self(Arc::new(Inner { transport, clock, tokens, hub }))
    }

    /// Where it sends to.
    pub fn root(&self) -> &ServiceRoot {
        &self.0.hub.settings.root
    }

    /// How its calls wait, repeat and give up.
    pub fn policy(&self) -> &Policy {
        &self.0.hub.settings.policy
    }

    /// What a machine starts from, now.
    pub fn start(&self) -> Start {
        self.0.hub.start(self.0.clock.now())
    }
}

impl<T: AsyncTransport + Send + Sync + 'static> AsyncClient<T> {
    /// Makes one call and gives back what the operation answers with.
    ///
    /// # Errors
    /// As [`Client::send`](super::Client::send), from the future.
    pub fn send<E: Endpoint<Output: Send + 'static>>(&self, endpoint: &E) -> Pending<E::Output> {
        let reply = self.reply(endpoint);
        Pending::new(async { Ok(reply.await?.value) })
    }

    /// As [`send`](Self::send), with status, headers and raw body of the answer.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn reply<E: Endpoint<Output: Send + 'static>>(
        &self,
        endpoint: &E,
    ) -> Pending<Reply<E::Output>> {
        match self.0.hub.call(endpoint) {
            Ok(call) => self.reply_to(call),
            Err(error) => Pending::new(async { Err(error) }),
        }
    }

    /// Sees to it that there is a token, waiting this long at most: for a person who signs in with
    /// a device code, whom the total time of a call would hurry.
    ///
    /// # Errors
    /// Why there is no token.
    pub fn sign_in(&self, longest: Duration) -> Pending<()> {
        self.drive(SignIn::new(longest, self.0.clock.now()))
    }

    /// Makes a call that was built before, and gives back what the operation answers with.
    ///
    /// # Errors
    /// As [`reply_to`](Self::reply_to).
    pub fn send_call<U: Send + 'static>(&self, call: Call<U>) -> Pending<U> {
        let reply = self.reply_to(call);
        Pending::new(async { Ok(reply.await?.value) })
    }

    /// Makes a call that was built before.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`Rule::OtherRoot`](crate::types::Rule::OtherRoot) when the
    /// call was built for another root than this client's.
    pub fn reply_to<U: Send + 'static>(&self, call: Call<U>) -> Pending<Reply<U>> {
        match self.0.hub.exchange(call, self.0.clock.now()) {
            Ok(exchange) => self.drive(exchange),
            Err(error) => Pending::new(async { Err(error) }),
        }
    }

    /// The pages of a collection, one after the other.
    ///
    /// ```no_run
    /// # use graphfeed_core::{client::{AsyncClient, AsyncTransport}, activity::ListActivities};
    /// # async fn run<T: AsyncTransport + Send + Sync + 'static>(client: &AsyncClient<T>)
    /// #     -> Result<(), Box<dyn std::error::Error>> {
    /// let mut pages = client.pages(&ListActivities::new());
    /// while let Some(page) = pages.next().await {
    ///     for activity in page?.value {
    ///         println!("{}", activity.id);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pages<V: Send + 'static, E: Endpoint<Output = Page<V>>>(
        &self,
        endpoint: &E,
    ) -> AsyncPages<T, V> {
        let pages = self.0.hub.call(endpoint).map(|first| Some(Pages::new(first, self.root())));
        AsyncPages { client: self.clone(), pages }
    }

    /// Carries out several calls that belong together. Unlike the future of a single call, this
    /// one borrows the task.
    ///
    /// # Errors
    /// What the task ends with.
    pub async fn run<K: Task>(&self, task: &K) -> Result<K::Output, Error> {
        drive(Arc::clone(&self.0), task.start(&self.start())?).await
    }

    /// Many calls, each under a key, and one outcome for each: a run that starts with
    /// [`run`](IngestRun::run). Other calls of this client go on beside it, and share its gates and
    /// its token.
    ///
    /// ```
    /// use graphfeed_core::client::{AsyncClient, IngestNews, SendOptions, VirtualClock};
    /// use graphfeed_core::external::DeleteItem;
    /// use graphfeed_core::machine::{End, Ending, IngestSettings};
    /// use graphfeed_core::protocol::{Endpoint, ServiceRoot};
    /// use graphfeed_core::types::{AccessToken, ConnectionId, ItemId};
    /// # use std::{pin::Pin, task::{Context, Poll}};
    /// # struct FromIter<I>(I);
    /// # impl<I: Iterator + Unpin> futures_core::Stream for FromIter<I> {
    /// #     type Item = I::Item;
    /// #     fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
    /// #         Poll::Ready(self.0.next())
    /// #     }
    /// # }
    /// # fn iter<I: Iterator + Unpin>(items: I) -> FromIter<I> {
    /// #     FromIter(items)
    /// # }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let transport = |_: http::Request<bytes::Bytes>, _: &SendOptions| async {
    /// #     let mut answer = http::Response::new(bytes::Bytes::new());
    /// #     *answer.status_mut() = http::StatusCode::NO_CONTENT;
    /// #     Ok(answer)
    /// # };
    /// let client = AsyncClient::builder(ServiceRoot::v1(), AccessToken::new("token")?)
    ///     .build_async(transport, VirtualClock::default());
    /// let connection = ConnectionId::new("contosohr")?;
    /// // Any stream will do; this one is made by `futures::stream::iter`.
    /// let gone = iter((0..1000).map(|number| {
    ///     let id = ItemId::from_key(&format!("tickets/{number}"));
    ///     (number, DeleteItem::new(&connection, &id).call(client.root()))
    /// }));
    ///
    /// let run = client.ingest(IngestSettings::default());
    /// let stop = run.stop_handle();
    /// let mut done = 0;
    /// let running = run.run(gone, |news| match news {
    ///     IngestNews::Done(_, outcome) if matches!(outcome.end, End::Ok(_)) => done += 1,
    ///     IngestNews::Done(key, outcome) => {
    ///         eprintln!("{key}: {:?}", outcome.end);
    ///         stop.stop();
    ///     }
    ///     IngestNews::Progress(progress) => eprintln!("{progress:?}"),
    ///     _ => {}
    /// });
    /// let summary = pollster::block_on(running);
    /// assert_eq!((summary.ending, summary.progress.seen, done), (Ending::Complete, 1000, 1000));
    /// # Ok(())
    /// # }
    /// ```
    pub fn ingest(&self, settings: IngestSettings) -> IngestRun<Self> {
        IngestRun::new(self.clone(), settings, &self.0.hub)
    }

    /// Drives a machine to its end. Its requests have to be for this client's root.
    ///
    /// # Errors
    /// What the machine ends with.
    pub fn drive<M>(&self, machine: M) -> Pending<M::Output>
    where
        M: Machine<Output: Send> + Send + 'static,
    {
        Pending::new(drive(Arc::clone(&self.0), machine))
    }
}

impl<T: AsyncTransport> Inner<T> {
    /// Sends one attempt, unless its time is over, and gives it up when it is.
    pub(super) async fn send(&self, attempt: Attempt) -> Result<http::Response<Bytes>, Failure> {
        let (until, clock) = (attempt.deadline, &self.clock);
        let options = self.hub.options(&attempt, clock.now())?;
        let sending = self.transport.send(attempt.request, &options);
        let mut sleep = clock.sleep_until(until);
        // A runtime may be late with its timers, where a handler has kept it from them.
        let end = poll_fn(|context| match clock.now() >= until {
            true => Poll::Ready(()),
            false => sleep.as_mut().poll(context),
        });
        // A transport may forget about time-outs; a call does not.
        match before(sending, end).await {
            Some(sent) => sent,
            None => Err(Failure::maybe_sent("no answer within the time of one attempt")),
        }
    }
}

async fn drive<T: AsyncTransport, M: Machine>(
    inner: Arc<Inner<T>>,
    machine: M,
) -> Result<M::Output, Error> {
    let now = || inner.clock.now();
    let mut driving = Driving::new(machine, Held(Arc::clone(&inner)));
    let mut voice = Voice::new(&inner.hub);
    loop {
        let (step, news) = driving.turn(now, |machine, now, shared| machine.poll(now, shared));
        voice.tell(driving.take_events());
        match step {
            Step::Send(attempt) => {
                let ticket = attempt.ticket;
                let sent = inner.send(attempt).await;
                driving.report(now, |machine, now, shared| match sent {
                    Ok(response) => machine.on_response(ticket, now, response, shared),
                    Err(failure) => machine.on_failure(ticket, now, failure, shared),
                });
            }
            Step::Token(need) => {
                let token = inner.tokens.token(&need).await;
                driving.report(now, |machine, now, shared| {
                    machine.on_token(need.lease, now, token, shared);
                });
            }
            Step::Wait(until) => wait(&*inner.clock, until, &news).await,
            Step::Done(result) => return result,
        }
    }
}

/// The outcome of a future, unless another one is ready first.
pub(super) async fn before<F: Future>(
    future: F,
    end: impl Future<Output = ()>,
) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut end = pin!(end);
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        end.as_mut().poll(context).map(|()| None)
    })
    .await
}

/// Until that time, or until there is news.
pub(super) async fn wait(clock: &dyn AsyncClock, until: Tick, news: &News) {
    let mut sleep = clock.sleep_until(until);
    poll_fn(|context| match news.poll(context) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => sleep.as_mut().poll(context),
    })
    .await;
}

impl<T> Clone for AsyncClient<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for AsyncClient<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.hub.settings, f)
    }
}
