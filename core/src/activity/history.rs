//! When a user was at an activity
//! ([activityHistoryItem](https://learn.microsoft.com/graph/api/resources/projectrome-historyitem)).

use serde::Serialize;

use super::{CLOUDS, PERMISSIONS, Put, Status, StoredActivity};
use crate::{
    protocol::{
        Answer, DecodeError, Deleted, Endpoint, Lane, PathArgs, Route, ServiceRoot, write_json,
    },
    types::{
        BuildError, Fault, Guid, Rule, Timestamp, UserActivityId, lenient_as_strict, resource,
    },
};

/// A stretch of time that a user spent on an activity, to be written. The members that the
/// server owns are in [`StoredHistoryItem`].
///
/// ```
/// use graphfeed_core::activity::ActivityHistoryItem;
///
/// let reading = ActivityHistoryItem::between(
///     "2018-02-26T20:54:04.345Z".parse()?,
///     "2018-02-26T20:54:24.345Z".parse()?,
/// )?
/// .user_timezone("Africa/Casablanca");
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivityHistoryItem {
    started_date_time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_active_date_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_duration_seconds: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_date_time: Option<Timestamp>,
}

impl ActivityHistoryItem {
    /// Begun at `started` and not known to have ended.
    pub fn started(started: Timestamp) -> Self {
        Self {
            started_date_time: started,
            last_active_date_time: None,
            active_duration_seconds: None,
            user_timezone: None,
            expiration_date_time: None,
        }
    }

    /// From `started` to `last_active`.
    ///
    /// # Errors
    /// [`Rule::HistoryOrder`] when it would end before it starts.
    pub fn between(started: Timestamp, last_active: Timestamp) -> Result<Self, BuildError> {
        if last_active < started {
            let detail = format!("{last_active} is before startedDateTime {started}; swap them");
            return Err(Fault::new(Rule::HistoryOrder, "$.lastActiveDateTime", detail).into());
        }
        Ok(Self { last_active_date_time: Some(last_active), ..Self::started(started) })
    }

    /// How many seconds of it the user was active; without it the service takes the whole
    /// stretch.
    ///
    /// # Errors
    /// [`Rule::MemberType`] when it is negative.
    pub fn active_duration_seconds(mut self, seconds: i32) -> Result<Self, BuildError> {
        if seconds < 0 {
            let detail = format!("{seconds} seconds; give the time that has passed");
            return Err(Fault::new(Rule::MemberType, "$.activeDurationSeconds", detail).into());
        }
        self.active_duration_seconds = Some(seconds);
        Ok(self)
    }

    /// The user's time zone, by its IANA name, such as `Africa/Casablanca`.
    #[must_use]
    pub fn user_timezone(mut self, name: impl Into<String>) -> Self {
        self.user_timezone = Some(name.into());
        self
    }

    /// When the service may forget it; 30 days after it was made, if nothing is said.
    #[must_use]
    pub fn expiration_date_time(mut self, at: Timestamp) -> Self {
        self.expiration_date_time = Some(at);
        self
    }
}

resource! {
    /// A history item as the service answers with it.
    pub struct StoredHistoryItem {
        optional {
            /// Its GUID.
            id: String = "id",
            /// When it began.
            started_date_time: Timestamp = "startedDateTime",
            /// When the user was last active.
            last_active_date_time: Timestamp = "lastActiveDateTime",
            /// How many seconds the user was active.
            active_duration_seconds: i32 = "activeDurationSeconds",
            /// The user's time zone.
            user_timezone: String = "userTimezone",
            /// When the service may forget it.
            expiration_date_time: Timestamp = "expirationDateTime",
            /// When it was written first.
            created_date_time: Timestamp = "createdDateTime",
            /// When it was written last.
            last_modified_date_time: Timestamp = "lastModifiedDateTime",
            /// What the service thinks of it.
            status: Status = "status",
            /// The activity that it is the history of, where the answer has it.
            activity: Box<StoredActivity> = "activity",
        }
    }
}

// Activities hold history items, and those an activity. Only the strict reader counts how deep
// that goes, so an answer cannot use up the stack.
lenient_as_strict!(Box<StoredActivity>);

