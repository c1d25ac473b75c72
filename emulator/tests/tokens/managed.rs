//! Tokens of managed identities: App Service and IMDS.

use http::Request;

use super::{
    APP, ORIGIN, bench, bench_with, claims, refusal,
    support::{Answer, Bench},
};

fn get(bench: &Bench, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(target).header("host", "emulator.test");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    bench.emulator.handle(&request.body(Default::default()).expect("a request")).into()
}

#[test]
fn a_managed_identity_gets_its_token_from_app_service() {
    const TARGET: &str =
        "/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fgraph.microsoft.com%2F";
    let header = ("x-identity-header", "identity-header");
    let bench = bench();
    for target in [TARGET, &format!("{TARGET}&client_id={APP}")] {
        let answer = get(&bench, target, &[header]);
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json["expires_on"], (ORIGIN + 3600).to_string());
        assert_eq!(answer.json["token_type"], "Bearer");
        assert_eq!(answer.json["resource"], "https://graph.microsoft.com/");
        assert_eq!(answer.json["client_id"], APP);
        assert_eq!(claims(&answer.json["access_token"])["aud"], "https://graph.microsoft.com");
    }
    for (target, headers) in [
        (TARGET, &[][..]),
        (TARGET, &[("x-identity-header", "wrong")]),
        ("/msi/token?api-version=2017-09-01&resource=https://graph.microsoft.com", &[header]),
        ("/msi/token?api-version=2019-08-01", &[header]),
        ("/msi/token?api-version=2019-08-01&resource=https://planet.test", &[header]),
        (&format!("{TARGET}&client_id=nobody"), &[header]),
    ] {
        let answer = get(&bench, target, headers);
        assert_eq!(answer.status, 400, "{target}");
        assert_eq!(answer.json["statusCode"], 400);
        assert!(answer.json["message"].is_string() && answer.json["correlationId"].is_string());
    }
}

#[test]
fn a_managed_identity_gets_its_token_from_imds() {
    const TARGET: &str = "http://169.254.169.254/metadata/identity/oauth2/token\
        ?api-version=2018-02-01&resource=https://graph.microsoft.com";
    let bench = bench();
    let answer = get(&bench, TARGET, &[("metadata", "true")]);
    assert_eq!(answer.status, 200, "{}", answer.text);
    for (name, value) in [
        ("expires_in", "3600"),
        ("ext_expires_in", "3600"),
        ("expires_on", &*(ORIGIN + 3600).to_string()),
        ("not_before", &*ORIGIN.to_string()),
        ("resource", "https://graph.microsoft.com"),
        ("token_type", "Bearer"),
        ("client_id", APP),
    ] {
        assert_eq!(answer.json[name], value, "{name}");
    }
    assert_eq!(claims(&answer.json["access_token"])["idtyp"], "app");
    for (target, headers) in [
        (TARGET, &[][..]),
        (TARGET, &[("metadata", "false")]),
        (&*TARGET.replace("2018", "2017"), &[("metadata", "true")]),
        (&*TARGET.replace("&resource", "&other"), &[("metadata", "true")]),
        (&*format!("{TARGET}&client_id=nobody"), &[("metadata", "true")]),
    ] {
        let answer = get(&bench, target, headers);
        assert_eq!(refusal(&answer), (400, "invalid_request", 90_014), "{target}");
    }
    let none = bench_with(|authorization| authorization.managed_identity = None);
    assert_eq!(get(&none, TARGET, &[("metadata", "true")]).status, 400);
}
