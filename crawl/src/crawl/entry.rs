//! What a source has: plain data, made by whoever knows the source.

use graphfeed_core::{
    external::{ExternalActivity, ExternalItem},
    types::{BuildError, Fault, RawJson, Rule},
};

use crate::{ItemLine, LineError, RefusedLine};

/// Something that a source has, in the order in which it has it.
///
/// The key is the source's own name for a thing: a path, a ticket's number, any text. Things with
/// different keys are different items, whatever the keys, for an item has the id that follows from
/// its key ([`ItemId::from_key`](graphfeed_core::types::ItemId::from_key)). One that has another is
/// refused: otherwise the item of two keys would be deleted as soon as one of them is gone.
///
/// Where only a hash is left of the key, the id itself is the key, as in a line of
/// [`ItemLines`](crate::ItemLines). So a key that is too long for an id and its hash are two keys of
/// one item, and of a hash it cannot be told which key it is of: give the one or the other, always.
/// If both were given and one is gone, the item of the other may be deleted with it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Entry {
    /// An item, as it is now, and what was done with it. Item and activities are compared with
    /// what the journal knows, so that all of them may be given each time.
    #[non_exhaustive]
    Item {
        /// Its name in the source.
        key: String,
        /// The item, with the id that follows from the key.
        item: Box<ExternalItem>,
        /// What was done with it, each of which is added once.
        activities: Vec<ExternalActivity>,
    },
    /// What is there and cannot be made an item of. It is not deleted if it was stored before.
    #[non_exhaustive]
    Refused {
        /// Its name in the source.
        key: String,
        /// Its line, from 1, where it is one.
        line: Option<u64>,
        /// What is in the line, so that its dead letter can be mended.
        item: Option<RawJson>,
        /// Why not.
        why: BuildError,
    },
    /// What is there and so broken that not even its key is known. A crawl that has met such is
    /// not complete: it cannot be known what the source no longer has.
    #[non_exhaustive]
    Unreadable {
        /// Its line, from 1, where it is one.
        line: Option<u64>,
        /// Why nothing could be made of it.
        why: BuildError,
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
        Self::Refused { key: key.into(), line: None, item: None, why }
    }

    /// What is there and so broken that not even its key is known: a line, which has a number from
    /// 1, or a folder that cannot be listed, which has none.
    ///
    /// ```
    /// use graphfeed_core::types::{Fault, Rule};
    /// use graphfeed_crawl::Entry;
    ///
    /// let why = Fault::new(Rule::Source, "docs/private", "cannot be listed");
    /// let Entry::Unreadable { line, .. } = Entry::unreadable(None, why.into()) else { panic!() };
    /// assert_eq!(line, None);
    /// ```
    pub fn unreadable(line: impl Into<Option<u64>>, why: BuildError) -> Self {
        Self::Unreadable { line: line.into(), why }
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
        let RefusedLine { line, key, item, why } = refused;
        match key {
            Some(key) => Self::Refused { key, line: Some(line), item, why },
            None => Self::unreadable(line, why),
        }
    }
}

/// Where a file cannot be read any further, what comes behind is not known. That is no end of the
/// source, so nothing is deleted after it.
impl From<LineError> for Entry {
    fn from(why: LineError) -> Self {
        match why {
            LineError::Refused(refused) => refused.into(),
            LineError::Io { line, source } => {
                let detail = format!("cannot be read: {source}; check the file, then run again");
                Self::unreadable(line, Fault::new(Rule::Source, "$", detail).into())
            }
        }
    }
}

/// What [`ItemLines`](crate::ItemLines) gives, so that a file of lines is a source.
///
/// ```
/// use graphfeed_core::client::{Client, SendOptions};
/// use graphfeed_core::protocol::ServiceRoot;
/// use graphfeed_core::types::{AccessToken, ConnectionId};
/// use graphfeed_crawl::{
///     Crawl, CrawlSettings, DeadLetters, Entry, ItemLines, Journal, NdjsonSettings, Scope,
/// };
/// use std::{fs, io::BufReader};
/// # use std::time::Instant;
/// # struct RealClock(Instant);
/// # impl graphfeed_core::client::Clock for RealClock {
/// #     fn now(&self) -> graphfeed_core::machine::Tick {
/// #         graphfeed_core::machine::Tick::new(self.0.elapsed())
/// #     }
/// # }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let clock = RealClock(Instant::now());
/// # let transport = |_: http::Request<bytes::Bytes>, _: &SendOptions| {
/// #     Ok(http::Response::new(bytes::Bytes::new()))
/// # };
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// fs::write(folder.join("wiki.ndjson"), concat!(
///     r#"{"id":"a/b","acl":[{"type":"everyone","value":"67a141d8-cf4e-4528-ba07-bed21bfacd2d","#,
///     r#""accessType":"grant"}],"properties":{"title":"A"}}"#,
///     "\n",
///     r#"{"id":"c","acl":[],"properties":{"title":"nobody sees it"}}"#,
/// ))?;
/// let (root, connection) = (ServiceRoot::v1(), ConnectionId::new("contosohr")?);
/// let client = Client::builder(root.clone(), AccessToken::new("token")?).build(transport, clock);
/// let journal = Journal::open(folder.join("wiki.journal"), &Scope::new(&root, &connection))?;
/// let letters = DeadLetters::open(folder.join("wiki.dead.ndjson"))?;
/// let crawl = Crawl::new(root.clone(), connection, journal, letters, CrawlSettings::default())?;
///
/// let file = BufReader::new(fs::File::open(folder.join("wiki.ndjson"))?);
/// let lines = ItemLines::new(file, NdjsonSettings::new(root));
/// let report = crawl.over(&client).run(lines.map(Entry::from), |_| {})?;
/// assert_eq!((report.seen, report.ok, report.failed), (2, 1, 1));
/// # Ok(())
/// # }
/// ```
impl From<Result<ItemLine, LineError>> for Entry {
    fn from(line: Result<ItemLine, LineError>) -> Self {
        line.map_or_else(Self::from, Self::from)
    }
}
