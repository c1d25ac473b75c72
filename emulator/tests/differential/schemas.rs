//! Schemas: described, made by the constructors, and written as JSON by hand.

use graphfeed_core::{
    external::{
        ImportanceScore, Label, PropertyType, RegisterSchema, Schema, SchemaAttribute,
        SchemaProperty,
    },
    protocol::{Endpoint, ServiceRoot},
    types::{BuildError, ConnectionId},
};
use http::Request;

use crate::{
    meant::{body, differ, send},
    support::Bench,
    text::{Dice, Text, object, string, token},
    verdict::{Case, Exception, Faults, Only, Seen, is_newer, of_core, of_emulator},
};

/// What the two sides differ in, and why.
pub(crate) static EXCEPTIONS: &[Exception] = &[
    Exception {
        only: Only::Core,
        rule: "property-twice",
        what: "an alias that is a name or another alias, too, which the service was never asked",
        when: is_of_an_alias,
        example: r#""aliases":["subject","subject"]"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "enum-value",
        what: "a word that the core need not know, for the service may",
        when: |seen| seen.is_newer_word(),
        example: r#""type":"vector""#,
    },
    Exception {
        only: Only::Emulator,
        rule: "member-unknown",
        what: "a member of beta, which for v1.0 is one that nobody knows",
        when: is_of_beta,
        example: r#""isExactMatchRequired":true"#,
    },
    Exception {
        only: Only::Core,
        rule: "schema-searchable",
        what: "what hangs on a word that the emulator does not know",
        when: is_of_a_newer_type,
        example: r#""type":"vector","isSearchable":true"#,
    },
    Exception {
        only: Only::Core,
        rule: "schema-exact-match",
        what: "what hangs on a word that the emulator does not know",
        when: is_of_a_newer_type,
        example: r#""type":"vector""#,
    },
    Exception {
        only: Only::Core,
        rule: "label-retrievable",
        what: "what hangs on a word that the emulator does not know",
        when: is_of_a_newer_type,
        example: r#""type":"vector""#,
    },
    Exception {
        only: Only::Core,
        rule: "label-twice",
        what: "what hangs on a word that the emulator does not know",
        when: is_of_a_newer_type,
        example: r#""labelOfTomorrow""#,
    },
    Exception {
        only: Only::Core,
        rule: "property-twice",
        what: "what hangs on a word that the emulator does not know",
        when: is_of_a_newer_type,
        example: r#""type":"vector""#,
    },
    Exception {
        only: Only::Core,
        rule: "people-schema",
        what: "what hangs on a word that the emulator does not know",
        when: is_of_a_newer_type,
        example: r#""type":"vector""#,
    },
    Exception {
        only: Only::Emulator,
        rule: "people-schema",
        what: "what hangs on a word that the emulator does not know",
        when: is_of_a_newer_type,
        example: r#""labels":["personAccount"]"#,
    },
];

fn is_of_beta(seen: &Seen<'_>) -> bool {
    [".isExactMatchRequired", ".rankingHint"].iter().any(|name| seen.place.ends_with(name))
}

fn is_of_a_newer_type(seen: &Seen<'_>) -> bool {
    let is_word = |place: &str| place.ends_with("].type") || place.contains("].labels[");
    let is_unknown =
        |rule: &str| matches!(rule, "enum-value" | "unknown-future-value" | "member-required");
    seen.emulator.iter().any(|(rule, place)| is_unknown(rule) && is_word(place))
}

/// Whether what is there twice is no name that another property before it has.
fn is_of_an_alias(seen: &Seen<'_>) -> bool {
    let word = seen.there().and_then(|it| it.as_str()).unwrap_or_default();
    let index = seen.place.split(['[', ']']).nth(1).and_then(|index| index.parse().ok());
    let before = seen.value["properties"].as_array().into_iter().flatten();
    let mut names = before.take(index.unwrap_or(0)).filter_map(|it| it["name"].as_str());
    seen.place.contains(".aliases[") || !names.any(|name| name.eq_ignore_ascii_case(word))
}

