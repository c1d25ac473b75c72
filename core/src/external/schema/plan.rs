//! What lies between the schema that is registered and the one that is wanted, and whether the
//! service lets it be changed so
//! ([schema updates](https://learn.microsoft.com/graph/connecting-external-content-manage-schema#schema-update-capabilities)).

use std::fmt;

use super::property::member;
use crate::{
    external::{
        ImportanceScore, Label, PropertyType, Schema, SchemaAttribute, SchemaProperty,
        StoredSchema, StoredSchemaProperty,
    },
    types::{BuildError, FaultList, Rule, UNKNOWN_FUTURE_VALUE, quote},
};

/// What an update of a registered schema would change: first what the wanted schema has, in its
/// order, then what it has no longer.
///
/// Printed it is a report, one line a change.
///
/// ```
/// use graphfeed_core::external::{
///     PropertyType, Schema, SchemaPlan, SchemaProperty, SchemaVerdict, StoredSchema,
/// };
/// use graphfeed_core::types::Rule;
///
/// let stored: StoredSchema = serde_json::from_str(
///     r#"{"properties":[{"name":"title","type":"string"},{"name":"votes","type":"int64"}]}"#,
/// )?;
/// let wanted = Schema::new([
///     SchemaProperty::new("title", PropertyType::String).searchable().alias("subject"),
///     SchemaProperty::new("votes", PropertyType::Double),
/// ])?;
/// let plan = SchemaPlan::between(&stored, &wanted);
/// let verdicts: Vec<_> = plan.changes().iter().map(|change| change.verdict).collect();
/// assert_eq!(
///     verdicts,
///     [SchemaVerdict::NeedsReingest, SchemaVerdict::Allowed, SchemaVerdict::Impossible],
/// );
/// assert!(!plan.is_possible());
/// assert!(plan.check().unwrap_err().breaks(Rule::SchemaUpdate));
/// assert_eq!(
///     plan.to_string().lines().nth(1).unwrap(),
///     "title: gets the alias \"subject\" (allowed): it holds for all items at once",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaPlan {
    changes: Vec<SchemaChange>,
}

/// One thing that an update would change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaChange {
    /// The name of the property.
    pub property: String,
    /// What changes.
    pub what: PropertyChange,
    /// Whether the service lets it.
    pub verdict: SchemaVerdict,
    /// Why, or what follows.
    pub reason: &'static str,
    // Where it stands in the wanted schema.
    place: String,
}

/// What an update would change of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PropertyChange {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has another type.
    #[non_exhaustive]
    Type {
        /// The registered one.
        from: PropertyType,
        /// The wanted one.
        to: PropertyType,
    },
    /// It is on now.
    SwitchedOn(SchemaAttribute),
    /// It is off now.
    SwitchedOff(SchemaAttribute),
    /// It has one more label. One that moves is removed from one property and added to another.
    LabelAdded(Label),
    /// It has one label less.
    LabelRemoved(Label),
    /// It has one more alias.
    AliasAdded(String),
    /// It has one alias less. One that the service gave stands here only where another property is
    /// to have it, which the service does not let it.
    AliasRemoved(String),
    /// It has another description, or none any more.
    Description(Option<String>),
    /// It has another ranking hint.
    RankingHint(ImportanceScore),
}

/// Whether the service lets a registered schema be changed so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SchemaVerdict {
    /// It does.
    Allowed,
    /// It does, but items have to be put again for it to hold for them.
    NeedsReingest,
    /// It does not.
    Impossible,
}

