//! The token endpoint: what each grant needs, and what it gives.
//!
//! Sources: the pages v2-oauth2-client-creds-grant-flow, v2-oauth2-device-code,
//! v2-oauth2-auth-code-flow ("Refresh the access token").

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::header;
use serde_json::Value;

use super::{Asking, Form, Grant, Platform, Refused, success, token};
use crate::{answer::Answer, authorization::Application, target::decode};

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// What the audience of a foreign token has to be.
const EXCHANGE: &str = "api://AzureADTokenExchange";
/// Tenants that stand for more than one; users only.
const COLLECTIVE: [&str; 3] = ["common", "organizations", "consumers"];
/// Scopes of the platform itself.
const OPEN_ID: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// How many refresh tokens are remembered; when there are more, those go that were used.
const KEPT: usize = 10_000;

/// What a refresh token stands for.
pub(super) struct Refresh {
    client_id: String,
    user: String,
    scopes: Vec<String>,
    used: bool,
}

/// The scopes of a request of a user.
pub(super) struct Scopes {
    resource: String,
    /// Those of the resource, by their bare names.
    permissions: Vec<String>,
    pub(super) openid: bool,
    pub(super) offline: bool,
}

impl Platform {
    pub(super) fn grant(&mut self, asking: &Asking<'_>) -> Result<Answer, Refused> {
        let form = Form::of_body(asking.request)?;
        match form.need("grant_type")? {
            "client_credentials" => self.client_credentials(asking, &form),
            "refresh_token" => self.refresh_token(asking, &form),
            DEVICE_CODE => self.device_code(asking, &form),
            other => {
                let message = format!("The app requested an unsupported grant type '{other}'.");
                Err(Refused::new("unsupported_grant_type", 70_003, message))
            }
        }
    }

    fn client_credentials(&mut self, asking: &Asking<'_>, form: &Form) -> Result<Answer, Refused> {
        let (application, secret) = self.application(asking, form, false)?;
        let proven = self.prove(asking, form, &application, secret.as_deref())?;
        if !proven {
            return Err(Refused::new(
                "invalid_client",
                7_000_216,
                "'client_assertion', 'client_secret' or 'request' is required for the \
                 'client_credentials' grant type.",
            ));
        }
        let scope = form.need("scope")?;
        if scope.split_ascii_whitespace().count() > 1 {
            let message = format!(
                "The provided request must include a 'scope' input parameter. The provided value \
                 for the input parameter 'scope' is not valid. The scope {scope} is not valid; \
                 .default cannot be combined with others."
            );
            return Err(Refused::new("invalid_scope", 70_011, message));
        }
        let Some(resource) = scope.strip_suffix("/.default") else {
            let message = format!(
                "The provided value for scope {scope} is not valid. Client credential flows must \
                 have a scope value with /.default suffixed to the resource identifier \
                 (application ID URI)."
            );
            return Err(Refused::new("invalid_scope", 1_002_012, message));
        };
        let resource = asking.graph(resource).ok_or_else(|| asking.unknown_resource(resource))?;
        let mut grant = Grant::of_application(&application, resource);
        grant.claims = claims(form)?;
        let life = self.settings.token_life.as_secs().to_string();
        let token = self.issue(grant, asking.now, asking.moment);
        Ok(success(|body| {
            body.text("token_type", "Bearer");
            body.raw("expires_in", &life);
            body.raw("ext_expires_in", &life);
            body.text("access_token", &token);
        }))
    }

    fn refresh_token(&mut self, asking: &Asking<'_>, form: &Form) -> Result<Answer, Refused> {
        let (application, secret) = self.application(asking, form, true)?;
        self.prove(asking, form, &application, secret.as_deref())?;
        let once = self.settings.refresh_once;
        let presented = form.need("refresh_token")?;
        let known = self.refresh.get(presented);
        let known =
            known.filter(|known| known.client_id == application.client_id && !(once && known.used));
        let Some(known) = known else {
            return Err(Refused::new(
                "invalid_grant",
                70_000,
                "Provided grant is invalid or malformed: the refresh token was not issued to this \
                 application, or it has been used.",
            ));
        };
        let (user, granted) = (known.user.clone(), known.scopes.clone());
        let mut scopes = match form.get("scope") {
            Some(scope) => self.scopes(asking, &application, scope)?,
            None => Scopes {
                resource: super::GRAPHS[0].to_owned(),
                permissions: granted.clone(),
                openid: false,
                offline: true,
            },
        };
        if !scopes.permissions.iter().all(|scope| granted.contains(scope)) {
            return Err(Refused::no_consent(&application.client_id));
        }
        scopes.offline = true;
        let answer = self.sign_in(asking, form, &application, user, scopes)?;
        if let Some(known) = self.refresh.get_mut(form.need("refresh_token")?) {
            known.used = true;
        }
        Ok(answer)
    }

