//! Every operation of this crate in one list, which the README's table is held against.

use crate::{
    activity::{
        DeleteActivity, DeleteHistoryItem, ListActivities, PutActivity, PutHistoryItem,
        RecentActivities,
    },
    external::{
        AddActivities, AddMember, CreateConnection, CreateGroup, DeleteConnection, DeleteGroup,
        DeleteItem, GetConnection, GetGroup, GetItem, GetOperation, GetQuota, GetSchema,
        ListConnections, PatchItem, PutItem, RegisterSchema, RemoveMember, UpdateConnection,
        UpdateGroup,
    },
    protocol::{Batch, Endpoint, Route},
};

/// Every operation of this crate, as data.
pub const ALL: &[Route] = &[
    CreateConnection::ROUTE,
    ListConnections::ROUTE,
    GetConnection::ROUTE,
    UpdateConnection::ROUTE,
    DeleteConnection::ROUTE,
    GetQuota::ROUTE,
    RegisterSchema::ROUTE,
    GetSchema::ROUTE,
    GetOperation::ROUTE,
    PutItem::ROUTE,
    GetItem::ROUTE,
    PatchItem::ROUTE,
    DeleteItem::ROUTE,
    AddActivities::ROUTE,
    CreateGroup::ROUTE,
    GetGroup::ROUTE,
    UpdateGroup::ROUTE,
    DeleteGroup::ROUTE,
    AddMember::ROUTE,
    RemoveMember::ROUTE,
    PutActivity::ROUTE,
    ListActivities::ROUTE,
    RecentActivities::ROUTE,
    DeleteActivity::ROUTE,
    PutHistoryItem::ROUTE,
    DeleteHistoryItem::ROUTE,
    Batch::<()>::ROUTE,
];
