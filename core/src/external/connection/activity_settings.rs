//! How Search finds the item behind a URL that somebody shares
//! ([activitySettings](https://learn.microsoft.com/graph/api/resources/externalconnectors-activitysettings)).

use http::Uri;

use crate::types::{FaultList, Rule, quote, resource};

resource! {
    /// How a connection turns what happens elsewhere into activity on its items
    /// ([activitySettings](https://learn.microsoft.com/graph/api/resources/externalconnectors-activitysettings)).
    ///
    /// ```
    /// use graphfeed_core::external::{ActivitySettings, ExternalConnection, ItemIdResolver};
    /// use graphfeed_core::types::{ConnectionId, Rule};
    ///
    /// // https://help.contoso.com/t/TSP228082938/details is the item TSP228082938.
    /// let tickets = ItemIdResolver::new(1, "{ticket}", ["https://help.contoso.com"], "/t/(?<ticket>[^/]+)");
    /// let helpdesk = ExternalConnection::builder(ConnectionId::new("contosohelp")?, "Contoso help")
    ///     .activity_settings(ActivitySettings::new([tickets]))
    ///     .build()?;
    ///
    /// let typo = ItemIdResolver::new(1, "{tiket}", ["https://help.contoso.com"], "/t/(?<ticket>[^/]+)");
    /// let refused = ExternalConnection::builder(ConnectionId::new("contosohelp")?, "Contoso help")
    ///     .activity_settings(ActivitySettings::new([typo]))
    ///     .build()
    ///     .unwrap_err();
    /// assert!(refused.breaks(Rule::UrlResolver));
    /// # Ok::<(), graphfeed_core::types::BuildError>(())
    /// ```
    pub struct ActivitySettings {
        optional {
            /// How to find the item behind a URL; the first that fits, by priority.
            url_to_item_resolvers: Vec<ItemIdResolver> = "urlToItemResolvers",
        }
    }
}

impl ActivitySettings {
    /// With these resolvers.
    pub fn new(resolvers: impl IntoIterator<Item = ItemIdResolver>) -> Self {
        Self { url_to_item_resolvers: Some(resolvers.into_iter().collect()), ..Self::default() }
    }

    pub(super) fn check(&self, place: &str, faults: &mut FaultList) {
        for (index, resolver) in self.url_to_item_resolvers.iter().flatten().enumerate() {
            resolver.check(&format!("{place}.urlToItemResolvers[{index}]"), faults);
        }
    }
}

resource! {
    /// Finds the id of an item in its URL
    /// ([itemIdResolver](https://learn.microsoft.com/graph/api/resources/externalconnectors-itemidresolver),
    /// the one kind of urlToItemResolverBase there is).
    pub struct ItemIdResolver {
        optional {
            /// What kind of resolver it is; without it the service takes none.
            odata_type: String = "@odata.type",
            /// Its rank: the lowest number is tried first.
            priority: i32 = "priority",
            /// The id: text in which `{name}` stands for what the group of that name has matched.
            item_id: String = "itemId",
            /// Which URLs are meant.
            url_match_info: UrlMatchInfo = "urlMatchInfo",
        }
    }
}

resource! {
    /// Which URLs a resolver is for
    /// ([urlMatchInfo](https://learn.microsoft.com/graph/api/resources/externalconnectors-urlmatchinfo)).
    pub struct UrlMatchInfo {
        optional {
            /// What a URL begins with.
            base_urls: Vec<String> = "baseUrls",
            /// What follows, as a regular expression of ECMA-262 with named groups.
            url_pattern: String = "urlPattern",
        }
    }
}

impl UrlMatchInfo {
    /// URLs that begin with one of `base_urls` and go on as `url_pattern` says.
    pub fn new<U: Into<String>>(
        base_urls: impl IntoIterator<Item = U>,
        url_pattern: impl Into<String>,
    ) -> Self {
        Self {
            base_urls: Some(base_urls.into_iter().map(Into::into).collect()),
            url_pattern: Some(url_pattern.into()),
            ..Self::default()
        }
    }
}

const ITEM_ID_RESOLVER: &str = "#microsoft.graph.externalConnectors.itemIdResolver";

impl ItemIdResolver {
    /// Finds `item_id` in URLs that begin with one of `base_urls` and go on as `url_pattern`
    /// says. Each `{name}` of `item_id` is a group `(?<name>...)` of the pattern, which is checked
    /// when the connection is made.
    pub fn new<U: Into<String>>(
        priority: i32,
        item_id: impl Into<String>,
        base_urls: impl IntoIterator<Item = U>,
        url_pattern: impl Into<String>,
    ) -> Self {
        Self {
            odata_type: Some(ITEM_ID_RESOLVER.to_owned()),
            priority: Some(priority),
            item_id: Some(item_id.into()),
            url_match_info: Some(UrlMatchInfo::new(base_urls, url_pattern)),
            ..Self::default()
        }
    }

