//! The schema of a connection: which properties its items have
//! ([schema](https://learn.microsoft.com/graph/api/resources/externalconnectors-schema)).

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    CLOUDS, MANAGE_CONNECTION, READ_CONNECTION, property::check_name, work_or_application,
};
use crate::{
    protocol::{
        Answer, DecodeError, DecodeKind, Endpoint, Lane, OnlyIn, PathArgs, Route, ServiceRoot,
        write_json,
    },
    types::{
        BuildError, ConnectionId, FaultList, OperationId, Rule, UNKNOWN_FUTURE_VALUE, open_enum,
        resource,
    },
};

open_enum! {
    /// The type of a property.
    pub enum PropertyType {
        /// A text.
        String = "string",
        /// A whole number of 64 bits.
        Int64 = "int64",
        /// A floating-point number of 64 bits.
        Double = "double",
        /// A point in time.
        DateTime = "dateTime",
        /// True or false.
        Boolean = "boolean",
        /// Texts.
        StringCollection = "stringCollection",
        /// Whole numbers.
        Int64Collection = "int64Collection",
        /// Floating-point numbers.
        DoubleCollection = "doubleCollection",
        /// Points in time.
        DateTimeCollection = "dateTimeCollection",
        /// A person or group. Not in the US government's clouds.
        Principal = "principal",
        /// Persons or groups. Not in the US government's clouds.
        PrincipalCollection = "principalCollection",
    }
}

open_enum! {
    /// What a property means to Search and Copilot
    /// ([property](https://learn.microsoft.com/graph/api/resources/externalconnectors-property)).
    /// Copilot wants at least title, url and iconUrl.
    pub enum Label {
        /// The title of the item.
        Title = "title",
        /// Where the item is.
        Url = "url",
        /// Who made it.
        CreatedBy = "createdBy",
        /// Who changed it last.
        LastModifiedBy = "lastModifiedBy",
        /// Who wrote it.
        Authors = "authors",
        /// When it was made.
        CreatedDateTime = "createdDateTime",
        /// When it was changed last.
        LastModifiedDateTime = "lastModifiedDateTime",
        /// The name of the file.
        FileName = "fileName",
        /// The extension of the file.
        FileExtension = "fileExtension",
        /// The name of what holds it.
        ContainerName = "containerName",
        /// Where that is.
        ContainerUrl = "containerUrl",
        /// Its icon.
        IconUrl = "iconUrl",
    }
}

impl PropertyType {
    /// Refuses what the service at this root does not have.
    pub(super) fn check_available(
        &self,
        to: &ServiceRoot,
        place: impl FnOnce() -> String,
        faults: &mut FaultList,
    ) {
        if matches!(self, Self::Principal | Self::PrincipalCollection) {
            OnlyIn::Commercial.check(to, place, format_args!("the type {self}"), faults);
        }
    }
}

/// One property that items may have.
///
/// Every flag is off until it is switched on.
///
/// ```
/// use graphfeed_core::external::{Label, PropertyType, SchemaProperty};
///
/// let title = SchemaProperty::new("title", PropertyType::String)
///     .searchable()
///     .retrievable()
///     .label(Label::Title);
/// assert_eq!(title.name(), "title");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaProperty {
    name: String,
    kind: PropertyType,
    aliases: Vec<String>,
    labels: Vec<Label>,
    searchable: bool,
    queryable: bool,
    retrievable: bool,
    refinable: bool,
}

impl SchemaProperty {
    /// A property with this name, 1 to 32 ASCII letters and digits. The name is checked with the
    /// schema.
    pub fn new(name: impl Into<String>, kind: PropertyType) -> Self {
        Self {
            name: name.into(),
            kind,
            aliases: Vec::new(),
            labels: Vec::new(),
            searchable: false,
            queryable: false,
            retrievable: false,
            refinable: false,
        }
    }

    /// Its text is searched in. For `string` and `stringCollection` only, and not together with
    /// refinable.
    #[must_use]
    pub fn searchable(mut self) -> Self {
        self.searchable = true;
        self
    }

    /// It can be named in a query.
    #[must_use]
    pub fn queryable(mut self) -> Self {
        self.queryable = true;
        self
    }

