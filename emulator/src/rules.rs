//! The names of the rules that a refusal can cite, each with the status it is answered with.
//!
//! The list is the one in `docs/rules.md`, as far as the emulator is concerned; a test compares
//! the two. What a rule says in detail is decided where it is checked, not here.

use std::fmt;

use http::StatusCode;

/// Writes the enumeration and its table from one list, so that neither can miss a rule.
macro_rules! rules {
    ($($(#[doc = $doc:literal])* $rule:ident $name:literal $status:ident,)*) => {
        /// A rule that a request broke: `innerError.code` of the refusal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[doc = $doc])* $rule,)*
        }

        impl Rule {
            /// All rules the emulator knows, in the order of `docs/rules.md`.
            pub const ALL: &'static [Self] = &[$(Self::$rule),*];

            /// The name in `docs/rules.md` and on the wire, `acl-required` for example.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$rule => $name,)*
                }
            }

            /// The status of an answer that refuses a request for this rule.
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$rule => StatusCode::$status,)*
                }
            }
        }
    };
}

rules! {
    /// A connection id is 3 to 32 letters and digits and none of the reserved words.
    ConnectionId "connection-id" BAD_REQUEST,
    /// A connection name is 1 to 128 characters.
    ConnectionName "connection-name" BAD_REQUEST,
    /// An item id is `[A-Za-z0-9_-]{1,128}`.
    ItemId "item-id" BAD_REQUEST,
    /// An `id` in the body of an item is the one in the URL.
    ItemIdMismatch "item-id-mismatch" BAD_REQUEST,
    /// An external group id is `[A-Za-z0-9_-]{1,128}`, and stays what it is.
    ExternalGroupId "external-group-id" BAD_REQUEST,
    /// A GUID is written with hyphens, `8-4-4-4-12` hexadecimal digits.
    Guid "guid" BAD_REQUEST,
    /// An `appActivityId` is neither empty nor a dot segment.
    AppActivityId "app-activity-id" BAD_REQUEST,
    /// The id in the URL, decoded, is the `appActivityId` of the body.
    AppActivityIdMismatch "app-activity-id-mismatch" BAD_REQUEST,
    /// An argument of a path is neither empty nor a dot segment.
    PathSegment "path-segment" BAD_REQUEST,
    /// Inside a segment all but RFC 2396 *unreserved* is `%HH`.
    PathEscape "path-escape" BAD_REQUEST,
    /// `connectorId` and the header `GraphConnectors-Ticket` come together or not at all.
    ConnectorTicket "connector-ticket" BAD_REQUEST,
    /// A resolver has base URLs, a closed pattern, and an `itemId` of its groups.
    UrlResolver "url-resolver" BAD_REQUEST,
    /// A result template has an id, a priority, an Adaptive Card and rules.
    DisplayTemplate "display-template" BAD_REQUEST,
    /// A card for compliance search is of version 1.2 or less, without `${...}`.
    ComplianceTemplate "compliance-template" BAD_REQUEST,
    /// An item has at least one acl entry.
    AclRequired "acl-required" BAD_REQUEST,
    /// `identitySource` is for beta, and `external` for `group`.
    IdentitySource "identity-source" BAD_REQUEST,
    /// An item has at least one property.
    PropertyRequired "property-required" BAD_REQUEST,
    /// A property name is 1 to 32 letters and digits.
    PropertyName "property-name" BAD_REQUEST,
    /// A property appears once, letter case aside.
    PropertyTwice "property-twice" BAD_REQUEST,
    /// A property is declared in the registered schema.
    PropertyUndeclared "property-undeclared" BAD_REQUEST,
    /// A value has the type that the schema declares.
    PropertyType "property-type" BAD_REQUEST,
    /// A principal names at least one of its members.
    PrincipalEmpty "principal-empty" BAD_REQUEST,
    /// A collection is preceded by its `@odata.type`.
    AnnotationCollection "annotation-collection" BAD_REQUEST,
    /// A string with a non-ASCII character is preceded by its `@odata.type`.
    AnnotationNonAscii "annotation-non-ascii" BAD_REQUEST,
    /// An annotation names the type of its property.
    AnnotationType "annotation-type" BAD_REQUEST,
    /// An annotation stands before its value.
    AnnotationOrder "annotation-order" BAD_REQUEST,
    /// Content has a type `text` or `html` and a string value.
    ItemContent "item-content" BAD_REQUEST,
    /// One call adds 1 to 20 activities.
    ActivityCount "activity-count" BAD_REQUEST,
    /// Each activity carries its `@odata.type`.
    ActivityOdataType "activity-odata-type" BAD_REQUEST,
    /// An activity does not end before it starts.
    HistoryOrder "history-order" BAD_REQUEST,
    /// `baseType` is `microsoft.graph.externalItem`.
    SchemaBaseType "schema-base-type" BAD_REQUEST,
    /// A schema has 1 to 128 properties.
    SchemaSize "schema-size" BAD_REQUEST,
    /// What is searchable is text and not refinable.
    SchemaSearchable "schema-searchable" BAD_REQUEST,
    /// What is refinable is no boolean.
    SchemaRefinable "schema-refinable" BAD_REQUEST,
    /// An exact match is for text that is not searchable.
    SchemaExactMatch "schema-exact-match" BAD_REQUEST,
    /// A description has at most 200 characters.
    PropertyDescription "property-description" BAD_REQUEST,
    /// A property with a label is retrievable.
    LabelRetrievable "label-retrievable" BAD_REQUEST,
    /// A label stands on one property.
    LabelTwice "label-twice" BAD_REQUEST,
    /// A label stands on a property of its type.
    LabelType "label-type" BAD_REQUEST,
    /// Copilot wants three labels. Only ever reported.
    LabelMissing "label-missing" BAD_REQUEST,
    /// The schema of a people connector has an account, no relation and no principal.
    PeopleSchema "people-schema" BAD_REQUEST,
    /// What is registered stays.
    SchemaUpdate "schema-update" BAD_REQUEST,
    /// An external group is not its own member, however far removed.
    GroupCycle "group-cycle" BAD_REQUEST,
    /// An external group that is a member exists.
    GroupUnknown "group-unknown" BAD_REQUEST,
    /// A batch has 1 to 20 requests.
    BatchSize "batch-size" BAD_REQUEST,
    /// Each request of a batch has an id of its own, letter case aside.
    BatchId "batch-id" BAD_REQUEST,
    /// The url of a request of a batch is relative, and no batch itself.
    BatchUrl "batch-url" BAD_REQUEST,
    /// The headers of a request of a batch have a content type if there is a body, and no token.
    BatchHeader "batch-header" BAD_REQUEST,
    /// A request of a batch depends on requests before it only.
    BatchDependency "batch-dependency" BAD_REQUEST,
    /// What a request of a batch depends on has succeeded.
    FailedDependency "failed-dependency" FAILED_DEPENDENCY,
    /// The body is no longer than the limit.
    BodySize "body-size" PAYLOAD_TOO_LARGE,
    /// The body is JSON, at most 100 levels deep, no member twice.
    BodyJson "body-json" BAD_REQUEST,
    /// A body is sent as `application/json`, and uncompressed.
    ContentType "content-type" UNSUPPORTED_MEDIA_TYPE,
    /// A required member is there and not empty.
    MemberRequired "member-required" BAD_REQUEST,
    /// A member has its documented JSON type.
    MemberType "member-type" BAD_REQUEST,
    /// A member is one that the type has.
    MemberUnknown "member-unknown" BAD_REQUEST,
    /// An enumeration member is one that the version knows.
    EnumValue "enum-value" BAD_REQUEST,
    /// `unknownFutureValue` is only ever read.
    UnknownFutureValue "unknown-future-value" BAD_REQUEST,
    /// A date is ISO 8601 with an offset, in the years 1 to 9999.
    DateTime "date-time" BAD_REQUEST,
    /// The operation exists in this version.
    Version "version" BAD_REQUEST,
    /// A query option is one of those documented, and has a value that it takes.
    QueryOption "query-option" BAD_REQUEST,
    /// The state of the connection allows the operation.
    ConnectionState "connection-state" BAD_REQUEST,
    /// A bearer token is sent.
    Token "token" UNAUTHORIZED,
    /// A token has the claims that a challenge asks for.
    TokenClaims "token-claims" UNAUTHORIZED,
    /// The operation takes this kind of token.
    TokenKind "token-kind" FORBIDDEN,
    /// A token has a permission that is enough for the operation.
    Permission "permission" FORBIDDEN,
    /// A connection belongs to who created it.
    ConnectionOwner "connection-owner" FORBIDDEN,
    /// What the path names exists.
    NotFound "not-found" NOT_FOUND,
    /// An id is used once.
    AlreadyExists "already-exists" CONFLICT,
    /// The resource has this method.
    Method "method" METHOD_NOT_ALLOWED,
    /// The emulator has this route.
    NotImplemented "not-implemented" NOT_IMPLEMENTED,
    /// There is room for the request under every limit.
    Throttled "throttled" TOO_MANY_REQUESTS,
    /// No fault is scripted for the request.
    Fault "fault" INTERNAL_SERVER_ERROR,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Rule;
    use crate::tables::document;

    #[test]
    fn the_list_is_that_of_the_rules_document() {
        let rules = document("docs/rules.md");
        let mut theirs: Vec<&str> = rules
            .lines()
            .filter_map(|line| {
                let cells: Vec<&str> = line.split(" | ").collect();
                let name = cells.first()?.strip_prefix("| `")?.strip_suffix('`')?;
                let who = cells.get(2)?.trim();
                matches!(who, "emulator" | "both").then_some(name)
            })
            .collect();
        let mut ours: Vec<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        theirs.sort_unstable();
        ours.sort_unstable();
        assert_eq!(ours, theirs);
    }
}
