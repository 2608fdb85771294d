//! The policies that a configuration may name: YARP's, and those an application adds.

mod built_in;

use std::sync::Arc;

use ostler_config::PolicyKind;

use crate::cluster::AvailableDestinationsPolicy;
use crate::health::{
    ActiveHealthCheckPolicy, PassiveHealthCheckPolicy, TransportFailureRateOptions,
};
use crate::load_balancing::LoadBalancingPolicy;
use crate::ordinal;
use crate::session_affinity::{AffinityFailurePolicy, KeyRing, SessionAffinityPolicy};
use crate::transforms::TransformProvider;

/// Policies by name, compared without case.
#[derive(Debug, Clone)]
pub struct PolicyRegistry {
    load_balancing: Vec<Arc<dyn LoadBalancingPolicy>>,
    available_destinations: Vec<Arc<dyn AvailableDestinationsPolicy>>,
    active_health: Vec<Arc<dyn ActiveHealthCheckPolicy>>,
    passive_health: Vec<Arc<dyn PassiveHealthCheckPolicy>>,
    session_affinity: Vec<Arc<dyn SessionAffinityPolicy>>,
    affinity_failure: Vec<Arc<dyn AffinityFailurePolicy>>,
    keys: KeyRing,
    transform_providers: Vec<Arc<dyn TransformProvider>>,
}

/// Two policies of one kind have one name (YARP: start-up fails).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is already a {kind} {name:?}")]
pub struct DuplicatePolicy {
    /// What kind of policy.
    pub kind: &'static str,
    /// The name, compared without case.
    pub name: String,
}

impl Default for PolicyRegistry {
    /// YARP's own policies, with a random key for those that encrypt.
    fn default() -> Self {
        let keys = KeyRing::default();
        Self {
            load_balancing: built_in::load_balancing(),
            available_destinations: built_in::available_destinations(),
            active_health: built_in::active_health(),
            passive_health: built_in::passive_health(TransportFailureRateOptions::default()),
            session_affinity: built_in::session_affinity(&keys),
            affinity_failure: built_in::affinity_failure(),
            keys,
            transform_providers: Vec::new(),
        }
    }
}

impl PolicyRegistry {
    /// Adds a load balancing policy.
    ///
    /// # Errors
    ///
    /// When there is one of that name.
    pub fn add_load_balancing(
        &mut self,
        policy: impl LoadBalancingPolicy + 'static,
    ) -> Result<(), DuplicatePolicy> {
        add(
            &mut self.load_balancing,
            Arc::new(policy),
            |policy| policy.name(),
            "load balancing policy",
        )
    }

    /// The load balancing policy of that name; absent and empty are `PowerOfTwoChoices`.
    pub fn load_balancing(&self, name: Option<&str>) -> Option<Arc<dyn LoadBalancingPolicy>> {
        find(&self.load_balancing, name, "PowerOfTwoChoices", |policy| {
            policy.name()
        })
    }

    /// Adds transforms to routes from code; they run behind those that are configured (reference
    /// B2.4).
    pub fn add_transform_provider(&mut self, provider: impl TransformProvider + 'static) {
        self.transform_providers.push(Arc::new(provider));
    }

    /// Who adds transforms to routes.
    pub(crate) fn transform_providers(&self) -> &[Arc<dyn TransformProvider>] {
        &self.transform_providers
    }

    /// Adds a session affinity policy.
    ///
    /// # Errors
    ///
    /// When there is one of that name.
    pub fn add_session_affinity(
        &mut self,
        policy: impl SessionAffinityPolicy + 'static,
    ) -> Result<(), DuplicatePolicy> {
        let kind = "session affinity policy";
        let policy = Arc::new(policy);
        add(
            &mut self.session_affinity,
            policy,
            |policy| policy.name(),
            kind,
        )
    }

    /// The session affinity policy of that name; absent and empty are `HashCookie`.
    pub fn session_affinity(&self, name: Option<&str>) -> Option<Arc<dyn SessionAffinityPolicy>> {
        let policies = &self.session_affinity;
        find(policies, name, "HashCookie", |policy| policy.name())
    }

    /// Adds an affinity failure policy.
    ///
    /// # Errors
    ///
    /// When there is one of that name.
    pub fn add_affinity_failure(
        &mut self,
        policy: impl AffinityFailurePolicy + 'static,
    ) -> Result<(), DuplicatePolicy> {
        let kind = "affinity failure policy";
        let policy = Arc::new(policy);
        add(
            &mut self.affinity_failure,
            policy,
            |policy| policy.name(),
            kind,
        )
    }

    /// The affinity failure policy of that name; absent and empty are `Redistribute`.
    pub fn affinity_failure(&self, name: Option<&str>) -> Option<Arc<dyn AffinityFailurePolicy>> {
        let policies = &self.affinity_failure;
        find(policies, name, "Redistribute", |policy| policy.name())
    }

