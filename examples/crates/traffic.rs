//! What went over the wire: attempts, repeats and waits, as the client's observer hears of them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use graphfeed_core::{
    machine::{Event, EventKind, Tick, WaitReason},
    types::Guid,
};

/// Counts for all clients of a run; each hands its events over.
#[derive(Default)]
pub(crate) struct Traffic(Mutex<Counts>);

/// What was counted.
#[derive(Clone, Default)]
pub(crate) struct Counts {
    /// Requests to Microsoft Graph; those for tokens are not among them.
    pub(crate) attempts: u64,
    /// Attempts after the first of a call.
    pub(crate) repeats: u64,
    /// Answers that said to come back later.
    pub(crate) throttled: u64,
    /// The time that calls spent waiting for their next attempt, each for itself.
    pub(crate) waited: Duration,
    /// Since when a call waits.
    waiting: HashMap<Guid, Tick>,
}

impl Traffic {
    /// Hears of one decision.
    pub(crate) fn hear(&self, event: &Event) {
        let mut counts = self.counts();
        // A wait may end early, so what counts is when the call goes on.
        if let Some(since) = counts.waiting.remove(&event.call) {
            counts.waited += event.at.since(since);
        }
        match event.kind {
            EventKind::Attempt { number, .. } => {
                counts.attempts += 1;
                counts.repeats += u64::from(number > 1);
            }
            EventKind::Throttled { .. } => counts.throttled += 1,
            EventKind::Wait {
                reason: WaitReason::Repeat | WaitReason::Throttling | WaitReason::First,
                ..
            } => {
                counts.waiting.insert(event.call, event.at);
            }
            _ => {}
        }
    }

    /// What was counted so far.
    pub(crate) fn so_far(&self) -> Counts {
        self.counts().clone()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, sync::Arc};

    use bytes::Bytes;
    use graphfeed_core::{
        client::{Client, SendOptions, VirtualClock},
        external::{AwaitSchema, GetConnection},
        protocol::ServiceRoot,
        types::{AccessToken, ConnectionId, OperationId},
    };

    use super::*;

    #[test]
    fn attempts_repeats_and_waits_are_those_of_the_client() {
        let answers = RefCell::new(vec![(429, "1.5"), (503, "2"), (200, "0"), (200, "0")]);
        let transport = |_: http::Request<Bytes>, _: &SendOptions| {
            let (status, wait) = answers.borrow_mut().remove(0);
            let answer = http::Response::builder().status(status).header("Retry-After", wait);
            Ok(answer.body(Bytes::from_static(b"{}")).unwrap())
        };
        let traffic = Arc::new(Traffic::default());
        let heard = Arc::clone(&traffic);
        let token = AccessToken::new("any").unwrap();
        let client = Client::builder(ServiceRoot::v1(), token)
            .observer(move |event| heard.hear(event))
            .build(transport, VirtualClock::default());
        for _ in 0..2 {
            client.send(&GetConnection::new(&ConnectionId::new("contoso").unwrap())).unwrap();
        }
        let counts = traffic.so_far();
        assert_eq!((counts.attempts, counts.repeats, counts.throttled), (4, 2, 1));
        assert_eq!(counts.waited, Duration::from_millis(3500));
        assert!(counts.waiting.is_empty());
    }

    #[test]
    fn asking_how_far_something_is_is_no_waiting_for_an_attempt() {
        let answers = RefCell::new(vec![(200, "completed"), (503, ""), (200, "inprogress")]);
        let transport = |_: http::Request<Bytes>, _: &SendOptions| {
            let (code, status) = answers.borrow_mut().pop().unwrap();
            let answer = http::Response::builder().status(code).header("Retry-After", "2");
            Ok(answer.body(format!(r#"{{"id":"1","status":"{status}"}}"#).into()).unwrap())
        };
        let traffic = Arc::new(Traffic::default());
        let heard = Arc::clone(&traffic);
        let client = Client::builder(ServiceRoot::v1(), AccessToken::new("any").unwrap())
            .observer(move |event| heard.hear(event))
            .build(transport, VirtualClock::default());
        let (connection, operation) = (ConnectionId::new("contoso"), OperationId::new("1"));
        client.run(&AwaitSchema::new(connection.unwrap(), operation.unwrap())).unwrap();
        let counts = traffic.so_far();
        assert_eq!((counts.attempts, counts.repeats), (3, 1));
        assert_eq!(counts.waited, Duration::from_secs(2));
    }
}
