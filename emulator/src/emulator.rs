//! The handle that programs share: the service behind a lock, with a clock, as a transport.
//!
//! A request is read before the lock is taken, so that a large or broken body holds up nobody.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use graphfeed_core::client::{AsyncTransport, Failure, SendOptions, Transport};
use http::{Request, Response};

#[cfg(feature = "server")]
use crate::incoming::Length;
use crate::{
    control,
    delivery::{Delivery, Outcome},
    early::{EarlyCall, EarlyCalls},
    faults::{Fault, FaultError},
    findings::Report,
    incoming::Arrival,
    latency::Latency,
    model::{ConnectionState, Group, Item, ItemActivity, UserActivity},
    options::Options,
    record::{Count, Entry},
    service::{RestoreError, Service},
    throttle::{Limit, Traffic},
};

/// An emulated service that can be shared and cloned; clones are handles to the same state.
///
/// It is a [`Transport`], so that a client runs against it without a socket:
///
/// ```
/// use bytes::Bytes;
/// use graphfeed_core::client::{SendOptions, Transport};
/// use graphfeed_emulator::{Emulator, Options};
///
/// let emulator = Emulator::new(Options::default());
/// let request = http::Request::get("https://graph.microsoft.com/v1.0/external/connections/none")
///     .header("authorization", "Bearer any")
///     .body(Bytes::new())?;
/// let answer = emulator.send(request, &SendOptions::default())?;
/// assert_eq!(answer.status(), 404);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Emulator(Arc<Shared>);

struct Shared {
    options: Options,
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    sleep: Box<dyn Fn(Duration) + Send + Sync>,
    service: Mutex<Service>,
}

impl Emulator {
    /// An empty service whose time is that of the machine, beginning with zero.
    pub fn new(mut options: Options) -> Self {
        if options.early_calls == EarlyCalls::ByClock {
            options.early_calls = EarlyCalls::ByCall;
        }
        let start = Instant::now();
        Self::with_time(options, move || start.elapsed(), std::thread::sleep)
    }

    /// An empty service that asks `clock` for the time since [`Options::origin`].
    ///
    /// As a transport it lets no time pass: what takes longer than the client waits is a failure
    /// at once, and what does not is an answer at once.
    pub fn with_clock(
        options: Options,
        clock: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self::with_time(options, clock, |_| {})
    }

