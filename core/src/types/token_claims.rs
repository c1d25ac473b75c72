//! What can be told from a token: who it speaks for, and what it may do.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::AccessToken;

/// Who a token speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// An application by itself.
    Application,
    /// A signed-in user.
    Delegated,
    /// It cannot be told.
    Unknown,
}

/// What a token says of itself, where it can be read. It need not be: Microsoft calls the format
/// of its tokens for Graph none of a client's business, so this explains refusals and decides
/// nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenClaims {
    /// Who it speaks for.
    pub kind: TokenKind,
    /// The application permissions that it carries (`roles`).
    pub roles: Vec<String>,
    /// The delegated permissions that it carries (`scp`).
    pub scopes: Vec<String>,
}

impl TokenClaims {
    /// Reads the claims if the token is a JWT.
    pub fn read(token: &AccessToken) -> Option<Self> {
        #[derive(Deserialize)]
        struct Payload {
            #[serde(default)]
            roles: Option<Vec<String>>,
            #[serde(default)]
            scp: Option<String>,
        }
        let mut parts = token.reveal().split('.');
        let (_, payload, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next())
        else {
            return None;
        };
        let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        let payload: Payload = serde_json::from_slice(&payload).ok()?;
        let kind = match (&payload.scp, &payload.roles) {
            (Some(_), _) => TokenKind::Delegated,
            (None, Some(_)) => TokenKind::Application,
            (None, None) => TokenKind::Unknown,
        };
        let scopes = payload.scp.unwrap_or_default();
        Some(Self {
            kind,
            roles: payload.roles.unwrap_or_default(),
            scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(payload: &str) -> AccessToken {
        AccessToken::new(format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload))).unwrap()
    }

    #[test]
    fn claims_are_read_where_they_can_be() {
        let claims = TokenClaims::read(&jwt(r#"{"roles":["A","B"],"x":1}"#)).unwrap();
        assert_eq!((claims.kind, claims.roles.len()), (TokenKind::Application, 2));
        let claims = TokenClaims::read(&jwt(r#"{"scp":"C D"}"#)).unwrap();
        assert_eq!(
            (claims.kind, claims.scopes),
            (TokenKind::Delegated, vec!["C".into(), "D".into()])
        );
        assert_eq!(TokenClaims::read(&jwt("{}")).unwrap().kind, TokenKind::Unknown);
        for opaque in ["opaque", "a.b", "a.b.c.d", "a.!.c", "e30.bm8.x"] {
            assert_eq!(TokenClaims::read(&AccessToken::new(opaque).unwrap()), None, "{opaque}");
        }
    }
}
