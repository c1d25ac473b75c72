//! How results look: the templates of a connection, and those for compliance search
//! ([searchSettings](https://learn.microsoft.com/graph/api/resources/externalconnectors-searchsettings)).

use serde::Deserialize;
use serde_json::Value;

use crate::types::{FaultList, RawJson, Rule, open_enum, quote, resource};

open_enum! {
    /// How a rule compares the property with its values.
    pub enum RuleOperation {
        /// There is no value.
        Null = "null",
        /// Equal to it.
        Equals = "equals",
        /// Not equal to it.
        NotEquals = "notEquals",
        /// Contains it.
        Contains = "contains",
        /// Does not contain it.
        NotContains = "notContains",
        /// Less than it.
        LessThan = "lessThan",
        /// Greater than it.
        GreaterThan = "greaterThan",
        /// Starts with it.
        StartsWith = "startsWith",
    }
}

open_enum! {
    /// Whether one value is enough or all are needed.
    pub enum BinaryOperator {
        /// One is enough.
        Or = "or",
        /// All are needed.
        And = "and",
    }
}

resource! {
    /// How results look
    /// ([searchSettings](https://learn.microsoft.com/graph/api/resources/externalconnectors-searchsettings)):
    /// at most two templates.
    ///
    /// ```
    /// use graphfeed_core::external::{
    ///     BinaryOperator, DisplayTemplate, ExternalConnection, PropertyRule, RuleOperation, SearchSettings,
    /// };
    /// use graphfeed_core::types::{ConnectionId, RawJson};
    ///
    /// let card = RawJson::parse(r#"{"type":"AdaptiveCard","version":"1.3","body":[
    ///     {"type":"TextBlock","text":"${title}"}]}"#)?;
    /// let urgent = PropertyRule::new("priority", RuleOperation::Equals, ["1"], BinaryOperator::Or);
    /// let mut template = DisplayTemplate::new("urgent", 1, card);
    /// template.rules = Some(vec![urgent]);
    /// let helpdesk = ExternalConnection::builder(ConnectionId::new("contosohelp")?, "Contoso help")
    ///     .search_settings(SearchSettings::new([template]))
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub struct SearchSettings {
        optional {
            /// The templates, at most two.
            search_result_templates: Vec<DisplayTemplate> = "searchResultTemplates",
        }
    }
}

resource! {
    /// How results look in compliance search. Beta only, which Microsoft does not support in
    /// production.
    pub struct ComplianceSettings {
        optional {
            /// The templates: Adaptive Cards of version 1.2 at most, without Markdown, in which
            /// `{name}` stands for a property that has one value.
            e_discovery_result_templates: Vec<DisplayTemplate> = "eDiscoveryResultTemplates",
        }
    }
}

resource! {
    /// How a result looks, and when
    /// ([displayTemplate](https://learn.microsoft.com/graph/api/resources/externalconnectors-displaytemplate)).
    pub struct DisplayTemplate {
        optional {
            /// Its id, 1 to 16 letters and digits.
            id: String = "id",
            /// Its rank, above 0: the lowest number is tried first.
            priority: i32 = "priority",
            /// An Adaptive Card, byte for byte.
            layout: RawJson = "layout",
            /// When it is used; without rules, always.
            rules: Vec<PropertyRule> = "rules",
        }
    }
}

resource! {
    /// A condition on a property
    /// ([propertyRule](https://learn.microsoft.com/graph/api/resources/externalconnectors-propertyrule)).
    pub struct PropertyRule {
        optional {
            /// How the property is compared.
            operation: RuleOperation = "operation",
            /// The name of the property.
            property: String = "property",
            /// What it is compared with.
            values: Vec<String> = "values",
            /// Whether one value is enough.
            values_joined_by: BinaryOperator = "valuesJoinedBy",
        }
    }
}

impl SearchSettings {
    /// With these templates.
    pub fn new(templates: impl IntoIterator<Item = DisplayTemplate>) -> Self {
        Self { search_result_templates: Some(templates.into_iter().collect()), ..Self::default() }
    }

    pub(super) fn check(&self, place: &str, faults: &mut FaultList) {
        const MOST: usize = 2;
        let place = format!("{place}.searchResultTemplates");
        let templates = self.search_result_templates.as_deref().unwrap_or_default();
        if templates.len() > MOST {
            let detail =
                format!("has {} templates; two are the most, leave out others", templates.len());
            faults.push(Rule::DisplayTemplate, place.clone(), detail);
        }
        check_templates(templates, &place, faults);
    }
}

impl ComplianceSettings {
    /// With these templates.
    pub fn new(templates: impl IntoIterator<Item = DisplayTemplate>) -> Self {
        Self {
            e_discovery_result_templates: Some(templates.into_iter().collect()),
            ..Self::default()
        }
    }

