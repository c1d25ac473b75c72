//! Groups of the connector's own, and their members
//! ([externalGroup](https://learn.microsoft.com/graph/api/resources/externalconnectors-externalgroup)).
//!
//! No document tells how to list groups or members: whoever has to know what is there keeps a
//! record.

use serde::{Deserialize, Serialize};

mod plan;
mod record;
mod run;
#[cfg(test)]
mod tests;

pub use plan::{GroupPlan, GroupStep};
pub use record::GroupWithMembers;
pub use run::{AppliedGroupPlan, GroupCounts, GroupPlanFailed, GroupStepFailed, GroupStepFailure};

use crate::{
    external::{CLOUDS, Identity, READ_GROUP, StoredIdentity, WRITE_ITEM, work_or_application},
    protocol::{
        Answer, Created, DecodeError, Deleted, Endpoint, Lane, PathArgs, Repeat, Route,
        ServiceRoot, write_json,
    },
    types::{BuildError, Change, ConnectionId, ExternalGroupId, Fault, Rule, resource},
};

/// A group that is to be created: people who belong together in the source system, so that an
/// [`Acl`](crate::external::Acl) can name them all at once.
///
/// ```
/// use graphfeed_core::external::ExternalGroup;
/// use graphfeed_core::types::ExternalGroupId;
///
/// let group = ExternalGroup::builder(ExternalGroupId::new("31bea3d537902000")?)
///     .display_name("Contoso Marketing")
///     .description("The product marketing team")
///     .build();
/// assert_eq!(group.id().as_str(), "31bea3d537902000");
/// assert_eq!(group.display_name(), Some("Contoso Marketing"));
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalGroup {
    id: ExternalGroupId,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

impl ExternalGroup {
    /// A group with an id, which stays.
    pub fn new(id: ExternalGroupId) -> Self {
        Self { id, display_name: None, description: None }
    }

    /// Starts a group with an id and no texts yet.
    pub fn builder(id: ExternalGroupId) -> ExternalGroupBuilder {
        ExternalGroupBuilder { group: Self::new(id) }
    }

    /// The id.
    pub fn id(&self) -> &ExternalGroupId {
        &self.id
    }

    /// The name that people see.
    pub fn display_name(&self) -> Option<&str> {
        self.display_name.as_deref()
    }

    /// What the group is.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The update that makes this group of `old`, if there is anything to change.
    fn since(&self, old: &Self) -> Option<GroupUpdate> {
        let change = |new: &Option<String>, old: &Option<String>| match new == old {
            true => Change::Leave,
            false => set_or_null(new),
        };
        let update = GroupUpdate {
            display_name: change(&self.display_name, &old.display_name),
            description: change(&self.description, &old.description),
        };
        (!update.is_empty()).then_some(update)
    }

    /// The update that makes this group of one whose texts are not known.
    fn texts(&self) -> GroupUpdate {
        GroupUpdate {
            display_name: set_or_null(&self.display_name),
            description: set_or_null(&self.description),
        }
    }

    /// What the group is after an update.
    fn update(&mut self, update: &GroupUpdate) {
        for (member, change) in [
            (&mut self.display_name, &update.display_name),
            (&mut self.description, &update.description),
        ] {
            if !change.is_leave() {
                *member = change.set().cloned();
            }
        }
    }
}

fn set_or_null(text: &Option<String>) -> Change<String> {
    text.as_deref().map_or(Change::Null, Change::from)
}

/// Gathers the parts of an [`ExternalGroup`].
#[derive(Clone, Debug)]
#[must_use = "a group exists only after build()"]
pub struct ExternalGroupBuilder {
    group: ExternalGroup,
}

impl ExternalGroupBuilder {
    /// The name that people see.
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.group.display_name = Some(name.into());
        self
    }

    /// What the group is.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.group.description = Some(description.into());
        self
    }

    /// The group. No document limits its texts, so there is nothing to refuse.
    #[must_use]
    pub fn build(self) -> ExternalGroup {
        self.group
    }
}

