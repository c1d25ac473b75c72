//! From the groups that exist to those that should: the calls to make, in an order that is right.
//!
//! Lives here: the plan as plain data, and the task that carries it out. The calls themselves are
//! in `group`.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{
    AddMember, CreateGroup, DeleteGroup, ExternalGroup, GroupUpdate, Identity, IdentityType,
    RemoveMember, UpdateGroup,
};
use crate::{
    machine::{Logic, Machine, Next, Sequence, Start, Task, Tick},
    protocol::{Call, Created, Deleted, Endpoint, Error, Reply, Route, ServiceRoot},
    types::{BuildError, ConnectionId, ExternalGroupId, FaultList, Rule},
};

/// A group together with its members, as it should be or as a record says that it is.
///
/// It can be written down and read again, for the record that a [`GroupPlan`] starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupWithMembers {
    #[serde(flatten)]
    group: ExternalGroup,
    #[serde(default)]
    members: Vec<Identity>,
}

impl GroupWithMembers {
    /// A group and its members.
    pub fn new(group: ExternalGroup, members: impl IntoIterator<Item = Identity>) -> Self {
        Self { group, members: members.into_iter().collect() }
    }

    /// The group.
    pub fn group(&self) -> &ExternalGroup {
        &self.group
    }

    /// Its members.
    pub fn members(&self) -> &[Identity] {
        &self.members
    }
}

/// What is to be done so that the groups of a connection are those that should be.
///
/// No document tells how to list groups or members, so what exists is a record that the caller
/// keeps: what [`after`](Self::after) gives, written down, is what the next plan starts from. A
/// group that exists and is not wanted is deleted. What the record does not know of stays as it
/// is: a group that turns out to be there already keeps its texts and its other members.
///
/// Whoever loses access loses it first: the steps remove members, then create groups (a group
/// that is a member before the one that contains it), update them, add members, and at last
/// delete groups (the containing one first). On the way no group comes to contain itself. Every
/// step may be taken twice, so a plan that broke off is taken again from its start.
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
/// the total time of a call of its own, as far as the first step that fails:
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
/// let plan = GroupPlan::between(&ConnectionId::new("contosohr")?, &wanted, &record)?;
/// let applied = client.run(&plan)?;
/// let record = plan.after(record, applied.counts().steps());
/// // Write the record down, whether or not all went well.
/// # assert_eq!(record, wanted);
/// println!("{}", applied.into_result()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlan {
    connection: ConnectionId,
    steps: Vec<GroupStep>,
}

/// One step of a [`GroupPlan`]: one call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupStep {
    /// A group is created.
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

/// What a [`GroupStep`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupStepOutcome {
    /// It was done.
    Done,
    /// It was so already: what was to be created was there, what was to be deleted was not.
    AlreadySo,
}

impl From<()> for GroupStepOutcome {
    fn from((): ()) -> Self {
        Self::Done
    }
}

impl<T> From<Created<T>> for GroupStepOutcome {
    fn from(created: Created<T>) -> Self {
        match created {
            Created::Now(_) => Self::Done,
            Created::AlreadyExists => Self::AlreadySo,
        }
    }
}

impl From<Deleted> for GroupStepOutcome {
    fn from(deleted: Deleted) -> Self {
        match deleted {
            Deleted::Now => Self::Done,
            Deleted::NotFound => Self::AlreadySo,
        }
    }
}

impl GroupStep {
    /// The call that takes this step.
    ///
    /// # Errors
    /// As [`Endpoint::request`]: [`Rule::Cloud`] in China, [`Rule::BodySize`].
    pub fn call(
        &self,
        connection: &ConnectionId,
        root: &ServiceRoot,
    ) -> Result<Call<GroupStepOutcome>, BuildError> {
        match self {
            Self::Create { group } => CreateGroup::new(connection, group).call_into(root),
            Self::Update { group, update } => {
                UpdateGroup::new(connection, group, update).call_into(root)
            }
            Self::AddMember { group, member } => {
                AddMember::new(connection, group, member).call_into(root)
            }
            Self::RemoveMember { group, member } => {
                RemoveMember::new(connection, group, member).call_into(root)
            }
            Self::Delete { group } => DeleteGroup::new(connection, group).call_into(root),
        }
    }

