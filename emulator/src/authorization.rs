//! How tokens are issued and checked: the applications that are registered, and the settings.
//!
//! Plain data. What an endpoint answers is in `identity/`, what a token may do in
//! `service/authorize.rs`. No `Debug` here shows a secret.

use std::{fmt, str::FromStr, time::Duration};

/// The tenant of an application that names none; made up.
const TENANT: &str = "6c5e1fa4-93d9-4b5e-8a68-2d2bf05a7d6f";
/// The user who signs in if nobody else is named; made up.
const USER: &str = "9f4880d8-80ba-4c40-97bc-f7a23c703084";

/// How an emulator issues tokens, and that it checks them.
///
/// With this, only tokens that it issued are good, each as long as it lives and for what its
/// application or user may do; and the endpoints of the identity platform are there.
///
/// ```
/// use std::time::Duration;
/// use graphfeed_emulator::{Application, Authorization, Emulator, Options};
///
/// let application = Application::new("3d1f0e2a-7c1b-4a62-9f0e-8a5b4c3d2e1f", "made up")
///     .role("ExternalConnection.ReadWrite.OwnedBy")
///     .role("ExternalItem.ReadWrite.OwnedBy");
/// let emulator = Emulator::new(Options {
///     authorization: Some(Authorization {
///         applications: vec![application],
///         token_life: Duration::from_secs(600),
///         ..Authorization::default()
///     }),
///     ..Options::default()
/// });
/// let token = emulator.token("3d1f0e2a-7c1b-4a62-9f0e-8a5b4c3d2e1f").expect("it is registered");
/// let with = |token: &str| {
///     let list = http::Request::get("http://localhost/v1.0/external/connections")
///         .header("authorization", format!("Bearer {token}"));
///     emulator.handle(&list.body(bytes::Bytes::new()).expect("a request"))
/// };
/// assert_eq!(with(&token).status(), 200);
/// assert_eq!(with("any").status(), 401);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Authorization {
    /// The applications that are registered. None by default.
    pub applications: Vec<Application>,
    /// How long a token lives. An hour by default.
    pub token_life: Duration,
    /// Whether a refresh token is good once only. False by default: the reply to it holds a new
    /// one, and the documents say that the old one is not revoked.
    pub refresh_once: bool,
    /// The application that is the managed identity of the machine. None by default: it has none.
    pub managed_identity: Option<ManagedIdentity>,
    /// The object id of the user who signs in.
    pub user: String,
    /// How long a device code lives. 15 minutes by default, as documented.
    pub device_code_life: Duration,
    /// How long a client has to wait from one question for a device code to the next. 5 seconds
    /// by default.
    pub device_code_interval: Duration,
    /// Who signs in with a device code.
    pub sign_in: SignIn,
    /// Claims that a token has to have, as JSON: `{"access_token":{"nbf":{"essential":true}}}`. A
    /// token has those that its request asked for; without them the answer is a 401 with a claims
    /// challenge. None by default.
    pub claims: Option<String>,
}

/// When the user signs in with a device code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignIn {
    /// When a program says so, in process or on the control path.
    #[default]
    ByHand,
    /// When the client has asked so many times.
    AfterPolls(u32),
    /// When this time has passed.
    After(Duration),
}

/// An application that is registered with the identity platform.
///
/// Made with a builder, or from a text: `id=..,secret=..,tenant=..,roles=A|B,scopes=C`, in which
/// only `id` has to be there.
///
/// ```
/// use graphfeed_emulator::Application;
///
/// let text = "id=app,secret=made up,roles=ExternalItem.ReadWrite.All";
/// let built = Application::new("app", "made up").role("ExternalItem.ReadWrite.All");
/// assert_eq!(text.parse::<Application>()?, built);
/// assert!(!format!("{built:?}").contains("made up"));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Application {
    /// Its application id.
    pub client_id: String,
    /// Its secrets, each of them good. An application without any is a public client.
    pub secrets: Vec<String>,
    /// Its tenant: an id or a domain.
    pub tenant: String,
    /// The application permissions that an administrator granted.
    pub roles: Vec<String>,
    /// The delegated permissions that users and administrators granted.
    pub scopes: Vec<String>,
    /// Foreign tokens that it may present instead of a secret.
    pub federated: Vec<Federation>,
}

/// A foreign token that an application may present, by what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Federation {
    /// Who issued it.
    pub issuer: String,
    /// For whom.
    pub subject: String,
}

/// The managed identity of the machine: an application without a secret of its own.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManagedIdentity {
    /// The application. It has to be registered.
    pub client_id: String,
    /// What App Service puts into `IDENTITY_HEADER`, a secret. Not needed by IMDS.
    pub header: String,
}

impl Default for Authorization {
    fn default() -> Self {
        Self {
            applications: Vec::new(),
            token_life: Duration::from_secs(3600),
            refresh_once: false,
            managed_identity: None,
            user: USER.to_owned(),
            device_code_life: Duration::from_secs(900),
            device_code_interval: Duration::from_secs(5),
            sign_in: SignIn::ByHand,
            claims: None,
        }
    }
}

impl Application {
    /// An application with a secret, in a tenant that the emulator made up.
    pub fn new(client_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { secrets: vec![secret.into()], ..Self::public(client_id) }
    }

