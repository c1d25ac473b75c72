//! What the service stores, as plain types. Also what a test sees when it looks inside.
//!
//! No HTTP, no rules: what is here has been checked. JSON that has to come out as it went in is
//! kept as text. How all of it is written is the format of `service/saved.rs`.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    date::Moment,
    read::{known_members, known_word, known_words},
};

/// A word of the tables in `read`. It needs a name, for from a `&'static str` serde makes a type
/// that only what lives for ever can be read into.
type Word = &'static str;

/// The type of a property in a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum PropertyType {
    /// `string`
    String,
    /// `int64`
    Int64,
    /// `double`
    Double,
    /// `dateTime`
    DateTime,
    /// `boolean`
    Boolean,
    /// `stringCollection`
    StringCollection,
    /// `int64Collection`
    Int64Collection,
    /// `doubleCollection`
    DoubleCollection,
    /// `dateTimeCollection`
    DateTimeCollection,
    /// `principal`
    Principal,
    /// `principalCollection`
    PrincipalCollection,
}

/// The type itself, its name in a schema, that of its annotation, and that of its elements.
const TYPES: [(PropertyType, &str, &str, Option<PropertyType>); 11] = {
    use PropertyType::*;
    [
        (String, "string", "String", None),
        (Int64, "int64", "Int64", None),
        (Double, "double", "Double", None),
        (DateTime, "dateTime", "DateTimeOffset", None),
        (Boolean, "boolean", "Boolean", None),
        (StringCollection, "stringCollection", "Collection(String)", Some(String)),
        (Int64Collection, "int64Collection", "Collection(Int64)", Some(Int64)),
        (DoubleCollection, "doubleCollection", "Collection(Double)", Some(Double)),
        (DateTimeCollection, "dateTimeCollection", "Collection(DateTimeOffset)", Some(DateTime)),
        (Principal, "principal", "microsoft.graph.externalConnectors.principal", None),
        (
            PrincipalCollection,
            "principalCollection",
            "Collection(microsoft.graph.externalConnectors.principal)",
            Some(Principal),
        ),
    ]
};

impl PropertyType {
    /// The type of this name, `stringCollection` for example.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        TYPES.iter().find_map(|(kind, known, ..)| (*known == name).then_some(*kind))
    }

    fn row(self) -> &'static (Self, &'static str, &'static str, Option<Self>) {
        TYPES.iter().find(|(kind, ..)| *kind == self).unwrap_or(&TYPES[0])
    }

    /// The name in a schema, `stringCollection` for example.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// What `@odata.type` says of a value of this type, without `#`.
    pub fn annotation(self) -> &'static str {
        self.row().2
    }

    /// The type of the elements, if this is a collection.
    pub fn element(self) -> Option<Self> {
        self.row().3
    }
}

/// An external item as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Item {
    /// The id that the client chose.
    pub id: String,
    /// Who may see it, in the order that was sent.
    pub acl: Vec<AclEntry>,
    /// Its properties, in the order that was sent.
    pub properties: Vec<Property>,
    /// Its content, if it has any.
    pub content: Option<Content>,
    /// `informationProtectionLabel` as it was sent.
    pub information_protection_label: Option<String>,
    /// What people did with it, in the order of arrival. Never part of an answer.
    pub activities: Vec<ItemActivity>,
}

impl Item {
    /// An item with nothing in it yet.
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            acl: Vec::new(),
            properties: Vec::new(),
            content: None,
            information_protection_label: None,
            activities: Vec::new(),
        }
    }
}

/// An entry of an acl.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AclEntry {
    /// `grant` or `deny`.
    #[serde(deserialize_with = "known_word")]
    pub access_type: Word,
    /// The type in the words of v1.0: an external group is `externalGroup`, also if beta wrote
    /// it as `group` with an `identitySource`.
    #[serde(deserialize_with = "known_word")]
    pub kind: Word,
    /// A user, group, tenant or external group id.
    pub value: String,
}

