//! What the ends of exchanges mean for destinations (reference A7.4).

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cluster::ClusterState;
use crate::destination::{DestinationHealth, DestinationState};

/// How an exchange with a destination ended, as far as health is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxiedExchange {
    /// Whether the destination failed the exchange. A client that went away is no failure, and no
    /// status is, 5xx included.
    pub failed: bool,
    /// Status of the response; 0 when none was sent.
    pub status: u16,
}

/// What a policy makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassiveVerdict {
    /// What the destination is from now on.
    pub health: DestinationHealth,
    /// If that is unhealthy, and was not before: after how long it is unknown again.
    pub reactivate_after: Duration,
}

/// A way to judge destinations by how exchanges end: `HealthCheck:Passive:Policy` of a cluster.
pub trait PassiveHealthCheckPolicy: Send + Sync {
    /// The name that the configuration says, compared without case.
    fn name(&self) -> &str;

    /// Told of each exchange that reached a destination, when it is over; `None` leaves the
    /// destination what it is. Called by any thread.
    fn request_proxied(
        &self,
        cluster: &ClusterState,
        destination: &Arc<DestinationState>,
        exchange: ProxiedExchange,
        now: Instant,
    ) -> Option<PassiveVerdict>;
}

impl fmt::Debug for dyn PassiveHealthCheckPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
