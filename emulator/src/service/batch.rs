//! Batches: each request of one is a request like any other, and answers for itself.
//!
//! Sources: the pages on JSON batching and on throttling; the known issues for dependencies.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Response, StatusCode, header};

use super::{Service, visit::Visit};
use crate::{
    answer::Answer,
    check::shown,
    date::Moment,
    delivery::{Delivery, Outcome, RETRY_AFTER_MS},
    early,
    faults::End,
    findings::{Refusal, by_switch},
    incoming::Arrival,
    options::{BatchIdCase, BatchOrder, BatchThrottled},
    read::Part,
    rules::Rule,
    write::Object,
};

/// A request of a batch at work.
struct Work<'b> {
    part: &'b Part,
    visit: Visit<'b>,
    /// Until it is carried out.
    arrival: Option<Arrival<'b>>,
    /// When it is.
    delivery: Option<Delivery>,
}

impl Work<'_> {
    fn has_succeeded(&self) -> bool {
        let answer = self.delivery.as_ref().and_then(Delivery::answer);
        answer.is_some_and(|answer| answer.status().is_success())
    }

    /// When its answer is there.
    fn end(&self) -> Duration {
        self.delivery.as_ref().map_or(Duration::ZERO, |delivery| delivery.latency)
    }
}

impl Service {
    /// Carries out a batch. It takes as long as its slowest request, where one that depends on
    /// others begins after them; what it does has happened at once, all the same.
    pub(super) fn batch(
        &mut self,
        visit: &mut Visit<'_>,
        parts: &[Part],
    ) -> Result<Answer, Refusal> {
        // All are here before one is answered: none could have waited for another's answer.
        let mut all: Vec<Work<'_>> = Vec::with_capacity(parts.len());
        for part in parts {
            let arrival = Arrival::read(&part.request, &self.options.behaviour);
            let visit = self.arrive(&part.request, &arrival);
            all.push(Work { part, visit, arrival: Some(arrival), delivery: None });
        }
        let mut order = self.order(parts.len());
        while let Some(next) = order.iter().position(|index| is_ready(&all, *index)) {
            let index = order.remove(next);
            let begin = all[index].part.depends_on.iter().map(|on| all[*on].end()).max();
            let failed = all[index].part.depends_on.iter().find(|on| !all[**on].has_succeeded());
            let failed = failed.map(|on| &*all[*on].part.id);
            let work = &mut all[index];
            let mut delivery = match (failed, work.arrival.take()) {
                (None, Some(arrival)) => self.serve(&mut work.visit, arrival),
                (failed, _) => failed_dependency(&work.visit, failed.unwrap_or_default()),
            };
            delivery.latency = delivery.latency.saturating_add(begin.unwrap_or_default());
            if let Outcome::Hang(bound) = delivery.outcome {
                delivery.latency = delivery.latency.saturating_add(bound);
            }
            work.delivery = Some(delivery);
        }
        let slowest = all.iter().map(Work::end).max().unwrap_or_default();
        visit.latency = visit.latency.saturating_add(slowest);
        // Where the answer of the batch is lost, nobody has been told anything.
        let is_heard = matches!(visit.struck, None | Some(End::Pass));
        for Work { visit: part, delivery, .. } in &all {
            let Some(delivery) = delivery else { continue };
            if is_heard {
                self.tell(part, delivery, visit.latency);
            }
            self.note(part, delivery);
        }
        let mut answers = Vec::with_capacity(all.len());
        for index in self.order(all.len()) {
            // One that would have been lost on its own is missing here.
            if let Some(delivery) = all[index].delivery.take()
                && !matches!(delivery.outcome, Outcome::Reset)
            {
                answers.push((self.id_of(all[index].part), delivery.into_response()));
            }
        }
        self.throttled_as_a_whole(&answers, parts.len(), visit.moment)?;
        match visit.struck {
            Some(End::NoResponses) => answers.clear(),
            Some(End::UnknownId) => {
                if let Some((id, _)) = answers.last_mut() {
                    *id = self.shuffle.guid();
                }
            }
            _ => {}
        }
        Ok(Answer::object(StatusCode::OK, |body| body.objects("responses", answers, write_answer)))
    }

