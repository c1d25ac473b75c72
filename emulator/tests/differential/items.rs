//! Items, and the activities in them.

use std::collections::BTreeMap;

use bytes::Bytes;
use graphfeed_core::{
    external::{AddActivities, ItemReader, ItemUpdate, PatchItem, PutItem, Schema, StoredSchema},
    protocol::{Endpoint, ServiceRoot, Version},
    types::{BuildError, Change, ConnectionId, ItemId},
};
use http::Request;
use serde_json::{Value, json, value::RawValue};

use crate::{
    meant::{body, differ, send},
    support::{self, Bench, ITEM, USER},
    text::{Dice, Text, disturb, nested, object, string, token, wounded},
    verdict::{Case, Exception, Faults, Only, Seen, at, is_newer, of_core, of_emulator},
};

/// The words of items that the core has to know.
const WORDS: [&str; 15] = [
    "grant",
    "deny",
    "user",
    "group",
    "everyone",
    "everyoneExceptGuests",
    "externalGroup",
    "azureActiveDirectory",
    "external",
    "text",
    "html",
    "viewed",
    "modified",
    "created",
    "commented",
];

/// What the two sides differ in, and why.
pub(crate) static EXCEPTIONS: &[Exception] = &[
    Exception {
        only: Only::Core,
        rule: "member-type",
        what: "`null`, which for the service is no member",
        when: |seen| seen.is_null(),
        example: r#"{"acl":null}"#,
    },
    Exception {
        only: Only::Core,
        rule: "item-content",
        what: "`null`, which for the service is no member",
        when: |seen| seen.is_null(),
        example: r#"{"content":null}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "member-required",
        what: "`null` in the place of what is needed, which for the core has a wrong type",
        when: |seen| seen.is_null() && seen.core_refuses_there(),
        example: r#"{"acl":[{"accessType":null}]}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "acl-required",
        what: "`null` in the place of what is needed, which for the core has a wrong type",
        when: |seen| seen.is_null() && seen.core_refuses_there(),
        example: r#"{"acl":null}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "principal-empty",
        what: "`null` in the place of what is needed, which for the core has a wrong type",
        when: |seen| {
            let members = seen.there().and_then(Value::as_object);
            members.is_some_and(|members| members.values().any(Value::is_null))
        },
        example: r#"{"properties":{"owner":{"upn":null}}}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "property-required",
        what: "`null` in the place of what is needed, which for the core has a wrong type",
        when: |seen| seen.is_null() && seen.core_refuses_there(),
        example: r#"{"properties":null}"#,
    },
    Exception {
        only: Only::Core,
        rule: "member-unknown",
        what: "the `id` of an item in a body, for the path says it",
        when: |seen| seen.place == "$.id",
        example: r#"{"id":"TSP228082938"}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "member-type",
        what: "the `id` of an item in a body, which the core does not know there",
        when: |seen| seen.place == "$.id",
        example: r#"{"id":7}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "item-id-mismatch",
        what: "the `id` of an item in a body, which the core does not know there",
        when: |seen| seen.place == "$.id",
        example: r#"{"id":"x"}"#,
    },
    Exception {
        only: Only::Core,
        rule: "guid",
        what: "an id whose kind only the core can tell, for it reads words in any letter case",
        when: is_word_misspelt,
        example: r#"{"acl":[{"type":"User","value":"x"}]}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "guid",
        what: "an id whose kind only the core can tell, for it reads words in any letter case",
        when: is_word_misspelt,
        example: r#"{"acl":[{"type":"group","identitySource":"External","value":"x"}]}"#,
    },
    Exception {
        only: Only::Core,
        rule: "guid",
        what: "the word `everyone` as the id of everyone, which the service has been seen to take",
        when: |seen| seen.there().is_some_and(|value| value == "everyone"),
        example: r#"{"acl":[{"type":"everyone","value":"everyone"}]}"#,
    },
    Exception {
        only: Only::Core,
        rule: "identity-source",
        what: "an id whose kind only the core can tell, for it reads words in any letter case",
        when: is_word_misspelt,
        example: r#"{"acl":[{"type":"User","identitySource":"external"}]}"#,
    },
    Exception {
        only: Only::Core,
        rule: "annotation-type",
        what: "the type of a body that has none",
        when: |seen| seen.place == "$['@odata.type']",
        example: r##"{"activities":[],"@odata.type":"#microsoft.graph.externalConnectors.acl"}"##,
    },
    Exception {
        only: Only::Core,
        rule: "external-group-id",
        what: "an id whose kind only the core can tell, for it reads words in any letter case",
        when: is_word_misspelt,
        example: r#"{"acl":[{"type":"externalgroup","value":"a b"}]}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "activity-odata-type",
        what: "an activity without its type, which the core writes",
        when: |_| true,
        example: r#"{"activities":[{}]}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "annotation-collection",
        what: "a collection whose type the core has from a schema",
        when: |_| true,
        example: r#"{"properties":{"tags":[]}}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "annotation-non-ascii",
        what: "an annotation that the core writes",
        when: |_| true,
        example: r#"{"properties":{"title":"ä"}}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "annotation-order",
        what: "an annotation that the core writes",
        when: |_| true,
        example: r#"{"properties":{"title":"a","title@odata.type":"String"}}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "annotation-type",
        what: "a type written as OData lets it be written, with `Edm.`, which the core leaves out",
        when: |seen| {
            seen.there().and_then(Value::as_str).is_some_and(|word| word.contains("Edm."))
                && !seen.core_refuses_there()
        },
        example: r#"{"properties":{"title@odata.type":"Edm.String","title":"a"}}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "annotation-type",
        what: "a principal without its type, which the core writes",
        when: |seen| {
            let owner = seen.place.strip_suffix("['@odata.type']").unwrap_or_default();
            let is_principal = ["$.properties.owner", "$.properties.authors["]
                .iter()
                .any(|name| owner.starts_with(name));
            let there = at(seen.value, owner).and_then(Value::as_object);
            is_principal && there.is_some_and(|members| !members.contains_key("@odata.type"))
        },
        example: r#"{"properties":{"owner":{"upn":"ann@contoso.com"}}}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "enum-value",
        what: "a word in another letter case, which the core writes as documented",
        when: |seen| seen.is_other_case_of(&WORDS),
        example: r#"{"acl":[{"type":"User"}]}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "enum-value",
        what: "a word that the core need not know, for the service may",
        when: |seen| {
            let is_type = seen.place.starts_with("$.activities[") && seen.place.ends_with("].type");
            is_type && seen.is_newer_word()
        },
        example: r#"{"activities":[{"type":"shared"}]}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "identity-source",
        what: "`identitySource` in v1.0, where the core leaves it out",
        when: |seen| seen.version == Version::V1 && seen.there().is_some(),
        example: r#"{"acl":[{"type":"user","identitySource":"azureActiveDirectory"}]}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "identity-source",
        what: "in beta `external` beside `externalGroup`, which the core writes as a `group`",
        when: |seen| {
            let is_word = |value: Option<&Value>, word: &str| {
                value.and_then(Value::as_str).is_some_and(|it| it.eq_ignore_ascii_case(word))
            };
            seen.version == Version::Beta
                && is_word(seen.there(), "external")
                && is_word(seen.beside("type"), "externalGroup")
        },
        example: r#"{"acl":[{"type":"externalGroup","identitySource":"external"}]}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "member-unknown",
        what: "control information, which the core passes over",
        when: |seen| seen.place.contains("['@odata."),
        example: r#"{"@odata.etag":"x"}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "property-undeclared",
        what: "control information, which the core passes over",
        when: |seen| seen.place.contains("@odata."),
        example: r#"{"properties":{"title@odata.bind":"x"}}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "property-name",
        what: "control information, which the core passes over",
        when: |seen| seen.place.contains("@odata."),
        example: r#"{"properties":{"title@odata.bind":"x"}}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "date-time",
        what: "a date as RFC 3339 lets it be written and OData does not; the core writes it anew",
        when: |seen| seen.is_date_of_rfc_3339(),
        example: r#"{"properties":{"due":"2026-01-02t03:04:05z"}}"#,
    },
    Exception {
        only: Only::Core,
        rule: "update-empty",
        what: "an update that changes nothing",
        when: |seen| seen.value == &json!({}),
        example: "{}",
    },
    Exception {
        only: Only::Emulator,
        rule: "body-json",
        what: "what nobody can read, in what the core refuses otherwise or passes over",
        when: |seen| {
            // What is no JSON as a whole has no place of its own.
            let place = if seen.place == "$" { seen.text } else { seen.place };
            place.contains("@odata.") || seen.core_refuses_around()
        },
        example: r#"{"acl":{"a":1,"a":2}}"#,
    },
];

