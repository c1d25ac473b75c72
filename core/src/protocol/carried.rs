//! What somebody else's JSON has to be as a part of a body.
//!
//! It is carried without a look inside, and so is what makes a body that nobody can read: levels
//! without end, a member twice, a number that is too great for any type, half of a character.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use serde::{
    Serialize,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor},
};

use super::write_json;
use crate::types::{BuildError, FaultList, Key, Rule, member};

/// The most levels of a body. No document says it; it is assumed.
const LEVELS: usize = 100;

/// As [`write_json`], for a body with JSON in it that is not this crate's.
///
/// # Errors
/// [`Rule::BodyJson`] for what nobody could read.
pub(crate) fn write_json_carrying(
    value: &impl Serialize,
    out: &mut Vec<u8>,
) -> Result<(), BuildError> {
    let start = out.len();
    write_json(value, out)?;
    let mut faults = FaultList::default();
    let look = Look { place: &Place::Root, level: 0, faults: &mut faults };
    if let Err(why) = look.deserialize(&mut serde_json::Deserializer::from_slice(&out[start..])) {
        let detail = format!("cannot be read again as JSON: {why}; correct what is carried in it");
        faults.push(Rule::BodyJson, "$", detail);
    }
    faults.finish()
}

/// Where one is, written out only where something is wrong.
enum Place<'p> {
    Root,
    Member(&'p Self, &'p str),
    Element(&'p Self, usize),
}

impl Place<'_> {
    fn written(&self) -> String {
        match self {
            Self::Root => "$".to_owned(),
            Self::Member(outer, name) => member(&outer.written(), name),
            Self::Element(outer, index) => format!("{}[{index}]", outer.written()),
        }
    }
}

/// Looks over a value and keeps nothing of it.
struct Look<'p> {
    place: &'p Place<'p>,
    level: usize,
    faults: &'p mut FaultList,
}

impl Look<'_> {
    fn inside<E: Error>(&self) -> Result<usize, E> {
        match self.level {
            LEVELS => Err(E::custom(format_args!("it has more than {LEVELS} levels"))),
            level => Ok(level + 1),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let level = self.inside()?;
        for index in 0.. {
            let place = &Place::Element(self.place, index);
            let look = Look { place, level, faults: &mut *self.faults };
            if elements.next_element_seed(look)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let level = self.inside()?;
        let mut seen: BTreeSet<Cow<'_, str>> = BTreeSet::new();
        while let Some(Key(name)) = members.next_key()? {
            let place = &Place::Member(self.place, &name);
            let look = Look { place, level, faults: &mut *self.faults };
            members.next_value_seed(look)?;
            if seen.contains(&name) {
                let detail = "is there twice; leave one out";
                self.faults.push(Rule::BodyJson, place.written(), detail);
            }
            seen.insert(name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::RawJson;

    fn refused(json: &str) -> Vec<String> {
        let why = write_json_carrying(&RawJson::parse(json).unwrap(), &mut Vec::new());
        why.err().iter().flat_map(|why| why.faults()).map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_carried_can_be_read_or_is_refused_with_its_places() {
        assert_eq!(refused(r#"{"a":[1.50,null,"\u00e4"],"b":{"a":true}}"#), [""; 0]);
        assert_eq!(
            refused(r#"{"a":[{"b c":1,"b\u0020c":2}],"a":0}"#),
            [
                "$.a[0]['b c']: is there twice; leave one out [body-json]",
                "$.a: is there twice; leave one out [body-json]",
            ]
        );
        for json in ["[1e400]", r#"{"a":"\ud800"}"#] {
            let faults = refused(json);
            assert!(matches!(&*faults, [one] if one.starts_with("$: cannot be read again")));
        }
    }

    #[test]
    fn a_hundred_levels_are_written_and_no_more() {
        let levels = |count| "[".repeat(count) + &"]".repeat(count);
        assert_eq!(refused(&levels(100)), [""; 0]);
        for count in [101, 200, 1_000_000] {
            let faults = refused(&levels(count));
            assert!(matches!(&*faults, [one] if one.contains("more than 100 levels")));
        }
    }

    #[test]
    fn what_stood_before_is_not_looked_at() {
        let mut out = b"{".to_vec();
        assert_eq!(write_json_carrying(&7, &mut out), Ok(()));
        assert_eq!(out, b"{7");
    }
}
