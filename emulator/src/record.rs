//! What was asked for and what was answered: counts for ever, the last requests as a journal.
//!
//! Never a header, a query or a body: a token or a secret could be in it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// How often requests of one kind were answered with one status.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Count {
    /// Method and resource, `PUT item`, as a [`Fault`](crate::Fault) names them; `other` if the
    /// request names no route.
    pub request: String,
    /// The status of the answers. None: there was no whole answer.
    pub status: Option<u16>,
    /// How many.
    pub count: u64,
}

/// A request in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// When it came, since the origin.
    pub at: Duration,
    /// Method and path, without the query.
    pub request: String,
    /// Its `client-request-id`, if it has one.
    pub client_request_id: Option<String>,
    /// The status of its answer. None: there was no whole answer.
    pub status: Option<u16>,
    /// Whether a fault has struck it.
    pub struck: bool,
}

type Name = Option<(&'static str, &'static str)>;

#[derive(Debug)]
pub(crate) struct Record {
    keep: usize,
    counts: BTreeMap<(Name, Option<u16>), u64>,
    journal: VecDeque<Entry>,
}

impl Record {
    pub(crate) fn new(keep: usize) -> Self {
        Self { keep, counts: BTreeMap::new(), journal: VecDeque::new() }
    }

    /// `name` is method and resource; `entry` is only asked for if it is kept.
    pub(crate) fn add(&mut self, name: Name, status: Option<u16>, entry: impl FnOnce() -> Entry) {
        *self.counts.entry((name, status)).or_default() += 1;
        if self.keep > 0 {
            if self.journal.len() >= self.keep {
                self.journal.pop_front();
            }
            self.journal.push_back(entry());
        }
    }

    pub(crate) fn counts(&self) -> impl Iterator<Item = Count> {
        self.counts.iter().map(|((name, status), count)| Count {
            request: match name {
                Some((method, resource)) => format!("{method} {resource}"),
                None => "other".to_owned(),
            },
            status: *status,
            count: *count,
        })
    }

    pub(crate) fn journal(&self) -> impl Iterator<Item = &Entry> {
        self.journal.iter()
    }
}
