//! A query as names with values (reference B3.2), made of the raw text once a transform
//! needs it.

use std::fmt::Write;

use crate::ordinal;
use crate::route::escape::decode_query;

/// Names in the order of their first appearance, each with its values.
#[derive(Debug, Default)]
pub(super) struct QueryParameters {
    parameters: Vec<(String, Vec<String>)>,
}

/// So many names ASP.NET keeps in a list; with more it goes over to a hash table.
const SMALL: usize = 10;

impl QueryParameters {
    pub(super) fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for piece in query.split('&').filter(|piece| !piece.is_empty()) {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let (name, value) = (decode_query(name), decode_query(value).into_owned());
            let at = parsed.place(&name);
            // ASP.NET's small dictionary takes over the name's spelling when its second value comes.
            let is_small = parsed.parameters.len() <= SMALL;
            let (spelling, values) = &mut parsed.parameters[at];
            if values.len() == 1 && is_small {
                *spelling = name.into_owned();
            }
            values.push(value);
        }
        parsed
    }

    pub(super) fn put(&mut self, name: &str, value: &str, append: bool) {
        let values = self.values(name);
        if !append {
            values.clear();
        }
        values.push(value.to_owned());
    }

    pub(super) fn remove(&mut self, name: &str) {
        let folded = ordinal::fold(name);
        self.parameters
            .retain(|(other, _)| !ordinal::eq(other, &folded));
    }

    /// The text behind the `?`; `None` where there is nothing.
    pub(super) fn encode(&self) -> Option<String> {
        let mut text = String::new();
        for (name, values) in &self.parameters {
            for value in values {
                if !text.is_empty() {
                    text.push('&');
                }
                encode_into(&mut text, name);
                text.push('=');
                encode_into(&mut text, value);
            }
        }
        (!text.is_empty()).then_some(text)
    }

    fn values(&mut self, name: &str) -> &mut Vec<String> {
        let at = self.place(name);
        &mut self.parameters[at].1
    }

    /// Where the parameter stands, made if there is none of the name.
    fn place(&mut self, name: &str) -> usize {
        let folded = ordinal::fold(name);
        let found = self
            .parameters
            .iter()
            .position(|(other, _)| ordinal::eq(other, &folded));
        found.unwrap_or_else(|| {
            self.parameters.push((name.to_owned(), Vec::new()));
            self.parameters.len() - 1
        })
    }
}

fn encode_into(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$()*,;@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_anew_as_yarp_writes_it() {
        // Reference B3.2.
        for (query, written) in [
            ("", None),
            ("&&", None),
            ("a", Some("a=")),
            ("a=1&b=2&A=3", Some("A=1&A=3&b=2")),
            ("A=1&a=2&A=3", Some("a=1&a=2&a=3")),
            (
                "a=1&b&c&d&e&f&g&h&i&j&k&A=2",
                Some("a=1&a=2&b=&c=&d=&e=&f=&g=&h=&i=&j=&k="),
            ),
            ("a=b=c+d", Some("a=b%3Dc%20d")),
            ("a=%2f%3A%27%2B%C3%BC", Some("a=%2F%3A%27%2B%C3%BC")),
            ("a=-._~!$()*,;@", Some("a=-._~!$()*,;@")),
        ] {
            let encoded = QueryParameters::parse(query).encode();
            assert_eq!(encoded.as_deref(), written, "{query}");
        }
    }

    #[test]
    fn parameters_are_set_appended_and_removed_without_case() {
        let mut query = QueryParameters::parse("a=1&b=2");
        query.put("A", "x", true);
        query.put("B", "y", false);
        query.put("c", "", false);
        assert_eq!(query.encode().unwrap(), "a=1&a=x&b=y&c=");
        query.remove("A");
        assert_eq!(query.encode().unwrap(), "b=y&c=");
    }
}
