//! What the core only builds: connections, external groups and their members, user activities and
//! their history. Described once, made by the constructors and written as JSON by hand.

use std::sync::LazyLock;

use bytes::Bytes;
use graphfeed_core::{
    activity::{
        ActivityHistoryItem, ImageInfo, PutActivity, PutHistoryItem, UserActivity, VisualInfo,
    },
    external::{
        AddMember, ConnectionUpdate, ConnectorTicket, ContentCategory, CreateConnection,
        CreateGroup, ExternalConnection, ExternalGroup, GroupUpdate, Identity, UpdateConnection,
        UpdateGroup,
    },
    protocol::{Endpoint, ServiceRoot, Version},
    types::{
        AppActivityId, BuildError, Change, ConnectionId, ExternalGroupId, Guid, RawJson, Secret,
        Timestamp, UserActivityId,
    },
};
use http::{HeaderMap, HeaderValue, Request};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    items::{DATES, NO_DATES, guid, slug},
    meant::{body, differ, send},
    support::{Bench, user_activity},
    text::{Dice, Text, nested, object, string, token},
    verdict::{Case, Exception, Faults, Only, is_newer, of_core, of_emulator},
};

/// What the two sides differ in, and why.
pub(crate) static EXCEPTIONS: &[Exception] = &[
    Exception {
        only: Only::Emulator,
        rule: "enum-value",
        what: "a word that the core need not know, for the service may",
        when: |seen| seen.is_newer_word(),
        example: r#""operation":"like""#,
    },
    Exception {
        only: Only::Emulator,
        rule: "member-unknown",
        what: "a member of beta, which for v1.0 is one that nobody knows",
        when: |seen| matches!(seen.place, "$.complianceSettings" | "$.enabledContentExperiences"),
        example: r#""enabledContentExperiences":"search""#,
    },
    Exception {
        only: Only::Core,
        rule: "update-empty",
        what: "an update that changes nothing",
        when: |seen| seen.value == &json!({}),
        example: r#"{}"#,
    },
    Exception {
        only: Only::Core,
        rule: "guid",
        what: "an id that is empty, which the core does not make",
        when: |seen| seen.there() == Some(&json!("")),
        example: r#"{"id":"","type":"user"}"#,
    },
    Exception {
        only: Only::Core,
        rule: "external-group-id",
        what: "an id that is empty, which the core does not make",
        when: |seen| seen.there() == Some(&json!("")),
        example: r#"{"id":"","type":"externalGroup"}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "member-required",
        what: "an id that is empty, which the core does not make",
        when: |seen| seen.there() == Some(&json!("")) && seen.core_refuses_there(),
        example: r#"{"id":"","type":"group"}"#,
    },
    Exception {
        only: Only::Emulator,
        rule: "date-time",
        what: "a date as RFC 3339 lets it be written and OData does not; the core writes it anew",
        when: |seen| seen.is_date_of_rfc_3339(),
        example: r#""startedDateTime":"2026-01-02t03:04:05Z""#,
    },
    Exception {
        only: Only::Core,
        rule: "history-order",
        what: "a date as RFC 3339 lets it be written and OData does not; the core writes it anew",
        when: |seen| {
            let beside = seen.place.replace("lastActiveDateTime", "startedDateTime");
            let is_date =
                |place: &str| seen.emulator.contains(&("date-time".to_owned(), place.to_owned()));
            is_date(seen.place) || is_date(&beside)
        },
        example: r#""lastActiveDateTime":"2026-01-02T03:04:05z""#,
    },
    Exception {
        only: Only::Emulator,
        rule: "connector-ticket",
        what: "one without the other, which the core cannot write",
        when: |seen| seen.core.is_empty(),
        example: r#""connectorId":"~!""#,
    },
    Exception {
        only: Only::Emulator,
        rule: "body-json",
        what: "what nobody can read, in what the core refuses otherwise or passes over",
        when: |seen| !seen.core.is_empty(),
        example: r#""contentInfo":1e400"#,
    },
];

