//! One thread's channel to one target instance: handing exchanges over, learning how they ended.

mod leases;
mod stream_entries;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use ostler_delegation::control::TargetMessage;
use ostler_delegation::entry::{Completed, ExchangeKey, RequestEntry};
use ostler_delegation::front::{FrontChannel, SlotKey};
use ostler_delegation::stream_entry::TargetEntry;
use ostler_delegation::untaken::Untaken;
use ostler_delegation::{Disposition, OpenConnectionError, Stage};
use ostler_readiness::readable;
use ostler_shm::PushError;
use tokio::io::unix::AsyncFd;

use super::flush::Flush;
use super::handoff::{Event, Handoff, Handoffs};
use super::instance::{Instance, Presence};
use super::lease::Lease;
use super::queue::{Queue, Watchdog};
use super::room::Room;
use super::stream::Stream;
use crate::account::Account;
use crate::client_socket::ClientSocket;
use crate::descriptors::OnceAMinute;
use crate::error_chain::Chain;
use crate::metrics::{QueueCells, QueueEvent};
use crate::tls::TlsFacts;
use leases::Leases;
use stream_entries::Streams;

/// An open channel.
#[derive(Debug)]
pub(crate) struct Channel {
    id: String,
    front: RefCell<FrontChannel>,
    handoffs: RefCell<Handoffs>,
    streams: Streams,
    leases: Leases,
    /// Exchanges of this thread that are with the target.
    outstanding: Cell<usize>,
    instance: Arc<Instance>,
    untaken: Arc<Untaken>,
    draining: Cell<bool>,
    dead: Cell<bool>,
    /// Since when the channel takes no exchange any more because the queue was reset.
    retired: Cell<Option<Instant>>,
    dirty: Cell<bool>,
    progress: Progress,
    room: Room,
    /// Wakes whoever drives the channel, to see that it is dead.
    driver: RefCell<Option<Waker>>,
    queue: Weak<Queue>,
    watchdog: Rc<Watchdog>,
    flush: Rc<Flush>,
    counts: Arc<QueueCells>,
}

/// Whether the target takes what lies in the ring.
#[derive(Debug, Default)]
struct Progress {
    /// Entries it had taken when that was looked at last, with something left to take.
    seen: Cell<Option<u64>>,
    /// It is found not to take anything, and its instance is passed over.
    still: Cell<bool>,
}

/// A connection's place in a channel. It does not keep the channel: one that is let go of closes its
/// descriptors whatever idle connections still have a place in it.
#[derive(Debug)]
pub(crate) struct Place {
    channel: Weak<Channel>,
    pub(crate) slot: SlotKey,
}

impl Place {
    pub(crate) fn is_on(&self, channel: &Rc<Channel>) -> bool {
        self.key() == PlaceKey::of(channel)
    }

    /// Whether the channel can still be used.
    pub(crate) fn is_of_use(&self) -> bool {
        let channel = self.channel.upgrade();
        channel.is_some_and(|channel| channel.is_open())
    }

    pub(crate) fn key(&self) -> PlaceKey {
        PlaceKey(self.channel.as_ptr() as usize)
    }
}

/// Tells a connection's places apart: by the channel's address, which a place keeps from being used
/// for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlaceKey(usize);

impl PlaceKey {
    pub(crate) fn of(channel: &Rc<Channel>) -> Self {
        Self(Rc::as_ptr(channel) as usize)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(channel) = self.channel.upgrade() {
            channel.close_connection(self.slot);
        }
    }
}

