//! Where the content comes from: `cargo metadata`, manifests, READMEs and file dates.
//!
//! Plain values come out of here. Nothing in this file knows Microsoft Graph; a connector for
//! another source replaces it and keeps the rest.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    env,
    error::Error,
    fmt,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use cargo_metadata::{Metadata, MetadataCommand, Package, TargetKind};

use crate::readme;

/// More of a README is not read; an item takes 4 MB.
const README_LIMIT: u64 = 8 << 20;
/// Of the sizes and dates of a crate's files, this many are kept.
const MOST_FILES: usize = 10;

/// The crates that a manifest depends on, for this machine's platform.
pub(crate) struct Tree {
    /// The manifest of the workspace.
    pub(crate) manifest: PathBuf,
    /// Its members and everything below them, one for each version.
    pub(crate) crates: Vec<CrateInfo>,
}

/// What is known of one version of a crate.
#[derive(Clone, Debug, Default)]
pub(crate) struct CrateInfo {
    /// `name@version`, unique in the tree.
    pub(crate) key: String,
    /// The name.
    pub(crate) name: String,
    /// The version.
    pub(crate) version: String,
    /// Its major, minor and patch number.
    pub(crate) version_numbers: [u64; 3],
    /// One sentence by its authors.
    pub(crate) description: Option<String>,
    /// The README.
    pub(crate) readme: Option<String>,
    /// The README's first paragraph.
    pub(crate) excerpt: Option<String>,
    /// Those who wrote it, as far as the manifest says.
    pub(crate) authors: Vec<Author>,
    /// Keywords of the manifest.
    pub(crate) keywords: Vec<String>,
    /// Categories of the manifest.
    pub(crate) categories: Vec<String>,
    /// The licence expression, or the name of the licence file.
    pub(crate) licence: Option<String>,
    /// Where its source is.
    pub(crate) repository: Option<String>,
    /// Its page at the registry, if it comes from crates.io.
    pub(crate) page: Option<String>,
    /// The edition of the language.
    pub(crate) edition: String,
    /// The oldest Rust that builds it.
    pub(crate) rust_version: Option<String>,
    /// How many crates of the tree it uses itself.
    pub(crate) dependencies: usize,
    /// Whether it belongs to the workspace.
    pub(crate) is_member: bool,
    /// Whether it has code that runs when it is built: a build script or a macro.
    pub(crate) runs_at_build: bool,
    /// What is on disk.
    pub(crate) files: Files,
}

/// Who wrote a crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Author {
    /// The name.
    pub(crate) name: String,
    /// The mail address, if one is given.
    pub(crate) email: Option<String>,
}

/// The files of a crate.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Files {
    /// Bytes of all files.
    pub(crate) bytes: u64,
    /// The sizes of the largest ones in bytes, largest first.
    pub(crate) largest: Vec<u64>,
    /// The dates at which files were changed, each once, newest first. Cargo gives the files
    /// of a registry one date of long ago; the newest is then when the crate was unpacked here.
    pub(crate) dates: Vec<SystemTime>,
}

/// Why there is no tree; says what to do.
#[derive(Debug)]
pub(crate) struct NoTree(String);

impl fmt::Display for NoTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for NoTree {}

/// Asks cargo for the tree of a manifest (a file or its folder), or else of the one that cargo
/// finds from here, and looks at each crate. Uses no network.
pub(crate) fn read(
    manifest: Option<&Path>,
    mut progress: impl FnMut(usize, usize),
) -> Result<Tree, NoTree> {
    let manifest = match manifest {
        Some(path) => manifest_file(path)?,
        None => nearest_manifest()?,
    };
    let metadata = metadata(&manifest)?;
    let resolve = metadata
        .resolve
        .as_ref()
        .ok_or_else(|| NoTree("cargo metadata gave no dependency tree".to_owned()))?;
    let dependencies: HashMap<_, _> =
        resolve.nodes.iter().map(|node| (&node.id, node.deps.len())).collect();
    let members: HashSet<_> = metadata.workspace_members.iter().collect();

    let mut keys = HashSet::new();
    let mut crates = Vec::with_capacity(metadata.packages.len());
    for package in &metadata.packages {
        let mut info = CrateInfo {
            dependencies: dependencies.get(&package.id).copied().unwrap_or(0),
            is_member: members.contains(&package.id),
            ..crate_info(package)
        };
        // A patched crate can stand beside the one of the registry, under one name and version.
        if !keys.insert(info.key.clone()) {
            info.key = format!("{} {}", info.key, package.id);
        }
        crates.push(info);
        progress(crates.len(), metadata.packages.len());
    }
    Ok(Tree { manifest: metadata.workspace_root.join("Cargo.toml").into(), crates })
}

