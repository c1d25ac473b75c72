//! What has been let through: each limit with a level for each of those that have one.
//!
//! Time is an argument. Whole nanoseconds are counted, so that no rounding lets one more through.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    time::Duration,
};

use http::{HeaderName, header};

use super::{Limit, Measure, Scope, Traffic, Wait};
use crate::{date::Moment, delivery, faults::Asked, routes::Lane};

/// How many levels of a limit are kept in any case; then those go that are as in the beginning.
const ROOM: usize = 10_000;

/// The limits that are in force.
#[derive(Debug)]
pub(crate) struct Throttle(Vec<Armed>);

#[derive(Debug)]
struct Armed {
    limit: Limit,
    /// By application, then by lane.
    levels: HashMap<String, BTreeMap<Option<Lane>, Level>>,
    kept: usize,
    /// How many may be kept before it is looked for those that can go.
    room: usize,
    traffic: Traffic,
}

/// Who asks, for what, and how long the answer takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'r> {
    pub(crate) asked: Asked<'r>,
    pub(crate) application: &'r str,
    pub(crate) lane: &'r Option<Lane>,
    pub(crate) latency: Duration,
}

/// A limit that has no room.
#[derive(Debug)]
pub(crate) struct Full<'l> {
    pub(crate) limit: &'l Limit,
    /// How long until it has.
    pub(crate) wait: Duration,
}

/// What has been let through.
#[derive(Debug, Default)]
struct Level {
    /// When a bucket is full again.
    full_at: Duration,
    /// The number of the latest window, and how many it has had.
    window: (u128, u64),
    /// When those that are under way will be answered.
    under_way: BinaryHeap<Reverse<Duration>>,
}

