//! The `crates` program with a tenant: an emulator in this process that checks tokens stands for
//! it, and the program is told its address.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use graphfeed_emulator::{
    Application, Authorization, Behaviour, EarlyCalls, Emulator, Options, server::Server,
};
use support::{count, outcome, package, program};

const TENANT: &str = "0a5ec0de-0000-4000-8000-000000000001";
const CLIENT_ID: &str = "0a5ec0de-0000-4000-8000-00000000000a";
const SIGN_IN_CLIENT_ID: &str = "0a5ec0de-0000-4000-8000-00000000000b";
const USER: &str = "0a5ec0de-0000-4000-8000-0000000000aa";
const SECRET: &str = "hush-s3cret";
const CONNECTION: &str = "graphfeedcrates";
const CONNECTION_ROLE: &str = "ExternalConnection.ReadWrite.OwnedBy";
const ITEM_ROLE: &str = "ExternalItem.ReadWrite.OwnedBy";

/// A tenant, and a small package to index into it.
struct Tenant {
    emulator: Emulator,
    server: Server,
    manifest: PathBuf,
}

impl Tenant {
    fn new() -> Self {
        Self::with_roles(&[CONNECTION_ROLE, ITEM_ROLE])
    }

    /// Judges only whether a call itself comes early: others may be under way.
    fn for_many_at_once() -> Self {
        let authorization = Self::authorization(&[CONNECTION_ROLE, ITEM_ROLE]);
        Self::judging(authorization, EarlyCalls::ByCall)
    }

    fn with_roles(roles: &[&str]) -> Self {
        Self::with(Self::authorization(roles))
    }

    fn authorization(roles: &[&str]) -> Authorization {
        let application = Application::new(CLIENT_ID, SECRET).tenant(TENANT);
        let application =
            roles.iter().fold(application, |application, role| application.role(*role));
        Authorization {
            applications: vec![
                application.federated("https://cluster.example", "the-pod"),
                Application::public(SIGN_IN_CLIENT_ID)
                    .tenant(TENANT)
                    .scope("UserActivity.ReadWrite.CreatedByApp"),
            ],
            device_code_interval: Duration::from_secs(1),
            ..Authorization::default()
        }
    }

    /// Where one call is made after the other.
    fn with(authorization: Authorization) -> Self {
        Self::judging(authorization, EarlyCalls::ByLane)
    }

    fn judging(authorization: Authorization, early_calls: EarlyCalls) -> Self {
        static PACKAGES: AtomicUsize = AtomicUsize::new(0);
        let number = PACKAGES.fetch_add(1, Ordering::Relaxed);
        let emulator = Emulator::new(Options {
            origin: SystemTime::now(),
            authorization: Some(authorization),
            behaviour: Behaviour {
                schema_delay: Duration::from_millis(200),
                ..Behaviour::default()
            },
            early_calls,
            ..Options::default()
        });
        let server = Server::start(emulator.clone(), "127.0.0.1:0").unwrap();
        let manifest = package(
            &format!("tenant{number}"),
            "version = \"1.0.0\"\nauthors = [\"Jo <jo@doe.example>\"]",
        );
        Self { emulator, server, manifest }
    }

    /// The program without a proof.
    fn unproven(&self) -> Command {
        let mut command = program();
        command
            .arg("--manifest-path")
            .arg(&self.manifest)
            .env("GRAPHFEED_TENANT", TENANT)
            .env("GRAPHFEED_CLIENT_ID", CLIENT_ID)
            .env("GRAPHFEED_SERVICE", self.server.url())
            .env("GRAPHFEED_AUTHORITY", self.server.url());
        command
    }

    /// The program with the secret.
    fn program(&self) -> Command {
        let mut command = self.unproven();
        command.env("GRAPHFEED_CLIENT_SECRET", SECRET);
        command
    }
}

/// Runs to the end, and looks for what nobody may read.
fn end(command: &mut Command) -> (Option<i32>, String, String) {
    let (status, table, errors) = outcome(command);
    shows_no_secret(&table, &errors);
    (status, table, errors)
}

