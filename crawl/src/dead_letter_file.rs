//! The file that dead letters are kept in, one a line, and reading it back.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufRead, Error, ErrorKind, Read, Seek, SeekFrom, Write},
    path::Path,
};

use graphfeed_core::types::{Fault, Rule};

use crate::{
    DeadLetter, LineError, RefusedLine,
    lines::{LONGEST, Lines},
    ndjson::next_line,
};

/// What every letter that was written here begins with.
const BEGINNING: &[u8] = b"{\"time\":";

/// A file that dead letters are added to.
///
/// A letter is in the file when [`push`](Self::push) returns, and on the disk when
/// [`sync`](Self::sync) does. A last line without an end is kept when the file is opened again if it
/// is a letter. Otherwise a crash has torn it, or whoever mended it made a mistake: it is cut off,
/// [told](Self::cut_off), and added to a file beside this one, whose name has `.torn` behind it.
/// Nobody reads that but people. Only one process has the file at a time.
///
/// ```
/// use graphfeed_core::types::{Fault, Rule, Timestamp};
/// use graphfeed_crawl::{DeadLetter, DeadLetterLines, DeadLetters};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("dead.ndjson");
/// let why = Fault::new(Rule::AclRequired, "$.acl", "nobody could see the item").into();
/// let mut letters = DeadLetters::open(&path)?;
/// letters.push(&DeadLetter::of_source("T1", &why, Timestamp::from_unix_seconds(0)?))?;
/// letters.sync()?;
///
/// let file = std::io::BufReader::new(std::fs::File::open(&path)?);
/// for letter in DeadLetterLines::new(file) {
///     let (line, letter) = letter?;
///     assert_eq!((line, letter.key.as_deref()), (1, Some("T1")));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DeadLetters {
    file: File,
    // All of it whole lines.
    length: u64,
    cut_off: u64,
    unsynced: bool,
    // What the file holds is not known any more.
    broken: bool,
}

impl DeadLetters {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] when another process has it, [`ErrorKind::InvalidData`] when it
    /// is something else than a file of dead letters, and what the file system says. Where a torn
    /// line cannot be kept, it is not cut off.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let is_new = !path.try_exists()?;
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let detail = format!("{}: another process has it open", path.display());
                return Err(Error::new(ErrorKind::WouldBlock, detail));
            }
            // A file system without locks.
            Err(TryLockError::Error(why)) if why.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(why)) => return Err(why),
        }
        if !begins_as_letters(&mut file)? {
            let detail = format!("{}: is no file of dead letters; name another", path.display());
            return Err(Error::new(ErrorKind::InvalidData, detail));
        }
        let found = file.seek(SeekFrom::End(0))?;
        let mut length = end_of_last_line(&mut file, found)?;
        let mut cut_off = 0;
        if length < found {
            if is_letter(&mut file, length, found)? {
                file.seek(SeekFrom::End(0))?;
                file.write_all(b"\n")?;
                length = found + 1;
            } else {
                keep_torn(path, &mut file, length)?;
                file.set_len(length)?;
                cut_off = found - length;
            }
            file.sync_all()?;
        }
        if is_new {
            sync_directory_of(path)?;
        }
        file.seek(SeekFrom::Start(length))?;
        Ok(Self { file, length, cut_off, unsynced: false, broken: false })
    }

    /// How many bytes of a torn last line were cut off when it was opened. They are in a file beside
    /// this one, whose name has `.torn` behind it.
    pub fn cut_off(&self) -> u64 {
        self.cut_off
    }

    /// Adds a letter: all of it, or nothing.
    ///
    /// # Errors
    /// What the file system says. After an error that left the file in doubt there are only
    /// errors; open it again.
    pub fn push(&mut self, letter: &DeadLetter) -> io::Result<()> {
        self.check()?;
        let mut line = serde_json::to_vec(letter)?;
        line.push(b'\n');
        if let Err(why) = self.file.write_all(&line) {
            let length = self.length;
            let back = self.file.set_len(length);
            self.broken = back.and_then(|()| self.file.seek(SeekFrom::Start(length))).is_err();
            return Err(why);
        }
        self.length += line.len() as u64;
        self.unsynced = true;
        Ok(())
    }

    /// Puts all letters on the disk.
    ///
    /// # Errors
    /// What the file system says; after that it is not known which letters are there, and there
    /// are only errors.
    pub fn sync(&mut self) -> io::Result<()> {
        self.check()?;
        if self.unsynced {
            // A second try would succeed without having written what the first one lost.
            self.broken = true;
            self.file.sync_data()?;
            self.broken = false;
            self.unsynced = false;
        }
        Ok(())
    }

    fn check(&self) -> io::Result<()> {
        match self.broken {
            true => Err(Error::other("an earlier write failed; open the dead letters again")),
            false => Ok(()),
        }
    }
}

