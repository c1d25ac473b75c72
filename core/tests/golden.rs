//! The bodies of the five documents: ours are the same, and theirs are read in full.
//!
//! A request is JSON-equal to the document's, where `Z` and `+00:00` name the same instant. The
//! only other differences are those that `put_activity` below spells out.

use bytes::Bytes;
use graphfeed_core::activity::{
    ActivityHistoryItem, ImageInfo, PutActivity, PutHistoryItem, StoredActivity, StoredHistoryItem,
    UserActivity, UserActivityBuilder, VisualInfo,
};
use graphfeed_core::external::{
    Acl, AddActivities, ExternalActivity, ExternalItem, ExternalItemContent, Identity, PutItem,
};
use graphfeed_core::protocol::{Cloud, Endpoint, ServiceRoot, Version};
use graphfeed_core::types::{
    AppActivityId, ConnectionId, ExternalGroupId, Guid, ItemId, RawJson, Timestamp, UserActivityId,
};
use serde_json::{Map, Value, json};

macro_rules! golden {
    ($name:literal) => {
        include_str!(concat!("golden/", $name))
    };
}

fn root(version: Version) -> ServiceRoot {
    ServiceRoot::new(Cloud::Global, version)
}

fn guid(text: &str) -> Guid {
    Guid::new(text).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn json_of(text: impl AsRef<[u8]>) -> Value {
    serde_json::from_slice(text.as_ref()).unwrap()
}

/// Every date as its instant, so that two spellings of one are equal.
fn instants(value: Value) -> Value {
    match value {
        Value::String(text) => match text.parse::<Timestamp>() {
            Ok(at) => json!({ "instant": at.as_unix_nanoseconds().to_string() }),
            Err(_) => Value::String(text),
        },
        Value::Array(values) => values.into_iter().map(instants).collect(),
        Value::Object(members) => Value::Object(
            members.into_iter().map(|(name, value)| (name, instants(value))).collect::<Map<_, _>>(),
        ),
        other => other,
    }
}

fn assert_request(request: &http::Request<Bytes>, target: &str, body: &str) {
    let (method, uri) = target.split_once(' ').unwrap();
    assert_eq!(request.method(), method);
    assert_eq!(request.uri(), uri);
    assert_eq!(request.headers()["Content-Type"], "application/json");
    assert_eq!(instants(json_of(request.body())), instants(json_of(body)));
}

fn response(status: u16, body: &'static str) -> http::Response<Bytes> {
    http::Response::builder().status(status).body(Bytes::from(body)).unwrap()
}

#[test]
fn add_activities() {
    let connection = ConnectionId::new("contosohr").unwrap();
    let item = ItemId::new("TSP228082938").unwrap();
    let performed_by = Identity::user(guid("1f0c997e-99f7-43f1-8cca-086f8d42be8d"));
    let sent = [ExternalActivity::created(at("2021-04-06T18:04:31.033Z"), performed_by)];
    let call = AddActivities::new(&connection, &item, &sent);
    let request = call.request(&root(Version::V1)).unwrap();
    assert_request(
        &request,
        "POST https://graph.microsoft.com/v1.0/external/connections/contosohr/items/TSP228082938/addActivities",
        golden!("add-activities.request.json"),
    );
    assert!(
        request.body().starts_with(br##"{"activities":[{"@odata.type":"#microsoft.graph.ext"##),
        "the annotation stands first"
    );

    let answer = golden!("add-activities.answer.json");
    let added = AddActivities::response(&request, response(200, answer)).unwrap().value;
    let results = added.into_result().unwrap();
    assert_eq!(json!({ "value": results }), json_of(answer));
}

#[test]
fn put_item() {
    let connection = ConnectionId::new("contosohr").unwrap();
    let user = guid("e811976d-83df-4cbd-8b9b-5215b18aa874");
    let group = ExternalGroupId::new("14m1b9c38qe647f6a").unwrap();
    let item = ExternalItem::builder(ItemId::new("TSP228082938").unwrap())
        .acl(Acl::user(user))
        .acl(Acl::external_group(group).deny())
        .property("title", "Error in the payment gateway")
        .property("priority", 1)
        .property("assignee", "john@contoso.com")
        .content(ExternalItemContent::text("Error in payment gateway..."))
        .build()
        .unwrap();
    let put = PutItem::new(&connection, &item);
    let request = put.request(&root(Version::Beta)).unwrap();
    assert_request(
        &request,
        "PUT https://graph.microsoft.com/beta/external/connections/contosohr/items/TSP228082938",
        golden!("put-item.request.json"),
    );
    assert_eq!(PutItem::response(&request, response(200, "")).unwrap().value, None);

    let v1 = put.request(&root(Version::V1)).unwrap();
    assert_eq!(
        json_of(v1.body())["acl"],
        json!([
            {"type": "user", "value": "e811976d-83df-4cbd-8b9b-5215b18aa874",
             "accessType": "grant"},
            {"type": "externalGroup", "value": "14m1b9c38qe647f6a", "accessType": "deny"},
        ])
    );
}

#[test]
fn type_specifiers() {
    let connection = ConnectionId::new("contosohr").unwrap();
    let item = ExternalItem::builder(ItemId::new("T1").unwrap())
        .acl(Acl::everyone(Guid::from(1)))
        .property("description", "Kandierte Äpfel")
        .property("categories", ["red", "blue"])
        .build()
        .unwrap();
    let request = PutItem::new(&connection, &item).request(&root(Version::Beta)).unwrap();
    let document = golden!("type-specifiers.json");
    assert_eq!(json_of(request.body())["properties"], json_of(document));
    // Members in the order of the document, the specifier before its value.
    let compact: String = document.lines().map(|line| line.replace("\": ", "\":")).collect();
    let body = std::str::from_utf8(request.body()).unwrap();
    assert!(body.contains(&format!("\"properties\":{compact}")), "{body}");
}

/// The activity of both examples. What the server owns is not ours to write, and the required
/// `activationUrl`, which the examples leave out, is.
fn reef_knot() -> UserActivityBuilder {
    let document = json_of(golden!("put-activity.request.json"));
    let mut visual = VisualInfo::new("Contoso How-To: How to Tie a Reef Knot");
    visual.description = document["visualElements"]["description"].as_str().map(str::to_owned);
    let mut icon = ImageInfo::new("https://www.contoso.com/icon");
    icon.alternate_text = Some("Contoso Ltd".to_owned());
    icon.add_image_query = Some(false);
    visual.attribution = Some(icon);
    visual.background_color = Some("#ff0000".to_owned());
    visual.content = Some(RawJson::new(&document["visualElements"]["content"]).unwrap());
    UserActivity::builder(AppActivityId::new("/article?12345").unwrap())
        .activity_source_host("https://contoso.com")
        .activation_url("https://www.contoso.com/article?id=12345")
        .visual_elements(visual)
}

fn put_activity(activity: &UserActivity, document: &str) -> http::Request<Bytes> {
    let mut expected = json_of(document);
    let members = expected.as_object_mut().unwrap();
    for server_owned in
        ["id", "status", "createdDateTime", "lastModifiedDateTime", "expirationDateTime"]
    {
        assert!(members.remove(server_owned).is_some(), "{server_owned}");
    }
    let url = json!("https://www.contoso.com/article?id=12345");
    assert_eq!(members.insert("activationUrl".to_owned(), url), None);
    let request = PutActivity::new(activity).request(&root(Version::V1)).unwrap();
    assert_request(
        &request,
        "PUT https://graph.microsoft.com/v1.0/me/activities/%2Farticle%3F12345",
        &expected.to_string(),
    );
    request
}

#[test]
fn create_an_activity() {
    let request = put_activity(&reef_knot().build().unwrap(), golden!("put-activity.request.json"));
    let answer = golden!("put-activity.answer.json");
    for (status, created) in [(200, false), (201, true)] {
        let put = PutActivity::response(&request, response(status, answer)).unwrap().value;
        assert_eq!(matches!(put, graphfeed_core::activity::Put::Created(_)), created);
        let stored: StoredActivity = put.into_inner();
        assert_eq!(serde_json::to_value(&stored).unwrap(), json_of(answer));
        assert_eq!(stored.id.as_str(), "14332800362997268276");
        assert!(answer.contains(stored.content_info.unwrap().get()), "byte for byte");
        let visual = stored.visual_elements.unwrap();
        assert!(answer.contains(visual.content.unwrap().get()), "byte for byte");
    }
}

#[test]
fn deep_insert() {
    let history = ActivityHistoryItem::between(
        at("2018-02-26T20:54:04.345Z"),
        at("2018-02-26T20:54:24.345Z"),
    )
    .unwrap()
    .user_timezone("Africa/Casablanca");
    let activity = reef_knot().history_item(history).build().unwrap();
    let request = put_activity(&activity, golden!("put-activity-with-history.request.json"));
    let answer = golden!("put-activity-with-history.answer.json");
    let stored = PutActivity::response(&request, response(200, answer)).unwrap().value.into_inner();
    assert_eq!(serde_json::to_value(&stored).unwrap(), json_of(answer));
    let history = stored.history_items.unwrap();
    assert_eq!(history[0].id.as_deref(), Some("61fc8f36-919f-4b73-89d4-1cb7b159d912"));
    assert_eq!(history[0].active_duration_seconds, Some(20));
}

#[test]
fn put_history_item() {
    let activity = UserActivityId::new("13881113971988980728").unwrap();
    let instant = at("2015-02-11T20:54:04.3457274+00:00");
    let item =
        ActivityHistoryItem::between(instant, instant).unwrap().user_timezone("Africa/Casablanca");
    let id = guid("390e06e2-7e5b-4133-8014-fac7ac5991af");
    let request = PutHistoryItem::new(&activity, id, &item).request(&root(Version::Beta)).unwrap();
    assert_request(
        &request,
        "PUT https://graph.microsoft.com/beta/me/activities/13881113971988980728/historyItems/390e06e2-7e5b-4133-8014-fac7ac5991af",
        golden!("put-history-item.request.json"),
    );
    assert!(
        std::str::from_utf8(request.body()).unwrap().contains("2015-02-11T20:54:04.3457274Z"),
        "100 nanoseconds survive"
    );
    let answer = golden!("put-history-item.answer.json");
    let put = PutHistoryItem::response(&request, response(200, answer)).unwrap().value;
    let stored: StoredHistoryItem = put.into_inner();
    assert_eq!(serde_json::to_value(&stored).unwrap(), json_of(answer));
    assert_eq!(stored.created_date_time, Some(at("2018-02-26T20:28:22.14Z")));
}
