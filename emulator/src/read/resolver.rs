//! Reads `activitySettings` of a connection: how a URL is resolved to an item.
//!
//! Sources: resources activitySettings, itemIdResolver and urlMatchInfo. That the service refuses
//! what can match nothing is assumed.

use std::collections::HashSet;

use http::Uri;

use super::{Form, Member, Need, Reader, Shape};
use crate::{check::shown, json::Json, path::Path, rules::Rule};

pub(super) const ACTIVITY_SETTINGS: Shape = Shape {
    name: "activitySettings",
    odata_type: "microsoft.graph.externalConnectors.activitySettings",
    members: &[Member("urlToItemResolvers", Need::Optional, Form::Array)],
};

/// The only kind there is of an abstract type, so that it has to name itself.
pub(super) const RESOLVER: Shape = Shape {
    name: "a resolver",
    odata_type: "microsoft.graph.externalConnectors.itemIdResolver",
    members: &[
        Member("priority", Need::Required, Form::Int32),
        Member("itemId", Need::Required, Form::Text),
        Member("urlMatchInfo", Need::Required, Form::Object),
    ],
};

pub(super) const URL_MATCH_INFO: Shape = Shape {
    name: "urlMatchInfo",
    odata_type: "microsoft.graph.externalConnectors.urlMatchInfo",
    members: &[
        Member("baseUrls", Need::Required, Form::Array),
        Member("urlPattern", Need::Required, Form::Text),
    ],
};

impl Reader<'_> {
    /// Reads `activitySettings`.
    pub(super) fn activity_settings(&mut self, json: Json<'_>, path: &Path<'_>) {
        let Some(found) = self.members(json, path, &ACTIVITY_SETTINGS) else {
            return;
        };
        let place = path.name("urlToItemResolvers");
        let resolvers = found.get("urlToItemResolvers").map(Json::elements).unwrap_or_default();
        for (index, resolver) in resolvers.into_iter().enumerate() {
            self.resolver(resolver, &place.index(index));
        }
    }

    fn resolver(&mut self, json: Json<'_>, path: &Path<'_>) {
        let Some(found) = self.members(json, path, &RESOLVER) else {
            return;
        };
        self.typed(json, path, &RESOLVER);
        let place = path.name("urlMatchInfo");
        let matches = found.get("urlMatchInfo");
        let Some(matches) = matches.and_then(|it| self.members(it, &place, &URL_MATCH_INFO)) else {
            return;
        };
        let bases = place.name("baseUrls");
        if matches.get("baseUrls").is_some_and(|bases| bases.elements().is_empty()) {
            self.refuse(Rule::UrlResolver, bases, "there is none; send at least one");
        }
        self.texts(matches.get("baseUrls"), &bases, |reader, base, place| {
            if !is_base_url(base) {
                let message = format!(
                    "{} is no base URL, which is https or http with a host; correct it",
                    shown(base)
                );
                reader.refuse(Rule::UrlResolver, place, message);
            }
        });
        let Some(pattern) = matches.text("urlPattern") else {
            return;
        };
        let item_id = found.text("itemId").unwrap_or_default();
        let checked = match groups(&pattern) {
            Ok(groups) => placeholders(&item_id, &groups).map_err(|why| (path.name("itemId"), why)),
            Err(why) => Err((place.name("urlPattern"), why)),
        };
        if let Err((place, why)) = checked {
            self.refuse(Rule::UrlResolver, place, why);
        }
    }
}

fn is_base_url(text: &str) -> bool {
    text.parse::<Uri>().is_ok_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https"))
            && url.host().is_some_and(|host| !host.is_empty())
    })
}

