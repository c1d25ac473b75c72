//! Plans for groups, carried out against a small model of the service: they lead to what is
//! wanted, however often they are interrupted or taken again.

mod support;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use graphfeed_core::{
    client::{Client, SendOptions, VirtualClock},
    external::{
        DeleteGroup, ExternalGroup, GroupPlan, GroupStep, GroupStepOutcome, GroupWithMembers,
        Identity,
    },
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
        let Some(held) = self.0.get(group) else { return false };
        held.members
            .iter()
            .any(|(id, kind)| kind == "externalGroup" && (id == other || self.contains(id, other)))
    }

    fn status(&mut self, request: &http::Request<Bytes>) -> u16 {
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
                let dangling = self.0.iter().any(|(id, held)| {
                    id != group && held.members.get(*group).is_some_and(|it| it == "externalGroup")
                });
                assert!(!dangling, "{group} is still a member");
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

    /// Takes steps, each through the request and the answer of its call.
    fn take(&mut self, steps: &[GroupStep]) -> Vec<GroupStepOutcome> {
        let take = |step: &GroupStep| {
            let call = step.call(&connection(), &ServiceRoot::v1()).unwrap();
            let status = self.status(call.request());
            let body = if status == 201 { "{}" } else { "" };
            let answer = http::Response::builder().status(status).body(body.into()).unwrap();
            call.response(answer).unwrap_or_else(|error| panic!("{step}: {error}")).value
        };
        steps.iter().map(take).collect()
    }
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

proptest! {
    #[test]
    fn a_plan_leads_to_what_is_wanted(
        (existing, wanted) in (groups(), groups()),
        (old_names, new_names) in (names(), names()),
        broken_off in any::<prop::sample::Index>(),
    ) {
        let existing = made(&existing, old_names, true);
        let wanted = made(&wanted, new_names, false);
        let plan = plan(&existing, &wanted);
        let goal = Service::holding(&wanted);

        let mut service = Service::holding(&existing);
        let outcomes = service.take(plan.steps());
        prop_assert!(outcomes.iter().all(|it| *it == GroupStepOutcome::Done));
        prop_assert_eq!(&service, &goal);

        service.take(plan.steps());
        prop_assert_eq!(&service, &goal);

        let mut service = Service::holding(&existing);
        let before = broken_off.index(plan.steps().len() + 1);
        service.take(&plan.steps()[..before]);
        let record = plan.after(existing, before);
        prop_assert_eq!(&Service::holding(&record), &service);
        service.take(plan.steps());
        prop_assert_eq!(&service, &goal);
    }

    #[test]
    fn what_is_wanted_may_change_after_a_plan_broke_off(
        (existing, wanted, better) in (groups(), groups(), groups()),
        (old_names, new_names, better_names) in (names(), names(), names()),
        broken_off in any::<prop::sample::Index>(),
    ) {
        let existing = made(&existing, old_names, true);
        let first = plan(&existing, &made(&wanted, new_names, false));
        let better = made(&better, better_names, false);
        let before = broken_off.index(first.steps().len() + 1);

        let mut service = Service::holding(&existing);
        service.take(&first.steps()[..before]);
        let second = plan(&first.after(existing, before), &better);
        service.take(second.steps());
        prop_assert_eq!(service, Service::holding(&better));
    }

    #[test]
    fn there_is_nothing_to_do_where_all_is_as_wanted(
        wanted in groups(), names in names(), steps in 0..9_usize,
    ) {
        let wanted = made(&wanted, names, false);
        let reversed: Vec<_> = wanted.iter().rev().cloned().collect();
        let nothing = plan(&wanted, &reversed);
        prop_assert_eq!(nothing.steps(), &[]);
        let record = nothing.after(wanted.clone(), steps);
        let nothing = plan(&record, &wanted);
        prop_assert_eq!(nothing.steps(), &[]);
    }
}

const GROUPS_OF: (&str, &str) = ("POST", "/contosohr/groups");
const MEMBERS_OF: (&str, &str) = ("POST", "/contosohr/groups/a/members");
const GROUP: (&str, &str) = ("DELETE", "/contosohr/groups/b");

/// Creates a, with one member, and deletes b.
fn small() -> GroupPlan {
    let old = [GroupWithMembers::new(ExternalGroup::new(id("b")), [])];
    let ann = Identity::user(Guid::from(1_u128));
    plan(&old, &[GroupWithMembers::new(ExternalGroup::new(id("a")), [ann])])
}

#[test]
fn a_plan_is_carried_out_step_by_step_and_counted() {
    for (script, counts) in [
        (
            vec![line(GROUPS_OF, 201, "{}"), line(MEMBERS_OF, 201, "{}"), line(GROUP, 204, "")],
            "groups: 1 created, 0 updated, 1 deleted; members: 1 added, 0 removed; 0 already so",
        ),
        (
            vec![line(GROUPS_OF, 409, ""), line(MEMBERS_OF, 409, ""), line(GROUP, 404, "")],
            "groups: 0 created, 0 updated, 0 deleted; members: 0 added, 0 removed; 3 already so",
        ),
        (
            vec![
                lost(GROUPS_OF, true),
                line(GROUPS_OF, 409, ""),
                line(MEMBERS_OF, 429, ""),
                line(MEMBERS_OF, 201, "{}"),
                line(GROUP, 503, ""),
                line(GROUP, 404, ""),
            ],
            "groups: 0 created, 0 updated, 0 deleted; members: 1 added, 0 removed; 2 already so",
        ),
    ] {
        let (applied, _) = run(&small(), &script);
        let applied = applied.unwrap();
        assert_eq!(applied.counts().steps(), 3);
        assert!(applied.failed().is_none());
        assert_eq!(applied.into_result().unwrap().to_string(), counts);
    }
}

#[test]
fn the_first_step_that_fails_is_the_last() {
    let script = [line(GROUPS_OF, 201, "{}"), line(MEMBERS_OF, 403, "")];
    let (applied, _) = run(&small(), &script);
    let applied = applied.unwrap();
    assert_eq!(applied.counts().created, 1);
    let failed = applied.into_result().unwrap_err();
    assert_eq!((failed.before, failed.error.applied()), (1, Applied::No));
    assert_eq!(failed.error.status().unwrap(), 403);
    assert!(matches!(failed.step, GroupStep::AddMember { .. }));
    let text = failed.to_string();
    let start = "step 2, add user 00000000-0000-0000-0000-000000000001 to a: Add member: 403";
    assert!(text.starts_with(start), "{text}");
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
    assert_eq!(error.operation(), "Create group");
    assert!(matches!(error.cause(), Cause::Build(why) if why.breaks(Rule::Cloud)));
}
