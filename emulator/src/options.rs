//! What can be set: plain data, read by everything and changed by nothing while the service runs.
//!
//! Every default here stands where the documents are silent or disagree; what they say in words
//! is no switch. [`Behaviour`] and the table of its switches are written from one list.

use std::{
    num::NonZeroUsize,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    authorization::Authorization, early::EarlyCalls, faults::Fault, latency::Latency, rules::Rule,
    throttle::Limit,
};

/// How an emulator is set up.
///
/// ```
/// use graphfeed_emulator::{Behaviour, Options, Verdict};
///
/// let strict = Options {
///     behaviour: Behaviour {
///         annotation_order: Verdict::Refuse,
///         ..Behaviour::default()
///     },
///     ..Options::default()
/// };
/// assert_eq!(strict.behaviour.get("annotation-order").as_deref(), Some("refuse"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The wall-clock time at which `now` is zero. 2026-01-01T00:00:00Z by default, so that the
    /// dates in answers repeat from run to run; the binary sets the system's.
    pub origin: SystemTime,
    /// Where the generator of ids starts. The same seed and requests give the same ids. 0 by
    /// default.
    pub seed: u64,
    /// The switches.
    pub behaviour: Behaviour,
    /// How tokens are issued and checked. None by default: any bearer token is good, and there is
    /// no token endpoint.
    pub authorization: Option<Authorization>,
    /// Faults that are scripted from the beginning. None by default.
    pub faults: Vec<Fault>,
    /// Limits on how many requests are let through. None by default.
    pub limits: Vec<Limit>,
    /// How long an answer takes. None by default: no time.
    pub latency: Option<Latency>,
    /// Which calls are judged early.
    pub early_calls: EarlyCalls,
    /// How many of the last requests the journal keeps. 0 by default.
    pub journal: usize,
    /// Whether the control path is there, `/__emulator`. False by default. It asks nobody who
    /// they are.
    pub control: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            origin: UNIX_EPOCH + Duration::from_secs(1_767_225_600),
            seed: 0,
            behaviour: Behaviour::default(),
            authorization: None,
            faults: Vec::new(),
            limits: Vec::new(),
            latency: None,
            early_calls: EarlyCalls::default(),
            journal: 0,
            control: false,
        }
    }
}

/// What becomes of something that the documents do not settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes in silence.
    Accept,
    /// It passes, and a [`Report`](crate::Report) says so.
    Report,
    /// The request is refused with the rule.
    Refuse,
}

/// Whether v1.0 and beta see the same resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// What one version stored, the other reads.
    Shared,
    /// Each version has its own resources.
    Separate,
}

/// What `PUT` of an item without `content` does to the content that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingContent {
    /// It is gone.
    Removes,
    /// It stays.
    Keeps,
}

/// What `PUT` of an item answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemAnswer {
    /// Nothing: 200 and no body.
    Empty,
    /// The item as `GET` would give it, with `activities: []`.
    Item,
}

/// How precisely a history item gives its dates back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryDates {
    /// As they were sent, to the last digit.
    AsSent,
    /// Cut to milliseconds, in UTC.
    Milliseconds,
}

/// The shape of a schema in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaAnswer {
    /// The schema itself.
    Bare,
    /// The schema as the member `value` of an object.
    Wrapped,
}

/// The order in which the requests of a batch are carried out and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchOrder {
    /// Any that their dependencies allow, by the seed; they are answered in another.
    Any,
    /// That of the batch.
    AsSent,
}

/// The letter case of the ids in the answer to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchIdCase {
    /// That of the batch.
    AsSent,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
}

/// What a batch is answered of which every request is throttled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchThrottled {
    /// 200, with a 429 for each request.
    Each,
    /// One 424.
    FailedDependency,
    /// One 429.
    TooManyRequests,
}

