//! Taking the steps of a plan: which go on after one that failed, and what is known in the end.
//!
//! Lives here: the task, and its outcome. The steps and their order are in `group_plan`.

use std::{collections::BTreeMap, fmt};

use http::StatusCode;

use super::{
    plan::as_group,
    record::{Fate, Record},
};
use crate::{
    external::{
        AddMember, CreateGroup, DeleteGroup, GroupPlan, GroupStep, GroupWithMembers, RemoveMember,
        UpdateGroup,
    },
    machine::{Logic, Machine, Next, Sequence, Start, Task, Tick},
    protocol::{Applied, Call, Created, Deleted, Endpoint, Error, Reply, Route, ServiceRoot},
    types::ConnectionId,
};

/// What the steps of a [`GroupPlan`] came to, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct GroupCounts {
    /// Groups that were created.
    pub created: usize,
    /// Groups whose texts were set, also those that were to be created and were there already.
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

    fn count(&mut self, step: &GroupStep, outcome: Outcome) {
        *match (outcome, step) {
            (Outcome::AlreadySo, _) => &mut self.already_so,
            (Outcome::Done, GroupStep::Create { .. }) => &mut self.created,
            (Outcome::TextsSet, _) | (_, GroupStep::Update { .. }) => &mut self.updated,
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

/// What became of a [`GroupPlan`]: what its steps came to, and what is known of the groups now.
#[derive(Debug, Default)]
#[must_use = "a step may have failed, and the record is in it"]
pub struct AppliedGroupPlan {
    steps: Vec<GroupStep>,
    /// Of the steps that were reached.
    fates: Vec<Fate>,
    counts: GroupCounts,
    failed: Vec<GroupStepFailed>,
}

impl AppliedGroupPlan {
    /// The steps that were taken, counted.
    pub fn counts(&self) -> GroupCounts {
        self.counts
    }

    /// The steps that failed, and those that were skipped for it, in the order of the plan.
    pub fn failed(&self) -> &[GroupStepFailed] {
        &self.failed
    }

    /// How many steps were not reached, because a failure ended the run.
    pub fn not_reached(&self) -> usize {
        self.steps.len() - self.fates.len()
    }

    /// The record to write down and to start the next plan from, where `existing` was the record
    /// before this run: the one that the plan was made from, or the one that an earlier run of it
    /// left behind.
    ///
    /// What a step was about that [may](Applied::Maybe) have been carried out is unsure in it. The
    /// groups are in the order of their ids, and so are the members of each.
    #[must_use]
    pub fn record(&self, existing: Vec<GroupWithMembers>) -> Vec<GroupWithMembers> {
        let mut record = Record::new(existing);
        for (step, fate) in self.steps.iter().zip(&self.fates) {
            record.take(step, *fate);
        }
        record.into_groups()
    }

    /// The counts, if every step was taken.
    ///
    /// # Errors
    /// All of this, when one was not.
    pub fn into_result(self) -> Result<GroupCounts, GroupPlanFailed> {
        match self.failed.is_empty() {
            true => Ok(self.counts),
            false => Err(GroupPlanFailed(self)),
        }
    }
}

/// A step of a [`GroupPlan`] failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct GroupStepFailed {
    /// The step.
    pub step: GroupStep,
    /// Which of the plan's steps it is, from 0.
    pub index: usize,
    /// Why.
    pub why: GroupStepFailure,
}

/// Why a step of a [`GroupPlan`] failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum GroupStepFailure {
    /// Its call failed; the error says whether it may have been carried out nevertheless. One that
    /// [was](Applied::Yes), and only answered with what cannot be read, is no failure here.
    Call(Error),
    /// It was not tried, for it depends on a step that failed.
    #[non_exhaustive]
    Skipped {
        /// Which of the plan's steps that is, from 0.
        because_of: usize,
    },
}

impl GroupStepFailed {
    /// How its call failed, unless it was skipped.
    pub fn error(&self) -> Option<&Error> {
        match &self.why {
            GroupStepFailure::Call(error) => Some(error),
            GroupStepFailure::Skipped { .. } => None,
        }
    }
}

impl fmt::Display for GroupStepFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}, {}: ", self.index + 1, self.step)?;
        match &self.why {
            GroupStepFailure::Call(error) => write!(f, "{error}"),
            GroupStepFailure::Skipped { because_of } => {
                write!(f, "skipped, for step {} failed", because_of + 1)
            }
        }
    }
}

// No `source`: the text above tells the whole chain, and `why` gives the value.
impl std::error::Error for GroupStepFailed {}

/// Not every step of a [`GroupPlan`] was taken.
#[derive(Debug)]
pub struct GroupPlanFailed(AppliedGroupPlan);

