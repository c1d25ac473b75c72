//! Drivers: what turns a [`Call`](crate::protocol::Call) into a send, and the traits they are
//! generic over. The only room in the core with threads, locks and wakers.

mod blocking;
mod transport;

pub use blocking::Client;
pub use transport::{SendOptions, Transport};

pub use crate::protocol::{Failure, Sent};
