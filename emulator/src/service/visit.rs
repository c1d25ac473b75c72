//! One request from its arrival to its departure: whether it is early, struck by a fault or over a
//! limit, how long it takes, and what is remembered of it.

use std::{borrow::Cow, cell::OnceCell, time::Duration};

use bytes::Bytes;
use http::{Request, Response};

use super::{Service, authorize::Caller};
use crate::{
    answer::{Answer, RequestIds},
    date::Moment,
    delivery::{self, Delivery},
    faults::{Asked, Effect, End},
    findings::Refusal,
    identity::{self, Endpoint, Refused},
    incoming::Arrival,
    record::Entry,
    routes::{Action, Lane, Route},
    rules::Rule,
    target,
    throttle::{Asking, Full},
};

/// A request that is here, and what became of it so far.
pub(super) struct Visit<'r> {
    request: &'r Request<Bytes>,
    pub(super) moment: Moment,
    pub(super) ids: RequestIds,
    /// Its `client-request-id`, if it has one.
    client: Option<&'r str>,
    to: To,
    user: Cow<'static, str>,
    lane: OnceCell<Option<Lane>>,
    /// How long its answer takes.
    pub(super) latency: Duration,
    /// What a fault does to it, if one has struck it.
    pub(super) struck: Option<End>,
}

impl Visit<'_> {
    /// It is only looked for if somebody has to know.
    fn lane(&self) -> &Option<Lane> {
        self.lane.get_or_init(|| self.to.lane(self.request, &self.user))
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            method: self.request.method().as_str(),
            resource: self.to.name().map(|(_, resource)| resource),
            path: self.to.endpoint.is_none().then_some(self.request.uri().path()),
        }
    }

    /// Method and path.
    fn name(&self) -> String {
        format!("{} {}", self.request.method(), self.request.uri().path())
    }
}

impl Service {
    /// A request comes.
    pub(super) fn arrive<'r>(
        &mut self,
        request: &'r Request<Bytes>,
        arrival: &Arrival<'_>,
    ) -> Visit<'r> {
        let client = request.headers().get("client-request-id");
        let visit = Visit {
            request,
            moment: Moment::after(self.options.origin, self.now),
            ids: RequestIds::new(self.ids.guid(), request.headers()),
            client: client.and_then(|id| id.to_str().ok()),
            to: To {
                endpoint: self.platform.as_ref().and_then(|_| identity::find(request)),
                route: arrival.route,
            },
            user: self.user_of(arrival.token),
            lane: OnceCell::new(),
            latency: Duration::ZERO,
            struck: None,
        };
        if self.detector.is_watching() {
            let lane = visit.lane().as_ref();
            self.detector.arrives(self.now, visit.client, lane, || visit.name());
        }
        visit
    }

    /// What becomes of it.
    pub(super) fn serve(&mut self, visit: &mut Visit<'_>, arrival: Arrival<'_>) -> Delivery {
        // A batch takes the time of its requests.
        if arrival.call.as_ref().map_or(true, |call| call.action != Action::Batch) {
            visit.latency = self.latencies.next();
        }
        let Some(effect) = self.strike(visit) else {
            let answer = self.respond(visit, arrival);
            return Delivery::whole(visit.latency, answer);
        };
        visit.latency = visit.latency.saturating_add(effect.latency);
        visit.struck = Some(effect.end.clone());
        let carried_out = effect.is_carried_out().then(|| self.respond(visit, arrival));
        let answer = match effect.end {
            End::Status(status) => visit.to.scripted(status, &effect, &visit.ids, visit.moment),
            _ => carried_out.unwrap_or_default(),
        };
        Delivery::struck(&effect, visit.latency, answer, visit.moment)
    }

    /// It goes, with its answer or without.
    pub(super) fn depart(&mut self, visit: &Visit<'_>, delivery: &Delivery) {
        self.tell(visit, delivery, delivery.latency);
        self.note(visit, delivery);
    }

    /// The client hears, so much later, when to come back.
    pub(super) fn tell(&mut self, visit: &Visit<'_>, delivery: &Delivery, latency: Duration) {
        if let Some(answer) = delivery.answer() {
            let what = (answer.status(), answer.headers());
            let times = (self.now, self.now.saturating_add(latency));
            let lane = || visit.lane().clone();
            self.detector.answers(times, visit.moment, visit.client, lane, what);
        }
    }

    /// It is counted and written down.
    pub(super) fn note(&mut self, visit: &Visit<'_>, delivery: &Delivery) {
        let status = delivery.answer().map(|answer| answer.status().as_u16());
        self.record.add(visit.to.name(), status, || Entry {
            at: self.now,
            request: visit.name(),
            client_request_id: visit.client.map(str::to_owned),
            status,
            struck: visit.struck.is_some(),
        });
    }

    /// The answer to a request that no fault keeps from being carried out.
    fn respond(&mut self, visit: &mut Visit<'_>, arrival: Arrival<'_>) -> Response<Bytes> {
        let moment = visit.moment;
        if let (Some(endpoint), Some(platform)) = (visit.to.endpoint, &mut self.platform) {
            let times = (self.now, moment);
            let answer = platform.answer(endpoint, visit.request, times, &visit.ids);
            return answer.finish(&visit.ids, moment);
        }
        let mut reports = Vec::new();
        let result = self.authorize(&arrival).and_then(|caller| {
            self.admit(visit, caller.as_ref())?;
            self.run(visit, arrival.call?, caller, &mut reports)
        });
        self.report(visit.request, reports);
        let answer = result.unwrap_or_else(|refusal| Answer::error(refusal, &visit.ids, moment));
        answer.finish(&visit.ids, moment)
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
    fn strike(&mut self, visit: &Visit<'_>) -> Option<Effect> {
        if self.script.is_empty() {
            return None;
        }
        let segments = target::segments(visit.request.uri().path());
        let connection = match &*segments {
            [first, second, id, ..] if first == "external" && second == "connections" => {
                self.connection(id)
            }
            _ => None,
        };
        let age = connection.map(|connection| visit.moment.since(connection.created));
        self.script.strike(visit.asked(), age)
    }

    /// Whether the limits let a request through. A batch is none of those that are counted.
    fn admit(&mut self, visit: &Visit<'_>, caller: Option<&Caller>) -> Result<(), Refusal> {
        let is_counted = |route: &Route| route.action != Action::Batch;
        if self.throttle.is_empty() || !visit.to.route.is_some_and(is_counted) {
            return Ok(());
        }
        let asking = Asking {
            asked: visit.asked(),
            application: caller.map_or("", |caller| &caller.client_id),
            lane: visit.lane(),
            latency: visit.latency,
        };
        self.throttle.admit(self.now, asking).map_err(|Full { limit, wait }| {
            let seconds = wait.as_secs_f64();
            let message =
                format!("the limit `{limit}` has no room for another {seconds} s; come back then");
            let mut refusal = Refusal::new(Rule::Throttled, "request", message);
            let headers = limit.retry_after.iter().map(|each| each.header(wait, visit.moment));
            refusal.headers.extend(headers);
            refusal
        })
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
