//! Reads schemas, alone and against the one that is registered already.
//!
//! Sources: resources schema, property and rankingHint, the page patch-schema, manage-schema for
//! updates, build-connectors-with-people-data.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet, hash_map::Entry},
};

use super::{
    Form, Found, Member, Need, Reader, Shape, Words,
    label::{LABEL, RELATIONS, WANTED, is_of_people, types_of},
};
use crate::{
    check::{cut, shown},
    findings::by_switch,
    json::Json,
    model::{Declaration, PropertyType, Schema},
    path::Path,
    rules::Rule,
};

pub(super) const SCHEMA: Shape = Shape {
    name: "a schema",
    odata_type: "microsoft.graph.externalConnectors.schema",
    members: &[
        Member("id", Need::Server, Form::Text),
        Member("baseType", Need::Required, Form::Text),
        Member("properties", Need::Required, Form::Array),
    ],
};

pub(super) const PROPERTY_TYPE: Words = Words {
    name: "propertyType",
    known: &[
        "string",
        "int64",
        "double",
        "dateTime",
        "boolean",
        "stringCollection",
        "int64Collection",
        "doubleCollection",
        "dateTimeCollection",
        "principal",
        "principalCollection",
    ],
};

pub(super) const DECLARATION: Shape = Shape {
    name: "a property of a schema",
    odata_type: "microsoft.graph.externalConnectors.property",
    members: &[
        Member("name", Need::Required, Form::AnyText),
        Member("type", Need::Required, Form::Word(&PROPERTY_TYPE)),
        Member("description", Need::Optional, Form::Text),
        Member("isSearchable", Need::Optional, Form::Boolean),
        Member("isQueryable", Need::Optional, Form::Boolean),
        Member("isRetrievable", Need::Optional, Form::Boolean),
        Member("isRefinable", Need::Optional, Form::Boolean),
        Member("isExactMatchRequired", Need::Beta, Form::Boolean),
        Member("rankingHint", Need::Beta, Form::Object),
        Member("aliases", Need::Optional, Form::Array),
        Member("labels", Need::Optional, Form::Array),
    ],
};

pub(super) const IMPORTANCE_SCORE: Words =
    Words { name: "importanceScore", known: &["low", "medium", "high", "veryHigh"] };

pub(super) const RANKING_HINT: Shape = Shape {
    name: "a ranking hint",
    odata_type: "microsoft.graph.externalConnectors.rankingHint",
    members: &[Member("importanceScore", Need::Beta, Form::Word(&IMPORTANCE_SCORE))],
};

/// A property as it was read, and where it stands.
struct Declared {
    index: usize,
    declaration: Declaration,
    /// Where each of its labels stands among those that were sent.
    labels: Vec<usize>,
}

