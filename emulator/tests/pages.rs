//! Lists of activities and connections: their order, what they are asked for, and their pages.

mod support;

use std::num::NonZeroUsize;

use graphfeed_emulator::Behaviour;
use serde_json::Value;
use support::{Answer, Bench, user_activity};

const ALL: &str = "/v1.0/me/activities";
const RECENT: &str = "/v1.0/me/activities/recent";
const CONNECTIONS: &str = "/v1.0/external/connections";
const GUID: &str = "390e06e2-7e5b-4133-8014-fac7ac5991af";
const NO_HISTORY: &str = "";
const HISTORY: &str = r#""historyItems":[{"startedDateTime":"2026-01-02T03:04:05Z"}]"#;

fn put(bench: &Bench, id: &str, members: &str) -> String {
    let answer = bench.send("PUT", &format!("{ALL}/{id}"), user_activity(id, members));
    answer.json["id"].as_str().expect(&answer.text).to_owned()
}

/// Activities `a` to `e`, ten milliseconds apart from 2026-01-01T00:00:00Z on.
fn five(set: impl FnOnce(&mut Behaviour)) -> Bench {
    let bench = Bench::with(set);
    for id in ["a", "b", "c", "d", "e"] {
        put(&bench, id, HISTORY);
        bench.wait(10);
    }
    bench
}

/// The ids on a page.
fn ids(page: &Answer) -> String {
    let name =
        |each: &Value| each["appActivityId"].as_str().or(each["id"].as_str()).map(str::to_owned);
    let value = page.json["value"].as_array().expect(&page.text);
    value.iter().map(|each| name(each).expect("an id")).collect::<Vec<_>>().join("")
}

fn next(page: &Answer) -> Option<&str> {
    page.json.get("@odata.nextLink").map(|link| link.as_str().expect("a link"))
}

/// The ids of a list, page by page.
#[track_caller]
fn pages(bench: &Bench, target: &str) -> Vec<String> {
    let (mut all, mut target) = (Vec::new(), target.to_owned());
    for _ in 0..100 {
        let page = bench.expect(200, "GET", &target, "");
        all.push(ids(&page));
        match next(&page) {
            Some(link) => target = link.to_owned(),
            None => return all,
        }
    }
    panic!("{all:?}")
}

