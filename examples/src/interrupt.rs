//! Ctrl-C, and what becomes of a program then.

use std::{
    fmt, process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use tokio::{runtime, signal};

use crate::progress::say;

/// What shells take for the end by Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// Hears of Ctrl-C: the first is for the program to end by, the second ends it at once.
///
/// Clones hear the same.
#[derive(Clone, Default)]
pub struct Interrupts(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    once: bool,
    then: Option<Box<dyn FnOnce() + Send>>,
}

impl Interrupts {
    /// Listens from now on. Where that cannot be, a program ends by the first Ctrl-C without a
    /// word.
    pub fn listen() -> Self {
        let interrupts = Self::default();
        let heard = interrupts.clone();
        let _ = thread::Builder::new().name("interrupts".to_owned()).spawn(move || {
            let Ok(runtime) = runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            while runtime.block_on(signal::ctrl_c()).is_ok() {
                if heard.interrupt() {
                    say(format_args!("\ninterrupted again, and ended at once"));
                    process::exit(INTERRUPTED.into());
                }
            }
        });
        interrupts
    }

    /// What the first Ctrl-C does from here on, at once if it was heard before; what it would have
    /// done so far, it does no more.
    pub fn then(&self, then: impl FnOnce() + Send + 'static) {
        let mut heard = self.heard();
        if heard.once {
            drop(heard);
            then();
        } else {
            heard.then = Some(Box::new(then));
        }
    }

    /// Whether it was heard.
    pub fn is_interrupted(&self) -> bool {
        self.heard().once
    }

    /// Whether it was the second.
    fn interrupt(&self) -> bool {
        let mut heard = self.heard();
        let again = std::mem::replace(&mut heard.once, true);
        let then = heard.then.take();
        drop(heard);
        if let Some(then) = then {
            then();
        }
        again
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Interrupts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupts")
            .field("interrupted", &self.is_interrupted())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_first_does_what_was_said_last_and_the_second_is_told_apart() {
        let interrupts = Interrupts::default();
        let (does, done) = mpsc::channel();
        for what in ["before", "now"] {
            let does = does.clone();
            interrupts.then(move || does.send(what).unwrap());
        }
        assert!(!interrupts.is_interrupted());
        assert!(!interrupts.interrupt());
        assert!(interrupts.is_interrupted());
        interrupts.then(move || does.send("at once").unwrap());
        assert!(interrupts.interrupt());
        assert_eq!(done.iter().collect::<Vec<_>>(), ["now", "at once"]);
    }
}
