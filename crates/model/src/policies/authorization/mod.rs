//! Authorization: who may use a route (reference A11.1). Whatever is not known to be allowed is not.

mod bearer;
mod key_set;
mod token_error;

use std::sync::Arc;

use ostler_config::schema::{AuthorizationConfig, AuthorizationPolicyConfig, RouteConfig};
use serde_json::Value;

use crate::ordinal;

pub use bearer::{BearerScheme, Claims};
pub use key_set::{JsonWebKeysError, KeySet, WeakKey};
pub use token_error::TokenError;

/// The policies of a configuration and what they are checked with.
#[derive(Debug, Default)]
pub(super) struct Authorization {
    scheme: Option<Arc<BearerScheme>>,
    policies: Vec<(String, Arc<AuthorizationPolicyConfig>)>,
    default: Arc<AuthorizationPolicyConfig>,
    fallback: Option<Arc<AuthorizationPolicyConfig>>,
}

/// Who may use a route.
#[derive(Debug, Clone)]
pub struct RouteAuthorization {
    /// `None` where there is no scheme: nobody is authenticated then.
    scheme: Option<Arc<BearerScheme>>,
    /// `None` where there is no policy of the name: nobody is allowed then.
    policy: Option<Arc<AuthorizationPolicyConfig>>,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Authorized {
    /// It goes on.
    Allowed,
    /// It is not known who asks: there is no token, or one that is wrong.
    Challenge(Option<TokenError>),
    /// It is known who asks, and they may not.
    Forbidden,
}

impl Authorization {
    pub(super) fn resolve(config: &AuthorizationConfig, before: &Self) -> Self {
        let scheme = config.bearer.as_ref().map(|bearer| match &before.scheme {
            // It has the keys that were fetched.
            Some(scheme) if scheme.config() == bearer => Arc::clone(scheme),
            _ => Arc::new(BearerScheme::new(bearer.clone())),
        });
        let policies = config.policies.iter();
        Self {
            scheme,
            policies: policies
                .map(|(name, policy)| (name.clone(), Arc::new(policy.clone())))
                .collect(),
            default: Arc::new(config.default_policy.clone().unwrap_or_default()),
            fallback: config.fallback_policy.clone().map(Arc::new),
        }
    }

    /// What a route names; `None` where everybody may.
    pub(super) fn of_route(&self, route: &RouteConfig) -> Option<RouteAuthorization> {
        let name = route.authorization_policy.as_deref();
        let policy = match name.filter(|name| !name.is_empty()) {
            None => Some(Arc::clone(self.fallback.as_ref()?)),
            // Beats the fallback policy.
            Some(name) if ordinal::eq(name, "Anonymous") => return None,
            Some(name) if ordinal::eq(name, "Default") => Some(Arc::clone(&self.default)),
            Some(name) => self
                .policies
                .iter()
                .find(|(known, _)| ordinal::eq(known, name))
                .map(|(_, policy)| Arc::clone(policy)),
        };
        Some(RouteAuthorization {
            scheme: self.scheme.clone(),
            policy,
        })
    }

    pub(super) fn scheme(&self) -> Option<&Arc<BearerScheme>> {
        self.scheme.as_ref()
    }
}

impl RouteAuthorization {
    /// Decides on a request by the token it bears; `now` is in seconds since 1970.
    pub fn decide(&self, token: Option<&str>, now: u64) -> Authorized {
        let (Some(scheme), Some(token)) = (&self.scheme, token) else {
            return Authorized::Challenge(None);
        };
        match scheme.authenticate(token, now) {
            Err(error) => Authorized::Challenge(Some(error)),
            Ok(claims) => match &self.policy {
                Some(policy) if is_satisfied(policy, &claims) => Authorized::Allowed,
                _ => Authorized::Forbidden,
            },
        }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        let same_scheme = match (&self.scheme, &other.scheme) {
            (Some(left), Some(right)) => Arc::ptr_eq(left, right),
            (left, right) => left.is_none() && right.is_none(),
        };
        same_scheme && self.policy == other.policy
    }
}

/// `role` and `roles` are what ASP.NET maps to the third.
const ROLES: [&str; 3] = [
    "role",
    "roles",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
];
/// RFC 8693 section 4.2, and what Microsoft's issuers call it.
const SCOPES: [&str; 2] = ["scope", "scp"];

fn is_satisfied(policy: &AuthorizationPolicyConfig, claims: &Claims) -> bool {
    let claimed = policy.claims.iter().all(|(name, allowed)| {
        let mut values = claims.get(name).into_iter().flat_map(texts);
        values.any(|value| allowed.is_empty() || allowed.contains(&value))
    });
    let of = |names: &[&str]| {
        let values: Vec<_> = names.iter().filter_map(|name| claims.get(*name)).collect();
        values.into_iter().flat_map(texts).collect::<Vec<_>>()
    };
    let in_role =
        policy.roles.is_empty() || of(&ROLES).iter().any(|role| policy.roles.contains(role));
    let scoped = policy.scopes.is_empty()
        || of(&SCOPES).iter().any(|scopes| {
            let mut scopes = scopes.split(' ');
            scopes.any(|scope| policy.scopes.iter().any(|allowed| allowed == scope))
        });
    claimed && in_role && scoped
}

/// The values of a claim: each of an array is one, as in ASP.NET.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Number(_) | Value::Bool(_) => vec![value.to_string()],
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
