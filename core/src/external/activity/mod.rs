//! What people do with an item
//! ([externalActivity](https://learn.microsoft.com/graph/api/resources/externalconnectors-externalactivity)).
//!
//! Activities are written and never read back; the answer to a call is the only word on them.

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};

mod added;
mod ends;

pub use added::{ActivityFailure, AddedActivities, ExternalActivityResult, NotAllAdded};
pub use ends::{ActivityCounts, ActivityEnd, ActivityEnds};

use crate::{
    external::{
        CLOUDS, Identity, StoredIdentity, WRITE_ITEM, item::text::activities, strict::Object,
    },
    protocol::{
        Answer, DecodeError, DecodeKind, Endpoint, Lane, Page, PathArgs, Permission, Permissions,
        Repeat, Route, ServiceRoot, write_json,
    },
    types::{
        BuildError, ConnectionId, Fault, FaultList, ItemId, RawJson, Rule, Timestamp, open_enum,
        resource,
    },
};

open_enum! {
    /// What somebody did with an item.
    pub enum ExternalActivityType {
        /// Looked at it.
        Viewed = "viewed",
        /// Changed it.
        Modified = "modified",
        /// Made it.
        Created = "created",
        /// Commented on it.
        Commented = "commented",
    }
}

/// Something that somebody did with an item, at some time.
///
/// ```
/// use graphfeed_core::external::{ExternalActivity, Identity};
/// use graphfeed_core::types::Guid;
///
/// let ann = Identity::user(Guid::new("1f0c997e-99f7-43f1-8cca-086f8d42be8d")?);
/// let created = ExternalActivity::created("2021-04-06T18:04:31.033Z".parse()?, ann);
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExternalActivity {
    kind: ExternalActivityType,
    start_date_time: Timestamp,
    performed_by: Identity,
}

impl ExternalActivity {
    /// An activity of any type, also of one that is newer than this crate.
    ///
    /// # Errors
    /// [`Rule::UnknownFutureValue`] when the type is `unknownFutureValue`, and
    /// [`Rule::MemberRequired`] when it is empty.
    pub fn new(
        kind: ExternalActivityType,
        start: Timestamp,
        performed_by: Identity,
    ) -> Result<Self, BuildError> {
        let mut faults = FaultList::default();
        faults.check_word("$.type", kind.as_str());
        faults.finish()?;
        Ok(Self { kind, start_date_time: start, performed_by })
    }

    /// Somebody looked at the item.
    pub fn viewed(start: Timestamp, performed_by: Identity) -> Self {
        Self { kind: ExternalActivityType::Viewed, start_date_time: start, performed_by }
    }

    /// Somebody changed the item.
    pub fn modified(start: Timestamp, performed_by: Identity) -> Self {
        Self { kind: ExternalActivityType::Modified, start_date_time: start, performed_by }
    }

    /// Somebody made the item.
    pub fn created(start: Timestamp, performed_by: Identity) -> Self {
        Self { kind: ExternalActivityType::Created, start_date_time: start, performed_by }
    }

    /// Somebody commented on the item.
    pub fn commented(start: Timestamp, performed_by: Identity) -> Self {
        Self { kind: ExternalActivityType::Commented, start_date_time: start, performed_by }
    }

    /// What was done.
    pub fn kind(&self) -> &ExternalActivityType {
        &self.kind
    }

    /// When.
    pub fn start(&self) -> Timestamp {
        self.start_date_time
    }

    /// By whom.
    pub fn performed_by(&self) -> &Identity {
        &self.performed_by
    }
}

impl Serialize for ExternalActivity {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut members = to.serialize_struct("externalActivity", 4)?;
        members.serialize_field(
            "@odata.type",
            "#microsoft.graph.externalConnectors.externalActivity",
        )?;
        members.serialize_field("type", &self.kind)?;
        members.serialize_field("startDateTime", &self.start_date_time)?;
        members.serialize_field("performedBy", &self.performed_by)?;
        members.end()
    }
}

