//! How the errors of the service read in one line: the outer one, and what it was because of.

use std::fmt;

/// The members that all errors of the service have.
pub(super) struct OneError<'a> {
    code: &'a str,
    message: &'a str,
    target: &'a str,
}

impl<'a> OneError<'a> {
    pub(super) fn new(
        code: &'a Option<String>,
        message: &'a Option<String>,
        target: &'a Option<String>,
    ) -> Self {
        let text = |text: &'a Option<String>| text.as_deref().unwrap_or_default();
        Self { code: text(code), message: text(message), target: text(target) }
    }

    fn says_as(&self, other: &Self) -> bool {
        self.code == other.code && self.message == other.message
    }
}

impl fmt::Display for OneError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.code.is_empty() { "(no code)" } else { self.code })?;
        if !self.message.is_empty() {
            // More of the sentence follows.
            write!(f, ": {}", self.message.trim_end_matches('.'))?;
        }
        if !self.target.is_empty() {
            write!(f, " (at {})", self.target)?;
        }
        Ok(())
    }
}

/// An error and its cause. A message that both have is said once.
pub(super) fn write_with_cause(
    f: &mut fmt::Formatter<'_>,
    error: &OneError<'_>,
    cause: Option<&OneError<'_>>,
) -> fmt::Result {
    match cause {
        Some(cause) if !cause.says_as(error) => {
            let same = !error.message.is_empty() && error.message == cause.message;
            let outer = OneError { message: if same { "" } else { error.message }, ..*error };
            let outer = OneError { target: if same { "" } else { error.target }, ..outer };
            write!(f, "{outer}, because of {cause}")
        }
        _ => write!(f, "{error}"),
    }
}
