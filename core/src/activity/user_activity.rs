//! What a user did in an app, and can go back to
//! ([userActivity](https://learn.microsoft.com/graph/api/resources/projectrome-activity)).

use serde::Serialize;

use super::{
    ActivityHistoryItem, ActivityOptions, CLOUDS, PERMISSIONS, Put, Status, StoredHistoryItem,
};
use crate::{
    protocol::{
        Answer, DecodeError, Deleted, Endpoint, Lane, Page, PathArgs, Query, Repeat, Route,
        ServiceRoot, write_json_carrying,
    },
    types::{AppActivityId, BuildError, FaultList, RawJson, Timestamp, UserActivityId, resource},
};

/// An activity that is to be created or replaced. The members that the server owns (id, status,
/// creation and change) are in [`StoredActivity`].
///
/// ```
/// use graphfeed_core::activity::{UserActivity, VisualInfo};
/// use graphfeed_core::types::{AppActivityId, RawJson};
///
/// let mut visual = VisualInfo::new("Contoso How-To: How to Tie a Reef Knot");
/// visual.content = Some(RawJson::parse(r#"{"type": "AdaptiveCard", "body": []}"#)?);
/// let activity = UserActivity::builder(AppActivityId::new("/article?12345")?)
///     .activity_source_host("https://contoso.com")
///     .activation_url("https://www.contoso.com/article?id=12345")
///     .visual_elements(visual)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserActivity {
    app_activity_id: AppActivityId,
    activity_source_host: String,
    activation_url: String,
    visual_elements: VisualInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_info: Option<RawJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    history_items: Vec<ActivityHistoryItem>,
}

impl UserActivity {
    /// Starts an activity under the app's own id for it.
    pub fn builder(app_activity_id: AppActivityId) -> UserActivityBuilder {
        UserActivityBuilder {
            activity: Self {
                app_activity_id,
                activity_source_host: String::new(),
                activation_url: String::new(),
                visual_elements: VisualInfo::new(""),
                app_display_name: None,
                content_url: None,
                fallback_url: None,
                user_timezone: None,
                content_info: None,
                history_items: Vec::new(),
            },
        }
    }

    /// The app's own id.
    pub fn app_activity_id(&self) -> &AppActivityId {
        &self.app_activity_id
    }

    /// The history that goes with it.
    pub fn history_items(&self) -> &[ActivityHistoryItem] {
        &self.history_items
    }
}

/// Gathers the parts of a [`UserActivity`].
#[derive(Clone, Debug)]
#[must_use = "an activity exists only after build()"]
pub struct UserActivityBuilder {
    activity: UserActivity,
}

impl UserActivityBuilder {
    /// The domain that the app has registered for its activities. Required.
    pub fn activity_source_host(mut self, host: impl Into<String>) -> Self {
        self.activity.activity_source_host = host.into();
        self
    }

    /// The address that opens the activity in the app. Required, though examples of the documents
    /// leave it out.
    pub fn activation_url(mut self, url: impl Into<String>) -> Self {
        self.activity.activation_url = url.into();
        self
    }

    /// How it looks. Required.
    pub fn visual_elements(mut self, visual: VisualInfo) -> Self {
        self.activity.visual_elements = visual;
        self
    }

    /// The name of the app.
    pub fn app_display_name(mut self, name: impl Into<String>) -> Self {
        self.activity.app_display_name = Some(name.into());
        self
    }

    /// The address of the content, if it can be opened by others.
    pub fn content_url(mut self, url: impl Into<String>) -> Self {
        self.activity.content_url = Some(url.into());
        self
    }

    /// The address to open where the app is not installed.
    pub fn fallback_url(mut self, url: impl Into<String>) -> Self {
        self.activity.fallback_url = Some(url.into());
        self
    }

    /// The user's time zone, by its IANA name, such as `Africa/Casablanca`.
    pub fn user_timezone(mut self, name: impl Into<String>) -> Self {
        self.activity.user_timezone = Some(name.into());
        self
    }

    /// What the content is, as JSON-LD after schema.org. Goes out byte for byte; the request is
    /// refused with [`Rule::BodyJson`](crate::types::Rule::BodyJson) where nobody could read it.
    pub fn content_info(mut self, json_ld: RawJson) -> Self {
        self.activity.content_info = Some(json_ld);
        self
    }

    /// Writes a history item together with the activity ("deep insert"). The server makes its
    /// GUID, so that a call with one is not repeated when its fate is unknown; to put the
    /// activity first and its history after it, under GUIDs of the caller's, is the safe way.
    pub fn history_item(mut self, item: ActivityHistoryItem) -> Self {
        self.activity.history_items.push(item);
        self
    }

