//! The `files` program as its user sees it: run as a process, on folders of these tests.

mod folder;

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use folder::{Folder, items, requests, service};
use graphfeed_core::{
    protocol::{Applied, Cloud, ServiceRoot, Version},
    types::{ConnectionId, ItemId},
};
use graphfeed_crawl::{Journal, Scope, State};
use graphfeed_emulator::{Application, Authorization, Emulator, Options, server::Server};
use graphfeed_examples::process::{example, outcome};

const NOTHING: &str = "seen 0, ok 0, failed 0, skipped 0, deleted 0, throttled 0.0 s";

/// Runs the program, and gives its status and its last words, and what it has said before.
fn run(program: &mut Command) -> (i32, String, String) {
    let (status, text, errors) = outcome(program);
    assert_eq!(text.lines().filter(|line| line.starts_with("seen ")).count(), 1, "{text}{errors}");
    // There is no terminal, so nothing is drawn.
    assert!(!errors.contains(['\x1b', '\r']), "{errors:?}");
    assert!(text.lines().last().unwrap().contains(": /"), "the last line is a command: {text}");
    (status.unwrap(), text, errors)
}

/// Runs the program, which is to end so and to have counted that.
fn ends(program: &mut Command, status: i32, counts: &str) -> (String, String) {
    let (found, text, errors) = run(program);
    assert_eq!(found, status, "{text}{errors}");
    assert!(text.starts_with(&format!("{counts}, throttled ")), "{counts}\n{text}{errors}");
    (text, errors)
}

fn twenty() -> Folder {
    let folder = Folder::new();
    for number in 0..20 {
        folder.write(&format!("notes/{number}.md"), format!("Note {number}"));
    }
    folder
}

fn scope(url: &str) -> Scope {
    let root = ServiceRoot::danger_plain_http(url, Cloud::Global, Version::V1).unwrap();
    Scope::new(&root, &ConnectionId::new("graphfeedfiles").unwrap())
}

fn content(emulator: &Emulator, key: &str) -> String {
    items(emulator)[key].content.as_ref().unwrap().value.clone()
}

#[test]
fn a_second_run_sends_what_has_changed_and_deletes_what_has_vanished() {
    let (folder, (emulator, server)) = (twenty(), service());
    let program = || folder.program(Some(server.url()));
    let sent = || ["PUT item", "POST addActivities", "DELETE item"].map(|it| emulator.count(it));
    ends(&mut program(), 0, "seen 20, ok 20, failed 0, skipped 0, deleted 0");
    assert_eq!(sent(), [20, 20, 0]);
    assert_eq!(items(&emulator).len(), 20);

    let (text, _) = ends(&mut program(), 0, "seen 20, ok 0, failed 0, skipped 20, deleted 0");
    assert_eq!(sent(), [20, 20, 0]);
    assert_eq!(text.lines().count(), 2, "nothing else is worth a word: {text}");

    folder.write("notes/7.md", "Another note");
    ends(&mut program(), 0, "seen 20, ok 1, failed 0, skipped 19, deleted 0");
    assert_eq!(sent(), [21, 21, 0]);
    assert_eq!(content(&emulator, "notes/7.md"), "Another note");

    fs::remove_file(folder.path.join("notes/8.md")).unwrap();
    ends(&mut program(), 0, "seen 19, ok 0, failed 0, skipped 19, deleted 1");
    assert_eq!(sent(), [21, 21, 1]);
    assert!(!items(&emulator).contains_key("notes/8.md"));

    // Only its time is another one.
    let file = File::options().append(true).open(folder.path.join("notes/9.md")).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    ends(&mut program(), 0, "seen 19, ok 1, failed 0, skipped 18, deleted 0");
    let starts: Vec<_> = items(&emulator)["notes/9.md"]
        .activities
        .iter()
        .map(|activity| activity.start_date_time.clone())
        .collect();
    assert_eq!(starts.len(), 2);
    assert_eq!(starts[1], "2001-09-09T01:46:40Z");
}

#[test]
fn the_emulator_inside_knows_on_another_day_what_it_held() {
    let folder = twenty();
    ends(&mut folder.program(None), 0, "seen 20, ok 20, failed 0, skipped 0, deleted 0");
    fs::remove_file(folder.path.join("notes/8.md")).unwrap();
    folder.write("notes/7.md", "Another note");
    let (_, said) =
        ends(&mut folder.program(None), 0, "seen 19, ok 1, failed 0, skipped 18, deleted 1");
    assert!(!said.contains("anew"), "{said}");
    let emulator = Emulator::default();
    emulator.restore(&fs::read(folder.state.join("emulator.json")).unwrap()).unwrap();
    assert_eq!(items(&emulator).len(), 19);
    assert_eq!(content(&emulator, "notes/7.md"), "Another note");
}

#[test]
fn an_emulator_that_was_killed_with_the_program_is_begun_anew_and_that_is_said() {
    let folder = Folder::new();
    for number in 0..300 {
        folder.write(&number.to_string(), "x");
    }
    let mut program = folder.program(None);
    let mut child = program.arg("--throttle").stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().starts_with("connection and schema: ")));
    child.kill().unwrap();
    child.wait().unwrap();

    let all = "seen 300, ok 300, failed 0, skipped 0, deleted 0";
    let (_, said) = ends(folder.program(None).arg("--dry-run"), 0, all);
    assert!(said.contains("begins anew"), "{said}");
    let (_, said) = ends(&mut folder.program(None), 0, all);
    assert!(said.contains("begins anew, and everything is sent again"), "{said}");
    ends(&mut folder.program(None), 0, "seen 300, ok 0, failed 0, skipped 300, deleted 0");

    fs::remove_file(folder.state.join("emulator.json")).unwrap();
    let (_, said) = ends(&mut folder.program(None), 0, all);
    assert!(said.contains("begins anew"), "{said}");

    fs::write(folder.state.join("emulator.json"), "{").unwrap();
    let (status, text, said) = run(&mut folder.program(None));
    assert_eq!((status, text.lines().next()), (2, Some(NOTHING)), "{said}");
    assert!(said.contains("emulator.json") && said.contains("restore a copy"), "{said}");
}

