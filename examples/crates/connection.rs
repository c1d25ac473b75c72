//! The connection: made or found, given its schema, waited for, and deleted.
//!
//! Doing it twice does no harm: a connection and a schema that are there already are used as they
//! are.

use std::{
    error::Error,
    ops::ControlFlow,
    thread,
    time::{Duration, Instant},
};

use graphfeed_core::{
    external::{
        AwaitSchema, ConnectionState, DeleteConnection, EnsureConnection, EnsureSchema,
        EnsuredSchema, ExternalConnection, GetConnection, Made, Schema,
    },
    types::{BuildError, ConnectionId},
};

use crate::{calls::Calls, progress::Progress};

/// The connection that this program makes.
const ID: &str = "graphfeedcrates";
/// Its name.
const NAME: &str = "Crates";
/// The first pause before asking again; each is a quarter longer than the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest one.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How the connection came to be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Whether the connection was made.
    pub(crate) connection: Made,
    /// What was done about its schema.
    pub(crate) schema: &'static str,
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
    let connection = calls.run(&EnsureConnection::new(&wanted))?.made;
    let schema = match calls.run(&EnsureSchema::new(id, schema))? {
        EnsuredSchema::Begun { registration, .. } => {
            progress.note("waiting for the schema; in a tenant that takes 5 to 15 minutes");
            let waiting = AwaitSchema::new(id.clone(), registration.operation).at_most(patience);
            calls.run(&waiting)?;
            "registered now"
        }
        EnsuredSchema::ProbablyBegun { .. } => "most likely registered now",
        // That it can be read does not say that its registration is over.
        EnsuredSchema::Equal(_) => "there before",
        _ => "there",
    };
    wait_until_ready(calls, id, patience, progress)?;
    Ok(Setup { connection, schema })
}

/// What counts is the connection; a completed operation only says that it is worth looking.
fn wait_until_ready<C: Calls>(
    calls: &C,
    id: &ConnectionId,
    patience: Duration,
    progress: &Progress,
) -> Outcome<()> {
    let last = poll(patience, progress, || {
        Ok(match calls.send(&GetConnection::new(id))?.state {
            Some(ConnectionState::Ready) => ControlFlow::Break(Ok(())),
            // Neither becomes ready by waiting.
            Some(state @ (ConnectionState::Obsolete | ConnectionState::LimitExceeded)) => {
                ControlFlow::Break(Err(state.as_str().to_owned()))
            }
            Some(other) => ControlFlow::Continue(other.as_str().to_owned()),
            None => ControlFlow::Continue("in no state".to_owned()),
        })
    })?;
    match last {
        ControlFlow::Break(Ok(())) => Ok(()),
        ControlFlow::Break(Err(state)) | ControlFlow::Continue(state) => {
            Err(format!("the schema is registered, but connection {id} is {state}, not ready")
                .into())
        }
    }
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
    let last = poll(patience, progress, || match calls.send(&GetConnection::new(&id)) {
        Err(error) if is_missing(&error) => Ok(ControlFlow::Break(())),
        found => Ok(ControlFlow::Continue(
            found?
                .state
                .map_or_else(|| "in no state".to_owned(), |state| state.as_str().to_owned()),
        )),
    })?;
    match last {
        ControlFlow::Break(()) => {
            Ok(format!("Deleted connection {id} with its schema, its items and their activities."))
        }
        ControlFlow::Continue(state) => Err(format!(
            "connection {id} is being deleted, but still there after {} s, and {state}; look \
             again later with --clean",
            patience.as_secs()
        )
        .into()),
    }
}

fn is_missing(error: &graphfeed_core::protocol::Error) -> bool {
    error.status().is_some_and(|status| status.as_u16() == 404)
}

/// Asks until there is an answer or patience is at its end, with longer and longer pauses; gives
/// back the last thing heard.
fn poll<B>(
    patience: Duration,
    progress: &Progress,
    mut ask: impl FnMut() -> Outcome<ControlFlow<B, String>>,
) -> Outcome<ControlFlow<B, String>> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let heard = ask()?;
        let waited = begun.elapsed();
        if heard.is_break() || waited >= patience {
            return Ok(heard);
        }
        progress.at(waited.as_secs() as usize, patience.as_secs() as usize);
        thread::sleep(pause.min(patience - waited));
        pause = (pause + pause / 4).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use graphfeed_core::{
        client::{Client, SendOptions, Transport, VirtualClock},
        protocol::{Cloud, ServiceRoot},
        types::AccessToken,
    };
    use graphfeed_emulator::{Behaviour, Emulator, Options};
    use http::{Request, Response};

    use super::*;
    use crate::{item, progress::Phases};

    const PATIENCE: Duration = Duration::from_millis(150);

    fn emulator() -> Emulator {
        Emulator::new(Options {
            behaviour: Behaviour { schema_delay: Duration::ZERO, ..Behaviour::default() },
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

    fn delete<T: Transport>(client: &Client<T>) -> Result<String, String> {
        Phases::default()
            .run("delete", |progress| super::delete(client, PATIENCE, progress))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_there_is_used_and_what_is_deleted_is_made_anew() {
        let client = client(emulator());
        let new = Setup { connection: Made::Now, schema: "registered now" };
        let old = Setup { connection: Made::Before, schema: "there before" };
        assert_eq!(set_up(&client).unwrap(), new);
        assert_eq!(set_up(&client).unwrap(), old);
        assert!(delete(&client).unwrap().starts_with("Deleted connection graphfeedcrates "));
        let nothing = delete(&client).unwrap();
        assert_eq!(nothing, "There is no connection graphfeedcrates; nothing to delete.");
        assert_eq!(set_up(&client).unwrap(), new);
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
            assert!(error.ends_with("connection graphfeedcrates is draft, not ready"), "{error}");
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
        for state in ["obsolete", "limitExceeded"] {
            let emulator = emulator();
            let client = client(|request: Request<Bytes>, options: &SendOptions| {
                let answer = emulator.send(request, options)?;
                Ok(replacing(answer, r#""ready""#, &format!("{state:?}")))
            });
            let error = set_up(&client).unwrap_err();
            assert!(error.ends_with(&format!("is {state}, not ready")), "{error}");
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
        assert!(error.contains("is being deleted, but still there"), "{error}");
    }

    fn replacing(answer: Response<Bytes>, from: &str, to: &str) -> Response<Bytes> {
        answer.map(|body| String::from_utf8(body.into()).unwrap().replace(from, to).into())
    }
}