/// One switch of a [`Behaviour`], for programs that set it by name.
#[derive(Clone, Copy, Debug)]
pub struct Switch {
    /// Its name, `annotation-order` for example.
    pub name: &'static str,
    /// The values it takes, for a human.
    pub values: &'static str,
    /// The rule that it governs. The message of a refusal that it decides ends with its name:
    /// `(switch annotation-order)`. None: no refusal depends on it.
    pub rule: Option<Rule>,
    /// Its documentation, line by line.
    pub about: &'static [&'static str],
}

/// Something a switch can be: written and read as a word.
trait Setting: Sized {
    const VALUES: &'static str;
    fn parse(word: &str) -> Option<Self>;
    fn word(&self) -> String;
}

macro_rules! words {
    ($($kind:ident: $($value:ident $word:literal)|+;)*) => {$(
        impl Setting for $kind {
            const VALUES: &'static str = words!(@join $($word)+);
            fn parse(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$value),)+
                    _ => None,
                }
            }
            fn word(&self) -> String {
                match self {
                    $(Self::$value => $word,)+
                }
                .to_owned()
            }
        }
    )*};
    (@join $first:literal $($rest:literal)*) => { concat!($first $(, "|", $rest)*) };
}

words! {
    Verdict: Accept "accept" | Report "report" | Refuse "refuse";
    Versions: Shared "shared" | Separate "separate";
    MissingContent: Removes "removes" | Keeps "keeps";
    ItemAnswer: Empty "empty" | Item "item";
    HistoryDates: AsSent "as-sent" | Milliseconds "milliseconds";
    SchemaAnswer: Bare "bare" | Wrapped "wrapped";
    BatchOrder: Any "any" | AsSent "as-sent";
    BatchIdCase: AsSent "as-sent" | Lower "lower" | Upper "upper";
    BatchThrottled: Each "each" | FailedDependency "424" | TooManyRequests "429";
}

impl Setting for bool {
    const VALUES: &'static str = "true|false";
    fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
    fn word(&self) -> String {
        self.to_string()
    }
}

impl Setting for usize {
    const VALUES: &'static str = "a whole number";
    fn parse(word: &str) -> Option<Self> {
        word.parse().ok()
    }
    fn word(&self) -> String {
        self.to_string()
    }
}

impl Setting for Option<NonZeroUsize> {
    const VALUES: &'static str = "none, or a whole number from 1";
    fn parse(word: &str) -> Option<Self> {
        match word {
            "none" => Some(None),
            word => word.parse().ok().map(Some),
        }
    }
    fn word(&self) -> String {
        self.map_or("none".to_owned(), |number| number.to_string())
    }
}

impl Setting for Option<usize> {
    const VALUES: &'static str = "none|a whole number";
    fn parse(word: &str) -> Option<Self> {
        match word {
            "none" => Some(None),
            number => number.parse().ok().map(Some),
        }
    }
    fn word(&self) -> String {
        self.map_or_else(|| "none".to_owned(), |number| number.to_string())
    }
}

impl Setting for Duration {
    const VALUES: &'static str = "seconds";
    fn parse(word: &str) -> Option<Self> {
        Self::try_from_secs_f64(word.parse().ok()?).ok()
    }
    fn word(&self) -> String {
        self.as_secs_f64().to_string()
    }
}

macro_rules! behaviour {
    ($(
        $(#[doc = $doc:literal])*
        $field:ident $name:literal $([$rule:ident])?: $kind:ty = $default:expr;
    )*) => {
        /// The switches: what the service does where its documents are silent or disagree.
        ///
        /// Each can be set here as a field or by its name ([`set`](Self::set)), as the binary's
        /// `--set NAME=VALUE` does. Each says what the documents say, and so why its default is
        /// what it is.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Behaviour {
            $($(#[doc = $doc])* pub $field: $kind,)*
        }

        impl Default for Behaviour {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Behaviour {
            /// All switches, in the order of the fields.
            pub const SWITCHES: &'static [Switch] = &[$(Switch {
                name: $name,
                values: <$kind as Setting>::VALUES,
                rule: behaviour!(@rule $($rule)?),
                about: &[$($doc),*],
            },)*];

            /// Sets the switch of this name.
            ///
            /// # Errors
            /// A sentence for a human, if there is no such switch or it does not take the value.
            pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
                match name {
                    $($name => match Setting::parse(value) {
                        Some(value) => self.$field = value,
                        None => return Err(format!(
                            "{name} takes {}, not {value:?}", <$kind as Setting>::VALUES,
                        )),
                    },)*
                    _ => return Err(format!("there is no switch {name:?}")),
                }
                Ok(())
            }

            /// The value of the switch of this name, as [`set`](Self::set) would take it.
            pub fn get(&self, name: &str) -> Option<String> {
                match name {
                    $($name => Some(Setting::word(&self.$field)),)*
                    _ => None,
                }
            }
        }
    };
    (@rule) => { None };
    (@rule $rule:ident) => { Some(Rule::$rule) };
}

