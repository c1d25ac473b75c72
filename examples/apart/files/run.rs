//! A run: the connection first, then the files, and everything on record.

use std::{
    convert::Infallible,
    fs::File,
    io::BufReader,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use graphfeed_core::{
    client::{Client, Transport},
    external::{
        Duplicates, EnsureConnection, EnsureSchema, ExternalConnection, GetConnection, Schema,
    },
    machine::Ending,
    types::{BuildError, ConnectionId},
};
use graphfeed_crawl::{Complaint, Crawl, CrawlNews, CrawlSettings, Report, Scope, Sweep};
use graphfeed_emulator::Limit;
use graphfeed_examples::{
    interrupt::Interrupts,
    progress::{Phases, say},
};

use crate::{
    end::{Status, Stop},
    folder::{self, Folder},
    keep::{Keep, Kept},
    letters::{Unread, letters_in},
    place::{Place, Target},
};

/// The connection that this program makes.
const ID: &str = "graphfeedfiles";
/// Its name.
const NAME: &str = "Files";

/// What a run may do.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Whether an activity may be there twice.
    pub(crate) duplicates: Duplicates,
    /// The greatest share that is deleted.
    pub(crate) most_deleted: f64,
    /// Dead letters that are sent again, instead of a crawl.
    pub(crate) replay: Option<PathBuf>,
    /// The limits of the emulator in this program.
    pub(crate) limits: Vec<Limit>,
}

/// What is known of a run, also of one that came to no good end.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// What was counted, also until it could not go on.
    pub(crate) report: Option<Report>,
    /// How many texts were cut.
    pub(crate) cut: AtomicU64,
    /// Whether all dead letters that were to be sent again were, or have a new letter.
    pub(crate) is_replayed: bool,
    /// How much of their file could not be read.
    pub(crate) unread: Unread,
    /// Whether its last line was torn, and cut off.
    pub(crate) is_torn: bool,
    /// Whether dead letters have to wait for a crawl.
    pub(crate) crawl_first: bool,
}

/// The connection that this program makes.
///
/// # Errors
/// When Microsoft Graph would not take its id.
pub(crate) fn scope(place: &Place) -> Result<Scope, BuildError> {
    Ok(Scope::new(&place.root(), &ConnectionId::new(ID)?))
}

/// Stores the files of a folder, and deletes those that it no longer has; or sends dead letters
/// again.
///
/// # Errors
/// Why nothing was begun, or could not go on.
pub(crate) fn run(
    place: Place,
    folder: &Folder,
    keep: &Keep,
    wanted: &Wanted,
    interrupts: &Interrupts,
    known: &mut Known,
) -> Result<Status, Stop> {
    let scope = scope(&place)?;
    let kept = keep.open(&scope, wanted.replay.as_deref())?;
    let is_own = kept.is_own;
    known.is_torn = kept.is_torn;
    let result = go(place, folder, keep, kept, wanted, interrupts, known);
    let settled = match is_own {
        true => keep.settle(&scope, known.is_replayed),
        false => Ok(()),
    };
    result.and_then(|status| settled.map(|()| status))
}

fn go(
    place: Place,
    folder: &Folder,
    keep: &Keep,
    kept: Kept,
    wanted: &Wanted,
    interrupts: &Interrupts,
    known: &mut Known,
) -> Result<Status, Stop> {
    let mapping = place.mapping();
    let target = place.go(wanted.limits.clone())?;
    let Some(here) = &target.here else {
        return crawl(&target, kept, folder, &mapping, wanted, interrupts, known);
    };
    let emulator = here.emulator();
    keep.restore(emulator, &kept.journal)?;
    let result = crawl(&target, kept, folder, &mapping, wanted, interrupts, known);
    let saved = keep.save(emulator);
    result.and_then(|status| saved.map(|()| status))
}

fn crawl(
    target: &Target,
    kept: Kept,
    folder: &Folder,
    mapping: &folder::Mapping,
    wanted: &Wanted,
    interrupts: &Interrupts,
    known: &mut Known,
) -> Result<Status, Stop> {
    let schema = folder::schema()?;
    let mut phases = Phases::default();
    let in_journal = kept.journal.len()?;
    phases.run("connection and schema", |_| set_up(target, &schema, in_journal, interrupts))?;

    let crawl = made(mapping, schema, kept, wanted)?;
    let replay = wanted.replay.as_deref();
    let of = match replay {
        Some(_) => None,
        None => Some(
            phases.run("listing", |_| Ok::<_, Infallible>(folder.count(interrupts))).unwrap_or(0),
        ),
    };
    let letters = replay.map(|file| File::open(file).map_err(|why| Stop::in_file(file, &why)));
    let letters = letters.transpose()?.map(BufReader::new);
    let Known { report, cut, unread, .. } = known;
    let mut done = phases.run("files", |progress| {
        let run = crawl.over(&target.client);
        let stop = run.stop_handle();
        interrupts.then(move || {
            say(format_args!(
                "\nfiles: ending; what is out is waited for, Ctrl-C again is quicker"
            ));
            stop.stop();
        });
        let tell = |news: CrawlNews<'_>| match news {
            CrawlNews::Progress(so_far, _) => {
                let seen = usize::try_from(so_far.seen).unwrap_or(usize::MAX);
                progress.at(seen, of.unwrap_or(seen));
            }
            CrawlNews::BrokenOff(so_far) => *report = Some(so_far),
            _ => {}
        };
        match letters {
            Some(file) => {
                let name = replay.unwrap_or(Path::new("")).display();
                let letters = letters_in(file, unread, |why| {
                    progress.say(format_args!("files: {name}: {why}"))
                });
                run.replay(letters, wanted.duplicates, tell)
            }
            None => run.run(folder.files(mapping, cut), tell),
        }
    });
    let bad = known.bad_lines();
    if let Some(report) = done.as_mut().ok().or(known.report.as_mut()) {
        report.seen += bad;
        report.failed += bad;
    }
    let done = done?;
    let status = Status::of(&done);
    known.is_replayed = replay.is_some()
        && done.ending == Ending::Complete
        && done.skipped == done.unchanged + done.overtaken
        && bad == 0
        && !known.unread.rest();
    known.report = Some(done);
    match replay {
        Some(file) if known.unread.rest() => Err(Stop::failure(format_args!(
            "{} could not be read to its end; look after the disk",
            file.display()
        ))),
        _ => Ok(status),
    }
}

