//! Files of lines: items as a source writes them, and dead letters.

use std::io::BufReader;

use graphfeed_core::{
    external::Duplicates,
    protocol::{Call, ServiceRoot},
};
use graphfeed_crawl::{
    DeadLetterLines, ItemLine, ItemLines, LineError, LongContent, NdjsonSettings, Written,
    write_item,
};

/// The first byte says how the file is read, and the rest is the file.
pub fn run(data: &[u8]) {
    let [how, file @ ..] = data else { return };
    let lines = file.split(|byte| *byte == b'\n').count() as u64;
    let mut settings = NdjsonSettings::new(ServiceRoot::v1());
    // A line of which every byte counts is soon found where it is short.
    let longest = if how & 8 == 8 { 40 } else { 2_000 };
    settings.longest_line = longest;
    if how & 1 == 1 {
        settings.long_content = LongContent::Cut;
        let limits = ServiceRoot::v1().limits().with_body(400);
        settings.root = ServiceRoot::v1().with_limits(limits);
    }
    // However it comes in, it is the same.
    let capacity = 1 + usize::from(how >> 1);
    let whole: Vec<_> = ItemLines::new(file, settings.clone()).map(shown).collect();
    let chunked = BufReader::with_capacity(capacity, file);
    let chunked: Vec<_> = ItemLines::new(chunked, settings.clone()).map(shown).collect();
    assert_eq!(whole, chunked);

    let mut last = 0;
    for line in ItemLines::new(file, settings) {
        let number = match line {
            Ok(line) => {
                is_written_as_it_was(&line);
                line.line
            }
            Err(LineError::Refused(refused)) => {
                assert!(!refused.why.faults().is_empty());
                refused.line
            }
            Err(other) => panic!("{other}"),
        };
        assert!(number > last && number <= lines, "line {number} after {last} of {lines}");
        last = number;
    }
    letters(file, longest);
}

fn shown(line: Result<ItemLine, LineError>) -> String {
    match line {
        Ok(line) => format!("{line:?}"),
        Err(why) => why.to_string(),
    }
}

fn is_written_as_it_was(line: &ItemLine) {
    let mut written = Vec::new();
    write_item(&line.item, &mut written).expect("a vector takes all");
    assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
    let mut settings = NdjsonSettings::new(ServiceRoot::v1());
    settings.longest_line = usize::MAX;
    let again = ItemLines::new(&written[..], settings).next().expect("a line").expect("an item");
    assert_eq!((&again.item, again.line), (&line.item, 1));
}

fn letters(file: &[u8], longest: usize) {
    let letters = DeadLetterLines::with_longest_line(file, longest);
    for (_, letter) in letters.filter_map(Result::ok) {
        let written = serde_json::to_string(&letter).expect("JSON");
        assert!(!written.contains('\n'), "one line");
        let again: graphfeed_crawl::DeadLetter = serde_json::from_str(&written).expect("a letter");
        assert_eq!(again, letter);
        let root = ServiceRoot::v1();
        for duplicates in [Duplicates::Never, Duplicates::Allowed] {
            let call: Result<Call<Written>, _> = letter.call(&root, duplicates);
            match call {
                Ok(call) => {
                    assert!(root.trusts(call.request().uri()), "{call:?}");
                    assert_eq!(call.request().headers().get("authorization"), None);
                    // It is the call that the letter names.
                    let kept = letter.request.as_ref().expect("a request");
                    assert_eq!(call.request().method().as_str(), kept.method);
                    let path = call.request().uri().path();
                    assert_eq!(path, format!("/v1.0{}", kept.path));
                }
                Err(why) => assert!(!why.to_string().is_empty()),
            }
        }
    }
}