impl Reader<'_> {
    /// Reads a schema that is to stand in the place of another one, if that is registered.
    pub(crate) fn schema(&mut self, json: Json<'_>, registered: Option<&Schema>) -> Schema {
        let mut schema = Schema { properties: Vec::new() };
        let Some(found) = self.members(json, &Path::ROOT, &SCHEMA) else {
            return schema;
        };
        if let Some(base) = found.text("baseType")
            && base != "microsoft.graph.externalItem"
        {
            let message =
                format!("the base type is microsoft.graph.externalItem, not {}", shown(&base));
            self.refuse(Rule::SchemaBaseType, Path::ROOT.name("baseType"), message);
        }
        let Some(properties) = found.get("properties") else {
            return schema;
        };
        let place = Path::ROOT.name("properties");
        let (properties, most) = (properties.elements(), self.behaviour.schema_properties);
        if properties.is_empty() || properties.len() > most {
            let message = match properties.len() {
                0 => format!("there are none; send 1 to {most}"),
                more => by_switch(
                    format_args!("there are {more}; a schema has 1 to {most}"),
                    "schema-properties",
                ),
            };
            self.refuse(Rule::SchemaSize, place, message);
        }
        let mut names: HashMap<String, String> = HashMap::new();
        let mut declared = Vec::with_capacity(properties.len().min(most));
        for (index, property) in properties.iter().enumerate() {
            let place = place.index(index);
            if let Some((declaration, labels)) = self.declaration(*property, &place) {
                match names.entry(declaration.name.to_ascii_lowercase()) {
                    Entry::Vacant(free) => drop(free.insert(declaration.name.clone())),
                    Entry::Occupied(other) => {
                        let message = format!(
                            "the schema has {} already; letter case makes no other name",
                            shown(other.get())
                        );
                        self.refuse(Rule::PropertyTwice, place.name("name"), message);
                    }
                }
                declared.push(Declared { index, declaration, labels });
            }
        }
        self.labels(&declared, &place);
        if let Some(registered) = registered {
            self.update(registered, &properties, &declared, &place);
        }
        schema.properties = declared.into_iter().map(|each| each.declaration).collect();
        schema
    }

    /// A property, and where each of its labels stands.
    fn declaration(
        &mut self,
        json: Json<'_>,
        path: &Path<'_>,
    ) -> Option<(Declaration, Vec<usize>)> {
        let found = self.members(json, path, &DECLARATION)?;
        let name = found.text("name");
        if let Some(name) = &name {
            self.property_name(name, &path.name("name"));
        }
        let (mut aliases, mut labels, mut places) = (Vec::new(), Vec::new(), Vec::new());
        self.texts(found.get("aliases"), &path.name("aliases"), |reader, text, place| {
            reader.property_name(text, place);
            aliases.push(text.to_owned());
        });
        let mut index = 0;
        self.texts(found.get("labels"), &path.name("labels"), |reader, text, place| {
            if reader.word(text, place, &LABEL)
                && let Some(label) = LABEL.find_in_any_case(text)
            {
                labels.push(label);
                places.push(index);
            }
            index += 1;
        });
        if let Some(description) = found.text("description") {
            let length = description.chars().count();
            if length > 200 {
                let message = format!("it has {length} characters; shorten it to 200");
                self.refuse(Rule::PropertyDescription, path.name("description"), message);
            }
        }
        if let Some(hint) = found.get("rankingHint") {
            self.members(hint, &path.name("rankingHint"), &RANKING_HINT);
        }
        let kind = found.word("type", &PROPERTY_TYPE);
        let declaration = Declaration {
            name: name?,
            kind: PropertyType::of_name(kind?)?,
            labels,
            aliases,
            own_alias: None,
            members: found.raw_except(&["name", "type", "labels", "aliases"]),
        };
        self.attributes(&declaration, &found, path);
        Some((declaration, places))
    }

    /// What a property is for, and whether its type is good for that.
    fn attributes(&mut self, declaration: &Declaration, found: &Found<'_>, path: &Path<'_>) {
        use PropertyType::{Boolean, Double, Int64, String, StringCollection};
        let kind = declaration.kind;
        let (searchable, refinable) =
            (declaration.is("isSearchable"), declaration.is("isRefinable"));
        let is_text = matches!(kind, String | StringCollection);
        let place = path.name("isSearchable");
        if searchable && !is_text {
            let message = format!(
                "a property of type {} cannot be searchable; only string and stringCollection can",
                kind.name()
            );
            self.refuse(Rule::SchemaSearchable, place, message);
        }
        if searchable && refinable {
            let message = "a property is searchable or refinable, not both; leave one out";
            self.refuse(Rule::SchemaSearchable, place, message);
        }
        let place = path.name("isRefinable");
        match kind {
            _ if !refinable => {}
            String | Int64 | Double => {}
            Boolean => {
                let message = "a boolean cannot be refinable; leave isRefinable out";
                self.refuse(Rule::SchemaRefinable, place, message);
            }
            other => {
                let verdict = self.behaviour.refinable_type;
                self.findings.judge(
                    verdict,
                    "refinable-type",
                    Rule::SchemaRefinable,
                    place,
                    || {
                        format!(
                            "a refinable property is text or a number, and not {}; leave \
                             isRefinable out",
                            other.name()
                        )
                    },
                );
            }
        }
        if declaration.is("isExactMatchRequired") && (searchable || !is_text) {
            let message = "an exact match is for string and stringCollection that are not \
                           searchable; leave isExactMatchRequired out";
            self.refuse(Rule::SchemaExactMatch, path.name("isExactMatchRequired"), message);
        }
        // With a label of people the attributes are ignored.
        let labelled = declaration.labels.iter().any(|label| !is_of_people(label));
        if labelled && !declaration.is("isRetrievable") {
            let message = "a property with a label is retrievable; send \"isRetrievable\": true";
            self.refuse(Rule::LabelRetrievable, path.name("isRetrievable"), message);
        }
        let labels = path.name("labels");
        self.texts(found.get("labels"), &labels, |reader, label, place| {
            let label = LABEL.find_in_any_case(label).unwrap_or_default();
            let Some(types) = types_of(label).filter(|types| !types.contains(&kind)) else {
                return;
            };
            let types: Vec<&str> = types.iter().map(|kind| kind.name()).collect();
            let message = format!(
                "the label {label} is for a {}, and the property is a {}",
                types.join(" or "),
                kind.name()
            );
            reader.refuse(Rule::LabelType, place, message);
        });
    }

    /// What holds for the labels of all properties together.
    fn labels(&mut self, declared: &[Declared], path: &Path<'_>) {
        let all = || declared.iter().flat_map(|each| &each.declaration.labels);
        let is_people = all().any(|label| is_of_people(label));
        let mut seen = HashSet::new();
        for Declared { index, declaration, labels: places } in declared {
            let property = path.index(*index);
            let labels = property.name("labels");
            for (label, index) in declaration.labels.iter().zip(places) {
                if !seen.insert(label) {
                    let message = format!("the label {label} stands on another property already");
                    self.refuse(Rule::LabelTwice, labels.index(*index), message);
                }
                if RELATIONS.contains(label) {
                    let message = format!("a people connector cannot have {label}; leave it out");
                    self.refuse(Rule::PeopleSchema, labels.index(*index), message);
                }
            }
            let kind = declaration.kind;
            if is_people && kind.element().unwrap_or(kind) == PropertyType::Principal {
                let message = format!("a people connector has no {}; use a string", kind.name());
                self.refuse(Rule::PeopleSchema, property.name("type"), message);
            }
        }
        if is_people {
            if !seen.contains(&"personAccount") {
                let message = "a people connector needs a property with the label personAccount";
                self.refuse(Rule::PeopleSchema, path, message);
            }
            return;
        }
        let missing: Vec<&str> = WANTED.into_iter().filter(|label| !seen.contains(label)).collect();
        if self.behaviour.label_missing && !declared.is_empty() && !missing.is_empty() {
            let message = format!("Copilot wants the labels {} as well", missing.join(", "));
            self.findings.report(Rule::LabelMissing, path, message);
        }
    }

    /// What an update cannot do with what is registered.
    fn update(
        &mut self,
        registered: &Schema,
        sent: &[Json<'_>],
        declared: &[Declared],
        path: &Path<'_>,
    ) {
        // Also those that could not be read: they are not missing as well.
        let names: HashSet<Cow<'_, str>> =
            sent.iter().filter_map(|property| property.member("name")?.text()).collect();
        let registered_names = registered.properties.iter().map(|old| &*old.name);
        let gone: Vec<&str> = registered_names.filter(|name| !names.contains(*name)).collect();
        if !gone.is_empty() {
            let message = format!(
                "registered is also {}, and no property can be removed; send all of them",
                cut(&gone.join(", "))
            );
            self.refuse(Rule::SchemaUpdate, path, message);
        }
        for Declared { index, declaration, .. } in declared {
            let place = path.index(*index);
            let Some(old) = registered.find(&declaration.name) else {
                continue;
            };
            if old.kind != declaration.kind {
                let message = format!(
                    "it is registered as {}, and a type cannot be changed; keep it",
                    old.kind.name()
                );
                self.refuse(Rule::SchemaUpdate, place.name("type"), message);
            }
            if declaration.is("isRefinable") && !old.is("isRefinable") {
                let message = "it is registered as not refinable, and an update cannot switch that \
                               on; add another property";
                self.refuse(Rule::SchemaUpdate, place.name("isRefinable"), message);
            }
            let is = |own: &&str| declaration.aliases.iter().any(|it| it.eq_ignore_ascii_case(own));
            let Some(own) = old.own_alias.as_deref().filter(|own| !is(own)) else { continue };
            let is_given = |other: &Declaration| {
                let mut names = other.aliases.iter().chain([&other.name]);
                names.any(|name| name.eq_ignore_ascii_case(own))
            };
            if declared.iter().any(|each| is_given(&each.declaration)) {
                let message = format!(
                    "its alias {own} came with isRefinable and cannot be taken away, and another \
                     property is to have it; give that one another alias"
                );
                self.refuse(Rule::SchemaUpdate, place.name("aliases"), message);
            }
        }
    }

    pub(super) fn property_name(&mut self, name: &str, place: &Path<'_>) {
        let good =
            (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
        if !good {
            let message =
                format!("{} is no name; one is 1 to 32 ASCII letters and digits", shown(name));
            self.refuse(Rule::PropertyName, place, message);
        }
    }
}
