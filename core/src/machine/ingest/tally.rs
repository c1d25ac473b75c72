//! What a bulk run counts: outcomes, failures of late, and how fast answers come.

use std::{collections::VecDeque, time::Duration};

use super::{End, Ending, IngestSettings, Progress, SkipReason, Tick};

/// What has been counted.
#[derive(Debug)]
pub(super) struct Tally {
    began: Tick,
    progress: Progress,
    in_a_row: u32,
    // Whether each of the last ones failed.
    last: VecDeque<bool>,
    failed_of_last: u32,
    throttled_since: Option<Tick>,
    // Answers in each of the last seconds, the newest last.
    answers: VecDeque<(u64, u32)>,
}

const RATE_SECONDS: u64 = 10;

impl Tally {
    pub(super) fn new(began: Tick) -> Self {
        Self {
            began,
            progress: Progress::default(),
            in_a_row: 0,
            last: VecDeque::new(),
            failed_of_last: 0,
            throttled_since: None,
            answers: VecDeque::new(),
        }
    }

    pub(super) fn began(&self) -> Tick {
        self.began
    }

    pub(super) fn seen(&self) -> u64 {
        self.progress.seen
    }

    pub(super) fn offered(&mut self) {
        self.progress.seen += 1;
    }

    pub(super) fn sent(&mut self) {
        self.progress.sent += 1;
    }

    /// What was counted as sent was not.
    pub(super) fn not_sent(&mut self) {
        self.progress.sent -= 1;
    }

    pub(super) fn throttled(&mut self) {
        self.progress.throttled += 1;
    }

    /// Whether a 429 holds anything back, from now on.
    pub(super) fn paused(&mut self, paused: bool, now: Tick) {
        match self.throttled_since {
            None if paused => self.throttled_since = Some(now),
            Some(since) if !paused => {
                self.throttled_since = None;
                self.progress.throttled_for += now.since(since);
            }
            _ => {}
        }
    }

    /// Where things stand, with so many out and, where that is known, so many offers in all.
    pub(super) fn progress(&self, now: Tick, in_flight: usize, all: Option<u64>) -> Progress {
        let mut progress = self.progress.clone();
        progress.in_flight = in_flight;
        if let Some(since) = self.throttled_since {
            progress.throttled_for += now.since(since);
        }
        progress.rate = self.rate(now);
        let told = progress.ok + progress.failed + progress.skipped;
        progress.expected = all.map(|all| all.max(progress.seen));
        progress.left = progress.expected.and_then(|all| match all - told {
            0 => Some(Duration::ZERO),
            rest => Duration::try_from_secs_f64(rest as f64 / progress.rate).ok(),
        });
        progress
    }

    pub(super) fn count<T>(&mut self, end: &End<T>) {
        let failed = match end {
            End::Ok(_) => {
                self.progress.ok += 1;
                false
            }
            End::Partly(_) | End::Failed(_) => {
                self.progress.failed += 1;
                true
            }
            End::Skipped(why) => {
                self.progress.skipped += 1;
                // A source of which nothing can be made is a failure too; what follows from
                // another failure is none of its own.
                match why {
                    SkipReason::Source(_) => true,
                    SkipReason::EarlierFailed | SkipReason::RunEnded => return,
                }
            }
        };
        self.in_a_row = if failed { self.in_a_row + 1 } else { 0 };
        self.last.push_back(failed);
        self.failed_of_last += u32::from(failed);
    }

    pub(super) fn too_many_failures(&mut self, settings: &IngestSettings) -> Option<Ending> {
        let of = settings.failure_share.map_or(0, |share| share.of as usize);
        while self.last.len() > of {
            if self.last.pop_front() == Some(true) {
                self.failed_of_last -= 1;
            }
        }
        if let Some(most) = settings.failures_in_a_row
            && self.in_a_row >= most.max(1)
        {
            return Some(Ending::FailuresInARow(self.in_a_row));
        }
        let share = settings.failure_share?;
        let full = self.last.len() == of && of > 0;
        (full && self.failed_of_last >= share.failures.max(1)).then(|| {
            let mut found = share;
            found.failures = self.failed_of_last;
            Ending::FailureShare(found)
        })
    }

    pub(super) fn answered(&mut self, now: Tick) {
        let second = now.since_origin().as_secs();
        match self.answers.back_mut() {
            Some((last, count)) if *last == second => *count += 1,
            _ => self.answers.push_back((second, 1)),
        }
        while self.answers.front().is_some_and(|(first, _)| first + RATE_SECONDS < second) {
            self.answers.pop_front();
        }
    }

    /// Over the last whole seconds of the run.
    fn rate(&self, now: Tick) -> f64 {
        let this = now.since_origin().as_secs();
        let from = this.saturating_sub(RATE_SECONDS).max(self.began.since_origin().as_secs());
        let counted = self.answers.iter().filter(|(second, _)| (from..this).contains(second));
        let counted: u32 = counted.map(|(_, count)| count).sum();
        f64::from(counted) / Duration::from_secs(this.saturating_sub(from).max(1)).as_secs_f64()
    }
}
