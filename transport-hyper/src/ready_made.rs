//! The ready-made client: hyper-util's pooled one, with rustls, its own repeating switched off.

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
};

use bytes::Bytes;
use graphfeed_core::{
    client::{AsyncClient, AsyncTokenSource},
    protocol::ServiceRoot,
};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Builder, Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::{HyperTransport, TokioClock};

/// hyper-util's pooled client over TLS, as a service.
pub type HyperClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client over https, with connections of its own, the clock of tokio, and chance from the
/// process. `tokens` is an [`AccessToken`](graphfeed_core::types::AccessToken), or any other
/// source of tokens.
///
/// # Panics
/// Its calls do, outside a tokio runtime with I/O and time enabled.
pub fn client(
    root: ServiceRoot,
    tokens: impl AsyncTokenSource + 'static,
) -> AsyncClient<HyperTransport<HyperClient>> {
    AsyncClient::builder(root, tokens)
        .seed(seed())
        .build_async(HyperTransport::new(), TokioClock::new())
}

/// A seed from the process, different in each.
pub fn seed() -> u64 {
    // The one source of chance in the standard library.
    RandomState::new().build_hasher().finish()
}

impl HyperTransport<HyperClient> {
    /// With connections of its own, trusting the certificates that come with the program.
    pub fn new() -> Self {
        Self::with_roots(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(), true)
    }

    /// As [`new`](Self::new), trusting these certificates (PEM, one or many) as well.
    ///
    /// # Errors
    /// When there is no certificate in `pem`, or something that is none.
    pub fn with_extra_roots(pem: &[u8]) -> Result<Self, ExtraRootsError> {
        let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        let known = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| ExtraRootsError(error.to_string()))?;
            roots.add(certificate).map_err(|error| ExtraRootsError(error.to_string()))?;
        }
        match roots.len() == known {
            true => Err(ExtraRootsError("there is none".to_owned())),
            false => Ok(Self::with_roots(roots, true)),
        }
    }

    /// As [`new`](Self::new), and over plain http as well, where everyone on the way reads token
    /// and content: for an emulator on this machine.
    pub fn danger_plain_http() -> Self {
        Self::with_roots(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(), false)
    }

    fn with_roots(roots: RootCertStore, https_only: bool) -> Self {
        let provider: CryptoProvider = ring::default_provider();
        let tls = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .expect("ring has what the default versions of TLS need")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connect = HttpsConnectorBuilder::new().with_tls_config(tls);
        let connect = match https_only {
            true => connect.https_only(),
            false => connect.https_or_http(),
        };
        let connect = connect.enable_all_versions().build();
        let pooled = builder();
        let mut fresh = builder();
        let fresh = fresh.pool_max_idle_per_host(0).build(connect.clone());
        let pooled = pooled.build(connect);
        let transport = match https_only {
            true => Self::over(pooled),
            false => Self::danger_plain_http_over(pooled),
        };
        transport.fresh_connections_by(fresh)
    }
}

impl Default for HyperTransport<HyperClient> {
    fn default() -> Self {
        Self::new()
    }
}

fn builder() -> Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    // One layer repeats, and it is not this one.
    builder.retry_canceled_requests(false).pool_timer(TokioTimer::new());
    builder
}

/// The certificates given to trust are none.
#[derive(Debug)]
pub struct ExtraRootsError(String);

impl fmt::Display for ExtraRootsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no certificates: {}; give them in PEM, as -----BEGIN CERTIFICATE-----", self.0)
    }
}

impl std::error::Error for ExtraRootsError {}
