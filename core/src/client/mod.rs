//! Drivers: what turns the steps of a [`Machine`](crate::machine::Machine) into sends and waits,
//! and the traits they are generic over. The only room in the core with threads, locks and
//! wakers.

mod blocking;
mod clock;
mod token_source;
#[cfg(feature = "tracing")]
mod tracing;
mod transport;

pub use blocking::{Client, ClientBuilder};
pub use clock::{Clock, News, VirtualClock};
pub use token_source::{TokenProvider, TokenSource};
pub use transport::{SendOptions, Transport};

pub use crate::protocol::{Failure, Sent};

use clock::{Board, lock};
