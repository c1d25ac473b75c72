//! The connection: made or found, given its schema, waited for, and deleted.
//!
//! Doing it twice does no harm: a connection and a schema that are there already are used, and
//! changed only where they differ.

use std::{error::Error, time::Duration};

use graphfeed_core::{
    external::{
        AwaitGone, AwaitReady, AwaitSchema, ConnectionState, DeleteConnection, EnsureConnection,
        EnsureSchema, EnsuredSchema, ExternalConnection, GetConnection, Made, PropertyChange,
        Schema, SchemaPlan,
    },
    protocol::Cause,
    types::{BuildError, ConnectionId},
};

use graphfeed_examples::{calls::Calls, progress::Progress};

/// The connection that this program makes.
const ID: &str = "graphfeedcrates";
/// Its name.
const NAME: &str = "Crates";

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How the connection came to be ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Whether the connection was made.
    pub(crate) connection: Made,
    /// Whether it was there with other settings, and has been updated.
    pub(crate) updated: bool,
    /// What was done about its schema.
    pub(crate) schema: String,
}

/// The id of the connection.
///
/// # Errors
/// When Microsoft Graph would not take it.
pub(crate) fn id() -> Result<ConnectionId, BuildError> {
    ConnectionId::new(ID)
}

/// Sees to it that the connection is there with this schema; items are welcome when this returns.
///
/// # Errors
/// What cannot be done, or does not come to its end in time.
pub(crate) fn set_up<C: Calls>(
    calls: &C,
    id: &ConnectionId,
    schema: &Schema,
    patience: Duration,
    progress: &Progress,
) -> Outcome<Setup> {
    let wanted = ExternalConnection::builder(id.clone(), NAME)
        .description("The crates that a Rust workspace depends on")
        .build()?;
    let created = calls.run(&EnsureConnection::new(&wanted))?;
    let schema = match calls.run(&EnsureSchema::new(id, schema))? {
        EnsuredSchema::Begun { registration, plan, .. } => {
            let what = tell(&plan, schema, progress);
            progress.note("waiting for the schema; in a tenant that takes 5 to 15 minutes");
            let waiting = AwaitSchema::new(id.clone(), registration.operation).at_most(patience);
            calls.run(&waiting)?;
            what.to_owned()
        }
        EnsuredSchema::ProbablyBegun { plan, .. } => {
            format!("most likely {}", tell(&plan, schema, progress))
        }
        EnsuredSchema::Equal(_) => "there before".to_owned(),
        _ => "there".to_owned(),
    };
    // What counts is the connection: that a schema can be read, or that an operation is over, only
    // says that it is worth looking.
    let ready = calls.run(&AwaitReady::new(id.clone()).at_most(patience))?;
    if ready.state == Some(ConnectionState::LimitExceeded) {
        // It would take changes to the items that it has, but this program brings new ones.
        return Err(format!(
            "connection {id} is limitExceeded: it or its tenant has as many items as it may, and \
             takes no new ones; delete some, or all of this connection with --clean"
        )
        .into());
    }
    Ok(Setup { connection: created.made, updated: created.updated, schema })
}

/// Tells what becomes different of a schema that is there, and gives back what the end says of it.
fn tell(plan: &SchemaPlan, wanted: &Schema, progress: &Progress) -> &'static str {
    let added = plan.changes().iter().filter(|change| change.what == PropertyChange::Added);
    if added.count() == wanted.properties().len() {
        return "registered now";
    }
    for change in plan.changes() {
        progress.note(&format!("the schema changes: {change}"));
    }
    if !plan.needs_reingest() {
        return "changed now";
    }
    progress.note(
        "items have to be put again for that; this run puts those of its crates, and those of \
         other crates, of earlier runs, stay as they are",
    );
    "changed now, for which items had to be put again"
}

/// Deletes the connection with everything in it, and says what was done.
///
/// # Errors
/// It is not this program's, it cannot be deleted, or it is still there after all that time.
pub(crate) fn delete<C: Calls>(
    calls: &C,
    patience: Duration,
    progress: &Progress,
) -> Outcome<String> {
    let id = id()?;
    let found = match calls.send(&GetConnection::new(&id)) {
        Err(error) if is_missing(&error) => {
            return Ok(format!("There is no connection {id}; nothing to delete."));
        }
        found => found?,
    };
    if found.name.as_deref() != Some(NAME) {
        return Err(format!(
            "connection {id} is named {:?}, and this program names it {NAME:?}; it is not deleted, \
             for somebody else seems to have made it",
            found.name.unwrap_or_default()
        )
        .into());
    }
    calls.send(&DeleteConnection::new(&id))?;
    progress.note("waiting until it is gone with everything in it");
    calls.run(&AwaitGone::new(id.clone()).at_most(patience)).map_err(|error| {
        match error.cause() {
            Cause::StillRunning(last) => format!(
                "connection {id} is being deleted, but not gone after {} s: {last}; look again \
                 later with --clean",
                patience.as_secs()
            ),
            _ => error.to_string(),
        }
    })?;
    Ok(format!("Deleted connection {id} with its schema, its items and their activities."))
}

