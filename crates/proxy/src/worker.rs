//! What one thread of the front has and knows: its connections, queues, pools, its slow clock, and what
//! is in force of the configuration.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ostler_delegation::control::ConnectionFacts;
use ostler_delegation::{QueueError, QueueName};
use ostler_http1::RequestHead;
use ostler_model::{
    ClusterState, DestinationModel, DestinationState, ExclusivePaths, FastRandom, QueueNames,
    RouteModel, Snapshot,
};
use ostler_shm::kernel_tls::KernelTls;
use tokio::task::AbortHandle;

use crate::access_log::{AccessLog, Listeners, LoggedRequest, Noted, TraceOptions};
use crate::account::Told;
use crate::connection_counts::{Begins, ConnectionCounts};
use crate::descriptors::Descriptors;
use crate::destinations::{Destination, Destinations, RequestError};
use crate::exclusive_paths::ExclusivePathsOfRoutes;
use crate::health::HealthSignal;
use crate::limits::FrontLimits;
use crate::metrics::{Asked, Refusal, ThreadMetrics};
use crate::pipeline::Pipeline;
use crate::queues::Flush;
use crate::queues::{Queue, Rule, Rules};
use crate::shared::{Phase, Shared};
use crate::slow_timer::TICK;
use crate::static_files::StaticFiles;
use crate::watch::Watch;

/// The state of one thread. Nothing in it is locked, and nothing of it is seen by another.
#[derive(Debug)]
pub(crate) struct Worker {
    shared: Arc<Shared>,
    snapshot: RefCell<Arc<Snapshot>>,
    pipeline: RefCell<(u64, Arc<Pipeline>)>,
    /// Those in force, looked up once a tick; an `Rc` of this thread's own, so that no request
    /// touches a count that all threads share.
    limits: RefCell<Rc<FrontLimits>>,
    queues: RefCell<HashMap<QueueName, Rc<Queue>>>,
    /// Queues that the configuration in force does not name, and the names that it has.
    unwanted_queues: RefCell<Vec<QueueName>>,
    queues_of: RefCell<Arc<QueueNames>>,
    /// The revision for which rules were last looked through.
    rules_of: Cell<u64>,
    rules: Rules,
    exclusive_paths: ExclusivePathsOfRoutes,
    resets: Cell<u64>,
    flush: Rc<Flush>,
    destinations: Destinations,
    random: RefCell<FastRandom>,
    connections: RefCell<slab::Slab<Rc<Watch>>>,
    /// Advanced once a tick: deadlines are seconds, and asking the system costs each request.
    now: Cell<Instant>,
    phase: Cell<Phase>,
    /// Connections that have been accepted and are not among the others yet.
    beginning: Rc<Cell<usize>>,
    metrics: Option<Rc<ThreadMetrics>>,
}

/// What runs beside the connections; ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Begun([AbortHandle; 2]);

