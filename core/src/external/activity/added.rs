//! What became of the activities of one call
//! ([externalActivityResult](https://learn.microsoft.com/graph/api/resources/externalconnectors-externalactivityresult)).
//!
//! The answer to a call is the only word on its activities. Results carry no id, so this room
//! decides which result is whose; what cannot be decided is unknown, never success.

use std::fmt;

use crate::{
    external::{ExternalActivity, ExternalActivityType, StoredIdentity},
    protocol::{Advice, PublicError},
    types::{Timestamp, resource},
};

resource! {
    /// What the service says of one activity
    /// ([externalActivityResult](https://learn.microsoft.com/graph/api/resources/externalconnectors-externalactivityresult)).
    /// No error means that it was stored.
    pub struct ExternalActivityResult {
        optional {
            /// The id, if the service tells one.
            id: String = "id",
            /// What was done.
            kind: ExternalActivityType = "type",
            /// When.
            start_date_time: Timestamp = "startDateTime",
            /// By whom, if the service tells it.
            performed_by: StoredIdentity = "performedBy",
            /// Why it was not stored.
            error: PublicError = "error",
        }
    }
}

/// What became of each activity of one call, in the order in which they were sent.
///
/// A 207 is no success for those that failed, and neither is a result that is missing:
/// [`into_result`](Self::into_result) is the short way to insist on all of them.
///
/// ```no_run
/// # use graphfeed_core::client::{Client, Transport};
/// # use graphfeed_core::external::{AddActivities, ExternalActivity};
/// # use graphfeed_core::types::{ConnectionId, ItemId};
/// # fn run<T: Transport>(client: &Client<T>, connection: &ConnectionId, item: &ItemId,
/// #     activities: &[ExternalActivity]) -> Result<(), Box<dyn std::error::Error>> {
/// client.send(&AddActivities::new(connection, item, activities))?.into_result()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "some of the activities may not have been stored"]
pub struct AddedActivities(
    // Without a result: the answer does not say for certain which of its results it is.
    Vec<(ExternalActivity, Option<ExternalActivityResult>)>,
);

/// Why an activity cannot be counted as stored.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ActivityFailure<'a> {
    /// The service refused it; [`PublicError::advice`] says whether to repeat, mend or give up.
    Refused(&'a PublicError),
    /// The answer has no result that is certainly this activity's: it may have been stored.
    Unknown,
}

impl ActivityFailure<'_> {
    /// What can be done: an activity of unknown fate is given up, for sending it again could
    /// store it twice, and no call tells whether it is there.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Refused(error) => error.advice(),
            Self::Unknown => Advice::GiveUp,
        }
    }
}

impl fmt::Display for ActivityFailure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "{error}"),
            Self::Unknown => f.write_str("the answer does not say what became of it"),
        }
    }
}