fn is_missing(error: &graphfeed_core::protocol::Error) -> bool {
    error.status().is_some_and(|status| status.as_u16() == 404)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use graphfeed_core::{
        client::{Client, SendOptions, Transport, VirtualClock},
        external::{PropertyType, SchemaProperty},
        protocol::{Cloud, ServiceRoot},
        types::AccessToken,
    };
    use graphfeed_emulator::{Behaviour, Emulator, Options};
    use http::{Request, Response};

    use super::*;
    use graphfeed_examples::progress::Phases;

    use crate::item;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn emulator() -> Emulator {
        Emulator::new(Options {
            behaviour: Behaviour {
                schema_delay: Duration::ZERO,
                delete_delay: Duration::ZERO,
                ..Behaviour::default()
            },
            ..Options::default()
        })
    }

    fn client<T: Transport>(transport: T) -> Client<T> {
        let token = AccessToken::new("any").unwrap();
        Client::builder(ServiceRoot::v1(), token).build(transport, VirtualClock::default())
    }

    fn set_up<T: Transport>(client: &Client<T>) -> Result<Setup, String> {
        let schema = item::schema(&item::columns(Cloud::Global)).unwrap();
        let id = id().unwrap();
        Phases::default()
            .run("setup", |progress| super::set_up(client, &id, &schema, PATIENCE, progress))
            .map_err(|error| error.to_string())
    }

    fn setup(connection: Made, schema: &str) -> Setup {
        Setup { connection, updated: false, schema: schema.to_owned() }
    }

    fn delete<T: Transport>(client: &Client<T>) -> Result<String, String> {
        Phases::default()
            .run("delete", |progress| super::delete(client, PATIENCE, progress))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_there_is_used_and_what_is_deleted_is_made_anew() {
        let client = client(emulator());
        let new = setup(Made::Now, "registered now");
        let old = setup(Made::Before, "there before");
        assert_eq!(set_up(&client).unwrap(), new);
        assert_eq!(set_up(&client).unwrap(), old);
        assert!(delete(&client).unwrap().starts_with("Deleted connection graphfeedcrates "));
        let nothing = delete(&client).unwrap();
        assert_eq!(nothing, "There is no connection graphfeedcrates; nothing to delete.");
        assert_eq!(set_up(&client).unwrap(), new);
    }

    #[test]
    fn what_is_there_and_differs_is_changed_and_it_is_told_whether_items_have_to_be_put_again() {
        let wanted = item::schema(&item::columns(Cloud::Global)).unwrap();
        let (last, others) = wanted.properties().split_last().unwrap();
        let not_searchable = others.iter().map(|property| match property.name() {
            "name" => SchemaProperty::new("name", PropertyType::String).retrievable().queryable(),
            _ => property.clone(),
        });
        let changed = "changed now, for which items had to be put again";
        for (before, says) in [
            (Schema::new(others.to_vec()), "changed now"),
            (Schema::new(not_searchable.chain([last.clone()])), changed),
        ] {
            let client = client(emulator());
            let id = id().unwrap();
            client
                .run(&EnsureConnection::new(&ExternalConnection::new(id.clone(), NAME).unwrap()))
                .unwrap();
            client.run(&EnsureSchema::new(&id, &before.unwrap())).unwrap();
            client.run(&AwaitReady::new(id)).unwrap();

            let expected = Setup { updated: true, ..setup(Made::Before, says) };
            assert_eq!(set_up(&client).unwrap(), expected);
            assert_eq!(set_up(&client).unwrap(), setup(Made::Before, "there before"));
        }
    }

    #[test]
    fn a_schema_that_can_be_read_is_no_schema_that_is_ready() {
        let emulator = emulator();
        let client = client(|request: Request<Bytes>, options: &SendOptions| {
            let is_connection = request.uri().path().ends_with("/graphfeedcrates");
            let answer = emulator.send(request, options)?;
            Ok(match is_connection {
                true => replacing(answer, r#""ready""#, r#""draft""#),
                false => answer,
            })
        });
        for _ in 0..2 {
            let error = set_up(&client).unwrap_err();
            assert!(error.contains("the connection was draft when last seen"), "{error}");
        }
    }

    #[test]
    fn an_operation_that_is_over_may_vanish() {
        let emulator = emulator();
        let client = client(|request: Request<Bytes>, options: &SendOptions| {
            match request.uri().path().contains("/operations/") {
                true => Ok(Response::builder().status(404).body(Bytes::new()).unwrap()),
                false => emulator.send(request, options),
            }
        });
        assert_eq!(set_up(&client).unwrap().schema, "registered now");
    }

    #[test]
    fn a_connection_that_cannot_become_ready_is_not_waited_for() {
        for (state, says) in [("obsolete", "is obsolete"), ("limitExceeded", "is limitExceeded")] {
            let emulator = emulator();
            let client = client(|request: Request<Bytes>, options: &SendOptions| {
                let answer = emulator.send(request, options)?;
                Ok(replacing(answer, r#""ready""#, &format!("{state:?}")))
            });
            let error = set_up(&client).unwrap_err();
            assert!(error.contains(says) && error.contains("delete"), "{error}");
        }
    }

    #[test]
    fn only_this_programs_connection_is_deleted_and_its_end_waited_for() {
        let emulator = emulator();
        set_up(&client(emulator.clone())).unwrap();
        let renamed = client(|request: Request<Bytes>, options: &SendOptions| {
            assert_ne!(request.method(), "DELETE");
            Ok(replacing(emulator.send(request, options)?, r#""Crates""#, r#""Others""#))
        });
        let error = delete(&renamed).unwrap_err();
        assert!(error.contains(r#"is named "Others""#) && error.contains("not deleted"), "{error}");

        let slow = client(|request: Request<Bytes>, options: &SendOptions| {
            match request.method().as_str() {
                "DELETE" => Ok(Response::builder().status(202).body(Bytes::new()).unwrap()),
                _ => emulator.send(request, options),
            }
        });
        let error = delete(&slow).unwrap_err();
        assert!(error.contains("is being deleted, but not gone after 30 s"), "{error}");
    }

    fn replacing(answer: Response<Bytes>, from: &str, to: &str) -> Response<Bytes> {
        answer.map(|body| String::from_utf8(body.into()).unwrap().replace(from, to).into())
    }
}