/// What is to change about a group. What is not named stays; that `null` takes a text away is
/// assumed, for the documents only call both optional.
///
/// ```
/// use graphfeed_core::external::GroupUpdate;
/// use graphfeed_core::types::{Change, Rule};
///
/// let update =
///     GroupUpdate::builder().display_name("Marketing").description(Change::Null).build()?;
/// assert_eq!(update.display_name(), &Change::from("Marketing"));
/// assert!(GroupUpdate::builder().build().unwrap_err().breaks(Rule::UpdateEmpty));
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupUpdate {
    #[serde(skip_serializing_if = "Change::is_leave")]
    display_name: Change<String>,
    #[serde(skip_serializing_if = "Change::is_leave")]
    description: Change<String>,
}

impl GroupUpdate {
    /// Starts an update that changes nothing yet.
    pub fn builder() -> GroupUpdateBuilder {
        GroupUpdateBuilder { update: Self::default() }
    }

    /// What becomes of the name that people see.
    pub fn display_name(&self) -> &Change<String> {
        &self.display_name
    }

    /// What becomes of the description.
    pub fn description(&self) -> &Change<String> {
        &self.description
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Gathers the parts of a [`GroupUpdate`].
#[derive(Clone, Debug)]
#[must_use = "an update exists only after build()"]
pub struct GroupUpdateBuilder {
    update: GroupUpdate,
}

impl GroupUpdateBuilder {
    /// Changes the name that people see.
    pub fn display_name(mut self, name: impl Into<Change<String>>) -> Self {
        self.update.display_name = name.into();
        self
    }

    /// Changes the description.
    pub fn description(mut self, description: impl Into<Change<String>>) -> Self {
        self.update.description = description.into();
        self
    }

    /// The update.
    ///
    /// # Errors
    /// [`Rule::UpdateEmpty`] when it changes nothing.
    pub fn build(self) -> Result<GroupUpdate, BuildError> {
        if self.update.is_empty() {
            let detail = "changes nothing; give a displayName or a description";
            return Err(Fault::new(Rule::UpdateEmpty, "$", detail).into());
        }
        Ok(self.update)
    }
}

resource! {
    /// A group as the service answers with it, without its members.
    pub struct StoredGroup {
        optional {
            /// The id.
            id: String = "id",
            /// The name that people see.
            display_name: String = "displayName",
            /// What the group is.
            description: String = "description",
            /// Its members, where an answer has them.
            members: Vec<StoredIdentity> = "members",
        }
    }
}

/// `POST /external/connections/{connection}/groups`
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-externalconnection-post-groups)).
///
/// A tenant has room for 100,000 external groups. A group that is there already (409) is left as
/// it is; where the call was repeated, it may be that an attempt before made it.
///
/// ```
/// use graphfeed_core::external::{CreateGroup, ExternalGroup};
/// use graphfeed_core::protocol::{Created, Endpoint, ServiceRoot};
/// use graphfeed_core::types::{ConnectionId, ExternalGroupId};
///
/// let connection = ConnectionId::new("contosohr")?;
/// let id = ExternalGroupId::new("teamx")?;
/// let group = ExternalGroup::builder(id).display_name("Team X").build();
/// let request = CreateGroup::new(&connection, &group).request(&ServiceRoot::v1())?;
/// assert_eq!(request.body(), r#"{"id":"teamx","displayName":"Team X"}"#);
///
/// let conflict = http::Response::builder().status(409).body("".into())?;
/// assert_eq!(CreateGroup::response(&request, conflict)?.value, Created::AlreadyExists);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CreateGroup<'a> {
    connection: &'a ConnectionId,
    group: &'a ExternalGroup,
}

impl<'a> CreateGroup<'a> {
    /// Creates `group` in `connection`.
    pub fn new(connection: &'a ConnectionId, group: &'a ExternalGroup) -> Self {
        Self { connection, group }
    }
}

