//! What the program prints at its end.

use std::{
    fmt::{self, Write as _},
    path::Path,
    time::Duration,
};

use graphfeed_core::external::PropertyType;

use crate::{connection::Setup, recording::Recorded, run::Stored, traffic::Counts};

/// Everything that the table tells.
pub(crate) struct Report<'a> {
    /// The manifest.
    pub(crate) manifest: &'a Path,
    /// Where everything went, in words.
    pub(crate) service: String,
    /// Over what, in words.
    pub(crate) way: &'static str,
    /// What was stored.
    pub(crate) stored: &'a Stored,
    /// What went over the wire.
    pub(crate) traffic: Counts,
    /// How many requests came too early, if the service tells.
    pub(crate) early_calls: Option<u64>,
    /// How long each part took.
    pub(crate) phases: &'a [(&'static str, Duration)],
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stored {
            connection,
            setup,
            items,
            with_content,
            cut,
            properties,
            bytes,
            activities,
            recorded,
            compared,
            differences,
        } = self.stored;

        writeln!(f, "The crates of {}", self.manifest.display())?;
        writeln!(f, "in connection {connection} of {}", self.service)?;
        writeln!(f, "over {}.", self.way)?;
        let Setup { connection: made, updated, schema } = setup;
        let updated = if *updated { ", and updated" } else { "" };
        writeln!(f, "Connection: {made}{updated}. Schema: {schema}.\n")?;

        let count = |f: &mut fmt::Formatter<'_>, what: &str, number: usize, note: &str| {
            let mut line = String::new();
            write!(line, "{what:<36}{number:>10}  {note}")?;
            writeln!(f, "{}", line.trim_end())
        };
        writeln!(f, "{:<36}{:>10}", "Stored", "Count")?;
        count(f, "items", *items, "one for each version of a crate")?;
        count(f, "  with content", *with_content, "their README")?;
        count(f, "  with content cut", *cut, "over the limit of a body")?;
        count(f, "properties", properties.values().sum(), "")?;
        for kind in PropertyType::KNOWN {
            let number = properties.get(kind).copied().unwrap_or(0);
            count(f, &format!("  {kind}"), number, "")?;
        }
        count(f, "bytes", *bytes, "bodies of the items")?;
        match activities {
            Ok(added) => count(f, "activities", *added, "synthetic: said to be made by one user")?,
            Err(why) => count(f, "activities", 0, &format!("skipped: {}", why.0))?,
        }
        let (recorded, note) = match recorded {
            Ok(Recorded::Created) => (1, "this run".to_owned()),
            Ok(Recorded::Replaced) => (1, "this run, in place of an earlier one".to_owned()),
            Err(why) => (0, format!("skipped: {}", why.0)),
        };
        count(f, "user activities", recorded, &note)?;
        count(f, "history items", recorded, if recorded == 0 { "" } else { "of this run" })?;
        count(f, "items read back", *compared, "every value compared")?;
        count(f, "differences", differences.len(), "")?;

        let Counts { attempts, repeats, throttled, waited, .. } = &self.traffic;
        let count = |f: &mut fmt::Formatter<'_>, what: &str, number: u64, note: &str| {
            writeln!(f, "{what:<36}{number:>10}  {note}")
        };
        writeln!(f, "\n{:<36}{:>10}", "Traffic", "Count")?;
        count(f, "attempts", *attempts, "requests, those for tokens aside")?;
        count(f, "repeats", *repeats, "attempts after the first of a call")?;
        count(f, "throttled", *throttled, "answers to come back later")?;
        let seconds = waited.as_secs_f64();
        writeln!(f, "{:<36}{seconds:>10.3}  by all calls together", "seconds waited")?;
        if let Some(early) = self.early_calls {
            count(f, "early calls", early, "sooner than the service allowed")?;
        }

        writeln!(f, "\n{:<36}{:>10}", "Phase", "Seconds")?;
        let time = |f: &mut fmt::Formatter<'_>, name: &str, took: Duration| {
            writeln!(f, "{name:<36}{:>10.3}", took.as_secs_f64())
        };
        for (name, took) in self.phases {
            time(f, name, *took)?;
        }
        time(f, "together", self.phases.iter().map(|(_, took)| *took).sum())
    }
}
