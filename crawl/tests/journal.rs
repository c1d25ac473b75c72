//! A journal in a file, as a crawl uses it.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    ops::ControlFlow,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use graphfeed_core::{
    protocol::ServiceRoot,
    types::{ConnectionId, ItemId},
};
use graphfeed_crawl::{
    ActivityState, Change, Digest, Journal, JournalErrorKind, Record, Scope, State,
};

const NOW: Duration = Duration::ZERO;

fn scope() -> Scope {
    Scope::new(&ServiceRoot::v1(), &ConnectionId::new("contosohr").unwrap())
}

fn open(path: &Path) -> Journal {
    Journal::open(path, &scope()).unwrap()
}

fn digest(text: &str) -> Digest {
    Digest::of([text])
}

fn store(journal: &Journal, key: &str, content: &str) {
    let (id, hash) = (ItemId::from_key(key), digest(content));
    journal.apply(Change::Stored { key, id: &id, hash }, NOW).unwrap();
}

fn known(journal: &Journal, key: &str) -> (State, Option<Digest>, u64) {
    let Record { state, hash, run, .. } = journal.record(key).unwrap().unwrap();
    (state, hash, run)
}

fn unseen(journal: &Journal, run: u64) -> Vec<String> {
    let mut keys = Vec::new();
    let tell = |key: &str, _: &Record| {
        keys.push(key.to_owned());
        ControlFlow::Continue(())
    };
    let told = journal.unseen(run, tell).unwrap();
    assert_eq!(told, keys.len() as u64);
    keys
}

fn kind(path: &Path) -> JournalErrorKind {
    let refused = Journal::open(path, &scope()).unwrap_err();
    assert_eq!(refused.path, path);
    assert!(refused.to_string().contains(path.to_str().unwrap()), "{refused}");
    refused.kind
}

#[test]
fn what_is_known_of_a_key_is_found_again_synced_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let journal = open(&path);
    assert_eq!(journal.last_run(), None);
    assert_eq!(journal.begin_run().unwrap(), 1);
    store(&journal, "a", "one");
    assert_eq!(known(&journal, "a"), (State::Stored, Some(digest("one")), 1));
    let other = ItemId::new("other").unwrap();
    journal.apply(Change::Failed { key: "b", id: &other }, NOW).unwrap();
    journal.apply(Change::Uncertain { key: "a", id: &ItemId::from_key("a") }, NOW).unwrap();
    let check = |journal: &Journal| {
        assert_eq!(known(journal, "a"), (State::Uncertain, Some(digest("one")), 1));
        assert_eq!(known(journal, "b"), (State::Failed, None, 1));
        assert_eq!(journal.record("b").unwrap().unwrap().id, other);
        assert_eq!(journal.record("c").unwrap(), None);
        assert_eq!(journal.len().unwrap(), 2);
    };
    check(&journal);
    journal.sync().unwrap();
    check(&journal);
    drop(journal);
    let journal = open(&path);
    check(&journal);
    assert_eq!(journal.begin_run().unwrap(), 2);
    journal.apply(Change::Deleted { key: "a" }, NOW).unwrap();
    journal.apply(Change::Deleted { key: "never" }, NOW).unwrap();
    assert_eq!((journal.record("a").unwrap(), journal.len().unwrap()), (None, 1));
    drop(journal);
    let journal = open(&path);
    assert_eq!((journal.record("a").unwrap(), journal.len().unwrap()), (None, 1));
}

#[test]
fn awkward_keys_are_kept_apart_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let journal = open(&path);
    let long = "k".repeat(129);
    let longest = "ü".repeat(Journal::LONGEST_KEY / 2);
    let keys = ["", "a/b", "a-b", "50%", "🦀", "a", "a\0", "a\u{10FFFF}", &long, &longest];
    for key in keys {
        store(&journal, key, key);
        journal.apply(Change::Added { key, activity: digest(key) }, NOW).unwrap();
    }
    journal.begin_run().unwrap();
    drop(journal);
    let journal = open(&path);
    for key in keys {
        let found = journal.record(key).unwrap().unwrap();
        assert_eq!((found.hash, found.id), (Some(digest(key)), ItemId::from_key(key)));
        for other in keys {
            let expected = (key == other).then_some(ActivityState::Added);
            assert_eq!(journal.activity(key, digest(other)).unwrap(), expected);
        }
    }
    let mut sorted = keys.map(str::to_owned).to_vec();
    sorted.sort();
    assert_eq!(unseen(&journal, 1), sorted);

    let key = "x".repeat(Journal::LONGEST_KEY + 1);
    let id = ItemId::from_key(&key);
    let refused = journal.apply(Change::Failed { key: &key, id: &id }, NOW).unwrap_err();
    assert!(matches!(refused.kind, JournalErrorKind::KeyTooLong(98_305)), "{refused}");
    journal.apply(Change::Seen { key: &key }, NOW).unwrap();
    assert_eq!(journal.record(&key).unwrap(), None);
}

