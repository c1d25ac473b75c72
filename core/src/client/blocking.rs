//! The blocking client: it drives the machines on the caller's thread.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    ClientBuilder, Clock, IngestRun, TokenSource, Transport,
    hub::{Driving, Held, Hub, Voice, value},
};
use crate::{
    machine::{Attempt, IngestSettings, Machine, Pages, Policy, SignIn, Start, Step, Task},
    protocol::{Call, Endpoint, Error, Failure, Page, Reply, ServiceRoot},
};

/// Makes calls over a [`Transport`], with repeats, throttling and tokens taken care of, on the
/// caller's thread.
///
/// A clone is cheap and shares everything: connections, the token, the gates of throttled lanes,
/// the budget for repeats. So many threads can use one client. The token goes to the
/// [`ServiceRoot`] and nowhere else.
///
/// ```
/// use bytes::Bytes;
/// use graphfeed_core::client::{Client, SendOptions, VirtualClock};
/// use graphfeed_core::external::{ConnectionState, GetConnection};
/// use graphfeed_core::protocol::ServiceRoot;
/// use graphfeed_core::types::{AccessToken, ConnectionId};
///
/// let transport = |request: http::Request<Bytes>, _: &SendOptions| {
///     assert_eq!(request.headers()["Authorization"], "Bearer secret");
///     Ok(http::Response::new(r#"{"id":"contosohr","state":"ready"}"#.into()))
/// };
/// let client = Client::builder(ServiceRoot::v1(), AccessToken::new("secret")?)
///     .build(transport, VirtualClock::default());
/// let connection = client.send(&GetConnection::new(&ConnectionId::new("contosohr")?))?;
/// assert_eq!(connection.state, Some(ConnectionState::Ready));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Client<T>(pub(super) Arc<Inner<T>>);

pub(super) struct Inner<T> {
    pub(super) transport: T,
    pub(super) clock: Box<dyn Clock>,
    pub(super) tokens: Box<dyn TokenSource>,
    pub(super) hub: Hub,
}

impl<T> AsRef<Hub> for Inner<T> {
    fn as_ref(&self) -> &Hub {
        &self.hub
    }
}

impl Client<()> {
    /// Starts a client for one service root, with a source of tokens for it.
    pub fn builder<S: TokenSource + 'static>(root: ServiceRoot, tokens: S) -> ClientBuilder<S> {
        ClientBuilder::new(root, tokens)
    }
}

impl<T: Transport> Client<T> {
    pub(super) fn new(
        transport: T,
        clock: Box<dyn Clock>,
        tokens: Box<dyn TokenSource>,
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

    /// Makes one call and gives back what the operation answers with.
    ///
    /// # Errors
    /// An [`Error`], which tells the cause and whether the service may have carried out the call
    /// nevertheless ([`Error::applied`]).
    pub fn send<E: Endpoint>(&self, endpoint: &E) -> Result<E::Output, Error> {
        value(self.reply(endpoint))
    }

    /// As [`send`](Self::send), with status, headers and raw body of the answer.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn reply<E: Endpoint>(&self, endpoint: &E) -> Result<Reply<E::Output>, Error> {
        self.reply_to(self.0.hub.call(endpoint)?)
    }

    /// Sees to it that there is a token, waiting this long at most: for a person who signs in with
    /// a device code, whom the total time of a call would hurry.
    ///
    /// # Errors
    /// Why there is no token.
    pub fn sign_in(&self, longest: Duration) -> Result<(), Error> {
        self.drive(SignIn::new(longest, self.0.clock.now()))
    }

    /// Makes a call that was built before, and gives back what the operation answers with.
    ///
    /// # Errors
    /// As [`reply_to`](Self::reply_to).
    pub fn send_call<U>(&self, call: Call<U>) -> Result<U, Error> {
        value(self.reply_to(call))
    }

    /// Makes a call that was built before.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`Rule::OtherRoot`](crate::types::Rule::OtherRoot) when the
    /// call was built for another root than this client's.
    pub fn reply_to<U>(&self, call: Call<U>) -> Result<Reply<U>, Error> {
        self.drive(self.0.hub.exchange(call, self.0.clock.now())?)
    }

