//! What became of an attempt that was out: its lane learns from it, and its call ends, waits or
//! goes again.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::{
    End, Ingest, Out, Work,
    lane::{FAILURES_OF_AN_OUTAGE, Outage},
    packing::{Packed, Unpacked},
};
use crate::{
    machine::{Machine, Shared, Tick, Ticket, exchange::Stage, retry},
    protocol::{Call, Failure, retry_after},
};

impl<K: Ord + Clone, T> Ingest<K, T> {
    /// The batch that went out under this ticket, if one did.
    pub(super) fn batch(&mut self, ticket: Ticket) -> Option<Packed> {
        let at = self.batches.iter().position(|batch| batch.ticket == ticket)?;
        Some(self.batches.swap_remove(at))
    }

    /// Nothing goes before then in any lane of these attempts.
    pub(super) fn hold_up(&self, members: &[Ticket], until: Tick, shared: &mut Shared) {
        for ticket in members {
            let at = self.out.binary_search_by_key(&ticket.0, |out| out.ticket.0);
            let item = at.ok().and_then(|at| self.items[self.out[at].item].as_ref());
            if let Some((lane, key)) = item.and_then(|item| item.call.as_ref()).map(Call::lane) {
                shared.throttle(lane, key, until);
            }
        }
    }

    pub(super) fn unpack(&mut self, unpacked: Unpacked, now: Tick, shared: &mut Shared) {
        match unpacked {
            Unpacked::Each(answers) => {
                for (ticket, answer) in answers {
                    match answer {
                        Ok(response) => self.response(ticket, now, response, shared),
                        Err(failure) => self.failure(ticket, now, failure, shared),
                    }
                }
            }
            Unpacked::All(members, answer) => {
                for ticket in members {
                    self.response(ticket, now, answer.clone(), shared);
                }
            }
            Unpacked::Apart(members, answer) => {
                for ticket in members {
                    self.goes_alone(ticket, now, answer.clone(), shared);
                }
            }
        }
    }

    pub(super) fn response(
        &mut self,
        ticket: Ticket,
        now: Tick,
        response: http::Response<Bytes>,
        shared: &mut Shared,
    ) {
        let status = response.status();
        let Some(index) = self.answered(ticket, Some(status), now) else {
            return;
        };
        match is_failing(status) {
            true => self.out_of_order(index, retry_after(response.headers()), now, shared),
            false => self.in_order(index),
        }
        if let Work::Under(exchange) = &mut self.item(index).work {
            exchange.on_response(ticket, now, response, shared);
        }
        self.settle(index, now);
    }

    /// The service of this item's lane works.
    pub(super) fn in_order(&mut self, index: usize) {
        let lane = self.item(index).lane;
        self.lanes[lane].outage = Outage::default();
    }

    /// The service of this item's lane fails. If it says until when, or fails again and again, the
    /// lane waits, and then one call goes first; for what is thrown at a service that is down
    /// costs attempts and brings nothing. One that stays down for longer than a call has is not
    /// waited for: the failures of the calls tell it then.
    pub(super) fn out_of_order(
        &mut self,
        index: usize,
        told: Option<Duration>,
        now: Tick,
        shared: &mut Shared,
    ) {
        let lane = self.item(index).lane;
        let state = &mut self.lanes[lane];
        let Outage { failures, since } = &mut state.outage;
        *failures += 1;
        let since = *since.get_or_insert(now);
        let own = failures
            .checked_sub(FAILURES_OF_AN_OUTAGE)
            .map(|more| retry::backoff(more + 1, &self.policy, &mut self.random));
        if let Some(wait) = told.max(own)
            && now.since(since) < self.policy.total
        {
            shared.throttle(state.lane, &state.key, now + wait);
        }
    }

    pub(super) fn failure(
        &mut self,
        ticket: Ticket,
        now: Tick,
        failure: Failure,
        shared: &mut Shared,
    ) {
        let status = failure.partial().map(http::Response::status);
        let Some(index) = self.answered(ticket, status, now) else {
            return;
        };
        // What no repeat can cure is no outage.
        if !failure.is_permanent() && status.is_none_or(is_failing) {
            self.out_of_order(index, None, now, shared);
        }
        if let Work::Under(exchange) = &mut self.item(index).work {
            exchange.on_failure(ticket, now, failure, shared);
        }
        self.settle(index, now);
    }

