//! What outlives a reload of a cluster: its destinations' states, its counters.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;

use super::destinations::DestinationSnapshot;
use super::model::ClusterModel;
use crate::destination::{ConcurrentRequests, DestinationHealth, DestinationState};
use crate::health::PassiveVerdict;
use crate::session_affinity::SessionAffinity;

/// A cluster, from the configuration that brings its id to the one that no longer has it.
#[derive(Debug)]
pub struct ClusterState {
    id: String,
    model: ArcSwap<ClusterModel>,
    destinations: ArcSwap<DestinationSnapshot>,
    /// Held while `model` or `destinations` are replaced, so that whoever comes last has seen
    /// everything that came before.
    replacing: Mutex<()>,
    requests: Arc<ConcurrentRequests>,
    round_robin: AtomicU32,
}

/// A passive check has changed a destination's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassiveChange {
    /// Whether the timer was set that makes it unknown again.
    pub scheduled: bool,
}

impl ClusterState {
    /// A cluster that has seen nothing yet and has no destinations.
    pub(crate) fn new(model: ClusterModel) -> Self {
        let none: Arc<[Arc<DestinationState>]> = Arc::from([]);
        Self {
            id: model.config.cluster_id.clone(),
            model: ArcSwap::from_pointee(model),
            destinations: ArcSwap::from_pointee(DestinationSnapshot {
                all: Arc::clone(&none),
                available: none,
                passive_health: None,
            }),
            replacing: Mutex::default(),
            requests: Arc::default(),
            round_robin: AtomicU32::new(0),
        }
    }

    /// The key of the cluster, as it was spelled when the cluster appeared.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the configuration in force says of it.
    pub fn model(&self) -> Arc<ClusterModel> {
        self.model.load_full()
    }

    /// Session affinity, where it is enabled.
    pub fn session_affinity(&self) -> Option<Arc<SessionAffinity>> {
        self.model.load().session_affinity.clone()
    }

    /// Its destinations now: all, and those available.
    pub fn destinations(&self) -> Arc<DestinationSnapshot> {
        self.destinations.load_full()
    }

    /// How many exchanges with its destinations are in progress, those of destinations that a
    /// reload has removed included.
    pub fn concurrent_requests(&self) -> usize {
        self.requests.count()
    }

    /// Works out anew which destinations are available. To be called when a destination's health
    /// has changed, never per request.
    pub fn refresh_available(&self) {
        let _replacing = self
            .replacing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let model = self.model.load();
        let all = Arc::clone(&self.destinations.load().all);
        self.publish(&model, all);
    }

    /// Takes over what a round of probes makes of destinations. Gives those that have changed, of
    /// which the available destinations are worked out anew (reference A7.2).
    pub fn set_active_health(
        &self,
        states: Vec<(Arc<DestinationState>, DestinationHealth)>,
    ) -> Vec<(Arc<DestinationState>, DestinationHealth)> {
        let mut changed = states;
        changed.retain(|(destination, health)| destination.set_active_health(*health));
        if !changed.is_empty() {
            self.refresh_available();
        }
        changed
    }

    /// Takes over what a passive check makes of a destination. Only a change has effects, and one
    /// to unhealthy sets the timer after which the destination is unknown again, unless it is set
    /// (reference A7.4).
    pub fn set_passive_health(
        &self,
        destination: &DestinationState,
        verdict: PassiveVerdict,
        now: Instant,
    ) -> Option<PassiveChange> {
        if !destination.set_passive_health(verdict.health) {
            return None;
        }
        let scheduled = verdict.health == DestinationHealth::Unhealthy
            && destination
                .reactivation()
                .schedule(now + verdict.reactivate_after);
        self.refresh_available();
        Some(PassiveChange { scheduled })
    }

    /// Fires the timers that are due. Gives the destinations that are unknown again; those that
    /// have become healthy meanwhile are left alone.
    pub fn reactivate(&self, now: Instant) -> Vec<Arc<DestinationState>> {
        let destinations = self.destinations();
        let mut reset = Vec::new();
        for destination in destinations.all.iter() {
            if destination.reactivation().fires(now)
                && destination.passive_health() == DestinationHealth::Unhealthy
                && destination.set_passive_health(DestinationHealth::Unknown)
            {
                reset.push(Arc::clone(destination));
            }
        }
        if !reset.is_empty() {
            self.refresh_available();
        }
        reset
    }

    /// When the next of these timers fires.
    pub fn next_reactivation(&self) -> Option<Instant> {
        let destinations = self.destinations();
        let pending = |destination: &Arc<DestinationState>| destination.reactivation().pending();
        destinations.all.iter().filter_map(pending).min()
    }

    /// Takes over what a new configuration says; `None` is what has not changed.
    pub(crate) fn replace(
        &self,
        model: Option<Arc<ClusterModel>>,
        destinations: Option<Arc<[Arc<DestinationState>]>>,
    ) {
        let _replacing = self
            .replacing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let model = model.unwrap_or_else(|| self.model());
        let all = destinations.unwrap_or_else(|| Arc::clone(&self.destinations.load().all));
        self.publish(&model, all);
        self.model.store(model);
    }

    fn publish(&self, model: &ClusterModel, all: Arc<[Arc<DestinationState>]>) {
        let available =
            model
                .available_destinations
                .select(&model.config, &all, model.health_checks);
        self.destinations.store(Arc::new(DestinationSnapshot {
            all,
            available,
            passive_health: model.passive_health.clone(),
        }));
    }

    /// The count that its destinations' requests go into.
    pub(crate) fn requests(&self) -> &Arc<ConcurrentRequests> {
        &self.requests
    }

    /// The next number of the round: 0, 1, 2 ..., after 2^31 - 1 again 0. It belongs to the
    /// cluster, so all of its routes share one round, which a reload does not interrupt.
    pub(crate) fn next_in_round(&self) -> usize {
        // Relaxed: each number is given out once, and that is all there is to it.
        let next = self.round_robin.fetch_add(1, Ordering::Relaxed);
        (next & 0x7fff_ffff) as usize
    }

    /// Makes `next` the next number of the round.
    #[cfg(test)]
    pub(crate) fn set_next_in_round(&self, next: u32) {
        self.round_robin.store(next, Ordering::Relaxed);
    }
}
