//! Managed identities: App Service's endpoint and that of the virtual machine (IMDS).
//!
//! Sources: the pages overview-managed-identity ("REST endpoint reference") of App Service and
//! how-to-use-vm-token of Entra.

use std::time::Duration;

use http::{HeaderName, StatusCode};

use super::{Asking, Form, Grant, Platform, Refused, success};
use crate::{
    answer::{Answer, RequestIds},
    authorization::Application,
};

struct Managed {
    token: String,
    client_id: String,
    resource: String,
    life: Duration,
    /// Seconds since 1970.
    now: i64,
}

impl Managed {
    fn expires_on(&self) -> String {
        let life = i64::try_from(self.life.as_secs()).unwrap_or(i64::MAX);
        self.now.saturating_add(life).to_string()
    }
}

impl Platform {
    pub(super) fn app_service(&mut self, asking: &Asking<'_>, ids: &RequestIds) -> Answer {
        let header = asking.request.headers().get("x-identity-header");
        let header = header.and_then(|header| header.to_str().ok());
        let right = self.settings.managed_identity.as_ref().map(|identity| &*identity.header);
        let result = match (header, right) {
            (Some(header), Some(right)) if header == right => {
                self.managed(asking, "2019-08-01").map_err(|refused| refused.message)
            }
            (None, _) => Err("The header X-IDENTITY-HEADER is missing.".to_owned()),
            _ => Err("The header X-IDENTITY-HEADER is not that of this identity.".to_owned()),
        };
        match result {
            Ok(managed) => success(|body| {
                body.text("access_token", &managed.token);
                body.text("expires_on", &managed.expires_on());
                body.text("resource", &managed.resource);
                body.text("token_type", "Bearer");
                body.text("client_id", &managed.client_id);
            }),
            Err(message) => super::uncached(Answer::object(StatusCode::BAD_REQUEST, |body| {
                body.raw("statusCode", "400");
                body.text("message", &message);
                body.text("correlationId", &ids.client);
            })),
        }
    }

    pub(super) fn imds(&mut self, asking: &Asking<'_>) -> Result<Answer, Refused> {
        let header = asking.request.headers().get(HeaderName::from_static("metadata"));
        let is_right = header.is_some_and(|header| header.as_bytes().eq_ignore_ascii_case(b"true"));
        if !is_right {
            let message = "Required metadata header not specified.";
            return Err(Refused::new("invalid_request", 90_014, message));
        }
        let managed = self.managed(asking, "2018-02-01")?;
        let life = managed.life.as_secs().to_string();
        // All numbers are texts here.
        Ok(success(|body| {
            body.text("access_token", &managed.token);
            body.text("client_id", &managed.client_id);
            body.text("expires_in", &life);
            body.text("expires_on", &managed.expires_on());
            body.text("ext_expires_in", &life);
            body.text("not_before", &managed.now.to_string());
            body.text("resource", &managed.resource);
            body.text("token_type", "Bearer");
        }))
    }

    fn managed(&mut self, asking: &Asking<'_>, version: &str) -> Result<Managed, Refused> {
        let query = Form::of_query(asking.request)?;
        if query.get("api-version") != Some(version) {
            let message = format!("api-version has to be {version}.");
            return Err(Refused::new("invalid_request", 90_014, message));
        }
        let Some(resource) = query.get("resource") else {
            let message = "The query parameter 'resource' is missing.";
            return Err(Refused::new("invalid_request", 90_014, message));
        };
        let application = self
            .identity(query.get("client_id"))
            .ok_or_else(|| Refused::new("invalid_request", 90_014, "Identity not found."))?;
        let plain = asking.graph(resource).ok_or_else(|| asking.unknown_resource(resource))?;
        let grant = Grant::of_application(application, plain);
        Ok(Managed {
            client_id: grant.client_id.clone(),
            token: self.issue(grant, asking.now, asking.moment),
            resource: resource.to_owned(),
            life: self.settings.token_life,
            now: asking.moment.unix(),
        })
    }

    /// The application that is the managed identity, if it is the one that is asked for.
    fn identity(&self, client_id: Option<&str>) -> Option<&Application> {
        let own = &*self.settings.managed_identity.as_ref()?.client_id;
        let meant = client_id.is_none_or(|client_id| client_id.eq_ignore_ascii_case(own));
        self.registered(own).filter(|_| meant)
    }
}
