//! Who may see an item
//! ([acl](https://learn.microsoft.com/graph/api/resources/externalconnectors-acl)).

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{
    protocol::Version,
    types::{BuildError, ExternalGroupId, FaultList, Guid, Rule, open_enum, resource},
};

open_enum! {
    /// Whether an entry lets in or keeps out.
    pub enum AccessType {
        /// Lets in.
        Grant = "grant",
        /// Keeps out, whatever else lets in.
        Deny = "deny",
    }
}

open_enum! {
    /// What an entry is about.
    pub enum AclType {
        /// An Entra user.
        User = "user",
        /// An Entra group; in beta an external group, too.
        Group = "group",
        /// Everyone in the tenant.
        Everyone = "everyone",
        /// Everyone in the tenant who is no guest.
        EveryoneExceptGuests = "everyoneExceptGuests",
        /// A group of the connector's own (v1.0).
        ExternalGroup = "externalGroup",
    }
}

open_enum! {
    /// Where the identity of a beta acl entry lives. Beta only, which Microsoft does not support
    /// in production.
    pub enum IdentitySource {
        /// Microsoft Entra ID.
        AzureActiveDirectory = "azureActiveDirectory",
        /// The connector's external groups.
        External = "external",
    }
}

/// One entry of an item's access control list.
///
/// The constructors grant; [`deny`](Self::deny) turns an entry round. A deny beats every grant.
/// Each takes the one kind of id that is right there, so an entry that exists is valid. How an
/// external group is written depends on the version, and happens when the item is sent: v1.0
/// says `externalGroup`; beta, which Microsoft does not support in production, says `group` with
/// `identitySource` `external`.
///
/// ```
/// use graphfeed_core::external::Acl;
/// use graphfeed_core::types::{ExternalGroupId, Guid};
///
/// let user = Acl::user(Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874")?);
/// let group = Acl::external_group(ExternalGroupId::new("14m1b9c38qe647f6a")?).deny();
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Acl {
    who: Who,
    deny: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    User(Guid),
    Group(Guid),
    ExternalGroup(ExternalGroupId),
    Everyone(Guid),
    EveryoneExceptGuests(Guid),
}

impl Acl {
    /// Grants to an Entra user, by object id.
    pub fn user(object_id: Guid) -> Self {
        Self { who: Who::User(object_id), deny: false }
    }

    /// Grants to an Entra group, by object id.
    pub fn group(object_id: Guid) -> Self {
        Self { who: Who::Group(object_id), deny: false }
    }

    /// Grants to an external group of the same connection, which may be created later.
    pub fn external_group(id: ExternalGroupId) -> Self {
        Self { who: Who::ExternalGroup(id), deny: false }
    }

    /// Grants to everyone in the tenant, guests included.
    pub fn everyone(tenant: Guid) -> Self {
        Self { who: Who::Everyone(tenant), deny: false }
    }

    /// Grants to everyone in the tenant who is no guest.
    pub fn everyone_except_guests(tenant: Guid) -> Self {
        Self { who: Who::EveryoneExceptGuests(tenant), deny: false }
    }

    /// Keeps out instead of letting in.
    #[must_use]
    pub fn deny(mut self) -> Self {
        self.deny = true;
        self
    }

    /// Whether the entry keeps out.
    pub fn is_deny(&self) -> bool {
        self.deny
    }

    /// Grant or deny.
    pub fn access_type(&self) -> AccessType {
        if self.deny { AccessType::Deny } else { AccessType::Grant }
    }

    /// What the entry is about, in the words of v1.0.
    pub fn kind(&self) -> AclType {
        match self.who {
            Who::User(_) => AclType::User,
            Who::Group(_) => AclType::Group,
            Who::ExternalGroup(_) => AclType::ExternalGroup,
            Who::Everyone(_) => AclType::Everyone,
            Who::EveryoneExceptGuests(_) => AclType::EveryoneExceptGuests,
        }
    }

    /// The object id, tenant id or external group id.
    pub fn value(&self) -> String {
        match &self.who {
            Who::User(id) | Who::Group(id) | Who::Everyone(id) | Who::EveryoneExceptGuests(id) => {
                id.to_string()
            }
            Who::ExternalGroup(id) => id.to_string(),
        }
    }
}

