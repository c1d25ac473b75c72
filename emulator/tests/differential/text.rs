//! JSON as it is written: order, duplicates, escapes and the text of numbers are the generator's.
//!
//! What is generated hangs on a list of choices, which proptest shrinks towards nothing; there every
//! choice is the plain and valid one.

use std::cell::Cell;

/// Choices that are still to be made. Where there are no more, each is the first.
pub(crate) struct Dice<'a> {
    choices: &'a [u32],
    next: Cell<usize>,
}

impl<'a> Dice<'a> {
    pub(crate) fn new(choices: &'a [u32]) -> Self {
        Self { choices, next: Cell::new(0) }
    }

    /// One of the numbers below `count`.
    pub(crate) fn below(&self, count: usize) -> usize {
        let next = self.next.replace(self.next.get() + 1);
        self.choices.get(next).map_or(0, |choice| *choice as usize % count)
    }

    /// Once in `times`.
    pub(crate) fn rarely(&self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    pub(crate) fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// The good one most of the time.
    pub(crate) fn or_odd<T: Copy>(&self, good: &[T], odd: &[T]) -> T {
        if self.rarely(12) { self.pick(odd) } else { self.pick(good) }
    }
}

/// A value and how it is written.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    /// A number, a literal or a string as it stands there.
    Token(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

pub(crate) fn token(token: impl Into<String>) -> Text {
    Text::Token(token.into())
}

/// A string, escaped where it has to be.
pub(crate) fn string(text: &str) -> Text {
    Text::Token(serde_json::to_string(text).expect("a string"))
}

/// Some of `members`, in their order.
pub(crate) fn object<'a>(members: impl IntoIterator<Item = (&'a str, Option<Text>)>) -> Text {
    let there = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Text::Object(there.collect())
}

/// Arrays in arrays, about as deep as a body may be, or far deeper.
pub(crate) fn nested(dice: &Dice<'_>) -> String {
    let levels = dice.pick(&[2, 95, 96, 97, 98, 99, 100, 101, 126, 127, 128, 10_000]);
    "[".repeat(levels) + &"]".repeat(levels)
}

impl Text {
    pub(crate) fn write(&self, dice: &Dice<'_>, out: &mut String) {
        match self {
            Self::Token(token) => out.push_str(token),
            Self::Array(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    element.write(dice, out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    out.push_str(&written(name, dice));
                    out.push_str(dice.or_odd(&[":"], &[" : ", ":\n\t", "\r:"]));
                    value.write(dice, out);
                }
                out.push('}');
            }
        }
    }
}

/// A name in quotes, now and then with an escape that it does not need.
fn written(name: &str, dice: &Dice<'_>) -> String {
    let written = serde_json::to_string(name).expect("a string");
    match name.chars().next() {
        Some(first) if first.is_ascii_alphabetic() && dice.rarely(40) => {
            written.replacen(first, &format!("\\u{:04x}", u32::from(first)), 1)
        }
        _ => written,
    }
}

/// Values that are seldom right, of every kind.
const ODD: [&str; 30] = [
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    r#""""#,
    r#""x""#,
    "[]",
    "{}",
    "[null]",
    r#"{"a":1}"#,
    r#"["a",1]"#,
    "1e400",
    "9223372036854775808",
    "2147483648",
    "1e2",
    "-0",
    "-0.0",
    r#""ä""#,
    r#""\ud83e\udd80""#,
    r#""\ud800""#,
    r#""unknownFutureValue""#,
    r#""UnknownFutureValue""#,
    r#""2026-01-02T03:04:05Z""#,
    r#""e811976d-83df-4cbd-8b9b-5215b18aa874""#,
    r##"{"@odata.type":"#microsoft.graph.externalConnectors.principal","upn":"a@b.c"}"##,
    r#"{"a":1,"a":2}"#,
    r#"["2026-01-02T03:04:05Z"]"#,
    r#"" ""#,
    "[[1]]",
];

