//! What fails becomes a letter, letters survive a crash, and a call is made again from one.

use std::{
    error::Error as StdError,
    fmt,
    fs::{self, File, OpenOptions},
    io::{BufReader, ErrorKind, Write},
    path::Path,
};

use bytes::Bytes;
use graphfeed_core::{
    external::{
        Acl, ActivityEnds, AddActivities, AddedActivities, DeleteItem, Duplicates,
        ExternalActivity, ExternalItem, ExternalItemContent, Identity, Principal, PutItem,
        StoredItem,
    },
    machine::{
        End, Ingest, IngestSettings, IngestStep, Outcome, Policy, Shared, Start, Tick, Token,
    },
    protocol::{
        Applied, Call, Cloud, Deleted, Endpoint, Failure, Limits, Repeat, ServiceRoot, Version,
    },
    types::{AccessToken, BuildError, ConnectionId, Fault, Guid, ItemId, RawJson, Rule, Timestamp},
};
use graphfeed_crawl::{
    DeadLetter, DeadLetterLines, DeadLetters, ItemLines, LineError, NdjsonSettings,
};
use proptest::prelude::*;

/// What a call of a crawl comes to.
#[derive(Debug)]
enum Came {
    Put,
    Deleted,
    Added,
}

impl From<Option<StoredItem>> for Came {
    fn from(_: Option<StoredItem>) -> Self {
        Self::Put
    }
}

impl From<Deleted> for Came {
    fn from(_: Deleted) -> Self {
        Self::Deleted
    }
}

impl From<AddedActivities> for Came {
    fn from(_: AddedActivities) -> Self {
        Self::Added
    }
}

const SECRET: &str = "the-secret-token";

fn time() -> Timestamp {
    Timestamp::from_unix_seconds(1_767_323_045).unwrap()
}

fn connection() -> ConnectionId {
    ConnectionId::new("contosohr").unwrap()
}

fn id() -> ItemId {
    ItemId::from_key("a/b")
}

fn root() -> ServiceRoot {
    ServiceRoot::v1()
}

fn item() -> ExternalItem {
    ExternalItem::builder(id())
        .acl(Acl::everyone(Guid::from(1)))
        .property("title", "Äpfel \"kandiert\"")
        .property("due", time())
        .property("ratio", 7.0)
        .property("tags", ["rot"])
        .property("who", Principal::upn("ann@contoso.com"))
        .content(ExternalItemContent::text("a\u{2028}b\n"))
        .build()
        .unwrap()
}

fn activities() -> Vec<ExternalActivity> {
    let at = |second| Timestamp::from_unix_seconds(second).unwrap();
    let who = || Identity::user(Guid::from(7));
    vec![
        ExternalActivity::viewed(at(1), who()),
        ExternalActivity::modified(at(2), who()),
        ExternalActivity::viewed(at(3), who()),
    ]
}

fn put() -> Call<Came> {
    PutItem::new(&connection(), &item()).call_into(&root()).unwrap()
}

fn put_with_activity() -> Call<Came> {
    let item = ExternalItem::builder(id())
        .acl(Acl::everyone(Guid::from(1)))
        .property("n", 1)
        .activity(activities().remove(0))
        .build()
        .unwrap();
    PutItem::new(&connection(), &item).call_into(&root()).unwrap()
}

fn delete() -> Call<Came> {
    DeleteItem::new(&connection(), &id()).call_into(&root()).unwrap()
}

fn add() -> Call<Came> {
    AddActivities::new(&connection(), &id(), &activities()).call_into(&root()).unwrap()
}

fn add_qualified() -> Call<Came> {
    AddActivities::new(&connection(), &id(), &activities()).qualified().call_into(&root()).unwrap()
}

type Answer = Result<http::Response<Bytes>, Failure>;

