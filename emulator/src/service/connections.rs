//! Connections.
//!
//! Sources: the pages post-connections, externalconnection-update, connection get, list and
//! delete, and connectionquota-get.

use http::{StatusCode, header::HeaderValue};

use super::{
    Run, context,
    pages::ById,
    states::{Use, being_deleted},
};
use crate::{
    answer::Answer,
    findings::Refusal,
    incoming::Call,
    model::{Connection, ConnectionState},
    rules::Rule,
    target::Version,
    write::Object,
};

/// What is left of a quota that nobody set: the limits page named this number once.
const PLENTY: usize = 5_000_000;

impl Run<'_> {
    pub(super) fn create_connection(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let quota = self.options.behaviour.item_quota;
        let body = call.body()?;
        let mut reader = self.reader(call);
        let ticket = call.headers.get("graphconnectors-ticket");
        let ticket = ticket.map(HeaderValue::as_bytes).filter(|ticket| !ticket.is_empty());
        let (id, members) = reader.connection(body, ticket);
        self.accept(reader.findings)?;
        if let Some(other) = self.store.connections.get(&id) {
            let message = match other.gone {
                Some(_) => being_deleted(&id),
                None => {
                    format!("there is a connection {id:?} already; use it, or choose another id")
                }
            };
            return Err(Refusal::new(Rule::AlreadyExists, "$.id", message));
        }
        let connection = Connection {
            id: id.clone(),
            created: self.now,
            owner: self.caller.as_ref().map(|caller| caller.client_id.clone()),
            members,
            given: None,
            gone: None,
            schema: None,
            operations: Vec::new(),
            items: Default::default(),
            groups: Default::default(),
        };
        let answer = Answer::object(StatusCode::CREATED, |body| {
            body.text("@odata.context", &context(call, "external/connections/$entity"));
            write_connection(body, &connection, call.version, quota);
        });
        self.store.connections.insert(id, connection);
        Ok(answer)
    }

    pub(super) fn list_connections(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let quota = self.options.behaviour.item_quota;
        let all = self.store.connections.values();
        let seen = all.filter(|connection| self.reaches(connection));
        let page = self.page(call, None, seen.map(|it| (ById(it.id.clone()), it)))?;
        Ok(Answer::object(StatusCode::OK, |body| {
            body.text("@odata.context", &context(call, "external/connections"));
            page.write(body, |each, connection| {
                write_connection(each, connection, call.version, quota);
            });
        }))
    }

    pub(super) fn get_connection(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let quota = self.options.behaviour.item_quota;
        let connection = self.connection(call, Use::Read)?;
        Ok(Answer::object(StatusCode::OK, |body| {
            body.text("@odata.context", &context(call, "external/connections/$entity"));
            write_connection(body, connection, call.version, quota);
        }))
    }

    pub(super) fn update_connection(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        self.connection(call, Use::UpdateConnection)?;
        let mut reader = self.reader(call);
        let changes = reader.connection_update(call.body()?);
        self.accept(reader.findings)?;
        let connection = self.connection(call, Use::UpdateConnection)?;
        for (name, value) in changes {
            connection.members.retain(|(set, _)| *set != name);
            connection.members.extend(value.map(|value| (name, value)));
        }
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    }

    /// Until it is gone it is there as it was, for no document says otherwise; asked again, it is
    /// gone no later.
    pub(super) fn delete_connection(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let gone = self.since.saturating_add(self.options.behaviour.delete_delay);
        self.connection(call, Use::DeleteConnection)?.gone.get_or_insert(gone);
        self.store.advance(self.since);
        Ok(Answer::empty(StatusCode::ACCEPTED))
    }

    pub(super) fn get_quota(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let quota = self.options.behaviour.item_quota.unwrap_or(PLENTY);
        let connection = self.connection(call, Use::Read)?;
        let metadata = format!("external/connections('{}')/quota/$entity", connection.id);
        let remaining = quota.saturating_sub(connection.items.len());
        Ok(Answer::object(StatusCode::OK, |body| {
            body.text("@odata.context", &context(call, &metadata));
            body.raw("itemsRemaining", &remaining.to_string());
        }))
    }
}

/// Members of a connection that an answer always has, null if they are not set.
const ALWAYS: [&str; 4] = ["name", "description", "configuration", "connectorId"];
/// Members that only beta knows.
const OF_BETA: [&str; 2] = ["complianceSettings", "enabledContentExperiences"];

fn write_connection(
    body: &mut Object<'_>,
    connection: &Connection,
    version: Version,
    quota: Option<usize>,
) {
    let set = |name: &str| {
        let mut members = connection.members.iter();
        members.find_map(|(set, json)| (*set == name).then_some(json))
    };
    body.text("id", &connection.id);
    for name in ALWAYS {
        body.raw(name, set(name).map_or("null", |json| json));
    }
    let state = connection.state(quota);
    body.text("state", state.name());
    if version == Version::Beta {
        // The service counts each quarter of an hour, and this at once.
        match state {
            ConnectionState::Draft => body.raw("ingestedItemsCount", "null"),
            _ => body.raw("ingestedItemsCount", &connection.items.len().to_string()),
        }
    }
    for (name, json) in &connection.members {
        if !ALWAYS.contains(name) && (version == Version::Beta || !OF_BETA.contains(name)) {
            body.raw(name, json);
        }
    }
}
