//! How an application proves itself with a certificate: the assertion, signed
//! ([certificate credentials](https://learn.microsoft.com/entra/identity-platform/certificate-credentials)).
//!
//! graphfeed says what has to be in an assertion and leaves the signing to its caller, who may
//! keep the key in a vault, a smart card or, as here, a file. What is here takes time and chance
//! as arguments; [`Signer`] brings those of the machine.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use graphfeed_core::{
    machine::identity::AssertionNeed,
    protocol::TokenError,
    types::{Guid, Secret},
};
use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
    rsa::KeyPair,
    signature::{KeyPair as _, RSA_PSS_SHA256},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde::Serialize;

/// How long an assertion is good: the identity platform's pages say five to ten minutes.
const LIFE: Duration = Duration::from_secs(600);

/// A certificate with its private key, with which an application signs.
///
/// `Debug` shows the thumbprint, which is public, and nothing of the key.
pub struct Certificate {
    key: KeyPair,
    thumbprint: String,
}

/// What is wrong with a certificate or its key. It does not repeat anything of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateError(String);

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CertificateError {}

/// The header of the assertion.
#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    #[serde(rename = "x5t#S256")]
    thumbprint: &'a str,
}

/// What it says.
#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    nbf: u64,
    iat: u64,
    exp: u64,
}

impl Certificate {
    /// Reads PEM: one RSA key that is not encrypted (`BEGIN PRIVATE KEY`), and the certificate
    /// that belongs to it. Other certificates, those above it for instance, may stand beside it.
    ///
    /// # Errors
    /// What is missing, and how to come by it.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificateError> {
        let error = |why: &str| CertificateError(why.to_owned());
        let key = match PrivateKeyDer::from_pem_slice(pem) {
            Ok(PrivateKeyDer::Pkcs8(key)) => KeyPair::from_pkcs8(key.secret_pkcs8_der()),
            Ok(PrivateKeyDer::Pkcs1(key)) => KeyPair::from_der(key.secret_pkcs1_der()),
            Ok(_) => {
                return Err(error(
                    "its private key is of another kind than RSA, which the identity platform \
                     asks for",
                ));
            }
            Err(_) => {
                return Err(error(
                    "it has no private key; put an RSA key in it as -----BEGIN PRIVATE KEY-----, \
                     which `openssl pkcs8 -topk8 -nocrypt` makes of an encrypted one",
                ));
            }
        };
        let key = key.map_err(|why| {
            CertificateError(format!("its private key is no RSA key that can sign: {why}"))
        })?;
        // A certificate holds its public key as it is, byte for byte.
        let public = key.public_key().as_ref();
        let certificate = CertificateDer::pem_slice_iter(pem)
            .filter_map(Result::ok)
            .find(|certificate| certificate.windows(public.len()).any(|part| part == public))
            .ok_or_else(|| {
                error(
                    "it has no certificate that belongs to its private key; put that in it as \
                     -----BEGIN CERTIFICATE-----",
                )
            })?;
        let thumbprint = digest::digest(&digest::SHA256, &certificate);
        Ok(Self { thumbprint: URL_SAFE_NO_PAD.encode(thumbprint), key })
    }

    /// The SHA-256 of the certificate in base64url, by which the identity platform finds it.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// The public key, in the form of PKCS 1.
    pub fn public_key(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }

    /// Signs an assertion that says: who asks for a token at `audience` is the application
    /// `client_id`. `id` has to be another each time. The salt of the signature comes from
    /// `chance`.
    ///
    /// # Errors
    /// When signing fails, for want of chance for instance.
    pub fn assertion(
        &self,
        audience: &str,
        client_id: &str,
        id: Guid,
        now: SystemTime,
        chance: &dyn SecureRandom,
    ) -> Result<Secret, CertificateError> {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let header = Header { alg: "PS256", typ: "JWT", thumbprint: &self.thumbprint };
        let claims = Claims {
            aud: audience,
            iss: client_id,
            sub: client_id,
            jti: id.to_string(),
            nbf: since.as_secs(),
            iat: since.as_secs(),
            exp: (since + LIFE).as_secs(),
        };
        let error = |why: &dyn fmt::Display| CertificateError(format!("cannot sign: {why}"));
        let header = serde_json::to_vec(&header).map_err(|why| error(&why))?;
        let claims = serde_json::to_vec(&claims).map_err(|why| error(&why))?;
        let mut text = URL_SAFE_NO_PAD.encode(header);
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut text);
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PSS_SHA256, chance, text.as_bytes(), &mut signature)
            .map_err(|_| error(&"the key or the system's source of chance refuses"))?;
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        Ok(Secret::new(text))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("thumbprint", &self.thumbprint).finish_non_exhaustive()
    }
}

/// Signs whenever a token has to be fetched, with the clock and the chance of the machine: for
/// [`TokenProvider::sign_with`](graphfeed_core::client::TokenProvider::sign_with).
#[derive(Clone, Debug)]
pub struct Signer(Arc<Certificate>);

impl Signer {
    /// Signs with this certificate.
    pub fn new(certificate: Certificate) -> Self {
        Self(Arc::new(certificate))
    }

