//! The rules of single values: ids, GUIDs and the escaping of a path segment.
//!
//! What a whole resource must look like is in `read/`.

use std::{borrow::Cow, fmt::Display};

use crate::{
    findings::Findings,
    options::{Behaviour, Verdict},
    rules::Rule,
};

/// Words that no connection id may be (res/externalconnectors-externalconnection).
const RESERVED: [&str; 16] = [
    "None",
    "Directory",
    "Exchange",
    "ExchangeArchive",
    "LinkedIn",
    "Mailbox",
    "OneDriveBusiness",
    "SharePoint",
    "Teams",
    "Yammer",
    "Connectors",
    "TaskFabric",
    "PowerBI",
    "Assistant",
    "TopicEngine",
    "MSFT_All_Connectors",
];

/// Whether a byte is *unreserved* by RFC 2396, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte)
}

/// A character as a path has it: `%HH` for each byte of its UTF-8.
fn escaped(character: char) -> String {
    let mut bytes = [0; 4];
    character.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A raw path segment: what is not unreserved is `%HH`, and what it stands for is UTF-8.
pub(crate) fn escaping(raw: &str, behaviour: &Behaviour, findings: &mut Findings) {
    let (mut reserved, mut over, mut lower): (Option<String>, _, _) = (None, None, None);
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let at = raw.len() - rest.len();
        rest = after;
        if byte != b'%' {
            if !is_unreserved(byte) && reserved.is_none() {
                reserved = raw.get(at..).and_then(|rest| rest.chars().next()).map(escaped);
            }
            decoded.push(byte);
            continue;
        }
        let Some((&[high, low], after)) = rest
            .split_at_checked(2)
            .and_then(|(pair, after)| Some((<&[u8; 2]>::try_from(pair).ok()?, after)))
            .filter(|(pair, _)| pair.iter().all(u8::is_ascii_hexdigit))
        else {
            findings.refuse(
                Rule::PathEscape,
                "path",
                format!(
                    "in {}, a % is not followed by two hexadecimal digits; write it %25",
                    shown(raw)
                ),
            );
            return;
        };
        rest = after;
        let digit = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
        let byte = digit(high) * 16 + digit(low);
        if is_unreserved(byte) {
            over.get_or_insert(byte);
        }
        if [high, low].iter().any(u8::is_ascii_lowercase) {
            lower.get_or_insert(byte);
        }
        decoded.push(byte);
    }
    if std::str::from_utf8(&decoded).is_err() {
        let message =
            format!("{} does not stand for UTF-8; escape the bytes of the text", shown(raw));
        findings.refuse(Rule::PathEscape, "path", message);
        return;
    }
    if let Some(escaped) = reserved {
        let verdict = behaviour.path_reserved;
        findings.judge(verdict, "path-reserved", Rule::PathEscape, "path", || {
            format!(
                "{} holds a character that is not unreserved by RFC 2396; write it {escaped}",
                shown(raw)
            )
        });
    }
    if let Some(byte) = over {
        let verdict = behaviour.path_over_escaped;
        findings.judge(verdict, "path-over-escaped", Rule::PathEscape, "path", || {
            format!("{} escapes {:?} without need", shown(raw), char::from(byte))
        });
    }
    if let Some(byte) = lower {
        let verdict = behaviour.path_lower_case_hex;
        findings.judge(verdict, "path-lower-case-hex", Rule::PathEscape, "path", || {
            format!("{} escapes in lower case; write %{byte:02X}", shown(raw))
        });
    }
}

/// A decoded argument of a path, by its name in the route.
pub(crate) fn argument(name: &str, value: &str, behaviour: &Behaviour, findings: &mut Findings) {
    if matches!(value, "" | "." | "..") {
        let rule = match name {
            "appActivityId" => Rule::AppActivityId,
            _ => Rule::PathSegment,
        };
        let message =
            format!("the {} is {value:?}, which no URL can carry; choose another", spoken(name));
        findings.refuse(rule, spoken(name), message);
        return;
    }
    match name {
        "item" => item_id(value, "item id", behaviour, findings),
        "group" => external_group_id(value, "group id", findings),
        "historyItem" => {
            guid(value, "history item id", "a history item id", findings);
        }
        _ => {}
    }
}

/// The name of an argument for a human, and as the target of a fault.
fn spoken(name: &str) -> &str {
    match name {
        "connection" => "connection id",
        "item" => "item id",
        "operation" => "operation id",
        "activity" => "activity id",
        "historyItem" => "history item id",
        "group" => "group id",
        "member" => "member id",
        other => other,
    }
}

/// An id of an item.
fn item_id(id: &str, target: &str, behaviour: &Behaviour, findings: &mut Findings) {
    if !is_slug(id) {
        let message = format!(
            "{} is no item id, which is 1 to 128 of A-Z, a-z, 0-9, - and _; \
             derive one from the key of your source",
            shown(id)
        );
        findings.refuse(Rule::ItemId, target, message);
    } else if behaviour.item_id_punctuation != Verdict::Accept && id.contains(['-', '_']) {
        let verdict = behaviour.item_id_punctuation;
        findings.judge(verdict, "item-id-punctuation", Rule::ItemId, target, || {
            format!("{} has - or _, and documented are letters and digits", shown(id))
        });
    }
}

/// An id of an external group.
pub(crate) fn external_group_id(id: &str, target: impl Display, findings: &mut Findings) {
    if !is_slug(id) {
        let message = format!(
            "{} is no external group id, which is 1 to 128 of A-Z, a-z, 0-9, - and _",
            shown(id)
        );
        findings.refuse(Rule::ExternalGroupId, target, message);
    }
}

fn is_slug(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// An id of a connection that is to be made.
pub(crate) fn connection_id(id: &str, target: impl Display, findings: &mut Findings) {
    let wrong = if !(3..=32).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        "a connection id is 3 to 32 ASCII letters and digits, and no hyphen"
    } else if id.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("Microsoft")) {
        "a connection id does not start with Microsoft"
    } else if RESERVED.iter().any(|word| word.eq_ignore_ascii_case(id)) {
        "this word is reserved; choose another"
    } else {
        return;
    };
    let message = format!("{} is no connection id: {wrong}", shown(id));
    findings.refuse(Rule::ConnectionId, target, message);
}

/// A GUID, `8-4-4-4-12` hexadecimal digits. True if it is one.
pub(crate) fn guid(value: &str, target: impl Display, what: &str, findings: &mut Findings) -> bool {
    let good = is_guid(value);
    if !good {
        let message = format!(
            "{what} is a GUID such as e811976d-83df-4cbd-8b9b-5215b18aa874, not {}",
            shown(value)
        );
        findings.refuse(Rule::Guid, target, message);
    }
    good
}

pub(crate) fn is_guid(value: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let mut parts = value.split('-');
    lengths.iter().all(|length| {
        parts.next().is_some_and(|part| {
            part.len() == *length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    }) && parts.next().is_none()
}

/// A path or a number for a message: cut if it is long.
pub(crate) fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}...", &text[..end]).into(),
        None => text.into(),
    }
}

/// A value for a message: quoted, and cut if it is long.
pub(crate) fn shown(value: &str) -> String {
    match value.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}...", &value[..end]),
        None => format!("{value:?}"),
    }
}