/// An entry as one version writes it.
pub(super) struct AclIn<'a>(pub(super) &'a Acl, pub(super) Version);

impl Serialize for AclIn<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(acl, version) = self;
        let beta = *version == Version::Beta;
        let external = matches!(acl.who, Who::ExternalGroup(_));
        let mut entry = to.serialize_struct("acl", if beta { 4 } else { 3 })?;
        let kind = if beta && external { AclType::Group } else { acl.kind() };
        entry.serialize_field("type", &kind)?;
        match &acl.who {
            Who::User(id) | Who::Group(id) | Who::Everyone(id) | Who::EveryoneExceptGuests(id) => {
                entry.serialize_field("value", id)?
            }
            Who::ExternalGroup(id) => entry.serialize_field("value", id)?,
        }
        entry.serialize_field("accessType", &acl.access_type())?;
        if beta {
            let source = match external {
                true => IdentitySource::External,
                false => IdentitySource::AzureActiveDirectory,
            };
            entry.serialize_field("identitySource", &source)?;
        }
        entry.end()
    }
}

resource! {
    /// An access control entry as the service answers with it.
    pub struct StoredAcl {
        optional {
            /// Grant or deny.
            access_type: AccessType = "accessType",
            /// What the entry is about.
            kind: AclType = "type",
            /// The object id, tenant id or external group id.
            value: String = "value",
            /// Where the identity lives. Beta only, which Microsoft does not support in production.
            identity_source: IdentitySource = "identitySource",
        }
    }
}

impl StoredAcl {
    /// Whether this is `entry`, in the words of either version.
    pub fn is(&self, entry: &Acl) -> bool {
        let external = self.identity_source == Some(IdentitySource::External);
        let kind = match &self.kind {
            Some(AclType::Group) if external => Some(&AclType::ExternalGroup),
            kind => kind.as_ref(),
        };
        kind == Some(&entry.kind())
            && self.access_type == Some(entry.access_type())
            && self.value.as_ref().is_some_and(|value| match &entry.who {
                Who::ExternalGroup(id) => value == id.as_str(),
                _ => value.eq_ignore_ascii_case(&entry.value()),
            })
    }
}

/// An entry that was read, to be written again.
impl TryFrom<&StoredAcl> for Acl {
    type Error = BuildError;

