//! Runs a program as its user does: for tests, which find it where cargo has built it.

use std::{
    env,
    path::Path,
    process::{Command, Output},
};

/// A program by its name. `cargo test` builds it beside the test that asks.
///
/// What whoever runs the test has set for it in the environment is taken out.
///
/// # Panics
/// It is not there.
pub fn example(name: &str) -> Command {
    let test = env::current_exe().expect("a test is a file");
    let folder = test.parent().and_then(Path::parent).expect("it is in deps");
    let program = folder.join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "{} is not there; run `cargo build --example {name}` first",
        program.display()
    );
    let mut command = Command::new(program);
    // The way to the emulator must not lead through a proxy.
    command.envs(["HTTP_PROXY", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:9")));
    // Whoever runs the tests may have set it for themselves.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("GRAPHFEED_") || text == "AZURE_FEDERATED_TOKEN_FILE" {
            command.env_remove(&name);
        }
    }
    // So that it names itself where it says how to go on.
    command.env_remove("CARGO");
    command
}

/// Status, stdout and stderr of a command.
///
/// # Panics
/// It does not start, or writes what is no text.
pub fn outcome(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("a text");
    (status.code(), text(stdout), text(stderr))
}