    /// The keys that affinity keys are encrypted with.
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// The names of a kind's policies.
    pub fn names(&self, kind: PolicyKind) -> Vec<&str> {
        match kind {
            PolicyKind::LoadBalancing => self.load_balancing_names().collect(),
            PolicyKind::SessionAffinity => {
                let policies = self.session_affinity.iter();
                policies.map(|policy| policy.name()).collect()
            }
            PolicyKind::AffinityFailure => {
                let policies = self.affinity_failure.iter();
                policies.map(|policy| policy.name()).collect()
            }
            PolicyKind::AvailableDestinations => self.available_destinations_names().collect(),
            PolicyKind::ActiveHealthCheck => self.active_health_names().collect(),
            PolicyKind::PassiveHealthCheck => self.passive_health_names().collect(),
        }
    }

    /// The names of load balancing policies.
    pub fn load_balancing_names(&self) -> impl Iterator<Item = &str> {
        self.load_balancing.iter().map(|policy| policy.name())
    }

    /// Sets what only code sets in YARP of `TransportFailureRate`, in place of policies added so
    /// far: to be called first.
    #[must_use]
    pub fn with_transport_failure_rate(mut self, options: TransportFailureRateOptions) -> Self {
        self.passive_health = built_in::passive_health(options);
        self
    }

    /// Adds an available destinations policy.
    ///
    /// # Errors
    ///
    /// When there is one of that name.
    pub fn add_available_destinations(
        &mut self,
        policy: impl AvailableDestinationsPolicy + 'static,
    ) -> Result<(), DuplicatePolicy> {
        let kind = "available destinations policy";
        let (policies, policy) = (&mut self.available_destinations, Arc::new(policy));
        add(policies, policy, |policy| policy.name(), kind)
    }

    /// The available destinations policy of that name; absent and empty are `HealthyOrPanic`.
    pub fn available_destinations(
        &self,
        name: Option<&str>,
    ) -> Option<Arc<dyn AvailableDestinationsPolicy>> {
        let policies = &self.available_destinations;
        find(policies, name, "HealthyOrPanic", |policy| policy.name())
    }

    /// The names of available destinations policies.
    pub fn available_destinations_names(&self) -> impl Iterator<Item = &str> {
        self.available_destinations
            .iter()
            .map(|policy| policy.name())
    }

    /// Adds an active health check policy.
    ///
    /// # Errors
    ///
    /// When there is one of that name.
    pub fn add_active_health(
        &mut self,
        policy: impl ActiveHealthCheckPolicy + 'static,
    ) -> Result<(), DuplicatePolicy> {
        let kind = "policy for active health checks";
        let (policies, policy) = (&mut self.active_health, Arc::new(policy));
        add(policies, policy, |policy| policy.name(), kind)
    }

    /// The active health check policy of that name; absent and empty are `ConsecutiveFailures`.
    pub fn active_health(&self, name: Option<&str>) -> Option<Arc<dyn ActiveHealthCheckPolicy>> {
        let policies = &self.active_health;
        find(policies, name, "ConsecutiveFailures", |policy| {
            policy.name()
        })
    }

    /// The names of active health check policies.
    pub fn active_health_names(&self) -> impl Iterator<Item = &str> {
        self.active_health.iter().map(|policy| policy.name())
    }

    /// Adds a passive health check policy.
    ///
    /// # Errors
    ///
    /// When there is one of that name.
    pub fn add_passive_health(
        &mut self,
        policy: impl PassiveHealthCheckPolicy + 'static,
    ) -> Result<(), DuplicatePolicy> {
        let kind = "policy for passive health checks";
        let (policies, policy) = (&mut self.passive_health, Arc::new(policy));
        add(policies, policy, |policy| policy.name(), kind)
    }

    /// The passive health check policy of that name; absent and empty are `TransportFailureRate`.
    pub fn passive_health(&self, name: Option<&str>) -> Option<Arc<dyn PassiveHealthCheckPolicy>> {
        let policies = &self.passive_health;
        find(policies, name, "TransportFailureRate", |policy| {
            policy.name()
        })
    }

    /// The names of passive health check policies.
    pub fn passive_health_names(&self) -> impl Iterator<Item = &str> {
        self.passive_health.iter().map(|policy| policy.name())
    }
}

/// Adds a policy unless one of its name is there.
fn add<P: ?Sized>(
    policies: &mut Vec<Arc<P>>,
    policy: Arc<P>,
    name: impl Fn(&P) -> &str,
    kind: &'static str,
) -> Result<(), DuplicatePolicy> {
    if policies
        .iter()
        .any(|other| ordinal::eq(name(other), name(&policy)))
    {
        let name = name(&policy).to_owned();
        return Err(DuplicatePolicy { kind, name });
    }
    policies.push(policy);
    Ok(())
}

/// The policy of that name, or the default one where the configuration says nothing.
fn find<P: ?Sized>(
    policies: &[Arc<P>],
    wanted: Option<&str>,
    default: &str,
    name: impl Fn(&P) -> &str,
) -> Option<Arc<P>> {
    let wanted = wanted.filter(|name| !name.is_empty()).unwrap_or(default);
    policies
        .iter()
        .find(|policy| ordinal::eq(name(policy), wanted))
        .map(Arc::clone)
}
