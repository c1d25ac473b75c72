//! From raw JSON to what is stored, one file per resource, each beginning with the tables of its
//! members. Everything wrong with a body is collected; nothing here touches the state.

mod activity;
mod batch;
mod connection;
mod group;
mod identity;
mod item;
mod known;
mod label;
mod property;
mod query;
mod resolver;
mod schema;
mod template;
#[cfg(test)]
mod tests;

use std::fmt::Display;

use crate::{
    check::{cut, shown},
    date::{self, DateFault, Moment},
    findings::Findings,
    json::{Json, Kind},
    options::Behaviour,
    path::Path,
    rules::Rule,
    target::Version,
};

pub(crate) use activity::HistoryId;
pub(crate) use batch::Part;
pub(crate) use group::SentMember;
pub(crate) use item::{ActivityVerdict, ItemParts};
pub(crate) use known::{known_members, known_word, known_words};
pub(crate) use label::is_before_the_sentinel;

/// The members that a type has.
pub(crate) struct Shape {
    /// The name of the type, for messages.
    name: &'static str,
    /// What `@odata.type` may say of it; if empty, the reader looks at that by itself.
    odata_type: &'static str,
    members: &'static [Member],
}

/// A member of a type: its name, whether it has to be there, and its JSON type.
pub(crate) struct Member(&'static str, Need, Form);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
    /// Only the server sets it.
    Server,
    /// The client set it once, and cannot change it.
    Fixed,
    /// Optional, and of beta only.
    Beta,
    /// It has a path of its own, and no document shows it inside what is sent.
    Apart,
}

#[derive(Clone, Copy)]
enum Form {
    /// A string; if it is required, not an empty one.
    Text,
    /// A string with a rule of its own.
    AnyText,
    Boolean,
    /// A whole number, 0 to 2147483647.
    Count,
    /// A whole number of 32 bits.
    Int32,
    /// A date with an offset.
    Date,
    Object,
    Array,
    /// A member of an enumeration.
    Word(&'static Words),
    /// Any JSON, or JSON with a rule of its own.
    Any,
}

/// An evolvable enumeration.
pub(crate) struct Words {
    name: &'static str,
    known: &'static [&'static str],
}

impl Words {
    fn find(&self, word: &str) -> Option<&'static str> {
        self.known.iter().find(|known| **known == word).copied()
    }

    fn find_in_any_case(&self, word: &str) -> Option<&'static str> {
        self.known.iter().find(|known| known.eq_ignore_ascii_case(word)).copied()
    }
}

/// The members of an object that its type has.
#[derive(Default)]
struct Found<'j> {
    /// Those that have the right form and are not null.
    good: Vec<(&'static str, Json<'j>)>,
    /// Those that have been refused.
    bad: Vec<&'static str>,
    /// Those that are null.
    null: Vec<&'static str>,
}

impl<'j> Found<'j> {
    fn get(&self, name: &str) -> Option<Json<'j>> {
        self.good.iter().find_map(|(found, json)| (*found == name).then_some(*json))
    }

    fn text(&self, name: &str) -> Option<String> {
        Some(self.get(name)?.text()?.into_owned())
    }

    /// The member of an enumeration, in its own letter case.
    fn word(&self, name: &str, words: &Words) -> Option<&'static str> {
        words.find_in_any_case(&self.get(name)?.text()?)
    }

    /// Whether a member is not there, or null. One that has been refused is not missing as well.
    fn is_missing(&self, name: &str) -> bool {
        self.get(name).is_none() && !self.bad.contains(&name)
    }

    /// Whether a member was sent at all, be it wrong or null.
    fn is_sent(&self, name: &str) -> bool {
        !self.is_missing(name) || self.null.contains(&name)
    }

    /// All members but those named, as they were sent.
    fn raw_except(&self, names: &[&str]) -> Vec<(&'static str, String)> {
        self.good
            .iter()
            .filter(|(name, _)| !names.contains(name))
            .map(|(name, value)| (*name, value.raw().to_owned()))
            .collect()
    }
}

/// Reads bodies, and collects what is wrong with them.
pub(crate) struct Reader<'o> {
    version: Version,
    behaviour: &'o Behaviour,
    pub(crate) findings: Findings,
}