    /// The answer to a grant of a user.
    pub(super) fn sign_in(
        &mut self,
        asking: &Asking<'_>,
        form: &Form,
        application: &Application,
        user: String,
        scopes: Scopes,
    ) -> Result<Answer, Refused> {
        let life = self.settings.token_life.as_secs().to_string();
        let scope: Vec<String> =
            scopes.permissions.iter().map(|name| format!("{}/{name}", scopes.resource)).collect();
        let grant = Grant {
            user: Some(user.clone()),
            permissions: scopes.permissions.clone(),
            claims: claims(form)?,
            ..Grant::of_application(application, &scopes.resource)
        };
        let id_token = scopes.openid.then(|| {
            let about = Grant { resource: application.client_id.clone(), ..grant.clone() };
            token::unsigned(&about, self.settings.token_life, asking.moment, &mut self.ids)
        });
        let token = self.issue(grant, asking.now, asking.moment);
        let refresh = scopes
            .offline
            .then(|| self.new_refresh_token(&application.client_id, user, scopes.permissions));
        Ok(success(|body| {
            body.text("token_type", "Bearer");
            body.text("scope", &scope.join(" "));
            body.raw("expires_in", &life);
            body.raw("ext_expires_in", &life);
            body.text("access_token", &token);
            if let Some(refresh) = &refresh {
                body.text("refresh_token", refresh);
            }
            if let Some(id_token) = &id_token {
                body.text("id_token", id_token);
            }
        }))
    }

    fn new_refresh_token(&mut self, client_id: &str, user: String, scopes: Vec<String>) -> String {
        let noise: String = (0..4).map(|_| self.ids.guid().replace('-', "")).collect();
        let token = format!("1.{noise}");
        let refresh = Refresh { client_id: client_id.to_owned(), user, scopes, used: false };
        if self.refresh.len() >= KEPT {
            self.refresh.retain(|_, refresh| !refresh.used);
        }
        self.refresh.insert(token.clone(), refresh);
        token
    }

    /// A refresh token without a request, as if a user had signed in before.
    pub(crate) fn refresh_token_for(&mut self, client_id: &str) -> Option<String> {
        let application = self.registered(client_id)?;
        let (client_id, scopes) = (application.client_id.clone(), application.scopes.clone());
        let user = self.settings.user.clone();
        Some(self.new_refresh_token(&client_id, user, scopes))
    }

    /// The application that asks, and the secret it presents. `users`: it asks for one.
    pub(super) fn application(
        &self,
        asking: &Asking<'_>,
        form: &Form,
        users: bool,
    ) -> Result<(Application, Option<String>), Refused> {
        let basic = basic(asking)?;
        let client_id = match &basic {
            Some((client_id, _)) => client_id.as_str(),
            None => form.need("client_id")?,
        };
        let secret = match (&basic, form.get("client_secret")) {
            (Some((_, secret)), None) => Some(secret.clone()),
            (None, secret) => secret.map(str::to_owned),
            (Some(_), Some(_)) => {
                return Err(Refused::malformed("the application proves itself in two ways"));
            }
        };
        let tenant = decode(asking.tenant).unwrap_or_default();
        let same = |known: &str| known.eq_ignore_ascii_case(&tenant);
        let collective = COLLECTIVE.iter().any(|known| same(known));
        if collective && !users {
            return Err(Refused::new(
                "invalid_request",
                50_059,
                "No tenant-identifying information found in either the request or implied by any \
                 provided credentials: an application by itself names its own tenant.",
            ));
        }
        if !collective && !self.settings.applications.iter().any(|each| same(&each.tenant)) {
            let message = format!(
                "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID \
                 and are signing into the correct cloud."
            );
            return Err(Refused::new("invalid_request", 90_002, message));
        }
        let application = self.registered(client_id);
        match application.filter(|found| collective || same(&found.tenant)) {
            Some(application) => Ok((application.clone(), secret)),
            None => {
                let message = format!(
                    "Application with identifier '{client_id}' was not found in the directory \
                     '{tenant}'."
                );
                Err(Refused::new("unauthorized_client", 700_016, message))
            }
        }
    }

    /// Whether the application has proven who it is. False: it did not try.
    pub(super) fn prove(
        &self,
        asking: &Asking<'_>,
        form: &Form,
        application: &Application,
        secret: Option<&str>,
    ) -> Result<bool, Refused> {
        let id = &application.client_id;
        if let Some(secret) = secret {
            if application.secrets.is_empty() {
                return Err(Refused::new(
                    "invalid_client",
                    700_025,
                    "Client is public so neither 'client_assertion' nor 'client_secret' should be \
                     presented.",
                ));
            }
            if !application.secrets.iter().any(|known| known == secret) {
                let message = format!(
                    "Invalid client secret provided. Ensure the secret being sent in the request \
                     is the client secret value, not the client secret ID, for a secret added to \
                     app '{id}'."
                );
                return Err(Refused::new("invalid_client", 7_000_215, message));
            }
            return Ok(true);
        }
        let Some(assertion) = form.get("client_assertion") else {
            return Ok(false);
        };
        if form.need("client_assertion_type")? != ASSERTION {
            return Err(Refused::malformed("client_assertion_type is none that is known"));
        }
        let claims = token::claims_of(assertion).ok_or_else(|| {
            Refused::new("invalid_client", 50_027, "JWT token is invalid or malformed.")
        })?;
        check_assertion(asking, application, &claims)?;
        Ok(true)
    }