#[test]
fn what_is_hidden_or_ignored_is_left_out_and_so_is_the_programs_own_folder() {
    let (folder, (emulator, server)) = (Folder::new(), service());
    for key in [".hidden/a", "a.txt", "b/c.txt", "b/c.log", "target/y"] {
        folder.write(key, "x");
    }
    folder.write(".gitignore", "*.log\n/target\n");
    // The first run makes its folder, and the second finds it.
    for (state, ok) in [("b/../state", 2), ("state", 0)] {
        let mut program = example("files");
        program.current_dir(&folder.path).args([".", "--state", state, "--service", server.url()]);
        let counts = format!("seen 2, ok {ok}, failed 0, skipped {}, deleted 0", 2 - ok);
        ends(&mut program, 0, &counts);
        assert!(folder.path.join("state/journal").is_file());
        assert_eq!(items(&emulator).keys().collect::<Vec<_>>(), ["a.txt", "b/c.txt"]);
    }
}

#[test]
fn where_it_is_not_known_what_is_left_out_nothing_is_sent_and_nothing_deleted() {
    let (folder, (emulator, server)) = (Folder::new(), service());
    for key in ["a", "sub/b", "sub/deeper/c", "subs/d"] {
        folder.write(key, "x");
    }
    let program = || folder.program(Some(server.url()));
    ends(&mut program(), 0, "seen 4, ok 4, failed 0, skipped 0, deleted 0");
    fs::remove_file(folder.path.join("a")).unwrap();
    for key in ["sub/secret", "sub/deeper/secret", "subs/new"] {
        folder.write(key, "x");
    }

    // A line that is no pattern, bytes that are no text, and what can be no file of lines at all.
    let write = |text: &[u8]| folder.write("sub/.gitignore", text);
    write(b"secret\n[z-a]\n{x\n");
    let known =
        |ok: u64, skipped: u64| format!("seen 3, ok {ok}, failed 1, skipped {skipped}, deleted 0");
    let fault = "files: sub/.gitignore: cannot be used: line 2: ";
    let (_, said) = ends(program().arg("--dry-run"), 3, &known(1, 1));
    assert!(said.contains(fault) && said.contains(", line 3: "), "{said}");
    assert!(said.contains("until then nothing in sub is sent"), "{said}");
    let (text, _) = ends(program().args(["--most-deleted", "100"]), 3, &known(1, 1));
    assert!(text.contains("the source was not seen whole, so nothing was deleted"), "{text}");
    let letter = folder.letters().pop().unwrap();
    assert_eq!((letter.key, letter.place.as_deref()), (None, Some("sub/.gitignore")));
    assert_eq!(letter.line, None, "a folder has no lines");

    write(b"secret\n\xff\n");
    ends(&mut program(), 3, &known(0, 2));
    fs::remove_file(folder.path.join("sub/.gitignore")).unwrap();
    fs::create_dir(folder.path.join("sub/.gitignore")).unwrap();
    ends(&mut program(), 3, &known(0, 2));
    assert!(!items(&emulator).keys().any(|key| key.ends_with("secret")));
    assert!(items(&emulator).contains_key("a"));

    // Above the folder, and for all that git knows, it is about everything.
    let nothing = "seen 1, ok 0, failed 1, skipped 0, deleted 0";
    fs::remove_dir(folder.path.join("sub/.gitignore")).unwrap();
    let above = folder.path.parent().unwrap().join(".ignore");
    fs::write(&above, "[z-a]\n").unwrap();
    let (_, said) = ends(program().arg("--dry-run"), 3, nothing);
    assert!(said.contains(&format!("files: {}: cannot be used: line 1: ", above.display())));
    fs::remove_file(&above).unwrap();
    let git = folder.path.parent().unwrap().join("git");
    fs::create_dir(&git).unwrap();
    fs::write(git.join("ignore"), "secret\n[z-a]\n").unwrap();
    let program = |command: &mut Command| {
        command.env("XDG_CONFIG_HOME", git.parent().unwrap()).env("HOME", "/nowhere");
        command.env_remove("GIT_CONFIG_GLOBAL").env("GIT_CONFIG_SYSTEM", "/dev/null");
    };
    let mut odd = folder.program(Some(server.url()));
    program(&mut odd);
    ends(&mut odd, 3, nothing);
    fs::write(git.join("ignore"), "secret\n").unwrap();
    let mut whole = folder.program(Some(server.url()));
    program(whole.args(["--most-deleted", "100"]));
    ends(&mut whole, 0, "seen 4, ok 0, failed 0, skipped 4, deleted 1");
    assert!(!items(&emulator).keys().any(|key| key.ends_with("secret")));
}

#[test]
fn a_text_is_the_content_and_one_that_is_too_long_is_cut() {
    let (folder, (emulator, server)) = (Folder::new(), service());
    folder.write("long.txt", "Größe\n".repeat(1_500_000));
    folder.write("image", b"\xff\xd8\xff");
    folder.write("null", b"a\0b");
    folder.write("empty", "");
    let (text, _) = ends(
        &mut folder.program(Some(server.url())),
        0,
        "seen 4, ok 4, failed 0, skipped 0, deleted 0",
    );
    assert!(text.contains("\ntexts that were cut, to fit in a body: 1\n"), "{text}");
    let items = items(&emulator);
    for key in ["image", "null", "empty"] {
        assert_eq!(items[key].content, None, "{key}");
    }
    let long = &items["long.txt"].content.as_ref().unwrap().value;
    assert!("Größe\n".repeat(1_500_000).starts_with(long));
    assert!(long.len() > 3_000_000, "{}", long.len());
}

#[test]
fn too_much_that_has_vanished_is_not_deleted_unless_it_may_be() {
    let (folder, (emulator, server)) = (twenty(), service());
    let program = || folder.program(Some(server.url()));
    ends(&mut program(), 0, "seen 20, ok 20, failed 0, skipped 0, deleted 0");
    for number in 0..3 {
        fs::remove_file(folder.path.join(format!("notes/{number}.md"))).unwrap();
    }
    let braked = "seen 17, ok 0, failed 0, skipped 17, deleted 0";
    ends(program().arg("--dry-run"), 6, braked);
    let (text, _) = ends(&mut program(), 6, braked);
    assert!(text.contains("no longer has 3 of 20 items, and none was deleted"), "{text}");
    assert!(
        text.contains("to allow it, after a look at the folder: --most-deleted 15\n"),
        "{text}"
    );
    let resume = text.lines().find(|line| line.starts_with("to resume")).unwrap();
    assert!(
        !resume.contains("--most-deleted"),
        "the same command, and not one that deletes: {text}"
    );
    ends(program().args(["--most-deleted", "14.9"]), 6, braked);
    assert_eq!((items(&emulator).len(), emulator.count("DELETE item")), (20, 0));

    let allowed = "seen 17, ok 0, failed 0, skipped 17, deleted 3";
    ends(program().args(["--most-deleted", "100"]), 0, allowed);
    assert_eq!(items(&emulator).len(), 17);
}

