//! User activities and their history items.
//!
//! Sources: the pages projectrome-put-activity, -get-activities, -get-recent-activities,
//! -delete-activity, -put-historyitem, -delete-historyitem.

use http::StatusCode;

use super::{Run, authorize::Caller, context, pages::Newest};
use crate::{
    answer::Answer,
    check::shown,
    date::{self, Moment},
    findings::Refusal,
    incoming::Call,
    model::{ActivityOwner, HistoryItem, Stamps, UserActivity},
    options::HistoryDates,
    path::Path,
    read::HistoryId,
    rules::Rule,
    write::Object,
};

/// How long something is kept after it was last written, in the documented examples.
const KEPT_DAYS: i64 = 30;
/// The only status that the examples show, also for what has just been made.
const STATUS: &str = "updated";

impl Run<'_> {
    pub(super) fn put_activity(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let mut reader = self.reader(call);
        let mut sent = reader.user_activity(call.body()?, call.arg(0), self.now);
        self.accept(reader.findings)?;

        for item in &mut sent.history_items {
            if item.id.is_empty() {
                item.id = self.ids.guid();
            }
        }
        let written: Vec<String> = sent.history_items.iter().map(|item| item.id.clone()).collect();
        let (now, dates) = (self.now, self.options.behaviour.history_dates);
        let owner = self.activity_owner();
        let known = self.store.activities.iter().position(|activity| {
            activity.app_activity_id == sent.app_activity_id && activity.owner == owner
        });
        let (status, activity) = match known.and_then(|at| self.store.activities.get_mut(at)) {
            Some(activity) => {
                activity.members = sent.members;
                activity.stamps.modified = now;
                (StatusCode::OK, activity)
            }
            None => {
                let id = self.ids.activity();
                let number =
                    self.store.activities.last().map_or(0, |last| last.number.saturating_add(1));
                self.store.activities.push(UserActivity {
                    id,
                    app_activity_id: sent.app_activity_id,
                    members: sent.members,
                    history_items: Vec::new(),
                    owner,
                    number,
                    stamps: Stamps { created: now, modified: now },
                });
                let last = self.store.activities.len() - 1;
                (StatusCode::CREATED, &mut self.store.activities[last])
            }
        };
        for item in sent.history_items {
            put(&mut activity.history_items, item);
        }
        Ok(Answer::object(status, |body| {
            body.text("@odata.context", &context(call, "users('me')/activities/$entity"));
            write_activity(body, activity);
            if !written.is_empty() {
                let items = activity.history_items.iter();
                let items = items.filter(|item| written.contains(&item.id));
                body.objects("historyItems", items, |each, item| {
                    write_history_item(each, item, dates);
                });
            }
        }))
    }

    pub(super) fn list_activities(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let metadata = "users('me')/activities";
        self.activities(call, metadata, |activity| Some(activity.stamps.modified))
    }

    /// Those with history only, in the order of their newest history item.
    pub(super) fn recent_activities(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        self.activities(call, "Collection(userActivity)", |activity| {
            activity.history_items.iter().map(|item| item.stamps.modified).max()
        })
    }

    /// A page of the activities that have a time, the latest first.
    fn activities(
        &mut self,
        call: &Call<'_>,
        metadata: &str,
        time: impl Fn(&UserActivity) -> Option<Moment>,
    ) -> Result<Answer, Refusal> {
        let mut reader = self.reader(call);
        let asked = reader.activity_query(&call.query);
        self.accept(reader.findings)?;

        let dates = self.options.behaviour.history_dates;
        let owner = self.activity_owner();
        let all = self.store.activities.iter();
        let own = all.filter(|it| it.owner == owner && asked.filter.has(it.stamps.modified));
        let placed = own.filter_map(|it| Some((Newest::new(time(it)?, it.number), it)));
        let page = self.page(call, asked.top, placed)?;
        Ok(Answer::object(StatusCode::OK, |body| {
            body.text("@odata.context", &context(call, metadata));
            page.write(body, |each, activity| {
                write_activity(each, activity);
                if let Some(filter) = &asked.expand {
                    let items = activity.history_items.iter();
                    let items = items.filter(|item| filter.has(item.stamps.modified));
                    each.objects("historyItems", items, |each, item| {
                        write_history_item(each, item, dates);
                    });
                }
            });
        }))
    }

    pub(super) fn delete_activity(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let at = self.activity(call)?;
        self.store.activities.remove(at);
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    }

    pub(super) fn put_history_item(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let at = self.activity(call)?;
        let mut reader = self.reader(call);
        let id = HistoryId::Url(call.arg(1));
        let item = reader.history_item(call.body()?, &Path::ROOT, id, self.now);
        let item = self.accepted(item, reader.findings)?;

        let activity = &mut self.store.activities[at];
        let (status, item) = put(&mut activity.history_items, item);
        let metadata = format!("users('me')/activities('{}')/historyItems/$entity", activity.id);
        Ok(Answer::object(status, |body| {
            body.text("@odata.context", &context(call, &metadata));
            write_history_item(body, item, self.options.behaviour.history_dates);
        }))
    }

    pub(super) fn delete_history_item(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let at = self.activity(call)?;
        let items = &mut self.store.activities[at].history_items;
        let id = call.arg(1);
        match items.iter().position(|item| item.id.eq_ignore_ascii_case(id)) {
            Some(at) => {
                items.remove(at);
                Ok(Answer::empty(StatusCode::NO_CONTENT))
            }
            None => Err(Refusal::new(
                Rule::NotFound,
                "history item id",
                format!("the activity has no history item {id}"),
            )),
        }
    }

    /// Whose activities the call is about.
    fn activity_owner(&self) -> Option<ActivityOwner> {
        let Caller { client_id, user, .. } = self.caller.as_ref()?;
        Some(ActivityOwner { user: user.clone()?, client_id: client_id.clone() })
    }

    /// Where the activity is whose server id the path names.
    fn activity(&self, call: &Call<'_>) -> Result<usize, Refusal> {
        let id = call.arg(0);
        let owner = self.activity_owner();
        let mut own =
            self.store.activities.iter().enumerate().filter(|(_, each)| each.owner == owner);
        if let Some((at, _)) = own.clone().find(|(_, activity)| activity.id == id) {
            return Ok(at);
        }
        let by_app_id = own.find(|(_, activity)| activity.app_activity_id == id);
        let hint = match by_app_id.map(|(_, activity)| activity) {
            Some(activity) => format!("; that is an appActivityId, and its id is {}", activity.id),
            None => "; take the id from the answer to its PUT".to_owned(),
        };
        Err(Refusal::new(
            Rule::NotFound,
            "activity id",
            format!("there is no activity with the id {}{hint}", shown(id)),
        ))
    }
}