/// The faults of everything that was tried.
#[derive(Default)]
struct Tried(Faults);

impl Tried {
    fn part<T>(&mut self, place: &str, part: Result<T, BuildError>) -> Option<T> {
        let faults = |why: BuildError| of_core(&why.at(place));
        part.map_err(|why| self.0.extend(faults(why))).ok()
    }
}

/// What a fixed place of a service is asked with, and what is there afterwards.
struct Asked<'a> {
    bench: &'a dyn Fn() -> Bench,
    method: &'static str,
    target: String,
    /// Where it can be looked at.
    look: Option<String>,
}

impl Asked<'_> {
    fn judge(self, text: String, core: Faults, made: Option<Request<Bytes>>) -> Case {
        self.judge_with(text, core, made, |_| {})
    }

    fn judge_with(
        self,
        text: String,
        core: Faults,
        made: Option<Request<Bytes>>,
        headers: impl FnOnce(&mut HeaderMap),
    ) -> Case {
        let wrong = made.as_ref().filter(|_| core.is_empty()).and_then(|request| {
            let bench = (self.bench)();
            let answer = send(&bench, request);
            if !answer.status.is_success() {
                return (!is_newer(&answer, &body(request))).then_some(answer.text);
            }
            let (raw, sent) = (serde_json::from_str(&text).unwrap(), body(request));
            let kept = || {
                let target = self.look.as_ref()?;
                let kept = bench.expect(200, "GET", target, "").json;
                differ("sent and kept", &sent, &only(&sent, &kept))
            };
            differ("described and sent", &raw, &sent).or_else(kept)
        });
        let bench = (self.bench)();
        let answer = bench.send_with(self.method, &self.target, text.clone(), headers);
        let emulator = of_emulator(&answer);
        let is_beta = self.target.starts_with("/beta/");
        let version = if is_beta { Version::Beta } else { Version::V1 };
        if emulator.is_empty() && !answer.status.is_success() {
            return Case { version, text, core, emulator, wrong: Some(answer.text) };
        }
        Case { version, text, core, emulator, wrong }
    }
}

/// The members of `kept` that were sent, for the service has more to say.
fn only(sent: &Value, kept: &Value) -> Value {
    match (sent, kept) {
        (Value::Object(sent), Value::Object(kept)) => sent
            .iter()
            .filter_map(|(name, sent)| Some((name.clone(), only(sent, kept.get(name)?))))
            .collect(),
        (Value::Array(sent), Value::Array(kept)) if sent.len() == kept.len() => {
            sent.iter().zip(kept).map(|(sent, kept)| only(sent, kept)).collect()
        }
        (_, kept) => kept.clone(),
    }
}

fn written(text: &Text, dice: &Dice<'_>) -> String {
    let mut written = String::new();
    text.write(dice, &mut written);
    written
}

/// The same, with nothing out of the ordinary.
fn plain(text: &Text) -> String {
    written(text, &Dice::new(&[]))
}

fn read<T: DeserializeOwned>(text: &Text) -> T {
    serde_json::from_str(&plain(text)).unwrap_or_else(|why| panic!("{why}: {text:?}"))
}

/// The string that a token is.
fn said(text: &Text) -> String {
    read(text)
}

fn maybe(dice: &Dice<'_>, times: usize, value: impl FnOnce() -> Text) -> Option<Text> {
    dice.rarely(times).then(value)
}

fn words(dice: &Dice<'_>) -> Text {
    let count = dice.below(3);
    Text::Array((0..count).map(|_| string(dice.or_odd(&["a", "b"], &["", "ä"]))).collect())
}

