//! The connection that items belong to
//! ([externalConnection](https://learn.microsoft.com/graph/api/resources/externalconnectors-externalconnection)).

use serde::Serialize;

use super::{CLOUDS, MANAGE_CONNECTION, READ_CONNECTION, work_or_application};
use crate::{
    protocol::{
        Answer, DecodeError, Deleted, Endpoint, Lane, Page, PathArgs, Route, ServiceRoot,
        write_json,
    },
    types::{BuildError, ConnectionId, Fault, Rule, open_enum, resource},
};

/// A connection that is to be created.
///
/// ```
/// use graphfeed_core::external::ExternalConnection;
/// use graphfeed_core::types::ConnectionId;
///
/// let hr = ExternalConnection::new(ConnectionId::new("contosohr")?, "Contoso HR")?
///     .description("Tickets of the HR desk");
/// assert_eq!(hr.id().as_str(), "contosohr");
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExternalConnection {
    id: ConnectionId,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

impl ExternalConnection {
    /// A connection with an id, which stays, and a name that people see.
    ///
    /// # Errors
    /// [`Rule::ConnectionName`] when the name does not have 1 to 128 characters.
    pub fn new(id: ConnectionId, name: impl Into<String>) -> Result<Self, BuildError> {
        let name = name.into();
        let length = name.chars().count();
        if !(1..=128).contains(&length) {
            let detail = format!("has {length} characters; choose a name of 1 to 128");
            return Err(Fault::new(Rule::ConnectionName, "$.name", detail).into());
        }
        Ok(Self { id, name, description: None })
    }

    /// What the connection holds, for people and for Copilot.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// The id.
    pub fn id(&self) -> &ConnectionId {
        &self.id
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
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
        }
    }
}

/// `POST /external/connections`
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-external-post-connections)).
///
/// The id is unique in the tenant; a second one with it is a 409. The service has been seen to
/// create a connection and answer 503 all the same: look before creating it again.
#[derive(Clone, Copy, Debug)]
pub struct CreateConnection<'a> {
    connection: &'a ExternalConnection,
}

impl<'a> CreateConnection<'a> {
    /// Creates `connection`.
    pub fn new(connection: &'a ExternalConnection) -> Self {
        Self { connection }
    }
}

impl Endpoint for CreateConnection<'_> {
    type Output = StoredConnection;
    const ROUTE: Route = Route::post("Create connection", "/external/connections")
        .clouds(CLOUDS)
        .permissions(work_or_application(MANAGE_CONNECTION))
        .success(&[201]);

    fn args(&self, _: &mut PathArgs<'_>) {}

    fn body(&self, _: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        write_json(self.connection, out)
    }

    fn parse(answer: &Answer<'_>) -> Result<StoredConnection, DecodeError> {
        answer.resource()
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
/// The answer (202) says that deleting has begun; it is done when [`GetConnection`] answers 404.
/// Its items and groups go with it.
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
