//! A form as clients of the identity platform send it (`application/x-www-form-urlencoded`), and
//! a query, which has the same shape.

use std::fmt;

use bytes::Bytes;
use http::{Request, header};

use super::Refused;
use crate::target::decode;

/// The parameters of a request by name. Its `Debug` shows no value.
#[derive(Default, PartialEq)]
pub(crate) struct Form(Vec<(String, String)>);

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Form {
    /// The body of a request. What is no form has no parameters, as the platform sees it.
    pub(super) fn of_body(request: &Request<Bytes>) -> Result<Self, Refused> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()?.split(';').next()).map(str::trim);
        let is_form =
            kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded"));
        match std::str::from_utf8(request.body()) {
            Ok(text) if is_form => Self::read(text),
            _ => Ok(Self::default()),
        }
    }

    /// A query.
    pub(super) fn of_query(request: &Request<Bytes>) -> Result<Self, Refused> {
        Self::read(request.uri().query().unwrap_or_default())
    }

    fn read(text: &str) -> Result<Self, Refused> {
        let mut all: Vec<(String, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plain = |text: &str| Some(decode(&text.replace('+', " "))?.into_owned());
            let (Some(name), Some(value)) = (plain(name), plain(value)) else {
                return Err(Refused::malformed("a parameter is not percent-encoded UTF-8"));
            };
            if all.iter().any(|(known, _)| *known == name) {
                return Err(Refused::malformed(&format!("the parameter '{name}' comes twice")));
            }
            all.push((name, value));
        }
        Ok(Self(all))
    }

    /// A parameter. One that is empty counts as missing.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A parameter that has to be there.
    pub(super) fn need(&self, name: &str) -> Result<&str, Refused> {
        self.get(name).ok_or_else(|| Refused::missing(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_and_shows_no_value() {
        let form = Form::read("a=1&b=x+y%26z%2B&c=&d&%65=%C3%A4").expect("a form");
        assert_eq!(form.get("a"), Some("1"));
        assert_eq!(form.get("b"), Some("x y&z+"));
        assert_eq!((form.get("c"), form.get("d"), form.get("f")), (None, None, None));
        assert_eq!(form.get("e"), Some("ä"));
        assert_eq!(format!("{form:?}"), r#"["a", "b", "c", "d", "e"]"#);
        for bad in ["a=%", "a=%zz", "a=%ff", "a=1&a=2", "a=1&%61=1"] {
            assert!(Form::read(bad).is_err(), "{bad}");
        }
    }
}
