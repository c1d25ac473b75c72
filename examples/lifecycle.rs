//! The whole life of a connection: made, given a schema, filled with groups, items and activities,
//! changed by plans that say beforehand what they do, and deleted.
//!
//! It needs no account: the service is the emulator on loopback.

use std::error::Error;

use graphfeed_core::{
    client::{Client, Transport},
    external::{
        Acl, ActivitySettings, AddActivities, AwaitGone, DeleteConnection, DeleteItem,
        EnsureConnection, EnsureSchema, ExternalActivity, ExternalConnection, ExternalGroup,
        ExternalItem, ExternalItemContent, GetItem, GetSchema, GroupPlan, GroupWithMembers,
        Identity, ItemIdResolver, ItemUpdate, Label, PatchItem, PropertyType, PutItem, Schema,
        SchemaPlan, SchemaProperty,
    },
    protocol::Version,
    types::{ConnectionId, ExternalGroupId, Guid, ItemId},
};
use graphfeed_examples::Loopback;

/// People of the tenant, made up.
const ANN: &str = "e811976d-83df-4cbd-8b9b-5215b18aa874";
const BEN: &str = "1f0c997e-99f7-43f1-8cca-086f8d42be8d";

fn main() -> Result<(), Box<dyn Error>> {
    let loopback = Loopback::start(Version::V1)?;
    let client = loopback.client();
    let id = ConnectionId::new("contosohelp")?;

    connect(&client, &id)?;
    register(&client, &id, &schema(&[])?)?;
    let groups = let_in(&client, &id)?;
    fill(&client, &id)?;
    change(&client, &id)?;
    rearrange(&client, &id, groups)?;
    empty(&client, &id)
}

/// Makes the connection, and says how a shared link leads to an item.
fn connect(client: &Client<impl Transport>, id: &ConnectionId) -> Result<(), Box<dyn Error>> {
    let links =
        ItemIdResolver::new(1, "{ticket}", ["https://help.contoso.com"], "/t/(?<ticket>[^/]+)");
    let wanted = ExternalConnection::builder(id.clone(), "Contoso help desk")
        .description("Tickets of the help desk, with their solutions")
        .activity_settings(ActivitySettings::new([links]))
        .build()?;
    println!("connection: {}", client.run(&EnsureConnection::new(&wanted))?.made);
    Ok(())
}

/// What tickets have; `more` comes later.
fn schema(more: &[SchemaProperty]) -> Result<Schema, Box<dyn Error>> {
    let first = [
        SchemaProperty::new("title", PropertyType::String)
            .searchable()
            .queryable()
            .retrievable()
            .label(Label::Title),
        SchemaProperty::new("url", PropertyType::String).retrievable().label(Label::Url),
        SchemaProperty::new("tags", PropertyType::StringCollection).queryable().retrievable(),
    ];
    let schema = Schema::new(first.into_iter().chain(more.iter().cloned()))?;
    for warning in schema.warnings() {
        println!("schema: {warning}");
    }
    Ok(schema)
}

/// Registers a schema, as far as it differs from what is there, and waits until items are welcome.
fn register(
    client: &Client<impl Transport>,
    id: &ConnectionId,
    schema: &Schema,
) -> Result<(), Box<dyn Error>> {
    let ready = client.run(&EnsureSchema::new(id, schema).ready())?;
    match ready.plan.is_empty() {
        true => println!("schema: there already"),
        false => println!("schema: registered"),
    }
    if ready.plan.needs_reingest() {
        println!("schema: now put every item again");
    }
    Ok(())
}

/// Makes the groups of the source system; what is made is the record that the next plan needs.
fn let_in(
    client: &Client<impl Transport>,
    id: &ConnectionId,
) -> Result<Vec<GroupWithMembers>, Box<dyn Error>> {
    let support =
        ExternalGroup::builder(ExternalGroupId::new("support")?).display_name("Support").build();
    let everybody =
        ExternalGroup::builder(ExternalGroupId::new("staff")?).display_name("Staff").build();
    let wanted = [
        GroupWithMembers::new(everybody, [Identity::external_group(support.id())]),
        GroupWithMembers::new(support, [Identity::user(Guid::new(ANN)?)]),
    ];
    follow(client, &GroupPlan::between(id, &wanted, &[])?, Vec::new())
}

/// Carries out a plan, and gives the record of what is there then.
fn follow(
    client: &Client<impl Transport>,
    plan: &GroupPlan,
    record: Vec<GroupWithMembers>,
) -> Result<Vec<GroupWithMembers>, Box<dyn Error>> {
    for step in plan.steps() {
        println!("groups: {step}");
    }
    // Here a program that runs again writes down `plan.in_doubt(record)`, should it end on the way.
    let applied = client.run(plan)?;
    let record = applied.record(record);
    // And here the record, whether or not all went well.
    println!("{}", applied.into_result()?);
    Ok(record)
}

