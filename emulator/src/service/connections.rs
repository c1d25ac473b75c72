//! Connections, their schema, and the operations that register it.
//!
//! Sources: manage-connections (what each state allows); the pages post-connections, connection get, list and delete,
//! patch-schema, schema-get, connectionoperation-get.

use http::{StatusCode, header};

use super::{Run, context, pages::ById};
use crate::{
    answer::Answer,
    check::shown,
    findings::{Refusal, by_switch},
    incoming::{Call, Version},
    model::{Connection, Schema, SchemaOperation},
    options::SchemaAnswer,
    read::Reader,
    rules::Rule,
    write::Object,
};

impl Run<'_> {
    pub(super) fn create_connection(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let body = call.body()?;
        let mut reader = Reader::new(call.version, &self.options.behaviour);
        let (id, members) = reader.connection(body);
        self.accept(reader.findings)?;
        if self.store.connections.contains_key(&id) {
            return Err(Refusal::new(
                Rule::AlreadyExists,
                "$.id",
                format!("there is a connection {id:?} already; use it, or choose another id"),
            ));
        }
        let connection = Connection {
            id: id.clone(),
            created: self.since,
            owner: self.caller.as_ref().map(|caller| caller.client_id.clone()),
            members,
            schema: None,
            operations: Vec::new(),
            items: Default::default(),
            groups: Default::default(),
        };
        let answer = Answer::object(StatusCode::CREATED, |body| {
            body.text("@odata.context", &context(call, "external/connections/$entity"));
            write_connection(body, &connection, call.version);
        });
        self.store.connections.insert(id, connection);
        Ok(answer)
    }

    pub(super) fn list_connections(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let all = self.store.connections.values();
        let seen = all.filter(|connection| self.reaches(connection));
        let page = self.page(call, None, seen.map(|it| (ById(it.id.clone()), it)))?;
        Ok(Answer::object(StatusCode::OK, |body| {
            body.text("@odata.context", &context(call, "external/connections"));
            page.write(body, |each, connection| write_connection(each, connection, call.version));
        }))
    }

    pub(super) fn get_connection(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let connection = self.connection(call)?;
        Ok(Answer::object(StatusCode::OK, |body| {
            body.text("@odata.context", &context(call, "external/connections/$entity"));
            write_connection(body, connection, call.version);
        }))
    }

    pub(super) fn delete_connection(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        self.connection(call)?;
        self.store.connections.remove(call.arg(0));
        Ok(Answer::empty(StatusCode::ACCEPTED))
    }

    pub(super) fn register_schema(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        self.connection(call)?;
        let body = call.body()?;
        let mut reader = Reader::new(call.version, &self.options.behaviour);
        let schema = reader.schema(body);
        self.accept(reader.findings)?;
        let id = self.ids.operation();
        let location = format!(
            "{}/{}/external/connections/{}/operations/{id}",
            call.origin,
            call.version.name(),
            call.arg(0),
        );
        let due = self.since.saturating_add(self.options.behaviour.schema_delay);
        let connection = self.connection(call)?;
        connection.operations.push(SchemaOperation { id, due, schema: Some(schema) });
        Ok(Answer::empty(StatusCode::ACCEPTED).with(header::LOCATION, location))
    }

    pub(super) fn get_schema(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let behaviour = &self.options.behaviour;
        let connection = self.connection(call)?;
        let mut schema = connection.schema.as_ref();
        if behaviour.schema_visible_early {
            let latest = connection.operations.iter().rev();
            schema = latest.filter_map(|operation| operation.schema.as_ref()).next().or(schema);
        }
        let Some(schema) = schema else {
            let id = &connection.id;
            let message = match connection.is_registering() {
                true => by_switch(
                    format_args!("the schema of connection {id:?} is still being registered"),
                    "schema-visible-early",
                ),
                false => format!("connection {id:?} has no schema; register one"),
            };
            return Err(Refusal::new(Rule::NotFound, "path", message));
        };
        let metadata = format!("external/connections('{}')/schema/$entity", connection.id);
        Ok(Answer::object(StatusCode::OK, |body| {
            body.text("@odata.context", &context(call, &metadata));
            match behaviour.schema_answer {
                SchemaAnswer::Bare => write_schema(body, schema, call.version),
                SchemaAnswer::Wrapped => {
                    body.object("value", |body| write_schema(body, schema, call.version));
                }
            }
        }))
    }

    pub(super) fn get_operation(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let connection = self.connection(call)?;
        let id = call.arg(1);
        let mut operations = connection.operations.iter();
        let Some(operation) = operations.find(|operation| operation.id == id) else {
            return Err(Refusal::new(
                Rule::NotFound,
                "operation id",
                format!(
                    "there is no operation {}; take the Location of the answer as it is",
                    shown(id)
                ),
            ));
        };
        let metadata = format!("external/connections('{}')/operations/$entity", connection.id);
        Ok(Answer::object(StatusCode::OK, |body| {
            body.text("@odata.context", &context(call, &metadata));
            body.text("id", &operation.id);
            body.text(
                "status",
                match operation.schema {
                    Some(_) => "inprogress",
                    None => "completed",
                },
            );
            body.raw("error", "null");
        }))
    }
}

