//! Whether what the service holds is what was sent, value by value.

use std::fmt::Debug;

use graphfeed_core::external::{ExternalItem, Schema, StoredItem};

/// What differs between an item as it was sent and as it was read back: one sentence each.
pub(crate) fn differences(
    sent: &ExternalItem,
    stored: &StoredItem,
    schema: &Schema,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut differ = |what: &str, sent: &dyn Debug, stored: &dyn Debug| {
        found.push(format!("{what}: sent {}, stored {}", shown(sent), shown(stored)));
    };

    if let Some(id) = &stored.id
        && id != sent.id().as_str()
    {
        differ("id", &sent.id().as_str(), id);
    }

    let acl = stored.acl.as_deref().unwrap_or_default();
    if acl.len() != sent.acl().len() || !acl.iter().zip(sent.acl()).all(|(is, was)| is.is(was)) {
        differ("acl", &sent.acl(), &acl);
    }

    let properties = stored.properties.clone().unwrap_or_default();
    for (name, value) in sent.properties().iter() {
        let read = match (properties.get(name), schema.get(name)) {
            (Some(property), Some(declared)) => property.read(declared.kind()),
            _ => Ok(None),
        };
        match read {
            Ok(Some(read)) if read == *value => {}
            Ok(other) => differ(name, value, &other),
            Err(why) => differ(name, value, &why),
        }
    }
    for property in properties.iter() {
        if sent.properties().get(&property.name).is_none() {
            differ(&property.name, &None::<()>, &property.value);
        }
    }

    let content_sent = sent.content().map(|content| (content.kind(), content.value()));
    let content_stored = stored.content.as_ref();
    let content_stored = content_stored
        .and_then(|content| Some((content.kind.as_ref()?, content.value.as_deref()?)));
    if content_sent != content_stored {
        differ("content", &content_sent, &content_stored);
    }
    found
}

/// Enough of a value to recognise it.
fn shown(value: &dyn Debug) -> String {
    const MOST: usize = 120;
    let mut text = format!("{value:?}");
    if let Some((end, _)) = text.char_indices().nth(MOST) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use graphfeed_core::{
        external::{Acl, ExternalItemContent, PropertyType, SchemaProperty},
        types::{Guid, ItemId},
    };

    use super::*;

    fn differences_of(stored: &str) -> Vec<String> {
        let sent = ExternalItem::builder(ItemId::new("a").unwrap())
            .acl(Acl::everyone(Guid::from(1)))
            .property("size", 1.5)
            .property("tags", ["x", "ö"])
            .content(ExternalItemContent::text("words"))
            .build()
            .unwrap();
        let schema = Schema::new([
            SchemaProperty::new("size", PropertyType::Double),
            SchemaProperty::new("tags", PropertyType::StringCollection),
        ])
        .unwrap();
        differences(&sent, &serde_json::from_str(stored).unwrap(), &schema)
    }

    const SAME: &str = r#"{"id":"a",
        "acl":[{"accessType":"grant","type":"everyone",
                "value":"00000000-0000-0000-0000-000000000001"}],
        "properties":{"tags@odata.type":"Collection(String)","tags":["x","ö"],"size":1.50},
        "content":{"value":"words","type":"text"}}"#;

    #[test]
    fn what_is_the_same_does_not_differ() {
        assert_eq!(differences_of(SAME), [""; 0]);
        assert_eq!(differences_of(&SAME.replace(r#""id":"a","#, "")), [""; 0]);
    }

    #[test]
    fn each_difference_is_found_and_named() {
        for (from, to, names) in [
            (r#""id":"a""#, r#""id":"b""#, vec!["id"]),
            ("grant", "deny", vec!["acl"]),
            (r#""acl""#, r#""lca""#, vec!["acl"]),
            ("1.50", "1.5000001", vec!["size"]),
            ("1.50", r#""1.5""#, vec!["size"]),
            ("1.50", "null", vec!["size"]),
            (r#"["x","ö"]"#, r#"["ö","x"]"#, vec!["tags"]),
            (r#""size""#, r#""length""#, vec!["size", "length"]),
            (r#""words""#, r#""word""#, vec!["content"]),
            (r#""text""#, r#""html""#, vec!["content"]),
            (r#""content""#, r#""contents""#, vec!["content"]),
            (r#""properties""#, r#""none""#, vec!["size", "tags"]),
        ] {
            let found = differences_of(&SAME.replace(from, to));
            let named: Vec<_> = found.iter().map(|line| line.split(':').next().unwrap()).collect();
            assert_eq!(named, names, "{to}: {found:?}");
        }
    }
}
