//! One page of a collection.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
    ser::SerializeMap,
};

use crate::types::{Key, Lenient, OtherMembers, RawJson};

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

const NEXT_LINK: &str = "@odata.nextLink";

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Page<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Page<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a page of a collection")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Page<T>, A::Error> {
                let mut page =
                    Page { value: Vec::new(), next_link: None, other: OtherMembers::default() };
                let mut has_value = false;
                while let Some(Key(name)) = members.next_key()? {
                    match &*name {
                        "value" if !has_value => {
                            page.value = members.next_value()?;
                            has_value = true;
                        }
                        "value" => return Err(A::Error::duplicate_field("value")),
                        NEXT_LINK if page.next_link.is_none() => match members.next_value()? {
                            Some(link) => page.next_link = Some(link),
                            None => page.other.push_null(NEXT_LINK),
                        },
                        _ => {
                            let value = members.next_value()?;
                            page.other.push(name, value);
                        }
                    }
                }
                if has_value { Ok(page) } else { Err(A::Error::missing_field("value")) }
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

impl<T: Lenient> Lenient for Page<T> {
    fn read_leniently(json: &str) -> serde_json::Result<Self> {
        let Page { value, next_link, other } = serde_json::from_str::<Page<RawJson>>(json)?;
        let value = value.iter().map(|entry| T::read_leniently(entry.get()));
        Ok(Self { value: value.collect::<Result<_, _>>()?, next_link, other })
    }
}

impl<T: Serialize> Serialize for Page<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut members = to.serialize_map(None)?;
        members.serialize_entry("value", &self.value)?;
        if let Some(link) = &self.next_link {
            members.serialize_entry(NEXT_LINK, link)?;
        }
        for (name, value) in self.other.iter() {
            if name != NEXT_LINK || self.next_link.is_none() {
                members.serialize_entry(name, value)?;
            }
        }
        members.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{activity::StoredActivity, types::read};

    #[test]
    fn a_page_is_read_in_full_whatever_its_entries() {
        let link = "https://graph.microsoft.com/v1.0/me/activities?$skiptoken=%24filter%3dx+lt";
        for page in [
            json!({"value": [], "@odata.nextLink": link, "@odata.context": "c"}),
            json!({"value": [{"id": "1", "createdDateTime": "soon"}, {"id": "2"}]}),
            json!({"@odata.nextLink": null, "value": [{"id": "1"}]}),
        ] {
            let read: Page<StoredActivity> = read(page.to_string().as_bytes()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), page);
            assert_eq!(read.next_link.is_some(), page["@odata.nextLink"].is_string());
        }
        for wrong in [json!({}), json!({"value": null}), json!({"value": [{}]}), Value::Null] {
            assert!(read::<Page<StoredActivity>>(wrong.to_string().as_bytes()).is_err());
        }
    }
}
