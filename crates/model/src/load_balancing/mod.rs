//! Load balancing: which of several available destinations a request goes to (reference 5).

mod policies;

use std::fmt;
use std::sync::Arc;

use crate::cluster::ClusterState;
use crate::destination::DestinationState;
use crate::ordinal;
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

/// The policy of that name, compared without case. Absent and empty are `PowerOfTwoChoices`, as in
/// YARP; `None` when there is no such policy.
pub fn load_balancing_policy(name: Option<&str>) -> Option<Arc<dyn LoadBalancingPolicy>> {
    let name = name
        .filter(|name| !name.is_empty())
        .unwrap_or("PowerOfTwoChoices");
    let policies: [Arc<dyn LoadBalancingPolicy>; 5] = [
        Arc::new(FirstAlphabetical),
        Arc::new(Random),
        Arc::new(RoundRobin),
        Arc::new(LeastRequests),
        Arc::new(PowerOfTwoChoices),
    ];
    policies
        .into_iter()
        .find(|policy| ordinal::eq(policy.name(), name))
}

#[cfg(test)]
mod tests;
