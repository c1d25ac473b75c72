//! Plans for groups, carried out against a small model of the service: they lead to what is
//! wanted, and the record knows of everything that may be, however often calls fail, answers are
//! lost, and plans are taken again or given up.

mod support;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::{
    client::{Client, Failure, SendOptions, VirtualClock},
    external::{
        AppliedGroupPlan, DeleteGroup, ExternalGroup, GroupPlan, GroupStep, GroupStepFailure,
        GroupWithMembers, Identity, IdentityType,
    },
    machine::Policy,
    protocol::{Applied, Cause, Cloud, ServiceRoot, Version},
    types::{AccessToken, ConnectionId, ExternalGroupId, Guid, Rule},
};
use proptest::prelude::*;
use serde_json::Value;
use support::{Line, asynchronous, blocking, line, lost, play, run};

fn connection() -> ConnectionId {
    ConnectionId::new("contosohr").unwrap()
}

fn id(id: &str) -> ExternalGroupId {
    ExternalGroupId::new(id).unwrap()
}

fn plan(existing: &[GroupWithMembers], wanted: &[GroupWithMembers]) -> GroupPlan {
    GroupPlan::between(&connection(), wanted, existing).unwrap()
}

/// A group: its texts, and its members with their types.
#[derive(Clone, Debug, Default, PartialEq)]
struct Held {
    texts: BTreeMap<String, String>,
    members: BTreeMap<String, String>,
}

/// The groups of one connection, as the service holds them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Service(BTreeMap<String, Held>);

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    /// It is carried out and answered.
    None,
    /// It is carried out, and the answer to it has no body.
    Bare,
    /// It is carried out, and the answer to it is no JSON.
    Odd,
    /// Not carried out, and no answer; whether it may have been sent.
    Lost(bool),
    /// Carried out, and no answer.
    AnswerLost,
    /// Not carried out, and answered so.
    Refused(u16),
    /// Carried out, and answered as if it was not.
    Lied(u16),
}

impl Service {
    fn holding(groups: &[GroupWithMembers]) -> Self {
        let mut service = Self::default();
        for group in groups {
            let mut body = serde_json::to_value(group).unwrap();
            let members = body["members"].take();
            let held = service.0.entry(group.group().id().to_string()).or_default();
            held.set(&body);
            for member in members.as_array().unwrap() {
                let text = |name: &str| member[name].as_str().unwrap().to_owned();
                held.members.insert(text("id"), text("type"));
            }
        }
        service
    }

    /// Whether `group` contains `other`, at any depth.
    fn contains(&self, group: &str, other: &str) -> bool {
        let (mut rest, mut seen) = (vec![group], vec![]);
        while let Some(id) = rest.pop() {
            let Some(held) = self.0.get(id).filter(|_| !seen.contains(&id)) else { continue };
            seen.push(id);
            let groups = held.members.iter().filter(|(_, kind)| *kind == "externalGroup");
            rest.extend(groups.map(|(id, _)| id.as_str()));
            if rest.contains(&other) {
                return true;
            }
        }
        false
    }

    fn status(&mut self, request: &http::Request<Bytes>, forgets: bool) -> u16 {
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        let path = request.uri().path();
        let path: Vec<&str> = path
            .strip_prefix("/v1.0/external/connections/contosohr/groups")
            .unwrap()
            .split('/')
            .collect();
        match (request.method().as_str(), path.as_slice()) {
            ("POST", [""]) if self.0.contains_key(&text("id")) => 409,
            ("POST", [""]) => {
                let mut held = Held::default();
                held.set(&body);
                self.0.insert(text("id"), held);
                201
            }
            ("PATCH", ["", group]) => match self.0.get_mut(*group) {
                Some(held) => {
                    held.set(&body);
                    204
                }
                None => 404,
            },
            ("DELETE", ["", group]) => {
                // What becomes of memberships of a group that is deleted is not documented.
                if forgets {
                    let groups = self.0.values_mut();
                    groups.for_each(|held| drop(held.members.remove(*group)));
                }
                if self.0.remove(*group).is_some() { 204 } else { 404 }
            }
            ("POST", ["", group, "members"]) => {
                let member = text("id");
                if text("type") == "externalGroup" {
                    assert!(self.0.contains_key(&member), "{member} is no group yet");
                    assert!(member != *group && !self.contains(&member, group), "a circle");
                }
                match self.0.get_mut(*group) {
                    Some(held) if held.members.contains_key(&member) => 409,
                    Some(held) => {
                        held.members.insert(member, text("type"));
                        201
                    }
                    None => 404,
                }
            }
            ("DELETE", ["", group, "members", member]) => {
                let removed = self.0.get_mut(*group).and_then(|held| held.members.remove(*member));
                if removed.is_some() { 204 } else { 404 }
            }
            other => panic!("{other:?}"),
        }
    }

