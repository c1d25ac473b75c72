//! How tokens are fetched: each flow by its own document, with repeats where the platform is busy
//! and an end where it says no.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::{
    client::{Clock, Failure, SendOptions, TokenProvider, TokenSource, Transport, VirtualClock},
    external::GetConnection,
    machine::{
        Exchange, Machine, Policy, Shared, Step, Tick, Token, TokenNeed,
        identity::{Application, Authority, Credential, Fetch, FetchStep, Tenant},
    },
    protocol::{Cloud, Endpoint, ServiceRoot, TokenError, TokenErrorCode},
    types::{ConnectionId, Rule, Secret, TokenKind},
};

fn authority() -> Authority {
    Authority::new(Cloud::Global, Tenant::new("contoso.com").unwrap())
}

fn application() -> Application {
    Application::new(authority(), "app-id", Cloud::Global)
}

fn secret() -> Credential {
    Credential::client_secret(application(), Secret::new("s3&c r+t")).unwrap()
}

fn need() -> TokenNeed {
    // A need comes from a machine; this is how one asks.
    let call = GetConnection::new(&ConnectionId::new("contosohr").unwrap())
        .call(&ServiceRoot::v1())
        .unwrap();
    let mut exchange = Exchange::new(call, &Policy::default(), 0, Tick::default());
    match exchange.poll(Tick::default(), &mut Shared::default()) {
        Step::Token(need) => need,
        other => panic!("{other:?}"),
    }
}

fn json(status: u16, body: &str) -> http::Response<Bytes> {
    http::Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

const TOKEN: &str = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"the-token"}"#;

fn refusal(code: &str) -> http::Response<Bytes> {
    json(
        400,
        &format!(
            r#"{{"error":"{code}","error_description":"AADSTS7000215: Invalid client secret.\r\nTrace ID: x","error_codes":[7000215],"timestamp":"2026-01-01 00:00:00Z","trace_id":"t-1","correlation_id":"c-1","new":[1]}}"#
        ),
    )
}

/// What was asked: method, address and form.
type Request = (String, String, String);
type Asked = Arc<Mutex<Vec<Request>>>;
type Outcome = Result<Token, TokenError>;

/// A platform that gives one answer after the other.
fn platform(
    answers: Vec<Result<http::Response<Bytes>, Failure>>,
) -> (impl Transport + Send + Sync, Asked) {
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    let answers = Mutex::new(answers.into_iter());
    let transport = move |request: http::Request<Bytes>, _: &SendOptions| {
        seen.lock().unwrap().push((
            request.method().to_string(),
            request.uri().to_string(),
            String::from_utf8(request.body().to_vec()).unwrap(),
        ));
        answers.lock().unwrap().next().expect("one request more than answers")
    };
    (transport, asked)
}

fn fetched(
    credential: Credential,
    answers: Vec<Result<http::Response<Bytes>, Failure>>,
) -> (Outcome, Vec<Request>, Duration) {
    let (transport, asked) = platform(answers);
    let clock = Arc::new(VirtualClock::default());
    let provider = TokenProvider::new(credential, transport, Arc::clone(&clock), 1);
    let result = provider.token(&need());
    let asked = asked.lock().unwrap().clone();
    (result, asked, clock.now().since_origin())
}

#[test]
fn a_client_secret_goes_to_the_authority_as_a_form() {
    let (token, asked, _) = fetched(secret(), vec![Ok(json(200, TOKEN))]);
    let token = token.unwrap();
    assert_eq!(token.expires_in, Some(Duration::from_secs(3599)));
    assert_eq!(token.kind, TokenKind::Application);
    assert_eq!(
        asked,
        [(
            "POST".to_owned(),
            "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token".to_owned(),
            "grant_type=client_credentials&client_id=app-id\
             &scope=https%3A%2F%2Fgraph.microsoft.com%2F.default&client_secret=s3%26c%20r%2Bt"
                .to_owned()
        )]
    );
}

