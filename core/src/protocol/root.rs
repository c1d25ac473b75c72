//! Where the service is: cloud, version, and the one address that may see a token.

use std::fmt;

use http::uri::{Authority, Parts, PathAndQuery, Scheme, Uri};

use crate::types::{BuildError, Fault, Rule, quote};

/// A deployment of Microsoft Graph. Tokens and data do not cross from one to another
/// ([national clouds](https://learn.microsoft.com/graph/deployments)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cloud {
    /// The global service, `graph.microsoft.com`, GCC included.
    Global,
    /// US Government L4 (GCC High), `graph.microsoft.us`.
    UsGovL4,
    /// US Government L5 (DoD), `dod-graph.microsoft.us`.
    UsGovL5,
    /// China operated by 21Vianet, `microsoftgraph.chinacloudapi.cn`.
    China,
}

impl Cloud {
    /// Every cloud known to this version.
    pub const ALL: &'static [Self] = &[Self::Global, Self::UsGovL4, Self::UsGovL5, Self::China];

    /// The address of its Graph service.
    pub const fn graph(self) -> &'static str {
        match self {
            Self::Global => "https://graph.microsoft.com",
            Self::UsGovL4 => "https://graph.microsoft.us",
            Self::UsGovL5 => "https://dod-graph.microsoft.us",
            Self::China => "https://microsoftgraph.chinacloudapi.cn",
        }
    }

    /// The address where its tokens come from. Two are documented for China; this is the one that
    /// the identity platform's own page names.
    pub const fn login(self) -> &'static str {
        match self {
            Self::Global => "https://login.microsoftonline.com",
            Self::UsGovL4 | Self::UsGovL5 => "https://login.microsoftonline.us",
            Self::China => "https://login.partner.microsoftonline.cn",
        }
    }

    /// The name that the tables of the documents use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Global => "Global",
            Self::UsGovL4 => "US Gov L4",
            Self::UsGovL5 => "US Gov L5",
            Self::China => "China",
        }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A version of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// `v1.0`.
    V1,
    /// `beta`. Microsoft says of it: subject to change, and its use in production applications is
    /// not supported.
    Beta,
}

impl Version {
    /// Both versions.
    pub const ALL: &'static [Self] = &[Self::V1, Self::Beta];

    /// The path segment.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1.0",
            Self::Beta => "beta",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Limits of the service that its documents have changed before: data, with the documented value
/// as the default
/// ([API limits](https://learn.microsoft.com/graph/connecting-external-content-api-limits)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest request body, in bytes. 4,000,000 by default, the careful reading of "4 MB".
    pub body: usize,
    /// The most activities in one `addActivities` call. 20 by default.
    pub activities: usize,
    /// The most calls in one `$batch`
    /// ([JSON batching](https://learn.microsoft.com/graph/json-batching)). 20 by default.
    pub batch: usize,
}

impl Limits {
    /// Other than the documented [`body`](Self::body).
    #[must_use]
    pub fn with_body(mut self, bytes: usize) -> Self {
        self.body = bytes;
        self
    }

    /// Other than the documented [`activities`](Self::activities).
    #[must_use]
    pub fn with_activities(mut self, count: usize) -> Self {
        self.activities = count;
        self
    }

    /// Other than the documented [`batch`](Self::batch); none is taken for one.
    #[must_use]
    pub fn with_batch(mut self, count: usize) -> Self {
        self.batch = count.max(1);
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 4_000_000, activities: 20, batch: 20 }
    }
}

/// The one place that requests and tokens go to: an address, the cloud it belongs to, and a
/// version.
///
/// ```
/// use graphfeed_core::protocol::{Cloud, ServiceRoot, Version};
///
/// assert_eq!(ServiceRoot::v1().to_string(), "https://graph.microsoft.com/v1.0");
/// let dod = ServiceRoot::new(Cloud::UsGovL5, Version::Beta);
/// assert_eq!(dod.to_string(), "https://dod-graph.microsoft.us/beta");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRoot {
    scheme: Scheme,
    authority: Authority,
    // The path of a gateway in front of the service, without a slash at its end; mostly empty.
    prefix: Box<str>,
    cloud: Cloud,
    version: Version,
    limits: Limits,
}

impl ServiceRoot {
    /// The service of a cloud.
    pub fn new(cloud: Cloud, version: Version) -> Self {
        Self::parse(cloud.graph(), cloud, version, &Scheme::HTTPS)
            .expect("the addresses in Cloud::graph are https addresses")
    }

    /// The global service, v1.0.
    pub fn v1() -> Self {
        Self::new(Cloud::Global, Version::V1)
    }

