//! The async driver of a bulk run: all that is out is polled in the run's own future.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use futures_core::Stream;

use super::{
    AsyncClient, AsyncTransport, IngestNews, IngestRun,
    asynchronous::{Inner, wait},
    hub::Held,
    ingest::{Back, Course, Job, Todo},
    task_set::TaskSet,
};
use crate::{machine::Summary, protocol::Call, types::BuildError};

/// What a wait ended with.
enum Event<K, U> {
    Came(Back),
    Read(Option<(K, Result<Call<U>, BuildError>)>),
    /// It is time, or there is news.
    Due,
}

impl<T: AsyncTransport + Send + Sync + 'static> IngestRun<AsyncClient<T>> {
    /// Makes the calls that the stream gives, each under its key, and tells what became of each.
    ///
    /// The stream is polled while there is room for what it gives, and what has no call but the
    /// reason for that is told and counted as skipped. While it has nothing to give the run goes
    /// on, and a [stop](Self::stop_handle) does not wait for it.
    ///
    /// The handler is called from the future that this gives. The future is `Send` where the
    /// stream, the keys, the outputs and the handler are, and spawns nothing. Dropped before its
    /// end it gives up: what is out is not waited for, its outcomes are told to nobody, and what
    /// it held (the lease to fetch a token, the right to go first through a gate) passes on at
    /// once. [`StopHandle`](super::StopHandle) is the gentle way.
    ///
    /// With a [`VirtualClock`](super::VirtualClock) a transport has to answer at once: the time
    /// jumps while something is waited for, and every attempt has a time to wait for.
    pub async fn run<S, K, U, F>(self, source: S, mut tell: F) -> Summary
    where
        S: Stream<Item = (K, Result<Call<U>, BuildError>)>,
        K: Ord + Clone,
        F: FnMut(IngestNews<K, U>),
    {
        let Self { client, plan } = self;
        let inner = &*client.0;
        let now = || inner.clock.now();
        let mut course = Course::new(plan, &client.start(), Held(Arc::clone(&client.0)));
        let mut tasks = TaskSet::new();
        let mut source = pin!(source);
        let mut source_is_over = false;
        course.expect(source.size_hint());
        loop {
            // What has come goes before what is due: no answer is late because it was not looked at.
            while let Some(back) = tasks.come_by_now().await {
                course.came(now, back);
            }
            let (until, room, news) = match course.next(now) {
                Todo::Job(job) => {
                    tasks.push(inner.work(job));
                    continue;
                }
                Todo::Tell(news) => {
                    tell(news);
                    continue;
                }
                Todo::Wait { until, room, news } => (until, room, news),
                Todo::Finished(summary) => return course.finish(summary, tell),
            };
            let mut due = pin!(wait(&*inner.clock, until, &news));
            let event = poll_fn(|context| {
                if let Poll::Ready(back) = tasks.poll_next(context) {
                    return Poll::Ready(Event::Came(back));
                }
                if room > 0
                    && !source_is_over
                    && let Poll::Ready(offer) = source.as_mut().poll_next(context)
                {
                    return Poll::Ready(Event::Read(offer));
                }
                due.as_mut().poll(context).map(|()| Event::Due)
            });
            match event.await {
                Event::Came(back) => course.came(now, back),
                Event::Read(Some((key, call))) => course.offer(now(), key, call),
                Event::Read(None) => {
                    source_is_over = true;
                    course.close();
                }
                Event::Due => {}
            }
        }
    }
}

impl<T: AsyncTransport> Inner<T> {
    async fn work(&self, job: Job) -> Back {
        match job {
            Job::Send(attempt, until) => {
                Back::Answer(attempt.ticket, self.send(attempt, until).await)
            }
            Job::Token(need) => Back::Token(need.lease, self.tokens.token(&need).await),
        }
    }
}
