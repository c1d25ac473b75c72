//! Time as the machines know it.

use std::{
    ops::{Add, AddAssign},
    time::Duration,
};

/// A point in time, as a distance from an origin that the driver picks once: the start of the
/// program, say. Adding goes no further than the last tick there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(Duration);

impl Tick {
    /// Later than everything.
    pub const MAX: Self = Self(Duration::MAX);

    /// The time that has passed since the origin.
    pub const fn new(since_origin: Duration) -> Self {
        Self(since_origin)
    }

    /// The time that has passed since the origin.
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// How long after `earlier` this is; nothing if it is before.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Tick {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl AddAssign<Duration> for Tick {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}
