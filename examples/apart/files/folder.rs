//! The source: a folder, each file of which is an item.

use std::{
    error::Error,
    ffi::OsStr,
    fmt::Display,
    fs::{self, File},
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use graphfeed_core::{
    external::{
        Acl, ExternalActivity, ExternalItem, ExternalItemContent, Identity, Label, PropertyType,
        Schema, SchemaProperty,
    },
    protocol::ServiceRoot,
    types::{BuildError, Fault, Guid, ItemId, Rule, Timestamp},
};
use graphfeed_crawl::Entry;
use graphfeed_examples::interrupt::Interrupts;
use ignore::{
    DirEntry, Walk, WalkBuilder,
    gitignore::{GitignoreBuilder, gitconfig_excludes_path},
};

/// The properties of a file.
///
/// # Errors
/// When they break a rule of schemas.
pub(crate) fn schema() -> Result<Schema, BuildError> {
    use PropertyType::{DateTime, Int64, String};
    let property = |name: &str, kind| SchemaProperty::new(name, kind).retrievable();
    Schema::new([
        property("title", String).searchable().label(Label::Title),
        property("path", String).searchable().queryable(),
        property("extension", String).queryable().refinable().label(Label::FileExtension),
        property("bytes", Int64).queryable().refinable(),
        property("modified", DateTime).queryable().label(Label::LastModifiedDateTime),
    ])
}

/// A folder.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Absolute, and without links.
    path: PathBuf,
    /// What is in it and no part of it: what the program itself keeps.
    except: PathBuf,
}

/// What all items have in common.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    /// Where they go.
    pub(crate) root: ServiceRoot,
    /// Whose members may see them.
    pub(crate) tenant: Guid,
    /// Who is said to have modified the files.
    pub(crate) author: Option<Guid>,
}

/// The files of a folder, in an order that is always the same.
pub(crate) struct Files<'a> {
    folder: &'a Folder,
    mapping: &'a Mapping,
    cut: &'a AtomicU64,
}

impl Folder {
    /// A folder that can be read.
    ///
    /// # Errors
    /// When it is not there, no folder or not for us.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        fs::read_dir(&path)?;
        Ok(Self { path, except: PathBuf::new() })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Without this folder in it, which is another one; it may not be there yet.
    pub(crate) fn except(self, folder: &Path) -> Option<Self> {
        let is_other = folder.canonicalize().map_or(true, |folder| folder != self.path);
        is_other.then(|| Self { except: folder.to_owned(), ..self })
    }

    /// How many files it has, as far as it can be listed and nobody interrupts.
    pub(crate) fn count(&self, interrupts: &Interrupts) -> usize {
        let walk = self.walk().take_while(|_| !interrupts.is_interrupted());
        walk.filter(|found| found.as_ref().is_ok_and(is_file)).count()
    }

    /// Its files as entries of a crawl. Texts that are too long are cut, and counted.
    pub(crate) fn files<'a>(&'a self, mapping: &'a Mapping, cut: &'a AtomicU64) -> Files<'a> {
        Files { folder: self, mapping, cut }
    }

    /// What is hidden is left out, and what a file of [`LEAVE_OUT`] names in a folder, in one above
    /// it or for all of git, whether git is there or not.
    fn walk(&self) -> Walk {
        // It may have been made only now. Where there is none, there is nothing in it either.
        let except = self.except.canonicalize().ok();
        WalkBuilder::new(&self.path)
            .require_git(false)
            .sort_by_file_name(OsStr::cmp)
            .filter_entry(move |found| Some(found.path()) != except.as_deref())
            .build()
    }
}

impl<'a> IntoIterator for Files<'a> {
    type Item = Entry;
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        let faults = self.folder.faults_above();
        let walk = faults.is_empty().then(|| self.folder.walk());
        Entries { walk, files: self, faults, closed: None }
    }
}

/// An iterator over [`Files`].
pub(crate) struct Entries<'a> {
    files: Files<'a>,
    /// None if nothing may be sent.
    walk: Option<Walk>,
    /// Not told yet.
    faults: Vec<BuildError>,
    /// Nothing in this folder may be sent.
    closed: Option<PathBuf>,
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            // What is in there is not known, so nothing may be said to be gone.
            if let Some(why) = self.faults.pop() {
                return Some(Entry::unreadable(None, why));
            }
            match self.walk.as_mut()?.next()? {
                Ok(found) if self.is_closed(found.path()) => {}
                Ok(found) if is_file(&found) => {
                    if let Some(entry) = self.files.entry(found.path()) {
                        return Some(entry);
                    }
                }
                Ok(found) => {
                    self.faults = self.files.folder.faults_in(&found);
                    if !self.faults.is_empty() {
                        self.closed = Some(found.into_path());
                    }
                }
                Err(why) => self.faults.extend(self.files.cannot_list(&why)),
            }
        }
    }
}

