//! Items in lines of text: Graph's own JSON, one item in each, as a source writes them.
//!
//! Lives here: reading them, whole or not at all. How one is written is with the item itself, how a
//! file is read line by line is not the core's business.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde_json::value::RawValue;

use super::{
    Members,
    check::{self, Declared},
    check_acl,
    property::{self, PRINCIPAL, exact, place},
};
use crate::{
    external::{
        Acl, ExternalActivity, ExternalActivityType, ExternalItem, ExternalItemContent,
        ExternalItemContentType, Identity, Principal, PropertyType, PropertyValue, Schema,
        StoredAcl, StoredIdentity,
        strict::{MOST, Object, elements, found, text, wanted},
    },
    types::{
        BuildError, Change, FaultList, Guid, ItemId, Rule, Timestamp, UNKNOWN_FUTURE_VALUE, quote,
    },
};

/// What stands in place of `id` where only a hash is left of the key.
pub(super) const ITEM_ID: &str = "@graphfeed.itemId";

const ODATA_TYPE: &str = "@odata.type";

/// Reads items from JSON: `id`, `acl` and `properties`, and as far as they are there `content`,
/// `informationProtectionLabel` and `activities`.
///
/// The `id` is the source's key, any text at all; [`ItemId::from_key`] makes the id of it. A
/// property has the type that its annotation says (`tags@odata.type`, before or after it, with or
/// without `#`), or a given schema, or both if they agree. Where nothing says it, a text is a
/// `string`, a number is an `int64`, or a `double` if it is written with a point or an exponent, and
/// an array is refused. A date is a `dateTime` only where that is said.
///
/// It is strict: what it does not know or cannot read is a fault, and so is `null`. Only control
/// information (`@odata.…`), which an answer of the service carries, is passed over. Acl entries are
/// read in the words of v1.0 and in those of beta.
///
/// ```
/// use graphfeed_core::external::{ItemReader, PropertyType, PropertyValue};
///
/// let read = ItemReader::default().read(
///     r#"{"id":"tickets/7","properties":{"tags@odata.type":"Collection(String)","tags":["a"]},
///         "acl":[{"type":"everyone","value":"67a141d8-cf4e-4528-ba07-bed21bfacd2d","accessType":"grant"}]}"#,
/// );
/// assert_eq!(read.key.as_deref(), Some("tickets/7"));
/// let item = read.item?;
/// assert_eq!(item.id().as_str(), "x--edGlja2V0cy83");
/// assert_eq!(item.properties().get("tags"), Some(&["a"].into()));
///
/// let read = ItemReader::default().read(r#"{"id":"8","properties":{"tags":["a"]}}"#);
/// assert_eq!(
///     read.item.unwrap_err().to_string(),
///     "$.acl: nobody could see the item; add who may, such as Acl::everyone(tenant) \
///      [acl-required]; \
///      $.properties.tags: is an array, and nothing says of what; write \
///      \"tags@odata.type\":\"Collection(String)\" before it, or give a schema \
///      [annotation-collection]",
/// );
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ItemReader<'a> {
    schema: Option<&'a Schema>,
}

/// What became of one text.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReadItem {
    /// The key in the source, also of an item that is refused, if it could be read.
    pub key: Option<String>,
    /// The item.
    ///
    /// # Errors
    /// Every fault of the text, up to a thousand, each with its place: those of
    /// [`ExternalItemBuilder::build`](crate::external::ExternalItemBuilder::build) and of
    /// [`Schema::check_item`], [`Rule::BodyJson`] for a text that is no JSON or a member that is
    /// there twice, [`Rule::MemberRequired`], [`Rule::MemberType`], [`Rule::MemberUnknown`],
    /// [`Rule::ItemContent`], [`Rule::Guid`], [`Rule::ExternalGroupId`], [`Rule::ItemId`],
    /// [`Rule::EnumValue`], [`Rule::IdentitySource`], [`Rule::UnknownFutureValue`],
    /// [`Rule::DateTime`], [`Rule::AnnotationType`] and [`Rule::AnnotationCollection`].
    pub item: Result<ExternalItem, BuildError>,
}

