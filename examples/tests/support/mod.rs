//! What the tests of the programs share: running them, and reading the table of `crates`.

#![allow(dead_code, reason = "each test uses a part")]

use std::{
    env,
    ffi::OsStr,
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    str::FromStr,
};

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
