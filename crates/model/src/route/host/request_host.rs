//! The host and port a request asks for.

use std::borrow::Cow;

use ostler_config::host_name;

use crate::ordinal;

/// The host and port of a request, ready to be compared.
#[derive(Debug)]
pub(crate) struct RequestHost<'a> {
    name: Cow<'a, str>,
    port: u16,
}

impl<'a> RequestHost<'a> {
    /// Splits `authority`. Without a valid port the scheme's counts.
    pub(crate) fn new(authority: &'a str, is_https: bool) -> Self {
        // An IPv6 address has colons of its own, in brackets.
        let after_brackets = authority.rfind(']').map_or(0, |end| end + 1);
        let colon = authority[after_brackets..]
            .find(':')
            .map(|colon| after_brackets + colon);
        let (name, port) = match colon {
            Some(colon) => (&authority[..colon], authority[colon + 1..].parse().ok()),
            None => (authority, None),
        };
        let port = port.unwrap_or(if is_https { 443 } else { 80 });
        Self {
            name: decoded(name),
            port,
        }
    }

    /// The name in Unicode, to be compared with folded ones by ASCII case-insensitivity.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What follows each dot, from the longest to the shortest, of at most `longest` bytes. None
    /// where a label is empty: such a host matches no wildcard (reference A3.3).
    pub(crate) fn suffixes(&self, longest: usize) -> impl Iterator<Item = &str> {
        let name = self.name();
        let has_empty_label = name.starts_with('.') || name.contains("..");
        // Dots further left than this have too long a suffix: a host of thousands of labels costs
        // no more than one of a few.
        let from = if has_empty_label {
            name.len()
        } else {
            name.len().saturating_sub(longest.saturating_add(1))
        };
        let bytes = name.as_bytes();
        let dots = (from..name.len()).filter(|at| bytes[*at] == b'.');
        dots.map(|dot| &name[dot + 1..])
    }
}

/// The name with its punycode labels decoded, folded where it is not ASCII. ASCII is compared
/// without case as it is, so an ordinary host is not copied.
fn decoded(name: &str) -> Cow<'_, str> {
    if !name.is_ascii() {
        return Cow::Owned(ordinal::fold(name));
    }
    // Two hyphens in a row are rare, and every punycode label has them.
    if name.as_bytes().windows(2).any(|pair| pair == b"--")
        && let Some(unicode) = host_name::decode_host(name)
    {
        return Cow::Owned(ordinal::fold(&unicode));
    }
    Cow::Borrowed(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(authority: &str, is_https: bool) -> (String, u16) {
        let host = RequestHost::new(authority, is_https);
        (host.name().to_owned(), host.port())
    }

    #[test]
    fn the_port_is_that_of_the_scheme_where_none_is_named() {
        assert_eq!(split("a", false), ("a".into(), 80));
        assert_eq!(split("a", true), ("a".into(), 443));
        assert_eq!(split("a:1", true), ("a".into(), 1));
        assert_eq!(split("a:", false), ("a".into(), 80));
        assert_eq!(split("a:x", false), ("a".into(), 80));
        assert_eq!(split("a:99999", false), ("a".into(), 80));
    }

    #[test]
    fn an_ipv6_address_keeps_its_colons() {
        assert_eq!(split("[::1]:8080", false), ("[::1]".into(), 8080));
        assert_eq!(split("[::1]", false), ("[::1]".into(), 80));
    }

    #[test]
    fn suffixes_follow_dots_and_are_bounded() {
        let suffixes = |authority, longest| {
            let host = RequestHost::new(authority, false);
            host.suffixes(longest)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(suffixes("a.b.c", usize::MAX), ["b.c", "c"]);
        assert_eq!(suffixes("a.b.c", 3), ["b.c", "c"]);
        assert_eq!(suffixes("a.b.c", 2), ["c"]);
        assert_eq!(suffixes("localhost", 100), [""; 0]);
        assert_eq!(suffixes(".b.c", 100), [""; 0]);
        assert_eq!(suffixes("a..c", 100), [""; 0]);
    }
}