/// `PUT /me/activities/{activity}/historyItems/{history item}`: creates or replaces a history
/// item
/// ([v1.0](https://learn.microsoft.com/graph/api/projectrome-put-historyitem),
/// [beta](https://learn.microsoft.com/graph/api/projectrome-put-historyitem?view=graph-rest-beta),
/// which Microsoft does not support in production).
///
/// The activity goes by the server's id, the history item by a GUID of the caller's. The answer
/// may show another id and fewer digits of the times than were sent.
#[derive(Clone, Copy, Debug)]
pub struct PutHistoryItem<'a> {
    activity: &'a UserActivityId,
    id: Guid,
    item: &'a ActivityHistoryItem,
}

impl<'a> PutHistoryItem<'a> {
    /// Puts `item`, under `id`, into the history of `activity`.
    pub fn new(activity: &'a UserActivityId, id: Guid, item: &'a ActivityHistoryItem) -> Self {
        Self { activity, id, item }
    }
}

impl Endpoint for PutHistoryItem<'_> {
    type Output = Put<StoredHistoryItem>;
    const ROUTE: Route = Route::put(
        "Create or replace history item",
        "/me/activities/{activity}/historyItems/{historyItem}",
    )
    .clouds(CLOUDS)
    .permissions(PERMISSIONS)
    .lane(Lane::SignedInUser)
    .success(&[200, 201]);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.activity);
        path.push(self.id.to_string());
    }

    fn body(&self, _: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        write_json(self.item, out)
    }

    fn parse(answer: &Answer<'_>) -> Result<Put<StoredHistoryItem>, DecodeError> {
        Put::parse(answer)
    }
}

/// `DELETE /me/activities/{activity}/historyItems/{history item}`
/// ([document](https://learn.microsoft.com/graph/api/projectrome-delete-historyitem)).
#[derive(Clone, Copy, Debug)]
pub struct DeleteHistoryItem<'a> {
    activity: &'a UserActivityId,
    id: Guid,
}

impl<'a> DeleteHistoryItem<'a> {
    /// Deletes the history item `id` of `activity`.
    pub fn new(activity: &'a UserActivityId, id: Guid) -> Self {
        Self { activity, id }
    }
}

impl Endpoint for DeleteHistoryItem<'_> {
    type Output = Deleted;
    const ROUTE: Route = Route::delete(
        "Delete history item",
        "/me/activities/{activity}/historyItems/{historyItem}",
    )
    .clouds(CLOUDS)
    .permissions(PERMISSIONS)
    .lane(Lane::SignedInUser)
    .success(&[204])
    .reads(&[404]);

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.activity);
        path.push(self.id.to_string());
    }

    fn parse(answer: &Answer<'_>) -> Result<Deleted, DecodeError> {
        Deleted::parse(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::read;

    #[test]
    fn a_history_item_is_read_with_its_activity() {
        let json = r#"{"id":"h","status":"active","activity":{"id":"7","appActivityId":"/a",
            "historyItems":[{"id":"h","activity":null}]}}"#;
        let item: StoredHistoryItem = read(json.as_bytes()).unwrap();
        let activity = item.activity.as_ref().unwrap();
        assert_eq!(activity.app_activity_id.as_deref(), Some("/a"));
        assert_eq!(activity.history_items.as_ref().unwrap()[0].id.as_deref(), Some("h"));
        let again = serde_json::to_value(&item).unwrap();
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(json).unwrap());
    }

    #[test]
    fn an_activity_of_another_shape_is_kept_as_it_came() {
        let item: StoredHistoryItem = read(br#"{"id":"h","activity":{"status":"x"}}"#).unwrap();
        assert_eq!((item.id.as_deref(), &item.activity), (Some("h"), &None));
        assert_eq!(item.other.get("activity").unwrap().get(), r#"{"status":"x"}"#);
    }

    #[test]
    fn no_depth_of_activities_in_activities_uses_up_the_stack() {
        let depth = 100_000;
        let inner = r#"{"id":"a","historyItems":[{"id":7,"activity":"#.repeat(depth);
        let json = format!("{inner}null{}", "}]}".repeat(depth));
        let outer: StoredActivity = read(json.as_bytes()).unwrap();
        let history = &outer.history_items.unwrap()[0];
        assert_eq!((&history.id, &history.activity), (&None, &None));
        assert!(history.other.get("activity").unwrap().get().len() > 4_000_000);
    }
}
