//! What is wrong with a schema, alone and in the place of another one.

use super::{CONTOSO, Case, DRAFT, case, support::SCHEMA};

/// A schema of one property that breaks one rule.
fn property(kind: &str, members: &str, rule: &'static str, place: &'static str) -> Case {
    schema(&format!(r#"{{"name":"a","type":"{kind}",{members}}}"#), rule, place)
}

/// A schema that breaks one rule.
fn schema(properties: &str, rule: &'static str, place: &'static str) -> Case {
    beta(properties, rule, place, "v1.0")
}

fn beta(properties: &str, rule: &'static str, place: &'static str, version: &str) -> Case {
    let body =
        format!(r#"{{"baseType":"microsoft.graph.externalItem","properties":[{properties}]}}"#);
    let target = format!("{DRAFT}/schema").replace("v1.0", version);
    case("PATCH", target, body, &[(rule, place)])
}

/// A property with a label and with everything that it needs for that.
fn labelled(name: &str, kind: &str, label: &str) -> String {
    format!(r#"{{"name":"{name}","type":"{kind}","isRetrievable":true,"labels":["{label}"]}}"#)
}

/// The schema of all tests, changed so that an update breaks one rule.
fn update(from: &str, to: &str, place: &'static str) -> Case {
    assert!(SCHEMA.contains(from), "{from}");
    let body = SCHEMA.replacen(from, to, 1);
    case("PATCH", format!("{CONTOSO}/schema"), body, &[("schema-update", place)])
}

pub(super) fn cases() -> Vec<Case> {
    const FIRST: &str = "$.properties[0].labels[0]";
    let on = |flag: &str| format!(r#""{flag}":true"#);
    let searchable = "$.properties[0].isSearchable";
    let refinable = "$.properties[0].isRefinable";
    let exact = "$.properties[0].isExactMatchRequired";
    let exactly = |kind: &str, members: &str| {
        let json =
            format!(r#"{{"name":"a","type":"{kind}","isExactMatchRequired":true{members}}}"#);
        beta(&json, "schema-exact-match", exact, "beta")
    };
    let hint = |hint: &str, rule, place| {
        let json = format!(r#"{{"name":"a","type":"string","rankingHint":{hint}}}"#);
        beta(&json, rule, place, "beta")
    };
    let score = "$.properties[0].rankingHint.importanceScore";
    let mut cases = vec![
        hint(r#"{"importanceScore":"highest"}"#, "enum-value", score),
        hint(r#"{"importanceScore":1}"#, "member-type", score),
        hint(r#"{"score":"low"}"#, "member-unknown", "$.properties[0].rankingHint.score"),
        hint(r#""low""#, "member-type", "$.properties[0].rankingHint"),
        property(
            "string",
            r#""isSearchable":true,"isRefinable":true"#,
            "schema-searchable",
            searchable,
        ),
        property("boolean", &on("isRefinable"), "schema-refinable", refinable),
        exactly("int64", ""),
        exactly("string", r#","isSearchable":true"#),
        property("string", &on("isExactMatchRequired"), "member-unknown", exact),
        property(
            "string",
            &format!(r#""description":"{}""#, "ä".repeat(201)),
            "property-description",
            "$.properties[0].description",
        ),
        property(
            "string",
            r#""labels":["title"]"#,
            "label-retrievable",
            "$.properties[0].isRetrievable",
        ),
        property(
            "string",
            r#""isRetrievable":false,"labels":["tags"]"#,
            "label-retrievable",
            "$.properties[0].isRetrievable",
        ),
        schema(
            &[labelled("a", "string", "title"), labelled("b", "string", "title")].join(","),
            "label-twice",
            "$.properties[1].labels[0]",
        ),
        property(
            "string",
            r#""isRetrievable":true,"labels":["url","url"]"#,
            "label-twice",
            "$.properties[0].labels[1]",
        ),
        schema(&labelled("a", "string", "personName"), "people-schema", "$.properties"),
        schema(
            &[labelled("a", "string", "personAccount"), labelled("b", "string", "personManager")]
                .join(","),
            "people-schema",
            "$.properties[1].labels[0]",
        ),
        schema(
            &format!(
                r#"{},{{"name":"b","type":"principalCollection"}}"#,
                labelled("a", "string", "personAccount")
            ),
            "people-schema",
            "$.properties[1].type",
        ),
        update(r#"    {"name":"score","type":"double"},"#, "", "$.properties"),
        update(r#""name":"score""#, r#""name":"Score""#, "$.properties"),
        update(
            r#"{"name":"priority","type":"int64"}"#,
            r#"{"name":"priority","type":"double"}"#,
            "$.properties[1].type",
        ),
        update(
            r#"{"name":"priority","type":"int64"}"#,
            r#"{"name":"priority","type":"int64","isRefinable":true}"#,
            "$.properties[1].isRefinable",
        ),
    ];
    for kind in ["int64", "double", "dateTime", "boolean", "int64Collection", "principal"] {
        cases.push(property(kind, &on("isSearchable"), "schema-searchable", searchable));
    }
    for (label, kind) in [
        ("title", "stringCollection"),
        ("url", "int64"),
        ("createdBy", "principalCollection"),
        ("lastModifiedBy", "stringCollection"),
        ("fileName", "boolean"),
        ("fileExtension", "double"),
        ("iconUrl", "stringCollection"),
        ("containerName", "int64"),
        ("containerUrl", "dateTime"),
        ("authors", "dateTime"),
        ("createdDateTime", "string"),
        ("lastModifiedDateTime", "dateTimeCollection"),
    ] {
        cases.push(schema(&labelled("a", kind, label), "label-type", FIRST));
    }
    cases
}
