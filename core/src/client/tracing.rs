//! The machines' decisions as `tracing` spans and events: a span for each call, with its id and
//! operation, and an event for each decision in it.

use std::collections::BTreeMap;

use tracing::{Span, debug, info, info_span, warn};

use crate::{
    machine::{Event, EventKind},
    types::Guid,
};

const TARGET: &str = "graphfeed";

/// The spans of the calls that a driver is at.
#[derive(Debug, Default)]
pub(super) struct Spans(BTreeMap<Guid, Span>);

impl Spans {
    pub(super) fn emit(&mut self, event: &Event) {
        let (call, operation) = (event.call, event.operation);
        let span = || info_span!(target: TARGET, "call", %call, operation);
        let span = self.0.entry(call).or_insert_with(span);
        span.in_scope(|| tell(event));
        if matches!(event.kind, EventKind::Done { .. }) {
            self.0.remove(&call);
        }
    }
}

fn tell(event: &Event) {
    match &event.kind {
        EventKind::Attempt { number } => debug!(target: TARGET, number, "attempt"),
        EventKind::Answer { number, status, request_id, after } => {
            let (status, after_ms) = (status.as_u16(), after.as_millis() as u64);
            debug!(target: TARGET, number, status, request_id, after_ms, "answer");
        }
        EventKind::NoAnswer { number, sent } => {
            warn!(target: TARGET, number, ?sent, "no answer");
        }
        EventKind::Wait { until, reason } => {
            let wait_ms = until.since(event.at).as_millis() as u64;
            debug!(target: TARGET, wait_ms, ?reason, "wait");
        }
        EventKind::TokenWanted => debug!(target: TARGET, "token wanted"),
        EventKind::TokenFetched => debug!(target: TARGET, "token fetched"),
        EventKind::TokenFailed => warn!(target: TARGET, "token failed"),
        EventKind::Throttled { lane, until } => {
            let wait_ms = until.since(event.at).as_millis() as u64;
            warn!(target: TARGET, ?lane, wait_ms, "throttled");
        }
        EventKind::Strays { strays } => {
            warn!(target: TARGET, count = strays.len(), "what belongs to no part");
        }
        EventKind::GaveUp { reason } => warn!(target: TARGET, ?reason, "gave up"),
        EventKind::Done { attempts, success } => {
            info!(target: TARGET, attempts, success, "done");
        }
    }
}