    fn answer(
        &mut self,
        request: &http::Request<Bytes>,
        trouble: Trouble,
        forgets: bool,
    ) -> Result<http::Response<Bytes>, Failure> {
        let answer = |status: u16, body: &'static str| {
            Ok(http::Response::builder().status(status).body(body.into()).unwrap())
        };
        let with_body = |status, body| answer(status, if status == 201 { body } else { "" });
        match trouble {
            Trouble::None => with_body(self.status(request, forgets), "{}"),
            Trouble::Bare => answer(self.status(request, forgets), ""),
            Trouble::Odd => with_body(self.status(request, forgets), "<html>"),
            Trouble::Lost(maybe) if maybe => Err(Failure::maybe_sent("reset")),
            Trouble::Lost(_) => Err(Failure::not_sent("refused")),
            Trouble::AnswerLost => {
                self.status(request, forgets);
                Err(Failure::maybe_sent("reset"))
            }
            // Of a DELETE it would be a success.
            Trouble::Refused(404) if request.method() == "DELETE" => answer(400, ""),
            Trouble::Refused(status) => answer(status, ""),
            Trouble::Lied(status) => {
                self.status(request, forgets);
                answer(status, "")
            }
        }
    }

    /// Carries a plan out, with so many attempts a call, and this trouble on the way.
    fn run(&mut self, plan: &GroupPlan, attempts: u32, trouble: &Troubles) -> AppliedGroupPlan {
        let service = Arc::new(Mutex::new(std::mem::take(self)));
        let rest = Mutex::new(trouble.calls.clone().into_iter());
        let (shared, forgets) = (Arc::clone(&service), trouble.forgets);
        let transport = move |request: http::Request<Bytes>, _: &SendOptions| {
            let next = rest.lock().unwrap().next().unwrap_or(Trouble::None);
            shared.lock().unwrap().answer(&request, next, forgets)
        };
        let mut policy = Policy::default();
        policy.attempts = attempts;
        let client = Client::builder(ServiceRoot::v1(), AccessToken::new("t").unwrap())
            .policy(policy)
            .build(transport, VirtualClock::default());
        let applied = client.run(plan).unwrap();
        *self = std::mem::take(&mut service.lock().unwrap());
        applied
    }

    /// Whether a record says nothing that is not so, and leaves nothing out.
    fn check(&self, record: &[GroupWithMembers]) -> Result<(), TestCaseError> {
        for (id, held) in &self.0 {
            let known = record.iter().find(|it| it.group().id().as_str() == id);
            let Some(known) = known else {
                return Err(TestCaseError::fail(format!("nobody knows of {id}")));
            };
            for (member, kind) in &held.members {
                let mut may_be = known.members().iter().chain(known.unsure_members());
                let told = may_be.any(|it| it.id() == member && it.kind().as_str() == kind);
                prop_assert!(told, "nobody knows of {} in {}", member, id);
            }
        }
        let sure =
            |id: &str| record.iter().any(|it| it.group().id().as_str() == id && !it.is_unsure());
        for known in record.iter().filter(|it| !it.is_unsure()) {
            let id = known.group().id();
            let Some(held) = self.0.get(id.as_str()) else {
                return Err(TestCaseError::fail(format!("{id} is not there")));
            };
            let texts = [known.group().display_name(), known.group().description()];
            let held_texts =
                ["displayName", "description"].map(|name| held.texts.get(name).map(String::as_str));
            prop_assert_eq!(texts, held_texts, "{}", id);
            for member in known.members() {
                prop_assert_eq!(held.members.get(member.id()).unwrap(), member.kind().as_str());
                prop_assert!(*member.kind() != IdentityType::ExternalGroup || sure(member.id()));
            }
        }
        Ok(())
    }

    /// Whether those who are there although they should not are those of steps that failed.
    fn check_access(&self, wanted: &Self, applied: &AppliedGroupPlan) -> Result<(), TestCaseError> {
        if applied.not_reached() > 0 {
            return Ok(());
        }
        for (id, held) in &self.0 {
            let should = wanted.0.get(id);
            for (member, kind) in &held.members {
                if should.and_then(|should| should.members.get(member)) == Some(kind) {
                    continue;
                }
                let told = applied.failed().iter().any(|failed| match &failed.step {
                    GroupStep::RemoveMember { group, member: whom, .. } => {
                        group.as_str() == id && whom.id() == member
                    }
                    GroupStep::Delete { group, .. } => group.as_str() == id,
                    _ => false,
                });
                prop_assert!(told, "{} is still in {}", member, id);
            }
        }
        Ok(())
    }
}