    /// The pages of a collection, one after the other: each is asked for when it is wanted.
    ///
    /// # Errors
    /// As [`send`](Self::send) and [`Pages::turn`]; after an error there are no more pages.
    ///
    /// ```no_run
    /// # use graphfeed_core::{client::{Client, Transport}, activity::ListActivities};
    /// # fn run<T: Transport>(client: &Client<T>) -> Result<(), Box<dyn std::error::Error>> {
    /// for page in client.pages(&ListActivities::new()) {
    ///     for activity in page?.value {
    ///         println!("{}", activity.id);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pages<V, E: Endpoint<Output = Page<V>>>(&self, endpoint: &E) -> PageIter<T, V> {
        let pages = self.0.hub.call(endpoint).map(|first| Some(Pages::new(first, self.root())));
        PageIter { client: self.clone(), pages }
    }

    /// Carries out several calls that belong together.
    ///
    /// # Errors
    /// What the task ends with.
    pub fn run<K: Task>(&self, task: &K) -> Result<K::Output, Error> {
        self.drive(task.start(&self.start())?)
    }

    /// Many calls, each under a key, and one outcome for each: a run that starts with
    /// [`run`](IngestRun::run). Other calls of this client go on beside it, and share its gates and
    /// its token.
    ///
    /// ```
    /// use graphfeed_core::client::{Client, IngestNews, SendOptions};
    /// use graphfeed_core::external::DeleteItem;
    /// use graphfeed_core::machine::{End, Ending, IngestSettings};
    /// use graphfeed_core::protocol::{Endpoint, ServiceRoot};
    /// use graphfeed_core::types::{AccessToken, ConnectionId, ItemId};
    /// # use graphfeed_core::{client::Clock, machine::Tick};
    /// # struct SystemClock(std::time::Instant);
    /// # impl Clock for SystemClock {
    /// #     fn now(&self) -> Tick {
    /// #         Tick::new(self.0.elapsed())
    /// #     }
    /// # }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let transport = |_: http::Request<bytes::Bytes>, _: &SendOptions| {
    /// #     let mut answer = http::Response::new(bytes::Bytes::new());
    /// #     *answer.status_mut() = http::StatusCode::NO_CONTENT;
    /// #     Ok(answer)
    /// # };
    /// # let clock = SystemClock(std::time::Instant::now());
    /// let client = Client::builder(ServiceRoot::v1(), AccessToken::new("token")?)
    ///     .build(transport, clock);
    /// let connection = ConnectionId::new("contosohr")?;
    /// let gone = (0..1000).map(|number| {
    ///     let id = ItemId::from_key(&format!("tickets/{number}"));
    ///     (number, DeleteItem::new(&connection, &id).call(client.root()))
    /// });
    ///
    /// let run = client.ingest(IngestSettings::default());
    /// let stop = run.stop_handle();
    /// let mut done = 0;
    /// let summary = run.run(gone, |news| match news {
    ///     IngestNews::Done(_, outcome) if matches!(outcome.end, End::Ok(_)) => done += 1,
    ///     IngestNews::Done(key, outcome) => {
    ///         eprintln!("{key}: {:?}", outcome.end);
    ///         stop.stop();
    ///     }
    ///     IngestNews::Progress(progress) => eprintln!("{progress:?}"),
    ///     _ => {}
    /// });
    /// assert_eq!((summary.ending, summary.progress.seen, done), (Ending::Complete, 1000, 1000));
    /// # Ok(())
    /// # }
    /// ```
    pub fn ingest(&self, settings: IngestSettings) -> IngestRun<Self> {
        IngestRun::new(self.clone(), settings, &self.0.hub)
    }

    /// What a machine starts from, now.
    pub fn start(&self) -> Start {
        self.0.hub.start(self.0.clock.now())
    }

    /// Drives a machine to its end. Its requests have to be for this client's root.
    ///
    /// # Errors
    /// What the machine ends with.
    pub fn drive<M: Machine>(&self, machine: M) -> Result<M::Output, Error> {
        let inner = &*self.0;
        let now = || inner.clock.now();
        let mut driving = Driving::new(machine, Held(Arc::clone(&self.0)));
        let mut voice = Voice::new(&inner.hub);
        loop {
            let (step, news) = driving.turn(now, |machine, now, shared| machine.poll(now, shared));
            voice.tell(driving.take_events());
            match step {
                Step::Send(attempt) => {
                    let ticket = attempt.ticket;
                    let sent = inner.send(attempt);
                    driving.report(now, |machine, now, shared| match sent {
                        Ok(response) => machine.on_response(ticket, now, response, shared),
                        Err(failure) => machine.on_failure(ticket, now, failure, shared),
                    });
                }
                Step::Token(need) => {
                    let token = inner.tokens.token(&need);
                    driving.report(now, |machine, now, shared| {
                        machine.on_token(need.lease, now, token, shared);
                    });
                }
                Step::Wait(until) => inner.clock.wait(until, &news),
                Step::Done(result) => return result,
            }
        }
    }
}

impl<T: Transport> Inner<T> {
    /// Sends one attempt, unless its time is over.
    pub(super) fn send(&self, attempt: Attempt) -> Result<http::Response<Bytes>, Failure> {
        let options = self.hub.options(&attempt, self.clock.now())?;
        self.transport.send(attempt.request, &options)
    }
}

/// The pages of a collection: each is asked for when it is wanted.
pub struct PageIter<T, V> {
    client: Client<T>,
    // The error of a link is told in the place of the page that it leads to.
    pages: Result<Option<Pages<V>>, Error>,
}

impl<T: Transport, V> Iterator for PageIter<T, V> {
    type Item = Result<Page<V>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut turning = match &mut self.pages {
            Ok(pages) => pages.take()?,
            Err(_) => return std::mem::replace(&mut self.pages, Ok(None)).err().map(Err),
        };
        let page = self.client.send_call(turning.call()?.clone());
        if let Ok(page) = &page {
            self.pages = turning.turn(page).map(|()| Some(turning));
        }
        Some(page)
    }
}

impl<T, V> fmt::Debug for PageIter<T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageIter").finish_non_exhaustive()
    }
}

impl<T> Clone for Client<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Client<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.hub.settings, f)
    }
}
