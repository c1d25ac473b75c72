//! The run: what is sent to Microsoft Graph, in which order, and read back.
//!
//! Nothing here knows where the service is; a `Target` says that, and as whom to act.

use std::{
    collections::BTreeMap,
    error::Error,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    thread,
    time::{Duration, Instant, SystemTime},
};

use graphfeed_core::{
    activity::{
        ActivityHistoryItem, ListActivities, Put, PutActivity, PutHistoryItem, UserActivity,
        VisualInfo,
    },
    client::{Client, Transport},
    external::{
        AddActivities, ConnectionOperationStatus, ConnectionState, CreateConnection,
        ExternalActivity, ExternalConnection, GetConnection, GetItem, GetOperation, Identity,
        PropertyType, RegisterSchema, Schema,
    },
    types::{AppActivityId, ConnectionId, Guid, OperationId, RawJson, Timestamp},
};
use serde_json::json;

use crate::{
    compare,
    item::{self, Entry, Mapping},
    progress::{Phases, Progress},
    source::Tree,
};

/// The connection that this program makes.
const CONNECTION: &str = "graphfeedcrates";
/// The domain that the app has registered for its user activities; this one is nobody's.
const SOURCE_HOST: &str = "https://graphfeed.example";
/// How often to ask whether the schema is registered.
const POLL: Duration = Duration::from_millis(100);

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Where a run goes, and as whom.
pub(crate) struct Target<T> {
    /// The client.
    pub(crate) client: Client<T>,
    /// The tenant whose members may see the items.
    pub(crate) tenant: Guid,
    /// The user who is said to have made the crates.
    pub(crate) author: Guid,
    /// How long the registration of the schema may take.
    pub(crate) patience: Duration,
}

/// What a run has stored.
#[derive(Default)]
pub(crate) struct Stored {
    /// The connection.
    pub(crate) connection: String,
    /// Items.
    pub(crate) items: usize,
    /// Those of them that have content.
    pub(crate) with_content: usize,
    /// Those of them whose content was cut.
    pub(crate) cut: usize,
    /// Properties by the name of their type.
    pub(crate) properties: BTreeMap<&'static str, usize>,
    /// Bytes of the bodies that carried the items.
    pub(crate) bytes: usize,
    /// Activities on items.
    pub(crate) activities: usize,
    /// User activities that were new, and that replaced one.
    pub(crate) user_activities: (usize, usize),
    /// History items.
    pub(crate) history_items: usize,
    /// Items that were read back.
    pub(crate) compared: usize,
    /// How what was read back differs from what was sent.
    pub(crate) differences: Vec<String>,
}

/// Stores the crates of a tree and reads them back.
///
/// # Errors
/// The first call that fails, with the crate it was for.
pub(crate) fn index<T: Transport>(
    target: &Target<T>,
    tree: &Tree,
    phases: &mut Phases,
) -> Outcome<Stored> {
    let begun = SystemTime::now();
    let connection = ConnectionId::new(CONNECTION)?;
    let columns = item::columns();
    let schema = item::schema(&columns)?;
    let mapping = Mapping {
        columns: &columns,
        root: target.client.root(),
        connection: &connection,
        tenant: target.tenant,
    };
    let mut stored = Stored { connection: connection.to_string(), ..Stored::default() };

    phases
        .run("connection and schema", |progress| connect(target, &connection, &schema, progress))?;
    let entries =
        phases.run("items", |progress| put_items(target, tree, &mapping, &mut stored, progress))?;
    phases.run("activities", |progress| {
        add_activities(target, &connection, &entries, begun, &mut stored, progress)
    })?;
    phases.run("this run as a user activity", |_| record(target, tree, begun, &mut stored))?;
    phases.run("reading back", |progress| {
        read_back(target, &connection, &schema, &entries, &mut stored, progress)
    })?;
    Ok(stored)
}

