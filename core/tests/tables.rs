//! The tables of `docs/graph.md` are what the code has: every operation, every member of every
//! type, every member of every enumeration, under its name on the wire.

use std::collections::{BTreeMap, BTreeSet};

use graphfeed_core::{
    ROUTES,
    activity::{
        ActivityHistoryItem, ImageInfo, PutActivity, PutHistoryItem, Status, StoredActivity,
        StoredHistoryItem, UserActivity, VisualInfo,
    },
    external::{
        AccessType, Acl, AclType, ActivitySettings, AddActivities, BinaryOperator,
        ComplianceSettings, Configuration, ConnectionOperation, ConnectionOperationStatus,
        ConnectionQuota, ConnectionState, ConnectorTicket, ContentCategory, ContentExperienceType,
        ContentExperiences, CreateConnection, CreateGroup, DisplayTemplate, ExternalActivity,
        ExternalActivityResult, ExternalActivityType, ExternalConnection, ExternalGroup,
        ExternalItem, ExternalItemContent, ExternalItemContentType, Identity, IdentitySource,
        IdentityType, ImportanceScore, ItemIdResolver, Label, Principal, PropertyRule,
        PropertyType, PutItem, RegisterSchema, RuleOperation, Schema, SchemaProperty,
        SearchSettings, StoredAcl, StoredConnection, StoredContent, StoredExternalActivity,
        StoredGroup, StoredIdentity, StoredInformationProtectionLabel, StoredItem,
        StoredRankingHint, StoredSchema, StoredSchemaProperty, UrlMatchInfo,
    },
    protocol::{
        Batch, Cloud, Endpoint, Permission, PublicError, PublicErrorDetail, PublicInnerError,
        Route, ServiceRoot, Version,
    },
    types::{
        AppActivityId, ConnectionId, ExternalGroupId, Fault, Guid, ItemId, OtherMembers, RawJson,
        Rule, Secret, Timestamp, UserActivityId,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

const TABLES: &str = include_str!("../../docs/graph.md");

/// The rows of the table whose head begins with this word, as cells.
fn rows(head: &str) -> Vec<Vec<&'static str>> {
    let head = format!("| {head} |");
    TABLES
        .lines()
        .skip_while(|line| !line.starts_with(&head))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// What a permission is in the tables: least privileged first, higher ones after a semicolon.
fn cell(permission: &Permission) -> String {
    let list =
        |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ");
    match (permission.least, permission.higher) {
        ([], _) => "–".to_owned(),
        (least, []) => list(least),
        (least, higher) => format!("{}; {}", list(least), list(higher)),
    }
}

#[test]
fn every_operation_is_there_as_the_documents_have_it() {
    let listed: Vec<Vec<String>> = rows("operation")
        .iter()
        .map(|row| {
            // What it answers with is the output's type.
            let row = row.iter().enumerate().filter(|(index, _)| *index != 3);
            row.map(|(_, cell)| (*cell).to_owned()).collect()
        })
        .collect();
    let ours = |route: &Route| {
        let permissions = route.permissions.expect("every operation here has them");
        let statuses: Vec<_> = route.success.iter().map(u16::to_string).collect();
        let clouds: Vec<_> = route.clouds.iter().map(|cloud| cloud.name()).collect();
        vec![
            route.name.to_owned(),
            format!("`{} {}`", route.method(), route.path),
            statuses.join(", "),
            match route.versions {
                [version] => version.as_str().to_owned(),
                _ => "both".to_owned(),
            },
            clouds.join(", "),
            cell(&permissions.delegated_work),
            cell(&permissions.delegated_personal),
            cell(&permissions.application),
        ]
    };
    // A batch wraps operations, and is in no table of them.
    let routes: Vec<&Route> = ROUTES.iter().filter(|route| **route != Batch::<()>::ROUTE).collect();
    for (route, listed) in routes.iter().zip(&listed) {
        assert_eq!(&ours(route), listed);
    }
    assert_eq!(routes.len(), listed.len());
}

#[test]
fn every_member_of_every_enumeration_is_there() {
    let ours: BTreeMap<&str, &[&str]> = [
        ("accessType", AccessType::KNOWN),
        ("aclType", AclType::KNOWN),
        ("binaryOperator", BinaryOperator::KNOWN),
        ("connectionOperationStatus", ConnectionOperationStatus::KNOWN),
        ("connectionState", ConnectionState::KNOWN),
        ("contentCategory", ContentCategory::KNOWN),
        ("contentExperienceType", ContentExperienceType::KNOWN),
        ("externalActivityType", ExternalActivityType::KNOWN),
        ("externalItemContentType", ExternalItemContentType::KNOWN),
        ("identitySourceType", IdentitySource::KNOWN),
        ("identityType", IdentityType::KNOWN),
        ("importanceScore", ImportanceScore::KNOWN),
        ("label", Label::KNOWN),
        ("propertyType", PropertyType::KNOWN),
        ("ruleOperation", RuleOperation::KNOWN),
        ("status", Status::KNOWN),
    ]
    .into();
    let mut listed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in rows("enumeration") {
        let names = row[1].split(", ").filter_map(|member| member.split(' ').next());
        // The sentinel is only ever read, and is kept like any other unknown member.
        let names = names.filter(|name| *name != "unknownFutureValue");
        listed.entry(row[0]).or_default().extend(names);
    }
    assert_eq!(ours.keys().collect::<Vec<_>>(), listed.keys().collect::<Vec<_>>());
    for (name, members) in listed {
        assert_eq!(ours[name].iter().copied().collect::<BTreeSet<_>>(), members, "{name}");
    }
}

/// The members of each type, those that are not nullable without their mark.
fn types(only: impl Fn(&[&str]) -> bool) -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut types: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for row in rows("type") {
        let members = types.entry(row[0]).or_default();
        if only(&row) {
            members.insert(row[1].trim_end_matches('!'));
        }
    }
    types
}

fn members(json: &Value) -> BTreeSet<&str> {
    let members = json.as_object().expect("an object").keys().map(String::as_str);
    members.filter(|name| !name.starts_with('@')).collect()
}

/// A type with all its members, read and written again: nothing is left without a field.
fn reads<T: DeserializeOwned + Serialize>(json: &str, other: fn(&T) -> &OtherMembers) -> Value {
    let read: T = serde_json::from_str(json).unwrap();
    let other: Vec<_> = other(&read).iter().map(|(name, _)| name.to_owned()).collect();
    assert!(other.iter().all(|name| name.starts_with('@')), "no field for {other:?} of {json}");
    let golden: Value = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), golden);
    golden
}

