//! Setting up a connection against a service that answers badly: nothing is made twice, and what
//! is in doubt is looked at.

mod support;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use graphfeed_core::{
    client::{Client, SendOptions, VirtualClock},
    external::{
        AwaitGone, AwaitReady, ConnectionState, ConnectorTicket, CreateConnectionOnce,
        EnsureConnection, EnsureSchema, EnsuredSchema, ExternalConnection, Made, PropertyType,
        Schema, SchemaProperty,
    },
    machine::Task,
    protocol::{Applied, Cause, GiveUp, ServiceRoot},
    types::{AccessToken, ConnectionId, Rule, Secret},
};
use support::{Line, Script, line, lost, run};

fn connection() -> ExternalConnection {
    ExternalConnection::new(ConnectionId::new("contosohr").unwrap(), "Contoso HR").unwrap()
}

const POST: (&str, &str) = ("POST", "/external/connections");
const GET: (&str, &str) = ("GET", "/external/connections/contosohr");
const THERE: &str = r#"{"id":"contosohr","name":"Contoso HR","state":"draft"}"#;
const READY: &str = r#"{"id":"contosohr","name":"Contoso HR","state":"ready"}"#;
const OTHER: &str = r#"{"id":"contosohr","name":"Somebody else's","state":"ready"}"#;

#[test]
fn a_connection_is_created_once_whatever_the_answers() {
    let wanted = connection();
    let create = CreateConnectionOnce::new(&wanted);
    for (script, made) in [
        (vec![line(POST, 201, THERE)], Made::Now),
        (vec![line(POST, 429, ""), line(POST, 201, THERE)], Made::Now),
        (vec![lost(POST, false), line(POST, 201, THERE)], Made::Now),
        (vec![line(POST, 503, ""), line(GET, 200, THERE)], Made::Probably),
        (vec![lost(POST, true), line(GET, 503, ""), line(GET, 200, THERE)], Made::Probably),
        (vec![line(POST, 500, ""), line(GET, 404, ""), line(POST, 201, THERE)], Made::Now),
        (
            vec![
                line(POST, 500, ""),
                line(GET, 404, ""),
                line(POST, 409, ""),
                line(GET, 200, THERE),
            ],
            Made::Probably,
        ),
    ] {
        let (created, _) = run(&create, &script);
        let created = created.unwrap();
        assert_eq!((created.made, created.connection.name.as_deref()), (made, Some("Contoso HR")));
    }
}

#[test]
fn a_connection_of_somebody_elses_is_a_conflict() {
    let wanted = connection();
    let create = CreateConnectionOnce::new(&wanted);
    let (error, _) = run(&create, &[line(POST, 409, "")]);
    assert_eq!(error.unwrap_err().status().unwrap(), 409);
    let (error, _) = run(&create, &[line(POST, 503, ""), line(GET, 200, OTHER)]);
    let error = error.unwrap_err();
    assert!(matches!(error.cause(), Cause::Conflict(_)));
    assert_eq!(
        error.to_string(),
        "Create connection: connection contosohr is there under the name \"Somebody else's\", not \
         \"Contoso HR\"; choose another id, or if it is yours rename it with UpdateConnection"
    );
}

#[test]
fn a_creation_in_doubt_stays_in_doubt_and_does_not_go_on_for_ever() {
    let wanted = connection();
    let create = CreateConnectionOnce::new(&wanted);
    let (error, _) = run(&create, &[line(POST, 503, ""), line(GET, 403, "")]);
    let error = error.unwrap_err();
    assert_eq!((error.status().unwrap().as_u16(), error.applied()), (503, Applied::Maybe));

    let rounds: Vec<_> = (0..10).flat_map(|_| [line(POST, 500, ""), line(GET, 404, "")]).collect();
    let (error, waited) = run(&create, &rounds);
    let error = error.unwrap_err();
    assert_eq!(error.why_given_up(), Some(GiveUp::Attempts));
    assert_eq!(error.status().unwrap(), 500);
    // 0.5 + 1 + 2 + 4 + 8 + 16 + 30 + 30 + 30 seconds between them.
    assert_eq!(waited, Duration::from_millis(121_500));
}