    pub(super) fn check(&self, place: &str, faults: &mut FaultList) {
        let place = format!("{place}.eDiscoveryResultTemplates");
        let templates = self.e_discovery_result_templates.as_deref().unwrap_or_default();
        check_templates(templates, &place, faults);
        for (index, template) in templates.iter().enumerate() {
            // What is no card is refused as that.
            if let Some(layout) = template.layout.as_ref().filter(|it| is_adaptive_card(it)) {
                check_for_compliance(layout, &format!("{place}[{index}].layout"), faults);
            }
        }
    }
}

impl DisplayTemplate {
    /// A template that is always used; set its rules for something else.
    pub fn new(id: impl Into<String>, priority: i32, layout: RawJson) -> Self {
        Self {
            id: Some(id.into()),
            priority: Some(priority),
            layout: Some(layout),
            ..Self::default()
        }
    }

    fn check(&self, place: &str, faults: &mut FaultList) {
        for (member, is_there) in [
            ("id", self.id.is_some()),
            ("priority", self.priority.is_some()),
            ("layout", self.layout.is_some()),
        ] {
            if !is_there {
                faults.missing(format!("{place}.{member}"));
            }
        }
        let mut refuse = |member: &str, why: String| {
            faults.push(Rule::DisplayTemplate, format!("{place}.{member}"), why);
        };
        if let Some(id) = self.id.as_deref().filter(|id| !is_template_id(id)) {
            refuse("id", format!("{} is not 1 to 16 ASCII letters and digits", quote(id)));
        }
        if let Some(priority) = self.priority.filter(|priority| *priority < 1) {
            refuse("priority", format!("{priority} is not above 0; begin with 1"));
        }
        if self.layout.as_ref().is_some_and(|layout| !is_adaptive_card(layout)) {
            let why = r#"is no Adaptive Card, an object with "type":"AdaptiveCard""#;
            refuse("layout", why.to_owned());
        }
        for (index, rule) in self.rules.iter().flatten().enumerate() {
            rule.check(&format!("{place}.rules[{index}]"), faults);
        }
    }
}

impl PropertyRule {
    /// The property is compared with these values.
    pub fn new<V: Into<String>>(
        property: impl Into<String>,
        operation: RuleOperation,
        values: impl IntoIterator<Item = V>,
        values_joined_by: BinaryOperator,
    ) -> Self {
        Self {
            operation: Some(operation),
            property: Some(property.into()),
            values: Some(values.into_iter().map(Into::into).collect()),
            values_joined_by: Some(values_joined_by),
            ..Self::default()
        }
    }

    fn check(&self, place: &str, faults: &mut FaultList) {
        if self.property.as_deref().is_none_or(str::is_empty) {
            faults.missing(format!("{place}.property"));
        }
        if self.values.is_none() {
            faults.missing(format!("{place}.values"));
        }
        for (member, word) in [
            ("operation", self.operation.as_ref().map(RuleOperation::as_str)),
            ("valuesJoinedBy", self.values_joined_by.as_ref().map(BinaryOperator::as_str)),
        ] {
            faults.check_word(format!("{place}.{member}"), word.unwrap_or_default());
        }
    }
}

