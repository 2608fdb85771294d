//! URL prefixes: http.sys' grammar, equality and precedence (reference H1.2 and H1.3).

use std::fmt;

use crate::error::QueueError;

/// `scheme://host:port/path/`, normalised: lower case, port always there, path ends with `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UrlPrefix {
    text: Box<str>,
    https: bool,
    host: PrefixHost,
    port: u16,
    path_start: usize,
}

/// The host part of a prefix, in the order http.sys searches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PrefixHost {
    /// `+`: every host, before everything else.
    Strong,
    /// A name, or `*.suffix`.
    Explicit(Box<str>),
    /// An IP literal.
    IpBound(std::net::IpAddr),
    /// `*`: every host nobody else has.
    Weak,
}

impl UrlPrefix {
    /// Parses a prefix.
    ///
    /// The scheme is lower-cased, the port defaults to 80 or 443 and the final `/` is added, as
    /// ASP.NET Core does.
    ///
    /// # Errors
    ///
    /// [`QueueError::InvalidPrefix`], which names what is wrong.
    pub fn parse(given: &str) -> Result<Self, QueueError> {
        let invalid = |reason| QueueError::InvalidPrefix {
            prefix: given.into(),
            reason,
        };
        let lower = given.to_lowercase();
        let (scheme, rest) = lower
            .split_once("://")
            .ok_or_else(|| invalid("it lacks ://"))?;
        let https = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(invalid("its scheme is neither http nor https")),
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        if path.contains(['?', '#', '*']) {
            return Err(invalid("its path holds ?, # or *"));
        }
        let (host, port) = split_port(authority).map_err(invalid)?;
        let port = match port {
            Some(port) => parse_port(port).ok_or_else(|| {
                invalid("its port is not a number from 1 to 65535 without leading zeros")
            })?,
            None if https => 443,
            None => 80,
        };
        let host = parse_host(host).map_err(invalid)?;
        let mut text = format!("{scheme}://{host}:{port}");
        let path_start = text.len();
        text.push_str(path);
        if !text.ends_with('/') {
            text.push('/');
        }
        Ok(Self {
            text: text.into(),
            https,
            host,
            port,
            path_start,
        })
    }

    /// The normalised text, by which prefixes are equal.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path, which begins and ends with `/`.
    pub fn path(&self) -> &str {
        &self.text[self.path_start..]
    }

    /// The host part.
    pub fn host(&self) -> &PrefixHost {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the scheme is https.
    pub fn is_https(&self) -> bool {
        self.https
    }

    fn covers(&self, url: &PrefixUrl<'_>) -> bool {
        self.https == url.https && self.port == url.port && self.covers_path(url.path)
    }

    /// Whole segments: `/a/` covers `/a` and `/a/b`, not `/ab`.
    fn covers_path(&self, path: &str) -> bool {
        let own = self.path();
        let own = &own[..own.len() - 1];
        let Some(start) = path.get(..own.len()) else {
            return false;
        };
        start.eq_ignore_ascii_case(own)
            && matches!(path.as_bytes().get(own.len()), None | Some(b'/'))
    }
}

/// What a prefix is matched against.
#[derive(Debug, Clone, Copy)]
pub struct PrefixUrl<'a> {
    /// Whether the request came by https.
    pub https: bool,
    /// The request's host without port.
    pub host: &'a str,
    /// The port the request asked for.
    pub port: u16,
    /// The local address it came to, for prefixes bound to one.
    pub local: Option<std::net::IpAddr>,
    /// The request's path.
    pub path: &'a str,
}

/// The prefix http.sys would choose: buckets in order (strong, explicit, IP-bound, weak), inside
/// one the longest path by whole segments; the first bucket with a match ends the search.
pub fn find<'a>(prefixes: &'a [UrlPrefix], url: &PrefixUrl<'_>) -> Option<&'a UrlPrefix> {
    let bucket = |prefix: &UrlPrefix| match &prefix.host {
        PrefixHost::Strong => Some((0, 0)),
        PrefixHost::Explicit(host) => match host.strip_prefix('*') {
            // An exact name goes before a wildcard, a longer suffix before a shorter one.
            Some(suffix) => {
                let at = url
                    .host
                    .len()
                    .checked_sub(suffix.len())
                    .filter(|at| *at > 0)?;
                let end = url.host.get(at..)?;
                end.eq_ignore_ascii_case(suffix)
                    .then_some((1, usize::MAX - suffix.len()))
            }
            None => url.host.eq_ignore_ascii_case(host).then_some((1, 0)),
        },
        PrefixHost::IpBound(ip) => (url.local == Some(*ip)).then_some((2, 0)),
        PrefixHost::Weak => Some((3, 0)),
    };
    prefixes
        .iter()
        .filter(|prefix| prefix.covers(url))
        .filter_map(|prefix| bucket(prefix).map(|bucket| (bucket, prefix)))
        .min_by_key(|(bucket, prefix)| (*bucket, usize::MAX - prefix.path().len()))
        .map(|(_, prefix)| prefix)
}

impl fmt::Display for UrlPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for PrefixHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Strong => f.write_str("+"),
            Self::Explicit(name) => f.write_str(name),
            Self::IpBound(std::net::IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::IpBound(std::net::IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Weak => f.write_str("*"),
        }
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), &'static str> {
    if let Some(rest) = authority.strip_prefix('[') {
        let end = rest.find(']').ok_or("its IPv6 address lacks ]")? + 2;
        let (host, port) = authority.split_at(end);
        return match port.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if port.is_empty() => Ok((host, None)),
            None => Err("something other than a port follows its IPv6 address"),
        };
    }
    Ok(match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    })
}

