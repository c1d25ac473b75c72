//! External groups, their members, and the plan that keeps them in step.

use graphfeed_core::{
    external::{
        Acl, AddMember, CreateGroup, DeleteGroup, ExternalGroup, ExternalItem, GetGroup, GroupPlan,
        GroupUpdate, GroupWithMembers, Identity, PutItem, RemoveMember, UpdateGroup,
    },
    protocol::{Created, Deleted},
    types::{Change, ExternalGroupId, ItemId},
};

use super::{World, guid, hr, nowhere, refuses, schema};

fn id(id: &str) -> ExternalGroupId {
    ExternalGroupId::new(id).unwrap()
}

/// From nothing to gone, by hand and by a plan.
pub(super) fn life(world: &World) {
    let (client, hr) = (&world.client, hr());
    let team = ExternalGroup::builder(id("teamx"))
        .display_name("Team X")
        .description("Who works on X")
        .build();
    refuses(world, &CreateGroup::new(&nowhere(), &team), 404, "not-found");
    world.ready(&hr, &schema());
    refuses(world, &GetGroup::new(&hr, team.id()), 404, "not-found");
    let update = GroupUpdate::builder().description(Change::Null).build().unwrap();
    refuses(world, &UpdateGroup::new(&hr, team.id(), &update), 404, "not-found");
    let ann = Identity::user(guid(7));
    refuses(world, &AddMember::new(&hr, team.id(), &ann), 404, "not-found");

    let create = CreateGroup::new(&hr, &team);
    assert!(matches!(client.send(&create).unwrap(), Created::Now(_)));
    assert_eq!(client.send(&create).unwrap(), Created::AlreadyExists);
    client.send(&UpdateGroup::new(&hr, team.id(), &update)).unwrap();
    let found = client.send(&GetGroup::new(&hr, team.id())).unwrap();
    assert_eq!((found.display_name.as_deref(), found.description), (Some("Team X"), None));

    let add = AddMember::new(&hr, team.id(), &ann);
    assert!(matches!(client.send(&add).unwrap(), Created::Now(_)));
    assert_eq!(client.send(&add).unwrap(), Created::AlreadyExists);
    let remove = RemoveMember::new(&hr, team.id(), &ann);
    assert_eq!(client.send(&remove).unwrap(), Deleted::Now);
    assert_eq!(client.send(&remove).unwrap(), Deleted::NotFound);

    let item = ExternalItem::builder(ItemId::new("T1").unwrap())
        .acl(Acl::external_group(id("teamx")))
        .property("title", "For the team")
        .build()
        .unwrap();
    client.send(&PutItem::new(&hr, &item)).unwrap();

    let delete = DeleteGroup::new(&hr, team.id());
    assert_eq!(client.send(&delete).unwrap(), Deleted::Now);
    assert_eq!(client.send(&delete).unwrap(), Deleted::NotFound);
    plan(world);
}

/// The groups that the service holds, each with its members.
fn groups(world: &World) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<_> = world
        .emulator
        .groups("contosohr")
        .into_iter()
        .map(|group| {
            let mut members: Vec<_> = group.members.into_iter().map(|member| member.id).collect();
            members.sort_unstable();
            (group.id, members)
        })
        .collect();
    groups.sort_unstable();
    groups
}

fn plan(world: &World) {
    let (client, hr) = (&world.client, hr());
    let group = |name: &str, members: &[Identity]| {
        GroupWithMembers::new(ExternalGroup::new(id(name)), members.iter().cloned())
    };
    let (ann, ben) = (Identity::user(guid(7)), Identity::user(guid(8)));
    let within = |name: &str| Identity::external_group(&id(name));
    let first = [
        group("all", &[within("dev"), within("ops")]),
        group("dev", std::slice::from_ref(&ann)),
        group("ops", &[]),
    ];
    let plan = GroupPlan::between(&hr, &first, &[]).unwrap();
    let counts = client.run(&plan).unwrap().into_result().unwrap();
    assert_eq!((counts.created, counts.added, counts.already_so), (3, 3, 0));
    let named = |name: &str, members: &[&Identity]| {
        (name.to_owned(), members.iter().map(|member| member.id().to_owned()).collect::<Vec<_>>())
    };
    let stored = groups(world);
    assert_eq!(
        stored,
        [named("all", &[&within("dev"), &within("ops")]), named("dev", &[&ann]), named("ops", &[])]
    );

    // Taken twice it changes nothing, but for texts that are set to what they are.
    let applied = client.run(&plan).unwrap();
    assert_eq!(applied.record(first.to_vec()), first);
    let counts = applied.into_result().unwrap();
    assert_eq!((counts.updated, counts.already_so, counts.steps()), (3, 3, 6));
    assert_eq!(groups(world), stored);

    let second = [group("all", &[within("dev")]), group("dev", std::slice::from_ref(&ben))];
    let counts = client
        .run(&GroupPlan::between(&hr, &second, &first).unwrap())
        .unwrap()
        .into_result()
        .unwrap();
    assert_eq!((counts.removed, counts.added, counts.deleted), (2, 1, 1));
    assert_eq!(groups(world), [named("all", &[&within("dev")]), named("dev", &[&ben])]);
}
