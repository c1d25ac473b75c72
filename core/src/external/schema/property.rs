//! One property of a schema
//! ([property](https://learn.microsoft.com/graph/api/resources/externalconnectors-property)).
//!
//! What a property may look like is in `schema_check`; the values that items have for it are in
//! `property`.

use std::fmt;

use serde::{Serialize, Serializer};

use super::update::PropertyOver;
use crate::{
    external::Label,
    protocol::{OnlyIn, ServiceRoot},
    types::{FaultList, open_enum, resource},
};

open_enum! {
    /// The type of a property.
    pub enum PropertyType {
        /// A text.
        String = "string",
        /// A whole number of 64 bits.
        Int64 = "int64",
        /// A floating-point number of 64 bits.
        Double = "double",
        /// A point in time.
        DateTime = "dateTime",
        /// True or false.
        Boolean = "boolean",
        /// Texts.
        StringCollection = "stringCollection",
        /// Whole numbers.
        Int64Collection = "int64Collection",
        /// Floating-point numbers.
        DoubleCollection = "doubleCollection",
        /// Points in time.
        DateTimeCollection = "dateTimeCollection",
        /// A person or group. Not in the US government's clouds.
        Principal = "principal",
        /// Persons or groups. Not in the US government's clouds.
        PrincipalCollection = "principalCollection",
    }
}

impl PropertyType {
    /// Whether it is a text or several.
    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::String | Self::StringCollection)
    }

    /// Whether it is a person or several.
    pub(super) fn is_principal(&self) -> bool {
        matches!(self, Self::Principal | Self::PrincipalCollection)
    }

    /// Refuses what the service at this root does not have.
    pub(in crate::external) fn check_available(
        &self,
        to: &ServiceRoot,
        place: impl FnOnce() -> String,
        faults: &mut FaultList,
    ) {
        if self.is_principal() {
            OnlyIn::Commercial.check(to, place, format_args!("the type {self}"), faults);
        }
    }
}

open_enum! {
    /// How much a property weighs in the order of results
    /// ([rankingHint](https://learn.microsoft.com/graph/api/resources/externalconnectors-rankinghint?view=graph-rest-beta)).
    /// Beta only, which Microsoft does not support in production.
    pub enum ImportanceScore {
        /// Little.
        Low = "low",
        /// Somewhat.
        Medium = "medium",
        /// Much.
        High = "high",
        /// Very much.
        VeryHigh = "veryHigh",
    }
}

/// What can be done with a property, each switched on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SchemaAttribute {
    /// Its text is searched in.
    Searchable,
    /// It can be named in a query.
    Queryable,
    /// It comes back in results.
    Retrievable,
    /// Results can be narrowed by it.
    Refinable,
    /// A query matches the whole text only. Beta only.
    ExactMatchRequired,
}

impl SchemaAttribute {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Searchable,
        Self::Queryable,
        Self::Retrievable,
        Self::Refinable,
        Self::ExactMatchRequired,
    ];

    /// The name on the wire, such as `isSearchable`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Searchable => "isSearchable",
            Self::Queryable => "isQueryable",
            Self::Retrievable => "isRetrievable",
            Self::Refinable => "isRefinable",
            Self::ExactMatchRequired => "isExactMatchRequired",
        }
    }
}

impl fmt::Display for SchemaAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One property that items may have.
///
/// Every attribute is off until it is switched on. The rules are checked with the schema, by
/// [`Schema::new`](crate::external::Schema::new). One of a live schema can be read, changed and registered
/// again, as the conversion of a [`StoredSchema`](crate::external::StoredSchema) shows.
///
/// ```
/// use graphfeed_core::external::{Label, PropertyType, SchemaProperty};
///
/// let title = SchemaProperty::new("title", PropertyType::String)
///     .description("What the ticket is about, in one line")
///     .searchable()
///     .retrievable()
///     .label(Label::Title)
///     .alias("subject");
/// assert_eq!(title.name(), "title");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaProperty {
    pub(in crate::external) name: String,
    pub(in crate::external) kind: PropertyType,
    pub(super) description: Option<String>,
    pub(in crate::external) aliases: Vec<String>,
    pub(in crate::external) labels: Vec<Label>,
    pub(super) searchable: bool,
    pub(super) queryable: bool,
    pub(super) retrievable: bool,
    pub(super) refinable: bool,
    pub(super) exact_match_required: bool,
    pub(super) ranking_hint: Option<ImportanceScore>,
}

