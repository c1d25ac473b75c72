//! What every call has in common, whichever operation it is: refusals before sending, the fate
//! of the write, and where the token goes.

use std::cell::RefCell;

use bytes::Bytes;
use graphfeed_core::{
    ROUTES,
    activity::{
        ActivityHistoryItem, ListActivities, PutActivity, PutHistoryItem, RecentActivities,
        UserActivity, UserActivityBuilder, VisualInfo,
    },
    client::{Client, Failure, SendOptions, VirtualClock},
    external::{
        Acl, AddActivities, ExternalActivity, ExternalActivityType, ExternalConnection,
        ExternalItem, ExternalItemContent, GetConnection, GetItem, Identity, IdentityType,
        ItemUpdate, PatchItem, PropertyValue, PutItem,
    },
    machine::{Batches, Policy},
    protocol::{
        Answer, Applied, Batch, Cause, Cloud, DecodeError, Endpoint, Error, Limits, PathArgs,
        Query, Repeat, Route, ServiceRoot, Version, write_json,
    },
    types::{
        AccessToken, AppActivityId, BuildError, Change, ConnectionId, Fault, Guid, ItemId, RawJson,
        Rule, Timestamp, UserActivityId,
    },
};

fn connection() -> ConnectionId {
    ConnectionId::new("contosohr").unwrap()
}

fn item() -> ExternalItem {
    ExternalItem::builder(ItemId::new("T1").unwrap())
        .acl(Acl::everyone(Guid::from(7)))
        .property("title", "t")
        .build()
        .unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn user_activity() -> UserActivityBuilder {
    UserActivity::builder(AppActivityId::new("/a?1").unwrap())
        .activity_source_host("https://contoso.com")
        .activation_url("https://contoso.com/a?id=1")
        .visual_elements(VisualInfo::new("A"))
}

fn broken(refused: Result<impl Sized, BuildError>) -> Vec<(Rule, String)> {
    let Err(error) = refused else { panic!("not refused") };
    error.faults().iter().map(|fault| (fault.rule, fault.place.to_string())).collect()
}

#[test]
fn every_rule_of_this_crate_is_in_the_list_and_the_other_way_round() {
    let list = include_str!("../../docs/rules.md");
    let mut listed: Vec<&str> = list
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            let name = cells.next()?.trim_end_matches('`');
            let who = cells.nth(1)?;
            matches!(who, "core" | "both").then_some(name)
        })
        .collect();
    let mut ours: Vec<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    listed.sort_unstable();
    ours.sort_unstable();
    assert_eq!(ours, listed);
}

#[test]
fn an_operation_is_refused_where_it_does_not_exist() {
    let (connection, item) = (connection(), item());
    let put_item = PutItem::new(&connection, &item);
    let activity = user_activity().build().unwrap();
    let put_activity = PutActivity::new(&activity);
    let refused = |cloud: Cloud| {
        let root = ServiceRoot::new(cloud, Version::V1);
        (put_item.request(&root).is_err(), put_activity.request(&root).is_err())
    };
    assert_eq!(refused(Cloud::Global), (false, false));
    assert_eq!(refused(Cloud::UsGovL4), (false, true));
    assert_eq!(refused(Cloud::UsGovL5), (false, true));
    assert_eq!(refused(Cloud::China), (true, true));

    let china = ServiceRoot::new(Cloud::China, Version::V1);
    let error = put_item.request(&china).unwrap_err();
    assert_eq!(error.faults()[0].rule, Rule::Cloud);
    assert_eq!(
        error.to_string(),
        "service root: Create or replace item is not in China, only in Global, US Gov L4, \
         US Gov L5 [cloud]"
    );
}

#[test]
fn all_routes_have_names_and_permissions_and_no_two_are_the_same() {
    for (index, route) in ROUTES.iter().enumerate() {
        let supported = route.permissions.is_some_and(|permissions| {
            permissions.application.is_supported() || permissions.delegated_work.is_supported()
        });
        // What a batch needs is its parts' to say.
        assert_eq!(supported, *route != Batch::<()>::ROUTE, "{}", route.name);
        for before in &ROUTES[..index] {
            assert_ne!(before.name, route.name);
            assert!(before.path != route.path || before.method() != route.method());
        }
    }
}

