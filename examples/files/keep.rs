//! What is kept from one run to the next, in a folder: the journal, the dead letters and, where
//! the emulator is in this program, what that holds.

use std::{
    fs::{self, File, TryLockError},
    io::{self, BufReader, Write as _},
    path::{Path, PathBuf},
};

use graphfeed_crawl::{DeadLetter, DeadLetterLines, DeadLetters, Journal, Scope};
use graphfeed_emulator::Emulator;
use graphfeed_examples::progress::say;
use tempfile::TempDir;

use crate::end::Stop;

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
    /// A copy, of which nothing is kept.
    _copy: Option<TempDir>,
}

const ANEW: &str = "the run before this one did not come to save what its emulator held, and that \
                    is gone; it begins anew, and everything is sent again";

impl Keep {
    /// In this folder.
    pub(crate) fn new(folder: PathBuf, with_emulator: bool) -> Self {
        Self { folder, with_emulator }
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of dead letters.
    pub(crate) fn letters(&self) -> PathBuf {
        self.folder.join("dead-letters.ndjson")
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

    /// Opens it, or makes it. With dead letters to be sent again, those of the folder itself are
    /// moved away first, to the path that this gives for them.
    ///
    /// # Errors
    /// When something in it cannot be opened, is damaged, another program's or not of this scope.
    pub(crate) fn open(&self, scope: &Scope, replay: Option<&mut PathBuf>) -> Result<Kept, Stop> {
        fs::create_dir_all(&self.folder).map_err(|why| {
            Stop::invalid(format!("cannot make {}: {why}; name another", self.folder.display()))
        })?;
        // First of all, for who has the journal has the rest, too.
        let mut journal = Journal::open(self.journal(), scope)?;
        if self.is_lost(journal.last_run().is_some()) {
            say(format_args!("files: {ANEW}"));
            drop(journal);
            for file in [self.journal(), self.emulator()] {
                remove(&file).map_err(|why| in_file(&file, &why))?;
            }
            journal = Journal::open(self.journal(), scope)?;
        }
        let letters = self.letters();
        let open = || DeadLetters::open(&letters).map_err(|why| letters_error(&letters, &why));
        if let Some(replay) = replay {
            // A torn last line is repaired before it is read.
            let is_own = replay
                .canonicalize()
                .is_ok_and(|it| letters.canonicalize().is_ok_and(|own| it == own));
            if is_own {
                drop(open()?);
            }
            check(replay)?;
            if is_own {
                *replay = move_away(&letters).map_err(|why| in_file(&letters, &why))?;
                say(format_args!("files: the dead letters are now {}", replay.display()));
            }
        }
        let letters = open()?;
        if letters.cut_off() > 0 {
            let (file, bytes) = (self.letters(), letters.cut_off());
            say(format_args!("files: {}: cut off {bytes} bytes of a torn line", file.display()));
        }
        Ok(Kept { journal, letters, _copy: None })
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
            Err(why) => return Err(in_file(&file, &why)),
            Ok(mut found) => {
                if let Err(TryLockError::WouldBlock) = found.try_lock_shared() {
                    let why = "is in use by another process; wait until that has ended";
                    return Err(Stop::invalid(format!("the journal {} {why}", file.display())));
                }
                let copied = File::create(&to).and_then(|mut to| io::copy(&mut found, &mut to));
                copied.map_err(|why| in_file(&file, &why))?;
            }
        }
        let open = |copy| {
            Journal::open(copy, scope).map_err(|mut why| {
                why.path.clone_from(&file);
                why
            })
        };
        let mut journal = open(to)?;
        if self.is_lost(journal.last_run().is_some()) {
            say(format_args!("files: {ANEW}"));
            journal = open(copy.path().join("anew"))?;
        }
        let letters = copy.path().join("dead-letters.ndjson");
        let letters = DeadLetters::open(&letters).map_err(|why| letters_error(&letters, &why))?;
        Ok(Kept { journal, letters, _copy: Some(copy) })
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
            Err(why) => return Err(in_file(&file, &why)),
        }
        let marker = self.marker();
        File::create(&marker).and_then(|it| it.sync_all()).map_err(|why| in_file(&marker, &why))
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
            remove(&self.marker())
        };
        save().map_err(|why: io::Error| in_file(&file, &why))
    }
}

/// The letters of a file that was [checked](Keep::open). Those with nothing to send are left out:
/// whether their files are any better now, a crawl finds out.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn letters_in(file: &Path) -> Result<impl Iterator<Item = DeadLetter> + Send, Stop> {
    let open = File::open(file).map_err(|why| in_file(file, &why))?;
    let letters = DeadLetterLines::new(BufReader::new(open));
    Ok(letters
        .map_while(Result::ok)
        .map(|(_, letter)| letter)
        .filter(|letter| letter.request.is_some()))
}

/// Tells every line that is no letter, and how many letters have nothing to send.
fn check(file: &Path) -> Result<(), Stop> {
    let open =
        File::open(file).map_err(|why| Stop::invalid(format!("{}: {why}", file.display())))?;
    let (mut bad, mut empty) = (0, 0);
    for line in DeadLetterLines::new(BufReader::new(open)) {
        match line {
            Ok((_, letter)) => empty += u64::from(letter.request.is_none()),
            Err(why) => {
                say(format_args!("files: {}: {why}", file.display()));
                bad += 1;
            }
        }
    }
    if empty > 0 {
        say(format_args!(
            "files: left out: {empty} letters with nothing to send; a run without --replay looks \
             at their files again"
        ));
    }
    match bad {
        0 => Ok(()),
        bad => Err(Stop::invalid(format!("{bad} lines of {} are bad", file.display()))),
    }
}

/// To the first name that is free.
fn move_away(letters: &Path) -> io::Result<PathBuf> {
    let mut number = 1;
    loop {
        let to = letters.with_extension(format!("{number}.ndjson"));
        if !to.try_exists()? {
            fs::rename(letters, &to)?;
            return Ok(to);
        }
        number += 1;
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

fn letters_error(file: &Path, why: &io::Error) -> Stop {
    match why.kind() {
        // They name the file.
        io::ErrorKind::WouldBlock | io::ErrorKind::InvalidData => Stop::invalid(why),
        _ => in_file(file, why),
    }
}

fn in_file(file: &Path, why: &io::Error) -> Stop {
    Stop::failure(format!("{}: {why}; check rights and free space", file.display()))
}