/// Whether what says the kind of an id is a word that only the core reads.
fn is_word_misspelt(seen: &Seen<'_>) -> bool {
    ["type", "identitySource"].into_iter().any(|name| {
        let word = seen.beside(name).and_then(Value::as_str).unwrap_or_default();
        WORDS.iter().any(|known| *known != word && known.eq_ignore_ascii_case(word))
    })
}

const GUIDS: [&str; 3] =
    [USER, "1F0C997E-99f7-43f1-8cca-086f8d42be8d", "00000000-0000-0000-0000-000000000000"];
const NO_GUIDS: [&str; 6] = [
    "",
    "everyone",
    "e811976d83df4cbd8b9b5215b18aa874",
    "{e811976d-83df-4cbd-8b9b-5215b18aa874}",
    "e811976d-83df-4cbd-8b9b-5215b18aa87g",
    "e811976-d83df-4cbd-8b9b-5215b18aa874",
];
const SLUGS: [&str; 3] = ["teamx", "a-b_c", "x--aaa"];
const NO_SLUGS: [&str; 4] = ["", "a b", "ä", "a/b"];
pub(crate) const DATES: [&str; 10] = [
    "2026-01-02T03:04:05Z",
    "2026-01-02T03:04:05.678Z",
    "2026-01-02T03:04:05.1234567+01:00",
    "2026-01-02T03:04:05.123456789123-13:59",
    "2026-01-02T03:04Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.9999999Z",
    "2024-02-29T23:59:59+14:00",
    "2026-01-02T00:00-14:00",
    "2026-01-02T03:04:05.0-00:00",
];
pub(crate) const NO_DATES: [&str; 26] = [
    "",
    "2026-01-02",
    "2026-01-02T03:04:05",
    "2026-01-02T03:04",
    "2026-01-02t03:04:05Z",
    "2026-01-02T03:04:05z",
    "2026-01-02 03:04:05Z",
    "2026-01-02_03:04:05Z",
    "2026-02-29T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-01-02T24:00:00Z",
    "2016-12-31T23:59:60Z",
    "2026-01-02T23:59:60Z",
    "2026-01-02T03:04:05.Z",
    "2026-01-02T03:04:05,5Z",
    "2026-01-02T03:04:05+14:01",
    "2026-01-02T03:04:05+23:59",
    "2026-01-02T03:04:05+0100",
    "2026-01-02T03:04:05+1",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "+2026-01-02T03:04:05Z",
    "2026-01-02T03:04:05Z ",
    "2026-01-02T03Z",
    "2026-01-02T03:04+01:00:00",
];
const TEXTS: [&str; 6] = ["a", "", "Kandierte Äpfel", "\u{1}\"\\/", "🦀", "\u{7f}"];
const NUMBERS: [&str; 4] = ["0", "7", "-9223372036854775808", "9223372036854775807"];
const NO_NUMBERS: [&str; 5] = ["7.0", "1e3", "9223372036854775808", "-0", "\"7\""];
const DOUBLES: [&str; 6] = ["0.5", "-1e-400", "1.7976931348623157e308", "1E+3", "5e-324", "-0.0"];
const NO_DOUBLES: [&str; 4] = ["7", "1e309", "\"0.5\"", "18446744073709551616"];

