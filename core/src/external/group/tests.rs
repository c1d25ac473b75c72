//! Groups and members: what is sent, and what is read of the answers.

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::{
    external::IdentityType,
    protocol::{Cause, Cloud, Error, Version},
    types::Guid,
};

const USER: &str = "e811976d-83df-4cbd-8b9b-5215b18aa874";

fn connection() -> ConnectionId {
    ConnectionId::new("contosohr").unwrap()
}

fn id() -> ExternalGroupId {
    ExternalGroupId::new("teamx").unwrap()
}

fn ann() -> Identity {
    Identity::user(Guid::new(USER).unwrap())
}

/// Method, path below the connection, and body.
fn sent<E: Endpoint>(endpoint: &E) -> (String, String, Value) {
    let root = ServiceRoot::v1();
    let request = endpoint.request(&root).unwrap();
    let beta = endpoint.request(&ServiceRoot::new(root.cloud(), Version::Beta)).unwrap();
    assert_eq!(request.body(), beta.body());
    let uri = request.uri().to_string();
    let path = uri.split_once("/v1.0/external/connections/contosohr").unwrap().1.to_owned();
    let body = match request.body().is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(request.body()).unwrap(),
    };
    (request.method().to_string(), path, body)
}

fn answered<E: Endpoint>(endpoint: &E, status: u16, body: &str) -> Result<E::Output, Error> {
    let request = endpoint.request(&ServiceRoot::v1()).unwrap();
    let body = Bytes::copy_from_slice(body.as_bytes());
    let answer = http::Response::builder().status(status).body(body).unwrap();
    E::response(&request, answer).map(|reply| reply.value)
}

#[test]
fn each_operation_is_sent_as_documented_in_both_versions() {
    let (connection, id, ann) = (connection(), id(), ann());
    let group = ExternalGroup::builder(id.clone()).display_name("Team X").description("d").build();
    let update =
        GroupUpdate::builder().display_name("Y").description(Change::Null).build().unwrap();
    let other = Identity::external_group(&ExternalGroupId::new("1431b9c38ee647f6a").unwrap());
    for (sent, method, path, body) in [
        (
            sent(&CreateGroup::new(&connection, &group)),
            "POST",
            "/groups",
            json!({"id": "teamx", "displayName": "Team X", "description": "d"}),
        ),
        (
            sent(&CreateGroup::new(&connection, &ExternalGroup::new(id.clone()))),
            "POST",
            "/groups",
            json!({"id": "teamx"}),
        ),
        (sent(&GetGroup::new(&connection, &id)), "GET", "/groups/teamx", Value::Null),
        (
            sent(&UpdateGroup::new(&connection, &id, &update)),
            "PATCH",
            "/groups/teamx",
            json!({"displayName": "Y", "description": null}),
        ),
        (sent(&DeleteGroup::new(&connection, &id)), "DELETE", "/groups/teamx", Value::Null),
        (
            sent(&AddMember::new(&connection, &id, &ann)),
            "POST",
            "/groups/teamx/members",
            json!({"id": USER, "type": "user"}),
        ),
        (
            sent(&AddMember::new(&connection, &id, &other)),
            "POST",
            "/groups/teamx/members",
            json!({"id": "1431b9c38ee647f6a", "type": "externalGroup"}),
        ),
        (
            sent(&RemoveMember::new(&connection, &id, &ann)),
            "DELETE",
            "/groups/teamx/members/e811976d-83df-4cbd-8b9b-5215b18aa874",
            Value::Null,
        ),
    ] {
        assert_eq!(sent, (method.to_owned(), path.to_owned(), body));
    }
}

#[test]
fn an_answer_is_read_in_full() {
    let (connection, id, ann) = (connection(), id(), ann());
    let group = ExternalGroup::new(id.clone());
    let stored =
        r#"{"@odata.context":"x","id":"teamx","displayName":"Team X","description":null,"size":7}"#;
    let created = answered(&CreateGroup::new(&connection, &group), 201, stored).unwrap();
    let got = answered(&GetGroup::new(&connection, &id), 200, stored).unwrap();
    assert_eq!((got.id.as_deref(), got.display_name.as_deref()), (Some("teamx"), Some("Team X")));
    assert_eq!(got.description, None);
    assert_eq!(serde_json::to_value(&got).unwrap(), serde_json::from_str::<Value>(stored).unwrap());
    assert_eq!(created, Created::Now(got));

    let member = r#"{"id":"teamy","type":"externalgroup","identitySource":"external"}"#;
    let added = answered(&AddMember::new(&connection, &id, &ann), 201, member).unwrap();
    let Created::Now(added) = added else { panic!("{added:?}") };
    assert_eq!(
        (added.id.as_deref(), added.kind),
        (Some("teamy"), Some(IdentityType::ExternalGroup))
    );
    assert_eq!(added.other.get("identitySource").unwrap().get(), "\"external\"");
}

