//! Reads the properties of an item against the schema of its connection.
//!
//! Sources: put-items (type specifiers), resources properties, property and principal.

use std::{borrow::Cow, collections::HashMap};

use super::{Form, Found, Member, Need, Reader, Shape};
use crate::{
    check::{self, cut, shown},
    json::{Json, Kind},
    model::{Declaration, Property, PropertyType, Schema},
    path::Path,
    rules::Rule,
};

pub(super) const PRINCIPAL: Shape = Shape {
    name: "a principal",
    odata_type: "microsoft.graph.externalConnectors.principal",
    members: &[
        Member("email", Need::Optional, Form::Text),
        Member("entraDisplayName", Need::Optional, Form::Text),
        Member("entraId", Need::Optional, Form::Text),
        Member("externalId", Need::Optional, Form::Text),
        Member("externalName", Need::Optional, Form::Text),
        Member("tenantId", Need::Optional, Form::Text),
        Member("upn", Need::Optional, Form::Text),
    ],
};

/// A property as it was found: its value, its annotation, and where each stands.
#[derive(Default)]
struct Pair<'j> {
    value: Option<(usize, Json<'j>)>,
    annotation: Option<(usize, Json<'j>)>,
}

const SUFFIX: &str = "@odata.type";

impl Reader<'_> {
    /// Reads `properties` of an item.
    pub(super) fn properties(&mut self, item: &Found<'_>, schema: &Schema) -> Vec<Property> {
        let path = Path::ROOT.name("properties");
        let bag = item.get("properties");
        let members = bag.map(Json::members).unwrap_or_default();
        let mut order: Vec<Cow<'_, str>> = Vec::new();
        let mut pairs: HashMap<Cow<'_, str>, Pair<'_>> = HashMap::with_capacity(members.len());
        for (index, (name, value)) in members.into_iter().enumerate() {
            match name.strip_suffix(SUFFIX) {
                Some("") => self.bag_type(value, &path.name(&name)),
                Some(base) => {
                    let base: Cow<'_, str> = Cow::Owned(base.to_owned());
                    let pair = pairs.entry(base.clone()).or_insert_with(|| {
                        order.push(base);
                        Pair::default()
                    });
                    pair.annotation = Some((index, value));
                }
                None => {
                    let pair = pairs.entry(name.clone()).or_insert_with(|| {
                        order.push(name);
                        Pair::default()
                    });
                    pair.value = Some((index, value));
                }
            }
        }
        if order.is_empty() && (bag.is_some() || item.is_missing("properties")) {
            let message = "the item has no property; add at least one";
            self.refuse(Rule::PropertyRequired, path, message);
        }
        let mut properties = Vec::with_capacity(order.len());
        let mut names: HashMap<String, &str> = HashMap::with_capacity(order.len());
        for name in &order {
            let Some(pair) = pairs.get(name) else {
                continue;
            };
            if let Some(other) = names.insert(name.to_ascii_lowercase(), name) {
                let message =
                    format!("the item has {} already; letter case makes no other name", cut(other));
                self.refuse(Rule::PropertyTwice, path.name(name), message);
            }
            let Some(declaration) = schema.find(name) else {
                self.property_name(name, &path.name(name));
                self.undeclared(name, &path, schema);
                continue;
            };
            self.pair(declaration, pair, &path);
            if let Some((_, value)) = pair.value {
                properties.push(Property {
                    name: name.clone().into_owned(),
                    kind: declaration.kind,
                    json: value.raw().to_owned(),
                });
            }
        }
        properties
    }

    /// The `@odata.type` of the bag of properties itself.
    fn bag_type(&mut self, value: Json<'_>, place: &Path<'_>) {
        const BAG: &str = "#microsoft.graph.externalConnectors.properties";
        let text = value.text().unwrap_or_default();
        if text != BAG && text != BAG[1..] {
            let message = format!("properties is of type {BAG}; leave @odata.type out");
            self.refuse(Rule::AnnotationType, place, message);
        }
    }

    fn undeclared(&mut self, name: &str, path: &Path<'_>, schema: &Schema) {
        let mut declared = schema.properties.iter().map(|declaration| &*declaration.name);
        let near = declared.find(|declared| declared.eq_ignore_ascii_case(name));
        let place = path.name(name);
        match near {
            Some(near) => {
                let message = format!("the schema declares it as {near}; write it so");
                self.refuse(Rule::PropertyUndeclared, place, message);
            }
            None => {
                let hint = match name {
                    "additionalData" => "; its members belong directly under properties",
                    _ => "; leave it out, or register it first",
                };
                let message = format!("the schema declares no {}{hint}", shown(name));
                self.refuse(Rule::PropertyUndeclared, place, message);
            }
        }
    }

    fn pair(&mut self, declaration: &Declaration, pair: &Pair<'_>, path: &Path<'_>) {
        let (name, kind) = (&declaration.name, declaration.kind);
        let annotation_name = format!("{name}{SUFFIX}");
        let (place, annotation_place) = (path.name(name), path.name(&annotation_name));
        if let Some((_, annotation)) = pair.annotation {
            self.annotation(annotation, kind, &annotation_place);
        }
        let Some((value_index, value)) = pair.value else {
            let message = format!("{annotation_name} stands without a value; send {name}, too");
            self.refuse(Rule::MemberRequired, place, message);
            return;
        };
        if pair.annotation.is_some_and(|(index, _)| index > value_index) {
            let (verdict, rule) = (self.behaviour.annotation_order, Rule::AnnotationOrder);
            self.findings.judge(verdict, "annotation-order", rule, annotation_place, || {
                format!("{annotation_name} stands after {name}; write it before")
            });
        }
        if value.is_null() {
            let verdict = self.behaviour.null_property;
            self.findings.judge(verdict, "null-property", Rule::PropertyType, place, || {
                format!("{name} is null; leave out what has no value")
            });
            return;
        }
        let Some(element) = kind.element() else {
            let missing = pair.annotation.is_none().then_some(&*annotation_name);
            self.value(value, kind, &place, missing);
            return;
        };
        if pair.annotation.is_none() {
            let verdict = self.behaviour.annotation_collection;
            self.findings.judge(
                verdict,
                "annotation-collection",
                Rule::AnnotationCollection,
                place,
                || {
                    format!(
                        "{name} is a collection; write \"{annotation_name}\": \"{}\" before it",
                        kind.annotation()
                    )
                },
            );
        }
        if value.kind() != Kind::Array {
            self.wrong_type(value, kind, &place);
            return;
        }
        for (index, value) in value.elements().into_iter().enumerate() {
            // The annotation of the collection speaks for its elements.
            self.value(value, element, &place.index(index), None);
        }
    }

    fn annotation(&mut self, annotation: Json<'_>, kind: PropertyType, place: &Path<'_>) {
        let wanted = kind.annotation();
        let text = annotation.text().unwrap_or_default();
        let (hash, bare) = match text.strip_prefix('#') {
            Some(bare) => (true, bare),
            None => (false, &*text),
        };
        if bare != wanted {
            let message = format!(
                "the property is declared as {}; write {wanted}, not {}",
                kind.name(),
                shown(if text.is_empty() { annotation.raw() } else { &text }),
            );
            self.refuse(Rule::AnnotationType, place, message);
        } else if hash {
            let verdict = self.behaviour.annotation_hash;
            self.findings.judge(verdict, "annotation-hash", Rule::AnnotationType, place, || {
                format!("write {wanted}, without #")
            });
        }
    }

    fn wrong_type(&mut self, value: Json<'_>, kind: PropertyType, place: &Path<'_>) {
        let found = match value.kind() {
            Kind::Number => format!("the number {}", shown(value.raw()).trim_matches('"')),
            other => other.to_string(),
        };
        let wanted = match kind {
            PropertyType::Int64 => "a whole number of 64 bits, without point or exponent",
            PropertyType::Double => "a finite number",
            PropertyType::Boolean => "true or false",
            PropertyType::Principal => "an object",
            _ if kind.element().is_some() => "an array",
            _ => "a string",
        };
        let message = format!("the type is {}; send {wanted}, not {found}", kind.name());
        self.refuse(Rule::PropertyType, place, message);
    }

    /// Checks one value, alone or in a collection. If it has no annotation, `missing` is the name
    /// of the one that it lacks.
    fn value(
        &mut self,
        value: Json<'_>,
        kind: PropertyType,
        place: &Path<'_>,
        missing: Option<&str>,
    ) {
        let right = match kind {
            PropertyType::Int64 => value.raw().parse::<i64>().is_ok(),
            PropertyType::Double => {
                value.kind() == Kind::Number && value.raw().parse::<f64>().is_ok_and(f64::is_finite)
            }
            PropertyType::Boolean => value.kind() == Kind::Boolean,
            PropertyType::Principal => value.kind() == Kind::Object,
            _ => value.kind() == Kind::Text,
        };
        if !right {
            self.wrong_type(value, kind, place);
            return;
        }
        match (kind, missing) {
            (PropertyType::String, Some(annotation))
                if value.text().is_some_and(|text| !text.is_ascii()) =>
            {
                let (verdict, rule) =
                    (self.behaviour.annotation_non_ascii, Rule::AnnotationNonAscii);
                self.findings.judge(verdict, "annotation-non-ascii", rule, place, || {
                    format!(
                        "the string has a character beyond ASCII; write \"{annotation}\": \"{}\" \
                         before it",
                        kind.annotation()
                    )
                });
            }
            (PropertyType::DateTime, _) => {
                self.date(&value.text().unwrap_or_default(), place);
            }
            (PropertyType::Principal, _) => self.principal(value, place, missing.is_none()),
            _ => {}
        }
    }

    fn principal(&mut self, json: Json<'_>, path: &Path<'_>, annotated: bool) {
        let Some(found) = self.members(json, path, &PRINCIPAL) else {
            return;
        };
        if !annotated {
            self.typed(json, path, &PRINCIPAL);
        }
        let is_empty = |(_, member): &(_, Json<'_>)| member.text().is_some_and(|it| it.is_empty());
        if found.good.iter().all(is_empty) && found.bad.is_empty() {
            let message = "the principal names nobody; give its entraId, upn or email, say";
            self.refuse(Rule::PrincipalEmpty, path, message);
            return;
        }
        for (name, what) in [("entraId", "the object id of a user"), ("tenantId", "the tenant id")]
        {
            if let Some(guid) = found.text(name) {
                check::guid(&guid, path.name(name), what, &mut self.findings);
            }
        }
    }
}