#[derive(Debug)]
struct Description {
    name: String,
    kind: &'static str,
    description: Option<String>,
    aliases: Vec<&'static str>,
    labels: Vec<&'static str>,
    attributes: Vec<SchemaAttribute>,
    importance: Option<&'static str>,
}

fn description(dice: &Dice<'_>, index: usize) -> Description {
    const NAMES: [&str; 7] = ["title", "url", "owner", "due", "tags", "n1", "n2"];
    const NO_NAMES: [&str; 5] =
        ["", "due date", "ä", "aLongNameOfThirtyThreeCharactersXX", "TITLE"];
    const LABELS: [&str; 20] = [
        "title",
        "url",
        "createdBy",
        "authors",
        "createdDateTime",
        "iconUrl",
        "tags",
        "itemPath",
        "personAccount",
        "personName",
        "personEmails",
        "personManager",
        "containerName",
        "lastModifiedBy",
        "lastModifiedDateTime",
        "fileName",
        "fileExtension",
        "containerUrl",
        "personSkills",
        "priorityNormalized",
    ];
    let kind = match dice.rarely(40) {
        true => dice.pick(&["", "unknownFutureValue", "vector"]),
        false => PropertyType::KNOWN[dice.below(PropertyType::KNOWN.len())],
    };
    let is_people = dice.rarely(8);
    let labels = match dice.below(4) {
        0 | 1 => 0,
        2 => 1,
        _ => dice.below(3),
    };
    let label = |dice: &Dice<'_>| match (dice.rarely(16), is_people) {
        (true, _) => dice.pick(&["", "unknownFutureValue", "labelOfTomorrow"]),
        (_, true) => dice.pick(&["personAccount", "personName", "personEmails", "personManager"]),
        (_, false) => dice.pick(&LABELS),
    };
    let name = match dice.rarely(16) {
        true => dice.pick(&NO_NAMES).to_owned(),
        false if index < NAMES.len() => NAMES[index].to_owned(),
        false => format!("p{index}"),
    };
    Description {
        name,
        kind,
        description: dice.rarely(6).then(|| "ä".repeat(dice.or_odd(&[1, 200], &[201, 0]))),
        aliases: (0..if dice.rarely(5) { 1 + dice.below(2) } else { 0 })
            .map(|_| dice.or_odd(&["subject", "n1", "b2"], &["a b", "", "Title", "SUBJECT"]))
            .collect(),
        labels: (0..labels).map(|_| label(dice)).collect(),
        attributes: SchemaAttribute::ALL
            .into_iter()
            .filter(|attribute| match attribute {
                SchemaAttribute::ExactMatchRequired => dice.rarely(8),
                SchemaAttribute::Retrievable => !dice.rarely(3),
                _ => dice.rarely(3),
            })
            .collect(),
        importance: dice
            .rarely(12)
            .then(|| dice.or_odd(&["low", "veryHigh"], &["", "unknownFutureValue", "extreme"])),
    }
}

fn core(described: &Description) -> SchemaProperty {
    let mut property = SchemaProperty::new(&*described.name, PropertyType::from(described.kind));
    if let Some(text) = &described.description {
        property = property.description(&**text);
    }
    for alias in &described.aliases {
        property = property.alias(*alias);
    }
    for label in &described.labels {
        property = property.label(Label::from(*label));
    }
    for attribute in &described.attributes {
        property = property.switch(*attribute, true);
    }
    match described.importance {
        Some(score) => property.ranking_hint(ImportanceScore::from(score)),
        None => property,
    }
}

