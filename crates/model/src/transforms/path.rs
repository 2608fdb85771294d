//! Paths in the form they are sent in (reference B6.1): decoded once and encoded again, so
//! that one path has one form, but for an encoded slash, which stays as it came.

use std::borrow::Cow;
use std::fmt::Write;

use crate::ordinal;
use crate::route::escape::{decode_path, escaped};
use crate::route::path::without_dot_segments;

/// What becomes of the text `%2F` when it is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slashes {
    /// It is an encoded slash, and stays one.
    Keep,
    /// It is three characters, and becomes `%252F`.
    Encode,
}

/// Whether a character stands for itself in a path: RFC 3986's `pchar`, and the slash.
fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte)
}

fn is_encoded_slash(text: &[u8]) -> bool {
    matches!(text, [b'%', b'2', b'F' | b'f', ..])
}

fn escape_into(out: &mut String, character: char) {
    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
        // Writing to a string cannot fail.
        let _ = write!(out, "%{byte:02X}");
    }
}

/// Appends a decoded text as it is sent.
pub(crate) fn encode_into(out: &mut String, text: &str, slashes: Slashes) {
    for (at, character) in text.char_indices() {
        let keeps = slashes == Slashes::Keep && is_encoded_slash(&text.as_bytes()[at..]);
        if keeps || u8::try_from(character).is_ok_and(is_literal) {
            out.push(character);
        } else {
            escape_into(out, character);
        }
    }
}

/// A configured path, with a slash before it, as it is sent.
pub(super) fn configured(text: &str) -> String {
    let mut path = String::with_capacity(text.len() + 1);
    if !text.starts_with('/') {
        path.push('/');
    }
    encode_into(&mut path, text, Slashes::Encode);
    path
}

/// A client's path as it is sent on: escapes that are not needed are undone, what needs one gets
/// one, dot segments are removed. `*` is the empty path. Nothing is allocated where nothing changes.
pub fn forwarded(path: &str) -> Cow<'_, str> {
    if path == "*" {
        return Cow::Borrowed("");
    }
    let plain = path.bytes().all(is_literal) && !path.contains("/.");
    if plain {
        return Cow::Borrowed(path);
    }
    let mut text = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let bytes = rest.as_bytes();
        // A NUL stays escaped, as a slash does: nobody behind expects one.
        let (character, length) = match first {
            '%' if is_encoded_slash(bytes) || bytes.starts_with(b"%00") => {
                text.push_str(&rest[..3]);
                rest = &rest[3..];
                continue;
            }
            '%' => escaped(bytes).unwrap_or(('%', 1)),
            other => (other, other.len_utf8()),
        };
        match u8::try_from(character) {
            Ok(byte) if is_literal(byte) => text.push(character),
            _ => escape_into(&mut text, character),
        }
        rest = &rest[length..];
    }
    Cow::Owned(without_dot_segments(&text).unwrap_or(text))
}

/// The path and query of a destination's address as they are sent, as .NET's `Uri` writes them
/// (reference B6.1): escapes of unreserved characters are undone, what has no place in a URI
/// is escaped, dot segments are removed.
pub fn of_address(path_and_query: &str) -> String {
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    let path = canonical(&path.replace('\\', "/"));
    let path = without_dot_segments(&path).unwrap_or(path);
    match query {
        Some(query) => format!("{path}?{}", canonical(query)),
        None => path,
    }
}

fn canonical(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (character, length) = match first {
            '%' => escaped(rest.as_bytes()).unwrap_or(('%', 1)),
            other => (other, other.len_utf8()),
        };
        let is_escape = length > first.len_utf8();
        match u8::try_from(character) {
            Ok(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(character);
            }
            // A delimiter that is escaped means something else than itself.
            Ok(byte) if byte.is_ascii() && is_escape => out.push_str(&rest[..length]),
            Ok(byte) if is_literal(byte) || b"?[]".contains(&byte) => out.push(character),
            _ => escape_into(&mut out, character),
        }
        rest = &rest[length..];
    }
    out
}

