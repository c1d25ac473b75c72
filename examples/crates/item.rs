//! From a crate to an item: the schema and the mapping, in one table.
//!
//! A row of `columns` declares a property and fills it, so that schema and items cannot drift
//! apart. What no row can say, the acl and the content, stands below it.

use graphfeed_core::{
    external::{
        Acl, ExternalItem, ExternalItemContent, Label, Principal, PropertyType, PropertyValue,
        PutItem, Schema, SchemaProperty, StoredItem,
    },
    protocol::{Call, Cloud, Endpoint as _, ServiceRoot},
    types::{BuildError, ConnectionId, Guid, ItemId, Rule, Timestamp},
};

use crate::source::{Author, CrateInfo};

/// Shown beside each result.
const ICON: &str = "https://www.rust-lang.org/logos/rust-logo-512x512.png";

/// A property of the schema, and how a crate fills it; `None` leaves it out of the item.
pub(crate) struct Column {
    declaration: SchemaProperty,
    fill: fn(&CrateInfo) -> Option<PropertyValue>,
}

/// Every property that a cloud has, in the order in which an item has them.
pub(crate) fn columns(cloud: Cloud) -> Vec<Column> {
    let mut columns = all_columns();
    // The clouds of the US government do not know the people among the types.
    if matches!(cloud, Cloud::UsGovL4 | Cloud::UsGovL5) {
        columns.retain(|column| {
            let kind = column.declaration.kind();
            !matches!(kind, PropertyType::Principal | PropertyType::PrincipalCollection)
        });
    }
    columns
}

fn all_columns() -> Vec<Column> {
    use PropertyType::*;
    let column = |name: &str, kind: PropertyType, fill| Column {
        declaration: SchemaProperty::new(name, kind).retrievable(),
        fill,
    };
    vec![
        column("title", String, |krate| some(format!("{} {}", krate.name, krate.version)))
            .searchable()
            .label(Label::Title),
        column("url", String, |krate| text(krate.page.as_ref().or(krate.repository.as_ref())))
            .label(Label::Url),
        column("iconUrl", String, |_| some(ICON)).label(Label::IconUrl),
        column("name", String, |krate| some(&*krate.name)).searchable().queryable(),
        column("version", String, |krate| some(&*krate.version)).queryable(),
        column("versionNumbers", Int64Collection, |krate| {
            let numbers = krate.version_numbers.map(i64::try_from);
            let numbers: Result<Vec<i64>, _> = numbers.into_iter().collect();
            some(numbers.ok()?)
        }),
        column("description", String, |krate| text(krate.description.as_ref())).searchable(),
        column("excerpt", String, |krate| text(krate.excerpt.as_ref())).searchable(),
        column("authors", StringCollection, |krate| {
            texts(krate.authors.iter().map(|author| &author.name))
        })
        .searchable()
        .queryable()
        .label(Label::Authors),
        column("firstAuthor", Principal, |krate| some(principal(krate.authors.first()?))),
        column("people", PrincipalCollection, |krate| {
            let people: Vec<_> = krate.authors.iter().map(principal).collect();
            (!people.is_empty()).then(|| people.into())
        }),
        column("keywords", StringCollection, |krate| texts(&krate.keywords))
            .searchable()
            .queryable(),
        // Not refinable: that are texts and numbers only.
        column("categories", StringCollection, |krate| texts(&krate.categories)).queryable(),
        column("licence", String, |krate| text(krate.licence.as_ref())).queryable().refinable(),
        column("repository", String, |krate| text(krate.repository.as_ref())).queryable(),
        column("edition", String, |krate| some(&*krate.edition)).queryable().refinable(),
        column("rustVersion", String, |krate| text(krate.rust_version.as_ref())).queryable(),
        column("workspaceMember", Boolean, |krate| some(krate.is_member)).queryable(),
        column("runsAtBuild", Boolean, |krate| some(krate.runs_at_build)).queryable(),
        column("dependencies", Int64, |krate| some(i64::try_from(krate.dependencies).ok()?))
            .queryable()
            .refinable(),
        column("bytes", Int64, |krate| some(i64::try_from(krate.files.bytes).ok()?)).queryable(),
        column("sizeKib", Double, |krate| some(kib(krate.files.bytes))).queryable().refinable(),
        column("largestFilesKib", DoubleCollection, |krate| {
            let sizes: Vec<f64> = krate.files.largest.iter().copied().map(kib).collect();
            (!sizes.is_empty()).then(|| sizes.into())
        }),
        column("modified", DateTime, |krate| some(modified(krate)?))
            .queryable()
            .label(Label::LastModifiedDateTime),
        column("fileDates", DateTimeCollection, |krate| {
            let dates = dates(krate);
            (!dates.is_empty()).then(|| dates.into())
        }),
    ]
}

