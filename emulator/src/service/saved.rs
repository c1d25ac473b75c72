//! What is stored as bytes, and back. What they are is written in `model`.

use std::{fmt, mem, time::Duration};

use serde::{Deserialize, Serialize};

use super::Service;
use crate::{ids::Ids, model::Store};

/// The format that is written here, and the only one that is read. It changes with every change
/// of what is stored.
const FORMAT: u64 = 1;

/// What all formats have, and will have.
#[derive(Deserialize)]
struct Head {
    format: u64,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    format: u64,
    /// The switch `versions`, which says what the stores are.
    versions: String,
    ids: Ids,
    /// Their times are counted from the moment of saving.
    stores: [Store; 2],
}

/// Why bytes are no state that can be restored: a sentence for a human.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreError(String);

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RestoreError {}

impl Service {
    /// What is stored at the time `now`, counted from [`Options::origin`](crate::Options::origin),
    /// for [`restore`](Self::restore).
    ///
    /// These are connections with their schemas, operations, items and groups, user activities
    /// with their history, and where the generator of ids stands, so that none is given twice. A
    /// schema that is being registered, and a connection that is being deleted, take the time that
    /// they have left. It is not what was told or set besides: tokens, faults, limits, latency,
    /// reports, early calls, counts, journal.
    ///
    /// The same state gives the same bytes. They are JSON, which other releases need not read.
    pub fn save(&mut self, now: Duration) -> Vec<u8> {
        self.advance(now);
        self.stores.iter_mut().for_each(|store| store.recount(self.now, Duration::ZERO));
        let saved = Saved {
            format: FORMAT,
            versions: self.versions(),
            ids: self.ids.clone(),
            stores: mem::take(&mut self.stores),
        };
        let bytes =
            serde_json::to_vec(&saved).expect("only strings are keys, and no float is in it");
        self.stores = saved.stores;
        self.stores.iter_mut().for_each(|store| store.recount(Duration::ZERO, self.now));
        bytes
    }

    /// Puts what was saved in the place of what is stored, at the time `now`. Dates are those that
    /// were saved, whatever the origin is here, and so are the applications and users that
    /// something belongs to.
    ///
    /// # Errors
    /// The bytes are damaged or of another release, or the switch `versions` was another one.
    /// Then nothing has changed.
    pub fn restore(&mut self, now: Duration, bytes: &[u8]) -> Result<(), RestoreError> {
        let damaged = |why| RestoreError(format!("it is no state of an emulator: {why}"));
        let Head { format } = serde_json::from_slice(bytes).map_err(damaged)?;
        if format != FORMAT {
            return Err(RestoreError(format!(
                "its format is {format}, and this release reads {FORMAT}; use the release that \
                 wrote it, or begin with nothing"
            )));
        }
        let saved: Saved = serde_json::from_slice(bytes).map_err(damaged)?;
        let (theirs, ours) = (saved.versions, self.versions());
        if theirs != ours {
            return Err(RestoreError(format!(
                "it was saved with the switch versions={theirs}, and here it is {ours}; set it so"
            )));
        }
        self.advance(now);
        (self.ids, self.stores) = (saved.ids, saved.stores);
        self.stores.iter_mut().for_each(|store| store.recount(Duration::ZERO, self.now));
        Ok(())
    }

    fn versions(&self) -> String {
        self.options.behaviour.get("versions").unwrap_or_default()
    }
}
