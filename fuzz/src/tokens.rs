//! How one token is fetched, by each kind of credential.

use std::time::Duration;

use bytes::Bytes;
use graphfeed_core::{
    machine::{
        Tick,
        identity::{Application, Authority, Credential, Fetch, FetchStep, Tenant},
    },
    protocol::{Cloud, Failure, TokenError},
    types::Secret,
};
use http::{Request, Response};
use serde_json::{Value, json};

use crate::{json::unique, wire::Tape};

const SECRETS: [&str; 4] =
    ["hush-hush-secret", "a-refresh-token", "an-assertion-of-ours", "a-token-of-theirs"];
const CODES: [&str; 8] = [
    "authorization_pending",
    "slow_down",
    "invalid_client",
    "temporarily_unavailable",
    "invalid_grant",
    "expired_token",
    "interaction_required",
    "new",
];

/// What kind of credential, and what becomes of each attempt.
pub fn run(data: &[u8]) {
    let mut tape = Tape::new(data);
    let credential = credential(tape.up_to(5));
    let waits_for_user = tape_is_device(&credential);
    let start = Tick::default() + tape.time();
    let longest = Duration::from_millis(1) + tape.time();
    let claims = tape.once_in(3).then(|| r#"{"access_token":{}}"#.to_owned());
    let seed = u64::from(tape.up_to(255));
    let mut fetch = Fetch::new(credential, claims, longest, seed, start);
    let mut deadline = start + longest;
    let (mut now, mut not_before) = (start, start);
    let mut shown = 0;
    // How often a code may be asked with, once there is one.
    let mut interval: Option<Duration> = None;
    for _ in 0..20_000 {
        match fetch.poll(now) {
            FetchStep::Send(attempt) => {
                assert!(now >= not_before, "earlier than told");
                assert!(now < deadline && attempt.deadline <= deadline, "it takes too long");
                goes_home(&attempt.request);
                assert!(!knows_a_secret(&format!("{attempt:?}")));
                let after = tape.time();
                let soonest = now + interval.unwrap_or_default();
                if after >= attempt.timeout {
                    // Nothing comes in time.
                    now = attempt.deadline;
                    not_before = now.max(soonest);
                    continue;
                }
                now += after;
                not_before = now.max(soonest);
                if tape.once_in(8) {
                    let failure = Failure::maybe_sent("reset");
                    let failure = if tape.once_in(3) { failure.permanent() } else { failure };
                    fetch.on_failure(attempt.ticket, now, failure);
                    continue;
                }
                let asks_for_code = attempt.request.uri().path().ends_with("devicecode");
                let (answer, wait, life) = answer(&mut tape, asks_for_code);
                if let (Some(life), true) = (life, asks_for_code) {
                    deadline = now + life;
                    interval = Some(interval_of(&answer));
                }
                if let Some(interval) = &mut interval {
                    let body = unique(answer.body()).unwrap_or_default();
                    if body["error"] == "slow_down" {
                        *interval += Duration::from_secs(5);
                    }
                    if asks_for_code || body["error"] == "slow_down" {
                        not_before = now + *interval;
                    }
                }
                not_before = not_before.max(now + wait);
                fetch.on_response(attempt.ticket, now, &answer);
            }
            FetchStep::Sign(need) => {
                assert!(need.audience.starts_with("https://login.microsoftonline.com/"));
                let assertion = match tape.once_in(6) {
                    true => Err(TokenError::source("no key")),
                    false => Ok(Secret::new(SECRETS[2])),
                };
                fetch.on_assertion(assertion);
            }
            FetchStep::Show(code) => {
                shown += 1;
                assert!(waits_for_user && shown == 1, "a code is shown once");
                assert!(!knows_a_secret(&format!("{code:?}")));
            }
            FetchStep::Wait(until) => {
                assert!(until > now, "a wait that is over");
                if until == Tick::MAX {
                    // A code that lives for ever is to be asked for once in an eternity.
                    assert_eq!(deadline, Tick::MAX, "it goes on for ever");
                    return;
                }
                now = until;
            }
            FetchStep::Done(result) => {
                assert!(!knows_a_secret(&format!("{result:?}")), "a secret is shown");
                if let Err(why) = &result {
                    assert!(!knows_a_secret(&why.to_string()), "a secret is told");
                }
                assert!(now <= deadline, "it takes too long");
                assert!(matches!(fetch.poll(now), FetchStep::Wait(Tick::MAX)), "it ends once");
                return;
            }
        }
    }
    panic!("it goes on for ever");
}

fn credential(which: u32) -> Credential {
    let tenant = Tenant::new("contoso.com").expect("a tenant");
    let authority = Authority::new(Cloud::Global, tenant);
    let application = Application::new(authority, "app-id", Cloud::Global);
    match which {
        0 => Credential::client_secret(application, Secret::new(SECRETS[0])).expect("one tenant"),
        1 => Credential::assertion(application).expect("one tenant"),
        2 => Credential::refresh_token(application, Secret::new(SECRETS[1])),
        3 => Credential::device_code(application),
        4 => Credential::app_service_identity(
            "http://127.0.0.1:41000/msi/token",
            Secret::new(SECRETS[0]),
            Cloud::Global,
        )
        .expect("it is local"),
        _ => Credential::imds_identity(Cloud::Global),
    }
}

fn tape_is_device(credential: &Credential) -> bool {
    format!("{credential:?}").contains("DeviceCode")
}

/// Secrets go to the identity platform, or stay on the machine.
fn goes_home(request: &Request<Bytes>) {
    let uri = request.uri();
    let home = match uri.scheme_str() {
        Some("https") => uri.host() == Some("login.microsoftonline.com"),
        _ => matches!(uri.host(), Some("127.0.0.1" | "169.254.169.254")),
    };
    assert!(home, "{uri}");
}

/// How long to wait between two requests with a code: five seconds where it says nothing, and never
/// none.
fn interval_of(code: &Response<Bytes>) -> Duration {
    let interval = &unique(code.body()).expect("JSON")["interval"];
    let number = interval.as_u64().or_else(|| interval.as_str()?.parse().ok());
    Duration::from_secs(number.unwrap_or(5).max(1))
}

fn knows_a_secret(text: &str) -> bool {
    SECRETS.iter().any(|secret| text.contains(secret))
}

fn number(tape: &mut Tape<'_>) -> Value {
    match tape.up_to(7) {
        0..3 => json!(tape.up_to(10_000)),
        3 => json!(tape.up_to(10_000).to_string()),
        4 => json!(u64::MAX),
        5 => json!(0),
        6 => json!("soon"),
        _ => json!(null),
    }
}

fn token(tape: &mut Tape<'_>) -> Response<Bytes> {
    let mut body = json!({ "access_token": SECRETS[3], "token_type": "Bearer" });
    for name in ["expires_in", "expires_on"] {
        if tape.once_in(2) {
            body[name] = number(tape);
        }
    }
    if tape.once_in(4) {
        body["refresh_token"] = SECRETS[1].into();
    }
    if tape.once_in(8) {
        body["access_token"] = format!("{} \n", SECRETS[3]).into();
    }
    let answer = Response::builder().header("date", "Tue, 15 Nov 1994 08:12:31 GMT");
    answer.body(Bytes::from(body.to_string())).expect("an answer")
}

/// Some answer, how long it asks to wait, and how long a code in it lives.
fn answer(
    tape: &mut Tape<'_>,
    asks_for_code: bool,
) -> (Response<Bytes>, Duration, Option<Duration>) {
    match tape.up_to(7) {
        1 | 2 => {
            let code = tape.one_of(&CODES);
            let body =
                json!({ "error": code, "error_description": "AADSTS1: no", "error_codes": [1] });
            let answer = Response::builder().status(tape.one_of(&[400, 401, 503]));
            (answer.body(body.to_string().into()).expect("an answer"), Duration::ZERO, None)
        }
        3 => {
            let wait = tape.time();
            let answer = Response::builder()
                .status(429)
                .header("retry-after", wait.as_secs_f64().to_string());
            (
                answer.body(r#"{"error":"temporarily_unavailable"}"#.into()).expect("an answer"),
                wait,
                None,
            )
        }
        4 => {
            let answer = Response::builder().status(tape.one_of(&[200, 404, 410, 500, 302, 503]));
            (answer.body("<html>".into()).expect("an answer"), Duration::ZERO, None)
        }
        5 => {
            let cut = tape.up_to(200) as usize;
            let answer = token(tape).map(|body| body.slice(..cut.min(body.len())));
            // A whole one is none for whoever asked for a code.
            (answer, Duration::ZERO, None)
        }
        _ if asks_for_code => {
            let life = tape.one_of(&[900, 1, 60, u64::MAX]);
            let mut body = json!({ "device_code": SECRETS[1], "user_code": "ABCD",
                "verification_uri": "https://microsoft.com/devicelogin", "expires_in": life });
            if tape.once_in(2) {
                body["interval"] = number(tape);
            }
            let answer = Response::new(body.to_string().into());
            (answer, Duration::from_secs(1), Some(Duration::from_secs(life)))
        }
        _ => (token(tape), Duration::ZERO, None),
    }
}
