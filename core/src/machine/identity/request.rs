//! The requests for tokens.

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::credential::{Application, Kind};
use crate::{protocol::TokenError, types::Secret};

const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// `application/x-www-form-urlencoded`, wiped when it is dropped.
#[derive(Default)]
struct Form(Zeroizing<String>);

impl Form {
    fn with(self, name: &str, value: &str) -> Self {
        // Growing in place would leave what was there before in memory.
        let most = self.0.len() + name.len() + 3 * value.len() + 2;
        let mut text = Zeroizing::new(String::with_capacity(most));
        text.push_str(&self.0);
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.extend(utf8_percent_encode(value, RESERVED));
        Self(text)
    }

    fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

/// The body is the form itself, so that it is wiped with the last copy of the request.
fn post(url: &str, form: Form) -> Result<http::Request<Bytes>, TokenError> {
    let written = HeaderValue::from_static("application/x-www-form-urlencoded");
    request(Method::POST, url, Bytes::from_owner(form.0), (header::CONTENT_TYPE, written))
}

fn request(
    method: Method,
    url: &str,
    body: Bytes,
    (name, value): (http::HeaderName, HeaderValue),
) -> Result<http::Request<Bytes>, TokenError> {
    http::Request::builder()
        .method(method)
        .uri(url)
        .header(header::ACCEPT, "application/json")
        .header(name, value)
        .body(body)
        .map_err(|_| TokenError::source("the address for tokens is none"))
}

/// The request that a token comes back to. `assertion` is there when the credential needs one.
pub(super) fn token(
    kind: &Kind,
    assertion: Option<&Secret>,
    claims: Option<&str>,
) -> Result<http::Request<Bytes>, TokenError> {
    let assertion = assertion.map(Secret::reveal);
    match kind {
        Kind::ClientSecret(application, secret) => {
            let form = client_credentials(application, claims);
            post(&application.authority.token_url(), form.with("client_secret", secret.reveal()))
        }
        Kind::Assertion(application) => {
            let form = client_credentials(application, claims)
                .with("client_assertion_type", ASSERTION_TYPE)
                .with("client_assertion", assertion.unwrap_or_default());
            post(&application.authority.token_url(), form)
        }
        Kind::RefreshToken { application, token, secret } => {
            let form = Form::default()
                .with("grant_type", "refresh_token")
                .with("client_id", &application.client_id)
                .with("refresh_token", token.reveal())
                .with("scope", &application.scope)
                .with_some("client_secret", secret.as_ref().map(Secret::reveal))
                .with_some("claims", claims);
            post(&application.authority.token_url(), form)
        }
        Kind::DeviceCode(application) => {
            let form = Form::default()
                .with("client_id", &application.client_id)
                .with("scope", &application.scope)
                .with_some("claims", claims);
            post(&application.authority.device_code_url(), form)
        }
        Kind::AppService { endpoint, header, resource, client_id } => {
            let url = managed(endpoint, "2019-08-01", resource, client_id.as_deref());
            let mut value = HeaderValue::from_str(header.reveal())
                .map_err(|_| TokenError::source("IDENTITY_HEADER is no header value"))?;
            value.set_sensitive(true);
            let name = http::HeaderName::from_static("x-identity-header");
            request(Method::GET, &url, Bytes::new(), (name, value))
        }
        Kind::Imds { resource, client_id } => {
            let endpoint = "http://169.254.169.254/metadata/identity/oauth2/token";
            let url = managed(endpoint, "2018-02-01", resource, client_id.as_deref());
            let metadata =
                (http::HeaderName::from_static("metadata"), HeaderValue::from_static("true"));
            request(Method::GET, &url, Bytes::new(), metadata)
        }
    }
}

/// The request that asks whether a user has signed in with a device code.
pub(super) fn poll_device_code(
    application: &Application,
    device_code: &Secret,
) -> Result<http::Request<Bytes>, TokenError> {
    let form = Form::default()
        .with("grant_type", DEVICE_CODE)
        .with("client_id", &application.client_id)
        .with("device_code", device_code.reveal());
    post(&application.authority.token_url(), form)
}

fn client_credentials(application: &Application, claims: Option<&str>) -> Form {
    Form::default()
        .with("grant_type", "client_credentials")
        .with("client_id", &application.client_id)
        .with("scope", &application.scope)
        .with_some("claims", claims)
}

fn managed(endpoint: &str, version: &str, resource: &str, client_id: Option<&str>) -> String {
    let query = Form::default()
        .with("api-version", version)
        .with("resource", resource)
        .with_some("client_id", client_id);
    format!("{endpoint}?{}", &*query.0)
}