    /// The request does not go out after all.
    pub(super) fn withdraw(&mut self, ticket: Ticket, now: Tick, shared: &mut Shared) {
        let tickets = match self.batch(ticket) {
            Some(batch) => batch.members().to_vec(),
            None => vec![ticket],
        };
        for ticket in tickets {
            let Some(index) = self.answered(ticket, None, now) else {
                continue;
            };
            self.tally.not_sent();
            let item = self.item(index);
            if let Work::Under(exchange) = &mut item.work {
                exchange.withdraw(ticket, now, shared);
                item.first_sent = item.first_sent.filter(|_| exchange.attempts() > 0);
            }
            self.settle(index, now);
        }
    }

    /// Its batch was refused for being one.
    pub(super) fn goes_alone(
        &mut self,
        ticket: Ticket,
        now: Tick,
        answer: http::Response<Bytes>,
        shared: &mut Shared,
    ) {
        let Some(index) = self.answered(ticket, None, now) else {
            return;
        };
        let item = self.item(index);
        item.alone = true;
        if let Work::Under(exchange) = &mut item.work {
            exchange.refused_with_others(ticket, now, answer, shared);
        }
        self.settle(index, now);
    }

    /// The attempt is over; its lane learns from it.
    pub(super) fn answered(
        &mut self,
        ticket: Ticket,
        status: Option<StatusCode>,
        now: Tick,
    ) -> Option<usize> {
        let at = self.out.binary_search_by_key(&ticket.0, |out| out.ticket.0).ok()?;
        let Out { item: index, sent_at, .. } = self.out.remove(at)?;
        let lane = self.item(index).lane;
        let pace = &mut self.lanes[lane].pace;
        let was_paused = pace.is_paused();
        match status {
            Some(StatusCode::TOO_MANY_REQUESTS) => {
                pace.refused(sent_at, now);
                self.tally.throttled();
            }
            Some(_) => {
                pace.accepted(sent_at, now);
                self.tally.answered(now);
            }
            None => pace.lost(),
        }
        if was_paused != pace.is_paused() {
            let paused = self.lanes.iter().any(|lane| lane.pace.is_paused());
            self.tally.paused(paused, now);
        }
        Some(index)
    }

    /// Puts an item where it belongs after something has happened to its exchange.
    pub(super) fn settle(&mut self, index: usize, now: Tick) {
        let item = self.items[index].as_mut().expect("an index is given up with its item");
        let lane = &mut self.lanes[item.lane];
        let Work::Under(exchange) = &mut item.work else {
            return;
        };
        match exchange.stage() {
            Stage::Out(until) => self.set_timer(index, Some(until)),
            Stage::Finished => {
                if let Some(result) = exchange.outcome() {
                    self.end(index, End::of(result), now);
                }
            }
            // What the gate of its lane holds back waits in line for it.
            Stage::Ready(at) if at > now && !(exchange.is_held() && lane.gated) => {
                self.set_timer(index, Some(at));
            }
            Stage::Ready(at) => {
                exchange.hold(at.min(now));
                lane.again.push_back(index);
                self.set_timer(index, None);
            }
        }
    }

    pub(super) fn timer_is_due(&mut self, index: usize, now: Tick, shared: &mut Shared) {
        self.set_timer(index, None);
        let Work::Under(exchange) = &mut self.item(index).work else {
            return;
        };
        let ticket = exchange.ticket();
        let lease = exchange.lease();
        exchange.expire(now, shared);
        if let Some(ticket) = ticket {
            self.answered(ticket, None, now);
            self.out_of_order(index, None, now, shared);
            // Whoever sends may never tell what became of a batch that nobody waits for.
            self.batches.retain_mut(|batch| !batch.forget(ticket));
        }
        if let Some(lease) = lease {
            self.leases.retain(|(known, _)| *known != lease);
        }
        self.settle(index, now);
    }
}

/// Whether an answer says that the service does not work, rather than what it thinks of the call.
fn is_failing(status: StatusCode) -> bool {
    status.is_server_error()
        && !matches!(status, StatusCode::NOT_IMPLEMENTED | StatusCode::INSUFFICIENT_STORAGE)
        || status == StatusCode::REQUEST_TIMEOUT
}