#[test]
fn what_is_there_is_used_as_it_is() {
    let wanted = connection();
    let ensure = EnsureConnection::new(&wanted);
    for (script, made) in [
        (vec![line(GET, 200, READY)], Made::Before),
        (vec![line(GET, 404, ""), line(POST, 201, THERE)], Made::Now),
        (vec![line(GET, 404, ""), line(POST, 503, ""), line(GET, 200, THERE)], Made::Probably),
    ] {
        assert_eq!(run(&ensure, &script).0.unwrap().made, made);
    }
    let (error, _) = run(&ensure, &[line(GET, 200, OTHER)]);
    assert!(matches!(error.unwrap_err().cause(), Cause::Conflict(_)));
    let (error, _) = run(&ensure, &[line(GET, 403, "")]);
    assert_eq!(error.unwrap_err().status().unwrap(), 403);
}

const GET_SCHEMA: (&str, &str) = ("GET", "/contosohr/schema");
const PATCH: (&str, &str) = ("PATCH", "/contosohr/schema");
const EQUAL: &str = r#"{"baseType":"microsoft.graph.externalItem",
    "properties":[{"name":"title","type":"string","isSearchable":true}]}"#;
const UNLIKE: &str = r#"{"baseType":"microsoft.graph.externalItem",
    "properties":[{"name":"title","type":"string"}]}"#;

fn schema() -> Schema {
    Schema::new([SchemaProperty::new("title", PropertyType::String).searchable()]).unwrap()
}

#[test]
fn a_schema_is_registered_where_it_is_not_there() {
    let (id, schema) = (ConnectionId::new("contosohr").unwrap(), schema());
    let ensure = EnsureSchema::new(&id, &schema);
    let outcome = |script: &[Line]| match run(&ensure, script).0.unwrap() {
        EnsuredSchema::Equal(_) => "equal",
        EnsuredSchema::Begun { registration, plan, .. } => {
            assert_eq!(registration.operation.as_str(), "op1");
            if plan.needs_reingest() { "begun, items again" } else { "begun" }
        }
        EnsuredSchema::ProbablyBegun { .. } => "probably",
        other => panic!("{other:?}"),
    };
    let missing = line(GET_SCHEMA, 404, "");
    assert_eq!(outcome(&[line(GET_SCHEMA, 200, EQUAL)]), "equal");
    assert_eq!(outcome(&[missing, line(PATCH, 202, "")]), "begun");
    assert_eq!(
        outcome(&[line(GET_SCHEMA, 200, UNLIKE), line(PATCH, 202, "")]),
        "begun, items again"
    );
    assert_eq!(
        outcome(&[missing, lost(PATCH, true), line(GET, 200, THERE), line(GET_SCHEMA, 200, EQUAL)]),
        "probably"
    );
    assert_eq!(
        outcome(&[
            missing,
            line(PATCH, 504, ""),
            line(GET, 200, THERE),
            missing,
            line(PATCH, 202, "")
        ]),
        "begun"
    );
}

/// What a task sends, through a script that it plays.
fn sent(task: &impl Task, lines: &[Line]) -> Vec<http::Request<bytes::Bytes>> {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let (requests, script) = (Arc::clone(&sent), Script::new(lines));
    let transport = move |request: http::Request<bytes::Bytes>, _: &SendOptions| {
        let answer = script.answer(&request);
        requests.lock().unwrap().push(request);
        answer
    };
    let client = Client::builder(ServiceRoot::v1(), AccessToken::new("t").unwrap())
        .build(transport, VirtualClock::default());
    assert!(client.run(task).is_ok());
    let sent = std::mem::take(&mut *sent.lock().unwrap());
    assert_eq!(sent.len(), lines.len());
    sent
}

#[test]
fn an_update_is_written_over_what_is_there() {
    const LIVE: &str = r#"{"properties":[{"name":"title","type":"string","isQueryable":true,
        "isRefinable":true,"labels":["title"],"aliases":["RefinableString00"],"new":1}]}"#;
    let id = ConnectionId::new("contosohr").unwrap();
    let wanted =
        Schema::new([SchemaProperty::new("title", PropertyType::String).refinable()]).unwrap();
    let script = [line(GET_SCHEMA, 200, LIVE), line(PATCH, 202, "")];
    assert_eq!(
        sent(&EnsureSchema::new(&id, &wanted), &script)[1].body(),
        r#"{"baseType":"microsoft.graph.externalItem","properties":[{"name":"title","type":"string","isQueryable":false,"isRefinable":true,"labels":[],"aliases":["RefinableString00"],"new":1}]}"#
    );
}

