//! The item that is indexed
//! ([externalItem](https://learn.microsoft.com/graph/api/resources/externalconnectors-externalitem)).

use serde::Serialize;

mod acl;
pub(super) mod check;
pub(super) mod property;
mod stored_property;
pub(super) mod text;
mod write;

pub use acl::{AccessType, Acl, AclType, IdentitySource, StoredAcl};
pub use property::{Principal, Properties, PropertyValue};
pub use stored_property::{StoredProperties, StoredProperty};
pub use text::{ItemReader, ReadItem};

use crate::{
    external::{
        CLOUDS, ExternalActivity, READ_ITEM, StoredExternalActivity, WRITE_ITEM,
        work_or_application,
    },
    protocol::{
        Answer, DecodeError, DecodeKind, Deleted, Endpoint, Lane, PathArgs, Repeat, Route,
        ServiceRoot, Version, check_size,
    },
    types::{BuildError, Change, ConnectionId, FaultList, Guid, ItemId, Rule, open_enum, resource},
};

/// An item that is to be created or replaced: whole, for a PUT overwrites what is there.
///
/// Made by [`builder`](Self::builder); one that exists has an acl entry, a property, no name twice and only numbers
/// that JSON has.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalItem {
    id: ItemId,
    members: Members,
}

/// What a body says of an item: everything in a PUT, a part in a PATCH. Lists that are empty are
/// not said.
#[derive(Clone, Debug, Default, PartialEq)]
struct Members {
    acl: Vec<Acl>,
    properties: Properties,
    content: Change<ExternalItemContent>,
    sensitivity_label: Change<Guid>,
    activities: Vec<ExternalActivity>,
}

impl ExternalItem {
    /// Starts an item.
    ///
    /// ```
    /// use graphfeed_core::external::{Acl, ExternalItem, ExternalItemContent};
    /// use graphfeed_core::types::{Guid, ItemId};
    ///
    /// let item = ExternalItem::builder(ItemId::new("TSP228082938")?)
    ///     .acl(Acl::user(Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874")?))
    ///     .property("title", "Error in the payment gateway")
    ///     .property("priority", 1)
    ///     .property("tags", ["payment", "gateway"])
    ///     .content(ExternalItemContent::text("Error in payment gateway..."))
    ///     .build()?;
    /// assert_eq!(item.properties().len(), 3);
    /// # Ok::<(), graphfeed_core::types::BuildError>(())
    /// ```
    pub fn builder(id: ItemId) -> ExternalItemBuilder {
        ExternalItemBuilder { item: Self { id, members: Members::default() } }
    }

    /// The id.
    pub fn id(&self) -> &ItemId {
        &self.id
    }

    /// Who may see it.
    pub fn acl(&self) -> &[Acl] {
        &self.members.acl
    }

    /// Its properties.
    pub fn properties(&self) -> &Properties {
        &self.members.properties
    }

    /// Its full text.
    pub fn content(&self) -> Option<&ExternalItemContent> {
        self.members.content.set()
    }

    /// The id of its sensitivity label.
    pub fn sensitivity_label(&self) -> Option<Guid> {
        self.members.sensitivity_label.set().copied()
    }

    /// The activities sent along with it.
    pub fn activities(&self) -> &[ExternalActivity] {
        &self.members.activities
    }

    /// The item without its activities, and those: to be put over and over, where a PUT with
    /// activities in it would add them again each time.
    pub fn split_activities(mut self) -> (Self, Vec<ExternalActivity>) {
        let activities = std::mem::take(&mut self.members.activities);
        (self, activities)
    }

    /// Checks that the item can be put there as it is, as [`PutItem`] would do before it is sent.
    ///
    /// # Errors
    /// [`Rule::Cloud`] for what the cloud does not have, and [`Rule::BodySize`].
    pub fn check(&self, to: &ServiceRoot) -> Result<(), BuildError> {
        let mut body = Vec::new();
        self.members.write(to, &mut body)?;
        let mut faults = FaultList::default();
        check_size(body.len(), to, &mut faults);
        faults.finish()
    }