/// What becomes of the requests of a run; those after the last fare well.
#[derive(Clone, Debug, Default)]
struct Troubles {
    calls: Vec<Trouble>,
    /// Whether a group that is deleted is no member any more.
    forgets: bool,
}

fn troubles() -> impl Strategy<Value = Troubles> {
    let trouble = prop_oneof![
        12 => Just(Trouble::None),
        1 => Just(Trouble::Bare),
        1 => Just(Trouble::Odd),
        1 => any::<bool>().prop_map(Trouble::Lost),
        2 => Just(Trouble::AnswerLost),
        4 => prop_oneof![Just(400), Just(404), Just(422)].prop_map(Trouble::Refused),
        1 => prop_oneof![Just(403), Just(503)].prop_map(Trouble::Refused),
        1 => Just(Trouble::Lied(503)),
    ];
    let calls = proptest::collection::vec(trouble, 0..40);
    (calls, any::<bool>()).prop_map(|(calls, forgets)| Troubles { calls, forgets })
}

/// How the record of a run comes about.
#[derive(Clone, Copy, Debug)]
enum Kept {
    /// From the outcome.
    Outcome,
    /// From two runs of the same plan, the second without trouble or with half of it.
    Twice(bool),
    /// The program ended, and what it wrote down before is all there is.
    InDoubt,
}

fn kept() -> impl Strategy<Value = Kept> {
    prop_oneof![
        4 => Just(Kept::Outcome),
        1 => any::<bool>().prop_map(Kept::Twice),
        1 => Just(Kept::InDoubt),
    ]
}

impl Held {
    fn set(&mut self, body: &Value) {
        for name in ["displayName", "description"] {
            match body.get(name) {
                Some(Value::String(text)) => drop(self.texts.insert(name.into(), text.clone())),
                Some(_) => drop(self.texts.remove(name)),
                None => {}
            }
        }
    }
}

const GROUPS: usize = 5;

/// Which group contains which: bit n of the m-th number says that m contains n.
type Groups = [Option<(Option<u8>, Option<u8>, u8, u8)>; GROUPS];

fn groups() -> impl Strategy<Value = Groups> {
    let text = || proptest::option::of(0..2_u8);
    let group = (text(), text(), 0..8_u8, any::<u8>());
    proptest::array::uniform5(proptest::option::weighted(0.7, group))
}

