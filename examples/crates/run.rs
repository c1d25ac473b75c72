//! The run: what is sent to Microsoft Graph, in which order, and read back.
//!
//! Nothing here knows where the service is; a `Target` says that, and as whom to act.

use std::{
    collections::BTreeMap,
    error::Error,
    time::{Duration, SystemTime},
};

use graphfeed_core::{
    external::{AddActivities, ExternalActivity, GetItem, Identity, PropertyType, Schema},
    protocol::Endpoint as _,
    types::{ConnectionId, Guid, Timestamp},
};
use graphfeed_examples::{
    calls::Calls,
    progress::{Phases, Progress},
};

use crate::{
    compare,
    connection::{self, Setup},
    item::{self, Entry, Mapping},
    left::Left,
    recording::{self, Recorded, User},
    source::{CrateInfo, Tree},
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Where a run goes, and as whom.
pub(crate) struct Target<C> {
    /// Makes the calls.
    pub(crate) calls: C,
    /// The tenant whose members may see the items.
    pub(crate) tenant: Guid,
    /// The user who is said to have made the crates.
    pub(crate) author: Result<Guid, Skipped>,
    /// Who runs this program, as far as the service knows.
    pub(crate) user: Result<User<C>, Skipped>,
    /// How long the registration of the schema may take.
    pub(crate) patience: Duration,
}

/// A step is left out, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skipped(pub(crate) &'static str);

/// What a run has stored.
pub(crate) struct Stored {
    /// The connection.
    pub(crate) connection: ConnectionId,
    /// How that came to be ready.
    pub(crate) setup: Setup,
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
    pub(crate) activities: Result<usize, Skipped>,
    /// This run as a user activity.
    pub(crate) recorded: Result<Recorded, Skipped>,
    /// Items that were read back.
    pub(crate) compared: usize,
    /// How what was read back differs from what was sent.
    pub(crate) differences: Vec<String>,
}

/// Stores the crates of a tree and reads them back. Keeps count of them in `left`.
///
/// # Errors
/// The first call that fails, with the crate it was for.
pub(crate) fn index<C: Calls>(
    target: &Target<C>,
    tree: &Tree,
    left: &Left,
    phases: &mut Phases,
) -> Outcome<Stored> {
    let begun = SystemTime::now();
    let Target { calls, tenant, author, user, patience } = target;
    let connection = connection::id()?;
    let columns = item::columns(calls.root().cloud());
    let schema = item::schema(&columns)?;
    let mapping = Mapping {
        columns: &columns,
        schema: &schema,
        root: calls.root(),
        connection: &connection,
        tenant: *tenant,
    };

    let setup = phases.run("connection and schema", |progress| {
        connection::set_up(calls, &connection, &schema, *patience, progress)
    })?;
    let mut stored = Stored {
        connection: connection.clone(),
        setup,
        items: 0,
        with_content: 0,
        cut: 0,
        properties: BTreeMap::new(),
        bytes: 0,
        activities: Ok(0),
        recorded: Ok(Recorded::Created),
        compared: 0,
        differences: Vec::new(),
    };
    let entries = phases
        .run("items", |progress| put_items(calls, tree, &mapping, &mut stored, left, progress))?;
    stored.activities = match author {
        Ok(author) => phases
            .run("activities", |progress| {
                add_activities(calls, *author, &connection, &entries, begun, progress)
            })
            .map(Ok)?,
        Err(why) => Err(*why),
    };
    stored.recorded = match user {
        Ok(user) => phases
            .run("this run as a user activity", |_| {
                recording::record(user, tree, begun, &mut stored.differences)
            })
            .map(Ok)?,
        Err(why) => Err(*why),
    };
    phases.run("reading back", |progress| {
        read_back(calls, &connection, &schema, &entries, &mut stored, progress)
    })?;
    Ok(stored)
}

fn put_items<C: Calls>(
    calls: &C,
    tree: &Tree,
    mapping: &Mapping<'_>,
    stored: &mut Stored,
    left: &Left,
    progress: &Progress,
) -> Outcome<Vec<Entry>> {
    let entry = |krate: &CrateInfo| {
        mapping.entry(krate).map_err(|why| format!("{} cannot be an item: {why}", krate.key))
    };
    // What one crate has wrong is known before another one is sent.
    let entries = tree.crates.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    left.expect(entries.len());
    calls.send_each(entries.iter().map(|entry| entry.put.clone()), |number, put| {
        let entry = &entries[number];
        put.map_err(at(&entry.key))?;

        left.add();
        stored.items += 1;
        stored.with_content += usize::from(entry.item.content().is_some());
        stored.cut += usize::from(entry.is_cut);
        stored.bytes += entry.put.request().body().len();
        for (_, value) in entry.item.properties().iter() {
            let kind = value.kind();
            let known = PropertyType::KNOWN.iter().find(|name| **name == kind.as_str());
            *stored.properties.entry(known.copied().unwrap_or("other")).or_default() += 1;
        }
        progress.at(stored.items, entries.len());
        Ok(())
    })?;
    Ok(entries)
}

/// Says of each item that it was created. Who did it is made up: crates.io does not tell in the
/// words of Entra.
fn add_activities<C: Calls>(
    calls: &C,
    author: Guid,
    connection: &ConnectionId,
    entries: &[Entry],
    begun: SystemTime,
    progress: &Progress,
) -> Outcome<usize> {
    let begun = Timestamp::try_from(begun)?;
    let add = |entry: &Entry| {
        let created =
            ExternalActivity::created(entry.modified.unwrap_or(begun), Identity::user(author));
        AddActivities::new(connection, entry.item.id(), &[created]).call(calls.root())
    };
    let additions = entries.iter().map(add).collect::<Result<Vec<_>, _>>()?;
    let (mut done, mut added) = (0, 0);
    calls.send_each(additions, |number, results| {
        let key = &entries[number].key;
        added += results.map_err(at(key))?.into_result().map_err(at(key))?.len();
        done += 1;
        progress.at(done, entries.len());
        Ok(())
    })?;
    Ok(added)
}

fn read_back<C: Calls>(
    calls: &C,
    connection: &ConnectionId,
    schema: &Schema,
    entries: &[Entry],
    stored: &mut Stored,
    progress: &Progress,
) -> Outcome<()> {
    let get = |entry: &Entry| GetItem::new(connection, entry.item.id()).call(calls.root());
    let gets = entries.iter().map(get).collect::<Result<Vec<_>, _>>()?;
    calls.send_each(gets, |number, found| {
        let entry = &entries[number];
        let found = found.map_err(at(&entry.key))?;
        for difference in compare::differences(&entry.item, &found, schema) {
            stored.differences.push(format!("{}: {difference}", entry.key));
        }
        stored.compared += 1;
        progress.at(stored.compared, entries.len());
        Ok(())
    })
}

/// Says for which crate a call failed.
fn at<E: Error>(key: &str) -> impl FnOnce(E) -> String {
    move |error| format!("{key}: {error}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use graphfeed_core::{
        client::{AsyncClient, Client, SendOptions, Transport, VirtualClock},
        protocol::ServiceRoot,
        types::AccessToken,
    };
    use graphfeed_emulator::{Behaviour, Emulator, Options};
    use http::{Request, Response};
    use tokio::runtime;

    use super::*;
    use graphfeed_examples::calls::Concurrent;

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

    /// Runs against an emulator in memory, through something that may change what is answered:
    /// once with one call after the other, once with several at the same time, to the same end.
    fn run(
        change: impl Fn(&Request<Bytes>, Response<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Result<Stored, String> {
        let change: Arc<Change> = Arc::new(change);
        let token = || AccessToken::new("any").unwrap();
        let transport = emulator(Arc::clone(&change));
        let one_by_one = index_into(
            Client::builder(ServiceRoot::v1(), token()).build(transport, VirtualClock::default()),
        );

        let transport = emulator(change);
        let transport = move |request: Request<Bytes>, options: &SendOptions| {
            let answer = transport.send(request, options);
            async { answer }
        };
        let client = AsyncClient::builder(ServiceRoot::v1(), token())
            .build_async(transport, VirtualClock::default());
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        let several = index_into(Concurrent::new(client, Arc::new(runtime)));

        let end = |stored: &Result<Stored, String>| {
            stored.as_ref().map(|stored| stored.items).map_err(String::clone)
        };
        assert_eq!(end(&one_by_one), end(&several));
        if let (Ok(one_by_one), Ok(several)) = (&one_by_one, &several) {
            // Of a user activity it tells the id.
            assert_eq!(one_by_one.differences.len(), several.differences.len());
            assert_eq!(one_by_one.activities, several.activities);
            assert_eq!(one_by_one.compared, several.compared);
        }
        several
    }

    type Change = dyn Fn(&Request<Bytes>, Response<Bytes>) -> Response<Bytes> + Send + Sync;

    fn emulator(change: Arc<Change>) -> impl Transport + Send + Sync + 'static {
        let emulator = Emulator::new(Options {
            behaviour: Behaviour { schema_delay: Duration::ZERO, ..Behaviour::default() },
            ..Options::default()
        });
        move |request: Request<Bytes>, options: &SendOptions| {
            let answer = Transport::send(&emulator, request.clone(), options)?;
            Ok(change(&request, answer))
        }
    }

    fn index_into<C: Calls + Clone>(calls: C) -> Result<Stored, String> {
        let target = Target {
            user: Ok(User { calls: calls.clone(), source_host: "https://x.example".to_owned() }),
            calls,
            tenant: Guid::from(1),
            author: Ok(Guid::from(2)),
            patience: Duration::from_secs(30),
        };
        index(&target, &tree(), &Left::default(), &mut Phases::default())
            .map_err(|error| error.to_string())
    }

    /// Replaces text in the answers to one method below one path.
    fn replacing(
        method: &'static str,
        path: &'static str,
        from: &'static str,
        to: &'static str,
    ) -> impl Fn(&Request<Bytes>, Response<Bytes>) -> Response<Bytes> + Send + Sync + 'static {
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
        assert_eq!((stored.activities, stored.compared), (Ok(2), 2));
        assert_eq!(stored.recorded, Ok(Recorded::Created));
        assert_eq!(stored.properties["stringCollection"], 2);
    }

    #[test]
    fn what_comes_back_changed_is_told_with_its_crate() {
        let found = |from, to| {
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
        let error = |to| {
            let change = replacing("GET", "/operations/", r#""completed""#, to);
            run(change).err().unwrap()
        };
        for (to, says) in [
            (r#""failed""#, "failed"),
            (r#""inprogress""#, "said inprogress when last asked"),
            (r#""undreamtOf""#, "said undreamtOf when last asked"),
            ("null", "said nothing when last asked"),
        ] {
            let error = error(to);
            assert!(error.starts_with("Get operation") && error.contains(says), "{error}");
        }

        let change = replacing("GET", "/connections/graphfeedcrates", r#""ready""#, r#""draft""#);
        let only_connection = move |request: &Request<Bytes>, answer: Response<Bytes>| match request
            .uri()
            .path()
            .ends_with("/graphfeedcrates")
        {
            true => change(request, answer),
            false => answer,
        };
        let error = run(only_connection).err().unwrap();
        assert!(error.contains("was draft when last seen"), "{error}");
    }

    #[test]
    fn an_item_or_activity_that_is_refused_ends_the_run_and_is_named() {
        for (method, path, named) in
            [("PUT", "/items/", "ann@1.0.0: "), ("POST", "/addActivities", "ann@1.0.0: ")]
        {
            let refuse = move |request: &Request<Bytes>, answer: Response<Bytes>| {
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
