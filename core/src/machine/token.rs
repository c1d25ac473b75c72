//! The token as the machines see it: its life, its kind, and the lease to fetch a new one.

use std::{fmt, time::Duration};

use crate::types::{AccessToken, TokenClaims, TokenKind};

/// A token with what is known of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Token {
    /// The token itself.
    pub access_token: AccessToken,
    /// How long it lives from the moment it was issued; `None` if that is not known, and it is
    /// then used until the service refuses it.
    pub expires_in: Option<Duration>,
    /// Who it speaks for.
    pub kind: TokenKind,
}

impl Token {
    /// A token of which nothing else is known.
    pub fn new(access_token: AccessToken) -> Self {
        let kind =
            TokenClaims::read(&access_token).map_or(TokenKind::Unknown, |claims| claims.kind);
        Self { access_token, expires_in: None, kind }
    }

    /// How long it lives.
    #[must_use]
    pub fn expires_in(mut self, life: Duration) -> Self {
        self.expires_in = Some(life);
        self
    }

    /// Who it speaks for.
    #[must_use]
    pub fn kind(mut self, kind: TokenKind) -> Self {
        self.kind = kind;
        self
    }
}

/// The right to fetch a token, which one caller at a time has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease(pub(super) u64);

/// A token is wanted.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenNeed {
    /// To be given back with the token.
    pub lease: Lease,
    /// Claims that the service insists on, as JSON; to be handed to the identity platform.
    pub claims: Option<String>,
    /// How long fetching may take; after that another caller tries.
    pub timeout: Duration,
}

impl fmt::Debug for TokenNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenNeed")
            .field("lease", &self.lease)
            .field("claims", &self.claims.is_some())
            .field("timeout", &self.timeout)
            .finish()
    }
}
