//! How many items a connection can still take
//! ([connectionQuota](https://learn.microsoft.com/graph/api/resources/externalconnectors-connectionquota?view=graph-rest-beta)).

use crate::{
    external::CLOUDS,
    protocol::{
        Answer, DecodeError, Endpoint, Lane, PathArgs, Permission, Permissions, Route, Version,
    },
    types::{ConnectionId, resource},
};

resource! {
    /// How many items a connection can still take. Beta only, which Microsoft does not support in
    /// production.
    pub struct ConnectionQuota {
        optional {
            /// The smaller one of what the connection and what the tenant has left.
            items_remaining: i64 = "itemsRemaining",
        }
    }
}

/// `GET /external/connections/{connection}/quota`, beta only, which Microsoft does not support in
/// production
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-connectionquota-get?view=graph-rest-beta)).
///
/// Application tokens only.
///
/// ```
/// use graphfeed_core::external::GetQuota;
/// use graphfeed_core::protocol::{Cloud, Endpoint, ServiceRoot, Version};
/// use graphfeed_core::types::{ConnectionId, Rule};
///
/// let connection = ConnectionId::new("contosohr")?;
/// let quota = GetQuota::new(&connection);
/// assert!(quota.request(&ServiceRoot::v1()).unwrap_err().breaks(Rule::Version));
/// let request = quota.request(&ServiceRoot::new(Cloud::Global, Version::Beta))?;
/// assert_eq!(request.uri().path(), "/beta/external/connections/contosohr/quota");
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GetQuota<'a> {
    connection: &'a ConnectionId,
}

impl<'a> GetQuota<'a> {
    /// Asks for the quota of `connection`.
    pub fn new(connection: &'a ConnectionId) -> Self {
        Self { connection }
    }
}

impl Endpoint for GetQuota<'_> {
    type Output = ConnectionQuota;
    const ROUTE: Route = Route::get("Get quota", "/external/connections/{connection}/quota")
        .versions(&[Version::Beta])
        .clouds(CLOUDS)
        .permissions(Permissions {
            delegated_work: Permission::NONE,
            delegated_personal: Permission::NONE,
            application: Permission::least(&["ExternalConnection.ReadWrite.OwnedBy"], &[]),
        })
        .lane(Lane::Connection);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
    }

    fn parse(answer: &Answer<'_>) -> Result<ConnectionQuota, DecodeError> {
        answer.resource()
    }
}