/// Members of a connection that an answer always has, null if they are not set.
const ALWAYS: [&str; 4] = ["name", "description", "configuration", "connectorId"];
/// Members that only beta knows.
const OF_BETA: [&str; 4] =
    ["complianceSettings", "enabledContentExperiences", "isExactMatchRequired", "rankingHint"];

fn write_connection(body: &mut Object<'_>, connection: &Connection, version: Version) {
    let set = |name: &str| {
        let mut members = connection.members.iter();
        members.find_map(|(set, json)| (*set == name).then_some(json))
    };
    body.text("id", &connection.id);
    for name in ALWAYS {
        body.raw(name, set(name).map_or("null", |json| json));
    }
    body.text("state", connection.state().name());
    for (name, json) in &connection.members {
        if !ALWAYS.contains(name) && (version == Version::Beta || !OF_BETA.contains(name)) {
            body.raw(name, json);
        }
    }
}

fn write_schema(body: &mut Object<'_>, schema: &Schema, version: Version) {
    const FLAGS: [&str; 4] = ["isSearchable", "isQueryable", "isRetrievable", "isRefinable"];
    const LISTS: [&str; 2] = ["aliases", "labels"];
    body.text("baseType", "microsoft.graph.externalItem");
    body.objects("properties", &schema.properties, |each, declaration| {
        let set = |name: &str| {
            let mut members = declaration.members.iter();
            members.find_map(|(set, json)| (*set == name).then_some(&**json))
        };
        each.text("name", &declaration.name);
        each.text("type", declaration.kind.name());
        for (names, default) in [(&FLAGS[..], "false"), (&LISTS[..], "[]")] {
            for name in names {
                each.raw(name, set(name).unwrap_or(default));
            }
        }
        for (name, json) in &declaration.members {
            let listed = FLAGS.contains(name) || LISTS.contains(name);
            if !listed && (version == Version::Beta || !OF_BETA.contains(name)) {
                each.raw(name, json);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Declaration, PropertyType},
        write,
    };

    #[test]
    fn what_only_beta_knows_is_not_shown_in_v1() {
        let schema = Schema {
            properties: vec![Declaration {
                name: "title".to_owned(),
                kind: PropertyType::String,
                members: vec![
                    ("isExactMatchRequired", "true".to_owned()),
                    ("labels", "[\"title\"]".to_owned()),
                ],
            }],
        };
        let write = |version| write::object(|body| write_schema(body, &schema, version));
        assert_eq!(
            write(Version::V1),
            concat!(
                r#"{"baseType":"microsoft.graph.externalItem","properties":[{"name":"title","#,
                r#""type":"string","isSearchable":false,"isQueryable":false,"#,
                r#""isRetrievable":false,"isRefinable":false,"aliases":[],"labels":["title"]}]}"#,
            )
        );
        assert!(write(Version::Beta).contains(r#""isExactMatchRequired":true"#));
    }
}
