//! Items in a file, one a line ([NDJSON](https://github.com/ndjson/ndjson-spec)).
//!
//! Lives here: what a line becomes, and what is wrong with it. How an item stands in a line is the
//! core's [`ItemReader`].

use std::{
    fmt,
    io::{self, BufRead, Write},
};

use graphfeed_core::{
    external::{ExternalItem, ItemReader, Schema},
    protocol::ServiceRoot,
    types::{BuildError, Fault, RawJson, Rule},
};

use crate::{
    DeadLetter,
    lines::{LONGEST, Line, Lines},
};

/// How lines are read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NdjsonSettings {
    /// Where the items are to go, so that what its cloud does not have and what is over its limits
    /// is refused with its line.
    pub root: ServiceRoot,
    /// What properties there are, and of which types. Without one, annotations say the types.
    pub schema: Option<Schema>,
    /// The longest line, in bytes. 8 MiB by default: an item has 4 MB, and escapes make it longer.
    pub longest_line: usize,
    /// What becomes of a text that makes the body too long.
    pub long_content: LongContent,
}

impl NdjsonSettings {
    /// For items that go to `root`.
    pub fn new(root: ServiceRoot) -> Self {
        Self { root, schema: None, longest_line: LONGEST, long_content: LongContent::default() }
    }
}

/// What becomes of a text that makes the body of an item too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LongContent {
    /// The item is refused.
    #[default]
    Refuse,
    /// The end is [cut off](ExternalItem::cut_content), and counted.
    Cut,
}

/// The items of a file, line by line.
///
/// A line that is refused takes nothing away but itself. Blank lines are passed over, and so is a
/// byte order mark in front of the first one. No more is held than one line; a line over the limit
/// is refused and passed over without being held. After an error of the file there is nothing more.
///
/// ```
/// use graphfeed_core::protocol::ServiceRoot;
/// use graphfeed_core::types::Rule;
/// use graphfeed_crawl::{ItemLines, LineError, NdjsonSettings};
///
/// let file = r#"
/// {"id":"a/b","acl":[{"type":"everyone","value":"67a141d8-cf4e-4528-ba07-bed21bfacd2d","accessType":"grant"}],"properties":{"title":"Äpfel"}}
/// {"id":"c","acl":[],"properties":{"title":7.5},"contents":"c"}
/// "#;
/// let mut lines = ItemLines::new(file.as_bytes(), NdjsonSettings::new(ServiceRoot::v1()));
/// let first = lines.next().unwrap()?;
/// assert_eq!((first.line, &*first.key, first.item.id().as_str()), (2, "a/b", "x--eYS9i"));
///
/// let Some(Err(LineError::Refused(second))) = lines.next() else { panic!() };
/// let faults: Vec<_> = second.why.faults().iter().map(|fault| (fault.rule, &*fault.place)).collect();
/// assert_eq!((second.line, second.key.as_deref()), (3, Some("c")));
/// assert_eq!(faults, [(Rule::AclRequired, "$.acl"), (Rule::MemberUnknown, "$.contents")]);
/// assert!(lines.next().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ItemLines<R> {
    lines: Lines<R>,
    settings: NdjsonSettings,
    cut: u64,
    over: bool,
}

/// An item and where it comes from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ItemLine {
    /// The line, from 1.
    pub line: u64,
    /// The key in the source; the id where only the hash of a key is left.
    pub key: String,
    /// The item, with the id that follows from the key.
    pub item: ExternalItem,
    /// How many characters of its text were cut off.
    pub cut: usize,
}

impl<R: BufRead> ItemLines<R> {
    /// Reads items.
    pub fn new(from: R, settings: NdjsonSettings) -> Self {
        Self { lines: Lines::new(from, settings.longest_line), settings, cut: 0, over: false }
    }

    /// How many items had their text cut so far.
    pub fn cut_items(&self) -> u64 {
        self.cut
    }
}

