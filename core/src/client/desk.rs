//! What the threads of a blocking run hand each other: work one way, what came of it the other
//! way, and the right to read from the source.
//!
//! One thread, that of the run, hands out and takes in. Whatever it waits for is published on the
//! board of its client.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use super::{
    Board,
    ingest::{Back, Job},
    lock,
};
use crate::{protocol::Call, types::BuildError};

pub(super) struct Desk<K, U> {
    papers: Mutex<Papers<K, U>>,
    work_is_there: Condvar,
    source_may_go_on: Condvar,
    board: Board,
}

struct Papers<K, U> {
    work: VecDeque<Job>,
    workers: usize,
    idle: usize,
    came: Vec<Came<K, U>>,
    // How many offers the source may give; what it is just reading is one of them.
    granted: usize,
    closed: bool,
}

/// What a thread left for that of the run.
pub(super) enum Came<K, U> {
    Back(Back),
    /// What the source says of its length.
    Length((usize, Option<usize>)),
    Offer(K, Result<Call<U>, BuildError>),
    SourceOver,
    /// A thread is dying of a panic.
    Panic,
}

/// What a thread leaves in any case: at the latest when it dies.
pub(super) struct Owed<'a, K, U> {
    desk: &'a Desk<K, U>,
    came: Option<Came<K, U>>,
}

impl<K, U> Owed<'_, K, U> {
    /// Leaves this instead.
    pub(super) fn replace(mut self, came: Came<K, U>) {
        self.came = Some(came);
    }
}

impl<K, U> Drop for Owed<'_, K, U> {
    fn drop(&mut self) {
        // Both at once, and the panic first: nothing goes out because of what else came.
        let panic = thread::panicking().then_some(Came::Panic);
        self.desk.leave(panic.into_iter().chain(self.came.take()));
    }
}

/// Closes a desk when it goes, whatever the reason.
pub(super) struct Closing<'a, K, U>(pub(super) &'a Desk<K, U>);

impl<K, U> Drop for Closing<'_, K, U> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<K, U> Desk<K, U> {
    pub(super) fn new(board: Board) -> Self {
        let (work, came) = (VecDeque::new(), Vec::new());
        let papers = Papers { work, workers: 0, idle: 0, came, granted: 0, closed: false };
        Self {
            papers: Mutex::new(papers),
            work_is_there: Condvar::new(),
            source_may_go_on: Condvar::new(),
            board,
        }
    }

    /// Hands out work. True if one more worker is wanted, of so many at most.
    pub(super) fn hand_out(&self, job: Job, most: usize) -> bool {
        let mut papers = lock(&self.papers);
        papers.work.push_back(job);
        self.work_is_there.notify_one();
        let wanted = papers.work.len() > papers.idle && papers.workers < most;
        papers.workers += usize::from(wanted);
        wanted
    }

    /// The next piece of work, waited for; none any more once the desk is closed.
    pub(super) fn work(&self) -> Option<Job> {
        let mut papers = lock(&self.papers);
        papers.idle += 1;
        papers = wait_while(&self.work_is_there, papers, |papers| papers.work.is_empty());
        papers.idle -= 1;
        if papers.closed { None } else { papers.work.pop_front() }
    }

    /// Lets the source give so many offers, and no more. Nothing changes if something was left
    /// that is to be looked at first, for it may take that room: false.
    pub(super) fn grant(&self, room: usize) -> bool {
        let mut papers = lock(&self.papers);
        if !papers.came.is_empty() {
            return false;
        }
        papers.granted = room;
        self.source_may_go_on.notify_one();
        true
    }

    /// Waits until the source may give one more. False once the desk is closed.
    pub(super) fn may_read(&self) -> bool {
        let papers = lock(&self.papers);
        !wait_while(&self.source_may_go_on, papers, |papers| papers.granted == 0).closed
    }

    /// What the source gave.
    pub(super) fn offer(&self, key: K, call: Result<Call<U>, BuildError>) {
        let mut papers = lock(&self.papers);
        papers.granted = papers.granted.saturating_sub(1);
        papers.came.push(Came::Offer(key, call));
        drop(papers);
        self.board.publish();
    }

    pub(super) fn leave(&self, came: impl IntoIterator<Item = Came<K, U>>) {
        lock(&self.papers).came.extend(came);
        self.board.publish();
    }

    pub(super) fn owe(&self, came: Came<K, U>) -> Owed<'_, K, U> {
        Owed { desk: self, came: Some(came) }
    }

    /// Takes in all that was left.
    pub(super) fn take_in(&self) -> Vec<Came<K, U>> {
        std::mem::take(&mut lock(&self.papers).came)
    }

    /// Nobody waits here any more.
    pub(super) fn close(&self) {
        lock(&self.papers).closed = true;
        self.work_is_there.notify_all();
        self.source_may_go_on.notify_all();
    }
}

/// Waits while that holds and the desk is open.
fn wait_while<'a, K, U>(
    condvar: &Condvar,
    papers: MutexGuard<'a, Papers<K, U>>,
    mut holds: impl FnMut(&Papers<K, U>) -> bool,
) -> MutexGuard<'a, Papers<K, U>> {
    condvar
        .wait_while(papers, |papers| !papers.closed && holds(papers))
        .unwrap_or_else(PoisonError::into_inner)
}
