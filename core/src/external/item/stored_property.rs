//! The properties of an item as the service answers with them
//! ([GET item](https://learn.microsoft.com/graph/api/externalconnectors-externalitem-get)).
//!
//! Nothing that arrives is refused or dropped here; what is written is in `property`.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap,
};

use super::property::AnnotationName;
use crate::{
    external::{PropertyType, PropertyValue},
    types::{Key, OtherMembers, RawJson, lenient_as_strict},
};

/// The properties of an item as the service answers with them.
///
/// JSON does not tell a date from a text or a whole double from an integer, so a value gets its
/// type when it is asked for: from the schema, through [`StoredProperty::read`].
///
/// ```
/// use graphfeed_core::external::{PropertyType, PropertyValue, StoredProperties};
///
/// let json = r##"{"tags@odata.type":"#Collection(String)","tags":["a"],"due":"2026-01-02T03:04:05Z"}"##;
/// let stored: StoredProperties = serde_json::from_str(json)?;
/// let due = stored.get("due").unwrap().read(&PropertyType::DateTime)?;
/// assert_eq!(due, Some(PropertyValue::DateTime("2026-01-02T03:04:05Z".parse().unwrap())));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredProperties {
    properties: Vec<StoredProperty>,
    // Control information that is no property's type, and types that are no text.
    other: OtherMembers,
}

/// One property as the service answers with it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredProperty {
    /// The name.
    pub name: String,
    /// The annotation `name@odata.type` as it arrived, before or after its value, with or
    /// without `#`; mostly absent for plain types.
    pub annotation: Option<String>,
    /// The value; `None` when an annotation arrived without one.
    pub value: Option<RawJson>,
}

impl StoredProperty {
    /// Reads the value as the type that the schema declares. `None` stands for `null` and for no
    /// value at all.
    ///
    /// # Errors
    /// When the JSON is no value of that type, or the type is one this version does not know.
    pub fn read(&self, kind: &PropertyType) -> serde_json::Result<Option<PropertyValue>> {
        match &self.value {
            Some(json) if json.get() != "null" => PropertyValue::read(kind, json).map(Some),
            _ => Ok(None),
        }
    }
}

impl StoredProperties {
    /// One property.
    pub fn get(&self, name: &str) -> Option<&StoredProperty> {
        self.properties.iter().find(|property| property.name == name)
    }

    /// The properties in the order in which they arrived.
    pub fn iter(&self) -> impl Iterator<Item = &StoredProperty> {
        self.properties.iter()
    }

    /// Control information among the properties that is not the type of one.
    pub fn other(&self) -> &OtherMembers {
        &self.other
    }

    /// The place for a member: an annotation and its value stand side by side. A second value
    /// under one name is a property of its own, for nothing that arrives is dropped.
    fn entry(&mut self, name: &str, is_free: fn(&StoredProperty) -> bool) -> &mut StoredProperty {
        if self.properties.last().is_none_or(|last| last.name != name || !is_free(last)) {
            let name = name.to_owned();
            self.properties.push(StoredProperty { name, annotation: None, value: None });
        }
        let last = self.properties.len() - 1;
        &mut self.properties[last]
    }

    /// Joins annotations and values that did not stand side by side, which nothing forbids.
    fn join(&mut self) {
        if self.properties.iter().all(|property| property.value.is_some()) {
            return;
        }
        let mut first = BTreeMap::new();
        let mut joined: Vec<StoredProperty> = Vec::with_capacity(self.properties.len());
        for property in self.properties.drain(..) {
            let known = first.get(&property.name).map(|at: &usize| &mut joined[*at]);
            match known {
                Some(known) if known.annotation.is_none() && property.value.is_none() => {
                    known.annotation = property.annotation;
                }
                Some(known) if known.value.is_none() && property.annotation.is_none() => {
                    known.value = property.value;
                }
                Some(_) => joined.push(property),
                None => {
                    first.insert(property.name.clone(), joined.len());
                    joined.push(property);
                }
            }
        }
        self.properties = joined;
    }
}