impl<R: BufRead> Iterator for ItemLines<R> {
    type Item = Result<ItemLine, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let read = next_line(&mut self.lines, |line, text| {
            let reader = match &self.settings.schema {
                Some(schema) => ItemReader::with_schema(schema),
                None => ItemReader::default(),
            };
            let read = reader.read(text);
            let (key, root) = (read.key, &self.settings.root);
            let item = read.item.and_then(|mut item| match self.settings.long_content {
                LongContent::Refuse => item.check(root).map(|()| (item, 0)),
                LongContent::Cut => item.cut_content(root).map(|cut| (item, cut)),
            });
            match item {
                Ok((item, cut)) => {
                    self.cut += u64::from(cut > 0);
                    Ok(ItemLine { line, key: key.unwrap_or_default(), item, cut })
                }
                Err(why) => {
                    let item = RawJson::parse(text).ok();
                    let item = item.filter(|item| item.get().len() <= DeadLetter::LONGEST_ITEM);
                    Err(RefusedLine { line, key, item, why })
                }
            }
        });
        self.over = matches!(read, None | Some(Err(LineError::Io { .. })));
        read
    }
}

/// Why a line gave nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum LineError {
    /// What it says is refused; the next line may be read.
    Refused(RefusedLine),
    /// The file cannot be read any further.
    #[non_exhaustive]
    Io {
        /// The line that was being read.
        line: u64,
        /// Why not.
        source: io::Error,
    },
}

/// A line that was refused.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RefusedLine {
    /// The line, from 1.
    pub line: u64,
    /// The key in the source, if it could be read.
    pub key: Option<String>,
    /// What is in the line, where it is JSON and no longer than 7 MiB: a dead letter has it, to be
    /// mended.
    pub item: Option<RawJson>,
    /// Every fault, with its rule and its place in the line.
    pub why: BuildError,
}

impl fmt::Display for RefusedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::Io { line, source } => write!(f, "line {line}: cannot be read: {source}"),
        }
    }
}

// No `source`: the text tells it.
impl std::error::Error for LineError {}

/// Reads the next line that is not blank.
pub(crate) fn next_line<R: BufRead, T>(
    lines: &mut Lines<R>,
    read: impl FnOnce(u64, &str) -> Result<T, RefusedLine>,
) -> Option<Result<T, LineError>> {
    let longest = lines.longest();
    let (line, found) = lines.next();
    let fault = match found {
        Ok(None) => return None,
        Ok(Some(Line::Text(text))) => return Some(read(line, text).map_err(LineError::Refused)),
        Ok(Some(Line::TooLong)) => {
            let detail = format!("is longer than {longest} bytes; shorten it");
            Fault::new(Rule::LineSize, "$", detail)
        }
        Ok(Some(Line::NotUtf8)) => Fault::new(Rule::BodyJson, "$", "is no UTF-8; write it so"),
        Err(source) => return Some(Err(LineError::Io { line, source })),
    };
    Some(Err(LineError::Refused(RefusedLine { line, key: None, item: None, why: fault.into() })))
}

/// Writes an item as a line that [`ItemLines`] gives back equal, without a schema.
///
/// Not given back are members of a principal that this version does not know: they are written,
/// and refused when they are read.
///
/// ```
/// use graphfeed_core::external::{Acl, ExternalItem};
/// use graphfeed_core::types::{Guid, ItemId};
///
/// let item = ExternalItem::builder(ItemId::from_key("a/b"))
///     .acl(Acl::everyone(Guid::new("67a141d8-cf4e-4528-ba07-bed21bfacd2d")?))
///     .property("tags", ["x"])
///     .build()?;
/// let mut file = Vec::new();
/// graphfeed_crawl::write_item(&item, &mut file)?;
/// assert_eq!(
///     String::from_utf8(file)?,
///     concat!(
///         r#"{"id":"a/b","acl":[{"type":"everyone","value":"67a141d8-cf4e-4528-ba07-bed21bfacd2d","#,
///         r#""accessType":"grant"}],"#,
///         r#""properties":{"tags@odata.type":"Collection(String)","tags":["x"]}}"#, "\n",
///     ),
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When it cannot be written.
pub fn write_item(item: &ExternalItem, out: &mut impl Write) -> io::Result<()> {
    let mut line = serde_json::to_vec(item)?;
    line.push(b'\n');
    out.write_all(&line)
}
