//! Pages of a collection and operations that take long, each script played blocking and async.

mod support;

use std::time::Duration;

use graphfeed_core::{
    activity::{ActivityOptions, LastModified, ListActivities, RecentActivities, StoredActivity},
    external::{
        AwaitSchema, EnsureSchema, EnsuredSchema, PropertyType, Schema, SchemaProperty,
        SchemaRegistered,
    },
    protocol::{Cause, Endpoint, Error, Page},
    types::{ConnectionId, OperationId, Rule},
};
use support::{Line, asynchronous, blocking, line, play, run};

const ROOT: &str = "https://graph.microsoft.com/v1.0";
const LIST: (&str, &str) = ("GET", "/v1.0/me/activities");

/// The ids on each page of a plain list, and the error that ended them.
fn pages(lines: &[Line]) -> (Vec<Vec<String>>, Option<Error>) {
    pages_of(&ListActivities::new(), lines)
}

fn pages_of<E: Endpoint<Output = Page<StoredActivity>>>(
    first: &E,
    lines: &[Line],
) -> (Vec<Vec<String>>, Option<Error>) {
    fn gather(
        found: &mut (Vec<Vec<String>>, Option<Error>),
        page: Result<Page<StoredActivity>, Error>,
    ) {
        match page {
            Ok(page) => found.0.push(page.value.iter().map(|entry| entry.id.to_string()).collect()),
            Err(error) => assert!(found.1.replace(error).is_none(), "one error ends the pages"),
        }
    }
    let (found, _) = play(
        lines,
        |script, clock| {
            let mut found = (Vec::new(), None);
            for page in blocking(script, clock).pages(first) {
                gather(&mut found, page);
            }
            found
        },
        |script, clock| {
            pollster::block_on(async {
                let mut found = (Vec::new(), None);
                let mut pages = asynchronous(script, clock).pages(first);
                while let Some(page) = pages.next().await {
                    gather(&mut found, page);
                }
                assert!(pages.next().await.is_none());
                found
            })
        },
    );
    found
}

