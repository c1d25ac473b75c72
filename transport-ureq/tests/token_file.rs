//! What a file with another platform's token is read as.

use std::{fs, path::Path};

use graphfeed_core::{machine::identity::AssertionNeed, protocol::TokenError, types::Secret};
use graphfeed_ureq::token_file;

const MOST: usize = 64 * 1024;

fn token(name: &str, text: &[u8]) -> Result<Secret, TokenError> {
    // Tests of other packages have the folder, too.
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("token-file-{name}"));
    fs::write(&path, text).unwrap();
    token_file(path)(&AssertionNeed::new("audience", "app-id"))
}

#[test]
fn a_token_is_read_without_the_spaces_around_it() {
    let read = token("spaces", b" head.body.signature\n").unwrap();
    assert_eq!(read.reveal(), "head.body.signature");
    let most = "x".repeat(MOST);
    assert_eq!(token("most", most.as_bytes()).unwrap().reveal(), most);
}

#[test]
fn a_file_that_is_no_token_is_an_error_that_names_it() {
    let long = "x".repeat(MOST + 1);
    for (name, bad, why) in
        [("long", long.as_bytes(), "more than 65536 bytes"), ("binary", b"\xff", "UTF-8")]
    {
        let error = token(name, bad).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains(name), "{error}");
    }
    let none = token_file("/no/such/file")(&AssertionNeed::new("audience", "app-id"));
    assert!(none.unwrap_err().to_string().contains("/no/such/file"));
}
