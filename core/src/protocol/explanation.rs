//! Why a 401 or 403, in words that help: what the operation needs, and what the token has.

use std::fmt;

use super::{Lane, Permission, Permissions, Route};
use crate::types::{TokenClaims, TokenKind};

/// What an operation needs, beside what the token says of itself.
///
/// The token need not be readable; then the explanation tells what each kind of token would need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    route: &'static Route,
    claims: Option<TokenClaims>,
}

impl Explanation {
    pub(crate) fn new(route: &'static Route, claims: Option<TokenClaims>) -> Self {
        Self { route, claims }
    }

    /// The operation.
    pub fn route(&self) -> &'static Route {
        self.route
    }

    /// What the token says of itself, if it can be read.
    pub fn claims(&self) -> Option<&TokenClaims> {
        self.claims.as_ref()
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.claims.as_ref().map_or(TokenKind::Unknown, |claims| claims.kind);
        match &self.route.permissions {
            Some(permissions) => {
                write!(f, "{} needs ", self.route.name)?;
                write_needs(f, permissions, kind)?;
            }
            None => write!(f, "what {} needs is not known here", self.route.name)?,
        }
        if let Some(claims) = &self.claims {
            let (what, has) = match kind {
                TokenKind::Delegated => ("scopes", &claims.scopes),
                TokenKind::Application | TokenKind::Unknown => ("roles", &claims.roles),
            };
            match has.is_empty() {
                true => write!(f, "; the token has no {what}")?,
                false => write!(f, "; the token has the {what} {}", has.join(", "))?,
            }
        }
        if matches!(self.route.lane, Lane::Connection | Lane::Groups) {
            f.write_str(
                "; with an OwnedBy permission a connection is open only to the application that \
                 created it and those in its authorizedAppIds",
            )?;
        }
        Ok(())
    }
}

fn write_needs(
    f: &mut fmt::Formatter<'_>,
    permissions: &Permissions,
    kind: TokenKind,
) -> fmt::Result {
    let work = &permissions.delegated_work;
    let user = if work.is_supported() { work } else { &permissions.delegated_personal };
    if kind != TokenKind::Delegated {
        write_need(f, "an application", &permissions.application)?;
    }
    if kind == TokenKind::Unknown {
        f.write_str(", ")?;
    }
    if kind != TokenKind::Application {
        write_need(f, "a signed-in user", user)?;
    }
    Ok(())
}

fn write_need(f: &mut fmt::Formatter<'_>, who: &str, permission: &Permission) -> fmt::Result {
    if !permission.is_supported() {
        return write!(f, "what {who} cannot have");
    }
    f.write_str(&permission.least.join(" or "))?;
    if !permission.higher.is_empty() {
        write!(f, " (or {})", permission.higher.join(" or "))?;
    }
    write!(f, " for {who}")
}
