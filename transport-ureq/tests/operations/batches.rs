//! Calls of several kinds in one request.

use graphfeed_core::{
    external::{
        AddActivities, DeleteItem, ExternalActivity, GetConnection, GetItem, Identity, PutItem,
    },
    machine::Batches,
    protocol::Deleted,
};

use super::{World, guid, hr, items::ticket, refused, schema};

/// More than one request holds, of every kind, among them what is refused.
pub(super) fn life(world: &World) {
    let (client, hr) = (&world.client, hr());
    world.ready(&hr, &schema());
    let items: Vec<_> = (0..25).map(|number| ticket(&format!("T{number}"))).collect();
    let mut batches = Batches::new(client.root());
    let puts: Vec<_> =
        items.iter().map(|item| batches.add(&PutItem::new(&hr, item)).unwrap()).collect();
    let connection = batches.add(&GetConnection::new(&hr)).unwrap();
    let answers = client.run(&batches).unwrap();
    for put in &puts {
        assert_eq!(answers.of(put).unwrap(), None);
    }
    assert_eq!(answers.of(&connection).unwrap().id.as_deref(), Some("contosohr"));
    assert_eq!(world.emulator.items("contosohr").len(), 25);
    assert_eq!(world.emulator.count("POST batch"), 2, "20 of them in one, and the others");

    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let viewed = [ExternalActivity::viewed(at, Identity::user(guid(7)))];
    let nothing = ticket("T99");
    let mut batches = Batches::new(client.root());
    let item = batches.add(&GetItem::new(&hr, items[0].id())).unwrap();
    let missing = batches.add(&GetItem::new(&hr, nothing.id())).unwrap();
    let deleted = batches.add(&DeleteItem::new(&hr, items[1].id())).unwrap();
    let gone = batches.add(&DeleteItem::new(&hr, nothing.id())).unwrap();
    let added = batches.add(&AddActivities::new(&hr, items[2].id(), &viewed)).unwrap();
    let answers = client.run(&batches).unwrap();
    assert_eq!(answers.of(&item).unwrap().content.unwrap().value.as_deref(), Some("Apples."));
    refused(answers.of(&missing), 404, "not-found");
    assert_eq!(answers.of(&deleted).unwrap(), Deleted::Now);
    assert_eq!(answers.of(&gone).unwrap(), Deleted::NotFound);
    assert!(answers.of(&added).unwrap().all_stored());
    assert_eq!(answers.strays(), []);
}
