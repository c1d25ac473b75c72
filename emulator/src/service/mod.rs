//! The service as a state machine: a request and the time go in, an answer comes out.
//!
//! No clock, no thread, no socket. What each operation does is in the files of its resource.

mod activities;
mod connections;
mod items;

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use http::{Request, Response};

use crate::{
    answer::{Answer, RequestIds},
    date::Moment,
    findings::{Finding, Findings, Refusal, Report},
    ids::Ids,
    incoming::{Call, Version},
    model::{Connection, ConnectionState, Item, Store, UserActivity},
    options::{Options, Versions},
    routes::Action,
    rules::Rule,
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
    reports: VecDeque<Report>,
    now: Duration,
}

impl Service {
    /// A service without any resource.
    pub fn new(options: Options) -> Self {
        Self {
            ids: Ids::new(options.seed),
            options,
            stores: Default::default(),
            reports: VecDeque::new(),
            now: Duration::ZERO,
        }
    }

    /// Answers a request that arrives `now`, counted from [`Options::origin`].
    ///
    /// Everything is an answer, however bad the request. Time does not run backwards: an earlier
    /// `now` than that of the last request is taken as that.
    pub fn handle(&mut self, now: Duration, request: &Request<Bytes>) -> Response<Bytes> {
        let call = Call::read(request, &self.options.behaviour);
        self.answer(now, request, call)
    }

    /// Answers a request that has been read outside the lock.
    pub(crate) fn answer(
        &mut self,
        now: Duration,
        request: &Request<Bytes>,
        call: Result<Call<'_>, Refusal>,
    ) -> Response<Bytes> {
        self.now = self.now.max(now);
        for store in &mut self.stores {
            store.advance(self.now);
        }
        let moment = Moment::after(self.options.origin, self.now);
        let ids = RequestIds::new(self.ids.guid(), request.headers());
        let mut reports = Vec::new();
        let result = call.and_then(|call| self.run(call, moment, &mut reports));
        self.report(request, reports);
        result.unwrap_or_else(|refusal| Answer::error(refusal, &ids, moment)).finish(&ids, moment)
    }

    fn run(
        &mut self,
        mut call: Call<'_>,
        now: Moment,
        reports: &mut Vec<Finding>,
    ) -> Result<Answer, Refusal> {
        reports.append(&mut call.reports);
        let mut run = Run {
            options: &self.options,
            store: match (self.options.behaviour.versions, call.version) {
                (Versions::Separate, Version::Beta) => &mut self.stores[1],
                _ => &mut self.stores[0],
            },
            ids: &mut self.ids,
            since: self.now,
            now,
            reports,
        };
        match call.action {
            Action::CreateConnection => run.create_connection(&call),
            Action::ListConnections => Ok(run.list_connections(&call)),
            Action::GetConnection => run.get_connection(&call),
            Action::DeleteConnection => run.delete_connection(&call),
            Action::RegisterSchema => run.register_schema(&call),
            Action::GetSchema => run.get_schema(&call),
            Action::GetOperation => run.get_operation(&call),
            Action::PutItem => run.put_item(&call),
            Action::GetItem => run.get_item(&call),
            Action::DeleteItem => run.delete_item(&call),
            Action::AddActivities => run.add_activities(&call),
            Action::PutActivity => run.put_activity(&call),
            Action::ListActivities => run.list_activities(&call),
            Action::DeleteActivity => run.delete_activity(&call),
            Action::PutHistoryItem => run.put_history_item(&call),
            Action::DeleteHistoryItem => run.delete_history_item(&call),
        }
    }

    fn report(&mut self, request: &Request<Bytes>, faults: Vec<Finding>) {
        for Finding { rule, target, message } in faults {
            if self.reports.len() == REPORTS {
                self.reports.pop_front();
            }
            self.reports.push_back(Report {
                at: self.now,
                request: format!("{} {}", request.method(), request.uri().path()),
                rule,
                target,
                message,
            });
        }
    }

    /// What was let pass although a client had better not do it, oldest first. The last 10,000
    /// are kept.
    pub fn reports(&self) -> impl Iterator<Item = &Report> {
        self.reports.iter()
    }

    /// Takes the reports out, oldest first.
    pub fn take_reports(&mut self) -> Vec<Report> {
        self.reports.drain(..).collect()
    }

    /// The state of a connection at the time of the last request.
    pub fn connection_state(&self, connection: &str) -> Option<ConnectionState> {
        Some(self.connection(connection)?.state())
    }

    /// The items of a connection, by id.
    pub fn items(&self, connection: &str) -> impl Iterator<Item = &Item> {
        self.connection(connection).into_iter().flat_map(|connection| connection.items.values())
    }

    /// An item.
    pub fn item(&self, connection: &str, item: &str) -> Option<&Item> {
        self.connection(connection)?.items.get(item)
    }

    /// The user activities, oldest first.
    pub fn user_activities(&self) -> impl Iterator<Item = &UserActivity> {
        self.stores.iter().flat_map(|store| &store.activities)
    }

    /// Looks into the store of v1.0, and if the versions are separate into that of beta, too.
    fn connection(&self, id: &str) -> Option<&Connection> {
        self.stores.iter().find_map(|store| store.connections.get(id))
    }
}

/// One call at work: the state it works on and what it needs for it.
struct Run<'s> {
    options: &'s Options,
    store: &'s mut Store,
    ids: &'s mut Ids,
    /// The time since the origin, and as a date.
    since: Duration,
    now: Moment,
    reports: &'s mut Vec<Finding>,
}

impl Run<'_> {
    /// The connection that the path names.
    fn connection(&mut self, call: &Call<'_>) -> Result<&mut Connection, Refusal> {
        let id = call.arg(0);
        self.store.connections.get_mut(id).ok_or_else(|| {
            let message = format!("there is no connection {id:?}; create it first");
            Refusal::new(Rule::NotFound, "connection id", message)
        })
    }

    /// Hands over what a reader found: reports in any case, then the faults, if there are any.
    fn accept(&mut self, findings: Findings) -> Result<(), Refusal> {
        self.reports.extend(findings.reports);
        match findings.faults {
            faults if faults.is_empty() => Ok(()),
            faults => Err(Refusal::of(faults)),
        }
    }
}

/// The URL of the metadata of what an answer holds.
fn context(call: &Call<'_>, what: &str) -> String {
    format!("{}/{}/$metadata#{what}", call.origin, call.version.name())
}

fn item_not_found(connection: &str, item: &str) -> Refusal {
    Refusal::new(
        Rule::NotFound,
        "item id",
        format!("there is no item {item:?} in connection {connection:?}; put it first"),
    )
}