    /// Cuts off as much of the end of its text as it takes for the body to be no longer than the
    /// limit there, and gives the number of characters that are gone; mostly none. A cut never goes
    /// through a character; it may go through a tag of HTML.
    ///
    /// ```
    /// use graphfeed_core::external::{Acl, ExternalItem, ExternalItemContent};
    /// use graphfeed_core::protocol::{Limits, ServiceRoot};
    /// use graphfeed_core::types::{Guid, ItemId};
    ///
    /// let mut item = ExternalItem::builder(ItemId::new("T1")?)
    ///     .acl(Acl::everyone(Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874")?))
    ///     .property("title", "Apfel")
    ///     .content(ExternalItemContent::text("Wie man einen Apfel kandiert: viel Zucker, viel Zeit"))
    ///     .build()?;
    /// let root = ServiceRoot::v1().with_limits(Limits::default().with_body(194));
    /// assert_eq!(item.cut_content(&root)?, 23);
    /// assert_eq!(item.content().unwrap().value(), "Wie man einen Apfel kandiert:");
    /// # Ok::<(), graphfeed_core::types::BuildError>(())
    /// ```
    ///
    /// # Errors
    /// As [`check`](Self::check): [`Rule::BodySize`] when the body is too long even without a text.
    pub fn cut_content(&mut self, to: &ServiceRoot) -> Result<usize, BuildError> {
        let mut body = Vec::new();
        self.members.write(to, &mut body)?;
        let over = body.len().saturating_sub(to.limits().body);
        if over > 0
            && let Change::Set(content) = &mut self.members.content
            && let Some(end) = end_without(&content.value, over)
        {
            let cut = content.value[end..].chars().count();
            content.value.truncate(end);
            return Ok(cut);
        }
        let mut faults = FaultList::default();
        check_size(body.len(), to, &mut faults);
        faults.finish().map(|()| 0)
    }
}

/// Where a text ends once its end is gone, which is so many bytes long in JSON; `None` if it has
/// not so many.
fn end_without(text: &str, bytes: usize) -> Option<usize> {
    let mut gone = 0;
    text.char_indices().rev().find_map(|(at, character)| {
        gone += match character {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..' ' => 6,
            _ => character.len_utf8(),
        };
        (gone >= bytes).then_some(at)
    })
}

/// Gathers the parts of an [`ExternalItem`].
#[derive(Clone, Debug)]
#[must_use = "an item exists only after build()"]
pub struct ExternalItemBuilder {
    item: ExternalItem,
}

impl ExternalItemBuilder {
    /// Adds an entry of the access control list; at least one is needed.
    pub fn acl(mut self, entry: Acl) -> Self {
        self.item.members.acl.push(entry);
        self
    }

    /// Adds a property; at least one is needed. The value's type must be the one that the
    /// registered schema declares.
    pub fn property(mut self, name: impl AsRef<str>, value: impl Into<PropertyValue>) -> Self {
        self.item.members.properties.push(name.as_ref(), value.into());
        self
    }

    /// Adds a property if there is a value for it.
    pub fn maybe_property(
        self,
        name: impl AsRef<str>,
        value: Option<impl Into<PropertyValue>>,
    ) -> Self {
        match value {
            Some(value) => self.property(name, value),
            None => self,
        }
    }

    /// Sets the full text.
    pub fn content(mut self, content: ExternalItemContent) -> Self {
        self.item.members.content = content.into();
        self
    }

    /// Labels the item with the sensitivity label of this id (`informationProtectionLabel`). It is
    /// in the metadata of the service and in no document, and the US government's clouds do not
    /// have it: an item with one is refused for them.
    pub fn sensitivity_label(mut self, id: Guid) -> Self {
        self.item.members.sensitivity_label = id.into();
        self
    }

    /// Sends an activity along. The service appends it each time, so that a PUT with activities
    /// is not repeated when its fate is unknown.
    pub fn activity(mut self, activity: ExternalActivity) -> Self {
        self.item.members.activities.push(activity);
        self
    }

