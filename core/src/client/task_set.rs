//! Futures under way at the same time, in one task and for any runtime.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
};

use super::lock;

/// Futures of one type. Each is polled only when it was woken, so that a poll of the set does not
/// cost more the more there are.
pub(super) struct TaskSet<F> {
    tasks: BTreeMap<u64, (Pin<Box<F>>, Waker)>,
    last_id: u64,
    // Woken and not polled yet.
    turn: BTreeSet<u64>,
    woken: Arc<Mutex<Woken>>,
}

#[derive(Default)]
struct Woken {
    ids: BTreeSet<u64>,
    // Of whoever polls the set.
    waker: Option<Waker>,
}

struct TaskWaker {
    id: u64,
    woken: Arc<Mutex<Woken>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let waker = {
            let mut woken = lock(&self.woken);
            woken.ids.insert(self.id);
            woken.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<F: Future> TaskSet<F> {
    pub(super) fn new() -> Self {
        let (tasks, turn) = (BTreeMap::new(), BTreeSet::new());
        Self { tasks, last_id: 0, turn, woken: Arc::default() }
    }

    /// It is polled with the next poll of the set, and not before.
    pub(super) fn push(&mut self, future: F) {
        self.last_id += 1;
        let id = self.last_id;
        let waker = Waker::from(Arc::new(TaskWaker { id, woken: Arc::clone(&self.woken) }));
        self.tasks.insert(id, (Box::pin(future), waker));
        self.turn.insert(id);
    }

    /// What one of them came to, which is then gone. Pending also where there are none.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<F::Output> {
        {
            let mut woken = lock(&self.woken);
            woken.waker = Some(context.waker().clone());
            self.turn.append(&mut woken.ids);
        }
        // Each once: one that wakes itself again and again would keep the thread for ever.
        while let Some(id) = self.turn.pop_first() {
            let Some((task, waker)) = self.tasks.get_mut(&id) else {
                continue;
            };
            if let Poll::Ready(output) = task.as_mut().poll(&mut Context::from_waker(waker)) {
                self.tasks.remove(&id);
                return Poll::Ready(output);
            }
        }
        Poll::Pending
    }

    /// What one of them came to, without waiting for it.
    pub(super) async fn come_by_now(&mut self) -> Option<F::Output> {
        poll_fn(|context| match self.poll_next(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }
}
