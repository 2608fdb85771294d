//! A request queue as one front thread sees it: its instances, and waiting for one.

mod beside;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ostler_delegation::front::{Opening, Untaken};
use ostler_delegation::rule::RuleError;
use ostler_delegation::runtime::{QueueFolder, RuntimeFolder};
use ostler_delegation::{ChannelError, DelegationRule, QueueName, QueueProperties};
use ostler_shm::{ControlSocket, WatchedFolder};
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use super::channel::Channel;
use super::relay::RelayTarget;
use crate::flush::Flush;
use crate::readiness::readable;
use crate::respond::Chain;

/// When an instance that did not open a channel is asked again: at every turn would be a spin.
const RETRY: Duration = Duration::from_secs(1);
/// How long an instance may take to welcome a front.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);

/// Queues by name, with what all threads of the front share of each.
#[derive(Debug)]
pub(crate) struct QueueRegistry {
    runtime: RuntimeFolder,
    trust: Trust,
    ring_capacity: usize,
    shared: Mutex<HashMap<QueueName, Arc<QueueShared>>>,
}

/// Which users' targets are handed client sockets.
#[derive(Debug, Clone)]
pub(crate) struct Trust(Vec<u32>);

impl Trust {
    pub(crate) fn new(uids: Vec<u32>) -> Self {
        Self(uids)
    }

    fn includes(&self, uid: u32) -> bool {
        self.0.contains(&uid)
    }
}

#[derive(Debug, Default)]
pub(crate) struct QueueShared {
    /// Requests that wait in the front for an instance.
    waiting: AtomicUsize,
    /// Requests that are with instances, by instance.
    outstanding: Mutex<HashMap<String, Arc<AtomicUsize>>>,
    /// Requests in rings, by channel.
    untaken: Mutex<Vec<std::sync::Weak<Untaken>>>,
    /// What is wrong with the queue's folder, as the log has it: told when it changes.
    trouble: Mutex<Option<String>>,
}

impl QueueShared {
    /// Requests that nobody has taken: in the front, and in the rings of all threads.
    fn depth(&self) -> usize {
        let untaken = self.untaken.lock().unwrap_or_else(PoisonError::into_inner);
        let in_rings: u64 = untaken
            .iter()
            .filter_map(std::sync::Weak::upgrade)
            .map(|channel| channel.count())
            .sum();
        self.waiting.load(Ordering::Relaxed) + in_rings as usize
    }

    /// Tells what is wrong with the queue's folder, unless that has been told.
    fn note_trouble(&self, queue: &QueueName, trouble: Option<String>) {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == trouble {
            return;
        }
        match &trouble {
            Some(error) => tracing::warn!(%queue, error, "the queue cannot be used as it is"),
            None => tracing::info!(%queue, "the queue can be used"),
        }
        *known = trouble;
    }

    fn watch(&self, channel: Untaken) -> Arc<Untaken> {
        let channel = Arc::new(channel);
        let mut untaken = self.untaken.lock().unwrap_or_else(PoisonError::into_inner);
        untaken.retain(|channel| channel.strong_count() > 0);
        untaken.push(Arc::downgrade(&channel));
        channel
    }
}

impl QueueRegistry {
    pub(crate) fn new(runtime: RuntimeFolder, trust: Trust, ring_capacity: usize) -> Self {
        Self {
            runtime,
            trust,
            ring_capacity,
            shared: Mutex::default(),
        }
    }

    fn shared(&self, name: &QueueName) -> Arc<QueueShared> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(shared.entry(name.clone()).or_default())
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

/// One queue, for one thread.
#[derive(Debug)]
pub(crate) struct Queue {
    name: QueueName,
    folder: QueueFolder,
    registry: Arc<QueueRegistry>,
    shared: Arc<QueueShared>,
    properties: RefCell<QueueProperties>,
    channels: RefCell<Vec<Rc<Channel>>>,
    relays: RefCell<Vec<Rc<RelayTarget>>>,
    /// Instances with a channel that some exchanges are relayed to.
    beside: RefCell<Vec<Rc<RelayTarget>>>,
    /// Instances that are being connected to or are connected.
    known: RefCell<HashSet<String>>,
    /// Instances that did not open a channel, and when they are asked again.
    failed: RefCell<HashMap<String, Instant>>,
    /// Why the front may not connect to an instance.
    denied: RefCell<Option<String>>,
    changed: Notify,
    flush: Rc<Flush>,
    unsteady: Cell<bool>,
}

/// Who takes a request now.
#[derive(Debug)]
pub(crate) enum Taker {
    /// An instance that is handed the client's socket.
    Channel(Rc<Channel>),
    /// An instance that is not.
    Relay(Rc<RelayTarget>),
    /// Nobody now; somebody may come.
    Nobody,
}

impl Queue {
    pub(crate) fn open(
        name: &QueueName,
        registry: &Arc<QueueRegistry>,
        flush: &Rc<Flush>,
    ) -> Rc<Self> {
        let queue = Rc::new(Self {
            name: name.clone(),
            folder: registry.runtime.queue(name),
            shared: registry.shared(name),
            registry: Arc::clone(registry),
            properties: RefCell::new(QueueProperties::new(name)),
            channels: RefCell::default(),
            relays: RefCell::default(),
            beside: RefCell::default(),
            known: RefCell::default(),
            failed: RefCell::default(),
            denied: RefCell::default(),
            changed: Notify::new(),
            flush: Rc::clone(flush),
            unsteady: Cell::new(false),
        });
        tokio::task::spawn_local(watch(Rc::downgrade(&queue)));
        queue.scan();
        queue
    }

