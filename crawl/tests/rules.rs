//! `docs/rules.md` shows the rules of this crate with what breaks them, and what is said then.

use graphfeed_core::{external::Duplicates, protocol::ServiceRoot};
use graphfeed_crawl::{DeadLetterLines, ItemLines, LineError, NdjsonSettings, Written};

#[test]
fn each_rule_of_this_crate_is_shown_with_what_breaks_it_and_what_is_then_said() {
    let letter = r##"{"time":"2026-01-02T03:04:05Z","key":"T1","operation":"Add activities","cause":"reset","attempts":1,"applied":"maybe","request":{"method":"POST","path":"/external/connections/contosohr/items/T1/addActivities","body":{"activities":[{"@odata.type":"#microsoft.graph.externalConnectors.externalActivity","type":"created","startDateTime":"2026-01-02T03:04:05Z","performedBy":{"type":"user","id":"67a141d8-cf4e-4528-ba07-bed21bfacd2d"}}]}}}"##;
    let (_, read) = DeadLetterLines::new(letter.as_bytes()).next().unwrap().unwrap();
    let again = read.call::<Written>(&ServiceRoot::v1(), Duplicates::Never).unwrap_err();

    let line = r#"{"id":"T1","properties":{"title":"a"}}"#;
    let mut settings = NdjsonSettings::new(ServiceRoot::v1());
    settings.longest_line = 20;
    let Some(Err(LineError::Refused(long))) = ItemLines::new(line.as_bytes(), settings).next()
    else {
        panic!("it is too long");
    };

    for row in [
        format!("| `append-again` | `DeadLetter::call`, of `{letter}` | `{again}` |"),
        format!(
            "| `line-size` | `ItemLines` with `longest_line` 20, of `{line}` | `{}` |",
            long.why
        ),
    ] {
        assert!(include_str!("../../docs/rules.md").lines().any(|line| line == row), "{row}");
    }
}
