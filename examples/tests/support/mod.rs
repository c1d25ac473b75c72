//! What the tests of the programs share: running them, reading the table of `crates`, and a folder
//! for `files`.

#![allow(dead_code, reason = "each test uses a part")]

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    str::FromStr,
    thread,
    time::{Duration, Instant, SystemTime},
};

use graphfeed_crawl::{DeadLetter, DeadLetterLines};
use graphfeed_emulator::{Behaviour, Emulator, Item, Options, server::Server};
use tempfile::TempDir;

/// The `crates` program.
pub(crate) fn program() -> Command {
    example("crates")
}

/// A program: `cargo test` builds it beside its tests.
pub(crate) fn example(name: &str) -> Command {
    let test = env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let program = folder.join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "{} is not there; run `cargo build --example {name}` first",
        program.display()
    );
    let mut command = Command::new(program);
    // The way to the emulator must not lead through a proxy.
    command.envs(["HTTP_PROXY", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:9")));
    // Whoever runs the tests may have set it for themselves.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("GRAPHFEED_") || text == "AZURE_FEDERATED_TOKEN_FILE" {
            command.env_remove(&name);
        }
    }
    // So that it names itself where it says how to go on.
    command.env_remove("CARGO");
    command
}

/// Runs it, and gives back its status, stdout and stderr.
pub(crate) fn run(
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> (Option<i32>, String, String) {
    outcome(program().args(arguments))
}

/// Status, stdout and stderr of a command.
pub(crate) fn outcome(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// The count in the row of the table that begins so.
pub(crate) fn count(table: &str, row: &str) -> usize {
    cell(table, row)
}

/// The number in the row of the table that begins so.
pub(crate) fn cell<T: FromStr<Err: Debug>>(table: &str, row: &str) -> T {
    let rest = table
        .lines()
        .find_map(|line| line.strip_prefix(row)?.strip_prefix("  "))
        .unwrap_or_else(|| panic!("no row {row:?} in\n{table}"));
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

/// A package of its own, with this as the rest of its manifest.
pub(crate) fn package(name: &str, rest: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("src/lib.rs"), "").unwrap();
    let manifest =
        format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n{rest}\n[workspace]\n");
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    folder
}

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
