//! A batch as one request and one answer: how it is written, and whose each outcome is.

use bytes::Bytes;
use graphfeed_core::{
    activity::{ActivityOptions, ListActivities, StoredActivity},
    external::{
        Acl, AddActivities, AddedActivities, DeleteItem, ExternalActivity, ExternalItem,
        GetConnection, GetItem, Identity, PropertyType, PutItem, RegisterSchema, Schema,
        SchemaProperty, StoredConnection, StoredItem,
    },
    protocol::{
        Answer, Applied, Batch, BatchAnswer, Call, Cause, Cloud, DecodeError, Deleted, Endpoint,
        Error, Failure, Lane, Limits, NotTaken, Page, PartOutcomes, PathArgs, Repeat, Reply, Route,
        ServiceRoot, Version,
    },
    types::{BuildError, ConnectionId, Guid, ItemId, Rule},
};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};

fn root() -> ServiceRoot {
    ServiceRoot::v1()
}

fn connection() -> ConnectionId {
    ConnectionId::new("acmehelp").unwrap()
}

fn id(id: &str) -> ItemId {
    ItemId::new(id).unwrap()
}

fn item() -> ExternalItem {
    ExternalItem::builder(id("T1"))
        .acl(Acl::everyone(Guid::from(7)))
        .property("title", "Käse")
        .build()
        .unwrap()
}

/// What all operations here answer with: nothing but their answer is looked at.
#[derive(Debug)]
struct Whatever;

macro_rules! whatever {
    ($($Output:ty),* $(,)?) => {
        $(impl From<$Output> for Whatever {
            fn from(_: $Output) -> Self {
                Self
            }
        })*
    };
}

whatever!(
    AddedActivities,
    Deleted,
    Option<StoredItem>,
    Page<StoredActivity>,
    StoredConnection,
    StoredItem,
);

fn call<E: Endpoint>(endpoint: E) -> Call<Whatever>
where
    Whatever: From<E::Output>,
{
    endpoint.call_into(&root()).unwrap()
}

fn get() -> Call<Whatever> {
    call(GetItem::new(&connection(), &id("T1")))
}

fn put() -> Call<Whatever> {
    call(PutItem::new(&connection(), &item()))
}

fn append() -> Call<Whatever> {
    let activity =
        ExternalActivity::viewed("2026-01-01T00:00:00Z".parse().unwrap(), Identity::user(1.into()));
    call(AddActivities::new(&connection(), &id("T1"), &[activity]))
}

/// An operation of a caller's own, with a body and headers as they come.
struct Own<'a> {
    body: &'a [u8],
    headers: &'a [(&'static str, &'static [u8])],
}

impl Endpoint for Own<'_> {
    type Output = ();
    const ROUTE: Route = Route::post("Own", "/own");

    fn args(&self, _: &mut PathArgs<'_>) {}

    fn headers(&self, _: &ServiceRoot, headers: &mut HeaderMap) {
        for (name, value) in self.headers {
            headers.remove(*name);
            if !value.is_empty() {
                headers.append(*name, HeaderValue::from_bytes(value).unwrap());
            }
        }
    }

    fn body(&self, _: &ServiceRoot, out: &mut Vec<u8>) -> Result<(), BuildError> {
        out.extend_from_slice(self.body);
        Ok(())
    }

    fn parse(_: &Answer<'_>) -> Result<(), DecodeError> {
        Ok(())
    }
}

fn batch<T: std::fmt::Debug>(calls: impl IntoIterator<Item = Call<T>>) -> Batch<T> {
    let mut batch = Batch::new(&root());
    for call in calls {
        batch.push(call).unwrap();
    }
    batch
}

fn body<T>(batch: &Batch<T>) -> Bytes {
    batch.call().unwrap().request().body().clone()
}

fn answer(status: u16, body: impl Into<Bytes>) -> http::Response<Bytes> {
    http::Response::builder().status(status).body(body.into()).unwrap()
}

fn outcomes<T>(batch: &Batch<T>, response: http::Response<Bytes>) -> PartOutcomes<T> {
    batch.outcomes(batch.call().unwrap().response(response))
}

fn responses<T>(batch: &Batch<T>, responses: &Value) -> PartOutcomes<T> {
    outcomes(batch, answer(200, json!({ "responses": responses }).to_string()))
}

