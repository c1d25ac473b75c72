//! Enumerations that may grow: a member of tomorrow is read, kept and written again.
//!
//! Graph's evolvable enumerations carry the sentinel `unknownFutureValue`, and a service may
//! answer with any member it learnt since this crate was made. The hidden variant holds those;
//! callers compare with `as_str()`, so giving a member a name later breaks nobody.

use std::fmt;

/// The name of an enumeration member that this version of the crate does not know.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnknownMember(Box<str>);

impl UnknownMember {
    pub(crate) fn new(name: &str) -> Self {
        Self(name.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UnknownMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The sentinel that answers carry in place of members the caller did not ask to see.
pub(crate) const UNKNOWN_FUTURE_VALUE: &str = "unknownFutureValue";

macro_rules! open_enum {
    ($(#[$meta:meta])* pub enum $Name:ident {
        $($(#[$doc:meta])* $Member:ident = $wire:literal,)*
    }) => {
        $(#[$meta])*
        ///
        /// Open: a member that this version does not know is kept as it was read; compare with
        /// `as_str()`. Names are read in any letter case and written as documented.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $Name {
            $($(#[$doc])* $Member,)*
            #[doc(hidden)]
            Other($crate::types::UnknownMember),
        }

        impl $Name {
            /// The wire names of the members known to this version.
            pub const KNOWN: &'static [&'static str] = &[$($wire),*];

            /// The name on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$Member => $wire,)*
                    Self::Other(name) => name.as_str(),
                }
            }
        }

        impl From<&str> for $Name {
            fn from(name: &str) -> Self {
                $(if name.eq_ignore_ascii_case($wire) {
                    return Self::$Member;
                })*
                Self::Other($crate::types::UnknownMember::new(name))
            }
        }

        impl ::std::fmt::Display for $Name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::serde::Serialize for $Name {
            fn serialize<S: ::serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        $crate::types::lenient_as_strict!($Name);

        impl<'de> ::serde::Deserialize<'de> for $Name {
            fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::types::Key::deserialize(from).map(|name| Self::from(&*name.0))
            }
        }
    };
}

pub(crate) use open_enum;
