//! Queues by name, and what all threads of a front share of each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use ostler_delegation::front::LeaseEpoch;
use ostler_delegation::runtime::RuntimeFolder;
use ostler_delegation::{QueueName, QueueProperties, RuleError};
use tokio::sync::watch;

use super::instance::Instance;
use crate::metrics::QueueCounts;

/// The queues that a front has dealt with.
#[derive(Debug)]
pub(crate) struct QueueRegistry {
    pub(super) runtime: RuntimeFolder,
    pub(super) trust: Trust,
    pub(super) ring_capacity: usize,
    /// How long a queue stays known after its last instance has left, in milliseconds.
    retention: AtomicU64,
    /// Those of all channels of all threads.
    leases: Mutex<Vec<Weak<LeaseEpoch>>>,
    shared: Mutex<HashMap<QueueName, Arc<QueueShared>>>,
    wait: watch::Sender<()>,
}

/// Which users' targets are handed client sockets.
#[derive(Debug, Clone)]
pub(crate) struct Trust(Vec<u32>);

impl Trust {
    pub(crate) fn new(uids: Vec<u32>) -> Self {
        Self(uids)
    }

    pub(super) fn includes(&self, uid: u32) -> bool {
        self.0.contains(&uid)
    }
}

impl QueueRegistry {
    pub(crate) fn new(runtime: RuntimeFolder, trust: Trust, ring_capacity: usize) -> Self {
        Self {
            runtime,
            trust,
            ring_capacity,
            retention: AtomicU64::new(0),
            leases: Mutex::default(),
            shared: Mutex::default(),
            wait: watch::Sender::default(),
        }
    }

    /// How long a queue stays known after its last instance has left.
    pub(crate) fn set_retention(&self, retention: Duration) {
        let millis = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX);
        self.retention.store(millis, Ordering::Relaxed);
    }

    /// Has leases of this epoch ended with all others.
    pub(super) fn add_leases(&self, epoch: &Arc<LeaseEpoch>) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.retain(|epoch| epoch.strong_count() > 0);
        leases.push(Arc::downgrade(epoch));
    }

    /// Ends every lease that has been granted, of whatever thread: something that they were granted by is
    /// no longer so.
    pub(crate) fn end_leases(&self) {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        for epoch in leases.iter().filter_map(Weak::upgrade) {
            epoch.end_leases();
        }
    }

    pub(super) fn retention(&self) -> Duration {
        Duration::from_millis(self.retention.load(Ordering::Relaxed))
    }

    pub(super) fn shared(&self, name: &QueueName) -> Arc<QueueShared> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = shared.entry(name.clone()).or_insert_with(|| {
            Arc::new(QueueShared {
                wait: self.wait.clone(),
                ..QueueShared::default()
            })
        });
        Arc::clone(shared)
    }

    /// Changes whenever a request waits at a queue where none did.
    pub(crate) fn waits(&self) -> watch::Receiver<()> {
        self.wait.subscribe()
    }

    /// Every queue, as it is now.
    pub(crate) fn seen(&self) -> Vec<QueueSeen> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = shared.iter().map(|(name, shared)| shared.seen(name));
        let mut seen: Vec<_> = seen.collect();
        seen.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        seen
    }

    /// Requests of this front that nobody has taken, by queue.
    pub(crate) fn depths(&self) -> Vec<(String, usize)> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared
            .iter()
            .map(|(name, shared)| (name.folder().to_owned(), shared.depth()))
            .collect()
    }
}

/// A queue at some moment.
#[derive(Debug)]
pub(crate) struct QueueSeen {
    pub(crate) name: String,
    /// Requests that nobody has taken.
    pub(crate) depth: usize,
    /// Exchanges that are with instances.
    pub(crate) outstanding: usize,
    pub(crate) instances: usize,
    pub(crate) counts: Arc<QueueCounts>,
}

/// What all threads of a front share of one queue.
#[derive(Debug, Default)]
pub(crate) struct QueueShared {
    /// Requests that wait in the front for an instance, without those of clients that have ended
    /// their stream.
    waiting: AtomicUsize,
    /// Those of clients that have ended their stream: they wait, and may have gone away.
    silent: AtomicUsize,
    instances: Mutex<HashMap<String, Arc<Instance>>>,
    memory: Mutex<Memory>,
    told: Told,
    wait: watch::Sender<()>,
    pub(super) counts: Arc<QueueCounts>,
}

/// What is known of a queue whose folder may be gone.
#[derive(Debug, Default)]
struct Memory {
    /// When it was there last.
    seen: Option<Instant>,
    properties: Option<QueueProperties>,
}

/// The state that the log was told of last.
#[derive(Debug, Default)]
struct Told {
    unserved: AtomicBool,
    full: AtomicBool,
    turned_away: AtomicU64,
    unusable: Mutex<Option<RuleError>>,
    /// What is wrong with the queue's folder.
    trouble: Mutex<Option<String>>,
}

impl QueueShared {
    fn seen(&self, queue: &QueueName) -> QueueSeen {
        let depth = self.depth();
        let instances = self.instances();
        let attached = instances.values().filter(|instance| instance.is_attached());
        QueueSeen {
            name: queue.folder().to_owned(),
            depth,
            outstanding: instances.values().map(|instance| instance.load()).sum(),
            instances: attached.count(),
            counts: Arc::clone(&self.counts),
        }
    }

