//! Answers to `$batch`: one outcome for each part, by its own id and by nothing else.

use std::cell::OnceCell;

use bytes::Bytes;
use graphfeed_core::{
    external::{
        Acl, AddActivities, AddedActivities, DeleteItem, ExternalActivity, ExternalItem, GetItem,
        Identity, PutItem, StoredItem,
    },
    protocol::{Applied, Batch, Deleted, Endpoint, ServiceRoot},
    types::{ConnectionId, Guid, ItemId},
};
use http::Response;
use serde_json::Value;

use crate::{errors::head, json::unique};

/// Calls of each kind: put, add, delete, get.
const WRITES: [bool; 4] = [true, true, true, false];

/// What a call of any kind comes to.
#[derive(Debug)]
struct Nothing;

macro_rules! nothing_from {
    ($($Output:ty),*) => { $(impl From<$Output> for Nothing {
        fn from(_: $Output) -> Self { Self }
    })* };
}
nothing_from!(Option<StoredItem>, StoredItem, Deleted, AddedActivities);

thread_local! {
    static BATCH: OnceCell<Batch<Nothing>> = const { OnceCell::new() };
}

/// The first byte is the status of the whole. Then lines of headers up to an empty one, and the
/// body.
pub fn run(data: &[u8]) {
    let [status, rest @ ..] = data else { return };
    let (headers, body) = head(rest);
    const STATUSES: [u16; 6] = [200, 207, 424, 429, 400, 503];
    let status = STATUSES[usize::from(*status) % STATUSES.len()];
    let mut answer = Response::new(Bytes::copy_from_slice(body));
    *answer.status_mut() = http::StatusCode::from_u16(status).expect("a status");
    *answer.headers_mut() = headers;
    BATCH.with(|batch| judge(batch.get_or_init(batch_of_all), answer));
}

fn judge(batch: &Batch<Nothing>, answer: Response<Bytes>) {
    let (status, body) = (answer.status().as_u16(), answer.body().clone());
    let whole = batch.call().expect("a call").response(answer);
    let outcomes = batch.outcomes(whole);
    assert_eq!(outcomes.parts.len(), WRITES.len(), "one outcome for each part");
    let entries = match unique(&body) {
        Some(body) => body.get("responses").and_then(Value::as_array).cloned(),
        // A member that is there twice is judged by nobody here.
        None => return shown(outcomes.parts.iter().filter_map(|part| part.as_ref().err())),
    };
    for (index, outcome) in outcomes.parts.iter().enumerate() {
        let own: Vec<&Value> = entries.iter().flatten().filter(|it| is_of(it, index)).collect();
        match outcome {
            Ok(reply) => {
                let [own] = &own[..] else { panic!("part {index} has {} answers", own.len()) };
                assert!(matches!(status, 200 | 207 | 424), "the whole was refused");
                let text =
                    own["status"].as_str().map_or_else(|| own["status"].to_string(), str::to_owned);
                assert_eq!(text.parse(), Ok(reply.status.as_u16()));
            }
            Err(error) => {
                let read_by_status = matches!(status, 200 | 207 | 424) && entries.is_some();
                if read_by_status && own.len() != 1 {
                    // What is missing, or there twice, is unknown.
                    let expected = if WRITES[index] { Applied::Maybe } else { Applied::No };
                    assert_eq!(error.applied(), expected, "{error}");
                }
                if matches!(status, 429 | 400) {
                    assert_eq!(error.applied(), Applied::No, "{error}");
                }
                assert!(WRITES[index] || error.applied() == Applied::No, "{error}");
            }
        }
    }
    shown(outcomes.parts.iter().filter_map(|part| part.as_ref().err()));
    // Nothing that was said is lost.
    if matches!(status, 200 | 207)
        && let Some(entries) = entries
    {
        let told = outcomes
            .parts
            .iter()
            .filter(|part| part.as_ref().map_or_else(|error| error.status().is_some(), |_| true))
            .count();
        assert!(told + outcomes.strays.len() >= entries.len(), "{told} and {:?}", outcomes.strays);
    }
}

fn shown<'a>(errors: impl Iterator<Item = &'a graphfeed_core::protocol::Error>) {
    errors.for_each(|error| assert!(!error.to_string().is_empty()));
}

/// Whether an entry names this part; an id that has become a number is still one.
fn is_of(entry: &Value, index: usize) -> bool {
    let name = (index + 1).to_string();
    match entry.get("id") {
        Some(Value::String(id)) => *id == name,
        Some(Value::Number(id)) => id.to_string() == name,
        _ => false,
    }
}

fn batch_of_all() -> Batch<Nothing> {
    let root = &ServiceRoot::v1();
    let connection = &ConnectionId::new("contosohr").expect("an id");
    let id = &ItemId::new("T1").expect("an id");
    let item = ExternalItem::builder(id.clone()).acl(Acl::everyone(Guid::from(7)));
    let item = item.property("title", "t").build().expect("an item");
    let at = "2026-01-01T00:00:00Z".parse().expect("a date");
    let viewed = [ExternalActivity::viewed(at, Identity::user(1.into()))];
    let calls = [
        PutItem::new(connection, &item).call_into(root),
        AddActivities::new(connection, id, &viewed).call_into(root),
        DeleteItem::new(connection, id).call_into(root),
        GetItem::new(connection, id).call_into(root),
    ];
    let mut batch = Batch::new(root);
    for call in calls {
        batch.push(call.expect("a call")).expect("there is room");
    }
    batch
}
