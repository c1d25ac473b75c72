//! What became of nothing, and why: one letter for each call that failed or could not be made.
//!
//! Lives here: the letter, and making the call again from it. The file that letters are kept in is
//! in `dead_letter_file`.

use graphfeed_core::{
    external::{
        ActivityEnd, ActivityEnds, AddActivities, AddedActivities, DeleteItem, Duplicates,
        ExternalActivity, ItemReader, PutItem, StoredItem,
    },
    machine::{End, Outcome, SkipReason},
    protocol::{Applied, Call, Cause, Deleted, Endpoint, Error, Repeat, Route, ServiceRoot},
    types::{BuildError, ConnectionId, Fault, ItemId, RawJson, Rule, Timestamp},
};
use serde::{Deserialize, Serialize};

use crate::{RefusedLine, lines::LONGEST};

/// One call that failed or could not be made: what was wanted, what went wrong, and whether it
/// happened all the same.
///
/// It is one line of JSON. There is no token in it; what is in it is the item itself, so that a file
/// of letters is as secret as the source.
///
/// [Replayed](crate::Pass::replay) can be one with a [request](Self::request), which is made again as
/// it is, and one with an [item](Self::item), which was refused before it became a request: that goes
/// through all checks once more, is sent if it was mended, and is refused again otherwise. One with
/// neither can only be read: the source had nothing that was an item, or a line of more than 7 MiB,
/// or a key that no journal takes. It is corrected there.
///
/// ```
/// use graphfeed_core::types::{Fault, Rule, Timestamp};
/// use graphfeed_crawl::DeadLetter;
///
/// let why = Fault::new(Rule::AclRequired, "$.acl", "nobody could see the item").into();
/// let letter = DeadLetter::of_source("T1", &why, Timestamp::from_unix_seconds(0)?);
/// assert_eq!(
///     serde_json::to_string(&letter)?,
///     concat!(
///         r#"{"time":"1970-01-01T00:00:00Z","key":"T1","#,
///         r#""cause":"$.acl: nobody could see the item [acl-required]","#,
///         r#""inner":[{"code":"acl-required","message":"nobody could see the item","target":"$.acl"}],"#,
///         r#""rule":"acl-required","place":"$.acl","attempts":0,"applied":"no"}"#,
///     ),
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct DeadLetter {
    /// When it ended.
    pub time: Timestamp,
    /// The run of the journal that it is of, where it is of one. What is known since a later run is
    /// newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
    /// The key in the source; none where a line could not be read so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What was to be done, such as `Create or replace item`; none where the source had nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// What went wrong, in one line.
    pub cause: String,
    /// The errors that it is made of, the outermost first: the service's with its chain of inner
    /// ones, a transport's with its sources, or every rule that is broken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inner: Vec<InnerCause>,
    /// The rule that is broken, the first of them, if it was refused before it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Where it is broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The line in the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The service's id of the request, which its support asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The caller's id of the request, as the service gave it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_request_id: Option<String>,
    /// How many attempts are known to have gone out.
    #[serde(default)]
    pub attempts: u32,
    /// Whether it was carried out all the same.
    #[serde(with = "applied")]
    pub applied: Applied,
    /// What was sent or to be sent; none where there was nothing to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<KeptRequest>,
    /// The item, with its activities, of which no request could be made: as a line of
    /// [`ItemLines`](crate::ItemLines), to be mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<RawJson>,
}

/// One of the errors that a failure is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct InnerCause {
    /// What to branch on: the service's code, or the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// For a developer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// A request as a letter keeps it: without headers, and so without a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct KeptRequest {
    /// The HTTP method.
    pub method: String,
    /// The path below the version of the service root, so that it fits any root.
    pub path: String,
    /// The body, if it has one and that is JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<RawJson>,
}

impl DeadLetter {
    fn new(key: Option<String>, time: Timestamp, cause: String) -> Self {
        Self {
            time,
            run: None,
            key,
            operation: None,
            cause,
            inner: Vec::new(),
            rule: None,
            place: None,
            line: None,
            status: None,
            request_id: None,
            client_request_id: None,
            attempts: 0,
            applied: Applied::No,
            request: None,
            item: None,
        }
    }

    /// The longest item, in bytes, so that what is wrong with it fits in the line, too.
    pub(crate) const LONGEST_ITEM: usize = LONGEST / 8 * 7;