/// Cargo takes the file only; a folder is what people type.
fn manifest_file(path: &Path) -> Result<PathBuf, NoTree> {
    let file = match path.is_dir() {
        true => path.join("Cargo.toml"),
        false => path.to_owned(),
    };
    match file.is_file() {
        true => Ok(file),
        false => Err(NoTree(format!(
            "there is no manifest {}; give the path of a Cargo.toml with --manifest-path",
            file.display()
        ))),
    }
}

/// The manifest that cargo would take if none is named.
fn nearest_manifest() -> Result<PathBuf, NoTree> {
    let here = env::current_dir()
        .map_err(|error| NoTree(format!("there is no current folder: {error}")))?;
    here.ancestors()
        .map(|folder| folder.join("Cargo.toml"))
        .find(|manifest| manifest.is_file())
        .ok_or_else(|| {
            NoTree(format!(
                "there is no Cargo.toml in {} or above it; name one with --manifest-path",
                here.display()
            ))
        })
}

fn metadata(manifest: &Path) -> Result<Metadata, NoTree> {
    let options = ["--offline", "--filter-platform", &host()?];
    // Cargo tells in CARGO which cargo it is, and cargo_metadata takes that one.
    let result = MetadataCommand::new()
        .manifest_path(manifest)
        .other_options(options.map(str::to_owned))
        .exec();
    result.map_err(|error| {
        NoTree(match &error {
            cargo_metadata::Error::CargoMetadata { stderr } => {
                let said = stderr.trim().replace('\n', "\n  ");
                // Cargo names the option where the network would have helped.
                let what_to_do = match stderr.contains("--offline") {
                    true => format!(
                        "\nIf crates are missing, run `cargo fetch --manifest-path {}` once with \
                         a network, then this again.",
                        manifest.display()
                    ),
                    false => String::new(),
                };
                format!("cargo metadata --offline failed:\n  {said}{what_to_do}")
            }
            other => {
                format!("cargo metadata does not work: {other}; put the Rust toolchain on the PATH")
            }
        })
    })
}

/// The platform that this machine builds for.
fn host() -> Result<String, NoTree> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let wrong = |why: &dyn fmt::Display| {
        NoTree(format!(
            "`{} -vV` does not tell the platform of this machine ({why}); put the Rust \
             toolchain on the PATH",
            rustc.display()
        ))
    };
    let output = Command::new(&rustc).arg("-vV").output().map_err(|error| wrong(&error))?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| wrong(&output.status))
}

fn crate_info(package: &Package) -> CrateInfo {
    let folder = package.manifest_path.parent().map(|folder| folder.as_std_path());
    let readme = package.readme().and_then(|path| text(path.as_std_path()));
    let version = &package.version;
    let runs_at_build =
        |kind: &TargetKind| matches!(kind, TargetKind::CustomBuild | TargetKind::ProcMacro);
    let at_crates_io = package.source.as_ref().is_some_and(|source| source.is_crates_io());
    CrateInfo {
        key: format!("{}@{version}", package.name),
        name: package.name.to_string(),
        version: version.to_string(),
        version_numbers: [version.major, version.minor, version.patch],
        description: package.description.as_deref().and_then(filled),
        excerpt: readme.as_deref().and_then(readme::excerpt),
        readme,
        authors: package.authors.iter().filter_map(|text| author(text)).collect(),
        keywords: package.keywords.clone(),
        categories: package.categories.clone(),
        licence: package
            .license
            .clone()
            .or_else(|| package.license_file.as_ref().map(ToString::to_string)),
        repository: package.repository.clone(),
        page: at_crates_io.then(|| format!("https://crates.io/crates/{}/{version}", package.name)),
        edition: package.edition.to_string(),
        rust_version: package.rust_version.as_ref().map(ToString::to_string),
        dependencies: 0,
        is_member: false,
        runs_at_build: package.targets.iter().any(|target| target.kind.iter().any(runs_at_build)),
        files: folder.map(files).unwrap_or_default(),
    }
}

