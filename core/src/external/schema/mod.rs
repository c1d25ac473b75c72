//! The schema of a connection: which properties its items have
//! ([schema](https://learn.microsoft.com/graph/api/resources/externalconnectors-schema)).

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Serialize, Serializer};

mod check;
mod ensure;
mod ensure_ready;
mod label;
mod plan;
mod property;
mod registration;
mod update;

pub use ensure::{EnsureSchema, EnsuredSchema};
pub use ensure_ready::{EnsureReady, EnsuredReady};
pub use label::Label;
pub use plan::{PropertyChange, SchemaChange, SchemaPlan, SchemaVerdict};
pub use property::{
    ImportanceScore, PropertyType, SchemaAttribute, SchemaProperty, StoredRankingHint,
    StoredSchemaProperty,
};
pub use registration::{AwaitSchema, SchemaRegistered};

use update::SchemaOver;

use crate::external::{
    CLOUDS, MANAGE_CONNECTION, Properties, READ_CONNECTION, item, work_or_application,
};
#[cfg(doc)]
use crate::types::Rule;
use crate::{
    protocol::{
        Answer, DecodeError, DecodeKind, Endpoint, Lane, PathArgs, Route, ServiceRoot, write_json,
    },
    types::{BuildError, ConnectionId, Fault, FaultList, OperationId, read, resource},
};

/// The properties that the items of a connection may have: 1 to 128.
///
/// ```
/// use graphfeed_core::external::{Label, PropertyType, Schema, SchemaProperty};
/// use graphfeed_core::types::Rule;
///
/// let schema = Schema::new([
///     SchemaProperty::new("title", PropertyType::String)
///         .searchable()
///         .retrievable()
///         .label(Label::Title),
///     SchemaProperty::new("due", PropertyType::DateTime).queryable().refinable(),
/// ])?;
/// assert_eq!(schema.get("due").map(SchemaProperty::kind), Some(&PropertyType::DateTime));
///
/// // The service takes it; what is not the best it could be is told apart.
/// let rules: Vec<Rule> = schema.warnings().iter().map(|warning| warning.rule).collect();
/// assert_eq!(rules, [Rule::SchemaRefinable, Rule::LabelMissing, Rule::LabelMissing]);
///
/// let number = SchemaProperty::new("votes", PropertyType::Int64).searchable().label(Label::Url);
/// let refused = Schema::new([number]).unwrap_err();
/// let rules: Vec<Rule> = refused.faults().iter().map(|fault| fault.rule).collect();
/// assert_eq!(rules, [Rule::SchemaSearchable, Rule::LabelRetrievable, Rule::LabelType]);
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema(Vec<SchemaProperty>);

impl Schema {
    /// Checks the properties. Names are compared without letter case, which the documents leave
    /// open.
    ///
    /// # Errors
    /// All the rules that are broken, each with its place: [`Rule::SchemaSize`],
    /// [`Rule::PropertyName`], [`Rule::PropertyTwice`], [`Rule::UnknownFutureValue`],
    /// [`Rule::MemberRequired`] for an empty type, label or score, [`Rule::PropertyDescription`],
    /// [`Rule::SchemaSearchable`], [`Rule::SchemaRefinable`], [`Rule::SchemaExactMatch`],
    /// [`Rule::LabelRetrievable`], [`Rule::LabelTwice`], [`Rule::LabelType`] and
    /// [`Rule::PeopleSchema`].
    pub fn new(properties: impl IntoIterator<Item = SchemaProperty>) -> Result<Self, BuildError> {
        let properties: Vec<_> = properties.into_iter().collect();
        let mut faults = FaultList::default();
        check::check(&properties, &mut faults);
        faults.finish()?;
        Ok(Self(properties))
    }

    /// What the service takes, but makes less of, or perhaps not: the labels that
    /// [Copilot wants](https://learn.microsoft.com/graph/connecting-external-content-experiences)
    /// are missing ([`Rule::LabelMissing`]), or a property is refinable whose type the documents
    /// disagree on ([`Rule::SchemaRefinable`]).
    pub fn warnings(&self) -> Vec<Fault> {
        check::warnings(&self.0)
    }

