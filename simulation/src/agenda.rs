//! What happens, in the order of its time.

use std::collections::BTreeMap;

use graphfeed_core::machine::Tick;

/// What is to happen, in the order of its time; what happens at the same time, in the order in
/// which it was added.
#[derive(Debug)]
pub struct Agenda<E> {
    entries: BTreeMap<(Tick, bool, u64), E>,
    added: u64,
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), added: 0 }
    }
}

impl<E> Agenda<E> {
    /// This happens then.
    pub fn add(&mut self, at: Tick, what: E) {
        self.insert(at, false, what);
    }

    /// This happens then, after all else that happens then.
    pub fn add_last(&mut self, at: Tick, what: E) {
        self.insert(at, true, what);
    }

    fn insert(&mut self, at: Tick, last: bool, what: E) {
        self.added += 1;
        self.entries.insert((at, last, self.added), what);
    }

    /// When the next thing happens.
    pub fn next(&self) -> Option<Tick> {
        self.entries.first_key_value().map(|((at, ..), _)| *at)
    }

    /// Takes out what happens next, if that is not later than now.
    pub fn due(&mut self, now: Tick) -> Option<E> {
        let entry = self.entries.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_added_happens_by_time_and_then_by_turn() {
        let at = |seconds| Tick::new(Duration::from_secs(seconds));
        let mut agenda = Agenda::default();
        agenda.add_last(at(1), "last");
        for (seconds, what) in [(2, "later"), (1, "first"), (1, "second")] {
            agenda.add(at(seconds), what);
        }
        assert_eq!((agenda.due(at(0)), agenda.next()), (None, Some(at(1))));
        let happened: Vec<_> = std::iter::from_fn(|| agenda.due(at(1))).collect();
        assert_eq!(happened, ["first", "second", "last"]);
        assert_eq!((agenda.due(at(9)), agenda.next()), (Some("later"), None));
    }
}
