//! The tables of `docs/graph.md`, for the tests that hold the emulator against them.

/// The document itself.
pub(crate) const GRAPH: &str = include_str!("../../docs/graph.md");

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