    /// Reads the scopes of a request of a user.
    pub(super) fn scopes(
        &self,
        asking: &Asking<'_>,
        application: &Application,
        text: &str,
    ) -> Result<Scopes, Refused> {
        let mut resource = None;
        let mut permissions: Vec<String> = Vec::new();
        let (mut openid, mut offline) = (false, false);
        for scope in text.split_ascii_whitespace() {
            openid |= scope == "openid";
            offline |= scope == "offline_access";
            if OPEN_ID.contains(&scope) {
                continue;
            }
            let (of, name) = match scope.rsplit_once('/') {
                Some((of, name)) => {
                    (asking.graph(of).ok_or_else(|| asking.unknown_resource(of))?, name)
                }
                None => (super::GRAPHS[0], scope),
            };
            if *resource.get_or_insert(of) != of {
                let message = format!(
                    "The provided value for the input parameter 'scope' is not valid. The scope \
                     {text} names more than one resource."
                );
                return Err(Refused::new("invalid_scope", 70_011, message));
            }
            match name {
                ".default" => permissions.extend(application.scopes.iter().cloned()),
                name => permissions.push(name.to_owned()),
            }
        }
        let resource = resource.unwrap_or(super::GRAPHS[0]).to_owned();
        Ok(Scopes { resource, permissions, openid, offline })
    }
}

impl Scopes {
    /// Whether the application may have all of them, and there are some.
    pub(super) fn check_consent(&self, application: &Application) -> Result<(), Refused> {
        let granted = self.permissions.iter().all(|name| application.scopes.contains(name));
        match granted && !self.permissions.is_empty() {
            true => Ok(()),
            false => Err(Refused::no_consent(&application.client_id)),
        }
    }
}

/// The claims that a request asks for.
fn claims(form: &Form) -> Result<Option<Value>, Refused> {
    let Some(text) = form.get("claims") else { return Ok(None) };
    let claims = serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
    claims.map(Some).ok_or_else(|| Refused::malformed("'claims' is no JSON object"))
}

/// The id and secret in a header `Authorization: Basic`.
fn basic(asking: &Asking<'_>) -> Result<Option<(String, String)>, Refused> {
    let Some(value) = asking.request.headers().get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let read = || {
        let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
        let text = STANDARD.decode(encoded.trim()).ok()?;
        let text = String::from_utf8(text).ok()?;
        let (id, secret) = text.split_once(':')?;
        let plain = |text: &str| Some(decode(&text.replace('+', " "))?.into_owned());
        scheme.eq_ignore_ascii_case("basic").then_some(())?;
        Some((plain(id)?, plain(secret)?))
    };
    match read() {
        Some(pair) => Ok(Some(pair)),
        None => Err(Refused::malformed("the Authorization header is no Basic credential")),
    }
}

/// Judges an assertion by what is in it. Its signature is not looked at.
fn check_assertion(
    asking: &Asking<'_>,
    application: &Application,
    claims: &Value,
) -> Result<(), Refused> {
    let refuse = |number, message: &str| Err(Refused::new("invalid_client", number, message));
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let time = |name: &str| claims.get(name).and_then(Value::as_f64);
    let now = asking.moment.unix() as f64;
    let (Some(issuer), Some(subject), Some(audience), Some(expires)) =
        (text("iss"), text("sub"), text("aud"), time("exp"))
    else {
        return refuse(50_027, "JWT token is invalid or malformed: it has iss, sub, aud and exp.");
    };
    // Five minutes of a clock that is wrong are let pass.
    if expires + 300.0 <= now || time("nbf").is_some_and(|from| from > now + 300.0) {
        return refuse(700_024, "Client assertion is not within its valid time range.");
    }
    let id = &application.client_id;
    if issuer.eq_ignore_ascii_case(id) || subject.eq_ignore_ascii_case(id) {
        if !issuer.eq_ignore_ascii_case(subject) {
            return refuse(
                700_021,
                "Client assertion application identifier doesn't match 'client_id' parameter: \
                 iss and sub are both the client id.",
            );
        }
        // The host is whatever the client calls the platform; tenant and path are compared.
        let own = audience.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        if own.is_none_or(|(_, path)| format!("/{path}") != asking.request.uri().path()) {
            return refuse(
                700_023,
                "Client assertion audience claim does not match Realm issuer: aud is the URL of \
                 the token endpoint.",
            );
        }
        return Ok(());
    }
    let matches = |known: &crate::authorization::Federation| {
        known.issuer == issuer && known.subject == subject && audience == EXCHANGE
    };
    if !application.federated.iter().any(matches) {
        return refuse(
            700_213,
            "No matching federated identity record found for presented assertion. Check issuer, \
             subject and audience.",
        );
    }
    Ok(())
}
