//! What is kept from one run to the next, in a folder: the journal, the [dead letters](Letters)
//! and, where the emulator is in this program, what that holds.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use graphfeed_crawl::{DeadLetters, Journal, JournalErrorKind, Scope};
use graphfeed_emulator::Emulator;
use graphfeed_examples::progress::say;
use tempfile::TempDir;

use crate::{
    end::Stop,
    letters::{self, Letters, remove, sync_folder_of},
};

/// A folder for what is kept.
#[derive(Debug)]
pub(crate) struct Keep {
    folder: PathBuf,
    /// Whether the emulator in this program is part of it.
    with_emulator: bool,
}

/// What was found in it, or made, and is this program's until it ends.
pub(crate) struct Kept {
    /// What is known of the service.
    pub(crate) journal: Journal,
    /// What failed.
    pub(crate) letters: DeadLetters,
    /// Whether those that are sent again are the folder's own.
    pub(crate) is_own: bool,
    /// Whether their last line was torn, and was cut off.
    pub(crate) is_torn: bool,
    /// A copy, of which nothing is kept.
    _copy: Option<TempDir>,
}

const LOST: &str = "the run before this one did not come to save what its emulator held, and that \
                    is gone";
const ANEW: &str = "it begins anew, and everything is sent again";
/// What a journal that knows nothing says of letters: that what they are about is gone.
const CRAWL_FIRST: &str = "so it is not known what of the letters is still wanted; run without \
                           --replay first, and everything is sent again";

