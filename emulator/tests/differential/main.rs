//! The same text before the core and before the emulator, which have never seen each other's code.
//!
//! What the core reads, or builds, it would send, and the emulator has then what was meant. What
//! one refuses, the other refuses at the same place and by the same rule of `docs/rules.md`, but
//! for what only one of them can know, which is listed there and here.

mod batches;
mod built;
mod dates;
mod items;
mod meant;
mod schemas;
#[path = "../support/mod.rs"]
mod support;
mod text;
mod updates;
mod verdict;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
};

use graphfeed_core::{
    external::Schema,
    protocol::{Cloud, ServiceRoot, Version},
};
use graphfeed_emulator::{Behaviour, Verdict};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use support::Bench;
use text::Dice;
use verdict::{Case, Exception, Only, met, unexplained};

/// What can be asked of the emulator, it is asked.
fn strict(behaviour: &mut Behaviour) {
    behaviour.annotation_order = Verdict::Refuse;
    behaviour.server_owned = Verdict::Refuse;
}

/// Where items are judged.
struct World {
    bench: Bench,
    schema: Schema,
}

impl World {
    fn new() -> Self {
        Self { bench: Bench::ready_with(strict), schema: items::schema() }
    }

    fn item(&self, root: &ServiceRoot, text: String) -> Case {
        items::item_case(&self.bench, &self.schema, root, text)
    }

    fn activities(&self, root: &ServiceRoot, text: String) -> Case {
        items::activities_case(&self.bench, root, text)
    }

    fn update(&self, root: &ServiceRoot, text: String) -> Case {
        items::update_case(&self.bench, &self.schema, root, text)
    }
}

fn root(version: Version) -> ServiceRoot {
    ServiceRoot::new(Cloud::Global, version)
}

fn choices() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(any::<u32>(), 0..400)
}

