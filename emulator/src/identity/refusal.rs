//! What the identity platform says when it gives no token, in its own words, numbers and shape.
//!
//! Sources: the pages reference-error-codes, v2-oauth2-client-creds-grant-flow,
//! v2-oauth2-device-code, v2-oauth2-auth-code-flow. Where no page gives a number, the one that
//! users report.

use http::StatusCode;

use crate::{
    answer::{Answer, RequestIds},
    date::Moment,
};

/// A request for a token that is refused.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(super) status: StatusCode,
    /// What a client branches on.
    pub(super) error: String,
    /// The AADSTS number.
    pub(super) number: u32,
    pub(super) message: String,
    pub(super) suberror: Option<&'static str>,
}

impl Refused {
    pub(super) fn new(error: &str, number: u32, message: impl Into<String>) -> Self {
        // invalid_client is the only one that is 401 (RFC 6749, section 5.2).
        let status = match error {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, error: error.to_owned(), number, message: message.into(), suberror: None }
    }

    pub(super) fn missing(parameter: &str) -> Self {
        let message =
            format!("The request body must contain the following parameter: '{parameter}'.");
        Self::new("invalid_request", 900_144, message)
    }

    pub(super) fn malformed(what: &str) -> Self {
        let message = format!("Invalid request. Request is malformed or invalid: {what}.");
        Self::new("invalid_request", 9_002_313, message)
    }

    pub(super) fn no_consent(client_id: &str) -> Self {
        let message = format!(
            "The user or administrator has not consented to use the application with ID \
             '{client_id}'. Send an interactive authorization request for this user and resource."
        );
        Self { suberror: Some("consent_required"), ..Self::new("invalid_grant", 65_001, message) }
    }

    /// Something that was scripted.
    pub(crate) fn scripted(status: StatusCode, error: Option<&str>) -> Self {
        let usual = match status.as_u16() {
            401 => "invalid_client",
            429 | 500.. => "temporarily_unavailable",
            _ => "invalid_request",
        };
        let message = "A fault is scripted in this emulator for this request.";
        Self { status, ..Self::new(error.unwrap_or(usual), 90_033, message) }
    }

    pub(crate) fn into_answer(self, ids: &RequestIds, now: Moment) -> Answer {
        let Self { status, error, number, message, suberror } = self;
        let timestamp = now.platform();
        let description = format!(
            "AADSTS{number}: {message}\r\nTrace ID: {}\r\nCorrelation ID: {}\r\nTimestamp: {timestamp}",
            ids.request, ids.client,
        );
        let answer = Answer::object(status, |body| {
            body.text("error", &error);
            body.text("error_description", &description);
            body.raw("error_codes", &format!("[{number}]"));
            body.text("timestamp", &timestamp);
            body.text("trace_id", &ids.request);
            body.text("correlation_id", &ids.client);
            body.text(
                "error_uri",
                &format!("https://login.microsoftonline.com/error?code={number}"),
            );
            if let Some(suberror) = suberror {
                body.text("suberror", suberror);
            }
        });
        super::uncached(answer)
    }
}
