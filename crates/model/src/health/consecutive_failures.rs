//! The policy `ConsecutiveFailures` (reference A7.3).

use std::sync::Arc;

use super::active::{ActiveHealthCheckPolicy, ProbingResult};
use crate::cluster::ClusterState;
use crate::destination::{DestinationHealth, DestinationState};

/// Unhealthy after so many failed probes in a row, healthy after one that succeeds. The default.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConsecutiveFailures;

impl ConsecutiveFailures {
    /// YARP's default threshold.
    pub const DEFAULT_THRESHOLD: f64 = 2.0;
}

impl ActiveHealthCheckPolicy for ConsecutiveFailures {
    fn name(&self) -> &str {
        "ConsecutiveFailures"
    }

    fn probing_completed(
        &self,
        cluster: &ClusterState,
        results: &[ProbingResult],
    ) -> Vec<(Arc<DestinationState>, DestinationHealth)> {
        let threshold = cluster.model().health_thresholds.consecutive_failures;
        let threshold = threshold.unwrap_or(Self::DEFAULT_THRESHOLD);
        let judge = |result: &ProbingResult| {
            let destination = &result.destination;
            let failures = destination.count_probe(result.is_success());
            let health = match failures {
                0 => DestinationHealth::Healthy,
                failures if f64::from(failures) >= threshold => DestinationHealth::Unhealthy,
                // Not yet: what it was it stays.
                _ => destination.active_health(),
            };
            (Arc::clone(destination), health)
        };
        results.iter().map(judge).collect()
    }
}