    pub(crate) fn name(&self) -> &QueueName {
        &self.name
    }

    pub(crate) fn properties(&self) -> std::cell::Ref<'_, QueueProperties> {
        self.properties.borrow()
    }

    /// Looks again with the next request, whatever is known (YARP's `ResetQueue`).
    pub(crate) fn reset(self: &Rc<Self>) {
        for channel in self.channels.borrow().iter() {
            channel.retire();
        }
        self.channels.borrow_mut().clear();
        for relays in [&self.relays, &self.beside] {
            for relay in relays.borrow().iter() {
                relay.retire();
            }
        }
        self.relays.borrow_mut().clear();
        self.beside.borrow_mut().clear();
        self.known.borrow_mut().clear();
    }

    /// The instance that is to take a request of this rule: of those that registered the prefix,
    /// the one with the fewest requests.
    pub(crate) fn taker(
        self: &Rc<Self>,
        rule: &DelegationRule,
        besides: Option<&str>,
    ) -> Result<Taker, RuleError> {
        if let Some(taker) = self.least_loaded(rule, besides) {
            return Ok(taker);
        }
        if besides.is_some() {
            return Ok(Taker::Nobody);
        }
        self.scan();
        if let Some(taker) = self.least_loaded(rule, None) {
            return Ok(taker);
        }
        self.check_access()?;
        let mut registered = Vec::new();
        for channel in self
            .channels
            .borrow()
            .iter()
            .filter(|channel| channel.is_open())
        {
            channel.with_url_prefixes(|prefixes| registered.extend_from_slice(prefixes));
        }
        for relay in self.relays.borrow().iter().filter(|relay| relay.is_open()) {
            registered.extend(relay.url_prefixes());
        }
        let opening =
            self.known.borrow().len() > self.channels.borrow().len() + self.relays.borrow().len();
        if !registered.is_empty() && !opening {
            registered.sort();
            registered.dedup();
            rule.check_prefixes(&registered)?;
        }
        Ok(Taker::Nobody)
    }

    /// Whether there is a queue that this front may use: nobody waits for one that it may not.
    fn check_access(&self) -> Result<(), RuleError> {
        let refused = |reason| RuleError::AccessDenied {
            queue: self.name.to_string(),
            reason,
        };
        match self.folder.exists() {
            Ok(true) => {}
            Ok(false) => return Err(RuleError::QueueNotFound(self.name.to_string())),
            Err(error) => return Err(refused(Chain(&error).to_string())),
        }
        match &*self.denied.borrow() {
            Some(reason) if self.known.borrow().is_empty() => Err(refused(reason.clone())),
            _ => Ok(()),
        }
    }

    fn least_loaded(&self, rule: &DelegationRule, besides: Option<&str>) -> Option<Taker> {
        let serves = |prefixes: &[String]| rule.check_prefixes(prefixes).is_ok();
        let channels = self.channels.borrow();
        let channel = channels
            .iter()
            .filter(|channel| channel.is_open() && Some(channel.id()) != besides)
            .filter(|channel| channel.with_url_prefixes(serves))
            .min_by_key(|channel| channel.load());
        if let Some(channel) = channel {
            return Some(Taker::Channel(Rc::clone(channel)));
        }
        let relays = self.relays.borrow();
        let relay = relays
            .iter()
            .filter(|relay| relay.is_open() && Some(relay.id()) != besides)
            .filter(|relay| serves(&relay.url_prefixes()))
            .min_by_key(|relay| relay.load());
        relay.map(|relay| Taker::Relay(Rc::clone(relay)))
    }

