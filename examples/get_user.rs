//! Maps people to the object ids that an acl needs, with an endpoint of its own.
//!
//! A source system knows its people by name or address; an acl takes object ids. So the first
//! job of every connector is `GET /users/{upn}`, which graphfeed does not have: this is how to
//! add an operation from outside. `GetUser` is used like any other endpoint; the client, its
//! escaping of arguments and its errors are the same.
//!
//! It needs no network: the transport is a closure that answers for a small directory.

use std::error::Error;

use bytes::Bytes;
use graphfeed_core::{
    client::{Client, Failure, SendOptions, Transport, VirtualClock},
    external::{Acl, ExternalItem, PutItem},
    protocol::{
        Answer, DecodeError, DecodeKind, Endpoint, PathArgs, Permission, Permissions, Query, Route,
        ServiceRoot,
    },
    types::{AccessToken, ConnectionId, Guid, ItemId},
};

/// `GET /users/{upn}`: a user, by user principal name
/// ([document](https://learn.microsoft.com/graph/api/user-get)).
struct GetUser<'a> {
    upn: &'a str,
}

/// What is asked of a user.
struct User {
    /// The object id, which an acl takes.
    id: Guid,
    /// For people.
    display_name: Option<String>,
}

const READ: Permission = Permission::least(&["User.ReadBasic.All"], &["User.Read.All"]);

impl Endpoint for GetUser<'_> {
    type Output = User;
    const ROUTE: Route = Route::get("Get user", "/users/{upn}").permissions(Permissions {
        delegated_work: READ,
        delegated_personal: Permission::NONE,
        application: READ,
    });

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.upn);
    }

    fn query(&self, query: &mut Query<'_>) {
        query.push("$select", "id,displayName");
    }

    fn parse(answer: &Answer<'_>) -> Result<User, DecodeError> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Body {
            id: String,
            display_name: Option<String>,
        }
        let body: Body = answer.json()?;
        let id = Guid::new(&body.id)
            .map_err(|why| DecodeError::new(DecodeKind::Shape, why.to_string()))?;
        Ok(User { id, display_name: body.display_name })
    }
}

/// The entry that lets in a user of this name.
fn acl_for<T: Transport>(
    client: &Client<T>,
    upn: &str,
) -> Result<(User, Acl), graphfeed_core::protocol::Error> {
    let user = client.send(&GetUser { upn })?;
    let acl = Acl::user(user.id);
    Ok((user, acl))
}

/// A directory with two people, one of them a guest, whose name has to be escaped.
fn directory(
    request: http::Request<Bytes>,
    _: &SendOptions,
) -> Result<http::Response<Bytes>, Failure> {
    let (status, body) = match request.uri().path() {
        "/v1.0/users/ann%40contoso.com" => {
            (200, r#"{"id":"e811976d-83df-4cbd-8b9b-5215b18aa874","displayName":"Ann"}"#)
        }
        "/v1.0/users/bob_fabrikam.com%23EXT%23%40contoso.com" => {
            (200, r#"{"id":"1f0c997e-99f7-43f1-8cca-086f8d42be8d","displayName":"Bob (guest)"}"#)
        }
        _ => (
            404,
            r#"{"error":{"code":"Request_ResourceNotFound","message":"There is no such user."}}"#,
        ),
    };
    let mut answer = http::Response::new(Bytes::from_static(body.as_bytes()));
    *answer.status_mut() = http::StatusCode::from_u16(status).map_err(Failure::not_sent)?;
    Ok(answer)
}

fn main() -> Result<(), Box<dyn Error>> {
    let token = AccessToken::new("any-token-will-do")?;
    let client =
        Client::builder(ServiceRoot::v1(), token).build(directory, VirtualClock::default());

    let mut item = ExternalItem::builder(ItemId::new("T1")?).property("title", "A ticket");
    for upn in ["ann@contoso.com", "bob_fabrikam.com#EXT#@contoso.com", "carl@contoso.com"] {
        let url = GetUser { upn }.request(client.root())?.uri().clone();
        println!("GET {url}");
        match acl_for(&client, upn) {
            Ok((user, acl)) => {
                let name = user.display_name.as_deref().unwrap_or("nameless");
                println!("  {upn} is {name}, {}", user.id);
                item = item.acl(acl);
            }
            // Whoever is not in the directory sees nothing; the others need not wait for that.
            Err(error) => println!("  left out: {error}"),
        }
    }

    let item = item.build()?;
    let request = PutItem::new(&ConnectionId::new("contosohr")?, &item).request(client.root())?;
    println!("PUT {}", request.uri());
    println!("  {}", String::from_utf8_lossy(request.body()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use graphfeed_core::protocol::Cause;

    use super::*;

    fn token() -> AccessToken {
        AccessToken::new("secret").unwrap()
    }

    #[test]
    fn a_name_becomes_an_object_id_and_that_an_entry_of_an_acl() {
        let asked = RefCell::new(Vec::new());
        let transport = |request: http::Request<Bytes>, options: &SendOptions| {
            let line = format!("{} {}", request.method(), request.uri());
            asked.borrow_mut().push(line);
            assert_eq!(request.headers()["Authorization"], "Bearer secret");
            directory(request, options)
        };
        let client =
            Client::builder(ServiceRoot::v1(), token()).build(transport, VirtualClock::default());
        let (user, acl) = acl_for(&client, "bob_fabrikam.com#EXT#@contoso.com").unwrap();
        assert_eq!(user.display_name.as_deref(), Some("Bob (guest)"));
        assert_eq!(
            *asked.borrow(),
            ["GET https://graph.microsoft.com/v1.0/users/bob_fabrikam.com%23EXT%23%40contoso.com\
              ?$select=id%2CdisplayName"]
        );

        let item = ExternalItem::builder(ItemId::new("T1").unwrap())
            .acl(acl)
            .property("title", "A ticket")
            .build()
            .unwrap();
        let connection = ConnectionId::new("contosohr").unwrap();
        let request = PutItem::new(&connection, &item).request(client.root()).unwrap();
        let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(
            body["acl"],
            serde_json::json!([{
                "type": "user",
                "value": "1f0c997e-99f7-43f1-8cca-086f8d42be8d",
                "accessType": "grant",
            }])
        );
    }

    #[test]
    fn who_is_not_there_or_has_no_object_id_is_an_error() {
        let client =
            Client::builder(ServiceRoot::v1(), token()).build(directory, VirtualClock::default());
        let error = acl_for(&client, "carl@contoso.com").err().unwrap();
        assert_eq!(error.status(), Some(http::StatusCode::NOT_FOUND));
        assert_eq!(error.operation(), "Get user");

        let nameless = |_: http::Request<Bytes>, _: &SendOptions| {
            Ok(http::Response::new(r#"{"id":"ann"}"#.into()))
        };
        let client =
            Client::builder(ServiceRoot::v1(), token()).build(nameless, VirtualClock::default());
        let error = acl_for(&client, "ann@contoso.com").err().unwrap();
        assert!(matches!(error.cause(), Cause::Unreadable { .. }), "{error}");

        let refused = GetUser { upn: ".." }.request(&ServiceRoot::v1()).unwrap_err();
        assert!(refused.breaks(graphfeed_core::types::Rule::PathSegment));
    }

    #[test]
    fn the_program_runs() {
        main().unwrap();
    }
}
