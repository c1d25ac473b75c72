//! Why a value or a request was refused before anything was sent.
//!
//! Lives here: the list of rules this crate checks (`docs/rules.md` explains each), one
//! [`Fault`] with its [`Severity`], and [`BuildError`], which carries all the faults of a value at
//! once.

use std::{borrow::Cow, fmt};

use super::UNKNOWN_FUTURE_VALUE;

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = $name:literal,)*) => {
        /// A rule that a value or a request must keep. `docs/rules.md` tells what each one says,
        /// where it comes from, and how sure it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            /// Every rule that this crate checks.
            pub const ALL: &'static [Self] = &[$(Self::$rule),*];

            /// The name in `docs/rules.md`, such as `item-id`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$rule => $name,)*
                }
            }
        }
    };
}

rules! {
    /// A connection id is 3 to 32 letters and digits, and no reserved word.
    ConnectionId = "connection-id",
    /// A connection name has 1 to 128 characters.
    ConnectionName = "connection-name",
    /// A connector's id and its ticket go together.
    ConnectorTicket = "connector-ticket",
    /// A resolver finds an item id in a URL: its braces name groups of its pattern.
    UrlResolver = "url-resolver",
    /// A display template has a short id, a rank and an Adaptive Card.
    DisplayTemplate = "display-template",
    /// A template for compliance is an Adaptive Card of the old kind.
    ComplianceTemplate = "compliance-template",
    /// An update changes something.
    UpdateEmpty = "update-empty",
    /// An item id is `[A-Za-z0-9_-]{1,128}` and does not start with `x--`.
    ItemId = "item-id",
    /// An external group id is `[A-Za-z0-9_-]{1,128}`.
    ExternalGroupId = "external-group-id",
    /// A GUID is written `8-4-4-4-12`, in hexadecimal digits.
    Guid = "guid",
    /// An `appActivityId` is neither empty nor a dot segment.
    AppActivityId = "app-activity-id",
    /// An argument of a path is neither empty nor a dot segment.
    PathSegment = "path-segment",
    /// An item has at least one acl entry.
    AclRequired = "acl-required",
    /// An acl entry says `external` of a group only.
    IdentitySource = "identity-source",
    /// An item has at least one property.
    PropertyRequired = "property-required",
    /// A property name is 1 to 32 ASCII letters and digits.
    PropertyName = "property-name",
    /// The schema declares the property.
    PropertyUndeclared = "property-undeclared",
    /// A value has the type that the schema declares.
    PropertyType = "property-type",
    /// A property appears once.
    PropertyTwice = "property-twice",
    /// A double is finite.
    PropertyFinite = "property-finite",
    /// A principal names at least one of its members.
    PrincipalEmpty = "principal-empty",
    /// An annotation or a schema says what type a collection has.
    AnnotationCollection = "annotation-collection",
    /// An annotation names the type of what it stands at.
    AnnotationType = "annotation-type",
    /// Content has a type `text` or `html` and a text.
    ItemContent = "item-content",
    /// One call adds 1 to 20 activities.
    ActivityCount = "activity-count",
    /// What may have been appended is appended again only where duplicates are allowed.
    AppendAgain = "append-again",
    /// An activity does not end before it starts.
    HistoryOrder = "history-order",
    /// A schema has 1 to 128 properties.
    SchemaSize = "schema-size",
    /// Only texts are searched in, and what is searchable is not refinable.
    SchemaSearchable = "schema-searchable",
    /// Only texts and numbers are refinable.
    SchemaRefinable = "schema-refinable",
    /// Only texts that are not searchable are matched exactly.
    SchemaExactMatch = "schema-exact-match",
    /// The description of a property has at most 200 characters.
    PropertyDescription = "property-description",
    /// A property with a label is retrievable.
    LabelRetrievable = "label-retrievable",
    /// A label stands on one property.
    LabelTwice = "label-twice",
    /// A label stands on a property of its type.
    LabelType = "label-type",
    /// The labels that Copilot wants are there.
    LabelMissing = "label-missing",
    /// A schema of people keeps the rules for people.
    PeopleSchema = "people-schema",
    /// A registered schema can be changed like this.
    SchemaUpdate = "schema-update",
    /// External groups do not contain themselves.
    GroupCycle = "group-cycle",
    /// A group that is a member is one that is known.
    GroupUnknown = "group-unknown",
    /// A group or a member of it is named once.
    GroupTwice = "group-twice",
    /// A body is no longer than the limit.
    BodySize = "body-size",
    /// A body, or a line of text, is JSON, and no member is there twice.
    BodyJson = "body-json",
    /// A line of text is no longer than the limit.
    LineSize = "line-size",
    /// A required member is there and not empty.
    MemberRequired = "member-required",
    /// A member has the JSON type and range that its documentation gives.
    MemberType = "member-type",
    /// A member is one that the type has.
    MemberUnknown = "member-unknown",
    /// A word of an enumeration is one that can be written.
    EnumValue = "enum-value",
    /// `unknownFutureValue` is only ever read.
    UnknownFutureValue = "unknown-future-value",
    /// A date is ISO 8601 with an offset, in the years 1 to 9999.
    DateTime = "date-time",
    /// The operation exists in this version.
    Version = "version",
    /// The operation exists in this cloud.
    Cloud = "cloud",
    /// A bearer token is sent, and is one.
    Token = "token",
    /// A service root is an address and nothing else.
    ServiceRoot = "service-root",
    /// A link to the next page is an address, and leads on.
    PageLink = "page-link",
    /// A token goes to the service root only.
    OtherRoot = "other-root",
    /// The operation takes this kind of token: a user's, or an application's.
    TokenKind = "token-kind",
    /// A source gives what it has.
    Source = "source",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How much a fault weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The value is refused.
    #[default]
    Error,
    /// The value is taken, but not all that is wanted may come of it.
    Warning,
}