#[test]
fn a_dry_run_needs_no_network_and_writes_nothing() {
    let folder = twenty();
    // Nobody listens there.
    let nobody = || {
        let mut program = folder.program(Some("http://127.0.0.1:9"));
        program.arg("--dry-run");
        program
    };
    let all = "seen 20, ok 20, failed 0, skipped 0, deleted 0";
    let (text, _) = ends(&mut nobody(), 0, all);
    assert!(
        text.contains("\n0 would be deleted\nnothing was sent or written; to do so: "),
        "{text}"
    );
    assert!(!folder.state.exists());

    // What a run has left there is as it was.
    ends(&mut folder.program(None), 0, all);
    fs::remove_file(folder.path.join("notes/8.md")).unwrap();
    folder.write("notes/7.md", "Another note");
    let kept = || {
        let read = |name: &str| fs::read(folder.state.join(name)).unwrap();
        ["journal", "emulator.json", "dead-letters.ndjson"].map(read)
    };
    let before = kept();
    let (text, _) = ends(
        folder.program(None).arg("--dry-run"),
        0,
        "seen 19, ok 1, failed 0, skipped 18, deleted 0",
    );
    assert!(text.contains("\n1 would be deleted\n"), "{text}");
    assert!(before == kept());
    assert_eq!(fs::read_dir(&folder.state).unwrap().count(), 3);
}

#[test]
fn without_a_path_it_is_this_repository_and_what_is_kept_is_where_nobody_commits_it() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let (_, _, said) = outcome(example("files").arg("--dry-run"));
    let head = said.lines().next().unwrap().strip_prefix("files: ").unwrap();
    let (folder, kept) = head.split_once(" to the emulator").unwrap();
    assert_eq!(Path::new(folder), repository);
    let (_, kept) = kept.split_once("with what is kept in ").unwrap();
    assert_eq!(Path::new(kept).parent(), Some(&*repository.join("target/files")));
}

#[test]
fn a_file_that_is_refused_has_a_dead_letter_and_is_stored_when_that_is_replayed() {
    let (folder, (emulator, server)) = (twenty(), service());
    let program = || folder.program(Some(server.url()));
    emulator.script("PUT item: 400 code=ItemTooOdd from=5 times=1").unwrap();
    let (text, _) = ends(&mut program(), 3, "seen 20, ok 19, failed 1, skipped 0, deleted 0");
    let file = folder.state.join("dead-letters.ndjson");
    assert!(text.contains(&format!("\nwhat failed and why: {}\n", file.display())), "{text}");
    let letters = folder.letters();
    let letter = &letters[0];
    assert_eq!((letters.len(), letter.status, letter.applied), (2, Some(400), Applied::No));
    assert_eq!(letter.operation.as_deref(), Some("Create or replace item"));
    assert!(letter.request_id.as_ref().is_some_and(|id| id.len() == 36), "{letter:?}");
    assert!(letter.inner.iter().any(|it| it.code.as_deref() == Some("ItemTooOdd")), "{letter:?}");
    // Its activity has not been sent, or found nothing to be added to.
    assert_eq!(letters[1].operation.as_deref(), Some("Add activities"));
    assert_eq!((&letters[1].key, letters[1].applied), (&letter.key, Applied::No));
    assert_eq!(items(&emulator).len(), 19);

    let (_, said) = ends(
        program().arg("--replay").arg(&file),
        0,
        "seen 2, ok 2, failed 0, skipped 0, deleted 0",
    );
    let moved = folder.state.join("dead-letters.1.ndjson");
    assert!(said.contains(&moved.display().to_string()) && moved.is_file(), "{said}");
    assert_eq!((items(&emulator).len(), folder.letters().len()), (20, 0));
    ends(&mut program(), 0, "seen 20, ok 0, failed 0, skipped 20, deleted 0");
    ends(program().arg("--replay").arg(&moved), 0, "seen 2, ok 0, failed 0, skipped 2, deleted 0");
    assert!(moved.is_file(), "only the folder's own are put aside");
    assert!(items(&emulator).values().all(|item| item.activities.len() == 1));

    fs::write(&moved, "{}\n").unwrap();
    for odd in [&*moved, Path::new("no/such/file")] {
        let (status, text, said) = run(program().arg("--replay").arg(odd));
        assert_eq!((status, text.lines().next()), (2, Some(NOTHING)), "{said}");
        assert!(said.contains(&odd.display().to_string()), "{said}");
    }
}

/// A folder, none of whose files was taken, with a letter for each item and each activity.
fn refused() -> (Folder, Emulator, Server) {
    let (folder, (emulator, server)) = (twenty(), service());
    emulator.script("PUT item: 400").unwrap();
    let none = "seen 20, ok 0, failed 20, skipped 0, deleted 0";
    ends(&mut folder.program(Some(server.url())), 3, none);
    assert_eq!(folder.letters().len(), 40);
    emulator.clear_faults();
    (folder, emulator, server)
}

/// The program, which is to send the folder's own letters again.
fn replay(folder: &Folder, url: &str) -> Command {
    let mut program = folder.program(Some(url));
    program.arg("--replay").arg(folder.state.join("dead-letters.ndjson"));
    program
}

/// All files are stored, each with its activity, and no letter is left.
fn assert_all_is_done(folder: &Folder, emulator: &Emulator) {
    let items = items(emulator);
    assert_eq!(items.len(), 20);
    for (key, item) in items {
        assert_eq!(item.activities.len(), 1, "{key}");
        assert_eq!(item.content.unwrap().value, fs::read_to_string(folder.path.join(key)).unwrap());
    }
    assert_eq!(folder.letters(), []);
}

