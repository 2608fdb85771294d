//! Health checks with a virtual clock.

mod active;
mod passive;
mod schedule;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ostler_config::schema::{ClusterConfig, DestinationConfig, ProxyConfig};

use crate::cluster::ClusterState;
use crate::destination::{DestinationHealth, DestinationState};
use crate::{PolicyRegistry, ProxyModel};

/// A model and a clock that stands still until it is told to move.
pub(super) struct World {
    pub(super) model: ProxyModel,
    pub(super) config: ProxyConfig,
    pub(super) now: Instant,
}

impl World {
    /// One cluster `c` with these destinations, both kinds of check enabled.
    #[expect(
        clippy::disallowed_methods,
        reason = "an instant to begin with cannot be had otherwise"
    )]
    pub(super) fn new(destinations: &[&str], registry: PolicyRegistry) -> Self {
        let world = Self {
            model: ProxyModel::with_policies(registry),
            config: ProxyConfig {
                clusters: vec![cluster("c", destinations)].into(),
                ..ProxyConfig::default()
            },
            now: Instant::now(),
        };
        world.apply();
        world
    }

    pub(super) fn apply(&self) {
        self.model.apply(&self.config).unwrap();
    }

    pub(super) fn reload(&mut self, change: impl FnOnce(&mut ProxyConfig)) {
        change(&mut self.config);
        self.apply();
    }

    pub(super) fn pass(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
    }

    pub(super) fn cluster(&self) -> Arc<ClusterState> {
        Arc::clone(self.model.snapshot().clusters.find("c").unwrap())
    }

    pub(super) fn destination(&self, id: &str) -> Arc<DestinationState> {
        let destinations = self.cluster().destinations();
        let mut all = destinations.all.iter();
        Arc::clone(all.find(|destination| destination.id() == id).unwrap())
    }

    pub(super) fn available(&self) -> String {
        let destinations = self.cluster().destinations();
        let ids = destinations.available.iter().map(|state| state.id());
        ids.collect::<Vec<_>>().join(" ")
    }
}

pub(super) fn cluster(id: &str, destinations: &[&str]) -> ClusterConfig {
    let mut config = ClusterConfig {
        cluster_id: id.into(),
        destinations: destinations.iter().map(|id| destination(id)).collect(),
        ..ClusterConfig::default()
    };
    config.health_check.active.enabled = true;
    config.health_check.passive.enabled = true;
    config
}

pub(super) fn destination(id: &str) -> DestinationConfig {
    DestinationConfig {
        destination_id: id.into(),
        address: "http://a/".into(),
        ..DestinationConfig::default()
    }
}

pub(super) fn metadata(config: &mut ProxyConfig, key: &str, value: &str) {
    config.clusters[0].metadata = [(key.to_owned(), value.to_owned())].into_iter().collect();
}

pub(super) use DestinationHealth::{Healthy, Unhealthy, Unknown};
