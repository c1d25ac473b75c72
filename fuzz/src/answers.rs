//! The answer to each operation: whatever comes back, it is read whole or it is an error, and what
//! was read is written as it was.

use std::cell::OnceCell;

use bytes::Bytes;
use graphfeed_core::{
    activity::{
        DeleteActivity, DeleteHistoryItem, ImageInfo, ListActivities, PutActivity, PutHistoryItem,
        RecentActivities, StoredActivity, StoredHistoryItem, UserActivity, VisualInfo,
    },
    external::{
        Acl, ActivitySettings, AddActivities, AddMember, ComplianceSettings, Configuration,
        ConnectionOperation, ConnectionQuota, ConnectionUpdate, CreateConnection, CreateGroup,
        DeleteConnection, DeleteGroup, DeleteItem, DisplayTemplate, ExternalActivity,
        ExternalActivityResult, ExternalConnection, ExternalGroup, ExternalItem, GetConnection,
        GetGroup, GetItem, GetOperation, GetQuota, GetSchema, GroupUpdate, Identity,
        ItemIdResolver, ItemUpdate, ListConnections, PatchItem, Principal, PropertyRule,
        PropertyType, PutItem, RegisterSchema, RemoveMember, Schema, SchemaProperty,
        SearchSettings, StoredAcl, StoredConnection, StoredContent, StoredExternalActivity,
        StoredGroup, StoredIdentity, StoredInformationProtectionLabel, StoredItem,
        StoredRankingHint, StoredSchema, StoredSchemaProperty, UpdateConnection, UpdateGroup,
        UrlMatchInfo,
    },
    protocol::{
        Applied, Created, Endpoint, Error, Page, PublicError, PublicErrorDetail, PublicInnerError,
        ServiceRoot, Version,
    },
    types::{
        AppActivityId, ConnectionId, ExternalGroupId, Guid, ItemId, OperationId, UserActivityId,
    },
};
use http::Response;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    errors,
    json::{plain, unique},
};

/// Reads the answer to one operation. What it gives has to be in the body.
type Read = Box<dyn Fn(Response<Bytes>) -> Result<Vec<Value>, Error>>;

thread_local! {
    static READERS: OnceCell<Vec<Read>> = const { OnceCell::new() };
}

/// The first byte says to which operation or as which type, the second with which status, and the
/// rest is the body. Of a 202 it is the `Location`, too.
pub fn run(data: &[u8]) {
    let [which, status, body @ ..] = data else { return };
    let which = usize::from(*which);
    let types = types();
    if let Some(read) = which.checked_sub(128).and_then(|which| types.get(which)) {
        read(body);
        return;
    }
    const STATUSES: [u16; 10] = [200, 201, 202, 204, 207, 299, 404, 409, 410, 503];
    let status = STATUSES[usize::from(*status) % STATUSES.len()];
    let mut answer = Response::builder().status(status);
    if let (202, Ok(location)) = (status, http::HeaderValue::from_bytes(body)) {
        answer = answer.header("location", location);
    }
    let Ok(answer) = answer.body(Bytes::copy_from_slice(body)) else { return };
    READERS.with(|readers| {
        let readers = readers.get_or_init(|| {
            let readers = readers_of_all();
            // All but the batch, which has a target of its own.
            assert_eq!(readers.len() + 1, graphfeed_core::ROUTES.len());
            readers
        });
        let Some(read) = readers.get(which) else { return };
        match read(answer) {
            Ok(written) => held_against(body, written),
            Err(error) => errors::is_told(&error, body),
        }
    });
}

/// What was read and is written again is what came.
fn held_against(body: &[u8], written: Vec<Value>) {
    let Some(came) = unique(body).map(plain) else { return };
    for written in written {
        let written = plain(written);
        let entries = came.get("value").and_then(Value::as_array);
        let is_entry = entries.is_some_and(|entries| entries.contains(&written));
        assert!(written == came || is_entry, "came {came}, written {written}");
    }
}

fn as_it_was<T: DeserializeOwned + Serialize>(body: &[u8]) {
    if let Ok(read) = serde_json::from_slice::<T>(body) {
        held_against(body, vec![json(&read)]);
    }
}

fn json(value: &impl Serialize) -> Value {
    let written = serde_json::to_vec(value).expect("what was read can be written");
    // Not as a value, for a number that no float can hold is kept as it came.
    unique(&written).unwrap_or_default()
}

/// Every type of an answer, in the order of their names in Microsoft Graph.
fn types() -> [fn(&[u8]); 30] {
    [
        as_it_was::<StoredAcl>,
        as_it_was::<StoredHistoryItem>,
        as_it_was::<ActivitySettings>,
        as_it_was::<ComplianceSettings>,
        as_it_was::<Configuration>,
        as_it_was::<ConnectionOperation>,
        as_it_was::<ConnectionQuota>,
        as_it_was::<DisplayTemplate>,
        as_it_was::<StoredExternalActivity>,
        as_it_was::<ExternalActivityResult>,
        as_it_was::<StoredConnection>,
        as_it_was::<StoredGroup>,
        as_it_was::<StoredItem>,
        as_it_was::<StoredContent>,
        as_it_was::<StoredInformationProtectionLabel>,
        as_it_was::<StoredIdentity>,
        as_it_was::<ImageInfo>,
        as_it_was::<ItemIdResolver>,
        as_it_was::<Principal>,
        as_it_was::<StoredSchemaProperty>,
        as_it_was::<PropertyRule>,
        as_it_was::<PublicError>,
        as_it_was::<PublicErrorDetail>,
        as_it_was::<PublicInnerError>,
        as_it_was::<StoredRankingHint>,
        as_it_was::<StoredSchema>,
        as_it_was::<SearchSettings>,
        as_it_was::<UrlMatchInfo>,
        as_it_was::<StoredActivity>,
        as_it_was::<VisualInfo>,
    ]
}

