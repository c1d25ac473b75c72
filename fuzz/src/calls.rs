//! Calls about items, each about one of its own, so that it is known again in any request; and
//! whether what is told of them in the end is true.

use graphfeed_core::{
    activity::{Put, PutActivity, StoredActivity, UserActivity, VisualInfo},
    external::{
        Acl, AddActivities, AddedActivities, DeleteItem, Duplicates, ExternalActivity,
        ExternalItem, ExternalItemContent, GetItem, Identity, ItemUpdate, PatchItem, PutItem,
        StoredItem,
    },
    protocol::{Applied, Call, Cause, Cloud, Deleted, Endpoint, Error, ServiceRoot, Version},
    types::{AppActivityId, BuildError, ConnectionId, Guid, ItemId, Rule, TokenKind},
};
use graphfeed_simulation::CONNECTIONS;

use crate::{
    drive::{World, keeps_secrets},
    wire::Tape,
};

/// A call told of its output as nothing, so that all kinds fit one list.
#[derive(Debug)]
pub(crate) struct Nothing;

macro_rules! nothing_from {
    ($($Output:ty),*) => { $(impl From<$Output> for Nothing {
        fn from(_: $Output) -> Self { Self }
    })* };
}
nothing_from!(Option<StoredItem>, StoredItem, Deleted, AddedActivities, Put<StoredActivity>);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Put,
    Patch,
    Add,
    Delete,
    Get,
    /// An activity of the user's own.
    Note,
}

/// A call, and what it is called.
pub(crate) struct Named {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) call: Call<Nothing>,
}

/// Some call about the item of this number, if there is such a call where it goes.
pub(crate) fn any(
    tape: &mut Tape<'_>,
    number: usize,
    root: &ServiceRoot,
) -> Result<Named, BuildError> {
    let kinds = [Kind::Put, Kind::Put, Kind::Add, Kind::Delete, Kind::Get, Kind::Patch, Kind::Note];
    let kind = tape.one_of(&kinds);
    let connection = tape.one_of(&CONNECTIONS);
    let labelled = kind == Kind::Put && tape.once_in(8);
    let length = tape.one_of(&[0, 0, 0, 200]);
    let id = ItemId::new(format!("T{number}")).expect("an id");
    let path = format!("external/connections/{connection}/items/{id}");
    let connection = ConnectionId::new(connection).expect("an id");
    let acl = || Acl::everyone(Guid::from(7));
    let content = ExternalItemContent::text("a".repeat(length));
    let start = "2026-01-01T00:00:00Z".parse().expect("a date");
    let build = |root: &ServiceRoot| match kind {
        Kind::Put => {
            let mut item = ExternalItem::builder(id.clone()).acl(acl());
            item = item.property("serial", number as i64).content(content.clone());
            if labelled {
                item = item.sensitivity_label(Guid::from(9));
            }
            PutItem::new(&connection, &item.build().expect("an item")).call_into(root)
        }
        Kind::Patch => {
            let update = ItemUpdate::builder().replace_acl([acl()]).content(content.clone());
            let update = update.build().expect("an update");
            PatchItem::new(&connection, &id, &update).call_into(root)
        }
        Kind::Add => {
            let viewed = [ExternalActivity::viewed(start, Identity::user(1.into()))];
            let add = AddActivities::new(&connection, &id, &viewed).duplicates(Duplicates::Never);
            add.call_into(root)
        }
        Kind::Delete => DeleteItem::new(&connection, &id).call_into(root),
        Kind::Get => GetItem::new(&connection, &id).call_into(root),
        Kind::Note => {
            let id = AppActivityId::new(format!("T{number}")).expect("an id");
            let activity = UserActivity::builder(id)
                .activity_source_host("https://contoso.com")
                .activation_url("https://contoso.com/a")
                .visual_elements(VisualInfo::new("a".repeat(1 + length)))
                .build()
                .expect("an activity");
            PutActivity::new(&activity).call_into(root)
        }
    };
    let call = build(root);
    is_refused_for_its_place(kind, labelled, root, build, &call);
    let name = match kind {
        Kind::Put => format!("PUT {path}"),
        Kind::Patch => format!("PATCH {path}"),
        Kind::Add => format!("POST {path}/addActivities"),
        Kind::Delete => format!("DELETE {path}"),
        Kind::Get => format!("GET {path}"),
        Kind::Note => format!("PUT me/activities/T{number}"),
    };
    call.map(|call| Named { kind, name, call })
}

/// A call is refused before it is sent where the version or the cloud has no such call or no such
/// member, or where it is too long; all of that at once, and nothing else.
fn is_refused_for_its_place(
    kind: Kind,
    labelled: bool,
    root: &ServiceRoot,
    build: impl Fn(&ServiceRoot) -> Result<Call<Nothing>, BuildError>,
    call: &Result<Call<Nothing>, BuildError>,
) {
    let (global, v1) = (root.cloud() == Cloud::Global, root.version() == Version::V1);
    let is_unknown_here = labelled && !global;
    // As long as it is where all is there and as long as one likes.
    let version = if kind == Kind::Patch { Version::V1 } else { root.version() };
    let whole = build(&ServiceRoot::new(Cloud::Global, version)).expect("a call");
    let expected = [
        (Rule::Version, kind == Kind::Patch && !v1),
        (Rule::Cloud, kind == Kind::Note && !global || is_unknown_here),
        // What has no such member is not written to its end.
        (Rule::BodySize, whole.request().body().len() > root.limits().body && !is_unknown_here),
    ];
    for (rule, is_broken) in expected {
        let breaks = call.as_ref().is_err_and(|why| why.breaks(rule));
        assert_eq!(breaks, is_broken, "{rule:?} of {kind:?} to {root}: {call:?}");
    }
    let is_any_broken = expected.iter().any(|(_, is_broken)| *is_broken);
    assert_eq!(call.is_err(), is_any_broken, "{kind:?} to {root}: {call:?}");
}

/// What a call came to is true. Of what went well is known whether all of it was done.
pub(crate) fn is_true(world: &World<'_>, call: &Named, outcome: Result<bool, &Error>) {
    let Named { kind, name, call } = call;
    keeps_secrets(call);
    let carried_out = world.carried_out.get(name).copied().unwrap_or_default();
    let in_doubt = world.in_doubt.contains(name);
    let writes = *kind != Kind::Get;
    assert!(*kind != Kind::Add || carried_out <= 1, "{name}: added {carried_out} times");
    match outcome {
        // What is not there is deleted.
        Ok(_) if *kind == Kind::Delete => {}
        Ok(true) => assert!(carried_out >= 1, "{name}: told as done"),
        Ok(false) => {
            let partly = *kind == Kind::Add && world.told_partly.contains(name);
            assert!(partly, "{name}: told as partly done");
        }
        Err(error) => {
            keeps_secrets(error);
            keeps_secrets(&error.to_string());
            let sends = world.sends.get(name).copied().unwrap_or_default();
            assert_eq!(error.attempts(), sends, "{name}: {error}");
            if let Cause::Build(why) = error.cause() {
                let other = match kind {
                    Kind::Note => Some(TokenKind::Application),
                    Kind::Add => Some(TokenKind::Delegated),
                    _ => None,
                };
                let is_for_others = other.is_some_and(|other| world.tokens.contains(&other));
                // What goes around it in a batch is no longer than this.
                let length = call.request().body().len() + 300;
                let is_too_long = length > world.root.limits().body;
                let is_so = is_for_others && why.breaks(Rule::TokenKind)
                    || is_too_long && why.breaks(Rule::BodySize);
                assert!(is_so, "{name}: refused here: {why}");
            }
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
