//! What outlives a reload of a destination: its counters and its health.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;

use super::health::{AtomicHealth, DestinationHealth};
use super::model::DestinationModel;
use crate::health::{FailureHistory, Reactivation};
use crate::session_affinity::DestinationHashes;

/// A destination, from the configuration that brings its id to the one that no longer has it.
#[derive(Debug)]
pub struct DestinationState {
    id: String,
    model: ArcSwap<DestinationModel>,
    active_health: AtomicHealth,
    passive_health: AtomicHealth,
    /// Probes that have failed in a row.
    failed_probes: AtomicU32,
    failure_history: Mutex<FailureHistory>,
    reactivation: Reactivation,
    requests: ConcurrentRequests,
    cluster_requests: Arc<ConcurrentRequests>,
    /// Made when a request first asks for them.
    hashes: OnceLock<DestinationHashes>,
}

impl DestinationState {
    /// A destination that has seen nothing yet; its requests count for the cluster too.
    pub(crate) fn new(model: DestinationModel, cluster_requests: Arc<ConcurrentRequests>) -> Self {
        Self {
            id: model.config.destination_id.clone(),
            model: ArcSwap::from_pointee(model),
            active_health: AtomicHealth::default(),
            passive_health: AtomicHealth::default(),
            failed_probes: AtomicU32::default(),
            failure_history: Mutex::default(),
            reactivation: Reactivation::default(),
            requests: ConcurrentRequests::default(),
            cluster_requests,
            hashes: OnceLock::new(),
        }
    }

    /// The key of the destination, as it was spelled when the destination appeared.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What stands for it in affinity cookies.
    pub(crate) fn hashes(&self) -> &DestinationHashes {
        self.hashes.get_or_init(|| DestinationHashes::of(&self.id))
    }

    /// What the configuration in force says of it.
    pub fn model(&self) -> Arc<DestinationModel> {
        self.model.load_full()
    }

    /// Takes over what a new configuration says.
    pub(crate) fn set_model(&self, model: Arc<DestinationModel>) {
        self.model.store(model);
    }

    /// How many exchanges with it are in progress.
    pub fn concurrent_requests(&self) -> usize {
        self.requests.count()
    }

    /// Counts one exchange, here and for the cluster, until the guard is dropped.
    pub fn begin_request(self: &Arc<Self>) -> RequestGuard {
        self.requests.increment();
        self.cluster_requests.increment();
        RequestGuard {
            destination: Arc::clone(self),
        }
    }

    /// What active checks (probes) think of it.
    pub fn active_health(&self) -> DestinationHealth {
        self.active_health.load()
    }

    /// What passive checks (the outcome of exchanges) think of it.
    pub fn passive_health(&self) -> DestinationHealth {
        self.passive_health.load()
    }

    /// Sets the opinion of active checks; true when that changed it. After a change the cluster
    /// must be told: [`ClusterState::refresh_available`](crate::ClusterState::refresh_available).
    pub fn set_active_health(&self, health: DestinationHealth) -> bool {
        self.active_health.swap(health) != health
    }

    /// Sets the opinion of passive checks; true when that changed it. After a change the cluster
    /// must be told: [`ClusterState::refresh_available`](crate::ClusterState::refresh_available).
    pub fn set_passive_health(&self, health: DestinationHealth) -> bool {
        self.passive_health.swap(health) != health
    }

    /// Counts a probe; gives how many have failed in a row.
    pub(crate) fn count_probe(&self, success: bool) -> u32 {
        // Rounds of a cluster do not overlap, so this has one writer.
        let failed = match success {
            true => 0,
            false => self.failed_probes.load(Ordering::Relaxed).saturating_add(1),
        };
        self.failed_probes.store(failed, Ordering::Relaxed);
        failed
    }

    /// Looks at the exchanges of the near past.
    pub(crate) fn with_failure_history<T>(&self, look: impl FnOnce(&mut FailureHistory) -> T) -> T {
        let history = self.failure_history.lock();
        look(&mut history.unwrap_or_else(PoisonError::into_inner))
    }

    /// The timer that makes it unknown again.
    pub(crate) fn reactivation(&self) -> &Reactivation {
        &self.reactivation
    }
}

/// One exchange in progress; dropped when it is over, bodies and upgraded streams included.
#[derive(Debug)]
#[must_use = "the exchange counts only as long as the guard lives"]
pub struct RequestGuard {
    destination: Arc<DestinationState>,
}

impl RequestGuard {
    /// The destination the exchange is with.
    pub fn destination(&self) -> &Arc<DestinationState> {
        &self.destination
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.destination.requests.decrement();
        self.destination.cluster_requests.decrement();
    }
}

/// A count of exchanges. Every thread writes it, so it has its cache line to itself, and the one
/// beside it, which x86 fetches in pairs: what is only read nearby stays in each core's cache.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct ConcurrentRequests(AtomicUsize);

impl ConcurrentRequests {
    // Relaxed throughout: the count stands for itself, nothing is published with it.

    /// Exchanges in progress.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use ostler_config::schema::DestinationConfig;

    use super::*;

    #[test]
    fn a_guard_counts_for_destination_and_cluster_until_dropped() {
        let cluster = Arc::new(ConcurrentRequests::default());
        let destination = |id: &str| {
            let config = DestinationConfig {
                destination_id: id.into(),
                ..Default::default()
            };
            Arc::new(DestinationState::new(
                DestinationModel::new(config),
                Arc::clone(&cluster),
            ))
        };
        let (left, right) = (destination("a"), destination("b"));
        let first = left.begin_request();
        let second = left.begin_request();
        let third = right.begin_request();
        assert_eq!(
            (left.concurrent_requests(), right.concurrent_requests()),
            (2, 1)
        );
        assert_eq!(cluster.count(), 3);
        assert_eq!(third.destination().id(), "b");
        drop((first, third));
        assert_eq!(
            (left.concurrent_requests(), right.concurrent_requests()),
            (1, 0)
        );
        drop(second);
        assert_eq!((left.concurrent_requests(), cluster.count()), (0, 0));
    }

    #[test]
    fn setting_health_tells_whether_it_changed() {
        let model = DestinationModel::new(DestinationConfig::default());
        let destination = DestinationState::new(model, Arc::default());
        assert_eq!(destination.active_health(), DestinationHealth::Unknown);
        assert!(destination.set_active_health(DestinationHealth::Unhealthy));
        assert!(!destination.set_active_health(DestinationHealth::Unhealthy));
        assert_eq!(destination.passive_health(), DestinationHealth::Unknown);
        assert!(destination.set_passive_health(DestinationHealth::Healthy));
        assert_eq!(destination.active_health(), DestinationHealth::Unhealthy);
    }

    #[test]
    fn counts_do_not_share_cache_lines() {
        assert_eq!(align_of::<ConcurrentRequests>(), 128);
        assert_eq!(size_of::<ConcurrentRequests>(), 128);
    }
}