/// The groups under names whose order is not that of containment. A record may hold circles;
/// what is wanted may not.
fn made(groups: &Groups, names: [usize; GROUPS], circles: bool) -> Vec<GroupWithMembers> {
    let name = |number: usize| id(&format!("g{}", names[number]));
    let contains = |outer: usize, mask: u8, inner: usize| {
        mask >> inner & 1 == 1 && groups[inner].is_some() && (circles || inner > outer)
    };
    let with_members = |number: usize| {
        let (title, description, users, contained) = groups[number]?;
        let mut group = ExternalGroup::builder(name(number));
        if let Some(title) = title {
            group = group.display_name(format!("title {title}"));
        }
        if let Some(description) = description {
            group = group.description(format!("text {description}"));
        }
        let people = (0..3).filter(|bit| users >> bit & 1 == 1);
        // One of them changes between a user and a group.
        let people = people.map(|bit| match (bit, contained >> 7) {
            (2, 1) => Identity::group(Guid::from(2_u128)),
            _ => Identity::user(Guid::from(bit)),
        });
        let inner = (0..GROUPS).filter(|inner| contains(number, contained, *inner));
        let inner = inner.map(|inner| Identity::external_group(&name(inner)));
        Some(GroupWithMembers::new(group.build(), people.chain(inner)))
    };
    (0..GROUPS).filter_map(with_members).collect()
}

fn names() -> impl Strategy<Value = [usize; GROUPS]> {
    Just([0, 1, 2, 3, 4]).prop_shuffle()
}

/// A record as it is after it was written down and read again.
fn read_again(record: &[GroupWithMembers]) -> Vec<GroupWithMembers> {
    serde_json::from_str(&serde_json::to_string(record).unwrap()).unwrap()
}

/// Every member in the order in which a record has them.
fn in_order(groups: &[GroupWithMembers]) -> Vec<GroupWithMembers> {
    let mut groups: Vec<_> = groups
        .iter()
        .map(|it| {
            let mut members = it.members().to_vec();
            members.sort_by(|one, other| one.id().cmp(other.id()));
            GroupWithMembers::new(it.group().clone(), members)
        })
        .collect();
    groups.sort_by(|one, other| one.group().id().cmp(other.group().id()));
    groups
}

proptest! {
    #[test]
    fn a_plan_leads_to_what_is_wanted(
        (existing, wanted) in (groups(), groups()),
        (old_names, new_names) in (names(), names()),
        forgets in any::<bool>(),
    ) {
        let existing = made(&existing, old_names, true);
        let wanted = made(&wanted, new_names, false);
        let plan = plan(&existing, &wanted);
        let goal = Service::holding(&wanted);
        let fine = Troubles { calls: vec![], forgets };

        let mut service = Service::holding(&existing);
        let applied = service.run(&plan, 1, &fine);
        prop_assert_eq!(&service, &goal);
        let record = applied.record(existing);
        prop_assert_eq!(&record, &in_order(&wanted));
        let counts = applied.into_result().unwrap();
        prop_assert_eq!((counts.steps(), counts.already_so), (plan.steps().len(), 0));

        let applied = service.run(&plan, 1, &fine);
        prop_assert_eq!(&service, &goal);
        prop_assert_eq!(applied.record(record), in_order(&wanted));
        let counts = applied.into_result().unwrap();
        prop_assert_eq!((counts.steps(), counts.created), (plan.steps().len(), 0));
    }

    #[test]
    fn whatever_failed_before_all_is_as_wanted_once_nothing_fails_any_more(
        first in (groups(), names()),
        rounds in proptest::collection::vec(
            (groups(), names(), troubles(), 1..3_u32, kept()), 1..5,
        ),
        last in (groups(), names()),
        forgets in any::<bool>(),
    ) {
        let mut record = made(&first.0, first.1, true);
        let mut service = Service::holding(&record);
        for (wanted, names, mut troubles, attempts, kept) in rounds {
            troubles.forgets = forgets;
            let wanted = made(&wanted, names, false);
            let plan = plan(&record, &wanted);
            let before = read_again(&plan.in_doubt(record.clone()));
            let applied = service.run(&plan, attempts, &troubles);
            service.check_access(&Service::holding(&wanted), &applied)?;
            record = match kept {
                Kept::InDoubt => before,
                Kept::Outcome => applied.record(record),
                Kept::Twice(ends) => {
                    let record = applied.record(record);
                    service.check(&record)?;
                    let troubles = Troubles { calls: troubles.calls.split_off(
                        if ends { troubles.calls.len() } else { troubles.calls.len() / 2 }
                    ), forgets };
                    let applied = service.run(&plan, 1, &troubles);
                    service.check_access(&Service::holding(&wanted), &applied)?;
                    applied.record(record)
                }
            };
            service.check(&record)?;
            record = read_again(&record);
        }

        let wanted = made(&last.0, last.1, false);
        let last = plan(&record, &wanted);
        let applied = service.run(&last, 1, &Troubles { calls: vec![], forgets });
        prop_assert_eq!(&service, &Service::holding(&wanted));
        let record = applied.record(record);
        prop_assert_eq!(&record, &in_order(&wanted));
        prop_assert!(applied.failed().is_empty());
        let nothing = plan(&record, &wanted);
        prop_assert_eq!(nothing.steps(), &[]);
    }

    #[test]
    fn there_is_nothing_to_do_where_all_is_as_wanted(wanted in groups(), names in names()) {
        let wanted = made(&wanted, names, false);
        let reversed: Vec<_> = wanted.iter().rev().cloned().collect();
        let nothing = plan(&wanted, &reversed);
        prop_assert_eq!(nothing.steps(), &[]);
        prop_assert_eq!(nothing.in_doubt(wanted.clone()), in_order(&wanted));
    }
}