/// A property of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Property {
    /// Its name.
    pub name: String,
    /// The type that the schema declares.
    pub kind: PropertyType,
    /// Its value, byte for byte as it was sent.
    pub json: String,
}

/// The content of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Content {
    /// `text` or `html`.
    #[serde(deserialize_with = "known_word")]
    pub kind: Word,
    /// The text, unescaped.
    pub value: String,
}

/// An activity on an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ItemActivity {
    /// `viewed`, `modified`, `created` or `commented`.
    #[serde(deserialize_with = "known_word")]
    pub kind: Word,
    /// When it happened, as it was sent.
    pub start_date_time: String,
    /// `user`, `group` or `externalGroup`.
    #[serde(deserialize_with = "known_word")]
    pub performed_by_kind: Word,
    /// The id of who did it.
    pub performed_by_id: String,
}

/// An external group as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Group {
    /// The id that the client chose.
    pub id: String,
    /// Its name, if it has one.
    pub display_name: Option<String>,
    /// Its description, if it has one.
    pub description: Option<String>,
    /// Its members, in the order of arrival. No answer has them.
    pub members: Vec<GroupMember>,
}

/// A member of an external group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupMember {
    /// The type in the words of v1.0: `user`, `group` or `externalGroup`.
    #[serde(deserialize_with = "known_word")]
    pub kind: Word,
    /// A user, group or external group id.
    pub id: String,
}

/// A schema that was registered, or is about to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Schema {
    pub(crate) properties: Vec<Declaration>,
}

/// A property in a schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Declaration {
    pub(crate) name: String,
    pub(crate) kind: PropertyType,
    #[serde(deserialize_with = "known_words")]
    pub(crate) labels: Vec<&'static str>,
    pub(crate) aliases: Vec<String>,
    /// The alias that the service gave it when it became refinable.
    pub(crate) own_alias: Option<String>,
    /// The other members as they were sent, by name.
    #[serde(deserialize_with = "known_members")]
    pub(crate) members: Vec<(&'static str, String)>,
}

impl Declaration {
    /// Whether a flag is on, `isRefinable` for example.
    pub(crate) fn is(&self, flag: &str) -> bool {
        self.members.iter().any(|(name, json)| *name == flag && json == "true")
    }
}

impl Schema {
    pub(crate) fn find(&self, name: &str) -> Option<&Declaration> {
        self.properties.iter().find(|declaration| declaration.name == name)
    }
}

/// A registration of a schema.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SchemaOperation {
    pub(crate) id: String,
    /// When it is completed, since the origin.
    pub(crate) due: Duration,
    /// The schema that it registers; taken out when it is completed.
    pub(crate) schema: Option<Schema>,
}

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ConnectionState {
    /// No schema is registered yet.
    Draft,
    /// Items can be written.
    Ready,
    /// It can be read and deleted.
    Obsolete,
    /// It is full: no new item until others are deleted.
    LimitExceeded,
}

impl ConnectionState {
    pub(crate) const ALL: [Self; 4] =
        [Self::Draft, Self::Ready, Self::Obsolete, Self::LimitExceeded];

    /// The state of this name, `limitExceeded` for example.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Ready => "ready",
            Self::Obsolete => "obsolete",
            Self::LimitExceeded => "limitExceeded",
        }
    }
}

/// A connection and everything in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Connection {
    pub(crate) id: String,
    pub(crate) created: Moment,
    /// The application that created it. None: tokens are not checked.
    pub(crate) owner: Option<String>,
    /// The members that the client set, as they were sent, by name.
    #[serde(deserialize_with = "known_members")]
    pub(crate) members: Vec<(&'static str, String)>,
    /// The state that a test gave it. None: that which its schema and items make.
    pub(crate) given: Option<ConnectionState>,
    /// When it is gone, since the origin. None: nobody deletes it.
    pub(crate) gone: Option<Duration>,
    /// The schema that is registered. A connection with one is ready.
    pub(crate) schema: Option<Schema>,
    pub(crate) operations: Vec<SchemaOperation>,
    pub(crate) items: BTreeMap<String, Item>,
    pub(crate) groups: BTreeMap<String, Group>,
}

