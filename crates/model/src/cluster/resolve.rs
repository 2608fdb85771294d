//! What is written of a cluster, with its policies found by their names.

use std::sync::Arc;

use ostler_config::PolicyKind;
use ostler_config::schema::{ClusterConfig, SessionAffinityConfig};

use super::available::EnabledHealthChecks;
use super::model::ClusterModel;
use crate::error::ApplyMistake;
use crate::health::HealthThresholds;
use crate::registry::PolicyRegistry;
use crate::session_affinity::SessionAffinity;

impl ClusterModel {
    /// Resolves what is written.
    ///
    /// # Errors
    ///
    /// When a policy does not exist.
    pub(crate) fn new(
        config: Arc<ClusterConfig>,
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