behaviour! {
    /// Whether v1.0 and beta see the same resources.
    ///
    /// No document says; both address one tenant, so they share by default.
    versions "versions": Versions = Versions::Shared;

    /// An annotation that stands after its value.
    ///
    /// Every example has it before, and Graph PowerShell sent it after (msgraph-sdk-powershell#3375).
    annotation_order "annotation-order" [AnnotationOrder]: Verdict = Verdict::Report;

    /// An annotation whose type begins with `#`.
    ///
    /// Microsoft's examples leave it out, OData 4 and some connectors write it.
    annotation_hash "annotation-hash" [AnnotationType]: Verdict = Verdict::Accept;

    /// A collection without its annotation.
    ///
    /// Documented as something that "should" be there (put-items).
    annotation_collection "annotation-collection" [AnnotationCollection]: Verdict = Verdict::Refuse;

    /// A string with a non-ASCII character and without its annotation.
    ///
    /// Documented as something that "should" be there (put-items).
    annotation_non_ascii "annotation-non-ascii" [AnnotationNonAscii]: Verdict = Verdict::Refuse;

    /// A property whose value is null.
    ///
    /// No document says what it would mean.
    null_property "null-property" [PropertyType]: Verdict = Verdict::Refuse;

    /// The literal `everyone` as the value of an `everyone` entry of an acl.
    ///
    /// Documented is the tenant id, samples send the literal.
    everyone_literal "everyone-literal" [Guid]: Verdict = Verdict::Accept;

    /// `identitySource` in v1.0.
    ///
    /// The v1.0 metadata has no such member; that it is refused is an inference.
    identity_source_v1 "identity-source-v1" [IdentitySource]: Verdict = Verdict::Refuse;

    /// An external group that becomes its own member, also by way of others.
    ///
    /// No document says; nobody could be meant by it.
    group_cycle "group-cycle" [GroupCycle]: Verdict = Verdict::Refuse;

    /// An external group as a member that the connection does not have.
    ///
    /// No document says in which order groups and members come.
    group_unknown "group-unknown" [GroupUnknown]: Verdict = Verdict::Report;

    /// `-` and `_` in an item id.
    ///
    /// Documented are letters and digits, samples by Microsoft use both.
    item_id_punctuation "item-id-punctuation" [ItemId]: Verdict = Verdict::Accept;

    /// What `PUT` without `content` does to the content of an item that is stored.
    ///
    /// The page of `PUT` says that the whole item is overwritten, that of an update that members
    /// not sent are kept.
    missing_content "missing-content": MissingContent = MissingContent::Removes;

    /// What `PUT` of an item answers.
    ///
    /// Documented is an empty 200, the CLI's documents show the item.
    item_answer "item-answer": ItemAnswer = ItemAnswer::Empty;

    /// Whether an empty 200 says `Content-Type: application/json`.
    empty_content_type "empty-content-type": bool = false;

    /// Whether `GET` of an item gives its `id`.
    ///
    /// The documented example leaves it out, the type has it.
    item_id_in_get "item-id-in-get": bool = true;

    /// Whether `GET` of an item annotates the types of dates, doubles and whole numbers, too.
    ///
    /// OData annotates open members whose type JSON does not show; no example has any.
    annotate_scalars "annotate-scalars": bool = false;

    /// An enumeration member in another letter case, `User` for `user`.
    ///
    /// Old bodies have them, and the service was seen to refuse them
    /// (msgraph-search-connector-sample#5).
    enum_case "enum-case" [EnumValue]: Verdict = Verdict::Refuse;

    /// A date without an offset. If it passes, it is taken as UTC.
    ///
    /// The metadata's type needs an offset; the pages say "ISO 8601".
    date_without_offset "date-without-offset" [DateTime]: Verdict = Verdict::Refuse;

    /// A member that the type does not have.
    member_unknown "member-unknown" [MemberUnknown]: Verdict = Verdict::Refuse;

    /// A member that only the server sets. If it passes, it is ignored.
    ///
    /// The examples of user activities send them (put-activity).
    server_owned "server-owned" [MemberUnknown]: Verdict = Verdict::Accept;

    /// A user activity without `activationUrl`.
    ///
    /// Documented as required, and left out of the examples (put-activity).
    activation_url_missing "activation-url-missing" [MemberRequired]: Verdict = Verdict::Refuse;

    /// An id in the URL that is not the body's `appActivityId`. If it passes, the body's counts.
    ///
    /// The examples differ from their own bodies (put-activity); what the service does is unknown.
    app_activity_id_mismatch "app-activity-id-mismatch" [AppActivityIdMismatch]: Verdict = Verdict::Refuse;

    /// A character in a path segment that RFC 2396 does not call unreserved and that is not
    /// written `%HH`.
    path_reserved "path-reserved" [PathEscape]: Verdict = Verdict::Refuse;

    /// An unreserved character that is written `%HH` all the same.
    path_over_escaped "path-over-escaped" [PathEscape]: Verdict = Verdict::Accept;

    /// `%hh` in lower case.
    path_lower_case_hex "path-lower-case-hex" [PathEscape]: Verdict = Verdict::Accept;

    /// How precisely a history item gives its dates back.
    ///
    /// The example sends 100 nanoseconds and is answered with milliseconds
    /// (put-historyitem).
    history_dates "history-dates": HistoryDates = HistoryDates::AsSent;

    /// How long it takes to register a schema. Documented are 5 to 15 minutes.
    schema_delay "schema-delay" [ConnectionState]: Duration = Duration::from_secs(1);

    /// Whether `GET` of a schema finds one whose registration is still in progress.
    ///
    /// Seen by users, and the reason not to take it for readiness (msgraph-metadata#438).
    schema_visible_early "schema-visible-early" [NotFound]: bool = true;

    /// The shape of a schema in an answer. The example wraps it in `value`
    /// (schema-get).
    schema_answer "schema-answer": SchemaAnswer = SchemaAnswer::Bare;

    /// The most entries of a page: of connections, and of activities, where `$top` can only
    /// lower it.
    ///
    /// Documented is that pages there are, not how long they get (the page on paging).
    page_size "page-size": Option<NonZeroUsize> = None;

    /// Whether a list begins with a page that is empty and has a next one.
    ///
    /// Documented for activities, where others' are taken out of a page (get-activities).
    empty_page "empty-page": bool = false;
    /// A refinable property that is neither text nor number. A boolean is refused in any case.
    ///
    /// The newer page allows text and numbers only, an older example has a date and a collection
    /// (manage-schema).
    refinable_type "refinable-type" [SchemaRefinable]: Verdict = Verdict::Report;

    /// Whether a schema without the labels `title`, `url` and `iconUrl` is reported.
    ///
    /// Copilot wants them; nothing says that it is refused.
    label_missing "label-missing": bool = true;

    /// How long it takes to delete a connection. No document says; the answer is a 202.
    ///
    /// Long enough to be seen by who looks at once.
    delete_delay "delete-delay" [ConnectionState]: Duration = Duration::from_millis(50);

    /// The most items of a connection, which is `limitExceeded` when it has them.
    ///
    /// The limits page named 5,000,000 once, and none today.
    item_quota "item-quota" [ConnectionState]: Option<usize> = None;

    /// The longest body that is accepted, in bytes. Documented are 4 MB.
    body_limit "body-limit" [BodySize]: usize = 4_000_000;

    /// The longest body that is read to its end, in bytes, if only to refuse it. A longer one is
    /// refused at once, and its connection closed.
    read_limit "read-limit" [BodySize]: usize = 16_000_000;

    /// Whether a body over the limit is answered 413; 400 if not. No document says which.
    body_size_413 "body-size-413" [BodySize]: bool = true;

    /// The most activities in one call. Documented are 20 (API limits).
    activities_per_call "activities-per-call" [ActivityCount]: usize = 20;

    /// The most properties of a schema. Documented are 128 (resource schema).
    schema_properties "schema-properties" [SchemaSize]: usize = 128;

    /// The most requests in a batch. Documented are 20 (the page on JSON batching).
    batch_requests "batch-requests" [BatchSize]: usize = 20;

    /// Dependencies in a batch other than none, each on the one before, or all on the same one.
    ///
    /// The page on JSON batching has an array without a limit, the known issues name these three.
    batch_dependencies "batch-dependencies" [BatchDependency]: Verdict = Verdict::Report;

    /// The order in which the requests of a batch are carried out and answered.
    ///
    /// Documented is that there is none but by dependencies (the page on JSON batching).
    batch_order "batch-order": BatchOrder = BatchOrder::Any;

    /// The letter case of the ids in the answer to a batch.
    ///
    /// Documented is that letter case does not tell ids apart (the page on JSON batching).
    batch_id_case "batch-id-case": BatchIdCase = BatchIdCase::AsSent;

    /// What a batch is answered of which every request is throttled.
    ///
    /// The page on throttling has a 200 with a 429 for each, an older one had a 424
    /// (microsoft-graph-docs-contrib#8883).
    batch_throttled "batch-throttled" [Throttled]: BatchThrottled = BatchThrottled::Each;
}