impl<'a> ItemReader<'a> {
    /// Takes types from this schema, and refuses what it does not declare.
    pub fn with_schema(schema: &'a Schema) -> Self {
        Self { schema: Some(schema) }
    }

    /// Reads one item.
    pub fn read(&self, json: &str) -> ReadItem {
        let mut faults = FaultList::default();
        let (mut key, mut id, mut members) = (None, None, Members::default());
        if let Some(mut object) = Object::parse(json, &mut faults) {
            (key, id) = key_and_id(&mut object, &mut faults);
            members = self.members(object, &mut faults);
        }
        let item = faults.finish().map(|()| {
            let id = id.expect("what has no id has a fault");
            ExternalItem { id, members }
        });
        ReadItem { key: key.map(Cow::into_owned), item }
    }

    /// Reads the body of a [`PutItem`](crate::external::PutItem), where the id stands in the path.
    ///
    /// # Errors
    /// As [`ReadItem::item`].
    pub fn read_body(&self, id: ItemId, json: &str) -> Result<ExternalItem, BuildError> {
        let mut faults = FaultList::default();
        let object = Object::parse(json, &mut faults);
        let members = object.map(|object| self.members(object, &mut faults));
        faults.finish()?;
        Ok(ExternalItem { id, members: members.unwrap_or_default() })
    }

    fn members(&self, mut object: Object<'_>, faults: &mut FaultList) -> Members {
        let mut read = Members::default();
        // What is there and cannot be read is not missing, too.
        let told = faults.len();
        let entries = object.objects("acl", faults).unwrap_or_default();
        if entries.is_empty() && faults.len() == told {
            check_acl(&[], faults);
        }
        read.acl = entries.into_iter().filter_map(|entry| acl(entry, faults)).collect();
        let told = faults.len();
        match object.object("properties", faults) {
            Some(properties) => self.properties(properties, &mut read, faults),
            None if faults.len() == told => property::none(faults),
            None => {}
        }
        if let Some(json) = object.take("content") {
            let content = content(json, object.place_of("content"), faults);
            read.content = content.map_or(Change::Leave, Change::Set);
        }
        if let Some(mut label) = object.object("informationProtectionLabel", faults) {
            let place = label.place_of("sensitivityLabelId");
            match required_text(&mut label, "sensitivityLabelId", faults) {
                Some(id) if id.is_empty() => faults.missing(place),
                Some(id) => {
                    let id = faults.part(&place, Guid::new(&id));
                    read.sensitivity_label = id.map_or(Change::Leave, Change::Set);
                }
                None => {}
            }
            label.finish("externalItemInformationProtectionLabel", faults);
        }
        read.activities = activities(&mut object, faults);
        object.finish("externalItem", faults);
        read
    }

    fn properties(&self, object: Object<'_>, read: &mut Members, faults: &mut FaultList) {
        let declared: Option<Vec<Declared<'_>>> =
            self.schema.map(|schema| schema.properties().iter().map(Declared::from).collect());
        let pairs = pairs(object, faults);
        if pairs.is_empty() {
            property::none(faults);
        }
        let mut before = BTreeSet::new();
        for Pair { name, annotation, value } in &pairs {
            if faults.len() >= MOST {
                return;
            }
            property::check_one(name, &mut before, faults);
            let told = faults.len();
            let kind = self.kind(name, *annotation, faults);
            let value = match value {
                // Nothing to read it by, which is told already.
                Some(_) if kind.is_none() && faults.len() > told => None,
                Some(json) => property_value(name, kind, json, faults),
                None => {
                    faults.missing(place(name));
                    None
                }
            };
            if let Some(declared) = &declared {
                check::check_one(name, value.as_ref(), declared, faults);
            }
            if let Some(value) = value {
                read.properties.push(name, value);
            }
        }
    }