/// Makes the connection and gives it a schema; items are welcome when this returns.
fn connect<T: Transport>(
    target: &Target<T>,
    connection: &ConnectionId,
    schema: &Schema,
    progress: &mut Progress,
) -> Outcome<()> {
    let made = ExternalConnection::new(connection.clone(), "Crates")?
        .description("The crates that a Rust workspace depends on");
    target.client.send(&CreateConnection::new(&made))?;
    let registration = target.client.send(&RegisterSchema::new(connection, schema))?;
    wait_for(target, connection, &registration.operation, progress)?;

    // What counts is the connection; a completed operation only says that it is worth looking.
    let state = target.client.send(&GetConnection::new(connection))?.state;
    match state {
        Some(ConnectionState::Ready) => Ok(()),
        other => Err(format!(
            "the schema is registered, but connection {connection} is {}, not ready",
            other.as_ref().map_or("in no state", ConnectionState::as_str)
        )
        .into()),
    }
}

fn wait_for<T: Transport>(
    target: &Target<T>,
    connection: &ConnectionId,
    operation: &OperationId,
    progress: &mut Progress,
) -> Outcome<()> {
    let begun = Instant::now();
    loop {
        let found = target.client.send(&GetOperation::new(connection, operation))?;
        let status = match found.status {
            Some(ConnectionOperationStatus::Completed) => return Ok(()),
            Some(ConnectionOperationStatus::Failed) => {
                let why = found.error.map(|error| format!(": {error}"));
                return Err(format!(
                    "the schema of connection {connection} was not registered{}",
                    why.unwrap_or_default()
                )
                .into());
            }
            // In progress, or a status that is neither success nor failure.
            other => other,
        };
        let (waited, most) = (begun.elapsed(), target.patience);
        if waited >= most {
            return Err(format!(
                "the schema of connection {connection} is not registered after {} s; operation \
                 {operation} is {}",
                most.as_secs(),
                status.as_ref().map_or("without a status", ConnectionOperationStatus::as_str)
            )
            .into());
        }
        progress.at(waited.as_secs() as usize, most.as_secs() as usize);
        thread::sleep(POLL);
    }
}

fn put_items<T: Transport>(
    target: &Target<T>,
    tree: &Tree,
    mapping: &Mapping<'_>,
    stored: &mut Stored,
    progress: &mut Progress,
) -> Outcome<Vec<Entry>> {
    let mut entries = Vec::with_capacity(tree.crates.len());
    for krate in &tree.crates {
        let entry = mapping
            .entry(krate)
            .map_err(|why| format!("{} cannot be an item: {why}", krate.key))?;
        target.client.reply_to(entry.put.clone()).map_err(at(&entry.key))?;

        stored.items += 1;
        stored.with_content += usize::from(entry.item.content().is_some());
        stored.cut += usize::from(entry.is_cut);
        stored.bytes += entry.put.request().body().len();
        for (_, value) in entry.item.properties().iter() {
            let kind = value.kind();
            let known = PropertyType::KNOWN.iter().find(|name| **name == kind.as_str());
            *stored.properties.entry(known.copied().unwrap_or("other")).or_default() += 1;
        }
        entries.push(entry);
        progress.at(entries.len(), tree.crates.len());
    }
    Ok(entries)
}

/// Says of each item that it was created. Who did it is made up: crates.io does not tell in the
/// words of Entra.
fn add_activities<T: Transport>(
    target: &Target<T>,
    connection: &ConnectionId,
    entries: &[Entry],
    begun: SystemTime,
    stored: &mut Stored,
    progress: &mut Progress,
) -> Outcome<()> {
    let begun = Timestamp::try_from(begun)?;
    for (index, entry) in entries.iter().enumerate() {
        let author = Identity::user(target.author);
        let created = ExternalActivity::created(entry.modified.unwrap_or(begun), author);
        let results = target
            .client
            .send(&AddActivities::new(connection, entry.item.id(), &[created]))
            .map_err(at(&entry.key))?
            .into_result()
            .map_err(at(&entry.key))?;
        stored.activities += results.len();
        progress.at(index + 1, entries.len());
    }
    Ok(())
}

