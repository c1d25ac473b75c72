//! `microsoft.graph.externalConnectors`: what Microsoft Search and Copilot index, and what people
//! do with it.
//!
//! One file a resource, its types first, its operations after them. What is written is made by
//! constructors and valid once it exists; what the service answers with is named `Stored...`,
//! keeps every member, and is never refused for its values.
//!
//! Connectors exist in the global cloud and in the US government's, not in China.

mod acl;
mod activity;
mod activity_ends;
mod activity_settings;
mod added;
mod await_connection;
mod connection;
mod content_experiences;
mod ensure;
mod ensure_ready;
mod ensure_schema;
mod group;
mod group_plan;
mod group_record;
mod group_run;
mod identity;
mod item;
mod item_check;
mod item_text;
mod label;
mod operation;
mod property;
mod quota;
mod registration;
mod schema;
mod schema_check;
mod schema_plan;
mod schema_property;
mod schema_update;
mod search_settings;
mod stored_property;
mod strict;

pub use acl::{AccessType, Acl, AclType, IdentitySource, StoredAcl};
pub use activity::{
    AddActivities, Duplicates, ExternalActivity, ExternalActivityType, StoredExternalActivity,
};
pub use activity_ends::{ActivityCounts, ActivityEnd, ActivityEnds};
pub use activity_settings::{ActivitySettings, ItemIdResolver, UrlMatchInfo};
pub use added::{ActivityFailure, AddedActivities, ExternalActivityResult, NotAllAdded};
pub use await_connection::{AwaitGone, AwaitReady};
pub use connection::{
    Configuration, ConnectionState, ConnectionUpdate, ConnectionUpdateBuilder, ConnectorTicket,
    ContentCategory, CreateConnection, DeleteConnection, ExternalConnection,
    ExternalConnectionBuilder, GetConnection, ListConnections, StoredConnection, UpdateConnection,
};
pub use content_experiences::{ContentExperienceType, ContentExperiences};
pub use ensure::{CreateConnectionOnce, CreatedConnection, EnsureConnection, Made};
pub use ensure_ready::{EnsureReady, EnsuredReady};
pub use ensure_schema::{EnsureSchema, EnsuredSchema};
pub use group::{
    AddMember, CreateGroup, DeleteGroup, ExternalGroup, ExternalGroupBuilder, GetGroup,
    GroupUpdate, GroupUpdateBuilder, RemoveMember, StoredGroup, UpdateGroup,
};
pub use group_plan::{GroupPlan, GroupStep};
pub use group_record::GroupWithMembers;
pub use group_run::{
    AppliedGroupPlan, GroupCounts, GroupPlanFailed, GroupStepFailed, GroupStepFailure,
};
pub use identity::{Identity, IdentityType, StoredIdentity};
pub use item::{
    DeleteItem, ExternalItem, ExternalItemBuilder, ExternalItemContent, ExternalItemContentType,
    GetItem, ItemUpdate, ItemUpdateBuilder, PatchItem, PutItem, StoredContent,
    StoredInformationProtectionLabel, StoredItem,
};
pub use item_text::{ItemReader, ReadItem};
pub use label::Label;
pub use operation::{ConnectionOperation, ConnectionOperationStatus, GetOperation};
pub use property::{Principal, Properties, PropertyValue};
pub use quota::{ConnectionQuota, GetQuota};
pub use registration::{AwaitSchema, SchemaRegistered};
pub use schema::{GetSchema, RegisterSchema, Schema, SchemaRegistration, StoredSchema};
pub use schema_plan::{PropertyChange, SchemaChange, SchemaPlan, SchemaVerdict};
pub use schema_property::{
    ImportanceScore, PropertyType, SchemaAttribute, SchemaProperty, StoredRankingHint,
    StoredSchemaProperty,
};
pub use search_settings::{
    BinaryOperator, ComplianceSettings, DisplayTemplate, PropertyRule, RuleOperation,
    SearchSettings,
};
pub use stored_property::{StoredProperties, StoredProperty};

use crate::protocol::{Cloud, Permission, Permissions};

/// Where connectors exist.
const CLOUDS: &[Cloud] = &[Cloud::Global, Cloud::UsGovL4, Cloud::UsGovL5];

const MANAGE_CONNECTION: Permission = Permission::least(
    &["ExternalConnection.ReadWrite.OwnedBy"],
    &["ExternalConnection.ReadWrite.All"],
);
const READ_CONNECTION: Permission = Permission::least(
    &["ExternalConnection.ReadWrite.OwnedBy"],
    &["ExternalConnection.Read.All", "ExternalConnection.ReadWrite.All"],
);
const WRITE_ITEM: Permission =
    Permission::least(&["ExternalItem.ReadWrite.OwnedBy"], &["ExternalItem.ReadWrite.All"]);
const READ_ITEM: Permission = Permission::least(
    &["ExternalItem.ReadWrite.OwnedBy"],
    &["ExternalItem.Read.All", "ExternalItem.ReadWrite.All"],
);
// Microsoft's list of permissions marks two as least: neither allows all that the other does.
const READ_GROUP: Permission = Permission::least(
    &["ExternalItem.Read.All", "ExternalItem.ReadWrite.OwnedBy"],
    &["ExternalItem.ReadWrite.All"],
);

/// A work account or an application with the same permission; a personal account never.
const fn work_or_application(permission: Permission) -> Permissions {
    Permissions {
        delegated_work: permission,
        delegated_personal: Permission::NONE,
        application: permission,
    }
}
