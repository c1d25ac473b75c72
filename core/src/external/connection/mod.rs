//! The connection that items belong to
//! ([externalConnection](https://learn.microsoft.com/graph/api/resources/externalconnectors-externalconnection)).

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

mod activity_settings;
mod content_experiences;
pub(super) mod ensure;
mod operation;
mod quota;
mod search_settings;
mod settings;
#[cfg(test)]
mod tests;
pub(super) mod wait;

pub use activity_settings::{ActivitySettings, ItemIdResolver, UrlMatchInfo};
pub use content_experiences::{ContentExperienceType, ContentExperiences};
pub use ensure::{CreateConnectionOnce, CreatedConnection, EnsureConnection, Made};
pub use operation::{ConnectionOperation, ConnectionOperationStatus, GetOperation};
pub use quota::{ConnectionQuota, GetQuota};
pub use search_settings::{
    BinaryOperator, ComplianceSettings, DisplayTemplate, PropertyRule, RuleOperation,
    SearchSettings,
};
pub use wait::{AwaitGone, AwaitReady};

use settings::Settings;

use crate::{
    external::{
        CLOUDS, MANAGE_CONNECTION, READ_CONNECTION, StoredGroup, StoredItem, StoredSchema,
        work_or_application,
    },
    protocol::{
        Answer, DecodeError, Deleted, Endpoint, Lane, Page, PathArgs, Repeat, Route, ServiceRoot,
        write_json_carrying,
    },
    types::{BuildError, Change, ConnectionId, FaultList, Guid, Rule, Secret, open_enum, resource},
};

/// A connection that is to be created.
///
/// ```
/// use graphfeed_core::external::{ContentCategory, ExternalConnection};
/// use graphfeed_core::types::ConnectionId;
///
/// let hr = ExternalConnection::new(ConnectionId::new("contosohr")?, "Contoso HR")?;
/// assert_eq!(hr.id().as_str(), "contosohr");
///
/// let help = ExternalConnection::builder(ConnectionId::new("contosohelp")?, "Contoso help")
///     .description("Tickets of the help desk, with their solutions")
///     .content_category(ContentCategory::TaskManagement)
///     .build()?;
/// assert_eq!(help.name(), "Contoso help");
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExternalConnection {
    id: ConnectionId,
    name: String,
    #[serde(flatten)]
    settings: Settings,
}

impl ExternalConnection {
    /// A connection with an id, which stays, and a name that people see.
    ///
    /// # Errors
    /// [`Rule::ConnectionName`] when the name does not have 1 to 128 characters.
    pub fn new(id: ConnectionId, name: impl Into<String>) -> Result<Self, BuildError> {
        Self::builder(id, name).build()
    }

    /// Starts a connection that says more about itself.
    pub fn builder(id: ConnectionId, name: impl Into<String>) -> ExternalConnectionBuilder {
        let connection = Self { id, name: name.into(), settings: Settings::default() };
        ExternalConnectionBuilder { connection }
    }

    /// The id.
    pub fn id(&self) -> &ConnectionId {
        &self.id
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The update that makes of `stored` what this connection says; `None` if there is nothing to
    /// change. What this connection is silent about stays as it is.
    pub fn update_of(&self, stored: &StoredConnection) -> Option<ConnectionUpdate> {
        let name = match stored.name.as_ref() == Some(&self.name) {
            true => Change::Leave,
            false => Change::Set(self.name.clone()),
        };
        let update = ConnectionUpdate { name, settings: self.settings.unlike(stored) };
        (!update.is_empty()).then_some(update)
    }
}

/// Gathers the parts of an [`ExternalConnection`].
#[derive(Clone, Debug)]
#[must_use = "a connection exists only after build()"]
pub struct ExternalConnectionBuilder {
    connection: ExternalConnection,
}

impl ExternalConnectionBuilder {
    /// The connection.
    ///
    /// # Errors
    /// [`Rule::ConnectionName`], [`Rule::UrlResolver`], [`Rule::DisplayTemplate`],
    /// [`Rule::ComplianceTemplate`], [`Rule::MemberRequired`] and [`Rule::UnknownFutureValue`]:
    /// every one that is broken, with its place.
    pub fn build(self) -> Result<ExternalConnection, BuildError> {
        let mut faults = FaultList::default();
        check_name(&self.connection.name, &mut faults);
        self.connection.settings.check(&mut faults);
        faults.finish()?;
        Ok(self.connection)
    }
}

/// What is to change in a connection. What is not named stays as it is; [`Change::Null`] takes
/// a member away. A member is replaced whole: to add a resolver, send all of them.
///
/// ```
/// use graphfeed_core::external::{Configuration, ConnectionUpdate, UpdateConnection};
/// use graphfeed_core::protocol::{Endpoint, ServiceRoot};
/// use graphfeed_core::types::{Change, ConnectionId, Guid};
///
/// let colleague = Guid::new("00000000-0000-0000-0000-000000000001")?;
/// let update = ConnectionUpdate::builder()
///     .description(Change::Null)
///     .configuration(Configuration::new([colleague]))
///     .build()?;
/// let connection = ConnectionId::new("contosohr")?;
/// let request = UpdateConnection::new(&connection, &update).request(&ServiceRoot::v1())?;
/// assert_eq!(
///     request.body(),
///     r#"{"description":null,"configuration":{"authorizedAppIds":["00000000-0000-0000-0000-000000000001"]}}"#,
/// );
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ConnectionUpdate {
    #[serde(skip_serializing_if = "Change::is_leave")]
    name: Change<String>,
    #[serde(flatten)]
    settings: Settings,
}

impl ConnectionUpdate {
    /// Starts an update that changes nothing yet.
    pub fn builder() -> ConnectionUpdateBuilder {
        ConnectionUpdateBuilder { update: Self::default() }
    }