    /// Checks that an [`ExternalItem`](crate::external::ExternalItem) or an [`ItemUpdate`](crate::external::ItemUpdate)
    /// has only properties that are declared here, of the types declared here. The types are
    /// compared strictly: a whole number is no `double`. An update that leaves the properties as
    /// they are fits.
    ///
    /// ```
    /// use graphfeed_core::external::{Acl, ExternalItem, PropertyType, Schema, SchemaProperty};
    /// use graphfeed_core::types::{Guid, ItemId};
    ///
    /// let schema = Schema::new([SchemaProperty::new("hours", PropertyType::Double)])?;
    /// let item = ExternalItem::builder(ItemId::new("T1")?)
    ///     .acl(Acl::user(Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874")?))
    ///     .property("hours", 7)
    ///     .property("Title", "Error in the payment gateway")
    ///     .build()?;
    /// assert_eq!(
    ///     schema.check_item(&item).unwrap_err().to_string(),
    ///     "$.properties.hours: is of type int64, and the schema declares double; make it a \
    ///      floating-point number, 7.0 for 7 [property-type]; \
    ///      $.properties.Title: is not in the schema; declare it there, or leave it out \
    ///      [property-undeclared]",
    /// );
    /// # Ok::<(), graphfeed_core::types::BuildError>(())
    /// ```
    ///
    /// # Errors
    /// [`Rule::PropertyUndeclared`], [`Rule::PropertyType`], and [`Rule::PeopleSchema`] for more
    /// than 3 addresses of a person: every one that is broken.
    pub fn check_item(&self, item: &impl AsRef<Properties>) -> Result<(), BuildError> {
        item::check::check(item.as_ref(), &self.0)
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
        SchemaOver { schema: self, stored: None }.serialize(to)
    }
}

/// `PATCH /external/connections/{connection}/schema`: registers the schema
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-externalconnection-patch-schema)).
///
/// The answer says only that registration has begun. It takes 5 to 15 minutes; the connection is
/// ready when the operation is `completed`.
///
/// Where a schema is registered already, what is sent is taken to stand in its place, so that what
/// [`SchemaPlan`] passes over would be lost; write the new one [`over`](Self::over) it, as
/// [`EnsureSchema`](crate::external::EnsureSchema) does.
#[derive(Clone, Copy, Debug)]
pub struct RegisterSchema<'a> {
    connection: &'a ConnectionId,
    schema: &'a Schema,
    stored: Option<&'a StoredSchema>,
}

impl<'a> RegisterSchema<'a> {
    /// Registers `schema` for `connection`.
    pub fn new(connection: &'a ConnectionId, schema: &'a Schema) -> Self {
        Self { connection, schema, stored: None }
    }

    /// Writes it over the schema that is registered, so that exactly what [`SchemaPlan::between`]
    /// finds is changed, whether the service replaces properties or merges into them, which the
    /// documents leave open: aliases of a refinable property, ranking hints and members that this
    /// version does not know are written again, and what is taken away is written as `false`, `[]`
    /// or `null`. A ranking hint is kept in beta only, for v1.0 has no word for it.
    ///
    /// Whether the service lets it be changed so is not looked at here; the plan says it.
    ///
    /// ```
    /// use graphfeed_core::external::{PropertyType, RegisterSchema, Schema, SchemaProperty};
    /// use graphfeed_core::protocol::{Endpoint, ServiceRoot};
    /// use graphfeed_core::types::ConnectionId;
    ///
    /// let stored = serde_json::from_str(
    ///     r#"{"properties":[{"name":"tag","type":"string","isQueryable":true,
    ///         "isRefinable":true,"aliases":["RefinableString00"]}]}"#,
    /// )?;
    /// let connection = ConnectionId::new("contosohr")?;
    /// let wanted = Schema::new([SchemaProperty::new("tag", PropertyType::String).refinable()])?;
    /// let request =
    ///     RegisterSchema::new(&connection, &wanted).over(&stored).request(&ServiceRoot::v1())?;
    /// assert!(request.body().ends_with(
    ///     br#"{"name":"tag","type":"string","isQueryable":false,"isRefinable":true,"aliases":["RefinableString00"]}]}"#,
    /// ));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn over(mut self, stored: &'a StoredSchema) -> Self {
        self.stored = Some(stored);
        self
    }
}

/// A registration that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaRegistration {
    /// The operation to ask after, with [`GetOperation`](crate::external::GetOperation).
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
            let before = self.stored.and_then(|stored| stored.get(&property.name));
            property.check_available(before, to, index, &mut faults);
        }
        faults.finish()?;
        let stored = self.stored.map(|stored| (stored, to.version()));
        write_json(&SchemaOver { schema: self.schema, stored }, out)
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

impl StoredSchema {
    /// The property with this name.
    pub fn get(&self, name: &str) -> Option<&StoredSchemaProperty> {
        let mut properties = self.properties.iter().flatten();
        properties.find(|property| property.name.as_deref() == Some(name))
    }