/// A request that the target has not taken.
enum Waiting<'a> {
    Handoff(&'a Rc<Handoff>),
    Stream(&'a Rc<Stream>),
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
        instance: Arc<Instance>,
        queue: &Rc<Queue>,
    ) -> Rc<Self> {
        let mut front = front;
        front.share_capacity(Arc::clone(instance.capacity()));
        let untaken = Arc::clone(front.untaken());
        let leases = Leases::new(front.lease_epoch());
        queue.registry().add_leases(leases.epoch());
        instance.watch(&untaken);
        instance.attach();
        Rc::new(Self {
            id,
            front: RefCell::new(front),
            handoffs: RefCell::default(),
            streams: Streams::default(),
            leases,
            outstanding: Cell::new(0),
            instance,
            untaken,
            draining: Cell::new(false),
            dead: Cell::new(false),
            retired: Cell::new(None),
            dirty: Cell::new(false),
            progress: Progress::default(),
            room: Room::default(),
            driver: RefCell::default(),
            queue: Rc::downgrade(queue),
            watchdog: Rc::clone(queue.watchdog()),
            flush: Rc::clone(queue.flush()),
            counts: Arc::clone(queue.counts()),
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

    /// What all threads know of the target.
    pub(crate) fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Exchanges of all threads that are with this instance.
    pub(crate) fn load(&self) -> usize {
        self.instance.load()
    }

    /// Requests the target has not taken, of this thread.
    pub(crate) fn waiting(&self) -> u64 {
        self.untaken.requests()
    }

    pub(crate) fn with_url_prefixes<T>(&self, look: impl FnOnce(&[String]) -> T) -> T {
        look(&self.front.borrow().welcome().url_prefixes)
    }

    /// Whether the target transforms its responses as a request says.
    pub(crate) fn transforms_responses(&self) -> bool {
        self.front.borrow().transforms_responses()
    }

    /// Whether a request may say that its client is another than its connection's.
    pub(crate) fn tells_forwarded_clients(&self) -> bool {
        self.front.borrow().tells_forwarded_clients()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.front.borrow().welcome().pid
    }

    /// Makes a client's connection known to the target.
    pub(crate) fn open_connection(
        self: &Rc<Self>,
        client: &ClientSocket,
    ) -> Result<Place, NotTaken> {
        // A client whose session is in this process has no socket to hand over: its exchanges are
        // relayed.
        let socket = client.plain_fd().ok_or(NotTaken::Full)?;
        let open = || {
            let tls = client.tls().map(TlsFacts::to_target);
            let mut front = self.front.borrow_mut();
            front.open_connection(socket, *client.facts(), tls)
        };
        let opened = match open() {
            Err(OpenConnectionError::TooMany) if self.release_idle() => open(),
            opened => opened,
        };
        match opened {
            Ok(slot) => Ok(Place {
                channel: Rc::downgrade(self),
                slot,
            }),
            Err(OpenConnectionError::TooMany) => {
                self.room.want_slot();
                self.instance.want_room();
                Err(NotTaken::Full)
            }
            // The socket takes messages, so nothing tells when there is room: the next tick tries.
            Err(error @ OpenConnectionError::TooManyInFlight) => {
                static TOLD: OnceAMinute = OnceAMinute::new();
                if TOLD.is_time() {
                    tracing::warn!(error = %Chain(&error), "clients wait to be handed over");
                }
                Err(NotTaken::Full)
            }
            Err(OpenConnectionError::Busy) => {
                self.want_writable();
                Err(NotTaken::Full)
            }
            Err(OpenConnectionError::NotReceived) => {
                self.want_room();
                Err(NotTaken::Full)
            }
            Err(error) => {
                // It may have said before that it stops, and what it has completed counts.
                self.catch_up();
                self.lose(&error);
                Err(NotTaken::Dead)
            }
        }
    }

    /// Puts a request into the ring, with which its account goes to the target. The target is woken when the thread has no more to give it
    /// for now.
    pub(crate) fn delegate(
        self: &Rc<Self>,
        slot: SlotKey,
        request: &RequestEntry<'_>,
        handoff: &Rc<Handoff>,
        account: &mut Account,
        granted: Option<(ostler_delegation::lease::Lease, Box<Lease>)>,
        now: Instant,
    ) -> Result<ExchangeKey, NotTaken> {
        let (lease, kept) = granted.unzip();
        let pushed = self
            .front
            .borrow_mut()
            .delegate(slot, request, lease.as_ref());
        let key = self.taken(pushed)?;
        handoff.begin(key, account.hand_over(), kept, now);
        self.handoffs
            .borrow_mut()
            .insert(key.slot, Rc::clone(handoff));
        self.outstanding.set(self.outstanding.get() + 1);
        self.counts.count(QueueEvent::Given);
        self.instance.begin();
        self.watchdog.arm();
        self.mark_dirty();
        Ok(key)
    }

    /// Whether the target holds a connection by this key.
    pub(crate) fn holds(&self, slot: SlotKey) -> bool {
        self.front.borrow().holds(slot)
    }

    /// Has the target let go of connections that have been idle for longest, so that it has room for
    /// others. False when none is idle.
    fn release_idle(self: &Rc<Self>) -> bool {
        self.settle();
        if self.dead.get() {
            return false;
        }
        if self.front.borrow_mut().release_idle() == 0 {
            // Those that the target reads itself are idle once they are back.
            self.end_leases();
            return false;
        }
        self.mark_dirty();
        true
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
        self.counts.count(QueueEvent::Withdrawn);
        self.settle_one();
        self.mark_dirty();
        true
    }

    /// The client of an exchange has ended its stream: its request no longer counts as waiting.
    pub(crate) fn leave_out(&self, key: ExchangeKey) {
        self.front.borrow().leave_out(key);
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
            self.slot_is_free();
        }
    }

    /// Takes in what the target has completed.
    pub(crate) fn settle(self: &Rc<Self>) {
        if self.dead.get() {
            return;
        }
        // Taking any entry makes room, be it of an exchange that nobody waits for any more.
        let has_streams = self.streams.are_there();
        let mut has_taken = false;
        loop {
            let entry = self.front.borrow_mut().poll_entry();
            match entry {
                Ok(Some(TargetEntry::Completed(completed))) => {
                    has_taken = true;
                    self.slot_is_free();
                    let handoff = self.handoffs.borrow_mut().take(completed.key.slot);
                    // A withdrawn exchange that comes back has been settled already.
                    if let Some(handoff) = handoff {
                        self.release(&handoff);
                        self.count_completed(&completed);
                        handoff.happen(Event::Completed(completed));
                    } else {
                        self.take_stream_entry(TargetEntry::Completed(completed));
                    }
                }
                Ok(Some(entry)) => {
                    has_taken = true;
                    self.take_stream_entry(entry);
                }
                Ok(None) if has_taken && (has_streams || self.leases.are_there()) => {
                    return self.tell_of_room();
                }
                Ok(None) => return,
                Err(error) => return self.die(&error),
            }
        }
    }

    /// What is given back has not been taken.
    fn count_completed(&self, completed: &Completed) {
        if completed.disposition == Disposition::Returned {
            return;
        }
        self.counts.count(QueueEvent::Taken);
        self.counts.count(QueueEvent::Completed);
        if completed.disposition == Disposition::Detached {
            self.counts.count(QueueEvent::Detached);
        }
    }

    /// What this thread counts of the queue.
    pub(crate) fn counts(&self) -> &QueueCells {
        &self.counts
    }

    fn settle_one(&self) {
        self.outstanding.set(self.outstanding.get() - 1);
        self.instance.end();
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
            self.lose(&error);
        }
    }

    /// Sleeps while the target has enough to do: see [`FrontChannel::pace`]. One that does not move is
    /// not waited for.
    pub(crate) fn pace(&self, longest: Duration) {
        if !self.dead.get() && !self.progress.still.get() {
            self.front.borrow().pace(longest);
        }
    }

    /// Says that this thread sends nothing more, and lets go: exchanges with the target are its to
    /// finish, connections its to close.
    pub(crate) fn leave(&self) {
        if !self.dead.replace(true) {
            self.front.borrow().goodbye();
            self.detach();
            self.streams.take_all();
        }
    }

    /// Takes no further exchange: those that the target has are finished, those that it has not go
    /// elsewhere. See [`leave_if_done`](Self::leave_if_done).
    pub(crate) fn retire(self: &Rc<Self>) {
        self.draining.set(true);
        self.retired.set(Some(crate::clock::now()));
        if self.dead.get() {
            return;
        }
        self.send_elsewhere(usize::MAX);
        self.end_leases();
        // Else the target would close them, and tell their clients so where the kernel encrypts.
        self.front.borrow_mut().close_idle_connections();
        self.mark_dirty();
    }

    /// Lets go of a retired channel once nothing of it is under way. True when it is dead.
    pub(crate) fn leave_if_done(&self, now: Instant) -> bool {
        /// How long a target may take to read that connections are no longer its.
        const PATIENCE: Duration = Duration::from_secs(10);
        let waited = self
            .retired
            .get()
            .is_some_and(|since| now >= since + PATIENCE);
        if !self.dead.get() && self.under_way() == 0 && (waited || self.untaken.entries() == 0) {
            self.leave();
        }
        self.dead.get()
    }

    /// Looks at every exchange with the target: those that waited too long, or whose client is gone.
    pub(crate) fn check(self: &Rc<Self>, now: Instant, wait_timeout: Duration) {
        self.settle();
        if self.dead.get() {
            return;
        }
        self.note_progress();
        let front = self.front.borrow();
        let handoffs = self.handoffs.borrow();
        let epoch = self.lease_epoch();
        for handoff in handoffs.iter() {
            if let Some(key) = handoff.key() {
                handoff.check(now, front.stage(key), wait_timeout, epoch);
                handoff.set_awaits_body(front.awaits_body(key));
            }
        }
        drop((front, handoffs));
        self.check_streams(now, wait_timeout);
        let flushed = self.front.borrow_mut().flush_deferred();
        if let Err(error) = flushed {
            return self.die(&error);
        }
        if self.instance.is_room_wanted() && self.release_idle() {
            self.instance.room_is_made();
        }
        // A wake-up that was lost with a stopped process is made up for here.
        if self.outstanding.get() > 0 || self.untaken.entries() > 0 {
            self.mark_dirty();
        }
    }

    /// Looks whether the target moves. Gives the number of requests that wait in the ring.
    pub(super) fn look(self: &Rc<Self>) -> usize {
        if self.dead.get() || self.untaken.entries() == 0 {
            self.note_progress();
            self.progress.seen.set(None);
            return 0;
        }
        let taken = self.front.borrow().taken();
        if self.progress.seen.replace(Some(taken)) != Some(taken) {
            self.note_moving();
        } else if !self.progress.still.replace(true) {
            self.instance.add_still();
            tracing::debug!(instance = self.id, "a target does not take its requests");
            if !self.front.borrow_mut().ask_for_taking() || !self.listen_for_room() {
                self.note_moving();
            }
        }
        self.waiting() as usize
    }

    /// The target has moved, if it has taken anything since it was looked at.
    fn note_progress(&self) {
        if self.progress.still.get()
            && self.progress.seen.get() != Some(self.front.borrow().taken())
        {
            self.note_moving();
        }
    }

    fn note_moving(&self) {
        if self.progress.still.take() {
            self.instance.remove_still();
            tracing::debug!(instance = self.id, "a target takes requests again");
        }
    }

    /// Takes back up to `most` of the requests that the target has not taken, those that came first
    /// before others.
    pub(super) fn send_elsewhere(&self, most: usize) {
        let front = self.front.borrow();
        let handoffs = self.handoffs.borrow();
        let mut waiting: Vec<_> = handoffs
            .iter()
            .filter(|handoff| !handoff.has_event())
            .filter_map(|handoff| Some((handoff.key()?, handoff)))
            .filter(|(key, _)| front.stage(*key) == Stage::Queued)
            .map(|(key, handoff)| (front.entry_number(key), Waiting::Handoff(handoff)))
            .collect();
        let streams = self.queued_streams();
        waiting.extend(
            streams
                .iter()
                .map(|(at, stream)| (*at, Waiting::Stream(stream))),
        );
        waiting.sort_by_key(|(at, _)| *at);
        for (_, waiting) in waiting.into_iter().take(most) {
            match waiting {
                Waiting::Handoff(handoff) => handoff.happen(Event::Stalled),
                Waiting::Stream(stream) => stream.happen(Event::Stalled),
            }
        }
    }

    /// What has become of an entry that begins an exchange. A full ring tells when it has room, and one that
    /// is broken ends the channel.
    fn taken(
        self: &Rc<Self>,
        pushed: Result<ExchangeKey, PushError>,
    ) -> Result<ExchangeKey, NotTaken> {
        pushed.map_err(|error| match error {
            PushError::Full => {
                self.want_room();
                NotTaken::Full
            }
            PushError::TooLarge => NotTaken::TooLarge,
            error => {
                self.die(&error);
                NotTaken::Dead
            }
        })
    }

    /// Somebody waits for room in the ring: the target is asked to tell.
    fn want_room(self: &Rc<Self>) {
        if !self.front.borrow_mut().ask_for_room() || !self.listen_for_room() {
            // There is room by now, or nobody would tell.
            self.call_soon();
        }
    }

    /// Somebody waits for the control socket to take a message.
    fn want_writable(self: &Rc<Self>) {
        let control = self.front.borrow().control().as_fd().try_clone_to_owned();
        let channel = Rc::downgrade(self);
        self.room.listen_for_writable(control, move || {
            if let Some(channel) = channel.upgrade() {
                channel.call();
            }
        });
    }

    /// Listens to what the target tells of its taking. False when that is impossible.
    fn listen_for_room(self: &Rc<Self>) -> bool {
        let told = self.front.borrow().room_descriptor().try_clone_to_owned();
        let channel = Rc::downgrade(self);
        self.room.listen(told, move || {
            if let Some(channel) = channel.upgrade()
                && !channel.dead.get()
            {
                channel.told_of_room();
            }
        })
    }

    fn told_of_room(self: &Rc<Self>) {
        self.front.borrow_mut().told_of_room();
        self.note_progress();
        let _ = self.front.borrow_mut().flush_deferred();
        self.call();
    }

    fn slot_is_free(&self) {
        if self.room.is_slot_wanted() {
            self.call();
        }
    }

    fn call(&self) {
        self.streams.call_for_room();
        if let Some(queue) = self.queue.upgrade() {
            queue.call();
        }
    }

    /// As [`call`](Self::call), once who is about to wait does.
    fn call_soon(&self) {
        self.streams.call_for_room();
        let queue = Weak::clone(&self.queue);
        tokio::task::spawn_local(async move {
            if let Some(queue) = queue.upgrade() {
                queue.call();
            }
        });
    }

    /// The channel is of no more use.
    fn detach(&self) {
        self.note_moving();
        self.instance.detach();
        self.room.stop_listening();
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    fn mark_dirty(self: &Rc<Self>) {
        if !self.dirty.replace(true) {
            self.flush.add(Rc::clone(self));
        }
    }

    /// The target cannot be reached any more. What it completed before it went counts.
    fn lose(self: &Rc<Self>, error: &dyn std::error::Error) {
        self.settle();
        self.die(error);
    }

    /// The channel is of no more use: every exchange on it learns so.
    fn die(self: &Rc<Self>, error: &dyn std::error::Error) {
        if self.dead.replace(true) {
            return;
        }
        self.detach();
        let handoffs = self.handoffs.borrow_mut().take_all();
        let streams = self.streams.take_all();
        self.tell_gone(error, handoffs.len() + streams.len());
        for stream in streams {
            self.settle_one();
            let stage = self.stage(stream.key);
            stream.happen(Event::TargetDied(stage));
        }
        for handoff in handoffs {
            self.release(&handoff);
            let stage = handoff.key().map_or(Stage::Queued, |key| self.stage(key));
            handoff.happen(Event::TargetDied(stage));
        }
    }

    /// Tells the log, once a front. A target that said before that it stops has stopped.
    fn tell_gone(&self, error: &dyn std::error::Error, under_way: usize) {
        if !self.instance.is_news(Presence::Gone) {
            return;
        }
        let pid = self.pid();
        if self.draining.get() && under_way == 0 {
            tracing::info!(instance = self.id, pid, "a target has left");
        } else {
            tracing::warn!(instance = self.id, pid, under_way, error = %Chain(error), "a target is gone");
        }
    }

    /// Takes in what the target has said of itself, without waiting to be told that it has.
    pub(crate) fn catch_up(self: &Rc<Self>) {
        self.take_control(&|| {});
    }

    /// Watches the channel until it is dead. Calls `changed` when what others see of it changes.
    pub(crate) async fn drive(self: Rc<Self>, changed: impl Fn()) {
        let (wake, control) = match self.descriptors() {
            Ok(descriptors) => descriptors,
            Err(error) => return self.lose(&error),
        };
        while !self.dead.get() {
            let by_ring = poll_fn(|cx| {
                if self.dead.get() {
                    return Poll::Ready(Ok(true));
                }
                self.set_driver(cx.waker());
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
                Err(error) => self.lose(&error),
            }
        }
        changed();
    }

    fn set_driver(&self, waker: &Waker) {
        let mut driver = self.driver.borrow_mut();
        if !driver.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *driver = Some(waker.clone());
        }
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
                    self.instance.set_draining();
                    changed();
                }
                Ok(Some(TargetMessage::Prefixes { .. })) => {
                    self.end_leases();
                    changed();
                }
                Ok(Some(_)) => {}
                Err(error) => {
                    self.lose(&error);
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
