//! Who did something, and who is in a group
//! ([identity](https://learn.microsoft.com/graph/api/resources/externalconnectors-identity)).

use std::fmt;

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use crate::types::Rule;
use crate::types::{BuildError, ExternalGroupId, FaultList, Guid, RawJson, open_enum, resource};

open_enum! {
    /// What an identity is.
    pub enum IdentityType {
        /// An Entra user.
        User = "user",
        /// An Entra group.
        Group = "group",
        /// A group of the connector's own.
        ExternalGroup = "externalGroup",
    }
}

/// Who did something, or who is a member of an external group
/// ([identity](https://learn.microsoft.com/graph/api/resources/externalconnectors-identity)).
///
/// It can be written down and read again, and is checked then as by the constructors. So is one
/// that the service [answered with](StoredIdentity):
///
/// ```
/// use graphfeed_core::external::{Identity, StoredIdentity};
/// use graphfeed_core::types::Rule;
///
/// let json = r#"{"type":"user","id":"e811976d-83df-4cbd-8b9b-5215b18aa874"}"#;
/// let stored: StoredIdentity = serde_json::from_str(json)?;
/// assert_eq!(Identity::try_from(&stored)?, serde_json::from_str(json)?);
///
/// let refused = Identity::try_from(&StoredIdentity::default()).unwrap_err();
/// assert!(refused.breaks(Rule::MemberRequired));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Identity {
    #[serde(rename = "type")]
    kind: IdentityType,
    id: Box<str>,
}

impl Identity {
    /// An Entra user, by object id.
    pub fn user(object_id: Guid) -> Self {
        Self { kind: IdentityType::User, id: object_id.to_string().into() }
    }

    /// An Entra group, by object id.
    pub fn group(object_id: Guid) -> Self {
        Self { kind: IdentityType::Group, id: object_id.to_string().into() }
    }

    /// An external group of the same connection.
    pub fn external_group(id: &ExternalGroupId) -> Self {
        Self { kind: IdentityType::ExternalGroup, id: id.as_str().into() }
    }

    /// What it is.
    pub fn kind(&self) -> &IdentityType {
        &self.kind
    }

    /// The object id or external group id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            IdentityType::ExternalGroup => "external group",
            _ => self.kind.as_str(),
        })?;
        write!(f, " {}", self.id)
    }
}

/// An identity as it was written, not yet checked.
#[derive(Deserialize)]
struct Written {
    #[serde(rename = "type")]
    kind: IdentityType,
    id: String,
}

impl TryFrom<Written> for Identity {
    type Error = BuildError;

    fn try_from(Written { kind, id }: Written) -> Result<Self, BuildError> {
        let mut faults = FaultList::default();
        if let IdentityType::Other(word) = &kind {
            faults.unknown_word("$.type", word.as_str(), IdentityType::KNOWN);
        }
        faults.require("$.id", &id);
        let identity = match kind {
            _ if id.is_empty() => None,
            IdentityType::User => faults.part("$.id", Guid::new(&id)).map(Self::user),
            IdentityType::Group => faults.part("$.id", Guid::new(&id)).map(Self::group),
            IdentityType::ExternalGroup => {
                let id = faults.part("$.id", ExternalGroupId::new(id));
                id.map(|id| Self::external_group(&id))
            }
            IdentityType::Other(_) => None,
        };
        faults.finish()?;
        Ok(identity.expect("what is no identity has a fault"))
    }
}

resource! {
    /// An identity as the service answers with it.
    pub struct StoredIdentity {
        optional {
            /// The object id or external group id.
            id: String = "id",
            /// What it is.
            kind: IdentityType = "type",
        }
    }
}

impl TryFrom<&StoredIdentity> for Identity {
    type Error = BuildError;

