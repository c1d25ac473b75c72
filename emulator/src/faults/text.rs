//! The text form of a fault, strictly read and written so that it reads back as the same.

use std::{collections::BTreeSet, fmt, str::FromStr, time::Duration};

use super::{Effect, End, Fault, HANG, Requests, RetryAfter};
use crate::{
    identity::ENDPOINTS,
    routes::{ROUTES, Route},
    target::decode,
};

/// Why a text is no fault: a sentence for a human.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultError(String);

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FaultError {}

fn error<T>(message: impl Into<String>) -> Result<T, FaultError> {
    Err(FaultError(message.into()))
}

/// The resources that a fault can name, and the methods each has.
fn resources() -> impl Iterator<Item = (&'static str, &'static str)> {
    let routes = ROUTES.iter().map(|route| (route.method, route.resource));
    routes.chain(ENDPOINTS.iter().map(|endpoint| (endpoint.method, endpoint.resource)))
}

/// Reads what stands before the colon.
pub(super) fn requests(text: &str) -> Result<Requests, FaultError> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (method, what) = match words[..] {
        ["*"] => return Ok(Requests::All),
        [what] => (None, what),
        [method, what] if method.bytes().all(|byte| byte.is_ascii_uppercase()) => {
            (Some(method.to_owned()), what)
        }
        _ => {
            return error(format!(
                "{text:?} names no requests; write *, PUT item, PUT /path/{{segment}}, item or PUT *"
            ));
        }
    };
    if what.starts_with('/') {
        return path(method, what);
    }
    if what == "*" {
        return Ok(Requests::Named { method, resource: None });
    }
    let Some((_, resource)) = resources().find(|(_, resource)| *resource == what) else {
        let all: BTreeSet<&str> = resources().map(|(_, resource)| resource).collect();
        let all: Vec<&str> = all.into_iter().collect();
        return error(format!("there is no resource {what:?}; there are {}", all.join(", ")));
    };
    if let Some(method) = &method
        && !resources().any(|(has, which)| which == resource && has == method)
    {
        let own = resources().filter(|(_, which)| *which == resource);
        let mut has: Vec<&str> = own.map(|(has, _)| has).collect();
        // One that is spelt in two ways is there twice.
        has.dedup();
        return error(format!("{resource} has no {method}; it has {}", has.join(", ")));
    }
    Ok(Requests::Named { method, resource: Some(resource) })
}

fn path(method: Option<String>, text: &str) -> Result<Requests, FaultError> {
    let mut all = Vec::new();
    for segment in text.split('/').skip(1) {
        all.push(match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(_) => None,
            None => match decode(segment) {
                Some(decoded) if !decoded.is_empty() => Some(decoded.into_owned()),
                _ => return error(format!("{segment:?} in {text:?} is no segment of a path")),
            },
        });
    }
    let fits = |route: &&Route| {
        let theirs: Vec<_> = route.segments().collect();
        method.as_ref().is_none_or(|method| route.method == method)
            && theirs.len() == all.len()
            && theirs.iter().zip(&all).all(|(theirs, ours)| match (theirs, ours) {
                (Ok(literal), Some(ours)) => literal == ours,
                (Ok(_), None) | (Err(_), _) => true,
            })
    };
    if !ROUTES.iter().any(|route| fits(&route)) {
        return error(format!("no route has the path {text:?}; write it below the version"));
    }
    Ok(Requests::Path { method, segments: all })
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let Some((meant, rest)) = text.split_once(':') else {
            return error(format!("{text:?} has no colon; write REQUESTS: EFFECT"));
        };
        let mut fault = Self::new(requests(meant)?);
        let words = words(rest)?;
        let (mut given, mut from_here) = (Vec::new(), true);
        let mut words = words.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            if word == "|" {
                if from_here {
                    return error("there is no effect before |");
                }
                from_here = true;
                continue;
            }
            if from_here {
                let next = words.peek().copied();
                let (effect, taken) = effect(word, next)?;
                fault.effects.push(effect);
                if taken {
                    words.next();
                }
                from_here = false;
                continue;
            }
            option(&mut fault, word, &mut given)?;
        }
        if from_here {
            return error(format!("{text:?} names no effect; write one behind the colon or |"));
        }
        Ok(fault)
    }
}

