//! The generator of everything that the server makes up: request ids, activity ids, operations.
//!
//! Seeded, so that a run can be repeated. Not secret, and not meant to be.

use serde::{Deserialize, Serialize};

/// SplitMix64: every seed is a good one, and the state is a counter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ids(u64);

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to 1, 1 excluded.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A random GUID (RFC 9562, version 4).
    pub(crate) fn guid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff,
        )
    }

    /// The id of a user activity: a decimal that is too large for an `i64`, as the documents
    /// show them (`14332800362997268276`).
    pub(crate) fn activity(&mut self) -> String {
        (self.next() | 1 << 63).to_string()
    }

    /// The id of an operation, opaque and no GUID, as samples show them.
    pub(crate) fn operation(&mut self) -> String {
        let mut next = || self.next();
        format!("1.neu.{:016X}{:016X}.{:016X}{:016X}", next(), next(), next(), next())
    }
}

#[cfg(test)]
mod tests {
    use super::Ids;
    use crate::check::is_guid;

    #[test]
    fn ids_have_their_shapes_and_repeat_with_their_seed() {
        let (mut ids, mut again) = (Ids::new(7), Ids::new(7));
        for _ in 0..1000 {
            let guid = ids.guid();
            assert!(is_guid(&guid), "{guid}");
            assert_eq!(guid, again.guid());
            let activity: u64 = ids.activity().parse().expect("a decimal");
            assert!(activity > i64::MAX as u64);
            again.activity();
        }
        assert_eq!(ids.operation().len(), "1.neu.".len() + 65);
        assert_ne!(Ids::new(8).guid(), Ids::new(7).guid());
    }
}