/// What becomes of one call in a bulk run in which every attempt is answered so.
fn outcome(call: Call<Came>, answer: impl Fn() -> Answer) -> Outcome<Came> {
    let mut now = Tick::default();
    let mut shared = Shared::default();
    let start = Start::new(root(), Policy::default(), 7, now);
    let mut ingest = Ingest::new(IngestSettings::default(), &start);
    assert!(ingest.offer("key", call, now).is_ok());
    ingest.close();
    loop {
        match ingest.poll(now, &mut shared) {
            IngestStep::Token(need) => {
                let token = Token::new(AccessToken::new(SECRET).unwrap());
                ingest.on_token(need.lease, now, Ok(token), &mut shared);
            }
            IngestStep::Send(attempt) => match answer() {
                Ok(answer) => ingest.on_response(attempt.ticket, now, answer, &mut shared),
                Err(failure) => ingest.on_failure(attempt.ticket, now, failure, &mut shared),
            },
            IngestStep::Done(_, outcome) => return outcome,
            IngestStep::Idle { until, .. } => now = until.expect("it ends"),
            IngestStep::Finished(_) => panic!("no outcome"),
        }
    }
}

fn answer(status: u16, body: &str) -> Answer {
    Ok(http::Response::builder()
        .status(status)
        .header("request-id", "r-1")
        .header("client-request-id", "c-1")
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap())
}

#[derive(Debug)]
struct Reset(Option<Box<Self>>);

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "cannot read" } else { "connection reset" })
    }
}

impl StdError for Reset {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.as_deref().map(|source| source as _)
    }
}

fn silence() -> Answer {
    Err(Failure::maybe_sent(Reset(Some(Box::new(Reset(None))))))
}

fn refusal() -> Answer {
    answer(
        400,
        r#"{"error":{"code":"InvalidRequest","message":"Malformed.","innerError":
            {"date":"2026-01-02","innerError":{"code":"DeserializationError","message":"Cannot read 'due'","target":"$.due"}}}}"#,
    )
}

fn line(letter: &DeadLetter) -> String {
    serde_json::to_string(letter).unwrap()
}

fn round_trip(letter: &DeadLetter) -> DeadLetter {
    let line = line(letter);
    assert!(!line.contains('\n') && !line.contains(SECRET), "{line}");
    let read: DeadLetter = serde_json::from_str(&line).unwrap();
    assert_eq!(read, *letter);
    read
}

#[test]
fn a_letter_says_what_was_wanted_and_what_went_wrong() {
    let letter = DeadLetter::of("a/b", &outcome(delete(), refusal), time()).unwrap();
    round_trip(&letter);
    assert_eq!(
        line(&letter),
        concat!(
            r#"{"time":"2026-01-02T03:04:05Z","key":"a/b","operation":"Delete item","#,
            r#""cause":"Delete item: 400 Bad Request: InvalidRequest: Malformed, because of DeserializationError: "#,
            r#"Cannot read 'due' (at $.due) (request-id r-1); it was not carried out","#,
            r#""inner":[{"code":"InvalidRequest","message":"Malformed."},"#,
            r#"{"code":"DeserializationError","message":"Cannot read 'due'","target":"$.due"}],"#,
            r#""status":400,"requestId":"r-1","clientRequestId":"c-1","attempts":1,"applied":"no","#,
            r#""request":{"method":"DELETE","path":"/external/connections/contosohr/items/x--eYS9i"}}"#,
        )
    );

    let letter = DeadLetter::of("k", &outcome(add(), silence), time()).unwrap();
    round_trip(&letter);
    assert_eq!((letter.applied, letter.attempts, letter.status), (Applied::Maybe, 1, None));
    let messages: Vec<_> =
        letter.inner.iter().map(|inner| inner.message.as_deref().unwrap()).collect();
    assert_eq!(
        messages,
        ["no answer, and the request may have arrived", "cannot read", "connection reset"]
    );
    let request = letter.request.unwrap();
    assert_eq!(request.path, "/external/connections/contosohr/items/x--eYS9i/addActivities");
    assert_eq!(request.body.unwrap().get().as_bytes(), add().request().body());

    assert_eq!(DeadLetter::of("k", &outcome(put(), || answer(200, "")), time()), None);
    assert_eq!(DeadLetter::of("k", &outcome(delete(), || answer(404, "")), time()), None);
}

