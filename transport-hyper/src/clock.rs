//! The clock of tokio.

use std::{future::Future, pin::Pin};

use graphfeed_core::{client::AsyncClock, machine::Tick};
use tokio::time::Instant;

/// Real time, by tokio: paused where tokio's time is paused.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    origin: Instant,
}

impl TokioClock {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl AsyncClock for TokioClock {
    fn now(&self) -> Tick {
        Tick::new(self.origin.elapsed())
    }

    fn sleep_until(&self, until: Tick) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        match self.origin.checked_add(until.since_origin()) {
            Some(until) => Box::pin(tokio::time::sleep_until(until)),
            // Later than time goes.
            None => Box::pin(std::future::pending()),
        }
    }
}