/// Records the run itself, as something that the signed-in user did and can go back to.
fn record<T: Transport>(
    target: &Target<T>,
    tree: &Tree,
    begun: SystemTime,
    stored: &mut Stored,
) -> Outcome<()> {
    let client = &target.client;
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
    let activity = UserActivity::builder(AppActivityId::new(format!("/crates?of={manifest}"))?)
        .activity_source_host(SOURCE_HOST)
        .activation_url(format!("{SOURCE_HOST}/crates"))
        .app_display_name("graphfeed crates")
        .visual_elements(visual)
        .content_info(RawJson::new(&json!({
            "@context": "https://schema.org",
            "@type": "SoftwareSourceCode",
            "name": manifest,
            "programmingLanguage": "Rust",
        }))?)
        .build()?;
    let put = client.send(&PutActivity::new(&activity))?;
    match put {
        Put::Created(_) => stored.user_activities.0 += 1,
        Put::Replaced(_) => stored.user_activities.1 += 1,
    }

    let until = SystemTime::now().max(begun);
    let history = ActivityHistoryItem::between(begun.try_into()?, until.try_into()?)?;
    let id = &put.get().id;
    client.send(&PutHistoryItem::new(id, random_guid(), &history))?;
    stored.history_items += 1;

    let listed = client.send(&ListActivities::new())?.value;
    let found = listed.iter().find(|listed| listed.id == *id);
    let found = found.and_then(|found| found.app_activity_id.as_deref());
    if found != Some(activity.app_activity_id().as_str()) {
        stored.differences.push(format!(
            "the user activity {id} of this run: sent {:?}, stored {found:?}",
            activity.app_activity_id().as_str()
        ));
    }
    Ok(())
}

fn read_back<T: Transport>(
    target: &Target<T>,
    connection: &ConnectionId,
    schema: &Schema,
    entries: &[Entry],
    stored: &mut Stored,
    progress: &mut Progress,
) -> Outcome<()> {
    for entry in entries {
        let found = target
            .client
            .send(&GetItem::new(connection, entry.item.id()))
            .map_err(at(&entry.key))?;
        for difference in compare::differences(&entry.item, &found, schema) {
            stored.differences.push(format!("{}: {difference}", entry.key));
        }
        stored.compared += 1;
        progress.at(stored.compared, entries.len());
    }
    Ok(())
}

