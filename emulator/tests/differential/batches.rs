//! Batches: what the core writes as one comes to what each call alone comes to, and what anybody
//! may write in the place of one is answered for each request once or refused.

use std::{collections::BTreeMap, fmt};

use graphfeed_core::{
    activity::{PutActivity, UserActivity, VisualInfo},
    client::{Client, VirtualClock},
    external::{
        Acl, AddActivities, ConnectionUpdate, CreateConnection, CreateGroup, DeleteConnection,
        DeleteItem, ExternalActivity, ExternalActivityType, ExternalConnection, ExternalGroup,
        ExternalItem, GetConnection, GetItem, GetSchema, Identity, ListConnections, PropertyType,
        PutItem, RegisterSchema, Schema, SchemaProperty, UpdateConnection,
    },
    machine::Batches,
    protocol::{Batch, Call, Endpoint, Error, NotTaken, Reply, ServiceRoot},
    types::{AccessToken, AppActivityId, BuildError, ConnectionId, ExternalGroupId, Guid, ItemId},
};
use graphfeed_emulator::BatchOrder;
use http::StatusCode;
use serde_json::Value;

use crate::{
    meant::{response, send},
    support::{Answer, Bench, USER},
    text::{Dice, Text, disturb, object, string, token, wounded},
    verdict::of_emulator,
};

/// What any call answers with, as text.
pub(crate) struct Said(String);

impl<T: fmt::Debug> From<T> for Said {
    fn from(value: T) -> Self {
        Self(format!("{value:?}"))
    }
}

/// Where requests of a batch are carried out one after the other, as the twin's are.
fn twin() -> Bench {
    Bench::ready_with(|behaviour| {
        crate::strict(behaviour);
        behaviour.batch_order = BatchOrder::AsSent;
    })
}

fn guid() -> Guid {
    Guid::new(USER).unwrap()
}

/// Any call: one that succeeds, one that the service refuses, or one that the core does.
fn call(root: &ServiceRoot, dice: &Dice<'_>) -> Result<Call<Said>, BuildError> {
    let connection = dice.or_odd(&["contosohr"], &["other", "third"]);
    let connection = ConnectionId::new(connection)?;
    let item = ItemId::new(dice.pick(&["a", "b", "c"]))?;
    match dice.below(14) {
        0..=2 => {
            let item = ExternalItem::builder(item).acl(Acl::user(guid()));
            let item = match dice.below(6) {
                0..=2 => item.property("title", dice.pick(&["a", "ä", "\u{1}\"\\"])),
                3 => item.property("tags", ["x", "y"]),
                4 => item.property("planet", "x").property("priority", "high"),
                _ => item.property("title", 7),
            };
            PutItem::new(&connection, &item.build()?).call_into(root)
        }
        3 => DeleteItem::new(&connection, &item).call_into(root),
        4 => GetItem::new(&connection, &item).call_into(root),
        5 => {
            let kind = dice.or_odd(&["viewed", "modified"], &["shared"]);
            let start = "2026-01-02T03:04:05Z".parse()?;
            let one = |kind: &str| {
                let kind = ExternalActivityType::from(kind);
                ExternalActivity::new(kind, start, Identity::user(guid()))
            };
            let both = [one("viewed")?, one(kind)?];
            AddActivities::new(&connection, &item, &both[dice.below(2)..]).call_into(root)
        }
        6 => {
            let id = ConnectionId::new(dice.pick(&["other", "third", "contosohr"]))?;
            let made = ExternalConnection::new(id, "Contoso HR")?;
            CreateConnection::new(&made).call_into(root)
        }
        7 => DeleteConnection::new(&connection).call_into(root),
        8 => GetConnection::new(&connection).call_into(root),
        9 => ListConnections::new().call_into(root),
        10 => {
            let update = ConnectionUpdate::builder().description(dice.pick(&["a", "ä"])).build()?;
            UpdateConnection::new(&connection, &update).call_into(root)
        }
        11 => {
            let schema = Schema::new([SchemaProperty::new("title", PropertyType::String)])?;
            match dice.below(2) {
                0 => GetSchema::new(&connection).call_into(root),
                _ => RegisterSchema::new(&connection, &schema).call_into(root),
            }
        }
        12 => {
            let group = ExternalGroup::builder(ExternalGroupId::new("teamx")?).build();
            CreateGroup::new(&connection, &group).call_into(root)
        }
        _ => {
            let activity = UserActivity::builder(AppActivityId::new(dice.pick(&["a", "/b?c"]))?)
                .activity_source_host("https://contoso.com")
                .activation_url("https://contoso.com/a")
                .visual_elements(VisualInfo::new(dice.pick(&["A", ""])))
                .build()?;
            PutActivity::new(&activity).call_into(root)
        }
    }
}

