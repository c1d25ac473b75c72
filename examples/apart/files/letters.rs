//! The dead letters of a folder, and sending the letters of a file again.
//!
//! While the folder's own are sent again they stay where they are, and what fails goes to a second
//! file. When all is done the first is put aside and the second takes its place; before that, what
//! both have is brought together, now or by the next run. So there is no moment at which a letter
//! that is not done is in neither.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use graphfeed_core::types::RawJson;
use graphfeed_crawl::{DeadLetter, DeadLetterLines, DeadLetters, Digest, LineError};
use graphfeed_examples::progress::say;

use crate::end::Stop;

/// The dead letters of a folder.
#[derive(Debug)]
pub(crate) struct Letters {
    file: PathBuf,
}

/// How much of a file could not be read as letters.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    lines: AtomicU64,
    rest: AtomicBool,
}

impl Letters {
    /// Those of this folder.
    pub(crate) fn of(folder: &Path) -> Self {
        Self { file: folder.join("dead-letters.ndjson") }
    }

    /// Where they are.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Where those are that failed again, while the others are sent.
    fn again(&self) -> PathBuf {
        self.file.with_extension("again.ndjson")
    }

    /// Where what is left of a torn last line is put.
    pub(crate) fn torn(&self) -> PathBuf {
        let mut name = self.file.clone().into_os_string();
        name.push(".torn");
        name.into()
    }

    /// Whether this file is theirs.
    pub(crate) fn is(&self, file: &Path) -> bool {
        let same = |file: PathBuf| self.file.canonicalize().is_ok_and(|own| own == file);
        file.canonicalize().is_ok_and(same)
    }

    /// The file that failures go to.
    ///
    /// # Errors
    /// When it cannot be opened, is another program's or no file of dead letters.
    pub(crate) fn open(&self) -> Result<DeadLetters, Stop> {
        open(&self.file)
    }

    /// The same while these letters are sent again themselves.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_again(&self) -> Result<DeadLetters, Stop> {
        open(&self.again())
    }

    /// Cuts off a torn last line before they are read. Gives whether there was one.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn repair(&self) -> Result<bool, Stop> {
        Ok(self.open()?.cut_off() > 0)
    }

    /// All of them were sent again, or have a new letter. Gives where the old ones are now, if
    /// there were any.
    ///
    /// # Errors
    /// When they cannot be put aside.
    pub(crate) fn put_aside(&self) -> Result<Option<PathBuf>, Stop> {
        if self.file.metadata().is_ok_and(|found| found.len() == 0) {
            return self.join().map(|()| None);
        }
        let aside = self.free_name().map_err(|why| Stop::in_file(&self.file, &why))?;
        let moved = fs::rename(&self.file, &aside);
        let moved = moved.and_then(|()| sync_folder_of(&aside));
        moved.map_err(|why| Stop::in_file(&self.file, &why))?;
        self.join()?;
        Ok(Some(aside))
    }

    /// The first that is free.
    fn free_name(&self) -> io::Result<PathBuf> {
        let mut number = 1;
        loop {
            let name = self.file.with_extension(format!("{number}.ndjson"));
            if !name.try_exists()? {
                return Ok(name);
            }
            number += 1;
        }
    }

    /// Brings both files together, if there are two. It may be done as often as it is broken off.
    ///
    /// # Errors
    /// When either cannot be read or written.
    pub(crate) fn join(&self) -> Result<(), Stop> {
        let again = self.again();
        let in_again = |why: io::Error| Stop::in_file(&again, &why);
        if !again.try_exists().map_err(in_again)? {
            return Ok(());
        }
        // What a crash has left of a line is cut off.
        drop(open(&again)?);
        if self.file.exists() {
            drop(self.open()?);
            self.bring_together(&again).map_err(|why| Stop::in_file(&self.file, &why))?;
            remove(&again).map_err(in_again)
        } else {
            fs::rename(&again, &self.file).map_err(in_again)
        }
    }

    /// Each letter that was written again stands for the one that it comes from. They come before
    /// what is left, so that of one item the last that was wanted stays the last.
    fn bring_together(&self, again: &Path) -> io::Result<()> {
        if again.metadata()?.len() == 0 {
            return Ok(());
        }
        let both = self.file.with_extension("both.ndjson");
        let mut to = BufWriter::new(File::create(&both)?);
        let mut written: HashMap<Digest, u64> = HashMap::new();
        for line in lines(again)? {
            let line = line?;
            to.write_all(&line)?;
            if let Some(request) = request_of(&line) {
                *written.entry(request).or_default() += 1;
            }
        }
        for line in lines(&self.file)? {
            let line = line?;
            let request = request_of(&line);
            match request.and_then(|it| written.get_mut(&it)).filter(|count| **count > 0) {
                Some(count) => *count -= 1,
                None => to.write_all(&line)?,
            }
        }
        to.into_inner()?.sync_all()?;
        fs::rename(both, &self.file)?;
        // Only then may the second file go.
        sync_folder_of(&self.file)
    }
}

