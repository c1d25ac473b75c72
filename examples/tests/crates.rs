//! The `crates` program as its user sees it: run as a process, on this workspace.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use cargo_metadata::{Metadata, MetadataCommand};
use graphfeed_core::external::PropertyType;

/// The program: `cargo test` builds it beside its tests.
fn program() -> Command {
    let test = env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let program = folder.join("examples").join(format!("crates{}", env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "{} is not there; run `cargo build --example crates` first",
        program.display()
    );
    let mut command = Command::new(program);
    // The way to the emulator must not lead through a proxy.
    command.envs(["HTTP_PROXY", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:9")));
    command
}

fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = program().args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// The number in the row of the table that begins so.
fn count(table: &str, row: &str) -> usize {
    let rest = table
        .lines()
        .find_map(|line| line.strip_prefix(row)?.strip_prefix("  "))
        .unwrap_or_else(|| panic!("no row {row:?} in\n{table}"));
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

fn metadata(manifest: &Path) -> Metadata {
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    MetadataCommand::new()
        .manifest_path(manifest)
        .other_options(["--offline", "--filter-platform", host.unwrap()].map(str::to_owned))
        .exec()
        .unwrap()
}

/// A package of its own, with this as the rest of its manifest.
fn package(name: &str, rest: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("src/lib.rs"), "").unwrap();
    let manifest =
        format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n{rest}\n[workspace]\n");
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    folder
}

#[test]
fn every_crate_of_this_workspace_is_stored_and_comes_back_the_same() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let packages = metadata(&manifest).packages;
    let with_readme = packages
        .iter()
        .filter_map(|package| package.readme())
        .filter(|readme| fs::read(readme).is_ok_and(|text| !text.trim_ascii().is_empty()))
        .count();

    // From this package's folder, cargo finds the workspace.
    let (status, table, errors) = run([""; 0]);
    assert_eq!(status, Some(0), "{errors}");
    for row in ["items", "activities", "items read back"] {
        assert_eq!(count(&table, row), packages.len(), "{row}\n{table}");
    }
    assert_eq!(count(&table, "  with content"), with_readme, "{table}");
    assert_eq!(count(&table, "user activities"), 1);
    assert_eq!(count(&table, "history items"), 1);
    assert_eq!(count(&table, "differences"), 0);
    assert!(count(&table, "bytes") > 100 * packages.len());
    let by_type = PropertyType::KNOWN.iter().map(|kind| {
        let number = count(&table, &format!("  {kind}"));
        assert!(number > 0, "{kind}\n{table}");
        number
    });
    assert_eq!(by_type.sum::<usize>(), count(&table, "properties"));
    assert!(table.contains("synthetic"), "{table}");
    assert!(errors.contains("reading back: "), "{errors}");
}

#[test]
fn another_manifest_can_be_named_by_file_or_folder() {
    let folder = package(
        "odd",
        "version = \"1.0.0-rc.1+build\"\nreadme = \"LIES.md\"\nauthors = [\"\", \"<@>\"]\n\
         description = \"\\u0000 \\\" ö\"\nlicense-file = \"../none\"",
    );
    fs::write(folder.join("LIES.md"), b"\xef\xbb\xbf# \xff\n\nF\xf6o \0 bar\n").unwrap();
    for path in [folder.join("Cargo.toml"), folder] {
        let (status, table, errors) = run([OsStr::new("--manifest-path"), path.as_ref()]);
        assert_eq!(status, Some(0), "{errors}");
        assert_eq!(count(&table, "items"), 1);
        assert_eq!(count(&table, "  with content"), 1);
        assert!(table.contains("odd"), "{table}");
    }
}

#[test]
fn content_too_long_for_a_body_is_cut_and_counted() {
    let folder = package("long", "version = \"0.1.0\"\nreadme = \"README.md\"");
    fs::write(folder.join("README.md"), "Größe\n".repeat(1_500_000)).unwrap();
    let (status, table, errors) = run([OsStr::new("--manifest-path"), folder.as_ref()]);
    assert_eq!(status, Some(0), "{errors}");
    assert_eq!(count(&table, "  with content cut"), 1);
    let bytes = count(&table, "bytes");
    assert!((3_999_990..=4_000_000).contains(&bytes), "{bytes}");
}

#[test]
fn a_manifest_that_is_not_there_or_not_complete_says_what_to_do() {
    let (status, table, errors) = run(["--manifest-path", "no/such/Cargo.toml"]);
    assert_eq!((status, &*table), (Some(1), ""));
    assert!(errors.contains("no/such/Cargo.toml"), "{errors}");
    assert!(errors.contains("with --manifest-path"), "{errors}");

    let folder =
        package("missing", "version = \"0.1.0\"\n[dependencies]\ngraphfeed-is-no-crate = \"1\"");
    let (status, table, errors) = run([OsStr::new("--manifest-path"), folder.as_ref()]);
    assert_eq!((status, &*table), (Some(1), ""));
    assert!(errors.contains("graphfeed-is-no-crate"), "{errors}");
    assert!(errors.contains("`cargo fetch --manifest-path "), "{errors}");
}

#[test]
fn the_command_line_is_explained_and_mistakes_are_told() {
    for help in ["--help", "-h"] {
        let (status, text, errors) = run([help]);
        assert_eq!((status, &*errors), (Some(0), ""));
        assert!(text.contains("--manifest-path PATH"), "{text}");
    }
    for (arguments, named) in [
        (&["--no-such"][..], "--no-such"),
        (&["stray"], "stray"),
        (&["--manifest-path"], "--manifest-path"),
    ] {
        let (status, text, errors) = run(arguments);
        assert_eq!((status, &*text), (Some(2), ""));
        assert!(errors.contains(named) && errors.contains("--help"), "{errors}");
    }
}