    /// What became of an offer of a bulk run; `None` if it succeeded, also in part: then
    /// [`of_activities`](Self::of_activities) has the letters.
    ///
    /// A call that was skipped because the run ended gives a letter, too; whoever goes on with the
    /// crawl later has no use for it.
    pub fn of<T>(key: impl Into<String>, outcome: &Outcome<T>, time: Timestamp) -> Option<Self> {
        let key = Some(key.into());
        let mut letter = match &outcome.end {
            End::Ok(_) | End::Partly(_) => return None,
            End::Failed(error) => Self::new(key, time, error.to_string()).failed(error),
            End::Skipped(SkipReason::Source(why)) => Self::refused(key, time, why),
            End::Skipped(SkipReason::EarlierFailed) => {
                Self::new(key, time, "not sent: an earlier call of its key has failed".to_owned())
            }
            End::Skipped(SkipReason::RunEnded) => {
                Self::new(key, time, "not sent: the run was ended before".to_owned())
            }
            _ => Self::new(key, time, "not sent".to_owned()),
        };
        letter.attempts = outcome.attempts;
        Some(match &outcome.call {
            Some(call) => letter.about(call),
            None => letter,
        })
    }

    /// The activities of a call that were refused, and those of which the answer does not say
    /// whether they were stored: a letter for either, if there are any. For a call that failed
    /// as a whole, [`of`](Self::of) has one letter.
    pub fn of_activities<T>(
        key: impl Into<String>,
        outcome: &Outcome<T>,
        ends: &ActivityEnds,
        time: Timestamp,
    ) -> Vec<Self> {
        let (End::Ok(reply) | End::Partly(reply)) = &outcome.end else { return Vec::new() };
        let key = key.into();
        let of = |wanted: fn(&ActivityEnd<'_>) -> bool| {
            let its = ends.iter().filter(move |(_, end)| wanted(end));
            its.map(|(activity, _)| activity.clone()).collect::<Vec<_>>()
        };
        let refused = of(|end| matches!(end, ActivityEnd::Refused(_)));
        let unknown = of(|end| matches!(end, ActivityEnd::Unknown));
        let cause = ends.to_string();
        [(Applied::No, refused), (Applied::Maybe, unknown)]
            .into_iter()
            .filter(|(_, activities)| !activities.is_empty())
            .map(|(applied, activities)| {
                let mut letter = Self::new(Some(key.clone()), time, cause.clone());
                letter.applied = applied;
                letter.attempts = outcome.attempts;
                letter.status = Some(reply.status.as_u16());
                letter.request_id = reply.request_id().map(str::to_owned);
                letter.client_request_id = reply.client_request_id().map(str::to_owned);
                if let Some(call) = &outcome.call {
                    letter = letter.about(call);
                }
                if let Some(request) = &mut letter.request {
                    request.body = RawJson::new(&Activities { activities: &activities }).ok();
                }
                letter
            })
            .collect()
    }

    /// What a source has under a key and what cannot be sent.
    pub fn of_source(key: impl Into<String>, why: &BuildError, time: Timestamp) -> Self {
        Self::refused(Some(key.into()), time, why)
    }

    /// A line that was refused.
    pub fn of_line(refused: &RefusedLine, time: Timestamp) -> Self {
        let (line, item) = (Some(refused.line), refused.item.clone());
        Self { line, item, ..Self::refused(refused.key.clone(), time, &refused.why) }
    }

    /// What is there and cannot be read so far that it had a key, in a line or not.
    pub(crate) fn of_unreadable(line: Option<u64>, why: &BuildError, time: Timestamp) -> Self {
        Self { line, ..Self::refused(None, time, why) }
    }

    /// A call of which is known only that it was about to be made. Made before it goes out and kept
    /// with the intent, this is the letter if no outcome ever comes.
    pub fn of_intent<T>(key: impl Into<String>, call: &Call<T>, time: Timestamp) -> Self {
        let cause = "it was about to be sent, and what became of it is not known";
        let letter = Self::new(Some(key.into()), time, cause.to_owned());
        Self { applied: Applied::Maybe, ..letter.about(call) }
    }

    /// The same once more, refused before it was sent. What was known against it is behind that.
    pub(crate) fn refused_again(&self, why: &BuildError) -> Self {
        let mut letter = self.clone();
        // It is no newer for that.
        letter.run.get_or_insert(0);
        letter.cause = why.to_string();
        letter.breaks(why);
        let again = &letter.inner[..];
        let before = self.inner.strip_prefix(again).unwrap_or(&self.inner);
        letter.inner.extend_from_slice(before);
        letter
    }

