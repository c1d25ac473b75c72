//! The identity platform, and the endpoints through which a machine reaches its managed identity.
//!
//! Requests for tokens are answered here; what a token may do is decided in
//! `service/authorize.rs`. Nothing here shows a token or a secret.

mod device;
mod form;
mod grants;
mod managed;
mod refusal;
mod token;

use std::{collections::HashMap, fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderName, Request, header};
use serde_json::Value;

use crate::{
    answer::{Answer, RequestIds},
    authorization::{Application, Authorization},
    date::Moment,
    ids::Ids,
    write::Object,
};
use device::Device;
use form::Form;
use grants::Refresh;
pub(crate) use refusal::Refused;
pub(crate) use token::{Grant, Tokens};

/// One endpoint, by method and resource, as a [`Fault`](crate::Fault) names it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) method: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) path: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Token,
    DeviceCode,
    AppService,
    Imds,
}

/// All endpoints.
pub(crate) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: "POST",
        resource: "token",
        path: "/{tenant}/oauth2/v2.0/token",
        kind: Kind::Token,
    },
    Endpoint {
        method: "POST",
        resource: "devicecode",
        path: "/{tenant}/oauth2/v2.0/devicecode",
        kind: Kind::DeviceCode,
    },
    Endpoint { method: "GET", resource: "msi", path: "/msi/token", kind: Kind::AppService },
    Endpoint {
        method: "GET",
        resource: "imds",
        path: "/metadata/identity/oauth2/token",
        kind: Kind::Imds,
    },
];

/// The endpoint that a request names.
pub(crate) fn find(request: &Request<Bytes>) -> Option<&'static Endpoint> {
    ENDPOINTS.iter().find(|endpoint| {
        let (ours, theirs) = (endpoint.path.split('/'), request.uri().path().split('/'));
        request.method() == endpoint.method
            && ours.clone().count() == theirs.clone().count()
            && ours.zip(theirs).all(|(ours, theirs)| ours == theirs || ours.starts_with('{'))
    })
}

/// Everything that the platform remembers.
pub(crate) struct Platform {
    pub(crate) settings: Authorization,
    pub(crate) tokens: Tokens,
    /// Claims that a token has to have.
    pub(crate) claims: Option<Value>,
    refresh: HashMap<String, Refresh>,
    devices: Vec<Device>,
    /// For everything made up here, so that the ids of other answers do not depend on it.
    ids: Ids,
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform")
            .field("settings", &self.settings)
            .field("issued", &self.tokens.issued())
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

/// One request at work.
struct Asking<'r> {
    request: &'r Request<Bytes>,
    origin: String,
    tenant: &'r str,
    now: Duration,
    moment: Moment,
}

/// A scope or resource that names Microsoft Graph.
const GRAPHS: [&str; 6] = [
    "https://graph.microsoft.com",
    "https://graph.microsoft.us",
    "https://dod-graph.microsoft.us",
    "https://microsoftgraph.chinacloudapi.cn",
    "00000003-0000-0000-c000-000000000000",
    "https://canary.graph.microsoft.com",
];

impl Platform {
    pub(crate) fn new(settings: Authorization, seed: u64) -> Self {
        let claims = settings.claims.as_deref().and_then(|json| serde_json::from_str(json).ok());
        Self {
            settings,
            claims,
            tokens: Tokens::default(),
            refresh: HashMap::new(),
            devices: Vec::new(),
            ids: Ids::new(seed ^ 0x0074_6f6b_656e),
        }
    }

    /// Answers a request for a token.
    pub(crate) fn answer(
        &mut self,
        endpoint: &Endpoint,
        request: &Request<Bytes>,
        (now, moment): (Duration, Moment),
        ids: &RequestIds,
    ) -> Answer {
        let tenant = request.uri().path().split('/').nth(1).unwrap_or_default();
        let origin = crate::target::origin(request);
        let asking = Asking { request, origin, tenant, now, moment };
        let answer = match endpoint.kind {
            Kind::Token => self.grant(&asking),
            Kind::DeviceCode => self.start_device_code(&asking),
            Kind::AppService => return self.app_service(&asking, ids),
            Kind::Imds => self.imds(&asking),
        };
        match answer {
            Ok(answer) => answer,
            Err(refused) => refused.into_answer(ids, moment),
        }
        .with(HeaderName::from_static("x-ms-request-id"), &*ids.request)
    }

    fn registered(&self, client_id: &str) -> Option<&Application> {
        let mut all = self.settings.applications.iter();
        all.find(|application| application.client_id.eq_ignore_ascii_case(client_id))
    }

    fn issue(&mut self, grant: Grant, now: Duration, moment: Moment) -> String {
        let life = self.settings.token_life;
        self.tokens.issue(grant, life, (now, moment), &mut self.ids)
    }

    /// From now on a token has to have these claims.
    pub(crate) fn require(&mut self, claims: Option<&str>) -> Result<(), String> {
        let read = |text| match serde_json::from_str::<Value>(text) {
            Ok(claims) if claims.is_object() => Ok(claims),
            _ => Err("claims are a JSON object".to_owned()),
        };
        self.claims = claims.map(read).transpose()?;
        Ok(())
    }

    /// A token without a request: of the application itself.
    pub(crate) fn token(
        &mut self,
        client_id: &str,
        now: Duration,
        moment: Moment,
    ) -> Option<String> {
        let grant = Grant::of_application(self.registered(client_id)?, GRAPHS[0]);
        Some(self.issue(grant, now, moment))
    }

    /// A token without a request: of a user, with all permissions that the application has.
    pub(crate) fn user_token(
        &mut self,
        client_id: &str,
        user: Option<&str>,
        now: Duration,
        moment: Moment,
    ) -> Option<String> {
        let application = self.registered(client_id)?;
        let grant = Grant {
            user: Some(user.unwrap_or(&self.settings.user).to_owned()),
            permissions: application.scopes.clone(),
            ..Grant::of_application(application, GRAPHS[0])
        };
        Some(self.issue(grant, now, moment))
    }
}

impl Asking<'_> {
    /// A resource as a client names it, without a slash at its end, if it is Microsoft Graph.
    fn graph<'s>(&self, resource: &'s str) -> Option<&'s str> {
        let resource = resource.strip_suffix('/').unwrap_or(resource);
        let known = GRAPHS.contains(&resource) || resource == self.origin;
        known.then_some(resource)
    }

    fn unknown_resource(&self, resource: &str) -> Refused {
        let message = format!(
            "The resource principal named {resource} was not found in the tenant named {}. This \
             can happen if the application has not been installed by the administrator of the \
             tenant or consented to by any user in the tenant.",
            self.tenant,
        );
        Refused::new("invalid_resource", 500_011, message)
    }
}

/// A token must not be kept by anybody in between (RFC 6749, section 5.1).
fn uncached(answer: Answer) -> Answer {
    answer
        .with(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .with(header::CACHE_CONTROL, "no-store, no-cache")
        .with(header::PRAGMA, "no-cache")
}

/// A success.
fn success(fill: impl FnOnce(&mut Object<'_>)) -> Answer {
    uncached(Answer::object(http::StatusCode::OK, fill))
}
