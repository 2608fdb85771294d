//! Which destinations a cluster has.

use std::sync::Arc;

use crate::destination::DestinationState;
use crate::health::PassiveHealthCheckPolicy;

/// The destinations of a cluster at one moment; swapped whole, so the two lists fit together.
#[derive(Debug, Clone)]
pub struct DestinationSnapshot {
    /// Every destination, in configuration order.
    pub all: Arc<[Arc<DestinationState>]>,
    /// Those that may be given requests, in the same order.
    pub available: Arc<[Arc<DestinationState>]>,
    /// What is told of the ends of exchanges; `None` where passive checks are off. It stands here
    /// because each exchange looks at these lists anyway.
    pub passive_health: Option<Arc<dyn PassiveHealthCheckPolicy>>,
}
