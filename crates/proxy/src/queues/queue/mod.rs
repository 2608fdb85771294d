//! A request queue as one front thread sees it: its instances, who takes a request, who waits.

mod beside;
mod folder_watcher;
mod joining;
mod line;
mod stalls;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use ostler_delegation::rule::RuleError;
use ostler_delegation::runtime::QueueFolder;
use ostler_delegation::{DelegationRule, QueueName, QueueProperties};
use tokio::task::AbortHandle;

use super::channel::Channel;
use super::registry::{QueueRegistry, QueueShared};
use super::relay::RelayTarget;
use crate::error_chain::Chain;
use crate::metrics::QueueCells;
use crate::queues::flush::Flush;

pub(super) use joining::watch_control;
pub(crate) use line::{Lines, Need, Ticket};
pub(super) use stalls::Watchdog;

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
    /// Channels that take no exchange any more and have some to finish.
    retired: RefCell<Vec<Rc<Channel>>>,
    /// Instances that are being connected to or are connected.
    known: RefCell<HashSet<String>>,
    /// Instances that did not open a channel, and when they are asked again.
    failed: RefCell<HashMap<String, Instant>>,
    /// Why the front may not connect to an instance.
    denied: RefCell<Option<String>>,
    /// Instances that have declined the front, and why.
    refused: RefCell<HashMap<String, String>>,
    lines: Rc<Lines>,
    watchdog: Rc<Watchdog>,
    flush: Rc<Flush>,
    /// What this thread counts.
    counts: Arc<QueueCells>,
    /// An instance did not open a channel, and the log was told.
    unsteady: Cell<bool>,
    /// What runs for as long as the queue does.
    tasks: OnceCell<[AbortHandle; 2]>,
}

/// Who takes a request now.
#[derive(Debug)]
pub(crate) enum Taker {
    /// An instance that is handed the client's socket.
    Channel(Rc<Channel>),
    /// An instance that is not.
    Relay(Rc<RelayTarget>),
    /// Nobody now: those that are there have no room, or nobody is there and somebody may come.
    Nobody,
}

/// Instances that a request has tried in vain in this attempt, and the one that it was taken back
/// from, which is asked only if no other is there.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    full: Vec<String>,
    last: Option<String>,
}

impl Passed {
    /// The instance has no room now.
    pub(crate) fn full(&mut self, id: &str) {
        self.full.push(id.to_owned());
    }

    /// The request was taken back from the instance: another attempt begins.
    pub(crate) fn taken_back(&mut self, id: &str) {
        self.begin_anew();
        self.last = Some(id.to_owned());
    }

    /// Another attempt: there may be room by now.
    pub(crate) fn begin_anew(&mut self) {
        self.full.clear();
    }

    /// Whether the request was taken back from this instance last.
    pub(crate) fn was_last(&self, id: &str) -> bool {
        self.last.as_deref() == Some(id)
    }

    fn excludes(&self, id: &str) -> bool {
        self.full.iter().any(|full| full == id)
    }
}

impl Queue {
    pub(crate) fn open(
        name: &QueueName,
        registry: &Arc<QueueRegistry>,
        flush: &Rc<Flush>,
    ) -> Rc<Self> {
        let shared = registry.shared(name);
        let properties = shared.remembered_properties();
        let queue = Rc::new(Self {
            name: name.clone(),
            folder: registry.runtime.queue(name),
            lines: Lines::new(Arc::clone(&shared)),
            counts: shared.counts.thread(),
            shared,
            registry: Arc::clone(registry),
            properties: RefCell::new(properties.unwrap_or_else(|| QueueProperties::new(name))),
            channels: RefCell::default(),
            relays: RefCell::default(),
            beside: RefCell::default(),
            retired: RefCell::default(),
            known: RefCell::default(),
            failed: RefCell::default(),
            denied: RefCell::default(),
            refused: RefCell::default(),
            watchdog: Rc::default(),
            flush: Rc::clone(flush),
            unsteady: Cell::new(false),
            tasks: OnceCell::new(),
        });
        let watcher = folder_watcher::watch(Rc::downgrade(&queue));
        let watcher = tokio::task::spawn_local(watcher).abort_handle();
        let stalls = stalls::watch(Rc::downgrade(&queue), Rc::clone(&queue.watchdog));
        let stalls = tokio::task::spawn_local(stalls).abort_handle();
        let _ = queue.tasks.set([watcher, stalls]);
        queue.scan();
        queue
    }

    pub(crate) fn name(&self) -> &QueueName {
        &self.name
    }

