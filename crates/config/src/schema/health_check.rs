//! `HealthCheck` of a cluster as it is written.

use std::time::Duration;

/// `HealthCheck` of a cluster (reference A1.9).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HealthCheckConfig {
    /// Which destinations may be given requests; absent is `HealthyOrPanic`.
    pub available_destinations_policy: Option<String>,
    /// Probes.
    pub active: ActiveHealthCheckConfig,
    /// Judging by how exchanges end.
    pub passive: PassiveHealthCheckConfig,
}

/// `HealthCheck:Active`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ActiveHealthCheckConfig {
    /// Whether destinations are probed.
    pub enabled: bool,
    /// Time between probes; absent is 15 seconds. Positive in a valid configuration when enabled.
    pub interval: Option<Duration>,
    /// Time a probe may take; absent is 10 seconds. Positive in a valid configuration when enabled.
    pub timeout: Option<Duration>,
    /// What probes mean for a destination's health; absent is `ConsecutiveFailures`.
    pub policy: Option<String>,
    /// Path of a probe, appended to the destination's base; it should begin with `/`.
    pub path: Option<String>,
    /// Query of a probe; it should begin with `?`.
    pub query: Option<String>,
}

/// `HealthCheck:Passive`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PassiveHealthCheckConfig {
    /// Whether the ends of exchanges are judged.
    pub enabled: bool,
    /// What they mean for a destination's health; absent is `TransportFailureRate`.
    pub policy: Option<String>,
    /// After how long an unhealthy destination is unknown again; absent is 60 seconds. Positive in
    /// a valid configuration when enabled.
    pub reactivation_period: Option<Duration>,
}