/// Puts tickets, changes one of them in part, and tells who has read it.
fn fill(client: &Client<impl Transport>, id: &ConnectionId) -> Result<(), Box<dyn Error>> {
    let staff = Acl::external_group(ExternalGroupId::new("staff")?);
    let schema = schema_of(client, id)?;
    for (ticket, title) in [("TSP1", "Kandierte Äpfel kleben"), ("TSP2", "Drucker brennt")] {
        let item = ExternalItem::builder(ItemId::new(ticket)?)
            .acl(staff.clone())
            .property("title", title)
            .property("url", format!("https://help.contoso.com/t/{ticket}"))
            .property("tags", ["open"])
            .content(ExternalItemContent::text(format!("{title}. Was tun?")))
            .build()?;
        schema.check_item(&item)?;
        client.send(&PutItem::new(id, &item))?;
    }
    let first = ItemId::new("TSP1")?;
    let answered = ItemUpdate::builder()
        .content(ExternalItemContent::text("Mit Puderzucker bestäuben."))
        .build()?;
    schema.check_item(&answered)?;
    client.send(&PatchItem::new(id, &first, &answered))?;
    let read = [ExternalActivity::viewed(
        "2026-01-02T03:04:05Z".parse()?,
        Identity::user(Guid::new(ANN)?),
    )];
    client.send(&AddActivities::new(id, &first, &read))?.into_result()?;

    let found = client.send(&GetItem::new(id, &first))?;
    let text = found.content.and_then(|content| content.value).unwrap_or_default();
    println!("item {first}: {text}");
    client.send(&DeleteItem::new(id, &ItemId::new("TSP2")?))?;
    Ok(())
}

fn schema_of(
    client: &Client<impl Transport>,
    id: &ConnectionId,
) -> Result<graphfeed_core::external::StoredSchema, Box<dyn Error>> {
    Ok(client.send(&GetSchema::new(id))?)
}

/// Changes the schema: what cannot be is told beforehand, and what can is done.
fn change(client: &Client<impl Transport>, id: &ConnectionId) -> Result<(), Box<dyn Error>> {
    let live = schema_of(client, id)?;
    let odd = Schema::new([SchemaProperty::new("title", PropertyType::Int64)])?;
    println!("this cannot be:\n{}", SchemaPlan::between(&live, &odd));

    let icon =
        SchemaProperty::new("icon", PropertyType::String).retrievable().label(Label::IconUrl);
    let wanted = schema(&[icon])?;
    println!("this can:\n{}", SchemaPlan::between(&live, &wanted));
    register(client, id, &wanted)
}

/// Ben joins, and support is no longer a part of the staff.
fn rearrange(
    client: &Client<impl Transport>,
    id: &ConnectionId,
    record: Vec<GroupWithMembers>,
) -> Result<(), Box<dyn Error>> {
    let people = [Identity::user(Guid::new(ANN)?), Identity::user(Guid::new(BEN)?)];
    let staff =
        ExternalGroup::builder(ExternalGroupId::new("staff")?).display_name("Staff").build();
    let wanted = [GroupWithMembers::new(staff, people)];
    follow(client, &GroupPlan::between(id, &wanted, &record)?, record)?;
    Ok(())
}

/// Deletes the connection with everything in it, and waits until its id is free again.
fn empty(client: &Client<impl Transport>, id: &ConnectionId) -> Result<(), Box<dyn Error>> {
    client.send(&DeleteConnection::new(id))?;
    client.run(&AwaitGone::new(id.clone()))?;
    println!("connection: gone");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_station_leaves_what_it_says() {
        let loopback = Loopback::start(Version::V1).unwrap();
        let (client, emulator) = (loopback.client(), loopback.emulator());
        let id = ConnectionId::new("contosohelp").unwrap();
        let members = || -> Vec<(String, usize)> {
            let groups = emulator.groups("contosohelp").into_iter();
            groups.map(|group| (group.id, group.members.len())).collect()
        };

        connect(&client, &id).unwrap();
        register(&client, &id, &schema(&[]).unwrap()).unwrap();
        let record = let_in(&client, &id).unwrap();
        assert_eq!(members(), [("staff".to_owned(), 1), ("support".to_owned(), 1)]);
        fill(&client, &id).unwrap();
        assert_eq!(emulator.items("contosohelp").len(), 1);
        assert_eq!(emulator.item_activities("contosohelp", "TSP1").len(), 1);
        change(&client, &id).unwrap();
        assert_eq!(schema_of(&client, &id).unwrap().properties.unwrap().len(), 4);
        rearrange(&client, &id, record).unwrap();
        assert_eq!(members(), [("staff".to_owned(), 2)]);
        empty(&client, &id).unwrap();
        assert!(emulator.service().connection_ids().next().is_none());
    }
}