#[test]
fn a_body_over_the_limit_stays_here() {
    let connection = connection();
    let sized = |content: usize| {
        ExternalItem::builder(ItemId::new("T1").unwrap())
            .acl(Acl::everyone(Guid::from(7)))
            .property("title", "t")
            .content(ExternalItemContent::text("x".repeat(content)))
            .build()
            .unwrap()
    };
    let length = |item: &ExternalItem, root: &ServiceRoot| {
        PutItem::new(&connection, item).request(root).map(|request| request.body().len())
    };
    let root = ServiceRoot::v1();
    let frame = length(&sized(0), &root).unwrap();
    assert_eq!(length(&sized(4_000_000 - frame), &root).unwrap(), 4_000_000);
    let refused = length(&sized(4_000_001 - frame), &root);
    assert_eq!(broken(refused), [(Rule::BodySize, "$".to_owned())]);
    let wider = root.with_limits(Limits::default().with_body(4_000_001));
    assert_eq!(length(&sized(4_000_001 - frame), &wider).unwrap(), 4_000_001);
}

#[test]
fn an_item_needs_somebody_who_may_see_it_and_a_property() {
    let refused = ExternalItem::builder(ItemId::new("T1").unwrap()).build();
    assert_eq!(
        broken(refused),
        [
            (Rule::AclRequired, "$.acl".to_owned()),
            (Rule::PropertyRequired, "$.properties".to_owned())
        ]
    );
}

