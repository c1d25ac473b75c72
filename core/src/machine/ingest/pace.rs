//! How fast the calls of one lane go: how many at a time, and how many a second.
//!
//! Nobody tells the limit, and documents disagree about it; so it is learned. What the law rests
//! on: whatever the service counts with, in `t` seconds it accepts at most `rate * (t + burst)`
//! calls, where `burst` is the rest that it had saved up, in seconds of the rate.
//!
//! - **From a cold start there is no pace**, only the window, until the first 429. What was accepted
//!   up to then is the first guess, from which the pace rises fast to the second.
//! - **Each accepted call is proof.** From any moment `s` to now, `accepted / (t + burst)` is a
//!   rate that the service has stood. The highest of these is what it is known to stand.
//! - **Each 429 makes the proof sharp.** It says that the rest is used up. If the pace was above
//!   the limit since `s`, the proof from `s` is the limit itself and not only below it. So a pace
//!   a little above the limit measures it, and the next pace is what was proven, or 2 % less than
//!   before where that is more.
//! - **The rest is measured once.** After a wait of `pause` seconds the service has saved up at
//!   most that many seconds, and never more than `burst`. How many calls got through from a cold
//!   start tells the burst, as soon as the rate is known from the next 429; the two equations are
//!   solved by repetition.
//! - **What a 429 costs decides how often one is risked.** While the gate is closed, the service
//!   saves up what was not sent, up to its burst: a pause of a second costs next to nothing, one
//!   of ten costs nine. So the pace probes upwards in a time that grows with the last pause: by
//!   2 %, doubled again and again, at first hardly, then fast enough to find a limit that was
//!   raised to the double within a minute where a pause is a second.
//! - **A limit that fell shows by a second 429 soon after the first.** The time before it, which
//!   proves what holds no longer, does not count then. What is left of less than half may as well
//!   come of an outage, and the pace rises from it as fast as from a cold start.
//! - **A service that names too short a wait is asked ever more rarely.** Calls made while
//!   throttled count as well
//!   ([throttling](https://learn.microsoft.com/graph/throttling)), so whoever goes on asking may
//!   never be let in. After a dozen refusals in a row the wait doubles up to half a minute.
//! - **Only what was tried is raised.** The pace probes as far as calls were ready for it and
//!   held back by nothing else; a slow source does not make it wild.
//!
//! The window (how many calls are out at a time) starts at four, doubles with each round of
//! answers up to the first 429, is halved by each and then grows by one with each round that
//! filled it. It serves a service that limits calls under way, and the cold start.

use std::{collections::VecDeque, f64::consts::LN_2, time::Duration};

use crate::machine::Tick;

const FIRST_WINDOW: f64 = 4.0;
/// How far above what is proven a probe begins, and doubles from there.
const PROBE: f64 = 0.02;
/// In how many pauses it doubles; a pause counts as a second at least.
const PAUSES_TO_DOUBLE: f64 = 8.0;
/// Before the limit is known, a probe begins with more and doubles in seconds.
const FIRST_PROBE: f64 = 0.2;
const FIRST_SECONDS_TO_DOUBLE: f64 = 4.0;
/// The least that is tried first.
const FIRST_RATE: f64 = 1.0;
/// The longest pause that counts; one that is longer is an outage rather than a limit.
const LONGEST_PAUSE: f64 = 40.0;
/// So many refusals in a row are waited for as the service says and no longer.
const PATIENCE: u32 = 12;
const SHORTEST_OWN_WAIT: f64 = 0.5;
const LONGEST_OWN_WAIT: f64 = 32.0;
/// What is taken off a pace that was too high by a little.
const TOO_HIGH: f64 = 0.98;
/// How much of its time goes out together, in seconds, where calls travel in batches.
const TOGETHER: f64 = 0.5;
/// A driver that comes late may make up for so much.
const LATENESS: Duration = Duration::from_millis(50);
/// How much of the past is kept for proof, and how finely.
const MARKS: usize = 256;
const MARK_EVERY: f64 = 0.25;

/// The window and the pace of one lane.
#[derive(Debug)]
pub(super) struct Pace {
    // The window.
    most: f64,
    window: f64,
    // Doubling, until the first 429.
    opening: bool,
    out: usize,
    // Up to so many accepted, the calls were as many as the window let through.
    filled_until: u64,
    // The pace: what is believed, in calls a second, and how far above it is being probed.
    believed: Option<f64>,
    probe: Probe,
    next: Tick,
    // The next call waits for the pace and nothing else.
    tried: bool,
    // What is measured.
    accepted: u64,
    run: Option<Run>,
    // Since the 429 after which nothing was accepted yet.
    paused: Option<Tick>,
    // How many of those that went first since were refused.
    denied: u32,
    // The last 429 came soon after the one before.
    soon: bool,
    burst: Option<f64>,
    // The first run, until the burst is known.
    cold: Option<(Mark, Run)>,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    above: f64,
    step: f64,
    seconds_to_double: f64,
}