#[test]
fn each_cloud_has_its_scope() {
    for (cloud, scope) in [
        (Cloud::UsGovL4, "https%3A%2F%2Fgraph.microsoft.us%2F.default"),
        (Cloud::UsGovL5, "https%3A%2F%2Fdod-graph.microsoft.us%2F.default"),
        (Cloud::China, "https%3A%2F%2Fmicrosoftgraph.chinacloudapi.cn%2F.default"),
    ] {
        let authority = Authority::new(cloud, Tenant::new("contoso.com").unwrap());
        let application = Application::new(authority, "app-id", cloud);
        let credential = Credential::client_secret(application, Secret::new("s")).unwrap();
        let (token, asked, _) = fetched(credential, vec![Ok(json(200, TOKEN))]);
        token.unwrap();
        assert!(asked[0].1.starts_with(cloud.login()));
        assert!(asked[0].2.contains(scope), "{}", asked[0].2);
    }
}

#[test]
fn an_applications_token_needs_a_tenant_of_its_own() {
    for tenant in [Tenant::common(), Tenant::organizations(), Tenant::consumers()] {
        let application =
            Application::new(Authority::new(Cloud::Global, tenant), "app-id", Cloud::Global);
        for refused in [
            Credential::client_secret(application.clone(), Secret::new("s")).unwrap_err(),
            Credential::assertion(application.clone()).unwrap_err(),
        ] {
            assert!(refused.breaks(Rule::TokenKind));
        }
        assert_eq!(Credential::device_code(application).kind(), TokenKind::Delegated);
    }
}

#[test]
fn a_busy_platform_is_asked_again_and_a_refusal_is_final() {
    let busy = |status| Ok(json(status, "<html>"));
    let (token, asked, waited) = fetched(
        secret(),
        vec![
            busy(503),
            Err(Failure::maybe_sent("reset")),
            Ok(refusal("temporarily_unavailable")),
            Ok(json(200, TOKEN)),
        ],
    );
    token.unwrap();
    assert_eq!(asked.len(), 4);
    assert!((1.75..=3.5).contains(&waited.as_secs_f64()), "{waited:?}");

    let mut told = json(429, "{}");
    told.headers_mut().insert("retry-after", "7".parse().unwrap());
    let (token, _, waited) = fetched(secret(), vec![Ok(told), Ok(json(200, TOKEN))]);
    token.unwrap();
    assert_eq!(waited, Duration::from_secs(7));

    let (error, asked, waited) = fetched(secret(), vec![Ok(refusal("invalid_client"))]);
    let error = error.unwrap_err();
    assert_eq!((asked.len(), waited), (1, Duration::ZERO));
    assert_eq!(error.code(), Some(&TokenErrorCode::InvalidClient));
    let TokenError::Refused(refusal) = &error else { panic!() };
    assert_eq!(
        (&refusal.error_codes[..], refusal.trace_id.as_deref()),
        (&[7000215][..], Some("t-1"))
    );
    assert_eq!(
        error.to_string(),
        "the identity platform refuses: invalid_client: AADSTS7000215: Invalid client secret.; \
         check the client secret (its value, not its id) or the certificate, and that it has not \
         expired (trace id t-1)"
    );

    let bad = Failure::not_sent("bad certificate").permanent();
    let (error, asked, _) = fetched(secret(), vec![Err(bad)]);
    assert!(matches!(error.unwrap_err(), TokenError::Transport(_)));
    assert_eq!(asked.len(), 1);
}