resource! {
    /// An activity as an answer would show it. Activities are documented as written and never
    /// read back.
    pub struct StoredExternalActivity {
        optional {
            /// The id, if the service tells one.
            id: String = "id",
            /// What was done.
            kind: ExternalActivityType = "type",
            /// When.
            start_date_time: Timestamp = "startDateTime",
            /// By whom.
            performed_by: StoredIdentity = "performedBy",
        }
    }
}

/// `POST /external/connections/{connection}/items/{item}/addActivities`: appends activities to an
/// item
/// ([document](https://learn.microsoft.com/graph/api/externalconnectors-externalitem-addactivities)).
///
/// One to 20 activities in a call; [`chunks`](Self::chunks) splits more. It appends: a call whose
/// fate is unknown is not repeated, for that could store them twice, unless
/// [`duplicates`](Self::duplicates) are allowed. Application tokens only. The documents write the
/// bare path, generated clients the one that OData qualifies; bare is the default.
#[derive(Clone, Copy, Debug)]
pub struct AddActivities<'a> {
    connection: &'a ConnectionId,
    item: &'a ItemId,
    activities: &'a [ExternalActivity],
    duplicates: Duplicates,
    path: &'static str,
}

/// Whether an activity may be there twice: what is done when the answer to a call is lost, which
/// may have been carried out. No call tells whether it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Duplicates {
    /// Never. The call is not made again, and its activities may be missing.
    Never,
    /// It may, rather than be missing. The call is made again like a PUT, and where the lost
    /// answer was that of a success, all that it stored is there twice.
    Allowed,
}

impl<'a> AddActivities<'a> {
    /// Adds `activities` to `item` of `connection`.
    pub fn new(
        connection: &'a ConnectionId,
        item: &'a ItemId,
        activities: &'a [ExternalActivity],
    ) -> Self {
        let duplicates = Duplicates::Never;
        Self { connection, item, activities, duplicates, path: Self::ROUTE.path }
    }

    /// Adds `activities` of any number to `item`, by as few calls as the root's
    /// [limits](crate::protocol::Limits) allow; none where there is none to add.
    ///
    /// Made into calls, they go into an [`Ingest`](crate::machine::Ingest) under the key of their
    /// item, after the item itself. There, [`AfterFailure::SkipUnlessPartly`] keeps them back if
    /// the item fails, and not behind a call of which not all was stored. What became of each
    /// activity is told by [`ActivityEnds`](crate::external::ActivityEnds).
    ///
    /// [`AfterFailure::SkipUnlessPartly`]: crate::machine::AfterFailure::SkipUnlessPartly
    pub fn chunks(
        connection: &'a ConnectionId,
        item: &'a ItemId,
        activities: &'a [ExternalActivity],
        duplicates: Duplicates,
        root: &ServiceRoot,
    ) -> impl ExactSizeIterator<Item = Self> + use<'a> {
        // Of a limit of none, each call says that it is broken.
        let most = root.limits().activities.max(1);
        activities
            .chunks(most)
            .map(move |some| Self::new(connection, item, some).duplicates(duplicates))
    }

    /// Says what is done when it is not known whether the call was carried out;
    /// [`Duplicates::Never`] if nothing is said.
    #[must_use]
    pub fn duplicates(mut self, duplicates: Duplicates) -> Self {
        self.duplicates = duplicates;
        self
    }

    /// Uses the path that OData qualifies,
    /// `.../microsoft.graph.externalConnectors.addActivities`.
    #[must_use]
    pub fn qualified(mut self) -> Self {
        self.path = "/external/connections/{connection}/items/{item}\
                     /microsoft.graph.externalConnectors.addActivities";
        self
    }
}

impl AddActivities<'_> {
    /// Reads the activities of a body, such as one that was kept to be sent again.
    ///
    /// # Errors
    /// Every fault, as an [item's](crate::external::ReadItem::item).
    pub fn read_body(json: &str) -> Result<Vec<ExternalActivity>, BuildError> {
        read(json, None)
    }

    /// Reads the activities of a body that goes as one call to `to`, such as one that was refused
    /// and corrected.
    ///
    /// # Errors
    /// Those of [`read_body`](Self::read_body), and [`Rule::ActivityCount`] beside them.
    pub fn read_call(json: &str, to: &ServiceRoot) -> Result<Vec<ExternalActivity>, BuildError> {
        read(json, Some(to.limits().activities))
    }
}

