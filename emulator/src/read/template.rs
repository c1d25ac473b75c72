//! Reads the templates of a connection, for search results (`searchSettings`) and for compliance
//! search (`complianceSettings`, of beta).
//!
//! Sources: resources searchSettings, displayTemplate and propertyRule; manage-connections for
//! compliance search.

use std::collections::HashSet;

use serde_json::Value;

use super::{Form, Member, Need, Reader, Shape, Words};
use crate::{check::shown, json::Json, path::Path, rules::Rule};

pub(super) const SEARCH_SETTINGS: Shape = Shape {
    name: "searchSettings",
    odata_type: "microsoft.graph.externalConnectors.searchSettings",
    members: &[Member("searchResultTemplates", Need::Optional, Form::Array)],
};

pub(super) const COMPLIANCE_SETTINGS: Shape = Shape {
    name: "complianceSettings",
    odata_type: "microsoft.graph.externalConnectors.complianceSettings",
    members: &[Member("eDiscoveryResultTemplates", Need::Beta, Form::Array)],
};

pub(super) const TEMPLATE: Shape = Shape {
    name: "a template",
    odata_type: "microsoft.graph.externalConnectors.displayTemplate",
    members: &[
        Member("id", Need::Required, Form::AnyText),
        Member("layout", Need::Required, Form::Any),
        Member("priority", Need::Required, Form::Int32),
        Member("rules", Need::Optional, Form::Array),
    ],
};

pub(super) const OPERATION: Words = Words {
    name: "ruleOperation",
    known: &[
        "null",
        "equals",
        "notEquals",
        "contains",
        "notContains",
        "lessThan",
        "greaterThan",
        "startsWith",
    ],
};

pub(super) const OPERATOR: Words = Words { name: "binaryOperator", known: &["or", "and"] };

pub(super) const RULE: Shape = Shape {
    name: "a rule",
    odata_type: "microsoft.graph.externalConnectors.propertyRule",
    members: &[
        Member("operation", Need::Required, Form::Word(&OPERATION)),
        Member("property", Need::Required, Form::Text),
        Member("values", Need::Required, Form::Array),
        Member("valuesJoinedBy", Need::Required, Form::Word(&OPERATOR)),
    ],
};

/// The most templates for search results.
const MOST: usize = 2;

impl Reader<'_> {
    /// Reads `searchSettings`.
    pub(super) fn search_settings(&mut self, json: Json<'_>, path: &Path<'_>) {
        let Some(found) = self.members(json, path, &SEARCH_SETTINGS) else {
            return;
        };
        let place = path.name("searchResultTemplates");
        let templates = found.get("searchResultTemplates").map(Json::elements).unwrap_or_default();
        if templates.len() > MOST {
            let message = format!("there are {}; a connection has at most {MOST}", templates.len());
            self.refuse(Rule::DisplayTemplate, place, message);
        }
        self.templates(templates, &place, |_, _, _| {});
    }

    /// Reads `complianceSettings`.
    pub(super) fn compliance_settings(&mut self, json: Json<'_>, path: &Path<'_>) {
        let Some(found) = self.members(json, path, &COMPLIANCE_SETTINGS) else {
            return;
        };
        let place = path.name("eDiscoveryResultTemplates");
        let templates = found.get("eDiscoveryResultTemplates");
        let templates = templates.map(Json::elements).unwrap_or_default();
        self.templates(templates, &place, Self::compliance_card);
    }

    fn templates(
        &mut self,
        templates: Vec<Json<'_>>,
        path: &Path<'_>,
        card: impl Fn(&mut Self, Json<'_>, &Path<'_>),
    ) {
        let mut ids = HashSet::new();
        for (index, template) in templates.into_iter().enumerate() {
            let path = path.index(index);
            let Some(found) = self.members(template, &path, &TEMPLATE) else {
                continue;
            };
            if let Some(id) = found.text("id") {
                let place = path.name("id");
                if !(1..=16).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
                    let message = format!(
                        "{} is no id of a template; one is 1 to 16 ASCII letters and digits",
                        shown(&id)
                    );
                    self.refuse(Rule::DisplayTemplate, place, message);
                } else if !ids.insert(id) {
                    let message = "another template has this id; choose another one";
                    self.refuse(Rule::DisplayTemplate, place, message);
                }
            }
            let priority = found.get("priority").and_then(|it| it.raw().parse::<i32>().ok());
            if priority.is_some_and(|priority| priority < 1) {
                let message = "the priority is a whole number above 0";
                self.refuse(Rule::DisplayTemplate, path.name("priority"), message);
            }
            if let Some(layout) = found.get("layout") {
                let place = path.name("layout");
                let kind = layout.member("type");
                if kind.and_then(Json::text).as_deref() == Some("AdaptiveCard") {
                    card(self, layout, &place);
                } else {
                    let message =
                        "the layout is an Adaptive Card, an object with \"type\": \"AdaptiveCard\"";
                    self.refuse(Rule::DisplayTemplate, place, message);
                }
            }
            let place = path.name("rules");
            let rules = found.get("rules").map(Json::elements).unwrap_or_default();
            for (index, rule) in rules.into_iter().enumerate() {
                let place = place.index(index);
                if let Some(rule) = self.members(rule, &place, &RULE) {
                    self.texts(rule.get("values"), &place.name("values"), |_, _, _| {});
                }
            }
        }
    }

    fn compliance_card(&mut self, card: Json<'_>, path: &Path<'_>) {
        let version = card.member("version").and_then(Json::text).unwrap_or_default();
        if !is_old_enough(&version) {
            let message = format!(
                "compliance search takes Adaptive Cards of version 1.2 or less, not {}",
                shown(&version)
            );
            self.refuse(Rule::ComplianceTemplate, path.name("version"), message);
        }
        if serde_json::from_str(card.raw()).is_ok_and(|card: Value| has_expression(&card)) {
            let message = "compliance search takes no ${...}; write {name} for a property";
            self.refuse(Rule::ComplianceTemplate, path, message);
        }
    }
}

fn is_old_enough(version: &str) -> bool {
    let Some((major, minor)) = version.split_once('.') else {
        return false;
    };
    let number = |text: &str| text.parse::<u32>().ok();
    matches!((number(major), number(minor)), (Some(0), Some(_)) | (Some(1), Some(0..=2)))
}

/// Whether a text in it has `${`. It is as deep as a body may be, and no deeper.
fn has_expression(json: &Value) -> bool {
    match json {
        Value::String(text) => text.contains("${"),
        Value::Array(elements) => elements.iter().any(has_expression),
        Value::Object(members) => members.values().any(has_expression),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_old_enough;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, old) in [
            ("1.0", true),
            ("1.2", true),
            ("0.5", true),
            ("1.3", false),
            ("1.10", false),
            ("2.0", false),
            ("1", false),
            ("", false),
            ("1.x", false),
        ] {
            assert_eq!(is_old_enough(version), old, "{version}");
        }
    }
}
