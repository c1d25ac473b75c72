//! What the tests of `files` share: a folder for it, and a service to send it to.

#![allow(dead_code, reason = "each test uses a part")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime},
};

use graphfeed_crawl::{DeadLetter, DeadLetterLines};
use graphfeed_emulator::{Behaviour, Emulator, Item, Options, server::Server};
use graphfeed_examples::process::example;
use tempfile::TempDir;

/// A folder for the `files` program to index, and one for what it keeps. Where memory can be a
/// disk it is one, so that nobody waits for a real one.
pub(crate) struct Folder {
    _both: TempDir,
    pub(crate) path: PathBuf,
    pub(crate) state: PathBuf,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let both = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let both = both.unwrap();
        let (path, state) = (both.path().join("folder"), both.path().join("state"));
        fs::create_dir(&path).unwrap();
        Self { _both: both, path, state }
    }

    /// Writes a file; its folders are made.
    pub(crate) fn write(&self, key: &str, text: impl AsRef<[u8]>) {
        let path = self.path.join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The program, which is to go there.
    pub(crate) fn program(&self, service: Option<&str>) -> Command {
        let mut command = example("files");
        command.arg("--state").arg(&self.state);
        command.args(service.iter().flat_map(|service| ["--service", service]));
        command.arg(&self.path);
        command
    }

    /// The dead letters.
    pub(crate) fn letters(&self) -> Vec<DeadLetter> {
        let file = fs::read(self.state.join("dead-letters.ndjson")).unwrap_or_default();
        DeadLetterLines::new(&*file).map(|letter| letter.unwrap().1).collect()
    }
}

/// An emulator on loopback that registers schemas at once.
pub(crate) fn service() -> (Emulator, Server) {
    let behaviour = Behaviour { schema_delay: Duration::ZERO, ..Behaviour::default() };
    let options = Options { origin: SystemTime::now(), behaviour, ..Options::default() };
    let emulator = Emulator::new(options);
    let server = Server::start(emulator.clone(), "127.0.0.1:0").unwrap();
    (emulator, server)
}

/// How many requests an emulator was asked for.
pub(crate) fn requests(emulator: &Emulator) -> u64 {
    emulator.counts().iter().map(|count| count.count).sum()
}

/// Waits until something holds, and looks again and again.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "still not: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The items of the `files` program by the paths that they tell.
pub(crate) fn items(emulator: &Emulator) -> BTreeMap<String, Item> {
    let items = emulator.items("graphfeedfiles");
    let count = items.len();
    let by_path: BTreeMap<_, _> = items
        .into_iter()
        .map(|item| {
            let path = item.properties.iter().find(|property| property.name == "path").unwrap();
            (serde_json::from_str(&path.json).unwrap(), item)
        })
        .collect();
    assert_eq!(by_path.len(), count, "each path is there once");
    by_path
}