fn raw(described: &Description, dice: &Dice<'_>) -> Text {
    let texts = |texts: &[&str]| {
        let written = texts.iter().map(|text| string(text)).collect();
        (!texts.is_empty()).then_some(Text::Array(written))
    };
    let is_on = |name: &str| described.attributes.iter().any(|on| on.name() == name);
    let flag = |name: &str| match is_on(name) {
        true => Some(token("true")),
        false => (dice.rarely(6) && name != "isExactMatchRequired").then(|| token("false")),
    };
    // An empty description is none.
    let text = described.description.as_deref().filter(|text| !text.is_empty());
    let hint = described.importance.map(|score| object([("importanceScore", Some(string(score)))]));
    object([
        ("name", Some(string(&described.name))),
        ("type", Some(string(described.kind))),
        ("description", text.map(string)),
        ("isSearchable", flag("isSearchable")),
        ("isQueryable", flag("isQueryable")),
        ("isRetrievable", flag("isRetrievable")),
        ("isRefinable", flag("isRefinable")),
        ("isExactMatchRequired", flag("isExactMatchRequired")),
        ("rankingHint", hint),
        ("aliases", texts(&described.aliases)),
        ("labels", texts(&described.labels)),
    ])
}

/// A schema, made and written.
pub(crate) fn case(root: &ServiceRoot, dice: &Dice<'_>) -> Case {
    let count = match dice.below(40) {
        39 => dice.pick(&[127, 128, 129]),
        38 => 0,
        some => 1 + some % 6,
    };
    let described: Vec<Description> = (0..count).map(|index| description(dice, index)).collect();
    let written = described.iter().map(|each| raw(each, dice)).collect();
    let schema = object([
        ("baseType", Some(string("microsoft.graph.externalItem"))),
        ("properties", Some(Text::Array(written))),
    ]);
    let mut text = String::new();
    schema.write(dice, &mut text);

    let id = ConnectionId::new("contosohr").unwrap();
    let made = Schema::new(described.iter().map(core))
        .and_then(|schema| RegisterSchema::new(&id, &schema).request(root));
    let target = format!("/{}/external/connections/contosohr/schema", root.version().as_str());
    judged(root, text, made, |bench, text| bench.send("PATCH", &target, text), &target)
}

fn judged(
    root: &ServiceRoot,
    text: String,
    made: Result<Request<bytes::Bytes>, BuildError>,
    put: impl Fn(&Bench, String) -> crate::support::Answer,
    target: &str,
) -> Case {
    let fresh = || {
        let bench = Bench::with(crate::strict);
        let body = r#"{"id":"contosohr","name":"Contoso HR"}"#;
        bench.expect(201, "POST", "/v1.0/external/connections", body);
        bench
    };
    let wrong = made.as_ref().ok().and_then(|request| {
        let bench = fresh();
        let answer = send(&bench, request);
        if answer.status != 202 {
            return (!is_newer(&answer, &body(request))).then_some(answer.text);
        }
        bench.wait(1_000);
        let (raw, sent) = (serde_json::from_str(&text).unwrap(), body(request));
        let mut kept = bench
            .send_with("GET", target, "", |headers| {
                let members = http::HeaderValue::from_static("include-unknown-enum-members");
                headers.insert("prefer", members);
            })
            .json;
        kept.as_object_mut().unwrap().remove("id");
        differ("described and sent", &on(raw), &on(sent.clone()))
            .or_else(|| differ("sent and kept", &on(sent), &on(kept)))
    });
    let answer = put(&fresh(), text.clone());
    let core = made.map_or_else(|why| of_core(&why), |_| Faults::new());
    Case { version: root.version(), text, core, emulator: of_emulator(&answer), wrong }
}

/// Without what is off or empty, and without the aliases that the service gives.
fn on(mut schema: serde_json::Value) -> serde_json::Value {
    for property in schema["properties"].as_array_mut().unwrap() {
        let members = property.as_object_mut().unwrap();
        if let Some(serde_json::Value::Array(aliases)) = members.get_mut("aliases") {
            aliases.retain(|alias| alias.as_str().is_none_or(|it| !it.starts_with("Refinable")));
        }
        members
            .retain(|_, value| *value != false && value.as_array().is_none_or(|it| !it.is_empty()));
    }
    schema
}