/// So many were accepted in all, at that time.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Tick,
    accepted: u64,
}

/// From the end of one pause to the next 429.
#[derive(Debug)]
struct Run {
    // When the 429 came before which nothing is known, and how long the pause after it was.
    emptied: Tick,
    pause: f64,
    began: Tick,
    marks: VecDeque<Mark>,
}

impl Pace {
    /// With at most so many calls out at a time.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1) as f64;
        Self {
            most,
            window: FIRST_WINDOW.min(most),
            opening: true,
            out: 0,
            filled_until: 0,
            believed: None,
            probe: Probe { above: 0.0, step: 0.0, seconds_to_double: 1.0 },
            next: Tick::default(),
            tried: false,
            accepted: 0,
            run: None,
            paused: None,
            denied: 0,
            soon: false,
            burst: None,
            cold: None,
        }
    }

    /// What is tried, in calls a second, once a limit was met.
    pub(super) fn rate(&self) -> Option<f64> {
        self.believed.map(|rate| rate * (1.0 + self.probe.above))
    }

    /// Whether a 429 came and nothing was accepted since.
    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// Whether one more may be out.
    pub(super) fn has_room(&self) -> bool {
        self.room() > 0
    }

    /// How many more may be out.
    fn room(&self) -> usize {
        (self.window as usize).saturating_sub(self.out)
    }

    /// How many may go at the same time, when one may. Together they must not be more than a
    /// limit lets through at once: what it counts with is a second at least, as far as is known,
    /// and half of that leaves room for what goes otherwise.
    pub(super) fn together(&self) -> usize {
        let paced = self.rate().map_or(usize::MAX, |rate| (rate * TOGETHER).ceil() as usize);
        self.room().min(paced.max(1))
    }

    /// The time before which the next call must not go, if that is to come. To be asked only when
    /// nothing but the pace holds that call back.
    pub(super) fn not_before(&mut self, now: Tick) -> Option<Tick> {
        if self.next <= now {
            return None;
        }
        self.tried = true;
        Some(self.next)
    }

    /// So many calls went out.
    pub(super) fn sent(&mut self, calls: usize, now: Tick) {
        self.out += calls;
        if !self.has_room() {
            self.filled_until = self.accepted + self.out as u64;
        }
        self.run.get_or_insert_with(|| Run::new(now, 0.0, now, 0));
        if let Some(rate) = self.rate() {
            let interval = calls as f64 / rate;
            let latest = Tick::new(now.since_origin().saturating_sub(LATENESS));
            self.next = self.next.max(latest) + seconds(interval);
            if std::mem::take(&mut self.tried) {
                let Probe { above, step, seconds_to_double } = self.probe;
                self.probe.above += (above + step) * LN_2 / seconds_to_double * interval;
            }
        }
    }

    /// No answer came to a call, and whether it was counted is not known.
    pub(super) fn lost(&mut self) {
        self.out -= 1;
    }

    /// A call got past the limit, whatever the answer is otherwise.
    pub(super) fn accepted(&mut self, sent_at: Tick, now: Tick) {
        self.out -= 1;
        self.accepted += 1;
        if self.accepted <= self.filled_until {
            let more = if self.opening { 1.0 } else { 1.0 / self.window };
            self.window = (self.window + more).min(self.most);
        }
        match self.paused {
            Some(since) if sent_at >= since => self.resume(since, now),
            Some(_) => {}
            None => {
                if let Some(run) = &mut self.run {
                    run.mark(now, self.accepted);
                }
            }
        }
    }

    /// A 429 came.
    pub(super) fn refused(&mut self, sent_at: Tick, now: Tick) {
        self.out -= 1;
        // One that was sent before the last pause says nothing that is not known.
        let known = self.run.as_ref().is_some_and(|run| run.pause > 0.0 && sent_at < run.emptied);
        if let Some(since) = self.paused {
            if sent_at >= since {
                self.denied = self.denied.saturating_add(1);
                if let Some(more) = self.denied.checked_sub(PATIENCE + 1) {
                    let wait = SHORTEST_OWN_WAIT * 2.0_f64.powi(more.min(16) as i32);
                    self.next = now + seconds(wait.min(LONGEST_OWN_WAIT));
                }
            }
            return;
        }
        if known {
            return;
        }
        self.window = (self.window / 2.0).max(2.0_f64.min(self.most));
        self.opening = false;
        self.paused = Some(now);
        self.denied = 0;
    }

    /// The pause is over: what the run before it has proven, and its own length, make the pace.
    fn resume(&mut self, since: Tick, now: Tick) {
        self.paused = None;
        let length = now.since(since).as_secs_f64();
        // The calls that were out when the 429 came belong to the run before it.
        let end = Mark { at: since, accepted: self.accepted - 1 };
        let next = Run::new(end.at, length, now, end.accepted);
        let Some(run) = self.run.replace(next) else {
            return;
        };
        let (believed, sure) = match (self.believed, self.rate()) {
            (Some(believed), Some(tried)) => {
                let proven = self.proven(&run, end);
                let soon = end.at.since(run.began).as_secs_f64() < 4.0 * run.pause.max(1.0);
                let twice = std::mem::replace(&mut self.soon, soon) && soon;
                let kept = if twice { 0.0 } else { believed * TOO_HIGH };
                let next = proven.max(kept).min(tried);
                (next, next > believed / 2.0)
            }
            // A guess that is right if all that was accepted is saved up again in the pause, and
            // too low if the pause is longer.
            _ => {
                let proven = run.proof(end, |_| length);
                self.cold = Some((end, run));
                (proven, false)
            }
        };
        (self.believed, self.probe) = match sure {
            true => {
                let seconds_to_double = PAUSES_TO_DOUBLE * length.clamp(1.0, LONGEST_PAUSE);
                (Some(believed), Probe { above: 0.0, step: PROBE, seconds_to_double })
            }
            false => {
                let seconds_to_double = FIRST_SECONDS_TO_DOUBLE;
                let probe = Probe { above: 0.0, step: FIRST_PROBE, seconds_to_double };
                (Some(believed.max(FIRST_RATE)), probe)
            }
        };
        self.next = now;
        self.tried = false;
    }

    fn proven(&mut self, run: &Run, end: Mark) -> f64 {
        if let Some((cold_end, cold)) = self.cold.take() {
            // The less is saved up, the higher the rate; and the higher the rate, the less was
            // saved up. This comes down to where both hold.
            let mut burst = f64::INFINITY;
            for _ in 0..32 {
                let rate = run.proof(end, |since| since.min(burst));
                burst = cold.burst(cold_end, rate);
            }
            self.burst = Some(burst);
        }
        let burst = self.burst.unwrap_or(f64::INFINITY);
        run.proof(end, |since| since.min(burst))
    }
}

