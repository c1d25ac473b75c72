//! Reads connections and schemas.
//!
//! Sources: resources externalConnection, schema and property. The
//! settings inside a connection are kept as they are.

use std::collections::{HashMap, hash_map::Entry};

use super::{Form, Member, Need, Reader, Shape, Words};
use crate::{
    check::{self, shown},
    findings::by_switch,
    json::{Json, Kind},
    model::{Declaration, PropertyType, Schema},
    path::Path,
    rules::Rule,
};

const CONTENT_CATEGORY: Words = Words {
    name: "contentCategory",
    known: &[
        "uncategorized",
        "knowledgeBase",
        "wikis",
        "fileRepository",
        "qna",
        "crm",
        "dashboard",
        "people",
        "media",
        "email",
        "messaging",
        "meetingTranscripts",
        "taskManagement",
        "learningManagement",
    ],
};

const CONNECTION: Shape = Shape {
    name: "a connection",
    odata_type: "microsoft.graph.externalConnectors.externalConnection",
    members: &[
        Member("id", Need::Required, Form::AnyText),
        Member("name", Need::Required, Form::AnyText),
        Member("description", Need::Optional, Form::Text),
        Member("state", Need::Server, Form::Text),
        Member("configuration", Need::Optional, Form::Object),
        Member("activitySettings", Need::Optional, Form::Object),
        Member("searchSettings", Need::Optional, Form::Object),
        Member("contentCategory", Need::Optional, Form::Word(&CONTENT_CATEGORY)),
        Member("connectorId", Need::Optional, Form::Text),
        Member("complianceSettings", Need::Beta, Form::Object),
        Member("enabledContentExperiences", Need::Beta, Form::Text),
        Member("ingestedItemsCount", Need::Server, Form::Any),
        Member("quota", Need::Server, Form::Any),
    ],
};

const SCHEMA: Shape = Shape {
    name: "a schema",
    odata_type: "microsoft.graph.externalConnectors.schema",
    members: &[
        Member("id", Need::Server, Form::Text),
        Member("baseType", Need::Required, Form::Text),
        Member("properties", Need::Required, Form::Array),
    ],
};

const PROPERTY_TYPE: Words = Words {
    name: "propertyType",
    known: &[
        "string",
        "int64",
        "double",
        "dateTime",
        "boolean",
        "stringCollection",
        "int64Collection",
        "doubleCollection",
        "dateTimeCollection",
        "principal",
        "principalCollection",
    ],
};

const LABEL: Words = Words {
    name: "label",
    known: &[
        "title",
        "url",
        "createdBy",
        "lastModifiedBy",
        "authors",
        "createdDateTime",
        "lastModifiedDateTime",
        "fileName",
        "fileExtension",
        "containerName",
        "containerUrl",
        "iconUrl",
        "assignedToPeople",
        "closedBy",
        "closedDate",
        "priority",
        "sprintName",
        "tags",
        "severity",
        "state",
        "dueDate",
        "itemParentId",
        "itemPath",
        "itemType",
        "numberOfReactions",
        "parentUrl",
        "priorityNormalized",
        "reportedBy",
        "secondaryId",
        "personEmails",
        "personAddresses",
        "personAnniversaries",
        "personName",
        "personNote",
        "personPhones",
        "personCurrentPosition",
        "personWebAccounts",
        "personWebSite",
        "personSkills",
        "personProjects",
        "personAccount",
        "personAwards",
        "personCertifications",
        "personAssistants",
        "personColleagues",
        "personManager",
        "personAlternateContacts",
        "personEmergencyContacts",
        "personEducationalActivities",
        "personInterests",
        "personLanguages",
        "personPublications",
        "personPatents",
        "personWorkPositions",
    ],
};

const DECLARATION: Shape = Shape {
    name: "a property of a schema",
    odata_type: "microsoft.graph.externalConnectors.property",
    members: &[
        Member("name", Need::Required, Form::AnyText),
        Member("type", Need::Required, Form::Word(&PROPERTY_TYPE)),
        Member("description", Need::Optional, Form::Text),
        Member("isSearchable", Need::Optional, Form::Boolean),
        Member("isQueryable", Need::Optional, Form::Boolean),
        Member("isRetrievable", Need::Optional, Form::Boolean),
        Member("isRefinable", Need::Optional, Form::Boolean),
        Member("isExactMatchRequired", Need::Beta, Form::Boolean),
        Member("rankingHint", Need::Beta, Form::Object),
        Member("aliases", Need::Optional, Form::Array),
        Member("labels", Need::Optional, Form::Array),
    ],
};

