//! A route as it is written, with everything below it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::action::{RedirectConfig, RespondConfig};
use super::metadata::Metadata;

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
    /// Where requests are sent instead; excludes `cluster_id` and `respond`.
    pub redirect: Option<RedirectConfig>,
    /// What they are answered instead; excludes the other two.
    pub respond: Option<RespondConfig>,
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
