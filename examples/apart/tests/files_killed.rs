//! The `files` program is killed again and again, and goes on where it was.
//!
//! A seed says which files there are and when it is killed. One is tried with 10,000 files, and some
//! with fewer. With more it takes longer:
//!
//! ```sh
//! GRAPHFEED_KILL_SEEDS="11 12 13" cargo test -p graphfeed-examples-apart --test files_killed
//! ```
//!
//! tries these, each with 10,000 files. What fails tells its seed.

mod folder;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, File},
    path::Path,
    process::{Child, Stdio},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use folder::{Folder, items, requests, service, wait_until};
use graphfeed_core::protocol::Applied;
use graphfeed_emulator::{Emulator, Item};
use graphfeed_examples::process::outcome;
use serde_json::{Value, json};

/// Who sees the items of an emulator, and who is said to have modified them.
const TENANT: &str = "0a5ec0de-0000-4000-8000-000000000001";
const AUTHOR: &str = "0a5ec0de-0000-4000-8000-000000000002";

/// How many requests more there may be than calls to make, for each time that it is killed: what
/// was out, and what a second had brought that was not on disk.
const AGAIN: u64 = 125;

/// A file is known by its key, and an activity by that and its time.
type Activities = BTreeSet<(String, String)>;

/// Numbers that look like chance, and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % end
    }
}

/// What there is in a file, as it is to be in the service.
struct Wanted {
    bytes: Vec<u8>,
    modified: String,
}

fn key(number: usize) -> String {
    let part = number / 500;
    match number % 5 {
        0 => format!("part {part}/{number}"),
        1 => format!("Größe {part}/ä{number}.md"),
        _ => format!("part {part}/{number}.txt"),
    }
}

/// Some are empty, some are no text.
fn write(folder: &Folder, dice: &mut Dice, number: usize, what: &str) {
    let mut bytes = format!("This is {what} {number}, \"größer\"\n").into_bytes();
    match dice.below(20) {
        0 => bytes.clear(),
        1 => bytes.push(0xff),
        _ => {}
    }
    folder.write(&key(number), bytes);
    let file = File::options().append(true).open(folder.path.join(key(number))).unwrap();
    let since = Duration::from_millis(500 * dice.below(3_000_000_000));
    file.set_modified(SystemTime::UNIX_EPOCH + since).unwrap();
}

/// The files in the folder, and the activities that they stand for.
fn found(folder: &Path) -> (BTreeMap<String, Wanted>, Activities) {
    let (mut files, mut activities) = (BTreeMap::new(), Activities::new());
    for part in fs::read_dir(folder).unwrap() {
        for file in fs::read_dir(part.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let key = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let modified = date(path.metadata().unwrap().modified().unwrap());
            activities.insert((key.clone(), modified.clone()));
            files.insert(key, Wanted { bytes: fs::read(path).unwrap(), modified });
        }
    }
    (files, activities)
}