fn shows_no_secret(table: &str, errors: &str) {
    for text in [table, errors] {
        assert!(!text.contains(SECRET), "{text}");
        // So begins every token and every assertion.
        assert!(!text.contains("eyJ"), "{text}");
    }
}

fn succeeds(command: &mut Command) -> (String, String) {
    let (status, table, errors) = end(command);
    assert_eq!(status, Some(0), "{table}\n{errors}");
    (table, errors)
}

/// The error of a command that fails.
fn fails(command: &mut Command, expected: i32) -> String {
    let (status, table, errors) = end(command);
    assert_eq!((status, &*table), (Some(expected), ""), "{errors}");
    errors
}

fn key() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/throw-away-test-key.pem")
}

#[test]
fn with_a_secret_everything_is_stored_used_again_and_deleted() {
    let tenant = Tenant::new();
    let (table, _) = succeeds(&mut tenant.program());
    assert!(table.contains("Connection: made now. Schema: registered now."), "{table}");
    assert!(table.contains(&format!("(tenant {TENANT})")), "{table}");
    assert_eq!((count(&table, "items"), count(&table, "items read back")), (1, 1));
    assert_eq!(count(&table, "differences"), 0);
    for (row, why) in [("activities", "GRAPHFEED_AUTHOR"), ("user activities", "GRAPHFEED_SIGN_IN")]
    {
        assert_eq!(count(&table, row), 0);
        assert!(table.contains(&format!("skipped: {why} is not set")), "{table}");
    }
    assert!(!table.contains("early calls"), "a tenant does not tell: {table}");
    let items = tenant.emulator.items(CONNECTION);
    assert_eq!(items.len(), 1);
    assert!(items[0].acl.iter().all(|entry| entry.value == TENANT), "{items:?}");
    assert_eq!(tenant.emulator.tokens_issued(), 1);

    let (table, _) = succeeds(&mut tenant.program());
    assert!(table.contains("Connection: there before. Schema: there before."), "{table}");
    assert_eq!(tenant.emulator.items(CONNECTION).len(), 1);

    let (text, _) = succeeds(tenant.program().arg("--clean"));
    assert!(text.starts_with("Deleted connection graphfeedcrates "), "{text}");
    assert!(tenant.emulator.service().connection_state(CONNECTION).is_none());
    let (text, _) = succeeds(tenant.program().arg("--clean"));
    assert!(text.starts_with("There is no connection graphfeedcrates"), "{text}");
    let stay = "User activities of earlier runs stay: GRAPHFEED_SIGN_IN is not set.";
    assert!(text.contains(stay), "{text}");
}

#[test]
fn hyper_does_all_of_that_too() {
    let tenant = Tenant::for_many_at_once();
    let program = || {
        let mut program = tenant.program();
        program.args(["--transport", "hyper"]);
        program
    };
    let (table, _) = succeeds(&mut program());
    assert!(table.contains("Connection: made now. Schema: registered now."), "{table}");
    assert_eq!((count(&table, "items"), count(&table, "differences")), (1, 0));
    assert_eq!(tenant.emulator.tokens_issued(), 1);
    let (table, _) = succeeds(&mut program());
    assert!(table.contains("Connection: there before. Schema: there before."), "{table}");

    let (status, table, errors) = while_somebody(&tenant, &mut program(), |code| {
        assert!(tenant.emulator.sign_in(code, Some(USER)));
    });
    assert_eq!(status, Some(0), "{errors}");
    assert_eq!(count(&table, "user activities"), 1);
    assert_eq!(tenant.emulator.user_activities().len(), 1);

    let (status, text, errors) = while_somebody(&tenant, program().arg("--clean"), |code| {
        assert!(tenant.emulator.sign_in(code, Some(USER)));
    });
    assert_eq!(status, Some(0), "{errors}");
    assert!(text.starts_with("Deleted connection graphfeedcrates "), "{text}");
    assert!(text.contains("Deleted 1 user activities"), "{text}");
    assert!(tenant.emulator.service().connection_state(CONNECTION).is_none());
    assert!(tenant.emulator.user_activities().is_empty());
}

