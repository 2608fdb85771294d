//! The configuration as it is written: one type an object of YARP's schema, defaults not applied.

mod action;
mod cluster;
mod header_encoding;
mod health_check;
mod http_client;
mod http_request;
mod metadata;
mod policies;
mod route;
mod session_affinity;

pub use action::{LocationPart, LocationTemplate, RedirectConfig, RespondConfig};
pub use cluster::{ClusterConfig, ConnectionLifetime, DestinationConfig, OstlerClusterConfig};
pub use header_encoding::HeaderEncoding;
pub use health_check::{ActiveHealthCheckConfig, HealthCheckConfig, PassiveHealthCheckConfig};
pub use http_client::{HttpClientConfig, SslProtocols, WebProxyConfig};
pub use http_request::{ActivityTimeout, HttpRequestConfig, HttpVersion, HttpVersionPolicy};
pub use metadata::Metadata;
pub use policies::{
    AuthorizationConfig, AuthorizationPolicyConfig, BearerConfig, CorsConfig, CorsPolicyConfig,
    JsonWebKeySource, LimiterAlgorithm, LimiterConfig, OutputCacheConfig, PartitionBy,
    PoliciesConfig, QueueProcessingOrder, RateLimiterConfig, RequestTimeoutConfig,
    RequestTimeoutsConfig, SigningKeyConfig,
};
pub use route::{
    HeaderMatchConfig, HeaderMatchMode, MatchConfig, QueryParameterMatchConfig,
    QueryParameterMatchMode, RouteConfig,
};
pub use session_affinity::{
    CookieSameSite, CookieSecurePolicy, SessionAffinityConfig, SessionAffinityCookieConfig,
};

/// The `ReverseProxy` section.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProxyConfig {
    /// `Routes`, in configuration order: integer keys first, then without case.
    pub routes: Vec<RouteConfig>,
    /// `Clusters`, in the same order.
    pub clusters: Vec<ClusterConfig>,
    /// `Pipeline`: the steps of the proxy pipeline; `None` is YARP's default of the first three.
    pub pipeline: Option<Vec<String>>,
    /// The policies that routes name, from sections beside this one.
    pub policies: PoliciesConfig,
}