impl Endpoint for CreateGroup<'_> {
    type Output = Created<StoredGroup>;
    const ROUTE: Route = Route::post("Create group", "/external/connections/{connection}/groups")
        .clouds(CLOUDS)
        .permissions(work_or_application(WRITE_ITEM))
        .lane(Lane::Groups)
        .success(&[201])
        .reads(&[409]);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
    }

    fn body(&self, _: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        write_json(self.group, out)
    }

    // The id is the caller's: a second time finds the group there and changes nothing.
    fn repeat(&self) -> Repeat {
        Repeat::Freely
    }

    fn parse(answer: &Answer<'_>) -> Result<Created<StoredGroup>, DecodeError> {
        Created::parse(answer)
    }
}

/// `GET /external/connections/{connection}/groups/{group}`
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-externalgroup-get)).
///
/// The answer does not name the members.
#[derive(Clone, Copy, Debug)]
pub struct GetGroup<'a> {
    connection: &'a ConnectionId,
    group: &'a ExternalGroupId,
}

impl<'a> GetGroup<'a> {
    /// Asks for `group` of `connection`.
    pub fn new(connection: &'a ConnectionId, group: &'a ExternalGroupId) -> Self {
        Self { connection, group }
    }
}

impl Endpoint for GetGroup<'_> {
    type Output = StoredGroup;
    const ROUTE: Route =
        Route::get("Get group", "/external/connections/{connection}/groups/{group}")
            .clouds(CLOUDS)
            .permissions(work_or_application(READ_GROUP))
            .lane(Lane::Groups);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
        path.push(self.group);
    }

    fn parse(answer: &Answer<'_>) -> Result<StoredGroup, DecodeError> {
        answer.resource()
    }
}

/// `PATCH /external/connections/{connection}/groups/{group}`
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-externalgroup-update)).
///
/// Name and description only.
#[derive(Clone, Copy, Debug)]
pub struct UpdateGroup<'a> {
    connection: &'a ConnectionId,
    group: &'a ExternalGroupId,
    update: &'a GroupUpdate,
}

impl<'a> UpdateGroup<'a> {
    /// Makes `update` to `group` of `connection`.
    pub fn new(
        connection: &'a ConnectionId,
        group: &'a ExternalGroupId,
        update: &'a GroupUpdate,
    ) -> Self {
        Self { connection, group, update }
    }
}

impl Endpoint for UpdateGroup<'_> {
    type Output = ();
    const ROUTE: Route =
        Route::patch("Update group", "/external/connections/{connection}/groups/{group}")
            .clouds(CLOUDS)
            .permissions(work_or_application(WRITE_ITEM))
            .lane(Lane::Groups)
            .success(&[204]);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
        path.push(self.group);
    }

    fn body(&self, _: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        write_json(self.update, out)
    }

    // It says what the texts become, not how they differ: a second time sets the same.
    fn repeat(&self) -> Repeat {
        Repeat::Freely
    }

    fn parse(_: &Answer<'_>) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// `DELETE /external/connections/{connection}/groups/{group}`
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-externalgroup-delete)).
///
/// Its members go with it. What becomes of an acl or a group that names it is not documented.
#[derive(Clone, Copy, Debug)]
pub struct DeleteGroup<'a> {
    connection: &'a ConnectionId,
    group: &'a ExternalGroupId,
}

impl<'a> DeleteGroup<'a> {
    /// Deletes `group` of `connection`.
    pub fn new(connection: &'a ConnectionId, group: &'a ExternalGroupId) -> Self {
        Self { connection, group }
    }
}

impl Endpoint for DeleteGroup<'_> {
    type Output = Deleted;
    const ROUTE: Route =
        Route::delete("Delete group", "/external/connections/{connection}/groups/{group}")
            .clouds(CLOUDS)
            .permissions(work_or_application(WRITE_ITEM))
            .lane(Lane::Groups)
            .success(&[204])
            .reads(&[404]);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
        path.push(self.group);
    }

    fn parse(answer: &Answer<'_>) -> Result<Deleted, DecodeError> {
        Deleted::parse(answer)
    }
}