fn read(json: &str, most: Option<usize>) -> Result<Vec<ExternalActivity>, BuildError> {
    let mut faults = FaultList::default();
    let mut read = Vec::new();
    if let Some(mut object) = Object::parse(json, &mut faults) {
        if !object.has("activities") {
            faults.missing("$.activities");
        }
        // What is wrong with one of them does not hide that they are too many.
        let count = most.and_then(|most| Some((object.count("activities")?, most)));
        if let Some((count, most)) = count {
            faults.part("$", check_count(count, most));
        }
        read = activities(&mut object, &mut faults);
        object.finish("addActivities", &mut faults);
    }
    faults.finish().map(|()| read)
}

fn check_count(count: usize, most: usize) -> Result<(), BuildError> {
    if (1..=most).contains(&count) {
        return Ok(());
    }
    let detail = format!("{count} activities; one call takes 1 to {most}, split them");
    Err(Fault::new(Rule::ActivityCount, "$.activities", detail).into())
}

#[derive(Serialize)]
struct Body<'a> {
    activities: &'a [ExternalActivity],
}

impl Endpoint for AddActivities<'_> {
    type Output = AddedActivities;
    const ROUTE: Route = Route::post(
        "Add activities",
        "/external/connections/{connection}/items/{item}/addActivities",
    )
    .clouds(CLOUDS)
    .permissions(Permissions {
        delegated_work: Permission::NONE,
        delegated_personal: Permission::NONE,
        application: WRITE_ITEM,
    })
    .lane(Lane::Connection)
    .success(&[200, 207]);

    fn path(&self) -> &'static str {
        self.path
    }

    fn args(&self, path: &mut PathArgs<'_>) {
        path.push(self.connection);
        path.push(self.item);
    }

    fn body(&self, to: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        check_count(self.activities.len(), to.limits().activities)?;
        write_json(&Body { activities: self.activities }, out)
    }

    fn repeat(&self) -> Repeat {
        match self.duplicates {
            Duplicates::Never => Repeat::OnlyIfUnsent,
            Duplicates::Allowed => Repeat::Freely,
        }
    }

    fn is_complete(added: &AddedActivities) -> bool {
        added.all_stored()
    }

    fn parse(answer: &Answer<'_>) -> Result<AddedActivities, DecodeError> {
        let sent = sent(answer.request())?;
        let results: Page<ExternalActivityResult> = answer.resource()?;
        let partly = answer.status() == StatusCode::MULTI_STATUS;
        // In a 207, only `null` says that an activity was stored; an error that is left out, or
        // cannot be read, says nothing.
        let speaks = |result: &ExternalActivityResult| {
            let error = result.other.get("error").map(RawJson::get);
            result.error.is_some() || error == Some("null") || (!partly && error.is_none())
        };
        let results = results.value.into_iter().map(|result| (speaks(&result), result)).collect();
        Ok(AddedActivities::line_up(sent, results))
    }
}

/// The activities of a request, read back.
fn sent(request: &http::Request<Bytes>) -> Result<Vec<ExternalActivity>, DecodeError> {
    let sent: Sent = serde_json::from_slice(request.body())
        .map_err(|error| DecodeError::new(DecodeKind::Shape, format!("request: {error}")))?;
    Ok(sent.activities())
}

/// The body of a request. Private, for what is read here was made by constructors.
#[derive(Deserialize)]
struct Sent {
    activities: Vec<SentActivity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SentActivity {
    #[serde(rename = "type")]
    kind: ExternalActivityType,
    start_date_time: Timestamp,
    performed_by: Identity,
}

impl Sent {
    fn activities(self) -> Vec<ExternalActivity> {
        let activity = |SentActivity { kind, start_date_time, performed_by }| ExternalActivity {
            kind,
            start_date_time,
            performed_by,
        };
        self.activities.into_iter().map(activity).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        external::{ActivityFailure, IdentityType},
        protocol::{Advice, Applied, Cause, Error, Limits, Reply},
        types::Guid,
    };

