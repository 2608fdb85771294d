//! The five policies of YARP.

use std::sync::Arc;

use super::policy::LoadBalancingPolicy;
use crate::cluster::ClusterState;
use crate::destination::DestinationState;
use crate::ordinal;
use crate::random::RandomSource;

/// The destination whose id comes first, without case. Meant for fail-over: the others stand by.
#[derive(Debug, Clone, Copy, Default)]
pub struct FirstAlphabetical;

impl LoadBalancingPolicy for FirstAlphabetical {
    fn name(&self) -> &str {
        "FirstAlphabetical"
    }

    fn pick<'a>(
        &self,
        _cluster: &ClusterState,
        available: &'a [Arc<DestinationState>],
        _random: &mut dyn RandomSource,
    ) -> Option<&'a Arc<DestinationState>> {
        available
            .iter()
            .min_by(|left, right| ordinal::cmp(left.id(), right.id()))
    }
}

/// Any, each as likely as another.
#[derive(Debug, Clone, Copy, Default)]
pub struct Random;

impl LoadBalancingPolicy for Random {
    fn name(&self) -> &str {
        "Random"
    }

    fn pick<'a>(
        &self,
        _cluster: &ClusterState,
        available: &'a [Arc<DestinationState>],
        random: &mut dyn RandomSource,
    ) -> Option<&'a Arc<DestinationState>> {
        available.get(random.below(available.len()))
    }
}

/// One after the other. Where the list changes (health, a reload) the round may jump.
#[derive(Debug, Clone, Copy, Default)]
pub struct RoundRobin;

impl LoadBalancingPolicy for RoundRobin {
    fn name(&self) -> &str {
        "RoundRobin"
    }

    fn pick<'a>(
        &self,
        cluster: &ClusterState,
        available: &'a [Arc<DestinationState>],
        _random: &mut dyn RandomSource,
    ) -> Option<&'a Arc<DestinationState>> {
        match available {
            // The round advances only where there is a choice.
            [] | [_] => available.first(),
            _ => available.get(cluster.next_in_round() % available.len()),
        }
    }
}

/// The one with the fewest exchanges in progress; the first of those in the list. Looks at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeastRequests;

impl LoadBalancingPolicy for LeastRequests {
    fn name(&self) -> &str {
        "LeastRequests"
    }

    fn pick<'a>(
        &self,
        _cluster: &ClusterState,
        available: &'a [Arc<DestinationState>],
        _random: &mut dyn RandomSource,
    ) -> Option<&'a Arc<DestinationState>> {
        available
            .iter()
            .min_by_key(|destination| destination.concurrent_requests())
    }
}

/// The less busy of two different ones drawn at random: nearly as even as [`LeastRequests`], without
/// looking at all, and without every front rushing to the same destination.
#[derive(Debug, Clone, Copy, Default)]
pub struct PowerOfTwoChoices;

impl LoadBalancingPolicy for PowerOfTwoChoices {
    fn name(&self) -> &str {
        "PowerOfTwoChoices"
    }

    fn pick<'a>(
        &self,
        _cluster: &ClusterState,
        available: &'a [Arc<DestinationState>],
        random: &mut dyn RandomSource,
    ) -> Option<&'a Arc<DestinationState>> {
        if let [] | [_] = available {
            return available.first();
        }
        let first = random.below(available.len());
        let mut second = random.below(available.len() - 1);
        if second >= first {
            second += 1;
        }
        let (first, second) = (available.get(first)?, available.get(second)?);
        let first_is_less_busy = first.concurrent_requests() <= second.concurrent_requests();
        Some(if first_is_less_busy { first } else { second })
    }
}
