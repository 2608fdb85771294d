//! The configuration as it is written: one type an object of YARP's schema, defaults not applied.

mod action;
mod cluster;
mod header_encoding;
mod health_check;
mod http_client;
mod http_request;
mod list;
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
pub use list::List;
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
    pub routes: List<RouteConfig>,
    /// `Clusters`, in the same order.
    pub clusters: List<ClusterConfig>,
    /// `Pipeline`: the steps of the proxy pipeline; `None` is YARP's default of the first three.
    pub pipeline: Option<Vec<String>>,
    /// The policies that routes name, from sections beside this one.
    pub policies: PoliciesConfig,
}

impl ProxyConfig {
    /// The same configuration, made of the very routes and clusters of an earlier one where these are equal.
    #[must_use]
    pub fn sharing(self, earlier: &Self) -> Self {
        Self {
            routes: self.routes.sharing(&earlier.routes, |it| &it.route_id),
            clusters: self
                .clusters
                .sharing(&earlier.clusters, |it| &it.cluster_id),
            ..self
        }
    }
}