    fn route(&self) -> &'static Route {
        match self {
            Self::Create { .. } => const { &CreateGroup::ROUTE },
            Self::Update { .. } => const { &UpdateGroup::ROUTE },
            Self::AddMember { .. } => const { &AddMember::ROUTE },
            Self::RemoveMember { .. } => const { &RemoveMember::ROUTE },
            Self::Delete { .. } => const { &DeleteGroup::ROUTE },
        }
    }
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
        let old = index("existing", existing, &mut faults);
        let inside_out = Walk::through(&new);
        check_members(wanted, &old, &new, &mut faults);
        inside_out.check(&new, &mut faults);
        faults.finish()?;

        let mut steps = Vec::new();
        let (kept, gone): (Groups<'_>, Groups<'_>) =
            old.into_iter().partition(|(id, _)| new.contains_key(id));
        for (id, group) in &kept {
            let lost = group.members.values().filter(|member| !new[id].has(member));
            steps.extend(lost.map(|member| group.remove(member)));
        }
        // Groups that contain each other in the record could not be deleted in any order.
        let outside_in = Walk::through(&gone);
        for (container, contained) in &outside_in.back {
            let container = &gone[container];
            steps.push(container.remove(container.members[contained]));
        }
        for id in &inside_out.order {
            if !kept.contains_key(id) {
                steps.push(GroupStep::Create { group: new[id].group.clone() });
            }
        }
        for (id, old) in &kept {
            let group = new[id].group;
            if let Some(update) = group.since(old.group) {
                steps.push(GroupStep::Update { group: group.id().clone(), update });
            }
        }
        for id in &inside_out.order {
            let (group, old) = (&new[id], kept.get(id));
            let added = group.members.values().filter(|it| !old.is_some_and(|old| old.has(it)));
            steps.extend(added.map(|member| group.add(member)));
        }
        for id in outside_in.order.iter().rev() {
            steps.push(GroupStep::Delete { group: gone[id].group.id().clone() });
        }
        Ok(Self { connection: connection.clone(), steps })
    }

    /// The connection.
    pub fn connection(&self) -> &ConnectionId {
        &self.connection
    }

    /// The steps, in the order in which to take them; none if nothing is to be done.
    pub fn steps(&self) -> &[GroupStep] {
        &self.steps
    }

    /// What exists after so many of the steps, where the plan was made from `existing`: the
    /// record to write down.
    pub fn after(&self, existing: Vec<GroupWithMembers>, steps: usize) -> Vec<GroupWithMembers> {
        let by_id = |group: GroupWithMembers| (group.group.id().clone(), group);
        let mut record: BTreeMap<_, _> = existing.into_iter().map(by_id).collect();
        for step in self.steps.iter().take(steps) {
            match step {
                GroupStep::Create { group } => {
                    let created = GroupWithMembers::new(group.clone(), []);
                    record.entry(group.id().clone()).or_insert(created);
                }
                GroupStep::Update { group, update } => {
                    if let Some(it) = record.get_mut(group) {
                        it.group.update(update);
                    }
                }
                GroupStep::AddMember { group, member } => {
                    if let Some(it) = record.get_mut(group) {
                        it.members.push(member.clone());
                    }
                }
                GroupStep::RemoveMember { group, member } => {
                    if let Some(it) = record.get_mut(group) {
                        it.members.retain(|other| other != member);
                    }
                }
                GroupStep::Delete { group } => {
                    record.remove(group);
                }
            }
        }
        record.into_values().collect()
    }
}

/// A group with its members by id.
struct Indexed<'a> {
    at: usize,
    group: &'a ExternalGroup,
    members: BTreeMap<&'a str, &'a Identity>,
}

type Groups<'a> = BTreeMap<&'a str, Indexed<'a>>;

