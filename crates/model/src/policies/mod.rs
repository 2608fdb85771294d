//! The policies that routes name (reference 11): resolved when a configuration is applied, so that a
//! request finds them on its route.

mod cors;
mod rate_limiter;

use ostler_config::schema::{PoliciesConfig, RouteConfig};

pub use cors::{Cors, CorsField, CorsPolicy, Preflight};
pub use rate_limiter::{Acquired, Permit, RateLimiter, Rejected, RouteLimiters, Waiting};

/// Every policy of a configuration, by name.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    cors: cors::CorsPolicies,
    rate_limiters: rate_limiter::RateLimiters,
}

/// The policies of one route, in the order they are asked in.
#[derive(Debug, Clone, Default)]
pub struct RoutePolicies {
    /// `CorsPolicy`.
    pub cors: Option<Cors>,
    /// `RateLimiterPolicy` and the global limiter.
    pub rate_limiters: Option<RouteLimiters>,
}

impl Policies {
    /// Resolves what is written; what is equal in `before` is taken from there, with its state.
    pub(crate) fn resolve(config: &PoliciesConfig, before: &Self) -> Self {
        Self {
            cors: cors::CorsPolicies::resolve(&config.cors, &before.cors),
            rate_limiters: rate_limiter::RateLimiters::resolve(
                &config.rate_limiter,
                &before.rate_limiters,
            ),
        }
    }

    /// What a route names.
    pub(crate) fn of_route(&self, route: &RouteConfig) -> RoutePolicies {
        RoutePolicies {
            cors: self.cors.of_route(route),
            rate_limiters: self.rate_limiters.of_route(route),
        }
    }
}

impl RoutePolicies {
    /// Whether these are the very same policies.
    pub(crate) fn are(&self, other: &Self) -> bool {
        same(&self.cors, &other.cors, Cors::is)
            && same(
                &self.rate_limiters,
                &other.rate_limiters,
                RouteLimiters::are,
            )
    }
}

fn same<T>(left: &Option<T>, right: &Option<T>, is: impl FnOnce(&T, &T) -> bool) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => is(left, right),
        (None, None) => true,
        _ => false,
    }
}
