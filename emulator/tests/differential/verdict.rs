//! Two verdicts on the same text, and where they may differ.

use std::collections::BTreeSet;

use graphfeed_core::{
    external::{
        AccessType, AclType, BinaryOperator, ContentCategory, ContentExperienceType,
        ExternalActivityType, ExternalItemContentType, IdentitySource, IdentityType,
        ImportanceScore, Label, PropertyType, RuleOperation,
    },
    protocol::Version,
    types::BuildError,
};
use serde_json::Value;

use crate::{dates, support::Answer};

/// The rules that were broken, and where; empty if all is well.
pub(crate) type Faults = BTreeSet<(String, String)>;

/// A text, and what became of it.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) version: Version,
    pub(crate) text: String,
    pub(crate) core: Faults,
    pub(crate) emulator: Faults,
    /// What is wrong with what the core made of it, or with what the emulator then had.
    pub(crate) wrong: Option<String>,
}

/// Who refuses alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Only {
    Core,
    Emulator,
}

/// What is looked at to see whether a fault is one that only one side can know.
pub(crate) struct Seen<'a> {
    pub(crate) version: Version,
    /// The text that was judged.
    pub(crate) text: &'a str,
    /// The same as a value, if it is one.
    pub(crate) value: &'a Value,
    pub(crate) core: &'a Faults,
    pub(crate) emulator: &'a Faults,
    /// The place of the fault.
    pub(crate) place: &'a str,
}

impl Seen<'_> {
    /// What stands at the place.
    pub(crate) fn there(&self) -> Option<&Value> {
        at(self.value, self.place)
    }

    pub(crate) fn is_null(&self) -> bool {
        self.there().is_some_and(Value::is_null)
    }

    /// Whether the text there is one of these, but for letter case.
    pub(crate) fn is_other_case_of(&self, words: &[&str]) -> bool {
        let word = self.there().and_then(Value::as_str).unwrap_or_default();
        words.iter().any(|known| *known != word && known.eq_ignore_ascii_case(word))
    }

    /// Whether there is a word that the core does not know either.
    pub(crate) fn is_newer_word(&self) -> bool {
        is_newer_word(self.place, self.there())
    }

    /// Whether there is a date that only RFC 3339 lets be written so.
    pub(crate) fn is_date_of_rfc_3339(&self) -> bool {
        let date = self.there().and_then(Value::as_str).and_then(dates::read);
        date.is_some_and(|date| !date.is_odata)
    }

    /// What is at a member beside the place.
    pub(crate) fn beside(&self, name: &str) -> Option<&Value> {
        let (outer, _) = self.place.rsplit_once('.')?;
        at(self.value, outer)?.get(name)
    }

    /// Whether the core refuses something at the place, too.
    pub(crate) fn core_refuses_there(&self) -> bool {
        self.core.iter().any(|(_, place)| place == self.place)
    }

    /// Whether the core refuses something at the place, in it, or what it is in.
    pub(crate) fn core_refuses_around(&self) -> bool {
        let is_around = |place| is_at_or_in(place, self.place) || is_at_or_in(self.place, place);
        self.core.iter().any(|(_, place)| is_around(place))
    }
}

/// A fault that one side tells alone, rightly.
pub(crate) struct Exception {
    pub(crate) only: Only,
    pub(crate) rule: &'static str,
    /// As `docs/rules.md` has it.
    pub(crate) what: &'static str,
    pub(crate) when: fn(&Seen<'_>) -> bool,
    /// A text in which it is or, where the core reads no text, a piece of one of the cases in which
    /// it is met.
    pub(crate) example: &'static str,
}

/// The members of the enumeration whose word stands at a place.
fn known(place: &str) -> &'static [&'static str] {
    let member = place.rsplit('.').next().unwrap_or_default();
    match member.split('[').next().unwrap_or_default() {
        "accessType" => AccessType::KNOWN,
        "contentCategory" => ContentCategory::KNOWN,
        "enabledContentExperiences" => ContentExperienceType::KNOWN,
        "identitySource" => IdentitySource::KNOWN,
        "importanceScore" => ImportanceScore::KNOWN,
        "labels" => Label::KNOWN,
        "operation" => RuleOperation::KNOWN,
        "valuesJoinedBy" => BinaryOperator::KNOWN,
        "type" if place.starts_with("$.acl[") => AclType::KNOWN,
        "type" if place.starts_with("$.properties[") => PropertyType::KNOWN,
        "type" if place.starts_with("$.content") => ExternalItemContentType::KNOWN,
        "type" if place.starts_with("$.activities[") && !place.ends_with("].performedBy.type") => {
            ExternalActivityType::KNOWN
        }
        _ => IdentityType::KNOWN,
    }
}