#[cfg(unix)]
#[test]
fn letters_that_nobody_took_are_all_sent_by_the_same_command_again() {
    let (folder, emulator, server) = refused();
    let url = server.url().to_owned();
    let file = folder.state.join("dead-letters.ndjson");
    let before = fs::read(&file).unwrap();
    // It ends by an error.
    emulator.script("GET connection: 401").unwrap();
    let (status, text, said) = run(&mut replay(&folder, &url));
    assert_eq!((status, text.lines().next()), (4, Some(NOTHING)), "{said}");
    assert!(fs::read(&file).unwrap() == before);
    emulator.clear_faults();
    // Nobody is there.
    drop(server);
    let mut program = replay(&folder, &url);
    program.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = interrupt_when(program, |line| line.contains("waiting for answers"));
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), text.lines().next()), (Some(130), Some(NOTHING)));
    assert!(fs::read(&file).unwrap() == before);
    let resume = text.lines().last().unwrap();
    assert!(resume.contains(&format!(" --replay {} ", file.display())), "{text}");

    let _server = Server::start(emulator.clone(), url.strip_prefix("http://").unwrap()).unwrap();
    let (_, said) =
        ends(&mut replay(&folder, &url), 0, "seen 40, ok 40, failed 0, skipped 0, deleted 0");
    assert!(said.contains("dead-letters.1.ndjson"), "{said}");
    assert_all_is_done(&folder, &emulator);
    assert!(fs::read(folder.state.join("dead-letters.1.ndjson")).unwrap() == before);
}

#[cfg(unix)]
#[test]
fn letters_wait_for_a_crawl_where_it_is_not_known_what_was_sent() {
    let (folder, emulator, server) = refused();
    let refuses = |program: &mut Command, why: &str| {
        let (status, text, said) = run(program);
        assert_eq!((status, text.lines().next()), (2, Some(NOTHING)), "{said}");
        assert!(said.contains(why) && said.contains("run without --replay first"), "{said}");
        let command = text.lines().last().unwrap().strip_prefix("to resume: ").unwrap().to_owned();
        assert!(!command.contains("--replay"), "{text}");
        command
    };
    fs::remove_file(folder.state.join("journal")).unwrap();
    let command = refuses(&mut replay(&folder, server.url()), "journal has no run");
    assert_eq!((folder.letters().len(), emulator.count("PUT item")), (40, 20));
    let mut resumed = Command::new("sh");
    let all = "seen 20, ok 20, failed 0, skipped 0, deleted 0";
    ends(resumed.arg("-c").arg(command).env_remove("CARGO"), 0, all);
    let (text, _) = ends(
        &mut replay(&folder, server.url()),
        0,
        "seen 40, ok 0, failed 0, skipped 40, deleted 0",
    );
    let passed = "\nletters that were not sent: 40 done by now, 0 of what is gone or newer\n";
    assert!(text.contains(passed), "{text}");

    // Of what the emulator in the program held.
    let letters = folder.state.join("dead-letters.1.ndjson");
    let inside = twenty();
    ends(&mut inside.program(None), 0, all);
    fs::remove_file(inside.state.join("emulator.json")).unwrap();
    let lost = "what its emulator held, and that is gone";
    refuses(inside.program(None).arg("--replay").arg(&letters), lost);
    let journal = Journal::open(inside.state.join("journal"), &scope("http://127.0.0.1")).unwrap();
    assert!(journal.last_run().is_some(), "it was left as it is");
    drop(journal);
    ends(&mut inside.program(None), 0, all);
    fs::remove_file(inside.state.join("journal")).unwrap();
    let (_, said) = ends(&mut inside.program(None), 0, all);
    assert!(said.contains("journal is not there, and other files of a run are"), "{said}");
    assert!(said.contains("it begins anew, and everything is sent again"), "{said}");
}

#[test]
fn a_torn_last_letter_is_a_failure_and_nothing_is_put_aside() {
    let (folder, emulator, server) = refused();
    let file = folder.state.join("dead-letters.ndjson");
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, whole.clone() + r#"{"time":"2021-04-06T18"#).unwrap();
    let (text, said) = ends(
        &mut replay(&folder, server.url()),
        3,
        "seen 41, ok 40, failed 1, skipped 0, deleted 0",
    );
    let told = format!("\nthe last line of {} was torn", file.display());
    assert!(text.contains(&told) && !said.contains("the old dead letters are now"), "{text}{said}");
    assert!(text.lines().last().unwrap().contains(" --replay "), "{text}");
    assert_eq!(fs::read_to_string(&file).unwrap(), whole);
    assert_eq!(items(&emulator).len(), 20);
    ends(&mut replay(&folder, server.url()), 0, "seen 40, ok 0, failed 0, skipped 40, deleted 0");
    assert_all_is_done(&folder, &emulator);
}

