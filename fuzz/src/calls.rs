//! Calls about items, each about one of its own, so that it is known again in any request; and
//! whether what is told of them in the end is true.

use graphfeed_core::{
    external::{
        Acl, AddActivities, AddedActivities, DeleteItem, Duplicates, ExternalActivity,
        ExternalItem, GetItem, Identity, PutItem, StoredItem,
    },
    protocol::{Applied, Call, Deleted, Endpoint, Error, ServiceRoot},
    types::{ConnectionId, Guid, ItemId},
};
use graphfeed_simulation::CONNECTIONS;

use crate::{drive::World, wire::Tape};

/// A call told of its output as nothing, so that all kinds fit one list.
#[derive(Debug)]
pub(crate) struct Nothing;

macro_rules! nothing_from {
    ($($Output:ty),*) => { $(impl From<$Output> for Nothing {
        fn from(_: $Output) -> Self { Self }
    })* };
}
nothing_from!(Option<StoredItem>, StoredItem, Deleted, AddedActivities);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Put,
    Add,
    Delete,
    Get,
}

/// A call, and what it is called.
pub(crate) struct Named {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) call: Call<Nothing>,
}

/// Some call about the item of this number.
pub(crate) fn any(tape: &mut Tape<'_>, number: usize) -> Named {
    let kind = tape.one_of(&[Kind::Put, Kind::Put, Kind::Add, Kind::Delete, Kind::Get]);
    let connection = tape.one_of(&CONNECTIONS);
    let root = &ServiceRoot::v1();
    let id = ItemId::new(format!("T{number}")).expect("an id");
    let path = format!("external/connections/{connection}/items/{id}");
    let connection = ConnectionId::new(connection).expect("an id");
    let (method, call) = match kind {
        Kind::Put => {
            let item = ExternalItem::builder(id)
                .acl(Acl::everyone(Guid::from(7)))
                .property("serial", number as i64)
                .build()
                .expect("an item");
            ("PUT", PutItem::new(&connection, &item).call_into(root))
        }
        Kind::Add => {
            let start = "2026-01-01T00:00:00Z".parse().expect("a date");
            let viewed = [ExternalActivity::viewed(start, Identity::user(1.into()))];
            let add = AddActivities::new(&connection, &id, &viewed).duplicates(Duplicates::Never);
            ("POST", add.call_into(root))
        }
        Kind::Delete => ("DELETE", DeleteItem::new(&connection, &id).call_into(root)),
        Kind::Get => ("GET", GetItem::new(&connection, &id).call_into(root)),
    };
    let action = if kind == Kind::Add { "/addActivities" } else { "" };
    Named { kind, name: format!("{method} {path}{action}"), call: call.expect("a call") }
}

/// What a call came to is true.
pub(crate) fn is_true<T>(world: &World<'_>, call: &Named, outcome: Result<T, &Error>) {
    let Named { kind, name, .. } = call;
    let carried_out = world.carried_out.get(name).copied().unwrap_or_default();
    let in_doubt = world.in_doubt.contains(name);
    let writes = *kind != Kind::Get;
    assert!(*kind != Kind::Add || carried_out <= 1, "{name}: added {carried_out} times");
    match outcome {
        // What is not there is deleted.
        Ok(_) if *kind == Kind::Delete => {}
        Ok(_) => assert!(carried_out >= 1, "{name}: told as done"),
        Err(error) => {
            let sends = world.sends.get(name).copied().unwrap_or_default();
            assert_eq!(error.attempts(), sends, "{name}: {error}");
            match error.applied() {
                Applied::Yes => assert!(carried_out >= 1, "{name}: told as done: {error}"),
                Applied::No => {
                    assert!(!writes || !in_doubt, "{name}: a doubt was forgotten: {error}");
                    assert!(!writes || carried_out == 0, "{name}: told as not done: {error}");
                }
                Applied::Maybe => assert!(writes && in_doubt, "{name}: there is no doubt: {error}"),
            }
        }
    }
}