    /// Another name.
    pub fn name(&self) -> Option<&str> {
        self.name.set().map(String::as_str)
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Gathers the parts of a [`ConnectionUpdate`].
#[derive(Clone, Debug)]
#[must_use = "an update exists only after build()"]
pub struct ConnectionUpdateBuilder {
    update: ConnectionUpdate,
}

impl ConnectionUpdateBuilder {
    /// Another name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.update.name = Change::Set(name.into());
        self
    }

    /// The update.
    ///
    /// # Errors
    /// [`Rule::UpdateEmpty`], and as [`ExternalConnectionBuilder::build`].
    pub fn build(self) -> Result<ConnectionUpdate, BuildError> {
        let mut faults = FaultList::default();
        if self.update.is_empty() {
            faults.push(Rule::UpdateEmpty, "$", "changes nothing; set a member, or do not send it");
        }
        if let Change::Set(name) = &self.update.name {
            check_name(name, &mut faults);
        }
        self.update.settings.check(&mut faults);
        faults.finish()?;
        Ok(self.update)
    }
}

fn check_name(name: &str, faults: &mut FaultList) {
    let length = name.chars().count();
    if !(1..=128).contains(&length) {
        let detail = format!("has {length} characters; choose a name of 1 to 128");
        faults.push(Rule::ConnectionName, "$.name", detail);
    }
}

open_enum! {
    /// What can be done with a connection.
    pub enum ConnectionState {
        /// Made, without a schema.
        Draft = "draft",
        /// Its schema is registered; items are welcome.
        Ready = "ready",
        /// To be deleted.
        Obsolete = "obsolete",
        /// Its quota is full; no new items.
        LimitExceeded = "limitExceeded",
    }
}

open_enum! {
    /// What kind of content a connection holds.
    pub enum ContentCategory {
        /// None of the others.
        Uncategorized = "uncategorized",
        /// Articles that explain.
        KnowledgeBase = "knowledgeBase",
        /// Wikis.
        Wikis = "wikis",
        /// Files.
        FileRepository = "fileRepository",
        /// Questions and answers.
        Qna = "qna",
        /// Customers.
        Crm = "crm",
        /// Dashboards.
        Dashboard = "dashboard",
        /// People.
        People = "people",
        /// Pictures, sound and films.
        Media = "media",
        /// Mail.
        Email = "email",
        /// Messages.
        Messaging = "messaging",
        /// What was said in meetings.
        MeetingTranscripts = "meetingTranscripts",
        /// Tasks and tickets.
        TaskManagement = "taskManagement",
        /// Courses.
        LearningManagement = "learningManagement",
    }
}

resource! {
    /// Who else may manage a connection
    /// ([configuration](https://learn.microsoft.com/graph/api/resources/externalconnectors-configuration)).
    pub struct Configuration {
        optional {
            /// The application ids of others that may manage the connection.
            authorized_app_ids: Vec<String> = "authorizedAppIds",
        }
    }
}

impl Configuration {
    /// These applications may manage the connection, too.
    pub fn new(authorized_app_ids: impl IntoIterator<Item = Guid>) -> Self {
        let ids = authorized_app_ids.into_iter().map(|id| id.to_string()).collect();
        Self { authorized_app_ids: Some(ids), ..Self::default() }
    }
}

resource! {
    /// A connection as the service answers with it.
    pub struct StoredConnection {
        optional {
            /// The id.
            id: String = "id",
            /// The name.
            name: String = "name",
            /// The description.
            description: String = "description",
            /// What can be done with it.
            state: ConnectionState = "state",
            /// Who else may manage it.
            configuration: Configuration = "configuration",
            /// How to find the item behind a URL.
            activity_settings: ActivitySettings = "activitySettings",
            /// How results look.
            search_settings: SearchSettings = "searchSettings",
            /// What kind of content it holds.
            content_category: ContentCategory = "contentCategory",
            /// The Teams app that it was made for.
            connector_id: String = "connectorId",
            /// How results look in compliance search. Beta only, which Microsoft does not support
            /// in production.
            compliance_settings: ComplianceSettings = "complianceSettings",
            /// Where its content shows. Beta only, which Microsoft does not support in production.
            enabled_content_experiences: ContentExperiences = "enabledContentExperiences",
            /// How many items it holds, as counted in the last 15 minutes; none in draft. Beta
            /// only, which Microsoft does not support in production.
            ingested_items_count: i64 = "ingestedItemsCount",
            /// How many items it can still take, where an answer has it. Beta only, which
            /// Microsoft does not support in production.
            quota: ConnectionQuota = "quota",
            /// Its external groups, where an answer has them.
            groups: Vec<StoredGroup> = "groups",
            /// Its items, where an answer has them.
            items: Vec<StoredItem> = "items",
            /// Its operations, where an answer has them.
            operations: Vec<ConnectionOperation> = "operations",
            /// Its schema, where an answer has it.
            schema: StoredSchema = "schema",
        }
    }
}

/// What ties a connection to the Teams app that asked for it: the app's id and its ticket, which
/// the service takes together or not at all
/// ([document](https://learn.microsoft.com/graph/connecting-external-content-deploy-teams)).
///
/// `Debug` does not show the ticket.
#[derive(Clone, Debug)]
pub struct ConnectorTicket {
    connector_id: String,
    ticket: Secret,
}

impl ConnectorTicket {
    /// From the notification that Teams sends when the app is switched on.
    ///
    /// # Errors
    /// [`Rule::ConnectorTicket`] when one of them is empty, or has other characters than visible
    /// ASCII. The error does not repeat the ticket.
    pub fn new(connector_id: impl Into<String>, ticket: Secret) -> Result<Self, BuildError> {
        let connector_id = connector_id.into();
        let mut faults = FaultList::default();
        for (place, text) in
            [("$.connectorId", connector_id.as_str()), (TICKET_PLACE, ticket.reveal())]
        {
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                let detail = "is not visible ASCII; give it as the notification has it";
                faults.push(Rule::ConnectorTicket, place, detail);
            }
        }
        faults.finish()?;
        Ok(Self { connector_id, ticket })
    }

