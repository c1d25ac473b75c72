//! A certificate that nobody has signed, for tests on loopback.

use std::{fmt, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

pub(crate) type Acceptor = tokio_rustls::TlsAcceptor;

/// A certificate for `localhost`, made anew each time, with its key.
pub struct TestCertificate {
    certificate: CertificateDer<'static>,
    pem: String,
    key: Vec<u8>,
}

impl TestCertificate {
    /// Makes one.
    #[allow(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_owned()])
                .expect("localhost is a name that a certificate can have");
        Self { certificate: cert.der().clone(), pem: cert.pem(), key: signing_key.serialize_der() }
    }

    /// What a client has to trust, in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn acceptor(&self) -> Acceptor {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has what the default versions of TLS need")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .expect("the key is that of the certificate");
        Acceptor::from(Arc::new(config))
    }
}

// The key is nobody's business.
impl fmt::Debug for TestCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestCertificate").finish_non_exhaustive()
    }
}
