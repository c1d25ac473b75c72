//! The core's requests, judged by the emulator, which has never seen the core's code: no id can
//! change a route, what is written can be read back, and nothing we write draws even a remark.

use std::time::Duration;

use graphfeed_core::{
    activity::{
        ActivityHistoryItem, ListActivities, Put, PutActivity, PutHistoryItem, UserActivity,
        VisualInfo,
    },
    client::{Client, VirtualClock},
    external::{
        Acl, ActivityFailure, AddActivities, ConnectionOperationStatus, ConnectionState,
        CreateConnection, DeleteConnection, ExternalActivity, ExternalConnection, ExternalItem,
        ExternalItemContent, GetConnection, GetItem, GetOperation, Identity, Principal,
        PropertyType, PropertyValue, PutItem, RegisterSchema, Schema, SchemaProperty,
    },
    protocol::{Applied, Cloud, Endpoint, ServiceRoot, Version},
    types::{
        AccessToken, AppActivityId, ConnectionId, ExternalGroupId, Guid, ItemId, RawJson,
        Timestamp, UserActivityId,
    },
};
use graphfeed_emulator::{Behaviour, Emulator, Options, Verdict};
use proptest::prelude::*;

/// Strict beyond the default: what our own client writes is right in every respect.
fn emulator() -> Emulator {
    let behaviour = Behaviour {
        annotation_order: Verdict::Refuse,
        server_owned: Verdict::Refuse,
        schema_delay: Duration::ZERO,
        ..Behaviour::default()
    };
    Emulator::new(Options { behaviour, ..Options::default() })
}

fn root(version: Version) -> ServiceRoot {
    ServiceRoot::new(Cloud::Global, version)
}

fn client(emulator: &Emulator, version: Version) -> Client<Emulator> {
    Client::builder(root(version), AccessToken::new("any").unwrap())
        .build(emulator.clone(), VirtualClock::default())
}

fn connection() -> ConnectionId {
    ConnectionId::new("contosohr").unwrap()
}

fn every_type() -> Vec<(&'static str, PropertyType)> {
    let names = ["string", "int64", "double", "dateTime", "boolean", "stringCollection"];
    let more = ["int64Collection", "doubleCollection", "dateTimeCollection", "principal"];
    names
        .into_iter()
        .chain(more)
        .chain(["principalCollection"])
        .map(|name| (name, PropertyType::from(name)))
        .collect()
}