impl GroupPlanFailed {
    /// What became of each step, with the record.
    pub fn applied(&self) -> &AppliedGroupPlan {
        &self.0
    }
}

impl fmt::Display for GroupPlanFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A refusal may have many others skipped, and no log is the place for all of them.
        const MOST: usize = 8;
        let AppliedGroupPlan { steps, failed, .. } = &self.0;
        write!(f, "{} of {} steps failed or were skipped", failed.len(), steps.len())?;
        match self.0.not_reached() {
            0 => {}
            rest => write!(f, ", and {rest} not reached")?,
        }
        for failed in failed.iter().take(MOST) {
            write!(f, "; {failed}")?;
        }
        f.write_str(if failed.len() > MOST { "; and so on" } else { "" })
    }
}

impl std::error::Error for GroupPlanFailed {}

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    /// What was to be created was there, what was to be deleted was not.
    AlreadySo,
    /// What was to be created was there, and has the wanted texts now.
    TextsSet,
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::Done
    }
}

impl<T> From<Created<T>> for Outcome {
    fn from(created: Created<T>) -> Self {
        match created {
            Created::Now(_) => Self::Done,
            Created::AlreadyExists => Self::AlreadySo,
        }
    }
}

impl From<Deleted> for Outcome {
    fn from(deleted: Deleted) -> Self {
        match deleted {
            Deleted::Now => Self::Done,
            Deleted::NotFound => Self::AlreadySo,
        }
    }
}

impl Task for GroupPlan {
    type Output = AppliedGroupPlan;

