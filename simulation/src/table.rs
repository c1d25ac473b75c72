//! What benches print: a table, whether every row of it is met, and what a row was measured by.
//!
//! There is no clock in here either: whoever measures says what it came to.

use std::{env, fmt, fs, process::ExitCode};

/// Whether this is run by `cargo bench`: `cargo test --benches` builds without optimising, and only
/// wants to see it run.
fn is_measured() -> bool {
    env::args().any(|argument| argument == "--bench")
}

/// How much is done: so much as is `measured`, or the `least` where nothing is.
pub fn size<T>(measured: T, least: T) -> T {
    if is_measured() { measured } else { least }
}

/// Rows with a target each, which are held where something is measured.
#[derive(Debug)]
pub struct Table {
    is_held: bool,
    missed: usize,
}

impl Table {
    /// Prints the head.
    pub fn begin(what: &str) -> Self {
        let is_held = is_measured();
        if !is_held {
            println!("One round of little, which is no measure; `cargo bench` takes it.\n");
        }
        println!("{what:64} {:>11} {:>24}", "target", "measured");
        Self { is_held, missed: 0 }
    }

    /// Prints a row.
    pub fn row(&mut self, what: &str, target: &str, measured: &str, is_met: bool) {
        let verdict = match (self.is_held, is_met) {
            (false, _) => "only run",
            (true, true) => "met",
            (true, false) => "NOT MET",
        };
        println!("{what:64} {target:>11} {measured:>24}  {verdict}");
        self.missed += usize::from(self.is_held && !is_met);
    }

    /// Prints a row that is met when its median is at most so much.
    pub fn at_most(&mut self, what: &str, most: f64, measured: Spread) {
        let is_met = measured.median <= most;
        self.row(what, &format!("<= {most:.2}"), &measured.to_string(), is_met);
    }

    /// Prints a row that is met when its median is at least so much.
    pub fn at_least(&mut self, what: &str, least: f64, measured: Spread) {
        let is_met = measured.median >= least;
        self.row(what, &format!(">= {least:.2}"), &measured.to_string(), is_met);
    }

    /// Prints a row that asks for nothing.
    pub fn note(&self, what: &str, measured: &str) {
        println!("{what:64} {:>11} {measured:>24}", "");
    }

    /// Says how many rows were missed, and fails if any was.
    pub fn end(self) -> ExitCode {
        match self.missed {
            0 => ExitCode::SUCCESS,
            missed => {
                println!("\nNOT MET: {missed}");
                ExitCode::FAILURE
            }
        }
    }
}

/// What several rounds came to: the one in the middle, and between which half of them lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The one in the middle.
    pub median: f64,
    /// A quarter of them is less.
    pub low: f64,
    /// A quarter of them is more.
    pub high: f64,
}

impl Spread {
    /// Of these.
    ///
    /// # Panics
    /// If there is none.
    pub fn of(measured: impl IntoIterator<Item = f64>) -> Self {
        let mut measured: Vec<f64> = measured.into_iter().collect();
        let median = median(&mut measured);
        let quarter = measured.len() / 4;
        Self { median, low: measured[quarter], high: measured[measured.len() - 1 - quarter] }
    }

    /// Of the ratios of the one to the other, round by round.
    ///
    /// # Panics
    /// If there is none.
    pub fn of_ratios(measured: &[f64], floor: &[f64]) -> Self {
        Self::of(measured.iter().zip(floor).map(|(measured, floor)| measured / floor))
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, low, high } = self;
        let digits = if *median < 100.0 { 2 } else { 0 };
        write!(f, "{median:.digits$} ({low:.digits$}..{high:.digits$})")
    }
}

/// The one in the middle, and sorts for it.
///
/// # Panics
/// If there is none.
pub fn median(measured: &mut [f64]) -> f64 {
    measured.sort_by(f64::total_cmp);
    measured[measured.len() / 2]
}

/// What each of these measures, in so many rounds: one after the other in each round, so that what
/// else the machine does falls on all, and each round begins with the next of them, so that none is
/// helped by its place. One round goes before that does not count. Where nothing is measured, one
/// round is enough.
pub fn interleave<const N: usize>(
    rounds: usize,
    measured: [&mut dyn FnMut() -> f64; N],
) -> [Vec<f64>; N] {
    in_turn(size(rounds, 1), measured)
}

fn in_turn<const N: usize>(rounds: usize, measured: [&mut dyn FnMut() -> f64; N]) -> [Vec<f64>; N] {
    let mut all = [const { Vec::new() }; N];
    for round in 0..=rounds {
        for turn in 0..N {
            let who = (round + turn) % N;
            let took = measured[who]();
            if round > 0 {
                all[who].push(took);
            }
        }
    }
    all
}

/// The most memory that this process has had, in megabytes. Linux tells it.
pub fn peak() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_middle_and_the_half_around_it() {
        let spread = Spread::of([5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(spread, Spread { median: 3.0, low: 2.0, high: 4.0 });
        assert_eq!(spread.to_string(), "3.00 (2.00..4.00)");
        let ratios = Spread::of_ratios(&[110.0, 240.0, 90.0], &[100.0, 200.0, 100.0]);
        assert_eq!(ratios.median, 1.1);
    }

    #[test]
    fn each_goes_first_in_turn_and_the_first_round_does_not_count() {
        let turns = std::cell::RefCell::new(Vec::new());
        let turn = |who: f64| {
            turns.borrow_mut().push(who);
            turns.borrow().len() as f64
        };
        let measured = in_turn(2, [&mut || turn(1.0), &mut || turn(2.0)]);
        assert_eq!(measured, [vec![4.0, 5.0], vec![3.0, 6.0]]);
        assert_eq!(*turns.borrow(), [1.0, 2.0, 2.0, 1.0, 1.0, 2.0]);
    }
}
