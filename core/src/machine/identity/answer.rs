//! The answers to requests for tokens.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::header;
use serde::{Deserialize, Deserializer, de::IgnoredAny};

use crate::{
    protocol::{TokenError, TokenRefusal, http_date},
    types::Secret,
};

#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    pub(super) access_token: Secret,
    #[serde(default, deserialize_with = "number")]
    expires_in: Option<u64>,
    /// Managed identities give a point in time, in seconds since 1970.
    #[serde(default, deserialize_with = "number")]
    expires_on: Option<u64>,
    pub(super) refresh_token: Option<Secret>,
}

#[derive(Deserialize)]
pub(super) struct DeviceCodeAnswer {
    pub(super) device_code: Secret,
    pub(super) user_code: String,
    pub(super) verification_uri: String,
    #[serde(default, deserialize_with = "number")]
    pub(super) expires_in: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub(super) interval: Option<u64>,
    #[serde(default)]
    pub(super) message: String,
}

/// Managed identities write their numbers as texts.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Value {
        Number(u64),
        Text(String),
        Other(IgnoredAny),
    }
    Ok(match Value::deserialize(from)? {
        Value::Number(number) => Some(number),
        Value::Text(text) => text.parse().ok(),
        Value::Other(_) => None,
    })
}

impl TokenAnswer {
    /// How long the token lives. This crate has no clock, so a point in time is measured against
    /// the answer's own `Date`.
    pub(super) fn life(&self, response: &http::Response<Bytes>) -> Option<Duration> {
        let on = || {
            let date = response.headers().get(header::DATE)?.to_str().ok()?;
            let now = http_date(date)?.unix_timestamp();
            Some(self.expires_on?.saturating_sub(u64::try_from(now).ok()?))
        };
        self.expires_in.or_else(on).map(Duration::from_secs)
    }
}

/// Reads a success, or the platform's refusal.
pub(super) fn read<'de, T: Deserialize<'de>>(
    response: &'de http::Response<Bytes>,
) -> Result<T, TokenError> {
    let unreadable =
        |why: &str| TokenError::Unreadable { status: response.status().as_u16(), why: why.into() };
    if response.status().is_success() {
        // serde's own words could quote what it read, and that may be a token.
        return serde_json::from_slice(response.body()).map_err(|error| {
            unreadable(&format!("no token at line {} column {}", error.line(), error.column()))
        });
    }
    match serde_json::from_slice::<TokenRefusal>(response.body()) {
        Ok(refusal) => Err(TokenError::Refused(Arc::new(refusal))),
        Err(_) => Err(unreadable("it is no refusal that can be read")),
    }
}
