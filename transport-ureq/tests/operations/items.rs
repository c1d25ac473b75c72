//! Items and the activities on them.

use graphfeed_core::{
    external::{
        Acl, AddActivities, DeleteItem, ExternalActivity, ExternalActivityType, ExternalItem,
        ExternalItemContent, GetItem, Identity, ItemUpdate, PatchItem, PropertyType, PropertyValue,
        PutItem,
    },
    protocol::{Deleted, Version},
    types::{Change, ItemId},
};

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