    /// What the annotation and the schema say of a property. A type that this version does not
    /// know is as good as none.
    fn kind(
        &self,
        name: &str,
        annotation: Option<&RawValue>,
        faults: &mut FaultList,
    ) -> Option<PropertyType> {
        let declared = self.schema.and_then(|schema| schema.get(name)).map(|its| its.kind());
        let declared = declared.filter(|kind| !matches!(kind, PropertyType::Other(_))).cloned();
        let Some(json) = annotation else { return declared };
        let place = place(&format!("{name}{ODATA_TYPE}"));
        let Some(word) = text(json) else {
            faults.push(Rule::AnnotationType, place, wanted(json, "the name of a type"));
            return declared;
        };
        let Some(annotated) = annotated(&word) else {
            let detail = match word.contains("DateTime)") {
                true => "is no type of a property; write Collection(DateTimeOffset)".to_owned(),
                false => format!("{} is no type of a property; correct it", quote(&word)),
            };
            faults.push(Rule::AnnotationType, place, detail);
            return declared;
        };
        match declared {
            Some(declared) if declared != annotated => {
                let detail =
                    format!("says {annotated}, and the schema declares {declared}; leave it out");
                faults.push(Rule::AnnotationType, place, detail);
                Some(declared)
            }
            _ => Some(annotated),
        }
    }
}

/// The type that an annotation names; OData lets `#` and `Edm.` be left out.
fn annotated(word: &str) -> Option<PropertyType> {
    const PRINCIPAL: &str = "microsoft.graph.externalConnectors.principal";
    let word = word.strip_prefix('#').unwrap_or(word);
    let plain = |name: &str| match name.strip_prefix("Edm.").unwrap_or(name) {
        "String" => Some(PropertyType::String),
        "Int64" => Some(PropertyType::Int64),
        "Double" => Some(PropertyType::Double),
        "DateTimeOffset" => Some(PropertyType::DateTime),
        "Boolean" => Some(PropertyType::Boolean),
        _ if name == PRINCIPAL => Some(PropertyType::Principal),
        _ => None,
    };
    match word.strip_prefix("Collection(").and_then(|rest| rest.strip_suffix(')')) {
        Some(element) => match plain(element)? {
            PropertyType::String => Some(PropertyType::StringCollection),
            PropertyType::Int64 => Some(PropertyType::Int64Collection),
            PropertyType::Double => Some(PropertyType::DoubleCollection),
            PropertyType::DateTime => Some(PropertyType::DateTimeCollection),
            PropertyType::Principal => Some(PropertyType::PrincipalCollection),
            _ => None,
        },
        None => plain(word),
    }
}

/// A property as it stands there.
struct Pair<'a> {
    name: Cow<'a, str>,
    annotation: Option<&'a RawValue>,
    value: Option<&'a RawValue>,
}

/// Joins annotations and values, which may stand apart, in the order in which either comes first.
fn pairs<'a>(mut object: Object<'a>, faults: &mut FaultList) -> Vec<Pair<'a>> {
    object.check_type("properties", faults);
    let mut pairs: Vec<Pair<'a>> = Vec::new();
    let mut known = BTreeMap::new();
    for (name, json) in object.into_members() {
        if name.starts_with("@odata.") {
            continue;
        }
        let (name, is_annotation) = match name.strip_suffix(ODATA_TYPE) {
            Some(of) => (of.to_owned().into(), true),
            // Other control information says nothing of the type.
            None if name.contains("@odata.") => continue,
            None => (name, false),
        };
        let at = *known.entry(name.clone()).or_insert(pairs.len());
        if at == pairs.len() {
            pairs.push(Pair { name, annotation: None, value: None });
        }
        let place = match is_annotation {
            true => &mut pairs[at].annotation,
            false => &mut pairs[at].value,
        };
        *place = Some(json);
    }
    pairs
}