    /// Whether the queue has reached its limit of waiting requests.
    pub(crate) fn is_full(&self) -> bool {
        let limit = self.properties.borrow().limit as usize;
        let waiting = self.shared.waiting.load(Ordering::Relaxed);
        // What is with the instances bounds what waits in their rings; seldom is more needed.
        let with_instances: usize = self
            .channels
            .borrow()
            .iter()
            .map(|channel| channel.load())
            .sum();
        if waiting + with_instances < limit {
            return false;
        }
        self.shared.depth() >= limit
    }

    /// Waits until an instance comes or goes. Counts as waiting in the queue.
    pub(crate) fn wait(&self) -> Waiting<'_> {
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(self)
    }

    /// Exchanges of this thread that are with instances.
    pub(crate) fn outstanding(&self) -> usize {
        self.channels
            .borrow()
            .iter()
            .map(|channel| channel.outstanding())
            .sum()
    }

    /// Requests of this thread that no instance has taken.
    pub(crate) fn untaken(&self) -> u64 {
        self.channels
            .borrow()
            .iter()
            .map(|channel| channel.waiting())
            .sum()
    }

    /// Takes in what the instances have completed.
    pub(crate) fn settle(&self) {
        for channel in self.channels.borrow().iter() {
            channel.settle();
        }
    }

    /// Looks at every exchange: see [`Channel::check`].
    pub(crate) fn check(self: &Rc<Self>, now: Instant) {
        if !self.failed.borrow().is_empty() {
            self.failed.borrow_mut().retain(|_, again| now < *again);
            self.scan();
        }
        let wait_timeout = self.properties.borrow().wait_timeout();
        let channels = self.channels.borrow().clone();
        for channel in &channels {
            let sibling = channels
                .iter()
                .any(|other| other.is_open() && !Rc::ptr_eq(other, channel));
            channel.check(now, wait_timeout, sibling);
        }
    }

    /// Lets go of every instance: see [`Channel::leave`].
    pub(crate) fn leave(&self) {
        for channel in self.channels.borrow().iter() {
            channel.leave();
        }
    }

    /// Connects to instances that are not known yet.
    fn scan(self: &Rc<Self>) {
        let mut trouble = None;
        match self.folder.properties() {
            Ok(Some(properties)) => {
                self.properties.replace(properties);
            }
            Ok(None) => return,
            Err(error) => trouble = Some(Chain(&error).to_string()),
        }
        self.denied.replace(None);
        for id in self.folder.instances() {
            if self.known.borrow().contains(&id) || self.failed.borrow().contains_key(&id) {
                continue;
            }
            match self.connect(&id) {
                Ok(()) => {
                    self.known.borrow_mut().insert(id);
                }
                Err(error) if is_dead(&error) => {}
                Err(error) => {
                    let reason = format!("instance {id}: {}", Chain(&error));
                    if is_denied(&error) {
                        self.denied.replace(Some(reason.clone()));
                    }
                    trouble.get_or_insert(reason);
                }
            }
        }
        self.shared.note_trouble(&self.name, trouble);
    }

    fn connect(self: &Rc<Self>, id: &str) -> Result<(), ChannelError> {
        let control = self.folder.connect(id)?;
        let peer = control.peer_credentials()?;
        let queue = Rc::downgrade(self);
        let id = id.to_owned();
        if self.registry.trust.includes(peer.uid) {
            let opening = Opening::start(control, self.registry.ring_capacity)?;
            tokio::task::spawn_local(async move {
                let result = tokio::time::timeout(WELCOME_TIMEOUT, welcomed(opening)).await;
                let Some(queue) = queue.upgrade() else { return };
                match result {
                    Ok(Ok(front)) => queue.add_channel(id, front),
                    Ok(Err(error)) => queue.forget(&id, &error),
                    Err(elapsed) => queue.forget(&id, &elapsed),
                }
            });
        } else {
            let relay = RelayTarget::hello(id.clone(), control, self.load_of(&id))?;
            tokio::task::spawn_local(async move {
                let result = tokio::time::timeout(WELCOME_TIMEOUT, relay.welcomed()).await;
                let Some(queue) = queue.upgrade() else { return };
                match result {
                    Ok(Ok(())) => queue.add_relay(relay, peer.uid),
                    Ok(Err(error)) => queue.forget(&id, &error),
                    Err(elapsed) => queue.forget(&id, &elapsed),
                }
            });
        }
        Ok(())
    }

    fn load_of(&self, id: &str) -> Arc<AtomicUsize> {
        let mut outstanding = self
            .shared
            .outstanding
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        outstanding.retain(|known, load| known == id || Arc::strong_count(load) > 1);
        Arc::clone(outstanding.entry(id.to_owned()).or_default())
    }

    fn add_channel(self: &Rc<Self>, id: String, front: ostler_delegation::front::FrontChannel) {
        let load = self.load_of(&id);
        let untaken = self.shared.watch(front.untaken());
        let channel = Channel::new(id, front, load, untaken, Rc::clone(&self.flush));
        self.unsteady.set(false);
        tracing::info!(queue = %self.name, instance = channel.id(), pid = channel.pid(), "a target joins, delegated to");
        self.channels.borrow_mut().push(Rc::clone(&channel));
        let queue = Rc::downgrade(self);
        tokio::task::spawn_local(Rc::clone(&channel).drive(move || {
            if let Some(queue) = queue.upgrade() {
                queue.update();
            }
        }));
        self.changed.notify_waiters();
    }

    fn add_relay(self: &Rc<Self>, relay: Rc<RelayTarget>, uid: u32) {
        tracing::info!(queue = %self.name, instance = relay.id(), uid, "a target of an untrusted user joins, relayed to");
        self.relays.borrow_mut().push(Rc::clone(&relay));
        let queue = Rc::downgrade(self);
        tokio::task::spawn_local(relay.drive(move || {
            if let Some(queue) = queue.upgrade() {
                queue.update();
            }
        }));
        self.changed.notify_waiters();
    }

    /// An instance's state has changed.
    fn update(&self) {
        let mut known = self.known.borrow_mut();
        self.channels.borrow_mut().retain(|channel| {
            let stays = !channel.is_dead();
            if !stays {
                known.remove(channel.id());
            }
            stays
        });
        self.relays.borrow_mut().retain(|relay| {
            let stays = !relay.is_dead();
            if !stays {
                known.remove(relay.id());
            }
            stays
        });
        drop(known);
        self.changed.notify_waiters();
    }

    fn forget(&self, id: &str, error: &dyn std::error::Error) {
        self.known.borrow_mut().remove(id);
        let again = crate::clock::now() + RETRY;
        self.failed.borrow_mut().insert(id.to_owned(), again);
        if !self.unsteady.replace(true) {
            tracing::warn!(queue = %self.name, instance = id, error = %Chain(error), "a target does not open a channel");
        }
        self.changed.notify_waiters();
    }
}

