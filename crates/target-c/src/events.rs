//! What a program is told, in the order in which it happened.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::exchange::Exchange;

/// Something that a program is to know.
#[derive(Debug)]
pub struct Event {
    /// What it is.
    pub kind: EventKind,
    /// Whom it is about; `None` is the queue.
    pub exchange: Option<Arc<Exchange>>,
}

/// What an [`Event`] tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A request has come.
    Request,
    /// A read that would have had to wait can be tried again.
    Readable,
    /// A write that would have had to wait can be tried again.
    Writable,
    /// The exchange is over. `whole` is false when the client went away, or was too slow, before it
    /// had the whole response.
    Ended {
        /// Whether the whole response was given to the client's connection.
        whole: bool,
    },
    /// The queue is served no more: it was stopped and everything is answered, or it failed.
    Stopped {
        /// Whether its socket failed.
        failed: bool,
    },
}

/// Tells a program that there are events.
pub trait Notice: Send + Sync {
    /// There are events now, where there were none.
    fn raise(&self);
    /// There are none any more.
    fn lower(&self);
}

/// Calls a program for each event.
pub(crate) type Callback = Arc<dyn Fn(Event) + Send + Sync>;

/// The events that a program has not taken yet.
#[derive(Default)]
pub(crate) struct Events {
    list: Mutex<VecDeque<Event>>,
    means: std::sync::OnceLock<Means>,
}

/// How a program learns of events.
pub(crate) enum Means {
    Notice(Box<dyn Notice>),
    /// Requests are told as they come, on the thread that serves; other events, which may come from
    /// anywhere, by way of the list.
    Callback(Callback, Box<dyn Notice>),
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    /// Says once how the program learns of them; false when that was said before.
    pub(crate) fn tell_by(&self, means: Means) -> bool {
        self.means.set(means).is_ok()
    }

    /// A request has come.
    pub(crate) fn request(&self, exchange: Arc<Exchange>) {
        let event = Event {
            kind: EventKind::Request,
            exchange: Some(exchange),
        };
        match self.means.get() {
            Some(Means::Callback(callback, _)) => callback(event),
            _ => self.push(event),
        }
    }

    /// Something about an exchange.
    pub(crate) fn about(&self, exchange: &Arc<Exchange>, kind: EventKind) {
        let exchange = Some(Arc::clone(exchange));
        self.push(Event { kind, exchange });
    }

    pub(crate) fn push(&self, event: Event) {
        let mut list = self.lock();
        list.push_back(event);
        // Under the lock, so that notice and list never say different things.
        if list.len() == 1
            && let Some(Means::Notice(notice) | Means::Callback(_, notice)) = self.means.get()
        {
            notice.raise();
        }
    }

    pub(crate) fn take(&self) -> Option<Event> {
        let mut list = self.lock();
        let event = list.pop_front()?;
        if list.is_empty()
            && let Some(Means::Notice(notice) | Means::Callback(_, notice)) = self.means.get()
        {
            notice.lower();
        }
        Some(event)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Event>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
