//! The rules that a schema keeps
//! ([property](https://learn.microsoft.com/graph/api/resources/externalconnectors-property),
//! [schema](https://learn.microsoft.com/graph/connecting-external-content-manage-schema),
//! [people data](https://learn.microsoft.com/microsoft-365/copilot/extensibility/build-connectors-with-people-data)).
//!
//! Errors are what the service refuses or is documented to; warnings are what it takes, but makes
//! less of, and what its documents disagree on. A type or label that this version does not know
//! is left to the service.

use std::collections::BTreeSet;

use super::property::member;
use crate::{
    external::{Label, PropertyType, SchemaAttribute, SchemaProperty, item::property::check_name},
    types::{Fault, FaultList, Rule, quote},
};

/// The most characters that a description has.
const DESCRIPTION: usize = 200;

/// Everything for which these properties are no schema.
pub(super) fn check(properties: &[SchemaProperty], faults: &mut FaultList) {
    if !(1..=128).contains(&properties.len()) {
        let count = properties.len();
        let detail = format!("has {count} entries, and a schema 1 to 128; declare what items need");
        faults.push(Rule::SchemaSize, "$.properties", detail);
    }
    let mut names = BTreeSet::new();
    let mut labels: Vec<&Label> = Vec::new();
    for (index, property) in properties.iter().enumerate() {
        check_names(index, property, &mut names, faults);
        check_type(index, property, faults);
        check_attributes(index, property, faults);
        check_labels(index, property, &mut labels, faults);
    }
    if labels.iter().any(|label| label.is_of_people()) {
        check_people(properties, faults);
    }
}

/// Everything for which a schema is not the best it could be.
pub(super) fn warnings(properties: &[SchemaProperty]) -> Vec<Fault> {
    let mut warnings = Vec::new();
    for (index, property) in properties.iter().enumerate() {
        if property.refinable && is_refinable(&property.kind) == Refinable::Disputed {
            let detail = format!(
                "is on for the type {}; the documents say that only texts and numbers can be \
                 refinable, and show others; should the service refuse it, leave it off",
                property.kind
            );
            let place = member(index, SchemaAttribute::Refinable);
            warnings.push(Fault::new(Rule::SchemaRefinable, place, detail).as_warning());
        }
    }
    let labels = || properties.iter().flat_map(|property| &property.labels);
    // What a person has goes to the profile, which needs none of them.
    if !labels().any(Label::is_of_people) {
        for wanted in [Label::Title, Label::Url, Label::IconUrl] {
            if !labels().any(|label| *label == wanted) {
                let detail = format!(
                    "none has the label {wanted}, without which Copilot does not show items; put \
                     it on the property that holds it"
                );
                let fault = Fault::new(Rule::LabelMissing, "$.properties", detail);
                warnings.push(fault.as_warning());
            }
        }
    }
    warnings
}

/// Names and aliases are one space of names. That letter case makes no difference there is
/// assumed; but an alias may spell the name of its own property otherwise, as one in the documents
/// does.
fn check_names(
    index: usize,
    property: &SchemaProperty,
    names: &mut BTreeSet<String>,
    faults: &mut FaultList,
) {
    let mut look = |place: String, name: &str, may_repeat: bool| {
        if let Err(why) = check_name(name) {
            faults.push(Rule::PropertyName, place.clone(), why);
        }
        if !names.insert(name.to_ascii_lowercase()) && !may_repeat {
            let detail = format!(
                "{name} is there twice among names and aliases, for letter case makes no \
                 difference; leave one out"
            );
            faults.push(Rule::PropertyTwice, place, detail);
        }
    };
    look(member(index, "name"), &property.name, false);
    for (at, alias) in property.aliases.iter().enumerate() {
        let same = |other: &String| other.eq_ignore_ascii_case(alias);
        let spelt_otherwise = same(&property.name)
            && *alias != property.name
            && !property.aliases[..at].iter().any(same);
        look(member(index, format_args!("aliases[{at}]")), alias, spelt_otherwise);
    }
}

fn check_type(index: usize, property: &SchemaProperty, faults: &mut FaultList) {
    faults.check_word(member(index, "type"), property.kind.as_str());
    if let Some(description) = &property.description {
        let count = description.chars().count();
        if count > DESCRIPTION {
            let detail = format!("has {count} characters; shorten it to {DESCRIPTION}");
            faults.push(Rule::PropertyDescription, member(index, "description"), detail);
        }
    }
    if let Some(importance) = &property.ranking_hint {
        let place = member(index, "rankingHint.importanceScore");
        faults.check_word(place, importance.as_str());
    }
}

