//! When probes are due (reference A7.3, "Schedule").

use super::*;
use crate::health::ProbeSchedule;

const INTERVAL: f64 = 15.0;

struct Plan {
    world: World,
    schedule: ProbeSchedule,
}

impl Plan {
    fn new(clusters: &[&str]) -> Self {
        let mut world = World::new(&["a"], PolicyRegistry::default());
        world.config.clusters = clusters.iter().map(|id| cluster(id, &["a"])).collect();
        world.apply();
        Self {
            world,
            schedule: ProbeSchedule::new(Duration::from_secs_f64(INTERVAL)),
        }
    }

    /// The clusters whose rounds begin now, each at most once.
    fn due(&mut self) -> String {
        let snapshot = self.world.model.snapshot();
        self.schedule.observe(&snapshot, self.world.now);
        let due = self.schedule.due(self.world.now);
        let ids: Vec<_> = due.iter().map(|cluster| cluster.id()).collect();
        ids.join(" ")
    }

    fn finish(&mut self, id: &str) {
        let snapshot = self.world.model.snapshot();
        let cluster = snapshot.clusters.find(id).unwrap();
        self.schedule.finished(cluster, self.world.now);
    }

    /// Seconds until something is due.
    fn next(&self) -> Option<f64> {
        let next = self.schedule.next_due(self.world.now)?;
        Some(next.duration_since(self.world.now).as_secs_f64())
    }

    fn pass(&mut self, seconds: f64) {
        self.world.pass(seconds);
    }
}

/// Statement 1, and 2: timers start when the first round is over for all.
#[test]
fn the_first_round_begins_at_once_and_timers_when_it_is_over_for_all() {
    let mut plan = Plan::new(&["x", "y"]);
    plan.world.config.clusters.push(cluster("off", &["a"]));
    plan.world.config.clusters[2].health_check.active.enabled = false;
    plan.world.apply();
    assert_eq!(plan.due(), "x y");
    assert_eq!(plan.due(), "", "a round is begun once");
    plan.finish("x");
    plan.pass(100.0);
    assert_eq!(plan.due(), "", "y is still being probed");
    assert_eq!(plan.next(), None);
    plan.finish("y");
    assert_eq!(plan.next(), Some(INTERVAL));
    plan.pass(INTERVAL);
    assert_eq!(plan.due(), "x y");
}

/// Statement 2: the interval begins when the round before is over; rounds do not overlap.
#[test]
fn the_next_round_is_an_interval_after_the_end_of_the_last() {
    let mut plan = Plan::new(&["x"]);
    plan.world.config.clusters[0].health_check.active.interval = Some(Duration::from_secs(5));
    plan.world.apply();
    assert_eq!(plan.due(), "x");
    plan.finish("x");
    for _ in 0..3 {
        assert_eq!(plan.next(), Some(5.0));
        plan.pass(5.0);
        assert_eq!(plan.due(), "x");
        plan.pass(20.0);
        assert_eq!(plan.due(), "", "the round takes longer than the interval");
        plan.finish("x");
    }
}

/// Statement 3.
#[test]
fn a_cluster_that_comes_later_waits_a_whole_interval() {
    let mut plan = Plan::new(&["x"]);
    assert_eq!(plan.due(), "x");
    plan.finish("x");
    plan.pass(5.0);
    plan.world.config.clusters.push(cluster("y", &["a"]));
    plan.world.apply();
    assert_eq!(plan.due(), "");
    assert_eq!(plan.next(), Some(INTERVAL - 5.0), "x is not put off by y");
    plan.pass(INTERVAL - 5.0);
    assert_eq!(plan.due(), "x");
    plan.pass(5.0);
    assert_eq!(plan.due(), "y");
}

/// Statement 3, while the first round is under way.
#[test]
fn a_cluster_that_comes_during_the_first_round_waits_for_its_end() {
    let mut plan = Plan::new(&["x"]);
    assert_eq!(plan.due(), "x");
    plan.world.config.clusters.push(cluster("y", &["a"]));
    plan.world.apply();
    assert_eq!(plan.due(), "");
    plan.pass(100.0);
    assert_eq!(plan.due(), "");
    plan.finish("x");
    plan.pass(INTERVAL);
    assert_eq!(plan.due(), "x y");
}

