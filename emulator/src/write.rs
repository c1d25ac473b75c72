//! Writes JSON in the order of the calls, for an annotation has to stand before its value.

/// Writes an object member by member, in the order of the calls.
pub(crate) struct Object<'o> {
    out: &'o mut String,
    first: bool,
}

/// The text of an object that `fill` writes.
pub(crate) fn object(fill: impl FnOnce(&mut Object<'_>)) -> String {
    let mut out = String::with_capacity(256);
    write_object(&mut out, fill);
    out
}

fn write_object(out: &mut String, fill: impl FnOnce(&mut Object<'_>)) {
    out.push('{');
    fill(&mut Object { out, first: true });
    out.push('}');
}

fn write_text(out: &mut String, text: &str) {
    // Writing a string into memory cannot fail; an empty string would still be JSON.
    out.push_str(&serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned()));
}

impl Object<'_> {
    fn name(&mut self, name: &str) {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
        write_text(self.out, name);
        self.out.push(':');
    }

    /// A member whose value is JSON already.
    pub(crate) fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.out.push_str(json);
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        write_text(self.out, value);
    }

    /// A string, or null.
    pub(crate) fn text_or_null(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.text(name, value),
            None => self.raw(name, "null"),
        }
    }

    /// An array of strings.
    pub(crate) fn texts<'t>(&mut self, name: &str, texts: impl IntoIterator<Item = &'t str>) {
        self.name(name);
        self.out.push('[');
        for (index, text) in texts.into_iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            write_text(self.out, text);
        }
        self.out.push(']');
    }

    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        write_object(self.out, fill);
    }

    /// An array of objects, one for each element.
    pub(crate) fn objects<T>(
        &mut self,
        name: &str,
        elements: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(&mut Object<'_>, T),
    ) {
        self.name(name);
        self.out.push('[');
        for (index, element) in elements.into_iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            write_object(self.out, |object| fill(object, element));
        }
        self.out.push(']');
    }
}

#[cfg(test)]
mod tests {
    use super::object;

    #[test]
    fn objects_are_written_in_order() {
        let text = object(|o| {
            o.text("z@odata.type", "#Collection(String)");
            o.raw("z", "[\"a\"]");
            o.text_or_null("error", None);
            o.objects("v", [1, 2], |o, n| o.raw("n", &n.to_string()));
            o.object("empty", |_| {});
            o.texts("t", ["a", "\""]);
            o.texts("none", []);
        });
        assert_eq!(
            text,
            r##"{"z@odata.type":"#Collection(String)","z":["a"],"error":null,"v":[{"n":1},{"n":2}],"empty":{},"t":["a","\""],"none":[]}"##
        );
    }
}
