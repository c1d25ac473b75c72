//! The service as a state machine: a request and the time go in, an answer comes out.
//!
//! No clock, no thread, no socket. What each operation does is in the files of its resource.

mod activities;
mod authorize;
mod batch;
mod connections;
mod groups;
mod inspection;
mod items;
mod pages;
mod saved;
mod schema;
mod states;
mod tokens;
mod visit;

use std::{collections::VecDeque, time::Duration};

use authorize::Caller;
use bytes::Bytes;
use http::{Request, Response};
pub use saved::RestoreError;
use visit::Visit;

use crate::{
    answer::Answer,
    date::Moment,
    delivery::Delivery,
    early::Detector,
    faults::Script,
    findings::{Finding, Findings, Refusal, Report},
    identity::Platform,
    ids::Ids,
    incoming::{Arrival, Call},
    latency::Latencies,
    model::{Connection, Store},
    options::{Options, Versions},
    read::Reader,
    record::Record,
    routes::Action,
    target::Version,
    throttle::Throttle,
};

/// How many reports are kept; when there are more, the oldest go.
const REPORTS: usize = 10_000;

/// The emulated service.
///
/// ```
/// use std::time::Duration;
/// use bytes::Bytes;
/// use graphfeed_emulator::{Options, Service};
///
/// let mut service = Service::new(Options::default());
/// let request = http::Request::post("http://localhost/v1.0/external/connections")
///     .header("authorization", "Bearer any")
///     .header("content-type", "application/json")
///     .body(Bytes::from(r#"{"id":"contosohr","name":"Contoso HR"}"#))?;
/// assert_eq!(service.handle(Duration::ZERO, &request).status(), 201);
/// assert_eq!(service.handle(Duration::ZERO, &request).status(), 409);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Debug)]
pub struct Service {
    options: Options,
    ids: Ids,
    /// One for each version, of which only the first is used if they share.
    stores: [Store; 2],
    /// Tokens and who has them. None: any token is good.
    platform: Option<Platform>,
    script: Script,
    throttle: Throttle,
    latencies: Latencies,
    /// What orders the requests of a batch and their answers.
    shuffle: Ids,
    detector: Detector,
    record: Record,
    reports: VecDeque<Report>,
    reported: u64,
    now: Duration,
}

impl Service {
    /// A service without any resource.
    pub fn new(options: Options) -> Self {
        let mut script = Script::new(options.seed);
        options.faults.iter().for_each(|fault| script.arm(fault.clone()));
        Self {
            ids: Ids::new(options.seed),
            platform: options.authorization.clone().map(|it| Platform::new(it, options.seed)),
            script,
            throttle: Throttle::new(options.limits.clone()),
            latencies: Latencies::new(options.latency, options.seed),
            shuffle: Ids::new(options.seed ^ 0x0062_6174_6368),
            detector: Detector::new(options.early_calls),
            record: Record::new(options.journal),
            options,
            stores: Default::default(),
            reports: VecDeque::new(),
            reported: 0,
            now: Duration::ZERO,
        }
    }

    /// Forgets everything, as if it had just been made; only the time stays.
    pub fn reset(&mut self) {
        *self = Self { now: self.now, ..Self::new(self.options.clone()) };
    }

    /// Answers a request that arrives `now`, counted from [`Options::origin`].
    ///
    /// Everything is an answer, however bad the request; where a fault leaves none, it is that of
    /// [`Delivery::into_response`], and no time passes. Time does not run backwards: an earlier
    /// `now` than that of the last request is taken as that.
    pub fn handle(&mut self, now: Duration, request: &Request<Bytes>) -> Response<Bytes> {
        self.deliver(now, request).into_response()
    }

    /// Like [`handle`](Self::handle), and says when the answer comes and what is left of it.
    pub fn deliver(&mut self, now: Duration, request: &Request<Bytes>) -> Delivery {
        let arrival = Arrival::read(request, &self.options.behaviour);
        self.receive(now, request, arrival)
    }

    /// Like [`deliver`](Self::deliver), for a request that has been read outside the lock.
    pub(crate) fn receive(
        &mut self,
        now: Duration,
        request: &Request<Bytes>,
        arrival: Arrival<'_>,
    ) -> Delivery {
        self.advance(now);
        let mut visit = self.arrive(request, &arrival);
        let delivery = self.serve(&mut visit, arrival);
        self.depart(&visit, &delivery);
        delivery
    }