const GROUPS_OF: (&str, &str) = ("POST", "/contosohr/groups");
const MEMBERS_OF: (&str, &str) = ("POST", "/contosohr/groups/a/members");
const TEXTS: (&str, &str) = ("PATCH", "/contosohr/groups/a");
const GROUP: (&str, &str) = ("DELETE", "/contosohr/groups/b");

/// Deletes b, and creates a with one member.
fn small() -> GroupPlan {
    let old = [GroupWithMembers::new(ExternalGroup::new(id("b")), [])];
    plan(&old, &[GroupWithMembers::new(ExternalGroup::new(id("a")), [person(1)])])
}

fn person(number: u128) -> Identity {
    Identity::user(Guid::from(number))
}

#[test]
fn a_plan_is_carried_out_step_by_step_and_counted() {
    for (script, counts) in [
        (
            vec![line(GROUP, 204, ""), line(GROUPS_OF, 201, "{}"), line(MEMBERS_OF, 201, "{}")],
            "groups: 1 created, 0 updated, 1 deleted; members: 1 added, 0 removed; 0 already so",
        ),
        (
            vec![
                line(GROUP, 404, ""),
                line(GROUPS_OF, 409, ""),
                line(TEXTS, 204, ""),
                line(MEMBERS_OF, 409, ""),
            ],
            "groups: 0 created, 1 updated, 0 deleted; members: 0 added, 0 removed; 2 already so",
        ),
        (
            vec![
                line(GROUP, 503, ""),
                line(GROUP, 404, ""),
                lost(GROUPS_OF, true),
                line(GROUPS_OF, 409, ""),
                lost(TEXTS, true),
                line(TEXTS, 204, ""),
                line(MEMBERS_OF, 429, ""),
                line(MEMBERS_OF, 201, ""),
            ],
            "groups: 0 created, 1 updated, 0 deleted; members: 1 added, 0 removed; 1 already so",
        ),
    ] {
        let (applied, _) = run(&small(), &script);
        let applied = applied.unwrap();
        assert_eq!(applied.counts().steps(), 3);
        assert_eq!((applied.failed().len(), applied.not_reached()), (0, 0));
        assert_eq!(applied.into_result().unwrap().to_string(), counts);
    }
}

