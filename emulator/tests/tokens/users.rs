//! Tokens of users: refresh tokens, and the sign-in with a device code.

use std::time::Duration;

use graphfeed_emulator::{Authorization, SignIn};
use serde_json::{Value, json};

use super::{
    ACTIVITIES, APP, DEVICE, SECRET, TENANT, TOKEN, bench, bench_with, claims, post, refusal,
    support::{Answer, Bench},
};

fn refresh<'a>(token: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![
        ("grant_type", "refresh_token"),
        ("client_id", APP),
        ("refresh_token", token),
        ("scope", "https://graph.microsoft.com/UserActivity.ReadWrite.CreatedByApp offline_access"),
    ];
    all.extend_from_slice(changes);
    all
}

#[test]
fn a_refresh_token_gives_a_new_one_each_time_and_stays_good_unless_it_is_said() {
    for once in [false, true] {
        let bench = bench_with(|authorization| authorization.refresh_once = once);
        let mut token = bench.emulator.refresh_token(APP).expect("registered");
        let first = token.clone();
        for _ in 0..3 {
            let answer = post(&bench, TOKEN, &refresh(&token, &[("client_secret", SECRET)]));
            assert_eq!(answer.status, 200, "{}", answer.text);
            assert_eq!(
                answer.json["scope"],
                "https://graph.microsoft.com/UserActivity.ReadWrite.CreatedByApp"
            );
            let claims = claims(&answer.json["access_token"]);
            assert_eq!((&claims["scp"], &claims["idtyp"]), (&json!(ACTIVITIES), &json!("user")));
            assert!(claims.get("roles").is_none());
            let next = answer.json["refresh_token"].as_str().expect("a new one").to_owned();
            assert_ne!(std::mem::replace(&mut token, next.clone()), next);
        }
        let again = post(&bench, TOKEN, &refresh(&first, &[]));
        match once {
            false => assert_eq!(again.status, 200),
            true => assert_eq!(refusal(&again), (400, "invalid_grant", 70_000)),
        }
    }
}

#[test]
fn a_refresh_token_is_good_for_its_application_and_for_what_was_granted() {
    let bench = bench();
    let token = bench.emulator.refresh_token(APP).expect("registered");
    let send = |parameters: &[(&str, &str)]| post(&bench, TOKEN, parameters);
    assert_eq!(refusal(&send(&refresh("nonsense", &[]))), (400, "invalid_grant", 70_000));
    let mut other = refresh(&token, &[]);
    other[1].1 = "public";
    assert_eq!(refusal(&send(&other)), (400, "invalid_grant", 70_000));
    let wrong = refresh(&token, &[("client_secret", "wrong")]);
    assert_eq!(refusal(&send(&wrong)), (401, "invalid_client", 7_000_215));
    let mut more = refresh(&token, &[]);
    more[3].1 = "Mail.Read offline_access";
    let answer = send(&more);
    assert_eq!(refusal(&answer), (400, "invalid_grant", 65_001));
    assert_eq!(answer.json["suberror"], "consent_required");
    more.remove(3);
    assert_eq!(send(&more).status, 200, "the scope may be left out");
    let target = TOKEN.replace(TENANT, "common");
    assert_eq!(post(&bench, &target, &refresh(&token, &[])).status, 200);
    assert_eq!(bench.emulator.refresh_token("nobody"), None);
}

fn start(bench: &Bench, scope: &str) -> Answer {
    post(bench, DEVICE, &[("client_id", "public"), ("scope", scope)])
}

fn poll(bench: &Bench, code: &Value) -> Answer {
    post(
        bench,
        TOKEN,
        &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", "public"),
            ("device_code", code.as_str().expect("a code")),
        ],
    )
}

const USER_SCOPE: &str =
    "openid offline_access https://graph.microsoft.com/UserActivity.ReadWrite.CreatedByApp";