/// A connection that is ready, with a property of every type, named after it.
fn ready(client: &Client<Emulator>) {
    let connection = ExternalConnection::new(connection(), "Contoso HR").unwrap();
    client.send(&CreateConnection::new(&connection)).unwrap();
    let properties = every_type().into_iter().map(|(name, kind)| SchemaProperty::new(name, kind));
    let schema = Schema::new(properties).unwrap();
    client.send(&RegisterSchema::new(connection.id(), &schema)).unwrap();
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn the_four_writes_and_what_they_need_work_in_both_versions() {
    for version in [Version::V1, Version::Beta] {
        let emulator = emulator();
        let client = client(&emulator, version);
        let id = connection();
        let missing = client.send(&GetConnection::new(&id)).unwrap_err();
        assert_eq!(missing.status().unwrap(), 404);

        let made = ExternalConnection::new(id.clone(), "Contoso HR").unwrap();
        let stored = client.send(&CreateConnection::new(&made)).unwrap();
        assert_eq!(stored.state, Some(ConnectionState::Draft));
        let again = client.send(&CreateConnection::new(&made)).unwrap_err();
        assert_eq!((again.status().unwrap().as_u16(), again.applied()), (409, Applied::No));

        let schema = Schema::new([
            SchemaProperty::new("title", PropertyType::String).searchable().retrievable(),
            SchemaProperty::new("tags", PropertyType::StringCollection),
        ])
        .unwrap();
        let begun = client.send(&RegisterSchema::new(&id, &schema)).unwrap();
        let operation = client.send(&GetOperation::new(&id, &begun.operation)).unwrap();
        assert_eq!(operation.status, Some(ConnectionOperationStatus::Completed));
        assert_eq!(
            client.send(&GetConnection::new(&id)).unwrap().state,
            Some(ConnectionState::Ready)
        );

        let entries = [
            Acl::user(Guid::from(1)),
            Acl::group(Guid::from(2)).deny(),
            Acl::external_group(ExternalGroupId::new("14m1b9c38qe647f6a").unwrap()).deny(),
            Acl::everyone(Guid::from(3)),
            Acl::everyone_except_guests(Guid::from(3)),
        ];
        let mut item = ExternalItem::builder(ItemId::new("TSP228082938").unwrap());
        for entry in &entries {
            item = item.acl(entry.clone());
        }
        let ann = Identity::user(Guid::from(7));
        let item = item
            .property("title", "Kandierte Äpfel")
            .property("tags", ["red", "blau"])
            .content(ExternalItemContent::html("<p>Äpfel</p>"))
            .activity(ExternalActivity::created(at("2026-01-01T00:00:00Z"), ann.clone()))
            .build()
            .unwrap();
        assert_eq!(client.send(&PutItem::new(&id, &item)).unwrap(), None);
        let stored = client.send(&GetItem::new(&id, item.id())).unwrap();
        let acl = stored.acl.unwrap();
        assert_eq!(acl.len(), entries.len());
        assert!(acl.iter().zip(&entries).all(|(stored, entry)| stored.is(entry)), "{acl:?}");
        assert_eq!(stored.content.unwrap().value.as_deref(), Some("<p>Äpfel</p>"));

        let sent = [
            ExternalActivity::viewed(at("2026-01-02T00:00:00.1234567Z"), ann),
            ExternalActivity::commented(
                at("2026-01-03T00:00:00Z"),
                Identity::external_group(&ExternalGroupId::new("teamx").unwrap()),
            ),
        ];
        let add = AddActivities::new(&id, item.id(), &sent);
        let added = client.reply(&add).unwrap();
        assert_eq!(added.status, 200);
        assert_eq!(added.value.into_result().unwrap().len(), 2);
        client.send(&add.qualified()).unwrap().into_result().unwrap();
        assert_eq!(emulator.item_activities("contosohr", "TSP228082938").len(), 5);

        client.send(&DeleteConnection::new(&id)).unwrap();
        assert_eq!(client.send(&GetConnection::new(&id)).unwrap_err().status().unwrap(), 404);
        assert_eq!(emulator.reports(), []);
    }
}

#[test]
fn an_activity_that_is_refused_is_told_from_those_that_are_stored() {
    let emulator = emulator();
    let client = client(&emulator, Version::V1);
    ready(&client);
    let item = ExternalItem::builder(ItemId::new("T1").unwrap())
        .acl(Acl::everyone(Guid::from(1)))
        .property("string", "x")
        .build()
        .unwrap();
    client.send(&PutItem::new(&connection(), &item)).unwrap();
    let ann = Identity::user(Guid::from(7));
    let newer = ExternalActivity::new("shared".into(), at("2026-01-02T00:00:00Z"), ann.clone());
    let sent = [
        ExternalActivity::viewed(at("2026-01-01T00:00:00Z"), ann.clone()),
        newer.unwrap(),
        ExternalActivity::modified(at("2026-01-03T00:00:00Z"), ann),
    ];
    let reply = client.reply(&AddActivities::new(&connection(), item.id(), &sent)).unwrap();
    assert_eq!(reply.status, 207);
    let verdicts: Vec<_> = reply.value.iter().map(|(_, verdict)| verdict).collect();
    assert!(verdicts[0].is_ok() && verdicts[2].is_ok());
    let Err(ActivityFailure::Refused(error)) = verdicts[1] else { panic!("{verdicts:?}") };
    let inner = error.inner_error.as_ref().unwrap();
    assert_eq!(inner.code.as_deref(), Some("enum-value"));
    assert_eq!(inner.target.as_deref(), Some("$.activities[1].type"));
    assert_eq!(reply.value.failed(), [sent[1].clone()]);
    assert_eq!(emulator.item_activities("contosohr", "T1").len(), 2);
}

#[test]
fn a_refusal_of_the_service_is_read_down_to_its_cause() {
    let emulator = emulator();
    let client = client(&emulator, Version::V1);
    ready(&client);
    let item = ExternalItem::builder(ItemId::new("T1").unwrap())
        .acl(Acl::everyone(Guid::from(1)))
        .property("int64", "seven")
        .property("none", 7)
        .build()
        .unwrap();
    let error = client.send(&PutItem::new(&connection(), &item)).unwrap_err();
    assert_eq!((error.status().unwrap().as_u16(), error.applied()), (400, Applied::No));
    let service = error.service_error().unwrap();
    let graph = service.error().unwrap();
    assert_eq!(graph.code.as_deref(), Some("InvalidRequest"));
    assert_eq!(graph.cause().code.as_deref(), Some("property-type"));
    assert_eq!(graph.cause().target.as_deref(), Some("$.properties.int64"));
    let all: Vec<_> = graph.details.iter().map(|detail| detail.code.as_deref().unwrap()).collect();
    assert_eq!(all, ["property-type", "property-undeclared"]);
    assert!(service.request_id().is_some() && service.client_request_id().is_some());
}

#[test]
fn user_activities_keep_their_id_and_their_history() {
    let emulator = emulator();
    let client = client(&emulator, Version::V1);
    let card = "{ \"type\":\"AdaptiveCard\",\n \"version\": 1.50 }";
    let activity = |title: &str, history: Option<ActivityHistoryItem>| {
        let mut visual = VisualInfo::new(title);
        visual.content = Some(RawJson::parse(card).unwrap());
        let builder = UserActivity::builder(AppActivityId::new("/article?12345").unwrap())
            .activity_source_host("https://contoso.com")
            .activation_url("https://www.contoso.com/article?id=12345")
            .visual_elements(visual);
        match history {
            Some(item) => builder.history_item(item).build().unwrap(),
            None => builder.build().unwrap(),
        }
    };
    let begun = at("2015-02-11T20:54:04.3457274Z");
    let history = ActivityHistoryItem::between(begun, at("2015-02-11T20:54:24.3457274Z")).unwrap();
    let first = client.send(&PutActivity::new(&activity("A", Some(history.clone())))).unwrap();
    let Put::Created(first) = first else { panic!("{first:?}") };
    let inserted = &first.history_items.as_ref().unwrap()[0];
    assert_eq!(inserted.active_duration_seconds, Some(20));
    assert!(Guid::new(inserted.id.as_deref().unwrap()).is_ok());
    let second = client.send(&PutActivity::new(&activity("B", None))).unwrap();
    let Put::Replaced(second) = second else { panic!("{second:?}") };
    assert_eq!(first.id, second.id, "the server's id survives");
    let visual = second.visual_elements.unwrap();
    assert_eq!(visual.content.unwrap().get(), card, "byte for byte, there and back");

    let id = Guid::new("390e06e2-7e5b-4133-8014-fac7ac5991af").unwrap();
    let put = PutHistoryItem::new(&first.id, id, &history);
    let Put::Created(stored) = client.send(&put).unwrap() else { panic!() };
    assert_eq!(stored.started_date_time, Some(begun), "100 nanoseconds survive");
    assert!(matches!(client.send(&put).unwrap(), Put::Replaced(_)));
    let page = client.send(&ListActivities::new()).unwrap();
    assert_eq!(page.value.len(), 1);
    assert_eq!(page.value[0].app_activity_id.as_deref(), Some("/article?12345"));
    assert_eq!(emulator.user_activities()[0].history_items.len(), 2);
}

fn number() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
}

