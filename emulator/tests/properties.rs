//! What holds for any input: an answer in the right shape, and no trace of what was refused.

mod support;

use bytes::Bytes;
use graphfeed_emulator::Rule;
use http::Request;
use proptest::prelude::*;
use serde_json::Value;
use support::{
    Bench, ITEM, SCHEMA, activities, activity, faults_of, item, item_with, user_activity,
};

const ROUTES: [(&str, &str); 14] = [
    ("POST", "/v1.0/external/connections"),
    ("PATCH", "/beta/external/connections/contosohr"),
    ("PATCH", "/beta/external/connections/contosohr/schema"),
    ("PUT", ITEM),
    ("PATCH", ITEM),
    ("PUT", "/beta/external/connections/contosohr/items/TSP228082938"),
    ("POST", "/v1.0/external/connections/contosohr/items/TSP228082938/addActivities"),
    ("POST", "/v1.0/external/connections/contosohr/groups"),
    ("PATCH", "/beta/external/connections/contosohr/groups/teamx"),
    ("POST", "/beta/external/connections/contosohr/groups/teamx/members"),
    ("PUT", "/v1.0/me/activities/a"),
    ("GET", "/v1.0/me/activities"),
    ("DELETE", "/v1.0/me/activities/a"),
    ("POST", "/v1.0/$batch"),
];

/// An update of a connection.
const SETTINGS: &str = r##"{"activitySettings":{"urlToItemResolvers":[{"priority":1,"itemId":"{id}",
    "@odata.type":"#microsoft.graph.externalConnectors.itemIdResolver",
    "urlMatchInfo":{"baseUrls":["https://help.contoso.com"],"urlPattern":"/t/(?<id>[^/]+)"}}]},
    "complianceSettings":{"eDiscoveryResultTemplates":[{"id":"ticket","priority":1,
        "layout":{"type":"AdaptiveCard","version":"1.2"},"rules":[{"operation":"equals",
            "property":"title","values":["a"],"valuesJoinedBy":"or"}]}]}}"##;

/// Everything that can be read, as one text. Request ids are not part of it.
fn state(bench: &Bench) -> String {
    let service = bench.emulator.service();
    let items: Vec<_> = service.items("contosohr").collect();
    let groups: Vec<_> = service.groups("contosohr").collect();
    let activities: Vec<_> = service.user_activities().collect();
    format!("{items:?}{groups:?}{activities:?}")
}

/// Sends what a client could send, and checks what holds for any answer.
fn judge(
    bench: &Bench,
    method: &str,
    target: &str,
    body: impl Into<Bytes>,
) -> Result<(), TestCaseError> {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("authorization", "Bearer any")
        .header("content-type", "application/json")
        .body(body.into());
    let Ok(request) = request else {
        return Ok(()); // No client can send it.
    };
    let before = state(bench);
    let answer = bench.emulator.handle(&request);
    let text = std::str::from_utf8(answer.body()).expect("UTF-8");
    prop_assert!(answer.headers().contains_key("request-id"));
    let json: Value = match text {
        "" => Value::Null,
        text => serde_json::from_str(text).expect("JSON"),
    };
    if answer.status().is_success() {
        prop_assert!(json.get("error").is_none());
    } else {
        let faults = faults_of(&json["error"]);
        prop_assert!(!faults.is_empty(), "{}", text);
        for (rule, target) in faults {
            let known = Rule::ALL.iter().find(|known| known.name() == rule);
            prop_assert!(known.is_some() && !target.is_empty());
        }
        prop_assert_eq!(state(bench), before);
    }
    Ok(())
}

