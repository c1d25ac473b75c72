//! Reads who is meant: by an acl entry, as a member of a group, as the one who did something.
//!
//! Sources: resources identity (v1.0), acl and externalGroupMember (beta).

use super::{Form, Found, Member, Need, Reader, Shape, Words};
use crate::{check, json::Json, path::Path, rules::Rule, target::Version};

pub(super) const IDENTITY_SOURCE: Words =
    Words { name: "identitySourceType", known: &["azureActiveDirectory", "external"] };

pub(super) const IDENTITY_TYPE: Words =
    Words { name: "identityType", known: &["user", "group", "externalGroup"] };

/// Who did something on an item.
pub(super) const IDENTITY: Shape = Shape {
    name: "an identity",
    odata_type: "microsoft.graph.externalConnectors.identity",
    members: &[
        Member("id", Need::Required, Form::Text),
        Member("type", Need::Required, Form::AnyText),
    ],
};

/// An identity with all that it needs.
pub(super) struct Known {
    /// The type in the words of v1.0.
    pub(super) kind: &'static str,
    pub(super) id: String,
    /// `identitySource`, if it was sent.
    pub(super) source: Option<&'static str>,
}

impl Reader<'_> {
    /// Reads an identity against the table of its type.
    pub(super) fn identity(
        &mut self,
        json: Json<'_>,
        path: &Path<'_>,
        shape: &'static Shape,
    ) -> Option<Known> {
        let found = self.members(json, path, shape)?;
        let kind = found.text("type").and_then(|kind| match &*kind {
            // The page of the resource spells it so; the metadata has externalGroup.
            "externalgroup" => Some("externalGroup"),
            other if self.word(other, &path.name("type"), &IDENTITY_TYPE) => {
                IDENTITY_TYPE.find_in_any_case(other)
            }
            _ => None,
        });
        let kind = self.sourced(&found, kind, path);
        let id = found.text("id");
        let place = path.name("id");
        match (kind, &id) {
            (Some("externalGroup"), Some(id)) => {
                check::external_group_id(id, place, &mut self.findings);
            }
            (Some(kind), Some(id)) => {
                let what = format!("the object id of a {kind}");
                check::guid(id, place, &what, &mut self.findings);
            }
            _ => {}
        }
        let source = found.word("identitySource", &IDENTITY_SOURCE);
        Some(Known { kind: kind?, id: id?, source })
    }

    /// The type of an identity in the words of v1.0, after a look at its `identitySource`.
    pub(super) fn sourced(
        &mut self,
        found: &Found<'_>,
        kind: Option<&'static str>,
        path: &Path<'_>,
    ) -> Option<&'static str> {
        let source = found.word("identitySource", &IDENTITY_SOURCE);
        let place = path.name("identitySource");
        if found.is_sent("identitySource") && self.version == Version::V1 {
            let verdict = self.behaviour.identity_source_v1;
            self.findings.judge(verdict, "identity-source-v1", Rule::IdentitySource, place, || {
                "v1.0 has no identitySource; leave it out, and write an external group as \
                 type externalGroup"
                    .to_owned()
            });
        } else {
            match (source, kind) {
                (Some("external"), Some(other)) if other != "group" => {
                    let message = format!("identitySource external goes with group, not {other}");
                    self.refuse(Rule::IdentitySource, place, message);
                }
                (Some("azureActiveDirectory"), Some("externalGroup")) => {
                    let message = "an externalGroup is not in azureActiveDirectory; \
                                   leave identitySource out";
                    self.refuse(Rule::IdentitySource, place, message);
                }
                _ => {}
            }
        }
        match (source, kind) {
            (Some("external"), Some("group")) => Some("externalGroup"),
            _ => kind,
        }
    }
}
