//! A file line by line, of which no more is held than a line.

use std::io::{self, BufRead, Read};

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
                    Ok(text) => Line::Text(text.trim_ascii_end()),
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
        let most = (self.longest as u64).saturating_add(1);
        let read = (&mut self.from).take(most).read_until(b'\n', &mut self.buffer)?;
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
        } else if read > self.longest {
            self.from.skip_until(b'\n')?;
            return Ok(Some(false));
        }
        Ok((read > 0).then_some(true))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same bytes again and again, in chunks of an odd length.
    struct Endless {
        text: &'static [u8],
        left: u64,
        at: usize,
    }

    impl Read for Endless {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            unreachable!("only its buffer is looked at")
        }
    }

    impl BufRead for Endless {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            let end = self.text.len().min(self.at + 4093);
            Ok(if self.left == 0 { &[] } else { &self.text[self.at..end] })
        }

        fn consume(&mut self, bytes: usize) {
            self.left = self.left.saturating_sub(bytes as u64);
            self.at = (self.at + bytes) % self.text.len();
        }
    }

    #[test]
    fn no_more_is_held_than_a_line_of_the_longest_kind() {
        let endless = |text, left| Endless { text, left, at: 0 };
        static WHOLE: [u8; 100_000] = [b'a'; 100_000];
        let mut lines = Lines::new(endless(&WHOLE, 50_000_000), 10_000);
        assert_eq!(lines.next().1.unwrap(), Some(Line::TooLong));
        assert!(lines.buffer.capacity() <= 20_000, "{}", lines.buffer.capacity());
        assert_eq!(lines.next().1.unwrap(), None);

        let mut lines = Lines::new(endless(b"{\"id\":1}\n\n", 10_000_000), 10_000);
        let mut count = 0;
        while let Some(line) = lines.next().1.unwrap() {
            assert_eq!(line, Line::Text("{\"id\":1}"));
            count += 1;
        }
        assert_eq!((count, lines.number), (1_000_000, 2_000_001));
        assert!(lines.buffer.capacity() <= 64, "{}", lines.buffer.capacity());
    }

    fn all(bytes: &[u8], longest: usize) -> Vec<(u64, String)> {
        // Chunks of three bytes, so that every line is put together.
        let mut lines = Lines::new(io::BufReader::with_capacity(3, bytes), longest);
        let mut all = Vec::new();
        loop {
            let (number, line) = lines.next();
            all.push((
                number,
                match line.unwrap() {
                    None => return all[..].to_vec(),
                    Some(Line::Text(text)) => text.to_owned(),
                    Some(Line::TooLong) => "too long".to_owned(),
                    Some(Line::NotUtf8) => "not UTF-8".to_owned(),
                },
            ));
        }
    }

    #[test]
    fn lines_are_counted_and_what_cannot_be_read_takes_nothing_else_away() {
        let text = b"\xef\xbb\xbf1234\r\n\n \t\r\n123456789\n\xff\n12345678\nend";
        let expected =
            [(1, "1234"), (4, "too long"), (5, "not UTF-8"), (6, "12345678"), (7, "end")];
        assert_eq!(all(text, 8), expected.map(|(line, text)| (line, text.to_owned())));
        assert_eq!(all(b"", 8), []);
        // The greatest number is a length like any other.
        assert_eq!(all(b"1\n2", usize::MAX), [(1, "1".to_owned()), (2, "2".to_owned())]);
        // Only the first line has a mark in front.
        assert_eq!(all("a\n\u{feff}b".as_bytes(), 8)[1].1, "\u{feff}b");
    }

    #[test]
    fn a_broken_file_is_told_with_its_line() {
        struct Broken(bool);
        impl Read for Broken {
            fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(io::Error::other("the disk is gone"));
                }
                to[..5].copy_from_slice(b"1\n2\n3");
                Ok(5)
            }
        }
        let mut lines = Lines::new(io::BufReader::new(Broken(false)), 8);
        for expected in ["1", "2"] {
            assert_eq!(lines.next().1.unwrap(), Some(Line::Text(expected)));
        }
        let (line, why) = lines.next();
        assert_eq!((line, why.unwrap_err().to_string()), (3, "the disk is gone".to_owned()));
    }

    proptest! {
        #[test]
        fn lines_are_those_of_the_text(text in "([a-f]{0,6}\r?\n){0,8}[a-f]{0,6}") {
            let expected: Vec<_> = (1..)
                .zip(text.lines())
                .filter(|(_, line)| !line.is_empty())
                .map(|(number, line)| (number, if line.len() > 4 { "too long" } else { line }.to_owned()))
                .collect();
            // The carriage return counts, too.
            prop_assume!(!text.contains('\r') || expected.iter().all(|(_, line)| line.len() < 4));
            prop_assert_eq!(all(text.as_bytes(), 4), expected);
        }
    }
}
