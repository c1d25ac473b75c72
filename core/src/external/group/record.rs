//! What is known of the groups that exist: the record that a plan starts from and leaves behind.
//!
//! Lives here: a group with its members, as it is and as it may be, and what the steps of a plan
//! make of a record. Which steps to take is in `group_plan`, how they are taken in `group_run`.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Not,
};

use serde::{Deserialize, Serialize};

use super::plan::as_group;
use crate::{
    external::{ExternalGroup, GroupStep, Identity},
    types::ExternalGroupId,
};

/// A group together with its members, as it should be or as a record says that it is.
///
/// A record also holds what only may be, because a call came to an end that nobody knows: whoever
/// may have access must be known, or nobody would ever take it away again. The next
/// [`GroupPlan`](crate::external::GroupPlan) leaves nothing of that open: what may be there is created or
/// added once more, or taken away. In a group that should be, it says nothing.
///
/// It can be written down and read again, for the record that a plan starts from. In JSON, what
/// is unsure stands in members of its own, which are absent where nothing is:
///
/// ```
/// use graphfeed_core::external::GroupWithMembers;
///
/// let json = r#"{"id":"a","members":[],"unsureMembers":[{"type":"externalGroup","id":"b"}]}"#;
/// let known: GroupWithMembers = serde_json::from_str(json)?;
/// assert!(!known.is_unsure());
/// assert_eq!(known.unsure_members()[0].id(), "b");
/// assert_eq!(serde_json::to_string(&known)?, json);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupWithMembers {
    #[serde(flatten)]
    pub(super) group: ExternalGroup,
    #[serde(default)]
    pub(super) members: Vec<Identity>,
    #[serde(default, skip_serializing_if = "Not::not")]
    pub(super) unsure: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) unsure_members: Vec<Identity>,
}

impl GroupWithMembers {
    /// A group and its members, all of it sure.
    pub fn new(group: ExternalGroup, members: impl IntoIterator<Item = Identity>) -> Self {
        let members = members.into_iter().collect();
        Self { group, members, unsure: false, unsure_members: Vec::new() }
    }

    /// The group.
    pub fn group(&self) -> &ExternalGroup {
        &self.group
    }

    /// Its members, as far as they are sure.
    pub fn members(&self) -> &[Identity] {
        &self.members
    }

    /// Whether the group may not be there, or may have other texts.
    pub fn is_unsure(&self) -> bool {
        self.unsure
    }

    /// Who may be a member, and may not be.
    pub fn unsure_members(&self) -> &[Identity] {
        &self.unsure_members
    }
}

/// What became of a step, as far as it matters to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was carried out.
    Done,
    /// It was so already.
    AlreadySo,
    /// It may have been carried out.
    Unknown,
    /// It was not, for the service does not know the group, it seems.
    NoGroup,
    /// It was not, and nothing else is known.
    NotTaken,
}

/// A record that is being brought up to date.
pub(super) struct Record(BTreeMap<ExternalGroupId, Known>);

struct Known {
    group: ExternalGroup,
    unsure: bool,
    /// By id, and whether it is sure. An id is that of several only where none is.
    members: BTreeMap<Box<str>, Vec<(Identity, bool)>>,
}

impl Known {
    fn new(group: &ExternalGroup) -> Self {
        Self { group: group.clone(), unsure: false, members: BTreeMap::new() }
    }

    fn may_have(&mut self, member: &Identity) {
        let same = self.members.entry(member.id().into()).or_default();
        if !same.iter().any(|(known, _)| known == member) {
            same.push((member.clone(), false));
        }
    }

    fn may_have_lost(&mut self, member: &Identity) {
        if let Some(same) = self.members.get_mut(member.id()) {
            doubt(same);
        }
    }
}

fn doubt(members: &mut [(Identity, bool)]) {
    for (_, sure) in members {
        *sure = false;
    }
}

impl Record {
    pub(super) fn new(groups: Vec<GroupWithMembers>) -> Self {
        let known = |it: GroupWithMembers| {
            let mut members: BTreeMap<Box<str>, Vec<_>> = BTreeMap::new();
            let sure = it.members.into_iter().map(|member| (member, true));
            let unsure = it.unsure_members.into_iter().map(|member| (member, false));
            for (member, sure) in sure.chain(unsure) {
                members.entry(member.id().into()).or_default().push((member, sure));
            }
            (it.group.id().clone(), Known { group: it.group, unsure: it.unsure, members })
        };
        Self(groups.into_iter().map(known).collect())
    }

