//! What all threads of a front know of one instance of a queue.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ostler_delegation::capacity::Capacity;
use ostler_delegation::untaken::Untaken;

/// An instance, shared by the channels and relayed connections of all threads to it.
#[derive(Debug, Default)]
pub(crate) struct Instance {
    /// Exchanges that are with it.
    outstanding: AtomicUsize,
    /// Channels and relays of all threads that are open to it.
    attached: AtomicUsize,
    /// Channels on which it is found not to take anything.
    still: AtomicUsize,
    /// What the log has been told last: a [`Presence`].
    presence: AtomicU8,
    /// It has said that it drains: it takes no further request.
    is_draining: AtomicBool,
    /// Connections that it holds, of all threads.
    capacity: Arc<Capacity>,
    /// A thread that has none to let go of wants it to have room for a connection.
    is_room_wanted: AtomicBool,
    /// What waits in the rings of its channels.
    rings: Mutex<Vec<Weak<Untaken>>>,
}

/// How an instance stands to its queue: each is told to the log once a front, not once a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Presence {
    Joined = 1,
    Gone = 2,
}

impl Instance {
    /// True for the first thread that finds it so.
    pub(crate) fn is_news(&self, presence: Presence) -> bool {
        let presence = presence as u8;
        self.presence.swap(presence, Ordering::Relaxed) != presence
    }

    pub(super) fn set_draining(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// Whether some thread has given requests to it, or is about to, and nothing speaks against more.
    pub(super) fn is_serving(&self) -> bool {
        self.presence.load(Ordering::Relaxed) == Presence::Joined as u8
            && !self.is_draining.load(Ordering::Relaxed)
    }

    pub(crate) fn load(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(&self) {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.outstanding.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn attach(&self) {
        self.attached.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn detach(&self) {
        self.attached.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether a thread has a channel to it, be it to the end of what is under way.
    pub(super) fn is_attached(&self) -> bool {
        self.attached.load(Ordering::Relaxed) > 0
    }

    /// Whether it is passed over: a thread has found that it takes nothing, and it has not since.
    pub(crate) fn is_still(&self) -> bool {
        self.still.load(Ordering::Relaxed) > 0
    }

    pub(super) fn add_still(&self) {
        self.still.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove_still(&self) {
        self.still.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn capacity(&self) -> &Arc<Capacity> {
        &self.capacity
    }

    /// Asks the other threads to let go of connections that are idle, by their ticks.
    pub(super) fn want_room(&self) {
        self.is_room_wanted.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_room_wanted(&self) -> bool {
        self.is_room_wanted.load(Ordering::Relaxed)
    }

    pub(super) fn room_is_made(&self) {
        self.is_room_wanted.store(false, Ordering::Relaxed);
    }

    /// Counts what waits in a channel's ring, for as long as the channel lasts.
    pub(super) fn watch(&self, ring: &Arc<Untaken>) {
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        rings.retain(|ring| ring.strong_count() > 0);
        rings.push(Arc::downgrade(ring));
    }

    /// Requests that it has not taken, of all threads.
    pub(crate) fn waiting(&self) -> u64 {
        self.sum(Untaken::requests)
    }

    /// Whether it would take a request at once, as far as can be seen: nothing lies before it.
    pub(crate) fn is_free(&self) -> bool {
        !self.is_still() && self.sum(Untaken::entries) == 0
    }

    fn sum(&self, count: impl Fn(&Untaken) -> u64) -> u64 {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let rings = rings.iter().filter_map(Weak::upgrade);
        rings.map(|ring| count(&ring)).sum()
    }
}
