//! Whether an item, or an update of one, fits a schema: one that is to be registered, or the one
//! that is.
//!
//! The service refuses what does not fit with a text that names no property; here each is named.

use super::property::place;
use crate::{
    external::{
        ExternalItem, ItemUpdate, Label, Properties, PropertyType, PropertyValue, SchemaProperty,
        StoredSchemaProperty,
    },
    types::{BuildError, FaultList, Rule, quote},
};

/// The most mail addresses, and the most postal addresses, of one person.
const MOST_ADDRESSES: usize = 3;

/// What a schema declares, as far as an item has to keep it.
pub(in crate::external) struct Declared<'a> {
    name: &'a str,
    // None where it could not be read.
    kind: Option<&'a PropertyType>,
    aliases: &'a [String],
    labels: &'a [Label],
}

impl<'a> From<&'a SchemaProperty> for Declared<'a> {
    fn from(property: &'a SchemaProperty) -> Self {
        Self {
            name: &property.name,
            kind: Some(&property.kind),
            aliases: &property.aliases,
            labels: &property.labels,
        }
    }
}

impl<'a> From<&'a StoredSchemaProperty> for Declared<'a> {
    fn from(property: &'a StoredSchemaProperty) -> Self {
        Self {
            name: property.name.as_deref().unwrap_or_default(),
            kind: property.kind.as_ref(),
            aliases: property.aliases.as_deref().unwrap_or_default(),
            labels: property.labels.as_deref().unwrap_or_default(),
        }
    }
}

impl AsRef<Properties> for ExternalItem {
    fn as_ref(&self) -> &Properties {
        self.properties()
    }
}

/// Empty where the properties stay as they are.
impl AsRef<Properties> for ItemUpdate {
    fn as_ref(&self) -> &Properties {
        self.properties()
    }
}

/// Refuses the properties that are not declared so.
pub(in crate::external) fn check<'a, D: Into<Declared<'a>>>(
    properties: &Properties,
    declared: impl IntoIterator<Item = D>,
) -> Result<(), BuildError> {
    let declared: Vec<Declared<'a>> = declared.into_iter().map(Into::into).collect();
    let mut faults = FaultList::default();
    for (name, value) in properties.iter() {
        check_one(name, Some(value), &declared, &mut faults);
    }
    faults.finish()
}