impl Run {
    fn new(emptied: Tick, pause: f64, began: Tick, accepted: u64) -> Self {
        let marks = VecDeque::from([Mark { at: began, accepted }]);
        Self { emptied, pause, began, marks }
    }

    fn mark(&mut self, at: Tick, accepted: u64) {
        let last = self.marks.back().map_or(self.began, |mark| mark.at);
        if at.since(last).as_secs_f64() < MARK_EVERY {
            return;
        }
        if self.marks.len() == MARKS {
            self.marks.pop_front();
        }
        self.marks.push_back(Mark { at, accepted });
    }

    /// The highest rate that the service is known to have stood up to `end`. What it had saved up
    /// at a mark, in seconds, is told by `saved` from the seconds since it had nothing.
    fn proof(&self, end: Mark, saved: impl Fn(f64) -> f64) -> f64 {
        let mut best = 0.0_f64;
        for mark in &self.marks {
            let seconds = end.at.since(mark.at).as_secs_f64();
            // Of a short time the jitter says more than the rate.
            if seconds < 1.0 && mark.at != self.began {
                continue;
            }
            let since = mark.at.since(self.emptied).as_secs_f64();
            best = best.max(end.accepted_since(mark) / (seconds + saved(since)).max(1e-3));
        }
        best
    }

    /// What was saved up before a cold start, in seconds of the rate.
    fn burst(&self, end: Mark, rate: f64) -> f64 {
        let seconds = |mark: &Mark| end.at.since(mark.at).as_secs_f64();
        let saved = self.marks.iter().map(|mark| end.accepted_since(mark) / rate - seconds(mark));
        saved.fold(0.0, f64::max)
    }
}

