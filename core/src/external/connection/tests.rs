//! Connections and updates of them: what is refused, and what is sent.

use serde_json::{Value, json};

use super::*;
use crate::{
    external::{ContentExperienceType, DisplayTemplate, ItemIdResolver},
    protocol::{Cloud, Version},
    types::RawJson,
};

fn id() -> ConnectionId {
    ConnectionId::new("contosohr").unwrap()
}

fn faults(error: &BuildError) -> Vec<(Rule, &str)> {
    error.faults().iter().map(|fault| (fault.rule, &*fault.place)).collect()
}

#[test]
fn all_faults_of_a_connection_are_told_at_once() {
    let card = RawJson::parse(r#"{"type":"AdaptiveCard","version":"1.5"}"#).unwrap();
    let template = || DisplayTemplate::new("a", 0, card.clone());
    let refused = ExternalConnection::builder(id(), "")
        .activity_settings(ActivitySettings::new([ItemIdResolver::new(1, "{a}", ["x"], "/")]))
        .search_settings(SearchSettings::new([template()]))
        .compliance_settings(ComplianceSettings::new([template()]))
        .content_category(ContentCategory::from("unknownFutureValue"))
        .build()
        .unwrap_err();
    let resolver = "$.activitySettings.urlToItemResolvers[0]";
    assert_eq!(
        faults(&refused),
        [
            (Rule::ConnectionName, "$.name"),
            (Rule::UrlResolver, &*format!("{resolver}.urlMatchInfo.baseUrls[0]")),
            (Rule::UrlResolver, &*format!("{resolver}.itemId")),
            (Rule::DisplayTemplate, "$.searchSettings.searchResultTemplates[0].priority"),
            (Rule::DisplayTemplate, "$.complianceSettings.eDiscoveryResultTemplates[0].priority"),
            (
                Rule::ComplianceTemplate,
                "$.complianceSettings.eDiscoveryResultTemplates[0].layout.version"
            ),
            (Rule::UnknownFutureValue, "$.contentCategory"),
        ]
    );
    let long = ExternalConnection::new(id(), "ä".repeat(129)).unwrap_err();
    assert!(long.breaks(Rule::ConnectionName));
    assert!(ExternalConnection::new(id(), "ä".repeat(128)).is_ok());
}

#[test]
fn an_update_leaves_clears_and_sets() {
    let update = ConnectionUpdate::builder()
        .name("Contoso")
        .description(Change::Null)
        .content_category(ContentCategory::Crm)
        .search_settings(Change::Leave)
        .build()
        .unwrap();
    assert_eq!((update.name(), update.description()), (Some("Contoso"), &Change::Null));
    let request = UpdateConnection::new(&id(), &update).request(&ServiceRoot::v1()).unwrap();
    assert_eq!(request.method(), "PATCH");
    assert_eq!(request.body(), r#"{"name":"Contoso","description":null,"contentCategory":"crm"}"#);
    let refused = ConnectionUpdate::builder().description(Change::Leave).build().unwrap_err();
    assert_eq!(faults(&refused), [(Rule::UpdateEmpty, "$")]);
    let refused = ConnectionUpdate::builder().name("").build().unwrap_err();
    assert_eq!(faults(&refused), [(Rule::ConnectionName, "$.name")]);
}

#[test]
fn what_a_version_or_cloud_lacks_is_refused_before_sending() {
    let both = [ContentExperienceType::Search, ContentExperienceType::Compliance];
    let experiences = ContentExperiences::new(both);
    let connection = ExternalConnection::builder(id(), "HR")
        .content_category(ContentCategory::People)
        .compliance_settings(ComplianceSettings::default())
        .enabled_content_experiences(experiences.clone())
        .build()
        .unwrap();
    let create = CreateConnection::new(&connection);
    let refused = |cloud, version| create.request(&ServiceRoot::new(cloud, version)).unwrap_err();
    assert_eq!(
        faults(&refused(Cloud::Global, Version::V1)),
        [(Rule::Version, "$.complianceSettings"), (Rule::Version, "$.enabledContentExperiences"),]
    );
    assert_eq!(
        faults(&refused(Cloud::UsGovL4, Version::Beta)),
        [(Rule::Cloud, "$.contentCategory")]
    );
    let request = create.request(&ServiceRoot::new(Cloud::Global, Version::Beta)).unwrap();
    let body: Value = serde_json::from_slice(request.body()).unwrap();
    assert_eq!(body["enabledContentExperiences"], "search, compliance");

    let update =
        ConnectionUpdate::builder().enabled_content_experiences(experiences).build().unwrap();
    let error = UpdateConnection::new(&id(), &update).request(&ServiceRoot::v1()).unwrap_err();
    assert_eq!(faults(&error), [(Rule::Version, "$.enabledContentExperiences")]);
}

#[test]
fn a_connector_and_its_ticket_are_sent_together_and_the_ticket_is_not_shown() {
    let ticket = ConnectorTicket::new("8b1a…", Secret::new("made up\n")).unwrap_err();
    assert_eq!(
        faults(&ticket),
        [(Rule::ConnectorTicket, "$.connectorId"), (Rule::ConnectorTicket, TICKET_PLACE)]
    );
    assert!(!ticket.to_string().contains("made up"));

    let ticket = ConnectorTicket::new("8b1a", Secret::new("made-up")).unwrap();
    let connection = ExternalConnection::new(id(), "HR").unwrap();
    let create = CreateConnection::new(&connection).ticket(&ticket);
    let request = create.request(&ServiceRoot::v1()).unwrap();
    assert_eq!(request.headers()["GraphConnectors-Ticket"], "made-up");
    assert_eq!(request.body(), r#"{"id":"contosohr","name":"HR","connectorId":"8b1a"}"#);
    for shown in [format!("{create:?}"), format!("{request:?}")] {
        assert!(!shown.contains("made-up"), "{shown}");
    }
    let without = CreateConnection::new(&connection).request(&ServiceRoot::v1()).unwrap();
    assert_eq!(without.body(), r#"{"id":"contosohr","name":"HR"}"#);
    assert!(!without.headers().contains_key("GraphConnectors-Ticket"));
}

#[test]
fn an_update_is_made_of_what_differs() {
    let app = "e811976d-83df-4cbd-8b9b-5215b18aa874";
    let wanted = ExternalConnection::builder(id(), "HR")
        .description("new")
        .content_category(ContentCategory::Crm)
        .configuration(Configuration::new([Guid::from(1), Guid::new(app).unwrap()]))
        .build()
        .unwrap();
    let stored = |json: Value| serde_json::from_value::<StoredConnection>(json).unwrap();
    let update = wanted.update_of(&stored(json!({
        "name": "old", "description": "new", "contentCategory": "qna",
        "activitySettings": {"urlToItemResolvers": []},
        "configuration": {"authorizedAppIds": [app, Guid::from(1)]},
    })));
    assert_eq!(
        serde_json::to_value(update.unwrap()).unwrap(),
        json!({"name": "HR", "contentCategory": "crm"})
    );
    let same = wanted.update_of(&stored(json!({
        "name": "HR", "description": "new", "contentCategory": "crm",
        "configuration": {"@odata.type": "#c", "planet": null,
            "authorizedAppIds": [app.to_uppercase(), Guid::from(1)]},
    })));
    assert_eq!(same, None, "order, letter case of ids, annotations and nulls are no difference");
    let silent = ExternalConnection::builder(id(), "HR").description("").build().unwrap();
    assert_eq!(silent.update_of(&stored(json!({"name": "HR"}))), None);
    assert!(silent.update_of(&stored(json!({"name": "HR", "description": "d"}))).is_some());
}

#[test]
fn experiences_are_flags_in_one_string() {
    let read = |json: &str| serde_json::from_str::<ContentExperiences>(json).unwrap();
    let flags: Vec<_> = read(r#""compliance,Search, later""#).iter().cloned().collect();
    assert_eq!(
        flags,
        [
            ContentExperienceType::Compliance,
            ContentExperienceType::Search,
            ContentExperienceType::from("later")
        ]
    );
    let both = read(r#""search, compliance""#);
    assert_eq!(serde_json::to_string(&both).unwrap(), r#""search, compliance""#);
    assert_eq!(read("\"\""), ContentExperiences::default());
    assert_eq!(read(r#"["search","compliance"]"#), both, "as one document has it");
    let update = |experiences: ContentExperiences| {
        ConnectionUpdate::builder().enabled_content_experiences(experiences).build()
    };
    let refused = update(read(r#""search, unknownFutureValue""#)).unwrap_err();
    assert_eq!(faults(&refused), [(Rule::UnknownFutureValue, "$.enabledContentExperiences")]);
    let refused = update(ContentExperiences::default()).unwrap_err();
    assert_eq!(faults(&refused), [(Rule::MemberRequired, "$.enabledContentExperiences")]);
}
