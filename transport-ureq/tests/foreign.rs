//! Where a client might be led by what the service answers, and does not go.

use graphfeed_core::{
    activity::ListActivities,
    client::Client,
    external::{
        AwaitSchema, EnsureSchema, EnsuredSchema, PropertyType, Schema, SchemaProperty,
        SchemaRegistered,
    },
    protocol::{Cause, Cloud, ServiceRoot, Version},
    types::{AccessToken, ConnectionId, Rule},
};
use graphfeed_emulator::conformance::{Canned, Elsewhere};
use graphfeed_ureq::{SystemClock, UreqTransport};

fn client(canned: &Canned) -> Client<UreqTransport> {
    let root = ServiceRoot::danger_plain_http(canned.url(), Cloud::Global, Version::V1).unwrap();
    Client::builder(root, AccessToken::new("secret").unwrap())
        .build(UreqTransport::danger_plain_http(), SystemClock::new())
}

#[test]
fn a_foreign_next_link_gets_no_token() {
    let elsewhere = Elsewhere::start().unwrap();
    let page = format!(r#"{{"value":[{{"id":"1"}}],"@odata.nextLink":"{}"}}"#, elsewhere.url());
    let canned = Canned::start(vec![(200, vec![], page)]).unwrap();
    let client = client(&canned);
    let mut pages = client.pages(&ListActivities::new());
    assert_eq!(pages.next().unwrap().unwrap().value.len(), 1);
    let error = pages.next().unwrap().unwrap_err();
    let Cause::Build(why) = error.cause() else { panic!("{error}") };
    assert!(why.breaks(Rule::OtherRoot));
    assert!(pages.next().is_none());
    assert_eq!(elsewhere.visitors(), 0);
}

#[test]
fn a_foreign_location_is_never_asked() {
    let elsewhere = Elsewhere::start().unwrap();
    let location = format!("Location: {}/operations/op1", elsewhere.url());
    let canned = Canned::start(vec![
        (404, vec![], String::new()),
        (202, vec![location], String::new()),
        (200, vec![], r#"{"id":"op1","status":"completed"}"#.to_owned()),
    ])
    .unwrap();
    let client = client(&canned);
    let id = ConnectionId::new("contosohr").unwrap();
    let schema = Schema::new([SchemaProperty::new("title", PropertyType::String)]).unwrap();
    let begun = client.run(&EnsureSchema::new(&id, &schema)).unwrap();
    let EnsuredSchema::Begun { registration: begun, .. } = begun else { panic!("{begun:?}") };
    assert!(begun.location.starts_with(elsewhere.url()));
    let waiting = AwaitSchema::new(id, begun.operation);
    let registered = client.run(&waiting).unwrap();
    assert!(matches!(registered, SchemaRegistered::Completed(_)));
    assert_eq!(elsewhere.visitors(), 0);
}
