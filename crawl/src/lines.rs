//! A file line by line, of which no more is held than a line.

use std::io::{self, BufRead, ErrorKind};

/// The longest line by default, in bytes.
pub(crate) const LONGEST: usize = 8 << 20;

/// One line, without its end.
#[derive(Debug, PartialEq)]
pub(crate) enum Line<'a> {
    Text(&'a str),
    /// It is longer than allowed; its rest was passed over.
    TooLong,
    NotUtf8,
}

/// Gives the lines that are not blank.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    from: R,
    longest: usize,
    buffer: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(from: R, longest: usize) -> Self {
        Self { from, longest, buffer: Vec::new(), number: 0 }
    }

    /// The longest line, in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The next line and its number, from 1.
    pub(crate) fn next(&mut self) -> (u64, io::Result<Option<Line<'_>>>) {
        match self.fill_with_text() {
            Ok(Some(true)) => {
                let line = match std::str::from_utf8(&self.buffer) {
                    Ok(text) => Line::Text(text.trim_ascii()),
                    Err(_) => Line::NotUtf8,
                };
                (self.number, Ok(Some(line)))
            }
            Ok(Some(false)) => (self.number, Ok(Some(Line::TooLong))),
            Ok(None) => (self.number, Ok(None)),
            Err(why) => (self.number, Err(why)),
        }
    }

    /// Reads up to a line that is not blank.
    fn fill_with_text(&mut self) -> io::Result<Option<bool>> {
        loop {
            self.number += 1;
            let fits = self.fill()?;
            if fits != Some(true) {
                return Ok(fits);
            }
            if self.number == 1 && self.buffer.starts_with(b"\xef\xbb\xbf") {
                self.buffer.drain(..3);
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(Some(true));
            }
        }
    }

    /// Reads a line, and says whether it is there whole; `None` at the end.
    fn fill(&mut self) -> io::Result<Option<bool>> {
        self.buffer.clear();
        let (mut fits, mut any) = (true, false);
        loop {
            let chunk = match self.from.fill_buf() {
                Ok(chunk) => chunk,
                Err(why) if why.kind() == ErrorKind::Interrupted => continue,
                Err(why) => return Err(why),
            };
            if chunk.is_empty() {
                return Ok(any.then_some(fits));
            }
            any = true;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            fits &= part.len() <= self.longest - self.buffer.len().min(self.longest);
            if fits {
                self.buffer.extend_from_slice(part);
            } else {
                self.buffer.clear();
            }
            let used = part.len() + usize::from(end.is_some());
            self.from.consume(used);
            if end.is_some() {
                return Ok(Some(fits));
            }
        }
    }
}
