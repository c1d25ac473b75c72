//! Which servers are believed: the certificates of Mozilla's programme, and the caller's own.

use std::fmt;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// The certificates given to trust are none.
#[derive(Debug)]
pub struct ExtraRootsError(String);

impl fmt::Display for ExtraRootsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; give certificates in PEM, as -----BEGIN CERTIFICATE-----", self.0)
    }
}

impl std::error::Error for ExtraRootsError {}

pub(crate) fn with_extra_roots(pem: &[u8]) -> Result<TlsConfig, ExtraRootsError> {
    let mut roots: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => roots.push(certificate),
            Ok(_) => return Err(ExtraRootsError("a key is among the certificates".to_owned())),
            Err(error) => return Err(ExtraRootsError(format!("no certificates: {error}"))),
        }
    }
    if roots.is_empty() {
        return Err(ExtraRootsError("there is no certificate".to_owned()));
    }
    let known = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
    roots.extend(known.iter().map(|root| Certificate::from_der(root).to_owned()));
    Ok(TlsConfig::builder().root_certs(RootCerts::from(roots)).build())
}