/// Has at least so many cases tried, in both versions.
fn try_all(cases: u32, case: impl Fn(&ServiceRoot, &Dice<'_>) -> Result<(), TestCaseError>) {
    let usual = ProptestConfig::default();
    // A failing case is printed; a file of them would be found by nobody.
    let config =
        ProptestConfig { cases: usual.cases.max(cases), failure_persistence: None, ..usual };
    let tried = TestRunner::new(config).run(&(choices(), any::<bool>()), |(choices, is_beta)| {
        let version = if is_beta { Version::Beta } else { Version::V1 };
        case(&root(version), &Dice::new(&choices))
    });
    if let Err(why) = tried {
        panic!("{why}");
    }
}

/// Has a thousand cases judged twice, in both versions.
fn agree(exceptions: &[Exception], judge: impl Fn(&ServiceRoot, &Dice<'_>) -> Case) {
    try_all(1_000, |root, dice| {
        let (case, version) = (judge(root, dice), root.version().as_str());
        prop_assert_eq!(&case.wrong, &None, "{} {}", version, case.text);
        let unexplained = unexplained(&case, exceptions);
        prop_assert!(
            unexplained.is_empty(),
            "{unexplained:?}\n{version} {}\ncore {:?}\nemulator {:?}",
            case.text,
            case.core,
            case.emulator
        );
        Ok(())
    });
}

#[test]
fn an_item_is_judged_alike() {
    let world = World::new();
    agree(items::EXCEPTIONS, |root, dice| world.item(root, items::text(dice)));
}

#[test]
fn activities_of_an_item_are_judged_alike() {
    let world = World::new();
    agree(items::EXCEPTIONS, |root, dice| world.activities(root, items::activities_text(dice)));
}

#[test]
fn a_word_of_another_enumeration_is_as_new_as_any() {
    let world = World::new();
    for word in ["shared", "user", "null"] {
        let activities = include_str!("../../../core/tests/golden/add-activities.request.json");
        let text = activities.replace(r#""created""#, &format!("{word:?}"));
        assert_ne!(text, activities);
        let case = world.activities(&root(Version::V1), text);
        assert_eq!(case.wrong, None);
        assert_eq!(unexplained(&case, items::EXCEPTIONS), [], "{case:?}");
    }
}

#[test]
fn an_update_of_an_item_is_judged_alike() {
    let world = World::new();
    // Beta has none, and looks no further.
    let beta = world.update(&root(Version::Beta), r#"{"content":null}"#.to_owned());
    for faults in [&beta.core, &beta.emulator] {
        assert!(faults.iter().map(|(rule, _)| &**rule).eq(["version"]), "{beta:?}");
    }
    let v1 = root(Version::V1);
    agree(items::EXCEPTIONS, |_, dice| world.update(&v1, items::update_text(dice)));
}

#[test]
fn a_wounded_document_is_judged_alike() {
    // The schema here has another text in the place of the assignee.
    let item = include_str!("../../../core/tests/golden/put-item.request.json");
    let item = item.replace("assignee", "url");
    let activities = include_str!("../../../core/tests/golden/add-activities.request.json");
    let world = World::new();
    assert_eq!(world.item(&root(Version::V1), item.clone()).core, Default::default());
    agree(items::EXCEPTIONS, |root, dice| match dice.below(2) {
        0 => world.item(root, text::wound(&item, dice)),
        _ => world.activities(root, text::wound(activities, dice)),
    });
}

#[test]
fn a_schema_is_judged_alike() {
    agree(schemas::EXCEPTIONS, schemas::case);
}

#[test]
fn a_connection_is_judged_alike() {
    agree(built::EXCEPTIONS, built::connection);
}

#[test]
fn a_connector_ticket_is_judged_alike() {
    agree(built::EXCEPTIONS, built::connector);
}

#[test]
fn an_update_of_a_connection_is_judged_alike() {
    agree(built::EXCEPTIONS, built::connection_update);
}

#[test]
fn an_external_group_is_judged_alike() {
    agree(built::EXCEPTIONS, built::group);
}

#[test]
fn a_member_of_an_external_group_is_judged_alike() {
    agree(built::EXCEPTIONS, built::member);
}

#[test]
fn a_user_activity_is_judged_alike() {
    agree(built::EXCEPTIONS, built::activity);
}

#[test]
fn a_history_item_is_judged_alike() {
    agree(built::EXCEPTIONS, built::history_item);
}

#[test]
fn calls_in_a_batch_come_to_what_each_comes_to_alone() {
    try_all(100, |root, dice| {
        prop_assert_eq!(batches::together(root, dice), None);
        Ok(())
    });
}

#[test]
fn a_batch_that_anybody_wrote_is_refused_by_its_rules_or_answered_for_each_request_once() {
    let bench = Bench::ready_with(strict);
    let (accepted, refused) = (Cell::new(0), Cell::new(0));
    try_all(1_000, |root, dice| {
        let text = batches::text(dice);
        let (is_accepted, wrong) = batches::raw(&bench, root, &text);
        let count = if is_accepted { &accepted } else { &refused };
        count.set(count.get() + 1);
        prop_assert_eq!(wrong, None, "{}", text);
        Ok(())
    });
    assert!(accepted.get() > 100 && refused.get() > 100, "{accepted:?} {refused:?}");
}

#[test]
fn an_update_of_a_schema_does_what_the_plan_says() {
    let met = RefCell::new(BTreeSet::new());
    try_all(1_000, |root, dice| {
        let became = updates::update(root, dice).map_err(TestCaseError::fail)?;
        met.borrow_mut().insert(became);
        Ok(())
    });
    let met = met.into_inner();
    assert!(updates::ALL.iter().all(|became| met.contains(became)), "only {met:?}");
}

/// One exception, as it stands in the list.
fn listed(each: &Exception) -> [String; 4] {
    let only = match each.only {
        Only::Core => "only core",
        Only::Emulator => "only emulator",
    };
    [each.rule, each.what, only, each.example].map(str::to_owned)
}

#[test]
fn every_exception_is_met_and_stands_in_the_list_of_rules() {
    let world = World::new();
    let mut seen = BTreeSet::new();
    for each in items::EXCEPTIONS {
        let cases = [Version::V1, Version::Beta].map(|version| {
            let (root, text) = (root(version), each.example.to_owned());
            [
                world.item(&root, text.clone()),
                world.activities(&root, text.clone()),
                world.update(&root, text),
            ]
        });
        let is_met = cases.iter().flatten().any(|case| {
            met(case, items::EXCEPTIONS).into_iter().any(|met| std::ptr::eq(met, each))
        });
        assert!(is_met, "{} {}: {} {cases:?}", each.rule, each.what, each.example);
        seen.insert(listed(each));
    }
    type Judge = fn(&ServiceRoot, &Dice<'_>) -> Case;
    let built: [(&[Exception], &[Judge]); 2] = [
        (schemas::EXCEPTIONS, &[schemas::case]),
        (
            built::EXCEPTIONS,
            &[
                built::connection,
                built::connector,
                built::connection_update,
                built::group,
                built::member,
                built::activity,
                built::history_item,
            ],
        ),
    ];
    for (exceptions, judges) in built {
        let mut open: Vec<&Exception> = exceptions.iter().collect();
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
        let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
        for _ in 0..1_000 {
            if open.is_empty() {
                break;
            }
            let choices = choices().new_tree(&mut runner).expect("choices").current();
            for judge in judges {
                let case = judge(&root(Version::V1), &Dice::new(&choices));
                let met = met(&case, exceptions);
                open.retain(|each| {
                    let is_met = met.iter().any(|met| std::ptr::eq(*met, *each));
                    !(is_met && case.text.contains(each.example))
                });
            }
        }
        let open: Vec<_> = open.into_iter().map(listed).collect();
        assert!(open.is_empty(), "never met: {open:?}");
        seen.extend(exceptions.iter().map(listed));
    }
    assert!(updates::exception_is_met(&root(Version::V1)));
    seen.insert(listed(&updates::EXCEPTION));
    let list = include_str!("../../../docs/rules.md");
    let cells = list.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ");
        let rule = cells.next()?.trim_end_matches('`').to_owned();
        let (what, only) = (cells.next()?.to_owned(), cells.next()?.to_owned());
        let example = cells.next()?.trim_matches('`').to_owned();
        only.starts_with("only ").then_some([rule, what, only, example])
    });
    let listed: BTreeSet<_> = cells.collect();
    assert_eq!(seen, listed);
}