    /// # Errors
    /// [`Rule::MemberRequired`], [`Rule::EnumValue`], [`Rule::UnknownFutureValue`],
    /// [`Rule::IdentitySource`], [`Rule::Guid`] or [`Rule::ExternalGroupId`]: all that keeps it from
    /// being an entry that this version writes.
    fn try_from(stored: &StoredAcl) -> Result<Self, BuildError> {
        let mut faults = FaultList::default();
        let value = stored.value.as_deref().unwrap_or_default();
        faults.require("$.value", value);
        let misplaced = match (&stored.identity_source, &stored.kind) {
            (Some(IdentitySource::Other(word)), _) => {
                faults.unknown_word("$.identitySource", word.as_str(), IdentitySource::KNOWN);
                false
            }
            (Some(IdentitySource::External), Some(kind)) => {
                !matches!(kind, AclType::Group | AclType::ExternalGroup | AclType::Other(_))
            }
            (Some(IdentitySource::AzureActiveDirectory), kind) => {
                *kind == Some(AclType::ExternalGroup)
            }
            _ => false,
        };
        if misplaced {
            let detail = "external goes with a group and with nothing else; correct it";
            faults.push(Rule::IdentitySource, "$.identitySource", detail);
        }
        let external = stored.identity_source == Some(IdentitySource::External)
            && stored.kind == Some(AclType::Group);
        let acl = match (&stored.kind, value) {
            (None, _) => {
                faults.missing("$.type");
                None
            }
            (Some(AclType::Other(word)), _) => {
                faults.unknown_word("$.type", word.as_str(), AclType::KNOWN);
                None
            }
            (Some(_), "") => None,
            (Some(kind), _) if external || *kind == AclType::ExternalGroup => {
                faults.part("$.value", ExternalGroupId::new(value)).map(Self::external_group)
            }
            (Some(kind), _) => {
                let id = faults.part("$.value", Guid::new(value));
                id.map(match kind {
                    AclType::User => Self::user,
                    AclType::Group => Self::group,
                    AclType::Everyone => Self::everyone,
                    _ => Self::everyone_except_guests,
                })
            }
        };
        let deny = match &stored.access_type {
            Some(AccessType::Grant) => false,
            Some(AccessType::Deny) => true,
            Some(AccessType::Other(word)) => {
                faults.unknown_word("$.accessType", word.as_str(), AccessType::KNOWN);
                false
            }
            None => {
                faults.missing("$.accessType");
                false
            }
        };
        faults.finish()?;
        let acl = acl.expect("what has no entry has a fault");
        Ok(if deny { acl.deny() } else { acl })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(acl: &Acl, version: Version) -> serde_json::Value {
        serde_json::to_value(AclIn(acl, version)).unwrap()
    }

    #[test]
    fn each_entry_is_written_as_the_version_wants_it() {
        let id = "e811976d-83df-4cbd-8b9b-5215b18aa874";
        let guid = Guid::new(id).unwrap();
        let external = Acl::external_group(ExternalGroupId::new("teamx").unwrap());
        for (acl, kind) in [
            (Acl::user(guid), "user"),
            (Acl::group(guid), "group"),
            (Acl::everyone(guid), "everyone"),
            (Acl::everyone_except_guests(guid), "everyoneExceptGuests"),
        ] {
            assert_eq!(
                written(&acl, Version::V1),
                json!({"type": kind, "value": id, "accessType": "grant"})
            );
            assert_eq!(
                written(&acl.deny(), Version::Beta),
                json!({"type": kind, "value": id, "accessType": "deny",
                       "identitySource": "azureActiveDirectory"})
            );
        }
        assert_eq!(
            written(&external, Version::V1),
            json!({"type": "externalGroup", "value": "teamx", "accessType": "grant"})
        );
        let other = Acl::group(guid);
        for version in [Version::V1, Version::Beta] {
            let stored: StoredAcl = serde_json::from_value(written(&external, version)).unwrap();
            assert!(stored.is(&external));
            assert_eq!(Acl::try_from(&stored).unwrap(), external);
            assert!(!stored.is(&external.clone().deny()));
            assert!(!stored.is(&other));
        }
        assert_eq!(
            written(&external, Version::Beta),
            json!({"type": "group", "value": "teamx", "accessType": "grant",
                   "identitySource": "external"})
        );
    }
    #[test]
    fn an_entry_that_was_read_is_written_again_or_says_why_not() {
        let read = |json: serde_json::Value| {
            Acl::try_from(&serde_json::from_value::<StoredAcl>(json).unwrap())
        };
        let id = "E811976D-83df-4cbd-8b9b-5215b18aa874";
        for kind in ["user", "group", "everyone", "everyoneExceptGuests"] {
            let acl = read(json!({"type": kind, "value": id, "accessType": "deny"})).unwrap();
            assert_eq!((acl.kind().as_str(), acl.is_deny()), (kind, true));
            assert_eq!(acl.value(), id.to_lowercase());
        }
        for (json, rule, place) in [
            (json!({"type": "user", "accessType": "grant"}), Rule::MemberRequired, "$.value"),
            (json!({"value": id, "accessType": "grant"}), Rule::MemberRequired, "$.type"),
            (json!({"type": "user", "value": id}), Rule::MemberRequired, "$.accessType"),
            (
                json!({"type": "planet", "value": id, "accessType": "grant"}),
                Rule::EnumValue,
                "$.type",
            ),
            (
                json!({"type": "user", "value": id, "accessType": "unknownFutureValue"}),
                Rule::UnknownFutureValue,
                "$.accessType",
            ),
            (
                json!({"type": "user", "value": id, "accessType": "grant",
                    "identitySource": "external"}),
                Rule::IdentitySource,
                "$.identitySource",
            ),
            (
                json!({"type": "externalGroup", "value": "teamx", "accessType": "grant",
                    "identitySource": "azureActiveDirectory"}),
                Rule::IdentitySource,
                "$.identitySource",
            ),
            (json!({"type": "user", "value": "a", "accessType": "grant"}), Rule::Guid, "$.value"),
        ] {
            let refused = read(json).unwrap_err();
            let fault = &refused.faults()[0];
            assert_eq!((fault.rule, &*fault.place), (rule, place));
        }
    }
}