    /// It comes back in results.
    #[must_use]
    pub fn retrievable(mut self) -> Self {
        self.retrievable = true;
        self
    }

    /// Results can be narrowed by it. It cannot be switched on by a later update.
    #[must_use]
    pub fn refinable(mut self) -> Self {
        self.refinable = true;
        self
    }

    /// What it means; a property with a label has to be retrievable.
    #[must_use]
    pub fn label(mut self, label: Label) -> Self {
        self.labels.push(label);
        self
    }

    /// Another name for it in queries.
    #[must_use]
    pub fn alias(mut self, alias: impl Into<String>) -> Self {
        self.aliases.push(alias.into());
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type.
    pub fn kind(&self) -> &PropertyType {
        &self.kind
    }

    fn check(&self, index: usize, faults: &mut FaultList) {
        if let Err(why) = check_name(&self.name) {
            faults.push(Rule::PropertyName, format!("$.properties[{index}].name"), why);
        }
        for (at, alias) in self.aliases.iter().enumerate() {
            if let Err(why) = check_name(alias) {
                let place = format!("$.properties[{index}].aliases[{at}]");
                faults.push(Rule::PropertyName, place, why);
            }
        }
        let mut future = |place: String, name: &str| {
            if name.eq_ignore_ascii_case(UNKNOWN_FUTURE_VALUE) {
                let detail = "unknownFutureValue is only ever read; name the real member";
                faults.push(Rule::UnknownFutureValue, place, detail);
            }
        };
        future(format!("$.properties[{index}].type"), self.kind.as_str());
        for (at, label) in self.labels.iter().enumerate() {
            future(format!("$.properties[{index}].labels[{at}]"), label.as_str());
        }
    }
}

impl Serialize for SchemaProperty {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut members = to.serialize_map(None)?;
        members.serialize_entry("name", &self.name)?;
        members.serialize_entry("type", &self.kind)?;
        for (name, flag) in [
            ("isSearchable", self.searchable),
            ("isQueryable", self.queryable),
            ("isRetrievable", self.retrievable),
            ("isRefinable", self.refinable),
        ] {
            if flag {
                members.serialize_entry(name, &true)?;
            }
        }
        if !self.labels.is_empty() {
            members.serialize_entry("labels", &self.labels)?;
        }
        if !self.aliases.is_empty() {
            members.serialize_entry("aliases", &self.aliases)?;
        }
        members.end()
    }
}

/// The properties that the items of a connection may have: 1 to 128, each name once.
///
/// ```
/// use graphfeed_core::external::{PropertyType, Schema, SchemaProperty};
///
/// let schema = Schema::new([SchemaProperty::new("title", PropertyType::String).searchable()])?;
/// assert_eq!(schema.get("title").map(SchemaProperty::kind), Some(&PropertyType::String));
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema(Vec<SchemaProperty>);

impl Schema {
    /// Checks the properties. Names are compared without letter case, which the documents leave
    /// open.
    ///
    /// # Errors
    /// [`Rule::SchemaSize`], [`Rule::PropertyName`], [`Rule::PropertyTwice`] and
    /// [`Rule::UnknownFutureValue`], all that are broken.
    pub fn new(properties: impl IntoIterator<Item = SchemaProperty>) -> Result<Self, BuildError> {
        let properties: Vec<_> = properties.into_iter().collect();
        let mut faults = FaultList::default();
        if !(1..=128).contains(&properties.len()) {
            let detail = format!(
                "has {} entries, and a schema 1 to 128; declare what items need",
                properties.len()
            );
            faults.push(Rule::SchemaSize, "$.properties", detail);
        }
        for (index, property) in properties.iter().enumerate() {
            property.check(index, &mut faults);
            let same = |before: &SchemaProperty| before.name.eq_ignore_ascii_case(&property.name);
            if properties[..index].iter().any(same) {
                let place = format!("$.properties[{index}].name");
                faults.push(
                    Rule::PropertyTwice,
                    place,
                    format!("{} is there twice; leave one out", property.name),
                );
            }
        }
        faults.finish()?;
        Ok(Self(properties))
    }

    /// The properties.
    pub fn properties(&self) -> &[SchemaProperty] {
        &self.0
    }

