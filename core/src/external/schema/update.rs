//! How a schema is written: alone, or over the one that is registered.
//!
//! The documents do not say whether an update stands in the place of what is registered, as its
//! list of properties suggests, or whether the members of a property that it does not name stay.
//! So it is written such that both come to the same: what is to stay is written again, and what is
//! taken away is written as `false`, `[]` or `null`. That these words are taken is assumed.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::plan::aliases_that_stay;
use crate::{
    external::{
        Schema, SchemaAttribute, SchemaProperty, StoredRankingHint, StoredSchema,
        StoredSchemaProperty,
    },
    protocol::Version,
    types::{OtherMembers, RawJson, UNKNOWN_FUTURE_VALUE},
};

/// A schema as a request has it.
pub(super) struct SchemaOver<'a> {
    pub(super) schema: &'a Schema,
    /// What is registered, and as which version it is written.
    pub(super) stored: Option<(&'a StoredSchema, Version)>,
}

impl Serialize for SchemaOver<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        struct Properties<'a>(&'a SchemaOver<'a>);

        impl Serialize for Properties<'_> {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let properties = self.0.schema.properties().iter();
                to.collect_seq(properties.map(|wanted| self.0.property(wanted)))
            }
        }

        let mut members = to.serialize_map(Some(2))?;
        members.serialize_entry("baseType", "microsoft.graph.externalItem")?;
        members.serialize_entry("properties", &Properties(self))?;
        members.end()
    }
}

impl<'a> SchemaOver<'a> {
    fn property(&self, wanted: &'a SchemaProperty) -> PropertyOver<'a> {
        let (stored, version) = match self.stored {
            Some((stored, version)) => (stored.get(&wanted.name), version),
            None => (None, Version::V1),
        };
        let Some(before) = stored else { return PropertyOver::nothing(wanted) };
        PropertyOver {
            wanted,
            before: Some(before),
            aliases: aliases_that_stay(before, wanted, self.schema).collect(),
            hint: before.ranking_hint.as_ref().filter(|_| version == Version::Beta),
        }
    }
}

/// A property as a request has it.
pub(super) struct PropertyOver<'a> {
    wanted: &'a SchemaProperty,
    /// The same property as it is registered.
    before: Option<&'a StoredSchemaProperty>,
    /// What stays of its aliases.
    aliases: Vec<&'a String>,
    /// What stays of its ranking hint, as far as no other is wanted.
    hint: Option<&'a StoredRankingHint>,
}

impl<'a> PropertyOver<'a> {
    /// One that is not registered yet.
    pub(super) fn nothing(wanted: &'a SchemaProperty) -> Self {
        Self { wanted, before: None, aliases: Vec::new(), hint: None }
    }

    fn was(&self, so: impl FnOnce(&StoredSchemaProperty) -> bool) -> bool {
        self.before.is_some_and(so)
    }
}

impl Serialize for PropertyOver<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let wanted = self.wanted;
        let mut members = to.serialize_map(None)?;
        members.serialize_entry("name", &wanted.name)?;
        members.serialize_entry("type", &wanted.kind)?;
        if wanted.description.is_some() || self.was(|before| before.described().is_some()) {
            members.serialize_entry("description", &wanted.description)?;
        }
        for attribute in SchemaAttribute::ALL {
            let on = wanted.has(attribute);
            if on || self.was(|before| before.has(attribute)) {
                members.serialize_entry(attribute.name(), &on)?;
            }
        }
        if !wanted.labels.is_empty() || self.was(has_labels) {
            members.serialize_entry("labels", &wanted.labels)?;
        }
        let aliases: Vec<&String> = wanted.aliases.iter().chain(self.aliases.clone()).collect();
        if !aliases.is_empty() || self.was(|before| before.aliases.iter().flatten().count() > 0) {
            members.serialize_entry("aliases", &aliases)?;
        }
        if wanted.ranking_hint.is_some() {
            let hint = self.hint.cloned().unwrap_or_default();
            let importance_score = wanted.ranking_hint.clone();
            let hint = StoredRankingHint { importance_score, ..hint };
            members.serialize_entry("rankingHint", &hint)?;
        } else if let Some(hint) = self.hint.filter(|hint| !is_hidden(hint)) {
            members.serialize_entry("rankingHint", hint)?;
        }
        for (name, value) in self.before.iter().flat_map(|before| unknown(&before.other)) {
            members.serialize_entry(name, value)?;
        }
        members.end()
    }
}