#[test]
fn an_update_says_what_changes_and_nothing_else() {
    let (connection, id) = (connection(), ItemId::new("T1").unwrap());
    let body = |update: ItemUpdate| {
        let patch = PatchItem::new(&connection, &id, &update);
        String::from_utf8(patch.request(&ServiceRoot::v1()).unwrap().body().to_vec()).unwrap()
    };
    let new = ItemUpdate::builder;
    let label = Guid::from(5);
    for (update, written) in [
        (
            new().replace_acl([Acl::user(Guid::from(7)).deny()]),
            r#"{"acl":[{"type":"user","value":"00000000-0000-0000-0000-000000000007","accessType":"deny"}]}"#,
        ),
        (
            new().replace_properties([("title", PropertyValue::from("Käse")), ("n", 1.into())]),
            r#"{"properties":{"title@odata.type":"String","title":"Käse","n":1}}"#,
        ),
        (
            new().content(ExternalItemContent::html("<p>")),
            r#"{"content":{"value":"<p>","type":"html"}}"#,
        ),
        (new().content(Change::Null), r#"{"content":null}"#),
        (
            new().sensitivity_label(label),
            r#"{"informationProtectionLabel":{"sensitivityLabelId":"00000000-0000-0000-0000-000000000005"}}"#,
        ),
        (
            new().sensitivity_label(Change::Null).content(ExternalItemContent::text("x")),
            r#"{"content":{"value":"x","type":"text"},"informationProtectionLabel":null}"#,
        ),
        (
            new().replace_properties([("a", "1")]).replace_properties([("b", "2")]),
            r#"{"properties":{"b":"2"}}"#,
        ),
    ] {
        assert_eq!(body(update.build().unwrap()), written);
    }
}

#[test]
fn an_update_that_names_all_members_is_written_like_the_whole_item() {
    let (connection, text) = (connection(), ExternalItemContent::text("x"));
    let item = ExternalItem::builder(ItemId::new("T1").unwrap())
        .acl(Acl::everyone(Guid::from(7)))
        .property("title", "t")
        .property("tags", ["a", "b"])
        .content(text.clone())
        .sensitivity_label(Guid::from(5))
        .build()
        .unwrap();
    let properties = item.properties().iter().map(|(name, value)| (name, value.clone()));
    let update = ItemUpdate::builder()
        .replace_acl(item.acl().to_vec())
        .replace_properties(properties)
        .content(text)
        .sensitivity_label(Guid::from(5))
        .build()
        .unwrap();
    assert_eq!((update.acl(), update.properties()), (item.acl(), item.properties()));
    assert_eq!(update.content().set(), item.content());
    assert_eq!(update.sensitivity_label().set().copied(), item.sensitivity_label());
    let root = ServiceRoot::v1();
    let put = PutItem::new(&connection, &item).request(&root).unwrap();
    let patch = PatchItem::new(&connection, item.id(), &update).request(&root).unwrap();
    assert_eq!(patch.body(), put.body());
    assert_eq!(patch.uri(), put.uri());
    assert_eq!((put.method().as_str(), patch.method().as_str()), ("PUT", "PATCH"));
}

#[test]
fn an_update_changes_something_and_keeps_the_rules_of_an_item() {
    let new = ItemUpdate::builder;
    assert_eq!(broken(new().build()), [(Rule::UpdateEmpty, "$".to_owned())]);
    assert_eq!(
        broken(new().content(Change::Leave).sensitivity_label(Change::Leave).build()),
        [(Rule::UpdateEmpty, "$".to_owned())]
    );
    // An empty list is not the same as none: nobody means to leave what is to be replaced.
    let nothing: [(&str, &str); 0] = [];
    assert_eq!(
        broken(new().replace_acl([]).replace_properties(nothing).build()),
        [
            (Rule::AclRequired, "$.acl".to_owned()),
            (Rule::PropertyRequired, "$.properties".to_owned())
        ]
    );
    let odd = [("due date", f64::NAN), ("a", 1.0), ("A", 2.0)];
    assert_eq!(
        broken(new().replace_properties(odd).build()),
        [
            (Rule::PropertyName, "$.properties['due date']".to_owned()),
            (Rule::PropertyFinite, "$.properties['due date']".to_owned()),
            (Rule::PropertyTwice, "$.properties.A".to_owned()),
        ]
    );
}

#[test]
fn an_update_of_an_item_is_refused_in_beta() {
    let (connection, id) = (connection(), ItemId::new("T1").unwrap());
    let update = ItemUpdate::builder().content(Change::Null).build().unwrap();
    let patch = PatchItem::new(&connection, &id, &update);
    let beta = ServiceRoot::new(Cloud::Global, Version::Beta);
    assert_eq!(broken(patch.request(&beta)), [(Rule::Version, "service root".to_owned())]);
    assert!(patch.request(&ServiceRoot::v1()).is_ok());
}

#[test]
fn a_sensitivity_label_is_refused_where_a_cloud_has_none() {
    let connection = connection();
    let item = ExternalItem::builder(ItemId::new("T1").unwrap())
        .acl(Acl::everyone(Guid::from(7)))
        .property("title", "t")
        .sensitivity_label(Guid::from(5))
        .build()
        .unwrap();
    let unlabelled = ItemUpdate::builder().sensitivity_label(Change::Null).build().unwrap();
    let put = PutItem::new(&connection, &item);
    let patch = PatchItem::new(&connection, item.id(), &unlabelled);
    for cloud in [Cloud::UsGovL4, Cloud::UsGovL5] {
        let root = ServiceRoot::new(cloud, Version::V1);
        let place = [(Rule::Cloud, "$.informationProtectionLabel".to_owned())];
        assert_eq!(broken(put.request(&root)), place);
        assert_eq!(broken(patch.request(&root)), place);
    }
    let request = put.request(&ServiceRoot::v1()).unwrap();
    assert!(request.body().ends_with(
        br#""informationProtectionLabel":{"sensitivityLabelId":"00000000-0000-0000-0000-000000000005"}}"#
    ));
}

#[test]
fn a_user_activity_tells_all_that_is_missing() {
    let id = AppActivityId::new("a").unwrap();
    assert_eq!(
        broken(UserActivity::builder(id).build()),
        [
            (Rule::MemberRequired, "$.activitySourceHost".to_owned()),
            (Rule::MemberRequired, "$.activationUrl".to_owned()),
            (Rule::MemberRequired, "$.visualElements.displayText".to_owned()),
        ]
    );
    let backwards =
        ActivityHistoryItem::between(at("2026-01-01T00:00:01Z"), at("2026-01-01T00:00:00Z"));
    assert_eq!(broken(backwards), [(Rule::HistoryOrder, "$.lastActiveDateTime".to_owned())]);
    let lasting = ActivityHistoryItem::started(at("2026-01-01T00:00:01Z"));
    assert_eq!(
        broken(lasting.active_duration_seconds(-1)),
        [(Rule::MemberType, "$.activeDurationSeconds".to_owned())]
    );
    let long = "n".repeat(129);
    for name in ["", &long] {
        let refused = ExternalConnection::new(connection(), name);
        assert_eq!(broken(refused), [(Rule::ConnectionName, "$.name".to_owned())]);
    }
}

#[test]
fn somebody_elses_json_goes_out_byte_for_byte() {
    let card = "{ \"version\" : 1.50,\n\t\"body\":[ {\"text\":\"\\u00e4\", \"z\":1, \"a\":1e2} ] }";
    let json_ld = "{\"@context\":\"https://schema.org\",  \"@type\":\"Article\"}";
    let mut visual = VisualInfo::new("A");
    visual.content = Some(RawJson::parse(card).unwrap());
    let activity = user_activity()
        .visual_elements(visual)
        .content_info(RawJson::parse(json_ld).unwrap())
        .build()
        .unwrap();
    let request = PutActivity::new(&activity).request(&ServiceRoot::v1()).unwrap();
    let body = std::str::from_utf8(request.body()).unwrap();
    assert!(body.contains(&format!("\"content\":{card}}}")), "{body}");
    assert!(body.contains(&format!("\"contentInfo\":{json_ld}")), "{body}");
}

#[test]
fn what_appends_is_not_repeated_and_what_replaces_is() {
    let (connection, item) = (connection(), item());
    let viewed =
        ExternalActivity::viewed(at("2026-01-01T00:00:00Z"), Identity::user(Guid::from(1)));
    let with_activity = ExternalItem::builder(ItemId::new("T1").unwrap())
        .acl(Acl::everyone(Guid::from(7)))
        .property("title", "t")
        .activity(viewed.clone())
        .build()
        .unwrap();
    let update = ItemUpdate::builder().content(Change::Null).build().unwrap();
    let plain = user_activity().build().unwrap();
    let history = ActivityHistoryItem::started(at("2026-01-01T00:00:00Z"));
    let deep = user_activity().history_item(history.clone()).build().unwrap();
    let id = UserActivityId::new("1").unwrap();
    for (repeat, expected) in [
        (PutItem::new(&connection, &item).repeat(), Repeat::Freely),
        (PutItem::new(&connection, &with_activity).repeat(), Repeat::OnlyIfUnsent),
        (AddActivities::new(&connection, item.id(), &[viewed]).repeat(), Repeat::OnlyIfUnsent),
        (PutActivity::new(&plain).repeat(), Repeat::Freely),
        (PutActivity::new(&deep).repeat(), Repeat::OnlyIfUnsent),
        (PutHistoryItem::new(&id, Guid::from(1), &history).repeat(), Repeat::Freely),
        (ListActivities::new().repeat(), Repeat::Freely),
        (RecentActivities::new().repeat(), Repeat::Freely),
        (PatchItem::new(&connection, item.id(), &update).repeat(), Repeat::Freely),
    ] {
        assert_eq!(repeat, expected);
    }
    assert!(PutItem::new(&connection, &with_activity).call(&ServiceRoot::v1()).is_ok_and(|call| {
        call.repeat() == Repeat::OnlyIfUnsent
            && call.request().body().ends_with(
                br#""performedBy":{"type":"user","id":"00000000-0000-0000-0000-000000000001"}}]}"#,
            )
    }));
}

fn answered<E: Endpoint>(
    endpoint: &E,
    status: u16,
    body: &'static str,
) -> Result<E::Output, Error> {
    let transport = |_: http::Request<Bytes>, _: &SendOptions| {
        Ok(http::Response::builder()
            .status(status)
            .header("request-id", "r-1")
            .body(Bytes::from(body))
            .unwrap())
    };
    client(transport).send(endpoint)
}

fn client<T>(transport: T) -> Client<T>
where
    T: Fn(http::Request<Bytes>, &SendOptions) -> Result<http::Response<Bytes>, Failure>,
{
    let mut once = Policy::default();
    once.attempts = 1;
    Client::builder(ServiceRoot::v1(), AccessToken::new("top-secret").unwrap())
        .policy(once)
        .build(transport, VirtualClock::default())
}

#[test]
fn an_error_says_whether_the_write_happened() {
    let (connection, item) = (connection(), item());
    let put = PutItem::new(&connection, &item);
    for (status, applied) in [
        (400, Applied::No),
        (401, Applied::No),
        (404, Applied::No),
        (408, Applied::Maybe),
        (409, Applied::No),
        (413, Applied::No),
        (429, Applied::No),
        (302, Applied::No),
        (303, Applied::Maybe),
        (500, Applied::Maybe),
        (499, Applied::Maybe),
        (100, Applied::Maybe),
        (600, Applied::Maybe),
        (999, Applied::Maybe),
        (501, Applied::No),
        (502, Applied::Maybe),
        (503, Applied::Maybe),
        (504, Applied::Maybe),
        (509, Applied::Maybe),
    ] {
        let error = answered(&put, status, "").unwrap_err();
        assert_eq!(error.applied(), applied, "{status}");
        assert_eq!(error.status().unwrap(), status);
        assert_eq!(error.request_id(), Some("r-1"));
        let read = answered(&GetItem::new(&connection, item.id()), status, "").unwrap_err();
        assert_eq!(read.applied(), Applied::No, "a GET writes nothing");
    }
    for (failure, applied) in [
        (Failure::not_sent("refused"), Applied::No),
        (Failure::maybe_sent("reset"), Applied::Maybe),
    ] {
        let failure = RefCell::new(Some(failure));
        let transport =
            |_: http::Request<Bytes>, _: &SendOptions| Err(failure.borrow_mut().take().unwrap());
        let error = client(transport).send(&put).unwrap_err();
        assert_eq!(error.applied(), applied);
        assert!(matches!(error.cause(), Cause::Transport(_)));
    }
    let unreadable = answered(&put, 200, "<html>").unwrap_err();
    assert_eq!(unreadable.applied(), Applied::Yes);
    assert_eq!(
        unreadable.to_string(),
        "Create or replace item: 200 OK, but of its 6 bytes of answer: the body is not JSON: \
         expected value at line 1 column 1; it was carried out"
    );
}

#[test]
fn errors_read_as_a_sentence_with_the_real_cause() {
    let (connection, item) = (connection(), item());
    let body = r#"{"error":{"code":"InvalidRequest","message":"Malformed.","innerError":
        {"code":"guid","message":"no GUID","target":"$.acl[0].value"}}}"#;
    let error = answered(&PutItem::new(&connection, &item), 400, body).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Create or replace item: 400 Bad Request: InvalidRequest: Malformed, because of guid: \
         no GUID (at $.acl[0].value) (request-id r-1); it was not carried out"
    );
    let transport =
        |_: http::Request<Bytes>, _: &SendOptions| Err(Failure::maybe_sent("connection reset"));
    let error = client(transport).send(&PutItem::new(&connection, &item)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Create or replace item: no answer, and the request may have arrived: connection reset; \
         given up after 1 attempt, for the policy allows no more"
    );
}