    fn check(&self, place: &str, faults: &mut FaultList) {
        match self.odata_type.as_deref() {
            Some(ITEM_ID_RESOLVER) => {}
            // A kind that came later goes back as it came.
            Some(_) => return,
            None => {
                let detail = format!("is missing; write {ITEM_ID_RESOLVER}");
                faults.push(Rule::AnnotationType, format!("{place}['@odata.type']"), detail);
            }
        }
        if self.priority.is_none() {
            faults.missing(format!("{place}.priority"));
        }
        let item_id = self.item_id.as_deref().filter(|item_id| !item_id.is_empty());
        if item_id.is_none() {
            faults.missing(format!("{place}.itemId"));
        }
        let Some(url) = &self.url_match_info else {
            return faults.missing(format!("{place}.urlMatchInfo"));
        };
        let at = format!("{place}.urlMatchInfo.baseUrls");
        match url.base_urls.as_deref() {
            None => faults.missing(at.clone()),
            Some([]) => {
                let detail = "is empty; say what the URLs begin with";
                faults.push(Rule::UrlResolver, at.clone(), detail);
            }
            Some(_) => {}
        }
        for (index, base) in url.base_urls.iter().flatten().enumerate() {
            if !is_web_address(base) {
                let detail = format!(
                    "{} is no web address; write it like https://help.contoso.com",
                    quote(base)
                );
                faults.push(Rule::UrlResolver, format!("{at}[{index}]"), detail);
            }
        }
        let Some(pattern) = url.url_pattern.as_deref().filter(|pattern| !pattern.is_empty()) else {
            return faults.missing(format!("{place}.urlMatchInfo.urlPattern"));
        };
        match named_groups(pattern) {
            Ok(groups) => {
                if let Some(Err(why)) = item_id.map(|item_id| check_braces(item_id, &groups)) {
                    faults.push(Rule::UrlResolver, format!("{place}.itemId"), why);
                }
            }
            Err(why) => {
                faults.push(Rule::UrlResolver, format!("{place}.urlMatchInfo.urlPattern"), why);
            }
        }
    }
}

fn is_web_address(text: &str) -> bool {
    text.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("https" | "http"))
            && uri.host().is_some_and(|host| !host.is_empty())
    })
}

/// The names of the groups of a regular expression, as far as ECMA-262 can be read without an
/// engine for it: escapes, classes and parentheses.
fn named_groups(pattern: &str) -> Result<Vec<&str>, String> {
    let mut groups = Vec::new();
    let (mut depth, mut in_class) = (0_usize, false);
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        rest = &rest[next.len_utf8()..];
        match next {
            '\\' => {
                let escaped =
                    rest.chars().next().ok_or("ends with a backslash; escape something")?;
                rest = &rest[escaped.len_utf8()..];
            }
            ']' if in_class => in_class = false,
            _ if in_class => {}
            '[' => in_class = true,
            '(' => {
                depth += 1;
                let Some(named) = rest.strip_prefix("?<") else { continue };
                if named.starts_with(['=', '!']) {
                    continue;
                }
                let end = named.find('>').ok_or("has a group whose name does not end; add >")?;
                let name = &named[..end];
                if !is_group_name(name) {
                    return Err(format!("names a group {}; use letters and digits", quote(name)));
                }
                if groups.contains(&name) {
                    return Err(format!("has two groups named {name}; rename one"));
                }
                groups.push(name);
                rest = &named[end + 1..];
            }
            ')' => {
                depth = depth.checked_sub(1).ok_or("closes a parenthesis that is not open")?;
            }
            _ => {}
        }
    }
    match (in_class, depth) {
        (true, _) => Err("has a class that is not closed; add ]".to_owned()),
        (false, 0) => Ok(groups),
        (false, _) => Err("has a parenthesis that is not closed; add )".to_owned()),
    }
}

fn is_group_name(name: &str) -> bool {
    let starts = |first: char| first.is_alphabetic() || matches!(first, '_' | '$');
    name.starts_with(starts) && name.chars().all(|each| starts(each) || each.is_numeric())
}