    pub(crate) fn properties(&self) -> std::cell::Ref<'_, QueueProperties> {
        self.properties.borrow()
    }

    pub(crate) fn lines(&self) -> &Rc<Lines> {
        &self.lines
    }

    pub(super) fn registry(&self) -> &QueueRegistry {
        &self.registry
    }

    /// What this thread counts of the queue.
    pub(crate) fn counts(&self) -> &Arc<QueueCells> {
        &self.counts
    }

    pub(super) fn flush(&self) -> &Rc<Flush> {
        &self.flush
    }

    pub(super) fn watchdog(&self) -> &Rc<Watchdog> {
        &self.watchdog
    }

    /// Somebody may be there, or have room, who was not or had none: who waits tries.
    pub(super) fn call(&self) {
        self.lines.call();
    }

    /// Looks again with the next request, whatever is known (YARP's `ResetQueue`).
    pub(crate) fn reset(&self) {
        let mut channels = std::mem::take(&mut *self.channels.borrow_mut());
        for channel in &channels {
            channel.retire();
        }
        self.retired.borrow_mut().append(&mut channels);
        for relays in [&self.relays, &self.beside] {
            for relay in relays.take() {
                relay.retire();
            }
        }
        self.known.borrow_mut().clear();
        self.note_siblings();
        self.call();
    }

    /// Whether nothing of the queue is in use, so that it can be dropped once it is reset.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.lines.is_empty() && self.retired.borrow().is_empty() && self.under_way() == 0
    }

    /// The instance that is to take a request of this rule: of those that registered the prefix, and
    /// have not been tried in vain, the one with the fewest requests.
    pub(crate) fn taker(
        self: &Rc<Self>,
        rule: &DelegationRule,
        passed: &Passed,
    ) -> Result<Taker, RuleError> {
        if let Some(taker) = self.least_loaded(rule, passed) {
            return Ok(taker);
        }
        if self.has_open(rule) {
            return Ok(Taker::Nobody);
        }
        self.scan();
        self.check_access()?;
        self.check_prefixes(rule)?;
        Ok(Taker::Nobody)
    }

    /// Whether there is a queue that this front may use: nobody waits for one that it may not. One
    /// whose last instance has just left counts as there.
    fn check_access(&self) -> Result<(), RuleError> {
        let refused = |reason| RuleError::AccessDenied {
            queue: self.name.to_string(),
            reason,
        };
        match self.folder.exists() {
            Ok(true) => {}
            Ok(false) if self.shared.is_remembered(self.registry.retention()) => return Ok(()),
            Ok(false) => return Err(RuleError::QueueNotFound(self.name.to_string())),
            Err(error) => return Err(refused(Chain(&error).to_string())),
        }
        match &*self.denied.borrow() {
            Some(reason) if self.known.borrow().is_empty() => Err(refused(reason.clone())),
            _ => Ok(()),
        }
    }

    /// That no instance has registered the prefix is a mistake, unless one is about to say which it
    /// has.
    fn check_prefixes(&self, rule: &DelegationRule) -> Result<(), RuleError> {
        let mut registered = Vec::new();
        let channels = self.channels.borrow();
        for channel in channels.iter().filter(|channel| channel.is_open()) {
            channel.with_url_prefixes(|prefixes| registered.extend_from_slice(prefixes));
        }
        let relays = self.relays.borrow();
        for relay in relays.iter().filter(|relay| relay.is_open()) {
            registered.extend(relay.url_prefixes());
        }
        if registered.is_empty() || self.is_opening() {
            return Ok(());
        }
        registered.sort();
        registered.dedup();
        rule.check_prefixes(&registered)
    }

    /// Whether an instance that serves this rule takes requests, be it now or when it has room.
    pub(crate) fn has_open(&self, rule: &DelegationRule) -> bool {
        let serves = |prefixes: &[String]| rule.check_prefixes(prefixes).is_ok();
        let mut channels = self.channels_open();
        if channels.any(|channel| channel.with_url_prefixes(serves)) {
            return true;
        }
        let relays = self.relays.borrow();
        let mut open = relays.iter().filter(|relay| relay.is_open());
        open.any(|relay| serves(&relay.url_prefixes()))
    }

    /// Whether a request of this rule that comes now is likely to be taken at once.
    pub(crate) fn is_ready(&self, rule: &DelegationRule) -> bool {
        let moves = |channel: Rc<Channel>| !channel.instance().is_still();
        let nobody_moves = !self.channels.borrow().is_empty() && !self.channels_open().any(moves);
        self.has_open(rule) && !nobody_moves && !self.is_full()
    }

    fn least_loaded(&self, rule: &DelegationRule, passed: &Passed) -> Option<Taker> {
        let serves = |prefixes: &[String]| rule.check_prefixes(prefixes).is_ok();
        let channels = self.channels.borrow();
        let channel = channels
            .iter()
            .filter(|channel| channel.is_open() && channel.with_url_prefixes(serves))
            .min_by_key(|channel| {
                let still = channel.instance().is_still();
                let full = passed.excludes(channel.id());
                (still, full, passed.was_last(channel.id()), channel.load())
            });
        match channel {
            // Those that move have no room, or nobody moves: who waits is called when that changes.
            Some(channel) if passed.excludes(channel.id()) => None,
            Some(channel) => Some(Taker::Channel(Rc::clone(channel))),
            None => {
                let relays = self.relays.borrow();
                let relay = relays
                    .iter()
                    .filter(|relay| relay.is_open() && !passed.excludes(relay.id()))
                    .filter(|relay| serves(&relay.url_prefixes()))
                    .min_by_key(|relay| relay.load());
                relay.map(|relay| Taker::Relay(Rc::clone(relay)))
            }
        }
    }

    fn channels_open(&self) -> impl Iterator<Item = Rc<Channel>> {
        let channels = self.channels.borrow().clone();
        channels.into_iter().filter(|channel| channel.is_open())
    }

    /// Whether the queue has reached its limit of waiting requests.
    pub(crate) fn is_full(&self) -> bool {
        let limit = self.properties.borrow().limit as usize;
        // What is with the instances bounds what waits in their rings; seldom is more needed.
        let channels = self.channels.borrow();
        let with_instances: usize = channels.iter().map(|channel| channel.load()).sum();
        if self.shared.waiting() + with_instances < limit {
            return false;
        }
        self.shared.depth() >= limit
    }

    /// Tells the log that a request is turned away at the limit, if that is news.
    pub(crate) fn tell_full(&self) {
        self.shared
            .tell_full(&self.name, self.properties.borrow().limit);
    }

    /// Whether an instance is there that has not opened its channel yet.
    pub(crate) fn is_opening(&self) -> bool {
        let open = self.channels.borrow().len() + self.relays.borrow().len();
        self.known.borrow().len() > open
    }

    /// Tells the log that a request waits for an instance, if that is news.
    pub(crate) fn tell_unserved(&self) {
        if !self.is_opening() {
            self.shared.tell_unserved(&self.name);
        }
    }

    /// Tells the log that requests cannot be delegated, if that is news.
    pub(crate) fn tell_unusable(&self, error: &RuleError) {
        self.shared.tell_unusable(&self.name, error);
    }

    /// Exchanges of this thread that are with instances.
    pub(crate) fn outstanding(&self) -> usize {
        self.sum(Channel::outstanding)
    }

    /// The same, and connections whose requests instances read themselves.
    pub(crate) fn under_way(&self) -> usize {
        self.sum(Channel::under_way)
    }

    /// Whether there is one instance, and nobody else who could take its requests.
    pub(crate) fn has_one_instance(&self) -> bool {
        self.channels.borrow().len() == 1
            && self.relays.borrow().is_empty()
            && self.known.borrow().len() <= 1
    }

    /// Requests of this thread that no instance has taken.
    pub(crate) fn untaken(&self) -> usize {
        self.sum(|channel| channel.waiting() as usize)
    }

    fn sum(&self, count: impl Fn(&Channel) -> usize) -> usize {
        let (channels, retired) = (self.channels.borrow(), self.retired.borrow());
        let all = channels.iter().chain(retired.iter());
        all.map(|channel| count(channel)).sum()
    }

    /// Takes in what the instances have completed.
    pub(crate) fn settle(&self) {
        let (channels, retired) = (self.channels.borrow(), self.retired.borrow());
        for channel in channels.iter().chain(retired.iter()) {
            channel.settle();
        }
    }

    /// Looks at every exchange: see [`Channel::check`]. And at whatever no event tells of.
    pub(crate) fn check(self: &Rc<Self>, now: Instant) {
        self.retry(now);
        let wait_timeout = self.properties.borrow().wait_timeout();
        let (channels, retired) = (
            self.channels.borrow().clone(),
            self.retired.borrow().clone(),
        );
        for channel in channels.iter().chain(&retired) {
            channel.check(now, wait_timeout);
        }
        self.retired
            .borrow_mut()
            .retain(|channel| !channel.leave_if_done(now));
        if !self.lines.is_empty() {
            // A target of another make may tell of nothing, a stopped one has told of nothing, and
            // nobody tells of a queue that is no longer remembered.
            self.call();
        }
        let limit = self.properties.borrow().limit;
        self.shared.tell_if_no_longer_full(&self.name, limit);
    }

    /// Lets go of every instance: see [`Channel::leave`].
    pub(crate) fn leave(&self) {
        let (channels, retired) = (self.channels.borrow(), self.retired.borrow());
        for channel in channels.iter().chain(retired.iter()) {
            channel.leave();
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        for task in self.tasks.get().into_iter().flatten() {
            task.abort();
        }
    }
}
