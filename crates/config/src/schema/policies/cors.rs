//! `Cors` as it is written.

use std::time::Duration;

/// `Cors`: the policies that routes name (ASP.NET's `CorsOptions`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CorsConfig {
    /// `DefaultPolicy`: what a route means that says `Default`.
    pub default_policy: Option<CorsPolicyConfig>,
    /// `Policies`, by name.
    pub policies: Vec<(String, CorsPolicyConfig)>,
}

/// One policy (ASP.NET's `CorsPolicy`). A list that is `[ "*" ]` is any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CorsPolicyConfig {
    /// `Origins`: `*`, or origins such as `https://example.com` and `https://*.example.com`.
    pub origins: Vec<String>,
    /// `Methods`: `*`, or what a preflight response lists.
    pub methods: Vec<String>,
    /// `Headers`: `*`, or what a preflight response lists.
    pub headers: Vec<String>,
    /// `ExposedHeaders`: the response's fields that scripts may read.
    pub exposed_headers: Vec<String>,
    /// `SupportsCredentials`.
    pub supports_credentials: bool,
    /// `PreflightMaxAge`: for how long a preflight response may be kept.
    pub preflight_max_age: Option<Duration>,
}

impl CorsConfig {
    /// The names of the policies, for routes to be checked against.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(|(name, _)| name.as_str())
    }
}