impl Column {
    fn searchable(mut self) -> Self {
        self.declaration = self.declaration.searchable();
        self
    }

    fn queryable(mut self) -> Self {
        self.declaration = self.declaration.queryable();
        self
    }

    fn refinable(mut self) -> Self {
        self.declaration = self.declaration.refinable();
        self
    }

    fn label(mut self, label: Label) -> Self {
        self.declaration = self.declaration.label(label);
        self
    }
}

/// The schema that the columns make up.
///
/// # Errors
/// When a column breaks a rule of schemas.
pub(crate) fn schema(columns: &[Column]) -> Result<Schema, BuildError> {
    Schema::new(columns.iter().map(|column| column.declaration.clone()))
}

/// An item, ready to be sent.
pub(crate) struct Entry {
    /// The crate's key.
    pub(crate) key: String,
    /// The item.
    pub(crate) item: ExternalItem,
    /// The call that puts it.
    pub(crate) put: Call<Option<StoredItem>>,
    /// When the crate was made, as far as the files tell.
    pub(crate) modified: Option<Timestamp>,
    /// Whether the end of the content is missing, because the body would be too long.
    pub(crate) is_cut: bool,
}

/// Makes items for one connection of one tenant.
pub(crate) struct Mapping<'a> {
    /// The properties.
    pub(crate) columns: &'a [Column],
    /// What they make up.
    pub(crate) schema: &'a Schema,
    /// Where the items go.
    pub(crate) root: &'a ServiceRoot,
    /// The connection they go into.
    pub(crate) connection: &'a ConnectionId,
    /// Whose members may see them.
    pub(crate) tenant: Guid,
}

impl Mapping<'_> {
    /// The item of a crate. A README that is too long for one body is cut.
    ///
    /// # Errors
    /// When a value of the crate breaks a rule of Microsoft Graph, or is not what the schema says.
    pub(crate) fn entry(&self, krate: &CrateInfo) -> Result<Entry, BuildError> {
        let Some(readme) = &krate.readme else {
            return self.with_content(krate, None, false);
        };
        let whole = self.with_content(krate, Some(readme), false);
        if !whole.as_ref().is_err_and(|error| error.breaks(Rule::BodySize)) {
            return whole;
        }
        let empty = self.with_content(krate, Some(""), true)?;
        let limit = self.root.limits().body;
        let room = limit.saturating_sub(empty.put.request().body().len());
        self.with_content(krate, Some(start_in_json(readme, room)), true)
    }

    fn with_content(
        &self,
        krate: &CrateInfo,
        content: Option<&str>,
        is_cut: bool,
    ) -> Result<Entry, BuildError> {
        let mut item = ExternalItem::builder(ItemId::from_key(&krate.key)).acl(self.acl(krate));
        for column in self.columns {
            item = item.maybe_property(column.declaration.name(), (column.fill)(krate));
        }
        if let Some(content) = content {
            item = item.content(ExternalItemContent::text(content));
        }
        let item = item.build()?;
        // The service would say so too, but not of which property.
        self.schema.check_item(&item)?;
        Ok(Entry {
            key: krate.key.clone(),
            put: PutItem::new(self.connection, &item).call(self.root)?,
            item,
            modified: modified(krate),
            is_cut,
        })
    }

    /// What is published anyway, everyone may see; the workspace's own crates only who is no
    /// guest.
    fn acl(&self, krate: &CrateInfo) -> Acl {
        match krate.page {
            Some(_) => Acl::everyone(self.tenant),
            None => Acl::everyone_except_guests(self.tenant),
        }
    }
}

