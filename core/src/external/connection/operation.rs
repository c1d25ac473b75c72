//! A long-running operation on a connection
//! ([connectionOperation](https://learn.microsoft.com/graph/api/resources/externalconnectors-connectionoperation)).

use crate::{
    external::{CLOUDS, READ_CONNECTION, work_or_application},
    protocol::{Answer, DecodeError, Endpoint, Lane, PathArgs, PublicError, Route},
    types::{ConnectionId, OperationId, open_enum, resource},
};

open_enum! {
    /// How far an operation is. Only `completed` is success; an unknown status is neither that
    /// nor failure.
    pub enum ConnectionOperationStatus {
        /// Not said.
        Unspecified = "unspecified",
        /// Still at it.
        InProgress = "inprogress",
        /// Done.
        Completed = "completed",
        /// Given up; the error says why.
        Failed = "failed",
    }
}

resource! {
    /// A long-running operation as the service answers with it.
    pub struct ConnectionOperation {
        optional {
            /// Its opaque id.
            id: String = "id",
            /// How far it is.
            status: ConnectionOperationStatus = "status",
            /// Why it failed.
            error: PublicError = "error",
        }
    }
}

/// `GET /external/connections/{connection}/operations/{operation}`
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-connectionoperation-get)).
///
/// A completed operation may vanish (404) after a while; the state of the connection says then
/// whether it is ready.
#[derive(Clone, Copy, Debug)]
pub struct GetOperation<'a> {
    connection: &'a ConnectionId,
    operation: &'a OperationId,
}

impl<'a> GetOperation<'a> {
    /// Asks after `operation` of `connection`.
    pub fn new(connection: &'a ConnectionId, operation: &'a OperationId) -> Self {
        Self { connection, operation }
    }
}

impl Endpoint for GetOperation<'_> {
    type Output = ConnectionOperation;
    const ROUTE: Route =
        Route::get("Get operation", "/external/connections/{connection}/operations/{operation}")
            .clouds(CLOUDS)
            .permissions(work_or_application(READ_CONNECTION))
            .lane(Lane::Connection);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
        path.push(self.operation);
    }

    fn parse(answer: &Answer<'_>) -> Result<ConnectionOperation, DecodeError> {
        answer.resource()
    }
}
