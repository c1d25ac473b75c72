//! The text form of a limit, strictly read and written so that it reads back as the same.

use std::{fmt, str::FromStr, time::Duration};

use super::{Limit, Measure, Scope, Wait};
use crate::faults::{Fault, Requests, RetryAfter};

/// Reads what stands before the colon.
pub(super) fn requests(text: &str) -> Result<Requests, String> {
    Fault::on(text).map(|fault| fault.requests).map_err(|why| why.to_string())
}

/// A word behind the measure: its name and value, and whether it has been looked at.
struct Given<'t> {
    name: &'t str,
    value: &'t str,
    used: bool,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_measure = |text: &str| {
            let first = text.split_ascii_whitespace().next();
            first.is_some_and(|first| ["bucket", "window", "concurrency"].contains(&first))
        };
        let (meant, rest) = match text.split_once(':') {
            Some((meant, rest)) if !is_measure(text) => (meant, rest),
            _ => ("*", text),
        };
        let mut words = rest.split_ascii_whitespace();
        let kind = words.next().unwrap_or_default();
        if !is_measure(kind) {
            return Err(format!("{kind:?} is no measure; write bucket, window or concurrency"));
        }
        let mut given = Vec::new();
        for word in words {
            let Some((name, value)) = word.split_once('=') else {
                return Err(format!("{word:?} is no option; write NAME=VALUE"));
            };
            if name != "retry-after" && given.iter().any(|given: &Given<'_>| given.name == name) {
                return Err(format!("{name} is given twice"));
            }
            given.push(Given { name, value, used: false });
        }
        let measure = match kind {
            "bucket" => Measure::Bucket {
                rate: take(&mut given, "rate", "a number above 0", |value| {
                    value.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0)
                })?,
                burst: take(&mut given, "burst", WHOLE, |value| {
                    value.parse().ok().filter(|burst| *burst > 0)
                })?,
            },
            "window" => Measure::Window {
                limit: take(&mut given, "limit", WHOLE, |value| {
                    value.parse().ok().filter(|limit| *limit > 0)
                })?,
                length: take(&mut given, "seconds", "seconds above 0", |value| {
                    let length = Duration::try_from_secs_f64(value.parse().ok()?).ok();
                    length.filter(|length| !length.is_zero())
                })?,
            },
            _ => Measure::Concurrency {
                limit: take(&mut given, "limit", WHOLE, |value| {
                    value.parse().ok().filter(|limit| *limit > 0)
                })?,
            },
        };
        let mut limit = Self { requests: requests(meant)?, ..Self::new(measure) };
        for Given { name, value, .. } in given.into_iter().filter(|given| !given.used) {
            match (name, value) {
                ("per", "lane") => limit.scope = Scope::Lane,
                ("per", "application") => limit.scope = Scope::Application,
                ("per", "all") => limit.scope = Scope::All,
                ("per", _) => {
                    return Err(format!("per takes lane, application or all, not {value:?}"));
                }
                ("refused", "counted") => limit.counts_refused = true,
                ("refused", "free") => limit.counts_refused = false,
                ("refused", _) => {
                    return Err(format!("refused takes counted or free, not {value:?}"));
                }
                ("retry-after", _) => limit.retry_after.push(Wait::read(value)?),
                _ => {
                    return Err(format!(
                        "{kind} has no option {name:?}; besides its own there are per, refused \
                         and retry-after"
                    ));
                }
            }
        }
        Ok(limit)
    }
}

const WHOLE: &str = "a whole number from 1 on";

