//! What a program can see of the service and set in it, besides asking over HTTP.

use super::Service;
use crate::{
    early::EarlyCall,
    faults::Fault,
    findings::Report,
    latency::Latency,
    model::{ConnectionState, Group, Item, UserActivity},
    record::{Count, Entry},
    throttle::{Limit, Throttle, Traffic},
};

impl Service {
    /// What was let pass although a client had better not do it, oldest first. The last 10,000
    /// are kept.
    pub fn reports(&self) -> impl Iterator<Item = &Report> {
        self.reports.iter()
    }

    /// How many reports there ever were.
    pub fn report_count(&self) -> u64 {
        self.reported
    }

    /// Takes the reports out, oldest first.
    pub fn take_reports(&mut self) -> Vec<Report> {
        self.reports.drain(..).collect()
    }

    /// Scripts a fault, behind those that are there.
    pub fn fault(&mut self, fault: Fault) {
        self.script.arm(fault);
    }

    /// The faults that are scripted, in their order, each with how often it has struck.
    pub fn faults(&self) -> impl Iterator<Item = (&Fault, u64)> {
        self.script.faults()
    }

    /// Takes all faults away.
    pub fn clear_faults(&mut self) {
        self.script.clear();
    }

    /// The requests that came before the time an answer had told, oldest first. The last 10,000
    /// are kept.
    pub fn early_calls(&self) -> impl Iterator<Item = &EarlyCall> {
        self.detector.found()
    }

    /// How many early calls there ever were.
    pub fn early_count(&self) -> u64 {
        self.detector.count()
    }

    /// Has these limits and no others. They begin as if nobody had asked for anything so far.
    pub fn set_limits(&mut self, limits: Vec<Limit>) {
        self.throttle = Throttle::new(limits);
    }

    /// The limits, and what each has done so far.
    pub fn limits(&self) -> impl Iterator<Item = (&Limit, Traffic)> {
        self.throttle.limits()
    }

    /// From now on answers take so long. None: no time.
    pub fn set_latency(&mut self, latency: Option<Latency>) {
        self.latencies.latency = latency;
    }

    /// How often what was asked for, and how it was answered.
    pub fn counts(&self) -> impl Iterator<Item = Count> {
        self.record.counts()
    }

    /// The last requests, oldest first: as many as
    /// [`Options::journal`](crate::Options::journal) says.
    pub fn journal(&self) -> impl Iterator<Item = &Entry> {
        self.record.journal()
    }

    /// The ids of all connections.
    pub fn connection_ids(&self) -> impl Iterator<Item = &str> {
        self.stores.iter().flat_map(|store| store.connections.keys()).map(String::as_str)
    }

    /// The state of a connection at the time of the last request.
    pub fn connection_state(&self, connection: &str) -> Option<ConnectionState> {
        Some(self.connection(connection)?.state(self.options.behaviour.item_quota))
    }

    /// Gives a connection a state. [`Obsolete`](ConnectionState::Obsolete) and
    /// [`LimitExceeded`](ConnectionState::LimitExceeded) stay until it is given another; with the
    /// others it has again the one that its schema and items make. False: there is none of this
    /// id.
    pub fn set_connection_state(&mut self, connection: &str, state: ConnectionState) -> bool {
        let stays = matches!(state, ConnectionState::Obsolete | ConnectionState::LimitExceeded);
        let mut stores = self.stores.iter_mut();
        let found = stores.find_map(|store| store.connections.get_mut(connection));
        found.map(|found| found.given = stays.then_some(state)).is_some()
    }

    /// The items of a connection, by id.
    pub fn items(&self, connection: &str) -> impl Iterator<Item = &Item> {
        self.connection(connection).into_iter().flat_map(|connection| connection.items.values())
    }

    /// An item.
    pub fn item(&self, connection: &str, item: &str) -> Option<&Item> {
        self.connection(connection)?.items.get(item)
    }

    /// The external groups of a connection with their members, by id.
    pub fn groups(&self, connection: &str) -> impl Iterator<Item = &Group> {
        self.connection(connection).into_iter().flat_map(|connection| connection.groups.values())
    }

    /// The user activities, oldest first.
    pub fn user_activities(&self) -> impl Iterator<Item = &UserActivity> {
        self.stores.iter().flat_map(|store| &store.activities)
    }
}
