//! Activities on items: one verdict for each, in the order they were sent.

mod support;

use serde_json::{Value, json};
use support::{Bench, ITEM, USER, activities, activity, faults_of, item};

const START: &str = "2021-04-06T18:04:31.033Z";

fn bench() -> Bench {
    let bench = Bench::ready();
    bench.expect(200, "PUT", ITEM, item(r#""title":"a""#));
    bench
}

fn stored(bench: &Bench) -> Vec<String> {
    let activities = bench.emulator.item_activities("contosohr", "TSP228082938");
    activities.iter().map(|activity| activity.kind.to_owned()).collect()
}

#[test]
fn the_example_of_the_documents_is_answered_as_they_say_on_both_paths_and_in_both_versions() {
    let bench = bench();
    let body = r##"{
  "activities": [
    {
      "@odata.type": "#microsoft.graph.externalConnectors.externalActivity",
      "type": "created",
      "startDateTime": "2021-04-06T18:04:31.033Z",
      "performedBy": {
        "type": "user",
        "id": "1f0c997e-99f7-43f1-8cca-086f8d42be8d"
      }
    }
  ]
}"##;
    for action in ["addActivities", "microsoft.graph.externalConnectors.addActivities"] {
        for version in ["v1.0", "beta"] {
            let target = format!("{}/{action}", ITEM.replace("v1.0", version));
            let answer = bench.expect(200, "POST", &target, body);
            assert_eq!(
                answer.json["value"],
                json!([{
                    "@odata.type": "#microsoft.graph.externalConnectors.externalActivityResult",
                    "type": "created",
                    "startDateTime": START,
                    "error": null,
                }])
            );
        }
    }
    assert_eq!(stored(&bench), ["created"; 4]);
}

#[test]
fn one_that_fails_is_its_own_error_and_the_others_are_stored() {
    let bench = bench();
    let group = activity("viewed", START, "a-group").replace("\"user\"", "\"externalgroup\"");
    let each = [
        activity("viewed", START, USER),
        activity("liked", START, USER),
        activity("modified", "2021-04-06T18:04:31", USER),
        activity("created", START, "john"),
        group,
        activity("unknownFutureValue", START, "john"),
        activity("commented", "2001-01-01T00:00:00Z", USER),
        activity("viewed", START, USER).replace("startDateTime", "id"),
        activity("viewed", START, USER).replace(r#""type":"user","#, ""),
    ];
    let answer = bench.expect(207, "POST", &format!("{ITEM}/addActivities"), activities(&each));
    let results = answer.json["value"].as_array().expect("an array");
    let kinds: Vec<&Value> = results.iter().map(|result| &result["type"]).collect();
    assert_eq!(
        kinds,
        [
            "viewed",
            "liked",
            "modified",
            "created",
            "viewed",
            "unknownFutureValue",
            "commented",
            "viewed",
            "viewed"
        ]
    );
    let faults: Vec<_> = results.iter().map(|result| faults_of(&result["error"])).collect();
    let at = |index: usize, rule: &'static str, place: &str| {
        (rule, format!("$.activities[{index}].{place}"))
    };
    let expected = [
        vec![],
        vec![at(1, "enum-value", "type")],
        vec![at(2, "date-time", "startDateTime")],
        vec![at(3, "guid", "performedBy.id")],
        vec![],
        vec![at(5, "unknown-future-value", "type"), at(5, "guid", "performedBy.id")],
        vec![],
        vec![at(7, "member-required", "startDateTime")],
        vec![at(8, "member-required", "performedBy.type")],
    ];
    for (faults, expected) in faults.iter().zip(&expected) {
        let expected: Vec<_> = expected.iter().map(|(rule, place)| (*rule, &**place)).collect();
        assert_eq!(*faults, expected);
    }
    assert_eq!(results[1]["error"]["code"], "InvalidRequest");
    assert_eq!(results[0]["error"], Value::Null);
    assert_eq!(results[7]["startDateTime"], Value::Null);
    assert_eq!(stored(&bench), ["viewed", "viewed", "commented"]);
    let group = &bench.emulator.item_activities("contosohr", "TSP228082938")[1];
    assert_eq!((group.performed_by_kind, &*group.performed_by_id), ("externalGroup", "a-group"));
    assert_eq!(group.start_date_time, START);
}

#[test]
fn if_all_fail_the_answer_is_207_all_the_same() {
    let bench = bench();
    let each = vec![activity("viewed", START, "john"); 20];
    let answer = bench.expect(207, "POST", &format!("{ITEM}/addActivities"), activities(&each));
    assert_eq!(answer.json["value"].as_array().map(Vec::len), Some(20));
    assert_eq!(stored(&bench), [""; 0]);
}

#[test]
fn twenty_are_accepted_and_the_same_again_is_added_again() {
    let bench = bench();
    let each = vec![activity("viewed", START, USER); 20];
    for _ in 0..2 {
        bench.expect(200, "POST", &format!("{ITEM}/addActivities"), activities(&each));
    }
    assert_eq!(stored(&bench).len(), 40);
}

#[test]
fn how_many_a_call_may_have_is_a_setting() {
    let bench = Bench::ready_with(|behaviour| behaviour.activities_per_call = 1);
    bench.expect(200, "PUT", ITEM, item(r#""title":"a""#));
    let target = format!("{ITEM}/addActivities");
    let two = activities(&vec![activity("viewed", START, USER); 2]);
    bench.refused("POST", &target, two, &[("activity-count", "$.activities")]);
    bench.expect(200, "POST", &target, activities(&[activity("viewed", START, USER)]));
}