#[test]
fn the_run_that_saw_a_key_last_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let mut journal = open(&path);
    let keys: Vec<String> = (0..1000).map(|number| format!("key {number:04}")).collect();
    journal.begin_run().unwrap();
    keys.iter().for_each(|key| store(&journal, key, ""));
    for run in 2..=12 {
        assert_eq!(journal.begin_run().unwrap(), run);
        assert_eq!(unseen(&journal, run).len(), 1000);
        // In run 12 every twelfth key is seen, and so on.
        for key in keys.iter().enumerate().filter(|(at, _)| (*at as u64).is_multiple_of(run)) {
            journal.apply(Change::Seen { key: key.1 }, NOW).unwrap();
        }
        journal.apply(Change::Seen { key: "nobody's" }, NOW).unwrap();
        drop(journal);
        journal = open(&path);
    }
    for (at, key) in keys.iter().enumerate() {
        // Of runs before the last eight only the one that changed it is known.
        let expected = (5..=12).rev().find(|run| (at as u64).is_multiple_of(*run)).unwrap_or(1);
        assert_eq!(known(&journal, key), (State::Stored, Some(digest("")), expected), "{key}");
    }
    let expected = |first: u64| {
        let seen = |at: &usize| (first..=12).any(|run| (*at as u64).is_multiple_of(run));
        (0..1000).filter(|at| !seen(at)).map(|at| keys[at].clone()).collect::<Vec<_>>()
    };
    assert_eq!(unseen(&journal, 12), expected(12));
    assert_eq!(unseen(&journal, 10), expected(10));
    assert_eq!(unseen(&journal, 13), keys);
    assert_eq!(journal.record("nobody's").unwrap(), None);
}

#[test]
fn a_sweep_deletes_while_it_is_told_and_stops_where_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&folder.path().join("j"));
    journal.begin_run().unwrap();
    (0..1000).for_each(|number| store(&journal, &format!("{number:04}"), ""));
    let run = journal.begin_run().unwrap();
    (0..1000).step_by(2).for_each(|number| store(&journal, &format!("{number:04}"), ""));
    let mut keys = Vec::new();
    let told = journal.unseen(run, |key, known| {
        assert_eq!((known.state, known.run), (State::Stored, 1));
        keys.push(key.to_owned());
        journal.apply(Change::Deleted { key }, NOW).unwrap();
        if keys.len() == 400 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(told.unwrap(), 400);
    assert_eq!(keys, (0..400).map(|at| format!("{:04}", 2 * at + 1)).collect::<Vec<_>>());
    assert_eq!(journal.len().unwrap(), 600);
    assert_eq!(unseen(&journal, run).len(), 100);
}

#[test]
fn an_intent_stays_until_its_outcome_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let journal = open(&path);
    journal.begin_run().unwrap();
    let activities = ["added", "not added", "maybe", "open"].map(digest);
    for (key, activity) in ["a", "b"].into_iter().flat_map(|key| activities.map(|it| (key, it))) {
        let kept = format!("{key} {activity}");
        journal.apply(Change::Intended { key, activity, kept: kept.as_bytes() }, NOW).unwrap();
        let state = journal.activity(key, activity).unwrap();
        assert_eq!(state, Some(ActivityState::Intended { run: 1 }));
    }
    journal.sync().unwrap();
    assert_eq!(journal.due(), None);
    let [added, not_added, maybe, open_one] = activities;
    for key in ["a", "b"] {
        journal.apply(Change::Added { key, activity: added }, NOW).unwrap();
        journal.apply(Change::NotAdded { key, activity: not_added }, NOW).unwrap();
        journal.apply(Change::MaybeAdded { key, activity: maybe }, NOW).unwrap();
    }
    let states = |journal: &Journal, key| activities.map(|it| journal.activity(key, it).unwrap());
    let expected = [
        Some(ActivityState::Added),
        None,
        Some(ActivityState::Uncertain),
        Some(ActivityState::Intended { run: 1 }),
    ];
    assert_eq!(states(&journal, "a"), expected);
    drop(journal);
    let journal = open(&path);
    assert_eq!(states(&journal, "a"), expected);
    let intents: Vec<_> = journal.intents().unwrap();
    let intents: Vec<_> = intents.iter().map(|it| (&*it.key, it.activity, it.run)).collect();
    assert_eq!(intents, [("a", open_one, 1), ("b", open_one, 1)]);

    // A key that is deleted takes its activities along, and what comes after it counts.
    journal.apply(Change::Deleted { key: "a" }, NOW).unwrap();
    journal.apply(Change::Added { key: "a", activity: not_added }, NOW).unwrap();
    let expected_after = [None, Some(ActivityState::Added), None, None];
    assert_eq!(states(&journal, "a"), expected_after);
    assert_eq!(journal.intents().unwrap().len(), 1);
    assert_eq!(states(&journal, "a"), expected_after);
    assert_eq!(states(&journal, "b"), expected);
}

