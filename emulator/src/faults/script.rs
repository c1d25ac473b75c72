//! Which requests are struck: the faults in their order, each with its count and its own chance.
//!
//! Nothing is known here of what a fault does.

use std::time::Duration;

use super::{Effect, End, Fault, Requests};
use crate::{ids::Ids, target};

/// The faults that are in force.
#[derive(Debug)]
pub(crate) struct Script {
    seed: u64,
    /// How many faults there ever were, so that each has a chance of its own.
    armed: u64,
    faults: Vec<Armed>,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    chance: Ids,
    /// Requests that were meant.
    seen: u64,
    struck: u64,
}

/// What the requests of a fault are compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'r> {
    pub(crate) method: &'r str,
    pub(crate) resource: Option<&'static str>,
    /// The whole path of a request to Microsoft Graph. None: it goes to the identity platform.
    pub(crate) path: Option<&'r str>,
}

impl Requests {
    pub(crate) fn mean(&self, asked: Asked<'_>) -> bool {
        let is_method =
            |method: &Option<String>| method.as_ref().is_none_or(|method| method == asked.method);
        match self {
            Self::All => asked.path.is_some(),
            Self::Named { method, resource } => {
                is_method(method)
                    && match resource {
                        Some(_) => *resource == asked.resource,
                        None => asked.path.is_some(),
                    }
            }
            Self::Path { method, segments } => {
                is_method(method)
                    && asked.path.is_some_and(|path| {
                        let theirs = target::segments(path);
                        segments.len() == theirs.len()
                            && segments.iter().zip(theirs).all(|(ours, theirs)| {
                                ours.as_ref().is_none_or(|ours| *ours == theirs)
                            })
                    })
            }
        }
    }
}

impl Script {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, armed: 0, faults: Vec::new() }
    }

    pub(crate) fn arm(&mut self, fault: Fault) {
        self.armed += 1;
        let chance = Ids::new(self.seed ^ self.armed.rotate_left(32));
        self.faults.push(Armed { fault, chance, seen: 0, struck: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// The faults, and how often each has struck.
    pub(crate) fn faults(&self) -> impl Iterator<Item = (&Fault, u64)> {
        self.faults.iter().map(|armed| (&armed.fault, armed.struck))
    }

    /// What happens to a request, if it is struck. `age` is that of its connection.
    pub(crate) fn strike(&mut self, asked: Asked<'_>, age: Option<Duration>) -> Option<Effect> {
        self.faults.iter_mut().find_map(|armed| armed.strike(asked, age))
    }
}

impl Armed {
    fn strike(&mut self, asked: Asked<'_>, age: Option<Duration>) -> Option<Effect> {
        let Fault { requests, effects, from, every, times, chance, within } = &self.fault;
        let young = within.is_none_or(|within| age.is_some_and(|age| age < within));
        if times.is_some_and(|times| self.struck >= times) || !young || !requests.mean(asked) {
            return None;
        }
        self.seen += 1;
        let every = (*every).max(1);
        let since = self.seen.checked_sub(from.unwrap_or(every))?;
        if since % every != 0 || self.chance.fraction() >= *chance {
            return None;
        }
        self.struck += 1;
        let which = (self.chance.fraction() * effects.len() as f64) as usize;
        Some(effects.get(which).cloned().unwrap_or_else(|| Effect::new(End::Pass)))
    }
}
