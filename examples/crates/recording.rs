//! The run itself as a user activity, as something that the signed-in user did and can go back
//! to: recorded, and deleted again.

use std::{
    error::Error,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::SystemTime,
};

use graphfeed_core::{
    activity::{
        ActivityHistoryItem, DeleteActivity, ListActivities, Put, PutActivity, PutHistoryItem,
        UserActivity, VisualInfo,
    },
    protocol::{Deleted, Endpoint as _},
    types::{AppActivityId, Guid, RawJson},
};
use graphfeed_examples::{calls::Calls, progress::Progress};
use serde_json::json;

use crate::source::Tree;

/// With this begin the ids of the activities that are this program's; the manifest follows.
const APP_ID: &str = "/crates?of=";

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A signed-in user.
pub(crate) struct User<C> {
    /// Makes calls with their token.
    pub(crate) calls: C,
    /// The domain that the app has registered for its user activities.
    pub(crate) source_host: String,
}

/// How a run was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// As a user activity that was new, with one history item.
    Created,
    /// In place of that of an earlier run, with one more history item.
    Replaced,
}

/// Records a run that began then, and looks whether it is listed.
///
/// # Errors
/// The first call that fails.
pub(crate) fn record<C: Calls>(
    user: &User<C>,
    tree: &Tree,
    begun: SystemTime,
    differences: &mut Vec<String>,
) -> Outcome<Recorded> {
    let User { calls, source_host } = user;
    let manifest = tree.manifest.display().to_string();
    let title = format!("Indexed {} crates", tree.crates.len());
    let mut visual = VisualInfo::new(&*title);
    visual.description = Some(format!("The dependency tree of {manifest}"));
    visual.content = Some(RawJson::new(&json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.0",
        "body": [{ "type": "TextBlock", "text": title }],
    }))?);
    let activity = UserActivity::builder(AppActivityId::new(format!("{APP_ID}{manifest}"))?)
        .activity_source_host(source_host)
        .activation_url(format!("{source_host}/crates"))
        .app_display_name("graphfeed crates")
        .visual_elements(visual)
        .content_info(RawJson::new(&json!({
            "@context": "https://schema.org",
            "@type": "SoftwareSourceCode",
            "name": manifest,
            "programmingLanguage": "Rust",
        }))?)
        .build()?;
    let put = calls.send(&PutActivity::new(&activity))?;
    let recorded = match put {
        Put::Created(_) => Recorded::Created,
        Put::Replaced(_) => Recorded::Replaced,
    };

    let until = SystemTime::now().max(begun);
    let history = ActivityHistoryItem::between(begun.try_into()?, until.try_into()?)?;
    let id = &put.get().id;
    calls.send(&PutHistoryItem::new(id, random_guid(), &history))?;

    let listed = calls.list(&ListActivities::new())?;
    let found = listed.iter().find(|listed| listed.id == *id);
    let found = found.and_then(|found| found.app_activity_id.as_deref());
    if found != Some(activity.app_activity_id().as_str()) {
        differences.push(format!(
            "the user activity {id} of this run: sent {:?}, stored {found:?}",
            activity.app_activity_id().as_str()
        ));
    }
    Ok(recorded)
}

/// Deletes all that was ever recorded, with its history, and says how many activities that were.
///
/// # Errors
/// The first call that fails.
pub(crate) fn delete<C: Calls>(user: &User<C>, progress: &Progress) -> Outcome<usize> {
    let User { calls, .. } = user;
    // The service lists what the same app has made, and that may have made others.
    let own: Vec<_> = calls
        .list(&ListActivities::new())?
        .into_iter()
        .filter(|activity| {
            activity.app_activity_id.as_ref().is_some_and(|id| id.starts_with(APP_ID))
        })
        .map(|activity| DeleteActivity::new(&activity.id).call(calls.root()))
        .collect::<Result<_, _>>()?;
    let of = own.len();
    let (mut done, mut deleted) = (0, 0);
    calls.send_each(own, |_, outcome| {
        done += 1;
        deleted += usize::from(outcome? == Deleted::Now);
        progress.at(done, of);
        Ok(())
    })?;
    Ok(deleted)
}

/// The standard library has no other source of chance, and a history item needs no better one.
fn random_guid() -> Guid {
    let word = || RandomState::new().build_hasher().finish().to_le_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&word());
    bytes[8..].copy_from_slice(&word());
    Guid::from_random_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use graphfeed_core::{
        client::{Client, VirtualClock},
        protocol::ServiceRoot,
        types::AccessToken,
    };
    use graphfeed_emulator::{Emulator, Options};

    use super::*;
    use graphfeed_examples::progress::Phases;

    #[test]
    fn only_what_this_program_recorded_is_deleted() {
        let emulator = Emulator::new(Options::default());
        let calls = Client::builder(ServiceRoot::v1(), AccessToken::new("any").unwrap())
            .build(emulator.clone(), VirtualClock::default());
        let other = UserActivity::builder(AppActivityId::new("/other").unwrap())
            .activity_source_host("https://x.example")
            .activation_url("https://x.example/other")
            .visual_elements(VisualInfo::new("Other"))
            .build()
            .unwrap();
        calls.send(&PutActivity::new(&other)).unwrap();
        let user = User { calls, source_host: "https://x.example".to_owned() };
        let record = |manifest: &str| {
            let tree = Tree { manifest: manifest.into(), crates: Vec::new() };
            let mut differences = Vec::new();
            let recorded = record(&user, &tree, SystemTime::now(), &mut differences).unwrap();
            assert_eq!(differences, [""; 0]);
            recorded
        };
        assert_eq!(record("a/Cargo.toml"), Recorded::Created);
        assert_eq!(record("b/Cargo.toml"), Recorded::Created);
        assert_eq!(record("a/Cargo.toml"), Recorded::Replaced);

        let delete =
            || Phases::default().run("deleting", |progress| delete(&user, progress)).unwrap();
        assert_eq!(delete(), 2);
        assert_eq!(delete(), 0);
        let left = emulator.user_activities();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].app_activity_id, "/other");
    }
}
