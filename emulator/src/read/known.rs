//! The words of the tables again, for what is stored refers to them and was written as text.

use serde::{Deserialize, Deserializer, de::Error};

use super::{Shape, Words, activity, connection, identity, item, label, schema};
use crate::check::shown;

const WORDS: [&Words; 6] = [
    &item::ACCESS_TYPE,
    &item::ACL_TYPE,
    &item::CONTENT_TYPE,
    &item::ACTIVITY_TYPE,
    &identity::IDENTITY_TYPE,
    &label::LABEL,
];

const SHAPES: [&Shape; 3] =
    [&connection::CONNECTION, &schema::DECLARATION, &activity::USER_ACTIVITY];

struct Known(&'static str);

impl<'de> Deserialize<'de> for Known {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let mut members = SHAPES.iter().flat_map(|shape| shape.members).map(|member| member.0);
        let word = WORDS.iter().find_map(|words| words.find(&text));
        let known = word.or_else(|| members.find(|name| *name == text));
        known.map(Self).ok_or_else(|| D::Error::custom(format!("unknown word {}", shown(&text))))
    }
}

pub(crate) fn known_word<'de, D: Deserializer<'de>>(from: D) -> Result<&'static str, D::Error> {
    Ok(Known::deserialize(from)?.0)
}

pub(crate) fn known_words<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Vec<&'static str>, D::Error> {
    let words = Vec::<Known>::deserialize(from)?;
    Ok(words.into_iter().map(|word| word.0).collect())
}

pub(crate) fn known_members<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Vec<(&'static str, String)>, D::Error> {
    let members = Vec::<(Known, String)>::deserialize(from)?;
    Ok(members.into_iter().map(|(name, json)| (name.0, json)).collect())
}
