//! Drivers: what turns the steps of a [`Machine`](crate::machine::Machine) into sends and waits,
//! and the traits they are generic over. The only room in the core with threads, locks and
//! wakers.

mod asynchronous;
mod blocking;
mod clock;
mod desk;
mod hub;
mod ingest;
mod ingest_async;
mod ingest_blocking;
mod task_set;
mod token_source;
#[cfg(feature = "tracing")]
mod tracing;
mod transport;

pub use asynchronous::{AsyncClient, AsyncPages, Pending};
pub use blocking::{Client, PageIter};
pub use clock::{AsyncClock, Clock, News, VirtualClock};
pub use hub::ClientBuilder;
pub use ingest::{IngestNews, IngestRun, StopHandle};
pub use token_source::{AsyncTokenSource, TokenProvider, TokenSource};
pub use transport::{AsyncTransport, SendOptions, Transport};

pub use crate::protocol::{Failure, Sent};

use clock::{Board, lock};
