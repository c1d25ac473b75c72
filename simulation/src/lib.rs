//! Bulk runs against the emulator in virtual time.
//!
//! Lives here: the loop that drives an [`Ingest`](graphfeed_core::machine::Ingest) ([`drive`]),
//! the times at which things happen ([`Agenda`]), chance from a seed ([`Dice`]), the emulator as
//! one end of a wire ([`Tenant`]), and what a request carries, alone or in a batch ([`Part`]).
//! What is promised of a run is held in `tests/`, what is measured printed by `benches/` as a
//! [`table`].
//!
//! There is no clock, thread or socket in here: a day takes as long as its calls take to compute,
//! and the same seed is the same run.
//!
//! ```
//! use std::time::Duration;
//!
//! use graphfeed_core::external::DeleteItem;
//! use graphfeed_core::machine::{
//!     Attempt, Ingest, IngestSettings, Outcome, Policy, Shared, Start, Tick, Ticket, Token,
//!     TokenNeed,
//! };
//! use graphfeed_core::protocol::{Deleted, Endpoint, ServiceRoot, TokenError};
//! use graphfeed_core::types::{ConnectionId, ItemId};
//! use graphfeed_emulator::Options;
//! use graphfeed_simulation::{Back, Tenant, Way, World, drive};
//!
//! /// Deletes a thousand items, none of which is there.
//! struct Deletions {
//!     tenant: Tenant,
//!     left: u64,
//! }
//!
//! impl World<u64, Deleted> for Deletions {
//!     fn supply(&mut self, ingest: &mut Ingest<u64, Deleted>, now: Tick, room: usize) -> bool {
//!         let connection = ConnectionId::new("contosohr").expect("an id");
//!         for _ in 0..self.left.min(room as u64) {
//!             let item = ItemId::new(format!("T{}", self.left)).expect("an id");
//!             let call = DeleteItem::new(&connection, &item).call(&ServiceRoot::v1());
//!             assert!(ingest.offer(self.left, call.expect("a call"), now).is_ok());
//!             self.left -= 1;
//!         }
//!         if self.left == 0 {
//!             ingest.close();
//!         }
//!         room > 0
//!     }
//!
//!     fn sent(&mut self, _: Tick, _: &Attempt) -> Way {
//!         Way::There(Duration::from_millis(10))
//!     }
//!
//!     fn arrives(&mut self, now: Tick, _: Ticket, request: &http::Request<bytes::Bytes>) -> Back {
//!         let mut back = self.tenant.deliver(now, request);
//!         back.after += Duration::from_millis(10);
//!         back
//!     }
//!
//!     fn token(&mut self, now: Tick, _: &TokenNeed) -> (Duration, Result<Token, TokenError>) {
//!         self.tenant.token(now)
//!     }
//!
//!     fn done(&mut self, _: &mut Ingest<u64, Deleted>, _: Tick, _: u64, _: Outcome<Deleted>) {}
//! }
//!
//! let mut world = Deletions { tenant: Tenant::new(Options::default(), None), left: 1000 };
//! world.tenant.emulator.throttle("bucket rate=25 burst=25 retry-after=1")?;
//! let now = Tick::default();
//! let start = Start::new(ServiceRoot::v1(), Policy::default(), 7, now);
//! let mut ingest = Ingest::new(IngestSettings::default(), &start);
//! let summary = drive(&mut ingest, &mut Shared::default(), now, Tick::MAX, &mut world);
//! let summary = summary.expect("it comes to its end");
//! assert_eq!(summary.progress.ok, 1000);
//! let seconds = summary.ended.since(summary.began).as_secs();
//! assert!((35..60).contains(&seconds), "25 a second, less what it took to find that out");
//! # Ok::<(), String>(())
//! ```

mod agenda;
mod dice;
mod drive;
mod part;
pub mod table;
mod tenant;

pub use agenda::Agenda;
pub use dice::{Dice, Latency};
pub use drive::{Back, Way, World, drive};
pub use part::{Part, PartAnswer};
pub use tenant::{CONNECTIONS, Tenant};