    /// The item.
    ///
    /// # Errors
    /// [`Rule::AclRequired`], [`Rule::PropertyRequired`], [`Rule::PropertyName`],
    /// [`Rule::PropertyTwice`], [`Rule::PropertyFinite`] and [`Rule::PrincipalEmpty`]: every one
    /// that is broken, with its place.
    pub fn build(self) -> Result<ExternalItem, BuildError> {
        let mut faults = FaultList::default();
        check_acl(&self.item.members.acl, &mut faults);
        self.item.members.properties.check(&mut faults);
        faults.finish()?;
        Ok(self.item)
    }
}

fn check_acl(acl: &[Acl], faults: &mut FaultList) {
    if acl.is_empty() {
        let detail = "nobody could see the item; add who may, such as Acl::everyone(tenant)";
        faults.push(Rule::AclRequired, "$.acl", detail);
    }
}

/// A change of an item that is there, for [`PatchItem`]: what it names becomes as it says, what it
/// does not name stays.
///
/// Made by [`builder`](Self::builder); one that exists changes something, and what it says keeps
/// the rules of an [`ExternalItem`].
#[derive(Clone, Debug, PartialEq)]
pub struct ItemUpdate {
    members: Members,
}

impl ItemUpdate {
    /// Starts an update that changes nothing yet.
    ///
    /// ```
    /// use graphfeed_core::external::{ItemUpdate, PropertyValue};
    /// use graphfeed_core::types::Change;
    ///
    /// // The item has these two properties then, no others, and no text.
    /// let update = ItemUpdate::builder()
    ///     .replace_properties([("title", PropertyValue::from("Solved")), ("priority", 3.into())])
    ///     .content(Change::Null)
    ///     .build()?;
    /// assert_eq!(update.properties().len(), 2);
    /// assert!(update.acl().is_empty(), "who may see it stays");
    /// # Ok::<(), graphfeed_core::types::BuildError>(())
    /// ```
    pub fn builder() -> ItemUpdateBuilder {
        ItemUpdateBuilder::default()
    }

    /// Who may see the item from now on; empty if that stays as it is.
    pub fn acl(&self) -> &[Acl] {
        &self.members.acl
    }

    /// All properties that the item has from now on; empty if they stay as they are.
    pub fn properties(&self) -> &Properties {
        &self.members.properties
    }

    /// What becomes of its full text.
    pub fn content(&self) -> &Change<ExternalItemContent> {
        &self.members.content
    }

    /// What becomes of its sensitivity label.
    pub fn sensitivity_label(&self) -> Change<Guid> {
        self.members.sensitivity_label
    }
}

/// Gathers the parts of an [`ItemUpdate`].
#[derive(Clone, Debug, Default)]
#[must_use = "an update exists only after build()"]
pub struct ItemUpdateBuilder {
    acl: Option<Vec<Acl>>,
    properties: Option<Properties>,
    content: Change<ExternalItemContent>,
    sensitivity_label: Change<Guid>,
}

impl ItemUpdateBuilder {
    /// Replaces the whole access control list: entries that are not given here are gone. At least
    /// one is needed.
    pub fn replace_acl(mut self, entries: impl IntoIterator<Item = Acl>) -> Self {
        self.acl = Some(entries.into_iter().collect());
        self
    }

    /// Replaces all the properties: those that are not given here are gone. At least one is
    /// needed.
    pub fn replace_properties<N: AsRef<str>, V: Into<PropertyValue>>(
        mut self,
        properties: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut all = Properties::default();
        for (name, value) in properties {
            all.push(name.as_ref(), value.into());
        }
        self.properties = Some(all);
        self
    }

    /// Replaces the full text. That [`Change::Null`] takes it away is assumed.
    pub fn content(mut self, content: impl Into<Change<ExternalItemContent>>) -> Self {
        self.content = content.into();
        self
    }

