//! The parts of a destination's `Address`.

use std::net::IpAddr;

use ostler_config::host_name;

/// `http://name:81/base` in its parts. User information is left out: it is not for the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    scheme: &'a str,
    /// With the brackets of an IPv6 address.
    host: &'a str,
    pub(crate) port: Option<&'a str>,
    /// Path and query.
    rest: &'a str,
}

impl<'a> Address<'a> {
    /// `None` where it is none of HTTP, or names a socket in the file system.
    pub(crate) fn parse(address: &'a str) -> Option<Self> {
        if ostler_config::socket_address::split(address).is_some() {
            return None;
        }
        let (scheme, rest) = address.split_once("://")?;
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let authority = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        // `*` and `+` are URL prefixes' words for any host.
        let is_any = host.is_empty() || host.starts_with(['*', '+']);
        (!is_any).then_some(Self {
            scheme,
            host,
            port,
            rest,
        })
    }

    /// The host as DNS knows it.
    pub(crate) fn host(&self) -> String {
        host_name::to_ascii(self.host).to_ascii_lowercase()
    }

    /// The address that stands in the place of a name.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        let inner = self.host.strip_prefix('[');
        let inner = inner.and_then(|host| host.strip_suffix(']'));
        inner.unwrap_or(self.host).parse().ok()
    }

    /// `host`, with the port unless it is the scheme's own.
    pub(crate) fn authority(&self) -> String {
        let own = match self.scheme.eq_ignore_ascii_case("https") {
            true => "443",
            false => "80",
        };
        match self.port.filter(|port| *port != own) {
            Some(port) => format!("{}:{port}", self.host()),
            None => self.host(),
        }
    }

    /// The same at another host, and port if one is given.
    pub(crate) fn at(&self, ip: IpAddr, port: Option<u16>) -> String {
        let port = match (port, self.port) {
            (Some(port), _) => format!(":{port}"),
            (None, Some(port)) => format!(":{port}"),
            (None, None) => String::new(),
        };
        let host = match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        format!("{}://{host}{port}{}", self.scheme, self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_replaced_and_nothing_else() {
        let v4 = "192.0.2.1".parse().unwrap();
        let v6 = "2001:db8::1".parse().unwrap();
        for (address, host, authority, at_v4, at_v6) in [
            (
                "http://A.test",
                "a.test",
                "a.test",
                "http://192.0.2.1",
                "http://[2001:db8::1]",
            ),
            (
                "https://a.test:8443/x?y",
                "a.test",
                "a.test:8443",
                "https://192.0.2.1:8443/x?y",
                "https://[2001:db8::1]:8443/x?y",
            ),
            (
                "http://user:word@a.test:80/",
                "a.test",
                "a.test",
                "http://192.0.2.1:80/",
                "http://[2001:db8::1]:80/",
            ),
            (
                "http://bücher.test/",
                "xn--bcher-kva.test",
                "xn--bcher-kva.test",
                "http://192.0.2.1/",
                "http://[2001:db8::1]/",
            ),
            (
                "http://[::1]:81/",
                "[::1]",
                "[::1]:81",
                "http://192.0.2.1:81/",
                "http://[2001:db8::1]:81/",
            ),
        ] {
            let parsed = Address::parse(address).unwrap();
            assert_eq!(parsed.host(), host, "{address}");
            assert_eq!(parsed.authority(), authority, "{address}");
            assert_eq!(parsed.at(v4, None), at_v4, "{address}");
            assert_eq!(parsed.at(v6, None), at_v6, "{address}");
        }
        let parsed = Address::parse("http://a.test:81/x").unwrap();
        assert_eq!(parsed.at(v4, Some(9)), "http://192.0.2.1:9/x");
    }

    #[test]
    fn sockets_and_any_host_are_no_names() {
        for address in [
            "http://unix:/run/a.sock",
            "http://*:80/",
            "http://+/",
            "x",
            "http://",
        ] {
            assert_eq!(Address::parse(address), None, "{address}");
        }
    }
}
