//! What a token must allow for a route, as data: our own reading of the pages of the operations.
//!
//! Nothing is decided here; `authorization/` compares a token with it.

/// The permissions that are enough for a route, by the kind of token; least privileged first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// For a signed-in user. None: the route does not take such a token.
    pub(crate) delegated: Option<&'static [&'static str]>,
    /// For an application by itself. None: the route does not take such a token.
    pub(crate) application: Option<&'static [&'static str]>,
}

const fn both(permissions: &'static [&'static str]) -> Access {
    Access { delegated: Some(permissions), application: Some(permissions) }
}

/// The pages post-connections, connection update and delete, patch-schema.
pub(crate) const CONNECTION_WRITE: Access =
    both(&["ExternalConnection.ReadWrite.OwnedBy", "ExternalConnection.ReadWrite.All"]);

/// The pages connection get and list, schema-get, connectionoperation-get.
pub(crate) const CONNECTION_READ: Access = both(&[
    "ExternalConnection.ReadWrite.OwnedBy",
    "ExternalConnection.Read.All",
    "ExternalConnection.ReadWrite.All",
]);

/// The page connectionquota-get, of beta: the only one to know a single permission.
pub(crate) const QUOTA: Access =
    Access { delegated: None, application: Some(&["ExternalConnection.ReadWrite.OwnedBy"]) };

/// The pages put-items, externalitem update and delete, and those of groups and members.
pub(crate) const ITEM_WRITE: Access =
    both(&["ExternalItem.ReadWrite.OwnedBy", "ExternalItem.ReadWrite.All"]);

/// The pages externalitem-get and externalgroup-get.
pub(crate) const ITEM_READ: Access = both(&[
    "ExternalItem.ReadWrite.OwnedBy",
    "ExternalItem.Read.All",
    "ExternalItem.ReadWrite.All",
]);

/// The page addActivities: of all item calls the only one without users.
pub(crate) const ADD_ACTIVITIES: Access = Access { delegated: None, ..ITEM_WRITE };

/// The pages of user activities: users only, and one permission for everything.
pub(crate) const USER_ACTIVITY: Access =
    Access { delegated: Some(&["UserActivity.ReadWrite.CreatedByApp"]), application: None };

/// `$batch` itself needs nothing; each of its parts does.
pub(crate) const ANYBODY: Access = both(&[]);
