//! The routes as one table, and the search in it. What an operation does is decided elsewhere.

use std::cmp::Reverse;

use crate::{
    access::{self, Access},
    target::Version,
};

/// What a route that is here does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    CreateConnection,
    ListConnections,
    GetConnection,
    UpdateConnection,
    DeleteConnection,
    GetQuota,
    RegisterSchema,
    GetSchema,
    GetOperation,
    PutItem,
    GetItem,
    UpdateItem,
    DeleteItem,
    AddActivities,
    CreateGroup,
    GetGroup,
    UpdateGroup,
    DeleteGroup,
    AddMember,
    RemoveMember,
    PutActivity,
    ListActivities,
    RecentActivities,
    DeleteActivity,
    PutHistoryItem,
    DeleteHistoryItem,
    Batch,
}

/// One route of the service.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// What it is about. With the method it names the route: `PUT item`.
    pub(crate) resource: &'static str,
    /// Below the version. A segment in braces is an argument.
    pub(crate) path: &'static str,
    /// What a token must allow.
    pub(crate) access: Access,
    /// The query options that are understood.
    pub(crate) query: &'static [&'static str],
    pub(crate) takes_body: bool,
    /// The only version that has it. None: both do.
    pub(crate) version: Option<Version>,
    pub(crate) action: Action,
}

const fn here(
    method: &'static str,
    resource: &'static str,
    path: &'static str,
    access: Access,
    action: Action,
) -> Route {
    Route {
        method,
        resource,
        path,
        access,
        query: &[],
        takes_body: matches!(method.as_bytes(), b"PUT" | b"POST" | b"PATCH"),
        version: None,
        action,
    }
}

/// All routes. Where two have the same shape and method, the first is meant.
pub(crate) const ROUTES: &[Route] = {
    use Action::*;
    use access::*;
    const CONNECTIONS: &str = "/external/connections";
    const CONNECTION: &str = "/external/connections/{connection}";
    const QUOTA_OF: &str = "/external/connections/{connection}/quota";
    const SCHEMA: &str = "/external/connections/{connection}/schema";
    const OPERATION: &str = "/external/connections/{connection}/operations/{operation}";
    const ITEM: &str = "/external/connections/{connection}/items/{item}";
    const GROUPS: &str = "/external/connections/{connection}/groups";
    const GROUP: &str = "/external/connections/{connection}/groups/{group}";
    const MEMBERS: &str = "/external/connections/{connection}/groups/{group}/members";
    const MEMBER: &str = "/external/connections/{connection}/groups/{group}/members/{member}";
    const ACTIVITY_QUERY: &[&str] = &["$expand", "$filter", "$top", "$skiptoken"];
    const HISTORY: &str = "/me/activities/{activity}/historyItems/{historyItem}";
    &[
        here("POST", "connection", CONNECTIONS, CONNECTION_WRITE, CreateConnection),
        Route {
            query: &["$skiptoken"],
            ..here("GET", "connections", CONNECTIONS, CONNECTION_READ, ListConnections)
        },
        here("GET", "connection", CONNECTION, CONNECTION_READ, GetConnection),
        here("PATCH", "connection", CONNECTION, CONNECTION_WRITE, UpdateConnection),
        here("DELETE", "connection", CONNECTION, CONNECTION_WRITE, DeleteConnection),
        Route { version: Some(Version::Beta), ..here("GET", "quota", QUOTA_OF, QUOTA, GetQuota) },
        here("PATCH", "schema", SCHEMA, CONNECTION_WRITE, RegisterSchema),
        here("GET", "schema", SCHEMA, CONNECTION_READ, GetSchema),
        here("GET", "operation", OPERATION, CONNECTION_READ, GetOperation),
        here("PUT", "item", ITEM, ITEM_WRITE, PutItem),
        here("GET", "item", ITEM, ITEM_READ, GetItem),
        // The page of beta has a PUT in its place.
        Route { version: Some(Version::V1), ..here("PATCH", "item", ITEM, ITEM_WRITE, UpdateItem) },
        here("DELETE", "item", ITEM, ITEM_WRITE, DeleteItem),
        here(
            "POST",
            "addActivities",
            "/external/connections/{connection}/items/{item}/addActivities",
            ADD_ACTIVITIES,
            AddActivities,
        ),
        here(
            "POST",
            "addActivities",
            "/external/connections/{connection}/items/{item}/microsoft.graph.externalConnectors.addActivities",
            ADD_ACTIVITIES,
            AddActivities,
        ),
        here("POST", "group", GROUPS, ITEM_WRITE, CreateGroup),
        here("GET", "group", GROUP, ITEM_READ, GetGroup),
        here("PATCH", "group", GROUP, ITEM_WRITE, UpdateGroup),
        here("DELETE", "group", GROUP, ITEM_WRITE, DeleteGroup),
        here("POST", "member", MEMBERS, ITEM_WRITE, AddMember),
        here("DELETE", "member", MEMBER, ITEM_WRITE, RemoveMember),
        Route {
            query: ACTIVITY_QUERY,
            ..here("GET", "activities", "/me/activities", USER_ACTIVITY, ListActivities)
        },
        Route {
            query: ACTIVITY_QUERY,
            ..here("GET", "recent", "/me/activities/recent", USER_ACTIVITY, RecentActivities)
        },
        Route {
            query: ACTIVITY_QUERY,
            ..here("GET", "recent", "/me/activities/recent()", USER_ACTIVITY, RecentActivities)
        },
        here("PUT", "activity", "/me/activities/{appActivityId}", USER_ACTIVITY, PutActivity),
        here("DELETE", "activity", "/me/activities/{activity}", USER_ACTIVITY, DeleteActivity),
        here("PUT", "historyItem", HISTORY, USER_ACTIVITY, PutHistoryItem),
        here("DELETE", "historyItem", HISTORY, USER_ACTIVITY, DeleteHistoryItem),
        here("POST", "batch", "/$batch", ANYBODY, Batch),
    ]
};