#[test]
fn a_group_that_is_there_already_gets_the_texts_that_are_wanted() {
    let group = ExternalGroup::builder(id("a")).display_name("A").build();
    let plan = plan(&[], &[GroupWithMembers::new(group, [])]);
    let other = GroupWithMembers::new(
        ExternalGroup::builder(id("a")).display_name("B").description("b").build(),
        [],
    );
    let mut service = Service::holding(std::slice::from_ref(&other));
    let applied = service.run(&plan, 1, &Troubles::default());
    assert_eq!(service.0["a"].texts, BTreeMap::from([("displayName".into(), "A".into())]));
    assert_eq!(applied.record(vec![])[0].group().description(), None);

    // The group is there, so that it is to be known of, whatever its texts are.
    let mut service = Service::holding(&[other]);
    let troubles =
        Troubles { calls: vec![Trouble::None, Trouble::Refused(400)], ..Troubles::default() };
    let applied = service.run(&plan, 1, &troubles);
    assert_eq!(applied.failed()[0].error().unwrap().operation(), "Update group");
    assert!(applied.record(vec![])[0].is_unsure());
}

#[test]
fn what_stands_in_the_way_of_every_step_ends_the_run() {
    let made = [line(GROUP, 204, ""), line(GROUPS_OF, 201, "{}")];
    for refusal in [401, 402, 403] {
        let mut script = [&made[..], &[line(MEMBERS_OF, refusal, "")]].concat();
        if refusal == 401 {
            // Once more with another token.
            script.push(line(MEMBERS_OF, 401, ""));
        }
        let (applied, _) = run(&small(), &script);
        let failed = applied.unwrap().into_result().unwrap_err();
        assert_eq!(failed.applied().counts().created, 1);
        let [step] = failed.applied().failed() else { panic!("{failed}") };
        assert_eq!((step.index, step.error().unwrap().applied()), (2, Applied::No));
        assert_eq!(step.error().unwrap().status().unwrap(), refusal);
        assert!(matches!(step.step, GroupStep::AddMember { .. }));
        let start = format!(
            "1 of 3 steps failed or were skipped; step 3, add user \
             00000000-0000-0000-0000-000000000001 to a: Add member: {refusal}"
        );
        assert!(failed.to_string().starts_with(&start), "{failed}");
    }
    // Where no group can be created, there is no connection.
    for (call, status, reached) in [(GROUP, 403, 1), (GROUPS_OF, 404, 2)] {
        let script = [line(GROUP, 204, ""), line(call, status, "")];
        let (applied, _) = run(&small(), &script[2 - reached..]);
        let applied = applied.unwrap();
        assert_eq!(applied.not_reached(), 3 - reached);
        let text = applied.into_result().unwrap_err().to_string();
        assert!(text.contains(&format!(", and {} not reached; step", 3 - reached)), "{text}");
    }
}