#[test]
fn fetching_ends_when_its_time_is_over() {
    let mut fetch = Fetch::new(secret(), None, Duration::from_secs(10), 1, Tick::default());
    let mut now = Tick::default();
    let mut requests = 0;
    let error = loop {
        match fetch.poll(now) {
            FetchStep::Send(attempt) => {
                requests += 1;
                fetch.on_response(attempt.ticket, now, &json(500, ""));
            }
            FetchStep::Wait(until) => {
                assert!(until > now);
                now = until;
            }
            FetchStep::Done(result) => break result.unwrap_err(),
            other => panic!("{other:?}"),
        }
    };
    assert!(now <= Tick::new(Duration::from_secs(10)));
    assert!((4..=6).contains(&requests), "{requests}");
    assert!(matches!(error, TokenError::Unreadable { status: 500, .. }));
    assert!(matches!(fetch.poll(now), FetchStep::Wait(Tick::MAX)));

    let mut fetch = Fetch::new(secret(), None, Duration::from_secs(10), 1, Tick::default());
    let FetchStep::Send(silent) = fetch.poll(Tick::default()) else { panic!() };
    let late = Tick::new(silent.timeout);
    assert_eq!(silent.timeout, Duration::from_secs(10));
    assert!(matches!(fetch.poll(late), FetchStep::Done(Err(TokenError::Transport(_)))));
}

#[test]
fn what_is_no_token_is_not_repeated_in_the_error() {
    for body in [r#"{"access_token":"hid\nzqx"}"#, r#"{"access_token":["hidden"]}"#, "hidden", ""] {
        let (error, _, _) = fetched(secret(), vec![Ok(json(200, body))]);
        let error = error.unwrap_err();
        assert!(matches!(error, TokenError::Unreadable { status: 200, .. }), "{error:?}");
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(!text.contains("hid") && !text.contains("zqx"), "{text}");
        }
    }
}

