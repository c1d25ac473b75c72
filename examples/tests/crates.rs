//! The `crates` program as its user sees it: run as a process, on this workspace.

mod support;

use std::{ffi::OsStr, fs, path::Path, process::Command};

use cargo_metadata::{Metadata, MetadataCommand};
use graphfeed_core::external::PropertyType;
use support::{cell, count, package, run};

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
fn hyper_stores_the_same_as_ureq() {
    // From the counts to the traffic. What is above names a port, what is below tells times.
    let stored = |transport: &str| {
        let (status, table, errors) = run(["--transport", transport]);
        assert_eq!(status, Some(0), "{errors}");
        assert_eq!((count(&table, "repeats"), count(&table, "early calls")), (0, 0), "{table}");
        assert!(table.contains(&format!("\nover {transport}, ")), "{table}");
        let (_, counts) = table.split_once("\n\nStored").unwrap();
        let attempts = count(&table, "attempts");
        (counts.split_once("\n\nTraffic").unwrap().0.to_owned(), attempts)
    };
    assert_eq!(stored("hyper"), stored("ureq"));
}

#[test]
fn faults_and_throttling_cost_time_and_nothing_else() {
    for transport in ["ureq", "hyper"] {
        let (status, table, errors) = run([
            "--transport",
            transport,
            "--throttle",
            "--fault",
            "PUT item: 429 retry-after=1.5 times=1",
            "--fault",
            "PUT item: stored 500 from=5 times=2",
            "--fault",
            "GET item: html 502 times=1",
        ]);
        assert_eq!(status, Some(0), "{errors}");
        let items = count(&table, "items");
        for row in ["activities", "items read back"] {
            assert_eq!(count(&table, row), items, "{row}\n{table}");
        }
        assert_eq!(count(&table, "differences"), 0);
        // Each tenth attempt to put an item, and the one that is named.
        let throttled = count(&table, "throttled");
        assert!((items / 10..=items / 10 + 5).contains(&throttled), "{table}");
        assert_eq!(count(&table, "repeats"), throttled + 3, "{table}");
        let waited: f64 = cell(&table, "seconds waited");
        assert!(waited >= 1.5 && table.contains("early calls"), "{table}");
        assert_eq!(count(&table, "early calls"), 0);
    }
}

#[test]
fn what_cannot_be_repeated_ends_the_run_and_says_so() {
    for transport in ["ureq", "hyper"] {
        let fault = "POST addActivities: stored 500 times=1";
        let (status, table, errors) = run(["--transport", transport, "--fault", fault]);
        assert_eq!((status, &*table), (Some(1), ""));
        assert!(errors.contains("it may have been carried out"), "{errors}");
        let stored = errors.lines().find_map(|line| line.split_once(" items are known to have"));
        let (items, of) = stored.unwrap().0.split_once(" of ").unwrap();
        assert_eq!(items, of, "all are stored before there are activities: {errors}");
    }
}

#[test]
fn an_error_tells_how_many_items_were_stored_before_it() {
    let (status, table, errors) = run(["--fault", "PUT item: 403 from=3 times=1"]);
    assert_eq!((status, &*table), (Some(1), ""));
    let last = errors.lines().last().unwrap();
    assert!(
        last.starts_with("2 of ") && last.contains(" items are known to have been"),
        "{errors}"
    );

    let (_, _, errors) = run(["--fault", "PATCH schema: 403"]);
    assert!(errors.contains("403") && !errors.contains("items are known"), "{errors}");
}

#[cfg(unix)]
#[test]
fn whoever_interrupts_is_told_how_many_items_were_stored() {
    use std::{
        io::{BufRead as _, BufReader},
        process::Stdio,
    };

    for transport in ["ureq", "hyper"] {
        // The third waits, and all behind it.
        let fault = "PUT item: pass latency=60 from=3";
        let mut child = support::program()
            .args(["--transport", transport, "--fault", fault])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let silence = said.find(|line| line.starts_with("items: 2 of ")).unwrap();
        let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(interrupted.unwrap().success());
        let last_words: Vec<_> = said.collect();
        assert!(last_words.contains(&"crates: interrupted".to_owned()), "{last_words:?}");
        let of = silence["items: 2 of ".len()..].split(',').next().unwrap();
        let stored = format!("2 of {of} items are known to have been stored");
        assert!(last_words.last().unwrap().starts_with(&stored), "{last_words:?}");
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
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

    let folder = package("broken", "version = \"one\"");
    let (status, table, errors) = run([OsStr::new("--manifest-path"), folder.as_ref()]);
    assert_eq!((status, &*table), (Some(1), ""));
    assert!(errors.contains("version = \"one\""), "{errors}");
    assert!(!errors.contains("cargo fetch"), "no network helps with that: {errors}");
}

#[test]
fn the_command_line_is_explained_and_mistakes_are_told() {
    for help in ["--help", "-h"] {
        let (status, text, errors) = run([help]);
        assert_eq!((status, &*errors), (Some(0), ""));
        for part in [
            "--manifest-path PATH",
            "--transport NAME",
            "--fault TEXT",
            "--clean",
            "GRAPHFEED_TENANT ",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }
    for (arguments, named) in [
        (&["--no-such"][..], "--no-such"),
        (&["stray"], "stray"),
        (&["--manifest-path"], "--manifest-path"),
        (&["--fault", "PUT item: teapot"], "PUT item: teapot"),
        (&["--transport", "tokio"], "not ureq or hyper"),
        (&["--transport", ""], "not ureq or hyper"),
        (&["--transport"], "--transport"),
        (&["--transport", "ureq", "--transport", "hyper"], "--transport is there more than once"),
        (&["--manifest-path=a", "--manifest-path=a"], "--manifest-path is there more than once"),
        (&["--clean"], "GRAPHFEED_TENANT"),
    ] {
        let (status, text, errors) = run(arguments);
        assert_eq!((status, &*text), (Some(2), ""));
        assert!(errors.contains(named) && errors.contains("--help"), "{errors}");
    }
}

#[test]
fn an_answer_that_takes_its_time_is_no_silence() {
    let (status, _, said) = run(["--fault", "PUT item: pass latency=5 times=1"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("items: waiting for answers, "), "{said}");
}
