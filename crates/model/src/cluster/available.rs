//! Which destinations may be given requests (reference A7.2).

use std::fmt;
use std::sync::Arc;

use ostler_config::schema::ClusterConfig;

use crate::destination::{DestinationHealth, DestinationState};

/// A way to tell which destinations are available: `AvailableDestinationsPolicy` of a cluster.
///
/// Asked when the configuration or a destination's health has changed, never per request.
pub trait AvailableDestinationsPolicy: Send + Sync {
    /// The name that `HealthCheck:AvailableDestinationsPolicy` says, compared without case.
    fn name(&self) -> &str;

    /// The available ones among `all`, in the same order; `all` itself when it is every one.
    fn select(
        &self,
        cluster: &ClusterConfig,
        all: &Arc<[Arc<DestinationState>]>,
        checks: EnabledHealthChecks,
    ) -> Arc<[Arc<DestinationState>]>;
}

impl fmt::Debug for dyn AvailableDestinationsPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Those that no enabled check calls unhealthy; all, if that leaves none. The default.
#[derive(Debug, Clone, Copy, Default)]
pub struct HealthyOrPanic;

/// Those that no enabled check calls unhealthy, which may be none.
#[derive(Debug, Clone, Copy, Default)]
pub struct HealthyAndUnknown;

/// The kinds of health check a cluster has switched on; another kind's opinion does not count,
/// whatever is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct EnabledHealthChecks {
    /// `HealthCheck:Active:Enabled`.
    pub active: bool,
    /// `HealthCheck:Passive:Enabled`.
    pub passive: bool,
}

impl EnabledHealthChecks {
    /// Whether no enabled check calls the destination unhealthy (reference A7.1).
    pub fn allow(self, destination: &DestinationState) -> bool {
        let unhealthy = DestinationHealth::Unhealthy;
        !(self.active && destination.active_health() == unhealthy
            || self.passive && destination.passive_health() == unhealthy)
    }
}

impl AvailableDestinationsPolicy for HealthyOrPanic {
    fn name(&self) -> &str {
        "HealthyOrPanic"
    }

    fn select(
        &self,
        cluster: &ClusterConfig,
        all: &Arc<[Arc<DestinationState>]>,
        checks: EnabledHealthChecks,
    ) -> Arc<[Arc<DestinationState>]> {
        let available = HealthyAndUnknown.select(cluster, all, checks);
        if available.is_empty() {
            return Arc::clone(all);
        }
        available
    }
}

impl AvailableDestinationsPolicy for HealthyAndUnknown {
    fn name(&self) -> &str {
        "HealthyAndUnknown"
    }

    fn select(
        &self,
        _cluster: &ClusterConfig,
        all: &Arc<[Arc<DestinationState>]>,
        checks: EnabledHealthChecks,
    ) -> Arc<[Arc<DestinationState>]> {
        if all.iter().all(|destination| checks.allow(destination)) {
            return Arc::clone(all);
        }
        let available = all.iter().filter(|destination| checks.allow(destination));
        available.map(Arc::clone).collect()
    }
}

#[cfg(test)]
mod tests {
    use ostler_config::schema::DestinationConfig;

    use super::*;
    use crate::{DestinationModel, PolicyRegistry};
    use DestinationHealth::{Healthy, Unhealthy, Unknown};

    fn destinations(
        health: &[(DestinationHealth, DestinationHealth)],
    ) -> Arc<[Arc<DestinationState>]> {
        let states = health.iter().enumerate().map(|(at, (active, passive))| {
            let config = DestinationConfig {
                destination_id: at.to_string(),
                ..Default::default()
            };
            let state = DestinationState::new(DestinationModel::new(config), Arc::default());
            state.set_active_health(*active);
            state.set_passive_health(*passive);
            Arc::new(state)
        });
        states.collect()
    }

    fn selected(
        policy: &dyn AvailableDestinationsPolicy,
        all: &Arc<[Arc<DestinationState>]>,
        active: bool,
        passive: bool,
    ) -> String {
        let checks = EnabledHealthChecks { active, passive };
        let available = policy.select(&ClusterConfig::default(), all, checks);
        available
            .iter()
            .map(|destination| destination.id())
            .collect()
    }

    /// Reference A7.1: only `Unhealthy` of an enabled kind counts.
    #[test]
    fn only_what_an_enabled_check_calls_unhealthy_is_left_out() {
        let all = destinations(&[
            (Unknown, Healthy),
            (Unhealthy, Unknown),
            (Healthy, Unhealthy),
        ]);
        let policies: [&dyn AvailableDestinationsPolicy; 2] = [&HealthyOrPanic, &HealthyAndUnknown];
        for policy in policies {
            assert_eq!(selected(policy, &all, false, false), "012");
            assert_eq!(selected(policy, &all, true, false), "02");
            assert_eq!(selected(policy, &all, false, true), "01");
            assert_eq!(selected(policy, &all, true, true), "0");
        }
    }

    /// Reference A7.2.
    #[test]
    fn when_none_is_left_only_panic_gives_all() {
        let all = destinations(&[(Unhealthy, Unknown), (Unknown, Unhealthy)]);
        assert_eq!(selected(&HealthyOrPanic, &all, true, true), "01");
        assert_eq!(selected(&HealthyAndUnknown, &all, true, true), "");
    }

    #[test]
    fn policies_are_named_without_case() {
        let registry = PolicyRegistry::default();
        let name = |name: Option<&str>| {
            let policy = registry.available_destinations(name)?;
            Some(policy.name().to_owned())
        };
        assert_eq!(name(None).as_deref(), Some("HealthyOrPanic"));
        assert_eq!(name(Some("")).as_deref(), Some("HealthyOrPanic"));
        assert_eq!(
            name(Some("healthyANDunknown")).as_deref(),
            Some("HealthyAndUnknown")
        );
        assert_eq!(name(Some("Healthy")), None);
    }
}
