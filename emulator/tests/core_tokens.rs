//! The core as a client of the identity platform, and under throttling: the emulator, which has
//! never seen its code, finds nothing early and everything stored. In virtual time.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use graphfeed_core::{
    client::{Client, Clock as _, SendOptions, TokenProvider, Transport, VirtualClock},
    external::{CreateConnection, ExternalConnection, GetConnection, ListConnections},
    machine::identity::{Application as App, Authority, Credential, Tenant},
    protocol::{Cloud, Error, ServiceRoot, Version},
    types::{ConnectionId, Secret},
};
use graphfeed_emulator::{Application, Authorization, Emulator, ManagedIdentity, Options, SignIn};

const TENANT: &str = "contoso.com";

struct World {
    clock: Arc<VirtualClock>,
    emulator: Emulator,
}

impl World {
    fn new(faults: &[&str]) -> Self {
        let application = Application::new("app", "hush")
            .tenant(TENANT)
            .role("ExternalConnection.ReadWrite.OwnedBy")
            .scope("ExternalConnection.ReadWrite.OwnedBy");
        let authorization = Authorization {
            applications: vec![application],
            token_life: Duration::from_secs(600),
            managed_identity: Some(ManagedIdentity::new("app", "header")),
            sign_in: SignIn::AfterPolls(3),
            ..Authorization::default()
        };
        let options = Options {
            authorization: Some(authorization),
            faults: faults.iter().map(|fault| fault.parse().expect("a fault")).collect(),
            ..Options::default()
        };
        let clock = Arc::new(VirtualClock::default());
        let (now, sleep) = (Arc::clone(&clock), Arc::clone(&clock));
        let emulator = Emulator::with_time(
            options,
            move || now.now().since_origin(),
            move |time| sleep.advance(time),
        );
        Self { clock, emulator }
    }

    fn client(&self, credential: Credential) -> Client<Emulator> {
        let transport = self.emulator.clone();
        let tokens = TokenProvider::new(credential, transport, Arc::clone(&self.clock), 7);
        let tokens = tokens.show_with(|_| {});
        Client::builder(ServiceRoot::new(Cloud::Global, Version::V1), tokens)
            .build(self.emulator.clone(), Arc::clone(&self.clock))
    }
}

fn app() -> App {
    let authority = Authority::new(Cloud::Global, Tenant::new(TENANT).unwrap());
    App::new(authority, "app", Cloud::Global)
}

fn secret() -> Credential {
    Credential::client_secret(app(), Secret::new("hush")).unwrap()
}

fn list(client: &Client<Emulator>) -> Result<usize, Error> {
    Ok(client.send(&ListConnections::new())?.value.len())
}

#[test]
fn each_kind_of_credential_gets_a_token_that_is_good() {
    let kinds: [fn(&World) -> Credential; 5] = [
        |_| secret(),
        |_| Credential::device_code(app().scope("ExternalConnection.ReadWrite.OwnedBy")),
        |_| {
            let header = Secret::new("header");
            let endpoint = "http://localhost/msi/token";
            Credential::app_service_identity(endpoint, header, Cloud::Global).unwrap()
        },
        |_| Credential::imds_identity(Cloud::Global),
        |world| {
            let token = world.emulator.refresh_token("app").unwrap();
            Credential::refresh_token(app(), Secret::new(token))
        },
    ];
    for credential in kinds {
        let world = World::new(&[]);
        let credential = credential(&world);
        assert_eq!(list(&world.client(credential.clone())).unwrap(), 0, "{credential:?}");
        assert_eq!(world.emulator.tokens_issued(), 1);
    }
}