#[derive(PartialEq)]
enum Refinable {
    Yes,
    /// One page says no, an example on the same page says yes.
    Disputed,
    /// The service has been seen to refuse it.
    No,
}

fn is_refinable(kind: &PropertyType) -> Refinable {
    match kind {
        PropertyType::String | PropertyType::Int64 | PropertyType::Double => Refinable::Yes,
        PropertyType::Boolean => Refinable::No,
        PropertyType::Other(_) => Refinable::Yes,
        _ => Refinable::Disputed,
    }
}

fn check_attributes(index: usize, property: &SchemaProperty, faults: &mut FaultList) {
    let kind = &property.kind;
    let is_text = kind.is_text() || matches!(kind, PropertyType::Other(_));
    let mut refuse = |rule: Rule, attribute: SchemaAttribute, detail: String| {
        faults.push(rule, member(index, attribute), detail);
    };
    if property.searchable && !is_text {
        let detail = format!("is on, but only texts are searched in, not {kind}; leave it off");
        refuse(Rule::SchemaSearchable, SchemaAttribute::Searchable, detail);
    }
    if property.searchable && property.refinable {
        let detail = "is on together with isRefinable; choose one of them".to_owned();
        refuse(Rule::SchemaSearchable, SchemaAttribute::Searchable, detail);
    }
    if property.refinable && is_refinable(kind) == Refinable::No {
        let detail = format!("is on, but results cannot be narrowed by a {kind}; leave it off");
        refuse(Rule::SchemaRefinable, SchemaAttribute::Refinable, detail);
    }
    if property.exact_match_required && !is_text {
        let detail = format!("is on, but only texts are matched exactly, not {kind}; leave it off");
        refuse(Rule::SchemaExactMatch, SchemaAttribute::ExactMatchRequired, detail);
    }
    if property.exact_match_required && property.searchable {
        let detail = "is on together with isSearchable; choose one of them".to_owned();
        refuse(Rule::SchemaExactMatch, SchemaAttribute::ExactMatchRequired, detail);
    }
    // Of people's labels the documents say that the attributes are ignored, and show them off.
    let mut labels = property.labels.iter().filter(|label| !label.is_of_people());
    if let (false, Some(label)) = (property.retrievable, labels.next()) {
        let label = quote(label.as_str());
        let detail =
            format!("is off, and a property with the label {label} is retrievable; switch it on");
        refuse(Rule::LabelRetrievable, SchemaAttribute::Retrievable, detail);
    }
}

fn check_labels<'a>(
    index: usize,
    property: &'a SchemaProperty,
    known: &mut Vec<&'a Label>,
    faults: &mut FaultList,
) {
    for (at, label) in property.labels.iter().enumerate() {
        let place = || member(index, format_args!("labels[{at}]"));
        faults.check_word(place(), label.as_str());
        if known.contains(&label) {
            let label = quote(label.as_str());
            let detail = format!("{label} is there twice; leave it on the property it fits best");
            faults.push(Rule::LabelTwice, place(), detail);
        }
        known.push(label);
        let (types, kind) = (label.types(), &property.kind);
        if !types.is_empty() && !types.contains(kind) && !matches!(kind, PropertyType::Other(_)) {
            let types: Vec<&str> = types.iter().map(PropertyType::as_str).collect();
            let types = types.join(" or ");
            let detail =
                format!("{label} goes on {types}, not on {kind}; change the type or the label");
            faults.push(Rule::LabelType, place(), detail);
        }
    }
}

