//! What a bulk run is told and what it tells: plain data.

use std::{fmt, time::Duration};

use crate::{
    machine::{Attempt, Tick, TokenNeed},
    protocol::{Call, Error, Reply},
    types::BuildError,
};

/// How a bulk run goes about it.
///
/// ```
/// use graphfeed_core::machine::IngestSettings;
///
/// let mut settings = IngestSettings::default();
/// settings.in_flight = 8;
/// settings.failures_in_a_row = None;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct IngestSettings {
    /// The most calls out at a time, those in a batch counted one by one. 25 by default, what
    /// [Microsoft allows for a connection](https://learn.microsoft.com/graph/connecting-external-content-connectors-overview).
    pub in_flight: usize,
    /// The most offers that are taken before their outcomes are told, those in flight among them.
    /// 100 by default.
    pub queue: usize,
    /// How calls travel.
    pub packing: Packing,
    /// What becomes of the calls of a key after one of them has failed.
    pub after_failure: AfterFailure,
    /// So many failures in a row end the run, those of the source among them. 100 by default.
    pub failures_in_a_row: Option<u32>,
    /// So many failures among the last outcomes end the run. Half of 1000 by default.
    pub failure_share: Option<FailureShare>,
}

/// How calls travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Packing {
    /// Each in a request of its own.
    #[default]
    Singles,
    /// As parts of `$batch` requests, as many in each as it takes
    /// ([20](https://learn.microsoft.com/graph/json-batching)) and may go at the time. It saves
    /// round trips and nothing else: the service throttles each part for itself, and each counts
    /// as a call here, in what is in flight as in the pace; but the slowest of them holds up the
    /// answer to all: of the 25 calls that are out by default, one that hangs holds up twenty, so
    /// that more [in flight](IngestSettings::in_flight) and a longer
    /// [queue](IngestSettings::queue) are called for. A source that is slower than the service
    /// fills no batches. A call that goes into no batch, for it is too long, goes by itself.
    Batches,
}

/// What becomes of the calls of a key after one of them has failed or was refused at its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AfterFailure {
    /// The next one goes: activities, say, to an item that is not there.
    #[default]
    Continue,
    /// They are skipped, whatever they are: the activities on an item that failed, but also a
    /// delete behind an activity that did. A key that has failed starts anew when as many offers
    /// of other keys have come since as the [queue](IngestSettings::queue) is long.
    Skip,
    /// So they are, but behind a call of which a part was done ([`End::Partly`]) the next one
    /// goes: that some activities are refused keeps none of the others back.
    SkipUnlessPartly,
}

/// So many failures among so many outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FailureShare {
    /// The failures that are too many.
    pub failures: u32,
    /// Among how many outcomes, the last ones. Fewer than that are never judged.
    pub of: u32,
}

impl FailureShare {
    /// So many failures among the last so many outcomes.
    pub fn new(failures: u32, of: u32) -> Self {
        Self { failures, of }
    }
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            in_flight: 25,
            queue: 100,
            packing: Packing::default(),
            after_failure: AfterFailure::default(),
            failures_in_a_row: Some(100),
            failure_share: Some(FailureShare::new(500, 1000)),
        }
    }
}

/// What a bulk run wants done, or tells.
#[derive(Debug)]
#[must_use]
#[allow(clippy::large_enum_variant, reason = "it is moved once, and a box would be allocated")]
pub enum IngestStep<K, T> {
    /// Send a request and report its answer with `on_response` or `on_failure`; meanwhile go on
    /// polling.
    Send(Attempt),
    /// Fetch a token and report it with `on_token`; meanwhile go on polling.
    Token(TokenNeed),
    /// What became of an offer.
    Done(K, Outcome<T>),
    /// Nothing for now.
    #[non_exhaustive]
    Idle {
        /// Poll again at that time, which is later than now, or sooner: with an offer, an answer, or when
        /// something in [`Shared`](crate::machine::Shared) has changed.
        until: Option<Tick>,
        /// How many offers there is room for; none when no more are taken.
        room: usize,
    },
    /// It is over, and all outcomes were told. This comes once.
    Finished(Summary),
}

