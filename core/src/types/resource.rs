//! How an answer is read in full and written again.
//!
//! `#[serde(flatten)]` cannot keep unknown members as raw JSON, and drops the difference between
//! a member that is absent and one that is `null`. The macro here does both: what has no field,
//! and what is `null`, goes to `other`, and writing the value gives back equal JSON.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

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
            /// Members without a field of their own, and those that were `null`.
            pub other: $crate::types::OtherMembers,
        }

        impl<'de> ::serde::Deserialize<'de> for $Name {
            fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Members;

                impl<'de> ::serde::de::Visitor<'de> for Members {
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

                from.deserialize_map(Members)
            }
        }

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

pub(crate) use resource;