/// The names of the groups of an ECMA-262 pattern, or what is wrong with it. Only that what is
/// opened is closed, and that the names differ; whether it is a pattern otherwise is not judged.
fn groups(pattern: &str) -> Result<HashSet<&str>, String> {
    let mut names = HashSet::new();
    let (mut depth, mut in_class) = (0_usize, false);
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = after;
        match first {
            '\\' => {
                let mut escaped = after.chars();
                if escaped.next().is_none() {
                    return Err(
                        "the pattern ends with a backslash; escape it or leave it out".into()
                    );
                }
                rest = escaped.as_str();
            }
            ']' if in_class => in_class = false,
            _ if in_class => {}
            '[' => in_class = true,
            '(' => {
                depth += 1;
                let named = after.strip_prefix("?<").filter(|it| !it.starts_with(['=', '!']));
                if let Some(named) = named {
                    let name = named.split_once('>').map_or("", |(name, _)| name);
                    if !is_name(name) {
                        let message = "a group is written (?<name>...), and its name a word";
                        return Err(message.into());
                    }
                    if !names.insert(name) {
                        let message = format!("two groups are called {}; rename one", shown(name));
                        return Err(message);
                    }
                }
            }
            ')' => {
                let Some(less) = depth.checked_sub(1) else {
                    return Err("a parenthesis is closed that was not opened; escape it".into());
                };
                depth = less;
            }
            _ => {}
        }
    }
    match (depth, in_class) {
        (0, false) => Ok(names),
        (_, true) => Err("a class is not closed; add ] or escape its [".into()),
        _ => Err("a parenthesis is not closed; add ) or escape its (".into()),
    }
}

fn is_name(name: &str) -> bool {
    let good = |character: char| character.is_alphanumeric() || matches!(character, '_' | '$');
    name.chars().all(good) && name.chars().next().is_some_and(|first| !first.is_numeric())
}

/// Whether each pair of braces in an item id names one of the groups, or what is wrong.
fn placeholders(item_id: &str, groups: &HashSet<&str>) -> Result<(), String> {
    const BRACES: &str = "its braces do not pair; write the name of a group as {name}";
    let mut rest = item_id;
    while let Some(at) = rest.find(['{', '}']) {
        let after = rest[at..].strip_prefix('{').ok_or(BRACES)?;
        let (name, behind) = after.split_once('}').ok_or(BRACES)?;
        if name.contains('{') {
            return Err(BRACES.into());
        }
        if !groups.contains(name) {
            let message = format!("urlPattern has no group {}; name one that it has", shown(name));
            return Err(message);
        }
        rest = behind;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_gives_the_names_of_its_groups() {
        for (pattern, names) in [
            ("", &[][..]),
            (r"/t/(?<id>[^/]+)", &["id"]),
            (r"(?<a>x)|(?:y)|(?<=z)|(?<!z)|(?=z)(?<b_2>(w))", &["a", "b_2"]),
            (r"[(](?<a>\()[^\]([]\)", &["a"]),
            (r"\(?<a>", &[]),
        ] {
            assert_eq!(groups(pattern), Ok(names.iter().copied().collect()), "{pattern}");
        }
    }

    #[test]
    fn what_is_not_closed_or_named_twice_is_no_pattern() {
        for pattern in [
            "(",
            ")",
            "a)(",
            "[",
            "[)",
            r"[\]",
            "\\",
            "(?<a>x)(?<a>y)",
            "(?<>x)",
            "(?<1>x)",
            "(?<a",
        ] {
            assert!(groups(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn each_pair_of_braces_names_a_group() {
        let names = HashSet::from(["a", "b"]);
        for good in ["", "x", "{a}", "{a}-{b}{a}"] {
            assert_eq!(placeholders(good, &names), Ok(()), "{good}");
        }
        for bad in ["{c}", "{}", "{a", "a}", "{{a}}", "{A}", "{a }"] {
            assert!(placeholders(bad, &names).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_base_url_has_a_scheme_of_the_web_and_a_host() {
        for good in ["https://a.example", "http://a:8080/b/", "HTTPS://a"] {
            assert!(is_base_url(good), "{good}");
        }
        for bad in ["", "a.example", "/a", "ftp://a", "https:", "https://", "https:///a"] {
            assert!(!is_base_url(bad), "{bad}");
        }
    }
}
