//! The values of an item's properties, and the `@odata.type` annotations that go with them
//! ([PUT item](https://learn.microsoft.com/graph/api/externalconnectors-externalconnection-put-items)).
//!
//! Written by a stream, never through a map: the annotation has to stand directly before its
//! value, and a sorted map would put it behind.

use std::collections::BTreeSet;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned},
    ser::SerializeMap,
};

use crate::types::{FaultList, Guid, RawJson, Rule, Timestamp, member, quote, resource};
use crate::{external::PropertyType, protocol::ServiceRoot};

/// The value of one property. What it was made from decides its type on the wire.
///
/// ```
/// use graphfeed_core::external::PropertyValue;
///
/// assert_eq!(PropertyValue::from("text"), PropertyValue::String("text".into()));
/// assert_eq!(PropertyValue::from(7), PropertyValue::Int64(7));
/// assert_eq!(PropertyValue::from(["a", "b"]), PropertyValue::from(vec!["a", "b"]));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PropertyValue {
    /// `string`.
    String(String),
    /// `int64`, written as a bare number in its full range.
    Int64(i64),
    /// `double`; an item refuses NaN and infinity, which JSON does not have.
    Double(f64),
    /// `boolean`.
    Boolean(bool),
    /// `dateTime`.
    DateTime(Timestamp),
    /// `stringCollection`.
    StringCollection(Vec<String>),
    /// `int64Collection`.
    Int64Collection(Vec<i64>),
    /// `doubleCollection`; an item refuses NaN and infinity in it.
    DoubleCollection(Vec<f64>),
    /// `dateTimeCollection`.
    DateTimeCollection(Vec<Timestamp>),
    /// `principal`.
    Principal(Principal),
    /// `principalCollection`.
    PrincipalCollection(Vec<Principal>),
}

resource! {
    /// A person or group as the value of a property
    /// ([principal](https://learn.microsoft.com/graph/api/resources/externalconnectors-principal)).
    /// At least one member has a value, and an Entra id or tenant is a GUID.
    pub struct Principal {
        optional {
            /// Mail address.
            email: String = "email",
            /// Display name in Entra.
            entra_display_name: String = "entraDisplayName",
            /// Object id in Entra.
            entra_id: String = "entraId",
            /// Id in the source system.
            external_id: String = "externalId",
            /// Name in the source system.
            external_name: String = "externalName",
            /// The tenant of the Entra id.
            tenant_id: String = "tenantId",
            /// User principal name.
            upn: String = "upn",
        }
    }
}

pub(super) const PRINCIPAL: &str = "#microsoft.graph.externalConnectors.principal";

impl Principal {
    /// An Entra user or group.
    pub fn entra(object_id: Guid) -> Self {
        Self { entra_id: Some(object_id.to_string()), ..Self::default() }
    }

    /// A user by user principal name.
    pub fn upn(upn: impl Into<String>) -> Self {
        Self { upn: Some(upn.into()), ..Self::default() }
    }

    /// Somebody of whom only a mail address is known.
    pub fn email(address: impl Into<String>) -> Self {
        Self { email: Some(address.into()), ..Self::default() }
    }

    /// Somebody of whom only the name in the source system is known.
    pub fn named(name: impl Into<String>) -> Self {
        Self { external_name: Some(name.into()), ..Self::default() }
    }

    /// Somebody whom only the source system knows.
    pub fn external(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self { external_id: Some(id.into()), external_name: Some(name.into()), ..Self::default() }
    }