fn page(ids: &[&str], link: Option<&str>) -> &'static str {
    let value: Vec<_> = ids.iter().map(|id| format!(r#"{{"id":"{id}"}}"#)).collect();
    let link = link.map(|link| format!(r#","@odata.nextLink":"{link}""#)).unwrap_or_default();
    format!(r#"{{"value":[{}]{link}}}"#, value.join(",")).leak()
}

#[test]
fn pages_follow_their_links_byte_for_byte_past_empty_ones() {
    // Literal dollar, lower-case hex, plus for space: normalising would break it.
    let odd = "?$skiptoken=%24filter%3dlastModifiedDateTime+lt+2018-02-26T18%3a06%3a19.365Z";
    let link = format!("{ROOT}/me/activities{odd}");
    let (found, error) = pages(&[
        line(LIST, 200, page(&["1", "2"], Some(&link))),
        line(("GET", odd), 200, page(&[], Some(&format!("{ROOT}/me/activities?b")))),
        line(("GET", "?b"), 503, ""),
        line(("GET", "?b"), 200, page(&["3"], None)),
    ]);
    assert_eq!(found, [vec!["1", "2"], vec![], vec!["3"]]);
    assert!(error.is_none());
}

#[test]
fn options_are_asked_for_once_and_the_link_says_the_rest() {
    let since = LastModified::after("2018-01-22T21:45:00.347Z".parse().unwrap());
    let options = ActivityOptions::new().filter(since).expand_history_items();
    let asked = "/me/activities/recent?$filter=lastModifiedDateTime%20gt%20\
                 2018-01-22T21%3A45%3A00.347Z&$expand=historyItems";
    let next = "/me/activities/recent?$skiptoken=a";
    let (found, error) = pages_of(
        &RecentActivities::new().with(options),
        &[
            line(("GET", asked), 200, page(&[], Some(&format!("{ROOT}{next}")))),
            line(("GET", next), 200, page(&["1"], None)),
        ],
    );
    assert_eq!(found, [vec![], vec!["1"]]);
    assert!(error.is_none());
}

#[test]
fn a_link_elsewhere_gets_no_token_and_ends_the_pages() {
    for link in [
        "https://evil.example/v1.0/me/activities?x",
        "http://graph.microsoft.com/v1.0/me/activities?x",
        "https://graph.microsoft.com.evil.example/v1.0/me/activities",
        "https://user@graph.microsoft.com/v1.0/me/activities",
        "/v1.0/me/activities?x",
    ] {
        let (found, error) = pages(&[line(LIST, 200, page(&["1"], Some(link)))]);
        assert_eq!(found, [vec!["1"]]);
        let error = error.unwrap();
        let Cause::Build(why) = error.cause() else { panic!("{error}") };
        assert!(why.breaks(Rule::OtherRoot), "{why}");
    }
    let (_, error) = pages(&[line(LIST, 200, page(&["1"], Some("no address at all")))]);
    let error = error.unwrap();
    let Cause::Build(why) = error.cause() else { panic!("{error}") };
    assert!(why.breaks(Rule::PageLink), "{why}");
}

#[test]
fn pages_that_go_round_in_circles_end() {
    let to = |mark: &str| format!("{ROOT}/me/activities?{mark}");
    let (found, error) = pages(&[
        line(LIST, 200, page(&["1"], Some(&to("a")))),
        line(("GET", "?a"), 200, page(&["2"], Some(&to("b")))),
        line(("GET", "?b"), 200, page(&["3"], Some(&to("a")))),
    ]);
    assert_eq!(found, [vec!["1"], vec!["2"], vec!["3"]]);
    assert!(error.unwrap().to_string().contains("the pages would never end"));
}

#[test]
fn a_page_that_is_refused_ends_the_pages() {
    let (found, error) = pages(&[line(LIST, 403, "")]);
    assert!(found.is_empty());
    assert_eq!(error.unwrap().status().unwrap(), 403);
}

const ASK: (&str, &str) = ("GET", "/external/connections/contosohr/operations/op1");
const LOOK: (&str, &str) = ("GET", "/external/connections/contosohr");
const BUSY: &str = r#"{"id":"op1","status":"inprogress","error":null}"#;
const COMPLETED: &str = r#"{"id":"op1","status":"completed","error":null}"#;

fn waiting() -> AwaitSchema {
    AwaitSchema::new(ConnectionId::new("contosohr").unwrap(), OperationId::new("op1").unwrap())
}

#[test]
fn an_operation_is_asked_after_until_it_has_ended() {
    let mut lines = vec![line(ASK, 200, BUSY); 10];
    lines.push(line(ASK, 503, ""));
    lines.push(line(ASK, 200, r#"{"status":"tidyingUp"}"#));
    lines.push(line(ASK, 200, COMPLETED));
    let (outcome, waited) = run(&waiting(), &lines);
    assert!(matches!(outcome.unwrap(), SchemaRegistered::Completed(_)));
    // 1, 2, 4 ... 32, then a minute five times; and a moment for the 503.
    let whole = Duration::from_secs(63 + 5 * 60);
    assert!(waited > whole && waited < whole + Duration::from_secs(1), "{waited:?}");
}

#[test]
fn a_failed_operation_says_why() {
    let failed =
        r#"{"id":"op1","status":"failed","error":{"code":"InvalidSchema","message":"no"}}"#;
    let (outcome, _) = run(&waiting(), &[line(ASK, 200, BUSY), line(ASK, 200, failed)]);
    let error = outcome.unwrap_err();
    let Cause::OperationFailed(why) = error.cause() else { panic!("{error}") };
    assert_eq!(why.code.as_deref(), Some("InvalidSchema"));
    assert_eq!(error.to_string(), "Get operation: the operation failed: InvalidSchema: no");
    let bare = r#"{"id":"op1","status":"failed"}"#;
    let (outcome, _) = run(&waiting(), &[line(ASK, 200, bare)]);
    assert!(matches!(outcome.unwrap_err().cause(), Cause::OperationFailed(_)));
}

#[test]
fn an_operation_that_vanished_is_judged_by_its_connection() {
    let state = |state: &str| &*format!(r#"{{"id":"contosohr","state":"{state}"}}"#).leak();
    let gone = |times: usize| vec![line(ASK, 404, ""); times];
    let (outcome, waited) = run(
        &waiting(),
        &[vec![line(ASK, 200, BUSY)], gone(4), vec![line(LOOK, 200, state("ready"))]].concat(),
    );
    assert!(matches!(outcome.unwrap(), SchemaRegistered::Ready(_)));
    assert_eq!(waited.as_secs(), 1 + 2 + 4 + 8, "it was gone for ten seconds and more");
    let (outcome, _) = run(
        &waiting(),
        &[
            gone(5),
            vec![
                line(LOOK, 200, state("draft")),
                line(LOOK, 200, state("draft")),
                line(LOOK, 200, state("ready")),
            ],
        ]
        .concat(),
    );
    assert!(matches!(outcome.unwrap(), SchemaRegistered::Ready(_)));
    let (outcome, _) = run(&waiting(), &[gone(5), vec![line(LOOK, 404, "")]].concat());
    assert_eq!(outcome.unwrap_err().status().unwrap(), 404);
    let obsolete = line(LOOK, 200, state("obsolete"));
    let (outcome, _) = run(&waiting(), &[gone(5), vec![obsolete]].concat());
    assert!(matches!(outcome.unwrap_err().cause(), Cause::Conflict(_)));
}

#[test]
fn an_operation_that_is_not_to_be_found_for_a_moment_has_not_vanished() {
    // While a schema is updated the connection is ready, so that to look at it would end the wait.
    let mut lines = vec![line(ASK, 404, ""); 4];
    lines.push(line(ASK, 200, BUSY));
    lines.extend([line(ASK, 404, ""), line(ASK, 200, COMPLETED)]);
    let (outcome, _) = run(&waiting(), &lines);
    assert!(matches!(outcome.unwrap(), SchemaRegistered::Completed(_)));

    let (outcome, _) =
        run(&waiting().at_most(Duration::from_secs(8)), &vec![line(ASK, 404, ""); 4]);
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "Get operation: the operation was not to be found when last asked; wait longer, or go on \
         waiting later"
    );
}

#[test]
fn waiting_ends_when_its_time_is_over() {
    let lines = vec![line(ASK, 200, BUSY); 4];
    let (outcome, waited) = run(&waiting().at_most(Duration::from_secs(8)), &lines);
    let error = outcome.unwrap_err();
    assert!(matches!(error.cause(), Cause::StillRunning(_)));
    assert_eq!(
        error.to_string(),
        "Get operation: the operation said inprogress when last asked; wait longer, or go on \
         waiting later"
    );
    assert_eq!(waited, Duration::from_secs(7), "it did not wait in vain");
}

#[test]
fn the_location_elsewhere_is_never_asked() {
    // The script's 202 names another host; only the operation's id is taken from it.
    let schema = Schema::new([SchemaProperty::new("title", PropertyType::String)]).unwrap();
    let id = ConnectionId::new("contosohr").unwrap();
    let lines = [
        line(("GET", "/contosohr/schema"), 404, ""),
        line(("PATCH", "/contosohr/schema"), 202, ""),
    ];
    let (begun, _) = run(&EnsureSchema::new(&id, &schema), &lines);
    let EnsuredSchema::Begun { registration: begun, .. } = begun.unwrap() else { panic!() };
    let lines = [line(
        ("GET", "https://graph.microsoft.com/v1.0/external/connections/contosohr/operations/op1"),
        200,
        COMPLETED,
    )];
    let (outcome, _) = run(&AwaitSchema::new(id, begun.operation), &lines);
    outcome.unwrap();
}
