//! External groups and their members.
//!
//! Sources: the pages externalconnection-post-groups, externalgroup get, update and delete,
//! externalgroup-post-members, identity-delete.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;

use super::{Run, context, states::Use};
use crate::{
    answer::Answer,
    check::{is_guid, shown},
    findings::{Findings, Refusal},
    incoming::Call,
    model::{Group, GroupMember},
    options::Behaviour,
    path::Path,
    read::SentMember,
    rules::Rule,
    write::Object,
};

/// What the service was seen to say of a user or group whose id is no GUID.
const NO_GUID: &str = "InvalidGuidForAadMemberType";

impl Run<'_> {
    pub(super) fn create_group(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        self.connection(call, Use::ChangeGroups)?;
        let mut reader = self.reader(call);
        let sent = reader.group(call.body()?, None);
        self.accept(reader.findings)?;

        let connection = self.connection(call, Use::ChangeGroups)?;
        if connection.groups.contains_key(&sent.id) {
            return Err(Refusal::new(
                Rule::AlreadyExists,
                "$.id",
                format!(
                    "connection {:?} has a group {:?} already; use it, or choose another id",
                    connection.id, sent.id
                ),
            ));
        }
        let group = Group {
            id: sent.id,
            display_name: sent.display_name.flatten(),
            description: sent.description.flatten(),
            members: Vec::new(),
        };
        let answer = answer(StatusCode::CREATED, call, &group);
        connection.groups.insert(group.id.clone(), group);
        Ok(answer)
    }

    pub(super) fn get_group(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        Ok(answer(StatusCode::OK, call, self.group(call, Use::Read)?))
    }

    pub(super) fn update_group(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        self.group(call, Use::ChangeGroups)?;
        let mut reader = self.reader(call);
        let sent = reader.group(call.body()?, Some(call.arg(1)));
        self.accept(reader.findings)?;

        let group = self.group(call, Use::ChangeGroups)?;
        if let Some(name) = sent.display_name {
            group.display_name = name;
        }
        if let Some(description) = sent.description {
            group.description = description;
        }
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    }

    /// Where it is a member of another group, it stays that.
    pub(super) fn delete_group(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        self.group(call, Use::ChangeGroups)?;
        self.connection(call, Use::ChangeGroups)?.groups.remove(call.arg(1));
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    }

    pub(super) fn add_member(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let behaviour = &self.options.behaviour;
        self.group(call, Use::ChangeGroups)?;
        let mut reader = self.reader(call);
        let sent = reader.group_member(call.body()?);
        if let Some(SentMember { member, .. }) = &sent
            && member.kind == "externalGroup"
        {
            let groups = &self.connection(call, Use::ChangeGroups)?.groups;
            judge_nested(groups, call.arg(1), &member.id, behaviour, &mut reader.findings);
        }
        let sent = self.accepted(sent, reader.findings);
        let SentMember { member, source } = sent.map_err(|mut refusal| {
            if refusal.faults.first().is_some_and(|fault| fault.rule == Rule::Guid) {
                refusal.code = Some(NO_GUID.to_owned());
            }
            refusal
        })?;

        let group = self.group(call, Use::ChangeGroups)?;
        if group.members.iter().any(|old| is_same(&old.id, &member.id)) {
            return Err(Refusal::new(
                Rule::AlreadyExists,
                "$.id",
                format!("group {:?} has the member {} already", group.id, shown(&member.id)),
            ));
        }
        let metadata = format!(
            "external/connections('{}')/groups('{}')/members/$entity",
            call.arg(0),
            call.arg(1)
        );
        let answer = Answer::object(StatusCode::CREATED, |body| {
            body.text("@odata.context", &context(call, &metadata));
            write_member(body, &member, source);
        });
        group.members.push(member);
        Ok(answer)
    }

    pub(super) fn remove_member(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let group = self.group(call, Use::ChangeGroups)?;
        let id = call.arg(2);
        let Some(at) = group.members.iter().position(|member| is_same(&member.id, id)) else {
            return Err(Refusal::new(
                Rule::NotFound,
                "member id",
                format!("group {:?} has no member {}", group.id, shown(id)),
            ));
        };
        group.members.remove(at);
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    }

    fn group(&mut self, call: &Call<'_>, wanted: Use) -> Result<&mut Group, Refusal> {
        let connection = self.connection(call, wanted)?;
        let (id, group) = (&connection.id, call.arg(1));
        let not_found = || {
            Refusal::new(
                Rule::NotFound,
                "group id",
                format!(
                    "there is no group {} in connection {}; create it first",
                    shown(group),
                    shown(id)
                ),
            )
        };
        connection.groups.get_mut(group).ok_or_else(not_found)
    }
}

/// Whether two ids of members are the same: letter case does not matter in a GUID.
fn is_same(one: &str, other: &str) -> bool {
    one == other || is_guid(one) && one.eq_ignore_ascii_case(other)
}

/// Judges an external group as a member of another one.
fn judge_nested(
    groups: &BTreeMap<String, Group>,
    group: &str,
    member: &str,
    behaviour: &Behaviour,
    findings: &mut Findings,
) {
    let place = Path::ROOT.name("id");
    if has(groups, member, group) {
        let verdict = behaviour.group_cycle;
        findings.judge(verdict, "group-cycle", Rule::GroupCycle, place, || {
            format!(
                "with the member {} group {} would be a member of itself; leave one of them out",
                shown(member),
                shown(group)
            )
        });
    } else if !groups.contains_key(member) {
        let verdict = behaviour.group_unknown;
        findings.judge(verdict, "group-unknown", Rule::GroupUnknown, place, || {
            format!("the connection has no group {}; create it first", shown(member))
        });
    }
}

/// Whether `inner` is `outer`, or a member of it, however far removed.
fn has(groups: &BTreeMap<String, Group>, outer: &str, inner: &str) -> bool {
    let (mut seen, mut rest) = (BTreeSet::from([outer]), vec![outer]);
    while let Some(id) = rest.pop() {
        if id == inner {
            return true;
        }
        let members = groups.get(id).into_iter().flat_map(|group| &group.members);
        let nested = members.filter(|member| member.kind == "externalGroup");
        rest.extend(nested.map(|member| &*member.id).filter(|id| seen.insert(id)));
    }
    false
}

fn answer(status: StatusCode, call: &Call<'_>, group: &Group) -> Answer {
    let metadata = format!("external/connections('{}')/groups/$entity", call.arg(0));
    Answer::object(status, |body| {
        body.text("@odata.context", &context(call, &metadata));
        body.text("id", &group.id);
        body.text_or_null("displayName", group.display_name.as_deref());
        body.text_or_null("description", group.description.as_deref());
    })
}

/// A member in the words that it was sent in: with `identitySource` an external group is a `group`.
fn write_member(body: &mut Object<'_>, member: &GroupMember, source: Option<&'static str>) {
    body.text("id", &member.id);
    match source {
        Some("external") => body.text("type", "group"),
        _ => body.text("type", member.kind),
    }
    if let Some(source) = source {
        body.text("identitySource", source);
    }
}
