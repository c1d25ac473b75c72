//! The file of a journal: a first page that says what it is, and behind it the store.
//!
//! A journal is made under another name and gets its own when it is whole, so a file that is
//! empty or short was not left by a crash. The first page is never written again.
//!
//! The store, [redb](https://docs.rs/redb), commits in two phases: what the commit slot in use
//! refers to was on disk before the slot was. It looks at checksums only where it has to repair,
//! and trusts the rest, up to a panic. So it is always told that it has to repair, and given
//! nothing to fall back on: then it reads every page before it uses any, and refuses what is
//! damaged. That costs one pass over the file when it is opened, however the last run ended.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use redb::{Builder, Database, RepairSession, StorageBackend, backends::FileBackend};

use super::{JournalErrorKind, Scope};

const MARKER: &[u8; 20] = b"graphfeed journal\r\n\n";
/// What is behind the first page. The first page itself stays as it is in later formats.
const FORMAT: u32 = 1;
const PAGE: u64 = 4096;
/// Where the parts of the first page begin: after marker and format the digest of the scope, the
/// length of its text and as much of it as there is room for, the digest of all that.
const SCOPE: usize = MARKER.len() + 4;
const TEXT: usize = SCOPE + 32 + 2;
const SUM: usize = PAGE as usize - 32;

/// Cached pages. Random access to a million keys wants the inner pages of the trees, some 2 MiB.
const CACHE: usize = 8 << 20;

/// Opens the file, and makes it if there is none.
pub(super) fn open(path: &Path, scope: &Scope) -> Result<Database, JournalErrorKind> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => open_on(FileBackend::new(file)?, scope),
        Err(why) if why.kind() == io::ErrorKind::NotFound => make(path, scope),
        Err(why) => Err(why.into()),
    }
}

/// Opens the journal that a storage holds.
pub(super) fn open_on(
    file: impl StorageBackend,
    scope: &Scope,
) -> Result<Database, JournalErrorKind> {
    check_first_page(&file, scope)?;
    let header = Header::read(&file)?.for_repair(file.len()?)?;
    let mut builder = builder();
    // It is called between the passes of a repair, after the first one only if that found damage.
    builder.set_repair_callback(|repair: &mut RepairSession| {
        if repair.progress() > 0.0 && repair.progress() < 0.5 {
            repair.abort();
        }
    });
    Ok(builder.create_with_backend(Body { file, header: Mutex::new(Some(header)) })?)
}

/// Makes a journal on an empty storage. It is not a journal before the store is whole.
pub(super) fn make_on(
    file: impl StorageBackend,
    scope: &Scope,
) -> Result<Database, JournalErrorKind> {
    file.set_len(PAGE)?;
    file.write(0, &first_page(scope))?;
    let store = builder().create_with_backend(Body { file, header: Mutex::new(None) })?;
    super::rows::lay_out(&store)?;
    Ok(store)
}

fn make(path: &Path, scope: &Scope) -> Result<Database, JournalErrorKind> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).open(&unfinished)?;
    // Whoever has the lock and finds no journal is the one that makes it: what is under this name
    // may be the journal that another process has just finished.
    let file = FileBackend::new(file)?;
    if path.try_exists()? {
        drop(file);
        return open(path, scope);
    }
    file.set_len(0)?;
    let store = make_on(file, scope)?;
    fs::rename(&unfinished, path)?;
    sync_folder(path)?;
    Ok(store)
}

/// A new name is on disk when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder
}

fn first_page(scope: &Scope) -> [u8; PAGE as usize] {
    let mut page = [0; PAGE as usize];
    page[..MARKER.len()].copy_from_slice(MARKER);
    page[MARKER.len()..SCOPE].copy_from_slice(&FORMAT.to_le_bytes());
    page[SCOPE..SCOPE + 32].copy_from_slice(&hmac_sha256::Hash::hash(scope.as_str().as_bytes()));
    let mut length = scope.as_str().len().min(SUM - TEXT);
    while !scope.as_str().is_char_boundary(length) {
        length -= 1;
    }
    page[TEXT - 2..TEXT].copy_from_slice(&(length as u16).to_le_bytes());
    page[TEXT..TEXT + length].copy_from_slice(&scope.as_str().as_bytes()[..length]);
    let sum = hmac_sha256::Hash::hash(&page[..SUM]);
    page[SUM..].copy_from_slice(&sum);
    page
}

