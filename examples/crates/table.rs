//! What the program prints at its end.

use std::{
    fmt::{self, Write as _},
    path::Path,
    time::Duration,
};

use graphfeed_core::external::PropertyType;

use crate::run::Stored;

/// Everything that the table tells.
pub(crate) struct Report<'a> {
    /// The manifest.
    pub(crate) manifest: &'a Path,
    /// Where everything went, in words.
    pub(crate) service: String,
    /// What was stored.
    pub(crate) stored: &'a Stored,
    /// How long each part took.
    pub(crate) phases: &'a [(&'static str, Duration)],
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stored {
            connection,
            items,
            with_content,
            cut,
            properties,
            bytes,
            activities,
            user_activities: (created, replaced),
            history_items,
            compared,
            differences,
        } = self.stored;

        writeln!(f, "The crates of {}", self.manifest.display())?;
        writeln!(f, "in connection {connection} of {}\n", self.service)?;

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
        count(f, "activities", *activities, "synthetic: created by a made-up user")?;
        count(
            f,
            "user activities",
            created + replaced,
            match replaced {
                0 => "this run",
                _ => "this run, in place of an earlier one",
            },
        )?;
        count(f, "history items", *history_items, "of this run")?;
        count(f, "items read back", *compared, "every value compared")?;
        count(f, "differences", differences.len(), "")?;

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