impl Reader<'_> {
    /// Reads a connection: its id, and its other members as they were sent.
    pub(crate) fn connection(&mut self, json: Json<'_>) -> (String, Vec<(&'static str, String)>) {
        let Some(found) = self.members(json, &Path::ROOT, &CONNECTION) else {
            return Default::default();
        };
        let id = found.text("id");
        if let Some(id) = &id {
            check::connection_id(id, Path::ROOT.name("id"), &mut self.findings);
        }
        if let Some(name) = found.text("name") {
            let length = name.chars().count();
            if !(1..=128).contains(&length) {
                let message = format!("the name has {length} characters; it has 1 to 128");
                self.refuse(Rule::ConnectionName, Path::ROOT.name("name"), message);
            }
        }
        (id.unwrap_or_default(), found.raw_except(&["id"]))
    }

    /// Reads a schema.
    pub(crate) fn schema(&mut self, json: Json<'_>) -> Schema {
        let mut schema = Schema { properties: Vec::new() };
        let Some(found) = self.members(json, &Path::ROOT, &SCHEMA) else {
            return schema;
        };
        if let Some(base) = found.text("baseType")
            && base != "microsoft.graph.externalItem"
        {
            let message =
                format!("the base type is microsoft.graph.externalItem, not {}", shown(&base));
            self.refuse(Rule::SchemaBaseType, Path::ROOT.name("baseType"), message);
        }
        let Some(properties) = found.get("properties") else {
            return schema;
        };
        let place = Path::ROOT.name("properties");
        let (properties, most) = (properties.elements(), self.behaviour.schema_properties);
        if properties.is_empty() || properties.len() > most {
            let message = match properties.len() {
                0 => format!("there are none; send 1 to {most}"),
                more => by_switch(
                    format_args!("there are {more}; a schema has 1 to {most}"),
                    "schema-properties",
                ),
            };
            self.refuse(Rule::SchemaSize, place, message);
        }
        let mut names: HashMap<String, String> = HashMap::new();
        for (index, property) in properties.into_iter().enumerate() {
            let place = place.index(index);
            if let Some(declaration) = self.declaration(property, &place) {
                match names.entry(declaration.name.to_ascii_lowercase()) {
                    Entry::Vacant(free) => drop(free.insert(declaration.name.clone())),
                    Entry::Occupied(other) => {
                        let message = format!(
                            "the schema has {} already; letter case makes no other name",
                            shown(other.get())
                        );
                        self.refuse(Rule::PropertyTwice, place.name("name"), message);
                    }
                }
                schema.properties.push(declaration);
            }
        }
        schema
    }

    fn declaration(&mut self, json: Json<'_>, path: &Path<'_>) -> Option<Declaration> {
        let found = self.members(json, path, &DECLARATION)?;
        let name = found.text("name");
        if let Some(name) = &name {
            self.property_name(name, &path.name("name"));
        }
        self.texts(found.get("aliases"), &path.name("aliases"), |reader, text, place| {
            reader.property_name(text, place);
        });
        self.texts(found.get("labels"), &path.name("labels"), |reader, text, place| {
            reader.word(text, place, &LABEL);
        });
        let kind = found.word("type", &PROPERTY_TYPE);
        Some(Declaration {
            name: name?,
            kind: PropertyType::of_name(kind?)?,
            members: found.raw_except(&["name", "type"]),
        })
    }

    fn property_name(&mut self, name: &str, place: &Path<'_>) {
        let good =
            (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
        if !good {
            let message =
                format!("{} is no name; one is 1 to 32 ASCII letters and digits", shown(name));
            self.refuse(Rule::PropertyName, place, message);
        }
    }

    /// Checks each string of an array.
    fn texts(
        &mut self,
        array: Option<Json<'_>>,
        path: &Path<'_>,
        check: impl Fn(&mut Self, &str, &Path<'_>),
    ) {
        for (index, element) in
            array.map(Json::elements).unwrap_or_default().into_iter().enumerate()
        {
            let place = path.index(index);
            match element.text() {
                Some(text) if element.kind() == Kind::Text => check(self, &text, &place),
                _ => {
                    let message = format!("it is {}, and a string is needed", element.kind());
                    self.refuse(Rule::MemberType, place, message);
                }
            }
        }
    }
}