#[test]
fn what_is_so_already_is_told_apart_and_no_error() {
    let (connection, id, ann) = (connection(), id(), ann());
    let group = ExternalGroup::new(id.clone());
    let create = CreateGroup::new(&connection, &group);
    let add = AddMember::new(&connection, &id, &ann);
    let delete = DeleteGroup::new(&connection, &id);
    let remove = RemoveMember::new(&connection, &id, &ann);
    assert_eq!(answered(&create, 409, "no JSON").unwrap(), Created::AlreadyExists);
    assert_eq!(answered(&add, 409, "").unwrap(), Created::AlreadyExists);
    for (status, deleted) in [(204, Deleted::Now), (404, Deleted::NotFound)] {
        assert_eq!(answered(&delete, status, "").unwrap(), deleted);
        assert_eq!(answered(&remove, status, "").unwrap(), deleted);
    }
    let status = |error: Error| error.status().unwrap().as_u16();
    assert_eq!(status(answered(&create, 404, "").unwrap_err()), 404);
    assert_eq!(status(answered(&add, 404, "").unwrap_err()), 404);
    assert_eq!(status(answered(&delete, 409, "").unwrap_err()), 409);
    assert_eq!(status(answered(&remove, 409, "").unwrap_err()), 409);
}

#[test]
fn what_is_created_need_not_be_described() {
    let (connection, id, ann) = (connection(), id(), ann());
    let group = ExternalGroup::new(id.clone());
    let create = CreateGroup::new(&connection, &group);
    let add = AddMember::new(&connection, &id, &ann);
    for body in ["", " \n", "null"] {
        let created = answered(&create, 201, body).unwrap();
        assert_eq!(created, Created::Now(StoredGroup::default()));
        let added = answered(&add, 201, body).unwrap();
        assert_eq!(added, Created::Now(StoredIdentity::default()));
    }
    let page = answered(&create, 201, "<html>").unwrap_err();
    assert!(matches!(page.cause(), Cause::Unreadable { .. }));
}

#[test]
fn an_update_answers_with_nothing_and_changes_something() {
    let (connection, id) = (connection(), id());
    let update = GroupUpdate::builder().description("d").build().unwrap();
    assert_eq!((update.display_name(), update.description()), (&Change::Leave, &Change::from("d")));
    let update = UpdateGroup::new(&connection, &id, &update);
    answered(&update, 204, "").unwrap();
    assert_eq!(answered(&update, 404, "").unwrap_err().status().unwrap(), 404);
    let refused = GroupUpdate::builder().description(Change::Leave).build().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "$: changes nothing; give a displayName or a description [update-empty]"
    );
}

#[test]
fn everything_about_groups_may_be_repeated_and_shares_a_lane() {
    fn check<E: Endpoint>(endpoint: &E) {
        assert_eq!(endpoint.repeat(), Repeat::Freely, "{}", E::ROUTE.name);
        let call = endpoint.call(&ServiceRoot::v1()).unwrap();
        assert_eq!(call.lane(), (Lane::Groups, ""));
        for (cloud, has) in [(Cloud::UsGovL4, true), (Cloud::UsGovL5, true), (Cloud::China, false)]
        {
            let request = endpoint.request(&ServiceRoot::new(cloud, Version::V1));
            assert_eq!(request.is_ok(), has);
        }
    }
    let (connection, id, ann) = (connection(), id(), ann());
    check(&CreateGroup::new(&connection, &ExternalGroup::new(id.clone())));
    check(&GetGroup::new(&connection, &id));
    let update = GroupUpdate::builder().display_name("x").build().unwrap();
    check(&UpdateGroup::new(&connection, &id, &update));
    check(&DeleteGroup::new(&connection, &id));
    check(&AddMember::new(&connection, &id, &ann));
    check(&RemoveMember::new(&connection, &id, &ann));
}

#[test]
fn an_update_makes_the_one_group_of_the_other() {
    let texts = [None, Some("a"), Some("b")];
    let group = |(name, description): (Option<&str>, Option<&str>)| ExternalGroup {
        id: id(),
        display_name: name.map(str::to_owned),
        description: description.map(str::to_owned),
    };
    let all = || texts.into_iter().flat_map(|name| texts.map(|other| (name, other)));
    for (old, new) in all().flat_map(|old| all().map(move |new| (old, new))) {
        let (mut from, to) = (group(old), group(new));
        assert_eq!((to.display_name(), to.description()), new);
        let mut any = from.clone();
        any.update(&to.texts());
        assert_eq!(any, to);
        let update = to.since(&from);
        assert_eq!(update.is_none(), old == new);
        from.update(&update.unwrap_or_default());
        assert_eq!(from, to);
    }
}