/// What became of a call, without what is of its time and way: the status, the body, and what the
/// core says of both.
type End = (StatusCode, Value, String);

fn end(outcome: Result<Reply<Said>, Error>) -> End {
    match outcome {
        Ok(reply) => {
            let body = serde_json::from_slice(&reply.raw).unwrap_or_default();
            (
                reply.status,
                plain(body),
                format!("{} {}", reply.complete, without_ids(&reply.value.0)),
            )
        }
        Err(error) => {
            let said = format!("{} {:?}", error.operation(), error.applied());
            let Some(refusal) = error.service_error() else { panic!("{error}") };
            let body = serde_json::from_slice(refusal.body()).expect("an error is JSON");
            (refusal.status(), plain(body), said)
        }
    }
}

/// Without the ids that the service gives, of operations and of activities.
fn without_ids(text: &str) -> String {
    let is_id = |word: &&str| word.len() > 16 && word.bytes().all(|it| it.is_ascii_hexdigit());
    let words = text.split_inclusive(|it: char| !it.is_ascii_alphanumeric());
    let ids = |word: &&str| {
        let bare = word.trim_end_matches(|it: char| !it.is_ascii_alphanumeric());
        !is_id(&bare)
    };
    words.filter(ids).collect()
}

fn plain(mut value: Value) -> Value {
    match &mut value {
        Value::String(text) => *text = without_ids(text),
        Value::Object(members) => {
            members.retain(|name, _| !matches!(&**name, "request-id" | "client-request-id"));
            members.values_mut().for_each(|member| *member = plain(member.take()));
        }
        Value::Array(elements) => {
            elements.iter_mut().for_each(|element| *element = plain(element.take()));
        }
        _ => {}
    }
    value
}

/// What is wrong with calls that go as a batch, by the core's hand and by the core's machine.
pub(crate) fn together(root: &ServiceRoot, dice: &Dice<'_>) -> Option<String> {
    let count = match dice.below(8) {
        7 => dice.pick(&[19, 20, 21, 45]),
        some => 1 + some,
    };
    let calls: Vec<Call<Said>> = (0..count).filter_map(|_| call(root, dice).ok()).collect();
    let alone = twin();
    let ends: Vec<End> = calls
        .iter()
        .map(|call| end(call.response(response(send(&alone, call.request())))))
        .collect();

    let by_machine = twin();
    let client = Client::builder(root.clone(), AccessToken::new("any").unwrap())
        .build(by_machine.emulator.clone(), VirtualClock::default());
    let mut batches = Batches::new(root);
    let parts: Vec<_> = calls.iter().map(|call| batches.add_call(call.clone())).collect();
    let answers = client.run(&batches).unwrap();
    let machines: Vec<End> = parts.iter().map(|part| end(answers.reply(part))).collect();

    let by_hand = twin();
    let mut batch = Batch::new(root);
    for (index, call) in calls.into_iter().enumerate() {
        match (batch.push(call), index) {
            (Ok(()), 0..=19) | (Err(NotTaken::Full(_)), 20..) => {}
            (_, index) => return Some(format!("call {index} was taken or not")),
        }
    }
    let Ok(whole) = batch.call() else {
        return (!batch.parts().is_empty()).then(|| "no call of the whole".to_owned());
    };
    let answer = send(&by_hand, whole.request());
    if answer.status != 200 {
        return Some(answer.text);
    }
    let outcomes = batch.outcomes(whole.response(response(answer)));
    if !outcomes.strays.is_empty() {
        return Some(format!("strays {:?}", outcomes.strays));
    }
    let hands: Vec<End> = outcomes.parts.into_iter().map(end).collect();
    let first = &ends[..ends.len().min(20)];
    let differs = |what, some: &[End], other: &[End]| {
        (some != other).then(|| format!("{what} {some:#?}\nalone {other:#?}"))
    };
    differs("by hand", &hands, first)
        .or_else(|| differs("by the machine", &machines, &ends))
        .or_else(|| {
            let stored = |bench: &Bench| format!("{:?}", bench.emulator.items("contosohr"));
            (stored(&by_machine) != stored(&alone)).then(|| "other items are stored".to_owned())
        })
}