#[test]
fn every_type_has_a_field_for_every_member_and_is_written_as_it_was_read() {
    macro_rules! read {
        ($($name:literal => $Type:ty,)*) => {
            BTreeMap::from([$((
                $name,
                reads::<$Type>(
                    include_str!(concat!("golden/types/", $name, ".json")),
                    |read| &read.other,
                ),
            ),)*])
        };
    }
    let read = read! {
        "acl" => StoredAcl,
        "activityHistoryItem" => StoredHistoryItem,
        "activitySettings" => ActivitySettings,
        "complianceSettings" => ComplianceSettings,
        "configuration" => Configuration,
        "connectionOperation" => ConnectionOperation,
        "connectionQuota" => ConnectionQuota,
        "displayTemplate" => DisplayTemplate,
        "externalActivity" => StoredExternalActivity,
        "externalActivityResult" => ExternalActivityResult,
        "externalConnection" => StoredConnection,
        "externalGroup" => StoredGroup,
        "externalItem" => StoredItem,
        "externalItemContent" => StoredContent,
        "externalItemInformationProtectionLabel" => StoredInformationProtectionLabel,
        "identity" => StoredIdentity,
        "imageInfo" => ImageInfo,
        "itemIdResolver" => ItemIdResolver,
        "principal" => Principal,
        "property" => StoredSchemaProperty,
        "propertyRule" => PropertyRule,
        "publicError" => PublicError,
        "publicErrorDetail" => PublicErrorDetail,
        "publicInnerError" => PublicInnerError,
        "rankingHint" => StoredRankingHint,
        "schema" => StoredSchema,
        "searchSettings" => SearchSettings,
        "urlMatchInfo" => UrlMatchInfo,
        "userActivity" => StoredActivity,
        "visualInfo" => VisualInfo,
    };
    let listed = types(|_| true);
    assert_eq!(read.keys().collect::<Vec<_>>(), listed.keys().collect::<Vec<_>>());
    for (name, listed) in listed {
        assert_eq!(members(&read[name]), listed, "{name}");
    }
}

