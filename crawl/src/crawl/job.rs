//! One call of a crawl, as a bulk run hands it back.

use std::{cmp::Ordering, sync::Arc};

use graphfeed_core::{
    external::{AddedActivities, StoredItem},
    protocol::Deleted,
    types::{ItemId, RawJson},
};

use crate::Digest;

/// What a call is for: the key of a bulk run whose calls a crawl makes.
///
/// Two are equal when they are about the same key of the source, whatever they do; so calls about
/// one key go one after another.
#[derive(Clone, Debug)]
pub struct Job {
    pub(super) key: Arc<str>,
    // The entry of the source that it is a part of; none of the deletes at the end.
    pub(super) entry: Option<u64>,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Put {
        id: ItemId,
        hash: Digest,
    },
    Add {
        activities: Arc<[Digest]>,
    },
    Delete {
        id: ItemId,
    },
    /// There is no call; the source has something of which none can be made.
    Nothing {
        id: ItemId,
        /// The line in the source, where it is one.
        line: Option<u64>,
        /// As a line has it, where it is an item.
        item: Option<RawJson>,
    },
}

impl Job {
    /// The name in the source.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl Ord for Job {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Job {}

/// What the calls of a crawl come to, whatever their kind. What they answer with is in the
/// outcome's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written(());

impl From<Option<StoredItem>> for Written {
    fn from(_: Option<StoredItem>) -> Self {
        Self(())
    }
}

impl From<Deleted> for Written {
    fn from(_: Deleted) -> Self {
        Self(())
    }
}

impl From<AddedActivities> for Written {
    fn from(_: AddedActivities) -> Self {
        Self(())
    }
}
