//! What a list of activities can be asked for
//! ([GET activities](https://learn.microsoft.com/graph/api/projectrome-get-activities)).
//!
//! The documents know `$top`, `$filter` by the last change, and `$expand` of the history; the
//! metadata rules out `$count`, `$select` and `$skip`.

use std::{fmt, num::NonZeroU32};

use crate::{protocol::Query, types::Timestamp};

/// How many activities, which, and whether with their history; nothing said, all of them without.
///
/// For [`ListActivities`](super::ListActivities) and
/// [`RecentActivities`](super::RecentActivities) alike.
///
/// ```
/// use std::num::NonZeroU32;
///
/// use graphfeed_core::activity::{ActivityOptions, LastModified, ListActivities};
/// use graphfeed_core::protocol::{Endpoint, ServiceRoot};
///
/// const PAGE: NonZeroU32 = NonZeroU32::new(5).unwrap();
///
/// let (from, to) = ("2018-01-01T00:00:00Z".parse()?, "2018-02-01T00:00:00Z".parse()?);
/// let options = ActivityOptions::new().top(PAGE).filter(LastModified::between(from, to));
/// let request = ListActivities::new().with(options).request(&ServiceRoot::v1())?;
/// assert_eq!(
///     request.uri(),
///     "https://graph.microsoft.com/v1.0/me/activities?$top=5\
///      &$filter=lastModifiedDateTime%20gt%202018-01-01T00%3A00%3A00Z\
///      %20and%20lastModifiedDateTime%20lt%202018-02-01T00%3A00%3A00Z",
/// );
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ActivityOptions {
    top: Option<NonZeroU32>,
    filter: Option<LastModified>,
    // Whether the history comes along, and of it only what was changed then.
    history_items: Option<Option<LastModified>>,
}

impl ActivityOptions {
    /// Every activity, without its history.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most so many activities on a page (`$top`). The documents speak of a maximum across
    /// pages; as a page may be empty and still have a next one, it is assumed to be a page's.
    #[must_use]
    pub fn top(mut self, top: NonZeroU32) -> Self {
        self.top = Some(top);
        self
    }

    /// Only the activities that were changed then (`$filter`).
    #[must_use]
    pub fn filter(mut self, modified: LastModified) -> Self {
        self.filter = Some(modified);
        self
    }

    /// Each activity with its history (`$expand`).
    #[must_use]
    pub fn expand_history_items(mut self) -> Self {
        self.history_items = Some(None);
        self
    }

    /// Each activity with that part of its history that was changed then (`$expand` with a
    /// `$filter` inside). It does not choose among the activities.
    #[must_use]
    pub fn expand_history_items_filtered(mut self, modified: LastModified) -> Self {
        self.history_items = Some(Some(modified));
        self
    }

    pub(super) fn write(&self, query: &mut Query<'_>) {
        if let Some(top) = self.top {
            query.push("$top", top);
        }
        if let Some(modified) = self.filter {
            query.push("$filter", modified);
        }
        match self.history_items {
            Some(Some(modified)) => {
                query.push("$expand", format_args!("historyItems($filter={modified})"));
            }
            Some(None) => query.push("$expand", "historyItems"),
            None => {}
        }
    }
}