/// Status of the part's own answer if it has one, and whether it was carried out.
fn fates<T>(outcomes: &PartOutcomes<T>) -> Vec<(Option<u16>, Applied)> {
    let fate = |outcome: &Result<Reply<T>, Error>| match outcome {
        Ok(reply) => (Some(reply.status.as_u16()), Applied::Yes),
        Err(error) => (error.status().map(|status| status.as_u16()), error.applied()),
    };
    outcomes.parts.iter().map(fate).collect()
}

#[test]
fn a_batch_is_written_as_the_documents_have_it() {
    let options = ActivityOptions::new().top(5.try_into().unwrap());
    let list = ListActivities::new().with(options);
    let batch = batch([put(), call(DeleteItem::new(&connection(), &id("T0"))), call(list)]);
    let call = batch.call().unwrap();
    assert_eq!(call.request().method(), "POST");
    assert_eq!(call.request().uri(), "https://graph.microsoft.com/v1.0/$batch");
    assert_eq!(call.request().headers()["content-type"], "application/json");
    let item = String::from_utf8(put().request().body().to_vec()).unwrap();
    assert!(item.starts_with(r#"{"acl":[{"#), "{item}");
    let expected = [
        r#"{"requests":[{"id":"1","method":"PUT","url":"/external/connections/acmehelp/items/T1","#,
        r#""headers":{"Content-Type":"application/json"},"body":"#,
        &item,
        r#"},{"id":"2","method":"DELETE","url":"/external/connections/acmehelp/items/T0"},"#,
        r#"{"id":"3","method":"GET","url":"/me/activities?$top=5"}]}"#,
    ];
    assert_eq!(body(&batch), expected.concat());
}

#[test]
fn a_part_is_as_its_call_wrote_it() {
    let odd = br#" {"b": 1.50, "a":[ ] } "#;
    let headers: &[(&str, &[u8])] =
        &[("authorization", b"Bearer t"), ("prefer", b"a"), ("accept", b"text/plain")];
    let calls = [
        Own { body: odd, headers }.call(&root()).unwrap(),
        Own { body: b"{}", headers: &[("content-type", b"")] }.call(&root()).unwrap(),
        Own { body: b"\xfb\xff\xfe?", headers: &[("content-type", b"image/png")] }
            .call(&root())
            .unwrap(),
        Own { body: b"", headers: &[] }.call(&root()).unwrap(),
    ];
    let batch = batch(calls);
    let text = String::from_utf8(body(&batch).to_vec()).unwrap();
    assert!(text.contains(r#""body":{"b": 1.50, "a":[ ] }}"#), "byte for byte: {text}");
    let written: Value = serde_json::from_str(&text).unwrap();
    let part = |index: usize| &written["requests"][index];
    assert_eq!(
        part(0)["headers"],
        json!({"Content-Type": "application/json", "prefer": "a", "accept": "text/plain"})
    );
    assert_eq!(part(1)["headers"], json!({"Content-Type": "application/json"}));
    assert_eq!(
        (&part(2)["body"], &part(2)["headers"]["Content-Type"]),
        (&json!("-__-Pw=="), &json!("image/png"))
    );
    assert_eq!(*part(3), json!({"id": "4", "method": "POST", "url": "/own"}));
}

#[test]
fn a_url_is_relative_to_a_root_behind_a_gateway() {
    let root = ServiceRoot::https("https://Gate.example:8443/graph", Cloud::Global, Version::Beta);
    let root = root.unwrap();
    let mut batch = Batch::new(&root);
    batch.push(ListActivities::new().call(&root).unwrap()).unwrap();
    let call = batch.call().unwrap();
    assert_eq!(call.request().uri(), "https://Gate.example:8443/graph/beta/$batch");
    assert!(call.is_for(&root));
    let body = std::str::from_utf8(call.request().body()).unwrap();
    assert_eq!(body, r#"{"requests":[{"id":"1","method":"GET","url":"/me/activities"}]}"#);
}

#[test]
fn what_does_not_fit_is_given_back() {
    let mut full = batch((0..20).map(|_| put()));
    let before = body(&full);
    match full.push(get()) {
        Err(NotTaken::Full(call)) => assert_eq!(call.route().name, "Get item"),
        other => panic!("{other:?}"),
    }
    assert_eq!(body(&full), before);
    assert_eq!(full.into_parts().len(), 20);

    // Exactly as many bytes as two of them need, then one less.
    let needed = body(&batch([put(), put()])).len();
    for (bytes, fit) in [(needed, 2), (needed - 1, 1)] {
        let root = root().with_limits(Limits::default().with_body(bytes));
        let mut batch = Batch::new(&root);
        let taken = [put(), put(), put()].map(|call| batch.push(call));
        assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), fit);
        assert!(matches!(taken[2], Err(NotTaken::Full(_))));
        assert!(body(&batch).len() <= bytes);
        assert_eq!(batch.parts().len(), fit);
    }
    let root = root().with_limits(Limits::default().with_batch(0));
    let mut one = Batch::new(&root);
    assert!(one.push(put()).is_ok());
    assert!(matches!(one.push(put()), Err(NotTaken::Full(_))));
}

#[test]
fn what_goes_in_no_batch_is_refused_with_its_rule() {
    let rule = |refused: Result<(), NotTaken<()>>| match refused {
        Err(NotTaken::Refused(_, why)) => {
            let fault = &why.faults()[0];
            (fault.rule, fault.place.to_string())
        }
        other => panic!("{other:?}"),
    };
    let own = |body, headers| Own { body, headers }.call(&root()).unwrap();
    let mut batch = Batch::new(&root());
    batch.push(own(b"{}", &[])).unwrap();
    let before = body(&batch);

    let elsewhere = [
        ServiceRoot::new(Cloud::UsGovL4, Version::V1),
        ServiceRoot::new(Cloud::Global, Version::Beta),
    ];
    for other in elsewhere {
        let call = Own { body: b"", headers: &[] }.call(&other).unwrap();
        assert_eq!(rule(batch.push(call)), (Rule::OtherRoot, "service root".to_owned()));
    }
    for bad in [&b"{"[..], b"{},{}", br#"{}},{"id":"9""#, b"\xff", b"\"\xff\""] {
        let place = "$.requests[1].body".to_owned();
        assert_eq!(rule(batch.push(own(bad, &[]))), (Rule::MemberType, place), "{bad:?}");
    }
    let place = "$.requests[1].headers['x']".to_owned();
    assert_eq!(rule(batch.push(own(b"", &[("x", b"\xff")]))), (Rule::MemberType, place));

    // A batch in a batch.
    struct Nested;
    impl Endpoint for Nested {
        type Output = ();
        const ROUTE: Route = Batch::<()>::ROUTE;
        fn args(&self, _: &mut PathArgs<'_>) {}
        fn parse(_: &Answer<'_>) -> Result<(), DecodeError> {
            Ok(())
        }
    }
    let nested = rule(batch.push(Nested.call(&root()).unwrap()));
    assert_eq!(nested, (Rule::MemberType, "$.requests[1].url".to_owned()));
    assert_eq!(body(&batch), before);

    let root = root().with_limits(Limits::default().with_body(60));
    let mut short = Batch::<()>::new(&root);
    let call = Own { body: b"[1,2,3,4,5,6,7,8,9,10]", headers: &[] }.call(&root).unwrap();
    assert_eq!(rule(short.push(call)), (Rule::BodySize, "$".to_owned()));
    let empty = short.call().unwrap_err();
    assert_eq!(empty.to_string(), "$.requests: is empty; push a call [member-required]");
}

#[test]
fn a_batch_may_be_repeated_as_its_most_delicate_part_may() {
    assert_eq!(batch([put(), get()]).call().unwrap().repeat(), Repeat::Freely);
    assert_eq!(batch([put(), append()]).call().unwrap().repeat(), Repeat::OnlyIfUnsent);
}

#[test]
fn each_part_is_read_as_its_own_answer_would_be() {
    let batch = batch([get(), put(), append(), put()]);
    let outcomes = responses(
        &batch,
        &json!([
            {"id": "3", "status": 429, "headers": {"Retry-After": "0.249"},
             "body": {"error": {"code": "TooManyRequests", "message": "Wait."}}},
            {"id": "1", "status": 200, "headers": {"CONTENT-TYPE": "application/json;charset=utf-8",
             "request-id": "r1"}, "body": {"id": "T1"}},
            {"id": "4", "status": 503, "headers": {"retry-AFTER": 7}},
            {"id": "2", "status": 204},
        ]),
    );
    assert!(outcomes.strays.is_empty());
    let [first, second, third, fourth] = &outcomes.parts[..] else { panic!() };
    let first = first.as_ref().unwrap();
    assert_eq!((first.request_id(), &*first.raw), (Some("r1"), &br#"{"id":"T1"}"#[..]));
    let second = second.as_ref().unwrap();
    assert_eq!((second.status.as_u16(), second.raw.len()), (204, 0));
    let third = third.as_ref().unwrap_err();
    assert_eq!(third.retry_after().unwrap().as_millis(), 249);
    assert_eq!((third.operation(), third.applied()), ("Add activities", Applied::No));
    let code = &third.service_error().unwrap().error().unwrap().code;
    assert_eq!(code.as_deref(), Some("TooManyRequests"));
    let fourth = fourth.as_ref().unwrap_err();
    assert_eq!(fourth.retry_after().unwrap().as_secs(), 7);
    assert_eq!(fourth.applied(), Applied::Maybe);
}

#[test]
fn a_part_may_say_where_its_operation_is() {
    let schema = Schema::new([SchemaProperty::new("title", PropertyType::String)]).unwrap();
    let register = RegisterSchema::new(&connection(), &schema).call(&root()).unwrap();
    let batch = batch([register]);
    let location = "https://graph.microsoft.com/v1.0/external/connections/acmehelp/operations/op1";
    let outcomes =
        responses(&batch, &json!([{"id": "1", "status": 202, "headers": {"Location": location}}]));
    assert_eq!(outcomes.parts[0].as_ref().unwrap().value.operation.as_str(), "op1");
}

#[test]
fn what_a_part_does_not_say_of_itself_holds_of_the_whole() {
    let batch = batch([get(), get()]);
    let parts = json!({"responses": [
        {"id": "1", "status": 503, "headers": {"Retry-After": "Tue, 15 Nov 1994 08:13:01 GMT"}},
        {"id": "2", "status": 503, "headers": {"request-id": "own"}},
    ]});
    let whole = http::Response::builder()
        .header("date", "Tue, 15 Nov 1994 08:12:31 GMT")
        .header("request-id", "whole")
        .header("retry-after", "60")
        .body(parts.to_string().into())
        .unwrap();
    let outcomes = outcomes(&batch, whole);
    let error = |index: usize| outcomes.parts[index].as_ref().unwrap_err();
    assert_eq!(
        (error(0).retry_after().unwrap().as_secs(), error(0).request_id()),
        (30, Some("whole"))
    );
    assert_eq!((error(1).retry_after(), error(1).request_id()), (None, Some("own")));
}

#[test]
fn a_body_that_is_no_json_is_taken_as_it_says() {
    let raw = |headers: Value, body: Value| {
        let batch = batch([get()]);
        let entry = json!([{"id": "1", "status": 400, "headers": headers, "body": body}]);
        let outcomes = responses(&batch, &entry);
        let error = outcomes.parts[0].as_ref().unwrap_err();
        String::from_utf8(error.service_error().unwrap().body().to_vec()).unwrap()
    };
    let html = json!({"Content-Type": ["text/html; charset=utf-8"]});
    assert_eq!(raw(html.clone(), json!("PGI-PC9iPg")), "<b></b>");
    assert_eq!(raw(html.clone(), json!("PGI+PC9iPg==")), "<b></b>");
    assert_eq!(raw(html.clone(), json!("<b>no base64</b>")), "<b>no base64</b>");
    assert_eq!(raw(html, json!({"error": {}})), r#"{"error":{}}"#);
    assert_eq!(raw(json!({}), json!("text")), r#""text""#);
    assert_eq!(raw(json!({"Content-Type": null, "bad name": "x"}), Value::Null), "");
}

#[test]
fn what_cannot_be_read_for_certain_may_have_been_carried_out() {
    let batch = batch([put(), append(), get()]);
    let lost = |part: &str| {
        let answer = format!(r#"{{"responses":[{{"id":"1","status":200}},{part}]}}"#);
        let outcomes = outcomes(&batch, answer_text(answer));
        let fates = fates(&outcomes);
        assert_eq!(fates[0], (Some(200), Applied::Yes), "{part}");
        // What only reads never was carried out.
        assert_eq!(fates[2], (None, Applied::No), "{part}");
        let error = outcomes.parts[1].as_ref().unwrap_err();
        assert_eq!((error.status(), error.applied()), (None, Applied::Maybe), "{part}");
        assert!(matches!(error.cause(), Cause::Transport(_)));
        let strays: Vec<String> =
            outcomes.strays.iter().map(|stray| stray.get().to_owned()).collect();
        (error.to_string(), strays)
    };
    for part in [
        "7",
        "null",
        "[]",
        "{}",
        r#"{"status":200}"#,
        r#"{"id":null,"status":200}"#,
        r#"{"id":{},"status":200}"#,
        r#"{"id":"02","status":200}"#,
        r#"{"id":"+2","status":200}"#,
        r#"{"id":"0","status":200}"#,
        r#"{"id":"4","status":200}"#,
        r#"{"id":"2 ","status":200}"#,
        r#"{"id":"2","id":"2","status":200}"#,
        r#"{"id":"99999999999999999999999","status":200}"#,
    ] {
        let (error, strays) = lost(part);
        assert_eq!(
            error,
            "Add activities: no answer, and the request may have arrived: the answer to its batch \
             has none for it"
        );
        assert_eq!(strays, [part]);
    }
    for part in [
        r#"{"id":"2"}"#,
        r#"{"id":"2","status":null}"#,
        r#"{"id":"2","status":"fine"}"#,
        r#"{"id":"2","status":20}"#,
        r#"{"id":"2","status":{}}"#,
    ] {
        let (error, strays) = lost(part);
        assert!(error.contains("has no status"), "{error}");
        assert_eq!(strays, [part]);
    }
    // Neither of two is trusted.
    let two = r#"{"id":"2","status":200},{"id":2,"status":"400"}"#;
    let (error, strays) = lost(two);
    assert!(error.contains("has several for it"), "{error}");
    assert_eq!(strays.join(","), two);
}

fn answer_text(text: String) -> http::Response<Bytes> {
    answer(200, text)
}

#[test]
fn an_id_or_a_status_of_another_json_type_is_still_one() {
    let batch = batch([put(), append()]);
    let outcomes = responses(
        &batch,
        &json!([{"id": 2, "status": "424"}, {"id": "1", "status": 200, "headers": 7}]),
    );
    assert_eq!(fates(&outcomes), [(Some(200), Applied::Yes), (Some(424), Applied::No)]);
}

#[test]
fn what_the_whole_failed_with_each_part_failed_with() {
    let batch = batch([put(), append(), get()]);
    let refused = br#"{"error":{"code":"BadRequest","message":"Invalid batch."}}"#;
    for (status, applied) in [
        (400, Applied::No),
        (401, Applied::No),
        (413, Applied::No),
        (429, Applied::No),
        (424, Applied::Maybe),
        (500, Applied::Maybe),
        (503, Applied::Maybe),
    ] {
        let outcomes = outcomes(&batch, answer(status, &refused[..]));
        let expected = [applied, applied, Applied::No].map(|applied| (Some(status), applied));
        assert_eq!(fates(&outcomes), expected);
        let error = outcomes.parts[1].as_ref().unwrap_err();
        assert_eq!(error.operation(), "Add activities");
        let text = error.to_string();
        assert!(text.starts_with("Add activities: with its batch: 4") || status >= 500, "{text}");
        assert!(text.contains("BadRequest: Invalid batch"), "{text}");
    }
    for unreadable in ["", "<html>", "{}", "[]", r#"{"responses":[{"id":"1","status":200}"#] {
        let outcomes = outcomes(&batch, answer(200, unreadable));
        let expected = [Applied::Maybe, Applied::Maybe, Applied::No].map(|it| (Some(200), it));
        assert_eq!(fates(&outcomes), expected, "{unreadable}");
        let error = outcomes.parts[0].as_ref().unwrap_err();
        let Cause::Unreadable { body, .. } = error.cause() else { panic!("{error}") };
        assert_eq!(&body[..], unreadable.as_bytes());
    }
    for (failure, applied) in [
        (Failure::not_sent("refused"), Applied::No),
        (Failure::maybe_sent("reset"), Applied::Maybe),
        (Failure::maybe_sent("cut").with_partial(answer(200, "{")), Applied::Maybe),
    ] {
        let whole: Result<Reply<BatchAnswer>, _> =
            Err(Error::transport(const { &Batch::<()>::ROUTE }, failure));
        let outcomes = batch.outcomes(whole);
        let found: Vec<_> = fates(&outcomes).into_iter().map(|(_, applied)| applied).collect();
        assert_eq!(found, [applied, applied, Applied::No]);
    }
}

#[test]
fn no_answers_at_all_is_an_answer_without_any() {
    let batch = batch([put(), get()]);
    let outcomes = responses(&batch, &json!([]));
    assert_eq!(fates(&outcomes), [(None, Applied::Maybe), (None, Applied::No)]);
}

#[test]
fn a_whole_that_failed_with_424_may_have_parts_all_the_same() {
    let batch = batch([put(), get()]);
    let parts = json!({"responses": [{"id": "2", "status": 200, "body": {"id": "T1"}},
        {"id": "1", "status": 429, "headers": {"Retry-After": "10"}}]});
    let outcomes = outcomes(&batch, answer(424, parts.to_string()));
    assert_eq!(fates(&outcomes), [(Some(429), Applied::No), (Some(200), Applied::Yes)]);
    let error = outcomes.parts[0].as_ref().unwrap_err();
    assert_eq!(error.retry_after().unwrap().as_secs(), 10);
}

#[test]
fn a_batch_waits_for_the_lanes_of_all_its_parts_and_has_none_itself() {
    let other = ConnectionId::new("contosohr").unwrap();
    let batch = batch([put(), call(GetConnection::new(&other)), get()]);
    let call = batch.call().unwrap();
    assert_eq!(call.lane(), (Lane::None, ""));
}

/// One entry of an answer: whose it claims to be, and the mark that its body carries.
#[derive(Clone, Debug)]
enum Entry {
    Part(usize),
    Stray(String),
}

fn entries(parts: usize) -> impl Strategy<Value = Vec<Entry>> {
    let stray = "[0-9a-zA-Z +-]{0,3}".prop_filter("not an id that was sent", move |id| {
        !(1..=parts).any(|part| part.to_string() == *id)
    });
    let some = prop::collection::vec(
        prop_oneof![8 => (0..parts).prop_map(Entry::Part), 1 => stray.prop_map(Entry::Stray)],
        0..2 * parts,
    );
    let all = Just((0..parts).map(Entry::Part).collect::<Vec<_>>()).prop_shuffle();
    prop_oneof![some, all]
}

proptest! {
    #[test]
    fn nobody_gets_the_answer_of_another(
        (parts, entries) in (1..=20_usize).prop_flat_map(|parts| (Just(parts), entries(parts))),
    ) {
        let batch = batch((0..parts).map(|_| put()));
        let answers: Vec<Value> = entries.iter().enumerate().map(|(at, entry)| {
            let id = match entry {
                Entry::Part(index) => (index + 1).to_string(),
                Entry::Stray(id) => id.clone(),
            };
            json!({"id": id, "status": 200, "body": {"id": at.to_string()}})
        }).collect();
        let outcomes = responses(&batch, &json!(answers));
        prop_assert_eq!(outcomes.parts.len(), parts);
        let mut told = 0;
        for (index, outcome) in outcomes.parts.iter().enumerate() {
            let own: Vec<usize> = entries.iter().enumerate().filter_map(|(at, entry)| {
                matches!(entry, Entry::Part(part) if *part == index).then_some(at)
            }).collect();
            match (&own[..], outcome) {
                ([at], Ok(reply)) => {
                    let own = format!(r#"{{"id":"{at}"}}"#);
                    prop_assert_eq!(&reply.raw[..], own.as_bytes());
                    told += 1;
                }
                ([_], Err(error)) => prop_assert!(false, "{error}"),
                (_, Ok(reply)) => prop_assert!(false, "{reply:?}"),
                (_, Err(error)) => prop_assert_eq!(error.applied(), Applied::Maybe),
            }
        }
        prop_assert_eq!(told + outcomes.strays.len(), entries.len(), "nothing is lost");
    }

    #[test]
    fn whatever_comes_back_each_part_has_an_outcome(
        status in 100..600_u16,
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..64),
            r#"\{"responses":\[(\{("id":("1"|2|null|"x")|"status":(200|"x"|7000)|"headers":(\{"a":"b"\}|1)|"body":("x"|\{\})|,){0,4}\}|,|1){0,4}\]\}"#
                .prop_map(String::into_bytes),
        ],
    ) {
        let batch = batch([put(), append(), get()]);
        let outcomes = outcomes(&batch, answer(status, bytes));
        prop_assert_eq!(outcomes.parts.len(), 3);
        let _ = format!("{outcomes:?}");
    }
}
