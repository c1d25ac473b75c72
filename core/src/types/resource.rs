//! How an answer is read in full and written again.
//!
//! `#[serde(flatten)]` cannot keep unknown members as raw JSON, and drops the difference between
//! a member that is absent and one that is `null`. The macro here does both: what has no field,
//! and what is `null`, goes to `other`, and writing the value gives back equal JSON.
//!
//! An answer is read strictly first, which is fast. If a member has another shape than
//! documented, it is read again leniently: that member goes to `other` as it is, and the rest is
//! not lost for it.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, Visitor},
};
use serde_json::value::RawValue;

use super::{AppActivityId, RawJson, Timestamp, UserActivityId};

/// A member name or an enumeration member, borrowed from the answer unless it is escaped there.
pub(crate) struct Key<'de>(pub(crate) Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// What can be read although some of its members have another shape than documented.
pub(crate) trait Lenient: Sized {
    fn read_leniently(json: &str) -> serde_json::Result<Self>;
}

macro_rules! lenient_as_strict {
    ($($Type:ty),* $(,)?) => {
        $(impl $crate::types::Lenient for $Type {
            fn read_leniently(json: &str) -> serde_json::Result<Self> {
                serde_json::from_str(json)
            }
        })*
    };
}

lenient_as_strict!(bool, i32, i64, String, RawJson, Timestamp, AppActivityId, UserActivityId);

impl<T: Lenient> Lenient for Vec<T> {
    fn read_leniently(json: &str) -> serde_json::Result<Self> {
        let elements: Vec<&RawValue> = serde_json::from_str(json)?;
        elements.into_iter().map(|element| T::read_leniently(element.get())).collect()
    }
}

/// Reads strictly, and leniently if a shape is not the documented one.
pub(crate) fn read<T: DeserializeOwned + Lenient>(json: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json).or_else(|strict| {
        match (strict.is_data(), std::str::from_utf8(json)) {
            // The words of the strict reader name the line and the column.
            (true, Ok(json)) => T::read_leniently(json).map_err(|_| strict),
            _ => Err(strict),
        }
    })
}