    /// Replaces the sensitivity label, as
    /// [of a whole item](ExternalItemBuilder::sensitivity_label). That an update may name it, and
    /// that [`Change::Null`] takes it away, is assumed.
    pub fn sensitivity_label(mut self, id: impl Into<Change<Guid>>) -> Self {
        self.sensitivity_label = id.into();
        self
    }

    /// The update.
    ///
    /// # Errors
    /// [`Rule::UpdateEmpty`] when it changes nothing. Of the acl and the properties that it
    /// replaces, every rule that is broken, as for [a whole item](ExternalItemBuilder::build).
    pub fn build(self) -> Result<ItemUpdate, BuildError> {
        let Self { acl, properties, content, sensitivity_label } = self;
        let mut faults = FaultList::default();
        if acl.is_none()
            && properties.is_none()
            && content.is_leave()
            && sensitivity_label.is_leave()
        {
            faults.push(Rule::UpdateEmpty, "$", "changes nothing; say what becomes different");
        }
        if let Some(acl) = &acl {
            check_acl(acl, &mut faults);
        }
        if let Some(properties) = &properties {
            properties.check(&mut faults);
        }
        faults.finish()?;
        let members = Members {
            acl: acl.unwrap_or_default(),
            properties: properties.unwrap_or_default(),
            content,
            sensitivity_label,
            activities: Vec::new(),
        };
        Ok(ItemUpdate { members })
    }
}

open_enum! {
    /// What the text of an item is.
    pub enum ExternalItemContentType {
        /// Plain text.
        Text = "text",
        /// HTML.
        Html = "html",
    }
}

/// The full text of an item
/// ([externalItemContent](https://learn.microsoft.com/graph/api/resources/externalconnectors-externalitemcontent)).
/// Text has to be taken out of binary files by the caller; compliance search reads plain text
/// only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExternalItemContent {
    value: String,
    #[serde(rename = "type")]
    kind: ExternalItemContentType,
}

impl ExternalItemContent {
    /// Plain text.
    pub fn text(value: impl Into<String>) -> Self {
        Self { value: value.into(), kind: ExternalItemContentType::Text }
    }

    /// HTML.
    pub fn html(value: impl Into<String>) -> Self {
        Self { value: value.into(), kind: ExternalItemContentType::Html }
    }

    /// The text.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What the text is.
    pub fn kind(&self) -> &ExternalItemContentType {
        &self.kind
    }
}

resource! {
    /// An item as the service answers with it.
    pub struct StoredItem {
        optional {
            /// The id; some answers leave it out.
            id: String = "id",
            /// Who may see it.
            acl: Vec<StoredAcl> = "acl",
            /// Its properties.
            properties: StoredProperties = "properties",
            /// Its full text.
            content: StoredContent = "content",
            /// How sensitive it is.
            information_protection_label: StoredInformationProtectionLabel
                = "informationProtectionLabel",
            /// What people did with it: an empty list, where answers were seen with one, for
            /// activities are documented as written and never read.
            activities: Vec<StoredExternalActivity> = "activities",
        }
    }
}

impl StoredItem {
    /// Reads what writing an item is answered with: the item, or nothing.
    fn if_any(answer: &Answer<'_>) -> Result<Option<Self>, DecodeError> {
        match answer.resource_if_any()? {
            Some(Self { id: None, properties: None, other, .. })
                if other.get("error").is_some() =>
            {
                Err(DecodeError::new(DecodeKind::Shape, "it holds an error in place of an item"))
            }
            stored => Ok(stored),
        }
    }
}

resource! {
    /// The full text of an item as the service answers with it.
    pub struct StoredContent {
        optional {
            /// The text.
            value: String = "value",
            /// What the text is.
            kind: ExternalItemContentType = "type",
        }
    }
}

resource! {
    /// How sensitive an item is, as the service answers with it. In the metadata of the service,
    /// and in no document.
    pub struct StoredInformationProtectionLabel {
        optional {
            /// The id of the sensitivity label, a GUID.
            sensitivity_label_id: String = "sensitivityLabelId",
        }
    }
}

