//! What became of activities that went through a bulk run, one by one.
//!
//! A run tells of calls, of any kinds; here each activity of such a call has an end of its own. As
//! with the answer to one call, what cannot be decided is unknown.

use std::{fmt, ops::AddAssign};

use super::sent;
use crate::{
    external::{
        ActivityFailure, AddActivities, AddedActivities, ExternalActivity, ExternalActivityResult,
    },
    machine::{End, Outcome},
    protocol::{Advice, Applied, Endpoint, PublicError},
};

/// What became of each activity of one call of an [`Ingest`](crate::machine::Ingest), in the order
/// in which they were sent.
///
/// An item and its 45 activities, of which the service refuses one:
///
/// ```
/// use std::time::Duration;
/// use graphfeed_core::external::{
///     Acl, ActivityCounts, ActivityEnd, ActivityEnds, AddActivities, AddedActivities, Duplicates,
///     ExternalActivity, ExternalItem, Identity, PutItem, StoredItem,
/// };
/// use graphfeed_core::machine::{
///     Ingest, IngestSettings, IngestStep, Policy, Shared, Start, Tick, Token,
/// };
/// use graphfeed_core::protocol::{Endpoint, ServiceRoot};
/// use graphfeed_core::types::{AccessToken, ConnectionId, Guid, ItemId, Timestamp};
///
/// /// Calls of both kinds fit one queue.
/// enum Written {
///     Item(Option<StoredItem>),
///     Activities(AddedActivities),
/// }
/// # impl From<Option<StoredItem>> for Written {
/// #     fn from(item: Option<StoredItem>) -> Self { Self::Item(item) }
/// # }
/// # impl From<AddedActivities> for Written {
/// #     fn from(added: AddedActivities) -> Self { Self::Activities(added) }
/// # }
/// # fn answer(request: &http::Request<bytes::Bytes>) -> http::Response<bytes::Bytes> {
/// #     if request.method() == "PUT" {
/// #         return http::Response::default();
/// #     }
/// #     let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
/// #     let results = body["activities"].as_array().unwrap().iter().map(|activity| {
/// #         let odd = activity["startDateTime"] == "2026-01-01T00:30:00Z";
/// #         let error = odd.then(|| serde_json::json!({"code": "serviceNotAvailable"}));
/// #         serde_json::json!({"startDateTime": activity["startDateTime"],
/// #             "type": "viewed", "error": error})
/// #     });
/// #     let body = serde_json::json!({"value": results.collect::<Vec<_>>()}).to_string();
/// #     let status = if body.contains("code") { 207 } else { 200 };
/// #     http::Response::builder().status(status).body(body.into()).unwrap()
/// # }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (root, connection) = (ServiceRoot::v1(), ConnectionId::new("contosohr")?);
/// let ann = Guid::new("1f0c997e-99f7-43f1-8cca-086f8d42be8d")?;
/// let item = ExternalItem::builder(ItemId::new("T1")?)
///     .acl(Acl::user(ann))
///     .property("title", "Kandierte Äpfel")
///     .build()?;
/// let midnight = "2026-01-01T00:00:00Z".parse::<Timestamp>()?.as_unix_nanoseconds();
/// let viewed = (0..45).map(|minute| {
///     let at = Timestamp::from_unix_nanoseconds(midnight + minute * 60_000_000_000)?;
///     Ok(ExternalActivity::viewed(at, Identity::user(ann)))
/// });
/// let viewed = viewed.collect::<Result<Vec<_>, Box<dyn std::error::Error>>>()?;
///
/// let (mut now, mut shared) = (Tick::default(), Shared::default());
/// let start = Start::new(root.clone(), Policy::default(), 7, now);
/// let mut ingest = Ingest::<_, Written>::new(IngestSettings::default(), &start);
///
/// // Under one key they go one after another, the item first.
/// let mut calls = vec![PutItem::new(&connection, &item).call_into(&root)?];
/// let chunks =
///     AddActivities::chunks(&connection, item.id(), &viewed, Duplicates::Never, &root);
/// for add in chunks {
///     calls.push(add.call_into(&root)?);
/// }
/// assert_eq!(calls.len(), 1 + 3, "20, 20 and 5");
/// for call in calls {
///     assert!(ingest.offer(item.id(), call, now).is_ok(), "there is room for a hundred");
/// }
/// ingest.close();
///
/// let mut counts = ActivityCounts::default();
/// let mut again = Vec::new();
/// let summary = loop {
///     match ingest.poll(now, &mut shared) {
///         IngestStep::Token(need) => {
///             let token = Token::new(AccessToken::new("secret")?);
///             ingest.on_token(need.lease, now, Ok(token), &mut shared);
///         }
///         IngestStep::Send(attempt) => {
///             now += Duration::from_millis(20);
///             let answer = answer(&attempt.request);
///             ingest.on_response(attempt.ticket, now, answer, &mut shared);
///         }
///         IngestStep::Done(_, outcome) => {
///             let Some(ends) = ActivityEnds::of(&outcome) else { continue };
///             counts += ends.counts();
///             for (activity, end) in ends.iter() {
///                 if let ActivityEnd::Refused(error) = end {
///                     println!("{} was refused: {error}", activity.start());
///                 }
///             }
///             again.extend(ends.repeatable());
///         }
///         IngestStep::Idle { until, .. } => now = until.expect("nobody offers any more"),
///         IngestStep::Finished(summary) => break summary,
///     }
/// };
/// assert_eq!((counts.stored, counts.refused, counts.total()), (44, 1, 45));
/// assert_eq!((summary.progress.ok, summary.progress.failed), (3, 1), "a part is not all");
/// // The service was busy; these may be chunked anew.
/// assert_eq!(again, [viewed[30].clone()]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "some of the activities may not have been stored"]
pub struct ActivityEnds {
    added: AddedActivities,
    // Where the call as a whole is known to have done nothing.
    not_stored: Option<NotStored>,
    may_be_twice: bool,
}