    /// Another address that speaks for the service over https: a gateway, an emulator with a
    /// certificate. `cloud` says whose rules apply.
    ///
    /// # Errors
    /// [`Rule::ServiceRoot`] when `address` is not `https://HOST[:PORT][/PATH]`, with neither user
    /// name, query nor fragment.
    pub fn https(address: &str, cloud: Cloud, version: Version) -> Result<Self, BuildError> {
        Self::parse(address, cloud, version, &Scheme::HTTPS)
    }

    /// An address over plain http, where everyone on the way reads token and content: for an
    /// emulator on this machine only.
    ///
    /// # Errors
    /// [`Rule::ServiceRoot`] when `address` is not `http://HOST[:PORT][/PATH]`.
    pub fn danger_plain_http(
        address: &str,
        cloud: Cloud,
        version: Version,
    ) -> Result<Self, BuildError> {
        Self::parse(address, cloud, version, &Scheme::HTTP)
    }

    fn parse(
        address: &str,
        cloud: Cloud,
        version: Version,
        scheme: &Scheme,
    ) -> Result<Self, BuildError> {
        let wrong = |why: &str| {
            let detail = format!("{} {why}; write it like {scheme}://host:port", quote(address));
            BuildError::from(Fault::new(Rule::ServiceRoot, "service root", detail))
        };
        // `Uri` drops a fragment without a word.
        if address.contains('#') {
            return Err(wrong("has a fragment"));
        }
        let uri: Uri = address.parse().map_err(|_| wrong("is no address"))?;
        let Parts { scheme: found, authority: Some(authority), path_and_query, .. } =
            uri.into_parts()
        else {
            return Err(wrong("names no host"));
        };
        match found.as_ref() {
            Some(found) if found == scheme => {}
            Some(found) if *found == Scheme::HTTP => {
                let detail = format!(
                    "{} is plain http, where everyone on the way reads the token; use https, or \
                     danger_plain_http for an emulator on this machine",
                    quote(address)
                );
                return Err(Fault::new(Rule::ServiceRoot, "service root", detail).into());
            }
            Some(found) if *found == Scheme::HTTPS => {
                let detail = format!("{} is https; use ServiceRoot::https", quote(address));
                return Err(Fault::new(Rule::ServiceRoot, "service root", detail).into());
            }
            Some(_) => return Err(wrong("has another scheme")),
            None => return Err(wrong("has no scheme")),
        }
        if !is_host(&authority) {
            return Err(wrong("has no host, a port that is none, or a user name"));
        }
        if path_and_query.as_ref().is_some_and(|path| path.query().is_some()) {
            return Err(wrong("has a query"));
        }
        let prefix = path_and_query.as_ref().map_or("", PathAndQuery::path).trim_end_matches('/');
        if prefix.split(SLASHES).any(is_dot_segment) {
            return Err(wrong("has a dot segment"));
        }
        Ok(Self {
            scheme: scheme.clone(),
            authority,
            prefix: prefix.into(),
            cloud,
            version,
            limits: Limits::default(),
        })
    }

    /// The same root with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The cloud whose rules apply.
    pub fn cloud(&self) -> Cloud {
        self.cloud
    }

    /// The version of the API.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The limits that requests are held against.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether `uri` lies under this root: same scheme, host, port and prefix. Only such a
    /// request may carry a token.
    pub fn trusts(&self, uri: &Uri) -> bool {
        let port = |authority: &Authority| {
            authority.port_u16().unwrap_or(if self.scheme == Scheme::HTTPS { 443 } else { 80 })
        };
        uri.scheme() == Some(&self.scheme)
            && uri.authority().is_some_and(|authority| {
                authority.as_str() == self.authority.as_str()
                    || is_host(authority)
                        && authority.host().eq_ignore_ascii_case(self.authority.host())
                        && port(authority) == port(&self.authority)
            })
            && uri.path().strip_prefix(&*self.prefix).is_some_and(|rest| rest.starts_with('/'))
            && !has_dot_segment(uri.path())
    }

    /// An address under this root as seen from its version, byte for byte.
    pub(super) fn relative<'a>(&self, uri: &'a Uri) -> Option<&'a str> {
        let target = uri.path_and_query().filter(|_| self.trusts(uri))?.as_str();
        let rest = target.strip_prefix(&*self.prefix)?.strip_prefix('/')?;
        rest.strip_prefix(self.version.as_str()).filter(|rest| rest.starts_with('/'))
    }

    /// The path that every request under this root starts with.
    pub(super) fn start_path(&self, out: &mut String) {
        out.push_str(&self.prefix);
        out.push('/');
        out.push_str(self.version.as_str());
    }

    /// A request address, from a path that began with [`start_path`](Self::start_path).
    pub(super) fn uri(&self, path_and_query: String) -> Result<Uri, http::Error> {
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query =
            Some(PathAndQuery::from_maybe_shared(bytes::Bytes::from(path_and_query))?);
        Ok(Uri::from_parts(parts)?)
    }
}

