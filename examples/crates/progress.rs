//! What the program says while it works, and how long each part of it took.
//!
//! On a terminal a bar, elsewhere a line now and then; all of it on stderr, for stdout belongs to
//! the table.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a line is written where there is no terminal.
const LINES: Duration = Duration::from_secs(1);

/// The parts of a run, with their times.
#[derive(Default)]
pub(crate) struct Phases {
    done: Vec<(&'static str, Duration)>,
}

/// How far one part is.
pub(crate) struct Progress {
    name: &'static str,
    bar: Option<ProgressBar>,
    said: Instant,
}

impl Phases {
    /// Does one part of the work and takes its time.
    pub(crate) fn run<R, E>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Progress) -> Result<R, E>,
    ) -> Result<R, E> {
        let begun = Instant::now();
        let mut progress = Progress::new(name);
        let result = work(&mut progress);
        if let Some(bar) = progress.bar {
            bar.finish_and_clear();
        }
        if result.is_ok() {
            let took = begun.elapsed();
            say(format_args!("{name}: {:.2} s", took.as_secs_f64()));
            self.done.push((name, took));
        }
        result
    }

    /// The parts that are done, in order.
    pub(crate) fn done(&self) -> &[(&'static str, Duration)] {
        &self.done
    }
}

impl Progress {
    fn new(name: &'static str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::no_length().with_message(name);
            match ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}") {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Self { name, bar, said: Instant::now() }
    }

    /// So many are done, of so many.
    pub(crate) fn at(&mut self, done: usize, of: usize) {
        if let Some(bar) = &self.bar {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        } else if self.said.elapsed() >= LINES {
            self.said = Instant::now();
            say(format_args!("{}: {done} of {of}", self.name));
        }
    }

    /// What is going on, where that may take a while.
    pub(crate) fn note(&self, what: &str) {
        let tell = || say(format_args!("{}: {what}", self.name));
        match &self.bar {
            Some(bar) => bar.suspend(tell),
            None => tell(),
        }
    }
}

/// Writes a line to stderr. That nobody may be reading there is no reason to stop.
pub(crate) fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}
