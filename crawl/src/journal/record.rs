//! What a journal is told and what it knows: plain data.

use std::fmt;

use graphfeed_core::{
    protocol::ServiceRoot,
    types::{ConnectionId, ItemId},
};

/// What a journal belongs to: one connection of one service.
///
/// ```
/// use graphfeed_core::{protocol::ServiceRoot, types::ConnectionId};
/// use graphfeed_crawl::Scope;
///
/// let scope = Scope::new(&ServiceRoot::v1(), &ConnectionId::new("contosohr")?);
/// assert_eq!(scope.as_str(), "https://graph.microsoft.com/v1.0 contosohr");
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope(Box<str>);

impl Scope {
    /// The connection under that root.
    pub fn new(root: &ServiceRoot, connection: &ConnectionId) -> Self {
        Self(format!("{root} {connection}").into())
    }

    /// Root and connection, as errors show them.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The SHA-256 of a content. Contents with equal digests are taken to be the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of parts, say an item, its access list and the version of its schema. Where one
    /// part ends and the next begins counts.
    ///
    /// ```
    /// use graphfeed_crawl::Digest;
    ///
    /// assert_eq!(Digest::of(["item", "acl"]), Digest::of(["item", "acl"]));
    /// assert_ne!(Digest::of(["item", "acl"]), Digest::of(["ite", "macl"]));
    /// ```
    pub fn of<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Self {
        let mut hash = hmac_sha256::Hash::new();
        for part in parts {
            let part = part.as_ref();
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize())
    }

    /// Takes a digest that was made elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The id that its item has in the service.
    pub id: ItemId,
    /// The content that was stored last; `None` if none ever was.
    pub hash: Option<Digest>,
    /// What became of it last. Only [`State::Stored`] says that the service has that content.
    pub state: State,
    /// The last run that saw it. If none of the last eight did, the run that changed it last.
    pub run: u64,
}

impl Record {
    /// Whether the service has nothing under this key and never had.
    pub(crate) fn is_of_nothing(&self) -> bool {
        self.state == State::Failed && self.hash.is_none()
    }
}

/// What became of an item last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// The service has it.
    Stored,
    /// It could not be stored, or not be deleted; its dead letter is on disk. Without a
    /// [hash](Record::hash) the service has nothing under this key.
    Failed,
    /// It may have been stored: it was about to be, and what became of that is not known, or its
    /// dead letter is on disk.
    Uncertain,
    /// It may have been deleted, and all activities with it: it was about to be, and what became
    /// of that is not known, or its dead letter is on disk.
    Leaving,
}

/// What became of an activity, which is added and cannot be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ActivityState {
    /// It may have been sent, and no outcome is known.
    Intended {
        /// The run that meant to send it.
        run: u64,
    },
    /// The service has it.
    Added,
    /// It may have been added; its dead letter is on disk.
    Uncertain,
}

/// An activity that may have been sent, and has no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Intent {
    /// The key of its item.
    pub key: Box<str>,
    /// The activity.
    pub activity: Digest,
    /// The run that meant to send it.
    pub run: u64,
    /// What was [kept](Change::Intended::kept) of it.
    pub kept: Box<[u8]>,
}

/// Something that a journal is told.
///
/// All but [`Seen`](Self::Seen) are outcomes, which it puts on disk in groups, in the order told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change<'a> {
    /// What the source says of the key is of this run: that its item is as it was, say. A key that
    /// is not known stays so.
    Seen {
        /// The key.
        key: &'a str,
    },
    /// The service has taken the item.
    Stored {
        /// The key.
        key: &'a str,
        /// The item's id.
        id: &'a ItemId,
        /// The content.
        hash: Digest,
    },
    /// The item is about to be put. It may be after the next
    /// [`Journal::sync`](super::Journal::sync): what is known of it is no longer to be relied on.
    Arriving {
        /// The key.
        key: &'a str,
        /// The item's id.
        id: &'a ItemId,
    },
    /// The item is about to be deleted. It may be after the next
    /// [`Journal::sync`](super::Journal::sync): what is known of it is no longer to be relied on.
    Departing {
        /// The key.
        key: &'a str,
        /// The item's id.
        id: &'a ItemId,
    },
    /// The item that was about to be put or deleted was not. That may be tried again, and what was
    /// known of it is known.
    NotSent {
        /// The key.
        key: &'a str,
    },
    /// The item could not be stored, or not be deleted, and its dead letter is on disk. What was
    /// stored before is still known, and so is that something may have been stored or deleted, other
    /// than what was just [about to be](Self::Arriving).
    Failed {
        /// The key.
        key: &'a str,
        /// The item's id.
        id: &'a ItemId,
    },
    /// The item may have been stored, and its dead letter is on disk.
    Uncertain {
        /// The key.
        key: &'a str,
        /// The item's id.
        id: &'a ItemId,
    },
    /// The item may have been deleted, and its dead letter is on disk.
    Leaving {
        /// The key.
        key: &'a str,
        /// The item's id.
        id: &'a ItemId,
    },
    /// The service no longer has the item. Key and activities are forgotten.
    Deleted {
        /// The key.
        key: &'a str,
    },
    /// An activity is about to go out. It may after the next
    /// [`Journal::sync`](super::Journal::sync).
    Intended {
        /// The key of its item.
        key: &'a str,
        /// The activity.
        activity: Digest,
        /// What is needed of it should no outcome ever come; an [`Intent`] has it.
        kept: &'a [u8],
    },
    /// The service has added the activity.
    Added {
        /// The key of its item.
        key: &'a str,
        /// The activity.
        activity: Digest,
    },
    /// The activity was not added. It may be tried again.
    NotAdded {
        /// The key of its item.
        key: &'a str,
        /// The activity.
        activity: Digest,
    },
    /// The activity may have been added, and its dead letter is on disk.
    MaybeAdded {
        /// The key of its item.
        key: &'a str,
        /// The activity.
        activity: Digest,
    },
    /// From where the source can go on another time.
    Watermark(&'a [u8]),
    /// The run has seen all that the source has.
    RunComplete,
}