/// The effect that these words begin, and whether that is two.
fn effect(word: &str, next: Option<&str>) -> Result<(Effect, bool), FaultError> {
    let status = |text: &str| {
        let number = text.parse::<u16>().ok().filter(|_| text.len() == 3);
        number.filter(|status| (200..600).contains(status))
    };
    if let Some(rest) = word.strip_prefix("stored ") {
        let (inner, taken) = effect(rest, next)?;
        if !inner.end.is_instead() {
            return error(format!("{rest} is carried out in any case; leave out `stored`"));
        }
        return Ok((Effect { stored: true, ..inner }, taken));
    }
    let (end, taken) = match (word, next) {
        ("reset", _) => (End::Reset, false),
        ("truncated", _) => (End::Truncated, false),
        ("no-responses", _) => (End::NoResponses, false),
        ("unknown-id", _) => (End::UnknownId, false),
        ("pass", _) => (End::Pass, false),
        ("html", Some(next)) if status(next).is_some() => {
            (End::Html(status(next).unwrap_or_default()), true)
        }
        ("hang", Some(next)) if next.starts_with(|first: char| first.is_ascii_digit()) => {
            (End::Hang(seconds("hang", next)?), true)
        }
        ("hang", _) => (End::Hang(HANG), false),
        _ => match status(word) {
            Some(status) => (End::Status(status), false),
            None => {
                return error(format!(
                    "{word:?} is no effect; write a status from 200 to 599, html 502, reset, \
                     hang, truncated, no-responses, unknown-id or pass, or stored before one of \
                     the first four"
                ));
            }
        },
    };
    Ok((Effect::new(end), taken))
}

fn option(fault: &mut Fault, word: &str, given: &mut Vec<String>) -> Result<(), FaultError> {
    let Some((name, value)) = word.split_once('=') else {
        return error(format!("{word:?} is no option; write NAME=VALUE, or | before an effect"));
    };
    let of_fault = ["times", "every", "from", "chance", "within"].contains(&name);
    if of_fault {
        if given.iter().any(|each| each == name) {
            return error(format!("{name} is given twice"));
        }
        given.push(name.to_owned());
    }
    match name {
        "times" => fault.times = Some(count(name, value)?),
        "every" => fault.every = count(name, value)?,
        "from" => fault.from = Some(count(name, value)?),
        "within" => fault.within = Some(seconds(name, value)?),
        "chance" => {
            let chance = value.parse().ok().filter(|chance| (0.0..=1.0).contains(chance));
            let Some(chance) = chance else {
                return error(format!("chance takes a number from 0 to 1, not {value:?}"));
            };
            fault.chance = chance;
        }
        _ => {
            let Some(effect) = fault.effects.last_mut() else {
                return error(format!("{name} stands before any effect"));
            };
            match name {
                "retry-after" => effect.retry_after.push(RetryAfter::read(value)?),
                "latency" => effect.latency = seconds(name, value)?,
                "code" => effect.code = Some(value.to_owned()),
                "header" => {
                    let header = value.split_once(':').filter(|(name, value)| {
                        http::HeaderName::from_str(name).is_ok()
                            && http::HeaderValue::from_str(value).is_ok()
                    });
                    let Some((name, value)) = header else {
                        return error(format!("header takes NAME:VALUE, not {value:?}"));
                    };
                    effect.headers.push((name.to_ascii_lowercase(), value.to_owned()));
                }
                _ => {
                    return error(format!(
                        "there is no option {name:?}; there are retry-after, code, header, \
                         latency, times, every, from, chance and within"
                    ));
                }
            }
        }
    }
    Ok(())
}

fn seconds(name: &str, value: &str) -> Result<Duration, FaultError> {
    let seconds = value.parse().ok().and_then(|value| Duration::try_from_secs_f64(value).ok());
    seconds.ok_or_else(|| FaultError(format!("{name} takes seconds, not {value:?}")))
}

fn count(name: &str, value: &str) -> Result<u64, FaultError> {
    let count = value.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| FaultError(format!("{name} takes a whole number from 1 on, not {value:?}")))
}

impl RetryAfter {
    /// What a program gives; a date that is none is a value like any other.
    pub(crate) fn of(value: &str) -> Self {
        Self::read(value).unwrap_or_else(|_| Self::Value(value.to_owned()))
    }

    pub(crate) fn read(value: &str) -> Result<Self, FaultError> {
        if let Some(value) = value.strip_prefix("ms:") {
            return Ok(Self::Milliseconds(value.to_owned()));
        }
        let Some(ahead) = value.strip_prefix("date:") else {
            return Ok(Self::Value(value.to_owned()));
        };
        match ahead.parse::<f64>() {
            Ok(seconds) if seconds.is_finite() => Ok(Self::Date(seconds)),
            _ => error(format!("date takes the seconds it is ahead, not {ahead:?}")),
        }
    }
}