fn property_value(
    name: &str,
    kind: Option<PropertyType>,
    json: &RawValue,
    faults: &mut FaultList,
) -> Option<PropertyValue> {
    let kind = match kind {
        Some(kind) => kind,
        None => inferred(name, json, faults)?,
    };
    let mut reading = Reading { kind: &kind, faults };
    let place = place(name);
    Some(match kind {
        PropertyType::String => PropertyValue::String(reading.string(json, &place)?),
        PropertyType::Int64 => PropertyValue::Int64(reading.int64(json, &place)?),
        PropertyType::Double => PropertyValue::Double(reading.double(json, &place)?),
        PropertyType::Boolean => PropertyValue::Boolean(reading.boolean(json, &place)?),
        PropertyType::DateTime => PropertyValue::DateTime(reading.date(json, &place)?),
        PropertyType::Principal => PropertyValue::Principal(reading.principal(json, &place)?),
        PropertyType::StringCollection => {
            PropertyValue::StringCollection(reading.each(json, &place, Reading::string)?)
        }
        PropertyType::Int64Collection => {
            PropertyValue::Int64Collection(reading.each(json, &place, Reading::int64)?)
        }
        PropertyType::DoubleCollection => {
            PropertyValue::DoubleCollection(reading.each(json, &place, Reading::double)?)
        }
        PropertyType::DateTimeCollection => {
            PropertyValue::DateTimeCollection(reading.each(json, &place, Reading::date)?)
        }
        PropertyType::PrincipalCollection => {
            PropertyValue::PrincipalCollection(reading.each(json, &place, Reading::principal)?)
        }
        PropertyType::Other(_) => return None,
    })
}

/// What JSON alone says of the type.
fn inferred(name: &str, json: &RawValue, faults: &mut FaultList) -> Option<PropertyType> {
    match json.get().as_bytes() {
        [b'"', ..] => Some(PropertyType::String),
        [b't' | b'f', ..] => Some(PropertyType::Boolean),
        [b'-' | b'0'..=b'9', rest @ ..] => {
            let double = rest.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
            Some(if double { PropertyType::Double } else { PropertyType::Int64 })
        }
        [b'[', ..] => {
            let detail = format!(
                "is an array, and nothing says of what; write \
                 \"{name}{ODATA_TYPE}\":\"Collection(String)\" before it, or give a schema"
            );
            faults.push(Rule::AnnotationCollection, place(name), detail);
            None
        }
        [b'{', ..] => {
            let mut quiet = FaultList::default();
            let object = Object::read(json, String::new(), &mut quiet);
            let says = object.and_then(|mut object| object.text(ODATA_TYPE, &mut quiet));
            if says.is_some_and(|says| annotated(&says) == Some(PropertyType::Principal)) {
                return Some(PropertyType::Principal);
            }
            let detail = format!(
                "is an object, and nothing says that it is a principal; write \
                 \"{ODATA_TYPE}\":\"{PRINCIPAL}\" into it, or give a schema"
            );
            faults.push(Rule::MemberType, place(name), detail);
            None
        }
        _ => {
            faults.push(Rule::MemberType, place(name), "is null; leave the property out");
            None
        }
    }
}

/// Reads the values of one property.
struct Reading<'a> {
    kind: &'a PropertyType,
    faults: &'a mut FaultList,
}