    /// The identity, to be written again.
    ///
    /// Where beta says by `identitySource` that a `group` is an external one, as its table of
    /// [members](https://learn.microsoft.com/graph/api/externalconnectors-externalgroup-post-members?view=graph-rest-beta)
    /// has it, it is taken for that.
    ///
    /// # Errors
    /// [`Rule::MemberRequired`] without an id or a type, [`Rule::EnumValue`] and
    /// [`Rule::UnknownFutureValue`] for a type that cannot be written, [`Rule::Guid`] and
    /// [`Rule::ExternalGroupId`] for an id that the type cannot have.
    fn try_from(stored: &StoredIdentity) -> Result<Self, BuildError> {
        let kind = stored.kind.as_ref().map_or("", IdentityType::as_str);
        let id = stored.id.as_deref().unwrap_or_default();
        let source = stored.other.get("identitySource").map(RawJson::get);
        let kind = match IdentityType::from(kind) {
            IdentityType::Group if source == Some("\"external\"") => IdentityType::ExternalGroup,
            kind => kind,
        };
        Written { kind, id: id.to_owned() }.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Rule;

    #[test]
    fn what_the_service_answers_with_is_an_identity_or_told_why_not() {
        let guid = Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874").unwrap();
        let team = ExternalGroupId::new("teamx").unwrap();
        let stored =
            |json: &str| Identity::try_from(&serde_json::from_str::<StoredIdentity>(json).unwrap());
        for (json, identity) in [
            (
                r#"{"id":"E811976D-83DF-4CBD-8B9B-5215B18AA874","type":"user","name":"Ann"}"#,
                Identity::user(guid),
            ),
            (r#"{"id":"teamx","type":"externalgroup"}"#, Identity::external_group(&team)),
            (
                r#"{"id":"teamx","type":"group","identitySource":"external"}"#,
                Identity::external_group(&team),
            ),
            (
                r#"{"id":"e811976d-83df-4cbd-8b9b-5215b18aa874","type":"group","identitySource":"azureActiveDirectory"}"#,
                Identity::group(guid),
            ),
        ] {
            assert_eq!(stored(json).unwrap(), identity);
        }
        for (json, rules) in [
            ("{}", &[(Rule::MemberRequired, "$.type"), (Rule::MemberRequired, "$.id")][..]),
            (r#"{"id":null,"type":"user"}"#, &[(Rule::MemberRequired, "$.id")]),
            (r#"{"id":"r2","type":"robot"}"#, &[(Rule::EnumValue, "$.type")]),
        ] {
            let refused = stored(json).unwrap_err();
            let found: Vec<_> =
                refused.faults().iter().map(|fault| (fault.rule, &*fault.place)).collect();
            assert_eq!(found, rules, "{json}");
        }
        assert!(stored(r#"{"id":"teamx","type":"group"}"#).unwrap_err().breaks(Rule::Guid));
    }

    #[test]
    fn an_identity_that_is_read_is_one_that_could_be_made() {
        let guid = Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874").unwrap();
        let team = ExternalGroupId::new("teamx").unwrap();
        for (identity, json, text) in [
            (
                Identity::user(guid),
                r#"{"type":"user","id":"e811976d-83df-4cbd-8b9b-5215b18aa874"}"#,
                "user e811976d-83df-4cbd-8b9b-5215b18aa874",
            ),
            (
                Identity::group(guid),
                r#"{"type":"group","id":"e811976d-83df-4cbd-8b9b-5215b18aa874"}"#,
                "group e811976d-83df-4cbd-8b9b-5215b18aa874",
            ),
            (
                Identity::external_group(&team),
                r#"{"type":"externalGroup","id":"teamx"}"#,
                "external group teamx",
            ),
        ] {
            assert_eq!(serde_json::to_string(&identity).unwrap(), json);
            assert_eq!(serde_json::from_str::<Identity>(json).unwrap(), identity);
            assert_eq!(identity.to_string(), text);
        }
        // As the resource's page spells it.
        let lower: Identity =
            serde_json::from_str(r#"{"id":"teamx","type":"externalgroup"}"#).unwrap();
        assert_eq!(lower, Identity::external_group(&team));
        for (json, rule) in [
            (r#"{"type":"user","id":"john@contoso.com"}"#, Rule::Guid),
            (r#"{"type":"group","id":"teamx"}"#, Rule::Guid),
            (r#"{"type":"externalGroup","id":"../x"}"#, Rule::ExternalGroupId),
            (r#"{"type":"robot","id":"r2"}"#, Rule::EnumValue),
        ] {
            let refused = serde_json::from_str::<Identity>(json).unwrap_err().to_string();
            assert!(refused.contains(&format!("[{rule}]")), "{refused}");
        }
    }
}
