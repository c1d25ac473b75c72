//! The blocking driver of a bulk run: the machine on the caller's thread, what takes its time on
//! others.

use std::{
    io, iter,
    panic::resume_unwind,
    sync::Arc,
    thread::{self, Scope, ScopedJoinHandle},
};

use super::{
    Client, Failure, IngestNews, IngestRun, Transport,
    blocking::Inner,
    desk::{Came, Closing, Desk},
    hub::Held,
    ingest::{Back, Course, Job, Todo},
};
use crate::{
    machine::{Summary, Tick},
    protocol::{Call, TokenError},
    types::BuildError,
};

impl<T: Transport + Sync> IngestRun<Client<T>> {
    /// Makes the calls that the source gives, each under its key, and tells what became of each.
    ///
    /// The source is read while there is room for what it gives, and what has no call but the
    /// reason for that is told and counted as skipped. The handler is called on this thread, the
    /// source's iterator is made and read on one of its own, and as many threads send as calls are
    /// out at a time, and one more. While the source blocks in `next()` the run goes on, but a
    /// [stop](Self::stop_handle) ends it only when `next()` returns; what it gives then is told as
    /// not sent.
    ///
    /// Several threads wait by the clock, so a [`VirtualClock`](super::VirtualClock) is no clock
    /// for this.
    ///
    /// # Panics
    /// When the source, the transport or the token source does: the run is stopped first, and what
    /// became of the rest is told. When the handler does. When the system has no thread left.
    pub fn run<S, K, U, F>(self, source: S, mut tell: F) -> Summary
    where
        S: IntoIterator<Item = (K, Result<Call<U>, BuildError>)> + Send,
        K: Ord + Clone + Send,
        F: FnMut(IngestNews<K, U>),
    {
        let Self { client, plan } = self;
        let inner = &*client.0;
        let now = || inner.clock.now();
        let most = plan.settings.in_flight.max(1).saturating_add(1);
        let desk = &Desk::new(inner.hub.board.clone());
        thread::scope(|scope| {
            // Whatever way this thread leaves, the others do not wait for it.
            let closing = Closing(desk);
            let mut course = Course::new(plan, &client.start(), Held(Arc::clone(&client.0)));
            let reader = spawn(scope, "graphfeed-source", move || read(desk, source));
            let mut workers = Vec::new();
            let summary = loop {
                // What has come goes before what is due: no answer is late because the handler
                // took its time.
                for came in desk.take_in() {
                    take(&mut course, now, came);
                }
                match course.next(now) {
                    Todo::Job(job) => {
                        if desk.hand_out(job, most) {
                            workers.push(spawn(scope, "graphfeed-send", || work(inner, desk)));
                        }
                    }
                    Todo::Tell(news) => tell(news),
                    Todo::Wait { until, room, news } => {
                        // The news are from before: what is left from here on is among them.
                        if desk.grant(room) {
                            inner.clock.wait(until, &news);
                        }
                    }
                    Todo::Finished(summary) => break summary,
                }
            };
            drop(closing);
            let threads = iter::once(reader).chain(workers);
            let panics: Vec<_> = threads.filter_map(|thread| thread.join().err()).collect();
            for came in desk.take_in() {
                take(&mut course, now, came);
            }
            let summary = course.finish(summary, tell);
            match panics.into_iter().next() {
                Some(panic) => resume_unwind(panic),
                None => summary,
            }
        })
    }
}

fn spawn<'scope, F: FnOnce() + Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    run: F,
) -> ScopedJoinHandle<'scope, ()> {
    let spawned: io::Result<_> =
        thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, run);
    spawned.expect("the system has a thread left")
}

/// Reads the source as far as it may be read.
fn read<S, K, U>(desk: &Desk<K, U>, source: S)
where
    S: IntoIterator<Item = (K, Result<Call<U>, BuildError>)>,
{
    let _owed = desk.owe(Came::SourceOver);
    let mut source = source.into_iter();
    desk.leave([Came::Length(source.size_hint())]);
    while desk.may_read() {
        match source.next() {
            Some((key, call)) => desk.offer(key, call),
            None => return,
        }
    }
}

/// Sends what is to be sent, and fetches what tokens are wanted.
fn work<T: Transport, K, U>(inner: &Inner<T>, desk: &Desk<K, U>) {
    while let Some(job) = desk.work() {
        match job {
            Job::Send(attempt, until) => {
                let ticket = attempt.ticket;
                let died = Err(Failure::maybe_sent("the transport panicked"));
                let owed = desk.owe(Came::Back(Back::Answer(ticket, died)));
                let sent = match until.since(inner.clock.now()) {
                    // The run has given it up, and the next call of its key may be out.
                    left if left.is_zero() => {
                        Err(Failure::not_sent("no thread was free within the time of one attempt"))
                    }
                    left => {
                        let options = inner.hub.options(&attempt).with_timeout(left);
                        inner.transport.send(attempt.request, &options)
                    }
                };
                owed.replace(Came::Back(Back::Answer(ticket, sent)));
            }
            Job::Token(need) => {
                let died = Err(TokenError::source("the source of tokens panicked"));
                let owed = desk.owe(Came::Back(Back::Token(need.lease, died)));
                let token = inner.tokens.token(&need);
                owed.replace(Came::Back(Back::Token(need.lease, token)));
            }
        }
    }
}

/// Tells the machine what a thread has left.
fn take<T, K: Ord + Clone, U>(
    course: &mut Course<K, U, Held<Inner<T>>>,
    now: impl Fn() -> Tick,
    came: Came<K, U>,
) {
    match came {
        Came::Back(back) => course.came(now, back),
        Came::Length(hint) => course.expect(hint),
        Came::Offer(key, call) => course.offer(now(), key, call),
        Came::SourceOver => course.close(),
        Came::Panic => course.stop(),
    }
}
