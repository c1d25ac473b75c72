//! Setting up a connection against a service that answers badly: nothing is made twice, and what
//! is in doubt is looked at.

mod support;

use std::time::Duration;

use graphfeed_core::{
    external::{
        CreateConnectionOnce, EnsureConnection, EnsureSchema, EnsuredSchema, ExternalConnection,
        Made, PropertyType, Schema, SchemaProperty,
    },
    protocol::{Applied, Cause, GiveUp},
    types::ConnectionId,
};
use support::{Line, line, lost, run};

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
         \"Contoso HR\"; choose another id, or delete it first"
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
        EnsuredSchema::Begun(begun) => {
            assert_eq!(begun.operation.as_str(), "op1");
            "begun"
        }
        EnsuredSchema::ProbablyBegun(_) => "probably",
        other => panic!("{other:?}"),
    };
    let missing = line(GET_SCHEMA, 404, "");
    assert_eq!(outcome(&[line(GET_SCHEMA, 200, EQUAL)]), "equal");
    assert_eq!(outcome(&[missing, line(PATCH, 202, "")]), "begun");
    assert_eq!(outcome(&[line(GET_SCHEMA, 200, UNLIKE), line(PATCH, 202, "")]), "begun");
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
    assert!(matches!(outcome.unwrap(), EnsuredSchema::Begun(_)));
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
