//! From the groups that exist to those that should: the calls to make, in an order that is right.
//!
//! Lives here: the plan as plain data. The record that it starts from is in `group_record`, the
//! task that carries it out in `group_run`, the calls themselves are in `group`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::record::{Fate, Record};
use crate::{
    external::{ExternalGroup, GroupUpdate, GroupWithMembers, Identity, IdentityType},
    types::{BuildError, ConnectionId, ExternalGroupId, FaultList, Rule},
};

/// What is to be done so that the groups of a connection are those that should be.
///
/// No document tells how to list groups or members, so what exists is a record that the caller
/// keeps: what [`AppliedGroupPlan::record`](crate::external::AppliedGroupPlan::record) gives, written down,
/// is what the next plan starts from. A group that exists and is not wanted is deleted. What the
/// record does not know of stays as it is: a group that turns out to be there already gets the
/// wanted texts, and keeps its other members.
///
/// What the record is [unsure](GroupWithMembers) of is made sure: a member is added or removed
/// once more, a group created or deleted once more. So whatever failed before, once no call fails
/// any more the groups are those that should be, and nobody keeps access that they should not
/// have.
///
/// Whoever loses access loses it first: the steps remove members, then delete groups (the
/// containing one first), then create groups (a group that is a member before the one that
/// contains it), update them and at last add members. On the way no group comes to contain itself.
/// Every step may be taken twice.
///
/// That something is missing (404) counts as its removal, also where it is the connection that is
/// missing: then none of its groups is there either. See
/// [`Deleted`](crate::protocol::Deleted).
///
/// ```
/// use graphfeed_core::external::{ExternalGroup, GroupPlan, GroupWithMembers, Identity};
/// use graphfeed_core::types::{ConnectionId, ExternalGroupId, Guid};
///
/// let id = ExternalGroupId::new;
/// let ann = Identity::user(Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874")?);
/// let support = ExternalGroup::new(id("support")?);
/// let everybody = ExternalGroup::builder(id("everybody")?).display_name("Everybody").build();
///
/// let record = [GroupWithMembers::new(everybody.clone(), [ann.clone()])];
/// let wanted = [
///     GroupWithMembers::new(everybody, [Identity::external_group(support.id())]),
///     GroupWithMembers::new(support, [ann]),
/// ];
/// let plan = GroupPlan::between(&ConnectionId::new("contosohr")?, &wanted, &record)?;
/// let steps: Vec<String> = plan.steps().iter().map(|step| step.to_string()).collect();
/// assert_eq!(
///     steps,
///     [
///         "remove user e811976d-83df-4cbd-8b9b-5215b18aa874 from everybody",
///         "create support",
///         "add user e811976d-83df-4cbd-8b9b-5215b18aa874 to support",
///         "add external group support to everybody",
///     ]
/// );
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
///
/// With a client it is carried out by `client.run(&plan)`, one step after the other, each with
/// the total time of a call of its own. A step that the service refuses is passed over, and with
/// it what depends on it: the members of a group that is not there, and that group as a member; a
/// member whose id still is that of another; and where groups that should go could close a circle
/// with those that should come, every group as a member. What stands in the way of all steps ends
/// the run: no answer, a service that fails, no permission, no connection. What became of each
/// step is in the [outcome](crate::external::AppliedGroupPlan), and so is the record:
///
/// ```
/// # use graphfeed_core::client::{Client, SendOptions, VirtualClock};
/// # use graphfeed_core::external::{ExternalGroup, GroupPlan, GroupWithMembers};
/// # use graphfeed_core::protocol::ServiceRoot;
/// # use graphfeed_core::types::{AccessToken, ConnectionId, ExternalGroupId};
/// # let answers = |_: http::Request<bytes::Bytes>, _: &SendOptions| {
/// #     Ok(http::Response::builder().status(201).body("{}".into()).unwrap())
/// # };
/// # let client = Client::builder(ServiceRoot::v1(), AccessToken::new("token")?)
/// #     .build(answers, VirtualClock::default());
/// # let record = Vec::new();
/// # let wanted = [GroupWithMembers::new(ExternalGroup::new(ExternalGroupId::new("a")?), [])];
/// # let write_down = |_: &[GroupWithMembers]| {};
/// let plan = GroupPlan::between(&ConnectionId::new("contosohr")?, &wanted, &record)?;
/// write_down(&plan.in_doubt(record.clone())); // Should the program end on the way.
/// let applied = client.run(&plan)?;
/// let record = applied.record(record);
/// write_down(&record); // Whether or not all went well.
/// # assert_eq!(record, wanted);
/// println!("{}", applied.into_result()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlan {
    pub(super) connection: ConnectionId,
    pub(super) steps: Vec<GroupStep>,
    /// Whether a group would contain itself if what is to go stayed.
    pub(super) crossing: bool,
}

