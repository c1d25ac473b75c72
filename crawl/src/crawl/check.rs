//! A look at what a crawl would do, of which nothing is done: nothing is sent and nothing written.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    ops::ControlFlow,
};

use graphfeed_core::{external::ActivityCounts, types::BuildError};

use super::{Crawl, CrawlError, Entry, Report, Sweep, job::What, plan::Plan};

/// Something that would fail.
#[derive(Debug)]
#[non_exhaustive]
pub enum Complaint<'a> {
    /// Under this key.
    Key(&'a str, &'a BuildError),
    /// In a line that has no key, or in what has not even a line.
    Line(Option<u64>, &'a BuildError),
}

impl Crawl {
    /// What a run would do: `ok` is what would be sent, `failed` what would be refused before
    /// that, and the [sweep](Report::sweep) says how many items would be deleted. The source is
    /// read to its end; of each key eight bytes are remembered.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn check(
        &self,
        source: impl IntoIterator<Item = Entry>,
        mut complain: impl FnMut(Complaint<'_>),
    ) -> Result<Report, CrawlError> {
        let hasher = RandomState::new();
        let mut seen = HashSet::new();
        let mut unreadable = false;
        let (mut ok, mut failed, mut unchanged, mut gone) = (0, 0, 0, 0);
        let mut never_stored = 0;
        let mut activities = ActivityCounts::default();
        for entry in source {
            let Plan { key, known, calls, .. } = match self.plan(entry, |_| None)? {
                Ok(plan) => plan,
                Err(Entry::Unreadable { line, why }) => {
                    complain(Complaint::Line(line, &why));
                    unreadable = true;
                    failed += 1;
                    continue;
                }
                Err(Entry::Refused { key, why, .. }) => {
                    complain(Complaint::Key(&key, &why));
                    failed += 1;
                    continue;
                }
                Err(_) => continue,
            };
            if let Some(known) = known
                && seen.insert(hasher.hash_one(&*key))
                && !known.was_stored
            {
                never_stored += 1;
            }
            let mut refused = false;
            for planned in &calls {
                match &planned.call {
                    Err(why) => {
                        complain(Complaint::Key(&key, why));
                        refused = true;
                    }
                    Ok(_) => match &planned.what {
                        What::Add { activities: some } => {
                            activities.not_stored += some.len() as u64
                        }
                        What::Delete { .. } => gone += 1,
                        What::Put { .. } | What::Nothing { .. } => {}
                    },
                }
            }
            *match (refused, calls.is_empty()) {
                (true, _) => &mut failed,
                (false, true) => &mut unchanged,
                (false, false) => &mut ok,
            } += 1;
        }
        let is_seen = |key: &str| seen.contains(&hasher.hash_one(key));
        let (unseen, of_nothing) = self.count_unseen(u64::MAX, is_seen)?;
        let known = self.journal.len()?.saturating_sub(of_nothing + never_stored);
        let sweep = match (unreadable, self.settings.sweep) {
            (true, _) => Sweep::NotComplete,
            (false, false) => Sweep::Off,
            (false, true) => self.brake(unseen, known).unwrap_or(Sweep::WouldDelete(unseen)),
        };
        Ok(Report {
            seen: ok + failed + unchanged,
            ok,
            failed,
            skipped: unchanged,
            unchanged,
            deleted: gone,
            activities,
            sweep,
            ..Report::new(self.journal.last_run().map_or(0, |run| run.number))
        })
    }

    /// Whether so many of so many are too many to be deleted.
    pub(super) fn brake(&self, unseen: u64, known: u64) -> Option<Sweep> {
        // A product would be rounded otherwise than the share was, and what is no number allows
        // nothing.
        let is_allowed = unseen == 0 || unseen as f64 / known as f64 <= self.settings.most_swept;
        (!is_allowed).then_some(Sweep::Brake { unseen, known })
    }

    /// How many items no run from `run` on has seen, nor whoever is asked; and how many keys
    /// besides, of which nothing is in the service.
    pub(super) fn count_unseen(
        &self,
        run: u64,
        is_seen: impl Fn(&str) -> bool,
    ) -> Result<(u64, u64), CrawlError> {
        let (mut unseen, mut of_nothing) = (0, 0);
        self.journal.unseen(run, |key, known| {
            if !is_seen(key) {
                *if known.is_of_nothing() { &mut of_nothing } else { &mut unseen } += 1;
            }
            ControlFlow::Continue(())
        })?;
        Ok((unseen, of_nothing))
    }
}
