//! Places in a body, as refusals name them.

use std::fmt;

/// A place in a body, written as a JSONPath (RFC 9535).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<'a> {
    parent: Option<&'a Self>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Name(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    pub(crate) const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    pub(crate) fn name(&'a self, name: &'a str) -> Self {
        Path { parent: Some(self), step: Step::Name(name) }
    }

    pub(crate) fn index(&'a self, index: usize) -> Self {
        Path { parent: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => f.write_str("$"),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Name(name) if is_identifier(name) => write!(f, ".{name}"),
            Step::Name(name) => {
                f.write_str("['")?;
                for character in name.chars() {
                    match character {
                        '\'' | '\\' => write!(f, "\\{character}")?,
                        control if control.is_ascii_control() => {
                            write!(f, "\\u{:04x}", u32::from(control))?;
                        }
                        other => write!(f, "{other}")?,
                    }
                }
                f.write_str("']")
            }
        }
    }
}

fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::Path;

    #[test]
    fn places_are_jsonpaths() {
        let (properties, acl) = (Path::ROOT.name("properties"), Path::ROOT.name("acl"));
        assert_eq!(properties.name("title").to_string(), "$.properties.title");
        assert_eq!(
            properties.name("title@odata.type").to_string(),
            "$.properties['title@odata.type']"
        );
        assert_eq!(properties.name("it's\n").to_string(), r"$.properties['it\'s\u000a']");
        assert_eq!(acl.index(0).name("value").to_string(), "$.acl[0].value");
    }
}
