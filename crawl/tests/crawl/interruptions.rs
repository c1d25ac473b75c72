//! Runs that are stopped, and runs that cannot write down what they do.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use graphfeed_core::{
    external::{PropertyType, Schema, SchemaProperty},
    machine::Ending,
};
use graphfeed_crawl::{CrawlNews, Entry, Journal, State, Sweep};

use crate::world::{World, numbered, page, pages, refused, titled, viewed_page};

#[test]
fn a_run_that_is_stopped_counts_all_and_the_next_one_does_the_rest() {
    for at in [1, 7, 30] {
        let world = &mut World::new();
        world.settings.ingest.in_flight = 3;
        world.settings.ingest.queue = 4;
        let source = || (0..20).map(|key| viewed_page(&format!("page {key}"), 1..26)).collect();
        let mut done = 0;
        let report = world.try_run(source(), |news, stop| {
            if let CrawlNews::Done(..) = news {
                done += 1;
                if done == at {
                    stop.stop();
                }
            }
        });
        let report = report.unwrap();
        assert_eq!((report.ending, &report.sweep), (Ending::Stopped, &Sweep::NotComplete));
        assert!(report.seen < 20 && report.ok < 20, "{report:?}");
        assert_eq!((report.failed, world.letters().len()), (0, 0));
        let (puts, adds) = (world.puts(), world.adds());
        assert!(puts < 20);

        let report = world.run(source());
        assert_eq!((report.seen, report.failed, world.letters().len()), (20, 0, 0));
        assert_eq!(world.puts(), 20, "{at}: none is sent again of {puts}");
        assert!(adds < 40 && world.adds() == 40, "{adds} {}", world.adds());
        for key in 0..20 {
            let mut viewers = world.viewers(&format!("page {key}"));
            viewers.sort_unstable();
            assert_eq!(viewers, (1..26).collect::<Vec<_>>());
        }
    }
}

#[test]
fn what_was_told_to_come_back_later_is_no_failure_of_a_run_that_is_stopped_before() {
    for (method, puts) in [("PUT", 2), ("POST", 1)] {
        let world = World::new();
        world.fault(method, "page", "429 retry-after=3600 times=1");
        let crawl = world.crawl();
        let client = world.client();
        let run = crawl.over(&client).progress_every(Duration::from_millis(1));
        let stop = run.stop_handle();
        let report = run.run([viewed_page("page", [1])], |_| {
            // From then on it waits for an hour.
            if world.emulator.faults()[0].1 == 1 {
                stop.stop();
            }
        });
        let report = report.unwrap();
        assert_eq!((report.seen, report.skipped, report.failed), (1, 1, 0), "{method}");
        assert_eq!((report.ending, world.letters().len()), (Ending::Stopped, 0));
        drop(crawl);
        let report = world.run(vec![viewed_page("page", [1])]);
        assert_eq!((report.seen, report.ok, world.viewers("page")), (1, 1, vec![1]));
        assert_eq!(world.puts(), puts);
    }
}

#[test]
fn a_run_that_is_stopped_before_it_begins_does_nothing() {
    let world = World::new();
    let (crawl, client) = (world.crawl(), world.client());
    let run = crawl.over(&client);
    run.stop_handle().stop();
    let report = run.run(numbered(0..3), |_| {}).unwrap();
    assert_eq!((report.ok, report.ending), (0, Ending::Stopped));
    assert_eq!((report.seen, world.puts()), (report.skipped, 0));
}

#[test]
fn what_was_about_to_be_changed_when_a_run_died_is_not_taken_for_what_it_was() {
    let world = World::new();
    let source = || vec![page("changed"), page("deleted"), page("neither")];
    world.run(source());
    world.die_with(titled("changed", "new"));
    world.die_with(Entry::gone("deleted"));
    assert_eq!((world.titles().len(), world.titles()["changed"].as_str()), (2, "new"));
    // The source has again what it had.
    let report = world.run(source());
    assert_eq!((report.ok, report.unchanged), (2, 1));
    assert_eq!((world.titles().len(), world.titles()["changed"].as_str()), (3, "changed"));
    assert_eq!(world.run(source()).unchanged, 3);
}