/// A request that waits in the front.
#[derive(Debug)]
pub(crate) struct Waiting<'a>(&'a Queue);

impl Waiting<'_> {
    /// Until an instance comes or goes.
    pub(crate) async fn changed(&self) {
        self.0.changed.notified().await;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.shared.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn welcomed(
    mut opening: Opening,
) -> Result<ostler_delegation::front::FrontChannel, ChannelError> {
    let control = watch_control(opening.control())?;
    loop {
        match opening.try_finish()? {
            Ok(front) => return Ok(front),
            Err(again) => opening = again,
        }
        control.readable().await?.clear_ready();
    }
}

/// A second descriptor of a control socket, registered for reading.
pub(super) fn watch_control(control: &ControlSocket) -> io::Result<AsyncFd<OwnedFd>> {
    readable(control.as_fd().try_clone_to_owned()?)
}

/// Watches the queue's folder, and the folder of queues until it exists, for instances that come.
async fn watch(queue: Weak<Queue>) {
    let started = {
        let Some(queue) = queue.upgrade() else { return };
        start_watching(&queue.registry.runtime)
    };
    let (ready, mut watched) = match started {
        Ok(started) => started,
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "cannot watch the runtime folder; instances are found by requests");
            return;
        }
    };
    loop {
        let Some(strong) = queue.upgrade() else {
            return;
        };
        // Fails until the queue exists; then the watch of the folder above has told.
        let _ = watched.watch(strong.folder.path());
        strong.scan();
        // That the queue is gone is news too for those that wait for an instance of it.
        strong.changed.notify_waiters();
        drop(strong);
        match ready.readable().await {
            Ok(mut guard) => guard.clear_ready(),
            Err(_) => return,
        }
        let _ = watched.drain();
    }
}

fn start_watching(runtime: &RuntimeFolder) -> io::Result<(AsyncFd<OwnedFd>, WatchedFolder)> {
    runtime.make_queues().map_err(io::Error::other)?;
    let mut watched = WatchedFolder::new()?;
    watched.watch(&runtime.queues_path())?;
    let descriptor = watched.as_fd().try_clone_to_owned()?;
    Ok((readable(descriptor)?, watched))
}

fn is_dead(error: &ChannelError) -> bool {
    let kinds = [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound];
    matches!(error, ChannelError::Io(error) if kinds.contains(&error.kind()))
}

fn is_denied(error: &ChannelError) -> bool {
    matches!(error, ChannelError::Io(error) if error.kind() == io::ErrorKind::PermissionDenied)
}