/// Which calls share a throttling limit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// One connection: its settings, its schema and its items.
    Connection(String),
    /// The administration of external groups.
    Groups,
    /// A user's activities.
    User(String),
}

impl Route {
    /// The lane of a call to it, from the decoded segments of its path and from its user.
    pub(crate) fn lane(&self, segments: &[&str], user: &str) -> Option<Lane> {
        match self.path.split('/').collect::<Vec<_>>()[..] {
            ["", "me", ..] => Some(Lane::User(user.to_owned())),
            ["", "external", "connections", _, "groups", ..] => Some(Lane::Groups),
            ["", "external", "connections", _, ..] => {
                Some(Lane::Connection((*segments.get(2)?).to_owned()))
            }
            _ => None,
        }
    }

    /// Whether a version has it.
    pub(crate) fn is_in(&self, version: Version) -> bool {
        self.version.is_none_or(|only| only == version)
    }

    /// The segments of the path, an argument as `Err` of its name.
    pub(crate) fn segments(&self) -> impl Iterator<Item = Result<&'static str, &'static str>> {
        self.path.split('/').skip(1).map(|segment| {
            match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some(name) => Err(name),
                None => Ok(segment),
            }
        })
    }

    /// Whether the decoded segments of a path have the shape of this route.
    pub(crate) fn fits(&self, segments: &[&str]) -> bool {
        self.length() == segments.len() && self.common(segments) == segments.len()
    }

    /// How many segments at the start agree.
    fn common(&self, segments: &[&str]) -> usize {
        self.segments()
            .zip(segments)
            .take_while(|(ours, theirs)| ours.is_err() || *ours == Ok(**theirs))
            .count()
    }

    fn length(&self) -> usize {
        self.path.split('/').count() - 1
    }

    /// Whether `segments` would be this route, had the characters `/` in its last argument been
    /// escaped.
    fn fits_unescaped(&self, segments: &[&str]) -> bool {
        self.segments().last().is_some_and(|last| last.is_err())
            && segments.len() > self.length()
            && self.common(segments) == self.length()
    }
}

