//! One entry of `Match:Hosts`: `name[:port]`, `*.suffix[:port]` or `*[:port]`.

use ostler_config::host_name;

use crate::ordinal;

use super::request_host::RequestHost;

/// An entry of `Match:Hosts`, parsed.
///
/// ```
/// # use ostler_model::HostPattern;
/// let pattern = HostPattern::parse("*.Example.com:8080")?;
/// assert!(pattern.matches("www.example.com:8080", false));
/// assert!(!pattern.matches("example.com:8080", false));
/// assert!(!pattern.matches("www.example.com", false));
/// # Ok::<(), ostler_model::HostError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPattern {
    pub(crate) name: HostName,
    /// `None` is any port.
    pub(crate) port: Option<u16>,
}

/// The part before the port; texts are folded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum HostName {
    /// Exactly this host.
    Exact(String),
    /// `*.suffix`: one label or more before `.suffix`. The text is without `*.`.
    Wildcard(String),
    /// `*`: any host.
    Any,
}

/// A text is no entry of `Match:Hosts`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// Nothing at all, or nothing before the port (rules R6 and 3.8).
    #[error("the host name is empty")]
    Empty,
    /// A label begins with `xn--` and cannot be read (rule R7).
    #[error("{0:?} has a label that begins with xn-- and is no Punycode")]
    Punycode(String),
    /// More than one colon; IPv6 addresses cannot be written (rule 3.8).
    #[error("{0:?} has more than one colon; only a name and a port can be written")]
    ManyColons(String),
    /// The port is neither `*` nor a number up to 65535 (rule 3.8).
    #[error("{0:?} is no port: a number up to 65535 or `*` is")]
    Port(String),
}

impl HostPattern {
    /// Parses an entry.
    ///
    /// # Errors
    ///
    /// When the entry has no name, a label that is no Punycode, or cannot be split into a name and a
    /// port.
    pub fn parse(entry: &str) -> Result<Self, HostError> {
        let (name, port) = match entry.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err(HostError::ManyColons(entry.to_owned()));
            }
            Some((name, "*")) => (name, None),
            Some((name, port)) => (name, Some(parse_port(port)?)),
            None => (entry, None),
        };
        let unicode = host_name::decode_host(name);
        let name = unicode.as_deref().unwrap_or(name);
        if host_name::is_punycode(name) || unicode.as_deref().is_some_and(has_control) {
            return Err(HostError::Punycode(entry.to_owned()));
        }
        let name = match (name, name.strip_prefix("*.")) {
            ("", _) => return Err(HostError::Empty),
            ("*", _) => HostName::Any,
            (_, Some(suffix)) => HostName::Wildcard(ordinal::fold(suffix)),
            // A `*` elsewhere stands for itself.
            _ => HostName::Exact(ordinal::fold(name)),
        };
        Ok(Self { name, port })
    }

    /// Whether a request to `authority` (`host[:port]`) asks for such a host.
    pub fn matches(&self, authority: &str, is_https: bool) -> bool {
        let host = RequestHost::new(authority, is_https);
        let name = match &self.name {
            HostName::Exact(name) => name.eq_ignore_ascii_case(host.name()),
            HostName::Wildcard(suffix) => host
                .suffixes(suffix.len())
                .any(|one| one.eq_ignore_ascii_case(suffix)),
            HostName::Any => true,
        };
        name && self.port.is_none_or(|port| port == host.port())
    }

    /// Whether a request for this wildcard sees the routes of `other` too: `other` is a wildcard
    /// below it, with the same port. An oddity of ASP.NET's router (reference A3.3).
    ///
    /// The router asks `HostIndex::covering`, which is held to this in tests.
    #[cfg(test)]
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (&self.name, &other.name) {
            (HostName::Wildcard(suffix), HostName::Wildcard(longer)) => {
                self.port == other.port
                    && longer
                        .strip_suffix(suffix.as_str())
                        .is_some_and(|rest| rest.ends_with('.'))
            }
            _ => false,
        }
    }
}

fn has_control(name: &str) -> bool {
    name.contains(char::is_control)
}