/// When something was changed last: after an instant, before one, or both. The instants
/// themselves are outside, for the documents know `gt` and `lt` only.
///
/// Displayed, it is the text of a `$filter`.
///
/// ```
/// use graphfeed_core::activity::LastModified;
///
/// let modified = LastModified::after("2018-01-22T21:45:00.347Z".parse()?);
/// assert_eq!(modified.to_string(), "lastModifiedDateTime gt 2018-01-22T21:45:00.347Z");
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LastModified {
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl LastModified {
    /// After this instant.
    pub fn after(after: Timestamp) -> Self {
        Self { after: Some(after), before: None }
    }

    /// Before this instant.
    pub fn before(before: Timestamp) -> Self {
        Self { after: None, before: Some(before) }
    }

    /// After the first instant and before the second. If the second is no later than the first,
    /// nothing lies between them, and that is no fault: a window that moves with a clock may
    /// close, and the service answers with no activity.
    pub fn between(after: Timestamp, before: Timestamp) -> Self {
        Self { after: Some(after), before: Some(before) }
    }
}

impl fmt::Display for LastModified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(after) = self.after {
            write!(f, "lastModifiedDateTime gt {after}")?;
        }
        if self.after.is_some() && self.before.is_some() {
            f.write_str(" and ")?;
        }
        if let Some(before) = self.before {
            write!(f, "lastModifiedDateTime lt {before}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        activity::{ListActivities, RecentActivities},
        protocol::{Endpoint, ServiceRoot},
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn query(options: ActivityOptions) -> String {
        let list = ListActivities::new().with(options).request(&ServiceRoot::v1()).unwrap();
        let recent = RecentActivities::new().with(options).request(&ServiceRoot::v1()).unwrap();
        assert_eq!(list.uri().path(), "/v1.0/me/activities");
        assert_eq!(recent.uri().path(), "/v1.0/me/activities/recent");
        assert_eq!(list.uri().query(), recent.uri().query());
        list.uri().query().unwrap_or_default().to_owned()
    }

    /// Names and values as a server sees them: split first, unescaped after that.
    fn decoded(query: &str) -> Vec<(String, String)> {
        let plain = |text: &str| {
            percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
        };
        let option = |option: &str| {
            let (name, value) = option.split_once('=').unwrap();
            (plain(name), plain(value))
        };
        query.split('&').map(option).collect()
    }

    #[test]
    fn a_server_reads_what_it_reads_in_the_examples_of_the_documents() {
        let new = ActivityOptions::new();
        for (options, example) in [
            (
                new.expand_history_items_filtered(LastModified::between(
                    at("2018-01-22T21:45:00.347Z"),
                    at("2018-01-22T22:00:00.347Z"),
                )),
                "$expand=historyItems($filter=lastModifiedDateTime%20gt%202018-01-22T21:45:00.347Z\
                 %20and%20lastModifiedDateTime%20lt%202018-01-22T22:00:00.347Z)",
            ),
            (
                // The document names the later instant first.
                new.filter(LastModified::between(
                    at("2018-01-03T01:03:21.347Z"),
                    at("2018-01-16T01:03:21.347Z"),
                )),
                "$filter=lastModifiedDateTime%20gt%202018-01-03T01:03:21.347Z\
                 %20and%20lastModifiedDateTime%20lt%202018-01-16T01:03:21.347Z",
            ),
            (new.top(NonZeroU32::new(5).unwrap()), "$top=5"),
        ] {
            assert_eq!(decoded(&query(options)), decoded(example));
        }
    }

    #[test]
    fn each_option_is_written_once_and_none_if_nothing_is_said() {
        assert_eq!(query(ActivityOptions::new()), "");
        let early = LastModified::before(at("2018-01-01T01:00:00+01:00"));
        let options = ActivityOptions::new()
            .expand_history_items_filtered(early)
            .expand_history_items()
            .filter(LastModified::after(at("2018-01-01T00:00:00.1234567Z")))
            .top(NonZeroU32::MAX);
        assert_eq!(
            query(options),
            "$top=4294967295&$filter=lastModifiedDateTime%20gt%202018-01-01T00%3A00%3A00.1234567Z\
             &$expand=historyItems"
        );
        let options = ActivityOptions::new().expand_history_items_filtered(early);
        assert_eq!(
            query(options),
            "$expand=historyItems%28%24filter%3DlastModifiedDateTime%20lt%20\
             2018-01-01T00%3A00%3A00Z%29"
        );
    }

    #[test]
    fn a_window_that_is_closed_is_asked_for_as_it_is() {
        let instant = at("2018-01-01T00:00:00Z");
        assert_eq!(
            LastModified::between(instant, instant).to_string(),
            "lastModifiedDateTime gt 2018-01-01T00:00:00Z \
             and lastModifiedDateTime lt 2018-01-01T00:00:00Z"
        );
    }
}
