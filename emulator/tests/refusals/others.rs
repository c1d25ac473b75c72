//! What is wrong with anything but an item.

use super::{
    CONNECTIONS, CONTOSO, Case, DRAFT, case,
    support::{ITEM, USER, activities, activity, item, user_activity},
};

const ADD: &str = "/v1.0/external/connections/contosohr/items/TSP228082938/addActivities";
const GUID: &str = "390e06e2-7e5b-4133-8014-fac7ac5991af";

pub(super) fn activities_on_items() -> Vec<Case> {
    let good = || activity("created", "2021-04-06T18:04:31.033Z", USER);
    vec![
        case("POST", ADD, activities(&[]), &[("activity-count", "$.activities")]),
        case("POST", ADD, activities(&vec![good(); 21]), &[("activity-count", "$.activities")]),
        case("POST", ADD, "{}", &[("member-required", "$.activities")]),
        case("POST", ADD, r#"{"activities":{}}"#, &[("member-type", "$.activities")]),
        case(
            "POST",
            ADD,
            activities(&[good(), "7".to_owned()]),
            &[("member-type", "$.activities[1]")],
        ),
        case(
            "POST",
            ADD,
            activities(&[good(), good().replacen("@odata.type", "@odata.tip", 1)]),
            &[
                ("activity-odata-type", "$.activities[1]['@odata.type']"),
                ("member-unknown", "$.activities[1]['@odata.tip']"),
            ],
        ),
        case(
            "POST",
            ADD,
            activities(&[good().replacen("externalActivity", "activity", 1)]),
            &[("annotation-type", "$.activities[0]['@odata.type']")],
        ),
    ]
}

pub(super) fn user_activities() -> Vec<Case> {
    let put = |id: &str, body: String, faults: &[(&'static str, &'static str)]| {
        case("PUT", format!("/v1.0/me/activities/{id}"), body, faults)
    };
    let history = |members: &str, rule, place| {
        put("a", user_activity("a", &format!(r#""historyItems":[{members}]"#)), &[(rule, place)])
    };
    vec![
        // The example of the documents, as it stands: another id in the URL.
        put(
            "3F12345",
            user_activity("/article?12345", ""),
            &[("app-activity-id-mismatch", "$.appActivityId")],
        ),
        // Not escaped at all.
        put("/article?12345", user_activity("/article?12345", ""), &[("path-escape", "path")]),
        put("a:b", user_activity("a:b", ""), &[("path-escape", "path")]),
        put("50%", user_activity("50%", ""), &[("path-escape", "path")]),
        put("%ff", user_activity("a", ""), &[("path-escape", "path")]),
        put("a+b", user_activity("a b", ""), &[("path-escape", "path")]),
        put("", user_activity("", ""), &[("app-activity-id", "appActivityId")]),
        put("%2E", user_activity(".", ""), &[("app-activity-id", "appActivityId")]),
        put("a", user_activity("", ""), &[("app-activity-id", "$.appActivityId")]),
        put(
            "a",
            user_activity("a", "").replace(r#""activationUrl":"https://contoso.com/a","#, ""),
            &[("member-required", "$.activationUrl")],
        ),
        put(
            "a",
            user_activity("a", "").replace("https://contoso.com/a", ""),
            &[("member-required", "$.activationUrl")],
        ),
        put(
            "a",
            user_activity("a", "").replace(r#""displayText":"A""#, ""),
            &[("member-required", "$.visualElements.displayText")],
        ),
        put(
            "a",
            user_activity("a", "").replace(
                r#""displayText":"A""#,
                r#""displayText":"A","attribution":{"addImageQuery":"false"}"#,
            ),
            &[("member-type", "$.visualElements.attribution.addImageQuery")],
        ),
        put(
            "a",
            user_activity("a", r#""contentURL":"https://contoso.com""#),
            &[("member-unknown", "$.contentURL")],
        ),
        history(
            r#"{"id":"1","startedDateTime":"2026-01-02T03:04:05Z"}"#,
            "guid",
            "$.historyItems[0].id",
        ),
        history(
            r#"{"startedDateTime":"2026-01-02"}"#,
            "date-time",
            "$.historyItems[0].startedDateTime",
        ),
        history(
            r#"{"startedDateTime":"2026-01-02T03:04:05Z","activity":{}}"#,
            "member-unknown",
            "$.historyItems[0].activity",
        ),
        history("{}", "member-required", "$.historyItems[0].startedDateTime"),
        history(
            r#"{"startedDateTime":"2026-01-02T03:04:05Z","activeDurationSeconds":2.5}"#,
            "member-type",
            "$.historyItems[0].activeDurationSeconds",
        ),
        history(
            r#"{"startedDateTime":"2026-01-02T03:04:05Z","lastActiveDateTime":"2026-01-02T04:04:04+01:00"}"#,
            "history-order",
            "$.historyItems[0].lastActiveDateTime",
        ),
        case("PUT", "/v1.0/me/activities/1/historyItems/2", "{}", &[("guid", "history item id")]),
    ]
}

pub(super) fn queries() -> Vec<Case> {
    let lists = ["/v1.0/me/activities", "/beta/me/activities", "/v1.0/me/activities/recent"];
    lists.into_iter().flat_map(queries_of).collect()
}

fn queries_of(path: &str) -> Vec<Case> {
    let list = |query: &str, places: &[&'static str]| {
        let faults: Vec<_> = places.iter().map(|place| ("query-option", *place)).collect();
        case("GET", format!("{path}?{query}"), "", &faults)
    };
    let mut cases = vec![
        list("$top=1&$top=1", &["query $top"]),
        list("$top=0&$filter=&$expand=activity", &["query $top", "query $filter", "query $expand"]),
        list("$skiptoken=", &["query $skiptoken"]),
        list("$skiptoken=5", &["query $skiptoken"]),
        // The example of the documents: a link that this service has not made.
        list(
            "$skiptoken=%24filter%3dlastModifiedDateTime+lt+2018-02-26T18%3a06%3a19.365Z",
            &["query $skiptoken"],
        ),
        case(
            "GET",
            format!("{CONNECTIONS}?$skiptoken=contosohr"),
            "",
            &[("query-option", "query $skiptoken")],
        ),
    ];
    for top in ["", "0", "-1", "%2B1", "1.0", "five", "1%20", "0x1"] {
        cases.push(list(&format!("$top={top}"), &["query $top"]));
    }
    let time = "2018-01-22T21:45:00.347Z";
    for filter in [
        "",
        "x",
        &format!("lastModifiedDateTime+ge+{time}"),
        &format!("lastModifiedDateTime+le+{time}"),
        &format!("lastModifiedDateTime+eq+{time}"),
        &format!("lastModifiedDateTime+GT+{time}"),
        &format!("lastmodifieddatetime+gt+{time}"),
        &format!("createdDateTime+gt+{time}"),
        &format!("{time}+lt+lastModifiedDateTime"),
        &format!("(lastModifiedDateTime+gt+{time})"),
        &format!("not+lastModifiedDateTime+gt+{time}"),
        &format!("lastModifiedDateTime+gt+{time}+or+lastModifiedDateTime+lt+{time}"),
        &format!("lastModifiedDateTime+gt+{time}+and+"),
        "lastModifiedDateTime+gt+'2018-01-22T21:45:00.347Z'",
        "lastModifiedDateTime+gt+2018-01-22",
        "lastModifiedDateTime+gt+2018-01-22T21:45:00",
        // A space, that is.
        "lastModifiedDateTime+gt+2018-01-22T21:45:00+01:00",
    ] {
        cases.push(list(&format!("$filter={filter}"), &["query $filter"]));
        let nested = format!("$expand=historyItems($filter={filter})");
        cases.push(list(&nested, &["query $expand"]));
    }
    for expand in [
        "",
        "historyitems",
        "activity",
        "historyItems()",
        "historyItems($top=1)",
        "historyItems,historyItems",
        &format!("historyItems($filter=lastModifiedDateTime+gt+{time};$top=1)"),
        &format!("historyItems($filter=lastModifiedDateTime+gt+{time}"),
    ] {
        cases.push(list(&format!("$expand={expand}"), &["query $expand"]));
    }
    cases
}

pub(super) fn connections() -> Vec<Case> {
    let create = |id: &str, name: &str, rule, place| {
        case("POST", CONNECTIONS, format!(r#"{{"id":"{id}","name":"{name}"}}"#), &[(rule, place)])
    };
    let schema = |properties: &str, rule, place| {
        let body =
            format!(r#"{{"baseType":"microsoft.graph.externalItem","properties":[{properties}]}}"#);
        case("PATCH", format!("{DRAFT}/schema"), body, &[(rule, place)])
    };
    vec![
        create("ab", "a", "connection-id", "$.id"),
        create("contoso-hr", "a", "connection-id", "$.id"),
        create("contosöhr", "a", "connection-id", "$.id"),
        create("microsoftHr", "a", "connection-id", "$.id"),
        create("sharepoint", "a", "connection-id", "$.id"),
        create(&"a".repeat(33), "a", "connection-id", "$.id"),
        create("abc", "", "connection-name", "$.name"),
        create("abc", &"ä".repeat(129), "connection-name", "$.name"),
        case("POST", CONNECTIONS, r#"{"id":"abc"}"#, &[("member-required", "$.name")]),
        case(
            "POST",
            CONNECTIONS,
            r#"{"id":"abc","name":"a","enabledContentExperiences":"search"}"#,
            &[("member-unknown", "$.enabledContentExperiences")],
        ),
        schema("", "schema-size", "$.properties"),
        schema(r#"{"name":"a b","type":"string"}"#, "property-name", "$.properties[0].name"),
        schema(
            r#"{"name":"a","type":"string","aliases":["b","c!"]}"#,
            "property-name",
            "$.properties[0].aliases[1]",
        ),
        schema(
            r#"{"name":"a","type":"string"},{"name":"A","type":"int64"}"#,
            "property-twice",
            "$.properties[1].name",
        ),
        schema(r#"{"name":"a","type":"String"}"#, "enum-value", "$.properties[0].type"),
        schema(
            r#"{"name":"a","type":"unknownFutureValue"}"#,
            "unknown-future-value",
            "$.properties[0].type",
        ),
        schema(
            r#"{"name":"a","type":"string","isSearchable":"true"}"#,
            "member-type",
            "$.properties[0].isSearchable",
        ),
        schema(
            r#"{"name":"a","type":"string","labels":["assignedTo"]}"#,
            "enum-value",
            "$.properties[0].labels[0]",
        ),
        case(
            "PATCH",
            format!("{DRAFT}/schema"),
            r#"{"baseType":"microsoft.graph.externalConnector.externalItem","properties":[{"name":"a","type":"string"}]}"#,
            &[("schema-base-type", "$.baseType")],
        ),
    ]
}

pub(super) fn groups() -> Vec<Case> {
    const GROUPS: &str = "/v1.0/external/connections/contosohr/groups";
    const TEAM: &str = "/v1.0/external/connections/contosohr/groups/teamx";
    const MEMBERS: &str = "/v1.0/external/connections/contosohr/groups/teamx/members";
    let member = |id: &str, kind: &str, rule, place| {
        case("POST", MEMBERS, format!(r#"{{"id":"{id}","type":"{kind}"}}"#), &[(rule, place)])
    };
    let missing = |method, target: &str, body: &str, place| {
        let faults = [("not-found", place)];
        Case { status: 404, ..case(method, target.replace("teamx", "none"), body, &faults) }
    };
    let good = format!(r#"{{"id":"{USER}","type":"user"}}"#);
    vec![
        case("POST", GROUPS, r#"{"displayName":"a"}"#, &[("member-required", "$.id")]),
        case("POST", GROUPS, r#"{"id":null}"#, &[("member-required", "$.id")]),
        case("POST", GROUPS, r#"{"id":7}"#, &[("member-type", "$.id")]),
        case("POST", GROUPS, r#"{"id":""}"#, &[("external-group-id", "$.id")]),
        case("POST", GROUPS, r#"{"id":"a b"}"#, &[("external-group-id", "$.id")]),
        case(
            "POST",
            GROUPS,
            format!(r#"{{"id":"{}"}}"#, "a".repeat(129)),
            &[("external-group-id", "$.id")],
        ),
        case("POST", GROUPS, r#"{"id":"a","displayName":1}"#, &[("member-type", "$.displayName")]),
        case("POST", GROUPS, r#"{"id":"a","members":[]}"#, &[("member-unknown", "$.members")]),
        case("PATCH", TEAM, r#"{"id":"teamy"}"#, &[("external-group-id", "$.id")]),
        case("PATCH", TEAM, r#"{"description":[]}"#, &[("member-type", "$.description")]),
        case("GET", format!("{GROUPS}/a.b"), "", &[("external-group-id", "group id")]),
        member("john", "user", "guid", "$.id"),
        member("teamy", "group", "guid", "$.id"),
        member("a.b", "externalGroup", "external-group-id", "$.id"),
        member("", "externalGroup", "member-required", "$.id"),
        member(USER, "everyone", "enum-value", "$.type"),
        member(USER, "unknownFutureValue", "unknown-future-value", "$.type"),
        member("teamx", "externalGroup", "group-cycle", "$.id"),
        case("POST", MEMBERS, format!(r#"{{"id":"{USER}"}}"#), &[("member-required", "$.type")]),
        case(
            "POST",
            MEMBERS,
            r#"{"id":"teamy","type":"group","identitySource":"external"}"#,
            &[("identity-source", "$.identitySource")],
        ),
        case(
            "POST",
            MEMBERS.replace("v1.0", "beta"),
            r#"{"id":"teamy","type":"user","identitySource":"external"}"#,
            &[("identity-source", "$.identitySource"), ("guid", "$.id")],
        ),
        missing("GET", TEAM, "", "group id"),
        missing("PATCH", TEAM, "{}", "group id"),
        missing("DELETE", TEAM, "", "group id"),
        missing("POST", MEMBERS, &good, "group id"),
        missing("DELETE", &format!("{MEMBERS}/{USER}"), "", "group id"),
        Case {
            status: 404,
            ..case("DELETE", format!("{MEMBERS}/{USER}"), "", &[("not-found", "member id")])
        },
        Case {
            status: 409,
            ..case("POST", GROUPS, r#"{"id":"teamx"}"#, &[("already-exists", "$.id")])
        },
        Case { status: 405, ..case("GET", GROUPS, "", &[("method", "path")]) },
        Case { status: 405, ..case("GET", MEMBERS, "", &[("method", "path")]) },
    ]
}

pub(super) fn other_statuses() -> Vec<Case> {
    let with = |status, case: Case| Case { status, ..case };
    let good = || item(r#""title":"a""#);
    vec![
        with(
            409,
            case(
                "POST",
                CONNECTIONS,
                r#"{"id":"contosohr","name":"a"}"#,
                &[("already-exists", "$.id")],
            ),
        ),
        with(
            404,
            case("GET", format!("{CONNECTIONS}/nobody"), "", &[("not-found", "connection id")]),
        ),
        with(
            404,
            case("DELETE", format!("{CONNECTIONS}/nobody"), "", &[("not-found", "connection id")]),
        ),
        with(
            404,
            case(
                "PUT",
                format!("{CONNECTIONS}/nobody/items/a"),
                good(),
                &[("not-found", "connection id")],
            ),
        ),
        with(404, case("GET", format!("{CONTOSO}/items/none"), "", &[("not-found", "item id")])),
        with(404, case("DELETE", format!("{CONTOSO}/items/none"), "", &[("not-found", "item id")])),
        with(
            404,
            case("PATCH", format!("{CONTOSO}/items/none"), "{}", &[("not-found", "item id")]),
        ),
        with(
            404,
            case("PATCH", format!("{CONNECTIONS}/nobody"), "{}", &[("not-found", "connection id")]),
        ),
        with(400, case("GET", format!("{CONTOSO}/quota"), "", &[("version", "path")])),
        with(
            404,
            case(
                "POST",
                format!("{CONTOSO}/items/none/addActivities"),
                activities(&[]),
                &[("not-found", "item id")],
            ),
        ),
        with(
            404,
            case("GET", format!("{CONTOSO}/operations/none"), "", &[("not-found", "operation id")]),
        ),
        with(404, case("DELETE", "/v1.0/me/activities/1", "", &[("not-found", "activity id")])),
        with(
            404,
            case(
                "PUT",
                format!("/v1.0/me/activities/1/historyItems/{GUID}"),
                "{}",
                &[("not-found", "activity id")],
            ),
        ),
        with(405, case("POST", ITEM, good(), &[("method", "path")])),
        with(501, case("GET", format!("{CONTOSO}/items"), "", &[("not-implemented", "path")])),
        with(501, case("GET", "/v1.0/me/activities?$skip=5", "", &[("not-implemented", "query")])),
        with(
            501,
            case("GET", format!("{CONNECTIONS}?$top=5"), "", &[("not-implemented", "query")]),
        ),
        with(501, case("GET", "/v1.0/users/a/activities", "", &[("not-implemented", "path")])),
        with(501, case("GET", "/external/connections", "", &[("not-implemented", "path")])),
        with(400, case("GET", "/v2.0/external/connections", "", &[("version", "path")])),
        with(413, case("PUT", ITEM, " ".repeat(4_000_001), &[("body-size", "$")])),
    ]
}