/// A request of a batch, as anybody may write it.
fn request(dice: &Dice<'_>, index: usize) -> Text {
    const URLS: [&str; 6] = [
        "/external/connections/contosohr/items/a",
        "external/connections/contosohr/items/b",
        "/external/connections?a=b",
        "/me/activities/a%3Ab",
        "/planet",
        "/external/connections/contosohr/items/a%23b",
    ];
    const NO_URLS: [&str; 18] = [
        "",
        "/",
        " ",
        "ä",
        "/items/ä",
        "https://graph.microsoft.com/v1.0/me/activities",
        "//graph.microsoft.com/me",
        "graph.microsoft.com:443/me",
        "/v1.0/me/activities",
        "beta/me/activities",
        "/V1.0/me/activities",
        "/me/activities#x",
        "#",
        "/$batch",
        "$batch?x",
        "/%24batch",
        "/$BATCH/",
        "/me/../$batch",
    ];
    const HEADERS: [(&str, &str); 5] = [
        ("content-type", r#""application/json""#),
        ("client-request-id", r#""mine""#),
        ("Prefer", r#""a, b""#),
        ("x", r#""""#),
        ("If-Match", r#""\t*""#),
    ];
    const NO_HEADERS: [(&str, &str); 11] = [
        ("Authorization", r#""Bearer other""#),
        ("HOST", r#""graph.microsoft.com""#),
        ("a b", r#""x""#),
        ("", r#""x""#),
        ("ä", r#""x""#),
        ("x", r#""\n""#),
        ("x", "7"),
        ("x", "null"),
        ("x", r#"["a"]"#),
        ("CONTENT-TYPE", r#""text/plain""#),
        ("x", r#""ä""#),
    ];
    let id = match dice.rarely(10) {
        true => string(dice.pick(&["1", "a", "A", "ä", "Ä", "", "ß", "ẞ", "2 "])),
        false => string(&(index + 1).to_string()),
    };
    let method =
        dice.or_odd(&["GET", "PUT", "DELETE", "POST", "PATCH"], &["get", "HEAD", "", "A B"]);
    let body = match dice.rarely(4) {
        true => dice.pick(&["7", "null", r#""YQ==""#, "[]", "{}", r#"{"a":{"id":"1"}}"#]),
        false => {
            r#"{"acl":[{"accessType":"grant","type":"everyone","value":"e811976d-83df-4cbd-8b9b-5215b18aa874"}],"properties":{"title":"a"}}"#
        }
    };
    let has_body = matches!(method, "PUT" | "POST" | "PATCH") != dice.rarely(10);
    let mut headers: Vec<(String, Text)> = Vec::new();
    if has_body && !dice.rarely(12) {
        headers.push(("Content-Type".to_owned(), string("application/json")));
    }
    for _ in 0..[0, 0, 1, 2][dice.below(4)] {
        let (name, value) = dice.or_odd(&HEADERS, &NO_HEADERS);
        headers.push((name.to_owned(), token(value)));
    }
    let on = || {
        let before = || (1 + dice.below(index.max(1))).to_string();
        let id = match dice.rarely(6) {
            true => dice.pick(&["0", "99", "a", "A", ""]).to_owned(),
            false => before(),
        };
        string(&id)
    };
    object([
        ("id", (!dice.rarely(40)).then_some(id)),
        ("method", (!dice.rarely(40)).then(|| string(method))),
        ("url", (!dice.rarely(40)).then(|| string(dice.or_odd(&URLS, &NO_URLS)))),
        ("headers", (!headers.is_empty()).then_some(Text::Object(headers))),
        ("body", has_body.then(|| token(body))),
        (
            "dependsOn",
            dice.rarely(4).then(|| Text::Array((0..1 + dice.below(2)).map(|_| on()).collect())),
        ),
        ("atomicityGroup", dice.rarely(12).then(|| string("g"))),
    ])
}

/// A batch, as anybody may write it.
pub(crate) fn text(dice: &Dice<'_>) -> String {
    let count = match dice.below(12) {
        11 => dice.pick(&[20, 0, 21, 40]),
        some => 1 + some % 4,
    };
    let requests = (0..count).map(|index| request(dice, index)).collect();
    let mut batch = object([("requests", Some(Text::Array(requests)))]);
    if dice.rarely(3) {
        disturb(&mut batch, dice, 40);
    }
    wounded(&batch, dice)
}

/// Whether a text is accepted, and what is wrong with the answer.
pub(crate) fn raw(bench: &Bench, root: &ServiceRoot, text: &str) -> (bool, Option<String>) {
    /// What a batch as such is refused by. What is wrong with a request is answered for itself.
    const RULES: [&str; 11] = [
        "batch-size",
        "batch-id",
        "batch-url",
        "batch-header",
        "batch-dependency",
        "body-json",
        "member-required",
        "member-type",
        "member-unknown",
        "enum-value",
        "unknown-future-value",
    ];
    let items = || format!("{:?}", bench.emulator.items("contosohr"));
    let before = items();
    let target = format!("/{}/$batch", root.version().as_str());
    let answer = bench.send("POST", &target, text.to_owned());
    if answer.status != 200 {
        let faults = of_emulator(&answer);
        let is_known =
            |(rule, place): &(String, String)| RULES.contains(&&**rule) && place.starts_with('$');
        let is_well = answer.status == 400 && !faults.is_empty() && faults.iter().all(is_known);
        let is_wrong = !is_well || items() != before;
        return (false, is_wrong.then_some(answer.text));
    }
    let batch: Value = serde_json::from_str(text).expect("what is accepted is JSON");
    let unseen = broken(&batch).map(|(rule, place)| format!("{rule} at {place} was not seen"));
    (true, unseen.or_else(|| unread(root, &batch, answer)))
}

/// The first rule of batches that an accepted one breaks after all, as far as that is plain to see.
fn broken(batch: &Value) -> Option<(&'static str, String)> {
    let requests = batch["requests"].as_array()?;
    if !(1..=20).contains(&requests.len()) {
        return Some(("batch-size", "$.requests".to_owned()));
    }
    let mut ids: Vec<String> = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        let place = |name: &str| format!("$.requests[{index}].{name}");
        let text = |name: &str| request[name].as_str().unwrap_or_default();
        let (id, url) = (text("id").to_lowercase(), text("url"));
        let path = url.trim_start_matches('/').to_lowercase();
        let is_elsewhere = url.starts_with("//") || url.contains("://") || url.contains('#');
        let is_other = ["v1.0", "beta", "$batch", "%24batch"].iter().any(|it| path.starts_with(it));
        let headers: Vec<String> = request["headers"]
            .as_object()
            .into_iter()
            .flat_map(|headers| headers.keys().map(|name| name.to_lowercase()))
            .collect();
        let mut once = headers.clone();
        once.sort();
        once.dedup();
        let has_body = request.get("body").is_some_and(|body| !body.is_null());
        let is_typed = headers.iter().any(|name| name == "content-type");
        let of_batch = headers.iter().any(|name| name == "authorization" || name == "host");
        let before = |on: &Value| on.as_str().is_some_and(|on| ids.contains(&on.to_lowercase()));
        let on = request["dependsOn"].as_array();
        if id.is_empty() || ids.contains(&id) {
            return Some(("batch-id", place("id")));
        }
        if is_elsewhere || is_other {
            return Some(("batch-url", place("url")));
        }
        if of_batch || once.len() < headers.len() || has_body && !is_typed {
            return Some(("batch-header", place("headers")));
        }
        if !on.into_iter().flatten().all(before) {
            return Some(("batch-dependency", place("dependsOn")));
        }
        ids.push(id);
    }
    None
}

/// What the core cannot read of an answer, each request of which has to be answered once.
fn unread(root: &ServiceRoot, sent: &Value, mut answer: Answer) -> Option<String> {
    let requests = sent["requests"].as_array().expect("requests");
    let number = |id: &Value| requests.iter().position(|request| request["id"] == *id);
    let mut statuses = BTreeMap::new();
    // The core has ids of its own.
    for response in answer.json["responses"].as_array_mut().expect("responses") {
        let Some(index) = number(&response["id"]) else {
            return Some(format!("nobody asked {response}"));
        };
        response["id"] = (index + 1).to_string().into();
        if statuses.insert(index, response["status"].as_u64()).is_some() {
            return Some(format!("answered twice: {response}"));
        }
    }
    answer.text = answer.json.to_string();
    let id = ConnectionId::new("contosohr").unwrap();
    let mut batch = Batch::new(root);
    for _ in requests {
        batch.push(GetConnection::new(&id).call(root).unwrap().untyped()).unwrap();
    }
    let outcomes = batch.outcomes(batch.call().unwrap().response(response(answer)));
    let read = outcomes.parts.iter().enumerate().map(|(index, part)| match part {
        Ok(reply) => (index, Some(u64::from(reply.status.as_u16()))),
        Err(error) => (index, error.status().map(|status| u64::from(status.as_u16()))),
    });
    let read: BTreeMap<usize, Option<u64>> = read.collect();
    (read != statuses || !outcomes.strays.is_empty())
        .then(|| format!("read {read:?}, answered {statuses:?}, strays {:?}", outcomes.strays))
}
