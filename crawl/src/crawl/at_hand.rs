//! A source that is read on a thread of its own, so that it is known what of it is at hand.
//!
//! A channel of the standard library was measured here, and was slower.

use std::{
    collections::VecDeque,
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use graphfeed_core::client::StopHandle;

/// What was read of a source and waits to be taken.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    // So much is read before anybody takes it, and taken at a time, so that two threads do not wake
    // each other for each.
    most: usize,
    stock: Mutex<Stock<T>>,
    came: Condvar,
    went: Condvar,
}

#[derive(Debug)]
struct Stock<T> {
    things: VecDeque<T>,
    // How the source has ended, as long as nobody knows.
    end: Option<thread::Result<()>>,
    is_left: bool,
}

impl<T> Shelf<T> {
    /// With room for so many things.
    pub(super) fn new(most: usize) -> Self {
        let stock = Stock { things: VecDeque::new(), end: None, is_left: false };
        Self { most, stock: Mutex::new(stock), came: Condvar::new(), went: Condvar::new() }
    }

    /// Reads a source to its end, or as long as anybody takes what it gives, or until the run is
    /// stopped that takes it. Where a source has ended so, the run has not come to its end.
    pub(super) fn fill(&self, source: impl IntoIterator<Item = T>, stop: &StopHandle) {
        let end = catch_unwind(AssertUnwindSafe(|| {
            for thing in source {
                if !self.put(thing) || stop.is_stopped() {
                    break;
                }
            }
        }));
        self.stock().end = Some(end);
        self.came.notify_one();
    }

    /// Goes on with the panic in which the source has ended, if nobody knows.
    pub(super) fn close(self) {
        let stock = self.stock.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(panic)) = stock.end {
            resume_unwind(panic);
        }
    }

    fn put(&self, thing: T) -> bool {
        let is_full = |stock: &mut Stock<T>| stock.things.len() >= self.most && !stock.is_left;
        let stock = self.went.wait_while(self.stock(), is_full);
        let mut stock = stock.unwrap_or_else(PoisonError::into_inner);
        if stock.is_left {
            return false;
        }
        stock.things.push_back(thing);
        if stock.things.len() == 1 {
            self.came.notify_one();
        }
        true
    }

    fn stock(&self) -> MutexGuard<'_, Stock<T>> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a shelf has. Whoever takes it panics where the source did.
#[derive(Debug)]
pub(super) struct AtHand<'a, T> {
    shelf: &'a Shelf<T>,
    things: VecDeque<T>,
    is_over: bool,
}

impl<'a, T> AtHand<'a, T> {
    pub(super) fn new(shelf: &'a Shelf<T>) -> Self {
        Self { shelf, things: VecDeque::new(), is_over: false }
    }

    /// The next one, if it is there. None is no end.
    pub(super) fn get(&mut self) -> Option<T> {
        if self.things.is_empty() {
            self.take(self.shelf.stock());
        }
        self.things.pop_front()
    }

    fn take(&mut self, mut stock: MutexGuard<'_, Stock<T>>) {
        if stock.things.len() == self.shelf.most {
            self.shelf.went.notify_one();
        }
        mem::swap(&mut self.things, &mut stock.things);
        if self.things.is_empty()
            && let Some(end) = stock.end.take()
        {
            drop(stock);
            self.is_over = true;
            end.unwrap_or_else(|panic| resume_unwind(panic));
        }
    }
}

impl<T> Iterator for AtHand<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.things.is_empty() && !self.is_over {
            let is_empty = |stock: &mut Stock<T>| stock.things.is_empty() && stock.end.is_none();
            let stock = self.shelf.came.wait_while(self.shelf.stock(), is_empty);
            self.take(stock.unwrap_or_else(PoisonError::into_inner));
        }
        self.things.pop_front()
    }
}

impl<T> Drop for AtHand<'_, T> {
    fn drop(&mut self) {
        self.shelf.stock().is_left = true;
        self.shelf.went.notify_one();
    }
}