impl SchemaProperty {
    /// A property with this name, 1 to 32 ASCII letters and digits.
    pub fn new(name: impl Into<String>, kind: PropertyType) -> Self {
        Self {
            name: name.into(),
            kind,
            description: None,
            aliases: Vec::new(),
            labels: Vec::new(),
            searchable: false,
            queryable: false,
            retrievable: false,
            refinable: false,
            exact_match_required: false,
            ranking_hint: None,
        }
    }

    /// What it is for, in at most 200 characters; Copilot maps questions to properties by it. An
    /// empty text is none. Not in the US government's clouds.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into()).filter(|text| !text.is_empty());
        self
    }

    /// Switches an attribute on or off.
    #[must_use]
    pub fn switch(mut self, attribute: SchemaAttribute, on: bool) -> Self {
        let flag = match attribute {
            SchemaAttribute::Searchable => &mut self.searchable,
            SchemaAttribute::Queryable => &mut self.queryable,
            SchemaAttribute::Retrievable => &mut self.retrievable,
            SchemaAttribute::Refinable => &mut self.refinable,
            SchemaAttribute::ExactMatchRequired => &mut self.exact_match_required,
        };
        *flag = on;
        self
    }

    /// Its text is searched in. For `string` and `stringCollection` only, and not together with
    /// refinable.
    #[must_use]
    pub fn searchable(self) -> Self {
        self.switch(SchemaAttribute::Searchable, true)
    }

    /// It can be named in a query.
    #[must_use]
    pub fn queryable(self) -> Self {
        self.switch(SchemaAttribute::Queryable, true)
    }

    /// It comes back in results.
    #[must_use]
    pub fn retrievable(self) -> Self {
        self.switch(SchemaAttribute::Retrievable, true)
    }

    /// Results can be narrowed by it. For texts and numbers; not for `boolean`, and for the other
    /// types the documents differ. It cannot be switched on by a later update.
    #[must_use]
    pub fn refinable(self) -> Self {
        self.switch(SchemaAttribute::Refinable, true)
    }

    /// A query matches its whole text or not at all, as is right for an id. For `string` and
    /// `stringCollection` that are not searchable. Beta only, which Microsoft does not support in
    /// production.
    #[must_use]
    pub fn exact_match_required(self) -> Self {
        self.switch(SchemaAttribute::ExactMatchRequired, true)
    }

    /// How much it weighs in the order of results; the documents mean it for texts that are
    /// searchable and have no label. Beta only, which Microsoft does not support in production.
    #[must_use]
    pub fn ranking_hint(mut self, importance: ImportanceScore) -> Self {
        self.ranking_hint = Some(importance);
        self
    }

    /// What it means; a property with a label has to be retrievable, unless the label is about
    /// people. A label stands on one property of the schema.
    #[must_use]
    pub fn label(mut self, label: Label) -> Self {
        self.labels.push(label);
        self
    }

    /// Another name for it in queries, by the rules for names.
    #[must_use]
    pub fn alias(mut self, alias: impl Into<String>) -> Self {
        self.aliases.push(alias.into());
        self
    }

    /// Takes a label away, if it is there.
    #[must_use]
    pub fn without_label(mut self, label: &Label) -> Self {
        self.labels.retain(|known| known != label);
        self
    }

    /// Takes an alias away, if it is there, in any letter case.
    #[must_use]
    pub fn without_alias(mut self, alias: &str) -> Self {
        self.aliases.retain(|known| !known.eq_ignore_ascii_case(alias));
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type.
    pub fn kind(&self) -> &PropertyType {
        &self.kind
    }

    /// Its [`description`](Self::description).
    pub fn described(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Whether an attribute is on.
    pub fn has(&self, attribute: SchemaAttribute) -> bool {
        match attribute {
            SchemaAttribute::Searchable => self.searchable,
            SchemaAttribute::Queryable => self.queryable,
            SchemaAttribute::Retrievable => self.retrievable,
            SchemaAttribute::Refinable => self.refinable,
            SchemaAttribute::ExactMatchRequired => self.exact_match_required,
        }
    }

    /// The attributes that are on.
    pub fn attributes(&self) -> impl Iterator<Item = SchemaAttribute> {
        SchemaAttribute::ALL.into_iter().filter(|attribute| self.has(*attribute))
    }

    /// Its labels.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Its aliases.
    pub fn aliases(&self) -> &[String] {
        &self.aliases
    }

    /// Its [`ranking_hint`](Self::ranking_hint).
    pub fn importance(&self) -> Option<&ImportanceScore> {
        self.ranking_hint.as_ref()
    }

    /// Refuses what the service at this root does not have. What is taken away of `before`, the
    /// same property as it is registered, has to be written, too.
    pub(super) fn check_available(
        &self,
        before: Option<&StoredSchemaProperty>,
        to: &ServiceRoot,
        index: usize,
        faults: &mut FaultList,
    ) {
        self.kind.check_available(to, || member(index, "type"), faults);
        if self.description.is_some() || before.is_some_and(|it| it.described().is_some()) {
            let place = || member(index, "description");
            OnlyIn::Commercial.check(to, place, "the description of a property", faults);
        }
        let was_exact = before.is_some_and(|it| it.has(SchemaAttribute::ExactMatchRequired));
        if self.exact_match_required || was_exact {
            let name = SchemaAttribute::ExactMatchRequired.name();
            OnlyIn::Beta.check(to, || member(index, name), name, faults);
        }
        for (at, label) in self.labels.iter().enumerate() {
            let place = || member(index, format_args!("labels[{at}]"));
            label.check_available(to, place, faults);
        }
        if self.ranking_hint.is_some() {
            OnlyIn::Beta.check(to, || member(index, "rankingHint"), "rankingHint", faults);
        }
    }
}

/// Where a member of a property is, as a JSONPath into the schema.
pub(super) fn member(index: usize, member: impl fmt::Display) -> String {
    format!("$.properties[{index}].{member}")
}

impl Serialize for SchemaProperty {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        PropertyOver::nothing(self).serialize(to)
    }
}

