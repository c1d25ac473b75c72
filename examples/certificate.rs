//! An application that proves itself with a certificate, and so has no secret that could leak.
//!
//! The identity platform knows the certificate. The application signs a statement of a few
//! minutes' life, the assertion, with the key that belongs to it, and gets a token in exchange.
//! graphfeed says what has to be in the assertion and when one is needed; `certificate` in the
//! library of these examples signs it with a well-kept crate. A vault or a smart card would stand
//! in its place.
//!
//! It needs no account: platform and service are the emulator in this program. That looks at what
//! an assertion says, not at its signature; the test below does. The program `crates` does the
//! same with a tenant, given `GRAPHFEED_CERTIFICATE`.

use std::{
    env,
    error::Error,
    fs,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use graphfeed_core::{
    client::{Client, TokenProvider, Transport},
    external::{EnsureConnection, ExternalConnection, GetConnection, Made},
    machine::identity::{Application, Authority, Credential, Tenant},
    protocol::{Cloud, ServiceRoot},
    types::ConnectionId,
};
use graphfeed_emulator::{Application as Registration, Authorization, Emulator, Options};
use graphfeed_examples::certificate::{Certificate, Signer};
use graphfeed_ureq::{SystemClock, seed};

/// Made up.
const TENANT: &str = "0a5ec0de-0000-4000-8000-000000000001";
const CLIENT_ID: &str = "0a5ec0de-0000-4000-8000-00000000000a";

/// If no other is named: one that the whole world knows, and nothing trusts.
const THROW_AWAY: &[u8] = include_bytes!("tests/data/throw-away-test-key.pem");

fn main() -> ExitCode {
    let named = env::args_os().nth(1);
    if named.as_ref().is_some_and(|argument| argument.as_encoded_bytes().starts_with(b"-")) {
        println!(
            "Usage: cargo run --example certificate -- [PEM with a private key and its certificate]"
        );
        return ExitCode::SUCCESS;
    }
    let pem = match &named {
        Some(path) => fs::read(path),
        None => Ok(THROW_AWAY.to_vec()),
    };
    let done = pem.map_err(Into::into).and_then(|pem| {
        let certificate = Certificate::from_pem(&pem)?;
        make_a_connection(certificate, emulator())
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match named {
                Some(path) => eprintln!("certificate: {}: {error}", path.display()),
                None => eprintln!("certificate: {error}"),
            }
            ExitCode::FAILURE
        }
    }
}

/// The identity platform, which knows the application, and the service, which takes its tokens
/// and no others.
fn emulator() -> Emulator {
    let application =
        Registration::public(CLIENT_ID).tenant(TENANT).role("ExternalConnection.ReadWrite.OwnedBy");
    Emulator::new(Options {
        origin: SystemTime::now(),
        authorization: Some(Authorization {
            applications: vec![application],
            ..Authorization::default()
        }),
        ..Options::default()
    })
}

/// Gets a token with the certificate and makes a connection with the token.
fn make_a_connection<T>(certificate: Certificate, transport: T) -> Result<(), Box<dyn Error>>
where
    T: Transport + Clone + Send + Sync + 'static,
{
    println!("the certificate has the thumbprint {}", certificate.thumbprint());

    let authority = Authority::new(Cloud::Global, Tenant::new(TENANT)?);
    let application = Application::new(authority, CLIENT_ID, Cloud::Global);
    let signer = Signer::new(certificate);
    let signed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&signed);
    let credential = Credential::assertion(application)?;
    let tokens = TokenProvider::new(credential, transport.clone(), SystemClock::new(), seed())
        .sign_with(move |need| {
            counter.fetch_add(1, Ordering::Relaxed);
            println!("signing for {}\n  as {}", need.audience, need.client_id);
            signer.sign(need)
        });
    let client = Client::builder(ServiceRoot::v1(), tokens)
        .seed(seed())
        .build(transport, SystemClock::new());

    let wanted = ExternalConnection::new(ConnectionId::new("contosohr")?, "Contoso HR")?;
    let made = client.run(&EnsureConnection::new(&wanted))?.made;
    let how = if made == Made::Before { "there before" } else { "made now" };
    println!("connection {}: {how}", wanted.id());
    let found = client.send(&GetConnection::new(wanted.id()))?;
    let state = found.state.as_ref().map_or("unknown", |state| state.as_str());
    println!("  its state is {state}");
    let signed = signed.load(Ordering::Relaxed);
    println!("assertions signed: {signed}; the token is kept and used for call after call");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use bytes::Bytes;
    use graphfeed_core::client::SendOptions;
    use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_goes_out_is_signed_by_the_key_of_the_certificate() {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&sent);
        let emulator = emulator();
        let transport = move |request: http::Request<Bytes>, options: &SendOptions| {
            if request.uri().path().ends_with("/token") {
                let form = String::from_utf8(request.body().to_vec()).unwrap();
                seen.lock().unwrap().push((request.uri().to_string(), form));
            }
            emulator.send(request, options)
        };
        let certificate = || Certificate::from_pem(THROW_AWAY).unwrap();
        make_a_connection(certificate(), transport).unwrap();

        let sent = sent.lock().unwrap();
        let [(url, form)] = &sent[..] else { panic!("{} requests for tokens", sent.len()) };
        let field = |name: &str| {
            let mut fields = form.split('&').filter_map(|field| field.split_once('='));
            fields.find(|(known, _)| *known == name).unwrap().1
        };
        assert_eq!(field("grant_type"), "client_credentials");
        assert_eq!(
            field("client_assertion_type"),
            "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        );
        let assertion = field("client_assertion");
        let (text, signature) = assertion.rsplit_once('.').unwrap();
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, certificate().public_key())
            .verify(text.as_bytes(), &decode(signature))
            .unwrap();
        let claims = text.split_once('.').unwrap().1;
        let claims: Value = serde_json::from_slice(&decode(claims)).unwrap();
        assert_eq!(claims["aud"], **url);
        assert_eq!((&claims["iss"], &claims["sub"]), (&CLIENT_ID.into(), &CLIENT_ID.into()));
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let issued = claims["iat"].as_u64().unwrap();
        assert!((now - 60..=now).contains(&issued));
        assert_eq!(claims["exp"].as_u64().unwrap(), issued + 600);
    }
}
