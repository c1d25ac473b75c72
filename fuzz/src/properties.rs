//! Items from values: what is written is what the service stores, what it answers with and what a
//! line gives back.

use std::collections::{BTreeMap, btree_map::Entry};

use arbitrary::{Arbitrary, Unstructured};
use graphfeed_core::{
    external::{
        Acl, DeleteItem, ExternalItem, ExternalItemContent, GetItem, ItemReader, Principal,
        PropertyValue, PutItem, StoredItem,
    },
    protocol::{Endpoint, ServiceRoot, Version},
    types::{ConnectionId, ExternalGroupId, Guid, ItemId, Timestamp},
};
use graphfeed_emulator::{Emulator, Options};

use crate::tenant::{self, CONNECTION, KINDS};

/// What a property may be made of.
#[derive(Arbitrary, Debug)]
enum Value {
    Text(String),
    Whole(i64),
    Double(f64),
    Flag(bool),
    Date(Date),
    Texts(Vec<String>),
    Wholes(Vec<i64>),
    Doubles(Vec<f64>),
    Dates(Vec<Date>),
    Person(Person),
    Persons(Vec<Person>),
}

/// Seconds since 1970, and nanoseconds.
#[derive(Arbitrary, Debug)]
struct Date(i64, u32);

#[derive(Arbitrary, Debug)]
struct Person {
    kind: u8,
    one: String,
    other: Option<String>,
}

#[derive(Arbitrary, Debug)]
struct Plan {
    beta: bool,
    key: String,
    acl: Vec<(u8, bool, u64)>,
    properties: Vec<(u8, Value)>,
    content: Option<(bool, String)>,
    label: Option<u128>,
}

thread_local! {
    static TENANT: Emulator =
        tenant::with_schema(Options::default(), &tenant::schema_of_all());
}

/// Any item.
pub fn run(data: &[u8]) {
    let Ok(plan) = Plan::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let Some((item, values)) = item(&plan) else { return };
    let version = if plan.beta { Version::Beta } else { Version::V1 };
    let root = ServiceRoot::new(ServiceRoot::v1().cloud(), version);
    let connection = ConnectionId::new(CONNECTION).expect("an id");
    let put = PutItem::new(&connection, &item).request(&root).expect("a request");
    let body = std::str::from_utf8(put.body()).expect("UTF-8").to_owned();

    // What is sent is read again as what it was made of.
    let read = ItemReader::default().read_body(item.id().clone(), &body);
    match has_untold_dates(&values) {
        true => drop(read.expect("an item")),
        false => assert_eq!(read.expect("an item"), item),
    }
    let line = serde_json::to_string(&item).expect("JSON");
    let read = ItemReader::default().read(&line);
    assert_eq!(read.item.expect("an item"), item, "{line}");

    TENANT.with(|emulator| {
        let answer = tenant::carry(emulator, put.clone());
        assert_eq!(answer.status(), 200, "{answer:?} to {body}");
        assert_eq!(emulator.take_reports(), []);
        let get = GetItem::new(&connection, item.id()).request(&root).expect("a request");
        let answer = tenant::carry(emulator, get.clone());
        let stored: StoredItem = GetItem::response(&get, answer).expect("it is there").value;
        is_stored(&item, &values, &stored);
        // The same again changes nothing.
        let before = emulator.items(CONNECTION);
        tenant::carry(emulator, put);
        assert_eq!(emulator.items(CONNECTION), before);
        let delete = DeleteItem::new(&connection, item.id()).request(&root).expect("a request");
        assert_eq!(tenant::carry(emulator, delete).status(), 204);
        assert_eq!(emulator.items(CONNECTION), []);
    });
}

