//! Reads user activities and their history items.
//!
//! Sources: projectrome-put-activity, -put-historyitem, resources userActivity, visualInfo,
//! imageInfo and activityHistoryItem.

use super::{Form, Member, Need, Reader, Shape, count};
use crate::{
    check,
    date::Moment,
    json::Json,
    model::{HistoryItem, Stamps},
    path::Path,
    rules::Rule,
};

pub(super) const USER_ACTIVITY: Shape = Shape {
    name: "a user activity",
    odata_type: "microsoft.graph.userActivity",
    members: &[
        Member("id", Need::Server, Form::Text),
        Member("status", Need::Server, Form::Text),
        Member("createdDateTime", Need::Server, Form::Text),
        Member("lastModifiedDateTime", Need::Server, Form::Text),
        Member("expirationDateTime", Need::Server, Form::Text),
        Member("appActivityId", Need::Required, Form::AnyText),
        Member("activitySourceHost", Need::Required, Form::Text),
        // Required, with a switch of its own.
        Member("activationUrl", Need::Optional, Form::AnyText),
        Member("appDisplayName", Need::Optional, Form::Text),
        Member("contentUrl", Need::Optional, Form::Text),
        Member("fallbackUrl", Need::Optional, Form::Text),
        Member("userTimezone", Need::Optional, Form::Text),
        Member("contentInfo", Need::Optional, Form::Any),
        Member("visualElements", Need::Required, Form::Object),
        Member("historyItems", Need::Optional, Form::Array),
    ],
};

pub(super) const VISUAL_INFO: Shape = Shape {
    name: "visualElements",
    odata_type: "microsoft.graph.visualInfo",
    members: &[
        Member("displayText", Need::Required, Form::Text),
        Member("description", Need::Optional, Form::Text),
        Member("backgroundColor", Need::Optional, Form::Text),
        Member("content", Need::Optional, Form::Any),
        Member("attribution", Need::Optional, Form::Object),
    ],
};

pub(super) const IMAGE_INFO: Shape = Shape {
    name: "attribution",
    odata_type: "microsoft.graph.imageInfo",
    members: &[
        Member("iconUrl", Need::Optional, Form::Text),
        Member("alternateText", Need::Optional, Form::Text),
        Member("alternativeText", Need::Optional, Form::Text),
        Member("addImageQuery", Need::Optional, Form::Boolean),
    ],
};

pub(super) const HISTORY_ITEM: Shape = Shape {
    name: "a history item",
    odata_type: "microsoft.graph.activityHistoryItem",
    members: &[
        // Where the id counts, it is looked at by itself.
        Member("id", Need::Optional, Form::AnyText),
        Member("status", Need::Server, Form::Text),
        Member("createdDateTime", Need::Server, Form::Text),
        Member("lastModifiedDateTime", Need::Server, Form::Text),
        Member("startedDateTime", Need::Required, Form::Date),
        Member("lastActiveDateTime", Need::Optional, Form::Date),
        Member("activeDurationSeconds", Need::Optional, Form::Count),
        Member("userTimezone", Need::Optional, Form::Text),
        Member("expirationDateTime", Need::Optional, Form::Date),
        Member("activity", Need::Apart, Form::Any),
    ],
};

/// Where the id of a history item comes from.
pub(crate) enum HistoryId<'a> {
    /// The URL; one in the body is the server's, and ignored.
    Url(&'a str),
    /// The body; if it has none, the id is left empty for the server to fill in.
    Body,
}

