//! A journal whose file was damaged: it is refused, or it is what it was, and never less.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::*;

const KEYS: u64 = 300;
const PLACES: usize = 150;

/// All that a journal knows.
#[derive(Debug, PartialEq)]
struct Known {
    items: u64,
    intents: usize,
    added: usize,
    watermark: Option<Vec<u8>>,
    run: u64,
}

impl Known {
    fn of(journal: &Journal) -> Self {
        let (mut items, mut count, mut added) = (DefaultHasher::new(), 0, 0);
        let told = journal.unseen(u64::MAX, |key, known: &Record| {
            (key, known.id.as_str(), known.hash, known.state, known.run).hash(&mut items);
            count += 1;
            if count % 100 == 0 {
                let known = journal.activity(key, Digest::of(["viewed"]));
                added += usize::from(known.unwrap().is_some());
            }
            ControlFlow::Continue(())
        });
        assert_eq!(told.unwrap(), journal.len().unwrap());
        Self {
            items: items.finish(),
            intents: journal.intents().unwrap().len(),
            added,
            watermark: journal.watermark().unwrap(),
            run: journal.last_run().unwrap().number,
        }
    }
}

struct Damaged {
    bytes: Vec<u8>,
    // What it knew last, and before that.
    known: [Known; 2],
}

impl Damaged {
    /// A journal as it is on disk after it was closed, or while it is open.
    fn new(closed: bool) -> Self {
        let disk = Disk::default();
        drop(file::make_on(disk.clone(), &scope()).unwrap());
        let journal = disk.journal().unwrap();
        for run in 0..3 {
            journal.begin_run().unwrap();
            for number in (0..KEYS).step_by(1 + run) {
                let key = format!("folder {}/document {number}.md", number % 7);
                let hash = Digest::of([format!("{number} {run}")]);
                let id = ItemId::from_key(&key);
                journal.apply(Change::Stored { key: &key, id: &id, hash }, NOW).unwrap();
                let activity = Digest::of(["viewed"]);
                journal.apply(Change::Intended { key: &key, activity, kept: b"{}" }, NOW).unwrap();
                if number % 5 > 0 {
                    journal.apply(Change::Added { key: &key, activity }, NOW).unwrap();
                }
            }
            journal.apply(Change::Watermark(&[run as u8]), NOW).unwrap();
        }
        journal.sync().unwrap();
        let before = Known::of(&journal);
        journal.apply(Change::Watermark(b"last"), NOW).unwrap();
        journal.sync().unwrap();
        let known = [Known::of(&journal), before];
        let open = disk.written().bytes.clone();
        drop(journal);
        let bytes = if closed { disk.written().bytes.clone() } else { open };
        Self { bytes, known }
    }

    /// Whether it opens like this. If it does, it is what it was.
    fn opens(&self, bytes: &[u8], what: &str) -> bool {
        match Disk::with(bytes.to_vec()).journal() {
            Ok(journal) => {
                let known = Known::of(&journal);
                // The byte that says which commit is the last can make it the one before.
                let same_slot = bytes[4096 + 9] == self.bytes[4096 + 9];
                let may_be = if same_slot { &self.known[..1] } else { &self.known };
                assert!(may_be.contains(&known), "{what} gives {known:?}");
                true
            }
            Err(JournalErrorKind::Damaged(_) | JournalErrorKind::Foreign) => false,
            Err(other) => panic!("{what} is refused with {other:?}"),
        }
    }

    fn try_offsets(&self, damage: impl Fn(&mut [u8], usize), name: &str) -> (usize, usize) {
        // Our first page, the store's, and what is in use or was.
        let first = (0..28).chain(4090..4096 + 36).chain((4096 + 36..4096 + 320).step_by(5));
        let used: Vec<usize> = (8192..self.bytes.len()).filter(|at| self.bytes[*at] != 0).collect();
        let everywhere = (0..PLACES).map(|part| used[part * used.len() / PLACES]);
        let (mut opened, mut refused) = (0, 0);
        for at in first.chain(everywhere) {
            let mut bytes = self.bytes.clone();
            damage(&mut bytes, at);
            match self.opens(&bytes, &format!("{name} at {at}")) {
                true => opened += 1,
                false => refused += 1,
            }
        }
        (opened, refused)
    }
}

#[test]
fn a_journal_that_was_cut_short_is_refused() {
    for closed in [true, false] {
        let whole = Damaged::new(closed);
        let length = whole.bytes.len();
        assert!(whole.opens(&whole.bytes, "the whole"));
        let cuts = (0..500).map(|part| part * length / 500);
        let near_begin = (0..64).chain(4000..4500).chain(8000..8300);
        let near_end = (length - 70..length).chain((1..20).map(|page| length - page * 4096));
        for cut in cuts.chain(near_begin).chain(near_end) {
            assert!(!whole.opens(&whole.bytes[..cut], &format!("cut at {cut}")));
        }
        let mut longer = whole.bytes.clone();
        longer.extend([7; 10_000]);
        assert!(whole.opens(&longer, "more behind it"));
    }
}

#[test]
fn a_journal_with_other_bytes_is_refused_or_what_it_was() {
    for closed in [true, false] {
        let whole = Damaged::new(closed);
        let flipped = whole.try_offsets(|bytes, at| bytes[at] ^= 0x41, "a flipped byte");
        let end = |bytes: &[u8], at: usize| bytes.len().min(at + 700);
        let zeroed = |bytes: &mut [u8], at| {
            let end = end(bytes, at);
            bytes[at..end].fill(0);
        };
        let zeroed = whole.try_offsets(zeroed, "zeroes");
        let noise = |bytes: &mut [u8], at: usize| {
            let end = end(bytes, at);
            bytes[at..end].iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * 89) as u8);
        };
        let noise = whole.try_offsets(noise, "noise");
        for (opened, refused) in [flipped, zeroed, noise] {
            assert!(opened > 20 && refused > 50, "{opened} opened, {refused} refused");
        }
    }
}

#[test]
fn a_journal_with_an_earlier_page_in_it_is_refused_or_what_it_was() {
    let whole = Damaged::new(false);
    let pages = whole.bytes.len() / 4096;
    for page in 0..pages {
        let from = (page * 37 + 11) % pages;
        let mut bytes = whole.bytes.clone();
        bytes.copy_within(from * 4096..(from + 1) * 4096, page * 4096);
        whole.opens(&bytes, &format!("page {from} in place of {page}"));
    }
}