/// Says for which crate a call failed.
fn at<E: Error>(key: &str) -> impl FnOnce(E) -> String {
    move |error| format!("{key}: {error}")
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
    use bytes::Bytes;
    use graphfeed_core::{
        client::{Failure, SendOptions, VirtualClock},
        protocol::ServiceRoot,
        types::AccessToken,
    };
    use graphfeed_emulator::{Behaviour, Emulator, Options};
    use http::{Request, Response};

    use super::*;
    use crate::source::CrateInfo;

    fn tree() -> Tree {
        let krate = |name: &str, readme: Option<&str>| CrateInfo {
            key: format!("{name}@1.0.0"),
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            readme: readme.map(str::to_owned),
            keywords: vec!["größe".to_owned()],
            ..CrateInfo::default()
        };
        Tree {
            manifest: "here/Cargo.toml".into(),
            crates: vec![krate("ann", Some("Words")), krate("bob", None)],
        }
    }

    /// Runs against an emulator in memory, through something that may change what is answered.
    fn run(
        change: impl Fn(&Request<Bytes>, Response<Bytes>) -> Response<Bytes>,
    ) -> Result<Stored, String> {
        let emulator = Emulator::new(Options {
            behaviour: Behaviour { schema_delay: Duration::ZERO, ..Behaviour::default() },
            ..Options::default()
        });
        let transport = |request: Request<Bytes>, options: &SendOptions| {
            let answer = Transport::send(&emulator, request.clone(), options)?;
            Ok::<_, Failure>(change(&request, answer))
        };
        let token = AccessToken::new("any").unwrap();
        let target = Target {
            client: Client::builder(ServiceRoot::v1(), token)
                .build(transport, VirtualClock::default()),
            tenant: Guid::from(1),
            author: Guid::from(2),
            patience: Duration::from_millis(150),
        };
        index(&target, &tree(), &mut Phases::default()).map_err(|error| error.to_string())
    }

    /// Replaces text in the answers to one method below one path.
    fn replacing(
        method: &str,
        path: &str,
        from: &str,
        to: &str,
    ) -> impl Fn(&Request<Bytes>, Response<Bytes>) -> Response<Bytes> {
        move |request, answer| {
            if request.method() != method || !request.uri().path().contains(path) {
                return answer;
            }
            answer.map(|body| {
                let body = String::from_utf8(body.into()).unwrap();
                body.replace(from, to).into()
            })
        }
    }

    #[test]
    fn everything_is_stored_once_and_nothing_differs() {
        let stored = run(|_, answer| answer).unwrap();
        assert_eq!(stored.differences, [""; 0]);
        assert_eq!((stored.items, stored.with_content, stored.cut), (2, 1, 0));
        assert_eq!((stored.activities, stored.compared), (2, 2));
        assert_eq!((stored.user_activities, stored.history_items), ((1, 0), 1));
        assert_eq!(stored.properties["stringCollection"], 2);
    }

    #[test]
    fn what_comes_back_changed_is_told_with_its_crate() {
        let found = |from: &str, to: &str| {
            let change = replacing("GET", "/items/", from, to);
            run(change).unwrap().differences
        };
        let differences = found("Words", "Word");
        assert_eq!(differences.len(), 1);
        assert!(differences[0].starts_with("ann@1.0.0: content: "), "{differences:?}");
        assert_eq!(found("größe", "grösse").len(), 2);

        let change = replacing("GET", "/me/activities", "/crates?of=", "/other?of=");
        let differences = run(change).unwrap().differences;
        assert_eq!(differences.len(), 1);
        assert!(differences[0].contains("user activity"), "{differences:?}");
    }

    #[test]
    fn a_schema_that_never_gets_there_ends_the_run() {
        let error = |to: &str| {
            let change = replacing("GET", "/operations/", r#""completed""#, to);
            run(change).err().unwrap()
        };
        assert!(error(r#""failed""#).contains("was not registered"));
        assert!(error(r#""inprogress""#).contains("is inprogress"));
        assert!(error(r#""undreamtOf""#).contains("is undreamtOf"));
        assert!(error("null").contains("without a status"));

        let change = replacing("GET", "/connections/graphfeedcrates", r#""ready""#, r#""draft""#);
        let only_connection = |request: &Request<Bytes>, answer: Response<Bytes>| match request
            .uri()
            .path()
            .ends_with("/graphfeedcrates")
        {
            true => change(request, answer),
            false => answer,
        };
        let error = run(only_connection).err().unwrap();
        assert!(error.contains("is draft, not ready"), "{error}");
    }

    #[test]
    fn an_item_or_activity_that_is_refused_ends_the_run_and_is_named() {
        for (method, path, named) in
            [("PUT", "/items/", "ann@1.0.0: "), ("POST", "/addActivities", "ann@1.0.0: ")]
        {
            let refuse = |request: &Request<Bytes>, answer: Response<Bytes>| {
                let is_it = request.method() == method && request.uri().path().contains(path);
                match is_it {
                    true => Response::builder().status(403).body(Bytes::new()).unwrap(),
                    false => answer,
                }
            };
            let error = run(refuse).err().unwrap();
            assert!(error.starts_with(named) && error.contains("403"), "{error}");
        }
        let change = replacing(
            "POST",
            "/addActivities",
            r#""error":null"#,
            r#""error":{"code":"InvalidRequest","message":"Nobody"}"#,
        );
        let error = run(change).err().unwrap();
        assert!(error.starts_with("ann@1.0.0: ") && error.contains("Nobody"), "{error}");
    }
}