    /// The numbers from zero up to a count, in the order that the switch says.
    fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        if self.options.behaviour.batch_order == BatchOrder::Any {
            for last in (1..count).rev() {
                let other = (self.shuffle.fraction() * (last + 1) as f64) as usize;
                order.swap(last, other);
            }
        }
        order
    }

    fn id_of(&self, part: &Part) -> String {
        match self.options.behaviour.batch_id_case {
            BatchIdCase::AsSent => part.id.clone(),
            BatchIdCase::Lower => part.id.to_lowercase(),
            BatchIdCase::Upper => part.id.to_uppercase(),
        }
    }

    /// Refuses a batch of which every request is throttled, if the switch says so.
    fn throttled_as_a_whole(
        &self,
        answers: &[(String, Response<Bytes>)],
        count: usize,
        now: Moment,
    ) -> Result<(), Refusal> {
        let status = match self.options.behaviour.batch_throttled {
            BatchThrottled::Each => return Ok(()),
            BatchThrottled::FailedDependency => StatusCode::FAILED_DEPENDENCY,
            BatchThrottled::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        };
        let is_throttled = |(_, answer): &(String, Response<Bytes>)| {
            answer.status() == StatusCode::TOO_MANY_REQUESTS
        };
        if answers.len() < count || !answers.iter().all(is_throttled) {
            return Ok(());
        }
        let message = by_switch("every request of the batch is throttled", "batch-throttled");
        let mut refusal = Refusal::new(Rule::Throttled, "$.requests", message);
        refusal.status = status;
        let longest = answers
            .iter()
            .map(|(_, answer)| answer.headers())
            .max_by_key(|headers| early::wait(headers, now));
        for name in [header::RETRY_AFTER, RETRY_AFTER_MS] {
            let value = longest.and_then(|headers| headers.get(&name)?.to_str().ok());
            if let Some(value) = value {
                refusal = refusal.with(name, value);
            }
        }
        Err(refusal)
    }
}

/// Whether all that a request depends on has been carried out.
fn is_ready(all: &[Work<'_>], index: usize) -> bool {
    all[index].part.depends_on.iter().all(|on| all[*on].delivery.is_some())
}

fn failed_dependency(visit: &Visit<'_>, on: &str) -> Delivery {
    let message = format!("request {} has not succeeded, and this one depends on it", shown(on));
    let refusal = Refusal::new(Rule::FailedDependency, "dependsOn", message);
    let answer = Answer::error(refusal, &visit.ids, visit.moment);
    Delivery::whole(Duration::ZERO, answer.finish(&visit.ids, visit.moment))
}

/// Writes what one request is answered. A body that is no JSON is base64, as the page on JSON
/// batching says; where there is none, there is no member.
fn write_answer(object: &mut Object<'_>, (id, answer): (String, Response<Bytes>)) {
    object.text("id", &id);
    object.raw("status", answer.status().as_str());
    object.object("headers", |headers| {
        for name in answer.headers().keys() {
            // An object has each member once.
            let values = answer.headers().get_all(name).iter();
            let values: Vec<_> =
                values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            headers.text(&spelled(name.as_str()), &values.join(","));
        }
    });
    let body = answer.body();
    let content_type = answer.headers().get(header::CONTENT_TYPE);
    let is_json = content_type.is_some_and(|it| it.as_bytes().starts_with(b"application/json"));
    match std::str::from_utf8(body) {
        Ok("") => {}
        Ok(json) if is_json => object.raw("body", json),
        _ => object.text("body", &STANDARD.encode(body)),
    }
}

/// A name of a header with the capital letters of the examples: `Content-Type`.
fn spelled(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}