fn resolver(dice: &Dice<'_>) -> Text {
    const TYPE: &str = "#microsoft.graph.externalConnectors.itemIdResolver";
    const PATTERNS: [&str; 5] = [
        "/t/(?<id>[^/]+)",
        "(?<id>a)(?<b_2>b)",
        "x",
        "[(](?<id>\\()[^\\]([]",
        "(?<=a)(?<id>.)(?!b)",
    ];
    const NO_PATTERNS: [&str; 10] =
        ["", "(", ")", "[", "\\", "(?<id>a)(?<id>b)", "(?<1>a)", "(?<>a)", "(?<id", "(?<id>[)"];
    let bases = || {
        let count = if dice.rarely(12) { 0 } else { 1 + dice.below(2) };
        let base = || {
            string(dice.or_odd(
                &["https://help.contoso.com", "http://a:8080/b", "HTTPS://a"],
                &["", "help.contoso.com", "ftp://a", "https:", "https:///a", "https://a b"],
            ))
        };
        Text::Array((0..count).map(|_| base()).collect())
    };
    let url = object([
        ("baseUrls", (!dice.rarely(20)).then(bases)),
        ("urlPattern", (!dice.rarely(20)).then(|| string(dice.or_odd(&PATTERNS, &NO_PATTERNS)))),
    ]);
    let item_id = || {
        string(dice.or_odd(&["{id}", "x", "a{id}b{id}"], &["", "{no}", "{", "}", "{{id}}", "{}"]))
    };
    object([
        ("@odata.type", (!dice.rarely(20)).then(|| string(TYPE))),
        ("priority", (!dice.rarely(20)).then(|| token(dice.pick(&["1", "0", "-1"])))),
        ("itemId", (!dice.rarely(20)).then(item_id)),
        ("urlMatchInfo", (!dice.rarely(20)).then_some(url)),
    ])
}

