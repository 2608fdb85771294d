//! The limits on what clients may do, as a front is given them.

use std::sync::Arc;
use std::time::Duration;

use ostler_config::{
    AllowedHosts, DataRate, ForwardedHeadersConfig, Http2Limits, HttpsRedirectionConfig,
    LimitsConfig,
};
use ostler_delegation::entry::RequestEntry;
use ostler_http1::Limits;

use crate::error_pages::ErrorPages;
use crate::https_only::Hsts;

/// What a client may send, and how long it may take.
#[derive(Debug, Clone)]
pub struct FrontLimits {
    /// Bounds of a request's head.
    pub http1: Limits,
    /// How long a connection may be idle between requests. 120 s by default.
    pub keep_alive_timeout: Duration,
    /// How long a head may take from its first byte to its last. 30 s by default.
    pub head_timeout: Duration,
    /// Most bytes of a request's body where its route does not say otherwise. 30,000,000 by
    /// default; `None` is any number.
    pub max_request_body_size: Option<u64>,
    /// The least a client must send of a body that is waited for; `None` is nothing.
    pub min_request_body_data_rate: Option<DataRate>,
    /// The least a client must take of a response; `None` is nothing.
    pub min_response_data_rate: Option<DataRate>,
    /// How long a body that is waited for may be silent, whatever the rate; `None` is for ever.
    pub entity_body_timeout: Option<Duration>,
    /// Most connections, upgraded ones excepted; one more is closed at once. `None` is any number.
    pub max_concurrent_connections: Option<usize>,
    /// Most upgraded connections; one more is not upgraded. Those that a target has taken over are
    /// not known here and do not count. `None` is any number.
    pub max_concurrent_upgraded_connections: Option<usize>,
    /// Most connections of one IPv4 address or one /64 of IPv6, of those that came since there is
    /// this limit. `None` is any number.
    pub max_connections_per_address: Option<usize>,
    /// The hosts that requests may name; another is answered 400.
    pub allowed_hosts: AllowedHosts,
    /// Whom the front believes who the client is; `None` is nobody.
    pub forwarded_headers: Option<ForwardedHeadersConfig>,
    /// Where clients that ask by http are sent; `None` lets them.
    pub https_redirection: Option<HttpsRedirectionConfig>,
    /// What browsers are told to remember.
    pub hsts: Option<Hsts>,
    /// What is said with an error.
    pub error_pages: Arc<ErrorPages>,
    /// What a client may ask of an HTTP/2 connection.
    pub http2: Http2Limits,
    /// How long requests wait for a queue whose last instance has left, be it that nobody says whether
    /// another comes; then they are answered 503. 10 s by default.
    pub queue_retention: Duration,
}

impl Default for FrontLimits {
    /// What is in force where the configuration says nothing.
    fn default() -> Self {
        Self::from(&LimitsConfig::default())
    }
}

impl From<&LimitsConfig> for FrontLimits {
    /// Those of the configuration; any host may be named.
    fn from(limits: &LimitsConfig) -> Self {
        Self {
            http1: Limits {
                request_line: limits.request_line,
                field_lines: limits.field_lines,
                fields: limits.fields,
            },
            keep_alive_timeout: limits.keep_alive_timeout,
            head_timeout: limits.head_timeout,
            max_request_body_size: limits.max_request_body_size,
            min_request_body_data_rate: limits.min_request_body_data_rate,
            min_response_data_rate: limits.min_response_data_rate,
            entity_body_timeout: limits.entity_body_timeout,
            max_concurrent_connections: limits.max_concurrent_connections,
            max_concurrent_upgraded_connections: limits.max_concurrent_upgraded_connections,
            max_connections_per_address: limits.max_connections_per_address,
            allowed_hosts: AllowedHosts::default(),
            forwarded_headers: None,
            https_redirection: None,
            hsts: None,
            error_pages: Arc::default(),
            http2: limits.http2,
            queue_retention: limits.queue_retention,
        }
    }
}

/// The longest head that travels in an entry; a request with a longer one is relayed. Rings have room
/// for such entries, and few requests use it.
pub(crate) fn longest_head(limits: &Limits) -> usize {
    limits.field_lines.min(RequestEntry::LONGEST_HEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_have_the_same_bounds_by_default_wherever_they_are_read() {
        assert_eq!(FrontLimits::default().http1, Limits::default());
    }
}
