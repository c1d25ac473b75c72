//! Who did something, and who is in a group
//! ([identity](https://learn.microsoft.com/graph/api/resources/externalconnectors-identity)).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::types::{BuildError, ExternalGroupId, Fault, Guid, Rule, open_enum, quote, resource};

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
/// It can be written down and read again, and is checked then as by the constructors.
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
        match kind {
            IdentityType::User => Guid::new(&id).map(Self::user),
            IdentityType::Group => Guid::new(&id).map(Self::group),
            IdentityType::ExternalGroup => {
                ExternalGroupId::new(id).map(|id| Self::external_group(&id))
            }
            IdentityType::Other(_) => {
                let known = IdentityType::KNOWN.join(", ");
                let detail = format!("{} is none of {known}", quote(kind.as_str()));
                Err(Fault::new(Rule::MemberType, "$.type", detail).into())
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

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
            (r#"{"type":"robot","id":"r2"}"#, Rule::MemberType),
        ] {
            let refused = serde_json::from_str::<Identity>(json).unwrap_err().to_string();
            assert!(refused.contains(&format!("[{rule}]")), "{refused}");
        }
    }
}
