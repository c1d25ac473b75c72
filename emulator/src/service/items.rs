//! External items and the activities on them.
//!
//! Sources: the pages put-items, externalitem-get, externalitem-update, externalitem-delete,
//! addActivities.

use http::{StatusCode, header};

use super::{
    Run, context,
    states::{Use, no_schema},
};
use crate::{
    answer::{Answer, write_fault},
    check::shown,
    findings::{Finding, Refusal},
    incoming::Call,
    model::{AclEntry, Item, Property, PropertyType},
    options::{Behaviour, ItemAnswer, MissingContent},
    read::{ActivityVerdict, ItemParts},
    routes::Action,
    rules::Rule,
    target::Version,
    write::Object,
};

impl Run<'_> {
    pub(super) fn put_item(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let behaviour = &self.options.behaviour;
        let id = call.arg(1);
        let wanted = match self.connection(call, Use::Read)?.items.contains_key(id) {
            true => Use::UpdateItem,
            false => Use::CreateItem,
        };
        let parts = self.read_item(call, wanted)?;
        let connection = self.connection(call, wanted)?;
        let mut item = Item::new(id);
        let old = connection.items.remove(id);
        // What people did with the item is not part of what is overwritten.
        let (activities, content) =
            old.map(|old| (old.activities, old.content)).unwrap_or_default();
        item.activities = activities;
        parts.apply(&mut item);
        if behaviour.missing_content == MissingContent::Keeps {
            item.content = item.content.or(content);
        }
        let answer = match behaviour.item_answer {
            ItemAnswer::Empty => {
                let answer = Answer::empty(StatusCode::OK);
                if behaviour.empty_content_type {
                    answer.with(header::CONTENT_TYPE, "application/json")
                } else {
                    answer
                }
            }
            ItemAnswer::Item => Answer::object(StatusCode::OK, |body| {
                write_item(body, &item, call, behaviour);
                body.raw("activities", "[]");
            }),
        };
        connection.items.insert(item.id.clone(), item);
        Ok(answer)
    }

    pub(super) fn update_item(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let behaviour = &self.options.behaviour;
        self.item(call, Use::UpdateItem)?;
        let parts = self.read_item(call, Use::UpdateItem)?;
        let item = self.item(call, Use::UpdateItem)?;
        parts.apply(item);
        Ok(Answer::object(StatusCode::OK, |body| write_item(body, item, call, behaviour)))
    }

    /// Reads the body as an item that is to be stored, or as an update of one.
    fn read_item(&mut self, call: &Call<'_>, wanted: Use) -> Result<ItemParts, Refusal> {
        let mut reader = self.reader(call);
        let connection = self.connection(call, wanted)?;
        let schema = connection.schema.as_ref().ok_or_else(|| no_schema(connection))?;
        let is_update = call.action == Action::UpdateItem;
        let parts = reader.item(call.body()?, call.arg(1), schema, is_update);
        self.accept(reader.findings)?;
        Ok(parts)
    }

    pub(super) fn get_item(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let behaviour = &self.options.behaviour;
        let item = self.item(call, Use::ReadItem)?;
        Ok(Answer::object(StatusCode::OK, |body| {
            write_item(body, item, call, behaviour);
        }))
    }

    pub(super) fn delete_item(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        self.item(call, Use::DeleteItem)?;
        self.connection(call, Use::DeleteItem)?.items.remove(call.arg(1));
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    }

    fn item(&mut self, call: &Call<'_>, wanted: Use) -> Result<&mut Item, Refusal> {
        let connection = self.connection(call, wanted)?;
        let (id, item) = (&connection.id, call.arg(1));
        let not_found = || {
            Refusal::new(
                Rule::NotFound,
                "item id",
                format!(
                    "there is no item {} in connection {}; put it first",
                    shown(item),
                    shown(id)
                ),
            )
        };
        connection.items.get_mut(item).ok_or_else(not_found)
    }

    pub(super) fn add_activities(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        self.item(call, Use::UpdateItem)?;
        let mut reader = self.reader(call);
        let verdicts = reader.activities(call.body()?);
        self.accept(reader.findings)?;
        let verdicts = verdicts?;

        let item = self.item(call, Use::UpdateItem)?;
        let stored = verdicts.iter().filter_map(|each| each.result.as_ref().ok());
        item.activities.extend(stored.cloned());
        // Also if all fail: the call as such could be read.
        let status = match verdicts.iter().all(|verdict| verdict.result.is_ok()) {
            true => StatusCode::OK,
            false => StatusCode::MULTI_STATUS,
        };
        let metadata = "Collection(microsoft.graph.externalConnectors.externalActivityResult)";
        Ok(Answer::object(status, |body| {
            body.text("@odata.context", &context(call, metadata));
            body.objects("value", &verdicts, write_verdict);
        }))
    }
}