/// One broken rule: which, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// How much it weighs.
    pub severity: Severity,
    /// The rule that is broken.
    pub rule: Rule,
    /// The place: a JSONPath into the body such as `$.properties.title`, or the name of the
    /// argument such as `item id`.
    pub place: Cow<'static, str>,
    /// What was found there, and what would be right.
    pub detail: Cow<'static, str>,
}

impl Fault {
    /// A fault of a value of one's own: the rule it breaks, the place, and what would be right.
    ///
    /// ```
    /// use graphfeed_core::types::{BuildError, Fault, Rule};
    ///
    /// let why = BuildError::from(Fault::new(Rule::MemberRequired, "$.name", "is missing"));
    /// assert_eq!(why.to_string(), "$.name: is missing [member-required]");
    /// ```
    pub fn new(
        rule: Rule,
        place: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { severity: Severity::Error, rule, place: place.into(), detail: detail.into() }
    }

    /// The same as a warning.
    ///
    /// ```
    /// use graphfeed_core::types::{Fault, Rule};
    ///
    /// let found = Fault::new(Rule::LabelMissing, "$.properties", "none has a title").as_warning();
    /// assert_eq!(found.to_string(), "warning: $.properties: none has a title [label-missing]");
    /// ```
    #[must_use]
    pub fn as_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        write!(f, "{}: {} [{}]", self.place, self.detail, self.rule)
    }
}

/// A value or a request was refused; nothing was sent.
///
/// It carries every fault that was found, in the order of the value's members.
///
/// ```
/// use graphfeed_core::external::ExternalItem;
/// use graphfeed_core::types::{ItemId, Rule};
///
/// let refused = ExternalItem::builder(ItemId::new("T1")?)
///     .property("due date", f64::NAN)
///     .build()
///     .unwrap_err();
/// let rules: Vec<Rule> = refused.faults().iter().map(|fault| fault.rule).collect();
/// assert_eq!(rules, [Rule::AclRequired, Rule::PropertyName, Rule::PropertyFinite]);
/// # Ok::<(), graphfeed_core::types::BuildError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BuildError {
    // Never empty: made from one fault, or by `FaultList::finish` from at least one.
    faults: Vec<Fault>,
}

impl BuildError {
    /// For what a source cannot give, whatever its own error is: a row that cannot be read, a file
    /// that is locked. A bulk run takes it in place of a call and tells it.
    ///
    /// ```
    /// use graphfeed_core::types::{BuildError, Rule};
    ///
    /// let locked = std::io::Error::other("locked by another process");
    /// let why = BuildError::source("row 7", &locked);
    /// assert_eq!(why.to_string(), "row 7: locked by another process [source]");
    /// assert!(why.breaks(Rule::Source));
    /// ```
    pub fn source(place: impl Into<Cow<'static, str>>, error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(Some(error), |error| error.source());
        let texts: Vec<String> = causes.map(ToString::to_string).collect();
        Fault::new(Rule::Source, place, texts.join(": ")).into()
    }