fn body(request: &http::Request<bytes::Bytes>) -> Value {
    serde_json::from_slice(request.body()).unwrap()
}

fn guid() -> Guid {
    Guid::from(7_u128)
}

fn id() -> ConnectionId {
    ConnectionId::new("contosohr").unwrap()
}

fn at() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

/// A connection that says everything.
fn full_connection() -> ExternalConnection {
    let card = RawJson::parse(r#"{"type":"AdaptiveCard","version":"1.2"}"#).unwrap();
    let mut template = DisplayTemplate::new("a", 1, card);
    template.rules =
        Some(vec![PropertyRule::new("p", RuleOperation::Equals, ["1"], BinaryOperator::Or)]);
    let resolver = ItemIdResolver::new(1, "{a}", ["https://contoso.com"], "(?<a>.)");
    ExternalConnection::builder(id(), "HR")
        .description("d")
        .configuration(Configuration::new([guid()]))
        .activity_settings(ActivitySettings::new([resolver]))
        .search_settings(SearchSettings::new([template.clone()]))
        .content_category(ContentCategory::Crm)
        .compliance_settings(ComplianceSettings::new([template]))
        .enabled_content_experiences(ContentExperiences::new([ContentExperienceType::Search]))
        .build()
        .unwrap()
}

/// Two properties that say everything between them, for no one may.
fn full_schema() -> Schema {
    Schema::new([
        SchemaProperty::new("title", PropertyType::String)
            .alias("headline")
            .label(Label::Title)
            .description("d")
            .searchable()
            .queryable()
            .retrievable()
            .ranking_hint(ImportanceScore::High),
        SchemaProperty::new("code", PropertyType::String).refinable().exact_match_required(),
    ])
    .unwrap()
}

/// An item that says everything.
fn full_item() -> ExternalItem {
    let somebody: Principal =
        serde_json::from_str(include_str!("golden/types/principal.json")).unwrap();
    ExternalItem::builder(ItemId::new("T1").unwrap())
        .acl(Acl::external_group(ExternalGroupId::new("teamx").unwrap()))
        .property("who", somebody)
        .content(ExternalItemContent::html("x"))
        .sensitivity_label(guid())
        .activity(ExternalActivity::viewed(at(), Identity::user(guid())))
        .build()
        .unwrap()
}

/// One of everything that a client writes, as the bodies of the requests that write it.
fn written() -> BTreeMap<&'static str, Value> {
    let beta = ServiceRoot::new(Cloud::Global, Version::Beta);
    let ticket = ConnectorTicket::new("app", Secret::new("made-up")).unwrap();
    let connection = full_connection();
    let create = CreateConnection::new(&connection).ticket(&ticket);
    let connection = body(&create.request(&beta).unwrap());

    let schema = body(&RegisterSchema::new(&id(), &full_schema()).request(&beta).unwrap());
    let mut property = schema["properties"][0].clone();
    let second = schema["properties"][1].as_object().unwrap().clone();
    property.as_object_mut().unwrap().extend(second);

    let item = full_item();
    let activities = item.activities();
    let added = body(&AddActivities::new(&id(), item.id(), activities).request(&beta).unwrap());
    let item = body(&PutItem::new(&id(), &item).request(&beta).unwrap());
    assert_eq!(item["activities"], added["activities"]);

    let group = ExternalGroup::builder(ExternalGroupId::new("teamx").unwrap())
        .display_name("Team X")
        .description("d")
        .build();
    let group = body(&CreateGroup::new(&id(), &group).request(&beta).unwrap());

    let history = ActivityHistoryItem::between(at(), at())
        .unwrap()
        .active_duration_seconds(0)
        .unwrap()
        .user_timezone("Europe/Oslo")
        .expiration_date_time(at());
    let server_id = UserActivityId::new("1").unwrap();
    let put_history = PutHistoryItem::new(&server_id, guid(), &history);
    let history_body = body(&put_history.request(&beta).unwrap());
    let visual: VisualInfo =
        serde_json::from_str(include_str!("golden/types/visualInfo.json")).unwrap();
    let activity = UserActivity::builder(AppActivityId::new("a").unwrap())
        .activity_source_host("https://contoso.com")
        .activation_url("https://contoso.com/a")
        .visual_elements(visual)
        .app_display_name("A")
        .content_url("https://contoso.com/a")
        .fallback_url("https://contoso.com")
        .user_timezone("Europe/Oslo")
        .content_info(RawJson::parse("{}").unwrap())
        .history_item(history)
        .build()
        .unwrap();
    let activity = body(&PutActivity::new(&activity).request(&beta).unwrap());

    let part = |of: &Value, pointer: &str| {
        of.pointer(pointer).unwrap_or_else(|| panic!("{pointer} of {of}")).clone()
    };
    let resolver = part(&connection, "/activitySettings/urlToItemResolvers/0");
    let template = part(&connection, "/searchSettings/searchResultTemplates/0");
    BTreeMap::from([
        ("acl", part(&item, "/acl/0")),
        ("activityHistoryItem", history_body),
        ("activitySettings", part(&connection, "/activitySettings")),
        ("complianceSettings", part(&connection, "/complianceSettings")),
        ("configuration", part(&connection, "/configuration")),
        ("displayTemplate", template.clone()),
        ("externalActivity", part(&item, "/activities/0")),
        ("externalGroup", group),
        ("externalItemContent", part(&item, "/content")),
        ("externalItemInformationProtectionLabel", part(&item, "/informationProtectionLabel")),
        ("identity", part(&item, "/activities/0/performedBy")),
        ("imageInfo", part(&activity, "/visualElements/attribution")),
        ("itemIdResolver", resolver.clone()),
        ("principal", part(&item, "/properties/who")),
        ("property", property.clone()),
        ("propertyRule", part(&template, "/rules/0")),
        ("rankingHint", part(&property, "/rankingHint")),
        ("schema", schema),
        ("searchSettings", part(&connection, "/searchSettings")),
        ("urlMatchInfo", part(&resolver, "/urlMatchInfo")),
        ("visualInfo", part(&activity, "/visualElements")),
        ("userActivity", activity),
        ("externalItem", item),
        ("externalConnection", connection),
    ])
}