fn reader<E: Endpoint>(
    endpoint: &E,
    root: &ServiceRoot,
    written: fn(E::Output) -> Vec<Value>,
) -> Read
where
    E::Output: 'static,
{
    let call = endpoint.call(root).expect("a call");
    Box::new(move |answer| {
        let status = answer.status();
        let body = answer.body().clone();
        let read = call.response(answer);
        if let Err(error) = &read {
            // The service did it, and only its answer is odd.
            let unreadable = status.is_success() && call.route().writes();
            // Of a 207 the answer alone would have said which part of it.
            let expected = if status == 207 { Applied::Maybe } else { Applied::Yes };
            assert!(!unreadable || error.applied() == expected, "{error}");
        }
        let reply = read?;
        assert_eq!((reply.status, &reply.raw), (status, &body));
        Ok(written(reply.value))
    })
}

fn none<T>(_: T) -> Vec<Value> {
    Vec::new()
}

fn created<T: Serialize>(created: Created<T>) -> Vec<Value> {
    match created {
        // Of no body the value is empty.
        Created::Now(value) => Some(json(&value))
            .filter(|it| it != &Value::Object(Default::default()))
            .into_iter()
            .collect(),
        Created::AlreadyExists => Vec::new(),
    }
}

fn page<T: Serialize>(page: Page<T>) -> Vec<Value> {
    page.value.iter().map(json).chain([json(&page)]).collect()
}

fn readers_of_all() -> Vec<Read> {
    let v1 = &ServiceRoot::v1();
    let beta = &ServiceRoot::new(v1.cloud(), Version::Beta);
    let id = &ConnectionId::new("contosohr").expect("an id");
    let item_id = &ItemId::new("TSP228082938").expect("an id");
    let group_id = &ExternalGroupId::new("teamx").expect("an id");
    let user = Guid::from(7);
    let somebody = &Identity::user(user);
    let at = "2021-04-06T18:04:31.033Z".parse().expect("a date");
    let connection = ExternalConnection::new(id.clone(), "Contoso HR").expect("a connection");
    let update = ConnectionUpdate::builder().name("HR").build().expect("an update");
    let schema =
        Schema::new([SchemaProperty::new("title", PropertyType::String)]).expect("a schema");
    let operation = OperationId::new("op").expect("an id");
    let item = ExternalItem::builder(item_id.clone()).acl(Acl::user(user)).property("title", "a");
    let item = item.build().expect("an item");
    let item_update =
        ItemUpdate::builder().replace_acl([Acl::user(user)]).build().expect("an update");
    let activities = [
        ExternalActivity::created(at, somebody.clone()),
        ExternalActivity::viewed(at, somebody.clone()),
    ];
    let group = ExternalGroup::new(group_id.clone());
    let group_update =
        GroupUpdate::builder().display_name("a".to_owned()).build().expect("an update");
    let activity = UserActivity::builder(AppActivityId::new("a").expect("an id"))
        .activity_source_host("https://contoso.com")
        .activation_url("https://contoso.com/a")
        .visual_elements(VisualInfo::new("A"))
        .build()
        .expect("an activity");
    let activity_id = UserActivityId::new("1433").expect("an id");
    let history = graphfeed_core::activity::ActivityHistoryItem::started(at);
    vec![
        reader(&CreateConnection::new(&connection), v1, |it| vec![json(&it)]),
        reader(&ListConnections::new(), v1, page),
        reader(&GetConnection::new(id), beta, |it| vec![json(&it)]),
        reader(&UpdateConnection::new(id, &update), v1, none),
        reader(&DeleteConnection::new(id), v1, none),
        reader(&GetQuota::new(id), beta, |it| vec![json(&it)]),
        reader(&RegisterSchema::new(id, &schema), v1, none),
        reader(&GetSchema::new(id), v1, |it| vec![json(&it)]),
        reader(&GetOperation::new(id, &operation), v1, |it| vec![json(&it)]),
        reader(&PutItem::new(id, &item), v1, |it| it.iter().map(json).collect()),
        reader(&GetItem::new(id, item_id), v1, |it| vec![json(&it)]),
        reader(&PatchItem::new(id, item_id, &item_update), v1, |it| it.iter().map(json).collect()),
        reader(&DeleteItem::new(id, item_id), v1, none),
        reader(&AddActivities::new(id, item_id, &activities), v1, |added| {
            assert_eq!(added.iter().len(), 2);
            assert!(added.failed().len() + added.unknown().len() <= 2);
            added.iter().filter_map(|(_, told)| told.ok().map(json)).collect()
        }),
        reader(&CreateGroup::new(id, &group), v1, created),
        reader(&GetGroup::new(id, group_id), v1, |it| vec![json(&it)]),
        reader(&UpdateGroup::new(id, group_id, &group_update), v1, none),
        reader(&DeleteGroup::new(id, group_id), v1, none),
        reader(&AddMember::new(id, group_id, somebody), v1, created),
        reader(&RemoveMember::new(id, group_id, somebody), v1, none),
        reader(&PutActivity::new(&activity), v1, |it| vec![json(it.get())]),
        reader(&ListActivities::new(), v1, page),
        reader(&RecentActivities::new(), v1, page),
        reader(&DeleteActivity::new(&activity_id), v1, none),
        reader(&PutHistoryItem::new(&activity_id, user, &history), v1, |it| vec![json(it.get())]),
        reader(&DeleteHistoryItem::new(&activity_id, user), v1, none),
    ]
}
