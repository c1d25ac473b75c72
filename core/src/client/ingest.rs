//! Bulk runs, as the blocking and the async driver see them alike.
//!
//! Lives here: how a run is asked for ([`IngestRun`]), what it tells, how it is stopped, and what
//! each step of its machine means for a driver. Where requests are sent and where offers are read
//! is the business of the two drivers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use super::{
    Board, Failure, News,
    hub::{Driving, Hub},
};
use crate::{
    machine::{
        Attempt, End, Event, Ingest, IngestSettings, IngestStep, Lease, Outcome, Progress,
        SkipReason, Start, Summary, Tick, Ticket, Token, TokenNeed,
    },
    protocol::{Call, TokenError},
    types::BuildError,
};

/// A bulk run that is about to start, of a [`Client`](super::Client) or an
/// [`AsyncClient`](super::AsyncClient).
///
/// It comes from [`Client::ingest`](super::Client::ingest) or
/// [`AsyncClient::ingest`](super::AsyncClient::ingest), where an example is.
#[derive(Debug)]
#[must_use = "nothing goes out before run()"]
pub struct IngestRun<C> {
    pub(super) client: C,
    pub(super) plan: Plan,
}

/// What a run tells while it goes on.
#[derive(Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "it is moved once, and a box would be allocated")]
pub enum IngestNews<K, T> {
    /// What became of what the source gave; once for each.
    Done(K, Outcome<T>),
    /// Where the run stands, from time to time.
    Progress(Progress),
}

/// Ends a run from anywhere: from its own handler, another thread or task, what a library calls on
/// Ctrl-C. It takes a lock, so a signal handler in the narrow sense is no place for it.
///
/// Nothing new goes out then, what is out is waited for, and the rest is told as not sent, as with
/// [`Ingest::stop`].
#[derive(Clone, Debug)]
pub struct StopHandle {
    stopped: Arc<AtomicBool>,
    board: Board,
}

impl StopHandle {
    fn new(board: Board) -> Self {
        Self { stopped: Arc::default(), board }
    }

    /// Ends the run, which hears of it at once. Before its start it ends it at its start, after
    /// its end it does nothing.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.board.publish();
    }

    /// Whether it was stopped by a handle. One that ended by itself was not.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) settings: IngestSettings,
    progress_every: Duration,
    expected: Option<u64>,
    stop: StopHandle,
}

impl<C> IngestRun<C> {
    pub(super) fn new(client: C, settings: IngestSettings, hub: &Hub) -> Self {
        let progress_every = Duration::from_secs(1);
        let stop = StopHandle::new(hub.board.clone());
        Self { client, plan: Plan { settings, progress_every, expected: None, stop } }
    }

    /// How often the progress is told: once a second by default, and at most once a millisecond.
    pub fn progress_every(mut self, every: Duration) -> Self {
        self.plan.progress_every = every.max(Duration::from_millis(1));
        self
    }

    /// How many offers the source will give, so that the time left can be told. Without it the
    /// source's own `size_hint` counts, where it is exact.
    pub fn expect(mut self, offers: u64) -> Self {
        self.plan.expected = Some(offers);
        self
    }

    /// Is stopped by the handle of another run of the same client, one that was not made yet or
    /// goes before it, so that one handle stops several runs in a row.
    pub fn stopped_by(mut self, stop: &StopHandle) -> Self {
        self.plan.stop = stop.clone();
        self
    }

    /// What stops the run.
    pub fn stop_handle(&self) -> StopHandle {
        self.plan.stop.clone()
    }
}

/// A run on its way.
pub(super) struct Course<K: Ord + Clone, U, H: AsRef<Hub>> {
    driving: Driving<Ingest<K, U>, H>,
    stop: StopHandle,
    progress_every: Duration,
    // None when it was told just now.
    progress_at: Option<Tick>,
    expected: Option<u64>,
    // Read from the source when the run had ended already.
    late: Vec<(K, Outcome<U>)>,
}

/// What a driver is to do next.
#[allow(clippy::large_enum_variant, reason = "it is moved once, and a box would be allocated")]
pub(super) enum Todo<K, U> {
    /// To be done elsewhere, while the run goes on.
    Job(Job),
    Tell(IngestNews<K, U>),
    /// Until then there is nothing but what comes back, offers for the room, and news.
    Wait {
        until: Tick,
        room: usize,
        news: News,
    },
    Finished(Summary),
}

/// What takes its time.
#[allow(clippy::large_enum_variant, reason = "it is moved once, and a box would be allocated")]
pub(super) enum Job {
    Send(Attempt),
    Token(TokenNeed),
}