impl Throttle {
    pub(crate) fn new(limits: Vec<Limit>) -> Self {
        let armed = |limit| Armed {
            limit,
            levels: HashMap::new(),
            kept: 0,
            room: ROOM,
            traffic: Traffic::default(),
        };
        Self(limits.into_iter().map(armed).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The limits, and what each has done.
    pub(crate) fn limits(&self) -> impl Iterator<Item = (&Limit, Traffic)> {
        self.0.iter().map(|armed| (&armed.limit, armed.traffic))
    }

    /// Lets a request through, if all limits have room. If not, it is the one that has to be
    /// waited for longest.
    pub(crate) fn admit(&mut self, now: Duration, asking: Asking<'_>) -> Result<(), Full<'_>> {
        let mut full: Option<(Duration, usize)> = None;
        for (index, armed) in self.0.iter_mut().enumerate() {
            let measure = armed.limit.measure;
            let wait = armed.level(now, asking).map(|level| measure.wait(level, now));
            if let Some(wait) = wait
                && !wait.is_zero()
                && full.is_none_or(|(longest, _)| wait > longest)
            {
                full = Some((wait, index));
            }
        }
        for armed in &mut self.0 {
            let Limit { measure, counts_refused, .. } = armed.limit;
            let counts = full.is_none() || counts_refused;
            let Some(level) = armed.level(now, asking).filter(|_| counts) else { continue };
            measure.take(level, now, asking.latency, full.is_some());
            armed.traffic.admitted += u64::from(full.is_none());
        }
        let Some((wait, armed)) =
            full.and_then(|(wait, index)| Some((wait, self.0.get_mut(index)?)))
        else {
            return Ok(());
        };
        armed.traffic.refused += 1;
        Err(Full { limit: &armed.limit, wait })
    }
}

impl Armed {
    /// The level that a request is counted in. None: the limit is not for it.
    fn level(&mut self, now: Duration, asking: Asking<'_>) -> Option<&mut Level> {
        if !self.limit.requests.mean(asking.asked) {
            return None;
        }
        let (application, lane) = match self.limit.scope {
            Scope::Lane if asking.lane.is_none() => return None,
            Scope::Lane => (asking.application, asking.lane),
            Scope::Application => (asking.application, &None),
            Scope::All => ("", &None),
        };
        let lanes = self.levels.get(application);
        if lanes.is_none_or(|lanes| !lanes.contains_key(lane)) {
            self.make_room(now);
            let lanes = self.levels.entry(application.to_owned()).or_default();
            lanes.insert(lane.clone(), Level::default());
            self.kept += 1;
        }
        self.levels.get_mut(application)?.get_mut(lane)
    }

    /// Anybody can name connections that are not there.
    fn make_room(&mut self, now: Duration) {
        if self.kept < self.room {
            return;
        }
        let measure = self.limit.measure;
        self.levels.retain(|_, lanes| {
            lanes.retain(|_, level| !measure.is_as_in_the_beginning(level, now));
            !lanes.is_empty()
        });
        self.kept = self.levels.values().map(BTreeMap::len).sum();
        self.room = self.kept.saturating_mul(2).max(ROOM);
    }
}

impl Measure {
    /// How long until there is room. Zero: there is.
    fn wait(self, level: &mut Level, now: Duration) -> Duration {
        match self {
            Self::Bucket { rate, burst } => {
                let (one, all) = (interval(rate), span(rate, burst));
                let full_at = level.full_at.max(now).saturating_add(one);
                full_at.saturating_sub(now.saturating_add(all))
            }
            Self::Window { limit, length } => match level.count(length, now) < limit {
                true => Duration::ZERO,
                false => length.max(NANO) - into_window(length, now),
            },
            Self::Concurrency { limit } => {
                level.end(now);
                let Some(over) = level.under_way.len().checked_sub(limit) else {
                    return Duration::ZERO;
                };
                let mut ends: Vec<Duration> = level.under_way.iter().map(|end| end.0).collect();
                match ends.get(over) {
                    Some(_) => *ends.select_nth_unstable(over).1 - now,
                    // It is a limit of none.
                    None => Duration::MAX,
                }
            }
        }
    }

    /// Counts a request.
    fn take(self, level: &mut Level, now: Duration, latency: Duration, refused: bool) {
        match self {
            Self::Bucket { rate, burst } => {
                let full_at = level.full_at.max(now).saturating_add(interval(rate));
                let most = span(rate, burst).saturating_mul(2).saturating_add(now);
                level.full_at = if refused { full_at.min(most) } else { full_at };
            }
            Self::Window { length, .. } => {
                level.count(length, now);
                level.window.1 = level.window.1.saturating_add(1);
            }
            Self::Concurrency { .. } => {
                if !latency.is_zero() {
                    level.under_way.push(Reverse(now.saturating_add(latency)));
                }
            }
        }
    }

    fn is_as_in_the_beginning(self, level: &mut Level, now: Duration) -> bool {
        match self {
            Self::Bucket { .. } => level.full_at <= now,
            Self::Window { length, .. } => level.count(length, now) == 0,
            Self::Concurrency { .. } => {
                level.end(now);
                level.under_way.is_empty()
            }
        }
    }
}

impl Level {
    /// How many the window of this time has had.
    fn count(&mut self, length: Duration, now: Duration) -> u64 {
        let number = now.as_nanos() / length.max(NANO).as_nanos();
        if self.window.0 != number {
            self.window = (number, 0);
        }
        self.window.1
    }

    /// Forgets those that have been answered.
    fn end(&mut self, now: Duration) {
        while self.under_way.peek().is_some_and(|end| end.0 <= now) {
            self.under_way.pop();
        }
    }
}

const NANO: Duration = Duration::from_nanos(1);

/// How much of its window has passed.
fn into_window(length: Duration, now: Duration) -> Duration {
    let passed = now.as_nanos() % length.max(NANO).as_nanos();
    Duration::new((passed / 1_000_000_000) as u64, (passed % 1_000_000_000) as u32)
}

/// The time in which a token comes in, rounded up; so short that no sum of them overflows.
fn interval(rate: f64) -> Duration {
    const LONGEST: u64 = u32::MAX as u64 * 1_000_000_000;
    // A conversion to an integer ends at its limits.
    let nanos = if rate > 0.0 { (1e9 / rate).ceil() as u64 } else { LONGEST };
    Duration::from_nanos(nanos.clamp(1, LONGEST))
}

/// The time in which a bucket fills.
fn span(rate: f64, burst: u32) -> Duration {
    interval(rate).saturating_mul(burst)
}

impl Wait {
    /// The header that says it.
    pub(crate) fn header(&self, wait: Duration, now: Moment) -> (HeaderName, String) {
        let millis = wait.as_nanos().div_ceil(1_000_000);
        match self {
            Self::Fixed(fixed) => delivery::told(fixed, now),
            Self::Whole => (header::RETRY_AFTER, millis.div_ceil(1_000).to_string()),
            Self::Exact => {
                let text = format!("{}.{:03}", millis / 1_000, millis % 1_000);
                (header::RETRY_AFTER, text)
            }
            Self::Milliseconds => (delivery::RETRY_AFTER_MS, millis.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(throttle: &mut Throttle, now: Duration, lane: &Option<Lane>) -> bool {
        let asked = Asked { method: "GET", resource: Some("connection"), path: Some("/v1.0/a") };
        let asking = Asking { asked, application: "", lane, latency: Duration::ZERO };
        throttle.admit(now, asking).is_ok()
    }

    #[test]
    fn connections_that_nobody_asks_for_any_more_are_forgotten_and_those_that_wait_are_not() {
        let mut throttle = Throttle::new(vec![Limit::bucket(1.0, 1)]);
        let lane = |name: u32| Some(Lane::Connection(name.to_string()));
        let second = Duration::from_secs(1);
        for name in 0..30_000 {
            assert!(ask(&mut throttle, second * (name / 1_000), &lane(name)));
        }
        assert!(throttle.0[0].levels[""].len() <= ROOM);
        let mut throttle = Throttle::new(vec![Limit::bucket(1.0, 1)]);
        (0..30_000).for_each(|name| assert!(ask(&mut throttle, second, &lane(name))));
        (0..30_000).for_each(|name| assert!(!ask(&mut throttle, second, &lane(name))));
    }

    #[test]
    fn figures_of_any_size_neither_overflow_nor_let_everything_in() {
        let late = Duration::from_secs(u64::MAX / 2);
        for (rate, burst, through) in
            [(0.0, 2, 2), (-1.0, 1, 1), (f64::NAN, 1, 1), (1e-300, 3, 3), (1e300, u32::MAX, 9)]
        {
            for now in [Duration::ZERO, late] {
                let limit = Limit::bucket(rate, burst).per(Scope::All);
                let mut throttle = Throttle::new(vec![limit.clone(), limit.counting_refused()]);
                let admitted = (0..9).filter(|_| ask(&mut throttle, now, &None)).count();
                assert_eq!(admitted, through, "{rate} {burst} {now:?}");
            }
        }
        let none = [Limit::window(0, Duration::ZERO), Limit::concurrency(0), Limit::bucket(1.0, 0)];
        for limit in none {
            let mut throttle = Throttle::new(vec![limit.per(Scope::All)]);
            assert!(!ask(&mut throttle, late, &None));
            let full = throttle.limits().map(|(_, traffic)| traffic.refused);
            assert_eq!(full.sum::<u64>(), 1);
        }
    }
}
