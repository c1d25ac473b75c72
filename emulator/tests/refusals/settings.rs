//! What is wrong with the settings of a connection, made or updated, and with an update as such.

use super::{CONNECTIONS, CONTOSO, Case, case};

/// An update of a connection that breaks one rule.
fn update(members: &str, rule: &'static str, place: &'static str) -> Case {
    case("PATCH", CONTOSO, format!("{{{members}}}"), &[(rule, place)])
}

/// An update in beta that breaks one rule.
fn beta(members: &str, rule: &'static str, place: &'static str) -> Case {
    let target = CONTOSO.replace("v1.0", "beta");
    case("PATCH", target, format!("{{{members}}}"), &[(rule, place)])
}

/// An update with a resolver in which this is replaced.
fn resolver(from: &str, to: &str, rule: &'static str, place: &'static str) -> Case {
    const GOOD: &str = r##""activitySettings":{"urlToItemResolvers":[{
        "@odata.type":"#microsoft.graph.externalConnectors.itemIdResolver","priority":1,
        "itemId":"{id}","urlMatchInfo":{"baseUrls":["https://help.contoso.com"],
        "urlPattern":"/t/(?<id>[^/]+)"}}]}"##;
    assert!(GOOD.contains(from), "{from}");
    update(&GOOD.replacen(from, to, 1), rule, place)
}

/// An update with a result template in which this is replaced.
fn template(from: &str, to: &str, rule: &'static str, place: &'static str) -> Case {
    let good = format!(r#""searchSettings":{{"searchResultTemplates":[{TEMPLATE}]}}"#);
    assert!(good.contains(from), "{from}");
    update(&good.replacen(from, to, 1), rule, place)
}

const TEMPLATE: &str = r#"{"id":"ticket","priority":1,"layout":{"type":"AdaptiveCard",
    "version":"1.3"},"rules":[{"operation":"equals","property":"title","values":["a"],
    "valuesJoinedBy":"or"}]}"#;