/// `POST /external/connections/{connection}/groups/{group}/members`
/// ([v1.0](https://learn.microsoft.com/graph/api/externalconnectors-externalgroup-post-members),
/// [beta](https://learn.microsoft.com/graph/api/externalconnectors-externalgroup-post-members?view=graph-rest-beta),
/// which Microsoft does not support in production).
///
/// A member that is there already (409) is left as it is. An external group can be a member of
/// another one of the same connection.
///
/// The body is the same in both versions. For beta that is assumed: the table of its document
/// asks for an `identitySource`, and for an external group for `type` `group`, but its examples,
/// its [identity](https://learn.microsoft.com/graph/api/resources/externalconnectors-identity?view=graph-rest-beta)
/// and the metadata know neither.
///
/// ```
/// use graphfeed_core::external::{AddMember, Identity};
/// use graphfeed_core::protocol::{Created, Endpoint, ServiceRoot};
/// use graphfeed_core::types::{ConnectionId, ExternalGroupId, Guid};
///
/// let (connection, group) = (ConnectionId::new("contosohr")?, ExternalGroupId::new("teamx")?);
/// let ann = Identity::user(Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874")?);
/// let request = AddMember::new(&connection, &group, &ann).request(&ServiceRoot::v1())?;
/// assert_eq!(
///     request.uri(),
///     "https://graph.microsoft.com/v1.0/external/connections/contosohr/groups/teamx/members",
/// );
/// let answer = http::Response::builder().status(201).body(request.body().clone())?;
/// let Created::Now(added) = AddMember::response(&request, answer)?.value else { panic!() };
/// assert_eq!(added.kind.as_ref(), Some(ann.kind()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AddMember<'a> {
    connection: &'a ConnectionId,
    group: &'a ExternalGroupId,
    member: &'a Identity,
}

impl<'a> AddMember<'a> {
    /// Adds `member` to `group` of `connection`.
    pub fn new(
        connection: &'a ConnectionId,
        group: &'a ExternalGroupId,
        member: &'a Identity,
    ) -> Self {
        Self { connection, group, member }
    }
}

impl Endpoint for AddMember<'_> {
    type Output = Created<StoredIdentity>;
    const ROUTE: Route =
        Route::post("Add member", "/external/connections/{connection}/groups/{group}/members")
            .clouds(CLOUDS)
            .permissions(work_or_application(WRITE_ITEM))
            .lane(Lane::Groups)
            .success(&[201])
            .reads(&[409]);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
        path.push(self.group);
    }

    fn body(&self, _: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        write_json(self.member, out)
    }

    // A second time finds the member there and changes nothing.
    fn repeat(&self) -> Repeat {
        Repeat::Freely
    }

    fn parse(answer: &Answer<'_>) -> Result<Created<StoredIdentity>, DecodeError> {
        Created::parse(answer)
    }
}

/// `DELETE /external/connections/{connection}/groups/{group}/members/{member}`
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-identity-delete)).
///
/// The path names the member by its id alone, whatever its type.
#[derive(Clone, Copy, Debug)]
pub struct RemoveMember<'a> {
    connection: &'a ConnectionId,
    group: &'a ExternalGroupId,
    member: &'a Identity,
}

impl<'a> RemoveMember<'a> {
    /// Removes `member` from `group` of `connection`.
    pub fn new(
        connection: &'a ConnectionId,
        group: &'a ExternalGroupId,
        member: &'a Identity,
    ) -> Self {
        Self { connection, group, member }
    }
}

impl Endpoint for RemoveMember<'_> {
    type Output = Deleted;
    const ROUTE: Route = Route::delete(
        "Remove member",
        "/external/connections/{connection}/groups/{group}/members/{member}",
    )
    .clouds(CLOUDS)
    .permissions(work_or_application(WRITE_ITEM))
    .lane(Lane::Groups)
    .success(&[204])
    .reads(&[404]);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
        path.push(self.group);
        path.push(self.member.id());
    }

    fn parse(answer: &Answer<'_>) -> Result<Deleted, DecodeError> {
        Deleted::parse(answer)
    }
}
