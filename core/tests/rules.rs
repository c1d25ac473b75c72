//! `docs/rules.md` shows for each rule what is refused by it, and what is said then: where, what was
//! found, and what to do about it.

use std::collections::BTreeSet;

use graphfeed_core::{
    activity::{ActivityHistoryItem, ListActivities, PutActivity, UserActivity, VisualInfo},
    external::{
        Acl, ActivitySettings, AddActivities, ComplianceSettings, ConnectionUpdate,
        ConnectorTicket, ContentCategory, DisplayTemplate, ExternalConnection, ExternalGroup,
        ExternalItem, GetQuota, GroupPlan, GroupWithMembers, Identity, ItemIdResolver, ItemReader,
        Label, Principal, PropertyType, PutItem, ReadItem, Schema, SchemaPlan, SchemaProperty,
        SearchSettings, StoredSchema,
    },
    machine::{
        Pages,
        identity::{Application, Authority, Credential, Tenant},
    },
    protocol::{Cause, Cloud, Endpoint, Limits, ServiceRoot, Version},
    types::{
        AccessToken, AppActivityId, BuildError, ConnectionId, ExternalGroupId, Fault, Guid, ItemId,
        OperationId, RawJson, Rule, Secret, Timestamp,
    },
};
use serde_json::json;

/// What may have faults.
trait Judged {
    fn found(self) -> Vec<Fault>;
}

impl<T> Judged for Result<T, BuildError> {
    fn found(self) -> Vec<Fault> {
        self.err().map(|why| why.faults().to_vec()).unwrap_or_default()
    }
}

impl Judged for ReadItem {
    fn found(self) -> Vec<Fault> {
        self.item.found()
    }
}

/// Warnings.
impl Judged for Vec<Fault> {
    fn found(self) -> Vec<Fault> {
        self
    }
}

impl Judged for BuildError {
    fn found(self) -> Vec<Fault> {
        Err::<(), _>(self).found()
    }
}

fn connection() -> ConnectionId {
    ConnectionId::new("contosohr").unwrap()
}

fn id() -> ItemId {
    ItemId::new("T1").unwrap()
}

fn tenant() -> Guid {
    Guid::new("6f2b1c9e-4d3a-4f5b-8c7d-9e0f1a2b3c4d").unwrap()
}

