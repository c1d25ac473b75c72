//! The tables of `docs/graph.md`, for the tests that hold the emulator against them.

use std::{fs, path::Path, sync::LazyLock};

/// The document itself.
pub(crate) static GRAPH: LazyLock<String> = LazyLock::new(|| document("docs/graph.md"));

/// A document of the repository. It is read when a test runs, for a package of this crate, where
/// it is not, has to compile.
pub(crate) fn document(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// The rows of the table of a document whose head begins with this word, as cells.
pub(crate) fn rows<'d>(document: &'d str, head: &str) -> Vec<Vec<&'d str>> {
    let head = format!("| {head} |");
    let rows: Vec<_> = document
        .lines()
        .skip_while(|line| !line.starts_with(&head))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert!(!rows.is_empty(), "no table {head}");
    rows
}
