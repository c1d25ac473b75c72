//! What the readers know is what the tables of types and of enumerations have.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Form, Member, Need, Shape, Words, activity, connection, group, identity,
    is_before_the_sentinel, item, label, property, resolver, schema, template,
};
use crate::{
    model::{ConnectionState, PropertyType},
    tables::{GRAPH, rows},
};

/// The types that a client sends. Some are read in more than one way.
const SHAPES: [(&str, &Shape); 25] = [
    ("acl", &item::ACL),
    ("activityHistoryItem", &activity::HISTORY_ITEM),
    ("activitySettings", &resolver::ACTIVITY_SETTINGS),
    ("complianceSettings", &template::COMPLIANCE_SETTINGS),
    ("displayTemplate", &template::TEMPLATE),
    ("externalActivity", &item::ACTIVITY),
    ("externalConnection", &connection::CONNECTION),
    ("externalConnection", &connection::UPDATE),
    ("externalGroup", &group::GROUP),
    ("externalItem", &item::ITEM),
    ("externalItemContent", &item::CONTENT),
    ("externalItemInformationProtectionLabel", &item::LABEL),
    ("identity", &group::MEMBER),
    ("identity", &identity::IDENTITY),
    ("imageInfo", &activity::IMAGE_INFO),
    ("itemIdResolver", &resolver::RESOLVER),
    ("principal", &property::PRINCIPAL),
    ("property", &schema::DECLARATION),
    ("propertyRule", &template::RULE),
    ("rankingHint", &schema::RANKING_HINT),
    ("schema", &schema::SCHEMA),
    ("searchSettings", &template::SEARCH_SETTINGS),
    ("urlMatchInfo", &resolver::URL_MATCH_INFO),
    ("userActivity", &activity::USER_ACTIVITY),
    ("visualInfo", &activity::VISUAL_INFO),
];

/// The types that a client sends and that no table can have, for they are open: what else they
/// hold is the client's own.
const OPEN: [&str; 1] = ["configuration"];

/// Members that lead to another resource. The server sets them, by what is sent to that one.
const APART: [(&str, &[&str]); 3] = [
    ("externalConnection", &["groups", "items", "operations", "schema", "quota"]),
    ("externalGroup", &["members"]),
    ("activityHistoryItem", &["activity"]),
];

/// Members beside those of the tables, and why.
const BESIDE: [(&str, &str); 2] = [
    // The page of beta on members of a group has it; the metadata does not.
    ("a member of a group", "identitySource"),
    // The key of an entity, which no example shows.
    ("a schema", "id"),
];

/// Members of beta that v1.0 reads all the same, for a rule of their own: `identity-source`.
const READ_IN_V1: [(&str, &str); 1] = [("acl", "identitySource")];

/// Members whose JSON type has a rule of its own.
const ANY_FORM: [(&str, &str); 5] = [
    // `item-content`.
    ("externalItem", "content"),
    ("externalItemContent", "type"),
    ("externalItemContent", "value"),
    // A page spells one of the words in another way.
    ("identity", "type"),
    // Several words in one string.
    ("externalConnection", "enabledContentExperiences"),
];

fn is_apart(kind: &str, member: &str) -> bool {
    APART.iter().any(|(known, members)| *known == kind && members.contains(&member))
}

/// Who sets a member, in the words of the table, and in which version.
fn need(Member(_, need, _): &Member) -> (&'static str, &'static str) {
    match need {
        Need::Required | Need::Optional | Need::Fixed => ("client", "both"),
        Need::Beta => ("client", "beta"),
        Need::Server => ("server", "any"),
        Need::Apart => ("apart", "any"),
    }
}

#[test]
fn every_type_has_the_members_of_the_table_set_by_whom_it_says() {
    let mut listed: BTreeMap<&str, BTreeMap<&str, _>> = BTreeMap::new();
    for row in rows(&GRAPH, "type") {
        let member = row[1].trim_end_matches('!');
        let need = match (row[3], row[4]) {
            ("server", _) if is_apart(row[0], member) => ("apart", "any"),
            ("server", _) => ("server", "any"),
            ("client", "beta") if !READ_IN_V1.contains(&(row[0], member)) => ("client", "beta"),
            // The id in the URL may be in the body, too. Clouds are not told apart.
            ("client" | "url", _) => ("client", "both"),
            other => panic!("{other:?}"),
        };
        listed.entry(row[0]).or_default().insert(member, need);
    }
    listed.retain(|_, members| members.values().any(|(who, _)| *who == "client"));
    let known: BTreeSet<&str> = SHAPES.iter().map(|(kind, _)| *kind).chain(OPEN).collect();
    assert_eq!(known, listed.keys().copied().collect());
    for (kind, shape) in SHAPES {
        let beside = |member: &&Member| BESIDE.contains(&(shape.name, member.0));
        let members = shape.members.iter().filter(|member| !beside(member));
        let ours: BTreeMap<&str, _> = members.map(|member| (member.0, need(member))).collect();
        assert_eq!(ours, listed[kind], "{}", shape.name);
        let (_, name) = shape.odata_type.rsplit_once('.').unwrap_or(("", kind));
        assert_eq!(name, kind, "{}", shape.name);
    }
}

