//! The README's table of operations says what the code says, and so does the guide for
//! contributors. That the emulator has them, too, is tested there. The README of a package can be
//! read without the repository.

use graphfeed_core::{
    ROUTES,
    protocol::{Batch, Cloud, Permission, Route, Version},
};

fn row(route: &Route) -> String {
    let least = |permission: Option<Permission>| match permission.map(|it| it.least) {
        // Every operation here has them.
        None if *route == Batch::<()>::ROUTE => "its parts'".to_owned(),
        None => panic!("{} needs no permission", route.name),
        Some([]) => "–".to_owned(),
        Some(least) => {
            least.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
        }
    };
    let permissions = route.permissions;
    let versions: Vec<_> = route.versions.iter().map(|version| version.as_str()).collect();
    let clouds: Vec<_> = route.clouds.iter().map(|cloud| cloud.name()).collect();
    format!(
        "| {} | `{} {}` | yes | yes | {} | {} | {} | {} | {} |",
        route.name,
        route.method(),
        route.path,
        if versions.len() == Version::ALL.len() { "both".to_owned() } else { versions.join(", ") },
        if clouds.len() == Cloud::ALL.len() { "all".to_owned() } else { clouds.join(", ") },
        least(permissions.map(|it| it.delegated_work)),
        least(permissions.map(|it| it.delegated_personal)),
        least(permissions.map(|it| it.application)),
    )
}

#[test]
fn the_table_of_operations_is_that_of_the_code() {
    let readme = include_str!("../../README.md");
    let expected: Vec<_> = ROUTES.iter().map(row).collect();
    let found: Vec<_> = readme
        .lines()
        .skip_while(|line| !line.starts_with("| operation |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(found, expected, "the table should be:\n{}\n", expected.join("\n"));
}

#[test]
fn the_operation_in_the_guide_for_contributors_is_that_of_the_code() {
    let guide = include_str!("../../CONTRIBUTING.md");
    let (_, rest) = guide.split_once("```rust\n").expect("an example");
    let (example, _) = rest.split_once("```\n").expect("its end");
    assert!(example.starts_with("impl Endpoint for "), "{example}");
    assert!(include_str!("../src/external/connection/quota.rs").contains(example), "{example}");
}

#[test]
fn what_is_published_has_a_readme_that_links_to_nothing_beside_it() {
    macro_rules! packages {
        ($($folder:literal),*) => {
            [$((
                $folder,
                include_str!(concat!("../../", $folder, "/Cargo.toml")),
                include_str!(concat!("../../", $folder, "/README.md")),
            )),*]
        };
    }
    for (folder, manifest, readme) in
        packages!["core", "transport-ureq", "transport-hyper", "crawl", "emulator"]
    {
        assert!(manifest.contains("\nreadme = \"README.md\"\n"), "{folder}");
        let links: Vec<&str> = readme.split("](").skip(1).collect();
        assert!(!links.is_empty(), "{folder}");
        for link in links {
            assert!(link.starts_with("https://") || link.starts_with('#'), "{folder}: {link:.60}");
        }
    }
}