/// The text of a file, whatever its encoding; `None` if there is nothing to read.
fn text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(README_LIMIT).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    (!text.trim().is_empty()).then(|| text.to_owned())
}

/// Manifests break their sentences over lines.
fn filled(text: &str) -> Option<String> {
    let words: Vec<_> = text.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// `Name <mail@address>`, either of them alone, or nobody.
fn author(text: &str) -> Option<Author> {
    let (name, email) = match text.split_once('<') {
        Some((name, rest)) => (name.trim(), rest.split('>').next().unwrap_or_default().trim()),
        None => (text.trim(), ""),
    };
    let name = if name.is_empty() { email } else { name };
    (!name.is_empty()).then(|| Author {
        name: name.to_owned(),
        email: (!email.is_empty()).then(|| email.to_owned()),
    })
}

/// Looks at the files of a crate: not at what was built from it, not at other crates below it,
/// and not at what cannot be read.
fn files(crate_folder: &Path) -> Files {
    let (mut sizes, mut dates) = (Vec::new(), BTreeSet::new());
    let mut folders = vec![crate_folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            // Of a symbolic link this tells about the link, so that no walk goes in circles.
            let Ok(about) = entry.metadata() else {
                continue;
            };
            if about.is_dir() {
                let path = entry.path();
                // Cargo marks the folder that it builds in with the tag.
                let is_other = entry.file_name().as_encoded_bytes().starts_with(b".")
                    || path.join("CACHEDIR.TAG").is_file()
                    || path.join("Cargo.toml").is_file();
                if !is_other {
                    folders.push(path);
                }
            } else if about.is_file() {
                sizes.push(about.len());
                dates.extend(about.modified());
            }
        }
    }
    let bytes = sizes.iter().sum();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.truncate(MOST_FILES);
    Files { bytes, largest: sizes, dates: dates.into_iter().rev().take(MOST_FILES).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_are_read_in_every_form() {
        let is = |name: &str, email: Option<&str>| {
            Some(Author { name: name.to_owned(), email: email.map(str::to_owned) })
        };
        for (text, expected) in [
            ("Jö Doe <jo@doe.example>", is("Jö Doe", Some("jo@doe.example"))),
            ("Jo Doe", is("Jo Doe", None)),
            ("<jo@doe.example>", is("jo@doe.example", Some("jo@doe.example"))),
            ("Jo <", is("Jo", None)),
            ("Jo <a> <b>", is("Jo", Some("a"))),
            ("", None),
            (" < > ", None),
        ] {
            assert_eq!(author(text), expected, "{text:?}");
        }
    }

    #[test]
    fn files_of_other_crates_and_of_builds_are_not_counted() {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("files");
        for (path, bytes) in [
            ("Cargo.toml", 1),
            (".cargo-ok", 20),
            ("src/target/lib.rs", 300),
            ("target/CACHEDIR.TAG", 4000),
            ("target/out", 4000),
            (".git/HEAD", 50_000),
            ("member/Cargo.toml", 600_000),
            ("member/lib.rs", 600_000),
        ] {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![b'x'; bytes]).unwrap();
        }
        let found = files(&folder);
        assert_eq!((found.bytes, &*found.largest), (321, &[300, 20, 1][..]));
        assert!((1..=3).contains(&found.dates.len()) && found.dates.is_sorted_by(|a, b| a > b));
        assert_eq!(files(Path::new("no such folder")), Files::default());
    }
}