fn parse_port(port: &str) -> Result<u16, HostError> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { port.parse().ok() } else { None };
    number.ok_or_else(|| HostError::Port(port.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_parsed() {
        let parsed = |entry| HostPattern::parse(entry).unwrap();
        let exact = |name: &str, port| HostPattern {
            name: HostName::Exact(name.into()),
            port,
        };
        assert_eq!(parsed("a.com"), exact("A.COM", None));
        assert_eq!(parsed("A.com:80"), exact("A.COM", Some(80)));
        assert_eq!(parsed("a.com:*"), exact("A.COM", None));
        assert_eq!(parsed("bücher.de"), exact("BÜCHER.DE", None));
        assert_eq!(parsed("xn--bcher-kva.de:*"), exact("BÜCHER.DE", None));
        let wildcard = HostName::Wildcard("A.COM".into());
        assert_eq!(
            parsed("*.a.com:1"),
            HostPattern {
                name: wildcard,
                port: Some(1)
            }
        );
        assert_eq!(
            parsed("*"),
            HostPattern {
                name: HostName::Any,
                port: None
            }
        );
        assert_eq!(
            parsed("*:443"),
            HostPattern {
                name: HostName::Any,
                port: Some(443)
            }
        );
        assert_eq!(
            parsed("*:*"),
            HostPattern {
                name: HostName::Any,
                port: None
            }
        );
        // A `*` elsewhere is literal.
        assert_eq!(parsed("a.*.com"), exact("A.*.COM", None));
        assert_eq!(parsed("*a.com"), exact("*A.COM", None));
    }

    #[test]
    fn what_has_no_name_or_no_valid_port_is_refused() {
        for (entry, error) in [
            ("", HostError::Empty),
            (":80", HostError::Empty),
            ("a:b:c", HostError::ManyColons("a:b:c".into())),
            ("[::1]:80", HostError::ManyColons("[::1]:80".into())),
            ("a.com:", HostError::Port("".into())),
            ("a.com:http", HostError::Port("http".into())),
            ("a.com:-1", HostError::Port("-1".into())),
            ("a.com:+1", HostError::Port("+1".into())),
            ("a.com:65536", HostError::Port("65536".into())),
            ("xn--a-!.de", HostError::Punycode("xn--a-!.de".into())),
            ("www.XN--a.de", HostError::Punycode("www.XN--a.de".into())),
        ] {
            assert_eq!(HostPattern::parse(entry), Err(error), "{entry}");
        }
    }

    #[test]
    fn matching_follows_the_rules_of_hosts() {
        for (entry, authority, is_https, expected) in [
            ("a.com", "A.COM", false, true),
            ("a.com", "a.com:8080", false, true),
            ("a.com", "b.com", false, false),
            ("a.com", "", false, false),
            // The port of the scheme where there is none.
            ("a.com:80", "a.com", false, true),
            ("a.com:80", "a.com", true, false),
            ("a.com:443", "a.com", true, true),
            ("a.com:*", "a.com:5", false, true),
            // One leading label or more, never the bare suffix, never an empty one.
            ("*.a.com", "www.a.com", false, true),
            ("*.a.com", "x.y.a.com", false, true),
            ("*.a.com", "a.com", false, false),
            ("*.a.com", ".a.com", false, false),
            ("*.a.com", "x..a.com", false, false),
            ("*.a.com", "xa.com", false, false),
            ("*.a.com:1", "www.a.com:1", false, true),
            ("*.a.com:1", "www.a.com:2", false, false),
            ("*", "anything", false, true),
            ("*", "", false, true),
            ("*:80", "anything", false, true),
            ("*:80", "anything:81", false, false),
            // Punycode is decoded, in any label.
            ("bücher.de", "xn--bcher-kva.de", false, true),
            ("BÜCHER.de", "XN--bcher-KVA.de:9", false, true),
            ("*.bücher.de", "www.xn--bcher-kva.de", false, true),
            ("bücher.de", "bucher.de", false, false),
        ] {
            let pattern = HostPattern::parse(entry).unwrap();
            assert_eq!(
                pattern.matches(authority, is_https),
                expected,
                "{entry} {authority}"
            );
        }
    }

    #[test]
    fn a_wildcard_covers_those_below_it_with_its_port() {
        let covers = |left, right| {
            HostPattern::parse(left)
                .unwrap()
                .covers(&HostPattern::parse(right).unwrap())
        };
        assert!(covers("*.a.com", "*.x.a.com"));
        assert!(covers("*.a.com:1", "*.x.a.com:1"));
        assert!(!covers("*.a.com", "*.x.a.com:1"));
        assert!(!covers("*.a.com", "*.a.com"));
        assert!(!covers("*.a.com", "*.xa.com"));
        assert!(!covers("*.a.com", "x.a.com"));
        assert!(!covers("*", "*.a.com"));
    }
}
