//! Streams of a channel: exchanges whose bytes travel in its rings.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use http::HeaderMap;
use ostler_delegation::Stage;
use ostler_delegation::entry::{Completed, ExchangeKey};
use ostler_delegation::stream_entry::{StreamRequest, TargetEntry};
use ostler_shm::PushError;

use super::{Channel, NotTaken};
use crate::metrics::QueueEvent;
use crate::queues::handoff::Event;
use crate::queues::stream::{Stream, StreamHandle};

/// The streams of one channel, and what their being there asks of it.
#[derive(Debug, Default)]
pub(super) struct Streams {
    by_slot: RefCell<Vec<Option<Rc<Stream>>>>,
    count: Cell<usize>,
    /// Whoever waits for room in the ring.
    room: RefCell<Vec<Waker>>,
    /// The target was no longer asked to wake this thread while it was awake, and is to be asked again.
    asks_again: Cell<bool>,
}

impl Streams {
    fn insert(&self, stream: &Rc<Stream>) {
        let at = stream.key.slot as usize;
        let mut by_slot = self.by_slot.borrow_mut();
        if by_slot.len() <= at {
            by_slot.resize(at + 1, None);
        }
        by_slot[at] = Some(Rc::clone(stream));
        self.count.set(self.count.get() + 1);
    }

    fn find(&self, key: ExchangeKey) -> Option<Rc<Stream>> {
        let by_slot = self.by_slot.borrow();
        let stream = by_slot.get(key.slot as usize)?.as_ref()?;
        (stream.key == key).then(|| Rc::clone(stream))
    }

    fn take(&self, key: ExchangeKey) -> Option<Rc<Stream>> {
        self.find(key)?;
        self.count.set(self.count.get() - 1);
        self.by_slot.borrow_mut()[key.slot as usize].take()
    }

    pub(super) fn are_there(&self) -> bool {
        self.count.get() > 0
    }

    fn all(&self) -> Vec<Rc<Stream>> {
        self.by_slot.borrow().iter().flatten().cloned().collect()
    }

    pub(super) fn take_all(&self) -> Vec<Rc<Stream>> {
        self.count.set(0);
        let streams = self.by_slot.take();
        self.call_for_room();
        streams.into_iter().flatten().collect()
    }