    /// The same with these activities and no others.
    pub(crate) fn with_only(&self, activities: &[ExternalActivity]) -> Self {
        let mut letter = self.clone();
        if let Some(request) = &mut letter.request {
            request.body = RawJson::new(&Activities { activities }).ok();
        }
        letter
    }

    fn about<T>(self, call: &Call<T>) -> Self {
        let operation = Some(call.route().name.to_owned());
        Self { operation, request: Some(KeptRequest::of(call)), ..self }
    }

    fn refused(key: Option<String>, time: Timestamp, why: &BuildError) -> Self {
        let mut letter = Self::new(key, time, why.to_string());
        letter.breaks(why);
        letter
    }

    fn breaks(&mut self, why: &BuildError) {
        let first = &why.faults()[0];
        self.rule = Some(first.rule.to_string());
        self.place = Some(first.place.to_string());
        let inner = |fault: &Fault| InnerCause {
            code: Some(fault.rule.to_string()),
            message: Some(fault.detail.to_string()),
            target: Some(fault.place.to_string()),
        };
        self.inner = why.faults().iter().map(inner).collect();
    }

    fn failed(mut self, error: &Error) -> Self {
        let text = |text: &str| Some(text.to_owned());
        self.applied = error.applied();
        self.status = error.status().map(|status| status.as_u16());
        self.request_id = error.request_id().and_then(text);
        match error.cause() {
            Cause::Build(why) => self.breaks(why),
            Cause::Service(error) => {
                self.client_request_id = error.client_request_id().and_then(text);
                let chain = error.error().into_iter().flat_map(|error| error.chain());
                let inner = chain.map(|error| InnerCause {
                    code: error.code.clone(),
                    message: error.message.clone(),
                    target: error.target.clone(),
                });
                self.inner = inner.filter(|inner| *inner != InnerCause::default()).collect();
            }
            Cause::Transport(failure) => {
                let first: &dyn std::error::Error = failure;
                let sources = std::iter::successors(Some(first), |error| error.source());
                self.inner = sources
                    .map(|error| InnerCause {
                        message: Some(error.to_string()),
                        ..InnerCause::default()
                    })
                    .collect();
            }
            _ => {}
        }
        self
    }

    /// The call again, through the same constructors and checks as the first time, for a letter may
    /// have been edited.
    ///
    /// There is none where all that is kept is an [item](Self::item), which only a crawl replays.
    /// Only calls of [`PutItem`], [`DeleteItem`] and [`AddActivities`] are made, each at its own
    /// address, whatever the path says but for the ids in it. Activities that were or may have been
    /// stored are sent once more only if `duplicates` are allowed, for the service
    /// [appends](https://learn.microsoft.com/graph/api/externalconnectors-externalitem-addactivities)
    /// them; so are items with activities in them.
    ///
    /// # Errors
    /// [`Rule::MemberRequired`] where there is nothing to send, as when the source had nothing,
    /// [`Rule::MemberType`] where operation, method and path do not go together,
    /// [`Rule::ConnectionId`], [`Rule::ItemId`], [`Rule::AppendAgain`], and all that an
    /// [item](graphfeed_core::external::ReadItem::item) and its call can be refused for.
    pub fn call<T>(&self, root: &ServiceRoot, duplicates: Duplicates) -> Result<Call<T>, BuildError>
    where
        T: From<Option<StoredItem>> + From<Deleted> + From<AddedActivities>,
    {
        let missing = |place: &'static str, what: &'static str| {
            BuildError::from(Fault::new(Rule::MemberRequired, place, what))
        };
        let nothing = "there is none, for nothing could be made of the source; correct it there";
        let operation = self.operation.as_deref().ok_or_else(|| missing("$.operation", nothing))?;
        let request = self.request.as_ref().ok_or_else(|| missing("$.request", nothing))?;
        let body = || {
            let body = request.body.as_ref().map(RawJson::get);
            body.ok_or_else(|| missing("$.request.body", "is missing; give it a value"))
        };
        let in_body = |why: BuildError| why.at("$.request.body");
        let routes = [PutItem::ROUTE, DeleteItem::ROUTE, AddActivities::ROUTE];
        let Some(route) = routes.iter().find(|route| route.name == operation) else {
            let known = routes.map(|route| route.name).join(", ");
            let detail = format!("{operation:?} is none of {known}");
            return Err(Fault::new(Rule::MemberType, "$.operation", detail).into());
        };
        let (connection, item, qualified) = request.arguments(route)?;
        let call = if *route == PutItem::ROUTE {
            let item = ItemReader::default().read_body(item, body()?).map_err(in_body)?;
            PutItem::new(&connection, &item).call_into(root)?
        } else if *route == DeleteItem::ROUTE {
            if request.body.is_some() {
                let detail = "a call that deletes has none; leave it out";
                return Err(Fault::new(Rule::MemberUnknown, "$.request.body", detail).into());
            }
            DeleteItem::new(&connection, &item).call_into(root)?
        } else {
            let activities = AddActivities::read_call(body()?, root).map_err(in_body)?;
            let add = AddActivities::new(&connection, &item, &activities);
            if qualified { add.qualified() } else { add }.call_into(root)?
        };
        if call.repeat() == Repeat::OnlyIfUnsent
            && self.applied != Applied::No
            && duplicates == Duplicates::Never
        {
            let detail = "it may have been stored, and would be stored twice; allow duplicates, or \
                          set it to no if it is known that it was not";
            return Err(Fault::new(Rule::AppendAgain, "$.applied", detail).into());
        }
        Ok(call)
    }
}

