//! A run of a crawl over a blocking client.

use std::{fmt, time::Duration};

use graphfeed_core::{
    client::{Client, IngestNews, StopHandle, Transport},
    external::Duplicates,
    machine::{self, Outcome, Summary},
    protocol::Call,
    types::BuildError,
};

use super::{Crawl, CrawlError, Entry, Job, Pass, Report, Written};
use crate::DeadLetter;

/// A run of a crawl that is about to start, over a blocking client. It comes from [`Crawl::over`].
#[must_use = "nothing goes out before run()"]
pub struct CrawlRun<'a, T> {
    crawl: &'a Crawl,
    client: &'a Client<T>,
    progress_every: Duration,
    stop: StopHandle,
}

/// What a run tells while it goes on.
#[derive(Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "it is made once a second at most")]
pub enum CrawlNews<'a> {
    /// What became of one call about a key, when it is on record.
    Done(&'a str, &'a Outcome<Written>),
    /// What was counted so far, and how the calls go, from time to time.
    Progress(Report, machine::Progress),
}

impl Crawl {
    /// A run over this client, whose root is that of the crawl.
    pub fn over<'a, T: Transport>(&'a self, client: &'a Client<T>) -> CrawlRun<'a, T> {
        let stop = client.ingest(self.settings.ingest.clone()).stop_handle();
        CrawlRun { crawl: self, client, progress_every: Duration::from_secs(1), stop }
    }
}

impl<T: Transport + Sync> CrawlRun<'_, T> {
    /// How often the progress is told: once a second by default.
    pub fn progress_every(mut self, every: Duration) -> Self {
        self.progress_every = every;
        self
    }

    /// What ends the run in good order, from Ctrl-C say: what is out is waited for, and the next
    /// run goes on from there.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Puts what the source has into the connection, and deletes what it no longer has. The source
    /// is read on a thread of its own, and only as far as there is room.
    ///
    /// # Errors
    /// When journal or dead letters cannot be read or written. What the service refuses is no
    /// error but in the report, with a dead letter for each.
    pub fn run<S>(
        self,
        source: S,
        mut tell: impl FnMut(CrawlNews<'_>),
    ) -> Result<Report, CrawlError>
    where
        S: IntoIterator<Item = Entry> + Send,
    {
        let pass = self.crawl.begin()?;
        let summary = self.ingest(&pass, Lazy(|| pass.offers(source)), &mut tell)?;
        let unseen = pass.unseen(&summary)?;
        let swept = self.ingest(&pass, unseen, &mut tell)?;
        pass.finish(Some(&swept))
    }

    /// Makes the calls of dead letters once more, each as it is. Those that fail again have new
    /// letters; so the letters must not come from the crawl's own file.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn replay<L>(
        self,
        letters: L,
        duplicates: Duplicates,
        mut tell: impl FnMut(CrawlNews<'_>),
    ) -> Result<Report, CrawlError>
    where
        L: IntoIterator<Item = DeadLetter> + Send,
    {
        let pass = self.crawl.begin()?;
        let summary = self.ingest(&pass, Lazy(|| pass.replay(letters, duplicates)), &mut tell)?;
        // It has not seen the source.
        drop(pass.unseen(&summary)?);
        pass.finish(None)
    }

    fn ingest<S>(
        &self,
        pass: &Pass<'_>,
        source: S,
        tell: &mut impl FnMut(CrawlNews<'_>),
    ) -> Result<Summary, CrawlError>
    where
        S: IntoIterator<Item = (Job, Result<Call<Written>, BuildError>)> + Send,
    {
        let mut broken = None;
        let run = self
            .client
            .ingest(self.crawl.settings.ingest.clone())
            .stopped_by(&self.stop)
            .progress_every(self.progress_every);
        let summary = run.run(source, |news| {
            let heard = match news {
                IngestNews::Done(job, outcome) => {
                    let heard = pass.hear(&job, &outcome);
                    tell(CrawlNews::Done(job.key(), &outcome));
                    heard
                }
                IngestNews::Progress(progress) => {
                    tell(CrawlNews::Progress(pass.report(), progress));
                    pass.sync()
                }
                _ => Ok(()),
            };
            if let Err(why) = heard {
                broken.get_or_insert(why);
                self.stop.stop();
            }
        });
        match broken {
            Some(why) => Err(why),
            None => Ok(summary),
        }
    }
}

/// An iterator that is made where it is read.
struct Lazy<F>(F);

impl<I: Iterator, F: FnOnce() -> I> IntoIterator for Lazy<F> {
    type Item = I::Item;
    type IntoIter = I;

    fn into_iter(self) -> I {
        (self.0)()
    }
}

impl<T> fmt::Debug for CrawlRun<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrawlRun").field("crawl", self.crawl).finish_non_exhaustive()
    }
}