fn is_stored(item: &ExternalItem, values: &BTreeMap<String, PropertyValue>, stored: &StoredItem) {
    assert_eq!(stored.id.as_deref(), Some(item.id().as_str()));
    let properties = stored.properties.as_ref().expect("properties");
    assert_eq!(properties.iter().count(), values.len());
    for (name, value) in values {
        let property = properties.get(name).expect("it is stored");
        assert_eq!(property.read(&value.kind()).expect("of its type").as_ref(), Some(value));
    }
    let content = stored.content.as_ref().and_then(|content| content.value.as_deref());
    assert_eq!(content, item.content().map(ExternalItemContent::value));
    let acl = stored.acl.as_deref().unwrap_or_default();
    assert_eq!(acl.len(), item.acl().len());
    for (stored, entry) in acl.iter().zip(item.acl()) {
        assert!(stored.is(entry), "{entry:?} is stored as {stored:?}");
    }
}

/// Only a schema or an annotation says that a text is a date, and what is sent has none.
fn has_untold_dates(values: &BTreeMap<String, PropertyValue>) -> bool {
    values.values().any(|value| matches!(value, PropertyValue::DateTime(_)))
}

fn item(plan: &Plan) -> Option<(ExternalItem, BTreeMap<String, PropertyValue>)> {
    let mut item = ExternalItem::builder(ItemId::from_key(&plan.key));
    for (kind, deny, id) in &plan.acl {
        let guid = Guid::from(u128::from(*id));
        let entry = match kind % 5 {
            0 => Acl::user(guid),
            1 => Acl::group(guid),
            2 => Acl::external_group(ExternalGroupId::new(format!("g{id}")).ok()?),
            3 => Acl::everyone(guid),
            _ => Acl::everyone_except_guests(guid),
        };
        item = item.acl(if *deny { entry.deny() } else { entry });
    }
    let mut values = BTreeMap::new();
    for (nth, value) in &plan.properties {
        let value = value.property()?;
        let name = format!(
            "{}{}",
            KINDS[KINDS.iter().position(|kind| *kind == value.kind().as_str())?],
            nth % 3
        );
        if let Entry::Vacant(free) = values.entry(name) {
            item = item.property(free.key(), value.clone());
            free.insert(value);
        }
    }
    if let Some((html, text)) = &plan.content {
        let content =
            if *html { ExternalItemContent::html(text) } else { ExternalItemContent::text(text) };
        item = item.content(content);
    }
    if let Some(label) = plan.label {
        item = item.sensitivity_label(label.into());
    }
    // What is refused is refused in words.
    match item.build() {
        Ok(item) => Some((item, values)),
        Err(why) => {
            assert!(!why.to_string().is_empty());
            None
        }
    }
}

impl Value {
    fn property(&self) -> Option<PropertyValue> {
        Some(match self {
            Self::Text(text) => text.into(),
            Self::Whole(number) => (*number).into(),
            Self::Double(number) => (*number).into(),
            Self::Flag(flag) => (*flag).into(),
            Self::Date(date) => date.at()?.into(),
            Self::Texts(texts) => texts.clone().into(),
            Self::Wholes(numbers) => numbers.clone().into(),
            Self::Doubles(numbers) => numbers.clone().into(),
            Self::Dates(dates) => dates.iter().map(Date::at).collect::<Option<Vec<_>>>()?.into(),
            Self::Person(person) => person.principal().into(),
            Self::Persons(persons) => {
                persons.iter().map(Person::principal).collect::<Vec<_>>().into()
            }
        })
    }
}

impl Date {
    fn at(&self) -> Option<Timestamp> {
        let nanoseconds = i128::from(self.0) * 1_000_000_000 + i128::from(self.1);
        Timestamp::from_unix_nanoseconds(nanoseconds).ok()
    }
}

impl Person {
    fn principal(&self) -> Principal {
        let one = self.one.as_str();
        let mut principal = match self.kind % 4 {
            0 => Principal::upn(one),
            1 => Principal::email(one),
            2 => Principal::named(one),
            _ => Principal::external(one, one),
        };
        principal.entra_display_name = self.other.clone();
        principal
    }
}
