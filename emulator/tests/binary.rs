//! The program: what it prints, what it takes, how it ends.

#[path = "support/raw.rs"]
mod raw;
mod support;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use graphfeed_emulator::Behaviour;
use raw::Raw;
use serde_json::Value;
use support::{ITEM, SCHEMA, USER, activities, activity, item, item_for, user_activity};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graphfeed-emulator"));
    command.args(arguments);
    command
}

fn output(arguments: &[&str]) -> Output {
    program(arguments).output().expect("a program")
}

/// The program at work; killed if the test does not end it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the program and reads the one line that it prints.
fn start(arguments: &[&str]) -> (Running, String) {
    let mut command = program(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running(command.spawn().expect("a program"));
    let mut line = String::new();
    let stdout = running.0.stdout.as_mut().expect("stdout");
    // The rest of the output is read by whoever ends the program.
    BufReader::with_capacity(1, stdout).read_line(&mut line).expect("a line");
    (running, line)
}

#[test]
fn it_prints_one_line_serves_and_reports_on_stderr_until_it_is_interrupted() {
    let began = Instant::now();
    let (mut running, line) = start(&["--listen", "127.0.0.1:0", "--set", "schema-delay=0"]);
    let ready = began.elapsed();
    let address = line.strip_prefix("listening on http://").expect(&line);
    let address = address.strip_suffix('\n').expect(&line).parse().expect(&line);
    // It is 50 ms on an idle machine; a busy one gets more.
    assert!(ready < Duration::from_secs(5), "{ready:?}");

    let mut raw = Raw::open(address);
    let connections = "/v1.0/external/connections";
    let body = r#"{"id":"contosohr","name":"Contoso HR"}"#;
    assert_eq!(raw.exchange("POST", connections, body).status, 201);
    let schema = format!("{connections}/contosohr/schema");
    assert_eq!(raw.exchange("PATCH", &schema, SCHEMA).status, 202);
    let body = item(r#""tags":["a"],"tags@odata.type":"Collection(String)""#);
    let answer = raw.exchange("PUT", ITEM, &body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    // The clock is that of the machine.
    assert!(!answer.head.contains("date: thu, 01 jan 2026 00:0"), "{}", answer.head);

    end(&running);
    let status = running.0.wait().expect("a status");
    let (mut stdout, mut stderr) = (String::new(), String::new());
    running.0.stdout.take().expect("stdout").read_to_string(&mut stdout).expect("UTF-8");
    running.0.stderr.take().expect("stderr").read_to_string(&mut stderr).expect("UTF-8");
    assert_eq!(stdout, "");
    if cfg!(unix) {
        assert!(status.success(), "{status}");
        assert_eq!(
            stderr,
            format!(
                "PUT {ITEM}: annotation-order at $.properties['tags@odata.type']: \
                 tags@odata.type stands after tags; write it before\nearly calls: 0\n"
            )
        );
    }
}

/// The example items of the documents and each documented mistake, as the README sends them with
/// curl: bytes over a socket to the program.
#[test]
fn the_examples_succeed_and_each_documented_mistake_is_refused_with_its_own_rule() {
    let (_running, line) = start(&["--set", "schema-delay=0"]);
    let address = line.trim_end().strip_prefix("listening on http://").expect(&line);
    let mut raw = Raw::open(address.parse().expect(&line));
    let mut send = |method: &str, target: &str, body: &str| {
        let answer = raw.exchange(method, target, body);
        let json: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        (answer.status, json)
    };
    let connections = "/v1.0/external/connections";
    send("POST", connections, r#"{"id":"contosohr","name":"Contoso HR"}"#);
    send("PATCH", &format!("{connections}/contosohr/schema"), SCHEMA);

    let add = format!("{ITEM}/addActivities");
    let article = "/v1.0/me/activities/%2Farticle%3F12345";
    let created = activity("created", "2021-04-06T18:04:31.033Z", USER);
    let knot = user_activity("/article?12345", "");
    let good = [
        ("PUT", ITEM, item(r#""title":"Error in the payment gateway","priority":1"#), 200),
        ("PUT", ITEM, item(r#""title@odata.type":"String","title":"Kandierte Äpfel""#), 200),
        ("PUT", ITEM, item(r#""tags@odata.type":"Collection(String)","tags":["red","blue"]"#), 200),
        ("POST", &*add, activities(std::slice::from_ref(&created)), 200),
        ("PUT", article, knot.clone(), 201),
        ("PUT", article, knot.clone(), 200),
    ];
    for (method, target, body, status) in good {
        assert_eq!(send(method, target, &body).0, status, "{method} {target}");
    }
    let before = send("GET", ITEM, "");

    let acl = |entry: &str| item_for(&format!(r#"{{"accessType":"grant",{entry}}}"#));
    let dates = r#""dates@odata.type":"Collection(DateTime)","dates":["2026-01-02T03:04:05Z"]"#;
    let source = format!(r#""type":"user","value":"{USER}","identitySource":"external""#);
    let long = "a".repeat(4_000_000);
    let mistakes = [
        ("PUT", ITEM, item(r#""tags":["red"]"#), "annotation-collection"),
        ("PUT", ITEM, item(r#""title":"Kandierte Äpfel""#), "annotation-non-ascii"),
        ("PUT", ITEM, item(dates), "annotation-type"),
        ("PUT", ITEM, item(r#""planet":"earth""#), "property-undeclared"),
        ("PUT", ITEM, item(r#""priority":"high""#), "property-type"),
        ("PUT", ITEM, item(r#""due":"06.04.2021""#), "date-time"),
        ("PUT", ITEM, r#"{"properties":{"title":"a"}}"#.to_owned(), "acl-required"),
        ("PUT", ITEM, item_for(""), "acl-required"),
        ("PUT", ITEM, item(""), "property-required"),
        ("PUT", ITEM, acl(&source), "identity-source"),
        ("PUT", ITEM, acl(r#""type":"user","value":"john@contoso.com""#), "guid"),
        ("POST", &*add, activities(&vec![created; 21]), "activity-count"),
        ("PUT", ITEM, item(&format!(r#""title":"{long}""#)), "body-size"),
        ("PUT", "/v1.0/me/activities//article?12345", knot, "path-escape"),
    ];
    for (method, target, body, rule) in mistakes {
        let (status, answer) = send(method, target, &body);
        assert_eq!(status, if rule == "body-size" { 413 } else { 400 }, "{rule}");
        assert_eq!(answer["error"]["innerError"]["code"], rule);
    }
    assert_eq!(send("GET", ITEM, ""), before);
}

/// Faults, tokens and the control path, all from the command line and over HTTP.
#[test]
fn faults_tokens_and_the_control_path_are_set_on_the_command_line() {
    let (mut running, line) = start(&[
        "--set",
        "schema-delay=0",
        "--fault",
        "GET connections: 429 retry-after=60 times=1",
        "--fault",
        "token: 503 times=1",
        "--auth",
        "--application",
        "id=app,secret=hush,tenant=contoso.com,roles=ExternalConnection.ReadWrite.OwnedBy|B",
        "--token-life",
        "600",
        "--managed-identity",
        "id=app,header=hush-hush",
        "--sign-in",
        "polls=1",
        "--control",
        "--journal",
        "10",
        "--early-calls",
        "call",
        "--throttle",
        "GET quota: bucket rate=0.01 burst=1 per=application retry-after=whole",
        "--latency",
        "0.001..0.002",
    ]);
    let address = line.trim_end().strip_prefix("listening on http://").expect(&line);
    let mut raw = Raw::open(address.parse().expect(&line));
    let mut send = |method: &str, target: &str, headers: &str, body: &str| {
        raw.send(format!(
            "{method} {target} HTTP/1.1\r\nHost: h\r\n{headers}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        let answer = raw.answer().expect("an answer");
        let json: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        (answer.status, json)
    };
    let form = "Content-Type: application/x-www-form-urlencoded";
    let token = "/contoso.com/oauth2/v2.0/token";
    let credentials = "grant_type=client_credentials&client_id=app&client_secret=hush\
        &scope=https%3A%2F%2Fgraph.microsoft.com%2F.default";
    assert_eq!(send("POST", token, form, credentials).0, 503);
    let (status, answer) = send("POST", token, form, credentials);
    assert_eq!((status, &answer["expires_in"]), (200, &Value::from(600)));
    let token = answer["access_token"].as_str().expect("a token").to_owned();
    let own = format!("Authorization: Bearer {token}\r\nClient-Request-Id: one");
    let list = "/v1.0/external/connections";
    assert_eq!(send("GET", list, "Authorization: Bearer any", "").0, 429);
    assert_eq!(send("GET", list, "Authorization: Bearer any", "").0, 401);
    assert_eq!(send("GET", list, &own, "").0, 200);
    assert_eq!(send("GET", list, &own, "").0, 200);
    let fault = "GET connections: 429 retry-after=60 times=1";
    assert_eq!(send("POST", "/__emulator/faults", "A: b", fault).0, 204);
    assert_eq!(send("GET", list, &own, "").0, 429);
    assert_eq!(send("GET", list, &own, "").0, 200);
    let quota = "/beta/external/connections/none/quota";
    assert_eq!(send("GET", quota, &format!("Authorization: Bearer {token}"), "").0, 404);
    assert_eq!(send("GET", quota, &format!("Authorization: Bearer {token}"), "").0, 429);
    let limit = "bucket rate=50 burst=50";
    assert_eq!(send("PUT", "/__emulator/limits", "A: b", limit).0, 204);
    assert_eq!(send("GET", quota, &format!("Authorization: Bearer {token}"), "").0, 404);
    let (_, state) = send("GET", "/__emulator", "A: b", "");
    assert_eq!(state["limits"][0]["limit"], limit);
    assert_eq!(state["earlyCalls"], 1);
    assert_eq!(state["tokensIssued"], 1);
    let (_, journal) = send("GET", "/__emulator/journal", "A: b", "");
    assert_eq!(journal["journal"].as_array().map(Vec::len), Some(10), "the last ten of eleven");

    end(&running);
    running.0.wait().expect("a status");
    let (mut stdout, mut stderr) = (String::new(), String::new());
    running.0.stdout.take().expect("stdout").read_to_string(&mut stdout).expect("UTF-8");
    running.0.stderr.take().expect("stderr").read_to_string(&mut stderr).expect("UTF-8");
    assert_eq!(stdout, "");
    if cfg!(unix) {
        let lines: Vec<&str> = stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{stderr}");
        let early = lines[0].strip_prefix("GET /v1.0/external/connections: early by 59.");
        assert!(early.is_some_and(|rest| rest.ends_with(" s, as this call was told")), "{stderr}");
        assert_eq!(lines[1], "early calls: 1");
    }
    assert!(!stderr.contains("hush") && !stderr.contains(&token));
}

#[cfg(unix)]
fn end(running: &Running) {
    end_with(running, "INT");
}

#[cfg(unix)]
fn end_with(running: &Running, signal: &str) {
    let kill = format!("kill -{signal} {}", running.0.id());
    let status = Command::new("sh").args(["-c", &kill]).status();
    assert!(status.expect("a shell").success());
}

#[cfg(not(unix))]
fn end(running: &Running) {
    let _ = running;
}

/// A folder for one test, with nothing in it.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[cfg(unix)]
#[test]
fn what_it_stored_outlives_it_with_a_state_however_it_is_asked_to_end() {
    let folder = folder("state");
    let file = folder.join("state.json");
    let run = |signal: &str, exchange: &mut dyn FnMut(&mut Raw)| {
        let (mut running, line) = start(&["--state", file.to_str().expect("UTF-8")]);
        let address = line.trim_end().strip_prefix("listening on http://").expect(&line);
        exchange(&mut Raw::open(address.parse().expect(&line)));
        end_with(&running, signal);
        let status = running.0.wait().expect("a status");
        let mut stderr = String::new();
        running.0.stderr.take().expect("stderr").read_to_string(&mut stderr).expect("UTF-8");
        assert!(status.success(), "{status}: {stderr}");
        let names = fs::read_dir(&folder).expect("a folder");
        let names: Vec<_> = names.map(|entry| entry.expect("an entry").file_name()).collect();
        assert_eq!(names, ["state.json"]);
    };
    let article = "/v1.0/me/activities/a";
    run("INT", &mut |raw| {
        assert_eq!(raw.exchange("PUT", article, &user_activity("a", "")).status, 201);
    });
    let connections = "/v1.0/external/connections";
    run("TERM", &mut |raw| {
        assert_eq!(raw.exchange("PUT", article, &user_activity("a", "")).status, 200);
        let body = r#"{"id":"contosohr","name":"Contoso HR"}"#;
        assert_eq!(raw.exchange("POST", connections, body).status, 201);
    });
    run("INT", &mut |raw| {
        assert_eq!(raw.exchange("PUT", article, &user_activity("a", "")).status, 200);
        let answer = raw.exchange("GET", &format!("{connections}/contosohr"), "");
        assert!(answer.body.contains("Contoso HR"), "{}", answer.body);
    });
}

#[test]
fn a_state_that_cannot_be_read_or_written_is_an_error_with_status_2_and_stays_as_it_is() {
    let folder = folder("no-state");
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("a file");
        path
    };
    let files = [
        (file("empty", ""), "it is no state of an emulator: "),
        (file("other", r#"{"a":1}"#), "it is no state of an emulator: missing field `format`"),
        (file("later", r#"{"format":2}"#), "its format is 2, and this release reads 1; "),
    ];
    // To read the one is an error, and so it is to write the other.
    let places = [(folder.clone(), ""), (folder.join("none").join("state"), "")];
    for (path, why) in files.iter().chain(&places) {
        let before = fs::read(path).ok();
        let path = path.to_str().expect("UTF-8");
        let output = output(&["--state", path]);
        assert_eq!(output.status.code(), Some(2), "{path}");
        assert_eq!(output.stdout, b"");
        let text = String::from_utf8(output.stderr).expect("UTF-8");
        let begin = format!("graphfeed-emulator: cannot begin with the state in {path}: {why}");
        assert!(text.starts_with(&begin) && text.ends_with("\nTry --help.\n"), "{text}");
        assert_eq!(fs::read(path).ok(), before);
    }
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), files.len());
}

#[test]
fn what_it_does_not_understand_is_an_error_with_status_2() {
    for arguments in [
        &["--no-such"][..],
        &["file"],
        &["--listen"],
        &["--listen", "nowhere"],
        &["--seed", "x"],
        &["--set", "annotation-order"],
        &["--set", "annotation-order=maybe"],
        &["--set", "no-such=1"],
        &["--fault", "PUT item 429"],
        &["--throttle", "25"],
        &["--latency", "soon"],
        &["--early-calls", "maybe"],
        &["--auth"],
        &["--token-life", "60"],
        &["--refresh-once"],
        &["--application", "secret=hush"],
        &["--application", "hush"],
        &["--application", "id=a", "--token-life", "-1"],
        &["--application", "id=a", "--sign-in", "soon"],
        &["--application", "id=a", "--require-claims", "[]"],
        &["--application", "id=a", "--managed-identity", "header=hush"],
        &["--application", "id=a", "secret=hush"],
        &["--journal", "x"],
        &["--state"],
    ] {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(output.stdout, b"");
        let text = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(
            text.starts_with("graphfeed-emulator: ") && text.ends_with("Try --help.\n"),
            "{text}"
        );
        assert!(!text.contains("hush"), "{text}");
    }
}

#[test]
fn an_address_it_cannot_listen_on_is_an_error_with_status_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = output(&["--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    let begin = format!("graphfeed-emulator: cannot listen on {address}: ");
    assert!(text.starts_with(&begin), "{text}");
    assert!(text.contains("; choose another port, ") && text.contains("--listen 127.0.0.1:0"));
}

#[test]
fn nobody_at_stdout_is_an_error_with_status_1() {
    for arguments in [&["--listen", "127.0.0.1:0"][..], &["--help"], &["--version"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = program(arguments).stdout(writer).output().expect("a program");
        let text = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        assert!(text.starts_with("graphfeed-emulator: cannot write to stdout: "), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[test]
fn nobody_at_stderr_changes_nothing() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = program(&["--no-such"]).stderr(writer).output().expect("a program");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_address_that_others_reach_is_warned_of() {
    for (address, warned) in [("0.0.0.0:0", true), ("127.0.0.1:0", false)] {
        let (mut running, line) = start(&["--listen", address]);
        let url = line.trim_end().strip_prefix("listening on http://").expect(&line);
        let _ = running.0.kill();
        let mut stderr = String::new();
        running.0.stderr.take().expect("stderr").read_to_string(&mut stderr).expect("UTF-8");
        let warning = format!(
            "warning: {url} is no loopback address; anybody who reaches it can read and write \
             everything\n"
        );
        assert_eq!(stderr, if warned { warning } else { String::new() });
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn whoever_wants_tls_of_a_build_without_it_is_told_how_to_get_it() {
    let output = output(&["--tls", "certificate.pem"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--features tls") && said.ends_with("\nTry --help.\n"), "{said}");
}

#[test]
fn help_names_every_switch_with_its_default() {
    let output = output(&["--help"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    for switch in Behaviour::SWITCHES {
        let default = Behaviour::default().get(switch.name).expect("listed");
        assert!(text.contains(&format!("  {}={default}  (", switch.name)), "{text}");
    }
}
