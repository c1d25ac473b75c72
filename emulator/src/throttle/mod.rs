//! Limits on how many requests are let through: plain data with a text form (`text.rs`).
//!
//! What has been let through so far is counted in `level.rs`. No document gives numbers for
//! connectors (the page on throttling limits has none), so that there is no limit by default.

mod level;
mod text;

use std::time::Duration;

use crate::faults::{Requests, RetryAfter};
pub(crate) use level::{Asking, Full, Throttle};

/// A limit on how many requests are let through. One over it is answered 429, and nothing else
/// happens.
///
/// The requests of a batch are counted one by one, the batch itself is not, and neither is what
/// has no good token, or no route.
///
/// ```
/// use graphfeed_emulator::{Limit, Scope};
///
/// let bucket = Limit::bucket(25.0, 25).retry_after("1");
/// assert_eq!(bucket, "bucket rate=25 burst=25 retry-after=1".parse()?);
/// let window: Limit = "PUT item: window limit=250 seconds=10 per=application".parse()?;
/// assert_eq!(window.scope, Scope::Application);
/// # Ok::<(), String>(())
/// ```
///
/// # As text
///
/// `[REQUESTS:] MEASURE [OPTION]...`. `REQUESTS` are those of a [`Fault`](crate::Fault#as-text),
/// and all to Microsoft Graph if nothing is said. `MEASURE` is one of
///
/// - `bucket rate=R burst=B`: tokens come in at R a second, and at most B are kept; a request
///   takes one;
/// - `window limit=N seconds=W`: N in each window of W seconds. The first begins at the origin;
/// - `concurrency limit=N`: at most N under way at a time, each for the time that its answer
///   takes. Without a [`Latency`](crate::Latency) that is none, and so is the limit;
///
/// and `OPTION` one of
///
/// - `per=lane`, as if nothing is said: each application and connection has its own, and so have
///   all external groups of an application together, and each of its users; what is of none of
///   these, the list of connections say, is not counted. `per=application`: each application
///   has its own. `per=all`: there is one. Where tokens are not checked, there is one application;
/// - `refused=counted`: a request that is refused counts as well. A bucket then owes what it
///   holds at most; a window is no different. `refused=free`, if nothing is said;
/// - `retry-after=WHEN`, more than one if need be: `whole` for the seconds until there is room,
///   rounded up; `exact` for them with three decimals; `ms:exact` for the header
///   `x-ms-retry-after-ms`; and what a fault takes: `1`, `0.249`, `date:30`, `ms:1500`. Without
///   it there is none.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limit {
    /// Which requests are meant.
    pub requests: Requests,
    /// How many are let through.
    pub measure: Measure,
    /// Who has a limit of their own.
    pub scope: Scope,
    /// Whether a request that is refused counts as well.
    pub counts_refused: bool,
    /// The headers of the answer that say when to come back. Of two of one name the last counts.
    pub retry_after: Vec<Wait>,
}

/// How many requests are let through.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Measure {
    /// As many as there are tokens.
    #[non_exhaustive]
    Bucket {
        /// How many tokens come in a second. What is no positive number is one in 136 years.
        rate: f64,
        /// How many are kept, and are there in the beginning.
        burst: u32,
    },
    /// So many in each window.
    #[non_exhaustive]
    Window {
        /// How many.
        limit: u64,
        /// How long a window is.
        length: Duration,
    },
    /// So many at a time.
    #[non_exhaustive]
    Concurrency {
        /// How many.
        limit: usize,
    },
}

/// Who has a limit of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// Each application for each connection, for all external groups, and for each user.
    #[default]
    Lane,
    /// Each application.
    Application,
    /// Nobody: it is for all together.
    All,
}

/// One header that says when to come back.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Wait {
    /// The same each time.
    Fixed(RetryAfter),
    /// `Retry-After` with the seconds until there is room, rounded up.
    Whole,
    /// `Retry-After` with the seconds until there is room, rounded up to milliseconds.
    Exact,
    /// `x-ms-retry-after-ms` with the milliseconds until there is room, rounded up.
    Milliseconds,
}

impl Limit {
    fn new(measure: Measure) -> Self {
        Self {
            requests: Requests::All,
            measure,
            scope: Scope::default(),
            counts_refused: false,
            retry_after: Vec::new(),
        }
    }

    /// A token bucket: `rate` come in a second, and `burst` are kept.
    #[must_use]
    pub fn bucket(rate: f64, burst: u32) -> Self {
        Self::new(Measure::Bucket { rate, burst })
    }

    /// So many in each window of this length.
    #[must_use]
    pub fn window(limit: u64, length: Duration) -> Self {
        Self::new(Measure::Window { limit, length })
    }

    /// So many under way at a time.
    #[must_use]
    pub fn concurrency(limit: usize) -> Self {
        Self::new(Measure::Concurrency { limit })
    }

    /// For these requests only, in the words of the [text form](Self#as-text).
    ///
    /// # Errors
    /// No request is asked for in these words.
    pub fn on(self, requests: &str) -> Result<Self, String> {
        Ok(Self { requests: text::requests(requests)?, ..self })
    }

    /// Whoever is meant here has a limit of their own.
    #[must_use]
    pub fn per(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// What is refused counts as well.
    #[must_use]
    pub fn counting_refused(self) -> Self {
        Self { counts_refused: true, ..self }
    }

    /// The answer has this header as well: `1`, `whole`, `exact`, `ms:exact`, or what else the
    /// [text form](Self#as-text) has.
    #[must_use]
    pub fn retry_after(mut self, when: &str) -> Self {
        self.retry_after.push(Wait::of(when));
        self
    }
}

/// What a limit has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// How many requests it has let through.
    pub admitted: u64,
    /// How many it has refused.
    pub refused: u64,
}
