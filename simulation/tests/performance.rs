//! The page of figures names every bench that there is, and no other.

use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../docs/performance.md");
const MANIFESTS: [(&str, &str); 3] = [
    ("graphfeed-crawl", include_str!("../../crawl/Cargo.toml")),
    ("graphfeed-emulator", include_str!("../../emulator/Cargo.toml")),
    ("graphfeed-simulation", include_str!("../Cargo.toml")),
];

#[test]
fn each_bench_is_on_the_page_with_its_command() {
    let there: BTreeSet<String> = MANIFESTS
        .iter()
        .flat_map(|(package, manifest)| {
            let benches = manifest.split("[[bench]]\nname = \"").skip(1);
            benches.map(move |rest| {
                let name = rest.split('"').next().unwrap_or_default();
                format!("cargo bench -p {package} --bench {name}")
            })
        })
        .collect();
    let on_page: BTreeSet<String> = PAGE
        .split('`')
        .filter(|text| text.starts_with("cargo bench -p "))
        .map(str::to_owned)
        .collect();
    assert_eq!(on_page, there);
    assert_eq!(there.len(), 10);
}