#[test]
fn a_client_can_write_every_member_that_is_its_own_and_no_other() {
    let mut listed = types(|row| row[3] == "client");
    listed.retain(|_, members| !members.is_empty());
    let written = written();
    assert_eq!(written.keys().collect::<Vec<_>>(), listed.keys().collect::<Vec<_>>());
    for (name, listed) in listed {
        assert_eq!(members(&written[name]), listed, "{name}");
    }
}

/// The faults of everything that a client writes, for one rule, by the member they are about.
fn lacking(rule: Rule, root: &ServiceRoot) -> BTreeSet<String> {
    let (connection, schema, item) = (full_connection(), full_schema(), full_item());
    let refused = [
        ("externalConnection", CreateConnection::new(&connection).request(root)),
        ("property", RegisterSchema::new(&id(), &schema).request(root)),
        ("externalItem", PutItem::new(&id(), &item).request(root)),
    ];
    let mut members = BTreeSet::new();
    for (name, request) in refused {
        let faults = request.err().map(|error| error.faults().to_vec()).unwrap_or_default();
        for fault in faults.iter().filter(|fault| fault.rule == rule) {
            let member = fault.place.rsplit('.').next().unwrap();
            members.insert(format!("{name}.{member}"));
        }
    }
    members
}

#[test]
fn a_member_that_a_version_or_a_cloud_lacks_is_refused_there() {
    let listed = |wanted: &str| -> BTreeSet<String> {
        // Those inside a member that is refused, and what is written for one version only.
        const WITHIN: [&str; 4] = [
            "acl.identitySource",
            "complianceSettings.eDiscoveryResultTemplates",
            "externalItemInformationProtectionLabel.sensitivityLabelId",
            "rankingHint.importanceScore",
        ];
        let rows = rows("type").into_iter().filter(|row| row[4] == wanted && row[3] == "client");
        rows.filter(|row| row[0] != "principal")
            .map(|row| format!("{}.{}", row[0], row[1].trim_end_matches('!')))
            .filter(|name| !WITHIN.contains(&name.as_str()))
            .collect()
    };
    assert_eq!(lacking(Rule::Version, &ServiceRoot::v1()), listed("beta"));
    for cloud in [Cloud::UsGovL4, Cloud::UsGovL5] {
        let mut found = lacking(Rule::Cloud, &ServiceRoot::new(cloud, Version::V1));
        assert!(found.remove("externalItem.who"), "a principal");
        assert_eq!(found, listed("not US Gov"), "{cloud}");
    }
    let everything = ServiceRoot::new(Cloud::Global, Version::Beta);
    for rule in [Rule::Version, Rule::Cloud] {
        assert_eq!(lacking(rule, &everything), BTreeSet::new());
    }
}

