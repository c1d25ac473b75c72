//! The table that a bench prints, and whether every row of it is met.

use std::process::ExitCode;

/// Rows with a target each.
#[derive(Default)]
pub(crate) struct Table {
    missed: usize,
}

impl Table {
    /// Prints the head.
    pub(crate) fn begin(what: &str) -> Self {
        println!("{what:64} {:>11} {:>20}", "target", "measured");
        Self::default()
    }

    /// Prints a row.
    pub(crate) fn row(&mut self, what: &str, target: &str, measured: &str, is_met: bool) {
        let verdict = if is_met { "met" } else { "NOT MET" };
        println!("{what:64} {target:>11} {measured:>20}  {verdict}");
        self.missed += usize::from(!is_met);
    }

    /// Says how many rows were missed, and fails if any was.
    pub(crate) fn end(self) -> ExitCode {
        match self.missed {
            0 => ExitCode::SUCCESS,
            missed => {
                println!("\nNOT MET: {missed}");
                ExitCode::FAILURE
            }
        }
    }
}

/// The one in the middle, and sorts for it.
#[allow(dead_code, reason = "not every bench measures more than once")]
pub(crate) fn median(measured: &mut [f64]) -> f64 {
    measured.sort_by(f64::total_cmp);
    measured[measured.len() / 2]
}