impl Reading<'_> {
    fn wrong<T>(&mut self, json: &RawValue, place: &str, right: &str) -> Option<T> {
        let detail = match json.get() {
            "null" => "is null; leave it out".to_owned(),
            _ => format!("is {}, and its type is {}; write {right}", found(json), self.kind),
        };
        self.faults.push(Rule::PropertyType, place.to_owned(), detail);
        None
    }

    fn string(&mut self, json: &RawValue, place: &str) -> Option<String> {
        match text(json) {
            Some(text) => Some(text.into_owned()),
            None => self.wrong(json, place, "a text in quotes"),
        }
    }

    fn int64(&mut self, json: &RawValue, place: &str) -> Option<i64> {
        match json.get().parse() {
            Ok(number) => Some(number),
            Err(_) => self.wrong(json, place, "a whole number of 64 bits"),
        }
    }

    fn double(&mut self, json: &RawValue, place: &str) -> Option<f64> {
        match exact(json.get()) {
            Ok(number) => Some(number),
            Err(_) => self.wrong(json, place, "a number of 64 bits"),
        }
    }

    fn boolean(&mut self, json: &RawValue, place: &str) -> Option<bool> {
        match json.get() {
            "true" => Some(true),
            "false" => Some(false),
            _ => self.wrong(json, place, "true or false"),
        }
    }

    fn date(&mut self, json: &RawValue, place: &str) -> Option<Timestamp> {
        match text(json) {
            Some(text) => self.faults.part(place, text.parse()),
            None => self.wrong(json, place, "a date in quotes, like 2026-01-02T03:04:05.678Z"),
        }
    }

    fn principal(&mut self, json: &RawValue, place: &str) -> Option<Principal> {
        if !json.get().starts_with('{') {
            return self.wrong(json, place, "an object that names somebody");
        }
        let mut object = Object::read(json, place.to_owned(), self.faults)?;
        let mut principal = Principal::default();
        let told = self.faults.len();
        for (name, member) in principal.members_mut() {
            *member = object.text(name, self.faults).map(Cow::into_owned);
        }
        let is_whole = self.faults.len() == told;
        object.finish("principal", self.faults);
        // Here and not with the whole property, of which another value may not be read.
        principal.check(place, is_whole, self.faults);
        Some(principal)
    }

    /// Reads an array: all of it, or nothing.
    fn each<T>(
        &mut self,
        json: &RawValue,
        place: &str,
        read: fn(&mut Self, &RawValue, &str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(elements) = elements(json) else {
            return self.wrong(json, place, "an array, of one if there is one");
        };
        let mut values = Some(Vec::with_capacity(elements.len()));
        for (index, element) in elements.into_iter().enumerate() {
            if self.faults.len() >= MOST {
                return None;
            }
            match read(self, element, &format!("{place}[{index}]")) {
                Some(value) => {
                    if let Some(values) = &mut values {
                        values.push(value);
                    }
                }
                None => values = None,
            }
        }
        values
    }
}

fn key_and_id<'a>(
    object: &mut Object<'a>,
    faults: &mut FaultList,
) -> (Option<Cow<'a, str>>, Option<ItemId>) {
    let place = object.place_of(ITEM_ID);
    let before = faults.len();
    let id = object.text(ITEM_ID, faults);
    let key = object.text("id", faults);
    match (key, id) {
        (Some(key), None) => {
            let id = ItemId::from_key(&key);
            (Some(key), Some(id))
        }
        (None, Some(text)) => {
            let id = faults.part(&place, ItemId::existing(&text));
            let its = id.as_ref().and_then(|id| Some(Cow::Owned(id.key()?.into_owned())));
            (its.or(Some(text)), id)
        }
        (Some(key), Some(_)) => {
            faults.push(Rule::MemberType, place, "stands beside an id; leave one out");
            (Some(key), None)
        }
        (None, None) => {
            if faults.len() == before {
                faults.missing(object.place_of("id"));
            }
            (None, None)
        }
    }
}

fn required_text<'a>(
    object: &mut Object<'a>,
    name: &str,
    faults: &mut FaultList,
) -> Option<Cow<'a, str>> {
    let told = faults.len();
    let text = object.text(name, faults);
    if text.is_none() && faults.len() == told {
        faults.missing(object.place_of(name));
    }
    text
}

fn acl(mut entry: Object<'_>, faults: &mut FaultList) -> Option<Acl> {
    let told = faults.len();
    let kind = entry.text("type", faults);
    let value = entry.text("value", faults);
    let access_type = entry.text("accessType", faults);
    let identity_source = entry.text("identitySource", faults);
    let place = entry.place().to_owned();
    entry.finish("acl", faults);
    let stored = StoredAcl {
        kind: kind.map(|word| (&*word).into()),
        value: value.map(Cow::into_owned),
        access_type: access_type.map(|word| (&*word).into()),
        identity_source: identity_source.map(|word| (&*word).into()),
        ..StoredAcl::default()
    };
    faults.part_since(told, &place, Acl::try_from(&stored))
}

