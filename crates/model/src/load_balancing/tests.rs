//! The policies of reference A5, with numbers drawn by the test.

use std::sync::Arc;

use ostler_config::schema::{ClusterConfig, DestinationConfig};

use super::*;
use crate::registry::PolicyRegistry;
use crate::{
    ClusterModel, ClusterState, DestinationModel, DestinationState, FastRandom, RandomSource,
};

/// Gives out what it is told to, in turn.
struct Told(Vec<usize>);

impl RandomSource for Told {
    fn below(&mut self, bound: usize) -> usize {
        let next = self.0.remove(0);
        assert!(next < bound, "{next} is not below {bound}");
        next
    }
}

fn cluster() -> ClusterState {
    ClusterState::new(
        ClusterModel::new(
            Arc::new(ClusterConfig::default()),
            &PolicyRegistry::default(),
        )
        .unwrap(),
    )
}

fn destinations(ids: &[&str]) -> Vec<Arc<DestinationState>> {
    let cluster = cluster();
    let states = ids.iter().map(|id| {
        let config = DestinationConfig {
            destination_id: (*id).into(),
            ..Default::default()
        };
        let model = DestinationModel::new(config);
        Arc::new(DestinationState::new(model, Arc::clone(cluster.requests())))
    });
    states.collect()
}

fn pick<'a>(
    policy: &dyn LoadBalancingPolicy,
    available: &'a [Arc<DestinationState>],
    random: &[usize],
) -> &'a str {
    let mut told = Told(random.to_vec());
    let picked = policy.pick(&cluster(), available, &mut told).unwrap().id();
    assert!(told.0.is_empty(), "not every random number was used");
    picked
}

#[test]
fn policies_are_found_by_name_without_case() {
    let name = |name: Option<&str>| {
        PolicyRegistry::default()
            .load_balancing(name)
            .map(|policy| policy.name().to_owned())
    };
    assert_eq!(name(None).as_deref(), Some("PowerOfTwoChoices"));
    assert_eq!(name(Some("")).as_deref(), Some("PowerOfTwoChoices"));
    for known in [
        "FirstAlphabetical",
        "Random",
        "RoundRobin",
        "LeastRequests",
        "PowerOfTwoChoices",
    ] {
        assert_eq!(name(Some(known)).as_deref(), Some(known));
        assert_eq!(name(Some(&known.to_lowercase())).as_deref(), Some(known));
    }
    assert_eq!(name(Some("WeightedRandom")), None);
}

#[test]
fn every_policy_bears_an_empty_list_and_takes_a_single_destination() {
    let single = destinations(&["only"]);
    for name in [
        "FirstAlphabetical",
        "Random",
        "RoundRobin",
        "LeastRequests",
        "PowerOfTwoChoices",
    ] {
        let policy = PolicyRegistry::default()
            .load_balancing(Some(name))
            .unwrap();
        let mut random = FastRandom::new(1);
        assert!(
            policy.pick(&cluster(), &[], &mut random).is_none(),
            "{name}"
        );
        assert_eq!(
            policy.pick(&cluster(), &single, &mut random).unwrap().id(),
            "only",
            "{name}"
        );
    }
}

#[test]
fn first_alphabetical_compares_ids_without_case() {
    assert_eq!(
        pick(
            &FirstAlphabetical,
            &destinations(&["b", "C", "A", "d"]),
            &[]
        ),
        "A"
    );
    assert_eq!(
        pick(&FirstAlphabetical, &destinations(&["Zeta", "alpha"]), &[]),
        "alpha"
    );
    assert_eq!(
        pick(&FirstAlphabetical, &destinations(&["a_b", "aab"]), &[]),
        "aab"
    );
}

#[test]
fn random_takes_the_index_it_draws() {
    let available = destinations(&["a", "b", "c"]);
    assert_eq!(pick(&Random, &available, &[2]), "c");
    assert_eq!(pick(&Random, &available, &[0]), "a");
}