    fn connection() -> ConnectionId {
        ConnectionId::new("contosohr").unwrap()
    }

    fn item() -> ItemId {
        ItemId::new("TSP228082938").unwrap()
    }

    fn activity(second: i64) -> ExternalActivity {
        let at =
            Timestamp::from_unix_nanoseconds(i128::from(second) * 1_000_000_000 + 500).unwrap();
        ExternalActivity::viewed(at, Identity::user(Guid::from(7_u128)))
    }

    fn answered(
        sent: &[ExternalActivity],
        status: u16,
        body: &str,
    ) -> Result<Reply<AddedActivities>, Error> {
        let request =
            AddActivities::new(&connection(), &item(), sent).request(&ServiceRoot::v1()).unwrap();
        let response = http::Response::builder()
            .status(status)
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .unwrap();
        AddActivities::response(&request, response)
    }

    fn result(second: i64, error: Value) -> Value {
        let at = Timestamp::from_unix_seconds(second).unwrap();
        json!({"type": "viewed", "startDateTime": at.to_string(), "error": error})
    }

    fn verdicts(sent: &[ExternalActivity], results: Value) -> String {
        let body = json!({ "value": results }).to_string();
        let added = answered(sent, 207, &body).unwrap().value;
        assert!(added.iter().map(|(activity, _)| activity).eq(sent));
        added
            .iter()
            .map(|(_, verdict)| match verdict {
                Ok(_) => 's',
                Err(ActivityFailure::Refused(_)) => 'f',
                Err(ActivityFailure::Unknown) => '?',
            })
            .collect()
    }

    #[test]
    fn each_activity_has_its_own_verdict() {
        let sent = [activity(1), activity(2), activity(3)];
        let fail = json!({"code": "InvalidRequest", "message": "m", "target": "t",
            "details": [{"code": "d"}], "innerError": {"code": "guid", "extra": {"a": 1}}});
        let body = json!({"value": [
            result(1, Value::Null), result(2, fail.clone()), result(3, Value::Null)]});
        let added = answered(&sent, 207, &body.to_string()).unwrap().value;
        let (_, second) = added.iter().nth(1).unwrap();
        let Err(failure @ ActivityFailure::Refused(error)) = second else {
            panic!("{second:?}");
        };
        assert_eq!(failure.advice(), Advice::Mend);
        assert_eq!(serde_json::to_value(error).unwrap(), fail);
        assert_eq!(added.failed(), [activity(2)]);
        assert!(!added.all_stored());
        let refused = added.into_result().unwrap_err();
        assert_eq!(
            refused.to_string(),
            "1 of 3 activities were refused, or may not have been stored; $.activities[1]: \
             InvalidRequest: m (at t), because of guid"
        );
    }

    #[test]
    fn results_in_another_order_or_number_are_matched_only_where_that_is_certain() {
        let fail = || json!({"code": "InvalidRequest"});
        let null = || Value::Null;
        let sent = [activity(1), activity(2), activity(3)];
        let by_time = json!([result(3, null()), result(1, fail()), result(2, null())]);
        assert_eq!(verdicts(&sent, by_time), "fss");
        assert_eq!(verdicts(&sent, json!([result(3, null()), result(1, fail())])), "f?s");
        assert_eq!(verdicts(&sent, json!([])), "???");
        let foreign = json!([result(9, null()), result(1, null()), result(2, null())]);
        assert_eq!(verdicts(&sent, foreign), "ss?");
        let bare = json!([{"error": null}, {"error": fail()}, {"error": null}]);
        assert_eq!(verdicts(&sent, bare), "sfs");
        let silent = json!([{}, {"error": fail()}, {"error": "odd"}]);
        assert_eq!(verdicts(&sent, silent), "?f?", "a 207 without a word is no success");
        let alike = [activity(1), activity(1), activity(2)];
        let mixed = json!([result(2, null()), result(1, fail()), result(1, null())]);
        assert_eq!(verdicts(&alike, mixed), "??s");
        let agreed = json!([result(2, null()), result(1, fail()), result(1, fail())]);
        assert_eq!(verdicts(&alike, agreed), "ffs");
        assert_eq!(verdicts(&alike, json!([result(1, null()), result(2, null())])), "??s");
    }