impl<'a> Indexed<'a> {
    /// A member under the same id that is something else is not the same.
    fn has(&self, member: &Identity) -> bool {
        self.members.get(member.id()) == Some(&member)
    }

    fn contained(&self) -> impl Iterator<Item = &'a str> {
        self.members.values().copied().filter_map(as_group)
    }

    fn add(&self, member: &Identity) -> GroupStep {
        GroupStep::AddMember { group: self.group.id().clone(), member: member.clone() }
    }

    fn remove(&self, member: &Identity) -> GroupStep {
        GroupStep::RemoveMember { group: self.group.id().clone(), member: member.clone() }
    }
}

fn as_group(member: &Identity) -> Option<&str> {
    (*member.kind() == IdentityType::ExternalGroup).then(|| member.id())
}

fn index<'a>(what: &str, groups: &'a [GroupWithMembers], faults: &mut FaultList) -> Groups<'a> {
    let mut index = Groups::new();
    for (at, GroupWithMembers { group, members }) in groups.iter().enumerate() {
        let mut by_id = BTreeMap::new();
        for (number, member) in members.iter().enumerate() {
            if by_id.insert(member.id(), member).is_some() {
                let place = format!("{what}[{at}].members[{number}]");
                let detail = format!("{member} is the second member with this id; leave one out");
                faults.push(Rule::GroupTwice, place, detail);
            }
        }
        let indexed = Indexed { at, group, members: by_id };
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
    fn through(groups: &Groups<'a>) -> Self {
        let mut walk = Self::default();
        // Whether the walk is still inside a group that it has entered.
        let mut inside: BTreeMap<&str, bool> = BTreeMap::new();
        let mut way = Vec::new();
        for (&start, group) in groups {
            if inside.contains_key(start) {
                continue;
            }
            inside.insert(start, true);
            way.push((start, group.contained()));
            while let Some((id, contained)) = way.last_mut() {
                let id = *id;
                let Some(next) = contained.next() else {
                    inside.insert(id, false);
                    walk.order.push(id);
                    way.pop();
                    continue;
                };
                let Some(group) = groups.get(next) else { continue };
                match inside.get(next) {
                    Some(true) => walk.back.push((id, next)),
                    Some(false) => {}
                    None => {
                        inside.insert(next, true);
                        walk.from.insert(next, id);
                        way.push((next, group.contained()));
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

/// What the steps of a [`GroupPlan`] came to, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct GroupCounts {
    /// Groups that were created.
    pub created: usize,
    /// Groups that were updated.
    pub updated: usize,
    /// Members that were added.
    pub added: usize,
    /// Members that were removed.
    pub removed: usize,
    /// Groups that were deleted.
    pub deleted: usize,
    /// Steps that found everything as it should be.
    pub already_so: usize,
}

impl GroupCounts {
    /// How many steps were taken.
    pub fn steps(&self) -> usize {
        self.created + self.updated + self.added + self.removed + self.deleted + self.already_so
    }

    fn count(&mut self, step: &GroupStep, outcome: GroupStepOutcome) {
        *match (outcome, step) {
            (GroupStepOutcome::AlreadySo, _) => &mut self.already_so,
            (_, GroupStep::Create { .. }) => &mut self.created,
            (_, GroupStep::Update { .. }) => &mut self.updated,
            (_, GroupStep::AddMember { .. }) => &mut self.added,
            (_, GroupStep::RemoveMember { .. }) => &mut self.removed,
            (_, GroupStep::Delete { .. }) => &mut self.deleted,
        } += 1;
    }
}

impl fmt::Display for GroupCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { created, updated, added, removed, deleted, already_so } = self;
        write!(
            f,
            "groups: {created} created, {updated} updated, {deleted} deleted; members: {added} \
             added, {removed} removed; {already_so} already so"
        )
    }
}

/// What became of a [`GroupPlan`]: the steps up to the first that failed were taken, the others
/// were not.
#[derive(Debug, Default)]
#[must_use = "a step may have failed"]
pub struct AppliedGroupPlan {
    counts: GroupCounts,
    failed: Option<GroupStepFailed>,
}

impl AppliedGroupPlan {
    /// The steps that were taken, counted.
    pub fn counts(&self) -> GroupCounts {
        self.counts
    }

    /// The step that failed.
    pub fn failed(&self) -> Option<&GroupStepFailed> {
        self.failed.as_ref()
    }

    /// The counts, if every step was taken.
    ///
    /// # Errors
    /// The step that failed.
    pub fn into_result(self) -> Result<GroupCounts, GroupStepFailed> {
        match self.failed {
            Some(failed) => Err(failed),
            None => Ok(self.counts),
        }
    }
}

/// A step of a [`GroupPlan`] failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct GroupStepFailed {
    /// The step.
    pub step: GroupStep,
    /// How many steps were taken before it.
    pub before: usize,
    /// Why, and whether it was carried out nevertheless.
    pub error: Error,
}

impl fmt::Display for GroupStepFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}, {}: {}", self.before + 1, self.step, self.error)
    }
}