/// One step of a [`GroupPlan`]: one call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupStep {
    /// A group is created. Where it turns out to be there already, a second call sets its texts.
    #[non_exhaustive]
    Create {
        /// The group.
        group: ExternalGroup,
    },
    /// The texts of a group change.
    #[non_exhaustive]
    Update {
        /// Of which group.
        group: ExternalGroupId,
        /// To what.
        update: GroupUpdate,
    },
    /// A group gets a member.
    #[non_exhaustive]
    AddMember {
        /// Which group.
        group: ExternalGroupId,
        /// Whom.
        member: Identity,
    },
    /// A group loses a member.
    #[non_exhaustive]
    RemoveMember {
        /// Which group.
        group: ExternalGroupId,
        /// Whom.
        member: Identity,
    },
    /// A group is deleted.
    #[non_exhaustive]
    Delete {
        /// Which one.
        group: ExternalGroupId,
    },
}

impl fmt::Display for GroupStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { group } => write!(f, "create {}", group.id()),
            Self::Update { group, .. } => write!(f, "update {group}"),
            Self::AddMember { group, member } => write!(f, "add {member} to {group}"),
            Self::RemoveMember { group, member } => write!(f, "remove {member} from {group}"),
            Self::Delete { group } => write!(f, "delete {group}"),
        }
    }
}

impl GroupPlan {
    /// The steps that lead in `connection` to the groups that are `wanted`, from those that exist.
    /// The order of either list does not matter.
    ///
    /// # Errors
    /// Every fault at once: [`Rule::GroupTwice`] when a list names a group twice, or a group a
    /// member (by id, for that is how the service names members); [`Rule::GroupUnknown`] when a
    /// wanted group has a member that is no wanted group; [`Rule::GroupCycle`] when wanted groups
    /// contain themselves, with the way round.
    pub fn between(
        connection: &ConnectionId,
        wanted: &[GroupWithMembers],
        existing: &[GroupWithMembers],
    ) -> Result<Self, BuildError> {
        let mut faults = FaultList::default();
        let new = index("wanted", wanted, &mut faults);
        let mut old = index("existing", existing, &mut faults);
        for group in old.values_mut() {
            group.doubt(&existing[group.at]);
        }
        let nested = nesting(&new);
        let inside_out = Walk::through(&nested);
        check_members(wanted, &old, &new, &mut faults);
        inside_out.check(&new, &mut faults);
        faults.finish()?;

        let mut all_nested = nesting(&old);
        for (&id, contained) in &nested {
            all_nested.entry(id).or_default().extend(contained);
        }
        let crossing = !Walk::through(&all_nested).back.is_empty();

        let mut steps = Vec::new();
        let (kept, gone): (Groups<'_>, Groups<'_>) =
            old.into_iter().partition(|(id, _)| new.contains_key(id));
        for (id, group) in &kept {
            let lost = group.by_id().filter(|same| !new[id].keeps(same));
            steps.extend(lost.map(|same| group.remove(same[0].identity)));
        }
        // Groups that contain each other in the record could not be deleted in any order.
        let nested = nesting(&gone);
        let outside_in = Walk::through(&nested);
        for (container, contained) in &outside_in.back {
            let member = Identity::external_group(gone[contained].group.id());
            steps.push(gone[container].remove(&member));
        }
        for id in outside_in.order.iter().rev() {
            steps.push(GroupStep::Delete { group: gone[id].group.id().clone() });
        }
        for id in &inside_out.order {
            if !is_sure(&kept, id) {
                steps.push(GroupStep::Create { group: new[id].group.clone() });
            }
        }
        for (id, old) in kept.iter().filter(|(_, old)| !old.unsure) {
            let group = new[id].group;
            if let Some(update) = group.since(old.group) {
                steps.push(GroupStep::Update { group: group.id().clone(), update });
            }
        }
        for id in &inside_out.order {
            let (group, old) = (&new[id], kept.get(id));
            // What a group was a member of when it was deleted is not documented.
            let stays = |it: &Identity| {
                old.is_some_and(|old| old.surely_has(it))
                    && as_group(it).is_none_or(|inner| is_sure(&kept, inner))
            };
            let added = group.members.iter().map(|it| it.identity).filter(|it| !stays(it));
            steps.extend(added.map(|member| group.add(member)));
        }
        Ok(Self { connection: connection.clone(), steps, crossing })
    }