/// An Adaptive Card.
fn card(dice: &Dice<'_>) -> String {
    const CARDS: [&str; 3] = [
        r#"{"type":"AdaptiveCard","version":"1.2"}"#,
        r#"{"type":"AdaptiveCard","version":"1.0","body":[{"text":"{title}"}]}"#,
        r#"{"type":"AdaptiveCard","version":"0.5"}"#,
    ];
    const NO_CARDS: [&str; 9] = [
        r#"{"type":"AdaptiveCard","version":"1.3"}"#,
        r#"{"type":"AdaptiveCard","version":"1"}"#,
        r#"{"type":"AdaptiveCard"}"#,
        r#"{"type":"AdaptiveCard","version":1.2}"#,
        r#"{"type":"AdaptiveCard","version":"1.2","body":["${title}"]}"#,
        r#"{"type":"Card"}"#,
        r#"{"type":7}"#,
        r#"[]"#,
        r#""card""#,
    ];
    match dice.rarely(12) {
        true => {
            let body = carried(dice);
            format!(r#"{{"type":"AdaptiveCard","version":"1.2","body":{body}}}"#)
        }
        false => dice.or_odd(&CARDS, &NO_CARDS).to_owned(),
    }
}

fn template(dice: &Dice<'_>) -> Text {
    let rule = || {
        let operation =
            dice.or_odd(&["equals", "null", "startsWith"], &["", "like", "unknownFutureValue"]);
        object([
            ("operation", (!dice.rarely(20)).then(|| string(operation))),
            ("property", (!dice.rarely(20)).then(|| string(dice.or_odd(&["title"], &[""])))),
            ("values", (!dice.rarely(20)).then(|| words(dice))),
            (
                "valuesJoinedBy",
                (!dice.rarely(20)).then(|| string(dice.or_odd(&["or", "and"], &["xor", ""]))),
            ),
        ])
    };
    let rules = || Text::Array((0..dice.below(3)).map(|_| rule()).collect());
    let id = dice.or_odd(&["ticket", "b", "cc"], &["", "aSeventeenLetterI", "a b", "ä"]);
    object([
        ("id", (!dice.rarely(20)).then(|| string(id))),
        (
            "priority",
            (!dice.rarely(20)).then(|| token(dice.or_odd(&["1", "2147483647"], &["0", "-1"]))),
        ),
        ("layout", (!dice.rarely(20)).then(|| token(card(dice)))),
        ("rules", maybe(dice, 3, rules)),
    ])
}

fn templates(dice: &Dice<'_>, name: &str) -> Text {
    let most = if dice.rarely(12) { 4 } else { 3 };
    let templates = || Text::Array((0..dice.below(most)).map(|_| template(dice)).collect());
    object([(name, (!dice.rarely(12)).then(templates))])
}

/// The settings of a connection, by name.
fn settings(dice: &Dice<'_>) -> Vec<(&'static str, Option<Text>)> {
    let resolvers = || Text::Array((0..dice.below(3)).map(|_| resolver(dice)).collect());
    let activity = || object([("urlToItemResolvers", (!dice.rarely(12)).then(resolvers))]);
    let category = || {
        string(dice.or_odd(&["uncategorized", "people"], &["", "unknownFutureValue", "podcasts"]))
    };
    let experiences = || {
        string(dice.or_odd(
            &["search", "search, compliance"],
            &["", "unknownFutureValue", "podcast", "search, unknownFutureValue"],
        ))
    };
    vec![
        ("description", maybe(dice, 4, || string(dice.pick(&["a", "", "ä"])))),
        (
            "configuration",
            maybe(dice, 4, || object([("authorizedAppIds", maybe(dice, 2, || words(dice)))])),
        ),
        ("activitySettings", maybe(dice, 3, activity)),
        ("searchSettings", maybe(dice, 3, || templates(dice, "searchResultTemplates"))),
        ("contentCategory", maybe(dice, 4, category)),
        ("complianceSettings", maybe(dice, 4, || templates(dice, "eDiscoveryResultTemplates"))),
        ("enabledContentExperiences", maybe(dice, 6, experiences)),
    ]
}

macro_rules! set {
    ($builder:ident, $settings:ident) => {
        for (name, value) in &$settings {
            let Some(value) = value else { continue };
            $builder = match *name {
                "description" => $builder.description(said(value)),
                "configuration" => {
                    $builder.configuration(read::<graphfeed_core::external::Configuration>(value))
                }
                "activitySettings" => $builder
                    .activity_settings(read::<graphfeed_core::external::ActivitySettings>(value)),
                "searchSettings" => $builder
                    .search_settings(read::<graphfeed_core::external::SearchSettings>(value)),
                "contentCategory" => {
                    $builder.content_category(ContentCategory::from(&*said(value)))
                }
                "complianceSettings" => $builder.compliance_settings(read::<
                    graphfeed_core::external::ComplianceSettings,
                >(value)),
                _ => $builder.enabled_content_experiences(read::<
                    graphfeed_core::external::ContentExperiences,
                >(value)),
            };
        }
    };
}

fn name(dice: &Dice<'_>) -> String {
    match dice.rarely(12) {
        true => "ä".repeat(dice.pick(&[0, 128, 129])),
        false => "Contoso HR".to_owned(),
    }
}

/// A connection that is to be made.
pub(crate) fn connection(root: &ServiceRoot, dice: &Dice<'_>) -> Case {
    const IDS: [&str; 4] = ["contosohr", "abc", "aConnectionOfThirtyTwoCharacters", "msft"];
    const NO_IDS: [&str; 10] = [
        "",
        "ab",
        "contoso-hr",
        "contosö",
        "Microsoft1",
        "microsoftx",
        "teams",
        "PowerBI",
        "MSFT_All_Connectors",
        "aConnectionOfThirtyThreeCharactersX",
    ];
    let (id, name, settings) = (dice.or_odd(&IDS, &NO_IDS), name(dice), settings(dice));
    let mut members = vec![("id", Some(string(id))), ("name", Some(string(&name)))];
    members.extend(settings.iter().cloned());
    let text = written(&object(members), dice);

    let mut tried = Tried::default();
    let is_id = tried.part("$.id", ConnectionId::new(id));
    let mut builder = ExternalConnection::builder(
        is_id.unwrap_or_else(|| ConnectionId::new("abc").unwrap()),
        name,
    );
    set!(builder, settings);
    let made = tried.part("$", builder.build());
    let made = made.and_then(|it| tried.part("$", CreateConnection::new(&it).request(root)));
    let version = root.version().as_str();
    Asked {
        bench: &|| Bench::with(crate::strict),
        method: "POST",
        target: format!("/{version}/external/connections"),
        look: Some(format!("/{version}/external/connections/{id}")),
    }
    .judge(text, tried.0, made)
}

/// A connection that an app of Teams has asked for, with the ticket that it was given.
pub(crate) fn connector(root: &ServiceRoot, dice: &Dice<'_>) -> Case {
    const HEADER: &str = "graphconnectors-ticket";
    let text = |dice: &Dice<'_>| {
        const TEXTS: [&str; 3] = ["eyJ0eXAi.x-y_z", "~!", "\"{}\\"];
        (!dice.rarely(6)).then(|| dice.or_odd(&TEXTS, &["", "a b", " ", "ä", "\ta"]))
    };
    let (connector, ticket) = (text(dice), text(dice));
    let body = object([
        ("id", Some(string("contosohr"))),
        ("name", Some(string("Contoso HR"))),
        ("connectorId", connector.map(string)),
    ]);
    let connection = ExternalConnection::new(contosohr(), "Contoso HR").unwrap();
    let create = CreateConnection::new(&connection);
    let mut core = Faults::new();
    let made = match (connector, ticket) {
        (None, None) => create.request(root).ok(),
        (Some(connector), Some(ticket)) => {
            match ConnectorTicket::new(connector, Secret::new(ticket)) {
                Ok(both) => create.ticket(&both).request(root).ok(),
                Err(why) => {
                    core = of_core(&why);
                    None
                }
            }
        }
        // The core has no words for it.
        _ => None,
    };
    let sent = made.as_ref().and_then(|made| made.headers().get(HEADER)).map(HeaderValue::as_bytes);
    assert!(made.is_none() || sent == ticket.map(str::as_bytes));
    let version = root.version().as_str();
    Asked {
        bench: &|| Bench::with(crate::strict),
        method: "POST",
        target: format!("/{version}/external/connections"),
        look: None,
    }
    .judge_with(written(&body, dice), core, made, |headers| {
        if let Some(ticket) = ticket {
            headers.insert(HEADER, HeaderValue::from_bytes(ticket.as_bytes()).unwrap());
        }
    })
}

