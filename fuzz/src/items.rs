//! Items from JSON: what is taken is written and read again the same, and the service takes it.

use graphfeed_core::{
    external::{ExternalItem, ItemReader, PutItem, Schema, SchemaProperty, StoredProperties},
    protocol::{Endpoint, ServiceRoot},
    types::ConnectionId,
};
use graphfeed_emulator::Options;

use crate::{
    json::{plain, unique},
    tenant::{self, CONNECTION},
};

/// A line of a source.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(stored) = serde_json::from_str::<StoredProperties>(text) {
        let written = serde_json::to_vec(&stored).expect("what was read can be written");
        let again: StoredProperties = serde_json::from_slice(&written).expect("properties");
        // Of two of one name it is open which one an annotation is of.
        if let Some(came) = unique(data) {
            assert_eq!(again, stored);
            assert_eq!(plain(came), plain(unique(&written).expect("each name is there once")));
        }
    }
    let read = ItemReader::default().read(text);
    match read.item {
        Ok(item) => {
            assert!(read.key.is_some());
            judge(&item);
        }
        Err(why) => {
            assert!(!why.faults().is_empty());
            assert!(why.faults().iter().all(|fault| fault.place.starts_with('$')), "{why}");
            assert!(!why.to_string().is_empty());
        }
    }
}

fn judge(item: &ExternalItem) {
    let line = serde_json::to_string(item).expect("JSON");
    let again = ItemReader::default().read(&line).item.expect("what was written is read");
    assert_eq!(&again, item, "{line}");
    assert_eq!(serde_json::to_string(&again).expect("JSON"), line);

    let properties =
        || item.properties().iter().map(|(name, value)| (name.to_owned(), value.kind()));
    let each = properties().map(|(name, kind)| SchemaProperty::new(name, kind));
    let Ok(schema) = Schema::new(each) else { return };
    schema.check_item(item).expect("it has the types of its own");
    let read = ItemReader::with_schema(&schema).read(&line).item;
    assert_eq!(&read.expect("it has the types of its own"), item);

    let connection = ConnectionId::new(CONNECTION).expect("an id");
    let Ok(request) = PutItem::new(&connection, item).request(&ServiceRoot::v1()) else { return };
    let schema = tenant::schema(properties().map(|(name, kind)| (name, kind.to_string())));
    let emulator = tenant::with_schema(Options::default(), &schema);
    let answer = tenant::carry(&emulator, request.clone());
    // A word that a later version may know is for the service to judge.
    if answer.status() == 400 && is_about_words(answer.body()) {
        return;
    }
    assert_eq!(answer.status(), 200, "{answer:?} to {request:?}");
    let stored = emulator.item(CONNECTION, item.id().as_str()).expect("it is stored");
    assert_eq!(stored.properties.len(), item.properties().len());
    assert_eq!(stored.acl.len(), item.acl().len());
    assert_eq!(stored.activities.len(), item.activities().len());
}

fn is_about_words(body: &[u8]) -> bool {
    let error = unique(body).unwrap_or_default();
    let details = error["error"]["details"].as_array();
    details.is_some_and(|all| all.iter().all(|it| it["code"] == "enum-value"))
}
