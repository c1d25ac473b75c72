//! What the machines decide, told as plain data: no secret, no body.

use std::time::Duration;

use http::StatusCode;

use super::Tick;
use crate::{
    protocol::{GiveUp, Lane, Sent},
    types::{Guid, RawJson},
};

/// One decision about one call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// When.
    pub at: Tick,
    /// The call's `client-request-id`, the same for all its attempts.
    pub call: Guid,
    /// The operation, such as `Create or replace item`.
    pub operation: &'static str,
    /// What was decided.
    pub kind: EventKind,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// An attempt goes out.
    #[non_exhaustive]
    Attempt {
        /// Which one, from 1.
        number: u32,
    },
    /// An answer came.
    #[non_exhaustive]
    Answer {
        /// To which attempt.
        number: u32,
        /// With which status.
        status: StatusCode,
        /// Under which id of the service's.
        request_id: Option<String>,
        /// After how long.
        after: Duration,
    },
    /// No answer came.
    #[non_exhaustive]
    NoAnswer {
        /// To which attempt.
        number: u32,
        /// Whether it may have arrived.
        sent: Sent,
    },
    /// The call waits. Told once, however often it is polled meanwhile.
    #[non_exhaustive]
    Wait {
        /// Until when at most.
        until: Tick,
        /// What for.
        reason: WaitReason,
    },
    /// This call fetches a token for all.
    TokenWanted,
    /// The token came.
    TokenFetched,
    /// The token did not come. If an old one still lives, nothing else comes of it.
    TokenFailed,
    /// The service throttles a lane; its calls are held back.
    #[non_exhaustive]
    Throttled {
        /// Which lane.
        lane: Lane,
        /// Until when.
        until: Tick,
    },
    /// The answer to a batch says something that belongs to none of its parts: under an id that was
    /// not sent, under one twice, or in no readable shape. The call is the batch.
    #[non_exhaustive]
    Strays {
        /// What it says.
        strays: Vec<RawJson>,
    },
    /// The call gives up on repeating.
    #[non_exhaustive]
    GaveUp {
        /// Why.
        reason: GiveUp,
    },
    /// The call is over.
    #[non_exhaustive]
    Done {
        /// After how many attempts.
        attempts: u32,
        /// Whether it succeeded.
        success: bool,
    },
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitReason {
    /// For its first attempt, as a task asks to let some time pass between two calls.
    Interval,
    /// For the next attempt, as the service asked or as the policy spreads them.
    Repeat,
    /// For the throttling of its lane to end.
    Throttling,
    /// For the first call through a gate that has opened.
    First,
    /// For the token that another call fetches.
    Token,
}