/// What holds beside a label of people.
fn check_people(properties: &[SchemaProperty], faults: &mut FaultList) {
    let accounts =
        properties.iter().filter(|property| property.labels.contains(&Label::PersonAccount));
    // Twice is refused as for every label.
    if accounts.count() == 0 {
        let detail = "none has the label personAccount, which a schema of people needs; put it on \
                      the property that says which Entra user the item is about";
        faults.push(Rule::PeopleSchema, "$.properties", detail);
    }
    for (index, property) in properties.iter().enumerate() {
        if property.kind.is_principal() {
            let detail = format!(
                "{} is not supported among people; give colleagues within the property that is \
                 labelled personCurrentPosition",
                property.kind
            );
            faults.push(Rule::PeopleSchema, member(index, "type"), detail);
        }
        for (at, label) in property.labels.iter().enumerate() {
            if label.is_unsupported() {
                let place = member(index, format_args!("labels[{at}]"));
                let detail = format!("{label} is not supported yet; leave it out");
                faults.push(Rule::PeopleSchema, place, detail);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::external::{ImportanceScore, Schema};

    fn property(name: &str, kind: PropertyType) -> SchemaProperty {
        SchemaProperty::new(name, kind)
    }

    fn text(name: &str) -> SchemaProperty {
        property(name, PropertyType::String)
    }

    fn found(faults: &[Fault]) -> Vec<(Rule, &str)> {
        faults.iter().map(|fault| (fault.rule, &*fault.place)).collect()
    }

    /// A valid schema with something of everything, from generated choices.
    pub(in crate::external) fn schema() -> impl Strategy<Value = Schema> {
        let one =
            (0..PropertyType::KNOWN.len(), any::<[bool; 7]>(), 0..Label::KNOWN.len(), 0..4_usize);
        prop::collection::btree_map("[a-e]", one, 1..6).prop_map(|wanted| {
            let mut properties: Vec<SchemaProperty> = Vec::new();
            for (name, (kind, flags, label, importance)) in wanted {
                let [searchable, queryable, retrievable, refinable, exact, labelled, more] = flags;
                let mut property = property(&name, PropertyType::KNOWN[kind].into());
                property.searchable = searchable && property.kind.is_text();
                property.exact_match_required = exact && !searchable && property.kind.is_text();
                property.queryable = queryable;
                property.refinable =
                    refinable && !property.searchable && property.kind != PropertyType::Boolean;
                property.retrievable = retrievable || labelled;
                if labelled {
                    property.labels.push(Label::KNOWN[label].into());
                }
                if more {
                    property = property.alias(format!("{name}1")).alias(format!("{name}2"));
                    property = property.description("ä".repeat(DESCRIPTION));
                    let importance = ImportanceScore::from(ImportanceScore::KNOWN[importance]);
                    property = property.ranking_hint(importance);
                }
                // A label that does not fit is left out, and so is a person among people.
                let mut plain = property.clone();
                plain.labels.clear();
                let fits = |one: &SchemaProperty| {
                    let all = properties.iter().chain([one]).cloned();
                    Schema::new(all).is_ok()
                };
                let fitting = [property, plain].into_iter().find(fits);
                properties.extend(fitting);
            }
            Schema::new(properties).unwrap()
        })
    }

    #[test]
    fn each_rule_of_a_property_is_told_with_its_place() {
        let refused = |property| Schema::new([property]).unwrap_err();
        for (property, rule, place) in [
            (
                property("a", PropertyType::Int64).searchable(),
                Rule::SchemaSearchable,
                "$.properties[0].isSearchable",
            ),
            (
                property("a", PropertyType::Principal).searchable(),
                Rule::SchemaSearchable,
                "$.properties[0].isSearchable",
            ),
            (
                text("a").searchable().refinable(),
                Rule::SchemaSearchable,
                "$.properties[0].isSearchable",
            ),
            (
                property("a", PropertyType::Boolean).refinable(),
                Rule::SchemaRefinable,
                "$.properties[0].isRefinable",
            ),
            (
                property("a", PropertyType::DateTime).exact_match_required(),
                Rule::SchemaExactMatch,
                "$.properties[0].isExactMatchRequired",
            ),
            (
                text("a").searchable().exact_match_required(),
                Rule::SchemaExactMatch,
                "$.properties[0].isExactMatchRequired",
            ),
            (
                text("a").description("ä".repeat(201)),
                Rule::PropertyDescription,
                "$.properties[0].description",
            ),
            (
                text("a").label(Label::Title),
                Rule::LabelRetrievable,
                "$.properties[0].isRetrievable",
            ),
            (
                text("a").retrievable().label(Label::Title).label(Label::Title),
                Rule::LabelTwice,
                "$.properties[0].labels[1]",
            ),
            (
                property("a", PropertyType::StringCollection).retrievable().label(Label::Url),
                Rule::LabelType,
                "$.properties[0].labels[0]",
            ),
            (
                text("a").ranking_hint("unknownFutureValue".into()),
                Rule::UnknownFutureValue,
                "$.properties[0].rankingHint.importanceScore",
            ),
            (
                text("a").ranking_hint("".into()),
                Rule::MemberRequired,
                "$.properties[0].rankingHint.importanceScore",
            ),
            (
                text("a").retrievable().label("".into()),
                Rule::MemberRequired,
                "$.properties[0].labels[0]",
            ),
            (property("a", "".into()), Rule::MemberRequired, "$.properties[0].type"),
        ] {
            let refused = refused(property);
            assert_eq!(found(refused.faults()), [(rule, place)], "{refused}");
        }
        let labels = Schema::new([
            text("a").retrievable().label(Label::Title),
            text("b").retrievable().label(Label::Url).label(Label::Title),
        ]);
        assert_eq!(
            labels.unwrap_err().to_string(),
            "$.properties[1].labels[1]: \"title\" is there twice; leave it on the property it fits \
             best [label-twice]"
        );
    }

    #[test]
    fn what_is_at_the_limit_or_unknown_is_let_through() {
        let unknown = || PropertyType::from("vector");
        for property in [
            text("a").description("ä".repeat(200)),
            property("a", PropertyType::StringCollection).exact_match_required().refinable(),
            property("a", PropertyType::PrincipalCollection).retrievable().label(Label::Authors),
            property("a", PropertyType::Principal).retrievable().label(Label::CreatedBy),
            property("a", PropertyType::Int64).retrievable().label(Label::Priority),
            property("a", unknown()).searchable().retrievable().label(Label::Title),
            property("a", unknown()).refinable().exact_match_required(),
            text("a").retrievable().label(Label::from("labelOfTomorrow")),
        ] {
            assert!(Schema::new([property.clone()]).is_ok(), "{property:?}");
        }
    }

    #[test]
    fn names_and_aliases_are_one_space_of_names() {
        let refused = |properties: [SchemaProperty; 2]| {
            Schema::new(properties).map_err(|why| found(why.faults())[0].1.to_owned()).err()
        };
        let place = |place: &str| Some(format!("$.properties{place}"));
        assert_eq!(refused([text("a"), text("A")]), place("[1].name"));
        assert_eq!(refused([text("a").alias("b"), text("B")]), place("[1].name"));
        assert_eq!(refused([text("a"), text("b").alias("A")]), place("[1].aliases[0]"));
        assert_eq!(refused([text("a").alias("c"), text("b").alias("C")]), place("[1].aliases[0]"));
        assert_eq!(refused([text("a").alias("a"), text("b")]), place("[0].aliases[0]"));
        assert_eq!(refused([text("filename").alias("fileName"), text("b")]), None);
        let twice = text("filename").alias("fileName").alias("FileName");
        assert_eq!(refused([twice, text("b")]), place("[0].aliases[1]"));
    }

    #[test]
    fn a_schema_of_people_keeps_the_rules_for_people() {
        let account = || text("account").label(Label::PersonAccount);
        let skills = |label: Label| property("b", PropertyType::StringCollection).label(label);
        // As the page has it, nothing is retrievable.
        let people = Schema::new([account(), skills(Label::PersonSkills), text("id")]).unwrap();
        assert_eq!(people.warnings(), []);
        for (properties, expected) in [
            (vec![skills(Label::PersonSkills)], vec![(Rule::PeopleSchema, "$.properties")]),
            (
                vec![account(), text("b").label(Label::PersonAccount)],
                vec![(Rule::LabelTwice, "$.properties[1].labels[0]")],
            ),
            (
                vec![
                    account(),
                    property("b", PropertyType::Principal),
                    text("c").label(Label::PersonManager),
                ],
                vec![
                    (Rule::PeopleSchema, "$.properties[1].type"),
                    (Rule::PeopleSchema, "$.properties[2].labels[0]"),
                ],
            ),
            (
                vec![account(), text("b").label(Label::PersonEmails)],
                vec![(Rule::LabelType, "$.properties[1].labels[0]")],
            ),
            (
                vec![account(), text("b").label(Label::Title)],
                vec![(Rule::LabelRetrievable, "$.properties[1].isRetrievable")],
            ),
        ] {
            let refused = Schema::new(properties).unwrap_err();
            assert_eq!(found(refused.faults()), expected, "{refused}");
        }
    }

    #[test]
    fn what_is_only_not_the_best_is_a_warning() {
        let label = |name: &str, label| text(name).retrievable().label(label);
        let best = [label("a", Label::Title), label("b", Label::Url), label("c", Label::IconUrl)];
        assert_eq!(Schema::new(best.clone()).unwrap().warnings(), []);
        let disputed = property("d", PropertyType::DateTime).refinable();
        let numbers = property("e", PropertyType::Double).refinable();
        let schema = Schema::new([best[0].clone(), best[2].clone(), disputed, numbers]).unwrap();
        assert_eq!(
            found(&schema.warnings()),
            [
                (Rule::SchemaRefinable, "$.properties[2].isRefinable"),
                (Rule::LabelMissing, "$.properties")
            ]
        );
        assert_eq!(
            schema.warnings()[1].to_string(),
            "warning: $.properties: none has the label url, without which Copilot does not show \
             items; put it on the property that holds it [label-missing]"
        );
    }
}