#[test]
fn what_was_put_for_the_first_time_when_a_run_died_is_deleted_when_the_source_no_longer_has_it() {
    for says_so in [true, false] {
        let world = &mut World::new();
        world.settings.most_swept = 1.0;
        world.run(pages(["stays"]));
        world.die_with(page("new"));
        assert_eq!((world.titles().len(), world.state("new")), (2, Some(State::Uncertain)));
        let gone = says_so.then(|| Entry::gone("new"));
        let report = world.run(gone.into_iter().chain(pages(["stays"])).collect());
        assert_eq!((report.failed, report.deleted, world.state("new")), (0, 1, None));
        assert_eq!(world.titles().into_keys().collect::<Vec<_>>(), ["stays"]);
    }
}

#[test]
fn what_was_put_for_the_first_time_when_a_run_died_and_is_refused_since_is_deleted_when_it_is_gone()
{
    let number = Schema::new([SchemaProperty::new("number", PropertyType::Int64)]).unwrap();
    // Whether it is its schema that an item no longer fits, or the source makes none of it.
    for schema in [Some(number), None] {
        let world = &mut World::new();
        world.settings.most_swept = 1.0;
        world.die_with(page("new"));
        world.settings.schema = schema.clone();
        let again = if schema.is_some() { page("new") } else { refused("new") };
        assert_eq!(world.run(vec![again]).failed, 1);
        assert_eq!((world.titles().len(), world.state("new")), (1, Some(State::Uncertain)));
        assert_eq!((world.run(Vec::new()).deleted, world.titles().len()), (1, 0));
    }
}

#[test]
fn a_run_that_dies_at_any_step_of_a_key_that_comes_and_goes_leaves_nothing_for_ever() {
    let gone = || Entry::gone("a");
    for source in [
        vec![page("a"), gone()],
        vec![page("a"), gone(), titled("a", "new")],
        vec![page("a"), titled("a", "new")],
        vec![gone(), titled("a", "new"), gone(), page("a")],
    ] {
        for is_known in [true, false] {
            // Each call arrives and is heard.
            for dies_after in 1..2 * source.len() {
                for back in [vec![page("a")], Vec::new()] {
                    let world = &mut World::new();
                    world.settings.most_swept = 1.0;
                    world.run(if is_known { vec![page("a")] } else { Vec::new() });
                    let mut left = dies_after;
                    world.by_hand(source.clone(), |_, _| {
                        left -= 1;
                        left > 0
                    });
                    let wanted = back.iter().map(|_| ("a".to_owned(), "a".to_owned())).collect();
                    world.run(back);
                    assert_eq!(world.titles(), wanted, "{dies_after} of {source:?}");
                }
            }
        }
    }
}

#[test]
fn what_was_not_put_after_all_is_not_on_record() {
    let mut world = World::new();
    world.settings.ingest.in_flight = 1;
    world.settings.ingest.failures_in_a_row = Some(1);
    world.fault("PUT", "page 1", "400 times=1");
    let report = world.by_hand(numbered(0..5), |_, _| true).unwrap();
    assert_eq!((report.ok, report.failed, report.skipped), (1, 1, 3));
    let states = (0..5).map(|number| world.state(&format!("page {number}")));
    let (stored, failed) = (Some(State::Stored), Some(State::Failed));
    assert_eq!(states.collect::<Vec<_>>(), [stored, failed, None, None, None]);
    // What was refused never was there, and is forgotten.
    world.settings.most_swept = 0.0;
    assert_eq!(world.run(numbered(0..1)).sweep, Sweep::Done);
    assert_eq!((world.state("page 1"), world.deletes()), (None, 0));
}

#[test]
fn many_new_items_are_on_record_before_they_go_out() {
    let world = World::new();
    let crawl = world.crawl();
    let pass = crawl.begin().unwrap();
    for (job, call) in pass.offers(numbered(0..3)) {
        assert!(call.is_ok());
        assert_eq!(crawl.journal().due(), None, "{} is on disk", job.key());
        let known = crawl.journal().record(job.key()).unwrap().unwrap();
        assert_eq!((known.state, known.hash), (State::Uncertain, None));
    }
}

