//! User activities and their history: whose ids are whose, what is kept, what is made up.

mod support;

use graphfeed_emulator::{HistoryDates, Verdict};
use serde_json::{Value, json};
use support::{Bench, user_activity};

const GUID: &str = "390e06e2-7e5b-4133-8014-fac7ac5991af";
const ARTICLE: &str = "/v1.0/me/activities/%2Farticle%3F12345";

/// The first request of the page, with the `activationUrl` that it lacks (put-activity).
const SEED: &str = r##"{
  "activitySourceHost": "https://contoso.com",
  "createdDateTime": "2017-06-09T20:54:43.969Z",
  "lastModifiedDateTime": "2017-06-09T20:54:43.969Z",
  "id": "14332800362997268276",
  "appActivityId": "/article?12345",
  "activationUrl": "https://www.contoso.com/article?id=12345",
  "status": "updated",
  "expirationDateTime": "2017-02-26T20:20:48.114Z",
  "visualElements": {
    "displayText": "Contoso How-To: How to Tie a Reef Knot",
    "description": "How to Tie a Reef Knot. A step-by-step visual guide to the art of nautical knot-tying.",
    "attribution": {
      "iconUrl": "https://www.contoso.com/icon",
      "alternateText": "Contoso Ltd",
      "addImageQuery": false
    },
    "backgroundColor": "#ff0000",
    "content": {
      "$schema": "https://adaptivecards.io/schemas/adaptive-card.json",
      "type": "AdaptiveCard",
      "body": [
        {
          "type": "TextBlock",
          "text": "Contoso MainPage"
        }
      ]
    }
  },
  "historyItems": [
    {
      "userTimezone": "Africa/Casablanca",
      "startedDateTime": "2018-02-26T20:54:04.345Z",
      "lastActiveDateTime": "2018-02-26T20:54:24.345Z"
    }
  ]
}"##;

#[test]
fn the_example_of_the_documents_is_created_and_then_replaced_under_one_server_id() {
    let bench = Bench::empty();
    let created = bench.expect(201, "PUT", ARTICLE, SEED).json;
    let id = created["id"].as_str().expect("an id").to_owned();
    assert!(id.parse::<u64>().is_ok_and(|id| i64::try_from(id).is_err()), "{id}");
    assert_ne!(id, "14332800362997268276");
    assert_eq!(created["createdDateTime"], "2026-01-01T00:00:00Z");
    assert_eq!(created["expirationDateTime"], "2026-01-31T00:00:00Z");
    let sent: Value = serde_json::from_str(SEED).expect("JSON");
    for name in ["appActivityId", "activitySourceHost", "activationUrl", "visualElements"] {
        assert_eq!(created[name], sent[name]);
    }
    let [history] = &created["historyItems"].as_array().expect("an array")[..] else {
        panic!("{created}")
    };
    assert_eq!(history["activeDurationSeconds"], 20);
    assert_eq!(history["startedDateTime"], "2018-02-26T20:54:04.345Z");
    assert_eq!(history["expirationDateTime"], "2026-01-31T00:00:00Z");
    assert_eq!(history["id"].as_str().map(str::len), Some(36));

    bench.wait(2_500);
    let body = user_activity("/article?12345", "");
    let replaced = bench.expect(200, "PUT", ARTICLE, body).json;
    assert_eq!(replaced["id"], *id);
    assert_eq!(replaced["createdDateTime"], "2026-01-01T00:00:00Z");
    assert_eq!(replaced["lastModifiedDateTime"], "2026-01-01T00:00:02.5Z");
    assert_eq!(replaced["visualElements"], json!({"displayText": "A"}));
    assert_eq!(replaced.get("historyItems"), None);

    let activities = bench.emulator.user_activities();
    assert_eq!(activities.len(), 1);
    assert_eq!(activities[0].app_activity_id, "/article?12345");
    assert_eq!(activities[0].history_items.len(), 1);
}