    /// The assertion that is asked for.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn sign(&self, need: &AssertionNeed) -> Result<Secret, TokenError> {
        let chance = SystemRandom::new();
        let mut id = [0; 16];
        chance
            .fill(&mut id)
            .map_err(|_| TokenError::source("the system has no chance to sign with"))?;
        let id = Guid::from_random_bytes(id);
        self.0
            .assertion(&need.audience, &need.client_id, id, SystemTime::now(), &chance)
            .map_err(|why| TokenError::source(why.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::{Value, json};

    use super::*;

    const PEM: &str = include_str!("../tests/data/throw-away-test-key.pem");
    /// Of another key, of the kind that Entra does not take.
    const ELLIPTIC: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgYs1HjpI9el2ZKv2L
-----END PRIVATE KEY-----
";

    fn certificate() -> Certificate {
        Certificate::from_pem(PEM.as_bytes()).unwrap()
    }

    /// The sections of the test key: its private key and its certificate.
    fn sections() -> (String, String) {
        let (key, certificate) = PEM.split_at(PEM.find("-----BEGIN CERTIFICATE").unwrap());
        (key.to_owned(), certificate.to_owned())
    }

    fn assertion(id: u128) -> (Vec<u8>, Vec<u8>, Value, Value) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_999);
        let signed = certificate()
            .assertion(
                "https://login.example/t/oauth2/v2.0/token",
                "the-app",
                Guid::from(id),
                now,
                &SystemRandom::new(),
            )
            .unwrap();
        let (text, signature) = signed.reveal().rsplit_once('.').unwrap();
        let (header, claims) = text.split_once('.').unwrap();
        let read = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let value = |part: &str| serde_json::from_slice(&read(part)).unwrap();
        (text.as_bytes().to_vec(), read(signature), value(header), value(claims))
    }

    #[test]
    fn the_signature_is_that_of_the_key_over_header_and_claims() {
        let certificate = certificate();
        let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, certificate.public_key());
        let (mut text, mut signature, ..) = assertion(1);
        assert_eq!(signature.len(), 256);
        key.verify(&text, &signature).unwrap();

        let (_, again, ..) = assertion(1);
        assert_ne!(signature, again, "the salt is another each time");
        text[0] ^= 1;
        assert!(key.verify(&text, &signature).is_err());
        text[0] ^= 1;
        signature[0] ^= 1;
        assert!(key.verify(&text, &signature).is_err());
    }

    #[test]
    fn header_and_claims_are_those_that_the_identity_platform_asks_for() {
        let (.., header, claims) = assertion(7);
        assert_eq!(
            header,
            json!({
                "alg": "PS256",
                "typ": "JWT",
                // As openssl says: x509 -outform der | dgst -sha256 -binary | base64.
                "x5t#S256": "TD2ifWG60a2rylbqeqH3j_PWlADEVNKBuOo5kYTnhpk",
            })
        );
        assert_eq!(
            claims,
            json!({
                "aud": "https://login.example/t/oauth2/v2.0/token",
                "iss": "the-app",
                "sub": "the-app",
                "jti": "00000000-0000-0000-0000-000000000007",
                "nbf": 1_700_000_000,
                "iat": 1_700_000_000,
                "exp": 1_700_000_600,
            })
        );
    }

    #[test]
    fn a_signer_says_what_is_asked_for_and_when() {
        let need = AssertionNeed::new("https://login.example/t/oauth2/v2.0/token", "the-app");
        let signer = Signer::new(certificate());
        let claims = || -> Value {
            let signed = signer.sign(&need).unwrap();
            let claims = signed.reveal().split('.').nth(1).unwrap();
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
        };
        let (first, second) = (claims(), claims());
        assert_eq!((&first["aud"], &first["iss"]), (&json!(need.audience), &json!("the-app")));
        assert_ne!(first["jti"], second["jti"], "each is another one");
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let issued = first["iat"].as_u64().unwrap();
        assert!((now - 60..=now).contains(&issued));
        assert_eq!(first["exp"], json!(issued + 600));
    }

    #[test]
    fn the_certificate_is_the_one_that_belongs_to_the_key() {
        let thumbprint = certificate().thumbprint;
        let (key, certificate) = sections();
        // In any order, and with another certificate in front.
        let other = mirrored(&certificate);
        for pem in [format!("{certificate}{key}"), format!("{key}{other}{certificate}")] {
            assert_eq!(Certificate::from_pem(pem.as_bytes()).unwrap().thumbprint(), thumbprint);
        }
        for (pem, why) in [
            (String::new(), "no private key"),
            (certificate.clone(), "no private key"),
            (key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), "no private key"),
            (key.clone(), "no certificate"),
            (format!("{key}{other}"), "no certificate"),
            (format!("{ELLIPTIC}{certificate}"), "no RSA key"),
            (
                format!("{}{certificate}", ELLIPTIC.replace("PRIVATE", "EC PRIVATE")),
                "another kind than RSA",
            ),
        ] {
            let error = Certificate::from_pem(pem.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{why}: {error}");
        }
    }

    /// The certificate back to front: whatever it is, it is not the key's.
    fn mirrored(certificate: &str) -> String {
        let mut lines: Vec<_> = certificate.lines().map(str::to_owned).collect();
        for line in &mut lines[1..] {
            if !line.starts_with('-') {
                *line = line.chars().rev().collect::<String>().replace('=', "A");
            }
        }
        lines.join("\n") + "\n"
    }

    #[test]
    fn nothing_of_the_key_is_shown() {
        let shown = format!("{:?}", Signer::new(certificate()));
        assert_eq!(
            shown,
            format!("Signer(Certificate {{ thumbprint: {:?}, .. }})", certificate().thumbprint())
        );
    }
}