/// JSON of any shape, with the names that mean something here more often than by chance.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        prop::sample::select(vec!["user", "grant", "text", "String", "2026-01-02T03:04:05Z"])
            .prop_map(Value::from),
    ];
    let name = prop_oneof![
        ".{0,6}",
        prop::sample::select(vec![
            "id",
            "acl",
            "properties",
            "content",
            "type",
            "value",
            "accessType",
            "title",
            "tags",
            "tags@odata.type",
            "owner",
            "activities",
            "@odata.type",
            "startDateTime",
            "performedBy",
            "appActivityId",
            "visualElements",
            "historyItems",
            "name",
            "labels",
            "activitySettings",
            "urlToItemResolvers",
            "searchSettings",
            "searchResultTemplates",
            "baseType",
            "displayName",
            "identitySource",
            "requests",
            "method",
            "url",
            "headers",
            "body",
            "dependsOn",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A batch in which one request depends on another.
const BATCH: &str = r#"{"requests":[{"id":"1","method":"GET","url":"/me/activities?$top=1"},
    {"id":"2","method":"PATCH","url":"external/connections/contosohr","dependsOn":["1"],
        "headers":{"Content-Type":"application/json"},"body":{"name":"a"}}]}"#;

/// Good bodies, to be damaged.
fn good() -> Vec<String> {
    let created = activity("created", "2026-01-02T03:04:05Z", support::USER);
    vec![
        r#"{"id":"abc","name":"a"}"#.to_owned(),
        r#"{"id":"abc","displayName":"a","description":null}"#.to_owned(),
        r#"{"id":"abc","type":"group","identitySource":"external"}"#.to_owned(),
        SCHEMA.to_owned(),
        SETTINGS.to_owned(),
        BATCH.to_owned(),
        item(
            r#""title@odata.type":"String","title":"ä","priority":1,"due":"2026-01-02T03:04:05Z""#,
        ),
        item_with(&format!(r#""content":{{"type":"text","value":"a"}},"activities":[{created}]"#)),
        activities(&[created]),
        user_activity(
            "a",
            r#""historyItems":[{"startedDateTime":"2026-01-02T03:04:05.1234567Z"}]"#,
        ),
    ]
}

fn bench() -> Bench {
    let bench = Bench::ready();
    bench.expect(200, "PUT", ITEM, item(r#""title":"before""#));
    bench.expect(201, "PUT", "/v1.0/me/activities/a", user_activity("a", ""));
    bench.expect(201, "POST", "/v1.0/external/connections/contosohr/groups", r#"{"id":"teamx"}"#);
    bench
}

proptest! {
    // A failing seed is printed; a file of them would be found by nobody.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let bench = bench();
        for (method, target) in ROUTES {
            judge(&bench, method, target, body.clone())?;
        }
    }

    #[test]
    fn any_json_is_answered(body in json()) {
        let bench = bench();
        for (method, target) in ROUTES {
            judge(&bench, method, target, body.to_string())?;
        }
    }

    #[test]
    fn any_damage_to_a_good_body_is_answered(
        which in 0..10_usize,
        at in any::<prop::sample::Index>(),
        with in prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:0-.".to_vec())],
        cut in any::<bool>(),
    ) {
        let mut body = good().swap_remove(which).into_bytes();
        let at = at.index(body.len());
        if cut { body.remove(at); } else { body[at] = with; }
        let bench = bench();
        for (method, target) in ROUTES {
            judge(&bench, method, target, body.clone())?;
        }
    }

    #[test]
    fn any_path_is_answered(
        method in prop::sample::select(vec!["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "X"]),
        parts in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec![
                    "v1.0", "beta", "external", "connections", "contosohr", "items", "schema",
                    "TSP228082938", "groups", "teamx", "members", "addActivities", "operations", "me", "activities",
                    "historyItems", "recent", "", ".", "..", "%", "%2", "%2F", "%ff", "$batch",
                ])
                .prop_map(str::to_owned),
                "[ -~]{0,6}",
                any::<String>(),
            ],
            0..9,
        ),
        query in prop_oneof![Just(String::new()), "[?][ -~]{0,12}"],
    ) {
        let bench = bench();
        let target = format!("/{}{query}", parts.join("/"));
        judge(&bench, method, &target, item(r#""title":"a""#))?;
    }

    #[test]
    fn any_query_is_answered(
        options in prop::collection::vec(
            (
                prop::sample::select(vec!["$top", "$filter", "$expand", "$skiptoken", "%24top", "x"]),
                prop::collection::vec(
                    prop_oneof![
                        prop::sample::select(vec![
                            "lastModifiedDateTime", "+gt+", "%20lt%20", "+and+", "historyItems",
                            "($filter=", ")", "2026-01-02T03:04:05Z", "1", "%24filter%3d",
                            "+and+seal+eq+", "true", "%ff",
                        ])
                        .prop_map(str::to_owned),
                        "[!-~]{0,6}",
                    ],
                    0..8,
                ),
            ),
            0..4,
        ),
    ) {
        let bench = bench();
        let option = |(name, parts): &(&str, Vec<String>)| format!("{name}={}", parts.concat());
        let query = options.iter().map(option).collect::<Vec<_>>().join("&");
        for path in ["/v1.0/me/activities", "/beta/me/activities/recent()"] {
            judge(&bench, "GET", &format!("{path}?{query}"), "")?;
        }
    }

    /// The emulator's own routing gives back any id that is escaped, and only that.
    #[test]
    fn an_escaped_id_is_one_segment(id in any::<String>()) {
        prop_assume!(!matches!(&*id, "" | "." | ".."));
        let escaped: String = id
            .bytes()
            .map(|byte| match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect();
        let bench = Bench::empty();
        let body = user_activity("id", "").replacen("\"id\"", &Value::from(&*id).to_string(), 1);
        let target = format!("/v1.0/me/activities/{escaped}");
        bench.expect(201, "PUT", &target, body);
        let stored = bench.emulator.user_activities();
        prop_assert_eq!(&stored[0].app_activity_id, &id);
    }

    /// What was written is read back, each value as it was.
    #[test]
    fn properties_are_read_back(
        title in any::<String>(),
        priority in any::<i64>(),
        score in any::<f64>().prop_filter("JSON has no other", |score| score.is_finite()),
        tags in prop::collection::vec(any::<String>(), 0..4),
    ) {
        let bench = Bench::ready();
        let [title, tags] = [Value::from(title), Value::from(tags)];
        let score = Value::from(score);
        bench.expect(200, "PUT", ITEM, item(&format!(
            r#""title@odata.type":"String","title":{title},"priority":{priority},"score":{score},"tags@odata.type":"Collection(String)","tags":{tags}"#
        )));
        let answer = bench.expect(200, "GET", ITEM, "");
        let read = answer.json;
        prop_assert_eq!(&read["properties"]["title"], &title);
        prop_assert_eq!(&read["properties"]["priority"], priority);
        // As text, for serde_json reads a double one step off now and then.
        let score = format!("\"score\":{score},");
        prop_assert!(answer.text.contains(&score), "{}", answer.text);
        prop_assert_eq!(&read["properties"]["tags"], &tags);
        prop_assert_eq!(&read["properties"]["tags@odata.type"], "#Collection(String)");
    }
}
