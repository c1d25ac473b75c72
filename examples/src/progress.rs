//! What the program says while it works, and how long each part of it took.
//!
//! On a terminal a bar, elsewhere a line now and then; all of it on stderr, for stdout belongs to
//! the table.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
    sync::{
        Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

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
        let screen = io::stderr().is_terminal().then(ProgressDrawTarget::stderr);
        self.run_on(&Progress::on(screen, name), work)
    }

    fn run_on<R, E>(
        &mut self,
        progress: &Progress,
        work: impl FnOnce(&Progress) -> Result<R, E>,
    ) -> Result<R, E> {
        let (begun, name) = (Instant::now(), progress.name);
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
    /// As a bar, where there is a screen.
    fn on(screen: Option<ProgressDrawTarget>, name: &'static str) -> Self {
        let bar = screen.map(|screen| {
            let bar = ProgressBar::with_draw_target(None, screen).with_message(name);
            let bar = with_template(bar, UNCOUNTED);
            bar.enable_steady_tick(LINES);
            bar
        });
        Self { name, bar, last: Mutex::new(Last { when: Instant::now(), count: None }) }
    }

    /// So many are done, of so many.
    pub fn at(&self, done: usize, of: usize) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let was_counted = last.count.replace((done, of)).is_some();
        if let Some(bar) = &self.bar {
            if !was_counted {
                with_template(bar.clone(), COUNTED);
            }
            // In this order, for it is drawn with the second.
            bar.set_position(done as u64);
            bar.set_length(of as u64);
            return;
        }
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
        self.say(format_args!("{}: {what}", self.name));
    }

    /// Writes a line to stderr, and not into the bar.
    pub fn say(&self, line: fmt::Arguments<'_>) {
        self.apart(|| say(line));
    }

    /// Does something while no bar is drawn.
    fn apart(&self, tell: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(tell),
            None => tell(),
        }
    }
}

/// What is drawn where nothing can be counted, or not yet.
const UNCOUNTED: &str = "{msg} {elapsed}";
/// What is drawn where it is known how far the work is.
const COUNTED: &str = "{msg} {wide_bar} {pos}/{len} {elapsed}";

fn with_template(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Writes a line to stderr. That nobody may be reading there is no reason to stop.
pub fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, MutexGuard};

    use indicatif::TermLike;

    use super::*;

    /// A screen of which is known what stands on it.
    #[derive(Clone, Debug)]
    struct Screen {
        width: u16,
        shown: Arc<Mutex<Shown>>,
    }

    #[derive(Debug, Default)]
    struct Shown {
        rows: Vec<Vec<char>>,
        row: usize,
        column: usize,
    }

    impl Screen {
        fn new(width: u16) -> Self {
            Self { width, shown: Arc::default() }
        }

        fn progress(&self, name: &'static str) -> Progress {
            let target = ProgressDrawTarget::term_like(Box::new(self.clone()));
            Progress::on(Some(target), name)
        }

        fn shown(&self) -> MutexGuard<'_, Shown> {
            self.shown.lock().unwrap()
        }

        /// The rows that are not blank.
        fn rows(&self) -> Vec<String> {
            let rows = &self.shown().rows;
            let rows = rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned());
            rows.filter(|row| !row.is_empty()).collect()
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            self.width
        }

        fn move_cursor_up(&self, rows: usize) -> io::Result<()> {
            let mut shown = self.shown();
            shown.row = shown.row.saturating_sub(rows);
            Ok(())
        }

        fn move_cursor_down(&self, rows: usize) -> io::Result<()> {
            self.shown().row += rows;
            Ok(())
        }

        fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
            self.shown().column += columns;
            Ok(())
        }

        fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
            let mut shown = self.shown();
            shown.column = shown.column.saturating_sub(columns);
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)?;
            self.write_str("\n")
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            let mut shown = self.shown();
            let shown = &mut *shown;
            for char in text.chars() {
                match char {
                    '\r' => shown.column = 0,
                    '\n' => (shown.row, shown.column) = (shown.row + 1, 0),
                    char => {
                        assert!(!char.is_control(), "{text:?}");
                        assert!(shown.column < usize::from(self.width), "{text:?} is too wide");
                        shown.rows.resize(shown.rows.len().max(shown.row + 1), Vec::new());
                        let row = &mut shown.rows[shown.row];
                        row.resize(row.len().max(shown.column + 1), ' ');
                        row[shown.column] = char;
                        shown.column += 1;
                    }
                }
            }
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            let mut shown = self.shown();
            let row = shown.row;
            if let Some(row) = shown.rows.get_mut(row) {
                row.clear();
            }
            shown.column = 0;
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Without the time that ends it, so that a slow machine draws the same.
    fn without_time(row: &str) -> &str {
        let (row, time) = row.rsplit_once(' ').unwrap();
        assert!(time.ends_with('s'), "{time}");
        row
    }

    #[test]
    fn a_bar_is_as_wide_as_the_screen_and_shows_how_far_the_work_is() {
        for (width, done, of, share) in
            [(24, 0, 10, 0.0), (24, 5, 10, 0.5), (24, 10, 10, 1.0), (80, 250, 1000, 0.25)]
        {
            let screen = Screen::new(width);
            let progress = screen.progress("files");
            progress.at(done, of);
            let rows = screen.rows();
            assert_eq!(rows.len(), 1, "{rows:?}");
            assert_eq!(rows[0].chars().count(), usize::from(width), "{rows:?}");
            let bar = without_time(&rows[0]).strip_prefix("files ").unwrap();
            let bar = bar.strip_suffix(&format!(" {done}/{of}")).unwrap();
            let whole = bar.chars().count();
            let full = (whole as f64 * share) as usize;
            assert!(whole >= usize::from(width) / 3, "{rows:?}");
            assert_eq!(bar, "█".repeat(full) + &"░".repeat(whole - full), "{width}");
        }
    }

    #[test]
    fn where_nothing_is_counted_only_the_time_is_shown() {
        let screen = Screen::new(40);
        let progress = screen.progress("connection");
        // Otherwise it is drawn once a second.
        progress.apart(|| {});
        let rows = screen.rows();
        assert_eq!(rows.iter().map(|row| without_time(row)).collect::<Vec<_>>(), ["connection"]);
    }

    #[test]
    fn a_part_that_is_over_leaves_no_bar_however_it_ended() {
        for ends in [Ok(()), Err(())] {
            let screen = Screen::new(40);
            let mut phases = Phases::default();
            let ended = phases.run_on(&screen.progress("files"), |progress| {
                progress.at(3, 10);
                assert_eq!(screen.rows().len(), 1);
                ends
            });
            assert_eq!((ended, screen.rows()), (ends, Vec::new()));
            assert_eq!(phases.done().len(), usize::from(ends.is_ok()));
        }
    }

    #[test]
    fn a_line_that_is_said_does_not_end_up_in_the_bar() {
        let screen = Screen::new(40);
        let progress = screen.progress("files");
        progress.at(3, 10);
        let mut between = None;
        progress.apart(|| between = Some(screen.rows()));
        assert_eq!((between, screen.rows().len()), (Some(Vec::new()), 1));
    }
}