    /// Like [`with_clock`](Self::with_clock), and as a transport it calls `sleep` for the latency
    /// of an answer and for the time until a client gives up.
    pub fn with_time(
        options: Options,
        clock: impl Fn() -> Duration + Send + Sync + 'static,
        sleep: impl Fn(Duration) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            service: Mutex::new(Service::new(options.clone())),
            clock: Box::new(clock),
            sleep: Box::new(sleep),
            options,
        }))
    }

    /// Answers a request that arrives now, by the clock of this emulator. Where a fault leaves no
    /// answer, it is that of [`Delivery::into_response`].
    pub fn handle(&self, request: &Request<Bytes>) -> Response<Bytes> {
        self.deliver(request).into_response()
    }

    /// Answers a request that arrives `now`, counted from [`Options::origin`].
    pub fn handle_at(&self, now: Duration, request: &Request<Bytes>) -> Response<Bytes> {
        self.deliver_at(now, request).into_response()
    }

    /// Like [`handle`](Self::handle), and says when the answer comes and what is left of it.
    pub fn deliver(&self, request: &Request<Bytes>) -> Delivery {
        self.deliver_at((self.0.clock)(), request)
    }

    /// Like [`handle_at`](Self::handle_at), and says when the answer comes and what is left of
    /// it.
    pub fn deliver_at(&self, now: Duration, request: &Request<Bytes>) -> Delivery {
        if self.0.options.control && control::is_meant(request) {
            return Delivery::whole(
                Duration::ZERO,
                control::answer(&mut self.service(), now, request),
            );
        }
        let arrival = Arrival::read(request, &self.0.options.behaviour);
        self.service().receive(now, request, arrival)
    }

    /// How it was set up.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// The service itself, to look inside without copying. It is locked until the guard is
    /// dropped; any other use of this emulator waits until then.
    pub fn service(&self) -> MutexGuard<'_, Service> {
        let locked = self.0.service.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a connection a state, `obsolete` for example, which no request leads to. See
    /// [`Service::set_connection_state`].
    pub fn set_connection_state(&self, connection: &str, state: ConnectionState) -> bool {
        self.service().set_connection_state(connection, state)
    }

    /// Copies of the items of a connection, by id.
    pub fn items(&self, connection: &str) -> Vec<Item> {
        self.service().items(connection).cloned().collect()
    }

    /// A copy of an item.
    pub fn item(&self, connection: &str, item: &str) -> Option<Item> {
        self.service().item(connection, item).cloned()
    }

    /// The activities on an item, in the order of arrival. No answer has them, for they are
    /// write-only.
    pub fn item_activities(&self, connection: &str, item: &str) -> Vec<ItemActivity> {
        let service = self.service();
        let item = service.item(connection, item);
        item.map(|item| item.activities.clone()).unwrap_or_default()
    }

    /// Copies of the external groups of a connection with their members, by id.
    pub fn groups(&self, connection: &str) -> Vec<Group> {
        self.service().groups(connection).cloned().collect()
    }

    /// Copies of the user activities with their history items, oldest first.
    pub fn user_activities(&self) -> Vec<UserActivity> {
        self.service().user_activities().cloned().collect()
    }

    /// What was let pass although a client had better not do it, oldest first.
    pub fn reports(&self) -> Vec<Report> {
        self.service().reports().cloned().collect()
    }

    /// Takes the reports out, oldest first.
    pub fn take_reports(&self) -> Vec<Report> {
        self.service().take_reports()
    }

    /// Scripts a fault, behind those that are there.
    pub fn fault(&self, fault: Fault) {
        self.service().fault(fault);
    }

    /// Scripts a fault that is written in the [text form](Fault#as-text).
    ///
    /// # Errors
    /// The text is no fault.
    pub fn script(&self, fault: &str) -> Result<(), FaultError> {
        self.fault(fault.parse()?);
        Ok(())
    }

    /// Copies of the faults that are scripted, in their order, each with how often it has struck.
    pub fn faults(&self) -> Vec<(Fault, u64)> {
        let service = self.service();
        service.faults().map(|(fault, struck)| (fault.clone(), struck)).collect()
    }

    /// Takes all faults away.
    pub fn clear_faults(&self) {
        self.service().clear_faults();
    }

    /// Has this limit and no other, in the [text form](Limit#as-text). It begins as if nobody had
    /// asked for anything so far.
    ///
    /// # Errors
    /// The text is no limit.
    pub fn throttle(&self, limit: &str) -> Result<(), String> {
        self.set_limits(vec![limit.parse()?]);
        Ok(())
    }

    /// Has these limits and no others. They begin as if nobody had asked for anything so far.
    pub fn set_limits(&self, limits: Vec<Limit>) {
        self.service().set_limits(limits);
    }

    /// Copies of the limits, and what each has done so far.
    pub fn limits(&self) -> Vec<(Limit, Traffic)> {
        let service = self.service();
        service.limits().map(|(limit, traffic)| (limit.clone(), traffic)).collect()
    }

    /// From now on answers take so long. None: no time.
    pub fn set_latency(&self, latency: Option<Latency>) {
        self.service().set_latency(latency);
    }

    /// The requests that came before the time that an answer had told, oldest first.
    pub fn early_calls(&self) -> Vec<EarlyCall> {
        self.service().early_calls().cloned().collect()
    }

    /// How many requests of this kind came, `PUT item` for example, however they were answered.
    pub fn count(&self, request: &str) -> u64 {
        let service = self.service();
        service.counts().filter(|count| count.request == request).map(|count| count.count).sum()
    }

    /// How often what was asked for, and how it was answered.
    pub fn counts(&self) -> Vec<Count> {
        self.service().counts().collect()
    }

    /// Copies of the last requests, oldest first: as many as [`Options::journal`] says.
    pub fn journal(&self) -> Vec<Entry> {
        self.service().journal().cloned().collect()
    }

    /// What is stored now, as bytes for [`restore`](Self::restore): connections and all that is in
    /// them, and user activities. See [`Service::save`] for what is not in them.
    ///
    /// ```
    /// use graphfeed_emulator::Emulator;
    /// # use bytes::Bytes;
    ///
    /// let emulator = Emulator::default();
    /// # let request = http::Request::post("/v1.0/external/connections")
    /// #     .header("authorization", "Bearer any")
    /// #     .header("content-type", "application/json")
    /// #     .body(Bytes::from(r#"{"id":"contosohr","name":"Contoso HR"}"#))?;
    /// # emulator.handle(&request);
    /// // ... requests, and the connection contosohr is there; then, for the next run:
    /// let saved = emulator.save();
    ///
    /// let next = Emulator::default();
    /// next.restore(&saved)?;
    /// assert!(next.service().connection_ids().eq(["contosohr"]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save(&self) -> Vec<u8> {
        let now = (self.0.clock)();
        self.service().save(now)
    }

    /// Puts what was [saved](Self::save) in the place of what is stored. See [`Service::restore`].
    ///
    /// # Errors
    /// The bytes are damaged or of another release, or the switch `versions` was another one.
    /// Then nothing has changed.
    pub fn restore(&self, saved: &[u8]) -> Result<(), RestoreError> {
        let now = (self.0.clock)();
        self.service().restore(now, saved)
    }

    /// Forgets everything, as if it had just been made; only the time stays.
    pub fn reset(&self) {
        self.service().reset();
    }

    /// A token of this application, without a request for it. None: it is not registered, or
    /// tokens are not checked.
    pub fn token(&self, client_id: &str) -> Option<String> {
        self.service().token((self.0.clock)(), client_id)
    }

    /// A token of a user of this application, without a sign-in: of the one with this object id,
    /// or of the usual one, with all permissions that the application has.
    pub fn user_token(&self, client_id: &str, user: Option<&str>) -> Option<String> {
        self.service().user_token((self.0.clock)(), client_id, user)
    }

    /// A refresh token of the usual user of this application, without a sign-in.
    pub fn refresh_token(&self, client_id: &str) -> Option<String> {
        self.service().refresh_token(client_id)
    }

    /// How many tokens were issued.
    pub fn tokens_issued(&self) -> u64 {
        self.service().tokens_issued()
    }

    /// Makes all tokens bad that were issued so far. Refresh tokens stay good.
    pub fn revoke_tokens(&self) {
        self.service().revoke_tokens();
    }

    /// From now on a token has to have these claims, JSON as in
    /// [`Authorization::claims`](crate::Authorization::claims). None: no claim any more.
    ///
    /// # Errors
    /// It is not JSON, or tokens are not checked.
    pub fn require_claims(&self, claims: Option<&str>) -> Result<(), String> {
        self.service().require_claims(claims)
    }

    /// The user codes that wait for a user to sign in.
    pub fn user_codes(&self) -> Vec<String> {
        self.service().user_codes((self.0.clock)())
    }

    /// A user enters this code and signs in: the one with this object id, or the usual one.
    /// False: no such code waits.
    pub fn sign_in(&self, user_code: &str, user: Option<&str>) -> bool {
        self.service().enter_code((self.0.clock)(), user_code, Some(user))
    }

    /// A user enters this code and declines. False: no such code waits.
    pub fn decline(&self, user_code: &str) -> bool {
        self.service().enter_code((self.0.clock)(), user_code, None)
    }

    /// Refuses a request whose body is over the limit and not there. What is wrong with the
    /// request besides comes first.
    #[cfg(feature = "server")]
    pub(crate) fn refuse_body(&self, request: &Request<Bytes>, length: Length) -> Delivery {
        if self.0.options.control && control::is_meant(request) {
            return Delivery::whole(Duration::ZERO, control::too_long());
        }
        let now = (self.0.clock)();
        let arrival = Arrival::with_length(request, length, &self.0.options.behaviour);
        self.service().receive(now, request, arrival)
    }
}