#[test]
fn what_a_source_has_and_cannot_be_sent_is_a_letter_with_its_line() {
    let file = "\n{\"id\":\"k\",\"acl\":[],\"properties\":{\"tags\":[]}}\n{";
    let settings = NdjsonSettings::new(root());
    let letters: Vec<_> = ItemLines::new(file.as_bytes(), settings)
        .map(|line| match line {
            Err(LineError::Refused(refused)) => DeadLetter::of_line(&refused, time()),
            other => panic!("{other:?}"),
        })
        .collect();
    let first = round_trip(&letters[0]);
    assert_eq!((first.key.as_deref(), first.line), (Some("k"), Some(2)));
    assert_eq!(
        (first.rule.as_deref(), first.place.as_deref()),
        (Some("acl-required"), Some("$.acl"))
    );
    let codes: Vec<_> = first.inner.iter().map(|inner| inner.code.as_deref().unwrap()).collect();
    assert_eq!(codes, ["acl-required", "annotation-collection"]);
    let second = round_trip(&letters[1]);
    assert_eq!((second.key, second.line, second.attempts), (None, Some(3), 0));

    // There is nothing to send, and that is said.
    let refused = first.call::<Came>(&root(), Duplicates::Allowed).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "$.operation: there is none, for nothing could be made of the source; correct it there \
         [member-required]"
    );
    let why = BuildError::from(Fault::new(Rule::AclRequired, "$.acl", "is empty"));
    let letter = DeadLetter::of_source("k", &why, time());
    assert_eq!((letter.line, letter.cause.as_str()), (None, "$.acl: is empty [acl-required]"));
}

#[test]
fn a_call_that_is_made_again_is_the_same_call() {
    for (call, answers) in [
        (put(), refusal as fn() -> Answer),
        (put(), silence),
        (put_with_activity(), refusal),
        (delete(), refusal),
        (add(), refusal),
        (add_qualified(), refusal),
    ] {
        let letter = DeadLetter::of("a/b", &outcome(call.clone(), answers), time()).unwrap();
        let again = round_trip(&letter).call::<Came>(&root(), Duplicates::Never).unwrap();
        let (request, before) = (again.request(), call.request());
        assert_eq!(request.method(), before.method());
        assert_eq!(request.uri(), before.uri());
        assert_eq!(request.headers(), before.headers());
        assert_eq!(request.body(), before.body());
        assert_eq!((again.route(), again.repeat()), (call.route(), call.repeat()));
    }
    // And it reads the answer as the operation's.
    let letter = DeadLetter::of("k", &outcome(put(), refusal), time()).unwrap();
    let again = letter.call(&root(), Duplicates::Never).unwrap();
    assert!(
        matches!(outcome(again, || answer(200, "")).end, End::Ok(reply) if matches!(reply.value, Came::Put))
    );
}

#[test]
fn a_call_that_is_made_again_goes_where_and_as_it_is_to_go_now() {
    let gateway =
        ServiceRoot::https("https://gate.example/graph", Cloud::Global, Version::Beta).unwrap();
    let item = ExternalItem::builder(id())
        .acl(Acl::external_group("teamx".parse().unwrap()))
        .property("n", 1)
        .build()
        .unwrap();
    let letter = |call: Call<Came>| DeadLetter::of_intent("a/b", &call, time());
    let v1 = PutItem::new(&connection(), &item).call_into(&root()).unwrap();
    let beta = PutItem::new(&connection(), &item).call_into(&gateway).unwrap();
    let path = "/external/connections/contosohr/items/x--eYS9i";
    assert_eq!(letter(beta.clone()).request.unwrap().path, path);
    let to_beta = letter(v1.clone()).call::<Came>(&gateway, Duplicates::Never).unwrap();
    assert_eq!(to_beta.request().uri(), beta.request().uri());
    assert_eq!(to_beta.request().body(), beta.request().body());
    let to_v1 = letter(beta).call::<Came>(&root(), Duplicates::Never).unwrap();
    assert_eq!(to_v1.request().body(), v1.request().body());

    let small = root().with_limits(Limits::default().with_body(10));
    assert!(letter(v1).call::<Came>(&small, Duplicates::Never).unwrap_err().breaks(Rule::BodySize));
    let few = root().with_limits(Limits::default().with_activities(2));
    let refused = letter(add()).call::<Came>(&few, Duplicates::Allowed).unwrap_err();
    assert!(refused.breaks(Rule::ActivityCount));
}