/// Defines a type of an answer: `required` members, whose absence makes the answer unreadable,
/// and `optional` ones, which become `Option`. Each stands with its name on the wire.
macro_rules! resource {
    (
        $(#[$meta:meta])*
        pub struct $Name:ident {
            $(required { $($(#[$rdoc:meta])* $rfield:ident: $Required:ty = $rwire:literal,)* })?
            optional { $($(#[$odoc:meta])* $ofield:ident: $Optional:ty = $owire:literal,)* }
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub struct $Name {
            $($($(#[$rdoc])* pub $rfield: $Required,)*)?
            $($(#[$odoc])* pub $ofield: Option<$Optional>,)*
            /// Members without a field of their own, those that were `null`, and those that had
            /// another shape than documented.
            pub other: $crate::types::OtherMembers,
        }

        $crate::types::default_if_optional! {
            $Name { $($($rfield)*)? } { $($ofield)* }
        }

        const _: () = {
            struct Members<const LENIENT: bool>;

            impl<'de, const LENIENT: bool> ::serde::de::Visitor<'de> for Members<LENIENT> {
                type Value = $Name;

                fn expecting(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                    f.write_str(concat!("a JSON object: ", stringify!($Name)))
                }

                fn visit_map<A>(self, mut members: A) -> Result<$Name, A::Error>
                where
                    A: ::serde::de::MapAccess<'de>,
                {
                    use ::serde::de::Error as _;
                    $($(let mut $rfield: Option<$Required> = None;)*)?
                    $(let mut $ofield: Option<$Optional> = None;)*
                    let mut other = $crate::types::OtherMembers::default();
                    while let Some($crate::types::Key(name)) = members.next_key()? {
                        match &*name {
                            $($($rwire => {
                                if $rfield.replace(members.next_value()?).is_some() {
                                    return Err(A::Error::duplicate_field($rwire));
                                }
                            })*)?
                            $($owire if LENIENT => {
                                let json: $crate::types::RawJson = members.next_value()?;
                                match $crate::types::Lenient::read_leniently(json.get()) {
                                    Ok(value) if $ofield.is_none() => $ofield = Some(value),
                                    _ => other.push(name, json),
                                }
                            })*
                            $($owire => match members.next_value()? {
                                Some(value) => {
                                    if $ofield.replace(value).is_some() {
                                        return Err(A::Error::duplicate_field($owire));
                                    }
                                }
                                None => other.push_null($owire),
                            },)*
                            _ => {
                                let value = members.next_value()?;
                                other.push(name, value);
                            }
                        }
                    }
                    Ok($Name {
                        $($($rfield: match $rfield {
                            Some(value) => value,
                            None => return Err(A::Error::missing_field($rwire)),
                        },)*)?
                        $($ofield,)*
                        other,
                    })
                }
            }

            impl<'de> ::serde::Deserialize<'de> for $Name {
                fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    from.deserialize_map(Members::<false>)
                }
            }

            impl $crate::types::Lenient for $Name {
                fn read_leniently(json: &str) -> ::serde_json::Result<Self> {
                    use ::serde::Deserializer as _;
                    let mut from = ::serde_json::Deserializer::from_str(json);
                    let read = from.deserialize_map(Members::<true>)?;
                    from.end().map(|()| read)
                }
            }
        };

        impl ::serde::Serialize for $Name {
            fn serialize<S: ::serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                use ::serde::ser::SerializeMap as _;
                let mut members = to.serialize_map(None)?;
                $($(members.serialize_entry($rwire, &self.$rfield)?;)*)?
                $(if let Some(value) = &self.$ofield {
                    members.serialize_entry($owire, value)?;
                })*
                for (name, value) in self.other.iter() {
                    // A member read as null may have been given a value since.
                    let has_value = match name {
                        $($owire => self.$ofield.is_some(),)*
                        _ => false,
                    };
                    if !has_value {
                        members.serialize_entry(name, value)?;
                    }
                }
                members.end()
            }
        }
    };
}

/// What has no required member can be nothing but empty.
macro_rules! default_if_optional {
    ($Name:ident { } { $($ofield:ident)* }) => {
        impl Default for $Name {
            fn default() -> Self {
                Self { $($ofield: None,)* other: $crate::types::OtherMembers::default() }
            }
        }
    };
    ($Name:ident { $($rfield:ident)+ } { $($ofield:ident)* }) => {};
}

pub(crate) use {default_if_optional, lenient_as_strict, resource};

#[cfg(test)]
#[allow(unreachable_pub, reason = "the macro makes public types")]
mod tests {
    use super::*;

    resource! {
        /// A sample.
        pub struct Sample {
            required { id: String = "id", }
            optional {
                count: i32 = "count",
                at: Timestamp = "at",
                parts: Vec<Part> = "parts",
            }
        }
    }

    resource! {
        /// A part of it.
        pub struct Part {
            optional { name: String = "name", }
        }
    }

    fn round_trip(json: &str) -> Sample {
        let sample: Sample = read(json.as_bytes()).unwrap();
        let again = serde_json::to_value(&sample).unwrap();
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(json).unwrap());
        sample
    }

    #[test]
    fn a_member_of_another_shape_costs_nothing_but_itself() {
        let sample = round_trip(
            r#"{"id":"a","count":"7","at":"yesterday","parts":[{"name":1,"x":2},{"name":"b"}]}"#,
        );
        assert_eq!((sample.count, sample.at), (None, None));
        assert_eq!(sample.other.get("count").unwrap().get(), "\"7\"");
        let parts = sample.parts.unwrap();
        assert_eq!((parts[0].name.as_deref(), parts[1].name.as_deref()), (None, Some("b")));
        let sample = round_trip(r#"{"id":"a","count":7,"parts":{"name":"b"}}"#);
        assert_eq!((sample.count, sample.parts), (Some(7), None));
        round_trip(r#"{"count":null,"id":"a","new":{"b":1.50}}"#);
    }

    #[test]
    fn what_is_required_or_no_object_is_an_error_with_its_place() {
        for (json, place) in [
            (r#"{"count":1}"#, "missing field `id` at line 1 column 11"),
            (r#"{"id":7}"#, "line 1 column 7"),
            ("[1]", "line 1"),
            (r#"{"id":"a","id":"b"}"#, "duplicate field `id`"),
            (r#"{"id":"a""#, "EOF"),
        ] {
            let error = read::<Sample>(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(place), "{error}");
        }
    }
}