const OPERATION: (&str, &str) = ("GET", "/contosohr/operations/op1");
const BUSY: &str = r#"{"id":"op1","status":"inprogress"}"#;
const COMPLETED: &str = r#"{"id":"op1","status":"completed"}"#;
const FAILED: &str = r#"{"id":"op1","status":"failed","error":{"code":"InvalidSchema"}}"#;

#[test]
fn a_connection_gets_ready_with_a_schema_whatever_was_before() {
    let (id, schema) = (ConnectionId::new("contosohr").unwrap(), schema());
    let ensure = EnsureSchema::new(&id, &schema).ready();
    let ended = |script: &[Line]| {
        let (ready, waited) = run(&ensure, script);
        let ready = ready.unwrap();
        assert_eq!(ready.connection.state, Some(ConnectionState::Ready));
        (ready.plan.to_string(), ready.operation.is_some(), waited.as_secs())
    };
    let missing = line(GET_SCHEMA, 404, "");
    let (busy, completed) = (line(OPERATION, 200, BUSY), line(OPERATION, 200, COMPLETED));
    let (draft, ready) = (line(GET, 200, THERE), line(GET, 200, READY));
    let added = "title: is added (allowed): items that are there lack it until they are put \
                 again, as is advised";
    let searchable = "title: gets isSearchable (items have to be put again): it holds for an item \
                      only once the item is put again";

    let begun = [missing, line(PATCH, 202, "")];
    assert_eq!(
        ended(&[&begun[..], &[busy, busy, completed, draft, ready]].concat()),
        (added.to_owned(), true, 3 + 1)
    );
    let update = [line(GET_SCHEMA, 200, UNLIKE), line(PATCH, 202, "")];
    assert_eq!(
        ended(&[&update[..], &[busy, completed, ready]].concat()),
        (searchable.to_owned(), true, 1)
    );
    let equal = line(GET_SCHEMA, 200, EQUAL);
    assert_eq!(ended(&[equal, ready]), (String::new(), false, 0));
    // Somebody was broken off while the first registration was in progress.
    assert_eq!(ended(&[equal, draft, draft, ready]), (String::new(), false, 3));
    let lost = [missing, lost(PATCH, true), draft, equal, draft, ready];
    assert_eq!(ended(&lost), (added.to_owned(), false, 1));
    let vanished = vec![line(OPERATION, 404, ""); 5];
    assert_eq!(
        ended(&[&begun[..], &vanished, &[ready, ready]].concat()),
        (added.to_owned(), false, 15)
    );
}

#[test]
fn each_call_of_getting_ready_has_an_id_of_its_own() {
    let (id, schema) = (ConnectionId::new("contosohr").unwrap(), schema());
    let requests = sent(
        &EnsureSchema::new(&id, &schema).ready(),
        &[
            line(GET_SCHEMA, 404, ""),
            line(PATCH, 202, ""),
            line(OPERATION, 200, COMPLETED),
            line(GET, 200, READY),
        ],
    );
    let ids: BTreeSet<_> =
        requests.iter().map(|request| request.headers()["client-request-id"].as_bytes()).collect();
    assert_eq!(ids.len(), 4);
}

#[test]
fn getting_ready_ends_with_what_stands_in_the_way() {
    let (id, schema) = (ConnectionId::new("contosohr").unwrap(), schema());
    let ensure = EnsureSchema::new(&id, &schema).ready();
    let begun = [line(GET_SCHEMA, 404, ""), line(PATCH, 202, "")];

    let (error, _) = run(&ensure, &[line(GET_SCHEMA, 403, "")]);
    assert_eq!(error.unwrap_err().status().unwrap(), 403);
    let (error, _) = run(&ensure, &[&begun[..], &[line(OPERATION, 200, FAILED)]].concat());
    assert!(matches!(error.unwrap_err().cause(), Cause::OperationFailed(_)));

    let hasty = ensure.at_most(Duration::from_secs(10));
    let busy = vec![line(OPERATION, 200, BUSY); 4];
    let (error, waited) = run(&hasty, &[&begun[..], &busy].concat());
    assert!(matches!(error.unwrap_err().cause(), Cause::StillRunning(_)));
    assert_eq!(waited.as_secs(), 7);
    // The time is that of both waits.
    let (completed, draft) = (line(OPERATION, 200, COMPLETED), line(GET, 200, THERE));
    let (error, waited) =
        run(&hasty, &[&begun[..], &busy[..3], &[completed, draft, draft]].concat());
    assert!(error.unwrap_err().to_string().contains("the connection was draft when last seen"));
    assert_eq!(waited.as_secs(), 7 + 1);
}