#[test]
fn a_file_of_letters_that_begins_with_none_is_left_alone_and_it_is_said_what_to_do() {
    let (folder, _, server) = refused();
    let file = folder.state.join("dead-letters.ndjson");
    let whole = fs::read_to_string(&file).unwrap();
    for (odd, why) in [
        (whole.replacen('{', r#"{"note":"look at this","#, 1), "line 1: $: is no dead letter: "),
        (format!("Dear diary\n{whole}"), "line 1: $: is no dead letter: "),
    ] {
        fs::write(&file, &odd).unwrap();
        let (status, text, said) = run(&mut folder.program(Some(server.url())));
        assert_eq!((status, text.lines().next()), (2, Some(NOTHING)), "{said}");
        assert!(said.contains(&format!("files: {}: {why}", file.display())), "{said}");
        assert!(said.contains("; or move the file away, and letters go to a new one"), "{said}");
        assert!(!said.contains("name another"), "{said}");
        assert_eq!(fs::read_to_string(&file).unwrap(), odd);
    }
    fs::remove_file(&file).unwrap();
    let all = "seen 20, ok 20, failed 0, skipped 0, deleted 0";
    ends(&mut folder.program(Some(server.url())), 0, all);
}

#[test]
fn a_delete_that_fails_is_told_and_is_tried_again() {
    let (folder, (emulator, server)) = (twenty(), service());
    let program = || folder.program(Some(server.url()));
    ends(&mut program(), 0, "seen 20, ok 20, failed 0, skipped 0, deleted 0");
    for number in 0..2 {
        fs::remove_file(folder.path.join(format!("notes/{number}.md"))).unwrap();
    }
    emulator.script("DELETE item: 400 times=1").unwrap();
    let (text, _) = ends(&mut program(), 3, "seen 18, ok 0, failed 0, skipped 18, deleted 1");
    assert!(text.contains("\ndeletes that failed: 1\nwhat failed and why: "), "{text}");
    assert_eq!((items(&emulator).len(), folder.letters().len()), (19, 1));
    ends(&mut program(), 0, "seen 18, ok 0, failed 0, skipped 18, deleted 1");
}

#[cfg(target_os = "linux")]
#[test]
fn ended_by_a_full_disk_it_says_what_was_done_until_then() {
    let (folder, (emulator, server)) = (twenty(), service());
    let program = folder.program(Some(server.url()));
    ends(
        &mut folder.program(Some(server.url())),
        0,
        "seen 20, ok 20, failed 0, skipped 0, deleted 0",
    );
    for number in 0..3000 {
        folder.write(&format!("more/{number}"), "x");
    }
    // No file of it may grow by more than this, in blocks of 512 bytes.
    let most = (fs::metadata(folder.state.join("journal")).unwrap().len() + 300_000) / 512;
    let mut limited = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {most}; exec \"$@\"");
    limited.arg("-c").arg(script).arg("sh").arg(program.get_program()).args(program.get_args());
    limited.env_remove("CARGO");
    let (status, text, said) = run(&mut limited);
    assert_eq!(status, 1, "{text}{said}");
    let count = |name: &str| -> u64 {
        let rest = text.split_once(name).unwrap().1;
        rest[..rest.find(',').unwrap()].parse().unwrap()
    };
    let [seen, ok, failed, skipped] = ["seen ", " ok ", " failed ", " skipped "].map(count);
    assert!(ok > 0 && failed == 0 && (ok..3020).contains(&seen), "{text}{said}");
    assert_eq!(seen, ok + failed + skipped, "{text}{said}");
    // All that was told of as done, and no more than was out and is not on record.
    let stored = emulator.count("PUT item") - 20;
    assert!((ok..ok + 100).contains(&stored), "{stored}: {text}{said}");
    assert!(!text.contains("is deleted"), "{text}");
    let rest = "seen 3020, ok ";
    let (status, text, said) = run(&mut folder.program(Some(server.url())));
    assert!(matches!(status, 0 | 3) && text.starts_with(rest), "{text}{said}");
    assert_eq!(items(&emulator).len(), 3020);
}

/// Starts a replay of which the first calls are refused, the next ones are taken and the others
/// wait for their answers; and waits until it has come there.
fn half_replayed(folder: &Folder, emulator: &Emulator, url: &str) -> std::process::Child {
    let before = emulator.count("PUT item");
    emulator.script("PUT item: 400 times=3").unwrap();
    emulator.script("PUT item: pass latency=3 from=5").unwrap();
    let mut program = replay(folder, url);
    let child = program.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    folder::wait_until("some wait for their answers", || emulator.count("PUT item") >= before + 8);
    child
}

#[test]
fn letters_whose_replay_is_killed_are_all_sent_or_told_of_by_the_same_command_again() {
    let (folder, emulator, server) = refused();
    let url = server.url();
    for _ in 0..3 {
        let mut child = half_replayed(&folder, &emulator, url);
        child.kill().unwrap();
        child.wait().unwrap();
        emulator.clear_faults();
    }
    let (status, text, said) = run(&mut replay(&folder, url));
    let items = items(&emulator);
    assert_eq!(items.len(), 20, "{text}{said}");
    // Of an activity that was out each time it is known that it may be there.
    let letters = folder.letters();
    assert_eq!(status, if letters.is_empty() { 0 } else { 3 }, "{text}{said}");
    assert!(letters.iter().all(|letter| letter.applied == Applied::Maybe), "{letters:?}");
    for (key, item) in items {
        let told = letters.iter().filter(|letter| letter.key.as_ref() == Some(&key)).count();
        assert!(told <= 1 && item.activities.len() <= 1, "{key}: {letters:?}");
        assert!(told + item.activities.len() >= 1, "{key}: {letters:?}");
    }
    let names = fs::read_dir(&folder.state).unwrap().map(|it| it.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["dead-letters.1.ndjson", "dead-letters.ndjson", "journal"], "{said}");
    ends(&mut folder.program(Some(url)), 0, "seen 20, ok 0, failed 0, skipped 20, deleted 0");
}

#[cfg(unix)]
#[test]
fn letters_whose_replay_is_interrupted_are_all_sent_by_the_command_that_it_prints() {
    let (folder, emulator, server) = refused();
    let child = half_replayed(&folder, &emulator, server.url());
    interrupt(&child);
    emulator.clear_faults();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(130), "{text}");
    // None is there twice, and none is missing.
    let mut letters: Vec<_> = folder
        .letters()
        .into_iter()
        .map(|letter| (letter.key.unwrap(), letter.operation.unwrap()))
        .collect();
    letters.sort();
    letters.dedup();
    assert_eq!((letters.len(), folder.letters().len()), (40, 40));

    let command = text.lines().last().unwrap().strip_prefix("to resume: ").unwrap();
    let (status, text, said) = run(Command::new("sh").arg("-c").arg(command).env_remove("CARGO"));
    assert_eq!(status, 0, "{text}{said}");
    assert!(text.starts_with("seen 40, ") && text.contains(" failed 0, "), "{text}{said}");
    assert_all_is_done(&folder, &emulator);
}

