//! Clusters: sets of destinations that answer the same requests, and how one is chosen.

mod available;
mod state;

use std::sync::Arc;

use ostler_config::schema::ClusterConfig;

use crate::error::ApplyMistake;
use crate::load_balancing::LoadBalancingPolicy;
use crate::registry::PolicyRegistry;

pub use available::{AvailableDestinationsPolicy, EnabledHealthChecks};
pub use state::ClusterState;

/// What the configuration says of a cluster; replaced whole when that changes.
#[derive(Debug, Clone)]
pub struct ClusterModel {
    /// The cluster as it is written. Its destinations are read from
    /// [`ClusterState::destinations`], which health narrows and which a reload of destinations
    /// alone replaces without replacing this.
    pub config: ClusterConfig,
    /// How one of several available destinations is picked.
    pub load_balancing: Arc<dyn LoadBalancingPolicy>,
    /// Which destinations are available.
    pub available_destinations: AvailableDestinationsPolicy,
    /// Which health checks count for that.
    pub health_checks: EnabledHealthChecks,
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
        let checks = &config.health_check;
        // Checked even when both health checks are off (rule C9).
        let policy = checks.available_destinations_policy.as_deref();
        let available_destinations =
            AvailableDestinationsPolicy::from_name(policy).ok_or_else(|| {
                ApplyMistake::UnknownAvailableDestinationsPolicy {
                    cluster_id: config.cluster_id.clone(),
                    policy: policy.unwrap_or_default().to_owned(),
                }
            })?;
        let health_checks = EnabledHealthChecks {
            active: checks.active.enabled,
            passive: checks.passive.enabled,
        };
        Ok(Self {
            load_balancing,
            available_destinations,
            health_checks,
            config,
        })
    }
}
