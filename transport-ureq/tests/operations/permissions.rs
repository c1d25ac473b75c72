//! What each operation asks of a token: the table of the core against that of the emulator.

use graphfeed_core::{
    ROUTES,
    activity::{ListActivities, PutActivity, RecentActivities},
    external::{GetConnection, ListConnections},
    machine::Batches,
    protocol::{Permission, Route, Version},
    types::AccessToken,
};
use graphfeed_emulator::{Application, Authorization, Options};

use super::{Seen, World, activities::article, hr, refused, schema};

/// The permissions that operations ask for; an application is registered for each, and one that
/// has none.
fn permissions() -> Vec<&'static str> {
    let mut all: Vec<&str> = ROUTES
        .iter()
        .filter_map(|route| route.permissions)
        .flat_map(|each| [each.delegated_work, each.application])
        .flat_map(|permission| permission.least.iter().chain(permission.higher))
        .copied()
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

pub(super) fn tokens(seen: &Seen) {
    let mut applications = vec![Application::public("none"), Application::public("owner")];
    for name in ["ExternalConnection.ReadWrite.OwnedBy", "ExternalItem.ReadWrite.OwnedBy"] {
        applications[1] = applications[1].clone().role(name);
    }
    for name in permissions() {
        applications.push(Application::public(name).role(name).scope(name));
    }
    let options = Options {
        authorization: Some(Authorization { applications, ..Authorization::default() }),
        ..Options::default()
    };
    let owner = |world: &World| AccessToken::new(world.emulator.token("owner").unwrap()).unwrap();
    let mut world = World::with(Version::Beta, seen, options, None);
    world.client = world.caller(owner(&world), Version::Beta);
    world.ready(&hr(), &schema());

    // With an `OwnedBy` permission, a connection of another application is out of reach.
    let other = world.emulator.token("ExternalConnection.ReadWrite.OwnedBy").unwrap();
    let other = world.caller(AccessToken::new(other).unwrap(), Version::V1);
    refused(other.send(&GetConnection::new(&hr())), 403, "connection-owner");
    assert_eq!(other.send(&ListConnections::new()).unwrap().value, []);
    let stranger = world.caller(AccessToken::new("stranger").unwrap(), Version::V1);
    refused(stranger.send(&ListConnections::new()), 401, "token");
    refused(stranger.send(&ListActivities::new()), 401, "token");
    refused(stranger.send(&RecentActivities::new()), 401, "token");
    let activity = article("/a").build().unwrap();
    refused(stranger.send(&PutActivity::new(&activity)), 401, "token");

    let mut batches = Batches::new(stranger.root());
    let connection = batches.add(&GetConnection::new(&hr())).unwrap();
    refused(stranger.run(&batches).unwrap().of(&connection), 401, "token");

    for route in ROUTES {
        // What a batch needs is for its parts to say.
        let Some(needed) = route.permissions else { continue };
        for (kind, permission) in
            [("application", needed.application), ("user", needed.delegated_work)]
        {
            let token = |client: &str| match kind {
                "user" => world.emulator.user_token(client, None),
                _ => world.emulator.token(client),
            };
            let rule = if permission.is_supported() { "permission" } else { "token-kind" };
            assert_eq!(ask(&world, route, token("none")), (403, rule.to_owned()), "{}", route.name);
            for name in permissions() {
                let enough = allows(&permission, name);
                let (status, rule) = ask(&world, route, token(name));
                // What the request says is another matter; nobody's connection is one's own.
                let let_in = !matches!(&*rule, "permission" | "token-kind" | "token");
                assert_eq!(let_in, enough, "{} with {name} of {kind}: {status} {rule}", route.name);
            }
        }
    }
}

fn allows(permission: &Permission, name: &str) -> bool {
    permission.least.contains(&name) || permission.higher.contains(&name)
}

/// Asks for an operation with a token, and gives the status and the rule of the answer. The body
/// is none that any operation takes, for the token is looked at first.
fn ask(world: &World, route: &Route, token: Option<String>) -> (u16, String) {
    let version = match route.versions {
        [version] => *version,
        _ => Version::V1,
    };
    let path: Vec<&str> = route
        .path
        .split('/')
        .map(|segment| match segment {
            "{connection}" => "contosohr",
            "{historyItem}" => "390e06e2-7e5b-4133-8014-fac7ac5991af",
            "{member}" => "e811976d-83df-4cbd-8b9b-5215b18aa874",
            _ if segment.starts_with('{') => "T1",
            _ => segment,
        })
        .collect();
    let answer = world.raw(version, &route.method(), &path.join("/"), &token.unwrap());
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let rule = body["error"]["innerError"]["code"].as_str().unwrap_or_default();
    (answer.status().as_u16(), rule.to_owned())
}
