//! Clusters: sets of destinations that answer the same requests, and how one is chosen.

mod available;
mod state;

use std::sync::Arc;

use ostler_config::PolicyKind;
use ostler_config::schema::{ClusterConfig, SessionAffinityConfig};

use crate::error::ApplyMistake;
use crate::health::{ActiveHealthCheckPolicy, HealthThresholds, PassiveHealthCheckPolicy};
use crate::load_balancing::LoadBalancingPolicy;
use crate::registry::PolicyRegistry;
use crate::session_affinity::SessionAffinity;

pub(crate) use available::built_in as built_in_available;
pub use available::{
    AvailableDestinationsPolicy, EnabledHealthChecks, HealthyAndUnknown, HealthyOrPanic,
};
pub use state::{ClusterState, PassiveChange};

/// What the configuration says of a cluster; replaced whole when that changes.
#[derive(Debug, Clone)]
pub struct ClusterModel {
    /// The cluster as it is written. Its destinations are read from
    /// [`ClusterState::destinations`], which health narrows and which a reload of destinations
    /// alone replaces without replacing this.
    pub config: ClusterConfig,
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

impl ClusterModel {
    /// Resolves what is written.
    ///
    /// # Errors
    ///
    /// When a policy does not exist.
    pub(crate) fn new(
        config: ClusterConfig,
        registry: &PolicyRegistry,
    ) -> Result<Self, ApplyMistake> {
        let policy = config.load_balancing_policy.as_deref();
        let load_balancing = registry.load_balancing(policy).ok_or_else(|| {
            ApplyMistake::UnknownLoadBalancingPolicy {
                cluster_id: config.cluster_id.clone(),
                policy: policy.unwrap_or_default().to_owned(),
            }
        })?;
        let affinity = config.session_affinity.as_ref();
        let session_affinity = affinity
            .map(|affinity| session_affinity(&config.cluster_id, affinity, registry))
            .transpose()?;
        let checks = &config.health_check;
        // Checked even when both health checks are off (rule C9).
        let policy = checks.available_destinations_policy.as_deref();
        let available_destinations = registry.available_destinations(policy).ok_or_else(|| {
            ApplyMistake::UnknownAvailableDestinationsPolicy {
                cluster_id: config.cluster_id.clone(),
                policy: policy.unwrap_or_default().to_owned(),
            }
        })?;
        // The other two only where they are enabled (rules C10 and C11).
        let unknown = |kind, policy: &Option<String>| ApplyMistake::UnknownHealthCheckPolicy {
            kind,
            cluster_id: config.cluster_id.clone(),
            policy: policy.clone().unwrap_or_default(),
        };
        let active_health = match checks.active.enabled {
            true => {
                let policy = registry.active_health(checks.active.policy.as_deref());
                Some(policy.ok_or_else(|| unknown("active", &checks.active.policy))?)
            }
            false => None,
        };
        let passive_health = match checks.passive.enabled {
            true => {
                let policy = registry.passive_health(checks.passive.policy.as_deref());
                Some(policy.ok_or_else(|| unknown("passive", &checks.passive.policy))?)
            }
            false => None,
        };
        let health_checks = EnabledHealthChecks {
            active: checks.active.enabled,
            passive: checks.passive.enabled,
        };
        Ok(Self {
            load_balancing,
            session_affinity,
            available_destinations,
            health_checks,
            active_health,
            passive_health,
            health_thresholds: HealthThresholds::of(&config.metadata),
            config,
        })
    }
}

fn session_affinity(
    cluster_id: &str,
    config: &SessionAffinityConfig,
    registry: &PolicyRegistry,
) -> Result<Arc<SessionAffinity>, ApplyMistake> {
    let unknown = |kind: PolicyKind, policy: &Option<String>| ApplyMistake::UnknownPolicy {
        cluster_id: cluster_id.to_owned(),
        kind: kind.describe(),
        policy: policy.clone().unwrap_or_default(),
    };
    let policy = registry
        .session_affinity(config.policy.as_deref())
        .ok_or_else(|| unknown(PolicyKind::SessionAffinity, &config.policy))?;
    let failure_policy = registry
        .affinity_failure(config.failure_policy.as_deref())
        .ok_or_else(|| unknown(PolicyKind::AffinityFailure, &config.failure_policy))?;
    Ok(Arc::new(SessionAffinity {
        config: config.clone(),
        policy,
        failure_policy,
    }))
}