    /// # Errors
    /// What any of the steps is refused with: [`Rule::Cloud`](crate::types::Rule::Cloud) in China,
    /// [`Rule::BodySize`](crate::types::Rule::BodySize). Nothing was sent. What fails later is
    /// told in the output.
    fn start(
        &self,
        start: &Start,
    ) -> Result<impl Machine<Output = AppliedGroupPlan> + Send, Error> {
        let logic = Applying {
            connection: self.connection.clone(),
            root: start.root.clone(),
            crossing: self.crossing,
            applied: AppliedGroupPlan { steps: self.steps.clone(), ..Default::default() },
            found: false,
            not_there: BTreeMap::new(),
            not_removed: BTreeMap::new(),
            still_nested: None,
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
    connection: ConnectionId,
    root: ServiceRoot,
    crossing: bool,
    applied: AppliedGroupPlan,
    /// Whether the group that is to be created was there, and its texts are being set.
    found: bool,
    // What failed, and in which step: groups that are not there, members that were not removed,
    // by group and id, and the first group that may still contain another.
    not_there: BTreeMap<Box<str>, usize>,
    not_removed: BTreeMap<(Box<str>, Box<str>), usize>,
    still_nested: Option<usize>,
}

impl Applying {
    fn call(&self, step: &GroupStep) -> Result<Call<Outcome>, Error> {
        let (connection, root) = (&self.connection, &self.root);
        let (built, route): (_, &'static Route) = match step {
            GroupStep::Create { group } => {
                (CreateGroup::new(connection, group).call_into(root), const { &CreateGroup::ROUTE })
            }
            GroupStep::Update { group, update } => (
                UpdateGroup::new(connection, group, update).call_into(root),
                const { &UpdateGroup::ROUTE },
            ),
            GroupStep::AddMember { group, member } => (
                AddMember::new(connection, group, member).call_into(root),
                const { &AddMember::ROUTE },
            ),
            GroupStep::RemoveMember { group, member } => (
                RemoveMember::new(connection, group, member).call_into(root),
                const { &RemoveMember::ROUTE },
            ),
            GroupStep::Delete { group } => {
                (DeleteGroup::new(connection, group).call_into(root), const { &DeleteGroup::ROUTE })
            }
        };
        built.map_err(|why| Error::build(route, why))
    }

    /// The step on the way.
    fn step(&self) -> Option<&GroupStep> {
        self.applied.steps.get(self.applied.fates.len())
    }

    /// What else is to be called for the step on the way.
    fn second_call(&mut self, outcome: Outcome) -> Option<Result<Call<Outcome>, Error>> {
        let Some(GroupStep::Create { group }) = self.step() else { return None };
        if self.found || outcome != Outcome::AlreadySo {
            return None;
        }
        let (group, update) = (group.id().clone(), group.texts());
        self.found = true;
        Some(self.call(&GroupStep::Update { group, update }))
    }

    fn taken(&mut self, outcome: Outcome) {
        let outcome = if std::mem::take(&mut self.found) { Outcome::TextsSet } else { outcome };
        let applied = &mut self.applied;
        let Some(step) = applied.steps.get(applied.fates.len()) else { return };
        applied.counts.count(step, outcome);
        applied.fates.push(match outcome {
            Outcome::Done => Fate::Done,
            Outcome::AlreadySo | Outcome::TextsSet => Fate::AlreadySo,
        });
    }

    /// Takes down a failure, and says whether the next steps may fare better.
    fn failed(&mut self, error: Error) -> bool {
        let found = std::mem::take(&mut self.found);
        let Some(step) = self.step().cloned() else { return false };
        let index = self.applied.fates.len();
        let missing = error.status() == Some(StatusCode::NOT_FOUND);
        let fate = match (error.applied(), &step) {
            (Applied::No, GroupStep::Update { .. } | GroupStep::AddMember { .. }) if missing => {
                Fate::NoGroup
            }
            (Applied::No, _) if !found => Fate::NotTaken,
            _ => Fate::Unknown,
        };
        match &step {
            GroupStep::Create { group } if !found || missing => {
                self.not_there.insert(group.id().as_str().into(), index);
            }
            GroupStep::Update { group, .. } if missing => {
                self.not_there.insert(group.as_str().into(), index);
            }
            GroupStep::RemoveMember { group, member } => {
                self.not_removed.insert((group.as_str().into(), member.id().into()), index);
                if as_group(member).is_some() {
                    self.still_nested.get_or_insert(index);
                }
            }
            GroupStep::Delete { .. } => {
                self.still_nested.get_or_insert(index);
            }
            _ => {}
        }
        // To create a group, nothing has to be there but the connection.
        let no_connection = missing && !found && matches!(step, GroupStep::Create { .. });
        let goes_on = !no_connection && is_about_one_step(&error);
        self.applied.fates.push(fate);
        let why = GroupStepFailure::Call(error);
        self.applied.failed.push(GroupStepFailed { step, index, why });
        goes_on
    }

    /// The step that failed and that this one depends on.
    fn obstacle(&self, step: &GroupStep) -> Option<usize> {
        let GroupStep::AddMember { group, member } = step else { return None };
        if self.applied.failed.is_empty() {
            return None;
        }
        let contained = as_group(member);
        let missing = self.not_there.get(group.as_str());
        missing
            .or_else(|| contained.and_then(|id| self.not_there.get(id)))
            .or_else(|| self.not_removed.get(&(group.as_str().into(), member.id().into())))
            .copied()
            // Which memberships close a circle is not looked into: this is rare enough.
            .or(self.still_nested.filter(|_| self.crossing && contained.is_some()))
    }

    /// The next step that can be taken.
    fn go_on(&mut self, now: Tick) -> Next<Outcome, AppliedGroupPlan> {
        while let Some(step) = self.step() {
            if let Some(because_of) = self.obstacle(step) {
                let (step, index) = (step.clone(), self.applied.fates.len());
                let why = GroupStepFailure::Skipped { because_of };
                self.applied.failed.push(GroupStepFailed { step, index, why });
                self.applied.fates.push(Fate::NotTaken);
                continue;
            }
            match self.call(step) {
                Ok(call) => return Next::Call(call, now),
                Err(error) => {
                    self.failed(error);
                    break;
                }
            }
        }
        self.end()
    }

    fn end(&mut self) -> Next<Outcome, AppliedGroupPlan> {
        Next::Done(Ok(std::mem::take(&mut self.applied)))
    }
}

/// Whether it is one step that the service refuses. A token, a permission or throttling is no
/// matter of one, and a failure that went on through all attempts is the service's.
fn is_about_one_step(error: &Error) -> bool {
    let status = error.status().map(|status| status.as_u16());
    error.why_given_up().is_none()
        && matches!(status, Some(400..=499))
        && !matches!(status, Some(401..=403 | 407 | 408 | 429 | 499))
}

impl Logic for Applying {
    type Answer = Outcome;
    type Output = AppliedGroupPlan;

    fn next(
        &mut self,
        outcome: Result<Reply<Outcome>, Error>,
        now: Tick,
    ) -> Next<Outcome, AppliedGroupPlan> {
        let goes_on = match outcome.map(|reply| reply.value) {
            Ok(outcome) => match self.second_call(outcome) {
                Some(Ok(call)) => return Next::Call(call, now),
                Some(Err(error)) => self.failed(error),
                None => {
                    self.taken(outcome);
                    true
                }
            },
            // It is done, whatever the answer looks like.
            Err(error) if error.applied() == Applied::Yes => {
                self.taken(Outcome::Done);
                true
            }
            Err(error) => self.failed(error),
        };
        if goes_on { self.go_on(now) } else { self.end() }
    }
}