lenient_as_strict!(StoredProperties);

impl<'de> Deserialize<'de> for StoredProperties {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = StoredProperties;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the properties of an item")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut members: A,
            ) -> Result<StoredProperties, A::Error> {
                let mut read = StoredProperties::default();
                while let Some(Key(name)) = members.next_key()? {
                    let json: RawJson = members.next_value()?;
                    let Some(at) = name.find('@') else {
                        read.entry(&name, |last| last.value.is_none()).value = Some(json);
                        continue;
                    };
                    match json.read() {
                        Ok(annotation) if at > 0 && &name[at..] == "@odata.type" => {
                            let free = |last: &StoredProperty| last.annotation.is_none();
                            read.entry(&name[..at], free).annotation = Some(annotation);
                        }
                        _ => read.other.push(name, json),
                    }
                }
                read.join();
                Ok(read)
            }
        }

        from.deserialize_map(Members)
    }
}

impl Serialize for StoredProperties {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut members = to.serialize_map(None)?;
        for property in &self.properties {
            if let Some(annotation) = &property.annotation {
                members.serialize_entry(&AnnotationName(&property.name), annotation)?;
            }
            if let Some(value) = &property.value {
                members.serialize_entry(&property.name, value)?;
            }
        }
        for (name, value) in self.other.iter() {
            members.serialize_entry(name, value)?;
        }
        members.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_read_in_either_order_and_written_again() {
        let json = r##"{"a":["x"],"a@odata.type":"#Collection(String)",
            "b@odata.type":"Collection(Int64)","b":[1],"c":null,"d@odata.type":"String","e":"x",
            "d":"far from its annotation"}"##;
        let read: StoredProperties = serde_json::from_str(json).unwrap();
        assert_eq!(read.get("a").unwrap().annotation.as_deref(), Some("#Collection(String)"));
        assert_eq!(
            read.get("b").unwrap().read(&PropertyType::Int64Collection).unwrap(),
            Some(PropertyValue::Int64Collection(vec![1]))
        );
        assert_eq!(read.get("c").unwrap().read(&PropertyType::String).unwrap(), None);
        assert!(read.get("b").unwrap().read(&PropertyType::String).is_err());
        assert_eq!(
            serde_json::to_value(&read).unwrap(),
            serde_json::from_str::<serde_json::Value>(json).unwrap()
        );
    }

    #[test]
    fn nothing_that_arrives_is_dropped() {
        let json = r##"{"a":1,"a":2,"b":1,"a":3,"@odata.type":"#t","x@odata.count":3,
            "c@odata.type":null,"c":"v","d@odata.type":"String","e":1,"d":"far"}"##;
        let read: StoredProperties = serde_json::from_str(json).unwrap();
        let values: Vec<_> = read
            .iter()
            .map(|property| {
                let value = property.value.as_ref().map_or("", |value| value.get());
                (property.name.as_str(), property.annotation.as_deref(), value)
            })
            .collect();
        assert_eq!(
            values,
            [
                ("a", None, "1"),
                ("a", None, "2"),
                ("b", None, "1"),
                ("a", None, "3"),
                ("c", None, "\"v\""),
                ("d", Some("String"), "\"far\""),
                ("e", None, "1"),
            ]
        );
        let other: Vec<_> = read.other().iter().map(|(name, _)| name).collect();
        assert_eq!(other, ["@odata.type", "x@odata.count", "c@odata.type"]);
        let item = r#"{"id":"a","properties":{"c@odata.type":7,"c":"v"},"acl":"odd"}"#;
        let item: crate::external::StoredItem = crate::types::read(item.as_bytes()).unwrap();
        assert!(item.properties.unwrap().get("c").is_some());
        assert_eq!(item.other.get("acl").unwrap().get(), "\"odd\"");
    }
}
