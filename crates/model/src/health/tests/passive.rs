//! `TransportFailureRate` and reactivation (reference A7.4).

use super::*;
use crate::health::{ProxiedExchange, TransportFailureRateOptions};

impl World {
    /// An exchange with a destination ends. True when that changed its state.
    fn exchange(&self, id: &str, failed: bool) -> bool {
        let (cluster, destination) = (self.cluster(), self.destination(id));
        let policy = cluster.destinations().passive_health.clone().unwrap();
        let exchange = ProxiedExchange {
            failed,
            status: if failed { 502 } else { 200 },
        };
        let verdict = policy.request_proxied(&cluster, &destination, exchange, self.now);
        let change = cluster.set_passive_health(&destination, verdict.unwrap(), self.now);
        change.is_some()
    }

    fn exchanges(&self, id: &str, outcomes: &str) {
        for outcome in outcomes.chars() {
            self.exchange(id, outcome == 'x');
        }
    }

    fn reactivate(&self) -> usize {
        self.cluster().reactivate(self.now).len()
    }

    fn passive(&self, id: &str) -> DestinationHealth {
        self.destination(id).passive_health()
    }
}

fn world() -> World {
    World::new(&["a", "b"], PolicyRegistry::default())
}

/// Step 5 and the last lines: the tenth exchange is the first that can mark.
#[test]
fn ten_failures_in_a_row_take_a_destination_out() {
    let world = world();
    for _ in 0..9 {
        world.exchange("a", true);
        assert_eq!(world.passive("a"), Healthy);
        assert_eq!(world.available(), "a b");
    }
    assert!(world.exchange("a", true));
    assert_eq!(world.passive("a"), Unhealthy);
    assert_eq!(world.available(), "b");
    assert_eq!(world.passive("b"), Unknown);
}

/// Step 6: a rate equal to the limit is unhealthy.
#[test]
fn the_rate_is_compared_with_the_limit() {
    for (outcomes, health) in [
        ("xx........", Healthy),
        ("xxx.......", Unhealthy),
        ("xxx........", Healthy),
        ("xxxx......", Unhealthy),
        ("xxxxxxxxx", Healthy),
        ("..........", Healthy),
    ] {
        let world = world();
        world.exchanges("a", outcomes);
        assert_eq!(world.passive("a"), health, "{outcomes}");
    }
}

/// Reference A1.13.
#[test]
fn the_limit_is_that_of_the_metadata_read_anew_when_it_changes() {
    const KEY: &str = "TransportFailureRateHealthPolicy.RateLimit";
    for (text, outcomes, health) in [
        ("0.5", "xxxx......", Healthy),
        ("0.5", "xxxxx.....", Unhealthy),
        ("half", "xxx.......", Unhealthy),
    ] {
        let mut world = world();
        world.reload(|config| metadata(config, KEY, text));
        world.exchanges("a", outcomes);
        assert_eq!(world.passive("a"), health, "{text} {outcomes}");
    }
    let mut world = world();
    world.reload(|config| metadata(config, KEY, "0.9"));
    world.exchanges("a", "xxxxxxxx..");
    assert_eq!(world.passive("a"), Healthy);
    // History survives the reload (reference A7.5).
    world.reload(|config| metadata(config, KEY, "0.5"));
    world.exchange("a", true);
    assert_eq!(world.passive("a"), Unhealthy);
}

/// Steps 1, 2 and 4: whole seconds leave the window, and only when there is traffic.
#[test]
fn exchanges_leave_the_window_by_the_second() {
    let mut world = world();
    world.exchanges("a", "xxxxxxxxx"); // The slot ends at 1.
    world.pass(0.999);
    world.exchanges("a", "."); // Still in it: 9 of 10.
    assert_eq!(world.passive("a"), Unhealthy);
    world.pass(60.001); // At 61 the slot is recorded, exactly a window old: it counts still.
    world.exchange("a", false);
    assert_eq!(world.passive("a"), Unhealthy);
    world.pass(0.001); // Now it is older than the window.
    world.exchange("a", false);
    assert_eq!(world.passive("a"), Healthy);
    // What has aged out counts neither in the total: 2 are left, so 7 failures are no rate yet.
    world.exchanges("a", "xxxxxxx");
    assert_eq!(world.passive("a"), Healthy);
    world.exchanges("a", "x");
    assert_eq!(world.passive("a"), Unhealthy);
}