    /// The property with this name.
    pub fn get(&self, name: &str) -> Option<&SchemaProperty> {
        self.0.iter().find(|property| property.name == name)
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut members = to.serialize_map(Some(2))?;
        members.serialize_entry("baseType", "microsoft.graph.externalItem")?;
        members.serialize_entry("properties", &self.0)?;
        members.end()
    }
}

/// `PATCH /external/connections/{connection}/schema`: registers the schema
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-externalconnection-patch-schema)).
///
/// The answer says only that registration has begun. It takes 5 to 15 minutes; the connection is
/// ready when the operation is `completed`.
#[derive(Clone, Copy, Debug)]
pub struct RegisterSchema<'a> {
    connection: &'a ConnectionId,
    schema: &'a Schema,
}

impl<'a> RegisterSchema<'a> {
    /// Registers `schema` for `connection`.
    pub fn new(connection: &'a ConnectionId, schema: &'a Schema) -> Self {
        Self { connection, schema }
    }
}

/// A registration that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaRegistration {
    /// The operation to ask after, with [`GetOperation`](super::GetOperation).
    pub operation: OperationId,
    /// Where the service says that the operation is. Other hosts get no token.
    pub location: String,
}

impl Endpoint for RegisterSchema<'_> {
    type Output = SchemaRegistration;
    const ROUTE: Route =
        Route::patch("Create or update schema", "/external/connections/{connection}/schema")
            .clouds(CLOUDS)
            .permissions(work_or_application(MANAGE_CONNECTION))
            .lane(Lane::Connection)
            .success(&[202]);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
    }

    fn body(&self, to: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        let mut faults = FaultList::default();
        for (index, property) in self.schema.0.iter().enumerate() {
            let place = || format!("$.properties[{index}].type");
            property.kind.check_available(to, place, &mut faults);
        }
        faults.finish()?;
        write_json(self.schema, out)
    }

    fn parse(answer: &Answer<'_>) -> Result<SchemaRegistration, DecodeError> {
        let missing = |why: &str| DecodeError::new(DecodeKind::Header, why);
        let location = answer
            .headers()
            .get(http::header::LOCATION)
            .and_then(|location| location.to_str().ok())
            .ok_or_else(|| missing("no Location header names the operation"))?;
        let path = location.split(['?', '#']).next().unwrap_or_default();
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let id = percent_encoding::percent_decode_str(last).decode_utf8_lossy();
        let operation = OperationId::new(id)
            .map_err(|_| missing("the Location header does not end with an operation id"))?;
        Ok(SchemaRegistration { operation, location: location.to_owned() })
    }
}

resource! {
    /// A schema as the service answers with it.
    pub struct StoredSchema {
        optional {
            /// What the schema is of.
            base_type: String = "baseType",
            /// The properties.
            properties: Vec<StoredSchemaProperty> = "properties",
        }
    }
}

resource! {
    /// A property of a schema as the service answers with it. A flag that is absent is off.
    pub struct StoredSchemaProperty {
        optional {
            /// The name.
            name: String = "name",
            /// The type.
            kind: PropertyType = "type",
            /// Other names; the service adds one of its own to a refinable property.
            aliases: Vec<String> = "aliases",
            /// What it means.
            labels: Vec<Label> = "labels",
            /// Whether its text is searched in.
            is_searchable: bool = "isSearchable",
            /// Whether it can be named in a query.
            is_queryable: bool = "isQueryable",
            /// Whether it comes back in results.
            is_retrievable: bool = "isRetrievable",
            /// Whether results can be narrowed by it.
            is_refinable: bool = "isRefinable",
        }
    }
}

impl StoredSchema {
    /// Whether this is `schema`: the same properties, in whatever order. Aliases that the service
    /// has added do not count.
    pub fn is(&self, schema: &Schema) -> bool {
        let stored = self.properties.as_deref().unwrap_or_default();
        stored.len() == schema.0.len()
            && schema.0.iter().all(|property| stored.iter().any(|stored| stored.is(property)))
    }
}

