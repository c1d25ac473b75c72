//! What the program says while it works, and how long each part of it took.
//!
//! On a terminal a bar, elsewhere a line now and then; all of it on stderr, for stdout belongs to
//! the table.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{
        Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a line is written where there is no terminal.
const LINES: Duration = Duration::from_secs(1);

/// After how much silence a line says that the work goes on, for an answer can take its time.
const SILENCE: Duration = Duration::from_secs(3);

/// The parts of a run, with their times.
#[derive(Default)]
pub struct Phases {
    done: Vec<(&'static str, Duration)>,
}

/// How far one part is.
pub struct Progress {
    name: &'static str,
    bar: Option<ProgressBar>,
    last: Mutex<Last>,
}

/// What was said last.
struct Last {
    when: Instant,
    count: Option<(usize, usize)>,
}

impl Phases {
    /// Does one part of the work and takes its time.
    pub fn run<R, E>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&Progress) -> Result<R, E>,
    ) -> Result<R, E> {
        let begun = Instant::now();
        let progress = &Progress::new(name);
        let (working, over) = mpsc::channel::<()>();
        let result = thread::scope(|scope| {
            // Dropped when the work is over, in whatever way; nothing is sent.
            let _working = working;
            scope.spawn(move || {
                while over.recv_timeout(LINES) == Err(RecvTimeoutError::Timeout) {
                    progress.break_silence(begun);
                }
            });
            work(progress)
        });
        if let Some(bar) = &progress.bar {
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
    pub fn done(&self) -> &[(&'static str, Duration)] {
        &self.done
    }
}

impl Progress {
    fn new(name: &'static str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::no_length().with_message(name);
            bar.enable_steady_tick(LINES);
            match ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed}") {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Self { name, bar, last: Mutex::new(Last { when: Instant::now(), count: None }) }
    }

    /// So many are done, of so many.
    pub fn at(&self, done: usize, of: usize) {
        if let Some(bar) = &self.bar {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
            return;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.count = Some((done, of));
        if last.when.elapsed() >= LINES {
            last.when = Instant::now();
            say(format_args!("{}: {done} of {of}", self.name));
        }
    }

    fn break_silence(&self, begun: Instant) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if self.bar.is_some() || last.when.elapsed() < SILENCE {
            return;
        }
        last.when = Instant::now();
        let (name, seconds) = (self.name, begun.elapsed().as_secs());
        match last.count {
            Some((done, of)) => {
                say(format_args!("{name}: {done} of {of}, waiting for answers, {seconds} s"));
            }
            None => say(format_args!("{name}: waiting for answers, {seconds} s")),
        }
    }

    /// What is going on, where that may take a while.
    pub fn note(&self, what: &str) {
        let tell = || say(format_args!("{}: {what}", self.name));
        match &self.bar {
            Some(bar) => bar.suspend(tell),
            None => tell(),
        }
    }
}

/// Writes a line to stderr. That nobody may be reading there is no reason to stop.
pub fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}
