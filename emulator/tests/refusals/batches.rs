//! What is wrong with a batch as such. What is wrong with a request in it is answered for itself.

use super::{Case, case};

const BATCH: &str = "/v1.0/$batch";

/// A batch of these requests that breaks rules.
fn batch(requests: &str, faults: &[(&'static str, &'static str)]) -> Case {
    case("POST", BATCH, format!(r#"{{"requests":[{requests}]}}"#), faults)
}

/// A batch of one request with these members besides its id that breaks one rule.
fn one(members: &str, rule: &'static str, place: &'static str) -> Case {
    batch(&format!(r#"{{"id":"1",{members}}}"#), &[(rule, place)])
}

fn url(url: &str) -> Case {
    let members = format!(r#""method":"GET","url":"{url}""#);
    one(&members, "batch-url", "$.requests[0].url")
}

fn headers(headers: &str, rule: &'static str, place: &'static str) -> Case {
    one(&format!(r#""method":"GET","url":"/me","headers":{headers}"#), rule, place)
}

pub(super) fn cases() -> Vec<Case> {
    const DELETE: &str = r#"{"id":"0","method":"DELETE","url":"/external/connections/contosohr/items/TSP228082938"}"#;
    let get = |id: &str| format!(r#"{{"id":"{id}","method":"GET","url":"/me/activities"}}"#);
    let many: Vec<String> = (0..21).map(|id| get(&id.to_string())).collect();
    let depends = |on: &str, faults: &[(&'static str, &'static str)]| {
        let last = format!(r#"{{"id":"b","method":"GET","url":"/me","dependsOn":{on}}}"#);
        batch(&[DELETE, &last, &get("c")].join(","), faults)
    };
    let on = "$.requests[1].dependsOn";
    let mut cases = vec![
        case("POST", BATCH, "{}", &[("member-required", "$.requests")]),
        case("POST", BATCH, "[]", &[("member-type", "$")]),
        case("POST", BATCH, "", &[("body-json", "$")]),
        case("POST", BATCH, r#"{"requests":{}}"#, &[("member-type", "$.requests")]),
        batch("", &[("batch-size", "$.requests")]),
        batch(&many.join(","), &[("batch-size", "$.requests")]),
        // The first would be carried out, were it alone.
        batch(&[DELETE, "7"].join(","), &[("member-type", "$.requests[1]")]),
        batch(&[DELETE, &get("a"), &get("A")].join(","), &[("batch-id", "$.requests[2].id")]),
        batch(&[DELETE, &get("Ä"), &get("ä")].join(","), &[("batch-id", "$.requests[2].id")]),
        batch(&get(""), &[("member-required", "$.requests[0].id")]),
        batch(
            r#"{"id":1,"planet":"earth"}"#,
            &[
                ("member-type", "$.requests[0].id"),
                ("member-unknown", "$.requests[0].planet"),
                ("member-required", "$.requests[0].method"),
                ("member-required", "$.requests[0].url"),
            ],
        ),
        one(r#""method":"get","url":"/me""#, "enum-value", "$.requests[0].method"),
        one(r#""method":"TRACE","url":"/me""#, "enum-value", "$.requests[0].method"),
        one(r#""method":"PUT","url":"/me","body":{}"#, "batch-header", "$.requests[0].headers"),
        headers("[]", "member-type", "$.requests[0].headers"),
        headers(r#"{"a":1}"#, "member-type", "$.requests[0].headers.a"),
        headers(r#"{"a b":"1"}"#, "batch-header", "$.requests[0].headers['a b']"),
        headers(r#"{"a":"\u0007"}"#, "batch-header", "$.requests[0].headers.a"),
        headers(r#"{"a":"1","A":"2"}"#, "batch-header", "$.requests[0].headers.A"),
        headers(
            r#"{"authorization":"Bearer any"}"#,
            "batch-header",
            "$.requests[0].headers.authorization",
        ),
        headers(r#"{"Host":"a"}"#, "batch-header", "$.requests[0].headers.Host"),
        depends("{}", &[("member-type", on)]),
        depends("[1]", &[("member-type", "$.requests[1].dependsOn[0]")]),
        depends(r#"["b"]"#, &[("batch-dependency", "$.requests[1].dependsOn[0]")]),
        depends(r#"["0","c"]"#, &[("batch-dependency", "$.requests[1].dependsOn[1]")]),
        depends(r#"["planet"]"#, &[("batch-dependency", "$.requests[1].dependsOn[0]")]),
    ];
    cases.extend(
        [
            "https://graph.microsoft.com/v1.0/me",
            "//graph.microsoft.com/v1.0/me",
            "graph:/me",
            "/v1.0/me/activities",
            "beta/me/activities",
            "V2/me",
            "/$batch",
            "$BATCH?a=b",
            "/%24batch",
            "/me/activities#a",
            "/me/act ivities",
        ]
        .map(url),
    );
    cases
}
