//! A user's own activities and their history (`/me/activities`), once known as Project Rome.
//!
//! Delegated tokens only, `UserActivity.ReadWrite.CreatedByApp`, and the global cloud only. Two
//! ids matter: the app names an activity ([`AppActivityId`](crate::types::AppActivityId)), the
//! server names it again ([`UserActivityId`](crate::types::UserActivityId)), and history goes by
//! the server's.

mod history;
mod options;
mod user_activity;

pub use history::{ActivityHistoryItem, DeleteHistoryItem, PutHistoryItem, StoredHistoryItem};
pub use options::{ActivityOptions, LastModified};
pub use user_activity::{
    DeleteActivity, ImageInfo, ListActivities, PutActivity, RecentActivities, StoredActivity,
    UserActivity, UserActivityBuilder, VisualInfo,
};

use http::StatusCode;

use crate::{
    protocol::{Answer, Cloud, DecodeError, DecodeKind, Permission, Permissions},
    types::{Lenient, open_enum},
};

open_enum! {
    /// What the service thinks of an activity or history item; set by the service.
    pub enum Status {
        /// In use.
        Active = "active",
        /// Written.
        Updated = "updated",
        /// Deleted.
        Deleted = "deleted",
        /// Not heeded.
        Ignored = "ignored",
    }
}

/// What a PUT did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put<T> {
    /// There was none; there is now (201).
    Created(T),
    /// There was one; it is replaced (200).
    Replaced(T),
}

impl<T> Put<T> {
    /// What the service holds now.
    pub fn into_inner(self) -> T {
        match self {
            Self::Created(stored) | Self::Replaced(stored) => stored,
        }
    }

    /// What the service holds now.
    pub fn get(&self) -> &T {
        match self {
            Self::Created(stored) | Self::Replaced(stored) => stored,
        }
    }

    fn parse(answer: &Answer<'_>) -> Result<Self, DecodeError>
    where
        T: serde::de::DeserializeOwned + Lenient,
    {
        match answer.status() {
            StatusCode::CREATED => answer.resource().map(Self::Created),
            StatusCode::OK => answer.resource().map(Self::Replaced),
            other => {
                let why = format!("{other} says neither created (201) nor replaced (200)");
                Err(DecodeError::new(DecodeKind::Shape, why))
            }
        }
    }
}

const CLOUDS: &[Cloud] = &[Cloud::Global];

const PERMISSION: Permission = Permission::least(&["UserActivity.ReadWrite.CreatedByApp"], &[]);
const PERMISSIONS: Permissions = Permissions {
    delegated_work: PERMISSION,
    delegated_personal: PERMISSION,
    application: Permission::NONE,
};
