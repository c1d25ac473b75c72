//! The identity platform: what each grant gives, how each mistake is refused, and how long a
//! sign-in takes. In process, in virtual time.

mod managed;
#[path = "../support/mod.rs"]
mod support;
mod users;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use graphfeed_emulator::{Application, Authorization, ManagedIdentity, Options};
use http::Request;
use serde_json::{Value, json};
use support::{Answer, Bench};

const APP: &str = "3d1f0e2a-7c1b-4a62-9f0e-8a5b4c3d2e1f";
const SECRET: &str = "hush~made.up";
const TENANT: &str = "contoso.com";
const TOKEN: &str = "/contoso.com/oauth2/v2.0/token";
const DEVICE: &str = "/contoso.com/oauth2/v2.0/devicecode";
const SCOPE: &str = "https://graph.microsoft.com/.default";
const ACTIVITIES: &str = "UserActivity.ReadWrite.CreatedByApp";
const ORIGIN: i64 = 1_767_225_600;

fn application() -> Application {
    Application::new(APP, SECRET)
        .tenant(TENANT)
        .role("ExternalConnection.ReadWrite.OwnedBy")
        .role("ExternalItem.ReadWrite.OwnedBy")
        .scope(ACTIVITIES)
        .federated("https://issuer.test", "workload")
}

fn bench_with(set: impl FnOnce(&mut Authorization)) -> Bench {
    let mut authorization = Authorization {
        applications: vec![
            application(),
            Application::public("public").tenant(TENANT).scope(ACTIVITIES),
            Application::new("stranger", "other").tenant("fabrikam.com"),
        ],
        managed_identity: Some(ManagedIdentity::new(APP, "identity-header")),
        ..Authorization::default()
    };
    set(&mut authorization);
    Bench::of(Options { authorization: Some(authorization), ..Options::default() })
}