/// Whether an authority is a host, with a port or without: no user name, and a port that is one.
pub(crate) fn is_host(authority: &Authority) -> bool {
    let text = authority.as_str();
    let has_port = text.len() > authority.host().len();
    !authority.host().is_empty()
        && !text.contains('@')
        && (!has_port || authority.port_u16().is_some_and(|port| port > 0))
}

/// Whether URL libraries would swallow a segment of this path.
fn has_dot_segment(path: &str) -> bool {
    // Most paths have no segment that could be one, and this is asked for every call.
    let suspect = |pair: &[u8]| matches!(pair[0], b'/' | b'\\') && matches!(pair[1], b'.' | b'%');
    path.as_bytes().windows(2).any(suspect) && path.split(SLASHES).any(is_dot_segment)
}

/// What URL libraries take for a slash.
const SLASHES: [char; 2] = ['/', '\\'];

/// Whether URL libraries would swallow this segment: `.` and `..`, escaped or not.
fn is_dot_segment(segment: &str) -> bool {
    let rest = after_dot(segment);
    rest.is_some_and(|rest| rest.is_empty() || after_dot(rest) == Some(""))
}

fn after_dot(text: &str) -> Option<&str> {
    text.strip_prefix('.').or_else(|| {
        let (first, rest) = text.split_at_checked(3)?;
        first.eq_ignore_ascii_case("%2e").then_some(rest)
    })
}

impl fmt::Display for ServiceRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}/{}", self.scheme, self.authority, self.prefix, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway() -> ServiceRoot {
        ServiceRoot::https("https://Gate.example:8443/graph/", Cloud::Global, Version::V1).unwrap()
    }

    #[test]
    fn a_root_is_an_address_and_nothing_else() {
        assert_eq!(gateway().to_string(), "https://Gate.example:8443/graph/v1.0");
        for bad in [
            "",
            "gate.example",
            "/graph",
            "http://gate.example",
            "ftp://gate.example",
            "https://",
            "https://user@gate.example",
            "https://gate.example?x=1",
            "https://gate.example/#x",
            "https://gate.example/a/../b",
            "https://gate.example/%2e%2E/b",
            r"https://gate.example/a\..\b",
            "https://:443",
            "https://gate.example:99999",
            "https://gate.example:0",
            "https://gate.example:",
        ] {
            let refused = ServiceRoot::https(bad, Cloud::Global, Version::V1).unwrap_err();
            assert_eq!(refused.faults()[0].rule, Rule::ServiceRoot, "{bad}");
        }
        let plain = "http://127.0.0.1:8080";
        let root = ServiceRoot::danger_plain_http(plain, Cloud::Global, Version::Beta).unwrap();
        assert_eq!(root.to_string(), "http://127.0.0.1:8080/beta");
        let https = "https://127.0.0.1";
        assert!(ServiceRoot::danger_plain_http(https, Cloud::Global, Version::V1).is_err());
    }

    #[test]
    fn only_addresses_under_the_root_are_trusted() {
        let root = gateway();
        for (uri, trusted) in [
            ("https://gate.example:8443/graph/v1.0/me/activities", true),
            ("https://GATE.EXAMPLE:8443/graph/beta/me", true),
            ("https://gate.example:8443/graph", false),
            ("https://gate.example:8443/graphs/v1.0", false),
            ("https://gate.example:8443/graph/../admin", false),
            ("https://gate.example:8443/graph/%2E%2e/admin", false),
            (r"https://gate.example:8443/graph/v1.0\..\..\admin", false),
            (r"https://gate.example:8443/graph/v1.0/a\%2E", false),
            (r"https://gate.example:8443/graph/v1.0/a\.b", true),
            ("https://gate.example/graph/v1.0", false),
            ("http://gate.example:8443/graph/v1.0", false),
            ("https://other.example:8443/graph/v1.0", false),
            ("https://gate.example.evil:8443/graph/v1.0", false),
            ("https://x@gate.example:8443/graph/v1.0", false),
            ("https://gate.example:99999/graph/v1.0", false),
            ("https://gate.example:/graph/v1.0", false),
            ("/graph/v1.0", false),
        ] {
            assert_eq!(root.trusts(&uri.parse().unwrap()), trusted, "{uri}");
        }
        let global = ServiceRoot::v1();
        assert!(global.trusts(&Uri::from_static("https://graph.microsoft.com:443/v1.0/me")));
        assert!(!global.trusts(&Uri::from_static("https://graph.microsoft.us/v1.0/me")));
    }
}