#[test]
fn a_line_that_is_no_letter_is_told_and_kept_and_the_others_are_sent() {
    let (folder, emulator, server) = refused();
    let file = folder.state.join("dead-letters.ndjson");
    let mut lines: Vec<_> = fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
    // Not an item, without which there is nothing to add to.
    let bad = 1 + lines[1..].iter().position(|line| line.contains("Add activities")).unwrap();
    let whole = lines[bad].clone();
    lines[bad].truncate(50);
    fs::write(&file, lines.join("\n") + "\n").unwrap();
    let (status, text, said) = run(&mut replay(&folder, server.url()));
    assert_eq!(status, 3, "{text}{said}");
    assert!(text.starts_with("seen 40, ") && text.contains(" failed 1, "), "{text}{said}");
    let told = format!("files: {}: line {}: $: is no dead letter: ", file.display(), bad + 1);
    assert!(said.contains(&told), "{told}\n{said}");
    let last = format!("\nlines that are no letters: 1; correct them in {}\n", file.display());
    assert!(text.contains(&last), "{text}");
    assert!(text.lines().last().unwrap().contains(" --replay "), "{text}");
    assert_eq!(fs::read_to_string(&file).unwrap(), lines.join("\n") + "\n");

    lines[bad] = whole;
    fs::write(&file, lines.join("\n") + "\n").unwrap();
    let (text, said) = {
        let (status, text, said) = run(&mut replay(&folder, server.url()));
        assert_eq!(status, 0, "{text}{said}");
        (text, said)
    };
    assert!(text.starts_with("seen 40, ok 1, failed 0, skipped 39, "), "{text}{said}");
    assert_all_is_done(&folder, &emulator);
}

#[test]
fn an_activity_that_failed_is_added_once_whoever_comes_first() {
    let (folder, (emulator, server)) = (twenty(), service());
    let program = || folder.program(Some(server.url()));
    emulator.script("POST addActivities: 400 times=1").unwrap();
    ends(&mut program(), 3, "seen 20, ok 19, failed 1, skipped 0, deleted 0");
    ends(&mut program(), 0, "seen 20, ok 1, failed 0, skipped 19, deleted 0");
    let letters = folder.state.join("dead-letters.ndjson");
    ends(program().arg("--replay").arg(letters), 0, "seen 1, ok 0, failed 0, skipped 1, deleted 0");
    assert!(items(&emulator).values().all(|item| item.activities.len() == 1));
}

#[test]
fn an_activity_of_unknown_fate_is_not_sent_again_unless_it_may_be_there_twice() {
    for (options, activities) in [(&[][..], 1), (&["--duplicates"], 2)] {
        let (folder, (emulator, server)) = (Folder::new(), service());
        folder.write("a", "x");
        emulator.script("POST addActivities: stored reset times=1").unwrap();
        let (status, text, _) = run(folder.program(Some(server.url())).args(options));
        let is_known = options.is_empty();
        assert_eq!(status, if is_known { 3 } else { 0 }, "{text}");
        assert_eq!(
            text.contains("it is not known whether they were added: 1\n"),
            is_known,
            "{text}"
        );
        assert_eq!(text.contains(" --duplicates "), !is_known, "{text}");
        run(folder.program(Some(server.url())).args(options));
        assert_eq!(items(&emulator)["a"].activities.len(), activities);
    }
}

#[test]
fn a_permission_that_is_missing_has_a_status_of_its_own() {
    let (folder, (emulator, server)) = (twenty(), service());
    emulator.script("PUT item: 403").unwrap();
    let program = || folder.program(Some(server.url()));
    ends(&mut program(), 4, "seen 20, ok 0, failed 20, skipped 0, deleted 0");
    emulator.clear_faults();
    emulator.script("GET connection: 401").unwrap();
    let (status, text, said) = run(&mut program());
    assert_eq!((status, text.lines().next()), (4, Some(NOTHING)), "{said}");
    emulator.clear_faults();
    ends(&mut program(), 0, "seen 20, ok 20, failed 0, skipped 0, deleted 0");
}

#[test]
fn a_tenant_is_named_by_the_environment() {
    const TENANT: &str = "0a5ec0de-0000-4000-8000-000000000001";
    const USER: &str = "0a5ec0de-0000-4000-8000-0000000000aa";
    let start = |roles: &[&str]| {
        let application = Application::new("app", "hush-s3cret").tenant(TENANT);
        let application = roles.iter().fold(application, |app, role| app.role(*role));
        let authorization = Authorization { applications: vec![application], ..Default::default() };
        let emulator = Emulator::new(Options {
            origin: SystemTime::now(),
            authorization: Some(authorization),
            ..Options::default()
        });
        let server = Server::start(emulator.clone(), "127.0.0.1:0").unwrap();
        (emulator, server)
    };
    let program = |folder: &Folder, server: &Server| {
        let mut program = folder.program(None);
        program.envs([
            ("GRAPHFEED_TENANT", TENANT),
            ("GRAPHFEED_CLIENT_ID", "app"),
            ("GRAPHFEED_CLIENT_SECRET", "hush-s3cret"),
            ("GRAPHFEED_SERVICE", server.url()),
            ("GRAPHFEED_AUTHORITY", server.url()),
        ]);
        program
    };
    let roles = ["ExternalConnection.ReadWrite.OwnedBy", "ExternalItem.ReadWrite.OwnedBy"];
    let (folder, (emulator, server)) = (twenty(), start(&roles));
    let all = "seen 20, ok 20, failed 0, skipped 0, deleted 0";
    ends(&mut program(&folder, &server), 0, all);
    for item in items(&emulator).values() {
        assert_eq!((&*item.acl[0].value, item.activities.len()), (TENANT, 0));
    }
    ends(program(&folder, &server).env("GRAPHFEED_AUTHOR", USER), 0, all);
    for item in items(&emulator).values() {
        assert_eq!(item.activities[0].performed_by_id, USER);
    }

    let (folder, (emulator, server)) = (twenty(), start(&roles[..1]));
    let none = "seen 20, ok 0, failed 20, skipped 0, deleted 0";
    ends(&mut program(&folder, &server), 4, none);
    assert!(folder.letters()[0].cause.contains(roles[1]), "{:?}", folder.letters());
    assert_eq!(items(&emulator).len(), 0);
}

