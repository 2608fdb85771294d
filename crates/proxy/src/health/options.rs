//! What code alone may set of active health checks.

use std::time::Duration;

/// What YARP lets code alone set of active health checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveHealthOptions {
    /// Time between rounds of probes where `Active:Interval` says nothing: 15 s.
    pub default_interval: Duration,
    /// Time a probe may take where `Active:Timeout` says nothing: 10 s.
    pub default_timeout: Duration,
}

impl Default for ActiveHealthOptions {
    fn default() -> Self {
        Self {
            default_interval: Duration::from_secs(15),
            default_timeout: Duration::from_secs(10),
        }
    }
}
