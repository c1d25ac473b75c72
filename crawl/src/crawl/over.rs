//! A run of a crawl over a blocking client.

use std::{fmt, thread, time::Duration};

use graphfeed_core::{
    client::{Client, IngestNews, StopHandle, Transport},
    external::Duplicates,
    machine::{self, Outcome, Summary},
    protocol::Call,
    types::BuildError,
};

use super::{
    Crawl, CrawlError, Entry, Job, Pass, Report, Written,
    at_hand::{AtHand, Shelf},
};
use crate::DeadLetter;

/// So many entries of a source are read before they are taken up, and as many when they are.
const READ_AHEAD: usize = 32;

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
    /// What was counted before the run could not go on, as of one that was stopped: what had no
    /// end is skipped. Why it could not is the error that follows.
    BrokenOff(Report),
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

    /// What ends the run in good order, from Ctrl-C say: what is out is waited for, and so is a
    /// source that is just asked for its next entry. The next run goes on from there.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Puts what the source has into the connection, and deletes what it no longer has. The source
    /// is read on a thread of its own, and only as far as there is room; what it has at hand, a
    /// hundred entries at most, is taken up together, so that what is about to be done is on disk
    /// with one write. So twice the [queue](graphfeed_core::machine::IngestSettings::queue) may be
    /// in memory, and 64 entries more, or, where that is less, twice the queue once more.
    ///
    /// # Panics
    /// When the source does, and as [the bulk run](graphfeed_core::client::IngestRun::run).
    ///
    /// # Errors
    /// When journal or dead letters cannot be read or written, and when the client has another root
    /// than the crawl. What the service refuses is no error but in the report, with a dead letter
    /// for each.
    pub fn run<S>(self, source: S, tell: impl FnMut(CrawlNews<'_>)) -> Result<Report, CrawlError>
    where
        S: IntoIterator<Item = Entry> + Send,
    {
        self.go(tell, |pass, tell| {
            let summary = self.ingest_source(pass, source, tell);
            let unseen = pass.unseen(&summary)?;
            Ok(Some(self.ingest(pass, unseen, tell)))
        })
    }

    /// Makes the calls of dead letters once more, each as it is, unless something newer is known:
    /// [`Pass::replay`] says what goes. Those that fail again have new letters; so the letters must
    /// not come from the crawl's own file.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn replay<L>(
        self,
        letters: L,
        duplicates: Duplicates,
        tell: impl FnMut(CrawlNews<'_>),
    ) -> Result<Report, CrawlError>
    where
        L: IntoIterator<Item = DeadLetter> + Send,
    {
        self.go(tell, |pass, tell| {
            let summary = self.ingest(pass, Lazy(|| pass.replay(letters, duplicates)), tell);
            // It has not seen the source.
            drop(pass.unseen(&summary)?);
            Ok(None)
        })
    }

    /// From the beginning of a run to its end, which is where deletes have their summary.
    fn go<F: FnMut(CrawlNews<'_>)>(
        &self,
        mut tell: F,
        calls: impl FnOnce(&Pass<'_>, &mut F) -> Result<Option<Summary>, CrawlError>,
    ) -> Result<Report, CrawlError> {
        let [client, crawl] = [self.client.root(), &self.crawl.root].map(ToString::to_string);
        if client != crawl {
            return Err(CrawlError::OtherRoot { client: client.into(), crawl: crawl.into() });
        }
        let pass = self.crawl.begin()?;
        let swept = calls(&pass, &mut tell).unwrap_or_else(|why| {
            pass.break_off(why);
            None
        });
        let (report, ended) = pass.end(swept.as_ref());
        if let Err(why) = ended {
            tell(CrawlNews::BrokenOff(report));
            return Err(why);
        }
        Ok(report)
    }

    /// What the source has at hand is known, as it is read on another thread than it is taken up.
    fn ingest_source<S>(
        &self,
        pass: &Pass<'_>,
        source: S,
        tell: &mut impl FnMut(CrawlNews<'_>),
    ) -> Summary
    where
        S: IntoIterator<Item = Entry> + Send,
    {
        let shelf = Shelf::new(self.crawl.settings.ingest.queue.clamp(1, READ_AHEAD));
        let (at_hand, stop) = (AtHand::new(&shelf), &self.stop);
        let summary = thread::scope(|scope| {
            let reader = thread::Builder::new().name("graphfeed-entries".to_owned());
            let reader = reader.spawn_scoped(scope, || shelf.fill(source, stop));
            reader.expect("the system has a thread left");
            self.ingest(pass, Lazy(|| pass.offers_at_hand(at_hand)), tell)
        });
        shelf.close();
        summary
    }

    fn ingest<S>(&self, pass: &Pass<'_>, source: S, tell: &mut impl FnMut(CrawlNews<'_>)) -> Summary
    where
        S: IntoIterator<Item = (Job, Result<Call<Written>, BuildError>)> + Send,
    {
        let run = self
            .client
            .ingest(self.crawl.settings.ingest.clone())
            .stopped_by(&self.stop)
            .progress_every(self.progress_every);
        run.run(source, |news| {
            let heard = match news {
                IngestNews::Done(job, outcome) => {
                    let heard = pass.hear(&job, &outcome);
                    if heard.is_ok() {
                        tell(CrawlNews::Done(job.key(), &outcome));
                    }
                    heard
                }
                IngestNews::Progress(progress) => {
                    tell(CrawlNews::Progress(pass.report(), progress));
                    pass.sync()
                }
                _ => Ok(()),
            };
            if let Err(why) = heard {
                pass.break_off(why);
                self.stop.stop();
            }
        })
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
