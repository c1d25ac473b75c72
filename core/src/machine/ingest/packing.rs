//! Attempts that travel together.
//!
//! Lives here: how many attempts become few `$batch` requests, and how the answer to such a
//! request becomes one answer for each of them. To an [`Exchange`](crate::machine::Exchange) a batch is a
//! way to be sent like any other; what is done about an answer is decided there.

use bytes::Bytes;
use http::{HeaderName, StatusCode, header};

use crate::{
    machine::{Attempt, EventKind, Ticket},
    protocol::{
        Applied, Failure, PartAnswer, Route, ServiceError, ServiceRoot, WrittenBatch, applied_by,
        strays, take_apart,
    },
    types::Guid,
};

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");

/// A batch that is out, and whose attempts are in it, in their order.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) ticket: Ticket,
    /// What it is called on the way.
    pub(super) id: Guid,
    members: Vec<Ticket>,
    waiting: usize,
}

/// What the answer to a batch is for the attempts in it.
pub(super) enum Unpacked {
    /// Each has an answer of its own.
    Each(Vec<(Ticket, PartAnswer)>),
    /// It is about the whole, and about each as if it had been sent by itself: throttling, a
    /// token, a service that fails.
    All(Vec<Ticket>, http::Response<Bytes>),
    /// The service does not take the batch for what it is: too long, not allowed, not known.
    /// None of it was carried out, and each may do better by itself.
    Apart(Vec<Ticket>, http::Response<Bytes>),
}

/// Puts attempts into as few requests as they fit in. One that goes into no batch, or would be
/// alone in it, goes as it is, and so does one that has less time than the others.
pub(super) fn pack(
    root: &ServiceRoot,
    attempts: Vec<(&'static Route, Attempt)>,
    mut name: impl FnMut() -> (Ticket, Guid),
) -> Vec<(Attempt, Option<Packed>)> {
    let mut requests = Vec::new();
    let (mut written, mut members) = (WrittenBatch::new(root), Vec::new());
    let longest = attempts.iter().map(|(_, attempt)| attempt.timeout).max().unwrap_or_default();
    for (route, attempt) in attempts {
        // One that gave up before the others would still be on its way with them, and the next
        // call of its key could be overtaken by it.
        if attempt.timeout < longest {
            requests.push((attempt, None));
            continue;
        }
        let mut taken = written.push(route, &attempt.request);
        if let Ok(false) = taken {
            requests.extend(seal(&written, std::mem::take(&mut members), &mut name));
            written = WrittenBatch::new(root);
            taken = written.push(route, &attempt.request);
        }
        match taken {
            Ok(_) => members.push(attempt),
            // Whatever stands against it in a batch does not by itself.
            Err(_) => requests.push((attempt, None)),
        }
    }
    requests.extend(seal(&written, members, &mut name));
    requests
}

fn seal(
    written: &WrittenBatch,
    mut members: Vec<Attempt>,
    name: &mut impl FnMut() -> (Ticket, Guid),
) -> Vec<(Attempt, Option<Packed>)> {
    let request = if members.len() > 1 { written.request().ok() } else { None };
    let Some(mut request) = request else {
        return members.into_iter().map(|attempt| (attempt, None)).collect();
    };
    let (ticket, id) = name();
    let headers = request.headers_mut();
    // One token for all: they were given it at the same time.
    if let Some(token) = members[0].request.headers_mut().remove(header::AUTHORIZATION) {
        headers.insert(header::AUTHORIZATION, token);
    }
    headers.insert(CLIENT_REQUEST_ID, id.header());
    let whole = Attempt {
        ticket,
        request,
        timeout: members[0].timeout,
        deadline: members[0].deadline,
        new_connection: members.iter().any(|attempt| attempt.new_connection),
    };
    let members: Vec<Ticket> = members.iter().map(|attempt| attempt.ticket).collect();
    vec![(whole, Some(Packed { ticket, id, waiting: members.len(), members }))]
}

impl Packed {
    /// One of its attempts is no longer waited for, if it is of it; whether none is.
    pub(super) fn forget(&mut self, ticket: Ticket) -> bool {
        self.waiting -= usize::from(self.members.contains(&ticket));
        self.waiting == 0
    }

    /// Its attempts, in their order.
    pub(super) fn members(&self) -> &[Ticket] {
        &self.members
    }

    /// What the service says of it under this id, as far as it belongs to no attempt.
    pub(super) fn strays(&self, answer: &http::Response<Bytes>) -> Option<EventKind> {
        let strays = strays(self.members.len(), answer);
        (!strays.is_empty()).then_some(EventKind::Strays { strays })
    }

    pub(super) fn answered(self, answer: http::Response<Bytes>) -> Unpacked {
        if let Some(answers) = take_apart(self.members.len(), &answer) {
            return Unpacked::Each(self.members.into_iter().zip(answers).collect());
        }
        match answer.status() {
            // Something of it has failed, and what became of the rest is not said.
            StatusCode::FAILED_DEPENDENCY => {
                Unpacked::Each(self.each(&Failure::maybe_sent(ServiceError::read(answer))))
            }
            status if is_about_the_batch(status) => Unpacked::Apart(self.members, answer),
            _ => Unpacked::All(self.members, answer),
        }
    }

    /// The batch has no answer, or one that broke off, of which the status may say enough.
    pub(super) fn failed(self, failure: &Failure) -> Unpacked {
        match failure.partial() {
            Some(answer) if is_about_the_batch(answer.status()) => {
                Unpacked::Apart(self.members, answer.clone())
            }
            _ => Unpacked::Each(self.each(failure)),
        }
    }

    fn each(self, failure: &Failure) -> Vec<(Ticket, PartAnswer)> {
        let each = |ticket| (ticket, Err(failure.of_part()));
        self.members.into_iter().map(each).collect()
    }
}

/// Whether a status is refused to a batch for being one. One that leaves open what was done is none
/// of those, or what was done would be done again by itself.
fn is_about_the_batch(status: StatusCode) -> bool {
    let of_each = matches!(
        status,
        StatusCode::UNAUTHORIZED | StatusCode::FAILED_DEPENDENCY | StatusCode::TOO_MANY_REQUESTS
    );
    !of_each && applied_by(status) == Applied::No
}