resource! {
    /// A property of a schema as the service answers with it. An attribute that is absent is off.
    pub struct StoredSchemaProperty {
        optional {
            /// The name.
            name: String = "name",
            /// The type.
            kind: PropertyType = "type",
            /// What it is for.
            description: String = "description",
            /// Other names; the service adds one of its own to a refinable property.
            aliases: Vec<String> = "aliases",
            /// What it means.
            labels: Vec<Label> = "labels",
            /// Whether its text is searched in.
            is_searchable: bool = "isSearchable",
            /// Whether it can be named in a query.
            is_queryable: bool = "isQueryable",
            /// Whether it comes back in results.
            is_retrievable: bool = "isRetrievable",
            /// Whether results can be narrowed by it.
            is_refinable: bool = "isRefinable",
            /// Whether a query matches the whole text only. Beta only.
            is_exact_match_required: bool = "isExactMatchRequired",
            /// How much it weighs. Beta only.
            ranking_hint: StoredRankingHint = "rankingHint",
        }
    }
}

resource! {
    /// How much a property weighs in the order of results, as the service answers with it.
    pub struct StoredRankingHint {
        optional {
            /// How much.
            importance_score: ImportanceScore = "importanceScore",
        }
    }
}

impl StoredSchemaProperty {
    pub(super) fn has(&self, attribute: SchemaAttribute) -> bool {
        let flag = match attribute {
            SchemaAttribute::Searchable => self.is_searchable,
            SchemaAttribute::Queryable => self.is_queryable,
            SchemaAttribute::Retrievable => self.is_retrievable,
            SchemaAttribute::Refinable => self.is_refinable,
            SchemaAttribute::ExactMatchRequired => self.is_exact_match_required,
        };
        flag.unwrap_or(false)
    }