/// A compliance template with this layout.
fn compliance(layout: &str, rule: &'static str, place: &'static str) -> Case {
    let template = format!(r#"{{"id":"a","priority":1,"layout":{layout}}}"#);
    let members = format!(r#""complianceSettings":{{"eDiscoveryResultTemplates":[{template}]}}"#);
    beta(&members, rule, place)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = connections();
    cases.extend(resolvers());
    cases.extend(templates());
    cases
}

fn connections() -> Vec<Case> {
    vec![
        update(r#""id":"contosohr""#, "member-unknown", "$.id"),
        update(r#""connectorId":"a""#, "member-unknown", "$.connectorId"),
        update(r#""connectorId":null"#, "member-unknown", "$.connectorId"),
        update(r#""colour":"red""#, "member-unknown", "$.colour"),
        update(r#""items":[]"#, "member-unknown", "$.items"),
        beta(r#""quota":null"#, "member-unknown", "$.quota"),
        update(r#""name":null"#, "member-required", "$.name"),
        update(r#""name":"""#, "connection-name", "$.name"),
        update(r#""description":7"#, "member-type", "$.description"),
        update(r#""contentCategory":"Crm""#, "enum-value", "$.contentCategory"),
        update(
            r#""enabledContentExperiences":"search""#,
            "member-unknown",
            "$.enabledContentExperiences",
        ),
        update(r#""complianceSettings":{}"#, "member-unknown", "$.complianceSettings"),
        beta(
            r#""enabledContentExperiences":"search, find""#,
            "enum-value",
            "$.enabledContentExperiences",
        ),
        beta(r#""enabledContentExperiences":"""#, "member-required", "$.enabledContentExperiences"),
        beta(
            r#""enabledContentExperiences":["search"]"#,
            "member-type",
            "$.enabledContentExperiences",
        ),
        update(
            r#""configuration":{"authorizedAppIds":"a"}"#,
            "member-type",
            "$.configuration.authorizedAppIds",
        ),
        update(
            r#""configuration":{"authorizedAppIds":["a",7]}"#,
            "member-type",
            "$.configuration.authorizedAppIds[1]",
        ),
        update(
            r#""configuration":{"authorizedAppIds":[""]}"#,
            "member-required",
            "$.configuration.authorizedAppIds[0]",
        ),
        // They are read in the same way when a connection is made.
        case(
            "POST",
            CONNECTIONS,
            r#"{"id":"abc","name":"a","configuration":{"authorizedAppIds":{}}}"#,
            &[("member-type", "$.configuration.authorizedAppIds")],
        ),
        case(
            "POST",
            CONNECTIONS,
            r#"{"id":"abc","name":"a","schema":{},"groups":[],"operations":[]}"#,
            &[
                ("member-unknown", "$.schema"),
                ("member-unknown", "$.groups"),
                ("member-unknown", "$.operations"),
            ],
        ),
        case(
            "POST",
            CONNECTIONS,
            r#"{"id":"abc","name":"a","connectorId":"6f2b1c9e"}"#,
            &[("connector-ticket", "header graphconnectors-ticket")],
        ),
    ]
}

fn resolvers() -> Vec<Case> {
    const ODATA_TYPE: &str =
        r##""@odata.type":"#microsoft.graph.externalConnectors.itemIdResolver","##;
    const BASES: &str = r#"["https://help.contoso.com"]"#;
    const ONE: &str = "$.activitySettings.urlToItemResolvers[0]";
    const AT: &str = "$.activitySettings.urlToItemResolvers[0]['@odata.type']";
    const ID: &str = "$.activitySettings.urlToItemResolvers[0].itemId";
    const PATTERN: &str = "$.activitySettings.urlToItemResolvers[0].urlMatchInfo.urlPattern";
    const BASE: &str = "$.activitySettings.urlToItemResolvers[0].urlMatchInfo.baseUrls";
    const FIRST: &str = "$.activitySettings.urlToItemResolvers[0].urlMatchInfo.baseUrls[0]";
    const PRIORITY: &str = "$.activitySettings.urlToItemResolvers[0].priority";
    const RULE: &str = "url-resolver";
    const REQUIRED: &str = "member-required";
    let pattern = |to| resolver("/t/(?<id>[^/]+)", to, RULE, PATTERN);
    let item_id = |to| resolver("{id}", to, RULE, ID);
    let base = |to| resolver("https://help.contoso.com", to, RULE, FIRST);
    vec![
        resolver(ODATA_TYPE, "", "annotation-type", AT),
        resolver("itemIdResolver", "urlToItemResolverBase", "annotation-type", AT),
        resolver(r#""priority":1,"#, "", "member-required", PRIORITY),
        resolver(r#""priority":1"#, r#""priority":1.5"#, "member-type", PRIORITY),
        resolver(r#""priority":1"#, r#""priority":2147483648"#, "member-type", PRIORITY),
        resolver(r#""itemId":"{id}","#, "", "member-required", ID),
        resolver(r#""urlPattern":"/t/(?<id>[^/]+)""#, r#""urlPattern":null"#, REQUIRED, PATTERN),
        resolver(BASES, "[]", RULE, BASE),
        resolver(BASES, "[7]", "member-type", FIRST),
        base("help.contoso.com"),
        base("ftp://help.contoso.com"),
        base(""),
        pattern("/t/(?<id>[^/]+"),
        pattern("/t/(?<id>[^/+)"),
        pattern("/t/(?<id>a)(?<id>b)"),
        pattern("/t/(?<id>a))"),
        item_id("{key}"),
        item_id("{id"),
        item_id("id}"),
        update(r#""activitySettings":{"urlToItemResolvers":[7]}"#, "member-type", ONE),
    ]
}

fn templates() -> Vec<Case> {
    const RULE: &str = "display-template";
    const AT: &str = "$.searchSettings.searchResultTemplates";
    const ID: &str = "$.searchSettings.searchResultTemplates[0].id";
    const LAYOUT: &str = "$.searchSettings.searchResultTemplates[0].layout";
    const PRIORITY: &str = "$.searchSettings.searchResultTemplates[0].priority";
    const OPERATION: &str = "$.searchSettings.searchResultTemplates[0].rules[0].operation";
    const VALUES: &str = "$.searchSettings.searchResultTemplates[0].rules[0].values";
    const VALUE: &str = "$.searchSettings.searchResultTemplates[0].rules[0].values[0]";
    const JOINED: &str = "$.searchSettings.searchResultTemplates[0].rules[0].valuesJoinedBy";
    const CARD: &str = "$.complianceSettings.eDiscoveryResultTemplates[0].layout";
    const CARD_VERSION: &str = "$.complianceSettings.eDiscoveryResultTemplates[0].layout.version";
    let several = |ids: &[&str]| {
        let each = ids.iter().map(|id| TEMPLATE.replacen("ticket", id, 1));
        let all = each.collect::<Vec<_>>().join(",");
        format!(r#""searchSettings":{{"searchResultTemplates":[{all}]}}"#)
    };
    let card = |members: &str| format!(r#"{{"type":"AdaptiveCard",{members}}}"#);
    vec![
        update(&several(&["a", "b", "c"]), RULE, AT),
        update(&several(&["a", "a"]), RULE, "$.searchSettings.searchResultTemplates[1].id"),
        template("ticket", "", RULE, ID),
        template("ticket", "seventeenLetters1", RULE, ID),
        template("ticket", "my-ticket", RULE, ID),
        template(r#""id":"ticket","#, "", "member-required", ID),
        template(r#""priority":1"#, r#""priority":0"#, RULE, PRIORITY),
        template(r#""priority":1"#, r#""priority":"1""#, "member-type", PRIORITY),
        template("AdaptiveCard", "HeroCard", RULE, LAYOUT),
        update(
            r#""searchSettings":{"searchResultTemplates":[{"id":"a","priority":1,"layout":"{}"}]}"#,
            RULE,
            LAYOUT,
        ),
        template("equals", "is", "enum-value", OPERATION),
        template(r#""operation":"equals","#, "", "member-required", OPERATION),
        template(r#"["a"]"#, "[1]", "member-type", VALUE),
        template(r#"["a"]"#, "null", "member-required", VALUES),
        template(r#""or""#, r#""xor""#, "enum-value", JOINED),
        compliance(&card(r#""version":"1.3""#), "compliance-template", CARD_VERSION),
        compliance(&card(r#""body":[]"#), "compliance-template", CARD_VERSION),
        compliance(
            &card(r#""version":"1.2","body":[{"type":"TextBlock","text":"${title}"}]"#),
            "compliance-template",
            CARD,
        ),
        compliance(
            &card(r#""version":"1.0","body":[{"text":"\u0024\u007btitle}"}]"#),
            "compliance-template",
            CARD,
        ),
        compliance(r#"{"version":"1.2"}"#, RULE, CARD),
    ]
}