#[test]
fn an_error_tells_what_stays_in_the_tenant() {
    let tenant = Tenant::new();
    tenant.emulator.script("GET item: 403 times=1").unwrap();
    let error = fails(&mut tenant.program(), 1);
    let last = error.lines().last().unwrap();
    assert!(last.starts_with("1 of 1 items are known to be stored, and stay"), "{error}");
    assert!(last.ends_with("--clean deletes all."), "{error}");
    assert_eq!(tenant.emulator.items(CONNECTION).len(), 1);
}

#[test]
fn a_certificate_proves_the_application() {
    let tenant = Tenant::new();
    let (table, _) = succeeds(tenant.unproven().env("GRAPHFEED_CERTIFICATE", key()));
    assert_eq!(count(&table, "items"), 1);
    assert_eq!(tenant.emulator.items(CONNECTION).len(), 1);
}

#[test]
fn a_token_of_another_platform_proves_the_application() {
    let tenant = Tenant::new();
    let expires = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() + 600;
    let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let token = format!(
        "{}.{}.{}\n",
        part(r#"{"alg":"RS256","typ":"JWT"}"#),
        part(&format!(
            r#"{{"iss":"https://cluster.example","sub":"the-pod",
                "aud":"api://AzureADTokenExchange","exp":{expires}}}"#
        )),
        part("signed"),
    );
    let file = tenant.manifest.join("token");
    fs::write(&file, token).unwrap();
    let (table, _) = succeeds(tenant.unproven().env("AZURE_FEDERATED_TOKEN_FILE", file));
    assert_eq!(count(&table, "items"), 1);
}

#[test]
fn activities_are_those_of_the_author() {
    let tenant = Tenant::new();
    let (table, _) = succeeds(tenant.program().env("GRAPHFEED_AUTHOR", USER));
    assert_eq!(count(&table, "activities"), 1);
    let item = &tenant.emulator.items(CONNECTION)[0];
    let activities = tenant.emulator.item_activities(CONNECTION, &item.id);
    assert_eq!(activities.len(), 1);
    assert!(format!("{activities:?}").contains(USER), "{activities:?}");
}

#[test]
fn a_permission_that_is_missing_is_named() {
    for (roles, operation, missing) in [
        (&[ITEM_ROLE][..], "Get connection", CONNECTION_ROLE),
        (&[CONNECTION_ROLE], "Create or replace item", ITEM_ROLE),
    ] {
        let tenant = Tenant::with_roles(roles);
        let error = fails(&mut tenant.program(), 1);
        let line = error.lines().find(|line| line.starts_with("crates: ")).unwrap();
        assert!(line.contains(&format!("{operation} needs {missing}")), "{line}");
        assert!(line.contains(&format!("has the roles {}", roles[0])), "{line}");
    }
}

#[test]
fn what_the_identity_platform_refuses_is_told_in_its_words() {
    let tenant = Tenant::new();
    let error = fails(tenant.unproven().env("GRAPHFEED_CLIENT_SECRET", "wr0ng-one"), 1);
    assert!(error.contains("invalid_client") && error.contains("AADSTS"), "{error}");
    assert!(error.contains("check the client secret"), "{error}");
    assert!(!error.contains("wr0ng-one"), "{error}");

    let error = fails(tenant.program().env("GRAPHFEED_CLIENT_ID", "nobody"), 1);
    assert!(error.contains("unauthorized_client"), "{error}");
    assert_eq!(tenant.emulator.tokens_issued(), 0);
}

#[test]
fn connectors_are_not_in_china_and_nothing_goes_there() {
    let tenant = Tenant::new();
    let error = fails(tenant.program().env("GRAPHFEED_CLOUD", "china"), 1);
    assert!(error.contains("is not in China"), "{error}");
    assert_eq!(tenant.emulator.tokens_issued(), 0);
}

#[test]
fn the_clouds_of_the_us_government_get_no_type_that_they_do_not_know() {
    let tenant = Tenant::new();
    let (table, _) = succeeds(tenant.program().env("GRAPHFEED_CLOUD", "us-gov-l4"));
    assert_eq!((count(&table, "items"), count(&table, "  principal")), (1, 0));
    succeeds(tenant.program().arg("--clean"));
    let (table, _) = succeeds(&mut tenant.program());
    assert_eq!((count(&table, "items"), count(&table, "  principal")), (1, 1));
}