/// The words of a text. `stored` is one with the word behind it. Between quotes white space and
/// bars are text; a backslash there takes the character behind it as it is.
fn words(text: &str) -> Result<Vec<String>, FaultError> {
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut quoted, mut some) = (String::new(), false, false);
    let mut characters = text.chars();
    let mut end = |word: &mut String, some: &mut bool| {
        if std::mem::take(some) {
            let word = std::mem::take(word);
            match words.last_mut() {
                Some(last) if last == "stored" => *last = format!("stored {word}"),
                _ => words.push(word),
            }
        }
    };
    while let Some(character) = characters.next() {
        match character {
            '"' => (quoted, some) = (!quoted, true),
            '\\' if quoted => word.extend(characters.next()),
            space if space.is_ascii_whitespace() && !quoted => end(&mut word, &mut some),
            '|' if !quoted => {
                end(&mut word, &mut some);
                (word, some) = ("|".to_owned(), true);
                end(&mut word, &mut some);
            }
            other => {
                word.push(other);
                some = true;
            }
        }
    }
    end(&mut word, &mut some);
    if quoted { error("a quote is not closed") } else { Ok(words) }
}

/// A value as [`words`] reads it.
struct Quoted<'v>(&'v str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = self;
        let plain = |c: char| !c.is_ascii_whitespace() && !['"', '|', '\\'].contains(&c);
        if value.chars().all(plain) {
            return f.write_str(value);
        }
        write!(f, "\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

impl fmt::Display for Fault {
    /// The [text form](Self#as-text).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.requests)?;
        let nothing = [Effect::new(End::Pass)];
        let effects = if self.effects.is_empty() { &nothing[..] } else { &self.effects };
        for (index, effect) in effects.iter().enumerate() {
            write!(f, "{}{effect}", if index == 0 { " " } else { " | " })?;
        }
        if let Some(from) = self.from {
            write!(f, " from={from}")?;
        }
        if self.every != 1 {
            write!(f, " every={}", self.every)?;
        }
        if let Some(times) = self.times {
            write!(f, " times={times}")?;
        }
        if self.chance != 1.0 {
            write!(f, " chance={}", self.chance)?;
        }
        if let Some(within) = self.within {
            write!(f, " within={}", within.as_secs_f64())?;
        }
        Ok(())
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = |f: &mut fmt::Formatter<'_>, method: &Option<String>| match method {
            Some(method) => write!(f, "{method} "),
            None => Ok(()),
        };
        match self {
            Self::All => f.write_str("*"),
            Self::Named { method: name, resource } => {
                method(f, name)?;
                f.write_str(resource.unwrap_or("*"))
            }
            Self::Path { method: name, segments } => {
                method(f, name)?;
                segments.iter().try_for_each(|segment| match segment {
                    Some(literal) => write!(f, "/{}", Escaped(literal)),
                    None => f.write_str("/{any}"),
                })
            }
        }
    }
}

struct Escaped<'s>(&'s str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|byte| match byte {
            b'-' | b'_' | b'.' | b'$' | b'(' | b')' => write!(f, "{}", char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => write!(f, "{}", char::from(byte)),
            byte => write!(f, "%{byte:02X}"),
        })
    }
}

impl fmt::Display for RetryAfter {
    /// As an option of the text form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "retry-after={}", Quoted(value)),
            Self::Date(ahead) => write!(f, "retry-after=date:{ahead}"),
            Self::Milliseconds(value) => {
                write!(f, "retry-after={}", Quoted(&format!("ms:{value}")))
            }
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.stored {
            f.write_str("stored ")?;
        }
        match self.end {
            End::Status(status) => write!(f, "{status}")?,
            End::Html(status) => write!(f, "html {status}")?,
            End::Reset => f.write_str("reset")?,
            End::Truncated => f.write_str("truncated")?,
            End::NoResponses => f.write_str("no-responses")?,
            End::UnknownId => f.write_str("unknown-id")?,
            End::Hang(HANG) => f.write_str("hang")?,
            End::Hang(bound) => write!(f, "hang {}", bound.as_secs_f64())?,
            End::Pass => f.write_str("pass")?,
        }
        self.retry_after.iter().try_for_each(|each| write!(f, " {each}"))?;
        if let Some(code) = &self.code {
            write!(f, " code={}", Quoted(code))?;
        }
        for (name, value) in &self.headers {
            write!(f, " header={}", Quoted(&format!("{name}:{value}")))?;
        }
        if !self.latency.is_zero() {
            write!(f, " latency={}", self.latency.as_secs_f64())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resources_are_listed_where_faults_are_explained() {
        let ours: BTreeSet<&str> = resources().map(|(_, resource)| resource).collect();
        let between = |text: &'static str, end: &str| {
            let (_, rest) = text.split_once("Resources are").expect("a list");
            rest.split_once(end).expect("its end").0
        };
        let usage = between(include_str!("../main.rs"), "EFFECT");
        let usage = usage.split([' ', ',', ';', '\n']).filter(|word| !word.is_empty());
        assert_eq!(usage.collect::<BTreeSet<_>>(), ours);
        let documented = between(include_str!("mod.rs"), "identity platform");
        assert_eq!(documented.split('`').skip(1).step_by(2).collect::<BTreeSet<_>>(), ours);
    }