#[test]
fn any_success_will_do_for_an_item() {
    let (connection, item) = (connection(), item());
    let put = PutItem::new(&connection, &item);
    let update = ItemUpdate::builder().content(Change::Null).build().unwrap();
    let patch = PatchItem::new(&connection, item.id(), &update);
    for (status, body, has_item) in [
        (200, "", false),
        (201, "", false),
        (204, "", false),
        (200, " \r\n", false),
        (200, "null", false),
        (200, r#"{"id":"T1","activities":[]}"#, true),
    ] {
        assert_eq!(answered(&put, status, body).unwrap().is_some(), has_item);
        assert_eq!(answered(&patch, status, body).unwrap().is_some(), has_item);
    }
}

#[test]
fn an_error_in_the_place_of_an_item_is_no_item() {
    let (connection, item) = (connection(), item());
    let update = ItemUpdate::builder().content(Change::Null).build().unwrap();
    let body = r#"{"error":{"code":"odd"}}"#;
    for error in [
        answered(&PutItem::new(&connection, &item), 200, body).unwrap_err(),
        answered(&PatchItem::new(&connection, item.id(), &update), 200, body).unwrap_err(),
    ] {
        assert!(matches!(error.cause(), Cause::Unreadable { .. }));
        assert_eq!(error.applied(), Applied::Yes);
    }
}

#[test]
fn an_item_is_read_with_its_label_and_its_activities() {
    let body = r##"{"id":"T1","informationProtectionLabel":{"sensitivityLabelId":"L","new":1},
        "activities":[{"@odata.type":"#microsoft.graph.externalConnectors.externalActivity",
        "id":"a","type":"viewed","startDateTime":"2021-04-06T18:04:31.033Z",
        "performedBy":{"type":"user","id":"u","displayName":null}},{}]}"##;
    let (connection, id) = (connection(), ItemId::new("T1").unwrap());
    let stored = answered(&GetItem::new(&connection, &id), 200, body).unwrap();
    assert!(stored.other.is_empty());
    let label = stored.information_protection_label.as_ref().unwrap();
    assert_eq!(label.sensitivity_label_id.as_deref(), Some("L"));
    let [viewed, bare] = &stored.activities.as_ref().unwrap()[..] else { panic!("{stored:?}") };
    assert_eq!(viewed.id.as_deref(), Some("a"));
    assert_eq!(viewed.kind, Some(ExternalActivityType::Viewed));
    assert_eq!(viewed.start_date_time, Some(at("2021-04-06T18:04:31.033Z")));
    let by = viewed.performed_by.as_ref().unwrap();
    assert_eq!((by.id.as_deref(), &by.kind), (Some("u"), &Some(IdentityType::User)));
    assert_eq!(bare.kind, None);
    assert_eq!(
        serde_json::to_value(&stored).unwrap(),
        serde_json::from_str::<serde_json::Value>(body).unwrap()
    );
}