#[test]
fn a_user_signs_in_with_a_device_code() {
    let bench = bench();
    let started = start(&bench, USER_SCOPE);
    let json = &started.json;
    assert_eq!(started.status, 200, "{}", started.text);
    assert_eq!((&json["expires_in"], &json["interval"]), (&json!(900), &json!(5)));
    assert_eq!(json["verification_uri"], "https://microsoft.com/devicelogin");
    let user_code = json["user_code"].as_str().expect("a code");
    assert!(json["message"].as_str().expect("a text").contains(user_code));
    assert_eq!(user_code.len(), 9);
    assert_eq!(bench.emulator.user_codes(), [user_code]);

    let pending = (400, "authorization_pending", 70_016);
    assert_eq!(refusal(&poll(&bench, &json["device_code"])), pending);
    bench.wait(5_000);
    assert_eq!(refusal(&poll(&bench, &json["device_code"])), pending);
    assert!(bench.emulator.sign_in(&user_code.to_lowercase(), Some("megan")));
    assert!(!bench.emulator.sign_in(user_code, None));
    bench.wait(5_000);
    let answer = poll(&bench, &json["device_code"]);
    assert_eq!(answer.status, 200, "{}", answer.text);
    let access = claims(&answer.json["access_token"]);
    assert_eq!((&access["oid"], &access["scp"]), (&json!("megan"), &json!(ACTIVITIES)));
    assert_eq!(claims(&answer.json["id_token"])["aud"], "public");
    assert!(answer.json["refresh_token"].is_string());
    bench.wait(5_000);
    let again = poll(&bench, &json["device_code"]);
    assert_eq!(refusal(&again), (400, "invalid_grant", 54_005));
    assert!(bench.emulator.user_codes().is_empty());
}

#[test]
fn who_asks_too_fast_is_told_to_slow_down_and_has_to() {
    let bench = bench_with(|authorization| authorization.sign_in = SignIn::AfterPolls(4));
    let code = start(&bench, USER_SCOPE).json["device_code"].clone();
    let mut told = Vec::new();
    // Each slow_down adds five seconds to the interval, which counts from the last question.
    for wait in [0, 4_999, 10_000, 9_999, 15_000] {
        bench.wait(wait);
        let answer = poll(&bench, &code);
        told.push(match answer.status.as_u16() {
            200 => "token".to_owned(),
            _ => refusal(&answer).1.to_owned(),
        });
    }
    let pending = "authorization_pending";
    assert_eq!(told, [pending, "slow_down", pending, "slow_down", "token"]);
}

#[test]
fn a_sign_in_ends_without_a_token_too() {
    let bench = bench();
    let declined = start(&bench, USER_SCOPE).json;
    assert!(bench.emulator.decline(declined["user_code"].as_str().expect("a code")));
    let answer = poll(&bench, &declined["device_code"]);
    assert_eq!(refusal(&answer), (400, "authorization_declined", 65_004));

    let late = start(&bench, USER_SCOPE).json;
    bench.wait(899_999);
    let answer = poll(&bench, &late["device_code"]);
    assert_eq!(refusal(&answer).1, "authorization_pending");
    bench.wait(1);
    let answer = poll(&bench, &late["device_code"]);
    assert_eq!(refusal(&answer), (400, "expired_token", 70_019));
    assert!(!bench.emulator.sign_in(late["user_code"].as_str().expect("a code"), None));

    let answer = poll(&bench, &json!("nonsense"));
    assert_eq!(refusal(&answer), (400, "bad_verification_code", 70_018));

    let more = start(&bench, "Mail.Read").json;
    bench.emulator.sign_in(more["user_code"].as_str().expect("a code"), None);
    assert_eq!(refusal(&poll(&bench, &more["device_code"])), (400, "invalid_grant", 65_001));

    for (parameters, expected) in [
        (&[("client_id", "public")][..], (400, "invalid_request", 900_144)),
        (&[("scope", "openid")], (400, "invalid_request", 900_144)),
        (&[("client_id", "nobody"), ("scope", "openid")], (400, "unauthorized_client", 700_016)),
        (
            &[("client_id", "public"), ("scope", "https://planet.test/a")],
            (400, "invalid_resource", 500_011),
        ),
        (
            &[("client_id", "public"), ("scope", "https://graph.microsoft.us/a b")],
            (400, "invalid_scope", 70_011),
        ),
    ] {
        assert_eq!(refusal(&post(&bench, DEVICE, parameters)), expected, "{parameters:?}");
    }
}

#[test]
fn a_user_may_sign_in_by_themselves_after_some_time() {
    let after = SignIn::After(Duration::from_secs(60));
    let bench = bench_with(|authorization| authorization.sign_in = after);
    let code = start(&bench, USER_SCOPE).json["device_code"].clone();
    bench.wait(59_999);
    assert_eq!(refusal(&poll(&bench, &code)).1, "authorization_pending");
    bench.wait(5_000);
    let answer = poll(&bench, &code);
    let oid = claims(&answer.json["access_token"])["oid"].clone();
    assert_eq!(oid, Authorization::default().user);
}
