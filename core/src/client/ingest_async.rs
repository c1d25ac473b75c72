//! The async driver of a bulk run: all that is out is polled in the run's own future.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use futures_core::Stream;

use super::{
    AsyncClient, AsyncTransport, IngestNews, IngestRun,
    asynchronous::{Inner, wait},
    hub::{Held, Voice},
    ingest::{Back, Course, Job, Todo},
    task_set::TaskSet,
};
use crate::{machine::Summary, protocol::Call, types::BuildError};

/// After so many turns others on the same thread get theirs.
const TURNS: usize = 64;

/// What a wait ended with.
enum Event<K, U> {
    Came(Back),
    Read(Vec<(K, Result<Call<U>, BuildError>)>),
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
        let mut voice = Voice::new(&inner.hub);
        let mut tasks = TaskSet::new();
        let mut source = pin!(source);
        let mut source_is_over = false;
        course.expect(source.size_hint());
        let mut turns = 0;
        loop {
            turns += 1;
            // Where stream and answers are always ready, nothing else would make it wait.
            if turns >= TURNS {
                turns = 0;
                give_way().await;
            }
            // What has come goes before what is due: no answer is late because it was not looked at.
            while let Some(back) = tasks.come_by_now(now()).await {
                course.came(now, back);
            }
            let todo = course.next(now);
            voice.tell(course.take_events());
            let (until, room, news) = match todo {
                Todo::Job(job) => {
                    let deadline = job.deadline();
                    tasks.push(inner.work(job), deadline);
                    continue;
                }
                Todo::Tell(news) => {
                    tell(news);
                    continue;
                }
                Todo::Wait { until, room, news } => (until, room, news),
                Todo::Finished(mut summary) => {
                    course.finish(&mut summary).into_iter().for_each(tell);
                    return summary;
                }
            };
            let mut due = pin!(wait(&*inner.clock, until, &news));
            let event = poll_fn(|context| {
                if let Poll::Ready(back) = tasks.poll_next(now(), context) {
                    return Poll::Ready(Event::Came(back));
                }
                // All that is there: what is offered together can go together.
                let (mut read, was_over) = (Vec::new(), source_is_over);
                while read.len() < room.min(TURNS) && !source_is_over {
                    match source.as_mut().poll_next(context) {
                        Poll::Ready(Some(offer)) => read.push(offer),
                        Poll::Ready(None) => source_is_over = true,
                        Poll::Pending => break,
                    }
                }
                if !read.is_empty() || source_is_over != was_over {
                    return Poll::Ready(Event::Read(read));
                }
                due.as_mut().poll(context).map(|()| Event::Due)
            });
            match event.await {
                Event::Came(back) => course.came(now, back),
                Event::Read(offers) => {
                    turns += offers.len();
                    for (key, call) in offers {
                        course.offer(now(), key, call);
                    }
                    if source_is_over {
                        course.close();
                    }
                }
                Event::Due => {}
            }
        }
    }
}

/// Is ready when it is polled for the second time, which is soon.
async fn give_way() {
    let mut given = false;
    poll_fn(|context| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<T: AsyncTransport> Inner<T> {
    async fn work(&self, job: Job) -> Back {
        match job {
            Job::Send(attempt) => Back::Answer(attempt.ticket, self.send(attempt).await),
            Job::Token(need) => Back::Token(need.lease, self.tokens.token(&need).await),
        }
    }
}