    /// Requests that nobody has taken: in the front, and in the rings of all threads.
    pub(super) fn depth(&self) -> usize {
        let instances = self.instances();
        let in_rings: u64 = instances.values().map(|instance| instance.waiting()).sum();
        self.waiting.load(Ordering::Relaxed) + in_rings as usize
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn add_waiting(&self) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            self.wait.send_replace(());
        }
    }

    pub(super) fn remove_waiting(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// A client whose request waits has ended its stream. False when as many of them wait already as
    /// may wait of others: then it does not.
    pub(super) fn fall_silent(&self, limit: usize) -> bool {
        if self.silent.fetch_add(1, Ordering::Relaxed) >= limit {
            self.silent.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        self.remove_waiting();
        true
    }

    pub(super) fn remove_silent(&self) {
        self.silent.fetch_sub(1, Ordering::Relaxed);
    }

    /// What all threads know of an instance.
    pub(super) fn instance(&self, id: &str) -> Arc<Instance> {
        let mut instances = self.instances();
        instances.retain(|known, instance| known == id || Arc::strong_count(instance) > 1);
        Arc::clone(instances.entry(id.to_owned()).or_default())
    }

    /// The queue is there, or was a moment ago.
    pub(super) fn see(&self, properties: Option<&QueueProperties>) {
        let mut memory = self.memory();
        memory.seen = Some(crate::clock::now());
        if properties.is_some() {
            memory.properties = properties.cloned();
        }
    }

    /// Whether the queue counts as there though its folder is gone: an instance of it is still
    /// finishing its work, or has left less than `retention` ago.
    pub(super) fn is_remembered(&self, retention: Duration) -> bool {
        let instances = self.instances();
        if instances.values().any(|instance| instance.is_attached()) {
            return true;
        }
        drop(instances);
        let seen = self.memory().seen;
        seen.is_some_and(|seen| crate::clock::now().duration_since(seen) < retention)
    }

    pub(super) fn remembered_properties(&self) -> Option<QueueProperties> {
        self.memory().properties.clone()
    }

    fn instances(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Instance>>> {
        self.instances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line in the log a change of state, whichever thread finds it.
impl QueueShared {
    /// A request waits and this thread knows of no instance. Another may have one already: then the
    /// queue is served, and this thread is about to find that out.
    pub(super) fn tell_unserved(&self, queue: &QueueName) {
        let instances = self.instances();
        if instances.values().any(|instance| instance.is_serving()) {
            return;
        }
        if !self.told.unserved.swap(true, Ordering::Relaxed) {
            tracing::warn!(%queue, "a queue has no instance: requests wait for one");
        }
    }

    /// A request cannot be delegated at all.
    pub(super) fn tell_unusable(&self, queue: &QueueName, error: &RuleError) {
        let mut told = self.lock_unusable();
        if told.as_ref() != Some(error) {
            tracing::warn!(%queue, %error, "requests for a queue are answered 503");
            *told = Some(error.clone());
        }
    }

    /// What is wrong with the queue's folder, if anything is.
    pub(super) fn tell_trouble(&self, queue: &QueueName, trouble: Option<String>) {
        let mut told = self
            .told
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *told == trouble {
            return;
        }
        match &trouble {
            Some(error) => tracing::warn!(%queue, error, "the queue cannot be used as it is"),
            None => tracing::info!(%queue, "the queue can be used"),
        }
        *told = trouble;
    }

    /// An instance has joined. Whoever looks for one at this moment ends first, so that
    /// it does not say the opposite afterwards.
    pub(super) fn tell_served(&self, queue: &QueueName) {
        let instances = self.instances();
        let unserved = self.told.unserved.swap(false, Ordering::Relaxed);
        drop(instances);
        let unusable = self.lock_unusable().take().is_some();
        if unserved || unusable {
            let waiting = self.waiting();
            tracing::info!(%queue, waiting, "a queue is served again");
        }
    }

    /// A request is turned away, since the limit is reached.
    pub(super) fn tell_full(&self, queue: &QueueName, limit: u32) {
        self.told.turned_away.fetch_add(1, Ordering::Relaxed);
        if !self.told.full.swap(true, Ordering::Relaxed) {
            tracing::warn!(%queue, limit, "a queue is full: requests are turned away");
        }
    }

    /// Looks whether a queue that was full no longer is. Half of the limit lies between the two, so
    /// that a queue at its limit is not told of at every request.
    pub(super) fn tell_if_no_longer_full(&self, queue: &QueueName, limit: u32) {
        if self.told.full.load(Ordering::Relaxed)
            && self.depth() <= limit as usize / 2
            && self.told.full.swap(false, Ordering::Relaxed)
        {
            let turned_away = self.told.turned_away.swap(0, Ordering::Relaxed);
            tracing::info!(%queue, turned_away, "a queue has room again");
        }
    }

    fn lock_unusable(&self) -> std::sync::MutexGuard<'_, Option<RuleError>> {
        self.told
            .unusable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
