//! A cluster as it is written, and its destinations.

use std::time::Duration;

use super::{
    ActivityTimeout, HealthCheckConfig, HttpClientConfig, HttpRequestConfig, Metadata,
    SessionAffinityConfig,
};

/// One entry of `Clusters`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClusterConfig {
    /// The key of the entry; unique without case.
    pub cluster_id: String,
    /// Where requests may go, in configuration order.
    pub destinations: Vec<DestinationConfig>,
    /// Name of the load balancing policy; absent is `PowerOfTwoChoices`.
    pub load_balancing_policy: Option<String>,
    /// `SessionAffinity`; `None` when it is absent or not enabled, as YARP reads it.
    pub session_affinity: Option<SessionAffinityConfig>,
    /// `HealthCheck`.
    pub health_check: HealthCheckConfig,
    /// `HttpClient`, apart from `max_connections_per_server`.
    pub http_client: HttpClientConfig,
    /// `HttpRequest`, apart from `activity_timeout`.
    pub http_request: HttpRequestConfig,
    /// `HttpRequest:ActivityTimeout`; absent is 100 seconds.
    pub activity_timeout: Option<ActivityTimeout>,
    /// `HttpClient:MaxConnectionsPerServer`: most HTTP/1.1 connections to one destination endpoint,
    /// at least 1; absent is no limit.
    pub max_connections_per_server: Option<u32>,
    /// `Ostler`: what YARP has no setting for.
    pub ostler: OstlerClusterConfig,
    /// Free-form settings.
    pub metadata: Metadata,
}

/// `Ostler` of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OstlerClusterConfig {
    /// `TryOtherDestinations`: whether a request that a destination cannot be sent, since no
    /// connection to it opens, goes to another available one; absent is true.
    pub try_other_destinations: Option<bool>,
    /// `PooledConnectionLifetime`: how long connections to destinations are used; absent is two
    /// minutes where a destination has a name, which may move, and any time where it has an address.
    pub pooled_connection_lifetime: Option<ConnectionLifetime>,
    /// `Leases`: whether targets may read the next requests of connections themselves.
    pub leases: Option<bool>,
}

impl OstlerClusterConfig {
    /// Whether targets may read the next requests of connections themselves.
    pub fn grants_leases(&self) -> bool {
        self.leases.unwrap_or(true)
    }
}

/// How long a connection is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionLifetime {
    /// Any time.
    Infinite,
    /// So long; exchanges under way then are brought to their end.
    After(Duration),
}

/// One entry of `Destinations`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DestinationConfig {
    /// The key of the entry; unique within the cluster without case.
    pub destination_id: String,
    /// URI prefix the request is forwarded to; of a delegated destination, the queue's URL prefix.
    pub address: String,
    /// Base of active health probes; falls back to `address`.
    pub health: Option<String>,
    /// `Host` field for this destination.
    pub host: Option<String>,
    /// Free-form settings; `HttpSysDelegationQueue` names a request queue.
    pub metadata: Metadata,
}