#[cfg(test)]
mod tests {
    use super::Behaviour;

    #[test]
    fn each_switch_takes_back_what_it_says_and_nothing_else() {
        let mut behaviour = Behaviour::default();
        for switch in Behaviour::SWITCHES {
            let value = behaviour.get(switch.name).expect("listed");
            behaviour.set(switch.name, &value).expect("its own value");
            assert_eq!(behaviour, Behaviour::default(), "{}", switch.name);
            let error = behaviour.set(switch.name, "nonsense").expect_err("taken");
            assert!(error.contains(switch.name) && error.contains(switch.values));
            assert!(!switch.about[0].is_empty());
        }
        assert!(behaviour.set("no-such", "true").is_err());
        assert_eq!(behaviour.get("no-such"), None);
    }

    #[test]
    fn a_switch_that_is_set_is_set() {
        let mut behaviour = Behaviour::default();
        for (name, value) in
            [("schema-delay", "0.25"), ("body-limit", "10"), ("item-answer", "item")]
        {
            behaviour.set(name, value).expect("a value");
            assert_eq!(behaviour.get(name).as_deref(), Some(value));
        }
        assert!(behaviour.set("schema-delay", "-1").is_err());
    }

    #[test]
    fn the_readme_lists_the_switches_with_their_defaults_and_rules() {
        let readme = include_str!("../README.md");
        let (_, table) = readme.split_once("| --- | --- | --- | --- | --- |\n").expect("a table");
        let listed: Vec<String> = table
            .lines()
            .take_while(|line| line.starts_with('|'))
            .map(|line| line.split(" | ").take(3).collect::<Vec<_>>().join(" | "))
            .collect();
        let defaults = Behaviour::default();
        let ours: Vec<String> = Behaviour::SWITCHES
            .iter()
            .map(|switch| {
                let default = defaults.get(switch.name).expect("listed");
                let rule = switch.rule.map_or("none".to_owned(), |rule| format!("`{rule}`"));
                format!("| `{}` | `{default}` | {rule}", switch.name)
            })
            .collect();
        assert_eq!(listed, ours);
    }
}
