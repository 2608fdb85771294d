//! What tells connections to destinations apart: those with the same key serve the same requests.

use std::path::PathBuf;

/// Where to connect, and whom to expect there: connections are pooled by this.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ConnectionKey {
    pub(super) is_https: bool,
    /// A socket in the file system, which is connected to in the place of host and port.
    pub(super) socket: Option<PathBuf>,
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    /// The name asked for and checked in a TLS handshake (reference B3.5): the outgoing
    /// `Host` without its port. Without TLS it makes no difference, and is empty.
    pub(super) server_name: String,
}

impl ConnectionKey {
    /// Whether it is a name that leads there, and not an address.
    pub(super) fn has_name(&self) -> bool {
        self.host.parse::<std::net::IpAddr>().is_err()
    }
}

pub(super) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}