#[test]
fn what_is_no_good_is_told_before_anything_is_sent() {
    let (folder, (emulator, server)) = (twenty(), service());
    let invalid = |program: &mut Command, why: &str| {
        let (status, text, said) = run(program);
        assert_eq!((status, text.lines().next()), (2, Some(NOTHING)), "{said}");
        assert!(said.contains(why), "{why}: {said}");
    };
    for (path, why) in [("no/such/folder", "name a folder"), (file!(), "name a folder")] {
        invalid(example("files").arg(path), why);
    }
    let mut program = example("files");
    invalid(program.arg("--state").args([&folder.path; 2]), "--state is PATH itself");
    assert_eq!(fs::read_dir(&folder.path).unwrap().count(), 1, "nothing was written there");
    // Another process has it.
    fs::create_dir(&folder.state).unwrap();
    let journal = folder.state.join("journal");
    let open = Journal::open(&journal, &scope(server.url())).unwrap();
    invalid(&mut folder.program(Some(server.url())), "in use by another process");
    invalid(folder.program(Some(server.url())).arg("--dry-run"), "in use by another process");
    drop(open);
    // It is that of another service.
    invalid(&mut folder.program(None), "belongs to http://127.0.0.1:");
    invalid(folder.program(None).arg("--dry-run"), "belongs to http://127.0.0.1:");
    assert_eq!(requests(&emulator), 0);

    ends(
        &mut folder.program(Some(server.url())),
        0,
        "seen 20, ok 20, failed 0, skipped 0, deleted 0",
    );
    // What the journal knows is gone.
    let sent = emulator.count("PUT item");
    emulator.reset();
    invalid(&mut folder.program(Some(server.url())), "move the journal away");
    assert_eq!((emulator.count("PUT item"), sent), (0, 20));
    let whole = fs::read(&journal).unwrap();
    fs::write(&journal, &whole[..whole.len() / 2]).unwrap();
    invalid(&mut folder.program(Some(server.url())), "is damaged");
    assert_eq!(fs::read(&journal).unwrap(), whole[..whole.len() / 2], "it was left alone");
    fs::write(&journal, "Dear diary").unwrap();
    invalid(&mut folder.program(Some(server.url())), "not a journal");
    fs::remove_file(&journal).unwrap();

    emulator.script("PATCH schema: 403").unwrap();
    let (status, _, said) = run(&mut folder.program(Some(server.url())));
    assert_eq!(status, 4, "{said}");
    emulator.clear_faults();
    emulator.script("PATCH schema: 409").unwrap();
    invalid(&mut folder.program(Some(server.url())), "409");
}

#[cfg(unix)]
#[test]
fn interrupted_it_saves_its_state_and_the_command_that_it_prints_goes_on() {
    let folder = Folder::new();
    for number in 0..1000 {
        folder.write(&format!("{number}.md"), "x");
    }
    let mut program = folder.program(None);
    program.arg("--throttle").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child =
        interrupt_when(program, |line| line.starts_with("files: ") && line.contains(" of 1000"));
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(130), "{text}");
    let count = |name: &str| -> u64 {
        let rest = text.split_once(name).unwrap().1;
        rest[..rest.find(',').unwrap()].parse().unwrap()
    };
    let (seen, ok, skipped) = (count("seen "), count(" ok "), count(" skipped "));
    assert!(ok > 0 && seen < 1000 && seen == ok + skipped, "{text}");
    assert!(!folder.state.join("emulator.running").exists());

    let command = text.lines().last().unwrap().strip_prefix("to resume: ").unwrap();
    let (text, said) = ends(
        Command::new("sh").arg("-c").arg(command.replace("--throttle", "")).env_remove("CARGO"),
        0,
        &format!("seen 1000, ok {}, failed 0, skipped {ok}, deleted 0", 1000 - ok),
    );
    assert!(!said.contains("anew"), "{text}{said}");
    let emulator = Emulator::default();
    emulator.restore(&fs::read(folder.state.join("emulator.json")).unwrap()).unwrap();
    let items = items(&emulator);
    assert_eq!(items.len(), 1000);
    assert!(items.values().all(|item| item.activities.len() == 1));
}

#[cfg(unix)]
#[test]
fn interrupted_while_it_waits_for_the_schema_it_ends_at_once() {
    let (folder, (emulator, server)) = (twenty(), service());
    emulator.script("GET operation: pass latency=50").unwrap();
    let mut program = folder.program(Some(server.url()));
    program.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = interrupt_when(program, |line| line.contains("waiting for answers"));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(String::from_utf8(output.stdout).unwrap().starts_with(NOTHING));
    assert_eq!(emulator.count("PUT item"), 0);
    emulator.clear_faults();
    ends(
        &mut folder.program(Some(server.url())),
        0,
        "seen 20, ok 20, failed 0, skipped 0, deleted 0",
    );
}

/// Sends it a Ctrl-C when it has said something.
#[cfg(unix)]
fn interrupt_when(mut program: Command, said: impl Fn(&str) -> bool) -> std::process::Child {
    let mut child = program.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| said(&line.unwrap())), "it never said it");
    interrupt(&child);
    // It may go on talking.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

/// Sends it a Ctrl-C.
#[cfg(unix)]
fn interrupt(child: &std::process::Child) {
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
}

