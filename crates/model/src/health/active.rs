//! What probes mean for destinations (reference A7.3).

use std::fmt;
use std::sync::Arc;

use crate::cluster::ClusterState;
use crate::destination::{DestinationHealth, DestinationState};

/// How the probe of one destination ended.
#[derive(Debug, Clone)]
pub struct ProbingResult {
    /// The destination.
    pub destination: Arc<DestinationState>,
    /// The response's status; `None` when there was none: no connection, a timeout, no valid URL.
    pub status: Option<u16>,
}

impl ProbingResult {
    /// Whether the status is 200 to 299: a redirect is no success.
    pub fn is_success(&self) -> bool {
        self.status
            .is_some_and(|status| (200..300).contains(&status))
    }
}

/// A way to judge destinations by their probes: `HealthCheck:Active:Policy` of a cluster.
pub trait ActiveHealthCheckPolicy: Send + Sync {
    /// The name that the configuration says, compared without case.
    fn name(&self) -> &str;

    /// What destinations are from now on, told once a round, when every probe has ended.
    /// Destinations that are not in the answer stay what they are.
    fn probing_completed(
        &self,
        cluster: &ClusterState,
        results: &[ProbingResult],
    ) -> Vec<(Arc<DestinationState>, DestinationHealth)>;
}

impl fmt::Debug for dyn ActiveHealthCheckPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