/// A user activity as it was sent.
#[derive(Debug, Default)]
pub(crate) struct SentActivity {
    pub(crate) app_activity_id: String,
    pub(crate) members: Vec<(&'static str, String)>,
    pub(crate) history_items: Vec<HistoryItem>,
}

impl Reader<'_> {
    /// Reads a user activity that was sent to the URL of `url_id`.
    pub(crate) fn user_activity(
        &mut self,
        json: Json<'_>,
        url_id: &str,
        now: Moment,
    ) -> SentActivity {
        let Some(found) = self.members(json, &Path::ROOT, &USER_ACTIVITY) else {
            return SentActivity::default();
        };
        let app_activity_id = found.text("appActivityId").unwrap_or_default();
        if found.get("appActivityId").is_some() {
            self.app_activity_id(&app_activity_id, url_id);
        }
        let url = found.text("activationUrl");
        if found.is_missing("activationUrl") || url.is_some_and(|url| url.is_empty()) {
            let verdict = self.behaviour.activation_url_missing;
            let place = Path::ROOT.name("activationUrl");
            self.findings.judge(
                verdict,
                "activation-url-missing",
                Rule::MemberRequired,
                place,
                || "a user activity needs activationUrl, the URL that opens it".to_owned(),
            );
        }
        if let Some(visual) = found.get("visualElements") {
            let place = Path::ROOT.name("visualElements");
            let visual = self.members(visual, &place, &VISUAL_INFO);
            if let Some(image) = visual.and_then(|visual| visual.get("attribution")) {
                self.members(image, &place.name("attribution"), &IMAGE_INFO);
            }
        }
        let place = Path::ROOT.name("historyItems");
        let history = found.get("historyItems").map(Json::elements);
        let history = history.unwrap_or_default().into_iter().enumerate();
        let history_items = history
            .filter_map(|(index, item)| {
                self.history_item(item, &place.index(index), HistoryId::Body, now)
            })
            .collect();
        SentActivity {
            app_activity_id,
            members: found.raw_except(&["appActivityId", "historyItems"]),
            history_items,
        }
    }

    fn app_activity_id(&mut self, id: &str, url_id: &str) {
        let place = Path::ROOT.name("appActivityId");
        if matches!(id, "" | "." | "..") {
            let message =
                format!("{id:?} is no appActivityId, for no URL can carry it; choose another");
            self.refuse(Rule::AppActivityId, place, message);
        } else if id != url_id {
            let verdict = self.behaviour.app_activity_id_mismatch;
            let (switch, rule) = ("app-activity-id-mismatch", Rule::AppActivityIdMismatch);
            self.findings.judge(verdict, switch, rule, place, || {
                format!(
                    "the URL stands for {}, and the body has {}; make the URL from the \
                         body's id, each character that is not unreserved as %HH",
                    check::shown(url_id),
                    check::shown(id)
                )
            });
        }
    }

    /// Reads a history item. None if it cannot be stored.
    pub(crate) fn history_item(
        &mut self,
        json: Json<'_>,
        path: &Path<'_>,
        id: HistoryId<'_>,
        now: Moment,
    ) -> Option<HistoryItem> {
        let found = self.members(json, path, &HISTORY_ITEM)?;
        let id = match (id, found.text("id")) {
            (HistoryId::Url(id), _) => id.to_owned(),
            (HistoryId::Body, None) => String::new(),
            (HistoryId::Body, Some(id)) => {
                check::guid(&id, path.name("id"), "a history item id", &mut self.findings);
                id
            }
        };
        let moment = |name| match crate::date::read(&found.text(name)?) {
            Ok(moment) | Err(crate::date::DateFault::NoOffset(moment)) => Some(moment),
            Err(_) => None,
        };
        let lasted = match (moment("startedDateTime"), moment("lastActiveDateTime")) {
            (Some(started), Some(ended)) if ended < started => {
                let message = "it ends before it starts; lastActiveDateTime is not before \
                               startedDateTime";
                let place = path.name("lastActiveDateTime");
                self.refuse(Rule::HistoryOrder, place, message);
                None
            }
            // An activeDurationSeconds is an Edm.Int32.
            (Some(started), Some(ended)) => {
                Some(ended.seconds_since(started).min(i64::from(i32::MAX)))
            }
            _ => None,
        };
        Some(HistoryItem {
            id,
            started_date_time: found.text("startedDateTime")?,
            last_active_date_time: found.text("lastActiveDateTime"),
            active_duration_seconds: found.get("activeDurationSeconds").and_then(count).or(lasted),
            user_timezone: found.text("userTimezone"),
            expiration_date_time: found.text("expirationDateTime"),
            stamps: Stamps { created: now, modified: now },
        })
    }
}