fn with_a_connection() -> Bench {
    let bench = Bench::with(crate::strict);
    let body = r#"{"id":"contosohr","name":"Contoso HR","description":"before"}"#;
    bench.expect(201, "POST", "/v1.0/external/connections", body);
    bench.expect(201, "POST", "/v1.0/external/connections/contosohr/groups", r#"{"id":"teamx"}"#);
    bench
}

pub(crate) fn contosohr() -> ConnectionId {
    ConnectionId::new("contosohr").unwrap()
}

/// An update of a connection.
pub(crate) fn connection_update(root: &ServiceRoot, dice: &Dice<'_>) -> Case {
    let (name, settings) = (dice.rarely(2).then(|| name(dice)), settings(dice));
    let mut members = vec![("name", name.as_deref().map(string))];
    members.extend(settings.iter().cloned());
    let is_cleared = dice.rarely(4) && settings[0].1.is_none();
    if is_cleared {
        members.push(("description", Some(token("null"))));
    }
    let text = written(&object(members), dice);

    let mut tried = Tried::default();
    let mut builder = ConnectionUpdate::builder();
    if let Some(name) = name {
        builder = builder.name(name);
    }
    set!(builder, settings);
    if is_cleared {
        builder = builder.description(Change::Null);
    }
    let id = contosohr();
    let made = tried.part("$", builder.build());
    let made = made.and_then(|it| tried.part("$", UpdateConnection::new(&id, &it).request(root)));
    let target = format!("/{}/external/connections/contosohr", root.version().as_str());
    // What was there before makes no difference.
    static BENCH: LazyLock<Bench> = LazyLock::new(with_a_connection);
    Asked { bench: &|| BENCH.clone(), method: "PATCH", look: Some(target.clone()), target }
        .judge(text, tried.0, made)
}

/// An external group that is to be made, or an update of one.
pub(crate) fn group(root: &ServiceRoot, dice: &Dice<'_>) -> Case {
    let is_update = dice.rarely(2);
    let id = slug(dice);
    let id = if said(&id) == "teamx" { string("teamy") } else { id };
    let text = |dice: &Dice<'_>| match dice.below(4) {
        0 | 1 => None,
        2 => Some(dice.pick(&["a", "", "ä"])),
        _ => is_update.then_some("null"),
    };
    let (display_name, description) = (text(dice), text(dice));
    let json = |text: Option<&str>| {
        text.map(|text| if text == "null" { token("null") } else { string(text) })
    };
    let change = |text: Option<&str>| match text {
        None => Change::Leave,
        Some("null") => Change::Null,
        Some(text) => Change::from(text),
    };
    let body = object([
        ("id", (!is_update).then(|| id.clone())),
        ("displayName", json(display_name)),
        ("description", json(description)),
    ]);
    let mut tried = Tried::default();
    let connection = contosohr();
    let groups = format!("/{}/external/connections/contosohr/groups", root.version().as_str());
    let (method, target, made) = if is_update {
        let update = GroupUpdate::builder()
            .display_name(change(display_name))
            .description(change(description));
        let group = ExternalGroupId::new("teamx").unwrap();
        let made = tried.part("$", update.build()).and_then(|it| {
            tried.part("$", UpdateGroup::new(&connection, &group, &it).request(root))
        });
        ("PATCH", format!("{groups}/teamx"), made)
    } else {
        let made = tried.part("$.id", ExternalGroupId::new(said(&id))).and_then(|id| {
            let mut group = ExternalGroup::builder(id);
            if let Some(name) = display_name {
                group = group.display_name(name);
            }
            if let Some(text) = description {
                group = group.description(text);
            }
            tried.part("$", CreateGroup::new(&connection, &group.build()).request(root))
        });
        ("POST", groups.clone(), made)
    };
    let look = match is_update {
        true => target.clone(),
        false => format!("{groups}/{}", said(&id)),
    };
    Asked { bench: &with_a_connection, method, target, look: Some(look) }.judge(
        written(&body, dice),
        tried.0,
        made,
    )
}

