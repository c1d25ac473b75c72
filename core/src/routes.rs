//! Every operation of this crate in one list, which the README's table is held against.

use crate::{
    activity::{ListActivities, PutActivity, PutHistoryItem},
    external::{
        AddActivities, CreateConnection, DeleteConnection, GetConnection, GetItem, GetOperation,
        GetSchema, PutItem, RegisterSchema,
    },
    protocol::{Endpoint, Route},
};

/// Every operation of this crate, as data.
pub const ALL: &[Route] = &[
    CreateConnection::ROUTE,
    GetConnection::ROUTE,
    DeleteConnection::ROUTE,
    RegisterSchema::ROUTE,
    GetSchema::ROUTE,
    GetOperation::ROUTE,
    PutItem::ROUTE,
    GetItem::ROUTE,
    AddActivities::ROUTE,
    PutActivity::ROUTE,
    ListActivities::ROUTE,
    PutHistoryItem::ROUTE,
];
