//! What the ends of exchanges mean for destinations (reference A7.4).

use std::collections::VecDeque;
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

/// The granularity of the window.
const SLOT: Duration = Duration::from_secs(1);

/// The exchanges of one destination in the window, by the second.
#[derive(Debug, Default)]
pub(crate) struct FailureHistory {
    /// When the current slot ends; `None` before the first exchange.
    slot_end: Option<Instant>,
    slot: Counts,
    /// Slots that are over, the oldest first.
    records: VecDeque<(Instant, Counts)>,
    /// The sum of `slot` and `records`.
    sum: Counts,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    total: u64,
    failed: u64,
}

impl FailureHistory {
    /// Steps 1 to 4 of reference A7.4.
    fn add(&mut self, now: Instant, failed: bool, window: Duration) {
        let slot_end = *self.slot_end.get_or_insert(now + SLOT);
        if now >= slot_end {
            self.records
                .push_back((slot_end, std::mem::take(&mut self.slot)));
            self.slot_end = Some(now + SLOT);
        }
        for counts in [&mut self.sum, &mut self.slot] {
            counts.total += 1;
            counts.failed += u64::from(failed);
        }
        while let Some((time, counts)) = self.records.front()
            && now.saturating_duration_since(*time) > window
        {
            self.sum.total -= counts.total;
            self.sum.failed -= counts.failed;
            self.records.pop_front();
        }
    }

    /// Step 5.
    fn rate(&self, minimal_total_count: u64) -> f64 {
        match self.sum {
            Counts { total, .. } if total == 0 || total < minimal_total_count => 0.0,
            Counts { total, failed } => failed as f64 / total as f64,
        }
    }
}