#[test]
fn what_may_have_been_appended_is_appended_again_only_by_leave() {
    let stored = || answer(200, "<html>");
    for (call, answers, applied) in [
        (add(), silence as fn() -> Answer, Applied::Maybe),
        (add_qualified(), silence, Applied::Maybe),
        (put_with_activity(), silence, Applied::Maybe),
        (add(), stored, Applied::Yes),
    ] {
        assert_eq!(call.repeat(), Repeat::OnlyIfUnsent);
        let letter = DeadLetter::of("k", &outcome(call.clone(), answers), time()).unwrap();
        assert_eq!(letter.applied, applied);
        let refused = letter.call::<Came>(&root(), Duplicates::Never).unwrap_err();
        assert_eq!(refused.faults()[0].rule, Rule::AppendAgain);
        assert_eq!(refused.faults()[0].place, "$.applied");
        let again = letter.call::<Came>(&root(), Duplicates::Allowed).unwrap();
        assert_eq!(again.request().body(), call.request().body());
    }
    let intent = DeadLetter::of_intent("k", &add(), time());
    assert_eq!((intent.applied, intent.attempts), (Applied::Maybe, 0));
    assert!(round_trip(&intent).call::<Came>(&root(), Duplicates::Never).is_err());
    // Twice comes to the same as once.
    assert!(
        DeadLetter::of_intent("k", &put(), time()).call::<Came>(&root(), Duplicates::Never).is_ok()
    );
}

