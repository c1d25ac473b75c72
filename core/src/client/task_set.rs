//! Futures under way at the same time, in one task and for any runtime.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
};

use super::lock;
use crate::machine::Tick;

/// Futures of one type. Each is polled only when it was woken, so that a poll of the set does not
/// cost more the more there are.
pub(super) struct TaskSet<F> {
    tasks: BTreeMap<u64, Under<F>>,
    deadlines: BTreeSet<(Tick, u64)>,
    last_id: u64,
    // Woken and not polled yet.
    turn: BTreeSet<u64>,
    woken: Arc<Mutex<Woken>>,
}

struct Under<F> {
    future: Pin<Box<F>>,
    waker: Waker,
    deadline: Tick,
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
        let (deadlines, turn) = (BTreeSet::new(), BTreeSet::new());
        Self { tasks: BTreeMap::new(), deadlines, last_id: 0, turn, woken: Arc::default() }
    }

    /// It is polled with the next poll of the set, and not before. From its deadline on it is
    /// polled without being woken, so that what it holds is given up whatever timers do.
    pub(super) fn push(&mut self, future: F, deadline: Tick) {
        self.last_id += 1;
        let id = self.last_id;
        let waker = Waker::from(Arc::new(TaskWaker { id, woken: Arc::clone(&self.woken) }));
        self.tasks.insert(id, Under { future: Box::pin(future), waker, deadline });
        self.deadlines.insert((deadline, id));
        self.turn.insert(id);
    }

    /// What one of them came to, which is then gone. Pending also where there are none.
    ///
    /// The oldest go first: what is overdue is over before anything newer begins.
    pub(super) fn poll_next(&mut self, now: Tick, context: &mut Context<'_>) -> Poll<F::Output> {
        {
            let mut woken = lock(&self.woken);
            woken.waker = Some(context.waker().clone());
            self.turn.append(&mut woken.ids);
        }
        self.turn.extend(self.deadlines.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id));
        // Each once: one that wakes itself again and again would keep the thread for ever.
        while let Some(id) = self.turn.pop_first() {
            let Some(task) = self.tasks.get_mut(&id) else {
                continue;
            };
            let mut context = Context::from_waker(&task.waker);
            if let Poll::Ready(output) = task.future.as_mut().poll(&mut context) {
                self.deadlines.remove(&(task.deadline, id));
                self.tasks.remove(&id);
                return Poll::Ready(output);
            }
        }
        Poll::Pending
    }

    /// What one of them came to, without waiting for it.
    pub(super) async fn come_by_now(&mut self, now: Tick) -> Option<F::Output> {
        poll_fn(|context| match self.poll_next(now, context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }
}
