//! From a path template and its arguments to a request target that no argument can bend.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::types::{BuildError, FaultList, Rule, quote};

/// Everything but the *unreserved* characters of RFC 2396, section 2.3, which the documents ask
/// for in `appActivityId`; the same set serves every argument.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// RFC 3986 *unreserved*, for what stands after a `=` in a query.
const RESERVED_IN_QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

const RESERVED_IN_QUERY_NAME: &AsciiSet = &RESERVED_IN_QUERY.remove(b'$').remove(b'@');

/// Takes the arguments of a path, in the order of the template's braces.
///
/// Each becomes exactly one segment: every character that is not *unreserved* in RFC 2396 is
/// written `%HH`, and an argument that could still bend the path (empty, `.`, `..`) is refused.
#[derive(Debug)]
pub struct PathArgs<'a> {
    out: &'a mut String,
    rest: &'static str,
    faults: FaultList,
}

impl<'a> PathArgs<'a> {
    pub(super) fn new(template: &'static str, out: &'a mut String) -> Self {
        Self { out, rest: template, faults: FaultList::default() }
    }

    /// Fills the next braces.
    pub fn push(&mut self, argument: impl AsRef<str>) {
        let argument = argument.as_ref();
        let Some((before, name, after)) = next_braces(self.rest) else {
            let detail =
                format!("has no place left for {}; give one argument a brace", quote(argument));
            self.faults.push(Rule::PathSegment, "path", detail);
            return;
        };
        if matches!(argument, "" | "." | "..") {
            let detail =
                format!("{} cannot be a segment of a path; give another id", quote(argument));
            self.faults.push(Rule::PathSegment, name, detail);
        }
        self.out.push_str(before);
        self.out.extend(utf8_percent_encode(argument, RESERVED));
        self.rest = after;
    }

    pub(super) fn finish(mut self) -> Result<(), BuildError> {
        let mut rest = self.rest;
        while let Some((_, name, after)) = next_braces(rest) {
            self.faults.push(Rule::PathSegment, name, "was not given; push it in args()");
            rest = after;
        }
        self.out.push_str(self.rest);
        self.faults.finish()
    }
}

/// What stands before the next braces, the name in them, and what follows.
fn next_braces(template: &'static str) -> Option<(&'static str, &'static str, &'static str)> {
    let (before, rest) = template.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// Takes the query options of a request, such as `$top`.
///
/// Nothing of a name or a value can end the query or begin another option.
#[derive(Debug)]
pub struct Query<'a> {
    out: &'a mut String,
    first: bool,
}

impl<'a> Query<'a> {
    pub(super) fn new(out: &'a mut String) -> Self {
        Self { out, first: true }
    }

    /// Adds `name=value`, with everything escaped that RFC 3986 does not leave unreserved, but
    /// for the `$` of a name.
    pub fn push(&mut self, name: &'static str, value: impl std::fmt::Display) {
        self.out.push(if self.first { '?' } else { '&' });
        self.first = false;
        let value = value.to_string();
        self.out.extend(utf8_percent_encode(name, RESERVED_IN_QUERY_NAME));
        self.out.push('=');
        self.out.extend(utf8_percent_encode(&value, RESERVED_IN_QUERY));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expand(template: &'static str, arguments: &[&str]) -> Result<String, BuildError> {
        let mut out = String::new();
        let mut path = PathArgs::new(template, &mut out);
        for argument in arguments {
            path.push(argument);
        }
        path.finish().map(|()| out)
    }

    #[test]
    fn an_argument_is_one_segment_escaped_as_rfc_2396_says() {
        for (argument, written) in [
            ("/article?12345", "%2Farticle%3F12345"),
            ("a-b_c.d!e~f*g'h(i)", "a-b_c.d!e~f*g'h(i)"),
            ("50%", "50%25"),
            ("%2e%2e", "%252e%252e"),
            ("a#b", "a%23b"),
            ("ä", "%C3%A4"),
            ("../../beta/me", "..%2F..%2Fbeta%2Fme"),
            ("...", "..."),
        ] {
            let path = expand("/me/activities/{id}/x", &[argument]).unwrap();
            assert_eq!(path, format!("/me/activities/{written}/x"));
        }
    }

    #[test]
    fn what_could_bend_a_path_is_refused_with_the_name_of_its_place() {
        for bad in ["", ".", ".."] {
            let refused = expand("/a/{one}/{two}", &[bad, bad]).unwrap_err();
            let places: Vec<_> = refused.faults().iter().map(|fault| &*fault.place).collect();
            assert_eq!(places, ["one", "two"]);
            assert!(refused.breaks(Rule::PathSegment));
        }
        assert!(
            expand("/a/{one}", &[])
                .unwrap_err()
                .to_string()
                .contains("one: was not given; push it")
        );
        assert!(expand("/a", &["x"]).unwrap_err().to_string().contains("no place left"));
    }

    #[test]
    fn query_values_are_escaped_and_names_are_not() {
        let mut out = String::from("/me/activities");
        let mut query = Query::new(&mut out);
        query.push("$top", 5);
        query.push("$filter", "a lt 2018-02-26T18:06:19+01:00&x=1");
        assert_eq!(
            out,
            "/me/activities?$top=5&$filter=a%20lt%202018-02-26T18%3A06%3A19%2B01%3A00%26x%3D1"
        );
    }

    proptest! {
        #[test]
        fn no_argument_changes_the_number_of_segments(argument in any::<String>()) {
            prop_assume!(!matches!(argument.as_str(), "" | "." | ".."));
            let path = expand("/a/{one}/b", &[&argument]).unwrap();
            let segments: Vec<&str> = path.split('/').collect();
            prop_assert_eq!(segments.len(), 4);
            prop_assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?' && byte != b'#'));
            let decoded = percent_encoding::percent_decode_str(segments[2]).decode_utf8().unwrap();
            prop_assert_eq!(&*decoded, argument.as_str());
        }
    }
}
