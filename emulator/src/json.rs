//! A strict view of raw JSON: member order, duplicates and the text of numbers stay visible.
//!
//! serde_json does the tokenizing. No member of any resource is known here.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::path::Path;

/// The deepest nesting of a body that is read.
pub(crate) const MAX_DEPTH: usize = 100;

/// The text of one JSON value that is known to be valid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<'a>(&'a str);

/// What kind of value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Number,
    Text,
    Array,
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

/// Why a body is no acceptable JSON.
#[derive(Debug)]
pub(crate) enum JsonFault {
    /// It cannot be read to its end: the parser's own words, with line and column.
    Malformed(String),
    /// These places hold a member that an earlier one of the same object already has.
    Twice(Vec<String>),
}

impl<'a> Json<'a> {
    /// Reads a whole body in one pass, and checks everything that holds for any body.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, JsonFault> {
        let text = std::str::from_utf8(body)
            .map_err(|error| JsonFault::Malformed(format!("it is not UTF-8: {error}")))?;
        let mut twice = Vec::new();
        let mut parser = serde_json::Deserializer::from_str(text);
        Check { path: Path::ROOT, depth: 0, twice: &mut twice }
            .deserialize(&mut parser)
            .and_then(|()| parser.end())
            .map_err(|error| JsonFault::Malformed(error.to_string()))?;
        if twice.is_empty() {
            Ok(Self(text.trim_matches([' ', '\t', '\r', '\n'])))
        } else {
            Err(JsonFault::Twice(twice))
        }
    }

    /// The text exactly as it was sent, without white space around it.
    pub(crate) fn raw(self) -> &'a str {
        self.0
    }

    pub(crate) fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::Text,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    pub(crate) fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// The members of an object in the order they were sent; none of anything else.
    pub(crate) fn members(self) -> Vec<(Cow<'a, str>, Self)> {
        serde_json::from_str(self.0).map_or_else(|_| Vec::new(), |Members(members)| members)
    }

    /// The elements of an array; none of anything else.
    pub(crate) fn elements(self) -> Vec<Self> {
        serde_json::from_str::<Vec<&'a RawValue>>(self.0)
            .unwrap_or_default()
            .into_iter()
            .map(|raw| Self(raw.get()))
            .collect()
    }

    /// A string, unescaped.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        let Text(text) = serde_json::from_str(self.0).ok()?;
        Some(text)
    }

    /// The value of a member of an object.
    pub(crate) fn member(self, name: &str) -> Option<Self> {
        self.members().into_iter().find_map(|(found, value)| (found == name).then_some(value))
    }
}

/// A string that is borrowed where nothing was escaped.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

struct Members<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Text(name), raw)) = map.next_entry::<Text<'_>, &RawValue>()? {
                    members.push((name, Json(raw.get())));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// Walks a whole value without keeping it: nesting is counted, member names are compared.
struct Check<'p> {
    path: Path<'p>,
    depth: usize,
    twice: &'p mut Vec<String>,
}

impl Check<'_> {
    fn deeper<E: de::Error>(&self) -> Result<usize, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("it is nested more than {MAX_DEPTH} levels deep")));
        }
        Ok(self.depth + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Check<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check<'_> {
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        let mut index = 0;
        loop {
            let check = Check { path: self.path.index(index), depth, twice: &mut *self.twice };
            if seq.next_element_seed(check)?.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        let mut seen = Seen::Few(Vec::new());
        while let Some(Text(name)) = map.next_key()? {
            if !seen.insert(name.clone()) {
                self.twice.push(self.path.name(&name).to_string());
            }
            map.next_value_seed(Check {
                path: self.path.name(&name),
                depth,
                twice: &mut *self.twice,
            })?;
        }
        Ok(())
    }
}

/// The member names of one object. Few are compared one by one, which is quicker.
enum Seen<'a> {
    Few(Vec<Cow<'a, str>>),
    Many(HashSet<Cow<'a, str>>),
}

impl<'a> Seen<'a> {
    fn insert(&mut self, name: Cow<'a, str>) -> bool {
        match self {
            Self::Few(names) if names.contains(&name) => false,
            Self::Few(names) if names.len() < 16 => {
                names.push(name);
                true
            }
            Self::Few(names) => {
                let mut many: HashSet<_> = names.drain(..).collect();
                many.insert(name);
                *self = Self::Many(many);
                true
            }
            Self::Many(names) => names.insert(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_number_text_are_kept() {
        let json = Json::read(br#" {"b":9007199254740993, "a":1.50e+3,"c":{ "x" : "\u00e4" }} "#)
            .expect("JSON");
        let members = json.members();
        let seen: Vec<(&str, &str)> = members.iter().map(|(n, v)| (&**n, v.raw())).collect();
        assert_eq!(
            seen,
            [("b", "9007199254740993"), ("a", "1.50e+3"), ("c", r#"{ "x" : "\u00e4" }"#)]
        );
        let text = json.member("c").and_then(|c| c.member("x")?.text());
        assert_eq!(text.as_deref(), Some("ä"));
    }

    #[test]
    fn a_member_twice_is_found_at_any_depth_and_however_it_is_escaped() {
        let body = br#"{"a":[{"b":1,"\u0062":2}],"a":0}"#;
        let Err(JsonFault::Twice(places)) = Json::read(body) else { panic!("accepted") };
        assert_eq!(places, ["$.a[0].b", "$.a"]);
        let mut many = String::from("{");
        for index in 0..50 {
            many.push_str(&format!("\"n{}\":0,", index % 49));
        }
        many.push_str("\"end\":0}");
        let Err(JsonFault::Twice(places)) = Json::read(many.as_bytes()) else { panic!("accepted") };
        assert_eq!(places, ["$.n0"]);
    }

    #[test]
    fn a_hundred_levels_are_read_and_no_more() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Json::read(nested(100).as_bytes()).is_ok());
        for depth in [101, 200, 1_000_000] {
            assert!(matches!(Json::read(nested(depth).as_bytes()), Err(JsonFault::Malformed(_))));
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for body in [
            &b""[..],
            b"{",
            b"{}x",
            b"{'a':1}",
            b"[1,]",
            b"\"\\ud800\"",
            b"\xff",
            b"\xef\xbb\xbf{}",
            b"NaN",
            b"01",
        ] {
            assert!(matches!(Json::read(body), Err(JsonFault::Malformed(_))));
        }
    }
}
