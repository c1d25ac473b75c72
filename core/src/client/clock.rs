//! Time and waiting, as the drivers need them.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::machine::Tick;

/// Tells the time, and waits by blocking the thread.
///
/// The core has no clock of its own. Transports bring one for real time; [`VirtualClock`] is for
/// tests and simulations.
pub trait Clock: Send + Sync {
    /// The time that has passed since an origin of the clock's choice. It never goes back.
    fn now(&self) -> Tick;

    /// Waits until that time or until there is news, whichever is first. Coming back early is
    /// allowed.
    fn wait(&self, until: Tick, news: &News) {
        news.wait(until.since(self.now()));
    }
}

/// Tells the time, and waits without blocking the thread.
pub trait AsyncClock: Send + Sync {
    /// The time that has passed since an origin of the clock's choice. It never goes back.
    fn now(&self) -> Tick;

    /// Is ready at that time, or at any time after it.
    fn sleep_until(&self, until: Tick) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// A clock that stands still until somebody waits, and then jumps to the end of the wait: a
/// schema that takes a quarter of an hour is ready at once.
///
/// For one thread; several would pull the time from under each other.
///
/// ```
/// use std::time::Duration;
/// use graphfeed_core::client::{Clock, VirtualClock};
///
/// let clock = VirtualClock::default();
/// clock.advance(Duration::from_secs(900));
/// assert_eq!(Clock::now(&clock).since_origin(), Duration::from_secs(900));
/// ```
#[derive(Debug, Default)]
pub struct VirtualClock(Mutex<Tick>);

impl VirtualClock {
    /// Moves the time forward.
    pub fn advance(&self, duration: Duration) {
        *lock(&self.0) += duration;
    }

    fn advance_to(&self, until: Tick) {
        let mut now = lock(&self.0);
        *now = until.max(*now);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Tick {
        *lock(&self.0)
    }

    fn wait(&self, until: Tick, _: &News) {
        self.advance_to(until);
    }
}

impl AsyncClock for VirtualClock {
    fn now(&self) -> Tick {
        *lock(&self.0)
    }

    /// The time jumps when the future is polled, so that a wait that loses a race costs none.
    fn sleep_until(&self, until: Tick) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move { self.advance_to(until) })
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Tick {
        (**self).now()
    }

    fn wait(&self, until: Tick, news: &News) {
        (**self).wait(until, news);
    }
}

impl<C: AsyncClock + ?Sized> AsyncClock for Arc<C> {
    fn now(&self) -> Tick {
        (**self).now()
    }

    fn sleep_until(&self, until: Tick) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        (**self).sleep_until(until)
    }
}

/// Where the calls of a client hear that something they share has changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Board(Arc<Notices>);

#[derive(Debug, Default)]
struct Notices {
    changes: Mutex<Changes>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Changes {
    count: u64,
    waiting: Vec<Waker>,
}

impl Board {
    /// News from now on.
    pub(super) fn news(&self) -> News {
        News { seen: lock(&self.0.changes).count, board: self.clone() }
    }

    pub(super) fn publish(&self) {
        let waiting = {
            let mut changes = lock(&self.0.changes);
            changes.count += 1;
            std::mem::take(&mut changes.waiting)
        };
        self.0.changed.notify_all();
        for waker in waiting {
            waker.wake();
        }
    }
}

/// What a call waits for beside the time: a change in what the calls of its client share.
#[derive(Debug)]
pub struct News {
    board: Board,
    seen: u64,
}

impl News {
    /// Blocks the thread until there is news, at most for `longest`.
    pub fn wait(&self, longest: Duration) {
        // A wait of centuries is more than some systems can count; to come back early is allowed.
        let longest = longest.min(Duration::from_secs(86_400));
        let notices = &self.board.0;
        let changes = lock(&notices.changes);
        let is_old = |changes: &mut Changes| changes.count == self.seen;
        let _ = notices.changed.wait_timeout_while(changes, longest, is_old);
    }

    /// Whether there is news; if not, the task is woken when there is.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut changes = lock(&self.board.0.changes);
        if changes.count != self.seen {
            return Poll::Ready(());
        }
        let waker = context.waker();
        if !changes.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            changes.waiting.push(waker.clone());
        }
        Poll::Pending
    }
}

/// What a lock guards here is valid after each statement, so a panic elsewhere spoils nothing.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