#[test]
fn a_refresh_token_is_replaced_by_the_one_that_comes_back_and_kept() {
    let answer = |token: &str| {
        Ok(json(200, &TOKEN.replace('}', &format!(r#","refresh_token":"{token}"}}"#))))
    };
    let (transport, asked) = platform(vec![
        answer("second"),
        answer("third"),
        Ok(json(200, TOKEN)),
        Ok(json(200, TOKEN)),
    ]);
    let scope = "https://graph.microsoft.com/UserActivity.ReadWrite.CreatedByApp offline_access";
    let application =
        Application::new(Authority::new(Cloud::Global, Tenant::common()), "app-id", Cloud::Global)
            .scope(scope);
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let credential = Credential::refresh_token(application, Secret::new("first"));
    let provider = TokenProvider::new(credential, transport, VirtualClock::default(), 1)
        .keep_with(move |token| keep.lock().unwrap().push(token.reveal().to_owned()));
    for _ in 0..4 {
        assert_eq!(provider.token(&need()).unwrap().kind, TokenKind::Delegated);
    }
    let sent: Vec<_> = asked
        .lock()
        .unwrap()
        .iter()
        .map(|(_, _, form)| {
            assert!(form.contains("offline_access"), "{form}");
            form.split('&').find_map(|pair| pair.strip_prefix("refresh_token=")).unwrap().to_owned()
        })
        .collect();
    assert_eq!(sent, ["first", "second", "third", "third"]);
    assert_eq!(*kept.lock().unwrap(), ["second", "third"]);
}

const CODE: &str = r#"{"device_code":"dev","user_code":"ABC","verification_uri":"https://microsoft.com/devicelogin","expires_in":900,"interval":5,"message":"Go there and type ABC"}"#;

fn sign_in(answers: Vec<http::Response<Bytes>>) -> (Outcome, Vec<Request>, Duration, String) {
    sign_in_over(answers.into_iter().map(Ok).collect())
}

fn sign_in_over(
    answers: Vec<Result<http::Response<Bytes>, Failure>>,
) -> (Outcome, Vec<Request>, Duration, String) {
    let application =
        Application::new(Authority::new(Cloud::Global, Tenant::common()), "app-id", Cloud::Global);
    let (transport, asked) = platform(answers);
    let clock = Arc::new(VirtualClock::default());
    let shown = Arc::new(Mutex::new(String::new()));
    let show = Arc::clone(&shown);
    let provider =
        TokenProvider::new(Credential::device_code(application), transport, Arc::clone(&clock), 1)
            .show_with(move |code| {
                *show.lock().unwrap() = format!("{} {}", code.verification_uri, code.user_code);
            });
    let result = provider.token(&need());
    let asked = asked.lock().unwrap().clone();
    let shown = shown.lock().unwrap().clone();
    (result, asked, clock.now().since_origin(), shown)
}

#[test]
fn a_user_signs_in_with_a_device_code_in_their_own_time() {
    let (token, asked, waited, shown) = sign_in(vec![
        json(200, CODE),
        refusal("authorization_pending"),
        refusal("slow_down"),
        refusal("authorization_pending"),
        json(200, TOKEN),
    ]);
    token.unwrap();
    assert_eq!(shown, "https://microsoft.com/devicelogin ABC");
    // 5 s, 5 s, and after slow_down 10 s twice.
    assert_eq!(waited, Duration::from_secs(30));
    assert!(asked[0].1.ends_with("/common/oauth2/v2.0/devicecode"));
    assert!(asked[1].1.ends_with("/common/oauth2/v2.0/token"));
    assert_eq!(
        asked[1].2,
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=app-id\
         &device_code=dev"
    );
}

#[test]
fn a_code_is_asked_with_no_more_often_than_told_where_the_platform_is_busy() {
    let busy = [Ok(json(503, "")), Err(Failure::maybe_sent("reset"))];
    for between in busy {
        let answers = vec![Ok(json(200, CODE)), between, Ok(json(200, TOKEN))];
        let (token, asked, waited, _) = sign_in_over(answers);
        token.unwrap();
        assert_eq!((asked.len(), waited), (3, Duration::from_secs(10)));
    }
}

#[test]
fn a_user_may_decline_or_take_too_long() {
    for code in
        ["authorization_declined", "expired_token", "bad_verification_code", "access_denied"]
    {
        let (error, asked, ..) = sign_in(vec![json(200, CODE), refusal(code)]);
        assert_eq!(error.unwrap_err().code().unwrap().as_str(), code);
        assert_eq!(asked.len(), 2);
    }
    let mut answers = vec![json(200, CODE)];
    answers.extend((0..179).map(|_| refusal("authorization_pending")));
    let (error, asked, waited, _) = sign_in(answers);
    assert!(matches!(error.unwrap_err(), TokenError::TimedOut));
    assert_eq!((asked.len(), waited), (180, Duration::from_secs(900)));
}

#[test]
fn an_assertion_is_signed_by_the_caller() {
    let (transport, asked) = platform(vec![Ok(json(503, "")), Ok(json(200, TOKEN))]);
    let signed = Arc::new(Mutex::new(Vec::new()));
    let sign = Arc::clone(&signed);
    let credential = Credential::assertion(application()).unwrap();
    let provider = TokenProvider::new(credential.clone(), transport, VirtualClock::default(), 1)
        .sign_with(move |need| {
            sign.lock().unwrap().push((need.audience.clone(), need.client_id.clone()));
            Ok(Secret::new("head.body.signature"))
        });
    provider.token(&need()).unwrap();
    let audience = "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token".to_owned();
    assert_eq!(*signed.lock().unwrap(), [(audience, "app-id".to_owned())], "once for one fetch");
    assert!(asked.lock().unwrap()[1].2.ends_with(
        "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
         &client_assertion=head.body.signature"
    ));

    let (transport, _) = platform(vec![]);
    let unsigned = TokenProvider::new(credential, transport, VirtualClock::default(), 1);
    let error = unsigned.token(&need()).unwrap_err();
    assert!(error.to_string().contains("sign_with"), "{error}");
}

#[test]
fn managed_identities_answer_in_their_own_way() {
    let app_service = Credential::app_service_identity(
        "http://localhost:4141/msi/token",
        Secret::new("header-secret"),
        Cloud::Global,
    )
    .unwrap()
    .user_assigned("user-assigned");
    let mut answer = json(200, r#"{"access_token":"t","expires_on":"784887151","resource":"x"}"#);
    answer.headers_mut().insert("date", "Tue, 15 Nov 1994 08:12:31 GMT".parse().unwrap());
    let (token, asked, _) = fetched(app_service, vec![Ok(answer)]);
    assert_eq!(token.unwrap().expires_in, Some(Duration::from_secs(784_887_151 - 784_887_151)));
    assert_eq!(
        asked[0].1,
        "http://localhost:4141/msi/token?api-version=2019-08-01\
         &resource=https%3A%2F%2Fgraph.microsoft.com&client_id=user-assigned"
    );

    let imds = Credential::imds_identity(Cloud::Global);
    assert_eq!(imds.kind(), TokenKind::Application);
    let answers = vec![
        Ok(json(404, "")),
        Ok(json(410, "")),
        Ok(json(200, r#"{"access_token":"t","expires_in":"86399","expires_on":"1"}"#)),
    ];
    let (token, asked, _) = fetched(imds, answers);
    assert_eq!(token.unwrap().expires_in, Some(Duration::from_secs(86_399)));
    assert_eq!(
        asked[2].1,
        "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01\
         &resource=https%3A%2F%2Fgraph.microsoft.com"
    );
    assert_eq!(asked[0].0, "GET");
}

#[test]
fn the_secret_of_an_app_stays_on_its_machine() {
    let at = |endpoint: &str| {
        Credential::app_service_identity(endpoint, Secret::new("header-secret"), Cloud::Global)
    };
    for good in [
        "http://localhost:42356/msi/token",
        "http://LOCALHOST/msi/token",
        "http://127.0.0.1:41741/MSI/token/",
        "http://127.255.255.254",
        "http://169.254.129.2:8081/msi/token",
        "http://[::1]:8081/msi/token",
        "http://[fe80::1]/msi/token",
    ] {
        assert!(at(good).is_ok(), "{good}");
    }
    for bad in [
        "http://identity.example/msi/token",
        "http://localhost.example/msi/token",
        "http://127.0.0.1.example/msi/token",
        "http://localhost@identity.example/msi/token",
        "http://identity.example#localhost",
        "http://localhost#x",
        "http://localhost?x=localhost",
        "http://localhost:0/msi/token",
        "https://localhost/msi/token",
        "http://10.0.0.1/msi/token",
        "http://172.16.0.1/msi/token",
        "http://0.0.0.0/msi/token",
        "http://2130706433/msi/token",
        "http://[2001:db8::1]/msi/token",
        "http://[::ffff:203.0.113.1]/msi/token",
        "http:///msi/token",
        "localhost:8081",
        "",
    ] {
        let why = at(bad).expect_err(bad);
        assert!(why.breaks(Rule::ServiceRoot), "{bad}: {why}");
        assert!(why.to_string().contains("IDENTITY_ENDPOINT"), "{why}");
    }
}

#[test]
fn no_secret_is_shown() {
    let application = application();
    let credentials = [
        secret(),
        Credential::refresh_token_with_secret(
            application,
            Secret::new("s3&c r+t"),
            Secret::new("s3&c r+t"),
        ),
        Credential::app_service_identity("http://[::1]", Secret::new("s3&c r+t"), Cloud::Global)
            .unwrap(),
    ];
    for credential in credentials {
        let mut fetch =
            Fetch::new(credential.clone(), None, Duration::from_secs(1), 1, Tick::default());
        let step = fetch.poll(Tick::default());
        let (transport, _) = platform(vec![]);
        let provider =
            TokenProvider::new(credential.clone(), transport, VirtualClock::default(), 1);
        for text in [
            format!("{credential:?}"),
            format!("{fetch:?}"),
            format!("{step:?}"),
            format!("{provider:?}"),
            format!("{:?}", Secret::new("s3&c r+t")),
        ] {
            assert!(!text.contains("s3&") && !text.contains("s3%26"), "{text}");
        }
    }
}
