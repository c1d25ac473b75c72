//! Each operation of the tables, in each version: the status and the members of its answer.

mod support;
#[path = "../src/tables.rs"]
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use support::{Answer, Bench, ITEM, USER, activities, activity, item, item_with, user_activity};
use tables::{GRAPH, rows};

const OTHER: &str = "00000000-0000-0000-0000-000000000001";
const HISTORY: &str = "6f2b1c9e-4d3a-4f5b-8c7d-9e0f1a2b3c4d";
/// Everything of a history item that a client sets, but its id.
const HISTORY_ITEM: &str = r#""startedDateTime":"2026-01-02T03:04:05Z",
    "lastActiveDateTime":"2026-01-02T03:04:06Z","activeDurationSeconds":1,
    "userTimezone":"Europe/Oslo","expirationDateTime":"2027-01-02T03:04:05Z""#;

/// A connection with everything that a client of this version can set.
fn connection(id: &str, version: &str) -> String {
    let template = json!({
        "id": "a", "priority": 1, "layout": {"type": "AdaptiveCard", "version": "1.0"},
        "rules": [{"operation": "null", "property": "title", "values": [],
            "valuesJoinedBy": "and"}],
    });
    let mut connection = json!({
        "id": id, "name": "a", "description": "b", "connectorId": "c", "contentCategory": "crm",
        "configuration": {"authorizedAppIds": ["a"]},
        "activitySettings": {"urlToItemResolvers": [{
            "@odata.type": "#microsoft.graph.externalConnectors.itemIdResolver",
            "priority": 1, "itemId": "{id}",
            "urlMatchInfo": {"baseUrls": ["https://contoso.com"], "urlPattern": "(?<id>.)"},
        }]},
        "searchSettings": {"searchResultTemplates": [template]},
    });
    if version == "beta" {
        connection["complianceSettings"] = json!({"eDiscoveryResultTemplates": [template]});
        connection["enabledContentExperiences"] = json!("search");
    }
    connection.to_string()
}

/// A schema with everything that a client of this version can set.
fn schema(version: &str) -> String {
    let mut property = json!({"name": "title", "type": "string", "description": "d",
        "isRetrievable": true, "labels": ["title"]});
    if version == "beta" {
        property["isExactMatchRequired"] = json!(true);
        property["rankingHint"] = json!({"importanceScore": "low"});
    }
    json!({"baseType": "microsoft.graph.externalItem", "properties": [property]}).to_string()
}

