//! What an outcome means for the next attempt, and how long to wait for it.

use std::time::Duration;

use super::{Policy, random::Random};
use crate::protocol::{Applied, Cause, Error, Repeat, Sent};

/// What to do after an attempt that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stays at that.
    Stop,
    /// Wait for the throttling to end, then try again.
    Throttled,
    /// Wait a little, then try again.
    Repeat {
        /// The connection may be part of the trouble.
        new_connection: bool,
    },
    /// Get another token, then try again.
    NewToken,
}

/// The rules, by cause:
/// a 429 is always repeated; a server that failed or a connection that broke only where repeating
/// does no harm; what was not sent always, unless nothing can come of it; the rest never.
pub(super) fn judge(error: &Error, repeat: Repeat) -> Verdict {
    let harmless = repeat == Repeat::Freely;
    match error.cause() {
        // With the status at hand it does not matter that the body broke off, but for a success:
        // that was carried out, and is made again only to read the answer.
        Cause::Transport(failure)
            if failure.partial().is_some_and(|it| !it.status().is_success()) =>
        {
            by_status(error, harmless)
        }
        Cause::Service(_) => by_status(error, harmless),

        Cause::Transport(failure) if failure.is_permanent() => Verdict::Stop,
        Cause::Transport(failure) => match failure.sent() {
            Sent::No => Verdict::Repeat { new_connection: false },
            Sent::Maybe if harmless => Verdict::Repeat { new_connection: true },
            Sent::Maybe => Verdict::Stop,
        },
        _ => Verdict::Stop,
    }
}

fn by_status(error: &Error, harmless: bool) -> Verdict {
    match error.status().map(|status| status.as_u16()) {
        Some(429) => Verdict::Throttled,
        Some(401) => Verdict::NewToken,
        // Microsoft's best practices ask for a new connection after a 503.
        Some(503) if harmless => Verdict::Repeat { new_connection: true },
        // A 424 comes of a batch only, where something else has failed that may not fail again.
        Some(408 | 424 | 500 | 502 | 504 | 509) if harmless => {
            Verdict::Repeat { new_connection: false }
        }
        _ => Verdict::Stop,
    }
}

/// The wait that the service asks for. One of zero counts as none named, or a service that always
/// says so would be hammered.
pub(super) fn told(error: &Error) -> Option<Duration> {
    error.retry_after().filter(|told| !told.is_zero())
}

/// Doubling from repeat to repeat (the first is 1), less up to a half by chance, so that callers
/// who failed together do not come back together.
pub(super) fn backoff(repeats: u32, policy: &Policy, random: &mut Random) -> Duration {
    let doubled = 2_u32.saturating_pow(repeats.saturating_sub(1));
    let longest = policy.backoff.saturating_mul(doubled).min(policy.longest_backoff);
    // A policy of no wait at all would make a busy loop of a dead service.
    longest.mul_f64(1.0 - random.fraction() / 2.0).max(Duration::from_millis(1))
}

/// Whether an attempt that ended so may have changed something.
pub(super) fn may_have_applied(error: &Error) -> bool {
    error.applied() != Applied::No
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_longest_and_never_below_half() {
        let policy = Policy::default();
        let mut random = Random::new(1);
        for (repeats, longest) in
            [(1, 500), (2, 1000), (3, 2000), (6, 16_000), (7, 30_000), (8, 30_000), (99, 30_000)]
        {
            for _ in 0..200 {
                let wait = backoff(repeats, &policy, &mut random).as_millis();
                assert!((longest / 2..=longest).contains(&wait), "{repeats}: {wait}");
            }
        }
    }
}