fn write_verdict(each: &mut Object<'_>, verdict: &ActivityVerdict) {
    each.text("@odata.type", "#microsoft.graph.externalConnectors.externalActivityResult");
    each.text_or_null("type", verdict.kind.as_deref());
    each.text_or_null("startDateTime", verdict.start_date_time.as_deref());
    match &verdict.result {
        Ok(_) => each.raw("error", "null"),
        Err(faults) => each.object("error", |error| write_public_error(error, faults)),
    }
}

/// A `microsoft.graph.publicError` of the metadata, with the first fault as its inner error.
fn write_public_error(error: &mut Object<'_>, faults: &[Finding]) {
    error.text("code", "InvalidRequest");
    let first = faults.first();
    error.text_or_null("message", first.map(|fault| &*fault.message));
    error.text_or_null("target", first.map(|fault| &*fault.target));
    error.objects("details", faults, write_fault);
    error.object("innerError", |inner| {
        if let Some(first) = first {
            write_fault(inner, first);
        }
    });
}

fn write_item(body: &mut Object<'_>, item: &Item, call: &Call<'_>, behaviour: &Behaviour) {
    let metadata = format!("external/connections('{}')/items/$entity", call.arg(0));
    body.text("@odata.context", &context(call, &metadata));
    if behaviour.item_id_in_get {
        body.text("id", &item.id);
    }
    body.objects("acl", &item.acl, |each, entry| write_acl(each, entry, call.version));
    body.object("properties", |bag| {
        for property in &item.properties {
            write_property(bag, property, behaviour);
        }
    });
    match &item.content {
        Some(content) => body.object("content", |body| {
            body.text("type", content.kind);
            body.text("value", &content.value);
        }),
        None => body.raw("content", "null"),
    }
    if let Some(label) = &item.information_protection_label {
        body.raw("informationProtectionLabel", label);
    }
}

/// An acl entry as the version words it (resource acl, v1.0 and beta).
fn write_acl(each: &mut Object<'_>, entry: &AclEntry, version: Version) {
    let (kind, source) = match (version, entry.kind) {
        (Version::V1, kind) => (kind, None),
        (Version::Beta, "externalGroup") => ("group", Some("external")),
        (Version::Beta, kind) => (kind, Some("azureActiveDirectory")),
    };
    each.text("accessType", entry.access_type);
    each.text("type", kind);
    each.text("value", &entry.value);
    if let Some(source) = source {
        each.text("identitySource", source);
    }
}

fn write_property(bag: &mut Object<'_>, property: &Property, behaviour: &Behaviour) {
    let scalar = matches!(
        property.kind,
        PropertyType::DateTime | PropertyType::Double | PropertyType::Int64
    );
    if property.kind.element().is_some() || scalar && behaviour.annotate_scalars {
        bag.text(
            &format!("{}@odata.type", property.name),
            &format!("#{}", property.kind.annotation()),
        );
    }
    bag.raw(&property.name, &property.json);
}
