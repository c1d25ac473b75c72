//! The service as a state machine: a request and the time go in, an answer comes out.
//!
//! No clock, no thread, no socket. What each operation does is in the files of its resource.

mod activities;
mod authorize;
mod connections;
mod groups;
mod inspection;
mod items;
mod pages;
mod schema;
mod states;
mod tokens;

use std::{borrow::Cow, collections::VecDeque, time::Duration};

use authorize::Caller;
use bytes::Bytes;
use http::{Request, Response};

use crate::{
    answer::{Answer, RequestIds},
    date::Moment,
    delivery::{self, Delivery},
    early::Detector,
    faults::{Asked, Effect, End, Script},
    findings::{Finding, Findings, Refusal, Report},
    identity::{self, Endpoint, Platform, Refused},
    ids::Ids,
    incoming::{Arrival, Call},
    model::{Connection, Store},
    options::{Options, Versions},
    read::Reader,
    record::{Entry, Record},
    routes::{Action, Lane, Route},
    rules::Rule,
    target::{self, Version},
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
        self.now = self.now.max(now);
        for store in &mut self.stores {
            store.advance(self.now);
        }
        let moment = Moment::after(self.options.origin, self.now);
        let ids = RequestIds::new(self.ids.guid(), request.headers());
        let client = request.headers().get("client-request-id");
        let client = client.and_then(|id| id.to_str().ok());
        let to = To {
            endpoint: self.platform.as_ref().and_then(|_| identity::find(request)),
            route: arrival.route,
        };
        let user = self.user_of(arrival.token);
        let lane = || to.lane(request, &user);

        if self.detector.is_watching() {
            let name = || format!("{} {}", request.method(), request.uri().path());
            self.detector.arrives(self.now, client, lane().as_ref(), name);
        }
        let strike = self.strike(&to, request);
        let struck = strike.is_some();
        let delivery = match strike {
            None => Delivery::whole(self.respond(&to, request, arrival, &ids, moment)),
            Some(effect) => {
                let carried_out = effect
                    .is_carried_out()
                    .then(|| self.respond(&to, request, arrival, &ids, moment));
                let answer = match effect.end {
                    End::Status(status) => to.scripted(status, &effect, &ids, moment),
                    _ => carried_out.unwrap_or_default(),
                };
                Delivery::struck(&effect, answer, moment)
            }
        };
        if let Some(answer) = delivery.answer() {
            let what = (answer.status(), answer.headers());
            let times = (self.now, self.now.saturating_add(delivery.latency));
            self.detector.answers(times, moment, client, lane, what);
        }
        let status = delivery.answer().map(|answer| answer.status().as_u16());
        self.record.add(to.name(), status, || Entry {
            at: self.now,
            request: format!("{} {}", request.method(), request.uri().path()),
            client_request_id: client.map(str::to_owned),
            status,
            struck,
        });
        delivery
    }

    /// The answer to a request that no fault keeps from being carried out.
    fn respond(
        &mut self,
        to: &To,
        request: &Request<Bytes>,
        arrival: Arrival<'_>,
        ids: &RequestIds,
        moment: Moment,
    ) -> Response<Bytes> {
        if let (Some(endpoint), Some(platform)) = (to.endpoint, &mut self.platform) {
            let answer = platform.answer(endpoint, request, (self.now, moment), ids);
            return answer.finish(ids, moment);
        }
        let mut reports = Vec::new();
        let result = self.authorize(&arrival).and_then(|caller| {
            let call = arrival.call?;
            self.run(call, caller, moment, &mut reports)
        });
        self.report(request, reports);
        result.unwrap_or_else(|refusal| Answer::error(refusal, ids, moment)).finish(ids, moment)
    }

    /// On whose behalf a request comes, if tokens are checked. One without a token has been
    /// refused.
    fn authorize(&self, arrival: &Arrival<'_>) -> Result<Option<Caller>, Refusal> {
        match (&self.platform, arrival.token) {
            (Some(platform), Some(token)) => {
                platform.authorize(token, self.now, arrival.route).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The user of a token, as far as it is known.
    fn user_of(&self, token: Option<&str>) -> Cow<'static, str> {
        let known = self.platform.as_ref().zip(token).and_then(|(it, token)| it.tokens.find(token));
        known.and_then(|known| known.grant.user.clone()).map_or(Cow::Borrowed("me"), Cow::Owned)
    }

    /// What a fault does to a request, if one strikes it.
    fn strike(&mut self, to: &To, request: &Request<Bytes>) -> Option<Effect> {
        if self.script.is_empty() {
            return None;
        }
        let path = request.uri().path();
        let segments = target::segments(path);
        let connection = match &*segments {
            [first, second, id, ..] if first == "external" && second == "connections" => {
                self.connection(id)
            }
            _ => None,
        };
        let age = connection.map(|connection| self.now.saturating_sub(connection.created));
        let asked = Asked {
            method: request.method().as_str(),
            resource: to.name().map(|(_, resource)| resource),
            path: to.endpoint.is_none().then_some(path),
        };
        self.script.strike(asked, age)
    }

    fn run(
        &mut self,
        mut call: Call<'_>,
        caller: Option<Caller>,
        now: Moment,
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
            now,
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

/// Where a request goes.
struct To {
    endpoint: Option<&'static Endpoint>,
    route: Option<&'static Route>,
}

impl To {
    /// Method and resource.
    fn name(&self) -> Option<(&'static str, &'static str)> {
        match self.endpoint {
            Some(endpoint) => Some((endpoint.method, endpoint.resource)),
            None => self.route.map(|route| (route.method, route.resource)),
        }
    }

    fn lane(&self, request: &Request<Bytes>, user: &str) -> Option<Lane> {
        let segments = target::segments(request.uri().path());
        self.route?.lane(&segments.iter().map(|segment| &**segment).collect::<Vec<_>>(), user)
    }

    /// What a fault answers with a status of its own.
    fn scripted(
        &self,
        status: u16,
        effect: &Effect,
        ids: &RequestIds,
        now: Moment,
    ) -> Response<Bytes> {
        let status = delivery::status(status);
        let is_error = status.is_client_error() || status.is_server_error();
        let answer = if is_error && self.endpoint.is_some() {
            Refused::scripted(status, effect.code.as_deref()).into_answer(ids, now)
        } else if is_error {
            let mut refusal = Refusal::new(
                Rule::Fault,
                "request",
                "a fault is scripted in this emulator for this request, and it is answered so",
            );
            refusal.status = status;
            refusal.code.clone_from(&effect.code);
            Answer::error(refusal, ids, now)
        } else {
            Answer::empty(status)
        };
        answer.finish(ids, now)
    }
}

/// The URL of the metadata of what an answer holds.
fn context(call: &Call<'_>, what: &str) -> String {
    format!("{}/{}/$metadata#{what}", call.origin, call.version.name())
}
