//! `HttpClient` of a cluster as it is written.

use super::HeaderEncoding;

/// `HttpClient` of a cluster (reference A1.10), apart from `MaxConnectionsPerServer`, which stands
/// in [`ClusterConfig`](super::ClusterConfig).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HttpClientConfig {
    /// TLS versions towards destinations; absent is the implementation's choice.
    pub ssl_protocols: Option<SslProtocols>,
    /// Whether certificates of destinations go unchecked; absent is false.
    pub dangerous_accept_any_server_certificate: Option<bool>,
    /// Whether another HTTP/2 connection is opened when streams run out; absent is true.
    pub enable_multiple_http2_connections: Option<bool>,
    /// What request field values are sent in; absent is as the client sent them.
    pub request_header_encoding: Option<HeaderEncoding>,
    /// What response field values are read as; absent is that the client gets them as they are.
    pub response_header_encoding: Option<HeaderEncoding>,
    /// Proxy before the destinations; `None` where `WebProxy` has no `Address`.
    pub web_proxy: Option<WebProxyConfig>,
}

/// `HttpClient:WebProxy`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebProxyConfig {
    /// Absolute URI of the proxy.
    pub address: String,
    /// Whether local names are reached without it; absent is false.
    pub bypass_on_local: Option<bool>,
    /// Whether the process's credentials are sent to it; absent is false.
    pub use_default_credentials: Option<bool>,
}

/// A set of TLS versions, by the bits of .NET's `SslProtocols`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct SslProtocols(pub i32);

impl SslProtocols {
    /// The implementation's choice.
    pub const NONE: Self = Self(0);
    /// SSL 2.0.
    pub const SSL2: Self = Self(0x000c);
    /// SSL 3.0.
    pub const SSL3: Self = Self(0x0030);
    /// TLS 1.0.
    pub const TLS: Self = Self(0x00c0);
    /// SSL 3.0 and TLS 1.0.
    pub const DEFAULT: Self = Self(0x00f0);
    /// TLS 1.1.
    pub const TLS11: Self = Self(0x0300);
    /// TLS 1.2.
    pub const TLS12: Self = Self(0x0c00);
    /// TLS 1.3.
    pub const TLS13: Self = Self(0x3000);

    /// Whether all of `other` is in this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