#[test]
fn under_faults_of_every_kind_everything_is_stored_and_no_call_is_early() {
    let world = World::new(&[
        "POST token: 503 retry-after=2 times=1",
        "POST connection: 429 retry-after=1.5 times=1",
        "POST connection: 429 retry-after=ms:1500 times=1",
        "GET connections: 429 retry-after=date:30 times=1",
        "GET connections: 429 retry-after=5,5 times=1",
        "GET connections: 503 retry-after=7 times=1",
        "GET connections: 429 retry-after=soon times=1",
        "GET connections: 429 times=1",
        "GET connections: html 502 times=1",
        "GET connections: reset times=1",
        "GET connections: truncated times=1",
        "GET connections: hang times=1",
    ]);
    let client = world.client(secret());
    let id = ConnectionId::new("contosohr").unwrap();
    let connection = ExternalConnection::new(id, "Contoso HR").unwrap();
    client.send(&CreateConnection::new(&connection)).unwrap();
    assert_eq!(list(&client).unwrap(), 1);
    assert_eq!(world.emulator.early_calls(), []);
    assert!(world.emulator.faults().iter().all(|(_, struck)| *struck == 1));
}

#[test]
fn no_event_and_no_error_of_a_full_run_shows_a_secret() {
    let world = World::new(&[
        "POST token: 503 retry-after=2 times=1",
        "GET connections: 429 retry-after=1.5 times=1",
        "GET connections: html 502 times=1",
        "GET connections: reset times=1",
        "GET connections: truncated times=1",
    ]);
    let said = Arc::new(Mutex::new(String::new()));
    let tokens = Arc::new(Mutex::new(HashSet::new()));
    let run = |password: &'static str| {
        let (hear, see) = (Arc::clone(&said), Arc::clone(&tokens));
        let emulator = world.emulator.clone();
        let transport = move |request: http::Request<Bytes>, options: &SendOptions| {
            let token = request.headers()["authorization"].to_str().unwrap();
            see.lock().unwrap().insert(token.strip_prefix("Bearer ").unwrap().to_owned());
            Transport::send(&emulator, request, options)
        };
        let credential = Credential::client_secret(app(), Secret::new(password)).unwrap();
        let clock = Arc::clone(&world.clock);
        let provider = TokenProvider::new(credential, world.emulator.clone(), clock, 7);
        let client = Client::builder(ServiceRoot::new(Cloud::Global, Version::V1), provider)
            .observer(move |event| {
                use std::fmt::Write as _;
                writeln!(hear.lock().unwrap(), "{event:?}").unwrap();
            })
            .build(transport, Arc::clone(&world.clock));
        let nowhere = ConnectionId::new("nowhere").unwrap();
        let listed = client.send(&ListConnections::new()).map(|_| ());
        let errors = [listed.err(), client.send(&GetConnection::new(&nowhere)).err()];
        world.emulator.revoke_tokens();
        let _ = client.send(&ListConnections::new());
        let errors: Vec<_> = errors.into_iter().flatten().collect();
        let shown: Vec<_> = errors.iter().map(|error| format!("{error} {error:?}")).collect();
        format!("{client:?} {}", shown.join(" "))
    };
    let right = run("hush");
    assert!(right.contains("Get connection"), "{right}");
    let wrong = run("hush-but-wrong");
    assert!(wrong.contains("no token"), "{wrong}");
    let (said, tokens) = (said.lock().unwrap(), tokens.lock().unwrap());
    assert!(said.contains("TokenFailed") && said.contains("Throttled"), "{said}");
    assert_eq!(tokens.len(), 2);
    for text in [&right, &wrong, &*said] {
        assert!(!text.contains("hush"), "{text}");
        assert!(tokens.iter().all(|token| !text.contains(token)), "{text}");
    }
}

#[test]
fn a_token_that_ends_in_mid_run_or_lacks_claims_is_replaced_once() {
    let world = World::new(&[]);
    let client = world.client(secret());
    for expected in [1, 2] {
        list(&client).unwrap();
        list(&client).unwrap();
        assert_eq!(world.emulator.tokens_issued(), expected);
        world.clock.advance(Duration::from_secs(600));
    }
    list(&client).unwrap();
    world.emulator.revoke_tokens();
    list(&client).unwrap();
    assert_eq!(world.emulator.tokens_issued(), 4);
    let claims = r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#;
    world.emulator.require_claims(Some(claims)).unwrap();
    list(&client).unwrap();
    assert_eq!(world.emulator.tokens_issued(), 5);
}
