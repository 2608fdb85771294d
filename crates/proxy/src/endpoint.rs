//! Listening addresses: `http://host:port`, `https://host:port` or `http://unix:/path`.

mod inherited;
mod sockets;
mod unix;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ostler_config::{HttpProtocols, TrustedNetworks};

use crate::tls::TlsEndpoint;
pub(crate) use inherited::Claim;
pub use inherited::{InheritedSockets, SocketOrigin};
pub(crate) use sockets::{Bound, ListenAddress, ThreadSocket};

/// An address that is listened on, and how clients are spoken with.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// What the configuration calls it, if anything. A socket of this name that the service manager
    /// passes is this endpoint's, wherever it listens.
    pub name: Option<String>,
    /// Where.
    pub url: ListenUrl,
    /// Versions of HTTP in clear text; over TLS each host has its own.
    pub protocols: HttpProtocols,
    /// What clients are told over TLS; none where the URL is http.
    pub tls: Option<Arc<TlsEndpoint>>,
    /// Whose connections begin with a PROXY header, which says who the client is. Nobody's by default.
    pub proxy_protocol: Arc<TrustedNetworks>,
}

impl Endpoint {
    /// Whether this is listened on already where `other` is.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same_tls = match (&self.tls, &other.tls) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => self.protocols == other.protocols,
            _ => false,
        };
        self.url == other.url && same_tls && self.proxy_protocol == other.proxy_protocol
    }

    /// One in clear text.
    pub fn clear(url: ListenUrl) -> Self {
        Self {
            name: None,
            url,
            protocols: HttpProtocols::default(),
            tls: None,
            proxy_protocol: Arc::default(),
        }
    }
}

/// Where to listen, as `Urls` says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenUrl {
    text: String,
    is_https: bool,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Tcp {
        addresses: Vec<SocketAddr>,
        /// The second of two addresses may be missing on a host without its family.
        optional_second: bool,
    },
    Unix(PathBuf),
}

/// A URL that cannot be listened on.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot listen on {url:?}: {reason}")]
pub struct ListenUrlError {
    url: String,
    reason: &'static str,
}

impl ListenUrl {
    /// Reads `http://host:port` or `https://host:port`: an IP address, `localhost` (both loopback
    /// addresses), or `*`, `+`, `[::]` and any other name for all addresses, as Kestrel does. Port 80,
    /// or 443, where none is given. After `http://unix:` or `https://unix:` comes the path of a socket.
    ///
    /// # Errors
    ///
    /// When the scheme is neither, the port is no port, or there is a base path.
    pub fn parse(url: &str) -> Result<Self, ListenUrlError> {
        let text = url.trim().to_owned();
        let parsed = parse(&text);
        let (is_https, place) = parsed.map_err(|reason| ListenUrlError {
            url: url.to_owned(),
            reason,
        })?;
        Ok(Self {
            text,
            is_https,
            place,
        })
    }

    /// Whether it is an https URL.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// The URL as given.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn parse(url: &str) -> Result<(bool, Place), &'static str> {
    let without = |scheme: &str| match url.split_at_checked(scheme.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(scheme) => Some(rest),
        _ => None,
    };
    let (is_https, rest) = match (without("http://"), without("https://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => return Err("it starts neither with http:// nor with https://"),
    };
    const BASE_PATH: &str = "it has a path; a base path is not supported";
    if let Some(path) = rest.strip_prefix("unix:") {
        return match path.split_once(':').unwrap_or((path, "")) {
            (_, base) if !base.is_empty() => Err(BASE_PATH),
            (path, _) if path.starts_with('/') => Ok((is_https, Place::Unix(path.into()))),
            _ => Err("the path of its socket does not begin with /"),
        };
    }
    let authority = match rest.split_once('/') {
        None => rest,
        Some((authority, "")) => authority,
        Some(_) => return Err(BASE_PATH),
    };
    let default_port = if is_https { 443 } else { 80 };
    Ok((
        is_https,
        tcp(&authority.to_ascii_lowercase(), default_port)?,
    ))
}

fn tcp(authority: &str, default_port: u16) -> Result<Place, &'static str> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (
            host,
            port.parse()
                .map_err(|_| "its port is not a number up to 65535")?,
        ),
        _ => (authority, default_port),
    };
    let v4 = |ip: Ipv4Addr| SocketAddr::new(IpAddr::V4(ip), port);
    let v6 = |ip: Ipv6Addr| SocketAddr::new(IpAddr::V6(ip), port);
    let both = |addresses: [SocketAddr; 2]| Place::Tcp {
        addresses: addresses.to_vec(),
        optional_second: true,
    };
    let one = |address| Place::Tcp {
        addresses: vec![address],
        optional_second: false,
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    if host.is_empty() {
        return Err("its host is empty");
    }
    if host == "localhost" {
        return Ok(both([v4(Ipv4Addr::LOCALHOST), v6(Ipv6Addr::LOCALHOST)]));
    }
    if let Some(ip) = bare {
        let ip = ip.parse().map_err(|_| "its IPv6 address does not parse")?;
        return Ok(match ip {
            // Kestrel's is one socket for both families. Two, and clients of IPv4 have their addresses
            // as they are, without ::ffff: in front.
            Ipv6Addr::UNSPECIFIED => both([v6(ip), v4(Ipv4Addr::UNSPECIFIED)]),
            _ => one(v6(ip)),
        });
    }
    Ok(match host.parse() {
        Ok(ip) => one(v4(ip)),
        Err(_) => both([v4(Ipv4Addr::UNSPECIFIED), v6(Ipv6Addr::UNSPECIFIED)]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(url: &str) -> Vec<String> {
        match ListenUrl::parse(url).unwrap().place {
            Place::Tcp { addresses, .. } => addresses.iter().map(ToString::to_string).collect(),
            Place::Unix(path) => vec![path.display().to_string()],
        }
    }

    #[test]
    fn reads_what_kestrel_reads() {
        assert_eq!(
            addresses("http://localhost:5000"),
            ["127.0.0.1:5000", "[::1]:5000"]
        );
        assert_eq!(addresses("HTTP://127.0.0.1:0/"), ["127.0.0.1:0"]);
        assert_eq!(addresses("http://[::1]:81"), ["[::1]:81"]);
        assert_eq!(addresses("http://[::]:81"), ["[::]:81", "0.0.0.0:81"]);
        assert_eq!(addresses("http://unix:/run/A.sock"), ["/run/A.sock"]);
        assert_eq!(addresses("HTTP://unix:/run/a.sock:"), ["/run/a.sock"]);
        assert_eq!(addresses("http://*:80"), ["0.0.0.0:80", "[::]:80"]);
        assert_eq!(addresses("http://10.0.0.1"), ["10.0.0.1:80"]);
        assert_eq!(addresses("https://10.0.0.1"), ["10.0.0.1:443"]);
        assert_eq!(addresses("HTTPS://10.0.0.1:8443"), ["10.0.0.1:8443"]);
    }

    #[test]
    fn says_what_is_wrong() {
        let reason = |url| ListenUrl::parse(url).unwrap_err().to_string();
        assert!(reason("ftp://localhost").contains("https://"));
        assert!(reason("localhost:80").contains("http://"));
        assert!(reason("http://localhost:99999").contains("port"));
        assert!(reason("http://localhost/base").contains("path"));
        assert!(reason("http://:80").contains("host"));
        assert!(reason("http://unix:a.sock").contains("begin with /"));
        assert!(reason("http://unix:/a.sock:/base").contains("base path"));
    }
}
