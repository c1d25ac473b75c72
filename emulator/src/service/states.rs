//! What each state of a connection allows, as one table.
//!
//! Source: manage-connections. It has no state for an update of a schema, which manage-schema
//! describes: that it is allowed in `ready` is assumed, and that activities are added where an
//! item may be updated. Nor does it speak of groups, which are taken to need no schema and no
//! room. A schema can be read in every state, but in `draft` there is none.

use super::Run;
use crate::{
    check::shown,
    findings::{Refusal, by_switch},
    incoming::Call,
    model::{Connection, ConnectionState},
    rules::Rule,
};

/// What an operation is going to do with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Of the connection itself, its quota, schema, operations and groups.
    Read,
    UpdateConnection,
    DeleteConnection,
    RegisterSchema,
    CreateItem,
    ReadItem,
    UpdateItem,
    DeleteItem,
    ChangeGroups,
}

impl Use {
    fn states(self) -> &'static [ConnectionState] {
        use ConnectionState::{Draft, LimitExceeded, Obsolete, Ready};
        match self {
            Self::Read | Self::DeleteConnection => &[Draft, Ready, Obsolete, LimitExceeded],
            Self::UpdateConnection => &[Draft, Ready, LimitExceeded],
            Self::RegisterSchema => &[Draft, Ready],
            Self::CreateItem => &[Ready],
            Self::ReadItem => &[Ready, Obsolete, LimitExceeded],
            Self::UpdateItem | Self::DeleteItem => &[Ready, LimitExceeded],
            Self::ChangeGroups => &[Draft, Ready, LimitExceeded],
        }
    }

    /// Whether it is allowed while the connection is being deleted. That nothing else is then is
    /// assumed.
    fn is_for_the_deleted(self) -> bool {
        matches!(self, Self::Read | Self::ReadItem | Self::DeleteConnection)
    }
}

impl Run<'_> {
    /// The connection that the path names, if its state allows the use.
    pub(super) fn connection(
        &mut self,
        call: &Call<'_>,
        wanted: Use,
    ) -> Result<&mut Connection, Refusal> {
        let quota = self.options.behaviour.item_quota;
        let connection = self.own_connection(call)?;
        let id = &connection.id;
        let message = match connection.state(quota) {
            _ if connection.gone.is_some() && !wanted.is_for_the_deleted() => being_deleted(id),
            state if wanted.states().contains(&state) => return Ok(connection),
            ConnectionState::Draft => return Err(no_schema(connection)),
            ConnectionState::LimitExceeded => {
                let message =
                    format!("connection {id:?} is limitExceeded; delete items to make room");
                match connection.given {
                    Some(_) => message,
                    None => by_switch(message, "item-quota"),
                }
            }
            state => {
                format!("connection {id:?} is {}; delete it and make another one", state.name())
            }
        };
        Err(refuse(message))
    }

    /// The connection that the path names, if it is there for the caller.
    fn own_connection(&mut self, call: &Call<'_>) -> Result<&mut Connection, Refusal> {
        let id = call.arg(0);
        let caller = self.caller.as_ref();
        let Some(connection) = self.store.connections.get_mut(id) else {
            let message = format!("there is no connection {}; create it first", shown(id));
            return Err(Refusal::new(Rule::NotFound, "connection id", message));
        };
        if caller.is_some_and(|caller| !caller.reaches(connection)) {
            let message = format!(
                "connection {} belongs to another application; let that one name yours in \
                 configuration.authorizedAppIds, or use a permission that ends in .All",
                shown(id)
            );
            return Err(Refusal::new(Rule::ConnectionOwner, "connection id", message));
        }
        Ok(connection)
    }
}

fn refuse(message: String) -> Refusal {
    Refusal::new(Rule::ConnectionState, "connection id", message)
}

/// What is said of a connection that will be gone.
pub(super) fn being_deleted(id: &str) -> String {
    by_switch(
        format_args!("connection {id:?} is being deleted; make it anew when GET answers 404"),
        "delete-delay",
    )
}

/// Refuses what needs a schema.
pub(super) fn no_schema(connection: &Connection) -> Refusal {
    let id = &connection.id;
    refuse(match connection.is_registering() {
        true => by_switch(
            format_args!(
                "the schema of connection {id:?} is still being registered; wait until its \
                 operation is completed"
            ),
            "schema-delay",
        ),
        false => format!("connection {id:?} is draft and has no schema; register a schema"),
    })
}
