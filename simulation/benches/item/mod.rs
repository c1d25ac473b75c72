//! The item that the tables are about, twice: ten properties, two acl entries, 4 KB of text.
//!
//! Once as a value of this crate, and once as a struct whose serialisation serde derives, with the
//! annotations written by hand. Both give the same bytes.

#![allow(dead_code, reason = "not every bench uses all of it")]

use graphfeed_core::{
    external::{Acl, ExternalItem, ExternalItemContent},
    types::{BuildError, Guid, ItemId, Timestamp},
};
use serde::Serialize;

/// Who may see it.
const USER: &str = "e811976d-83df-4cbd-8b9b-5215b18aa874";
const GROUP: &str = "c1b3a5d7-2e4f-4a6b-8c9d-0e1f2a3b4c5d";
const DAYS: [&str; 2] = ["2021-04-06T18:04:31.033Z", "2021-06-30T00:00:00Z"];

/// The text: what people write, with a quote, a line's end and a letter beyond ASCII now and then.
pub(crate) fn text() -> String {
    let line = "Error in the \"payment gateway\": the order of Frau Müller was charged twice.\n";
    let mut text = line.repeat(53);
    text.truncate(4096);
    text
}

/// As a value of this crate.
pub(crate) fn item(id: &str) -> Result<ExternalItem, BuildError> {
    let days: [Timestamp; 2] = [DAYS[0].parse()?, DAYS[1].parse()?];
    ExternalItem::builder(ItemId::new(id)?)
        .acl(Acl::user(Guid::new(USER)?))
        .acl(Acl::group(Guid::new(GROUP)?).deny())
        .property("title", "Kandierte Äpfel")
        .property("author", "Ann Example")
        .property("url", "https://tickets.contoso.com/TSP228082938")
        .property("priority", 1)
        .property("progress", 0.5)
        .property("open", true)
        .property("created", days[0])
        .property("tags", ["payment", "gateway", "Zucker"])
        .property("due", days)
        .property("related", [228_082_937, 228_082_939])
        .content(ExternalItemContent::text(text()))
        .build()
}

/// As serde derives it. What is a GUID or a date in the other is a text here, which is less to do.
#[derive(Serialize)]
pub(crate) struct Annotated {
    acl: Vec<Entry>,
    properties: Properties,
    content: Content,
}

#[derive(Serialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: &'static str,
    value: String,
    #[serde(rename = "accessType")]
    access_type: &'static str,
}

#[derive(Serialize)]
struct Properties {
    #[serde(rename = "title@odata.type")]
    title_type: &'static str,
    title: String,
    author: String,
    url: String,
    priority: i64,
    progress: f64,
    open: bool,
    created: String,
    #[serde(rename = "tags@odata.type")]
    tags_type: &'static str,
    tags: Vec<String>,
    #[serde(rename = "due@odata.type")]
    due_type: &'static str,
    due: Vec<String>,
    #[serde(rename = "related@odata.type")]
    related_type: &'static str,
    related: Vec<i64>,
}

#[derive(Serialize)]
struct Content {
    value: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl Annotated {
    pub(crate) fn new() -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Self {
            acl: vec![
                Entry { kind: "user", value: USER.to_owned(), access_type: "grant" },
                Entry { kind: "group", value: GROUP.to_owned(), access_type: "deny" },
            ],
            properties: Properties {
                title_type: "String",
                title: "Kandierte Äpfel".to_owned(),
                author: "Ann Example".to_owned(),
                url: "https://tickets.contoso.com/TSP228082938".to_owned(),
                priority: 1,
                progress: 0.5,
                open: true,
                created: DAYS[0].to_owned(),
                tags_type: "Collection(String)",
                tags: owned(&["payment", "gateway", "Zucker"]),
                due_type: "Collection(DateTimeOffset)",
                due: owned(&DAYS),
                related_type: "Collection(Int64)",
                related: vec![228_082_937, 228_082_939],
            },
            content: Content { value: text(), kind: "text" },
        }
    }
}