    /// The connection.
    pub fn connection(&self) -> &ConnectionId {
        &self.connection
    }

    /// The steps, in the order in which to take them; none if nothing is to be done.
    pub fn steps(&self) -> &[GroupStep] {
        &self.steps
    }

    /// What is known while nobody knows how far the plan has come, where `existing` is the record
    /// that it was made from: whatever a step may have changed is unsure.
    ///
    /// Written down before the plan is carried out, it is what the next plan starts from if the
    /// program ends on the way.
    pub fn in_doubt(&self, existing: Vec<GroupWithMembers>) -> Vec<GroupWithMembers> {
        let mut record = Record::new(existing);
        for step in &self.steps {
            record.take(step, Fate::Unknown);
        }
        record.into_groups()
    }
}

/// A group with its members, in the order of their ids.
struct Indexed<'a> {
    at: usize,
    group: &'a ExternalGroup,
    unsure: bool,
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    identity: &'a Identity,
    sure: bool,
}

type Groups<'a> = BTreeMap<&'a str, Indexed<'a>>;

impl<'a> Indexed<'a> {
    fn sort(&mut self) {
        self.members.sort_by_key(|member| member.identity.id());
    }

    /// Takes in what is unsure, which matters of what exists only.
    fn doubt(&mut self, known: &'a GroupWithMembers) {
        self.unsure = known.unsure;
        let unsure = known.unsure_members.iter();
        self.members.extend(unsure.map(|identity| Member { identity, sure: false }));
        self.sort();
    }

    /// The members, those together that have the same id.
    fn by_id(&self) -> impl Iterator<Item = &[Member<'a>]> {
        self.members.chunk_by(|one, other| one.identity.id() == other.identity.id())
    }

    fn under(&self, id: &str) -> &[Member<'a>] {
        let from = self.members.partition_point(|member| member.identity.id() < id);
        let rest = &self.members[from..];
        &rest[..rest.partition_point(|member| member.identity.id() == id)]
    }

    /// Whether there is nobody under that id but this member. A member under the same id that is
    /// something else is not the same.
    fn surely_has(&self, member: &Identity) -> bool {
        matches!(self.under(member.id()), [it] if it.sure && it.identity == member)
    }

    /// Whether all that may be a member under one id should be one.
    fn keeps(&self, same: &[Member<'_>]) -> bool {
        matches!(same, [it] if self.surely_has(it.identity))
    }

    fn contained(&self) -> impl Iterator<Item = &'a str> {
        self.members.iter().filter_map(|member| as_group(member.identity))
    }

    fn add(&self, member: &Identity) -> GroupStep {
        GroupStep::AddMember { group: self.group.id().clone(), member: member.clone() }
    }

    fn remove(&self, member: &Identity) -> GroupStep {
        GroupStep::RemoveMember { group: self.group.id().clone(), member: member.clone() }
    }
}

pub(super) fn as_group(member: &Identity) -> Option<&str> {
    (*member.kind() == IdentityType::ExternalGroup).then(|| member.id())
}

fn is_sure(groups: &Groups<'_>, id: &str) -> bool {
    groups.get(id).is_some_and(|group| !group.unsure)
}

