//! Programs that bring much along: `files`, which keeps a journal on disk, and `smol`, which has
//! another runtime. Who runs one of the others need not wait until that is built.

/// The README's programs are compiled as they stand there.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
