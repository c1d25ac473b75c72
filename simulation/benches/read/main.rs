//! What it costs to read an answer, against a struct that serde derives.
//!
//! `cargo bench -p graphfeed-simulation --bench read` prints a table, and fails if a row is missed.
//! This side goes from the response as it arrived to the outcome of the call, the other one from
//! the bytes to the struct. What they end with is freed behind the measured time.

mod derived;
#[path = "../item/mod.rs"]
mod item;

use std::{hint::black_box, process::ExitCode, time::Instant};

use bytes::Bytes;
use derived::{ActivityResult, AnyProperties, Envelope, Item, Page, TheseProperties, UserActivity};
use graphfeed_core::{
    activity::ListActivities,
    external::{AddActivities, ExternalActivity, GetItem, Identity, PutItem},
    protocol::{Batch, Call, Endpoint, ServiceRoot},
    types::{ConnectionId, Guid, ItemId, Timestamp},
};
use graphfeed_simulation::{
    CONNECTIONS,
    table::{Spread, Table, interleave},
};
use http::{Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const ROUNDS: usize = 1_001;
const READS: usize = 10;
/// What an answer may take, against a struct that holds the same.
const MOST: f64 = 1.10;
/// What the others may, of which this crate keeps more than the other side. They miss the target; a
/// little above what they take is a ceiling, so that they do not grow unseen.
const MOST_OF_THESE_PROPERTIES: f64 = 1.20;
const MOST_OF_THESE_PROPERTIES_ALONE: f64 = 1.25;
const MOST_OF_ACTIVITIES: f64 = 2.60;
const MOST_OF_AN_ERROR: f64 = 1.30;
const MOST_OF_A_BATCH: f64 = 1.90;

/// What the service says, with the headers that it says it with.
fn response(status: StatusCode, body: &Bytes) -> Response<Bytes> {
    let mut response = Response::new(body.clone());
    *response.status_mut() = status;
    for (name, value) in [
        ("content-type", "application/json; odata.metadata=minimal; charset=utf-8"),
        ("date", "Tue, 06 Apr 2021 18:04:31 GMT"),
        ("request-id", "5e0a9f5c-7f63-4f0a-9d8e-1f2d3c4b5a69"),
        ("client-request-id", "5e0a9f5c-7f63-4f0a-9d8e-1f2d3c4b5a69"),
    ] {
        response.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    response
}

/// Nanoseconds for each of these, which are freed later.
fn time<I, T>(given: Vec<I>, mut read: impl FnMut(I) -> T) -> f64 {
    let count = given.len();
    let mut outcomes = Vec::with_capacity(count);
    let began = Instant::now();
    for each in given {
        outcomes.push(read(black_box(each)));
    }
    let took = began.elapsed();
    drop(black_box(outcomes));
    took.as_nanos() as f64 / count as f64
}

/// Nanoseconds of this side and of the other, round by round.
type Times = [Vec<f64>; 2];

fn against<T, F>(
    status: u16,
    body: &Bytes,
    mut read: impl FnMut(Response<Bytes>) -> T,
    mut floor: impl FnMut(&[u8]) -> F,
) -> Times {
    let status = StatusCode::from_u16(status).expect("a status");
    let mut answers = || time((0..READS).map(|_| response(status, body)).collect(), &mut read);
    let mut bodies = || time(vec![&body[..]; READS], &mut floor);
    interleave(ROUNDS, [&mut answers, &mut bodies])
}

fn floor<T: DeserializeOwned>(body: &[u8]) -> T {
    serde_json::from_slice(body).expect("it is read")
}

/// The item as it is answered with.
fn stored(body: &[u8]) -> String {
    let written = std::str::from_utf8(body).expect("JSON");
    let context =
        "https://graph.microsoft.com/v1.0/$metadata#connections('contosohr')/items/$entity";
    format!(r#"{{"@odata.context":"{context}","id":"TSP228082938",{}"#, &written[1..])
}

fn item_answer() -> Bytes {
    stored(&serde_json::to_vec(&item::Annotated::new()).expect("JSON")).into()
}

fn small_answer() -> Bytes {
    let mut item = serde_json::to_string(&item::Annotated::new()).expect("JSON");
    item.truncate(item.find(r#","content""#).expect("it is last"));
    item.push('}');
    stored(item.as_bytes()).into()
}

fn activities() -> Vec<ExternalActivity> {
    let at = |minute: i64| Timestamp::from_unix_milliseconds(1_617_732_271_033 + minute * 60_000);
    (0..20)
        .map(|minute| {
            ExternalActivity::viewed(at(minute).expect("a date"), Identity::user(Guid::from(7)))
        })
        .collect()
}

/// One of twenty was refused.
fn partly_added(sent: &[ExternalActivity]) -> Bytes {
    let refused = json!({
        "code": "InvalidRequest", "message": "The user is not known.", "target": "performedBy",
        "innerError": {"code": "UserNotFound", "message": "No user has this id."},
    });
    let result = |(at, activity): (usize, &ExternalActivity)| {
        json!({
            "@odata.type": "#microsoft.graph.externalConnectors.externalActivityResult",
            "type": activity.kind().as_str(),
            "startDateTime": activity.start().to_string(),
            "performedBy": {"type": "user", "id": activity.performed_by().id()},
            "error": if at == 7 { refused.clone() } else { Value::Null },
        })
    };
    let results: Vec<_> = sent.iter().enumerate().map(result).collect();
    json!({"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#Collection(r)", "value": results})
        .to_string()
        .into()
}

fn refusal() -> Bytes {
    let id = "5e0a9f5c-7f63-4f0a-9d8e-1f2d3c4b5a69";
    json!({"error": {
        "code": "InvalidRequest",
        "message": "The request is malformed or incorrect.",
        "innerError": {
            "code": "SchemaMismatch",
            "message": "The property 'priority' is no int64.",
            "date": "2021-04-06T18:04:31",
            "request-id": id,
            "client-request-id": id,
        },
    }})
    .to_string()
    .into()
}

fn page() -> Bytes {
    let activity = |number: usize| {
        json!({
            "id": format!("132{number:08}"),
            "appActivityId": format!("/article?{number}"),
            "activitySourceHost": "https://www.contoso.com",
            "activationUrl": format!("https://www.contoso.com/article?id={number}"),
            "appDisplayName": "Contoso, Ltd.",
            "contentUrl": "https://www.contoso.com/article",
            "fallbackUrl": "https://www.contoso.com",
            "userTimezone": "Africa/Casablanca",
            "visualElements": {
                "displayText": "Contoso How-To: How to Tie a Reef Knot",
                "description": "How to Tie a Reef Knot. A step-by-step visual guide.",
                "backgroundColor": "#ff0000",
            },
            "createdDateTime": "2021-04-06T18:04:31.033Z",
            "lastModifiedDateTime": "2021-04-06T18:04:31.033Z",
            "expirationDateTime": "2021-05-06T18:04:31.033Z",
            "status": "updated",
        })
    };
    json!({
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#activities",
        "@odata.nextLink": "https://graph.microsoft.com/v1.0/me/activities?$skiptoken=abc",
        "value": (0..20).map(activity).collect::<Vec<_>>(),
    })
    .to_string()
    .into()
}

fn batch_answer(parts: usize) -> Bytes {
    let item = small_answer();
    let item = std::str::from_utf8(&item).expect("JSON");
    let part = |at: usize| {
        format!(
            r#"{{"id":"{}","status":200,"headers":{{"Content-Type":"application/json"}},"body":{item}}}"#,
            at + 1
        )
    };
    let parts: Vec<_> = (0..parts).map(part).collect();
    format!(r#"{{"responses":[{}]}}"#, parts.join(",")).into()
}

fn main() -> ExitCode {
    let root = ServiceRoot::v1();
    let connection = ConnectionId::new(CONNECTIONS[0]).expect("an id");
    let id = ItemId::new("TSP228082938").expect("an id");
    let get = GetItem::new(&connection, &id).call(&root).expect("a call");

    println!(
        "Ratios to serde_json::from_slice into a derived struct. Median of {ROUNDS} rounds of \
         {READS}\n(and between which half of them lie).\n"
    );
    let mut table = Table::begin("read an answer");
    let mut row = |what: &str, most: f64, body: &Bytes, [read, floor]: Times| {
        let what = format!("{what}, {} bytes", body.len());
        table.at_most(&what, most, Spread::of_ratios(&read, &floor));
        for (what, times) in [("  in ns", read), ("  the derived struct, in ns", floor)] {
            table.note(what, &Spread::of(times).to_string());
        }
    };

    let body = item_answer();
    let read = |answer| get.response(answer).expect("it is read");
    row("an item", MOST, &body, against(200, &body, read, floor::<Item<AnyProperties>>));
    row(
        "  for these properties only",
        MOST_OF_THESE_PROPERTIES,
        &body,
        against(200, &body, read, floor::<Item<TheseProperties>>),
    );

    let body = small_answer();
    row(
        "an item without its text",
        MOST,
        &body,
        against(200, &body, read, floor::<Item<AnyProperties>>),
    );
    row(
        "  for these properties only",
        MOST_OF_THESE_PROPERTIES_ALONE,
        &body,
        against(200, &body, read, floor::<Item<TheseProperties>>),
    );

    let sent = activities();
    let body = partly_added(&sent);
    let add = AddActivities::new(&connection, &id, &sent).call(&root).expect("a call");
    let read = |answer| add.response(answer).expect("it is read");
    row(
        "20 activities, one refused (207)",
        MOST_OF_ACTIVITIES,
        &body,
        against(207, &body, read, floor::<Page<ActivityResult>>),
    );

    let body = refusal();
    let read = |answer| get.response(answer).expect_err("it is refused");
    row(
        "an error with its cause (400)",
        MOST_OF_AN_ERROR,
        &body,
        against(400, &body, read, floor::<Envelope>),
    );

    let body = page();
    let list = ListActivities::new().call(&root).expect("a call");
    let read = |answer| list.response(answer).expect("it is read");
    row(
        "a page of 20 activities",
        MOST,
        &body,
        against(200, &body, read, floor::<Page<UserActivity>>),
    );

    let mut batch = Batch::new(&root);
    let item = item::item("TSP228082938").expect("an item");
    for _ in 0..20 {
        let put = PutItem::new(&connection, &item).call(&root).expect("a call");
        batch.push(put).expect("there is room");
    }
    let whole: Call<_> = batch.call().expect("a call");
    let body = batch_answer(20);
    let read = |answer| batch.outcomes(whole.response(answer));
    assert!(read(response(StatusCode::OK, &body)).parts.iter().all(Result::is_ok));
    row(
        "a batch with 20 items without text",
        MOST_OF_A_BATCH,
        &body,
        against(200, &body, read, floor::<derived::Batch>),
    );
    table.end()
}