#[test]
fn what_becomes_different_of_a_schema_is_told() {
    let tenant = Tenant::new();
    succeeds(tenant.program().env("GRAPHFEED_CLOUD", "us-gov-l4"));
    let (table, said) = succeeds(&mut tenant.program());
    assert!(table.contains("Connection: there before. Schema: changed now."), "{table}");
    for name in ["firstAuthor", "people"] {
        assert!(said.contains(&format!("the schema changes: {name}: is added ")), "{said}");
    }
    assert_eq!(count(&table, "  principal"), 1);
}

/// Runs the program while a user deals with the code that it shows.
fn while_somebody(
    tenant: &Tenant,
    command: &mut Command,
    deals_with: impl Fn(&str),
) -> (Option<i32>, String, String) {
    command
        .env("GRAPHFEED_SIGN_IN", "device-code")
        .env("GRAPHFEED_SIGN_IN_CLIENT_ID", SIGN_IN_CLIENT_ID)
        .env("GRAPHFEED_ACTIVITY_HOST", "https://contoso.com")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let begun = Instant::now();
    let code = loop {
        if let Some(code) = tenant.emulator.user_codes().pop() {
            break code;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody asks for a code");
        thread::sleep(Duration::from_millis(10));
    };
    deals_with(&code);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (table, errors) = (text(output.stdout), text(output.stderr));
    shows_no_secret(&table, &errors);
    assert!(errors.contains(&code), "the code is shown: {errors}");
    (output.status.code(), table, errors)
}

#[test]
fn a_user_signs_in_with_a_code_and_the_run_is_recorded() {
    let tenant = Tenant::new();
    for (row, note) in [(1, "this run\n"), (2, "this run, in place of an earlier one\n")] {
        let (status, table, errors) = while_somebody(&tenant, &mut tenant.program(), |code| {
            assert!(tenant.emulator.sign_in(code, Some(USER)));
        });
        assert_eq!(status, Some(0), "{errors}");
        assert_eq!((count(&table, "user activities"), count(&table, "history items")), (1, 1));
        assert!(table.contains(note), "{table}");
        let activities = tenant.emulator.user_activities();
        assert_eq!(activities.len(), 1);
        assert_eq!(activities[0].history_items.len(), row);
        assert!(format!("{activities:?}").contains("https://contoso.com"), "{activities:?}");
    }
}

#[test]
fn a_user_who_declines_ends_the_run_before_anything_is_stored() {
    let tenant = Tenant::new();
    let (status, table, errors) = while_somebody(&tenant, &mut tenant.program(), |code| {
        assert!(tenant.emulator.decline(code));
    });
    assert_eq!((status, &*table), (Some(1), ""), "{errors}");
    assert!(errors.contains("the user has declined to sign in"), "{errors}");
    assert!(tenant.emulator.service().connection_state(CONNECTION).is_none());
}

#[test]
fn tokens_that_end_in_mid_run_are_replaced() {
    let tenant = Tenant::with(Authorization {
        applications: vec![
            Application::new(CLIENT_ID, SECRET)
                .tenant(TENANT)
                .role(CONNECTION_ROLE)
                .role(ITEM_ROLE),
        ],
        token_life: Duration::from_secs(2),
        ..Authorization::default()
    });
    // Slower than the tokens live.
    tenant.emulator.script("GET operation: pass latency=2.5 times=1").unwrap();
    let (table, _) = succeeds(&mut tenant.program());
    assert_eq!(count(&table, "items"), 1);
    assert!(tenant.emulator.tokens_issued() >= 2);
}

/// Faults of every kind that a client can get over, in every step.
const FAULTS: &[&str] = &[
    "POST token: 503 times=1",
    "GET connection: html 502 times=1",
    "POST connection: stored 503 times=1",
    "PATCH schema: 400 times=1",
    "PATCH schema: 429 retry-after=0.3 times=1",
    "GET operation: 504 times=1",
    "PUT item: 429 retry-after=1 times=1",
    "PUT item: 429 retry-after=0.25 from=4 times=1",
    "PUT item: 429 retry-after=date:1 from=6 times=1",
    "PUT item: 429 retry-after=0.2,0.2 from=8 times=1",
    "PUT item: 429 retry-after=ms:300 from=10 times=1",
    "PUT item: 429 retry-after=soon from=12 times=1",
    "PUT item: 429 retry-after=-5 from=14 times=1",
    "PUT item: 429 from=16 times=1",
    "PUT item: stored 500 from=18 times=1",
    "PUT item: stored reset from=22 times=2",
    "PUT item: html 502 from=26 times=1",
    "PUT item: reset from=30 times=1",
    "PUT item: truncated from=32 times=1",
    "POST addActivities: 429 retry-after=0.2 times=2",
    "GET item: 429 retry-after=0.2 times=2",
    "GET item: truncated from=2 times=1",
];

#[test]
fn whatever_goes_wrong_everything_is_stored_and_no_call_comes_early() {
    gets_over_everything(Tenant::new(), "ureq");
}

#[test]
fn whatever_goes_wrong_hyper_stores_everything_and_no_call_comes_early() {
    gets_over_everything(Tenant::for_many_at_once(), "hyper");
}

fn gets_over_everything(mut tenant: Tenant, transport: &str) {
    for fault in FAULTS {
        tenant.emulator.script(fault).unwrap();
    }
    // This workspace's own crates, so that there are enough of them.
    tenant.manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let mut command = tenant.program();
    command.args(["--transport", transport]).env("GRAPHFEED_AUTHOR", USER);
    let (table, _) = succeeds(&mut command);
    assert_eq!(tenant.emulator.early_calls(), []);
    for (fault, struck) in tenant.emulator.faults() {
        assert_eq!(Some(struck), fault.times, "{fault}");
    }
    let items = tenant.emulator.items(CONNECTION);
    assert_eq!(items.len(), count(&table, "items"));
    assert!(items.len() > 50);
    for item in &items {
        assert_eq!(tenant.emulator.item_activities(CONNECTION, &item.id).len(), 1, "{}", item.id);
    }
    assert_eq!(count(&table, "differences"), 0);
    assert_eq!(count(&table, "items read back"), items.len());
    assert!(count(&table, "repeats") >= FAULTS.len() - 3, "{table}");
}

#[test]
fn a_connection_and_a_schema_that_were_made_without_an_answer_are_found() {
    let tenant = Tenant::new();
    for fault in ["POST connection: stored reset times=1", "PATCH schema: stored reset times=1"] {
        tenant.emulator.script(fault).unwrap();
    }
    let (table, _) = succeeds(&mut tenant.program());
    let setup = "Connection: most likely made now. Schema: most likely registered now.";
    assert!(table.contains(setup), "{table}");
    assert_eq!(tenant.emulator.items(CONNECTION).len(), 1);
}

#[test]
fn wrong_variables_and_switches_are_told_before_anything_is_sent() {
    let tenant = Tenant::new();
    for (name, value, why) in [
        ("GRAPHFEED_TENANT", "contoso.com", "GRAPHFEED_TENANT is no GUID"),
        ("GRAPHFEED_CLIENT_ID", "", "GRAPHFEED_CLIENT_ID is not set"),
        ("GRAPHFEED_CLIENT_SECRET", "", "set one of GRAPHFEED_CLIENT_SECRET, "),
        ("GRAPHFEED_CERTIFICATE", "x", "GRAPHFEED_CLIENT_SECRET and GRAPHFEED_CERTIFICATE are set"),
        ("GRAPHFEED_SERVICE", "http://graph.example", "GRAPHFEED_SERVICE is plain http"),
    ] {
        let error = fails(tenant.program().env(name, value), 2);
        assert!(error.contains(why) && error.contains("--help"), "{error}");
    }
    for fault in [&["--fault", "PUT item: 429"][..], &["--throttle"]] {
        let error = fails(tenant.program().args(fault), 2);
        assert!(error.contains("unset GRAPHFEED_TENANT"), "{error}");
    }
    let error = fails(tenant.program().env_remove("GRAPHFEED_TENANT"), 2);
    assert!(error.contains("is set, but GRAPHFEED_TENANT is not"), "{error}");
    assert_eq!(tenant.emulator.tokens_issued(), 0);
}
