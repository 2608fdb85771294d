//! `AllowedHosts`: the hosts that requests may name (reference B20.1).

use crate::diagnostics::{Diagnostics, Severity};
use crate::host_name::{self, without_port};
use crate::reader::note;
use crate::tree::Section;

/// The hosts that requests may name; the default is any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    /// `None` is any.
    patterns: Option<Vec<Pattern>>,
}

/// In Unicode and lower case, without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Host(String),
    /// `*.example.com`: what ends with this, its dot included, and is longer.
    Below(String),
}

impl AllowedHosts {
    /// Whether a request may name this authority. Its port does not matter; a request of HTTP/1.0
    /// without one is let in, as in ASP.NET (`AllowEmptyHosts`).
    pub fn allow(&self, authority: &str) -> bool {
        let Some(patterns) = &self.patterns else {
            return true;
        };
        let host = &*host_name::canonical(without_port(authority));
        host.is_empty() || patterns.iter().any(|pattern| pattern.matches(host))
    }

    /// Whether every request is let in.
    pub fn are_any(&self) -> bool {
        self.patterns.is_none()
    }
}

impl Pattern {
    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Host(name) => host == name,
            // No label of what is below it is empty: `..example.com` names no host.
            Self::Below(end) => host.strip_suffix(end.as_str()).is_some_and(|below| {
                !below.is_empty() && below.split('.').all(|label| !label.is_empty())
            }),
        }
    }
}

/// Reads the list, separated by `;`. Empty, or with a `*` in it, it allows any.
pub(super) fn read(section: &Section<'_>, diagnostics: &mut Diagnostics) -> AllowedHosts {
    of_list(section.value().unwrap_or_default(), section, diagnostics)
}

/// Reads what a list says that stands in a section.
pub(super) fn of_list(
    text: &str,
    section: &Section<'_>,
    diagnostics: &mut Diagnostics,
) -> AllowedHosts {
    let names = text.split(';').map(str::trim);
    let mut patterns = Vec::new();
    let mut any = true;
    for name in names.filter(|name| !name.is_empty()) {
        // Kestrel's own words for "whatever it listens on".
        if matches!(name, "*" | "[::]" | "0.0.0.0") {
            return AllowedHosts::default();
        }
        any = false;
        match pattern(name) {
            Ok(pattern) => patterns.push(pattern),
            Err(message) => {
                let remedy = Some("write hosts as example.com;*.example.com".to_owned());
                note(diagnostics, Severity::Error, section, message, remedy);
            }
        }
    }
    AllowedHosts {
        patterns: (!any).then_some(patterns),
    }
}

fn pattern(name: &str) -> Result<Pattern, String> {
    let below = name.strip_prefix("*.");
    let host = below.unwrap_or(name);
    if host.is_empty() || host.contains(['*', '/', '@', ' ', ',']) {
        return Err(format!("{name:?} is no host, nor *. and a domain"));
    }
    if without_port(host) != host {
        return Err(format!("{name:?} has a port, which hosts here have not"));
    }
    let host = host_name::canonical(host);
    Ok(match below {
        Some(_) => Pattern::Below(format!(".{host}")),
        None => Pattern::Host(host.into_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConfigurationTree;

    fn hosts(list: &str) -> Result<AllowedHosts, String> {
        let mut tree = ConfigurationTree::new();
        let text = serde_json::json!({ "AllowedHosts": list }).to_string();
        tree.add_json("a.json", &text).unwrap();
        let mut diagnostics = Diagnostics::default();
        let hosts = read(&tree.section("AllowedHosts"), &mut diagnostics);
        match diagnostics.errors().next() {
            Some(error) => Err(error.to_string()),
            None => Ok(hosts),
        }
    }

    #[test]
    fn a_host_is_allowed_by_name_or_by_wildcard_whatever_its_port() {
        let list = hosts(
            " Example.com ;*.example.org; [::1] ;10.0.0.1;B\u{fc}cher.example;*.xn--bcher-kva.test",
        )
        .unwrap();
        for (authority, allowed) in [
            ("example.com", true),
            ("EXAMPLE.com:8080", true),
            ("a.example.com", false),
            ("example.com.evil", false),
            ("evilexample.com", false),
            ("example.org", false),
            ("a.example.org", true),
            ("a.b.Example.org:1", true),
            ("aexample.org", false),
            (".example.org", false),
            ("..example.org", false),
            ("a..example.org", false),
            ("xn--bcher-kva.example:1", true),
            ("XN--BCHER-KVA.example", true),
            ("a.xn--bcher-kva.test", true),
            ("xn--bcher-kva.test", false),
            ("[::1]", true),
            ("[::1]:80", true),
            ("[::2]:80", false),
            ("10.0.0.1:5000", true),
            ("", true),
        ] {
            assert_eq!(list.allow(authority), allowed, "{authority:?}");
        }
    }

    #[test]
    fn nothing_or_a_star_is_any() {
        for list in ["", " ; ", "*", "a;*", "*;b"] {
            let hosts = hosts(list).unwrap();
            assert!(hosts.are_any() && hosts.allow("whatever"), "{list:?}");
        }
        assert!(AllowedHosts::default().are_any());
    }

    #[test]
    fn what_no_host_can_be_is_an_error() {
        for (list, words) in [
            ("a:80", "has a port"),
            ("*.a:80", "has a port"),
            ("a.*", "no host"),
            ("http://a", "no host"),
            ("*.", "no host"),
            ("a,b", "no host"),
        ] {
            let error = hosts(list).unwrap_err();
            assert!(error.contains(words), "{list}: {error}");
        }
    }
}