fn bench() -> Bench {
    bench_with(|_| {})
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn form(parameters: &[(&str, &str)]) -> String {
    let pairs = parameters.iter().map(|(name, value)| format!("{name}={}", encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn post_with(
    bench: &Bench,
    target: &str,
    parameters: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = Request::post(target)
        .header("host", "emulator.test")
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(form(parameters).into()).expect("a request");
    bench.emulator.handle(&request).into()
}

fn post(bench: &Bench, target: &str, parameters: &[(&str, &str)]) -> Answer {
    post_with(bench, target, parameters, &[])
}

fn credentials<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![
        ("grant_type", "client_credentials"),
        ("client_id", APP),
        ("client_secret", SECRET),
        ("scope", SCOPE),
    ];
    for (name, value) in changes {
        all.retain(|(known, _)| known != name);
        if *value != "-" {
            all.push((name, value));
        }
    }
    all
}

/// The claims of a token.
fn claims(token: &Value) -> Value {
    let token = token.as_str().expect("a token");
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    let read = |part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let header: Value = read(parts[0]);
    assert_eq!(header["typ"], "JWT");
    read(parts[1])
}

/// Checks the shape of a refusal and says what it is: status, error, number.
#[track_caller]
fn refusal(answer: &Answer) -> (u16, &str, i64) {
    let json = &answer.json;
    let error = json["error"].as_str().unwrap_or_else(|| panic!("{}", answer.text));
    let number = json["error_codes"][0].as_i64().expect("a number");
    let (trace, correlation) = (json["trace_id"].as_str(), json["correlation_id"].as_str());
    let (trace, correlation) = (trace.expect("a trace"), correlation.expect("an id"));
    let timestamp = json["timestamp"].as_str().expect("a time");
    assert!(timestamp.starts_with("2026-01-01 00:") && timestamp.ends_with('Z'), "{timestamp}");
    let description = json["error_description"].as_str().expect("a description");
    let lines: Vec<&str> = description.split("\r\n").collect();
    assert!(lines[0].starts_with(&format!("AADSTS{number}: ")), "{description}");
    assert_eq!(lines[1], format!("Trace ID: {trace}"));
    assert_eq!(lines[2], format!("Correlation ID: {correlation}"));
    assert_eq!(lines[3], format!("Timestamp: {timestamp}"));
    assert_eq!(answer.header("x-ms-request-id"), Some(trace));
    assert_eq!(answer.header("cache-control"), Some("no-store, no-cache"));
    (answer.status.as_u16(), error, number)
}

#[test]
fn an_application_gets_a_token_that_tells_its_roles() {
    let bench = bench();
    bench.wait(5_000);
    let basic = "Basic M2QxZjBlMmEtN2MxYi00YTYyLTlmMGUtOGE1YjRjM2QyZTFmOmh1c2h+bWFkZS51cA==";
    let answers = [
        post(&bench, TOKEN, &credentials(&[])),
        post(&bench, TOKEN, &credentials(&[("client_id", &APP.to_uppercase())])),
        post_with(
            &bench,
            TOKEN,
            &credentials(&[("client_id", "-"), ("client_secret", "-")]),
            &[("authorization", basic)],
        ),
        post(&bench, "/Contoso.com/oauth2/v2.0/token", &credentials(&[])),
        post(&bench, TOKEN, &credentials(&[("scope", "http://emulator.test/.default")])),
        post(&bench, TOKEN, &credentials(&[("scope", "https://graph.microsoft.us/.default")])),
    ];
    let audiences = ["https://graph.microsoft.com"; 4];
    let audiences = audiences.iter().chain(&["http://emulator.test", "https://graph.microsoft.us"]);
    let mut texts = Vec::new();
    for (answer, audience) in answers.iter().zip(audiences) {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        assert_eq!(answer.header("cache-control"), Some("no-store, no-cache"));
        let json = &answer.json;
        assert_eq!(json["token_type"], "Bearer");
        assert_eq!((&json["expires_in"], &json["ext_expires_in"]), (&json!(3600), &json!(3600)));
        assert!(json.get("refresh_token").is_none());
        let claims = claims(&json["access_token"]);
        assert_eq!(
            claims["roles"],
            json!(["ExternalConnection.ReadWrite.OwnedBy", "ExternalItem.ReadWrite.OwnedBy"])
        );
        assert_eq!(claims["aud"], *audience);
        assert_eq!((&claims["appid"], &claims["tid"]), (&json!(APP), &json!(TENANT)));
        assert_eq!(claims["iat"], ORIGIN + 5);
        assert_eq!(claims["nbf"], ORIGIN + 5);
        assert_eq!(claims["exp"], ORIGIN + 3605);
        assert_eq!(claims["idtyp"], "app");
        assert_eq!(claims["iss"], "https://sts.windows.net/contoso.com/");
        assert!(claims.get("scp").is_none());
        assert_eq!(claims["oid"].as_str().map(str::len), Some(36));
        texts.push(json["access_token"].clone());
    }
    texts.sort_by_key(Value::to_string);
    texts.dedup();
    assert_eq!((texts.len(), bench.emulator.tokens_issued()), (6, 6));
    assert_eq!(bench.emulator.count("POST token"), 6);
}

#[test]
fn the_same_requests_get_the_same_tokens() {
    let run = || post(&bench(), TOKEN, &credentials(&[])).json;
    assert_eq!(run(), run());
}

#[test]
fn each_mistake_of_an_application_is_refused_as_the_platform_does() {
    for (changes, expected) in [
        (&[("grant_type", "-")][..], (400, "invalid_request", 900_144)),
        (&[("grant_type", "")], (400, "invalid_request", 900_144)),
        (&[("grant_type", "password")], (400, "unsupported_grant_type", 70_003)),
        (&[("client_id", "-")], (400, "invalid_request", 900_144)),
        (&[("client_id", "nobody")], (400, "unauthorized_client", 700_016)),
        (&[("client_id", "stranger")], (400, "unauthorized_client", 700_016)),
        (&[("client_secret", "-")], (401, "invalid_client", 7_000_216)),
        (&[("client_secret", "wrong")], (401, "invalid_client", 7_000_215)),
        (&[("client_secret", "hush~made.u")], (401, "invalid_client", 7_000_215)),
        (&[("client_id", "public")], (401, "invalid_client", 700_025)),
        (&[("scope", "-")], (400, "invalid_request", 900_144)),
        (&[("scope", "https://graph.microsoft.com")], (400, "invalid_scope", 1_002_012)),
        (&[("scope", "ExternalItem.ReadWrite.OwnedBy")], (400, "invalid_scope", 1_002_012)),
        (
            &[("scope", "https://graph.microsoft.com/.default openid")],
            (400, "invalid_scope", 70_011),
        ),
        (&[("scope", "https://planet.test/.default")], (400, "invalid_resource", 500_011)),
        (&[("claims", "nonsense")], (400, "invalid_request", 9_002_313)),
        (&[("claims", "[]")], (400, "invalid_request", 9_002_313)),
    ] {
        let answer = post(&bench(), TOKEN, &credentials(changes));
        assert_eq!(refusal(&answer), expected, "{changes:?}");
        assert!(!answer.text.contains(SECRET) && !answer.text.contains("wrong"));
    }
    for (tenant, expected) in [
        ("common", (400, "invalid_request", 50_059)),
        ("Organizations", (400, "invalid_request", 50_059)),
        ("consumers", (400, "invalid_request", 50_059)),
        ("nowhere.com", (400, "invalid_request", 90_002)),
        ("fabrikam.com", (400, "unauthorized_client", 700_016)),
    ] {
        let target = TOKEN.replace(TENANT, tenant);
        assert_eq!(refusal(&post(&bench(), &target, &credentials(&[]))), expected, "{tenant}");
    }
}

#[test]
fn a_form_that_is_none_has_no_parameters() {
    let bench = bench();
    let body = form(&credentials(&[]));
    for (kind, body, number) in [
        ("application/json", body.clone(), 900_144),
        ("text/plain", body.clone(), 900_144),
        ("application/x-www-form-urlencoded", "grant_type=%".to_owned(), 9_002_313),
        ("application/x-www-form-urlencoded", format!("{body}&scope=a"), 9_002_313),
        ("application/x-www-form-urlencoded", String::new(), 900_144),
    ] {
        let request = Request::post(TOKEN).header("content-type", kind);
        let request = request.body(body.into()).expect("a request");
        assert_eq!(refusal(&bench.emulator.handle(&request).into()).2, number, "{kind}");
    }
    for basic in ["Basic ?", "Basic bm9jb2xvbg==", "Bearer any"] {
        let answer = post_with(&bench, TOKEN, &credentials(&[]), &[("authorization", basic)]);
        assert_eq!(refusal(&answer).2, 9_002_313, "{basic}");
    }
}

fn assertion(claims: &Value) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let header = part(r#"{"alg":"PS256","typ":"JWT"}"#);
    format!("{header}.{}.{}", part(&claims.to_string()), part("signature"))
}

#[test]
fn an_assertion_is_judged_by_what_is_in_it() {
    const JWT: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let url = "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token";
    let own = json!({"iss": APP, "sub": APP, "aud": url, "exp": ORIGIN + 600, "jti": "1"});
    let foreign = json!({"iss": "https://issuer.test", "sub": "workload",
        "aud": "api://AzureADTokenExchange", "exp": ORIGIN + 600});
    let with = |base: &Value, name: &str, value: Value| {
        let mut changed = base.clone();
        match value {
            Value::Null => drop(changed.as_object_mut().unwrap().remove(name)),
            value => changed[name] = value,
        }
        assertion(&changed)
    };
    let send = |assertion: &str, kind: &str| {
        let parameters = credentials(&[
            ("client_secret", "-"),
            ("client_assertion", assertion),
            ("client_assertion_type", kind),
        ]);
        post(&bench(), TOKEN, &parameters)
    };
    for good in [
        assertion(&own),
        assertion(&foreign),
        with(&own, "aud", json!(format!("http://127.0.0.1:1{TOKEN}"))),
        with(&own, "nbf", json!(ORIGIN)),
        with(&own, "exp", json!(ORIGIN - 299)),
    ] {
        let answer = send(&good, JWT);
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(claims(&answer.json["access_token"])["appid"], APP);
    }
    for (bad, number) in [
        ("nonsense".to_owned(), 50_027),
        ("a.b.c".to_owned(), 50_027),
        (assertion(&own).rsplit_once('.').unwrap().0.to_owned() + ".", 50_027),
        (with(&own, "iss", Value::Null), 50_027),
        (with(&own, "sub", Value::Null), 50_027),
        (with(&own, "aud", Value::Null), 50_027),
        (with(&own, "exp", Value::Null), 50_027),
        (with(&own, "exp", json!(ORIGIN - 300)), 700_024),
        (with(&own, "nbf", json!(ORIGIN + 301)), 700_024),
        (with(&own, "sub", json!("another")), 700_021),
        (with(&own, "iss", json!("another")), 700_021),
        (with(&own, "aud", json!("https://login.microsoftonline.com/common/v2.0")), 700_023),
        (with(&foreign, "iss", json!("https://other.test")), 700_213),
        (with(&foreign, "sub", json!("other")), 700_213),
        (with(&foreign, "aud", json!(url)), 700_213),
    ] {
        assert_eq!(refusal(&send(&bad, JWT)), (401, "invalid_client", number), "{bad}");
    }
    assert_eq!(refusal(&send(&assertion(&own), "other")).1, "invalid_request");
    assert_eq!(refusal(&send(&assertion(&own), "")).2, 900_144);
}

#[test]
fn faults_strike_the_identity_platform_in_its_own_shape() {
    let bench = bench();
    let script = |fault: &str| {
        bench.emulator.clear_faults();
        bench.emulator.script(fault).unwrap_or_else(|why| panic!("{fault}: {why}"));
        post(&bench, TOKEN, &credentials(&[]))
    };
    for (fault, status, error) in [
        ("POST token: 503 retry-after=2", 503, "temporarily_unavailable"),
        ("token: 429", 429, "temporarily_unavailable"),
        ("token: 401", 401, "invalid_client"),
        ("token: 400 code=interaction_required", 400, "interaction_required"),
    ] {
        let answer = script(fault);
        assert_eq!((answer.status.as_u16(), &answer.json["error"]), (status, &json!(error)));
        assert_eq!(answer.header("retry-after"), fault.contains("after=2").then_some("2"));
    }
    for fault in ["*: 503", "POST *: 503", "devicecode: 503", "imds: 503"] {
        assert_eq!(script(fault).status, 200, "{fault}");
    }
    assert_eq!(bench.emulator.tokens_issued(), 4);
    assert_eq!(script("token: stored 500").status, 500);
    assert_eq!(bench.emulator.tokens_issued(), 5);
}

#[test]
fn without_applications_there_is_no_identity_platform() {
    let bench = Bench::empty();
    let answer = post(&bench, TOKEN, &credentials(&[]));
    assert_eq!(answer.status, 401, "as ever without a bearer token");
    for target in [TOKEN, DEVICE] {
        assert_eq!(bench.send("POST", target, "").status, 501);
    }
    assert_eq!(bench.emulator.token(APP), None);
    assert_eq!(bench.emulator.refresh_token(APP), None);
    assert!(bench.emulator.require_claims(Some("{}")).is_err());
    assert!(!bench.emulator.sign_in("A", None));
}
