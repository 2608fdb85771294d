//! YARP's own policies.

use std::sync::Arc;

use crate::cluster::{AvailableDestinationsPolicy, HealthyAndUnknown, HealthyOrPanic};
use crate::health::{
    ActiveHealthCheckPolicy, ConsecutiveFailures, PassiveHealthCheckPolicy, TransportFailureRate,
    TransportFailureRateOptions,
};
use crate::load_balancing::{
    FirstAlphabetical, LeastRequests, LoadBalancingPolicy, PowerOfTwoChoices, Random, RoundRobin,
};
use crate::session_affinity::{
    AffinityFailurePolicy, Cookie, CustomHeader, HashedCookie, KeyRing, Redistribute,
    Return503Error, SessionAffinityPolicy,
};

pub(super) fn load_balancing() -> Vec<Arc<dyn LoadBalancingPolicy>> {
    vec![
        Arc::new(FirstAlphabetical),
        Arc::new(Random),
        Arc::new(RoundRobin),
        Arc::new(LeastRequests),
        Arc::new(PowerOfTwoChoices),
    ]
}

pub(super) fn available_destinations() -> Vec<Arc<dyn AvailableDestinationsPolicy>> {
    vec![Arc::new(HealthyOrPanic), Arc::new(HealthyAndUnknown)]
}

pub(super) fn active_health() -> Vec<Arc<dyn ActiveHealthCheckPolicy>> {
    vec![Arc::new(ConsecutiveFailures)]
}

pub(super) fn passive_health(
    options: TransportFailureRateOptions,
) -> Vec<Arc<dyn PassiveHealthCheckPolicy>> {
    vec![Arc::new(TransportFailureRate::new(options))]
}

/// Those that encrypt use these keys.
pub(super) fn session_affinity(keys: &KeyRing) -> Vec<Arc<dyn SessionAffinityPolicy>> {
    vec![
        Arc::new(HashedCookie::hash_cookie()),
        Arc::new(HashedCookie::arr_cookie()),
        Arc::new(Cookie::new(keys.clone())),
        Arc::new(CustomHeader::new(keys.clone())),
    ]
}

pub(super) fn affinity_failure() -> Vec<Arc<dyn AffinityFailurePolicy>> {
    vec![Arc::new(Redistribute), Arc::new(Return503Error)]
}