/// Each pair of braces names a group.
fn check_braces(item_id: &str, groups: &[&str]) -> Result<(), String> {
    let mut rest = item_id;
    while let Some(at) = rest.find(['{', '}']) {
        let name = rest[at..]
            .strip_prefix('{')
            .and_then(|from| from.split_once('}'))
            .filter(|(name, _)| !name.contains('{'));
        let Some((name, after)) = name else {
            return Err(format!("{} has a brace without its partner", quote(item_id)));
        };
        if !groups.contains(&name) {
            return Err(match groups {
                [] => format!("{{{name}}} names no group; add (?<{name}>...) to urlPattern"),
                _ => {
                    format!("{{{name}}} names no group of urlPattern; it has {}", groups.join(", "))
                }
            });
        }
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(settings: &ActivitySettings) -> Vec<String> {
        let mut faults = FaultList::default();
        settings.check("$.activitySettings", &mut faults);
        faults.finish().map_or_else(
            |error| error.faults().iter().map(ToString::to_string).collect(),
            |()| Vec::new(),
        )
    }

    fn faults(item_id: &str, pattern: &str) -> Vec<String> {
        let resolver = ItemIdResolver::new(1, item_id, ["https://help.contoso.com"], pattern);
        faults_of(&ActivitySettings::new([resolver]))
    }

    #[test]
    fn each_brace_is_a_named_group_of_the_pattern() {
        for (item_id, pattern) in [
            ("{ticket}", "/t/(?<ticket>[^/]+)"),
            ("{a}-{b}", r"/(?<a>\d+)/(?:x|y)/(?<b>[(\]]+)"),
            ("{a}{a}", r"(?<!x)(?<=y)(?<a>.)\("),
            ("{größe1}", "(?<größe1>x)"),
            ("fixed", "/"),
        ] {
            assert_eq!(faults(item_id, pattern), [""; 0], "{item_id} {pattern}");
        }
        let item_id = "$.activitySettings.urlToItemResolvers[0].itemId";
        let pattern = "$.activitySettings.urlToItemResolvers[0].urlMatchInfo.urlPattern";
        for (id, expression, place, why) in [
            ("{b}", "(?<a>.)(?<c>.)", item_id, "{b} names no group of urlPattern; it has a, c"),
            ("{b}", r"\(?<b>.", item_id, "{b} names no group; add (?<b>...) to urlPattern"),
            ("{a", "(?<a>.)", item_id, "\"{a\" has a brace without its partner"),
            ("a}", "(?<a>.)", item_id, "\"a}\" has a brace without its partner"),
            ("{{a}}", "(?<a>.)", item_id, "\"{{a}}\" has a brace without its partner"),
            ("{a}", "(?<a>.", pattern, "has a parenthesis that is not closed; add )"),
            ("{a}", "(?<a>.))", pattern, "closes a parenthesis that is not open"),
            ("{a}", "(?<a>[.)", pattern, "has a class that is not closed; add ]"),
            ("{a}", "(?<a.)", pattern, "has a group whose name does not end; add >"),
            ("{a}", "(?<1>.)", pattern, "names a group \"1\"; use letters and digits"),
            ("{a}", "(?<a>.)(?<a>.)", pattern, "has two groups named a; rename one"),
            ("{a}", "(?<a>.)\\", pattern, "ends with a backslash; escape something"),
        ] {
            assert_eq!(faults(id, expression), [format!("{place}: {why} [url-resolver]")]);
        }
    }

    #[test]
    fn what_is_missing_or_no_address_is_named_with_its_place() {
        let nothing = ItemIdResolver::default();
        let odd =
            ItemIdResolver::new(1, "{a}", ["help.contoso.com", "ftp://x", "https://"], "(?<a>.)");
        let mut none = ItemIdResolver::new(1, "", [""; 0], "");
        none.priority = None;
        let all = faults_of(&ActivitySettings::new([nothing, odd, none]));
        let places: Vec<_> = all.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        let at = |index: usize, member: &str| {
            format!("$.activitySettings.urlToItemResolvers[{index}]{member}")
        };
        assert_eq!(
            places,
            [
                at(0, "['@odata.type']"),
                at(0, ".priority"),
                at(0, ".itemId"),
                at(0, ".urlMatchInfo"),
                at(1, ".urlMatchInfo.baseUrls[0]"),
                at(1, ".urlMatchInfo.baseUrls[1]"),
                at(1, ".urlMatchInfo.baseUrls[2]"),
                at(2, ".priority"),
                at(2, ".itemId"),
                at(2, ".urlMatchInfo.baseUrls"),
                at(2, ".urlMatchInfo.urlPattern"),
            ]
        );
        assert!(
            all[0].ends_with("[annotation-type]") && all[9].ends_with("[url-resolver]"),
            "{all:?}"
        );
        assert!(all[3].ends_with("[member-required]"), "{all:?}");
    }

    #[test]
    fn a_resolver_of_a_later_kind_goes_back_as_it_came() {
        let json = r##"{"urlToItemResolvers":[{"@odata.type":"#microsoft.graph.externalConnectors.newResolver","priority":2,"planet":"earth"}]}"##;
        let settings: ActivitySettings = serde_json::from_str(json).unwrap();
        assert_eq!(faults_of(&settings), [""; 0]);
        assert_eq!(serde_json::to_string(&settings).unwrap(), json);
    }
}