impl Mark {
    fn accepted_since(&self, earlier: &Self) -> f64 {
        self.accepted.saturating_sub(earlier.accepted) as f64
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Tick {
        Tick::new(Duration::from_secs_f64(seconds))
    }

    /// Has met a limit: ten accepted, one refused, and a first one through a second later.
    fn met() -> Pace {
        let mut pace = Pace::new(25);
        for _ in 0..11 {
            pace.sent(1, at(0.0));
        }
        for _ in 0..10 {
            pace.accepted(at(0.0), at(0.1));
        }
        pace.refused(at(0.0), at(0.1));
        pace.sent(1, at(1.1));
        pace.accepted(at(1.1), at(1.1));
        pace
    }

    #[test]
    fn the_window_opens_by_doubling_and_is_halved_once_by_each_429() {
        let mut pace = Pace::new(25);
        assert_eq!(pace.not_before(at(0.0)), None, "nothing is known, nothing is paced");
        let mut windows = Vec::new();
        for round in 0..4 {
            let sent = at(f64::from(round));
            while pace.has_room() {
                pace.sent(1, sent);
            }
            windows.push(pace.out);
            while pace.out > 0 {
                pace.accepted(sent, sent);
            }
        }
        assert_eq!(windows, [4, 8, 16, 25]);
        pace.sent(1, at(9.0));
        pace.sent(1, at(9.0));
        pace.refused(at(9.0), at(9.1));
        pace.refused(at(9.0), at(9.2));
        assert_eq!(pace.window, 12.5);
    }

    #[test]
    fn a_window_of_one_stays_one() {
        let mut pace = Pace::new(1);
        pace.sent(1, at(0.0));
        assert!(!pace.has_room());
        pace.refused(at(0.0), at(0.1));
        assert!(pace.has_room());
        pace.sent(1, at(1.0));
        assert!(!pace.has_room());
    }

    #[test]
    fn what_was_accepted_before_the_first_429_is_the_first_guess() {
        let rate = met().rate().unwrap();
        assert!((rate - 10.0 / 1.1).abs() < 0.01, "ten in 0.1 s and a pause of 1 s: {rate}");
    }

    #[test]
    fn a_limit_that_was_used_up_before_is_not_taken_for_none() {
        let mut pace = Pace::new(25);
        pace.sent(1, at(0.0));
        pace.refused(at(0.0), at(0.1));
        pace.sent(1, at(60.0));
        pace.accepted(at(60.0), at(60.1));
        assert_eq!(pace.rate(), Some(FIRST_RATE));
    }

    #[test]
    fn a_pace_that_is_not_tried_is_not_raised() {
        let (mut tried, mut idle) = (met(), met());
        let rate = idle.rate().unwrap();
        let mut now = at(1.1);
        for _ in 0..50 {
            now = tried.not_before(now).unwrap_or(now);
            tried.sent(1, now);
            tried.accepted(now, now);
        }
        for second in 2..600 {
            let now = at(f64::from(second));
            assert_eq!(idle.not_before(now), None);
            idle.sent(1, now);
            idle.accepted(now, now);
        }
        assert_eq!(idle.rate().unwrap(), rate);
        assert!(tried.rate().unwrap() > 1.2 * rate, "{:?}", tried.rate());
    }

    #[test]
    fn whoever_comes_late_makes_up_for_a_little_only() {
        let mut pace = met();
        let late = at(100.0);
        let mut at_once = 0;
        while pace.not_before(late).is_none() {
            pace.sent(1, late);
            at_once += 1;
        }
        assert_eq!(at_once, 1, "fifty milliseconds at nine a second");
    }

    #[test]
    fn whoever_is_denied_again_and_again_asks_ever_more_rarely() {
        let mut pace = met();
        let mut now = at(2.0);
        let mut waits = Vec::new();
        for _ in 0..PATIENCE + 10 {
            pace.sent(1, now);
            pace.refused(now, now);
            let next = pace.next.max(now);
            waits.push(next.since(now).as_secs_f64());
            now = next + Duration::from_millis(300);
        }
        // The first one closes the gate; the service's own wait is the gate's business.
        assert_eq!(
            waits[PATIENCE as usize + 1..],
            [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 32.0, 32.0]
        );
        pace.sent(1, now);
        pace.accepted(now, now);
        assert_eq!(pace.not_before(now), None, "the way is free");
    }

    #[test]
    fn a_429_to_a_call_from_before_the_pause_says_nothing_new() {
        let mut pace = met();
        pace.sent(1, at(2.0));
        let (rate, window) = (pace.rate(), pace.window);
        pace.refused(at(0.05), at(2.1));
        assert!(!pace.is_paused());
        assert_eq!((pace.rate(), pace.window), (rate, window));
        pace.sent(1, at(2.0));
        pace.refused(at(2.0), at(2.2));
        assert!(pace.is_paused());
    }
}
