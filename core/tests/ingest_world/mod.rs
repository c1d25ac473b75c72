//! A service in virtual time, as small as it can be: what it counts with, how long it takes, and
//! what goes wrong on the way. It knows what it stored, and judges by that alone.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use graphfeed_core::{machine::Tick, protocol::Failure};

/// Chance from a seed.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn chance(&mut self, of: f64) -> bool {
        self.fraction() < of
    }
}

/// How a service counts.
#[derive(Clone, Copy, Debug)]
pub enum Count {
    /// Fills with the rate up to so many seconds of it; a refused call may be charged, too.
    Bucket { burst: f64, charged: bool },
    /// So many seconds, from the start of the world, each with its own share.
    Window { seconds: f64 },
}

/// What the 429 says.
#[derive(Clone, Copy, Debug)]
pub enum Told {
    Seconds(f64),
    /// What is left of the window, in whole seconds, rounded up.
    Rest,
}

/// A limit, of which the rate may change.
#[derive(Clone, Debug)]
pub struct Limit {
    pub rate: f64,
    pub count: Count,
    pub told: Told,
    level: f64,
    at: f64,
}

impl Limit {
    pub fn new(rate: f64, count: Count, told: Told) -> Self {
        let level = match count {
            Count::Bucket { burst, .. } => rate * burst,
            Count::Window { seconds } => rate * seconds,
        };
        Self { rate, count, told, level, at: 0.0 }
    }

    /// Whether a call may pass, and if not, how long it is to wait.
    pub fn admit(&mut self, now: Tick) -> Result<(), f64> {
        let now = now.since_origin().as_secs_f64();
        match self.count {
            Count::Bucket { burst, .. } => {
                self.level = (self.level + (now - self.at) * self.rate).min(self.rate * burst);
            }
            Count::Window { seconds } => {
                if (now / seconds).floor() > (self.at / seconds).floor() {
                    self.level = self.rate * seconds;
                }
            }
        }
        self.at = now;
        if self.level >= 1.0 {
            self.level -= 1.0;
            return Ok(());
        }
        if let Count::Bucket { burst, charged: true } = self.count {
            self.level = (self.level - 1.0).max(-self.rate * burst);
        }
        Err(match (self.told, self.count) {
            (Told::Seconds(seconds), _) => seconds,
            (Told::Rest, Count::Window { seconds }) => (seconds - now % seconds).ceil().max(1.0),
            (Told::Rest, Count::Bucket { .. }) => 1.0,
        })
    }
}

/// How long a call is on its way, there and back.
#[derive(Clone, Copy, Debug)]
pub enum Latency {
    /// Between these, in milliseconds.
    Even(f64, f64),
    /// Half of them below the first, one in a hundred above the second, in milliseconds.
    Long(f64, f64),
}

impl Latency {
    pub fn draw(self, dice: &mut Dice) -> Duration {
        let milliseconds = match self {
            Self::Even(from, to) => from + (to - from) * dice.fraction(),
            Self::Long(median, p99) => {
                // A sum of twelve is near enough to normal.
                let normal: f64 = (0..12).map(|_| dice.fraction()).sum::<f64>() - 6.0;
                median * ((p99 / median).ln() / 2.326 * normal).exp()
            }
        };
        Duration::from_secs_f64(milliseconds / 1000.0)
    }
}

/// What happens, in the order of its time.
#[derive(Debug)]
pub struct Agenda<E> {
    entries: BTreeMap<(Tick, u64), E>,
    serial: u64,
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), serial: 0 }
    }
}

impl<E> Agenda<E> {
    pub fn add(&mut self, at: Tick, what: E) {
        self.serial += 1;
        self.entries.insert((at, self.serial), what);
    }

    pub fn next(&self) -> Option<Tick> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    pub fn due(&mut self, now: Tick) -> Option<E> {
        let entry = self.entries.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }
}

pub type Arrival = Result<http::Response<Bytes>, Failure>;

pub fn answer(status: u16, retry_after: Option<f64>) -> http::Response<Bytes> {
    let mut response = http::Response::builder().status(status);
    if let Some(wait) = retry_after {
        response = response.header("retry-after", wait.to_string());
    }
    response.body(Bytes::new()).unwrap()
}