    /// The id of the app.
    pub fn connector_id(&self) -> &str {
        &self.connector_id
    }

    fn header(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(self.ticket.reveal())
            .expect("a ConnectorTicket is visible ASCII, which every header value may hold");
        value.set_sensitive(true);
        value
    }
}

const TICKET: HeaderName = HeaderName::from_static("graphconnectors-ticket");
const TICKET_PLACE: &str = "header graphconnectors-ticket";

/// `POST /external/connections`
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-external-post-connections)).
///
/// The id is unique in the tenant; a second one with it is a 409. The service has been seen to
/// create a connection and answer 503 all the same: look before creating it again.
#[derive(Clone, Copy, Debug)]
pub struct CreateConnection<'a> {
    connection: &'a ExternalConnection,
    ticket: Option<&'a ConnectorTicket>,
}

impl<'a> CreateConnection<'a> {
    /// Creates `connection`.
    pub fn new(connection: &'a ExternalConnection) -> Self {
        Self { connection, ticket: None }
    }

    /// For a Teams app, which has asked for it with `ticket`.
    #[must_use]
    pub fn ticket(mut self, ticket: &'a ConnectorTicket) -> Self {
        self.ticket = Some(ticket);
        self
    }

    fn connection(&self) -> &'a ExternalConnection {
        self.connection
    }

    fn connector_id(&self) -> Option<&'a str> {
        self.ticket.map(ConnectorTicket::connector_id)
    }
}

#[derive(Serialize)]
struct Creation<'a> {
    #[serde(flatten)]
    connection: &'a ExternalConnection,
    #[serde(rename = "connectorId", skip_serializing_if = "Option::is_none")]
    connector_id: Option<&'a str>,
}