/// A member of an external group.
pub(crate) fn member(root: &ServiceRoot, dice: &Dice<'_>) -> Case {
    let kind = dice.pick(&["user", "group", "externalGroup"]);
    let id = if kind == "externalGroup" { slug(dice) } else { guid(dice) };
    // A group that is its own member is the service's to find.
    let id = if said(&id) == "teamx" { string("teamy") } else { id };
    let text = object([("id", Some(id.clone())), ("type", Some(string(kind)))]);
    let id = said(&id);
    let mut tried = Tried::default();
    let identity = match kind {
        "user" => tried.part("$.id", Guid::new(&id)).map(Identity::user),
        "group" => tried.part("$.id", Guid::new(&id)).map(Identity::group),
        _ => tried.part("$.id", ExternalGroupId::new(&id)).map(|id| Identity::external_group(&id)),
    };
    let (connection, group) = (contosohr(), ExternalGroupId::new("teamx").unwrap());
    let made = identity.and_then(|identity| {
        tried.part("$", AddMember::new(&connection, &group, &identity).request(root))
    });
    let version = root.version().as_str();
    let target = format!("/{version}/external/connections/contosohr/groups/teamx/members");
    Asked { bench: &with_a_connection, method: "POST", target, look: None }.judge(
        written(&text, dice),
        tried.0,
        made,
    )
}

/// A history item, described.
struct History {
    started: &'static str,
    last_active: Option<&'static str>,
    seconds: Option<i32>,
    timezone: Option<&'static str>,
    expires: Option<&'static str>,
}