    /// The activity.
    ///
    /// # Errors
    /// [`Rule::MemberRequired`](crate::types::Rule::MemberRequired) for each required member
    /// that is missing or empty.
    pub fn build(self) -> Result<UserActivity, BuildError> {
        let activity = self.activity;
        let mut faults = FaultList::default();
        faults.require("$.activitySourceHost", &activity.activity_source_host);
        faults.require("$.activationUrl", &activity.activation_url);
        faults.require("$.visualElements.displayText", &activity.visual_elements.display_text);
        faults.finish()?;
        Ok(activity)
    }
}

resource! {
    /// How an activity looks
    /// ([visualInfo](https://learn.microsoft.com/graph/api/resources/projectrome-visualinfo)).
    pub struct VisualInfo {
        required {
            /// The short text that names it.
            display_text: String = "displayText",
        }
        optional {
            /// A longer text.
            description: String = "description",
            /// The colour behind it, such as `#ff0000`.
            background_color: String = "backgroundColor",
            /// An Adaptive Card, byte for byte.
            content: RawJson = "content",
            /// The app's icon.
            attribution: ImageInfo = "attribution",
        }
    }
}

impl VisualInfo {
    /// Just a text; set the other members as needed.
    pub fn new(display_text: impl Into<String>) -> Self {
        Self {
            display_text: display_text.into(),
            description: None,
            background_color: None,
            content: None,
            attribution: None,
            other: Default::default(),
        }
    }
}

resource! {
    /// An icon
    /// ([imageInfo](https://learn.microsoft.com/graph/api/resources/projectrome-imageinfo)).
    pub struct ImageInfo {
        optional {
            /// Where it is.
            icon_url: String = "iconUrl",
            /// What it shows, in words.
            alternate_text: String = "alternateText",
            /// In the metadata of the service, and in no document.
            alternative_text: String = "alternativeText",
            /// Whether the service may add size and theme to the address.
            add_image_query: bool = "addImageQuery",
        }
    }
}

impl ImageInfo {
    /// An icon at this address.
    pub fn new(icon_url: impl Into<String>) -> Self {
        Self { icon_url: Some(icon_url.into()), ..Self::default() }
    }
}

resource! {
    /// An activity as the service answers with it.
    pub struct StoredActivity {
        required {
            /// The server's id, which history and delete calls take.
            id: UserActivityId = "id",
        }
        optional {
            /// The app's own id.
            app_activity_id: String = "appActivityId",
            /// The domain that the app has registered.
            activity_source_host: String = "activitySourceHost",
            /// The address that opens the activity in the app.
            activation_url: String = "activationUrl",
            /// How it looks.
            visual_elements: VisualInfo = "visualElements",
            /// The name of the app.
            app_display_name: String = "appDisplayName",
            /// The address of the content.
            content_url: String = "contentUrl",
            /// The address to open where the app is not installed.
            fallback_url: String = "fallbackUrl",
            /// The user's time zone.
            user_timezone: String = "userTimezone",
            /// What the content is, byte for byte.
            content_info: RawJson = "contentInfo",
            /// When it was written first.
            created_date_time: Timestamp = "createdDateTime",
            /// When it was written last.
            last_modified_date_time: Timestamp = "lastModifiedDateTime",
            /// When the service may forget it.
            expiration_date_time: Timestamp = "expirationDateTime",
            /// What the service thinks of it.
            status: Status = "status",
            /// Its history, where the answer has it.
            history_items: Vec<StoredHistoryItem> = "historyItems",
        }
    }
}

/// `PUT /me/activities/{appActivityId}`: creates or replaces an activity, with history if there
/// is some in it
/// ([document](https://learn.microsoft.com/graph/api/projectrome-put-activity)).
///
/// The path is derived from the activity's own `appActivityId`, so that the two cannot differ.
///
/// ```
/// use graphfeed_core::activity::{PutActivity, UserActivity, VisualInfo};
/// use graphfeed_core::protocol::{Endpoint, ServiceRoot};
/// use graphfeed_core::types::AppActivityId;
///
/// let activity = UserActivity::builder(AppActivityId::new("/article?12345")?)
///     .activity_source_host("https://contoso.com")
///     .activation_url("https://www.contoso.com/article?id=12345")
///     .visual_elements(VisualInfo::new("How to Tie a Reef Knot"))
///     .build()?;
/// let request = PutActivity::new(&activity).request(&ServiceRoot::v1())?;
/// assert_eq!(request.uri().path(), "/v1.0/me/activities/%2Farticle%3F12345");
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PutActivity<'a> {
    activity: &'a UserActivity,
}

impl<'a> PutActivity<'a> {
    /// Puts `activity`.
    pub fn new(activity: &'a UserActivity) -> Self {
        Self { activity }
    }
}