impl StoredSchemaProperty {
    fn is(&self, property: &SchemaProperty) -> bool {
        let aliases = self.aliases.as_deref().unwrap_or_default();
        let labels = self.labels.as_deref().unwrap_or_default();
        self.name.as_ref() == Some(&property.name)
            && self.kind.as_ref() == Some(&property.kind)
            && self.is_searchable.unwrap_or(false) == property.searchable
            && self.is_queryable.unwrap_or(false) == property.queryable
            && self.is_retrievable.unwrap_or(false) == property.retrievable
            && self.is_refinable.unwrap_or(false) == property.refinable
            && labels.len() == property.labels.len()
            && property.labels.iter().all(|label| labels.contains(label))
            && property.aliases.iter().all(|alias| aliases.contains(alias))
    }
}

/// `GET /external/connections/{connection}/schema`
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-schema-get)).
///
/// It is a 404 until something is registered. The service may answer with a schema whose
/// registration is still in progress, so that this says nothing about readiness. The document's
/// example wraps the schema in `value`; both shapes are read.
#[derive(Clone, Copy, Debug)]
pub struct GetSchema<'a> {
    connection: &'a ConnectionId,
}

impl<'a> GetSchema<'a> {
    /// Asks for the schema of `connection`.
    pub fn new(connection: &'a ConnectionId) -> Self {
        Self { connection }
    }
}