impl History {
    fn described(dice: &Dice<'_>) -> Self {
        let date = |dice: &Dice<'_>| dice.or_odd(&DATES, &NO_DATES);
        Self {
            started: date(dice),
            last_active: dice.rarely(2).then(|| date(dice)),
            seconds: dice.rarely(3).then(|| dice.or_odd(&[0, 7, i32::MAX], &[-1, i32::MIN])),
            timezone: dice.rarely(4).then(|| dice.pick(&["Africa/Casablanca", "", "ä"])),
            expires: dice.rarely(4).then(|| date(dice)),
        }
    }

    fn raw(&self) -> Text {
        object([
            ("startedDateTime", Some(string(self.started))),
            ("lastActiveDateTime", self.last_active.map(string)),
            ("activeDurationSeconds", self.seconds.map(|it| token(it.to_string()))),
            ("userTimezone", self.timezone.map(string)),
            ("expirationDateTime", self.expires.map(string)),
        ])
    }

    fn made(&self, place: &str, tried: &mut Tried) -> Option<ActivityHistoryItem> {
        let mut date = |name: &str, text: &str| {
            tried.part(&format!("{place}.{name}"), text.parse::<Timestamp>())
        };
        let started = date("startedDateTime", self.started);
        let last_active = self.last_active.map(|text| date("lastActiveDateTime", text));
        let expires = self.expires.map(|text| date("expirationDateTime", text));
        let item = match (started, last_active) {
            (Some(started), Some(Some(last_active))) => {
                tried.part(place, ActivityHistoryItem::between(started, last_active))
            }
            (Some(started), _) => Some(ActivityHistoryItem::started(started)),
            (None, _) => None,
        };
        let plain = ActivityHistoryItem::started(Timestamp::from_unix_seconds(0).unwrap());
        let mut item = item.unwrap_or(plain);
        if let Some(seconds) = self.seconds {
            item = tried.part(place, item.active_duration_seconds(seconds))?;
        }
        if let Some(name) = self.timezone {
            item = item.user_timezone(name);
        }
        Some(match expires.flatten() {
            Some(at) => item.expiration_date_time(at),
            None => item,
        })
    }
}