/// The lines of a file, each with its end.
fn lines(file: &Path) -> io::Result<impl Iterator<Item = io::Result<Vec<u8>>>> {
    let mut from = BufReader::new(File::open(file)?);
    Ok(std::iter::from_fn(move || {
        let mut line = Vec::new();
        let read = from.read_until(b'\n', &mut line);
        read.map(|bytes| (bytes > 0).then_some(line)).transpose()
    }))
}

/// What the letter in a line wants to be sent, if there is one and it does.
fn request_of(line: &[u8]) -> Option<Digest> {
    let letter: DeadLetter = serde_json::from_slice(line).ok()?;
    let key = letter.key.as_deref().unwrap_or("");
    let text = |json: &Option<RawJson>| json.as_ref().map_or("", RawJson::get).to_owned();
    match &letter.request {
        Some(it) => Some(Digest::of([key, &it.method, &it.path, &text(&it.body)])),
        None => letter.item.is_some().then(|| Digest::of([key, &text(&letter.item)])),
    }
}

/// The letters that a file has, and something to send with them. What cannot be read is told and
/// counted, and the next line is read.
pub(crate) fn letters_in<R: BufRead>(
    from: R,
    unread: &Unread,
    tell: impl Fn(&LineError),
) -> impl Iterator<Item = DeadLetter> {
    let letters = DeadLetterLines::new(from).filter_map(move |line| match line {
        Ok((_, letter)) => Some(letter),
        Err(why) => {
            tell(&why);
            match why {
                LineError::Io { .. } => unread.rest.store(true, Relaxed),
                _ => {
                    unread.lines.fetch_add(1, Relaxed);
                }
            }
            None
        }
    });
    letters.filter(has_something_to_send)
}

fn has_something_to_send(letter: &DeadLetter) -> bool {
    letter.request.is_some() || letter.item.is_some()
}

/// Whether there are letters in a file, and how many of them have nothing to send: whether what
/// they are about is any better now, a crawl finds out.
///
/// # Errors
/// When it cannot be read, or nothing in it is a letter; every fault is told.
pub(crate) fn check(file: &Path, tell: impl Fn(&LineError)) -> Result<u64, Stop> {
    let open =
        File::open(file).map_err(|why| Stop::invalid(format!("{}: {why}", file.display())))?;
    let (mut letters, mut empty, mut bad) = (0_u64, 0, Vec::new());
    for line in DeadLetterLines::new(BufReader::new(open)) {
        match line {
            Ok((_, letter)) => {
                letters += 1;
                empty += u64::from(!has_something_to_send(&letter));
                // They are told when it is read again.
                bad = Vec::new();
            }
            Err(why) if letters == 0 => bad.push(why),
            Err(_) => {}
        }
    }
    if letters > 0 || bad.is_empty() {
        return Ok(empty);
    }
    bad.iter().for_each(tell);
    Err(Stop::invalid(format!("{}: no line of it is a dead letter", file.display())))
}

impl Unread {
    /// How many lines are no letters.
    pub(crate) fn lines(&self) -> u64 {
        self.lines.load(Relaxed)
    }

    /// Whether there is more in the file, and the disk does not give it.
    pub(crate) fn rest(&self) -> bool {
        self.rest.load(Relaxed)
    }
}

fn open(file: &Path) -> Result<DeadLetters, Stop> {
    let letters = DeadLetters::open(file).map_err(|why| match why.kind() {
        // They name the file.
        io::ErrorKind::WouldBlock => Stop::invalid(why),
        io::ErrorKind::InvalidData => Stop::invalid(first_fault(file)),
        _ => Stop::in_file(file, &why),
    })?;
    if letters.cut_off() > 0 {
        let (file, bytes) = (file.display(), letters.cut_off());
        say(format_args!("files: {file}: cut off {bytes} bytes of a torn line"));
    }
    Ok(letters)
}

/// What keeps a file from being one of dead letters.
fn first_fault(file: &Path) -> String {
    let from = File::open(file).ok().map(BufReader::new);
    let why = from.and_then(|from| DeadLetterLines::new(from).find_map(Result::err));
    let why = why.map_or("does not begin with a dead letter".to_owned(), |why| why.to_string());
    let fix = "or move the file away, and letters go to a new one";
    format!("{}: {why}; {fix}", file.display())
}

