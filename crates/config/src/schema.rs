//! The configuration as it is written: one type an object of YARP's schema, defaults not applied.

use std::collections::BTreeMap;
use std::time::Duration;

/// Free-form settings of a route, cluster or destination; keys compare without case.
pub type Metadata = BTreeMap<String, String>;

/// The `ReverseProxy` section.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProxyConfig {
    /// `Routes`, in configuration order: integer keys first, then without case.
    pub routes: Vec<RouteConfig>,
    /// `Clusters`, in the same order.
    pub clusters: Vec<ClusterConfig>,
    /// `Pipeline`: the steps of the proxy pipeline; `None` is YARP's default of the first three.
    pub pipeline: Option<Vec<String>>,
}

/// One entry of `Routes`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RouteConfig {
    /// The key of the entry; unique without case.
    pub route_id: String,
    /// The cluster that answers; whether it exists is decided for each request (503).
    pub cluster_id: Option<String>,
    /// What a request must look like.
    pub matches: MatchConfig,
    /// Lower wins; absent counts as 0.
    pub order: Option<i32>,
    /// Name of an authorization policy.
    pub authorization_policy: Option<String>,
    /// Name of a rate limiter policy.
    pub rate_limiter_policy: Option<String>,
    /// Name of an output cache policy.
    pub output_cache_policy: Option<String>,
    /// Name of a request timeout policy; excludes `timeout`.
    pub timeout_policy: Option<String>,
    /// Time allowed for the whole exchange.
    pub timeout: Option<Duration>,
    /// Name of a CORS policy.
    pub cors_policy: Option<String>,
    /// Largest request body in bytes; -1 is unlimited.
    pub max_request_body_size: Option<i64>,
    /// Free-form settings.
    pub metadata: Metadata,
    /// Transforms in the order they apply.
    pub transforms: Vec<BTreeMap<String, String>>,
}

/// `Match` of a route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MatchConfig {
    /// Path template; `None` matches any path.
    pub path: Option<String>,
    /// Hosts, any of which matches; empty matches any host.
    pub hosts: Vec<String>,
    /// Methods, any of which matches; empty matches any method.
    pub methods: Vec<String>,
    /// Header rules, all of which must hold.
    pub headers: Vec<HeaderMatchConfig>,
    /// Query rules, all of which must hold.
    pub query_parameters: Vec<QueryParameterMatchConfig>,
}

/// One entry of `Match:Headers`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HeaderMatchConfig {
    /// Field name, compared without case.
    pub name: String,
    /// Values, any of which may hold.
    pub values: Vec<String>,
    /// How values are compared.
    pub mode: HeaderMatchMode,
    /// Whether values compare with case.
    pub is_case_sensitive: bool,
}

/// How a header rule compares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HeaderMatchMode {
    /// Some item equals some value.
    #[default]
    ExactHeader,
    /// Some item starts with some value.
    HeaderPrefix,
    /// Some line contains some value.
    Contains,
    /// No line contains any value, or the header is absent or empty.
    NotContains,
    /// The header is present and not empty.
    Exists,
    /// The header is absent or empty.
    NotExists,
}

/// One entry of `Match:QueryParameters`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueryParameterMatchConfig {
    /// Parameter name, compared without case.
    pub name: String,
    /// Values, any of which may hold.
    pub values: Vec<String>,
    /// How values are compared.
    pub mode: QueryParameterMatchMode,
    /// Whether values compare with case.
    pub is_case_sensitive: bool,
}

/// How a query rule compares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueryParameterMatchMode {
    /// Some value equals.
    #[default]
    Exact,
    /// Some value contains.
    Contains,
    /// No value contains, or the parameter is absent or empty.
    NotContains,
    /// Some value starts with.
    Prefix,
    /// The parameter is present and not empty.
    Exists,
}

/// One entry of `Clusters`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClusterConfig {
    /// The key of the entry; unique without case.
    pub cluster_id: String,
    /// Where requests may go, in configuration order.
    pub destinations: Vec<DestinationConfig>,
    /// Name of the load balancing policy; absent is `PowerOfTwoChoices`.
    pub load_balancing_policy: Option<String>,
    /// `HttpRequest:ActivityTimeout`; absent is 100 seconds.
    pub activity_timeout: Option<ActivityTimeout>,
    /// `HttpClient:MaxConnectionsPerServer`.
    pub max_connections_per_server: Option<u32>,
    /// Free-form settings.
    pub metadata: Metadata,
}

/// How long a forwarded exchange may be idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivityTimeout {
    /// Ends after this long without a byte in either direction.
    After(Duration),
    /// `-00:00:00.001`: never.
    Infinite,
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