    pub(super) fn members_mut(&mut self) -> [(&'static str, &mut Option<String>); 7] {
        [
            ("email", &mut self.email),
            ("entraDisplayName", &mut self.entra_display_name),
            ("entraId", &mut self.entra_id),
            ("externalId", &mut self.external_id),
            ("externalName", &mut self.external_name),
            ("tenantId", &mut self.tenant_id),
            ("upn", &mut self.upn),
        ]
    }

    /// Refuses one that names nobody, if all that it has could be read, and ids that are none.
    pub(super) fn check(&self, place: &str, is_whole: bool, faults: &mut FaultList) {
        let is_nobody =
            self.members().iter().all(|(_, it)| it.as_deref().is_none_or(str::is_empty));
        if is_nobody && is_whole {
            let detail = "names nobody; give it an Entra id, a upn or an external id";
            faults.push(Rule::PrincipalEmpty, place.to_owned(), detail);
            return;
        }
        for (member, id) in [("entraId", &self.entra_id), ("tenantId", &self.tenant_id)] {
            if let Some(id) = id {
                faults.part(&format!("{place}.{member}"), Guid::new(id));
            }
        }
    }

    fn members(&self) -> [(&'static str, &Option<String>); 7] {
        [
            ("email", &self.email),
            ("entraDisplayName", &self.entra_display_name),
            ("entraId", &self.entra_id),
            ("externalId", &self.external_id),
            ("externalName", &self.external_name),
            ("tenantId", &self.tenant_id),
            ("upn", &self.upn),
        ]
    }
}

macro_rules! property_from {
    ($($From:ty => $Kind:ident($value:ident) $into:expr;)*) => {
        $(impl From<$From> for PropertyValue {
            fn from($value: $From) -> Self {
                Self::$Kind($into)
            }
        })*
    };
}

property_from! {
    &str => String(value) value.to_owned();
    String => String(value) value;
    &String => String(value) value.clone();
    std::borrow::Cow<'_, str> => String(value) value.into_owned();
    i64 => Int64(value) value;
    i32 => Int64(value) value.into();
    u32 => Int64(value) value.into();
    f64 => Double(value) value;
    bool => Boolean(value) value;
    Timestamp => DateTime(value) value;
    Vec<String> => StringCollection(value) value;
    Vec<&str> => StringCollection(value) value.into_iter().map(str::to_owned).collect();
    &[String] => StringCollection(value) value.to_vec();
    Vec<i64> => Int64Collection(value) value;
    Vec<f64> => DoubleCollection(value) value;
    Vec<Timestamp> => DateTimeCollection(value) value;
    Principal => Principal(value) value;
    Vec<Principal> => PrincipalCollection(value) value;
}

macro_rules! property_from_array {
    ($($Element:ty),*) => {
        $(impl<const N: usize> From<[$Element; N]> for PropertyValue {
            fn from(value: [$Element; N]) -> Self {
                Vec::from(value).into()
            }
        })*
    };
}

property_from_array!(&str, String, i64, f64, Timestamp, Principal);

impl PropertyValue {
    /// The type that a schema must declare for this value.
    pub fn kind(&self) -> PropertyType {
        match self {
            Self::String(_) => PropertyType::String,
            Self::Int64(_) => PropertyType::Int64,
            Self::Double(_) => PropertyType::Double,
            Self::Boolean(_) => PropertyType::Boolean,
            Self::DateTime(_) => PropertyType::DateTime,
            Self::StringCollection(_) => PropertyType::StringCollection,
            Self::Int64Collection(_) => PropertyType::Int64Collection,
            Self::DoubleCollection(_) => PropertyType::DoubleCollection,
            Self::DateTimeCollection(_) => PropertyType::DateTimeCollection,
            Self::Principal(_) => PropertyType::Principal,
            Self::PrincipalCollection(_) => PropertyType::PrincipalCollection,
        }
    }

    /// The annotation that has to precede the value, if one has to.
    fn annotation(&self) -> Option<&'static str> {
        match self {
            Self::String(text) => (!text.is_ascii()).then_some("String"),
            Self::StringCollection(_) => Some("Collection(String)"),
            Self::Int64Collection(_) => Some("Collection(Int64)"),
            Self::DoubleCollection(_) => Some("Collection(Double)"),
            // Not `Collection(DateTime)`, which the documents warn of.
            Self::DateTimeCollection(_) => Some("Collection(DateTimeOffset)"),
            Self::PrincipalCollection(_) => {
                Some("Collection(microsoft.graph.externalConnectors.principal)")
            }
            // A principal carries its type inside, the others need none.
            Self::Principal(_)
            | Self::Int64(_)
            | Self::Double(_)
            | Self::Boolean(_)
            | Self::DateTime(_) => None,
        }
    }

    /// The annotation in a line of text, which is read without a schema: there a date needs one,
    /// too, for JSON has none.
    fn annotation_in_line(&self) -> Option<&'static str> {
        match self {
            Self::DateTime(_) => Some("DateTimeOffset"),
            _ => self.annotation(),
        }
    }