impl Endpoint for GetSchema<'_> {
    type Output = StoredSchema;
    const ROUTE: Route = Route::get("Get schema", "/external/connections/{connection}/schema")
        .clouds(CLOUDS)
        .permissions(work_or_application(READ_CONNECTION))
        .lane(Lane::Connection);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
    }

    fn headers(&self, _: &ServiceRoot, headers: &mut HeaderMap) {
        // Without it, labels and types that are newer than the sentinel come back as it
        // (https://learn.microsoft.com/graph/best-practices-concept).
        let members = HeaderValue::from_static("include-unknown-enum-members");
        headers.insert(HeaderName::from_static("prefer"), members);
    }

    fn parse(answer: &Answer<'_>) -> Result<StoredSchema, DecodeError> {
        let schema: StoredSchema = answer.resource()?;
        match schema.other.get("value") {
            Some(wrapped) if schema.properties.is_none() => wrapped
                .read()
                .map_err(|error| DecodeError::new(DecodeKind::Shape, error.to_string())),
            _ => Ok(schema),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::protocol::{Cause, Cloud, Version};

    #[test]
    fn a_schema_tells_all_its_faults_at_once() {
        let refused = Schema::new([
            SchemaProperty::new("a", PropertyType::String).alias("b-c"),
            SchemaProperty::new("A", PropertyType::from("UnknownFutureValue")),
            SchemaProperty::new("", PropertyType::String).label(Label::from("unknownFutureValue")),
        ])
        .unwrap_err();
        let found: Vec<_> =
            refused.faults().iter().map(|fault| (fault.rule, &*fault.place)).collect();
        assert_eq!(
            found,
            [
                (Rule::PropertyName, "$.properties[0].aliases[0]"),
                (Rule::UnknownFutureValue, "$.properties[1].type"),
                (Rule::PropertyTwice, "$.properties[1].name"),
                (Rule::PropertyName, "$.properties[2].name"),
                (Rule::UnknownFutureValue, "$.properties[2].labels[0]"),
            ]
        );
        assert!(Schema::new([]).unwrap_err().breaks(Rule::SchemaSize));
        let many = |count: u32| {
            Schema::new(
                (0..count).map(|n| SchemaProperty::new(format!("p{n}"), PropertyType::Int64)),
            )
        };
        assert_eq!(many(128).unwrap().properties().len(), 128);
        assert!(many(129).unwrap_err().breaks(Rule::SchemaSize));
    }

    #[test]
    fn a_schema_is_written_in_camel_case_with_real_booleans() {
        let schema = Schema::new([
            SchemaProperty::new("title", PropertyType::String)
                .searchable()
                .retrievable()
                .label(Label::Title)
                .alias("headline"),
            SchemaProperty::new("tags", PropertyType::StringCollection).queryable().refinable(),
        ])
        .unwrap();
        assert_eq!(
            serde_json::to_value(&schema).unwrap(),
            json!({"baseType": "microsoft.graph.externalItem", "properties": [
                {"name": "title", "type": "string", "isSearchable": true, "isRetrievable": true,
                 "labels": ["title"], "aliases": ["headline"]},
                {"name": "tags", "type": "stringCollection", "isQueryable": true,
                 "isRefinable": true},
            ]})
        );
    }

    #[test]
    fn a_type_that_a_cloud_lacks_is_refused_there() {
        let id = ConnectionId::new("contosohr").unwrap();
        let schema = Schema::new([
            SchemaProperty::new("title", PropertyType::String),
            SchemaProperty::new("who", PropertyType::Principal),
            SchemaProperty::new("all", PropertyType::PrincipalCollection),
        ])
        .unwrap();
        let register = RegisterSchema::new(&id, &schema);
        assert!(register.request(&ServiceRoot::v1()).is_ok());
        let dod = ServiceRoot::new(Cloud::UsGovL5, Version::V1);
        let refused = register.request(&dod).unwrap_err();
        let found: Vec<_> =
            refused.faults().iter().map(|fault| (fault.rule, &*fault.place)).collect();
        assert_eq!(
            found,
            [(Rule::Cloud, "$.properties[1].type"), (Rule::Cloud, "$.properties[2].type")]
        );
    }

    #[test]
    fn a_stored_schema_is_recognised_in_both_shapes() {
        let schema = Schema::new([
            SchemaProperty::new("title", PropertyType::String).searchable().label(Label::Title),
            SchemaProperty::new("tags", PropertyType::StringCollection).refinable(),
        ])
        .unwrap();
        let connection = ConnectionId::new("contosohr").unwrap();
        let request = GetSchema::new(&connection).request(&ServiceRoot::v1()).unwrap();
        let read = |json: serde_json::Value| {
            let answer = http::Response::new(Bytes::from(json.to_string()));
            GetSchema::response(&request, answer).unwrap().value
        };
        let stored = json!({"@odata.context": "x", "baseType": "microsoft.graph.externalItem",
        "properties": [
            {"name": "tags", "type": "StringCollection", "isRefinable": true,
             "isSearchable": false, "aliases": ["RefinableString01"], "labels": []},
            {"name": "title", "type": "string", "isSearchable": true, "labels": ["title"],
             "description": null},
        ]});
        assert!(read(stored.clone()).is(&schema));
        assert!(read(json!({ "value": stored })).is(&schema));
        for (pointer, value) in [
            ("/properties/0/name", json!("tag")),
            ("/properties/0/isRefinable", json!(null)),
            ("/properties/1/type", json!("int64")),
            ("/properties/1/labels", json!(["url"])),
            ("/properties", json!([])),
        ] {
            let mut other = stored.clone();
            *other.pointer_mut(pointer).unwrap() = value;
            assert!(!read(other).is(&schema), "{pointer}");
        }
    }

    #[test]
    fn the_operation_is_the_last_segment_of_the_location() {
        let connection = ConnectionId::new("contosohr").unwrap();
        let schema = Schema::new([SchemaProperty::new("a", PropertyType::String)]).unwrap();
        let request =
            RegisterSchema::new(&connection, &schema).request(&ServiceRoot::v1()).unwrap();
        let answer = |location: Option<&str>| {
            let mut response = http::Response::builder().status(202);
            if let Some(location) = location {
                response = response.header("Location", location);
            }
            RegisterSchema::response(&request, response.body(Bytes::new()).unwrap())
        };
        let root = "https://graph.microsoft.com/v1.0/external/connections/contosohr/operations";
        for (end, id) in [("/1.neu.0278.6410", "1.neu.0278.6410"), ("/a%2Fb/?x=1", "a/b")] {
            let location = format!("{root}{end}");
            let begun = answer(Some(&location)).unwrap().value;
            assert_eq!(begun.operation.as_str(), id);
            assert_eq!(begun.location, location);
        }
        for wrong in [None, Some(""), Some("/..")] {
            let error = answer(wrong).unwrap_err();
            assert!(
                matches!(error.cause(), Cause::Unreadable { why, .. } if why.kind() == DecodeKind::Header)
            );
            assert_eq!(error.applied(), crate::protocol::Applied::Yes);
        }
    }
}