#[test]
fn watermark_and_runs_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let mut journal = open(&path);
    assert_eq!((journal.watermark().unwrap(), journal.last_complete_run()), (None, None));
    for run in 1..=3 {
        journal.begin_run().unwrap();
        let last = journal.last_run().unwrap();
        assert_eq!((last.number, last.complete), (run, false));
        journal.apply(Change::Watermark(&[run as u8; 3]), NOW).unwrap();
        assert_eq!(journal.watermark().unwrap(), Some(vec![run as u8; 3]));
        if run == 2 {
            journal.apply(Change::RunComplete, NOW).unwrap();
            assert!(journal.last_run().unwrap().complete);
        }
        drop(journal);
        journal = open(&path);
    }
    assert_eq!(journal.watermark().unwrap(), Some(vec![3; 3]));
    let last = journal.last_run().unwrap();
    assert_eq!((last.number, last.complete), (3, false));
    assert_eq!(journal.last_complete_run(), Some(2));
}

#[test]
fn outcomes_are_due_a_second_after_the_first_and_what_was_seen_after_ten() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&folder.path().join("j"));
    journal.begin_run().unwrap();
    let seconds = Duration::from_secs;
    let at = |key: &str, second| {
        let change = Change::Stored { key, id: &ItemId::from_key(key), hash: digest("") };
        journal.apply(change, seconds(second)).unwrap();
        journal.due()
    };
    assert_eq!(journal.due(), None);
    assert_eq!(at("a", 5), Some(seconds(6)));
    assert_eq!(at("b", 5), Some(seconds(6)));
    assert_eq!(at("c", 6), None, "it was synced");
    for number in 1..Journal::GROUP {
        assert_eq!(at(&number.to_string(), 7), Some(seconds(8)));
    }
    assert_eq!(at("the hundredth", 7), None);
    journal.begin_run().unwrap();
    journal.apply(Change::Seen { key: "a" }, seconds(20)).unwrap();
    assert_eq!(journal.due(), Some(seconds(30)));
    assert_eq!(at("b", 21), Some(seconds(22)));
    assert_eq!(at("b", 22), Some(seconds(30)), "marks wait");
    journal.apply(Change::Seen { key: "c" }, seconds(30)).unwrap();
    assert_eq!(journal.due(), None);
}

const FILE_OF_CHILD: &str = "JOURNAL_OF_CHILD";

/// This program once more, with one test.
fn child(test: &str, path: &Path) -> Command {
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "--nocapture", test]).env(FILE_OF_CHILD, path);
    child
}