impl<'o> Reader<'o> {
    pub(crate) fn new(version: Version, behaviour: &'o Behaviour) -> Self {
        Self { version, behaviour, findings: Findings::default() }
    }

    fn refuse(&mut self, rule: Rule, target: impl Display, message: impl Into<String>) {
        self.findings.refuse(rule, target, message);
    }

    /// Reads the members of an object against the table of its type. None if it is no object.
    fn members<'j>(
        &mut self,
        json: Json<'j>,
        path: &Path<'_>,
        shape: &'static Shape,
    ) -> Option<Found<'j>> {
        if json.kind() != Kind::Object {
            let message = format!("{} is an object, not {}", shape.name, json.kind());
            self.refuse(Rule::MemberType, path, message);
            return None;
        }
        let mut found = Found::default();
        for (name, value) in json.members() {
            let place = path.name(&name);
            if name.starts_with('@') {
                self.control(&name, value, &place, shape);
                continue;
            }
            let Some(member) = shape.members.iter().find(|member| member.0 == name) else {
                self.unknown(&name, &place, shape);
                continue;
            };
            match member.1 {
                Need::Server => {
                    let verdict = self.behaviour.server_owned;
                    self.findings.judge(
                        verdict,
                        "server-owned",
                        Rule::MemberUnknown,
                        place,
                        || format!("only the server sets {name}; leave it out"),
                    );
                }
                Need::Fixed | Need::Apart => {
                    let verdict = self.behaviour.member_unknown;
                    let why = match member.1 {
                        Need::Fixed => "cannot be changed",
                        _ => "has a path of its own",
                    };
                    self.findings.judge(
                        verdict,
                        "member-unknown",
                        Rule::MemberUnknown,
                        place,
                        || format!("{name} {why}; leave it out"),
                    );
                }
                Need::Beta if self.version == Version::V1 => self.unknown(&name, &place, shape),
                _ if value.is_null() => found.null.push(member.0),
                need => {
                    let required = need == Need::Required;
                    if self.form(value, &place, member.2, required) {
                        found.good.push((member.0, value));
                    } else {
                        found.bad.push(member.0);
                    }
                }
            }
        }
        for Member(name, need, _) in shape.members {
            if *need == Need::Required && found.is_missing(name) {
                let message = format!("{} needs {name}", shape.name);
                self.refuse(Rule::MemberRequired, path.name(name), message);
            }
        }
        Some(found)
    }

    /// Control information of an object itself.
    fn control(&mut self, name: &str, value: Json<'_>, place: &Path<'_>, shape: &Shape) {
        match name {
            "@odata.type" if shape.odata_type.is_empty() => {}
            "@odata.type" => {
                let text = value.text().unwrap_or_default();
                let bare = text.strip_prefix('#').unwrap_or(&text);
                if bare != shape.odata_type {
                    let message = format!(
                        "{} is of type #{}, not {}; correct it or leave it out",
                        shape.name,
                        shape.odata_type,
                        shown(&text),
                    );
                    self.refuse(Rule::AnnotationType, place, message);
                }
            }
            // What came with a GET may go back with a PUT.
            "@odata.context" => {}
            _ => self.unknown(name, place, shape),
        }
    }

    /// Refuses an object that does not say of what type it is, where it has to.
    fn typed(&mut self, json: Json<'_>, path: &Path<'_>, shape: &Shape) {
        if json.kind() == Kind::Object && json.member("@odata.type").is_none() {
            let message = format!("{} has no @odata.type; send #{}", shape.name, shape.odata_type);
            self.refuse(Rule::AnnotationType, path.name("@odata.type"), message);
        }
    }

    /// Checks each string of an array.
    fn texts(
        &mut self,
        array: Option<Json<'_>>,
        path: &Path<'_>,
        mut check: impl FnMut(&mut Self, &str, &Path<'_>),
    ) {
        for (index, element) in
            array.map(Json::elements).unwrap_or_default().into_iter().enumerate()
        {
            let place = path.index(index);
            match element.text() {
                Some(text) if element.kind() == Kind::Text => check(self, &text, &place),
                _ => {
                    let message = format!("it is {}, and a string is needed", element.kind());
                    self.refuse(Rule::MemberType, place, message);
                }
            }
        }
    }

    fn unknown(&mut self, name: &str, place: &Path<'_>, shape: &Shape) {
        let verdict = self.behaviour.member_unknown;
        self.findings.judge(verdict, "member-unknown", Rule::MemberUnknown, place, || {
            let near = shape.members.iter().find(|member| member.0.eq_ignore_ascii_case(name));
            match near {
                Some(Member(known, Need::Beta, _)) if *known == name => {
                    format!("{} has {name} in beta only", shape.name)
                }
                Some(Member(known, ..)) => {
                    format!("{} has no {name}; it is written {known}", shape.name)
                }
                // What belongs to an item was seen at its root often (cli-microsoft365#6792).
                None if shape.name == "an item" => {
                    format!("an item has no member {}; is it one of its properties?", shown(name))
                }
                None => format!("{} has no member {}; leave it out", shape.name, shown(name)),
            }
        });
    }

    /// Checks the JSON type of a member, and what goes with it.
    fn form(&mut self, value: Json<'_>, place: &Path<'_>, form: Form, required: bool) -> bool {
        let wanted = match form {
            Form::Any => return true,
            Form::Boolean => Kind::Boolean,
            Form::Count | Form::Int32 => Kind::Number,
            Form::Object => Kind::Object,
            Form::Array => Kind::Array,
            Form::Text | Form::AnyText | Form::Date | Form::Word(_) => Kind::Text,
        };
        if value.kind() != wanted {
            let message = format!("it is {}, and {wanted} is needed", value.kind());
            self.refuse(Rule::MemberType, place, message);
            return false;
        }
        let text = value.text().unwrap_or_default();
        match form {
            Form::Text if required && text.is_empty() => {
                self.refuse(Rule::MemberRequired, place, "it is required, and empty");
                false
            }
            Form::Count if count(value).is_none() => {
                let message = format!("{} is no whole number of 0 to 2147483647", cut(value.raw()));
                self.refuse(Rule::MemberType, place, message);
                false
            }
            Form::Int32 if value.raw().parse::<i32>().is_err() => {
                let message = format!("{} is no whole number of 32 bits", cut(value.raw()));
                self.refuse(Rule::MemberType, place, message);
                false
            }
            Form::Date => self.date(&text, place).is_some(),
            Form::Word(words) => self.word(&text, place, words),
            _ => true,
        }
    }

    /// Reads a date.
    fn date(&mut self, text: &str, place: &Path<'_>) -> Option<Moment> {
        match date::read(text) {
            Ok(moment) => Some(moment),
            Err(DateFault::NoOffset(moment)) => {
                let verdict = self.behaviour.date_without_offset;
                self.findings
                    .judge(verdict, "date-without-offset", Rule::DateTime, place, || {
                        format!("{} has no offset; append Z if it is UTC", shown(text))
                    })
                    .then_some(moment)
            }
            Err(DateFault::Malformed(why)) => {
                let message = format!("{} is no ISO 8601 date with an offset: {why}", shown(text));
                self.refuse(Rule::DateTime, place, message);
                None
            }
        }
    }

    /// Checks a member of an enumeration.
    fn word(&mut self, word: &str, place: &Path<'_>, words: &Words) -> bool {
        if words.find(word).is_some() {
            return true;
        }
        if word.is_empty() {
            let message = format!("it is empty; send one of {}", words.known.join(", "));
            self.refuse(Rule::MemberRequired, place, message);
            return false;
        }
        if word.eq_ignore_ascii_case("unknownFutureValue") {
            let message = format!(
                "unknownFutureValue is only ever read; send one of {}",
                words.known.join(", ")
            );
            self.refuse(Rule::UnknownFutureValue, place, message);
            return false;
        }
        if let Some(known) = words.find_in_any_case(word) {
            let verdict = self.behaviour.enum_case;
            return self.findings.judge(verdict, "enum-case", Rule::EnumValue, place, || {
                format!("{word} is written {known}")
            });
        }
        let message =
            format!("{} is no {}; send one of {}", shown(word), words.name, words.known.join(", "));
        self.refuse(Rule::EnumValue, place, message);
        false
    }
}

/// A whole number, 0 to 2147483647.
fn count(value: Json<'_>) -> Option<i64> {
    let count: i32 = value.raw().parse().ok()?;
    (count >= 0).then_some(i64::from(count))
}