/// Why none of a call was stored, as far as it matters to the next one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct NotStored {
    repeatable: bool,
}

/// What became of one activity.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ActivityEnd<'a> {
    /// The service stored it.
    Stored(&'a ExternalActivityResult),
    /// The service refused it; [`PublicError::advice`] says whether to repeat, mend or give up.
    /// That is the last word; where it [may be there twice](ActivityEnds::may_be_twice), an attempt
    /// before may have stored it.
    Refused(&'a PublicError),
    /// It may have been stored: the answer was lost, or does not say.
    Unknown,
    /// It was not: its call failed without effect or was not sent. [`Outcome::end`] says why.
    NotStored,
}

/// How many activities came to which end. Those of several calls add up by `+=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ActivityCounts {
    /// Those that the service stored.
    pub stored: u64,
    /// Those that the service refused, each for itself.
    pub refused: u64,
    /// Those that may have been stored.
    pub unknown: u64,
    /// Those that were not stored, with their whole call.
    pub not_stored: u64,
}

impl ActivityEnds {
    /// Reads them from the outcome of a call, of whatever type its value is by now.
    ///
    /// `None` where the call does not [add activities](AddActivities), or its source had none to
    /// offer.
    pub fn of<T>(outcome: &Outcome<T>) -> Option<Self> {
        let call = outcome.call.as_ref()?;
        if *call.route() != AddActivities::ROUTE {
            return None;
        }
        // That it cannot be read means that it is another endpoint's, under this route.
        let sent = sent(call.request()).ok()?;
        let mut not_stored = None;
        let added = match &outcome.end {
            End::Ok(reply) | End::Partly(reply) => {
                let read = AddActivities::response(call.request(), reply.to_response());
                read.map_or_else(|_| AddedActivities::all_unknown(sent), |reply| reply.value)
            }
            End::Failed(error) => {
                // A success that cannot be read may have been a partial one.
                if error.applied() == Applied::No {
                    not_stored = Some(NotStored { repeatable: error.why_given_up().is_some() });
                }
                AddedActivities::all_unknown(sent)
            }
            End::Skipped(_) => {
                not_stored = Some(NotStored { repeatable: true });
                AddedActivities::all_unknown(sent)
            }
        };
        Some(Self { added, not_stored, may_be_twice: outcome.repeated_in_doubt })
    }

