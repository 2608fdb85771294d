//! The policies that routes name (reference A11): resolved when a configuration is applied, so that a
//! request finds them on its route.

mod authorization;
mod cors;
mod rate_limiter;
mod request_timeouts;

use std::sync::Arc;

use ostler_config::schema::{PoliciesConfig, RouteConfig};

use crate::equality::same;

pub use authorization::{
    Authorized, BearerScheme, Claims, JsonWebKeysError, KeySet, RouteAuthorization, TokenError,
    WeakKey,
};
pub use cors::{Cors, CorsField, CorsPolicy, Preflight};
pub use rate_limiter::{Acquired, Permit, RateLimiter, Rejected, RouteLimiters, Waiting};
pub use request_timeouts::RequestTimeout;

use authorization::Authorization;
use request_timeouts::RequestTimeouts;

/// Every policy of a configuration, by name.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    cors: cors::CorsPolicies,
    authorization: Authorization,
    rate_limiters: rate_limiter::RateLimiters,
    request_timeouts: RequestTimeouts,
}

/// The policies of one route, in the order they are asked in.
#[derive(Debug, Clone, Default)]
pub struct RoutePolicies {
    /// `CorsPolicy`.
    pub cors: Option<Cors>,
    /// Who may use it; `None` where everybody may.
    pub authorization: Option<RouteAuthorization>,
    /// `RateLimiterPolicy` and the global limiter.
    pub rate_limiters: Option<RouteLimiters>,
    /// How long its exchanges may take.
    pub request_timeout: Option<RequestTimeout>,
}

impl Policies {
    /// Resolves what is written; what is equal in `before` is taken from there, with its state.
    pub(crate) fn resolve(config: &PoliciesConfig, before: &Self) -> Self {
        Self {
            cors: cors::CorsPolicies::resolve(&config.cors, &before.cors),
            authorization: Authorization::resolve(&config.authorization, &before.authorization),
            rate_limiters: rate_limiter::RateLimiters::resolve(
                &config.rate_limiter,
                &before.rate_limiters,
            ),
            request_timeouts: RequestTimeouts::resolve(&config.request_timeouts),
        }
    }

    /// What a route names.
    pub(crate) fn of_route(&self, route: &RouteConfig) -> RoutePolicies {
        RoutePolicies {
            cors: self.cors.of_route(route),
            authorization: self.authorization.of_route(route),
            rate_limiters: self.rate_limiters.of_route(route),
            request_timeout: self.request_timeouts.of_route(route),
        }
    }

    /// How bearers of tokens are known.
    pub(crate) fn bearer_scheme(&self) -> Option<Arc<BearerScheme>> {
        self.authorization.scheme().map(Arc::clone)
    }
}

impl RoutePolicies {
    /// Whether these are the very same policies.
    pub(crate) fn are(&self, other: &Self) -> bool {
        same(&self.cors, &other.cors, Cors::is)
            && same(
                &self.authorization,
                &other.authorization,
                RouteAuthorization::is,
            )
            && same(
                &self.rate_limiters,
                &other.rate_limiters,
                RouteLimiters::are,
            )
            && self.request_timeout == other.request_timeout
    }
}
