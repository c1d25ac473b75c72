//! Lines become items or faults, and items lines.

use graphfeed_core::{
    external::{
        Acl, ExternalActivity, ExternalActivityType, ExternalItem, ExternalItemContent, Identity,
        Principal, PropertyType, PropertyValue, PutItem, Schema, SchemaProperty,
    },
    protocol::{Cloud, Endpoint, Limits, ServiceRoot, Version},
    types::{ConnectionId, ExternalGroupId, Guid, ItemId, Rule, Timestamp},
};
use graphfeed_crawl::{
    ItemLine, ItemLines, LineError, LongContent, NdjsonSettings, RefusedLine, write_item,
};
use proptest::prelude::*;

const TENANT: &str = "67a141d8-cf4e-4528-ba07-bed21bfacd2d";

fn settings() -> NdjsonSettings {
    NdjsonSettings::new(ServiceRoot::v1())
}

fn with_schema(
    properties: impl IntoIterator<Item = (&'static str, PropertyType)>,
) -> NdjsonSettings {
    let properties = properties.into_iter().map(|(name, kind)| SchemaProperty::new(name, kind));
    let mut settings = settings();
    settings.schema = Some(Schema::new(properties).unwrap());
    settings
}

fn read(text: &str, settings: NdjsonSettings) -> Vec<Result<ItemLine, RefusedLine>> {
    let refused = |why| match why {
        LineError::Refused(refused) => refused,
        other => panic!("{other}"),
    };
    ItemLines::new(text.as_bytes(), settings).map(|line| line.map_err(refused)).collect()
}

/// The one line with these properties, and an acl.
fn line(properties: &str) -> String {
    format!(
        r#"{{"id":"a","acl":[{{"type":"everyone","value":"{TENANT}","accessType":"grant"}}],"properties":{{{properties}}}}}"#
    )
}

fn properties(text: &str, settings: NdjsonSettings) -> Vec<(String, PropertyValue)> {
    let read = read(&line(text), settings).remove(0).unwrap_or_else(|why| panic!("{why}"));
    read.item.properties().iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
}

fn faults(line: &str, settings: NdjsonSettings) -> Vec<(Rule, String)> {
    let refused = read(line, settings).remove(0).expect_err("the line is taken");
    assert_eq!(refused.line, 1);
    let faults = refused.why.faults().iter();
    faults.map(|fault| (fault.rule, fault.place.to_string())).collect()
}

fn date(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_line_says_everything_of_an_item() {
    let user = Guid::new("e811976d-83df-4cbd-8b9b-5215b18aa874").unwrap();
    let item = ExternalItem::builder(ItemId::from_key("tickets/7"))
        .acl(Acl::everyone(Guid::new(TENANT).unwrap()))
        .acl(Acl::external_group(ExternalGroupId::new("teamx").unwrap()).deny())
        .property("title", "Äpfel \"kandiert\"\n")
        .property("due", date("2026-01-02T03:04:05Z"))
        .property("count", i64::MIN)
        .property("ratio", 7.0)
        .property("open", true)
        .property("tags", ["rot"])
        .property("dates", vec![date("2026-01-02T03:04:05.5Z")])
        .property("who", Principal::upn("ann@contoso.com"))
        .content(ExternalItemContent::html("<p>süß</p>"))
        .sensitivity_label(user)
        .activity(ExternalActivity::created(date("2026-01-02T03:04:05Z"), Identity::user(user)))
        .build()
        .unwrap();
    let mut file = Vec::new();
    write_item(&item, &mut file).unwrap();
    let written = String::from_utf8(file).unwrap();
    assert_eq!(
        written,
        concat!(
            r#"{"id":"tickets/7","#,
            r#""acl":[{"type":"everyone","value":"67a141d8-cf4e-4528-ba07-bed21bfacd2d","accessType":"grant"},"#,
            r#"{"type":"externalGroup","value":"teamx","accessType":"deny"}],"#,
            r#""properties":{"title@odata.type":"String","title":"Äpfel \"kandiert\"\n","#,
            r#""due@odata.type":"DateTimeOffset","due":"2026-01-02T03:04:05Z","#,
            r#""count":-9223372036854775808,"ratio":7.0,"open":true,"#,
            r#""tags@odata.type":"Collection(String)","tags":["rot"],"#,
            r#""dates@odata.type":"Collection(DateTimeOffset)","dates":["2026-01-02T03:04:05.5Z"],"#,
            r##""who":{"@odata.type":"#microsoft.graph.externalConnectors.principal","upn":"ann@contoso.com"}},"##,
            r#""content":{"value":"<p>süß</p>","type":"html"},"#,
            r#""informationProtectionLabel":{"sensitivityLabelId":"e811976d-83df-4cbd-8b9b-5215b18aa874"},"#,
            r##""activities":[{"@odata.type":"#microsoft.graph.externalConnectors.externalActivity","##,
            r#""type":"created","startDateTime":"2026-01-02T03:04:05Z","#,
            r#""performedBy":{"type":"user","id":"e811976d-83df-4cbd-8b9b-5215b18aa874"}}]}"#,
            "\n",
        )
    );
    let again = read(&written, settings()).remove(0).unwrap();
    assert_eq!((again.line, &*again.key, again.cut), (1, "tickets/7", 0));
    assert_eq!(again.item, item);
}

#[test]
fn awkward_keys_are_stored_apart_and_found_again() {
    let long = "k".repeat(129);
    let keys = ["a/b", "a-b", "50%", "🦀", "", "x--eYS9i", "x--h", &long, "a\u{0}\n\"b"];
    let file: String = keys
        .iter()
        .map(|key| {
            line(r#""n":1"#).replacen(r#""a""#, &serde_json::to_string(key).unwrap(), 1) + "\n"
        })
        .collect();
    let lines: Vec<_> = read(&file, settings()).into_iter().map(Result::unwrap).collect();
    let mut ids: Vec<_> = lines.iter().map(|line| line.item.id().clone()).collect();
    for (key, line) in keys.iter().zip(&lines) {
        assert_eq!(line.key, *key);
        assert_eq!(*line.item.id(), ItemId::from_key(key));
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), keys.len(), "no two share an id");

    // Of the long one only a hash is left, which stands for the key.
    let mut file = Vec::new();
    write_item(&lines[7].item, &mut file).unwrap();
    let text = String::from_utf8(file).unwrap();
    assert!(text.starts_with(r#"{"@graphfeed.itemId":"x--h9094034f"#), "{text}");
    let again = read(&text, settings()).remove(0).unwrap();
    assert_eq!(again.item, lines[7].item);
    assert_eq!(again.key, lines[7].item.id().as_str());
}

#[test]
fn an_id_in_place_of_a_key_gives_the_key_that_it_was_made_from() {
    for (id, key) in [("x--eYS9i", "a/b"), ("T1", "T1"), ("x--h", "x--h"), ("x--e!", "x--e!")] {
        let with_id = |line: String| {
            line.replacen(r#""id":"a""#, &format!(r#""@graphfeed.itemId":"{id}""#), 1)
        };
        // Also where the rest is refused, so that the item is known to be there.
        let [good, bad] = [r#""n":1"#, r#""n":null"#].map(|rest| with_id(line(rest)));
        let refused = read(&bad, settings()).remove(0).unwrap_err();
        assert_eq!(refused.key.as_deref(), Some(key), "{bad}");
        match read(&good, settings()).remove(0) {
            Ok(line) => assert_eq!((&*line.key, line.item.id().as_str()), (key, id)),
            Err(refused) => assert_eq!((refused.why.faults()[0].rule, id), (Rule::ItemId, "x--e!")),
        }
    }
}

#[test]
fn annotations_say_the_types_in_either_order_and_either_spelling() {
    let due = date("2026-01-02T03:04:05Z");
    let read = properties(
        r##""a":["x"],"b":7,"a@odata.type":"#Collection(String)","b@odata.type":"Double",
            "c@odata.type":"Edm.DateTimeOffset","c":"2026-01-02T04:04:05+01:00","d":"2026-01-02T03:04:05Z",
            "e@odata.type":"#Collection(Edm.Int64)","e":[],"f":1,"g":1.0,"h":1e2,"i":false,
            "j@odata.type":"microsoft.graph.externalConnectors.principal","j":{"upn":"u"},
            "k@odata.type":"Collection(microsoft.graph.externalConnectors.principal)","k":[{"email":"e"}],
            "l@odata.type":"Collection(Double)","l":[1,2.5],"m":{"@odata.type":"microsoft.graph.externalConnectors.principal","email":"e"},
            "n@odata.count":3,"@odata.type":"#microsoft.graph.externalConnectors.properties""##
            .replace('\n', " ")
            .as_str(),
        settings(),
    );
    let expected: Vec<(&str, PropertyValue)> = vec![
        ("a", ["x"].into()),
        ("b", 7.0.into()),
        ("c", due.into()),
        ("d", "2026-01-02T03:04:05Z".into()),
        ("e", Vec::<i64>::new().into()),
        ("f", 1.into()),
        ("g", 1.0.into()),
        ("h", 100.0.into()),
        ("i", false.into()),
        ("j", Principal::upn("u").into()),
        ("k", vec![Principal::email("e")].into()),
        ("l", vec![1.0, 2.5].into()),
        ("m", Principal::email("e").into()),
    ];
    let expected: Vec<_> =
        expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(read, expected);
}

#[test]
fn a_schema_says_the_types_and_agrees_with_the_annotations() {
    use PropertyType::{
        DateTime, DateTimeCollection, Double, Principal as Person, StringCollection,
    };
    let schema = || {
        with_schema([
            ("tags", StringCollection),
            ("due", DateTime),
            ("hours", Double),
            ("who", Person),
            ("days", DateTimeCollection),
        ])
    };
    let read = properties(
        r##""tags":[],"due":"2026-01-02T03:04:05Z","hours":7,"who":{"upn":"u"},"days@odata.type":"#Collection(DateTimeOffset)","days":[]"##,
        schema(),
    );
    let kinds: Vec<_> = read.iter().map(|(_, value)| value.kind()).collect();
    assert_eq!(kinds, [StringCollection, DateTime, Double, Person, DateTimeCollection]);
    assert_eq!(read[2].1, 7.0.into());

    let place = |name: &str| format!("$.properties.{name}");
    assert_eq!(
        faults(
            &line(
                r#""tags@odata.type":"String","tags":["a",1],"due":"tomorrow","Hours":1,"days":[null,"x"],"other":[]"#
            ),
            schema()
        ),
        [
            (Rule::AnnotationType, "$.properties['tags@odata.type']".to_owned()),
            (Rule::PropertyType, place("tags[1]")),
            (Rule::DateTime, place("due")),
            (Rule::PropertyUndeclared, place("Hours")),
            (Rule::PropertyType, place("days[0]")),
            (Rule::DateTime, place("days[1]")),
            (Rule::AnnotationCollection, place("other")),
            (Rule::PropertyUndeclared, place("other")),
        ]
    );
}

#[test]
fn every_fault_of_a_line_is_told_with_its_rule_and_place() {
    let whole = |members: &str| format!("{{{members}}}");
    let acl = |entry: &str| format!(r#"{{"id":"a","acl":[{entry}],"properties":{{"n":1}}}}"#);
    let more = |members: &str| line(r#""n":1"#).replacen('{', &format!("{{{members},"), 1);
    for (line, expected) in [
        ("{\"id\":".to_owned(), vec![(Rule::BodyJson, "$")]),
        ("[1]".to_owned(), vec![(Rule::MemberType, "$")]),
        ("null".to_owned(), vec![(Rule::MemberType, "$")]),
        (format!("{} x", line("")), vec![(Rule::BodyJson, "$")]),
        (r#"{"a":"\ud800","\ud800":1}"#.to_owned(), vec![(Rule::BodyJson, "$")]),
        (
            whole(""),
            vec![
                (Rule::MemberRequired, "$.id"),
                (Rule::AclRequired, "$.acl"),
                (Rule::PropertyRequired, "$.properties"),
            ],
        ),
        (
            whole(r#""id":7,"acl":{},"properties":[],"id":8"#),
            vec![
                (Rule::BodyJson, "$.id"),
                (Rule::MemberType, "$.id"),
                (Rule::MemberType, "$.acl"),
                (Rule::MemberType, "$.properties"),
            ],
        ),
        (acl("1"), vec![(Rule::MemberType, "$.acl[0]")]),
        (
            whole(r#""id":"a","acl":[],"properties":{},"title":"t","@odata.context":"c""#),
            vec![
                (Rule::AclRequired, "$.acl"),
                (Rule::PropertyRequired, "$.properties"),
                (Rule::MemberUnknown, "$.title"),
            ],
        ),
        (
            acl(
                r#"1,{},{"type":"planet","value":"a","accessType":"maybe","identitySource":"mars","x":1}"#,
            ),
            vec![
                (Rule::MemberType, "$.acl[0]"),
                (Rule::MemberRequired, "$.acl[1].value"),
                (Rule::MemberRequired, "$.acl[1].type"),
                (Rule::MemberRequired, "$.acl[1].accessType"),
                (Rule::MemberUnknown, "$.acl[2].x"),
                (Rule::EnumValue, "$.acl[2].identitySource"),
                (Rule::EnumValue, "$.acl[2].type"),
                (Rule::EnumValue, "$.acl[2].accessType"),
            ],
        ),
        (
            acl(
                r##"{"type":"user","value":"john@contoso.com","accessType":"grant"},{"type":"externalGroup","value":"a/b","accessType":"grant","@odata.type":"#microsoft.graph.identity"},{"type":null,"value":"x"}"##,
            ),
            vec![
                (Rule::Guid, "$.acl[0].value"),
                (Rule::AnnotationType, "$.acl[1]['@odata.type']"),
                (Rule::ExternalGroupId, "$.acl[1].value"),
                (Rule::MemberType, "$.acl[2].type"),
                (Rule::MemberRequired, "$.acl[2].accessType"),
            ],
        ),
        (
            line(r#""a":null,"b":[],"c":{},"d":[1],"due date":1,"A":1,"a":2,"7":1"#),
            vec![
                (Rule::BodyJson, "$.properties.a"),
                (Rule::MemberType, "$.properties.a"),
                (Rule::AnnotationCollection, "$.properties.b"),
                (Rule::MemberType, "$.properties.c"),
                (Rule::AnnotationCollection, "$.properties.d"),
                (Rule::PropertyName, "$.properties['due date']"),
                (Rule::PropertyTwice, "$.properties.A"),
            ],
        ),
        (
            line(
                r#""a":9223372036854775808,"b":1e999,"c@odata.type":"Int64","c":1.5,"d@odata.type":"Boolean","d":"true","e@odata.type":"Collection(Double)","e":[1,"2",null,1e999],"f@odata.type":"Collection(String)","f":"x""#,
            ),
            vec![
                (Rule::PropertyType, "$.properties.a"),
                (Rule::PropertyType, "$.properties.b"),
                (Rule::PropertyType, "$.properties.c"),
                (Rule::PropertyType, "$.properties.d"),
                (Rule::PropertyType, "$.properties.e[1]"),
                (Rule::PropertyType, "$.properties.e[2]"),
                (Rule::PropertyType, "$.properties.e[3]"),
                (Rule::PropertyType, "$.properties.f"),
            ],
        ),
        (
            line(
                r#""a@odata.type":"Collection(DateTime)","a":[],"b@odata.type":7,"b":1,"c@odata.type":"String","d@odata.type":"Collection(Boolean)","d":[true],"e@odata.type":"DateTimeOffset","e":"2026-01-02""#,
            ),
            vec![
                (Rule::AnnotationType, "$.properties['a@odata.type']"),
                (Rule::AnnotationType, "$.properties['b@odata.type']"),
                (Rule::MemberRequired, "$.properties.c"),
                (Rule::AnnotationType, "$.properties['d@odata.type']"),
                (Rule::DateTime, "$.properties.e"),
            ],
        ),
        (
            line(
                r##""a@odata.type":"microsoft.graph.externalConnectors.principal","a":{"upn":7,"entraID":"x"},"b":{"@odata.type":"#microsoft.graph.externalConnectors.principal"},"c@odata.type":"Collection(microsoft.graph.externalConnectors.principal)","c":[{},7]"##,
            ),
            vec![
                (Rule::MemberType, "$.properties.a.upn"),
                (Rule::MemberUnknown, "$.properties.a.entraID"),
                (Rule::PrincipalEmpty, "$.properties.b"),
                (Rule::PrincipalEmpty, "$.properties.c[0]"),
                (Rule::PropertyType, "$.properties.c[1]"),
            ],
        ),
        (
            more(
                r#""content":{"type":"pdf","value":7,"x":1},"informationProtectionLabel":{"sensitivityLabelId":"x"}"#,
            ),
            vec![
                (Rule::ItemContent, "$.content.value"),
                (Rule::MemberUnknown, "$.content.x"),
                (Rule::ItemContent, "$.content.type"),
                (Rule::Guid, "$.informationProtectionLabel.sensitivityLabelId"),
            ],
        ),
        (
            more(r#""content":{},"informationProtectionLabel":null,"activities":{}"#),
            vec![
                (Rule::ItemContent, "$.content.type"),
                (Rule::ItemContent, "$.content.value"),
                (Rule::MemberType, "$.informationProtectionLabel"),
                (Rule::MemberType, "$.activities"),
            ],
        ),
        (
            more(
                r#""activities":[{"type":"unknownFutureValue","startDateTime":"now"},{"type":"viewed","startDateTime":"2026-01-02T03:04:05Z","performedBy":{"type":"robot","id":"r2"},"id":"7"},{"performedBy":{"type":"user","id":"x"}}]"#,
            ),
            vec![
                (Rule::DateTime, "$.activities[0].startDateTime"),
                (Rule::MemberRequired, "$.activities[0].performedBy"),
                (Rule::UnknownFutureValue, "$.activities[0].type"),
                (Rule::EnumValue, "$.activities[1].performedBy.type"),
                (Rule::MemberUnknown, "$.activities[1].id"),
                (Rule::MemberRequired, "$.activities[2].type"),
                (Rule::MemberRequired, "$.activities[2].startDateTime"),
                (Rule::Guid, "$.activities[2].performedBy.id"),
            ],
        ),
        (more(r#""@graphfeed.itemId":"x--h""#), vec![(Rule::MemberType, "$['@graphfeed.itemId']")]),
        (
            line(r#""n":1"#).replacen(r#""id":"a""#, r#""@graphfeed.itemId":"a/b""#, 1),
            vec![(Rule::ItemId, "$['@graphfeed.itemId']")],
        ),
    ] {
        let expected: Vec<_> =
            expected.into_iter().map(|(rule, place)| (rule, place.to_owned())).collect();
        assert_eq!(faults(&line, settings()), expected, "{line}");
    }
}

#[test]
fn a_fault_reads_as_what_to_do() {
    let refused = read(
        &format!("\n{}", line(r#""tags":["a"],"due@odata.type":"DateTimeOffset","due":7,"Due":1"#)),
        settings(),
    );
    assert_eq!(
        refused[0].as_ref().unwrap_err().to_string(),
        "line 2: $.properties.tags: is an array, and nothing says of what; write \
         \"tags@odata.type\":\"Collection(String)\" before it, or give a schema \
         [annotation-collection]; \
         $.properties.due: is 7, and its type is dateTime; write a date in quotes, like \
         2026-01-02T03:04:05.678Z [property-type]; \
         $.properties.Due: is there twice, for letter case makes no difference; leave one out \
         [property-twice]"
    );
    let refused = read(r#"{"id":"a","acl":[,"#, settings());
    assert_eq!(
        refused[0].as_ref().unwrap_err().to_string(),
        "line 1: $: is no JSON: expected value at column 18; correct it [body-json]"
    );
}

#[test]
fn a_line_that_is_refused_takes_nothing_else_away() {
    let good = line(r#""n":1"#);
    let file =
        format!("\u{feff}{good}\r\n\n{{\n{{\"id\":\"b\",\"x\":\"{}\"}}\n{good}", "y".repeat(300));
    let mut settings = settings();
    settings.longest_line = 300;
    let read = read(&file, settings);
    let told: Vec<_> = read
        .iter()
        .map(|line| match line {
            Ok(line) => (line.line, None),
            Err(refused) => (refused.line, Some(refused.why.faults()[0].rule)),
        })
        .collect();
    assert_eq!(told, [(1, None), (3, Some(Rule::BodyJson)), (4, Some(Rule::LineSize)), (5, None)]);
    let long = read[2].as_ref().unwrap_err();
    assert_eq!(long.to_string(), "line 4: $: is longer than 300 bytes; shorten it [line-size]");
    let bytes = [good.as_bytes(), b"\n\"\xff\"\n", good.as_bytes()].concat();
    let told: Vec<_> =
        ItemLines::new(&bytes[..], self::settings()).map(|line| line.is_ok()).collect();
    assert_eq!(told, [true, false, true]);
}

#[test]
fn what_the_cloud_does_not_have_is_refused_with_its_line() {
    let mut gov = settings();
    gov.root = ServiceRoot::new(Cloud::UsGovL4, Version::V1);
    let line =
        line(r#""a@odata.type":"microsoft.graph.externalConnectors.principal","a":{"upn":"u"}"#);
    assert_eq!(faults(&line, gov), [(Rule::Cloud, "$.properties.a".to_owned())]);
    assert!(read(&line, settings())[0].is_ok());
}

#[test]
fn the_words_of_beta_are_read() {
    let line = format!(
        r#"{{"id":"a","acl":[{{"type":"group","value":"teamx","accessType":"grant","identitySource":"external"}},{{"type":"user","value":"{TENANT}","accessType":"deny","identitySource":"azureActiveDirectory"}}],"properties":{{"n":1}}}}"#
    );
    let item = read(&line, settings()).remove(0).unwrap().item;
    let team = Acl::external_group(ExternalGroupId::new("teamx").unwrap());
    assert_eq!(item.acl(), [team, Acl::user(Guid::new(TENANT).unwrap()).deny()]);
}

#[test]
fn garbage_of_a_whole_line_is_answered_in_good_time() {
    let deep = "[".repeat(1_000_000);
    let wide = |open: &str, part: &str, close: &str| {
        format!("{open}{}{close}", vec![part; 200_000].join(","))
    };
    let members: Vec<_> = (0..200_000).map(|n| format!("\"p{n}\":[{n}]")).collect();
    for line in [
        deep.clone(),
        format!(r#"{{"id":{deep}"#),
        wide("{\"acl\":[", "1", "]}"),
        wide("{", "\"a\":1", "}"),
        format!("{{{}}}", members.join(",")),
        line(&members.join(",")),
        line(&wide("\"a@odata.type\":\"Collection(Int64)\",\"a\":[", "null", "]")),
    ] {
        let refused = read(&line, settings()).remove(0).unwrap_err();
        assert!((1..=1100).contains(&refused.why.faults().len()));
    }
}

fn cut(text: &str, limit: usize) -> Result<ItemLine, RefusedLine> {
    let content = serde_json::to_string(text).unwrap();
    let content = format!(r#"{{"content":{{"type":"text","value":{content}}},"#);
    let mut settings = settings();
    settings.long_content = LongContent::Cut;
    settings.root = ServiceRoot::v1().with_limits(Limits::default().with_body(limit));
    read(&line(r#""n":1"#).replacen('{', &content, 1), settings).remove(0)
}

fn body(item: &ExternalItem) -> usize {
    let connection = ConnectionId::new("contosohr").unwrap();
    PutItem::new(&connection, item).request(&ServiceRoot::v1()).unwrap().body().len()
}

#[test]
fn a_text_that_is_too_long_is_refused_or_cut_and_counted() {
    let text = "ä\"".repeat(100);
    let whole = body(&cut(&text, 4_000_000).unwrap().item);
    let read = cut(&text, whole - 5).unwrap();
    assert_eq!((read.cut, body(&read.item)), (3, whole - 6));
    assert_eq!(read.item.content().unwrap().value(), format!("{}ä", "ä\"".repeat(98)));
    assert_eq!(cut(&text, whole).unwrap().cut, 0);
    let refused = cut(&text, 100).unwrap_err();
    assert!(refused.why.breaks(Rule::BodySize), "no text is left to cut: {refused}");

    let content = format!(r#"{{"content":{{"type":"text","value":"{}"}},"#, "x".repeat(500));
    let long = line(r#""n":1"#).replacen('{', &content, 1);
    let file = format!("{long}\n{}\n{long}", line(r#""n":1"#));
    let mut settings = settings();
    settings.root = ServiceRoot::v1().with_limits(Limits::default().with_body(300));
    assert_eq!(faults(&long, settings.clone()), [(Rule::BodySize, "$".to_owned())]);
    settings.long_content = LongContent::Cut;
    let mut lines = ItemLines::new(file.as_bytes(), settings);
    assert_eq!(lines.by_ref().filter(Result::is_ok).count(), 3);
    assert_eq!(lines.cut_items(), 2);
}

fn character() -> impl Strategy<Value = char> {
    prop_oneof![
        any::<char>(),
        prop::sample::select(vec![
            '"', '\\', '\n', '\u{1}', '\u{8}', '\u{7f}', 'ä', '€', '🦀', 'a', '/'
        ]),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(character(), 0..24).prop_map(String::from_iter)
}

fn dates() -> impl Strategy<Value = Timestamp> {
    (-62_135_596_800_i64..=253_402_300_799, 0_i128..10_000_000).prop_map(|(seconds, ticks)| {
        Timestamp::from_unix_nanoseconds(i128::from(seconds) * 1_000_000_000 + ticks * 100).unwrap()
    })
}

fn numbers() -> impl Strategy<Value = f64> {
    use prop::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
}

fn principals() -> impl Strategy<Value = Principal> {
    (text(), text(), any::<u128>(), 0..3).prop_map(|(a, b, id, kind)| match kind {
        0 => Principal::upn(format!("u{a}")),
        1 => Principal::entra(id.into()),
        _ => Principal::external(format!("u{a}"), b),
    })
}

fn value() -> impl Strategy<Value = PropertyValue> {
    use prop::collection::vec;
    prop_oneof![
        text().prop_map(PropertyValue::from),
        any::<i64>().prop_map(PropertyValue::from),
        numbers().prop_map(PropertyValue::from),
        any::<bool>().prop_map(PropertyValue::from),
        dates().prop_map(PropertyValue::from),
        vec(text(), 0..4).prop_map(PropertyValue::from),
        vec(any::<i64>(), 0..4).prop_map(PropertyValue::from),
        vec(numbers(), 0..4).prop_map(PropertyValue::from),
        vec(dates(), 0..4).prop_map(PropertyValue::from),
        principals().prop_map(PropertyValue::from),
        vec(principals(), 0..4).prop_map(PropertyValue::from),
    ]
}

fn acl() -> impl Strategy<Value = Acl> {
    (any::<u128>(), 0..5, any::<bool>()).prop_map(|(id, kind, deny)| {
        let acl = match kind {
            0 => Acl::user(id.into()),
            1 => Acl::group(id.into()),
            2 => Acl::everyone(id.into()),
            3 => Acl::everyone_except_guests(id.into()),
            _ => Acl::external_group(ExternalGroupId::new(format!("g{id}")).unwrap()),
        };
        if deny { acl.deny() } else { acl }
    })
}

fn activity() -> impl Strategy<Value = ExternalActivity> {
    ("[a-z]{1,8}", dates(), any::<u128>(), 0..3).prop_map(|(kind, start, id, who)| {
        let who = match who {
            0 => Identity::user(id.into()),
            1 => Identity::group(id.into()),
            _ => Identity::external_group(&ExternalGroupId::new(format!("g{id}")).unwrap()),
        };
        let kind = if kind.len() > 5 { "viewed" } else { &*kind };
        ExternalActivity::new(ExternalActivityType::from(kind), start, who).unwrap()
    })
}

fn item() -> impl Strategy<Value = ExternalItem> {
    use prop::{collection::btree_map, collection::vec, option};
    let id = prop_oneof![
        any::<String>().prop_map(|key| ItemId::from_key(&key)),
        "[/a-z]{90,140}".prop_map(|key| ItemId::from_key(&key)),
        "x--[A-Za-z0-9_-]{0,20}".prop_map(|id| ItemId::existing(id).unwrap()),
    ];
    let content = option::of((text(), any::<bool>()));
    (
        id,
        vec(acl(), 1..4),
        btree_map("[a-z][a-z0-9]{0,31}", value(), 1..8),
        content,
        option::of(any::<u128>()),
        vec(activity(), 0..3),
    )
        .prop_map(|(id, acl, properties, content, label, activities)| {
            let mut item = ExternalItem::builder(id);
            for entry in acl {
                item = item.acl(entry);
            }
            for (name, value) in properties {
                item = item.property(name, value);
            }
            if let Some((text, html)) = content {
                item = item.content(match html {
                    true => ExternalItemContent::html(text),
                    false => ExternalItemContent::text(text),
                });
            }
            if let Some(label) = label {
                item = item.sensitivity_label(label.into());
            }
            for activity in activities {
                item = item.activity(activity);
            }
            item.build().unwrap()
        })
}

proptest! {
    #[test]
    fn any_item_that_is_written_is_read_again(items in prop::collection::vec(item(), 1..4)) {
        let mut file = Vec::new();
        for item in &items {
            write_item(item, &mut file).unwrap();
        }
        let file = String::from_utf8(file).unwrap();
        prop_assert_eq!(file.lines().count(), items.len());
        let read: Vec<_> = read(&file, settings()).into_iter().map(|line| line.unwrap().item).collect();
        prop_assert_eq!(read, items);
    }

    #[test]
    fn a_body_is_read_as_what_writes_it_again(item in item()) {
        use graphfeed_core::external::ItemReader;
        let connection = ConnectionId::new("contosohr").unwrap();
        for version in Version::ALL {
            let root = ServiceRoot::new(Cloud::Global, *version);
            let request = PutItem::new(&connection, &item).request(&root).unwrap();
            let body = std::str::from_utf8(request.body()).unwrap();
            let again = ItemReader::default().read_body(item.id().clone(), body).unwrap();
            let again = PutItem::new(&connection, &again).request(&root).unwrap();
            prop_assert_eq!(again.body(), request.body());
        }
    }

    #[test]
    fn garbage_is_a_fault_or_an_item_that_can_be_sent(
        item in item(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, r#"[{}\[\]",:0-9a-z.@\\-]{0,6}"#), 1..4),
        random in any::<String>(),
    ) {
        let mut line = serde_json::to_string(&item).unwrap();
        for (at, length, with) in edits {
            let from = line.floor_char_boundary(at.index(line.len() + 1));
            let to = line.ceil_char_boundary((from + length).min(line.len()));
            line.replace_range(from..to, &with);
        }
        let connection = ConnectionId::new("contosohr").unwrap();
        for text in [line, random] {
            for read in read(&text, settings()) {
                match read {
                    Ok(line) => {
                        prop_assert!(PutItem::new(&connection, &line.item).request(&ServiceRoot::v1()).is_ok());
                    }
                    Err(refused) => prop_assert!(refused.line > 0 && !refused.why.faults().is_empty()),
                }
            }
        }
    }

    #[test]
    fn a_cut_text_is_the_longest_beginning_that_fits(text in text(), over in 0..80_usize) {
        let whole = cut(&text, 4_000_000).unwrap();
        let limit = body(&whole.item) - over;
        let shorter = |end: usize| body(&cut(&text[..end], 4_000_000).unwrap().item);
        match cut(&text, limit) {
            Ok(read) => {
                let kept = read.item.content().unwrap().value();
                prop_assert!(body(&read.item) <= limit);
                prop_assert!(text.starts_with(kept));
                prop_assert_eq!(read.cut, text[kept.len()..].chars().count());
                if let Some(next) = text[kept.len()..].chars().next() {
                    prop_assert!(shorter(kept.len() + next.len_utf8()) > limit);
                }
            }
            Err(refused) => {
                prop_assert!(refused.why.breaks(Rule::BodySize));
                prop_assert!(shorter(0) > limit);
            }
        }
    }
}