#[test]
fn recent_has_only_what_has_history_in_the_order_of_its_newest() {
    let bench = Bench::empty();
    let a = put(&bench, "a", HISTORY);
    bench.wait(10);
    put(&bench, "b", HISTORY);
    bench.wait(10);
    let c = put(&bench, "c", NO_HISTORY);
    bench.wait(10);
    let item = format!("{ALL}/{a}/historyItems/{GUID}");
    bench.expect(201, "PUT", &item, r#"{"startedDateTime":"2020-01-02T03:04:05Z"}"#);
    assert_eq!(pages(&bench, ALL), ["cba"]);
    for recent in [RECENT, "/beta/me/activities/recent", "/v1.0/me/activities/recent()"] {
        assert_eq!(pages(&bench, recent), ["ab"]);
    }
    // What counts is when history was written, not when an activity was.
    bench.wait(10);
    put(&bench, "b", NO_HISTORY);
    assert_eq!(
        (pages(&bench, ALL), pages(&bench, RECENT)),
        (vec!["bca".into()], vec!["ab".into()])
    );
    bench.expect(204, "DELETE", &item, "");
    assert_eq!(pages(&bench, RECENT), ["ba"]);
    bench.expect(
        201,
        "PUT",
        &format!("{ALL}/{c}/historyItems/{GUID}"),
        r#"{"startedDateTime":"2020-01-02T03:04:05Z"}"#,
    );
    assert_eq!(pages(&bench, RECENT), ["cba"]);
    let page = bench.expect(200, "GET", RECENT, "").json;
    assert_eq!(
        page["@odata.context"],
        "http://emulator.test/v1.0/$metadata#Collection(userActivity)"
    );
    assert_eq!(page["value"][0].get("historyItems"), None);
}

#[test]
fn a_filter_lets_through_what_was_changed_between_two_times() {
    let bench = five(|_| {});
    let filter = |text: &str| {
        let listed = pages(&bench, &format!("{ALL}?$filter={text}"));
        assert_eq!(listed, pages(&bench, &format!("{RECENT}?%24filter={text}")));
        listed.concat()
    };
    let at = |millis| format!("2026-01-01T00:00:00.{millis:03}Z");
    assert_eq!(filter(&format!("lastModifiedDateTime%20gt%20{}", at(20))), "ed");
    assert_eq!(filter(&format!("lastModifiedDateTime+lt+{}", at(20))), "ba");
    let (from, to) = (at(0), "2026-01-01T01:00:00.030%2B01:00");
    let both = format!("lastModifiedDateTime+gt+{from}+and+lastModifiedDateTime%20lt+{to}");
    assert_eq!(filter(&both), "cb");
    // Of several, the closest counts.
    let more = format!(
        "{both}+and+lastModifiedDateTime+gt+{}+and+lastModifiedDateTime+lt+{}",
        at(10),
        at(40)
    );
    assert_eq!(filter(&more), "c");
    assert_eq!(filter(&format!("lastModifiedDateTime+gt+{}", at(40))), "");
    assert_eq!(filter("lastModifiedDateTime+lt+2026-01-01T00:00:00.0000001Z"), "a");
}

#[test]
fn history_is_expanded_as_far_as_its_own_filter_says() {
    let bench = five(|_| {});
    let expand = |path: &str, what: &str| -> Vec<Option<usize>> {
        let page = bench.expect(200, "GET", &format!("{path}?$expand={what}"), "").json;
        let value = page["value"].as_array().expect("a list");
        value.iter().map(|each| each["historyItems"].as_array().map(Vec::len)).collect()
    };
    let some = |counts: [usize; 5]| counts.map(Some).to_vec();
    let window = "$filter=lastModifiedDateTime%20gt%202026-01-01T00:00:00.010Z%20and%20lastModifiedDateTime%20lt%202026-01-01T00:00:00.040Z";
    for path in [ALL, RECENT] {
        assert_eq!(expand(path, "historyItems"), some([1; 5]));
        assert_eq!(expand(path, &format!("historyItems({window})")), some([0, 1, 1, 0, 0]));
        // Those of the activities themselves are another matter.
        let both = format!("historyItems({window})&{window}");
        assert_eq!(expand(path, &both), [Some(1), Some(1)]);
    }
}

#[test]
fn top_cuts_a_list_into_pages_of_that_length() {
    let bench = five(|_| {});
    for path in [ALL, RECENT] {
        assert_eq!(pages(&bench, &format!("{path}?$top=2")), ["ed", "cb", "a"]);
        assert_eq!(pages(&bench, &format!("{path}?$top=4")), ["edcb", "a"]);
        for top in ["5", "6", "0005", "99999999999999999999999"] {
            assert_eq!(pages(&bench, &format!("{path}?$top={top}")), ["edcba"]);
        }
    }
    // All that was asked for holds on each page.
    let query = "$filter=lastModifiedDateTime+lt+2026-01-01T00:00:00.040Z&%24top=3&x=%20&$expand=historyItems";
    let first = bench.expect(200, "GET", &format!("{ALL}?{query}"), "");
    assert_eq!(ids(&first), "dcb");
    let second = bench.expect(200, "GET", next(&first).expect("a link"), "");
    assert_eq!((ids(&second), next(&second)), ("a".to_owned(), None));
    assert_eq!(second.json["value"][0]["historyItems"].as_array().map(Vec::len), Some(1));
    assert!(next(&first).is_some_and(|link| link.contains(query)));
}

#[test]
fn a_link_looks_as_in_the_documents_and_is_followed_byte_for_byte() {
    let bench = five(|_| {});
    let first = bench.expect(200, "GET", &format!("{ALL}?$top=2"), "");
    let link = next(&first).expect("a link");
    let example = "http://emulator.test/v1.0/me/activities?$top=2&$skiptoken=%24filter%3dlastModifiedDateTime+lt+2026-01-01T00%3a00%3a00.03Z";
    assert!(link.starts_with(example), "{link}");
    // The link stands before the entries.
    assert!(first.text.find("nextLink") < first.text.find("\"value\""));
    assert_eq!(ids(&bench.expect(200, "GET", link, "")), "cb");
    let path = link.strip_prefix("http://emulator.test").expect("the origin");
    assert_eq!(ids(&bench.expect(200, "GET", path, "")), "cb");

    let (head, digit) = path.split_at(path.len() - 1);
    let other = if digit == "0" { "1" } else { "0" };
    for changed in [
        path.replace("%3a", "%3A"),
        path.replace("%3d", "="),
        path.replace("%24filter", "$filter"),
        path.replace('+', "%20"),
        path.replace("$skiptoken", "%24skiptoken"),
        path.replace("$top=2", "$top=3"),
        path.replace("$top=2&", ""),
        path.replace("/me/activities", "/me/activities/recent"),
        path.replace("v1.0", "beta"),
        path.replace(".03Z", ".04Z"),
        format!("{path}&x"),
        format!("{path}&$expand=historyItems"),
        format!("{head}{other}"),
    ] {
        let answer = bench.refused("GET", &changed, "", &[("query-option", "query $skiptoken")]);
        assert_eq!(answer.status, 400, "{changed}");
    }
    bench.refused("GET", &format!("{path}&$top=2"), "", &[("query-option", "query $top")]);
}

#[test]
fn no_entry_is_missed_while_others_come_and_go() {
    let bench = five(|_| {});
    // All at once now: the one made last comes first.
    for id in ["a", "b", "c", "d", "e"] {
        put(&bench, id, NO_HISTORY);
    }
    assert_eq!(pages(&bench, ALL), ["edcba"]);
    let mut target = format!("{ALL}?$top=2");
    let mut seen = Vec::new();
    loop {
        let page = bench.expect(200, "GET", &target, "");
        seen.push(ids(&page));
        for each in page.json["value"].as_array().expect("a list") {
            let id = each["id"].as_str().expect("an id");
            bench.expect(204, "DELETE", &format!("{ALL}/{id}"), "");
        }
        put(&bench, "f", NO_HISTORY);
        match next(&page) {
            Some(link) => target = link.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ["ed", "cb", "a"]);
    assert_eq!(pages(&bench, ALL), ["f"]);
}

#[test]
fn connections_and_activities_come_in_pages_if_it_is_set() {
    let two = |behaviour: &mut Behaviour| behaviour.page_size = NonZeroUsize::new(2);
    let bench = five(two);
    for id in ["ccc", "aaa", "bbb"] {
        bench.expect(201, "POST", CONNECTIONS, format!(r#"{{"id":"{id}","name":"a"}}"#));
    }
    assert_eq!(pages(&bench, CONNECTIONS), ["aaabbb", "ccc"]);
    let first = bench.expect(200, "GET", CONNECTIONS, "");
    let link =
        "http://emulator.test/v1.0/external/connections?$skiptoken=%24filter%3did+gt+bbb+and+";
    assert!(next(&first).is_some_and(|next| next.starts_with(link)), "{}", first.text);
    for path in [ALL, RECENT] {
        assert_eq!(pages(&bench, path), ["ed", "cb", "a"]);
        assert_eq!(pages(&bench, &format!("{path}?$top=1")), ["e", "d", "c", "b", "a"]);
        assert_eq!(pages(&bench, &format!("{path}?$top=4")), ["ed", "cb", "a"]);
    }
}

#[test]
fn a_list_can_begin_with_an_empty_page() {
    let bench = five(|behaviour| behaviour.empty_page = true);
    bench.expect(201, "POST", CONNECTIONS, r#"{"id":"abc","name":"a"}"#);
    assert_eq!(pages(&bench, CONNECTIONS), ["", "abc"]);
    assert_eq!(pages(&bench, ALL), ["", "edcba"]);
    assert_eq!(pages(&bench, &format!("{RECENT}?$top=3")), ["", "edc", "ba"]);
    assert_eq!(pages(&Bench::with(|it| it.empty_page = true), ALL), ["", ""]);
}

#[test]
fn a_link_begins_with_the_address_that_the_caller_used() {
    let bench = five(|_| {});
    let target = format!("https://graph.microsoft.com{ALL}?$top=4");
    let page = bench.expect(200, "GET", &target, "");
    let link = next(&page).expect("a link");
    assert!(link.starts_with("https://graph.microsoft.com/v1.0/me/activities?"), "{link}");
    assert_eq!(ids(&bench.expect(200, "GET", link, "")), "a");
}