/// Whether nothing speaks against its being ours. A crash may have left no more than the first
/// letters of a line, or zeros.
fn begins_as_letters(file: &mut File) -> io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    let mut start = Vec::new();
    let mut from = io::BufReader::new(&mut *file);
    (&mut from).take(BEGINNING.len() as u64).read_to_end(&mut start)?;
    if BEGINNING.starts_with(start.split(|byte| *byte == 0).next().unwrap_or_default()) {
        return Ok(true);
    }
    // Another program may have written the members in another order.
    from.take(LONGEST as u64).read_until(b'\n', &mut start)?;
    Ok(serde_json::from_slice::<DeadLetter>(&start).is_ok())
}

/// Where the last line that has an end has it.
fn end_of_last_line(file: &mut File, length: u64) -> io::Result<u64> {
    const STEP: u64 = 64 * 1024;
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(STEP);
        let part = read_part(file, start, end)?;
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn is_letter(file: &mut File, start: u64, end: u64) -> io::Result<bool> {
    Ok(end - start <= LONGEST as u64
        && serde_json::from_slice::<DeadLetter>(&read_part(file, start, end)?).is_ok())
}

/// Adds what is behind the last whole line to a file of its own, a line each time.
fn keep_torn(path: &Path, file: &mut File, start: u64) -> io::Result<()> {
    let mut torn = path.as_os_str().to_owned();
    torn.push(".torn");
    let to = OpenOptions::new().append(true).create(true).open(&torn);
    let mut to =
        to.map_err(|why| Error::new(why.kind(), format!("{}: {why}", Path::new(&torn).display())))?;
    file.seek(SeekFrom::Start(start))?;
    io::copy(file, &mut to)?;
    to.write_all(b"\n")?;
    to.sync_all()?;
    sync_directory_of(path)
}

fn read_part(file: &mut File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut part = Vec::new();
    file.take(end - start).read_to_end(&mut part)?;
    Ok(part)
}

/// A file that is new is on the disk only when its directory is.
#[cfg(unix)]
fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory_of(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The letters of a file with their lines, which are counted from 1. No more is held than one.
///
/// A line that is no letter is a fault, and the next one is read. So is a last line that a crash
/// left torn, until the file is [opened](DeadLetters::open) for more letters.
///
/// What is replayed may fail again. Move the file away first, or the letters of the replay are
/// added to the file that is being read.
#[derive(Debug)]
pub struct DeadLetterLines<R> {
    lines: Lines<R>,
    over: bool,
}

impl<R: BufRead> DeadLetterLines<R> {
    /// Reads letters, each at most 8 MiB long.
    pub fn new(from: R) -> Self {
        Self::with_longest_line(from, LONGEST)
    }

    /// Reads letters that are at most so many bytes long.
    pub fn with_longest_line(from: R, bytes: usize) -> Self {
        Self { lines: Lines::new(from, bytes), over: false }
    }
}

impl<R: BufRead> Iterator for DeadLetterLines<R> {
    type Item = Result<(u64, DeadLetter), LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let read = next_line(&mut self.lines, |line, text| {
            serde_json::from_str(text).map(|letter| (line, letter)).map_err(|why| {
                let detail = format!("is no dead letter: {why}; correct it");
                let why = Fault::new(Rule::BodyJson, "$", detail).into();
                RefusedLine { line, key: None, item: None, why }
            })
        });
        self.over = matches!(read, None | Some(Err(LineError::Io { .. })));
        read
    }
}