impl Entries<'_> {
    fn is_closed(&self, path: &Path) -> bool {
        self.closed.as_ref().is_some_and(|closed| path.starts_with(closed))
    }
}

/// The files in a folder that name what is left out.
const LEAVE_OUT: [&str; 3] = [".gitignore", ".ignore", ".git/info/exclude"];

impl Folder {
    /// What is wrong with the files that name what is left out everywhere in it.
    fn faults_above(&self) -> Vec<BuildError> {
        let above = self.path.ancestors().skip(1);
        let files = above.flat_map(|folder| LEAVE_OUT.map(|name| folder.join(name)));
        let files = files.chain(gitconfig_excludes_path());
        files.filter_map(|file| self.fault_of(&file, &self.path)).collect()
    }

    /// What is wrong with the files that name what is left out in a folder of it. A walk goes on
    /// without them, so that what they name would be sent.
    fn faults_in(&self, found: &DirEntry) -> Vec<BuildError> {
        if !found.file_type().is_some_and(|kind| kind.is_dir()) {
            return Vec::new();
        }
        let files = LEAVE_OUT.map(|name| found.path().join(name));
        let faults = files.iter().filter_map(|file| self.fault_of(file, found.path()));
        let mut faults: Vec<_> = faults.collect();
        // It is of another file then, as where git keeps the folder elsewhere.
        if let (true, Some(why)) = (faults.is_empty(), found.error()) {
            faults.push(self.cannot_use(path_of(why).unwrap_or(found.path()), why, found.path()));
        }
        faults
    }

    /// What is wrong with a file, if it is there, that names what is left out in a folder.
    fn fault_of(&self, file: &Path, folder: &Path) -> Option<BuildError> {
        // Where this is not permitted, no other file in the folder can be read either.
        file.symlink_metadata().ok()?;
        let why = GitignoreBuilder::new(folder).add(file)?;
        let is_gone = why.io_error().is_some_and(is_gone);
        (!is_gone).then(|| self.cannot_use(file, &why, folder))
    }

    fn cannot_use(&self, file: &Path, why: &ignore::Error, folder: &Path) -> BuildError {
        let why = format!(
            "cannot be used: {}; correct it, or check its rights; until then nothing in {} is sent",
            lines_of(why),
            self.place(folder)
        );
        unreadable(&self.place(file), why)
    }

    /// What people call it: its key, or all of its path where it is not in here.
    fn place(&self, path: &Path) -> String {
        let inside = path.strip_prefix(&self.path).unwrap_or(Path::new(""));
        match inside.as_os_str().is_empty() {
            true => path.display().to_string(),
            false => key(inside).unwrap_or_else(|| format!("{inside:?}")),
        }
    }
}

/// What helps against most things that keep a file from being read.
const FIX: &str = "check its rights, or name it in a .gitignore";