pub(crate) fn guid(dice: &Dice<'_>) -> Text {
    string(dice.or_odd(&GUIDS, &NO_GUIDS))
}

pub(crate) fn slug(dice: &Dice<'_>) -> Text {
    if dice.rarely(60) {
        return string(&"a".repeat(127 + dice.below(4)));
    }
    string(dice.or_odd(&SLUGS, &NO_SLUGS))
}

pub(crate) fn date(dice: &Dice<'_>) -> Text {
    string(dice.or_odd(&DATES, &NO_DATES))
}

fn acl(dice: &Dice<'_>) -> Text {
    const KINDS: [&str; 5] = ["user", "group", "everyone", "everyoneExceptGuests", "externalGroup"];
    let kind = dice.or_odd(&KINDS, &["robot", "User", "", "externalgroup", "unknownFutureValue"]);
    let is_external = kind == "externalGroup" || kind == "group" && dice.rarely(6);
    let value = if is_external { slug(dice) } else { guid(dice) };
    let access = dice.or_odd(&["grant", "deny"], &["allow", "Grant", "", "unknownFutureValue"]);
    let source = dice.rarely(6).then(|| {
        let word = dice.or_odd(&["azureActiveDirectory", "external"], &["x", "External", ""]);
        string(word)
    });
    object([
        ("accessType", Some(string(access))),
        ("type", Some(string(kind))),
        ("value", Some(value)),
        ("identitySource", source),
    ])
}