fn group(id: &str) -> ExternalGroupId {
    ExternalGroupId::new(id).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An Adaptive Card that says this version.
fn card(version: &str) -> RawJson {
    RawJson::new(&json!({"type": "AdaptiveCard", "version": version})).unwrap()
}

/// One that declares a title.
fn schema() -> Schema {
    Schema::new([SchemaProperty::new("title", PropertyType::String)]).unwrap()
}

/// One that is registered, with a title.
fn stored() -> StoredSchema {
    serde_json::from_value(json!({"properties": [{"name": "title", "type": "string"}]})).unwrap()
}

fn activity() -> UserActivity {
    UserActivity::builder(AppActivityId::new("/article?12345").unwrap())
        .activity_source_host("https://contoso.com")
        .activation_url("https://contoso.com/article?id=12345")
        .visual_elements(VisualInfo::new("How to tie a reef knot"))
        .build()
        .unwrap()
}

/// Follows a link to the next page.
fn follow(link: &str) -> Result<(), BuildError> {
    let root = ServiceRoot::v1();
    let mut pages = Pages::new(ListActivities::new().call(&root).unwrap(), &root);
    let page = serde_json::from_value(json!({"value": [], "@odata.nextLink": link})).unwrap();
    pages.turn(&page).map_err(|error| match error.cause() {
        Cause::Build(why) => why.clone(),
        other => panic!("{other:?}"),
    })
}

/// Each rule, a value that breaks it and nothing else, and its faults.
macro_rules! broken {
    ($($rule:ident: $bad:expr;)*) => {
        vec![$((Rule::$rule, stringify!($bad), $bad.found())),*]
    };
}

fn broken() -> Vec<(Rule, &'static str, Vec<Fault>)> {
    broken! {
        ConnectionId: ConnectionId::new("hr");
        ConnectionName: ExternalConnection::new(connection(), "");
        ConnectorTicket: ConnectorTicket::new("", Secret::new("ticket"));
        UrlResolver: ExternalConnection::builder(connection(), "Contoso HR").activity_settings(ActivitySettings::new([ItemIdResolver::new(1, "{id}", ["https://contoso.com"], "/(?<name>.*)")])).build();
        DisplayTemplate: ExternalConnection::builder(connection(), "Contoso HR").search_settings(SearchSettings::new([DisplayTemplate::new("story", 0, card("1.2"))])).build();
        ComplianceTemplate: ExternalConnection::builder(connection(), "Contoso HR").compliance_settings(ComplianceSettings::new([DisplayTemplate::new("story", 1, card("1.5"))])).build();
        UpdateEmpty: ConnectionUpdate::builder().build();
        ItemId: ItemId::new("tickets/7");
        ExternalGroupId: ExternalGroupId::new("team x");
        Guid: Guid::new("john@contoso.com");
        AppActivityId: AppActivityId::new("..");
        PathSegment: OperationId::new("");
        AclRequired: ExternalItem::builder(id()).property("title", "a").build();
        IdentitySource: ItemReader::default().read(r#"{"id":"T1","acl":[{"type":"user","identitySource":"external","value":"6f2b1c9e-4d3a-4f5b-8c7d-9e0f1a2b3c4d","accessType":"grant"}],"properties":{"a":1}}"#);
        PropertyRequired: ExternalItem::builder(id()).acl(Acl::everyone(tenant())).build();
        PropertyName: ExternalItem::builder(id()).acl(Acl::everyone(tenant())).property("due date", 1).build();
        PropertyTwice: ExternalItem::builder(id()).acl(Acl::everyone(tenant())).property("title", "a").property("Title", "b").build();
        PropertyUndeclared: schema().check_item(&ExternalItem::builder(id()).acl(Acl::everyone(tenant())).property("author", "a").build().unwrap());
        PropertyType: schema().check_item(&ExternalItem::builder(id()).acl(Acl::everyone(tenant())).property("title", 7).build().unwrap());
        PropertyFinite: ExternalItem::builder(id()).acl(Acl::everyone(tenant())).property("score", f64::NAN).build();
        PrincipalEmpty: ExternalItem::builder(id()).acl(Acl::everyone(tenant())).property("owner", Principal::default()).build();
        AnnotationCollection: ItemReader::default().read(r#"{"id":"T1","acl":[{"type":"everyone","value":"6f2b1c9e-4d3a-4f5b-8c7d-9e0f1a2b3c4d","accessType":"grant"}],"properties":{"tags":["a"]}}"#);
        AnnotationType: ItemReader::default().read(r#"{"id":"T1","acl":[{"type":"everyone","value":"6f2b1c9e-4d3a-4f5b-8c7d-9e0f1a2b3c4d","accessType":"grant"}],"properties":{"tags@odata.type":"Collection(Text)","tags":["a"]}}"#);
        ItemContent: ItemReader::default().read(r#"{"id":"T1","acl":[{"type":"everyone","value":"6f2b1c9e-4d3a-4f5b-8c7d-9e0f1a2b3c4d","accessType":"grant"}],"properties":{"a":1},"content":{"type":"pdf","value":"a"}}"#);
        ActivityCount: AddActivities::new(&connection(), &id(), &[]).request(&ServiceRoot::v1());
        HistoryOrder: ActivityHistoryItem::between(at("2026-01-02T00:00:00Z"), at("2026-01-01T00:00:00Z"));
        SchemaSize: Schema::new([]);
        SchemaSearchable: Schema::new([SchemaProperty::new("size", PropertyType::Int64).searchable()]);
        SchemaRefinable: Schema::new([SchemaProperty::new("open", PropertyType::Boolean).refinable()]);
        SchemaExactMatch: Schema::new([SchemaProperty::new("code", PropertyType::String).searchable().exact_match_required()]);
        PropertyDescription: Schema::new([SchemaProperty::new("code", PropertyType::String).description("x".repeat(201))]);
        LabelRetrievable: Schema::new([SchemaProperty::new("title", PropertyType::String).label(Label::Title)]);
        LabelTwice: Schema::new([SchemaProperty::new("title", PropertyType::String).retrievable().label(Label::Title), SchemaProperty::new("name", PropertyType::String).retrievable().label(Label::Title)]);
        LabelType: Schema::new([SchemaProperty::new("title", PropertyType::Int64).retrievable().label(Label::Title)]);
        LabelMissing: Schema::new([SchemaProperty::new("title", PropertyType::String).retrievable().label(Label::Title), SchemaProperty::new("url", PropertyType::String).retrievable().label(Label::Url)]).unwrap().warnings();
        PeopleSchema: Schema::new([SchemaProperty::new("skills", PropertyType::StringCollection).label(Label::PersonSkills)]);
        SchemaUpdate: SchemaPlan::between(&stored(), &Schema::new([SchemaProperty::new("title", PropertyType::Int64)]).unwrap()).check();
        GroupCycle: GroupPlan::between(&connection(), &[GroupWithMembers::new(ExternalGroup::new(group("a")), [Identity::external_group(&group("a"))])], &[]);
        GroupUnknown: GroupPlan::between(&connection(), &[GroupWithMembers::new(ExternalGroup::new(group("a")), [Identity::external_group(&group("b"))])], &[]);
        GroupTwice: GroupPlan::between(&connection(), &[GroupWithMembers::new(ExternalGroup::new(group("a")), []), GroupWithMembers::new(ExternalGroup::new(group("a")), [])], &[]);
        BodySize: PutItem::new(&connection(), &ExternalItem::builder(id()).acl(Acl::everyone(tenant())).property("title", "a").build().unwrap()).request(&ServiceRoot::v1().with_limits(Limits::default().with_body(100)));
        BodyJson: ItemReader::default().read(r#"{"id":"T1","acl":[{"type":"everyone","value":"6f2b1c9e-4d3a-4f5b-8c7d-9e0f1a2b3c4d","accessType":"grant"}],"properties":{"a":1},"content":}"#);
        MemberRequired: ItemReader::default().read(r#"{"id":"T1","acl":[{"type":"everyone","accessType":"grant"}],"properties":{"a":1}}"#);
        MemberType: ItemReader::default().read(r#"{"id":"T1","acl":[{"type":"everyone","value":"6f2b1c9e-4d3a-4f5b-8c7d-9e0f1a2b3c4d","accessType":"grant"}],"properties":["a"]}"#);
        MemberUnknown: ItemReader::default().read(r#"{"id":"T1","acl":[{"type":"everyone","value":"6f2b1c9e-4d3a-4f5b-8c7d-9e0f1a2b3c4d","accessType":"grant"}],"properties":{"a":1},"colour":"red"}"#);
        EnumValue: ItemReader::default().read(r#"{"id":"T1","acl":[{"type":"robot","value":"6f2b1c9e-4d3a-4f5b-8c7d-9e0f1a2b3c4d","accessType":"grant"}],"properties":{"a":1}}"#);
        UnknownFutureValue: ExternalConnection::builder(connection(), "Contoso HR").content_category(ContentCategory::from("unknownFutureValue")).build();
        DateTime: "2026-01-02T03:04:05".parse::<Timestamp>();
        Version: GetQuota::new(&connection()).request(&ServiceRoot::v1());
        Cloud: PutActivity::new(&activity()).request(&ServiceRoot::new(Cloud::China, Version::V1));
        Token: AccessToken::new("Bearer abc");
        ServiceRoot: ServiceRoot::https("http://graph.microsoft.com", Cloud::Global, Version::V1);
        PageLink: follow("no address");
        OtherRoot: follow("https://evil.example/v1.0/me/activities?x");
        TokenKind: Credential::client_secret(Application::new(Authority::new(Cloud::Global, Tenant::common()), "app", Cloud::Global), Secret::new("secret"));
        Source: BuildError::source("row 7", &std::io::Error::other("locked by another process"));
    }
}

#[test]
fn each_rule_is_shown_with_what_breaks_it_and_what_is_then_said() {
    let mut expected = Vec::new();
    let mut shown = BTreeSet::new();
    for (rule, bad, faults) in broken() {
        let [fault] = &faults[..] else { panic!("{bad}: {faults:?}") };
        assert_eq!(fault.rule, rule, "{bad}: {fault}");
        assert!(shown.insert(rule), "{rule} is shown twice");
        // As it is written in a line.
        let bad = bad.split_whitespace().collect::<Vec<_>>().join(" ");
        expected.push(format!("| `{rule}` | `{bad}` | `{fault}` |"));
    }
    // Broken by what the crate for crawls reads, and shown by its tests.
    shown.extend([Rule::AppendAgain, Rule::LineSize]);
    assert_eq!(shown, Rule::ALL.iter().copied().collect());

    let found: Vec<_> = include_str!("../../docs/rules.md")
        .lines()
        .skip_while(|line| !line.starts_with("| rule | what is refused |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(found, expected, "the table should be:\n{}\n", expected.join("\n"));
}