impl Job {
    /// When its machine gives it up, if it ever does.
    pub(super) fn deadline(&self) -> Tick {
        match self {
            Self::Send(attempt) => attempt.deadline,
            Self::Token(_) => Tick::MAX,
        }
    }
}

/// What came of a [`Job`].
pub(super) enum Back {
    Answer(Ticket, Result<http::Response<Bytes>, Failure>),
    Token(Lease, Result<Token, TokenError>),
}

impl<K: Ord + Clone, U, H: AsRef<Hub>> Course<K, U, H> {
    pub(super) fn new(plan: Plan, start: &Start, hub: H) -> Self {
        let Plan { settings, progress_every, expected, stop } = plan;
        let mut ingest = Ingest::new(settings, start);
        if let Some(offers) = expected {
            ingest.expect(offers);
        }
        Self {
            driving: Driving::new(ingest, hub),
            stop,
            progress_every,
            progress_at: Some(start.now + progress_every),
            expected,
            late: Vec::new(),
        }
    }

    pub(super) fn next(&mut self, now: impl Fn() -> Tick) -> Todo<K, U> {
        let tick = now();
        // Counted from when the last time was over, so that a slow handler still lets the run go on.
        let progress_at = *self.progress_at.get_or_insert(tick + self.progress_every);
        if tick >= progress_at {
            self.progress_at = None;
            return Todo::Tell(IngestNews::Progress(self.driving.machine.progress(tick)));
        }
        loop {
            let stopped = self.stop.is_stopped();
            if stopped {
                self.stop();
            }
            let (step, news) =
                self.driving.turn(&now, |ingest, now, shared| ingest.poll(now, shared));
            return match step {
                IngestStep::Send(attempt) => Todo::Job(Job::Send(attempt)),
                IngestStep::Token(need) => Todo::Job(Job::Token(need)),
                IngestStep::Done(key, outcome) => Todo::Tell(IngestNews::Done(key, outcome)),
                // A stop from before the news would not be among them.
                IngestStep::Idle { .. } if stopped != self.stop.is_stopped() => continue,
                IngestStep::Idle { until, room } => {
                    let until = until.map_or(progress_at, |until| until.min(progress_at));
                    Todo::Wait { until, room, news }
                }
                IngestStep::Finished(summary) => Todo::Finished(summary),
            };
        }
    }

    pub(super) fn came(&mut self, now: impl FnOnce() -> Tick, back: Back) {
        self.driving.report(now, |ingest, now, shared| match back {
            Back::Answer(ticket, Ok(response)) => {
                ingest.on_response(ticket, now, response, shared);
            }
            Back::Answer(ticket, Err(failure)) => ingest.on_failure(ticket, now, failure, shared),
            Back::Token(lease, token) => ingest.on_token(lease, now, token, shared),
        });
    }

    /// Takes what the source gave. What there is no room for any more, because the run has ended
    /// while it was read, is told [after all others](Self::finish).
    pub(super) fn offer(&mut self, now: Tick, key: K, call: Result<Call<U>, BuildError>) {
        let ingest = &mut self.driving.machine;
        let (key, call, why) = match call {
            Ok(call) => match ingest.offer(key, call, now) {
                Ok(()) => return,
                Err((key, call)) => (key, Some(call), SkipReason::RunEnded),
            },
            Err(why) => match ingest.skip(key, why, now) {
                Ok(()) => return,
                Err((key, why)) => (key, None, SkipReason::Source(why)),
            },
        };
        let end = End::Skipped(why);
        let unsent = Outcome {
            call,
            end,
            attempts: 0,
            maybe_applied: false,
            repeated_in_doubt: false,
            offered: now,
            first_sent: None,
            done: now,
        };
        self.late.push((key, unsent));
    }

    /// What the source says of its length, unless somebody has said it.
    pub(super) fn expect(&mut self, (least, most): (usize, Option<usize>)) {
        if self.expected.is_none() && most == Some(least) {
            self.driving.machine.expect(least as u64);
        }
    }

    /// The source has no more.
    pub(super) fn close(&mut self) {
        self.driving.machine.close();
    }

    pub(super) fn stop(&mut self) {
        self.driving.machine.stop();
    }

    /// What was decided since this was last asked.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        self.driving.take_events()
    }

    /// Hands on what the run holds.
    pub(super) fn abandon(&mut self) {
        self.driving.abandon();
    }

    /// The end, after which the source gives nothing more: what is still to be told.
    pub(super) fn finish(&mut self, summary: &mut Summary) -> Vec<IngestNews<K, U>> {
        let late = std::mem::take(&mut self.late);
        summary.progress.seen += late.len() as u64;
        summary.progress.skipped += late.len() as u64;
        late.into_iter().map(|(key, outcome)| IngestNews::Done(key, outcome)).collect()
    }
}