impl Files<'_> {
    /// A file; none if it is gone by now.
    fn entry(&self, path: &Path) -> Option<Entry> {
        let inside = path.strip_prefix(&self.folder.path).unwrap_or(path);
        let Some(key) = key(inside) else {
            // No other file is called so: there are quotation marks around it.
            let name = format!("{inside:?}");
            let why = "has a name that is no Unicode; rename it";
            return Some(Entry::refused(&name, unreadable(&name, why)));
        };
        match read(path, self.mapping.root.limits().body) {
            Err(why) if is_gone(&why) => None,
            Err(why) => {
                let why = format!("cannot be read: {why}; {FIX}");
                Some(Entry::refused(&key, unreadable(&key, why)))
            }
            Ok(content) => Some(match self.item(&key, inside, &content) {
                Ok(item) => {
                    let entry = Entry::item(key, item);
                    match (self.mapping.author, content.modified) {
                        (Some(author), Some(at)) => entry
                            .with_activity(ExternalActivity::modified(at, Identity::user(author))),
                        _ => entry,
                    }
                }
                Err(why) => Entry::refused(key, why),
            }),
        }
    }

    /// What keeps a folder from being listed; nothing if it is gone by now.
    fn cannot_list(&self, why: &ignore::Error) -> Option<BuildError> {
        let path = path_of(why).unwrap_or(&self.folder.path);
        let inside = path.strip_prefix(&self.folder.path).unwrap_or(path);
        // Without the folder itself, nothing is known of what was in it.
        let is_all = inside.as_os_str().is_empty();
        if !is_all && why.io_error().is_some_and(is_gone) {
            return None;
        }
        let place = self.folder.place(path);
        Some(unreadable(&place, format!("cannot be listed: {}; {FIX}", in_words(why))))
    }

    fn item(
        &self,
        key: &str,
        inside: &Path,
        content: &Content,
    ) -> Result<ExternalItem, BuildError> {
        let text = |part: Option<&OsStr>| part.and_then(OsStr::to_str).map(str::to_owned);
        let mut item = ExternalItem::builder(ItemId::from_key(key))
            .acl(Acl::everyone(self.mapping.tenant))
            .maybe_property("title", text(inside.file_name()))
            .property("path", key)
            .maybe_property("extension", text(inside.extension()))
            .maybe_property("bytes", i64::try_from(content.bytes).ok())
            .maybe_property("modified", content.modified);
        if let Some(text) = &content.text {
            item = item.content(ExternalItemContent::text(&**text));
        }
        let mut item = item.build()?;
        // To see whether it has to be cut it is written out. A short one fits, for a byte takes up
        // six at most.
        let length = content.text.as_ref().map_or(0, String::len);
        if length > self.mapping.root.limits().body / 8 {
            let cut = item.cut_content(&self.mapping.root)?;
            self.cut.fetch_add(u64::from(cut > 0), Relaxed);
        }
        Ok(item)
    }
}

/// The same wherever the folder is, and on every system.
fn key(inside: &Path) -> Option<String> {
    let parts = inside.components().map(|part| match part {
        Component::Normal(part) => part.to_str(),
        _ => None,
    });
    Some(parts.collect::<Option<Vec<_>>>()?.join("/"))
}

/// What a file has.
struct Content {
    bytes: u64,
    modified: Option<Timestamp>,
    /// Its beginning, if it is a text and not an empty one.
    text: Option<String>,
}

/// Reads no more of a file than goes into a body and one byte, so that what is longer is cut.
fn read(path: &Path, limit: usize) -> io::Result<Content> {
    let file = File::open(path)?;
    let found = file.metadata()?;
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    let is_whole = bytes.len() <= limit;
    if let Err(why) = str::from_utf8(&bytes)
        && why.error_len().is_none()
        && !is_whole
    {
        // The end of what was read went through a character.
        bytes.truncate(why.valid_up_to());
    }
    let text = String::from_utf8(bytes).ok();
    Ok(Content {
        bytes: found.len(),
        modified: found.modified().ok().and_then(|at| Timestamp::try_from(at).ok()),
        // A NUL is in no text.
        text: text.filter(|text| !text.is_empty() && !text.contains('\0')),
    })
}

/// What an error of a walk is about.
fn path_of(why: &ignore::Error) -> Option<&Path> {
    match why {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } => path_of(err),
        _ => None,
    }
}

/// All faults of a file, each with its line.
fn lines_of(why: &ignore::Error) -> String {
    match why {
        ignore::Error::Partial(all) => all.iter().map(lines_of).collect::<Vec<_>>().join(", "),
        ignore::Error::WithPath { err, .. } => lines_of(err),
        ignore::Error::WithLineNumber { line, err } => format!("line {line}: {}", lines_of(err)),
        why => in_words(why),
    }
}

/// In the system's own words. What stands around them only names the path.
fn in_words(why: &ignore::Error) -> String {
    let Some(first) = why.io_error() else { return why.to_string() };
    let mut last: &dyn Error = first;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

fn unreadable(key: &str, why: impl Display) -> BuildError {
    Fault::new(Rule::Source, key.to_owned(), why.to_string()).into()
}

fn is_file(found: &DirEntry) -> bool {
    found.file_type().is_some_and(|kind| kind.is_file())
}

fn is_gone(why: &io::Error) -> bool {
    why.kind() == io::ErrorKind::NotFound
}