impl SchemaPlan {
    /// Compares. The order of properties, labels and aliases makes no difference, and neither
    /// does the letter case of an alias.
    ///
    /// Two things that the service holds are no difference, for others than the schema's owner put
    /// them there: further aliases of a refinable property, of which the service adds one that
    /// cannot be removed, and nothing tells which (where it is refinable no longer, those that are
    /// named like `RefinableString00`); and a ranking hint where none is wanted, for an
    /// administrator may have set it. [`RegisterSchema::over`](crate::external::RegisterSchema::over) keeps
    /// both. A stored property without a name is passed over, and an empty description is none.
    pub fn between(stored: &StoredSchema, wanted: &Schema) -> Self {
        let mut changes = Vec::new();
        for (index, property) in wanted.properties().iter().enumerate() {
            let mut found = Found { index, name: &property.name, changes: &mut changes };
            match stored.get(&property.name) {
                Some(before) => {
                    found.compare(before, property);
                    found.compare_aliases(before, property, wanted);
                    found.compare_hints(before, property);
                }
                None => found.push("name", PropertyChange::Added),
            }
        }
        let stored = stored.properties.as_deref().unwrap_or_default();
        for name in stored.iter().filter_map(|stored| stored.name.as_deref()) {
            if wanted.get(name).is_none() {
                let place = "$.properties".to_owned();
                changes.push(SchemaChange::new(name, PropertyChange::Removed, place));
            }
        }
        Self { changes }
    }

    /// The changes.
    pub fn changes(&self) -> &[SchemaChange] {
        &self.changes
    }

    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether the service lets every change.
    pub fn is_possible(&self) -> bool {
        !self.has(SchemaVerdict::Impossible)
    }

    /// Whether items have to be put again after it.
    pub fn needs_reingest(&self) -> bool {
        self.has(SchemaVerdict::NeedsReingest)
    }

    fn has(&self, verdict: SchemaVerdict) -> bool {
        self.changes.iter().any(|change| change.verdict == verdict)
    }

    /// Refuses a plan that is not possible.
    ///
    /// # Errors
    /// [`Rule::SchemaUpdate`] for each change that the service does not let, with its place in the
    /// wanted schema.
    pub fn check(&self) -> Result<(), BuildError> {
        let mut faults = FaultList::default();
        for change in &self.changes {
            if change.verdict == SchemaVerdict::Impossible {
                let SchemaChange { property, what, reason, .. } = change;
                let detail = format!("{} {what}; {reason}", quote(property));
                faults.push(Rule::SchemaUpdate, change.place.clone(), detail);
            }
        }
        faults.finish()
    }
}

/// What has been found of one property of the wanted schema.
struct Found<'a> {
    index: usize,
    name: &'a str,
    changes: &'a mut Vec<SchemaChange>,
}

impl Found<'_> {
    fn push(&mut self, place: &str, what: PropertyChange) {
        self.changes.push(SchemaChange::new(self.name, what, member(self.index, place)));
    }

    fn compare(&mut self, before: &StoredSchemaProperty, wanted: &SchemaProperty) {
        if let Some(from) = &before.kind
            && !may_be(from, &wanted.kind)
        {
            let (from, to) = (from.clone(), wanted.kind.clone());
            self.push("type", PropertyChange::Type { from, to });
        }
        if before.described() != wanted.described() {
            self.push("description", PropertyChange::Description(wanted.description.clone()));
        }
        for attribute in SchemaAttribute::ALL {
            match (before.has(attribute), wanted.has(attribute)) {
                (false, true) => {
                    self.push(attribute.name(), PropertyChange::SwitchedOn(attribute));
                }
                (true, false) => {
                    self.push(attribute.name(), PropertyChange::SwitchedOff(attribute));
                }
                _ => {}
            }
        }
        self.compare_labels(before.labels.as_deref().unwrap_or_default(), &wanted.labels);
    }

    fn compare_hints(&mut self, before: &StoredSchemaProperty, wanted: &SchemaProperty) {
        if let Some(importance) = &wanted.ranking_hint
            && before.importance() != Some(importance)
        {
            self.push("rankingHint", PropertyChange::RankingHint(importance.clone()));
        }
    }

    fn compare_labels(&mut self, before: &[Label], wanted: &[Label]) {
        for label in wanted.iter().filter(|label| !before.contains(label)) {
            self.push("labels", PropertyChange::LabelAdded(label.clone()));
        }
        for label in before.iter().filter(|label| !wanted.contains(label)) {
            // The sentinel is no label, but hides one.
            if label.as_str() != UNKNOWN_FUTURE_VALUE {
                self.push("labels", PropertyChange::LabelRemoved(label.clone()));
            }
        }
    }

    fn compare_aliases(
        &mut self,
        before: &StoredSchemaProperty,
        wanted: &SchemaProperty,
        schema: &Schema,
    ) {
        let aliases = before.aliases.as_deref().unwrap_or_default();
        for alias in wanted.aliases.iter().filter(|alias| !has(aliases, alias)) {
            self.push("aliases", PropertyChange::AliasAdded(alias.clone()));
        }
        for alias in aliases.iter().filter(|alias| !has(&wanted.aliases, alias)) {
            if !stays(alias, before, wanted, schema) {
                self.push("aliases", PropertyChange::AliasRemoved(alias.clone()));
            }
        }
    }
}

