//! Time and waiting, as the drivers need them.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::machine::Tick;

/// Tells the time, and waits.
///
/// The core has no clock of its own. Transports bring one for real time; [`VirtualClock`] is for
/// tests and simulations.
pub trait Clock: Send + Sync {
    /// The time that has passed since an origin of the clock's choice. It never goes back.
    fn now(&self) -> Tick;

    /// Waits until that time or until there is news, whichever is first. Coming back early is
    /// allowed.
    fn wait(&self, until: Tick, news: &News<'_>) {
        news.wait(until.since(self.now()));
    }
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
/// assert_eq!(clock.now().since_origin(), Duration::from_secs(900));
/// ```
#[derive(Debug, Default)]
pub struct VirtualClock(Mutex<Tick>);

impl VirtualClock {
    /// Moves the time forward.
    pub fn advance(&self, duration: Duration) {
        *lock(&self.0) += duration;
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Tick {
        *lock(&self.0)
    }

    fn wait(&self, until: Tick, _: &News<'_>) {
        let mut now = lock(&self.0);
        *now = until.max(*now);
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Tick {
        (**self).now()
    }

    fn wait(&self, until: Tick, news: &News<'_>) {
        (**self).wait(until, news);
    }
}

/// Where the calls of a client hear that something they share has changed.
#[derive(Debug, Default)]
pub(super) struct Board {
    changes: Mutex<u64>,
    changed: Condvar,
}

impl Board {
    /// News from now on.
    pub(super) fn news(&self) -> News<'_> {
        News { board: self, seen: *lock(&self.changes) }
    }

    pub(super) fn publish(&self) {
        *lock(&self.changes) += 1;
        self.changed.notify_all();
    }
}

/// What a call waits for beside the time: a change in what the calls of its client share.
#[derive(Debug)]
pub struct News<'a> {
    board: &'a Board,
    seen: u64,
}

impl News<'_> {
    /// Blocks the thread until there is news, at most for `longest`.
    pub fn wait(&self, longest: Duration) {
        // A wait of centuries is more than some systems can count; to come back early is allowed.
        let longest = longest.min(Duration::from_secs(86_400));
        let changes = lock(&self.board.changes);
        let _ = self.board.changed.wait_timeout_while(changes, longest, |now| *now == self.seen);
    }
}

/// What a lock guards here is valid after each statement, so a panic elsewhere spoils nothing.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
