//! Items and the activities on them.

use graphfeed_core::{
    client::{Clock, SendOptions, Transport},
    external::{
        Acl, ActivityCounts, ActivityEnds, AddActivities, AddedActivities, DeleteItem, Duplicates,
        ExternalActivity, ExternalActivityType, ExternalItem, ExternalItemContent, GetItem,
        Identity, ItemUpdate, PatchItem, PropertyType, PropertyValue, PutItem,
    },
    machine::{Ingest, IngestSettings, IngestStep, Policy, Shared, Start, Token},
    protocol::{Deleted, Endpoint, Version},
    types::{AccessToken, Change, ItemId},
};
use graphfeed_ureq::UreqTransport;

use super::{World, guid, hr, nowhere, refuses, schema};

pub(super) fn ticket(id: &str) -> ExternalItem {
    ExternalItem::builder(ItemId::new(id).unwrap())
        .acl(Acl::everyone(guid(9)))
        .property("title", "Kandierte Äpfel")
        .property("tags", ["fruit", "sugar"])
        .content(ExternalItemContent::text("Apples."))
        .build()
        .unwrap()
}

/// From nothing to gone.
pub(super) fn life(world: &World) {
    let (client, id, item) = (&world.client, hr(), ticket("T1"));
    refuses(world, &PutItem::new(&nowhere(), &item), 404, "not-found");
    world.ready(&id, &schema());
    refuses(world, &GetItem::new(&id, item.id()), 404, "not-found");

    client.send(&PutItem::new(&id, &item)).unwrap();
    let odd = ExternalItem::builder(ItemId::new("T2").unwrap())
        .acl(Acl::everyone(guid(9)))
        .property("planet", "earth")
        .build()
        .unwrap();
    refuses(world, &PutItem::new(&id, &odd), 400, "property-undeclared");
    let found = client.send(&GetItem::new(&id, item.id())).unwrap();
    let title = found.properties.unwrap().get("title").unwrap().read(&PropertyType::String);
    assert_eq!(title.unwrap(), Some(PropertyValue::from("Kandierte Äpfel")));

    if world.version == Version::V1 {
        let update = ItemUpdate::builder()
            .replace_properties([("title", "Solved")])
            .content(Change::Null)
            .build()
            .unwrap();
        client.send(&PatchItem::new(&id, item.id(), &update)).unwrap();
        let found = client.send(&GetItem::new(&id, item.id())).unwrap();
        assert!(found.properties.unwrap().get("tags").is_none(), "properties are replaced whole");
        assert_eq!((found.acl.unwrap().len(), found.content), (1, None));
        let none = ItemId::new("T9").unwrap();
        refuses(world, &PatchItem::new(&id, &none, &update), 404, "not-found");
    }
    assert_eq!(client.send(&DeleteItem::new(&id, item.id())).unwrap(), Deleted::Now);
    assert_eq!(client.send(&DeleteItem::new(&id, item.id())).unwrap(), Deleted::NotFound);
}

/// Activities, all of them stored or some.
pub(super) fn activities(world: &World) {
    let (client, id, item) = (&world.client, hr(), ticket("T1"));
    world.ready(&id, &schema());
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let viewed = [ExternalActivity::viewed(at, Identity::user(guid(7)))];
    refuses(world, &AddActivities::new(&id, item.id(), &viewed), 404, "not-found");
    client.send(&PutItem::new(&id, &item)).unwrap();
    let added = client.reply(&AddActivities::new(&id, item.id(), &viewed)).unwrap();
    assert_eq!((added.status.as_u16(), added.value.all_stored()), (200, true));
    assert_eq!(world.emulator.item_activities("contosohr", "T1").len(), 1);

    let later = ExternalActivityType::from("planeted");
    let mixed =
        [viewed[0].clone(), ExternalActivity::new(later, at, Identity::user(guid(7))).unwrap()];
    let added = client.reply(&AddActivities::new(&id, item.id(), &mixed)).unwrap();
    assert_eq!((added.status.as_u16(), added.value.failed().len()), (207, 1));
    assert_eq!(world.emulator.item_activities("contosohr", "T1").len(), 2);
    // By the path that OData qualifies it is the same.
    let added = client.send(&AddActivities::new(&id, item.id(), &viewed).qualified()).unwrap();
    assert!(added.all_stored());
}

/// More activities than one call takes, one of which is refused, and an answer that is lost.
pub(super) fn bulk(world: &World) {
    let (id, item) = (hr(), ticket("T1"));
    world.ready(&id, &schema());
    let activity = |kind: &str| {
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        ExternalActivity::new(kind.into(), at, Identity::user(guid(7))).unwrap()
    };
    let mut many = vec![activity("viewed"); 45];
    many[22] = activity("planeted");
    let counts = |(stored, refused, unknown)| {
        let mut counts = ActivityCounts::default();
        (counts.stored, counts.refused, counts.unknown) = (stored, refused, unknown);
        counts
    };
    for (policy, told, stored) in
        [(Duplicates::Never, (24, 1, 20), 44), (Duplicates::Allowed, (44, 1, 0), 64)]
    {
        world.client.send(&DeleteItem::new(&id, item.id())).unwrap();
        world.client.send(&PutItem::new(&id, &item)).unwrap();
        world.emulator.script("addActivities: stored reset times=1").unwrap();
        assert_eq!(add_all(world, &item, &many, policy), counts(told), "{policy:?}");
        assert_eq!(world.emulator.item_activities("contosohr", "T1").len(), stored, "{policy:?}");
        world.emulator.clear_faults();
    }
}

fn add_all(
    world: &World,
    item: &ExternalItem,
    activities: &[ExternalActivity],
    policy: Duplicates,
) -> ActivityCounts {
    let (root, clock) = (world.client.root(), &*world.clock);
    let transport = UreqTransport::danger_plain_http();
    let mut shared = Shared::default();
    let start = Start::new(root.clone(), Policy::default(), 7, Clock::now(clock));
    let mut ingest = Ingest::<_, AddedActivities>::new(IngestSettings::default(), &start);
    for add in AddActivities::chunks(&hr(), item.id(), activities, policy, root) {
        assert!(ingest.offer("T1", add.call(root).unwrap(), Clock::now(clock)).is_ok());
    }
    ingest.close();
    let mut counts = ActivityCounts::default();
    loop {
        let now = Clock::now(clock);
        match ingest.poll(now, &mut shared) {
            IngestStep::Token(need) => {
                let token = Token::new(AccessToken::new("any").unwrap());
                ingest.on_token(need.lease, now, Ok(token), &mut shared);
            }
            IngestStep::Send(attempt) => {
                match transport.send(attempt.request, &SendOptions::default()) {
                    Ok(answer) => ingest.on_response(attempt.ticket, now, answer, &mut shared),
                    Err(failure) => ingest.on_failure(attempt.ticket, now, failure, &mut shared),
                }
            }
            IngestStep::Done(_, outcome) => {
                counts += ActivityEnds::of(&outcome).unwrap().counts();
            }
            IngestStep::Idle { until, .. } => clock.advance(until.unwrap().since(now)),
            IngestStep::Finished(_) => return counts,
        }
    }
}