/// What the table says about a path and a method.
#[derive(Debug)]
pub(crate) enum Found {
    /// The route.
    Route(&'static Route),
    /// The path is there, in this version with these methods only.
    OtherMethods(Vec<&'static str>),
    /// This route has an id at its end, and what came is longer: a `/` inside it, most likely.
    Unescaped(&'static Route),
    /// Nothing of that shape.
    Nothing,
}

/// Looks up the decoded segments of a path below the version. A route of the other version is
/// found as well.
pub(crate) fn find(method: &str, segments: &[&str], version: Version) -> Found {
    let mut methods = Vec::new();
    for route in ROUTES.iter().filter(|route| route.fits(segments)) {
        if route.method == method {
            return Found::Route(route);
        }
        if route.is_in(version) && !methods.contains(&route.method) {
            methods.push(route.method);
        }
    }
    if !methods.is_empty() {
        return Found::OtherMethods(methods);
    }
    // Only for PUT: its ids are the client's own, the others are read from an answer.
    let unescaped = |route: &&Route| {
        method == "PUT" && route.method == method && route.fits_unescaped(segments)
    };
    match ROUTES.iter().filter(unescaped).max_by_key(|route| route.length()) {
        Some(route) => Found::Unescaped(route),
        None => Found::Nothing,
    }
}

/// The route that is here and has most in common with a path: the words from the start and none
/// besides, then the method, then all segments.
pub(crate) fn nearest(method: &str, segments: &[&str]) -> Option<&'static Route> {
    ROUTES.iter().filter(|route| route.common(segments) > 0).min_by_key(|route| {
        let common = route.common(segments);
        let words = route.segments().take(common).filter(Result::is_ok).count();
        // Words that a client who meant this route forgot.
        let forgotten = route.segments().skip(segments.len()).filter(Result::is_ok).count();
        let other_method = route.method != method;
        let wrong = segments.len().max(route.length()) - common;
        (Reverse(words), forgotten, other_method, wrong, route.length() - common)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::tables::{GRAPH, document, rows};

    /// What wraps operations is none itself.
    const BATCH: &str = "/$batch";

    /// Routes of another spelling, each after that of the tables: how OData writes an action with
    /// its namespace, and a function with its parentheses.
    const SPELLINGS: [(&str, &str); 2] = [
        (
            "/external/connections/{connection}/items/{item}/microsoft.graph.externalConnectors.addActivities",
            "/external/connections/{connection}/items/{item}/addActivities",
        ),
        ("/me/activities/recent()", "/me/activities/recent"),
    ];

    fn spelling(route: &Route) -> Option<&'static str> {
        SPELLINGS.iter().find_map(|(other, plain)| (route.path == *other).then_some(*plain))
    }

    /// The operations that are here, by method and path.
    fn operations() -> BTreeMap<String, &'static Route> {
        let is_plain = |route: &&Route| spelling(route).is_none() && route.path != BATCH;
        let plain = ROUTES.iter().filter(is_plain);
        plain.map(|route| (format!("`{} {}`", route.method, route.path), route)).collect()
    }

    /// The permissions of a cell. None: that kind of token cannot be used.
    fn permissions(cell: &'static str) -> Option<BTreeSet<&'static str>> {
        let names = cell.split([';', ' ']).filter(|name| !name.is_empty());
        (cell != "–").then(|| names.map(|name| name.trim_matches('`')).collect())
    }

    #[test]
    fn every_operation_of_the_tables_is_here_and_no_other() {
        let ours: BTreeMap<String, _> = operations()
            .into_iter()
            .map(|(request, route)| {
                let Access { delegated, application } = route.access;
                let set = |names: Option<&[&'static str]>| {
                    names.map(|names| names.iter().copied().collect::<BTreeSet<_>>())
                };
                let versions = route.version.map_or("both", Version::name);
                (request, (versions, set(delegated), set(application)))
            })
            .collect();
        let listed: BTreeMap<String, _> = rows(&GRAPH, "operation")
            .into_iter()
            .map(|row| {
                // What a personal account may do, one of work or school may do, too.
                assert!(row[7] == "–" || row[7] == row[6], "{row:?}");
                (row[1].to_owned(), (row[4], permissions(row[6]), permissions(row[8])))
            })
            .collect();
        assert_eq!(ours, listed);
    }

    #[test]
    fn a_route_beside_the_tables_is_another_spelling_of_one_of_them() {
        for (other, plain) in SPELLINGS {
            let of = |path| ROUTES.iter().find(|route| route.path == path).expect("a route");
            let (other, plain) = (of(other), of(plain));
            assert_eq!(
                (other.method, other.resource, other.access, other.query, other.action),
                (plain.method, plain.resource, plain.access, plain.query, plain.action)
            );
        }
        let batch = ROUTES.iter().find(|route| route.path == BATCH).expect("a route");
        assert_eq!((batch.method, batch.access), ("POST", access::ANYBODY));
    }

    #[test]
    fn the_table_of_the_project_says_yes_for_what_is_here() {
        let readme = document("README.md");
        let said: Vec<_> =
            rows(&readme, "operation").into_iter().map(|row| (row[1].to_owned(), row[3])).collect();
        let mut here = operations();
        // In no table of the documents' operations, for it wraps them.
        let batch = ROUTES.iter().find(|route| route.path == BATCH).expect("a route");
        here.insert(format!("`POST {BATCH}`"), batch);
        for (request, said) in &said {
            assert_eq!(*said == "yes", here.contains_key(request), "{request}");
        }
        assert_eq!(said.iter().filter(|(_, said)| *said == "yes").count(), here.len());
    }

    fn route(method: &str, path: &str) -> Option<Action> {
        match find(method, &path.split('/').skip(1).collect::<Vec<_>>(), Version::V1) {
            Found::Route(route) => Some(route.action),
            _ => None,
        }
    }

    #[test]
    fn each_route_finds_itself() {
        for each in ROUTES {
            assert_eq!(route(each.method, each.path), Some(each.action));
        }
    }

    #[test]
    fn a_literal_is_preferred_only_for_its_own_method() {
        assert_eq!(route("GET", "/me/activities/recent"), Some(Action::RecentActivities));
        assert_eq!(route("PUT", "/me/activities/recent"), Some(Action::PutActivity));
    }

    #[test]
    fn the_nearest_route_is_the_one_a_client_could_have_meant() {
        let nearest = |method, path: &str| {
            let segments: Vec<&str> = path.split('/').skip(1).collect();
            nearest(method, &segments).map(|route| (route.method, route.path))
        };
        assert_eq!(
            nearest("GET", "/external/connections/c/groups/g/members"),
            Some(("POST", "/external/connections/{connection}/groups/{group}/members"))
        );
        assert_eq!(
            nearest("POST", "/external/connections/c/items"),
            Some(("PUT", "/external/connections/{connection}/items/{item}"))
        );
        assert_eq!(
            nearest("POST", "/external/connections/c/items/i/addActivity"),
            Some(("POST", "/external/connections/{connection}/items/{item}/addActivities"))
        );
        assert_eq!(
            nearest("POST", "/external/connections/c/fullRefresh"),
            Some(("POST", "/external/connections/{connection}/groups"))
        );
        assert_eq!(nearest("GET", "/me/activities/1"), Some(("GET", "/me/activities")));
        assert_eq!(nearest("GET", "/planet"), None);
    }

    #[test]
    fn an_unescaped_slash_is_told_from_a_missing_route() {
        let find = |method, path: &str| {
            find(method, &path.split('/').skip(1).collect::<Vec<_>>(), Version::V1)
        };
        for path in ["/me/activities//article", "/me/activities/a/b/c"] {
            let Found::Unescaped(route) = find("PUT", path) else { panic!("{path}") };
            assert_eq!(route.path, "/me/activities/{appActivityId}");
        }
        assert!(matches!(find("GET", "/me/activities/a/b/c"), Found::Nothing));
        let Found::OtherMethods(methods) = find("POST", "/external/connections/c/items/i") else {
            panic!()
        };
        assert_eq!(methods, ["PUT", "GET", "PATCH", "DELETE"]);
    }

    #[test]
    fn the_readme_lists_the_routes() {
        let readme = include_str!("../README.md");
        let listed: Vec<&str> =
            readme.lines().filter_map(|line| line.strip_prefix("- `")?.strip_suffix('`')).collect();
        let ours: Vec<String> =
            ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
        assert_eq!(listed, ours);
    }
}
