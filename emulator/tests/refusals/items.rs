//! What is wrong with an item.

use super::{
    CONTOSO, Case, case,
    support::{ITEM, TENANT, USER, activity, item, item_for, item_with},
};

/// An item whose properties break one rule.
fn property(properties: &str, rule: &'static str, place: &'static str) -> Case {
    case("PUT", ITEM, item(properties), &[(rule, place)])
}

/// An item whose acl entry breaks one rule.
fn acl(entry: &str, rule: &'static str, place: &'static str) -> Case {
    case("PUT", ITEM, item_for(entry), &[(rule, place)])
}

/// An item with one member that breaks one rule.
fn member(member: &str, rule: &'static str, place: &'static str) -> Case {
    case("PUT", ITEM, item_with(member), &[(rule, place)])
}

/// Items, each with one thing wrong.
pub(super) fn cases() -> Vec<Case> {
    vec![
        // Who may see it.
        case("PUT", ITEM, r#"{"properties":{"title":"a"}}"#, &[("acl-required", "$.acl")]),
        case("PUT", ITEM, item_for(""), &[("acl-required", "$.acl")]),
        case(
            "PUT",
            ITEM,
            r#"{"acl":null,"properties":{"title":"a"}}"#,
            &[("acl-required", "$.acl")],
        ),
        case("PUT", ITEM, r#"{"acl":{},"properties":{"title":"a"}}"#, &[("member-type", "$.acl")]),
        acl("7", "member-type", "$.acl[0]"),
        acl(
            r#"{"accessType":"grant","type":"user","value":"john@contoso.com"}"#,
            "guid",
            "$.acl[0].value",
        ),
        acl(
            r#"{"accessType":"grant","type":"everyoneExceptGuests","value":"everyone"}"#,
            "guid",
            "$.acl[0].value",
        ),
        acl(
            r#"{"accessType":"deny","type":"externalGroup","value":"a b"}"#,
            "external-group-id",
            "$.acl[0].value",
        ),
        acl(
            &format!(r#"{{"accessType":"allow","type":"user","value":"{USER}"}}"#),
            "enum-value",
            "$.acl[0].accessType",
        ),
        acl(
            &format!(r#"{{"accessType":"grant","type":"User","value":"{USER}"}}"#),
            "enum-value",
            "$.acl[0].type",
        ),
        acl(
            &format!(r#"{{"accessType":"grant","type":"unknownFutureValue","value":"{USER}"}}"#),
            "unknown-future-value",
            "$.acl[0].type",
        ),
        acl(
            &format!(r#"{{"type":"user","value":"{USER}"}}"#),
            "member-required",
            "$.acl[0].accessType",
        ),
        acl(
            r#"{"accessType":"grant","type":"user","value":""}"#,
            "member-required",
            "$.acl[0].value",
        ),
        acl(
            &format!(
                r#"{{"accessType":"grant","type":"user","value":"{USER}","identitySource":"azureActiveDirectory"}}"#
            ),
            "identity-source",
            "$.acl[0].identitySource",
        ),
        acl(
            &format!(
                r#"{{"accessType":"grant","type":"user","value":"{USER}","identitySource":null}}"#
            ),
            "identity-source",
            "$.acl[0].identitySource",
        ),
        case(
            "PUT",
            ITEM.replace("v1.0", "beta"),
            item_for(&format!(
                r#"{{"accessType":"grant","type":"user","value":"{USER}","identitySource":"external"}}"#
            )),
            &[("identity-source", "$.acl[0].identitySource")],
        ),
        // In beta without an identity source, a group is one of Entra.
        case(
            "PUT",
            ITEM.replace("v1.0", "beta"),
            item_for(r#"{"accessType":"deny","type":"group","value":"14m1b9c38qe647f6a"}"#),
            &[("guid", "$.acl[0].value")],
        ),
        // Which properties it has.
        property("", "property-required", "$.properties"),
        case(
            "PUT",
            ITEM,
            format!(r#"{{"acl":[{{"accessType":"grant","type":"everyone","value":"{TENANT}"}}]}}"#),
            &[("property-required", "$.properties")],
        ),
        property(r#""title":"a","planet":"b""#, "property-undeclared", "$.properties.planet"),
        property(r#""Title":"a""#, "property-undeclared", "$.properties.Title"),
        property(
            r#""additionalData":{"title":"a"}"#,
            "property-undeclared",
            "$.properties.additionalData",
        ),
        case(
            "PUT",
            ITEM,
            item(r#""title":"a","odd name":"b""#),
            &[
                ("property-name", "$.properties['odd name']"),
                ("property-undeclared", "$.properties['odd name']"),
            ],
        ),
        case(
            "PUT",
            ITEM,
            item(r#""title":"a","TITLE":"b""#),
            &[
                ("property-twice", "$.properties.TITLE"),
                ("property-undeclared", "$.properties.TITLE"),
            ],
        ),
        property(r#""title":"a","title":"b""#, "body-json", "$.properties.title"),
        // The types of their values.
        property(r#""title":1"#, "property-type", "$.properties.title"),
        property(r#""title":null"#, "property-type", "$.properties.title"),
        property(r#""priority":"1""#, "property-type", "$.properties.priority"),
        property(r#""priority":1.0"#, "property-type", "$.properties.priority"),
        property(r#""priority":9223372036854775808"#, "property-type", "$.properties.priority"),
        property(r#""score":"NaN""#, "property-type", "$.properties.score"),
        property(r#""open":"true""#, "property-type", "$.properties.open"),
        property(r#""due":20260102"#, "property-type", "$.properties.due"),
        property(r#""due":"01/02/2026""#, "date-time", "$.properties.due"),
        property(r#""due":"2026-01-02T03:04:05""#, "date-time", "$.properties.due"),
        property(
            r#""tags@odata.type":"Collection(String)","tags":"a""#,
            "property-type",
            "$.properties.tags",
        ),
        property(
            r#""tags@odata.type":"Collection(String)","tags":["a",2]"#,
            "property-type",
            "$.properties.tags[1]",
        ),
        property(
            r#""counts@odata.type":"Collection(Int64)","counts":[1,2.5]"#,
            "property-type",
            "$.properties.counts[1]",
        ),
        property(
            r#""dates@odata.type":"Collection(DateTimeOffset)","dates":["2026-01-02T03:04:05Z","soon"]"#,
            "date-time",
            "$.properties.dates[1]",
        ),
        // Their annotations.
        property(r#""tags":["a"]"#, "annotation-collection", "$.properties.tags"),
        property(r#""counts":[]"#, "annotation-collection", "$.properties.counts"),
        property(r#""title":"Kandierte Äpfel""#, "annotation-non-ascii", "$.properties.title"),
        property(r#""title":"\u00c4pfel""#, "annotation-non-ascii", "$.properties.title"),
        property(
            r#""dates@odata.type":"Collection(DateTime)","dates":["2026-01-02T03:04:05Z"]"#,
            "annotation-type",
            "$.properties['dates@odata.type']",
        ),
        property(
            r#""title@odata.type":7,"title":"a""#,
            "annotation-type",
            "$.properties['title@odata.type']",
        ),
        property(
            r#""title":"a","tags@odata.type":"Collection(String)""#,
            "member-required",
            "$.properties.tags",
        ),
        // People.
        property(
            r#""owner":{"upn":"john@contoso.com"}"#,
            "annotation-type",
            "$.properties.owner['@odata.type']",
        ),
        property(
            r##""owner":{"@odata.type":"#microsoft.graph.externalConnectors.principal"}"##,
            "principal-empty",
            "$.properties.owner",
        ),
        property(
            r##""owner":{"@odata.type":"#microsoft.graph.externalConnectors.principal","email":"","entraId":"","upn":null}"##,
            "principal-empty",
            "$.properties.owner",
        ),
        property(
            r##""owner":{"@odata.type":"#microsoft.graph.externalConnectors.principal","entraId":"john"}"##,
            "guid",
            "$.properties.owner.entraId",
        ),
        property(
            r#""authors@odata.type":"Collection(microsoft.graph.externalConnectors.principal)","authors":[{"upn":"a@b"},{"upn":"c","name":"c"}]"#,
            "member-unknown",
            "$.properties.authors[1].name",
        ),
        // What else an item has.
        member(r#""content":"text""#, "item-content", "$.content"),
        member(r#""content":{"value":"a"}"#, "item-content", "$.content.type"),
        member(r#""content":{"type":"json","value":"a"}"#, "item-content", "$.content.type"),
        member(r#""content":{"type":"text"}"#, "item-content", "$.content.value"),
        member(r#""content":{"type":"text","value":7}"#, "item-content", "$.content.value"),
        member(
            r#""content":{"type":"unknownFutureValue","value":"a"}"#,
            "unknown-future-value",
            "$.content.type",
        ),
        member(r#""id":"other""#, "item-id-mismatch", "$.id"),
        member(r#""title":"a""#, "member-unknown", "$.title"),
        member(
            r#""informationProtectionLabel":{"sensitivityLabelId":"secret"}"#,
            "guid",
            "$.informationProtectionLabel.sensitivityLabelId",
        ),
        member(
            &format!(r#""activities":[{}]"#, activity("created", "2026-01-02T03:04:05Z", USER))
                .replacen(
                    r##""@odata.type":"#microsoft.graph.externalConnectors.externalActivity","##,
                    "",
                    1,
                ),
            "activity-odata-type",
            "$.activities[0]['@odata.type']",
        ),
        member(
            &format!(r#""activities":[{}]"#, activity("created", "2026-01-02T03:04:05", USER)),
            "date-time",
            "$.activities[0].startDateTime",
        ),
        case("PUT", ITEM, "[]", &[("member-type", "$")]),
        case("PUT", ITEM, "", &[("body-json", "$")]),
        case("PUT", ITEM, "{\"acl\":", &[("body-json", "$")]),
        case("PUT", ITEM, "[".repeat(200), &[("body-json", "$")]),
        case(
            "PUT",
            format!("{CONTOSO}/items/a%20b"),
            item(r#""title":"a""#),
            &[("item-id", "item id")],
        ),
        case(
            "PUT",
            format!("{CONTOSO}/items/{}", "a".repeat(129)),
            item(r#""title":"a""#),
            &[("item-id", "item id")],
        ),
        case(
            "PUT",
            format!("{CONTOSO}/items/"),
            item(r#""title":"a""#),
            &[("path-segment", "item id")],
        ),
        case(
            "PUT",
            format!("{CONTOSO}/items/%2e%2E"),
            item(r#""title":"a""#),
            &[("path-segment", "item id")],
        ),
        case(
            "PUT",
            format!("{CONTOSO}/items/a/b"),
            item(r#""title":"a""#),
            &[("path-escape", "path")],
        ),
    ]
}
