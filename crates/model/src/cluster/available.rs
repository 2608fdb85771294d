//! Which destinations may be given requests (reference 7.2).

use std::sync::Arc;

use crate::destination::{DestinationHealth, DestinationState};
use crate::ordinal;

/// `AvailableDestinationsPolicy` of a cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum AvailableDestinationsPolicy {
    /// Those that no enabled check calls unhealthy; all, if that leaves none.
    #[default]
    HealthyOrPanic,
    /// Those that no enabled check calls unhealthy, which may be none.
    HealthyAndUnknown,
}

/// The kinds of health check a cluster has switched on; another kind's opinion does not count,
/// whatever is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct EnabledHealthChecks {
    /// `HealthCheck:Active:Enabled`.
    pub active: bool,
    /// `HealthCheck:Passive:Enabled`.
    pub passive: bool,
}

impl AvailableDestinationsPolicy {
    /// The policy of that name, compared without case; absent and empty are the default.
    pub fn from_name(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("") => Some(Self::default()),
            Some(name) if ordinal::eq(name, "HealthyOrPanic") => Some(Self::HealthyOrPanic),
            Some(name) if ordinal::eq(name, "HealthyAndUnknown") => Some(Self::HealthyAndUnknown),
            Some(_) => None,
        }
    }

    /// The available ones among `all`, in the same order; `all` itself when it is every one.
    pub fn select(
        self,
        all: &Arc<[Arc<DestinationState>]>,
        checks: EnabledHealthChecks,
    ) -> Arc<[Arc<DestinationState>]> {
        let available = || all.iter().filter(|destination| checks.allow(destination));
        let count = available().count();
        if count == all.len() || count == 0 && self == Self::HealthyOrPanic {
            return Arc::clone(all);
        }
        available().map(Arc::clone).collect()
    }
}

impl EnabledHealthChecks {
    fn allow(self, destination: &DestinationState) -> bool {
        let unhealthy = DestinationHealth::Unhealthy;
        !(self.active && destination.active_health() == unhealthy
            || self.passive && destination.passive_health() == unhealthy)
    }
}

#[cfg(test)]
mod tests {
    use ostler_config::schema::DestinationConfig;

    use super::*;
    use crate::DestinationModel;
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
        policy: AvailableDestinationsPolicy,
        all: &Arc<[Arc<DestinationState>]>,
        active: bool,
        passive: bool,
    ) -> String {
        let available = policy.select(all, EnabledHealthChecks { active, passive });
        available
            .iter()
            .map(|destination| destination.id())
            .collect()
    }

    #[test]
    fn only_what_an_enabled_check_calls_unhealthy_is_left_out() {
        let all = destinations(&[
            (Unknown, Healthy),
            (Unhealthy, Unknown),
            (Healthy, Unhealthy),
        ]);
        for policy in [
            AvailableDestinationsPolicy::HealthyOrPanic,
            AvailableDestinationsPolicy::HealthyAndUnknown,
        ] {
            assert_eq!(selected(policy, &all, false, false), "012");
            assert_eq!(selected(policy, &all, true, false), "02");
            assert_eq!(selected(policy, &all, false, true), "01");
            assert_eq!(selected(policy, &all, true, true), "0");
        }
    }

    #[test]
    fn when_none_is_left_only_panic_gives_all() {
        let all = destinations(&[(Unhealthy, Unknown), (Unknown, Unhealthy)]);
        let or_panic = AvailableDestinationsPolicy::HealthyOrPanic;
        assert_eq!(selected(or_panic, &all, true, true), "01");
        let and_unknown = AvailableDestinationsPolicy::HealthyAndUnknown;
        assert_eq!(selected(and_unknown, &all, true, true), "");
    }

    #[test]
    fn policies_are_named_without_case() {
        let from_name = AvailableDestinationsPolicy::from_name;
        assert_eq!(
            from_name(None),
            Some(AvailableDestinationsPolicy::HealthyOrPanic)
        );
        assert_eq!(
            from_name(Some("")),
            Some(AvailableDestinationsPolicy::HealthyOrPanic)
        );
        let and_unknown = Some(AvailableDestinationsPolicy::HealthyAndUnknown);
        assert_eq!(from_name(Some("healthyANDunknown")), and_unknown);
        assert_eq!(from_name(Some("Healthy")), None);
    }
}