    pub(in crate::external) fn check(&self, name: &str, faults: &mut FaultList) {
        let finite = |place: String, number: f64, faults: &mut FaultList| {
            if !number.is_finite() {
                let detail = format!("{number} is no JSON number; leave the property out");
                faults.push(Rule::PropertyFinite, place, detail);
            }
        };
        match self {
            Self::Double(number) => finite(place(name), *number, faults),
            Self::DoubleCollection(numbers) => {
                for (index, number) in numbers.iter().enumerate() {
                    finite(format!("{}[{index}]", place(name)), *number, faults);
                }
            }
            Self::Principal(principal) => principal.check(&place(name), true, faults),
            Self::PrincipalCollection(principals) => {
                for (index, principal) in principals.iter().enumerate() {
                    principal.check(&format!("{}[{index}]", place(name)), true, faults);
                }
            }
            _ => {}
        }
    }

    /// Reads the value of a property of a known type.
    pub(super) fn read(kind: &PropertyType, json: &RawJson) -> serde_json::Result<Self> {
        fn read<T: DeserializeOwned>(
            json: &RawJson,
            make: fn(T) -> PropertyValue,
        ) -> serde_json::Result<PropertyValue> {
            json.read().map(make)
        }
        match kind {
            PropertyType::String => read(json, Self::String),
            PropertyType::Int64 => read(json, Self::Int64),
            PropertyType::Double => exact(json.get()).map(Self::Double),
            PropertyType::Boolean => read(json, Self::Boolean),
            PropertyType::DateTime => read(json, Self::DateTime),
            PropertyType::StringCollection => read(json, Self::StringCollection),
            PropertyType::Int64Collection => read(json, Self::Int64Collection),
            PropertyType::DoubleCollection => {
                let numbers: Vec<RawJson> = json.read()?;
                let numbers = numbers.iter().map(|number| exact(number.get()));
                numbers.collect::<Result<_, _>>().map(Self::DoubleCollection)
            }
            PropertyType::DateTimeCollection => read(json, Self::DateTimeCollection),
            PropertyType::Principal => read(json, |read: TypedPrincipal| Self::Principal(read.0)),
            PropertyType::PrincipalCollection => read(json, |read: Vec<TypedPrincipal>| {
                Self::PrincipalCollection(read.into_iter().map(|read| read.0).collect())
            }),
            PropertyType::Other(_) => {
                Err(de::Error::custom(format_args!("unknown property type {kind}")))
            }
        }
    }
}

/// serde_json reads a double to the last bit only with a feature that would slow down the whole
/// program; the standard library does it always.
pub(super) fn exact(text: &str) -> serde_json::Result<f64> {
    let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|number: &f64| is_number && number.is_finite())
        .ok_or_else(|| de::Error::custom(format_args!("{} is no double", quote(text))))
}

impl Serialize for PropertyValue {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::String(text) => to.serialize_str(text),
            Self::Int64(number) => to.serialize_i64(*number),
            Self::Double(number) => to.serialize_f64(*number),
            Self::Boolean(flag) => to.serialize_bool(*flag),
            Self::DateTime(at) => at.serialize(to),
            Self::StringCollection(texts) => texts.serialize(to),
            Self::Int64Collection(numbers) => numbers.serialize(to),
            Self::DoubleCollection(numbers) => numbers.serialize(to),
            Self::DateTimeCollection(dates) => dates.serialize(to),
            Self::Principal(principal) => PrincipalOut(principal).serialize(to),
            Self::PrincipalCollection(principals) => {
                to.collect_seq(principals.iter().map(PrincipalOut))
            }
        }
    }
}

/// A principal with its type, which stands before its members.
struct PrincipalOut<'a>(&'a Principal);

