//! The same answers as serde derives their reading: with every member that they have, and the same
//! types for dates. What the crate keeps besides (how a member was spelt, what is new in an answer)
//! has no place in them.

#![allow(dead_code, reason = "they are read and thrown away")]

use std::collections::BTreeMap;

use graphfeed_core::types::{Timestamp, UserActivityId};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
pub(crate) struct Item<P> {
    #[serde(rename = "@odata.context")]
    context: Option<String>,
    id: Option<String>,
    acl: Option<Vec<Acl>>,
    properties: Option<P>,
    content: Option<Content>,
}

/// Any properties, each as the JSON that it is until the schema says more.
pub(crate) type AnyProperties = BTreeMap<String, Box<RawValue>>;

/// The properties of the one item, for a program that knows no other.
#[derive(Deserialize)]
pub(crate) struct TheseProperties {
    #[serde(rename = "title@odata.type")]
    title_type: Option<String>,
    title: Option<String>,
    author: Option<String>,
    url: Option<String>,
    priority: Option<i64>,
    progress: Option<f64>,
    open: Option<bool>,
    created: Option<Timestamp>,
    #[serde(rename = "tags@odata.type")]
    tags_type: Option<String>,
    tags: Option<Vec<String>>,
    #[serde(rename = "due@odata.type")]
    due_type: Option<String>,
    due: Option<Vec<Timestamp>>,
    #[serde(rename = "related@odata.type")]
    related_type: Option<String>,
    related: Option<Vec<i64>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Acl {
    access_type: Option<Access>,
    #[serde(rename = "type")]
    kind: Option<Kind>,
    value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Access {
    Grant,
    Deny,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    User,
    Group,
    Everyone,
    EveryoneExceptGuests,
    ExternalGroup,
}

#[derive(Deserialize)]
struct Content {
    value: Option<String>,
    #[serde(rename = "type")]
    kind: Option<ContentType>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum ContentType {
    Text,
    Html,
}

/// One page of a collection.
#[derive(Deserialize)]
pub(crate) struct Page<T> {
    #[serde(rename = "@odata.context")]
    context: Option<String>,
    value: Vec<T>,
    #[serde(rename = "@odata.nextLink")]
    next_link: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActivityResult {
    #[serde(rename = "@odata.type")]
    odata_type: Option<String>,
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<ActivityType>,
    start_date_time: Option<Timestamp>,
    performed_by: Option<Identity>,
    error: Option<GraphError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum ActivityType {
    Viewed,
    Modified,
    Created,
    Commented,
}

#[derive(Deserialize)]
struct Identity {
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<IdentityType>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum IdentityType {
    User,
    Group,
    ExternalGroup,
}

#[derive(Deserialize)]
pub(crate) struct Envelope {
    error: GraphError,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GraphError {
    code: Option<String>,
    message: Option<String>,
    target: Option<String>,
    details: Option<Vec<Self>>,
    inner_error: Option<Box<Self>>,
    date: Option<String>,
    #[serde(rename = "request-id")]
    request_id: Option<String>,
    #[serde(rename = "client-request-id")]
    client_request_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserActivity {
    id: UserActivityId,
    app_activity_id: Option<String>,
    activity_source_host: Option<String>,
    activation_url: Option<String>,
    visual_elements: Option<Visual>,
    app_display_name: Option<String>,
    content_url: Option<String>,
    fallback_url: Option<String>,
    user_timezone: Option<String>,
    content_info: Option<Box<RawValue>>,
    created_date_time: Option<Timestamp>,
    last_modified_date_time: Option<Timestamp>,
    expiration_date_time: Option<Timestamp>,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Visual {
    display_text: String,
    description: Option<String>,
    background_color: Option<String>,
    content: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Status {
    Active,
    Updated,
    Deleted,
    Ignored,
}

/// The answer to a batch, with an item for each part.
#[derive(Deserialize)]
pub(crate) struct Batch {
    responses: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    id: String,
    status: u16,
    headers: Option<BTreeMap<String, String>>,
    body: Option<Item<AnyProperties>>,
}
