//! What is written as JSON past serde: an object member by member, and long texts in it.

use serde::{Serialize, ser::SerializeStruct};

/// An object that is written member by member, so that a long text in it can go another way than
/// through serde.
pub(crate) struct JsonObject<'a> {
    out: &'a mut Vec<u8>,
    // What stands before the next member.
    before: u8,
}

impl<'a> JsonObject<'a> {
    pub(crate) fn begin(out: &'a mut Vec<u8>) -> Self {
        Self { out, before: b'{' }
    }

    /// Writes a name, and gives where its value is to be written.
    pub(crate) fn name(&mut self, name: &'static str) -> &mut Vec<u8> {
        self.out.push(self.before);
        self.before = b',';
        write_text(name, self.out);
        self.out.push(b':');
        self.out
    }
}

impl SerializeStruct for JsonObject<'_> {
    type Ok = ();
    type Error = serde_json::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> serde_json::Result<()> {
        serde_json::to_writer(self.name(name), value)
    }

    fn end(self) -> serde_json::Result<()> {
        if self.before == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
        Ok(())
    }
}

/// Writes a text as JSON, in the same bytes as serde_json, which looks at one byte after the other
/// where this looks at eight: a text is most of an item.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = first_escape(rest) {
        let (plain, escaped) = rest.split_at(at);
        out.extend_from_slice(plain);
        let byte = escaped[0];
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            8 => b'b',
            12 => b'f',
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend([byte >> 4, byte & 15].map(|half| b"0123456789abcdef"[half as usize]));
                rest = &escaped[1..];
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
        rest = &escaped[1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Where the first byte is that JSON escapes: a control character, `"` or `\`.
fn first_escape(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // Below the first byte that is zero no bit is set, above it one may be.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let all = |byte: u8| ONES * u64::from(byte);
    let mut words = bytes.chunks_exact(8);
    for (at, word) in words.by_ref().enumerate() {
        let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
        let control = word.wrapping_sub(all(b' ')) & !word & HIGH;
        let found = control | zero(word ^ all(b'"')) | zero(word ^ all(b'\\'));
        if found != 0 {
            return Some(at * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let is_escaped = |byte: &u8| matches!(byte, 0..b' ' | b'"' | b'\\');
    let rest = words.remainder();
    Some(bytes.len() - rest.len() + rest.iter().position(is_escaped)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_text(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_character_is_written_as_serde_json_does_wherever_it_stands() {
        for code in (0..=0x2ff).chain([0x2028, 0xfeff, 0x1_f600]) {
            let character = char::from_u32(code).unwrap();
            for before in 0..17 {
                let text = format!("{}{character}{}", "x".repeat(before), "é\"y".repeat(3));
                assert_eq!(written(&text), serde_json::to_string(&text).unwrap(), "{text:?}");
            }
        }
    }

    #[test]
    fn an_object_is_written_as_serde_json_does() {
        let mut out = b"before".to_vec();
        JsonObject::begin(&mut out).end().unwrap();
        assert_eq!(out, b"before{}");
        out.clear();
        let mut object = JsonObject::begin(&mut out);
        object.serialize_field("a", &[1, 2]).unwrap();
        write_text("x", object.name("b"));
        object.end().unwrap();
        assert_eq!(out, br#"{"a":[1,2],"b":"x"}"#);
    }

    proptest! {
        #[test]
        fn any_text_is_written_as_serde_json_does(
            text in prop_oneof![any::<String>(), "[ -~\\x00-\\x1f\u{80}-\u{ff}]{0,40}"]
        ) {
            prop_assert_eq!(written(&text), serde_json::to_string(&text).unwrap());
        }
    }
}