impl Serialize for PrincipalOut<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut members = to.serialize_map(None)?;
        members.serialize_entry("@odata.type", PRINCIPAL)?;
        for (name, value) in self.0.members() {
            if let Some(value) = value {
                members.serialize_entry(name, value)?;
            }
        }
        // What was null or had another shape when it was read may have been given a value since.
        let is_known = |name: &str| {
            let given =
                self.0.members().iter().any(|(known, value)| *known == name && value.is_some());
            given || name == "@odata.type"
        };
        for (name, value) in self.0.other.iter().filter(|(name, _)| !is_known(name)) {
            members.serialize_entry(name, value)?;
        }
        members.end()
    }
}

/// A principal read back: the type it carries is known, and no member of it.
struct TypedPrincipal(Principal);

impl<'de> Deserialize<'de> for TypedPrincipal {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut principal = Principal::deserialize(from)?;
        principal.other.remove("@odata.type");
        Ok(Self(principal))
    }
}

/// The properties of an item that is written: names and values, in order, each name once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties(Vec<(Box<str>, PropertyValue)>);

impl Properties {
    pub(super) fn push(&mut self, name: &str, value: PropertyValue) {
        self.0.push((name.into(), value));
    }

    /// The value of a property.
    pub fn get(&self, name: &str) -> Option<&PropertyValue> {
        self.0.iter().find(|(known, _)| &**known == name).map(|(_, value)| value)
    }

    /// Names and values, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PropertyValue)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// How many properties there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses values of types that the cloud does not have.
    pub(in crate::external) fn check_available(&self, to: &ServiceRoot, faults: &mut FaultList) {
        for (name, value) in &self.0 {
            value.kind().check_available(to, || place(name), faults);
        }
    }

    pub(super) fn check(&self, faults: &mut FaultList) {
        if self.is_empty() {
            none(faults);
        }
        let mut before = BTreeSet::new();
        for (name, value) in &self.0 {
            check_one(name, &mut before, faults);
            value.check(name, faults);
        }
    }
}

/// Refuses that there is no property.
pub(super) fn none(faults: &mut FaultList) {
    let detail = "there is none, and an item has at least one; add a property";
    faults.push(Rule::PropertyRequired, "$.properties", detail);
}

/// Refuses a name that is none, or is there before.
pub(super) fn check_one(name: &str, before: &mut BTreeSet<String>, faults: &mut FaultList) {
    if let Err(why) = check_name(name) {
        faults.push(Rule::PropertyName, place(name), why);
    }
    if !before.insert(name.to_ascii_lowercase()) {
        let detail = "is there twice, for letter case makes no difference; leave one out";
        faults.push(Rule::PropertyTwice, place(name), detail);
    }
}

/// A property name is 1 to 32 ASCII letters and digits
/// ([property](https://learn.microsoft.com/graph/api/resources/externalconnectors-property)).
pub(in crate::external) fn check_name(name: &str) -> Result<(), String> {
    if (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Ok(())
    } else {
        Err(format!("{} is not 1 to 32 ASCII letters and digits", quote(name)))
    }
}

/// Where a property is, as a JSONPath.
pub(super) fn place(name: &str) -> String {
    member("$.properties", name)
}

impl Properties {
    fn write<S: Serializer>(
        &self,
        annotation: fn(&PropertyValue) -> Option<&'static str>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut members = to.serialize_map(None)?;
        for (name, value) in &self.0 {
            if let Some(annotation) = annotation(value) {
                members.serialize_entry(&AnnotationName(name), annotation)?;
            }
            members.serialize_entry(name, value)?;
        }
        members.end()
    }
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.write(PropertyValue::annotation, to)
    }
}

/// Properties as they stand in a line of text.
pub(super) struct PropertiesInLine<'a>(pub(super) &'a Properties);

impl Serialize for PropertiesInLine<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.write(PropertyValue::annotation_in_line, to)
    }
}

pub(super) struct AnnotationName<'a>(pub(super) &'a str);