impl Connection {
    /// Its state, where it holds at most `quota` items.
    pub(crate) fn state(&self, quota: Option<usize>) -> ConnectionState {
        match (self.given, &self.schema) {
            (Some(state), _) => state,
            (None, None) => ConnectionState::Draft,
            (None, Some(_)) if quota.is_some_and(|quota| self.items.len() >= quota) => {
                ConnectionState::LimitExceeded
            }
            (None, Some(_)) => ConnectionState::Ready,
        }
    }

    /// The schema that is registered last, or will be.
    pub(crate) fn latest_schema(&self) -> Option<&Schema> {
        let latest = self.operations.iter().rev();
        latest.filter_map(|operation| operation.schema.as_ref()).next().or(self.schema.as_ref())
    }

    /// Whether the registration of a schema is running.
    pub(crate) fn is_registering(&self) -> bool {
        self.operations.iter().any(|operation| operation.schema.is_some())
    }

    fn advance(&mut self, now: Duration) {
        for operation in &mut self.operations {
            if operation.due <= now && operation.schema.is_some() {
                self.schema = operation.schema.take();
            }
        }
    }
}

/// A user activity as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserActivity {
    /// The id that the server made.
    pub id: String,
    /// The id that the app chose.
    pub app_activity_id: String,
    /// The other members that the client set, each value byte for byte as it was sent.
    #[serde(deserialize_with = "known_members")]
    pub members: Vec<(&'static str, String)>,
    /// What the user did with it, in the order of arrival.
    pub history_items: Vec<HistoryItem>,
    /// Whose it is. None: tokens are not checked.
    pub owner: Option<ActivityOwner>,
    /// Higher than that of each that was there before it.
    pub(crate) number: u64,
    pub(crate) stamps: Stamps,
}

/// Whose a user activity is: each application sees what it made for the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActivityOwner {
    /// The object id of the user.
    pub user: String,
    /// The application.
    pub client_id: String,
}

/// A history item of a user activity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HistoryItem {
    /// A GUID, of the client or of the server.
    pub id: String,
    /// When it began, as it was sent.
    pub started_date_time: String,
    /// When it ended, as it was sent.
    pub last_active_date_time: Option<String>,
    /// How long it was active, in seconds: as sent, or from the two dates.
    pub active_duration_seconds: Option<i64>,
    /// The IANA name of a time zone.
    pub user_timezone: Option<String>,
    /// When it expires, if the client set it.
    pub expiration_date_time: Option<String>,
    pub(crate) stamps: Stamps,
}

/// When something was made and changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stamps {
    pub(crate) created: Moment,
    pub(crate) modified: Moment,
}

/// All resources of one tenant and user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Store {
    pub(crate) connections: BTreeMap<String, Connection>,
    /// In the order of creation.
    pub(crate) activities: Vec<UserActivity>,
}

impl Store {
    /// Completes the registrations and deletions that are due.
    pub(crate) fn advance(&mut self, now: Duration) {
        self.connections.retain(|_, connection| connection.gone.is_none_or(|gone| gone > now));
        for connection in self.connections.values_mut() {
            connection.advance(now);
        }
    }

    /// Counts the times of what is pending anew: what was `old` is `new`.
    pub(crate) fn recount(&mut self, old: Duration, new: Duration) {
        for connection in self.connections.values_mut() {
            let due = connection.operations.iter_mut().map(|operation| &mut operation.due);
            for time in due.chain(&mut connection.gone) {
                *time = time.saturating_sub(old).saturating_add(new);
            }
        }
    }
}
