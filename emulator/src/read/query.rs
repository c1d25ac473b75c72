//! Reads the query options of the lists of activities.
//!
//! Sources: projectrome-get-activities, -get-recent-activities.

use std::num::NonZeroUsize;

use super::Reader;
use crate::{
    check::shown,
    date::{self, Moment},
    rules::Rule,
};

/// What is asked of a list of activities.
#[derive(Debug, Default)]
pub(crate) struct ActivityQuery {
    /// How many a page has at most.
    pub(crate) top: Option<NonZeroUsize>,
    /// When they were last changed.
    pub(crate) filter: Period,
    /// Whether with history, and when that was last changed.
    pub(crate) expand: Option<Period>,
}

/// A time between two moments, both excluded.
#[derive(Debug, Default)]
pub(crate) struct Period {
    after: Option<Moment>,
    before: Option<Moment>,
}

impl Period {
    /// Whether a moment is in it, as answers show it: to the millisecond.
    pub(crate) fn has(&self, moment: Moment) -> bool {
        let moment = moment.millis();
        self.after.is_none_or(|after| moment > after)
            && self.before.is_none_or(|before| moment < before)
    }
}

impl Reader<'_> {
    /// Reads the options `$top`, `$filter` and `$expand`.
    pub(crate) fn activity_query(&mut self, query: &[(String, String)]) -> ActivityQuery {
        let mut asked = ActivityQuery::default();
        for (name, value) in query {
            match &**name {
                "$top" => asked.top = self.top(value),
                "$filter" => asked.filter = self.period(name, value),
                "$expand" => asked.expand = self.expand(value),
                _ => {}
            }
        }
        asked
    }

    fn top(&mut self, value: &str) -> Option<NonZeroUsize> {
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        // More than can be counted is more than there are.
        let number = NonZeroUsize::new(value.parse().unwrap_or(usize::MAX));
        let top = number.filter(|_| is_number);
        if top.is_none() {
            let message = format!("{} is no whole number from 1", shown(value));
            self.refuse(Rule::QueryOption, "query $top", message);
        }
        top
    }

    fn expand(&mut self, value: &str) -> Option<Period> {
        if value == "historyItems" {
            return Some(Period::default());
        }
        let nested = value.strip_prefix("historyItems(").and_then(|rest| rest.strip_suffix(')'));
        let filter = nested.and_then(|nested| nested.strip_prefix("$filter="));
        if filter.is_none() {
            let message = format!(
                "{} cannot be expanded; historyItems can, and historyItems($filter=...)",
                shown(value)
            );
            self.refuse(Rule::QueryOption, "query $expand", message);
        }
        filter.map(|filter| self.period("$expand", filter))
    }

    /// Reads a filter of the option of this name.
    fn period(&mut self, option: &str, filter: &str) -> Period {
        let mut period = Period::default();
        for comparison in filter.split(" and ") {
            let words: Vec<&str> = comparison.split(' ').filter(|word| !word.is_empty()).collect();
            let (is_after, date) = match words[..] {
                ["lastModifiedDateTime", "gt", date] => (true, date),
                ["lastModifiedDateTime", "lt", date] => (false, date),
                _ => {
                    let message = format!(
                        "{} is no comparison; one is lastModifiedDateTime gt \
                         2018-01-22T21:45:00.347Z, or with lt, and several are joined by and",
                        shown(comparison)
                    );
                    self.refuse(Rule::QueryOption, format_args!("query {option}"), message);
                    continue;
                }
            };
            let Ok(moment) = date::read(date) else {
                let message = format!(
                    "{} is no date such as 2018-01-22T21:45:00.347Z; the + of an offset is %2B \
                     in a URL",
                    shown(date)
                );
                self.refuse(Rule::QueryOption, format_args!("query {option}"), message);
                continue;
            };
            if is_after {
                period.after = period.after.max(Some(moment));
            } else {
                period.before = Some(period.before.map_or(moment, |other| other.min(moment)));
            }
        }
        period
    }
}
