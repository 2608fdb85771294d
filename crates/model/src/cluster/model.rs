//! A cluster as it is in force.

use std::sync::Arc;

use ostler_config::schema::ClusterConfig;

use super::available::{AvailableDestinationsPolicy, EnabledHealthChecks};
use crate::health::{ActiveHealthCheckPolicy, HealthThresholds, PassiveHealthCheckPolicy};
use crate::load_balancing::LoadBalancingPolicy;
use crate::session_affinity::SessionAffinity;

/// What the configuration says of a cluster; replaced whole when that changes.
#[derive(Debug, Clone)]
pub struct ClusterModel {
    /// The cluster as it is written. Its destinations are read from
    /// [`ClusterState::destinations`](crate::ClusterState::destinations), which health narrows and which a reload of destinations
    /// alone replaces without replacing this.
    pub config: Arc<ClusterConfig>,
    /// How one of several available destinations is picked.
    pub load_balancing: Arc<dyn LoadBalancingPolicy>,
    /// Session affinity, where it is enabled.
    pub session_affinity: Option<Arc<SessionAffinity>>,
    /// Which destinations are available.
    pub available_destinations: Arc<dyn AvailableDestinationsPolicy>,
    /// Which health checks count for that.
    pub health_checks: EnabledHealthChecks,
    /// What probes mean, where active checks are enabled.
    pub active_health: Option<Arc<dyn ActiveHealthCheckPolicy>>,
    /// What the ends of exchanges mean, where passive checks are enabled.
    pub passive_health: Option<Arc<dyn PassiveHealthCheckPolicy>>,
    /// What the metadata says of the built-in policies.
    pub(crate) health_thresholds: HealthThresholds,
}