    /// An application without a secret: only users sign in with it.
    pub fn public(client_id: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            secrets: Vec::new(),
            tenant: TENANT.to_owned(),
            roles: Vec::new(),
            scopes: Vec::new(),
            federated: Vec::new(),
        }
    }

    /// In this tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// With one more secret, which is as good as those before.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// With one more application permission.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// With one more delegated permission.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// It may present a token that this issuer made for this subject.
    #[must_use]
    pub fn federated(mut self, issuer: impl Into<String>, subject: impl Into<String>) -> Self {
        let federation = Federation { issuer: issuer.into(), subject: subject.into() };
        self.federated.push(federation);
        self
    }
}

impl ManagedIdentity {
    /// This application, and what App Service puts into `IDENTITY_HEADER`.
    pub fn new(client_id: impl Into<String>, header: impl Into<String>) -> Self {
        Self { client_id: client_id.into(), header: header.into() }
    }
}

/// The members of a text such as `id=..,secret=..`. No value is told in an error, for it may be a
/// secret.
fn members(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let mut all: Vec<(&str, &str)> = Vec::new();
    for member in text.split(',') {
        let Some((name, value)) = member.split_once('=') else {
            return Err("write NAME=VALUE,NAME=VALUE, and no comma in a value".to_owned());
        };
        if all.iter().any(|(known, _)| *known == name) {
            return Err(format!("{name:?} is given twice"));
        }
        if value.is_empty() {
            return Err(format!("{name:?} is empty"));
        }
        all.push((name, value));
    }
    Ok(all)
}

impl FromStr for Application {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut application = Self::public("");
        for (name, value) in members(text)? {
            let list = || value.split('|').map(str::to_owned).collect::<Vec<_>>();
            match name {
                "id" => application.client_id = value.to_owned(),
                "secret" => application.secrets = vec![value.to_owned()],
                "tenant" => application.tenant = value.to_owned(),
                "roles" => application.roles = list(),
                "scopes" => application.scopes = list(),
                _ => {
                    return Err(format!(
                        "an application has no {name:?}; it has id, secret, tenant, roles and scopes"
                    ));
                }
            }
        }
        if application.client_id.is_empty() {
            return Err("an application has to have an id".to_owned());
        }
        Ok(application)
    }
}

impl FromStr for ManagedIdentity {
    type Err = String;

    /// `id=..,header=..`
    fn from_str(text: &str) -> Result<Self, String> {
        let mut identity = Self::new("", "");
        for (name, value) in members(text)? {
            match name {
                "id" => identity.client_id = value.to_owned(),
                "header" => identity.header = value.to_owned(),
                _ => {
                    return Err(format!(
                        "a managed identity has no {name:?}; it has id and header"
                    ));
                }
            }
        }
        if identity.client_id.is_empty() {
            return Err("a managed identity has to have an id".to_owned());
        }
        Ok(identity)
    }
}

impl FromStr for SignIn {
    type Err = String;

    /// `by-hand`, `polls=3` or `after=10`, which is in seconds.
    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = |text: &str| Duration::try_from_secs_f64(text.parse().ok()?).ok();
        match text.split_once('=') {
            None if text == "by-hand" => Some(Self::ByHand),
            Some(("polls", polls)) => polls.parse().ok().map(Self::AfterPolls),
            Some(("after", after)) => seconds(after).map(Self::After),
            _ => None,
        }
        .ok_or_else(|| format!("{text:?} is not by-hand, polls=NUMBER or after=SECONDS"))
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client_id, secrets, tenant, roles, scopes, federated } = self;
        f.debug_struct("Application")
            .field("client_id", client_id)
            .field("secrets", &format_args!("[{} hidden]", secrets.len()))
            .field("tenant", tenant)
            .field("roles", roles)
            .field("scopes", scopes)
            .field("federated", federated)
            .finish()
    }
}

impl fmt::Debug for ManagedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client_id, header: _ } = self;
        f.debug_struct("ManagedIdentity")
            .field("client_id", client_id)
            .field("header", &format_args!("[hidden]"))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_read_from_a_text_and_no_error_tells_a_value() {
        let read: Application = "id=app,tenant=contoso.com,roles=A|B,secret=hush,scopes=C"
            .parse()
            .expect("an application");
        let built = Application::new("app", "hush").tenant("contoso.com");
        assert_eq!(read, built.role("A").role("B").scope("C"));
        assert_eq!("id=app".parse(), Ok(Application::public("app")));
        for bad in [
            "",
            "hush",
            "secret=hush",
            "id=a,secret=hush,secret=hush",
            "id=a,hush=hush,b",
            "id=a,secret=",
            "id=a,sekret=hush",
        ] {
            let error = bad.parse::<Application>().expect_err(bad);
            let told = error.replace("\"hush\"", "").contains("hush");
            assert!(!told && !error.is_empty(), "{error}");
        }
        assert_eq!("id=a,header=h".parse(), Ok(ManagedIdentity::new("a", "h")));
        for bad in ["", "header=h", "id=a,key=h"] {
            assert!(bad.parse::<ManagedIdentity>().is_err());
        }
    }

    #[test]
    fn a_sign_in_is_read_from_a_text() {
        assert_eq!("by-hand".parse(), Ok(SignIn::ByHand));
        assert_eq!("polls=3".parse(), Ok(SignIn::AfterPolls(3)));
        assert_eq!("after=1.5".parse(), Ok(SignIn::After(Duration::from_millis(1500))));
        for bad in ["", "polls", "polls=-1", "after=x", "after=-1", "by-hand=1"] {
            assert!(bad.parse::<SignIn>().is_err(), "{bad}");
        }
    }
}