fn is_template_id(id: &str) -> bool {
    (1..=16).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn check_templates(templates: &[DisplayTemplate], place: &str, faults: &mut FaultList) {
    for (index, template) in templates.iter().enumerate() {
        template.check(&format!("{place}[{index}]"), faults);
        let is_known = templates[..index].iter().any(|before| before.id == template.id);
        if is_known && template.id.as_deref().is_some_and(is_template_id) {
            let detail = "another template has this id; choose another";
            faults.push(Rule::DisplayTemplate, format!("{place}[{index}].id"), detail);
        }
    }
}

/// What is looked at in an Adaptive Card.
#[derive(Deserialize)]
struct Card {
    #[serde(rename = "type")]
    kind: String,
}

fn is_adaptive_card(layout: &RawJson) -> bool {
    layout.read().is_ok_and(|card: Card| card.kind == "AdaptiveCard")
}

/// What compliance search cannot show. That the text has no Markdown is left to the caller.
fn check_for_compliance(layout: &RawJson, place: &str, faults: &mut FaultList) {
    let mut refuse = |place: &str, why: String| {
        faults.push(Rule::ComplianceTemplate, place.to_owned(), why);
    };
    let card: Value = match layout.read() {
        Ok(card) => card,
        Err(why) => return refuse(place, why.to_string()),
    };
    if has_template(&card) {
        refuse(place, "has ${...}; write {name} for a property".to_owned());
    }
    let number = |part: &str| part.parse::<u32>().ok();
    let version = card["version"].as_str().and_then(|version| version.split_once('.'));
    let version = version.and_then(|(major, minor)| number(major).zip(number(minor)));
    match version {
        Some(version) if version <= (1, 2) => {}
        _ => {
            let found = quote(&card["version"].to_string());
            let why = format!("says version {found}; write one as a text, \"1.2\" at most");
            refuse(&format!("{place}.version"), why);
        }
    }
}

fn has_template(json: &Value) -> bool {
    match json {
        Value::String(text) => text.contains("${"),
        Value::Array(values) => values.iter().any(has_template),
        Value::Object(members) => members.values().any(has_template),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(version: &str, text: &str) -> RawJson {
        RawJson::parse(&format!(
            r#"{{"type":"AdaptiveCard","version":{version},"body":[{{"text":"{text}"}}]}}"#
        ))
        .unwrap()
    }

    fn told(check: impl FnOnce(&mut FaultList)) -> Vec<String> {
        let mut faults = FaultList::default();
        check(&mut faults);
        faults.finish().map_or_else(
            |error| error.faults().iter().map(ToString::to_string).collect(),
            |()| Vec::new(),
        )
    }

    #[test]
    fn every_fault_of_a_template_is_told_with_its_place() {
        let good = || DisplayTemplate::new("urgent", 1, card("\"1.5\"", "${title}"));
        let mut odd = DisplayTemplate::new("not-an-id", 0, RawJson::parse("[]").unwrap());
        odd.rules = Some(vec![
            PropertyRule::default(),
            PropertyRule::new(
                "a",
                RuleOperation::from("unknownFutureValue"),
                ["x"],
                BinaryOperator::And,
            ),
        ]);
        let settings = SearchSettings::new([good(), odd, good()]);
        let place = "$.searchSettings.searchResultTemplates";
        assert_eq!(
            told(|faults| settings.check("$.searchSettings", faults)),
            [
                format!(
                    "{place}: has 3 templates; two are the most, leave out others [display-template]"
                ),
                format!(
                    "{place}[1].id: \"not-an-id\" is not 1 to 16 ASCII letters and digits [display-template]"
                ),
                format!("{place}[1].priority: 0 is not above 0; begin with 1 [display-template]"),
                format!(
                    "{place}[1].layout: is no Adaptive Card, an object with \"type\":\"AdaptiveCard\" [display-template]"
                ),
                format!(
                    "{place}[1].rules[0].property: is missing or empty; give it a value [member-required]"
                ),
                format!(
                    "{place}[1].rules[0].values: is missing or empty; give it a value [member-required]"
                ),
                format!(
                    "{place}[1].rules[0].operation: is missing or empty; give it a value [member-required]"
                ),
                format!(
                    "{place}[1].rules[0].valuesJoinedBy: is missing or empty; give it a value [member-required]"
                ),
                format!(
                    "{place}[1].rules[1].operation: unknownFutureValue is only ever read; name the real member [unknown-future-value]"
                ),
                format!(
                    "{place}[2].id: another template has this id; choose another [display-template]"
                ),
            ]
        );
        let fine = SearchSettings::new([good()]);
        assert_eq!(told(|faults| fine.check("$.searchSettings", faults)), [""; 0]);
    }

    #[test]
    fn a_card_for_compliance_is_of_the_old_kind() {
        let place = "$.complianceSettings.eDiscoveryResultTemplates[0].layout";
        let told_of =
            |version: &str| format!("says version {version}; write one as a text, \"1.2\" at most");
        let braces = || Some("has ${...}; write {name} for a property".to_owned());
        for (version, text, why) in [
            ("\"1.2\"", "{title}", None),
            ("\"1.0\"", "x", None),
            ("\"1.3\"", "x", Some(told_of(r#""\"1.3\"""#))),
            ("\"2.0\"", "x", Some(told_of(r#""\"2.0\"""#))),
            ("\"1.2.3\"", "x", Some(told_of(r#""\"1.2.3\"""#))),
            ("1.2", "x", Some(told_of(r#""1.2""#))),
            ("null", "x", Some(told_of(r#""null""#))),
            ("\"1.2\"", "${title}", braces()),
            ("\"1.2\"", r"\u0024{title}", braces()),
        ] {
            let template = DisplayTemplate::new("a", 1, card(version, text));
            let settings = ComplianceSettings::new([template]);
            let expected: Vec<_> = why
                .map(|why| {
                    let member = if why.starts_with("says") { ".version" } else { "" };
                    format!("{place}{member}: {why} [compliance-template]")
                })
                .into_iter()
                .collect();
            assert_eq!(told(|faults| settings.check("$.complianceSettings", faults)), expected);
        }
    }
}