#[test]
fn what_a_source_has_at_hand_goes_out_though_it_does_not_go_on_before_that_is_heard() {
    let world = World::new();
    let (tell, told) = mpsc::channel();
    let mut waits = false;
    let source = (0..3).map(move |number| {
        // Of the one before.
        if mem::replace(&mut waits, true) {
            told.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        page(&format!("page {number}"))
    });
    let report = world.try_run_over(&world.client(), source, |news, _| {
        if let CrawlNews::Done(..) = news {
            // Of the last one nobody wants to know.
            let _ = tell.send(());
        }
    });
    assert_eq!((report.unwrap().ok, world.titles().len()), (3, 3));
}

#[test]
fn a_source_is_not_asked_again_when_the_run_was_stopped_and_what_was_not_read_is_not_deleted() {
    let world = &mut World::new();
    world.settings.most_swept = 1.0;
    world.run(numbered(0..4));
    let (tell, told) = mpsc::channel();
    let read = &AtomicU64::new(0);
    let source = (0..4).map(move |number: u64| {
        read.store(number, Ordering::SeqCst);
        // It comes late.
        if number == 1 {
            told.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        titled(&format!("page {number}"), "new")
    });
    let report = world.try_run_over(&world.client(), source, |news, stop| {
        if let CrawlNews::Done(..) = news {
            stop.stop();
            let _ = tell.send(());
        }
    });
    let report = report.unwrap();
    assert_eq!((report.ending, report.sweep), (Ending::Stopped, Sweep::NotComplete));
    assert_eq!((read.load(Ordering::SeqCst), world.deletes(), world.titles().len()), (1, 0, 4));
}

#[test]
fn a_source_that_panics_ends_the_run_and_nothing_is_deleted() {
    let world = &mut World::new();
    world.settings.most_swept = 1.0;
    world.run(pages(["a", "b"]));
    let source = (0..2).map(|number| match number {
        0 => page("c"),
        _ => panic!("no more"),
    });
    let run = AssertUnwindSafe(|| world.try_run_over(&world.client(), source, |_, _| {}));
    let panic = catch_unwind(run).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"no more"));
    assert_eq!((world.deletes(), world.run(pages(["a", "b"])).unchanged), (0, 2));
}

#[test]
fn a_source_is_read_no_further_than_there_is_room() {
    let world = &mut World::new();
    world.settings.ingest.queue = 10;
    let read = AtomicU64::new(0);
    let endless = (0..).map(|number: u64| {
        read.store(number, Ordering::SeqCst);
        page(&format!("page {number}"))
    });
    let report = world.try_run_over(&world.client(), endless, |news, stop| {
        if let CrawlNews::Done("page 20", _) = news {
            stop.stop();
        }
    });
    assert!(report.unwrap().seen <= 20 + 25 + 10, "{read:?}");
}

#[test]
fn a_key_that_no_journal_takes_fails_by_itself() {
    let world = World::new();
    let long = "k".repeat(Journal::LONGEST_KEY + 1);
    let source = || {
        let mut source = numbered(0..3);
        source.insert(1, viewed_page(&long, [1]));
        source.insert(2, Entry::gone(&long));
        source
    };
    let report = world.run(source());
    assert_eq!((report.seen, report.ok, report.failed, report.skipped), (5, 3, 1, 1));
    assert_eq!((world.titles().len(), world.letters().len()), (3, 1));
    assert_eq!(world.letters()[0].key.as_deref(), Some(&*long));
    assert_eq!((report.ending, report.sweep), (Ending::Complete, Sweep::Done));
    assert_eq!(world.check(source()).0.failed, 1);
}

/// A process of its own, which cannot make a file longer than so many blocks of 512 bytes.
#[cfg(target_os = "linux")]
mod without_space {
    use std::{
        env, fs,
        path::Path,
        process::{Command, Output},
    };