/// Refuses a property that is not declared so; of one whose value could not be read, the name.
pub(super) fn check_one(
    name: &str,
    value: Option<&PropertyValue>,
    declared: &[Declared<'_>],
    faults: &mut FaultList,
) {
    let Some(its) = declared.iter().find(|declared| declared.name == name) else {
        faults.push(Rule::PropertyUndeclared, place(name), undeclared(name, declared));
        return;
    };
    if let Some(value) = value {
        check_type(name, value, its, faults);
        check_people(name, value, its, faults);
    }
}

fn undeclared(name: &str, declared: &[Declared<'_>]) -> String {
    let same = |other: &str| other.eq_ignore_ascii_case(name);
    if let Some(near) = declared.iter().find(|declared| same(declared.name)) {
        return format!("the schema declares it as {}; write it so", quote(near.name));
    }
    match declared.iter().find(|declared| declared.aliases.iter().any(|alias| same(alias))) {
        Some(near) => {
            format!("is an alias, for queries only; the property is {}", quote(near.name))
        }
        None => "is not in the schema; declare it there, or leave it out".to_owned(),
    }
}

fn check_type(name: &str, value: &PropertyValue, declared: &Declared<'_>, faults: &mut FaultList) {
    let is = value.kind();
    // A type that this version does not know, or that hides behind the sentinel, takes any value.
    let known = |kind: &&PropertyType| !matches!(kind, PropertyType::Other(_));
    let Some(kind) = declared.kind.filter(known).filter(|kind| **kind != is) else { return };
    let fix = match (&is, kind) {
        // JSON has one kind of number, but the annotation of a collection tells them apart; that
        // the service is as strict with a single number is assumed.
        (PropertyType::Int64, PropertyType::Double) => "make it a floating-point number, 7.0 for 7",
        (PropertyType::String, PropertyType::DateTime) => "make it a Timestamp",
        (PropertyType::String, PropertyType::StringCollection) => "make it an array of one",
        _ => "make the value of that type, or change the name",
    };
    let detail = format!("is of type {is}, and the schema declares {kind}; {fix}");
    faults.push(Rule::PropertyType, place(name), detail);
}

/// The documents say "max 3" of two labels that stand on collections: read as entries of one
/// item, for their examples are a home and a work address.
fn check_people(
    name: &str,
    value: &PropertyValue,
    declared: &Declared<'_>,
    faults: &mut FaultList,
) {
    let PropertyValue::StringCollection(entries) = value else { return };
    let limited = |label: &&Label| matches!(label, Label::PersonEmails | Label::PersonAddresses);
    if let Some(label) = declared.labels.iter().find(limited)
        && entries.len() > MOST_ADDRESSES
    {
        let count = entries.len();
        let detail = format!(
            "has {count} entries, and a person at most {MOST_ADDRESSES} under the label {label}; \
             leave out the rest"
        );
        faults.push(Rule::PeopleSchema, place(name), detail);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        external::{Acl, Schema, StoredSchema},
        types::{Guid, ItemId},
    };

    fn item(properties: Vec<(&str, PropertyValue)>) -> ExternalItem {
        let mut item =
            ExternalItem::builder(ItemId::new("a").unwrap()).acl(Acl::everyone(Guid::from(1)));
        for (name, value) in properties {
            item = item.property(name, value);
        }
        item.build().unwrap()
    }

    #[test]
    fn every_property_that_does_not_fit_is_named_with_what_to_do() {
        let schema = Schema::new([
            SchemaProperty::new("title", PropertyType::String).alias("subject"),
            SchemaProperty::new("hours", PropertyType::Double),
            SchemaProperty::new("due", PropertyType::DateTime),
            SchemaProperty::new("tags", PropertyType::StringCollection),
        ])
        .unwrap();
        let fits = item(vec![("title", "a".into()), ("hours", 7.0.into()), ("tags", ["x"].into())]);
        assert_eq!(schema.check_item(&fits), Ok(()));
        let refused = schema.check_item(&item(vec![
            ("Title", "a".into()),
            ("subject", "a".into()),
            ("other", "a".into()),
            ("hours", 7.into()),
            ("due", "2026-01-02".into()),
            ("tags", "x".into()),
        ]));
        let refused = refused.unwrap_err();
        let lines: Vec<String> = refused.faults().iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "$.properties.Title: the schema declares it as \"title\"; write it so \
                 [property-undeclared]",
                "$.properties.subject: is an alias, for queries only; the property is \"title\" \
                 [property-undeclared]",
                "$.properties.other: is not in the schema; declare it there, or leave it out \
                 [property-undeclared]",
                "$.properties.hours: is of type int64, and the schema declares double; make it a \
                 floating-point number, 7.0 for 7 [property-type]",
                "$.properties.due: is of type string, and the schema declares dateTime; make it a \
                 Timestamp [property-type]",
                "$.properties.tags: is of type string, and the schema declares stringCollection; \
                 make it an array of one [property-type]",
            ]
        );
    }

    #[test]
    fn an_update_of_an_item_is_checked_by_what_it_replaces() {
        let schema = Schema::new([SchemaProperty::new("title", PropertyType::String)]).unwrap();
        let stored: StoredSchema =
            serde_json::from_value(serde_json::to_value(&schema).unwrap()).unwrap();
        let update = |properties: Vec<(&str, PropertyValue)>| {
            ItemUpdate::builder().replace_properties(properties).build().unwrap()
        };
        let text = ItemUpdate::builder().content(crate::types::Change::Null).build().unwrap();
        for fits in [update(vec![("title", "a".into())]), text] {
            assert_eq!(schema.check_item(&fits), Ok(()));
            assert_eq!(stored.check_item(&fits), Ok(()));
        }
        let odd = update(vec![("title", 1.into()), ("other", "a".into())]);
        for refused in [schema.check_item(&odd), stored.check_item(&odd)] {
            let rules: Vec<Rule> =
                refused.unwrap_err().faults().iter().map(|fault| fault.rule).collect();
            assert_eq!(rules, [Rule::PropertyType, Rule::PropertyUndeclared]);
        }
    }

    #[test]
    fn a_person_has_at_most_three_addresses() {
        let schema = Schema::new([
            SchemaProperty::new("account", PropertyType::String).label(Label::PersonAccount),
            SchemaProperty::new("mail", PropertyType::StringCollection).label(Label::PersonEmails),
            SchemaProperty::new("skills", PropertyType::StringCollection)
                .label(Label::PersonSkills),
        ])
        .unwrap();
        let person = |mail: usize| {
            item(vec![("mail", vec!["{}"; mail].into()), ("skills", vec!["{}"; 9].into())])
        };
        assert_eq!(schema.check_item(&person(3)), Ok(()));
        let refused = schema.check_item(&person(4)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "$.properties.mail: has 4 entries, and a person at most 3 under the label \
             personEmails; leave out the rest [people-schema]"
        );
    }

    #[test]
    fn an_item_is_checked_against_whatever_is_registered() {
        let stored: StoredSchema = serde_json::from_value(json!({"properties": [
            {"name": "vector", "type": "vector", "labels": ["labelOfTomorrow"]},
            {"name": "who", "type": "unknownFutureValue", "labels": ["unknownFutureValue"]},
            {"name": "odd", "labels": ["title"]},
            {"name": "count", "type": "int64", "isSearchable": true},
            {"type": "string"},
        ]}))
        .unwrap();
        let fits = item(vec![
            ("vector", "a".into()),
            ("who", 1.into()),
            ("odd", true.into()),
            ("count", 1.into()),
        ]);
        assert_eq!(stored.check_item(&fits), Ok(()));
        let refused = stored.check_item(&item(vec![("count", 1.5.into()), ("b", 1.into())]));
        let refused = refused.unwrap_err();
        let rules: Vec<Rule> = refused.faults().iter().map(|fault| fault.rule).collect();
        assert_eq!(rules, [Rule::PropertyType, Rule::PropertyUndeclared]);
        assert!(StoredSchema::default().check_item(&fits).unwrap_err().faults().len() == 4);
    }

    proptest! {
        #[test]
        fn an_item_fits_if_and_only_if_each_of_its_types_is_the_declared_one(
            declared in 0..PropertyType::KNOWN.len(),
            given in 0..7_usize,
        ) {
            let values: [PropertyValue; 7] = [
                "a".into(), 1.into(), 1.0.into(), true.into(), ["a"].into(),
                vec![1_i64].into(), vec![1.0].into(),
            ];
            let kind = PropertyType::from(PropertyType::KNOWN[declared]);
            let value = values[given].clone();
            let fits = value.kind() == kind;
            let schema = Schema::new([SchemaProperty::new("a", kind)]).unwrap();
            let checked = schema.check_item(&item(vec![("a", value)]));
            prop_assert_eq!(checked.is_ok(), fits);
            prop_assert!(fits || checked.unwrap_err().breaks(Rule::PropertyType));
        }
    }
}
