//! Health checks (reference A7): what probes and the ends of exchanges mean for destinations, and
//! when probes are due. Time is an argument.

mod active;
mod consecutive_failures;
mod failure_history;
mod passive;
mod reactivation;
mod schedule;
mod threshold;
mod transport_failure_rate;

pub use active::{ActiveHealthCheckPolicy, ProbingResult};
pub use consecutive_failures::ConsecutiveFailures;
pub use passive::{PassiveHealthCheckPolicy, PassiveVerdict, ProxiedExchange};
pub use schedule::ProbeSchedule;
pub use transport_failure_rate::{TransportFailureRate, TransportFailureRateOptions};

pub(crate) use failure_history::FailureHistory;
pub(crate) use reactivation::Reactivation;
pub(crate) use threshold::HealthThresholds;

#[cfg(test)]
mod tests;