    /// Time does not run backwards.
    fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
        for store in &mut self.stores {
            store.advance(self.now);
        }
    }

    fn run(
        &mut self,
        visit: &mut Visit<'_>,
        mut call: Call<'_>,
        caller: Option<Caller>,
        reports: &mut Vec<Finding>,
    ) -> Result<Answer, Refusal> {
        reports.append(&mut call.reports);
        let mut run = Run {
            options: &self.options,
            caller,
            store: match (self.options.behaviour.versions, call.version) {
                (Versions::Separate, Version::Beta) => &mut self.stores[1],
                _ => &mut self.stores[0],
            },
            ids: &mut self.ids,
            since: self.now,
            now: visit.moment,
            reports,
        };
        match call.action {
            Action::CreateConnection => run.create_connection(&call),
            Action::ListConnections => run.list_connections(&call),
            Action::GetConnection => run.get_connection(&call),
            Action::UpdateConnection => run.update_connection(&call),
            Action::DeleteConnection => run.delete_connection(&call),
            Action::GetQuota => run.get_quota(&call),
            Action::RegisterSchema => run.register_schema(&call),
            Action::GetSchema => run.get_schema(&call),
            Action::GetOperation => run.get_operation(&call),
            Action::PutItem => run.put_item(&call),
            Action::GetItem => run.get_item(&call),
            Action::UpdateItem => run.update_item(&call),
            Action::DeleteItem => run.delete_item(&call),
            Action::AddActivities => run.add_activities(&call),
            Action::CreateGroup => run.create_group(&call),
            Action::GetGroup => run.get_group(&call),
            Action::UpdateGroup => run.update_group(&call),
            Action::DeleteGroup => run.delete_group(&call),
            Action::AddMember => run.add_member(&call),
            Action::RemoveMember => run.remove_member(&call),
            Action::PutActivity => run.put_activity(&call),
            Action::ListActivities => run.list_activities(&call),
            Action::RecentActivities => run.recent_activities(&call),
            Action::DeleteActivity => run.delete_activity(&call),
            Action::PutHistoryItem => run.put_history_item(&call),
            Action::DeleteHistoryItem => run.delete_history_item(&call),
            Action::Batch => self.batch(visit, &call.parts),
        }
    }

    fn report(&mut self, request: &Request<Bytes>, faults: Vec<Finding>) {
        for Finding { rule, target, message } in faults {
            if self.reports.len() == REPORTS {
                self.reports.pop_front();
            }
            self.reported += 1;
            self.reports.push_back(Report {
                at: self.now,
                request: format!("{} {}", request.method(), request.uri().path()),
                rule,
                target,
                message,
            });
        }
    }

    /// Looks into the store of v1.0, and if the versions are separate into that of beta, too.
    fn connection(&self, id: &str) -> Option<&Connection> {
        self.stores.iter().find_map(|store| store.connections.get(id))
    }
}

/// One call at work: the state it works on and what it needs for it.
struct Run<'s> {
    options: &'s Options,
    /// None: tokens are not checked.
    caller: Option<Caller>,
    store: &'s mut Store,
    ids: &'s mut Ids,
    /// The time since the origin, and as a date.
    since: Duration,
    now: Moment,
    reports: &'s mut Vec<Finding>,
}

impl<'s> Run<'s> {
    fn reader(&self, call: &Call<'_>) -> Reader<'s> {
        Reader::new(call.version, &self.options.behaviour)
    }

    fn reaches(&self, connection: &Connection) -> bool {
        self.caller.as_ref().is_none_or(|caller| caller.reaches(connection))
    }

    /// Hands over what a reader found: reports in any case, then the faults, if there are any.
    fn accept(&mut self, findings: Findings) -> Result<(), Refusal> {
        self.reports.extend(findings.reports);
        match findings.faults {
            faults if faults.is_empty() => Ok(()),
            faults => Err(Refusal::of(faults)),
        }
    }

    /// Hands over what a reader found, and gives what it read: with no fault, it has read it.
    fn accepted<T>(&mut self, read: Option<T>, findings: Findings) -> Result<T, Refusal> {
        self.accept(findings)?;
        read.ok_or_else(|| Refusal::of(Vec::new()))
    }
}

/// The URL of the metadata of what an answer holds.
fn context(call: &Call<'_>, what: &str) -> String {
    format!("{}/{}/$metadata#{what}", call.origin, call.version.name())
}