    #[test]
    fn times_may_come_back_cut_or_rounded() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let ann = Identity::user(Guid::from(7));
        let sent = [
            ExternalActivity::viewed(at("2026-01-01T00:00:00.0336Z"), ann.clone()),
            ExternalActivity::viewed(at("2026-01-01T00:00:09.9999999Z"), ann),
        ];
        for (first, second) in [("00.033", "09.999"), ("00.034", "10")] {
            let result = |second: &str| {
                json!({"type": "viewed", "error": null,
                       "startDateTime": format!("2026-01-01T00:00:{second}Z")})
            };
            assert_eq!(verdicts(&sent, json!([result(first), result(second)])), "ss");
            assert_eq!(verdicts(&sent, json!([result(second), result(first)])), "ss");
        }
    }

    #[test]
    fn what_is_unknown_is_neither_failed_nor_stored() {
        let sent = [activity(1), activity(2)];
        let added = answered(&sent, 207, r#"{"value":[]}"#).unwrap().value;
        assert_eq!(
            (added.failed(), added.unknown(), added.all_stored()),
            (vec![], sent.to_vec(), false)
        );
    }

    #[test]
    fn all_stored_gives_the_results() {
        let sent = [activity(1)];
        let mut result = result(1, Value::Null);
        result["performedBy"] = json!({"type": "user", "id": "u"});
        let body = json!({"value": [result]}).to_string();
        let stored = answered(&sent, 200, &body).unwrap().value.into_result().unwrap();
        assert_eq!(stored.len(), 1);
        let by = stored[0].performed_by.as_ref().unwrap();
        assert_eq!((by.id.as_deref(), &by.kind), (Some("u"), &Some(IdentityType::User)));
        assert_eq!(stored[0].kind, Some(ExternalActivityType::Viewed));
    }

    #[test]
    fn an_unreadable_answer_is_no_success_and_says_whether_it_was_stored() {
        for (status, applied) in [(200, Applied::Yes), (207, Applied::Maybe)] {
            for (body, kind) in [
                ("", DecodeKind::Empty),
                ("{\"value\":[", DecodeKind::Truncated),
                ("<html>", DecodeKind::NotJson),
                ("{\"value\":7}", DecodeKind::Shape),
                ("{}", DecodeKind::Shape),
            ] {
                let error = answered(&[activity(1)], status, body).unwrap_err();
                let Cause::Unreadable { why, body: kept, status: seen, .. } = error.cause() else {
                    panic!("{error}");
                };
                assert_eq!((why.kind(), seen.as_u16()), (kind, status), "{body}");
                assert_eq!(kept, body.as_bytes());
                assert_eq!(error.applied(), applied);
            }
        }
    }

    #[test]
    fn a_call_takes_one_to_twenty_unless_the_limit_is_set() {
        let many: Vec<_> = (0..21).map(activity).collect();
        let root = ServiceRoot::v1();
        let (connection, item) = (connection(), item());
        let request = |count: usize, root: &ServiceRoot| {
            AddActivities::new(&connection, &item, &many[..count]).request(root)
        };
        assert!(request(1, &root).is_ok());
        assert!(request(20, &root).is_ok());
        for count in [0, 21] {
            let refused = request(count, &root).unwrap_err();
            assert_eq!(refused.faults()[0].rule, Rule::ActivityCount);
            assert_eq!(refused.faults()[0].place, "$.activities");
        }
        let wider = root.with_limits(Limits::default().with_activities(21));
        assert!(request(21, &wider).is_ok());
    }

    #[test]
    fn a_call_that_is_read_is_counted_whatever_else_is_wrong_with_it() {
        let broken = |count: usize| {
            let body = json!({"activities": vec![json!({"type": ""}); count], "x": 0});
            let refused = AddActivities::read_call(&body.to_string(), &ServiceRoot::v1());
            let refused = refused.unwrap_err();
            let places: Vec<_> = refused.faults().iter().map(|fault| &*fault.place).collect();
            let faults = refused.faults().iter().map(|fault| fault.rule);
            let counts = faults.filter(|rule| *rule == Rule::ActivityCount).count();
            assert!(count == 0 || places.contains(&"$.activities[0].performedBy"), "{refused}");
            (counts, places.contains(&"$.x"))
        };
        assert_eq!(broken(0), (1, true));
        assert_eq!(broken(20), (0, true));
        assert_eq!(broken(21).0, 1);
        let many = (0..21).map(activity).collect::<Vec<_>>();
        let body = serde_json::to_string(&Body { activities: &many }).unwrap();
        assert!(AddActivities::read_call(&body, &ServiceRoot::v1()).is_err());
        let wider = ServiceRoot::v1().with_limits(Limits::default().with_activities(21));
        assert_eq!(AddActivities::read_call(&body, &wider).unwrap(), many);
        assert_eq!(AddActivities::read_body(&body).unwrap(), many, "they can be split");
    }

    #[test]
    fn the_path_is_bare_unless_asked_for() {
        let sent = [activity(1)];
        let (connection, item) = (connection(), item());
        let bare = AddActivities::new(&connection, &item, &sent);
        let path = |call: AddActivities<'_>| {
            call.request(&ServiceRoot::v1()).unwrap().uri().path().to_owned()
        };
        let item = "/v1.0/external/connections/contosohr/items/TSP228082938";
        assert_eq!(path(bare), format!("{item}/addActivities"));
        assert_eq!(
            path(bare.qualified()),
            format!("{item}/microsoft.graph.externalConnectors.addActivities")
        );
    }

