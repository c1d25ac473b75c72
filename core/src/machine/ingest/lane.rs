//! One lane of a run: who waits in it, how fast it goes, and how long its service has been failing.

use std::collections::VecDeque;

use super::pace::Pace;
use crate::{machine::Tick, protocol::Lane};

#[derive(Debug)]
pub(super) struct LaneState {
    pub(super) lane: Lane,
    pub(super) key: Box<str>,
    pub(super) pace: Pace,
    pub(super) outage: Outage,
    // Those that have gone out before go first.
    pub(super) again: VecDeque<usize>,
    pub(super) fresh: VecDeque<usize>,
    // A lane of calls that stand for themselves has no gate.
    pub(super) gated: bool,
}

/// How long the service of a lane has been failing.
#[derive(Debug, Default)]
pub(super) struct Outage {
    // In a row.
    pub(super) failures: u32,
    pub(super) since: Option<Tick>,
}

/// So many failures in a row are no longer those of single calls.
pub(super) const FAILURES_OF_AN_OUTAGE: u32 = 5;

impl LaneState {
    pub(super) fn new(lane: Lane, key: &str, in_flight: usize) -> Self {
        Self {
            lane,
            key: key.into(),
            pace: Pace::new(in_flight),
            outage: Outage::default(),
            again: VecDeque::new(),
            fresh: VecDeque::new(),
            gated: lane != Lane::None,
        }
    }
}