fn date() -> impl Strategy<Value = Timestamp> {
    (-62_135_596_800_i64..=253_402_300_799, 0_i128..10_000_000).prop_map(|(seconds, ticks)| {
        let nanoseconds = i128::from(seconds) * 1_000_000_000 + ticks * 100;
        Timestamp::from_unix_nanoseconds(nanoseconds).unwrap()
    })
}

fn value() -> impl Strategy<Value = PropertyValue> {
    use prop::collection::vec;
    let principal = || any::<String>().prop_map(|name| Principal::external("7", name));
    prop_oneof![
        any::<String>().prop_map(PropertyValue::from),
        any::<i64>().prop_map(PropertyValue::from),
        number().prop_map(PropertyValue::from),
        any::<bool>().prop_map(PropertyValue::from),
        date().prop_map(PropertyValue::from),
        vec(any::<String>(), 0..4).prop_map(PropertyValue::from),
        vec(any::<i64>(), 0..4).prop_map(PropertyValue::from),
        vec(number(), 0..4).prop_map(PropertyValue::from),
        vec(date(), 0..4).prop_map(PropertyValue::from),
        principal().prop_map(PropertyValue::from),
        vec(principal(), 0..4).prop_map(PropertyValue::from),
    ]
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_back_the_same(
        values in prop::collection::vec(value(), 1..8),
        content in any::<String>(),
        key in any::<String>(),
    ) {
        let emulator = emulator();
        let client = client(&emulator, Version::V1);
        ready(&client);
        let mut item = ExternalItem::builder(ItemId::from_key(&key))
            .acl(Acl::everyone(Guid::from(1)))
            .content(ExternalItemContent::text(&*content));
        let mut written: Vec<(String, PropertyValue)> = Vec::new();
        for value in values {
            let name = value.kind().to_string();
            if written.iter().all(|(known, _)| *known != name) {
                item = item.property(&name, value.clone());
                written.push((name, value));
            }
        }
        let item = item.build().unwrap();
        client.send(&PutItem::new(&connection(), &item)).unwrap();
        let stored = client.send(&GetItem::new(&connection(), item.id())).unwrap();
        prop_assert_eq!(stored.id.as_deref(), Some(item.id().as_str()));
        let properties = stored.properties.unwrap();
        prop_assert_eq!(properties.iter().count(), written.len());
        for (name, value) in &written {
            let read = properties.get(name).unwrap().read(&value.kind()).unwrap();
            prop_assert_eq!(read.as_ref(), Some(value));
        }
        prop_assert_eq!(stored.content.unwrap().value, Some(content));
        prop_assert_eq!(emulator.reports(), []);
    }

    #[test]
    fn no_app_activity_id_can_change_the_route(id in any::<String>(), odd in "[./\\\\%?#:@ ~+&=;a-c\u{e4}]{1,12}") {
        for id in [id, odd] {
            let Ok(id) = AppActivityId::new(&id) else {
                prop_assert!(matches!(id.as_str(), "" | "." | ".."));
                continue;
            };
            let emulator = emulator();
            let client = client(&emulator, Version::V1);
            let activity = UserActivity::builder(id.clone())
                .activity_source_host("https://contoso.com")
                .activation_url("https://www.contoso.com/")
                .visual_elements(VisualInfo::new("A"))
                .build()
                .unwrap();
            let put = PutActivity::new(&activity);
            let request = put.request(client.root()).unwrap();
            prop_assert_eq!(request.uri().path().split('/').count(), 5);
            let stored = client.send(&put).unwrap().into_inner();
            prop_assert_eq!(stored.app_activity_id.as_deref(), Some(id.as_str()));
            prop_assert_eq!(emulator.user_activities().len(), 1);
        }
    }

    #[test]
    fn no_server_id_can_change_the_route(id in any::<String>(), odd in "[./\\\\%?#:@ ~]{1,8}") {
        let emulator = emulator();
        let client = client(&emulator, Version::V1);
        for id in [id, odd] {
            let Ok(id) = UserActivityId::new(&id) else { continue };
            let history = ActivityHistoryItem::started(at("2026-01-01T00:00:00Z"));
            let put = PutHistoryItem::new(&id, Guid::from(1), &history);
            let error = client.send(&put).unwrap_err();
            // The route was found, and on it an activity of that id was looked for.
            prop_assert_eq!(error.status().unwrap().as_u16(), 404);
            let cause = error.service_error().unwrap().error().unwrap().cause();
            prop_assert_eq!(cause.code.as_deref(), Some("not-found"));
        }
    }

    #[test]
    fn any_key_is_found_again_by_its_key(keys in prop::collection::hash_set(any::<String>(), 1..8)) {
        let emulator = emulator();
        let client = client(&emulator, Version::V1);
        ready(&client);
        for key in &keys {
            let item = ExternalItem::builder(ItemId::from_key(key))
                .acl(Acl::everyone(Guid::from(1)))
                .property("string", &**key)
                .build()
                .unwrap();
            client.send(&PutItem::new(&connection(), &item)).unwrap();
        }
        prop_assert_eq!(emulator.items("contosohr").len(), keys.len());
        for key in &keys {
            let stored = client.send(&GetItem::new(&connection(), &ItemId::from_key(key))).unwrap();
            let title = stored.properties.unwrap().get("string").unwrap().read(&PropertyType::String);
            prop_assert_eq!(title.unwrap(), Some(PropertyValue::from(&**key)));
        }
    }
}