/// In UTC, with half a second if there is one.
fn date(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let (mut days, second) = (since.as_secs() / 86400, since.as_secs() % 86400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 0;
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let half = if since.subsec_millis() == 500 { ".5" } else { "" };
    let (month, day) = (month + 1, days + 1);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{half}Z")
}

/// The whole item is what the folder says of the file, and nothing else.
fn assert_is(item: &Item, key: &str, file: &Wanted) {
    assert_eq!(item.id, format!("x--e{}", URL_SAFE_NO_PAD.encode(key)), "{key}");
    let acl: Vec<_> = item
        .acl
        .iter()
        .map(|entry| (entry.access_type.to_string(), entry.kind.to_string(), &*entry.value))
        .collect();
    assert_eq!(acl, [("grant".to_owned(), "everyone".to_owned(), TENANT)], "{key}");

    let name = key.rsplit('/').next().unwrap();
    let mut wanted = vec![("title", "string", json!(name)), ("path", "string", json!(key))];
    wanted.extend(name.split_once('.').map(|(_, it)| ("extension", "string", json!(it))));
    wanted.push(("bytes", "int64", json!(file.bytes.len())));
    wanted.push(("modified", "dateTime", json!(file.modified)));
    let properties: Vec<_> = item
        .properties
        .iter()
        .map(|it| (&*it.name, it.kind.name(), serde_json::from_str::<Value>(&it.json).unwrap()))
        .collect();
    assert_eq!(properties, wanted, "{key}");

    let text = std::str::from_utf8(&file.bytes).ok().filter(|text| !text.is_empty());
    let content = item.content.as_ref().map(|it| (it.kind.to_string(), &*it.value));
    assert_eq!(content, text.map(|text| ("text".to_owned(), text)), "{key}");
    assert_eq!(item.information_protection_label, None, "{key}");
    for activity in &item.activities {
        assert_eq!(activity.kind.to_string(), "modified", "{key}");
        assert_eq!(activity.performed_by_kind.to_string(), "user", "{key}");
        assert_eq!(activity.performed_by_id, AUTHOR, "{key}");
    }
}

fn start(folder: &Folder, service: &str) -> Child {
    let mut program = folder.program(Some(service));
    program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills it each time after so many requests, unless it is done before; then lets it come to its
/// end. Gives how often it was killed.
fn crawl(folder: &Folder, emulator: &Emulator, url: &str, kills: &[u64]) -> u64 {
    let mut killed = 0;
    for kill in kills {
        let end = requests(emulator) + kill;
        let mut program = start(folder, url);
        wait_until("so many requests, or the end", || {
            requests(emulator) >= end || program.try_wait().unwrap().is_some()
        });
        if program.try_wait().unwrap().is_none() {
            program.kill().unwrap();
            killed += 1;
        }
        program.wait().unwrap();
    }
    // Of what the last kill left in the dark is told once.
    let (status, text, errors) = outcome(&mut folder.program(Some(url)));
    assert!(matches!(status, Some(0 | 3)), "{text}{errors}");
    assert_eq!(status == Some(3), text.contains("it is not known"), "{text}{errors}");
    let (status, text, errors) = outcome(&mut folder.program(Some(url)));
    assert_eq!(status, Some(0), "{text}{errors}");
    assert!(text.contains(", ok 0, failed 0, "), "everything is done: {text}");
    killed
}

/// The service has what the folder has, and no activity twice; those that it has not are told of.
fn compare(folder: &Folder, emulator: &Emulator, wanted: &Activities) -> (usize, usize) {
    let (files, _) = found(&folder.path);
    let items = items(emulator);
    assert!(items.keys().eq(files.keys()), "{} items, {} files", items.len(), files.len());
    let mut added = Activities::new();
    for (key, item) in &items {
        assert_is(item, key, &files[key]);
        for activity in &item.activities {
            let is_new = added.insert((key.clone(), activity.start_date_time.clone()));
            assert!(is_new, "{key} has an activity twice");
        }
    }
    assert!(added.is_subset(wanted));
    let letters = folder.letters();
    let mut told = Activities::new();
    for letter in &letters {
        assert_eq!(letter.applied, Applied::Maybe, "{letter:?}");
        let body = letter.request.as_ref().unwrap().body.as_ref().unwrap();
        let body: Value = serde_json::from_str(body.get()).unwrap();
        for activity in body["activities"].as_array().unwrap() {
            let at = activity["startDateTime"].as_str().unwrap().to_owned();
            told.insert((letter.key.clone().unwrap(), at));
        }
    }
    let missing: Vec<_> =
        wanted.difference(&added).filter(|(key, _)| files.contains_key(key)).collect();
    for activity in &missing {
        assert!(told.contains(activity), "{activity:?} is missing, and nobody says so");
    }
    (missing.len(), letters.len())
}

/// So many files are stored, then some are changed, some vanish and some are new; all of it by a
/// program that is killed.
fn live(seed: u64, files: usize) {
    println!("seed {seed}, {files} files");
    let (changed, vanished, new) = (files * 3 / 100, files / 100, files / 100);
    let mut dice = Dice(seed);
    let folder = Folder::new();
    for number in 0..files {
        write(&folder, &mut dice, number, "file");
    }
    let (emulator, server) = service();
    let some = |dice: &mut Dice, count: usize, requests: usize| {
        (0..count).map(|_| dice.below(requests as u64)).collect::<Vec<_>>()
    };

    let (_, mut wanted) = found(&folder.path);
    let mut kills = vec![0, 1, 2, 4, 7];
    kills.extend(some(&mut dice, 11, files * 26 / 100));
    let killed = crawl(&folder, &emulator, server.url(), &kills);
    let (missing, letters) = compare(&folder, &emulator, &wanted);
    let puts = emulator.count("PUT item");
    println!("killed {killed} times: {puts} PUTs, {missing} activities missing, {letters} letters");
    assert!(puts <= files as u64 + AGAIN * killed, "{puts}");

    for number in 0..changed {
        write(&folder, &mut dice, number * 7, "another file");
    }
    for number in 0..vanished {
        fs::remove_file(folder.path.join(key(number * 7 + 1))).unwrap();
    }
    for number in files..files + new {
        write(&folder, &mut dice, number, "a new file");
    }
    wanted.extend(found(&folder.path).1);
    let kills = some(&mut dice, 7, (changed + vanished + new) * 26 / 100);
    let again = crawl(&folder, &emulator, server.url(), &kills);
    assert!(killed + again >= 20 && again >= 5, "{killed} and {again}");
    let (missing, letters) = compare(&folder, &emulator, &wanted);
    let (all, deletes) = (emulator.count("PUT item"), emulator.count("DELETE item"));
    println!(
        "killed {again} times more: {} PUTs, {deletes} DELETEs, {missing} activities missing, \
         {letters} letters",
        all - puts
    );
    assert!(all - puts <= (changed + new) as u64 + AGAIN * again, "{}", all - puts);
    assert!(deletes >= vanished as u64);
}

#[test]
fn killed_at_any_moment_it_stores_everything_and_nothing_twice() {
    let seeds = env::var("GRAPHFEED_KILL_SEEDS").unwrap_or_else(|_| "7".to_owned());
    for seed in seeds.split_whitespace() {
        live(seed.parse().expect("seeds are numbers"), 10_000);
    }
}

#[test]
fn so_it_does_at_other_moments() {
    for seed in [1, 2, 3] {
        live(seed, 1_000);
    }
}