impl Endpoint for CreateConnection<'_> {
    type Output = StoredConnection;
    const ROUTE: Route = Route::post("Create connection", "/external/connections")
        .clouds(CLOUDS)
        .permissions(work_or_application(MANAGE_CONNECTION))
        .success(&[201]);

    fn args(&self, _: &mut PathArgs<'_>) {}

    fn headers(&self, _: &ServiceRoot, headers: &mut HeaderMap) {
        if let Some(ticket) = self.ticket {
            headers.insert(TICKET, ticket.header());
        }
    }

    fn body(&self, to: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        self.connection.settings.check_available(to)?;
        let connector_id = self.connector_id();
        write_json_carrying(&Creation { connection: self.connection, connector_id }, out)
    }

    fn parse(answer: &Answer<'_>) -> Result<StoredConnection, DecodeError> {
        answer.resource()
    }
}

/// `PATCH /external/connections/{connection}`: changes what the update names
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-externalconnection-update)).
///
/// The document lists name, description and configuration; that activitySettings and
/// searchSettings can be changed, too, is seen in connectors, and assumed for the rest.
#[derive(Clone, Copy, Debug)]
pub struct UpdateConnection<'a> {
    connection: &'a ConnectionId,
    update: &'a ConnectionUpdate,
}

impl<'a> UpdateConnection<'a> {
    /// Carries out `update` on `connection`.
    pub fn new(connection: &'a ConnectionId, update: &'a ConnectionUpdate) -> Self {
        Self { connection, update }
    }
}

impl Endpoint for UpdateConnection<'_> {
    type Output = ();
    const ROUTE: Route = Route::patch("Update connection", "/external/connections/{connection}")
        .clouds(CLOUDS)
        .permissions(work_or_application(MANAGE_CONNECTION))
        .lane(Lane::Connection)
        .success(&[204]);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
    }

    fn body(&self, to: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        self.update.settings.check_available(to)?;
        write_json_carrying(self.update, out)
    }

    // It sets members to values, so that twice comes to the same as once.
    fn repeat(&self) -> Repeat {
        Repeat::Freely
    }

    fn parse(_: &Answer<'_>) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// `GET /external/connections/{connection}`
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-externalconnection-get)).
#[derive(Clone, Copy, Debug)]
pub struct GetConnection<'a> {
    connection: &'a ConnectionId,
}

impl<'a> GetConnection<'a> {
    /// Asks for `connection`.
    pub fn new(connection: &'a ConnectionId) -> Self {
        Self { connection }
    }
}

impl Endpoint for GetConnection<'_> {
    type Output = StoredConnection;
    const ROUTE: Route = Route::get("Get connection", "/external/connections/{connection}")
        .clouds(CLOUDS)
        .permissions(work_or_application(READ_CONNECTION))
        .lane(Lane::Connection);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
    }

    fn parse(answer: &Answer<'_>) -> Result<StoredConnection, DecodeError> {
        answer.resource()
    }
}

/// `GET /external/connections`: the connections that the caller may see
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-external-list-connections)).
///
/// With an `OwnedBy` permission those are the ones that the application created, and those that
/// name it in their `authorizedAppIds`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListConnections {}

impl ListConnections {
    /// Asks for the first page.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Endpoint for ListConnections {
    type Output = Page<StoredConnection>;
    const ROUTE: Route = Route::get("List connections", "/external/connections")
        .clouds(CLOUDS)
        .permissions(work_or_application(READ_CONNECTION));

    fn args(&self, _: &mut PathArgs<'_>) {}

    fn parse(answer: &Answer<'_>) -> Result<Page<StoredConnection>, DecodeError> {
        answer.resource()
    }
}

/// `DELETE /external/connections/{connection}`
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-externalconnection-delete)).
///
/// The answer (202) says that deleting has begun; it is done when [`GetConnection`] answers 404, for
/// which [`AwaitGone`](crate::external::AwaitGone) waits. Its items and groups go with it.
#[derive(Clone, Copy, Debug)]
pub struct DeleteConnection<'a> {
    connection: &'a ConnectionId,
}

impl<'a> DeleteConnection<'a> {
    /// Deletes `connection`.
    pub fn new(connection: &'a ConnectionId) -> Self {
        Self { connection }
    }
}

impl Endpoint for DeleteConnection<'_> {
    type Output = Deleted;
    const ROUTE: Route = Route::delete("Delete connection", "/external/connections/{connection}")
        .clouds(CLOUDS)
        .permissions(work_or_application(MANAGE_CONNECTION))
        .lane(Lane::Connection)
        .success(&[202])
        .reads(&[404]);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
    }

    fn parse(answer: &Answer<'_>) -> Result<Deleted, DecodeError> {
        Deleted::parse(answer)
    }
}
