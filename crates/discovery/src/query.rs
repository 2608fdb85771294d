//! What is asked for, and what comes of it.

use std::fmt;
use std::net::IpAddr;

/// A question whose answer is where destinations are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Query {
    /// The addresses of a name (A and AAAA).
    Host(String),
    /// Who offers a service, and at which port (SRV): `_http._tcp.example.com`.
    Service(String),
}

/// Where a destination is. The order is that of destinations: answers come in any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Endpoint {
    pub(crate) ip: IpAddr,
    /// The port, where the answer says it.
    pub(crate) port: Option<u16>,
}

impl Query {
    /// What a host of an `Address` asks for.
    pub(crate) fn of_host(host: &str) -> Self {
        let host = host.to_owned();
        match service_in(&host) {
            Some(_) => Self::Service(host),
            None => Self::Host(host),
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Host(name) | Self::Service(name) => name,
        }
    }
}

/// The name whose service is meant: what follows `_port._proto.`.
pub(crate) fn service_in(host: &str) -> Option<&str> {
    let (port, rest) = host.strip_prefix('_')?.split_once('.')?;
    let (protocol, name) = rest.strip_prefix('_')?.split_once('.')?;
    let is_whole = !port.is_empty() && !protocol.is_empty() && !name.is_empty();
    is_whole.then_some(name)
}

/// As destinations' ids have it.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.ip, self.port) {
            (ip, None) => write!(f, "{ip}"),
            (IpAddr::V4(ip), Some(port)) => write!(f, "{ip}:{port}"),
            (IpAddr::V6(ip), Some(port)) => write!(f, "[{ip}]:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_two_labels_with_underscores() {
        for (host, name) in [
            ("_http._tcp.example.com", Some("example.com")),
            ("_http._tcp.x", Some("x")),
            ("_http.example.com", None),
            ("_._tcp.x", None),
            ("_http._tcp.", None),
            ("a.b.c", None),
        ] {
            assert_eq!(service_in(host), name, "{host}");
        }
    }
}