#[test]
fn what_cannot_be_changed_is_refused_before_anything_is_sent() {
    const STUCK: &str = r#"{"properties":[{"name":"title","type":"int64"},
        {"name":"old","type":"string"}]}"#;
    let (id, schema) = (ConnectionId::new("contosohr").unwrap(), schema());
    let ensure = EnsureSchema::new(&id, &schema);
    let (error, _) = run(&ensure, &[line(GET_SCHEMA, 200, STUCK)]);
    let error = error.unwrap_err();
    assert_eq!(error.applied(), Applied::No);
    let Cause::Build(why) = error.cause() else { panic!("{error}") };
    let found: Vec<_> = why.faults().iter().map(|fault| (fault.rule, &*fault.place)).collect();
    assert_eq!(
        found,
        [(Rule::SchemaUpdate, "$.properties[0].type"), (Rule::SchemaUpdate, "$.properties")]
    );
    assert!(error.to_string().starts_with("Create or update schema: not sent: "), "{error}");

    // What may have been carried out is told first; it is refused the next time.
    let missing = line(GET_SCHEMA, 404, "");
    let doubt =
        [missing, line(PATCH, 504, ""), line(GET, 200, THERE), line(GET_SCHEMA, 200, STUCK)];
    let (error, _) = run(&ensure, &doubt);
    let error = error.unwrap_err();
    assert_eq!((error.status().unwrap().as_u16(), error.applied()), (504, Applied::Maybe));
}

#[test]
fn a_400_while_the_connection_is_provisioned_is_waited_out() {
    let (id, schema) = (ConnectionId::new("contosohr").unwrap(), schema());
    let ensure = EnsureSchema::new(&id, &schema);
    let missing = line(GET_SCHEMA, 404, "");
    let mut script = vec![missing];
    for _ in 0..3 {
        script.extend([line(PATCH, 400, ""), line(GET, 200, THERE)]);
    }
    script.push(line(PATCH, 202, ""));
    let (outcome, waited) = run(&ensure, &script);
    assert!(matches!(outcome.unwrap(), EnsuredSchema::Begun { .. }));
    assert_eq!(waited, Duration::from_secs(15));

    let mut script = vec![missing];
    for _ in 0..12 {
        script.extend([line(PATCH, 400, ""), line(GET, 200, THERE)]);
    }
    script.push(line(PATCH, 400, ""));
    let (error, waited) = run(&ensure, &script);
    assert_eq!(error.unwrap_err().status().unwrap(), 400);
    assert_eq!(waited, Duration::from_secs(60));

    let ready = [missing, line(PATCH, 400, ""), line(GET, 200, READY)];
    let (error, waited) = run(&ensure, &ready);
    assert_eq!(error.unwrap_err().status().unwrap(), 400);
    assert_eq!(waited, Duration::ZERO, "a connection that is ready refuses for good");

    let hasty = ensure.provisioning(Duration::ZERO);
    let (error, _) = run(&hasty, &[missing, line(PATCH, 400, "")]);
    assert_eq!(error.unwrap_err().status().unwrap(), 400);
}

const UPDATE: (&str, &str) = ("PATCH", "/external/connections/contosohr");
const PLAIN: &str = r#"{"id":"contosohr","name":"Contoso HR","description":"old","state":"ready","searchSettings":{"x":1}}"#;
const DESCRIBED: &str = r#"{"id":"contosohr","name":"Contoso HR","description":"new","state":"ready","searchSettings":{"x":1}}"#;