/// What [`run`] would do, of which nothing is done.
///
/// # Errors
/// When there is something in the way of it.
pub(crate) fn look(
    place: &Place,
    folder: &Folder,
    keep: &Keep,
    wanted: &Wanted,
    interrupts: &Interrupts,
    known: &mut Known,
) -> Result<Status, Stop> {
    let kept = keep.look(&scope(place)?)?;
    let mapping = place.mapping();
    let crawl = made(&mapping, folder::schema()?, kept, wanted)?;
    let mut phases = Phases::default();
    let of = phases.run("listing", |_| Ok::<_, Infallible>(folder.count(interrupts))).unwrap_or(0);
    let files = folder.files(&mapping, &known.cut).into_iter();
    // Only what ends before the source does has not seen it whole.
    let mut is_whole = true;
    let mut report = phases.run("files", |progress| {
        let files = files.enumerate().take_while(|(number, _)| {
            progress.at(*number, of);
            is_whole = !interrupts.is_interrupted();
            is_whole
        });
        crawl.check(files.map(|(_, entry)| entry), |complaint| match complaint {
            // What cannot be read has its key as the place.
            Complaint::Key(key, why) if why.faults()[0].place == key => {
                progress.say(format_args!("files: {why}"));
            }
            Complaint::Key(key, why) => progress.say(format_args!("files: {key}: {why}")),
            Complaint::Line(_, why) => progress.say(format_args!("files: {why}")),
            _ => {}
        })
    })?;
    if !is_whole {
        (report.ending, report.sweep) = (Ending::Stopped, Sweep::NotComplete);
    }
    let status = Status::of(&report);
    known.report = Some(report);
    Ok(status)
}

fn made(
    mapping: &folder::Mapping,
    schema: Schema,
    kept: Kept,
    wanted: &Wanted,
) -> Result<Crawl, Stop> {
    let mut settings = CrawlSettings::default();
    settings.schema = Some(schema);
    settings.duplicates = wanted.duplicates;
    settings.most_swept = wanted.most_deleted;
    let Kept { journal, letters, .. } = kept;
    Ok(Crawl::new(mapping.root.clone(), ConnectionId::new(ID)?, journal, letters, settings)?)
}

/// Sees to it that the connection takes items, unless somebody interrupts.
fn set_up(
    target: &Target,
    schema: &Schema,
    in_journal: u64,
    interrupts: &Interrupts,
) -> Result<(), Stop> {
    let (tell, heard) = mpsc::channel();
    let interrupted = tell.clone();
    interrupts.then(move || drop(interrupted.send(Err(Stop::interrupted()))));
    let (client, patience, schema) = (target.client.clone(), target.patience, schema.clone());
    // In a tenant that takes minutes, and nothing of it is lost by leaving.
    let spawned = thread::Builder::new().name("connection".to_owned()).spawn(move || {
        let connect = AssertUnwindSafe(|| connect(&client, &schema, in_journal, patience));
        let result = catch_unwind(connect);
        let panicked = |_| Err(Stop::failure("setting up the connection has panicked"));
        drop(tell.send(result.unwrap_or_else(panicked)));
    });
    spawned.map_err(Stop::failure)?;
    heard.recv().unwrap_or_else(|_| Err(Stop::interrupted()))
}

fn connect<T: Transport>(
    client: &Client<T>,
    schema: &Schema,
    in_journal: u64,
    patience: Duration,
) -> Result<(), Stop> {
    let id = ConnectionId::new(ID)?;
    if in_journal > 0 {
        // What is made anew is empty, and the journal would keep it so.
        match client.send(&GetConnection::new(&id)) {
            Err(why) if why.status().is_some_and(|status| status.as_u16() == 404) => {
                return Err(Stop::invalid(format!(
                    "the service has no connection {id}, and the journal knows {in_journal} items \
                     in it; move the journal away, and everything is sent again"
                )));
            }
            found => drop(found?),
        }
    }
    let wanted = ExternalConnection::builder(id.clone(), NAME)
        .description("The files of a folder")
        .build()?;
    client.run(&EnsureConnection::new(&wanted))?;
    client.run(&EnsureSchema::new(&id, schema).ready().at_most(patience))?;
    Ok(())
}

impl Known {
    /// How many texts were cut.
    pub(crate) fn cut(&self) -> u64 {
        self.cut.load(Relaxed)
    }

    /// How many lines that were to be dead letters are none.
    fn bad_lines(&self) -> u64 {
        self.unread.lines() + u64::from(self.is_torn)
    }
}
