//! What goes out next: which lane, which of its calls, alone or with others; and what does not go
//! out any more when the run ends.

use std::collections::BTreeSet;

use super::{
    End, Ingest, IngestStep, Out, Packing, SkipReason, Work, lane::LaneState, packing::pack,
};
use crate::{
    machine::{Attempt, Exchange, Machine, Shared, Step, Tick},
    protocol::{Call, Reply},
    types::Guid,
};

impl<K: Ord + Clone, T> Ingest<K, T> {
    /// Sends what may go next, if anything may; `until` is when to look again.
    pub(super) fn send(
        &mut self,
        now: Tick,
        shared: &mut Shared,
        until: &mut Option<Tick>,
    ) -> Option<IngestStep<K, T>> {
        for _ in 0..self.lanes.len() {
            self.turn = (self.turn + 1) % self.lanes.len();
            let lane = self.turn;
            let most = self.may_go(lane, now, until);
            let mut together = Vec::new();
            while together.len() < most
                && let Some(index) = self.next_in(lane, together.is_empty())
            {
                match self.begin(index, now, shared) {
                    Step::Send(attempt) => {
                        self.tally.sent();
                        let ticket = attempt.ticket;
                        self.out.push_back(Out { ticket, item: index, sent_at: now });
                        self.item(index).first_sent.get_or_insert(now);
                        self.settle(index, now);
                        if most == 1 {
                            self.lanes[lane].pace.sent(1, now);
                            return Some(IngestStep::Send(attempt));
                        }
                        together.push((index, attempt));
                        if self.item(index).alone {
                            break;
                        }
                    }
                    Step::Token(need) => {
                        self.leases.push((need.lease, index));
                        self.settle(index, now);
                        self.steps.push_back(IngestStep::Token(need));
                        break;
                    }
                    Step::Wait(at) => {
                        self.lanes[lane].again.push_front(index);
                        sooner(until, at);
                        break;
                    }
                    Step::Done(result) => {
                        self.end(index, End::of(result), now);
                        break;
                    }
                }
            }
            if !together.is_empty() {
                self.lanes[lane].pace.sent(together.len(), now);
                self.pack(together, shared);
            }
            if !self.steps.is_empty() || !self.over.is_empty() {
                return self.steps.pop_front();
            }
        }
        None
    }

    /// How many calls of a lane may go now, and at the same time.
    pub(super) fn may_go(&mut self, lane: usize, now: Tick, until: &mut Option<Tick>) -> usize {
        let free = self.settings.in_flight.max(1).saturating_sub(self.out.len());
        let state = &mut self.lanes[lane];
        let nobody = state.again.is_empty() && state.fresh.is_empty();
        if free == 0 || nobody || !state.pace.has_room() {
            return 0;
        }
        if let Some(at) = state.pace.not_before(now) {
            sooner(until, at);
            return 0;
        }
        match self.settings.packing {
            Packing::Singles => 1,
            Packing::Batches => {
                free.min(state.pace.together()).min(self.root.limits().batch.max(1))
            }
        }
    }

    /// Takes the next one out of its lane. What goes alone is taken only where it is the first.
    pub(super) fn next_in(&mut self, lane: usize, first: bool) -> Option<usize> {
        let LaneState { again, fresh, .. } = &mut self.lanes[lane];
        let line = if again.is_empty() { fresh } else { again };
        let index = *line.front()?;
        let alone = self.items[index].as_ref().is_some_and(|item| item.alone);
        (first || !alone).then(|| line.pop_front()).flatten()
    }

    /// Makes requests of attempts that go at the same time.
    pub(super) fn pack(&mut self, together: Vec<(usize, Attempt)>, shared: &mut Shared) {
        let route = |index: usize| self.items[index].as_ref()?.call.as_ref().map(Call::route);
        let routed = together.into_iter().filter_map(|(index, it)| Some((route(index)?, it)));
        let random = &mut self.random;
        let name = || (shared.ticket(), Guid::from_random_bytes(random.bytes()));
        for (attempt, packed) in pack(&self.root, routed.collect(), name) {
            self.steps.push_back(IngestStep::Send(attempt));
            self.batches.extend(packed);
        }
    }

    /// Polls the exchange of an item, which is made when it is first wanted.
    pub(super) fn begin(&mut self, index: usize, now: Tick, shared: &mut Shared) -> Step<Reply<T>> {
        let item = self.items[index].as_mut().expect("an index is given up with its item");
        if let (Work::Offered(_), Some(call)) = (&item.work, &item.call) {
            let seed = self.random.next();
            let exchange = Exchange::new(call.clone(), &self.policy, seed, now).patient(now);
            item.work = Work::Under(exchange);
        }
        match &mut item.work {
            Work::Under(exchange) => exchange.poll(now, shared),
            Work::Offered(_) | Work::Over(_) => Step::Wait(Tick::MAX),
        }
    }

    /// Whatever is not out comes to its end.
    pub(super) fn halt(&mut self, now: Tick, shared: &mut Shared) {
        // What is out has a timer, and what comes back from there may want to go again.
        let nothing = self.lanes.iter().all(|lane| lane.again.is_empty() && lane.fresh.is_empty())
            && self.leases.is_empty()
            && self.timers.len() == self.out.len();
        if nothing {
            return;
        }
        let mut waiting = Vec::new();
        for lane in &mut self.lanes {
            waiting.extend(lane.again.drain(..));
            waiting.extend(lane.fresh.drain(..));
        }
        waiting.extend(self.leases.drain(..).map(|(_, index)| index));
        let out: BTreeSet<usize> = self.out.iter().map(|out| out.item).collect();
        waiting.extend(self.timers.iter().map(|(_, index)| *index).filter(|it| !out.contains(it)));
        for index in waiting {
            let item = self.item(index);
            let end = match &mut item.work {
                Work::Over(_) => continue,
                Work::Offered(_) => End::Skipped(SkipReason::RunEnded),
                Work::Under(exchange) if exchange.attempts() == 0 => {
                    exchange.abandon(shared);
                    End::Skipped(SkipReason::RunEnded)
                }
                Work::Under(exchange) => {
                    exchange.stop_repeating(now, shared);
                    match exchange.outcome() {
                        Some(result) => End::of(result),
                        None => continue,
                    }
                }
            };
            self.end(index, end, now);
        }
    }
}

fn sooner(until: &mut Option<Tick>, at: Tick) {
    *until = Some(until.map_or(at, |until| until.min(at)));
}
