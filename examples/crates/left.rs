//! What is left of a run that does not come to its end: how many items are stored, and what
//! becomes of them. It is said after an error, and when somebody interrupts.

use std::{
    fmt, process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use graphfeed_examples::{
    interrupt::{INTERRUPTED, Interrupts},
    progress::say,
};

/// How many items a run has stored so far. Printed it is a sentence on lines of its own, or
/// nothing while there are no items to store.
#[derive(Debug, Default)]
pub(crate) struct Left {
    in_tenant: bool,
    items: AtomicUsize,
    of: AtomicUsize,
}

impl Left {
    /// In a tenant, which keeps them, or in the emulator.
    pub(crate) fn new(in_tenant: bool) -> Self {
        Self { in_tenant, ..Self::default() }
    }

    /// So many are to be stored.
    pub(crate) fn expect(&self, of: usize) {
        self.of.store(of, Ordering::Relaxed);
    }

    /// One more is stored.
    pub(crate) fn add(&self) {
        self.items.fetch_add(1, Ordering::Relaxed);
    }

    /// Has the last word when somebody interrupts this program, which ends it. Where that cannot
    /// be heard of, it ends without a word.
    pub(crate) fn tell_when_interrupted(self: &Arc<Self>) {
        let left = Arc::clone(self);
        Interrupts::listen().then(move || {
            // A terminal has shown ^C, behind a bar perhaps.
            say(format_args!("\ncrates: interrupted{left}"));
            process::exit(INTERRUPTED.into());
        });
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (items, of) = (self.items.load(Ordering::Relaxed), self.of.load(Ordering::Relaxed));
        match (of, self.in_tenant) {
            (0, _) => Ok(()),
            // Of one whose answer was not heard nobody knows.
            (_, true) => write!(
                f,
                "\n{items} of {of} items are known to be stored, and stay in the tenant. The next \
                 run replaces them and stores the others; --clean deletes all."
            ),
            (_, false) => write!(
                f,
                "\n{items} of {of} items are known to have been stored, in the emulator that ends \
                 with this program."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_once_there_is_something_to_store() {
        for (in_tenant, says) in [(true, "--clean deletes all"), (false, "ends with this program")]
        {
            let left = Left::new(in_tenant);
            assert_eq!(left.to_string(), "");
            left.expect(3);
            left.add();
            left.add();
            let told = left.to_string();
            assert!(told.starts_with("\n2 of 3 items are known to "), "{told}");
            assert!(told.contains(says), "{told}");
        }
    }
}
