//! What was found wrong with a request: faults that refuse it, and reports that let it pass.

use std::{fmt::Display, time::Duration};

use http::{HeaderName, StatusCode, header};

use crate::{options::Verdict, rules::Rule};

/// The most faults of one request that are told. A body of 4 MB can have a million.
const MOST_FAULTS: usize = 200;

/// Something in a request that broke a rule: which, where, and what to do about it.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) rule: Rule,
    pub(crate) target: String,
    pub(crate) message: String,
}

impl Finding {
    pub(crate) fn new(rule: Rule, target: impl Display, message: impl Into<String>) -> Self {
        Self { rule, target: target.to_string(), message: message.into() }
    }
}

/// Something that was let pass although a client had better not do it, because a switch says
/// [`Verdict::Report`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// When the request came, since the origin.
    pub at: Duration,
    /// Method and target of the request.
    pub request: String,
    /// The rule that it would have broken.
    pub rule: Rule,
    /// The place in the body, as a JSONPath, or the part of the request that is meant.
    pub target: String,
    /// What was found, and what to do instead.
    pub message: String,
}

impl Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { request, rule, target, message, .. } = self;
        write!(f, "{request}: {rule} at {target}: {message}")
    }
}

/// The message of a refusal that a switch decides: it ends with the name that `--set` takes.
pub(crate) fn by_switch(message: impl Display, switch: &str) -> String {
    format!("{message} (switch {switch})")
}

/// Collects what a reader finds.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) faults: Vec<Finding>,
    pub(crate) reports: Vec<Finding>,
}

impl Findings {
    pub(crate) fn refuse(&mut self, rule: Rule, target: impl Display, message: impl Into<String>) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(Finding::new(rule, target, message));
        }
    }

    /// Lets something pass with a remark.
    pub(crate) fn report(&mut self, rule: Rule, target: impl Display, message: impl Into<String>) {
        if self.reports.len() < MOST_FAULTS {
            self.reports.push(Finding::new(rule, target, message));
        }
    }

    /// Does what the switch of this name says, whose verdict it is. True if the request may pass.
    pub(crate) fn judge(
        &mut self,
        verdict: Verdict,
        switch: &'static str,
        rule: Rule,
        target: impl Display,
        message: impl FnOnce() -> String,
    ) -> bool {
        match verdict {
            Verdict::Accept => true,
            Verdict::Report => {
                self.report(rule, target, message());
                true
            }
            Verdict::Refuse => {
                self.refuse(rule, target, by_switch(message(), switch));
                false
            }
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

/// A request that is answered with an error, and why.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// `error.code`. None: the usual one.
    pub(crate) code: Option<String>,
    pub(crate) faults: Vec<Finding>,
    pub(crate) headers: Vec<(HeaderName, String)>,
}

impl Refusal {
    /// One fault, answered with the status of its rule.
    pub(crate) fn new(rule: Rule, target: impl Display, message: impl Into<String>) -> Self {
        Self::of(vec![Finding::new(rule, target, message)])
    }

    /// All faults of one request. The first decides the status.
    pub(crate) fn of(faults: Vec<Finding>) -> Self {
        Self {
            status: faults.first().map_or(StatusCode::BAD_REQUEST, |fault| fault.rule.status()),
            code: None,
            faults,
            headers: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// No bearer token came with the request.
    pub(crate) fn no_token(message: &str) -> Self {
        Self::new(Rule::Token, "header authorization", message)
            .with(header::WWW_AUTHENTICATE, "Bearer")
    }
}