    #[test]
    fn the_sentinel_is_never_written() {
        let kind = ExternalActivityType::from("unknownfuturevalue");
        let refused = ExternalActivity::new(kind, activity(1).start(), Identity::user(1.into()));
        assert!(refused.unwrap_err().breaks(Rule::UnknownFutureValue));
        let newer = ExternalActivityType::from("shared");
        assert!(
            ExternalActivity::new(newer, activity(1).start(), Identity::user(1.into())).is_ok()
        );
    }

    proptest! {
        #[test]
        fn as_many_verdicts_as_activities_whatever_the_answer(
            seconds in prop::collection::vec(0..5_i64, 1..20),
            results in prop::collection::vec((0..6_i64, any::<bool>()), 0..25),
        ) {
            let sent: Vec<_> = seconds.iter().copied().map(activity).collect();
            let results: Vec<_> = results
                .into_iter()
                .map(|(second, ok)| result(second, if ok { Value::Null } else { json!({"code": "x"}) }))
                .collect();
            let stored = results.iter().filter(|result| result["error"].is_null()).count();
            let seen = verdicts(&sent, Value::Array(results));
            prop_assert_eq!(seen.chars().count(), sent.len());
            prop_assert!(seen.matches('s').count() <= stored);
        }

        #[test]
        fn results_in_the_order_sent_are_believed(
            sent in prop::collection::vec((0..5_i64, any::<bool>()), 1..20),
        ) {
            let results: Vec<_> = sent
                .iter()
                .map(|(second, ok)| result(*second, if *ok { Value::Null } else { json!({"code": "x"}) }))
                .collect();
            let expected: String = sent.iter().map(|(_, ok)| if *ok { 's' } else { 'f' }).collect();
            let activities: Vec<_> = sent.iter().map(|(second, _)| activity(*second)).collect();
            prop_assert_eq!(verdicts(&activities, Value::Array(results)), expected);
        }

        #[test]
        fn no_answer_makes_the_reader_panic(status in 200..600_u16, body in any::<Vec<u8>>()) {
            let request = AddActivities::new(&connection(), &item(), &[activity(1)])
                .request(&ServiceRoot::v1())
                .unwrap();
            let response =
                http::Response::builder().status(status).body(Bytes::from(body)).unwrap();
            let _ = AddActivities::response(&request, response);
        }
    }
}
