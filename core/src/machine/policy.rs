//! How long and how often a call is tried: plain data.

use std::time::Duration;

/// How a call waits, repeats and gives up.
///
/// ```
/// use std::time::Duration;
/// use graphfeed_core::machine::Policy;
///
/// let mut hasty = Policy::default();
/// hasty.attempts = 3;
/// hasty.total = Duration::from_secs(10);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// The most attempts of one call, the first among them; at least one is made. 10 by default.
    pub attempts: u32,
    /// The longest a call takes from its start to its end, waits and all. 300 seconds by
    /// default.
    pub total: Duration,
    /// The longest one attempt takes. 100 seconds by default.
    pub attempt: Duration,
    /// The wait before the second attempt when the service names none; it doubles from attempt
    /// to attempt. Half a second by default, of which chance takes up to a half away.
    pub backoff: Duration,
    /// The longest such wait. 30 seconds by default.
    pub longest_backoff: Duration,
}

impl Policy {
    /// The wait before a repeat that a task decides on, where one call's own repeats do not
    /// help: as long as the service asked, or doubling from repeat to repeat (the first is 1).
    pub(crate) fn wait(&self, repeats: u32, told: Option<Duration>) -> Duration {
        let doubled = 2_u32.saturating_pow(repeats.saturating_sub(1));
        let own = self.backoff.saturating_mul(doubled).min(self.longest_backoff);
        told.filter(|told| !told.is_zero()).unwrap_or(own)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: 10,
            total: Duration::from_secs(300),
            attempt: Duration::from_secs(100),
            backoff: Duration::from_millis(500),
            longest_backoff: Duration::from_secs(30),
        }
    }
}

/// How many repeats all calls of a client may make together, so that a dead service is not
/// hammered: each repeat takes `cost` out of the budget, each success brings `refund` back, and
/// a call that finds too little in it fails at its first refusal. A 429 is not counted, for there
/// the service itself says when to come back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// What there is at first and at most. 500 by default.
    pub capacity: u32,
    /// What a repeat costs. 10 by default.
    pub cost: u32,
    /// What a success brings back. 1 by default.
    pub refund: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { capacity: 500, cost: 10, refund: 1 }
    }
}
