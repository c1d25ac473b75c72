//! Places in JSON, as refusals name them.

/// Where a member of what is at `place` is, as a JSONPath.
pub(crate) fn member(place: &str, name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.len() <= 64
        && name.bytes().all(plain)
        && !name.is_empty()
        && !name.as_bytes()[0].is_ascii_digit()
    {
        format!("{place}.{name}")
    } else {
        // A name over the rule's length is cut, for an error is no place for a document.
        let cut = name.char_indices().nth(64).map_or(name, |(end, _)| &name[..end]);
        let mut name = String::with_capacity(cut.len());
        for character in cut.chars() {
            match character {
                '\\' | '\'' => name.extend(['\\', character]),
                control if control.is_ascii_control() => {
                    name.push_str(&format!("\\u{:04x}", u32::from(control)));
                }
                other => name.push(other),
            }
        }
        format!("{place}['{name}']")
    }
}
