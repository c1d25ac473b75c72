//! One page of a collection.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use crate::types::{Key, OtherMembers};

/// One page of a collection. It may be empty and still have a next one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The entries of this page.
    pub value: Vec<T>,
    /// Where the next page is (`@odata.nextLink`), byte for byte as it arrived: opaque, not to
    /// be taken apart or escaped again.
    pub next_link: Option<String>,
    /// Members without a field of their own, such as `@odata.context`.
    pub other: OtherMembers,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Page<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Page<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a page of a collection")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Page<T>, A::Error> {
                let mut value = None;
                let mut next_link = None;
                let mut other = OtherMembers::default();
                while let Some(Key(name)) = members.next_key()? {
                    match &*name {
                        "value" => value = Some(members.next_value()?),
                        "@odata.nextLink" => next_link = members.next_value()?,
                        _ => {
                            let value = members.next_value()?;
                            other.push(name, value);
                        }
                    }
                }
                let value = value.ok_or_else(|| A::Error::missing_field("value"))?;
                Ok(Page { value, next_link, other })
            }
        }

        deserializer.deserialize_map(Members(std::marker::PhantomData))
    }
}
