//! Somebody else's JSON, kept byte for byte.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::value::RawValue;

/// One JSON value that this crate carries without looking inside: an Adaptive Card, JSON-LD, a
/// member that a later version of the service added.
///
/// The text comes out as it went in, with its spaces, number forms and order of members.
///
/// ```
/// use graphfeed_core::types::RawJson;
///
/// let card = RawJson::parse(r#"{ "type":"AdaptiveCard", "version": 1.50 }"#)?;
/// assert_eq!(card.get(), r#"{ "type":"AdaptiveCard", "version": 1.50 }"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// Takes a text that is one JSON value; spaces around it are dropped.
    ///
    /// # Errors
    /// With line and column when it is not JSON.
    pub fn parse(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text).map(Self)
    }

    /// Writes any value that serialises.
    ///
    /// # Errors
    /// When the value refuses to be written as JSON.
    pub fn new(value: &impl Serialize) -> serde_json::Result<Self> {
        serde_json::value::to_raw_value(value).map(Self)
    }

    /// The text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Reads the value as a type of the caller's.
    ///
    /// # Errors
    /// When it has another shape.
    pub fn read<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.get())
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for RawJson {}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self)
    }
}

/// The members of an answer that have no field of their own: annotations such as
/// `@odata.context`, members newer than this crate, and known members that were `null`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OtherMembers(Vec<(Box<str>, RawJson)>);

impl OtherMembers {
    /// The value of the member with this name.
    pub fn get(&self, name: &str) -> Option<&RawJson> {
        self.0.iter().find(|(known, _)| &**known == name).map(|(_, value)| value)
    }

    /// The members in the order in which they arrived.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawJson)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, name: Cow<'_, str>, value: RawJson) {
        self.0.push((name.into(), value));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| &**known != name);
    }

    pub(crate) fn push_null(&mut self, name: &'static str) {
        let null = RawValue::from_string("null".to_owned()).expect("null is JSON");
        self.push(Cow::Borrowed(name), RawJson(null));
    }
}

impl fmt::Debug for OtherMembers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
