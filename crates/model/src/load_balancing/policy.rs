//! What a load balancing policy is asked.

use std::fmt;
use std::sync::Arc;

use crate::cluster::ClusterState;
use crate::destination::DestinationState;
use crate::random::RandomSource;

/// A way to pick a destination.
pub trait LoadBalancingPolicy: Send + Sync {
    /// The name that `LoadBalancingPolicy` of a cluster says, compared without case.
    fn name(&self) -> &str;

    /// Picks one of `available`, or none to have the request answered 503.
    ///
    /// The pipeline asks only when there are two or more; a policy must bear fewer.
    fn pick<'a>(
        &self,
        cluster: &ClusterState,
        available: &'a [Arc<DestinationState>],
        random: &mut dyn RandomSource,
    ) -> Option<&'a Arc<DestinationState>>;
}

impl fmt::Debug for dyn LoadBalancingPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