#[test]
fn a_deep_insert_adds_and_the_answer_has_what_was_sent_only() {
    let bench = Bench::empty();
    let target = "/v1.0/me/activities/a";
    let with = |history: &str| user_activity("a", &format!(r#""historyItems":[{history}]"#));
    let old = format!(r#"{{"id":"{GUID}","startedDateTime":"2026-01-02T03:04:05Z"}}"#);
    let first = bench.expect(201, "PUT", target, with(&old)).json;
    assert_eq!(first["historyItems"][0]["id"], GUID);
    assert_eq!(first["historyItems"][0].get("activeDurationSeconds"), None);
    let new = r#"{"startedDateTime":"2026-01-02T03:04:05Z","activeDurationSeconds":7}"#;
    let second = bench.expect(200, "PUT", target, with(new)).json;
    assert_eq!(second["historyItems"].as_array().map(Vec::len), Some(1));
    assert_eq!(second["historyItems"][0]["activeDurationSeconds"], 7);
    bench.expect(200, "PUT", target, with(&old));
    assert_eq!(bench.emulator.user_activities()[0].history_items.len(), 2);
}

#[test]
fn somebody_elses_json_comes_out_byte_for_byte() {
    let bench = Bench::empty();
    let card = r#"{ "b": 1.0, "a":[ 1e2 ,"\u00e4"],"a b":{}}"#;
    let body = user_activity("a", &format!(r#""contentInfo":{card}"#))
        .replace(r#""displayText":"A""#, &format!(r#""displayText":"A","content":{card}"#));
    let answer = bench.expect(201, "PUT", "/v1.0/me/activities/a", body).text;
    assert_eq!(answer.matches(card).count(), 2, "{answer}");
    let listed = bench.expect(200, "GET", "/beta/me/activities", "").text;
    assert_eq!(listed.matches(card).count(), 2, "{listed}");
}

#[test]
fn activities_are_listed_newest_first_with_history_on_request() {
    let bench = Bench::empty();
    let history = r#""historyItems":[{"startedDateTime":"2026-01-02T03:04:05Z"}]"#;
    for id in ["a", "b", "c"] {
        bench.expect(201, "PUT", &format!("/v1.0/me/activities/{id}"), user_activity(id, history));
        bench.wait(10);
    }
    bench.expect(200, "PUT", "/v1.0/me/activities/a", user_activity("a", ""));
    let listed = bench.expect(200, "GET", "/v1.0/me/activities", "").json;
    let ids: Vec<&str> = listed["value"]
        .as_array()
        .expect("an array")
        .iter()
        .filter_map(|activity| activity["appActivityId"].as_str())
        .collect();
    assert_eq!(ids, ["a", "c", "b"]);
    assert_eq!(listed["value"][0].get("historyItems"), None);
    let expanded = bench.expect(200, "GET", "/v1.0/me/activities?%24expand=historyItems", "");
    assert_eq!(expanded.json["value"][0]["historyItems"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_activity_is_deleted_by_the_id_of_the_server_and_by_no_other() {
    let bench = Bench::empty();
    let created = bench.expect(201, "PUT", "/v1.0/me/activities/a", user_activity("a", "")).json;
    let id = created["id"].as_str().expect("an id");
    let answer =
        bench.refused("DELETE", "/v1.0/me/activities/a", "", &[("not-found", "activity id")]);
    assert_eq!(answer.status, 404);
    assert!(answer.text.contains(id), "{}", answer.text);
    bench.expect(204, "DELETE", &format!("/v1.0/me/activities/{id}"), "");
    bench.expect(404, "DELETE", &format!("/v1.0/me/activities/{id}"), "");
    let again = bench.expect(201, "PUT", "/v1.0/me/activities/a", user_activity("a", "")).json;
    assert_ne!(again["id"], id);
}

#[test]
fn a_history_item_is_put_under_the_guid_of_the_client() {
    let bench = Bench::empty();
    let created = bench.expect(201, "PUT", "/v1.0/me/activities/a", user_activity("a", "")).json;
    let target = format!(
        "/beta/me/activities/{}/historyItems/{GUID}",
        created["id"].as_str().expect("an id")
    );
    // The request of the page, word for word (put-historyitem).
    let body = r#"{
    "startedDateTime": "2015-02-11T20:54:04.3457274+00:00",
    "userTimezone": "Africa/Casablanca",
    "lastActiveDateTime": "2015-02-11T20:54:04.3457274+00:00"
}"#;
    let answer = bench.expect(201, "PUT", &target, body).json;
    assert_eq!(answer["id"], GUID);
    assert_eq!(answer["startedDateTime"], "2015-02-11T20:54:04.3457274+00:00");
    assert_eq!(answer["activeDurationSeconds"], 0);
    assert_eq!(answer["createdDateTime"], "2026-01-01T00:00:00Z");
    bench.wait(1_000);
    let upper = target.replace(GUID, &GUID.to_uppercase());
    let body = r#"{"id":"9d0b74e4-4b41-43ea-b34d-f9c1bf9f809c","startedDateTime":"2015-02-11T20:54:04Z","expirationDateTime":"2030-01-01T00:00:00Z"}"#;
    let answer = bench.expect(200, "PUT", &upper, body).json;
    assert_eq!(answer["createdDateTime"], "2026-01-01T00:00:00Z");
    assert_eq!(answer["lastModifiedDateTime"], "2026-01-01T00:00:01Z");
    assert_eq!(answer["expirationDateTime"], "2030-01-01T00:00:00Z");
    assert_eq!(bench.emulator.user_activities()[0].history_items.len(), 1);
    bench.expect(204, "DELETE", &target, "");
    bench.expect(404, "DELETE", &target, "");
}

#[test]
fn a_duration_made_of_two_dates_fits_its_type() {
    let bench = Bench::empty();
    let lasted = |started: &str, ended: &str| {
        let history = format!(
            r#""historyItems":[{{"startedDateTime":"{started}","lastActiveDateTime":"{ended}"}}]"#
        );
        let answer = bench.send("PUT", "/v1.0/me/activities/a", user_activity("a", &history));
        answer.json["historyItems"][0]["activeDurationSeconds"].clone()
    };
    assert_eq!(lasted("1970-01-01T00:00:00Z", "2038-01-19T03:14:06Z"), 2_147_483_646);
    assert_eq!(lasted("1970-01-01T00:00:00Z", "2038-01-19T03:14:07Z"), 2_147_483_647);
    assert_eq!(lasted("1970-01-01T00:00:00Z", "2038-01-19T03:14:08Z"), 2_147_483_647);
    assert_eq!(lasted("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"), 2_147_483_647);
}

#[test]
fn history_can_give_its_dates_back_in_milliseconds() {
    let bench = Bench::with(|behaviour| behaviour.history_dates = HistoryDates::Milliseconds);
    let history = r#""historyItems":[{"startedDateTime":"2015-02-11T21:54:04.3457274+01:00"}]"#;
    let answer =
        bench.expect(201, "PUT", "/v1.0/me/activities/a", user_activity("a", history)).json;
    assert_eq!(answer["historyItems"][0]["startedDateTime"], "2015-02-11T20:54:04.345Z");
    let stored = &bench.emulator.user_activities()[0].history_items[0];
    assert_eq!(stored.started_date_time, "2015-02-11T21:54:04.3457274+01:00");
}

#[test]
fn any_id_is_one_segment_once_it_is_escaped() {
    let bench = Bench::empty();
    let ids = [
        ("%2Farticle%3F12345", "/article?12345"),
        ("%2farticle%3f12345", "/article?12345"),
        ("%61%62%63", "abc"),
        ("-_.!~*'()", "-_.!~*'()"),
        ("recent", "recent"),
        ("recent()", "recent()"),
        ("%E2%82%AC%20%25", "€ %"),
        ("..%2F..", "../.."),
        ("a%23b%2Bc%00", "a#b+c\\u0000"),
    ];
    for (escaped, id) in ids {
        let answer =
            bench.send("PUT", &format!("/v1.0/me/activities/{escaped}"), user_activity(id, ""));
        assert!(answer.status.is_success(), "{escaped}: {}", answer.text);
        assert_eq!(answer.json["appActivityId"], id.replace("\\u0000", "\0"));
    }
    assert_eq!(bench.emulator.user_activities().len(), ids.len() - 1);
}

/// Each switch that accepts or refuses, with a request that it decides.
#[test]
fn each_verdict_can_be_turned_around() {
    let plain = |members: &str| user_activity("a", members);
    let without_url = plain("").replace(r#""activationUrl":"https://contoso.com/a","#, "");
    let cases = [
        ("server-owned", "a", plain(r#""status":"updated""#)),
        ("member-unknown", "a", plain(r#""colour":1"#)),
        ("activation-url-missing", "a", without_url),
        ("app-activity-id-mismatch", "b", plain("")),
        ("path-reserved", "a:b", user_activity("a:b", "")),
        ("path-over-escaped", "%61", plain("")),
        ("path-lower-case-hex", "%3a", user_activity(":", "")),
        (
            "date-without-offset",
            "a",
            plain(r#""historyItems":[{"startedDateTime":"2026-01-02T03:04:05"}]"#),
        ),
    ];
    for (switch, id, body) in cases {
        for verdict in [Verdict::Accept, Verdict::Report, Verdict::Refuse] {
            let word = format!("{verdict:?}").to_lowercase();
            let bench = Bench::with(|behaviour| behaviour.set(switch, &word).expect("a switch"));
            let status = if verdict == Verdict::Refuse { 400 } else { 201 };
            bench.expect(status, "PUT", &format!("/v1.0/me/activities/{id}"), body.clone());
            let reports = bench.emulator.reports().len();
            assert_eq!(reports, usize::from(verdict == Verdict::Report), "{switch} {verdict:?}");
        }
    }
}

#[test]
fn where_the_ids_differ_and_may_the_body_counts() {
    let bench = Bench::with(|behaviour| behaviour.app_activity_id_mismatch = Verdict::Accept);
    bench.expect(201, "PUT", "/v1.0/me/activities/3F12345", SEED);
    bench.expect(200, "PUT", "/v1.0/me/activities/12345", SEED);
    assert_eq!(bench.emulator.user_activities()[0].app_activity_id, "/article?12345");
}