/// A query as it is sent on: what must not stand in one is escaped (reference B6.1 B and C).
pub fn forwarded_query(query: &str) -> Cow<'_, str> {
    let must_go = |at: usize, byte: u8| match byte {
        b'%' => {
            let digits = query.as_bytes().get(at + 1..at + 3);
            !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        }
        b'#' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => true,
        _ => !byte.is_ascii_graphic(),
    };
    if !query
        .bytes()
        .enumerate()
        .any(|(at, byte)| must_go(at, byte))
    {
        return Cow::Borrowed(query);
    }
    let mut text = String::with_capacity(query.len() + 8);
    for (at, byte) in query.bytes().enumerate() {
        if must_go(at, byte) {
            let _ = write!(text, "%{byte:02X}");
        } else {
            text.push(char::from(byte));
        }
    }
    Cow::Owned(text)
}

/// `prefix` before a path, with one slash between them.
pub(super) fn with_prefix(prefix: &str, path: &str) -> String {
    let prefix = match path.is_empty() {
        true => prefix,
        false => prefix.strip_suffix('/').unwrap_or(prefix),
    };
    format!("{prefix}{path}")
}

/// What is to be taken off a path, whole segments of it.
#[derive(Debug, Clone)]
pub(super) struct Removable {
    folded: String,
    slashes: usize,
}

impl Removable {
    pub(super) fn new(text: &str) -> Self {
        let slash = if text.starts_with('/') { "" } else { "/" };
        let folded = ordinal::fold(&format!("{slash}{text}"));
        let slashes = folded.bytes().filter(|byte| *byte == b'/').count();
        Self { folded, slashes }
    }

    /// What is left of a path that begins with it.
    pub(super) fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        // The slash behind as many as there are to take off ends what may be equal.
        let end = path.match_indices('/').nth(self.slashes);
        let (start, rest) = path.split_at(end.map_or(path.len(), |(at, _)| at));
        ordinal::eq(&decode_path(start), &self.folded).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_sent_on_in_one_form() {
        // Reference B6.2; `%2F` is the deviation.
        for (path, sent) in [
            ("/", "/"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/%63%61t%3Bv", "/cat;v"),
            ("/x%3fy%23z", "/x%3Fy%23z"),
            ("/x%2fy%252Fz", "/x%2fy%252Fz"),
            ("/50%", "/50%25"),
            ("/a/%2e%2E/b", "/b"),
            ("//a///b/", "//a///b/"),
            ("/a%20b", "/a%20b"),
            ("/%FF%zz", "/%25FF%25zz"),
            ("/a%00", "/a%00"),
            ("/a|b", "/a%7Cb"),
            ("/..%2f..", "/..%2f.."),
            ("*", ""),
        ] {
            assert_eq!(forwarded(path), sent, "{path}");
        }
        assert!(matches!(forwarded("/a/b.c"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_query_is_sent_on_as_it_is_but_for_what_must_not_stand_there() {
        for (query, sent) in [
            ("u=http://y/?q#f", "u=http://y/?q%23f"),
            ("a=%41%4&b=[1]", "a=%41%254&b=[1]"),
            ("a={\"<>\\^`|}", "a=%7B%22%3C%3E%5C%5E%60%7C%7D"),
            ("", ""),
        ] {
            assert_eq!(forwarded_query(query), sent, "{query}");
        }
    }

    #[test]
    fn whole_segments_are_taken_off() {
        // Reference B3.1.
        for (prefix, path, rest) in [
            ("/api", "/api", Some("")),
            ("/api", "/API/x", Some("/x")),
            ("/api", "/api/", Some("/")),
            ("/api", "/apis", None),
            ("api", "/api/x", Some("/x")),
            ("/a b", "/A%20B/c", Some("/c")),
            ("/ä", "/%C3%84/x", Some("/x")),
            ("/api/", "/api/x", None),
            ("/", "/x", None),
            ("/", "//x", Some("/x")),
            ("/a/b", "/a", None),
        ] {
            assert_eq!(Removable::new(prefix).rest(path), rest, "{prefix} {path}");
        }
    }
}
