//! The emulator reads the documents for itself: of the core it may use the transport traits only.

use std::{fs, path::Path};

#[test]
fn of_the_core_only_the_transport_traits_are_used() {
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 10);
    let mut uses = 0;
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        for (at, _) in text.match_indices("graphfeed_core") {
            let names = text[at..].strip_prefix("graphfeed_core::client::");
            let names = names.unwrap_or_else(|| panic!("{}", file.display()));
            let names = match names.strip_prefix('{') {
                Some(list) => list.split('}').next(),
                None => names.split(|c: char| !c.is_alphanumeric()).next(),
            };
            for name in names.unwrap_or_default().split(',').map(str::trim) {
                let allowed = ["Transport", "AsyncTransport", "SendOptions", "Failure", "Sent"]
                    .contains(&name);
                assert!(allowed, "{}: {name}", file.display());
            }
            uses += 1;
        }
    }
    assert!(uses > 0);
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