/// Statement 3: any change of the cluster or its destinations restarts its timer.
#[test]
fn a_change_of_the_cluster_restarts_its_timer() {
    type Change = fn(&mut ProxyConfig);
    let changes: [(&str, Change, f64); 5] = [
        (
            "its interval",
            |config| {
                let active = &mut config.clusters[0].health_check.active;
                active.interval = Some(Duration::from_secs(7));
            },
            7.0,
        ),
        (
            "its metadata",
            |config| metadata(config, "k", "v"),
            INTERVAL,
        ),
        (
            "a destination's address",
            |config| config.clusters[0].destinations[0].address = "http://b/".into(),
            INTERVAL,
        ),
        (
            "a destination comes",
            |config| config.clusters[0].destinations.push(destination("b")),
            INTERVAL,
        ),
        (
            "a destination goes",
            |config| drop(config.clusters[0].destinations.pop()),
            INTERVAL,
        ),
    ];
    for (what, change, period) in changes {
        let mut plan = Plan::new(&["x"]);
        assert_eq!(plan.due(), "x");
        plan.finish("x");
        plan.pass(INTERVAL - 1.0);
        plan.world.reload(change);
        assert_eq!(plan.due(), "");
        assert_eq!(plan.next(), Some(period), "{what}");
    }
}

#[test]
fn a_change_of_another_cluster_does_not() {
    let mut plan = Plan::new(&["x", "y"]);
    assert_eq!(plan.due(), "x y");
    plan.finish("x");
    plan.finish("y");
    plan.pass(INTERVAL - 1.0);
    plan.world.reload(|config| {
        config.clusters[1].health_check.active.interval = Some(Duration::from_secs(60));
    });
    assert_eq!(plan.due(), "");
    assert_eq!(plan.next(), Some(1.0));
    plan.pass(1.0);
    assert_eq!(plan.due(), "x");
}

/// Statement 3: switched off or removed is unscheduled, and back is as new.
#[test]
fn switched_off_or_removed_is_unscheduled() {
    let mut plan = Plan::new(&["x"]);
    assert_eq!(plan.due(), "x");
    plan.finish("x");
    plan.world
        .reload(|config| config.clusters[0].health_check.active.enabled = false);
    assert_eq!(plan.due(), "");
    assert_eq!(plan.next(), None);
    plan.pass(100.0);
    plan.world
        .reload(|config| config.clusters[0].health_check.active.enabled = true);
    assert_eq!(plan.due(), "");
    assert_eq!(plan.next(), Some(INTERVAL));
    let removed = plan.world.config.clusters.pop().unwrap();
    plan.world.apply();
    plan.pass(100.0);
    assert_eq!(plan.due(), "");
    assert_eq!(plan.next(), None);
    plan.world.reload(|config| config.clusters.push(removed));
    assert_eq!(plan.due(), "");
    assert_eq!(plan.next(), Some(INTERVAL));
}

/// Statement 2: nor do rounds overlap when checks go off and on while one is under way.
#[test]
fn off_and_on_again_does_not_make_rounds_overlap() {
    let mut plan = Plan::new(&["x"]);
    assert_eq!(plan.due(), "x");
    for enabled in [false, true] {
        plan.world
            .reload(|config| config.clusters[0].health_check.active.enabled = enabled);
        assert_eq!(plan.due(), "");
    }
    plan.pass(100.0);
    assert_eq!(plan.due(), "");
    plan.finish("x");
    assert_eq!(plan.next(), Some(INTERVAL));
    // And off at the end of a round, it is forgotten.
    plan.pass(INTERVAL);
    assert_eq!(plan.due(), "x");
    plan.world
        .reload(|config| config.clusters[0].health_check.active.enabled = false);
    assert_eq!(plan.due(), "");
    plan.finish("x");
    assert_eq!(plan.next(), None);
}

#[test]
fn listeners_are_told_of_changes_until_they_have_enough() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let mut world = World::new(&["a"], PolicyRegistry::default());
    let told = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&told);
    world
        .model
        .on_change(move || counted.fetch_add(1, Ordering::Relaxed) < 1);
    world.apply();
    assert_eq!(told.load(Ordering::Relaxed), 0, "nothing has changed");
    for (host, times) in [("h", 1), ("i", 2), ("j", 2)] {
        world.reload(|config| config.clusters[0].destinations[0].host = Some(host.into()));
        assert_eq!(told.load(Ordering::Relaxed), times);
    }
}