// No `source`: the text above tells the whole chain, and `error` gives the value.
impl std::error::Error for GroupStepFailed {}

impl Task for GroupPlan {
    type Output = AppliedGroupPlan;

    /// # Errors
    /// As [`GroupStep::call`], of any of the steps; nothing was sent. What fails later is told in
    /// the output.
    fn start(
        &self,
        start: &Start,
    ) -> Result<impl Machine<Output = AppliedGroupPlan> + Send, Error> {
        let logic = Applying {
            plan: self.clone(),
            root: start.root.clone(),
            counts: GroupCounts::default(),
        };
        // Not kept: there may be very many.
        for step in &self.steps {
            logic.call(step)?;
        }
        Ok(match self.steps.first() {
            // Each step has the total time of a call; the plan has as long as that takes.
            Some(first) => {
                let first = logic.call(first)?;
                Sequence::new(logic, first, start).until(Tick::MAX)
            }
            None => Sequence::nothing(logic, AppliedGroupPlan::default(), start),
        })
    }
}

struct Applying {
    plan: GroupPlan,
    root: ServiceRoot,
    counts: GroupCounts,
}

impl Applying {
    fn call(&self, step: &GroupStep) -> Result<Call<GroupStepOutcome>, Error> {
        let built = step.call(&self.plan.connection, &self.root);
        built.map_err(|why| Error::build(step.route(), why))
    }

    fn failed(&self, step: &GroupStep, error: Error) -> AppliedGroupPlan {
        let before = self.counts.steps();
        let failed = GroupStepFailed { step: step.clone(), before, error };
        AppliedGroupPlan { counts: self.counts, failed: Some(failed) }
    }
}

impl Logic for Applying {
    type Answer = GroupStepOutcome;
    type Output = AppliedGroupPlan;

    fn next(
        &mut self,
        outcome: Result<Reply<GroupStepOutcome>, Error>,
        now: Tick,
    ) -> Next<GroupStepOutcome, AppliedGroupPlan> {
        let mut rest = self.plan.steps[self.counts.steps()..].iter();
        if let Some(step) = rest.next() {
            match outcome {
                Ok(reply) => self.counts.count(step, reply.value),
                Err(error) => return Next::Done(Ok(self.failed(step, error))),
            }
        }
        let Some(step) = rest.next() else {
            return Next::Done(Ok(AppliedGroupPlan { counts: self.counts, failed: None }));
        };
        match self.call(step) {
            Ok(call) => Next::Call(call, now),
            Err(error) => Next::Done(Ok(self.failed(step, error))),
        }
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
                "update team",
                "add user 00000000-0000-0000-0000-000000000002 to team",
                "delete gone",
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
    fn a_record_can_be_written_down_and_read_again() {
        let ann = Identity::user(Guid::from(1_u128));
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
        assert!(serde_json::from_str::<GroupWithMembers>(r#"{"id":"a/b"}"#).is_err());
    }
}