#[test]
fn a_connection_that_differs_is_updated_once_and_left_alone_where_ours_is_silent() {
    let wanted = ExternalConnection::builder(ConnectionId::new("contosohr").unwrap(), "Contoso HR")
        .description("new")
        .build()
        .unwrap();
    let ensure = EnsureConnection::new(&wanted);
    for (script, updated) in [
        (vec![line(GET, 200, DESCRIBED)], false),
        (vec![line(GET, 200, PLAIN), line(UPDATE, 204, ""), line(GET, 200, DESCRIBED)], true),
        // The service keeps it in other words: no second update.
        (vec![line(GET, 200, PLAIN), line(UPDATE, 204, ""), line(GET, 200, PLAIN)], true),
        // An update sets values, so that it is sent again when its fate is unknown.
        (
            vec![
                line(GET, 200, PLAIN),
                lost(UPDATE, true),
                line(UPDATE, 204, ""),
                line(GET, 200, DESCRIBED),
            ],
            true,
        ),
    ] {
        let (ensured, _) = run(&ensure, &script);
        let ensured = ensured.unwrap();
        assert_eq!((ensured.made, ensured.updated), (Made::Before, updated));
    }
    let (error, _) = run(&ensure, &[line(GET, 200, PLAIN), line(UPDATE, 403, "")]);
    assert_eq!(error.unwrap_err().to_string().split(':').next(), Some("Update connection"));
}

#[test]
fn a_connection_is_waited_for_until_it_is_ready_or_gone() {
    let id = || ConnectionId::new("contosohr").unwrap();
    let (ready, waited) = run(
        &AwaitReady::new(id()),
        &[line(GET, 200, THERE), line(GET, 503, ""), line(GET, 200, THERE), line(GET, 200, READY)],
    );
    assert_eq!(ready.unwrap().state, Some(ConnectionState::Ready));
    assert!(waited >= Duration::from_secs(3), "{waited:?}");

    let obsolete = r#"{"id":"contosohr","state":"obsolete"}"#;
    let (error, _) = run(&AwaitReady::new(id()), &[line(GET, 200, obsolete)]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "Get connection: the connection is obsolete and never gets ready; delete it"
    );

    let (gone, waited) = run(
        &AwaitGone::new(id()),
        &[line(GET, 200, READY), line(GET, 200, READY), line(GET, 404, "")],
    );
    gone.unwrap();
    assert_eq!(waited.as_secs(), 3);
    let (error, waited) = run(
        &AwaitGone::new(id()).at_most(Duration::from_secs(2)),
        &[line(GET, 200, READY), line(GET, 200, READY)],
    );
    let error = error.unwrap_err();
    assert!(matches!(error.cause(), Cause::StillRunning(_)), "{error}");
    assert!(error.to_string().contains("the connection was ready when last seen"), "{error}");
    assert_eq!(waited.as_secs(), 1);
}

#[test]
fn who_comes_second_takes_the_connection_of_who_was_quicker() {
    let wanted = connection();
    let ensure = EnsureConnection::new(&wanted);
    let missing = line(GET, 404, "");
    let (ensured, _) = run(&ensure, &[missing, line(POST, 409, ""), line(GET, 200, THERE)]);
    assert_eq!(ensured.unwrap().made, Made::Before);
    // Somebody else's is not shown, and its id is taken all the same.
    let (error, _) = run(&ensure, &[missing, line(POST, 409, ""), missing]);
    assert_eq!(error.unwrap_err().status().unwrap(), 409);
}

#[test]
fn a_connection_that_is_obsolete_or_another_apps_is_a_conflict() {
    const OBSOLETE: &str = r#"{"id":"contosohr","name":"Contoso HR","state":"obsolete"}"#;
    const OF_APP: &str = r#"{"id":"contosohr","name":"Contoso HR","connectorId":"app"}"#;
    let wanted = connection();
    let (error, _) = run(&EnsureConnection::new(&wanted), &[line(GET, 200, OBSOLETE)]);
    let error = error.unwrap_err();
    assert!(matches!(error.cause(), Cause::Conflict(_)));
    assert!(error.to_string().ends_with("nothing can be put into it; delete it"), "{error}");

    let ticket = |app: &str| ConnectorTicket::new(app, Secret::new("made-up")).unwrap();
    let (ours, other) = (ticket("app"), ticket("other"));
    let with = |ticket| EnsureConnection::new(&wanted).ticket(ticket);
    assert_eq!(run(&with(&ours), &[line(GET, 200, OF_APP)]).0.unwrap().made, Made::Before);
    let (error, _) = run(&with(&other), &[line(GET, 200, OF_APP)]);
    assert!(error.unwrap_err().to_string().contains(r#"for the Teams app "app", not "other""#));
    let (error, _) = run(&with(&ours), &[line(GET, 200, READY)]);
    assert!(error.unwrap_err().to_string().contains(r#"for the Teams app "none""#));
}
