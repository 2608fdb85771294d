//! One thread of the front: its connections, its queues, its forwarding pools, its slow clock.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use ostler_delegation::{QueueError, QueueName};
use ostler_model::{ClusterState, DestinationModel, DestinationState, FastRandom, Snapshot};
use ostler_shm::kernel_tls::KernelTls;
use tokio::sync::{mpsc, watch};

use crate::accept::{self, Incoming, Listener};
use crate::connection::Watch;
use crate::connection_counts::Begins;
use crate::destinations::{Destination, Destinations, RequestError};
use crate::endpoint::Endpoint;
use crate::health::HealthSignal;
use crate::limits::FrontLimits;
use crate::listeners::{self, Change, EndpointConnections, Listeners};
use crate::pipeline::Pipeline;
use crate::queues::Flush;
use crate::queues::{Queue, Rule, Rules};
use crate::shared::{Phase, Shared};
use crate::slow_timer::TICK;
use crate::static_files::StaticFiles;

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
    /// Queues that the configuration in force does not name, and its revision.
    unwanted_queues: RefCell<Vec<QueueName>>,
    queues_of: Cell<u64>,
    rules: Rules,
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
            queues_of: Cell::new(0),
            rules: Rules::default(),
            resets: Cell::new(0),
            flush: Rc::default(),
            destinations: Destinations::new(Arc::clone(&shared.connection_limits)),
            random: RefCell::new(FastRandom::new(seed)),
            connections: RefCell::default(),
            now: Cell::new(crate::clock::now()),
            phase: Cell::new(Phase::Running),
            beginning: Rc::default(),
            shared,
        })
    }

    /// The configuration in force.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        let mut snapshot = self.snapshot.borrow_mut();
        let revision = self.shared.model.revision();
        if snapshot.revision != revision {
            *snapshot = self.shared.model.snapshot();
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

    /// The delegation rule of a destination.
    pub(crate) fn rule(&self, model: &Arc<DestinationModel>) -> Result<Rc<Rule>, QueueError> {
        let revision = self.snapshot.borrow().revision;
        let name = model.queue.as_deref().unwrap_or_default();
        self.rules
            .of(revision, model, name, |rule| self.queue(rule.queue()))
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
        if self.queues_of.replace(snapshot.revision) != snapshot.revision {
            let mut wanted = HashSet::new();
            for cluster in snapshot.clusters.iter() {
                for destination in cluster.destinations().all.iter() {
                    let model = destination.model();
                    wanted.extend(
                        model
                            .queue
                            .as_deref()
                            .and_then(|name| QueueName::new(name).ok()),
                    );
                }
            }
            self.rules.forget_others(snapshot.revision);
            let queues = self.queues.borrow();
            let unwanted = queues.iter().filter(|(name, _)| !wanted.contains(name));
            let unwanted: Vec<_> = unwanted.map(|(name, _)| name.clone()).collect();
            self.unwanted_queues.replace(unwanted);
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

    /// Accepts and serves until the front stops, then until what is under way has ended.
    pub(crate) async fn run(
        self: Rc<Self>,
        mut changes: mpsc::UnboundedReceiver<Change>,
        mut phase: watch::Receiver<Phase>,
    ) {
        self.flush.pace_thread();
        let flush = tokio::task::spawn_local(Rc::clone(&self.flush).run());
        let ticks = tokio::task::spawn_local(Rc::clone(&self).tick());
        let mut listeners = Listeners::default();
        loop {
            tokio::select! {
                _ = phase.wait_for(|phase| *phase != Phase::Running) => break,
                Some(change) = changes.recv() => listeners.change(&self, change).await,
            }
        }
        // Sockets that this thread has not heard of yet have had connections since they were bound, which
        // would be reset with them.
        changes.close();
        while let Ok(change) = changes.try_recv() {
            listeners.change(&self, change).await;
        }
        self.phase.set(Phase::Draining);
        listeners.end(&self).await;
        self.check(true);
        let begun = crate::clock::now();
        // Clients whose connections begin are about to ask, if they do not take too long.
        let begins =
            || self.beginning.get() > 0 && begun.elapsed() < crate::connection::FIRST_REQUEST;
        while (self.is_busy() || begins()) && *phase.borrow() != Phase::Stopping {
            tokio::select! {
                () = tokio::time::sleep(TICK / 4) => self.check(true),
                _ = phase.changed() => {}
            }
        }
        self.flush.now();
        for queue in self.queues.borrow().values() {
            queue.leave();
        }
        flush.abort();
        ticks.abort();
    }

    /// Whether stopping now would lose anything. What a target has taken is safe with it.
    fn is_busy(&self) -> bool {
        let queues = self.queues.borrow();
        if queues.values().any(|queue| queue.untaken() > 0) {
            return true;
        }
        let connections = self.connections.borrow();
        connections.iter().any(|(_, watch)| watch.needs_front())
    }

    /// Accepts connections of an endpoint, which are among those that are `open` while they last.
    pub(crate) async fn accept(
        self: Rc<Self>,
        listener: Rc<Listener>,
        endpoint: Rc<Endpoint>,
        open: Rc<EndpointConnections>,
    ) {
        let mut short = false;
        loop {
            // What is accepted beyond what clients are given is of the reserve: no more of it, then.
            while short {
                tokio::time::sleep(TICK).await;
                short = self.shared.descriptors.are_short(listener.as_fd());
            }
            match listener.accept().await {
                Ok(incoming) => {
                    if self.shared.descriptors.are_reserved(incoming.as_fd()) {
                        short = self.shared.descriptors.are_short(listener.as_fd());
                    }
                    self.accepted(incoming, &endpoint, &open);
                }
                Err(error) => {
                    tracing::error!(%error, "cannot accept a connection");
                    tokio::time::sleep(TICK).await;
                    short = self.shared.descriptors.are_short(listener.as_fd());
                }
            }
        }
    }

    /// Serves a connection, in a task of its own.
    pub(crate) fn accepted(
        self: &Rc<Self>,
        incoming: Incoming,
        endpoint: &Rc<Endpoint>,
        open: &Rc<EndpointConnections>,
    ) {
        match self.shared.connections.admit(&self.limits()) {
            Ok(mut counted) => {
                counted.begin(open.ending(), Begins::among(&self.beginning));
                let (worker, endpoint) = (Rc::clone(self), Rc::clone(endpoint));
                let serve = accept::serve(worker, endpoint, incoming, counted);
                listeners::spawn(open, serve);
            }
            Err(refused) => {
                let client = incoming.peer;
                tracing::debug!(?client, ?refused, "a connection is closed at once");
            }
        }
    }

    async fn tick(self: Rc<Self>) {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut slow = 0u32;
        let mut limits = self.shared.limits();
        loop {
            interval.tick().await;
            self.now.set(crate::clock::now());
            crate::slow_timer::advance(self.now.get());
            let in_force = self.shared.limits();
            if !Arc::ptr_eq(&limits, &in_force) {
                self.limits.replace(Rc::new(FrontLimits::clone(&in_force)));
                limits = in_force;
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
                self.let_go_of_queues();
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Duration;

    use ostler_model::ProxyModel;

    use super::*;
    use crate::endpoint::{ListenAddress, ListenUrl, bind};
    use crate::front_options::FrontOptions;

    /// What a thread answers that is told to stop before it has heard where it listens.
    fn answer_of_a_thread_that_stops_as_it_begins() -> String {
        let url = ListenUrl::parse("http://127.0.0.1:0").unwrap();
        let bound = bind(&url, 1).unwrap().remove(0);
        let ListenAddress::Tcp(address) = bound.address else {
            unreachable!("it is an address of TCP");
        };
        let (sender, changes) = mpsc::unbounded_channel();
        let begin = Change::Begin(0, Endpoint::clear(url), bound.sockets);
        sender.send(begin).unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let answer = std::thread::spawn(move || {
            let mut answer = String::new();
            client.read_to_string(&mut answer).map(|_| answer)
        });
        let (model, options) = (Arc::new(ProxyModel::new()), FrontOptions::default());
        let shared = Arc::new(Shared::new(model, Pipeline::new(), &options, 1));
        let phase = watch::Sender::new(Phase::Draining);
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap()
            .block_on(Worker::new(shared, 1).run(changes, phase.subscribe()));
        answer.join().unwrap().unwrap()
    }

    #[test]
    fn a_connection_is_served_by_a_thread_that_stops_as_it_begins() {
        // Which of two things that it hears at once a thread looks at first is chance.
        for _ in 0..16 {
            let answer = answer_of_a_thread_that_stops_as_it_begins();
            assert!(answer.starts_with("HTTP/1.1 404 "), "{answer:?}");
        }
    }
}