/// Whether a word, or one of several, is no member of the enumeration at the place, in any letter
/// case.
fn is_newer_word(place: &str, word: Option<&Value>) -> bool {
    let is_known = |word: &str| known(place).iter().any(|it| it.eq_ignore_ascii_case(word));
    let text = word.and_then(Value::as_str);
    // Only between several words may there be space.
    text.is_some_and(|text| match text.split_once(',') {
        Some(_) => text.split(',').any(|word| !is_known(word.trim())),
        None => !is_known(text),
    })
}

/// Whether what the core sent is refused for nothing but words that it does not know.
pub(crate) fn is_newer(answer: &Answer, sent: &Value) -> bool {
    let faults = of_emulator(answer);
    let is_newer = |(rule, place): &(String, String)| {
        rule == "enum-value" && is_newer_word(place, at(sent, place))
    };
    !faults.is_empty() && faults.iter().all(is_newer)
}

pub(crate) fn of_core(why: &BuildError) -> Faults {
    why.faults()
        .iter()
        .map(|fault| (fault.rule.name().to_owned(), fault.place.to_string()))
        .collect()
}

pub(crate) fn of_emulator(answer: &Answer) -> Faults {
    let owned = |(rule, place): (&str, &str)| (rule.to_owned(), place.to_owned());
    let mut faults: Faults = answer.faults().into_iter().map(owned).collect();
    // Of activities each has an answer of its own.
    for each in answer.json["value"].as_array().into_iter().flatten() {
        faults.extend(crate::support::faults_of(&each["error"]).into_iter().map(owned));
    }
    faults
}

/// What stands at a place, if it is a path of names and numbers.
pub(crate) fn at<'v>(value: &'v Value, place: &str) -> Option<&'v Value> {
    let mut value = value;
    let mut rest = place.strip_prefix('$')?;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("['") {
            let (name, after) = after.split_once("']")?;
            value = value.get(name)?;
            rest = after;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (index, after) = after.split_once(']')?;
            value = value.get(index.parse::<usize>().ok()?)?;
            rest = after;
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            value = value.get(&after[..end])?;
            rest = &after[end..];
        }
    }
    Some(value)
}

/// The faults that differ and should not: those that no exception is for.
pub(crate) fn unexplained(case: &Case, exceptions: &[Exception]) -> Vec<(Only, String, String)> {
    let Case { version, text, core, emulator, .. } = case;
    let value = serde_json::from_str(text).unwrap_or_default();
    let is_broken = |faults: &Faults| faults.iter().any(|(rule, _)| rule == "body-json");
    // What is no JSON is not looked at further, by the emulator at all, and each side has its own
    // first fault.
    if is_broken(core) && is_broken(emulator) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (only, ours, theirs) in [(Only::Core, core, emulator), (Only::Emulator, emulator, core)] {
        if only == Only::Core && is_broken(emulator) {
            continue;
        }
        for (rule, place) in ours.difference(theirs) {
            let seen = Seen { version: *version, text, value: &value, core, emulator, place };
            let mut known = exceptions.iter().filter(|each| each.only == only && each.rule == rule);
            if !is_inside(place, theirs) && !known.any(|each| (each.when)(&seen)) {
                found.push((only, rule.clone(), place.clone()));
            }
        }
    }
    found
}

/// The exceptions that are met: which fault, and who tells it.
pub(crate) fn met<'e>(case: &Case, exceptions: &'e [Exception]) -> Vec<&'e Exception> {
    let value = serde_json::from_str(&case.text).unwrap_or_default();
    let is_met = |each: &&Exception| {
        let (ours, theirs) = match each.only {
            Only::Core => (&case.core, &case.emulator),
            Only::Emulator => (&case.emulator, &case.core),
        };
        ours.difference(theirs).any(|(rule, place)| {
            let Case { version, text, core, emulator, .. } = case;
            let seen = Seen { version: *version, text, value: &value, core, emulator, place };
            each.rule == rule && (each.when)(&seen)
        })
    };
    exceptions.iter().filter(is_met).collect()
}

/// Whether the other side refuses what the place is in as a whole, and so looks no further.
fn is_inside(place: &str, theirs: &Faults) -> bool {
    theirs.iter().any(|(rule, outer)| {
        let is_whole = match &**rule {
            "member-unknown" | "property-undeclared" => true,
            // The first twenty are looked at, and of no more than 22 there are here.
            "activity-count" => {
                ["$.activities[20]", "$.activities[21]"].iter().any(|late| place.starts_with(late))
            }
            _ => false,
        };
        // What belongs to a property stands inside of it, or is its annotation.
        let (bare, quoted) = (outer.strip_prefix("$.properties."), outer.strip_suffix("']"));
        let annotation = match (bare, quoted) {
            (Some(name), None) => format!("$.properties['{name}@odata.type']"),
            (_, Some(start)) => format!("{start}@odata.type']"),
            _ => String::new(),
        };
        is_whole && (place == annotation || is_at_or_in(place, outer))
    })
}

fn is_at_or_in(place: &str, outer: &str) -> bool {
    place.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
