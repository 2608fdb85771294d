//! Listening addresses: `http://host:port`, `https://host:port` or `http://unix:/path`. Those of TCP
//! are bound once a thread so that the kernel shares out.

mod unix;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ostler_config::{HttpProtocols, TrustedNetworks};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

use crate::tls::TlsEndpoint;
use unix::SocketFile;

/// Connections that wait to be accepted, at most: what the system allows is usually less.
const BACKLOG: i32 = 4096;

/// An address that is listened on, and how clients are spoken with.
#[derive(Debug, Clone)]
pub struct Endpoint {
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

/// Where something is listened on, with the port that was picked.
#[derive(Debug, Clone)]
pub(crate) enum ListenAddress {
    Tcp(SocketAddr),
    /// Kept for as long as it is listened on: the file goes with it.
    Unix(Arc<SocketFile>),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(file) => write!(f, "unix:{}", file.path().display()),
        }
    }
}

/// One listening address, with a socket for each thread.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) address: ListenAddress,
    pub(crate) sockets: Vec<OwnedFd>,
}

/// Binds a URL's addresses for so many threads.
pub(crate) fn bind(url: &ListenUrl, threads: usize) -> io::Result<Vec<Bound>> {
    match &url.place {
        Place::Unix(path) => {
            let bound = bind_unix(path, threads);
            let bound = bound.map_err(|error| Cause::of(url, &path.display(), error))?;
            Ok(vec![bound])
        }
        Place::Tcp {
            addresses,
            optional_second,
        } => bind_addresses(url, addresses, *optional_second, threads),
    }
}

fn bind_addresses(
    url: &ListenUrl,
    addresses: &[SocketAddr],
    optional_second: bool,
    threads: usize,
) -> io::Result<Vec<Bound>> {
    // Of port 0 the first address gets any, which may be taken in the second's family.
    const TRIES: usize = 10;
    let mut tries = 0;
    let mut bound = Vec::new();
    let mut port = 0;
    while let Some(address) = addresses.get(bound.len()) {
        let mut address = *address;
        if !bound.is_empty() {
            address.set_port(port);
        }
        match bind_address(address, threads) {
            Ok((address, sockets)) => {
                port = address.port();
                let address = ListenAddress::Tcp(address);
                bound.push(Bound { address, sockets });
            }
            Err(error) if is_taken(&error) && addresses[0].port() == 0 && tries < TRIES => {
                tries += 1;
                bound.clear();
            }
            Err(error) if !bound.is_empty() && optional_second && !is_taken(&error) => {
                tracing::debug!(%address, %error, "the second address is not listened on");
                break;
            }
            Err(error) => return Err(Cause::of(url, &address, error)),
        }
    }
    Ok(bound)
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

#[derive(Debug, thiserror::Error)]
#[error("{text}: {error}")]
struct Cause {
    text: String,
    error: io::Error,
}

impl Cause {
    fn of(url: &ListenUrl, at: &dyn fmt::Display, error: io::Error) -> io::Error {
        let text = format!("cannot listen on {} ({at})", url.text);
        io::Error::new(error.kind(), Self { text, error })
    }
}

fn bind_address(mut address: SocketAddr, threads: usize) -> io::Result<(SocketAddr, Vec<OwnedFd>)> {
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
        // The first picks the port where none was asked for.
        address = SocketAddr::try_from(net::getsockname(&socket)?)?;
        sockets.push(socket);
    }
    Ok((address, sockets))
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

/// One socket, which all threads accept from: the kernel shares out no path.
fn bind_unix(path: &Path, threads: usize) -> io::Result<Bound> {
    let (file, socket) = SocketFile::bind(path, BACKLOG)?;
    let copies = (1..threads).map(|_| socket.try_clone());
    let mut sockets = copies.collect::<io::Result<Vec<_>>>()?;
    sockets.push(socket);
    Ok(Bound {
        address: ListenAddress::Unix(Arc::new(file)),
        sockets,
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

    #[test]
    fn a_port_that_is_taken_in_one_family_is_an_error_and_another_is_picked_for_0() {
        let taken = std::net::TcpListener::bind("[::1]:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let url = ListenUrl::parse(&format!("http://localhost:{port}")).unwrap();
        let error = bind(&url, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&format!("[::1]:{port}")));
        let any = bind(&ListenUrl::parse("http://localhost:0").unwrap(), 2).unwrap();
        assert_eq!(any.len(), 2);
    }

    #[test]
    fn a_path_is_one_socket_for_all_threads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.sock");
        let url = ListenUrl::parse(&format!("http://unix:{}", path.display())).unwrap();
        let bound = bind(&url, 3).unwrap();
        assert_eq!(bound[0].sockets.len(), 3);
        assert_eq!(
            bound[0].address.to_string(),
            format!("unix:{}", path.display())
        );
        assert!(bind(&url, 1).unwrap_err().to_string().contains("http.sock"));
        drop(bound);
        assert!(!path.exists());
    }
}