/// `PUT /external/connections/{connection}/items/{item}`: creates or replaces an item
/// ([v1.0](https://learn.microsoft.com/graph/api/externalconnectors-externalconnection-put-items),
/// [beta](https://learn.microsoft.com/graph/api/externalconnectors-externalconnection-put-items?view=graph-rest-beta),
/// which Microsoft does not support in production).
///
/// The schema of the connection has to be registered. The whole body is at most 4,000,000 bytes
/// unless [`Limits`](crate::protocol::Limits) say otherwise. The service answers 200 for a new
/// item and for a replaced one, mostly without a body.
///
/// ```
/// use graphfeed_core::external::{Acl, ExternalItem, PutItem};
/// use graphfeed_core::protocol::{Endpoint, ServiceRoot};
/// use graphfeed_core::types::{ConnectionId, Guid, ItemId};
///
/// let connection = ConnectionId::new("contosohr")?;
/// let item = ExternalItem::builder(ItemId::new("T1")?)
///     .acl(Acl::everyone(Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874")?))
///     .property("title", "Kandierte Äpfel")
///     .build()?;
/// let request = PutItem::new(&connection, &item).request(&ServiceRoot::v1())?;
/// assert_eq!(
///     request.uri(),
///     "https://graph.microsoft.com/v1.0/external/connections/contosohr/items/T1",
/// );
/// assert!(request.body().ends_with(
///     r#""properties":{"title@odata.type":"String","title":"Kandierte Äpfel"}}"#.as_bytes()
/// ));
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PutItem<'a> {
    connection: &'a ConnectionId,
    item: &'a ExternalItem,
}

impl<'a> PutItem<'a> {
    /// Puts `item` into `connection`.
    pub fn new(connection: &'a ConnectionId, item: &'a ExternalItem) -> Self {
        Self { connection, item }
    }
}

impl Endpoint for PutItem<'_> {
    type Output = Option<StoredItem>;
    const ROUTE: Route =
        Route::put("Create or replace item", "/external/connections/{connection}/items/{item}")
            .clouds(CLOUDS)
            .permissions(work_or_application(WRITE_ITEM))
            .lane(Lane::Connection);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
        path.push(&self.item.id);
    }

    fn body(&self, to: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        self.item.members.write(to, out)
    }

    fn repeat(&self) -> Repeat {
        match self.item.members.activities.is_empty() {
            true => Repeat::Freely,
            false => Repeat::OnlyIfUnsent,
        }
    }

    fn parse(answer: &Answer<'_>) -> Result<Option<StoredItem>, DecodeError> {
        StoredItem::if_any(answer)
    }
}

/// `GET /external/connections/{connection}/items/{item}`
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-externalitem-get)).
///
/// For diagnosis: the service may throttle it.
#[derive(Clone, Copy, Debug)]
pub struct GetItem<'a> {
    connection: &'a ConnectionId,
    item: &'a ItemId,
}

impl<'a> GetItem<'a> {
    /// Asks for `item` of `connection`.
    pub fn new(connection: &'a ConnectionId, item: &'a ItemId) -> Self {
        Self { connection, item }
    }
}

impl Endpoint for GetItem<'_> {
    type Output = StoredItem;
    const ROUTE: Route = Route::get("Get item", "/external/connections/{connection}/items/{item}")
        .clouds(CLOUDS)
        .permissions(work_or_application(READ_ITEM))
        .lane(Lane::Connection);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
        path.push(self.item);
    }

    fn parse(answer: &Answer<'_>) -> Result<StoredItem, DecodeError> {
        answer.resource()
    }
}

