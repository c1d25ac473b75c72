//! What the identity platform says when it gives no token, and what else can go wrong on the way
//! to one.

use std::{fmt, sync::Arc};

use serde::Deserialize;

use super::Failure;
use crate::types::{RawJson, open_enum};

open_enum! {
    /// What to branch on in a refusal of the identity platform
    /// ([error codes](https://learn.microsoft.com/entra/identity-platform/reference-error-codes)):
    /// never on its description or on an AADSTS number.
    pub enum TokenErrorCode {
        /// The request is malformed: our fault.
        InvalidRequest = "invalid_request",
        /// The kind of grant is not supported.
        UnsupportedGrantType = "unsupported_grant_type",
        /// The scope does not exist.
        InvalidScope = "invalid_scope",
        /// The resource does not exist.
        InvalidResource = "invalid_resource",
        /// The secret or certificate is wrong, or the registration is.
        InvalidClient = "invalid_client",
        /// The application may not do this.
        UnauthorizedClient = "unauthorized_client",
        /// The refresh token or device code is used up; sign in again.
        InvalidGrant = "invalid_grant",
        /// The user has to do something first.
        InteractionRequired = "interaction_required",
        /// The user or an administrator has to consent first.
        ConsentRequired = "consent_required",
        /// The platform is busy; try again later.
        TemporarilyUnavailable = "temporarily_unavailable",
        /// The user has not finished signing in yet.
        AuthorizationPending = "authorization_pending",
        /// The user has not finished, and asking comes too often.
        SlowDown = "slow_down",
        /// The user has said no.
        AuthorizationDeclined = "authorization_declined",
        /// The same, by the name that RFC 8628 gives it.
        AccessDenied = "access_denied",
        /// The user has taken too long.
        ExpiredToken = "expired_token",
        /// The device code is not one.
        BadVerificationCode = "bad_verification_code",
    }
}

/// A refusal of the identity platform, with everything it says.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct TokenRefusal {
    /// What to branch on.
    pub error: TokenErrorCode,
    /// For a developer.
    pub error_description: Option<String>,
    /// The platform's own numbers.
    #[serde(default)]
    pub error_codes: Vec<i64>,
    /// The platform's id of the request, which its support asks for.
    pub trace_id: Option<String>,
    /// The caller's.
    pub correlation_id: Option<String>,
    /// When.
    pub timestamp: Option<String>,
    /// A finer reason, under conditional access.
    pub suberror: Option<String>,
    /// Claims that a new sign-in has to ask for, under conditional access.
    pub claims: Option<RawJson>,
}

/// There is no token.
///
/// Cheap to clone, for all who wait for one fetch learn of its failure.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TokenError {
    /// The identity platform refuses.
    Refused(Arc<TokenRefusal>),
    /// No answer came.
    Transport(Arc<Failure>),
    /// The answer is none of the identity platform's.
    #[non_exhaustive]
    Unreadable {
        /// The status.
        status: u16,
        /// What is wrong with the answer. Its body is not shown, for a token may be in it.
        why: Arc<str>,
    },
    /// The source that was asked could not say: a file that cannot be read, a signature that
    /// cannot be made.
    Source(Arc<str>),
    /// The time for fetching is over.
    TimedOut,
}

impl TokenError {
    /// For a token source of one's own. `why` must not hold a secret.
    pub fn source(why: impl Into<String>) -> Self {
        Self::Source(why.into().into())
    }

    /// The code of a refusal.
    pub fn code(&self) -> Option<&TokenErrorCode> {
        match self {
            Self::Refused(refusal) => Some(&refusal.error),
            _ => None,
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => {
                write!(f, "the identity platform refuses: {}", refusal.error)?;
                if let Some(description) = &refusal.error_description {
                    // The first line is the reason; trace and time follow.
                    write!(f, ": {}", description.lines().next().unwrap_or_default().trim_end())?;
                }
                if let Some(fix) = fix(&refusal.error) {
                    write!(f, "; {fix}")?;
                }
                if let Some(trace) = &refusal.trace_id {
                    write!(f, " (trace id {trace})")?;
                }
                Ok(())
            }
            Self::Transport(failure) => {
                write!(f, "the identity platform cannot be reached: {}", failure.chain())
            }
            Self::Unreadable { status, why } => {
                write!(f, "the answer ({status}) is none of the identity platform's: {why}")
            }
            Self::Source(why) => f.write_str(why),
            Self::TimedOut => f.write_str("it did not come in time"),
        }
    }
}

impl std::error::Error for TokenError {}

fn fix(code: &TokenErrorCode) -> Option<&'static str> {
    Some(match code {
        TokenErrorCode::InvalidClient => {
            "check the client secret (its value, not its id) or the certificate, and that it has \
             not expired"
        }
        TokenErrorCode::UnauthorizedClient => {
            "check the client id and the tenant, and that the application is registered there"
        }
        TokenErrorCode::InvalidGrant
        | TokenErrorCode::ExpiredToken
        | TokenErrorCode::BadVerificationCode => "sign in again",
        TokenErrorCode::InteractionRequired => "the user has to sign in again",
        TokenErrorCode::ConsentRequired => "grant consent to the application's permissions",
        TokenErrorCode::AuthorizationDeclined | TokenErrorCode::AccessDenied => {
            "the user has declined to sign in"
        }
        _ => return None,
    })
}