fn has(aliases: &[String], alias: &str) -> bool {
    aliases.iter().any(|other| other.eq_ignore_ascii_case(alias))
}

/// The aliases of a registered property that stay although nobody wants them: all of one that is
/// and stays refinable, and those of the service, unless the wanted schema gives the name to
/// another property.
pub(super) fn aliases_that_stay<'a>(
    before: &'a StoredSchemaProperty,
    wanted: &'a SchemaProperty,
    schema: &'a Schema,
) -> impl Iterator<Item = &'a String> {
    let aliases = before.aliases.as_deref().unwrap_or_default().iter();
    aliases.filter(|alias| !has(&wanted.aliases, alias) && stays(alias, before, wanted, schema))
}

fn stays(
    alias: &str,
    before: &StoredSchemaProperty,
    wanted: &SchemaProperty,
    schema: &Schema,
) -> bool {
    let is_given = |other: &SchemaProperty| {
        other.name != wanted.name
            && (other.name.eq_ignore_ascii_case(alias) || has(&other.aliases, alias))
    };
    let refinable = before.has(SchemaAttribute::Refinable) && wanted.refinable;
    (refinable || is_of_the_service(alias)) && !schema.properties().iter().any(is_given)
}

/// Whether the service names its own aliases so, as in `RefinableString00`. Examples show it; that
/// it keeps them when a property is refinable no longer is assumed.
fn is_of_the_service(alias: &str) -> bool {
    let Some(rest) = alias.strip_prefix("Refinable") else { return false };
    let number = rest.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
    number.len() < rest.len() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a type that was read can be this one. The sentinel stands for any that came after it.
fn may_be(read: &PropertyType, kind: &PropertyType) -> bool {
    let newer = kind.is_principal() || matches!(kind, PropertyType::Other(_));
    read == kind || (read.as_str() == UNKNOWN_FUTURE_VALUE && newer)
}

impl SchemaChange {
    fn new(property: &str, what: PropertyChange, place: String) -> Self {
        let (verdict, reason) = judge(&what);
        Self { property: property.to_owned(), what, verdict, reason, place }
    }
}

/// What the documents say of a change. Where they are silent, as of removing a property and of
/// changing its type, it is assumed not to be possible; that descriptions and ranking hints hold
/// at once is assumed, too.
///
/// An older version of the page asks for re-ingestion after a change of labels, and a newer one
/// after switching any attribute on or off; both are heeded.
fn judge(what: &PropertyChange) -> (SchemaVerdict, &'static str) {
    use SchemaVerdict::{Allowed, Impossible, NeedsReingest};
    match what {
        PropertyChange::Added => {
            (Allowed, "items that are there lack it until they are put again, as is advised")
        }
        PropertyChange::Removed => {
            (Impossible, "what is registered stays; keep it, or make another connection")
        }
        PropertyChange::Type { .. } => {
            (Impossible, "what is registered stays; add a property with another name")
        }
        PropertyChange::SwitchedOn(SchemaAttribute::Refinable) => {
            (Impossible, "that is decided when it is added; add a property with another name")
        }
        PropertyChange::SwitchedOn(_) => {
            (NeedsReingest, "it holds for an item only once the item is put again")
        }
        PropertyChange::SwitchedOff(_) => {
            (NeedsReingest, "old and new items differ until all are put again")
        }
        PropertyChange::LabelAdded(_) | PropertyChange::LabelRemoved(_) => {
            (NeedsReingest, "search and Copilot take the old meaning until items are put again")
        }
        PropertyChange::AliasRemoved(alias) if is_of_the_service(alias) => {
            (Impossible, "the service named it so, and keeps that; give others another alias")
        }
        PropertyChange::AliasAdded(_) | PropertyChange::AliasRemoved(_) => {
            (Allowed, "it holds for all items at once")
        }
        PropertyChange::Description(_) | PropertyChange::RankingHint(_) => {
            (Allowed, "it says nothing of items")
        }
    }
}

impl fmt::Display for PropertyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added => f.write_str("is added"),
            Self::Removed => f.write_str("is removed"),
            Self::Type { from, to } => {
                let (from, to) = (from.as_str().escape_debug(), to.as_str().escape_debug());
                write!(f, "changes its type from {from} to {to}")
            }
            Self::SwitchedOn(attribute) => write!(f, "gets {attribute}"),
            Self::SwitchedOff(attribute) => write!(f, "loses {attribute}"),
            Self::LabelAdded(label) => write!(f, "gets the label {}", quote(label.as_str())),
            Self::LabelRemoved(label) => write!(f, "loses the label {}", quote(label.as_str())),
            Self::AliasAdded(alias) => write!(f, "gets the alias {}", quote(alias)),
            Self::AliasRemoved(alias) => write!(f, "loses the alias {}", quote(alias)),
            Self::Description(Some(to)) => write!(f, "is described as {}", quote(to)),
            Self::Description(None) => f.write_str("loses its description"),
            Self::RankingHint(importance) => {
                write!(f, "gets the ranking hint {}", quote(importance.as_str()))
            }
        }
    }
}

