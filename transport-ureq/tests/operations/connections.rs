//! Connections, their schema, their states and their quota.

use graphfeed_core::{
    external::{
        ActivitySettings, AwaitGone, AwaitReady, AwaitSchema, ComplianceSettings, Configuration,
        ConnectionState, ConnectionUpdate, ConnectorTicket, ContentCategory, ContentExperienceType,
        ContentExperiences, CreateConnection, DeleteConnection, DeleteItem, DisplayTemplate,
        EnsureConnection, EnsureSchema, EnsuredSchema, ExternalConnection, GetConnection, GetItem,
        GetOperation, GetQuota, GetSchema, ItemIdResolver, Label, ListConnections, Made,
        PropertyType, PutItem, RegisterSchema, Schema, SchemaProperty, SearchSettings,
        UpdateConnection,
    },
    protocol::{Cause, Deleted, Version},
    types::{Change, ConnectionId, OperationId, RawJson, Rule, Secret},
};
use graphfeed_emulator::{ConnectionState as State, Options};

use super::{Seen, World, guid, hr, items, nowhere, refuses, schema};

/// From nothing to gone.
pub(super) fn life(world: &World) {
    let (client, id) = (&world.client, hr());
    refuses(world, &GetConnection::new(&id), 404, "not-found");
    assert_eq!(client.send(&DeleteConnection::new(&id)).unwrap(), Deleted::NotFound);
    let rename = ConnectionUpdate::builder().name("HR").build().unwrap();
    refuses(world, &UpdateConnection::new(&id, &rename), 404, "not-found");

    let card = RawJson::parse(r#"{"type":"AdaptiveCard","version":"1.3","body":[]}"#).unwrap();
    let resolver =
        ItemIdResolver::new(1, "{ticket}", ["https://help.contoso.com"], "/t/(?<ticket>[^/]+)");
    let full = ExternalConnection::builder(id.clone(), "Contoso HR")
        .description("Tickets")
        .configuration(Configuration::new([guid(1)]))
        .activity_settings(ActivitySettings::new([resolver]))
        .search_settings(SearchSettings::new([DisplayTemplate::new("plain", 1, card)]))
        .content_category(ContentCategory::TaskManagement)
        .build()
        .unwrap();
    let made = client.send(&CreateConnection::new(&full)).unwrap();
    assert_eq!(made.state, Some(ConnectionState::Draft));
    assert_eq!(full.update_of(&made), None, "everything was stored as it was sent");
    refuses(world, &CreateConnection::new(&full), 409, "already-exists");

    // A Teams app's has the app's id, by a header of its own.
    let ticket = ConnectorTicket::new("8b1a9953", Secret::new("made-up")).unwrap();
    let teams = ExternalConnection::new(ConnectionId::new("teamsapp").unwrap(), "Teams").unwrap();
    let of_app = client.send(&CreateConnection::new(&teams).ticket(&ticket)).unwrap();
    assert_eq!(of_app.connector_id.as_deref(), Some("8b1a9953"));

    let listed: Vec<_> = client.pages(&ListConnections::new()).map(Result::unwrap).collect();
    let listed: Vec<_> = listed.iter().map(|page| page.value[0].id.as_deref().unwrap()).collect();
    assert_eq!(listed, ["contosohr", "teamsapp"], "one on each page");

    let update = ConnectionUpdate::builder().name("HR").description(Change::Null).build().unwrap();
    client.send(&UpdateConnection::new(&id, &update)).unwrap();
    let found = client.send(&GetConnection::new(&id)).unwrap();
    assert_eq!((found.name.as_deref(), found.description), (Some("HR"), None));
    assert_eq!(found.activity_settings, made.activity_settings, "what is not named stays");

    let described =
        ExternalConnection::builder(id.clone(), "HR").description("Tickets").build().unwrap();
    let ensured = client.run(&EnsureConnection::new(&described)).unwrap();
    assert_eq!((ensured.made, ensured.updated), (Made::Before, true));
    assert_eq!(ensured.connection.description.as_deref(), Some("Tickets"));

    if world.version == Version::Beta {
        beta(world);
    }
    assert_eq!(client.send(&DeleteConnection::new(&id)).unwrap(), Deleted::Now);
    client.run(&AwaitGone::new(id.clone())).unwrap();
    refuses(world, &GetConnection::new(&id), 404, "not-found");
    client.send(&CreateConnection::new(&full)).unwrap();
}

fn beta(world: &World) {
    let (client, id) = (&world.client, hr());
    let both = [ContentExperienceType::Search, ContentExperienceType::Compliance];
    let card = RawJson::parse(r#"{"type":"AdaptiveCard","version":"1.2","body":[]}"#).unwrap();
    let compliance = ComplianceSettings::new([DisplayTemplate::new("plain", 1, card)]);
    let update = ConnectionUpdate::builder()
        .enabled_content_experiences(ContentExperiences::new(both.clone()))
        .compliance_settings(compliance.clone())
        .build()
        .unwrap();
    client.send(&UpdateConnection::new(&id, &update)).unwrap();
    let found = client.send(&GetConnection::new(&id)).unwrap();
    assert_eq!(found.compliance_settings, Some(compliance));
    let experiences: Vec<_> = found.enabled_content_experiences.unwrap().iter().cloned().collect();
    assert_eq!(experiences, both);
    let quota = client.send(&GetQuota::new(&id)).unwrap();
    assert!(quota.items_remaining.unwrap() > 0);
    refuses(world, &GetQuota::new(&nowhere()), 404, "not-found");
}

/// A schema from its registration to its change.
pub(super) fn registration(world: &World) {
    let (client, id, first) = (&world.client, hr(), schema());
    refuses(world, &RegisterSchema::new(&id, &first), 404, "not-found");
    let connection = ExternalConnection::new(id.clone(), "Contoso HR").unwrap();
    client.send(&CreateConnection::new(&connection)).unwrap();
    refuses(world, &GetSchema::new(&id), 404, "not-found");
    let nothing = OperationId::new("nothing").unwrap();
    refuses(world, &GetOperation::new(&id, &nothing), 404, "not-found");

    let EnsuredSchema::Begun { registration: begun, .. } =
        client.run(&EnsureSchema::new(&id, &first)).unwrap()
    else {
        panic!("there was none");
    };
    refuses(world, &PutItem::new(&id, &items::ticket("T1")), 400, "connection-state");
    client.run(&AwaitSchema::new(id.clone(), begun.operation)).unwrap();
    client.run(&AwaitReady::new(id.clone())).unwrap();
    let live = client.send(&GetSchema::new(&id)).unwrap();
    assert!(live.is(&first));
    assert!(matches!(
        client.run(&EnsureSchema::new(&id, &first)).unwrap(),
        EnsuredSchema::Equal(_)
    ));

    // A label that came after the sentinel is shown to this client.
    let more = Schema::new([
        SchemaProperty::new("title", PropertyType::String).searchable().retrievable(),
        SchemaProperty::new("tags", PropertyType::StringCollection).queryable(),
        SchemaProperty::new("icon", PropertyType::String).retrievable().label(Label::IconUrl),
    ])
    .unwrap();
    world.register(&id, &more);
    assert!(client.send(&GetSchema::new(&id)).unwrap().is(&more));

    // What cannot be is refused by the service, and by the client before it is sent.
    let impossible = Schema::new([
        SchemaProperty::new("title", PropertyType::Int64),
        SchemaProperty::new("icon", PropertyType::String).retrievable().label(Label::IconUrl),
    ])
    .unwrap();
    refuses(world, &RegisterSchema::new(&id, &impossible), 400, "schema-update");
    let error = client.run(&EnsureSchema::new(&id, &impossible)).unwrap_err();
    let Cause::Build(why) = error.cause() else { panic!("{error}") };
    assert!(why.breaks(Rule::SchemaUpdate));
}

/// What a state does not allow.
pub(super) fn states(seen: &Seen) {
    let mut options = Options::default();
    options.behaviour.set("item-quota", "1").unwrap();
    let world = World::with(Version::Beta, seen, options, None);
    let (client, id) = (&world.client, hr());
    world.ready(&id, &schema());
    client.send(&PutItem::new(&id, &items::ticket("T1"))).unwrap();
    let found = client.send(&GetConnection::new(&id)).unwrap();
    assert_eq!(found.state, Some(ConnectionState::LimitExceeded));
    assert_eq!(found.ingested_items_count, Some(1));
    assert_eq!(client.send(&GetQuota::new(&id)).unwrap().items_remaining, Some(0));
    refuses(&world, &PutItem::new(&id, &items::ticket("T2")), 400, "connection-state");
    client.send(&PutItem::new(&id, &items::ticket("T1"))).unwrap();
    refuses(&world, &RegisterSchema::new(&id, &schema()), 400, "connection-state");

    world.emulator.set_connection_state("contosohr", State::Obsolete);
    let rename = ConnectionUpdate::builder().name("HR").build().unwrap();
    refuses(&world, &UpdateConnection::new(&id, &rename), 400, "connection-state");
    refuses(&world, &PutItem::new(&id, &items::ticket("T1")), 400, "connection-state");
    let item = items::ticket("T1");
    refuses(&world, &DeleteItem::new(&id, item.id()), 400, "connection-state");
    client.send(&GetItem::new(&id, item.id())).unwrap();
    client.run(&AwaitReady::new(id.clone())).unwrap_err();
    assert_eq!(client.send(&DeleteConnection::new(&id)).unwrap(), Deleted::Now);
    client.run(&AwaitGone::new(id)).unwrap();
}
