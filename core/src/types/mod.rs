//! Vocabulary: the values that every floor above speaks in, and nothing that knows a request.
//!
//! Lives here: refusals ([`BuildError`], [`Rule`]), validated ids, GUIDs, timestamps, open
//! enumerations, partial changes ([`Change`]), somebody else's JSON, secrets. May not live here: routes, resources, HTTP.

mod change;
mod fault;
mod guid;
mod id;
mod json;
mod json_object;
mod open_enum;
mod place;
mod resource;
mod secret;
mod timestamp;
mod token_claims;

pub use change::Change;
pub use fault::{BuildError, Fault, Rule, Severity};
pub use guid::Guid;
pub use id::{AppActivityId, ConnectionId, ExternalGroupId, ItemId, OperationId, UserActivityId};
pub use json::{OtherMembers, RawJson};
pub use open_enum::UnknownMember;
pub use secret::{AccessToken, Secret};
pub use timestamp::Timestamp;
pub use token_claims::{TokenClaims, TokenKind};

pub(crate) use fault::{FaultList, quote};
pub(crate) use json_object::{JsonObject, write_text};
pub(crate) use open_enum::{UNKNOWN_FUTURE_VALUE, open_enum};
pub(crate) use place::member;
pub(crate) use resource::{Key, Lenient, default_if_optional, lenient_as_strict, read, resource};
