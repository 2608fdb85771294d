//! Instances that do not take what they are given: requests are taken back from them while another
//! instance is free, and they are passed over until they have taken something.
//!
//! Nobody tells that a process was stopped, or is busy with something else. So while requests lie in
//! rings, and there is more than one instance, a look is taken every few milliseconds. A queue of one
//! instance is not looked at, and no request costs more than a flag.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::Queue;

/// How often rings are looked at while requests lie in them. An instance that has taken nothing
/// between two looks does not take.
const LOOK: Duration = Duration::from_millis(4);
/// The same once nobody is free to take them instead.
const SELDOM: Duration = Duration::from_millis(32);

/// Says when looks are taken.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    /// There is more than one instance.
    wanted: Cell<bool>,
    armed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Watchdog {
    /// A request was put into a ring.
    #[inline]
    pub(in crate::queues) fn arm(&self) {
        if self.wanted.get() && !self.armed.replace(true) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    async fn armed(&self) {
        poll_fn(|cx| {
            if self.armed.get() {
                return Poll::Ready(());
            }
            self.waker.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// What a look has found.
enum Found {
    /// Every request is taken.
    Nothing,
    /// Some are not, and somebody may be free soon.
    Waiting,
    /// Some are not, and nobody moves.
    Standstill,
}

/// Looks at the queue's rings when there is something to see, for as long as it is polled.
pub(super) async fn watch(queue: Weak<Queue>, watchdog: Rc<Watchdog>) {
    loop {
        watchdog.armed().await;
        let mut pause = LOOK;
        loop {
            tokio::time::sleep(pause).await;
            let Some(queue) = queue.upgrade() else { return };
            match queue.look_for_stalls() {
                Found::Nothing => break,
                Found::Waiting => pause = LOOK,
                Found::Standstill => pause = SELDOM,
            }
        }
        watchdog.armed.set(false);
    }
}

impl Queue {
    /// Notes whether there is more than one instance to take requests.
    pub(super) fn note_siblings(&self) {
        let siblings = self.channels.borrow().len() + self.relays.borrow().len();
        self.watchdog.wanted.set(siblings > 1);
        if siblings > 1 {
            // Whoever is free is to take the next request.
            for channel in self.channels.borrow().iter() {
                channel.end_leases();
            }
        }
        // What was given to one before the other came is theirs to share.
        if self.outstanding() > 0 {
            self.watchdog.arm();
        }
    }

    fn look_for_stalls(&self) -> Found {
        let channels = self.channels.borrow().clone();
        let mut found = Found::Nothing;
        if !self.watchdog.wanted.get() {
            return found;
        }
        for channel in &channels {
            let waiting = channel.look();
            if waiting == 0 {
                continue;
            }
            if matches!(found, Found::Nothing) {
                found = Found::Standstill;
            }
            let free = self.is_another_free(channel.id());
            if free || !channel.instance().is_still() {
                found = Found::Waiting;
            }
            if free && channel.instance().is_still() {
                // Half, so that the two share what is there; the next look sees to the rest.
                channel.send_elsewhere(waiting.div_ceil(2));
            }
        }
        found
    }

    /// Whether an instance but this one would take a request at once.
    fn is_another_free(&self, id: &str) -> bool {
        let channels = self.channels.borrow();
        let mut others = channels.iter().filter(|other| other.id() != id);
        if others.any(|other| other.is_open() && other.instance().is_free()) {
            return true;
        }
        let relays = self.relays.borrow();
        let mut others = relays.iter().filter(|other| other.id() != id);
        others.any(|other| other.is_open() && other.load() == 0)
    }
}