#[test]
fn the_second_to_open_a_journal_is_refused() {
    if let Some(path) = env::var_os(FILE_OF_CHILD) {
        return println!("{}", Journal::open(path, &scope()).unwrap_err());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let first = open(&path);
    assert!(matches!(kind(&path), JournalErrorKind::InUse));
    let second = child("the_second_to_open_a_journal_is_refused", &path).output().unwrap();
    let said = String::from_utf8(second.stdout).unwrap();
    let expected = format!(
        "the journal {} is in use by another process; wait until that has ended, or name another file",
        path.display()
    );
    assert!(said.contains(&expected), "{said}");
    store(&first, "a", "");
    drop(first);
    open(&path);
}

#[test]
fn what_was_synced_is_there_after_a_kill() {
    if let Some(path) = env::var_os(FILE_OF_CHILD) {
        let journal = open(Path::new(&path));
        for number in journal.len().unwrap().. {
            store(&journal, &number.to_string(), "");
            if number % 7 == 0 {
                journal.sync().unwrap();
                println!("synced {number}");
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    for round in 1..=10 {
        let mut child = child("what_was_synced_is_there_after_a_kill", &path);
        let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let numbers = lines.filter_map(|line| line.unwrap().strip_prefix("synced ")?.parse().ok());
        let last: u64 = numbers.take(round * 5).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let journal = open(&path);
        let keys = journal.len().unwrap();
        assert!(keys > last, "{keys} keys, and {last} was synced");
        (0..keys).for_each(|key| assert!(journal.record(&key.to_string()).unwrap().is_some()));
    }
}

#[test]
fn a_file_that_is_no_journal_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let foreign = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        assert!(matches!(kind(&path), JournalErrorKind::Foreign));
        assert_eq!(fs::read(&path).unwrap(), bytes);
    };
    foreign(b"x");
    foreign(b"some notes\n");
    foreign(&[0; 10_000]);
    foreign(&[b"SQLite format 3\0".as_slice(), &[0; 9000]].concat());
    let other = folder.path().join("other");
    drop(redb::Database::create(&other).unwrap());
    foreign(&fs::read(other).unwrap());

    fs::write(&path, "").unwrap();
    let JournalErrorKind::Damaged(what) = kind(&path) else { panic!("it is not damaged") };
    assert_eq!(what, "it is empty");
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    assert!(matches!(kind(folder.path()), JournalErrorKind::Io(_)));
    assert!(matches!(kind(&folder.path().join("none/j")), JournalErrorKind::Io(_)));
}

#[test]
fn the_journal_of_another_connection_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    drop(open(&path));
    let other = Scope::new(&ServiceRoot::v1(), &ConnectionId::new("fabrikam").unwrap());
    let refused = Journal::open(&path, &other).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "the journal {} belongs to https://graph.microsoft.com/v1.0 contosohr; \
             name another file for this connection",
            path.display()
        )
    );
    open(&path);
}

#[test]
fn a_journal_that_was_not_finished_when_it_was_made_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    fs::write(folder.path().join("j.new"), "half of it").unwrap();
    let journal = open(&path);
    store(&journal, "a", "");
    drop(journal);
    assert_eq!(open(&path).len().unwrap(), 1);
    assert!(!folder.path().join("j.new").exists());
}

#[test]
fn threads_read_while_one_writes() {
    let folder = tempfile::tempdir().unwrap();
    let journal = &open(&folder.path().join("j"));
    journal.begin_run().unwrap();
    store(journal, "first", "");
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            // A key that was told is known from then on, whatever is being written.
            let mut seen = 0;
            while seen < 1000 {
                assert_eq!(known(journal, "first").0, State::Stored);
                while seen < 1000 && journal.record(&seen.to_string()).unwrap().is_some() {
                    seen += 1;
                }
                (0..seen).step_by(97).for_each(|key| {
                    assert!(journal.record(&key.to_string()).unwrap().is_some());
                });
            }
        });
        (0..1000).for_each(|key| store(journal, &key.to_string(), ""));
        reader.join().unwrap();
    });
    assert_eq!(journal.len().unwrap(), 1001);
}

#[test]
fn a_file_that_was_damaged_is_refused_and_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let journal = open(&path);
    journal.begin_run().unwrap();
    (0..2000).for_each(|number| store(&journal, &format!("document {number}"), "content"));
    drop(journal);
    let whole = fs::read(&path).unwrap();
    let damaged = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        assert!(matches!(kind(&path), JournalErrorKind::Damaged(_)));
        assert!(matches!(kind(&path), JournalErrorKind::Damaged(_)));
    };
    for part in 1..500 {
        damaged(&whole[..whole.len() * part / 500]);
    }
    // A page in use: it has keys in it.
    let text = b"document 1234";
    let mut bytes = whole.clone();
    for at in 0..bytes.len() - text.len() {
        if bytes[at..].starts_with(text) {
            bytes[at] = b'D';
        }
    }
    damaged(&bytes);
    fs::write(&path, &whole).unwrap();
    assert_eq!(open(&path).len().unwrap(), 2000);
}
