//! Reads external groups and their members.
//!
//! Sources: externalconnection-post-groups, externalgroup-update, externalgroup-post-members (v1.0
//! and beta), resources externalGroup and identity.

use super::{Form, Member, Need, Reader, Shape, identity::IDENTITY_SOURCE};
use crate::{
    check::{self, shown},
    json::Json,
    model::GroupMember,
    path::Path,
    rules::Rule,
};

pub(super) const GROUP: Shape = Shape {
    name: "an external group",
    odata_type: "microsoft.graph.externalConnectors.externalGroup",
    members: &[
        // Required of a new one only.
        Member("id", Need::Optional, Form::AnyText),
        Member("displayName", Need::Optional, Form::Text),
        Member("description", Need::Optional, Form::Text),
        Member("members", Need::Apart, Form::Any),
    ],
};

pub(super) const MEMBER: Shape = Shape {
    name: "a member of a group",
    odata_type: "microsoft.graph.externalConnectors.identity",
    members: &[
        Member("id", Need::Required, Form::Text),
        Member("type", Need::Required, Form::AnyText),
        // In v1.0 it has a rule of its own.
        Member("identitySource", Need::Optional, Form::Word(&IDENTITY_SOURCE)),
    ],
};

/// What was sent of an external group. None: it was not sent. Some of none: it was null.
#[derive(Debug, Default)]
pub(crate) struct SentGroup {
    pub(crate) id: String,
    pub(crate) display_name: Option<Option<String>>,
    pub(crate) description: Option<Option<String>>,
}

/// A member as it was sent.
#[derive(Debug)]
pub(crate) struct SentMember {
    pub(crate) member: GroupMember,
    /// `identitySource`, if it was sent.
    pub(crate) source: Option<&'static str>,
}

impl Reader<'_> {
    /// Reads an external group that is to be made, or what is to change in that of `url_id`.
    pub(crate) fn group(&mut self, json: Json<'_>, url_id: Option<&str>) -> SentGroup {
        let Some(found) = self.members(json, &Path::ROOT, &GROUP) else {
            return SentGroup::default();
        };
        let place = Path::ROOT.name("id");
        let id = found.text("id");
        match (&id, url_id) {
            (Some(id), None) => check::external_group_id(id, place, &mut self.findings),
            (Some(id), Some(url_id)) if id != url_id => {
                let message = format!(
                    "the group is {} and stays that, whatever its body says; leave id out, or \
                     create a group {}",
                    shown(url_id),
                    shown(id)
                );
                self.refuse(Rule::ExternalGroupId, place, message);
            }
            (None, None) if found.is_missing("id") => {
                self.refuse(Rule::MemberRequired, place, "an external group needs id");
            }
            _ => {}
        }
        let text = |name| found.is_sent(name).then(|| found.text(name));
        SentGroup {
            id: id.unwrap_or_default(),
            display_name: text("displayName"),
            description: text("description"),
        }
    }

    /// Reads a member of an external group. None if it cannot be stored.
    pub(crate) fn group_member(&mut self, json: Json<'_>) -> Option<SentMember> {
        let known = self.identity(json, &Path::ROOT, &MEMBER)?;
        let member = GroupMember { kind: known.kind, id: known.id };
        Some(SentMember { member, source: known.source })
    }
}
