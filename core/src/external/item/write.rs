//! How an item is written: as a body, and as a line of text.

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{
    ExternalItem, ExternalItemContent, Members,
    acl::{Acl, AclIn},
    property::PropertiesInLine,
    text::ITEM_ID,
};
use crate::{
    protocol::{OnlyIn, ServiceRoot, Version, not_written},
    types::{BuildError, Change, FaultList, Guid, ItemId, JsonObject, write_text},
};

impl Members {
    /// Writes the body for this version and cloud. The id stands in the path, not in the body, as
    /// in the documents' examples.
    pub(super) fn write(&self, to: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        let mut faults = FaultList::default();
        self.properties.check_available(to, &mut faults);
        if !self.sensitivity_label.is_leave() {
            let place = || "$.informationProtectionLabel".to_owned();
            OnlyIn::Commercial.check(to, place, "a sensitivity label", &mut faults);
        }
        faults.finish()?;
        let members = MembersIn { said: self, version: to.version(), line_of: None };
        members.body(out).map_err(not_written)
    }
}

/// Members as one version writes them.
struct MembersIn<'a> {
    said: &'a Members,
    version: Version,
    // Whose they are, where they stand in a line of text and not in a body.
    line_of: Option<&'a ItemId>,
}

/// The item as a line of text has it, for [`ItemReader`](crate::external::ItemReader): in the words of v1.0,
/// with the key that its id was made from, and with every annotation that reading it again without
/// a schema takes. It is no body; that is what [`PutItem`](super::PutItem) writes.
///
/// Where only a hash is left of the key, the id stands there as `@graphfeed.itemId` instead.
impl Serialize for ExternalItem {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let line_of = Some(&self.id);
        MembersIn { said: &self.members, version: Version::V1, line_of }.serialize(to)
    }
}

impl Serialize for MembersIn<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut members = to.serialize_struct("externalItem", 6)?;
        self.write(&mut members, |members, content| members.serialize_field("content", content))?;
        members.end()
    }
}

impl MembersIn<'_> {
    /// As a body, in the same bytes as by serde.
    fn body(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        // Mostly the text, and some more.
        let text = self.said.content.set().map_or(0, |content| content.value.len());
        out.reserve(text + 1024);
        let mut members = JsonObject::begin(out);
        self.write(&mut members, |members, content| match content.set() {
            Some(ExternalItemContent { value, kind }) => {
                let mut content = JsonObject::begin(members.name("content"));
                write_text(value, content.name("value"));
                content.serialize_field("type", kind)?;
                content.end()
            }
            None => members.serialize_field("content", content),
        })?;
        members.end()
    }

    /// Each member that is said, the text by `content`.
    fn write<S: SerializeStruct>(
        &self,
        members: &mut S,
        content: impl FnOnce(&mut S, &Change<ExternalItemContent>) -> Result<(), S::Error>,
    ) -> Result<(), S::Error> {
        struct Entries<'a>(&'a [Acl], Version);

        impl Serialize for Entries<'_> {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_seq(self.0.iter().map(|entry| AclIn(entry, self.1)))
            }
        }

        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Label<'a> {
            sensitivity_label_id: &'a Guid,
        }

        let Self { said, version, line_of } = self;
        match line_of.map(|id| (id, id.key())) {
            Some((_, Some(key))) => members.serialize_field("id", &key)?,
            Some((id, None)) => members.serialize_field(ITEM_ID, id)?,
            None => {}
        }
        if !said.acl.is_empty() {
            members.serialize_field("acl", &Entries(&said.acl, *version))?;
        }
        if !said.properties.is_empty() {
            match line_of {
                Some(_) => {
                    members.serialize_field("properties", &PropertiesInLine(&said.properties))?;
                }
                None => members.serialize_field("properties", &said.properties)?,
            }
        }
        if !said.content.is_leave() {
            content(members, &said.content)?;
        }
        if !said.sensitivity_label.is_leave() {
            let id = said.sensitivity_label.set();
            let label = id.map(|sensitivity_label_id| Label { sensitivity_label_id });
            members.serialize_field("informationProtectionLabel", &label)?;
        }
        if !said.activities.is_empty() {
            members.serialize_field("activities", &said.activities)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::external::ItemUpdate;

    #[test]
    fn a_body_is_what_serde_would_write() {
        let entry = Acl::everyone(Guid::from(7));
        let text = ExternalItemContent::html("<p class=\"a\">\tÄpfel\n</p>");
        let whole = ExternalItem::builder(ItemId::new("T1").unwrap())
            .acl(entry.clone())
            .property("title", "Äpfel")
            .sensitivity_label(Guid::from(8));
        let update = ItemUpdate::builder().replace_acl([entry]);
        for members in [
            whole.clone().build().unwrap().members,
            whole.content(text.clone()).build().unwrap().members,
            update.clone().content(text).build().unwrap().members,
            update.content(Change::Null).build().unwrap().members,
        ] {
            for version in [Version::V1, Version::Beta] {
                let members = MembersIn { said: &members, version, line_of: None };
                let mut body = Vec::new();
                members.body(&mut body).unwrap();
                assert_eq!(body, serde_json::to_vec(&members).unwrap());
            }
        }
    }
}
