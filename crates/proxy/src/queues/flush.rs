//! Waking targets once a batch: when the thread has handled all that was ready, not once a request.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::channel::Channel;

thread_local! {
    static PACED: RefCell<Option<Rc<Flush>>> = const { RefCell::new(None) };
}

/// To be called when a runtime's thread is about to wait.
pub(crate) fn before_waiting() {
    PACED.with_borrow(|flush| {
        if let Some(flush) = flush {
            flush.pace();
            flush.listen_all();
        }
    });
}

/// To be called when it has waited.
pub(crate) fn after_waiting() {
    PACED.with_borrow(|flush| {
        if let Some(flush) = flush {
            flush.hear_all();
        }
    });
}

/// Channels whose target has something new in its ring.
///
/// The task that empties it is woken by the first channel of a batch and so runs behind every
/// connection that was ready by then: their requests share one wake-up.
#[derive(Debug, Default)]
pub(crate) struct Flush {
    dirty: RefCell<Vec<Rc<Channel>>>,
    waker: RefCell<Option<Waker>>,
    /// The channel that was given requests last.
    latest: RefCell<Option<Rc<Channel>>>,
    /// Channels with streams, whose targets are to wake this thread when it waits.
    listening: RefCell<Vec<Rc<Channel>>>,
}

impl Flush {
    pub(crate) fn add(&self, channel: Rc<Channel>) {
        self.dirty.borrow_mut().push(channel);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Wakes the targets of all channels added so far.
    pub(crate) fn now(&self) {
        let dirty = std::mem::take(&mut *self.dirty.borrow_mut());
        for channel in &dirty {
            channel.wake();
        }
        if let Some(channel) = dirty.into_iter().next_back() {
            self.latest.replace(Some(channel));
        }
    }

    /// The thread is about to wait for events. While a target still has requests to take it may
    /// as well sleep until most of them are taken: it is then woken once for all that arrived, not
    /// once for each.
    fn pace(&self) {
        /// What other connections of this thread may be made to wait.
        const LONGEST: Duration = Duration::from_micros(1000);
        self.now();
        let mut latest = self.latest.borrow_mut();
        // A dead one would keep the descriptors of a channel that is let go of.
        if latest.as_ref().is_some_and(|channel| channel.is_dead()) {
            *latest = None;
        }
        if let Some(channel) = &*latest {
            channel.pace(LONGEST);
        }
    }

    /// From now on this thread is woken by what the channel's target says, for as long as there are
    /// streams.
    pub(super) fn listen(&self, channel: &Rc<Channel>) {
        let mut listening = self.listening.borrow_mut();
        if !listening.iter().any(|known| Rc::ptr_eq(known, channel)) {
            listening.push(Rc::clone(channel));
        }
    }

    /// The thread is about to wait, and will not if that finds something to do: tasks are woken by it
    /// then.
    fn listen_all(&self) {
        let mut listening = self.listening.take();
        listening.retain(Channel::before_waiting);
        self.put_back(listening);
    }

    fn hear_all(&self) {
        let listening = self.listening.take();
        listening.iter().for_each(Channel::after_waiting);
        self.put_back(listening);
    }

    /// Beside those that have come meanwhile.
    fn put_back(&self, mut listening: Vec<Rc<Channel>>) {
        let mut come = self.listening.borrow_mut();
        listening.append(&mut come);
        *come = listening;
    }

    /// Makes this thread's waits paced by this.
    pub(crate) fn pace_thread(self: &Rc<Self>) {
        PACED.set(Some(Rc::clone(self)));
    }

    /// Does so for as long as it is polled.
    pub(crate) async fn run(self: Rc<Self>) {
        poll_fn(|cx| {
            self.now();
            self.waker.replace(Some(cx.waker().clone()));
            Poll::<()>::Pending
        })
        .await;
    }
}