impl fmt::Display for SchemaVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Allowed => "allowed",
            Self::NeedsReingest => "items have to be put again",
            Self::Impossible => "impossible",
        })
    }
}

impl fmt::Display for SchemaChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { property, what, verdict, reason, .. } = self;
        write!(f, "{}: {what} ({verdict}): {reason}", property.escape_debug())
    }
}

/// One line a change; nothing where there is none.
impl fmt::Display for SchemaPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, change) in self.changes.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{change}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::check::tests::schema;
    use super::*;

    fn stored(json: serde_json::Value) -> StoredSchema {
        serde_json::from_value(json!({ "properties": json })).unwrap()
    }

    /// The form in which the service answers with a schema.
    fn stored_form(schema: &Schema) -> StoredSchema {
        serde_json::from_value(serde_json::to_value(schema).unwrap()).unwrap()
    }

    fn one(json: serde_json::Value, wanted: SchemaProperty) -> Vec<SchemaChange> {
        let wanted = Schema::new([wanted]).unwrap();
        SchemaPlan::between(&stored(json!([json])), &wanted).changes
    }

    fn text(name: &str) -> SchemaProperty {
        SchemaProperty::new(name, PropertyType::String)
    }

    #[test]
    fn each_change_has_the_verdict_of_the_documents() {
        use SchemaVerdict::{Allowed, Impossible, NeedsReingest};
        let plain = json!({"name": "a", "type": "string", "isRetrievable": true});
        let full = json!({"name": "a", "type": "String", "isRetrievable": true,
            "isSearchable": true, "isQueryable": true, "labels": ["title"], "aliases": ["b"],
            "description": "d", "rankingHint": {"importanceScore": "low"}});
        let refinable = json!({"name": "a", "type": "string", "isRetrievable": true,
            "isRefinable": true});
        let all = || {
            let wanted = text("a").retrievable().searchable().queryable().label(Label::Title);
            wanted.alias("b").description("d").ranking_hint(ImportanceScore::Low)
        };
        assert_eq!(one(full.clone(), all()), []);
        let on = PropertyChange::SwitchedOn;
        let off = PropertyChange::SwitchedOff;
        let found = |json: &serde_json::Value, wanted: SchemaProperty| {
            let changes = one(json.clone(), wanted).into_iter();
            changes.map(|change| (change.what, change.verdict)).collect::<Vec<_>>()
        };
        assert_eq!(
            found(&plain, all()),
            [
                (PropertyChange::Description(Some("d".into())), Allowed),
                (on(SchemaAttribute::Searchable), NeedsReingest),
                (on(SchemaAttribute::Queryable), NeedsReingest),
                (PropertyChange::LabelAdded(Label::Title), NeedsReingest),
                (PropertyChange::AliasAdded("b".into()), Allowed),
                (PropertyChange::RankingHint(ImportanceScore::Low), Allowed),
            ]
        );
        assert_eq!(
            found(&full, text("a").retrievable()),
            [
                (PropertyChange::Description(None), Allowed),
                (off(SchemaAttribute::Searchable), NeedsReingest),
                (off(SchemaAttribute::Queryable), NeedsReingest),
                (PropertyChange::LabelRemoved(Label::Title), NeedsReingest),
                (PropertyChange::AliasRemoved("b".into()), Allowed),
            ]
        );
        assert_eq!(
            found(&plain, text("a").refinable().exact_match_required()),
            [
                (off(SchemaAttribute::Retrievable), NeedsReingest),
                (on(SchemaAttribute::Refinable), Impossible),
                (on(SchemaAttribute::ExactMatchRequired), NeedsReingest),
            ]
        );
        assert_eq!(
            found(&refinable, text("a").retrievable()),
            [(off(SchemaAttribute::Refinable), NeedsReingest)]
        );
        assert_eq!(
            found(&plain, SchemaProperty::new("a", PropertyType::Int64).retrievable()),
            [(
                PropertyChange::Type { from: PropertyType::String, to: PropertyType::Int64 },
                Impossible
            )]
        );
    }

    #[test]
    fn a_plan_is_a_report_in_the_order_of_the_wanted_schema_and_refused_with_places() {
        let stored = stored(json!([
            {"name": "gone", "type": "string"},
            {"name": "b", "type": "string"},
            {"name": "a", "type": "string", "isRetrievable": true, "labels": ["url"]},
        ]));
        let wanted = Schema::new([
            text("new"),
            text("a").retrievable(),
            text("b").retrievable().refinable().label(Label::Url),
            text("Gone"),
        ])
        .unwrap();
        let plan = SchemaPlan::between(&stored, &wanted);
        assert_eq!(
            plan.to_string(),
            "new: is added (allowed): items that are there lack it until they are put again, as \
             is advised\n\
             a: loses the label \"url\" (items have to be put again): search and Copilot take the old \
             meaning until items are put again\n\
             b: gets isRetrievable (items have to be put again): it holds for an item only once \
             the item is put again\n\
             b: gets isRefinable (impossible): that is decided when it is added; add a property \
             with another name\n\
             b: gets the label \"url\" (items have to be put again): search and Copilot take the old \
             meaning until items are put again\n\
             Gone: is added (allowed): items that are there lack it until they are put again, as \
             is advised\n\
             gone: is removed (impossible): what is registered stays; keep it, or make another \
             connection"
        );
        assert_eq!((plan.is_possible(), plan.needs_reingest()), (false, true));
        assert_eq!(
            plan.check().unwrap_err().to_string(),
            "$.properties[2].isRefinable: \"b\" gets isRefinable; that is decided when it is \
             added; add a property with another name [schema-update]; \
             $.properties: \"gone\" is removed; what is registered stays; keep it, or make \
             another connection [schema-update]"
        );
    }

    #[test]
    fn what_others_than_the_owner_have_put_there_is_no_difference() {
        let refinable = json!({"name": "a", "type": "string", "isRefinable": true,
            "aliases": ["RefinableString01"], "rankingHint": {"importanceScore": "high"}});
        assert_eq!(one(refinable.clone(), text("a").refinable()), []);
        let added = one(refinable, text("a").refinable().alias("mine"));
        assert_eq!(added.len(), 1);
        assert_eq!(added[0].what, PropertyChange::AliasAdded("mine".into()));
        let no_longer = json!({"name": "a", "type": "string", "aliases": ["RefinableDate07", "x"]});
        let removed = one(no_longer, text("a"));
        assert_eq!(removed.len(), 1);
        assert_eq!(removed[0].what, PropertyChange::AliasRemoved("x".into()));
        let other_case = json!({"name": "a", "type": "string", "aliases": ["Mine"]});
        assert_eq!(one(other_case, text("a").alias("mine")), []);
        for none in [
            json!({"name": "a", "type": "string", "description": ""}),
            json!({"name": "a", "type": "string", "description": null}),
        ] {
            assert_eq!(one(none.clone(), text("a").description("")), []);
            assert_eq!(one(none, text("a")), []);
        }
    }

    #[test]
    fn what_the_service_named_a_property_is_given_to_no_other() {
        let before = |alias| {
            stored(json!([{"name": "a", "type": "string", "isRefinable": true, "aliases": [alias]},
                {"name": "b", "type": "string"}]))
        };
        let wanted = |alias| Schema::new([text("a").refinable(), text("b").alias(alias)]).unwrap();
        let plan = SchemaPlan::between(&before("RefinableString00"), &wanted("refinableString00"));
        assert_eq!(
            plan.check().unwrap_err().to_string(),
            "$.properties[0].aliases: \"a\" loses the alias \"RefinableString00\"; the service \
             named it so, and keeps that; give others another alias [schema-update]"
        );
        let plan = SchemaPlan::between(&before("moving"), &wanted("moving"));
        assert!(plan.is_possible());
        assert_eq!(plan.changes()[0].what, PropertyChange::AliasRemoved("moving".into()));
        assert_eq!(plan.changes()[1].what, PropertyChange::AliasAdded("moving".into()));
    }

    #[test]
    fn what_the_sentinel_hides_does_not_make_an_update_impossible() {
        let hidden = json!({"name": "a", "type": "unknownFutureValue", "isRetrievable": true,
            "labels": ["unknownFutureValue"]});
        let principal = SchemaProperty::new("a", PropertyType::Principal).retrievable();
        assert_eq!(one(hidden.clone(), principal.clone()), []);
        // Which label it hides is not to be known; registering it again does no harm.
        let labelled = one(hidden.clone(), principal.label(Label::from("labelOfTomorrow")));
        assert_eq!(labelled[0].what, PropertyChange::LabelAdded("labelOfTomorrow".into()));
        let text = one(hidden, text("a").retrievable());
        assert_eq!(text[0].verdict, SchemaVerdict::Impossible);
        let odd = json!({"name": "a", "type": 7});
        let odd =
            crate::types::read(json!({ "properties": [odd, {"x": 1}] }).to_string().as_bytes());
        let wanted = Schema::new([SchemaProperty::new("a", PropertyType::Int64)]).unwrap();
        assert!(SchemaPlan::between(&odd.unwrap(), &wanted).is_empty());
    }

    proptest! {
        #[test]
        fn between_a_schema_and_its_own_stored_form_there_is_nothing(schema in schema()) {
            let stored = stored_form(&schema);
            prop_assert_eq!(SchemaPlan::between(&stored, &schema), SchemaPlan::default());
            prop_assert_eq!(Schema::try_from(&stored), Ok(schema));
        }

        #[test]
        fn a_plan_is_possible_unless_a_change_is_impossible(from in schema(), to in schema()) {
            let plan = SchemaPlan::between(&stored_form(&from), &to);
            let count = |verdict| plan.changes().iter().filter(|change| change.verdict == verdict).count();
            let impossible = count(SchemaVerdict::Impossible);
            prop_assert_eq!(plan.is_possible(), impossible == 0);
            prop_assert_eq!(plan.needs_reingest(), count(SchemaVerdict::NeedsReingest) > 0);
            let refused = plan.check().err().map_or(0, |why| why.faults().len());
            prop_assert_eq!(refused, impossible);
            prop_assert_eq!(plan.to_string().lines().count(), plan.changes().len());

            // What the wanted schema has comes first, in its order, and what is removed last.
            let at = |change: &SchemaChange| {
                to.properties().iter().position(|known| known.name() == change.property)
            };
            let order: Vec<_> = plan.changes().iter().map(|c| at(c).unwrap_or(usize::MAX)).collect();
            prop_assert!(order.is_sorted());
            for change in plan.changes() {
                prop_assert_eq!(change.what == PropertyChange::Removed, at(change).is_none());
            }
        }

        #[test]
        fn a_schema_that_only_grows_is_possible(schema in schema()) {
            let (first, rest) = schema.properties().split_first().unwrap();
            let less = Schema::new([first.clone()]);
            // A schema of people may lack its account now.
            prop_assume!(less.is_ok());
            let plan = SchemaPlan::between(&stored_form(&less.unwrap()), &schema);
            prop_assert!(plan.is_possible() && !plan.needs_reingest());
            prop_assert_eq!(plan.changes().len(), rest.len());
        }
    }
}
