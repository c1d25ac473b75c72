//! The handle that programs share: the service behind a lock, with a clock, as a transport.
//!
//! A request is read before the lock is taken, so that a large or broken body holds up nobody.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use graphfeed_core::client::{Failure, SendOptions, Transport};
use http::{Request, Response};

use crate::{
    findings::Report,
    incoming::Call,
    model::{Item, ItemActivity, UserActivity},
    options::Options,
    service::Service,
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
    service: Mutex<Service>,
}

impl Emulator {
    /// An empty service whose time is that of the machine, beginning with zero.
    pub fn new(options: Options) -> Self {
        let start = Instant::now();
        Self::with_clock(options, move || start.elapsed())
    }

    /// An empty service that asks `clock` for the time since [`Options::origin`].
    pub fn with_clock(
        options: Options,
        clock: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            service: Mutex::new(Service::new(options.clone())),
            clock: Box::new(clock),
            options,
        }))
    }

    /// Answers a request that arrives now, by the clock of this emulator.
    pub fn handle(&self, request: &Request<Bytes>) -> Response<Bytes> {
        self.handle_at((self.0.clock)(), request)
    }

    /// Answers a request that arrives `now`, counted from [`Options::origin`].
    pub fn handle_at(&self, now: Duration, request: &Request<Bytes>) -> Response<Bytes> {
        let call = Call::read(request, &self.0.options.behaviour);
        self.service().answer(now, request, call)
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

    /// Refuses a request whose body was given up after `read` bytes.
    #[cfg(feature = "server")]
    pub(crate) fn refuse_body(&self, request: &Request<Bytes>, read: usize) -> Response<Bytes> {
        let now = (self.0.clock)();
        let refusal = crate::incoming::too_long(read, &self.0.options.behaviour);
        self.service().answer(now, request, Err(refusal))
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
        let answer = self.handle(&request);
        if answer.body().len() > options.max_body {
            return Err(Failure::maybe_sent(format!(
                "the answer has {} bytes, and {} are read",
                answer.body().len(),
                options.max_body
            )));
        }
        Ok(answer)
    }
}