impl Default for Emulator {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Transport for Emulator {
    fn send(
        &self,
        request: Request<Bytes>,
        options: &SendOptions,
    ) -> Result<Response<Bytes>, Failure> {
        let Delivery { latency, outcome } = self.deliver(&request);
        let time = match outcome {
            Outcome::Hang(bound) => latency.saturating_add(bound),
            _ => latency,
        };
        if !time.is_zero() {
            (self.0.sleep)(time.min(options.timeout));
        }
        if time > options.timeout {
            let timeout = options.timeout;
            return Err(Failure::maybe_sent(format!("no answer came within {timeout:?}")));
        }
        match outcome {
            Outcome::Answer(answer) if answer.body().len() > options.max_body => {
                let (length, most) = (answer.body().len(), options.max_body);
                let why = format!("the answer has {length} bytes, and {most} are read");
                let partial = answer.map(|body| body.slice(..most));
                Err(Failure::maybe_sent(why).with_partial(partial).permanent())
            }
            Outcome::Answer(answer) => Ok(answer),
            Outcome::Truncated { answer, announced } => {
                let length = answer.body().len();
                let why = format!("the answer broke off after {length} of {announced} bytes");
                Err(Failure::maybe_sent(why).with_partial(answer))
            }
            Outcome::Reset | Outcome::Hang(_) => {
                Err(Failure::maybe_sent("the connection was closed without an answer"))
            }
        }
    }
}

impl AsyncTransport for Emulator {
    /// It is answered at once: latency and silence, where they are scripted, block the thread, or
    /// move the time where that is the program's.
    async fn send(
        &self,
        request: Request<Bytes>,
        options: &SendOptions,
    ) -> Result<Response<Bytes>, Failure> {
        Transport::send(self, request, options)
    }
}
