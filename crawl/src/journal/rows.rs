//! How a journal is laid out in its store.

use graphfeed_core::types::ItemId;
use redb::{Database, TableDefinition};

use super::{Digest, JournalErrorKind, State};

type Kept<'a> = (u64, &'a [u8]);

/// By key.
pub(super) const ITEMS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("items");
/// By key and activity: whether it is certain.
pub(super) const ACTIVITIES: TableDefinition<'static, (&str, &[u8; 32]), bool> =
    TableDefinition::new("activities");
/// By key and activity: the run, and what was kept of it. They are few, so they have a table that
/// is looked through.
pub(super) const INTENTS: TableDefinition<'static, (&str, &[u8; 32]), Kept<'static>> =
    TableDefinition::new("intents");
/// By run and chunk: which numbers the run has seen.
pub(super) const MARKS: TableDefinition<'static, (u64, u64), &[u8]> = TableDefinition::new("marks");
/// Numbers by name: there are none before the first run.
pub(super) const NUMBERS: TableDefinition<'static, &str, u64> = TableDefinition::new("numbers");
/// Under no name, the watermark.
pub(super) const WATERMARK: TableDefinition<'static, (), &[u8]> = TableDefinition::new("watermark");

/// The last run that was begun.
pub(super) const RUN: &str = "run";
/// The last run that was complete.
pub(super) const COMPLETE: &str = "complete";
/// The number that the next new key gets.
pub(super) const NEXT: &str = "next";

/// Makes the tables, so that a journal without them is a damaged one.
pub(super) fn lay_out(store: &Database) -> Result<(), JournalErrorKind> {
    let mut write = store.begin_write()?;
    write.set_two_phase_commit(true);
    write.open_table(ITEMS)?;
    write.open_table(ACTIVITIES)?;
    write.open_table(INTENTS)?;
    write.open_table(MARKS)?;
    write.open_table(WATERMARK)?;
    let mut numbers = write.open_table(NUMBERS)?;
    for name in [RUN, COMPLETE, NEXT] {
        numbers.insert(name, 0)?;
    }
    drop(numbers);
    write.commit()?;
    Ok(())
}

/// What is kept of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Names the key in the marks. It is never given to another one.
    pub(super) number: u64,
    /// The run that changed it last.
    pub(super) run: u64,
    pub(super) state: State,
    pub(super) hash: Option<Digest>,
    /// Where it is not the one that follows from the key.
    pub(super) id: Option<ItemId>,
}

const HAS_HASH: u8 = 0x80;
const FIXED: usize = 1 + 8 + 8;

impl Row {
    /// State and whether there is a hash, number, run, the hash, the id.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let state = match self.state {
            State::Stored => 0,
            State::Failed => 1,
            State::Uncertain => 2,
            State::Leaving => 3,
        };
        let mut bytes = vec![state | if self.hash.is_some() { HAS_HASH } else { 0 }];
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.run.to_le_bytes());
        bytes.extend(self.hash.iter().flat_map(Digest::as_bytes));
        bytes.extend(self.id.iter().flat_map(|id| id.as_str().as_bytes()));
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let state = match bytes.first()? & !HAS_HASH {
            0 => State::Stored,
            1 => State::Failed,
            2 => State::Uncertain,
            3 => State::Leaving,
            _ => return None,
        };
        let mut rest = bytes.get(FIXED..)?;
        let mut hash = None;
        if bytes[0] & HAS_HASH != 0 {
            let (digest, after) = rest.split_first_chunk()?;
            (hash, rest) = (Some(Digest::from_bytes(*digest)), after);
        }
        let id = match rest {
            [] => None,
            text => Some(ItemId::existing(std::str::from_utf8(text).ok()?).ok()?),
        };
        Some(Self { number: number(1)?, run: number(9)?, state, hash, id })
    }
}