fn content(json: &RawValue, place: String, faults: &mut FaultList) -> Option<ExternalItemContent> {
    if !json.get().starts_with('{') {
        faults.push(Rule::ItemContent, place, wanted(json, "an object"));
        return None;
    }
    let mut object = Object::read(json, place, faults)?;
    let mut required = |name: &str, what: &str| {
        let json = object.take(name);
        let read = json.and_then(text);
        if read.is_none() {
            let detail = match json {
                Some(json) => wanted(json, what),
                None => format!("is missing; write {what}, or leave out the content"),
            };
            faults.push(Rule::ItemContent, object.place_of(name), detail);
        }
        read
    };
    let (kind, value) = (required("type", "text or html"), required("value", "a text"));
    let place = object.place_of("type");
    object.finish("externalItemContent", faults);
    let kind = kind?;
    match ExternalItemContentType::from(&*kind) {
        ExternalItemContentType::Text => value.map(ExternalItemContent::text),
        ExternalItemContentType::Html => value.map(ExternalItemContent::html),
        ExternalItemContentType::Other(word) if word.as_str() == UNKNOWN_FUTURE_VALUE => {
            faults.check_word(place, &kind);
            None
        }
        ExternalItemContentType::Other(_) => {
            let known = ExternalItemContentType::KNOWN.join(", ");
            let detail = format!("{} is none of {known}", quote(&kind));
            faults.push(Rule::ItemContent, place, detail);
            None
        }
    }
}

/// Reads the member `activities`: none, if it is not there.
pub(in crate::external) fn activities(
    object: &mut Object<'_>,
    faults: &mut FaultList,
) -> Vec<ExternalActivity> {
    let objects = object.objects("activities", faults).unwrap_or_default();
    objects.into_iter().filter_map(|object| activity(object, faults)).collect()
}

fn activity(mut object: Object<'_>, faults: &mut FaultList) -> Option<ExternalActivity> {
    let kind = required_text(&mut object, "type", faults);
    let start = required_text(&mut object, "startDateTime", faults)
        .and_then(|start| faults.part(&object.place_of("startDateTime"), start.parse()));
    let told = faults.len();
    let by = match object.object("performedBy", faults) {
        Some(by) => identity(by, faults),
        None => {
            if faults.len() == told {
                faults.missing(object.place_of("performedBy"));
            }
            None
        }
    };
    let place = object.place().to_owned();
    object.finish("externalActivity", faults);
    let kind = kind?;
    let mut word = FaultList::default();
    word.check_word("$.type", &kind);
    faults.part(&place, word.finish())?;
    let activity = ExternalActivity::new(ExternalActivityType::from(&*kind), start?, by?);
    faults.part(&place, activity)
}

