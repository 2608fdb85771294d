//! Listening addresses: `http://host:port` or `https://host:port`, bound once a thread so that the
//! kernel shares out.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ostler_config::HttpProtocols;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

use crate::tls::TlsEndpoint;

/// An address that is listened on, and how clients are spoken with.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where.
    pub url: ListenUrl,
    /// Versions of HTTP in clear text; over TLS each host has its own.
    pub protocols: HttpProtocols,
    /// What clients are told over TLS; none where the URL is http.
    pub tls: Option<Arc<TlsEndpoint>>,
}

impl Endpoint {
    /// Whether this is listened on already where `other` is.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same_tls = match (&self.tls, &other.tls) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => self.protocols == other.protocols,
            _ => false,
        };
        self.url == other.url && same_tls
    }

    /// One in clear text.
    pub fn clear(url: ListenUrl) -> Self {
        Self {
            url,
            protocols: HttpProtocols::default(),
            tls: None,
        }
    }
}

/// Where to listen, as `Urls` says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenUrl {
    text: String,
    is_https: bool,
    addresses: Vec<SocketAddr>,
    /// The second of two addresses may be missing on a host without IPv6.
    optional_second: bool,
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
    /// addresses), or `*`, `+` and any other name for all addresses, as Kestrel does. Port 80, or 443,
    /// where none is given.
    ///
    /// # Errors
    ///
    /// When the scheme is neither, the port is no port, or there is a path.
    pub fn parse(url: &str) -> Result<Self, ListenUrlError> {
        let error = |reason| ListenUrlError {
            url: url.to_owned(),
            reason,
        };
        let url = url.trim();
        let lower = url.to_ascii_lowercase();
        let (is_https, rest) = match (
            lower.strip_prefix("http://"),
            lower.strip_prefix("https://"),
        ) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return Err(error("it starts neither with http:// nor with https://")),
        };
        let authority = match rest.split_once('/') {
            None => rest,
            Some((authority, "")) => authority,
            Some(_) => return Err(error("it has a path; a base path is not supported")),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (
                host,
                port.parse()
                    .map_err(|_| error("its port is not a number up to 65535"))?,
            ),
            _ => (authority, if is_https { 443 } else { 80 }),
        };
        let v4 = |ip: Ipv4Addr| SocketAddr::new(IpAddr::V4(ip), port);
        let v6 = |ip: Ipv6Addr| SocketAddr::new(IpAddr::V6(ip), port);
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let (addresses, optional_second) = if host.is_empty() {
            return Err(error("its host is empty"));
        } else if host == "localhost" {
            (vec![v4(Ipv4Addr::LOCALHOST), v6(Ipv6Addr::LOCALHOST)], true)
        } else if let Some(ip) = bare {
            (
                vec![v6(ip
                    .parse()
                    .map_err(|_| error("its IPv6 address does not parse"))?)],
                false,
            )
        } else if let Ok(ip) = host.parse() {
            (vec![v4(ip)], false)
        } else {
            (
                vec![v4(Ipv4Addr::UNSPECIFIED), v6(Ipv6Addr::UNSPECIFIED)],
                true,
            )
        };
        Ok(Self {
            text: url.to_owned(),
            is_https,
            addresses,
            optional_second,
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

/// One listening address, bound once for each thread.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) address: SocketAddr,
    pub(crate) sockets: Vec<std::net::TcpListener>,
}

/// Binds a URL's addresses for so many threads.
pub(crate) fn bind(url: &ListenUrl, threads: usize) -> io::Result<Vec<Bound>> {
    let mut bound: Vec<Bound> = Vec::new();
    for (at, address) in url.addresses.iter().enumerate() {
        let mut address = *address;
        // Port 0 picks one, and the other address of the URL gets the same.
        if let Some(first) = bound.first() {
            address.set_port(first.address.port());
        }
        match bind_address(address, threads) {
            Ok(one) => bound.push(one),
            Err(error) if at > 0 && url.optional_second => {
                tracing::debug!(%address, %error, "the second address is not listened on");
            }
            Err(error) => {
                let text = format!("cannot listen on {} ({address})", url.text);
                return Err(io::Error::new(error.kind(), Cause { text, error }));
            }
        }
    }
    Ok(bound)
}

#[derive(Debug, thiserror::Error)]
#[error("{text}: {error}")]
struct Cause {
    text: String,
    error: io::Error,
}

fn bind_address(mut address: SocketAddr, threads: usize) -> io::Result<Bound> {
    const BACKLOG: i32 = 4096;
    if address.port() != 0 {
        // Sharing a port with another program of this user would split its clients among the two:
        // found out by binding once without sharing.
        net::bind(&socket(address)?, &address)?;
    }
    let mut sockets = Vec::with_capacity(threads);
    for _ in 0..threads {
        let socket = socket(address)?;
        sockopt::set_socket_reuseport(&socket, true)?;
        net::bind(&socket, &address)?;
        net::listen(&socket, BACKLOG)?;
        let socket = std::net::TcpListener::from(socket);
        // The first picks the port where none was asked for.
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok(Bound { address, sockets })
}

fn socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(url: &str) -> Vec<String> {
        let url = ListenUrl::parse(url).unwrap();
        url.addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn reads_what_kestrel_reads() {
        assert_eq!(
            addresses("http://localhost:5000"),
            ["127.0.0.1:5000", "[::1]:5000"]
        );
        assert_eq!(addresses("HTTP://127.0.0.1:0/"), ["127.0.0.1:0"]);
        assert_eq!(addresses("http://[::1]:81"), ["[::1]:81"]);
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
    }
}