    /// There is room in the ring, or nobody will ever say so.
    pub(super) fn call_for_room(&self) {
        let waiting = self.room.take();
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Channel {
    /// Whether the target takes exchanges whose bytes travel in the rings.
    pub(crate) fn speaks_streams(&self) -> bool {
        self.front.borrow().speaks_streams()
    }

    /// Puts a request into the ring whose body and response come the same way.
    pub(crate) fn open_stream(
        self: &Rc<Self>,
        request: &StreamRequest<'_>,
        now: Instant,
    ) -> Result<StreamHandle, NotTaken> {
        let opened = self.front.borrow_mut().open_stream(request);
        let key = self.taken(opened)?;
        let stream = Stream::new(key, self.front.borrow().ring_capacity(), now);
        self.streams.insert(&stream);
        if self.streams.count.get() == 1 {
            self.flush.listen(self);
        }
        self.outstanding.set(self.outstanding.get() + 1);
        self.counts.count(QueueEvent::Given);
        self.instance.begin();
        self.watchdog.arm();
        self.mark_dirty();
        Ok(StreamHandle::new(self, &stream))
    }

    /// How many bytes of a stream's request body may be sent now.
    pub(in crate::queues) fn may_send(&self, key: ExchangeKey) -> usize {
        self.front.borrow().may_send(key)
    }

    /// The most of a body that one entry holds.
    pub(in crate::queues) fn longest_data(&self) -> usize {
        self.front.borrow().longest_data()
    }

    /// Sends a piece of a request's body.
    pub(in crate::queues) fn send_data(
        self: &Rc<Self>,
        key: ExchangeKey,
        data: &[u8],
        is_last: bool,
    ) -> Result<(), PushError> {
        let sent = self.front.borrow_mut().send_data(key, data, is_last);
        self.is_put(sent)
    }

    /// Ends a request's body with trailers.
    pub(in crate::queues) fn send_trailers(
        self: &Rc<Self>,
        key: ExchangeKey,
        trailers: &HeaderMap,
    ) -> Result<(), PushError> {
        let sent = self.front.borrow_mut().send_trailers(key, trailers);
        self.is_put(sent)
    }

    /// A ring that takes nothing, though it has room, is broken.
    fn is_put(self: &Rc<Self>, sent: Result<(), PushError>) -> Result<(), PushError> {
        match &sent {
            Ok(()) | Err(PushError::Full | PushError::TooLarge) => self.mark_dirty(),
            Err(error) => self.die(error),
        }
        sent
    }

    /// Lets the target send so many bytes more of a response's body.
    pub(in crate::queues) fn give_credit(self: &Rc<Self>, key: ExchangeKey, bytes: u32) {
        if !self.dead.get() {
            self.front.borrow_mut().give_credit(key, bytes);
            self.mark_dirty();
        }
    }

    /// Has a waker woken once there may be room in the ring.
    pub(in crate::queues) fn wait_for_room(self: &Rc<Self>, waker: &Waker) {
        let mut waiting = self.streams.room.borrow_mut();
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        drop(waiting);
        if self.dead.get() {
            self.streams.call_for_room();
        } else {
            self.want_room();
        }
    }

    /// Takes a stream's request back; false when the target has it.
    pub(in crate::queues) fn withdraw_stream(self: &Rc<Self>, stream: &Rc<Stream>) -> bool {
        let key = stream.key;
        if self.dead.get()
            || self.stage(key) != Stage::Queued
            || !self.front.borrow_mut().withdraw_stream(key)
        {
            return false;
        }
        if self.streams.take(key).is_some() {
            self.counts.count(QueueEvent::Withdrawn);
            self.settle_one();
        }
        self.mark_dirty();
        true
    }

    /// Has the target cancel a stream's exchange.
    pub(in crate::queues) fn cancel_stream(self: &Rc<Self>, stream: &Rc<Stream>) {
        if !self.dead.get() {
            self.front.borrow_mut().cancel_stream(stream.key);
            self.mark_dirty();
        }
    }

    /// Takes in what the target says of a stream.
    pub(super) fn take_stream_entry(&self, entry: TargetEntry) {
        match entry {
            TargetEntry::Head(key, head) => {
                if let Some(stream) = self.streams.find(key) {
                    stream.head(head);
                }
            }
            TargetEntry::Body(key, body) => {
                if let Some(stream) = self.streams.find(key) {
                    stream.arrive(body);
                }
            }
            TargetEntry::Stop(key) => {
                if let Some(stream) = self.streams.find(key) {
                    stream.stop();
                }
            }
            TargetEntry::Completed(completed) => self.stream_completed(completed),
            TargetEntry::Told(told) => self.take_told(&told),
        }
    }

    /// A stream is over. One that was withdrawn has been settled before.
    fn stream_completed(&self, completed: Completed) {
        if let Some(stream) = self.streams.take(completed.key) {
            self.settle_one();
            self.count_completed(&completed);
            stream.happen(Event::Completed(completed));
        }
    }

    /// What the target has said has been taken in: if it waits for room, there is some.
    pub(super) fn tell_of_room(self: &Rc<Self>) {
        let told = self.front.borrow().tell_of_room();
        if let Err(error) = told {
            self.lose(&error);
        }
    }

    /// Looks at every stream: those that have waited too long.
    pub(super) fn check_streams(&self, now: Instant, wait_timeout: Duration) {
        if !self.streams.are_there() {
            return;
        }
        for stream in self.streams.all() {
            stream.check(now, self.stage(stream.key), wait_timeout);
        }
        self.streams.call_for_room();
    }

    /// Streams that the target has not taken, with the numbers of their entries.
    pub(super) fn queued_streams(&self) -> Vec<(u64, Rc<Stream>)> {
        let front = self.front.borrow();
        let queued = self
            .streams
            .all()
            .into_iter()
            .filter(|stream| !stream.has_event() && front.stage(stream.key) == Stage::Queued);
        queued
            .map(|stream| (front.entry_number(stream.key), stream))
            .collect()
    }

    /// The thread is about to wait: the target is asked to wake it where a stream waits for something,
    /// and what is here already is taken in. False when there is no need to be called again.
    pub(in crate::queues) fn before_waiting(self: &Rc<Self>) -> bool {
        let has_streams = self.streams.are_there();
        if self.dead.get() || !(has_streams || self.streams.asks_again.take()) {
            return false;
        }
        self.ask_for_wake();
        self.settle();
        has_streams
    }

    /// The thread is awake: what the target says now is found before it waits again.
    pub(in crate::queues) fn after_waiting(self: &Rc<Self>) {
        if self.dead.get() || !self.streams.are_there() {
            return;
        }
        self.front.borrow().cancel_wake();
        self.streams.asks_again.set(true);
        self.settle();
    }
}
