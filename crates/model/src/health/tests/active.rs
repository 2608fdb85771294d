//! `ConsecutiveFailures` (reference A7.3).

use super::*;
use crate::health::{ActiveHealthCheckPolicy, ConsecutiveFailures, ProbingResult};

impl World {
    /// A round of probes with these statuses; gives the destinations that have changed.
    fn round(&self, statuses: &[(&str, Option<u16>)]) -> Vec<(String, DestinationHealth)> {
        let results: Vec<_> = statuses
            .iter()
            .map(|(id, status)| ProbingResult {
                destination: self.destination(id),
                status: *status,
            })
            .collect();
        let cluster = self.cluster();
        let policy = cluster.model().active_health.clone().unwrap();
        let changed = cluster.set_active_health(policy.probing_completed(&cluster, &results));
        let changed = changed.into_iter();
        changed
            .map(|(destination, health)| (destination.id().to_owned(), health))
            .collect()
    }
}

fn world() -> World {
    World::new(&["a", "b"], PolicyRegistry::default())
}

#[test]
fn only_a_status_from_200_to_299_is_a_success() {
    let destination = world().destination("a");
    for (status, success) in [
        (Some(199), false),
        (Some(200), true),
        (Some(204), true),
        (Some(299), true),
        (Some(302), false),
        (Some(404), false),
        (Some(503), false),
        (None, false),
    ] {
        let result = ProbingResult {
            destination: Arc::clone(&destination),
            status,
        };
        assert_eq!(result.is_success(), success, "{status:?}");
    }
}

#[test]
fn two_failures_in_a_row_make_unhealthy_and_one_success_makes_healthy() {
    let world = world();
    let a = world.destination("a");
    // Below the threshold unknown stays unknown.
    assert_eq!(world.round(&[("a", None)]), []);
    assert_eq!(a.active_health(), Unknown);
    assert_eq!(world.round(&[("a", Some(200))]), [("a".into(), Healthy)]);
    // And healthy stays healthy; the count began anew.
    assert_eq!(world.round(&[("a", Some(500))]), []);
    assert_eq!(a.active_health(), Healthy);
    assert_eq!(world.available(), "a b");
    assert_eq!(world.round(&[("a", Some(500))]), [("a".into(), Unhealthy)]);
    assert_eq!(world.available(), "b");
    assert_eq!(world.round(&[("a", None)]), []);
    assert_eq!(world.round(&[("a", Some(204))]), [("a".into(), Healthy)]);
    assert_eq!(world.available(), "a b");
}

/// Reference A1.13: the threshold of the metadata, read anew when its text changes.
#[test]
fn the_threshold_is_that_of_the_metadata() {
    const KEY: &str = "ConsecutiveFailuresHealthPolicy.Threshold";
    for (text, rounds) in [("1", 1), ("3", 3), ("2.5", 3), ("many", 2)] {
        let mut world = world();
        world.reload(|config| metadata(config, KEY, text));
        let mut taken = 1;
        while world.round(&[("a", None)]).is_empty() {
            taken += 1;
        }
        assert_eq!(taken, rounds, "{text}");
    }
    let mut world = world();
    world.reload(|config| metadata(config, KEY, "5"));
    for _ in 0..3 {
        assert_eq!(world.round(&[("a", None)]), []);
    }
    world.reload(|config| metadata(config, KEY, "4"));
    assert_eq!(world.round(&[("a", None)]), [("a".into(), Unhealthy)]);
}

#[test]
fn nothing_happens_to_no_destinations() {
    let world = World::new(&[], PolicyRegistry::default());
    let states = ConsecutiveFailures.probing_completed(&world.cluster(), &[]);
    assert!(states.is_empty());
    assert_eq!(world.round(&[]), []);
}

/// Reference A7.5.
#[test]
fn states_and_counts_survive_a_reload_that_moves_the_destination() {
    let mut world = world();
    world.round(&[("a", None), ("b", None)]);
    world.reload(|config| config.clusters[0].destinations[0].address = "http://b/".into());
    let changed = world.round(&[("a", None)]);
    assert_eq!(changed, [("a".into(), Unhealthy)]);
    world.reload(|config| config.clusters[0].destinations[0].host = Some("h".into()));
    assert_eq!(world.available(), "b");
    // One that has left starts from scratch.
    let b = world.config.clusters[0].destinations.pop().unwrap();
    world.apply();
    world.reload(|config| config.clusters[0].destinations.push(b));
    assert_eq!(world.round(&[("b", None)]), []);
}

/// Reference A7.1 and A7.3: states are kept while checks are off, and do not count.
#[test]
fn turning_checks_off_keeps_states_that_do_not_count() {
    let mut world = world();
    world.round(&[("a", None)]);
    world.round(&[("a", None)]);
    assert_eq!(world.available(), "b");
    world.reload(|config| config.clusters[0].health_check.active.enabled = false);
    assert_eq!(world.available(), "a b");
    assert_eq!(world.destination("a").active_health(), Unhealthy);
    world.reload(|config| config.clusters[0].health_check.active.enabled = true);
    assert_eq!(world.available(), "b");
}

/// A policy that calls everything unhealthy.
struct Gloomy;

impl ActiveHealthCheckPolicy for Gloomy {
    fn name(&self) -> &str {
        "Gloomy"
    }

    fn probing_completed(
        &self,
        _cluster: &ClusterState,
        results: &[ProbingResult],
    ) -> Vec<(Arc<DestinationState>, DestinationHealth)> {
        let results = results.iter();
        results
            .map(|result| (Arc::clone(&result.destination), Unhealthy))
            .collect()
    }
}

/// Reference A7.6.
#[test]
fn a_policy_of_ones_own_is_found_by_name() {
    let mut registry = PolicyRegistry::default();
    registry.add_active_health(Gloomy).unwrap();
    let again = registry.add_active_health(Gloomy).unwrap_err();
    assert_eq!(
        again.to_string(),
        "there is already a policy for active health checks \"Gloomy\""
    );
    let mut world = World::new(&["a", "b"], registry);
    world.reload(|config| config.clusters[0].health_check.active.policy = Some("gloomy".into()));
    world.round(&[("a", Some(200))]);
    assert_eq!(world.available(), "b");
    // Rule C10, for who makes configuration in code.
    world.config.clusters[0].health_check.active.policy = Some("Cheerful".into());
    let error = world.model.apply(&world.config).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cluster \"c\" has no such active health check policy as \"Cheerful\""
    );
}