    #[test]
    fn the_methods_of_a_resource_are_told_once() {
        for (text, said) in [
            ("GET addActivities: 429", "addActivities has no GET; it has POST"),
            ("PUT recent: 429", "recent has no PUT; it has GET"),
            ("POST item: 429", "item has no POST; it has PUT, GET, PATCH, DELETE"),
        ] {
            let error = text.parse::<Fault>().expect_err("no such route");
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    fn read(text: &str) -> Fault {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn what_is_written_reads_back_as_the_same() {
        for text in [
            "*: 429",
            "PUT item: 429 retry-after=1.5 times=3",
            "PUT *: pass latency=0.25",
            "item: stored 500 from=2 every=3",
            "POST addActivities: stored reset | truncated | html 502 | hang | hang 7 chance=0.25",
            "PATCH schema: 400 code=resourceBeingProvisioned within=20",
            "PUT /external/connections/contosohr/items/{any}: 503 retry-after=date:-30 times=1",
            "/me/activities/%2Farticle%3F1: stored html 504",
            "POST token: 503 retry-after=ms:1500 retry-after=5,5 retry-after=-5 retry-after=soon",
            "GET imds: reset",
            "*: 429 retry-after=99999999999999999999 retry-after=\"Wed, 21 Oct 2015 07:28:00 GMT\"",
            "PUT item: 302 header=location:https://elsewhere.test/x | 429 code=\"a \\\"b\\\" | c\"",
            "*: 429 retry-after= retry-after=0",
        ] {
            assert_eq!(read(text).to_string(), text);
            assert_eq!(read(&read(text).to_string()), read(text));
        }
        assert_eq!(
            read("  PUT   item :429   times=3|reset  "),
            read("PUT item: 429 | reset times=3")
        );
    }

    #[test]
    fn each_option_belongs_where_it_stands() {
        let fault = read("PUT item: 429 retry-after=1 times=5 | stored 500 latency=2 chance=0.5");
        let built = Fault::on("PUT item").expect("requests").times(5).chance(0.5);
        let built = built.answer(429).retry_after("1").answer(500).stored();
        assert_eq!(fault, built.latency(Duration::from_secs(2)));
        assert_eq!(fault.effects[0].latency, Duration::ZERO);
        assert_eq!(fault.effects[1].retry_after, []);
    }

    #[test]
    fn what_is_no_fault_says_why() {
        for (text, why) in [
            ("PUT item 429", "no colon"),
            ("PUT item:", "no effect"),
            (": 429", "names no requests"),
            ("PUT put item: 429", "names no requests"),
            ("put item: 429", "names no requests"),
            ("PUT connection: 429", "connection has no PUT; it has POST, GET, PATCH, DELETE"),
            ("planet: 429", "there is no resource \"planet\"; there are activities, activity,"),
            ("PUT /external/connections: 429", "no route has the path"),
            ("/v1.0/external/connections: 429", "no route has the path"),
            ("/external//items: 429", "is no segment"),
            ("*: 199", "is no effect"),
            ("*: 600", "is no effect"),
            ("*: +42", "is no effect"),
            ("*: stored", "is no effect"),
            ("*: stored stored 500", "is no effect"),
            ("*: stored pass", "in any case"),
            ("*: html", "is no effect"),
            ("*: html 99", "is no effect"),
            ("*: explode", "is no effect"),
            ("*: | 429", "no effect before |"),
            ("*: 429 |", "no effect"),
            ("*: 429 reset", "no option"),
            ("*: times=3", "is no effect"),
            ("*: 429 times=0", "whole number"),
            ("*: 429 times=-1", "whole number"),
            ("*: 429 times=1 times=2", "twice"),
            ("*: 429 chance=2", "0 to 1"),
            ("*: 429 chance=nan", "0 to 1"),
            ("*: 429 latency=-1", "seconds"),
            ("*: 429 latency=inf", "seconds"),
            ("*: 429 within=x", "seconds"),
            ("*: hang 1e400", "seconds"),
            ("*: 429 retry-after=date:soon", "date takes"),
            ("*: 429 header=location", "NAME:VALUE"),
            ("*: 429 header=\"a b:c\"", "NAME:VALUE"),
            ("*: 429 colour=red", "no option \"colour\""),
            ("*: 429 code=\"a", "quote"),
        ] {
            let error = text.parse::<Fault>().expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn every_route_can_be_named_and_found_by_its_path() {
        for route in ROUTES {
            let named = read(&format!("{} {}: 429", route.method, route.resource));
            assert!(matches!(named.requests, Requests::Named { resource: Some(_), .. }));
            let path = read(&format!("{} {}: 429", route.method, route.path));
            let Requests::Path { segments: ours, .. } = path.requests else { panic!() };
            assert_eq!(ours.len(), route.segments().count());
        }
    }
}
