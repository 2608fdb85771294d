//! `RequestTimeouts` as it is written.

use std::time::Duration;

/// `RequestTimeouts`: the policies that routes name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestTimeoutsConfig {
    /// `Policies`, each with its name, which compares without case.
    pub policies: Vec<(String, RequestTimeoutConfig)>,
    /// `DefaultPolicy`, of routes that say nothing of timeouts.
    pub default_policy: Option<RequestTimeoutConfig>,
}

impl RequestTimeoutsConfig {
    /// The names of the policies, for routes to be checked against.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(|(name, _)| name.as_str())
    }
}

/// How long an exchange may take, and what is answered when it takes longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestTimeoutConfig {
    /// `Timeout`, whole milliseconds; `None` is no timeout.
    pub timeout: Option<Duration>,
    /// `TimeoutStatusCode`: 504 by default.
    pub status: u16,
}
