//! `microsoft.graph.externalConnectors`: what Microsoft Search and Copilot index, and what people
//! do with it.
//!
//! One folder a resource: its types first, its operations after them, its parts and tasks in files
//! beside that. What is written is made by constructors and valid once it exists; what the service
//! answers with is named `Stored...`, keeps every member, and is never refused for its values.
//!
//! Connectors exist in the global cloud and in the US government's, not in China.

mod activity;
mod connection;
mod group;
mod identity;
mod item;
mod schema;
mod strict;

pub use activity::{
    ActivityCounts, ActivityEnd, ActivityEnds, ActivityFailure, AddActivities, AddedActivities,
    Duplicates, ExternalActivity, ExternalActivityResult, ExternalActivityType, NotAllAdded,
    StoredExternalActivity,
};
pub use connection::{
    ActivitySettings, AwaitGone, AwaitReady, BinaryOperator, ComplianceSettings, Configuration,
    ConnectionOperation, ConnectionOperationStatus, ConnectionQuota, ConnectionState,
    ConnectionUpdate, ConnectionUpdateBuilder, ConnectorTicket, ContentCategory,
    ContentExperienceType, ContentExperiences, CreateConnection, CreateConnectionOnce,
    CreatedConnection, DeleteConnection, DisplayTemplate, EnsureConnection, ExternalConnection,
    ExternalConnectionBuilder, GetConnection, GetOperation, GetQuota, ItemIdResolver,
    ListConnections, Made, PropertyRule, RuleOperation, SearchSettings, StoredConnection,
    UpdateConnection, UrlMatchInfo,
};
pub use group::{
    AddMember, AppliedGroupPlan, CreateGroup, DeleteGroup, ExternalGroup, ExternalGroupBuilder,
    GetGroup, GroupCounts, GroupPlan, GroupPlanFailed, GroupStep, GroupStepFailed,
    GroupStepFailure, GroupUpdate, GroupUpdateBuilder, GroupWithMembers, RemoveMember, StoredGroup,
    UpdateGroup,
};
pub use identity::{Identity, IdentityType, StoredIdentity};
pub use item::{
    AccessType, Acl, AclType, DeleteItem, ExternalItem, ExternalItemBuilder, ExternalItemContent,
    ExternalItemContentType, GetItem, IdentitySource, ItemReader, ItemUpdate, ItemUpdateBuilder,
    PatchItem, Principal, Properties, PropertyValue, PutItem, ReadItem, StoredAcl, StoredContent,
    StoredInformationProtectionLabel, StoredItem, StoredProperties, StoredProperty,
};
pub use schema::{
    AwaitSchema, EnsureReady, EnsureSchema, EnsuredReady, EnsuredSchema, GetSchema,
    ImportanceScore, Label, PropertyChange, PropertyType, RegisterSchema, Schema, SchemaAttribute,
    SchemaChange, SchemaPlan, SchemaProperty, SchemaRegistered, SchemaRegistration, SchemaVerdict,
    StoredRankingHint, StoredSchema, StoredSchemaProperty,
};

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