    /// The faults, at least one.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The same faults of what stands at `place`, inside of it.
    ///
    /// ```
    /// use graphfeed_core::types::{BuildError, Fault, Rule};
    ///
    /// let why = BuildError::from(Fault::new(Rule::MemberRequired, "$.name", "is missing"));
    /// assert_eq!(why.at("$.value[1]").faults()[0].place, "$.value[1].name");
    /// ```
    #[must_use]
    pub fn at(mut self, place: &str) -> Self {
        for fault in &mut self.faults {
            // What names an argument, and no place, is the value there itself.
            let inside = fault.place.strip_prefix('$').unwrap_or_default();
            fault.place = format!("{place}{inside}").into();
        }
        self
    }

    /// Whether `rule` is among the broken ones.
    pub fn breaks(&self, rule: Rule) -> bool {
        self.faults.iter().any(|fault| fault.rule == rule)
    }
}

impl From<Fault> for BuildError {
    fn from(fault: Fault) -> Self {
        Self { faults: vec![fault] }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

// The list is what a reader wants to see, also from `unwrap`.
impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuildError({self})")
    }
}

impl std::error::Error for BuildError {}

/// Collects faults while a value is looked over, so that all of them are told at once.
#[derive(Debug, Default)]
pub(crate) struct FaultList(Vec<Fault>);

impl FaultList {
    pub(crate) fn push(
        &mut self,
        rule: Rule,
        place: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) {
        self.0.push(Fault::new(rule, place, detail));
    }

    /// Refuses an empty required text.
    pub(crate) fn require(&mut self, place: &'static str, value: &str) {
        if value.is_empty() {
            self.missing(place);
        }
    }

    /// Refuses a required member that is not there.
    pub(crate) fn missing(&mut self, place: impl Into<Cow<'static, str>>) {
        self.push(Rule::MemberRequired, place, "is missing or empty; give it a value");
    }

    /// Refuses a member of an enumeration that cannot be written: the sentinel, and no text at
    /// all. Any other may be one that the service has learnt.
    pub(crate) fn check_word(&mut self, place: impl Into<Cow<'static, str>>, word: &str) {
        if word.is_empty() {
            self.missing(place);
        } else if word.eq_ignore_ascii_case(UNKNOWN_FUTURE_VALUE) {
            let detail = "unknownFutureValue is only ever read; name the real member";
            self.push(Rule::UnknownFutureValue, place, detail);
        }
    }

    /// Refuses a word that none of the known members is, where no other can be written.
    pub(crate) fn unknown_word(
        &mut self,
        place: impl Into<Cow<'static, str>>,
        word: &str,
        known: &[&str],
    ) {
        let place = place.into();
        let told = self.0.len();
        self.check_word(place.clone(), word);
        if self.0.len() == told {
            let detail = format!("{} is none of {}", quote(word), known.join(", "));
            self.push(Rule::EnumValue, place, detail);
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// A part that stands at `place`, or its faults, which are told as being there.
    pub(crate) fn part<T>(&mut self, place: &str, part: Result<T, BuildError>) -> Option<T> {
        part.map_err(|why| self.0.extend(why.at(place).faults)).ok()
    }

    /// As [`part`](Self::part), without what is said again of a place of which something was told
    /// after the first `told` faults.
    pub(crate) fn part_since<T>(
        &mut self,
        told: usize,
        place: &str,
        part: Result<T, BuildError>,
    ) -> Option<T> {
        let before: Vec<_> = self.0[told..].iter().map(|fault| fault.place.clone()).collect();
        let more = |why: BuildError| {
            self.0.extend(why.at(place).faults.into_iter().filter(|it| !before.contains(&it.place)))
        };
        part.map_err(more).ok()
    }

    /// Takes over the faults of a part.
    pub(crate) fn append(&mut self, part: Result<(), BuildError>) {
        if let Err(error) = part {
            self.0.extend(error.faults);
        }
    }

    /// Ends the look: an error if anything was found.
    pub(crate) fn finish(self) -> Result<(), BuildError> {
        if self.0.is_empty() { Ok(()) } else { Err(BuildError { faults: self.0 }) }
    }
}

/// How much of somebody's text an error quotes: enough to find it, not enough to fill a log.
pub(crate) fn quote(text: &str) -> String {
    const MOST: usize = 64;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
