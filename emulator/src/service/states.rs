//! What each state of a connection allows, as one table.
//!
//! Source: manage-connections. It has no state for an update of a schema, which manage-schema
//! describes: that it is allowed in `ready` is assumed, and that activities are added where an
//! item may be updated. Nor does it speak of groups, which are taken to need no schema and no
//! room. What is not named here is allowed in every state.

use super::Run;
use crate::{
    findings::{Refusal, by_switch},
    incoming::Call,
    model::{Connection, ConnectionState},
    rules::Rule,
};

/// What an operation is going to do with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    UpdateConnection,
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
            Self::UpdateConnection => &[Draft, Ready, LimitExceeded],
            Self::RegisterSchema => &[Draft, Ready],
            Self::CreateItem => &[Ready],
            Self::ReadItem => &[Ready, Obsolete, LimitExceeded],
            Self::UpdateItem | Self::DeleteItem => &[Ready, LimitExceeded],
            Self::ChangeGroups => &[Draft, Ready, LimitExceeded],
        }
    }
}

impl Run<'_> {
    /// The connection that the path names, if it is in a state that allows the use.
    pub(super) fn connection_for(
        &mut self,
        call: &Call<'_>,
        wanted: Use,
    ) -> Result<&mut Connection, Refusal> {
        let quota = self.options.behaviour.item_quota;
        let connection = self.connection(call)?;
        let id = &connection.id;
        let message = match connection.state(quota) {
            // Until it is gone it can be read; that nothing else is allowed is assumed.
            _ if connection.gone.is_some() && wanted != Use::ReadItem => being_deleted(id),
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
