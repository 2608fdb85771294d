//! Health checks (reference A7): what probes and the ends of exchanges mean for destinations, and
//! when probes are due. Time is an argument.

mod active;
mod passive;
mod reactivation;
mod schedule;
mod threshold;

use std::sync::Arc;

pub use active::{ActiveHealthCheckPolicy, ConsecutiveFailures, ProbingResult};
pub use passive::{
    PassiveHealthCheckPolicy, PassiveVerdict, ProxiedExchange, TransportFailureRate,
    TransportFailureRateOptions,
};
pub use schedule::ProbeSchedule;

pub(crate) use passive::FailureHistory;
pub(crate) use reactivation::Reactivation;
pub(crate) use threshold::HealthThresholds;

/// YARP's active policies.
pub(crate) fn built_in_active() -> Vec<Arc<dyn ActiveHealthCheckPolicy>> {
    vec![Arc::new(ConsecutiveFailures)]
}

/// YARP's passive policies.
pub(crate) fn built_in_passive(
    options: TransportFailureRateOptions,
) -> Vec<Arc<dyn PassiveHealthCheckPolicy>> {
    vec![Arc::new(TransportFailureRate::new(options))]
}

#[cfg(test)]
mod tests;
