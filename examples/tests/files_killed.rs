//! The `files` program is killed again and again, and goes on where it was.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Child, Stdio},
};

use graphfeed_core::{
    protocol::Applied,
    types::{ItemId, Timestamp},
};
use graphfeed_emulator::Emulator;
use support::{Folder, items, outcome, requests, service, wait_until};

const FILES: usize = 10_000;
const CHANGED: usize = 300;
const VANISHED: usize = 100;
const NEW: usize = 100;

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

fn key(number: usize) -> String {
    format!("part {}/{number}.txt", number / 500)
}

/// The text of each file in the folder, and the activities that they stand for.
fn found(folder: &Path) -> (BTreeMap<String, String>, Activities) {
    let (mut texts, mut activities) = (BTreeMap::new(), Activities::new());
    for part in fs::read_dir(folder).unwrap() {
        for file in fs::read_dir(part.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let key = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let modified = path.metadata().unwrap().modified().unwrap();
            activities.insert((key.clone(), Timestamp::try_from(modified).unwrap().to_string()));
            texts.insert(key, fs::read_to_string(path).unwrap());
        }
    }
    (texts, activities)
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
    let (texts, _) = found(&folder.path);
    let items = items(emulator);
    assert!(items.keys().eq(texts.keys()), "{} items, {} files", items.len(), texts.len());
    let mut added = Activities::new();
    for (key, item) in &items {
        assert_eq!(item.id, ItemId::from_key(key).as_str());
        assert_eq!(item.content.as_ref().unwrap().value, texts[key], "{key}");
        for activity in &item.activities {
            assert_eq!(activity.kind.to_string(), "modified");
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
        let body: serde_json::Value = serde_json::from_str(body.get()).unwrap();
        for activity in body["activities"].as_array().unwrap() {
            let at = activity["startDateTime"].as_str().unwrap().to_owned();
            told.insert((letter.key.clone().unwrap(), at));
        }
    }
    let missing: Vec<_> =
        wanted.difference(&added).filter(|(key, _)| texts.contains_key(key)).collect();
    for activity in &missing {
        assert!(told.contains(activity), "{activity:?} is missing, and nobody says so");
    }
    (missing.len(), letters.len())
}

#[test]
fn killed_at_any_moment_it_stores_everything_and_nothing_twice() {
    let folder = Folder::new();
    for number in 0..FILES {
        folder.write(&key(number), format!("This is file {number}.\n"));
    }
    let (emulator, server) = service();
    let mut dice = Dice(7);

    let (_, mut wanted) = found(&folder.path);
    let mut kills = vec![0, 1, 2, 4, 7];
    kills.extend((0..11).map(|_| dice.below(2_600)));
    let killed = crawl(&folder, &emulator, server.url(), &kills);
    let (missing, letters) = compare(&folder, &emulator, &wanted);
    let puts = emulator.count("PUT item");
    println!("killed {killed} times: {puts} PUTs, {missing} activities missing, {letters} letters");
    assert!(puts <= FILES as u64 + 125 * killed, "{puts}");

    for number in 0..CHANGED {
        folder.write(&key(number * 7), format!("This is another file {number}.\n"));
    }
    for number in 0..VANISHED {
        fs::remove_file(folder.path.join(key(number * 7 + 1))).unwrap();
    }
    for number in FILES..FILES + NEW {
        folder.write(&key(number), format!("This is a new file {number}.\n"));
    }
    wanted.extend(found(&folder.path).1);
    let kills: Vec<_> = (0..7).map(|_| dice.below(130)).collect();
    let again = crawl(&folder, &emulator, server.url(), &kills);
    assert!(killed + again >= 20 && again >= 5, "{killed} and {again}");
    let (missing, letters) = compare(&folder, &emulator, &wanted);
    let (all, deletes) = (emulator.count("PUT item"), emulator.count("DELETE item"));
    println!(
        "killed {again} times more: {} PUTs, {deletes} DELETEs, {missing} activities missing, \
         {letters} letters",
        all - puts
    );
    assert!(all - puts <= (CHANGED + NEW) as u64 + 125 * again, "{}", all - puts);
    assert!(deletes >= VANISHED as u64);
}
