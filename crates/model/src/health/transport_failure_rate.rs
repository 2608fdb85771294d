//! The policy `TransportFailureRate` (reference A7.4).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::passive::{PassiveHealthCheckPolicy, PassiveVerdict, ProxiedExchange};
use crate::cluster::ClusterState;
use crate::destination::{DestinationHealth, DestinationState};

/// What YARP lets code alone set of [`TransportFailureRate`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TransportFailureRateOptions {
    /// For how long an exchange counts: 60 s.
    pub detection_window: Duration,
    /// How many exchanges there must be for a rate: 10.
    pub minimal_total_count: u64,
    /// The rate from which a destination is unhealthy, where the cluster's metadata
    /// `TransportFailureRateHealthPolicy.RateLimit` says nothing: 0.3.
    pub default_failure_rate_limit: f64,
}

impl Default for TransportFailureRateOptions {
    fn default() -> Self {
        Self {
            detection_window: Duration::from_secs(60),
            minimal_total_count: 10,
            default_failure_rate_limit: 0.3,
        }
    }
}

/// Unhealthy while the share of failed exchanges in a sliding window is at the limit or above. The
/// default.
#[derive(Debug, Clone, Copy, Default)]
pub struct TransportFailureRate {
    options: TransportFailureRateOptions,
}

/// YARP's period where `ReactivationPeriod` says nothing.
const REACTIVATION_PERIOD: Duration = Duration::from_secs(60);

impl TransportFailureRate {
    /// The policy with options of one's own.
    pub fn new(options: TransportFailureRateOptions) -> Self {
        Self { options }
    }
}

impl PassiveHealthCheckPolicy for TransportFailureRate {
    fn name(&self) -> &str {
        "TransportFailureRate"
    }

    fn request_proxied(
        &self,
        cluster: &ClusterState,
        destination: &Arc<DestinationState>,
        exchange: ProxiedExchange,
        now: Instant,
    ) -> Option<PassiveVerdict> {
        let model = cluster.model();
        let options = &self.options;
        let limit = model.health_thresholds.failure_rate;
        let limit = limit.unwrap_or(options.default_failure_rate_limit);
        let rate = destination.with_failure_history(|history| {
            history.add(now, exchange.failed, options.detection_window);
            history.rate(options.minimal_total_count)
        });
        // A rate equal to the limit is unhealthy.
        let health = match rate < limit {
            true => DestinationHealth::Healthy,
            false => DestinationHealth::Unhealthy,
        };
        let period = model.config.health_check.passive.reactivation_period;
        let period = period.unwrap_or(REACTIVATION_PERIOD);
        Some(PassiveVerdict {
            health,
            reactivate_after: period.max(options.detection_window),
        })
    }
}
