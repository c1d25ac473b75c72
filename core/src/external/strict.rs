//! Reads JSON that a source wrote: every member once, of its type, and none that is not known.
//!
//! What the service answers with is read leniently instead, by `resource!`; here a misspelt member
//! would be content that never arrives. Every fault is told, up to [`MOST`], for a line of garbage
//! has one in every byte.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::types::{FaultList, Key, Rule, member, quote};

/// The most faults that are looked for.
pub(super) const MOST: usize = 1000;

/// The members of an object that were not taken yet.
pub(super) struct Object<'a> {
    place: String,
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// Takes a text apart that is one object.
    pub(super) fn parse(json: &'a str, faults: &mut FaultList) -> Option<Self> {
        // What is carried as it stands is not looked into by the reader.
        if has_lone_surrogate(json) {
            let detail = "is no JSON: half of a character is escaped; escape the other half, too";
            faults.push(Rule::BodyJson, "$", detail);
            return None;
        }
        if json.trim_ascii_start().starts_with('{') {
            return Self::members(json, "$".to_owned(), faults);
        }
        match serde_json::from_str(json) {
            Ok(json) => Self::read(json, "$".to_owned(), faults),
            Err(why) => {
                faults.push(Rule::BodyJson, "$", not_json(&why));
                None
            }
        }
    }

    /// `None`, and a fault, where it is no object.
    pub(super) fn read(json: &'a RawValue, place: String, faults: &mut FaultList) -> Option<Self> {
        if json.get().starts_with('{') {
            return Self::members(json.get(), place, faults);
        }
        faults.push(Rule::MemberType, place, wanted(json, "an object"));
        None
    }

    fn members(json: &'a str, place: String, faults: &mut FaultList) -> Option<Self> {
        match serde_json::from_str(json) {
            Ok(Members(mut members)) => {
                let mut seen = BTreeSet::new();
                members.retain(|(name, _)| {
                    let is_first = seen.insert(name.clone());
                    if !is_first && faults.len() < MOST {
                        let detail = "is there twice; leave one out";
                        faults.push(Rule::BodyJson, member(&place, name), detail);
                    }
                    is_first
                });
                Some(Self { place, members })
            }
            Err(why) => {
                faults.push(Rule::BodyJson, place, not_json(&why));
                None
            }
        }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Where a member of it is.
    pub(super) fn place_of(&self, name: &str) -> String {
        member(&self.place, name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(known, _)| known == name)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.members.iter().position(|(known, _)| known == name)?;
        Some(self.members.remove(at).1)
    }

    /// A text, if the member is there.
    pub(super) fn text(&mut self, name: &str, faults: &mut FaultList) -> Option<Cow<'a, str>> {
        let json = self.take(name)?;
        let text = text(json);
        if text.is_none() {
            faults.push(Rule::MemberType, self.place_of(name), wanted(json, "a text"));
        }
        text
    }

    /// An object, if the member is there.
    pub(super) fn object(&mut self, name: &str, faults: &mut FaultList) -> Option<Self> {
        let json = self.take(name)?;
        Self::read(json, self.place_of(name), faults)
    }

    /// The objects of an array, if the member is there and is one: those of them that are objects.
    pub(super) fn objects(&mut self, name: &str, faults: &mut FaultList) -> Option<Vec<Self>> {
        let json = self.take(name)?;
        let place = self.place_of(name);
        let Some(elements) = elements(json) else {
            faults.push(Rule::MemberType, place, wanted(json, "an array"));
            return None;
        };
        let mut objects = Vec::new();
        for (index, element) in elements.into_iter().enumerate() {
            if faults.len() >= MOST {
                break;
            }
            objects.extend(Self::read(element, format!("{place}[{index}]"), faults));
        }
        Some(objects)
    }

    /// How many elements an array has, if the member is there and is one.
    pub(super) fn count(&self, name: &str) -> Option<usize> {
        let (_, json) = self.members.iter().find(|(known, _)| known == name)?;
        Some(elements(json)?.len())
    }

    /// The members that are left, in their order.
    pub(super) fn into_members(self) -> Vec<(Cow<'a, str>, &'a RawValue)> {
        self.members
    }

    /// Refuses an `@odata.type` of another type.
    pub(super) fn check_type(&mut self, type_name: &str, faults: &mut FaultList) {
        let Some(json) = self.take("@odata.type") else { return };
        let says = text(json).unwrap_or_else(|| found(json));
        let name = says.strip_prefix('#').unwrap_or(&says);
        if name.strip_prefix("microsoft.graph.externalConnectors.") != Some(type_name) {
            let detail = format!(
                "is {}, where #microsoft.graph.externalConnectors.{type_name} belongs; leave it \
                 out",
                quote(&says)
            );
            faults.push(Rule::AnnotationType, self.place_of("@odata.type"), detail);
        }
    }

    /// Refuses what is left. Control information, which an answer of the service carries, is passed
    /// over, but for a type that is another one.
    pub(super) fn finish(mut self, type_name: &str, faults: &mut FaultList) {
        self.check_type(type_name, faults);
        for (name, _) in &self.members {
            if !name.starts_with("@odata.") && faults.len() < MOST {
                let detail = format!("is no member of {type_name}; leave it out, or correct it");
                faults.push(Rule::MemberUnknown, self.place_of(name), detail);
            }
        }
    }
}

/// The members of an object as they stand there, one that is there twice among them.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Every;

        impl<'de> Visitor<'de> for Every {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(Key(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }

        from.deserialize_map(Every)
    }
}

/// The text, if it is one.
pub(super) fn text(json: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str(json.get()).ok().map(|Key(text)| text)
}

/// The elements, if it is an array.
pub(super) fn elements(json: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(json.get()).ok()
}

/// What is there and what should be.
pub(super) fn wanted(json: &RawValue, what: &str) -> String {
    match json.get() {
        "null" => format!("is null; write {what}, or leave it out"),
        _ => format!("is {}; write {what}", found(json)),
    }
}

/// What kind of value is there; a number or a truth as itself.
pub(super) fn found(json: &RawValue) -> Cow<'_, str> {
    match json.get().as_bytes().first() {
        Some(b'"') => "a text".into(),
        Some(b'[') => "an array".into(),
        Some(b'{') => "an object".into(),
        _ => match json.get() {
            short if short.len() <= 64 => short.into(),
            _ => "a long number".into(),
        },
    }
}

/// Whether an escape is half of a character, and the other half does not follow or came not before.
fn has_lone_surrogate(json: &str) -> bool {
    let unit = |escape: &str| {
        let digits = escape.strip_prefix("\\u")?.get(..4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        rest = &rest[at..];
        let length = match unit(rest) {
            Some(0xD800..=0xDBFF) => match unit(&rest[6..]) {
                Some(0xDC00..=0xDFFF) => 12,
                _ => return true,
            },
            Some(0xDC00..=0xDFFF) => return true,
            Some(_) => 6,
            None => 2,
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    false
}

/// The reader's words, without its line: every text is the only one of its own.
fn not_json(why: &serde_json::Error) -> String {
    let text = why.to_string();
    let words = text.split(" at line ").next().unwrap_or_default();
    format!("is no JSON: {words} at column {}; correct it", why.column())
}