/// What became of one offer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome<T> {
    /// The call, to be made again or kept; `None` where its source had none to offer.
    pub call: Option<Call<T>>,
    /// How it ended.
    pub end: End<T>,
    /// How many attempts went out.
    pub attempts: u32,
    /// Whether one of them failed and may have been carried out all the same, whatever the later
    /// ones came to.
    pub maybe_applied: bool,
    /// Whether it was sent once more after such an attempt, and may have been carried out twice.
    pub repeated_in_doubt: bool,
    /// When it was offered.
    pub offered: Tick,
    /// When its first attempt went out, if one did.
    pub first_sent: Option<Tick>,
    /// When it ended.
    pub done: Tick,
}

/// How an offer ended.
#[derive(Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "it is moved once, and a box would be allocated")]
pub enum End<T> {
    /// The service did it.
    Ok(Reply<T>),
    /// It did some of it and not all ([`Endpoint::is_complete`]): the value says which. That
    /// counts as a failure, and it is not sent again by itself.
    ///
    /// [`Endpoint::is_complete`]: crate::protocol::Endpoint::is_complete
    Partly(Reply<T>),
    /// It did not, or it cannot be known: the error says which ([`Error::applied`]).
    Failed(Error),
    /// It was not sent.
    Skipped(SkipReason),
}

impl<T> End<T> {
    pub(super) fn of(result: Result<Reply<T>, Error>) -> Self {
        match result {
            Ok(reply) if reply.complete => Self::Ok(reply),
            Ok(reply) => Self::Partly(reply),
            Err(error) => Self::Failed(error),
        }
    }
}

/// Why an offer was not sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum SkipReason {
    /// Its source could not make a call of it.
    Source(BuildError),
    /// An earlier one of its key has failed.
    EarlierFailed,
    /// The run was ended before it was its turn.
    RunEnded,
}

/// Where a bulk run stands.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// How many offers were taken.
    pub seen: u64,
    /// How many the service did.
    pub ok: u64,
    /// How many failed, in whole or in part.
    pub failed: u64,
    /// How many were not sent.
    pub skipped: u64,
    /// How many calls are out.
    pub in_flight: usize,
    /// How many attempts went out.
    pub sent: u64,
    /// How many of them the service refused with a 429.
    pub throttled: u64,
    /// For how long a 429 held calls back.
    pub throttled_for: Duration,
    /// How many calls a second were answered lately, a 429 not counted.
    pub rate: f64,
    /// How many offers there will have been in all; `None` where that was not
    /// [said](super::Ingest::expect) and more may come.
    pub expected: Option<u64>,
    /// How long the rest takes at that rate; `None` where the number of offers was not
    /// [said](super::Ingest::expect), or nothing was answered lately.
    pub left: Option<Duration>,
}

/// How a bulk run ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// What it came to: `seen` is the sum of `ok`, `failed` and `skipped` now.
    pub progress: Progress,
    /// Why it ended.
    pub ending: Ending,
    /// When it began.
    pub began: Tick,
    /// When it ended.
    pub ended: Tick,
}

/// Why a bulk run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// There were no more offers.
    Complete,
    /// It was stopped.
    Stopped,
    /// So many failed one after the other.
    FailuresInARow(u32),
    /// So many of the last ones failed.
    FailureShare(FailureShare),
}

impl Summary {
    /// How long it took.
    pub fn took(&self) -> Duration {
        self.ended.since(self.began)
    }
}

/// The counts and the time, in one line.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress { seen, ok, failed, skipped, throttled_for, .. } = &self.progress;
        let (took, held) = (self.took().as_secs_f64(), throttled_for.as_secs_f64());
        write!(
            f,
            "seen {seen}, ok {ok}, failed {failed}, skipped {skipped} in {took:.1} s, throttled \
             {held:.1} s; {}",
            self.ending
        )
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => f.write_str("complete"),
            Self::Stopped => f.write_str("stopped"),
            Self::FailuresInARow(failures) => write!(f, "ended by {failures} failures in a row"),
            Self::FailureShare(FailureShare { failures, of }) => {
                write!(f, "ended by {failures} failures among the last {of}")
            }
        }
    }
}