/// Puts on the disk what files are called in the folder that this one is in.
pub(crate) fn sync_folder_of(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Removes a file, if it is there.
pub(crate) fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, io::Read};

    use serde_json::json;

    use super::*;

    fn letter(key: &str, content: &str, cause: &str) -> String {
        let letter = json!({
            "time": "2021-04-06T18:04:31Z", "key": key, "operation": "Create or replace item",
            "cause": cause, "applied": "no",
            "request": {"method": "PUT", "path": key, "body": {"content": content}},
        });
        let letter: DeadLetter = serde_json::from_value(letter).unwrap();
        serde_json::to_string(&letter).unwrap() + "\n"
    }

    /// Brings these together, and gives what that comes to.
    fn joined(own: &str, again: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let letters = Letters::of(folder.path());
        fs::write(letters.file(), own).unwrap();
        fs::write(letters.again(), again).unwrap();
        letters.join().unwrap();
        letters.join().unwrap();
        let names = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name());
        // What is torn may be kept for people to read.
        let names = names.filter(|name| !name.to_string_lossy().ends_with(".torn"));
        assert_eq!(names.count(), 1);
        fs::read_to_string(letters.file()).unwrap()
    }

    #[test]
    fn a_letter_that_was_written_again_replaces_the_one_that_it_comes_from_and_no_other() {
        let [one, two] = ["1", "2"].map(|text| letter("a", text, "first"));
        let other = letter("b", "1", "first");
        let again = letter("a", "1", "second");
        let own = [&*one, &two, "no letter\n", &other, &one].concat();
        let both = [&*again, &two, "no letter\n", &other, &one].concat();
        assert_eq!(joined(&own, &again), both, "what was wanted last comes last");
        assert_eq!(joined(&both, &again), both, "as after a crash before the second was removed");
        assert_eq!(joined(&own, ""), own);
        assert_eq!(joined("", &again), again);
        assert_eq!(joined(&own, &again[..again.len() / 2]), own, "a torn line is none");
    }

    #[test]
    fn a_letter_that_has_only_an_item_is_one_to_send() {
        let of_item = |cause: &str, text: &str| {
            let letter = json!({
                "time": "2021-04-06T18:04:31Z", "key": "a", "cause": cause, "applied": "no",
                "item": {"content": text},
            });
            let letter: DeadLetter = serde_json::from_value(letter).unwrap();
            serde_json::to_string(&letter).unwrap() + "\n"
        };
        let [one, two, again] =
            [of_item("first", "1"), of_item("first", "2"), of_item("second", "1")];
        assert_eq!(joined(&(one.clone() + &two), &again), again + &two);
        let unread = Unread::default();
        assert_eq!(letters_in(one.as_bytes(), &unread, |_| {}).count(), 1);
    }

    #[test]
    fn nothing_is_lost_between_the_steps_of_putting_aside() {
        let folder = tempfile::tempdir().unwrap();
        let letters = Letters::of(folder.path());
        let [old, new] = ["old", "new"].map(|key| letter(key, "", ""));
        fs::write(letters.file().with_extension("1.ndjson"), &old).unwrap();
        // As after a crash behind the first step.
        fs::write(letters.again(), &new).unwrap();
        letters.join().unwrap();
        assert_eq!(fs::read_to_string(letters.file()).unwrap(), new);
        assert!(!letters.again().exists());
        let aside = letters.put_aside().unwrap().unwrap();
        assert_eq!(aside, letters.file().with_extension("2.ndjson"));
        assert_eq!(fs::read_to_string(aside).unwrap(), new);

        // Where there was none, there is nothing to put aside.
        fs::write(letters.file(), "").unwrap();
        fs::write(letters.again(), &new).unwrap();
        assert_eq!(letters.put_aside().unwrap(), None);
        assert_eq!(fs::read_to_string(letters.file()).unwrap(), new);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line_and_counted() {
        /// A letter, something else and half a letter, and then the disk is gone.
        struct Broken(Vec<u8>);
        impl Read for Broken {
            fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
                if self.0.is_empty() {
                    return Err(io::Error::other("the disk is gone"));
                }
                let count = self.0.len().min(to.len());
                to[..count].copy_from_slice(&self.0[..count]);
                self.0.drain(..count);
                Ok(count)
            }
        }
        let [one, two] = ["one", "two"].map(|key| letter(key, "", ""));
        let nothing_to_send = r#"{"time":"2021-04-06T18:04:31Z","cause":"","applied":"no"}"#;
        let text = format!("{one}{{}}\n{nothing_to_send}\n{two}{}", &one[..9]);
        let (unread, told) = (Unread::default(), RefCell::new(Vec::new()));
        let from = BufReader::new(Broken(text.into_bytes()));
        let letters = letters_in(from, &unread, |why| told.borrow_mut().push(why.to_string()));
        let keys: Vec<_> = letters.map(|letter| letter.key.unwrap()).collect();
        assert_eq!(keys, ["one", "two"]);
        assert_eq!((unread.lines(), unread.rest()), (1, true));
        let told = told.into_inner();
        assert!(told[0].contains("line 2: ") && told[0].contains("is no dead letter"), "{told:?}");
        assert!(told[1].contains('5') && told[1].contains("the disk is gone"), "{told:?}");
        assert_eq!(told.len(), 2);
    }
}