/// A schema with this label, on a property of a type that may have it; none if no schema may.
fn labelled(label: &Label) -> Option<Schema> {
    let account = || {
        SchemaProperty::new("account", PropertyType::String)
            .label(Label::PersonAccount)
            .retrievable()
    };
    let labelled = |kind: &str, person: bool| {
        let property =
            SchemaProperty::new("it", PropertyType::from(kind)).label(label.clone()).retrievable();
        let account = (person && *label != Label::PersonAccount).then(account);
        Schema::new(account.into_iter().chain([property])).ok()
    };
    let kinds = ["string", "stringCollection", "dateTime", "int64"];
    let tries = kinds.iter().flat_map(|kind| [(*kind, false), (*kind, true)]);
    tries.into_iter().find_map(|(kind, person)| labelled(kind, person))
}

#[test]
fn a_label_or_type_that_the_us_government_lacks_is_refused_there() {
    let government = ServiceRoot::new(Cloud::UsGovL4, Version::V1);
    let refused = |schema: &Schema, end: &str| {
        let request = RegisterSchema::new(&id(), schema).request(&government);
        request.is_err_and(|error| {
            let about = |fault: &Fault| fault.rule == Rule::Cloud && fault.place.contains(end);
            error.faults().iter().any(about)
        })
    };
    let mut unsupported = Vec::new();
    for row in rows("enumeration") {
        let names = row[1].split(", ").filter_map(|member| member.split(' ').next());
        for name in names.filter(|name| *name != "unknownFutureValue") {
            match row[0] {
                "label" => match labelled(&Label::from(name)) {
                    Some(schema) => {
                        assert_eq!(refused(&schema, "labels"), row[2] == "not US Gov", "{name}");
                    }
                    None => unsupported.push(name),
                },
                "propertyType" => {
                    let schema =
                        Schema::new([SchemaProperty::new("it", PropertyType::from(name))]).unwrap();
                    assert_eq!(refused(&schema, "type"), row[2] == "not US Gov", "{name}");
                }
                _ => {}
            }
        }
    }
    assert_eq!(
        unsupported,
        [
            "personAssistants",
            "personColleagues",
            "personManager",
            "personAlternateContacts",
            "personEmergencyContacts"
        ]
    );
}
