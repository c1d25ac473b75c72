//! What a source has: plain data, made by whoever knows the source.

use graphfeed_core::{
    external::{ExternalActivity, ExternalItem},
    types::BuildError,
};

use crate::{ItemLine, RefusedLine};

/// Something that a source has, in the order in which it has it.
///
/// The key is the source's own name for a thing: a path, a ticket's number, any text. Things with
/// different keys are different items, whatever the keys, if each has the id that follows from its
/// key ([`ItemId::from_key`](graphfeed_core::types::ItemId::from_key)). Two keys with one id are not
/// told apart: when one of them vanishes, the item is deleted. An item whose id changes is put
/// under the new one, and stays under the old one, too.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Entry {
    /// An item, as it is now, and what was done with it. Item and activities are compared with
    /// what the journal knows, so that all of them may be given each time.
    #[non_exhaustive]
    Item {
        /// Its name in the source.
        key: String,
        /// The item.
        item: Box<ExternalItem>,
        /// What was done with it, each of which is added once.
        activities: Vec<ExternalActivity>,
    },
    /// What is there and cannot be made an item of. It is not deleted if it was stored before.
    #[non_exhaustive]
    Refused {
        /// Its name in the source.
        key: String,
        /// Why not.
        why: BuildError,
    },
    /// What is there and so broken that not even its key is known. A crawl that has met such is
    /// not complete: it cannot be known what the source no longer has.
    #[non_exhaustive]
    Unreadable {
        /// The line of which nothing could be made.
        refused: RefusedLine,
    },
    /// What the source no longer has, where it says so.
    #[non_exhaustive]
    Gone {
        /// Its name in the source.
        key: String,
    },
    /// From where the source can go on another time. The journal has it
    /// ([`Journal::watermark`](crate::Journal::watermark)) when everything before it is stored, or
    /// its dead letter is on disk.
    Watermark(Vec<u8>),
}

impl Entry {
    /// An item without activities.
    pub fn item(key: impl Into<String>, item: ExternalItem) -> Self {
        Self::Item { key: key.into(), item: item.into(), activities: Vec::new() }
    }

    /// The same with this activity on it, if it is an item.
    #[must_use]
    pub fn with_activity(mut self, activity: ExternalActivity) -> Self {
        if let Self::Item { activities, .. } = &mut self {
            activities.push(activity);
        }
        self
    }

    /// What is there and cannot be made an item of.
    pub fn refused(key: impl Into<String>, why: BuildError) -> Self {
        Self::Refused { key: key.into(), why }
    }

    /// What is there and so broken that not even its key is known: a line, a folder that cannot be
    /// listed. `line` says how far the source was read, counted from 1.
    ///
    /// ```
    /// use graphfeed_core::types::{Fault, Rule};
    /// use graphfeed_crawl::Entry;
    ///
    /// let why = Fault::new(Rule::MemberRequired, "docs/private", "cannot be listed");
    /// let Entry::Unreadable { refused, .. } = Entry::unreadable(7, why.into()) else { panic!() };
    /// assert_eq!((refused.line, refused.key), (7, None));
    /// ```
    pub fn unreadable(line: u64, why: BuildError) -> Self {
        Self::Unreadable { refused: RefusedLine { line, key: None, why } }
    }

    /// What the source no longer has.
    pub fn gone(key: impl Into<String>) -> Self {
        Self::Gone { key: key.into() }
    }
}

/// A line of a file, whose activities are added as those of any other item.
impl From<ItemLine> for Entry {
    fn from(line: ItemLine) -> Self {
        Self::item(line.key, line.item)
    }
}

impl From<RefusedLine> for Entry {
    fn from(refused: RefusedLine) -> Self {
        match &refused.key {
            Some(key) => Self::Refused { key: key.clone(), why: refused.why },
            None => Self::Unreadable { refused },
        }
    }
}