/// Whether there is a label that can be named.
fn has_labels(before: &StoredSchemaProperty) -> bool {
    before.labels.iter().flatten().any(|label| !is_sentinel(label.as_str()))
}

/// The sentinel hides what then can be neither kept nor taken away, for it is only ever read.
fn is_sentinel(word: &str) -> bool {
    word.eq_ignore_ascii_case(UNKNOWN_FUTURE_VALUE)
}

fn is_hidden(hint: &StoredRankingHint) -> bool {
    hint.importance_score.as_ref().is_some_and(|score| is_sentinel(score.as_str()))
}

/// The members that this version does not know. Annotations are the service's own words.
fn unknown(other: &OtherMembers) -> impl Iterator<Item = (&str, &RawJson)> {
    const KNOWN: [&str; 6] = ["name", "type", "description", "labels", "aliases", "rankingHint"];
    let is_known = |name: &str| {
        KNOWN.contains(&name) || SchemaAttribute::ALL.iter().any(|known| known.name() == name)
    };
    other.iter().filter(move |(name, _)| !name.contains('@') && !is_known(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::super::check::tests::schema;
    use super::*;
    use crate::external::{ImportanceScore, Label, PropertyChange, PropertyType, SchemaPlan};

    fn over(stored: &Value, wanted: &Schema, version: Version) -> Value {
        let stored: StoredSchema = serde_json::from_value(stored.clone()).unwrap();
        let over = SchemaOver { schema: wanted, stored: Some((&stored, version)) };
        serde_json::to_value(over).unwrap()
    }

    fn one(before: Value, wanted: SchemaProperty, version: Version) -> Value {
        let wanted = Schema::new([wanted]).unwrap();
        over(&json!({ "properties": [before] }), &wanted, version)["properties"][0].take()
    }

    fn text() -> SchemaProperty {
        SchemaProperty::new("a", PropertyType::String)
    }

    #[test]
    fn what_is_taken_away_is_written_and_what_never_was_there_is_not() {
        let before = json!({"name": "a", "type": "string", "description": "d",
            "isSearchable": true, "isQueryable": true, "isRetrievable": false,
            "labels": ["title"], "aliases": ["b"]});
        assert_eq!(
            one(before.clone(), text().queryable(), Version::V1),
            json!({"name": "a", "type": "string", "description": null, "isSearchable": false,
                "isQueryable": true, "labels": [], "aliases": []})
        );
        let same = text().description("d").searchable().queryable().retrievable().alias("b");
        assert_eq!(
            one(before, same.label(Label::Title), Version::V1),
            json!({"name": "a", "type": "string", "description": "d", "isSearchable": true,
                "isQueryable": true, "isRetrievable": true, "labels": ["title"],
                "aliases": ["b"]})
        );
        let nothing = json!({"name": "a", "type": "string", "description": "", "labels": [],
            "aliases": null, "labels@odata.type": "x"});
        assert_eq!(one(nothing, text(), Version::V1), json!({"name": "a", "type": "string"}));
    }

    #[test]
    fn what_others_have_put_there_is_written_again() {
        let before = json!({"name": "a", "type": "string", "isRefinable": true,
            "aliases": ["RefinableString00", "Mine"],
            "rankingHint": {"importanceScore": "high", "x": 1}, "new": {"y": [1.50]}});
        let refinable = || text().refinable();
        assert_eq!(
            one(before.clone(), refinable().alias("mine").alias("other"), Version::Beta),
            json!({"name": "a", "type": "string", "isRefinable": true,
                "aliases": ["mine", "other", "RefinableString00"],
                "rankingHint": {"importanceScore": "high", "x": 1}, "new": {"y": [1.50]}})
        );
        let low = refinable().ranking_hint(ImportanceScore::Low);
        assert_eq!(
            one(before.clone(), low, Version::Beta)["rankingHint"],
            json!({"importanceScore": "low", "x": 1})
        );
        assert_eq!(one(before, refinable(), Version::V1).get("rankingHint"), None);
        let hidden = json!({"name": "a", "type": "string", "labels": ["unknownFutureValue"],
            "rankingHint": {"importanceScore": "unknownFutureValue"}});
        assert_eq!(one(hidden, text(), Version::Beta), json!({"name": "a", "type": "string"}));
    }

    #[test]
    fn an_alias_that_another_property_is_given_does_not_stay() {
        let before = json!({ "properties": [
            {"name": "a", "type": "string", "isRefinable": true, "aliases": ["x", "y"]},
        ]});
        let second = SchemaProperty::new("Y", PropertyType::String).alias("X");
        let wanted = Schema::new([text().refinable(), second]).unwrap();
        assert_eq!(over(&before, &wanted, Version::V1)["properties"][0]["aliases"], json!([]));
        let stored = serde_json::from_value(before).unwrap();
        let plan = SchemaPlan::between(&stored, &wanted);
        let aliases = ["x", "y"].map(|alias| PropertyChange::AliasRemoved(alias.into()));
        assert!(aliases.iter().all(|gone| plan.changes().iter().any(|it| it.what == *gone)));
    }

    /// What others may have put to a schema that is registered.
    fn with_more(schema: &Schema) -> Value {
        let mut stored = serde_json::to_value(schema).unwrap();
        for (index, property) in stored["properties"].as_array_mut().unwrap().iter_mut().enumerate()
        {
            property["new"] = json!(index);
            if property["isRefinable"] == true {
                let own = format!("RefinableString{index:02}");
                match property["aliases"].as_array_mut() {
                    Some(aliases) => aliases.push(json!(own)),
                    None => property["aliases"] = json!([own]),
                }
            }
            if property["rankingHint"].is_null() {
                property["rankingHint"] = json!({"importanceScore": "low"});
            }
        }
        stored
    }

    /// A service that keeps those members of a property that an update does not name.
    fn merged(stored: &Value, update: &Value) -> Value {
        let by_name = |name: &Value| -> Map<String, Value> {
            let mut before = stored["properties"].as_array().unwrap().iter();
            let found = before.find(|before| before["name"] == *name);
            found.map_or_else(Map::new, |found| found.as_object().unwrap().clone())
        };
        let properties = update["properties"].as_array().unwrap().iter().map(|property| {
            let mut after = by_name(&property["name"]);
            after.extend(property.as_object().unwrap().clone());
            Value::Object(after)
        });
        json!({ "properties": properties.collect::<Vec<_>>() })
    }

    proptest! {
        #[test]
        fn one_update_does_it_and_loses_nothing_whether_the_service_replaces_or_merges(
            from in schema(),
            to in schema(),
        ) {
            let stored = with_more(&from);
            let update = over(&stored, &to, Version::Beta);
            for after in [update.clone(), merged(&stored, &update)] {
                let read: StoredSchema = serde_json::from_value(after).unwrap();
                let rest = SchemaPlan::between(&read, &to);
                prop_assert!(rest.is_empty(), "{rest}");
                for (index, before) in from.properties().iter().enumerate() {
                    let Some(after) = read.get(before.name()) else { continue };
                    prop_assert_eq!(after.other.get("new").unwrap().get(), index.to_string());
                    prop_assert!(after.importance().is_some());
                    let own = format!("RefinableString{index:02}");
                    let stays = after.aliases.iter().flatten().any(|alias| *alias == own);
                    prop_assert_eq!(stays, before.has(SchemaAttribute::Refinable));
                }
            }
        }
    }
}