#[test]
fn an_answer_that_broke_off_keeps_what_came() {
    let (connection, item) = (connection(), item());
    let put = PutItem::new(&connection, &item);
    for (status, applied) in [
        (200, Applied::Yes),
        (207, Applied::Maybe),
        (400, Applied::No),
        (429, Applied::No),
        (500, Applied::Maybe),
    ] {
        let transport = |_: http::Request<Bytes>, _: &SendOptions| {
            let partial = http::Response::builder()
                .status(status)
                .header("request-id", "r-1")
                .header("retry-after", "7")
                .body(Bytes::from_static(b"{\"err"))
                .unwrap();
            Err(Failure::maybe_sent("cut").with_partial(partial))
        };
        let error = client(transport).send(&put).unwrap_err();
        assert_eq!((error.applied(), error.request_id()), (applied, Some("r-1")));
        assert_eq!(error.status().unwrap(), status);
        assert_eq!(error.retry_after().unwrap().as_secs(), 7);
        let Cause::Transport(failure) = error.cause() else { panic!("{error}") };
        assert_eq!(&failure.partial().unwrap().body()[..], b"{\"err");
    }
}

/// `POST /me/messages`, as somebody outside this crate would write it.
struct PostMessage<'a> {
    subject: &'a str,
}

impl Endpoint for PostMessage<'_> {
    type Output = String;
    const ROUTE: Route = Route::post("Create message", "/me/messages").success(&[201]);

    fn args(&self, _: &mut PathArgs<'_>) {}

    fn body(&self, _: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        if self.subject.is_empty() {
            return Err(Fault::new(Rule::MemberRequired, "$.subject", "is empty; name it").into());
        }
        write_json(&serde_json::json!({ "subject": self.subject }), out)
    }

    fn parse(answer: &Answer<'_>) -> Result<String, DecodeError> {
        #[derive(serde::Deserialize)]
        struct Message {
            id: String,
        }
        answer.json().map(|message: Message| message.id)
    }
}

