//! What the tests of `crates` share: running it, and reading its table.

#![allow(dead_code, reason = "each test uses a part")]

use std::{
    ffi::OsStr,
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
    process::Command,
    str::FromStr,
};

use graphfeed_examples::process::example;
pub(crate) use graphfeed_examples::process::outcome;

/// The `crates` program.
pub(crate) fn program() -> Command {
    example("crates")
}

/// Runs it, and gives back its status, stdout and stderr.
pub(crate) fn run(
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> (Option<i32>, String, String) {
    outcome(program().args(arguments))
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