/// JSON of the caller's, which is carried.
fn carried(dice: &Dice<'_>) -> String {
    const INFOS: [&str; 4] = [r#"{"@type":"x"}"#, "7", "null", "[1e2,  -0.0]"];
    const NO_INFOS: [&str; 4] =
        [r#"{"a":[{"b c":1,"b c":2}],"a":3}"#, "1e400", r#""\ud800""#, "[-1e309]"];
    match dice.rarely(6) {
        true => nested(dice),
        false => dice.or_odd(&INFOS, &NO_INFOS).to_owned(),
    }
}

/// A user activity.
pub(crate) fn activity(root: &ServiceRoot, dice: &Dice<'_>) -> Case {
    let id = dice.or_odd(&["a", "/article?12345", "ä b", "%41"], &["", ".", ".."]);
    let text = |dice: &Dice<'_>| dice.or_odd(&["https://contoso.com", "ä"], &[""]);
    let (host, url, shown) = (text(dice), text(dice), text(dice));
    let optional = |dice: &Dice<'_>| dice.rarely(4).then(|| dice.pick(&["a", "", "ä"]));
    let [app, content_url, fallback, timezone] = [(); 4].map(|()| optional(dice));
    let [description, colour, icon, alternate] = [(); 4].map(|()| optional(dice));
    let add = dice.rarely(4).then(|| dice.below(2) == 0);
    let info = dice.rarely(4).then(|| carried(dice));
    let card = dice.rarely(4).then(|| carried(dice));
    let history: Vec<History> = (0..dice.below(3)).map(|_| History::described(dice)).collect();

    let flag = add.map(|add| token(if add { "true" } else { "false" }));
    let attribution = object([
        ("iconUrl", icon.map(string)),
        ("alternateText", alternate.map(string)),
        ("addImageQuery", flag),
    ]);
    let visual = object([
        ("displayText", Some(string(shown))),
        ("description", description.map(string)),
        ("backgroundColor", colour.map(string)),
        ("content", card.clone().map(token)),
        ("attribution", icon.map(|_| attribution)),
    ]);
    let items = Text::Array(history.iter().map(History::raw).collect());
    let raw = object([
        ("appActivityId", Some(string(id))),
        ("activitySourceHost", Some(string(host))),
        ("activationUrl", Some(string(url))),
        ("visualElements", Some(visual)),
        ("appDisplayName", app.map(string)),
        ("contentUrl", content_url.map(string)),
        ("fallbackUrl", fallback.map(string)),
        ("userTimezone", timezone.map(string)),
        ("contentInfo", info.clone().map(token)),
        ("historyItems", (!history.is_empty()).then_some(items)),
    ]);

    let mut tried = Tried::default();
    let named = tried.part("$.appActivityId", AppActivityId::new(id));
    let named = named.unwrap_or_else(|| AppActivityId::new("a").unwrap());
    let mut elements = VisualInfo::new(shown);
    elements.description = description.map(str::to_owned);
    elements.background_color = colour.map(str::to_owned);
    elements.content = card.map(|card| RawJson::parse(&card).unwrap());
    elements.attribution = icon.map(|icon| {
        let mut image = ImageInfo::new(icon);
        image.alternate_text = alternate.map(str::to_owned);
        image.add_image_query = add;
        image
    });
    let mut builder = UserActivity::builder(named.clone())
        .activity_source_host(host)
        .activation_url(url)
        .visual_elements(elements);
    if let Some(name) = app {
        builder = builder.app_display_name(name);
    }
    if let Some(url) = content_url {
        builder = builder.content_url(url);
    }
    if let Some(url) = fallback {
        builder = builder.fallback_url(url);
    }
    if let Some(name) = timezone {
        builder = builder.user_timezone(name);
    }
    if let Some(info) = info {
        builder = builder.content_info(RawJson::parse(&info).unwrap());
    }
    for (index, item) in history.iter().enumerate() {
        if let Some(item) = item.made(&format!("$.historyItems[{index}]"), &mut tried) {
            builder = builder.history_item(item);
        }
    }
    let made = tried.part("$", builder.build());
    let made = made.and_then(|it| tried.part("$", PutActivity::new(&it).request(root)));
    let escaped: String = named
        .as_str()
        .bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let target = format!("/{}/me/activities/{escaped}", root.version().as_str());
    static BENCH: LazyLock<Bench> = LazyLock::new(|| Bench::with(crate::strict));
    Asked { bench: &|| BENCH.clone(), method: "PUT", target, look: None }.judge(
        written(&raw, dice),
        tried.0,
        made,
    )
}

/// A history item that is put by itself.
pub(crate) fn history_item(root: &ServiceRoot, dice: &Dice<'_>) -> Case {
    const ID: &str = "390e06e2-7e5b-4133-8014-fac7ac5991af";
    let described = History::described(dice);
    static BENCH: LazyLock<Bench> = LazyLock::new(|| {
        let bench = Bench::with(crate::strict);
        bench.expect(201, "PUT", "/v1.0/me/activities/a", user_activity("a", ""));
        bench
    });
    let activity = BENCH.emulator.user_activities().remove(0).id;
    let mut tried = Tried::default();
    let item = described.made("$", &mut tried);
    let made = item.and_then(|item| {
        let (activity, id) = (UserActivityId::new(&activity).unwrap(), Guid::new(ID).unwrap());
        tried.part("$", PutHistoryItem::new(&activity, id, &item).request(root))
    });
    let version = root.version().as_str();
    let target = format!("/{version}/me/activities/{activity}/historyItems/{ID}");
    Asked { bench: &|| BENCH.clone(), method: "PUT", target, look: None }.judge(
        written(&described.raw(), dice),
        tried.0,
        made,
    )
}