impl AddedActivities {
    /// Each activity as it was sent, with what the service says of it.
    pub fn iter(
        &self,
    ) -> impl ExactSizeIterator<
        Item = (&ExternalActivity, Result<&ExternalActivityResult, ActivityFailure<'_>>),
    > {
        self.0.iter().map(|(activity, result)| {
            let verdict = match result {
                Some(ExternalActivityResult { error: Some(error), .. }) => {
                    Err(ActivityFailure::Refused(error))
                }
                Some(result) => Ok(result),
                None => Err(ActivityFailure::Unknown),
            };
            (activity, verdict)
        })
    }

    /// The activities that the service refused, as they were sent. Those of
    /// [unknown](Self::unknown) fate are not among them, so that an empty list does not mean that
    /// all were stored; that is [`all_stored`](Self::all_stored).
    pub fn failed(&self) -> Vec<ExternalActivity> {
        self.iter()
            .filter(|(_, verdict)| matches!(verdict, Err(ActivityFailure::Refused(_))))
            .map(|(activity, _)| activity.clone())
            .collect()
    }

    /// The activities of which the answer does not say whether they were stored, as they were
    /// sent. To send one again may store it twice.
    pub fn unknown(&self) -> Vec<ExternalActivity> {
        self.iter()
            .filter(|(_, verdict)| matches!(verdict, Err(ActivityFailure::Unknown)))
            .map(|(activity, _)| activity.clone())
            .collect()
    }

    /// Whether each of them was stored for certain.
    pub fn all_stored(&self) -> bool {
        self.iter().all(|(_, verdict)| verdict.is_ok())
    }

    /// The results if every activity was stored, in the order in which they were sent.
    ///
    /// # Errors
    /// [`NotAllAdded`], with every verdict, when one was not or may not have been.
    pub fn into_result(self) -> Result<Vec<ExternalActivityResult>, NotAllAdded> {
        if !self.all_stored() {
            return Err(NotAllAdded(self));
        }
        Ok(self.0.into_iter().filter_map(|(_, result)| result).collect())
    }

    /// Of none is known what became of it.
    pub(super) fn all_unknown(sent: Vec<ExternalActivity>) -> Self {
        Self(sent.into_iter().map(|activity| (activity, None)).collect())
    }

    /// Results carry no id. They stand in the order of the request; where their number or what
    /// they say of themselves contradicts that, type and time decide, and only as far as they are
    /// unambiguous. Each result comes with whether it speaks of success or failure at all.
    pub(super) fn line_up(
        sent: Vec<ExternalActivity>,
        results: Vec<(bool, ExternalActivityResult)>,
    ) -> Self {
        let in_order = sent.len() == results.len()
            && sent.iter().zip(&results).all(|(activity, (_, result))| could_be(result, activity));
        if in_order {
            let results = results.into_iter().map(|(speaks, result)| speaks.then_some(result));
            return Self(sent.into_iter().zip(results).collect());
        }
        let verdict = |activity: &ExternalActivity| {
            let its: Vec<_> =
                results.iter().filter(|(_, result)| names(result, activity)).collect();
            // Alike activities cannot be told apart, so their results count only if there is one
            // for each, and all of them agree.
            let alike = sent
                .iter()
                .filter(|other| its.iter().any(|(_, result)| names(result, other)))
                .count();
            let stored = its.iter().filter(|(_, result)| result.error.is_none()).count();
            let agree = stored == 0 || stored == its.len();
            let speak = its.iter().all(|(speaks, _)| *speaks);
            let (_, result) = its.first()?;
            (its.len() >= alike && agree && speak).then(|| result.clone())
        };
        let results: Vec<_> = sent.iter().map(verdict).collect();
        Self(sent.into_iter().zip(results).collect())
    }
}

/// Whether a result says that it is this activity's. The service is known to answer with fewer
/// digits than it was sent, cut or rounded.
fn names(result: &ExternalActivityResult, activity: &ExternalActivity) -> bool {
    result.kind.is_some() && result.start_date_time.is_some() && could_be(result, activity)
}

/// Whether a result does not say that it is another activity's.
fn could_be(result: &ExternalActivityResult, activity: &ExternalActivity) -> bool {
    let nanoseconds = Timestamp::as_unix_nanoseconds;
    result.kind.as_ref().is_none_or(|kind| kind == activity.kind())
        && result.start_date_time.is_none_or(|start| {
            (nanoseconds(start) - nanoseconds(activity.start())).abs() < 1_000_000
        })
}

/// Not every activity of a call was stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NotAllAdded(AddedActivities);

impl NotAllAdded {
    /// What became of each.
    pub fn activities(&self) -> &AddedActivities {
        &self.0
    }
}

impl fmt::Display for NotAllAdded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.iter();
        let count = self.0.iter().filter(|(_, verdict)| verdict.is_err()).count();
        write!(f, "{count} of {} activities were refused, or may not have been stored", all.len())?;
        for (at, (_, verdict)) in all.enumerate() {
            if let Err(failure) = verdict {
                write!(f, "; $.activities[{at}]: {failure}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for NotAllAdded {}