pub(crate) fn principal(dice: &Dice<'_>) -> Text {
    const TYPE: &str = "#microsoft.graph.externalConnectors.principal";
    let odata_type = dice.or_odd(&[TYPE, &TYPE[1..]], &["#microsoft.graph.externalConnectors.acl"]);
    let text =
        |dice: &Dice<'_>| dice.rarely(4).then(|| string(dice.or_odd(&["a@b.c"], &["", "ä"])));
    let id = |dice: &Dice<'_>| dice.rarely(4).then(|| guid(dice));
    object([
        ("@odata.type", (!dice.rarely(6)).then(|| string(odata_type))),
        ("upn", (!dice.rarely(6)).then(|| string("ann@contoso.com"))),
        ("email", text(dice)),
        ("entraDisplayName", text(dice)),
        ("entraId", id(dice)),
        ("externalId", text(dice)),
        ("externalName", text(dice)),
        ("tenantId", id(dice)),
    ])
}

/// The properties of the schema: name, annotation, and what makes a value.
type Make = fn(&Dice<'_>) -> Text;
const PROPERTIES: [(&str, &str, Make); 13] = [
    ("title", "String", |dice| string(dice.pick(&TEXTS))),
    ("priority", "Int64", |dice| token(dice.or_odd(&NUMBERS, &NO_NUMBERS))),
    ("score", "Double", |dice| token(dice.or_odd(&DOUBLES, &NO_DOUBLES))),
    ("due", "DateTimeOffset", date),
    ("open", "Boolean", |dice| token(dice.or_odd(&["true", "false"], &["0", "\"true\"", "null"]))),
    ("tags", "Collection(String)", |dice| many(dice, |dice| string(dice.pick(&TEXTS)))),
    ("counts", "Collection(Int64)", |dice| {
        many(dice, |dice| token(dice.or_odd(&NUMBERS, &NO_NUMBERS)))
    }),
    ("weights", "Collection(Double)", |dice| {
        many(dice, |dice| token(dice.or_odd(&DOUBLES, &NO_DOUBLES)))
    }),
    ("dates", "Collection(DateTimeOffset)", |dice| many(dice, date)),
    ("owner", "microsoft.graph.externalConnectors.principal", principal),
    ("authors", "Collection(microsoft.graph.externalConnectors.principal)", |dice| {
        many(dice, principal)
    }),
    ("url", "String", |dice| string(dice.pick(&TEXTS))),
    ("other", "String", |dice| string(dice.pick(&TEXTS))),
];

fn many(dice: &Dice<'_>, make: Make) -> Text {
    Text::Array((0..1 + dice.below(3)).map(|_| make(dice)).collect())
}

fn properties(dice: &Dice<'_>) -> Text {
    const ANNOTATIONS: [&str; 11] = [
        "String",
        "Edm.String",
        "Collection(String)",
        "Collection(Edm.Int64)",
        "Collection(DateTime)",
        "Collection(Boolean)",
        "Int32",
        "",
        "collection(string)",
        "Collection(String",
        "DateTime",
    ];
    let mut members = Vec::new();
    for _ in 0..1 + dice.below(5) {
        let last = PROPERTIES.len() - usize::from(!dice.rarely(12));
        let (name, annotation, make) = PROPERTIES[dice.below(last)];
        let value = match dice.rarely(20) {
            true => PROPERTIES[dice.below(PROPERTIES.len())].2(dice),
            false => make(dice),
        };
        let name = match dice.rarely(30) {
            true => {
                dice.pick(&["Title", "due date", "ä", "", "aLongNameOfThirtyThreeCharactersXX"])
            }
            false => name,
        };
        let annotation = match dice.below(24) {
            20 => Some(format!("#{annotation}")),
            21 | 22 => None,
            23 => Some(dice.pick(&ANNOTATIONS).to_owned()),
            _ => Some(annotation.to_owned()),
        };
        let value = (name.to_owned(), value);
        // A property that is there twice is damage enough when it is done on purpose.
        if members.iter().any(|(known, _)| *known == value.0) && !dice.rarely(20) {
            continue;
        }
        let annotation = annotation.map(|word| (format!("{name}@odata.type"), string(&word)));
        if dice.rarely(20) {
            members.push(value);
            members.extend(annotation);
        } else {
            members.extend(annotation);
            members.push(value);
        }
    }
    Text::Object(members)
}

pub(crate) fn activity(dice: &Dice<'_>) -> Text {
    const TYPE: &str = "#microsoft.graph.externalConnectors.externalActivity";
    let odata_type = (!dice.rarely(10))
        .then(|| string(dice.or_odd(&[TYPE, &TYPE[1..]], &["#x", "", "externalActivity"])));
    let kind = dice.or_odd(
        &["viewed", "modified", "created", "commented"],
        &["shared", "Viewed", "", "unknownFutureValue"],
    );
    let by = dice.or_odd(
        &["user", "group", "externalGroup"],
        &["externalgroup", "User", "robot", "", "unknownFutureValue"],
    );
    let id = if by.starts_with("external") { slug(dice) } else { guid(dice) };
    let performed_by = object([("type", Some(string(by))), ("id", Some(id))]);
    object([
        ("@odata.type", odata_type),
        ("type", Some(string(kind))),
        ("startDateTime", Some(date(dice))),
        ("performedBy", Some(performed_by)),
        ("id", dice.rarely(30).then(|| string("7"))),
    ])
}

fn item(dice: &Dice<'_>) -> Text {
    let mut item = whole(dice);
    disturb(&mut item, dice, 40);
    item
}

/// An item with every member in its place.
fn whole(dice: &Dice<'_>) -> Text {
    let content = object([
        ("type", Some(string(dice.or_odd(&["text", "html"], &["Text", "pdf", ""])))),
        ("value", Some(string(dice.pick(&TEXTS)))),
    ]);
    let label = object([("sensitivityLabelId", Some(guid(dice)))]);
    object([
        ("acl", Some(many(dice, acl))),
        ("properties", Some(properties(dice))),
        ("content", dice.rarely(3).then_some(content)),
        ("informationProtectionLabel", dice.rarely(6).then_some(label)),
        ("activities", dice.rarely(4).then(|| many(dice, activity))),
        ("id", dice.rarely(30).then(|| string("TSP228082938"))),
        ("@odata.deep", dice.rarely(30).then(|| token(nested(dice)))),
        ("deep", dice.rarely(60).then(|| token(nested(dice)))),
    ])
}

/// A text of an item.
pub(crate) fn text(dice: &Dice<'_>) -> String {
    wounded(&item(dice), dice)
}

/// A text of an update of an item: some of its members, and `null` where one can be taken away.
pub(crate) fn update_text(dice: &Dice<'_>) -> String {
    let Text::Object(mut members) = whole(dice) else { unreachable!("an item is an object") };
    const CHANGED: [&str; 4] = ["acl", "properties", "content", "informationProtectionLabel"];
    members.retain(|(name, _)| CHANGED.contains(&&**name) && !dice.rarely(3));
    for (name, value) in &mut members {
        if is_taken_away(name) && dice.rarely(4) {
            *value = token("null");
        }
    }
    let mut text = String::new();
    Text::Object(members).write(dice, &mut text);
    text
}

fn is_taken_away(name: &str) -> bool {
    matches!(name, "content" | "informationProtectionLabel")
}

/// A body of addActivities.
pub(crate) fn activities_text(dice: &Dice<'_>) -> String {
    let most = if dice.rarely(20) { 22 } else { 3 };
    let activities = (0..1 + dice.below(most)).map(|_| activity(dice)).collect();
    let mut body = object([("activities", Some(Text::Array(activities)))]);
    disturb(&mut body, dice, 40);
    wounded(&body, dice)
}

fn id() -> ItemId {
    ItemId::new("TSP228082938").unwrap()
}

pub(crate) fn connection() -> ConnectionId {
    ConnectionId::new("contosohr").unwrap()
}

pub(crate) fn schema() -> Schema {
    let stored: StoredSchema = serde_json::from_str(support::SCHEMA).unwrap();
    Schema::try_from(&stored).unwrap()
}

/// The core's reading of an item, the emulator's, and what became of the core's own request.
pub(crate) fn item_case(bench: &Bench, schema: &Schema, root: &ServiceRoot, text: String) -> Case {
    let target = ITEM.replace("v1.0", root.version().as_str());
    let made = || {
        let item = ItemReader::with_schema(schema).read_body(id(), &text)?;
        PutItem::new(&connection(), &item).request(root)
    };
    let made = made();
    // Without the schema the rest of the verdict is what it says of the item.
    let asked = ItemReader::default().read_body(id(), &text).map(|item| schema.check_item(&item));
    let mut wrong = match (&made, asked) {
        (Err(_), Ok(Ok(()))) => Some("what fits the schema is refused with it".to_owned()),
        _ => None,
    };
    bench.send("DELETE", &target, "");
    if let Ok(request) = &made {
        wrong = wrong.or_else(|| is_kept(bench, &text, request, &target));
        bench.send("DELETE", &target, "");
    }
    let answer = bench.send("PUT", &target, text.clone());
    Case {
        version: root.version(),
        core: made.map_or_else(|why| of_core(&why), |_| Faults::new()),
        emulator: of_emulator(&answer),
        text,
        wrong,
    }
}

fn is_kept(bench: &Bench, text: &str, request: &Request<Bytes>, target: &str) -> Option<String> {
    let answer = send(bench, request);
    if answer.status != 200 {
        return (!is_newer(&answer, &body(request))).then_some(answer.text);
    }
    let mut sent = body(request);
    // What is passed over may be a number that no reader takes.
    let raw: Option<Value> = serde_json::from_str(text).ok();
    let differs = raw.and_then(|mut raw| {
        // Nothing that was done is nothing to send.
        if let Some(said) = raw.as_object_mut() {
            said.retain(|name, value| name != "activities" || *value != json!([]));
        }
        differ("read and sent", &raw, &sent)
    });
    let members = sent.as_object_mut().expect("an object");
    let activities = members.remove("activities").unwrap_or_else(|| json!([]));
    let mut kept = bench.send("GET", target, "").json;
    kept.as_object_mut().expect("an object").remove("id");
    differs
        .or_else(|| differ("sent and kept", &sent, &kept))
        .or_else(|| differ("activities", &activities, &activities_of(bench)))
}

fn activities_of(bench: &Bench) -> Value {
    let activities = bench.emulator.item_activities("contosohr", "TSP228082938");
    activities
        .into_iter()
        .map(|each| {
            json!({"type": each.kind, "startDateTime": each.start_date_time,
                "performedBy": {"type": each.performed_by_kind, "id": each.performed_by_id}})
        })
        .collect()
}

/// The same of an update of an item, which the core only builds: what it is built of is read as an
/// item that has what the update leaves.
pub(crate) fn update_case(
    bench: &Bench,
    schema: &Schema,
    root: &ServiceRoot,
    text: String,
) -> Case {
    const BEFORE: &str = r#"{
        "acl":[{"type":"user","value":"e811976d-83df-4cbd-8b9b-5215b18aa874","accessType":"deny"}],
        "properties":{"title":"before","priority":1},
        "content":{"type":"text","value":"before"},
        "informationProtectionLabel":
            {"sensitivityLabelId":"1f0c997e-99f7-43f1-8cca-086f8d42be8d"}}"#;
    let before: Value = serde_json::from_str(BEFORE).unwrap();
    let target = ITEM.replace("v1.0", root.version().as_str());
    let fresh = || {
        bench.send("DELETE", ITEM, "");
        bench.expect(200, "PUT", ITEM, BEFORE);
    };
    let told: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&text).unwrap_or_default();
    let is_null = |name: &str| told.get(name).is_some_and(|value| value.get() == "null");
    let made = update(&told, &before, schema).and_then(|update| {
        schema.check_item(&update)?;
        PatchItem::new(&connection(), &id(), &update).request(root)
    });
    let wrong = made.as_ref().ok().and_then(|request| {
        fresh();
        let answer = send(bench, request);
        if answer.status != 200 {
            return (!is_newer(&answer, &body(request))).then_some(answer.text);
        }
        let (raw, sent) = (serde_json::from_str::<Value>(&text).ok()?, body(request));
        let mut expected = before.clone();
        let changed = sent.as_object().expect("an object").clone();
        expected.as_object_mut().expect("an object").extend(changed);
        let mut kept = bench.send("GET", &target, "").json;
        kept.as_object_mut().expect("an object").remove("id");
        let lost = ["content", "informationProtectionLabel"]
            .into_iter()
            .find(|name| is_null(name) && sent.get(name) != Some(&Value::Null));
        differ("described and sent", &raw, &sent)
            .or_else(|| differ("sent and kept", &expected, &kept))
            .or_else(|| lost.map(|name| format!("{name} is not taken away")))
    });
    fresh();
    let answer = bench.send("PATCH", &target, text.clone());
    Case {
        version: root.version(),
        core: made.map_or_else(|why| of_core(&why), |_| Faults::new()),
        emulator: of_emulator(&answer),
        text,
        wrong,
    }
}

