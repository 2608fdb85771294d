//! A request's path as the router sees it: decoded, without dot segments, cut into segments.

use std::borrow::Cow;

use super::escape::decode_path;
use crate::ordinal;

/// A path, made ready once for a request.
#[derive(Debug)]
pub(crate) struct RequestPath<'a> {
    text: Cow<'a, str>,
    /// The same folded, when the text is not ASCII; ASCII is compared without case as it is.
    folded: Option<String>,
}

impl<'a> RequestPath<'a> {
    /// Decodes `path`, then removes dot segments (in this order, so that `%2e%2e` is one). Allocates
    /// only where there is an escape, a dot segment or a character that is not ASCII.
    pub(crate) fn new(path: &'a str) -> Self {
        if !path.starts_with('/') {
            return Self {
                text: Cow::Borrowed(""),
                folded: None,
            };
        }
        // One pass without branches, which the compiler turns into vector code: is there a `%`, a
        // byte of a longer character, or a `.` after a `/`?
        let bytes = path.as_bytes();
        let mut special = bytes.iter().fold(0, |special, byte| {
            special | byte & 0x80 | u8::from(*byte == b'%')
        });
        special |= bytes
            .iter()
            .zip(&bytes[1..])
            .fold(0, |special, (left, right)| {
                special | (u8::from(*left == b'/') & u8::from(*right == b'.'))
            });
        if special == 0 {
            return Self {
                text: Cow::Borrowed(path),
                folded: None,
            };
        }
        Self::decoded(path)
    }

    #[cold]
    fn decoded(path: &'a str) -> Self {
        let mut text = decode_path(path);
        if let Some(shorter) = without_dot_segments(&text) {
            text = Cow::Owned(shorter);
        }
        let folded = (!text.is_ascii()).then(|| ordinal::fold(&text));
        Self { text, folded }
    }

    /// The segments as they are.
    pub(crate) fn segments(&self) -> Segments<'_> {
        Segments::new(&self.text)
    }

    /// The segments for looking up: as they are when ASCII, else folded.
    pub(crate) fn segments_for_look_up(&self) -> Segments<'_> {
        Segments::new(self.folded.as_deref().unwrap_or(&self.text))
    }
}

/// The segments of a path, from left to right. One `/` at the end makes no segment.
#[derive(Debug, Clone)]
pub(crate) struct Segments<'p> {
    rest: &'p str,
}

impl<'p> Segments<'p> {
    fn new(path: &'p str) -> Self {
        Self {
            rest: path.get(1..).unwrap_or_default(),
        }
    }

    /// What has not been given yet, separators included.
    pub(crate) fn rest(&self) -> &'p str {
        self.rest
    }
}

impl<'p> Iterator for Segments<'p> {
    type Item = &'p str;

    fn next(&mut self) -> Option<&'p str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.bytes().position(|byte| byte == b'/');
        let (segment, rest) = match end {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, ""),
        };
        self.rest = rest;
        Some(segment)
    }
}

/// Removes `.` and `..` segments (RFC 3986 section 5.2.4); `None` when there are none.
pub(crate) fn without_dot_segments(path: &str) -> Option<String> {
    let is_dot = |segment: &str| segment == "." || segment == "..";
    let mut segments = path.split('/').skip(1);
    if !segments.clone().any(is_dot) {
        return None;
    }
    let mut kept = Vec::new();
    while let Some(segment) = segments.next() {
        let is_last = segments.clone().next().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            // `/a/.` is the folder `/a/`.
            kept.push("");
        }
    }
    Some(format!("/{}", kept.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(path: &str) -> Vec<String> {
        RequestPath::new(path)
            .segments()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn one_slash_at_the_end_makes_no_segment() {
        assert_eq!(segments("/"), [""; 0]);
        assert_eq!(segments("/a"), ["a"]);
        assert_eq!(segments("/a/"), ["a"]);
        assert_eq!(segments("/a//"), ["a", ""]);
        assert_eq!(segments("//"), [""]);
        assert_eq!(segments("//a"), ["", "a"]);
    }

    #[test]
    fn what_is_no_path_has_no_segments() {
        assert_eq!(segments(""), [""; 0]);
        assert_eq!(segments("*"), [""; 0]);
        assert_eq!(segments("example.com:443"), [""; 0]);
    }

    #[test]
    fn decodes_before_it_removes_dot_segments() {
        assert_eq!(segments("/a/%2e%2E/b"), ["b"]);
        assert_eq!(segments("/a%2F..%2Fb"), ["a%2F..%2Fb"]);
        assert_eq!(segments("/a%20b/c"), ["a b", "c"]);
    }

    #[test]
    fn dot_segments_are_removed_as_rfc_3986_says() {
        for (path, without) in [
            ("/a/./b", Some("/a/b")),
            ("/a/../b", Some("/b")),
            ("/../a", Some("/a")),
            ("/..", Some("/")),
            ("/.", Some("/")),
            ("/a/.", Some("/a/")),
            ("/a/b/..", Some("/a/")),
            ("/a/b/../", Some("/a/")),
            ("/a//../b", Some("/a/b")),
            ("/a/b/c/./../../g", Some("/a/g")),
            ("/.well-known/x", None),
            ("/a/...", None),
            ("/a.b/..c", None),
        ] {
            assert_eq!(without_dot_segments(path).as_deref(), without, "{path}");
        }
    }

    #[test]
    fn an_ordinary_path_is_borrowed() {
        for path in ["/", "/a/b.c/d", "/a/.well-known"] {
            assert!(
                matches!(RequestPath::new(path).text, Cow::Borrowed(_)),
                "{path}"
            );
        }
    }

    #[test]
    fn look_ups_see_other_scripts_folded() {
        let path = RequestPath::new("/b%C3%BCcher/A");
        assert_eq!(path.segments().collect::<Vec<_>>(), ["bücher", "A"]);
        assert_eq!(
            path.segments_for_look_up().collect::<Vec<_>>(),
            ["BÜCHER", "A"]
        );
    }
}