    /// The description, if there is a text in it.
    pub(super) fn described(&self) -> Option<&str> {
        self.description.as_deref().filter(|text| !text.is_empty())
    }

    pub(super) fn importance(&self) -> Option<&ImportanceScore> {
        self.ranking_hint.as_ref()?.importance_score.as_ref()
    }

    /// The same to be written; without a type where none was read.
    pub(super) fn to_written(&self) -> SchemaProperty {
        let kind = self.kind.clone().unwrap_or_else(|| PropertyType::from(""));
        SchemaProperty {
            name: self.name.clone().unwrap_or_default(),
            kind,
            description: self.described().map(str::to_owned),
            aliases: self.aliases.clone().unwrap_or_default(),
            labels: self.labels.clone().unwrap_or_default(),
            searchable: self.has(SchemaAttribute::Searchable),
            queryable: self.has(SchemaAttribute::Queryable),
            retrievable: self.has(SchemaAttribute::Retrievable),
            refinable: self.has(SchemaAttribute::Refinable),
            exact_match_required: self.has(SchemaAttribute::ExactMatchRequired),
            ranking_hint: self.importance().cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_of_a_stored_property_has_a_field_and_nothing_else_is_lost() {
        let json = json!({
            "name": "a", "type": "principal", "description": "d", "aliases": ["b"],
            "labels": ["createdBy", "labelOfTomorrow"], "isSearchable": false,
            "isQueryable": true, "isRetrievable": true, "isRefinable": false,
            "isExactMatchRequired": true,
            "rankingHint": {"importanceScore": "veryHigh", "x": 1}, "new": [1],
        });
        let read: StoredSchemaProperty = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(read.description.as_deref(), Some("d"));
        assert_eq!(read.is_exact_match_required, Some(true));
        assert_eq!(read.importance(), Some(&ImportanceScore::VeryHigh));
        let other: Vec<&str> = read.other.iter().map(|(name, _)| name).collect();
        assert_eq!(other, ["new"]);
        assert_eq!(serde_json::to_value(&read).unwrap(), json);
    }

    #[test]
    fn every_member_is_written_under_its_own_name() {
        let all = SchemaProperty::new("a", PropertyType::StringCollection)
            .description("d")
            .queryable()
            .retrievable()
            .exact_match_required()
            .label(Label::Authors)
            .alias("b")
            .ranking_hint(ImportanceScore::High);
        assert_eq!(
            serde_json::to_value(&all).unwrap(),
            json!({"name": "a", "type": "stringCollection", "description": "d",
                "isQueryable": true, "isRetrievable": true, "isExactMatchRequired": true,
                "labels": ["authors"], "aliases": ["b"],
                "rankingHint": {"importanceScore": "high"}})
        );
        let refinable = SchemaProperty::new("a", PropertyType::Int64).searchable().refinable();
        assert_eq!(
            serde_json::to_value(&refinable).unwrap(),
            json!({"name": "a", "type": "int64", "isSearchable": true, "isRefinable": true})
        );
    }

    #[test]
    fn what_is_set_is_read_and_can_be_taken_away_again() {
        let full = SchemaAttribute::ALL
            .into_iter()
            .fold(SchemaProperty::new("a", PropertyType::String), |it, one| it.switch(one, true))
            .description("d")
            .label(Label::Title)
            .label(Label::Url)
            .alias("b")
            .alias("c")
            .ranking_hint(ImportanceScore::Low);
        assert_eq!(full.attributes().collect::<Vec<_>>(), SchemaAttribute::ALL);
        assert_eq!((full.described(), full.importance()), (Some("d"), Some(&ImportanceScore::Low)));
        let less = full
            .description("")
            .switch(SchemaAttribute::Refinable, false)
            .without_label(&Label::Title)
            .without_label(&Label::Tags)
            .without_alias("B");
        assert_eq!(less.described(), None);
        assert_eq!(less.attributes().count(), 4);
        assert!(!less.has(SchemaAttribute::Refinable));
        assert_eq!((less.labels(), less.aliases()), (&[Label::Url][..], &["c".to_owned()][..]));
    }
}
