//! The core's requests, judged by the emulator, which has never seen the core's code: no id can
//! change a route, what is written can be read back, and nothing we write draws even a remark.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use graphfeed_core::{
    activity::{
        ActivityHistoryItem, DeleteActivity, DeleteHistoryItem, ListActivities, Put, PutActivity,
        PutHistoryItem, UserActivity, VisualInfo,
    },
    client::{Client, Clock, VirtualClock},
    external::{
        Acl, ActivityFailure, AddActivities, AwaitSchema, ConnectionOperationStatus,
        ConnectionState, CreateConnection, DeleteConnection, DeleteItem, EnsureConnection,
        EnsureSchema, EnsuredSchema, ExternalActivity, ExternalConnection, ExternalItem,
        ExternalItemContent, GetConnection, GetItem, GetOperation, GetSchema, Identity,
        ImportanceScore, Label, ListConnections, Made, Principal, PropertyType, PropertyValue,
        PutItem, RegisterSchema, Schema, SchemaProperty, SchemaRegistered,
    },
    protocol::{Applied, Cloud, Deleted, Endpoint, Error, ServiceRoot, Version},
    types::{
        AccessToken, AppActivityId, ConnectionId, ExternalGroupId, Guid, ItemId, OperationId,
        RawJson, Timestamp, UserActivityId,
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
        delete_delay: Duration::ZERO,
        // The schemas here are for their types, not for Copilot.
        label_missing: false,
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

#[test]
fn what_is_deleted_is_gone_and_deleting_it_again_does_no_harm() {
    for version in [Version::V1, Version::Beta] {
        let emulator = emulator();
        let client = client(&emulator, version);
        ready(&client);
        let item = ExternalItem::builder(ItemId::new("T1").unwrap())
            .acl(Acl::everyone(Guid::from(1)))
            .property("string", "x")
            .build()
            .unwrap();
        client.send(&PutItem::new(&connection(), &item)).unwrap();
        let (contosohr, id) = (connection(), item.id().clone());
        let delete = DeleteItem::new(&contosohr, &id);
        assert_eq!(client.send(&delete).unwrap(), Deleted::Now);
        assert_eq!(emulator.items("contosohr"), []);
        assert_eq!(client.send(&delete).unwrap(), Deleted::NotFound);

        let activity = UserActivity::builder(AppActivityId::new("a").unwrap())
            .activity_source_host("https://contoso.com")
            .activation_url("https://www.contoso.com/")
            .visual_elements(VisualInfo::new("A"))
            .build()
            .unwrap();
        let stored = client.send(&PutActivity::new(&activity)).unwrap().into_inner();
        let history = ActivityHistoryItem::started(at("2026-01-01T00:00:00Z"));
        client.send(&PutHistoryItem::new(&stored.id, Guid::from(1), &history)).unwrap();
        let other = DeleteHistoryItem::new(&stored.id, Guid::from(2));
        assert_eq!(client.send(&other).unwrap(), Deleted::NotFound);
        assert_eq!(emulator.user_activities()[0].history_items.len(), 1);
        let delete = DeleteHistoryItem::new(&stored.id, Guid::from(1));
        assert_eq!(client.send(&delete).unwrap(), Deleted::Now);
        assert_eq!(emulator.user_activities()[0].history_items, []);
        assert_eq!(client.send(&delete).unwrap(), Deleted::NotFound);

        let delete = DeleteActivity::new(&stored.id);
        assert_eq!(client.send(&delete).unwrap(), Deleted::Now);
        assert_eq!(emulator.user_activities(), []);
        assert_eq!(client.send(&delete).unwrap(), Deleted::NotFound);
        assert_eq!(emulator.reports(), []);
    }
}

#[test]
fn pages_are_followed_to_their_end_though_the_first_is_empty() {
    for version in [Version::V1, Version::Beta] {
        let behaviour = Behaviour {
            page_size: NonZeroUsize::new(2),
            empty_page: true,
            ..emulator().options().behaviour.clone()
        };
        let emulator = Emulator::new(Options { behaviour, ..Options::default() });
        let client = client(&emulator, version);
        for id in ["a", "b", "c", "d", "e"] {
            let activity = UserActivity::builder(AppActivityId::new(id).unwrap())
                .activity_source_host("https://contoso.com")
                .activation_url("https://www.contoso.com/")
                .visual_elements(VisualInfo::new(id))
                .build()
                .unwrap();
            client.send(&PutActivity::new(&activity)).unwrap();
        }
        let pages = client.pages(&ListActivities::new());
        let pages: Vec<Vec<String>> = pages
            .map(|page| page.unwrap().value)
            .map(|page| page.into_iter().filter_map(|each| each.app_activity_id).collect())
            .collect();
        assert_eq!(pages, [vec![], vec!["e", "d"], vec!["c", "b"], vec!["a"]]);

        for id in ["abc", "abd", "abe"] {
            let made = ExternalConnection::new(ConnectionId::new(id).unwrap(), "A").unwrap();
            client.send(&CreateConnection::new(&made)).unwrap();
        }
        let pages = client.pages(&ListConnections::new());
        let sizes: Vec<usize> = pages.map(|page| page.unwrap().value.len()).collect();
        assert_eq!(sizes, [0, 2, 1]);
    }
}

#[test]
fn connections_are_listed_and_a_schema_is_read_as_it_was_registered() {
    for version in [Version::V1, Version::Beta] {
        let emulator = emulator();
        let client = client(&emulator, version);
        assert_eq!(client.send(&ListConnections::new()).unwrap().value, []);
        ready(&client);
        let other = ExternalConnection::new(ConnectionId::new("other").unwrap(), "Other").unwrap();
        client.send(&CreateConnection::new(&other)).unwrap();
        let page = client.send(&ListConnections::new()).unwrap();
        let listed: Vec<_> =
            page.value.iter().map(|each| (each.name.as_deref(), each.state.clone())).collect();
        assert_eq!(
            listed,
            [
                (Some("Contoso HR"), Some(ConnectionState::Ready)),
                (Some("Other"), Some(ConnectionState::Draft)),
            ]
        );

        let properties =
            every_type().into_iter().map(|(name, kind)| SchemaProperty::new(name, kind));
        let registered = Schema::new(properties).unwrap();
        let stored = client.send(&GetSchema::new(&connection())).unwrap();
        assert!(stored.is(&registered), "{stored:?}");
        let less = Schema::new([SchemaProperty::new("string", PropertyType::String)]).unwrap();
        assert!(!stored.is(&less));
        let missing = client.send(&GetSchema::new(other.id())).unwrap_err();
        assert_eq!(missing.status().unwrap(), 404);
    }
}

#[test]
fn a_connection_is_set_up_once_however_often_it_is_ensured() {
    let clock = Arc::new(VirtualClock::default());
    let seen = Arc::clone(&clock);
    let behaviour = Behaviour {
        schema_delay: Duration::from_secs(600),
        label_missing: false,
        ..Behaviour::default()
    };
    let options = Options { behaviour, ..Options::default() };
    let emulator = Emulator::with_clock(options, move || Clock::now(&*seen).since_origin());
    let client = Client::builder(root(Version::V1), AccessToken::new("any").unwrap())
        .build(emulator.clone(), Arc::clone(&clock));

    let wanted = ExternalConnection::new(connection(), "Contoso HR").unwrap();
    for made in [Made::Now, Made::Before] {
        let there = client.run(&EnsureConnection::new(&wanted)).unwrap();
        assert_eq!((there.made, there.connection.name.as_deref()), (made, Some("Contoso HR")));
    }
    let renamed = ExternalConnection::new(connection(), "Fabrikam").unwrap();
    client.run(&EnsureConnection::new(&renamed)).unwrap_err();
    assert_eq!(emulator.count("POST connection"), 1);

    let schema = Schema::new([SchemaProperty::new("title", PropertyType::String)]).unwrap();
    let (contosohr, ensured) = (connection(), EnsureSchema::new(wanted.id(), &schema));
    let EnsuredSchema::Begun { registration: begun, .. } = client.run(&ensured).unwrap() else {
        panic!()
    };
    let draft = client.send(&GetConnection::new(&contosohr)).unwrap();
    assert_eq!(draft.state, Some(ConnectionState::Draft));
    let waiting = AwaitSchema::new(contosohr.clone(), begun.operation);
    let SchemaRegistered::Completed(operation) = client.run(&waiting).unwrap() else { panic!() };
    assert_eq!(operation.status, Some(ConnectionOperationStatus::Completed));
    assert!(Clock::now(&*clock).since_origin() >= Duration::from_secs(600));
    let ready = client.send(&GetConnection::new(&contosohr)).unwrap();
    assert_eq!(ready.state, Some(ConnectionState::Ready));

    let EnsuredSchema::Equal(stored) = client.run(&ensured).unwrap() else { panic!() };
    assert!(stored.is(&schema));
    assert_eq!(emulator.count("PATCH schema"), 1);
    assert_eq!(emulator.early_calls(), []);
    assert_eq!(emulator.reports(), []);
}

/// What a 404 says of the id that it looked for, and where it found it.
fn missing(error: &Error) -> (u16, String, String) {
    let status = error.status().unwrap().as_u16();
    let cause = error.service_error().unwrap().error().unwrap().cause();
    assert_eq!(cause.code.as_deref(), Some("not-found"));
    (status, cause.target.clone().unwrap(), cause.message.clone().unwrap())
}

/// How the emulator shows an id: quoted, and no more than 60 characters of it.
fn shown(id: &str) -> String {
    match id.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}...", &id[..end]),
        None => format!("{id:?}"),
    }
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
        ready(&client);
        let contosohr = connection();
        let mut asked = 0;
        for id in [id, odd] {
            let Ok(activity) = UserActivityId::new(&id) else {
                prop_assert!(matches!(&*id, "" | "." | ".."));
                continue;
            };
            asked += 1;
            // The route was found, and on it an activity of that id was looked for.
            let history = ActivityHistoryItem::started(at("2026-01-01T00:00:00Z"));
            let put = PutHistoryItem::new(&activity, Guid::from(1), &history);
            let (status, target, message) = missing(&client.send(&put).unwrap_err());
            prop_assert_eq!((status, &*target), (404, "activity id"));
            let said = format!("there is no activity with the id {};", shown(&id));
            prop_assert!(message.starts_with(&said), "{}", message);
            prop_assert_eq!(emulator.count("PUT historyItem"), asked);

            let operation = OperationId::new(&id).unwrap();
            let get = GetOperation::new(&contosohr, &operation);
            let (status, target, message) = missing(&client.send(&get).unwrap_err());
            prop_assert_eq!((status, &*target), (404, "operation id"));
            let said = format!("there is no operation {};", shown(&id));
            prop_assert!(message.starts_with(&said), "{}", message);
            prop_assert_eq!(emulator.count("GET operation"), asked);
        }
    }

    #[test]
    fn no_id_of_a_connection_or_an_item_can_change_the_route(
        any_id in any::<String>(),
        odd in "[./\\\\%?#:@ ~a-c_-]{1,8}",
        short in "[A-Za-z0-9]{3,32}",
        long in "[A-Za-z0-9_-]{1,128}",
    ) {
        let emulator = emulator();
        let client = client(&emulator, Version::V1);
        ready(&client);
        let contosohr = connection();
        let (mut connections, mut items) = (0, 0);
        for id in [any_id, odd, short, long] {
            if let Ok(connection) = ConnectionId::new(&id)
                && connection != contosohr
            {
                connections += 1;
                let error = client.send(&GetConnection::new(&connection)).unwrap_err();
                let (status, target, message) = missing(&error);
                prop_assert_eq!((status, &*target), (404, "connection id"));
                let said = format!("there is no connection {};", shown(&id));
                prop_assert!(message.starts_with(&said), "{}", message);
                prop_assert_eq!(emulator.count("GET connection"), connections);
            }
            if let Ok(item) = ItemId::new(&id) {
                items += 1;
                let error = client.send(&GetItem::new(&contosohr, &item)).unwrap_err();
                let (status, target, message) = missing(&error);
                prop_assert_eq!((status, &*target), (404, "item id"));
                let said =
                    format!("there is no item {} in connection \"contosohr\";", shown(&id));
                prop_assert!(message.starts_with(&said), "{}", message);
                prop_assert_eq!(emulator.count("GET item"), items);
            }
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

#[test]
fn a_live_schema_is_changed_in_one_update_and_then_there_is_nothing_to_change() {
    let emulator = emulator();
    let (client, id) = (client(&emulator, Version::Beta), connection());
    client
        .send(&CreateConnection::new(&ExternalConnection::new(id.clone(), "HR").unwrap()))
        .unwrap();
    let first = Schema::new([
        SchemaProperty::new("title", PropertyType::String)
            .description("What it is about")
            .searchable()
            .queryable()
            .retrievable()
            .label(Label::Title)
            .alias("subject")
            .ranking_hint(ImportanceScore::High),
        SchemaProperty::new("tag", PropertyType::String).queryable().refinable().alias("keyword"),
    ])
    .unwrap();
    client.run(&EnsureSchema::new(&id, &first).ready()).unwrap();

    let live = client.send(&GetSchema::new(&id)).unwrap();
    let own = live.get("tag").unwrap().aliases.clone().unwrap();
    assert_eq!(own.len(), 2, "the service has added one: {own:?}");
    let less = Schema::new([
        SchemaProperty::new("title", PropertyType::String).queryable(),
        SchemaProperty::new("tag", PropertyType::String).refinable(),
    ])
    .unwrap();
    let ready = client.run(&EnsureSchema::new(&id, &less).ready()).unwrap();
    assert_eq!(ready.plan.changes().len(), 6, "{}", ready.plan);
    let live = client.send(&GetSchema::new(&id)).unwrap();
    let (title, tag) = (live.get("title").unwrap(), live.get("tag").unwrap());
    assert_eq!(title.is_searchable, Some(false));
    assert!(title.ranking_hint.is_some(), "nobody wanted it away");
    assert_eq!(tag.aliases.as_ref(), Some(&own));

    // Refinable it is no longer; the service keeps its alias for ever.
    let least = Schema::new([
        SchemaProperty::new("title", PropertyType::String).queryable(),
        SchemaProperty::new("tag", PropertyType::String),
    ])
    .unwrap();
    client.run(&EnsureSchema::new(&id, &least).ready()).unwrap();
    let again = client.run(&EnsureSchema::new(&id, &least).ready()).unwrap();
    assert!(again.plan.is_empty(), "{}", again.plan);
    assert_eq!(emulator.count("PATCH schema"), 3);
    assert_eq!(emulator.reports(), []);
}