#[test]
fn every_member_that_a_client_sets_has_the_form_of_its_type() {
    let words: BTreeSet<&str> = rows(&GRAPH, "enumeration").iter().map(|row| row[0]).collect();
    let types: BTreeMap<(&str, &str), &str> = rows(&GRAPH, "type")
        .iter()
        .map(|row| ((row[0], row[1].trim_end_matches('!')), row[2]))
        .collect();
    for (kind, shape) in SHAPES {
        for member in shape.members.iter().filter(|member| need(member).0 == "client") {
            let place = (kind, member.0);
            if ANY_FORM.contains(&place) || BESIDE.contains(&(shape.name, member.0)) {
                continue;
            }
            let is_right = match (types[&place], member.2) {
                // What cannot be changed is not looked at.
                _ if member.1 == Need::Fixed => true,
                ("String", form) => matches!(form, Form::Text | Form::AnyText),
                ("Boolean", form) => matches!(form, Form::Boolean),
                ("Int32", form) => matches!(form, Form::Int32 | Form::Count),
                ("DateTimeOffset", form) => matches!(form, Form::Date),
                ("Json", form) => matches!(form, Form::Any),
                (of, form) if of.starts_with("Collection(") => matches!(form, Form::Array),
                (of, Form::Word(known)) => of == known.name,
                (of, form) => !words.contains(of) && matches!(form, Form::Object),
            };
            assert!(is_right, "{place:?} is a {}", types[&place]);
        }
    }
}

/// The members of each enumeration in the order of the table, with their values if it has any.
fn enumerations() -> BTreeMap<&'static str, Vec<(&'static str, Option<u8>)>> {
    let mut listed: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in rows(&GRAPH, "enumeration") {
        let members = row[1].split(", ").map(|member| match member.split_once(' ') {
            Some((name, value)) => (name, Some(value.parse().expect("a value"))),
            None => (member, None),
        });
        listed.entry(row[0]).or_default().extend(members);
    }
    listed
}

#[test]
fn every_enumeration_has_the_members_of_the_table() {
    const WORDS: [&Words; 13] = [
        &connection::CONTENT_CATEGORY,
        &connection::CONTENT_EXPERIENCE,
        &identity::IDENTITY_SOURCE,
        &identity::IDENTITY_TYPE,
        &item::ACCESS_TYPE,
        &item::ACL_TYPE,
        &item::ACTIVITY_TYPE,
        &item::CONTENT_TYPE,
        &label::LABEL,
        &schema::IMPORTANCE_SCORE,
        &schema::PROPERTY_TYPE,
        &template::OPERATION,
        &template::OPERATOR,
    ];
    let mut ours: BTreeMap<&str, BTreeSet<&str>> =
        WORDS.iter().map(|words| (words.name, words.known.iter().copied().collect())).collect();
    ours.insert("connectionState", ConnectionState::ALL.map(ConnectionState::name).into());
    // Of these the service answers with some: every registration that begins is completed, and
    // every activity in the examples is updated.
    let answered = ["connectionOperationStatus", "status"];
    let mut listed = enumerations();
    for name in answered {
        assert!(listed.remove(name).is_some(), "{name}");
    }
    assert_eq!(ours.keys().collect::<Vec<_>>(), listed.keys().collect::<Vec<_>>());
    for (name, members) in listed {
        // The sentinel is only ever read.
        let names = members.iter().map(|(member, _)| *member);
        let names: BTreeSet<&str> = names.filter(|name| *name != "unknownFutureValue").collect();
        assert_eq!(ours[name], names, "{name}");
    }
    for name in schema::PROPERTY_TYPE.known {
        assert_eq!(PropertyType::of_name(name).map(PropertyType::name), Some(*name));
    }
}

#[test]
fn a_label_is_shown_to_all_if_its_value_is_before_the_sentinel() {
    let labels = enumerations().remove("label").expect("labels");
    let value = |wanted: &str| labels.iter().find(|(label, _)| *label == wanted)?.1;
    let sentinel = value("unknownFutureValue");
    assert_eq!(sentinel, Some(12));
    for name in label::LABEL.known {
        assert_eq!(is_before_the_sentinel(name), value(name) < sentinel, "{name}");
    }
}