#[derive(Serialize)]
struct Activities<'a> {
    activities: &'a [ExternalActivity],
}

/// The last segment of the path that OData qualifies.
const QUALIFIED: &str = "microsoft.graph.externalConnectors.addActivities";

impl KeptRequest {
    fn of<T>(call: &Call<T>) -> Self {
        let request = call.request();
        let path = request.uri().path();
        // A path has as many segments as its template, whatever stands before it.
        let segments = call.route().path.matches('/').count();
        let start = path.rmatch_indices('/').nth(segments - 1).map_or(0, |(at, _)| at);
        let mut path = path[start..].to_owned();
        if let Some(query) = request.uri().query() {
            path.push('?');
            path.push_str(query);
        }
        // White space that ends a line is between members, never in a text.
        let body = std::str::from_utf8(request.body()).ok();
        let body = body.and_then(|body| RawJson::parse(&body.replace(['\n', '\r'], " ")).ok());
        Self { method: request.method().to_string(), path, body }
    }

    /// The ids in the path, and whether it is the qualified one, if method and path are those of
    /// the route.
    fn arguments(&self, route: &Route) -> Result<(ConnectionId, ItemId, bool), BuildError> {
        let method = route.method();
        if self.method != method.as_str() {
            let detail = format!("is {:?}, and {} is a {method}", self.method, route.name);
            return Err(Fault::new(Rule::MemberType, "$.request.method", detail).into());
        }
        let mut found = Vec::new();
        let mut qualified = false;
        let fits = self.path.split('/').count() == route.path.split('/').count()
            && self.path.split('/').zip(route.path.split('/')).all(|(part, of)| {
                if of.starts_with('{') {
                    found.push(part);
                    return true;
                }
                qualified = of == "addActivities" && part == QUALIFIED;
                part == of || qualified
            });
        let &[connection, item] = &found[..] else {
            return Err(self.other_path(route));
        };
        if !fits {
            return Err(self.other_path(route));
        }
        let connection = ConnectionId::new(connection).map_err(|why| why.at("$.request.path"))?;
        let item = ItemId::existing(item).map_err(|why| why.at("$.request.path"))?;
        Ok((connection, item, qualified))
    }

    fn other_path(&self, route: &Route) -> BuildError {
        let detail = format!("is not the path of {}, which is {}", route.name, route.path);
        Fault::new(Rule::MemberType, "$.request.path", detail).into()
    }
}

/// Whether a call was carried out, as a word.
mod applied {
    use std::borrow::Cow;

    use graphfeed_core::protocol::Applied;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    const WORDS: [(Applied, &str); 3] =
        [(Applied::Yes, "yes"), (Applied::No, "no"), (Applied::Maybe, "maybe")];

    pub(super) fn serialize<S: Serializer>(applied: &Applied, to: S) -> Result<S::Ok, S::Error> {
        let word = WORDS.iter().find(|(known, _)| known == applied).map_or("maybe", |its| its.1);
        to.serialize_str(word)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Applied, D::Error> {
        let word = Cow::<'de, str>::deserialize(from)?;
        let known = WORDS.iter().find(|(_, known)| *known == word).map(|(applied, _)| *applied);
        known.ok_or_else(|| D::Error::custom(format_args!("{word:?} is none of yes, no, maybe")))
    }
}
