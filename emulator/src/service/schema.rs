//! The schema of a connection, and the operations that register it.
//!
//! Sources: the pages patch-schema, schema-get and connectionoperation-get; best-practices for
//! enumeration members that came later.

use std::collections::{BTreeMap, BTreeSet};

use http::{StatusCode, header};

use super::{Run, context, states::Use};
use crate::{
    answer::Answer,
    check::shown,
    findings::{Refusal, by_switch},
    incoming::Call,
    model::{PropertyType, Schema, SchemaOperation},
    options::SchemaAnswer,
    read::is_before_the_sentinel,
    rules::Rule,
    target::Version,
    write::Object,
};

impl Run<'_> {
    pub(super) fn register_schema(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let behaviour = &self.options.behaviour;
        let mut reader = self.reader(call);
        let connection = self.connection(call, Use::RegisterSchema)?;
        let registered = connection.latest_schema();
        let mut schema = reader.schema(call.body()?, registered);
        name_aliases(&mut schema, registered);
        self.accept(reader.findings)?;
        let id = self.ids.operation();
        let location = format!(
            "{}/{}/external/connections/{}/operations/{id}",
            call.origin,
            call.version.name(),
            call.arg(0),
        );
        let due = self.since.saturating_add(behaviour.schema_delay);
        let connection = self.connection(call, Use::RegisterSchema)?;
        connection.operations.push(SchemaOperation { id, due, schema: Some(schema) });
        Ok(Answer::empty(StatusCode::ACCEPTED).with(header::LOCATION, location))
    }

    pub(super) fn get_schema(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let behaviour = &self.options.behaviour;
        let connection = self.connection(call, Use::Read)?;
        let schema = match behaviour.schema_visible_early {
            true => connection.latest_schema(),
            false => connection.schema.as_ref(),
        };
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
        let unknown_too = call.prefers("include-unknown-enum-members");
        let write = |body: &mut Object<'_>| write_schema(body, schema, call.version, unknown_too);
        Ok(Answer::object(StatusCode::OK, |body| {
            body.text("@odata.context", &context(call, &metadata));
            match behaviour.schema_answer {
                SchemaAnswer::Bare => write(body),
                SchemaAnswer::Wrapped => body.object("value", write),
            }
        }))
    }

    pub(super) fn get_operation(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let connection = self.connection(call, Use::Read)?;
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

/// Gives each property that is refinable an alias of its own, which is never taken away again
/// (manage-schema). How the service names it is known from examples only, `RefinableString00`.
fn name_aliases(schema: &mut Schema, registered: Option<&Schema>) {
    let old = |name: &str| registered?.find(name)?.own_alias.clone();
    for declaration in &mut schema.properties {
        declaration.own_alias = old(&declaration.name);
    }
    let own = schema.properties.iter().filter_map(|each| each.own_alias.as_deref());
    let sent = schema.properties.iter().flat_map(|each| each.aliases.iter().chain([&each.name]));
    let mut taken: BTreeSet<String> =
        own.chain(sent.map(String::as_str)).map(str::to_ascii_lowercase).collect();
    let mut next: BTreeMap<&str, usize> = BTreeMap::new();
    for declaration in &mut schema.properties {
        if declaration.own_alias.is_some() || !declaration.is("isRefinable") {
            continue;
        }
        let kind = match declaration.kind.element().unwrap_or(declaration.kind) {
            PropertyType::Int64 => "Int",
            PropertyType::Double => "Double",
            PropertyType::DateTime => "Date",
            _ => "String",
        };
        let number = next.entry(kind).or_default();
        declaration.own_alias = loop {
            let alias = format!("Refinable{kind}{number:02}");
            *number += 1;
            if taken.insert(alias.to_ascii_lowercase()) {
                break Some(alias);
            }
        };
    }
}

/// Members that only beta knows.
const OF_BETA: [&str; 2] = ["isExactMatchRequired", "rankingHint"];
/// What stands for an enumeration member that the client may not know.
const UNKNOWN: &str = "unknownFutureValue";

/// Members of enumerations that came after the sentinel are shown to those who asked for them.
fn write_schema(body: &mut Object<'_>, schema: &Schema, version: Version, unknown_too: bool) {
    const FLAGS: [&str; 4] = ["isSearchable", "isQueryable", "isRetrievable", "isRefinable"];
    body.text("baseType", "microsoft.graph.externalItem");
    body.objects("properties", &schema.properties, |each, declaration| {
        let principal =
            matches!(declaration.kind, PropertyType::Principal | PropertyType::PrincipalCollection);
        each.text("name", &declaration.name);
        each.text(
            "type",
            if principal && !unknown_too { UNKNOWN } else { declaration.kind.name() },
        );
        for flag in FLAGS {
            each.raw(flag, if declaration.is(flag) { "true" } else { "false" });
        }
        let sent = &declaration.aliases;
        let is_sent = |own: &&String| sent.iter().any(|alias| alias.eq_ignore_ascii_case(own));
        let own = declaration.own_alias.iter().filter(|own| !is_sent(own));
        each.texts("aliases", sent.iter().chain(own).map(String::as_str));
        let shown = |label| match unknown_too || is_before_the_sentinel(label) {
            true => label,
            false => UNKNOWN,
        };
        each.texts("labels", declaration.labels.iter().copied().map(shown));
        for (name, json) in &declaration.members {
            if !FLAGS.contains(name) && (version == Version::Beta || !OF_BETA.contains(name)) {
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
                labels: vec!["title"],
                aliases: Vec::new(),
                own_alias: None,
                members: vec![("isExactMatchRequired", "true".to_owned())],
            }],
        };
        let write = |version| write::object(|body| write_schema(body, &schema, version, true));
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