fn index<'a>(what: &str, groups: &'a [GroupWithMembers], faults: &mut FaultList) -> Groups<'a> {
    let mut index = Groups::new();
    for (at, GroupWithMembers { group, members, .. }) in groups.iter().enumerate() {
        let mut ids = BTreeSet::new();
        for (number, member) in members.iter().enumerate() {
            if !ids.insert(member.id()) {
                let place = format!("{what}[{at}].members[{number}]");
                let detail = format!("{member} is the second member with this id; leave one out");
                faults.push(Rule::GroupTwice, place, detail);
            }
        }
        let members = members.iter().map(|identity| Member { identity, sure: true }).collect();
        let mut indexed = Indexed { at, group, unsure: false, members };
        indexed.sort();
        if index.insert(group.id().as_str(), indexed).is_some() {
            let detail = format!("{} is there twice; name it once", group.id());
            faults.push(Rule::GroupTwice, format!("{what}[{at}]"), detail);
        }
    }
    index
}

/// A group that is a member will be there.
fn check_members(
    wanted: &[GroupWithMembers],
    old: &Groups<'_>,
    new: &Groups<'_>,
    faults: &mut FaultList,
) {
    for (at, group) in wanted.iter().enumerate() {
        for (number, member) in group.members.iter().enumerate() {
            let Some(id) = as_group(member).filter(|id| !new.contains_key(id)) else {
                continue;
            };
            let why = match old.contains_key(id) {
                true => "is not wanted, and would be deleted",
                false => "neither exists nor is wanted",
            };
            let detail = format!("{id} {why}; name it among the wanted, or leave it out here");
            faults.push(Rule::GroupUnknown, format!("wanted[{at}].members[{number}]"), detail);
        }
    }
}

/// Each group, with those that it contains.
type Nesting<'a> = BTreeMap<&'a str, Vec<&'a str>>;

fn nesting<'a>(groups: &Groups<'a>) -> Nesting<'a> {
    groups.iter().map(|(&id, group)| (id, group.contained().collect())).collect()
}

/// A walk through groups into those they contain. Not by recursion, for a stack has an end and a
/// list of groups need not have one.
#[derive(Default)]
struct Walk<'a> {
    /// Each group after those that it contains, but for what `back` says.
    order: Vec<&'a str>,
    /// Each membership that closes a circle: the containing group, the contained one.
    back: Vec<(&'a str, &'a str)>,
    /// From which group the walk came to another.
    from: BTreeMap<&'a str, &'a str>,
}

impl<'a> Walk<'a> {
    fn through(groups: &Nesting<'a>) -> Self {
        let mut walk = Self::default();
        // Whether the walk is still inside a group that it has entered.
        let mut inside: BTreeMap<&str, bool> = BTreeMap::new();
        let mut way = Vec::new();
        for (&start, contained) in groups {
            if inside.contains_key(start) {
                continue;
            }
            inside.insert(start, true);
            way.push((start, contained.iter()));
            while let Some((id, contained)) = way.last_mut() {
                let id = *id;
                let Some(&next) = contained.next() else {
                    inside.insert(id, false);
                    walk.order.push(id);
                    way.pop();
                    continue;
                };
                let Some(contained) = groups.get(next) else { continue };
                match inside.get(next) {
                    Some(true) => walk.back.push((id, next)),
                    Some(false) => {}
                    None => {
                        inside.insert(next, true);
                        walk.from.insert(next, id);
                        way.push((next, contained.iter()));
                    }
                }
            }
        }
        walk
    }

    /// Refuses circles: one for each group that the walk came back to.
    fn check(&self, groups: &Groups<'_>, faults: &mut FaultList) {
        let mut told = BTreeMap::new();
        for (last, first) in &self.back {
            if told.insert(first, last).is_none() {
                let detail = format!("{}; take one out of another", self.circle(first, last));
                faults.push(Rule::GroupCycle, format!("wanted[{}]", groups[first].at), detail);
            }
        }
    }