#[test]
fn a_refusal_stops_nothing_but_what_depends_on_it() {
    let group = |name: &str, members: &[Identity]| {
        GroupWithMembers::new(ExternalGroup::new(id(name)), members.iter().cloned())
    };
    let within = |name: &str| Identity::external_group(&id(name));
    let swapped = Identity::group(Guid::from(2_u128));
    let old = vec![group("b", &[person(1), person(2)]), group("z", &[])];
    let wanted = [
        group("a", &[person(1)]),
        group("b", std::slice::from_ref(&swapped)),
        group("c", &[within("a"), person(1)]),
    ];
    let refused = |number: usize| {
        // Removals of 1 and 2 from b, the deletion of z, then a, c, and their members.
        let calls =
            (0..9).map(|it| if it == number { Trouble::Refused(400) } else { Trouble::None });
        let troubles = Troubles { calls: calls.collect(), ..Troubles::default() };
        let mut service = Service::holding(&old);
        let applied = service.run(&plan(&old, &wanted), 1, &troubles);
        assert_eq!(applied.not_reached(), 0);
        service.check(&applied.record(old.clone())).unwrap();
        applied.failed().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let ones = "00000000-0000-0000-0000-000000000001";
    let twos = "00000000-0000-0000-0000-000000000002";
    for (number, step, skipped) in [
        (0, format!("step 1, remove user {ones} from b"), vec![]),
        (
            1,
            format!("step 2, remove user {twos} from b"),
            vec![format!("step 7, add group {twos} to b: skipped, for step 2 failed")],
        ),
        (2, "step 3, delete z".to_owned(), vec![]),
        (
            3,
            "step 4, create a".to_owned(),
            vec![
                format!("step 6, add user {ones} to a: skipped, for step 4 failed"),
                "step 9, add external group a to c: skipped, for step 4 failed".to_owned(),
            ],
        ),
        (5, format!("step 6, add user {ones} to a"), vec![]),
    ] {
        let told = refused(number);
        assert!(told[0].starts_with(&format!("{step}: ")), "{told:?}");
        assert_eq!(told[1..], skipped);
    }
}

#[test]
fn groups_that_cannot_be_taken_apart_are_not_put_together_the_other_way_round() {
    let nest = |name: &str, inner: Option<&str>| {
        let inner = inner.map(|inner| Identity::external_group(&id(inner)));
        GroupWithMembers::new(ExternalGroup::new(id(name)), inner)
    };
    let old = [nest("a", Some("b")), nest("b", None)];
    let wanted = [nest("a", None), nest("b", Some("a"))];
    let mut service = Service::holding(&old);
    let troubles = Troubles { calls: vec![Trouble::Refused(422)], ..Troubles::default() };
    let applied = service.run(&plan(&old, &wanted), 1, &troubles);
    let [removal, addition] = applied.failed() else { panic!("{applied:?}") };
    assert_eq!(removal.error().unwrap().status().unwrap(), 422);
    assert!(matches!(addition.why, GroupStepFailure::Skipped { because_of: 0, .. }));
    assert_eq!(service, Service::holding(&old));
}

#[test]
fn whoever_may_have_been_added_is_removed_and_whoever_may_have_been_removed_is_added() {
    let group = |members: &[Identity]| {
        [GroupWithMembers::new(ExternalGroup::new(id("a")), members.iter().cloned())]
    };
    let told = |plan: &GroupPlan| -> Vec<String> {
        plan.steps().iter().map(ToString::to_string).collect()
    };
    let (with, without) = (group(&[person(1)]), group(&[]));
    for (from, to) in [(&with, &without), (&without, &with)] {
        for trouble in [Trouble::Lost(true), Trouble::AnswerLost, Trouble::Lied(503)] {
            let mut service = Service::holding(from);
            let troubles = Troubles { calls: vec![trouble], ..Troubles::default() };
            let applied = service.run(&plan(from, to), 1, &troubles);
            let record = applied.record(from.to_vec());
            assert_eq!(record[0].unsure_members(), [person(1)]);
            assert_eq!((record[0].members(), record[0].is_unsure()), (&[][..], false));
            let name = person(1);
            assert_eq!(told(&plan(&record, &with)), [format!("add {name} to a")]);
            assert_eq!(told(&plan(&record, &without)), [format!("remove {name} from a")]);
        }
    }
    // That it was not sent is known.
    let mut service = Service::holding(&with);
    let troubles = Troubles { calls: vec![Trouble::Lost(false)], ..Troubles::default() };
    let applied = service.run(&plan(&with, &without), 1, &troubles);
    assert_eq!(applied.record(with.to_vec()), with);
}

#[test]
fn a_group_that_may_be_there_is_created_again_or_deleted() {
    let group = || GroupWithMembers::new(ExternalGroup::new(id("a")), [person(1)]);
    for (from, to) in [(vec![], vec![group()]), (vec![group()], vec![])] {
        let mut service = Service::holding(&from);
        let troubles = Troubles { calls: vec![Trouble::AnswerLost], ..Troubles::default() };
        let applied = service.run(&plan(&from, &to), 1, &troubles);
        let record = applied.record(from.clone());
        assert!(record[0].is_unsure());
        assert_eq!(record[0].members(), []);
        let again = plan(&record, &[group()]);
        assert!(matches!(again.steps(), [GroupStep::Create { .. }, GroupStep::AddMember { .. }]));
        assert!(matches!(plan(&record, &[]).steps(), [GroupStep::Delete { .. }]));
    }
}

#[test]
fn a_group_that_somebody_else_deleted_comes_back() {
    let named = |name: &str| {
        let group = ExternalGroup::builder(id("a")).display_name(name).build();
        [GroupWithMembers::new(group, [person(1)])]
    };
    let mut service = Service::default();
    let applied = service.run(&plan(&named("A"), &named("B")), 1, &Troubles::default());
    assert_eq!(applied.failed()[0].error().unwrap().status().unwrap(), 404);
    let record = applied.record(named("A").to_vec());
    assert!(record[0].is_unsure());
    let record = service.run(&plan(&record, &named("B")), 1, &Troubles::default()).record(record);
    assert_eq!(record[0].members(), []);
    let record = service.run(&plan(&record, &named("B")), 1, &Troubles::default()).record(record);
    assert_eq!(record, named("B"));
    assert_eq!(service, Service::holding(&named("B")));
}

#[test]
fn a_plan_taken_twice_leaves_a_record_that_the_next_can_start_from() {
    let wanted = [GroupWithMembers::new(ExternalGroup::new(id("a")), [person(1)])];
    let plan_of_it = plan(&[], &wanted);
    let mut service = Service::default();
    let record = service.run(&plan_of_it, 1, &Troubles::default()).record(vec![]);
    let record = service.run(&plan_of_it, 1, &Troubles::default()).record(record);
    assert_eq!(record, wanted);
    assert_eq!(plan(&record, &wanted).steps(), []);
}

#[test]
fn each_step_has_the_time_of_a_call() {
    // Nine waits of up to 30 seconds each, five times over: together more than the 300 seconds
    // that one call has.
    let wanted = ["a", "b", "c", "d", "e"];
    let wanted = wanted.map(|name| GroupWithMembers::new(ExternalGroup::new(id(name)), []));
    let one: Vec<Line> = (0..9).map(|_| line(GROUPS_OF, 503, "")).collect();
    let script = [one, vec![line(GROUPS_OF, 201, "{}")]].concat().repeat(5);
    let (applied, waited) = run(&plan(&[], &wanted), &script);
    assert_eq!(applied.unwrap().into_result().unwrap().created, 5);
    assert!(waited > Duration::from_secs(300), "{waited:?}");
}

#[test]
fn a_refusal_says_whose_the_connection_is() {
    let script = [line(GROUP, 403, "")];
    let refused = play(
        &script,
        |script, clock| blocking(script, clock).send(&DeleteGroup::new(&connection(), &id("b"))),
        |script, clock| {
            let client = asynchronous(script, clock);
            pollster::block_on(client.send(&DeleteGroup::new(&connection(), &id("b"))))
        },
    );
    let text = refused.0.unwrap_err().to_string();
    assert!(text.contains("open only to the application that created it"), "{text}");
}

#[test]
fn an_empty_plan_sends_nothing() {
    let (applied, waited) = run(&plan(&[], &[]), &[]);
    assert_eq!(applied.unwrap().into_result().unwrap().steps(), 0);
    assert_eq!(waited, Duration::ZERO);
}

#[test]
fn a_plan_for_a_cloud_without_connectors_sends_nothing() {
    let silent = |_: http::Request<Bytes>, _: &SendOptions| panic!("it was sent");
    let china = ServiceRoot::new(Cloud::China, Version::V1);
    let client = Client::builder(china, AccessToken::new("t").unwrap())
        .build(silent, VirtualClock::default());
    let error = client.run(&small()).unwrap_err();
    assert_eq!(error.operation(), "Delete group");
    assert!(matches!(error.cause(), Cause::Build(why) if why.breaks(Rule::Cloud)));
}
