//! Secrets, which no `Debug`, error or event shows.

use std::fmt;

use http::HeaderValue;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::fault::{BuildError, Fault, Rule};

/// A text that must not be shown: a client secret, a refresh token, a signed assertion.
///
/// It is wiped from memory when it is dropped, and `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Shows the text, to whoever has to keep it: a refresh token in a key store, say.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self::new)
    }
}

/// A bearer token for Microsoft Graph.
///
/// Its text is wiped from memory when it is dropped (the header of a request under way is not), and
/// `Debug` does not show it:
///
/// ```
/// use graphfeed_core::types::AccessToken;
///
/// let token = AccessToken::new("eyJ0eXAi.secret")?;
/// assert_eq!(format!("{token:?}"), "AccessToken([redacted])");
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone)]
pub struct AccessToken(Zeroizing<String>);

impl AccessToken {
    /// Takes the token as the identity platform gave it, without the word `Bearer`.
    ///
    /// # Errors
    /// [`Rule::Token`] when it is empty or holds anything but visible ASCII, which no token does.
    /// The error does not repeat it.
    pub fn new(token: impl Into<String>) -> Result<Self, BuildError> {
        let token = Zeroizing::new(token.into());
        let why = match token.as_str() {
            "" => "is empty; give the token as it was issued",
            text if text.starts_with("Bearer ") => "begins with Bearer; leave that word out",
            text if text.trim() != text => "has white space around it; give the token alone",
            text if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                "has a space, line break or other character that no token has; give it as issued"
            }
            _ => return Ok(Self(token)),
        };
        Err(Fault::new(Rule::Token, "access token", why).into())
    }

    /// The text itself, for reading what it claims.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// The value of an `Authorization` header, marked sensitive so that HTTP libraries keep it
    /// out of their logs and compression tables.
    pub(crate) fn header(&self) -> HeaderValue {
        let text = Zeroizing::new(format!("Bearer {}", &*self.0));
        let mut value = HeaderValue::from_str(&text)
            .expect("an AccessToken is visible ASCII, which every header value may hold");
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken([redacted])")
    }
}