    /// Each activity as it was sent, with its end.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&ExternalActivity, ActivityEnd<'_>)> {
        self.added.iter().map(|(activity, verdict)| {
            let end = match verdict {
                Ok(result) => ActivityEnd::Stored(result),
                Err(ActivityFailure::Refused(error)) => ActivityEnd::Refused(error),
                Err(ActivityFailure::Unknown) if self.not_stored.is_some() => {
                    ActivityEnd::NotStored
                }
                Err(ActivityFailure::Unknown) => ActivityEnd::Unknown,
            };
            (activity, end)
        })
    }

    /// Whether the call was made again after an attempt that may have been carried out, which only
    /// [`Duplicates::Allowed`](crate::external::Duplicates::Allowed) lets happen.
    pub fn may_be_twice(&self) -> bool {
        self.may_be_twice
    }

    /// How many came to which end.
    pub fn counts(&self) -> ActivityCounts {
        let mut counts = ActivityCounts::default();
        for (_, end) in self.iter() {
            *match end {
                ActivityEnd::Stored(_) => &mut counts.stored,
                ActivityEnd::Refused(_) => &mut counts.refused,
                ActivityEnd::Unknown => &mut counts.unknown,
                ActivityEnd::NotStored => &mut counts.not_stored,
            } += 1;
        }
        counts
    }

    /// Those that may well be stored if they are sent again as they are, in the order in which
    /// they were sent: refused with the [advice](PublicError::advice) to repeat, or not stored
    /// because their call was skipped or [given up](crate::protocol::Error::why_given_up). None of
    /// unknown fate is among them, nor any that [may be there](Self::may_be_twice) already.
    pub fn repeatable(&self) -> Vec<ExternalActivity> {
        if self.may_be_twice {
            return Vec::new();
        }
        let whole = self.not_stored.is_some_and(|why| why.repeatable);
        let is_repeatable = |end: ActivityEnd<'_>| match end {
            ActivityEnd::Refused(error) => error.advice() == Advice::Repeat,
            ActivityEnd::NotStored => whole,
            ActivityEnd::Stored(_) | ActivityEnd::Unknown => false,
        };
        let repeatable = self.iter().filter(|(_, end)| is_repeatable(*end));
        repeatable.map(|(activity, _)| activity.clone()).collect()
    }
}

impl fmt::Display for ActivityEnds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.counts())?;
        for (at, (_, end)) in self.iter().enumerate() {
            if !matches!(end, ActivityEnd::Stored(_)) {
                write!(f, "; $.activities[{at}]: {end}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for ActivityEnd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored(_) => f.write_str("stored"),
            Self::Refused(error) => write!(f, "refused: {error}"),
            Self::Unknown => f.write_str("the answer does not say what became of it"),
            Self::NotStored => f.write_str("not stored, with its call"),
        }
    }
}

impl ActivityCounts {
    /// How many there are in all.
    pub fn total(&self) -> u64 {
        self.stored + self.refused + self.unknown + self.not_stored
    }
}

impl AddAssign for ActivityCounts {
    fn add_assign(&mut self, more: Self) {
        self.stored += more.stored;
        self.refused += more.refused;
        self.unknown += more.unknown;
        self.not_stored += more.not_stored;
    }
}

impl fmt::Display for ActivityCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stored, refused, unknown, not_stored } = self;
        write!(
            f,
            "activities: {stored} stored, {refused} refused, {unknown} that may be stored, \
             {not_stored} not stored"
        )
    }
}