/// As much of the start of a text as takes up at most `room` bytes inside a JSON string.
fn start_in_json(text: &str, room: usize) -> &str {
    let mut taken = 0;
    for (at, character) in text.char_indices() {
        taken += match character {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..'\u{20}' => 6,
            other => other.len_utf8(),
        };
        if taken > room {
            return &text[..at];
        }
    }
    text
}

fn some(value: impl Into<PropertyValue>) -> Option<PropertyValue> {
    Some(value.into())
}

fn text(value: Option<&String>) -> Option<PropertyValue> {
    some(value?.as_str())
}

fn texts<'a>(values: impl IntoIterator<Item = &'a String>) -> Option<PropertyValue> {
    let values: Vec<String> = values.into_iter().cloned().collect();
    (!values.is_empty()).then(|| values.into())
}

fn principal(author: &Author) -> Principal {
    let mut principal = Principal::named(&author.name);
    principal.email = author.email.clone();
    principal
}

/// Exact: a double holds every size below 2^53 bytes and their 1024th part.
fn kib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0
}

/// Newest first; dates that Graph cannot hold are left out.
fn dates(krate: &CrateInfo) -> Vec<Timestamp> {
    let dates = krate.files.dates.iter().copied();
    dates.filter_map(|date| date.try_into().ok()).collect()
}