/// Step 2: a slot begins with the exchange that finds the last one over.
#[test]
fn slots_age_one_after_the_other() {
    let mut world = world();
    world.exchanges("a", "xxx..."); // At 0: a slot that ends at 1.
    world.pass(30.0);
    world.exchanges("a", "....."); // At 30: 3 of 11 failed.
    assert_eq!(world.passive("a"), Healthy);
    world.exchanges("a", "xx"); // 5 of 13.
    assert_eq!(world.passive("a"), Unhealthy);
    world.pass(31.5); // At 61.5 the first slot is gone: 2 of 8, too few for a rate.
    world.exchange("a", false);
    assert_eq!(world.passive("a"), Healthy);
    world.exchanges("a", "xx"); // 4 of 10.
    assert_eq!(world.passive("a"), Unhealthy);
}

/// Only a change has effects.
#[test]
fn only_a_change_is_one() {
    let world = world();
    assert!(world.exchange("a", false), "from unknown to healthy");
    assert!(!world.exchange("a", false));
    world.exchanges("a", "xxxxxxx");
    assert!(world.exchange("a", true));
    assert!(!world.exchange("a", true));
}

/// The period is the configured one or 60 s, and never below the window.
#[test]
fn a_destination_is_unknown_again_after_the_period_or_the_window() {
    for (period, after) in [(None, 60.0), (Some(5), 60.0), (Some(90), 90.0)] {
        let mut world = world();
        let period = period.map(Duration::from_secs);
        world.reload(|config| {
            config.clusters[0].health_check.passive.reactivation_period = period;
        });
        world.exchanges("a", "xxxxxxxxxx");
        assert_eq!(
            world.cluster().next_reactivation(),
            Some(world.now + Duration::from_secs_f64(after))
        );
        world.pass(after - 0.001);
        assert_eq!(world.reactivate(), 0);
        assert_eq!(world.available(), "b");
        world.pass(0.001);
        assert_eq!(world.reactivate(), 1);
        assert_eq!(world.passive("a"), Unknown);
        assert_eq!(world.available(), "a b");
        assert_eq!(world.cluster().next_reactivation(), None);
        world.pass(1000.0);
        assert_eq!(world.reactivate(), 0, "it fires once");
    }
}

/// In panic mode traffic goes on, and may make it healthy before; then the timer does nothing. A
/// timer that is pending is not set anew.
#[test]
fn a_pending_timer_is_not_set_anew_and_leaves_the_healthy_alone() {
    let mut world = world();
    world.exchanges("a", "xxxxxxxxxx");
    let fires = world.cluster().next_reactivation();
    world.pass(30.0);
    world.exchanges("a", &".".repeat(30));
    assert_eq!(world.passive("a"), Healthy);
    world.exchanges("a", "xxxxxxxxxx");
    assert_eq!(world.passive("a"), Unhealthy);
    assert_eq!(world.cluster().next_reactivation(), fires);
    world.exchanges("a", &".".repeat(30));
    assert_eq!(world.passive("a"), Healthy);
    world.pass(30.0);
    assert_eq!(world.reactivate(), 0);
    assert_eq!(world.passive("a"), Healthy);
}

/// Reference A7.5: pending timers keep running, checks on or off.
#[test]
fn a_timer_keeps_running_over_a_reload() {
    let mut world = world();
    world.exchanges("a", "xxxxxxxxxx");
    world.reload(|config| config.clusters[0].destinations[0].address = "http://b/".into());
    assert_eq!(world.available(), "b");
    world.reload(|config| config.clusters[0].health_check.passive.enabled = false);
    assert!(world.cluster().destinations().passive_health.is_none());
    assert_eq!(world.available(), "a b");
    world.pass(60.0);
    assert_eq!(world.reactivate(), 1);
    assert_eq!(world.passive("a"), Unknown);
}

/// Reference A7.4: the three options that are code's in YARP.
#[test]
fn window_and_minimum_are_options() {
    let options = TransportFailureRateOptions {
        detection_window: Duration::from_secs(2),
        minimal_total_count: 3,
        default_failure_rate_limit: 1.0,
    };
    let registry = PolicyRegistry::default().with_transport_failure_rate(options);
    let mut world = World::new(&["a", "b"], registry);
    world.reload(|config| {
        config.clusters[0].health_check.passive.reactivation_period = Some(Duration::from_secs(1));
    });
    world.exchanges("a", ".xxx");
    assert_eq!(world.passive("a"), Healthy, "3 of 4 is below 1");
    world.pass(4.0);
    world.exchanges("a", "xxxx");
    assert_eq!(world.passive("a"), Unhealthy);
    world.pass(2.0);
    assert_eq!(world.reactivate(), 1, "after the window");
}