/// Adds a history item, or replaces the one with its id; says which, and where it is now.
fn put(items: &mut Vec<HistoryItem>, mut item: HistoryItem) -> (StatusCode, &HistoryItem) {
    let known = items.iter().position(|old| old.id.eq_ignore_ascii_case(&item.id));
    let (status, at) = match known {
        Some(at) => {
            item.stamps.created = items[at].stamps.created;
            items[at] = item;
            (StatusCode::OK, at)
        }
        None => {
            items.push(item);
            (StatusCode::CREATED, items.len() - 1)
        }
    };
    (status, &items[at])
}

fn write_activity(body: &mut Object<'_>, activity: &UserActivity) {
    let Stamps { created, modified } = activity.stamps;
    body.text("id", &activity.id);
    body.text("appActivityId", &activity.app_activity_id);
    body.text("status", STATUS);
    body.text("createdDateTime", &created.graph());
    body.text("lastModifiedDateTime", &modified.graph());
    body.text("expirationDateTime", &modified.plus_days(KEPT_DAYS).graph());
    for (name, json) in &activity.members {
        body.raw(name, json);
    }
}

fn write_history_item(body: &mut Object<'_>, item: &HistoryItem, dates: HistoryDates) {
    let as_asked = |sent: &str| match (dates, date::read(sent)) {
        (HistoryDates::Milliseconds, Ok(moment)) => moment.graph(),
        _ => sent.to_owned(),
    };
    let Stamps { created, modified } = item.stamps;
    body.text("id", &item.id);
    body.text("status", STATUS);
    body.text("createdDateTime", &created.graph());
    body.text("lastModifiedDateTime", &modified.graph());
    body.text("startedDateTime", &as_asked(&item.started_date_time));
    if let Some(ended) = &item.last_active_date_time {
        body.text("lastActiveDateTime", &as_asked(ended));
    }
    if let Some(seconds) = item.active_duration_seconds {
        body.raw("activeDurationSeconds", &seconds.to_string());
    }
    if let Some(zone) = &item.user_timezone {
        body.text("userTimezone", zone);
    }
    let expires = match &item.expiration_date_time {
        Some(sent) => as_asked(sent),
        None => created.plus_days(KEPT_DAYS).graph(),
    };
    body.text("expirationDateTime", &expires);
}
