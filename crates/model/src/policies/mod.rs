//! The policies that routes name (reference 11): resolved when a configuration is applied, so that a
//! request finds them on its route.

mod authorization;
mod request_timeouts;

use std::sync::Arc;

use ostler_config::schema::{PoliciesConfig, RouteConfig};

pub use authorization::{
    Authorized, BearerScheme, Claims, JsonWebKeysError, KeySet, RouteAuthorization, TokenError,
};
pub use request_timeouts::RequestTimeout;

use authorization::Authorization;
use request_timeouts::RequestTimeouts;

/// Every policy of a configuration, by name.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    authorization: Authorization,
    request_timeouts: RequestTimeouts,
}

/// The policies of one route.
#[derive(Debug, Clone, Default)]
pub struct RoutePolicies {
    /// Who may use it; `None` where everybody may.
    pub authorization: Option<RouteAuthorization>,
    /// How long its exchanges may take.
    pub request_timeout: Option<RequestTimeout>,
}

impl Policies {
    /// Resolves what is written; what is equal in `before` is taken from there, with its state.
    pub(crate) fn resolve(config: &PoliciesConfig, before: &Self) -> Self {
        Self {
            authorization: Authorization::resolve(&config.authorization, &before.authorization),
            request_timeouts: RequestTimeouts::resolve(&config.request_timeouts),
        }
    }

    /// What a route names.
    pub(crate) fn of_route(&self, route: &RouteConfig) -> RoutePolicies {
        RoutePolicies {
            authorization: self.authorization.of_route(route),
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
        let same_authorization = match (&self.authorization, &other.authorization) {
            (Some(left), Some(right)) => left.is(right),
            (left, right) => left.is_none() && right.is_none(),
        };
        same_authorization && self.request_timeout == other.request_timeout
    }
}
