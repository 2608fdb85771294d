//! One thread's channel to one target instance: handing exchanges over, learning how they ended.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use ostler_delegation::control::TargetMessage;
use ostler_delegation::entry::{ExchangeKey, RequestEntry};
use ostler_delegation::front::{FrontChannel, SlotKey, Untaken};
use ostler_delegation::{ChannelError, OpenConnectionError, Stage};
use ostler_shm::PushError;
use tokio::io::unix::AsyncFd;

use super::handoff::{Event, Handoff, Handoffs, Record};
use crate::client::Client;
use crate::flush::Flush;
use crate::readiness::readable;
use crate::tls::TlsFacts;

/// An open channel.
#[derive(Debug)]
pub(crate) struct Channel {
    id: String,
    front: RefCell<FrontChannel>,
    handoffs: RefCell<Handoffs>,
    /// Exchanges of this thread that are with the target.
    outstanding: Cell<usize>,
    /// Exchanges of all threads that are with the target.
    shared_outstanding: Arc<AtomicUsize>,
    /// Kept for as long as other threads are to count it.
    untaken: Arc<Untaken>,
    draining: Cell<bool>,
    dead: Cell<bool>,
    dirty: Cell<bool>,
    taken: Cell<u64>,
    flush: Rc<Flush>,
}

/// A connection's place in a channel.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) channel: Rc<Channel>,
    pub(crate) slot: SlotKey,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.channel.close_connection(self.slot);
    }
}

/// Why a channel did not take an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// It has no room now.
    Full,
    /// It is dead.
    Dead,
    /// The request does not fit into any ring.
    TooLarge,
}