impl Keep {
    /// In this folder.
    pub(crate) fn new(folder: PathBuf, with_emulator: bool) -> Self {
        Self { folder, with_emulator }
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The dead letters.
    pub(crate) fn letters(&self) -> Letters {
        Letters::of(&self.folder)
    }

    fn journal(&self) -> PathBuf {
        self.folder.join("journal")
    }

    fn emulator(&self) -> PathBuf {
        self.folder.join("emulator.json")
    }

    /// There while the emulator holds what no file has.
    fn marker(&self) -> PathBuf {
        self.folder.join("emulator.running")
    }

    /// Opens it, or makes it, with the dead letters that are to be sent again.
    ///
    /// # Errors
    /// When something in it cannot be opened, is damaged, another program's or not of this scope;
    /// and when letters are to be sent again and nothing was sent before.
    pub(crate) fn open(&self, scope: &Scope, replay: Option<&Path>) -> Result<Kept, Stop> {
        fs::create_dir_all(&self.folder).map_err(|why| {
            Stop::invalid(format!("cannot make {}: {why}; name another", self.folder.display()))
        })?;
        // First of all, for who has the journal has the rest, too.
        let file = self.journal();
        let had_journal = file.try_exists().map_err(|why| Stop::in_file(&file, &why))?;
        let mut journal = Journal::open(&file, scope)?;
        let has_run = journal.last_run().is_some();
        let is_lost = self.is_lost(has_run);
        match replay {
            Some(_) if is_lost => {
                return Err(Stop::crawl_first(format_args!("{LOST}, {CRAWL_FIRST}")));
            }
            Some(_) if !has_run => {
                let file = file.display();
                return Err(Stop::crawl_first(format_args!(
                    "the journal {file} has no run, {CRAWL_FIRST}"
                )));
            }
            _ => {}
        }
        if is_lost {
            say(format_args!("files: {LOST}; {ANEW}"));
            drop(journal);
            for file in [self.journal(), self.emulator()] {
                remove(&file).map_err(|why| Stop::in_file(&file, &why))?;
            }
            journal = Journal::open(self.journal(), scope)?;
        } else if !had_journal && (self.emulator().exists() || self.letters().file().exists()) {
            say(format_args!(
                "files: the journal {} is not there, and other files of a run are; {ANEW}",
                file.display()
            ));
        }
        let own = self.letters();
        let is_own = replay.is_some_and(|file| own.is(file));
        let is_torn = is_own && own.repair()?;
        own.join()?;
        let letters = if is_own { own.open_again() } else { own.open() }?;
        if let Some(file) = replay {
            let tell = |why: &_| say(format_args!("files: {}: {why}", file.display()));
            let empty = letters::check(file, tell)?;
            if empty > 0 {
                say(format_args!(
                    "files: left out: {empty} letters with nothing to send; a run without \
                     --replay looks at their files again"
                ));
            }
        }
        Ok(Kept { journal, letters, is_own, is_torn, _copy: None })
    }

    /// What becomes of the folder's own dead letters after they were sent again, all of them or
    /// not.
    ///
    /// # Errors
    /// When a file cannot be read or written. Nothing is lost then, and the next run does it.
    pub(crate) fn settle(&self, scope: &Scope, is_done: bool) -> Result<(), Stop> {
        let letters = self.letters();
        let _journal = match Journal::open(self.journal(), scope) {
            Ok(journal) => journal,
            // Who has the journal has the letters, too, and has brought them together.
            Err(why) if matches!(why.kind, JournalErrorKind::InUse) => return Ok(()),
            Err(why) => return Err(why.into()),
        };
        if !is_done {
            return letters.join();
        }
        if let Some(aside) = letters.put_aside()? {
            say(format_args!("files: the old dead letters are now {}", aside.display()));
        }
        Ok(())
    }

    /// A copy of what there is, so that nothing is written here.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn look(&self, scope: &Scope) -> Result<Kept, Stop> {
        let copy = tempfile::tempdir()
            .map_err(|why| Stop::failure(format!("no folder for a copy of the journal: {why}")))?;
        let (file, to) = (self.journal(), copy.path().join("journal"));
        match File::open(&file) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => return Err(Stop::in_file(&file, &why)),
            Ok(mut found) => {
                if let Err(TryLockError::WouldBlock) = found.try_lock_shared() {
                    let why = "is in use by another process; wait until that has ended";
                    return Err(Stop::invalid(format!("the journal {} {why}", file.display())));
                }
                let copied = File::create(&to).and_then(|mut to| io::copy(&mut found, &mut to));
                copied.map_err(|why| {
                    let (file, to) = (file.display(), to.display());
                    let fix = "check rights, and the free space for the copy";
                    Stop::failure(format_args!("cannot copy {file} to {to}: {why}; {fix}"))
                })?;
            }
        }
        let open = |copy| {
            Journal::open(copy, scope).map_err(|mut why| {
                // What the disk says is about the copy, and the rest about both.
                if !matches!(why.kind, JournalErrorKind::Io(_)) {
                    why.path.clone_from(&file);
                }
                why
            })
        };
        let mut journal = open(to)?;
        if self.is_lost(journal.last_run().is_some()) {
            say(format_args!("files: {LOST}; {ANEW}"));
            journal = open(copy.path().join("anew"))?;
        }
        let letters = Letters::of(copy.path()).open()?;
        Ok(Kept { journal, letters, is_own: false, is_torn: false, _copy: Some(copy) })
    }

    /// Whether the journal tells of what no emulator holds.
    fn is_lost(&self, has_run: bool) -> bool {
        let is_saved = self.emulator().exists() && !self.marker().exists();
        self.with_emulator && !is_saved && (has_run || self.marker().exists())
    }

    /// Gives the emulator in this program what it held before, as far as the journal knows of it.
    ///
    /// # Errors
    /// When that is damaged, or cannot be read.
    pub(crate) fn restore(&self, emulator: &Emulator, journal: &Journal) -> Result<(), Stop> {
        let file = self.emulator();
        match fs::read(&file) {
            Ok(_) if journal.last_run().is_none() => {}
            Ok(saved) => emulator.restore(&saved).map_err(|why| {
                let fix = "restore a copy, or move the whole folder away to begin anew";
                Stop::invalid(format!("{}: {why}; {fix}", file.display()))
            })?,
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => return Err(Stop::in_file(&file, &why)),
        }
        let marker = self.marker();
        File::create(&marker)
            .and_then(|it| it.sync_all())
            .map_err(|why| Stop::in_file(&marker, &why))
    }

    /// Puts what the emulator in this program holds on disk.
    ///
    /// # Errors
    /// When it cannot be written. Then the next run begins anew.
    pub(crate) fn save(&self, emulator: &Emulator) -> Result<(), Stop> {
        let file = self.emulator();
        let beside = file.with_extension("new");
        let save = || {
            let mut new = File::create(&beside)?;
            new.write_all(&emulator.save())?;
            new.sync_all()?;
            fs::rename(&beside, &file)?;
            sync_folder_of(&file)?;
            remove(&self.marker())
        };
        save().map_err(|why: io::Error| Stop::in_file(&file, &why))
    }
}
