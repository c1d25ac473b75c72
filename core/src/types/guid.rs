//! GUIDs: Entra object ids, tenant ids and history item ids.

use std::{fmt, str::FromStr};

use http::HeaderValue;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::{Uuid, fmt::Hyphenated};

use super::{
    Key,
    fault::{BuildError, Fault, Rule, quote},
};

/// A GUID, written with hyphens and in lower case.
///
/// Entra users, groups and tenants are named by one
/// ([acl resource](https://learn.microsoft.com/graph/api/resources/externalconnectors-acl)), and
/// so is a history item
/// ([PUT history item](https://learn.microsoft.com/graph/api/projectrome-put-historyitem)).
///
/// ```
/// use graphfeed_core::types::Guid;
///
/// let user = Guid::new("E811976D-83df-4cbd-8b9b-5215b18aa874")?;
/// assert_eq!(user.to_string(), "e811976d-83df-4cbd-8b9b-5215b18aa874");
/// assert!(Guid::new("john@contoso.com").is_err());
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(Uuid);

impl Guid {
    /// Reads the form with hyphens, `8-4-4-4-12` hexadecimal digits of either case.
    ///
    /// # Errors
    /// [`Rule::Guid`] for anything else: no braces, no `urn:uuid:`, no name or mail address.
    pub fn new(text: &str) -> Result<Self, BuildError> {
        // The length keeps out the braced, URN and bare forms, which `Uuid` reads as well.
        match Uuid::try_parse(text) {
            Ok(uuid) if text.len() == 36 => Ok(Self(uuid)),
            _ => Err(Fault::new(
                Rule::Guid,
                "guid",
                format!(
                    "{} is no GUID; give the object id, such as \
                     e811976d-83df-4cbd-8b9b-5215b18aa874, not a name or an address",
                    quote(text)
                ),
            )
            .into()),
        }
    }

    /// A random (version 4) GUID made of 16 bytes of chance; the core itself rolls no dice.
    pub fn from_random_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// The GUID as a number.
    pub fn as_u128(self) -> u128 {
        self.0.as_u128()
    }

    /// As the value of a header.
    pub(crate) fn header(self) -> HeaderValue {
        let mut text = [0; Hyphenated::LENGTH];
        let text = self.0.hyphenated().encode_lower(&mut text);
        HeaderValue::from_str(text).expect("a GUID is visible ASCII")
    }
}

impl From<u128> for Guid {
    fn from(number: u128) -> Self {
        Self(Uuid::from_u128(number))
    }
}

impl FromStr for Guid {
    type Err = BuildError;

    fn from_str(text: &str) -> Result<Self, BuildError> {
        Self::new(text)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

impl<'de> Deserialize<'de> for Guid {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Key::deserialize(from).and_then(|text| Self::new(&text.0).map_err(de::Error::custom))
    }
}

impl Serialize for Guid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; Hyphenated::LENGTH];
        serializer.serialize_str(self.0.hyphenated().encode_lower(&mut text))
    }
}