impl Channel {
    pub(crate) fn new(
        id: String,
        front: FrontChannel,
        shared_outstanding: Arc<AtomicUsize>,
        untaken: Arc<Untaken>,
        flush: Rc<Flush>,
    ) -> Rc<Self> {
        Rc::new(Self {
            id,
            front: RefCell::new(front),
            handoffs: RefCell::default(),
            outstanding: Cell::new(0),
            shared_outstanding,
            untaken,
            draining: Cell::new(false),
            dead: Cell::new(false),
            dirty: Cell::new(false),
            taken: Cell::new(0),
            flush,
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Whether it takes exchanges.
    pub(crate) fn is_open(&self) -> bool {
        !self.dead.get() && !self.draining.get()
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.get()
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.get()
    }

    /// Takes no further exchange.
    pub(crate) fn retire(&self) {
        self.draining.set(true);
    }

    /// Exchanges of all threads that are with this instance.
    pub(crate) fn load(&self) -> usize {
        self.shared_outstanding.load(Ordering::Relaxed)
    }

    /// Requests the target has not taken, of this thread.
    pub(crate) fn waiting(&self) -> u64 {
        self.untaken.count()
    }

    pub(crate) fn with_url_prefixes<T>(&self, look: impl FnOnce(&[String]) -> T) -> T {
        look(&self.front.borrow().welcome().url_prefixes)
    }

    /// Whether the target transforms its responses as a request says.
    pub(crate) fn transforms_responses(&self) -> bool {
        self.front.borrow().transforms_responses()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.front.borrow().welcome().pid
    }

    /// Makes a client's connection known to the target.
    pub(crate) fn open_connection(self: &Rc<Self>, client: &Client) -> Result<Place, NotTaken> {
        // A client whose session is in this process has no socket to hand over: its exchanges are
        // relayed.
        let socket = client.plain_fd().ok_or(NotTaken::Full)?;
        let opened = self.front.borrow_mut().open_connection(
            socket,
            *client.facts(),
            client.tls().map(TlsFacts::to_target),
        );
        match opened {
            Ok(slot) => Ok(Place {
                channel: Rc::clone(self),
                slot,
            }),
            Err(OpenConnectionError::TooMany | OpenConnectionError::Busy) => Err(NotTaken::Full),
            Err(error) => {
                self.die(&error);
                Err(NotTaken::Dead)
            }
        }
    }

    /// Puts a request into the ring. The target is woken when the thread has no more to give it
    /// for now.
    pub(crate) fn delegate(
        self: &Rc<Self>,
        slot: SlotKey,
        request: &RequestEntry<'_>,
        handoff: &Rc<Handoff>,
        record: Record,
        now: Instant,
    ) -> Result<ExchangeKey, (NotTaken, Record)> {
        let pushed = self.front.borrow_mut().delegate(slot, request);
        let key = match pushed {
            Ok(key) => key,
            Err(PushError::Full) => return Err((NotTaken::Full, record)),
            Err(PushError::TooLarge) => return Err((NotTaken::TooLarge, record)),
            Err(error) => {
                self.die(&error);
                return Err((NotTaken::Dead, record));
            }
        };
        handoff.begin(key, record, now);
        self.handoffs
            .borrow_mut()
            .insert(key.slot, Rc::clone(handoff));
        self.outstanding.set(self.outstanding.get() + 1);
        self.shared_outstanding.fetch_add(1, Ordering::Relaxed);
        self.mark_dirty();
        Ok(key)
    }

    /// How far the target says it is with an exchange.
    pub(crate) fn stage(&self, key: ExchangeKey) -> Stage {
        self.front.borrow().stage(key)
    }

    /// Takes a request back; false when the target has it.
    pub(crate) fn withdraw(self: &Rc<Self>, key: ExchangeKey) -> bool {
        if self.dead.get() || !self.front.borrow_mut().withdraw(key) {
            return false;
        }
        self.handoffs.borrow_mut().take(key.slot);
        self.settle_one();
        self.mark_dirty();
        true
    }

    /// Tells the target that the client of an exchange is gone.
    pub(crate) fn client_gone(self: &Rc<Self>, key: ExchangeKey) {
        if !self.dead.get() {
            self.front.borrow_mut().client_gone(key);
            self.mark_dirty();
        }
    }

    /// Tells the target that the body it waits for comes too slowly.
    pub(crate) fn body_too_slow(&self, key: ExchangeKey) {
        if !self.dead.get() {
            self.front.borrow_mut().body_too_slow(key);
        }
    }

    fn close_connection(self: &Rc<Self>, slot: SlotKey) {
        if !self.dead.get() {
            self.front.borrow_mut().close_connection(slot);
            self.mark_dirty();
        }
    }

    /// Takes in what the target has completed.
    pub(crate) fn settle(self: &Rc<Self>) {
        if self.dead.get() {
            return;
        }
        loop {
            let completed = self.front.borrow_mut().poll_completed();
            match completed {
                Ok(Some(completed)) => {
                    let handoff = self.handoffs.borrow_mut().take(completed.key.slot);
                    // A withdrawn exchange that comes back has been settled already.
                    if let Some(handoff) = handoff {
                        self.settle_one();
                        handoff.happen(Event::Completed(completed));
                    }
                }
                Ok(None) => return,
                Err(error) => return self.die(&error),
            }
        }
    }

    fn settle_one(&self) {
        self.outstanding.set(self.outstanding.get() - 1);
        self.shared_outstanding.fetch_sub(1, Ordering::Relaxed);
    }

    /// Asks the target to wake this thread by its next completion.
    pub(crate) fn ask_for_wake(self: &Rc<Self>) {
        if !self.dead.get() {
            let front = self.front.borrow();
            front.cancel_wake();
            front.ask_for_wake();
        }
    }

    /// Wakes the target if it sleeps.
    pub(crate) fn wake(self: &Rc<Self>) {
        self.dirty.set(false);
        if self.dead.get() {
            return;
        }
        let woken = self.front.borrow_mut().wake();
        if let Err(error) = woken {
            self.die(&error);
        }
    }

    /// Sleeps while the target has enough to do: see [`FrontChannel::pace`].
    pub(crate) fn pace(&self, longest: Duration) {
        if !self.dead.get() {
            self.front.borrow().pace(longest);
        }
    }

    /// Says that this thread sends nothing more, and lets go: exchanges with the target are its to
    /// finish, connections its to close.
    pub(crate) fn leave(&self) {
        if !self.dead.replace(true) {
            self.front.borrow().goodbye();
        }
    }

    /// Looks at every exchange with the target: those that waited too long, whose client is gone,
    /// or whose target does not move.
    pub(crate) fn check(self: &Rc<Self>, now: Instant, wait_timeout: Duration, has_sibling: bool) {
        self.settle();
        if self.dead.get() {
            return;
        }
        let taken = self.front.borrow().taken();
        let moves = taken != self.taken.replace(taken);
        let front = self.front.borrow();
        let handoffs = self.handoffs.borrow();
        for handoff in handoffs.iter() {
            if let Some(key) = handoff.key() {
                handoff.check(now, front.stage(key), wait_timeout, has_sibling && !moves);
                handoff.set_awaits_body(front.awaits_body(key));
            }
        }
        drop((front, handoffs));
        let _ = self.front.borrow_mut().flush_deferred();
        // A wake-up that was lost with a stopped process is made up for here.
        if self.outstanding.get() > 0 {
            self.mark_dirty();
        }
    }

    fn mark_dirty(self: &Rc<Self>) {
        if !self.dirty.replace(true) {
            self.flush.add(Rc::clone(self));
        }
    }

    /// The channel is of no more use: every exchange on it learns so.
    fn die(self: &Rc<Self>, error: &dyn std::error::Error) {
        if self.dead.replace(true) {
            return;
        }
        let pid = self.pid();
        tracing::warn!(instance = self.id, pid, error = %crate::respond::Chain(error), "a target is gone");
        let handoffs = self.handoffs.borrow_mut().take_all();
        for handoff in handoffs {
            self.settle_one();
            let stage = handoff.key().map_or(Stage::Queued, |key| self.stage(key));
            handoff.happen(Event::TargetDied(stage));
        }
    }

    /// Watches the channel until it is dead. Calls `changed` when what others see of it changes.
    pub(crate) async fn drive(self: Rc<Self>, changed: impl Fn()) {
        let (wake, control) = match self.descriptors() {
            Ok(descriptors) => descriptors,
            Err(error) => return self.die(&error),
        };
        while !self.dead.get() {
            let by_ring = poll_fn(|cx| {
                if let Poll::Ready(guard) = control.poll_read_ready(cx) {
                    return Poll::Ready(guard.map(|mut guard| {
                        guard.clear_ready();
                        false
                    }));
                }
                if let Poll::Ready(guard) = wake.poll_read_ready(cx) {
                    return Poll::Ready(guard.map(|mut guard| {
                        guard.clear_ready();
                        true
                    }));
                }
                Poll::Pending
            });
            match by_ring.await {
                Ok(true) => {
                    // A woken target writes no second wake-up until it is asked for again.
                    self.front.borrow().cancel_wake();
                    self.settle();
                    if self
                        .handoffs
                        .borrow()
                        .iter()
                        .any(|handoff| handoff.is_wanted())
                    {
                        self.ask_for_wake();
                        self.settle();
                    }
                }
                Ok(false) => {
                    while self.take_control(&changed) {
                        tokio::task::yield_now().await;
                    }
                }
                Err(error) => self.die(&error),
            }
        }
        changed();
    }

    /// Takes in a few control messages; true when there may be more. Whoever sends them without end
    /// does not keep the thread from its other work.
    fn take_control(self: &Rc<Self>, changed: &impl Fn()) -> bool {
        const FEW: usize = 16;
        for _ in 0..FEW {
            let message = self.front.borrow_mut().poll_control();
            match message {
                Ok(None) => return false,
                Ok(Some(TargetMessage::Draining)) => {
                    self.draining.set(true);
                    changed();
                }
                Ok(Some(TargetMessage::Prefixes { .. })) => changed(),
                Ok(Some(_)) => {}
                Err(error) => {
                    // What it completed before it went counts.
                    if matches!(error, ChannelError::Closed) {
                        self.settle();
                    }
                    self.die(&error);
                    return false;
                }
            }
        }
        true
    }

    fn descriptors(&self) -> io::Result<(AsyncFd<OwnedFd>, AsyncFd<OwnedFd>)> {
        let front = self.front.borrow();
        Ok((
            readable(front.wake_descriptor().try_clone_to_owned()?)?,
            readable(front.control().as_fd().try_clone_to_owned()?)?,
        ))
    }
}