/// `PATCH /external/connections/{connection}/items/{item}`: changes a part of an item that is
/// there
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-externalitem-update)).
///
/// It creates nothing, and what the update does not name stays, where [`PutItem`] would take it
/// away. But an acl or properties that it does name replace the stored ones whole: an entry or a
/// property that is left out is gone.
///
/// v1.0 only. The beta page has a PUT with the same words, where another beta page says that a PUT
/// overwrites the whole item; as half an item sent there could lose the other half, beta is
/// refused. The answer is the updated item; an empty one is assumed to be as good.
///
/// ```
/// use graphfeed_core::external::{Acl, ItemUpdate, PatchItem};
/// use graphfeed_core::protocol::{Endpoint, ServiceRoot};
/// use graphfeed_core::types::{ConnectionId, Guid, ItemId};
///
/// let (connection, item) = (ConnectionId::new("contosohr")?, ItemId::new("TSP228082938")?);
/// let tenant = Guid::new("67a141d8-cf4e-4528-ba07-bed21bfacd2d")?;
/// let update = ItemUpdate::builder().replace_acl([Acl::everyone(tenant)]).build()?;
/// let request = PatchItem::new(&connection, &item, &update).request(&ServiceRoot::v1())?;
/// assert_eq!(request.method(), "PATCH");
/// assert_eq!(
///     request.uri(),
///     "https://graph.microsoft.com/v1.0/external/connections/contosohr/items/TSP228082938",
/// );
/// assert_eq!(
///     request.body(),
///     r#"{"acl":[{"type":"everyone","value":"67a141d8-cf4e-4528-ba07-bed21bfacd2d","accessType":"grant"}]}"#,
/// );
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PatchItem<'a> {
    connection: &'a ConnectionId,
    item: &'a ItemId,
    update: &'a ItemUpdate,
}

impl<'a> PatchItem<'a> {
    /// Changes `item` of `connection` by `update`.
    pub fn new(connection: &'a ConnectionId, item: &'a ItemId, update: &'a ItemUpdate) -> Self {
        Self { connection, item, update }
    }
}

impl Endpoint for PatchItem<'_> {
    type Output = Option<StoredItem>;
    const ROUTE: Route =
        Route::patch("Update item", "/external/connections/{connection}/items/{item}")
            .versions(&[Version::V1])
            .clouds(CLOUDS)
            .permissions(work_or_application(WRITE_ITEM))
            .lane(Lane::Connection);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
        path.push(self.item);
    }

    fn body(&self, to: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        self.update.members.write(to, out)
    }

    /// It says what the members become, not by how much they change, and appends nothing: twice
    /// comes to the same as once.
    fn repeat(&self) -> Repeat {
        Repeat::Freely
    }

    fn parse(answer: &Answer<'_>) -> Result<Option<StoredItem>, DecodeError> {
        StoredItem::if_any(answer)
    }
}

/// `DELETE /external/connections/{connection}/items/{item}`
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-externalitem-delete)).
///
/// ```
/// use graphfeed_core::external::DeleteItem;
/// use graphfeed_core::protocol::{Deleted, Endpoint, ServiceRoot};
/// use graphfeed_core::types::{ConnectionId, ItemId};
///
/// let (connection, item) = (ConnectionId::new("contosohr")?, ItemId::new("T1")?);
/// let request = DeleteItem::new(&connection, &item).request(&ServiceRoot::v1())?;
/// let missing = http::Response::builder().status(404).body("".into())?;
/// assert_eq!(DeleteItem::response(&request, missing)?.value, Deleted::NotFound);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DeleteItem<'a> {
    connection: &'a ConnectionId,
    item: &'a ItemId,
}

impl<'a> DeleteItem<'a> {
    /// Deletes `item` of `connection`.
    pub fn new(connection: &'a ConnectionId, item: &'a ItemId) -> Self {
        Self { connection, item }
    }
}

impl Endpoint for DeleteItem<'_> {
    type Output = Deleted;
    const ROUTE: Route =
        Route::delete("Delete item", "/external/connections/{connection}/items/{item}")
            .clouds(CLOUDS)
            .permissions(work_or_application(WRITE_ITEM))
            .lane(Lane::Connection)
            .success(&[204])
            .reads(&[404]);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
        path.push(self.item);
    }

    fn parse(answer: &Answer<'_>) -> Result<Deleted, DecodeError> {
        Deleted::parse(answer)
    }
}