#[test]
fn an_endpoint_outside_can_refuse_its_own_body() {
    let root = ServiceRoot::v1();
    let refused = PostMessage { subject: "" }.request(&root);
    assert_eq!(broken(refused), [(Rule::MemberRequired, "$.subject".to_owned())]);
    let request = PostMessage { subject: "Äpfel" }.request(&root).unwrap();
    assert_eq!(request.body(), "{\"subject\":\"Äpfel\"}".as_bytes());
    assert_eq!(PostMessage { subject: "x" }.repeat(), Repeat::OnlyIfUnsent);
    assert_eq!(answered(&PostMessage { subject: "x" }, 201, r#"{"id":"7"}"#).unwrap(), "7");
}

/// Several at a time, of which some may fail.
struct DeleteMessages;

impl Endpoint for DeleteMessages {
    type Output = u8;
    const ROUTE: Route = Route::post("Delete messages", "/me/messages/delete");

    fn args(&self, _: &mut PathArgs<'_>) {}

    fn parse(answer: &Answer<'_>) -> Result<u8, DecodeError> {
        answer.json()
    }

    fn is_complete(left: &u8) -> bool {
        *left == 0
    }
}

#[test]
fn a_reply_says_whether_all_was_done_whatever_its_value_was_made_into() {
    let root = ServiceRoot::v1();
    let response = |left: &str| http::Response::new(Bytes::copy_from_slice(left.as_bytes()));
    let request = DeleteMessages.request(&root).unwrap();
    let call = DeleteMessages.call(&root).unwrap();
    let wider = DeleteMessages.call_into::<u64>(&root).unwrap();
    for (left, complete) in [("0", true), ("2", false)] {
        assert_eq!(DeleteMessages::response(&request, response(left)).unwrap().complete, complete);
        assert_eq!(call.response(response(left)).unwrap().complete, complete);
        assert_eq!(wider.response(response(left)).unwrap().complete, complete);

        let mut batches = Batches::new(&root);
        let part = batches.add(&DeleteMessages).unwrap();
        let client = client(|_, _: &SendOptions| {
            let answers = format!(r#"{{"responses":[{{"id":"1","status":200,"body":{left}}}]}}"#);
            Ok(http::Response::new(answers.into()))
        });
        let answers = client.run(&batches).unwrap();
        assert_eq!(answers.reply(&part).unwrap().complete, complete);
    }
    let bent = Bent::response(&request, response("")).unwrap();
    assert!(bent.complete, "a success is one, unless it says otherwise");
}

/// An operation whose second spelling has its argument in another place.
struct Bent;

impl Endpoint for Bent {
    type Output = ();
    const ROUTE: Route = Route::get("Bent", "/a/{b}/c");

    fn path(&self) -> &'static str {
        "/a/b/{c}?x"
    }

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push("y");
    }

    fn query(&self, query: &mut Query<'_>) {
        query.push("$filter&x=1#", "a");
    }

    fn parse(_: &Answer<'_>) -> Result<(), DecodeError> {
        Ok(())
    }
}

#[test]
fn a_second_spelling_of_another_shape_is_refused() {
    let refused = Bent.request(&ServiceRoot::v1());
    assert_eq!(broken(refused), [(Rule::PathSegment, "path".to_owned())]);
}

#[test]
fn the_token_goes_to_the_root_and_shows_nowhere() {
    let seen = RefCell::new(Vec::new());
    let transport = |request: http::Request<Bytes>, _: &SendOptions| {
        seen.borrow_mut().push(request);
        Ok(http::Response::new(Bytes::from_static(b"{}")))
    };
    let client = client(transport);
    let connection = connection();
    let get = GetConnection::new(&connection);
    client.send(&get).unwrap();

    let elsewhere =
        ServiceRoot::https("https://graph.microsoft.com.evil.example", Cloud::Global, Version::V1)
            .unwrap();
    let error = client.reply_to(get.call(&elsewhere).unwrap()).unwrap_err();
    let Cause::Build(why) = error.cause() else { panic!("{error}") };
    assert!(why.breaks(Rule::OtherRoot));

    let beta = ServiceRoot::new(Cloud::Global, Version::Beta);
    assert_eq!(client.reply_to(get.call(&beta).unwrap()).unwrap().status, 200);

    let seen = seen.borrow();
    let hosts: Vec<_> = seen.iter().map(|request| request.uri().host().unwrap()).collect();
    assert_eq!(hosts, ["graph.microsoft.com"; 2]);
    assert_eq!(seen[0].headers()["Authorization"], "Bearer top-secret");
    assert!(seen[0].headers()["Authorization"].is_sensitive());
    for text in [format!("{:?}", seen[0]), format!("{client:?}"), format!("{error:?} {error}")] {
        assert!(!text.contains("top-secret"), "{text}");
    }
    for bad in ["", "two words", "line\nbreak", "top-secret\u{e4}"] {
        let refused = AccessToken::new(bad).unwrap_err();
        assert!(bad.is_empty() || !refused.to_string().contains(bad));
    }
}
