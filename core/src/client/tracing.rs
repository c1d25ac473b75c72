//! The machines' decisions as `tracing` events. Each carries the call's id and operation, so that
//! the lines of one call can be told from those of another.

use tracing::{debug, info, warn};

use crate::machine::{Event, EventKind};

const TARGET: &str = "graphfeed";

pub(super) fn emit(event: &Event) {
    let (call, operation) = (event.call, event.operation);
    match &event.kind {
        EventKind::Attempt { number } => {
            debug!(target: TARGET, %call, operation, number, "attempt");
        }
        EventKind::Answer { number, status, request_id, after } => debug!(
            target: TARGET, %call, operation, number, status = status.as_u16(), request_id,
            after_ms = after.as_millis() as u64, "answer",
        ),
        EventKind::NoAnswer { number, sent } => {
            warn!(target: TARGET, %call, operation, number, ?sent, "no answer");
        }
        EventKind::Wait { until, reason } => {
            let wait_ms = until.since(event.at).as_millis() as u64;
            debug!(target: TARGET, %call, operation, wait_ms, ?reason, "wait");
        }
        EventKind::TokenWanted => debug!(target: TARGET, %call, operation, "token wanted"),
        EventKind::TokenFetched => debug!(target: TARGET, %call, operation, "token fetched"),
        EventKind::TokenFailed => warn!(target: TARGET, %call, operation, "token failed"),
        EventKind::Throttled { lane, until } => {
            let wait_ms = until.since(event.at).as_millis() as u64;
            warn!(target: TARGET, %call, operation, ?lane, wait_ms, "throttled");
        }
        EventKind::GaveUp { reason } => {
            warn!(target: TARGET, %call, operation, ?reason, "gave up");
        }
        EventKind::Done { attempts, success } => {
            info!(target: TARGET, %call, operation, attempts, success, "done");
        }
    }
}