/// Names that are seldom right.
const NAMES: [&str; 16] = [
    "x",
    "id",
    "type",
    "value",
    "@odata.type",
    "@odata.context",
    "@odata.etag",
    "@odata.type@x",
    "@x",
    "title@odata.bind",
    "x@odata.type",
    "",
    "it's",
    "a b",
    "ä",
    "additionalData",
];

/// Damages a value now and then, everywhere in it: another kind of value, a member that is gone,
/// there twice, misspelt, in another place, or of no type.
pub(crate) fn disturb(value: &mut Text, dice: &Dice<'_>, seldom: usize) {
    if dice.rarely(seldom) {
        *value = token(dice.pick(&ODD));
        return;
    }
    match value {
        Text::Token(_) => {}
        Text::Array(elements) => {
            for element in elements.iter_mut() {
                disturb(element, dice, seldom);
            }
            if dice.rarely(seldom) {
                elements.push(token(dice.pick(&ODD)));
            }
            if dice.rarely(seldom) && !elements.is_empty() {
                elements.push(elements[dice.below(elements.len())].clone());
            }
        }
        Text::Object(members) => {
            for (_, value) in members.iter_mut() {
                disturb(value, dice, seldom);
            }
            if dice.rarely(seldom / 2) {
                damage(members, dice);
            }
        }
    }
}

fn damage(members: &mut Vec<(String, Text)>, dice: &Dice<'_>) {
    let any = |members: &Vec<_>| dice.below(members.len().max(1));
    let at = any(members);
    match dice.below(7) {
        _ if members.is_empty() => {
            members.push((dice.pick(&NAMES).to_owned(), token(dice.pick(&ODD))));
        }
        0 => drop(members.remove(at)),
        1 => {
            let member = members[at].clone();
            members.insert(any(members), member);
        }
        2 => {
            let name = &mut members[at].0;
            *name = match name.chars().next() {
                Some(first) if first.is_ascii_uppercase() => name.to_ascii_lowercase(),
                _ => name.to_ascii_uppercase(),
            };
        }
        3 => {
            let member = members.remove(at);
            members.insert(dice.below(members.len() + 1), member);
        }
        4 => {
            const TYPES: [&str; 6] =
                ["externalItem", "acl", "properties", "externalActivity", "identity", "schema"];
            let hash = dice.pick(&["#", ""]);
            let name = dice.pick(&TYPES);
            let odata_type = string(&format!("{hash}microsoft.graph.externalConnectors.{name}"));
            members.insert(at, ("@odata.type".to_owned(), odata_type));
        }
        _ => members.insert(at, (dice.pick(&NAMES).to_owned(), token(dice.pick(&ODD)))),
    }
}

/// The text, now and then with a wound: a piece that is gone, doubled or another one.
pub(crate) fn wounded(value: &Text, dice: &Dice<'_>) -> String {
    let mut text = String::new();
    value.write(dice, &mut text);
    if dice.rarely(6) { wound(&text, dice) } else { text }
}

/// Cuts a text into its tokens and damages one or two of them.
pub(crate) fn wound(text: &str, dice: &Dice<'_>) -> String {
    const PIECES: [&str; 16] = [
        ",", ":", "{", "}", "[", "]", "\"", "\\", "null", "1", "-", ".", " ", "\u{0}", "\u{feff}",
        "ä",
    ];
    let is_word = |c: char| c.is_alphanumeric() || "-_.+".contains(c);
    let mut tokens: Vec<String> = Vec::new();
    for character in text.chars() {
        match tokens.last_mut() {
            Some(last) if is_word(character) && last.chars().all(is_word) => last.push(character),
            _ => tokens.push(character.to_string()),
        }
    }
    for _ in 0..=dice.below(2) {
        if tokens.is_empty() {
            break;
        }
        let (at, other) = (dice.below(tokens.len()), dice.below(tokens.len()));
        match dice.below(6) {
            0 => drop(tokens.remove(at)),
            1 => tokens.insert(at, tokens[at].clone()),
            2 => tokens.swap(at, other),
            3 => tokens[at] = dice.pick(&PIECES).to_owned(),
            4 => tokens.insert(at, dice.pick(&PIECES).to_owned()),
            _ => drop(tokens[at].pop()),
        }
    }
    tokens.concat()
}
