//! Every operation of this crate in one list, which the README's table is held against.

use crate::{
    activity::{
        DeleteActivity, DeleteHistoryItem, ListActivities, PutActivity, PutHistoryItem,
        RecentActivities,
    },
    external::{
        AddActivities, CreateConnection, DeleteConnection, DeleteItem, GetConnection, GetItem,
        GetOperation, GetQuota, GetSchema, ListConnections, PatchItem, PutItem, RegisterSchema,
        UpdateConnection,
    },
    protocol::{Endpoint, Route},
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
    PutActivity::ROUTE,
    ListActivities::ROUTE,
    RecentActivities::ROUTE,
    DeleteActivity::ROUTE,
    PutHistoryItem::ROUTE,
    DeleteHistoryItem::ROUTE,
];