/// The value of an option that has to be there.
fn take<T>(
    given: &mut [Given<'_>],
    name: &str,
    what: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, String> {
    let Some(given) = given.iter_mut().find(|given| given.name == name) else {
        return Err(format!("{name}= is missing; it takes {what}"));
    };
    given.used = true;
    read(given.value).ok_or_else(|| format!("{name} takes {what}, not {:?}", given.value))
}

impl Wait {
    /// What a program gives; what is nothing else is a value like any other.
    pub(super) fn of(value: &str) -> Self {
        Self::read(value).unwrap_or_else(|_| Self::Fixed(RetryAfter::of(value)))
    }

    fn read(value: &str) -> Result<Self, String> {
        match value {
            "whole" => Ok(Self::Whole),
            "exact" => Ok(Self::Exact),
            "ms:exact" => Ok(Self::Milliseconds),
            _ => RetryAfter::read(value).map(Self::Fixed).map_err(|why| why.to_string()),
        }
    }
}

impl fmt::Display for Limit {
    /// The [text form](Self#as-text).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.requests != Requests::All {
            write!(f, "{}: ", self.requests)?;
        }
        match self.measure {
            Measure::Bucket { rate, burst } => write!(f, "bucket rate={rate} burst={burst}")?,
            Measure::Window { limit, length } => {
                write!(f, "window limit={limit} seconds={}", length.as_secs_f64())?;
            }
            Measure::Concurrency { limit } => write!(f, "concurrency limit={limit}")?,
        }
        match self.scope {
            Scope::Lane => {}
            Scope::Application => f.write_str(" per=application")?,
            Scope::All => f.write_str(" per=all")?,
        }
        if self.counts_refused {
            f.write_str(" refused=counted")?;
        }
        self.retry_after.iter().try_for_each(|wait| match wait {
            Wait::Whole => f.write_str(" retry-after=whole"),
            Wait::Exact => f.write_str(" retry-after=exact"),
            Wait::Milliseconds => f.write_str(" retry-after=ms:exact"),
            Wait::Fixed(fixed) => write!(f, " {fixed}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_written_as_it_was_read() {
        for text in [
            "bucket rate=25 burst=25 retry-after=1",
            "bucket rate=0.5 burst=1 per=application refused=counted retry-after=exact",
            "PUT item: window limit=250 seconds=10 per=all retry-after=whole retry-after=ms:exact",
            "PUT /external/connections/contosohr/items/{any}: concurrency limit=4",
            "GET activities: window limit=400 seconds=300 retry-after=date:30 retry-after=ms:7",
        ] {
            assert_eq!(text.parse::<Limit>().expect(text).to_string(), text);
        }
        let spaced: Limit = "*:  bucket  burst=25 rate=25 refused=free per=lane".parse().unwrap();
        assert_eq!(spaced, Limit::bucket(25.0, 25));
        let put = Limit::window(250, Duration::from_secs(10)).on("PUT item").unwrap();
        let told = "PUT item: window limit=250 seconds=10 retry-after=soon".parse().unwrap();
        assert_eq!(put.retry_after("soon"), told);
    }

    #[test]
    fn what_is_no_limit_is_refused_with_a_reason() {
        for (text, why) in [
            ("", "is no measure"),
            ("25", "is no measure"),
            ("*: 429", "is no measure"),
            ("PUT planet: bucket rate=1 burst=1", "no resource"),
            ("bucket", "rate= is missing"),
            ("bucket rate=1", "burst= is missing"),
            ("bucket rate=0 burst=1", "above 0"),
            ("bucket rate=nan burst=1", "above 0"),
            ("bucket rate=inf burst=1", "above 0"),
            ("bucket rate=1 burst=0", "whole number"),
            ("bucket rate=1 burst=1 rate=2", "twice"),
            ("bucket rate=1 burst=1 limit=2", "no option \"limit\""),
            ("window limit=1 seconds=0", "seconds above 0"),
            ("window limit=1.5 seconds=1", "whole number"),
            ("concurrency limit=-1", "whole number"),
            ("concurrency limit=1 fast", "is no option"),
            ("concurrency limit=1 per=planet", "per takes"),
            ("concurrency limit=1 refused=yes", "refused takes"),
            ("concurrency limit=1 retry-after=date:soon", "date takes"),
        ] {
            let error = text.parse::<Limit>().expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
