//! JSON as plain values, for looking at what was written and what was read.

use std::fmt;

use graphfeed_core::types::{Guid, Timestamp};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// Any JSON without a member that is there twice, for of two nobody says which is meant.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
                Ok(flag.into())
            }

            fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
                Ok(number.into())
            }

            fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
                Ok(number.into())
            }

            fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
                Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(text.into())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(Unique(element)) = from.next_element()? {
                    elements.push(element);
                }
                Ok(elements.into())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
                let mut members = Map::new();
                while let Some(name) = from.next_key::<String>()? {
                    let Unique(value) = from.next_value()?;
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member is there twice"));
                    }
                }
                Ok(members.into())
            }
        }

        from.deserialize_any(Any).map(Self)
    }
}

/// The JSON of a body; `None` if it is none, or has a member twice.
pub(crate) fn unique(body: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Unique>(body).ok().map(|Unique(value)| value)
}

/// The members that are enumerations.
const WORDS: [&str; 13] = [
    "accessType",
    "contentCategory",
    "identitySource",
    "importanceScore",
    "labels",
    "operation",
    "state",
    "status",
    "type",
    "valuesJoinedBy",
    "@odata.type",
    "platform",
    "contentType",
];

/// With every date as its instant, every GUID and every word of an enumeration in small letters,
/// for dates have several spellings and the others are read in any letter case.
pub(crate) fn plain(value: Value) -> Value {
    plain_under("", value)
}

fn plain_under(name: &str, value: Value) -> Value {
    match value {
        Value::String(text) => match text.parse::<Timestamp>() {
            Ok(at) => format!("instant {}", at.as_unix_nanoseconds()).into(),
            // Several words in one text, whatever space there is between them.
            Err(_) if name == "enabledContentExperiences" => {
                let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
                words.collect::<Vec<_>>().join(",").to_ascii_lowercase().into()
            }
            Err(_) if WORDS.contains(&name) || Guid::new(&text).is_ok() => {
                text.to_ascii_lowercase().into()
            }
            Err(_) => text.into(),
        },
        Value::Array(elements) => elements.into_iter().map(|it| plain_under(name, it)).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| {
                let value = plain_under(&name, value);
                (name, value)
            })
            .collect::<Map<_, _>>()
            .into(),
        other => other,
    }
}
