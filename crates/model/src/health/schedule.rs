//! When clusters are probed (reference A7.3), as a state machine: told of configurations and of
//! rounds that end, it says which rounds begin.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cluster::{ClusterModel, ClusterState};
use crate::destination::{DestinationModel, DestinationState};
use crate::snapshot::Snapshot;

/// When each cluster with active checks is probed next.
///
/// ```text
///             first observation                            a later one
///                    |                                          |
///                    v          first round over                v
///   +------+     +--------+     for all clusters           +---------+
///   | Due  |---->| Probing|---->  Held  ----------------->| Waiting |<--- cluster changed
///   +------+     +--------+                                +---------+
///       ^             `---- round over, later rounds ------->   |
///       `------------------------ Interval is over -------------'
/// ```
#[derive(Debug)]
pub struct ProbeSchedule {
    /// Where `Active:Interval` says nothing.
    default_interval: Duration,
    entries: Vec<Entry>,
    revision: Option<u64>,
    /// Whether the first round is over for all clusters that take part in it.
    running: bool,
}

#[derive(Debug)]
struct Entry {
    cluster: Arc<ClusterState>,
    seen: Seen,
    /// Active checks are on; an entry without them waits only for its round to end.
    wanted: bool,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Of the first round, to begin now.
    Due,
    Probing {
        first_round: bool,
    },
    /// Until the first round is over for all.
    Held,
    Waiting {
        until: Instant,
    },
}

/// What a change of which restarts the timer.
#[derive(Debug)]
struct Seen {
    model: Arc<ClusterModel>,
    all: Arc<[Arc<DestinationState>]>,
    models: Vec<Arc<DestinationModel>>,
}

impl Seen {
    fn of(cluster: &ClusterState) -> Self {
        let all = Arc::clone(&cluster.destinations().all);
        Self {
            model: cluster.model(),
            models: all.iter().map(|destination| destination.model()).collect(),
            all,
        }
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.model, &other.model)
            && Arc::ptr_eq(&self.all, &other.all)
            && self.models.len() == other.models.len()
            && self
                .models
                .iter()
                .zip(&other.models)
                .all(|(left, right)| Arc::ptr_eq(left, right))
    }
}

impl Entry {
    fn interval(&self, default: Duration) -> Duration {
        let interval = self.seen.model.config.health_check.active.interval;
        interval.unwrap_or(default)
    }
}

impl ProbeSchedule {
    /// A schedule of nothing; the first configuration it observes is probed at once.
    pub fn new(default_interval: Duration) -> Self {
        Self {
            default_interval,
            entries: Vec::new(),
            revision: None,
            running: false,
        }
    }

    /// Takes over the configuration in force.
    pub fn observe(&mut self, snapshot: &Snapshot, now: Instant) {
        let at_start = self.revision.is_none();
        if self.revision.replace(snapshot.revision) == Some(snapshot.revision) {
            return;
        }
        let is_on = |cluster: &ClusterState| cluster.model().health_checks.active;
        for entry in &mut self.entries {
            let id = entry.cluster.id();
            let stays = snapshot.clusters.find(id);
            let stays = stays.is_some_and(|cluster| Arc::ptr_eq(cluster, &entry.cluster));
            entry.wanted = stays && is_on(&entry.cluster);
        }
        // Unscheduled; a round under way is waited for, so that rounds do not overlap should the
        // checks be switched on again.
        self.entries
            .retain(|entry| entry.wanted || matches!(entry.step, Step::Probing { .. }));
        let entries = self.entries.iter().enumerate();
        let known: HashMap<_, _> = entries
            .map(|(at, entry)| (Arc::as_ptr(&entry.cluster), at))
            .collect();
        for cluster in snapshot.clusters.iter().filter(|cluster| is_on(cluster)) {
            let seen = Seen::of(cluster);
            let known = known.get(&Arc::as_ptr(cluster));
            match known.map(|at| &mut self.entries[*at]) {
                Some(entry) if entry.seen.is(&seen) => {}
                Some(entry) => {
                    entry.seen = seen;
                    if let Step::Waiting { until } = &mut entry.step {
                        let interval = entry.seen.model.config.health_check.active.interval;
                        *until = now + interval.unwrap_or(self.default_interval);
                    }
                }
                None => {
                    let mut entry = Entry {
                        cluster: Arc::clone(cluster),
                        seen,
                        wanted: true,
                        step: Step::Due,
                    };
                    if !at_start {
                        entry.step = match self.running {
                            true => Step::Waiting {
                                until: now + entry.interval(self.default_interval),
                            },
                            false => Step::Held,
                        };
                    }
                    self.entries.push(entry);
                }
            }
        }
        self.start_timers(now);
    }

    /// The clusters whose round begins now. Each is to be told of by [`finished`](Self::finished).
    pub fn due(&mut self, now: Instant) -> Vec<Arc<ClusterState>> {
        let mut due = Vec::new();
        for entry in &mut self.entries {
            let first_round = match entry.step {
                Step::Due => true,
                Step::Waiting { until } if until <= now => false,
                _ => continue,
            };
            entry.step = Step::Probing { first_round };
            due.push(Arc::clone(&entry.cluster));
        }
        due
    }

    /// A cluster's round is over; the next one begins an interval from now.
    pub fn finished(&mut self, cluster: &Arc<ClusterState>, now: Instant) {
        let default = self.default_interval;
        self.entries.retain_mut(|entry| {
            if !Arc::ptr_eq(&entry.cluster, cluster) {
                return true;
            }
            entry.step = match entry.step {
                Step::Probing { first_round: true } if !self.running => Step::Held,
                _ => Step::Waiting {
                    until: now + entry.interval(default),
                },
            };
            entry.wanted
        });
        self.start_timers(now);
    }

    /// When [`due`](Self::due) has something new, if nothing else happens.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        let times = self.entries.iter().filter_map(|entry| match entry.step {
            Step::Due => Some(now),
            Step::Waiting { until } => Some(until),
            Step::Probing { .. } | Step::Held => None,
        });
        times.min()
    }

    /// Starts the timers of all clusters once the first round is over.
    fn start_timers(&mut self, now: Instant) {
        let under_way =
            |entry: &Entry| matches!(entry.step, Step::Due | Step::Probing { first_round: true });
        if self.running || self.entries.iter().any(under_way) {
            return;
        }
        self.running = true;
        let default = self.default_interval;
        for entry in &mut self.entries {
            if entry.step == Step::Held {
                let until = now + entry.interval(default);
                entry.step = Step::Waiting { until };
            }
        }
    }
}