fn update(
    told: &BTreeMap<String, Box<RawValue>>,
    before: &Value,
    schema: &Schema,
) -> Result<ItemUpdate, BuildError> {
    let mut members: Vec<(&str, &str)> = told
        .iter()
        .map(|(name, value)| (&**name, value.get()))
        .filter(|(name, value)| !(is_taken_away(name) && *value == "null"))
        .collect();
    let rest = ["acl", "properties"].map(|name| (name, before[name].to_string()));
    members.extend(
        rest.iter()
            .filter(|(name, _)| !told.contains_key(*name))
            .map(|(name, value)| (*name, &**value)),
    );
    let members: Vec<_> =
        members.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
    let item = format!("{{{}}}", members.join(","));
    let item = ItemReader::with_schema(schema).read_body(id(), &item)?;

    let mut update = ItemUpdate::builder();
    if told.contains_key("acl") {
        update = update.replace_acl(item.acl().to_vec());
    }
    if told.contains_key("properties") {
        update = update.replace_properties(item.properties().iter().map(|(n, v)| (n, v.clone())));
    }
    if told.contains_key("content") {
        update = update.content(item.content().cloned().map_or(Change::Null, Change::Set));
    }
    if told.contains_key("informationProtectionLabel") {
        update =
            update.sensitivity_label(item.sensitivity_label().map_or(Change::Null, Change::Set));
    }
    update.build()
}

