//! Who asks for a token, and with what proof.

use std::{net::IpAddr, time::Duration};

use http::Uri;

use super::Authority;
use crate::{
    protocol::{Cloud, is_host},
    types::{BuildError, Fault, Rule, Secret, TokenKind, quote},
};

/// An application that is registered with the identity platform, and what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    pub(super) authority: Authority,
    pub(super) client_id: String,
    pub(super) scope: String,
}

impl Application {
    /// An application by its client id, which asks for all the permissions that it was granted
    /// for Microsoft Graph in `cloud`.
    pub fn new(authority: Authority, client_id: impl Into<String>, cloud: Cloud) -> Self {
        let scope = format!("{}/.default", cloud.graph());
        Self { authority, client_id: client_id.into(), scope }
    }

    /// Asks for other scopes, with spaces between them. For a user's activities that is
    /// `https://graph.microsoft.com/UserActivity.ReadWrite.CreatedByApp offline_access`.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self
    }
}

/// How a token is asked for.
///
/// Each constructor names the document that it follows.
#[derive(Clone, Debug)]
pub struct Credential(pub(super) Kind);

#[derive(Clone, Debug)]
pub(super) enum Kind {
    ClientSecret(Application, Secret),
    Assertion(Application),
    RefreshToken { application: Application, token: Secret, secret: Option<Secret> },
    DeviceCode(Application),
    AppService { endpoint: String, header: Secret, resource: String, client_id: Option<String> },
    Imds { resource: String, client_id: Option<String> },
}

impl Credential {
    /// An application with a client secret
    /// ([client credentials](https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow)).
    ///
    /// # Errors
    /// [`Rule::TokenKind`] for a collective tenant, which has no tokens for applications.
    pub fn client_secret(application: Application, secret: Secret) -> Result<Self, BuildError> {
        one_tenant(&application)?;
        Ok(Self(Kind::ClientSecret(application, secret)))
    }

    /// An application with a certificate, or with another platform's token (workload identity
    /// federation): the caller hands over a signed assertion whenever the fetch asks for one
    /// ([client credentials](https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow)).
    ///
    /// # Errors
    /// [`Rule::TokenKind`] for a collective tenant, which has no tokens for applications.
    pub fn assertion(application: Application) -> Result<Self, BuildError> {
        one_tenant(&application)?;
        Ok(Self(Kind::Assertion(application)))
    }

    /// A user who has signed in before. The answer may bring a new refresh token, which replaces
    /// this one ([code flow](https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow)).
    pub fn refresh_token(application: Application, token: Secret) -> Self {
        Self(Kind::RefreshToken { application, token, secret: None })
    }

    /// As [`refresh_token`](Self::refresh_token), for an application that has a secret.
    pub fn refresh_token_with_secret(
        application: Application,
        token: Secret,
        secret: Secret,
    ) -> Self {
        Self(Kind::RefreshToken { application, token, secret: Some(secret) })
    }

    /// A user who signs in on another device with a code that they are shown
    /// ([device code](https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code)).
    pub fn device_code(application: Application) -> Self {
        Self(Kind::DeviceCode(application))
    }

    /// The managed identity of an App Service or Functions app: `endpoint` and `header` are its
    /// `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`
    /// ([App Service](https://learn.microsoft.com/azure/app-service/overview-managed-identity)).
    /// The endpoint is local, over plain http. That its host is `localhost`, a loopback or a
    /// link-local address is assumed: the document calls it "local" and gives no more.
    ///
    /// # Errors
    /// [`Rule::ServiceRoot`] when `endpoint` is not `http://HOST[:PORT][/PATH]` with such a host,
    /// for the secret header goes there.
    pub fn app_service_identity(
        endpoint: impl Into<String>,
        header: Secret,
        cloud: Cloud,
    ) -> Result<Self, BuildError> {
        let endpoint = endpoint.into();
        local(&endpoint)?;
        let resource = cloud.graph().to_owned();
        Ok(Self(Kind::AppService { endpoint, header, resource, client_id: None }))
    }

    /// The managed identity of a virtual machine, from its metadata service (IMDS)
    /// ([virtual machines](https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token)).
    /// The address is link-local, over plain http.
    pub fn imds_identity(cloud: Cloud) -> Self {
        Self(Kind::Imds { resource: cloud.graph().to_owned(), client_id: None })
    }

    /// Asks a managed identity for the user-assigned one with this client id; no other
    /// credential heeds it.
    #[must_use]
    pub fn user_assigned(mut self, id: impl Into<String>) -> Self {
        if let Kind::AppService { client_id, .. } | Kind::Imds { client_id, .. } = &mut self.0 {
            *client_id = Some(id.into());
        }
        self
    }

    /// Who its tokens speak for.
    pub fn kind(&self) -> TokenKind {
        match self.0 {
            Kind::ClientSecret(..)
            | Kind::Assertion(_)
            | Kind::AppService { .. }
            | Kind::Imds { .. } => TokenKind::Application,
            Kind::RefreshToken { .. } | Kind::DeviceCode(_) => TokenKind::Delegated,
        }
    }

    /// The credential to use next time: whoever has signed in once does so by refresh token.
    pub(crate) fn renewed(&self, refresh_token: Secret) -> Self {
        match &self.0 {
            Kind::RefreshToken { application, secret, .. } => Self(Kind::RefreshToken {
                application: application.clone(),
                token: refresh_token,
                secret: secret.clone(),
            }),
            Kind::DeviceCode(application) => {
                Self::refresh_token(application.clone(), refresh_token)
            }
            _ => self.clone(),
        }
    }
}

fn one_tenant(application: &Application) -> Result<(), BuildError> {
    let tenant = application.authority.tenant();
    if !tenant.is_collective() {
        return Ok(());
    }
    let detail = format!(
        "{} stands for many tenants, and an application's token is for one; name it",
        tenant.as_str()
    );
    Err(Fault::new(Rule::TokenKind, "tenant", detail).into())
}

/// Whether a secret may go there in clear: no further than this machine.
fn local(endpoint: &str) -> Result<(), BuildError> {
    let fits = endpoint.parse::<Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("http")
            && uri.authority().is_some_and(is_host)
            && uri.query().is_none()
            && uri.host().is_some_and(is_local)
    });
    if fits && !endpoint.contains('#') {
        return Ok(());
    }
    let detail = format!(
        "{} is no address on this machine, and the secret header goes there; give the \
         IDENTITY_ENDPOINT of the app, like http://localhost:port/msi/token",
        quote(endpoint)
    );
    Err(Fault::new(Rule::ServiceRoot, "endpoint", detail).into())
}

fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_loopback() || address.is_unicast_link_local(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// An assertion is wanted: a JWT that says who the application is.
///
/// For a certificate it is signed with PS256, with `x5t#S256` in its header and these claims:
/// `aud` = `audience`, `iss` = `sub` = `client_id`, a new `jti`, `iat` and `nbf` of now, `exp` of
/// five to ten minutes later. For federation it is the other platform's token as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssertionNeed {
    /// Whom it is for.
    pub audience: String,
    /// Whom it is of.
    pub client_id: String,
}

impl AssertionNeed {
    /// As a fetch asks for it; for testing what signs.
    pub fn new(audience: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self { audience: audience.into(), client_id: client_id.into() }
    }
}

/// What a user has to be shown to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceCode {
    /// What to type in.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// Both in a sentence, in the language of the platform's choice.
    pub message: String,
    /// How long the code lives.
    pub expires_in: Duration,
}
