//! How long answers take: a distribution, and what is drawn from it by the seed.

use std::{f64::consts::TAU, fmt, str::FromStr, time::Duration};

use crate::ids::Ids;

/// How long an answer takes.
///
/// ```
/// use std::time::Duration;
/// use graphfeed_emulator::Latency;
///
/// let latency = Latency::Uniform(Duration::from_millis(20), Duration::from_millis(60));
/// assert_eq!(latency, "0.02..0.06".parse()?);
/// assert_eq!(Latency::Fixed(Duration::from_millis(50)), "0.05".parse()?);
/// assert_eq!("median=0.3 p99=2".parse::<Latency>()?.to_string(), "median=0.3 p99=2");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Latency {
    /// Always the same.
    Fixed(Duration),
    /// Anything from the first to the second, each as probable.
    Uniform(Duration, Duration),
    /// Log-normal: most are near the median, and some far above it.
    LogNormal {
        /// Half of the answers take less.
        median: Duration,
        /// 99 of 100 take less.
        p99: Duration,
    },
}

/// The quantile of the standard normal distribution at 0.99.
const Z99: f64 = 2.326_347_874_040_841;

impl Latency {
    fn draw(self, chance: &mut Ids) -> Duration {
        match self {
            Self::Fixed(time) => time,
            Self::Uniform(least, most) => {
                let range = most.saturating_sub(least);
                least.saturating_add(range.mul_f64(chance.fraction()))
            }
            Self::LogNormal { median, p99 } => {
                let normal = normal(chance);
                let (median, p99) = (median.as_secs_f64(), p99.as_secs_f64());
                let seconds = median * ((p99 / median).ln() / Z99 * normal).exp();
                Duration::try_from_secs_f64(seconds).unwrap_or_default()
            }
        }
    }
}

/// Of the standard normal distribution, after Box and Muller.
fn normal(chance: &mut Ids) -> f64 {
    let (radius, angle) = (chance.fraction(), chance.fraction());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (TAU * angle).cos()
}

impl FromStr for Latency {
    type Err = String;

    /// Seconds: `0.05`, `0.02..0.06`, or `median=0.3 p99=2`.
    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = |text: &str| {
            let seconds = text.trim().parse().ok();
            seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        };
        let read = || {
            if let Some((least, most)) = text.split_once("..") {
                let (least, most) = (seconds(least)?, seconds(most)?);
                return (least <= most).then_some(Self::Uniform(least, most));
            }
            if let Some(rest) = text.trim().strip_prefix("median=") {
                let (median, p99) = rest.split_once(" p99=")?;
                let (median, p99) = (seconds(median)?, seconds(p99)?);
                let is_good = !median.is_zero() && median <= p99;
                return is_good.then_some(Self::LogNormal { median, p99 });
            }
            seconds(text).map(Self::Fixed)
        };
        read().ok_or_else(|| {
            format!("{text:?} is no latency; write seconds: 0.05, 0.02..0.06, median=0.3 p99=2")
        })
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = Duration::as_secs_f64;
        match self {
            Self::Fixed(time) => write!(f, "{}", seconds(time)),
            Self::Uniform(least, most) => write!(f, "{}..{}", seconds(least), seconds(most)),
            Self::LogNormal { median, p99 } => {
                write!(f, "median={} p99={}", seconds(median), seconds(p99))
            }
        }
    }
}

/// The latencies of one run.
#[derive(Debug)]
pub(crate) struct Latencies {
    /// None: no time passes.
    pub(crate) latency: Option<Latency>,
    chance: Ids,
}

impl Latencies {
    /// Drawn from a generator of their own, so that ids do not depend on them.
    pub(crate) fn new(latency: Option<Latency>, seed: u64) -> Self {
        Self { latency, chance: Ids::new(seed ^ 0x006c_6174_656e_6379) }
    }

    pub(crate) fn next(&mut self) -> Duration {
        self.latency.map_or(Duration::ZERO, |latency| latency.draw(&mut self.chance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(text: &str, seed: u64) -> Vec<Duration> {
        let mut latencies = Latencies::new(Some(text.parse().expect(text)), seed);
        let mut drawn: Vec<Duration> = (0..10_000).map(|_| latencies.next()).collect();
        drawn.sort_unstable();
        drawn
    }

    #[test]
    fn each_distribution_has_the_figures_it_is_given() {
        let millis = Duration::from_millis;
        assert!(sorted("0.05", 1).iter().all(|drawn| *drawn == millis(50)));
        for seed in 0..5 {
            let uniform = sorted("0.02..0.06", seed);
            assert!(uniform[0] >= millis(20) && uniform[0] < millis(21));
            assert!(uniform[9_999] <= millis(60) && uniform[9_999] > millis(59));
            assert!((millis(39)..millis(41)).contains(&uniform[5_000]), "{:?}", uniform[5_000]);
            let long = sorted("median=0.3 p99=2", seed);
            assert!((millis(285)..millis(315)).contains(&long[5_000]), "{:?}", long[5_000]);
            assert!((millis(1_700)..millis(2_300)).contains(&long[9_900]), "{:?}", long[9_900]);
        }
    }

    #[test]
    fn what_is_no_latency_is_refused_and_what_is_one_is_written_as_it_was_read() {
        for good in ["0", "0.05", "0.02..0.06", "1..1", "median=0.3 p99=2"] {
            assert_eq!(good.parse::<Latency>().expect(good).to_string(), good);
        }
        let bad = ["", "x", "-1", "inf", "0.06..0.02", "1..", "median=0 p99=1", "median=2 p99=1"];
        for bad in bad {
            let error = bad.parse::<Latency>().expect_err(bad);
            assert!(error.starts_with(&format!("{bad:?} is no latency")), "{error}");
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_and_another_does_not() {
        assert_eq!(sorted("0..1", 7), sorted("0..1", 7));
        assert_ne!(sorted("0..1", 7), sorted("0..1", 8));
    }
}