    /// The groups, in the order of their ids, with their members in the order of theirs.
    ///
    /// What becomes of a member that is a group, once that is deleted, is not documented. So where
    /// the group is not surely there, the membership is not sure either.
    pub(super) fn into_groups(self) -> Vec<GroupWithMembers> {
        let there = self.0.iter().filter(|(_, known)| !known.unsure);
        let there: BTreeSet<Box<str>> = there.map(|(id, _)| id.as_str().into()).collect();
        let group = |it: Known| {
            let mut group = GroupWithMembers::new(it.group, []);
            group.unsure = it.unsure;
            for (member, sure) in it.members.into_values().flatten() {
                let sure = sure && as_group(&member).is_none_or(|id| there.contains(id));
                let list = if sure { &mut group.members } else { &mut group.unsure_members };
                list.push(member);
            }
            group
        };
        self.0.into_values().map(group).collect()
    }

    /// What is known after a step. The record may be another than the plan was made from: that
    /// which the same plan left behind when it was taken before.
    pub(super) fn take(&mut self, step: &GroupStep, fate: Fate) {
        let done = match fate {
            Fate::NotTaken => return,
            Fate::Done | Fate::AlreadySo => true,
            Fate::Unknown | Fate::NoGroup => false,
        };
        match step {
            GroupStep::Create { group } => {
                // One that was not there has no members, whoever was one before.
                if fate == Fate::Done {
                    self.0.remove(group.id());
                }
                let known = self.0.entry(group.id().clone()).or_insert_with(|| Known::new(group));
                if done {
                    known.group = group.clone();
                }
                known.unsure = !done;
            }
            GroupStep::Delete { group } if done => drop(self.0.remove(group)),
            GroupStep::Delete { group } => {
                if let Some(known) = self.0.get_mut(group) {
                    known.unsure = true;
                    known.members.values_mut().for_each(|same| doubt(same));
                }
            }
            GroupStep::Update { group, update } => {
                if let Some(known) = self.0.get_mut(group) {
                    match done {
                        true => known.group.update(update),
                        false => known.unsure = true,
                    }
                }
            }
            GroupStep::AddMember { group, member } => {
                if let Some(known) = self.0.get_mut(group) {
                    match fate {
                        Fate::NoGroup => known.unsure = true,
                        Fate::Unknown => known.may_have(member),
                        _ => drop(
                            known.members.insert(member.id().into(), vec![(member.clone(), true)]),
                        ),
                    }
                }
            }
            GroupStep::RemoveMember { group, member } => {
                if let Some(known) = self.0.get_mut(group) {
                    match done {
                        true => drop(known.members.remove(member.id())),
                        false => known.may_have_lost(member),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Guid;

    #[test]
    fn a_record_can_be_written_down_and_read_again() {
        let ann = Identity::user(Guid::from(1_u128));
        let id = |id: &str| ExternalGroupId::new(id).unwrap();
        let nest = |name: &str, inner: &[&str]| {
            let inner = inner.iter().map(|it| Identity::external_group(&id(it)));
            GroupWithMembers::new(ExternalGroup::new(id(name)), inner)
        };
        let record = [
            GroupWithMembers::new(ExternalGroup::builder(id("a")).display_name("A").build(), [ann]),
            nest("b", &["a"]),
        ];
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(
            json,
            r#"[{"id":"a","displayName":"A","members":[{"type":"user","#.to_owned()
                + r#""id":"00000000-0000-0000-0000-000000000001"}]},"#
                + r#"{"id":"b","members":[{"type":"externalGroup","id":"a"}]}]"#
        );
        assert_eq!(serde_json::from_str::<Vec<GroupWithMembers>>(&json).unwrap(), record);
        let bare: GroupWithMembers = serde_json::from_str(r#"{"id":"b"}"#).unwrap();
        assert_eq!(bare, nest("b", &[]));
        assert_eq!((bare.is_unsure(), bare.unsure_members()), (false, &[][..]));
        assert!(serde_json::from_str::<GroupWithMembers>(r#"{"id":"a/b"}"#).is_err());

        let json = r#"{"id":"a","members":[],"unsure":true,"unsureMembers":[{"type":"#.to_owned()
            + r#""externalGroup","id":"b"}]}"#;
        let unsure: GroupWithMembers = serde_json::from_str(&json).unwrap();
        assert!(unsure.is_unsure());
        assert_eq!(unsure.unsure_members(), [Identity::external_group(&id("b"))]);
        assert_eq!(serde_json::to_string(&unsure).unwrap(), json);
    }
}
