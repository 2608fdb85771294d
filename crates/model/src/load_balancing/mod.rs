//! Load balancing: which of several available destinations a request goes to (reference A5).

mod policies;

use std::fmt;
use std::sync::Arc;

use crate::cluster::ClusterState;
use crate::destination::DestinationState;
use crate::random::RandomSource;

pub use policies::{FirstAlphabetical, LeastRequests, PowerOfTwoChoices, Random, RoundRobin};

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

/// YARP's policies.
pub(crate) fn built_in() -> Vec<Arc<dyn LoadBalancingPolicy>> {
    vec![
        Arc::new(FirstAlphabetical),
        Arc::new(Random),
        Arc::new(RoundRobin),
        Arc::new(LeastRequests),
        Arc::new(PowerOfTwoChoices),
    ]
}

#[cfg(test)]
mod tests;
