//! The blocking driver of a bulk run: the caller's thread asks the machine what to do, and what
//! takes its time is done on others, which report to the machine themselves.

use std::{
    io, iter,
    panic::resume_unwind,
    sync::Mutex,
    thread::{self, Scope, ScopedJoinHandle},
};

use super::{
    Client, Failure, IngestNews, IngestRun, Transport,
    blocking::Inner,
    desk::Desk,
    hub::Voice,
    ingest::{Back, Course, Job, Todo},
    lock,
};
use crate::{
    machine::{Event, Summary},
    protocol::{Call, TokenError},
    types::BuildError,
};

impl<T: Transport + Sync> IngestRun<Client<T>> {
    /// Makes the calls that the source gives, each under its key, and tells what became of each.
    ///
    /// The source is read while there is room for what it gives, and what has no call but the
    /// reason for that is told and counted as skipped. The handler is called on this thread, the
    /// source's iterator is made and read on one of its own, and as many threads send as calls are
    /// out at a time, and one more. While the handler works nothing new goes out, but what is out
    /// is answered, and other calls of this client go on, its own among them.
    ///
    /// All these threads have ended when this returns, and it waits for the longest of them, also
    /// after a [stop](Self::stop_handle) or too many failures. While the source blocks in `next()`
    /// the run goes on and what became of the rest is told, but the end waits for `next()` to
    /// return; what it gives then is told as not sent. So it is with a token source that waits for
    /// a person, and with a transport that does not keep to the time of an attempt.
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
        U: Send,
        F: FnMut(IngestNews<K, U>),
    {
        let Self { client, plan } = self;
        let inner = &*client.0;
        let most = plan.settings.in_flight.max(1).saturating_add(1);
        let course = Course::new(plan, &client.start(), inner);
        let office = Office { inner, course: Mutex::new(course), desk: Desk::default() };
        let office = &office;
        let mut voice = Voice::new(&inner.hub);
        thread::scope(|scope| {
            // Whatever way this thread leaves, the others do not wait for it.
            let closing = Closing(office);
            let reader = spawn(scope, "graphfeed-source", move || office.read(source));
            let mut workers = Vec::new();
            let mut summary = loop {
                let (todo, events) = office.next();
                voice.tell(events);
                match todo {
                    Todo::Job(job) => {
                        if office.desk.hand_out(job, most) {
                            workers.push(spawn(scope, "graphfeed-send", || office.work()));
                        }
                    }
                    Todo::Tell(news) => tell(news),
                    // The news are from before: what has come since then is among them.
                    Todo::Wait { until, news, .. } => inner.clock.wait(until, &news),
                    Todo::Finished(summary) => break summary,
                }
            };
            drop(closing);
            let threads = iter::once(reader).chain(workers);
            let panics: Vec<_> = threads.filter_map(|thread| thread.join().err()).collect();
            let late = lock(&office.course).finish(&mut summary);
            late.into_iter().for_each(tell);
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

/// What the threads of a run share.
struct Office<'a, T, K: Ord + Clone, U> {
    inner: &'a Inner<T>,
    // Never held while anything blocks or the handler works: who brings something does not wait.
    course: Mutex<Course<K, U, &'a Inner<T>>>,
    desk: Desk,
}

/// What is brought to a run.
enum Brought {
    Back(Back),
    SourceOver,
}

/// What a thread brings in any case: at the latest when it dies.
struct Owed<'o, 'a, T, K: Ord + Clone, U> {
    office: &'o Office<'a, T, K, U>,
    brought: Option<Brought>,
}

/// Ends the work of the others when it goes, whatever the reason.
struct Closing<'o, 'a, T, K: Ord + Clone, U>(&'o Office<'a, T, K, U>);

impl<'a, T, K: Ord + Clone, U> Office<'a, T, K, U> {
    /// What the thread of the run is to do next, and what the machine has decided till then.
    fn next(&self) -> (Todo<K, U>, Vec<Event>) {
        let mut course = lock(&self.course);
        let todo = course.next(|| self.inner.clock.now());
        // Before anything is offered that takes some of this room.
        if let Todo::Wait { room, .. } = todo {
            self.desk.grant(room);
        }
        (todo, course.take_events())
    }

    fn bring(&self, brought: Brought) {
        let now = || self.inner.clock.now();
        let mut course = lock(&self.course);
        // First, so that nothing goes out because of what else is brought.
        if thread::panicking() {
            course.stop();
        }
        match brought {
            Brought::Back(back) => course.came(now, back),
            Brought::SourceOver => {
                course.close();
                self.inner.hub.board.publish();
            }
        }
    }

    fn owe(&self, brought: Brought) -> Owed<'_, 'a, T, K, U> {
        Owed { office: self, brought: Some(brought) }
    }

    /// Reads the source as far as it may be read.
    fn read<S>(&self, source: S)
    where
        S: IntoIterator<Item = (K, Result<Call<U>, BuildError>)>,
    {
        let _owed = self.owe(Brought::SourceOver);
        let mut source = source.into_iter();
        let length = source.size_hint();
        lock(&self.course).expect(length);
        while self.desk.may_read() {
            let Some((key, call)) = source.next() else { return };
            let mut course = lock(&self.course);
            course.offer(self.inner.clock.now(), key, call);
            self.desk.was_read();
            self.inner.hub.board.publish();
        }
    }
}

impl<T: Transport, K: Ord + Clone, U> Office<'_, T, K, U> {
    /// Sends what is to be sent, and fetches what tokens are wanted.
    fn work(&self) {
        while let Some(job) = self.desk.work() {
            match job {
                Job::Send(attempt) => {
                    let ticket = attempt.ticket;
                    let died = Err(Failure::maybe_sent("the transport panicked"));
                    let owed = self.owe(Brought::Back(Back::Answer(ticket, died)));
                    let sent = self.inner.send(attempt);
                    owed.replace(Brought::Back(Back::Answer(ticket, sent)));
                }
                Job::Token(need) => {
                    let died = Err(TokenError::source("the source of tokens panicked"));
                    let owed = self.owe(Brought::Back(Back::Token(need.lease, died)));
                    let token = self.inner.tokens.token(&need);
                    owed.replace(Brought::Back(Back::Token(need.lease, token)));
                }
            }
        }
    }
}

impl<T, K: Ord + Clone, U> Owed<'_, '_, T, K, U> {
    /// Brings this instead.
    fn replace(mut self, brought: Brought) {
        self.brought = Some(brought);
    }
}

impl<T, K: Ord + Clone, U> Drop for Owed<'_, '_, T, K, U> {
    fn drop(&mut self) {
        if let Some(brought) = self.brought.take() {
            self.office.bring(brought);
        }
    }
}

impl<T, K: Ord + Clone, U> Drop for Closing<'_, '_, T, K, U> {
    fn drop(&mut self) {
        // At once: others need not wait for a thread that hangs to get what the run held.
        lock(&self.0.course).abandon();
        self.0.desk.close();
    }
}