/// A user activity with everything that a client can set.
fn full_activity(id: &str) -> String {
    let image = json!({"iconUrl": "i", "alternateText": "t", "alternativeText": "t",
        "addImageQuery": false});
    let visual = json!({"displayText": "A", "description": "d", "backgroundColor": "#ff0000",
        "content": {}, "attribution": image});
    let others = r#""appDisplayName":"A","contentUrl":"c","fallbackUrl":"f",
        "userTimezone":"Europe/Oslo","contentInfo":{}"#;
    let history = format!(r#""historyItems":[{{"id":"{HISTORY}",{HISTORY_ITEM}}}]"#);
    user_activity(id, &format!("{others},{history}"))
        .replace(r#"{"displayText":"A"}"#, &visual.to_string())
}

/// A service with one of everything, and the ids that it made.
struct World {
    bench: Bench,
    operation: String,
    activity: String,
}

impl World {
    fn new(version: &str) -> Self {
        let bench = Bench::empty();
        let root = format!("/{version}/external/connections");
        create_as_teams(&bench, &root, connection("contosohr", version));
        let target = format!("{root}/contosohr/schema");
        let begun = bench.expect(202, "PATCH", &target, schema(version));
        let location = begun.header("location").expect("an operation");
        let operation = location.rsplit('/').next().unwrap_or_default().to_owned();
        bench.wait(1_000);
        let label = format!(r#""informationProtectionLabel":{{"sensitivityLabelId":"{OTHER}"}}"#);
        let content = r#""content":{"type":"text","value":"a"}"#;
        bench.expect(200, "PUT", ITEM, item_with(&format!("{label},{content}")));
        bench.expect(201, "POST", &format!("{root}/contosohr/groups"), r#"{"id":"team"}"#);
        let members = format!("{root}/contosohr/groups/team/members");
        bench.expect(201, "POST", &members, format!(r#"{{"id":"{USER}","type":"user"}}"#));
        let put = bench.expect(201, "PUT", "/v1.0/me/activities/a", full_activity("a"));
        let activity = put.json["id"].as_str().expect("an id").to_owned();
        Self { bench, operation, activity }
    }

    /// Fills in the arguments of a path: what is there, or with `anew` what is not yet.
    fn path(&self, path: &str, anew: bool) -> String {
        let either = |known: &'static str, new: &'static str| if anew { new } else { known };
        path.replace("{connection}", "contosohr")
            .replace("{operation}", &self.operation)
            .replace("{item}", either("TSP228082938", "new"))
            .replace("{group}", "team")
            .replace("{member}", USER)
            .replace("{appActivityId}", either("a", "b"))
            .replace("{activity}", &self.activity)
            .replace("{historyItem}", either(HISTORY, OTHER))
    }
}

/// Creates a connection for an app of Teams: with its ticket, without which it has no `connectorId`.
fn create_as_teams(bench: &Bench, target: &str, body: String) -> Answer {
    bench.send_with("POST", target, body, |headers| {
        headers.insert("graphconnectors-ticket", "t".parse().expect("a value"));
    })
}

/// What to send for an operation: the body, and whether to something new.
fn requests(operation: &str, version: &str) -> Vec<(String, bool)> {
    let known = |body: &str| vec![(body.to_owned(), false)];
    match operation {
        "Create connection" => known(&connection("other", version)),
        "Update connection" | "Update group" => known(r#"{"description":"c"}"#),
        "Create or update schema" => known(&schema(version)),
        "Create or replace item" => [false, true].map(|anew| (item(r#""title":"b""#), anew)).into(),
        "Update item" => known("{}"),
        "Add activities" => [USER, "nobody"]
            .map(|by| (activities(&[activity("viewed", "2026-01-02T03:04:05Z", by)]), false))
            .into(),
        "Create group" => known(r#"{"id":"other"}"#),
        "Add member" => known(&format!(r#"{{"id":"{OTHER}","type":"group"}}"#)),
        "Create or replace activity" => {
            vec![(full_activity("a"), false), (full_activity("b"), true)]
        }
        "Create or replace history item" => {
            [false, true].map(|anew| (format!("{{{HISTORY_ITEM}}}"), anew)).into()
        }
        _ => known(""),
    }
}

/// Sends all that there is to send for an operation.
fn answers(operation: &str, request: &str, version: &str) -> Vec<Answer> {
    let (method, path) = request.trim_matches('`').split_once(' ').expect("a method and a path");
    let send = |(body, anew): (String, bool)| {
        let world = World::new(version);
        let target = format!("/{version}{}", world.path(path, anew));
        match operation {
            "Create connection" => create_as_teams(&world.bench, &target, body),
            "List activities" | "Recent activities" => {
                world.bench.send(method, &format!("{target}?$expand=historyItems"), body)
            }
            _ => world.bench.send(method, &target, body),
        }
    };
    requests(operation, version).into_iter().map(send).collect()
}

const VERSIONS: [&str; 2] = ["v1.0", "beta"];

#[test]
fn each_operation_answers_with_the_statuses_of_its_row_and_only_in_its_versions() {
    for row in rows(&GRAPH, "operation") {
        for version in VERSIONS {
            let answers = answers(row[0], row[1], version);
            let what = format!("{} in {version}", row[0]);
            if !["both", version].contains(&row[4]) {
                for answer in answers {
                    assert_eq!(answer.status, 400, "{what}");
                    assert_eq!(answer.faults(), [("version", "path")], "{what}");
                }
                continue;
            }
            let statuses: BTreeSet<_> =
                answers.iter().map(|answer| answer.status.as_u16().to_string()).collect();
            let listed = row[2].split(", ").map(str::to_owned).collect();
            assert_eq!(statuses, listed, "{what}: {}", answers[0].text);
        }
    }
}

/// Collects the members of a value of this type and of all that is in it.
fn collect(kind: &str, json: &Value, found: &mut BTreeMap<String, BTreeSet<String>>) {
    let kind = match kind {
        "urlToItemResolverBase" => "itemIdResolver",
        other => other,
    };
    if let Some(element) = kind.strip_prefix("Collection(").and_then(|it| it.strip_suffix(')')) {
        let elements = json.as_array().map(Vec::as_slice).unwrap_or_default();
        return elements.iter().for_each(|json| collect(element, json, found));
    }
    let types = rows(&GRAPH, "type");
    let members: BTreeMap<&str, &str> = types
        .iter()
        .filter(|row| row[0] == kind)
        .map(|row| (row[1].trim_end_matches('!'), row[2]))
        .collect();
    let Some(object) = json.as_object().filter(|_| !members.is_empty()) else {
        return;
    };
    for (name, json) in object.iter().filter(|(name, _)| !name.starts_with('@')) {
        let of = members.get(&**name);
        let of = of.unwrap_or_else(|| panic!("{kind} has no {name}"));
        found.entry(kind.to_owned()).or_default().insert(name.clone());
        collect(of, json, found);
    }
}

/// The members that the answers in this version have, by type.
fn answered(version: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for row in rows(&GRAPH, "operation") {
        if !["both", version].contains(&row[4]) {
            continue;
        }
        for answer in answers(row[0], row[1], version) {
            match (row[3].strip_prefix("collection of "), row[3]) {
                (Some(element), _) => {
                    let list = answer.json["value"].as_array().expect(&answer.text);
                    assert!(!list.is_empty(), "{}", row[0]);
                    list.iter().for_each(|each| collect(element, each, &mut found));
                }
                (None, "none" | "externalItem or none") => {
                    assert_eq!(answer.text, "", "{}", row[0])
                }
                (None, kind) => {
                    assert!(answer.json.is_object(), "{}", row[0]);
                    collect(kind, &answer.json, &mut found);
                }
            }
        }
    }
    found
}

#[test]
fn an_answer_has_every_member_that_its_type_has_in_the_version_and_no_other() {
    // No answer has these.
    let never = BTreeSet::from([
        // Write-only.
        "externalItem.activities",
        // Paths of their own, which nothing expands.
        "activityHistoryItem.activity",
        "externalConnection.groups",
        "externalConnection.items",
        "externalConnection.operations",
        "externalConnection.quota",
        "externalConnection.schema",
        "externalGroup.members",
        // The example of addActivities has neither.
        "externalActivityResult.id",
        "externalActivityResult.performedBy",
        // All faults are in those of the error itself.
        "publicInnerError.details",
    ]);
    // Activities on items are only ever written, and a principal is inside an open type.
    let unseen = BTreeSet::from(["externalActivity", "principal"]);
    for version in VERSIONS {
        let mut listed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for row in rows(&GRAPH, "type") {
            let member = row[1].trim_end_matches('!');
            if (version == "beta" || row[4] != "beta")
                && !never.contains(&*format!("{}.{member}", row[0]))
                && !unseen.contains(row[0])
            {
                listed.entry(row[0].to_owned()).or_default().insert(member.to_owned());
            }
        }
        assert_eq!(answered(version), listed, "{version}");
    }
}