impl Endpoint for PutActivity<'_> {
    type Output = Put<StoredActivity>;
    const ROUTE: Route = Route::put("Create or replace activity", "/me/activities/{appActivityId}")
        .clouds(CLOUDS)
        .permissions(PERMISSIONS)
        .lane(Lane::SignedInUser)
        .success(&[200, 201]);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(&self.activity.app_activity_id);
    }

    fn body(&self, _: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        write_json_carrying(self.activity, out)
    }

    fn repeat(&self) -> Repeat {
        match self.activity.history_items.is_empty() {
            true => Repeat::Freely,
            false => Repeat::OnlyIfUnsent,
        }
    }

    fn parse(answer: &Answer<'_>) -> Result<Put<StoredActivity>, DecodeError> {
        Put::parse(answer)
    }
}

/// `GET /me/activities`: the activities of this app and user
/// ([document](https://learn.microsoft.com/graph/api/projectrome-get-activities)).
///
/// A page may be empty and still have a next one. [`ActivityOptions`] say how many, which, and
/// whether with their history.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListActivities {
    options: ActivityOptions,
}

impl ListActivities {
    /// Asks for the first page.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks with these options.
    #[must_use]
    pub fn with(mut self, options: ActivityOptions) -> Self {
        self.options = options;
        self
    }
}

impl Endpoint for ListActivities {
    type Output = Page<StoredActivity>;
    const ROUTE: Route = Route::get("List activities", "/me/activities")
        .clouds(CLOUDS)
        .permissions(PERMISSIONS)
        .lane(Lane::SignedInUser);

    fn args(&self, _: &mut PathArgs<'_>) {}

    fn query(&self, query: &mut Query<'_>) {
        self.options.write(query);
    }

    fn parse(answer: &Answer<'_>) -> Result<Page<StoredActivity>, DecodeError> {
        answer.resource()
    }
}

/// `GET /me/activities/recent`: what the user was at last, newest first
/// ([document](https://learn.microsoft.com/graph/api/projectrome-get-recent-activities)).
///
/// The service looks for the newest history items and answers with their activities, in the order
/// of each one's latest. So an activity without history is not there, and
/// [`ListActivities`] is where to find it. A page may be empty and still have a next one. The
/// path is the document's, without the parentheses that OData gives a function.
///
/// ```
/// use graphfeed_core::activity::{ActivityOptions, LastModified, RecentActivities};
/// use graphfeed_core::protocol::{Endpoint, ServiceRoot};
///
/// let since = LastModified::after("2018-01-22T21:45:00.347Z".parse()?);
/// let recent = RecentActivities::new()
///     .with(ActivityOptions::new().expand_history_items_filtered(since));
/// let request = recent.request(&ServiceRoot::v1())?;
/// assert_eq!(
///     request.uri(),
///     "https://graph.microsoft.com/v1.0/me/activities/recent?$expand=historyItems\
///      %28%24filter%3DlastModifiedDateTime%20gt%202018-01-22T21%3A45%3A00.347Z%29",
/// );
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RecentActivities {
    options: ActivityOptions,
}

impl RecentActivities {
    /// Asks for the first page.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks with these options.
    #[must_use]
    pub fn with(mut self, options: ActivityOptions) -> Self {
        self.options = options;
        self
    }
}

impl Endpoint for RecentActivities {
    type Output = Page<StoredActivity>;
    const ROUTE: Route = Route::get("Recent activities", "/me/activities/recent")
        .clouds(CLOUDS)
        .permissions(PERMISSIONS)
        .lane(Lane::SignedInUser);

    fn args(&self, _: &mut PathArgs<'_>) {}

    fn query(&self, query: &mut Query<'_>) {
        self.options.write(query);
    }

    fn parse(answer: &Answer<'_>) -> Result<Page<StoredActivity>, DecodeError> {
        answer.resource()
    }
}

/// `DELETE /me/activities/{activity}`: deletes an activity and its history, by the server's id
/// ([document](https://learn.microsoft.com/graph/api/projectrome-delete-activity)).
#[derive(Clone, Copy, Debug)]
pub struct DeleteActivity<'a> {
    activity: &'a UserActivityId,
}

impl<'a> DeleteActivity<'a> {
    /// Deletes `activity`.
    pub fn new(activity: &'a UserActivityId) -> Self {
        Self { activity }
    }
}

impl Endpoint for DeleteActivity<'_> {
    type Output = Deleted;
    const ROUTE: Route = Route::delete("Delete activity", "/me/activities/{activity}")
        .clouds(CLOUDS)
        .permissions(PERMISSIONS)
        .lane(Lane::SignedInUser)
        .success(&[204])
        .reads(&[404]);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.activity);
    }

    fn parse(answer: &Answer<'_>) -> Result<Deleted, DecodeError> {
        Deleted::parse(answer)
    }
}
