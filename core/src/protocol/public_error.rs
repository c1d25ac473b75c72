//! `microsoft.graph.publicError`: an error inside the body of a success, as the result of one
//! activity or the end of an operation. Not the envelope of a failed call, which is
//! [`ServiceError`](super::ServiceError).

use std::fmt;

use super::error_text::{OneError, write_with_cause};
use crate::types::resource;

resource! {
    /// What went wrong with one activity, or with a long-running operation
    /// ([publicError](https://learn.microsoft.com/graph/api/resources/publicerror)).
    pub struct PublicError {
        optional {
            /// What to branch on. Letter case is not dependable.
            code: String = "code",
            /// For a developer; may change at any time.
            message: String = "message",
            /// What the error is about.
            target: String = "target",
            /// Further errors.
            details: Vec<PublicErrorDetail> = "details",
            /// The more specific error, where the real cause often is.
            inner_error: PublicInnerError = "innerError",
        }
    }
}

resource! {
    /// One of several errors.
    pub struct PublicErrorDetail {
        optional {
            /// What to branch on.
            code: String = "code",
            /// For a developer.
            message: String = "message",
            /// What the error is about.
            target: String = "target",
        }
    }
}

resource! {
    /// The more specific error. The type is open: whatever else the service says is in `other`.
    pub struct PublicInnerError {
        optional {
            /// What to branch on.
            code: String = "code",
            /// For a developer.
            message: String = "message",
            /// What the error is about.
            target: String = "target",
            /// Further errors.
            details: Vec<PublicErrorDetail> = "details",
        }
    }
}

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Advice {
    /// Send it again later, as it is: the service was busy.
    Repeat,
    /// Change it first: it breaks a rule.
    Mend,
    /// Neither helps: a permission or a quota is missing, the item is gone, or sending it again
    /// could do more harm than good.
    GiveUp,
}

/// Codes of [Microsoft Graph errors](https://learn.microsoft.com/graph/errors), in lower case.
const REPEAT: &[&str] = &[
    "activitylimitreached",
    "generalexception",
    "internalservererror",
    "resourcebeingprovisioned",
    "servicenotavailable",
    "serviceunavailable",
    "throttledrequest",
    "timeout",
    "toomanyrequests",
    "unknownerror",
];
const GIVE_UP: &[&str] = &[
    "accessdenied",
    "accessrestricted",
    "authorization_requestdenied",
    "forbidden",
    "itemnotfound",
    "notallowed",
    "notfound",
    "notsupported",
    "provisioningnotallowed",
    "quotalimitreached",
    "servicereadonly",
    "unauthenticated",
];

impl PublicError {
    /// What a caller can do, by the most specific code that is known; an error without one is
    /// taken for a rule that the request breaks, which is what the service mostly means.
    pub fn advice(&self) -> Advice {
        let inner = self.inner_error.as_ref().and_then(|inner| inner.code.as_deref());
        [inner, self.code.as_deref()]
            .into_iter()
            .flatten()
            .find_map(|code| {
                let code = code.to_ascii_lowercase();
                if REPEAT.contains(&&*code) {
                    Some(Advice::Repeat)
                } else if GIVE_UP.contains(&&*code) {
                    Some(Advice::GiveUp)
                } else {
                    None
                }
            })
            .unwrap_or(Advice::Mend)
    }
}

impl fmt::Display for PublicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = OneError::new(&self.code, &self.message, &self.target);
        let inner = self.inner_error.as_ref();
        let inner = inner.map(|inner| OneError::new(&inner.code, &inner.message, &inner.target));
        write_with_cause(f, &own, inner.as_ref())
    }
}

impl std::error::Error for PublicError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: &str) -> PublicError {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_most_specific_known_code_decides_what_to_do() {
        for (json, advice) in [
            (r#"{"code":"TooManyRequests"}"#, Advice::Repeat),
            (r#"{"code":"accessDenied"}"#, Advice::GiveUp),
            (r#"{"code":"InvalidRequest","innerError":{"code":"guid"}}"#, Advice::Mend),
            (
                r#"{"code":"InvalidRequest","innerError":{"code":"ServiceNotAvailable"}}"#,
                Advice::Repeat,
            ),
            (r#"{"code":"accessDenied","innerError":{"code":"odd"}}"#, Advice::GiveUp),
            (r#"{}"#, Advice::Mend),
        ] {
            assert_eq!(error(json).advice(), advice, "{json}");
        }
    }

    #[test]
    fn everything_the_service_says_is_kept() {
        let json = r#"{"code":"a","message":null,"target":"t","details":[{"code":"d","x":[1]}],
            "innerError":{"code":"i","deeper":{"code":"z"}},"new":1.50}"#;
        let read = error(json);
        let again: serde_json::Value = serde_json::to_value(&read).unwrap();
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(json).unwrap());
        assert_eq!(read.other.get("new").unwrap().get(), "1.50");
        assert_eq!(read.to_string(), "a (at t), because of i");
    }
}