#[test]
fn activities_that_were_refused_and_those_of_unknown_fate_are_letters_apart() {
    let result = |second: i64, kind: &str, error: &str| {
        format!(r#"{{"type":"{kind}","startDateTime":"1970-01-01T00:00:0{second}Z"{error}}}"#)
    };
    let body = format!(
        r#"{{"value":[{},{},{}]}}"#,
        result(1, "viewed", r#","error":null"#),
        result(2, "modified", r#","error":{"code":"InvalidRequest"}"#),
        result(3, "viewed", ""),
    );
    let outcome = outcome(add(), || answer(207, &body));
    assert_eq!(DeadLetter::of("k", &outcome, time()), None);
    let ends = ActivityEnds::of(&outcome).unwrap();
    let letters = DeadLetter::of_activities("k", &outcome, &ends, time());
    let cause = "activities: 1 stored, 1 refused, 1 that may be stored, 0 not stored; \
                 $.activities[1]: refused: InvalidRequest; \
                 $.activities[2]: the answer does not say what became of it";
    assert_eq!(letters[0].cause, cause);
    let told: Vec<_> = letters
        .iter()
        .map(|letter| {
            let body = letter.request.as_ref().unwrap().body.as_ref().unwrap();
            (letter.applied, AddActivities::read_body(body.get()).unwrap())
        })
        .collect();
    let sent = activities();
    assert_eq!(
        told,
        [(Applied::No, vec![sent[1].clone()]), (Applied::Maybe, vec![sent[2].clone()])]
    );
    let refused = round_trip(&letters[0]);
    assert_eq!((refused.status, refused.request_id.as_deref()), (Some(207), Some("r-1")));
    assert!(refused.call::<Came>(&root(), Duplicates::Never).is_ok());
    assert!(
        letters[1].call::<Came>(&root(), Duplicates::Never).unwrap_err().breaks(Rule::AppendAgain)
    );
    let outcome =
        self::outcome(add(), || answer(207, &body.replace(r#"{"code""#, r#"null,"x":{"code""#)));
    let ends = ActivityEnds::of(&outcome).unwrap();
    assert_eq!(DeadLetter::of_activities("k", &outcome, &ends, time()).len(), 1);
}

#[test]
fn no_edit_of_a_letter_steers_its_call_elsewhere() {
    let body = |json: &str| Some(RawJson::parse(json).unwrap());
    let letter = |edit: &dyn Fn(&mut DeadLetter)| {
        let mut letter = DeadLetter::of_intent("k", &put(), time());
        edit(&mut letter);
        letter
            .call::<Came>(&root(), Duplicates::Allowed)
            .map(|call| call.request().uri().to_string())
    };
    let with_path = |path: &str| {
        letter(&|letter: &mut DeadLetter| letter.request.as_mut().unwrap().path = path.to_owned())
    };
    assert_eq!(
        with_path("/external/connections/other/items/T1").unwrap(),
        "https://graph.microsoft.com/v1.0/external/connections/other/items/T1"
    );
    for (path, rule) in [
        ("", Rule::MemberType),
        ("/external/connections/contosohr", Rule::MemberType),
        ("/external/connections/contosohr/items/T1/addActivities", Rule::MemberType),
        ("/external/connections/contosohr/groups/T1", Rule::MemberType),
        ("https://evil.example/external/connections/contosohr/items/T1", Rule::MemberType),
        ("//evil.example/connections/contosohr/T1", Rule::MemberType),
        ("/external/connections/contosohr/items/../../../me", Rule::MemberType),
        ("/external/connections/contosohr/items/..", Rule::ItemId),
        ("/external/connections/contosohr/items/%2e%2e", Rule::ItemId),
        ("/external/connections/contosohr/items/", Rule::ItemId),
        ("/external/connections/contosohr/items/T1?x=1", Rule::ItemId),
        ("/external/connections/contosohr/items/T1#x", Rule::ItemId),
        ("/external/connections/a b/items/T1", Rule::ConnectionId),
        ("/external/connections//items/T1", Rule::ConnectionId),
    ] {
        let refused = with_path(path).unwrap_err();
        assert_eq!(
            (refused.faults()[0].rule, &*refused.faults()[0].place),
            (rule, "$.request.path"),
            "{path}"
        );
    }
    type Edit<'a> = &'a dyn Fn(&mut DeadLetter);
    let faults: [(Edit<'_>, &[(Rule, &str)]); 7] = [
        (
            &|it| it.operation = Some("Delete connection".to_owned()),
            &[(Rule::MemberType, "$.operation")],
        ),
        (
            &|it| it.operation = Some("Delete item".to_owned()),
            &[(Rule::MemberType, "$.request.method")],
        ),
        (&|it| it.request = None, &[(Rule::MemberRequired, "$.request")]),
        (
            &|it| it.request.as_mut().unwrap().body = None,
            &[(Rule::MemberRequired, "$.request.body")],
        ),
        (
            &|it| {
                it.request.as_mut().unwrap().body =
                    body(r#"{"acl":[{}],"properties":{"due date":1}}"#)
            },
            &[
                (Rule::MemberRequired, "$.request.body.acl[0].value"),
                (Rule::MemberRequired, "$.request.body.acl[0].type"),
                (Rule::MemberRequired, "$.request.body.acl[0].accessType"),
                (Rule::PropertyName, "$.request.body.properties['due date']"),
            ],
        ),
        (
            &|it| {
                *it = DeadLetter::of_intent("k", &delete(), time());
                it.request.as_mut().unwrap().body = body("{}");
            },
            &[(Rule::MemberUnknown, "$.request.body")],
        ),
        (
            &|it| {
                *it = DeadLetter::of_intent("k", &add(), time());
                it.request.as_mut().unwrap().body =
                    body(r#"{"activities":[{"type":"viewed"}],"x":1}"#);
            },
            &[
                (Rule::MemberRequired, "$.request.body.activities[0].startDateTime"),
                (Rule::MemberRequired, "$.request.body.activities[0].performedBy"),
                (Rule::MemberUnknown, "$.request.body.x"),
            ],
        ),
    ];
    for (edit, expected) in faults {
        let refused = letter(edit).unwrap_err();
        let found: Vec<_> =
            refused.faults().iter().map(|fault| (fault.rule, &*fault.place)).collect();
        assert_eq!(found, expected);
    }
}

fn letter(key: &str) -> DeadLetter {
    DeadLetter::of_intent(key, &delete(), time())
}

fn read(path: &Path) -> Vec<Result<(u64, Option<String>), String>> {
    let file = BufReader::new(File::open(path).unwrap());
    DeadLetterLines::new(file)
        .map(|read| read.map(|(line, letter)| (line, letter.key)).map_err(|why| why.to_string()))
        .collect()
}

fn keys(path: &Path) -> Vec<String> {
    read(path).into_iter().map(|read| read.unwrap().1.unwrap()).collect()
}

#[test]
fn letters_are_added_and_read_back_with_their_lines() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dead.ndjson");
    let mut letters = DeadLetters::open(&path).unwrap();
    assert_eq!(letters.cut_off(), 0);
    for key in ["a", "b\n\u{2028}"] {
        letters.push(&letter(key)).unwrap();
    }
    letters.sync().unwrap();
    let taken = DeadLetters::open(&path).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::WouldBlock);
    assert!(taken.to_string().ends_with("dead.ndjson: another process has it open"), "{taken}");
    drop(letters);
    let mut letters = DeadLetters::open(&path).unwrap();
    letters.push(&letter("c")).unwrap();
    letters.sync().unwrap();
    assert_eq!(keys(&path), ["a", "b\n\u{2028}", "c"]);

    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\n{\"time\":7}\n").unwrap();
    let read = read(&path);
    assert_eq!(read[2], Ok((3, Some("c".to_owned()))));
    let why = read[3].as_ref().unwrap_err();
    assert!(why.starts_with("line 5: $: is no dead letter: invalid type"), "{why}");
    assert!(why.ends_with("[body-json]"), "{why}");
    let short = DeadLetterLines::with_longest_line(&b"{\"time\":\"1970\"}\n"[..], 10);
    let told: Vec<_> = short.map(|read| read.unwrap_err().to_string()).collect();
    assert_eq!(told, ["line 1: $: is longer than 10 bytes; shorten it [line-size]"]);
}

#[test]
fn a_file_that_is_torn_anywhere_opens_to_whole_letters() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dead.ndjson");
    let (first, second) = (line(&letter("first")) + "\n", line(&letter("second")) + "\n");
    let whole = first.clone() + &second;
    for end in 0..=whole.len() {
        for zeros in [0, 3] {
            let torn = [&whole.as_bytes()[..end], &[0; 3][..zeros]].concat();
            fs::write(&path, &torn).unwrap();
            let mut letters = DeadLetters::open(&path).unwrap();
            // A line that only lacks its end is whole.
            let lacks_end = zeros == 0 && (end == first.len() - 1 || end == whole.len() - 1);
            let mut expected = Vec::new();
            expected.extend(
                (end >= first.len() || (lacks_end && end < first.len())).then_some("first"),
            );
            expected.extend(
                (end == whole.len() || (lacks_end && end > first.len())).then_some("second"),
            );
            let kept: usize = expected
                .iter()
                .map(|key| if *key == "first" { first.len() } else { second.len() })
                .sum();
            assert_eq!(letters.cut_off(), torn.len().saturating_sub(kept) as u64, "{end} {zeros}");
            letters.push(&letter("third")).unwrap();
            drop(letters);
            expected.push("third");
            assert_eq!(keys(&path), expected, "{end} {zeros}");
        }
    }
}

#[test]
fn a_long_torn_line_is_cut_off_to_its_beginning() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dead.ndjson");
    let torn = line(&letter("a")) + "\n{\"time\":\"" + &"x".repeat(300_000);
    fs::write(&path, torn).unwrap();
    assert_eq!(DeadLetters::open(&path).unwrap().cut_off(), 300_009);
    assert_eq!(keys(&path), ["a"]);
}

#[test]
fn what_is_cut_off_is_kept_beside_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let [path, torn] = ["dead.ndjson", "dead.ndjson.torn"].map(|name| directory.path().join(name));
    let whole = line(&letter("a")) + "\n";
    // Mended by hand, without an end: one is a letter, and one lacks a quote.
    fs::write(&path, whole.clone() + &line(&letter("b"))).unwrap();
    assert_eq!(DeadLetters::open(&path).unwrap().cut_off(), 0);
    assert_eq!((keys(&path), torn.exists()), (vec!["a".to_owned(), "b".to_owned()], false));
    let mistakes = ["c", "d"].map(|key| line(&letter(key)).replacen("\"key", "key", 1));
    for mistake in &mistakes {
        fs::write(&path, whole.clone() + mistake).unwrap();
        assert_eq!(DeadLetters::open(&path).unwrap().cut_off(), mistake.len() as u64);
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    }
    assert_eq!(fs::read_to_string(&torn).unwrap(), mistakes.map(|it| it + "\n").concat());

    // Where it cannot be kept, nothing is cut off.
    fs::remove_file(&torn).unwrap();
    fs::create_dir(&torn).unwrap();
    fs::write(&path, whole.clone() + "{").unwrap();
    let why = DeadLetters::open(&path).unwrap_err().to_string();
    assert!(why.contains("dead.ndjson.torn: "), "{why}");
    assert_eq!(fs::read_to_string(&path).unwrap(), whole + "{");
}

/// The device takes no byte, and cannot be shortened either.
#[cfg(target_os = "linux")]
#[test]
fn after_a_write_that_left_the_file_in_doubt_there_are_only_errors() {
    let mut letters = DeadLetters::open("/dev/full").unwrap();
    assert_eq!(letters.push(&letter("a")).unwrap_err().kind(), ErrorKind::StorageFull);
    for refused in [letters.push(&letter("b")), letters.sync()] {
        let why = refused.unwrap_err().to_string();
        assert_eq!(why, "an earlier write failed; open the dead letters again");
    }
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.ndjson");
    for text in ["{\"id\":\"a\"}\n{\"id\":", "hello", "\n", "[]"] {
        fs::write(&path, text).unwrap();
        let refused = DeadLetters::open(&path).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidData, "{text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    // Another order of the members is none of that.
    let sorted: serde_json::Value = serde_json::from_str(&line(&letter("a"))).unwrap();
    fs::write(&path, format!("{sorted}\n")).unwrap();
    assert_eq!(DeadLetters::open(&path).unwrap().cut_off(), 0);
    assert!(DeadLetters::open(directory.path()).is_err());
}

proptest! {
    #[test]
    fn any_line_is_a_letter_or_a_fault(
        at in any::<prop::sample::Index>(),
        length in 0..12_usize,
        with in r#"[{}\[\]",:0-9a-z/.@\\-]{0,8}"#,
        random in any::<String>(),
    ) {
        let mut edited = line(&DeadLetter::of_intent("ä", &put(), time()));
        let from = edited.floor_char_boundary(at.index(edited.len() + 1));
        let to = edited.ceil_char_boundary((from + length).min(edited.len()));
        edited.replace_range(from..to, &with);
        for text in [edited, random] {
            for (_, letter) in DeadLetterLines::new(text.as_bytes()).flatten() {
                if let Ok(call) = letter.call::<Came>(&root(), Duplicates::Allowed) {
                    prop_assert!(call.is_for(&root()));
                    prop_assert!(call.request().uri().path().starts_with("/v1.0/external/connections/"));
                }
            }
        }
    }
}