impl Serialize for AnnotationName<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        const END: &[u8] = b"@odata.type";
        let mut text = [0; 64];
        let end = self.0.len() + END.len();
        // Names that are written have their place in it; what was read may be longer.
        if let Some(text) = text.get_mut(..end) {
            text[..self.0.len()].copy_from_slice(self.0.as_bytes());
            text[self.0.len()..].copy_from_slice(END);
            if let Ok(text) = std::str::from_utf8(text) {
                return to.serialize_str(text);
            }
        }
        to.collect_str(&format_args!("{}@odata.type", self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use proptest::prelude::*;
    use serde::de::{MapAccess, Visitor};

    use super::*;
    use crate::external::StoredProperties;

    fn properties(entries: Vec<(&str, PropertyValue)>) -> Properties {
        let mut properties = Properties::default();
        for (name, value) in entries {
            properties.push(name, value);
        }
        properties
    }

    #[test]
    fn annotations_stand_before_their_value_and_only_where_they_are_needed() {
        let date: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let written = serde_json::to_string(&properties(vec![
            ("title", "ASCII".into()),
            ("fruit", "Kandierte Äpfel".into()),
            ("count", i64::MAX.into()),
            ("ratio", 0.5.into()),
            ("open", true.into()),
            ("due", date.into()),
            ("tags", ["red", "blau"].into()),
            ("none", Vec::<String>::new().into()),
            ("numbers", vec![1_i64, -2].into()),
            ("ratios", vec![1.0, 2.5].into()),
            ("dates", vec![date].into()),
            ("author", Principal::upn("a@contoso.com").into()),
            ("authors", vec![Principal::external("7", "Ann")].into()),
        ]))
        .unwrap();
        assert_eq!(
            written,
            concat!(
                r#"{"title":"ASCII","#,
                r#""fruit@odata.type":"String","fruit":"Kandierte Äpfel","#,
                r#""count":9223372036854775807,"ratio":0.5,"open":true,"#,
                r#""due":"2026-01-02T03:04:05Z","#,
                r#""tags@odata.type":"Collection(String)","tags":["red","blau"],"#,
                r#""none@odata.type":"Collection(String)","none":[],"#,
                r#""numbers@odata.type":"Collection(Int64)","numbers":[1,-2],"#,
                r#""ratios@odata.type":"Collection(Double)","ratios":[1.0,2.5],"#,
                r#""dates@odata.type":"Collection(DateTimeOffset)","dates":["2026-01-02T03:04:05Z"],"#,
                r##""author":{"@odata.type":"#microsoft.graph.externalConnectors.principal","##,
                r#""upn":"a@contoso.com"},"#,
                r#""authors@odata.type":"Collection(microsoft.graph.externalConnectors.principal)","#,
                r##""authors":[{"@odata.type":"#microsoft.graph.externalConnectors.principal","##,
                r#""externalId":"7","externalName":"Ann"}]}"#,
            )
        );
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let mut faults = FaultList::default();
        properties(vec![
            ("title", "a".into()),
            ("Title", "b".into()),
            ("due date", "c".into()),
            ("7", f64::INFINITY.into()),
            ("list", vec![1.0, f64::NAN].into()),
            ("who", Principal::default().into()),
            ("whos", vec![Principal::upn("x"), Principal::upn("")].into()),
        ])
        .check(&mut faults);
        let found = faults.finish().unwrap_err();
        let found: Vec<_> =
            found.faults().iter().map(|fault| (fault.rule, &*fault.place)).collect();
        assert_eq!(
            found,
            [
                (Rule::PropertyTwice, "$.properties.Title"),
                (Rule::PropertyName, "$.properties['due date']"),
                (Rule::PropertyFinite, "$.properties['7']"),
                (Rule::PropertyFinite, "$.properties.list[1]"),
                (Rule::PrincipalEmpty, "$.properties.who"),
                (Rule::PrincipalEmpty, "$.properties.whos[1]"),
            ]
        );
    }

    #[test]
    fn no_member_of_a_principal_is_written_twice() {
        let json = r##"{"@odata.type":"#later","upn":null,"email":"a@b","planet":1}"##;
        let mut principal: Principal = serde_json::from_str(json).unwrap();
        principal.upn = Some("x@y".to_owned());
        assert_eq!(
            serde_json::to_string(&PropertyValue::from(principal)).unwrap(),
            r##"{"@odata.type":"#microsoft.graph.externalConnectors.principal","email":"a@b","upn":"x@y","planet":1}"##
        );
    }

    fn date() -> impl Strategy<Value = Timestamp> {
        // The years 1 to 9999, to 100 nanoseconds.
        (-62_135_596_800_i64..=253_402_300_799, 0_i128..10_000_000).prop_map(|(seconds, ticks)| {
            Timestamp::from_unix_nanoseconds(i128::from(seconds) * 1_000_000_000 + ticks * 100)
                .unwrap()
        })
    }

    fn number() -> impl Strategy<Value = f64> {
        use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
        POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
    }

    fn principal() -> impl Strategy<Value = Principal> {
        (any::<String>(), any::<String>(), any::<u128>(), 0..3).prop_map(|(a, b, id, kind)| {
            match kind {
                0 => Principal::upn(a),
                1 => Principal::entra(id.into()),
                _ => Principal::external(a, b),
            }
        })
    }

    fn value() -> impl Strategy<Value = PropertyValue> {
        use prop::collection::vec;
        prop_oneof![
            any::<String>().prop_map(PropertyValue::from),
            any::<i64>().prop_map(PropertyValue::from),
            number().prop_map(PropertyValue::from),
            any::<bool>().prop_map(PropertyValue::from),
            date().prop_map(PropertyValue::from),
            vec(any::<String>(), 0..4).prop_map(PropertyValue::from),
            vec(any::<i64>(), 0..4).prop_map(PropertyValue::from),
            vec(number(), 0..4).prop_map(PropertyValue::from),
            vec(date(), 0..4).prop_map(PropertyValue::from),
            principal().prop_map(PropertyValue::from),
            vec(principal(), 0..4).prop_map(PropertyValue::from),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            values in prop::collection::btree_map("[a-z][A-Za-z0-9]{0,31}", value(), 0..8)
        ) {
            let mut written = Properties::default();
            for (name, value) in &values {
                written.push(name, value.clone());
            }
            let json = serde_json::to_string(&written).unwrap();
            let read: StoredProperties = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(read.iter().count(), values.len());
            for (name, value) in &values {
                let found = read.get(name).unwrap().read(&value.kind()).unwrap();
                prop_assert_eq!(found.as_ref(), Some(value));
            }
        }

        #[test]
        fn an_annotation_directly_precedes_its_value(
            values in prop::collection::btree_map("[a-z][A-Za-z0-9]{0,31}", value(), 0..8)
        ) {
            /// The member names of the outermost object, in the order of the text.
            struct Names(Vec<String>);
            impl<'de> Deserialize<'de> for Names {
                fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    struct V;
                    impl<'de> Visitor<'de> for V {
                        type Value = Names;
                        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                            f.write_str("an object")
                        }
                        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                            let mut names = Names(Vec::new());
                            while let Some((name, _)) = map.next_entry::<String, de::IgnoredAny>()? {
                                names.0.push(name);
                            }
                            Ok(names)
                        }
                    }
                    from.deserialize_map(V)
                }
            }
            let mut written = Properties::default();
            for (name, value) in &values {
                written.push(name, value.clone());
            }
            let Names(names) = serde_json::from_str(&serde_json::to_string(&written).unwrap()).unwrap();
            let mut expected = Vec::new();
            for (name, value) in &values {
                let collection = !matches!(
                    value.kind(),
                    PropertyType::String | PropertyType::Int64 | PropertyType::Double
                        | PropertyType::Boolean | PropertyType::DateTime | PropertyType::Principal
                );
                let text = matches!(value, PropertyValue::String(text) if !text.is_ascii());
                if collection || text {
                    expected.push(format!("{name}@odata.type"));
                }
                expected.push(name.clone());
            }
            prop_assert_eq!(names, expected);
        }
    }
}
