//! Health checks at work (reference A7): a thread of its own sends probes when they are due and fires
//! reactivation timers, so that neither delays an exchange; front threads report how exchanges end.

mod options;
mod passive;
mod probe;
mod signal;
mod through_queue;

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ostler_delegation::runtime::RuntimeFolder;
use ostler_model::health::ProbeSchedule;
use ostler_model::{ClusterState, Snapshot};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::shared::{Phase, Shared};

pub use options::ActiveHealthOptions;
pub(crate) use passive::Watched;
use probe::Prober;
pub(crate) use signal::HealthSignal;

/// Starts the thread. It ends when the front begins to stop.
pub(crate) fn start(
    shared: &Arc<Shared>,
    options: ActiveHealthOptions,
    runtime: RuntimeFolder,
    phase: watch::Receiver<Phase>,
) -> io::Result<JoinHandle<()>> {
    let signal = Arc::downgrade(&shared.health.0);
    shared.model.on_change(move || {
        let signal = signal.upgrade();
        signal.inspect(|signal| signal.notify_one()).is_some()
    });
    let shared = Arc::clone(shared);
    let builder = tokio::runtime::Builder::new_current_thread();
    crate::runtime_thread::start("health".to_owned(), builder, move |thread| {
        thread.block_on(async move {
            run(&Rc::new(Prober::new(shared, options, runtime)), phase).await;
        });
    })
}

/// When connections that probes have left open are looked at: a while after they have grown old.
const SWEEP: Duration = Duration::from_secs(61);

/// How long requests are given to be done with a former configuration, before it is looked at again.
const RELEASE: Duration = Duration::from_secs(1);

async fn run(prober: &Rc<Prober>, mut phase: watch::Receiver<Phase>) {
    let shared = prober.shared();
    let mut schedule = ProbeSchedule::new(prober.options().default_interval);
    let mut rounds = JoinSet::new();
    let mut probed: HashMap<tokio::task::Id, Arc<ClusterState>> = HashMap::new();
    let mut next_reactivation = None;
    let mut next_sweep: Option<Instant> = None;
    let mut stirred = true;
    while *phase.borrow() == Phase::Running {
        let now = crate::clock::now();
        let snapshot = shared.model.snapshot();
        schedule.observe(&snapshot, now);
        for cluster in schedule.due(now) {
            prober.sweep(&snapshot, now);
            let round = rounds.spawn_local(Rc::clone(prober).round(Arc::clone(&cluster)));
            probed.insert(round.id(), cluster);
        }
        if stirred || next_reactivation.is_some_and(|at| at <= now) {
            next_reactivation = reactivate(&snapshot, now);
        }
        if next_sweep.is_some_and(|at| at <= now) {
            prober.sweep(&snapshot, now);
            next_sweep = None;
        }
        drop(snapshot);
        // Here, since a large configuration takes its time to be taken apart, which no thread that
        // serves requests has.
        let retired = (!shared.model.release_retired()).then(|| now + RELEASE);
        let wake = [
            schedule.next_due(now),
            next_reactivation,
            next_sweep,
            retired,
        ];
        let wake = wake.into_iter().flatten().min();
        stirred = false;
        tokio::select! {
            changed = phase.changed() => if changed.is_err() { return },
            () = shared.health.0.notified() => stirred = true,
            Some(ended) = rounds.join_next_with_id() => {
                // A policy that panics costs its round, no more.
                let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                let now = crate::clock::now();
                if let Some(cluster) = probed.remove(&id) {
                    schedule.finished(&cluster, now);
                }
                next_sweep = Some(now + SWEEP);
            }
            () = until(wake) => {}
        }
    }
}

async fn until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Fires the timers that are due; gives when the next one is. Looks at every destination, which is
/// why it is done only when a passive state has changed or a timer is due.
fn reactivate(snapshot: &Snapshot, now: Instant) -> Option<Instant> {
    for cluster in snapshot.clusters.iter() {
        for destination in cluster.reactivate(now) {
            tracing::info!(
                cluster = cluster.id(),
                destination = destination.id(),
                "passive health is unknown again"
            );
        }
    }
    let clusters = snapshot.clusters.iter();
    clusters
        .filter_map(|cluster| cluster.next_reactivation())
        .min()
}
