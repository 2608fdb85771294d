//! The policies that routes name (reference 11): resolved when a configuration is applied, so that a
//! request finds them on its route.

use ostler_config::schema::{PoliciesConfig, RouteConfig};

/// Every policy of a configuration, by name.
#[derive(Debug, Default)]
pub(crate) struct Policies {}

/// The policies of one route.
#[derive(Debug, Clone, Default)]
pub struct RoutePolicies {}

impl Policies {
    /// Resolves what is written; what is equal in `before` is taken from there, with its state.
    pub(crate) fn resolve(_config: &PoliciesConfig, _before: &Self) -> Self {
        Self {}
    }

    /// What a route names.
    pub(crate) fn of_route(&self, _route: &RouteConfig) -> RoutePolicies {
        RoutePolicies {}
    }
}

impl RoutePolicies {
    /// Whether these are the very same policies.
    pub(crate) fn are(&self, _other: &Self) -> bool {
        true
    }
}
