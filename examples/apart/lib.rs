//! Programs that bring much along: `files`, which keeps a journal on disk, and `smol`, which has
//! another runtime. Their source stands beside that of the others.

/// The README's programs are compiled as they stand there.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