    use graphfeed_core::{
        client::StopHandle,
        machine::Ending,
        types::{Fault, Rule},
    };
    use graphfeed_crawl::{CrawlError, CrawlNews, Entry, JournalErrorKind, State, Sweep};

    use crate::world::{World, page, refused};

    const FOLDER: &str = "GRAPHFEED_TEST_FOLDER";

    fn again(test: &str, folder: &Path, blocks: u64) -> Output {
        let script = format!("ulimit -f {blocks}; trap '' XFSZ; exec \"$0\" \"$@\"");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).arg(env::current_exe().unwrap());
        let test = format!("interruptions::without_space::{test}");
        shell.args(["--exact", &test, "--nocapture"]).env(FOLDER, folder).output().unwrap()
    }

    fn blocks(file: &Path) -> u64 {
        fs::metadata(file).unwrap().len() / 512
    }

    fn well(output: &Output) {
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stdout));
    }

    #[test]
    fn letters_that_cannot_be_written_end_the_run_and_nothing_that_failed_counts_as_done() {
        let Some(folder) = env::var_os(FOLDER) else {
            let world = World::new();
            drop(world.crawl());
            // The journal stays as long as it is; letters of a megabyte do not fit.
            let output = again(
                "letters_that_cannot_be_written_end_the_run_and_nothing_that_failed_counts_as_done",
                world.folder.path(),
                blocks(&world.journal_path()),
            );
            well(&output);
            let report = world.run(vec![page("a"), page("b")]);
            return assert_eq!((report.failed, report.ok + report.unchanged), (0, 2));
        };
        let world = World::within(folder.as_ref());
        let long = Fault::new(Rule::AclRequired, "$.acl", "x".repeat(8_000_000)).into();
        let source = vec![page("a"), Entry::refused("b", long), refused("c")];
        let mut told = None;
        let hears = |news: CrawlNews<'_>, _: &StopHandle| {
            if let CrawlNews::BrokenOff(so_far) = news {
                told = Some(so_far);
            }
        };
        match world.try_run(source, hears) {
            Err(CrawlError::DeadLetters(_)) => {}
            other => panic!("{other:?}"),
        }
        // What was counted is not lost with it, and comes to as much as was seen.
        let told = told.unwrap();
        assert!(told.seen > 0, "{told:?}");
        assert_eq!(told.seen, told.ok + told.failed + told.skipped, "{told:?}");
        assert_eq!((told.ending, told.sweep), (Ending::Stopped, Sweep::NotComplete));
        assert_ne!(world.state("b"), Some(State::Failed));
    }

    #[test]
    fn a_journal_that_cannot_be_written_ends_the_run() {
        let Some(folder) = env::var_os(FOLDER) else {
            let world = World::new();
            drop(world.crawl());
            let output = again(
                "a_journal_that_cannot_be_written_ends_the_run",
                world.folder.path(),
                blocks(&world.journal_path()),
            );
            well(&output);
            let report = world.run(many());
            return assert_eq!((report.seen, report.ok + report.unchanged), (150, 150));
        };
        let world = World::within(folder.as_ref());
        let mut told = None;
        let error = world.try_run(many(), |news, _| {
            if let CrawlNews::BrokenOff(so_far) = news {
                told = Some(so_far);
            }
        });
        let error = error.unwrap_err();
        let CrawlError::Journal(error) = &error else { panic!("{error:?}") };
        // The first error, which says why, and not the ones that follow from it.
        assert!(matches!(error.kind, JournalErrorKind::Io(_)), "{error:?}");
        let told = told.unwrap();
        assert!(told.skipped > 0, "{told:?}");
        assert_eq!(told.seen, told.ok + told.failed + told.skipped, "{told:?}");
        assert_eq!((told.ending, told.sweep), (Ending::Stopped, Sweep::NotComplete));
        // Not much more was sent than was on record.
        assert!(world.puts() < 150, "{}", world.puts());
    }

    /// With keys that a journal needs space for.
    fn many() -> Vec<Entry> {
        (0..150).map(|number| page(&format!("{number} {}", "k".repeat(20_000)))).collect()
    }
}