    /// The way round, from a group to the one that contains it and back; of a long one, its end.
    fn circle(&self, first: &'a str, last: &'a str) -> String {
        const MOST: usize = 16;
        let mut way = vec![first];
        let mut at = last;
        while at != first {
            if way.len() == MOST {
                way.push("...");
                break;
            }
            way.push(at);
            match self.from.get(at) {
                Some(from) => at = from,
                None => break,
            }
        }
        way.push(first);
        way.reverse();
        way.join(" -> ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Fault, Guid};

    fn connection() -> ConnectionId {
        ConnectionId::new("contosohr").unwrap()
    }

    fn id(id: &str) -> ExternalGroupId {
        ExternalGroupId::new(id).unwrap()
    }

    /// A group and the groups in it.
    fn nest(name: &str, contained: &[&str]) -> GroupWithMembers {
        let members = contained.iter().map(|it| Identity::external_group(&id(it)));
        GroupWithMembers::new(ExternalGroup::new(id(name)), members)
    }

    fn steps(existing: &[GroupWithMembers], wanted: &[GroupWithMembers]) -> Vec<String> {
        let plan = GroupPlan::between(&connection(), wanted, existing).unwrap();
        plan.steps().iter().map(GroupStep::to_string).collect()
    }

    fn faults(existing: &[GroupWithMembers], wanted: &[GroupWithMembers]) -> Vec<Fault> {
        GroupPlan::between(&connection(), wanted, existing).unwrap_err().faults().to_vec()
    }

    #[test]
    fn a_contained_group_is_created_first_and_deleted_last() {
        let nested = [nest("a", &["b", "c"]), nest("b", &["c"]), nest("c", &[])];
        assert_eq!(
            steps(&[], &nested),
            [
                "create c",
                "create b",
                "create a",
                "add external group c to b",
                "add external group b to a",
                "add external group c to a",
            ]
        );
        assert_eq!(steps(&nested, &[]), ["delete a", "delete b", "delete c"]);
        assert_eq!(steps(&nested, &nested), [""; 0]);
    }

    #[test]
    fn access_is_lost_before_anybody_gets_any() {
        let [ann, bob] = [1, 2].map(|number: u128| Identity::user(Guid::from(number)));
        let team = ExternalGroup::new(id("team"));
        let old = [
            GroupWithMembers::new(team, [ann, Identity::external_group(&id("gone"))]),
            nest("gone", &[]),
        ];
        let named = ExternalGroup::builder(id("team")).display_name("Team").build();
        let new = [GroupWithMembers::new(named, [bob])];
        assert_eq!(
            steps(&old, &new),
            [
                "remove user 00000000-0000-0000-0000-000000000001 from team",
                "remove external group gone from team",
                "delete gone",
                "update team",
                "add user 00000000-0000-0000-0000-000000000002 to team",
            ]
        );
    }

    #[test]
    fn groups_that_swap_places_never_contain_each_other() {
        let (old, new) = ([nest("a", &["b"]), nest("b", &[])], [nest("a", &[]), nest("b", &["a"])]);
        assert_eq!(
            steps(&old, &new),
            ["remove external group b from a", "add external group a to b"]
        );
    }

    #[test]
    fn a_record_of_groups_that_contain_each_other_can_still_be_cleared() {
        let old = [nest("a", &["b"]), nest("b", &["a", "b"])];
        assert_eq!(
            steps(&old, &[]),
            [
                "remove external group a from b",
                "remove external group b from b",
                "delete a",
                "delete b",
            ]
        );
    }

    #[test]
    fn a_member_under_the_same_id_that_is_something_else_is_exchanged() {
        let guid = Guid::from(7_u128);
        let with = |member| [GroupWithMembers::new(ExternalGroup::new(id("a")), [member])];
        assert_eq!(
            steps(&with(Identity::user(guid)), &with(Identity::group(guid))),
            [
                "remove user 00000000-0000-0000-0000-000000000007 from a",
                "add group 00000000-0000-0000-0000-000000000007 to a",
            ]
        );
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let ann = Identity::user(Guid::from(1_u128));
        let same = Identity::group(Guid::from(1_u128));
        let old = [nest("d", &[]), nest("e", &[]), nest("e", &[])];
        let new = [
            nest("a", &["b"]),
            nest("b", &["c", "d", "x"]),
            nest("c", &["a"]),
            nest("s", &["s"]),
            GroupWithMembers::new(ExternalGroup::new(id("t")), [ann, same]),
            nest("t", &[]),
        ];
        let found = faults(&old, &new);
        let told: Vec<_> =
            found.iter().map(|fault| (fault.rule, &*fault.place, &*fault.detail)).collect();
        assert_eq!(
            told,
            [
                (
                    Rule::GroupTwice,
                    "wanted[4].members[1]",
                    "group 00000000-0000-0000-0000-000000000001 is the second member with this \
                     id; leave one out"
                ),
                (Rule::GroupTwice, "wanted[5]", "t is there twice; name it once"),
                (Rule::GroupTwice, "existing[2]", "e is there twice; name it once"),
                (
                    Rule::GroupUnknown,
                    "wanted[1].members[1]",
                    "d is not wanted, and would be deleted; name it among the wanted, or leave \
                     it out here"
                ),
                (
                    Rule::GroupUnknown,
                    "wanted[1].members[2]",
                    "x neither exists nor is wanted; name it among the wanted, or leave it out \
                     here"
                ),
                (Rule::GroupCycle, "wanted[0]", "a -> b -> c -> a; take one out of another"),
                (Rule::GroupCycle, "wanted[3]", "s -> s; take one out of another"),
            ]
        );
    }

    #[test]
    fn very_deep_and_very_round_groups_are_no_trouble() {
        let name = |number: u32| format!("g{number:06}");
        let chain = |last: &str| -> Vec<_> {
            (0..20_000)
                .map(|number| match number {
                    19_999 => nest(&name(number), &[last]),
                    _ => nest(&name(number), &[&name(number + 1)]),
                })
                .chain([nest("end", &[])])
                .collect()
        };
        let plan = GroupPlan::between(&connection(), &chain("end"), &[]).unwrap();
        assert_eq!(plan.steps().len(), 40_001);
        let round = faults(&[], &chain("g000000"));
        assert_eq!(round.len(), 1);
        let detail = &round[0].detail;
        assert!(detail.starts_with("g000000 -> ... -> g019985 -> g019986 -> "), "{detail}");
        assert!(detail.ends_with(" -> g019999 -> g000000; take one out of another"), "{detail}");
    }

    #[test]
    fn what_is_unsure_is_made_sure() {
        let known = |json: &str| [serde_json::from_str::<GroupWithMembers>(json).unwrap()];
        let guid = Guid::from(1_u128);
        let (user, group) = (Identity::user(guid), Identity::group(guid));
        let wanted = |members: &[Identity]| {
            let named = ExternalGroup::builder(id("a")).display_name("A").build();
            [GroupWithMembers::new(named, members.iter().cloned())]
        };
        // Either of two that were exchanged, or none, may be there.
        let exchanged = known(
            r#"{"id":"a","displayName":"A","unsureMembers":[
                {"type":"user","id":"00000000-0000-0000-0000-000000000001"},
                {"type":"group","id":"00000000-0000-0000-0000-000000000001"}]}"#,
        );
        let remove = "remove user 00000000-0000-0000-0000-000000000001 from a";
        for (kind, wanted) in [("user", wanted(&[user])), ("group", wanted(&[group]))] {
            let add = format!("add {kind} 00000000-0000-0000-0000-000000000001 to a");
            assert_eq!(steps(&exchanged, &wanted), [remove, &add]);
        }
        assert_eq!(steps(&exchanged, &wanted(&[])), [remove]);
        assert_eq!(steps(&exchanged, &[]), ["delete a"]);

        let unsure = known(r#"{"id":"a","displayName":"B","unsure":true}"#);
        assert_eq!(steps(&unsure, &wanted(&[])), ["create a"]);
        assert_eq!(steps(&unsure, &[]), ["delete a"]);
        // What is wanted is wanted, whatever else it says.
        assert_eq!(steps(&[], &exchanged), ["create a"]);
        assert_eq!(steps(&wanted(&[]), &unsure), ["update a"]);
    }

    #[test]
    fn a_member_that_is_no_known_group_is_added_when_it_becomes_one() {
        let (old, new) = ([nest("a", &["b"])], [nest("a", &["b"]), nest("b", &[])]);
        assert_eq!(steps(&old, &new), ["create b", "add external group b to a"]);
        let deleted = [nest("a", &["b"]), nest("b", &[])];
        let plan = GroupPlan::between(&connection(), &old[..0], &deleted).unwrap();
        let doubt = plan.in_doubt(deleted.to_vec());
        assert!(doubt.iter().all(GroupWithMembers::is_unsure));
        assert_eq!(doubt[0].unsure_members(), [Identity::external_group(&id("b"))]);
    }
}