fn parse_port(text: &str) -> Option<u16> {
    let canonical = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    canonical.then(|| text.parse().ok()).flatten()
}

fn parse_host(host: &str) -> Result<PrefixHost, &'static str> {
    match host {
        "" => return Err("its host is empty"),
        "+" => return Ok(PrefixHost::Strong),
        "*" => return Ok(PrefixHost::Weak),
        _ => {}
    }
    if let Some(ip) = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        let ip: std::net::Ipv6Addr = ip.parse().map_err(|_| "its IPv6 address does not parse")?;
        return Ok(PrefixHost::IpBound(ip.into()));
    }
    if let Ok(ip) = host.parse::<std::net::Ipv4Addr>() {
        return Ok(PrefixHost::IpBound(ip.into()));
    }
    if host.contains("xn--") {
        return Err("its host is in Punycode; write it in Unicode");
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    if name
        .split('.')
        .any(|label| label.is_empty() || !label.chars().all(allowed))
    {
        return Err("its host is not a name, an IP address, + or *");
    }
    Ok(PrefixHost::Explicit(host.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> String {
        UrlPrefix::parse(text).unwrap().as_str().to_owned()
    }

    #[test]
    fn normalises() {
        assert_eq!(parse("http://*:80/"), "http://*:80/");
        assert_eq!(
            parse("HTTP://Example.COM/App"),
            "http://example.com:80/app/"
        );
        assert_eq!(parse("https://+"), "https://+:443/");
        assert_eq!(parse("http://[::1]:5000/x/"), "http://[::1]:5000/x/");
        assert_eq!(parse("http://10.0.0.1:8080"), "http://10.0.0.1:8080/");
        assert_eq!(
            parse("http://*.example.com:80/"),
            "http://*.example.com:80/"
        );
    }

    #[test]
    fn refuses_what_is_no_prefix() {
        for text in [
            "",
            "*:80",
            "ftp://*:80/",
            "http://",
            "http://:80/",
            "http://*:/",
            "http://*:080/",
            "http://*:0/",
            "http://*:65536/",
            "http://*:+80/",
            "http://*:80x/",
            "http://a b/",
            "http://xn--bcher-kva.example/",
            "http://[::1/",
            "http://[::1]x/",
            "http://[g::1]/",
            "http://*:80/a?b",
            "http://a..b/",
            "http://-*-/",
        ] {
            assert!(UrlPrefix::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn equality_ignores_case() {
        let parse = |text| UrlPrefix::parse(text).unwrap();
        assert_eq!(parse("http://A.com:80/X"), parse("HTTP://a.COM/x/"));
    }

    fn found(prefixes: &[&str], host: &str, path: &str) -> Option<String> {
        let prefixes: Vec<_> = prefixes
            .iter()
            .map(|text| UrlPrefix::parse(text).unwrap())
            .collect();
        let local = Some("10.0.0.1".parse().unwrap());
        let url = PrefixUrl {
            https: false,
            host,
            port: 80,
            local,
            path,
        };
        find(&prefixes, &url).map(|prefix| prefix.as_str().to_owned())
    }

    #[test]
    fn buckets_go_before_longer_paths() {
        let strong = ["http://adatum.com:80/vroot/", "http://+:80/vroot/"];
        assert_eq!(
            found(&strong, "adatum.com", "/vroot/a").unwrap(),
            "http://+:80/vroot/"
        );
        let weak = ["http://*:80/a/b/", "http://10.0.0.1/", "http://h.com/a/"];
        assert_eq!(
            found(&weak, "h.com", "/a/b/c").unwrap(),
            "http://h.com:80/a/"
        );
        assert_eq!(
            found(&weak, "other", "/a/b/c").unwrap(),
            "http://10.0.0.1:80/"
        );
        assert_eq!(found(&["http://*:80/a/"], "x", "/b"), None);
    }

    #[test]
    fn the_longest_whole_segments_win() {
        let prefixes = ["http://*:80/", "http://*:80/dir/sna/"];
        assert_eq!(
            found(&prefixes, "h", "/dir/app.htm").unwrap(),
            "http://*:80/"
        );
        assert_eq!(
            found(&prefixes, "h", "/DIR/sna/x").unwrap(),
            "http://*:80/dir/sna/"
        );
        assert_eq!(
            found(&prefixes, "h", "/dir/sna").unwrap(),
            "http://*:80/dir/sna/"
        );
        assert_eq!(found(&prefixes, "h", "/dir/snake").unwrap(), "http://*:80/");
    }

    #[test]
    fn sub_domain_wildcards_are_explicit() {
        let prefixes = ["http://*:80/", "http://*.a.com/", "http://x.a.com/"];
        assert_eq!(
            found(&prefixes, "y.a.com", "/").unwrap(),
            "http://*.a.com:80/"
        );
        assert_eq!(
            found(&prefixes, "x.a.com", "/").unwrap(),
            "http://x.a.com:80/"
        );
        assert_eq!(found(&prefixes, "a.com", "/").unwrap(), "http://*:80/");
    }
}