impl Drop for Begun {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// A connection's place among the worker's; dropped with it.
#[derive(Debug)]
pub(crate) struct Registered {
    worker: Rc<Worker>,
    at: usize,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.worker.connections.borrow_mut().remove(self.at);
    }
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, seed: u64) -> Rc<Self> {
        Rc::new(Self {
            snapshot: RefCell::new(shared.model.snapshot()),
            pipeline: RefCell::new((0, shared.pipeline())),
            limits: RefCell::new(Rc::new(FrontLimits::clone(&shared.limits()))),
            queues: RefCell::default(),
            unwanted_queues: RefCell::default(),
            queues_of: RefCell::default(),
            rules_of: Cell::new(0),
            rules: Rules::default(),
            exclusive_paths: ExclusivePathsOfRoutes::default(),
            resets: Cell::new(0),
            flush: Rc::default(),
            destinations: Destinations::new(Arc::clone(&shared.connection_limits)),
            random: RefCell::new(FastRandom::new(seed)),
            connections: RefCell::default(),
            now: Cell::new(crate::clock::now()),
            phase: Cell::new(Phase::Running),
            beginning: Rc::default(),
            metrics: shared.metrics.as_ref().map(|all| Rc::new(all.thread())),
            shared,
        })
    }

    /// The configuration in force.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        let mut snapshot = self.snapshot.borrow_mut();
        let revision = self.shared.model.revision();
        if snapshot.revision != revision {
            *snapshot = self.shared.model.snapshot();
            if let Some(metrics) = &self.metrics {
                metrics.forget_addresses();
            }
        }
        Arc::clone(&snapshot)
    }

    pub(crate) fn pipeline(&self) -> Arc<Pipeline> {
        let revision = self.shared.pipeline_revision();
        let mut pipeline = self.pipeline.borrow_mut();
        if pipeline.0 != revision {
            *pipeline = (revision, self.shared.pipeline());
        }
        Arc::clone(&pipeline.1)
    }

    pub(crate) fn limits(&self) -> Rc<FrontLimits> {
        Rc::clone(&self.limits.borrow())
    }

    /// The files to answer from, if there are any.
    pub(crate) fn static_files(&self) -> Option<&StaticFiles> {
        self.shared.static_files.as_ref()
    }

    /// The log of exchanges, if there is one.
    pub(crate) fn access_log(&self) -> Option<&Arc<dyn AccessLog>> {
        self.shared.access_log.as_ref()
    }

    /// How the front takes part in traces, if it does.
    pub(crate) fn traces(&self) -> Option<&TraceOptions> {
        self.shared.traces.as_ref()
    }

    /// What this thread counts, if anything.
    pub(crate) fn metrics(&self) -> Option<&Rc<ThreadMetrics>> {
        self.metrics.as_ref()
    }

    /// A connection is closed at once.
    pub(crate) fn refused(&self, refusal: Refusal) {
        if let Some(metrics) = &self.metrics {
            metrics.connection_refused(refusal);
        }
    }

    /// Who is told of something that is no request and begins like this.
    pub(crate) fn told_malformed(
        &self,
        connection: &ConnectionFacts,
        is_https: bool,
        input: &[u8],
    ) -> Told {
        Told {
            noted: self.access_log().map(|log| {
                let listeners = Listeners {
                    log: Some(Arc::clone(log)),
                    exporter: None,
                };
                let request = LoggedRequest::malformed(input);
                Noted::new(listeners, connection, is_https, request, None)
            }),
            measured: self
                .metrics
                .as_ref()
                .map(|metrics| metrics.begin(Asked::malformed(is_https))),
        }
    }

    /// What the kernel does of TLS, for clients whose sockets are handed over; `None` if nothing.
    pub(crate) fn kernel_tls(&self) -> Option<KernelTls> {
        self.shared.kernel_tls()
    }

    /// Where requests that are forwarded to a destination go.
    pub(crate) fn forwarding(
        &self,
        cluster: &ClusterState,
        model: &Arc<DestinationModel>,
    ) -> Result<Rc<Destination>, RequestError> {
        let revision = self.snapshot.borrow().revision;
        self.destinations.destination(revision, cluster, model)
    }

    /// Where changes of passive health are told.
    pub(crate) fn health(&self) -> &HealthSignal {
        &self.shared.health
    }

    /// The worker's slow clock.
    pub(crate) fn now(&self) -> Instant {
        self.now.get()
    }

    /// Whether connections end with the exchange they are in.
    pub(crate) fn is_draining(&self) -> bool {
        self.phase.get() != Phase::Running
    }

    pub(crate) fn with_random<T>(&self, draw: impl FnOnce(&mut FastRandom) -> T) -> T {
        draw(&mut self.random.borrow_mut())
    }

    /// The paths that are certain to lead to a route, which this request has taken by the configuration in
    /// force; `None` where that cannot be said, or where another one is in force by now.
    pub(crate) fn exclusive_paths(
        &self,
        route: &Arc<RouteModel>,
        head: &RequestHead,
        most: usize,
    ) -> Option<ExclusivePaths> {
        self.exclusive_paths
            .find(&self.snapshot(), route, head, most)
    }

    /// The delegation rule of a destination.
    pub(crate) fn rule(&self, model: &Arc<DestinationModel>) -> Result<Rc<Rule>, QueueError> {
        let name = model.queue.as_deref().unwrap_or_default();
        self.rules.of(model, name, |rule| self.queue(rule.queue()))
    }

    fn queue(&self, name: &QueueName) -> Rc<Queue> {
        if let Some(queue) = self.queues.borrow().get(name) {
            return Rc::clone(queue);
        }
        let queue = Queue::open(name, &self.shared.queues, &self.flush);
        self.queues
            .borrow_mut()
            .insert(name.clone(), Rc::clone(&queue));
        queue
    }

    /// Whether an exchange that is given to this destination is likely to be begun at once: what is
    /// forwarded is, and what is delegated where an instance takes requests.
    pub(crate) fn could_take(&self, destination: &DestinationState) -> bool {
        let model = destination.model();
        if model.queue.is_none() {
            return true;
        }
        let rule = self.rule(&model);
        rule.is_ok_and(|rule| rule.queue.is_ready(&rule.rule))
    }

    /// Lets go of queues that no destination names any more.
    fn let_go_of_queues(&self) {
        let snapshot = self.snapshot();
        let named = Arc::clone(&snapshot.queues);
        let before = self.queues_of.replace(Arc::clone(&named));
        if !Arc::ptr_eq(&before, &named) {
            let wanted: HashSet<_> = named
                .iter()
                .filter_map(|name| QueueName::new(name).ok())
                .collect();
            let queues = self.queues.borrow();
            let unwanted = queues.iter().filter(|(name, _)| !wanted.contains(name));
            let unwanted: Vec<_> = unwanted.map(|(name, _)| name.clone()).collect();
            self.unwanted_queues.replace(unwanted);
        }
        let is_new = self.rules_of.replace(snapshot.revision) != snapshot.revision;
        if is_new || !self.unwanted_queues.borrow().is_empty() {
            self.rules.forget_gone();
        }
        // An exchange that began under the configuration before may still want one.
        self.unwanted_queues.borrow_mut().retain(|name| {
            let mut queues = self.queues.borrow_mut();
            let Some(queue) = queues.get(name) else {
                return false;
            };
            if Rc::strong_count(queue) > 1 {
                return true;
            }
            queue.reset();
            if !queue.is_at_rest() {
                return true;
            }
            queues.remove(name);
            false
        });
    }

    /// Takes in what targets have completed.
    pub(crate) fn settle(&self) {
        for queue in self.queues.borrow().values() {
            queue.settle();
        }
    }

    pub(crate) fn register(self: &Rc<Self>, watch: Rc<Watch>) -> Registered {
        watch.counted.begun();
        let at = self.connections.borrow_mut().insert(watch);
        Registered {
            worker: Rc::clone(self),
            at,
        }
    }

    /// Runs what the thread does beside its connections: waking targets, and the tick.
    pub(crate) fn begin(self: &Rc<Self>) -> Begun {
        self.flush.pace_thread();
        Begun([
            tokio::task::spawn_local(Rc::clone(&self.flush).run()).abort_handle(),
            tokio::task::spawn_local(Rc::clone(self).tick()).abort_handle(),
        ])
    }

    /// From here on connections end with the exchange they are in.
    pub(crate) fn drain(&self) {
        self.phase.set(Phase::Draining);
    }

    /// Tells targets that nothing more comes.
    pub(crate) fn leave_queues(&self) {
        self.flush.now();
        for queue in self.queues.borrow().values() {
            queue.leave();
        }
    }

    /// Whether connections have been accepted that are not served yet.
    pub(crate) fn has_connections(&self) -> bool {
        self.beginning.get() > 0 || !self.connections.borrow().is_empty()
    }

    /// Counts a connection as one that is about to be served.
    pub(crate) fn one_begins(&self) -> Begins {
        Begins::among(&self.beginning)
    }

    /// The connections of all threads, counted.
    pub(crate) fn counts(&self) -> &Arc<ConnectionCounts> {
        &self.shared.connections
    }

    /// What descriptors there are for clients.
    pub(crate) fn descriptors(&self) -> &Descriptors {
        &self.shared.descriptors
    }

    /// Whether stopping now would lose anything. What a target has taken is safe with it.
    pub(crate) fn is_busy(&self) -> bool {
        let queues = self.queues.borrow();
        if queues.values().any(|queue| queue.untaken() > 0) {
            return true;
        }
        let connections = self.connections.borrow();
        connections.iter().any(|(_, watch)| watch.needs_front())
    }

    /// Whether somebody is told of exchanges, and there are some whose targets have not said how they ended.
    pub(crate) fn awaits_log_lines(&self) -> bool {
        if self.access_log().is_none() && self.traces().is_none() {
            return false;
        }
        self.settle();
        let queues = self.queues.borrow();
        queues.values().any(|queue| queue.under_way() > 0)
    }

    async fn tick(self: Rc<Self>) {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut slow = 0u32;
        let mut limits = self.shared.limits();
        let beats = self.shared.heartbeats.add();
        loop {
            interval.tick().await;
            beats.fetch_add(1, Ordering::Relaxed);
            self.now.set(crate::clock::now());
            crate::slow_timer::advance(self.now.get());
            let in_force = self.shared.limits();
            if !Arc::ptr_eq(&limits, &in_force) {
                self.limits.replace(Rc::new(FrontLimits::clone(&in_force)));
                limits = in_force;
                // Some may have been granted by those before.
                self.shared.queues.end_leases();
            }
            let resets = self.shared.resets.current();
            if self.resets.replace(resets) != resets {
                self.shared.resets.apply(|name| {
                    if let Some(queue) = self.queues.borrow().get(name) {
                        queue.reset();
                    }
                });
            }
            for queue in self.queues.borrow().values() {
                queue.check(self.now.get());
            }
            slow = (slow + 1) % 10;
            if slow == 0 {
                for queue in self.queues.borrow().values() {
                    queue.sweep(self.now.get());
                }
                let snapshot = self.snapshot();
                self.destinations
                    .sweep(self.now.get(), |id| snapshot.clusters.find(id).is_some());
                if let Some(metrics) = &self.metrics {
                    metrics.are_ready(self.destinations.ready());
                }
                self.let_go_of_queues();
                if self.counts().have_gone() {
                    ostler_shm::release_free_memory();
                }
                self.check(self.is_draining());
                self.judge_data_rates();
            }
        }
    }

    /// Cuts off clients that send or take too slowly.
    fn judge_data_rates(&self) {
        let limits = self.limits();
        for (_, watch) in self.connections.borrow().iter() {
            watch.judge_data_rate(self.now.get(), &limits);
        }
    }

    /// Has connections look at their time, and all of them if they are to end.
    pub(crate) fn check(&self, draining: bool) {
        let watches: Vec<_> = self
            .connections
            .borrow()
            .iter()
            .map(|(_, watch)| Rc::clone(watch))
            .collect();
        for watch in watches {
            watch.check(self.now.get(), draining);
        }
    }
}