fn check_first_page(file: &impl StorageBackend, scope: &Scope) -> Result<(), JournalErrorKind> {
    let length = file.len()?;
    if length == 0 {
        return Err(JournalErrorKind::Damaged("it is empty".into()));
    }
    let mut page = [0; PAGE as usize];
    let known = usize::try_from(length).unwrap_or(usize::MAX).min(page.len());
    file.read(0, &mut page[..known])?;
    // What has no more than the beginning of the marker may have been a journal.
    let marker = known.min(MARKER.len());
    if page[..marker] != MARKER[..marker] {
        return Err(JournalErrorKind::Foreign);
    }
    if known < page.len() {
        return Err(JournalErrorKind::Damaged("it ends too early".into()));
    }
    if hmac_sha256::Hash::hash(&page[..SUM]) != page[SUM..] {
        return Err(JournalErrorKind::Damaged("its first page is not what was written".into()));
    }
    match number(&page, MARKER.len()) {
        FORMAT => {}
        other => return Err(JournalErrorKind::Newer(other)),
    }
    if hmac_sha256::Hash::hash(scope.as_str().as_bytes()) != page[SCOPE..SCOPE + 32] {
        let length = usize::from(page[TEXT - 2]) | usize::from(page[TEXT - 1]) << 8;
        let text = &page[TEXT..(TEXT + length).min(SUM)];
        return Err(JournalErrorKind::OtherScope(String::from_utf8_lossy(text).into()));
    }
    Ok(())
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The beginning of the store, as its [design](https://github.com/cberner/redb/blob/master/docs/design.md)
/// gives it.
#[derive(Debug)]
struct Header([u8; Self::LENGTH]);

impl Header {
    const LENGTH: usize = 320;
    const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";
    const FLAGS: usize = 9;
    const SLOT_IN_USE: u8 = 1;
    const REPAIR: u8 = 2;
    const TWO_PHASE: u8 = 4;
    const PAGE_SIZE: usize = 12;
    const REGION_HEADER: usize = 16;
    const REGION_PAGES: usize = 20;
    const FULL_REGIONS: usize = 24;
    const LAST_REGION: usize = 28;
    const SLOT_SUMS: [usize; 2] = [64 + 112, 192 + 112];
    /// What this version of the store makes.
    const PAGES_OF_A_REGION: u64 = 1 << 20;

    fn read(file: &impl StorageBackend) -> Result<Self, JournalErrorKind> {
        if file.len()? < 2 * PAGE {
            return Err(JournalErrorKind::Damaged("it ends too early".into()));
        }
        let mut header = Self([0; Self::LENGTH]);
        file.read(PAGE, &mut header.0)?;
        Ok(header)
    }

    fn number(&self, at: usize) -> u64 {
        u64::from(number(&self.0, at))
    }

    fn set(&mut self, at: usize, number: u64) -> Result<(), JournalErrorKind> {
        let number = u32::try_from(number)
            .map_err(|_| JournalErrorKind::Damaged("it is longer than any journal".into()))?;
        self.0[at..at + 4].copy_from_slice(&number.to_le_bytes());
        Ok(())
    }

    /// The same, asking for a repair that leaves no choice of the slot.
    fn for_repair(mut self, length: u64) -> Result<Self, JournalErrorKind> {
        let sizes = [Self::PAGE_SIZE, Self::REGION_HEADER, Self::REGION_PAGES];
        let sizes = sizes.map(|at| self.number(at));
        if !self.0.starts_with(Self::MAGIC) || sizes != [PAGE, 0, Self::PAGES_OF_A_REGION] {
            return Err(JournalErrorKind::Damaged("its header is not what was written".into()));
        }
        let pages = self.number(Self::FULL_REGIONS) * Self::PAGES_OF_A_REGION
            + self.number(Self::LAST_REGION);
        // One page says what the file is, one is this header.
        let there = length / PAGE - 2;
        if there < pages {
            return Err(JournalErrorKind::Damaged("it ends too early".into()));
        }
        self.set(Self::FULL_REGIONS, there / Self::PAGES_OF_A_REGION)?;
        self.set(Self::LAST_REGION, there % Self::PAGES_OF_A_REGION)?;
        let in_use = usize::from(self.0[Self::FLAGS] & Self::SLOT_IN_USE);
        self.0[Self::FLAGS] = self.0[Self::FLAGS] & !Self::TWO_PHASE | Self::REPAIR;
        let other = Self::SLOT_SUMS[in_use ^ 1];
        self.0[other..other + 16].iter_mut().for_each(|byte| *byte = !*byte);
        Ok(self)
    }
}

/// What the store sees: the file without its first page.
#[derive(Debug)]
struct Body<B> {
    file: B,
    // Read in place of the one on disk until the store writes its own.
    header: Mutex<Option<Header>>,
}

impl<B> Body<B> {
    fn header(&self) -> MutexGuard<'_, Option<Header>> {
        self.header.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: StorageBackend> StorageBackend for Body<B> {
    // A part of a page at the end was not written by the store.
    fn len(&self) -> io::Result<u64> {
        Ok((self.file.len()? / PAGE).saturating_sub(1) * PAGE)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if let Some(header) = &*self.header()
            && offset == 0
            && let Some(known) = header.0.get(..out.len())
        {
            out.copy_from_slice(known);
            return Ok(());
        }
        self.file.read(offset + PAGE, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let grows = len > self.len()?;
        self.file.set_len(len + PAGE)?;
        // A header must not say more than there is, in whatever order the system writes.
        if grows { self.file.sync_data() } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if offset == 0 {
            *self.header() = None;
        }
        self.file.write(offset + PAGE, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

#[cfg(test)]
mod tests {
    use graphfeed_core::{
        protocol::{Cloud, ServiceRoot, Version},
        types::ConnectionId,
    };
    use redb::backends::InMemoryBackend;

    use super::*;

    fn scope(host: &str) -> Scope {
        let root = ServiceRoot::https(&format!("https://{host}"), Cloud::Global, Version::V1);
        Scope::new(&root.unwrap(), &ConnectionId::new("contosohr").unwrap())
    }

    fn kind(page: &[u8], scope: &Scope) -> Result<(), JournalErrorKind> {
        let file = InMemoryBackend::new();
        file.set_len(2 * PAGE).unwrap();
        file.write(0, page).unwrap();
        check_first_page(&file, scope)
    }

    #[test]
    fn a_journal_of_a_later_format_is_refused_as_such() {
        let scope = scope("example.com");
        let mut page = first_page(&scope);
        kind(&page, &scope).unwrap();
        page[MARKER.len()] = 7;
        let sum = hmac_sha256::Hash::hash(&page[..SUM]);
        page[SUM..].copy_from_slice(&sum);
        let refused = kind(&page, &scope).unwrap_err();
        assert!(matches!(refused, JournalErrorKind::Newer(7)), "{refused:?}");
    }

    #[test]
    fn scopes_are_told_apart_however_long_they_are() {
        let long = |end: &str| scope(&format!("example.com/{}{end}", "long/".repeat(1000)));
        let page = first_page(&long("a"));
        kind(&page, &long("a")).unwrap();
        let refused = kind(&page, &long("b")).unwrap_err();
        let JournalErrorKind::OtherScope(found) = refused else { panic!("{refused:?}") };
        assert_eq!(*found, long("a").as_str()[..SUM - TEXT]);
    }
}