#[cfg(unix)]
#[test]
fn an_interrupted_dry_run_does_not_say_what_would_be_deleted() {
    let (folder, (_, server)) = (Folder::new(), service());
    folder.write("a", "x");
    ends(
        &mut folder.program(Some(server.url())),
        0,
        "seen 1, ok 1, failed 0, skipped 0, deleted 0",
    );
    fs::remove_file(folder.path.join("a")).unwrap();
    // As much to read as takes some seconds, and takes no place.
    for number in 0..500 {
        File::create(folder.path.join(number.to_string())).unwrap().set_len(1 << 22).unwrap();
    }
    let mut program = folder.program(Some(server.url()));
    program.arg("--dry-run").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = interrupt_when(program, |line| line.starts_with("listing: "));
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(!text.contains("would be deleted") && !text.contains("no longer has"), "{text}");
    assert!(text.contains("\ninterrupted: the folder was not seen whole\n"), "{text}");
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_stored() {
    use std::os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    };

    let (folder, (emulator, server)) = (twenty(), service());
    let odd = std::ffi::OsStr::from_bytes(b"no\xffname");
    fs::write(folder.path.join(odd), "x").unwrap();
    let (_, said) = ends(
        folder.program(Some(server.url())).arg("--dry-run"),
        3,
        "seen 21, ok 20, failed 1, skipped 0, deleted 0",
    );
    assert!(said.contains("files: \"no\\xFFname\": has a name that is no Unicode"), "{said}");
    ends(
        &mut folder.program(Some(server.url())),
        3,
        "seen 21, ok 20, failed 1, skipped 0, deleted 0",
    );
    let letters = folder.letters();
    assert_eq!(letters[0].key.as_deref(), Some(r#""no\xFFname""#));
    assert_eq!(letters[0].place.as_deref(), Some(r#""no\xFFname""#));
    assert_eq!(letters[0].rule.as_deref(), Some("source"));
    let (_, said) = ends(
        folder
            .program(Some(server.url()))
            .arg("--replay")
            .arg(folder.state.join("dead-letters.ndjson")),
        0,
        "seen 0, ok 0, failed 0, skipped 0, deleted 0",
    );
    assert!(said.contains("left out: 1 letters with nothing to send"), "{said}");
    fs::remove_file(folder.path.join(odd)).unwrap();

    // Root reads everything, so somebody else has to try.
    folder.write("secret", "x");
    let secret = folder.path.join("secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o0)).unwrap();
    let is_root = fs::read(&secret).is_ok();
    let program = || {
        let mut program = folder.program(Some(server.url()));
        if is_root {
            program.uid(65534).gid(65534);
        }
        program
    };
    if is_root {
        let both = folder.path.parent().unwrap();
        fs::set_permissions(both, fs::Permissions::from_mode(0o755)).unwrap();
        chown(&folder.state, Some(65534), Some(65534)).unwrap();
        for kept in fs::read_dir(&folder.state).unwrap() {
            chown(kept.unwrap().path(), Some(65534), Some(65534)).unwrap();
        }
        if program().arg("--help").output().is_err() {
            eprintln!("nobody but root can run the program; the rest is left out");
            return;
        }
    }
    // The file with the odd name is no longer there, and never was stored.
    ends(&mut program(), 3, "seen 21, ok 0, failed 1, skipped 20, deleted 0");
    let letter = folder.letters().pop().unwrap();
    assert_eq!((letter.key.as_deref(), letter.place.as_deref()), (Some("secret"), Some("secret")));
    assert_eq!(
        letter.cause,
        "secret: cannot be read: Permission denied (os error 13); check its rights, or name it in \
         a .gitignore [source]"
    );

    // What is in a folder that cannot be listed is not said to have vanished.
    fs::set_permissions(folder.path.join("notes"), fs::Permissions::from_mode(0o0)).unwrap();
    let (text, _) = ends(
        program().args(["--most-deleted", "100"]),
        3,
        "seen 2, ok 0, failed 2, skipped 0, deleted 0",
    );
    assert!(text.contains("the source was not seen whole, so nothing was deleted"), "{text}");
    assert_eq!(items(&emulator).len(), 20);
    let letters = folder.letters();
    let letter = letters.iter().find(|letter| letter.key.is_none()).unwrap();
    assert_eq!(
        letter.cause,
        "notes: cannot be listed: Permission denied (os error 13); check its rights, or name it in \
         a .gitignore [source]"
    );
    fs::set_permissions(folder.path.join("notes"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn files_with_any_name_are_all_stored_and_found_again_by_it() {
    let (folder, (emulator, server)) = (Folder::new(), service());
    let long = "l".repeat(129);
    let keys = ["a/b", "a-b", "a b", "50%", "🦀", "x--eYS9i", "ä", "a\u{308}", &long];
    for key in keys {
        folder.write(key, key);
    }
    let count = keys.len();
    ends(
        &mut folder.program(Some(server.url())),
        0,
        &format!("seen {count}, ok {count}, failed 0, skipped 0, deleted 0"),
    );
    let items = items(&emulator);
    assert_eq!(items.len(), count);
    let journal = Journal::open(folder.state.join("journal"), &scope(server.url())).unwrap();
    for key in keys {
        let record = journal.record(key).unwrap().unwrap();
        assert_eq!((record.state, &record.id), (State::Stored, &ItemId::from_key(key)));
        let item = &items[key];
        assert_eq!(item.content.as_ref().unwrap().value, key);
        let id = ItemId::existing(&item.id).unwrap();
        assert_eq!(id, record.id);
        if key != long {
            assert_eq!(id.key().as_deref(), Some(key));
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_command_that_it_prints_goes_on_whatever_the_folder_is_called() {
    use std::os::unix::ffi::OsStrExt as _;

    let both = tempfile::tempdir().unwrap();
    for name in [&b"it's 50%"[..], b"no\xff%s\\n'name", "größer".as_bytes()] {
        let folder = both.path().join(std::ffi::OsStr::from_bytes(name));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a"), "x").unwrap();
        let mut program = example("files");
        let program = program.arg("--state").arg(folder.join("state")).arg(folder);
        let (text, _) = ends(program, 0, "seen 1, ok 1, failed 0, skipped 0, deleted 0");
        let command = text.lines().last().unwrap().strip_prefix("to resume: ").unwrap();
        let mut resumed = Command::new("sh");
        let resumed = resumed.arg("-c").arg(command).env_remove("CARGO");
        ends(resumed, 0, "seen 1, ok 0, failed 0, skipped 1, deleted 0");
    }
}

#[test]
fn the_command_line_is_explained_and_mistakes_are_told() {
    for help in ["--help", "-h"] {
        let (status, text, errors) = outcome(example("files").arg(help));
        assert_eq!((status, &*errors), (Some(0), ""));
        for part in [
            "--dry-run",
            "--most-deleted PERCENT",
            "--replay FILE",
            "--state DIR",
            "--service URL",
            "--throttle",
            "Exit status: 0 all stored",
            "130 interrupted",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }
    for (arguments, named) in [
        (&["--no-such"][..], "--no-such"),
        (&["a", "b"], "PATH is there more than once"),
        (&["--most-deleted", "101"], "not 0 to 100 percent"),
        (&["--most-deleted", "few"], "not 0 to 100 percent"),
        (&["--service", "https://graph.microsoft.com"], "GRAPHFEED_TENANT"),
        (&["--service", "http://graph.example"], "an emulator on this machine"),
        (&["--service", "http://127.0.0.1:9", "--throttle"], "--throttle is for the emulator"),
        (&["--dry-run", "--replay", "x"], "--replay"),
        (&[""], "PATH is empty"),
        (&["--state", ""], "--state is empty"),
    ] {
        let (status, text, errors) = outcome(example("files").args(arguments));
        assert_eq!((status, &*text), (Some(2), ""));
        assert!(errors.contains(named) && errors.contains("--help"), "{errors}");
    }
}