    /// Whether this is `schema`: whether [`SchemaPlan::between`] finds nothing to change.
    pub fn is(&self, schema: &Schema) -> bool {
        SchemaPlan::between(self, schema).is_empty()
    }

    /// Checks an item or an update of one as [`Schema::check_item`] does, against the schema that is
    /// registered. A property whose type is not known to this version takes any value.
    ///
    /// # Errors
    /// As there.
    pub fn check_item(&self, item: &impl AsRef<Properties>) -> Result<(), BuildError> {
        item::check::check(item.as_ref(), self.properties.iter().flatten())
    }
}

/// The registered schema as one that can be written, such as to change a property of it.
///
/// Types and labels that this version does not know are kept. Not so `unknownFutureValue`, behind
/// which the service hides what a request has not asked for: it cannot be written, so that a schema
/// with it is refused. [`StoredSchema::check_item`] works with any schema.
///
/// ```
/// use graphfeed_core::external::{
///     Label, PropertyType, Schema, SchemaAttribute, SchemaPlan, SchemaProperty, StoredSchema,
/// };
///
/// let live: StoredSchema = serde_json::from_str(
///     r#"{"properties":[{"name":"title","type":"string","isSearchable":true,
///         "isQueryable":true,"isRetrievable":true,"labels":["title"]}]}"#,
/// )?;
/// let mut properties = Schema::try_from(&live)?.properties().to_vec();
/// let title = properties[0].clone();
/// assert_eq!(title.labels(), [Label::Title]);
/// properties[0] = title.without_label(&Label::Title).switch(SchemaAttribute::Queryable, false);
/// properties.push(SchemaProperty::new("due", PropertyType::DateTime));
///
/// let plan = SchemaPlan::between(&live, &Schema::new(properties)?);
/// let changes: Vec<_> = plan.changes().iter().map(|change| change.what.to_string()).collect();
/// assert_eq!(changes, ["loses isQueryable", "loses the label \"title\"", "is added"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl TryFrom<&StoredSchema> for Schema {
    type Error = BuildError;

    /// # Errors
    /// As [`Schema::new`]: [`Rule::MemberRequired`] also where a type could not be read.
    fn try_from(stored: &StoredSchema) -> Result<Self, BuildError> {
        let stored = stored.properties.as_deref().unwrap_or_default();
        Self::new(stored.iter().map(StoredSchemaProperty::to_written))
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
        let mut schema: StoredSchema = answer.resource()?;
        let Some(wrapped) = schema.other.get("value").filter(|_| schema.properties.is_none())
        else {
            return Ok(schema);
        };
        let mut inner: StoredSchema = read(wrapped.get().as_bytes()).map_err(DecodeError::json)?;
        // What stands around the schema is kept with it.
        schema.other.remove("value");
        inner.base_type = inner.base_type.or(schema.base_type);
        for (name, value) in schema.other.iter() {
            inner.other.push(name.to_owned().into(), value.clone());
        }
        Ok(inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::{
        external::{ImportanceScore, Label, PropertyType},
        protocol::{Cause, Cloud, Version},
        types::Rule,
    };

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
                (Rule::PropertyTwice, "$.properties[1].name"),
                (Rule::UnknownFutureValue, "$.properties[1].type"),
                (Rule::PropertyName, "$.properties[2].name"),
                (Rule::LabelRetrievable, "$.properties[2].isRetrievable"),
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
    fn what_a_cloud_or_version_lacks_is_refused_there() {
        let id = ConnectionId::new("contosohr").unwrap();
        let text = |name| SchemaProperty::new(name, PropertyType::String).retrievable();
        let schema = Schema::new([
            text("title").label(Label::Title).label(Label::IconUrl),
            SchemaProperty::new("who", PropertyType::Principal),
            SchemaProperty::new("all", PropertyType::PrincipalCollection),
            text("box").description("d").label(Label::FileExtension).label(Label::ContainerUrl),
            text("tags").label(Label::from("labelOfTomorrow")).label(Label::Tags),
            text("id").exact_match_required(),
            text("body").searchable().ranking_hint(ImportanceScore::Low),
        ])
        .unwrap();
        let refused = |cloud: Cloud, version: Version| {
            let root = ServiceRoot::new(cloud, version);
            let refused = RegisterSchema::new(&id, &schema).request(&root).err();
            let faults = refused.map_or(Vec::new(), |why| why.faults().to_vec());
            faults.into_iter().map(|fault| (fault.rule, fault.place)).collect::<Vec<_>>()
        };
        let found = |of_cloud: bool, of_version: bool| {
            let cloud =
                ["[1].type", "[2].type", "[3].description", "[3].labels[1]", "[4].labels[1]"];
            let version = ["[5].isExactMatchRequired", "[6].rankingHint"];
            let cloud = cloud.iter().filter(|_| of_cloud).map(|place| (Rule::Cloud, *place));
            let version = version.iter().filter(|_| of_version).map(|at| (Rule::Version, *at));
            let place = |(rule, at)| (rule, format!("$.properties{at}").into());
            cloud.chain(version).map(place).collect::<Vec<_>>()
        };
        assert_eq!(refused(Cloud::Global, Version::Beta), found(false, false));
        assert_eq!(refused(Cloud::Global, Version::V1), found(false, true));
        assert_eq!(refused(Cloud::UsGovL4, Version::V1), found(true, true));
        assert_eq!(refused(Cloud::UsGovL5, Version::Beta), found(true, false));
    }

    #[test]
    fn what_is_taken_away_has_to_exist_there_too() {
        let id = ConnectionId::new("contosohr").unwrap();
        let stored = serde_json::from_value(json!({"properties": [{"name": "a", "type": "string",
            "description": "d", "isExactMatchRequired": true}]}))
        .unwrap();
        let schema = Schema::new([SchemaProperty::new("a", PropertyType::String)]).unwrap();
        let update = RegisterSchema::new(&id, &schema).over(&stored);
        let refused = update.request(&ServiceRoot::new(Cloud::UsGovL4, Version::V1)).unwrap_err();
        let found: Vec<_> =
            refused.faults().iter().map(|fault| (fault.rule, &*fault.place)).collect();
        assert_eq!(
            found,
            [
                (Rule::Cloud, "$.properties[0].description"),
                (Rule::Version, "$.properties[0].isExactMatchRequired"),
            ]
        );
        assert!(update.request(&ServiceRoot::new(Cloud::Global, Version::Beta)).is_ok());
    }

    #[test]
    fn a_stored_schema_that_cannot_be_written_says_why() {
        let stored: StoredSchema = serde_json::from_value(json!({"properties": [
            {"name": "a", "type": "vector", "labels": ["labelOfTomorrow"], "isRetrievable": true},
            {"name": "b"},
            {"type": "unknownFutureValue"},
        ]}))
        .unwrap();
        let refused = Schema::try_from(&stored).unwrap_err();
        let found: Vec<_> =
            refused.faults().iter().map(|fault| (fault.rule, &*fault.place)).collect();
        assert_eq!(
            found,
            [
                (Rule::MemberRequired, "$.properties[1].type"),
                (Rule::PropertyName, "$.properties[2].name"),
                (Rule::UnknownFutureValue, "$.properties[2].type"),
            ]
        );
        let empty = StoredSchema::default();
        assert!(Schema::try_from(&empty).unwrap_err().breaks(Rule::SchemaSize));
    }

    #[test]
    fn a_wrapped_schema_is_read_leniently_and_loses_nothing() {
        let connection = ConnectionId::new("contosohr").unwrap();
        let request = GetSchema::new(&connection).request(&ServiceRoot::v1()).unwrap();
        let read =
            |json: &str| GetSchema::response(&request, http::Response::new(json.to_owned().into()));
        let wrapped = read(
            r#"{"@odata.context": "x", "value": {"baseType": "microsoft.graph.externalItem",
                "new": 1, "properties": [{"name": "a", "type": 7, "aliases": "odd"}]}}"#,
        );
        assert_eq!(
            serde_json::to_value(wrapped.unwrap().value).unwrap(),
            json!({"@odata.context": "x", "baseType": "microsoft.graph.externalItem", "new": 1,
                "properties": [{"name": "a", "type": 7, "aliases": "odd"}]})
        );
        let outside = read(r#"{"baseType": "x", "value": {"properties": []}}"#).unwrap().value;
        assert_eq!(outside.base_type.as_deref(), Some("x"));
        for shape in [r#"{"value": []}"#, r#"{"value": null}"#] {
            let error = read(shape).unwrap_err();
            assert!(
                matches!(error.cause(), Cause::Unreadable { why, .. } if why.kind() == DecodeKind::Shape)
            );
        }
    }

    #[test]
    fn a_stored_schema_is_recognised_in_both_shapes() {
        let schema = Schema::new([
            SchemaProperty::new("title", PropertyType::String)
                .searchable()
                .retrievable()
                .label(Label::Title),
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
            {"name": "title", "type": "string", "isSearchable": true, "isRetrievable": true,
             "labels": ["title"], "description": null},
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