#[test]
fn random_is_even() {
    let available = destinations(&["a", "b", "c", "d"]);
    let mut random = FastRandom::new(5);
    let cluster = cluster();
    let mut counts = [0; 4];
    for _ in 0..40_000 {
        let picked = Random.pick(&cluster, &available, &mut random).unwrap();
        counts[available
            .iter()
            .position(|one| Arc::ptr_eq(one, picked))
            .unwrap()] += 1;
    }
    assert!(
        counts.iter().all(|count| (9_500..10_500).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn round_robin_goes_around_and_shares_its_round_over_the_cluster() {
    let available = destinations(&["a", "b", "c"]);
    let cluster = cluster();
    let mut random = Told(vec![]);
    let mut picked = String::new();
    for _ in 0..7 {
        picked += RoundRobin
            .pick(&cluster, &available, &mut random)
            .unwrap()
            .id();
    }
    assert_eq!(picked, "abcabca");
    // The eighth number is 7, whatever the list.
    let two = &available[..2];
    assert_eq!(
        RoundRobin.pick(&cluster, two, &mut random).unwrap().id(),
        "b"
    );
}

#[test]
fn round_robin_does_not_advance_where_there_is_no_choice() {
    let available = destinations(&["a", "b"]);
    let cluster = cluster();
    let mut random = Told(vec![]);
    assert_eq!(
        RoundRobin
            .pick(&cluster, &available, &mut random)
            .unwrap()
            .id(),
        "a"
    );
    assert_eq!(
        RoundRobin
            .pick(&cluster, &available[..1], &mut random)
            .unwrap()
            .id(),
        "a"
    );
    assert_eq!(
        RoundRobin
            .pick(&cluster, &available, &mut random)
            .unwrap()
            .id(),
        "b"
    );
}

#[test]
fn round_robin_wraps_at_the_largest_int32_and_at_the_largest_uint32() {
    let available = destinations(&["a", "b", "c"]);
    let mut random = Told(vec![]);
    for last in [0x7fff_ffff, u32::MAX] {
        let cluster = cluster();
        cluster.set_next_in_round(last);
        // 2^31 - 1 is 1 modulo 3; then comes 0.
        assert_eq!(
            RoundRobin
                .pick(&cluster, &available, &mut random)
                .unwrap()
                .id(),
            "b"
        );
        assert_eq!(
            RoundRobin
                .pick(&cluster, &available, &mut random)
                .unwrap()
                .id(),
            "a"
        );
    }
}

#[test]
fn least_requests_takes_the_first_of_the_least_busy() {
    let available = destinations(&["a", "b", "c"]);
    assert_eq!(pick(&LeastRequests, &available, &[]), "a");
    let _a = available[0].begin_request();
    assert_eq!(pick(&LeastRequests, &available, &[]), "b");
    let _b = (available[1].begin_request(), available[1].begin_request());
    let _c = (available[2].begin_request(), available[2].begin_request());
    assert_eq!(pick(&LeastRequests, &available, &[]), "a");
}

#[test]
fn power_of_two_choices_draws_two_different_ones_and_takes_the_less_busy() {
    let available = destinations(&["a", "b", "c"]);
    // The second index is drawn from the others: 1 after 1 is the third.
    assert_eq!(pick(&PowerOfTwoChoices, &available, &[1, 1]), "b");
    let busy = available[1].begin_request();
    assert_eq!(pick(&PowerOfTwoChoices, &available, &[1, 1]), "c");
    assert_eq!(pick(&PowerOfTwoChoices, &available, &[1, 0]), "a");
    assert_eq!(pick(&PowerOfTwoChoices, &available, &[2, 1]), "c");
    drop(busy);
    assert_eq!(pick(&PowerOfTwoChoices, &available, &[2, 1]), "c");
}

#[test]
fn power_of_two_choices_of_two_is_always_the_less_busy() {
    let available = destinations(&["a", "b"]);
    let _busy = available[0].begin_request();
    let mut random = FastRandom::new(3);
    let cluster = cluster();
    for _ in 0..100 {
        assert_eq!(
            PowerOfTwoChoices
                .pick(&cluster, &available, &mut random)
                .unwrap()
                .id(),
            "b"
        );
    }
}

#[test]
fn power_of_two_choices_draws_every_pair_equally_often() {
    let available = destinations(&["a", "b", "c", "d"]);
    // Of idle destinations the first drawn is taken, so its share shows the first draw; with one
    // busy, its share shows that it is never taken.
    let _busy = available[3].begin_request();
    let mut random = FastRandom::new(11);
    let cluster = cluster();
    let mut counts = [0u32; 4];
    for _ in 0..30_000 {
        let picked = PowerOfTwoChoices
            .pick(&cluster, &available, &mut random)
            .unwrap();
        counts[available
            .iter()
            .position(|one| Arc::ptr_eq(one, picked))
            .unwrap()] += 1;
    }
    assert_eq!(counts[3], 0);
    assert!(
        counts[..3]
            .iter()
            .all(|count| (9_500..10_500).contains(count)),
        "{counts:?}"
    );
}
