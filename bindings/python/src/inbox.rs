//! What the serving thread has for Python: requests, and exchanges that somebody waits for.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, eventfd};

use crate::exchange::HttpExchange;
use crate::websocket::WebSocket;

/// One thing that Python is to look at.
#[derive(Debug)]
pub(crate) enum Event {
    /// A request to be answered.
    Request(Box<Request>),
    /// An exchange that changed while a coroutine waited for it.
    Changed(Changed),
    /// The queue is served no more; the text says why if that was not asked for.
    Ended(Option<String>),
}

/// A request with what answers it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) head: http::request::Parts,
    pub(crate) answer: Answer,
}

/// What a request is answered by.
#[derive(Debug)]
pub(crate) enum Answer {
    Http(Arc<HttpExchange>),
    WebSocket(Arc<WebSocket>),
}

/// What has changed.
#[derive(Debug)]
pub(crate) enum Changed {
    Http(Arc<HttpExchange>),
    WebSocket(Arc<WebSocket>),
}

/// A queue of events. An event loop waits for its descriptor; threads wait in [`next`](Self::next).
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    arrived: Condvar,
    descriptor: OwnedFd,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    /// Threads in `next`.
    sleepers: usize,
    /// It is threads that wait, and nobody polls the descriptor.
    has_threads: bool,
}

impl Inbox {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            queue: Mutex::default(),
            arrived: Condvar::new(),
            descriptor: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    /// Readable while there are events that nobody has been told of.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    pub(crate) fn push(&self, event: Event) {
        let mut queue = self.lock();
        let is_first = queue.events.is_empty();
        queue.events.push_back(event);
        let (sleepers, has_threads) = (queue.sleepers, queue.has_threads);
        drop(queue);
        if sleepers > 0 {
            self.arrived.notify_one();
        } else if is_first && !has_threads {
            // The counter cannot overflow: it is set back each time that it is looked at.
            let _ = rustix::io::write(&self.descriptor, &1_u64.to_ne_bytes());
        }
    }

    /// Takes everything there is.
    pub(crate) fn take(&self) -> VecDeque<Event> {
        let mut count = [0; 8];
        // Before the events are taken: what comes later writes it anew.
        let _ = rustix::io::read(&self.descriptor, &mut count);
        std::mem::take(&mut self.lock().events)
    }

    /// Waits for one event. `Ended` stays for the other threads.
    pub(crate) fn next(&self) -> Event {
        let mut queue = self.lock();
        queue.has_threads = true;
        loop {
            match queue.events.pop_front() {
                Some(Event::Ended(reason)) => {
                    queue.events.push_back(Event::Ended(reason.clone()));
                    drop(queue);
                    self.arrived.notify_all();
                    return Event::Ended(reason);
                }
                Some(event) => return event,
                None => {
                    queue.sleepers += 1;
                    queue = self
                        .arrived
                        .wait(queue)
                        .unwrap_or_else(PoisonError::into_inner);
                    queue.sleepers -= 1;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