fn modified(krate: &CrateInfo) -> Option<Timestamp> {
    dates(krate).into_iter().next()
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        time::{Duration, SystemTime},
    };

    use graphfeed_core::protocol::Limits;

    use super::*;
    use crate::source::Files;

    fn full() -> CrateInfo {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        CrateInfo {
            key: "größe@1.2.3".to_owned(),
            name: "größe".to_owned(),
            version: "1.2.3".to_owned(),
            version_numbers: [1, 2, 3],
            description: Some("Sizes".to_owned()),
            readme: Some("# Größe\n\nSizes \"of\" things.\n".to_owned()),
            excerpt: Some("Sizes of things.".to_owned()),
            authors: vec![
                Author { name: "Jö".to_owned(), email: Some("jo@doe.example".to_owned()) },
                Author { name: "Ann".to_owned(), email: None },
            ],
            keywords: vec!["size".to_owned()],
            categories: vec!["science".to_owned()],
            licence: Some("MIT".to_owned()),
            repository: Some("https://git.example/size".to_owned()),
            page: Some("https://crates.io/crates/size/1.2.3".to_owned()),
            edition: "2024".to_owned(),
            rust_version: Some("1.89".to_owned()),
            dependencies: 4,
            is_member: false,
            runs_at_build: true,
            files: Files {
                bytes: 1536,
                largest: vec![1024, 512],
                dates: vec![at(1_700_000_000), at(1_600_000_000)],
            },
        }
    }

    fn entry(krate: &CrateInfo, root: &ServiceRoot) -> Result<Entry, BuildError> {
        let columns = columns(Cloud::Global);
        Mapping {
            columns: &columns,
            schema: &schema(&columns).unwrap(),
            root,
            connection: &ConnectionId::new("crates").unwrap(),
            tenant: Guid::from(1),
        }
        .entry(krate)
    }

    fn root_of(limit: usize) -> ServiceRoot {
        ServiceRoot::v1().with_limits(Limits::default().with_body(limit))
    }

    #[test]
    fn the_schema_has_every_type_and_each_column_fills_the_type_it_declares() {
        let columns = columns(Cloud::Global);
        let schema = schema(&columns).unwrap();
        assert_eq!(schema.warnings(), []);
        let used: BTreeSet<_> = schema.properties().iter().map(|p| p.kind().as_str()).collect();
        assert_eq!(used, PropertyType::KNOWN.iter().copied().collect());
        let krate = full();
        for column in &columns {
            let kind = (column.fill)(&krate).map(|value| value.kind());
            assert_eq!(
                kind.as_ref(),
                Some(column.declaration.kind()),
                "{}",
                column.declaration.name()
            );
        }
    }

    #[test]
    fn the_clouds_of_the_us_government_get_a_schema_that_they_know() {
        for cloud in [Cloud::UsGovL4, Cloud::UsGovL5] {
            let columns = columns(cloud);
            let used: BTreeSet<_> =
                columns.iter().map(|column| column.declaration.kind().as_str()).collect();
            assert_eq!(used.len(), PropertyType::KNOWN.len() - 2);
            assert!(!used.iter().any(|kind| kind.starts_with("principal")), "{used:?}");
        }
    }

    #[test]
    fn a_crate_of_which_little_is_known_is_an_item_all_the_same() {
        let bare = CrateInfo {
            key: "a@0.0.0".to_owned(),
            version_numbers: [u64::MAX, 0, 0],
            files: Files { bytes: u64::MAX, ..Files::default() },
            ..CrateInfo::default()
        };
        let entry = entry(&bare, &ServiceRoot::v1()).unwrap();
        let names: Vec<_> = entry.item.properties().iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "title",
                "iconUrl",
                "name",
                "version",
                "edition",
                "workspaceMember",
                "runsAtBuild",
                "dependencies",
                "sizeKib",
            ]
        );
        assert_eq!(entry.item.content(), None);
        assert_eq!(entry.item.acl(), [Acl::everyone_except_guests(Guid::from(1))]);
    }

    #[test]
    fn a_value_that_is_not_of_the_declared_type_is_told_with_its_place() {
        let mut columns = columns(Cloud::Global);
        let schema = schema(&columns).unwrap();
        let bytes = columns.iter_mut().find(|column| column.declaration.name() == "bytes");
        bytes.unwrap().fill = |krate| some(kib(krate.files.bytes));
        let mapping = Mapping {
            columns: &columns,
            schema: &schema,
            root: &ServiceRoot::v1(),
            connection: &ConnectionId::new("crates").unwrap(),
            tenant: Guid::from(1),
        };
        let refused = mapping.entry(&full()).err().unwrap();
        let told = refused.to_string();
        assert!(told.starts_with("$.properties.bytes: is of type double, and "), "{told}");
        assert_eq!(refused.faults().len(), 1, "{told}");
    }

    #[test]
    fn the_readme_is_the_content_and_the_id_comes_from_name_and_version() {
        let entry = entry(&full(), &ServiceRoot::v1()).unwrap();
        assert_eq!(entry.item.content().unwrap().value(), full().readme.unwrap());
        assert!(!entry.is_cut);
        assert_eq!(entry.item.id().key().as_deref(), Some("größe@1.2.3"));
        assert_eq!(entry.item.acl(), [Acl::everyone(Guid::from(1))]);
    }

    #[test]
    fn a_readme_over_the_limit_is_cut_between_characters_to_the_last_byte_that_fits() {
        let mut krate = full();
        let whole = entry(&krate, &ServiceRoot::v1()).unwrap();
        let length = whole.put.request().body().len();
        assert!(!entry(&krate, &root_of(length)).unwrap().is_cut);

        krate.readme = Some("ö\u{1}\"\u{7f}\n".repeat(100));
        let columns = columns(Cloud::Global);
        let empty = Mapping {
            columns: &columns,
            schema: &schema(&columns).unwrap(),
            root: &root_of(usize::MAX),
            connection: &ConnectionId::new("crates").unwrap(),
            tenant: Guid::from(1),
        }
        .with_content(&krate, Some(""), true)
        .unwrap();
        let floor = empty.put.request().body().len();
        // 13 bytes of JSON a round: ö 2, control 6, quote 2, delete 1, newline 2.
        for (room, kept) in
            [(0, 0), (1, 0), (2, 1), (7, 1), (8, 2), (10, 3), (11, 4), (13, 5), (26, 10)]
        {
            let cut = entry(&krate, &root_of(floor + room)).unwrap();
            assert!(cut.is_cut);
            let content = cut.item.content().unwrap().value();
            assert_eq!(content.chars().count(), kept, "{room} bytes");
            assert!(krate.readme.as_ref().unwrap().starts_with(content));
        }
        let refused = entry(&krate, &root_of(floor - 1)).err().unwrap();
        assert!(refused.breaks(Rule::BodySize));
    }
}