fn identity(mut object: Object<'_>, faults: &mut FaultList) -> Option<Identity> {
    let told = faults.len();
    let kind = object.text("type", faults);
    let id = object.text("id", faults);
    let place = object.place().to_owned();
    object.finish("identity", faults);
    let stored = StoredIdentity {
        id: id.map(Cow::into_owned),
        kind: kind.map(|word| (&*word).into()),
        ..StoredIdentity::default()
    };
    faults.part_since(told, &place, Identity::try_from(&stored))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        external::{AddActivities, PutItem, SchemaProperty},
        protocol::{Endpoint, Limits, ServiceRoot},
        types::ConnectionId,
    };

    const ACL: &str = r#""acl":[{"type":"everyone","value":"67a141d8-cf4e-4528-ba07-bed21bfacd2d","accessType":"grant"}]"#;

    fn found(why: &BuildError) -> Vec<(Rule, &str)> {
        why.faults().iter().map(|fault| (fault.rule, &*fault.place)).collect()
    }

    #[test]
    fn the_bodies_of_the_documents_are_read() {
        let body = include_str!("../../../tests/golden/put-item.request.json");
        let id = ItemId::new("TSP228082938").unwrap();
        let item = ItemReader::default().read_body(id.clone(), body).unwrap();
        assert_eq!(item.properties().get("priority"), Some(&1.into()));
        let kinds: Vec<_> = item.acl().iter().map(|entry| entry.kind().to_string()).collect();
        assert_eq!(kinds, ["user", "externalGroup"]);
        let body = include_str!("../../../tests/golden/add-activities.request.json");
        let activities = AddActivities::read_body(body).unwrap();
        assert_eq!(activities[0].kind(), &ExternalActivityType::Created);
        // The id of a body stands in its path.
        let body = format!(r#"{{"id":"T1",{ACL},"properties":{{"n":1}}}}"#);
        let refused = ItemReader::default().read_body(id, &body).unwrap_err();
        assert_eq!(found(&refused), [(Rule::MemberUnknown, "$.id")]);
    }

    #[test]
    fn a_key_is_told_also_of_an_item_that_is_refused() {
        for (json, key) in [
            (r#"{"properties":{"due":"x"},"id":"a\/b","acl":7}"#, Some("a/b")),
            (r#"{"id":7}"#, None),
            (r#"{"id":"a""#, None),
        ] {
            let read = ItemReader::default().read(json);
            assert_eq!(read.key.as_deref(), key, "{json}");
            assert!(read.item.is_err());
        }
    }

    #[test]
    fn an_entra_id_and_a_tenant_of_a_principal_are_guids() {
        const TYPE: &str = "#microsoft.graph.externalConnectors.principal";
        let json = format!(
            r#"{{"id":"a",{ACL},"properties":{{"p":{{"@odata.type":"{TYPE}","entraId":"ann","tenantId":""}}}}}}"#
        );
        let refused = ItemReader::default().read(&json).item.unwrap_err();
        let places = ["$.properties.p.entraId", "$.properties.p.tenantId"];
        assert_eq!(found(&refused), places.map(|place| (Rule::Guid, place)));
        let ann = Principal { entra_id: Some("ann".to_owned()), ..Principal::default() };
        let built = ExternalItem::builder(ItemId::new("a").unwrap())
            .acl(Acl::everyone(Guid::from(1)))
            .property("p", ann)
            .build();
        assert_eq!(found(&built.unwrap_err()), [(Rule::Guid, "$.properties.p.entraId")]);
    }

    #[test]
    fn what_a_schema_does_not_know_is_read_by_what_json_says() {
        let later = SchemaProperty::new("vector", "vector".into());
        let schema = Schema::new([later]).unwrap();
        let json = format!(r#"{{"id":"a",{ACL},"properties":{{"vector":1.5}}}}"#);
        let item = ItemReader::with_schema(&schema).read(&json).item.unwrap();
        assert_eq!(item.properties().get("vector"), Some(&1.5.into()));
    }

    proptest! {
        #[test]
        fn what_is_cut_fits_as_it_is_sent(text in "[a-c\"\\\\\n\u{1}ä€🦀]{0,40}", over in 0..60_usize) {
            let connection = ConnectionId::new("contosohr").unwrap();
            let whole = ExternalItem::builder(ItemId::new("a").unwrap())
                .acl(Acl::everyone(Guid::from(1)))
                .property("n", 1)
                .content(ExternalItemContent::text(&*text))
                .build()
                .unwrap();
            let length = PutItem::new(&connection, &whole).request(&ServiceRoot::v1()).unwrap();
            let limit = length.body().len() - over;
            let root = ServiceRoot::v1().with_limits(Limits::default().with_body(limit));
            prop_assert_eq!(whole.check(&root).is_ok(), over == 0);
            let mut item = whole.clone();
            match item.cut_content(&root) {
                Ok(cut) => {
                    prop_assert!(PutItem::new(&connection, &item).request(&root).is_ok());
                    let kept: String = text.chars().take(text.chars().count() - cut).collect();
                    prop_assert_eq!(item.content().unwrap().value(), kept);
                }
                Err(why) => {
                    prop_assert_eq!(found(&why), [(Rule::BodySize, "$")]);
                    prop_assert_eq!(item, whole);
                }
            }
        }
    }
}