/// The same of activities that are added.
pub(crate) fn activities_case(bench: &Bench, root: &ServiceRoot, text: String) -> Case {
    let item = ITEM.replace("v1.0", root.version().as_str());
    let target = format!("{item}/addActivities");
    let fresh = || {
        bench.send("DELETE", &item, "");
        bench.expect(200, "PUT", &item, support::item(r#""title":"a""#));
    };
    let made = AddActivities::read_call(&text, root)
        .and_then(|activities| AddActivities::new(&connection(), &id(), &activities).request(root));
    let wrong = made.as_ref().ok().and_then(|request| {
        fresh();
        let answer = send(bench, request);
        if answer.status != 200 && !(answer.status == 207 && is_newer(&answer, &body(request))) {
            return Some(answer.text);
        }
        let sent = body(request);
        let raw = serde_json::from_str(&text).ok();
        let kept = || {
            (answer.status == 200)
                .then(|| differ("sent and kept", &sent["activities"], &activities_of(bench)))?
        };
        raw.and_then(|raw| differ("read and sent", &raw, &sent)).or_else(kept)
    });
    fresh();
    let answer = bench.send("POST", &target, text.clone());
    Case {
        version: root.version(),
        core: made.map_or_else(|why| of_core(&why), |_| Faults::new()),
        emulator: of_emulator(&answer),
        text,
        wrong,
    }
}
