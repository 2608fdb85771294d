//! The policies that routes name, which in ASP.NET are written in code, as they are written here.

mod authorization;
mod cors;
mod output_cache;
mod rate_limiter;
mod request_timeouts;

pub use authorization::{
    AuthorizationConfig, AuthorizationPolicyConfig, BearerConfig, JsonWebKeySource,
    SigningKeyConfig,
};
pub use cors::{CorsConfig, CorsPolicyConfig};
pub use output_cache::OutputCacheConfig;
pub use rate_limiter::{
    LimiterAlgorithm, LimiterConfig, PartitionBy, QueueProcessingOrder, RateLimiterConfig,
};
pub use request_timeouts::{RequestTimeoutConfig, RequestTimeoutsConfig};

/// The policies that routes name (reference A11).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PoliciesConfig {
    /// `Cors`.
    pub cors: CorsConfig,
    /// `RateLimiter`.
    pub rate_limiter: RateLimiterConfig,
    /// `OutputCache`.
    pub output_cache: OutputCacheConfig,
    /// `RequestTimeouts`.
    pub request_timeouts: RequestTimeoutsConfig,
    /// `Authorization` and `Authentication`.
    pub authorization: AuthorizationConfig,
}
