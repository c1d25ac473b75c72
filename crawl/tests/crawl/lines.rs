//! From a file of lines into the service.

use std::io::{self, Read as _};

use graphfeed_core::{
    external::{Duplicates, PropertyType, Schema, SchemaProperty},
    protocol::ServiceRoot,
    types::RawJson,
};
use graphfeed_crawl::{Entry, ItemLines, Journal, NdjsonSettings, State, Sweep};

use crate::world::World;

const FILE: &str = r##"
{"id":"a/b","acl":[{"type":"everyone","value":"67a141d8-cf4e-4528-ba07-bed21bfacd2d","accessType":"grant"}],"properties":{"title":"Äpfel"},"activities":[{"@odata.type":"#microsoft.graph.externalConnectors.externalActivity","type":"viewed","startDateTime":"2026-01-01T00:00:00Z","performedBy":{"type":"user","id":"00000000-0000-0000-0000-000000000009"}}]}
{"id":"refused","acl":[],"properties":{"title":"nobody sees it"}}
{"id":"c","acl":[{"type":"everyone","value":"67a141d8-cf4e-4528-ba07-bed21bfacd2d","accessType":"grant"}],"properties":{"title":"c"}}
"##;

fn entries(file: impl io::Read) -> Vec<Entry> {
    let file = io::BufReader::new(file);
    let lines = ItemLines::new(file, NdjsonSettings::new(ServiceRoot::v1()));
    lines.map(Entry::from).collect()
}

/// A disk that can be read no further.
struct Broken;

impl io::Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}

#[test]
fn a_file_that_cannot_be_read_to_its_end_deletes_nothing() {
    let world = &mut World::new();
    world.settings.most_swept = 1.0;
    world.run(entries(FILE.as_bytes()));
    let letters = world.letters().len();
    // Not even where it breaks between two lines.
    let first = FILE.trim_start().split_inclusive('\n').next().unwrap();
    for known in [first, &FILE[..FILE.len() - 20], ""] {
        let report = world.run(entries(known.as_bytes().chain(Broken)));
        assert_eq!((report.sweep, report.deleted), (Sweep::NotComplete, 0), "{known}");
        assert_eq!((world.titles().len(), world.deletes()), (2, 0));
    }
    let letter = &world.letters()[letters];
    assert_eq!((letter.key.as_deref(), letter.line), (None, Some(2)));
    assert_eq!(letter.rule.as_deref(), Some("source"));
    assert!(letter.cause.contains("the disk is gone"), "{}", letter.cause);
}

#[test]
fn the_items_of_a_file_are_stored_with_their_activities_and_refused_lines_have_letters() {
    let world = World::new();
    let report = world.run(entries(FILE.as_bytes()));
    assert_eq!((report.seen, report.ok, report.failed), (3, 2, 1));
    assert_eq!((world.titles()["a/b"].as_str(), world.viewers("a/b")), ("Äpfel", vec![9]));
    let letter = &world.letters()[0];
    assert_eq!(
        (letter.key.as_deref(), letter.rule.as_deref()),
        (Some("refused"), Some("acl-required"))
    );
    assert_eq!(world.run(entries(FILE.as_bytes())).unchanged, 2);
    assert_eq!((world.puts(), world.adds()), (2, 1));
}

#[test]
fn a_line_that_was_refused_is_in_its_letter_with_its_number_and_goes_out_when_it_is_mended() {
    let world = &mut World::new();
    let schema =
        Schema::new([SchemaProperty::new("tags", PropertyType::StringCollection)]).unwrap();
    world.settings.schema = Some(schema.clone());
    let line = r#"{"id":"a/b","acl":[],"properties":{"tags":[]}}"#;
    let mut settings = NdjsonSettings::new(ServiceRoot::v1());
    settings.schema = Some(schema);
    let file = format!("\n{line}\n");
    let source = ItemLines::new(file.as_bytes(), settings).map(Entry::from).collect();
    assert_eq!(world.run(source).failed, 1);

    let mut letter = world.letters().remove(0);
    assert_eq!((letter.key.as_deref(), letter.line), (Some("a/b"), Some(2)));
    assert_eq!(letter.item.as_ref().unwrap().get(), line);
    // As it is, it is refused again, and nothing of it is lost.
    world.replay_these(vec![letter.clone()], Duplicates::Never);
    let again = world.letters().pop().unwrap();
    assert_eq!((again.line, &again.item), (letter.line, &letter.item));

    let everyone = r#""acl":[{"type":"everyone","value":"67a141d8-cf4e-4528-ba07-bed21bfacd2d","accessType":"grant"}]"#;
    letter.item = Some(RawJson::parse(&line.replace(r#""acl":[]"#, everyone)).unwrap());
    let report = world.replay_these(vec![letter], Duplicates::Never);
    assert_eq!((report.ok, world.state("a/b")), (1, Some(State::Stored)));
    let item = world.emulator.items("contosohr").remove(0);
    assert_eq!((&*item.properties[0].name, &*item.properties[0].json), ("tags", "[]"));
}

#[test]
fn a_line_whose_key_no_journal_takes_has_its_number_in_its_letter() {
    let world = World::new();
    let long = "k".repeat(Journal::LONGEST_KEY + 1);
    let report = world.run(entries(format!("{{\"id\":\"{long}\",\"acl\":[]}}").as_bytes()));
    let letter = world.letters().remove(0);
    assert_eq!((report.failed, letter.key, letter.line), (1, Some(long), Some(1)));
}

#[test]
fn a_line_without_a_key_keeps_everything_from_being_deleted() {
    let world = &mut World::new();
    world.settings.most_swept = 1.0;
    world.run(entries(FILE.as_bytes()));
    let report = world.run(entries(&b"{\"id\":\n"[..]));
    assert_eq!((report.failed, report.sweep), (1, Sweep::NotComplete));
    assert_eq!(world.titles().len(), 2);
    let letter = &world.letters()[1];
    assert_eq!((letter.key.as_deref(), letter.line), (None, Some(1)));
}
