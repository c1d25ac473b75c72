//! Where tokens come from.

use std::fmt;

use http::Uri;

use crate::{
    protocol::{Cloud, is_host},
    types::{BuildError, Fault, Rule, quote},
};

/// Whose accounts sign in.
///
/// An application's own token needs a tenant of its own; the three collective ones serve
/// delegated sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tenant(Box<str>);

impl Tenant {
    /// A tenant by its id or by a domain of its.
    ///
    /// # Errors
    /// [`Rule::PathSegment`] when it is not made of letters, digits, dots and hyphens, with a letter or
    /// digit in front.
    pub fn new(id_or_domain: &str) -> Result<Self, BuildError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
        let starts = id_or_domain.starts_with(|first: char| first.is_ascii_alphanumeric());
        if starts && id_or_domain.bytes().all(fits) {
            return Ok(Self(id_or_domain.into()));
        }
        let detail = format!("{} is no tenant id and no domain", quote(id_or_domain));
        Err(Fault::new(Rule::PathSegment, "tenant", detail).into())
    }

    /// Work, school and personal accounts.
    pub fn common() -> Self {
        Self("common".into())
    }

    /// Work and school accounts of any tenant.
    pub fn organizations() -> Self {
        Self("organizations".into())
    }

    /// Personal accounts.
    pub fn consumers() -> Self {
        Self("consumers".into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for more than one.
    pub fn is_collective(&self) -> bool {
        ["common", "organizations", "consumers"]
            .iter()
            .any(|name| name.eq_ignore_ascii_case(&self.0))
    }
}

/// The identity platform's address for one tenant. Secrets go there and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    base: Box<str>,
    tenant: Tenant,
}

impl Authority {
    /// The authority of a cloud.
    pub fn new(cloud: Cloud, tenant: Tenant) -> Self {
        Self { base: cloud.login().into(), tenant }
    }

    /// Another address that speaks for the identity platform.
    ///
    /// # Errors
    /// [`Rule::ServiceRoot`] when `address` is not `https://HOST[:PORT][/PATH]`.
    pub fn https(address: &str, tenant: Tenant) -> Result<Self, BuildError> {
        Self::parse(address, "https", tenant)
    }

    /// An address over plain http, where everyone on the way reads the secrets: for an emulator
    /// on this machine only.
    ///
    /// # Errors
    /// [`Rule::ServiceRoot`] when `address` is not `http://HOST[:PORT][/PATH]`.
    pub fn danger_plain_http(address: &str, tenant: Tenant) -> Result<Self, BuildError> {
        Self::parse(address, "http", tenant)
    }

    fn parse(address: &str, scheme: &str, tenant: Tenant) -> Result<Self, BuildError> {
        let base = address.trim_end_matches('/');
        let good = base.parse::<Uri>().is_ok_and(|uri| {
            uri.scheme_str() == Some(scheme)
                && uri.authority().is_some_and(is_host)
                && uri.query().is_none()
        });
        if good && !address.contains('#') {
            return Ok(Self { base: base.into(), tenant });
        }
        let detail = format!("{} is no address like {scheme}://host:port", quote(address));
        Err(Fault::new(Rule::ServiceRoot, "authority", detail).into())
    }

    /// The tenant.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Where tokens are asked for; also the audience of an assertion.
    pub fn token_url(&self) -> String {
        format!("{self}/oauth2/v2.0/token")
    }

    pub(super) fn device_code_url(&self) -> String {
        format!("{self}/oauth2/v2.0/devicecode")
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.tenant.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_has_its_authority_and_any_can_be_replaced() {
        let tenant = Tenant::new("contoso.onmicrosoft.com").unwrap();
        for (cloud, host) in [
            (Cloud::Global, "login.microsoftonline.com"),
            (Cloud::UsGovL4, "login.microsoftonline.us"),
            (Cloud::UsGovL5, "login.microsoftonline.us"),
            (Cloud::China, "login.partner.microsoftonline.cn"),
        ] {
            let url = format!("https://{host}/contoso.onmicrosoft.com/oauth2/v2.0/token");
            assert_eq!(Authority::new(cloud, tenant.clone()).token_url(), url);
        }
        let own = Authority::https("https://login.chinacloudapi.cn/", Tenant::common()).unwrap();
        assert_eq!(own.to_string(), "https://login.chinacloudapi.cn/common");
        for bad in ["http://x", "x", "https://u@x", "https://x?y", "https://x#y", "https://x:0", ""]
        {
            assert!(Authority::https(bad, Tenant::common()).is_err(), "{bad}");
        }
        assert!(Authority::danger_plain_http("http://127.0.0.1:1", Tenant::common()).is_ok());
    }

    #[test]
    fn a_tenant_is_one_path_segment() {
        for bad in ["", ".", "..", "a/b", "a?b", "-a", "a b", "ä"] {
            assert!(Tenant::new(bad).unwrap_err().breaks(Rule::PathSegment), "{bad}");
        }
        assert!(Tenant::new("6f2b1c9e-4d3a-4f5b-8c7d-9e0f1a2b3c4d").is_ok());
        assert!(Tenant::organizations().is_collective());
        assert!(!Tenant::new("contoso.com").unwrap().is_collective());
    }
}
