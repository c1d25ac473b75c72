//! A user's activities and their history.

use std::{num::NonZeroU32, time::Duration};

use graphfeed_core::{
    activity::{
        ActivityHistoryItem, ActivityOptions, DeleteActivity, DeleteHistoryItem, LastModified,
        ListActivities, Put, PutActivity, PutHistoryItem, RecentActivities, StoredActivity,
        UserActivity, UserActivityBuilder, VisualInfo,
    },
    protocol::{Deleted, Endpoint, Page},
    types::{AppActivityId, Timestamp, UserActivityId},
};

use super::{World, guid, refuses};

pub(super) fn article(id: &str) -> UserActivityBuilder {
    UserActivity::builder(AppActivityId::new(id).unwrap())
        .activity_source_host("https://contoso.com")
        .activation_url("https://contoso.com/article")
        .visual_elements(VisualInfo::new("How to tie a reef knot"))
}

fn reading() -> ActivityHistoryItem {
    ActivityHistoryItem::started("2026-01-01T00:00:00Z".parse().unwrap())
}

/// From nothing to gone.
pub(super) fn life(world: &World) {
    let client = &world.client;
    let activity = article("/article?12345").build().unwrap();
    let Put::Created(stored) = client.send(&PutActivity::new(&activity)).unwrap() else {
        panic!("there was none");
    };
    assert_eq!(stored.app_activity_id.as_deref(), Some("/article?12345"));
    let again = client.send(&PutActivity::new(&activity)).unwrap();
    assert!(matches!(again, Put::Replaced(again) if again.id == stored.id));

    let (history, item) = (guid(5), reading());
    let put = PutHistoryItem::new(&stored.id, history, &item);
    assert!(matches!(client.send(&put).unwrap(), Put::Created(_)));
    assert!(matches!(client.send(&put).unwrap(), Put::Replaced(_)));
    // The app's own id is not the server's.
    let by_app = UserActivityId::new("/article?12345").unwrap();
    refuses(world, &PutHistoryItem::new(&by_app, history, &item), 404, "not-found");

    let delete = DeleteHistoryItem::new(&stored.id, history);
    assert_eq!(client.send(&delete).unwrap(), Deleted::Now);
    assert_eq!(client.send(&delete).unwrap(), Deleted::NotFound);
    let delete = DeleteActivity::new(&stored.id);
    assert_eq!(client.send(&delete).unwrap(), Deleted::Now);
    assert_eq!(client.send(&delete).unwrap(), Deleted::NotFound);
}

fn all<E>(world: &World, list: &E) -> Vec<StoredActivity>
where
    E: Endpoint<Output = Page<StoredActivity>>,
{
    world.client.pages(list).flat_map(|page| page.unwrap().value).collect()
}

fn names(activities: &[StoredActivity]) -> Vec<&str> {
    activities.iter().filter_map(|activity| activity.app_activity_id.as_deref()).collect()
}

/// Lists, by pages, by time, with history.
pub(super) fn lists(world: &World) {
    let client = &world.client;
    let mut modified: Vec<Timestamp> = Vec::new();
    for number in 0..5 {
        world.clock.advance(Duration::from_secs(10));
        let activity = article(&format!("/a{number}"));
        // Every other one has a history.
        let activity = match number % 2 {
            0 => activity.history_item(reading()),
            _ => activity,
        };
        let stored = client.send(&PutActivity::new(&activity.build().unwrap())).unwrap();
        modified.push(stored.into_inner().last_modified_date_time.unwrap());
    }
    let list = |options| all(world, &ListActivities::new().with(options));
    let recent = |options| all(world, &RecentActivities::new().with(options));
    let options = ActivityOptions::new();

    let mut found = names(&list(options)).into_iter().map(str::to_owned).collect::<Vec<_>>();
    found.sort_unstable();
    assert_eq!(found, ["/a0", "/a1", "/a2", "/a3", "/a4"]);
    assert_eq!(names(&recent(options)), ["/a4", "/a2", "/a0"], "newest first, with history only");

    let two = options.top(NonZeroU32::new(2).unwrap());
    let pages: Vec<usize> = client
        .pages(&ListActivities::new().with(two))
        .map(|page| page.unwrap().value.len())
        .collect();
    assert_eq!(pages, [2, 2, 1]);
    assert_eq!(names(&recent(two)), ["/a4", "/a2", "/a0"]);

    let some = options.filter(LastModified::between(modified[1], modified[4]));
    let mut found = names(&list(some)).into_iter().map(str::to_owned).collect::<Vec<_>>();
    found.sort_unstable();
    assert_eq!(found, ["/a2", "/a3"]);
    assert_eq!(names(&recent(some)), ["/a2"]);

    assert!(list(options).iter().all(|activity| activity.history_items.is_none()));
    let history = |options| -> Vec<usize> {
        let mut all = list(options);
        all.sort_by(|a, b| a.app_activity_id.cmp(&b.app_activity_id));
        all.iter().map(|activity| activity.history_items.as_ref().map_or(0, Vec::len)).collect()
    };
    assert_eq!(history(options.expand_history_items()), [1, 0, 1, 0, 1]);
    let late = LastModified::after(modified[1]);
    assert_eq!(history(options.expand_history_items_filtered(late)), [0, 0, 1, 0, 1]);

    // Options and links that the service does not take, and no client of ours sends.
    for query in ["$skiptoken=made-up", "$top=0", "$filter=status%20eq%20'active'"] {
        for path in ["/me/activities", "/me/activities/recent"] {
            let target = format!("{path}?{query}");
            let answer = world.raw(world.version, &http::Method::GET, &target, "any");
            assert_eq!(answer.status(), 400, "{query}");
        }
    }
}
