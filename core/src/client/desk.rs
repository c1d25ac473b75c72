//! What the thread of a blocking run hands to the others: jobs, and the right to read from the
//! source.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{ingest::Job, lock};

#[derive(Default)]
pub(super) struct Desk {
    papers: Mutex<Papers>,
    work_is_there: Condvar,
    source_may_go_on: Condvar,
}

#[derive(Default)]
struct Papers {
    work: VecDeque<Job>,
    workers: usize,
    idle: usize,
    // How many offers the source may give; what it is just reading is one of them.
    granted: usize,
    closed: bool,
}

impl Desk {
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

    /// Lets the source give so many offers, and no more.
    pub(super) fn grant(&self, room: usize) {
        lock(&self.papers).granted = room;
        self.source_may_go_on.notify_one();
    }

    /// Waits until the source may give one more. False once the desk is closed.
    pub(super) fn may_read(&self) -> bool {
        let papers = lock(&self.papers);
        !wait_while(&self.source_may_go_on, papers, |papers| papers.granted == 0).closed
    }

    /// One of those that were granted is there.
    pub(super) fn was_read(&self) {
        let mut papers = lock(&self.papers);
        papers.granted = papers.granted.saturating_sub(1);
    }

    /// Nobody waits here any more.
    pub(super) fn close(&self) {
        lock(&self.papers).closed = true;
        self.work_is_there.notify_all();
        self.source_may_go_on.notify_all();
    }
}

/// Waits while that holds and the desk is open.
fn wait_while<'a>(
    condvar: &Condvar,
    papers: MutexGuard<'a, Papers>,
    mut holds: impl FnMut(&Papers) -> bool,
) -> MutexGuard<'a, Papers> {
    condvar
        .wait_while(papers, |papers| !papers.closed && holds(papers))
        .unwrap_or_else(PoisonError::into_inner)
}
